"""What every kernel's Python wrapper checks, and the words it says when it is broken.

Memoryviews already refuse a wrong dtype, a wrong number of dimensions, what is not
C-contiguous, and an output that is read-only; shapes, alignment and overlap are left.  The
modules whose only indices are addresses of first elements, `&x[0]`, which are not read where the
array is empty, switch Cython's bounds checks off in their first line, in a debug build, too.
"""
from libc.stdint cimport uintptr_t

ctypedef fused real:
    float
    double

ctypedef Py_ssize_t idx


cdef inline int require(bint holds, str expected, str came="arrays of other shapes") except -1:
    if not holds:
        raise ValueError(f"{expected}; got {came}.")
    return 0


cdef inline int refuse(str expected, str came) except -1:
    raise ValueError(f"{expected}; got {came}.")


cdef inline int require_aligned(const real *data, idx n, str name) except -1:
    """Refuses an address that elements cannot have; that of none is not looked at."""
    if n and <uintptr_t> data % sizeof(real):
        raise ValueError(f"A kernel expects {name} aligned to its element size of {sizeof(real)} "
                         "bytes; got another address.")
    return 0


cdef inline bint overlap(const real *out, idx n_out, const real *data, idx n) noexcept:
    return n_out != 0 and n != 0 and out < data + n and data < out + n_out


cdef inline int require_apart(const real *out, idx n_out, const real *data, idx n,
                              str name) except -1:
    """Refuses an output that overlaps an input."""
    if overlap(out, n_out, data, n):
        raise ValueError(f"A kernel expects {name} apart from its inputs and other outputs; got "
                         "memory that overlaps.")
    return 0


cdef inline int require_same_or_apart(const real *out, const real *data, idx n,
                                      str name) except -1:
    """Element-wise kernels may write over an input, but not over a shifted part of it."""
    if out != data:
        require_apart(out, n, data, n, name)
    return 0


cdef inline int require_arrays(const real **arrays, const idx *sizes, int n_inputs,
                               tuple names) except -1:
    """All aligned; the outputs, behind the inputs, apart from every array before them."""
    cdef int i, j, n = <int> len(names)
    cdef bint wrong = False
    for i in range(n):
        wrong |= sizes[i] != 0 and <uintptr_t> arrays[i] % sizeof(real) != 0
        for j in range(i if i >= n_inputs else 0):
            wrong |= overlap(arrays[i], sizes[i], arrays[j], sizes[j])
    return word_arrays(arrays, sizes, n_inputs, names) if wrong else 0


cdef inline int word_arrays(const real **arrays, const idx *sizes, int n_inputs,
                            tuple names) except -1:
    """What `require_arrays` says: names are objects, and only wanted here."""
    cdef int i, j
    for i in range(len(names)):
        require_aligned(arrays[i], sizes[i], names[i])
        for j in range(i if i >= n_inputs else 0):
            require_apart(arrays[i], sizes[i], arrays[j], sizes[j], names[i])
    return 0
