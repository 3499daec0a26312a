"""Optimisers: thin classes over the update kernels."""

import numpy as np

from fastbp import checks
from fastbp.backend import kernels

__all__ = ["SGD"]


class SGD:
    """Stochastic gradient descent, with momentum and weight decay.

    ``d = g + weight_decay p;  v = momentum v + d;  p -= lr v``, and with `nesterov`
    ``p -= lr (d + momentum v)``: PyTorch's numbers.

    Parameters
    ----------
    params : None
        The first place is PyTorch's; a learning rate goes into `lr`.
    lr : float
        Learning rate.
    momentum : float
        Between 0 and 1; 0 keeps no velocity.
    nesterov : bool
        Nesterov's momentum in place of the classical one.
    weight_decay : float
        Factor of the L2 penalty's gradient.

    Raises
    ------
    TypeError, ValueError
        For a number given as `params`, negative factors, or `nesterov` without momentum.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 6.1; Sutskever et al., On the importance
    of initialization and momentum in deep learning (2013).

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W1": np.array([[1.0, 2.0]])}
    >>> SGD(lr=0.5).update(params, {"W1": np.array([[2.0, -2.0]])})
    >>> params["W1"]
    array([[0., 3.]])
    """

    def __init__(self, params=None, lr=0.01, momentum=0.0, nesterov=False, weight_decay=0.0):
        if params is not None:
            raise TypeError(
                f"SGD expects its learning rate by name, as in SGD(lr=0.1); "
                f"got {params!r} in the place of params."
            )
        self.lr = checks.number("SGD", "lr", lr, least=0)
        self.momentum = checks.number("SGD", "momentum", momentum, least=0)
        self.weight_decay = checks.number("SGD", "weight_decay", weight_decay, least=0)
        self.nesterov = bool(nesterov)
        if self.nesterov and self.momentum == 0:
            raise ValueError("SGD expects momentum above 0 where nesterov is True; got 0.")
        self._velocities = {}

    def __repr__(self):
        return (
            f"SGD(lr={self.lr:g}, momentum={self.momentum:g}, nesterov={self.nesterov}, "
            f"weight_decay={self.weight_decay:g})"
        )

    def update(self, params, grads):
        """One step, in place.

        Parameters
        ----------
        params : mapping of str to numpy.ndarray
            Written to, each array in place.
        grads : mapping of str to array_like
            A gradient of the parameter's shape for each key of `params`.

        Raises
        ------
        ValueError, TypeError
            For a missing gradient, another shape, a read-only parameter; nothing has changed
            then.
        """
        steps = [self._step_of(name, params[name], grads) for name in params]
        for param, grad, velocity in steps:
            self._apply(param, grad, velocity)

    def _step_of(self, name, param, grads):
        """The arrays of one parameter's step, checked."""
        checks.writable_parameter("SGD.update", name, param)
        if name not in grads:
            raise ValueError(
                f"SGD.update expects a gradient for each parameter; got none for {name!r}."
            )
        grad = checks.floats("SGD.update", f"grads[{name!r}]", grads[name], _native(param))
        checks.same_shape("SGD.update", f"grads[{name!r}]", grad, param.shape, "the parameter")
        if not self.momentum:
            return param, grad, None
        velocity = self._velocities.get(name)
        if velocity is None:
            velocity = self._velocities[name] = np.zeros(param.shape, _native(param))
        elif velocity.shape != param.shape:
            raise ValueError(
                f"SGD.update expects the same parameters at every step; got {name!r} of shape "
                f"{param.shape} after {velocity.shape}, so take a new SGD for another network."
            )
        return param, grad, velocity

    def _apply(self, param, grad, velocity):
        flat = checks.floats("SGD.update", "param", param, _native(param))
        if flat is param and np.may_share_memory(grad, param):
            grad = grad.copy()
        kernels().sgd_update(
            flat.reshape(-1), grad.reshape(-1), None if velocity is None else velocity.reshape(-1),
            self.lr, self.momentum, self.nesterov, self.weight_decay,
        )  # fmt: skip
        if flat is not param:  # strided, unaligned or byte-swapped: the step ran on a copy
            param[...] = flat


def _native(param):
    return checks.FLOAT32 if param.dtype.itemsize == 4 else checks.FLOAT64
