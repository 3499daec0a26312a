"""The pictures of docs/pictures.md: its code is run in docs/pictures/, where it writes them."""

import contextlib
import io
import re
import warnings
from pathlib import Path

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


def draw(app):
    """Run the page's code, unless its pictures are newer."""
    page = Path(app.srcdir) / "pictures.md"
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    text = page.read_text("utf-8")
    drawn = [folder / name for name in re.findall(r"\(pictures/([\w-]+\.png)\)", text)]
    if all(file.exists() and file.stat().st_mtime > page.stat().st_mtime for file in drawn):
        return
    names = {"__name__": "__main__"}
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for code in BLOCK.findall(text):
            exec(compile(code, str(page), "exec"), names)


def setup(app):
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
