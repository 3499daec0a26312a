cdef extern from "kernels.h" nogil:
    ctypedef struct fbp_kernels:
        const char *name
        int vector_bytes

cdef const fbp_kernels *active() noexcept nogil
