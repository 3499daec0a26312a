"""The update rules: of each the formula in NumPy, and PyTorch's names of what it keeps.

Names and numbers are those of the rows in ``_kernels/operations.h``; the tests hold these formulas
and the kernels to each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastbp._kernels.optim import rules

_COMPILED = rules()


@dataclass(frozen=True)
class UpdateRule:
    """A row.

    Parameters
    ----------
    name : str
        The kernel's and the engine's.
    update : callable
        ``update(p, d, n, *states)`` changes a parameter p and the states in place, by the gradient
        d and by n, which has lr, step and the numbers.
    states : tuple of str
        PyTorch's names of the arrays that are kept of a parameter.

    Attributes
    ----------
    numbers : tuple of str
        What its numbers are called.
    decouples : bool
        Whether its decay may be beside the gradient.
    """

    name: str
    update: Callable[..., Any]
    states: tuple[str, ...] = ()
    numbers: tuple[str, ...] = field(init=False)
    decouples: bool = field(init=False)

    def __post_init__(self) -> None:
        _, _, numbers, decouples = _COMPILED[self.name]
        vars(self).update(numbers=numbers, decouples=decouples)


def _step(p, change):
    p -= change


def _sgd(p, d, n):
    _step(p, n.lr * d)


def _velocity(d, n, v):
    v[...] = n.momentum * v + (1 - n.dampening if n.step > 1 else 1) * d


def _momentum(p, d, n, v):
    _velocity(d, n, v)
    p -= n.lr * v


def _nesterov(p, d, n, v):
    _velocity(d, n, v)
    p -= n.lr * (d + n.momentum * v)


def _adagrad(p, d, n, s):
    s += d * d
    p -= n.lr / (1 + (n.step - 1) * n.lr_decay) * d / (np.sqrt(s) + n.eps)


def _average(s, share, new):
    s[...] = share * s + (1 - share) * new


def _rmsprop(p, d, n, s):
    _average(s, n.beta_2, d * d)
    p -= n.lr * d / (np.sqrt(s) + n.eps)


def _rmsprop_momentum(p, d, n, s, v):
    _average(s, n.beta_2, d * d)
    v[...] = n.momentum * v + d / (np.sqrt(s) + n.eps)
    p -= n.lr * v


def _adadelta(p, d, n, s, moved):
    _average(s, n.beta_2, d * d)
    move = np.sqrt(moved + n.eps) / np.sqrt(s + n.eps) * d
    _average(moved, n.beta_2, move * move)
    p -= n.lr * move


def _moments(d, n, m, v):
    """Adam's; gives what their averages of `step` terms sum to."""
    _average(m, n.beta_1, d)
    _average(v, n.beta_2, d * d)
    return 1 - n.beta_1**n.step, 1 - n.beta_2**n.step


def _adam(p, d, n, m, v):
    sum_1, sum_2 = _moments(d, n, m, v)
    p -= n.lr / sum_1 * m / (np.sqrt(v) * (1 / math.sqrt(sum_2)) + n.eps)


def _amsgrad(p, d, n, m, v, most):
    sum_1, sum_2 = _moments(d, n, m, v)
    most[...] = np.maximum(most, v)
    p -= n.lr / sum_1 * m / (np.sqrt(most) * (1 / math.sqrt(sum_2)) + n.eps)


def _adamax(p, d, n, m, most):
    _average(m, n.beta_1, d)
    most[...] = np.maximum(n.beta_2 * most, np.abs(d) + n.eps)
    p -= n.lr / (1 - n.beta_1**n.step) * m / most


def _nadams_momentum(beta_1, momentum_decay, i):
    """beta_1 (1 - 0.96^(i momentum_decay) / 2), of steps i = 1, 2, ..."""
    return beta_1 * (1 - 0.5 * 0.96 ** (i * momentum_decay))


def nadams_product(beta_1: Any, momentum_decay: Any, step: Any) -> float:
    """The product of its momenta up to a step."""
    steps = np.arange(1.0, min(step, 100_000) + 1)  # by then it is next to 0
    return float(np.prod(_nadams_momentum(beta_1, momentum_decay, steps)))


def _nadam(p, d, n, m, v):
    _, sum_2 = _moments(d, n, m, v)
    product = nadams_product(n.beta_1, n.momentum_decay, n.step)
    now, then = (_nadams_momentum(n.beta_1, n.momentum_decay, n.step + i) for i in (0, 1))
    move = n.lr * then / (1 - product * then) * m + n.lr * (1 - now) / (1 - product) * d
    p -= move / (np.sqrt(v) * (1 / math.sqrt(sum_2)) + n.eps)


def _radam(p, d, n, m, v):
    sum_1, sum_2 = _moments(d, n, m, v)
    end = 2 / (1 - n.beta_2) - 1
    length = end - 2 * n.step * (1 - sum_2) / sum_2
    if length > 5:
        r = (length - 4) * (length - 2) * end / ((end - 4) * (end - 2) * length)
        p -= n.lr / sum_1 * math.sqrt(r * sum_2) * m / (np.sqrt(v) + n.eps)
    else:
        p -= n.lr / sum_1 * m


def _lion(p, d, n, m):
    p -= n.lr * np.sign(n.beta_1 * m + (1 - n.beta_1) * d)
    _average(m, n.beta_2, d)


_MOMENTS = ("exp_avg", "exp_avg_sq")
ROWS = [
    UpdateRule("sgd", _sgd),
    UpdateRule("momentum", _momentum, ("momentum_buffer",)),
    UpdateRule("nesterov", _nesterov, ("momentum_buffer",)),
    UpdateRule("adagrad", _adagrad, ("sum",)),
    UpdateRule("rmsprop", _rmsprop, ("square_avg",)),
    UpdateRule("rmsprop_momentum", _rmsprop_momentum, ("square_avg", "momentum_buffer")),
    UpdateRule("adadelta", _adadelta, ("square_avg", "acc_delta")),
    UpdateRule("adam", _adam, _MOMENTS),
    UpdateRule("amsgrad", _amsgrad, (*_MOMENTS, "max_exp_avg_sq")),
    UpdateRule("adamax", _adamax, ("exp_avg", "exp_inf")),
    UpdateRule("nadam", _nadam, _MOMENTS),
    UpdateRule("radam", _radam, _MOMENTS),
    UpdateRule("lion", _lion, ("exp_avg",)),
]
RULES = {row.name: row for row in ROWS}


def update(
    name: Any, param: Any, grad: Any, states: Any, lr: Any, weight_decay: Any, decoupled: Any, step: Any, numbers: Any
) -> None:
    """A step in place; decoupled: the decay is beside the gradient and not in it."""
    row = RULES[name]
    if set(numbers) != set(row.numbers) or len(states) != len(row.states):
        raise ValueError(
            f"{name} expects as numbers {', '.join(row.numbers) or 'none'}, and {len(row.states)} "
            f"states; got {', '.join(numbers) or 'none'} and {len(states)}."
        )
    if decoupled and not row.decouples:
        raise ValueError(f"{name} expects a decay in the gradient; got decoupled=True.")
    d = grad if decoupled else grad + weight_decay * param
    if decoupled:
        param *= 1 - lr * weight_decay
    row.update(param, d, SimpleNamespace(lr=lr, step=step, **numbers), *states)
