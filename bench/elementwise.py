"""Element-wise kernels in GB/s beside memory itself: ``python -m bench.elementwise``.

A backward is counted as two reads and one write, a forward as one of each, the bias sum as one
read.  Beside them stand the two passes over memory with two reads and one write that need no
code of the bench's own: ``np.add(b, c, out=a)``, out of place as STREAM's add and triad, and
``param -= lr * grad``, STREAM's triad in place (the rule sgd), which saves the
processor from fetching the array it is going to overwrite.  "triad" is the quicker of the two.
"""

import argparse

import numpy as np

from bench import cases, measure
from fastbp import _kernels

KB, MB = 2**10, 2**20
SIZES = (16 * KB, 64 * KB, 256 * KB, 1 * MB, 4 * MB, 16 * MB, 64 * MB)
QUICK_SIZES = (64 * KB, 256 * KB, 16 * MB)
#: Arrays moved by a kernel, in sizes of one.
MOVED = {
    "relu_forward": 2,
    "relu_backward": 3,
    "sigmoid_forward": 2,
    "sigmoid_backward": 3,
    "tanh_forward": 2,
    "tanh_backward": 3,
    "bias_sum": 1,
}
#: Kernels of `least`, and the size from which it counts.
JUDGED = ("relu_backward", "sigmoid_backward", "bias_sum")
FROM = 64 * KB
#: Columns of the bias sum: of one output layer, one hidden layer, one wide layer.
WIDTHS = (10, 64, 512)


def run(sizes=SIZES, **how):
    """Rows, one for each kernel, size of an array and dtype; `how` as for `alternate`."""
    sizes = sorted({*sizes, measure.l2_bytes()})
    return [row for dtype in cases.DTYPES for size in sizes for row in one_size(size, dtype, how)]


def one_size(size, dtype, how):
    """Rows of one size, everything timed in one run."""
    n = size // np.dtype(dtype).itemsize
    pairs = cases.elementwise_pairs(n, dtype)
    pairs = {name: pair for name, pair in pairs.items() if name in MOVED}
    for width in WIDTHS:
        pairs[f"bias_sum, {width} columns"] = cases.bias_sum_pair(n // width, width, dtype)
    calls = [call for ours, theirs, _ in pairs.values() for call in (ours, theirs)]
    copy, add, update, *times = measure.alternate(*memory_passes(n, dtype), *calls, **how)
    return [
        {
            "name": name,
            "bytes": size,
            "dtype": dtype,
            "fastbp": ours,
            "numpy": theirs,
            "copy": copy,
            "add": add,
            "update": update,
        }
        for name, ours, theirs in zip(pairs, times[::2], times[1::2], strict=True)
    ]


def memory_passes(n, dtype):
    """Copy, add out of place, triad in place, over arrays of n."""
    b, c = cases.normal((2, n), dtype)
    a, param = np.empty_like(b), b.copy()
    return (lambda: np.copyto(a, b), lambda: np.add(b, c, out=a), lambda: _kernels.update("sgd", param, c, lr=1e-9))


# --- what follows from a row ----------------------------------------------------------------


def arrays_moved(row):
    return MOVED[row["name"].partition(",")[0]]


def speed(row):
    """Of the kernel, in GB/s."""
    return touched(row) / row["fastbp"] / 1e9


def memory_speeds(row):
    """Of copy, add and update at the row's size, in GB/s."""
    moved = {"copy": 2, "add": 3, "update": 3}
    return {name: arrays * row["bytes"] / row[name] / 1e9 for name, arrays in moved.items()}


def share_of_triad(row):
    speeds = memory_speeds(row)
    return speed(row) / max(speeds["add"], speeds["update"])


def share_of_add(row):
    return speed(row) / memory_speeds(row)["add"]


def touched(row):
    """Bytes of all the arrays that the kernel reads and writes."""
    return arrays_moved(row) * row["bytes"]


def least(rows, l2_bytes):
    """The numbers that matter, each the least over rows: label -> {kernel: number}.

    Inside of the cache is judged twice, by the size of one array and by all that is touched.
    """
    l2 = measure.bytes_text(l2_bytes)
    inside = f"least ratio to NumPy from {measure.bytes_text(FROM)} to the L2 cache of {l2}"
    sections = {
        f"{inside}, of one array": (lambda r: FROM <= r["bytes"] <= l2_bytes, measure.ratio),
        f"{inside}, of all arrays": (lambda r: FROM <= touched(r) <= l2_bytes, measure.ratio),
        "least share of the triad beyond": (lambda r: touched(r) > l2_bytes, share_of_triad),
        "least share of the add beyond": (lambda r: touched(r) > l2_bytes, share_of_add),
    }
    return {
        label: {kernel: min(value(r) for r in rows if r["name"].startswith(kernel) and wanted(r)) for kernel in JUDGED}
        for label, (wanted, value) in sections.items()
    }


def show(rows, l2_bytes):
    """Print a table for each dtype and size, and the least of what matters."""
    for key in sorted({(row["dtype"], row["bytes"]) for row in rows}):
        of_key = [row for row in rows if (row["dtype"], row["bytes"]) == key]
        speeds = ", ".join(f"{k} {v:.1f}" for k, v in memory_speeds(of_key[0]).items())
        print(f"\n{key[0]}, arrays of {measure.bytes_text(key[1])}; GB/s of memory: {speeds}")
        header = ("kernel", "NumPy", "fastbp", "ratio", "GB/s", "of the triad", "of the add")
        measure.print_table(header, [cells(row) for row in of_key])
    print()
    for label, numbers in least(rows, l2_bytes).items():
        print(f"{label}: " + ", ".join(f"{name} {n:.2f}" for name, n in numbers.items()))


def cells(row):
    return (
        row["name"],
        measure.seconds_text(row["numpy"]),
        measure.seconds_text(row["fastbp"]),
        f"{measure.ratio(row):.2f}",
        f"{speed(row):.1f}",
        f"{share_of_triad(row):.0%}",
        f"{share_of_add(row):.0%}",
    )


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.elementwise", description=__doc__)
    measure.add_options(parser)
    quick = measure.parsed(parser).quick
    about = measure.ready()
    sizes = QUICK_SIZES if quick else SIZES
    show(run(sizes, **measure.repetitions(quick)), about["l2_bytes"])


if __name__ == "__main__":
    main()
