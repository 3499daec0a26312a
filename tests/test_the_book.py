"""The scripts of *Deep Learning from Scratch*, chapters 3 to 6, with `fastbp.book` as import.

Each test calls the names as a script of the book does, over small data, and holds the numbers to
the book's formulas, written out here in plain NumPy.
"""
# ruff: noqa: F405, NPY002, SIM905  (the book imports *, and draws from NumPy's global generator)

import pickle
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import book
from fastbp.book import *  # noqa: F403

DOC = Path(__file__).parents[1] / "docs" / "the-book.md"


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """Four small files in the folder that FASTBP_DATA names."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 320), ("t10k", 120)):
        digits = rng.integers(0, 10, n)
        images = rng.integers(0, 100, (n, 28, 28))
        images[np.arange(28) // 2 == digits[:, None]] += 150
        for name, array in (("images-idx3", images), ("labels-idx1", digits)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (tmp_path / f"{part}-{name}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())
    monkeypatch.setenv("FASTBP_DATA", str(tmp_path))


# --- the book's formulas ------------------------------------------------------------------------


def twin_loss_and_gradients(params, x, t, n_hidden, decay=0.0, norm=False):
    """The book's multilayer network in training, relu between the layers; t are indices."""
    out, kept = x, []
    for k in range(1, n_hidden + 2):
        kept.append([out])
        out = out @ params[f"W{k}"] + params[f"b{k}"]
        if k <= n_hidden:
            if norm:
                centred = out - out.mean(axis=0)
                std = np.sqrt(np.mean(centred**2, axis=0) + 10e-7)
                kept[-1] += [centred / std, std]
                out = params[f"gamma{k}"] * kept[-1][1] + params[f"beta{k}"]
            kept[-1].append(out <= 0)
            out = np.where(kept[-1][-1], 0, out)
    y = np.exp(out - out.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)
    loss = -np.log(y[np.arange(len(t)), t]).mean()
    loss += sum(0.5 * decay * np.sum(params[f"W{k}"] ** 2) for k in range(1, n_hidden + 2))
    dout, grads = y.copy(), {}
    dout[np.arange(len(t)), t] -= 1
    dout /= len(t)
    for k in range(n_hidden + 1, 0, -1):
        x_k, *rest = kept[k - 1]
        if k <= n_hidden:
            dout = np.where(rest[-1], 0, dout)
            if norm:
                normal, std = rest[:2]
                grads[f"gamma{k}"], grads[f"beta{k}"] = (dout * normal).sum(0), dout.sum(0)
                dn = params[f"gamma{k}"] * dout
                dout = (dn - dn.mean(0) - normal * (dn * normal).mean(0)) / std
        grads[f"W{k}"] = x_k.T @ dout + decay * params[f"W{k}"]
        grads[f"b{k}"] = dout.sum(axis=0)
        dout = dout @ params[f"W{k}"].T
    return loss, grads


class TwinOptimizer:
    """The book's updates, of one number or array after another."""

    def __init__(self, name, lr=0.01, momentum=0.9, decay_rate=0.99, beta1=0.9, beta2=0.999):
        self.name, self.lr, self.momentum, self.decay_rate = name, lr, momentum, decay_rate
        self.beta1, self.beta2, self.v, self.h, self.steps = beta1, beta2, {}, {}, 0

    def update(self, params, grads):
        self.steps += 1
        for key in params:
            g, v, h = grads[key], self.v.get(key, 0.0), self.h.get(key, 0.0)
            if self.name == "SGD":
                step = -self.lr * g
            elif self.name == "Momentum":
                step = self.v[key] = self.momentum * v - self.lr * g
            elif self.name == "Nesterov":
                step = self.momentum**2 * v - (1 + self.momentum) * self.lr * g
                self.v[key] = self.momentum * v - self.lr * g
            elif self.name == "Adam":
                rate = self.lr * np.sqrt(1 - self.beta2**self.steps) / (1 - self.beta1**self.steps)
                self.v[key] = v + (1 - self.beta1) * (g - v)
                self.h[key] = h + (1 - self.beta2) * (g**2 - h)
                step = -rate * self.v[key] / (np.sqrt(self.h[key]) + 1e-7)
            else:
                kept = 1.0 if self.name == "AdaGrad" else self.decay_rate
                share = 1.0 if self.name == "AdaGrad" else 1 - self.decay_rate
                self.h[key] = kept * h + share * g * g
                step = -self.lr * g / (np.sqrt(self.h[key]) + 1e-7)
            params[key] = params[key] + step


# --- chapter 3 -----------------------------------------------------------------------------------


def test_step_function_sigmoid_and_relu_over_an_axis():
    X = np.arange(-5.0, 5.0, 0.1)
    np.testing.assert_array_equal(step_function(X), (X > 0).astype(int))
    np.testing.assert_allclose(sigmoid(X), 1 / (1 + np.exp(-X)), rtol=1e-14)
    np.testing.assert_array_equal(relu(X), np.maximum(0, X))


def test_forward_of_a_network_in_a_dict():
    network = {"W1": np.array([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]]), "b1": np.array([0.1, 0.2, 0.3])}
    network |= {"W2": np.array([[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]), "b2": np.array([0.1, 0.2])}
    z1 = sigmoid(np.dot(np.array([1.0, 0.5]), network["W1"]) + network["b1"])
    z2 = sigmoid(np.dot(z1, network["W2"]) + network["b2"])
    y = identity_function(np.dot(z2, np.array([[0.1, 0.3], [0.2, 0.4]])) + np.array([0.1, 0.2]))
    np.testing.assert_allclose(y, [0.31682708, 0.69627909], rtol=1e-7)  # as the book prints


@pytest.mark.parametrize("batch_size", [None, 100])
def test_neuralnet_mnist_one_by_one_and_in_batches(batch_size, mnist, tmp_path):
    """sample_weight.pkl is a trained network's; here one of the small files."""
    (x_train, t_train), (x, t) = load_mnist(normalize=True, flatten=True, one_hot_label=False)
    trained = MultiLayerNet(784, [50, 100], 10, activation="sigmoid", weight_init_std="sigmoid")
    optimizer = Adam(lr=0.01)
    for _ in range(40):
        optimizer.update(trained.params, trained.gradient(x_train, t_train))
    (tmp_path / "sample_weight.pkl").write_bytes(pickle.dumps(trained.params))

    with open(tmp_path / "sample_weight.pkl", "rb") as f:
        network = pickle.load(f)

    def predict(network, x):
        z1 = sigmoid(np.dot(x, network["W1"]) + network["b1"])
        z2 = sigmoid(np.dot(z1, network["W2"]) + network["b2"])
        return softmax(np.dot(z2, network["W3"]) + network["b3"])

    accuracy_cnt = 0
    if batch_size is None:
        for i in range(len(x)):
            accuracy_cnt += np.argmax(predict(network, x[i])) == t[i]
    else:
        for i in range(0, len(x), batch_size):
            p = np.argmax(predict(network, x[i : i + batch_size]), axis=1)
            accuracy_cnt += np.sum(p == t[i : i + batch_size])
    assert accuracy_cnt / len(x) == trained.accuracy(x, t) > 0.9


# --- chapter 4 -----------------------------------------------------------------------------------


def function_2(x):
    return np.sum(x**2) if x.ndim == 1 else np.sum(x**2, axis=1)


def test_gradient_1d_and_its_tangent():
    def function_1(x):
        return 0.01 * x**2 + 0.1 * x

    def tangent_line(f, x):
        d = numerical_diff(f, x)
        y = f(x) - d * x
        return lambda t: d * t + y

    x = np.arange(0.0, 20.0, 0.1)
    assert numerical_diff(function_1, 5) == pytest.approx(0.2, rel=1e-9)
    assert type(numerical_diff(function_1, 5)) is float
    np.testing.assert_allclose(tangent_line(function_1, 5)(x), 0.2 * x - 0.25, atol=1e-8)
    np.testing.assert_allclose(numerical_diff(np.sin, x), np.cos(x), atol=1e-8)
    assert numerical_diff(lambda x0: x0 * x0 + 4.0**2, 3) == pytest.approx(6)
    for f, x, match in ((np.sin, "a", "x as a number"), (3, 5, "f as a function"), (np.sin, None, "x as a number")):
        with pytest.raises(TypeError, match=match):
            numerical_diff(f, x)


def test_gradient_2d_of_a_grid():
    X, Y = (axis.flatten() for axis in np.meshgrid(np.arange(-2, 2.5, 0.25), np.arange(-2, 2.5, 0.25)))
    grad = numerical_gradient_2d(function_2, np.array([X, Y]).T).T
    np.testing.assert_allclose(grad, [2 * X, 2 * Y], atol=1e-8)


def test_gradient_2d_and_gradient_method():
    points = np.array([[3.0, 4.0], [0.0, 2.0], [-1.0, 0.5]])
    np.testing.assert_allclose(numerical_gradient(function_2, points[0]), 2 * points[0], atol=1e-8)
    np.testing.assert_allclose(numerical_gradient_2d(function_2, points), 2 * points, atol=1e-8)
    np.testing.assert_allclose(numerical_gradient_2d(function_2, points[0]), 2 * points[0])

    x, history = np.array([-3.0, 4.0]), []
    for _ in range(20):
        history.append(x.copy())
        x -= 0.1 * numerical_gradient(function_2, x)
    np.testing.assert_allclose(x, np.array([-3.0, 4.0]) * 0.8**20, rtol=1e-6)
    assert len(history) == 20


def test_gradient_simplenet():
    class SimpleNet:
        def __init__(self):
            self.W = np.random.randn(2, 3)

        def predict(self, x):
            return np.dot(x, self.W)

        def loss(self, x, t):
            return cross_entropy_error(softmax(self.predict(x)), t)

    x, t, net = np.array([0.6, 0.9]), np.array([0, 0, 1]), SimpleNet()
    dW = numerical_gradient(lambda w: net.loss(x, t), net.W)
    e = np.exp(x @ net.W)
    np.testing.assert_allclose(dW, np.outer(x, e / e.sum() - t), atol=1e-7)


class TwoLayerNetOfChapter4:
    """Sigmoid, and a gradient written out by hand."""

    def __init__(self, input_size, hidden_size, output_size, weight_init_std=0.01):
        self.params = {}
        self.params["W1"] = weight_init_std * np.random.randn(input_size, hidden_size)
        self.params["b1"] = np.zeros(hidden_size)
        self.params["W2"] = weight_init_std * np.random.randn(hidden_size, output_size)
        self.params["b2"] = np.zeros(output_size)

    def predict(self, x):
        z1 = sigmoid(np.dot(x, self.params["W1"]) + self.params["b1"])
        return softmax(np.dot(z1, self.params["W2"]) + self.params["b2"])

    def loss(self, x, t):
        return cross_entropy_error(self.predict(x), t)

    def accuracy(self, x, t):
        return np.mean(self.predict(x).argmax(axis=1) == t.argmax(axis=1))

    def numerical_gradient(self, x, t):
        loss_W = lambda W: self.loss(x, t)  # noqa: E731
        return {key: numerical_gradient(loss_W, self.params[key]) for key in self.params}

    def gradient(self, x, t):
        W1, W2, b1 = self.params["W1"], self.params["W2"], self.params["b1"]
        a1 = np.dot(x, W1) + b1
        z1 = sigmoid(a1)
        dy = (self.predict(x) - t) / x.shape[0]
        dz1 = sigmoid_grad(a1) * np.dot(dy, W2.T)
        return {"W1": np.dot(x.T, dz1), "b1": dz1.sum(0), "W2": np.dot(z1.T, dy), "b2": dy.sum(0)}


@pytest.mark.parametrize("cls", [TwoLayerNetOfChapter4, TwoLayerNet])
def test_train_neuralnet_of_chapters_4_and_5(cls, mnist):
    (x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)
    network = cls(input_size=784, hidden_size=20, output_size=10)
    iters_num, batch_size, learning_rate = 150, 32, 0.5
    train_size = x_train.shape[0]
    train_loss_list, train_acc_list, test_acc_list = [], [], []
    iter_per_epoch = max(train_size / batch_size, 1)
    for i in range(iters_num):
        batch_mask = np.random.choice(train_size, batch_size)
        grad = network.gradient(x_train[batch_mask], t_train[batch_mask])
        for key in ("W1", "b1", "W2", "b2"):
            network.params[key] -= learning_rate * grad[key]
        train_loss_list.append(network.loss(x_train[batch_mask], t_train[batch_mask]))
        if i % iter_per_epoch == 0:
            train_acc_list.append(network.accuracy(x_train, t_train))
            test_acc_list.append(network.accuracy(x_test, t_test))
    assert train_loss_list[0] > 2 > 2 * train_loss_list[-1]
    assert test_acc_list[-1] > 0.9 and len(train_acc_list) == 15


# --- chapter 5 -----------------------------------------------------------------------------------


def test_buy_apple():
    mul_apple_layer, mul_tax_layer = MulLayer(), MulLayer()
    price = mul_tax_layer.forward(mul_apple_layer.forward(100, 2), 1.1)
    dapple_price, dtax = mul_tax_layer.backward(1)
    dapple, dapple_num = mul_apple_layer.backward(dapple_price)
    assert (price, dapple, dapple_num, dtax) == pytest.approx((220, 2.2, 110, 200))


def test_buy_apple_and_orange():
    mul_apple, mul_orange, add, mul_tax = MulLayer(), MulLayer(), AddLayer(), MulLayer()
    total = add.forward(mul_apple.forward(100, 2), mul_orange.forward(150, 3))
    assert mul_tax.forward(total, 1.1) == pytest.approx(715)
    dall, dtax = mul_tax.backward(1)
    dapples, doranges = add.backward(dall)
    dapple, dapple_num = mul_apple.backward(dapples)
    dorange, dorange_num = mul_orange.backward(doranges)
    assert (dtax, dapple, dapple_num, dorange, dorange_num) == pytest.approx((650, 2.2, 110, 3.3, 165))


def test_gradient_check_of_chapter_5(mnist):
    (x_train, t_train), _ = load_mnist(normalize=True, one_hot_label=True)
    network = TwoLayerNet(input_size=784, hidden_size=4, output_size=10)
    x_batch, t_batch = x_train[:3], t_train[:3]
    grad_numerical = network.numerical_gradient(x_batch, t_batch)
    grad_backprop = network.gradient(x_batch, t_batch)
    assert list(grad_numerical) == ["W1", "b1", "W2", "b2"]
    for key in grad_numerical:
        assert np.average(np.abs(grad_backprop[key] - grad_numerical[key])) < 1e-8
    assert fastbp.gradient_check(network, x_batch, t_batch)


# --- chapter 6 -----------------------------------------------------------------------------------

OPTIMIZERS = {  # the options as scripts write them, and how far eps puts the numbers off
    "SGD": ({"lr": 0.95}, 1e-12),
    "Momentum": ({"lr": 0.1, "momentum": 0.8}, 1e-12),
    "Nesterov": ({"lr": 0.1, "momentum": 0.8}, 1e-12),
    "AdaGrad": ({"lr": 1.5}, 1e-5),
    "RMSprop": ({"lr": 0.1, "decay_rate": 0.9}, 1e-5),
    "Adam": ({"lr": 0.3, "beta1": 0.8, "beta2": 0.99}, 1e-5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", [float, np.float64, np.float32, np.array, int])
def test_optimizer_compare_naive(name, kind):
    """Plain numbers: the dict's entries are replaced, and keep their type."""
    options, off = OPTIMIZERS[name]
    optimizer, twin = getattr(book, name)(**options), TwinOptimizer(name, **options)
    params, expected = {"x": kind(-7.0), "y": kind(2.0)}, {"x": -7.0, "y": 2.0}
    grads = {"x": 0, "y": 0}
    for _ in range(30):
        grads["x"], grads["y"] = params["x"] / 10.0, 2.0 * params["y"]
        optimizer.update(params, grads)
        twin.update(expected, {"x": expected["x"] / 10.0, "y": 2.0 * expected["y"]})
        for key, value in params.items():
            assert value == pytest.approx(expected[key], abs=7 * max(off, 1e-5 * (kind is np.float32)))
            kept = {int: float, np.array: np.ndarray}.get(kind, kind)
            assert type(value) is kept


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_and_arrays_of_the_books_optimizers(name):
    optimizer, twin = (getattr(book, name)(), TwinOptimizer(name, **{"lr": 0.001} if name == "Adam" else {}))
    params = {"W1": np.random.randn(4, 3), "b1": np.zeros(3)}
    expected = {key: value.copy() for key, value in params.items()}
    arrays = dict(params)
    for _ in range(10):
        grads = {key: np.random.randn(*value.shape) for key, value in params.items()}
        optimizer.update(params, grads)
        twin.update(expected, grads)
    for key, value in params.items():
        assert value is arrays[key]  # in place, as a layer has it
        np.testing.assert_allclose(value, expected[key], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["Momentum", "Nesterov", "SGD"])
def test_the_books_optimizers_train_in_fit(name):
    x, t = np.random.randn(32, 3), np.arange(32) % 2
    nets = [
        fastbp.Sequential(
            fastbp.Linear(3, 5, dtype="float64", seed=0),
            Relu(),
            fastbp.Linear(5, 2, dtype="float64", seed=1),
            loss="softmax_cross_entropy",
        )
        for _ in range(2)
    ]
    nets[0].fit(x, t, epochs=3, batch_size=32, optimizer=getattr(book, name)(lr=0.1), shuffle=False)
    by_hand = getattr(book, name)(lr=0.1)
    for _ in range(3):
        by_hand.update(nets[1].params, nets[1].gradient(x, t))
    for key, value in nets[0].params.items():
        np.testing.assert_allclose(value, nets[1].params[key], rtol=1e-10)


def test_optimizer_compare_mnist_and_weight_init_compare(mnist):
    (x_train, t_train), _ = load_mnist(normalize=True)
    optimizers = {name: getattr(book, name)() for name in ("SGD", "Momentum", "AdaGrad", "Adam")}
    scales = {"std=0.01": 0.01, "Xavier": "sigmoid", "He": "relu"}
    networks = {
        name: MultiLayerNet(input_size=784, hidden_size_list=[20, 20], output_size=10, weight_init_std=scale)
        for name, scale in zip(optimizers, [*scales.values(), "relu"], strict=True)
    }
    twins = {name: {k: v.copy() for k, v in net.params.items()} for name, net in networks.items()}
    rules = {name: TwinOptimizer(name, **{"lr": 0.001} if name == "Adam" else {}) for name in optimizers}
    train_loss = {name: [] for name in optimizers}
    for _ in range(12):
        batch_mask = np.random.choice(len(x_train), 32)
        x_batch, t_batch = x_train[batch_mask], t_train[batch_mask]
        for name in optimizers:
            grads = networks[name].gradient(x_batch, t_batch)
            loss, expected = twin_loss_and_gradients(twins[name], x_batch.astype(float), t_batch, 2)
            as_eps = name in ("AdaGrad", "Adam")  # another eps: the table has it
            assert networks[name].loss(x_batch, t_batch) == pytest.approx(loss, rel=1e-2 if as_eps else 1e-10)
            assert grads.keys() == expected.keys()
            for key in () if as_eps else grads:
                np.testing.assert_allclose(grads[key], expected[key], rtol=1e-6, atol=1e-10)
            optimizers[name].update(networks[name].params, grads)
            rules[name].update(twins[name], expected)
            train_loss[name].append(networks[name].loss(x_batch, t_batch))
    for losses in train_loss.values():
        assert len(smooth_curve(losses)) == 12
    for name, scale in (("SGD", 0.01), ("Momentum", np.sqrt(1 / 784)), ("AdaGrad", np.sqrt(2 / 784))):
        fresh = MultiLayerNet(
            784, [100], 10, weight_init_std=dict(zip(optimizers, scales.values(), strict=False))[name]
        )
        assert fresh.params["W1"].std() == pytest.approx(scale, rel=0.02)


def test_the_draws_are_the_books():
    """One seed, one network: W1, W2, ... in order, from NumPy's global generator."""
    net = TwoLayerNet(5, 4, 3)
    np.random.seed(0)
    np.testing.assert_array_equal(net.params["W1"], 0.01 * np.random.randn(5, 4))
    np.testing.assert_array_equal(net.params["W2"], 0.01 * np.random.randn(4, 3))


def test_batch_norm_gradient_check(mnist):
    """A batch of a single row, as the script has it, and one of three."""
    (x_train, t_train), _ = load_mnist(normalize=True, one_hot_label=True)
    x_train = x_train[:, ::7]
    for n in (1, 3):
        network = MultiLayerNetExtend(input_size=112, hidden_size_list=[3, 3], output_size=10, use_batchnorm=True)
        grad_backprop = network.gradient(x_train[:n], t_train[:n])
        grad_numerical = network.numerical_gradient(x_train[:n], t_train[:n])
        assert grad_numerical.keys() == grad_backprop.keys() and "gamma2" in grad_numerical
        _, expected = twin_loss_and_gradients(
            network.params, x_train[:n].astype(float), t_train[:n].argmax(axis=1), 2, norm=True
        )
        for key in grad_numerical:
            if n > 1:  # of one row every unit is at the kink of its relu: all outputs are beta
                assert np.average(np.abs(grad_backprop[key] - grad_numerical[key])) < 1e-6
            np.testing.assert_allclose(grad_backprop[key], expected[key], rtol=1e-6, atol=1e-9)


def test_batch_norm_test(mnist):
    (x_train, t_train), _ = load_mnist(normalize=True)
    x_train, t_train = x_train[:200], t_train[:200]
    bn_network = MultiLayerNetExtend(784, [20] * 3, 10, weight_init_std=0.05, use_batchnorm=True)
    network = MultiLayerNetExtend(784, [20] * 3, 10, weight_init_std=0.05)
    optimizer = SGD(lr=0.1)  # one for both
    for _ in range(60):
        batch_mask = np.random.choice(200, 50)
        for each in (bn_network, network):
            optimizer.update(each.params, each.gradient(x_train[batch_mask], t_train[batch_mask]))
    assert bn_network.accuracy(x_train, t_train) > max(0.9, network.accuracy(x_train, t_train))


def test_overfit_weight_decay(mnist):
    (x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
    network = MultiLayerNet(input_size=784, hidden_size_list=[10] * 3, output_size=10, weight_decay_lambda=0.1)
    loss, expected = twin_loss_and_gradients(network.params, x_train[:50].astype(float), t_train[:50], 3, decay=0.1)
    assert network.loss(x_train[:50], t_train[:50]) == pytest.approx(loss, rel=1e-12)
    for key, grad in network.gradient(x_train[:50], t_train[:50]).items():
        np.testing.assert_allclose(grad, expected[key], rtol=1e-8, atol=1e-12)
    optimizer = SGD(lr=0.01)
    before = {key: np.abs(value).sum() for key, value in network.params.items()}
    for _ in range(100):
        optimizer.update(network.params, network.gradient(x_train[:50], t_train[:50]))
    assert np.abs(network.params["W1"]).sum() < before["W1"]
    assert 0 <= network.accuracy(x_test, t_test) <= 1


@pytest.mark.parametrize("optimizer", ["SGD", "sgd", "Momentum", "Nesterov", "AdaGrad", "RMSprpo", "Adam"])
def test_overfit_dropout(optimizer, mnist, capsys):
    (x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
    network = MultiLayerNetExtend(
        input_size=784, hidden_size_list=[20] * 2, output_size=10, use_dropout=True, dropout_ration=0.2
    )

    def trainer():
        return Trainer(
            network,
            x_train[:300],
            t_train[:300],
            x_test,
            t_test,
            epochs=3,
            mini_batch_size=100,
            optimizer=optimizer,
            optimizer_param={"lr": 0.01},
            verbose=True,
            evaluate_sample_num_per_epoch=50,
        )

    if optimizer == "RMSprpo":  # the book's own KeyError says that name alone
        with pytest.raises(ValueError, match=r"got 'rmsprpo', which is near 'rmsprop'"):
            trainer()
        return
    one = trainer()
    one.train()
    assert len(one.train_acc_list) == len(one.test_acc_list) == 3
    assert len(one.train_loss_list) == one.max_iter == one.current_iter == 9
    assert one.train_loss_list[-1] < one.train_loss_list[0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"train loss:{one.train_loss_list[0]}"
    assert sum(line.startswith("=== epoch:") for line in lines) == 3
    assert lines[-1] == f"test acc:{network.accuracy(x_test, t_test)}"


def test_hyperparameter_optimization(mnist):
    (x_train, t_train), _ = load_mnist(normalize=True)
    x_train, t_train = shuffle_dataset(x_train, t_train)
    x_val, t_val, x_train, t_train = x_train[:60], t_train[:60], x_train[60:], t_train[60:]
    results = {}
    for _ in range(2):
        weight_decay, lr = 10 ** np.random.uniform(-8, -4), 10 ** np.random.uniform(-2, -1)
        network = MultiLayerNet(
            input_size=784, hidden_size_list=[20] * 2, output_size=10, weight_decay_lambda=weight_decay
        )
        trainer = Trainer(
            network,
            x_train,
            t_train,
            x_val,
            t_val,
            epochs=7,
            mini_batch_size=30,
            optimizer="sgd",
            optimizer_param={"lr": lr},
            verbose=False,
        )
        trainer.train()
        results[lr] = trainer.test_acc_list
    # 260 rows are no multiple of 30, and still there is an accuracy for every epoch.
    assert all(len(accuracies) == 7 for accuracies in results.values())


def test_trainer_steps_as_the_twin_does(mnist):
    (x_train, t_train), _ = load_mnist(normalize=True)
    network = MultiLayerNet(784, [8], 10)
    params = {key: value.copy() for key, value in network.params.items()}
    twin, state = TwinOptimizer("Momentum", lr=0.05), np.random.get_state()
    Trainer(network, x_train, t_train, x_train, t_train, 2, 64, "Momentum", {"lr": 0.05}, verbose=False).train()
    np.random.set_state(state)
    for _ in range(10):
        rows = np.random.choice(320, 64)
        twin.update(params, twin_loss_and_gradients(params, x_train[rows].astype(float), t_train[rows], 1)[1])
    for key in params:
        np.testing.assert_allclose(network.params[key], params[key], rtol=1e-9, atol=1e-12)


def test_weight_init_activation_histogram():
    x, activations = np.random.randn(100, 30), {}
    for i in range(5):
        x = activations[i] = sigmoid(np.dot(x, np.random.randn(30, 30) * np.sqrt(1.0 / 30)))
    assert all(0.1 < each.std() < 0.4 for each in activations.values())


# --- its layers, one by one ----------------------------------------------------------------------


def test_dropout_is_told_whether_it_trains():
    x, dropout = np.random.randn(200, 50), Dropout(0.3, seed=0)
    trained = dropout.forward(x, True)
    assert 0.25 < np.mean(trained == 0) < 0.35
    kept = trained != 0
    np.testing.assert_allclose(trained[kept], x[kept] / 0.7)  # inverted: the table has it
    np.testing.assert_allclose(dropout.backward(np.ones_like(x)), kept / 0.7)
    np.testing.assert_array_equal(dropout.forward(x, train_flg=False), x)
    dropout.eval()  # the flag stands above the mode, and leaves it alone
    assert (dropout.forward(x, train_flg=True) == 0).any() and not dropout.training
    np.testing.assert_array_equal(dropout.forward(x), x)


@pytest.mark.parametrize("shape", [(6, 8), (6, 2, 2, 2), (6, 2, 4), (1, 8), (8,)])
def test_batch_normalization_is_told_whether_it_trains(shape):
    """Images too, flattened behind the first axis; a single row gives beta."""
    x, dout = np.random.randn(2, *shape)
    gamma, beta = np.random.rand(8) + 0.5, np.random.randn(8)
    layer = BatchNormalization(gamma, beta, momentum=0.8)
    rows = x.reshape(-1, 8)
    out = layer.forward(x, train_flg=True)
    mean, var = rows.mean(axis=0), rows.var(axis=0)
    normal = (rows - mean) / np.sqrt(var + 10e-7)
    np.testing.assert_allclose(out, (gamma * normal + beta).reshape(shape), rtol=1e-9)
    np.testing.assert_allclose(layer.running_mean, 0.2 * mean)
    np.testing.assert_allclose(layer.running_var, 0.2 * var)
    dx, d = layer.backward(dout), dout.reshape(-1, 8)
    dn = gamma * d
    expected = (dn - dn.mean(0) - normal * (dn * normal).mean(0)) / np.sqrt(var + 10e-7)
    np.testing.assert_allclose(dx, expected.reshape(shape), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(layer.dbeta, d.sum(axis=0))
    np.testing.assert_allclose(layer.dgamma, (d * normal).sum(axis=0), atol=1e-12)
    evaluated = gamma * (rows - 0.2 * mean) / np.sqrt(0.2 * var + 10e-7) + beta
    np.testing.assert_allclose(layer.forward(x, False), evaluated.reshape(shape), rtol=1e-9)
    np.testing.assert_allclose(layer.running_mean, 0.2 * mean)


@pytest.mark.parametrize("shape", [(5, 8), (5, 2, 4), (5, 2, 2, 2), (5, 8, 1), (8,)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_normalization_of_tensors_has_the_shapes_of_arrays(shape, training):
    x = np.random.randn(*shape)
    layers = [BatchNormalization(np.ones(8), np.zeros(8)).train(training) for _ in range(2)]
    out = layers[0](fastbp.tensor(x))
    np.testing.assert_allclose(out.detach().numpy(), layers[1](x), rtol=1e-9)
    with pytest.raises(ValueError, match=r"expects x of shape \(n_samples, 8\); got x of shape \("):
        layers[0](fastbp.tensor(np.ones((5, 4, 8))))


def test_batch_normalization_goes_on_from_given_statistics():
    mean, var = np.random.randn(4), np.random.rand(4)
    layer = BatchNormalization(np.ones(4), np.zeros(4), 0.9, running_mean=mean, running_var=var)
    x = np.random.randn(5, 4)
    np.testing.assert_allclose(layer.forward(x, train_flg=False), (x - mean) / np.sqrt(var + 10e-7))


def test_the_books_functions():
    x = np.array([[-1.0, 0.0, 2.0], [0.5, -0.5, 1.0]])
    s = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(sigmoid(x), s)
    np.testing.assert_allclose(sigmoid_grad(x), (1 - s) * s)
    np.testing.assert_array_equal(relu(x), np.maximum(0, x))
    np.testing.assert_array_equal(relu_grad(x), x >= 0)
    np.testing.assert_array_equal(step_function(x), x > 0)
    assert step_function(x).dtype.kind == "i" and step_function(2.0) == 1
    assert identity_function(x) is x
    assert sigmoid(0.0) == 0.5 and relu(-3) == 0
    t = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert sum_squared_error(x, t) == mean_squared_error(x, t) == pytest.approx(0.5 * np.sum((x - t) ** 2))
    assert softmax_loss(x, t) == pytest.approx(cross_entropy_error(softmax(x), t))
    line = np.random.randn(40)
    left = np.r_[line[10:0:-1], line, line[-1:-11:-1]]
    window = np.kaiser(11, 2)
    book_s = np.convolve(window / window.sum(), left, mode="valid")[5:-5]
    np.testing.assert_allclose(smooth_curve(line), book_s)


@pytest.mark.parametrize(
    "make, t",
    [
        (fastbp.SoftmaxWithLoss, np.array([0, 2, 1, 1])),
        (fastbp.SoftmaxWithLoss, np.eye(3)[[0, 2, 1, 1]]),
        (fastbp.SigmoidWithLoss, np.arange(12).reshape(4, 3) % 2),
        (fastbp.MeanSquaredError, np.arange(12.0).reshape(4, 3)),
        (fastbp.MeanAbsoluteError, np.arange(12.0).reshape(4, 3)),
        (lambda: fastbp.HuberLoss(0.4), np.arange(12.0).reshape(4, 3)),
    ],
)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_losses_of_the_book_on_tensors(make, t, as_tensor, dtype):
    x = np.random.randn(4, 3).astype(dtype)
    loss, twin = make(), make()
    tensor = fastbp.tensor(x, requires_grad=True)
    given = fastbp.tensor(t) if as_tensor else t.copy()
    value = loss(tensor * 1.0, given)
    assert isinstance(value, fastbp.Tensor) and value.dtype.dtype == dtype and value.shape == ()
    assert value.item() == pytest.approx(twin.forward(x, t), rel=1e-6)
    if not as_tensor:
        given[...] = 0  # backward has the targets of forward
    (2 * value).backward()
    np.testing.assert_allclose(tensor.grad.numpy(), twin.backward(2), rtol=1e-6)
    assert loss.y is None and loss.loss is None  # the graph keeps what is needed
    if t.ndim == 2:
        with pytest.raises(ValueError, match="t without a gradient"):
            loss(tensor, fastbp.tensor(t.astype(dtype), requires_grad=True))


def test_a_loss_of_the_book_trains_a_network_of_tensors():
    net = fastbp.nn.Sequential(fastbp.nn.Linear(3, 8), fastbp.nn.ReLU(), fastbp.nn.Linear(8, 3))
    x, t = fastbp.tensor(np.eye(3, dtype="f4")), np.array([2, 0, 1])
    optimizer, loss = fastbp.SGD(net.parameters(), lr=0.5), SoftmaxWithLoss()
    for _ in range(100):
        optimizer.zero_grad()
        value = loss(net(x), t)
        value.backward()
        optimizer.step()
    assert value.item() < 0.1


@pytest.mark.parametrize(
    "make", [lambda: fastbp.Linear(3, 4, bias=False, seed=0), lambda: fastbp.nn.Linear(3, 4, bias=False)]
)
def test_linear_without_a_bias(make, tmp_path):
    net = fastbp.Sequential(make(), Relu(), fastbp.Linear(4, 2, seed=1), loss="softmax_cross_entropy")
    first = net.layers[0]
    x, t = np.random.randn(16, 3).astype("f4"), np.arange(16) % 2
    np.testing.assert_allclose(first.forward(x), x @ first.W, rtol=1e-5)
    assert fastbp.gradient_check(net, x, t) and fastbp.gradient_check(first, x)
    net.fit(x, t, epochs=3, optimizer=fastbp.Adam(lr=0.1), seed=0)
    fastbp.SGD(lr=1.0).update(net.params, net.gradient(x, t))
    assert not first.b.any() and not first.db.any()
    assert list(first.state_dict()) == ["weight"] and len(list(net.parameters())) == 3
    assert "bias=False" in repr(first)
    again = type(first).restore(first.config(), first.state())
    assert not again.has_bias
    np.testing.assert_array_equal(again.forward(x), first.forward(x))
    net(fastbp.tensor(x)).sum().backward()
    assert [p.grad is not None for p in net.parameters()] == [True] * 3
    with pytest.raises(ValueError, match="Linear expects no b"):
        first.b = np.ones(4, "f4")


def test_summary_counts_no_bias_that_is_none(capsys):
    fastbp.Sequential(fastbp.Linear(3, 4, bias=False), fastbp.Linear(4, 2)).summary()
    assert "22 parameters" in capsys.readouterr().out


def test_all_names_of_the_books_modules_are_there():
    modules = {
        "functions": "identity_function step_function sigmoid sigmoid_grad relu relu_grad softmax "
        "sum_squared_error mean_squared_error cross_entropy_error softmax_loss",
        "gradient": "numerical_diff numerical_gradient numerical_gradient_2d",
        "layers": "Relu Sigmoid Affine SoftmaxWithLoss Dropout BatchNormalization",
        "layer_naive": "MulLayer AddLayer",
        "optimizer": "SGD Momentum Nesterov AdaGrad RMSprop Adam",
        "trainer": "Trainer",
        "util": "smooth_curve shuffle_dataset",
        "networks": "TwoLayerNet MultiLayerNet MultiLayerNetExtend",
        "mnist": "load_mnist",
    }
    for names in modules.values():
        for name in names.split():
            assert name in book.__all__ and hasattr(book, name), name
    for name in "Momentum Nesterov AdaGrad RMSprop Adam Dropout BatchNormalization Affine".split():
        assert getattr(fastbp, name) is getattr(book, name)


# --- the table of differences --------------------------------------------------------------------

X = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])


def refused(error, call):
    with pytest.raises(error):
        call()
    return True


def unchanged(array, call):
    before = array.copy()
    call(array)
    return np.array_equal(array, before)


def after(thing, *calls):
    """The thing, after calls on it."""
    for call in calls:
        call(thing)
    return thing


def small_net(**options):
    options = {"loss": "softmax_cross_entropy", **options}
    return fastbp.Sequential(fastbp.Linear(3, 2, dtype="float64", seed=0), **options)


def restored():
    x = np.ones(3)

    def f(x):
        raise ZeroDivisionError

    return refused(ZeroDivisionError, lambda: numerical_gradient(f, x)) and (x == 1).all()


def gradient_leaves_no_inputs():
    net = small_net()
    net.gradient(X, [0, 1])
    return net.layers[0].x is None and net.layers[0].dW is not None


def assigned(params, layer):
    params["W1"] = np.ones((3, 2))
    return (layer.W == 1).all()


def a_later_rate():
    """After a change of lr the velocity of before is stepped at the new rate too."""
    optimizer, params = Momentum(lr=1.0, momentum=0.5), {"x": 0.0}
    optimizer.update(params, {"x": 1.0})
    optimizer.lr = 0.1
    optimizer.update(params, {"x": 0.0})
    return params["x"] == pytest.approx(-1.05)


def accuracies_for_each_epoch():
    x, t = np.random.rand(10, 3), np.arange(10) % 2
    trainer = Trainer(TwoLayerNet(3, 4, 2), x, t, x, t, epochs=4, mini_batch_size=3, verbose=False)
    trainer.train()
    return len(trainer.train_acc_list) == 4


def layer_masks(seed):
    np.random.seed(seed)
    return MultiLayerNetExtend(3, [4], 2, use_dropout=True).predict(X, train_flg=True)


#: What shows each row of docs/the-book.md, by its subject.
SHOWN = {
    "`softmax`": lambda: np.allclose(softmax(X).sum(axis=1), 1),
    "`Relu.backward`": lambda: unchanged(np.ones((2, 3)), after(Relu(), lambda r: r(X)).backward),
    "`Relu`'s mask": lambda: np.array_equal(after(Relu(), lambda r: r(X)).mask, X <= 0),
    "cross-entropy": lambda: SoftmaxWithLoss()([[0.0, 50.0]], [0]) == pytest.approx(50),
    "`cross_entropy_error(y, t)`": lambda: cross_entropy_error([[0.0, 1.0]], [0]) == np.inf,
    "`Sigmoid`": lambda: Sigmoid()(np.array([-1000.0]))[0] == 0,  # warnings are errors here
    "accuracy of one output": lambda: SigmoidWithLoss().accuracy([[0.2], [-0.2]], [[1], [0]]) == 1,
    "targets of `SigmoidWithLoss`, `MeanSquaredError`": lambda: (
        fastbp.MeanSquaredError()([[1.0], [2.0]], [1, 2]) == 0
        and SigmoidWithLoss()([[0.0], [0.0]], [1, 0]) == pytest.approx(np.log(2))
        and refused(ValueError, lambda: fastbp.MeanSquaredError()([1.0, 2.0], [[1], [2]]))
    ),
    "`sum_squared_error(y, t)`": lambda: refused(ValueError, lambda: sum_squared_error(np.ones((2, 1)), np.ones(2))),
    "mean of these two losses": lambda: np.allclose(
        after(fastbp.MeanSquaredError(), lambda m: m(X, 0 * X)).backward(), 2 * X / X.size
    ),
    "class targets": lambda: (
        SoftmaxWithLoss()(X[:, :2], [False, True]) == SoftmaxWithLoss()(X[:, :2], [0, 1])
        and refused(ValueError, lambda: SoftmaxWithLoss()(X, [0, 3]))
        and refused(ValueError, lambda: SoftmaxWithLoss()(X, 2 * np.eye(3)[:2]))
    ),
    "`dout` of a loss's `backward(dout=1)`": lambda: np.allclose(
        after(SoftmaxWithLoss(), lambda s: s(X, [0, 1])).backward(3),
        3 * after(SoftmaxWithLoss(), lambda s: s(X, [0, 1])).backward(),
    ),
    "the loss's type": lambda: type(SoftmaxWithLoss()(X.astype("f4"), [0, 1])) is float,
    "samples": lambda: Affine(np.ones((3, 2)), np.zeros(2))(X).shape == (2, 2),
    "dtype": lambda: (
        Affine(np.ones((3, 2)), np.zeros(2))(X.astype("f4")).dtype == "f8"
        and Affine(np.ones((3, 2), "f4"), np.zeros(2, "f4"))(X).dtype == "f4"
    ),
    "integer weights": lambda: refused(TypeError, lambda: Affine(X.astype(int), np.zeros(3))),
    "one sample": lambda: (
        after(Affine(np.ones((3, 2)), np.zeros(2)), lambda a: a(X[0])).backward(np.ones(2)).shape == (3,)
    ),
    "`backward` before `forward`": lambda: refused(
        RuntimeError, lambda: Affine(np.ones((3, 2)), np.zeros(2)).backward(X[:, :2])
    ),
    "initial weights": lambda: (
        fastbp.Linear(500, 400, seed=0).W.std() == pytest.approx(np.sqrt(2 / 500), rel=0.01)
        and fastbp.Linear(500, 400, init=0.01, seed=0).W.std() == pytest.approx(0.01, rel=0.01)
        and not fastbp.Linear(5, 4).b.any()
    ),
    "momentum": a_later_rate,
    "`Dropout`": lambda: np.array_equal(Dropout(0.5).forward(X, train_flg=False), X),
    "the masks of `Dropout`": lambda: (
        np.array_equal(Dropout(0.5, seed=3)(X), Dropout(0.5, seed=3)(X))
        and np.array_equal(layer_masks(1), layer_masks(1))
        and not np.array_equal(layer_masks(1), layer_masks(2))
    ),
    "`backward` after `forward(x, False)`": lambda: (
        np.array_equal(after(Dropout(0.5), lambda d: d.forward(X, True), lambda d: d.forward(X, False)).backward(X), X)
        and np.allclose(
            after(
                BatchNormalization(np.ones(3), np.zeros(3), 0.9, np.zeros(3), np.full(3, 4.0)),
                lambda b: b.forward(X, False),
            ).backward(X),
            X / 2,
        )
    ),
    "a batch of one row in `BatchNormalization`": lambda: (
        np.array_equal(BatchNormalization(np.ones(3), np.full(3, 7.0))(X[:1]), [[7.0, 7.0, 7.0]])
        and refused(ValueError, lambda: fastbp.BatchNorm1d(3)(X[:1]))
        and refused(
            ValueError,
            lambda: fastbp.Sequential(
                BatchNormalization(np.ones(3), np.zeros(3)), fastbp.Linear(3, 2), loss="squared_error"
            ).fit(X[:1], X[:1, :2], epochs=1, optimizer=SGD()),
        )
    ),
    "running statistics of `BatchNormalization`": lambda: (
        not (BatchNormalization(np.ones(3), np.zeros(3)).running_mean.any())
    ),
    "`AdaGrad`, `RMSprop`, `Adam`": lambda: (AdaGrad().eps, RMSprop().eps, Adam().eps) == (1e-10, 1e-8, 1e-8),
    "the learning rate": lambda: (
        (fastbp.SGD().lr, SGD().lr, SGD(0.1).lr, Momentum().lr, Nesterov(0.1).lr) == (0.001, 0.01, 0.1, 0.01, 0.1)
        and refused(TypeError, lambda: fastbp.SGD(0.1))
    ),
    "what an optimiser keeps": lambda: (
        list(after(Momentum(), lambda m: m.update({"x": 1.0}, {"x": 1.0})).states) == ["x"]
    ),
    "`loss` and `accuracy` of the network": lambda: after(small_net(), lambda n: n.loss(X, [0, 1])).layers[0].x is None,
    "`gradient` of the network": gradient_leaves_no_inputs,
    "other attributes of layers": lambda: (
        not any(
            hasattr(Affine(np.ones((3, 2)), np.zeros(2)), name)
            for name in ("original_x_shape", "input_shape", "batch_size", "xc", "xn", "std")
        )
    ),
    "`TwoLayerNet`": lambda: isinstance(TwoLayerNet(3, 4, 2).layers["Relu1"], Relu),
    "`Trainer`": accuracies_for_each_epoch,
    "`fastbp.Trainer`": lambda: fastbp.Trainer is not Trainer,
    "`smooth_curve` of fewer than 11 numbers": lambda: len(smooth_curve(np.ones(6))) == 6,
    "`params` of the network": lambda: (lambda net: assigned(net.params, net.layers[0]))(small_net()),
    "`numerical_gradient`'s quotient": lambda: (
        numerical_gradient(lambda x: float(x[0]), np.array([1000.0], "f4"), h=1e-3)[0] == 1
    ),
    "`numerical_gradient` when `f` raises": restored,
    "`numerical_gradient` of integers": lambda: refused(
        TypeError, lambda: numerical_gradient(np.sum, np.array([1, 2]))
    ),
    "names of methods": lambda: not hasattr(Relu(), "back") and hasattr(Relu(), "backward"),
    "`load_mnist`": lambda: refused(FileNotFoundError, lambda: load_mnist("/no/such/folder")),
}


@pytest.mark.parametrize("subject", SHOWN)
def test_a_difference_is_as_the_table_says(subject):
    assert SHOWN[subject]()


def test_the_table_of_differences_is_that_list():
    table = DOC.read_text(encoding="utf-8").split("## Differences")[1]
    subjects = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines() if row[:2] == "| "]
    assert subjects[1:] == list(SHOWN)


# --- what is asked for is done, or refused --------------------------------------------------------


def test_a_last_layer_of_ones_own_is_used_under_either_name():
    class Seven:
        def forward(self, y, t):
            return 7.0

    network = TwoLayerNet(2, 3, 2)
    network.lastLayer = Seven()
    assert network.loss(np.eye(2), np.array([0, 1])) == 7.0
    assert network.last_layer is network.lastLayer


@pytest.mark.parametrize(
    ("argument", "match"),
    [
        ({"evaluate_sample_num_per_epoch": -5}, "evaluate_sample_num_per_epoch of at least 1"),
        ({"evaluate_sample_num_per_epoch": 0}, "evaluate_sample_num_per_epoch of at least 1"),
        ({"evaluate_sample_num_per_epoch": 2.5}, "evaluate_sample_num_per_epoch as an integer"),
        ({"optimizer_param": 0.1}, "optimizer_param as a mapping"),
        ({"x_train": np.ma.masked_array(np.eye(2), np.eye(2))}, "x_train without masked"),
        ({"network": None}, r"network with params, gradient\(x, t\), .* got None of type NoneType"),
        ({"network": Relu()}, "network with params"),
        ({"optimizer": None}, "optimizer as one of .*; got None"),
        ({"optimizer": SGD()}, r"optimizer as one of .*; got SGD\(lr=0.01\)"),
        ({"t_train": ["a", "b"]}, r"classes, t_train = np.unique\(t_train, return_inverse=True\)"),
        ({"x_test": np.empty((0, 2)), "t_test": []}, "as many rows, at least one; got 0 and 0"),
    ],
)
def test_the_trainer_refuses_what_it_cannot_do_before_it_begins(argument, match):
    rows = {"x_train": np.eye(2), "t_train": [0, 1], "x_test": np.eye(2), "t_test": [0, 1]}
    with pytest.raises((TypeError, ValueError), match=f"Trainer expects .*{match}"):
        Trainer(**{"network": TwoLayerNet(2, 3, 2)} | rows | argument)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: TwoLayerNet(2, [3], 2), r"TwoLayerNet expects hidden_size as an integer; got \[3\]"),
        (lambda: MultiLayerNet(2, [3, 0], 2), r"hidden_size_list\[1\] of at least 1; got 0"),
        (lambda: MultiLayerNet(2, [3], 2, activation=None), "activation as one of .*; got None"),
        (lambda: TwoLayerNet(2, 3, 2).accuracy(np.empty((0, 2)), np.empty(0, int)), "at least one sample; got none"),
        (lambda: SigmoidWithLoss().accuracy(np.empty((0, 1)), []), "at least one sample; got none"),
    ],
)
def test_the_books_networks_name_the_argument_that_came(make, match):
    with pytest.raises((TypeError, ValueError), match=match):
        make()


def test_shuffled_rows_keep_their_mask_and_a_sparse_matrix_has_none():
    x, _ = shuffle_dataset(np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]), ["a", "b", "c"])
    assert x.count() == 2
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match="expects x and t with as many rows"):
        shuffle_dataset(sparse.eye(3), [0, 1, 2])


def test_no_points_have_no_gradients_and_ragged_rows_are_told():
    assert numerical_gradient_2d(lambda x: np.sum(x**2), np.zeros((0, 2))).shape == (0, 2)
    with pytest.raises(ValueError, match="shuffle_dataset expects x as a rectangular array"):
        shuffle_dataset([[1], [1, 2]], [0, 1])


@pytest.mark.parametrize("t", [1, np.array([0, 1, 0])])
def test_the_softmax_of_one_sample_has_its_shape(t):
    x = np.array([1.0, 2.0, 4.0])
    layer = SoftmaxWithLoss()
    layer.forward(x, t)
    np.testing.assert_allclose(layer.y, np.exp(x) / np.exp(x).sum(), rtol=1e-12)
    np.testing.assert_allclose(layer.backward(), layer.y - [0, 1, 0], rtol=1e-12)


@pytest.mark.parametrize("y", [[-0.5, 1.5], [3.0, 2.0]])
def test_cross_entropy_is_of_probabilities(y):
    with pytest.raises(ValueError, match="expects y of probabilities, as softmax"):
        cross_entropy_error(np.array(y), 0)
