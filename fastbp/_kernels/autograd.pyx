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
from libc.math cimport INFINITY, NAN, log, log1p, sqrt, pow as c_pow
from libc.stdint cimport int64_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy, memset

from fastbp._kernels cimport changes, isa
from fastbp._kernels.activations cimport (
    activation_backward_core, activation_forward_core, reads_output,
)
from fastbp._kernels.affine cimport affine_backward_core, affine_forward_core, transpose_core
from fastbp._kernels.losses cimport (
    softmax_cross_entropy_backward_core, softmax_cross_entropy_forward_core,
    loss_backward_core, loss_forward_core, softmax_forward_core,
)

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)
    object PyContext_Copy(object)
    int PyContext_Enter(object) except -1
    int PyContext_Exit(object) except -1

cdef extern from "numpy/arrayobject.h":
    PyObject *PyArray_BASE(cnp.ndarray)
    cnp.npy_intp PyArray_OverflowMultiplyList(cnp.npy_intp *, int)

ctypedef void (*loop_float)(const float *, int, const float *, int, float *, Py_ssize_t) noexcept
ctypedef void (*loop_double)(const double *, int, const double *, int, double *,
                             Py_ssize_t) noexcept
ctypedef void (*compare_float)(const float *, const float *, int, char *, Py_ssize_t) noexcept
ctypedef void (*compare_double)(const double *, const double *, int, char *, Py_ssize_t) noexcept
ctypedef void (*compare_int64)(const int64_t *, const int64_t *, int, char *,
                               Py_ssize_t) noexcept

cdef extern from "autograd.h":
    int fbp_grad_off
    const loop_float *fbp_float
    const loop_double *fbp_double
    const compare_float *fbp_compare_float
    const compare_double *fbp_compare_double
    const compare_int64 *fbp_compare_int64_t

ctypedef fused real:
    float
    double

ctypedef cnp.ndarray array
ctypedef object (*creator)(PyTypeObject *, object, PyObject *)

cnp.import_array()

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
cdef object current_kernels = None
cdef object compiled_kernels = None
cdef dict dtype_of = {}


def register(tensor, size, pairs, dtypes, binary, inplace, matmul, power, item, compare,
             view_changed, view_renewed, kernels, compiled, flag):
    """Name the class of results, of shapes, of pairs, the dtypes, and what serves the uncommon."""
    global tensor_type, size_type, slow_binary, slow_inplace, slow_matmul, slow_power
    global slow_item, slow_compare, pair_types
    global rebase_view, renew_view, current_kernels, compiled_kernels, checked_flag
    tensor_type, size_type, slow_binary, slow_inplace = tensor, size, binary, inplace
    slow_matmul, slow_power, slow_item, slow_compare = matmul, power, item, compare
    pair_types = pairs
    rebase_view, renew_view = view_changed, view_renewed
    current_kernels, compiled_kernels, checked_flag = kernels, compiled, flag
    dtype_of.update(dtypes)


include "tensors/arrays.pxi"
include "tensors/graph.pxi"
include "tensors/tensor.pxi"
include "tensors/operations.pxi"
include "tensors/layers.pxi"
include "tensors/function.pxi"
include "tensors/quick.pxi"
