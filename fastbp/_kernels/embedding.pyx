# cython: boundscheck=False
"""Rows of tables: what a layer of categories gives, and the gradients of its tables."""
cimport numpy as cnp
from libc.stdint cimport int64_t, uint8_t

from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real, require, require_arrays

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_embedding_forward(...)
    void fbp_embedding_backward(...)

cnp.import_array()
fbp_active = isa.active()


ctypedef fused number:
    float
    double
    uint8_t


def categories_hold(const number[:, ::1] x not None, const int64_t[::1] sizes not None):
    """Whether the first columns of x have whole numbers, each from 0 to below its size."""
    cdef idx r, c, columns = sizes.shape[0]
    cdef number value
    cdef bint held
    require(columns <= x.shape[1], "categories_hold expects a column of x for each size")
    for r in range(x.shape[0]):
        held = True
        for c in range(columns):
            value = x[r, c]
            if not 0 <= value < <double> sizes[c]:  # NaN is neither
                return False
            held &= <number> <idx> value == value
        if not held:
            return False
    return True


cdef int require_places(str who, idx n, const int64_t[:, ::1] places, const int64_t[::1] widths,
                        idx width) except -1:
    """Rows of tables that lie in W, and together are no wider than an output."""
    cdef idx r, c, columns = widths.shape[0], sum = 0
    for c in range(columns):
        require(0 <= widths[c] <= n, f"{who} expects widths of rows that W has", "others")
        sum += widths[c]
    require(places.shape[1] == columns and sum <= width,
            f"{who} expects a width for each column of places, together at most that of out")
    for r in range(places.shape[0]):
        for c in range(columns):
            require(0 <= places[r, c] <= n - widths[c], f"{who} expects places within W", "others")
    return 0


def embedding_forward(
    const real[::1] W not None,            # IN
    const int64_t[:, ::1] places not None,  # IN
    const int64_t[::1] widths not None,     # IN
    real[:, ::1] out not None,             # OUT
):
    """out[r, :] = W[places[r, 0] :][: widths[0]], W[places[r, 1] :][: widths[1]], ...

    Parameters
    ----------
    W : (n,), tables, row by row.
    places : (rows, columns), where a row of a table begins.
    widths : (columns,), its numbers.
    out : (rows, at least the sum of widths), overwritten up to there.

    Raises
    ------
    ValueError
        For places beyond W, shapes that do not fit, unaligned arrays, or overlaps.
    """
    cdef idx rows = out.shape[0], width = out.shape[1], n = W.shape[0], columns = widths.shape[0]
    require(places.shape[0] == rows, "embedding_forward expects places for each row of out")
    require_places("embedding_forward", n, places, widths, width)
    if rows == 0 or n == 0 or columns == 0 or width == 0:
        return
    cdef const real **arrays = [&W[0], &out[0, 0]]
    cdef idx *sizes = [n, rows * width]
    require_arrays(arrays, sizes, 1, ("W", "out"))
    with nogil:
        fbp_embedding_forward(&W[0], &places[0, 0], &widths[0], &out[0, 0], rows, columns, width)


def embedding_backward(
    const real[:, ::1] dout not None,       # IN
    const int64_t[:, ::1] places not None,  # IN
    const int64_t[::1] widths not None,     # IN
    real[::1] dW not None,                 # OUT
):
    """dW = the sums of dout, as `embedding_forward` gives it, by their places

    Parameters
    ----------
    dout : (rows, at least the sum of widths)
    places : (rows, columns), where a row of a table begins.
    widths : (columns,), its numbers.
    dW : (n,), overwritten.

    Raises
    ------
    ValueError
        For places beyond dW, shapes that do not fit, unaligned arrays, or overlaps.
    """
    cdef idx rows = dout.shape[0], width = dout.shape[1], n = dW.shape[0]
    cdef idx columns = widths.shape[0]
    require(places.shape[0] == rows, "embedding_backward expects places for each row of dout")
    require_places("embedding_backward", n, places, widths, width)
    if n == 0:
        return
    if rows == 0 or columns == 0 or width == 0:
        dW[:] = 0
        return
    cdef const real **arrays = [&dout[0, 0], &dW[0]]
    cdef idx *sizes = [rows * width, n]
    require_arrays(arrays, sizes, 1, ("dout", "dW"))
    with nogil:
        fbp_embedding_backward(&dout[0, 0], &places[0, 0], &widths[0], &dW[0], rows, columns,
                               width, n)
