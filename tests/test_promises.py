"""The page of promises: each is tested by a command that exists, has passed, and can fail."""

import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))  # at the end: the fastbp under test stays the one it is

from bench import promises  # noqa: E402

ROWS = promises.promises()


def row_id(row):
    return row["name"]


def test_names_are_unique_and_rows_whole():
    assert len({row["name"] for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert set(row) == promises.KEYS and all(row.values()), row["name"]


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_no_result_is_a_failure(row):
    result = promises.stored().get(row["name"])
    if result is None or result["command"] != row["command"]:
        assert promises.result_text(row, promises.stored()) == "not run"  # and the page says so
    else:
        assert result["passed"], result["last"]


def test_page_shows_the_stored_results(tmp_path):
    page = tmp_path / "reliability.md"
    page.write_text(promises.PAGE.read_text("utf-8"), "utf-8")
    promises.write(page)
    assert page.read_text("utf-8") == promises.PAGE.read_text("utf-8")


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_files_of_the_command_exist(row):
    named = re.findall(r"(?:tests|bench|docs)/[\w./-]*\w", row["command"])
    named += [f"{name.replace('.', '/')}.py" for name in re.findall(r"-m (bench[\w.]*)", row["command"])]
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_a_pytest_command_finds_tests(row, run_python):
    """Where it names some of a file's, which a renaming would leave behind."""
    words = shlex.split(row["command"])
    if words[0] != "pytest" or not ({"-k", "-m"} & set(words)):
        return
    if "tests/test_checkpoint.py" in words:  # whose tests are there with it alone
        pytest.importorskip("safetensors")
    files = [str(ROOT / word) if word.startswith("tests/") else word for word in words[1:]]
    done = run_python("-P", "-m", "pytest", "--collect-only", f"--rootdir={ROOT}", *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_failing_command_is_a_failure():
    assert not promises.run("echo fine; exit 3")["passed"]
    result = promises.run("printf 'a\\n\\033[32m=== 3 passed in 1.25s ===\\033[0m\\n\\n'")
    assert result["passed"] and result["last"] == "3 passed"


def test_result_of_another_command_does_not_count():
    row = {"name": "x", "command": "true"}
    result = promises.run("true")
    assert promises.result_text(row, {"x": result}).startswith("nothing printed")
    assert promises.result_text(row, {}) == "not run"
    assert promises.result_text(row | {"command": "exit 0"}, {"x": result}) == "not run"
    failed = result | {"passed": False}
    assert promises.result_text(row, {"x": failed}).startswith("FAILED")
