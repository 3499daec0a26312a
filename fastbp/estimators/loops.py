"""The training of an estimator by epochs of batches."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable
from itertools import pairwise
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp.estimators import callables, parameters
from fastbp.training.epochs import Epochs, Training

if TYPE_CHECKING:
    from fastbp._kernels.engine import Plan
    from fastbp._typing import Array, Callback
    from fastbp.estimators.batches import Batches, Data
    from fastbp.estimators.solver import Solver
    from fastbp.training.ranks import Ranks

#: Seconds that a training takes at least: its first step is made whatever `max_seconds` is.
SHORTEST = 1e-6


class EstimatorTraining(Training):
    """An estimator's training by a `Solver`, into scikit-learn's attributes.

    Parameters
    ----------
    model : MLP
    solver : Solver
    data : batches.Data
    parts : batches.Batches
    validation : batches.Data or None
    random_state : callable
        Gives the RandomState.
    incremental : bool
        One epoch of partial_fit.
    ranks : Ranks
    average_every : int
        Steps of each rank from one averaging to the next.
    """

    model: Any
    solver: Solver
    data: Data
    parts: Batches
    validation: Data | None
    random_state: Callable[[], np.random.RandomState]
    ranks: Ranks
    average_every: int
    loss: float
    plan: Plan
    given: dict[str, Any]
    finite: bool
    improved: bool

    def __init__(
        self,
        model: Any,
        solver: Solver,
        data: Data,
        parts: Batches,
        validation: Data | None,
        random_state: Callable[[], np.random.RandomState],
        incremental: bool,
        ranks: Ranks,
        average_every: int,
    ) -> None:
        self.model, self.solver, self.data, self.parts = model, solver, data, parts
        self.validation, self.random_state = validation, random_state
        self.incremental = incremental
        self.ranks, self.average_every = ranks, average_every
        options = parameters.options(model, incremental)
        self.plan = self._joined_plan()
        #: All rows as the engine takes them, or None where some are made ready at a time.
        self.x: Any = None if data.is_large() and not ranks else data.rows()
        # Who is not the first shows and calls nothing.
        shown = options if ranks.rank == 0 else dataclasses.replace(options, progress=False, callbacks=())
        self.epochs: Epochs = Epochs(shown, len(data))
        if data.order is not None:
            self.epochs.order[...] = data.order
        restores = model.early_stopping if model.restore_best is None else model.restore_best
        self.restores: bool = restores and not incremental
        self.first: bool = model.t_ == 0
        self.given = parameters.given(model) if options.callbacks else {}
        self.shapes: list[tuple[int, ...]] = [np.shape(W) for W in model.coefs_]
        self.looks = validation is not None or self.restores or options.callbacks
        #: Whether the loss tells the best epoch: an epoch's is that of the weights it began with.
        self.by_loss: bool = self.restores and validation is None
        self.begun: Any = None
        self.best: Any = None
        self.finite, self.improved, self.loss = True, False, math.nan

    def _joined_plan(self):
        """The solver's plan, which trains with the other ranks'."""
        plan = self.solver.plan(self.parts.most, self.ranks)
        if self.ranks:
            plan.join(self.ranks, self.average_every)
        return plan

    def load(self) -> None:
        """Write the estimator's arrays into the plan."""
        model = self.model
        self.solver.load(self.plan, model.coefs_, model.intercepts_, model.norms_)

    def fetch(self) -> None:
        """Read the plan's parameters into the estimator's arrays."""
        model = self.model
        self.solver.fetch(model.coefs_, model.intercepts_, model.norms_)

    def begin(self, epochs: Epochs) -> None:
        self.load()
        if self.ranks:
            self.solver.take_steps(self.ranks)
            self.ranks.share_plan(self.plan)
            self.fetch()
        self.best = self.begun = self.model._copies() if self.restores else None
        self.model.n_iter_ = 0

    def shuffle(self, order: Array, epoch: int) -> None:
        order[...] = _shuffled(order, self.random_state, self.solver if self.incremental else None)

    def train(self, epochs: Epochs) -> bool:
        """An epoch, whose loss in scikit-learn's scale is noted."""
        model, solver = self.model, self.solver
        if self.by_loss:
            self.begun = model._copies()
        done = self.parts.n
        if self.finite:
            self.loss, done = self._epoch(epochs)
            self.finite = math.isfinite(self.loss)
        if not self.finite and model.restore_best:
            epochs.stopped_by = "diverged"
            return False
        if not self.finite:
            self._spoil()
        model.n_iter_ += 1
        solver.epochs += 1
        model.loss_ = self.loss
        model.t_ += done
        model.loss_curve_.append(self.loss)
        if self.says:
            print(f"Iteration {model.n_iter_}, loss = {self.loss:.8f}")
        return done == self.parts.n

    @property
    def says(self) -> bool:
        """Whether it prints, which of several ranks one does."""
        return self.model.verbose and self.ranks.rank == 0

    def _epoch(self, epochs):
        """The epoch's loss, and how many rows it saw before the deadline."""
        model, solver, plan, parts = self.model, self.solver, self.plan, self.parts
        losses = np.full(len(parts), np.nan)
        lrs = epochs.rates(model.learning_rate_init, solver.epochs, len(parts))
        if self.ranks:
            position = self._epoch_together(epochs, losses, lrs)
            if plan.stopped_by_loss:
                return math.nan, parts.n
        elif callable(model.loss):
            position = self._own_epoch(epochs, losses, lrs)
        else:
            position = 0
            for begin, end, size in parts.stretches if self.x is not None else parts.pieces(self.data.x.shape[1]):
                seconds = epochs.seconds_left()
                if begin and (position < begin or seconds <= 0):
                    break
                k = begin // parts.stretches[0][2]
                x, t, weights, order = self._stretch(epochs.order[begin:end])
                position, *_ = plan.epoch(
                    x,
                    t,
                    weights,
                    order,
                    losses[k:],
                    lrs=None if lrs is None else lrs[k:],
                    seconds=max(seconds, SHORTEST),
                    batch_size=size,
                )
                position += begin
                if plan.stopped_by_loss:
                    return math.nan, parts.n
        if lrs is not None:
            solver.numbers["lr"] = plan.lr
        return parts.mean(losses, position), parts.seen(position)

    def _stretch(self, order):
        """Rows, targets, weights, and the order in which the engine takes them."""
        data = self.data
        if self.x is not None:
            return self.x, data.t, data.weights, order
        weights = None if data.weights is None else data.weights[order]
        return data.rows(order), data.t[order], weights, np.arange(len(order))

    def _own_epoch(self, epochs, losses, lrs):
        """An epoch with the user's own loss, a batch at a time; the position it reached."""
        for k, (begin, end) in enumerate(pairwise(self.parts.edges)):
            if begin and epochs.seconds_left() <= 0:
                return begin
            if lrs is not None:
                self.plan.lr = lrs[k]
            rows = epochs.order[begin:end]
            losses[k] = callables.step(self.model, self.plan, self.data, rows, True)
        return self.parts.n

    def _epoch_together(self, epochs, losses, lrs):
        """An epoch of all ranks, into their losses; the position it reached."""
        plan, data, of_rank = self.plan, self.data, self.parts.of_rank
        seconds = max(epochs.seconds_left(), SHORTEST) if self.ranks.rank == 0 else math.inf
        if callable(self.model.loss):
            self.ranks.enter(False)
            return self._own_epoch_together(epochs, losses, lrs)
        position, *_ = plan.epoch(
            self.x, data.t, data.weights, epochs.order, losses, np.zeros(4), lrs, seconds, parts=of_rank
        )
        if self.average_every > 1 and not plan.stopped_by_loss:
            done = self.parts.done(position)
            places = [epochs.order[begin:end] for begin, end, *_ in of_rank[:done].tolist()]
            self.ranks.mean_losses(losses[:done], [callables.weights_of(data, rows).sum() for rows in places])
        self.ranks.average_statistics(plan, len(epochs.order))
        return position

    def _own_epoch_together(self, epochs, losses, lrs):
        """The same with the user's own loss, a batch at a time."""
        plan, position = self.plan, 0
        for k, (begin, end, _, _, behind) in enumerate(self.parts.of_rank.tolist()):
            if lrs is not None:
                plan.lr = lrs[k]
            over = self.ranks.rank == 0 and epochs.seconds_left() <= 0
            try:
                losses[k] = callables.step_together(self.model, plan, self.data, epochs.order[begin:end], over)
            except BaseException as error:
                if self.ranks.parted:
                    raise
                plan.leave(error)
            position = behind
            if plan.time_over or not math.isfinite(losses[k]):
                break
        self.ranks.average_statistics(plan, len(epochs.order))
        return position

    def _spoil(self):
        """Parameters of NaN: what a step from a loss that is not finite leads to."""
        model = self.model
        for arrays in (model.coefs_, model.intercepts_, model.norms_):
            arrays[:] = [np.full_like(array, np.nan) for array in arrays]
        self.load()

    def look(self) -> None:
        model, solver = self.model, self.solver
        if self.looks:
            self.fetch()
        if self.ranks:
            self.ranks.require_same(self.plan)
        self.improved = self._improves()
        if self.improved and self.restores:
            self.best = self.begun if self.by_loss else model._copies()
        if solver.schedule == "invscaling" and model.schedule is None:
            solver.learning_rate = solver.first_rate / (model.t_ + 1) ** solver.power_t

    def text(self) -> str:
        return f"loss {self.loss:.4f}"

    def verdict(self) -> str | None:
        model = self.model
        if model._no_improvement_count <= model.n_iter_no_change:
            return None
        if self._gives_up():
            return "no improvement"
        model._no_improvement_count = 0
        return None

    def call(self, callback: Callback) -> bool | None:
        with self.ranks.listening():
            return parameters.ends(self.model, callback)

    def called(self) -> None:
        """Take what callbacks wrote into `coefs_`, and the parameters that they changed."""
        model = self.model
        model._as_lists()
        model._require_shapes(self.shapes)
        # A scorer or a schedule need not go from rank to rank.
        live = parameters.LIVE - {"scoring", "schedule"} if self.ranks else parameters.LIVE
        if parameters.changed(model, self.given, live):
            parameters.check(model, model._classifies, "validation_data" if self.validation else None)
            self.solver.see(model._asked())
            self.given, self.plan = parameters.given(model), self._joined_plan()
        self.load()

    def agreed(self, stop: str | None) -> str | None:
        if not self.ranks:
            return stop
        stop = self.ranks.tell(stop)
        if self.given:
            self._follow_first()
        return stop

    def _follow_first(self):
        """Take what the first rank's callbacks wrote into its weights and parameters."""
        model, live = self.model, sorted(parameters.LIVE - {"scoring", "schedule"})
        told = {name: getattr(model, name) for name in live}, (model.coefs_, model.intercepts_, model.norms_)
        told, arrays = self.ranks.tell(told)
        if self.ranks.rank == 0:
            return
        vars(model).update(told)
        model.coefs_, model.intercepts_, model.norms_ = arrays
        self.called()

    def end_epoch(self, whole: bool, last: bool) -> None:
        model, options = self.model, self.epochs.options
        n = options.epochs if self.incremental else model.max_iter
        self.epochs.options = dataclasses.replace(
            options, epochs=n, shuffle=bool(model.shuffle), schedule=model.schedule
        )

    def takes(self, error: BaseException) -> bool:
        self.ranks.leave(error)
        return isinstance(error, KeyboardInterrupt)

    def close(self, stopped_by: str) -> None:
        if self.ranks:
            self.plan.join(None)

    # --- whether it gets better -------------------------------------------------------------

    def _improves(self):
        """Count the epochs without improvement; whether this one is the best."""
        model, validation = self.model, self.validation
        if validation is not None:
            score = model._validation_score(validation, self.ranks)
            model.validation_scores_.append(score)
            if self.says:
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

    def _gives_up(self):
        """Whether training stops for want of improvement, and does not take a lower rate."""
        model, solver = self.model, self.solver
        what = "Validation score" if model.early_stopping else "Training loss"
        message = f"{what} did not improve more than tol={model.tol:f} for {model.n_iter_no_change} consecutive epochs."
        adapts = solver.schedule == "adaptive"
        if adapts and solver.learning_rate > 1e-6:
            solver.learning_rate /= 5
            if self.says:
                print(f"{message} Setting learning rate to {solver.learning_rate:f}")
            return False
        if self.says:
            print(f"{message} {'Learning rate too small. ' if adapts else ''}Stopping.")
        return True


def fit_stochastic(training: EstimatorTraining) -> None:
    """Epochs until the loss or the score no longer improves; one of partial_fit."""
    model, solver = training.model, training.solver
    stop = training.epochs.run(training)
    try:
        training.fetch()
    except KeyboardInterrupt:  # the solver has made its steps: the next one goes on from there
        training.fetch()
        raise
    if stop == "interrupt":
        warnings.warn("Training interrupted by user.", stacklevel=4)
    restores = training.restores
    if training.by_loss and training.improved and stop != "diverged":
        restores = False  # the last epoch was the best: its weights are better still
    if training.best is training.begun and not training.first and model.restore_best is None:
        restores = False  # a warm start would stand still, as scikit-learn's does not
    if restores:
        model.coefs_, model.intercepts_, model.norms_ = training.best
    if stop == "diverged" or not training.incremental:
        _warn_of(model, stop)
    if restores and not training.finite and stop != "diverged":
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
        "epochs": f"Maximum iterations ({model.max_iter}) reached",
        "max_seconds": f"Maximum time ({model.max_seconds} s) reached",
        "diverged": "A loss that is not finite reached",
    }
    if stop in reached:
        warnings.warn(
            f"Stochastic Optimizer: {reached[stop]} and the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=5,
        )
