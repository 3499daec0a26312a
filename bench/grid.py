"""A whole training step in fastbp and in its peers: ``python -m bench.grid``.

Eight networks, each trained by every library on the same batch from the same weights, softmax
cross-entropy.  First all have to compute the same loss and the same updated weights as NumPy in
float64; then all are timed in turn, in one process on one core with one thread each.  The time
is that of a step as the user calls it; `bench.peers` shows these steps.
"""

import argparse
import importlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench import ROOT, measure, peak
from bench.peers import OWN_NUMBERS, PACKAGES, PEERS, CannotExpress, NotCompiled, Task

RESULTS = ROOT / "bench" / "results" / "grid.json"
#: name: (batch, sizes of the layers)
WORKLOADS = {
    "iris": (112, (4, 10, 10, 3)),
    "online": (1, (8, 64, 64, 4)),
    "rl": (32, (8, 64, 64, 4)),
    "dlfs": (100, (784, 50, 10)),
    "mnist512": (128, (784, 512, 256, 10)),
    "tab": (512, (100, 256, 256, 2)),
    "wide1024": (256, (1024, 1024, 1024, 1024, 10)),
    "wide2048": (1024, (2048, 2048, 2048, 10)),
}
#: Of the loss, and of `difference`.
TOLERANCES = {
    ("float32", "sgd"): 1e-4, ("float32", "adam"): 2e-2,
    ("float64", "sgd"): 1e-9, ("float64", "adam"): 1e-9,
}  # fmt: skip
#: Small, as a sum that rounds across a ReLU's kink alters one sample's share of the gradient.
CHECKED_RATES = {"sgd": 0.01, "adam": 0.001}
#: While timing, the weights hardly move: nothing saturates or turns subnormal on the way, so
#: that the first and the last step of every library do the same work.
TIMED_RATE = 1e-7
#: Operations of a step from which on fewer samples do: it takes a good part of a second.
LONG = 1e10


def run(names=tuple(WORKLOADS), peers=tuple(PEERS), quick=False, whole=False, **how):
    """One row for each workload; `how` goes to `Task`.  A `whole` run is one of all peers."""
    rows = []
    for name in names:
        batch, sizes = WORKLOADS[name]
        rows.append(one_workload(name, Task(batch, sizes, **how), peers, quick, whole))
        show_row(rows[-1])
    return rows


def one_workload(name, task, peers, quick, whole=False):
    differences, skipped = checked(task, peers, whole)
    steps = {
        peer: PEERS[peer](replace(task, lr=TIMED_RATE))[0] for peer in peers if peer in differences
    }
    measure.pin(task.threads)  # again: now the libraries are there
    fma, flop, of = ceiling(task)
    repetitions = {"samples": 15 if task.flop < LONG else 5, "seconds": 0.02}
    repetitions = measure.repetitions(quick) if quick else repetitions
    pause = 0.1 if task.threads > 1 else 0.0
    times = measure.alternate(*steps.values(), fma, pause=pause, **repetitions)
    seconds = dict(zip(steps, times[:-1], strict=True))
    return {
        "name": name, "batch": task.batch, "sizes": task.sizes, "flop": task.flop,
        "seconds": seconds, "differences": differences, "skipped": skipped,
        "peak": task.threads * flop / times[-1],
        "peak_of": of if task.threads == 1 else f"{task.threads} times {of}",
    }  # fmt: skip


def checked(task, peers, whole=False):
    """Each library's difference from NumPy in float64 after one step, and who is left out.

    Raises
    ------
    ArithmeticError
        Where a library computes something else.
    SystemExit
        Where one is not installed or does not compile, of a `whole` run.
    """
    lr = CHECKED_RATES[task.optimizer]
    exact = Task(task.batch, task.sizes, "float64", task.activation, task.optimizer, lr)
    exact.x, exact.params = task.x.astype("f8"), [p.astype("f8") for p in task.params]
    step, weights = PEERS["NumPy"](exact)
    loss, expected = step(), weights()
    differences, skipped = {}, {}
    for peer in peers:
        try:
            step, weights = PEERS[peer](replace(task, lr=lr))
        except (ImportError, CannotExpress) as error:
            absent = isinstance(error, ImportError)
            skipped[peer] = f"{error.name} is not installed" if absent else str(error)
            if whole and (absent or isinstance(error, NotCompiled)):
                raise SystemExit(
                    f"bench.grid expects every library where it writes; got none of {peer}: "
                    f"{skipped[peer]}."
                ) from None
            continue
        got = step()
        got = got.item() if hasattr(got, "item") else got  # a tensor of 0 dimensions
        loss_difference = abs(got - loss) / abs(loss)
        differences[peer] = max(loss_difference, difference(task, weights(), expected))
        bound = tolerance(task)
        if (peer, task.optimizer) not in OWN_NUMBERS and not differences[peer] <= bound:
            raise ArithmeticError(
                f"bench.grid expects {peer} to agree with NumPy in float64 to {bound:g} after one "
                f"step; got a difference of {differences[peer]:.2g}."
            )
    return differences, skipped


def difference(task, got, expected):
    """The largest difference of a weight, as a share of the largest weight.

    Adam's first step is nearly the gradient's sign times the rate, so that rounding decides it
    where a gradient is about 0: in float32 it is the root mean square of the difference, as a
    share of that of the update.
    """
    apart = [a - b for a, b in zip(got, expected, strict=True)]
    if (task.dtype, task.optimizer) == ("float32", "adam"):
        update = [a - b for a, b in zip(task.params, expected, strict=True)]
        return float(np.sqrt(sum_of_squares(apart) / sum_of_squares(update)))
    return float(max(np.abs(a).max() for a in apart) / max(np.abs(b).max() for b in expected))


def sum_of_squares(arrays):
    return sum(np.square(a).sum() for a in arrays)


def tolerance(task):
    return TOLERANCES[task.dtype, task.optimizer]


def ceiling(task):
    """What a core can do at most: a call to time, its operations, and what it is."""
    if fma := peak.loop(task.dtype):
        turns = 10_000
        return (lambda: fma(turns)), fma(turns), "FMA loop in registers"
    a, b, c = np.ones((3, 1024, 1024), task.dtype)
    of = "no compiler for an FMA loop, so NumPy's product of 1024 x 1024"
    return (lambda: np.matmul(a, b, out=c)), 2 * 1024**3, of


def file_of(how):
    """Where a run of these options is stored: what is unlike the README's run names it."""
    plain = {"optimizer": "sgd", "dtype": "float32", "activation": "relu", "threads": 1}
    unlike = "".join(f"-{'threads' if k == 'threads' else ''}{how[k]}" for k in plain
                     if how[k] != plain[k])  # fmt: skip
    return RESULTS.with_stem(f"grid{unlike}")


# --- what follows from a row ----------------------------------------------------------------


def best_peer(row):
    """Name of the quickest besides fastbp; None where there is none."""
    others = {peer: time for peer, time in row["seconds"].items() if peer != "fastbp"}
    return min(others, key=others.get, default=None)


def ratio(row):
    """The best peer's time over fastbp's: above 1 where fastbp is quicker."""
    return row["seconds"][best_peer(row)] / row["seconds"]["fastbp"]


def share_of_peak(row):
    return row["flop"] / row["seconds"]["fastbp"] / row["peak"]


def shape_text(row):
    return f"{row['batch']}, {'-'.join(map(str, row['sizes']))}"


def peers_of(rows):
    """The libraries that some row has, in the order of `PEERS`."""
    return [peer for peer in PEERS if any(peer in row["seconds"] for row in rows)]


def described(options):
    """The options in words."""
    threads = "1 thread" if options["threads"] == 1 else f"{options['threads']} threads"
    optimizer = {"sgd": "SGD", "adam": "Adam"}[options["optimizer"]]
    activation = {"relu": "ReLU", "sigmoid": "sigmoid"}[options["activation"]]
    return f"{options['dtype']}, {optimizer}, {activation}, {threads}"


def header(rows):
    return ["workload", "batch, sizes", *peers_of(rows), "best peer", "ratio", "GFLOP/s",
            "of the peak"]  # fmt: skip


def cells(row, peers):
    """A line of the table; nothing where a library does not take part."""
    times = [measure.seconds_text(row["seconds"][p]) if p in row["seconds"] else "" for p in peers]
    ours = row["seconds"].get("fastbp")
    best = best_peer(row)
    return [
        row["name"], shape_text(row), *times, best or "",
        f"{ratio(row):.2f}" if ours and best else "",
        f"{row['flop'] / ours / 1e9:.1f}" if ours else "",
        f"{share_of_peak(row):.0%}" if ours else "",
    ]  # fmt: skip


def peak_text(rows):
    """The peak in words, of all rows."""
    peaks = [row["peak"] / 1e9 for row in rows]
    whose = " and ".join(dict.fromkeys(row["peak_of"] for row in rows))
    return f"peak ({whose}): {min(peaks):.0f} to {max(peaks):.0f} GFLOP/s"


def show_row(row):
    """One line as soon as it is known: a run takes minutes."""
    times = ", ".join(f"{p} {measure.seconds_text(s)}" for p, s in row["seconds"].items())
    print(f"{row['name']}: {times}", flush=True)
    for peer, why in row["skipped"].items():
        print(f"  without {peer}: {why}")


def show(results):
    rows = results["rows"]
    print(f"\none step, {described(results['options'])}")
    measure.print_table(header(rows), [cells(row, peers_of(rows)) for row in rows])
    largest = {p: max(r["differences"].get(p, 0) for r in rows) for p in peers_of(rows)}
    print(peak_text(rows))
    print("largest difference from NumPy in float64 after one step: "
          + ", ".join(f"{p} {d:.0e}" for p, d in largest.items()))  # fmt: skip
    for peer, optimizer in OWN_NUMBERS:
        if peer in largest and optimizer == results["options"]["optimizer"]:
            print(f"{peer} is timed, but not held to it: its {optimizer} has numbers of its own")


def machine(threads, peers, write):
    """What `measure.ready` says, of the peers too."""
    for package in {PACKAGES[peer] for peer in peers if peer in PACKAGES}:
        with suppress(ImportError):
            importlib.import_module(package)
    return measure.ready(threads=threads, write=write)


# --- the command line -----------------------------------------------------------------------


def names_of(known):
    """A type of argparse: some of the names, with commas between them."""

    def parse(text):
        given = text.split(",")
        lower = {name.lower(): name for name in known}
        if unknown := [name for name in given if name.lower() not in lower]:
            raise argparse.ArgumentTypeError(
                f"expects some of {', '.join(known)}; got {', '.join(unknown)}"
            )
        return [lower[name.lower()] for name in given]

    return parse


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.grid", description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="of every library")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--optimizer", choices=tuple(CHECKED_RATES), default="sgd")
    parser.add_argument("--activation", choices=("relu", "sigmoid"), default="relu")
    parser.add_argument("--workloads", type=names_of(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--peers", type=names_of(PEERS), default=list(PEERS),
                        help="libraries beside fastbp")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to store a trial")
    measure.add_options(parser, write=f"store it in {RESULTS.parent.name}, for the tables")
    options = measure.parsed(parser, arguments)
    if options.write and (options.workloads, options.peers) != (list(WORKLOADS), list(PEERS)):
        parser.error("--write expects all workloads and peers; got some.")
    about = machine(options.threads, options.peers, options.write)
    how = {k: getattr(options, k) for k in ("dtype", "activation", "optimizer", "threads")}
    peers = list(dict.fromkeys(["fastbp", *options.peers]))
    rows = run(options.workloads, peers, options.quick, options.write, **how)
    results = {"machine": about, "options": how, "rows": rows}
    show(results)
    if options.json:
        options.json.write_text(measure.json_text(results), "utf-8")
        print(f"stored in {options.json}")
    if options.write:
        measure.store(file_of(how), results)


if __name__ == "__main__":
    main()
