from fastbp._kernels.contract cimport idx, real

cdef bint reads_output(int kind) noexcept nogil
cdef void activation_forward_core(const real *x, real *out, int kind, double a, double b,
                                  idx n) noexcept nogil
cdef void activation_backward_core(const real *dout, const real *read, real *dx, int kind, double a,
                                   double b, idx n) noexcept nogil
