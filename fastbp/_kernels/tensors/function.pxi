# Nodes made in Python, and whether anything is recorded.  Part of autograd.pyx.

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
        cdef list totals = self.totals if self.owner == sweep.number else sweep.apart[self]
        if totals is None:
            totals = [None] * len(self.results)
        if totals[output] is not None:
            gradient = as_array(quiet(UFUNCS[ADD], (totals[output], gradient)))
        totals[output] = gradient
        if self.owner == sweep.number:
            self.totals = totals
        else:
            sweep.apart[self] = totals
        return 0

    cdef int forget(self, Sweep sweep) except -1:
        if self.owner == sweep.number:
            self.totals = None
        return Node.forget(self, sweep)

    cdef int run(self, Sweep sweep, bint on) except -1:
        cdef list douts
        if self.results is None:
            return Node.run(self, sweep, on)
        if self.owner == sweep.number:
            douts = self.totals
            self.totals = None
        else:
            douts = sweep.apart.pop(self)
        if douts is None:
            return 0
        for i, (shape, dtype) in enumerate(self.results):
            if douts[i] is None:
                douts[i] = np.zeros(shape, dtype)
            elif self.hooks is not None:
                douts[i] = self.call_hooks(sweep, i, douts[i])
        if sweep.record is not None:
            sweep.keep_record(self, douts)
        return self.send(sweep, douts) if on else 0

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
        if holds_array(self.saved):
            self.gradients = self.saved = self.versions = None
            self.input_constants = (None,) * len(self.targets)
            return Node.release(self)
        return 0

    def name(self):
        """The operation, as PyTorch names it: ExpBackward0."""
        return self.label

    @property
    def constants(self):
        """Of each input the array that it is, where it needs no gradient."""
        return self.input_constants


cdef bint holds_array(tuple saved) except -1:
    """Whether an array is among what was saved, or within a tuple there, as an index is."""
    for each in saved:
        if isinstance(each, cnp.ndarray) or type(each) is tuple and holds_array(<tuple> each):
            return True
    return False


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
        What `backward` gets.  A tensor in it is kept as its array.  A change in place of it, of
        an input's very array, or of `out`, where these are in it, is an error in backward.

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
            tensor = None if t is None else <TensorBase?> t
            target = None if tensor is None else tensor.target()
            targets.append(target)
            outputs.append(0 if tensor is None else tensor._output)
            needs.append(target is not None)
            needed |= target is not None
            constants.append(None if tensor is None or target is not None else tensor._array)
    if not needed or not several and as_array(out).dtype.kind != "f":  # integers have none
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
                elif isinstance(s, cnp.ndarray):
                    for t in inputs:
                        if t is not None and (<TensorBase> t)._array is s:
                            tensor = <TensorBase> t
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
    return as_view(out, base)


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
            return decorated(self, args)
        with _mode(self.off):
            return self.function(*args, **keywords)

    def __get__(self, owner, kind):
        return self if owner is None else types.MethodType(self, owner)


cdef GradMode _mode(int off):
    cdef GradMode self = GradMode.__new__(GradMode)
    self.off = off
    return self


def decorated(GradMode mode, tuple given):
    """The function given, which may be a generator, with operations recorded or not."""
    if len(given) != 1 or not callable(given[0]):
        raise TypeError(f"{type(mode).__name__} expects one function to decorate; got "
                        f"{', '.join([type(one).__name__ for one in given]) or 'none'}.")
    function = given[0]
    cdef int off = mode.off
    if inspect.isgeneratorfunction(function):
        @cython.binding(True)
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

    @cython.binding(True)  # a function as others, which can be a method
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
        self.off = 1 if callable(mode) or is_true("inference_mode", "mode", mode) else fbp_grad_off

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
        self.off = not is_true("set_grad_enabled", "mode", mode)
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
        return decorated(self, args)
