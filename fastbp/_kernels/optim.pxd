from libc.stdint cimport int64_t

from fastbp._kernels.contract cimport idx, real

cdef void sgd_update_core(real *param, const real *grad, real *velocity, double lr,
                          double momentum, bint nesterov, double weight_decay,
                          idx n) noexcept nogil
cdef void adagrad_update_core(real *param, const real *grad, real *square_sum, double lr,
                              double eps, double weight_decay, idx n) noexcept nogil
cdef void rmsprop_update_core(real *param, const real *grad, real *square_mean, real *velocity,
                              double lr, double alpha, double eps, double momentum,
                              double weight_decay, idx n) noexcept nogil
cdef void adam_update_core(real *param, const real *grad, real *mean, real *square_mean,
                           double lr, double beta_1, double beta_2, double eps,
                           double weight_decay, bint decoupled, int64_t step,
                           idx n) noexcept nogil
