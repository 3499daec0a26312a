"""One count of the changes that a running training would not see by itself.

A plan has its own copy of what a network and an optimiser say: slopes, ratios, rates, the layers.
Whatever changes one of these calls `note`; a plan compares the count before each step, and looks at
its network and its optimiser again where it moved.  So nobody has to know who trains what.
"""
from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #define fbp_increment(count) __atomic_fetch_add(count, 1, __ATOMIC_RELAXED)
    """
    uint64_t fbp_increment(uint64_t *count) noexcept nogil

count = 0


def note():
    """Tell all running trainings that a layer, a network or an optimiser has changed."""
    fbp_increment(&count)


def noted():
    """How many changes were noted in this process."""
    return count
