"""Dropout, batch normalisation, and activations and losses by PyTorch's numbers, as layers."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import Linear, Sequential
from fastbp.layers import (
    BatchNorm1d,
    BatchNormalization,
    Dropout,
    Gelu,
    HuberLoss,
    LeakyRelu,
    MeanAbsoluteError,
    Relu,
    Softplus,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "golden_optimizers.json").read_text())
CLOSE = {"float32": 2e-6, "float64": 1e-14}
ACTIVATIONS = {"LeakyRelu": lambda: LeakyRelu(0.2), "Softplus": Softplus, "Gelu": Gelu}
LOSSES = {"MeanAbsoluteError": MeanAbsoluteError, "HuberLoss": lambda: HuberLoss(0.7)}
NORMS = {
    "BatchNorm1d": lambda dtype: BatchNorm1d(4, dtype=dtype),
    "BatchNorm1d options": lambda dtype: BatchNorm1d(4, eps=0.01, momentum=0.3, dtype=dtype),
}


@pytest.fixture(params=["compiled", "reference"], autouse=True)
def backend(request):
    with fastbp.use(request.param):
        yield


def golden(name, dtype):
    return {k: np.array(v, dtype) for k, v in GOLDEN["cases"][f"{name} {dtype}"].items()}


def assert_near(actual, desired):
    actual = np.asarray(actual)
    assert actual.dtype == desired.dtype and actual.shape == desired.shape
    error = np.abs(actual - desired) / (1 + np.abs(desired))
    assert error.max() <= CLOSE[actual.dtype.name], error.max()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_gives_pytorchs_numbers(name, dtype):
    case, layer = golden(name, dtype), ACTIVATIONS[name]()
    assert_near(layer.forward(case["x"]), case["out"])
    assert_near(layer.evaluate(case["x"]), case["out"])
    kept = case["dout"].copy()
    assert_near(layer.backward(case["dout"]), case["dx"])
    np.testing.assert_array_equal(case["dout"], kept)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_gives_pytorchs_numbers(name, dtype):
    case, loss = golden(name, dtype), LOSSES[name]()
    value = loss.forward(case["x"], case["t"])
    assert type(value) is float
    assert_near(np.asarray(value, dtype), case["loss"])
    assert loss.evaluate(case["x"], case["t"]) == value
    assert_near(loss.backward(), case["dx"])
    assert_near(loss.backward(2), 2 * case["dx"])
    assert loss.backward().flat[0] == 0  # x = t there


@pytest.mark.parametrize("name", NORMS)
def test_batch_norm_gives_pytorchs_numbers(name, dtype):
    case, layer = golden(name, dtype), NORMS[name](dtype)
    layer.gamma[...] = case["gamma"]
    layer.beta[...] = case["beta"]
    layer.forward(case["first"])
    assert_near(layer.forward(case["x"]), case["out"])
    assert_near(layer.backward(case["dout"]), case["dx"])
    for attribute in ("dgamma", "dbeta", "running_mean", "running_var"):
        assert_near(getattr(layer, attribute), case[attribute])
    assert_near(layer.evaluate(case["x"]), case["evaluated"])
    assert_near(layer.running_mean, case["running_mean"])  # evaluation leaves them


def test_the_books_batch_normalisation(dtype, rng):
    x, dout = rng.standard_normal((2, 6, 3)).astype(dtype)
    gamma, beta = rng.standard_normal((2, 3)).astype(dtype)
    layer = BatchNormalization(gamma, beta, momentum=0.8)
    normal = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-6)
    assert_near(layer.forward(x) / 3, (gamma * normal + beta) / 3)
    np.testing.assert_allclose(layer.running_mean, 0.2 * x.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.running_var, 0.2 * x.var(axis=0), rtol=1e-4)
    layer.backward(dout)
    np.testing.assert_allclose(layer.dbeta, dout.sum(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.dgamma, (dout * normal).sum(axis=0), rtol=1e-4, atol=1e-5)
    assert layer.gamma is gamma and layer.beta is beta


def test_given_running_statistics_are_the_very_arrays(dtype):
    mean, var = np.zeros(3, dtype), np.ones(3, dtype)
    layer = BatchNormalization(np.ones(3, dtype), np.zeros(3, dtype), 0.5, mean, var)
    layer.forward(np.arange(6, dtype=dtype).reshape(2, 3))
    assert layer.running_mean is mean and mean.any()
    assert layer.running_var is var


@pytest.mark.parametrize(
    "make",
    [BatchNorm1d, lambda n, dtype: BatchNormalization(np.ones(n, dtype), np.zeros(n, dtype))],
    ids=["BatchNorm1d", "BatchNormalization"],
)
def test_batch_norm_refuses_in_one_sentence(make, dtype):
    layer = make(3, dtype=dtype)
    with pytest.raises(RuntimeError, match="backward expects a call of forward"):
        layer.backward(np.ones((2, 3), dtype))
    if isinstance(layer, BatchNorm1d):
        for shape in ((1, 3), (3,)):
            with pytest.raises(ValueError, match="at least 2 rows"):
                layer.forward(np.ones(shape, dtype))
        with pytest.raises(ValueError, match=r"\(n_samples, 3\)"):
            layer.forward(np.ones((2, 3, 1), dtype))
    for shape in ((2, 4), (4,), (2, 3, 2)):
        with pytest.raises(ValueError, match=r"\(n_samples, 3\)"):
            layer.forward(np.ones(shape, dtype))
    for shape in ((1, 3), (3,)):
        assert layer.evaluate(np.ones(shape, dtype)).shape == shape
    layer.forward(np.ones((2, 3), dtype))
    with pytest.raises(ValueError, match=r"dout of shape \(2, 3\)"):
        layer.backward(np.ones((2, 4), dtype))
    for bad in (
        lambda: BatchNorm1d(0),
        lambda: BatchNorm1d(3, eps=-1),
        lambda: BatchNorm1d(3, momentum=2),
        lambda: BatchNorm1d(3, dtype="int32"),
        lambda: BatchNormalization(np.ones(3), np.ones(4)),
        lambda: BatchNormalization(np.ones((3, 1)), np.ones(3)),
        lambda: BatchNormalization(np.ones(3), np.ones(3), 0.9, np.zeros(2)),
        lambda: BatchNormalization(np.ones(3, int), np.ones(3)),
    ):
        with pytest.raises((ValueError, TypeError)):
            bad()


def test_the_gradient_through_batch_norm_is_the_numerical_one(rng):
    layer = BatchNormalization(rng.random(3) + 0.5, rng.standard_normal(3))
    x, dout = rng.standard_normal((2, 5, 3))
    layer.forward(x)
    dx, step = layer.backward(dout), 1e-6
    for at in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][at] -= step
        moved[1][at] += step
        low, high = ((layer.forward(m) * dout).sum() for m in moved)
        assert dx[at] == pytest.approx((high - low) / (2 * step), abs=1e-7)


# --- dropout --------------------------------------------------------------------------------


def test_dropout_scales_what_it_keeps_in_training_only(dtype, rng):
    x = rng.standard_normal((40, 50)).astype(dtype)
    layer = Dropout(0.25, seed=1)
    out = layer.forward(x)
    mask = layer.mask
    assert mask.dtype == bool and mask.shape == x.shape and abs(mask.mean() - 0.75) < 0.05
    np.testing.assert_allclose(out, np.where(mask, x / dtype.type(0.75), 0), rtol=1e-6)
    dout = rng.standard_normal(x.shape).astype(dtype)
    dx = layer.backward(dout)
    np.testing.assert_allclose(dx, np.where(mask, dout / dtype.type(0.75), 0), rtol=1e-6)
    np.testing.assert_array_equal(layer.evaluate(x), x)
    assert (layer.forward(x) != out).any()  # another mask at each forward


def test_dropout_masks_come_from_the_seed(dtype):
    x = np.ones((9, 9), dtype)
    a, b, c = Dropout(0.5, seed=1), Dropout(0.5, seed=1), Dropout(0.5, seed=2)
    for _ in range(3):
        first = a.forward(x)
        np.testing.assert_array_equal(first, b.forward(x))
        assert (first != c.forward(x)).any()
    twin = pickle.loads(pickle.dumps(a))
    np.testing.assert_array_equal(twin.forward(x), a.forward(x))
    assert (Dropout().forward(np.ones(1000)) != Dropout().forward(np.ones(1000))).any()


def test_dropout_of_ratio_0_keeps_everything(dtype, rng):
    x = rng.standard_normal((5, 3)).astype(dtype)
    layer = Dropout(0)
    np.testing.assert_array_equal(layer.forward(x), x)
    assert layer.mask.all()
    np.testing.assert_array_equal(layer.backward(x), x)


def test_dropout_refuses_in_one_sentence(dtype):
    for ratio in (-0.1, 1, 1.5, np.nan, "half", None):
        with pytest.raises((ValueError, TypeError), match="dropout_ratio"):
            Dropout(ratio)
    layer = Dropout(0.5)
    assert layer.mask is None
    with pytest.raises(RuntimeError, match="forward"):
        layer.backward(np.ones(3, dtype))
    layer.forward(np.ones((2, 3), dtype))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        layer.backward(np.ones((3, 2), dtype))


# --- all together ---------------------------------------------------------------------------


def everything(dtype):
    return Sequential(
        Linear(4, 6, dtype=dtype, seed=0),
        BatchNorm1d(6, eps=1e-3, momentum=0.2, dtype=dtype),
        LeakyRelu(0.3),
        Dropout(0.25),
        Linear(6, 5, dtype=dtype, seed=1),
        Gelu(),
        BatchNormalization(np.ones(5, dtype), np.zeros(5, dtype), 0.7),
        Softplus(),
        Relu(),
        Linear(5, 2, dtype=dtype, seed=2),
        loss=HuberLoss(0.4),
    )


def test_names_of_parameters_and_gradients(dtype, rng):
    net = everything(dtype)
    names = ["W1", "b1", "gamma1", "beta1", "W2", "b2", "gamma2", "beta2", "W3", "b3"]
    assert list(net.params) == names
    x, t = rng.standard_normal((7, 4)).astype(dtype), rng.standard_normal((7, 2)).astype(dtype)
    grads = net.gradient(x, t)
    assert {k: g.shape for k, g in grads.items()} == {k: p.shape for k, p in net.params.items()}
    assert all(g.dtype == dtype and np.isfinite(g).all() for g in grads.values())


def test_summary_and_repr_of_every_layer(dtype, capsys):
    net = everything(dtype)
    net.summary()
    shown = capsys.readouterr().out
    for name in ("BatchNorm1d", "BatchNormalization", "Dropout", "Gelu", "Softplus", "LeakyRelu"):
        assert name in shown and name in repr(net)
    assert "Dropout(dropout_ratio=0.25)" in repr(net)
    assert "LeakyRelu(slope=0.3)" in repr(net) and "HuberLoss(delta=0.4)" in repr(net)


def test_a_batch_norm_shows_the_arguments_that_make_it():
    shown = repr(BatchNorm1d(6, eps=0.001, momentum=0.2))
    assert "momentum=0.2" in shown and "0.001" in shown and "6" in shown


@pytest.mark.parametrize("way", ["save", "pickle", "deepcopy"])
def test_every_layer_comes_back(way, dtype, tmp_path, rng):
    net = everything(dtype)
    x, t = rng.standard_normal((9, 4)).astype(dtype), rng.standard_normal((9, 2)).astype(dtype)
    for _ in range(3):
        net.gradient(x, t)  # moves the running statistics
    net.params["gamma1"] = np.arange(1.0, 7.0)
    if way == "save":
        pytest.importorskip("safetensors")
        net.save(tmp_path / "net")
        twin = Sequential.load(tmp_path / "net")
    else:
        twin = copy.deepcopy(net) if way == "deepcopy" else pickle.loads(pickle.dumps(net))
    assert repr(twin).replace("Linear", "Affine") == repr(net).replace("Linear", "Affine")
    assert twin.predict(x).tobytes() == net.predict(x).tobytes()
    assert twin.loss(x, t) == net.loss(x, t)
    for one, other in zip(net.layers, twin.layers, strict=True):
        assert type(one).__name__ == type(other).__name__ or isinstance(one, Linear)
        if isinstance(one, BatchNormalization):
            assert other.momentum == pytest.approx(one.momentum)
            assert other.kind_number == one.kind_number and other.sample_variance == one.sample_variance
            one.forward(np.ones((2, len(one.gamma)), dtype))
            assert (other.running_mean != one.running_mean).any()


def test_losses_refuse_another_shape(dtype):
    for loss in (MeanAbsoluteError(), HuberLoss()):
        with pytest.raises(ValueError, match=r"\(3, 2\).*got \(3,\).*2 outputs"):
            loss.forward(np.ones((3, 2), dtype), np.ones(3, dtype))
        with pytest.raises(RuntimeError, match="forward"):
            type(loss)().backward()
        with pytest.raises(ValueError, match="accuracy"):
            loss.accuracy(np.ones((3, 1), dtype), np.ones((3, 1), dtype))
    for delta in (-1, np.nan, "one"):
        with pytest.raises((ValueError, TypeError), match="delta"):
            HuberLoss(delta)
    for slope in (-0.1, np.inf, None):
        with pytest.raises((ValueError, TypeError), match="slope"):
            LeakyRelu(slope)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_large_numbers_do_not_overflow(name, dtype):
    x = np.array([-1e4, -100, -0.0, 0.0, 100, 1e4], dtype)
    layer = ACTIVATIONS[name]()
    out = layer.forward(x)
    dx = layer.backward(np.ones_like(x))
    assert np.isfinite(out).all() and np.isfinite(dx).all()
    np.testing.assert_allclose(out[-2:], x[-2:])
    np.testing.assert_allclose(dx[-2:], 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: BatchNorm1d(4),
        lambda: BatchNorm1d(4, dtype="float64"),
        lambda: BatchNormalization(np.full(4, 0.5), np.ones(4)),
        lambda: LeakyRelu(0.1),
        Gelu,
        Softplus,
        lambda: Dropout(0.0, seed=0),
    ],
)
def test_gradients_of_layers_are_their_differences(make):
    layer = make()
    x = np.random.default_rng(0).standard_normal((6, 4))
    before = {name: array.copy() for name, array in layer.state().items()}
    assert fastbp.gradient_check(layer, x, full=True)
    for name, array in layer.state().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("make", [MeanAbsoluteError, lambda: HuberLoss(0.5)])
def test_gradients_of_losses_are_their_differences(make):
    x, t = np.random.default_rng(0).standard_normal((2, 6, 4))
    assert fastbp.gradient_check(make(), x, t, full=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_a_network_are_their_differences(dtype):
    net = Sequential(
        Linear(3, 6, dtype=dtype, seed=0),
        BatchNorm1d(6, dtype=dtype),
        LeakyRelu(0.1),
        Linear(6, 5, dtype=dtype, seed=1),
        Gelu(),
        BatchNorm1d(5, dtype=dtype),
        Softplus(),
        Linear(5, 2, dtype=dtype, seed=2),
        loss=HuberLoss(0.3),
    )
    x, t = np.random.default_rng(0).standard_normal((2, 8, 3))
    assert fastbp.gradient_check(net, x, t[:, :2])
