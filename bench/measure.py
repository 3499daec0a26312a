"""How the benches time: in turn, on one core, with one thread, and compiled code only."""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from timeit import Timer

import fastbp
from bench import HELD_TO, LEVELS, kernels

# --- timing ---------------------------------------------------------------------------------

WARM_UP = 3  # calls: the first ones wait for memory from the system


def alternate(*functions, samples=25, seconds=0.003, pause=0.0, clock=time.perf_counter, of=statistics.median):
    """Seconds of one call of each function, the median, all timed in turn within one run.

    A sample repeats a function for about `seconds`; rounds of one sample of each are taken, so
    that a slow spell of the machine falls on all of them alike.  An untimed call goes before
    each sample: it finds in the caches what it left there itself, not what another left.  With
    several threads a `pause` of so many seconds goes before it, as the threads of other libraries
    spin for a while after their work (OpenBLAS's for some 26 ms) and hold a core.  A side in a
    process of its own (`bench.apart`) times itself.  `of` chooses among a function's samples:
    `min` where other work on the machine disturbs them.  Of a function that takes more than ten
    times as long as the quickest there are three samples only.
    """
    timers = [f if hasattr(f, "timeit") else Timer(f, timer=clock) for f in functions]
    counts = [calls_in(seconds, timer) for timer in timers]
    times: list[list[float]] = [[] for _ in timers]
    for turn in range(samples):
        enough = 10 * min(map(min, times)) if turn >= 3 else math.inf
        for taken, timer, count in zip(times, timers, counts, strict=True):
            if min(taken, default=0) <= enough:
                taken.append(sample(timer, count, pause))
    return [of(taken) for taken in times]


def sample(timer, count, pause=0.0):
    """Seconds of one call, as the mean of `count` after an untimed one."""
    time.sleep(pause)
    timer.timeit(1)
    return timer.timeit(count) / count


def calls_in(seconds, timer):
    """How many calls take about `seconds`; at least 1."""
    timer.timeit(WARM_UP)
    count = 1
    while (elapsed := timer.timeit(count)) < seconds / 2:
        count *= 2
    return max(1, round(count * seconds / elapsed))


def timed(sides, **how):
    """The times of a table's row, by side."""
    return dict(zip(sides, alternate(*sides.values(), **how), strict=True))


def ratio(row, side="numpy"):
    """NumPy's time over fastbp's: above 1 where fastbp is quicker."""
    return row[side] / row["fastbp"]


# --- what is timed --------------------------------------------------------------------------


def ready(quiet=False, threads=1, write=False):
    """Pin the process, refuse what is not compiled, and say what is timed; see `machine`.

    Where the bench is going to write, a setting that holds a library down is refused, too.
    """
    require_compiled(fastbp)
    if write:
        kernels.refuse_held()
    about = machine(threads=pin(threads))
    if not quiet:
        print(f"timing {folder()}\n{described(about)}")
    return about


def folder():
    """Where the fastbp lies that is timed."""
    return Path(fastbp.__file__).resolve().parent


def pin(threads=1):
    """Keep the process on a core a thread, and every library at so many; their number."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < threads:
            raise RuntimeError(f"bench expects a core for each of {threads} threads; got {len(cores)}.")
        os.sched_setaffinity(0, cores[-threads:])
    threadpoolctl = kernels.threadpoolctl()
    threadpoolctl.threadpool_limits(threads)
    got = max((pool["num_threads"] for pool in threadpoolctl.threadpool_info()), default=threads)
    if got != threads:
        raise RuntimeError(f"bench expects every library at {threads} thread(s); got {got}.")
    return threads


def require_compiled(package):
    """Refuse kernels that are not extension modules of `package`'s own folder, or are stale."""
    from fastbp._kernels.sources import newer_sources

    kernels = Path(package.__file__).resolve().parent / "_kernels"
    for name in package._kernels.__all__:
        module = __import__(getattr(package._kernels, name).__module__, fromlist=["_"])
        file = Path(module.__file__).resolve()
        if file.parent != kernels or not file.name.endswith(tuple(EXTENSION_SUFFIXES)):
            raise RuntimeError(f"bench expects {name} compiled in {kernels}; got that of {file}.")
    if package.backend.kernels() is not package._kernels:
        raise RuntimeError("bench expects the compiled kernels; got the reference backend.")
    if newer := newer_sources(kernels):
        raise RuntimeError(
            f"bench expects kernels built from their sources as they are, as pip install -e . "
            f"does; got {', '.join(newer)} newer than what was built."
        )


# --- where it is timed ----------------------------------------------------------------------


def machine(threads):
    """What a table has to name: processor, caches, threads, versions, kernels, the date."""
    from fastbp._kernels import isa

    return {
        "processor": processor(),
        "l2_bytes": l2_bytes(),
        "threads": threads,
        "instruction_set": isa.in_use(),
        "fastbp": fastbp.__version__,
        "python": platform.python_version(),
        "date": date.today().isoformat(),
        "versions": kernels.versions(),
        "kernels": kernels.in_use(),
        "held": kernels.held(),
    }


def described(about):
    """`machine` in one line."""
    threads = "1 thread" if about["threads"] == 1 else f"{about['threads']} threads"
    versions = dict.fromkeys(about["kernels"], "") | about["versions"]
    libraries = [
        f"{name} {number}".strip() + (f" with {about['kernels'][name]}" if name in about["kernels"] else "")
        for name, number in versions.items()
    ]
    held = [f"HELD DOWN by {reason}" for reason in about["held"]]
    return "; ".join(
        [
            f"{about['processor']}, {threads}, {about['date']}, Python {about['python']}, fastbp "
            f"{about['fastbp']} with {about['instruction_set']}",
            *libraries,
            *held,
        ]
    )


def processor():
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def l2_bytes():
    """Size of one core's L2 cache in bytes; 1 MiB where the system does not tell."""
    for cache in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (cache / "level").read_text().strip() == "2":
            return int((cache / "size").read_text().strip().removesuffix("K")) * 1024
    return int(_sysctl("hw.l2cachesize") or 2**20)


def _sysctl(name):
    """A value of macOS's sysctl; "" elsewhere."""
    try:
        return subprocess.run(["sysctl", "-n", name], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


# --- tables ---------------------------------------------------------------------------------


def seconds_text(seconds):
    """1.23 µs, 45.6 ms."""
    unit, size = next(u for u in (("s", 1), ("ms", 1e-3), ("µs", 0)) if seconds >= u[1])
    number = seconds / (size or 1e-6)
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f} {unit}"


def bytes_text(n):
    """64 KB, 16 MB."""
    return f"{n / 2**20:g} MB" if n >= 2**20 else f"{n / 2**10:g} KB"


def print_table(header, rows):
    """Columns as wide as they need; the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]))


# --- results --------------------------------------------------------------------------------


def json_text(results):
    return json.dumps(results, indent=1, ensure_ascii=False) + "\n"


def store(path, results):
    """Keep the results of a run for the tables, unless a setting held a library meanwhile.

    What held one of another process is told by its results.
    """
    kernels.refuse_held(results.get("machine", {}).get("held"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json_text(results), "utf-8")
    print(f"stored in {path}")


# --- the command line -----------------------------------------------------------------------


def add_options(parser, write=None):
    """What the benches have in common; `write` says what is written, where there is a table."""
    parser.add_argument("--quick", action="store_true", help="a few short samples, to see that it all works")
    parser.add_argument("--isa", choices=tuple(LEVELS), help="hold every library to this instruction set, to print")
    if write:
        parser.add_argument("--write", action="store_true", help=write)


def parsed(parser, arguments=None):
    """The options; with `--isa` the process begins anew, as the libraries are loaded by now."""
    options = parser.parse_args(arguments)
    if getattr(options, "write", False) and (options.quick or options.isa):
        parser.error("--write expects full runs without limits; got --quick or --isa.")
    if options.isa and os.environ.get(HELD_TO) != options.isa:
        os.environ[HELD_TO] = options.isa
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    return options


def repetitions(quick):
    """Keywords of `alternate`."""
    return {"samples": 3, "seconds": 1e-4} if quick else {"samples": 25, "seconds": 0.003}
