# cython: boundscheck=False
"""A layer's pass in one call: looks at the arrays, allocates the results and computes.

Each takes what the kernels take as it lies: NumPy's own arrays, contiguous, aligned, of one float
dtype, of shapes that fit, and not empty; and weights by columns, copied with rows and columns
exchanged. For anything else, and where the NumPy twins run, it
returns None, and the caller serves it by the kernels of `fastbp.backend`, with their errors.
"""
cimport numpy as cnp
from libc.stdint cimport int64_t

from fastbp._kernels.affine cimport affine_backward_core, affine_forward_core
from fastbp._kernels.contract cimport idx, real
from fastbp._kernels cimport isa
from fastbp._kernels.losses cimport keeps_y

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    int fbp_affine_forward_of(...)
    int fbp_affine_backward_of(...)
    void fbp_transpose_of(...)
    void fbp_activation_forward_of(...)
    void fbp_activation_backward_of(...)
    double fbp_softmax_cross_entropy_forward_of(...)
    void fbp_softmax_cross_entropy_backward_of(...)
    double fbp_loss_forward_of(...)
    void fbp_loss_backward_of(...)

cdef extern from "aligned.h" nogil:
    void *fbp_allocate(size_t size)
    void fbp_free(void *memory)

cnp.import_array()
fbp_active = isa.active()

ctypedef cnp.ndarray array

#: The kind of the loss over rows of classes; those over pairs of elements are rows of operations.h.
SOFTMAX = isa.FBP_SOFTMAX

cdef object current_kernels = None
cdef object compiled_kernels = None


def register(kernels, compiled):
    """Name who tells the kernels that run, and the compiled ones."""
    global current_kernels, compiled_kernels
    current_kernels, compiled_kernels = kernels, compiled


cdef bint compiled_runs():
    return current_kernels() is compiled_kernels


cdef inline int float_type(object x):
    """The type number of an array of float32 or float64, else -1."""
    cdef int typenum
    if not cnp.PyArray_CheckExact(x):
        return -1
    typenum = cnp.PyArray_TYPE(<array> x)
    return typenum if typenum == cnp.NPY_FLOAT or typenum == cnp.NPY_DOUBLE else -1


cdef inline bint same_shape(object x, object y):
    cdef int axis
    if cnp.PyArray_NDIM(<array> x) != cnp.PyArray_NDIM(<array> y):
        return False
    for axis in range(cnp.PyArray_NDIM(<array> x)):
        if dim(x, axis) != dim(y, axis):
            return False
    return True


cdef inline bint lies_by_columns(object x):
    return cnp.PyArray_NDIM(<array> x) == 2 and cnp.PyArray_ISFARRAY_RO(<array> x)


cdef inline array like(object x):
    return cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(<array> x), cnp.PyArray_DIMS(<array> x),
                                 cnp.PyArray_TYPE(<array> x))


# --- the affine map ------------------------------------------------------------------------------

cdef inline bint is_affine(object x, object W, int typenum, bint floats):
    return (is_plain(x, cnp.NPY_FLOAT if floats else typenum, 2) and is_plain(W, typenum, 2)
            and dim(x, 1) == dim(W, 0) and cnp.PyArray_SIZE(<array> x) != 0
            and cnp.PyArray_SIZE(<array> W) != 0)


cdef array by_rows(array W):
    """A copy by rows of a matrix that lies by columns, as the transpose of another one does."""
    cdef array copy = like(W)
    fbp_transpose_of(cnp.PyArray_TYPE(W), memory(W), memory(copy), dim(W, 1), dim(W, 0))
    return copy


cdef int affine_product(int typenum, object x, object W, object b, object out) except -1:
    """out = x W + b; W's memory is (n_in, n_out), whichever way its array is turned."""
    cdef void *x_ = memory(x)
    cdef void *W_ = memory(W)
    cdef void *b_ = memory(b)
    cdef void *out_ = memory(out)
    cdef idx rows = dim(x, 0), n_in = dim(x, 1), n_out = dim(out, 1)
    cdef int status
    if rows * n_in * n_out < LARGE:
        status = fbp_affine_forward_of(typenum, x_, W_, b_, out_, rows, n_in, n_out)
    else:
        with nogil:
            status = fbp_affine_forward_of(typenum, x_, W_, b_, out_, rows, n_in, n_out)
    return enough(status, "affine_forward")


cdef int affine_gradients(int typenum, object dout, object x, object W, object dx, object dW,
                          object db) except -1:
    """dx, dW and db, of which each may be None; W and dW as above."""
    cdef void *dout_ = memory(dout)
    cdef void *x_ = memory(x)
    cdef void *W_ = memory(W)
    cdef void *dx_ = memory(dx)
    cdef void *dW_ = memory(dW)
    cdef void *db_ = memory(db)
    cdef idx rows = dim(x, 0), n_in = dim(x, 1), n_out = dim(dout, 1)
    cdef int status
    if rows * n_in * n_out < LARGE:
        status = fbp_affine_backward_of(typenum, dout_, x_, W_, dx_, dW_, db_, rows, n_in, n_out)
    else:
        with nogil:
            status = fbp_affine_backward_of(
                typenum, dout_, x_, W_, dx_, dW_, db_, rows, n_in, n_out)
    return enough(status, "affine_backward")


cdef inline int enough(int status, str kernel) except -1:
    if status:
        raise MemoryError(f"{kernel} could not allocate its scratch memory")
    return 0


cdef inline idx rows_at_once(idx n_in, idx bytes) noexcept:
    """Rows of float64 of about so many bytes."""
    return max(16, bytes // (8 * n_in))


cdef int product_of_floats(object x, object W, object b, object out) except -1:
    """x in float32, the others in float64: x is converted a block at a time."""
    cdef const float *x_ = <float *> memory(x)
    cdef const double *W_ = <double *> memory(W)
    cdef const double *b_ = <double *> memory(b)
    cdef double *out_ = <double *> memory(out)
    cdef idx rows = dim(x, 0), n_in = dim(W, 0), n_out = dim(W, 1), r = 0, m
    cdef idx block = rows_at_once(n_in, 1 << 20)
    cdef double *buffer
    cdef int status = 0
    with nogil:
        buffer = <double *> fbp_allocate(min(block, rows) * n_in * sizeof(double))
        if buffer == NULL:
            status = -1
        while r < rows and status == 0:
            m = some_of(rows - r, block)
            convert(x_ + r * n_in, buffer, m * n_in)
            status = affine_forward_core(buffer, W_, b_, out_ + r * n_out, m, n_in, n_out)
            r += m
        fbp_free(buffer)
    return enough(status, "affine_forward")


cdef int gradients_of_floats(object dout, object x, object W, object dx, object dW,
                             object db) except -1:
    """x in float32, the others in float64: dW is the sum of those of x's blocks."""
    cdef const double *dout_ = <double *> memory(dout)
    cdef const float *x_ = <float *> memory(x)
    cdef const double *W_ = <double *> memory(W)
    cdef double *dx_ = <double *> memory(dx)
    cdef double *dW_ = <double *> memory(dW)
    cdef double *db_ = <double *> memory(db)
    cdef idx rows = dim(x, 0), n_in = dim(W, 0), n_out = dim(W, 1), r = 0, m, i
    cdef idx block = rows_at_once(n_in, 1 << 21)
    cdef double *buffer
    cdef double *sum_
    cdef int status
    with nogil:
        buffer = <double *> fbp_allocate(n_in * (min(block, rows) + n_out) * sizeof(double))
        sum_ = buffer + min(block, rows) * n_in
        status = -1 if buffer == NULL else affine_backward_core(
            dout_, NULL, W_, dx_, NULL, db_, rows, n_in, n_out)
        while r < rows and status == 0:
            m = some_of(rows - r, block)
            convert(x_ + r * n_in, buffer, m * n_in)
            status = affine_backward_core(dout_ + r * n_out, buffer, W_, NULL,
                                          dW_ if r == 0 else sum_, NULL, m, n_in, n_out)
            if r > 0:
                for i in range(n_in * n_out):
                    dW_[i] += sum_[i]
            r += m
        fbp_free(buffer)
    return enough(status, "affine_backward")


def affine_forward(x, W, b):
    """x W + b as a new array

    Parameters
    ----------
    x : (rows, n_in)
        Rows of float32 under float64 too.
    W : (n_in, n_out)
    b : (n_out,)
    """
    cdef int typenum = float_type(W)
    cdef cnp.npy_intp shape[2]
    cdef array out
    cdef bint floats = typenum == cnp.NPY_DOUBLE and float_type(x) == cnp.NPY_FLOAT
    if typenum >= 0 and lies_by_columns(W):
        W = by_rows(W)
    if not (is_affine(x, W, typenum, floats) and is_plain(b, typenum, 1)
            and dim(b, 0) == dim(W, 1) and compiled_runs()):
        return None
    shape[0], shape[1] = dim(x, 0), dim(W, 1)
    out = cnp.PyArray_SimpleNew(2, shape, typenum)
    if floats:
        product_of_floats(x, W, b, out)
    else:
        affine_product(typenum, x, W, b, out)
    return out


def affine_backward(dout, x, W, bint need_dx):
    """(dx, dW, db) as new arrays; dx is None without `need_dx`

    Parameters
    ----------
    dout : (rows, n_out)
    x : (rows, n_in)
        Rows of float32 under float64 too.
    W : (n_in, n_out)
    """
    cdef int typenum = float_type(W)
    cdef bint floats = typenum == cnp.NPY_DOUBLE and float_type(x) == cnp.NPY_FLOAT
    cdef cnp.npy_intp n_out
    cdef cnp.npy_intp shape[2]
    cdef array dW
    cdef array db
    cdef object dx = None
    if typenum >= 0 and lies_by_columns(W):
        W = by_rows(W)
    if not (is_affine(x, W, typenum, floats) and is_plain(dout, typenum, 2)
            and dim(dout, 0) == dim(x, 0) and dim(dout, 1) == dim(W, 1) and compiled_runs()):
        return None
    n_out = dim(W, 1)
    if need_dx:
        shape[0], shape[1] = dim(x, 0), dim(x, 1)
        dx = cnp.PyArray_SimpleNew(2, shape, typenum)
    dW, db = like(W), cnp.PyArray_SimpleNew(1, &n_out, typenum)
    if floats:
        gradients_of_floats(dout, x, W, dx, dW, db)
    else:
        affine_gradients(typenum, dout, x, W, dx, dW, db)
    return dx, dW, db


# --- activations ---------------------------------------------------------------------------------

def activation_forward(int kind, x, double a, double b):
    """The activation of that kind of x, with its numbers, as a new array."""
    cdef int typenum = float_type(x)
    cdef array out
    cdef void *x_
    cdef void *out_
    cdef idx n
    if not (typenum >= 0 and is_plain(x, typenum, -1) and compiled_runs()):
        return None
    out = like(x)
    x_, out_, n = memory(x), memory(out), cnp.PyArray_SIZE(out)
    if n < LARGE // 16:
        fbp_activation_forward_of(typenum, x_, out_, kind, a, b, n)
    else:
        with nogil:
            fbp_activation_forward_of(typenum, x_, out_, kind, a, b, n)
    return out


def activation_backward(int kind, dout, read, double a, double b):
    """The gradient by an activation's input, from `dout` and what the gradient reads."""
    cdef int typenum = float_type(read)
    cdef array dx
    cdef void *dout_
    cdef void *read_
    cdef void *dx_
    cdef idx n
    if not (typenum >= 0 and is_plain(read, typenum, -1) and is_plain(dout, typenum, -1)
            and same_shape(dout, read) and compiled_runs()):
        return None
    dx = like(read)
    dout_, read_, dx_, n = memory(dout), memory(read), memory(dx), cnp.PyArray_SIZE(dx)
    if n < LARGE // 16:
        fbp_activation_backward_of(typenum, dout_, read_, dx_, kind, a, b, n)
    else:
        with nogil:
            fbp_activation_backward_of(typenum, dout_, read_, dx_, kind, a, b, n)
    return dx


# --- losses --------------------------------------------------------------------------------------

cdef bint are_classes(object t, idx rows, idx n) noexcept:
    cdef const int64_t *t_ = <int64_t *> memory(t)
    cdef idx r
    for r in range(rows):
        if not 0 <= t_[r] < n:
            return False
    return True


cdef bint are_shares(const real *kind, object t) noexcept:
    """Whether all elements are from 0 to 1; NaN is not."""
    cdef const real *t_ = <real *> memory(t)
    cdef idx i
    cdef int outside = 0
    for i in range(cnp.PyArray_SIZE(<array> t)):
        outside |= not (t_[i] >= 0 and t_[i] <= 1)
    return not outside


cdef bint are_targets(int kind, object x, object t, int typenum, bint shares):
    """Whether x and t are what the loss takes as they lie; `shares`: with a look at each share."""
    if typenum < 0 or not is_plain(x, typenum, -1) or cnp.PyArray_SIZE(<array> x) == 0:
        return False
    if kind == isa.FBP_SOFTMAX:
        return (cnp.PyArray_NDIM(<array> x) == 2 and is_plain(t, cnp.NPY_INT64, 1)
                and dim(t, 0) == dim(x, 0) and dim(x, 1) > 1
                and are_classes(t, dim(x, 0), dim(x, 1)))
    if not (is_plain(t, typenum, -1) and same_shape(x, t)):
        return False
    if kind != isa.FBP_SIGMOID_LOSS or not shares:
        return True
    return (are_shares[float](NULL, t) if typenum == cnp.NPY_FLOAT
            else are_shares[double](NULL, t))


cdef inline idx terms(int kind, object x):
    """What a loss is averaged over: rows, or elements."""
    return dim(x, 0) if kind == isa.FBP_SOFTMAX else cnp.PyArray_SIZE(<array> x)


def loss_forward(int kind, x, t, double a):
    """(mean loss, y) of a loss with its number: y is what the gradient needs

    Parameters
    ----------
    kind : SOFTMAX, or the kind of a row
    x : logits (rows, n_classes), or logits or predictions of any shape
    t : classes as int64 (rows,), or targets of x's shape and dtype
    """
    cdef int typenum = float_type(x)
    cdef object y = None
    cdef double total
    if kind == isa.FBP_SOFTMAX and a != 0:  # smoothed targets
        return None
    if not (are_targets(kind, x, t, typenum, True) and compiled_runs()):
        return None
    if kind == isa.FBP_SOFTMAX or keeps_y(kind):
        y = like(x)
    if kind == isa.FBP_SOFTMAX:
        total = fbp_softmax_cross_entropy_forward_of(typenum, memory(x), memory(t), memory(y),
                                                     dim(x, 0), dim(x, 1))
    else:
        total = fbp_loss_forward_of(typenum, memory(x), memory(t), memory(y), kind, a,
                                    cnp.PyArray_SIZE(<array> x))
    return total / terms(kind, x), x if y is None else y


def loss_backward(int kind, y, t, double dout, double a):
    """The mean loss's gradient, times `dout`, by what `loss_forward` was given."""
    cdef int typenum = float_type(y)
    cdef array dx
    cdef double scale
    if kind == isa.FBP_SOFTMAX and a != 0:
        return None
    if not (are_targets(kind, y, t, typenum, False) and compiled_runs()):
        return None
    dx = like(y)
    scale = dout / terms(kind, y)
    if kind == isa.FBP_SOFTMAX:
        fbp_softmax_cross_entropy_backward_of(typenum, memory(y), memory(t), scale, memory(dx),
                                              dim(dx, 0), dim(dx, 1))
    else:
        fbp_loss_backward_of(typenum, memory(y), memory(t), memory(dx), kind, a, scale,
                             cnp.PyArray_SIZE(dx))
    return dx
