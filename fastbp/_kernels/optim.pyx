"""Update rules, in place over flat arrays."""
from libc.stdint cimport int64_t

from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real, require, require_aligned, require_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_sgd_update(...)
    void fbp_adagrad_update(...)
    void fbp_rmsprop_update(...)
    void fbp_adam_update(...)

fbp_active = isa.active()


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
    require_aligned(param, "param")
    require_aligned(grad, "grad")
    return require_apart(param, n, grad, n, "param")


cdef int _check_state(const real *state, idx n_state, const real *param, const real *grad, idx n,
                      str name) except -1:
    require(n_state == n, f"an update expects {name} of param's length")
    require_aligned(state, name)
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
        require(momentum == 0, "sgd_update expects a velocity where momentum is not 0")
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
        require(momentum == 0, "rmsprop_update expects a velocity where momentum is not 0")
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
    require(step >= 1, "adam_update expects step of at least 1")
    with nogil:
        adam_update_core(&param[0], &grad[0], &mean[0], &square_mean[0], lr, beta_1, beta_2, eps,
                         weight_decay, decoupled, step, n)
