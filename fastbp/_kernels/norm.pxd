from fastbp._kernels.contract cimport idx, real

cdef void batch_norm_forward_core(
    const real *x, const real *gamma, const real *beta, real *out, real *normal, real *inverse,
    real *running_mean, real *running_var, double eps, double momentum, bint sample_variance,
    idx rows, idx n) noexcept nogil
cdef void batch_norm_backward_core(
    const real *dout, const real *normal, const real *inverse, const real *gamma, real *dx,
    real *dgamma, real *dbeta, idx rows, idx n) noexcept nogil
