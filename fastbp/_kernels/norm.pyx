# cython: boundscheck=False
"""Batch normalisation over the columns of a batch."""
from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real, require, require_arrays

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_batch_norm_forward(...)
    void fbp_batch_norm_backward(...)

fbp_active = isa.active()


cdef void batch_norm_forward_core(const real *x, const real *gamma, const real *beta, real *out,
                                  real *normal, real *inverse, real *running_mean,
                                  real *running_var, double eps, double momentum,
                                  bint sample_variance, idx rows, idx n) noexcept nogil:
    fbp_batch_norm_forward(x, gamma, beta, out, normal, inverse, running_mean, running_var, eps,
                           momentum, sample_variance, rows, n, n)


cdef void batch_norm_backward_core(const real *dout, const real *normal, const real *inverse,
                                   const real *gamma, real *dx, real *dgamma, real *dbeta,
                                   idx rows, idx n) noexcept nogil:
    fbp_batch_norm_backward(dout, normal, inverse, gamma, dx, dgamma, dbeta, rows, n, n)


def batch_norm_forward(
    const real[:, ::1] x not None,      # IN
    const real[::1] gamma not None,     # IN
    const real[::1] beta not None,      # IN
    real[:, ::1] out not None,          # OUT
    real[:, ::1] normal not None,       # OUT
    real[::1] inverse not None,         # OUT
    real[::1] running_mean not None,    # IN, OUT
    real[::1] running_var not None,     # IN, OUT
    double eps,
    double momentum,
    bint sample_variance,
):
    """normal = (x - mean) inverse, inverse = 1 / sqrt(var + eps);  out = gamma normal + beta

    mean and var are those of each column of the batch.  The running statistics become
    momentum running + (1 - momentum) new; with `sample_variance` the variance is by rows - 1.

    Parameters
    ----------
    x : (rows, n), rows >= 1
    gamma, beta : (n,)
    out, normal : (rows, n), overwritten.
    inverse : (n,), overwritten.
    running_mean, running_var : (n,), updated in place.
    eps, momentum : float
    sample_variance : bool

    Raises
    ------
    ValueError
        For shapes that do not fit, unaligned arrays, or overlaps.

    References
    ----------
    Ioffe & Szegedy, Batch normalization (2015), algorithm 1.
    """
    cdef idx rows = x.shape[0], n = x.shape[1]
    require(rows > 0 and out.shape[0] == rows and out.shape[1] == n and normal.shape[0] == rows
            and normal.shape[1] == n and gamma.shape[0] == n and beta.shape[0] == n
            and inverse.shape[0] == n and running_mean.shape[0] == n
            and running_var.shape[0] == n,
            "batch_norm_forward expects x, out, normal (rows, n), and the others (n,)")
    cdef const real **arrays = [
        &x[0, 0], &gamma[0], &beta[0],
        &out[0, 0], &normal[0, 0], &inverse[0], &running_mean[0], &running_var[0],
    ]
    cdef idx *sizes = [rows * n, n, n, rows * n, rows * n, n, n, n]
    require_arrays(arrays, sizes, 3, (
        "x", "gamma", "beta", "out", "normal", "inverse", "running_mean", "running_var"))
    with nogil:
        batch_norm_forward_core(&x[0, 0], &gamma[0], &beta[0], &out[0, 0], &normal[0, 0],
                                &inverse[0], &running_mean[0], &running_var[0], eps, momentum,
                                sample_variance, rows, n)


def batch_norm_backward(
    const real[:, ::1] dout not None,    # IN
    const real[:, ::1] normal not None,  # IN
    const real[::1] inverse not None,    # IN
    const real[::1] gamma not None,      # IN
    real[:, ::1] dx not None,            # OUT
    real[::1] dgamma not None,           # OUT
    real[::1] dbeta not None,            # OUT
):
    """dgamma = sum_r dout normal;  dbeta = sum_r dout;
    dx = gamma inverse (dout - (dbeta + normal dgamma) / rows)

    Parameters
    ----------
    dout, normal : (rows, n)
    inverse, gamma : (n,)
    dx : (rows, n), overwritten.
    dgamma, dbeta : (n,), overwritten.

    Raises
    ------
    ValueError
        For shapes that do not fit, unaligned arrays, or overlaps.

    References
    ----------
    Ioffe & Szegedy, Batch normalization (2015), section 3.
    """
    cdef idx rows = dout.shape[0], n = dout.shape[1]
    require(rows > 0 and normal.shape[0] == rows and normal.shape[1] == n
            and dx.shape[0] == rows and dx.shape[1] == n and inverse.shape[0] == n
            and gamma.shape[0] == n and dgamma.shape[0] == n and dbeta.shape[0] == n,
            "batch_norm_backward expects dout, normal, dx (rows, n), and the others (n,)")
    cdef const real **arrays = [
        &dout[0, 0], &normal[0, 0], &inverse[0], &gamma[0], &dx[0, 0], &dgamma[0], &dbeta[0],
    ]
    cdef idx *sizes = [rows * n, rows * n, n, n, rows * n, n, n]
    require_arrays(arrays, sizes, 4, (
        "dout", "normal", "inverse", "gamma", "dx", "dgamma", "dbeta"))
    with nogil:
        batch_norm_backward_core(&dout[0, 0], &normal[0, 0], &inverse[0], &gamma[0], &dx[0, 0],
                                 &dgamma[0], &dbeta[0], rows, n)
