"""What ``import fastbp`` costs beyond ``import numpy``: ``python -m bench.startup``.

From compiled bytecode, which pip leaves behind an installation and the first import elsewhere.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import fastbp
from bench import measure

SCRIPT = """
import sys, time
sys.path.insert(0, sys.argv[1])
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import fastbp
print(middle - start, time.perf_counter() - middle)
"""


def run(samples=11):
    """Median seconds of importing NumPy, and then fastbp, in a fresh process each."""
    folder = str(Path(fastbp.__file__).parent.parent)
    rounds = []
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(samples + 1):
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT, folder], check=True, capture_output=True, text=True, env=environment
            )
            rounds.append([float(number) for number in done.stdout.split()])
    del rounds[0]  # it compiled
    numpy, ours = (statistics.median(times) for times in zip(*rounds, strict=True))
    return {"numpy": numpy, "fastbp": ours}


def show(times):
    print(
        f"import numpy: {measure.seconds_text(times['numpy'])}; "
        f"import fastbp after it: {measure.seconds_text(times['fastbp'])}"
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description=__doc__)
    measure.add_options(parser)
    options = measure.parsed(parser, arguments)
    measure.ready()
    show(run(3 if options.quick else 11))


if __name__ == "__main__":
    main()
