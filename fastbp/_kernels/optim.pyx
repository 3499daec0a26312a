# cython: boundscheck=False
"""Update rules, in place over flat arrays, and steps of PyTorch's kind over lists of tensors."""
cimport cython
cimport numpy as cnp
from cpython.dict cimport PyDict_GetItemWithError
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

import numpy as np

from fastbp._kernels.autograd import changed

from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real, require, require_aligned, require_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_update(...)

fbp_active = isa.active()
cnp.import_array()

ctypedef cnp.ndarray array


cdef isa.fbp_rule rule_of(int kind, double lr) noexcept nogil:
    """A rule whose other numbers are 0."""
    cdef isa.fbp_rule rule
    memset(&rule, 0, sizeof(rule))
    rule.kind = <isa.fbp_rule_kind> kind
    rule.lr = lr
    return rule


cdef int _check_grad(const real *param, idx n, const real *grad, idx n_grad) except -1:
    require(n_grad == n, "an update expects grad of param's length")
    require_aligned(param, n, "param")
    require_aligned(grad, n, "grad")
    return require_apart(param, n, grad, n, "param")


cdef int _check_state(const real *state, idx n_state, const real *param, const real *grad, idx n,
                      str name) except -1:
    require(n_state == n, f"an update expects {name} of param's length")
    require_aligned(state, n, name)
    require_apart(state, n, param, n, name)
    return require_apart(state, n, grad, n, name)


def sgd_update(
    real[::1] param not None,       # IN, OUT
    const real[::1] grad not None,  # IN
    real[::1] velocity,             # IN, OUT, or None
    double lr,
    double momentum,
    bint nesterov,
    double weight_decay,
):
    """d = grad + weight_decay param;  v = momentum v + d;  param -= lr v

    With `nesterov`, param -= lr (d + momentum v).  Without a velocity, v = d.

    Parameters
    ----------
    param : (n,), updated in place.
    grad : (n,)
    velocity : (n,), updated in place, zeros before the first step; or None, which needs
        momentum 0.
    lr, momentum, weight_decay : float
    nesterov : bool

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, overlaps, or momentum without a velocity.

    References
    ----------
    Sutskever et al., On the importance of initialization and momentum in deep learning
    (2013), in PyTorch's form, where the learning rate stands outside of the velocity.
    """
    cdef idx n = param.shape[0]
    cdef real *velocity_ = NULL
    _check_grad(&param[0], n, &grad[0], grad.shape[0])
    if velocity is not None:
        velocity_ = &velocity[0]
        _check_state(velocity_, velocity.shape[0], &param[0], &grad[0], n, "velocity")
    else:
        require(momentum == 0, "sgd_update expects a velocity where momentum is not 0", "None")
    cdef isa.fbp_rule rule = rule_of(
        isa.FBP_SGD if velocity_ == NULL else isa.FBP_NESTEROV if nesterov else isa.FBP_MOMENTUM,
        lr)
    rule.momentum = momentum
    with nogil:
        fbp_update(&param[0], &grad[0], velocity_, <real *> NULL, &rule, weight_decay, n)


def adagrad_update(
    real[::1] param not None,       # IN, OUT
    const real[::1] grad not None,  # IN
    real[::1] square_sum not None,  # IN, OUT
    double lr,
    double eps,
    double weight_decay,
):
    """d = grad + weight_decay param;  s = s + d^2;  param -= lr d / (sqrt(s) + eps)

    Parameters
    ----------
    param : (n,), updated in place.
    grad : (n,)
    square_sum : (n,), s, updated in place; zeros before the first step.
    lr, eps, weight_decay : float

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays or overlaps.

    References
    ----------
    Duchi et al., Adaptive subgradient methods (2011), in PyTorch's form.
    """
    cdef idx n = param.shape[0]
    _check_grad(&param[0], n, &grad[0], grad.shape[0])
    _check_state(&square_sum[0], square_sum.shape[0], &param[0], &grad[0], n, "square_sum")
    cdef isa.fbp_rule rule = rule_of(isa.FBP_ADAGRAD, lr)
    rule.eps = eps
    with nogil:
        fbp_update(&param[0], &grad[0], &square_sum[0], <real *> NULL, &rule, weight_decay, n)


def rmsprop_update(
    real[::1] param not None,        # IN, OUT
    const real[::1] grad not None,   # IN
    real[::1] square_mean not None,  # IN, OUT
    real[::1] velocity,              # IN, OUT, or None
    double lr,
    double alpha,
    double eps,
    double momentum,
    double weight_decay,
):
    """d = grad + weight_decay param;  s = alpha s + (1 - alpha) d^2;
    v = momentum v + d / (sqrt(s) + eps);  param -= lr v

    Parameters
    ----------
    param : (n,), updated in place.
    grad : (n,)
    square_mean : (n,), s, updated in place; zeros before the first step.
    velocity : (n,), v, likewise; or None, which needs momentum 0.
    lr, alpha, eps, momentum, weight_decay : float

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, overlaps, or momentum without a velocity.

    References
    ----------
    Hinton, Neural networks for machine learning, lecture 6 (2012), in PyTorch's form.
    """
    cdef idx n = param.shape[0]
    cdef real *velocity_ = NULL
    _check_grad(&param[0], n, &grad[0], grad.shape[0])
    _check_state(&square_mean[0], square_mean.shape[0], &param[0], &grad[0], n, "square_mean")
    if velocity is not None:
        velocity_ = &velocity[0]
        _check_state(velocity_, velocity.shape[0], &param[0], &grad[0], n, "velocity")
        require_apart(velocity_, n, &square_mean[0], n, "velocity")
    else:
        require(momentum == 0, "rmsprop_update expects a velocity where momentum is not 0", "None")
    cdef isa.fbp_rule rule = rule_of(
        isa.FBP_RMSPROP if velocity_ == NULL else isa.FBP_RMSPROP_MOMENTUM, lr)
    rule.beta_2 = alpha
    rule.eps = eps
    rule.momentum = momentum
    with nogil:
        fbp_update(&param[0], &grad[0], &square_mean[0], velocity_, &rule, weight_decay, n)


def adam_update(
    real[::1] param not None,        # IN, OUT
    const real[::1] grad not None,   # IN
    real[::1] mean not None,         # IN, OUT
    real[::1] square_mean not None,  # IN, OUT
    double lr,
    double beta_1,
    double beta_2,
    double eps,
    double weight_decay,
    bint decoupled,
    int64_t step,
):
    """m = beta_1 m + (1 - beta_1) d;  v = beta_2 v + (1 - beta_2) d^2;
    param -= lr / (1 - beta_1^step) m / (sqrt(v / (1 - beta_2^step)) + eps)

    with d = grad + weight_decay param; or, decoupled (AdamW), d = grad and
    param -= lr weight_decay param first.

    Parameters
    ----------
    param : (n,), updated in place.
    grad : (n,)
    mean, square_mean : (n,), m and v, updated in place; zeros before the first step.
    lr, beta_1, beta_2, eps, weight_decay : float
    decoupled : bool
    step : int
        1 at the first step.

    Raises
    ------
    ValueError
        For lengths that differ, unaligned arrays, overlaps, or a step below 1.

    References
    ----------
    Kingma & Ba, Adam (2015), algorithm 1; Loshchilov & Hutter, Decoupled weight decay
    regularization (2019).
    """
    cdef idx n = param.shape[0]
    _check_grad(&param[0], n, &grad[0], grad.shape[0])
    _check_state(&mean[0], mean.shape[0], &param[0], &grad[0], n, "mean")
    _check_state(&square_mean[0], square_mean.shape[0], &param[0], &grad[0], n, "square_mean")
    require_apart(&mean[0], n, &square_mean[0], n, "mean")
    require(step >= 1, "adam_update expects step of at least 1", "less")
    cdef isa.fbp_rule rule = rule_of(isa.FBP_ADAM, lr)
    rule.beta_1 = beta_1
    rule.beta_2 = beta_2
    rule.eps = eps
    rule.decoupled = decoupled
    rule.step = step
    with nogil:
        fbp_update(&param[0], &grad[0], &mean[0], &square_mean[0], &rule, weight_decay, n)


# --- steps over tensors --------------------------------------------------------------------------
# A step of one parameter group: first everything is looked at and pointed to, then nothing can
# fail any more and the kernels run.  The kernels take flat memory: a parameter that is C- or
# Fortran-contiguous is updated where it lies, and its gradient and states are read in the same
# order; what lies otherwise is copied, and where it is written, copied back.

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


cdef tuple NO_STATE = ()
cdef tuple SGD_STATE = ("momentum_buffer",)
cdef tuple ADAGRAD_STATE = ("sum",)
cdef tuple RMSPROP_STATE = ("square_avg",)
cdef tuple RMSPROP_MOMENTUM_STATE = ("square_avg", "momentum_buffer")
cdef tuple ADAM_STATE = ("exp_avg", "exp_avg_sq")

cdef struct Step:  # of a group
    isa.fbp_rule rule
    double lr_decay, dampening
    bint maximize

cdef struct Item:  # one parameter
    void *param
    void *grad
    void *states[2]
    float *step
    double decay
    idx n
    bint is_double


cdef void apply(const Step *step, const Item *item, real *param) noexcept nogil:
    cdef isa.fbp_rule rule = step.rule
    if item.step != NULL:
        item.step[0] += 1
        rule.step = <int64_t> item.step[0]
        rule.lr /= 1 + (rule.step - 1) * step.lr_decay
    fbp_update(param, <const real *> item.grad, <real *> item.states[0], <real *> item.states[1],
               &rule, item.decay, item.n)


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

    cdef int add(self, object p, object grad, object state, const Step *step, tuple names,
                 bint counts, dict group, object begin) except -1:
        cdef Item *item = &self.items[self.n]
        cdef array x = <array?> p.array, g = <array?> grad.array, s
        cdef cnp.NPY_ORDER order = cnp.NPY_CORDER
        cdef PyObject *entry = NULL
        cdef double factor = -1 if step.maximize else 1
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
        item.decay = step.rule.weight_decay

        if names or counts:
            entry = PyDict_GetItemWithError(state, p)
        for k in range(len(names)):
            s = self.state(p, entry, <str> names[k], x, group, begin, &first)
            if not same_kind(x, s):
                raise ValueError(
                    f"{who(begin)} expects {names[k]} of its parameter's {described(x)}; got "
                    f"{described(s)}, so make the optimiser after the network has its dtype.")
            s = self.flat(s, order, True)
            item.states[k] = cnp.PyArray_DATA(s)
            if not first and step.dampening:
                factor *= 1 - step.dampening
                item.decay *= 1 - step.dampening
        if counts:
            s = self.state(p, entry, "step", x, group, begin, &first)
            if cnp.PyArray_TYPE(s) != cnp.NPY_FLOAT or cnp.PyArray_SIZE(s) != 1:
                raise ValueError(f"{who(begin)} expects step as one number of float32; got "
                                 f"{described(s)}.")
            self.held.append(s)
            item.step = <float *> cnp.PyArray_DATA(s)

        if factor != 1:
            g = np.asarray(np.multiply(g, factor, dtype=(<object> x).dtype))
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


cdef int step_of(const Step *step, dict group, object state, object begin, tuple names,
                 bint counts) except -1:
    cdef list params = group["params"]
    cdef Gathered gathered = Gathered.__new__(Gathered, len(params))
    for p in params:
        grad = p.grad
        if grad is not None:
            gathered.add(p, grad, state, step, names, counts, group, begin)
    if gathered.elements <= LARGE:
        apply_all(step, gathered.items, gathered.n)
        return gathered.finish(state)
    fbp_add(&large_steps, 1)
    with nogil:
        apply_all(step, gathered.items, gathered.n)
        fbp_add(&large_steps, -1)  # before the wait for the lock, which `running_steps` sees over
    return gathered.finish(state)


cdef Step step_by(int kind, dict group) except *:
    cdef Step step
    step.rule = rule_of(kind, group["lr"])
    step.rule.weight_decay = group["weight_decay"]
    step.maximize = group["maximize"]
    step.lr_decay = step.dampening = 0
    return step


cdef dict options_of(group):
    """A group as a dict, of a subclass too, whose items are read where they lie."""
    if not isinstance(group, dict):
        raise TypeError(f"a step expects group as a dict; got {type(group).__name__}.")
    return <dict> group


def sgd_step(group, state, begin):
    """A step of `sgd_update` for every parameter of a group that has a gradient.

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
    cdef dict own = options_of(group)
    cdef double momentum = own["momentum"]
    cdef Step step = step_by(
        isa.FBP_SGD if momentum == 0 else isa.FBP_NESTEROV if own["nesterov"]
        else isa.FBP_MOMENTUM, own)
    step.rule.momentum = momentum
    step.dampening = own["dampening"]
    step_of(&step, own, state, begin, SGD_STATE if momentum else NO_STATE, False)


def adagrad_step(group, state, begin):
    """A step of `adagrad_update` over a group; see `sgd_step`."""
    cdef dict own = options_of(group)
    cdef Step step = step_by(isa.FBP_ADAGRAD, own)
    step.rule.eps = own["eps"]
    step.lr_decay = own["lr_decay"]
    step_of(&step, own, state, begin, ADAGRAD_STATE, True)


def rmsprop_step(group, state, begin):
    """A step of `rmsprop_update` over a group; see `sgd_step`."""
    cdef dict own = options_of(group)
    cdef double momentum = own["momentum"]
    cdef Step step = step_by(isa.FBP_RMSPROP_MOMENTUM if momentum else isa.FBP_RMSPROP, own)
    step.rule.eps = own["eps"]
    step.rule.beta_2 = own["alpha"]
    step.rule.momentum = momentum
    step_of(&step, own, state, begin, RMSPROP_MOMENTUM_STATE if momentum else RMSPROP_STATE, True)


def adam_step(group, state, begin):
    """A step of `adam_update`, decoupled or not, over a group; see `sgd_step`."""
    cdef dict own = options_of(group)
    cdef Step step = step_by(isa.FBP_ADAM, own)
    step.rule.beta_1, step.rule.beta_2 = own["betas"]
    step.rule.eps = own["eps"]
    step.rule.decoupled = own["decoupled_weight_decay"]
    step_of(&step, own, state, begin, ADAM_STATE, True)
