# cython: boundscheck=False
"""Element-wise activations and their gradients, over flat arrays: one function each way for all.

An activation is a row of operations.h, known here by its name and by its number, its kind.  The
`*_core` are the pointer functions (cimport them).  An output may be the very array an input is, but
not a shifted part of it.
"""
cimport numpy as cnp

from fastbp._kernels cimport isa
from fastbp._kernels.arrays cimport dim, float_array, kind_of, memory
from fastbp._kernels.contract cimport idx, real, refuse, require_same_or_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_activation_forward(...)
    void fbp_activation_backward(...)

cnp.import_array()
fbp_active = isa.active()

cdef dict _ROWS = {
    isa.fbp_activations[kind].name.decode():
    (kind, isa.fbp_activations[kind].reads == isa.FBP_OUTPUT, isa.fbp_activations[kind].numbers)
    for kind in range(isa.FBP_N_ACTIVATIONS)
}


def activations():
    """(kind, whether the gradient is computed from the output, how many numbers) by name."""
    return dict(_ROWS)


cdef bint reads_output(int kind) noexcept nogil:
    return isa.fbp_activations[kind].reads == isa.FBP_OUTPUT


cdef void activation_forward_core(const real *x, real *out, int kind, double a, double b,
                                  idx n) noexcept nogil:
    fbp_activation_forward(x, out, kind, a, b, n)


cdef void activation_backward_core(const real *dout, const real *read, real *dx, int kind, double a,
                                   double b, idx n) noexcept nogil:
    fbp_activation_backward(dout, read, dx, kind, a, b, n)


cdef int _forward(const real *x, real *out, idx n, int kind, const double *pair) except -1:
    require_same_or_apart(out, x, n, "out")
    with nogil:
        activation_forward_core(x, out, kind, pair[0], pair[1], n)
    return 0


cdef int _backward(const real *dout, const real *read, real *dx, idx n, int kind,
                   const double *pair) except -1:
    require_same_or_apart(dx, dout, n, "dx")
    require_same_or_apart(dx, read, n, "dx")
    with nogil:
        activation_backward_core(dout, read, dx, kind, pair[0], pair[1], n)
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
    cdef double[2] pair = [0, 0]
    cdef int kind = kind_of(_ROWS, "An activation", name, numbers, pair)
    cdef int typenum = float_array(x, "x", 1, False)
    cdef idx n = dim(x, 0)
    if float_array(out, "out", 1, True) != typenum or dim(out, 0) != n:
        refuse("An activation expects out of x's length and dtype", "another")
    if typenum == cnp.NPY_FLOAT:
        _forward(<float *> memory(x), <float *> memory(out), n, kind, pair)
    else:
        _forward(<double *> memory(x), <double *> memory(out), n, kind, pair)


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
    cdef double[2] pair = [0, 0]
    cdef int kind = kind_of(_ROWS, "An activation", name, numbers, pair)
    cdef int typenum = float_array(read, "read", 1, False)
    cdef idx n = dim(read, 0)
    if (float_array(dout, "dout", 1, False) != typenum or dim(dout, 0) != n
            or float_array(dx, "dx", 1, True) != typenum or dim(dx, 0) != n):
        refuse("An activation's gradient expects dout, read and dx of one length and dtype",
               "others")
    if typenum == cnp.NPY_FLOAT:
        _backward(<float *> memory(dout), <float *> memory(read), <float *> memory(dx), n, kind,
                  pair)
    else:
        _backward(<double *> memory(dout), <double *> memory(read), <double *> memory(dx), n, kind,
                  pair)
