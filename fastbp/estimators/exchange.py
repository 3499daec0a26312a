"""A fitted estimator as a `Sequential`, one of scikit-learn's as one of ours, and the reverse."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn import neural_network
from sklearn.utils.validation import check_is_fitted

from fastbp import checks
from fastbp._kernels import engine
from fastbp.estimators import forward, parameters, preparing
from fastbp.estimators.solver import OF_OPTIMIZERS
from fastbp.layers import Affine, BatchNorm1d, Dropout, Layer
from fastbp.network import Sequential


def network(model: Any, ready: bool = False) -> Sequential:
    """A `Sequential` with copies of a fitted estimator's weights, in the rows' and targets' units.

    With `ready` it takes rows that have gone through `preparing.of(model)`.
    """
    layers: list[Layer] = []
    coefs, intercepts = list(model.coefs_), list(model.intercepts_)
    _put_in_units(model, coefs, intercepts, ready)
    names = parameters.activations(model, len(model.coefs_) - 1)
    drops = parameters.per_layer(model, "dropout", len(names))
    for k, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        layers.append(Affine(np.array(W, order="C"), np.array(b)))
        if k == len(names):
            break
        if getattr(model, "norms_", None):
            norm = BatchNorm1d(len(b), forward.NORM_EPS, dtype=W.dtype)
            for array, values in zip(
                (norm.gamma, norm.beta, norm.running_mean, norm.running_var), model.norms_[k], strict=True
            ):
                array[...] = values
            layers.append(norm)
        layers.append(parameters.ACTIVATIONS[names[k]]())
        if drops[k]:
            layers.append(Dropout(drops[k]))
    return Sequential(*layers, loss=model._network_loss())


def _put_in_units(model, coefs, intercepts, ready=False):
    """Let the first and the last layer take rows, and give numbers, in their own units."""
    prepare = None if ready else preparing.of(model)
    if prepare is not None:
        coefs[0], intercepts[0] = prepare.folded(coefs[0], intercepts[0])
    coefs[-1], intercepts[-1] = model._in_units(coefs[-1]), model._in_units(intercepts[-1], 1)


def estimator(cls: Any, fitted: Any) -> Any:
    """An estimator of a class of ours like a fitted one of scikit-learn's."""
    who, kind = (f"{cls.__name__}.from_sklearn", "MLPClassifier" if cls._classifies else "MLPRegressor")
    theirs = getattr(neural_network, kind)
    checks.instance(who, "fitted", fitted, theirs, f"a fitted {kind} of scikit-learn")
    check_is_fitted(fitted)
    given = {name: getattr(fitted, name) for name in theirs().get_params()}
    try:
        model = cls(**given)
    except TypeError as error:
        raise TypeError(
            f"{who} expects a class whose constructor takes scikit-learn's parameters; got {cls.__name__} ({error})."
        ) from None
    vars(model).update(_learned(fitted))
    model.norms_ = []
    return model


def _learned(fitted):
    """The public attributes of a fitted estimator, with copies of the arrays in lists."""
    return {
        name: [np.array(one) if isinstance(one, np.ndarray) else one for one in value]
        if isinstance(value, list)
        else value
        for name, value in vars(fitted).items()
        if name.endswith("_") and not name.startswith("_")
    }


# --- to scikit-learn ------------------------------------------------------------------------

#: What scikit-learn has of parameters that may be more here.
_ACTIVATIONS = ("identity", "logistic", "relu", "tanh")
_SOLVERS = ("lbfgs", "sgd", "adam")
_LOSSES = ("log_loss", "squared_error", "poisson")
#: What changes no training.
_SILENT = ("n_threads", "progress")


def theirs(model: Any) -> Any:
    """scikit-learn's estimator like a fitted one of ours."""
    who = f"{type(model).__name__}.to_sklearn"
    check_is_fitted(model)
    model._require_layers()
    if not model._classifies and model._per_target() > 1:
        raise ValueError(
            f"{who} expects a network with one output for each target; got loss={model.loss!r} with more, which "
            "scikit-learn has not: to_sequential() keeps them."
        )
    coefs, intercepts = _folded(model)
    given, left_out = _parameters_for_theirs(model, who, len(coefs) - 1)
    fitted = _begun(model, who, given, coefs)
    vars(fitted).update(given)
    vars(fitted).update(
        {name: value for name, value in _learned(model).items() if name not in ("norms_", *preparing.LEARNED)}
    )
    fitted.coefs_, fitted.intercepts_ = coefs, intercepts
    # What early stopping of a training that goes on falls back to.
    fitted._best_coefs, fitted._best_intercepts = ([np.array(a) for a in some] for some in (coefs, intercepts))
    fitted._no_improvement_count = getattr(model, "_no_improvement_count", 0)
    solver = getattr(model, "_optimizer", None)
    in_units = any(name in vars(model) for name in preparing.LEARNED)  # the solver's states are of other weights
    if solver is None or solver.norms or in_units or given["solver"] != solver.asked["solver"]:
        del fitted._optimizer  # a training begins with a fresh one
    else:
        _hand_over(solver, fitted._optimizer)
    if given["solver"] == "lbfgs":  # of which the step of zeros was none
        for name in ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"):
            if not hasattr(model, name):
                vars(fitted).pop(name, None)
        del fitted._no_improvement_count
    if left_out:
        warnings.warn(
            f"{who} leaves out {', '.join(left_out)}, which scikit-learn has not: the predictions are the same, "
            "a training that goes on is not.",
            UserWarning,
            stacklevel=3,
        )
    return fitted


def _folded(model):
    """Copies of the weights, each batch normalisation within those before it, in the rows' and targets' units."""
    coefs, intercepts = ([np.array(array) for array in some] for some in (model.coefs_, model.intercepts_))
    for k, norm in enumerate(getattr(model, "norms_", ())):
        gamma, beta, mean, variance = norm
        factor = gamma / np.sqrt(variance + norm.dtype.type(forward.NORM_EPS))
        coefs[k] = coefs[k] * factor
        intercepts[k] = (intercepts[k] - mean) * factor + beta
    _put_in_units(model, coefs, intercepts)
    return coefs, intercepts


def _parameters_for_theirs(model, who, n_hidden):
    """Those of scikit-learn's constructor, and what of ours it has not, in words."""
    kind = _their_class(model)
    names = set(parameters.activations(model, n_hidden))
    own = [name for name in sorted(names) if name not in _ACTIVATIONS]
    if own or len(names) > 1:
        raise ValueError(
            f"{who} expects one activation of scikit-learn's, {', '.join(map(repr, _ACTIVATIONS))}, in all hidden "
            f"layers; got {', '.join(map(repr, own or sorted(names)))}."
        )
    given = {name: getattr(model, name) for name in kind().get_params() if hasattr(model, name)}
    if names:
        (given["activation"],) = names
    left_out = []
    for name, known, other in (
        ("solver", _SOLVERS, "adam"),
        ("loss", _LOSSES, "log_loss" if model._classifies else "squared_error"),
    ):
        value = getattr(model, name)
        if not (isinstance(value, str) and value in known):
            left_out.append(f"{name}={value!r}, for which it takes {other!r}")
            if name in given:
                given[name] = other
    cls = next(base for base in type(model).__mro__ if base.__module__.startswith("fastbp.estimators."))
    for name, parameter in inspect.signature(cls).parameters.items():
        value = getattr(model, name, parameter.default)
        unlike = np.any(value) if name == "dropout" else not (value is parameter.default or value == parameter.default)
        if name not in (*given, *_SILENT, "loss") and unlike:
            left_out.append(name)
    return given, left_out


def _their_class(model):
    return neural_network.MLPClassifier if model._classifies else neural_network.MLPRegressor


def _begun(model, who, given, coefs):
    """One of scikit-learn's that has made a step of zeros, so that it has all that it needs within."""
    hidden = tuple([W.shape[1] for W in coefs[:-1]])
    n_in, n_out = coefs[0].shape[0], coefs[-1].shape[1]
    own = {"hidden_layer_sizes": hidden, "activation": given["activation"], "random_state": 0}
    own["solver"] = "adam" if given["solver"] == "lbfgs" else given["solver"]
    own |= {name: given[name] for name in OF_OPTIMIZERS}
    x = np.zeros((2, n_in), coefs[0].dtype)
    if not model._classifies:
        own["loss"] = given.get("loss", "squared_error")
        return _their_class(model)(**own).partial_fit(x, np.zeros(2 if n_out == 1 else (2, n_out)))
    classes = getattr(model, "classes_", None)
    if classes is None:
        raise ValueError(f"{who} expects classes_ beside coefs_ that are put in by hand; got none.")
    y = np.asarray(classes)[[0, -1]]
    if getattr(model, "_multilabel", False):
        y = np.repeat([[0], [1]], n_out, axis=1)
        y = csr_matrix(y) if getattr(model, "_sparse_labels", False) else y
    return _their_class(model)(**own).partial_fit(x, y, classes=classes)


def _hand_over(solver, optimizer):
    """Give scikit-learn's optimiser what ours keeps of each parameter."""
    kept = {(layer, part - engine.FIRST_STATE): pair for layer, part, pair in solver.states()}

    def of_all(part, like):  # as its lists are: of the weights, then of the biases
        if not kept:
            return [np.zeros_like(array) for array in like]
        return [kept[layer, part][which] for which in (0, 1) for layer in solver.affines]

    if solver.asked["solver"] == "sgd":
        optimizer.learning_rate = rate = solver.learning_rate
        # Its velocities are steps, the engine's gradients.
        optimizer.velocities = [-rate * array for array in of_all(0, optimizer.velocities)]
    else:
        optimizer.t = solver._steps_done()
        optimizer.ms, optimizer.vs = of_all(0, optimizer.ms), of_all(1, optimizer.vs)
