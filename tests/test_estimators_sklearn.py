"""scikit-learn's own checks of estimators, and its own tests of its MLP, for fastbp's classes."""

import importlib.util

import pytest
from sklearn import neural_network
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp.estimators import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1"),
    # An overflow in the test's own arithmetic, where a training diverges on purpose.
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
#: Tests of scikit-learn's that use names which are private to it.
PRIVATE = {"test_gradient": "it calls _loss_grad_lbfgs"}


CHECKS = parametrize_with_checks(
    [
        MLPClassifier(),
        MLPRegressor(),
        MLPClassifier(solver="sgd"),
        MLPRegressor(solver="sgd"),
        MLPClassifier(solver="lbfgs", max_iter=20),
        MLPRegressor(solver="lbfgs"),
    ]
)


# As a list, because pytest 9 warns of the generator of scikit-learn 1.7.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learns_check(estimator, check):
    check(estimator)


@pytest.fixture
def global_random_seed():
    return 42


def module_with_our_classes():
    """scikit-learn's test module, executed while our classes stand in the place of its own."""
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    module = importlib.util.module_from_spec(spec)
    theirs = {kind: getattr(neural_network, kind) for kind in ("MLPClassifier", "MLPRegressor")}
    try:
        neural_network.MLPClassifier, neural_network.MLPRegressor = MLPClassifier, MLPRegressor
        spec.loader.exec_module(module)
    finally:
        vars(neural_network).update(theirs)
    return module


MODULE = module_with_our_classes()
for _name, _test in vars(MODULE).items():
    if _name.startswith("test_"):
        if _name in PRIVATE:
            _test = pytest.mark.skip(reason=PRIVATE[_name])(_test)
        globals()[_name.replace("test_", "test_of_scikit_learn_", 1)] = _test


def test_the_tests_of_scikit_learn_run_with_our_classes():
    assert MODULE.MLPClassifier is MLPClassifier and MODULE.MLPRegressor is MLPRegressor
    assert neural_network.MLPClassifier is not MLPClassifier
    assert sum(name.startswith("test_of_scikit_learn_") for name in globals()) > 40
