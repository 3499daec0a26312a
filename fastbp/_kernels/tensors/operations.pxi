# Operators, sums and products of matrices, with their gradients in C.  Part of autograd.pyx.

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
        if self.x is None and self.y is None:
            return 0
        self.x = self.y = None
        self.x_version = self.y_version = None
        return Node.release(self)


cdef class Unary(Binary):
    """Of one input; the other one is a number, or nothing that has a gradient."""
    cdef tuple edges(self):
        return ((self.a, self.a_output),)


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


cdef class NegBackward0(Unary):
    cdef int apply(self, Sweep sweep, array dout) except -1:
        self.a.receive(sweep, self.a_output, scaled(dout, -1.0))
        return 0


cdef class PowBackward0(Unary):
    """By a number."""
    cdef int apply(self, Sweep sweep, array dout) except -1:
        self.unchanged()
        cdef array slope
        if self.number == 0:
            slope = np.zeros_like(self.x)
        elif self.number == 2:
            slope = scaled(self.x, 2.0)
        else:
            slope = scaled(raised(self.x, self.number - 1), self.number)
        self.a.receive(sweep, self.a_output, product(dout, slope))
        return 0


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
    if fbp_grad_off or not (
            x._requires_grad or y._requires_grad or x._node is not None or y._node is not None
            or x._base is not None or y._base is not None):
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
    if operation == SUBTRACT and (operand is True or operand is False):
        return slow_binary(operation, x, operand)  # which refuses it
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
    cdef array other
    cdef double number
    x.may_change()
    if is_float(x._array) and (fbp_grad_off or x.target() is None):
        if isinstance(y, TensorBase):
            b = <TensorBase> y
            if (cnp.PyArray_TYPE(b._array) == cnp.PyArray_TYPE(x._array)
                    and (cnp.PyArray_SIZE(b._array) == 1 and
                         cnp.PyArray_NDIM(b._array) <= cnp.PyArray_NDIM(x._array)
                         or has_shape(b._array, cnp.PyArray_NDIM(x._array),
                                      cnp.PyArray_DIMS(x._array)))
                    and (fbp_grad_off or b.target() is None)):
                other = b._array
                if are_shifted(x._array, other):
                    other = cnp.PyArray_NewCopy(other, cnp.NPY_KEEPORDER)
                combine(operation, x._array, other, x._array)
                x.bump()
                return x
        elif as_number(y, &number) and not (y is True or y is False):
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


cdef inline double number_raised(double x, double exponent) noexcept:
    """Roots are those of sqrt, which are others of -0 and -inf."""
    if exponent == 0.5:
        return sqrt(x)
    if exponent == -0.5:
        return 1 / sqrt(x)
    return c_pow(x, exponent)


cdef array raised(array x, double exponent):
    """x ** exponent of a float array."""
    cdef array out
    if exponent == 2:
        return combine(MULTIPLY, x, x)
    if exponent == 1:
        return cnp.PyArray_NewCopy(x, cnp.NPY_KEEPORDER)
    if exponent == 3:
        return combine(MULTIPLY, combine(MULTIPLY, x, x), x)
    if cnp.PyArray_SIZE(x) != 1 or not is_plain(x):
        if exponent != 0.5 and exponent != -0.5:
            return as_array(quiet(power_ufunc, (x, exponent)))
        out = as_array(quiet(sqrt_ufunc, (x,)))
        return out if exponent > 0 else combine_number(DIVIDE, out, 1.0, True, out)
    return set_number(empty_like(x), number_raised(first_number(x), exponent))


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

cdef class Reduction(OfOne):
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
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    cdef array out
    if not (is_float(x) and is_plain(x)) or n > SMALL:
        return as_array(quiet(sum_ufunc, (x, None)))
    out = cnp.PyArray_SimpleNew(0, NULL, cnp.PyArray_TYPE(x))
    fbp_sum(cnp.PyArray_TYPE(x), cnp.PyArray_DATA(x), cnp.PyArray_DATA(out), 1, n, 1)
    return out


def reduce_sum(TensorBase x not None, tuple axes, bint keepdim, bint mean):
    """The sum or mean of a float tensor over `axes`, or over all where it is None."""
    cdef array a = x._array
    cdef array out
    cdef Reduction node
    cdef Target target
    cdef double scale = 1
    cdef bint is_half = cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT16
    if is_half:  # its own sums stop growing at 2048
        a = as_array((<object> a).astype(np.float32))
    if axes is None and not keepdim:
        out = total_of(a)
    elif axes is not None and len(axes) == 1 and is_small(a):
        out = sum_over(a, axes[0], keepdim)
    else:
        out = summed(a, axes, keepdim)
    if mean:
        count = cnp.PyArray_SIZE(out)
        scale = count / <double> cnp.PyArray_SIZE(a) if cnp.PyArray_SIZE(a) else float("nan")
        out = combine_number(DIVIDE, out, cnp.PyArray_SIZE(a) / <double> max(count, 1), False, out)
    if is_half:
        out = as_array(quiet((<object> out).astype, (np.float16,)))
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
                g = product_of(dout, y.swapaxes(-1, -2))
            self.a.receive(sweep, self.a_output, as_array(g))
        if self.b is not None:
            x = self.x
            if x.ndim == 1:
                g = x[:, None] * given[..., None, :]
            elif self.number == 2:  # y is a vector
                g = quiet(matmul_ufunc, (x.swapaxes(-1, -2), given[..., None]))[..., 0]
            else:
                g = product_of(x.swapaxes(-1, -2), dout)
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


cdef double zeros[256]  # a bias of none


cdef array product_of(array x, array y):
    """x y; of small matrices, where they lie in order or transposed, by the library's kernels."""
    cdef array out = kernel_product(x, y)
    return as_array(quiet(matmul_ufunc, (x, y))) if out is None else out


cdef array kernel_product(array x, array y):
    """x y as x W, as dout W^T or as x^T dout, which an affine map's passes are; else None."""
    cdef cnp.npy_intp dims[2]
    cdef Py_ssize_t rows, k, n
    cdef int typenum = cnp.PyArray_TYPE(x), status
    cdef void *a = cnp.PyArray_DATA(x)
    cdef void *b = cnp.PyArray_DATA(y)
    cdef array out
    if not (is_float(x) and cnp.PyArray_TYPE(y) == typenum and cnp.PyArray_NDIM(x) == 2
            and cnp.PyArray_NDIM(y) == 2 and cnp.PyArray_DIM(x, 1) == cnp.PyArray_DIM(y, 0)
            and compiled_runs()):
        return None
    rows, k, n = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(y, 1)
    if not 0 < rows * k * n < LARGE or n > 256 or not (
            is_plain(x) and (is_plain(y) or is_transposed(y)) or is_transposed(x) and is_plain(y)):
        return None
    dims[0], dims[1] = rows, n
    out = cnp.PyArray_SimpleNew(2, dims, typenum)
    if not is_plain(x):
        status = fbp_affine_backward_of(
            typenum, b, a, NULL, NULL, cnp.PyArray_DATA(out), NULL, k, rows, n)
    elif not is_plain(y):
        status = fbp_affine_backward_of(
            typenum, a, NULL, b, cnp.PyArray_DATA(out), NULL, NULL, rows, n, k)
    else:
        status = fbp_affine_forward_of(
            typenum, a, b, <void *> zeros, cnp.PyArray_DATA(out), rows, k, n)
    return None if status else out


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
    if cnp.PyArray_ISBOOL(x._array) and cnp.PyArray_ISBOOL(y._array):
        raise RuntimeError("matmul expects numbers; got bool tensors.")
    if cnp.PyArray_TYPE(x._array) != cnp.PyArray_TYPE(y._array):
        raise RuntimeError(f"matmul expects two tensors of the same dtype; got {x.dtype!r} and "
                           f"{y.dtype!r}.")
    if nx == 0 or ny == 0:
        raise RuntimeError("matmul expects tensors of at least one dimension; got a 0-d tensor.")
    try:
        out = product_of(x._array, y._array)
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
