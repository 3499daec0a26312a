"""`MLPClassifier`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from fastbp.estimators import forward, parameters
from fastbp.estimators.base import MLP, can_fit_partially
from fastbp.losses import SigmoidWithLoss, SoftmaxWithLoss

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from fastbp._typing import Array, ArrayLike, Callback, Features, RowLoss, Schedule
    from fastbp.communicators import AnyCommunicator
    from fastbp.estimators.parameters import ActivationName, SolverName


class MLPClassifier(ClassifierMixin, MLP):
    """scikit-learn's multilayer perceptron for classification, on the training engine.

    Parameters up to `max_fun` are scikit-learn's, with its defaults, and give its numbers
    within rounding for a given `random_state` [1]_.  `activation` and `solver` take more, and the
    parameters behind `max_fun` are the library's own.

    Parameters
    ----------
    hidden_layer_sizes : array_like of int
    activation : str or sequence of str
        scikit-learn's, and the names that `Sequential.from_config` takes, as "gelu"; one for all
        hidden layers, or one for each.
    solver : str
        scikit-learn's, and the optimisers of `fastbp.optim` in small letters, as "rmsprop".
        `beta_2` is RMSprop's decay and Adadelta's rho too; for "adamw" and "lion" `alpha` is the
        decoupled decay, not divided by the rows and no part of the loss.
    alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle
        As scikit-learn's.
    random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping
        As scikit-learn's.
    validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As scikit-learn's.
    loss : "log_loss" or callable
        A function of (y, outputs), both (n, n_outputs): zeros and ones, and outputs before
        softmax or logistic.  It returns each row's loss (n,) and its gradient by the outputs.
    label_smoothing : float
        The share of each target that is spread over all classes.
    class_weight : dict, "balanced" or None
        Factors of the rows' weights; "balanced" gives all classes the same total of weights, as
        scikit-learn's logistic regression does.  They weigh the score of rows that
        `early_stopping` draws too, but not of those given to `fit`.
    dropout : float or sequence of float
        The share of each hidden layer's outputs that is dropped while training.
    batch_norm : bool
        Batch normalisation before each hidden activation.  A single row that would be left over
        as the last batch joins the one before.
    scoring : str, callable or None
        The scorer of the validation data; None: the accuracy.  Needs `early_stopping` or
        `validation_data`.
    restore_best : bool or None
        Whether the best weights are kept: those of the best validation score where there is one,
        else those from which the epoch of the lowest loss began (after the last epoch, where
        that is the one); a diverging training then ends at once.  None: with `early_stopping`.
    callbacks : callable, sequence of callables or None
        Called with the estimator after each epoch (each iteration of L-BFGS); one that returns
        True ends the training; None, False and the estimator itself, as `set_params` gives it,
        go on.  What one writes into `coefs_` holds, as do the rates, `alpha`, `tol` and what else
        a training reads as it goes; it refuses changes of others, and L-BFGS of all but `verbose`.
    progress : bool
        A bar of tqdm.
    schedule : callable or None
        A function of the epochs done that gives the factor of `learning_rate_init`, as
        `fastbp.CosineDecay(epochs=20)`; fractions of epochs are passed too.
    init : {"he", "xavier", "lecun", "zeros"}, float or None
        First weights by `fastbp.init.weights`, biases 0; None: scikit-learn's.
    coefs_init : (coefs, intercepts) or None
        Weights to start from, which are copied.
    n_threads : int or None
        None: one for small steps, else the cores that the process may use.
    max_seconds : float or None
        Time after which no further step begins; the first is always made.
    standardize : bool
        Whether features get mean 0 and deviation 1 over the training's rows, by the sizes of their
        weights, before the first layer; a constant becomes 0, and sparse rows are divided only.  The
        first rows settle it: `partial_fit` and `warm_start` go on with their scale.  `coefs_` are
        those of the standardised features.
    missing : {"refuse", "median", "mean"}
        What stands for NaN in dense rows, in the training and in predictions: an error, or the
        feature's median or mean over the training's rows (0 where it has no value there).
    add_indicator : bool
        Whether each feature with missing values among the first rows given to `fit` gets one more
        column behind all others, of zeros and ones, that tells where they are missing.
    output_weights : sequence of float or None
        The weight of each label of a multilabel target: a row's loss is the weighted sum of its labels'
        losses, in which the weights are on average 1.

    Attributes
    ----------
    coefs_, intercepts_ : list of numpy.ndarray
        (n_in, n_out) and (n_out,) of each layer.  Writing into them holds for what follows.
    norms_ : list of numpy.ndarray
        gamma, beta, mean and variance, (4, width), of each batch normalisation.
    classes_ : numpy.ndarray
    loss_, best_loss_ : float
        `best_loss_` is None with `early_stopping`.
    loss_curve_ : list of float
        Of each epoch; not with L-BFGS.
    validation_scores_ : list of float or None
    best_validation_score_ : float or None
    n_iter_, t_, n_layers_, n_outputs_, n_features_in_ : int
    feature_names_in_ : numpy.ndarray
        Of data frames.
    out_activation_ : {"softmax", "logistic"}
    x_mean_, x_scale_ : (n_features,) numpy.ndarray
        With `standardize`: what is subtracted from the features, and what they are divided by.
    x_fill_, x_marked_ : numpy.ndarray
        With `missing`: what stands for missing values, (n_features,), and the numbers of the
        features that have an indicator.

    Raises
    ------
    ValueError, TypeError
        scikit-learn's for its parameters and for data that do not fit; one sentence for others,
        and for parameters that would do nothing beside each other.  Before the first step, the
        estimator stays as it was.

    References
    ----------
    .. [1] Pedregosa et al., Scikit-learn: machine learning in Python (2011).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp.estimators import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20, 10), learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    classes_: Any

    _classifies = True

    def __init__(
        self,
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
        loss: Literal["log_loss"] | RowLoss = "log_loss",
        label_smoothing: float = 0.0,
        class_weight: dict[Any, float] | list[dict[Any, float]] | Literal["balanced"] | None = None,
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

    def _meet_classes(self, classes, y):
        known = getattr(self, "classes_", None)
        if known is None and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if isinstance(self.class_weight, str):
            raise ValueError(
                "MLPClassifier.partial_fit expects class_weight as a dictionary, because a batch "
                f"does not tell how frequent classes are; got {self.class_weight!r}."
            )
        if known is None:
            self.classes_ = unique_labels(classes)
            self._multilabel = type_of_target(y).startswith("multilabel")
            self._sparse_labels = hasattr(y, "tocsr")
        elif classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}")

    def _learn_classes(self, y, anew):
        if anew or not hasattr(self, "classes_"):
            self.__dict__.pop("_label_binarizer", None)  # the user's, of weights put in by hand
            binarizer = LabelBinarizer().fit(y)  # with its errors
            self.classes_ = binarizer.classes_
            self._multilabel = binarizer.y_type_.startswith("multilabel")
            self._sparse_labels = binarizer.sparse_input_
            return
        classes = unique_labels(y)
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the "
                    f"previous call to fit. Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _adopt(self):
        super()._adopt()
        binarizer = self.__dict__.pop("_label_binarizer", None)
        classes = getattr(self, "classes_", getattr(binarizer, "classes_", None))
        if classes is not None and not hasattr(self, "_multilabel"):
            self.classes_ = np.asarray(classes)
            n_outputs = len(self.intercepts_[-1])
            self._multilabel = n_outputs > 1 and getattr(self, "out_activation_", None) == "logistic"
            self._sparse_labels = getattr(binarizer, "sparse_input_", False)

    def _targets(self, y):
        """Indices (n,) of several classes; else bools (n, n_outputs)."""
        if self._multilabel:
            y = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
            if y.ndim != 2 or y.shape[1] != len(self.classes_):
                raise ValueError(
                    f"MLPClassifier expects y of {len(self.classes_)} labels, as before; got y of shape {y.shape}."
                )
            return y != 0
        indices = self._indices(y)
        if indices is None:
            raise ValueError(f"MLPClassifier expects y of the classes {self.classes_}; got others.")
        return indices if len(self.classes_) > 2 else indices.reshape(-1, 1) == 1

    def _indices(self, y):
        """Which class each of y is, int64; None where one is none."""
        indices = np.searchsorted(self.classes_, y)
        np.minimum(indices, len(self.classes_) - 1, out=indices)
        return indices if y.ndim == 1 and (self.classes_[indices] == y).all() else None

    def _quick(self, X, y):
        plain = (
            type(y) is np.ndarray
            and y.ndim == 1
            and y.dtype == self.classes_.dtype
            and not (self._multilabel or self.warm_start)
            and self._is_plain(X)
            and len(X) == len(y)
        )
        indices = self._indices(y) if plain else None
        if indices is None:
            return None
        return X, y, indices if len(self.classes_) > 2 else indices.reshape(-1, 1) == 1

    def _n_outputs_of(self, t):
        return len(self.classes_) if t.ndim == 1 else t.shape[1]

    def _out_activation(self):
        several = not self._multilabel and len(self.classes_) > 2
        return "softmax" if several else "logistic"

    def _plan_loss(self):
        name = "softmax" if self.out_activation_ == "softmax" else "sigmoid"
        weights = parameters.output_weights(self, self.n_outputs_ if self._multilabel else None)
        if weights is not None:
            parts = tuple((name, 0.0, 1, weight) for weight in weights)
            return {"loss": "parts", "number": parts, "loss_scale": 1.0, "clip_loss": False}
        return {"loss": None if callable(self.loss) else name, "number": 0.0, "loss_scale": 1.0, "clip_loss": True}

    def _engine_targets(self, t, dtype):
        share = self.label_smoothing
        if t.ndim == 2:
            return np.ascontiguousarray(t * dtype.type(1 - share) + dtype.type(share / 2), dtype)
        if not (share or callable(self.loss)):
            return t
        rows = np.full((len(t), len(self.classes_)), share / len(self.classes_), dtype)
        rows[np.arange(len(t)), t] += dtype.type(1 - share)
        return rows

    def _weights(self, X, y, sample_weight, ranks):
        weights = super()._weights(X, y, sample_weight, ranks)
        if self.class_weight is None:
            return weights
        try:
            own = self._weights_of_classes(y, weights, ranks)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "MLPClassifier expects class_weight as weights of its classes, which may name "
                f"others beside all of them; got {self.class_weight!r}: {str(error).rstrip('.')}."
            ) from error
        both = own if weights is None else own * weights
        if not (ranks.total(both.any()) and np.isfinite(both).all() and own.min(initial=0) >= 0):
            raise ValueError(
                "MLPClassifier expects class_weight to give finite weights that are not negative "
                f"and not all 0; got {self.class_weight!r}."
            )
        return both

    def _weights_of_classes(self, y, weights, ranks):
        """The rows' weights by `class_weight`."""
        if isinstance(self.class_weight, str):
            y = y.toarray() if hasattr(y, "toarray") else y
            if not self._multilabel:
                return _balanced(self._indices(y), len(self.classes_), weights, ranks.total)
            return np.prod([_balanced(labels != 0, 2, weights, ranks.total) for labels in y.T], axis=0)
        if self._multilabel:
            return compute_sample_weight(self.class_weight, y)
        # Of all classes: a batch may lack some.
        of_each = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_)
        return of_each[self._indices(y)]

    def _stratify(self, t):
        return t > 0.5 if self.n_outputs_ == 1 else None

    def _predictions(self, x):
        return self._labels(self._proba(x, check=False))

    def _own_score(self, data, predicted):
        return accuracy_score(data.labels, predicted, sample_weight=data.weights)

    def _network_loss(self):
        if callable(self.loss):
            return None
        if self.out_activation_ == "softmax":
            return SoftmaxWithLoss()
        return SigmoidWithLoss(output_weights=self.output_weights)

    # --- using ------------------------------------------------------------------------------

    @available_if(can_fit_partially)
    def partial_fit(
        self,
        X: Features,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        *,
        comm: AnyCommunicator | None = None,
        rows: Literal["all", "own"] = "all",
        average_every: int = 1,
    ) -> Self:
        """One epoch over the given rows.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
        y : array_like, (n_samples,)
        sample_weight : array_like, (n_samples,)
        classes : array_like
            All classes, at the first call.
        comm, rows, average_every
            As `fit` takes them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a first call without classes, other classes than before, early stopping, or
            class_weight="balanced".
        """
        return self._train(X, y, sample_weight, (), True, classes, comm, rows, average_every)

    def _proba(self, X, check=True):
        """The output activations."""
        return forward.finish(self._outputs(X, check), getattr(self, "out_activation_", None))

    def _labels(self, proba):
        if "_label_binarizer" in self.__dict__:  # put in by hand
            proba = proba[:, 0] if proba.shape[1] == 1 else proba
            return self._label_binarizer.inverse_transform(proba)
        if not hasattr(self, "classes_"):
            raise ValueError(
                f"{type(self).__name__}.predict expects classes_ beside coefs_ that are put in by hand; got none."
            )
        if self.out_activation_ == "softmax":
            classes = np.asarray(self.classes_)
            if len(classes) != proba.shape[1]:
                raise ValueError(
                    f"{type(self).__name__}.predict expects classes_ of the {proba.shape[1]} "
                    f"outputs; got {len(classes)}."
                )
            return classes[proba.argmax(axis=1)]
        if getattr(self, "_multilabel", proba.shape[1] > 1):
            labels = (proba > 0.5).astype(int)
            return csr_matrix(labels) if getattr(self, "_sparse_labels", False) else labels
        places = np.minimum(proba[:, 0] > 0.5, len(self.classes_) - 1).astype(int)
        return np.asarray(self.classes_)[places]

    def predict(self, X: Features) -> Array:
        """The classes of the rows.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)

        Returns
        -------
        numpy.ndarray
            (n_samples,) labels, or (n_samples, n_classes) zeros and ones of several labels.
        """
        return self._labels(self._proba(X))

    def predict_proba(self, X: Features) -> Array:
        """The classes' probabilities, in the order of `classes_`.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)

        Returns
        -------
        numpy.ndarray
            (n_samples, n_classes)
        """
        proba = self._proba(X)
        if proba.shape[1] == 1:
            return np.hstack([1 - proba, proba])
        return proba

    def predict_log_proba(self, X: Features) -> Array:
        """The logarithms of the classes' probabilities.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)

        Returns
        -------
        numpy.ndarray
            (n_samples, n_classes)
        """
        proba = self.predict_proba(X)
        return np.log(proba, out=proba)

    @classmethod
    def from_sklearn(cls, fitted: Any) -> Self:
        model = super().from_sklearn(fitted)
        model._multilabel = model.out_activation_ == "logistic" and model.n_outputs_ > 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of feature names
            model._sparse_labels = hasattr(fitted.predict(np.zeros((1, model.n_features_in_))), "nnz")
        return model

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _balanced(places, n, weights, total):
    """Factors of the rows' weights that give all n labels the same total; 0 of labels without."""
    totals = total(np.bincount(places, weights, n))
    some = totals != 0
    factors = np.zeros(n)
    factors[some] = totals.sum() / (some.sum() * totals[some])
    return factors[places.astype(np.intp)]
