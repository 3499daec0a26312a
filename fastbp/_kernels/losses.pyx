# cython: boundscheck=False
"""Losses, each with the activation it belongs to, and their gradients.

A forward returns the sum over the samples; averaging is the caller's, and reaches a backward
as its `scale`.  `*_core` are the pointer functions (cimport them).  Losses are exact: the
log-sum-exp of each row, not log(y + 1e-7).
"""
from libc.stdint cimport int64_t

from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real, require, require_aligned, require_same_or_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_softmax_forward(...)
    double fbp_softmax_cross_entropy_forward(...)
    void fbp_softmax_cross_entropy_backward(...)
    double fbp_soft_cross_entropy_forward(...)
    void fbp_soft_cross_entropy_backward(...)
    double fbp_sigmoid_cross_entropy_forward(...)
    void fbp_sigmoid_cross_entropy_backward(...)
    double fbp_squared_error_forward(...)
    void fbp_squared_error_backward(...)
    double fbp_absolute_error_forward(...)
    void fbp_absolute_error_backward(...)
    double fbp_huber_forward(...)
    void fbp_huber_backward(...)
    double fbp_quantile_forward(...)
    void fbp_quantile_backward(...)
    double fbp_poisson_forward(...)
    void fbp_poisson_backward(...)

fbp_active = isa.active()


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


cdef double sigmoid_cross_entropy_forward_core(const real *x, const real *t, real *y,
                                               idx n) noexcept nogil:
    return fbp_sigmoid_cross_entropy_forward(x, t, y, n)


cdef void sigmoid_cross_entropy_backward_core(const real *y, const real *t, double scale,
                                              real *dx, idx n) noexcept nogil:
    fbp_sigmoid_cross_entropy_backward(y, t, scale, dx, n)


cdef double squared_error_forward_core(const real *y, const real *t, idx n) noexcept nogil:
    return fbp_squared_error_forward(y, t, n)


cdef void squared_error_backward_core(const real *y, const real *t, double scale, real *dx,
                                      idx n) noexcept nogil:
    fbp_squared_error_backward(y, t, scale, dx, n)


cdef double absolute_error_forward_core(const real *y, const real *t, idx n) noexcept nogil:
    return fbp_absolute_error_forward(y, t, n)


cdef void absolute_error_backward_core(const real *y, const real *t, double scale, real *dx,
                                       idx n) noexcept nogil:
    fbp_absolute_error_backward(y, t, scale, dx, n)


cdef double huber_forward_core(const real *y, const real *t, double delta,
                               idx n) noexcept nogil:
    return fbp_huber_forward(y, t, delta, n)


cdef void huber_backward_core(const real *y, const real *t, double delta, double scale,
                              real *dx, idx n) noexcept nogil:
    fbp_huber_backward(y, t, delta, scale, dx, n)


cdef double quantile_forward_core(const real *y, const real *t, double quantile,
                                  idx n) noexcept nogil:
    return fbp_quantile_forward(y, t, quantile, n)


cdef void quantile_backward_core(const real *y, const real *t, double quantile, double scale,
                                 real *dx, idx n) noexcept nogil:
    fbp_quantile_backward(y, t, quantile, scale, dx, n)


cdef double poisson_forward_core(const real *x, const real *t, real *y, idx n) noexcept nogil:
    return fbp_poisson_forward(x, t, y, n)


cdef void poisson_backward_core(const real *y, const real *t, double scale, real *dx,
                                idx n) noexcept nogil:
    fbp_poisson_backward(y, t, scale, dx, n)


cdef int _check_indices(const int64_t *t, idx rows, idx n_out) except -1:
    cdef idx r
    require(rows == 0 or <size_t> t % sizeof(int64_t) == 0,
            "A kernel expects t aligned to its element size of 8 bytes", "another address")
    for r in range(rows):
        if not 0 <= t[r] < n_out:
            raise ValueError(f"t expects class indices 0..{n_out - 1}; got {t[r]} at row {r}")
    return 0


cdef int _check_pair(const real *a, str a_name, const real *b, str b_name, idx n) except -1:
    """An input and the output of the same shape, which may be one array."""
    require_aligned(a, n, a_name)
    require_aligned(b, n, b_name)
    return require_same_or_apart(b, a, n, b_name)


def softmax_forward(const real[:, ::1] x not None, real[:, ::1] y not None):
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
    cdef idx rows = x.shape[0], n_out = x.shape[1]
    require(n_out > 0 and y.shape[0] == rows and y.shape[1] == n_out,
            "softmax_forward expects x and y (rows, n_out)")
    _check_pair(&x[0, 0], "x", &y[0, 0], "y", rows * n_out)
    with nogil:
        softmax_forward_core(&x[0, 0], &y[0, 0], rows, n_out)


def softmax_cross_entropy_forward(
    const real[:, ::1] x not None,    # IN
    const int64_t[::1] t not None,    # IN
    real[:, ::1] y not None,          # OUT
):
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
    cdef idx rows = x.shape[0], n_out = x.shape[1]
    cdef double loss
    require(n_out > 0 and t.shape[0] == rows and y.shape[0] == rows and y.shape[1] == n_out,
            "softmax_cross_entropy_forward expects x and y (rows, n_out), t (rows,)")
    _check_indices(&t[0], rows, n_out)
    _check_pair(&x[0, 0], "x", &y[0, 0], "y", rows * n_out)
    with nogil:
        loss = softmax_cross_entropy_forward_core(&x[0, 0], &t[0], &y[0, 0], rows, n_out)
    return loss


def softmax_cross_entropy_backward(
    const real[:, ::1] y not None,    # IN
    const int64_t[::1] t not None,    # IN
    double scale,
    real[:, ::1] dx not None,         # OUT
):
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
    cdef idx rows = y.shape[0], n_out = y.shape[1]
    require(n_out > 0 and t.shape[0] == rows and dx.shape[0] == rows and dx.shape[1] == n_out,
            "softmax_cross_entropy_backward expects y and dx (rows, n_out), t (rows,)")
    _check_indices(&t[0], rows, n_out)
    _check_pair(&y[0, 0], "y", &dx[0, 0], "dx", rows * n_out)
    with nogil:
        softmax_cross_entropy_backward_core(&y[0, 0], &t[0], scale, &dx[0, 0], rows, n_out)


def soft_cross_entropy_forward(
    const real[:, ::1] x not None,  # IN
    const real[:, ::1] t not None,  # IN
    real[:, ::1] y not None,        # OUT
):
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
    cdef idx rows = x.shape[0], n_out = x.shape[1]
    cdef double loss
    require(n_out > 0 and t.shape[0] == rows and t.shape[1] == n_out
            and y.shape[0] == rows and y.shape[1] == n_out and &t[0, 0] != &y[0, 0],
            "soft_cross_entropy_forward expects x, t and y (rows, n_out), y not t")
    _check_pair(&x[0, 0], "x", &y[0, 0], "y", rows * n_out)
    _check_pair(&t[0, 0], "t", &y[0, 0], "y", rows * n_out)
    with nogil:
        loss = soft_cross_entropy_forward_core(&x[0, 0], &t[0, 0], &y[0, 0], rows, n_out)
    return loss


def soft_cross_entropy_backward(
    const real[:, ::1] y not None,  # IN
    const real[:, ::1] t not None,  # IN
    double scale,
    real[:, ::1] dx not None,       # OUT
):
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
    cdef idx rows = y.shape[0], n_out = y.shape[1]
    require(t.shape[0] == rows and t.shape[1] == n_out
            and dx.shape[0] == rows and dx.shape[1] == n_out,
            "soft_cross_entropy_backward expects y, t and dx (rows, n_out)")
    _check_pair(&y[0, 0], "y", &dx[0, 0], "dx", rows * n_out)
    _check_pair(&t[0, 0], "t", &dx[0, 0], "dx", rows * n_out)
    with nogil:
        soft_cross_entropy_backward_core(&y[0, 0], &t[0, 0], scale, &dx[0, 0], rows, n_out)


def sigmoid_cross_entropy_forward(
    const real[::1] x not None,  # IN
    const real[::1] t not None,  # IN
    real[::1] y not None,        # OUT
):
    """sum of max(x, 0) - x t + log(1 + exp(-|x|)), and y = sigmoid(x)

    Parameters
    ----------
    x : (n,), logits
    t : (n,), probabilities in [0, 1]
    y : (n,), overwritten; may be `x` itself.

    Returns
    -------
    float
        The sum over the elements, in nats.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, a partial overlap.
    """
    cdef idx n = x.shape[0]
    cdef double loss
    require(t.shape[0] == n and y.shape[0] == n,
            "sigmoid_cross_entropy_forward expects x, t and y of one length")
    _check_pair(&x[0], "x", &y[0], "y", n)
    _check_pair(&t[0], "t", &y[0], "y", n)
    with nogil:
        loss = sigmoid_cross_entropy_forward_core(&x[0], &t[0], &y[0], n)
    return loss


def sigmoid_cross_entropy_backward(
    const real[::1] y not None,  # IN
    const real[::1] t not None,  # IN
    double scale,
    real[::1] dx not None,       # OUT
):
    """dx = scale (y - t)

    Parameters
    ----------
    y : (n,), the forward's sigmoid
    t : (n,), probabilities in [0, 1]
    scale : float, 1 / n for the mean over the elements
    dx : (n,), overwritten; may be `y` or `t` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, a partial overlap.
    """
    cdef idx n = y.shape[0]
    require(t.shape[0] == n and dx.shape[0] == n,
            "sigmoid_cross_entropy_backward expects y, t and dx of one length")
    _check_pair(&y[0], "y", &dx[0], "dx", n)
    _check_pair(&t[0], "t", &dx[0], "dx", n)
    with nogil:
        sigmoid_cross_entropy_backward_core(&y[0], &t[0], scale, &dx[0], n)


def squared_error_forward(const real[::1] y not None, const real[::1] t not None):
    """sum of (y - t)^2

    Parameters
    ----------
    y, t : (n,)

    Returns
    -------
    float
        The sum over the elements, in the squared unit of `y`.

    Raises
    ------
    ValueError
        For lengths that differ or unaligned arrays.
    """
    cdef idx n = y.shape[0]
    cdef double loss
    require(t.shape[0] == n, "squared_error_forward expects y and t of one length")
    require_aligned(&y[0], n, "y")
    require_aligned(&t[0], n, "t")
    with nogil:
        loss = squared_error_forward_core(&y[0], &t[0], n)
    return loss


def squared_error_backward(
    const real[::1] y not None,  # IN
    const real[::1] t not None,  # IN
    double scale,
    real[::1] dx not None,       # OUT
):
    """dx = 2 scale (y - t)

    Parameters
    ----------
    y, t : (n,)
    scale : float, 1 / n for the mean over the elements
    dx : (n,), overwritten; may be `y` or `t` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, a partial overlap.
    """
    cdef idx n = y.shape[0]
    require(t.shape[0] == n and dx.shape[0] == n,
            "squared_error_backward expects y, t and dx of one length")
    _check_pair(&y[0], "y", &dx[0], "dx", n)
    _check_pair(&t[0], "t", &dx[0], "dx", n)
    with nogil:
        squared_error_backward_core(&y[0], &t[0], scale, &dx[0], n)


def absolute_error_forward(const real[::1] y not None, const real[::1] t not None):
    """sum of |y - t|

    Parameters
    ----------
    y, t : (n,)

    Returns
    -------
    float
        The sum over the elements, in the unit of `y`.

    Raises
    ------
    ValueError
        For lengths that differ or unaligned arrays.
    """
    cdef idx n = y.shape[0]
    cdef double loss
    require(t.shape[0] == n, "absolute_error_forward expects y and t of one length")
    require_aligned(&y[0], n, "y")
    require_aligned(&t[0], n, "t")
    with nogil:
        loss = absolute_error_forward_core(&y[0], &t[0], n)
    return loss


def absolute_error_backward(
    const real[::1] y not None,  # IN
    const real[::1] t not None,  # IN
    double scale,
    real[::1] dx not None,       # OUT
):
    """dx = scale sign(y - t), 0 where y = t

    Parameters
    ----------
    y, t : (n,)
    scale : float, 1 / n for the mean over the elements
    dx : (n,), overwritten; may be `y` or `t` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, a partial overlap.
    """
    cdef idx n = y.shape[0]
    require(t.shape[0] == n and dx.shape[0] == n,
            "absolute_error_backward expects y, t and dx of one length")
    _check_pair(&y[0], "y", &dx[0], "dx", n)
    _check_pair(&t[0], "t", &dx[0], "dx", n)
    with nogil:
        absolute_error_backward_core(&y[0], &t[0], scale, &dx[0], n)


def huber_forward(const real[::1] y not None, const real[::1] t not None,
                  double delta):
    """sum of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), d = y - t

    Parameters
    ----------
    y, t : (n,)
    delta : float, where the parabola ends

    Returns
    -------
    float
        The sum over the elements, in the squared unit of `y`.

    Raises
    ------
    ValueError
        For lengths that differ or unaligned arrays.

    References
    ----------
    Huber, Robust estimation of a location parameter (1964).
    """
    cdef idx n = y.shape[0]
    cdef double loss
    require(t.shape[0] == n, "huber_forward expects y and t of one length")
    require_aligned(&y[0], n, "y")
    require_aligned(&t[0], n, "t")
    with nogil:
        loss = huber_forward_core(&y[0], &t[0], delta, n)
    return loss


def huber_backward(
    const real[::1] y not None,  # IN
    const real[::1] t not None,  # IN
    double delta,
    double scale,
    real[::1] dx not None,       # OUT
):
    """dx = scale d, d kept between -delta and delta

    Parameters
    ----------
    y, t : (n,)
    delta : float, where the parabola ends
    scale : float, 1 / n for the mean over the elements
    dx : (n,), overwritten; may be `y` or `t` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, a partial overlap.
    """
    cdef idx n = y.shape[0]
    require(t.shape[0] == n and dx.shape[0] == n,
            "huber_backward expects y, t and dx of one length")
    _check_pair(&y[0], "y", &dx[0], "dx", n)
    _check_pair(&t[0], "t", &dx[0], "dx", n)
    with nogil:
        huber_backward_core(&y[0], &t[0], delta, scale, &dx[0], n)


def quantile_forward(const real[::1] y not None, const real[::1] t not None, double quantile):
    """sum of max(quantile (t - y), (1 - quantile) (y - t))

    Parameters
    ----------
    y, t : (n,)
    quantile : float, between 0 and 1

    Returns
    -------
    float
        The sum over the elements, in the unit of `y`.

    Raises
    ------
    ValueError
        For lengths that differ or unaligned arrays.

    References
    ----------
    Koenker & Bassett, Regression quantiles (1978).
    """
    cdef idx n = y.shape[0]
    cdef double loss
    require(t.shape[0] == n, "quantile_forward expects y and t of one length")
    require_aligned(&y[0], n, "y")
    require_aligned(&t[0], n, "t")
    with nogil:
        loss = quantile_forward_core(&y[0], &t[0], quantile, n)
    return loss


def quantile_backward(
    const real[::1] y not None,  # IN
    const real[::1] t not None,  # IN
    double quantile,
    double scale,
    real[::1] dx not None,       # OUT
):
    """dx = scale (1 - quantile) where y > t, -scale quantile where y < t, 0 where y = t

    Parameters
    ----------
    y, t : (n,)
    quantile : float, between 0 and 1
    scale : float, 1 / n for the mean over the elements
    dx : (n,), overwritten; may be `y` or `t` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, a partial overlap.
    """
    cdef idx n = y.shape[0]
    require(t.shape[0] == n and dx.shape[0] == n,
            "quantile_backward expects y, t and dx of one length")
    _check_pair(&y[0], "y", &dx[0], "dx", n)
    _check_pair(&t[0], "t", &dx[0], "dx", n)
    with nogil:
        quantile_backward_core(&y[0], &t[0], quantile, scale, &dx[0], n)


def poisson_forward(
    const real[::1] x not None,  # IN
    const real[::1] t not None,  # IN
    real[::1] y not None,        # OUT
):
    """sum of t log(t / y) - t + y, and y = exp(x); 0 log 0 is 0

    Parameters
    ----------
    x : (n,), logarithms of the predictions
    t : (n,), not negative
    y : (n,), overwritten; may be `x` itself.

    Returns
    -------
    float
        Half the Poisson deviance, summed over the elements.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, a partial overlap.

    References
    ----------
    McCullagh & Nelder, Generalized linear models (1989), section 2.3.
    """
    cdef idx n = x.shape[0]
    cdef double loss
    require(t.shape[0] == n and y.shape[0] == n,
            "poisson_forward expects x, t and y of one length")
    _check_pair(&x[0], "x", &y[0], "y", n)
    _check_pair(&t[0], "t", &y[0], "y", n)
    with nogil:
        loss = poisson_forward_core(&x[0], &t[0], &y[0], n)
    return loss


def poisson_backward(
    const real[::1] y not None,  # IN
    const real[::1] t not None,  # IN
    double scale,
    real[::1] dx not None,       # OUT
):
    """dx = scale (y - t)

    Parameters
    ----------
    y : (n,), the forward's predictions
    t : (n,), not negative
    scale : float, 1 / n for the mean over the elements
    dx : (n,), overwritten; may be `y` or `t` itself.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, a partial overlap.
    """
    cdef idx n = y.shape[0]
    require(t.shape[0] == n and dx.shape[0] == n,
            "poisson_backward expects y, t and dx of one length")
    _check_pair(&y[0], "y", &dx[0], "dx", n)
    _check_pair(&t[0], "t", &dx[0], "dx", n)
    with nogil:
        poisson_backward_core(&y[0], &t[0], scale, &dx[0], n)
