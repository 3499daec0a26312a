"""`fit` beside JAX with every activation: ``python -m bench.activations``.

Epochs as those of `bench.grid --epoch`, in float32 and float64: JAX has one compiled function for
all steps of an epoch.  First both have to agree with NumPy; what is told is JAX's time over
fastbp's.  ``--write`` stores it and puts the table into docs/speed.md.
"""

import argparse

from bench import ROOT, apart, cases, grid, measure, report
from bench.tasks import ACTIVATIONS, NEWER

RESULTS = ROOT / "bench" / "results" / "activations.json"
PAGE = ROOT / "docs" / "speed.md"
MARKS = "<!-- activations:begin -->", "<!-- activations:end -->"
SMOOTH = ACTIVATIONS[1:]
NETWORKS = ("iris", "rl", "dlfs", "mnist512", "tab", "odd", "squares", "deep")
#: Those that the newer activations are trained in.
FEW = ("dlfs", "tab", "rl")


def run(sides, networks=NETWORKS, activations=SMOOTH + NEWER, quick=False, whole=False):
    """A row of the grid for each network, activation and dtype, which it names."""
    rows = []
    for activation in activations:
        for dtype in cases.DTYPES:
            how = {"activation": activation, "dtype": dtype}
            names = [name for name in networks if activation in SMOOTH or name in FEW]
            for row in grid.run(sides, names, quick, whole, epoch=True, **how):
                rows.append(row | how)
    return rows


def tables(rows):
    """A table of the smooth activations and one of the newer ones."""
    parts = ([row for row in rows if row["activation"] in part] for part in (SMOOTH, NEWER))
    return [table(part) for part in parts if part]


def table(rows):
    """Networks down, activations across; the lowest ratios under them."""
    found = {(row["name"], row["activation"], row["dtype"]): grid.ratio(row) for row in rows}
    names, activations = (list(dict.fromkeys(row[key] for row in rows)) for key in ("name", "activation"))

    def both(of, activation):
        return " / ".join(f"{of(activation, dtype):.2f}" for dtype in cases.DTYPES)

    def lowest(activation, dtype):
        return min(found[name, activation, dtype] for name in names)

    body = [
        [grid.named(name), *(both(lambda *key, name=name: found[name, *key], a) for a in activations)] for name in names
    ]
    return ["network", *activations], [*body, ["lowest", *(both(lowest, a) for a in activations)]]


def markdown(results):
    text = (
        "## Activations\n\nA step of an epoch, `fit` beside JAX, an epoch one jit of "
        f"`lax.scan`: JAX's time over fastbp's in float32 / float64. Measured on "
        f"{measure.described(results['machine'])}. Medians, in turn. Above 1, fastbp is quicker."
    )
    return "\n\n".join([text, *(report.table(*found) for found in tables(results["rows"]))])


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.activations", description=__doc__)
    parser.add_argument("--workloads", type=grid.names_of(grid.WORKLOADS), default=list(NETWORKS))
    measure.add_options(parser, write=f"store it and put the table into {PAGE.name}")
    options = measure.parsed(parser, arguments)
    if options.write and options.workloads != list(NETWORKS):
        parser.error("--write expects all workloads; got some.")
    about = measure.ready(write=options.write)
    with apart.sides(["fastbp", "JAX"]) as sides:
        rows = run(sides, options.workloads, quick=options.quick, whole=True)
        results = {"machine": apart.described(sides, about), "rows": rows}
    for found in tables(rows):
        measure.print_table(*found)
    if options.write:
        measure.store(RESULTS, results)
        report.write(PAGE, markdown(results), *MARKS)


if __name__ == "__main__":
    main()
