"""`MLPRegressor`."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from fastbp import checks
from fastbp.estimators import forward, preparing
from fastbp.estimators.base import MLP, can_fit_partially
from fastbp.losses import HuberLoss, MeanAbsoluteError, MeanSquaredError, PoissonLoss, QuantileLoss


class MLPRegressor(RegressorMixin, MLP):
    """scikit-learn's multilayer perceptron for regression, on the training engine.

    Parameters
    ----------
    loss : str or callable
        "squared_error" and "poisson", scikit-learn's halves; "absolute_error", "huber",
        "quantile"; or a function of (y, outputs), both (n, n_outputs), that returns each row's
        loss (n,) and its gradient by the outputs.  Losses of several outputs are averaged over
        them and their gradients added up, as scikit-learn does.
    huber_delta : float
        Where the Huber loss goes over from a parabola into a line.
    quantile : float
        Which quantile loss="quantile" predicts.
    standardize : bool
        As `MLPClassifier`'s; and the targets too, but for the counts of loss="poisson", get mean 0
        and deviation 1.  Predictions come in the targets' own units; `loss_`, `huber_delta` and what a
        `loss` of one's own is given are in deviations.
    hidden_layer_sizes, activation, solver, ...
        All others are those of `MLPClassifier`.

    Attributes
    ----------
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

    _classifies = False

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        huber_delta=1.0,
        quantile=0.5,
        dropout=0.0,
        batch_norm=False,
        scoring=None,
        restore_best=None,
        callbacks=None,
        progress=False,
        schedule=None,
        init=None,
        coefs_init=None,
        n_threads=None,
        max_seconds=None,
        standardize=False,
        missing="refuse",
        add_indicator=False,
    ):
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

    def _quick(self, X, y):
        plain = (
            type(y) is np.ndarray
            and y.ndim <= 2
            and y.dtype in (checks.FLOAT64, checks.FLOAT32)
            and self.loss != "poisson"
            and self._is_plain(X)
            and y.shape == (len(X), self.n_outputs_)[: y.ndim]
            and (y.ndim == 2) == (self.n_outputs_ > 1)
            and bool(np.isfinite(y).all())
        )
        return (X, y, y.reshape(len(y), -1)) if plain else None

    def _n_outputs_of(self, t):
        return t.shape[1]

    def _out_activation(self):
        return "exp" if self.loss == "poisson" else "identity"

    def _plan_loss(self):
        kinds = {
            "squared_error": ("huber", np.inf),  # half the square
            "huber": ("huber", self.huber_delta),
            "quantile": ("quantile", self.quantile),
            "absolute_error": ("absolute", 1.0),
            "poisson": ("poisson", 1.0),
        }
        kind, number = (None, 1.0) if callable(self.loss) else kinds[self.loss]
        # scikit-learn averages the squared error over the outputs, but adds up its gradient.
        scale = 1.0 if self.loss == "poisson" else 1 / self.n_outputs_
        return {"loss": kind, "number": number, "loss_scale": scale, "clip_loss": False}

    def _learn_targets(self, t, weights, ranks):
        if self.loss != "poisson":
            self.y_mean_, self.y_scale_ = preparing.scales(t, None, weights, ranks)

    def _engine_targets(self, t, dtype):
        if "y_scale_" in self.__dict__:
            t = (t - self.y_mean_) / self.y_scale_
        return checks.floats("MLPRegressor", "y", t, dtype)

    def _in_units(self, array, shift=0):
        if "y_scale_" not in self.__dict__:
            return array
        return (array * self.y_scale_ + shift * self.y_mean_).astype(array.dtype)

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
        return r2_score(data.labels, predicted, sample_weight=data.weights)

    def _network_loss(self):
        losses = {
            "squared_error": MeanSquaredError,
            "absolute_error": MeanAbsoluteError,
            "huber": self._huber,
            "poisson": PoissonLoss,
            "quantile": lambda: QuantileLoss(self.quantile),
        }
        return losses.get(self.loss, lambda: None)() if isinstance(self.loss, str) else None

    def _huber(self):
        """The loss in the targets' units, which has one delta for all outputs."""
        scales = getattr(self, "y_scale_", np.ones(1))
        return HuberLoss(float(self.huber_delta * scales[0])) if len(scales) == 1 else None

    # --- using ------------------------------------------------------------------------------

    @available_if(can_fit_partially)
    def partial_fit(self, X, y, sample_weight=None, *, comm=None, rows="all", average_every=1):
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

    def _predicted(self, X, check=True):
        z = self._in_units(forward.finish(self._outputs(X, check), getattr(self, "out_activation_", None)), 1)
        return z.ravel() if z.shape[1] == 1 else z

    def predict(self, X):
        """The predictions for the rows.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)

        Returns
        -------
        numpy.ndarray
            (n_samples,) or (n_samples, n_outputs)
        """
        return self._predicted(X)
