# cython: boundscheck=False
"""The affine transformation x W + b and its gradients.

`*_core` are the pointer functions (cimport them); the functions of the same name without it
take arrays: C-contiguous, aligned, all float32 or all float64.  Inputs are never written to.
"""
from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real, require, require_arrays

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    int fbp_affine_forward(...)
    int fbp_affine_backward(...)
    void fbp_bias_sum(...)
    void fbp_transpose(...)

fbp_active = isa.active()


cdef int affine_forward_core(const real *x, const real *W, const real *b, real *out,
                             idx rows, idx n_in, idx n_out) noexcept nogil:
    return fbp_affine_forward(x, W, b, out, rows, n_in, n_out)


cdef int affine_backward_core(const real *dout, const real *x, const real *W, real *dx,
                              real *dW, real *db, idx rows, idx n_in, idx n_out) noexcept nogil:
    return fbp_affine_backward(dout, x, W, dx, dW, db, rows, n_in, n_out)


cdef void bias_sum_core(const real *dout, real *db, idx rows, idx n_out) noexcept nogil:
    fbp_bias_sum(dout, db, rows, n_out)


cdef void transpose_core(const real *x, real *out, idx rows, idx n) noexcept nogil:
    fbp_transpose(x, out, rows, n)


def affine_forward(
    const real[:, ::1] x not None,  # IN
    const real[:, ::1] W not None,  # IN
    const real[::1] b not None,     # IN
    real[:, ::1] out not None,      # OUT
):
    """out = x W + b

    Parameters
    ----------
    x : (rows, n_in)
    W : (n_in, n_out)
    b : (n_out,)
    out : (rows, n_out), overwritten; may not overlap an input.

    Raises
    ------
    ValueError
        For shapes that do not fit, unaligned arrays, or an `out` over an input.
    MemoryError
        When scratch memory could not be had; `out` is then unchanged.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.6.
    """
    cdef idx rows = x.shape[0], n_in = W.shape[0], n_out = W.shape[1]
    cdef const real *x_ = &x[0, 0]
    cdef const real *W_ = &W[0, 0]
    cdef const real *b_ = &b[0]
    cdef real *out_ = &out[0, 0]
    cdef int status
    require(x.shape[1] == n_in and b.shape[0] == n_out
            and out.shape[0] == rows and out.shape[1] == n_out,
            "affine_forward expects x (rows, n_in), W (n_in, n_out), b (n_out,), out (rows, n_out)")
    cdef const real **arrays = [x_, W_, b_, out_]
    cdef idx *sizes = [rows * n_in, n_in * n_out, n_out, rows * n_out]
    require_arrays(arrays, sizes, 3, ("x", "W", "b", "out"))
    with nogil:
        status = affine_forward_core(x_, W_, b_, out_, rows, n_in, n_out)
    if status:
        raise MemoryError("affine_forward could not allocate its scratch memory")


def affine_backward(
    const real[:, ::1] dout not None,  # IN
    const real[:, ::1] x not None,     # IN
    const real[:, ::1] W not None,     # IN
    real[:, ::1] dx,                   # OUT, or None
    real[:, ::1] dW not None,          # OUT
    real[::1] db not None,             # OUT
):
    """dx = dout W^T;  dW = x^T dout;  db = sum of dout's rows

    Parameters
    ----------
    dout : (rows, n_out), the loss's gradient by the forward's output.
    x : (rows, n_in), the forward's input.
    W : (n_in, n_out)
    dx : (rows, n_in), overwritten; None where nobody needs it (a network's first layer).
    dW : (n_in, n_out), overwritten.
    db : (n_out,), overwritten.

    Raises
    ------
    ValueError
        For shapes that do not fit, unaligned arrays, or outputs that overlap anything.
    MemoryError
        When scratch memory could not be had; the outputs may be written in part.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.6.
    """
    cdef idx rows = x.shape[0], n_in = W.shape[0], n_out = W.shape[1]
    cdef const real *dout_ = &dout[0, 0]
    cdef const real *x_ = &x[0, 0]
    cdef const real *W_ = &W[0, 0]
    cdef real *dW_ = &dW[0, 0]
    cdef real *db_ = &db[0]
    cdef real *dx_ = NULL
    cdef int status
    require(dout.shape[0] == rows and dout.shape[1] == n_out and x.shape[1] == n_in
            and dW.shape[0] == n_in and dW.shape[1] == n_out and db.shape[0] == n_out,
            "affine_backward expects dout (rows, n_out), x (rows, n_in), W and dW (n_in, n_out), "
            "db (n_out,)")
    if dx is not None:
        dx_ = &dx[0, 0]
        require(dx.shape[0] == rows and dx.shape[1] == n_in,
                "affine_backward expects dx (rows, n_in)")
    cdef const real **arrays = [dout_, x_, W_, db_, dW_, dx_]
    cdef idx *sizes = [rows * n_out, rows * n_in, n_in * n_out, n_out, n_in * n_out,
                       rows * n_in if dx_ != NULL else 0]
    require_arrays(arrays, sizes, 3, ("dout", "x", "W", "db", "dW", "dx"))
    with nogil:
        status = affine_backward_core(dout_, x_, W_, dx_, dW_, db_, rows, n_in, n_out)
    if status:
        raise MemoryError("affine_backward could not allocate its scratch memory")


def bias_sum(
    const real[:, ::1] dout not None,  # IN
    real[::1] db not None,             # OUT
):
    """db = sum of dout's rows

    Parameters
    ----------
    dout : (rows, n_out)
    db : (n_out,), overwritten.

    Raises
    ------
    ValueError
        For shapes that do not fit, unaligned arrays, or a `db` over `dout`.
    """
    cdef idx rows = dout.shape[0], n_out = dout.shape[1]
    cdef const real *dout_ = &dout[0, 0]
    cdef real *db_ = &db[0]
    require(db.shape[0] == n_out, "bias_sum expects dout (rows, n_out), db (n_out,)")
    cdef const real **arrays = [dout_, db_]
    cdef idx *sizes = [rows * n_out, n_out]
    require_arrays(arrays, sizes, 1, ("dout", "db"))
    with nogil:
        bias_sum_core(dout_, db_, rows, n_out)


def transpose(
    const real[:, ::1] x not None,  # IN
    real[:, ::1] out not None,      # OUT
):
    """out = x with rows and columns exchanged

    Parameters
    ----------
    x : (rows, n)
    out : (n, rows), overwritten; may not overlap x.

    Raises
    ------
    ValueError
        For shapes that do not fit, unaligned arrays, or an `out` over `x`.
    """
    cdef idx rows = x.shape[0], n = x.shape[1]
    cdef const real *x_ = &x[0, 0]
    cdef real *out_ = &out[0, 0]
    require(out.shape[0] == n and out.shape[1] == rows,
            "transpose expects x (rows, n), out (n, rows)")
    cdef const real **arrays = [x_, out_]
    cdef idx *sizes = [rows * n, rows * n]
    require_arrays(arrays, sizes, 1, ("x", "out"))
    with nogil:
        transpose_core(x_, out_, rows, n)
