"""Optimisers, their schedules and gradient clipping: thin classes over the update kernels."""

import math

import numpy as np

from fastbp import checks
from fastbp.backend import kernels

__all__ = [
    "SGD",
    "AdaGrad",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineDecay",
    "InverseScaling",
    "Optimizer",
    "RMSprop",
    "StepDecay",
    "WarmUp",
    "clip_by_norm",
    "clip_by_value",
]


class Optimizer:
    """What all optimisers share.

    A subclass names its `rule`, the numbers that the rule takes, and its arrays of state.
    """

    #: The rule's name in the training engine.
    rule: str
    #: The constructor's arguments, which are attributes.
    _options: tuple[str, ...] = ("lr", "weight_decay")

    def __init__(self, params, lr, weight_decay=0.0):
        who = type(self).__name__
        if params is not None:
            raise TypeError(
                f"{who} expects its learning rate by name, as in {who}(lr=0.1); "
                f"got {params!r} in the place of params."
            )
        self.lr = checks.number(who, "lr", lr, least=0)
        self.weight_decay = checks.number(who, "weight_decay", weight_decay, least=0)
        self.states = {}  # by the parameters' names: a list of n_states arrays
        self.steps = 0

    @property
    def n_states(self):
        """How many arrays of a parameter's shape the rule keeps."""
        return 0

    def numbers(self):
        """The rule's numbers, as the training engine takes them."""
        return {"lr": self.lr, "weight_decay": self.weight_decay}

    def _kernel(self, param, grad, states, step):
        """One update over flat arrays."""
        raise NotImplementedError

    def __repr__(self):
        values = ((name, getattr(self, name)) for name in self._options)
        options = ", ".join(f"{k}={v:g}" if type(v) is float else f"{k}={v}" for k, v in values)
        return f"{type(self).__name__}({options})"

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
        arrays = {name: params[name] for name in params}
        checked = {name: self._checked(name, array, grads) for name, array in arrays.items()}
        self.steps += 1
        for name, param in arrays.items():
            self._apply(param, checked[name], self.state_of(name, param))

    def state_of(self, name, param):
        """The arrays kept for one parameter, zeros at first."""
        self._require_same(name, param)
        if name not in self.states:
            self.states[name] = [
                np.zeros(param.shape, _native(param)) for _ in range(self.n_states)
            ]
        return self.states[name]

    def _require_same(self, name, param):
        for state in self.states.get(name, ()):
            if (state.shape, state.dtype) != (param.shape, _native(param)):
                raise ValueError(
                    f"{type(self).__name__} expects the same parameters at every step; got "
                    f"{name!r} of {param.dtype} {param.shape} after {state.dtype} "
                    f"{state.shape}, so take a new optimiser for another network."
                )

    def _checked(self, name, param, grads):
        """The gradient of one parameter."""
        who = f"{type(self).__name__}.update"
        checks.writable_parameter(who, f"params[{name!r}]", param)
        if name not in grads:
            raise ValueError(f"{who} expects a gradient for each parameter; got none for {name!r}.")
        grad = checks.floats(who, f"grads[{name!r}]", grads[name], _native(param))
        checks.same_shape(who, f"grads[{name!r}]", grad, param.shape, "the parameter")
        self._require_same(name, param)
        return grad

    def _apply(self, param, grad, states):
        flat = checks.floats(type(self).__name__, "param", param, _native(param))
        if np.may_share_memory(grad, flat):
            grad = grad.copy()
        self._kernel(
            flat.reshape(-1), grad.reshape(-1), [state.reshape(-1) for state in states], self.steps
        )
        if flat is not param:  # strided, unaligned or byte-swapped: the step ran on a copy
            param[...] = flat


class SGD(Optimizer):
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

    rule = "sgd"
    _options = ("lr", "momentum", "nesterov", "weight_decay")

    def __init__(self, params=None, lr=0.01, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(params, lr, weight_decay)
        self.momentum = checks.number("SGD", "momentum", momentum, least=0)
        self.nesterov = bool(nesterov)
        if self.nesterov and self.momentum == 0:
            raise ValueError("SGD expects momentum above 0 where nesterov is True; got 0.")

    @property
    def n_states(self):
        """One velocity, where there is momentum."""
        return int(self.momentum != 0)

    def numbers(self):
        return super().numbers() | {"momentum": self.momentum, "nesterov": self.nesterov}

    def _kernel(self, param, grad, states, step):
        velocity = states[0] if states else None
        kernels().sgd_update(
            param, grad, velocity, self.lr, self.momentum, self.nesterov, self.weight_decay
        )


class AdaGrad(Optimizer):
    """AdaGrad: ``s += g^2;  p -= lr g / (sqrt(s) + eps)``, with PyTorch's numbers.

    Parameters
    ----------
    params : None
        See `SGD`.
    lr, eps, weight_decay : float

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Duchi et al., Adaptive subgradient methods (2011).

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W1": np.array([1.0, 2.0])}
    >>> AdaGrad(lr=0.5).update(params, {"W1": np.array([2.0, -3.0])})
    >>> params["W1"].round(6)
    array([0.5, 2.5])
    """

    rule = "adagrad"
    _options = ("lr", "eps", "weight_decay")

    def __init__(self, params=None, lr=0.01, eps=1e-10, weight_decay=0.0):
        super().__init__(params, lr, weight_decay)
        self.eps = checks.number(type(self).__name__, "eps", eps, least=0)

    @property
    def n_states(self):
        """The sum of squares."""
        return 1

    def numbers(self):
        return super().numbers() | {"eps": self.eps}

    def _kernel(self, param, grad, states, step):
        kernels().adagrad_update(param, grad, states[0], self.lr, self.eps, self.weight_decay)


Adagrad = AdaGrad


class RMSprop(Optimizer):
    """RMSprop: ``s = alpha s + (1 - alpha) g^2;  p -= lr g / (sqrt(s) + eps)``.

    Parameters
    ----------
    params : None
        See `SGD`.
    lr, alpha, eps, weight_decay, momentum : float
        PyTorch's; with momentum, ``v = momentum v + g / (sqrt(s) + eps);  p -= lr v``.

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Hinton, Neural networks for machine learning, lecture 6 (2012).

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W1": np.array([1.0])}
    >>> RMSprop(lr=0.1).update(params, {"W1": np.array([2.0])})
    >>> params["W1"].round(6)
    array([0.])
    """

    rule = "rmsprop"
    _options = ("lr", "alpha", "eps", "weight_decay", "momentum")

    def __init__(self, params=None, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0):
        super().__init__(params, lr, weight_decay)
        self.alpha = checks.number("RMSprop", "alpha", alpha, least=0, most=1)
        self.eps = checks.number("RMSprop", "eps", eps, least=0)
        self.momentum = checks.number("RMSprop", "momentum", momentum, least=0)

    @property
    def n_states(self):
        """The mean square, and a velocity where there is momentum."""
        return 2 if self.momentum else 1

    def numbers(self):
        own = {"beta_2": self.alpha, "eps": self.eps, "momentum": self.momentum}
        return super().numbers() | own

    def _kernel(self, param, grad, states, step):
        kernels().rmsprop_update(
            param, grad, states[0], states[1] if self.momentum else None,
            self.lr, self.alpha, self.eps, self.momentum, self.weight_decay,
        )  # fmt: skip


class Adam(Optimizer):
    """Adam, with PyTorch's numbers.

    ``m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
    p -= lr / (1 - b1^k) m / (sqrt(v / (1 - b2^k)) + eps)`` at step k.

    Parameters
    ----------
    params : None
        See `SGD`.
    lr : float
    betas : (float, float)
        b1 and b2.
    eps, weight_decay : float
        The decay adds ``weight_decay p`` to the gradient.

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Kingma & Ba, Adam: a method for stochastic optimization (2015).

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W1": np.array([1.0, 2.0])}
    >>> Adam(lr=0.5).update(params, {"W1": np.array([0.1, -300.0])})
    >>> params["W1"].round(6)
    array([0.5, 2.5])
    """

    rule = "adam"
    _options = ("lr", "betas", "eps", "weight_decay")
    _decoupled = False

    def __init__(self, params=None, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, weight_decay)
        who = type(self).__name__
        pair = betas if isinstance(betas, list | tuple) else ()
        self.betas = tuple(checks.number(who, "betas", beta, least=0, most=1) for beta in pair)
        if len(self.betas) != 2 or 1.0 in self.betas:
            raise ValueError(f"{who} expects betas as two numbers below 1; got {betas}.")
        self.eps = checks.number(who, "eps", eps, least=0)

    @property
    def n_states(self):
        """The mean and the mean square."""
        return 2

    def numbers(self):
        own = {"beta_1": self.betas[0], "beta_2": self.betas[1], "eps": self.eps}
        return super().numbers() | own

    def _kernel(self, param, grad, states, step):
        kernels().adam_update(
            param, grad, *states, self.lr, *self.betas, self.eps, self.weight_decay,
            self._decoupled, step,
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay: first ``p -= lr weight_decay p``, then Adam's step.

    Parameters
    ----------
    params : None
        See `SGD`.
    lr, betas, eps : see `Adam`
    weight_decay : float
        0.01 where nothing is given, as PyTorch's.

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Loshchilov & Hutter, Decoupled weight decay regularization (2019).

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W1": np.array([1.0])}
    >>> AdamW(lr=0.5, weight_decay=0.1).update(params, {"W1": np.array([0.1])})
    >>> params["W1"].round(6)
    array([0.45])
    """

    rule = "adamw"
    _decoupled = True

    def __init__(self, params=None, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)


def _native(param):
    return checks.FLOAT32 if param.dtype.itemsize == 4 else checks.FLOAT64


# --- schedules ------------------------------------------------------------------------------
# A schedule is a function of the epochs done (a float, at each step) that gives the factor of
# the optimiser's learning rate.


class StepDecay:
    """The learning rate times `factor` after every `every` epochs.

    Parameters
    ----------
    every : int
    factor : float

    Examples
    --------
    >>> [StepDecay(every=2, factor=0.5)(epoch) for epoch in (0, 1.9, 2, 4)]
    [1.0, 1.0, 0.5, 0.25]
    """

    def __init__(self, every, factor=0.1):
        self.every = checks.integer("StepDecay", "every", every, least=1)
        self.factor = checks.number("StepDecay", "factor", factor, least=0)

    def __call__(self, epoch):
        return self.factor ** (epoch // self.every)


class CosineDecay:
    """From 1 down to `least` over `epochs`, along half a cosine.

    Parameters
    ----------
    epochs : int
    least : float

    References
    ----------
    Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts (2017).

    Examples
    --------
    >>> [round(CosineDecay(epochs=10)(epoch), 4) for epoch in (0, 5, 10)]
    [1.0, 0.5, 0.0]
    """

    def __init__(self, epochs, least=0.0):
        self.epochs = checks.integer("CosineDecay", "epochs", epochs, least=1)
        self.least = checks.number("CosineDecay", "least", least, least=0)

    def __call__(self, epoch):
        share = min(epoch / self.epochs, 1)
        return self.least + (1 - self.least) * 0.5 * (1 + math.cos(math.pi * share))


class WarmUp:
    """From 0 up to 1 over `epochs`, then another schedule from its beginning.

    Parameters
    ----------
    epochs : float
    then : callable or None

    Examples
    --------
    >>> [WarmUp(2, then=StepDecay(1, 0.5))(epoch) for epoch in (0, 1, 2, 3)]
    [0.0, 0.5, 1.0, 0.5]
    """

    def __init__(self, epochs, then=None):
        self.epochs = checks.number("WarmUp", "epochs", epochs, least=0)
        self.then = then

    def __call__(self, epoch):
        if epoch < self.epochs:
            return epoch / self.epochs
        return 1.0 if self.then is None else self.then(epoch - self.epochs)


class InverseScaling:
    """``1 / (1 + epoch) ** power``.

    Parameters
    ----------
    power : float

    Examples
    --------
    >>> [InverseScaling(0.5)(epoch) for epoch in (0, 3)]
    [1.0, 0.5]
    """

    def __init__(self, power=0.5):
        self.power = checks.number("InverseScaling", "power", power, least=0)

    def __call__(self, epoch):
        return 1 / (1 + epoch) ** self.power


# --- clipping -------------------------------------------------------------------------------


def clip_by_norm(grads, most):
    """Scale all gradients together so that their joint Euclidean norm is at most `most`.

    Parameters
    ----------
    grads : mapping of str to numpy.ndarray
        Left alone.
    most : float

    Returns
    -------
    grads, norm : dict of str to numpy.ndarray, float
        The clipped gradients and the norm before, with PyTorch's factor
        ``min(1, most / (norm + 1e-6))``.

    References
    ----------
    Pascanu et al., On the difficulty of training recurrent neural networks (2013).

    Examples
    --------
    >>> import numpy as np
    >>> grads, norm = clip_by_norm({"W1": np.array([3.0]), "b1": np.array([4.0])}, 1.0)
    >>> norm, grads["W1"].round(4)
    (5.0, array([0.6]))
    """
    most = checks.number("clip_by_norm", "most", most, least=0)
    square = sum(float(np.square(grad, dtype=np.float64).sum()) for grad in grads.values())
    norm = math.sqrt(square)
    factor = min(1.0, most / (norm + 1e-6))
    return {key: grad * grad.dtype.type(factor) for key, grad in grads.items()}, norm


def clip_by_value(grads, limit):
    """Keep every element of every gradient between -limit and limit.

    Parameters
    ----------
    grads : mapping of str to numpy.ndarray
        Left alone.
    limit : float

    Returns
    -------
    dict of str to numpy.ndarray

    Examples
    --------
    >>> import numpy as np
    >>> clip_by_value({"W1": np.array([3.0, -0.5])}, 1.0)["W1"]
    array([ 1. , -0.5])
    """
    limit = checks.number("clip_by_value", "limit", limit, least=0)
    return {key: np.clip(grad, -limit, limit) for key, grad in grads.items()}
