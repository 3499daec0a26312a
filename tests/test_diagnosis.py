"""Every illness that `diagnose` knows, planted in ten ways or more, is found by its name."""

import copy
import html
import inspect
import pickle
import random
import threading
import warnings

import numpy as np
import pytest

import fastbp
from fastbp import SGD, Adam, Affine, BatchNorm1d, Dropout, Linear, Sequential, diagnose, nn
from fastbp.diagnosis import KINDS, Diagnosis, Finding
from fastbp.layers.activations import LAYERS

F = nn.functional
ILLNESSES = {}


@pytest.fixture(autouse=True)
def _the_same_numbers_in_every_run():
    fastbp.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  (of the book's networks)


def illness(kind):
    """A function of a number from 0 to 9 that gives the diagnosis of a network with this illness."""

    def take(function):
        ILLNESSES[kind] = function
        return function

    return take


def data(k, width=None, n=200):
    """Rows of size 1 and three classes that follow from them."""
    rng = np.random.default_rng(k)
    x = rng.standard_normal((n, width or 3 + k)).astype(("f4", "f8")[k % 2])
    return x, (x @ rng.standard_normal((x.shape[1], 3))).argmax(axis=1)


def net(k, n_in, n_out=3, activation=None, loss="softmax_cross_entropy", depth=None, init=None, width=40, end=()):
    """A network of one to four hidden layers."""
    name = activation or ("relu", "tanh", "leaky_relu", "gelu", "elu")[k % 5]
    layers, dtype = [], ("float32", "float64")[k % 2]
    for place in range(depth or 1 + k % 4):
        start = init or ("he" if "elu" in name else "xavier")
        layers += [Linear(width if place else n_in, width, start, dtype, 10 * k + place), LAYERS[name]()]
    return Sequential(*layers, Linear(width, n_out, "xavier", dtype, k), *end, loss=loss)


class Net(nn.Module):
    """As forums have them."""

    def __init__(self, n_in, n_out=3, width=20, activation=F.relu, end=None):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(n_in, width), nn.Linear(width, width)
        self.fc3 = nn.Linear(width, n_out)
        self.activation, self.end = activation, end

    def forward(self, x):
        x = self.activation(self.fc1(x))
        x = self.fc3(self.activation(self.fc2(x)))
        return x if self.end is None else self.end(x)


# --- rows ------------------------------------------------------------------------------------


@illness("inputs_not_finite")
def _(k):
    x, t = data(k)
    model = net(k, x.shape[1])
    rows = slice(None) if k == 9 else slice(k, 2 * k + 1)
    x[rows, k % 3] = (np.nan, np.inf, -np.inf)[k % 3]
    return model.diagnose(x, t)


@illness("inputs_not_normalised")
def _(k):
    x, t = data(k, 20)
    model = net(k, 20)
    rng = np.random.default_rng(k)
    if k == 0:
        x = rng.integers(0, 256, x.shape).astype("u1")
    elif k == 1:
        x = rng.integers(0, 256, (200, 4, 5)).astype("f4").reshape(200, 20)
    elif k == 2:
        x *= 1e-4
    elif k == 3:
        x += 500
    elif k == 4:
        x[:, 7] *= 1e6
    elif k == 5:
        x = x / np.logspace(0, 4, 20)
    elif k == 6:
        x[:, 0] = 20 + 0.1 * x[:, 0]
    elif k == 7:
        x[:, 3] = rng.integers(1990, 2025, 200)
    elif k == 8:
        x[:, 3] = np.exp(2 * x[:, 3] + 10)
    else:
        x = x * 1e9
    return model.diagnose(x, t)


@illness("constant_inputs")
def _(k):
    x, t = data(k)
    if k < 3:
        x[:] = x[0]
    elif k < 6:
        x[:, k % 3] = 0
    elif k < 8:
        x[:, :2] = 3.5
    else:
        x = np.pad(x, ((0, 0), (0, 300)))
    return net(k, x.shape[1]).diagnose(x, t)


# --- targets ---------------------------------------------------------------------------------


@illness("targets_not_finite")
def _(k):
    x, _ = data(k)
    loss = ("squared_error", "absolute_error", "huber")[k % 3]
    t = x[:, :1].copy()
    t[k : 2 * k + 1] = (np.nan, np.inf)[k % 2]
    return net(k, x.shape[1], 1, loss=loss).diagnose(x, t)


@illness("labels_shifted")
def _(k):
    x, t = data(k)
    if k < 4:
        return net(k, x.shape[1]).diagnose(x, t + 1)
    if k < 6:
        return net(k, x.shape[1], 4).diagnose(x, t + 1)
    if k < 8:
        return net(k, x.shape[1], 2).diagnose(x, np.where(t > 0, 1, -1))
    if k == 8:
        return net(k, x.shape[1], 1, loss="sigmoid_cross_entropy").diagnose(x, 1.0 + (t[:, None] > 0))
    return net(k, x.shape[1], 1, loss="sigmoid_cross_entropy").diagnose(x, np.where(t[:, None] > 0, 1.0, -1.0))


@illness("more_classes_than_outputs")
def _(k):
    x, t = data(k)
    if k < 5:
        return net(k, x.shape[1], 2).diagnose(x, t)
    if k < 8:
        return net(k, x.shape[1]).diagnose(x, 10 * t)
    return diagnose(Net(x.shape[1], 2), x, t, nn.CrossEntropyLoss())


@illness("softmax_of_one")
def _(k):
    x, t = data(k)
    return net(k, x.shape[1], 1).diagnose(x, (t > 0) * (k % 2))


@illness("labels_do_not_fit")
def _(k):
    x, t = data(k)
    if k < 3:
        return net(k, x.shape[1]).diagnose(x, t.astype("f4"))
    if k < 5:
        return net(k, x.shape[1]).diagnose(x, np.eye(5)[t])
    if k < 7:
        return net(k, x.shape[1], 1, loss="squared_error").diagnose(x, x[:, :2])
    if k == 7:
        return net(k, x.shape[1], 1, loss="sigmoid_cross_entropy").diagnose(x, t[:, None])
    if k == 8:  # (n,) beside (n, 1) makes n x n differences
        return diagnose(Net(x.shape[1], 1), x, x[:, 0], F.mse_loss)
    return diagnose(Net(x.shape[1]), x, t.astype("f4"), nn.CrossEntropyLoss())


@illness("constant_labels")
def _(k):
    x, t = data(k)
    if k < 4:
        return net(k, x.shape[1]).diagnose(x, t * 0 + k % 3)
    if k < 6:
        return net(k, x.shape[1]).diagnose(x, np.eye(3)[t * 0 + k % 3])
    if k < 8:
        return net(k, x.shape[1], 1, loss="sigmoid_cross_entropy").diagnose(x, np.full((200, 1), k % 2))
    return net(k, x.shape[1], 1, loss="squared_error").diagnose(x, np.full((200, 1), 0.1 * k))


@illness("missing_classes")
def _(k):
    x, t = data(k)
    if k < 3:
        return net(k, x.shape[1]).diagnose(x[t != 1], t[t != 1])
    if k < 6:
        return net(k, x.shape[1], 4 + k).diagnose(x, t)
    if k < 8:
        return net(k, x.shape[1], 6).diagnose(x, np.eye(6)[t])
    return diagnose(Net(x.shape[1], 5), x, t, nn.CrossEntropyLoss())


@illness("targets_not_scaled")
def _(k):
    x, _ = data(k)
    t = x @ np.ones((x.shape[1], 1)) * (200, 1e5, 1e-4, 1e-6, 1, 1, 1e7, 50, 300, 1e3)[k] + (k in (4, 5)) * 10**k
    loss = ("squared_error", "absolute_error", "huber")[k % 3]
    if k == 9:
        return diagnose(Net(x.shape[1], 1), x, t, nn.MSELoss())
    return net(k, x.shape[1], 1, loss=loss).diagnose(x, t)


# --- structure -------------------------------------------------------------------------------


@illness("softmax_twice")
def _(k):
    x, t = data(k)
    if k < 4:
        return net(k, x.shape[1], end=[nn.Softmax(1)]).diagnose(x, t)
    if k < 7:
        model = Net(x.shape[1], end=[lambda y: F.softmax(y, dim=1), nn.Softmax(1), lambda y: y.softmax(-1)][k - 4])
        return diagnose(model, x, t, nn.CrossEntropyLoss())
    if k == 7:
        return diagnose(nn.Sequential(nn.Linear(10, 3), nn.Softmax(1)), x, t, F.cross_entropy)
    return net(k, x.shape[1], end=[nn.Softmax(-1), Dropout(0.1)]).diagnose(x, np.eye(3)[t])


@illness("sigmoid_twice")
def _(k):
    x, t = data(k)
    t = (t[:, None] > 0).astype("f4")
    if k < 6:
        return net(k, x.shape[1], 1, loss="sigmoid_cross_entropy", end=[fastbp.Sigmoid()]).diagnose(x, t)
    if k < 8:
        model = Net(x.shape[1], 1, end=(nn.Sigmoid(), lambda y: y.sigmoid())[k - 6])
        return diagnose(model, x, t, nn.BCEWithLogitsLoss())
    return net(k, x.shape[1], 1, loss=fastbp.losses.FocalLoss(), end=[fastbp.Sigmoid()]).diagnose(x, t)


@illness("log_softmax_missing")
def _(k):
    x, t = data(k)
    ends = [None, nn.Softmax(1), nn.ReLU(), lambda y: y.log_softmax(0), lambda y: y * 2]
    return diagnose(Net(x.shape[1], end=ends[k % 5]), x, t, (nn.NLLLoss(), F.nll_loss)[k // 5])


@illness("bounded_output")
def _(k):
    x, t = data(k)
    if k < 5:
        end = [fastbp.Relu(), fastbp.Tanh(), nn.ReLU6(), fastbp.Sigmoid(), nn.Hardtanh()][k]
        return net(k, x.shape[1], end=[end]).diagnose(x, t)
    if k < 8:
        end = [fastbp.Relu(), fastbp.Sigmoid(), fastbp.Tanh()][k - 5]
        return net(k, x.shape[1], 1, loss="squared_error", end=[end]).diagnose(x, 3 * x[:, :1])
    if k == 8:
        return diagnose(Net(x.shape[1], 3, end=F.relu), x, t, nn.CrossEntropyLoss())
    return diagnose(Net(x.shape[1], 1, end=F.relu), x, x[:, :1], nn.MSELoss())


@illness("symmetric_units")
def _(k):
    x, t = data(k)
    model = net(k, x.shape[1], depth=1 + k % 3)
    if k < 8:
        for layer in model.layers[::2]:
            layer.W[...] = (0, 0.1, 1, -0.5)[k % 4]
        if k > 3:
            model.fit(x, t, epochs=3, seed=0, optimizer=SGD(lr=0.01))
        return model.diagnose(x, t)
    model = Net(x.shape[1])
    for layer in (model.fc1, model.fc2, model.fc3):
        nn.init.constant_(layer.weight, 0.0 if k == 8 else 0.2)
        nn.init.zeros_(layer.bias)
    return diagnose(model, x, t, nn.CrossEntropyLoss())


@illness("no_activation")
def _(k):
    x, t = data(k)
    if k < 6:
        between = [(), (fastbp.Identity(),), (Dropout(0.3),), (Dropout(0.3), fastbp.Identity())][k % 4]
        layers = [
            Linear(x.shape[1], 30, seed=0),
            *between,
            Linear(30, 20, seed=1),
            fastbp.Relu(),
            Linear(20, 3, seed=2),
        ]
        return Sequential(*layers, loss="softmax_cross_entropy").diagnose(x, t)
    if k < 8:
        return Sequential(*[Linear(a, b) for a, b in ((x.shape[1], 9), (9, 9), (9, 3))], loss="huber").diagnose(
            x, np.eye(3)[t]
        )
    return diagnose(Net(x.shape[1], activation=lambda y: y), x, t, nn.CrossEntropyLoss())


# --- signals ---------------------------------------------------------------------------------


@illness("overflow")
def _(k):
    x, t = data(k, 12)
    model = net(k, 12, activation="relu", depth=3)
    place = (0, 2, 4, 6)[k % 4]
    if k < 5:
        model.layers[place].W[0, 0] = (np.nan, np.inf)[k % 2]
    elif k < 7:
        model.layers[place].b[...] = np.nan
    else:
        for layer in model.layers[::2]:
            layer.W *= np.finfo(layer.W.dtype).max ** 0.3
    return model.diagnose(x, t)


@illness("dead_units")
def _(k):
    x, t = data(k)
    if k < 6:
        model = net(k, x.shape[1], activation=("relu", "relu6")[k % 2])
        model.layers[0].b[: 40 - 2 * (k % 3)] = -50 * (1 + k)
        return model.diagnose(x, t)
    if k < 8:
        model = net(k, x.shape[1], activation="relu", depth=2)
        model.fit(x, t, optimizer=SGD(lr=3), epochs=10, seed=0)
        return model.diagnose(x, t)
    model = Net(x.shape[1], activation=(F.relu, nn.ReLU())[k - 8])
    model.fc2.bias.data -= 100
    return diagnose(model, x, t, nn.CrossEntropyLoss())


@illness("saturated")
def _(k):
    x, t = data(k)
    name = ("tanh", "sigmoid", "hardtanh", "softsign", "hardsigmoid")[k % 5]
    if k < 5:
        return net(k, x.shape[1], activation=name, init=20.0).diagnose(x, t)
    if k < 8:
        return net(k, x.shape[1], activation=name).diagnose(1000 * x, t)
    model = Net(x.shape[1], activation=(F.tanh, F.sigmoid)[k - 8])
    model.fc1.weight.data *= 200
    return diagnose(model, x, t, nn.CrossEntropyLoss())


@illness("vanishing_gradients")
def _(k):
    x, t = data(k, 12)
    if k < 4:
        return net(k, 12, activation="sigmoid", depth=8 + k).diagnose(x, t)
    if k < 7:
        return net(k, 12, activation=("tanh", "relu", "gelu")[k - 4], depth=5, init=0.01).diagnose(x, t)
    if k < 9:
        return net(k, 12, activation="tanh", depth=12, init=0.05).diagnose(x, t)
    layers = [layer for _ in range(8) for layer in (nn.Linear(12, 12), nn.Sigmoid())]
    return diagnose(nn.Sequential(*layers, nn.Linear(12, 3)), x, t, nn.CrossEntropyLoss())


@illness("exploding_gradients")
def _(k):
    x, t = data(k, 30)
    name = ("relu", "leaky_relu", "elu", "gelu", "silu")[k % 5]
    return net(k, 30, activation=name, depth=6 + k // 2, init=(1.0, 0.8)[k % 2], width=60).diagnose(x, t)


@illness("biases_only")
def _(k):
    x, t = data(k)
    model = net(k, x.shape[1], activation=("relu", "tanh")[k % 2])
    if k < 4:
        model.layers[0].W[...] = 0
        model.layers[0].b[...] = 0 if k % 2 else -1
    elif k < 8:
        model.layers[-3].b[...], model.layers[-3].W[...] = 0, 0
    else:
        x = np.zeros_like(x)
    return model.diagnose(x, t)


# --- the training ----------------------------------------------------------------------------


@illness("rate_too_high")
def _(k):
    x, t = data(k)
    model = net(k, x.shape[1], depth=2)
    if k < 3:
        return model.diagnose(x, t, optimizer=SGD(lr=(100, 1000, 3000)[k]))
    if k < 5:
        return model.diagnose(x, t, optimizer=Adam(lr=(1, 5)[k - 3]))
    if k == 5:
        model = net(k, x.shape[1], depth=2, activation="tanh")
        # In this order of the rows the losses show it, as in a third of all; in others only saturated layers do.
        model.fit(x, t, optimizer=SGD(lr=30), epochs=10, seed=3)
        return model.diagnose(x, t)
    if k == 6:
        return diagnose(model, x, t, history=[0.7, 0.9, 3.0, 40.0, float("nan")])
    if k == 7:
        return diagnose(model, x, t, history=[1.1, 5, 1.2, 6, 1.3, 7, 1.4, 6, 1.6, 5])
    model = Net(x.shape[1])
    rule = fastbp.optim.SGD(model.parameters(), lr=1e4) if k == 8 else Adam(model.parameters(), lr=2.0)
    return diagnose(model, x, t, nn.CrossEntropyLoss(), optimizer=rule)


@illness("rate_too_low")
def _(k):
    x, t = data(k)
    model = net(k, x.shape[1], depth=2)
    if k < 4:
        model.fit(x, t, optimizer=SGD(lr=10.0 ** -(4 + k)), epochs=40, seed=0)
        return model.diagnose(x, t)
    if k < 6:
        return model.diagnose(x, t, optimizer=(SGD(lr=1e-7), Adam(lr=1e-9))[k - 4])
    if k < 8:
        return diagnose(model, x, t, history=np.linspace(1.2, 1.19, 10 * k))
    model = Net(x.shape[1])
    rule = fastbp.optim.SGD(model.parameters(), lr=1e-8) if k == 8 else Adam(model.parameters(), lr=1e-9)
    return diagnose(model, x, t, nn.CrossEntropyLoss(), optimizer=rule)


@illness("rebound_weights")
def _(k):
    x, t = data(k)
    if k < 2:  # the book's form
        book = fastbp.book.TwoLayerNet(x.shape[1], 8, 3)
        name = ("W1", "b2")[k]
        book.params[name] = book.params[name] - 0.1
        return diagnose(book, x, t)
    if k < 4:
        model = net(k, x.shape[1])
        arrays = [array.copy() if place == k - 2 else array for place, array in enumerate(model.params.values())]
        return diagnose(model, x, t, params=arrays)
    model = Net(x.shape[1])
    rule = SGD(model.parameters(), lr=0.1)
    if k == 4:
        model.fc1 = nn.Linear(x.shape[1], 20)
    elif k == 5:
        model.fc2.weight = nn.Parameter(fastbp.randn(20, 20) / 5)
    elif k == 6:
        rule = SGD([model.fc1.weight, model.fc1.bias], lr=0.1)
    elif k == 7:
        model.blocks = [nn.Linear(3, 3)]
    elif k == 8:
        rule = Adam(Net(x.shape[1]).parameters())
    else:
        model = net(k, x.shape[1])
        rule = SGD(model.parameters(), lr=0.1)
        model[0] = Linear(x.shape[1], 40, seed=3, dtype="float64")
    return diagnose(model, x, t, nn.CrossEntropyLoss(), optimizer=rule)


def loop(model, x, t, loss, rule, steps, zero=True, size=50):
    """Training as PyTorch's users write it."""
    losses = []
    for step in range(steps):
        rows = np.arange(size) + step * size % len(x)
        if zero:
            rule.zero_grad()
        value = loss(model(fastbp.tensor(x[rows])), fastbp.tensor(t[rows]))
        value.backward()
        rule.step()
        losses.append(float(value))
    return losses


@illness("forgotten_zero_grad")
def _(k):
    x, t = data(2 * k)
    model = Net(x.shape[1]) if k % 2 else nn.Sequential(nn.Linear(x.shape[1], 20), nn.Tanh(), nn.Linear(20, 3))
    rule = (SGD, Adam)[k // 2 % 2](model.parameters(), lr=10.0 ** -(3 + k % 2))
    loop(model, x, t, nn.CrossEntropyLoss(), rule, 100 + 40 * k, zero=False)
    return diagnose(model, x, t, nn.CrossEntropyLoss(), optimizer=rule)


@illness("dropout_at_evaluation")
def _(k):
    x, t = data(2 * k)
    if k < 5:
        model = Net(x.shape[1], activation=lambda y: F.dropout(F.relu(y), 0.1 + 0.1 * k, training=True))
        return diagnose(model, x, t, nn.CrossEntropyLoss())
    if k < 8:
        model = nn.Sequential(nn.Linear(x.shape[1], 20), nn.ReLU(), nn.Dropout(0.1 * k), nn.Linear(20, 3)).eval()
        model[2].train()
        return diagnose(model, x, t, nn.CrossEntropyLoss())

    class Drop:  # of a book's reader, who forgot the mode
        def forward(self, x):
            self.mask = np.random.rand(*x.shape) > 0.1 * (k - 6)  # noqa: NPY002
            return x * self.mask

        def backward(self, dout):
            return dout * self.mask

    layers = [Linear(x.shape[1], 20, seed=1), fastbp.Relu(), Drop(), Linear(20, 3, seed=2)]
    return Sequential(*layers, loss="softmax_cross_entropy").diagnose(x, t)


@illness("tiny_batches")
def _(k):
    x, t = data(k)
    norm = (BatchNorm1d, nn.BatchNorm1d)[k % 2](30)
    model = Sequential(Linear(x.shape[1], 30, seed=1), norm, fastbp.Relu(), Linear(30, 3), loss="softmax_cross_entropy")
    return diagnose(model, x, t, batch_size=1 + k % 7)


@illness("guessing")
def _(k):
    x, t = data(k)
    rng = np.random.default_rng(k)
    if k < 6:  # rows and targets in different orders
        x, t = data(k, 2, n=2000)
        model = net(k, 2, depth=1, width=4)
        t = rng.permutation(t)
        model.fit(x, t, epochs=12, seed=0)
        return model.diagnose(x, t)
    model = net(k, x.shape[1], 1, loss=("squared_error", "absolute_error")[k % 2], depth=1)
    model.layers[-1].W *= 0.01
    t = rng.standard_normal((200, 1)).astype(x.dtype)
    return diagnose(model, x, t, history=1 + 0.1 * rng.random(300))


@pytest.mark.filterwarnings("ignore::fastbp.TrainingWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_illness_is_found_in_ten_ways_by_its_name(kind):
    for k in range(10):
        found = ILLNESSES[kind](k)
        assert kind in found, (k, found)
        finding = next(each for each in found if each.kind == kind)
        assert finding.sentence.endswith(".") and "\n" not in finding.sentence
        assert finding.layer is None or finding.name


# --- nothing is touched ----------------------------------------------------------------------


def state(model):
    """The bytes of everything that a model holds, and its modes, hooks and random states."""
    modules = list(model.modules())
    arrays = [array.tobytes() for array in getattr(model, "params", {}).values()]
    held = [
        (
            {k: v.tobytes() for k, v in vars(m).items() if isinstance(v, np.ndarray)},
            m.training,
            sorted(vars(m)),
            id(m._hooks),
            vars(m).get("_steps"),
            [a.tobytes() for a in vars(m).get("_running", ())],
            [(id(p), p.array.tobytes(), None if p.grad is None else p.grad.array.tobytes()) for p in tensors(m)],
        )
        for m in modules
    ]
    rng = fastbp.autograd.random.default_generator.rng.bit_generator.state
    return arrays, held, random.getstate(), np.random.get_state()[1].tobytes(), str(rng)  # noqa: NPY002


def tensors(module):
    """Those that there are already: to ask for them would make them."""
    return [p for p in (vars(module).get("_parameters") or {}).values() if p is not None]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sequential_is_as_before_to_the_bit(dtype, training):
    layers = [Linear(5, 8, seed=0, dtype=dtype), BatchNorm1d(8, dtype=dtype), fastbp.Relu(), Dropout(0.5, seed=1)]
    model = Sequential(*layers, Linear(8, 3, seed=2, dtype=dtype), loss="softmax_cross_entropy")
    x, t = data(0, 5)
    model.fit(x, t, epochs=2, seed=0)
    model.gradient(x, t)
    model.train(training)
    model.register_forward_hook(lambda *_: pytest.fail("a hook was called"))
    before, given, loss = state(model), (x.tobytes(), t.tobytes()), dict(vars(model.loss_layer))
    model.diagnose(x, t, optimizer=Adam(), batch_size=32)
    assert state(model) == before and (x.tobytes(), t.tobytes()) == given
    assert all(vars(model.loss_layer)[name] is value for name, value in loss.items())


@pytest.mark.parametrize("training", [True, False])
def test_a_module_is_as_before_to_the_bit(training):
    class Own(Net):
        def __init__(self):
            super().__init__(5)
            self.norm, self.seen = nn.BatchNorm1d(5), 0

        def forward(self, x):
            np.random.rand(3), random.random(), fastbp.rand(2)  # noqa: NPY002
            self.seen += 1
            return super().forward(F.dropout(self.norm(x), 0.5, self.training))

    model = Own()
    x, t = data(0, 5)
    rule = SGD(model.parameters(), lr=0.1)
    loop(model, x, t, nn.CrossEntropyLoss(), rule, 5)
    model.train(training)
    model.fc1.register_forward_hook(lambda *_: pytest.fail("a hook was called"))
    before, seen = state(model), model.seen
    assert not diagnose(model, x, t, nn.CrossEntropyLoss(), optimizer=rule)
    assert state(model) == before and model.seen == seen


def test_a_trainer_goes_on_as_if_nobody_had_looked():
    x, t = data(0, 5)
    ends = []
    for looked in (False, True):
        model = net(0, 5)
        trainer = fastbp.Trainer(model, Adam(), batch_size=200, seed=0)
        for step in range(10):
            trainer.step(x, t)
            if looked and step % 3 == 0:
                model.diagnose(x, t)
        ends.append([array.tobytes() for array in model.params.values()])
    assert ends[0] == ends[1]


# --- what may be asked about -----------------------------------------------------------------


def test_the_books_networks_and_ones_own_layers_are_looked_at():
    x, t = data(0, 6)
    book = fastbp.book.MultiLayerNetExtend(6, [20, 20], 3, use_dropout=True, use_batchnorm=True, weight_decay_lambda=0)
    assert not diagnose(book, x, t)

    class Relu:
        def forward(self, x):
            self.mask = x <= 0
            out = x.copy()
            out[self.mask] = 0
            return out

        def backward(self, dout):
            dout[self.mask] = 0
            return dout

    class Own:
        def __init__(self, bias):
            W1, W2 = np.random.default_rng(0).standard_normal((2, 6, 6))
            self.params = {"W1": W1, "b1": np.full(6, bias), "W2": W2[:, :3].copy(), "b2": np.zeros(3)}
            self.layers = {
                "Affine1": Affine(self.params["W1"], self.params["b1"]),
                "Relu1": Relu(),
                "Affine2": Affine(self.params["W2"], self.params["b2"]),
            }
            self.lastLayer = fastbp.SoftmaxWithLoss()

    assert not diagnose(Own(0.0), x, t)
    own = Own(-100.0)
    found = diagnose(own, x, t)
    assert found.kinds[0] == "dead_units" and (found[0].layer, found[0].name) == (1, "Relu1 Relu")
    assert "mask" not in vars(own.layers["Relu1"])


@pytest.mark.parametrize("loss", [nn.MSELoss(), F.mse_loss, "squared_error", fastbp.losses.MeanSquaredError])
def test_a_loss_is_given_in_any_vocabulary(loss):
    x, _ = data(0, 5)
    model = Net(5, 1)
    assert not diagnose(model, x, x[:, :1], loss)
    assert diagnose(model, x, 1e4 * x[:, :1], loss).kinds[0] == "targets_not_scaled"


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_estimators_are_looked_at():
    pytest.importorskip("sklearn")
    from fastbp.estimators import MLPClassifier, MLPRegressor

    x, t = data(1, 5)
    names = np.array(["a", "b", "c"])[t]
    assert not diagnose(MLPClassifier(random_state=0).fit(x, names), x, names)
    assert not diagnose(MLPClassifier(random_state=0).fit(x, t > 0), x, t > 0)
    assert not diagnose(MLPRegressor(random_state=0).fit(x, x[:, 0]), x, x[:, 0])
    scaled = MLPClassifier(standardize=True, random_state=0).fit(1000 * x, names)
    assert not diagnose(scaled, 1000 * x, names)
    raw = MLPClassifier(activation="tanh", random_state=0).fit(1000 * x, names)
    assert diagnose(raw, 1000 * x, names).kinds[:2] == ("inputs_not_normalised", "saturated")
    with pytest.raises(TypeError, match="without dropout"):
        diagnose(MLPClassifier(dropout=0.1, random_state=0).fit(x, names), x, names)


def test_rows_come_as_frames_lists_tensors_and_one_alone():
    x, t = data(0, 4)
    model = net(0, 4)
    for rows, targets in ((x.tolist(), t.tolist()), (fastbp.tensor(x), fastbp.tensor(t)), (x[0], t[:1]), (x, None)):
        assert not model.diagnose(rows, targets)
    pandas = pytest.importorskip("pandas")
    assert not model.diagnose(pandas.DataFrame(x), pandas.Series(t))
    scipy = pytest.importorskip("scipy.sparse")
    assert not model.diagnose(scipy.csr_array(x), t)


def test_names_of_classes_are_targets():
    x, t = data(0, 4)
    names = np.array(["a", "b", "c"])[t]
    model = net(0, 4)
    assert not model.diagnose(x, names)
    model.fit(x, names, epochs=3, seed=0)
    assert not model.diagnose(x, names)


# --- what comes back -------------------------------------------------------------------------


def test_a_diagnosis_is_a_sequence_that_tells_in_text_and_html():
    x, t = data(0, 4)
    found = net(0, 4).diagnose(1000 * x, t + 1)
    assert bool(found) and len(found) == len(list(found)) == len(found.findings)
    assert found.kinds == ("labels_shifted", "inputs_not_normalised") and "guessing" not in found
    assert str(found) == repr(found) and str(found).startswith(
        "2 findings in 3 layers and 200 rows:\n1. labels_shifted: "
    )
    assert all(html.escape(each.sentence) in found._repr_html_() for each in found)
    sound = net(0, 4).diagnose(x, t)
    assert not sound and "Nothing found" in sound._repr_html_() and "<table" not in sound._repr_html_()
    assert "&lt;b&gt;" in Diagnosis([Finding("overflow", 0, "<b>", 1.0, "a < b")])._repr_html_()
    again = pickle.loads(pickle.dumps(found))
    assert again.findings == found.findings and copy.copy(found).findings == found.findings


def test_causes_come_before_what_follows_from_them():
    x, t = data(1, 20)
    found = net(1, 20, activation="tanh").diagnose(1000 * x, t)
    assert [found.kinds.index(kind) for kind in ("inputs_not_normalised", "saturated")] == [0, 1]


# --- the line after fit ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda x, model: (255 * x, model), "Column"),
        (lambda x, model: (x, dead(model)), "units of layer 1"),
        (lambda x, model: (x, zeros(model)), "same weights"),
    ],
    ids=["inputs", "dead", "zeros"],
)
def test_fit_warns_in_one_line_where_it_came_to_nothing(spoil, words):
    x, t = data(0, 6)
    x, model = spoil(x, net(0, 6, depth=2, activation="relu"))
    with pytest.warns(fastbp.TrainingWarning, match=words) as record:
        history = model.fit(x, t, optimizer=SGD(lr=1e-9 if words == "Column" else 1e-3), epochs=10, seed=0)
    assert len(record) == 1 and record[0].filename == __file__ and len(history) == 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", fastbp.TrainingWarning)
        model.fit(x, t, optimizer=SGD(lr=1e-9), epochs=10, seed=0, validation_split=0.2)


def dead(model):
    model.layers[0].b[...] = -1000
    return model


def zeros(model):
    for array in model.params.values():
        array[...] = 0
    return model


def test_fit_says_nothing_of_a_short_or_a_good_training_and_of_chance():
    x, t = data(0, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(0, 6).fit(1000 * x, t, optimizer=SGD(lr=1e-9), epochs=1, batch_size=1, seed=0)
        net(0, 6).fit(1000 * x, t, optimizer=SGD(lr=1e-9), epochs=2, seed=0)
        net(0, 6).fit(x, t, epochs=20, seed=0)
        net(0, 6, depth=1).fit(x, np.random.default_rng(0).permutation(t), epochs=10, seed=0)
        net(0, 6, init="zeros", depth=1).fit(x, t, epochs=10, seed=0, sample_weight=np.ones(len(x)))


def test_a_look_at_the_losses_costs_nothing_of_a_short_fit():
    """At most 1 % of 10 ms, the quickest of many looks."""
    from time import perf_counter

    from fastbp.training.fit import FitOptions, Ranks, _prepared

    x, t = data(0, 6)
    told = {name: each.default for name, each in inspect.signature(Sequential.fit).parameters.items()}
    options = {name: told[name] for name in inspect.signature(FitOptions).parameters} | {"epochs": 20, "seed": 0}
    training, epochs = _prepared(net(0, 6), x, t, FitOptions(**options), Ranks("fit", None, "all"))
    epochs.run(training)
    taken = []
    for _ in range(100):
        begin = perf_counter()
        assert not training.looks_vain()
        taken.append(perf_counter() - begin)
    assert min(taken) < 1e-4


def with_lock():
    model = Net(4)
    model.lock = threading.Lock()
    return model


def test_labels_of_any_size_and_shape_are_told_of():
    x, t = data(0, 4)
    assert net(0, 4).diagnose(x, t + 10**12).kinds == ("more_classes_than_outputs",)
    assert net(0, 4).diagnose(x, t - 10**12).kinds == ("labels_shifted",)
    assert net(0, 4).diagnose(x, np.zeros((200, 3, 2))).kinds == ("labels_do_not_fit",)
    assert not net(0, 4).diagnose(x[0], 1) and not net(0, 4, 2, loss="squared_error").diagnose(x[0], [1.0, 0.5])


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda m, x, t: diagnose(5, x, t), TypeError, "expects model as"),
        (lambda m, x, t: diagnose(Net, x, t), TypeError, "call it"),
        (lambda m, x, t: diagnose(m, x, t, loss="nothing"), ValueError, "loss"),
        (lambda m, x, t: diagnose(m, x, t, loss=5), TypeError, "loss"),
        (lambda m, x, t: m.diagnose(x[:, :2], t), ValueError, "4 features"),
        (lambda m, x, t: m.diagnose(x[:0], t[:0]), ValueError, "at least one row"),
        (lambda m, x, t: m.diagnose(x, t[:5]), ValueError, "as many targets as rows"),
        (lambda m, x, t: m.diagnose(None, t), TypeError, "x"),
        (lambda m, x, t: m.diagnose(x, t, batch_size=0), ValueError, "batch_size"),
        (lambda m, x, t: diagnose(m, x, t, history="abc"), TypeError, "history"),
        (lambda m, x, t: diagnose(m, x, t, params=5), TypeError, "params"),
        (lambda m, x, t: diagnose(m, x, t, params=[1, 2]), TypeError, "params"),
        (lambda m, x, t: m.diagnose(x, np.array(["a", 1] * 100, object)), TypeError, "texts throughout"),
        (lambda m, x, t: diagnose(Net(4, end=lambda y: (y, y)), x, t, F.cross_entropy), TypeError, "a tuple"),
        (lambda m, x, t: diagnose(Net(4), x, t, lambda y, t: y), TypeError, "one number"),
        (lambda m, x, t: diagnose(with_lock(), x, t, F.cross_entropy), TypeError, "copy.deepcopy"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_one_sentence(call, error, words):
    x, t = data(0, 4)
    with pytest.raises(error, match=words) as caught:
        call(net(0, 4), x, t)
    assert "\n" not in str(caught.value)


def test_classes_that_follow_each_other_in_turn_are_all_among_the_rows_that_fit_looks_at():
    t = np.arange(384) % 3  # every third row is of one class
    x = np.random.default_rng(0).normal(size=(384, 4)).astype("f4")
    model = Sequential(Linear(4, 8, seed=0), LAYERS["relu"](), Linear(8, 3, seed=1), loss="softmax_cross_entropy")
    with pytest.warns(fastbp.TrainingWarning, match=r"where always the same answer gives 1\.[01]"):
        model.fit(x, t, optimizer=SGD(lr=1e-9), epochs=5, seed=0)
