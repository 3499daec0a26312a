"""Trainings in several processes at once beside the same one after another.

``python -m bench.processes`` fits a network in each of eight processes at once, and the same in
eight processes one after another, in as many threads a step as there are cores, which large steps
take by themselves, or in ``--threads``.  The ratio of wall times is what a user waits for; it is
below 1 where the processes together are quicker.  That of processor times holds on a busy machine
too: it shows what spinning and switching cost.  Eight processes push each other out of the caches
whatever they do, so the same with one thread each shows what the threads cost.
"""

import argparse
import gc
import itertools
import multiprocessing
import os
import statistics
import time

import numpy as np

import fastbp
from bench import measure
from bench.tasks import WORKLOADS

#: The largest ratios of wall times that are promised; with a larger one the command fails.
PROMISED = 1.1
#: Seconds of one of the fits, about.
SECONDS = 0.3


def network_and_rows(case, batches=1):
    """A network of its own, and so many batches for it."""
    batch, sizes = WORKLOADS[case]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batches * batch, sizes[0])).astype("float32")
    t = rng.integers(0, sizes[-1], len(x))
    layers = []
    for k, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        layers += [fastbp.Linear(n_in, n_out, seed=k), fastbp.Relu()]
    return fastbp.Sequential(*layers[:-1], loss="softmax_cross_entropy"), x, t


def prepared(case, n_threads):
    """A function of the epochs, which fits a network of its own for so many."""
    net, x, t = network_and_rows(case, 4)

    def fit(epochs):
        net.fit(x, t, epochs=epochs, batch_size=len(x) // 4, optimizer=fastbp.SGD(lr=0.01), seed=0, n_threads=n_threads)

    fit(1)  # the first call pays for what is loaded late
    return fit


def epochs_in(seconds, fit):
    start = time.perf_counter()
    fit(3)
    return max(1, round(3 * seconds / (time.perf_counter() - start)))


def child(case, n_threads, epochs, begin, results):
    fit = prepared(case, n_threads)
    gc.collect()
    begin.wait()
    start, processor = time.perf_counter(), time.process_time()
    fit(epochs)
    results.put((start, time.perf_counter(), time.process_time() - processor))


def together(case, n_threads, epochs, n_processes):
    """Wall and processor seconds of a fit in each of so many processes at once."""
    context = multiprocessing.get_context("fork")
    begin, results = context.Barrier(n_processes), context.SimpleQueue()
    arguments = (case, n_threads, epochs, begin, results)
    processes = [context.Process(target=child, args=arguments) for _ in range(n_processes)]
    for process in processes:
        process.start()
    starts, ends, seconds = zip(*(results.get() for _ in processes), strict=True)
    for process in processes:
        process.join()
    return max(ends) - min(starts), sum(seconds)


def in_turn(case, n_threads, epochs, n_processes):
    """The same of so many processes one after another, without what lies between the fits."""
    each = [together(case, n_threads, epochs, 1) for _ in range(n_processes)]
    return tuple(map(sum, zip(*each, strict=True)))


def run(case, n_threads, n_processes=8, rounds=5, seconds=SECONDS):
    """Medians of the ratios, and of the seconds, over rounds of all three in turn."""
    epochs = epochs_in(seconds, prepared(case, n_threads))
    rows = []
    for _ in range(rounds):
        one = in_turn(case, n_threads, epochs, n_processes)
        many = together(case, n_threads, epochs, n_processes)
        plain = together(case, 1, epochs, n_processes)
        rows.append((one[0], many[0], plain[0], many[0] / one[0], many[1] / one[1], many[0] / plain[0]))
    names = ("serial", "together", "plain", "ratio", "processor_ratio", "plain_ratio")
    return dict(zip(names, map(statistics.median, zip(*rows, strict=True)), strict=True))


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.processes", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", metavar="case", default=["mnist512", "tab", "wide1024"], help=f"of {', '.join(WORKLOADS)}"
    )
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of a step")
    measure.add_options(parser)
    options = measure.parsed(parser, arguments)
    measure.require_compiled(fastbp)
    how = {"rounds": 1, "seconds": 0.01} if options.quick else {}
    print(f"timing {measure.folder()}\n{measure.described(measure.machine(options.threads))}")
    rows, ratios, plain = [], [], []
    for case in options.cases:
        row = run(case, options.threads, options.processes, **how)
        ratios.append(row["ratio"])
        plain.append(row["plain_ratio"])
        times = [measure.seconds_text(row[name]) for name in ("serial", "together", "plain")]
        rows.append([case, *times, *(f"{row[name]:.2f}" for name in ("ratio", "processor_ratio", "plain_ratio"))])
    measure.print_table(
        [
            "workload",
            "serial",
            f"{options.processes} processes",
            "of 1 thread",
            "ratio to serial",
            "of processor time",
            "ratio to 1 thread",
        ],
        rows,
    )
    print(
        f"{options.processes} processes at once over one after another: {min(ratios):.2f} to "
        f"{max(ratios):.2f}; over those of one thread: {min(plain):.2f} to {max(plain):.2f}; "
        f"at most {PROMISED} is promised"
    )
    return int(max(*ratios, *plain) > PROMISED)


if __name__ == "__main__":
    raise SystemExit(main())
