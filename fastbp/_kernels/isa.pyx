"""The instruction set in use, chosen once, when this module is imported.

The C kernels are compiled once per instruction set and linked into this module alone; the
other extension modules reach the table through `isa.pxd`.
"""
import os

cdef extern from "cpu.h":
    const fbp_kernels *fbp_built(int k) nogil
    int fbp_runs_here(int k) nogil

cdef const fbp_kernels *_active = NULL

cdef const fbp_kernels *active() noexcept nogil:
    return _active


def built():
    """Names of the instruction sets compiled in, the widest first."""
    names, k = [], 0
    while fbp_built(k) != NULL:
        names.append(fbp_built(k).name.decode())
        k += 1
    return tuple(names)


def usable():
    """Names of the built instruction sets that this processor has, the widest first."""
    return tuple(name for k, name in enumerate(built()) if fbp_runs_here(k))


def in_use():
    """Name of the instruction set in use."""
    return _active.name.decode()


def _choose():
    global _active
    wanted = os.environ.get("FASTBP_ISA", "")
    names, here = built(), usable()
    if not here:
        raise ImportError(
            "fastbp expects an x86-64-v2 processor (SSE4.2, POPCNT; most since 2009); "
            "this one lacks these instructions."
        )
    if wanted and wanted not in here:
        raise ImportError(
            f"FASTBP_ISA expects one of {', '.join(here)} on this processor; got {wanted!r}."
        )
    _active = fbp_built(names.index(wanted or here[0]))


_choose()


def openmp():
    """Whether the kernels were built with OpenMP."""
    return bool(_active.openmp)
