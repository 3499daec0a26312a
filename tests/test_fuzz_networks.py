"""Whole drawn networks: an epoch of `fit` against a loop over the twins in a wider dtype.

In some of them numbers of layers, loss and optimiser are changed after they were made, in others
while a `Trainer` runs; `predict` and `gradient` are held to the same loop, with hooks.

The loop also runs in the network's own dtype, with parameters that are wrong by a rounding.
`fit` may be as far off as these runs are, times some: so much a network makes of a rounding.
"""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from kernel_names import named

from fastbp import Sequential, Trainer, layers, losses, nn, reference
from fastbp.layers import Affine, BatchNormalization
from fastbp.operations.losses import LOSSES as ROWS
from fastbp.operations.rules import RULES
from fastbp.optim.rule import OPTIMIZERS

try:
    import scipy.sparse as sparse
except ImportError:
    sparse = None

# --- the loop -------------------------------------------------------------------------------


def through(layer, x, own, running, key):
    """A layer's output, and the function from dout to dx and the parameters' gradients."""
    kind = layer.kind
    out = np.empty((len(x), own[0].shape[-1] if own else x.shape[1]), x.dtype)
    dx, grads = np.empty_like(x), [np.empty_like(p) for p in own]
    if kind is None:  # identity, flatten
        return x, lambda dout: (dout, [])
    if kind == "affine":
        reference.affine_forward(x, *own, out)

        def backward(dout):
            reference.affine_backward(dout, x, own[0], dx, *grads)

    elif kind == "batch_norm":
        normal, inverse = np.empty_like(x), np.empty_like(own[0])
        reference.batch_norm_forward(
            x, *own, out, normal, inverse, *running, layer.kind_number, layer.old_share, layer.sample_variance
        )

        def backward(dout):
            reference.batch_norm_backward(dout, normal, inverse, own[0], dx, *grads)

    elif kind == "dropout":
        reference.dropout(x.reshape(-1), out.reshape(-1), key, layer.dropout_ratio)

        def backward(dout):
            reference.dropout(dout.reshape(-1), dx.reshape(-1), key, layer.dropout_ratio)

    else:
        numbers = layer.numbers
        reference.activation_forward(kind, x.reshape(-1), out.reshape(-1), *numbers)
        read = out if layer.row.reads_output else x

        def backward(dout):
            flat = (array.reshape(-1) for array in (dout, read, dx))
            reference.activation_backward(kind, *flat, *numbers)

    return out, lambda dout: (backward(dout), (dx, grads))[1]


def loss_of(loss, x, t):
    """Of each row its loss and how much of it is right, and the gradient by x."""
    softmax = loss.kind == "softmax"
    name = "softmax_cross_entropy" if t.ndim == 1 else "soft_cross_entropy"
    name = name if softmax else f"{loss.kind}_loss"
    forward, backward = (named(reference, f"{name}_{way}") for way in ("forward", "backward"))
    numbers = () if softmax else loss._numbers()
    keeps = softmax or loss.row.kept
    y, dx, values, right = x.copy(), np.empty_like(x), [], []
    for r in range(len(x)):
        row = slice(r, r + 1) if softmax else r  # a softmax takes rows, the others elements
        values.append(forward(x[row], t[row], y[row] if keeps else None, *numbers))
        backward(y[row], t[row], 1.0, dx[row], *numbers)
        if softmax:
            right.append(x[r].argmax() == (t[r] if t.ndim == 1 else t[r].argmax()))
        else:
            right.append(np.count_nonzero((x[r] > 0) == (t[r] > 0.5)))
    return np.array(values), np.array(right), dx


def margin_of(loss, x):
    """How near a row is to be counted on the other side."""
    if loss.kind == "softmax" and x.shape[1] > 1:
        return np.diff(np.sort(x, axis=1)[:, -2:]).min()
    return np.abs(x).min()


def update(o, lr, p, g, state, step):
    numbers = o.numbers() | {"lr": lr}
    name = numbers.pop("rule")
    states = [state.setdefault(each, np.zeros_like(p)) for each in RULES[name].states]
    reference.update(name, p, g, *states, step=step, **numbers)


def epoch(case, net, x, t, weights, params, running):
    """One epoch over copies: what `fit` has to leave in params and running, and its history."""
    names = {place: name for name, place in net.params.places().items()}
    optimizer, loss, states, step = case.optimizer(), net.loss_layer, {}, 0
    order = np.arange(len(x))
    if case.shuffle:
        reference.epoch_order(order, case.seed, 0)
    batches = [order[k : k + case.batch] for k in range(0, len(x), case.batch)]
    batch_loss, total, correct, margin = [], 0.0, 0.0, math.inf
    for k, rows in enumerate(batches):
        w = weights[rows]
        lr = optimizer.lr * (1 if case.schedule is None else case.schedule(k / len(batches)))
        if w.sum() == 0:
            batch_loss.append(0.0)
            continue
        out, pulls, place = x[rows], [], 0
        for at, layer in enumerate(net.layers):
            own = [params[names[layer, name]] for name in layer.param_names]
            key = reference.dropout_key(case.seed, step, place)
            out, pull = through(layer, out, own, running.get(at), key)
            pulls.append(pull)
            place += layer.kind is not None
        values, right, dout = loss_of(loss, out, t[rows])
        margin = min(margin, margin_of(loss, out))
        per_row = 1 if loss.kind == "softmax" else out.shape[1]
        batch_loss.append((values * w).sum() / w.sum() / per_row)
        total += (values * w).sum() / per_row
        correct += (right * w).sum() / per_row
        dout, grads, step = dout * w[:, np.newaxis] / (w.sum() * per_row), {}, step + 1
        for layer, pull in zip(reversed(net.layers), reversed(pulls), strict=True):
            dout, own = pull(dout)
            grads |= {
                names[layer, n]: g
                for n, g in zip(layer.param_names, own, strict=True)
                if n != "b" or getattr(layer, "has_bias", True)
            }
        if case.clip_norm:
            norm = math.sqrt(sum(np.square(g).sum() for g in grads.values()))
            grads = {n: g * min(1, case.clip_norm / (norm + 1e-6)) for n, g in grads.items()}
        for name, g in grads.items():
            if case.clip_value:
                g = np.clip(g, -case.clip_value, case.clip_value)
            update(optimizer, lr, params[name], g, states.setdefault(name, {}), step)
    over = weights.sum()
    return np.array(batch_loss, float), float(total / over), float(correct / over), lr, margin


# --- a drawn network ------------------------------------------------------------------------


@dataclasses.dataclass
class Case:
    dtype: str
    widths: list
    kinds: list  # of each width, the names of the layers behind it
    loss: str
    rule: str
    numbers: dict  # the rule's
    rows: int
    batch: int
    form: str  # of x
    seed: int
    weighted: bool = False
    class_weight: object = None
    clip_norm: float | None = None
    clip_value: float | None = None
    schedule: object = None
    shuffle: bool = True
    n_threads: int = 1
    altered: str = ""  # "made": before it trains, "running": while it does

    def optimizer(self):
        return OPTIMIZERS[self.rule](**self.numbers)


LAYERS = {
    "relu": lambda n, dtype: layers.Relu(),
    "leaky": lambda n, dtype: layers.LeakyRelu(0.2),
    "sigmoid": lambda n, dtype: layers.Sigmoid(),
    "tanh": lambda n, dtype: layers.Tanh(),
    "softplus": lambda n, dtype: layers.Softplus(),
    "gelu": lambda n, dtype: layers.Gelu(),
    "identity": lambda n, dtype: layers.Identity(),
    "flatten": lambda n, dtype: layers.Flatten(),
    "dropout": lambda n, dtype: layers.Dropout(0.3),
    "norm": lambda n, dtype: layers.BatchNorm1d(n, eps=0.01, momentum=0.3, dtype=dtype),
    "book's norm": lambda n, dtype: BatchNormalization(np.ones(n, dtype), np.zeros(n, dtype), 0.7),
    "nn's leaky": lambda n, dtype: nn.LeakyReLU(0.1),
    "nn's gelu": lambda n, dtype: nn.GELU(),
    "gelu by tanh": lambda n, dtype: nn.GELU("tanh"),
    "elu": lambda n, dtype: nn.ELU(0.7),
    "celu": lambda n, dtype: nn.CELU(0.7),
    "selu": lambda n, dtype: nn.SELU(),
    "silu": lambda n, dtype: nn.SiLU(),
    "mish": lambda n, dtype: nn.Mish(),
    "nn's softplus": lambda n, dtype: nn.Softplus(2.0, 3.0),
    "logsigmoid": lambda n, dtype: nn.LogSigmoid(),
    "softsign": lambda n, dtype: nn.Softsign(),
    "tanhshrink": lambda n, dtype: nn.Tanhshrink(),
    "hardtanh": lambda n, dtype: nn.Hardtanh(-0.8, 0.6),
    "relu6": lambda n, dtype: nn.ReLU6(),
    "hardsigmoid": lambda n, dtype: nn.Hardsigmoid(),
    "hardswish": lambda n, dtype: nn.Hardswish(),
    "threshold": lambda n, dtype: nn.Threshold(0.1, -0.5),
    "nn's softplus to the end": lambda n, dtype: nn.Softplus(threshold=1e9),
    "nn's dropout": lambda n, dtype: nn.Dropout(0.6),
    "nn's norm": lambda n, dtype: nn.BatchNorm1d(n, eps=0.1, dtype=dtype),
    "nn's flatten": lambda n, dtype: nn.Flatten(),
}
NORMS = {"norm", "book's norm", "nn's norm"}
LOSSES = {
    "softmax": layers.SoftmaxWithLoss,
    "soft rows": layers.SoftmaxWithLoss,
    "sigmoid": layers.SigmoidWithLoss,
    "huber": lambda: layers.HuberLoss(0.3),
    "quantile": lambda: layers.QuantileLoss(0.8),
    **{
        loss.row.name: loss
        for loss in losses.LOSSES.values()
        if loss.kind == getattr(getattr(loss, "row", None), "name", None)
        and loss.kind not in ("sigmoid", "huber", "quantile")
    },
}
WIDER = {"float32": np.float64, "float64": np.longdouble}
#: Where a rounding may move a row to the other side.
KINKED = {
    "relu",
    "leaky",
    "nn's leaky",
    "absolute",
    "huber",
    "quantile",
    "hinge",
    "nn's softplus",
    "hardtanh",
    "relu6",
    "hardsigmoid",
    "hardswish",
    "threshold",
    "selu",
}
FORMS = ["float32", "float64", "uint8"] + ["CSR"] * (sparse is not None)


def halve(done):
    return 0.5 ** (3 * done)


@st.composite
def cases(draw):
    one_of = lambda *these: draw(st.sampled_from(these))  # noqa: E731
    chance = lambda: draw(st.integers(0, 3)) == 0  # noqa: E731
    width = st.integers(1, 70) | st.sampled_from([1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65])
    widths = draw(st.lists(width, min_size=2, max_size=6))
    several = st.lists(st.sampled_from(sorted(LAYERS)), max_size=3)
    kinds = [draw(several) + ["no bias"] * chance() for _ in widths]
    kinds[0] = [kind for kind in kinds[0] if kind in NORMS]  # which say their width
    rows, batch = draw(st.integers(1, 70)), draw(st.integers(1, 33))
    if NORMS & {kind for behind in kinds for kind in behind}:
        rows, batch = max(rows, 2), max(batch, 2)
        rows += rows % min(batch, rows) == 1
    decay = one_of(0.0, 0.0, 0.01, 0.3)
    rule = one_of(*(name for name in OPTIMIZERS if name != "lion"))  # it jumps with a sign
    numbers = {"lr": one_of(0.001, 0.01, 0.05), "weight_decay": decay}
    options = OPTIMIZERS[rule]().defaults
    if "momentum" in options:
        numbers["momentum"] = one_of(0.0, 0.5, 0.9)
    if "nesterov" in options:
        numbers["nesterov"] = numbers["momentum"] > 0 and draw(st.booleans())
    if "eps" in options:
        numbers["eps"] = one_of(1e-3, 0.05)
    if "betas" in options:
        numbers["betas"] = one_of((0.9, 0.999), (0.0, 0.5), (0.8, 0.9))
    if "amsgrad" in options:
        numbers["amsgrad"] = draw(st.booleans())
    loss = one_of(*LOSSES)
    classes = None
    if loss.startswith("soft") and chance():
        classes = one_of("balanced", {0: 2.0}, ([0.5, 3.0, 1.0] * widths[-1])[: widths[-1]])
    return Case(
        one_of("float64", "float64", "float32"),
        widths,
        kinds,
        loss,
        rule,
        numbers,
        rows,
        batch,
        one_of(*FORMS),
        draw(st.integers(0, 2**31)),
        chance(),
        classes,
        one_of(None, None, 0.05),
        one_of(None, None, 0.003),
        one_of(None, None, halve),
        draw(st.booleans()),
        one_of(1, 1, 1, 2),
        one_of("", "made", "running"),
    )


def alter(net):
    """Other numbers for all layers that have some, and for the loss."""
    for place, layer in enumerate(net.layers):
        if isinstance(layer, layers.LeakyRelu):
            layer.slope = 0.3 + place / 64
        if isinstance(layer, layers.Dropout):
            layer.dropout_ratio = 0.25
        if isinstance(layer, BatchNormalization):
            layer.eps, layer.momentum = 0.05, 0.6
    if isinstance(net.loss_layer, layers.HuberLoss):
        net.loss_layer.delta = 0.7


def train_running(case, net, given_x, t, weights):
    """An epoch by a trainer that was made before the last changes; its batches' losses."""
    optimizer = case.optimizer()
    optimizer.lr *= 3
    trainer = Trainer(
        net, optimizer, min(case.batch, case.rows), case.n_threads, case.seed, case.clip_norm, case.clip_value
    )
    alter(net)
    optimizer.lr = case.numbers["lr"]
    order, lrs = np.arange(case.rows), None
    if case.shuffle:
        reference.epoch_order(order, case.seed, 0)
    losses = np.empty(math.ceil(case.rows / trainer.batch_size))
    if case.schedule is not None:
        lrs = np.array([optimizer.lr * case.schedule(k / len(losses)) for k in range(len(losses))])
    trainer.epoch(given_x, t, weights if case.weighted or case.class_weight else None, order, losses, lrs=lrs)
    trainer.close()
    return losses


def network(case, rng):
    made, width, before = [], None, ()
    for n, behind in zip(case.widths, case.kinds, strict=True):
        if width is not None:
            W, b = rng.standard_normal((width, n)) / math.sqrt(width), rng.standard_normal(n)
            if "no bias" in before:
                made.append(nn.Linear(width, n, bias=False, dtype=case.dtype))
                made[-1].W[...] = W.astype("f4")
            else:
                made.append(Affine(*(a.astype("f4").astype(case.dtype) for a in (W, b))))
        made += [LAYERS[kind](n, case.dtype) for kind in behind if kind != "no bias"]
        width, before = n, behind
    return Sequential(*made, loss=LOSSES[case.loss]())


def data(case, rng):
    """x and t as fit takes them (float32 holds all numbers), and x in float64; weights."""
    n_in, n_out = case.widths[0], case.widths[-1]
    if case.form == "uint8":
        x = rng.integers(0, 4, (case.rows, n_in)).astype("u1")
    else:
        x = rng.standard_normal((case.rows, n_in)).astype("f4")
        if case.form == "CSR":
            x[rng.random(x.shape) < 0.7] = 0
    if case.loss == "softmax":
        t = rng.integers(0, n_out, case.rows)
    elif case.loss == "soft rows":
        t = rng.random((case.rows, n_out)) + 0.01
        t /= t.sum(axis=1, keepdims=True)
    else:
        shape, targets = (case.rows, n_out), ROWS[case.loss].targets
        t = {
            "signs": lambda: rng.choice([-1.0, 1.0], shape),
            "bits": lambda: rng.choice([0.0, 1.0], shape),
            "numbers": lambda: rng.standard_normal(shape),
        }.get(targets, lambda: rng.integers(0, 9, shape) / 8)().astype("f4")
    weights = rng.integers(0, 4, case.rows) / 2 if case.weighted else np.ones(case.rows)
    weights[0] += not weights.any()
    given_x = {"CSR": lambda: sparse.csr_matrix(x), "uint8": lambda: x}.get(case.form, lambda: x.astype(case.form))()
    return given_x, x.astype(float), t, weights


def with_classes(case, t, weights):
    """The rows' weights times those of their classes."""
    if case.class_weight is None:
        return weights
    classes = t if t.ndim == 1 else t.astype(case.dtype).argmax(axis=1)
    if case.class_weight == "balanced":
        kinds, counts = np.unique(classes, return_counts=True)
        by_class = dict(zip(kinds, len(classes) / len(kinds) / counts, strict=True))
    else:
        pairs = case.class_weight
        by_class = pairs if isinstance(pairs, dict) else dict(enumerate(pairs))
    return weights * np.array([by_class.get(c, 1.0) for c in classes])


def check(case):
    rng = np.random.default_rng(case.seed)
    net = network(case, rng)
    if case.altered == "made":
        alter(net)
    given_x, x, t, weights = data(case, rng)
    row_weights = with_classes(case, t, weights).astype(case.dtype)
    norms = {at: layer for at, layer in enumerate(net.layers) if isinstance(layer, BatchNormalization)}
    start = {name: p.copy() for name, p in net.params.items()}
    eps, runs = np.finfo(case.dtype).eps, []
    made = network(case, np.random.default_rng(case.seed))  # whose numbers the loop reads
    if case.altered:
        alter(made)
    for drawn in range(4):
        dtype = np.dtype(case.dtype if drawn else WIDER[case.dtype])
        target = t if t.dtype == np.int64 else t.astype(case.dtype).astype(dtype)
        running = {at: [a.astype(dtype) for a in layer._running] for at, layer in norms.items()}
        with np.errstate(all="ignore"):
            params = {
                name: p.astype(dtype) * (1 + bool(drawn) * eps * rng.choice([-1, 1], p.shape))
                for name, p in start.items()
            }
            params = {name: p.astype(dtype) for name, p in params.items()}
            history = epoch(case, made, x.astype(dtype), target, row_weights.astype(dtype), params, running)
        runs.append((params, running, history))
    if not np.abs(runs[0][2][0]).max() < 1e4:
        event("diverges")
        return

    again = network(case, np.random.default_rng(case.seed))
    if case.altered == "made":
        alter(again)
    losses = [train_running(case, one, given_x, t, row_weights) for one in (net, again) if case.altered == "running"]
    got, _ = (
        (losses, losses)
        if losses
        else (
            one.fit(
                given_x,
                t,
                epochs=1,
                optimizer=case.optimizer(),
                batch_size=case.batch,
                seed=case.seed,
                sample_weight=weights if case.weighted else None,
                class_weight=case.class_weight,
                clip_norm=case.clip_norm,
                clip_value=case.clip_value,
                schedule=case.schedule,
                shuffle=case.shuffle,
                n_threads=case.n_threads,
            )
            for one in (net, again)
        )
    )

    kinked = KINKED & {case.loss, *(kind for behind in case.kinds for kind in behind)}
    loose = 0.1 * bool(kinked) * (case.dtype == "float32")

    def near(name, actual, pick):
        exact, *moved = (np.asarray(pick(*run), float) for run in runs)
        spread = max(np.abs(m - exact).max(initial=0) for m in moved)
        # The terms of a gradient that is 0 behind a normalisation may be larger than the numbers.
        size = max(np.abs(exact).max(initial=0), 1.0 if norms else 0.1)
        change = np.abs(exact - start[name]).max() if name in start else size
        bound = 500 * eps * size + 200 * spread + loose * change
        error = np.abs(actual - exact).max(initial=0)
        assert error <= bound, f"{name} is off by {error:.3g}, over {bound:.3g}"

    for name, p in net.params.items():
        assert p.dtype == case.dtype and p.tobytes() == again.params[name].tobytes()
        near(name, p, lambda params, *_, name=name: params[name])
    for at, layer in norms.items():
        near("running mean", layer._running[0], lambda _, running, *__, at=at: running[at][0])
        near("running variance", layer._running[1], lambda _, running, *__, at=at: running[at][1])
    if losses:
        near("batch_loss", losses[0], lambda *run: run[2][0])
        return
    near("batch_loss", got.batch_loss[0], lambda *run: run[2][0])
    near("train_loss", got.train_loss[0], lambda *run: run[2][1])
    assert got.lr[-1] == pytest.approx(runs[0][2][3], rel=1e-12)
    if net.loss_layer.classifies and case.dtype == "float64" and runs[0][2][4] > 1e-9:
        assert got.train_accuracy[0] == pytest.approx(runs[0][2][2], abs=1e-9)


@given(cases())
def test_an_epoch_of_any_network_is_the_twins(case):
    check(case)


def check_passes(case):
    """`predict` and `gradient`, with hooks that look, against the loop in a wider dtype."""
    rng = np.random.default_rng(case.seed)
    net = network(case, rng)
    _, x, t, _ = data(case, rng)
    if case.altered:
        net.predict(x.astype(case.dtype))
        alter(net)
    seen = []
    for layer in net.layers:
        layer.register_forward_hook(lambda *call: seen.append(call))
        if isinstance(layer, layers.Dropout):  # whose masks `gradient` draws from its own seed
            layer.dropout_ratio = 0.0
    names = {place: name for name, place in net.params.places().items()}
    params = {name: p.astype(np.longdouble) for name, p in net.params.items()}
    norms = {at: layer for at, layer in enumerate(net.layers) if isinstance(layer, BatchNormalization)}
    running = {at: [a.astype(np.longdouble) for a in layer._running] for at, layer in norms.items()}
    out, pulls = x.astype(np.longdouble), []
    for at, layer in enumerate(net.layers):
        own = [params[names[layer, name]] for name in layer.param_names]
        out, pull = through(layer, out, own, running.get(at), 0)
        pulls.append(pull)
    target = t if t.dtype == np.int64 else t.astype(np.longdouble)
    _, _, dout = loss_of(net.loss_layer, out, target)
    per_row = 1 if net.loss_layer.kind == "softmax" else out.shape[1]
    dout, want = dout / (len(x) * per_row), {}
    for layer, pull in zip(reversed(net.layers), reversed(pulls), strict=True):
        dout, own = pull(dout)
        want |= {
            names[layer, n]: g
            for n, g in zip(layer.param_names, own, strict=True)
            if n != "b" or getattr(layer, "has_bias", True)
        }
    got = net.gradient(x, target if t.dtype == np.int64 else t.astype(case.dtype))
    assert [module for module, *_ in seen] == list(net.layers)
    np.testing.assert_allclose(seen[-1][2], out.astype(float), rtol=1e-6, atol=1e-6)
    largest = max(np.abs(g).max() for g in want.values())
    for name, g in want.items():
        assert np.abs(got[name] - g).max() <= 1e-7 * max(1, largest), name
    for at, layer in norms.items():
        for mine, twins in zip(layer._running, running[at], strict=True):
            np.testing.assert_allclose(mine, twins.astype(float), rtol=1e-9, atol=1e-9)
    seen.clear()
    y = net.predict(x)
    out = x.astype(np.longdouble)
    for at, layer in enumerate(net.layers):
        if at in norms:
            gamma, beta = (params[names[layer, name]] for name in layer.param_names)
            mean, var = running[at]
            out = (out - mean) / np.sqrt(var + layer.eps) * gamma + beta
        else:
            own = [params[names[layer, name]] for name in layer.param_names]
            out, _ = through(layer, out, own, None, 0)
    assert len(seen) == len(net.layers) and seen[-1][2] is y
    np.testing.assert_allclose(y, out.astype(float), rtol=1e-6, atol=1e-6 * np.abs(out).max())


@given(cases())
def test_predict_and_gradient_of_any_network_are_the_twins(case):
    if case.form == "CSR" or case.dtype == "float32":
        case = dataclasses.replace(case, form="float64", dtype="float64")
    check_passes(case)


ADAM, DECAYING = {"lr": 0.05, "eps": 1e-3}, {"lr": 0.05, "weight_decay": 0.3, "momentum": 0.9}
#: What failed once, in `fit` or in the loop here.
PAST = {
    "the bias of a layer without one was trained": Case(
        "float64", [7, 19, 5], [[], ["relu", "no bias"], ["no bias"]], "softmax", "sgd", DECAYING, 20, 8, "float32", 3
    ),
    "columns that a panel lacks were not 0, and counted where gradients are clipped": Case(
        "float64",
        [40, 50, 17, 2],
        [[], ["tanh"], ["tanh"], []],
        "squared",
        "adam",
        ADAM,
        20,
        5,
        "float64",
        4,
        clip_norm=0.05,
    ),
    "the same in float32": Case(
        "float32",
        [40, 50, 17, 2],
        [[], ["tanh"], ["tanh"], []],
        "squared",
        "adagrad",
        ADAM,
        20,
        5,
        "float64",
        4,
        clip_norm=0.05,
    ),
    "the last batch of one row": Case(
        "float64", [6, 33, 4], [[], ["relu", "dropout"], []], "softmax", "sgd", DECAYING, 36, 35, "uint8", 5
    ),
    "batches whose weights are all 0, which are not trained": Case(
        "float64",
        [3, 4, 2],
        [[], ["sigmoid"], []],
        "sigmoid",
        "adamw",
        ADAM,
        12,
        1,
        "float32",
        0,
        weighted=True,
        schedule=halve,
    ),
    "a bias before a normalisation has a gradient of rounding errors": Case(
        "float32",
        [1, 1, 1],
        [[], [], ["book's norm"]],
        "squared",
        "adagrad",
        {"lr": 0.001, "eps": 0.001},
        12,
        2,
        "float32",
        0,
        weighted=True,
    ),
    "a beta before a normalisation has one, too, of gradients as large as 1 / sqrt(eps)": Case(
        "float64",
        [14, 14, 14],
        [["book's norm"], ["book's norm", "no bias"], ["no bias"]],
        "softmax",
        "sgd",
        {"lr": 0.01},
        14,
        2,
        "float32",
        0,
        weighted=True,
        class_weight="balanced",
        shuffle=False,
    ),
    "one thread has no rows": Case(
        "float64",
        [6, 50, 3],
        [["norm"], ["norm", "relu"], []],
        "softmax",
        "adam",
        ADAM,
        7,
        5,
        "float32",
        6,
        n_threads=4,
    ),
}


@pytest.mark.parametrize("what", PAST)
def test_a_network_that_failed_once(what):
    check(PAST[what])
