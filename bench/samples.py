"""What the pages show of the command `fastbp`, from runs: ``python -m bench.samples --write``.

Each ``console`` block of README.md and docs/ begins with its command; what the command prints
stands below it, with ``...`` in place of the epochs between the first and the last and of what
differs from machine to machine.
"""

import argparse
import contextlib
import io
import math
import re
import tempfile
from pathlib import Path

from bench import ROOT
from fastbp.command import cli

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```console\n\$ fastbp([^\n]*)\n(.*?)^```$", re.M | re.S)
NUMBER = re.compile(r"\d+\.\d+e[-+]\d+|\d+\.\d+")


def printed(command):
    """What `fastbp` with these words prints in an empty folder, as a page shows it."""
    out = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(out):
        status = cli.main(command.split())
    assert status == 0, command
    return shown(out.getvalue())


def shown(text):
    """What the command printed, as a page shows it."""
    text = re.sub(r"[\d.,]+ s, [\d.,]+ samples/s", "... s, ... samples/s", text)
    return re.sub(r"(^epoch +1/.*\n)(?:epoch .*\n)+(epoch .*\n)", r"\1...\n\2", text, flags=re.M)


def stale(page):
    """(shown, printed) of each block that a run would not write, but for rounding."""
    blocks = BLOCK.findall(page.read_text("utf-8"))
    return [(was, now) for command, was in blocks if not alike(was, now := printed(command))]


def alike(was, now):
    """Whether texts differ at most in roundings, which instruction sets have of their own."""
    pairs = zip(NUMBER.findall(was), NUMBER.findall(now), strict=False)
    return NUMBER.sub("#", was) == NUMBER.sub("#", now) and all(
        math.isclose(float(a), float(b), rel_tol=0.8 if "e" in a else 0.02, abs_tol=1e-9) for a, b in pairs
    )


def write(page):
    """Write the blocks of a page anew."""
    text = page.read_text("utf-8")
    page.write_text(BLOCK.sub(lambda m: f"```console\n$ fastbp{m[1]}\n{printed(m[1])}```", text), "utf-8")


def main(arguments=None):
    """Print what is stale, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the pages")
    args = parser.parse_args(arguments)
    for page in map(Path, PAGES):
        if args.write:
            write(page)
        for was, now in stale(page):
            print(f"{page.relative_to(ROOT)} shows\n{was}where a run prints\n{now}")


if __name__ == "__main__":
    main()
