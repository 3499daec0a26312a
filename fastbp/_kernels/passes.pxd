"""What looks at the arrays of a pass."""
cimport numpy as cnp

from fastbp._kernels.arrays cimport dim, memory
from fastbp._kernels.contract cimport idx, real

cdef enum:
    LARGE = 65536  # multiplications from which on other threads may run meanwhile

cdef bint compiled_runs()
cdef bint are_classes(object t, idx rows, idx n) noexcept
cdef int affine_product(int typenum, object x, object W, object b, object out) except -1
cdef int affine_gradients(int typenum, object dout, object x, object W, object dx, object dW,
                          object db) except -1


cdef inline bint is_plain(object x, int typenum, int ndim):
    """Whether x is NumPy's own array as the kernels read it; an `ndim` of -1 stands for any."""
    return (cnp.PyArray_CheckExact(x) and cnp.PyArray_TYPE(<cnp.ndarray> x) == typenum
            and (ndim < 0 or cnp.PyArray_NDIM(<cnp.ndarray> x) == ndim)
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x))


cdef inline idx some_of(idx left, idx most) noexcept nogil:
    """Rows of the next block: none leaves a row alone, whose sums are made in another order."""
    return left if left <= most else most - (left - most == 1)


cdef inline void convert(const float *x, double *out, idx n) noexcept nogil:
    cdef idx i
    for i in range(n):
        out[i] = x[i]
