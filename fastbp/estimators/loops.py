"""The two trainings of an estimator: epochs of batches, and L-BFGS over all rows."""

import math
import time
import warnings
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import gen_batches

from fastbp import checks
from fastbp._kernels import engine
from fastbp.estimators import parameters

#: Rows of one gradient of L-BFGS, which are dense together.
ROWS = 1024


class Data:
    """Rows, their targets as the engine takes them, and their weights or None."""

    def __init__(self, x, t, weights, labels):
        self.x, self.t, self.weights = x, t, weights
        self.labels = labels  # the targets as a scorer takes them

    def __len__(self):
        return self.x.shape[0]

    def rows(self):
        """x as the engine takes it."""
        return engine_rows(self.x)

    def split(self, model, random_state, stratify):
        """Training and validation parts, as scikit-learn draws them."""
        arrays = [self.x, self.t, self.labels]
        if self.weights is not None:
            arrays.append(self.weights)
        parts = train_test_split(
            *arrays, random_state=random_state, test_size=model.validation_fraction,
            stratify=stratify,
        )  # fmt: skip
        if self.weights is None:
            parts += [None, None]
        train, validation = (
            Data(x, t, weights, labels) for x, t, labels, weights in (parts[::2], parts[1::2])
        )
        if len(validation) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' "
                "or the size of your dataset."
            )
        return train, validation


def engine_rows(x):
    """Rows as the engine takes them: a C-contiguous array, or CSR checked."""
    if hasattr(x, "tocsr"):
        x = x.tocsr()
        return engine.SparseRows(
            x.data, np.ascontiguousarray(x.indices, np.int64),
            np.ascontiguousarray(x.indptr, np.int64), x.shape[1],
        )  # fmt: skip
    return x if x.flags.c_contiguous and x.flags.aligned else np.require(x, None, ("C", "A"))


# --- stochastic -----------------------------------------------------------------------------


def fit_stochastic(model, solver, data, validation, random_state, incremental):
    """Epochs until the loss or the score no longer improves; one, where `incremental`.

    `random_state` gives the RandomState when called.
    """
    who = type(model).__name__
    if model.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    if model.early_stopping and validation is None:
        data, validation = data.split(model, random_state(), model._stratify(data.t))
    n = len(data)
    batch_size = _batch_size(model, n)
    if model.batch_norm and 1 in (batch_size, n % batch_size):
        raise ValueError(
            f"{who} expects batches of at least 2 rows for batch_norm; got a batch of 1 with "
            f"{checks.plural(n, 'row')} and batch_size {batch_size}."
        )
    plan = solver.plan(batch_size)
    solver.load(plan, model.coefs_, model.intercepts_, model.norms_)
    restores = model.early_stopping if model.restore_best is None else model.restore_best
    restores = restores and not incremental
    best: Any = model._copies() if restores else None
    begun, first = best, model.t_ == 0
    callbacks = parameters.callbacks(model)
    looks = validation is not None or restores or callbacks
    by_loss, improved = restores and validation is None, False
    order, x = np.arange(n, dtype=np.int64), data.rows()
    deadline = math.inf if model.max_seconds is None else time.monotonic() + model.max_seconds
    bar = _progress_bar(model) if model.progress and not incremental else None
    finite, stop = True, None
    model.n_iter_ = 0
    try:
        while stop is None and model.n_iter_ < model.max_iter:
            if model.shuffle and n > 1:
                order = _shuffled(order, random_state, solver if incremental else None)
            if by_loss:  # an epoch's loss is that of the weights it began with
                begun = model._copies()
            if finite:
                loss, done = _epoch(model, solver, plan, data, x, order, batch_size, deadline)
                finite = math.isfinite(loss)
                if not done:
                    stop = "max_seconds"
                    break
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
            if model.solver == "sgd" and model.learning_rate == "invscaling":
                solver.learning_rate = float(model.learning_rate_init) / (
                    (model.t_ + 1) ** model.power_t
                )
            if model._no_improvement_count > model.n_iter_no_change:
                if _gives_up(model, solver):
                    stop = "no improvement"
                model._no_improvement_count = model._no_improvement_count if stop else 0
            if bar is not None:
                bar.set_postfix_str(f"loss {loss:.4f}")
                bar.update()
            for callback in callbacks:
                if callback(model):
                    stop = "callback"
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
    solver.fetch(model.coefs_, model.intercepts_, model.norms_)
    if by_loss and improved and stop != "diverged":
        restores = False  # the last epoch was the best: its weights are better still
    if best is begun and not first and model.restore_best is None:
        restores = False  # a warm start would stand still, as scikit-learn's does not
    if restores:
        model.coefs_, model.intercepts_, model.norms_ = best
    _warn_of(model, stop)
    if not restores and not solver.finite(model.intercepts_):
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


def _batch_size(model, n):
    if isinstance(model.batch_size, str):
        return min(200, n)
    if model.batch_size > n:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=5,
        )
    return int(min(model.batch_size, n))


def _epoch(model, solver, plan, data, x, order, batch_size, deadline):
    """The epoch's loss in scikit-learn's scale, and how many rows it saw before the deadline."""
    n = len(order)
    n_batches = math.ceil(n / batch_size)
    losses = np.full(n_batches, np.nan)
    lrs = None
    if model.schedule is not None:
        factors = [model.schedule(solver.epochs + k / n_batches) for k in range(n_batches)]
        lrs = model.learning_rate_init * np.array(
            [checks.number("fit", "the schedule's factor", factor, 0) for factor in factors]
        )
    if callable(model.loss):
        position = _own_epoch(model, plan, data, order, losses, lrs, batch_size, deadline)
    else:
        seconds = deadline if deadline == math.inf else deadline - time.monotonic()
        position, *_ = plan.epoch(
            x, data.t, data.weights, order, losses, lrs=lrs, seconds=seconds,
            batch_size=batch_size,
        )  # fmt: skip
        if plan.stopped_by_loss:
            return math.nan, n
    if lrs is not None:
        solver.numbers["lr"] = plan.lr
    sizes = np.full(n_batches, batch_size)
    sizes[-1] = n - batch_size * (n_batches - 1)
    done = math.ceil(position / batch_size)
    total = float(losses[:done] @ sizes[:done])
    return total / max(position, 1), position


def _own_epoch(model, plan, data, order, losses, lrs, batch_size, deadline):
    """An epoch with the user's own loss, a batch at a time; the position it reached."""
    position = 0
    for k, batch in enumerate(gen_batches(len(order), batch_size)):
        if time.monotonic() >= deadline:
            break
        if lrs is not None:
            plan.lr = lrs[k]
        losses[k] = _own_step(model, plan, data, order[batch], True)
        position = batch.stop
    return position


def _own_step(model, plan, data, rows, update):
    """The mean loss of some rows by the user's function; its gradients go into the plan."""
    t = data.t[rows]
    z = np.empty((len(t), plan.n_out), t.dtype)
    plan.outputs(engine_rows(data.x[rows]), z)
    losses, gradient = own_loss(model, t.copy(), z)  # t may be a view of the caller's y
    weights = np.ones(len(t)) if data.weights is None else data.weights[rows]
    over = weights.sum(dtype=np.float64)
    if over == 0:
        return 0.0
    gradient = gradient * (weights / over)[:, np.newaxis]
    penalty = 0.0
    if update and model.solver != "adamw":
        penalty = 0.5 * model.alpha * plan.weight_square() / over
    plan.backward(np.ascontiguousarray(gradient, z.dtype), over, update)
    return float(losses @ weights) / over + penalty


def own_loss(model, t, z):
    """Each row's loss and its gradient by the outputs, from the user's function."""
    who = type(model).__name__
    try:
        losses, gradient = model.loss(t, z)
        losses, gradient = np.asarray(losses, np.float64), np.asarray(gradient)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{who} expects loss(y, outputs) to return each row's loss and its gradient by the "
            f"outputs; got {error}."
        ) from error
    if losses.shape != (len(z),) or gradient.shape != z.shape:
        raise ValueError(
            f"{who} expects loss(y, outputs) to return each row's loss, {(len(z),)}, and its "
            f"gradient by the outputs, {z.shape}; got {losses.shape} and {gradient.shape}."
        )
    return losses, gradient


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
    adapts = model.solver == "sgd" and model.learning_rate == "adaptive"
    if adapts and solver.learning_rate > 1e-6:
        solver.learning_rate /= 5
        if model.verbose:
            print(f"{message} Setting learning rate to {solver.learning_rate:f}")
        return False
    if model.verbose:
        print(f"{message} {'Learning rate too small. ' if adapts else ''}Stopping.")
    return True


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


def _progress_bar(model):
    try:
        import tqdm
    except ImportError:
        raise checks.missing_extra("tqdm", f"{type(model).__name__}(progress=True)") from None
    return tqdm.tqdm(total=model.max_iter, unit="epoch")


# --- L-BFGS ---------------------------------------------------------------------------------


def fit_lbfgs(model, solver, data):
    """scipy's L-BFGS-B over the gradient of all rows, in float64."""
    from scipy.optimize import minimize

    n = len(data)
    plan = solver.plan(min(n, ROWS))
    parts = list(gen_batches(n, ROWS))
    rows = [engine_rows(data.x[part]) for part in parts]
    weights = [None if data.weights is None else data.weights[part] for part in parts]
    sums = [
        part.stop - part.start if w is None else w.sum()
        for part, w in zip(parts, weights, strict=True)
    ]
    total = float(sum(sums))
    theta = np.concatenate([a.ravel() for a in (*model.coefs_, *model.intercepts_)]).astype("f8")
    best = theta.copy()
    n_weights = sum(W.size for W in model.coefs_)
    scratch = np.empty_like(theta)
    deadline = math.inf if model.max_seconds is None else time.monotonic() + model.max_seconds
    n_iter = 0

    def views(packed):
        """W and b of each layer, as views."""
        arrays, at = [], 0
        for array in (*model.coefs_, *model.intercepts_):
            arrays.append(packed[at : at + array.size].reshape(array.shape))
            at += array.size
        half = len(model.coefs_)
        return list(zip(solver.affines, arrays[:half], arrays[half:], strict=True))

    def loss_and_gradient(packed):
        for layer, W, b in views(packed):
            plan.write(layer, engine.PARAMETERS, W, b)
        loss, gradient = 0.0, np.zeros_like(packed)
        for part, x, w, weight in zip(parts, rows, weights, sums, strict=True):
            if weight == 0:
                continue
            if callable(model.loss):
                loss += weight * _own_step(model, plan, data, part, False)
            else:
                loss += weight * plan.gradient(x, data.t[part], w)
            for layer, W, b in views(scratch):
                plan.read(layer, engine.GRADIENTS, W, b)
            gradient += weight * scratch
        if not math.isfinite(loss):
            gradient[:] = np.nan  # the plan made none
        W = packed[:n_weights]
        gradient[:n_weights] += model.alpha * W
        return (loss + 0.5 * model.alpha * (W @ W)) / total, gradient / total

    def after_iteration(intermediate_result):
        nonlocal n_iter
        n_iter += 1
        best[...] = intermediate_result.x
        model.loss_ = float(intermediate_result.fun)
        if model.verbose:
            print(f"Iteration {n_iter}, loss = {model.loss_:.8f}")
        callbacks = parameters.callbacks(model)
        if callbacks:
            keep(best)
            model.n_iter_ = n_iter
        stops = [callback(model) for callback in callbacks]
        if any(stops) or time.monotonic() >= deadline:
            raise StopIteration

    def keep(packed):
        arrays = [(W.astype(data.x.dtype), b.astype(data.x.dtype)) for _, W, b in views(packed)]
        model.coefs_ = [W for W, _ in arrays]
        model.intercepts_ = [b for _, b in arrays]

    try:
        result = minimize(
            loss_and_gradient, theta, method="L-BFGS-B", jac=True, callback=after_iteration,
            options={"maxfun": model.max_fun, "maxiter": model.max_iter, "gtol": model.tol},
        )  # fmt: skip
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
        model.n_iter_ = n_iter
        keep(best)
        return
    model.n_iter_ = min(result.nit, model.max_iter)
    model.loss_ = float(result.fun)
    keep(result.x)
    if result.status != 0:
        _warn_of_lbfgs(model, result)
    model._require_finite()


def _warn_of_lbfgs(model, result):
    message = (
        f"lbfgs failed to converge after {model.n_iter_} iteration(s) "
        f"(status={result.status}):\n{result.message}\n"
    )
    if model.n_iter_ == model.max_iter:
        message += (
            "\nIncrease the number of iterations to improve the "
            f"convergence (max_iter={model.max_iter})."
        )
    message += (
        "\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
    warnings.warn(message, ConvergenceWarning, stacklevel=5)
