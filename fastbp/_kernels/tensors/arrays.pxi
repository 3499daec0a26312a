# Arithmetic of arrays, without any history.  Part of autograd.pyx.

cdef inline tuple shape_of(object x):
    return x.shape


cdef inline bint is_float(array x):
    return cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE


cdef inline bint is_plain(array x):
    """Whether C loops take x: C-contiguous and aligned (tensors are of native byte order)."""
    return (cnp.PyArray_FLAGS(x) & (cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED)) == (
        cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED)


cdef inline bint are_flat(array x, array y):
    """Whether the elements of two arrays of one shape lie in memory in the same order."""
    cdef int both = cnp.PyArray_FLAGS(x) & cnp.PyArray_FLAGS(y)
    return both & cnp.NPY_ARRAY_ALIGNED and both & (
        cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS)


cdef inline bint are_shifted(array x, array y):
    """Whether two contiguous arrays share memory, of which a loop would read what it wrote."""
    cdef char *a = <char *> cnp.PyArray_DATA(x)
    cdef char *b = <char *> cnp.PyArray_DATA(y)
    return a != b and a < b + cnp.PyArray_NBYTES(y) and b < a + cnp.PyArray_NBYTES(x)


cdef inline bint has_shape(array x, int nd, const cnp.npy_intp *dims):
    return cnp.PyArray_NDIM(x) == nd and (
        nd == 0 or memcmp(cnp.PyArray_DIMS(x), dims, nd * sizeof(cnp.npy_intp)) == 0)


cdef inline bint is_expanded(array x):
    """Whether several elements are one number in memory."""
    cdef int i
    for i in range(cnp.PyArray_NDIM(x)):
        if cnp.PyArray_STRIDE(x, i) == 0 and cnp.PyArray_DIM(x, i) > 1:
            return cnp.PyArray_SIZE(x) > 0
    return False


cdef enum:
    BOOLS, INTEGERS, FLOATS, OTHERS


cdef int kind_of(object value) noexcept:
    if type(value) is float:
        return FLOATS
    if type(value) is bool:
        return BOOLS
    return INTEGERS if type(value) is int else OTHERS


cdef int fill_numbers(object data, int depth, const cnp.npy_intp *dims, int kind,
                      char **to) except -1:
    """Write nested lists of Python's numbers to memory; gives the kind that it takes."""
    cdef int found
    if not (type(data) is list or type(data) is tuple) or len(data) != dims[0]:
        return OTHERS
    for item in data:
        if depth > 1:
            found = fill_numbers(item, depth - 1, dims + 1, kind, to)
        else:
            found = kind_of(item)
        if found > kind:
            return found
        if depth > 1:
            continue
        if kind == FLOATS:
            (<double *> to[0])[0] = item
            to[0] += sizeof(double)
        elif kind == INTEGERS:
            (<int64_t *> to[0])[0] = item
            to[0] += sizeof(int64_t)
        else:
            (<char *> to[0])[0] = item
            to[0] += 1
    return kind


def plain_numbers(data):
    """Nested lists of nothing but Python's numbers as an array of float64, int64 or bools.

    None where there is anything else, or rows differ in length.
    """
    cdef cnp.npy_intp dims[64]
    cdef int kind, found, nd = 0
    cdef array out
    cdef char *to
    first = data
    while type(first) is list or type(first) is tuple:
        if nd == 64 or not len(first):
            return None
        dims[nd] = len(first)
        nd += 1
        first = first[0]
    kind = kind_of(first)
    while nd and kind < OTHERS:
        out = cnp.PyArray_SimpleNew(nd, dims, (
            cnp.NPY_DOUBLE if kind == FLOATS else cnp.NPY_INT64 if kind == INTEGERS
            else cnp.NPY_BOOL))
        to = <char *> cnp.PyArray_DATA(out)
        try:
            found = fill_numbers(data, nd, dims, kind, &to)
        except OverflowError:
            return None
        if found == kind:
            return out
        kind = found
    return None


cdef array restrided(array x, int nd, const cnp.npy_intp *dims, const cnp.npy_intp *steps,
                     Py_ssize_t offset):
    """A view of x's memory, from `offset` bytes on, with lengths and strides of its own."""
    cdef array out = cnp.PyArray_New(
        cnp.ndarray, nd, <cnp.npy_intp *> dims, cnp.PyArray_TYPE(x), <cnp.npy_intp *> steps,
        <char *> cnp.PyArray_DATA(x) + offset, 0,
        cnp.PyArray_FLAGS(x) & cnp.NPY_ARRAY_WRITEABLE, None)
    cnp.PyArray_UpdateFlags(out, cnp.NPY_ARRAY_UPDATE_ALL)
    cnp.set_array_base(out, x)
    return out


def expanded(array x not None, tuple shape):
    """A view of x, of a shape that x broadcasts to; where x is, it can be written to.

    NumPy's own can not, not even its rows, in which no number is repeated.
    """
    cdef int i, nd = len(shape), ahead = len(shape) - cnp.PyArray_NDIM(x)
    cdef cnp.npy_intp dims[64]
    cdef cnp.npy_intp steps[64]
    if nd > 64 or ahead < 0:
        raise ValueError
    for i in range(nd):
        dims[i] = shape[i]
        steps[i] = 0
        if i >= ahead and cnp.PyArray_DIM(x, i - ahead) == dims[i]:
            steps[i] = cnp.PyArray_STRIDE(x, i - ahead)
        elif i >= ahead and cnp.PyArray_DIM(x, i - ahead) != 1:
            raise ValueError
    return restrided(x, nd, dims, steps, 0)


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
    fbp_loops[cnp.PyArray_TYPE(out) == cnp.NPY_DOUBLE][operation](
        cnp.PyArray_DATA(x), sx, cnp.PyArray_DATA(y), sy, cnp.PyArray_DATA(out), n)


cdef inline void loop_number(int operation, array x, double number, bint reflected, array out,
                             Py_ssize_t n) noexcept:
    cdef float single = <float> number
    cdef bint is_double = cnp.PyArray_TYPE(out) == cnp.NPY_DOUBLE
    cdef void *y = &number if is_double else <void *> &single
    if reflected:
        fbp_loops[is_double][operation](y, 0, cnp.PyArray_DATA(x), 1, cnp.PyArray_DATA(out), n)
    else:
        fbp_loops[is_double][operation](cnp.PyArray_DATA(x), 1, y, 0, cnp.PyArray_DATA(out), n)


cdef enum:
    NOT_SPREAD, ROW, COLUMN


cdef int spread_of(array x, array y):
    """How y broadcasts to a small array x: as a ROW for all, or a COLUMN, a number for each row."""
    cdef int i, nd = cnp.PyArray_NDIM(x), ny = cnp.PyArray_NDIM(y)
    cdef Py_ssize_t n
    if nd == 0 or ny == 0 or ny > nd or not 0 < cnp.PyArray_SIZE(x) <= SMALL:
        return NOT_SPREAD
    n = cnp.PyArray_DIM(x, nd - 1)
    if cnp.PyArray_DIM(y, ny - 1) == n and cnp.PyArray_SIZE(y) == n:
        return ROW
    if ny != nd or cnp.PyArray_DIM(y, nd - 1) != 1:
        return NOT_SPREAD
    for i in range(nd - 1):
        if cnp.PyArray_DIM(y, i) != cnp.PyArray_DIM(x, i):
            return NOT_SPREAD
    return COLUMN


cdef array combine_spread(int operation, array x, array y, int how, bint reflected):
    """As `combine`, of x and what broadcasts to it; `reflected`, y and x."""
    cdef Py_ssize_t n = cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1)
    cdef Py_ssize_t r, rows = cnp.PyArray_SIZE(x) // n, size = cnp.PyArray_ITEMSIZE(x)
    cdef int step = how == ROW
    cdef array out = empty_like(x)
    cdef char *x_ = <char *> cnp.PyArray_DATA(x)
    cdef char *y_ = <char *> cnp.PyArray_DATA(y)
    cdef char *to = <char *> cnp.PyArray_DATA(out)
    cdef fbp_loop one_row = fbp_loops[cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE][operation]
    for r in range(rows):
        if reflected:
            one_row(y_, step, x_, 1, to, n)
        else:
            one_row(x_, 1, y_, step, to, n)
        x_, to = x_ + n * size, to + n * size
        y_ += 0 if step else size
    return out


cdef array combine(int operation, array x, array y, array out=None):
    """x and y by an operation, both of one float dtype; into `out`, where one is given.

    The C loops are of float32 and float64; NumPy has float16.
    """
    cdef Py_ssize_t nx, ny
    cdef bint same
    cdef int how
    if not is_float(x):
        pass
    elif is_plain(x) and is_plain(y) and (out is None or is_plain(out)):
        nx, ny = cnp.PyArray_SIZE(x), cnp.PyArray_SIZE(y)
        same = has_shape(x, cnp.PyArray_NDIM(y), cnp.PyArray_DIMS(y))
        if nx <= SMALL and (same or ny == 1 and cnp.PyArray_NDIM(x) >= cnp.PyArray_NDIM(y)):
            if out is None:
                out = empty_like(x)
            loop(operation, x, 1, y, same, out, nx)
            return out
        if out is None and ny < nx and (how := spread_of(x, y)):
            return combine_spread(operation, x, y, how, False)
        if out is None and nx < ny and ny > 1 and nx > 1 and (how := spread_of(y, x)):
            return combine_spread(operation, y, x, how, True)
        if out is None and nx == 1 and ny <= SMALL and cnp.PyArray_NDIM(y) >= cnp.PyArray_NDIM(x):
            out = empty_like(y)
            loop(operation, x, 0, y, 1, out, ny)
            return out
    elif out is not None and are_flat(x, y) and are_flat(x, out) and has_shape(
            x, cnp.PyArray_NDIM(y), cnp.PyArray_DIMS(y)):
        nx = cnp.PyArray_SIZE(x)  # weights and their gradients, which are transposed
        if nx <= SMALL:
            loop(operation, x, 1, y, 1, out, nx)
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
    if is_float(x) and is_plain(x) and (out is None or is_plain(out)):
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


cdef enum:
    ROWS = 256  # that one sum goes over
    MANY = 4096  # from which on a sum goes by such blocks


cdef array in_blocks(array a, int axis):
    """The sum over one dimension, which stays as one of length 1, by sums of blocks of rows."""
    cdef Py_ssize_t n = cnp.PyArray_DIM(a, axis), blocks = n // ROWS
    if n <= ROWS:
        return as_array(sum_ufunc(a, axis, keepdims=True))
    before = (slice(None),) * axis
    shape = shape_of(a)
    whole = (<object> a)[(*before, slice(0, blocks * ROWS))]
    parts = whole.reshape((*shape[:axis], blocks, ROWS, *shape[axis + 1:]))  # a view
    total = in_blocks(as_array(sum_ufunc(parts, axis + 1)), axis)
    if n % ROWS:
        total = as_array(total + sum_ufunc((<object> a)[(*before, slice(blocks * ROWS, n))], axis,
                                           keepdims=True))
    return total


cdef array over_dimensions(array a, tuple axes, bint keepdims):
    """The sum over one dimension after the other, those first that lie closest in memory."""
    cdef int axis
    cdef array total = a
    for axis in sorted(axes, key=(<object> a).strides.__getitem__):
        if cnp.PyArray_STRIDE(total, axis) == cnp.PyArray_ITEMSIZE(total):
            total = as_array(sum_ufunc(total, axis, keepdims=True))
        else:
            total = in_blocks(total, axis)
    return total if keepdims else as_array((<object> total).squeeze(axes))


cpdef array summed(object x, tuple axes, bint keepdims):
    """The sum of floats over some dimensions, or over all where `axes` is None.

    The rounding of a sum grows with its terms, and where dimensions do not lie along memory NumPy
    adds row to row: many rows are summed by blocks.
    """
    cdef array a = as_array(x)
    cdef Py_ssize_t n = 1
    cdef int axis
    if axes is not None and len(axes) < cnp.PyArray_NDIM(a):
        for axis in axes:
            n *= cnp.PyArray_DIM(a, axis)
        if n >= MANY:
            return quiet(over_dimensions, (a, axes, keepdims))
    return as_array(quiet(sum_ufunc, (a, axes), {"keepdims": keepdims}))


cdef array fitted(array g, int nd, const cnp.npy_intp *dims, int typenum):
    """A gradient summed to the shape that was broadcast, in the dtype that was promoted."""
    cdef int i, ahead
    cdef list axes
    if cnp.PyArray_TYPE(g) == typenum and has_shape(g, nd, dims):
        return g
    if not has_shape(g, nd, dims):
        ahead = cnp.PyArray_NDIM(g) - nd
        shape = tuple([dims[i] for i in range(nd)])
        if ahead >= 0:
            axes = list(range(ahead))
            for i in range(nd):
                if dims[i] == 1 and cnp.PyArray_DIM(g, ahead + i) != 1:
                    axes.append(ahead + i)
            if len(axes) == 1 and is_small(g):
                g = sum_over(g, axes[0], False)
            else:
                g = summed(g, tuple(axes), False)
        if ahead < 0 or cnp.PyArray_SIZE(g) != cnp.PyArray_MultiplyList(<cnp.npy_intp *> dims, nd):
            raise RuntimeError(f"A backward expects to give a gradient of shape {shape}; "
                               f"got {shape_of(g)}.")
        g = (<object> g).reshape(shape)
    if cnp.PyArray_TYPE(g) != typenum:
        g = quiet((<object> g).astype, (cnp.PyArray_DescrFromType(typenum),))
    return g
