"""How many threads a training step takes: the one place where it is decided."""

from __future__ import annotations

import os
import re
import warnings
from typing import Any

from fastbp import checks
from fastbp._kernels import engine

__all__ = ["available_threads", "is_number_of_threads", "set_num_threads", "threads_for"]

#: Below this many floating-point operations a second thread makes a step slower.
WORTH_A_THREAD = 20e6
#: The most threads that may be asked for; far more of them end the process.
MOST_THREADS = 1024

_chosen: int | None = None


def set_num_threads(n_threads: int | None) -> None:
    """Set how many threads a training step may take, from now on.

    Parameters
    ----------
    n_threads : int or None
        None goes back to the default: one for small steps, else `available_threads`.

    Raises
    ------
    TypeError, ValueError
        For a number below 1 or above 1024.

    Examples
    --------
    >>> set_num_threads(1)
    >>> set_num_threads(None)
    """
    global _chosen
    if n_threads is not None:
        n_threads = checks.integer("set_num_threads", "n_threads", n_threads, 1, MOST_THREADS)
    _chosen = n_threads


def available_threads() -> int:
    """The cores this process may use: affinity, container quota and OMP_NUM_THREADS.

    Returns
    -------
    int

    Warns
    -----
    RuntimeWarning
        For an OMP_NUM_THREADS that is no number of threads, and counts for nothing.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.strip() and not is_number_of_threads(said):
        warnings.warn(
            f"fastbp expects OMP_NUM_THREADS as a number above 0; got {said!r}, which counts for nothing.",
            RuntimeWarning,
            stacklevel=2,
        )
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    return max(1, min(cores, _container_quota(), engine.max_threads()))


def is_number_of_threads(said: Any) -> bool:
    """Whether OMP_NUM_THREADS says how many: a number, or a list of them, one for each level."""
    return re.fullmatch(r"\s*\+?0*[1-9]\d{0,8}\s*(,.*)?", said, re.A | re.S) is not None


def _container_quota():
    """Whole cores of the control group's quota, or a large number without one."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        return max(1, int(quota) // int(period)) if quota != "max" else 1 << 20
    except (OSError, ValueError):
        return 1 << 20


def threads_for(operations: float, n_threads: int | None = None, sharing: int = 1) -> int:
    """The threads of a step of so many floating-point operations, on cores that `sharing` ranks have."""
    if n_threads is not None:
        return checks.integer("Trainer", "n_threads", n_threads, 1, MOST_THREADS)
    if _chosen is not None:
        return _chosen
    return 1 if operations < WORTH_A_THREAD else max(1, available_threads() // sharing)
