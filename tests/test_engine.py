"""A step of `Trainer` against the formulas in float64 NumPy, for all shapes, layers and rules."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import SGD, AdaGrad, Adam, AdamW, Linear, RMSprop, Sequential, Trainer
from fastbp._kernels import engine, isa
from fastbp.layers import (
    Affine,
    BatchNorm1d,
    BatchNormalization,
    Dropout,
    Flatten,
    Gelu,
    HuberLoss,
    Identity,
    LeakyRelu,
    MeanAbsoluteError,
    MeanSquaredError,
    Relu,
    Sigmoid,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    Softplus,
    Tanh,
)

HERE = Path(__file__).resolve().parent
OTHERS = [name for name in isa.usable() if name != isa.in_use()]
#: Of the updated parameters, as a share of the largest one.
CLOSE = {"float32": 1e-5, "float64": 1e-12}
#: What counts as the largest where all are smaller: an exact gradient of 0 is a rounded one here.
SMALL = 0.1
SEED = 11

# --- the reference --------------------------------------------------------------------------


def logistic(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


def normal_distribution(x):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x.ravel()]).reshape(x.shape)


def normal_density(x):
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


#: Each activation, and its slope, of x (and the layer).
ACTIVATIONS = {
    Relu: (lambda x, _: np.maximum(x, 0), lambda x, _: x > 0),
    LeakyRelu: (lambda x, layer: np.where(x > 0, x, layer.slope * x), lambda x, layer: np.where(x > 0, 1, layer.slope)),
    Sigmoid: (lambda x, _: logistic(x), lambda x, _: logistic(x) * logistic(-x)),
    Tanh: (lambda x, _: np.tanh(x), lambda x, _: 1 / np.cosh(x) ** 2),
    Softplus: (lambda x, _: np.logaddexp(0, x), lambda x, _: logistic(x)),
    Gelu: (lambda x, _: x * normal_distribution(x), lambda x, _: normal_distribution(x) + x * normal_density(x)),
    Identity: (lambda x, _: x, lambda x, _: np.ones_like(x)),
    Flatten: (lambda x, _: x, lambda x, _: np.ones_like(x)),
}


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def loss_of(loss, x, t):
    """Each element's loss (each row's, for a softmax), and its gradient by x."""
    if isinstance(loss, SoftmaxWithLoss):
        t = np.eye(x.shape[1])[t] if t.ndim == 1 else t
        return -(t * np.log(softmax(x))).sum(axis=1, keepdims=True), softmax(x) - t
    if isinstance(loss, SigmoidWithLoss):
        return np.logaddexp(0, x) - t * x, logistic(x) - t
    d = x - t
    if isinstance(loss, MeanSquaredError):
        return d * d, 2 * d
    if isinstance(loss, MeanAbsoluteError):
        return np.abs(d), np.sign(d)
    a = np.abs(d)
    line = loss.delta * (a - loss.delta / 2)
    return np.where(a <= loss.delta, d * d / 2, line), np.clip(d, -loss.delta, loss.delta)


class Exact:
    """A network and its optimiser in float64, from the formulas alone."""

    def __init__(self, net, optimizer, clip_norm=None, clip_value=None):
        self.net, self.optimizer = net, optimizer
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.names = {place: name for name, place in net.params.places().items()}
        self.params = {name: array.astype(np.float64) for name, array in net.params.items()}
        self.running = {
            id(layer): [layer.running_mean.astype(float), layer.running_var.astype(float)]
            for layer in net.layers
            if isinstance(layer, BatchNormalization)
        }
        self.states, self.steps = {}, 0

    def of(self, layer):
        return [self.params[self.names[layer, name]] for name in layer.param_names]

    def gradient(self, x, t, weights=None):
        """The mean loss, and its gradients by name."""
        x, saved, place = x.astype(np.float64).reshape(len(x), -1), [], 0
        for layer in self.net.layers:
            x, kept = self.forward(layer, x, place)
            saved.append(kept)
            place += layer.kind is not None
        losses, dout = loss_of(self.net.loss_layer, x, t)
        weights = np.ones((len(x), 1)) if weights is None else np.reshape(weights, (-1, 1))
        over = weights.sum() * losses.shape[1]
        dout = dout * weights / over
        grads = {}
        for layer, kept in zip(reversed(self.net.layers), reversed(saved), strict=True):
            dout, own = self.backward(layer, kept, dout)
            grads |= {self.names[layer, n]: g for n, g in zip(layer.param_names, own, strict=True)}
        return (losses * weights).sum() / over, grads

    def forward(self, layer, x, place):
        if isinstance(layer, Affine):
            W, b = self.of(layer)
            return x @ W + b, x
        if isinstance(layer, BatchNormalization):
            gamma, beta = self.of(layer)
            mean, var, n = x.mean(axis=0), x.var(axis=0), len(x)
            normal = (x - mean) / np.sqrt(var + layer.kind_number)
            new = var * (n / (n - 1) if layer.sample_variance and n > 1 else 1)
            for running, value in zip(self.running[id(layer)], (mean, new), strict=True):
                running += (1 - layer.momentum) * (value - running)
            return gamma * normal + beta, (normal, var)
        if isinstance(layer, Dropout):
            key = fastbp.reference.dropout_key(SEED, self.steps, place)
            mask = np.empty(x.size)
            fastbp.reference.dropout(np.ones(x.size), mask, key, layer.dropout_ratio)
            mask = mask.reshape(x.shape)
            return x * mask, mask
        return ACTIVATIONS[type(layer)][0](x, layer), x

    def backward(self, layer, kept, dout):
        if isinstance(layer, Affine):
            return dout @ self.of(layer)[0].T, (kept.T @ dout, dout.sum(axis=0))
        if isinstance(layer, BatchNormalization):
            normal, var = kept
            dnormal = dout * self.of(layer)[0]
            centred = dnormal - dnormal.mean(axis=0) - normal * (dnormal * normal).mean(axis=0)
            dx = centred / np.sqrt(var + layer.kind_number)
            return dx, ((dout * normal).sum(axis=0), dout.sum(axis=0))
        if isinstance(layer, Dropout):
            return dout * kept, ()
        return dout * ACTIVATIONS[type(layer)][1](kept, layer), ()

    def step(self, x, t, weights=None):
        loss, grads = self.gradient(x, t, weights)
        self.steps += 1
        if self.clip_norm is not None:
            norm = math.sqrt(sum(np.square(g).sum() for g in grads.values()))
            grads = {k: g * min(1, self.clip_norm / (norm + 1e-6)) for k, g in grads.items()}
        if self.clip_value is not None:
            grads = {k: np.clip(g, -self.clip_value, self.clip_value) for k, g in grads.items()}
        for name, grad in grads.items():
            self.update(self.params[name], grad, self.states.setdefault(name, {}))
        return loss

    def update(self, p, g, state):
        o, k = self.optimizer, self.steps
        if type(o) is AdamW:
            p *= 1 - o.lr * o.weight_decay
        else:
            g = g + o.weight_decay * p
        m, v = state.get("m", 0), state.get("v", 0)
        if isinstance(o, SGD):
            m = o.momentum * m + g
            p -= o.lr * (g + o.momentum * m if o.nesterov else m)
        elif isinstance(o, AdaGrad):
            v = v + g * g
            p -= o.lr * g / (np.sqrt(v) + o.eps)
        elif isinstance(o, RMSprop):
            v = o.alpha * v + (1 - o.alpha) * g * g
            m = o.momentum * m + g / (np.sqrt(v) + o.eps)
            p -= o.lr * m
        else:
            b1, b2 = o.betas
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            p -= o.lr * m / (1 - b1**k) / (np.sqrt(v / (1 - b2**k)) + o.eps)
        state.update(m=m, v=v)


# --- cases ----------------------------------------------------------------------------------

WIDTHS = [1, 2, 3, 10, 15, 16, 17, 31, 32, 33, 50, 100, 513]
BATCHES = [1, 2, 5, 31, 32, 33, 100, 253, 300]
# An eps above the gradients' rounding: with a smaller one a tiny gradient's sign decides.
RULES = {
    "SGD": lambda: SGD(lr=0.1),
    "decay": lambda: SGD(lr=0.1, weight_decay=0.03),
    "momentum": lambda: SGD(lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda: SGD(lr=0.1, momentum=0.9, nesterov=True),
    "AdaGrad": lambda: AdaGrad(lr=0.05, eps=5e-2, weight_decay=0.01),
    "RMSprop": lambda: RMSprop(lr=0.01, eps=1e-2),
    "RMSprop momentum": lambda: RMSprop(lr=0.01, eps=1e-2, momentum=0.9, weight_decay=0.02),
    "Adam": lambda: Adam(lr=0.01, eps=1e-2),
    "Adam decay": lambda: Adam(lr=0.01, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.1),
    "AdamW": lambda: AdamW(lr=0.01, eps=1e-2, weight_decay=0.1),
}
KINDS = [Relu, LeakyRelu, Sigmoid, Tanh, Softplus, Gelu, Identity]
LOSSES = {
    "softmax": SoftmaxWithLoss,
    "soft rows": SoftmaxWithLoss,
    "sigmoid": SigmoidWithLoss,
    "squared": MeanSquaredError,
    "absolute": MeanAbsoluteError,
    "huber": lambda: HuberLoss(0.3),
}


def targets(loss, rng, rows, n):
    """Targets that both dtypes hold exactly, but for soft rows."""
    if loss == "softmax":
        return rng.integers(0, n, rows)
    if loss == "soft rows":
        return softmax(2 * rng.standard_normal((rows, n)))
    if loss == "sigmoid":
        return (rng.random((rows, n)) < 0.5).astype(np.float32)
    return rng.standard_normal((rows, n)).astype(np.float32)


def network(layers, loss, dtype):
    """Layers from a description: a width (an Affine to it), a function that makes a layer."""
    rng = np.random.default_rng(5)

    def draw(*shape, around=0.0):
        numbers = rng.standard_normal(shape) / math.sqrt(shape[0])
        return (around + numbers).astype(np.float32).astype(dtype)

    width, made = layers[0], []
    for layer in layers[1:]:
        if isinstance(layer, int):
            made.append(Affine(draw(width, layer), 0.1 * draw(layer)))
            width = layer
        elif layer is BatchNormalization:
            made.append(layer(draw(width, around=1.0), draw(width)))
        elif layer is BatchNorm1d:
            made.append(layer(width, dtype=dtype))
        else:
            made.append(layer())
    return Sequential(*made, loss=LOSSES[loss]())


def check_steps(layers, loss, rule, batches, threads=(1, 2), dtypes=CLOSE, weighted=False, **clip):
    """Steps over batches of these sizes, by the engine in every dtype and by the reference."""
    rng = np.random.default_rng(len(layers) + sum(batches))
    net = network(layers, loss, "float64")
    n_out = [layer for layer in layers if isinstance(layer, int)][-1]
    data = [
        (rng.standard_normal((rows, layers[0])).astype(np.float32), targets(loss, rng, rows, n_out)) for rows in batches
    ]
    exact = Exact(net, RULES[rule](), **clip)
    losses = [exact.step(x, t) for x, t in data]
    for dtype, n_threads in itertools.product(dtypes, threads):
        net = network(layers, loss, dtype)
        trainer = Trainer(net, RULES[rule](), max(batches), n_threads, SEED, **clip)
        got = [trainer.step(x, t) for x, t in data]
        close = CLOSE[dtype]
        np.testing.assert_allclose(got, losses, rtol=20 * close, atol=close)
        assert_same_parameters(net, exact, close)
        weights = [layer.W for layer in net.layers if isinstance(layer, Affine)]
        squares = sum(np.vdot(W, W) for W in weights)  # a plan's missing columns stay 0
        np.testing.assert_allclose(trainer.weight_square(), squares, rtol=20 * close)


def assert_same_parameters(net, exact, close):
    for name, desired in exact.params.items():
        actual = net.params[name]
        error = np.abs(actual - desired).max() / max(np.abs(desired).max(), SMALL)
        assert error <= close, f"{name} of {actual.dtype} is off by {error:.3g}"
    for layer in net.layers:
        if isinstance(layer, BatchNormalization):
            running = exact.running[id(exact.net.layers[net.layers.index(layer)])]
            for actual, desired in zip(layer._running, running, strict=True):
                error = np.abs(actual - desired).max() / max(np.abs(desired).max(), SMALL)
                assert error <= close, f"running statistics are off by {error:.3g}"


# --- steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("batch", BATCHES)
def test_a_step_for_widths_around_those_of_vectors(batch, depth):
    rules, losses = list(RULES), list(LOSSES)
    for first in range(len(WIDTHS)):
        widths = [WIDTHS[(first + 5 * k) % len(WIDTHS)] for k in range(depth + 1)]
        layers = widths[:1]
        for width in widths[1:-1]:
            layers += [width, KINDS[(first + width) % 5]]
        case = first + batch + depth
        check_steps([*layers, widths[-1]], losses[case % len(losses)], rules[case % len(rules)], [batch])


@pytest.mark.parametrize("n_in", WIDTHS)
def test_a_step_for_every_pair_of_widths(n_in):
    for n_out in WIDTHS[:-1]:
        check_steps([n_in, n_out, Tanh, n_in if n_in < 513 else 7], "squared", "SGD", [21, 6])


@pytest.mark.parametrize("rule", ["SGD", "Adam decay"])
@pytest.mark.parametrize("batch", [1, 6, 7, 15, 33, 257])
def test_few_rows_and_widths_just_beyond_a_vector(batch, rule):
    # more than 512 inputs: sums in two parts, the relu only behind the second
    check_steps([530, 49, Relu, 66, Relu, 530, Relu, 35, Relu, 2], "softmax", rule, [batch, 1])
    check_steps([70, 20, Relu, Dropout, 65, Relu, Relu, 1], "squared", rule, [batch])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_three_steps_for_every_rule_activation_and_loss(rule, kind):
    for loss in LOSSES:
        check_steps([7, 19, kind, 5], loss, rule, [13, 13, 4])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("norm", [BatchNorm1d, BatchNormalization])
def test_batch_normalisation_anywhere_with_every_rule(norm, rule):
    for layers in (
        [7, norm, 5],
        [7, norm, 19, norm, Relu, 5, norm],
        [7, 40, norm, Dropout, Tanh, 5],
        [7, 40, Sigmoid, norm, 33, norm, norm, 5],
    ):
        check_steps(layers, "softmax", rule, [13, 13, 4])


MIXED = {
    "two activations in a row": [6, 18, Relu, Tanh, 4],
    "three in place": [6, 18, Sigmoid, Tanh, LeakyRelu, 4],
    "own buffers and in place": [6, 18, Softplus, Relu, Gelu, Tanh, Softplus, 4],
    "in place, then by its input": [6, 18, Relu, Gelu, Sigmoid, 4],
    "dropout before relu": [6, 18, Dropout, Relu, 4],
    "relu before dropout": [6, 33, Relu, Dropout, 17, Tanh, Dropout, 4],
    "two dropouts in a row": [6, 33, Dropout, Dropout, Sigmoid, 4],
    "dropout last": [6, 33, Relu, 4, Dropout],
    "activation last": [6, 33, Relu, 4, Tanh],
    "gelu last": [6, 33, Gelu, 4, Gelu],
    "affines in a row": [6, 33, 17, 4],
    "flatten and identity": [6, Flatten, Identity, 33, Flatten, Relu, Identity, 4, Identity],
    "deep": [6, *[9, Tanh] * 20, 4],
    "one column": [1, 1, Sigmoid, 1],
}


@pytest.mark.parametrize("loss", ["softmax", "sigmoid", "huber"])
@pytest.mark.parametrize("mixture", MIXED)
def test_layers_mixed_in_any_order(mixture, loss):
    for rule in ("SGD", "momentum", "Adam"):
        check_steps(MIXED[mixture], loss, rule, [35, 35, 1])


@pytest.mark.parametrize(
    "clip",
    [{"clip_norm": 0.05}, {"clip_norm": 50.0}, {"clip_value": 0.01}, {"clip_norm": 0.05, "clip_value": 0.01}],
    ids=str,
)
@pytest.mark.parametrize("rule", RULES)
def test_clipped_steps(rule, clip):
    check_steps([7, 19, Tanh, 5], "squared", rule, [13, 13, 4], **clip)
    check_steps([7, 19, BatchNorm1d, Tanh, 5], "softmax", rule, [13, 4], **clip)


@pytest.mark.parametrize("n_threads", [3, 8, 40])
def test_more_threads_than_rows_or_panels(n_threads):
    check_steps([6, 50, BatchNorm1d, Relu, 3], "softmax", "Adam", [5, 2], [n_threads])


@pytest.mark.parametrize("width", [2052, 2057])  # the last panel half full, and whole
def test_a_layer_of_many_panels_reads_a_copy_of_its_rows(width):
    check_steps([70, width, Relu, 67, 5], "softmax", "SGD", [400, 9], [1, 3])


def test_a_large_step_takes_several_blocks():
    check_steps([1030, 600, Relu, 530, Tanh, 10], "softmax", "momentum", [600], dtypes=["float32"])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", ["SGD", "momentum", "Adam"])
def test_weighted_losses_are_divided_by_the_sum_of_weights(rule, loss, dtype, rng):
    layers = [7, 19, Tanh, 5]
    x = rng.standard_normal((20, 7)).astype(np.float32)
    t = targets(loss, rng, 20, 5)
    weights = rng.integers(0, 4, 20).astype(np.float32)
    exact = Exact(network(layers, loss, "float64"), RULES[rule]())
    value = exact.step(x, t, weights)
    for n_threads in (1, 2):
        net = network(layers, loss, dtype)
        history = net.fit(
            x,
            t,
            epochs=1,
            batch_size=20,
            optimizer=RULES[rule](),
            sample_weight=weights,
            shuffle=False,
            n_threads=n_threads,
        )
        assert history.train_loss[0] == pytest.approx(value, rel=20 * CLOSE[dtype.name])
        assert_same_parameters(net, exact, CLOSE[dtype.name])


# --- gradients, outputs, and losses of one's own --------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_outputs_and_backward_make_a_step_with_a_loss_of_ones_own(loss, dtype, rng):
    x = rng.standard_normal((13, 7)).astype(dtype)
    t = targets(loss, rng, 13, 5)
    exact = Exact(network([7, 19, Dropout, Tanh, 5], loss, "float64"), RULES["Adam"]())
    exact.step(x, t)
    net = network([7, 19, Dropout, Tanh, 5], loss, dtype)
    own, net.loss_layer = net.loss_layer, None
    trainer = Trainer(net, RULES["Adam"](), 13, 1, SEED)
    out = np.empty((13, 5), dtype)
    trainer.outputs(x, out)
    own.forward(out, t)
    trainer.backward(own.backward())
    assert_same_parameters(net, exact, CLOSE[dtype.name])
    assert trainer.steps == 1


@pytest.mark.parametrize("n_out", [1, 2, 3, 4, 7, 16, 17, 18, 20, 33, 65, 130])
def test_rows_alike_have_the_same_bits_wherever_they_are_in_a_batch(n_out, dtype, rng):
    """Which rows a thread takes as one depends on what else the cores do."""
    for n_in, rows in itertools.product((64, 100, 513), (7, 8, 15, 16, 17, 33, 100)):
        net = Sequential(Linear(n_in, n_out, seed=0, dtype=dtype.name))
        x = np.repeat(rng.standard_normal((1, n_in)).astype(dtype), rows, axis=0)
        out = np.empty((rows, n_out), dtype)
        Trainer(net, SGD(lr=0.1), rows, n_threads=1).outputs(x, out)
        assert (out == out[0]).all(), (n_in, rows)


def plan_of(loss, rng, dtype, n_out=3, **how):
    """A plan of one affine layer, its W and b, and rows for it."""
    plan = engine.Plan([("affine", 4, n_out, 0.0, 0.0, False)], loss, 6, dtype == "float64", 2, True, **how)
    W, b = (rng.standard_normal(shape).astype(dtype) for shape in ((4, n_out), n_out))
    plan.write(0, engine.PARAMETERS, W, b)
    x = rng.standard_normal((6, 4)).astype(dtype)
    return plan, W.astype(float), b.astype(float), x


def parameters_of(plan, dtype, n_out=3):
    W, b = np.empty((4, n_out), dtype), np.empty(n_out, dtype)
    plan.read(0, engine.PARAMETERS, W, b)
    return W, b


PER_ROW = {
    "huber": lambda z, t: (np.square(z - t).sum() / 2, z - t),
    "quantile": lambda z, t: (np.where(z > t, 0.25 * (z - t), 0.75 * (t - z)).sum(), np.where(z > t, 0.25, -0.75)),
    "poisson": lambda z, t: ((t * (np.log(t) - z) - t + np.exp(z)).sum(), np.exp(z) - t),
    "sigmoid": lambda z, t: ((np.logaddexp(0, z) - t * z).sum(), logistic(z) - t),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", PER_ROW)
def test_a_loss_per_row_with_a_penalty_of_the_weights(loss, weighted, dtype, rng):
    delta = {"huber": np.inf, "quantile": 0.75}.get(loss, 1.0)
    plan, W, b, x = plan_of(loss, rng, dtype, loss_scale=0.5, loss_number=delta)
    plan.set_rule("sgd", lr=0.1, l2=0.3)
    t = (rng.random((6, 3)) < 0.5).astype(dtype) + (dtype.type(0.5) if loss == "poisson" else 0)
    weights = rng.integers(0, 3, 6).astype(dtype) if weighted else None
    w = np.ones(6) if weights is None else weights.astype(float)
    z = x.astype(float) @ W + b
    value = sum(w[r] * PER_ROW[loss](z[r], t[r].astype(float))[0] for r in range(6)) / w.sum()
    dz = PER_ROW[loss](z, t.astype(float))[1] * w[:, np.newaxis] / w.sum()
    losses = np.empty(1)
    plan.epoch(x, t, weights, np.arange(6), losses)
    close = 50 * CLOSE[dtype.name]
    np.testing.assert_allclose(plan.weight_square(), np.square(parameters_of(plan, dtype)[0]).sum(), rtol=close)
    np.testing.assert_allclose(losses[0], 0.5 * value + 0.15 * np.square(W).sum() / w.sum(), rtol=close)
    new_W, new_b = parameters_of(plan, dtype)
    np.testing.assert_allclose(new_W, W - 0.1 * (x.T.astype(float) @ dz + 0.3 * W / w.sum()), rtol=close, atol=close)
    np.testing.assert_allclose(new_b, b - 0.1 * dz.sum(axis=0), rtol=close, atol=close)


@pytest.mark.parametrize("n_out", [1, 3, 17, 35, 70, 100])
def test_the_penalty_counts_no_missing_columns(n_out, dtype, rng):
    plan, *_, x = plan_of("huber", rng, dtype, n_out, loss_scale=1.0)
    plan.set_rule("adam", lr=0.1, l2=0.1, beta_1=0.9, beta_2=0.999, eps=1e-8)
    t = rng.standard_normal((6, n_out)).astype(dtype)
    for _ in range(5):
        plan.step(x, t)
    W, _ = parameters_of(plan, dtype, n_out)
    expected = np.square(W, dtype=np.float64).sum()
    assert plan.weight_square() == pytest.approx(expected, rel=CLOSE[dtype.name])


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_a_clipped_loss_takes_probabilities_for_eps(loss, dtype, rng):
    eps = np.finfo(dtype).eps
    for clip in (False, True):
        plan, *_, x = plan_of(loss, rng, dtype, loss_scale=1.0, clip_loss=clip)
        plan.write(0, engine.PARAMETERS, np.zeros((4, 3), dtype), np.array([90, 0, 0], dtype))
        plan.set_rule("sgd", lr=0.0)
        t = np.zeros((6, 3), dtype) if loss == "sigmoid" else np.array([0, 0, 1, 0, 0, 0])
        value = plan.gradient(x, t)
        if loss == "sigmoid":
            expected = (-np.log(eps) if clip else 90) + 2 * np.log(2)
        else:
            expected = (-np.log(eps) if clip else 90) / 6
        assert value == pytest.approx(expected, rel=1e-6)


def test_adams_eps_before_the_correction(dtype, rng):
    plan, W, b, x = plan_of("huber", rng, dtype, loss_scale=1.0, loss_number=np.inf)
    plan.set_rule("adam", lr=0.1, beta_1=0.9, beta_2=0.999, eps=1e-2, early_eps=True)
    t = rng.standard_normal((6, 3)).astype(dtype)
    ones = np.ones((6, 1))  # the bias as a row of W
    p, rows, m, v = np.vstack([W, b]), np.hstack([x, ones]).astype(float), 0, 0
    for k in (1, 2, 3):
        plan.step(x, t)
        g = rows.T @ (rows @ p - t) / 6
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate = 0.1 * math.sqrt(1 - 0.999**k) / (1 - 0.9**k)
        p = p - rate * m / (np.sqrt(v) + 1e-2)
    actual = np.vstack(parameters_of(plan, dtype))
    np.testing.assert_allclose(actual, p, rtol=50 * CLOSE[dtype.name])


def test_an_epoch_of_smaller_batches_than_the_plans(dtype, rng):
    plan, W, b, x = plan_of("squared", rng, dtype)
    twin = plan_of("squared", rng, dtype)[0]
    twin.write(0, engine.PARAMETERS, W.astype(dtype), b.astype(dtype))
    t, losses = rng.standard_normal((6, 3)).astype(dtype), np.empty(3)
    for one in (plan, twin):
        one.set_rule("sgd", lr=0.1)
    plan.epoch(x, t, None, np.arange(6), losses, batch_size=2)
    for k in range(3):
        assert twin.step(x[2 * k : 2 * k + 2], t[2 * k : 2 * k + 2]) == losses[k]
    for batch_size, n in ((7, 3), (-1, 3), (1, 5)):
        with pytest.raises(ValueError, match=r"expects 1|a place for each batch"):
            plan.epoch(x, t, None, np.arange(6), np.empty(n), batch_size=batch_size)


def test_backward_without_update_leaves_the_gradients(dtype, rng):
    plan, W, _, x = plan_of(None, rng, dtype)
    plan.set_rule("sgd", lr=0.1, l2=0.5)
    plan.outputs(x, np.empty((6, 3), dtype))
    dout = rng.standard_normal((6, 3)).astype(dtype)
    plan.backward(dout, update=False)
    dW, db = np.empty((4, 3), dtype), np.empty(3, dtype)
    plan.read(0, engine.GRADIENTS, dW, db)
    close = 20 * CLOSE[dtype.name]
    np.testing.assert_allclose(dW, x.T @ dout, rtol=close, atol=close)
    np.testing.assert_array_equal(parameters_of(plan, dtype)[0], W.astype(dtype))
    with pytest.raises(ValueError, match="once for each outputs"):
        plan.backward(dout)
    plan.outputs(x, np.empty((6, 3), dtype))
    plan.backward(dout, weight=2.0)
    np.testing.assert_allclose(parameters_of(plan, dtype)[0], W - 0.1 * (dW + 0.25 * W), rtol=close, atol=close)


def test_outputs_refuses_what_would_not_fit(rng):
    net = network([7, 19, Tanh, 5], "squared", "float64")
    net.loss_layer = None
    trainer = Trainer(net, SGD(lr=0.1), 8)
    x = rng.standard_normal((8, 7))
    frozen = np.zeros((8, 5))
    frozen.flags.writeable = False
    for out in (
        np.empty((8, 5), "f4"),
        np.empty((8, 4)),
        np.empty((7, 5)),
        frozen,
        np.empty((8, 10))[:, ::2],
        np.empty((8, 5), "i8"),
        np.empty(5),
    ):
        with pytest.raises((ValueError, TypeError, BufferError)):
            trainer.outputs(x, out)
    for dout in (np.ones((8, 5), "f4"), np.ones((8, 4)), np.ones((9, 5)), np.ones((8, 5), "i8"), np.ones(5), None):
        before = net.params["W1"].copy()
        with pytest.raises((ValueError, TypeError, BufferError)):
            trainer.backward(dout)
        np.testing.assert_array_equal(net.params["W1"], before)


def test_a_network_without_a_loss_takes_no_step(rng):
    net = network([7, 19, Tanh, 5], "squared", "float32")
    net.loss_layer = None
    trainer = Trainer(net, SGD(lr=0.1), 8)
    before = net.params["W1"].copy()
    for t in (None, np.zeros((8, 5), "f4")):
        with pytest.raises((ValueError, TypeError)):
            trainer.step(rng.standard_normal((8, 7)).astype("f4"), t)
    np.testing.assert_array_equal(net.params["W1"], before)


# --- rows -----------------------------------------------------------------------------------


def test_one_sample_at_a_time_with_a_scalar_target(rng, run_python):
    # In a process of its own: a buffer without axes has no shape to read.
    code = """
import numpy as np
from fastbp import SGD, Linear, Sequential, Trainer
x, t = np.eye(4, dtype="f4"), np.array([0, 1, 2, 0])
losses = []
for kind in (np.int64, np.array, int, lambda v: np.array([v])):
    net = Sequential(Linear(4, 3, seed=0), loss="softmax_cross_entropy")
    trainer = Trainer(net, SGD(lr=0.1), 1)
    losses.append([trainer.step(x[i], kind(t[i])) for i in range(4)])
assert losses[0] == losses[1] == losses[2] == losses[3], losses
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr[-2000:] or done.returncode


def test_a_tuple_of_rows_is_rows(run_python):
    code = """
import numpy as np
from fastbp import SGD, Linear, Sequential, Trainer
x, t = np.eye(4, dtype="f4")[:3], np.array([0, 1, 2])
for rows in (tuple(x), tuple(map(tuple, x.tolist())), x.tolist()):
    net = Sequential(Linear(4, 3, seed=0), loss="softmax_cross_entropy")
    twin = Sequential(Linear(4, 3, seed=0), loss="softmax_cross_entropy")
    assert Trainer(net, SGD(lr=0.1), 3).step(rows, t) == Trainer(twin, SGD(lr=0.1), 3).step(x, t)
    net.fit(rows, t, epochs=1, optimizer=SGD(lr=0.1), seed=0)
    twin.fit(x, t, epochs=1, optimizer=SGD(lr=0.1), seed=0)
    assert net.params["W1"].tobytes() == twin.params["W1"].tobytes()
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr[-2000:] or done.returncode


def test_csr_rows_with_bad_indices_are_refused(run_python):
    pytest.importorskip("scipy.sparse")
    code = """
import numpy as np, scipy.sparse as sp
from fastbp import SGD, Linear, Sequential, Trainer
net = Sequential(Linear(4, 3, seed=0), loss="softmax_cross_entropy")
good = sp.csr_matrix((np.ones(3, "f4"), np.array([0, 1, 2]), np.array([0, 1, 2, 3])), shape=(3, 4))
for name, place, value in (("indices", 2, 10**8), ("indices", 0, -10**8), ("indptr", 1, 10**8),
                           ("indptr", 2, -5)):
    x = good.copy()
    getattr(x, name)[place] = value
    for train in (lambda x: Trainer(net, SGD(lr=0.1), 3).step(x, [0, 1, 2]),
                  lambda x: net.fit(x, [0, 1, 2], epochs=1, optimizer=SGD(lr=0.1))):
        try:
            train(x)
        except ValueError as error:
            continue
        raise SystemExit(f"{name}[{place}] = {value} was taken")
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr[-2000:] or done.returncode


@pytest.mark.parametrize("rows", [0, 9])
def test_a_step_takes_from_one_to_batch_size_rows(rows, rng):
    net = network([7, 19, Tanh, 5], "softmax", "float32")
    trainer = Trainer(net, SGD(lr=0.1), 8)
    x, t = rng.standard_normal((rows, 7)).astype("f4"), np.zeros(rows, np.int64)
    with pytest.raises(ValueError, match=r"at least one row|at most batch_size = 8 rows"):
        trainer.step(x, t)
    assert trainer.steps == 0


class ForgetsWeights(Trainer):
    """A trainer whose conversion gives fewer arrays than a step takes."""

    def converted(self, x, t, weights):
        return super().converted(x, t, weights)[:2]


def test_a_conversion_of_too_few_arrays_is_refused():
    net = Sequential(Linear(4, 3, seed=0), loss="softmax_cross_entropy")
    trainer = ForgetsWeights(net, SGD(lr=0.1))
    with pytest.raises(ValueError, match=r"not enough values|more than 2 values"):
        trainer.step([[1.0, 2.0, 3.0, 4.0]], [0])


@pytest.mark.parametrize("name", OTHERS)
def test_engine_tests_pass_under(name, run_python):
    done = run_python(
        "-P",
        "-m",
        "pytest",
        HERE / "test_engine.py",
        "-k",
        "not (pass_under or around_those or every_pair)",
        f"--rootdir={HERE.parent}",
        f"--confcutdir={HERE}",
        "-c",
        HERE.parent / "pyproject.toml",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        FASTBP_ISA=name,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"\d{3,} passed", done.stdout), done.stdout[-500:]


@pytest.mark.parametrize("rows", [1, 5, 32, 256, 1000, 4096])
@pytest.mark.parametrize("sizes", [(4, 4), (70, 50), (40, 2)])
def test_an_update_that_only_its_sum_shows_is_made(rows, sizes):
    """Beside a weight of 1 each row's own part of this update would be rounded away."""
    affine = fastbp.Affine(np.ones(sizes, "float32"), np.ones(sizes[1], "float32"))
    net = Sequential(affine, loss="squared_error")
    t = np.full((rows, sizes[1]), sizes[0] + 1 - sizes[1], "float32")  # the loss's slope by an output is 2 / rows
    trainer = Trainer(net, SGD(lr=2**-17), batch_size=rows, n_threads=1)
    trainer.step(np.ones((rows, sizes[0]), "float32"), t)
    for name in ("W1", "b1"):  # each block of rows may round by half a unit in the last place, 2^-24
        assert np.allclose(1 - net.params[name], 2**-16, rtol=0, atol=2**-20)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("rows", ["csr", "categories"])
def test_so_is_one_by_entries_and_by_categories(rows, n_threads):
    """A rule with a state keeps the gradients' sums, to which plain SGD's update is compared."""
    rng, n = np.random.default_rng(0), 2000
    t = np.ones((n, 40), "float32")
    changes = []
    for momentum in (0, 1e-30):
        if rows == "csr":
            x = (
                pytest.importorskip("scipy.sparse")
                .csr_matrix(np.arange(n)[:, None] % 3 == np.arange(3))
                .astype("float32")
            )
            first = fastbp.Affine(np.ones((3, 40), "float32"), np.ones(40, "float32"))
        else:
            x = np.arange(n)[:, None] % 3
            first = fastbp.layers.Embeddings([3], 40, seed=0)
        net = Sequential(first, loss="squared_error")
        W = net.params[next(iter(net.params))]
        W[...] = 4 + rng.random(W.shape, "float32")
        before = W.copy()
        trainer = Trainer(net, SGD(lr=1e-4, momentum=momentum), batch_size=n, n_threads=n_threads)
        trainer.step(x, t)
        changes.append(before - net.params[next(iter(net.params))])
        rng = np.random.default_rng(0)
    assert changes[1].min() > 0 and np.allclose(*changes, rtol=0, atol=2**-21)
