# cython: boundscheck=False
"""The update rules, in place over flat arrays: one function for all.

A rule is a row of operations.h, known here by its name.
"""
cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastbp._kernels cimport isa
from fastbp._kernels.arrays cimport dim, float_array, memory
from fastbp._kernels.contract cimport idx, real, refuse, require, require_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_update(...)

cnp.import_array()
fbp_active = isa.active()


def _row(int kind):
    names = isa.fbp_rules[kind].numbers.decode().split()
    numbers = tuple([name for name in names if name != "decoupled"])
    return kind, isa.fbp_rules[kind].states, numbers, "decoupled" in names


cdef dict _ROWS = {
    isa.fbp_rules[kind].name.decode(): _row(kind) for kind in range(isa.FBP_N_RULES)
}
#: Where in an fbp_rule its numbers are.
cdef dict _PLACES = {
    isa.fbp_numbers[k].name.decode(): isa.fbp_numbers[k].at for k in range(isa.FBP_N_NUMBERS)
}


def rules():
    """Of each rule: its kind, how many states, the names of its numbers, whether it decouples."""
    return dict(_ROWS)


cdef Py_ssize_t place_of(str number) except -1:
    return _PLACES[number]


cdef int describe(isa.fbp_rule *rule, str name, double lr, bint decoupled,
                  dict numbers) except -1:
    """Make `rule` that of a row with its numbers, and the others 0."""
    row = _ROWS.get(name)
    if row is None:
        refuse("An update rule is one of " + ", ".join(_ROWS), repr(name))
    cdef tuple names = <tuple> row[2]
    cdef str number
    memset(rule, 0, sizeof(rule[0]))
    rule.kind = <isa.fbp_rule_kind> <int> row[0]
    rule.lr = lr
    rule.decoupled = decoupled
    cdef int found = 0
    for number in names:
        value = numbers.get(number)
        if value is not None:
            (<double *> (<char *> rule + place_of(number)))[0] = value
            found += 1
    if found != len(names) or found != len(numbers):
        refuse(f"{name} expects as numbers lr{''.join([', ' + each for each in names])}",
               ", ".join(["lr", *numbers]))
    if decoupled and not row[3]:
        refuse(f"{name} expects a decay in the gradient", "decoupled=True")
    return 0


cdef int _update(real *param, const real *grad, real *const *kept, const isa.fbp_rule *rule, idx n,
                 int n_states) except -1:
    cdef int i, j
    require_apart(param, n, grad, n, "param")
    for i in range(n_states):
        require_apart(kept[i], n, param, n, "a state")
        require_apart(kept[i], n, grad, n, "a state")
        for j in range(i):
            require_apart(kept[i], n, kept[j], n, "a state")
    with nogil:
        fbp_update(param, grad, kept, rule, rule.weight_decay, n)
    return 0


def update(str name not None, param, grad, *states, double lr, double weight_decay=0,
           bint decoupled=False, int64_t step=1, **numbers):
    """param is changed by grad as the rule of that name has it, and so are its states

    Of d = grad + weight_decay param; or, decoupled, of d = grad, and
    param -= lr weight_decay param first.

    Parameters
    ----------
    name : str
        A row of operations.h, as "adam".
    param : (n,), updated in place.
    grad : (n,)
    states : (n,) each, as many as the rule keeps; updated in place, zeros before the first step.
    lr, weight_decay : float
    decoupled : bool
    step : int
        1 at the first step.
    numbers : float
        Those of the row, as beta_1, beta_2 and eps.

    Raises
    ------
    ValueError
        For another name, other numbers or states, a step below 1, lengths or dtypes that differ,
        arrays that are not plain vectors, or overlaps.
    """
    cdef isa.fbp_rule rule
    cdef void *kept[isa.FBP_MOST_STATES]
    describe(&rule, name, lr, decoupled, numbers)
    cdef int i, n_states = isa.fbp_rules[<int> rule.kind].states
    cdef int typenum = float_array(param, "param", 1, True)
    cdef idx n = dim(param, 0)
    require(float_array(grad, "grad", 1, False) == typenum and dim(grad, 0) == n,
            "An update expects grad of param's length and dtype", "another")
    if len(states) != n_states:
        refuse(f"{name} expects {n_states} arrays of state", f"{len(states)}")
    for i in range(n_states):
        require(float_array(states[i], "a state", 1, True) == typenum and dim(states[i], 0) == n,
                "An update expects states of param's length and dtype", "another")
        kept[i] = memory(states[i])
    if step < 1:
        refuse("An update expects step of at least 1", f"{step}")
    rule.weight_decay, rule.step = weight_decay, step
    if typenum == cnp.NPY_FLOAT:
        _update(<float *> memory(param), <float *> memory(grad), <float **> kept, &rule, n,
                n_states)
    else:
        _update(<double *> memory(param), <double *> memory(grad), <double **> kept, &rule, n,
                n_states)
