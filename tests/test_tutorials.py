"""The tutorials run as scripts without a warning, and those in Chinese have the code of those in English."""

import io
import os
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import fastbp

TUTORIALS = Path(__file__).parents[1] / "docs/tutorials"
ENGLISH = sorted((TUTORIALS / "en").glob("*.py"))
CHINESE = sorted((TUTORIALS / "zh").glob("*.py"))
#: What takes more than a few seconds.
SLOW = ("04_", "05_", "06_", "07_", "08_", "09_", "10_", "11_")
LAYOUT = (tokenize.COMMENT, tokenize.NL)


def code(path):
    """The tokens of a script without comments, and without the text that it begins with."""
    lines = io.StringIO(path.read_text("utf-8")).readline
    tokens = [(token.type, token.string) for token in tokenize.generate_tokens(lines) if token.type not in LAYOUT]
    assert tokens[0][0] == tokenize.STRING
    return tokens[1:]


def stem(path):
    return path.stem


@pytest.mark.parametrize(
    "script", [pytest.param(path, marks=[pytest.mark.slow] * path.name.startswith(SLOW)) for path in ENGLISH], ids=stem
)
def test_a_tutorial_runs_without_a_warning(script, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    root = str(Path(fastbp.__file__).parents[1])
    show = "ignore:FigureCanvasAgg is non-interactive:UserWarning"  # of plt.show() without a screen
    subprocess.run(
        [sys.executable, "-W", "error", "-W", show, script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, "MPLBACKEND": "agg"},
        check=True,
        capture_output=True,
    )


def test_every_tutorial_is_there_in_both_languages():
    assert [f"{path.stem}_zh" for path in ENGLISH] == [path.stem for path in CHINESE]


@pytest.mark.parametrize("script", CHINESE, ids=stem)
def test_a_chinese_tutorial_has_the_code_of_the_english_one(script):
    """Strings, too, so that both print the same."""
    english = TUTORIALS / "en" / f"{script.stem.removesuffix('_zh')}.py"
    assert code(script) == code(english)
