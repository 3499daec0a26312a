"""`Rule`: what the library's optimisers share, over the rows of `operations.rules`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from fastbp import _kernels, checks
from fastbp._kernels.steps import Stepper
from fastbp.backend import kernels
from fastbp.operations.rules import RULES, UpdateRule
from fastbp.optim.optimizer import Optimizer, _detached

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fastbp._typing import Array
    from fastbp.autograd import Tensor

__all__ = ["Rule"]

T = TypeVar("T")

#: The library's, by the names of the estimators and the command line.
OPTIMIZERS: dict[str, Callable[..., Rule]] = {}


def rule_of(who: str, optimizer: Optimizer | str | None) -> Optimizer:
    """An optimiser as it was handed in: one, or the name of one with its own defaults; None is Adam."""
    if optimizer is None:
        optimizer = "adam"
    if isinstance(optimizer, str):
        optimizer = OPTIMIZERS[checks.choice(who, "optimizer", optimizer, tuple(OPTIMIZERS))]()
    return optimizer


#: How PyTorch computes the same numbers.
_HOW = ("foreach", "fused", "capturable")
#: Options of other rules, and other libraries' names.
_OTHERS = {
    "alpha",
    "amsgrad",
    "betas",
    "centered",
    "dampening",
    "decoupled_weight_decay",
    "eps",
    "initial_accumulator_value",
    "lr_decay",
    "momentum",
    "nesterov",
    "beta",
    "decay",
    "epsilon",
    "l2",
    "learning_rate",
    "learningrate",
    "rate",
    "wd",
}


def _misses(key, own):
    """Whether the key of a group is meant for an option that the rule does not have."""
    import difflib

    return key in _OTHERS or bool(difflib.get_close_matches(str(key), own, 1, 0.85))


class Option(Generic[T]):
    """An option as an attribute: read where all groups agree, written into each."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Rule, owner: type | None = None) -> T:
        if optimizer is None:
            return self
        if not optimizer._groups:
            raise ValueError(
                f"{type(optimizer).__name__}.{self.name} expects at least one parameter group; got param_groups empty."
            )
        first, *others = (group[self.name] for group in optimizer._groups)
        for other in others:
            if other != first:
                raise ValueError(
                    f"{type(optimizer).__name__}.{self.name} expects groups that agree on it, as "
                    f"fit needs; got {first} and {other}, so read param_groups or train by step()."
                )
        return first

    def __set__(self, optimizer: Rule, value: T) -> None:
        checked = [optimizer._checked_options(group | {self.name: value}) for group in optimizer._groups]
        for group, options in zip(optimizer._groups, checked, strict=True):
            group[self.name] = options[self.name]


class Rule(Optimizer, counts_steps=True):
    """What the library's own optimisers share.

    A subclass is given its rows of `operations.rules`, each with the option that chooses it where
    it is set; and says by its `__init__` which options there are, in PyTorch's order.  Those that a
    row's numbers come from have their names, but `betas`, and `alpha` or `rho` for beta_2.
    """

    #: (an option, or None; the row that it chooses), of which the first that is set counts.
    _rows: tuple[tuple[str | None, UpdateRule], ...]
    #: Of the rows' numbers the option and the place in it, or -1.
    _keys: dict[str, tuple[str, int]]
    #: The options that are shown.
    _options: tuple[str, ...] = ()
    #: A step of one parameter group.
    _compiled: Stepper
    #: Whether the decay is beside the gradient, or the option that says so.
    _decoupled: bool | str = False
    #: Options that the engine has not, and the value without effect.
    _only_by_hand: dict = {"maximize": False}

    lr: Option[float] = Option()
    weight_decay: Option[float] = Option()
    maximize: Option[bool] = Option()

    def __init_subclass__(cls, rows: dict[str | None, str] | None = None, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if rows is None:
            return
        OPTIMIZERS[cls.__name__.lower()] = cls
        parameters = inspect.signature(cls.__init__).parameters.values()
        options = [p.name for p in parameters if p.name not in ("self", "params", *_HOW)]
        for name in options:
            if not hasattr(cls, name):
                setattr(cls, name, option := Option[Any]())
                option.__set_name__(cls, name)
        if "_options" not in vars(cls):
            cls._options = tuple(name for name in options if name not in _FLAGS)
        cls._rows = tuple((option, RULES[row]) for option, row in rows.items())
        betas = {"beta_1": ("betas", 0), "beta_2": ("betas", 1)} if "betas" in options else {}
        own = [("beta_2", (name, -1)) for name in options if name in ("alpha", "rho")]
        cls._keys = {name: (name, -1) for name in options} | betas | dict(own)
        names = [(option, row.name, row.states, cls._keys) for option, row in cls._rows]
        cls._compiled = Stepper(names, cls._counts, cls._decoupled)

    def __init__(self, arguments: dict[str, Any]) -> None:
        """Of the arguments of a subclass's `__init__`, as ``locals()`` there has them."""
        params = arguments["params"]
        options = {name: value for name, value in arguments.items() if name not in ("self", "params", "__class__")}
        self.states: dict[str, list[Array]] = {}  # of `update`, by the parameters' names: a list of arrays
        self._drop_how(options)
        super().__init__(params, options)

    def _drop_how(self, options):
        for name in _HOW:
            checks.flag(type(self).__name__, name, options.pop(name, None), or_none=True)

    def _checked_options(self, options):
        who = type(self).__name__
        self._drop_how(options)
        for name in ("centered", "differentiable"):
            if checks.flag(who, name, options.get(name, False)):
                raise NotImplementedError(
                    f"{who} expects {name}=False; got {options[name]!r}: leave it away, or write a "
                    "subclass of Optimizer."
                )
        for name in [each for each in self._keys if each in options]:
            check = _CHECKS.get(name, _factor)
            options[name] = check(who, name, options[name])
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

    def __repr__(self) -> str:
        if self._bound:
            return super().__repr__()
        options = ", ".join(f"{name}={_shown(getattr(self, name))}" for name in self._options)
        return f"{type(self).__name__}({options})"

    def _row(self, group):
        """The row that the options choose."""
        return next(row for option, row in self._rows if option is None or group[option])

    def _names(self, group):
        """PyTorch's names of the arrays that are kept of a parameter."""
        return self._row(group).states

    def _beginning(self, group):
        """What the elements of a state are before the first step."""
        return group.get("initial_accumulator_value", 0)

    def _numbers(self, group):
        """What `update` of the kernels takes beside arrays."""
        numbers = {}
        for number in self._row(group).numbers:
            key, place = self._keys[number]
            numbers[number] = group[key] if place < 0 else group[key][place]
        decoupled = self._decoupled
        if isinstance(decoupled, str):
            decoupled = group[decoupled]
        decay = {"weight_decay": group["weight_decay"], "decoupled": decoupled}
        return {"lr": group["lr"], **decay, **numbers}

    @property
    def chosen(self) -> dict[str, Any]:
        """The options that choose a row, where all groups agree."""
        return {option: getattr(self, option) for option, _ in self._rows if option is not None}

    @property
    def state_names(self) -> tuple[str, ...]:
        """PyTorch's names of the arrays of a parameter's shape that the rule keeps."""
        return self._names(self.chosen)

    @property
    def n_states(self) -> int:
        """How many these are."""
        return len(self.state_names)

    def numbers(self) -> dict[str, Any]:
        """The rule and its numbers, as the training engine takes them.

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
        row = self._row(self.chosen)
        options = {"lr", "weight_decay", *self.chosen, *(self._keys[n][0] for n in row.numbers)}
        if isinstance(self._decoupled, str):
            options.add(self._decoupled)
        agreed = {name: getattr(self, name) for name in sorted(options)}
        return {"rule": row.name, **self._numbers(agreed)}

    # --- tensors -----------------------------------------------------------------------------

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
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
        # Of all rows, as a momentum of 0 may come back.
        names = [*dict.fromkeys(each for _, row in self._rows for each in row.states)]
        if name not in names:
            expected = " and ".join(names)
            raise ValueError(f"{who} expects {expected} of a parameter; got {name!r}.")
        array = checks.floats(who, name, _detached(value))
        checks.same_shape(who, name, array, param.array.shape, "its parameter")
        new = self._begin(group, name, param.array)
        new.array[...] = array
        return new

    # --- what training asks for -------------------------------------------------------------

    def state_of(self, name: str, array: Array) -> list[Array]:
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
        states, group = self.states.setdefault(name, []), self._groups[0]
        for _ in self._names(group)[len(states) :]:
            states.append(np.full(array.shape, self._beginning(group), _native(array)))
        return states

    def steps_of(self, arrays: Mapping[str, Array]) -> int:
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

    def set_steps(self, arrays: Mapping[str, Array], steps: int) -> None:
        """Count the steps that training did with parameters."""
        vars(self)["steps"] = steps
        if self._bound and self._counts:
            for name, array in arrays.items():
                self.state_of(name, array)  # which begins what was taken out
                self._state[self._holder_of(name, array)[1]]["step"].array[...] = steps

    def holder(self, array: Array) -> tuple[dict[str, Any], Tensor] | tuple[None, None]:
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

    def update(
        self, params: Mapping[Any, Any] | list[Any], grads: Mapping[Any, ArrayLike] | Sequence[ArrayLike]
    ) -> None:
        """One step, in place.

        Parameters
        ----------
        params : mapping of str to numpy.ndarray, or list of numpy.ndarray
            Written to, each array in place.  A plain number is replaced, as ``-=`` does.
        grads : mapping of str to array_like, or list of array_like
            A gradient of the parameter's shape for each key, or place, of `params`.

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
        if isinstance(params, list):
            return self._update_list(who, params, grads)
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
            begun = len(self.states.get(name, ())) >= max(1, self.n_states)
            states = self.state_of(name, param)
            step = self.steps if self._counts or begun else 1
            self._apply(self._groups[0], param, checked[name], states, step)

    def _update_list(self, who, params, grads):
        """A step of parameters in a list, whose states go by their places."""
        checks.instance(who, "grads", grads, list | tuple, "a list of arrays, as params is one")
        if len(grads) != len(params):
            raise ValueError(f"{who} expects a gradient for each of {len(params)} parameters; got {len(grads)}.")
        by_place = dict(enumerate(params))
        self.update(by_place, dict(enumerate(grads)))
        params[:] = by_place.values()  # of which numbers were replaced

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
        row = self._row(group)  # another may have kept more
        kept = [np.ascontiguousarray(state) for state in states[: len(row.states)]]
        kernels().update(
            row.name,
            flat.reshape(-1),
            grad.reshape(-1),
            *(state.reshape(-1) for state in kept),
            step=step,
            **self._numbers(group),
        )
        if flat is not param:  # strided, unaligned or byte-swapped: the step ran on a copy
            param[...] = flat
        for state, copy in zip(states, kept, strict=False):
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


# --- options ----------------------------------------------------------------------------------


def _factor(who, name, value):
    return checks.number(who, name, value, least=0)


def _share(who, name, value):
    return checks.number(who, name, value, least=0, most=1)


def _betas(who, name, value):
    pair = value if isinstance(value, list | tuple) else ()
    betas = tuple(checks.number(who, name, b, least=0, most=1) for b in pair)
    if len(betas) != 2 or 1.0 in betas:
        raise ValueError(f"{who} expects {name} as two numbers below 1; got {checks.shown(value)}.")
    return betas


_FLAGS = ("maximize", "nesterov", "amsgrad", "decoupled_weight_decay", "centered", "differentiable")
#: How options are checked that are not numbers of at least 0.
_CHECKS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(_FLAGS, checks.flag),
    "dampening": checks.number,
    "alpha": _share,
    "rho": _share,
    "betas": _betas,
}
