"""Sequential: its parameters, its gradients, its files."""

import copy
import json
import pickle
import struct
import sys

import numpy as np
import pytest

import fastbp
from fastbp import Sequential
from fastbp.layers import (
    Affine,
    BatchNormalization,
    Dropout,
    Flatten,
    Identity,
    Linear,
    MeanSquaredError,
    Relu,
    Sigmoid,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    Tanh,
)


def small_net(dtype="float64", loss="softmax_cross_entropy"):
    return Sequential(
        Linear(6, 5, dtype=dtype, seed=0),
        Relu(),
        Linear(5, 4, dtype=dtype, seed=1),
        Sigmoid(),
        Linear(4, 3, dtype=dtype, seed=2),
        loss=loss,
    )


@pytest.fixture
def batch(rng):
    return rng.standard_normal((9, 6)), rng.integers(0, 3, 9)


def state(net):
    return {key: np.asarray(value).tobytes() for key, value in net.params.items()}


# --- parameters -----------------------------------------------------------------------------


def test_the_kth_affine_owns_wk_and_bk():
    net = small_net()
    assert list(net.params) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    assert len(net.params) == 6 and "W4" not in net.params and "W1" in net.params
    for k, place in enumerate((0, 2, 4), 1):
        assert net.params[f"W{k}"] is net.layers[place].W
        assert net.params[f"b{k}"] is net.layers[place].b
    assert "W1: (6, 5)" in repr(net.params)


def test_params_are_live(batch):
    net, (x, t) = small_net(), batch
    before = net.loss(x, t)
    W = net.params["W1"]
    net.params["W1"] -= 0.5
    assert net.params["W1"] is W is net.layers[0].W
    assert net.loss(x, t) != before
    net.layers[0].W = np.zeros((6, 5))
    assert not net.params["W1"].any()


def test_assignment_copies_in(dtype):
    net = small_net(dtype.name)
    W, own = net.params["W1"], np.arange(30.0).reshape(5, 6).T
    net.params["W1"] = own
    assert net.params["W1"] is W and W.dtype == dtype
    np.testing.assert_array_equal(W, own)
    own *= 0
    assert W.any()
    net.params["b1"] = [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(net.layers[0].b, [1, 2, 3, 4, 5])
    square = Sequential(Linear(3, 3))
    expected = square.params["W1"].T.copy()
    square.params["W1"] = square.params["W1"].T
    np.testing.assert_array_equal(square.params["W1"], expected)
    net.params.update(W1=np.ones((6, 5)))
    assert (W == 1).all()


def test_assignment_reaches_strided_and_byte_swapped_weights():
    whole = np.zeros((6, 10))
    net = Sequential(Affine(whole[:, ::2], np.zeros(5, ">f8")))
    net.params["W1"], net.params["b1"] = np.ones((6, 5)), np.arange(5.0)
    assert whole.sum() == 30 and (whole[:, ::2] == 1).all()
    np.testing.assert_array_equal(net.layers[0].b, np.arange(5))


@pytest.mark.parametrize(
    "key, value, error",
    [
        ("W1", np.ones((5, 6)), ValueError),
        ("W1", 1.0, ValueError),
        ("b1", np.ones((1, 5)), ValueError),
        ("W1", None, TypeError),
        ("W1", np.full((6, 5), "a"), TypeError),
        ("W1", np.ones((6, 5), complex), TypeError),
        ("b1", [[1], [1, 2]], ValueError),
        ("W9", np.ones((6, 5)), KeyError),
    ],
    ids=str,
)
def test_a_refused_assignment_changes_nothing(key, value, error):
    net = small_net()
    before = state(net)
    with pytest.raises(error):
        net.params[key] = value
    assert state(net) == before


def test_parameters_cannot_be_removed():
    net = small_net()
    for remove in (lambda: net.params.pop("W1"), net.params.clear, net.params.popitem):
        with pytest.raises(TypeError, match="expects to keep all its parameters"):
            remove()
    assert len(net.params) == 6
    with pytest.raises(KeyError):
        net.params["W9"]


def test_read_only_weights_predict_but_refuse_assignment(batch):
    x, _ = batch
    W = np.ones((6, 2))
    W.flags.writeable = False
    net = Sequential(Affine(W, np.zeros(2)))
    assert net.predict(x).shape == (9, 2)
    with pytest.raises(ValueError, match="writable"):
        net.params["W1"] = np.zeros((6, 2))


# --- from_config ----------------------------------------------------------------------------


def test_from_config_makes_the_layers(dtype):
    config = [(4, 8, "relu"), (8, 6, "tanh"), (6, 5, "sigmoid"), (5, 2, "linear")]
    net = Sequential.from_config(config, loss="squared_error", dtype=dtype.name, seed=0)
    kinds = [Linear, Relu, Linear, Tanh, Linear, Sigmoid, Linear, Identity]
    assert [type(layer) for layer in net] == kinds
    assert type(net.loss_layer) is MeanSquaredError
    assert [net.params[f"W{k}"].shape for k in (1, 2, 3, 4)] == [(4, 8), (8, 6), (6, 5), (5, 2)]
    assert {a.dtype for a in net.params.values()} == {dtype}
    same = Sequential.from_config(config, "squared_error", dtype.name, 0)
    assert state(same) == state(net)
    assert state(Sequential.from_config(config, dtype=dtype.name, seed=1)) != state(net)
    assert net.predict(np.ones((3, 4))).shape == (3, 2)


@pytest.mark.parametrize(
    "config, error, message",
    [
        ([(2, 8, "tanh"), (7, 1, "linear")], ValueError, "8 inputs at place 1.*got 7"),
        ([(2, 8, "swish")], ValueError, "activation.*'relu'.*'swish'"),
        ([(2, 8)], ValueError, r"rows \(inputs, outputs, activation\).*\(2, 8\).*place 0"),
        ([5], ValueError, "rows.*5"),
        ([(2, 0, "tanh")], ValueError, "out_features.*at least 1.*0"),
        ([(2.5, 3, "tanh")], TypeError, "in_features.*integer.*2.5"),
        ([(2, 3, None)], ValueError, "activation.*None"),
        ([(2, 3, ["relu"])], ValueError, "activation"),
        (None, TypeError, "config.*None"),
    ],
    ids=str,
)
def test_bad_configs_are_refused(config, error, message):
    with pytest.raises(error, match=message) as caught:
        Sequential.from_config(config)
    assert_one_sentence(caught.value)


def assert_one_sentence(error):
    text = str(error)
    assert text.endswith(".") and ". " not in text and "\n" not in text, text
    assert "expects" in text and "; got " in text, text


# --- evaluation -----------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", SoftmaxWithLoss, SoftmaxWithLoss()])
def test_a_loss_by_name_class_or_object(loss, batch):
    assert type(small_net(loss=loss).loss_layer) is SoftmaxWithLoss
    assert small_net(loss=loss).loss(*batch) == small_net().loss(*batch)


def test_predict_loss_and_accuracy_keep_nothing(batch):
    net, (x, t) = small_net(), batch
    net.gradient(x, t)
    kept = {
        id(o): {k: v for k, v in vars(o).items() if k[0] != "_" or k in ("_saved", "_shape")}
        for o in (*net, net.loss_layer)
    }
    parameters = state(net)
    net.predict(2 * x)
    net.loss(2 * x, t)
    net.accuracy(2 * x, t)
    for o in (*net, net.loss_layer):
        for name, value in kept[id(o)].items():
            assert getattr(o, name) is value, f"{o!r}.{name}"
    assert state(net) == parameters
    fresh = small_net()
    fresh.predict(x), fresh.loss(x, t), fresh.accuracy(x, t)
    assert fresh.layers[0].x is fresh.layers[1].out is fresh.loss_layer.y is None


def test_one_sample_gives_one_prediction(batch):
    net, (x, t) = small_net(), batch
    y = net.predict(x)
    assert net.predict(x[0]).shape == (3,)
    np.testing.assert_allclose(net.predict(x[0]), y[0], rtol=1e-12)
    assert net.loss(x[0], t[0]) == pytest.approx(net.loss(x[:1], t[:1]), rel=1e-12)
    assert net.accuracy(x[0], t[0]) == net.accuracy(x[:1], t[:1])
    one, rows = net.gradient(x[0], t[0]), net.gradient(x[:1], t[:1])
    for key in rows:
        np.testing.assert_allclose(one[key], rows[key], rtol=1e-12)


def test_accuracy_is_the_share_of_right_answers(batch):
    net, (x, _) = small_net(), batch
    y = net.predict(x).argmax(axis=1)
    t = y.copy()
    t[:3] = (t[:3] + 1) % 3
    assert net.accuracy(x, t) == pytest.approx(6 / 9)
    assert net.accuracy(x, np.eye(3)[t]) == pytest.approx(6 / 9)
    assert net.accuracy(x, t.tolist()) == pytest.approx(6 / 9)
    assert type(net.accuracy(x, t)) is float
    assert small_net(loss=None).accuracy(x, t) == pytest.approx(6 / 9)


def test_accuracy_of_a_sigmoid_loss_counts_every_element(rng):
    net = Sequential(Affine(np.eye(2), np.zeros(2)), loss=SigmoidWithLoss())
    x = np.array([[0.3, -0.3], [0.3, 0.3]])
    assert net.accuracy(x, [[1, 0], [0, 1]]) == 0.75
    assert net.accuracy(x[:, :1] * [1, 0] + [0, -1], [[1, 0], [1, 0]]) == 1
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2,\)"):
        net.accuracy(x, [1, 0])


@pytest.mark.parametrize("method", ["loss", "gradient"])
def test_a_network_without_a_loss_says_so(method, batch):
    with pytest.raises(ValueError, match=rf"Sequential\.{method} expects.*loss") as caught:
        getattr(small_net(loss=None), method)(*batch)
    assert_one_sentence(caught.value)


def test_squared_error_has_no_accuracy(batch):
    with pytest.raises(ValueError, match="classification loss; got MeanSquaredError"):
        small_net(loss="squared_error").accuracy(*batch)


def test_no_samples(batch):
    net, empty = small_net(), np.empty((0, 6))
    assert net.predict(empty).shape == (0, 3)
    for method in (net.gradient, net.accuracy):
        with pytest.raises(ValueError, match="at least one sample; got none") as caught:
            method(empty, np.empty(0, int))
        assert_one_sentence(caught.value)


# --- gradients ------------------------------------------------------------------------------


def layer_by_layer(net, x, t):
    for layer in net.layers:
        x = layer.forward(x)
    net.loss_layer.forward(x, t)
    dout = net.loss_layer.backward()
    for layer in reversed(net.layers):
        dout = layer.backward(dout)
    return dout, [(layer.dW, layer.db) for layer in net.layers if isinstance(layer, Affine)]


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error"])
def test_gradient_is_that_of_layer_by_layer(loss, batch, dtype):
    net, (x, t) = small_net(dtype.name, loss), batch
    t = t if loss.startswith("softmax") else np.eye(3)[t]
    _, expected = layer_by_layer(copy.deepcopy(net), x, t)
    parameters = state(net)
    grads = net.gradient(x, t)
    assert list(grads) == list(net.params)
    for k, (dW, db) in enumerate(expected, 1):
        assert grads[f"W{k}"].tobytes() == dW.tobytes()
        assert grads[f"b{k}"].tobytes() == db.tobytes()
        assert grads[f"W{k}"].dtype == dtype
    assert net.layers[0].dW is grads["W1"] and net.layers[4].db is grads["b3"]
    assert state(net) == parameters


def test_gradient_is_that_of_finite_differences(batch):
    net, (x, t) = small_net(), batch
    for key, grad in net.gradient(x, t).items():
        array = net.params[key]
        for at in list(np.ndindex(array.shape))[::4]:
            kept, losses = array[at], []
            for step in (1e-6, -1e-6):
                array[at] = kept + step
                losses.append(net.loss(x, t))
            array[at] = kept
            assert grad[at] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5, abs=1e-9)


def test_gradient_leaves_out_what_nobody_needs(batch, monkeypatch):
    """The first Affine's dx; the layers below it do not run backward at all."""
    kept = []
    original = fastbp.reference.affine_backward
    monkeypatch.setattr(
        fastbp.reference,
        "affine_backward",
        lambda dout, x, W, dx, dW, db: (kept.append(dx), original(dout, x, W, dx, dW, db)),
    )
    net = Sequential(Tanh(), *small_net(), loss=SoftmaxWithLoss())
    with fastbp.use("reference"):
        net.gradient(*batch)
        assert [dx is None for dx in kept] == [False, False, True]
        net.forward(batch[0])
        net.backward(np.ones((9, 3)))
    assert [dx is None for dx in kept[3:]] == [False, False, False]


def test_gradients_are_the_callers_own(batch):
    net, (x, t) = small_net(), batch
    first = net.gradient(x, t)
    before = {key: grad.tobytes() for key, grad in first.items()}
    net.gradient(2 * x, t)
    assert {key: grad.tobytes() for key, grad in first.items()} == before
    assert not any(np.may_share_memory(a, b) for a in first.values() for b in net.params.values())


def test_forward_and_backward_pass_through(batch):
    net, (x, _) = small_net(), batch
    np.testing.assert_array_equal(net.forward(x), net.predict(x))
    dx = net.backward(np.ones((9, 3)))
    assert dx.shape == x.shape
    for at in [(0, 0), (3, 4), (8, 5)]:
        sums = []
        for step in (1e-6, -1e-6):
            moved = x.copy()
            moved[at] += step
            sums.append(net.predict(moved).sum())
        assert dx[at] == pytest.approx((sums[0] - sums[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_training_by_hand_and_by_sgd_agree(batch, dtype, tolerance):
    x, t = batch
    by_hand, by_sgd = small_net(dtype.name), small_net(dtype.name)
    before = by_sgd.loss(x, t)
    optimiser = fastbp.SGD(lr=0.5)
    for _ in range(20):
        for key, grad in by_hand.gradient(x, t).items():
            by_hand.params[key] -= dtype.type(0.5) * grad
        optimiser.update(by_sgd.params, by_sgd.gradient(x, t))
    for key in by_hand.params:
        np.testing.assert_allclose(by_hand.params[key], by_sgd.params[key], rtol=0, atol=tolerance("training", dtype))
    assert by_sgd.loss(x, t) < before


def test_inputs_of_a_network_are_left_alone(batch):
    net, (x, t) = small_net(), batch
    x.flags.writeable = t.flags.writeable = False
    before = x.tobytes(), t.tobytes()
    for method in (net.gradient, net.loss, net.accuracy):
        method(x, t)
    net.predict(x)
    assert (x.tobytes(), t.tobytes()) == before


def test_images_pass_through_flatten_or_affine_alone(rng):
    images, t = rng.random((5, 1, 4, 4)), np.arange(5) % 3
    net = Sequential(Flatten(), Linear(16, 3, seed=0), loss=SoftmaxWithLoss())
    bare = Sequential(net[1], loss=SoftmaxWithLoss())
    assert net.loss(images, t) == bare.loss(images, t) == net.loss(images.reshape(5, 16), t)
    np.testing.assert_array_equal(net.gradient(images, t)["W1"], bare.gradient(images, t)["W1"])
    net.forward(images)
    assert net.backward(np.ones((5, 3))).shape == images.shape


class Doubling:
    """A layer of the user's own."""

    def forward(self, x):
        self.calls = getattr(self, "calls", 0) + 1
        return 2 * x

    def backward(self, dout):
        return 2 * dout


class Scale:
    """A layer of the user's own, with a parameter."""

    param_names = ("s",)

    def __init__(self):
        self.s, self.ds = np.array([3.0]), None

    def forward(self, x):
        self.x = x
        return x * self.s

    def backward(self, dout):
        self.ds = np.array([(dout * self.x).sum()])
        return dout * self.s


def test_layers_of_the_users_own(batch):
    x, t = batch
    own, scale = Doubling(), Scale()
    W = np.ones((6, 3)) * np.arange(1, 4)
    net = Sequential(own, Affine(W, np.zeros(3)), scale, loss=SoftmaxWithLoss())
    plain = Sequential(Affine(6 * W, np.zeros(3)), loss=SoftmaxWithLoss())
    assert net.loss(x, t) == pytest.approx(plain.loss(x, t))
    assert list(net.params) == ["W1", "b1", "s1"]
    grads, expected = net.gradient(x, t), plain.gradient(x, t)
    np.testing.assert_allclose(grads["W1"], 6 * expected["W1"], rtol=1e-12)
    np.testing.assert_allclose(grads["s1"], (expected["W1"] * 2 * W).sum(), rtol=1e-9, atol=1e-12)
    net.summary()
    assert "Scale" in repr(net)


class BooksAffine:
    """The book's layer as it stands there, without `param_names`."""

    def __init__(self, W, b):
        self.W, self.b = W, b
        self.x = self.dx = self.dW = self.db = None

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout):
        self.dx = np.dot(dout, self.W.T)
        self.dW, self.db = np.dot(self.x.T, dout), np.sum(dout, axis=0)
        return self.dx


def test_the_books_own_layers_are_trained_in_a_network(batch):
    """Their weights were in neither `params` nor `gradient`, and stayed as they were."""
    x, t = batch
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((6, 5), (5,), (5, 3), (3,))]
    W1, b1, W2, b2 = (array.copy() for array in arrays)
    own = Sequential(BooksAffine(W1, b1), Relu(), BooksAffine(W2, b2), loss=SoftmaxWithLoss())
    ours = Sequential(Affine(*arrays[:2]), Relu(), Affine(*arrays[2:]), loss=SoftmaxWithLoss())
    for _ in range(3):
        grads, expected = own.gradient(x, t), ours.gradient(x, t)
        assert list(grads) == list(own.params) == ["W1", "b1", "W2", "b2"]
        for key, grad in grads.items():
            np.testing.assert_allclose(grad, expected[key], rtol=1e-9, atol=1e-12)
        fastbp.SGD(lr=0.1).update(own.params, grads)
        fastbp.SGD(lr=0.1).update(ours.params, expected)
    assert own.params["W1"] is W1
    with pytest.raises(TypeError, match="a BooksAffine at place 0, which takes arrays alone"):
        own(fastbp.tensor(x))
    with pytest.raises(TypeError, match=r"W, b of BooksAffine at place 0.*keep dict\(net.params\)"):
        own.state_dict()  # which would be a part of the network
    np.testing.assert_allclose(W1, ours.params["W1"], rtol=1e-9)
    own.append(Affine(np.eye(3), np.zeros(3)))  # x and dx are there by now, and are none
    assert list(own.params) == ["W1", "b1", "W2", "b2", "W3", "b3"]


def test_own_layers_whose_parameters_nobody_knows_are_refused(batch):
    class Late(BooksAffine):
        def __init__(self, W, b):
            self.W, self.b = W, b

    class Listed:
        """As the book's second volume writes layers."""

        def __init__(self, W, b):
            self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

        def forward(self, x):
            return np.dot(x, self.params[0]) + self.params[1]

        def backward(self, dout):
            return np.dot(dout, self.params[0].T)

    x, t = batch
    for kind, came in ((Late, "Late, which does not, and has W, b"), (Listed, "and has params")):
        net = Sequential(kind(np.ones((6, 3)), np.zeros(3)), loss=SoftmaxWithLoss())
        with pytest.raises(TypeError, match=f"to name their arrays, as param_names.*{came}"):
            net.gradient(x, t)
    Late.param_names = ("W", "b")
    net = Sequential(Late(np.ones((6, 3)), np.zeros(3)), loss=SoftmaxWithLoss())
    assert list(net.gradient(x, t)) == ["W1", "b1"]


def test_a_loss_of_the_users_own(batch):
    class Sum:
        def forward(self, x, t):
            self.shape = x.shape
            return float((x * t).sum())

        def backward(self, dout=1):
            return np.ones(self.shape)

    x, _ = batch
    net = Sequential(Affine(np.ones((6, 2)), np.zeros(2)), loss=Sum())
    np.testing.assert_allclose(net.gradient(x, 1)["W1"], np.stack([x.sum(axis=0)] * 2, axis=1))
    assert net.loss(x, 1) == pytest.approx(2 * x.sum())


def test_one_relu_may_stand_at_two_places(batch):
    x, t = batch
    relu = Relu()
    layers = [Linear(6, 5, dtype="float64", seed=0), Linear(5, 5, dtype="float64", seed=1)]
    last = Linear(5, 3, dtype="float64", seed=2)
    shared = Sequential(layers[0], relu, layers[1], relu, last, loss=SoftmaxWithLoss())
    apart = Sequential(layers[0], Relu(), layers[1], Relu(), last, loss=SoftmaxWithLoss())
    expected = apart.gradient(x, t)
    for key, grad in shared.gradient(x, t).items():
        assert grad.tobytes() == expected[key].tobytes()


def test_forward_and_backward_with_one_relu_at_two_places(batch):
    """Either right, or refused: never another gradient without a word."""
    x, _ = batch
    relu, a, b = Relu(), Linear(6, 6, seed=0), Linear(6, 6, seed=1)
    apart = Sequential(a, Relu(), b, Relu())
    apart.forward(x)
    expected = apart.backward(np.ones((9, 6)))
    try:
        shared = Sequential(a, relu, b, relu)
        shared.forward(x)
        dx = shared.backward(np.ones((9, 6)))
    except (ValueError, RuntimeError) as error:
        assert_one_sentence(error)
    else:
        np.testing.assert_array_equal(dx, expected)


def test_a_network_within_a_network(batch):
    """Either its parameters count, or it is refused: never left untrained without a word."""
    x, t = batch
    inner = Sequential(Linear(6, 5, dtype="float64", seed=0), Relu())
    try:
        net = Sequential(inner, Linear(5, 3, dtype="float64", seed=1), loss=SoftmaxWithLoss())
    except (TypeError, ValueError) as error:
        assert_one_sentence(error)
    else:
        flat = Sequential(*inner, net.layers[-1], loss=SoftmaxWithLoss())
        expected = flat.gradient(x, t)
        grads = net.gradient(x, t)
        assert len(grads) == len(net.params) == 4
        for got, grad in zip(grads.values(), expected.values(), strict=True):
            np.testing.assert_array_equal(got, grad)


@pytest.mark.parametrize(
    "layers, error, message",
    [
        (lambda: [[Linear(2, 2), Relu()]], TypeError, "one by one"),
        (lambda: [(Linear(2, 2),)], TypeError, "one by one"),
        (lambda: [Relu], TypeError, "layers.*Relu.*place 0"),
        (lambda: [Linear(2, 2), None], TypeError, "layers.*None at place 1"),
        (lambda: [Linear(2, 2), np.tanh], TypeError, "layers.*tanh"),
        (lambda: [SoftmaxWithLoss()], TypeError, "layers.*SoftmaxWithLoss"),
        (lambda: [Doubling()] * 2, ValueError, "one place only.*Doubling"),
    ],
)
def test_what_is_no_layer_is_refused(layers, error, message):
    with pytest.raises(error, match=message) as caught:
        Sequential(*layers())
    assert_one_sentence(caught.value)


@pytest.mark.parametrize("loss, error", [("cross_entropy", ValueError), (3, TypeError), (np.mean, TypeError)])
def test_what_is_no_loss_is_refused(loss, error):
    with pytest.raises(error, match="loss") as caught:
        Sequential(Linear(2, 2), loss=loss)
    assert_one_sentence(caught.value)


# --- as a list ------------------------------------------------------------------------------


def test_a_network_is_a_list_of_layers(batch):
    net, (x, _) = small_net(), batch
    assert len(net) == 5 and list(net) == list(net.layers)
    assert net[0] is net.layers[0] and net[-1] is net.layers[4]
    part = net[:3]
    assert type(part) is Sequential and part.layers == net.layers[:3]
    np.testing.assert_array_equal(net[3:].predict(part.predict(x)), net.predict(x))
    assert list(part.params) == ["W1", "b1", "W2", "b2"]
    assert part.params["W1"] is net.params["W1"]
    with pytest.raises(IndexError):
        net[5]


def test_an_empty_network_passes_x_through(batch):
    x, _ = batch
    net = Sequential()
    assert len(net) == 0 and net.predict(x) is x and not net.params
    assert bool(net[:0].layers) is False
    net.summary()


def test_repr_and_summary(capsys):
    net = Sequential(Linear(6, 5, seed=0), Relu(), Affine(np.ones((5, 3)), np.zeros(3)), loss=SoftmaxWithLoss())
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=6, out_features=5)\n"
        "  (1): ReLU()\n"
        "  (2): Affine(in_features=5, out_features=3)\n"
        "  (loss): SoftmaxWithLoss()\n"
        ")"
    )
    assert net.summary() is None
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == ("loss SoftmaxWithLoss, 53 parameters, float32, float64")
    assert [line.split()[0] for line in printed.splitlines()[1:-1]] == ["0", "1", "2"]
    assert [line.split()[-1] for line in printed.splitlines()[1:-1]] == ["35", "0", "18"]
    assert len({len(line) for line in printed.splitlines()[1:-1]}) == 1
    Sequential(Linear(2000, 1000), loss=None).summary()
    assert "2,001,000 parameters" in capsys.readouterr().out


def test_summary_of_more_than_ten_layers_is_aligned(capsys):
    Sequential(*(Relu() for _ in range(11)), Linear(3, 4)).summary()
    rows = capsys.readouterr().out.splitlines()[1:-1]
    assert len({len(row) for row in rows}) == 1, "\n".join(rows)


# --- copies and files -----------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_is_the_same_network_with_its_own_arrays(copied, batch, dtype):
    net, (x, t) = small_net(dtype.name), batch
    net.gradient(x, t)
    twin = copied(net)
    assert state(twin) == state(net) and twin.loss(x, t) == net.loss(x, t)
    assert twin.params["W1"] is twin.layers[0].W is not net.layers[0].W
    before = state(net)
    for key, grad in twin.gradient(x, t).items():
        twin.params[key] -= grad
    assert state(net) == before != state(twin)
    assert twin.predict(x).dtype == dtype


def test_state_dict_has_pytorchs_names_and_shapes():
    net = small_net()
    shapes = {name: array.shape for name, array in net.state_dict().items()}
    assert shapes == {
        "0.weight": (5, 6),
        "0.bias": (5,),
        "2.weight": (4, 5),
        "2.bias": (4,),
        "4.weight": (3, 4),
        "4.bias": (3,),
    }
    assert np.shares_memory(net.state_dict()["0.weight"], net.params["W1"])


def every_layer(dtype):
    W = np.linspace(-1, 1, 12).astype(dtype).reshape(4, 3)
    return Sequential(
        Flatten(),
        Linear(6, 5, dtype=dtype.name, seed=0),
        Relu(),
        Linear(5, 4, dtype=dtype.name),
        Sigmoid(),
        Tanh(),
        Identity(),
        Affine(W, np.zeros(3, "float32")),
        loss=SigmoidWithLoss(),
    )


def test_save_and_load_keep_every_bit(tmp_path, batch, dtype):
    pytest.importorskip("safetensors")
    net, (x, _) = every_layer(dtype), batch
    net.params["b1"] = [-np.inf, np.inf, -0.0, np.finfo(dtype).smallest_subnormal, 1]
    path = tmp_path / "net.safetensors"
    net.save(path)
    loaded = Sequential.load(path)
    assert state(loaded) == state(net)
    assert [a.dtype for a in loaded.params.values()] == [a.dtype for a in net.params.values()]
    assert type(loaded.loss_layer) is SigmoidWithLoss
    kinds = [Affine if type(layer) is Linear else type(layer) for layer in net]
    assert [Affine if type(layer) is Linear else type(layer) for layer in loaded] == kinds
    net.params["b1"] = loaded.params["b1"] = np.zeros(5)
    assert loaded.predict(x).tobytes() == net.predict(x).tobytes()
    assert all(a.flags.writeable and a.flags.aligned for a in loaded.params.values())
    assert list(tmp_path.iterdir()) == [path]


def test_a_loaded_network_trains_on(tmp_path, batch):
    pytest.importorskip("safetensors")
    net, (x, t) = small_net(), batch
    net.save(str(tmp_path / "net"))
    loaded = Sequential.load(str(tmp_path / "net"))
    fastbp.SGD(lr=0.1).update(loaded.params, loaded.gradient(x, t))
    assert loaded.loss(x, t) < net.loss(x, t)
    loaded.save(tmp_path / "net")
    assert state(Sequential.load(tmp_path / "net")) == state(loaded)


@pytest.mark.parametrize("layout", ["strided", "Fortran", "big-endian", "read-only"])
def test_weights_that_lie_oddly_are_saved_rightly(layout, tmp_path, batch, dtype, rng):
    pytest.importorskip("safetensors")
    x, _ = batch
    W = rng.standard_normal((6, 3)).astype(dtype)
    odd = {
        "strided": np.repeat(W, 2, axis=1)[:, ::2],
        "Fortran": np.asfortranarray(W),
        "big-endian": W.astype(W.dtype.newbyteorder(">")),
        "read-only": np.frombuffer(W.tobytes(), dtype).reshape(6, 3),
    }[layout]
    net = Sequential(Affine(odd, np.zeros(3, dtype)))
    net.save(tmp_path / "net")
    loaded = Sequential.load(tmp_path / "net")
    np.testing.assert_array_equal(loaded.params["W1"], W)
    assert loaded.params["W1"].dtype == dtype and loaded.loss_layer is None
    assert loaded.predict(x).tobytes() == net.predict(x).tobytes()


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "squared_error", None])
def test_the_loss_is_saved(loss, tmp_path):
    pytest.importorskip("safetensors")
    small_net(loss=loss).save(tmp_path / "net")
    assert type(Sequential.load(tmp_path / "net").loss_layer) is type(small_net(loss=loss).loss_layer)


def test_what_cannot_be_saved_is_refused_and_leaves_the_file_alone(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "net"
    path.write_bytes(b"precious")

    class Own(Relu):
        pass

    for net in (Sequential(Doubling()), Sequential(Own()), Sequential(Relu(), loss=OwnLoss())):
        with pytest.raises(TypeError, match="own layers and losses") as caught:
            net.save(path)
        assert_one_sentence(caught.value)
    assert path.read_bytes() == b"precious" and list(tmp_path.iterdir()) == [path]


class OwnLoss(SoftmaxWithLoss):
    pass


def test_modes_and_dropouts_masks_are_saved(tmp_path, batch):
    pytest.importorskip("safetensors")
    x, _ = batch
    inner = Sequential(Linear(6, 6, dtype="float64", seed=0), Dropout(0.5, seed=7))
    net = Sequential(inner, Relu(), BatchNormalization(np.ones(6), np.zeros(6)))
    inner.forward(x)  # the masks go on
    for modes in ([False] * 6, [True, False, True, True, False, False], [True] * 6):
        for module, mode in zip(net.modules(), modes, strict=True):
            module.training = mode
        net.save(tmp_path / "net")
        loaded = Sequential.load(tmp_path / "net")
        assert [module.training for module in loaded.modules()] == modes
        for _ in range(3):
            np.testing.assert_array_equal(loaded.forward(x), net.forward(x))


@pytest.mark.parametrize(
    "change",
    [
        {"evaluating": ["7"]},
        {"evaluating": "0"},
        {"evaluating": [0]},
        {"kept": {"W": 1}},
        {"kept": {"seed": -1}},
        {"kept": {"seed": 0.5}},
        {"kept": [1]},
    ],
)
def test_a_file_of_other_modes_or_masks_is_refused(change, tmp_path):
    pytest.importorskip("safetensors")
    Sequential(Dropout(0.5, seed=0)).save(tmp_path / "net")

    def changed(architecture):
        (architecture if "evaluating" in change else architecture["layers"][0]).update(change)

    rewritten(tmp_path / "net", changed)
    with pytest.raises(ValueError, match="expects") as caught:
        Sequential.load(tmp_path / "net")
    assert_one_sentence(caught.value)


def test_hooks_of_gradients_cannot_be_saved(tmp_path):
    pytest.importorskip("safetensors")
    net = Sequential(fastbp.nn.Linear(2, 2))
    handle = net[0].weight.register_hook(lambda g: 2 * g)
    with pytest.raises(TypeError, match=r"without gradient hooks.*weight of Linear") as caught:
        net.save(tmp_path / "net")
    assert_one_sentence(caught.value)
    handle.remove()
    net.save(tmp_path / "net")


def test_a_failed_write_leaves_the_file_alone(tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    path = tmp_path / "net"
    small_net().save(path)
    before = path.read_bytes()

    def broken(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        small_net(loss=None).save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_save_without_safetensors_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (small_net().save, Sequential.load):
        with pytest.raises(ImportError, match=r"safetensors.*pip install 'fastbp\[all\]'"):
            call(tmp_path / "net")
    assert not list(tmp_path.iterdir())


def rewritten(path, change):
    """The file with its architecture changed, and without a checksum."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    architecture = json.loads(header["__metadata__"]["fastbp"])
    architecture = change(architecture) or architecture
    header["__metadata__"] = {"fastbp": json.dumps(architecture)}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def foreign(path, tensors, metadata=None):
    from safetensors.numpy import save

    path.write_bytes(save(tensors, metadata))


DAMAGED = {
    "empty": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("not a network at all, just a text file"),
    "truncated": lambda p: p.write_bytes(p.read_bytes()[:-8]),
    "truncated header": lambda p: p.write_bytes(p.read_bytes()[:40]),
    "a few bytes": lambda p: p.write_bytes(p.read_bytes()[:5]),
    "longer": lambda p: p.write_bytes(p.read_bytes() + b"\0" * 8),
    "huge header": lambda p: p.write_bytes(b"\xff" * 8 + p.read_bytes()[8:]),
    "zeros": lambda p: p.write_bytes(bytes(200)),
    "npz": lambda p: np.savez(p.open("wb"), W1=np.ones(3)),
    "pickle": lambda p: p.write_bytes(pickle.dumps({"W1": 1})),
    "other safetensors": lambda p: foreign(p, {"a": np.ones(3)}),
    "other metadata": lambda p: foreign(p, {"a": np.ones(3)}, {"fastbp": "hello"}),
    "list metadata": lambda p: foreign(p, {"a": np.ones(3)}, {"fastbp": "[1, 2]"}),
    "newer version": lambda p: rewritten(p, lambda a: a.update(version=2)),
    "newer with other contents": lambda p: rewritten(p, lambda a: {"version": 99, "graph": []}),
    "version as text": lambda p: rewritten(p, lambda a: a.update(version="1")),
    "other format": lambda p: rewritten(p, lambda a: a.update(format="something-else")),
    "unknown layer": lambda p: rewritten(p, lambda a: a["layers"][1].update(type="Swish")),
    "unknown loss": lambda p: rewritten(p, lambda a: a.update(loss="Hinge")),
    "loss of another type": lambda p: rewritten(p, lambda a: a.update(loss=["SoftmaxWithLoss"])),
    "too many layers": lambda p: rewritten(
        p, lambda a: a["layers"].append({"type": "Affine", "in_features": 3, "out_features": 2})
    ),
    "layers a number": lambda p: rewritten(p, lambda a: a.update(layers=5)),
    "layers a text": lambda p: rewritten(p, lambda a: a.update(layers="Relu")),
    "layers null": lambda p: rewritten(p, lambda a: a.update(layers=None)),
    "layer a list": lambda p: rewritten(p, lambda a: a["layers"].__setitem__(0, [])),
    "layer type a list": lambda p: rewritten(p, lambda a: a["layers"][0].update(type=["Affine"])),
    "other sizes": lambda p: rewritten(p, lambda a: a["layers"][0].update(in_features=7)),
    "integer weights": lambda p: foreign(
        p,
        {"0.weight": np.ones((3, 2), int), "0.bias": np.ones(3)},
        {
            "fastbp": json.dumps(
                {
                    "format": "fastbp-network",
                    "version": 1,
                    "loss": None,
                    "layers": [{"type": "Affine", "in_features": 2, "out_features": 3}],
                }
            )
        },
    ),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_or_foreign_file_is_refused_in_one_sentence(damage, tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "net"
    small_net().save(path)
    DAMAGED[damage](path)
    with pytest.raises(ValueError) as caught:
        Sequential.load(path)
    text = str(caught.value)
    assert text.startswith("Sequential.load expects") and text.endswith("."), text
    assert "\n" not in text and ". " not in text, text
    assert str(path) in text, text
    if damage.startswith("newer"):
        assert "version" in text, text


def test_a_missing_file_is_not_found(tmp_path):
    pytest.importorskip("safetensors")
    with pytest.raises(FileNotFoundError):
        Sequential.load(tmp_path / "nothing")


def test_every_cut_of_a_file_is_refused(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "net"
    small_net().save(path)
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError):
            Sequential.load(path)


def test_a_class_made_of_other_arguments_is_told_at_load(tmp_path):
    class Net(Sequential):
        def __init__(self):
            super().__init__(Linear(4, 3, seed=0), Relu(), Linear(3, 2, seed=1))

    net = Net()
    net.save(tmp_path / "net.safetensors")
    with pytest.raises(TypeError, match=r"Net.load expects a class that is made as Sequential"):
        Net.load(tmp_path / "net.safetensors")
    loaded = Sequential.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(loaded.predict(np.ones((1, 4))), net.predict(np.ones((1, 4))))
