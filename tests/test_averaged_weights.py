"""`fit(ema_decay=...)`: the exponential average of the weights after each step."""

import numpy as np
import pytest

from fastbp import SGD, Adam, BatchNorm1d, EarlyStopping, Linear, MeanSquaredError, Relu, Sequential, Trainer
from fastbp.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((70, 3)).astype("float32"), RNG.standard_normal((70, 1)).astype("float32")


def net_of(dtype="float32"):
    return Sequential.from_config([(3, 40, "tanh"), (40, 1, "linear")], "squared_error", dtype, seed=0)


def weights_of(net):
    return b"".join(array.tobytes() for array in net.params.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_pytorchs_average_after_each_step(dtype):
    net, stepped = net_of(dtype), net_of(dtype)
    net.fit(X, Y, epochs=3, batch_size=16, optimizer=SGD(lr=0.1), ema_decay=0.9, shuffle=False)
    averaged = AveragedModel(stepped, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    trainer = Trainer(stepped, SGD(lr=0.1), batch_size=16)
    for _ in range(3):
        for begin in range(0, 70, 16):
            trainer.step(X[begin : begin + 16], Y[begin : begin + 16])
            trainer.fetch()
            averaged.update_parameters(stepped)
    close = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(net.predict(X), averaged.module.predict(X), rtol=close, atol=close)


def test_training_itself_is_the_same_and_validation_is_by_the_average():
    plain, net, seen = net_of(), net_of(), []
    options = {"epochs": 4, "batch_size": 16, "seed": 0}
    before = plain.fit(X, Y, **options)
    history = net.fit(
        X, Y, **options, ema_decay=0.9, validation_data=(X, Y), callbacks=[lambda net, _: seen.append(weights_of(net))]
    )
    assert history.train_loss == before.train_loss
    assert seen[-1] == weights_of(plain) != weights_of(net)
    assert history.val_loss[-1] == pytest.approx(net.loss(X, Y))
    still = net_of()
    still.fit(X, Y, **options, ema_decay=0.0)
    assert weights_of(still) == weights_of(plain)


@pytest.mark.parametrize("every", [None, 3])
def test_a_checkpoint_has_the_average(every, tmp_path):
    options = {"batch_size": 16, "seed": 0, "ema_decay": 0.95, "optimizer": Adam()}
    stopping = {"validation_data": (X, Y)}
    whole, half = net_of(), net_of()
    whole.fit(X, Y, epochs=5, **options, **stopping, early_stopping=EarlyStopping(5))
    options["optimizer"] = Adam()
    half.fit(
        X, Y, epochs=2, **options, **stopping, early_stopping=EarlyStopping(5), checkpoint=tmp_path / "c", every=every
    )
    options["optimizer"] = Adam()
    again = net_of()
    again.fit(X, Y, epochs=5, **options, **stopping, early_stopping=EarlyStopping(5), resume=tmp_path / "c")
    assert weights_of(again) == weights_of(whole)
    with pytest.raises(ValueError, match=r"expects ema_decay 0.95"):
        options |= {"ema_decay": 0.9, "optimizer": Adam()}
        net_of().fit(X, Y, epochs=5, **options, **stopping, early_stopping=EarlyStopping(5), resume=tmp_path / "c")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_checkpoint_loads_as_the_trained_weights_or_as_their_average(dtype, tmp_path):
    plain, net = (
        Sequential(Linear(3, 8, seed=0, dtype=dtype), BatchNorm1d(8, dtype=dtype), Linear(8, 1, dtype=dtype, seed=1))
        for _ in range(2)
    )
    plain.loss_layer, net.loss_layer = MeanSquaredError(), MeanSquaredError()
    plain.fit(X, Y, epochs=3, seed=0)
    net.fit(X, Y, epochs=3, seed=0, ema_decay=0.9, checkpoint=tmp_path / "c")
    trained, averaged = Sequential.load(tmp_path / "c"), Sequential.load(tmp_path / "c", ema=True)
    for loaded, want in ((trained, plain), (averaged, net)):
        assert weights_of(loaded) == weights_of(want)
        np.testing.assert_array_equal(loaded.eval().predict(X), want.eval().predict(X))
    assert weights_of(trained) != weights_of(averaged)


def test_what_has_no_average_is_refused(tmp_path):
    net = net_of()
    net.fit(X, Y, epochs=1, checkpoint=tmp_path / "plain")
    net.save(tmp_path / "saved")
    for name in ("plain", "saved"):
        with pytest.raises(ValueError, match=rf"expects ema=True for a checkpoint of .*; got '.*{name}' without\."):
            Sequential.load(tmp_path / name, ema=True)
    with pytest.raises(TypeError, match="expects ema"):
        Sequential.load(tmp_path / "plain", ema=0.9)


def test_early_stopping_gives_the_best_average():
    net, best = net_of(), []

    def score(net):
        best.append((-net.loss(X, Y), weights_of(net)))
        return best[-1][0] if len(best) < 4 else -np.inf

    net.fit(X, Y, epochs=20, seed=0, ema_decay=0.9, early_stopping=EarlyStopping(2, score))
    assert weights_of(net) == max(best[:3])[1]


def test_statistics_are_those_of_the_last_batches_and_no_step_is_no_average():
    net = Sequential(Linear(3, 8, seed=0), BatchNorm1d(8), Relu(), Linear(8, 1, seed=1), loss="squared_error")
    plain = Sequential(Linear(3, 8, seed=0), BatchNorm1d(8), Relu(), Linear(8, 1, seed=1), loss="squared_error")
    for each, decay in ((net, 0.9), (plain, None)):
        each.fit(X, Y, epochs=2, batch_size=10, seed=0, ema_decay=decay)
    assert net[1].running_mean.tolist() == plain[1].running_mean.tolist()
    assert net[1].gamma.tolist() != plain[1].gamma.tolist()
    untouched, before = net_of(), weights_of(net_of())
    untouched.fit(X, Y, epochs=0, ema_decay=0.9)
    assert weights_of(untouched) == before


def test_batches_made_elsewhere_are_averaged_too():
    net, other = net_of(), net_of()
    net.fit(X, Y, epochs=2, batch_size=10, shuffle=False, ema_decay=0.9)
    other.fit(lambda: ((X[k : k + 10], Y[k : k + 10]) for k in range(0, 70, 10)), epochs=2, ema_decay=0.9)
    assert weights_of(net) == weights_of(other)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"ema_decay": 1}, "ema_decay below 1"),
        ({"ema_decay": -0.1}, "at least 0"),
        ({"ema_decay": "0.9"}, "as a number"),
        ({"ema_decay": 0.9, "average_every": 2}, "average_every=1 beside ema_decay"),
    ],
)
def test_what_does_not_fit_is_refused(options, said):
    with pytest.raises((TypeError, ValueError), match=said):
        net_of().fit(X, Y, **options)
