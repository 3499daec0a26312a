"""docs/reliability.md's tables, from a run of their commands: ``python -m bench.promises --write``.

`promises.toml` says what is promised, how it is tested, by which command, and how the promise was
broken on purpose.  Each command runs in a shell in the top folder; its exit status and its last
line are stored as JSON, and the page is made from these alone.  ``--only NAME ...`` runs some and
keeps the other results; an hour for all.
"""

import argparse
import json
import os
import re
import subprocess
import time
import tomllib
from datetime import date
from pathlib import Path

from bench import OWN, ROOT, THREAD_VARIABLES, measure, report

TABLE = Path(__file__).with_name("promises.toml")
RESULTS = ROOT / "bench" / "results" / "promises.json"
PAGE = ROOT / "docs" / "reliability.md"
PROMISES = "<!-- promises:begin -->", "<!-- promises:end -->"
BROKEN = "<!-- broken:begin -->", "<!-- broken:end -->"
#: What the keys of a promise are for.
KEYS = {"name", "promise", "how", "command", "broken"}


def promises():
    """The table: a dict for each promise, in their order."""
    with TABLE.open("rb") as file:
        return tomllib.load(file).get("promise", [])


def run(command):
    """What came of one command: whether it passed, its last line, and the seconds it took."""
    # What `bench` has set for its own measurements does not belong to the tests.
    environment = {k: v for k, v in os.environ.items() if k not in (*THREAD_VARIABLES, *OWN)}
    start = time.perf_counter()
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return {
        "command": command,
        "passed": done.returncode == 0,
        "last": last_line(done.stdout),
        "seconds": round(time.perf_counter() - start, 1),
        "date": date.today().isoformat(),
        "processor": measure.processor(),
    }


def last_line(output):
    """The last line that says something, without colours and pytest's frame and seconds."""
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line).strip(" =") for line in output.splitlines()]
    last = next(filter(None, reversed(lines)), "nothing printed")
    return re.sub(r" in [\d.]+s( \([\d:]+\))?$", "", last)


# --- Markdown -------------------------------------------------------------------------------


def promises_table(rows, results):
    body = [[row["promise"], row["how"], f"`{row['command']}`", result_text(row, results)] for row in rows]
    return report.table(["promise", "how it is tested", "command", "last result"], body, "---")


def broken_table(rows):
    body = [[row["promise"], row["broken"]] for row in rows]
    return report.table(["promise", "broken on purpose: what was done, and what failed"], body, "---")


def result_text(row, results):
    """A stored result in one cell; that of another command does not count."""
    result = results.get(row["name"])
    if result is None or result["command"] != row["command"]:
        return "not run"
    verdict = "" if result["passed"] else "FAILED: "
    return f"{verdict}{result['last']} ({result['seconds']:.0f} s, {result['date']})".replace("|", "\\|")


def stored():
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}


def write(page=PAGE):
    """Put both tables into the page."""
    rows = promises()
    report.write(page, promises_table(rows, stored()), *PROMISES)
    report.write(page, broken_table(rows), *BROKEN)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.promises", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="run these; none: write alone")
    options = parser.parse_args(arguments)
    rows = promises()
    names = [row["name"] for row in rows]
    unknown = set(options.only or ()) - set(names)
    if unknown:
        parser.error(f"--only expects names of {', '.join(names)}; got {', '.join(unknown)}.")
    failed = False
    for row in rows:
        if options.only is not None and row["name"] not in options.only:
            continue
        print(f"{row['name']}: {row['command']}", flush=True)
        result = run(row["command"])
        failed |= not result["passed"]
        print(f"    {'passed' if result['passed'] else 'FAILED'}: {result['last']}", flush=True)
        kept = {name: old for name, old in (stored() | {row["name"]: result}).items() if name in names}
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if options.write:
        write()
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
