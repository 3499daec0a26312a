"""Layers, losses and the two-layer net against NumPy: ``python -m bench.layers``.

Once against the layers as the book writes them, once against NumPy's quickest forms of them.
Every time is of forward and backward together.  The last column is the gradient check's
largest relative difference, of the same layer on the first three samples.
"""

import argparse
from statistics import geometric_mean

import fastbp
from bench import cases, measure

BATCHES = (1, 16, 100, 512)
SIZES = ((4, 10), (37, 91), (64, 64), (784, 50), (512, 512))
#: (batch, width) of activations and losses.
SHAPES = ((1, 10), (100, 10), (100, 50), (512, 512))
CHECKED_ROWS = 3


def affine(**how):
    """Rows of the Affine grid."""
    return [
        layer_row("Affine", batch, n_in, n_out, dtype, how)
        for dtype in cases.DTYPES
        for n_in, n_out in SIZES
        for batch in BATCHES
    ]


def others(**how):
    """Rows of the activations and losses."""
    return [
        layer_row(name, batch, n, n, dtype, how)
        for dtype in cases.DTYPES
        for name in cases.ACTIVATIONS + cases.LOSSES
        for batch, n in SHAPES
    ]


def layer_row(name, batch, n_in, n_out, dtype, how):
    sides, (layer, *inputs) = cases.layer_sides(name, batch, n_in, n_out, dtype)
    times = measure.timed({side: way["forward + backward"] for side, way in sides.items()}, **how)
    shape = f"{batch} x {n_in} -> {n_out}" if name == "Affine" else f"{batch} x {n_out}"
    return {"name": name, "shape": shape, "dtype": dtype, **times,
            "difference": largest_difference(layer, *inputs)}  # fmt: skip


def nets(**how):
    """Rows of the two-layer net's `gradient`."""
    shape = "{batch} x {n_in} -> {hidden} -> {n_out}".format(**cases.NET)
    rows = []
    for dtype in cases.DTYPES:
        nets, checked = cases.net_sides(dtype)
        difference = largest_difference(*checked)
        rows += [
            {"name": name, "shape": shape, "dtype": dtype, **measure.timed(sides, **how),
             "difference": difference}
            for name, sides in nets.items()
        ]  # fmt: skip
    return rows


def largest_difference(layer, *inputs):
    """The gradient check's largest relative difference."""
    return fastbp.gradient_check(layer, *(a[:CHECKED_ROWS] for a in inputs)).largest_relative_error


def run(**how):
    """All rows, by section; `how` goes to `measure.alternate`."""
    return {"affine": affine(**how), "layers": others(**how), "net": nets(**how)}


def show(results):
    """Print the sections, each with its geometric mean and least ratio."""
    header = ("forward + backward", "shape", "dtype", "the book", "NumPy", "fastbp", "to the book",
              "ratio", "check")  # fmt: skip
    for section in ("affine", "layers", "net"):
        rows = results[section]
        print()
        measure.print_table(header, [cells(row) for row in rows])
        print(summary(rows))


def cells(row):
    times = [measure.seconds_text(row[side]) for side in ("book", "numpy", "fastbp")]
    ratios = [f"{measure.ratio(row, side):.2f}" for side in ("book", "numpy")]
    return (row["name"], row["shape"], row["dtype"], *times, *ratios, f"{row['difference']:.0e}")


def summary(rows):
    """Geometric mean and least ratio of each dtype, to NumPy's quickest forms and to the book."""
    parts = []
    for dtype in cases.DTYPES:
        for side, to in (("numpy", ""), ("book", " to the book")):
            ratios = [measure.ratio(row, side) for row in rows if row["dtype"] == dtype]
            parts.append(f"{dtype}{to}: geometric mean {geometric_mean(ratios):.2f}, "
                         f"least {min(ratios):.2f}")  # fmt: skip
    return "; ".join(parts)


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.layers", description=__doc__)
    measure.add_options(parser)
    how = measure.repetitions(measure.parsed(parser).quick)
    measure.ready()
    show(run(**how))


if __name__ == "__main__":
    main()
