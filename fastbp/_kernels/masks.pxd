from libc.stdint cimport uint64_t

from fastbp._kernels.contract cimport idx, real

cdef void dropout_core(const real *x, real *out, uint64_t key, double ratio, idx n) noexcept nogil
