# Functions of tensors in one compiled call each.  Part of autograd.pyx.
#
# A quick form takes the arguments as they were handed in and serves what is common: plain arrays
# of a small size, dimensions as integers.  For anything else, and where an argument is wrong, it
# gives None, and the function of Python does it or words the error.  Except for views, sums and
# the losses it leaves what needs a gradient to Python, too, whose nodes cost less than PyTorch's.

ctypedef object (*quick_form)(int kind, TensorBase x, tuple given, dict named)

cdef extern from "Python.h":
    object PyMethod_New(object, object)
    long PyLong_AsLongAndOverflow(object, int *overflow) except? -1
    int PySlice_Unpack(object, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *) except -1
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t, Py_ssize_t *, Py_ssize_t *, Py_ssize_t)


@cython.final
cdef class Operation:
    """A function of tensors that has a quick form, which is tried first; see `operation`."""
    cdef quick_form quick
    cdef int kind
    cdef object function
    cdef dict __dict__

    def __cinit__(self):
        self.quick = quick_none

    cdef int serve(self, str name, quick_form form, tuple names) except -1:
        """Take a form whose functions are called so; `kind` is which of these it is."""
        if name in names:
            self.quick, self.kind = form, <int> names.index(name)
        return 0

    def __call__(self, *arguments, **keywords):
        cdef TensorBase x = None
        if arguments and isinstance(arguments[0], TensorBase):
            x = <TensorBase> arguments[0]
        out = self.quick(self.kind, x, arguments, keywords)
        return self.function(*arguments, **keywords) if out is None else out

    def __get__(self, owner, kind):
        return self if owner is None else PyMethod_New(self, owner)

    def __reduce__(self):
        return self.__qualname__  # as functions are, by its name

    def __repr__(self):
        return repr(self.function)


cdef object quick_none(int kind, TensorBase x, tuple given, dict named):
    return None


def operation(function, str name=None):
    """`function`, by its quick form where there is one of this name, or else of its own."""
    cdef Operation self = Operation.__new__(Operation)
    name = function.__name__ if name is None else name
    self.serve(name, quick_unary, UNARY)
    self.serve(name, quick_comparison, COMPARISONS)
    self.serve(name, quick_extreme, EXTREMES)
    self.serve(name, quick_activation, ACTIVATIONS)
    self.serve(name, quick_sum, ("sum", "mean"))
    self.serve(name, quick_reshape, ("reshape", "view"))
    self.serve(name, quick_unsqueeze, ("unsqueeze", "squeeze"))
    self.serve(name, quick_cat, ("cat", "stack"))
    self.serve(name, quick_softmax, ("softmax", "log_softmax"))
    self.serve(name, quick_change, IN_PLACE)
    self.serve(name, quick_flatten, ("flatten",))
    self.serve(name, quick_t, ("t",))
    self.serve(name, quick_transpose, ("transpose",))
    self.serve(name, quick_permute, ("permute",))
    self.serve(name, quick_matmul, ("matmul",))
    self.serve(name, quick_clamp, ("clamp",))
    self.serve(name, quick_clone, ("clone",))
    self.serve(name, quick_contiguous, ("contiguous",))
    self.serve(name, quick_binary_cross_entropy, ("binary_cross_entropy",))
    self.serve(name, quick_nll_loss, ("nll_loss",))
    if self.quick == quick_none:
        return function
    self.function = function
    return functools.update_wrapper(self, function)


# --- the arguments -------------------------------------------------------------------------------

cdef bint fetch(TensorBase x, tuple given, dict named, tuple names, PyObject **values) except -1:
    """The arguments behind the tensor x by their names: NULL of those that were not given.

    False where there are others, or the first is no tensor.
    """
    cdef Py_ssize_t i, n = len(given) - 1, found = 0
    if x is None or n > len(names):
        return False
    for i in range(len(names)):
        values[i] = NULL
        if i < n:
            values[i] = <PyObject *> given[i + 1]
        elif named:
            values[i] = PyDict_GetItem(named, names[i])
            found += values[i] != NULL
    return found == len(named)


cdef inline bint is_none(PyObject *value) noexcept:
    return value == NULL or value == <PyObject *> None


cdef inline bint is_flag(PyObject *value, bint *flag) noexcept:
    """Whether a value is a bool, or was not given."""
    if value != NULL:
        flag[0] = value == <PyObject *> True
    return value == NULL or value == <PyObject *> True or value == <PyObject *> False


cdef bint is_integer(object value, long *number) except -1:
    """Whether a value is an int of C's range, and no bool."""
    cdef int overflow = 0
    if type(value) is not int:
        return False
    number[0] = PyLong_AsLongAndOverflow(value, &overflow)
    return not overflow


cdef int axis_of(PyObject *dim, int nd) except -2:
    """A dimension counted from the front; -1 where it is none.  No dimension counts as one."""
    cdef long axis
    if dim == NULL or not is_integer(<object> dim, &axis):
        return -1
    nd = max(nd, 1)
    if not -nd <= axis < nd:
        return -1
    return <int> (axis + nd if axis < 0 else axis)


cdef bint is_finite_number(object value, bint single, double *number) except -1:
    """Whether a value is a number that a float dtype holds; `single`, that of float32."""
    cdef long integer
    if type(value) is float:
        number[0] = PyFloat_AS_DOUBLE(value)
    elif is_integer(value, &integer):
        number[0] = <double> integer
    else:
        return False
    if number[0] - number[0] != 0:  # inf or NaN
        return False
    return not single or -3.4e38 < number[0] < 3.4e38


cdef inline bint needs_no_gradient(TensorBase x) except -1:
    return fbp_grad_off or x.target() is None


cdef inline bint is_small(array x):
    """Whether the loops below take x: contiguous floats of a few elements."""
    return is_float(x) and is_plain(x) and 0 < cnp.PyArray_SIZE(x) <= SMALL


cdef inline void parts_of(array x, int axis, Py_ssize_t *outer, Py_ssize_t *n, Py_ssize_t *inner):
    """An array as (outer, n, inner) around a dimension."""
    cdef int i
    outer[0] = inner[0] = n[0] = 1
    for i in range(cnp.PyArray_NDIM(x)):
        if i < axis:
            outer[0] *= cnp.PyArray_DIM(x, i)
        elif i > axis:
            inner[0] *= cnp.PyArray_DIM(x, i)
        else:
            n[0] = cnp.PyArray_DIM(x, i)


cdef array without_axis(array x, int axis, bint keepdim, int typenum):
    """An empty array of x's shape without a dimension, or with length 1 there."""
    cdef cnp.npy_intp dims[64]
    cdef int i, nd = 0
    for i in range(cnp.PyArray_NDIM(x)):
        if i != axis or keepdim:
            dims[nd] = 1 if i == axis else cnp.PyArray_DIM(x, i)
            nd += 1
    return cnp.PyArray_SimpleNew(nd, dims, typenum)


# --- views ---------------------------------------------------------------------------------------

cdef class ViewBackward(OfOne):
    """Of a view of all elements: `way` is the input's shape, or the order of dimensions back."""
    cdef str label
    cdef tuple way
    cdef bint permuted

    cdef int apply(self, Sweep sweep, array dout) except -1:
        cdef object g = dout
        self.a.receive(
            sweep, self.a_output, g.transpose(self.way) if self.permuted else g.reshape(self.way))
        return 0

    def name(self):
        """The operation, as PyTorch names it: TBackward0."""
        return self.label


cdef TensorBase as_view(TensorBase out, TensorBase base):
    """A result that shares the memory of `base`."""
    out._version = base.version()
    out._base = base if base._base is None else base._base
    out._seen = out._version.rebased
    out._unrecorded = fbp_grad_off or base._unrecorded
    return out


cdef ViewBackward view_node(str name, TensorBase base):
    """A node for a view of `base`; None where no gradient is needed."""
    cdef ViewBackward node
    cdef Target target
    if fbp_grad_off or (target := base.target()) is None:
        return None
    node = ViewBackward.__new__(ViewBackward)
    node.label, node.a, node.a_output = name, target, base._output
    return node


cpdef object reshaped(str name, TensorBase base, array x):
    """`x`, a view of all elements of `base` in another shape, as a tensor."""
    if base is None or x is None:
        raise TypeError("reshaped expects a tensor and an array; got None")
    cdef ViewBackward node = view_node(name, base)
    if node is None:
        return as_view(wrap(x), base)
    node.way = shape_of(base._array)
    return as_view(attach(node, x), base)


cdef TensorBase reordered(str name, TensorBase base, int *axes):
    """A view with the dimensions in another order."""
    cdef cnp.npy_intp dims[64]
    cdef cnp.npy_intp steps[64]
    cdef array x = base._array
    cdef int i, k, nd = cnp.PyArray_NDIM(x)
    cdef list back
    for i in range(nd):
        dims[i], steps[i] = cnp.PyArray_DIM(x, axes[i]), cnp.PyArray_STRIDE(x, axes[i])
    x = restrided(x, nd, dims, steps, 0)
    cdef ViewBackward node = view_node(name, base)
    if node is None:
        return as_view(wrap(x), base)
    back = [0] * nd
    for i in range(nd):
        k = axes[i]
        back[k] = i
    node.way, node.permuted = tuple(back), True
    return as_view(attach(node, x), base)


def permuted(str name, TensorBase base not None, tuple order):
    """A view of `base` with its dimensions in an order, of which each is named once."""
    cdef int axes[64]
    cdef int i, nd = cnp.PyArray_NDIM(base._array)
    if sorted(order) != list(range(nd)):
        raise ValueError(f"permuted expects each of {nd} dimensions once; got others.")
    for i in range(nd):
        axes[i] = order[i]
    return reordered(name, base, axes)


cdef TensorBase reversed_dims(str name, TensorBase base):
    cdef int axes[64]
    cdef int i, nd = cnp.PyArray_NDIM(base._array)
    for i in range(nd):
        axes[i] = nd - 1 - i
    return reordered(name, base, axes)


cdef object quick_t(int kind, TensorBase x, tuple given, dict named):
    if not fetch(x, given, named, (), NULL):
        return None
    return reversed_dims("TBackward0", x) if cnp.PyArray_NDIM(x._array) <= 2 else None


cdef object quick_transpose(int kind, TensorBase x, tuple given, dict named):
    cdef PyObject *dims[2]
    cdef int axes[64]
    cdef int i, a, b, nd
    if not fetch(x, given, named, ("dim0", "dim1"), dims):
        return None
    nd = cnp.PyArray_NDIM(x._array)
    a, b = axis_of(dims[0], nd), axis_of(dims[1], nd)
    if a < 0 or b < 0 or nd == 0:
        return None
    for i in range(nd):
        axes[i] = b if i == a else a if i == b else i
    return reordered("TransposeBackward0", x, axes)


cdef object quick_permute(int kind, TensorBase x, tuple given, dict named):
    cdef int axes[64]
    cdef int i, k, nd = <int> len(given) - 1
    if named or nd < 1 or x is None:
        return None
    if cnp.PyArray_NDIM(x._array) != nd:
        return None
    for i in range(nd):
        axes[i] = axis_of(<PyObject *> given[i + 1], nd)
        if axes[i] < 0:
            return None
        for k in range(i):
            if axes[k] == axes[i]:
                return None
    return reordered("PermuteBackward0", x, axes)


cdef object in_shape(TensorBase base, int nd, cnp.npy_intp *dims):
    """The elements of a contiguous array in another shape; None where it does not fit."""
    cdef array x = base._array
    cdef cnp.npy_intp steps[64]
    cdef cnp.npy_intp step = cnp.PyArray_ITEMSIZE(x)
    cdef int i
    # The product is -1 where memory could not hold it.
    if not is_plain(x) or PyArray_OverflowMultiplyList(dims, nd) != cnp.PyArray_SIZE(x):
        return None
    for i in range(nd - 1, -1, -1):
        steps[i] = step
        step *= dims[i]
    return reshaped("ViewBackward0", base, restrided(x, nd, dims, steps, 0))


cdef object quick_reshape(int kind, TensorBase x, tuple given, dict named):
    """Lengths as arguments or as one tuple; one of them may be -1."""
    cdef cnp.npy_intp dims[64]
    cdef Py_ssize_t size, known = 1
    cdef int i, nd, open_ = -1
    cdef long n
    cdef tuple lengths
    if named or len(given) < 2 or x is None:
        return None
    lengths = given[1:]
    if len(lengths) == 1 and isinstance(lengths[0], tuple):
        lengths = <tuple> lengths[0]
    nd = <int> len(lengths)
    if nd > 64:
        return None
    for i in range(nd):
        if not is_integer(lengths[i], &n) or n < -1 or n == -1 and open_ >= 0:
            return None
        dims[i] = n
        if n == -1:
            open_ = i
        else:
            known *= n
    size = cnp.PyArray_SIZE(x._array)
    if open_ >= 0:
        if known <= 0 or size % known:
            return None
        dims[open_] = size // known
    return in_shape(x, nd, dims)


cdef object quick_flatten(int kind, TensorBase x, tuple given, dict named):
    cdef PyObject *ends[2]
    cdef cnp.npy_intp dims[64]
    cdef int i, nd, start = 0, end
    if not fetch(x, given, named, ("start_dim", "end_dim"), ends):
        return None
    nd = cnp.PyArray_NDIM(x._array)
    end = nd - 1
    if ends[0] != NULL:
        start = axis_of(ends[0], nd)
    if ends[1] != NULL:
        end = axis_of(ends[1], nd)
    if not 0 <= start < end:
        return None
    for i in range(start):
        dims[i] = cnp.PyArray_DIM(x._array, i)
    dims[start] = 1
    for i in range(start, nd):
        if i <= end:
            dims[start] *= cnp.PyArray_DIM(x._array, i)
        else:
            dims[start + i - end] = cnp.PyArray_DIM(x._array, i)
    return in_shape(x, nd - (end - start), dims)


cdef object quick_unsqueeze(int squeeze, TensorBase x, tuple given, dict named):
    """A dimension of length 1 more; `squeeze`: those of length 1, or one of them, left out."""
    cdef PyObject *dim
    cdef cnp.npy_intp dims[64]
    cdef cnp.npy_intp steps[64]
    cdef array a
    cdef int i, nd, to = 0, axis = -1
    if not fetch(x, given, named, ("dim",), &dim):
        return None
    a = x._array
    nd = cnp.PyArray_NDIM(a)
    if nd == 64 and not squeeze:  # the most that an array has
        return None
    if not is_none(dim):
        axis = axis_of(dim, nd if squeeze else nd + 1)
        if axis < 0:
            return None
    elif not squeeze:
        return None
    for i in range(nd + 1):
        if i == axis and not squeeze:
            dims[to], steps[to] = 1, (
                cnp.PyArray_DIM(a, i) * cnp.PyArray_STRIDE(a, i) if i < nd
                else cnp.PyArray_ITEMSIZE(a))
            to += 1
        if i < nd and not (squeeze and cnp.PyArray_DIM(a, i) == 1 and (axis < 0 or i == axis)):
            dims[to], steps[to] = cnp.PyArray_DIM(a, i), cnp.PyArray_STRIDE(a, i)
            to += 1
    name = ("UnsqueezeBackward0" if not squeeze else
            "SqueezeBackward0" if axis < 0 else "SqueezeBackward1")
    return reshaped(name, x, restrided(a, to, dims, steps, 0))


cdef object part_of(TensorBase base, object index):
    """base[index], of integers and slices, as a view; None for others."""
    cdef cnp.npy_intp dims[64]
    cdef cnp.npy_intp steps[64]
    cdef array x = base._array
    cdef Py_ssize_t start, stop, step, n, offset = 0
    cdef long place
    cdef int i, to = 0, nd = cnp.PyArray_NDIM(x)
    cdef tuple parts = <tuple> index if type(index) is tuple else (index,)
    if len(parts) > nd or not needs_no_gradient(base):
        return None
    for i in range(nd):
        n = cnp.PyArray_DIM(x, i)
        dims[to], steps[to] = n, cnp.PyArray_STRIDE(x, i)
        if i >= len(parts):
            to += 1
        elif is_integer(parts[i], &place):
            if not -n <= place < n:
                return None
            offset += (place + n if place < 0 else place) * cnp.PyArray_STRIDE(x, i)
        elif is_plain_slice(parts[i]):
            PySlice_Unpack(parts[i], &start, &stop, &step)
            if step < 1:
                return None
            dims[to] = PySlice_AdjustIndices(n, &start, &stop, step)
            offset += start * steps[to] if dims[to] else 0
            steps[to] *= step
            to += 1
        else:
            return None
    return as_view(wrap(restrided(x, to, dims, steps, offset)), base)


cdef bint is_plain_slice(object part):
    return type(part) is slice and (
        (part.start is None or type(part.start) is int)
        and (part.stop is None or type(part.stop) is int)
        and (part.step is None or type(part.step) is int))


cdef object rows_of(TensorBase x, TensorBase index):
    """The rows that a vector of integers names, as a copy; None where it is no plain case."""
    cdef array a = x._array
    cdef array places = index._array
    cdef array out
    cdef cnp.npy_intp dims[64]
    cdef Py_ssize_t i, n, size
    cdef int64_t place
    cdef int k, nd = cnp.PyArray_NDIM(a)
    cdef const int64_t *p
    if not (nd and is_plain(a) and is_ready(places, cnp.NPY_INT64) and cnp.PyArray_SIZE(a)
            and cnp.PyArray_NDIM(places) == 1 and needs_no_gradient(x)):
        return None
    n = cnp.PyArray_DIM(a, 0)
    size = cnp.PyArray_NBYTES(a) // n
    p = <const int64_t *> cnp.PyArray_DATA(places)
    dims[0] = cnp.PyArray_DIM(places, 0)
    for k in range(1, nd):
        dims[k] = cnp.PyArray_DIM(a, k)
    out = cnp.PyArray_SimpleNew(nd, dims, cnp.PyArray_TYPE(a))
    for i in range(dims[0]):
        place = p[i]
        if not -n <= place < n:
            return None
        place += n if place < 0 else 0
        memcpy(<char *> cnp.PyArray_DATA(out) + i * size,
               <char *> cnp.PyArray_DATA(a) + place * size, size)
    return wrap(out)


cpdef bint is_turned(TensorBase x):
    """Whether it lies by columns and is nobody's view, as a layer's weight and what comes of it.

    Programs expect a view of it where it has to be copied: such a copy can only be read, so that
    nothing is written in vain.
    """
    return (x._base is None and cnp.PyArray_IS_F_CONTIGUOUS(x._array)
            and not cnp.PyArray_IS_C_CONTIGUOUS(x._array))


cdef object quick_clone(int kind, TensorBase x, tuple given, dict named):
    if not fetch(x, given, named, (), NULL) or not needs_no_gradient(x):
        return None
    return wrap(cnp.PyArray_NewCopy(
        x._array, cnp.NPY_CORDER if is_turned(x) else cnp.NPY_KEEPORDER))


cdef object quick_contiguous(int kind, TensorBase x, tuple given, dict named):
    if not fetch(x, given, named, (), NULL):
        return None
    if cnp.PyArray_CHKFLAGS(x._array, cnp.NPY_ARRAY_C_CONTIGUOUS):
        return x
    if is_turned(x) or not needs_no_gradient(x):
        return None
    return wrap(cnp.PyArray_NewCopy(x._array, cnp.NPY_CORDER))


# --- of every element ----------------------------------------------------------------------------

#: The activations that tensors have as methods.
cdef tuple ACTIVATIONS = ("relu", "sigmoid", "tanh")
cdef int[3] ACTIVATION_KINDS = [isa.FBP_RELU, isa.FBP_SIGMOID, isa.FBP_TANH]

UNARY = ("exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "abs", "sin", "cos", "floor",
         "ceil", "square")
cdef list UNARY_UFUNCS = [getattr(np, name) for name in UNARY]


cdef object quick_unary(int kind, TensorBase x, tuple given, dict named):
    if not fetch(x, given, named, (), NULL):
        return None
    if not is_float(x._array) or not needs_no_gradient(x):
        return None
    return wrap(as_array(quiet(UNARY_UFUNCS[kind], (x._array,))))


cdef object quick_activation(int kind, TensorBase x, tuple given, dict named):
    if not fetch(x, given, named, (), NULL):
        return None
    return activated(ACTIVATION_KINDS[kind], x, 0, 0)


cdef object quick_clamp(int kind, TensorBase x, tuple given, dict named):
    cdef PyObject *bounds[2]
    cdef double low = -INFINITY, high = INFINITY
    cdef array out
    cdef bint single
    if not fetch(x, given, named, ("min", "max"), bounds):
        return None
    single = cnp.PyArray_TYPE(x._array) == cnp.NPY_FLOAT
    if (is_none(bounds[0]) and is_none(bounds[1]) or not is_small(x._array)
            or not is_none(bounds[0]) and not is_finite_number(<object> bounds[0], single, &low)
            or not is_none(bounds[1]) and not is_finite_number(<object> bounds[1], single, &high)
            or not needs_no_gradient(x)):
        return None
    out = empty_like(x._array)
    fbp_clamp(cnp.PyArray_TYPE(out), cnp.PyArray_DATA(x._array), low, high, cnp.PyArray_DATA(out),
              cnp.PyArray_SIZE(out))
    return wrap(out)


cdef tuple IN_PLACE = ("add_", "sub_", "mul_", "div_")


cdef object quick_change(int kind, TensorBase x, tuple given, dict named):
    cdef PyObject *other
    if not fetch(x, given, named, ("other",), &other) or other == NULL:
        return None
    if not is_float(x._array):
        return None
    if isinstance(<object> other, TensorBase):
        if cnp.PyArray_TYPE((<TensorBase> other)._array) != cnp.PyArray_TYPE(x._array):
            return None
    elif type(<object> other) is not float:
        return None
    return change(kind, x, <object> other)


# In the order of Python's own numbers for these.
COMPARISONS = ("lt", "le", "eq", "ne", "gt", "ge")


cdef object quick_comparison(int kind, TensorBase x, tuple given, dict named):
    cdef PyObject *other
    if not fetch(x, given, named, ("other",), &other) or other == NULL:
        return None
    return compared(kind, x, <object> other)


cdef object compared(int kind, TensorBase x, object y):
    """x < y and the like, of float32, float64 and int64: of one shape, or y one number."""
    cdef array a = x._array
    cdef array b
    cdef array out
    cdef double number
    cdef float single
    cdef int64_t whole
    cdef long integer
    cdef int step = 0, typenum = cnp.PyArray_TYPE(a)
    cdef void *other
    if not is_plain(a) or cnp.PyArray_SIZE(a) > SMALL or not (
            is_float(a) or typenum == cnp.NPY_INT64):
        return None
    if isinstance(y, TensorBase):
        b = (<TensorBase> y)._array
        if not is_ready(b, typenum):
            return None
        step = has_shape(a, cnp.PyArray_NDIM(b), cnp.PyArray_DIMS(b))
        if not step and not (cnp.PyArray_SIZE(b) == 1
                             and cnp.PyArray_NDIM(b) <= cnp.PyArray_NDIM(a)):
            return None
        other = cnp.PyArray_DATA(b)
    elif typenum == cnp.NPY_INT64:
        if not is_integer(y, &integer):
            return None
        whole = integer
        other = &whole
    elif is_finite_number(y, typenum == cnp.NPY_FLOAT, &number):
        single = <float> number
        other = &single if typenum == cnp.NPY_FLOAT else <void *> &number
    else:
        return None
    out = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.NPY_BOOL)
    fbp_comparisons[0 if typenum == cnp.NPY_FLOAT else 1 if typenum == cnp.NPY_DOUBLE else 2][kind](
        cnp.PyArray_DATA(a), other, step, cnp.PyArray_DATA(out), cnp.PyArray_SIZE(a))
    return wrap(out)


# --- over dimensions -----------------------------------------------------------------------------

cdef object quick_sum(int mean, TensorBase x, tuple given, dict named):
    """Of floats over all elements or one dimension; of integers and bools over all."""
    cdef PyObject *values[2]
    cdef bint keepdim = False
    cdef int axis
    if not fetch(x, given, named, ("dim", "keepdim"), values):
        return None
    if not is_flag(values[1], &keepdim):
        return None
    if is_none(values[0]):
        if is_float(x._array):
            return reduce_sum(x, None, keepdim, mean)
        return None if mean or keepdim else count_of(x._array)
    axis = axis_of(values[0], cnp.PyArray_NDIM(x._array))
    if axis < 0 or not is_float(x._array) or cnp.PyArray_NDIM(x._array) == 0:
        return None
    return reduce_sum(x, (axis,), keepdim, mean)


cdef object count_of(array x):
    """The sum of all of int64 or bools."""
    cdef int64_t sum_ = 0
    cdef Py_ssize_t i, n = cnp.PyArray_SIZE(x)
    cdef array out
    if n > SMALL or not is_plain(x):
        return None
    if cnp.PyArray_TYPE(x) == cnp.NPY_BOOL:
        for i in range(n):
            sum_ += (<char *> cnp.PyArray_DATA(x))[i] != 0
    elif cnp.PyArray_TYPE(x) == cnp.NPY_INT64:
        for i in range(n):
            sum_ += (<int64_t *> cnp.PyArray_DATA(x))[i]
    else:
        return None
    out = cnp.PyArray_SimpleNew(0, NULL, cnp.NPY_INT64)
    (<int64_t *> cnp.PyArray_DATA(out))[0] = sum_
    return wrap(out)


cdef array sum_over(array x, int axis, bint keepdim):
    """The sum of a small float array over one dimension."""
    cdef Py_ssize_t outer, n, inner
    cdef array out = without_axis(x, axis, keepdim, cnp.PyArray_TYPE(x))
    parts_of(x, axis, &outer, &n, &inner)
    fbp_sum(cnp.PyArray_TYPE(x), cnp.PyArray_DATA(x), cnp.PyArray_DATA(out), outer, n, inner)
    return out


cdef tuple EXTREMES = ("argmax", "argmin", "max", "min")


cdef object quick_extreme(int kind, TensorBase x, tuple given, dict named):
    """The first largest or smallest, of all elements or over a dimension; NaN before all."""
    cdef PyObject *values[2]
    cdef array places
    cdef array found = None
    cdef bint keepdim = False, smallest = kind & 1, pairs = kind >= 2
    cdef Py_ssize_t outer, n, inner
    cdef int axis = -1
    if not fetch(x, given, named, ("dim", "keepdim"), values):
        return None
    if not is_small(x._array) or not needs_no_gradient(x) or not is_flag(values[1], &keepdim):
        return None
    if is_none(values[0]):
        if keepdim:
            return None
        outer, n, inner = 1, cnp.PyArray_SIZE(x._array), 1
        places = cnp.PyArray_SimpleNew(0, NULL, cnp.NPY_INT64)
        if pairs:
            found = cnp.PyArray_SimpleNew(0, NULL, cnp.PyArray_TYPE(x._array))
    else:
        axis = axis_of(values[0], cnp.PyArray_NDIM(x._array))
        if axis < 0 or cnp.PyArray_NDIM(x._array) == 0:
            return None
        parts_of(x._array, axis, &outer, &n, &inner)
        places = without_axis(x._array, axis, keepdim, cnp.NPY_INT64)
        if pairs:
            found = without_axis(x._array, axis, keepdim, cnp.PyArray_TYPE(x._array))
    fbp_extreme(cnp.PyArray_TYPE(x._array), cnp.PyArray_DATA(x._array), smallest,
                cnp.PyArray_DATA(places), memory(found), outer, n, inner)
    if not pairs:
        return wrap(places)
    if axis < 0:
        return wrap(found)
    return pair_types["min" if smallest else "max"](wrap(found), wrap(places))


cdef object quick_softmax(int logs, TensorBase x, tuple given, dict named):
    """Over the last dimension of at least one."""
    cdef PyObject *values[2]
    cdef array a
    cdef array out
    cdef Py_ssize_t rows, n
    cdef int nd
    if not fetch(x, given, named, ("dim", "dtype"), values) or not is_none(values[1]):
        return None
    a = x._array
    nd = cnp.PyArray_NDIM(a)
    if (not nd or axis_of(values[0], nd) != nd - 1 or not is_small(a) or not compiled_runs()
            or not needs_no_gradient(x)):
        return None
    n = cnp.PyArray_DIM(a, nd - 1)
    rows = cnp.PyArray_SIZE(a) // n
    out = empty_like(a)
    fbp_softmax_forward_of(
        cnp.PyArray_TYPE(a), cnp.PyArray_DATA(a), cnp.PyArray_DATA(out), rows, n)
    if logs:
        fbp_logs(cnp.PyArray_TYPE(a), cnp.PyArray_DATA(a), cnp.PyArray_DATA(out), rows, n)
    return wrap(out)


def log_softmax_of(array x not None, array y not None):
    """Overwrite y = softmax(x), of rows, by log_softmax(x)."""
    if not (is_float(x) and is_plain(x) and is_ready(y, cnp.PyArray_TYPE(x))
            and cnp.PyArray_NDIM(x) == 2 and has_shape(y, 2, cnp.PyArray_DIMS(x))
            and cnp.PyArray_ISWRITEABLE(y)):
        raise ValueError("log_softmax_of expects two contiguous matrices of one float dtype")
    fbp_logs(cnp.PyArray_TYPE(x), cnp.PyArray_DATA(x), cnp.PyArray_DATA(y), cnp.PyArray_DIM(x, 0),
             cnp.PyArray_DIM(x, 1))


# --- together ------------------------------------------------------------------------------------

cdef object quick_matmul(int kind, TensorBase x, tuple given, dict named):
    cdef PyObject *other
    if not fetch(x, given, named, ("other",), &other) or other == NULL:
        return None
    if not isinstance(<object> other, TensorBase):
        return None
    return matrix_product(x, <object> other)


cdef object quick_cat(int stack, TensorBase x, tuple given, dict named):
    """Of tensors of one dtype and number of dimensions, and but for `dim` of one shape."""
    cdef cnp.npy_intp dims[64]
    cdef PyObject *dim = NULL
    cdef Py_ssize_t outer, n, inner, size, length = 0, o
    cdef array first
    cdef array out
    cdef char *to
    cdef int i, nd, axis = 0
    if named:
        dim = PyDict_GetItem(named, "dim")
        if len(named) != 1 or dim == NULL or len(given) != 1:
            return None
    elif len(given) == 2:
        dim = <PyObject *> given[1]
    elif len(given) != 1:
        return None
    tensors = given[0]
    if not (type(tensors) is list or type(tensors) is tuple) or not tensors or not isinstance(
            tensors[0], TensorBase):
        return None
    first = (<TensorBase> tensors[0])._array
    nd = cnp.PyArray_NDIM(first)
    if nd == 0 or nd > 62 or cnp.PyArray_SIZE(first) == 0:
        return None
    if dim != NULL:
        axis = axis_of(dim, nd + 1 if stack else nd)
        if axis < 0:
            return None
    for each in tensors:
        if not isinstance(each, TensorBase):
            return None
        x = <TensorBase> each
        if (not is_ready(x._array, cnp.PyArray_TYPE(first)) or cnp.PyArray_NDIM(x._array) != nd
                or not needs_no_gradient(x)):
            return None
        for i in range(nd):
            if cnp.PyArray_DIM(x._array, i) != cnp.PyArray_DIM(first, i) and (stack or i != axis):
                return None
        length += 1 if stack else cnp.PyArray_DIM(x._array, axis)
    for i in range(nd):
        dims[i + (stack and i >= axis)] = cnp.PyArray_DIM(first, i)
    dims[axis] = length
    out = cnp.PyArray_SimpleNew(nd + 1 if stack else nd, dims, cnp.PyArray_TYPE(first))
    parts_of(out, axis, &outer, &n, &inner)
    to = <char *> cnp.PyArray_DATA(out)
    inner *= cnp.PyArray_ITEMSIZE(first)
    for each in tensors:
        x = <TensorBase> each
        size = inner * (1 if stack else cnp.PyArray_DIM(x._array, axis))
        for o in range(outer):
            memcpy(to + o * n * inner, <char *> cnp.PyArray_DATA(x._array) + o * size, size)
        to += size
    return wrap(out)


# --- losses --------------------------------------------------------------------------------------

cdef class BinaryCrossEntropyBackward0(LossOfPair):
    """The mean binary cross-entropy of probabilities x and targets y of one shape."""
    cdef int apply(self, Sweep sweep, array dout) except -1:
        cdef Py_ssize_t n = cnp.PyArray_SIZE(self.x)
        cdef array dx = None
        cdef array dt = None
        self.still_alike()
        if self.a is not None:
            dx = empty_like(self.x)
        if self.b is not None:
            dt = empty_like(self.x)
        fbp_bce_slopes(self.typenum, cnp.PyArray_DATA(self.x), cnp.PyArray_DATA(self.y),
                       first_number(dout) / n, memory(dx), memory(dt), n)
        if dx is not None:
            self.a.receive(sweep, self.a_output, dx)
        if dt is not None:
            self.b.receive(sweep, self.b_output, dt)
        return 0


cdef object quick_binary_cross_entropy(int kind, TensorBase x, tuple given, dict named):
    """The mean, without weights."""
    cdef PyObject *target
    cdef TensorBase t
    cdef Py_ssize_t n
    cdef double loss
    if not fetch(x, given, named, ("target",), &target) or target == NULL or not isinstance(
            <object> target, TensorBase):
        return plain_reduction(x, given, named, quick_binary_cross_entropy)
    t = <TensorBase> target
    n = cnp.PyArray_SIZE(x._array)
    if not (is_small(x._array) and is_ready(t._array, cnp.PyArray_TYPE(x._array)) and has_shape(
            t._array, cnp.PyArray_NDIM(x._array), cnp.PyArray_DIMS(x._array))):
        return None
    loss = fbp_bce(cnp.PyArray_TYPE(x._array), cnp.PyArray_DATA(x._array),
                   cnp.PyArray_DATA(t._array), n)
    if loss != loss:
        return None
    return of_pair(BinaryCrossEntropyBackward0, x, t,
                   number_array(loss / n, cnp.PyArray_TYPE(x._array)))


cdef object plain_reduction(TensorBase x, tuple given, dict named, quick_form form):
    """As modules call their functions: with every option, each as it is by default."""
    if len(named) == 0 or len(given) != 2:
        return None
    for name, value in named.items():
        if not (value is None if name == "weight" else
                name == "reduction" and type(value) is str and value == "mean" or
                name == "ignore_index" and type(value) is int and value == -100):
            return None
    return form(0, x, given, {})


cdef object quick_nll_loss(int kind, TensorBase x, tuple given, dict named):
    """The mean of -input at the class; with a gradient, Python's."""
    cdef PyObject *target
    cdef array a
    cdef array t
    cdef const int64_t *classes
    cdef int64_t at
    cdef Py_ssize_t r, rows, n
    cdef double total = 0
    if not fetch(x, given, named, ("target",), &target) or target == NULL or not isinstance(
            <object> target, TensorBase):
        return plain_reduction(x, given, named, quick_nll_loss)
    a, t = x._array, (<TensorBase> target)._array
    if not (is_small(a) and cnp.PyArray_NDIM(a) == 2 and is_ready(t, cnp.NPY_INT64)
            and has_shape(t, 1, cnp.PyArray_DIMS(a))):
        return None
    rows, n = cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(a, 1)
    classes = <int64_t *> cnp.PyArray_DATA(t)
    for r in range(rows):
        at = classes[r]
        if not 0 <= at < n:
            return None
        if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
            total -= (<float *> cnp.PyArray_DATA(a))[r * n + at]
        else:
            total -= (<double *> cnp.PyArray_DATA(a))[r * n + at]
    return of_pair(NllLossOfLogs, x, <TensorBase> target,
                   number_array(total / rows, cnp.PyArray_TYPE(a)))


cdef class NllLossOfLogs(Unary):
    """The mean of -x at the classes y."""
    def name(self):
        """NllLossBackward0."""
        return "NllLossBackward0"

    cdef int apply(self, Sweep sweep, array dout) except -1:
        cdef array dx
        cdef Py_ssize_t r, rows, n
        cdef const int64_t *t
        cdef int64_t at
        cdef double scale
        self.unchanged()
        if not (is_ready(self.x, self.typenum) and cnp.PyArray_NDIM(self.x) == 2
                and is_ready(self.y, cnp.NPY_INT64)
                and has_shape(self.y, 1, cnp.PyArray_DIMS(self.x))):
            was_reshaped(self.name())
        rows, n = cnp.PyArray_DIM(self.x, 0), cnp.PyArray_DIM(self.x, 1)
        t = <int64_t *> cnp.PyArray_DATA(self.y)
        dx = cnp.PyArray_ZEROS(2, cnp.PyArray_DIMS(self.x), self.typenum, 0)
        scale = -first_number(dout) / rows
        for r in range(rows):
            at = t[r]
            if not 0 <= at < n:
                other_classes(self, n)
            if self.typenum == cnp.NPY_FLOAT:
                (<float *> cnp.PyArray_DATA(dx))[r * n + at] = <float> scale
            else:
                (<double *> cnp.PyArray_DATA(dx))[r * n + at] = scale
        self.a.receive(sweep, self.a_output, dx)
        return 0
