"""Runs pytest under valgrind's memcheck; fails on an error with a frame of fastbp's kernels.

    python tests/memcheck.py tests/test_kernels.py -k relu

Errors of the interpreter and of NumPy alone are counted, not shown.  AVX-512 is not known to
valgrind, so that it runs x86-64-v3.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

VALGRIND = [
    "valgrind",
    "--tool=memcheck",
    "--leak-check=no",
    "--partial-loads-ok=no",
    "--error-limit=no",
    "--num-callers=40",
    "--xml=yes",
    "--child-silent-after-fork=yes",
]


def frames(error):
    """(function, object) of each frame of an error's stacks, the innermost first."""
    return [(f.findtext("fn", "?"), f.findtext("obj", "")) for f in error.iter("frame")]


def is_leak(error):
    """With --xml=yes valgrind looks for leaks all the same: the modules' own objects."""
    return error.findtext("kind", "").startswith("Leak_")


def is_ours(error):
    """Whether compiled code of fastbp's is on a stack of the error."""
    return any("/fastbp/_kernels/" in where for _, where in frames(error))


def main(arguments):
    """The exit status: 1 for an error of fastbp's or a test that failed."""
    environment = {"FASTBP_ISA": "v3", **os.environ, "PYTHONMALLOC": "malloc"}
    with tempfile.TemporaryDirectory() as folder:
        report, results = Path(folder) / "report.xml", Path(folder) / "results.xml"
        command = [
            *VALGRIND,
            f"--xml-file={report}",
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            f"--junitxml={results}",
            *arguments,
        ]
        status = subprocess.run(command, env=environment).returncode
        errors = [error for error in ElementTree.parse(report).getroot().iter("error") if not is_leak(error)]
        tests = len(list(ElementTree.parse(results).getroot().iter("testcase")))
    ours = [error for error in errors if is_ours(error)]
    for error in ours:
        print(error.findtext("what") or error.findtext("xwhat/text"))
        for function, where in frames(error)[:12]:
            print(f"    {function}  ({Path(where).name})")
    print(f"memcheck: {tests} tests, {len(ours)} errors in fastbp's frames, {len(errors) - len(ours)} elsewhere")
    return int(status != 0 or bool(ours))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
