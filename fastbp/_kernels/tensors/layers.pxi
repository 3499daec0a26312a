# Layers and losses by the library's kernels, each with its gradient.  Part of autograd.pyx.
#
# These take what the kernels take as it lies: contiguous floats of one dtype.  For anything else
# they return None, and the caller serves it in Python.

cdef inline bint is_ready(array x, int typenum):
    """Whether a kernel reads x: contiguous, aligned, of a dtype."""
    return cnp.PyArray_TYPE(x) == typenum and is_plain(x)


cdef int was_reshaped(str name) except -1:
    """What was saved shares the user's memory, which NumPy lets him resize."""
    raise RuntimeError(f"backward expects the arrays that {name} saved in the shape and dtype that "
                       "they had; one was given another since.")


cdef array contiguous(array x):
    return x if is_plain(x) else cnp.PyArray_NewCopy(x, cnp.NPY_CORDER)


# --- x W + b -------------------------------------------------------------------------------------

cdef class AddmmBackward0(Binary):
    """x weight^T + bias; the weight's memory is that of W = weight^T, (n_in, n_out)."""
    cdef Target c
    cdef int c_output
    cdef bint biased

    def name(self):
        """AddmmBackward0, or without a bias MmBackward0."""
        return "AddmmBackward0" if self.biased else "MmBackward0"

    cdef int apply(self, Sweep sweep, array dout) except -1:
        cdef array x = self.x
        cdef array W = self.y
        cdef array dx = None
        cdef array dW = None
        cdef array db = None
        self.unchanged()
        if not (is_ready(x, self.typenum) and is_transposed(W) and cnp.PyArray_NDIM(x) == 2
                and cnp.PyArray_TYPE(W) == self.typenum and cnp.PyArray_NDIM(W) == 2
                and cnp.PyArray_DIM(x, 0) == self.dims[0]
                and cnp.PyArray_DIM(W, 0) == self.dims[1]
                and cnp.PyArray_DIM(x, 1) == cnp.PyArray_DIM(W, 1)):
            was_reshaped(self.name())
        dout = contiguous(dout)
        if self.a is not None:
            dx = empty_like(x)
        if self.b is not None:  # of the weight's layout
            dW = cnp.PyArray_EMPTY(2, cnp.PyArray_DIMS(W), cnp.PyArray_TYPE(x), 1)
        if self.c is not None:
            db = cnp.PyArray_SimpleNew(1, cnp.PyArray_DIMS(W), cnp.PyArray_TYPE(x))
        affine_gradients(self.typenum, dout, x, W, dx, dW, db)
        if dx is not None:
            self.a.receive(sweep, self.a_output, dx)
            dx = None
        if dW is not None:
            self.b.receive(sweep, self.b_output, dW)
            dW = None
        if db is not None:
            self.c.receive(sweep, self.c_output, db)
        return 0

    cdef tuple edges(self):
        if not self.biased:
            return ((self.a, self.a_output), (self.b, self.b_output))
        return ((self.a, self.a_output), (self.b, self.b_output), (self.c, self.c_output))

    cdef int reach(self, Sweep sweep) except -1:
        Node.reach(self, sweep)
        if self.c is not None:
            sweep.visit(self.c)
        return 0

    @property
    def constants(self):
        """Of each input the array that it is, where it needs no gradient."""
        return (self.a_constant, self.b_constant, None)[:2 + self.biased]


def affine(TensorBase x not None, TensorBase weight not None, bias):
    """x weight^T + bias, of a matrix x; None where the compiled kernels do not take these.

    Parameters
    ----------
    x : Tensor, (rows, n_in)
    weight : Tensor, (n_out, n_in)
        Read where it lies if it is the transpose of a contiguous array, else copied.
    bias : Tensor, (n_out,), or None
    """
    cdef array a = x._array
    cdef array w = weight._array
    cdef array out
    cdef array beta
    cdef TensorBase b = None
    cdef int typenum = cnp.PyArray_TYPE(a)
    cdef cnp.npy_intp dims[2]
    if (not is_float(a) or cnp.PyArray_NDIM(a) != 2 or cnp.PyArray_NDIM(w) != 2
            or cnp.PyArray_TYPE(w) != typenum or cnp.PyArray_DIM(a, 1) != cnp.PyArray_DIM(w, 1)
            or cnp.PyArray_SIZE(a) == 0 or cnp.PyArray_SIZE(w) == 0 or not compiled_runs()):
        return None
    dims[0], dims[1] = cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(w, 0)
    if bias is not None:
        b = <TensorBase?> bias
        beta = b._array
        if not (is_ready(beta, typenum) and has_shape(beta, 1, dims + 1)):
            return None
    else:
        beta = cnp.PyArray_ZEROS(1, dims + 1, typenum, 0)
    a = contiguous(a)
    if not is_transposed(w):
        w = by_columns(w)
    out = cnp.PyArray_SimpleNew(2, dims, typenum)
    affine_product(typenum, a, w, beta, out)
    return of_three(x, weight, b, a, w, out)


cdef array by_columns(array w):
    """A copy by columns: the transpose of one by rows."""
    cdef array copy
    cdef Py_ssize_t n_out = cnp.PyArray_DIM(w, 0), n_in = cnp.PyArray_DIM(w, 1)
    if not cnp.PyArray_ISCARRAY_RO(w):
        return cnp.PyArray_NewCopy(w, cnp.NPY_FORTRANORDER)
    copy = cnp.PyArray_EMPTY(2, cnp.PyArray_DIMS(w), cnp.PyArray_TYPE(w), 1)
    fbp_transpose_of(cnp.PyArray_TYPE(w), cnp.PyArray_DATA(w), cnp.PyArray_DATA(copy), n_out, n_in)
    return copy


cdef inline bint is_transposed(array x):
    return (cnp.PyArray_FLAGS(x) & (cnp.NPY_ARRAY_F_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED)) == (
        cnp.NPY_ARRAY_F_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED)


cdef TensorBase of_three(TensorBase x, TensorBase weight, TensorBase bias, array a, array w,
                         array out):
    """The affine product's result, with its node where an input needs a gradient."""
    cdef AddmmBackward0 node
    cdef Target into_x, into_weight, into_bias = None
    if fbp_grad_off:
        return wrap(out)
    into_x, into_weight = x.target(), weight.target()
    if bias is not None:
        into_bias = bias.target()
    if into_x is None and into_weight is None and into_bias is None:
        return wrap(out)
    node = AddmmBackward0.__new__(AddmmBackward0)
    node.a, node.b, node.c = into_x, into_weight, into_bias
    node.a_output, node.b_output = x._output, weight._output
    node.x, node.y = a, w
    if bias is not None:
        node.c_output = bias._output
        node.biased = True
    if into_weight is not None and a is x._array:
        node.x_version = x.version()
        node.x_changes = node.x_version.changes
    if into_x is not None and w is weight._array:
        node.y_version = weight.version()
        node.y_changes = node.y_version.changes
    if into_x is None and cnp.PyArray_SIZE(a) <= SHOWN:
        node.a_constant = x._array
    if into_weight is None and cnp.PyArray_SIZE(w) <= SHOWN:
        node.b_constant = weight._array
    return attach(node, out)


# --- activations ---------------------------------------------------------------------------------

#: The nodes' names by the activations' kinds.
cdef tuple activation_labels = ()


def name_activations(labels):
    """The names of the activations' nodes, in the order of their kinds."""
    global activation_labels
    activation_labels = tuple(labels)


cdef class Activation(Unary):
    """Of every element; y is what the gradient reads: the result, or x."""
    cdef int kind
    cdef double second

    def name(self):
        """The activation, as PyTorch names it: ReluBackward0."""
        return activation_labels[self.kind]

    cdef int apply(self, Sweep sweep, array dout) except -1:
        cdef array dx
        self.unchanged()
        if not (is_ready(self.y, self.typenum) and has_shape(self.y, self.nd, self.dims)):
            was_reshaped(self.name())
        dx = empty_like(self.y)
        dout = contiguous(dout)
        fbp_activation_backward_of(
            self.typenum, cnp.PyArray_DATA(dout), cnp.PyArray_DATA(self.y), cnp.PyArray_DATA(dx),
            self.kind, self.number, self.second, cnp.PyArray_SIZE(dx))
        self.a.receive(sweep, self.a_output, dx)
        return 0


def activation(int kind, TensorBase x not None, double a=0.0, double b=0.0):
    """The activation of that kind of x, with its numbers; None where the kernels do not take x."""
    return activated(kind, x, a, b)


cdef object activated(int kind, TensorBase x, double a, double b):
    cdef array of = x._array
    cdef array out
    cdef Activation node
    cdef Target target
    cdef TensorBase result
    if not (is_float(of) and is_plain(of) and compiled_runs()):
        return None
    out = empty_like(of)
    fbp_activation_forward_of(cnp.PyArray_TYPE(of), cnp.PyArray_DATA(of), cnp.PyArray_DATA(out),
                              kind, a, b, cnp.PyArray_SIZE(of))
    if fbp_grad_off or (target := x.target()) is None:
        return wrap(out)
    node = Activation.__new__(Activation)
    node.kind, node.number, node.second = kind, a, b
    node.a, node.a_output = target, x._output
    result = attach(node, out)
    node.save_y(result if reads_output(kind) else x)
    return result


# --- losses --------------------------------------------------------------------------------------

cdef int other_classes(Node node, Py_ssize_t n) except -1:
    raise IndexError(f"backward expects classes 0..{n - 1}, as {node.name()} was given; got "
                     "others, which were written since.")


cdef class NllLossBackward0(Unary):
    """The mean cross-entropy of softmax: x is the softmax, y the classes."""
    cdef int apply(self, Sweep sweep, array dout) except -1:
        cdef array dx = empty_like(self.x)
        cdef Py_ssize_t rows = cnp.PyArray_DIM(dx, 0), n = cnp.PyArray_DIM(dx, 1)
        self.unchanged()
        if not (is_ready(self.y, cnp.NPY_INT64) and has_shape(self.y, 1, cnp.PyArray_DIMS(dx))):
            was_reshaped(self.name())
        if not are_classes(self.y, rows, n):
            other_classes(self, n)
        fbp_softmax_cross_entropy_backward_of(
            self.typenum, cnp.PyArray_DATA(self.x), cnp.PyArray_DATA(self.y),
            first_number(dout) / rows, cnp.PyArray_DATA(dx), rows, n)
        self.a.receive(sweep, self.a_output, dx)
        return 0


cdef inline double first_number(array x):
    """The first of floats, which may lie at any address."""
    cdef float single
    cdef double number
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        memcpy(&single, cnp.PyArray_DATA(x), sizeof(single))
        return single
    memcpy(&number, cnp.PyArray_DATA(x), sizeof(number))
    return number


cdef inline array set_number(array out, double value):
    """Write the only element of floats."""
    if cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT:
        (<float *> cnp.PyArray_DATA(out))[0] = <float> value
    else:
        (<double *> cnp.PyArray_DATA(out))[0] = value
    return out


cdef inline array number_array(double value, int typenum):
    return set_number(cnp.PyArray_SimpleNew(0, NULL, typenum), value)


def softmax_cross_entropy(TensorBase x not None, TensorBase t not None):
    """The mean cross-entropy of rows of logits and classes; None where it is no plain case.

    Parameters
    ----------
    x : Tensor, (rows, n_classes)
    t : Tensor of int64, (rows,)
        All from 0 to n_classes - 1.
    """
    cdef array a = x._array
    cdef array labels = t._array
    cdef array y
    cdef NllLossBackward0 node
    cdef Target target
    cdef Py_ssize_t rows, n
    cdef double loss
    if not (is_float(a) and is_plain(a) and cnp.PyArray_NDIM(a) == 2 and cnp.PyArray_SIZE(a)
            and is_ready(labels, cnp.NPY_INT64) and cnp.PyArray_NDIM(labels) == 1
            and cnp.PyArray_DIM(labels, 0) == cnp.PyArray_DIM(a, 0) and compiled_runs()):
        return None
    rows, n = cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(a, 1)
    if not are_classes(labels, rows, n):
        return None
    y = empty_like(a)
    loss = fbp_softmax_cross_entropy_forward_of(
        cnp.PyArray_TYPE(a), cnp.PyArray_DATA(a), cnp.PyArray_DATA(labels), cnp.PyArray_DATA(y),
        rows, n)
    out = number_array(loss / rows, cnp.PyArray_TYPE(a))
    if fbp_grad_off or (target := x.target()) is None:
        return wrap(out)
    node = NllLossBackward0.__new__(NllLossBackward0)
    node.a, node.a_output, node.x = target, x._output, y
    node.save_y(t)
    return attach(node, out)


cdef class LossOfPair(Binary):
    """The mean of a loss over the elements of x and y, of one shape."""
    cdef int still_alike(self) except -1:
        self.unchanged()
        if not (cnp.PyArray_SIZE(self.x) and is_ready(self.x, self.typenum)
                and is_ready(self.y, self.typenum)
                and has_shape(self.y, cnp.PyArray_NDIM(self.x), cnp.PyArray_DIMS(self.x))):
            was_reshaped(self.name())
        return 0


cdef TensorBase of_pair(type kind, TensorBase x, TensorBase t, array out):
    """A loss of (input, target) with a node of that kind, where one of them needs a gradient."""
    cdef Target into_x, into_t
    cdef Binary node
    if fbp_grad_off:
        return wrap(out)
    into_x, into_t = x.target(), t.target()
    if into_x is None and into_t is None:
        return wrap(out)
    node = <Binary> (<creator> (<PyTypeObject *> kind).tp_new)(<PyTypeObject *> kind, EMPTY, NULL)
    node.a, node.b, node.a_output, node.b_output = into_x, into_t, x._output, t._output
    node.save_x(x)
    node.save_y(t)
    if cnp.PyArray_SIZE(x._array) <= SHOWN:
        if into_x is None:
            node.a_constant = x._array
        if into_t is None:
            node.b_constant = t._array
    return attach(node, out)


cdef class MseLossBackward0(LossOfPair):
    """The mean squared difference of two tensors of one shape."""
    cdef int apply(self, Sweep sweep, array dout) except -1:
        cdef array dx
        cdef Py_ssize_t n = cnp.PyArray_SIZE(self.x)
        self.still_alike()
        dx = empty_like(self.x)
        fbp_loss_backward_of(
            self.typenum, cnp.PyArray_DATA(self.x), cnp.PyArray_DATA(self.y),
            cnp.PyArray_DATA(dx), isa.FBP_SQUARED, 0, first_number(dout) / n, n)
        if self.b is not None:
            self.b.receive(sweep, self.b_output, combine_number(MULTIPLY, dx, -1.0, False))
        if self.a is not None:
            self.a.receive(sweep, self.a_output, dx)
        return 0


def squared_error(TensorBase x not None, TensorBase t not None):
    """The mean squared difference; None where the compiled kernels do not take these."""
    cdef array a = x._array
    cdef array b = t._array
    cdef Py_ssize_t n = cnp.PyArray_SIZE(a)
    cdef double loss
    if not (is_float(a) and is_plain(a) and n and is_ready(b, cnp.PyArray_TYPE(a))
            and has_shape(b, cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a)) and compiled_runs()):
        return None
    loss = fbp_loss_forward_of(cnp.PyArray_TYPE(a), cnp.PyArray_DATA(a), cnp.PyArray_DATA(b), NULL,
                               isa.FBP_SQUARED, 0, n)
    return of_pair(MseLossBackward0, x, t, number_array(loss / n, cnp.PyArray_TYPE(a)))
