# cython: boundscheck=False
"""Element-wise activations and their gradients, over flat arrays: one function each way for all.

An activation is a row of operations.h, known here by its name and by its number, its kind.  The
`*_core` are the pointer functions (cimport them).  An output may be the very array an input is, but
not a shifted part of it.
"""
cimport numpy as cnp

from fastbp._kernels cimport isa
from fastbp._kernels.arrays cimport float_array
from fastbp._kernels.contract cimport idx, real, refuse, require_same_or_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_activation_forward(...)
    void fbp_activation_backward(...)

cnp.import_array()
fbp_active = isa.active()

cdef dict _KINDS = {isa.fbp_activations[kind].name.decode(): kind
                    for kind in range(isa.FBP_N_ACTIVATIONS)}


def activations():
    """(kind, whether the gradient is computed from the output, how many numbers) by name."""
    return {name: (kind, isa.fbp_activations[kind].reads == isa.FBP_OUTPUT,
                   isa.fbp_activations[kind].numbers) for name, kind in _KINDS.items()}


cdef bint reads_output(int kind) noexcept nogil:
    return isa.fbp_activations[kind].reads == isa.FBP_OUTPUT


cdef void activation_forward_core(const real *x, real *out, int kind, double a, double b,
                                  idx n) noexcept nogil:
    fbp_activation_forward(x, out, kind, a, b, n)


cdef void activation_backward_core(const real *dout, const real *read, real *dx, int kind, double a,
                                   double b, idx n) noexcept nogil:
    fbp_activation_backward(dout, read, dx, kind, a, b, n)


cdef int _kind_of(str name, tuple numbers, double *a, double *b) except -1:
    kind = _KINDS.get(name)
    if kind is None:
        refuse("An activation is one of " + ", ".join(_KINDS), repr(name))
    cdef int given = len(numbers), expected = isa.fbp_activations[<int> kind].numbers
    if given != expected:
        refuse(f"{name} expects {expected} numbers", f"{given}")
    if given > 0:
        a[0] = numbers[0]
    if given > 1:
        b[0] = numbers[1]
    return kind


cdef int _forward(const real *x, real *out, idx n, int kind, double a, double b) except -1:
    require_same_or_apart(out, x, n, "out")
    with nogil:
        activation_forward_core(x, out, kind, a, b, n)
    return 0


cdef int _backward(const real *dout, const real *read, real *dx, idx n, int kind, double a,
                   double b) except -1:
    require_same_or_apart(dx, dout, n, "dx")
    require_same_or_apart(dx, read, n, "dx")
    with nogil:
        activation_backward_core(dout, read, dx, kind, a, b, n)
    return 0


def activation_forward(str name not None, x, out, *numbers):
    """out = the activation of every element of x

    Parameters
    ----------
    name : str
        A row of operations.h, as "relu".
    x : (n,)
    out : (n,), overwritten; may be `x` itself.
    numbers : float
        As many as the row has, as the slope of "leaky_relu".

    Raises
    ------
    ValueError
        For another name or count of numbers, lengths or dtypes that differ, arrays that are not
        plain vectors, or a partial overlap.
    """
    cdef double a = 0, b = 0
    cdef int kind = _kind_of(name, numbers, &a, &b), typenum = float_array(x, "x", 1, False)
    cdef idx n = cnp.PyArray_SIZE(<cnp.ndarray> x)
    if (float_array(out, "out", 1, True) != typenum
            or cnp.PyArray_SIZE(<cnp.ndarray> out) != n):
        refuse("An activation expects out of x's length and dtype", "another")
    if typenum == cnp.NPY_FLOAT:
        _forward(<float *> cnp.PyArray_DATA(x), <float *> cnp.PyArray_DATA(out), n, kind, a, b)
    else:
        _forward(<double *> cnp.PyArray_DATA(x), <double *> cnp.PyArray_DATA(out), n, kind, a, b)


def activation_backward(str name not None, dout, read, dx, *numbers):
    """dx = dout times the activation's derivative, element by element

    Parameters
    ----------
    name : str
        A row of operations.h, as "relu".
    dout : (n,), the loss's gradient by the forward's output.
    read : (n,), the forward's output or its input, as the row says.
    dx : (n,), overwritten; may be `dout` or `read` itself.
    numbers : float
        As many as the row has.

    Raises
    ------
    ValueError
        For another name or count of numbers, lengths or dtypes that differ, arrays that are not
        plain vectors, or a partial overlap.
    """
    cdef double a = 0, b = 0
    cdef int kind = _kind_of(name, numbers, &a, &b), typenum = float_array(read, "read", 1, False)
    cdef idx n = cnp.PyArray_SIZE(<cnp.ndarray> read)
    if (float_array(dout, "dout", 1, False) != typenum
            or cnp.PyArray_SIZE(<cnp.ndarray> dout) != n
            or float_array(dx, "dx", 1, True) != typenum
            or cnp.PyArray_SIZE(<cnp.ndarray> dx) != n):
        refuse("An activation's gradient expects dout, read and dx of one length and dtype",
               "others")
    if typenum == cnp.NPY_FLOAT:
        _backward(<float *> cnp.PyArray_DATA(dout), <float *> cnp.PyArray_DATA(read),
                  <float *> cnp.PyArray_DATA(dx), n, kind, a, b)
    else:
        _backward(<double *> cnp.PyArray_DATA(dout), <double *> cnp.PyArray_DATA(read),
                  <double *> cnp.PyArray_DATA(dx), n, kind, a, b)
