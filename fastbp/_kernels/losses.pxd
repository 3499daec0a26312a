from libc.stdint cimport int64_t

from fastbp._kernels.contract cimport idx, real

cdef bint keeps_y(int kind) noexcept nogil
cdef void softmax_forward_core(const real *x, real *y, idx rows, idx n_out) noexcept nogil
cdef double softmax_cross_entropy_forward_core(const real *x, const int64_t *t, real *y,
                                               idx rows, idx n_out) noexcept nogil
cdef void softmax_cross_entropy_backward_core(const real *y, const int64_t *t, double scale,
                                              real *dx, idx rows, idx n_out) noexcept nogil
cdef double soft_cross_entropy_forward_core(const real *x, const real *t, real *y,
                                            idx rows, idx n_out) noexcept nogil
cdef void soft_cross_entropy_backward_core(const real *y, const real *t, double scale,
                                           real *dx, idx rows, idx n_out) noexcept nogil
cdef double loss_forward_core(const real *x, const real *t, real *y, int kind, double a,
                              idx n) noexcept nogil
cdef void loss_backward_core(const real *y, const real *t, real *dx, int kind, double a,
                             double scale, idx n) noexcept nogil
