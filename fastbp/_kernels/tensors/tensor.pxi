# The compiled half of `Tensor`.  Part of autograd.pyx.

cdef enum:
    SURELY_HELD = 256  # elements that NumPy adds without letting another thread run

cdef array NO_NUMBERS = np.zeros(0)
cdef object adding = threading.RLock()


def _renew_adding():
    global adding
    adding = threading.RLock()


if hasattr(os, "register_at_fork"):  # else a child might find it held by a thread that it lacks
    os.register_at_fork(after_in_child=_renew_adding)


@cython.c_api_binop_methods(True)
cdef class TensorBase(Target):
    """What `Tensor` is in C: an array, its gradient, and the node that it came from."""
    cdef array _array  # never None
    cdef Node _node
    cdef int _output
    cdef bint _requires_grad  # of a leaf
    cdef TensorBase _base  # of a view: whose memory it is
    cdef bint _unrecorded  # a view made while nothing was recorded
    cdef bint _retains
    cdef long _seen  # version.rebased when a view was made
    cdef Version _version  # made when somebody needs it
    cdef object _grad
    cdef list _hooks
    cdef dict __dict__
    cdef object __weakref__

    def __cinit__(self):
        self._array = NO_NUMBERS  # until it is given some

    # --- as a target

    cdef int receive(self, Sweep sweep, int output, array gradient) except -1:
        cdef array x = self._array
        if not self._requires_grad:  # any more
            return 0
        gradient = fitted(gradient, cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
        if sweep.arrows is not None:
            sweep.note(self, output, gradient)
        if self.owner != sweep.number:
            if self.owner or sweep.apart is not None and self in sweep.apart:
                return sweep.add_apart(self, gradient)
            self.owner = sweep.number
            sweep.leaves.append(self)
        return self.add(gradient)

    cdef array taken(self):
        """The sum of the sweep that holds this leaf, which is free again."""
        cdef array g = self.total
        self.total = None
        self.owner = 0
        return g

    cdef int accept(self) except -1:
        """Move the sweep's sum into `grad`."""
        cdef array g = self.taken()
        if self._hooks is not None:
            g = self.hooked(g)
        return self.keep_gradient(g)

    cdef array hooked(self, array g):
        if self._hooks is not None:
            for hook in list(self._hooks):  # one may remove itself
                g = hook_result(hook, g)
        return g

    cdef int keep_gradient(self, array g) except -1:
        """Add to `grad`: one thread at a time, where NumPy would let another one run meanwhile."""
        if cnp.PyArray_SIZE(g) <= SURELY_HELD:
            return self.add_to_grad(g)
        with adding:
            return self.add_to_grad(g)

    cdef int add_to_grad(self, array g) except -1:
        cdef TensorBase grad
        cdef array new
        if self._grad is None:
            # The caller holds one reference; whatever else holds it would see it change.
            if is_ours(g, 1) and (is_plain(g) or is_transposed(g)):
                self._grad = wrap(g)
            else:
                self._grad = wrap(cnp.PyArray_NewCopy(g, cnp.NPY_CORDER))
            return 0
        grad = <TensorBase> self._grad
        if not has_shape(g, cnp.PyArray_NDIM(grad._array), cnp.PyArray_DIMS(grad._array)):
            raise RuntimeError(
                f"backward expects a grad of the gradient's shape {shape_of(g)}; got "
                f"{shape_of(grad._array)}.")
        new = g  # not g itself, which would count as held where it is assigned to
        if cnp.PyArray_TYPE(g) != cnp.PyArray_TYPE(grad._array):
            new = (<object> g).astype((<object> grad._array).dtype)
        if (grad._node is not None or not cnp.PyArray_ISWRITEABLE(grad._array)
                or is_expanded(grad._array)):
            self._grad = wrap(combine(ADD, grad._array, new))
        else:
            combine(ADD, grad._array, new, grad._array)
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
        if self._base is not None and self._version.rebased != self._seen:
            if self._unrecorded:
                was_unrecorded()
            renew_view(self, self._base)
        if self._node is not None:
            return self._node
        return self if self._requires_grad else None

    cdef int may_change(self) except -1:
        """Refuses an in-place change of a leaf while operations are recorded."""
        if not fbp_grad_off and self._requires_grad:
            raise RuntimeError(
                "An in-place operation expects a tensor that is no leaf Variable that requires "
                "grad, or a block with no_grad(); got a leaf.")
        if self._unrecorded and not fbp_grad_off and self._base.target() is not None:
            was_unrecorded()
        if not cnp.PyArray_FLAGS(self._array) & cnp.NPY_ARRAY_WRITEABLE or is_expanded(self._array):
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
        if self._base is not None:
            return rebase_view(self, self._base, result)
        cnp.PyArray_CopyInto(self._array, result._array)
        self.version()
        self._version.changes += 1
        self._version.rebased += 1
        self.take_history(result)
        return self

    def _renew(self, TensorBase same not None):
        """As a view: take over the history of a new one of the same memory."""
        self.take_history(same)
        self._seen = self._version.rebased
        return self

    cdef int take_history(self, TensorBase of) except -1:
        """Come from another node; a gradient that is retained is that of the new numbers."""
        if self._retains and self._node is not None:
            self._node.hooks = [(output, hook) for output, hook in self._node.hooks
                                if not isinstance(hook, weakref.ref) or hook() is not self]
        self._node, self._output = of._node, of._output
        if self._retains and self._node is not None:
            self._add_hook(weakref.ref(self))
        return 0

    @property
    def _is_view(self):
        """Whether an operation made this tensor of another's memory."""
        return self._base is not None

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
        return self.target() is not None

    @requires_grad.setter
    def requires_grad(self, value):
        value = is_true("Tensor", "requires_grad", value)
        if self._node is not None:
            if not value:
                raise RuntimeError(
                    "requires_grad expects a leaf to be changed; got the result of an operation: "
                    "use detach().")
            return
        if value and not is_float(self._array):
            raise RuntimeError(
                "requires_grad expects a tensor of floating point dtype, float32 or float64, as "
                f"only these can be leaves that require gradients; got {self.dtype!r}.")
        if self._requires_grad and not value:
            changes.count += 1  # a training may have to stop here; see changes.pyx
        self._requires_grad = value

    @property
    def has_hooks(self):
        """Whether backward calls hooks of this leaf."""
        return bool(self._hooks)

    def requires_grad_(self, requires_grad=True):
        """Set `requires_grad` in place."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad_fn(self):
        """The node of the operation that made this tensor; None of a leaf."""
        self.target()
        return self._node

    @property
    def output_nr(self):
        """Which result of `grad_fn` this tensor is."""
        return self._output

    @property
    def is_leaf(self):
        """Whether no recorded operation made this tensor."""
        return not isinstance(self.target(), Node)

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
        if new is not self._array:
            self._array = new
            changes.count += 1  # a training goes on from it

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
        return first_number(x) if is_float(x) else (<object> x).item()

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
        if not is_true("numpy", "force", force) and self.requires_grad:
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

    # --- parts and comparisons

    @property
    def T(self):
        """The transpose: the dimensions in reverse."""
        return reversed_dims("PermuteBackward0", self)

    def __getitem__(self, index):
        """self[index]: ints, slices, None and Ellipsis give a view, lists and tensors a copy."""
        out = (rows_of(self, <TensorBase> index) if isinstance(index, TensorBase)
               else part_of(self, index))
        return slow_item(self, index) if out is None else out

    def __richcmp__(self, other, int kind):
        out = compared(kind, self, other)
        return slow_compare[kind](self, other) if out is None else out

    def __hash__(self):
        return object.__hash__(self)

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
        if not fbp_grad_off and self.target() is not None:
            return self.fill_(0.0)
        if is_plain(x) or is_transposed(x):
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
            The only ones whose `grad` is changed, and of the graph the only part that is gone
            through; results among them retain their gradient.

        Raises
        ------
        RuntimeError
            Where this tensor needs no gradient, has several elements and none was given, the
            graph was freed, or a number that is needed was changed in place.
        """
        cdef Sweep sweep
        cdef Target root
        keep = retain_graph is not None and is_true("backward", "retain_graph", retain_graph)
        no_second_order("backward", create_graph)
        root = root_of("backward", self)
        g = first_gradient("backward", self, gradient)
        sweep = Sweep.__new__(Sweep)
        if inputs is not None:
            sweep.wanted = wanted_of("backward", inputs, True)
        sweep.run(root, self._output, g, keep, None)
        sweep.accept_leaves()


cdef int was_unrecorded() except -1:
    raise RuntimeError(
        "An in-place operation that is recorded expects views that were made while operations "
        "were; got one made under no_grad, of which nobody knows whether it is part of the graph: "
        "detach() it, or make both under no_grad or neither.")


cdef inline TensorBase wrap(array x):
    """A new Tensor around x."""
    cdef TensorBase out = <TensorBase> (<creator> (<PyTypeObject *> TensorBase).tp_new)(
        <PyTypeObject *> tensor_type, EMPTY, NULL)
    out._array = x
    return out


cdef inline bint is_true(str who, str name, value) except -1:
    """What a flag says."""
    if value is True or value is False:
        return value is True
    return checked_flag(who, name, value)


cdef int no_second_order(str who, create_graph) except -1:
    if is_true(who, "create_graph", create_graph):
        raise NotImplementedError(
            f"{who} expects create_graph=False, as gradients of gradients are not offered; got "
            "True.")
    return 0


cdef Target root_of(str who, TensorBase out):
    cdef Target root = out.target()
    if root is None:
        raise RuntimeError(
            f"{who} expects a tensor that requires grad; got one that does not require grad "
            "and does not have a grad_fn.")
    return root


cdef array first_gradient(str who, TensorBase out, object gradient):
    cdef array x = out._array
    cdef array g
    if gradient is None:
        if cnp.PyArray_SIZE(x) != 1:
            raise RuntimeError(
                f"{who} expects a gradient unless the tensor is a single number (grad can be "
                f"implicitly created only for scalar outputs); got shape {shape_of(x)}.")
        g = empty_like(x)
        if is_float(g):
            return set_number(g, 1)
        (<object> g).fill(1)
        return g
    if not isinstance(gradient, TensorBase):
        raise TypeError(f"{who} expects gradient as a Tensor; got {type(gradient).__name__}.")
    g = (<TensorBase> gradient)._array
    if not has_shape(g, cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x)):
        raise RuntimeError(
            f"{who} expects gradient of the tensor's shape {shape_of(x)}; got {shape_of(g)}.")
    return g


cdef tuple tensors_of(str who, str name, object given):
    """One Tensor or several, as a tuple."""
    if isinstance(given, TensorBase):
        return (given,)
    several = tuple(given) if hasattr(given, "__iter__") else ()
    others = [each for each in several if not isinstance(each, TensorBase)]
    if not several or others:
        came = f"one with {type(others[0]).__name__}" if others else type(given).__name__
        raise RuntimeError(
            f"{who} expects {name} as a Tensor or a sequence of them, not empty; got {came}.")
    return several


cdef set wanted_of(str who, object inputs, bint retains):
    """The targets whose gradients are asked for; results `retain` theirs."""
    cdef TensorBase t
    inputs = tensors_of(who, "inputs", inputs)
    for t in inputs:
        if t.target() is None:
            raise RuntimeError(f"{who} expects inputs that require grad; got one that does not.")
    if retains:
        for t in inputs:
            t.retain_grad()
    return {(<TensorBase> each).target() for each in inputs}


cdef list roots_of(str who, object outs, object given):
    """(target, output, gradient) of each tensor."""
    cdef TensorBase t
    outs = tensors_of(who, "outputs", outs)
    if given is None:
        given = (None,) * len(outs)
    elif isinstance(given, TensorBase):
        given = (given,)
    else:
        given = tuple(given)
    if len(given) != len(outs):
        raise RuntimeError(f"{who} expects a gradient for each of {len(outs)} outputs; got "
                           f"{len(given)}.")
    return [(root_of(who, <TensorBase> out), (<TensorBase> out)._output,
             first_gradient(who, <TensorBase> out, g)) for out, g in zip(outs, given)]


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """`Tensor.backward` of several tensors in one sweep: the gradients add up.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
    grad_tensors : Tensor, None, or sequence of them, optional
        Of each tensor's shape; None, for a single number, is 1.
    retain_graph : bool, default False
    create_graph : False
    inputs : Tensor or sequence of Tensor, optional
        The only ones whose `grad` is filled.
    """
    cdef list roots
    cdef Sweep run = Sweep.__new__(Sweep)
    keep = retain_graph is not None and is_true("backward", "retain_graph", retain_graph)
    no_second_order("backward", create_graph)
    roots = roots_of("backward", tensors, grad_tensors)
    if inputs is not None:
        run.wanted = wanted_of("backward", inputs, True)
    root, output, gradient = roots[0]
    run.run(root, output, gradient, keep, roots[1:])
    run.accept_leaves()


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
    run.record = {}
    run.arrows = [] if arrows is None else arrows
    run.run(root_of("sweep", out), out._output, first_gradient("sweep", out, gradient), True, None)
    run.record_leaves()
    return run.record


def gradients(outputs, inputs, grad_outputs, bint keep, bint allow_unused, bint materialize):
    """The gradient of `outputs` by leaves or results, as tensors; None of one that is not in it."""
    cdef list roots, found = []
    cdef Sweep run = Sweep.__new__(Sweep)
    cdef TensorBase t
    inputs = tensors_of("grad", "inputs", inputs)
    roots = roots_of("grad", outputs, grad_outputs)
    run.wanted = wanted_of("grad", inputs, False)
    run.record = {}
    root, output, gradient = roots[0]
    run.run(root, output, gradient, keep, roots[1:])
    run.record_leaves()
    for t in inputs:
        g = run.record.get(t.target())
        if isinstance(g, list):
            g = g[t._output]
        if g is None and not allow_unused:
            raise RuntimeError("grad expects inputs that the output came from; got one that it "
                               "did not: allow_unused=True gives None for it.")
        if g is not None:
            found.append(wrap(cnp.PyArray_NewCopy(g, cnp.NPY_CORDER)))
        else:
            found.append(wrap(np.zeros_like(t._array)) if materialize else None)
    return tuple(found)


def new(x, requires_grad=False):
    """A leaf around an array of native byte order."""
    cdef TensorBase out = wrap(as_array(x))
    if requires_grad is not False:
        out.requires_grad = requires_grad
    return out


def changed(list tensors not None):
    """Count an in-place change of each tensor that was made from outside."""
    for each in tensors:
        (<TensorBase?> each).bump()


def adopt(TensorBase self not None, array x not None, requires_grad=False):
    """Give a tensor that was just made by its class its array."""
    self._array = x
    self.requires_grad = requires_grad
    return self


def is_sole(TensorBase self not None):
    """Whether nobody else holds a tensor's array or its memory, as far as references tell."""
    return (cnp.PyArray_CHKFLAGS(self._array, cnp.NPY_ARRAY_OWNDATA)
            and Py_REFCNT(<PyObject *> self._array) == 1)
