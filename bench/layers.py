"""Layers, losses and the two-layer net against NumPy: ``python -m bench.layers``.

Once against the layers as the book writes them, once against NumPy's quickest forms of them, and
Affine against its expressions alone: ``np.dot(x, W) + b``, then ``np.dot(x.T, dout)``,
``np.sum(dout, axis=0)`` and ``np.dot(dout, W.T)``.  Every time is of forward and backward
together.  The last column is the gradient check's largest relative difference, of the same layer
on the first three samples.  ``--isa v3`` holds fastbp to its v3 kernels, and NumPy to OpenBLAS's
Haswell kernels and its own without AVX-512; ``--least`` takes minima in place of medians.
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
#: Who is compared, and how the ratio to each is called; Affine alone has its expressions.
COMPARED = {"numpy": "", "book": "to the book", "expressions": "to the expressions"}


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
    return {"name": name, "shape": shape, "dtype": dtype, **times, "difference": largest_difference(layer, *inputs)}


def nets(**how):
    """Rows of the two-layer net's `gradient`."""
    shape = "{batch} x {n_in} -> {hidden} -> {n_out}".format(**cases.NET)
    rows = []
    for dtype in cases.DTYPES:
        nets, checked = cases.net_sides(dtype)
        difference = largest_difference(*checked)
        rows += [
            {"name": name, "shape": shape, "dtype": dtype, **measure.timed(sides, **how), "difference": difference}
            for name, sides in nets.items()
        ]
    return rows


def largest_difference(layer, *inputs):
    """The gradient check's largest relative difference."""
    return fastbp.gradient_check(layer, *(a[:CHECKED_ROWS] for a in inputs)).largest_relative_error


def run(**how):
    """All rows, by section; `how` goes to `measure.alternate`."""
    return {"affine": affine(**how), "layers": others(**how), "net": nets(**how)}


def show(results):
    """Print the sections, each with its geometric mean and least ratio."""
    for rows in results.values():
        print()
        measure.print_table(header(rows), [cells(row) for row in rows])
        print(summary(rows))


def compared(rows):
    """The sides of `COMPARED` that the rows have."""
    return [side for side in COMPARED if side in rows[0]]


def header(rows):
    sides = compared(rows)
    return [
        "forward + backward",
        "shape",
        "dtype",
        "fastbp",
        *sides,
        *(COMPARED[side] or "ratio" for side in sides),
        "check",
    ]


def cells(row):
    sides = compared([row])
    times = [measure.seconds_text(row[side]) for side in ("fastbp", *sides)]
    ratios = [f"{measure.ratio(row, side):.2f}" for side in sides]
    return [row["name"], row["shape"], row["dtype"], *times, *ratios, f"{row['difference']:.0e}"]


def summary(rows):
    """Geometric mean and least ratio of each dtype, to NumPy's quickest forms and to the others."""
    parts = []
    for dtype in cases.DTYPES:
        for side in compared(rows):
            ratios = [measure.ratio(row, side) for row in rows if row["dtype"] == dtype]
            parts.append(
                f"{dtype} {COMPARED[side]}".strip() + f": geometric mean "
                f"{geometric_mean(ratios):.2f}, least {min(ratios):.2f}"
            )
    return "; ".join(parts)


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.layers", description=__doc__)
    parser.add_argument("--least", action="store_true", help="minima in place of medians")
    parser.add_argument("--affine", action="store_true", help="Affine alone")
    measure.add_options(parser)
    options = measure.parsed(parser)
    how = measure.repetitions(options.quick) | ({"of": min} if options.least else {})
    measure.ready()
    show({"affine": affine(**how)} if options.affine else run(**how))


if __name__ == "__main__":
    main()
