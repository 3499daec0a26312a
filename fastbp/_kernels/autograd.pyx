"""The compiled core of `Tensor`: arrays that remember the operations they came from.

A *target* is what gradients flow into: a leaf (a tensor that requires grad), or the node of an
operation.  A node points to the targets of its operation's inputs and keeps what its gradient
needs: arrays, each with the version it had, never a tensor that it made.  So there are no
cycles, and what nobody holds is gone at once.

`Sweep` goes back through the nodes in the opposite order of their making.  A gradient that
comes into a target is first summed to the target's shape and converted to its dtype, which is
all that broadcasting and promotion ask of a gradient.

Design: operations on float arrays of at most `SMALL` elements are C loops, larger ones and
those that broadcast NumPy's, and all other dtypes and operands go to `fastbp.autograd`.
The parts are one module: tensors and nodes know each other.
"""
import contextvars
import functools
import inspect
import os
import threading
import types
import warnings
import weakref

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.dict cimport PyDict_GetItem
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.long cimport PyLong_AsDouble, PyLong_Check
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.math cimport INFINITY, sqrt, pow as c_pow
from libc.stdint cimport int64_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy, memset

from fastbp._kernels cimport changes, isa
from fastbp._kernels.activations cimport reads_output
from fastbp._kernels.arrays cimport memory
from fastbp._kernels.passes cimport (
    affine_gradients, affine_product, are_classes, compiled_runs, LARGE,
)

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)
    object PyContext_Copy(object)
    int PyContext_Enter(object) except -1
    int PyContext_Exit(object) except -1

cdef extern from "numpy/arrayobject.h":
    PyObject *PyArray_BASE(cnp.ndarray)
    cnp.npy_intp PyArray_OverflowMultiplyList(cnp.npy_intp *, int)

cdef extern from "autograd.h":
    int fbp_grad_off
    ctypedef void (*fbp_loop)(const void *, int, const void *, int, void *, Py_ssize_t) noexcept
    ctypedef void (*fbp_comparison)(const void *, const void *, int, void *, Py_ssize_t) noexcept
    const fbp_loop[2][4] fbp_loops
    const fbp_comparison[3][6] fbp_comparisons
    void fbp_clamp(int typenum, void *x, double low, double high, void *out, Py_ssize_t n)
    void fbp_sum(int typenum, void *x, void *out, Py_ssize_t outer, Py_ssize_t n, Py_ssize_t inner)
    void fbp_extreme(int typenum, void *x, bint smallest, void *places, void *found,
                     Py_ssize_t outer, Py_ssize_t n, Py_ssize_t inner)
    void fbp_logs(int typenum, void *x, void *y, Py_ssize_t rows, Py_ssize_t n)
    double fbp_bce(int typenum, void *x, void *t, Py_ssize_t n)
    void fbp_bce_slopes(int typenum, void *x, void *t, double scale, void *dx, void *dt,
                        Py_ssize_t n)

cdef extern from "call.h":
    const isa.fbp_kernels *fbp_active
    int fbp_affine_forward_of(...)
    int fbp_affine_backward_of(...)
    void fbp_transpose_of(...)
    void fbp_activation_forward_of(...)
    void fbp_activation_backward_of(...)
    void fbp_softmax_forward_of(...)
    double fbp_softmax_cross_entropy_forward_of(...)
    void fbp_softmax_cross_entropy_backward_of(...)
    double fbp_loss_forward_of(...)
    void fbp_loss_backward_of(...)

ctypedef cnp.ndarray array
ctypedef object (*creator)(PyTypeObject *, object, PyObject *)

cnp.import_array()
fbp_active = isa.active()

cdef enum:
    ADD, SUBTRACT, MULTIPLY, DIVIDE

cdef enum:
    SMALL = 1024  # elements of the arrays that C loops take
    SHOWN = 64  # elements of the results that a node keeps to be looked at
    INLINE_DIMS = 4
    INLINE_NODES = 24

cdef tuple UFUNCS = (np.add, np.subtract, np.multiply, np.true_divide)
cdef object matmul_ufunc = np.matmul
cdef object sum_ufunc = np.add.reduce
cdef object power_ufunc = np.power
cdef object sqrt_ufunc = np.sqrt
cdef tuple EMPTY = ()

# NumPy warns of overflow and of 1 / 0, PyTorch does not.  A context in which the warnings are
# off is entered about five times quicker than np.errstate.
with np.errstate(all="ignore"):
    _QUIET = contextvars.copy_context()
cdef object QUIET = _QUIET


cpdef object quiet(object function, tuple args, dict keywords=None):
    """``function(*args, **keywords)`` without NumPy's warnings of overflow and of 1 / 0."""
    context = PyContext_Copy(QUIET)
    PyContext_Enter(context)
    try:
        return function(*args) if keywords is None else function(*args, **keywords)
    finally:
        PyContext_Exit(context)


# --- the classes that fastbp.autograd brings -----------------------------------------------------

cdef object tensor_type = None
cdef object size_type = tuple
cdef object slow_binary = None
cdef object slow_inplace = None
cdef object checked_flag = None
cdef object slow_matmul = None
cdef object slow_power = None
cdef object slow_item = None
cdef object slow_compare = None
cdef dict pair_types = None
cdef object rebase_view = None
cdef object renew_view = None
cdef dict dtype_of = {}


def register(tensor, size, pairs, dtypes, binary, inplace, matmul, power, item, compare,
             view_changed, view_renewed, flag):
    """Name the class of results, of shapes, of pairs, the dtypes, and what serves the uncommon."""
    global tensor_type, size_type, slow_binary, slow_inplace, slow_matmul, slow_power
    global slow_item, slow_compare, pair_types
    global rebase_view, renew_view, checked_flag
    tensor_type, size_type, slow_binary, slow_inplace = tensor, size, binary, inplace
    slow_matmul, slow_power, slow_item, slow_compare = matmul, power, item, compare
    pair_types, checked_flag = pairs, flag
    rebase_view, renew_view = view_changed, view_renewed
    dtype_of.update(dtypes)


include "tensors/arrays.pxi"
include "tensors/graph.pxi"
include "tensors/tensor.pxi"
include "tensors/operations.pxi"
include "tensors/layers.pxi"
include "tensors/function.pxi"
include "tensors/quick.pxi"
