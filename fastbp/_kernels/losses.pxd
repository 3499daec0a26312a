from libc.stdint cimport int64_t

from fastbp._kernels.contract cimport idx, real

cdef void softmax_forward_core(const real *x, real *y, idx rows, idx n_out) noexcept nogil
cdef double softmax_cross_entropy_forward_core(const real *x, const int64_t *t, real *y,
                                               idx rows, idx n_out) noexcept nogil
cdef void softmax_cross_entropy_backward_core(const real *y, const int64_t *t, double scale,
                                              real *dx, idx rows, idx n_out) noexcept nogil
cdef double soft_cross_entropy_forward_core(const real *x, const real *t, real *y,
                                            idx rows, idx n_out) noexcept nogil
cdef void soft_cross_entropy_backward_core(const real *y, const real *t, double scale,
                                           real *dx, idx rows, idx n_out) noexcept nogil
cdef double sigmoid_cross_entropy_forward_core(const real *x, const real *t, real *y,
                                               idx n) noexcept nogil
cdef void sigmoid_cross_entropy_backward_core(const real *y, const real *t, double scale,
                                              real *dx, idx n) noexcept nogil
cdef double squared_error_forward_core(const real *y, const real *t, idx n) noexcept nogil
cdef void squared_error_backward_core(const real *y, const real *t, double scale, real *dx,
                                      idx n) noexcept nogil
cdef double absolute_error_forward_core(const real *y, const real *t, idx n) noexcept nogil
cdef void absolute_error_backward_core(const real *y, const real *t, double scale, real *dx,
                                       idx n) noexcept nogil
cdef double huber_forward_core(const real *y, const real *t, double delta, idx n) noexcept nogil
cdef void huber_backward_core(const real *y, const real *t, double delta, double scale, real *dx,
                              idx n) noexcept nogil
cdef double quantile_forward_core(const real *y, const real *t, double quantile,
                                  idx n) noexcept nogil
cdef void quantile_backward_core(const real *y, const real *t, double quantile, double scale,
                                 real *dx, idx n) noexcept nogil
cdef double poisson_forward_core(const real *x, const real *t, real *y, idx n) noexcept nogil
cdef void poisson_backward_core(const real *y, const real *t, double scale, real *dx,
                                idx n) noexcept nogil
