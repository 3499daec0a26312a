"""Scripts as the schools' readers have them, over the adapters of docs/schools, with what the school prints."""
# ruff: noqa: NPY002  (as they are written there)

import random
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastbp

sys.path.append(str(Path(__file__).parents[1]))

pytest.importorskip("threadpoolctl")

from bench import schools
from bench.in_numpy import nnfs
from fastbp import book2
from fastbp.cs231n import optim
from fastbp.cs231n.classifiers.fc_net import TwoLayerNet
from fastbp.cs231n.layers import affine_forward
from fastbp.datasets import moons, spiral


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(1337)
    random.seed(1337)


# --- micrograd: its nn.py with another import, and its demo -------------------------------------


def micrograds_nn(Value):
    class Module:
        def zero_grad(self):
            for p in self.parameters():
                p.grad = None  # as the page says

    class Neuron(Module):
        def __init__(self, nin, nonlin=True):
            self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
            self.b = Value(0)
            self.nonlin = nonlin

        def __call__(self, x):
            act = sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b)
            return act.relu() if self.nonlin else act

        def parameters(self):
            return [*self.w, self.b]

    class Layer(Module):
        def __init__(self, nin, nout, **kwargs):
            self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

        def __call__(self, x):
            out = [n(x) for n in self.neurons]
            return out[0] if len(out) == 1 else out

        def parameters(self):
            return [p for n in self.neurons for p in n.parameters()]

    class MLP(Module):
        def __init__(self, nin, nouts):
            sz = [nin, *nouts]
            self.layers = [Layer(sz[i], sz[i + 1], nonlin=i != len(nouts) - 1) for i in range(len(nouts))]

        def __call__(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

        def parameters(self):
            return [p for layer in self.layers for p in layer.parameters()]

    return MLP


def test_micrograds_demo(capsys):
    Value = schools.adapter("micrograd")["Value"]
    (X, y), _ = moons(40)
    y = y * 2 - 1
    model = micrograds_nn(Value)(2, [8, 8, 1])
    assert len(model.parameters()) == 105

    def loss():
        ri = np.random.permutation(X.shape[0])[:16]
        Xb, yb = X[ri], y[ri]
        inputs = [list(map(Value, xrow)) for xrow in Xb]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(yb, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        reg_loss = 1e-4 * sum(p * p for p in model.parameters())
        accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(yb, scores, strict=True)]
        return data_loss + reg_loss, sum(accuracy) / len(accuracy)

    for k in range(30):
        total_loss, acc = loss()
        model.zero_grad()
        total_loss.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 30) * p.grad
        print(f"step {k} loss {total_loss.data:.4f}, accuracy {acc * 100}%")
    assert capsys.readouterr().out.count("accuracy") == 30
    assert total_loss.item() < 0.3 and acc > 0.8


def test_a_value_in_between_has_its_gradient_where_it_is_kept():
    """The video's neuron, with the numbers that it shows."""
    Value = schools.adapter("micrograd")["Value"]
    x1, x2, w1, w2 = Value(2.0), Value(0.0), Value(-3.0), Value(1.0)
    n = x1 * w1 + x2 * w2 + Value(6.8813735870195432)
    n.retain_grad()
    e = (2 * n).exp()
    o = (e - 1) / (e + 1)
    o.backward()
    grads = [f"{v.grad.data:.4f}" for v in (n, x1, w1, x2, w2)]
    assert grads == ["0.5000", "-1.5000", "1.0000", "0.5000", "0.0000"]


# --- nnfs: the book's optimisers, losses and Model over the adapter's layers ---------------------


@pytest.mark.parametrize("optimizer", ["of new arrays", "in place"])
def test_the_books_training_loop_of_nnfs_gives_the_books_numbers(optimizer):
    names = schools.adapter("nnfs")
    (X, y), _ = spiral(90, seed=2)
    X = X.astype(np.float64)
    trained = []
    for home in (names, vars(nnfs)):
        np.random.seed(0)
        layers = [home["Layer_Dense"](2, 16), home["Activation_ReLU"](), home["Layer_Dense"](16, 3)]
        loss = nnfs.Activation_Softmax_Loss_CategoricalCrossentropy()
        adam = nnfs.Optimizer_Adam(learning_rate=0.05)
        if optimizer == "in place":
            adam.update_params = sgd
        losses = [nnfs.step(layers, loss, adam, X, y) for _ in range(50)]
        assert losses[-1] < losses[0]
        trained.append((losses, *(getattr(layers[k], name) for k in (0, 2) for name in ("weights", "biases"))))
    for ours, theirs in zip(*trained, strict=True):
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-10)


def sgd(layer):
    """The book's Optimizer_SGD without momentum."""
    layer.weights += -1.0 * layer.dweights
    layer.biases += -1.0 * layer.dbiases


def test_the_books_model_of_nnfs(capsys):
    """Chapter 18's class, shortened, which asks layers for their weights."""
    names = schools.adapter("nnfs")

    class Layer_Input:
        def forward(self, inputs, training):
            self.output = inputs

    class Model:
        def __init__(self):
            self.layers = []

        def add(self, layer):
            self.layers.append(layer)

        def set(self, *, loss, optimizer):
            self.loss, self.optimizer = loss, optimizer

        def finalize(self):
            self.input_layer = Layer_Input()
            self.trainable_layers = []
            for i, layer in enumerate(self.layers):
                layer.prev = self.layers[i - 1] if i else self.input_layer
                if hasattr(layer, "weights"):
                    self.trainable_layers.append(layer)

        def train(self, X, y, *, epochs=1, print_every=1):
            for epoch in range(1, epochs + 1):
                self.input_layer.forward(X, True)
                for layer in self.layers:
                    layer.forward(layer.prev.output, True)
                loss = self.loss.forward(self.layers[-1].output, y)
                self.loss.backward(self.loss.output, y)
                dvalues = self.loss.dinputs
                for layer in reversed(self.layers):
                    layer.backward(dvalues)
                    dvalues = layer.dinputs
                for layer in self.trainable_layers:
                    self.optimizer.update_params(layer)
                self.optimizer.iterations += 1
                if not epoch % print_every:
                    print(f"epoch: {epoch}, loss: {loss:.3f}")
            return loss

    model = Model()
    for layer in (names["Layer_Dense"](2, 32), names["Activation_ReLU"](), names["Layer_Dense"](32, 3)):
        model.add(layer)
    loss, adam = nnfs.Activation_Softmax_Loss_CategoricalCrossentropy(), nnfs.Optimizer_Adam(learning_rate=0.05)
    model.set(loss=loss, optimizer=adam)
    model.finalize()
    assert model.trainable_layers == model.layers[::2]
    (X, y), _ = spiral(150, noise=0.1)
    assert model.train(X, y, epochs=200, print_every=100) < 0.3
    assert [line.partition(",")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch: 100", "epoch: 200"]


# --- Nielsen: test.py of his repository, of digits in his loader's form --------------------------


def test_nielsens_script(capsys):
    datasets = pytest.importorskip("sklearn") and fastbp.datasets
    (x, t), (x_test, t_test) = datasets.load_digits()

    def vectorized_result(j):
        e = np.zeros((10, 1))
        e[j] = 1.0
        return e

    training_inputs = [np.reshape(row, (64, 1)) for row in x]
    training_data = zip(training_inputs, [vectorized_result(y) for y in t], strict=True)
    test_data = zip([np.reshape(row, (64, 1)) for row in x_test], t_test, strict=True)
    net = schools.adapter("nielsen")["Network"]([64, 30, 10])
    net.SGD(training_data, 5, 10, 3.0, test_data=test_data)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [["Epoch", str(j), ":"] for j in range(5)]
    assert int(lines[-1].split()[3]) > 280 and lines[-1].endswith("/ 359")


def test_nielsens_epochs_have_orders_of_their_own():
    """One `fit` of all epochs: two of one epoch each would begin with the same order."""
    Network = schools.adapter("nielsen")["Network"]
    data = [(np.random.randn(3, 1), np.random.rand(2, 1)) for _ in range(12)]
    weights = []
    for calls in ((2,), (1, 1)):
        np.random.seed(0)
        net = Network([3, 4, 2])
        for epochs in calls:
            net.SGD(data, epochs, 3, 1.0, seed=0)
        weights.append(net.layers[0].W)
    assert np.abs(weights[0] - weights[1]).max() > 1e-6


def test_nielsens_sgd_refuses_a_second_list_of_callbacks():
    net = schools.adapter("nielsen")["Network"]([3, 2])
    with pytest.raises(TypeError, match="callbacks"):
        net.SGD([(np.zeros((3, 1)), np.zeros((2, 1)))], 1, 1, 1.0, callbacks=[print])


# --- DeZero: steps 28 and 42 to 48 ----------------------------------------------------------------


def test_dezeros_steps():
    names = schools.adapter("dezero")
    Variable, F, Model, SGD, L = (
        *(names[name] for name in ("Variable", "F", "Model", "SGD")),
        SimpleNamespace(Linear=names["Linear"]),
    )
    x0, x1 = Variable(np.array(0.0)), Variable(np.array(2.0))  # step 28
    y = 100 * (x1 - x0**2) ** 2 + (x0 - 1) ** 2
    y.backward()
    assert (x0.grad.item(), x1.grad.item()) == (-2.0, 400.0)

    x = np.random.rand(100, 1)  # step 42
    y = 5 + 2 * x + np.random.rand(100, 1)
    W, b = Variable(np.zeros((1, 1))), Variable(np.zeros(1))
    for _ in range(100):
        loss = F.mean_squared_error(fastbp.tensor(y), F.matmul(fastbp.tensor(x), W) + b)
        W.grad = b.grad = None
        loss.backward()
        W.data -= 0.1 * W.grad
        b.data -= 0.1 * b.grad
    assert loss.item() < 0.2
    assert (F.linear(fastbp.tensor(x), W, b) - (fastbp.tensor(x) @ W + b)).abs().max().item() < 1e-12  # step 43

    class TwoLayerNet(Model):  # steps 45, 47 and 48, of arrays
        def __init__(self, hidden_size, out_size, in_size):
            super().__init__()
            self.l1 = L.Linear(hidden_size, in_size)
            self.l2 = L.Linear(out_size, hidden_size)

        def forward(self, x):
            return self.l2(F.sigmoid(self.l1(x)))

    fastbp.manual_seed(0)
    (x, t), _ = moons(200)
    model = TwoLayerNet(10, 2, 2)
    optimizer = SGD(1.0).setup(model)
    for _ in range(60):
        index = np.random.permutation(len(x))
        for i in range(0, len(x), 30):
            rows = index[i : i + 30]
            loss = F.softmax_cross_entropy(model(x[rows]), t[rows])
            model.cleargrads()
            loss.backward()
            optimizer.update()
    assert (model(x).detach().numpy().argmax(axis=1) == t).mean() > 0.85


# --- the second volume: ch04/negative_sampling_layer.py and cbow.py -------------------------------


class EmbeddingDot:
    def __init__(self, W):
        self.embed = book2.Embedding(W)
        self.params = self.embed.params
        self.grads = self.embed.grads

    def forward(self, h, idx):
        target_W = self.embed.forward(idx)
        self.cache = (h, target_W)
        return np.sum(target_W * h, axis=1)

    def backward(self, dout):
        h, target_W = self.cache
        dout = dout.reshape(dout.shape[0], 1)
        self.embed.backward(dout * h)
        return dout * target_W


class NegativeSamplingLoss:
    def __init__(self, W, corpus, power=0.75, sample_size=5):
        self.sample_size = sample_size
        p = np.power(np.bincount(corpus), power)
        self.word_p = p / np.sum(p)
        self.loss_layers = [book2.SigmoidWithLoss() for _ in range(sample_size + 1)]
        self.embed_dot_layers = [EmbeddingDot(W) for _ in range(sample_size + 1)]
        self.params, self.grads = [], []
        for layer in self.embed_dot_layers:
            self.params += layer.params
            self.grads += layer.grads

    def forward(self, h, target):
        batch_size = target.shape[0]
        shape = (batch_size, self.sample_size)
        negative_sample = np.random.choice(len(self.word_p), size=shape, replace=True, p=self.word_p)
        score = self.embed_dot_layers[0].forward(h, target)
        loss = self.loss_layers[0].forward(score, np.ones(batch_size, dtype=np.int32))
        negative_label = np.zeros(batch_size, dtype=np.int32)
        for i in range(self.sample_size):
            score = self.embed_dot_layers[1 + i].forward(h, negative_sample[:, i])
            loss += self.loss_layers[1 + i].forward(score, negative_label)
        return loss

    def backward(self, dout=1):
        dh = 0
        for l0, l1 in zip(self.loss_layers, self.embed_dot_layers, strict=True):
            dh += l1.backward(l0.backward(dout))
        return dh


class CBOW:
    def __init__(self, vocab_size, hidden_size, window_size, corpus):
        W_in = 0.1 * np.random.randn(vocab_size, hidden_size).astype("f")
        W_out = 0.1 * np.random.randn(vocab_size, hidden_size).astype("f")
        self.in_layers = [book2.Embedding(W_in) for _ in range(2 * window_size)]
        self.ns_loss = NegativeSamplingLoss(W_out, corpus, sample_size=3)
        self.params, self.grads = [], []
        for layer in [*self.in_layers, self.ns_loss]:
            self.params += layer.params
            self.grads += layer.grads
        self.word_vecs = W_in

    def forward(self, contexts, target):
        h = 0
        for i, layer in enumerate(self.in_layers):
            h += layer.forward(contexts[:, i])
        h *= 1 / len(self.in_layers)
        return self.ns_loss.forward(h, target)

    def backward(self, dout=1):
        dout = self.ns_loss.backward(dout)
        dout *= 1 / len(self.in_layers)
        for layer in self.in_layers:
            layer.backward(dout)


def test_cbow_by_negative_sampling(capsys):
    corpus, word_to_id, id_to_word = book2.preprocess("You say goodbye and I say hello. " * 20)
    contexts, target = book2.create_contexts_target(corpus, window_size=2)
    model = CBOW(len(word_to_id), 10, 2, corpus)
    trainer = book2.Trainer(model, book2.Adam(lr=0.01))
    trainer.fit(contexts, target, max_epoch=20, batch_size=20, eval_interval=5)
    assert trainer.loss_list[-1] < 0.75 * trainer.loss_list[0]
    capsys.readouterr()
    book2.most_similar("you", word_to_id, id_to_word, model.word_vecs, top=3)
    assert len(capsys.readouterr().out.splitlines()) == 5


# --- CS231n: the constants of FullyConnectedNets.ipynb ---------------------------------------------


def test_the_notebooks_own_numbers():
    x = np.linspace(-0.1, 0.5, num=240).reshape(2, 4, 5, 6)
    w, b = np.linspace(-0.2, 0.3, num=360).reshape(120, 3), np.linspace(-0.3, 0.1, num=3)
    correct_out = [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]]
    np.testing.assert_allclose(affine_forward(x, w, b)[0], correct_out, rtol=1e-8)

    N, D, H, C = 3, 5, 50, 7
    model = TwoLayerNet(input_dim=D, hidden_dim=H, num_classes=C, weight_scale=1e-3)
    model.params["W1"] = np.linspace(-0.7, 0.3, num=D * H).reshape(D, H)
    model.params["b1"] = np.linspace(-0.1, 0.9, num=H)
    model.params["W2"] = np.linspace(-0.3, 0.4, num=H * C).reshape(H, C)
    model.params["b2"] = np.linspace(-0.9, 0.1, num=C)
    X = np.linspace(-5.5, 4.5, num=N * D).reshape(D, N).T
    np.testing.assert_allclose(model.loss(X)[:, 0], [11.53165108, 12.05769098, 12.58373087], rtol=1e-8)
    y = np.asarray([0, 5, 1])
    assert model.loss(X, y)[0] == pytest.approx(3.4702243556, abs=1e-10)
    model.reg = 1.0
    assert model.loss(X, y)[0] == pytest.approx(26.5948426952, abs=1e-9)

    w, dw = np.linspace(-0.4, 0.6, num=20).reshape(4, 5), np.linspace(-0.6, 0.4, num=20).reshape(4, 5)
    state = np.linspace(0.6, 0.9, num=20).reshape(4, 5)
    for rule, config, expected in (
        (optim.sgd_momentum, {"learning_rate": 1e-3, "velocity": state}, [0.1406, 0.20738947]),
        (optim.rmsprop, {"learning_rate": 1e-2, "cache": state}, [-0.39223849, -0.34037513]),
        (
            optim.adam,
            {"learning_rate": 1e-2, "m": state, "v": np.linspace(0.7, 0.5, num=20).reshape(4, 5), "t": 5},
            [-0.40094747, -0.34836187],
        ),
    ):
        np.testing.assert_allclose(rule(w, dw, config=config)[0][0, :2], expected, rtol=1e-6)
