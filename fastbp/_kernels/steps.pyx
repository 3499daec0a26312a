# cython: boundscheck=False
"""Steps of PyTorch's kind: an update rule over lists of tensors.

First everything of a group is looked at and pointed to, then nothing can fail any more and the
kernels run.  They take flat memory: a parameter that is C- or Fortran-contiguous is updated where
it lies, and its gradient and states are read in the same order; what lies otherwise is copied, and
where it is written, copied back.
"""
cimport cython
cimport numpy as cnp
from cpython.dict cimport PyDict_GetItemWithError
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

import numpy as np

from fastbp._kernels.autograd import changed
from fastbp._kernels.optim import rules

from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real
from fastbp._kernels.optim cimport place_of

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_update(...)

fbp_active = isa.active()
cnp.import_array()

ctypedef cnp.ndarray array

cdef enum:
    LARGE = 50_000  # elements from which other Python threads may run meanwhile

cdef extern from *:
    """
    #define fbp_add(count, n) __atomic_fetch_add(count, n, __ATOMIC_SEQ_CST)
    """
    int64_t fbp_add(int64_t *count, int64_t n) noexcept nogil

cdef int64_t large_steps = 0  # that now run so


def running_steps():
    """How many steps change parameters now, in other threads, while this one runs."""
    return large_steps


cdef struct Step:  # of a group
    isa.fbp_rule rule
    bint maximize

cdef struct Item:  # one parameter
    void *param
    void *grad
    void *states[isa.FBP_MOST_STATES]
    float *count  # of its steps, where the rule keeps it
    bint is_double, begins
    idx n


cdef void apply(const Step *step, const Item *item, real *param) noexcept nogil:
    cdef isa.fbp_rule rule = step.rule
    rule.step = 1 if item.begins else 2
    if item.count != NULL:
        item.count[0] += 1
        rule.step = <int64_t> item.count[0]
    fbp_update(param, <const real *> item.grad, <real *const *> item.states, &rule,
               rule.weight_decay, item.n)


cdef void apply_all(const Step *step, const Item *items, idx n) noexcept nogil:
    cdef idx i
    for i in range(n):
        if items[i].is_double:
            apply(step, &items[i], <double *> items[i].param)
        else:
            apply(step, &items[i], <float *> items[i].param)


cdef inline bint same_kind(array x, array y):
    return cnp.PyArray_TYPE(x) == cnp.PyArray_TYPE(y) and cnp.PyArray_SAMESHAPE(x, y)


cdef inline bint overlap(array x, array y):
    cdef uintptr_t a = <uintptr_t> cnp.PyArray_DATA(x), b = <uintptr_t> cnp.PyArray_DATA(y)
    return a < b + cnp.PyArray_NBYTES(y) and b < a + cnp.PyArray_NBYTES(x)


cdef str described(array x):
    return f"{(<object> x).dtype} {(<object> x).shape}"


@cython.final
cdef class Row:
    """A rule, and where its numbers stand in a group of parameters."""
    cdef int kind, n_numbers
    cdef readonly bint decouples
    cdef str option  # that chooses it where it is set, or None
    cdef readonly tuple states
    cdef tuple keys    # of each number: a key of the group,
    cdef list indices  # and a place in what stands there, or -1
    cdef Py_ssize_t places[isa.FBP_N_NUMBERS]

    def __cinit__(self, str option, str name, tuple states, dict keys):
        cdef int k
        self.kind, n_states, numbers, self.decouples = rules()[name]
        if len(states) != n_states:
            raise ValueError(f"{name} expects names of {n_states} states; got {states}.")
        self.option, self.states, self.n_numbers = option, states, len(numbers)
        self.keys = tuple([keys[number][0] for number in numbers])
        self.indices = [keys[number][1] for number in numbers]
        for k in range(self.n_numbers):
            self.places[k] = place_of(numbers[k])

    cdef int write(self, isa.fbp_rule *rule, dict group) except -1:
        """The rule with its numbers, which are looked at elsewhere."""
        cdef int k, index
        for k in range(self.n_numbers):
            value = group[self.keys[k]]
            index = self.indices[k]
            if index >= 0:
                one, other = value  # which refuses more and less
                value = other if index else one
            (<double *> (<char *> rule + self.places[k]))[0] = value
        rule.kind = <isa.fbp_rule_kind> self.kind
        rule.lr = group["lr"]
        rule.weight_decay = group["weight_decay"]
        return 0


@cython.final
cdef class Gathered:
    """The parameters of a group that have a gradient, and the pointers into their memory."""
    cdef Item *items
    cdef idx n, elements
    cdef list params
    cdef list held    # what the pointers point into
    cdef list begun   # (parameter, name, tensor) of states that are new
    cdef list copied  # (array, its copy), to be copied back

    def __cinit__(self, idx room):
        self.items = <Item *> PyMem_Calloc(room or 1, sizeof(Item))
        if self.items == NULL:
            raise MemoryError
        self.params, self.held, self.begun, self.copied = [], [], [], []

    def __dealloc__(self):
        PyMem_Free(self.items)

    cdef array flat(self, array x, cnp.NPY_ORDER order, bint written):
        """x, or a copy of it, without gaps in one order."""
        cdef int flags = cnp.PyArray_FLAGS(x)
        cdef int wanted = cnp.NPY_ARRAY_ALIGNED | (
            cnp.NPY_ARRAY_F_CONTIGUOUS if order == cnp.NPY_FORTRANORDER
            else cnp.NPY_ARRAY_C_CONTIGUOUS)
        cdef array y = x
        if flags & wanted != wanted:
            y = cnp.PyArray_NewCopy(x, order)
            if written:
                self.copied.append((x, y))
        self.held.append(y)
        return y

    cdef int add(self, object p, object grad, object state, const Step *step, Row row,
                 bint counts, dict group, object begin) except -1:
        cdef Item *item = &self.items[self.n]
        cdef array x = <array?> p.array, g = <array?> grad.array, s
        cdef cnp.NPY_ORDER order = cnp.NPY_CORDER
        cdef PyObject *entry = NULL
        cdef bint first
        cdef Py_ssize_t k
        if cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT and cnp.PyArray_TYPE(x) != cnp.NPY_DOUBLE:
            raise TypeError(f"{who(begin)} expects parameters of float32 or float64; got one of "
                            f"{(<object> x).dtype}.")
        if not cnp.PyArray_ISWRITEABLE(x):
            raise ValueError(f"{who(begin)} expects parameters that are writable; got one of "
                             "read-only memory.")
        if not same_kind(x, g):
            raise ValueError(f"{who(begin)} expects a gradient of its parameter's "
                             f"{described(x)}; got {described(g)}.")
        if cnp.PyArray_IS_F_CONTIGUOUS(x) and not cnp.PyArray_IS_C_CONTIGUOUS(x):
            order = cnp.NPY_FORTRANORDER
        item.is_double = cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE
        item.n = cnp.PyArray_SIZE(x)

        if row.states or counts:
            entry = PyDict_GetItemWithError(state, p)
        for k in range(len(row.states)):
            s = self.state(p, entry, <str> row.states[k], x, group, begin, &first)
            if not same_kind(x, s):
                raise ValueError(
                    f"{who(begin)} expects {row.states[k]} of its parameter's {described(x)}; got "
                    f"{described(s)}, so make the optimiser after the network has its dtype.")
            s = self.flat(s, order, True)
            item.states[k] = cnp.PyArray_DATA(s)
            item.begins = first
        if counts:
            s = self.state(p, entry, "step", x, group, begin, &first)
            if cnp.PyArray_TYPE(s) != cnp.NPY_FLOAT or cnp.PyArray_SIZE(s) != 1:
                raise ValueError(f"{who(begin)} expects step as one number of float32; got "
                                 f"{described(s)}.")
            self.held.append(s)
            item.count = <float *> cnp.PyArray_DATA(s)

        if step.maximize:
            g = np.asarray(np.negative(g))
        elif overlap(x, g):
            g = cnp.PyArray_NewCopy(g, order)
        x = self.flat(x, order, True)
        g = self.flat(g, order, False)
        item.param, item.grad = cnp.PyArray_DATA(x), cnp.PyArray_DATA(g)
        self.elements += item.n
        self.params.append(p)
        self.n += 1
        return 0

    cdef array state(self, object p, PyObject *entry, str name, array x, dict group, object begin,
                     bint *first):
        """One array of a parameter's state; a new one begins where there was none."""
        cdef PyObject *found = NULL
        if entry != NULL:
            found = PyDict_GetItemWithError(<object> entry, name)
        first[0] = found == NULL
        if found != NULL:
            return <array?> (<object> found).array
        new = begin(group, name, x)
        self.begun.append((p, name, new))
        return <array?> new.array

    cdef int finish(self, object state) except -1:
        for p, name, new in self.begun:
            state[p][name] = new
        for x, y in self.copied:
            cnp.PyArray_CopyInto(x, y)
        changed(self.params)
        return 0


cdef str who(object begin):
    return f"{type(begin.__self__).__name__}.step"


@cython.final
cdef class Stepper:
    """A step of an optimiser's rule for every parameter of a group that has a gradient.

    Parameters
    ----------
    rows : list of (str or None, str, tuple of str, dict)
        Of each rule the option that chooses it where it is set, its name, PyTorch's names of its
        states, and of its numbers a key of the group and a place in what stands there, or -1.  The
        first that is chosen, or has no option, is taken.
    counts : bool
        Whether steps are counted by parameter.
    decoupled : bool or str
        Whether the decay is beside the gradient, or the option that says so.
    """
    cdef list rows
    cdef bint counts, decoupled
    cdef str decoupled_by

    def __init__(self, rows, bint counts, decoupled):
        self.rows, self.counts = [Row(*row) for row in rows], counts
        self.decoupled = decoupled is True
        self.decoupled_by = decoupled if isinstance(decoupled, str) else None

    def __call__(self, group, state, begin):
        """Do the step.

        Parameters
        ----------
        group : dict
            "params", a list of tensors, and the options as PyTorch names them.
        state : collections.defaultdict
            Of each parameter a dict of tensors, by PyTorch's names: IN, OUT.
        begin : callable
            ``begin(group, name, array)``: the tensor that a state of a parameter starts as.

        Raises
        ------
        ValueError, TypeError
            For a parameter that is read-only or of another dtype, and for a gradient or a state
            that does not fit it; nothing has changed then.
        """
        if not isinstance(group, dict):
            raise TypeError(f"a step expects group as a dict; got {type(group).__name__}.")
        cdef dict own = <dict> group
        cdef Step step
        cdef Row row
        for row in self.rows:
            if row.option is None or own[row.option]:
                break
            if not own[row.option] == 0:
                raise TypeError(f"a step expects {row.option} as a number.")
        memset(&step, 0, sizeof(step))
        row.write(&step.rule, own)
        step.rule.decoupled = self.decoupled or (
            self.decoupled_by is not None and own[self.decoupled_by])
        step.maximize = own["maximize"]
        cdef list params = own["params"]
        cdef Gathered gathered = Gathered.__new__(Gathered, len(params))
        for p in params:
            grad = p.grad
            if grad is not None:
                gathered.add(p, grad, state, &step, row, self.counts, own, begin)
        if gathered.elements <= LARGE:
            apply_all(&step, gathered.items, gathered.n)
            gathered.finish(state)
            return
        fbp_add(&large_steps, 1)
        with nogil:
            apply_all(&step, gathered.items, gathered.n)
            fbp_add(&large_steps, -1)  # before the wait for the lock: `running_steps` sees it over
        gathered.finish(state)
