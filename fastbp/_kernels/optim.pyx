"""Update rules, in place over flat arrays."""
from fastbp._kernels cimport isa
from fastbp._kernels.contract cimport idx, real, require, require_aligned, require_apart

cdef extern from "call.h" nogil:
    const isa.fbp_kernels *fbp_active
    void fbp_sgd_update(...)

fbp_active = isa.active()


cdef void sgd_update_core(real *param, const real *grad, real *velocity, double lr,
                          double momentum, bint nesterov, double weight_decay,
                          idx n) noexcept nogil:
    fbp_sgd_update(param, grad, velocity, lr, momentum, nesterov, weight_decay, n)


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
    require(grad.shape[0] == n, "sgd_update expects grad of param's length")
    require_aligned(&param[0], "param")
    require_aligned(&grad[0], "grad")
    require_apart(&param[0], n, &grad[0], n, "param")
    if velocity is not None:
        velocity_ = &velocity[0]
        require(velocity.shape[0] == n, "sgd_update expects velocity of param's length")
        require_aligned(velocity_, "velocity")
        require_apart(velocity_, n, &param[0], n, "velocity")
        require_apart(velocity_, n, &grad[0], n, "velocity")
    else:
        require(momentum == 0, "sgd_update expects a velocity where momentum is not 0")
    with nogil:
        sgd_update_core(&param[0], &grad[0], velocity_, lr, momentum, nesterov, weight_decay, n)
