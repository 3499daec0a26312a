"""The tables of `bad-input.md`, from the cases that the tests run."""

import subprocess
import sys
from pathlib import Path

CASES = Path(__file__).parents[2] / "tests" / "bad_input_cases.py"


def write(app):
    """Write what the cases say where it changed."""
    text = subprocess.run([sys.executable, CASES], check=True, capture_output=True, text=True).stdout
    file = Path(app.srcdir) / "reference" / "bad-input-table.txt"
    file.parent.mkdir(exist_ok=True)
    if not file.exists() or file.read_text("utf-8") != text:
        file.write_text(text, "utf-8")


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
