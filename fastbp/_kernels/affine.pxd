from fastbp._kernels.contract cimport idx, real

cdef int affine_forward_core(const real *x, const real *W, const real *b, real *out,
                             idx rows, idx n_in, idx n_out) noexcept nogil
cdef int affine_backward_core(const real *dout, const real *x, const real *W, real *dx,
                              real *dW, real *db, idx rows, idx n_in, idx n_out) noexcept nogil
cdef void bias_sum_core(const real *dout, real *db, idx rows, idx n_out) noexcept nogil
cdef void transpose_core(const real *x, real *out, idx rows, idx n) noexcept nogil
