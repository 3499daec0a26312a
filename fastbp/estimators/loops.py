"""The training of an estimator by epochs of batches."""

import math
import time
import warnings
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp.estimators import callables, parameters
from fastbp.progress import progress_bar

#: Seconds that a training takes at least: its first step is made whatever `max_seconds` is.
SHORTEST = 1e-6


def tools(model, solver, data, batches, incremental):
    """The plan, the rows as it takes them, and the bar or None; any of them may fail."""
    plan, x = solver.plan(batches.most), data.rows()
    if not model.progress:
        return plan, x, None
    return plan, x, progress_bar(type(model).__name__, 1 if incremental else model.max_iter)


def fit_stochastic(model, solver, data, batches, validation, random_state, incremental, tools):
    """Epochs until the loss or the score no longer improves; one, where `incremental`.

    `random_state` gives the RandomState when called.
    """
    n = batches.n
    plan, x, bar = tools
    solver.load(plan, model.coefs_, model.intercepts_, model.norms_)
    restores = model.early_stopping if model.restore_best is None else model.restore_best
    restores = restores and not incremental
    best: Any = model._copies() if restores else None
    begun, first = best, model.t_ == 0
    callbacks = parameters.callbacks(model)
    given = callbacks and parameters.given(model)
    shapes = [np.shape(W) for W in model.coefs_]
    looks = validation is not None or restores or callbacks
    by_loss, improved = restores and validation is None, False
    order = np.arange(n, dtype=np.int64)
    deadline = math.inf if model.max_seconds is None else time.monotonic() + model.max_seconds
    finite, stop = True, None
    model.n_iter_ = 0
    try:
        while stop is None and model.n_iter_ < model.max_iter:
            if model.shuffle and n > 1:
                order = _shuffled(order, random_state, solver if incremental else None)
            if by_loss:  # an epoch's loss is that of the weights it began with
                begun = model._copies()
            if finite:
                loss, done = _epoch(model, solver, plan, data, x, order, batches, deadline)
                finite = math.isfinite(loss)
            if not finite and model.restore_best:
                stop = "diverged"
                break
            if not finite:
                _spoil(model, solver, plan)
            model.n_iter_ += 1
            solver.epochs += 1
            model.loss_ = loss
            model.t_ += done
            model.loss_curve_.append(loss)
            if model.verbose:
                print(f"Iteration {model.n_iter_}, loss = {loss:.8f}")
            if looks:
                solver.fetch(model.coefs_, model.intercepts_, model.norms_)
            improved = _improved(model, validation)
            if improved and restores:
                best = begun if by_loss else model._copies()
            if solver.schedule == "invscaling" and model.schedule is None:
                solver.learning_rate = solver.first_rate / (model.t_ + 1) ** solver.power_t
            if model._no_improvement_count > model.n_iter_no_change:
                if _gives_up(model, solver):
                    stop = "no improvement"
                model._no_improvement_count = model._no_improvement_count if stop else 0
            if bar is not None:
                bar.set_postfix_str(f"loss {loss:.4f}")
                bar.update()
            for callback in callbacks:
                if parameters.ends(model, callback):
                    stop = "callback"
            if callbacks:  # which may write into coefs_, and change parameters
                model._as_lists()
                model._require_shapes(shapes)
                if parameters.changed(model, given, parameters.LIVE):
                    parameters.check(model, model._classifies, validation and "validation_data")
                    solver.see(model._asked())
                    given, plan = parameters.given(model), solver.plan(batches.most)
                solver.load(plan, model.coefs_, model.intercepts_, model.norms_)
            if done < n or time.monotonic() >= deadline:
                stop = stop or "max_seconds"
            if incremental:
                stop = "incremental"
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
        stop = "interrupt"
    finally:
        if bar is not None:
            bar.close()
    try:
        solver.fetch(model.coefs_, model.intercepts_, model.norms_)
    except KeyboardInterrupt:  # the solver has made its steps: the next one goes on from there
        solver.fetch(model.coefs_, model.intercepts_, model.norms_)
        raise
    if by_loss and improved and stop != "diverged":
        restores = False  # the last epoch was the best: its weights are better still
    if best is begun and not first and model.restore_best is None:
        restores = False  # a warm start would stand still, as scikit-learn's does not
    if restores:
        model.coefs_, model.intercepts_, model.norms_ = best
    _warn_of(model, stop)
    if restores and not finite and stop != "diverged":
        _warn_of_divergence(model)
    if restores or not solver.finite(model.intercepts_, model.norms_):
        model._require_finite()


def _shuffled(order, random_state, solver):
    """The order of the next epoch, as scikit-learn's; a seed gives each partial_fit the same."""
    seed = random_state.given
    if solver is not None and random_state.made is None and isinstance(seed, Integral):
        if solver.drawn is None or solver.drawn[0] != (seed, len(order)):
            solver.drawn = ((seed, len(order)), _shuffled(order, random_state, None))
        return solver.drawn[1]
    shuffled = np.arange(len(order), dtype=np.int64)
    random_state().shuffle(shuffled)
    return order[shuffled]


def _epoch(model, solver, plan, data, x, order, batches, deadline):
    """The epoch's loss in scikit-learn's scale, and how many rows it saw before the deadline."""
    losses = np.full(len(batches), np.nan)
    lrs = None
    if model.schedule is not None:
        epochs = (solver.epochs + k / len(batches) for k in range(len(batches)))
        lrs = model.learning_rate_init * np.array([callables.factor(model, at) for at in epochs])
    if callable(model.loss):
        position = _own_epoch(model, plan, data, order, losses, lrs, batches, deadline)
    else:
        position = 0
        for begin, end, size in batches.stretches:
            seconds = deadline - time.monotonic() if deadline < math.inf else deadline
            if begin and (position < begin or seconds <= 0):
                break
            k = begin // batches.stretches[0][2]
            position, *_ = plan.epoch(
                x, data.t, data.weights, order[begin:end], losses[k:],
                lrs=None if lrs is None else lrs[k:], seconds=max(seconds, SHORTEST),
                batch_size=size,
            )  # fmt: skip
            position += begin
            if plan.stopped_by_loss:
                return math.nan, batches.n
    if lrs is not None:
        solver.numbers["lr"] = plan.lr
    return batches.mean(losses, position), position


def _own_epoch(model, plan, data, order, losses, lrs, batches, deadline):
    """An epoch with the user's own loss, a batch at a time; the position it reached."""
    for k, (begin, end) in enumerate(pairwise(batches.edges)):
        if begin and time.monotonic() >= deadline:
            return begin
        if lrs is not None:
            plan.lr = lrs[k]
        losses[k] = callables.step(model, plan, data, order[begin:end], True)
    return batches.n


def _spoil(model, solver, plan):
    """Parameters of NaN: what a step from a loss that is not finite leads to."""
    for arrays in (model.coefs_, model.intercepts_, model.norms_):
        arrays[:] = [np.full_like(array, np.nan) for array in arrays]
    solver.load(plan, model.coefs_, model.intercepts_, model.norms_)


def _improved(model, validation):
    """Count the epochs without improvement; whether this one is the best."""
    if validation is not None:
        score = float(model._validation_score(validation))
        model.validation_scores_.append(score)
        if model.verbose:
            print(f"Validation score: {score:f}")
        best = score > model.best_validation_score_
        if model.early_stopping:
            enough = not score < model.best_validation_score_ + model.tol  # true for NaN
            model._no_improvement_count = 0 if enough else model._no_improvement_count + 1
        if best:
            model.best_validation_score_ = score
    if not model.early_stopping:
        loss = model.loss_curve_[-1]
        enough = not loss > model.best_loss_ - model.tol  # true for NaN
        model._no_improvement_count = 0 if enough else model._no_improvement_count + 1
        if validation is None:
            best = loss < model.best_loss_
        if loss < model.best_loss_:
            model.best_loss_ = loss
    return best


def _gives_up(model, solver):
    """Whether training stops for want of improvement, and does not take a lower rate."""
    what = "Validation score" if model.early_stopping else "Training loss"
    message = (
        f"{what} did not improve more than tol={model.tol:f} for "
        f"{model.n_iter_no_change} consecutive epochs."
    )
    adapts = solver.schedule == "adaptive"
    if adapts and solver.learning_rate > 1e-6:
        solver.learning_rate /= 5
        if model.verbose:
            print(f"{message} Setting learning rate to {solver.learning_rate:f}")
        return False
    if model.verbose:
        print(f"{message} {'Learning rate too small. ' if adapts else ''}Stopping.")
    return True


def _warn_of_divergence(model):
    """A RuntimeWarning, as NumPy's are, for a training that kept weights from before."""
    warnings.warn(
        f"The training of {type(model).__name__} reached a loss that is not finite; the weights "
        "are the best of before.",
        RuntimeWarning,
        stacklevel=5,
    )


def _warn_of(model, stop):
    """A ConvergenceWarning for a training that ended before it converged."""
    reached = {
        None: f"Maximum iterations ({model.max_iter}) reached",
        "max_seconds": f"Maximum time ({model.max_seconds} s) reached",
        "diverged": "A loss that is not finite reached",
    }
    if stop in reached:
        warnings.warn(
            f"Stochastic Optimizer: {reached[stop]} and the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=5,
        )
