"""Losses of several parts: weights of outputs, several quantiles, means with deviations, several tasks."""

import pickle

import numpy as np
import pytest

from fastbp import SGD, Sequential, Trainer, gradient_check, lr_finder, tensor
from fastbp.estimators import MLPClassifier, MLPRegressor
from fastbp.losses import (
    FocalLoss,
    GaussianLoss,
    HuberLoss,
    MeanAbsoluteError,
    MeanSquaredError,
    MultiTaskLoss,
    PoissonLoss,
    QuantileLoss,
    SigmoidWithLoss,
    SoftmaxWithLoss,
)

RNG = np.random.default_rng(0)
N = 40
X, Y, C = RNG.standard_normal((N, 3)), RNG.standard_normal((N, 2)), RNG.integers(0, 3, N)
BITS = (Y > 0).astype(float)
TASKS = [(SoftmaxWithLoss(0.1), 3), ("squared_error", 1), (GaussianLoss, 2)]
#: The loss, the outputs that it takes, and targets.
CASES = {
    "quantiles": (lambda: QuantileLoss(quantiles=(0.1, 0.5, 0.9)), 3, Y[:, 0]),
    "quantiles of two": (lambda: QuantileLoss((0.1, 0.9), output_weights=(1, 3)), 4, Y),
    "gaussian": (GaussianLoss, 4, Y),
    "gaussian weighted": (lambda: GaussianLoss(output_weights=(1, 0)), 4, Y),
    "squared": (lambda: MeanSquaredError(output_weights=(2, 1)), 2, Y),
    "absolute": (lambda: MeanAbsoluteError(output_weights=(2, 1)), 2, Y),
    "huber": (lambda: HuberLoss(0.5, output_weights=(2, 1)), 2, Y),
    "poisson": (lambda: PoissonLoss(output_weights=(2, 1)), 2, np.abs(Y)),
    "sigmoid": (lambda: SigmoidWithLoss(output_weights=(1, 3)), 2, BITS),
    "focal": (lambda: FocalLoss(output_weights=(1, 3)), 2, BITS),
    "tasks": (lambda: MultiTaskLoss(TASKS, weights=(1, 2, 0.5)), 6, (C, Y[:, 0], Y[:, 1])),
    "columns": (lambda: MultiTaskLoss(TASKS[:2]), 4, np.stack([C, Y[:, 0]], axis=1)),
}


def net_of(loss, n_out, dtype="float64"):
    return Sequential.from_config([(3, 8, "tanh"), (8, n_out, "linear")], loss, dtype, seed=0)


def part(t, rows):
    return tuple(each[rows] for each in t) if isinstance(t, tuple) else t[rows]


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_that_of_the_loss(name):
    make, n_out, t = CASES[name]
    assert gradient_check(net_of(make(), n_out), X, t)
    assert gradient_check(make(), RNG.standard_normal((N, n_out)), t)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_the_engines_step_is_the_layers(name, dtype, weighted):
    make, n_out, t = CASES[name]
    net = net_of(make(), n_out, dtype)
    close = 1e-4 if dtype == "float32" else 1e-10
    if weighted:
        weights = RNG.integers(0, 3, N).astype(float)
        rows = np.repeat(np.arange(N), weights.astype(int))
        expected, grads = net.loss(X[rows], part(t, rows)), net.gradient(X[rows], part(t, rows))
        before = {key: array.copy() for key, array in net.params.items()}
        history = net.fit(X, t, epochs=1, batch_size=N, optimizer=SGD(lr=0.1), sample_weight=weights)
        found = history.train_loss[0]
    else:
        expected, grads = net.loss(X, t), net.gradient(X, t)
        before = {key: array.copy() for key, array in net.params.items()}
        found = Trainer(net, SGD(lr=0.1), batch_size=N).step(X, t)
    assert found == pytest.approx(expected, rel=close)
    for key, grad in grads.items():
        np.testing.assert_allclose(net.params[key], before[key] - 0.1 * grad, rtol=close, atol=close)


@pytest.mark.parametrize("name", CASES)
def test_validation_files_and_pickles_have_the_loss(name, tmp_path):
    make, n_out, t = CASES[name]
    net = net_of(make(), n_out)
    history = net.fit(X, t, epochs=2, validation_data=(X, t), seed=0)
    assert history.val_loss[-1] == pytest.approx(net.loss(X, t))
    assert len(net.fit(X, t, epochs=2, validation_split=0.25, seed=0).val_loss) == 2
    net.save(tmp_path / "net.safetensors")
    for again in (Sequential.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(net))):
        assert again.loss(X, t) == net.loss(X, t)
        assert repr(again.loss_layer) == repr(net.loss_layer)
    assert lr_finder(net, X, t, n_steps=30).losses[0] == pytest.approx(net.loss(X, t), rel=0.5)


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_training_has_the_bits_of_one(name, tmp_path):
    make, n_out, t = CASES[name]
    whole, half = net_of(make(), n_out), net_of(make(), n_out)
    whole.fit(X, t, epochs=4, seed=0)
    half.fit(X, t, epochs=2, seed=0, checkpoint=tmp_path / "c")
    half = net_of(make(), n_out)
    half.fit(X, t, epochs=4, seed=0, resume=tmp_path / "c")
    assert half.predict(X).tobytes() == whole.predict(X).tobytes()


@pytest.mark.parametrize("name", CASES)
def test_tensors_have_the_same_loss_and_gradient(name):
    make, n_out, t = CASES[name]
    z, loss = RNG.standard_normal((N, n_out)), make()
    x = tensor(z, requires_grad=True)
    value = loss(x, t)
    value.backward()
    assert value.item() == pytest.approx(loss.forward(z, t))
    np.testing.assert_allclose(x.grad.numpy(), loss.backward())


def test_even_weights_are_none():
    z = RNG.standard_normal((N, 2))
    for make in (MeanSquaredError, HuberLoss, SigmoidWithLoss):
        assert make(output_weights=(2, 2)).forward(z, BITS) == pytest.approx(make().forward(z, BITS))
    weighted = net_of(SigmoidWithLoss(output_weights=(2, 2)), 2).fit(X, BITS, epochs=2, seed=0)
    plain = net_of(SigmoidWithLoss(), 2).fit(X, BITS, epochs=2, seed=0)
    assert weighted.train_accuracy == plain.train_accuracy


def test_the_numbers_are_pytorchs():
    torch = pytest.importorskip("torch")
    z = RNG.standard_normal((N, 4))
    theirs = torch.nn.GaussianNLLLoss()(*map(torch.tensor, (z[:, ::2], Y, np.exp(z[:, 1::2]) + 1e-6)))
    assert GaussianLoss().forward(z, Y) == pytest.approx(theirs.item())
    cross = torch.nn.CrossEntropyLoss(label_smoothing=0.1)(torch.tensor(z[:, :3]), torch.tensor(C))
    square = torch.nn.MSELoss()(torch.tensor(z[:, 3]), torch.tensor(Y[:, 0]))
    loss = MultiTaskLoss(TASKS[:2], weights=(0.5, 2))
    assert loss.forward(z, (C, Y[:, 0])) == pytest.approx((0.5 * cross + 2 * square).item())
    assert loss.each(z, (C, Y[:, 0])) == pytest.approx([cross.item(), square.item()])


def test_targets_of_tasks_may_be_a_structured_array():
    t = np.zeros(N, [("kind", np.int64), ("price", float)])
    t["kind"], t["price"] = C, Y[:, 0]
    loss, z = MultiTaskLoss(TASKS[:2]), RNG.standard_normal((N, 4))
    assert loss.forward(z, t) == loss.forward(z, (C, Y[:, 0]))
    assert [each.shape for each in loss.split(z)] == [(N, 3), (N, 1)]


def test_one_sample_is_a_row_of_one():
    loss, z = MultiTaskLoss(TASKS[:2]), RNG.standard_normal(4)
    assert loss.forward(z, (np.array([1]), np.array([0.5]))) == loss.forward(z[np.newaxis], np.array([[1, 0.5]]))
    loss.forward(z, np.array([1, 0.5]))
    assert loss.backward().shape == (4,)
    weighted = MeanSquaredError(output_weights=(1, 3))
    assert weighted.forward(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == 3.0
    assert weighted.backward().tolist() == [0.0, 3.0]


def test_an_option_that_changes_is_followed_or_refused():
    loss = MeanSquaredError()
    net = net_of(loss, 2)
    trainer = Trainer(net, SGD(lr=0.1), batch_size=N)
    trainer.step(X, Y)
    loss.output_weights = (1, 3)
    with pytest.raises(ValueError, match="expects the loss that it was made for"):
        trainer.step(X, Y)
    assert net.loss(X, Y) == pytest.approx(np.mean((net.predict(X) - Y) ** 2 @ [1, 3]) / 4)
    loss.output_weights = None
    trainer.step(X, Y)
    assert loss.forward(Y + 1, Y) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: QuantileLoss((0.9, 0.1)), "several quantiles in the order of their size"),
        (lambda: QuantileLoss([]), "several quantiles in the order of their size"),
        (lambda: QuantileLoss(0.1, quantiles=(0.1, 0.2)), "got both"),
        (lambda: GaussianLoss(eps=0), "expects eps above 0"),
        (lambda: MeanSquaredError(output_weights=(0, 0)), "not all zero"),
        (lambda: MeanSquaredError(output_weights=(1, -1)), "at least 0"),
        (lambda: MeanSquaredError(output_weights=1), "output_weights"),
        (lambda: MeanSquaredError(output_weights=(1, 2, 3)).forward(Y, Y), "3 outputs, for 3 weights"),
        (lambda: GaussianLoss().forward(np.ones((5, 3)), np.ones(5)), "2 outputs for each column of t; got 3"),
        (lambda: GaussianLoss().forward(np.ones((5, 4)), np.ones(5)), r"t of shape \(5, 2\)"),
        (lambda: net_of(GaussianLoss(), 3).fit(X, Y), "2 outputs for each column of t; got 3"),
        (lambda: Trainer(net_of(GaussianLoss(), 4), SGD(), N).step(X, np.ones((N, 4))), r"t of shape \(40, 2\)"),
        (lambda: MultiTaskLoss([]), "at least one part"),
        (lambda: MultiTaskLoss([("squared_error",)]), "a pair"),
        (lambda: MultiTaskLoss([(MultiTaskLoss(TASKS), 6)]), "losses of the library's own"),
        (lambda: MultiTaskLoss([("gaussian", 3)]), "2 outputs for each column of t; got 3"),
        (lambda: MultiTaskLoss(TASKS, weights=(1, 2)), "a weight for each of 3 parts"),
        (lambda: net_of(MultiTaskLoss(TASKS), 5).fit(X, (C, C, C)), "6 outputs, those of its parts"),
        (lambda: net_of(MultiTaskLoss(TASKS), 6).fit(X, (C, C)), "the targets of 3 parts; got 2"),
        (lambda: net_of(MultiTaskLoss(TASKS), 6).fit(X, Y), "a tuple of each part's targets, or with 3 columns"),
        (lambda: net_of(MultiTaskLoss(TASKS[:2]), 4).fit(X, Y), "class indices in the softmax's column of t"),
        (lambda: net_of(MultiTaskLoss(TASKS[:2]), 4).fit(X, (C + 1, Y[:, 0])), "of part 0 expects"),
        (lambda: net_of(MultiTaskLoss(TASKS[:2]), 4).accuracy(X, (C, Y[:, 0])), "expects a classification loss"),
        (lambda: setattr(net_of("squared_error", 1), "loss", MeanSquaredError()), "net.loss_layer = ... sets it"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(call, said):
    with pytest.raises((TypeError, ValueError), match=said):
        call()


# --- the estimators -------------------------------------------------------------------------

SMALL = {"hidden_layer_sizes": (8,), "max_iter": 300, "random_state": 0, "solver": "lbfgs"}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("options", [{}, {"loss": "gaussian"}, {"loss": "quantile", "quantile": [0.2, 0.8]}], ids=str)
def test_an_estimators_target_without_weight_is_not_trained(options):
    one = MLPRegressor(**options, output_weights=(1, 0), **SMALL).fit(X, Y)
    other = MLPRegressor(**options, output_weights=(5, 0), **SMALL).fit(X, np.stack([Y[:, 0], C], axis=1))
    assert one.predict(X)[:, 0].tobytes() == other.predict(X)[:, 0].tobytes()
    network = one.to_sequential()
    assert network.loss_layer.output_weights == (1.0, 0.0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_even_weights_of_an_estimator_are_none(solver):
    settings = {**SMALL, "solver": solver, "max_iter": 5}
    for kind, t in ((MLPRegressor, Y), (MLPClassifier, BITS.astype(int))):
        plain = kind(**settings).fit(X, t)
        even = kind(output_weights=(2, 2), **settings).fit(X, t)
        np.testing.assert_allclose(even.coefs_[0], plain.coefs_[0], rtol=1e-5)
        assert even.loss_ == pytest.approx(plain.loss_)


@pytest.mark.parametrize(
    "model, t, said",
    [
        (MLPRegressor(output_weights=(1, 2, 3)), Y, "output_weights for each of 2 targets"),
        (MLPRegressor(output_weights=(0, 0)), Y, "not all zero"),
        (MLPRegressor(output_weights=(1, 1), loss=lambda z, t: None), Y, "a loss by name"),
        (MLPClassifier(output_weights=(1, 1)), C, "several labels"),
    ],
)
def test_an_estimator_refuses_weights_that_do_not_fit(model, t, said):
    with pytest.raises(ValueError, match=said):
        model.fit(X, t)
