# Versions, targets, nodes, and the way back through them.  Part of autograd.pyx.

# --- versions ------------------------------------------------------------------------------------

@cython.final
@cython.freelist(64)
cdef class Version:
    """How often the memory of a tensor and its views was changed in place.

    `rebased` counts the changes that were recorded: views made before have another history since.
    """
    cdef readonly long changes
    cdef readonly long rebased


# --- targets -------------------------------------------------------------------------------------

cdef class Target:
    """What gradients flow into; `total` is their sum in the sweep whose number is `owner`.

    Sums belong to a sweep: one that comes while another, of another thread or of a hook, holds
    the target keeps its own, in `Sweep.apart`.
    """
    cdef array total
    cdef long long owner  # 0 where no sweep holds it

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
    cdef Target a
    cdef Target b
    cdef int a_output, b_output
    cdef int others  # sweeps under way beside the owner
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
        if self.nd:  # else there may be no dims to read
            memcpy(self.dims, cnp.PyArray_DIMS(out), self.nd * sizeof(cnp.npy_intp))
        if cnp.PyArray_SIZE(out) <= SHOWN:
            self.value = out
        return 0

    cdef int receive(self, Sweep sweep, int output, array gradient) except -1:
        gradient = fitted(gradient, self.nd, self.dims, self.typenum)
        if sweep.arrows is not None:
            sweep.note(self, output, gradient)
        if self.owner == sweep.number:
            return self.add(gradient)
        return sweep.add_apart(self, gradient)

    cdef int run(self, Sweep sweep, bint on) except -1:
        """Call the hooks with the gradient that has come, and send it to the inputs if `on`."""
        cdef array dout
        if self.owner == sweep.number:
            dout = self.total
            self.total = None
        else:
            dout = sweep.apart.pop(self)
        if dout is None:
            return 0
        if self.hooks is not None:
            dout = self.call_hooks(sweep, 0, dout)
        if sweep.record is not None:
            sweep.keep_record(self, dout)
        return self.apply(sweep, dout) if on else 0

    cdef int forget(self, Sweep sweep) except -1:
        """Drop the gradient that has come."""
        if self.owner == sweep.number:
            self.total = None
        return 0

    cdef array call_hooks(self, Sweep sweep, int output, array dout):
        """A tensor that retains its gradient sees what the hooks have made of it."""
        hooks = [hook for where, hook in self.hooks if where == output]
        for hook in hooks:
            if not isinstance(hook, weakref.ref):
                dout = hook_result(hook, dout)
        for hook in hooks:
            # A sweep that only looks fills no `grad`.
            if isinstance(hook, weakref.ref) and sweep.arrows is None:
                hook_result(hook, dout)
        return dout

    cdef int apply(self, Sweep sweep, array dout) except -1:
        raise NotImplementedError

    cdef int release(self) except -1:
        """Let go of what was saved; a node that saved nothing may be gone through again."""
        self.freed = True
        self.value = None
        self.a_constant = self.b_constant = None
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


cdef class OfOne(Node):
    """Of one input, of which nothing is saved."""
    cdef tuple edges(self):
        return ((self.a, self.a_output),)

    cdef int release(self) except -1:
        return 0


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
            # A copy: another sweep may add to what is kept while this one still reads its own.
            (<TensorBase> tensor).keep_gradient(cnp.PyArray_NewCopy(gradient, cnp.NPY_KEEPORDER))
        return gradient
    cdef array new
    result = hook(wrap(gradient))
    if result is None:
        return gradient
    if not isinstance(result, TensorBase):
        raise TypeError("register_hook expects a hook that returns None or a Tensor; got "
                        f"{type(result).__name__}.")
    new = (<TensorBase> result)._array
    if cnp.PyArray_TYPE(new) != cnp.PyArray_TYPE(gradient) or not has_shape(
            new, cnp.PyArray_NDIM(gradient), cnp.PyArray_DIMS(gradient)):
        raise RuntimeError(
            "register_hook expects a hook that returns a gradient as it came, of "
            f"{(<object> gradient).dtype} and shape {shape_of(gradient)}; got "
            f"{(<object> new).dtype} and {shape_of(new)}.")
    return new


# --- the sweep -----------------------------------------------------------------------------------

cdef int later_first(const void *x, const void *y) noexcept nogil:
    cdef long long a = (<Node> (<PyObject **> x)[0]).sequence
    cdef long long b = (<Node> (<PyObject **> y)[0]).sequence
    return (a < b) - (a > b)


cdef int was_freed() except -1:
    raise RuntimeError(
        "backward expects a graph that is still there: it was freed by an earlier "
        "backward, so trying to backward through the graph a second time needs "
        "retain_graph=True the first time.")


@cython.final
@cython.freelist(4)
cdef class Sweep:
    """One way back through a graph."""
    cdef PyObject **nodes  # held
    cdef PyObject *few[INLINE_NODES]
    cdef Py_ssize_t n, room
    cdef Py_ssize_t done  # of the nodes
    cdef long long number
    cdef bint sorted
    cdef list leaves
    cdef dict apart  # sums of targets that another sweep holds
    cdef set wanted  # targets, where only their gradients are asked for
    cdef set needed  # nodes that lead to these
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
        if node.owner == self.number or self.apart is not None and node in self.apart:
            return 0
        if node.freed and self.wanted is None:
            was_freed()
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
        if node.owner == 0:
            node.owner = self.number
        else:
            self.add_apart(node, None)
            node.others += 1
        Py_INCREF(node)
        self.nodes[self.n] = <PyObject *> node
        if self.n and (<Node> self.nodes[self.n - 1]).sequence < node.sequence:
            self.sorted = False
        self.n += 1
        return 0

    cdef inline void leave(self, Node node) noexcept:
        """The sweep is through with this node."""
        if node.owner == self.number:
            node.owner = 0
        else:
            node.others -= 1

    cdef int add_apart(self, Target target, array gradient) except -1:
        if self.apart is None:
            self.apart = {}
        before = self.apart.get(target)
        self.apart[target] = gradient if before is None else combine(ADD, before, gradient)
        return 0

    cdef int keep_record(self, Node node, object gradient) except -1:
        if self.wanted is None or node in self.wanted:
            self.record[node] = gradient
        self.source = node
        return 0

    cdef int record_leaves(self) except -1:
        """Leaves that are wanted have had their hooks called."""
        cdef TensorBase leaf
        cdef array g
        for leaf in self.leaves:
            g = leaf.taken()
            if self.wanted is None or leaf in self.wanted:
                self.record[leaf] = g
        if self.apart is not None:
            for target, total in self.apart.items():
                if self.wanted is None or target in self.wanted:
                    self.record[target] = total
        if self.wanted is not None:
            for target in self.wanted:
                if isinstance(target, TensorBase) and target in self.record:
                    self.record[target] = (<TensorBase> target).hooked(self.record[target])
        return 0

    cdef int accept_leaves(self) except -1:
        """Move the sums into the leaves' `grad`."""
        cdef TensorBase leaf
        cdef array g
        try:
            for leaf in self.leaves:
                if self.wanted is None or leaf in self.wanted:
                    leaf.accept()
                else:
                    leaf.taken()
            if self.apart is not None:
                for leaf, g in self.apart.items():
                    if self.wanted is None or leaf in self.wanted:
                        leaf.keep_gradient(leaf.hooked(g))
        except BaseException:
            self.forget()
            raise
        return 0

    cdef int note(self, Target target, int output, array gradient) except -1:
        if self.source is not None:
            self.arrows.append((self.source, target, output, gradient))
        return 0

    cdef int choose(self) except -1:
        """Of the nodes, find those that lead to what is wanted."""
        cdef Py_ssize_t i
        cdef Node node
        self.needed = set()
        for i in range(self.n - 1, -1, -1):
            node = <Node> self.nodes[i]
            for target, _ in node.edges():
                if target in self.wanted or target in self.needed:
                    self.needed.add(node)
                    if node.freed:
                        was_freed()
                    break
        return 0

    cdef int run(self, Target root, int output, array gradient, bint keep, list more) except -1:
        """From a root, and from `more` of (target, output, gradient)."""
        cdef Py_ssize_t i = 0
        cdef PyObject *held
        cdef Node node
        cdef bint on = True
        try:
            self.visit(root)
            if more is not None:
                for target, _, _ in more:
                    self.visit(target)
            while i < self.n:  # the list grows
                (<Node> self.nodes[i]).reach(self)
                i += 1
            if not self.sorted:
                self.sort()
            if self.wanted is not None:
                self.choose()
            root.receive(self, output, gradient)
            if more is not None:
                for target, output, gradient in more:
                    (<Target> target).receive(self, output, gradient)
            for i in range(self.n):
                node = <Node> self.nodes[i]
                if self.needed is not None:
                    on = node in self.needed
                if on or node in self.wanted:
                    node.run(self, on)
                else:
                    node.forget(self)
                self.leave(node)
                self.done += 1
                if not keep and on:
                    # What only the sweep holds need not be emptied before it goes.
                    if Py_REFCNT(self.nodes[i]) > 2 and node.owner == 0 and node.others == 0:
                        node.release()
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
        cdef TensorBase leaf
        while self.done < self.n:
            (<Node> self.nodes[self.done]).forget(self)
            self.leave(<Node> self.nodes[self.done])
            self.done += 1
        for leaf in self.leaves:
            if leaf.owner == self.number:
                leaf.taken()
