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
"""
import contextvars
import functools
import inspect
import types
import warnings
import weakref

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.long cimport PyLong_AsDouble, PyLong_Check
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.math cimport sqrt, pow as c_pow
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy, memset

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)

cdef extern from "numpy/arrayobject.h":
    PyObject *PyArray_BASE(cnp.ndarray)

ctypedef void (*loop_float)(const float *, int, const float *, int, float *, Py_ssize_t) noexcept
ctypedef void (*loop_double)(const double *, int, const double *, int, double *,
                             Py_ssize_t) noexcept

cdef extern from "autograd.h":
    int fbp_grad_off
    const loop_float *fbp_float
    const loop_double *fbp_double

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
cdef tuple EMPTY = ()

# NumPy warns of overflow and of 1 / 0, PyTorch does not.  A context in which the warnings are
# off is entered about five times quicker than np.errstate.
with np.errstate(all="ignore"):
    _QUIET = contextvars.copy_context()
cdef object QUIET = _QUIET


cpdef object quiet(object function, tuple args, dict keywords=None):
    """``function(*args, **keywords)`` without NumPy's warnings of overflow and of 1 / 0."""
    if keywords is None:
        return QUIET.copy().run(function, *args)
    return QUIET.copy().run(function, *args, **keywords)


# --- the classes that fastbp.autograd brings -----------------------------------------------------

cdef object tensor_type = None
cdef object size_type = tuple
cdef object slow_binary = None
cdef object slow_inplace = None
cdef object slow_matmul = None
cdef object slow_power = None
cdef dict dtype_of = {}


def register(tensor, size, dtypes, binary, inplace, matmul, power):
    """Name the class of results, of shapes, the dtypes, and what serves the uncommon operands."""
    global tensor_type, size_type, slow_binary, slow_inplace, slow_matmul, slow_power
    tensor_type, size_type, slow_binary, slow_inplace = tensor, size, binary, inplace
    slow_matmul, slow_power = matmul, power
    dtype_of.update(dtypes)


# --- arrays --------------------------------------------------------------------------------------

cdef inline tuple shape_of(object x):
    return x.shape


cdef inline bint is_float(array x):
    return cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE


cdef inline bint is_plain(array x):
    """Whether C loops take x: C-contiguous and aligned (tensors are of native byte order)."""
    return (cnp.PyArray_FLAGS(x) & (cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED)) == (
        cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED)


cdef inline bint has_shape(array x, int nd, const cnp.npy_intp *dims):
    return cnp.PyArray_NDIM(x) == nd and (
        nd == 0 or memcmp(cnp.PyArray_DIMS(x), dims, nd * sizeof(cnp.npy_intp)) == 0)


cdef inline array empty_like(array x):
    return cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))


cdef inline array as_array(object x):
    """NumPy gives numbers in place of arrays without dimensions."""
    return x if isinstance(x, cnp.ndarray) else np.asarray(x)


cdef inline bint is_ours(array x, Py_ssize_t references):
    """Whether nobody else holds x or its memory, so that it may be written to."""
    return (Py_REFCNT(<PyObject *> x) <= references and PyArray_BASE(x) == NULL
            and (cnp.PyArray_FLAGS(x) & cnp.NPY_ARRAY_WRITEABLE) != 0)


cdef inline void loop(int operation, array x, int sx, array y, int sy, array out,
                      Py_ssize_t n) noexcept:
    if cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT:
        fbp_float[operation](<float *> cnp.PyArray_DATA(x), sx, <float *> cnp.PyArray_DATA(y), sy,
                             <float *> cnp.PyArray_DATA(out), n)
    else:
        fbp_double[operation](<double *> cnp.PyArray_DATA(x), sx, <double *> cnp.PyArray_DATA(y),
                              sy, <double *> cnp.PyArray_DATA(out), n)


cdef inline void loop_number(int operation, array x, double number, bint reflected, array out,
                             Py_ssize_t n) noexcept:
    cdef float single = <float> number
    cdef const float *f
    cdef const double *d
    if cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT:
        f = <const float *> cnp.PyArray_DATA(x)
        if reflected:
            fbp_float[operation](&single, 0, f, 1, <float *> cnp.PyArray_DATA(out), n)
        else:
            fbp_float[operation](f, 1, &single, 0, <float *> cnp.PyArray_DATA(out), n)
    else:
        d = <const double *> cnp.PyArray_DATA(x)
        if reflected:
            fbp_double[operation](&number, 0, d, 1, <double *> cnp.PyArray_DATA(out), n)
        else:
            fbp_double[operation](d, 1, &number, 0, <double *> cnp.PyArray_DATA(out), n)


cdef array combine(int operation, array x, array y, array out=None):
    """x and y by an operation, both of one float dtype; into `out`, where one is given."""
    cdef Py_ssize_t nx, ny
    cdef bint same
    if is_plain(x) and is_plain(y) and (out is None or is_plain(out)):
        nx, ny = cnp.PyArray_SIZE(x), cnp.PyArray_SIZE(y)
        same = has_shape(x, cnp.PyArray_NDIM(y), cnp.PyArray_DIMS(y))
        if same and nx <= SMALL:
            if out is None:
                out = empty_like(x)
            loop(operation, x, 1, y, 1, out, nx)
            return out
        if ny == 1 and nx <= SMALL and cnp.PyArray_NDIM(x) >= cnp.PyArray_NDIM(y):
            if out is None:
                out = empty_like(x)
            loop(operation, x, 1, y, 0, out, nx)
            return out
        if out is None and nx == 1 and ny <= SMALL and cnp.PyArray_NDIM(y) >= cnp.PyArray_NDIM(x):
            out = empty_like(y)
            loop(operation, x, 0, y, 1, out, ny)
            return out
    if out is None:
        try:
            return as_array(quiet(UFUNCS[operation], (x, y)))
        except ValueError:
            raise RuntimeError(not_broadcastable(shape_of(x), shape_of(y))) from None
    quiet(UFUNCS[operation], (x, y, out))
    return out


cdef array combine_number(int operation, array x, double number, bint reflected, array out=None):
    """x and a number, or a number and x where `reflected`, by an operation."""
    cdef Py_ssize_t n
    if is_plain(x) and (out is None or is_plain(out)):
        n = cnp.PyArray_SIZE(x)
        if n <= SMALL:
            if out is None:
                out = empty_like(x)
            loop_number(operation, x, number, reflected, out, n)
            return out
    args = (number, x) if reflected else (x, number)
    return as_array(quiet(UFUNCS[operation], args if out is None else (*args, out)))


def not_broadcastable(x_shape, y_shape):
    """The words for two shapes that do not fit."""
    return (f"An operation expects shapes that broadcast, so that every dimension is the same or "
            f"1; got {tuple(x_shape)} and {tuple(y_shape)}.")


cdef array fitted(array g, int nd, const cnp.npy_intp *dims, int typenum):
    """A gradient summed to the shape that was broadcast, in the dtype that was promoted."""
    cdef int i, ahead
    cdef list axes
    if cnp.PyArray_TYPE(g) == typenum and has_shape(g, nd, dims):
        return g
    if not has_shape(g, nd, dims):
        ahead = cnp.PyArray_NDIM(g) - nd
        axes = list(range(ahead))
        for i in range(nd):
            if dims[i] == 1 and cnp.PyArray_DIM(g, ahead + i) != 1:
                axes.append(ahead + i)
        g = as_array(quiet(sum_ufunc, (g, tuple(axes))))
        shape = tuple([dims[i] for i in range(nd)])
        if cnp.PyArray_SIZE(g) != cnp.PyArray_MultiplyList(<cnp.npy_intp *> dims, nd):
            raise RuntimeError(f"A backward expects to give a gradient of shape {shape}; "
                               f"got {shape_of(g)}.")
        g = (<object> g).reshape(shape)
    if cnp.PyArray_TYPE(g) != typenum:
        g = quiet((<object> g).astype, (cnp.PyArray_DescrFromType(typenum),))
    return g


# --- versions ------------------------------------------------------------------------------------

@cython.final
@cython.freelist(64)
cdef class Version:
    """How often the memory of a tensor and its views was changed in place.

    `rebased` counts the changes that were recorded: they leave the history of views behind.
    """
    cdef readonly long changes
    cdef readonly long rebased


# --- targets -------------------------------------------------------------------------------------

cdef class Target:
    """What gradients flow into; `total` is their sum in the sweep that is under way."""
    cdef array total

    cdef int receive(self, Sweep sweep, int output, array gradient) except -1:
        raise NotImplementedError

    cdef int add(self, array gradient) except -1:
        if self.total is None:
            self.total = gradient
        elif is_ours(self.total, 1):
            combine(ADD, self.total, gradient, self.total)
        else:
            self.total = combine(ADD, self.total, gradient)
        return 0


cdef long long made = 0  # nodes so far
cdef long long sweeps = 0


@cython.trashcan(True)
cdef class Node(Target):
    """An operation, as its result's `grad_fn`.

    The targets of up to two inputs are `a` and `b`; `Function` has others.
    """
    cdef readonly long long sequence
    cdef long long visited
    cdef Target a
    cdef Target b
    cdef int a_output, b_output
    cdef readonly bint freed
    cdef int nd, typenum
    cdef cnp.npy_intp *dims
    cdef cnp.npy_intp inline_dims[INLINE_DIMS]
    cdef array value
    cdef object a_constant
    cdef object b_constant
    cdef list hooks
    cdef object __weakref__

    def __dealloc__(self):
        if self.dims != self.inline_dims:
            PyMem_Free(self.dims)

    cdef int describe(self, array out) except -1:
        """Takes its place in the order of nodes, and the shape and dtype of its gradient."""
        global made
        made += 1
        self.sequence = made
        self.nd = cnp.PyArray_NDIM(out)
        self.typenum = cnp.PyArray_TYPE(out)
        self.dims = self.inline_dims
        if self.nd > INLINE_DIMS:
            self.dims = <cnp.npy_intp *> PyMem_Malloc(self.nd * sizeof(cnp.npy_intp))
            if self.dims == NULL:
                raise MemoryError
        memcpy(self.dims, cnp.PyArray_DIMS(out), self.nd * sizeof(cnp.npy_intp))
        if cnp.PyArray_SIZE(out) <= SHOWN:
            self.value = out
        return 0

    cdef int receive(self, Sweep sweep, int output, array gradient) except -1:
        gradient = fitted(gradient, self.nd, self.dims, self.typenum)
        if sweep.arrows is not None:
            sweep.note(self, output, gradient)
        return self.add(gradient)

    cdef int run(self, Sweep sweep) except -1:
        """Send the gradient that has come on to the inputs."""
        cdef array dout = self.total
        if dout is None:
            return 0
        self.total = None
        if self.hooks is not None:
            dout = self.call_hooks(sweep, 0, dout)
        if sweep.record is not None:
            sweep.record[self] = dout
            sweep.source = self
        return self.apply(sweep, dout)

    cdef array call_hooks(self, Sweep sweep, int output, array dout):
        for where, hook in self.hooks:
            # A sweep that only looks fills no `grad`, not of a tensor that retains it either.
            looks = sweep.arrows is not None and isinstance(hook, weakref.ref)
            if where == output and not looks:
                dout = hook_result(hook, dout)
        return dout

    cdef int apply(self, Sweep sweep, array dout) except -1:
        raise NotImplementedError

    cdef int release(self) except -1:
        self.a = self.b = None
        self.value = None
        self.a_constant = self.b_constant = None
        self.freed = True
        return 0

    cdef tuple edges(self):
        return ((self.a, self.a_output), (self.b, self.b_output))

    cdef int reach(self, Sweep sweep) except -1:
        """Have the sweep visit the nodes of the inputs."""
        if self.a is not None:
            sweep.visit(self.a)
        if self.b is not None:
            sweep.visit(self.b)
        return 0

    def name(self):
        """The operation, as PyTorch names it: MulBackward0."""
        return type(self).__name__

    def __repr__(self):
        return f"<{self.name()} object at {id(self):#x}>"

    @property
    def next_functions(self):
        """(node, output) of each input; (None, 0) of those that need no gradient."""
        return tuple([(_node_of(target), output) for target, output in self.edges()])

    @property
    def inputs(self):
        """Of each input its node, its leaf, or None."""
        return tuple([target for target, _ in self.edges()])

    @property
    def constants(self):
        """Of each input the array or number that it is, where it needs no gradient."""
        return (self.a_constant, self.b_constant)

    @property
    def result(self):
        """The operation's result as an array, where it has at most 64 elements, and else None."""
        return self.value

    @property
    def shape(self):
        """Shape of the operation's (first) result."""
        return tuple([self.dims[i] for i in range(self.nd)])


cdef object _node_of(Target target):
    if target is None or isinstance(target, Node):
        return target
    return AccumulateGrad(target)


cdef class AccumulateGrad:
    """The end of a graph: where the gradient of `variable`, a leaf, is added to its `grad`."""
    cdef readonly object variable

    def __init__(self, variable):
        self.variable = variable

    def name(self):
        """AccumulateGrad."""
        return "AccumulateGrad"

    @property
    def next_functions(self):
        """Nothing comes before a leaf."""
        return ()

    def __eq__(self, other):
        return isinstance(other, AccumulateGrad) and self.variable is other.variable

    def __hash__(self):
        return hash(id(self.variable))

    def __repr__(self):
        return f"<AccumulateGrad object at {id(self.variable):#x}>"


cdef array hook_result(object hook, array gradient):
    """What a hook makes of a gradient; a weak reference stands for a tensor that retains it."""
    if isinstance(hook, weakref.ref):
        tensor = hook()
        if tensor is not None:
            (<TensorBase> tensor).keep_gradient(gradient)
        return gradient
    result = hook(wrap(gradient))
    return gradient if result is None else (<TensorBase?> result)._array


# --- the sweep -----------------------------------------------------------------------------------

cdef int later_first(const void *x, const void *y) noexcept nogil:
    cdef long long a = (<Node> (<PyObject **> x)[0]).sequence
    cdef long long b = (<Node> (<PyObject **> y)[0]).sequence
    return (a < b) - (a > b)


@cython.final
@cython.freelist(4)
cdef class Sweep:
    """One way back through a graph."""
    cdef PyObject **nodes  # held
    cdef PyObject *few[INLINE_NODES]
    cdef Py_ssize_t n, room
    cdef long long number
    cdef bint sorted
    cdef list leaves
    cdef dict record
    cdef list arrows  # (node, target, output, gradient), where somebody looks at the graph
    cdef Node source

    def __cinit__(self):
        global sweeps
        sweeps += 1
        self.number = sweeps
        self.sorted = True
        self.leaves = []
        self.nodes = self.few
        self.room = INLINE_NODES

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.n):
            Py_XDECREF(self.nodes[i])
        if self.nodes != self.few:
            PyMem_Free(self.nodes)

    cdef int visit(self, Target target) except -1:
        """Put a node on the list once; leaves are found when a gradient comes to them."""
        cdef Node node
        cdef PyObject **nodes
        if not isinstance(target, Node):
            return 0
        node = <Node> target
        if node.visited == self.number:
            return 0
        node.visited = self.number
        if node.freed:
            raise RuntimeError(
                "backward expects a graph that is still there: it was freed by an earlier "
                "backward, so trying to backward through the graph a second time needs "
                "retain_graph=True the first time.")
        if self.n == self.room:
            nodes = <PyObject **> PyMem_Realloc(
                NULL if self.nodes == self.few else self.nodes,
                2 * self.room * sizeof(PyObject *))
            if nodes == NULL:
                raise MemoryError
            if self.nodes == self.few:
                memcpy(nodes, self.few, self.n * sizeof(PyObject *))
            self.nodes = nodes
            self.room *= 2
        Py_INCREF(node)
        self.nodes[self.n] = <PyObject *> node
        if self.n and (<Node> self.nodes[self.n - 1]).sequence < node.sequence:
            self.sorted = False
        self.n += 1
        return 0

    cdef int note(self, Target target, int output, array gradient) except -1:
        if self.source is not None:
            self.arrows.append((self.source, target, output, gradient))
        return 0

    cdef int run(self, Target root, int output, array gradient, bint keep) except -1:
        cdef Py_ssize_t i = 0
        cdef PyObject *held
        self.visit(root)
        while i < self.n:  # the list grows
            (<Node> self.nodes[i]).reach(self)
            i += 1
        if not self.sorted:
            self.sort()
        try:
            root.receive(self, output, gradient)
            for i in range(self.n):
                (<Node> self.nodes[i]).run(self)
                if not keep:
                    # What only the sweep holds need not be emptied before it goes.
                    if Py_REFCNT(self.nodes[i]) > 1:
                        (<Node> self.nodes[i]).release()
                    held = self.nodes[i]
                    self.nodes[i] = NULL
                    Py_XDECREF(held)
        except BaseException:
            self.forget()
            raise
        return 0

    cdef void sort(self) noexcept:
        """The latest node first; few nodes by insertion, as they are nearly in order."""
        cdef Py_ssize_t i, k
        cdef PyObject *node
        if self.n > INLINE_NODES:
            qsort(self.nodes, self.n, sizeof(PyObject *), later_first)
            return
        for i in range(1, self.n):
            node = self.nodes[i]
            k = i
            while k and (<Node> self.nodes[k - 1]).sequence < (<Node> node).sequence:
                self.nodes[k] = self.nodes[k - 1]
                k -= 1
            self.nodes[k] = node

    cdef forget(self):
        """After an error: no gradient that came half the way is left."""
        cdef Py_ssize_t i
        for i in range(self.n):
            if self.nodes[i] == NULL:
                continue
            (<Target> self.nodes[i]).total = None
            if isinstance(<object> self.nodes[i], Function):
                (<Function> self.nodes[i]).totals = None
        for leaf in self.leaves:
            (<Target> leaf).total = None


# --- tensors -------------------------------------------------------------------------------------

@cython.c_api_binop_methods(True)
cdef class TensorBase(Target):
    """What `Tensor` is in C: an array, its gradient, and the node that it came from."""
    cdef array _array
    cdef Node _node
    cdef int _output
    cdef bint _requires_grad  # of a leaf
    cdef bint _view
    cdef bint _retains
    cdef long _seen  # version.rebased when a view was made
    cdef Version _version  # made when somebody needs it
    cdef object _grad
    cdef list _hooks
    cdef dict __dict__
    cdef object __weakref__

    # --- as a target

    cdef int receive(self, Sweep sweep, int output, array gradient) except -1:
        cdef array x = self._array
        gradient = fitted(gradient, cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
        if sweep.arrows is not None:
            sweep.note(self, output, gradient)
        if self.total is None:
            sweep.leaves.append(self)
        return self.add(gradient)

    cdef int accept(self) except -1:
        """Move the sweep's sum into `grad`."""
        cdef array g = self.total
        self.total = None
        if self._hooks is not None:
            for hook in self._hooks:
                g = hook_result(hook, g)
        return self.keep_gradient(g)

    cdef int keep_gradient(self, array g) except -1:
        cdef TensorBase grad
        if self._grad is None:
            # The caller holds one reference; whatever else holds it would see it change.
            if is_ours(g, 1) and is_plain(g):
                self._grad = wrap(g)
            else:
                self._grad = wrap(cnp.PyArray_NewCopy(g, cnp.NPY_CORDER))
            return 0
        grad = <TensorBase> self._grad
        if grad._node is not None or not cnp.PyArray_ISWRITEABLE(grad._array):
            self._grad = wrap(combine(ADD, grad._array, g))
        else:
            combine(ADD, grad._array, g, grad._array)
            grad.bump()
        return 0

    # --- versions

    cdef Version version(self):
        if self._version is None:
            self._version = Version.__new__(Version)
        return self._version

    cdef inline int bump(self) except -1:
        if self._version is not None:
            self._version.changes += 1
        return 0

    cdef Target target(self):
        """Where this tensor's gradient goes; None where it needs none."""
        if self._view and self._version.rebased != self._seen:
            raise RuntimeError(
                "An operation expects a view taken after its base was changed in place by a "
                "recorded operation; got a view taken before it.")
        if self._node is not None:
            return self._node
        return self if self._requires_grad else None

    cdef int may_change(self) except -1:
        """Refuses an in-place change of a leaf while operations are recorded."""
        if not fbp_grad_off and self._requires_grad:
            raise RuntimeError(
                "An in-place operation expects a tensor that is no leaf Variable that requires "
                "grad, or a block with no_grad(); got a leaf.")
        if not cnp.PyArray_FLAGS(self._array) & cnp.NPY_ARRAY_WRITEABLE:
            raise RuntimeError(
                "An in-place operation expects writable memory of its own; got a tensor that is "
                "expanded or shares a read-only array: clone() it first.")
        return 0

    def _bump(self):
        """Count an in-place change that was made from outside."""
        self.bump()

    def _may_change(self):
        """Refuse an in-place change where PyTorch does."""
        self.may_change()

    def _snapshot(self):
        """This tensor as it is, with its history, in memory of its own."""
        cdef TensorBase old = wrap(cnp.PyArray_NewCopy(self._array, cnp.NPY_KEEPORDER))
        self.target()
        old._node, old._output = self._node, self._output
        return old

    def _rebase(self, TensorBase result not None):
        """Take over the numbers and the history of an operation on the snapshot."""
        if self._view:
            raise RuntimeError(
                "A recorded in-place operation expects a tensor that is no view of another; got "
                "a view: change the base by an index, or clone() the view first.")
        cnp.PyArray_CopyInto(self._array, result._array)
        self.version()
        self._version.changes += 1
        self._version.rebased += 1
        self._node, self._output = result._node, result._output
        return self

    @property
    def _version_changes(self):
        """In-place changes since something first depended on this tensor's numbers."""
        return 0 if self._version is None else self._version.changes

    # --- attributes

    @property
    def array(self):
        """The numbers as the very numpy.ndarray that holds them."""
        return self._array

    @property
    def requires_grad(self):
        """Whether gradients are computed for this tensor."""
        return self._requires_grad or self._node is not None

    @requires_grad.setter
    def requires_grad(self, value):
        if self._node is not None:
            if not value:
                raise RuntimeError(
                    "requires_grad expects a leaf to be changed; got the result of an operation: "
                    "use detach().")
            return
        if value and not is_float(self._array):
            raise RuntimeError(
                "requires_grad expects a tensor of floating point dtype, as only these can "
                f"require gradients; got {self.dtype!r}.")
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad=True):
        """Set `requires_grad` in place."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad_fn(self):
        """The node of the operation that made this tensor; None of a leaf."""
        return self._node

    @property
    def output_nr(self):
        """Which result of `grad_fn` this tensor is."""
        return self._output

    @property
    def is_leaf(self):
        """Whether no recorded operation made this tensor."""
        return self._node is None

    @property
    def grad(self):
        """The gradients that backward has added up; None before."""
        if self._grad is None and self._node is not None and not self._retains:
            warnings.warn(
                "grad of a tensor that is no leaf was read: backward fills it only after "
                "retain_grad().", UserWarning, stacklevel=1)
        return self._grad

    @grad.setter
    def grad(self, value):
        cdef TensorBase new
        if value is not None:
            if not isinstance(value, TensorBase):
                raise TypeError(f"grad expects a Tensor or None; got {type(value).__name__}.")
            new = <TensorBase> value
            if new is self:
                raise RuntimeError("grad expects another tensor; got the tensor itself.")
            if not has_shape(new._array, cnp.PyArray_NDIM(self._array),
                             cnp.PyArray_DIMS(self._array)):
                raise RuntimeError(
                    f"grad expects a tensor of shape {shape_of(self._array)}; got "
                    f"{shape_of(new._array)}.")
            if cnp.PyArray_TYPE(new._array) != cnp.PyArray_TYPE(self._array):
                raise RuntimeError(f"grad expects a tensor of {self.dtype!r}; got {new.dtype!r}.")
        self._grad = value

    @grad.deleter
    def grad(self):
        self._grad = None

    @property
    def data(self):
        """The same memory without history; changes of it are not counted."""
        return wrap(self._array)

    @data.setter
    def data(self, value):
        if not isinstance(value, TensorBase):
            raise TypeError(f"data expects a Tensor; got {type(value).__name__}.")
        cdef array new = (<TensorBase> value)._array
        if self._requires_grad and not is_float(new):
            raise RuntimeError("data expects a tensor of floating point dtype, as this one "
                               f"requires grad; got {value.dtype!r}.")
        self._array = new

    @property
    def shape(self):
        """Length of each dimension."""
        return size_type(shape_of(self._array))

    @property
    def ndim(self):
        """Number of dimensions."""
        return cnp.PyArray_NDIM(self._array)

    @property
    def dtype(self):
        """fastbp.float32 and so on."""
        return dtype_of[(<object> self._array).dtype]

    def dim(self):
        """Number of dimensions."""
        return cnp.PyArray_NDIM(self._array)

    def numel(self):
        """Number of elements."""
        return cnp.PyArray_SIZE(self._array)

    def item(self):
        """The only element as a Python number."""
        cdef array x = self._array
        if cnp.PyArray_SIZE(x) != 1:
            raise RuntimeError(
                f"item expects a tensor of one element; got one of shape {shape_of(x)}.")
        if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
            return <double> (<float *> cnp.PyArray_DATA(x))[0]
        if cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE:
            return (<double *> cnp.PyArray_DATA(x))[0]
        return (<object> x).item()

    def detach(self):
        """The same memory without history."""
        cdef TensorBase out = wrap(self._array)
        out._version = self.version()
        return out

    def detach_(self):
        """Drop the history of this tensor."""
        self._node = None
        self._output = 0
        self._requires_grad = False
        return self

    def numpy(self, force=False):
        """The array itself: a change of one is a change of the other."""
        if self.requires_grad and not force:
            raise RuntimeError(
                "numpy expects a tensor that does not require grad; got one that does: "
                "use tensor.detach().numpy().")
        return self._array

    def retain_grad(self):
        """Have backward fill `grad`, though this tensor is no leaf."""
        if not self.requires_grad:
            raise RuntimeError(
                "retain_grad expects a tensor that requires grad; got one that does not.")
        if self._node is not None and not self._retains:
            self._retains = True
            self._add_hook(weakref.ref(self))

    @property
    def retains_grad(self):
        """Whether retain_grad was called on a tensor that is no leaf."""
        return self._retains

    def _add_hook(self, hook):
        if self._node is None:
            if self._hooks is None:
                self._hooks = []
            self._hooks.append(hook)
            return self._hooks, hook
        if self._node.hooks is None:
            self._node.hooks = []
        entry = (self._output, hook)
        self._node.hooks.append(entry)
        return self._node.hooks, entry

    # --- arithmetic

    def __add__(x, y):
        return binary(ADD, x, y)

    def __sub__(x, y):
        return binary(SUBTRACT, x, y)

    def __mul__(x, y):
        return binary(MULTIPLY, x, y)

    def __truediv__(x, y):
        return binary(DIVIDE, x, y)

    def __matmul__(x, y):
        return matrix_product(x, y)

    def __pow__(x, y, modulo):
        return power(x, y)

    def __iadd__(self, y):
        return change(ADD, self, y)

    def __isub__(self, y):
        return change(SUBTRACT, self, y)

    def __imul__(self, y):
        return change(MULTIPLY, self, y)

    def __itruediv__(self, y):
        return change(DIVIDE, self, y)

    def __neg__(self):
        return negative(self)

    def zero_(self):
        """Set all elements to 0."""
        cdef array x = self._array
        self.may_change()
        if self._node is not None and not fbp_grad_off:
            return self.fill_(0.0)
        if is_plain(x):
            memset(cnp.PyArray_DATA(x), 0, cnp.PyArray_NBYTES(x))
        else:
            (<object> x).fill(0)
        self.bump()
        return self

    # --- going back

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Add d self / d leaf to the `grad` of every leaf that this tensor came from.

        Parameters
        ----------
        gradient : Tensor, optional
            Of this tensor's shape: the gradient that it is given; 1 of a single number.
        retain_graph : bool, default False
            Keep the graph for another backward.
        create_graph : False
            Gradients of gradients are not offered.
        inputs : Tensor or sequence of Tensor, optional
            The only leaves whose `grad` is changed.

        Raises
        ------
        RuntimeError
            Where this tensor needs no gradient, has several elements and none was given, the
            graph was freed, or a number that is needed was changed in place.
        """
        cdef Sweep sweep
        cdef TensorBase leaf
        if create_graph:
            raise NotImplementedError(
                "backward expects create_graph=False, as gradients of gradients are not offered; "
                "got True.")
        wanted = None
        if inputs is not None:
            inputs = (inputs,) if isinstance(inputs, TensorBase) else inputs
            wanted = {id(leaf) for leaf in inputs}
        sweep = Sweep.__new__(Sweep)
        sweep.run(root_of(self), self._output, first_gradient(self, gradient), bool(retain_graph))
        for leaf in sweep.leaves:
            if wanted is None or id(leaf) in wanted:
                leaf.accept()
            else:
                leaf.total = None


cdef inline TensorBase wrap(array x):
    """A new Tensor around x."""
    cdef TensorBase out = <TensorBase> (<creator> (<PyTypeObject *> TensorBase).tp_new)(
        <PyTypeObject *> tensor_type, EMPTY, NULL)
    out._array = x
    return out


cdef Target root_of(TensorBase out):
    cdef Target root = out.target()
    if root is None:
        raise RuntimeError(
            "backward expects a tensor that requires grad; got one that does not require grad "
            "and does not have a grad_fn.")
    return root


cdef array first_gradient(TensorBase out, object gradient):
    cdef array x = out._array
    cdef array g
    if gradient is None:
        if cnp.PyArray_SIZE(x) != 1:
            raise RuntimeError(
                "backward expects a gradient unless the tensor is a single number (grad can be "
                f"implicitly created only for scalar outputs); got shape {shape_of(x)}.")
        g = empty_like(x)
        if cnp.PyArray_TYPE(g) == cnp.NPY_FLOAT:
            (<float *> cnp.PyArray_DATA(g))[0] = 1
        else:
            (<double *> cnp.PyArray_DATA(g))[0] = 1
        return g
    if not isinstance(gradient, TensorBase):
        raise TypeError(f"backward expects gradient as a Tensor; got {type(gradient).__name__}.")
    g = (<TensorBase> gradient)._array
    if not has_shape(g, cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x)):
        raise RuntimeError(
            f"backward expects gradient of the tensor's shape {shape_of(x)}; got {shape_of(g)}.")
    return g


def sweep(TensorBase out not None, gradient=None, list arrows=None):
    """The gradient of `out` by every node and leaf of its graph, without touching any `grad`.

    Parameters
    ----------
    out : Tensor
    gradient : Tensor, optional
        Of out's shape; 1 of a single number.
    arrows : list, optional
        Gets a (node, target, output, array) for each gradient that a node gives: to an input's
        node, of which `output` is the result, or to a leaf.  Those of one node come in the order
        of its inputs.

    Returns
    -------
    dict
        From each node (of several results: to a list of arrays) and each leaf to an array.  The
        graph is kept.
    """
    cdef Sweep run = Sweep.__new__(Sweep)
    cdef TensorBase leaf
    run.record = {}
    run.arrows = [] if arrows is None else arrows
    run.run(root_of(out), out._output, first_gradient(out, gradient), True)
    for leaf in run.leaves:
        run.record[leaf] = leaf.total
        leaf.total = None
    return run.record


def gradients(TensorBase out not None, tuple inputs, gradient, bint keep, bint allow_unused):
    """The gradient of `out` by leaves or results, as tensors; None of one that is not in it."""
    cdef Sweep run = Sweep.__new__(Sweep)
    cdef TensorBase t
    run.record = {}
    run.run(root_of(out), out._output, first_gradient(out, gradient), keep)
    for t in run.leaves:
        run.record[t] = t.total
        t.total = None
    found = []
    for t in inputs:
        g = run.record.get(t if t._node is None else t._node)
        if isinstance(g, list):
            g = g[t._output]
        if g is None and not allow_unused:
            raise RuntimeError("grad expects inputs that the output came from; got one that it "
                               "did not: allow_unused=True gives None for it.")
        found.append(None if g is None else wrap(cnp.PyArray_NewCopy(g, cnp.NPY_CORDER)))
    return tuple(found)


def new(x, requires_grad=False):
    """A leaf around an array of native byte order."""
    cdef TensorBase out = wrap(x)
    if requires_grad:
        out.requires_grad = True
    return out


def adopt(TensorBase self not None, array x not None, requires_grad=False):
    """Give a tensor that was just made by its class its array."""
    self._array = x
    self.requires_grad = requires_grad
    return self


# --- the nodes of arithmetic ---------------------------------------------------------------------

cdef class Binary(Node):
    """Of two inputs, of which one may be a number; saves what the other's gradient needs."""
    cdef array x
    cdef array y
    cdef Version x_version
    cdef Version y_version
    cdef long x_changes, y_changes
    cdef double number

    cdef int save_x(self, TensorBase t) except -1:
        self.x = t._array
        self.x_version = t.version()
        self.x_changes = self.x_version.changes
        return 0

    cdef int save_y(self, TensorBase t) except -1:
        self.y = t._array
        self.y_version = t.version()
        self.y_changes = self.y_version.changes
        return 0

    cdef int unchanged(self) except -1:
        if self.x_version is not None and self.x_version.changes != self.x_changes:
            was_changed(self.name())
        if self.y_version is not None and self.y_version.changes != self.y_changes:
            was_changed(self.name())
        return 0

    cdef int release(self) except -1:
        self.x = self.y = None
        self.x_version = self.y_version = None
        return Node.release(self)


cdef int was_changed(str name) except -1:
    raise RuntimeError(
        f"backward expects the values that {name} saved as they were; one of the variables "
        "needed for gradient computation has been modified by an inplace operation.")


cdef class AddBackward0(Binary):
    cdef int apply(self, Sweep sweep, array dout) except -1:
        if self.a is not None:
            self.a.receive(sweep, self.a_output, dout)
        if self.b is not None:
            self.b.receive(sweep, self.b_output, dout)
        return 0


cdef class SubBackward0(Binary):
    cdef int apply(self, Sweep sweep, array dout) except -1:
        if self.a is not None:
            self.a.receive(sweep, self.a_output, dout)
        if self.b is not None:
            self.b.receive(sweep, self.b_output, scaled(dout, -1.0))
        return 0


cdef class RsubBackward1(SubBackward0):
    """A number less a tensor."""


cdef class MulBackward0(Binary):
    cdef int apply(self, Sweep sweep, array dout) except -1:
        self.unchanged()
        if self.x is None and self.y is None:
            if self.a is not None:
                self.a.receive(sweep, self.a_output, scaled(dout, self.number))
            else:
                self.b.receive(sweep, self.b_output, scaled(dout, self.number))
            return 0
        if self.a is not None:
            self.a.receive(sweep, self.a_output, product(dout, self.y))
        if self.b is not None:
            self.b.receive(sweep, self.b_output, product(dout, self.x))
        return 0


cdef class DivBackward0(Binary):
    cdef int apply(self, Sweep sweep, array dout) except -1:
        self.unchanged()
        cdef array dy
        if self.y is None:
            self.a.receive(sweep, self.a_output, combine_number(DIVIDE, dout, self.number, False))
            return 0
        if self.a is not None:
            self.a.receive(sweep, self.a_output, ratio(dout, self.y))
        if self.b is not None:  # d(x / y)/dy = -(x / y) / y
            dy = ratio(ratio(self.x, self.y), self.y)
            self.b.receive(sweep, self.b_output, scaled(product(dout, dy), -1.0))
        return 0


cdef class NegBackward0(Binary):
    cdef int apply(self, Sweep sweep, array dout) except -1:
        self.a.receive(sweep, self.a_output, scaled(dout, -1.0))
        return 0

    cdef tuple edges(self):
        return ((self.a, self.a_output),)


cdef class PowBackward0(Binary):
    """By a number."""
    cdef int apply(self, Sweep sweep, array dout) except -1:
        self.unchanged()
        cdef array slope
        if self.number == 0:
            slope = scaled(self.x, 0.0)
        elif self.number == 2:
            slope = scaled(self.x, 2.0)
        else:
            slope = scaled(raised(self.x, self.number - 1), self.number)
        self.a.receive(sweep, self.a_output, product(dout, slope))
        return 0

    cdef tuple edges(self):
        return ((self.a, self.a_output),)


cdef inline array scaled(array dout, double number):
    """dout times a number, in dout's memory where only the sweep holds it."""
    # One reference is the sweep's, in Node.run.
    return combine_number(MULTIPLY, dout, number, False, dout if is_ours(dout, 1) else None)


cdef array product(array dout, array y):
    if cnp.PyArray_TYPE(dout) != cnp.PyArray_TYPE(y):
        y = (<object> y).astype((<object> dout).dtype)
    return combine(MULTIPLY, dout, y)


cdef array ratio(array dout, array y):
    if cnp.PyArray_TYPE(dout) != cnp.PyArray_TYPE(y):
        return as_array(quiet(UFUNCS[DIVIDE], (dout, y)))
    return combine(DIVIDE, dout, y)


cdef Binary binary_node(int operation, bint reflected):
    if operation == ADD:
        return AddBackward0.__new__(AddBackward0)
    if operation == SUBTRACT:
        if reflected:
            return RsubBackward1.__new__(RsubBackward1)
        return SubBackward0.__new__(SubBackward0)
    if operation == MULTIPLY:
        return MulBackward0.__new__(MulBackward0)
    return DivBackward0.__new__(DivBackward0)


cdef TensorBase attach(Node node, array out):
    cdef TensorBase result = wrap(out)
    node.describe(out)
    result._node = node
    return result


cdef TensorBase of_two(int operation, TensorBase x, TensorBase y, array out):
    """The result of x and y, with its node where one of them needs a gradient."""
    cdef Target a, b
    cdef Binary node
    if fbp_grad_off or not (x._requires_grad or y._requires_grad or x._view or y._view
                            or x._node is not None or y._node is not None):
        return wrap(out)
    a, b = x.target(), y.target()
    if a is None and b is None:
        return wrap(out)
    node = binary_node(operation, False)
    node.a, node.b = a, b
    node.a_output, node.b_output = x._output, y._output
    if operation == MULTIPLY:
        if b is not None:
            node.save_x(x)
        if a is not None:
            node.save_y(y)
    elif operation == DIVIDE:
        node.save_y(y)
        if b is not None:
            node.save_x(x)
    if a is None:
        node.a_constant = x._array
    elif b is None:
        node.b_constant = y._array
    return attach(node, out)


cdef TensorBase of_number(int operation, TensorBase x, double number, object operand,
                          bint reflected, array out):
    """The result of x and a number, or of a number and x where `reflected`."""
    cdef Target a
    cdef Binary node
    if fbp_grad_off or (a := x.target()) is None:
        return wrap(out)
    node = binary_node(operation, reflected)
    node.number = number
    if reflected:
        node.b, node.b_output, node.a_constant = a, x._output, operand
    else:
        node.a, node.a_output, node.b_constant = a, x._output, operand
    return attach(node, out)


def result_of_two(int operation, TensorBase x not None, TensorBase y not None, array out not None):
    """What `of_two` gives, for operands that C does not take."""
    return of_two(operation, x, y, out)


cdef inline bint as_number(object value, double *number) except -1:
    if PyFloat_Check(value):
        number[0] = PyFloat_AS_DOUBLE(value)
        return True
    if PyLong_Check(value):
        number[0] = PyLong_AsDouble(value)
        return True
    return False


cdef object binary(int operation, object x, object y):
    cdef TensorBase a
    cdef TensorBase b
    cdef double number
    if isinstance(x, TensorBase):
        a = <TensorBase> x
        if is_float(a._array):
            if isinstance(y, TensorBase):
                b = <TensorBase> y
                if cnp.PyArray_TYPE(a._array) == cnp.PyArray_TYPE(b._array):
                    return of_two(operation, a, b, combine(operation, a._array, b._array))
            elif as_number(y, &number):
                return of_number(operation, a, number, y, False,
                                 combine_number(operation, a._array, number, False))
    else:
        b = <TensorBase> y
        if operation != DIVIDE and is_float(b._array) and as_number(x, &number):
            return of_number(operation, b, number, x, True,
                             combine_number(operation, b._array, number, True))
    return slow_binary(operation, x, y)


cdef object change(int operation, TensorBase x, object y):
    """x op= y."""
    cdef TensorBase b
    cdef double number
    x.may_change()
    if is_float(x._array) and (fbp_grad_off or x._node is None):
        if isinstance(y, TensorBase):
            b = <TensorBase> y
            if (cnp.PyArray_TYPE(b._array) == cnp.PyArray_TYPE(x._array)
                    and (cnp.PyArray_SIZE(b._array) == 1 and
                         cnp.PyArray_NDIM(b._array) <= cnp.PyArray_NDIM(x._array)
                         or has_shape(b._array, cnp.PyArray_NDIM(x._array),
                                      cnp.PyArray_DIMS(x._array)))
                    and (fbp_grad_off or b.target() is None)):
                combine(operation, x._array, b._array, x._array)
                x.bump()
                return x
        elif as_number(y, &number):
            combine_number(operation, x._array, number, False, x._array)
            x.bump()
            return x
    return slow_inplace(operation, x, y)


cdef object negative(TensorBase x):
    cdef Target a
    cdef NegBackward0 node
    cdef array out
    if is_float(x._array):
        out = combine_number(MULTIPLY, x._array, -1.0, False)
    elif cnp.PyArray_ISBOOL(x._array):
        raise RuntimeError("Negation expects numbers; got a bool tensor: use ~ or logical_not().")
    else:
        out = as_array(-(<object> x._array))
    if fbp_grad_off or (a := x.target()) is None:
        return wrap(out)
    node = NegBackward0.__new__(NegBackward0)
    node.a, node.a_output = a, x._output
    return attach(node, out)


cdef array raised(array x, double exponent):
    """x ** exponent of a float array."""
    cdef array out
    cdef Py_ssize_t n
    cdef float *f
    cdef double *d
    if exponent == 2:
        return combine(MULTIPLY, x, x)
    n = cnp.PyArray_SIZE(x)
    if exponent == 1:
        return cnp.PyArray_NewCopy(x, cnp.NPY_KEEPORDER)
    if exponent == 3:
        return combine(MULTIPLY, combine(MULTIPLY, x, x), x)
    if n != 1 or not is_plain(x):
        return as_array(quiet(power_ufunc, (x, exponent)))
    out = empty_like(x)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        f = <float *> cnp.PyArray_DATA(x)
        (<float *> cnp.PyArray_DATA(out))[0] = <float> c_pow(f[0], exponent)
    else:
        d = <double *> cnp.PyArray_DATA(x)
        (<double *> cnp.PyArray_DATA(out))[0] = (
            sqrt(d[0]) if exponent == 0.5 else c_pow(d[0], exponent))
    return out


cdef object power(object x, object y):
    cdef TensorBase t
    cdef double exponent
    cdef Target a
    cdef PowBackward0 node
    cdef array out
    if not isinstance(x, TensorBase):
        return slow_power(x, y)
    t = <TensorBase> x
    if not is_float(t._array) or not as_number(y, &exponent):
        return slow_power(x, y)
    out = raised(t._array, exponent)
    if fbp_grad_off or (a := t.target()) is None:
        return wrap(out)
    node = PowBackward0.__new__(PowBackward0)
    node.a, node.a_output, node.number, node.b_constant = a, t._output, exponent, y
    node.save_x(t)
    return attach(node, out)


# --- sums and products of matrices ---------------------------------------------------------------

cdef class Reduction(Node):
    """A sum over some dimensions, times `scale`."""
    cdef tuple full  # the input's shape
    cdef tuple kept  # the result's, with dimensions of length 1 for those summed over
    cdef double scale

    cdef int apply(self, Sweep sweep, array dout) except -1:
        if self.scale != 1:
            dout = scaled(dout, self.scale)
        cdef array out = np.empty(self.full, (<object> dout).dtype)
        cnp.PyArray_CopyInto(out, (<object> dout).reshape(self.kept))
        self.a.receive(sweep, self.a_output, out)
        return 0

    cdef tuple edges(self):
        return ((self.a, self.a_output),)


cdef class SumBackward0(Reduction):
    pass


cdef class SumBackward1(Reduction):
    """Over named dimensions."""


cdef class MeanBackward0(Reduction):
    pass


cdef class MeanBackward1(Reduction):
    """Over named dimensions."""


cdef array total_of(array x):
    """The sum of all elements, of float arrays; of small ones in double precision."""
    cdef Py_ssize_t i, n = cnp.PyArray_SIZE(x)
    cdef double sum_ = 0
    cdef array out
    if not is_plain(x) or n > SMALL:
        return as_array(quiet(sum_ufunc, (x, None)))
    out = cnp.PyArray_SimpleNew(0, NULL, cnp.PyArray_TYPE(x))
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        for i in range(n):
            sum_ += (<float *> cnp.PyArray_DATA(x))[i]
        (<float *> cnp.PyArray_DATA(out))[0] = <float> sum_
    else:
        for i in range(n):
            sum_ += (<double *> cnp.PyArray_DATA(x))[i]
        (<double *> cnp.PyArray_DATA(out))[0] = sum_
    return out


def reduce_sum(TensorBase x not None, tuple axes, bint keepdim, bint mean):
    """The sum or mean of a float tensor over `axes`, or over all where it is None."""
    cdef array a = x._array
    cdef array out
    cdef Reduction node
    cdef Target target
    cdef double scale = 1
    if axes is None and not keepdim:
        out = total_of(a)
    else:
        out = as_array(quiet(sum_ufunc, (a, axes), {"keepdims": keepdim}))
    if mean:
        count = cnp.PyArray_SIZE(out)
        scale = count / <double> cnp.PyArray_SIZE(a) if cnp.PyArray_SIZE(a) else float("nan")
        out = combine_number(DIVIDE, out, cnp.PyArray_SIZE(a) / <double> max(count, 1), False, out)
    if fbp_grad_off or (target := x.target()) is None:
        return wrap(out)
    if mean:
        node = (MeanBackward0.__new__(MeanBackward0) if axes is None
                else MeanBackward1.__new__(MeanBackward1))
    else:
        node = (SumBackward0.__new__(SumBackward0) if axes is None
                else SumBackward1.__new__(SumBackward1))
    node.a, node.a_output, node.scale = target, x._output, scale
    node.full = shape_of(a)
    node.kept = ((1,) * cnp.PyArray_NDIM(a) if axes is None else
                 tuple([1 if i in axes else n for i, n in enumerate(shape_of(a))]))
    return attach(node, out)


cdef class MmBackward0(Binary):
    cdef int apply(self, Sweep sweep, array dout) except -1:
        """Vectors get the dimension that the product dropped."""
        self.unchanged()
        cdef object x, y, given = dout
        if self.a is not None:
            y = self.y
            if y.ndim == 1:
                g = given[..., None] * y
            elif self.number == 1:  # x is a vector
                g = quiet(matmul_ufunc, (given[..., None, :], y.swapaxes(-1, -2)))[..., 0, :]
            else:
                g = quiet(matmul_ufunc, (dout, y.swapaxes(-1, -2)))
            self.a.receive(sweep, self.a_output, as_array(g))
        if self.b is not None:
            x = self.x
            if x.ndim == 1:
                g = x[:, None] * given[..., None, :]
            elif self.number == 2:  # y is a vector
                g = quiet(matmul_ufunc, (x.swapaxes(-1, -2), given[..., None]))[..., 0]
            else:
                g = quiet(matmul_ufunc, (x.swapaxes(-1, -2), dout))
            self.b.receive(sweep, self.b_output, as_array(g))
        return 0


cdef class MvBackward0(MmBackward0):
    """A matrix and a vector."""


cdef class DotBackward0(MmBackward0):
    """Two vectors."""
    cdef int apply(self, Sweep sweep, array dout) except -1:
        self.unchanged()
        if self.a is not None:
            self.a.receive(sweep, self.a_output, combine(MULTIPLY, self.y, dout))
        if self.b is not None:
            self.b.receive(sweep, self.b_output, combine(MULTIPLY, self.x, dout))
        return 0


cdef class BmmBackward0(MmBackward0):
    """Stacks of matrices."""


cdef object matrix_product(object left, object right):
    cdef TensorBase x, y
    cdef array out
    cdef Target a, b
    cdef Binary node
    cdef int nx, ny
    if not (isinstance(left, TensorBase) and isinstance(right, TensorBase)):
        return slow_matmul(left, right)
    x, y = <TensorBase> left, <TensorBase> right
    nx, ny = cnp.PyArray_NDIM(x._array), cnp.PyArray_NDIM(y._array)
    if cnp.PyArray_TYPE(x._array) != cnp.PyArray_TYPE(y._array):
        raise RuntimeError(f"matmul expects two tensors of the same dtype; got {x.dtype!r} and "
                           f"{y.dtype!r}.")
    if nx == 0 or ny == 0:
        raise RuntimeError("matmul expects tensors of at least one dimension; got a 0-d tensor.")
    try:
        out = as_array(quiet(matmul_ufunc, (x._array, y._array)))
    except ValueError:
        raise RuntimeError(f"matmul expects shapes (..., n, k) and (..., k, m); got "
                           f"{shape_of(x._array)} and {shape_of(y._array)}.") from None
    if fbp_grad_off:
        return wrap(out)
    a, b = x.target(), y.target()
    if a is None and b is None:
        return wrap(out)
    if nx == 1 and ny == 1:
        node = DotBackward0.__new__(DotBackward0)
    elif nx == 2 and ny == 2:
        node = MmBackward0.__new__(MmBackward0)
    elif nx == 2 and ny == 1:
        node = MvBackward0.__new__(MvBackward0)
    elif nx <= 2 and ny <= 2:
        node = MmBackward0.__new__(MmBackward0)
    else:
        node = BmmBackward0.__new__(BmmBackward0)
    node.number = 1 if nx == 1 else 2 if ny == 1 else 0
    node.a, node.b, node.a_output, node.b_output = a, b, x._output, y._output
    if a is not None:
        node.save_y(y)
    else:
        node.a_constant = x._array
    if b is not None:
        node.save_x(x)
    else:
        node.b_constant = y._array
    return attach(node, out)


# --- operations made in Python -------------------------------------------------------------------

@cython.final
cdef class Function(Node):
    """Of any inputs and results; its gradient is a Python function."""
    cdef str label
    cdef object gradients
    cdef tuple targets
    cdef tuple outputs
    cdef tuple needs
    cdef tuple saved
    cdef tuple input_constants
    cdef list versions  # of what was saved: Version, changes, ...
    cdef list results  # of several results: (shape, dtype) of each
    cdef list totals

    cdef tuple edges(self):
        if self.targets is None:
            return ()
        return tuple(zip(self.targets, self.outputs))

    cdef int reach(self, Sweep sweep) except -1:
        cdef PyObject *none = <PyObject *> None
        for target in self.targets:
            if <PyObject *> target != none:
                sweep.visit(<Target> target)
        return 0

    cdef int receive(self, Sweep sweep, int output, array gradient) except -1:
        if self.results is None:
            return Node.receive(self, sweep, output, gradient)
        if sweep.arrows is not None:
            sweep.note(self, output, gradient)
        if self.totals is None:
            self.totals = [None] * len(self.results)
        if self.totals[output] is not None:
            gradient = as_array(quiet(UFUNCS[ADD], (self.totals[output], gradient)))
        self.totals[output] = gradient
        return 0

    cdef int run(self, Sweep sweep) except -1:
        cdef list douts = self.totals
        if self.results is None:
            return Node.run(self, sweep)
        if douts is None:
            return 0
        self.totals = None
        for i, (shape, dtype) in enumerate(self.results):
            if douts[i] is None:
                douts[i] = np.zeros(shape, dtype)
            elif self.hooks is not None:
                douts[i] = self.call_hooks(sweep, i, douts[i])
        if sweep.record is not None:
            sweep.record[self] = douts
            sweep.source = self
        return self.send(sweep, douts)

    cdef int apply(self, Sweep sweep, array dout) except -1:
        return self.send(sweep, dout)

    cdef int send(self, Sweep sweep, object dout) except -1:
        cdef Py_ssize_t i
        cdef tuple gradients
        cdef Target target
        if self.versions is not None:
            for i in range(0, len(self.versions), 2):
                if (<Version> self.versions[i]).changes != self.versions[i + 1]:
                    was_changed(self.label)
        result = self.gradients(self.saved, dout, self.needs)
        gradients = <tuple> result if type(result) is tuple else (result,)
        if len(gradients) != len(self.targets):
            raise RuntimeError(f"{self.label} expects a gradient for each of its "
                               f"{len(self.targets)} inputs; got {len(gradients)}.")
        for i in range(len(self.targets)):
            target = <Target> self.targets[i]
            gradient = gradients[i]
            if target is not None and gradient is not None:
                target.receive(sweep, self.outputs[i], as_array(gradient))
        return 0

    cdef int release(self) except -1:
        self.targets = self.outputs = EMPTY
        self.gradients = None
        self.saved = None
        self.versions = None
        self.input_constants = EMPTY
        return Node.release(self)

    def name(self):
        """The operation, as PyTorch names it: ExpBackward0."""
        return self.label

    @property
    def constants(self):
        """Of each input the array that it is, where it needs no gradient."""
        return self.input_constants


def node(str name, out, tuple inputs, backward, tuple saved=EMPTY):
    """The tensor of an operation, and where an input needs a gradient its node in the graph.

    Parameters
    ----------
    name : str
        As PyTorch names it: "LinearBackward0".
    out : numpy.ndarray, or a tuple of them
        The result or results.  It belongs to the tensor from now on.
    inputs : tuple of Tensor or None
        What gradients may flow to.
    backward : callable
        ``backward(saved, dout, needs)`` gives a tuple of one gradient for each input, each an
        array or None: `dout` is the gradient of the result (a list, where there are several),
        `needs` tells for which inputs one is wanted.  A gradient of the shape that an input was
        broadcast to is summed to its shape.  It may not write to `dout` or `saved`.
    saved : tuple
        What `backward` gets.  A tensor in it is kept as its array; a change of it in place, or
        of `out`, where that is in it, is an error in backward.

    Returns
    -------
    Tensor, or a tuple of them
    """
    cdef Function self
    cdef TensorBase tensor
    cdef TensorBase result
    cdef list targets, outputs, needs, kept, constants
    cdef Target target
    cdef bint needed = False
    cdef bint several = type(out) is tuple
    if not fbp_grad_off:
        targets, outputs, needs, constants = [], [], [], []
        for t in inputs:
            if t is None:
                targets.append(None)
                outputs.append(0)
                needs.append(False)
                constants.append(None)
                continue
            tensor = <TensorBase?> t
            target = tensor.target()
            targets.append(target)
            outputs.append(tensor._output)
            needs.append(target is not None)
            if target is not None:
                needed = True
                constants.append(None)
            else:
                constants.append(tensor._array)
    if not needed:
        return tuple([wrap(o) for o in out]) if several else wrap(as_array(out))
    self = Function.__new__(Function)
    self.label, self.gradients = name, backward
    self.targets, self.outputs, self.needs = tuple(targets), tuple(outputs), tuple(needs)
    self.input_constants = tuple(constants)
    if several:
        self.results = [(o.shape, o.dtype) for o in out]
        results = []
        for i, o in enumerate(out):
            result = wrap(o)
            if i == 0:
                self.describe(o)
            result._node, result._output = self, i
            results.append(result)
        given = tuple(results)
    else:
        out = as_array(out)
        result = attach(self, out)
        given = result
    if saved:
        kept = []
        for s in saved:
            tensor = None
            if isinstance(s, TensorBase):
                tensor = <TensorBase> s
                kept.append(tensor._array)
            else:
                kept.append(s)
                if s is out:
                    tensor = result
            if tensor is not None:
                if self.versions is None:
                    self.versions = []
                self.versions.append(tensor.version())
                self.versions.append(tensor._version.changes)
        self.saved = tuple(kept)
    else:
        self.saved = saved
    return given


def view(str name, TensorBase base not None, array x not None, backward, tuple saved=EMPTY):
    """As `node`, of one input whose memory the result shares."""
    cdef TensorBase out = node(name, x, (base,), backward, saved)
    if base._view:
        base.target()
    out._version = base.version()
    out._view = True
    out._seen = out._version.rebased
    return out


# --- whether operations are recorded -------------------------------------------------------------

def is_grad_enabled():
    """Whether this thread records operations.

    Examples
    --------
    >>> is_grad_enabled()
    True
    """
    return not fbp_grad_off


cdef class GradMode:
    """A block, or a decorated function, in which this thread records operations or does not."""
    cdef int off
    cdef int before
    cdef list earlier  # of a block within itself
    cdef int depth
    cdef object function  # of a decorator without parentheses

    def __init__(self, function=None):
        self.function = function

    def __enter__(self):
        global fbp_grad_off
        if self.depth:
            if self.earlier is None:
                self.earlier = []
            self.earlier.append(self.before)
        self.depth += 1
        self.before = fbp_grad_off
        fbp_grad_off = self.off

    def __exit__(self, kind, error, trace):
        global fbp_grad_off
        fbp_grad_off = self.before
        self.depth -= 1
        if self.depth:
            self.before = self.earlier.pop()

    def __call__(self, *args, **keywords):
        if self.function is None:
            return decorated(args[0], self.off)
        with _mode(self.off):
            return self.function(*args, **keywords)

    def __get__(self, owner, kind):
        return self if owner is None else types.MethodType(self, owner)


cdef GradMode _mode(int off):
    cdef GradMode self = GradMode.__new__(GradMode)
    self.off = off
    return self


def decorated(function, int off):
    """`function`, which may be a generator, with operations recorded or not."""
    if inspect.isgeneratorfunction(function):
        @functools.wraps(function)
        def generate(*args, **keywords):
            inner = function(*args, **keywords)
            value = None
            while True:
                with _mode(off):
                    try:
                        item = inner.send(value)
                    except StopIteration as stop:
                        return stop.value
                value = yield item
        return generate

    @functools.wraps(function)
    def call(*args, **keywords):
        with _mode(off):
            return function(*args, **keywords)
    return call


cdef class no_grad(GradMode):
    """A block, or a decorated function, whose operations are not recorded, in this thread.

    Examples
    --------
    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """
    def __cinit__(self, function=None):
        self.off = 1


cdef class enable_grad(GradMode):
    """A block, or a decorated function, whose operations are recorded, within `no_grad`.

    Examples
    --------
    >>> with no_grad(), enable_grad():
    ...     is_grad_enabled()
    True
    """
    def __cinit__(self, function=None):
        self.off = 0


cdef class inference_mode(GradMode):
    """As `no_grad`.

    Examples
    --------
    >>> with inference_mode():
    ...     is_grad_enabled()
    False
    """
    def __cinit__(self, mode=True):
        self.off = fbp_grad_off if mode is False else 1

    def __init__(self, mode=True):
        self.function = mode if callable(mode) else None


cdef class set_grad_enabled(GradMode):
    """Record operations from now on, or not; as a block, until its end.

    Examples
    --------
    >>> with set_grad_enabled(False):
    ...     is_grad_enabled()
    False
    """
    def __init__(self, mode):
        global fbp_grad_off
        self.before = fbp_grad_off
        self.off = not mode
        self.depth = 1  # the block has begun
        fbp_grad_off = self.off

    def __enter__(self):
        global fbp_grad_off
        if not self.depth:
            self.depth = 1
            self.before = fbp_grad_off
        fbp_grad_off = self.off

    def __call__(self, *args, **keywords):
        global fbp_grad_off
        fbp_grad_off = self.before  # it decorates, and does not hold from now on
        return decorated(args[0], self.off)
