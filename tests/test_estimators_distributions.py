"""`MLPRegressor` of several quantiles, and of means with their deviations."""

import pickle

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import mean_pinball_loss

from fastbp._kernels import engine
from fastbp.estimators import MLPRegressor, regressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1"),
]
QUANTILES = (0.1, 0.5, 0.9)
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}
TRAINED = {"hidden_layer_sizes": (30,), "activation": "tanh", "solver": "lbfgs", "random_state": 0}


def noisy(n=1500, seed=0):
    """Rows, targets, and the deviations of their noise, which grow with |x|."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 1))
    deviation = 1e4 * (0.1 + 0.3 * np.abs(x[:, 0]))
    return x, 5e5 + 1e4 * np.sin(2 * x[:, 0]) + deviation * rng.standard_normal(n), deviation


X, Y, DEVIATIONS = noisy()
TWO = np.stack([Y, -3 * X[:, 0]], axis=1)


# --- the losses in the engine ---------------------------------------------------------------


def quantiles(z, t, a):
    d = z - t
    return np.where(d > 0, (1 - a) * d, -a * d).sum(axis=1), np.where(d > 0, 1 - a, -a)


def gaussian(z, t, eps):
    d, e = (z - t)[:, ::2], np.exp(z[:, 1::2])
    v = e + eps
    dz = np.empty_like(z)
    dz[:, ::2], dz[:, 1::2] = d / v, 0.5 * e / v * (1 - d * d / v)
    return 0.5 * (np.log(v) + d * d / v).sum(axis=1), dz


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_out", [2, 6, 40])
@pytest.mark.parametrize("loss", [quantiles, gaussian])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_losss_value_and_gradient_in_the_engine(dtype, loss, n_out, weighted):
    rng = np.random.default_rng(0)
    W, b, x = (rng.standard_normal(shape).astype(dtype) for shape in ((4, n_out), n_out, (23, 4)))
    t = rng.standard_normal((23, n_out)).astype(dtype)
    number = np.linspace(0.1, 0.9, n_out) if loss is quantiles else 0.01
    parts = [("quantile", a, 1, 1.0) for a in number] if loss is quantiles else [("gaussian", number, n_out, 1.0)]
    weights = rng.integers(0, 3, 23).astype(dtype) if weighted else None
    layers = [("affine", 4, n_out, 0.0, 0.0, False)]
    plan = engine.Plan(layers, "parts", 23, dtype is np.float64, 0, True, parts, loss_scale=0.5)
    plan.set_rule("sgd", lr=0.1)
    plan.write(0, engine.PARAMETERS, W, b)
    value = plan.gradient(x, t, weights)
    dW, db = np.empty_like(W), np.empty_like(b)
    plan.read(0, engine.GRADIENTS, dW, db)
    w = np.ones(23) if weights is None else weights.astype(float)
    losses, dz = loss(x.astype(float) @ W + b, t.astype(float), number)
    close = 1e-4 if dtype is np.float32 else 1e-10
    assert value == pytest.approx(0.5 * losses @ w / w.sum(), rel=close)
    dz *= w[:, np.newaxis] / w.sum()
    np.testing.assert_allclose(dW, x.T.astype(float) @ dz, rtol=close, atol=close)
    np.testing.assert_allclose(db, dz.sum(axis=0), rtol=close, atol=close)


def test_the_gaussian_gradient_is_its_values_and_pytorchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    z, t = rng.standard_normal((7, 6)), rng.standard_normal((7, 3)).repeat(2, axis=1)
    values, dz = gaussian(z, t, 1e-6)
    outputs = torch.tensor(z, requires_grad=True)
    loss = torch.nn.GaussianNLLLoss(reduction="sum", eps=1e-12)
    value = loss(outputs[:, ::2], torch.tensor(t[:, ::2]), outputs[:, 1::2].exp() + 1e-6)
    value.backward()
    assert values.sum() == pytest.approx(value.item(), rel=1e-12)
    np.testing.assert_allclose(dz, outputs.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "parts, n_out",
    [((("quantile", 0.5, 1, 1.0),), 2), ((("gaussian", 1e-6, 3, 1.0),), 3), ((), 1), ((("parts", 0.5, 1, 1.0),), 1)],
    ids=str,
)
def test_a_plan_refuses_parts_of_a_loss_that_do_not_fit(parts, n_out):
    with pytest.raises(ValueError, match="Plan expects"):
        engine.Plan([("affine", 4, n_out, 0.0, 0.0, False)], "parts", 5, True, loss_number=parts)


# --- several quantiles ----------------------------------------------------------------------


def test_quantiles_cover_their_shares_as_other_regressors_do():
    model = MLPRegressor("quantile", quantile=QUANTILES, standardize=True, max_iter=200, **TRAINED).fit(X, Y)
    x, y, _ = noisy(seed=1)
    found = model.predict(x)
    assert found.shape == (1500, 3) and (np.diff(found) >= 0).all()
    np.testing.assert_allclose((y[:, np.newaxis] < found).mean(axis=0), QUANTILES, atol=0.04)
    for k, q in enumerate(QUANTILES):
        ours = mean_pinball_loss(y, found[:, k], alpha=q)
        trees = GradientBoostingRegressor(loss="quantile", alpha=q, random_state=0).fit(X, Y)
        assert ours < 1.03 * mean_pinball_loss(y, trees.predict(x), alpha=q)
    assert 0.4 < model.score(x, y) < 0.6


def test_without_hidden_layers_it_is_the_linear_quantile_regression():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 2))
    y = x @ [1.0, -2.0] + rng.standard_normal(300)
    settings = {"hidden_layer_sizes": (), "solver": "adam", "alpha": 0, "random_state": 0, "tol": 0}
    model = MLPRegressor("quantile", quantile=[0.2, 0.8], learning_rate_init=0.01, max_iter=400, **settings).fit(x, y)
    for k, q in enumerate((0.2, 0.8)):
        line = QuantileRegressor(quantile=q, alpha=0).fit(x, y).predict(x)
        assert mean_pinball_loss(y, model.predict(x)[:, k], alpha=q) < 1.01 * mean_pinball_loss(y, line, alpha=q)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_one_quantile_in_a_list_is_that_quantile(solver):
    settings = {"loss": "quantile", "solver": solver, "standardize": True, **SMALL}
    one, listed = MLPRegressor(quantile=0.3, **settings).fit(X, Y), MLPRegressor(quantile=[0.3], **settings).fit(X, Y)
    np.testing.assert_allclose(listed.predict(X), one.predict(X)[:, np.newaxis], rtol=1e-6)
    assert listed.loss_ == pytest.approx(one.loss_, rel=1e-6)


def test_quantiles_of_several_targets():
    model = MLPRegressor("quantile", quantile=QUANTILES, standardize=True, early_stopping=True, **SMALL).fit(X, TWO)
    found = model.predict(X)
    assert found.shape == (1500, 2, 3) and model.n_outputs_ == 6 and np.isfinite(model.best_validation_score_)
    assert (np.diff(found, axis=2) >= 0).all() and np.isfinite(model.score(X, TWO))
    raw = model.to_sequential().predict(X).reshape(1500, 2, 3)
    np.testing.assert_allclose(np.sort(raw, axis=2), found, rtol=1e-9)
    model.set_params(early_stopping=False).partial_fit(X, TWO)
    single = MLPRegressor("quantile", quantile=QUANTILES, **SMALL).partial_fit(X, Y).partial_fit(X, Y)
    assert single.predict(X[:1]).shape == (1, 3)


@pytest.mark.parametrize(
    "value, words",
    [
        ([], "expects quantile between 0 and 1"),
        ([0.5, 1.0], "expects quantile between 0 and 1, without these"),
        ([0.5, 0.5], "expects several quantiles in the order of their size"),
        ([0.9, 0.1], "expects several quantiles in the order of their size"),
        (["a"], "expects quantile as a number"),
        ("0.5", "expects quantile as a number"),
        ([[0.1, 0.9]], "expects quantile as a number"),
    ],
    ids=str,
)
def test_bad_quantiles_are_refused(value, words):
    with pytest.raises((TypeError, ValueError), match=words):
        MLPRegressor("quantile", quantile=value, **SMALL).fit(X, Y)


def test_another_number_of_quantiles_is_another_network():
    model = MLPRegressor("quantile", quantile=QUANTILES, warm_start=True, **SMALL).fit(X, Y)
    with pytest.raises(ValueError, match="expects the layers"):
        model.set_params(quantile=[0.1, 0.9]).fit(X, Y)


# --- means and deviations -------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_deviations_are_the_noises(solver):
    settings = TRAINED | {"solver": solver}
    model = MLPRegressor("gaussian", standardize=True, learning_rate_init=0.01, max_iter=150, **settings).fit(X, Y)
    mean, deviation = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(X))
    assert mean.shape == deviation.shape == (1500,)
    assert np.corrcoef(deviation, DEVIATIONS)[0, 1] > 0.95
    assert np.mean(np.abs(Y - mean) < deviation) == pytest.approx(0.683, abs=0.05)
    likelihood = norm.logpdf(Y, mean, deviation).mean()
    assert likelihood > norm.logpdf(Y, mean, (Y - mean).std()).mean() + 0.05
    if solver == "lbfgs":  # `loss_` is of standardised targets, and has the penalty
        own = -likelihood - 0.5 * np.log(2 * np.pi) - np.log(model.y_scale_[0])
        assert model.loss_ == pytest.approx(own, abs=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_deviations_of_several_targets(dtype):
    model = MLPRegressor("gaussian", standardize=True, early_stopping=True, **SMALL).fit(X.astype(dtype), TWO)
    mean, deviation = model.predict(X.astype(dtype), return_std=True)
    assert mean.shape == deviation.shape == (1500, 2) and mean.dtype == deviation.dtype == dtype
    assert (deviation > 0).all() and model.n_outputs_ == 4
    raw = model.to_sequential().predict(X.astype(dtype))
    np.testing.assert_allclose(raw[:, ::2], mean, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.exp(raw[:, 1::2] / 2), deviation, rtol=1e-4)
    again = pickle.loads(pickle.dumps(model.set_params(early_stopping=False))).partial_fit(X.astype(dtype), TWO)
    assert again.predict(X[:1]).shape == (1, 2)


def test_targets_without_noise_have_a_least_deviation():
    settings = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 0, "max_iter": 500, "tol": 1e-9}
    model = MLPRegressor("gaussian", standardize=True, random_state=0, **settings).fit(X, 2 * X[:, 0])
    _, deviation = model.predict(X, return_std=True)
    least = np.sqrt(regressor.LEAST_VARIANCE) * (2 * X[:, 0]).std()
    assert (deviation >= least * (1 - 1e-9)).all() and deviation.max() < 2 * least


def test_other_losses_have_no_deviation():
    model = MLPRegressor(**SMALL).fit(X, Y)
    with pytest.raises(ValueError, match="expects loss='gaussian' for return_std; got loss='squared_error'"):
        model.predict(X, return_std=True)
    with pytest.raises(TypeError, match="return_std"):
        model.predict(X, return_std="yes")
