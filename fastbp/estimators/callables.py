"""The user's own functions called, and what they return checked: losses, schedules, scorers."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import get_scorer

from fastbp.estimators.batches import dtype_of

if TYPE_CHECKING:
    from fastbp._kernels.engine import Plan
    from fastbp._typing import Array
    from fastbp.estimators.batches import Data


def loss(model: Any, t: Array, z: Array) -> tuple[Array, Array]:
    """Each row's loss and its gradient by the outputs z, from the user's `loss`."""
    who = type(model).__name__
    try:
        losses, gradient = model.loss(t, z)
        losses, gradient = np.asarray(losses, np.float64), np.asarray(gradient)
    except Exception as error:
        raise ValueError(
            f"{who} expects loss(y, outputs) to return each row's loss and its gradient by the "
            f"outputs; it raised {_told(error)}."
        ) from error
    if losses.shape != (len(z),) or gradient.shape != z.shape or gradient.dtype.kind not in "biuf":
        raise ValueError(
            f"{who} expects loss(y, outputs) to return each row's loss, {(len(z),)}, and its "
            f"gradient by the outputs, {z.shape}; got {losses.shape} and {gradient.shape}"
            f"{'' if gradient.dtype.kind in 'biuf' else f' of dtype {gradient.dtype}'}."
        )
    return losses, gradient


def step(model: Any, plan: Plan, data: Data, rows: Array | slice, update: bool) -> float:
    """The mean loss of some rows by the user's `loss`; its gradients go into the plan."""
    t = data.t[rows]
    z = np.empty((len(t), plan.n_out), t.dtype)
    plan.outputs(data.rows(rows), z)
    losses, gradient = loss(model, t.copy(), z)  # t may be a view of the caller's y
    weights = weights_of(data, rows)
    over = weights.sum(dtype=np.float64)
    if over == 0:
        return 0.0
    gradient = gradient * (weights / over)[:, np.newaxis]
    penalty = 0.0
    if update and plan.l2:
        penalty = 0.5 * plan.l2 * plan.weight_square() / over
    plan.backward(np.ascontiguousarray(gradient, z.dtype), over, update)
    return float(losses @ weights) / over + penalty


def weights_of(data: Data, rows: Array | slice) -> Array:
    """The weights of some rows, (n,)."""
    return np.ones(len(data.t[rows])) if data.weights is None else data.weights[rows]


def step_together(model: Any, plan: Plan, data: Data, rows: Array, over: bool) -> float | None:
    """The same of a batch of which several ranks have rows, for an update by all; `over`: the time."""
    t = data.t[rows]
    weights = weights_of(data, rows)
    weight = float(weights.sum(dtype=np.float64))
    if len(t) == 0:
        return plan.backward(None, 0.0, over=over)
    z = np.empty((len(t), plan.n_out), t.dtype)
    plan.outputs(data.rows(rows), z)
    losses, gradient = loss(model, t.copy(), z)
    gradient = np.ascontiguousarray(gradient * weights[:, np.newaxis], z.dtype)
    return plan.backward(gradient, weight, loss=float(losses @ weights), over=over)


def require_weighted(model: Any) -> None:
    """Refuse a `scoring` that cannot take the weights of the rows that it scores."""
    try:
        if callable(model.scoring):
            inspect.signature(model.scoring).bind(model, None, None, sample_weight=None)
    except ValueError:  # a compiled function tells nothing
        return
    except TypeError:
        raise TypeError(
            f"{type(model).__name__} expects scoring to take sample_weight beside sample_weight, "
            f"class_weight or sample_weight_val; got {model.scoring!r}, which does not."
        ) from None


def score(model: Any, estimator: Any, data: Data) -> float:
    """The score of the user's `scoring` for an estimator."""
    who = type(model).__name__
    scorer = model.scoring if callable(model.scoring) else get_scorer(model.scoring)
    weights = {} if data.weights is None else {"sample_weight": data.weights}
    try:
        x = data.x.astype(dtype_of(data.x), copy=False)
        value = np.asarray(scorer(estimator, x, data.labels, **weights))
    except Exception as error:
        raise ValueError(
            f"{who} expects scoring to score the validation data; {model.scoring!r} raised {_told(error)}."
        ) from error
    if value.shape != () or value.dtype.kind not in "biuf":
        raise TypeError(f"{who} expects scoring to return a number; got {value.tolist()!r} from {model.scoring!r}.")
    if np.isnan(value) and np.isfinite(model.loss_):  # no epoch would be the best
        raise ValueError(
            f"{who} expects scoring to return a number; got NaN from {model.scoring!r}, as for "
            "validation rows of one class."
        )
    return float(value)


def _told(error):
    return f"{type(error).__name__}: {error}".rstrip(" .:")
