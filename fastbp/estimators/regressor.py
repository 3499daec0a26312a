"""`MLPRegressor`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, overload

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils.metaestimators import available_if

from fastbp import checks
from fastbp.estimators import forward, parameters, preparing
from fastbp.estimators.base import MLP, can_fit_partially
from fastbp.losses import GaussianLoss, HuberLoss, MeanAbsoluteError, MeanSquaredError, PoissonLoss, QuantileLoss

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike, Callback, Features, RowLoss, Schedule
    from fastbp.communicators import AnyCommunicator
    from fastbp.estimators.parameters import ActivationName, SolverName

    LossName: TypeAlias = Literal["squared_error", "poisson", "absolute_error", "huber", "quantile", "gaussian"]

#: What a predicted variance never is below: a millionth, of standardised targets of theirs.
LEAST_VARIANCE = 1e-6


class MLPRegressor(RegressorMixin, MLP):
    """scikit-learn's multilayer perceptron for regression, on the training engine.

    Parameters
    ----------
    loss : str or callable
        "squared_error" and "poisson", scikit-learn's halves; "absolute_error", "huber",
        "quantile"; "gaussian", the negative log likelihood of a normal distribution whose deviation is
        learned too, see `predict`; or a function of (y, outputs), both (n, n_outputs), that returns each row's
        loss (n,) and its gradient by the outputs.  Losses of several outputs are averaged over
        them and their gradients added up, as scikit-learn does.
    huber_delta : float
        Where the Huber loss goes over from a parabola into a line.
    quantile : float or sequence of float
        Which quantile loss="quantile" predicts; or several in the order of their size, by one network
        with an output for each.  Its predictions are sorted, so that no two cross.
    output_weights : sequence of float or None
        The weight of each target: a row's loss is the weighted mean of its targets' losses.
    standardize : bool
        As `MLPClassifier`'s; and the targets too, but for the counts of loss="poisson", get mean 0
        and deviation 1.  Predictions come in the targets' own units; `loss_`, `huber_delta` and what a
        `loss` of one's own is given are in deviations.
    hidden_layer_sizes, activation, solver, ...
        All others are those of `MLPClassifier`.

    Attributes
    ----------
    n_outputs_ : int
        Of the network: of each target one for each of several quantiles, or with loss="gaussian" its
        mean and the logarithm of its variance.
    out_activation_ : {"identity", "exp"}
        "exp" for the Poisson loss.
    y_mean_, y_scale_ : (n_outputs,) numpy.ndarray
        With `standardize`, but not of the Poisson loss.
    coefs_, intercepts_, norms_, loss_, loss_curve_, ...
        All others are those of `MLPClassifier`.

    Raises
    ------
    ValueError, TypeError
        As `MLPClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.estimators import MLPRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> y = X[:, 0] ** 2
    >>> model = MLPRegressor(solver="lbfgs", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.99
    True
    """

    y_mean_: Array
    y_scale_: Array

    _classifies = False

    def __init__(
        self,
        loss: LossName | RowLoss = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: ActivationName | Sequence[ActivationName] = "relu",
        *,
        solver: SolverName = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        huber_delta: float = 1.0,
        quantile: float | Sequence[float] = 0.5,
        dropout: float | Sequence[float] = 0.0,
        batch_norm: bool = False,
        scoring: str | Callable[..., float] | None = None,
        restore_best: bool | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        progress: bool = False,
        schedule: Schedule | None = None,
        init: Literal["he", "xavier", "lecun", "zeros"] | float | None = None,
        coefs_init: Sequence[Sequence[ArrayLike]] | None = None,
        n_threads: int | None = None,
        max_seconds: float | None = None,
        standardize: bool = False,
        missing: Literal["refuse", "median", "mean"] = "refuse",
        add_indicator: bool = False,
        output_weights: Sequence[float] | None = None,
    ) -> None:
        self._keep(locals())

    # --- targets ----------------------------------------------------------------------------

    def _targets(self, y):
        if hasattr(y, "nnz") or y.dtype.kind not in "biuf":
            kind = "a sparse matrix" if hasattr(y, "nnz") else f"an array of dtype {y.dtype}"
            raise TypeError(f"MLPRegressor expects y as an array of numbers; got {kind}.")
        if not np.isfinite(y).all():  # None among objects, which becomes NaN only now
            raise ValueError("MLPRegressor expects y without missing values; got some.")
        if self.loss == "poisson" and np.min(y, initial=0) < 0:
            raise ValueError(f"MLPRegressor expects y of at least 0 for loss='poisson'; got {np.min(y):g}.")
        return y if y.ndim == 2 else y[:, np.newaxis]

    def _per_target(self):
        """How many outputs each target has."""
        if self._is_gaussian():
            return 2
        return len(self.quantile) if self._has_quantiles() else 1

    def _is_gaussian(self):
        return self.loss == "gaussian"

    def _has_quantiles(self):
        """Whether there are several, of each target."""
        return self.loss == "quantile" and np.ndim(self.quantile) > 0

    def _quick(self, X, y):
        n_targets = self.n_outputs_ // self._per_target()
        plain = (
            type(y) is np.ndarray
            and y.ndim <= 2
            and y.dtype in (checks.FLOAT64, checks.FLOAT32)
            and self.loss != "poisson"
            and self._is_plain(X)
            and y.shape == (len(X), n_targets)[: y.ndim]
            and (y.ndim == 2) == (n_targets > 1)
            and bool(np.isfinite(y).all())
        )
        return (X, y, y.reshape(len(y), -1)) if plain else None

    def _n_outputs_of(self, t):
        return t.shape[1] * self._per_target()

    def _out_activation(self):
        return "exp" if self.loss == "poisson" else "identity"

    def _plan_loss(self):
        kinds = {
            "squared_error": ("huber", np.inf),  # half the square
            "huber": ("huber", self.huber_delta),
            "quantile": ("quantile", self.quantile),
            "absolute_error": ("absolute", 1.0),
            "poisson": ("poisson", 1.0),
            "gaussian": ("gaussian", LEAST_VARIANCE),
        }
        kind, number = (None, 1.0) if callable(self.loss) else kinds[self.loss]
        weights = parameters.output_weights(self, self.n_outputs_ // self._per_target())
        if self._has_quantiles():
            of_each: list = [("quantile", one, 1) for one in parameters.quantiles(self) or ()]
        else:
            of_each = [(kind, number, self._per_target())]
        if weights is not None or self._has_quantiles() or self._is_gaussian():
            weights = [1.0] * (self.n_outputs_ // self._per_target()) if weights is None else weights
            kind, number = "parts", tuple((*part, weight) for weight in weights for part in of_each)
        # scikit-learn averages the squared error over the outputs, but adds up its gradient.
        scale = 1.0 if self.loss == "poisson" else (2 if self._is_gaussian() else 1) / self.n_outputs_
        return {"loss": kind, "number": number, "loss_scale": scale, "clip_loss": False}

    def _learn_targets(self, t, weights, ranks):
        if self.loss != "poisson":
            self.y_mean_, self.y_scale_ = preparing.scales(t, None, weights, ranks)

    def _engine_targets(self, t, dtype):
        if "y_scale_" in self.__dict__:
            t = (t - self.y_mean_) / self.y_scale_
        n = self._per_target()
        return checks.floats("MLPRegressor", "y", t if n == 1 else np.repeat(t, n, axis=1), dtype)

    def _in_units(self, array, shift=0):
        if "y_scale_" not in self.__dict__:
            return array
        n = array.shape[-1] // len(self.y_scale_)
        if n == 1:
            return (array * self.y_scale_ + shift * self.y_mean_).astype(array.dtype, copy=False)
        factors, shifts = (np.repeat(values, n) for values in (self.y_scale_, self.y_mean_))
        if self.loss == "gaussian":  # of a variance's logarithm
            factors[1::2], shifts[1::2] = 1, 2 * np.log(self.y_scale_)
        return (array * factors + shift * shifts).astype(array.dtype)

    def _validation(self, rows, ranks, name, X, y, weights):
        held_out = super()._validation(rows, ranks, name, X, y, weights)
        if ranks.total(len(held_out)) < 2 and self.scoring is None:
            raise ValueError(
                f"MLPRegressor expects at least 2 rows in {name}, as R^2 has no value for one; got "
                "1, so give it more, or a scoring."
            )
        return held_out

    def _predictions(self, x):
        return self._predicted(x, check=False)

    def _own_score(self, data, predicted):
        if not np.isfinite(predicted).all():
            return np.nan
        return self._score_of(data.labels, predicted, data.weights)

    def _score_of(self, y, predicted, weights):
        if not self._has_quantiles():
            return r2_score(y, predicted, sample_weight=weights)
        scores = [
            d2_pinball_score(y, predicted[..., k], alpha=quantile, sample_weight=weights)
            for k, quantile in enumerate(self.quantile)
        ]
        return float(np.mean(scores))

    def _network_loss(self):
        losses: dict = {
            "squared_error": MeanSquaredError,
            "absolute_error": MeanAbsoluteError,
            "huber": self._huber,
            "poisson": PoissonLoss,
            "quantile": lambda **weights: QuantileLoss(self.quantile, **weights),
            "gaussian": lambda **weights: GaussianLoss(LEAST_VARIANCE, **weights),
        }
        return losses[self.loss](output_weights=self.output_weights) if isinstance(self.loss, str) else None

    def _huber(self, **weights):
        """The loss in the targets' units, which has one delta for all outputs."""
        scales = getattr(self, "y_scale_", np.ones(1))
        return HuberLoss(float(self.huber_delta * scales[0]), **weights) if len(scales) == 1 else None

    # --- using ------------------------------------------------------------------------------

    @available_if(can_fit_partially)
    def partial_fit(
        self,
        X: Features,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        comm: AnyCommunicator | None = None,
        rows: Literal["all", "own"] = "all",
        average_every: int = 1,
    ) -> Self:
        """One epoch over the given rows.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
        y : array_like, (n_samples,) or (n_samples, n_outputs)
        sample_weight : array_like, (n_samples,)
        comm, rows, average_every
            As `fit` takes them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            With early stopping.
        """
        return self._train(X, y, sample_weight, (), True, None, comm, rows, average_every)

    def _raw(self, X, check=True):
        """The outputs in the targets' units, (n_rows, n_outputs)."""
        return self._in_units(forward.finish(self._outputs(X, check), getattr(self, "out_activation_", None)), 1)

    def _predicted(self, X, check=True):
        z = self._raw(X, check)
        if self._is_gaussian():
            z = z[:, ::2]
        elif self._has_quantiles():
            z = np.sort(z.reshape(len(z), -1, len(self.quantile)), axis=2)
            return z[:, 0] if z.shape[1] == 1 else z
        return z.ravel() if z.shape[1] == 1 else z

    @overload
    def predict(self, X: Features, return_std: Literal[False] = False) -> Array: ...

    @overload
    def predict(self, X: Features, return_std: Literal[True]) -> tuple[Array, Array]: ...

    def predict(self, X: Features, return_std: bool = False) -> Array | tuple[Array, Array]:
        """The predictions for the rows.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
        return_std : bool
            Whether the deviations of the normal distributions come too, with loss="gaussian".

        Returns
        -------
        numpy.ndarray
            (n_samples,) or (n_samples, n_targets); of several quantiles (n_samples, n_quantiles) or
            (n_samples, n_targets, n_quantiles), sorted.
        numpy.ndarray
            With `return_std`: the deviations, of the predictions' shape, in the targets' units.

        Raises
        ------
        ValueError
            For `return_std` of another loss.
        """
        if not checks.flag("MLPRegressor.predict", "return_std", return_std):
            return self._predicted(X)
        if not self._is_gaussian():
            raise ValueError(f"MLPRegressor.predict expects loss='gaussian' for return_std; got loss={self.loss!r}.")
        z = self._raw(X)
        scale = getattr(self, "y_scale_", np.ones(z.shape[1] // 2))
        deviations = np.sqrt(np.exp(z[:, 1::2]) + LEAST_VARIANCE * np.square(scale)).astype(z.dtype)
        return tuple(a.ravel() if a.shape[1] == 1 else a for a in (z[:, ::2], deviations))

    def score(self, X: Features, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R^2 of the predictions, or of several quantiles the mean D^2 of their pinball losses.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
        y : array_like, (n_samples,) or (n_samples, n_targets)
        sample_weight : array_like, (n_samples,)

        Returns
        -------
        float
            1 is the best; 0 is what the means, or the quantiles, of y alone would have.
        """
        return self._score_of(y, self.predict(X), sample_weight)
