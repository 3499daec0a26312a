"""A training step in more and more threads: ``python -m bench.threads [--write]``.

The same step of networks alike, all numbers of threads in turn within one run.  What is told is
how many times quicker than in one thread a step is.
"""

import argparse
import os

from bench import ROOT, measure, report
from bench.grid import names_of
from bench.processes import network_and_rows
from bench.tasks import WORKLOADS
from fastbp import SGD, Trainer

RESULTS = ROOT / "bench" / "results" / "threads.json"
PAGE = ROOT / "docs" / "speed.md"
MARKS = "<!-- threads:begin -->", "<!-- threads:end -->"
CASES = ["dlfs", "mnist512", "tab", "wide1024", "wide2048"]


def counts(cores):
    """1, 2, 4, ... and the cores themselves."""
    return [*(2**k for k in range(cores.bit_length()) if 2**k < cores), cores]


def run(case, threads, quick):
    """Seconds of a step by its number of threads."""
    steps = []
    for n in threads:
        net, x, t = network_and_rows(case)
        trainer = Trainer(net, SGD(lr=0.01), len(x), n_threads=n)
        steps.append(lambda trainer=trainer, x=x, t=t: trainer.step(x, t))
    how = {"samples": 2, "seconds": 1e-3} if quick else {"samples": 15, "seconds": 0.1}
    return dict(zip(threads, measure.alternate(*steps, **how), strict=True))


def header(threads):
    return ["workload", "batch, sizes", "1 thread", *(f"{n} threads" for n in threads[1:])]


def cells(case, times):
    batch, sizes = WORKLOADS[case]
    one, *more = times.values()
    return [
        case,
        f"{batch}, {'-'.join(map(str, sizes))}",
        measure.seconds_text(one),
        *(f"{one / t:.1f}x" for t in more),
    ]


def markdown(results):
    rows = [cells(case, times) for case, times in results["rows"].items()]
    about = measure.described(results["machine"])
    text = f"One training step, float32, SGD, ReLU. Measured on {about}. Medians, all in turn."
    return f"{text}\n\n{report.table(header(results['threads']), rows)}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.threads", description=__doc__)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="the most of them")
    parser.add_argument("--workloads", type=names_of(WORKLOADS), default=CASES)
    measure.add_options(parser, write=f"into {PAGE.name}, too")
    options = measure.parsed(parser, arguments)
    about = measure.ready(threads=options.threads, write=options.write)
    threads, rows = counts(options.threads), {}
    for case in options.workloads:
        rows[case] = run(case, threads, options.quick)
    measure.print_table(header(threads), [cells(case, times) for case, times in rows.items()])
    if options.write:
        results = {"machine": about, "threads": threads, "rows": rows}
        measure.store(RESULTS, results)
        report.write(PAGE, markdown(results), *MARKS)


if __name__ == "__main__":
    main()
