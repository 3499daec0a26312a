"""The update rules as optimisers.

An optimiser of tensors changes them by `step`; one made without parameters changes arrays by
`update`.  Both train in `fit`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.operations.rules import nadams_product
from fastbp.optim.rule import Rule

if TYPE_CHECKING:
    from fastbp.optim.optimizer import Params

__all__ = [
    "SGD",
    "AdaGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Momentum",
    "NAdam",
    "Nesterov",
    "RAdam",
    "RMSprop",
]


def _with_the_books(translated):
    """An __init__ that takes the book's names too, beside PyTorch's, which it shows."""

    def decorate(init):
        @functools.wraps(init)
        def told(self, *arguments, **options):
            init(self, *arguments, **translated(options))

        return told

    return decorate


def _alpha(options):
    if "decay_rate" in options:
        if "alpha" in options:
            raise TypeError("RMSprop expects alpha or decay_rate, two names of one number; got both.")
        rate = options.pop("decay_rate")
        options["alpha"] = checks.number("RMSprop", "decay_rate", rate, least=0, most=1)
    return options


def _betas(options):
    if "beta1" in options or "beta2" in options:
        if "betas" in options:
            raise TypeError("Adam expects betas, or beta1 and beta2; got both.")
        options["betas"] = tuple(
            checks.number("Adam", name, options.pop(name, default), least=0, most=1)
            for name, default in (("beta1", 0.9), ("beta2", 0.999))
        )
    return options


class SGD(Rule, rows={"nesterov": "nesterov", "momentum": "momentum", None: "sgd"}):
    """Stochastic gradient descent, with momentum and weight decay.

    ``d = g + weight_decay p;  v = momentum v + (1 - dampening) d;  p -= lr v``, where the first
    v is d, and with `nesterov` ``p -= lr (d + momentum v)``: PyTorch's numbers.

    Parameters
    ----------
    params : iterable of Tensor, iterable of dict, or None
        What `step` changes, as ``model.parameters()``; None for `update` and for `fit`.
    lr : float
        Learning rate.
    momentum : float
        0 keeps no velocity.
    dampening : float
        The share of the gradient that does not come into the velocity.
    weight_decay : float
        Factor of the L2 penalty's gradient.
    nesterov : bool
        Nesterov's momentum in place of the classical one.
    maximize : bool
        Climb: the step is that of -g.
    foreach, fused, differentiable : None or False
        PyTorch's choices of how a step is computed; without effect.

    Raises
    ------
    TypeError, ValueError
        For a number given as `params`, no parameters, negative factors, or `nesterov` without
        momentum or with dampening.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 6.1; Sutskever et al., On the importance
    of initialization and momentum in deep learning (2013).

    Examples
    --------
    >>> import fastbp
    >>> w = fastbp.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0., 0.], requires_grad=True)

    Over arrays by name:

    >>> import numpy as np
    >>> params = {"W1": np.array([[1.0, 2.0]])}
    >>> SGD(lr=0.5).update(params, {"W1": np.array([[2.0, -2.0]])})
    >>> params["W1"]
    array([[0., 3.]])
    """

    _options: tuple[str, ...] = ("lr", "momentum", "nesterov", "weight_decay")
    _only_by_hand = {"maximize": False, "dampening": 0}
    _counts = False

    def __init__(
        self,
        params: Params | None = None,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool | None = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(locals())

    def _checked_options(self, options):
        who = type(self).__name__
        options = super()._checked_options(options)
        if options["nesterov"] and options["momentum"] == 0:
            raise ValueError(f"{who} expects momentum above 0 where nesterov is True; got 0.")
        if options["nesterov"] and options["dampening"] != 0:
            raise ValueError(f"{who} expects dampening 0 where nesterov is True; got {options['dampening']:g}.")
        return options


class Momentum(SGD):
    """The book's momentum: `SGD` of arrays, with a velocity from the start.

    ``v = momentum v + g;  p -= lr v``; the book's v is ours times -lr.

    Parameters
    ----------
    lr, momentum : float

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 6.1.4.

    Examples
    --------
    >>> params = {"x": -7.0, "y": 2.0}
    >>> optimizer = Momentum(lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.update(params, {"x": params["x"] / 10, "y": 2 * params["y"]})
    >>> {name: round(value, 4) for name, value in params.items()}
    {'x': -6.7977, 'y': 0.92}
    """

    _options = ("lr", "momentum")

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__(lr=_rate(type(self), lr), momentum=momentum)


class Nesterov(SGD):
    """Nesterov's momentum: `SGD` of arrays with ``nesterov=True``.

    ``v = momentum v + g;  p -= lr (g + momentum v)``.

    Parameters
    ----------
    lr, momentum : float
        `momentum` above 0.

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), chapter 6; Sutskever et al. (2013), see `SGD`.

    Examples
    --------
    >>> params = {"x": 1.0}
    >>> Nesterov(lr=0.1).update(params, {"x": 1.0})
    >>> round(params["x"], 4)
    0.81
    """

    _options = ("lr", "momentum")

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__(lr=_rate(type(self), lr), momentum=momentum, nesterov=True)


def _rate(kind, lr):
    """The learning rate, in whose place tensors are a mistake."""
    if np.iterable(lr) and not isinstance(lr, str):
        raise TypeError(
            f"{kind.__name__} expects lr as a number, and no parameters, which "
            f"SGD(params, lr=0.01, momentum=0.9) takes; got a {type(lr).__name__}."
        )
    return lr


class AdaGrad(Rule, rows={None: "adagrad"}):
    """AdaGrad: ``s += g^2;  p -= lr g / (sqrt(s) + eps)``, with PyTorch's numbers.

    Parameters
    ----------
    params : iterable of Tensor, iterable of dict, or None
        See `SGD`.
    lr : float
    lr_decay : float
        Step k has the learning rate ``lr / (1 + (k - 1) lr_decay)``.
    weight_decay : float
        Adds ``weight_decay p`` to the gradient.
    initial_accumulator_value : float
        The first s.
    eps : float
    maximize, foreach, differentiable, fused : see `SGD`

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

    _options = ("lr", "eps", "weight_decay")

    def __init__(
        self,
        params: Params | None = None,
        lr: float = 0.01,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(locals())


Adagrad = AdaGrad


class RMSprop(Rule, rows={"momentum": "rmsprop_momentum", None: "rmsprop"}):
    """RMSprop: ``s = alpha s + (1 - alpha) g^2;  p -= lr g / (sqrt(s) + eps)``.

    Parameters
    ----------
    params : iterable of Tensor, iterable of dict, or None
        See `SGD`.
    lr, alpha, eps, weight_decay, momentum : float
        PyTorch's; with momentum, ``v = momentum v + g / (sqrt(s) + eps);  p -= lr v``.
    centered : False
        Not offered.
    decay_rate : float, optional
        The book's name of alpha.
    maximize, foreach, differentiable, capturable : see `SGD`

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

    @_with_the_books(_alpha)
    def __init__(
        self,
        params: Params | None = None,
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(locals())


class Adam(Rule, rows={"amsgrad": "amsgrad", None: "adam"}):
    """Adam, with PyTorch's numbers.

    ``m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
    p -= lr / (1 - b1^k) m / (sqrt(v / (1 - b2^k)) + eps)`` at step k.

    Parameters
    ----------
    params : iterable of Tensor, iterable of dict, or None
        See `SGD`.
    lr : float
    betas : (float, float)
        b1 and b2.
    eps : float
    weight_decay : float
        Adds ``weight_decay p`` to the gradient.
    amsgrad : bool
        Divide by the root of the greatest v so far (Reddi et al., On the convergence of Adam and
        beyond, 2018).
    decoupled_weight_decay : bool
        Decay as `AdamW` does.
    beta1, beta2 : float, optional
        The book's names of the two `betas`.
    maximize, foreach, capturable, differentiable, fused : see `SGD`

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

    _decoupled = "decoupled_weight_decay"

    @_with_the_books(_betas)
    def __init__(
        self,
        params: Params | None = None,
        lr: float = 0.001,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(locals())


class AdamW(Adam, rows={"amsgrad": "amsgrad", None: "adam"}):
    """Adam with decoupled weight decay: first ``p -= lr weight_decay p``, then Adam's step.

    Parameters
    ----------
    params : iterable of Tensor, iterable of dict, or None
        See `SGD`.
    lr, betas, eps : see `Adam`
    weight_decay : float
        0.01 where nothing is given, as PyTorch's.
    amsgrad, maximize, foreach, capturable, differentiable, fused : see `Adam`

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

    def __init__(
        self,
        params: Params | None = None,
        lr: float = 0.001,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            differentiable=differentiable,
            decoupled_weight_decay=True,
            foreach=foreach,
            fused=fused,
            capturable=capturable,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As others'; of an Adam's too, whose decay is in the gradient and here is not."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


class Adadelta(Rule, rows={None: "adadelta"}):
    """Adadelta: ``s = rho s + (1 - rho) g^2;  u = sqrt(e + eps) / sqrt(s + eps) g;
    e = rho e + (1 - rho) u^2;  p -= lr u``, with PyTorch's numbers.

    Parameters
    ----------
    params : iterable of Tensor, iterable of dict, or None
        See `SGD`.
    lr, rho, eps, weight_decay : float
    maximize, foreach, capturable, differentiable : see `SGD`

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Zeiler, ADADELTA: an adaptive learning rate method (2012).

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W1": np.array([1.0])}
    >>> Adadelta(eps=0.01).update(params, {"W1": np.array([2.0])})
    >>> params["W1"].round(4)
    array([0.6877])
    """

    def __init__(
        self,
        params: Params | None = None,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(locals())


class Adamax(Rule, rows={None: "adamax"}):
    """Adamax: ``m = b1 m + (1 - b1) g;  u = max(b2 u, |g| + eps);  p -= lr / (1 - b1^k) m / u``.

    Parameters
    ----------
    params : iterable of Tensor, iterable of dict, or None
        See `SGD`.
    lr, betas, eps, weight_decay : see `Adam`
    maximize, foreach, capturable, differentiable : see `SGD`

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Kingma & Ba, Adam: a method for stochastic optimization (2015), section 7.1.

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W1": np.array([1.0, 2.0])}
    >>> Adamax(lr=0.5).update(params, {"W1": np.array([0.1, -300.0])})
    >>> params["W1"].round(6)
    array([0.5, 2.5])
    """

    def __init__(
        self,
        params: Params | None = None,
        lr: float = 0.002,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(locals())


class NAdam(Rule, rows={None: "nadam"}):
    """Adam with Nesterov's momentum, which grows from step to step: PyTorch's.

    With ``mu_k = b1 (1 - 0.96^(k momentum_decay) / 2)`` and M_k, their product up to step k by the
    numbers of now (PyTorch goes on from its product, where `betas` change in the first steps),
    ``p -= lr (mu_k+1 / (1 - M_k+1) m + (1 - mu_k) / (1 - M_k) g) / (sqrt(v / (1 - b2^k)) + eps)``.

    Parameters
    ----------
    params : iterable of Tensor, iterable of dict, or None
        See `SGD`.
    lr, betas, eps, weight_decay, decoupled_weight_decay : see `Adam`
    momentum_decay : float
    maximize, foreach, capturable, differentiable : see `SGD`

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Dozat, Incorporating Nesterov momentum into Adam (2016).

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W1": np.array([1.0])}
    >>> NAdam(lr=0.5).update(params, {"W1": np.array([0.1])})
    >>> params["W1"].round(4)
    array([0.4718])
    """

    _decoupled = "decoupled_weight_decay"

    def __init__(
        self,
        params: Params | None = None,
        lr: float = 0.002,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 0.004,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(locals())

    def state_dict(self) -> dict[str, Any]:
        """As others', and PyTorch's "mu_product", M_k, of the steps so far."""
        from fastbp.autograd import as_tensor

        found = super().state_dict()
        for group in found["param_groups"]:
            for place in group["params"]:
                kept = found["state"].get(place, {})
                if "step" in kept:
                    product = nadams_product(group["betas"][0], group["momentum_decay"], int(kept["step"]))
                    kept["mu_product"] = as_tensor(np.array(product, np.float32))
        return found

    def _loaded(self, who, group, name, value, param):
        if name == "mu_product":  # it follows from the steps
            checks.number(who, name, value, least=0, most=1)
            return None
        return super()._loaded(who, group, name, value, param)


class RAdam(Rule, rows={None: "radam"}):
    """Adam that rectifies its first steps' variance: until it can, ``p -= lr m / (1 - b1^k)``.

    Parameters
    ----------
    params : iterable of Tensor, iterable of dict, or None
        See `SGD`.
    lr, betas, eps, weight_decay, decoupled_weight_decay : see `Adam`
    maximize, foreach, capturable, differentiable : see `SGD`

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Liu et al., On the variance of the adaptive learning rate and beyond (2020).

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W1": np.array([1.0])}
    >>> RAdam(lr=0.5).update(params, {"W1": np.array([0.1])})
    >>> params["W1"].round(6)
    array([0.95])
    """

    _decoupled = "decoupled_weight_decay"

    def __init__(
        self,
        params: Params | None = None,
        lr: float = 0.001,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(locals())


class Lion(Rule, rows={None: "lion"}):
    """Lion: ``p -= lr (sign(b1 m + (1 - b1) g) + weight_decay p);  m = b2 m + (1 - b2) g``.

    Parameters
    ----------
    params : iterable of Tensor, iterable of dict, or None
        See `SGD`.
    lr, betas, weight_decay : float
        As the paper has them; the decay is apart from the gradient, as `AdamW`'s.
    maximize : bool
        Climb: the step is that of -g.

    Raises
    ------
    TypeError, ValueError
        See `SGD`.

    References
    ----------
    Chen et al., Symbolic discovery of optimization algorithms (2023).

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W1": np.array([1.0, 2.0])}
    >>> Lion(lr=0.5).update(params, {"W1": np.array([0.1, -300.0])})
    >>> params["W1"]
    array([0.5, 2.5])
    """

    _decoupled = True
    _counts = False

    def __init__(
        self,
        params: Params | None = None,
        lr: float = 1e-4,
        betas: Sequence[float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(locals())
