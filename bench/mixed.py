"""Rows of float32 through a layer of float64 beside NumPy: ``python -m bench.mixed``.

60,000 rows of 784 through 784 -> 50, which is how the book's script asks for its accuracy: float64
weights, float32 images.  NumPy converts all rows before it multiplies.  Each side runs in
processes of its own, in turn, which tell the call's time and the memory that it took at most,
without the output's.  ``--write`` stores both and puts the table into docs/speed.md.
"""

import argparse
import statistics

import numpy as np

import fastbp
from bench import ROOT, measure, memory, report

RESULTS = ROOT / "bench" / "results" / "mixed.json"
PAGE = ROOT / "docs" / "speed.md"
MARKS = "<!-- mixed:begin -->", "<!-- mixed:end -->"
ROWS, N_IN, N_OUT = 60_000, 784, 50


def layer(rows):
    """x, W, b"""
    rng = np.random.default_rng(0)
    return (rng.standard_normal((rows, N_IN), "f4"), rng.standard_normal((N_IN, N_OUT)), rng.standard_normal(N_OUT))


def of_fastbp(rows):
    x, W, b = layer(rows)
    affine = fastbp.Affine(W, b)
    return lambda: affine.forward(x)


def of_numpy(rows):
    x, W, b = layer(rows)
    return lambda: np.dot(x, W) + b


SIDES = {"fastbp": of_fastbp, "NumPy": of_numpy}


def prepared(side, rows):
    """The call, warm, whose output is told by its size and a few of its numbers."""
    measure.pin()
    call = SIDES[side](rows)
    SIDES[side](100)()

    def told():
        out = call()
        return out.nbytes, out[:: max(1, rows // 100)].copy()

    return told


def run(rounds=9, rows=ROWS):
    """Median seconds and bytes beside the output, by side."""
    found = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, rounds_of in found.items():
            (nbytes, some), seconds, taken = memory.apart(prepared, side, rows)
            rounds_of.append((seconds, taken - nbytes))
            require_alike(some, rows)
    return {
        side: dict(zip(("seconds", "bytes"), map(statistics.median, zip(*each, strict=True)), strict=True))
        for side, each in found.items()
    }


def require_alike(some, rows):
    x, W, b = layer(rows)
    expected = np.dot(x[:: max(1, rows // 100)].astype("f8"), W) + b
    if not np.allclose(some, expected, rtol=1e-10, atol=1e-10):
        raise ArithmeticError("bench.mixed expects both sides to give float64 numbers; got others.")


HEADER = [f"{ROWS:,} x {N_IN} float32 -> {N_OUT} float64", "time", "memory beside the output"]


def cells(sides):
    body = [[side, measure.seconds_text(row["seconds"]), f"{row['bytes'] / 1e6:.0f} MB"] for side, row in sides.items()]
    return [*body, ["ratio", f"{sides['NumPy']['seconds'] / sides['fastbp']['seconds']:.2f}", ""]]


def markdown(results):
    text = (
        "## float32 rows, float64 weights\n\n`Affine.forward` beside `np.dot(x, W) + b`. Measured "
        f"on {measure.described(results['machine'])}. Medians of processes in turn, of the first "
        "call in each: NumPy's time has what the system takes to give it the memory."
    )
    return f"{text}\n\n{report.table(HEADER, cells(results['sides']))}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.mixed", description=__doc__)
    measure.add_options(parser, write=f"store it and put the table into {PAGE.name}")
    options = measure.parsed(parser, arguments)
    results = {"machine": measure.ready(write=options.write)}
    results["sides"] = run(rounds=1 if options.quick else 9)
    measure.print_table(HEADER, cells(results["sides"]))
    if options.write:
        measure.store(RESULTS, results)
        report.write(PAGE, markdown(results), *MARKS)


if __name__ == "__main__":
    main()
