"""Training on several ranks, and the model of its cost: ``python -m bench.ranks``.

It starts ``mpiexec -n 2`` of itself; on a cluster the scheduler starts it, as ``srun python -m
bench.ranks``, one rank a node or a core.  Each rank has a core of its own and one thread.  What is
told: a step split into what is computed, exchanged and updated, beside MPI's own Allreduce of as
many bytes; efficiency and speed-up; PyTorch's DistributedDataParallel on the same rows; what `comm`
costs where there is one rank; and the model, whose two numbers of the network are measured too.

The model: a step of r rows on each of P ranks takes ``fixed + r * per_row + exchange(bytes, P)``.
The first two are fitted to steps that each rank makes by itself, the update among them.  The
exchange is the quicker of recursive doubling, ``log2(P) * (latency + bytes / bandwidth)``, and of a
reduce-scatter with an allgather behind it, ``2 * log2(P) * latency + 2 * (1 - 1 / P) * bytes /
bandwidth``, between which MPICH chooses by the bytes (Thakur, Rabenseifner and Gropp, Optimization of
Collective Communication Operations in MPICH, 2005); a ring has the second's bytes and ``2 * (P - 1)``
latencies.
"""

import argparse
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import traceback
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from timeit import Timer

import numpy as np

from bench import ROOT, grid, measure, peers, report
from bench.tasks import WORKLOADS, Task
from fastbp import Trainer
from fastbp.communicators import communicator_of

RESULTS = ROOT / "bench" / "results" / "ranks.json"
PAGE = ROOT / "docs" / "many-machines.md"
MARKS = "<!-- ranks:begin -->", "<!-- ranks:end -->"
#: What a launcher of MPI tells each process.
LAUNCHED = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")
#: Rows per rank, of which the first make the split; with it all ranks take as many in another row.
ROWS = {"dlfs": (100, 1024), "mnist512": (128, 1024)}
#: Those of the model, each at two numbers of rows.
MODELLED = ("dlfs", "mnist512", "wide1024")
#: (comparison, workload, rows): what it has to be with two ranks of a machine, each on an idle core.
BOUNDS = {
    ("efficiency", "dlfs", 100): 0.62,
    ("efficiency", "dlfs", 1024): 0.90,
    ("efficiency", "mnist512", 128): 0.78,
    ("efficiency", "mnist512", 1024): 0.92,
    ("speed-up", "mnist512", 128): 1.3,
    ("gloo", "dlfs", 100): 1.5,
    ("gloo", "mnist512", 128): 1.5,
    ("MPI", "dlfs", 100): 10.0,
    ("MPI", "mnist512", 128): 4.0,
}
#: A training of one rank with `comm` over one without, at most, from steps of so many seconds on.
ONE_RANK, OF_STEPS = 1.02, 50e-6
#: An exchange over MPI's own of as many bytes, at most: a share and seconds.
EXCHANGE = 1.05, 3e-6
#: Seconds that a rank waits for the others in PyTorch.
PATIENCE = timedelta(seconds=60)
#: Bytes by which a network is measured: the first for the latency, the others for the bandwidth.
SIZES = (8, 2**17, 2**19, 2**21, 2**23)
#: Networks as they are sold, at 95 % of their rate: latency in seconds, bytes in a second.
NETWORKS = {
    "10 GbE": (30e-6, 1.19e9),
    "25 GbE": (20e-6, 2.97e9),
    "100 GbE": (10e-6, 11.9e9),
    "InfiniBand, 200 Gbit/s": (2e-6, 23.8e9),
}
#: A load average from which on other work is told of.
BUSY = 0.5
#: The cores of a node which the model takes for one rank with as many threads.
NODE = 16
MANY = 64


# --- the ranks --------------------------------------------------------------------------------


def start(arguments, ranks):
    """This bench on so many ranks of this machine; its exit status."""
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = shutil.which("mpiexec") or (str(beside) if beside.exists() else None)
    try:
        import mpi4py  # noqa: F401
    except ImportError:
        mpiexec = None
    if mpiexec is None:
        raise SystemExit("bench.ranks expects mpi4py and an MPI: pip install '.[mpi]' mpich; got none.")
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "bench.ranks", *arguments]
    path = os.pathsep.join(filter(None, [str(measure.folder().parent), str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}).returncode


def core_of(comm, node):
    """A core for this rank alone: its own where the launcher has bound it, else one of the node's."""
    cores = node.allgather(sorted(os.sched_getaffinity(0)))
    every = sorted({core for own in cores for core in own})
    if len(every) < node.size:
        raise RuntimeError(f"bench.ranks expects a core for each of a node's {node.size} ranks; got {len(every)}.")
    bound = sum(map(len, cores)) == len(every)
    return cores[node.rank][0] if bound else every[node.rank]


class Together:
    """A call that all ranks make at once, or the first one alone; the slowest one's time.

    All ranks hear the same seconds, so `measure.alternate` goes the same way on each.
    """

    def __init__(self, comm, call, alone=False):
        self.comm, self.call = comm, None if alone and comm.rank else call

    def timeit(self, count):
        from mpi4py import MPI

        self.comm.Barrier()
        seconds = 0.0 if self.call is None else Timer(self.call).timeit(count)
        return self.comm.allreduce(seconds, MPI.MAX)


class Counting:
    """A communicator that notes when each exchange begins and ends."""

    def __init__(self, comm):
        self._inner = inner = communicator_of("bench.ranks", comm)
        self.rank, self.size, self.broadcast = inner.rank, inner.size, inner.broadcast
        self.allreduce, self.reserve = inner.allreduce, inner.reserve
        self.last, self.nbytes = (0.0, 0.0), 0

    def compiled(self, buffer):
        begin = perf_counter()
        self._inner.compiled(buffer)
        self.last, self.nbytes = (begin, perf_counter()), buffer.nbytes


# --- what is timed ----------------------------------------------------------------------------


def task_of(name, rows):
    return replace(Task(*WORKLOADS[name]), batch=rows, lr=grid.TIMED_RATE)


def part_of(comm, task):
    """This rank's rows of a task's."""
    begin, end = (len(task.x) * r // comm.size for r in (comm.rank, comm.rank + 1))
    return task.x[begin:end].copy(), task.t[begin:end].copy()


def stepping(task, x, t, comm=None):
    """A step on some rows, and the network that it trains."""
    net, optimizer = peers.network_of_fastbp(task)
    trainer = Trainer(net, optimizer, len(x), n_threads=1, seed=0, comm=comm)
    return lambda: trainer.step(x, t), net


def ours(task, comm, through=None):
    """A step of all ranks on a task's rows, through a communicator of their own."""
    return stepping(task, *part_of(comm, task), through or comm)[0]


def alone(task):
    return stepping(task, task.x, task.t)[0]


def of_ddp(task, comm, group):
    """The same step in PyTorch."""
    import torch

    model, _, loss_of, _, _, _ = peers.torch_model(task)
    model = torch.nn.parallel.DistributedDataParallel(
        model, process_group=group, gradient_as_bucket_view=True, static_graph=True
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=task.lr)
    x, t = map(torch.from_numpy, part_of(comm, task))

    def step():
        optimizer.zero_grad()
        loss = loss_of(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step, lambda: [p.detach().numpy().T for p in model.parameters()]


def require_alike(task, comm, groups):
    """Refuse sides whose first update is not that of one rank with all rows."""
    task = replace(task, lr=0.1)
    step, net = stepping(task, task.x, task.t)
    step()
    expected = list(net.params.values())
    found = {}
    for name, through in groups.items():
        step, net = stepping(task, *part_of(comm, task), through)
        step()
        found[f"fastbp with {name}"] = list(net.params.values())
    step, weights = of_ddp(task, comm, groups["gloo"])
    step()
    found["PyTorch"] = weights()
    for side, arrays in found.items():
        for array, right, first in zip(arrays, expected, task.params, strict=True):
            error = np.abs(array - right).max()
            if error > 1e-3 * np.abs(right - first).max() + 1e-6 * np.abs(first).max():
                raise ArithmeticError(
                    f"bench.ranks expects {side} to make one rank's update; got a difference of {error:.1e}."
                )


def split(comm, name, rows, **how):
    """A step of all ranks by its parts, and MPI's own Allreduce of as many bytes.

    A rank that comes early waits, so an exchange takes what it takes the last one, who waits for
    nobody; the others' waiting is told apart.  MPI's own is called behind a step of each rank alone,
    and over numbers that were just written, so that it finds the caches as an exchange does.
    """
    from mpi4py import MPI

    counting, seen, bare = Counting(comm), [], []
    alone_step = alone(task_of(name, rows))
    step = ours(task_of(name, rows * comm.size), comm, counting)

    def counted():
        begin = perf_counter()
        step()
        seen.append((begin, *counting.last, perf_counter()))

    counted()
    buffer = np.zeros(counting.nbytes, np.uint8).view(np.float32)

    def reduced():
        alone_step()
        buffer.fill(1)
        begin = perf_counter()
        comm.Allreduce(MPI.IN_PLACE, buffer)
        bare.append(perf_counter() - begin)

    whole, _ = measure.alternate(Together(comm, counted), Together(comm, reduced), **how)
    parts = np.diff(np.array(comm.allgather(seen)), axis=2)  # (ranks, steps, 3)
    computed, exchanged, updated = np.moveaxis(parts, 2, 0)
    last = exchanged.min(axis=0)
    return {
        "name": name,
        "rows": rows,
        "bytes": counting.nbytes,
        "step": whole,
        "compute": float(np.median(computed, axis=1).max()),
        "exchange": float(np.median(last)),
        "waiting": float(np.median(exchanged.mean(axis=0) - last)),
        "update": float(np.median(updated, axis=1).max()),
        "allreduce": float(np.median(np.array(comm.allgather(bare)).min(axis=0))),
    }


def scaling(comm, name, rows, kind, **how):
    """All ranks beside one: with `rows` on each of them ("efficiency"), or in all ("speed-up").

    For an efficiency they also make steps of their own at once: what is lost by those is lost to the
    memory that they share, whatever they exchange.
    """
    task, own = task_of(name, rows * comm.size if kind == "efficiency" else rows), alone(task_of(name, rows))
    sides = [Together(comm, own, alone=True), Together(comm, ours(task, comm))]
    if kind == "efficiency":
        sides.append(Together(comm, own))
    one, all_ranks, *apart = measure.alternate(*sides, **how)
    return {"kind": kind, "name": name, "rows": rows, "one": one, "ranks": all_ranks, "apart": apart}


def beside(comm, name, rows, group, **how):
    """PyTorch's data-parallel step, and this one's through gloo and through MPI."""
    task = task_of(name, rows * comm.size)
    require_alike(task, comm, {"MPI": comm, "gloo": group})
    theirs, _ = of_ddp(task, comm, group)
    sides = {"MPI": ours(task, comm), "gloo": ours(task, comm, group), "PyTorch": theirs}
    sides = {side: Together(comm, call) for side, call in sides.items()}
    return {"name": name, "rows": rows, "seconds": measure.timed(sides, **how)}


def one_rank(comm, name, quick, **how):
    """An epoch of `fit` on one rank with `comm`, over one without; the other ranks wait."""
    from mpi4py import MPI

    task = Task(*grid.WORKLOADS[name])
    batches = int(np.clip(grid.EPOCH / task.flop, 2, 8 if quick else grid.MOST))
    task = replace(task, batches=batches, lr=grid.TIMED_RATE)

    def epoch(**more):
        net, optimizer = peers.network_of_fastbp(task)
        options = {"epochs": 1, "batch_size": task.batch, "optimizer": optimizer, "seed": 0, "n_threads": 1}
        return Together(comm, lambda: net.fit(task.x, task.t, **options, **more), alone=True)

    if task.flop > grid.LONG:
        how["samples"] = min(how["samples"], 5)
    with_comm, without = measure.alternate(epoch(comm=MPI.COMM_SELF), epoch(), **how)
    return {"name": name, "step": without / batches, "with": with_comm, "without": without}


# --- the model --------------------------------------------------------------------------------


def exchange(nbytes, ranks, latency, bandwidth):
    """Seconds of an allreduce of so many bytes over so many ranks."""
    rounds = math.log2(ranks)
    doubling = rounds * (latency + nbytes / bandwidth)
    scattered = 2 * rounds * latency + 2 * (1 - 1 / ranks) * nbytes / bandwidth
    return min(doubling, scattered)


def network_of(seconds, ranks):
    """(latency, bandwidth) of a network, from the seconds of an Allreduce by its bytes.

    The fewest bytes have the latency alone; a bandwidth is the one with which `exchange` takes as
    long as was measured, the median of those of the others.
    """
    smallest, *others = sorted(seconds)
    rounds = math.log2(ranks)
    latency = seconds[smallest] / rounds

    def bandwidth(nbytes):
        left = max(seconds[nbytes] - latency * rounds, 1e-9)
        scattered = max(seconds[nbytes] - 2 * latency * rounds, 1e-9)
        # By the lower rate one way takes what was measured, and the other one longer.
        return min(rounds * nbytes / left, 2 * (1 - 1 / ranks) * nbytes / scattered)

    return latency, median(map(bandwidth, others))


def network(comm, **how):
    """The two numbers of the network between these ranks."""
    seconds = {}
    for n in SIZES:  # apart from each other: `alternate` takes few samples of what takes far longer than another
        buffer, through = np.zeros(n // 4, np.float32), communicator_of("bench.ranks", comm)
        through.reserve(n)
        (seconds[n],) = measure.alternate(Together(comm, partial(through.compiled, buffer)), **how)
    latency, bandwidth = network_of(seconds, comm.size)
    return {"latency": latency, "bandwidth": bandwidth, "seconds": {str(n): s for n, s in seconds.items()}}


def costs(comm, name, **how):
    """What of a network's step its rows cost, and what does not depend on them.

    All ranks compute at once, each by itself: those of a machine share its memory.
    """
    few, many = ROWS.get(name, (128, 512))
    sides = [Together(comm, alone(task_of(name, rows))) for rows in (few, many)]
    times = [measure.alternate(side, **how)[0] for side in sides]
    per_row = (times[1] - times[0]) / (many - few)
    counting = Counting(comm)
    task = task_of(name, comm.size)
    ours(task, comm, counting)()
    return {"fixed": max(times[0] - few * per_row, 0.0), "per_row": per_row, "bytes": counting.nbytes}


def step_of(cost, rows, ranks, between, cores=1):
    """Seconds of a step of so many rows on each rank, by the model."""
    computed = (cost["fixed"] + rows * cost["per_row"]) / cores
    return computed + exchange(cost["bytes"], ranks, *between)


def efficiency(cost, rows, ranks, between, cores=1):
    """One rank's step over that of several with as many rows each."""
    return (cost["fixed"] + rows * cost["per_row"]) / cores / step_of(cost, rows, ranks, between, cores)


def rows_for(cost, share, ranks, between, cores=1):
    """Rows per rank from which on the efficiency is `share` at least."""
    computed = exchange(cost["bytes"], ranks, *between) * share / (1 - share) * cores
    return max(1, math.ceil((computed - cost["fixed"]) / cost["per_row"]))


# --- what follows -----------------------------------------------------------------------------


def verdicts(results):
    """(comparison, what was found, the bound in words, whether it holds) of each."""
    two = results["ranks"] == 2 and results["nodes"] == 1
    for row in results["split"]:
        share, more = EXCHANGE
        most = share * row["allreduce"] + more
        yield (
            f"{row['name']}, {row['rows']} rows a rank: the exchange",
            measure.seconds_text(row["exchange"]),
            f"at most {measure.seconds_text(most)}",
            row["exchange"] <= most,
        )
    for row in results["scaling"]:
        where = "a rank" if row["kind"] == "efficiency" else "in all"
        ratio = row["one"] / row["ranks"]
        yield f"{row['name']}, {row['rows']} rows {where}: {row['kind']}", *_least(ratio, row, row["kind"], two)
        for seconds in row.get("apart", ()):
            label = f"{row['name']}, {row['rows']} rows {where}: efficiency of ranks that exchange nothing"
            yield label, f"{row['one'] / seconds:.2f}", "", True
    for row in results["beside"]:
        for side in ("gloo", "MPI"):
            ratio = row["seconds"]["PyTorch"] / row["seconds"][side]
            label = f"{row['name']}, {row['rows']} rows a rank: PyTorch's time over fastbp's with {side}"
            yield label, *_least(ratio, row, side, two)
    for row in results["one"]:
        ratio = row["with"] / row["without"]
        bound = row["step"] >= OF_STEPS
        yield (
            f"{row['name']}: `fit` with `comm` of one rank over `fit` without",
            f"{ratio:.3f}",
            f"at most {ONE_RANK}" if bound else "",
            not bound or ratio <= ONE_RANK,
        )


def _least(ratio, row, comparison, two):
    least = BOUNDS.get((comparison, row["name"], row["rows"])) if two else None
    return f"{ratio:.2f}", f"at least {least}" if least else "", least is None or ratio >= least


def verdict_rows(results):
    return [
        [what, found, bound, ("holds" if holds else "does not hold") if bound else ""]
        for what, found, bound, holds in verdicts(results)
    ]


def split_table(results):
    header = ["model, rows a rank", "step", "compute", "exchange", "waiting", "update", "bytes", "Allreduce alone"]
    parts = ("step", "compute", "exchange", "waiting", "update")
    return header, [
        [
            f"{row['name']}, {row['rows']}",
            *(measure.seconds_text(row[part]) for part in parts),
            f"{row['bytes'] / 1000:,.0f} kB",
            measure.seconds_text(row["allreduce"]),
        ]
        for row in results["split"]
    ]


def between_of(results):
    return results["network"]["latency"], results["network"]["bandwidth"]


def predicted_table(results):
    """The model beside what was measured on these ranks."""
    header = ["model, rows a rank", "measured", "predicted", "predicted over measured"]
    body = []
    for row in results["scaling"]:
        if row["kind"] == "efficiency" and row["name"] in results["costs"]:
            model = step_of(results["costs"][row["name"]], row["rows"], results["ranks"], between_of(results))
            seconds = [measure.seconds_text(s) for s in (row["ranks"], model)]
            body.append([f"{row['name']}, {row['rows']}", *seconds, f"{model / row['ranks']:.2f}"])
    return header, body


def networks_of(results):
    return {"between these ranks": between_of(results), **NETWORKS}


def rows_table(results):
    """Rows per rank for 80 % at 64 ranks: a core is a rank, or a node of several with threads."""
    header = ["network", *(f"{name}: a core / a node" for name in results["costs"])]
    return header, [
        [label, *(_both(cost, between) for cost in results["costs"].values())]
        for label, between in networks_of(results).items()
    ]


def _both(cost, between):
    return " / ".join(f"{rows_for(cost, 0.8, MANY, between, cores):,}" for cores in (1, NODE))


def efficiency_table(results):
    """A line for each model and its rows, a column for each network."""
    header = ["model, rows a rank", *networks_of(results)]
    body = []
    for name, cost in results["costs"].items():
        for rows in (32, 128, 512, 2048, 8192):
            shares = [efficiency(cost, rows, MANY, between) for between in networks_of(results).values()]
            body.append([f"{name}, {rows}", *(f"{share:.2f}" for share in shares)])
    return header, body


def sections(results, bounds=True):
    """(heading, table) of each; with the bounds that a developer wants to see kept."""
    latency, bandwidth = between_of(results)
    yield "A step by its parts, and MPI's own Allreduce of as many bytes:", split_table(results)
    if bounds:
        yield "What was to be reached:", (["", "found", "bound", ""], verdict_rows(results))
    else:
        yield "Comparisons:", (["", "found"], [row[:2] for row in verdict_rows(results)])
    yield (
        f"The network between these ranks: latency {measure.seconds_text(latency)}, {bandwidth / 1e9:.2f} GB/s. "
        "A step as the cost model predicts it, beside the measured one:",
        predicted_table(results),
    )
    assumed = "; ".join(f"{name} {1e6 * lat:g} µs, {rate / 1e9:g} GB/s" for name, (lat, rate) in NETWORKS.items())
    yield (
        f"Rows per rank from which on {MANY} ranks have an efficiency of 80 %, by the cost model. A rank is one of "
        f"these cores, or a node of {NODE} of them with threads that lose nothing. Assumed: {assumed}.",
        rows_table(results),
    )
    yield f"Efficiency of {MANY} ranks, each one of these cores, by the cost model:", efficiency_table(results)


def about_text(results):
    load = results["load"]
    busy = f" OTHER WORK RAN MEANWHILE: a load average of {load:.1f} at the start." if load > BUSY else ""
    torch = " PyTorch: DistributedDataParallel on gloo, gradients as views of its bucket, a static graph."
    torch = torch if results["beside"] else ""
    nodes = "on one machine" if results["nodes"] == 1 else f"on {results['nodes']} machines"
    return (
        f"{results['ranks']} ranks, each on a core of its own with one thread, {nodes}, float32, SGD, ReLU, medians in "
        f"turn. Measured on {measure.described(results['machine'])}; {results['mpi']}.{torch}{busy}"
    )


def markdown(results):
    parts = [about_text(results)]
    shapes = ", ".join(f"{name} is {'-'.join(map(str, WORKLOADS[name][1]))}" for name in results["costs"])
    parts.append(f"{report.capitalized(shapes)}.")
    for heading, found in sections(results, bounds=False):
        parts += [heading, report.table(*found)]
    return "\n\n".join(parts)


def show(results):
    print(about_text(results))
    for heading, found in sections(results):
        print(f"\n{heading}")
        measure.print_table(*found)


# --- the run ----------------------------------------------------------------------------------


def gloo(comm, node):
    """A group of PyTorch's between these ranks, made by what MPI tells; None without PyTorch.

    Its threads may run on all cores of a node, as the ranks' own are not pinned yet.
    """
    try:
        import torch
        from torch import distributed
    except ImportError:
        return None
    torch.set_num_threads(1)
    here = node.size == comm.size
    host = "127.0.0.1" if here else comm.bcast(socket.gethostname())
    if here and sys.platform.startswith("linux"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    first = comm.rank == 0
    store = distributed.TCPStore(host, 0, comm.size, True, PATIENCE, wait_for_workers=False) if first else None
    port = comm.bcast(store.port if first else None)
    store = store or distributed.TCPStore(host, port, comm.size, False, PATIENCE)
    distributed.init_process_group("gloo", store=store, rank=comm.rank, world_size=comm.size, timeout=PATIENCE)
    return distributed.group.WORLD


def run(comm, node, group, names, quick=False):
    how = measure.repetitions(True) if quick else {"samples": 25, "seconds": 0.03}

    def told(row):
        if comm.rank == 0:
            print(json.dumps(row), flush=True)
        return row

    names = [name for name in ROWS if name in names]
    found: dict = {"ranks": comm.size, "nodes": comm.allreduce(int(node.rank == 0))}
    found["split"] = [told(split(comm, name, ROWS[name][0], **how)) for name in names]
    found["scaling"] = [
        told(scaling(comm, name, rows, kind, **how))
        for name in names
        for kind, several in (("efficiency", ROWS[name]), ("speed-up", ROWS[name][:1]))
        for rows in several
    ]
    found["beside"] = [told(beside(comm, name, ROWS[name][0], group, **how)) for name in names if group is not None]
    if quick:
        found["one"] = [told(one_rank(comm, name, quick, **how)) for name in names]
    else:
        found["one"] = [told(one_rank(comm, name, quick, **how)) for name in grid.WORKLOADS]
    found["network"] = told(network(comm, **how))
    modelled = names if quick else [name for name in MODELLED if name in names or name not in ROWS]
    found["costs"] = {name: told(costs(comm, name, **how)) for name in modelled}
    return found


def one_of(comm, options):
    """What each rank does."""
    from mpi4py import MPI

    if comm.size < 2:
        raise SystemExit("bench.ranks expects several ranks, as mpiexec -n 2 python -m bench.ranks; got one.")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    core = core_of(comm, node) if hasattr(os, "sched_setaffinity") else None
    with ExitStack() as ends:
        group = gloo(comm, node)
        if group is not None:
            from torch import distributed

            ends.callback(distributed.destroy_process_group)
        if core is not None:
            os.sched_setaffinity(0, {core})
        about = None
        if comm.rank == 0:
            about = measure.ready(write=options.write)
        else:
            measure.pin()
        results = run(comm, node, group, options.workloads, options.quick)
    if comm.rank:
        return
    mpi = MPI.Get_library_version().replace("\0", "").splitlines()[0]
    results = {"machine": about, "mpi": " ".join(mpi.split()), "load": load, **results}
    show(results)
    if options.json:
        options.json.write_text(measure.json_text(results), "utf-8")
    if options.write:
        measure.store(RESULTS, results)
        report.write(PAGE, markdown(results), *MARKS)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.ranks", description=__doc__)
    parser.add_argument("--ranks", type=int, default=2, help="to start on this machine")
    parser.add_argument("--workloads", type=grid.names_of(ROWS), default=list(ROWS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to store a trial")
    measure.add_options(parser, write=f"store it and put the tables into {PAGE.name}")
    options = measure.parsed(parser, arguments)
    if options.write and options.workloads != list(ROWS):
        parser.error("--write expects all workloads; got some.")
    if not any(name in os.environ for name in LAUNCHED):
        sys.exit(start(sys.argv[1:] if arguments is None else arguments, options.ranks))
    from mpi4py import MPI

    try:
        one_of(MPI.COMM_WORLD, options)
    except BaseException as error:  # the others would wait for this one
        if isinstance(error, SystemExit):
            print(error, file=sys.stderr)
        else:
            traceback.print_exc()
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(1)


if __name__ == "__main__":
    main()
