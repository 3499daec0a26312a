"""The table of layers in docs/speed.md, from a run: ``python -m bench.report --write``.

A run of about two minutes, stored as JSON; the table is made from the stored numbers alone and
stands between two comments, so that none of them is typed by hand.  So do the grid's tables, with
its picture, where `python -m bench.grid --write` has stored a run; README.md has three rows of them.
A run during which a setting held a library to slower kernels is not written.
"""

import argparse
import json
from itertools import groupby
from pathlib import Path
from statistics import geometric_mean

from bench import ROOT, cases, elementwise, grid, layers, measure, startup

RESULTS = ROOT / "bench" / "results" / "latest.json"
BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
GRID_BEGIN, GRID_END = "<!-- grid:begin -->", "<!-- grid:end -->"
STEPS_BEGIN, STEPS_END = "<!-- steps:begin -->", "<!-- steps:end -->"
#: The page of all tables, and the grid's picture beside it, from the folder of the README.
PAGE = Path("docs", "speed.md")
PICTURE = PAGE.with_name("grid.png")
#: Workloads and peers that the README shows: a network of a few thousand weights, the book's, a wide one.
TELLING = ("rl", "dlfs", "wide2048")
TELLING_PEERS = ("fastbp", "NumPy", "PyTorch", "JAX", "scikit-learn")
#: Shapes of activations and losses that the page shows.
SHOWN = ("100 x 50", "512 x 512")


def run(quick, write=False):
    """All benches on this machine."""
    about = measure.ready(write=write)
    how = measure.repetitions(quick)
    return {
        "machine": about,
        **layers.run(**how),
        "elementwise": elementwise.run(elementwise.QUICK_SIZES, **how),
        "startup": startup.run(samples=3 if quick else 11),
    }


def show(results):
    """Print everything."""
    layers.show({section: results[section] for section in ("affine", "layers", "net")})
    elementwise.show(results["elementwise"], results["machine"]["l2_bytes"])
    print()
    startup.show(results["startup"])


# --- Markdown -------------------------------------------------------------------------------


def markdown(results):
    """The page's text of layers between the comments."""
    everything = results["net"] + results["affine"] + results["layers"]
    largest = max(row["difference"] for row in everything)
    cost = measure.seconds_text(results["startup"]["fastbp"])
    return "\n\n".join(
        [
            f"Measured on {measure.described(results['machine'])}. Medians of calls in turn: "
            "the layers as the book writes them, the same in NumPy's quickest forms, and fastbp's. "
            "The ratio is the time of NumPy's quickest forms over fastbp's: above 1, fastbp is "
            "quicker. The last column is the gradient check's largest relative difference.",
            times_table(results["net"] + [r for r in results["layers"] if r["shape"] in SHOWN]),
            "Affine, forward + backward, ratio to NumPy's quickest forms in float32 / float64:",
            affine_table(results["affine"]),
            "Element-wise kernels, least over float32 and float64; a triad is a pass over memory "
            "with two reads and one write:",
            elementwise_table(results["elementwise"], results["machine"]["l2_bytes"]),
            f"The gradient check's largest relative difference over all of these layers is "
            f"{largest:.0e}. `import fastbp` takes {cost} after `import numpy`.",
        ]
    )


def times_table(rows):
    """A line for each name and shape, float32 and float64 side by side."""
    lines = {}
    for row in rows:
        lines.setdefault((row["name"], row["shape"]), {})[row["dtype"]] = row
    header = ["forward + backward", "batch x sizes"]
    for dtype in cases.DTYPES:
        header += [f"{dtype}: the book", "NumPy", "fastbp", "ratio"]
    body = []
    for (name, shape), by_dtype in lines.items():
        line = [name, shape]
        for dtype in cases.DTYPES:
            row = by_dtype[dtype]
            line += [measure.seconds_text(row[side]) for side in ("book", "numpy", "fastbp")]
            line.append(ratio_text(row))
        body.append([*line, f"{max(r['difference'] for r in by_dtype.values()):.0e}"])
    return table([*header, "gradient check"], body)


def affine_table(rows):
    """Batches down, sizes across; the geometric means and the least ratios under it."""
    batches, sizes = (
        list(dict.fromkeys(row["shape"].split(" x ")[part] for row in rows)) for part in (0, 1)
    )  # each once, in their order
    found = {(row["shape"], row["dtype"]): row for row in rows}

    def both(batch, size):
        return " / ".join(ratio_text(found[f"{batch} x {size}", dtype]) for dtype in cases.DTYPES)

    body = [[batch, *(both(batch, size) for size in sizes)] for batch in batches]
    names = {
        "numpy": "",
        "book": ", to the book's own lines",
        "expressions": ", to the bare `np.dot(x, W) + b`, `np.dot(x.T, dout)`, "
        "`np.sum(dout, axis=0)`, `np.dot(dout, W.T)`",
    }
    for side in layers.compared(rows):
        ratios = [[measure.ratio(r, side) for r in rows if r["dtype"] == dtype] for dtype in cases.DTYPES]
        for label, of in (("geometric mean", geometric_mean), ("least", min)):
            body.append([label + names[side], " / ".join(f"{of(some):.2f}" for some in ratios)])
            body[-1] += [""] * (len(sizes) - 1)
    return table(["batch", *sizes], body)


def elementwise_table(rows, l2_bytes):
    numbers = elementwise.least(rows, l2_bytes)
    body = [[label, *(f"{n:.2f}" for n in by_kernel.values())] for label, by_kernel in numbers.items()]
    return table(["", *(f"`{kernel}`" for kernel in elementwise.JUDGED)], body)


def ratio_text(row):
    return f"{measure.ratio(row):.2f}"


def table(header, body, others="---:"):
    """Markdown; the columns after the first are aligned to the right, or as `others` says."""
    rule = ["---", *[others] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *body))


def write(file, text, begin=BEGIN, end=END):
    """Put the text between the comments of a file."""
    before, found, rest = file.read_text("utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise SystemExit(f"bench.report expects {begin} and {end} in {file}; got none.")
    file.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")


# --- the grid -------------------------------------------------------------------------------


def page_markdown():
    """The text of the page with the other stored runs of the grid."""
    stored = sorted({*grid.RESULTS.parent.glob("grid-*.json")} - {epochs_beside(grid.RESULTS)})
    runs = [json.loads(path.read_text("utf-8")) for path in stored]
    return "\n\n".join(f"## {title(run['options'])}\n\n{grid_markdown(run, picture=False)}" for run in runs)


def title(options):
    return f"{'Epochs, ' if options.get('epoch') else ''}{grid.described(options)}"


def epochs_beside(path):
    """Where the epochs of a stored run of steps are."""
    return path.with_stem(f"{path.stem}-epoch")


def short_markdown(path):
    """The README's text of a stored run of steps: a few rows, and the lowest ratio of all."""
    results = json.loads(path.read_text("utf-8"))
    rows, about, options = results["rows"], results["machine"], results["options"]
    shown = [row for row in rows if row["name"] in TELLING] or rows
    peers = [peer for peer in grid.peers_of(shown) if peer in TELLING_PEERS]
    body = [
        [
            f"{row['name']}: {grid.shape_text(row)}",
            *(measure.seconds_text(row["seconds"][p]) if p in row["seconds"] else "" for p in peers),
            f"{grid.ratio(row):.2f} ({grid.best_peer(row)})",
        ]
        for row in shown
    ]
    return "\n\n".join(
        [
            f"{capitalized(grid.unit(options))}, {grid.described(options)}, {about['processor']}, {about['date']}:",
            table(["workload: batch, sizes", *peers, "to the best of all peers"], body),
            f"Of all {len(rows)} workloads, {grid.lowest_text(rows)}.",
        ]
    )


def steps_markdown(path):
    """The text of a stored run of steps, and of the epochs beside it where they are stored."""
    steps = grid_markdown(json.loads(path.read_text("utf-8")))
    if not epochs_beside(path).exists():
        return steps
    epochs = json.loads(epochs_beside(path).read_text("utf-8"))
    return f"{steps}\n\n{grid_markdown(epochs, picture=False)}"


def grid_markdown(results, picture=True):
    """The text of a grid's run."""
    rows, about, options = results["rows"], results["machine"], results["options"]
    where = ", each in a process of its own" if results.get("apart") else ""
    left_out = {f"{peer} ({row['name']}): {why}" for row in rows for peer, why in row["skipped"].items()}
    return "\n\n".join(
        [
            f"{capitalized(grid.unit(options))}, {grid.described(options)}. Measured on "
            f"{measure.described(about)}. All in turn{where}, medians. "
            f"{grid.how_text(rows, options)}. The ratio is the best peer's time over fastbp's; "
            f"{grid.peak_text(rows)}.",
            table(grid.header(rows), [grid.cells(row, grid.peers_of(rows)) for row in rows]),
            f"{capitalized(grid.lowest_text(rows))}.",
            *(["Left out: " + "; ".join(sorted(left_out)) + "."] if left_out else []),
            *([f"![Time of a training step relative to fastbp's]({PICTURE.name})"] if picture else []),
        ]
    )


def capitalized(text):
    return text[:1].upper() + text[1:]


#: A colour for each library, whoever else is there (Okabe and Ito's, safe for the colour-blind).
COLOURS = {
    "fastbp": "#000000",
    "NumPy": "#e69f00",
    "PyTorch": "#d55e00",
    "PyTorch unlocked": "#f0e442",
    "PyTorch bf16": "#56b4e9",
    "torch.compile": "#cc79a7",
    "JAX": "#0072b2",
    "scikit-learn": "#009e73",
}


def draw(results, path):
    """Bars for each workload: the time of a step in each library relative to fastbp's."""
    from matplotlib.figure import Figure

    rows = results["rows"]
    peers = [peer for peer in grid.peers_of(rows) if peer != "fastbp"]
    figure = Figure(figsize=(max(10, 1.25 * len(rows)), 4.2), layout="constrained")
    axes = figure.add_subplot()
    width = 0.84 / len(peers)
    for k, peer in enumerate(peers):
        bars = [
            (i, row["seconds"][peer] / row["seconds"]["fastbp"]) for i, row in enumerate(rows) if peer in row["seconds"]
        ]
        places = [i + (k - (len(peers) - 1) / 2) * width for i, _ in bars]
        drawn = axes.bar(
            places, [height - 1 for _, height in bars], 0.92 * width, bottom=1, color=COLOURS[peer], label=peer
        )
        labels = [f"{height:.{1 if height < 10 else 0}f}" for _, height in bars]
        for bar, label, (_, height) in zip(drawn, labels, bars, strict=True):
            top = bar.get_x() + bar.get_width() / 2, max(height, 1)
            axes.annotate(label, top, (0, 2), textcoords="offset points", ha="center", fontsize=6.5)
    axes.axhline(1, color=COLOURS["fastbp"], linewidth=1.2, label="fastbp")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xticks(range(len(rows)), [f"{row['name']}\n{row_text(row)}" for row in rows], fontsize=7.5)
    axes.set_ylabel("time of a step / fastbp's")
    axes.set_title(f"A training step, {grid.described(results['options'])}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncols=len(peers) + 1, frameon=False, fontsize=8, loc="upper right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})


def row_text(row):
    """A workload in two short lines; equal widths in a row are written once."""
    sizes = []
    for size, same in groupby(row["sizes"]):
        n = len(list(same))
        sizes.append(f"{n}×{size}" if n > 1 else str(size))
    return f"batch {row['batch']}\n{'-'.join(sizes)}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("--page", type=Path, default=ROOT / PAGE, help="that file")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="the file of the short table")
    parser.add_argument("--from", dest="stored", type=Path, help="take a stored run")
    parser.add_argument("--to", type=Path, default=RESULTS, help="where to store a new run")
    parser.add_argument("--grid", type=Path, default=grid.RESULTS, help="a stored run of the grid")
    measure.add_options(parser, write="put the tables into the page of speed and the README")
    options = measure.parsed(parser, arguments)
    if options.stored:
        results = json.loads(options.stored.read_text("utf-8"))
        if options.write and (reasons := results["machine"]["held"]):
            raise SystemExit(
                f"bench.report expects a run of the processor's own kernels where it writes; got "
                f"{options.stored}, held down by {'; '.join(reasons)}."
            )
    else:
        results = run(options.quick, options.write)
        show(results)
        if options.write:
            measure.store(options.to, results)
    if options.write:
        write(options.page, markdown(results))
        write(options.page, page_markdown(), GRID_BEGIN, GRID_END)
        if options.grid.exists():
            write(options.page, steps_markdown(options.grid), STEPS_BEGIN, STEPS_END)
            draw(json.loads(options.grid.read_text("utf-8")), options.page.parent / PICTURE.name)
            write(options.readme, short_markdown(options.grid), GRID_BEGIN, GRID_END)
    elif options.stored:
        print(markdown(results))


if __name__ == "__main__":
    main()
