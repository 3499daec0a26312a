"""The training of an estimator by L-BFGS, over all rows at once."""

from __future__ import annotations

import math
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import get_blas_funcs
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from fastbp._kernels import engine
from fastbp.estimators import callables, parameters

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.estimators.batches import Data
    from fastbp.estimators.solver import Solver
    from fastbp.training.ranks import Ranks

#: Rows of one gradient: dense ones, which lie in panels together, and sparse ones, which do not.
ROWS, SPARSE_ROWS = 1024, 16384
#: Outputs up to which the squared error is averaged over them while its gradient is summed, as
#: scikit-learn does.  The line search wants a thousandth of the decrease that the gradient
#: promises; from 1,000 outputs on no step has it, and beyond 500 not the best step of a parabola.
MOST_AVERAGED = 500


class Objective:
    """The mean loss of all rows and its gradient, as functions of all parameters in one array.

    Of several ranks each has a share of the rows, and the first one's scipy asks: for its sake the
    others `serve`.
    """

    model: Any
    solver: Solver
    data: Data
    ranks: Ranks

    def __init__(self, model: Any, solver: Solver, data: Data, ranks: Ranks) -> None:
        if ranks and not ranks.own:
            data = data.part(ranks.share(len(data)))
        self.model, self.solver, self.data, self.ranks = model, solver, data, ranks
        rows = SPARSE_ROWS if hasattr(data.x, "tocsr") else ROWS
        self.plan: engine.Plan = solver.plan(max(1, min(len(data), rows)))
        self.parts: list[slice] = list(gen_batches(len(data), rows)) if len(data) else []
        self.rows: list[Any] = [data.rows(part) for part in self.parts]
        all_rows = np.ones(len(data)) if data.weights is None else data.weights
        self.sums: list[float] = [all_rows[part].sum(dtype=np.float64) for part in self.parts]
        self.total: float = float(ranks.sum(sum(self.sums)))
        n_outputs = round(1 / solver.loss["loss_scale"])
        as_theirs = model.loss == "squared_error" and n_outputs <= MOST_AVERAGED
        #: What makes the loss of `loss_` the one whose gradient the line search goes by.
        self.factor = 1 if as_theirs or callable(model.loss) else n_outputs
        self.shapes: list[tuple[int, ...]] = [array.shape for array in (*model.coefs_, *model.intercepts_)]
        self.n_weights: int = sum(W.size for W in model.coefs_)
        #: In the data's dtype, in which scipy then asks for losses and gradients.
        self.start: Array = np.concatenate(
            [array.ravel() for array in (*model.coefs_, *model.intercepts_)], dtype=solver.dtype
        )
        #: One array for every call, as scipy keeps copies of the gradients that it goes back to;
        #: a sum over several parts is kept in float64.
        several = len(self.parts) > 1
        self.gradient: Array = np.empty(self.start.shape, np.float64 if several else self.start.dtype)
        self.scratch: Array = np.empty_like(self.start) if several else self.gradient

    def views(self, packed: Array) -> list[tuple[int, Array, Array]]:
        """Layer, W and b of each layer, as views."""
        arrays, at = [], 0
        for shape in self.shapes:
            size = math.prod(shape)
            arrays.append(packed[at : at + size].reshape(shape))
            at += size
        half = len(arrays) // 2
        return list(zip(self.solver.affines, arrays[:half], arrays[half:], strict=True))

    def keep(self, packed: Array) -> None:
        """Make copies of these parameters the model's, of its data's dtype."""
        dtype = self.start.dtype
        layers = self.views(packed)
        self.model.coefs_ = [W.astype(dtype) for _, W, _ in layers]
        self.model.intercepts_ = [b.astype(dtype) for *_, b in layers]

    def fitted(self) -> dict[str, Any]:
        """What the training has made of the model."""
        return {name: getattr(self.model, name) for name in ("coefs_", "intercepts_", "n_iter_", "loss_")}

    def require_kept(self, packed: Array) -> None:
        """Refuse a model whose weights are others than `keep` made them."""
        now = self.model.coefs_, self.model.intercepts_
        self.keep(packed)
        kept = self.model.coefs_, self.model.intercepts_
        if not all(
            len(some) == len(own) and all(map(np.array_equal, some, own)) for some, own in zip(now, kept, strict=True)
        ):
            raise ValueError(
                f"{type(self.model).__name__} expects callbacks to leave coefs_ and intercepts_ "
                "as they are with solver='lbfgs', which goes on from its own; got others."
            )

    def __call__(self, packed: Array) -> tuple[float, Array]:
        """Loss and gradient over all rows."""
        if not self.ranks:
            return self._regularised(packed, *self._of_own_rows(packed))
        self.ranks.tell(("evaluate", packed))
        return self._regularised(packed, *self._of_all_rows(packed))

    def serve(self) -> None:
        """Evaluate what the first rank asks for, until it is done."""
        while True:
            asked, told = self.ranks.tell(None)
            if asked == "evaluate":
                self._of_all_rows(told)
                continue
            vars(self.model).update(told)
            if asked == "done":
                return

    def _of_all_rows(self, packed):
        loss, gradient = self._of_own_rows(packed)
        sums = self.ranks.sum(np.append(gradient, loss))
        gradient[:] = sums[:-1]
        return float(sums[-1]), gradient

    def _of_own_rows(self, packed):
        """The sum of weighted losses, and its gradient over the weight of all rows."""
        model, plan, data = self.model, self.plan, self.data
        for layer, W, b in self.views(packed):
            plan.write(layer, engine.PARAMETERS, W, b)
        loss, gradient, own = 0.0, self.gradient, self.scratch
        gradient.fill(0)
        for part, x, weight in zip(self.parts, self.rows, self.sums, strict=True):
            if weight == 0:
                continue
            if callable(model.loss):
                loss += weight * callables.step(model, plan, data, part, False)
            else:
                weights = None if data.weights is None else data.weights[part]
                loss += weight * plan.gradient(x, data.t[part], weights)
            for layer, W, b in self.views(own):
                plan.read(layer, engine.GRADIENTS, W, b)
            if weight != self.total:
                own *= weight / self.total
            if own is not gradient:
                gradient += own
        if not math.isfinite(loss):
            gradient[:] = np.nan  # the plan made none
        return loss, gradient

    def _regularised(self, packed, loss, gradient):
        """The mean loss and its gradient, with the penalty."""
        model = self.model
        axpy = get_blas_funcs("axpy", (packed, gradient))
        gradient = axpy(packed, gradient, self.n_weights, model.alpha / self.total)  # in place
        loss = self.factor * loss / self.total + self.penalty(packed)
        return loss, gradient

    def penalty(self, packed: Array) -> float:
        """What `alpha` adds to the loss."""
        W = packed[: self.n_weights]
        return 0.5 * self.model.alpha * float(W @ W) / self.total

    def reported(self, result: Any) -> float:
        """The loss of a result of scipy's as `loss_` has it."""
        if self.factor == 1:
            return float(result.fun)
        penalty = self.penalty(result.x)
        return float((result.fun - penalty) / self.factor + penalty)


def fit_lbfgs(model: Any, objective: Objective) -> None:
    """scipy's L-BFGS-B, whose own vectors are of float64; the best parameters are those kept."""
    from scipy.optimize import minimize

    ranks = objective.ranks
    if ranks.rank:
        try:
            objective.serve()
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        return
    best = objective.start
    deadline = math.inf if model.max_seconds is None else time.monotonic() + model.max_seconds
    callbacks, given = parameters.callbacks(model), parameters.given(model)
    n_iter, stop = 0, None

    def after_iteration(intermediate_result):
        nonlocal n_iter, stop
        n_iter += 1
        best[...] = intermediate_result.x
        model.loss_ = objective.reported(intermediate_result)
        if model.verbose:
            print(f"Iteration {n_iter}, loss = {model.loss_:.8f}")
        if callbacks or ranks:
            objective.keep(best)
            model.n_iter_ = n_iter
            ranks.tell(("iteration", objective.fitted()))
        with ranks.listening():
            stops = [parameters.ends(model, callback) for callback in callbacks]
        if callbacks:
            parameters.changed(model, given, parameters.LIVE_OF_LBFGS)
            objective.require_kept(best)
        if any(stops):
            stop = "callback"
        elif time.monotonic() >= deadline:
            stop = "max_seconds"
        if stop:
            raise StopIteration

    try:
        result = minimize(
            objective,
            objective.start,
            method="L-BFGS-B",
            jac=True,
            callback=after_iteration,
            options={"maxfun": model.max_fun, "maxiter": model.max_iter, "gtol": model.tol},
        )
    except KeyboardInterrupt as error:
        ranks.leave(error)
        warnings.warn("Training interrupted by user.", stacklevel=4)
        model.n_iter_ = n_iter
        objective.keep(best)
        model._require_finite()
        return
    model.n_iter_ = min(result.nit, model.max_iter)
    model.loss_ = objective.reported(result)
    objective.keep(result.x)
    ranks.tell(("done", objective.fitted()))
    if result.status != 0 and stop != "callback":
        _warn(model, result, stop)
    model._require_finite()


def _warn(model, result, stop):
    """A ConvergenceWarning for a training that ended before it converged."""
    reached = result.message
    if stop == "max_seconds":
        reached = f"Maximum time ({model.max_seconds} s) reached."
    message = f"lbfgs failed to converge after {model.n_iter_} iteration(s) (status={result.status}):\n{reached}\n"
    if model.n_iter_ == model.max_iter:
        message += f"\nIncrease the number of iterations to improve the convergence (max_iter={model.max_iter})."
    message += (
        "\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
    warnings.warn(message, ConvergenceWarning, stacklevel=5)
