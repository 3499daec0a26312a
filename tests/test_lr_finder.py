"""`lr_finder`: rates that grow, on a copy."""

import numpy as np
import pytest

from fastbp import SGD, Adam, BatchNorm1d, Dropout, Linear, Relu, Sequential, lr_finder
from fastbp.datasets import load_digits


@pytest.fixture(scope="module")
def digits():
    return load_digits()[0]


def network():
    layers = Linear(64, 30, seed=0), BatchNorm1d(30), Relu(), Dropout(0.1), Linear(30, 10, seed=1)
    return Sequential(*layers, loss="softmax_cross_entropy")


@pytest.mark.parametrize("optimizer", [SGD(lr=3.0), Adam(), "sgd", None])
def test_the_suggestion_trains_and_nothing_else_changes(digits, optimizer):
    x, t = digits
    net = network()
    before = {name: array.numpy().copy() for name, array in net.state_dict().items()}
    found = lr_finder(net, x, t, optimizer)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array.numpy(), before[name])
    if not isinstance(optimizer, str | None):
        assert optimizer.lr == (3.0 if isinstance(optimizer, SGD) else Adam().lr)
    assert found.lrs[0] == pytest.approx(1e-6) and np.all(np.diff(found.lrs) > 0)
    assert len(found.lrs) == len(found.losses) == len(found.smoothed)
    again = lr_finder(net, x, t, optimizer)
    np.testing.assert_array_equal(found.losses, again.losses)
    kind = Adam if optimizer is None or isinstance(optimizer, Adam) else SGD
    trained = network()
    trained.fit(x, t, epochs=5, optimizer=kind(lr=found.suggestion), seed=0)
    assert trained.accuracy(x, t) > 0.9


def test_rows_of_csr_and_names(digits):
    sparse = pytest.importorskip("scipy.sparse")
    x, t = digits
    net = Sequential(Linear(64, 10, seed=0), loss="softmax_cross_entropy")
    dense = lr_finder(net, x, t, SGD(), n_steps=60)
    found = lr_finder(net, sparse.csr_matrix(x), np.array([f"digit {k}" for k in t]), SGD(), n_steps=60)
    np.testing.assert_allclose(found.losses, dense.losses, rtol=1e-3)
    assert net.classes is None


def test_the_picture(digits, tmp_path):
    pytest.importorskip("matplotlib")
    found = lr_finder(network(), *digits, SGD())
    found.plot(tmp_path / "rates.png")
    assert (tmp_path / "rates.png").stat().st_size > 1000
    assert "suggestion" in repr(found)


def test_what_is_refused(digits):
    x, t = digits
    for options, message in [
        ({"lr_min": 0.0}, "0 < lr_min < lr_max; got 0 and 10"),
        ({"lr_min": 1.0, "lr_max": 0.1}, "0 < lr_min < lr_max"),
        ({"n_steps": 3}, "n_steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"lr_min": 1e8, "lr_max": 1e9}, "leaves the valley|a loss that falls"),
    ]:
        with pytest.raises(ValueError, match=message):
            lr_finder(Sequential(Linear(64, 10, seed=0), loss="softmax_cross_entropy"), x, t, SGD(), **options)
    with pytest.raises(TypeError, match="net as a Sequential"):
        lr_finder(None, x, t)
    with pytest.raises(ValueError, match="with a loss"):
        lr_finder(Sequential(Linear(64, 10)), x, t)


@pytest.mark.parametrize("seed", range(4))
def test_the_suggestion_is_not_that_of_a_batch(seed):
    """Small batches: the loss falls from 0.001 to 0.1, and from one step to the next anywhere."""
    rng = np.random.default_rng(0)
    radius, arm = np.linspace(0.2, 2, 300), np.arange(300) % 3
    angle = 3 * radius + 2 * np.pi / 3 * arm + 0.1 * rng.normal(size=300)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    layers = Linear(2, 12, seed=seed), Relu(), Linear(12, 12, seed=1), Relu(), Linear(12, 3, seed=2)
    found = lr_finder(Sequential(*layers, loss="softmax_cross_entropy"), x, arm, seed=seed)
    assert 0.001 < found.suggestion < 0.15
