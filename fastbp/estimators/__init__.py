"""scikit-learn's multilayer perceptrons on the training engine.

``from fastbp.estimators import MLPClassifier, MLPRegressor`` takes the place of the import from
``sklearn.neural_network``: the same parameters, attributes, errors and, for a given
`random_state`, the same curve within rounding; and the parameters that `MLPClassifier` lists
behind `max_fun`.

`base`, `classifier` and `regressor` are the contract, `parameters` what they take, `solver` the
plan and its state, `preparing` what rows go through before it, `loops` and `lbfgs` the trainings,
`forward` the predictions.
"""

from fastbp import checks

try:
    import sklearn  # noqa: F401
except ImportError:
    raise checks.missing_extra("scikit-learn", "fastbp.estimators") from None

from fastbp.estimators.classifier import MLPClassifier
from fastbp.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
