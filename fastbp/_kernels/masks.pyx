# cython: boundscheck=False
"""What is drawn: dropout's masks and the order of an epoch, functions of a key alone."""
from libc.stdint cimport int64_t, uint64_t, uintptr_t

from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real, require, require_aligned, require_same_or_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_dropout(...)

cdef extern from "arithmetic/dropout_key.h" nogil:
    uint64_t fbp_dropout_key "dropout_key"(uint64_t seed, uint64_t step, uint64_t layer)

cdef extern from "arithmetic/order.h" nogil:
    void fbp_epoch_order "epoch_order"(int64_t *order, idx n, uint64_t key)

#: The key of an epoch's order is that of a layer's mask which no network has.
cdef uint64_t ORDER = 0xffffffffffffffff

fbp_active = isa.active()


cdef void dropout_core(const real *x, real *out, uint64_t key, double ratio,
                       idx n) noexcept nogil:
    fbp_dropout(x, out, key, 0, ratio, n)


def dropout_key(uint64_t seed, uint64_t step, uint64_t layer):
    """The key of one layer's mask in one step, of 64 bits."""
    return fbp_dropout_key(seed, step, layer)


def dropout(const real[::1] x not None, real[::1] out not None, uint64_t key, double ratio):
    """out = x / (1 - ratio), or 0 with probability ratio

    The same function is the backward pass, with the gradients in place of x.

    Parameters
    ----------
    x : (n,)
    out : (n,), overwritten; may be `x` itself.
    key : int
        From `dropout_key`; chooses the mask.
    ratio : float
        0 <= ratio < 1

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, a partial overlap, a ratio out of range.

    References
    ----------
    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting
    (2014), inverted: the scaling is done in training.
    """
    cdef idx n = x.shape[0]
    require(n == out.shape[0], "dropout expects out of x's length")
    require(0 <= ratio < 1, "dropout expects ratio of at least 0 and below 1", "another")
    require_aligned(&x[0], n, "x")
    require_aligned(&out[0], n, "out")
    require_same_or_apart(&out[0], &x[0], n, "out")
    with nogil:
        dropout_core(&x[0], &out[0], key, ratio, n)


def epoch_order(int64_t[::1] order not None, uint64_t seed, uint64_t epoch):
    """order = 0 .. n - 1, shuffled

    Parameters
    ----------
    order : (n,) int64, overwritten
    seed, epoch : int
        At least 0 and below 2^64.  They choose one of all n! orders, as far as 2^64 numbers can,
        each as likely as another; the same on every machine.

    Raises
    ------
    ValueError
        For an array that is not of int64, in one piece, aligned and writable.

    References
    ----------
    Fisher and Yates's shuffle (Durstenfeld, Algorithm 235, 1964) by numbers of splitmix64 (Steele,
    Lea and Flood, Fast splittable pseudorandom number generators, 2014), bounded without bias
    (Lemire, Fast random integer generation in an interval, 2019).
    """
    cdef idx n = order.shape[0]
    require(<uintptr_t> &order[0] % sizeof(int64_t) == 0 or n == 0,
            "epoch_order expects an order aligned to 8 bytes", "another address")
    with nogil:
        fbp_epoch_order(&order[0], n, fbp_dropout_key(seed, epoch, ORDER))
