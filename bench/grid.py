"""A whole training step, or epoch, in fastbp and in its peers: ``python -m bench.grid [--epoch]``.

Fourteen networks, each trained by every library on the same batches from the same weights.  First
all have to compute the same loss and the same updated weights as NumPy in float64
(`bench.agreement`); then all are timed in turn, each in a process of its own (`bench.apart`), on
one core with one thread.  The time is that of a step as the user calls it, which `bench.peers`
shows, or as a part of an epoch as `bench.epochs` has it.
"""

import argparse
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from statistics import geometric_mean

import numpy as np

from bench import ROOT, agreement, apart, epochs, measure, peak, peers
from bench.tasks import ACTIVATIONS, NEWER, ODD, WORKLOADS, Task

RESULTS = ROOT / "bench" / "results" / "grid.json"
WORKLOADS = WORKLOADS | ODD
#: While timing, the weights hardly move: nothing saturates or turns subnormal on the way, so
#: that the first and the last step of every library do the same work.
TIMED_RATE = 1e-7
#: Operations of a step from which on fewer samples do: it takes a good part of a second.
LONG = 1e10
#: Operations of an epoch, about, and the most batches of one.
EPOCH, MOST = 2e9, 512


def run(sides, names=tuple(WORKLOADS), quick=False, whole=False, epoch=False, **how):
    """One row for each workload; `how` goes to `Task`.  A `whole` run is one of all peers."""
    rows = []
    for name in names:
        task = Task(*WORKLOADS[name], **how)
        if epoch:
            most = 64 if quick else MOST
            task = replace(task, batches=int(np.clip(EPOCH / task.flop, 2, most)))
        rows.append(one_workload(name, task, sides, quick, whole))
        show_row(rows[-1])
    return rows


def one_workload(name, task, sides, quick, whole=False):
    differences, skipped = agreement.checked(task, sides, whole)
    sides = {peer: side for peer, side in sides.items() if peer in differences}
    for side in sides.values():
        side.begin(replace(task, lr=TIMED_RATE))
    fma, flop, of = ceiling(task)
    steps = task.batches or 1
    repetitions = {"samples": 15 if steps * task.flop < LONG else 5, "seconds": 0.02}
    repetitions = measure.repetitions(quick) if quick else repetitions
    pause = 0.1 if task.threads > 1 else 0.0
    times = measure.alternate(*sides.values(), fma, pause=pause, **repetitions)
    seconds = {peer: time / steps for peer, time in zip(sides, times[:-1], strict=True)}
    return {
        "name": name,
        "batch": task.batch,
        "sizes": task.sizes,
        "flop": task.flop,
        "seconds": seconds,
        "differences": differences,
        "skipped": skipped,
        "peak": task.threads * flop / times[-1],
        "peak_of": of if task.threads == 1 else f"{task.threads} times {of}",
    }


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
    unlike = "-epoch" if how.get("epoch") else ""
    unlike += "".join(f"-{'threads' if k == 'threads' else ''}{how[k]}" for k in plain if how[k] != plain[k])
    return RESULTS.with_stem(f"grid{unlike}")


# --- what follows from a row ----------------------------------------------------------------


def best_peer(row):
    """Name of the quickest besides fastbp that computes as exactly; None where there is none."""
    others = {peer: time for peer, time in row["seconds"].items() if peer not in ("fastbp", *peers.LOWER)}
    return min(others, key=others.get, default=None)


def ratio(row):
    """The best peer's time over fastbp's: above 1 where fastbp is quicker."""
    return row["seconds"][best_peer(row)] / row["seconds"]["fastbp"]


def share_of_peak(row):
    return row["flop"] / row["seconds"]["fastbp"] / row["peak"]


def shape_text(row):
    runs = [(size, len(list(same))) for size, same in groupby(row["sizes"])]
    parts = [f"{n}x{size}" if n > 4 else "-".join([str(size)] * n) for size, n in runs]
    return f"{row['batch']}, {'-'.join(parts)}"


def named(name):
    """A workload with its shape."""
    batch, sizes = WORKLOADS[name]
    return f"{name}: {shape_text({'batch': batch, 'sizes': sizes})}"


def peers_of(rows):
    """The libraries that some row has, in the order of `PEERS`."""
    return [peer for peer in peers.PEERS if any(peer in row["seconds"] for row in rows)]


def described(options):
    """The options in words."""
    threads = "1 thread" if options["threads"] == 1 else f"{options['threads']} threads"
    optimizer = {"sgd": "SGD", "adam": "Adam"}[options["optimizer"]]
    activation = {"relu": "ReLU", "gelu": "GELU"}.get(options["activation"], options["activation"])
    return f"{options['dtype']}, {optimizer}, {activation}, {threads}"


def unit(options):
    """What is timed, in words."""
    return "a step of an epoch" if options.get("epoch") else "a training step"


def how_text(rows, options):
    """How the peers are used, in words."""
    how = epochs.HOW if options.get("epoch") else peers.HOW
    return "; ".join(f"{peer}: {how[peer]}" for peer in peers_of(rows) if peer in how)


def lowest_text(rows):
    """The ratios' geometric mean, and the lowest of them with the peer."""
    rows = sorted((row for row in rows if best_peer(row)), key=ratio)
    lowest = ", ".join(f"{row['name']} {ratio(row):.2f} ({best_peer(row)})" for row in rows[:3])
    text = f"ratio to the best peer: geometric mean {geometric_mean(map(ratio, rows)):.2f}"
    return "; ".join([text, f"lowest: {lowest}", *map(partial(lower_text, rows), lower(rows))])


def lower(rows):
    """The peers of fewer digits that some row has."""
    return [peer for peer in peers.LOWER if peer in peers_of(rows)]


def lower_text(rows, peer):
    """The lowest ratio to a peer that computes with fewer digits."""
    ratios = {row["name"]: row["seconds"][peer] / row["seconds"]["fastbp"] for row in rows if peer in row["seconds"]}
    name = min(ratios, key=ratios.get)
    return f"to {peer}, lowest: {name} {ratios[name]:.2f}"


def header(rows):
    return ["workload", "batch, sizes", *peers_of(rows), "best peer", "ratio", "GFLOP/s", "of the peak"]


def cells(row, columns):
    """A line of the table; nothing where a library does not take part."""
    times = [measure.seconds_text(row["seconds"][p]) if p in row["seconds"] else "" for p in columns]
    ours = row["seconds"].get("fastbp")
    best = best_peer(row)
    return [
        row["name"],
        shape_text(row),
        *times,
        best or "",
        f"{ratio(row):.2f}" if ours and best else "",
        f"{row['flop'] / ours / 1e9:.1f}" if ours else "",
        f"{share_of_peak(row):.0%}" if ours else "",
    ]


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
    rows, options = results["rows"], results["options"]
    print(f"{measure.described(results['machine'])}\n\n{unit(options)}, {described(options)}")
    measure.print_table(header(rows), [cells(row, peers_of(rows)) for row in rows])
    largest = {p: max(r["differences"].get(p, 0) for r in rows) for p in peers_of(rows)}
    if any(map(best_peer, rows)):
        print(lowest_text(rows))
    print(peak_text(rows))
    print(how_text(rows, options))
    print(
        "largest difference of an update from NumPy's in float64: "
        + ", ".join(f"{p} {d:.0e}" for p, d in largest.items())
    )
    for peer, optimizer in peers.OWN_NUMBERS:
        if peer in largest and optimizer == options["optimizer"]:
            print(f"{peer} is timed, but not held to it: its {optimizer} has numbers of its own")


# --- the command line -----------------------------------------------------------------------


def names_of(known):
    """A type of argparse: some of the names, with commas between them."""

    def parse(text):
        given = text.split(",")
        lower = {name.lower(): name for name in known}
        if unknown := [name for name in given if name.lower() not in lower]:
            raise argparse.ArgumentTypeError(f"expects some of {', '.join(known)}; got {', '.join(unknown)}")
        return [lower[name.lower()] for name in given]

    return parse


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="python -m bench.grid", description=__doc__)
    parser.add_argument("--epoch", action="store_true", help="of a step, as a part of an epoch")
    parser.add_argument("--threads", type=int, default=1, help="of every library")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--optimizer", choices=tuple(agreement.CHECKED_RATES), default="sgd")
    parser.add_argument("--activation", choices=ACTIVATIONS + NEWER, default="relu")
    parser.add_argument("--workloads", type=names_of(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--peers", type=names_of(peers.PEERS), help="libraries beside fastbp")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to store a trial")
    measure.add_options(parser, write=f"store it in {RESULTS.parent.name}, for the tables")
    options = measure.parsed(parser, arguments)
    if options.write and (options.peers or options.workloads != list(WORKLOADS)):
        parser.error("--write expects all workloads and peers; got some.")
    options.peers = options.peers or list(epochs.EPOCHS if options.epoch else peers.PEERS)
    return options


def main(arguments=None):
    options = options_of(arguments)
    about = measure.ready(threads=options.threads, write=options.write)
    how = {k: getattr(options, k) for k in ("dtype", "activation", "optimizer", "threads")}
    how |= {"epoch": True} if options.epoch else {}
    with apart.sides(dict.fromkeys(["fastbp", *options.peers])) as sides:
        rows = run(sides, options.workloads, options.quick, options.write, **how)
        about = apart.described(sides, about)
    results = {"machine": about, "options": how, "rows": rows, "apart": True}
    show(results)
    if options.json:
        options.json.write_text(measure.json_text(results), "utf-8")
        print(f"stored in {options.json}")
    if options.write:
        measure.store(file_of(how), results)


if __name__ == "__main__":
    main()
