"""Update rules: ``next_w, config = rule(w, dw, config)``.

`config` holds the rule's numbers and what it keeps of a parameter: what it lacks is put in, and what
is kept is replaced by a new array at each step.  w and dw are left as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.backend import kernels

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike

__all__ = ["adam", "rmsprop", "sgd", "sgd_momentum"]


#: The compiled rules' names of the course's numbers.
_NAMES = {
    "learning_rate": "lr",
    "momentum": "momentum",
    "decay_rate": "beta_2",
    "beta1": "beta_1",
    "beta2": "beta_2",
    "epsilon": "eps",
}


#: How large they may be, where that is not 1.
_MOST = {"learning_rate": np.inf, "epsilon": np.inf}


def _next(who, rule, w, dw, config, kept=(), step=None, **defaults):
    """A step of a compiled rule on copies, and the config, which changes when nothing can fail any more.

    `kept` names the rule's arrays, and `defaults` are its numbers.
    """
    config = checks.mapping(who, "config", {} if config is None else config)
    given = {
        name: checks.number(who, f"config[{name!r}]", config.get(name, of), 0, _MOST.get(name, 1))
        for name, of in defaults.items()
    }
    w = checks.floats(who, "w", w).copy()
    dw = checks.same_shape(who, "dw", checks.floats(who, "dw", dw, w.dtype), w.shape, "w")
    arrays = {}
    for name in kept:
        array = np.zeros_like(w) if config.get(name) is None else config[name]
        array = checks.floats(who, f"config[{name!r}]", array, w.dtype)
        arrays[name] = checks.same_shape(who, f"config[{name!r}]", array, w.shape, "w").copy()
    numbers = {_NAMES[name]: value for name, value in given.items()}
    if rule == "momentum":  # compiled: v = momentum v + d and w -= lr v; here the rate is in d
        dw, numbers = -numbers["lr"] * dw, numbers | {"lr": -1.0, "dampening": 0.0}
    if step is not None:
        numbers["step"] = step
    if w.size:
        kernels().update(rule, *(each.reshape(-1) for each in (w, dw, *arrays.values())), **numbers)
    for name, of in defaults.items():
        config.setdefault(name, of)
    config.update(arrays)
    return w, config


def sgd(w: ArrayLike, dw: ArrayLike, config: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
    """``w - learning_rate dw``.

    Parameters
    ----------
    w, dw : array_like
        Of one shape; w's dtype decides.
    config : dict or None
        "learning_rate" (1e-2).

    Returns
    -------
    next_w : numpy.ndarray
    config : dict

    Raises
    ------
    ValueError, TypeError
        For unlike shapes, and what is no number.

    Examples
    --------
    >>> sgd(np.array([1.0]), np.array([10.0]), {"learning_rate": 0.05})[0]
    array([0.5])
    """
    return _next("sgd", "sgd", w, dw, config, learning_rate=1e-2)


def sgd_momentum(w: ArrayLike, dw: ArrayLike, config: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
    """``v = momentum v - learning_rate dw`` and ``w + v``.

    Parameters
    ----------
    w, dw : array_like
        Of one shape; w's dtype decides.
    config : dict or None
        "learning_rate" (1e-2), "momentum" (0.9); keeps "velocity".

    Returns
    -------
    next_w : numpy.ndarray
    config : dict

    Raises
    ------
    ValueError, TypeError
        For unlike shapes, and what is no number.

    Examples
    --------
    >>> w, config = sgd_momentum(np.array([1.0]), np.array([10.0]), {"learning_rate": 0.05})
    >>> config["velocity"]
    array([-0.5])
    """
    return _next("sgd_momentum", "momentum", w, dw, config, ("velocity",), learning_rate=1e-2, momentum=0.9)


def rmsprop(w: ArrayLike, dw: ArrayLike, config: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
    """``c = decay_rate c + (1 - decay_rate) dw^2`` and ``w - learning_rate dw / (sqrt(c) + epsilon)``.

    Parameters
    ----------
    w, dw : array_like
        Of one shape; w's dtype decides.
    config : dict or None
        "learning_rate" (1e-2), "decay_rate" (0.99), "epsilon" (1e-8); keeps "cache".

    Returns
    -------
    next_w : numpy.ndarray
    config : dict

    Raises
    ------
    ValueError, TypeError
        For unlike shapes, and what is no number.

    Examples
    --------
    >>> rmsprop(np.array([1.0]), np.array([10.0]))[0].round(4)
    array([0.9])
    """
    return _next("rmsprop", "rmsprop", w, dw, config, ("cache",), learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8)


def adam(w: ArrayLike, dw: ArrayLike, config: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
    """Adam, with the corrections of the first steps.

    Parameters
    ----------
    w, dw : array_like
        Of one shape; w's dtype decides.
    config : dict or None
        "learning_rate" (1e-3), "beta1" (0.9), "beta2" (0.999), "epsilon" (1e-8); keeps "m", "v" and
        "t", the steps that were made.

    Returns
    -------
    next_w : numpy.ndarray
    config : dict

    Raises
    ------
    ValueError, TypeError
        For unlike shapes, and what is no number.

    References
    ----------
    Kingma & Ba, Adam: a method for stochastic optimization (2015).

    Examples
    --------
    >>> w, config = adam(np.array([1.0]), np.array([10.0]))
    >>> w.round(4), config["t"]
    (array([0.999]), 1)
    """
    config = checks.mapping("adam", "config", {} if config is None else config)
    t = checks.integer("adam", "config['t']", config.get("t", 0), 0) + 1
    rates = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    w, config = _next("adam", "adam", w, dw, config, ("m", "v"), t, **rates)
    config["t"] = t
    return w, config
