"""Where the arrays of a wrapper become pointers: what they have to be, and what is said of others.

Beside contract.pxd, as it takes NumPy's headers, which a user's Cython module may be built without.
"""
cimport numpy as cnp

from fastbp._kernels.contract cimport refuse


cdef inline int float_vector(object x, str name, bint written) except -1:
    """The type number of x, a plain vector of float32 or float64, or a refusal."""
    cdef cnp.ndarray array
    cdef int typenum
    if not cnp.PyArray_Check(x):
        raise TypeError(f"A kernel expects {name} as a NumPy array; got {type(x).__name__}.")
    array = <cnp.ndarray> x
    typenum = cnp.PyArray_TYPE(array)
    if typenum != cnp.NPY_FLOAT and typenum != cnp.NPY_DOUBLE:
        refuse(f"A kernel expects {name} of float32 or float64", f"{array.dtype}")
    if cnp.PyArray_NDIM(array) != 1:
        refuse(f"A kernel expects {name} of one axis", f"{cnp.PyArray_NDIM(array)}")
    if not cnp.PyArray_ISCARRAY_RO(array):
        refuse(f"A kernel expects {name} contiguous, aligned and of native byte order",
               "another layout")
    if written and not cnp.PyArray_ISWRITEABLE(array):
        refuse(f"A kernel expects {name} to write to", "a read-only array")
    return typenum
