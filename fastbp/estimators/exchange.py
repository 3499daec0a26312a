"""A fitted estimator as a `Sequential`, and one of scikit-learn's as one of ours."""

import numpy as np
from sklearn import neural_network
from sklearn.utils.validation import check_is_fitted

from fastbp import checks
from fastbp.estimators import forward, parameters, preparing
from fastbp.layers import Affine, BatchNorm1d, Dropout, Layer
from fastbp.network import Sequential


def network(model):
    """A `Sequential` with copies of a fitted estimator's weights, in the rows' and targets' units."""
    layers: list[Layer] = []
    coefs, intercepts = list(model.coefs_), list(model.intercepts_)
    prepare = preparing.of(model)
    if prepare is not None:
        coefs[0], intercepts[0] = prepare.folded(coefs[0], intercepts[0])
    coefs[-1], intercepts[-1] = model._in_units(coefs[-1]), model._in_units(intercepts[-1], 1)
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


def estimator(cls, fitted):
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
    for name, value in vars(fitted).items():
        if name.endswith("_") and not name.startswith("_"):
            if isinstance(value, list):
                value = [np.array(one) if isinstance(one, np.ndarray) else one for one in value]
            setattr(model, name, value)
    model.norms_ = []
    return model
