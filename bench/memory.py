"""What a call takes in a process of its own: memory and time."""

import multiprocessing
import resource
import sys
import time
from pathlib import Path


def apart(prepare, *arguments):
    """(result, seconds, bytes) of the call that ``prepare(*arguments)`` gives, in a new process.

    The bytes are those of the process at its largest above what it held when the call began:
    libraries, data and one warm-up of `prepare` do not count.
    """
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe()
    process = context.Process(target=_measure, args=(ours, prepare, arguments))
    process.start()
    ours.close()
    try:
        return theirs.recv()
    except EOFError:
        raise RuntimeError(f"bench expects {prepare.__name__} to run in a process of its own; it ended.") from None
    finally:
        process.join()


def _measure(pipe, prepare, arguments):
    call = prepare(*arguments)
    before = _forget_peak()
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    pipe.send((result, seconds, peak() - before))


def _forget_peak():
    """The bytes that the process holds now; where the system can, its peak begins here."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak()
    return _status("VmRSS")


def peak():
    """Bytes that the process has held at most."""
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def _status(name):
    """A number of /proc/self/status in bytes; 0 where there is none."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(name)), 0)
