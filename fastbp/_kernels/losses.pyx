# cython: boundscheck=False
"""Losses, each with the activation it belongs to, and their gradients.

A forward returns the sum over the samples; averaging is the caller's, and reaches a backward as its
`scale`.  Those over pairs of elements are rows of operations.h: one function each way for all.
`*_core` are the pointer functions (cimport them).  Losses are exact: the log-sum-exp of each row,
not log(y + 1e-7).
"""
cimport numpy as cnp
from libc.stdint cimport int64_t

from fastbp._kernels cimport isa
from fastbp._kernels.arrays cimport class_vector, dim, float_array, kind_of, memory
from fastbp._kernels.contract cimport idx, real, refuse, require_same_or_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_softmax_forward(...)
    double fbp_softmax_cross_entropy_forward(...)
    void fbp_softmax_cross_entropy_backward(...)
    double fbp_soft_cross_entropy_forward(...)
    void fbp_soft_cross_entropy_backward(...)
    double fbp_loss_forward(...)
    void fbp_loss_backward(...)

cnp.import_array()
fbp_active = isa.active()

cdef dict _ROWS = {
    isa.fbp_losses[kind].name.decode():
    (kind, bool(isa.fbp_losses[kind].keeps_y), isa.fbp_losses[kind].numbers)
    for kind in range(isa.FBP_N_LOSSES)
}


def losses():
    """(kind, whether y is kept for the gradient, how many numbers) by name."""
    return dict(_ROWS)


cdef bint keeps_y(int kind) noexcept nogil:
    return isa.fbp_losses[kind].keeps_y


cdef void softmax_forward_core(const real *x, real *y, idx rows, idx n_out) noexcept nogil:
    fbp_softmax_forward(x, y, rows, n_out)


cdef double softmax_cross_entropy_forward_core(const real *x, const int64_t *t, real *y,
                                               idx rows, idx n_out) noexcept nogil:
    return fbp_softmax_cross_entropy_forward(x, t, y, rows, n_out)


cdef void softmax_cross_entropy_backward_core(const real *y, const int64_t *t, double scale,
                                              real *dx, idx rows, idx n_out) noexcept nogil:
    fbp_softmax_cross_entropy_backward(y, t, scale, dx, rows, n_out)


cdef double soft_cross_entropy_forward_core(const real *x, const real *t, real *y,
                                            idx rows, idx n_out) noexcept nogil:
    return fbp_soft_cross_entropy_forward(x, t, y, rows, n_out)


cdef void soft_cross_entropy_backward_core(const real *y, const real *t, double scale,
                                           real *dx, idx rows, idx n_out) noexcept nogil:
    fbp_soft_cross_entropy_backward(y, t, scale, dx, rows, n_out)


cdef double loss_forward_core(const real *x, const real *t, real *y, int kind, double a,
                              idx n) noexcept nogil:
    return fbp_loss_forward(x, t, y, kind, a, n)


cdef void loss_backward_core(const real *y, const real *t, real *dx, int kind, double a,
                             double scale, idx n) noexcept nogil:
    fbp_loss_backward(y, t, dx, kind, a, scale, n)


# --- rows of classes -----------------------------------------------------------------------------

cdef inline bint _are_alike(int typenum, object x, object y):
    """Whether two matrices are of one dtype and shape."""
    return (cnp.PyArray_TYPE(<cnp.ndarray> y) == typenum and dim(x, 0) == dim(y, 0)
            and dim(x, 1) == dim(y, 1))


cdef int _check_indices(const int64_t *t, idx rows, idx n_out) except -1:
    cdef idx r
    for r in range(rows):
        if not 0 <= t[r] < n_out:
            raise ValueError(f"t expects class indices 0..{n_out - 1}; got {t[r]} at row {r}")
    return 0


cdef int _softmax(const real *x, real *y, idx rows, idx n_out) except -1:
    require_same_or_apart(y, x, rows * n_out, "y")
    with nogil:
        softmax_forward_core(x, y, rows, n_out)
    return 0


cdef double _hard_loss(const real *x, const int64_t *t, real *y, idx rows, idx n_out) except? -1:
    cdef double loss
    _check_indices(t, rows, n_out)
    require_same_or_apart(y, x, rows * n_out, "y")
    with nogil:
        loss = softmax_cross_entropy_forward_core(x, t, y, rows, n_out)
    return loss


cdef int _hard_gradient(const real *y, const int64_t *t, double scale, real *dx, idx rows,
                        idx n_out) except -1:
    _check_indices(t, rows, n_out)
    require_same_or_apart(dx, y, rows * n_out, "dx")
    with nogil:
        softmax_cross_entropy_backward_core(y, t, scale, dx, rows, n_out)
    return 0


cdef double _soft_loss(const real *x, const real *t, real *y, idx rows, idx n_out) except? -1:
    cdef double loss
    require_same_or_apart(y, x, rows * n_out, "y")
    require_same_or_apart(y, t, rows * n_out, "y")
    with nogil:
        loss = soft_cross_entropy_forward_core(x, t, y, rows, n_out)
    return loss


cdef int _soft_gradient(const real *y, const real *t, double scale, real *dx, idx rows,
                        idx n_out) except -1:
    require_same_or_apart(dx, y, rows * n_out, "dx")
    require_same_or_apart(dx, t, rows * n_out, "dx")
    with nogil:
        soft_cross_entropy_backward_core(y, t, scale, dx, rows, n_out)
    return 0


def softmax_forward(x, y):
    """y[r, j] = exp(x[r, j]) / sum_k exp(x[r, k]), the greatest x of a row taken off first

    Parameters
    ----------
    x : (rows, n_out), n_out >= 1
    y : (rows, n_out), overwritten; may be `x` itself.

    Raises
    ------
    ValueError
        For shapes that differ, unaligned arrays, or a partial overlap.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 3.5.
    """
    cdef int typenum = float_array(x, "x", 2, False)
    float_array(y, "y", 2, True)
    if dim(x, 1) == 0 or not _are_alike(typenum, x, y):
        refuse("softmax_forward expects x and y (rows, n_out)", "others")
    if typenum == cnp.NPY_FLOAT:
        _softmax(<float *> memory(x), <float *> memory(y), dim(x, 0), dim(x, 1))
    else:
        _softmax(<double *> memory(x), <double *> memory(y), dim(x, 0), dim(x, 1))


def softmax_cross_entropy_forward(x, t, y):
    """-sum_r log softmax(x[r])[t[r]], and y = softmax(x)

    Parameters
    ----------
    x : (rows, n_out), n_out >= 1
    t : (rows,) int64, class indices 0 .. n_out - 1
    y : (rows, n_out), overwritten; may be `x` itself.

    Returns
    -------
    float
        The sum over the rows, in nats.

    Raises
    ------
    ValueError
        For shapes that do not fit, indices out of range, unaligned arrays, a partial overlap.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), appendix A.
    """
    cdef int typenum = float_array(x, "x", 2, False)
    float_array(y, "y", 2, True)
    class_vector(t, "t")
    if dim(x, 1) == 0 or dim(t, 0) != dim(x, 0) or not _are_alike(typenum, x, y):
        refuse("softmax_cross_entropy_forward expects x and y (rows, n_out), t (rows,)", "others")
    if typenum == cnp.NPY_FLOAT:
        return _hard_loss(<float *> memory(x), <int64_t *> memory(t), <float *> memory(y),
                          dim(x, 0), dim(x, 1))
    return _hard_loss(<double *> memory(x), <int64_t *> memory(t), <double *> memory(y),
                      dim(x, 0), dim(x, 1))


def softmax_cross_entropy_backward(y, t, double scale, dx):
    """dx = scale (y - onehot(t))

    Parameters
    ----------
    y : (rows, n_out), the forward's softmax
    t : (rows,) int64, class indices
    scale : float, 1 / rows for the mean over the rows
    dx : (rows, n_out), overwritten; may be `y` itself.

    Raises
    ------
    ValueError
        For shapes that do not fit, indices out of range, unaligned arrays, a partial overlap.
    """
    cdef int typenum = float_array(y, "y", 2, False)
    float_array(dx, "dx", 2, True)
    class_vector(t, "t")
    if dim(y, 1) == 0 or dim(t, 0) != dim(y, 0) or not _are_alike(typenum, y, dx):
        refuse("softmax_cross_entropy_backward expects y and dx (rows, n_out), t (rows,)", "others")
    if typenum == cnp.NPY_FLOAT:
        _hard_gradient(<float *> memory(y), <int64_t *> memory(t), scale, <float *> memory(dx),
                       dim(y, 0), dim(y, 1))
    else:
        _hard_gradient(<double *> memory(y), <int64_t *> memory(t), scale, <double *> memory(dx),
                       dim(y, 0), dim(y, 1))


def soft_cross_entropy_forward(x, t, y):
    """-sum_r sum_j t[r, j] log softmax(x[r])[j], and y = softmax(x)

    Parameters
    ----------
    x : (rows, n_out), n_out >= 1
    t : (rows, n_out), rows of probabilities that sum to 1 (one-hot or soft)
    y : (rows, n_out), overwritten; may be `x` itself, not `t`.

    Returns
    -------
    float
        The sum over the rows, in nats.

    Raises
    ------
    ValueError
        For shapes that differ, unaligned arrays, a partial overlap.
    """
    cdef int typenum = float_array(x, "x", 2, False)
    float_array(t, "t", 2, False)
    float_array(y, "y", 2, True)
    if (dim(x, 1) == 0 or not _are_alike(typenum, x, t) or not _are_alike(typenum, x, y)
            or memory(t) == memory(y)):
        refuse("soft_cross_entropy_forward expects x, t and y (rows, n_out), y not t", "others")
    if typenum == cnp.NPY_FLOAT:
        return _soft_loss(<float *> memory(x), <float *> memory(t), <float *> memory(y), dim(x, 0),
                          dim(x, 1))
    return _soft_loss(<double *> memory(x), <double *> memory(t), <double *> memory(y), dim(x, 0),
                      dim(x, 1))


def soft_cross_entropy_backward(y, t, double scale, dx):
    """dx = scale (y - t)

    Parameters
    ----------
    y : (rows, n_out), the forward's softmax
    t : (rows, n_out), rows of probabilities
    scale : float, 1 / rows for the mean over the rows
    dx : (rows, n_out), overwritten; may be `y` or `t` itself.

    Raises
    ------
    ValueError
        For shapes that differ, unaligned arrays, a partial overlap.
    """
    cdef int typenum = float_array(y, "y", 2, False)
    float_array(t, "t", 2, False)
    float_array(dx, "dx", 2, True)
    if not (_are_alike(typenum, y, t) and _are_alike(typenum, y, dx)):
        refuse("soft_cross_entropy_backward expects y, t and dx (rows, n_out)", "others")
    if typenum == cnp.NPY_FLOAT:
        _soft_gradient(<float *> memory(y), <float *> memory(t), scale, <float *> memory(dx),
                       dim(y, 0), dim(y, 1))
    else:
        _soft_gradient(<double *> memory(y), <double *> memory(t), scale, <double *> memory(dx),
                       dim(y, 0), dim(y, 1))


# --- pairs of elements ---------------------------------------------------------------------------

cdef double _loss(const real *x, const real *t, real *y, idx n, int kind, double a) except? -1:
    cdef double loss
    if y != NULL:
        require_same_or_apart(y, x, n, "y")
        require_same_or_apart(y, t, n, "y")
    with nogil:
        loss = loss_forward_core(x, t, y, kind, a, n)
    return loss


cdef int _gradient(const real *y, const real *t, real *dx, idx n, int kind, double a,
                   double scale) except -1:
    require_same_or_apart(dx, y, n, "dx")
    require_same_or_apart(dx, t, n, "dx")
    with nogil:
        loss_backward_core(y, t, dx, kind, a, scale, n)
    return 0


def loss_forward(str name not None, x, t, y, *numbers):
    """The sum of a loss over pairs of elements

    Parameters
    ----------
    name : str
        A row of operations.h, as "squared".
    x : (n,), predictions, or logits
    t : (n,), targets
    y : (n,), overwritten, what "sigmoid" and "poisson" keep for their gradients; may be `x` itself.
        None for the others, whose gradients read x.
    numbers : float
        As many as the row has, as the delta of "huber".

    Returns
    -------
    float
        The sum over the elements.

    Raises
    ------
    ValueError
        For another name or count of numbers, lengths or dtypes that differ, arrays that are not
        plain vectors, or a partial overlap.
    """
    cdef double[1] a = [0]
    cdef int kind = kind_of(_ROWS, "A loss", name, numbers, a)
    cdef int typenum = float_array(x, "x", 1, False)
    cdef idx n = dim(x, 0)
    if (float_array(t, "t", 1, False) != typenum or dim(t, 0) != n
            or (y is not None) != keeps_y(kind)
            or y is not None and (float_array(y, "y", 1, True) != typenum or dim(y, 0) != n)):
        refuse("A loss expects x and t, and y where it keeps one, of one length and dtype",
               "others")
    if typenum == cnp.NPY_FLOAT:
        return _loss(<float *> memory(x), <float *> memory(t), <float *> memory(y), n, kind, a[0])
    return _loss(<double *> memory(x), <double *> memory(t), <double *> memory(y), n, kind, a[0])


def loss_backward(str name not None, y, t, double scale, dx, *numbers):
    """dx = scale times the derivative by the predictions

    Parameters
    ----------
    name : str
        A row of operations.h, as "squared".
    y : (n,), what forward kept, or x.
    t : (n,), targets
    scale : float, 1 / n for the mean over the elements
    dx : (n,), overwritten; may be `y` or `t` itself.
    numbers : float
        As many as the row has.

    Raises
    ------
    ValueError
        For another name or count of numbers, lengths or dtypes that differ, arrays that are not
        plain vectors, or a partial overlap.
    """
    cdef double[1] a = [0]
    cdef int kind = kind_of(_ROWS, "A loss", name, numbers, a)
    cdef int typenum = float_array(y, "y", 1, False)
    cdef idx n = dim(y, 0)
    if (float_array(t, "t", 1, False) != typenum or dim(t, 0) != n
            or float_array(dx, "dx", 1, True) != typenum or dim(dx, 0) != n):
        refuse("A loss's gradient expects y, t and dx of one length and dtype", "others")
    if typenum == cnp.NPY_FLOAT:
        _gradient(<float *> memory(y), <float *> memory(t), <float *> memory(dx), n, kind, a[0],
                  scale)
    else:
        _gradient(<double *> memory(y), <double *> memory(t), <double *> memory(dx), n, kind, a[0],
                  scale)
