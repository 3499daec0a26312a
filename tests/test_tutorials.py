"""Tutorials and examples run as scripts without a warning; tutorials in Chinese have the code of those in English."""

import io
import os
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import fastbp

TUTORIALS = Path(__file__).parents[1] / "docs/tutorials"
ENGLISH = sorted((TUTORIALS / "en").glob("*.py"))
CHINESE = sorted((TUTORIALS / "zh").glob("*.py"))
EXAMPLES = sorted((TUTORIALS.parent / "gallery").glob("*.py"))
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
    assert_runs(script, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=stem)
def test_an_example_prints_the_same_twice(script, tmp_path):
    first, second = (re.sub(r"[\d.]+ s\b", "", assert_runs(script, tmp_path)) for _ in range(2))
    assert first == second


def test_examples_are_short():
    for path in EXAMPLES:
        lines = path.read_text("utf-8").splitlines()
        assert len(lines) <= 80, path
        assert lines[-1] == "plt.show()"


def assert_runs(script, tmp_path):
    """What a script prints, without a warning; without MNIST, which is on some machines only."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    root = str(Path(fastbp.__file__).parents[1])
    show = "ignore:FigureCanvasAgg is non-interactive:UserWarning"  # of plt.show() without a screen
    env = {**os.environ, "PYTHONPATH": root, "MPLBACKEND": "agg"}
    env.pop("FASTBP_DATA", None)
    command = [sys.executable, "-W", "error", "-W", show, script]
    return subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True).stdout


def test_every_tutorial_is_there_in_both_languages():
    assert [f"{path.stem}_zh" for path in ENGLISH] == [path.stem for path in CHINESE]


@pytest.mark.parametrize("script", CHINESE, ids=stem)
def test_a_chinese_tutorial_has_the_code_of_the_english_one(script):
    """Strings, too, so that both print the same."""
    english = TUTORIALS / "en" / f"{script.stem.removesuffix('_zh')}.py"
    assert code(script) == code(english)
