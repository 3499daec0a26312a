# cython: boundscheck=False
"""Update rules, in place over flat arrays, and steps of PyTorch's kind over lists of tensors."""
cimport cython
cimport numpy as cnp
from cpython.dict cimport PyDict_GetItemWithError
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uintptr_t

import numpy as np

from fastbp._kernels.autograd import changed

from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real, require, require_aligned, require_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_sgd_update(...)
    void fbp_adagrad_update(...)
    void fbp_rmsprop_update(...)
    void fbp_adam_update(...)

fbp_active = isa.active()
cnp.import_array()

ctypedef cnp.ndarray array


cdef void sgd_update_core(real *param, const real *grad, real *velocity, double lr,
                          double momentum, bint nesterov, double weight_decay,
                          idx n) noexcept nogil:
    fbp_sgd_update(param, grad, velocity, lr, momentum, nesterov, weight_decay, n)


cdef void adagrad_update_core(real *param, const real *grad, real *square_sum, double lr,
                              double eps, double weight_decay, idx n) noexcept nogil:
    fbp_adagrad_update(param, grad, square_sum, lr, eps, weight_decay, n)


cdef void rmsprop_update_core(real *param, const real *grad, real *square_mean, real *velocity,
                              double lr, double alpha, double eps, double momentum,
                              double weight_decay, idx n) noexcept nogil:
    fbp_rmsprop_update(param, grad, square_mean, velocity, lr, alpha, eps, momentum, weight_decay,
                       n)


cdef void adam_update_core(real *param, const real *grad, real *mean, real *square_mean,
                           double lr, double beta_1, double beta_2, double eps,
                           double weight_decay, bint decoupled, int64_t step,
                           idx n) noexcept nogil:
    fbp_adam_update(param, grad, mean, square_mean, lr, beta_1, beta_2, eps, weight_decay,
                    decoupled, step, n)


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
    with nogil:
        sgd_update_core(&param[0], &grad[0], velocity_, lr, momentum, nesterov, weight_decay, n)


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
    with nogil:
        adagrad_update_core(&param[0], &grad[0], &square_sum[0], lr, eps, weight_decay, n)


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
    with nogil:
        rmsprop_update_core(&param[0], &grad[0], &square_mean[0], velocity_, lr, alpha, eps,
                            momentum, weight_decay, n)


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
    with nogil:
        adam_update_core(&param[0], &grad[0], &mean[0], &square_mean[0], lr, beta_1, beta_2, eps,
                         weight_decay, decoupled, step, n)


# --- steps over tensors --------------------------------------------------------------------------
# A step of one parameter group: first everything is looked at and pointed to, then nothing can
# fail any more and the kernels run.  The kernels take flat memory: a parameter that is C- or
# Fortran-contiguous is updated where it lies, and its gradient and states are read in the same
# order; what lies otherwise is copied, and where it is written, copied back.

cdef enum:
    SGD, ADAGRAD, RMSPROP, ADAM

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

cdef struct Rule:
    int kind
    double lr, momentum, beta_1, beta_2, eps, weight_decay, lr_decay, dampening
    bint nesterov, decoupled, maximize

cdef struct Item:  # one parameter
    void *param
    void *grad
    void *states[2]
    float *step
    double decay
    idx n
    bint is_double


cdef void apply(const Rule *rule, const Item *item, real *param) noexcept nogil:
    cdef const real *grad = <const real *> item.grad
    cdef real *first = <real *> item.states[0]
    cdef real *second = <real *> item.states[1]
    cdef int64_t step = 0
    if item.step != NULL:
        item.step[0] += 1
        step = <int64_t> item.step[0]
    if rule.kind == SGD:
        sgd_update_core(param, grad, first, rule.lr, rule.momentum, rule.nesterov, item.decay,
                        item.n)
    elif rule.kind == ADAGRAD:
        adagrad_update_core(param, grad, first, rule.lr / (1 + (step - 1) * rule.lr_decay),
                            rule.eps, item.decay, item.n)
    elif rule.kind == RMSPROP:
        rmsprop_update_core(param, grad, first, second, rule.lr, rule.beta_2, rule.eps,
                            rule.momentum, item.decay, item.n)
    else:
        adam_update_core(param, grad, first, second, rule.lr, rule.beta_1, rule.beta_2, rule.eps,
                         item.decay, rule.decoupled, step, item.n)


cdef void apply_all(const Rule *rule, const Item *items, idx n) noexcept nogil:
    cdef idx i
    for i in range(n):
        if items[i].is_double:
            apply(rule, &items[i], <double *> items[i].param)
        else:
            apply(rule, &items[i], <float *> items[i].param)


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

    cdef int add(self, object p, object grad, object state, const Rule *rule, tuple names,
                 bint counts, dict group, object begin) except -1:
        cdef Item *item = &self.items[self.n]
        cdef array x = <array?> p.array, g = <array?> grad.array, s
        cdef cnp.NPY_ORDER order = cnp.NPY_CORDER
        cdef PyObject *entry = NULL
        cdef double factor = -1 if rule.maximize else 1
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
        item.decay = rule.weight_decay

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
            if not first and rule.dampening:
                factor *= 1 - rule.dampening
                item.decay *= 1 - rule.dampening
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


cdef int step(const Rule *rule, dict group, object state, object begin, tuple names,
              bint counts) except -1:
    cdef list params = group["params"]
    cdef Gathered gathered = Gathered.__new__(Gathered, len(params))
    for p in params:
        grad = p.grad
        if grad is not None:
            gathered.add(p, grad, state, rule, names, counts, group, begin)
    if gathered.elements <= LARGE:
        apply_all(rule, gathered.items, gathered.n)
        return gathered.finish(state)
    fbp_add(&large_steps, 1)
    with nogil:
        apply_all(rule, gathered.items, gathered.n)
        fbp_add(&large_steps, -1)  # before the wait for the lock, which `running_steps` sees over
    return gathered.finish(state)


cdef Rule rule_of(int kind, dict group) except *:
    cdef Rule rule
    rule.kind = kind
    rule.lr = group["lr"]
    rule.weight_decay = group["weight_decay"]
    rule.maximize = group["maximize"]
    rule.momentum = rule.beta_1 = rule.beta_2 = rule.eps = rule.lr_decay = rule.dampening = 0
    rule.nesterov = rule.decoupled = False
    return rule


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
    cdef Rule rule = rule_of(SGD, own)
    rule.momentum = own["momentum"]
    rule.nesterov = own["nesterov"]
    rule.dampening = own["dampening"]
    step(&rule, own, state, begin, SGD_STATE if rule.momentum else NO_STATE, False)


def adagrad_step(group, state, begin):
    """A step of `adagrad_update` over a group; see `sgd_step`."""
    cdef dict own = options_of(group)
    cdef Rule rule = rule_of(ADAGRAD, own)
    rule.eps = own["eps"]
    rule.lr_decay = own["lr_decay"]
    step(&rule, own, state, begin, ADAGRAD_STATE, True)


def rmsprop_step(group, state, begin):
    """A step of `rmsprop_update` over a group; see `sgd_step`."""
    cdef dict own = options_of(group)
    cdef Rule rule = rule_of(RMSPROP, own)
    rule.eps = own["eps"]
    rule.beta_2 = own["alpha"]
    rule.momentum = own["momentum"]
    step(&rule, own, state, begin, RMSPROP_MOMENTUM_STATE if rule.momentum else RMSPROP_STATE,
         True)


def adam_step(group, state, begin):
    """A step of `adam_update`, decoupled or not, over a group; see `sgd_step`."""
    cdef dict own = options_of(group)
    cdef Rule rule = rule_of(ADAM, own)
    rule.beta_1, rule.beta_2 = own["betas"]
    rule.eps = own["eps"]
    rule.decoupled = own["decoupled_weight_decay"]
    step(&rule, own, state, begin, ADAM_STATE, True)
