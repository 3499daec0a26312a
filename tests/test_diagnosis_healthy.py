"""`diagnose` is silent on networks in good health, and leaves no trace on any."""

import numpy as np
import pytest

import fastbp
from fastbp import Adam, BatchNorm1d, Dropout, Linear, Sequential, datasets, diagnose, nn
from fastbp.layers.activations import LAYERS

#: Each with the start that suits it (He et al., 2015; Glorot & Bengio, 2010).
STARTS = {
    "relu": "he", "leaky_relu": "he", "elu": "he", "selu": "lecun", "gelu": "he", "silu": "he", "mish": "he",
    "softplus": "xavier", "tanh": "xavier", "sigmoid": "xavier", "softsign": "xavier", "hardtanh": "xavier",
    "relu6": "he", "celu": "he", "hardswish": "he",
}  # fmt: skip

#: A function, so that the network is run on Tensors.
CROSS_ENTROPY = nn.functional.cross_entropy


def rows(rng, n):
    """Inputs of size about 1, as tables, images, marks and measures have them."""
    kind = rng.integers(6)
    width = int(rng.integers(2, 40))
    if kind == 0:
        return rng.standard_normal((n, width))
    if kind == 1:
        return rng.random((n, width))
    if kind == 2:  # marks
        return (rng.random((n, width)) < 0.3).astype(float)
    if kind == 3:  # images with a dark margin
        x = rng.random((n, 8, 8)) * (rng.random((n, 8, 8)) < 0.5)
        x[:, [0, -1]] = 0
        return x.reshape(n, 64)
    if kind == 4:  # measures in centimetres
        return rng.random((n, width)) * rng.uniform(1, 6, width) + rng.uniform(0, 3, width)
    return datasets.load_iris()[0][0][rng.integers(0, 120, n)]


def healthy(seed):
    """(network, x, t, optimizer) that learn."""
    rng = np.random.default_rng(seed)
    n = 2 * int(rng.integers(50, 200))
    dtype = ("float32", "float64")[seed % 2]
    x = rows(rng, n).astype(dtype)
    name = list(STARTS)[seed % len(STARTS)]
    depth = int(rng.integers(1, 4 if name in ("sigmoid", "softplus") else 7))
    widths = [x.shape[1], *rng.integers(12, 80, depth)]
    teacher = rng.standard_normal((x.shape[1], 3)) / np.sqrt(x.shape[1])
    score = (x - x.mean(axis=0)) @ teacher
    loss = ("softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error", "absolute_error", "huber")[
        seed // 15 % 5
    ]
    if loss.startswith("softmax"):
        t, n_out = score.argmax(axis=1), 3
        if rng.random() < 0.3:
            t = np.eye(3)[t]
    elif loss.startswith("sigmoid"):
        t, n_out = (score[:, :1] > 0).astype(dtype), 1
    else:
        t, n_out = (score / max(score.std(), 1e-9)).astype(dtype), 3
    norm, drop = map(int, rng.random(2) < 0.25)
    layers = []
    for k in range(depth):
        layers.append(Linear(int(widths[k]), int(widths[k + 1]), STARTS[name], dtype, rng))
        layers += [BatchNorm1d(int(widths[k + 1]), dtype=dtype)] * norm
        layers.append(LAYERS[name]())
        layers += [Dropout(0.2, seed=seed)] * drop
    layers.append(Linear(int(widths[-1]), n_out, "xavier", dtype, rng))
    rate = 10 ** rng.uniform(-3.3, -2.3)
    return Sequential(*layers, loss=loss), x, t, Adam(lr=rate)


@pytest.mark.parametrize("block", range(10))
def test_networks_in_good_health_are_silent_before_and_after_a_training(block):
    for seed in range(20 * block, 20 * block + 20):
        net, x, t, optimizer = healthy(seed)
        assert not net.diagnose(x, t, optimizer=optimizer, batch_size=32), (seed, net.diagnose(x, t))
        net.fit(x, t, epochs=8, optimizer=optimizer, batch_size=32, seed=seed)
        found = net.diagnose(x, t, optimizer=optimizer, batch_size=32)
        assert not found, (seed, found)


@pytest.mark.parametrize("block", range(2))
def test_modules_in_good_health_are_silent_before_and_after_a_loop(block):
    for seed in range(20 * block, 20 * block + 20):
        fastbp.manual_seed(seed)
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((200, int(rng.integers(3, 30)))).astype("float32")
        t = (x @ rng.standard_normal((x.shape[1], 3))).argmax(axis=1)
        act, width = (nn.ReLU, nn.Tanh, nn.GELU, nn.LeakyReLU, nn.SiLU)[seed % 5], int(rng.integers(16, 60))
        parts = [nn.Linear(x.shape[1], width), act(), nn.Dropout(0.1), nn.Linear(width, width), act()]
        model = nn.Sequential(*parts, nn.BatchNorm1d(width), nn.Linear(width, 3))
        criterion = nn.CrossEntropyLoss()
        rule = Adam(model.parameters(), lr=0.003)
        for step in range(60):
            if step % 20 == 0:
                found = diagnose(model, x, t, criterion, optimizer=rule, batch_size=25)
                assert not found, (seed, step, found)
            rows = np.arange(25) + 25 * (step % 8)
            rule.zero_grad()
            criterion(model(fastbp.tensor(x[rows])), fastbp.tensor(t[rows])).backward()
            rule.step()
        assert not diagnose(model, x, t, CROSS_ENTROPY, optimizer=rule, batch_size=25), seed
