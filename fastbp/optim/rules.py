"""The update rules as optimisers: thin classes over the update kernels.

An optimiser of tensors changes them by `step`; one made without parameters changes arrays by
`update`.  Both train in `fit`.
"""

import functools
from collections.abc import Callable, MutableMapping
from numbers import Real

import numpy as np

from fastbp import _kernels, checks
from fastbp._kernels import optim as compiled
from fastbp.backend import kernels
from fastbp.optim.optimizer import Optimizer, _detached

__all__ = [
    "SGD", "AdaGrad", "Adagrad", "Adam", "AdamW", "Momentum", "Nesterov", "RMSprop", "Rule",
]  # fmt: skip


#: How PyTorch computes the same numbers.
_HOW = ("foreach", "fused", "capturable")
#: Options of other rules, and other libraries' names.
_OTHERS = {
    "alpha", "amsgrad", "betas", "centered", "dampening", "decoupled_weight_decay", "eps",
    "initial_accumulator_value", "lr_decay", "momentum", "nesterov",
    "beta", "decay", "epsilon", "l2", "learning_rate", "learningrate", "rate", "wd",
}  # fmt: skip


def _misses(key, own):
    """Whether the key of a group is meant for an option that the rule does not have."""
    import difflib

    return key in _OTHERS or bool(difflib.get_close_matches(str(key), own, 1, 0.85))


class Option:
    """An option as an attribute: read where all groups agree, written into each."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, optimizer, owner=None):
        if optimizer is None:
            return self
        if not optimizer._groups:
            raise ValueError(
                f"{type(optimizer).__name__}.{self.name} expects at least one parameter group; got "
                "param_groups empty."
            )
        first, *others = (group[self.name] for group in optimizer._groups)
        for other in others:
            if other != first:
                raise ValueError(
                    f"{type(optimizer).__name__}.{self.name} expects groups that agree on it, as "
                    f"fit needs; got {first} and {other}, so read param_groups or train by step()."
                )
        return first

    def __set__(self, optimizer, value):
        checked = [optimizer._checked_options(group | {self.name: value})
                   for group in optimizer._groups]  # fmt: skip
        for group, options in zip(optimizer._groups, checked, strict=True):
            group[self.name] = options[self.name]


class Rule(Optimizer, counts_steps=True):
    """What the library's own optimisers share.

    A subclass names its `rule`, its options, and the arrays that it keeps of a parameter.
    """

    #: The rule's name in the training engine.
    rule: str
    #: The options that are shown.
    _options: tuple[str, ...]
    #: Options that are numbers of at least 0.
    _numbers: tuple[str, ...]
    #: A step of one parameter group.
    _compiled: Callable[..., None]
    #: Options that the engine has not, and the value without effect.
    _only_by_hand: dict = {"maximize": False}

    lr = Option()
    weight_decay = Option()
    maximize = Option()

    def __init__(self, params, **options):
        self.states = {}  # of `update`, by the parameters' names: a list of arrays
        self._drop_how(options)
        super().__init__(params, options)

    def _drop_how(self, options):
        for name in _HOW:
            checks.flag(type(self).__name__, name, options.pop(name, None), or_none=True)

    def _checked_options(self, options):
        who = type(self).__name__
        self._drop_how(options)
        for name in ("amsgrad", "centered", "differentiable"):
            if checks.flag(who, name, options.get(name, False)):
                raise NotImplementedError(
                    f"{who} expects {name}=False; got {options[name]!r}: leave it away, or write a "
                    "subclass of Optimizer."
                )
        for name in self._numbers:
            options[name] = checks.number(who, name, options[name], least=0)
        options["maximize"] = checks.flag(who, "maximize", options["maximize"])
        return options

    def _known(self, who, group):
        own = self.defaults.keys()
        for key in group.keys() - own - {"params", *_HOW}:
            if _misses(key, own):
                raise ValueError(
                    f"{who} expects as options {', '.join(own)}; got {key!r}, which "
                    f"{type(self).__name__} does not have."
                )
        return group

    def __repr__(self):
        if self._bound:
            return super().__repr__()
        options = ", ".join(f"{name}={_shown(getattr(self, name))}" for name in self._options)
        return f"{type(self).__name__}({options})"

    def _names(self, group):
        """PyTorch's names of the arrays that are kept of a parameter."""
        return ()

    def _beginning(self, group):
        """What the elements of a state are before the first step."""
        return 0

    def _kernel(self, group, param, grad, states, step):
        """One update over flat arrays."""
        raise NotImplementedError

    @property
    def state_names(self):
        """PyTorch's names of the arrays of a parameter's shape that the rule keeps."""
        return self._names({"momentum": getattr(self, "momentum", 0)})

    @property
    def n_states(self):
        """How many these are."""
        return len(self.state_names)

    def numbers(self):
        """The rule's numbers, as the training engine takes them.

        Raises
        ------
        ValueError
            For groups whose options differ, and for options that only `step` and `update` have.
        """
        for group in self._groups:  # may have been written into since they were checked
            self._checked_options(dict(group))
        for name, neutral in self._only_by_hand.items():
            if getattr(self, name) != neutral:
                raise ValueError(
                    f"fit expects {type(self).__name__} with {name}={neutral}; got "
                    f"{name}={getattr(self, name)}, which step() and update() take."
                )
        return {"lr": self.lr, "weight_decay": self.weight_decay}

    # --- tensors -----------------------------------------------------------------------------

    def step(self, closure=None):
        """Change every parameter that has a gradient, in place.

        Parameters
        ----------
        closure : callable or None
            Computes the loss and its gradients anew before the step.

        Returns
        -------
        Tensor or None
            What `closure` gave.

        Raises
        ------
        ValueError, TypeError
            For a gradient or a state that does not fit its parameter.
        """
        loss = None
        if closure is not None:
            from fastbp.autograd import enable_grad

            checks.function(f"{type(self).__name__}.step", "closure", closure, "a function")
            with enable_grad():
                loss = closure()
        if not self._bound:
            raise ValueError(
                f"{type(self).__name__}.step expects an optimiser of tensors, as "
                f"{type(self).__name__}(model.parameters()); got one made without params."
            )
        step_of = self._compiled if kernels() is _kernels else self._step_by_twin
        state = self.state if self._trainers else self._state  # without a call more
        for group in self._groups:
            try:
                step_of(group, state, self._begin)
            except (TypeError, ValueError, LookupError):
                self._checked_options(dict(group))  # may have been written into since
                raise
        self.__dict__["steps"] += 1
        return loss

    def _step_by_twin(self, group, state, begin):
        """The compiled step in Python."""
        for param in group["params"]:
            if param.grad is None:
                continue
            array, kept = param.array, state[param]
            names = self._names(group)
            first = any(name not in kept for name in names)
            for name in (*names, "step") if self._counts else names:
                if name not in kept:
                    kept[name] = begin(group, name, array)
            count = 1 if first else 2
            if self._counts:
                kept["step"].array[...] += 1
                count = int(kept["step"])
            self._apply(group, array, param.grad.array, [kept[n].array for n in names], count)
            param._bump()

    def _begin(self, group, name, array):
        """A new state of a parameter: of its shape, dtype and order."""
        from fastbp.autograd import as_tensor

        if name == "step":
            return as_tensor(np.zeros((), np.float32))
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        shape = array.shape[::-1] if fortran else array.shape
        new = np.full(shape, self._beginning(group), _native(array))
        return as_tensor(new.T if fortran else new)

    def _loaded(self, who, group, name, value, param):
        """A copy of one loaded state, as the parameter lies."""
        if name == "step":
            new = self._begin(group, name, param.array)
            new.array[...] = checks.number(who, name, value, 0, 2.0**53)
            return new
        names = self._names(group | {"momentum": group.get("momentum") or 1})  # it may come back
        if name not in names:
            expected = " and ".join(names)
            raise ValueError(f"{who} expects {expected} of a parameter; got {name!r}.")
        array = checks.floats(who, name, _detached(value))
        checks.same_shape(who, name, array, param.array.shape, "its parameter")
        new = self._begin(group, name, param.array)
        new.array[...] = array
        return new

    # --- what training asks for -------------------------------------------------------------

    def state_of(self, name, array):
        """The arrays kept for one parameter, in its layout.

        Parameters
        ----------
        name : str
            What `update` calls it.
        array : numpy.ndarray
            Its numbers; of an optimiser of tensors, the memory of a tensor or of its transpose.

        Raises
        ------
        ValueError
            For a parameter that an optimiser of tensors does not hold, or of another shape
            than before.
        """
        if self._bound:
            group, param = self._holder_of(name, array)
            kept = self._state[param]
            for each in (*self._names(group), "step") if self._counts else self._names(group):
                if each not in kept:
                    kept[each] = self._begin(group, each, param.array)
            states = [kept[each].array for each in self._names(group)]
            return states if _same_view(param.array, array) else [state.T for state in states]
        self._require_same(name, array)
        if name not in self.states:
            group = self._groups[0]
            self.states[name] = [
                np.full(array.shape, self._beginning(group), _native(array))
                for each in self._names(group)
            ]
        return self.states[name]

    def steps_of(self, arrays):
        """Steps done with parameters, of which `state_of` asks.

        Parameters
        ----------
        arrays : mapping of str to numpy.ndarray

        Raises
        ------
        ValueError
            Where they differ, or one is not held.
        """
        if not self._bound:
            return self.steps
        kept = [self._state.get(self._holder_of(*item)[1], {}) for item in arrays.items()]
        if not self._counts:
            return self.steps
        counts = sorted({int(entry.get("step", 0)) for entry in kept})
        if len(counts) > 1:
            raise ValueError(
                f"fit expects {type(self).__name__} to have done as many steps with each "
                f"parameter; got {counts[0]} and {counts[-1]}."
            )
        return counts[0]

    def set_steps(self, arrays, steps):
        """Count the steps that training did with parameters."""
        vars(self)["steps"] = steps
        if self._bound and self._counts:
            for name, array in arrays.items():
                self.state_of(name, array)  # which begins what was taken out
                self._state[self._holder_of(name, array)[1]]["step"].array[...] = steps

    def holder(self, array):
        """The group and the tensor that has an array's memory; (None, None) where none has."""
        for group in self._groups:
            for param in group["params"]:
                if _same_view(param.array, array) or _same_view(param.array.T, array):
                    return group, param
        return None, None

    def _holder_of(self, name, array):
        found = self.holder(array)
        if found[1] is None:
            raise ValueError(
                f"{type(self).__name__} expects to hold every parameter that it trains; got "
                f"{name!r} of shape {array.shape}, which is in none of its param_groups."
            )
        return found

    # --- arrays by name ---------------------------------------------------------------------

    def update(self, params, grads):
        """One step, in place.

        Parameters
        ----------
        params : mapping of str to numpy.ndarray
            Written to, each array in place.  A plain number is replaced, as ``-=`` does.
        grads : mapping of str to array_like
            A gradient of the parameter's shape for each key of `params`.

        Raises
        ------
        ValueError, TypeError
            For a missing gradient, another shape, a read-only parameter, or an optimiser of
            tensors; nothing has changed then.
        """
        if self._bound:
            raise ValueError(
                f"{type(self).__name__}.update expects an optimiser made without params, as "
                f"{type(self).__name__}(lr=0.1); got one of tensors, which step() is for."
            )
        who = f"{type(self).__name__}.update"
        if self._trainers:
            self.sync()
        checks.mapping(who, "params", params)
        checks.mapping(who, "grads", grads)
        arrays = {name: params[name] for name in params}
        numbers = {}
        try:
            checked = {name: self._checked(name, array, grads) for name, array in arrays.items()}
        except TypeError:
            numbers = {name: value for name, value in arrays.items() if _is_number(value)}
            if not numbers:
                raise
        if numbers:
            return self._update_numbers(params, arrays, numbers, grads)
        vars(self)["steps"] += 1
        for name, param in arrays.items():
            step = self.steps if self._counts or name in self.states else 1
            states = self.state_of(name, param)
            self._apply(self._groups[0], param, checked[name], states, step)

    def _update_numbers(self, params, arrays, numbers, grads):
        """A step of parameters of which some are plain numbers, to be replaced."""
        if not isinstance(params, MutableMapping):
            raise TypeError(
                f"{type(self).__name__}.update expects params as a dict, where a number is "
                f"replaced by another; got {checks.described(params)}."
            )
        arrays = arrays | {name: _as_array(value) for name, value in numbers.items()}
        self.update(arrays, grads)
        for name, value in numbers.items():
            array = arrays[name]
            params[name] = array[()] if isinstance(value, np.generic) else float(array)

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

    def _apply(self, group, param, grad, states, step):
        flat = checks.floats(type(self).__name__, "param", param, _native(param))
        if np.may_share_memory(grad, flat):
            grad = grad.copy()
        if group["maximize"]:
            grad = -grad
        kept = [np.ascontiguousarray(state) for state in states]
        self._kernel(group, flat.reshape(-1), grad.reshape(-1), [s.reshape(-1) for s in kept], step)
        if flat is not param:  # strided, unaligned or byte-swapped: the step ran on a copy
            param[...] = flat
        for state, copy in zip(states, kept, strict=True):
            if copy is not state:
                state[...] = copy


def _is_number(value):
    """Whether a parameter is a number by itself; a bool is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _as_array(number):
    """A number as an array that a step can change."""
    small = isinstance(number, np.float32 | np.float16)
    return np.array(number, checks.FLOAT32 if small else checks.FLOAT64)


def _native(param):
    return checks.FLOAT32 if param.dtype.itemsize == 4 else checks.FLOAT64


def _same_view(a, b):
    """Whether two arrays are one view of the same memory."""
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and a.strides == b.strides
        and a.__array_interface__["data"] == b.__array_interface__["data"]
    )


def _shown(value):
    return f"{value:g}" if type(value) is float else f"{value}"


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
            raise TypeError(
                "RMSprop expects alpha or decay_rate, two names of one number; got both."
            )
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


class SGD(Rule):
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

    rule = "sgd"
    _options: tuple[str, ...] = ("lr", "momentum", "nesterov", "weight_decay")
    _numbers = ("lr", "momentum", "weight_decay")
    _compiled = staticmethod(compiled.sgd_step)
    _only_by_hand = {"maximize": False, "dampening": 0}
    _counts = False
    momentum = Option()
    dampening = Option()
    nesterov = Option()

    def __init__(
        self, params=None, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False,
        *, maximize=False, foreach=None, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize, differentiable=differentiable,
            foreach=foreach, fused=fused,
        )  # fmt: skip

    def _checked_options(self, options):
        who = type(self).__name__
        options = super()._checked_options(options)
        options["dampening"] = checks.number(who, "dampening", options["dampening"])
        options["nesterov"] = checks.flag(who, "nesterov", options["nesterov"])
        if options["nesterov"] and options["momentum"] == 0:
            raise ValueError(f"{who} expects momentum above 0 where nesterov is True; got 0.")
        if options["nesterov"] and options["dampening"] != 0:
            raise ValueError(
                f"{who} expects dampening 0 where nesterov is True; got {options['dampening']:g}."
            )
        return options

    def _names(self, group):
        return ("momentum_buffer",) if group["momentum"] else ()

    def numbers(self):
        return super().numbers() | {"momentum": self.momentum, "nesterov": self.nesterov}

    def _kernel(self, group, param, grad, states, step):
        decay = group["weight_decay"]
        if states and step > 1 and group["dampening"]:
            rest = 1 - group["dampening"]
            grad, decay = grad * grad.dtype.type(rest), decay * rest
        kernels().sgd_update(
            param, grad, states[0] if group["momentum"] else None, group["lr"],
            group["momentum"], group["nesterov"], decay,
        )  # fmt: skip


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

    def __init__(self, lr=0.01, momentum=0.9):
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

    def __init__(self, lr=0.01, momentum=0.9):
        super().__init__(lr=_rate(type(self), lr), momentum=momentum, nesterov=True)


def _rate(kind, lr):
    """The learning rate, in whose place tensors are a mistake."""
    if np.iterable(lr) and not isinstance(lr, str):
        raise TypeError(
            f"{kind.__name__} expects lr as a number, and no parameters, which "
            f"SGD(params, lr=0.01, momentum=0.9) takes; got a {type(lr).__name__}."
        )
    return lr


class AdaGrad(Rule):
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

    rule = "adagrad"
    _options = ("lr", "eps", "weight_decay")
    _numbers = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
    _compiled = staticmethod(compiled.adagrad_step)
    _only_by_hand = {"maximize": False, "lr_decay": 0}
    lr_decay = Option()
    initial_accumulator_value = Option()
    eps = Option()

    def __init__(
        self, params=None, lr=0.01, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0,
        eps=1e-10, foreach=None, *, maximize=False, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, eps=eps, maximize=maximize,
            differentiable=differentiable, foreach=foreach, fused=fused,
        )  # fmt: skip

    def _names(self, group):
        return ("sum",)

    def _beginning(self, group):
        return group["initial_accumulator_value"]

    def numbers(self):
        return super().numbers() | {"eps": self.eps}

    def _kernel(self, group, param, grad, states, step):
        lr = group["lr"] / (1 + (step - 1) * group["lr_decay"])
        kernels().adagrad_update(param, grad, states[0], lr, group["eps"], group["weight_decay"])


Adagrad = AdaGrad


class RMSprop(Rule):
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

    rule = "rmsprop"
    _options = ("lr", "alpha", "eps", "weight_decay", "momentum")
    _numbers = ("lr", "eps", "weight_decay", "momentum")
    _compiled = staticmethod(compiled.rmsprop_step)
    alpha = Option()
    eps = Option()
    momentum = Option()

    @_with_the_books(_alpha)
    def __init__(
        self, params=None, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0,
        centered=False, capturable=False, foreach=None, maximize=False, differentiable=False,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
            centered=centered, maximize=maximize, differentiable=differentiable,
            foreach=foreach, capturable=capturable,
        )  # fmt: skip

    def _checked_options(self, options):
        options = super()._checked_options(options)
        options["alpha"] = checks.number("RMSprop", "alpha", options["alpha"], least=0, most=1)
        return options

    def _names(self, group):
        return ("square_avg", "momentum_buffer") if group["momentum"] else ("square_avg",)

    def numbers(self):
        own = {"beta_2": self.alpha, "eps": self.eps, "momentum": self.momentum}
        return super().numbers() | own

    def _kernel(self, group, param, grad, states, step):
        kernels().rmsprop_update(
            param, grad, states[0], states[1] if group["momentum"] else None, group["lr"],
            group["alpha"], group["eps"], group["momentum"], group["weight_decay"],
        )  # fmt: skip


class Adam(Rule):
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
    amsgrad : False
        Not offered.
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

    rule = "adam"
    _options = ("lr", "betas", "eps", "weight_decay")
    _numbers = ("lr", "eps", "weight_decay")
    _compiled = staticmethod(compiled.adam_step)
    _only_by_hand = {"maximize": False, "decoupled_weight_decay": False}
    betas = Option()
    eps = Option()
    decoupled_weight_decay = Option()

    @_with_the_books(_betas)
    def __init__(
        self, params=None, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False,
        *, foreach=None, maximize=False, capturable=False, differentiable=False, fused=None,
        decoupled_weight_decay=False,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
            maximize=maximize, differentiable=differentiable,
            decoupled_weight_decay=decoupled_weight_decay, foreach=foreach, fused=fused,
            capturable=capturable,
        )  # fmt: skip

    def _checked_options(self, options):
        who = type(self).__name__
        options = super()._checked_options(options)
        name = "decoupled_weight_decay"
        options[name] = checks.flag(who, name, options[name])
        betas = options["betas"]
        pair = betas if isinstance(betas, list | tuple) else ()
        options["betas"] = tuple(checks.number(who, "betas", b, least=0, most=1) for b in pair)
        if len(options["betas"]) != 2 or 1.0 in options["betas"]:
            raise ValueError(
                f"{who} expects betas as two numbers below 1; got {checks.shown(betas)}."
            )
        return options

    def _names(self, group):
        return ("exp_avg", "exp_avg_sq")

    def numbers(self):
        own = {"beta_1": self.betas[0], "beta_2": self.betas[1], "eps": self.eps}
        return super().numbers() | own

    def _kernel(self, group, param, grad, states, step):
        kernels().adam_update(
            param, grad, *states, group["lr"], *group["betas"], group["eps"],
            group["weight_decay"], group["decoupled_weight_decay"], step,
        )  # fmt: skip


class AdamW(Adam):
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

    rule = "adamw"
    _only_by_hand = {"maximize": False, "decoupled_weight_decay": True}

    def __init__(
        self, params=None, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01,
        amsgrad=False, *, maximize=False, foreach=None, capturable=False, differentiable=False,
        fused=None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize,
            differentiable=differentiable, decoupled_weight_decay=True, foreach=foreach,
            fused=fused, capturable=capturable,
        )  # fmt: skip
