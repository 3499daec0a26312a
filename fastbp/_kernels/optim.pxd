from fastbp._kernels.contract cimport idx, real

cdef void sgd_update_core(real *param, const real *grad, real *velocity, double lr,
                          double momentum, bint nesterov, double weight_decay,
                          idx n) noexcept nogil
