"""What the constructors' parameters may be: scikit-learn's words for its own, ours for the rest."""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from sklearn import get_config
from sklearn.metrics import get_scorer

from fastbp import checks, init
from fastbp.layers.activations import LAYERS
from fastbp.optim.rule import OPTIMIZERS
from fastbp.threads import MOST_THREADS
from fastbp.training.epochs import Options

if TYPE_CHECKING:
    from fastbp._typing import Callback

#: The activations' layers: by scikit-learn's names, then by the library's own.
ACTIVATIONS = {
    "identity": LAYERS["linear"],
    "logistic": LAYERS["sigmoid"],
    **{name: LAYERS[name] for name in ("tanh", "relu")},
}
ACTIVATIONS |= {name: LAYERS[name] for name in LAYERS if name not in ("linear", "sigmoid")}
SOLVERS = ("lbfgs", *OPTIMIZERS)
#: The same for type checkers; a test compares.
ActivationName: TypeAlias = Literal[
    "identity", "logistic", "tanh", "relu", "leaky_relu", "softplus", "gelu", "elu", "celu", "selu", "silu", "mish",
    "hardtanh", "relu6", "hardsigmoid", "hardswish", "logsigmoid", "softsign", "tanhshrink",
]  # fmt: skip
SolverName: TypeAlias = Literal[
    "lbfgs", "sgd", "adagrad", "rmsprop", "adam", "adamw", "adadelta", "adamax", "nadam", "radam", "lion",
]  # fmt: skip
#: What is done with missing values.
MISSING = ("refuse", "median", "mean")
REGRESSION_LOSSES = ("squared_error", "poisson", "absolute_error", "huber", "quantile", "gaussian")


class InvalidParameterError(ValueError, TypeError):
    """A parameter of the wrong type or value; caught as either, as scikit-learn's is."""


# --- scikit-learn's parameters: each with tests, one of which has to hold, and their words ----


def _interval(kind, low, high, brackets):
    """Numbers of a kind between two bounds, brackets as "[)"."""

    def holds(value):
        if not isinstance(value, kind):
            return False
        try:
            value = float(value) if kind is Real else value
        except OverflowError:  # an integer beyond all floats
            return False
        above = low <= value if brackets[0] == "[" else low < value  # false for NaN
        return above and (value <= high if brackets[1] == "]" else value < high)

    bounds = (low, high)
    if kind is Real:
        bounds = (float(low), float(high))
    a = "an int" if kind is Integral else "a float"
    return holds, f"{a} in the range {brackets[0]}{bounds[0]}, {bounds[1]}{brackets[1]}"


def _names(*names):
    listed = ", ".join(map(repr, names))
    return (lambda value: isinstance(value, str) and value in names), f"a str among {{{listed}}}"


def _is_array_like(value):
    is_one = hasattr(value, "__len__") or hasattr(value, "shape") or hasattr(value, "__array__")
    return is_one and not np.isscalar(value) and not hasattr(value, "tocsr")


_AT_LEAST_1 = _interval(Integral, 1, np.inf, "[)")
_NOT_NEGATIVE = _interval(Real, 0, np.inf, "[)")
_POSITIVE = _interval(Real, 0, np.inf, "()")
_BELOW_1 = _interval(Real, 0, 1, "[)")
_BOOLEAN = (
    (lambda value: isinstance(value, bool), "an instance of 'bool'"),
    (lambda value: isinstance(value, np.bool_), "an instance of 'numpy.bool'"),
)
_RULES = {
    "hidden_layer_sizes": ((_is_array_like, "an array-like"), _AT_LEAST_1),
    "solver": (_names(*SOLVERS),),
    "alpha": (_NOT_NEGATIVE,),
    "batch_size": (_names("auto"), _AT_LEAST_1),
    "learning_rate": (_names("constant", "invscaling", "adaptive"),),
    "learning_rate_init": (_POSITIVE,),
    "power_t": (_NOT_NEGATIVE,),
    "max_iter": (_AT_LEAST_1,),
    "shuffle": _BOOLEAN,
    "random_state": (
        _interval(Integral, 0, 2**32 - 1, "[]"),
        (lambda value: isinstance(value, np.random.RandomState), "an instance of 'numpy.random.mtrand.RandomState'"),
        (lambda value: value is None, "None"),
    ),
    "tol": (_NOT_NEGATIVE,),
    "verbose": (_interval(Integral, 0, np.inf, "[)"), *_BOOLEAN),
    "warm_start": _BOOLEAN,
    "momentum": (_interval(Real, 0, 1, "[]"),),
    "nesterovs_momentum": _BOOLEAN,
    "early_stopping": _BOOLEAN,
    "validation_fraction": (_BELOW_1,),
    "beta_1": (_BELOW_1,),
    "beta_2": (_BELOW_1,),
    "epsilon": (_POSITIVE,),
    "n_iter_no_change": (
        _AT_LEAST_1,
        (lambda value: isinstance(value, Real) and value == np.inf, "a float among {inf}"),
    ),
    "max_fun": (_AT_LEAST_1,),
}
_ACTIVATION = (_names(*ACTIVATIONS),)
_LOSS = (_names(*REGRESSION_LOSSES), (callable, "a callable"))
_LOG_LOSS = (_names("log_loss"), (callable, "a callable"))
_CLASS_WEIGHT = (
    (lambda value: isinstance(value, dict), "an instance of 'dict'"),
    (lambda value: isinstance(value, list), "an instance of 'list'"),  # of dicts, of labels
    _names("balanced"),
    (lambda value: value is None, "None"),
)

#: All parameters of both estimators.
NAMES = frozenset(
    (
        *_RULES,
        "activation",
        "loss",
        "label_smoothing",
        "class_weight",
        "huber_delta",
        "quantile",
        "dropout",
        "batch_norm",
        "scoring",
        "restore_best",
        "callbacks",
        "progress",
        "schedule",
        "init",
        "coefs_init",
        "n_threads",
        "max_seconds",
        "standardize",
        "missing",
        "add_indicator",
        "output_weights",
    )
)
#: Those that a training reads as it goes, so that a callback may change them; L-BFGS, the latter.
LIVE = frozenset(
    (
        "alpha",
        "beta_1",
        "beta_2",
        "epsilon",
        "learning_rate",
        "learning_rate_init",
        "max_iter",
        "momentum",
        "n_iter_no_change",
        "nesterovs_momentum",
        "power_t",
        "schedule",
        "scoring",
        "shuffle",
        "tol",
        "verbose",
        "warm_start",
    )
)
LIVE_OF_LBFGS = frozenset(("verbose", "warm_start"))


def given(model: Any) -> dict[str, Any]:
    """The parameters' values."""
    return {name: getattr(model, name) for name in NAMES if hasattr(model, name)}


def agreement(model: Any) -> dict[str, Any]:
    """The parameters that have to be the same on all ranks, as JSON has them: functions by their being there."""
    alone = ("verbose", "progress", "n_threads", "max_seconds")
    return {name: _as_json(value) for name, value in given(model).items() if name not in alone}


def _as_json(value):
    if isinstance(value, str | bool | None):
        return value
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, tuple | list):
        return [_as_json(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _as_json(one) for key, one in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else type(value).__name__


def changed(model: Any, before: dict[str, Any], live: frozenset[str]) -> bool:
    """Whether parameters are others than before; a ValueError for those that are not live."""
    names = [
        name
        for name, value in given(model).items()
        if not (value is before[name] or np.array_equal(value, before[name]))
    ]
    for name in names:
        if name not in live:
            raise ValueError(
                f"{type(model).__name__} expects callbacks to leave {name} as it is while a "
                f"training runs; got {getattr(model, name)!r} in the place of {before[name]!r}."
            )
    return bool(names)


def _require(who, name, value, rules):
    for holds, _ in rules:
        if holds(value):
            return
    *first, last = (words for _, words in rules)
    expected = f"{', '.join(first)} or {last}" if first else last
    raise InvalidParameterError(f"The {name!r} parameter of {who} must be {expected}. Got {value!r} instead.")


def check(model: Any, classifies: bool, watched: str | None = None) -> None:
    """Refuse a model's parameters that are none, or that would do nothing together.

    `watched` is the name of the validation data that the caller gave, or None.

    Raises
    ------
    InvalidParameterError
        For scikit-learn's own parameters, in its words.
    ValueError, TypeError
        For the others.
    """
    if get_config()["skip_parameter_validation"]:
        return
    who = type(model).__name__
    for name, rules in _RULES.items():
        _require(who, name, getattr(model, name), rules)
    if isinstance(model.activation, str) or not _is_array_like(model.activation):
        _require(who, "activation", model.activation, _ACTIVATION)
    _require(who, "loss", model.loss, _LOG_LOSS if classifies else _LOSS)
    hidden_layer_sizes(model)
    activations(model)
    _check_own(model, who)
    if classifies:
        checks.number(who, "label_smoothing", model.label_smoothing, least=0, most=1)
        _require(who, "class_weight", model.class_weight, _CLASS_WEIGHT)
    else:
        checks.positive(who, "huber_delta", model.huber_delta)
        quantiles(model)
    _check_together(model, who, watched)


def _check_own(model, who):
    """Refuse values of the parameters that scikit-learn does not have."""
    if model.max_seconds is not None:
        checks.number(who, "max_seconds", model.max_seconds, least=0)
    if model.n_threads is not None:
        checks.integer(who, "n_threads", model.n_threads, 1, MOST_THREADS)
    if isinstance(model.init, str):
        checks.choice(who, "init", model.init, init.NAMES)
    elif model.init is not None:
        checks.number(who, "init", model.init, least=0)
    if model.schedule is not None and not callable(model.schedule):
        raise TypeError(f"{who} expects schedule as a function of the epochs done; got {model.schedule!r}.")
    checks.choice(who, "missing", model.missing, MISSING)
    for name in ("restore_best", "batch_norm", "progress", "standardize", "add_indicator"):
        value, none = getattr(model, name), name == "restore_best"
        if not (isinstance(value, bool | np.bool_) or (none and value is None)):
            allowed = (None, True, False) if none else (True, False)
            raise TypeError(f"{who} expects {name} as one of {', '.join(map(repr, allowed))}; got {value!r}.")
    if model.scoring is not None and not callable(model.scoring):
        if not isinstance(model.scoring, str):
            raise TypeError(
                f"{who} expects scoring as a scorer's name or a function of (estimator, X, y); got {model.scoring!r}."
            )
        get_scorer(model.scoring)  # with its error
    checks.output_weights(who, "output_weights", model.output_weights)
    dropout(model)
    callbacks(model)


def _check_together(model, who, watched):
    """Refuse parameters that would do nothing beside others."""
    own_loss = callable(model.loss)
    if model.solver == "lbfgs":
        given = {
            "dropout": any(dropout(model)),
            "batch_norm": model.batch_norm,
            "schedule": model.schedule is not None,
            "progress": model.progress,
            "scoring": model.scoring is not None,
            watched: watched is not None,
        }
        for name, is_given in given.items():
            if is_given:
                raise ValueError(f"{who} expects {name} with a stochastic solver, as 'adam'; got solver='lbfgs'.")
    for name in () if hidden_layer_sizes(model) else ("batch_norm", "dropout"):
        if np.any(getattr(model, name)):
            raise ValueError(
                f"{who} expects hidden layers beside {name}, which works on their outputs; got "
                f"hidden_layer_sizes={model.hidden_layer_sizes!r}."
            )
    if model.scoring is not None and not (model.early_stopping or watched):
        raise ValueError(
            f"{who} expects scoring beside early_stopping=True or validation_data in fit, whose "
            f"rows it scores; got {model.scoring!r} without them."
        )
    if model.add_indicator and model.missing == "refuse":
        raise ValueError(
            f"{who} expects missing='median' or 'mean' beside add_indicator; got missing={model.missing!r}."
        )
    if model.schedule is not None and model.learning_rate != "constant":
        raise ValueError(f"{who} expects learning_rate='constant' beside a schedule; got {model.learning_rate!r}.")
    if model.init is not None and model.coefs_init is not None:
        raise ValueError(f"{who} expects init=None beside coefs_init; got {model.init!r}.")
    if own_loss and model.output_weights is not None:
        raise ValueError(f"{who} expects a loss by name beside output_weights; got a function.")
    if own_loss and getattr(model, "label_smoothing", False):
        raise ValueError(f"{who} expects loss='log_loss' beside label_smoothing; got a function.")
    if own_loss and model.n_threads is not None and model.n_threads > 1:
        raise ValueError(
            f"{who} expects n_threads of None or 1 beside a function for loss, whose steps take "
            f"one thread; got {model.n_threads}."
        )


def hidden_layer_sizes(model: Any) -> list[int]:
    """The sizes as a list."""
    sizes = model.hidden_layer_sizes
    sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
        raise TypeError(
            f"{type(model).__name__} expects hidden_layer_sizes of integers; got "
            f"{checks.shown(model.hidden_layer_sizes)}."
        )
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return sizes


def quantiles(model: Any) -> tuple[float, ...] | None:
    """A regressor's quantiles as a tuple, or None where its parameter is one number."""
    who, given = type(model).__name__, model.quantile
    several = not isinstance(given, str) and _is_array_like(given) and np.ndim(given) > 0
    found = tuple(checks.number(who, "quantile", one, least=0, most=1) for one in (given if several else [given]))
    if not found or not all(0 < one < 1 for one in found):
        raise ValueError(f"{who} expects quantile between 0 and 1, without these; got {given!r}.")
    if any(one >= other for one, other in pairwise(found)):
        raise ValueError(f"{who} expects several quantiles in the order of their size; got {given!r}.")
    return found if several else None


def output_weights(model: Any, n_targets: int | None) -> list[float] | None:
    """The weight of each target, on average 1, or None; n_targets is None of classes."""
    who = type(model).__name__
    weights = checks.output_weights(who, "output_weights", model.output_weights)
    if weights is None:
        return None
    if n_targets is None:
        raise ValueError(f"{who} expects output_weights with several labels; got classes, which class_weight weighs.")
    if len(weights) != n_targets:
        raise ValueError(f"{who} expects output_weights for each of {n_targets} targets; got {len(weights)}.")
    return [weight * n_targets / sum(weights) for weight in weights]


def per_layer(model: Any, name: str, n_layers: int) -> list[Any]:
    """A parameter with a value for all hidden layers or one for each."""
    value = getattr(model, name)
    if isinstance(value, str) or not _is_array_like(value) or np.ndim(value) == 0:
        return [value] * n_layers
    if len(value) != n_layers:
        raise ValueError(
            f"{type(model).__name__} expects {name} for each of "
            f"{checks.plural(n_layers, 'hidden layer')}; got {len(value)}."
        )
    return list(value)


def activations(model: Any, n_layers: int | None = None) -> list[str]:
    """scikit-learn's name of each hidden layer's activation; those of the next fit by default."""
    n_layers = len(hidden_layer_sizes(model)) if n_layers is None else n_layers
    names = per_layer(model, "activation", n_layers)
    for name in names:
        checks.choice(type(model).__name__, "activation", name, tuple(ACTIVATIONS))
    return names


def dropout(model: Any) -> list[float]:
    """The share of each hidden layer's outputs that is dropped."""
    who = type(model).__name__
    rates = per_layer(model, "dropout", len(hidden_layer_sizes(model)))
    rates = [checks.number(who, "dropout", rate, least=0, most=1) for rate in rates]
    if 1.0 in rates:
        raise ValueError(f"{who} expects dropout below 1; got 1.")
    return rates


def callbacks(model: Any) -> tuple[Callback, ...]:
    """The callbacks as a tuple."""
    given = model.callbacks
    given = () if given is None else (given,) if callable(given) else given
    again = np.iterable(given) and hasattr(given, "__len__")  # an iterator ends at the first look
    if not again or not all(map(callable, given)):
        raise TypeError(
            f"{type(model).__name__} expects callbacks as functions of the estimator, one or a "
            f"list of them; got {model.callbacks!r}."
        )
    return tuple(given)


def options(model: Any, incremental: bool) -> Options:
    """How its training goes by epochs, of parameters that were checked."""
    return Options(
        who=type(model).__name__,
        epochs=1 if incremental else model.max_iter,
        shuffle=bool(model.shuffle),
        schedule=model.schedule,
        callbacks=callbacks(model),
        progress=bool(model.progress),
        max_seconds=model.max_seconds,
    )


def ends(model: Any, callback: Callback) -> bool | None:
    """Whether a callback, which is called, ends the training."""
    returned = callback(model)
    if returned is model:  # as set_params returns it
        return False
    return checks.flag(type(model).__name__, "what a callback returns", returned, or_none=True)
