"""Where the arrays of a wrapper become pointers: what they have to be, and what is said of others.

Beside contract.pxd, as it takes NumPy's headers, which a user's Cython module may be built without.
"""
cimport numpy as cnp

from fastbp._kernels.contract cimport idx, refuse


cdef inline int float_array(object x, str name, int ndim, bint written) except -1:
    """The type number of x, a plain array of float32 or float64, or a refusal."""
    cdef cnp.ndarray array
    cdef int typenum
    if not cnp.PyArray_Check(x):
        raise TypeError(f"A kernel expects {name} as a NumPy array; got {type(x).__name__}.")
    array = <cnp.ndarray> x
    typenum = cnp.PyArray_TYPE(array)
    if typenum != cnp.NPY_FLOAT and typenum != cnp.NPY_DOUBLE:
        refuse(f"A kernel expects {name} of float32 or float64", f"{array.dtype}")
    require_plain(array, name, ndim, written)
    return typenum


cdef inline int require_plain(cnp.ndarray array, str name, int ndim, bint written) except -1:
    if cnp.PyArray_NDIM(array) != ndim:
        refuse(f"A kernel expects {name} of {ndim} dimensions", f"{cnp.PyArray_NDIM(array)}")
    if not cnp.PyArray_ISCARRAY_RO(array):
        refuse(f"A kernel expects {name} contiguous, aligned and of native byte order",
               "another layout")
    if written and not cnp.PyArray_ISWRITEABLE(array):
        refuse(f"A kernel expects {name} to write to", "a read-only array")
    return 0


cdef inline int class_vector(object t, str name) except -1:
    """Refuses what is no plain vector of int64."""
    if not cnp.PyArray_Check(t):
        raise TypeError(f"A kernel expects {name} as a NumPy array; got {type(t).__name__}.")
    if not (cnp.PyArray_ISSIGNED(<cnp.ndarray> t) and cnp.PyArray_ITEMSIZE(<cnp.ndarray> t) == 8):
        refuse(f"A kernel expects {name} of int64", f"{t.dtype}")
    return require_plain(<cnp.ndarray> t, name, 1, False)


cdef inline idx dim(object x, int axis) noexcept:
    return cnp.PyArray_DIM(<cnp.ndarray> x, axis)


cdef inline void *memory(object x) noexcept:
    """Where an array's elements lie; NULL of None."""
    return NULL if x is None else cnp.PyArray_DATA(<cnp.ndarray> x)


cdef inline int kind_of(dict rows, str family, str name, tuple numbers, double *pair) except -1:
    """The kind of the row of that name, (kind, ..., how many numbers); its numbers go to `pair`."""
    cdef int i, given = len(numbers)
    row = rows.get(name)
    if row is None:
        refuse(f"{family} is one of " + ", ".join(rows), repr(name))
    if given != row[2]:
        refuse(f"{name} expects {row[2]} numbers", f"{given}")
    for i in range(given):
        pair[i] = numbers[i]
    return row[0]
