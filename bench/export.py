"""A network as C beside `predict`, one row: ``python -m bench.export``.

The file of `to_c` is compiled twice and called in a loop of C's own; `predict` is called from
Python, as it is used.  All in turn.  ``--write`` stores the medians and puts the table into
docs/leaving.md.
"""

import argparse
import ctypes
import statistics
import subprocess
import tempfile
import time
import timeit
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench import ROOT, measure, report
from fastbp import Sequential
from fastbp.export import to_c

RESULTS = ROOT / "bench" / "results" / "export.json"
PAGE = ROOT / "docs" / "leaving.md"
MARKS = "<!-- export:begin -->", "<!-- export:end -->"
SIZES = [(4, 10, 10, 3), (8, 64, 64, 4), (784, 50, 10), (100, 256, 256, 2), (784, 512, 256, 10), (4096, 128, 2)]
FLAGS = {"-O2": ["-O2"], "-O3 -march=native": ["-O3", "-march=native"]}
_LOOP = """
#include <time.h>
double repeated(const float *x, float *y, int n);
double repeated(const float *x, float *y, int n)
{
    clock_t start = clock();
    int i;
    for (i = 0; i < n; i++) model_predict(x, y);
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}
"""


def network(sizes):
    rows = [[*pair, "relu"] for pair in pairwise(sizes)]
    rows[-1][2] = "linear"
    return Sequential.from_config(rows, seed=0)


def compiled(net, flags, folder):
    """``repeated`` of a network's file."""
    source, library = Path(folder, "model.c"), Path(folder, f"{len(flags)}.so")
    source.write_text(to_c(net) + _LOOP)
    subprocess.run(["cc", "-std=c99", *flags, "-shared", "-fPIC", source, "-o", library, "-lm"], check=True)
    function = ctypes.CDLL(str(library)).repeated
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int], ctypes.c_double
    return function


def run(rounds=15, seconds=0.02, sizes=SIZES):
    """Median seconds of a row, by sizes and side."""
    return [_row(each, rounds, seconds) for each in sizes]


def _row(sizes, rounds, seconds):
    net = network(sizes)
    x = np.random.default_rng(0).standard_normal((1, sizes[0]), "f4")
    y = np.zeros((1, sizes[-1]), "f4")
    timer = timeit.Timer(lambda: net.predict(x), timer=time.process_time)  # as C's clock()
    found = {side: [] for side in ("predict", *FLAGS)}
    with tempfile.TemporaryDirectory() as folder:
        functions = {name: compiled(net, flags, folder) for name, flags in FLAGS.items()}
        count = measure.calls_in(seconds, timer)
        for _ in range(rounds):
            found["predict"].append(measure.sample(timer, count))
            for name, function in functions.items():
                found[name].append(function(x.ctypes.data, y.ctypes.data, count) / count)
        if not np.allclose(y, net.predict(x), rtol=1e-5, atol=1e-5):
            raise ArithmeticError("bench.export expects C to give predict's numbers; got others.")
    return {"sizes": "-".join(map(str, sizes)), **{side: statistics.median(times) for side, times in found.items()}}


HEADER = ["one row, float32", "`predict`", *(f"C, {flags}" for flags in FLAGS), *(f"ratio, {flags}" for flags in FLAGS)]


def cells(rows):
    return [
        [
            row["sizes"],
            *(measure.seconds_text(row[side]) for side in ("predict", *FLAGS)),
            *(f"{row['predict'] / row[side]:.2f}" for side in FLAGS),
        ]
        for row in rows
    ]


def markdown(results):
    text = (
        f"Measured on {measure.described(results['machine'])}. Medians, in turn; `predict` called from Python, C in a "
        "loop of C, compiled by cc. The ratio is `predict`'s time over C's: above 1, C is quicker."
    )
    return f"{text}\n\n{report.table(HEADER, cells(results['rows']))}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.export", description=__doc__)
    measure.add_options(parser, write=f"store it and put the table into {PAGE.name}")
    options = measure.parsed(parser, arguments)
    results = {"machine": measure.ready(write=options.write)}
    results["rows"] = run(rounds=3, seconds=0.002) if options.quick else run()
    measure.print_table(HEADER, cells(results["rows"]))
    if options.write:
        measure.store(RESULTS, results)
        report.write(PAGE, markdown(results), *MARKS)


if __name__ == "__main__":
    main()
