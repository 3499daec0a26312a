"""What other modules run on the engine's threads."""
from fastbp._kernels cimport isa

cdef void run_parts(isa.fbp_parts parts, void *work, int n_threads) noexcept nogil
