"""Every layer and loss on drawn arrays of any kind: the book's on arrays, PyTorch's on tensors.

What comes of an array-like is, bit for bit, what comes of a plain array with its numbers.  That
is the twins' result within rounding, and a formula's in a wider dtype; gradients are the slopes
of that formula along a drawn direction.
"""

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbp
from fastbp import layers, losses, nn

try:
    import pandas
except ImportError:
    pandas = None

WIDE = np.longdouble

# --- formulas -------------------------------------------------------------------------------


def phi(x):
    """The normal distribution function, by a series whose terms have one sign: none cancels."""
    total = term = x
    for k in range(1, 120):
        term = term * x * x / (2 * k + 1)
        total = total + term
    return WIDE(0.5) + total * np.exp(-x * x / 2) / np.sqrt(2 * np.arccos(WIDE(-1)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(x))


def selu(x):
    return WIDE("1.0507009873554804934193349852946") * elu(x, WIDE("1.6732632423543772848170429916717"))


def leaky(slope):
    return lambda x, _: np.where(x > 0, x, WIDE(slope) * x)


def flat(x, _=None):
    return x if x.ndim == 1 else x.reshape(len(x), math.prod(x.shape[1:]))


def affine(x, layer):
    return flat(x) @ layer._W.astype(WIDE) + layer._b.astype(WIDE)


def norm(x, layer):
    scale = layer._gamma / np.sqrt(x.var(axis=0) + WIDE(layer.kind_number))
    return (x - x.mean(axis=0)) * scale + layer._beta


def layer_norm(x, layer):
    scale = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + WIDE(layer.eps))
    return (x - x.mean(axis=-1, keepdims=True)) * scale * layer.weight.array + layer.bias.array


def dropout(x, layer):
    return x * layer.mask / (1 - WIDE(layer.dropout_ratio))


def with_numbers(layer, rng, *names):
    """The layer with other numbers than those it starts with, which may be 0 and 1."""
    for name in names:
        array = getattr(layer, name)
        array[...] = 0.5 + rng.random(array.shape)
    return layer


def layer_norm_of(n, dtype, rng):
    layer = nn.LayerNorm(n, dtype=dtype)
    for tensor in (layer.weight, layer.bias):
        tensor.array[...] = rng.standard_normal(n)
    return layer


def by_element(layer, formula):
    return lambda n, dtype, rng: layer(), lambda x, _: formula(x), "any"


def identity(x, _):
    return x


#: Each layer: how it is made, its formula, and whether it takes "any" shape, or rows of n.
LAYERS = {
    "Affine": (
        lambda n, dtype, rng: layers.Affine(
            rng.standard_normal((n, 5)).astype(dtype), rng.standard_normal(5).astype(dtype)
        ),
        affine,
        "rows",
    ),
    "Linear": (lambda n, dtype, rng: with_numbers(layers.Linear(n, 7, dtype=dtype, seed=0), rng, "b"), affine, "rows"),
    "nn.Linear": (lambda n, dtype, rng: with_numbers(nn.Linear(n, 33, dtype=dtype), rng, "W"), affine, "rows"),
    "nn.Linear without bias": (
        lambda n, dtype, rng: with_numbers(nn.Linear(n, 3, bias=False, dtype=dtype), rng, "W"),
        affine,
        "rows",
    ),
    "BatchNormalization": (
        lambda n, dtype, rng: layers.BatchNormalization(rng.random(n).astype(dtype) + 1, rng.random(n).astype(dtype)),
        norm,
        "batch",
    ),
    "BatchNorm1d": (
        lambda n, dtype, rng: with_numbers(layers.BatchNorm1d(n, eps=0.1, dtype=dtype), rng, "gamma", "beta"),
        norm,
        "batch",
    ),
    "nn.BatchNorm1d": (
        lambda n, dtype, rng: with_numbers(nn.BatchNorm1d(n, dtype=dtype), rng, "gamma", "beta"),
        norm,
        "batch",
    ),
    "nn.LayerNorm": (layer_norm_of, layer_norm, "rows"),
    "Dropout": (lambda n, dtype, rng: layers.Dropout(0.3, seed=1), dropout, "any"),
    "nn.Dropout": (lambda n, dtype, rng: nn.Dropout(0.3), dropout, "any"),
    "Flatten": (lambda n, dtype, rng: layers.Flatten(), flat, "any"),
    "nn.Flatten": (lambda n, dtype, rng: nn.Flatten(), flat, "rows"),
    "nn.Unflatten": (lambda n, dtype, rng: nn.Unflatten(1, (1, n)), lambda x, _: x[:, np.newaxis], "rows"),
    "Identity": (lambda n, dtype, rng: layers.Identity(), identity, "any"),
    "LeakyRelu": (lambda n, dtype, rng: layers.LeakyRelu(0.2), leaky(0.2), "any"),
    "nn.LeakyReLU": (lambda n, dtype, rng: nn.LeakyReLU(0.1), leaky(0.1), "any"),
    "nn.Softmax": (lambda n, dtype, rng: nn.Softmax(1), lambda x, _: softmax(x), "rows"),
    "nn.Softmin": (lambda n, dtype, rng: nn.Softmin(1), lambda x, _: softmax(-x), "rows"),
    "nn.LogSoftmax": (lambda n, dtype, rng: nn.LogSoftmax(1), lambda x, _: np.log(softmax(x)), "rows"),
    "Relu": by_element(layers.Relu, lambda x: np.maximum(x, 0)),
    "Sigmoid": by_element(layers.Sigmoid, sigmoid),
    "Tanh": by_element(layers.Tanh, np.tanh),
    "Softplus": by_element(layers.Softplus, lambda x: np.log1p(np.exp(x))),
    "Gelu": by_element(layers.Gelu, lambda x: x * phi(x)),
    "nn.GELU": by_element(nn.GELU, lambda x: x * phi(x)),
    "nn.GELU by tanh": by_element(
        lambda: nn.GELU("tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.arccos(WIDE(-1))) * (x + WIDE("0.044715") * x**3))),
    ),
    "nn.Softplus": by_element(nn.Softplus, lambda x: np.log1p(np.exp(x))),
    "nn.Softplus of beta 2": by_element(lambda: nn.Softplus(2.0), lambda x: np.log1p(np.exp(2 * x)) / 2),
    "nn.ELU": by_element(lambda: nn.ELU(0.7), lambda x: elu(x, WIDE(0.7))),
    "nn.CELU": by_element(lambda: nn.CELU(0.7), lambda x: np.where(x > 0, x, WIDE(0.7) * np.expm1(x / WIDE(0.7)))),
    "nn.SELU": by_element(nn.SELU, selu),
    "nn.SiLU": by_element(nn.SiLU, lambda x: x * sigmoid(x)),
    "nn.Mish": by_element(nn.Mish, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "nn.Hardtanh": by_element(nn.Hardtanh, lambda x: np.clip(x, -1, 1)),
    "nn.ReLU6": by_element(nn.ReLU6, lambda x: np.clip(x, 0, 6)),
    "nn.Hardsigmoid": by_element(nn.Hardsigmoid, lambda x: np.clip(x + 3, 0, 6) / 6),
    "nn.Hardswish": by_element(nn.Hardswish, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "nn.LogSigmoid": by_element(nn.LogSigmoid, lambda x: -np.log1p(np.exp(-x))),
    "nn.Softsign": by_element(nn.Softsign, lambda x: x / (1 + np.abs(x))),
    "nn.Tanhshrink": by_element(nn.Tanhshrink, lambda x: x - np.tanh(x)),
    "nn.Threshold": by_element(lambda: nn.Threshold(0.5, -2.0), lambda x: np.where(x > 0.5, x, -2)),
}
#: Modules that take tensors only.
ON_TENSORS = {"nn.LayerNorm", "nn.Unflatten"}


def rows_of(t, x):
    return t if t.ndim == 2 else np.eye(x.shape[1], dtype=WIDE)[t]


def cross_entropy(x, t, _=None):
    return -(rows_of(t, x) * np.log(softmax(x))).sum(axis=1)


def binary(x, t, _=None):
    return np.log1p(np.exp(x)) - t * x


def huber(delta):
    def formula(x, t, _=None):
        d = np.abs(x - t)
        return np.where(d <= delta, d * d / 2, WIDE(delta) * (d - WIDE(delta) / 2))

    return formula


def quantile(q):
    return lambda x, t: np.where(x > t, (1 - WIDE(q)) * (x - t), WIDE(q) * (t - x))


def poisson(x, t):
    return np.where(t == 0, 0, t * (np.log(np.where(t == 0, 1, t)) - x)) - t + np.exp(x)


def log_cosh(x, t):
    return np.logaddexp(x - t, t - x) - np.log(WIDE(2))


def hinge(x, t):
    return np.maximum(1 - t * x, 0)


def squared(x, t):
    return (x - t) ** 2


def absolute(x, t):
    return np.abs(x - t)


#: Each loss: how it is made, the formula of its terms, its targets, and whether its input is
#: probabilities or their logarithms.
LOSSES = {
    "SoftmaxWithLoss": (layers.SoftmaxWithLoss, cross_entropy, "classes", None),
    "SoftmaxWithLoss of rows": (layers.SoftmaxWithLoss, cross_entropy, "rows", None),
    "SigmoidWithLoss": (layers.SigmoidWithLoss, binary, "shares", None),
    "MeanSquaredError": (layers.MeanSquaredError, squared, "numbers", None),
    "MeanAbsoluteError": (layers.MeanAbsoluteError, absolute, "numbers", None),
    "HuberLoss": (lambda: layers.HuberLoss(0.75), huber(0.75), "numbers", None),
    "QuantileLoss": (lambda: layers.QuantileLoss(0.75), quantile(0.75), "numbers", None),
    "PoissonLoss": (layers.PoissonLoss, poisson, "shares", None),
    "LogCoshLoss": (layers.LogCoshLoss, log_cosh, "numbers", None),
    "HingeLoss": (layers.HingeLoss, hinge, "signs", lambda shares: 3 * shares - 1.53),
    "nn.CrossEntropyLoss": (nn.CrossEntropyLoss, cross_entropy, "classes", None),
    "nn.CrossEntropyLoss of rows": (nn.CrossEntropyLoss, cross_entropy, "rows", None),
    "nn.NLLLoss": (nn.NLLLoss, lambda x, t: -x[np.arange(len(t)), t], "classes", np.log),
    "nn.BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, binary, "shares", None),
    "nn.BCELoss": (nn.BCELoss, lambda x, t: -t * np.log(x) - (1 - t) * np.log1p(-x), "shares", lambda p: p),
    "nn.MSELoss": (nn.MSELoss, squared, "numbers", None),
    "nn.L1Loss": (nn.L1Loss, absolute, "numbers", None),
    "nn.HuberLoss": (lambda **k: nn.HuberLoss(delta=0.75, **k), huber(0.75), "numbers", None),
    "nn.SmoothL1Loss": (
        lambda **k: nn.SmoothL1Loss(beta=0.75, **k),
        lambda x, t: huber(0.75)(x, t) / WIDE(0.75),
        "numbers",
        None,
    ),
    "nn.KLDivLoss": (nn.KLDivLoss, lambda x, t: t * (np.log(t) - x), "shares", np.log),
}
#: Tested by their own: containers, what a module is made of, nodes of one number, aliases, and what
#: is made of functions of tensors, which the golden cases hold.
ELSEWHERE = {
    # Activations and losses without a formula here are held by the kernels' tests.
    "layers": {
        "AddLayer",
        "Embeddings",
        "MulLayer",
        "MultiTaskLoss",
        "Layer",
        "ReLU",
        "cross_entropy_error",
        "softmax",
        *(loss.__name__ for loss in losses.LOSSES.values() if loss.__name__ not in LOSSES),
    },
    "nn": {
        *(name for name in layers.activations.__all__ if f"nn.{name}" not in LAYERS),
        "CosineEmbeddingLoss",
        "CosineSimilarity",
        "GLU",
        "GaussianNLLLoss",
        "HingeEmbeddingLoss",
        "MarginRankingLoss",
        "PReLU",
        "PairwiseDistance",
        "PoissonNLLLoss",
        "TripletMarginLoss",
        "Embedding",
        "Identity",
        "Module",
        "ModuleDict",
        "ModuleList",
        "Parameter",
        "ParameterDict",
        "ParameterList",
        "ReLU",
        "Sequential",
        "Sigmoid",
        "Tanh",
        "functional",
        "init",
        "utils",
    },
}

# --- drawn arrays ---------------------------------------------------------------------------


def unaligned(a):
    moved = np.frombuffer(bytearray(a.nbytes + 1), a.dtype, a.size, offset=1).reshape(a.shape)
    moved[...] = a
    return moved


def read_only(a):
    return np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape)


def tuples(a):
    return tuple(map(tuples, a)) if a.ndim > 1 else tuple(a.tolist())


FORMS = {
    "plain": lambda a: a,
    "list": lambda a: a.tolist(),
    "tuples": tuples,
    "read-only": read_only,
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every other column": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: np.flip(np.flip(a).copy()),
    "Fortran": np.asfortranarray,
    "part of a wider array": lambda a: np.pad(a, 1)[(slice(1, -1),) * a.ndim],
    "unaligned": unaligned,
    "broadcast": lambda a: np.broadcast_to(a, (2, *a.shape))[1],
    "subclass": lambda a: a.view(type("Own", (np.ndarray,), {})),
    "other bytes": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "float16": lambda a: a.astype("f2"),
    "extended precision": lambda a: a.astype(WIDE),
    "unaligned other bytes": lambda a: unaligned(a.astype(a.dtype.newbyteorder(">"))),
}
WHOLE = {name: lambda a, name=name: a.astype(name) for name in ("int64", "int8", "uint16", ">i4", "bool")}
if pandas is not None:
    FORMS["frame"] = lambda a: pandas.DataFrame(a)
KEEPS_EMPTY = set(FORMS) - {"list", "tuples", "frame"}


@st.composite
def arrays(draw, shape, dtype):
    """An array-like of this shape, and a plain array of its numbers, which float16 holds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    whole = draw(st.integers(0, 4)) == 0
    names = list(WHOLE) if whole else list(FORMS)
    names = [
        name for name in names if (math.prod(shape) or name in KEEPS_EMPTY) and (len(shape) == 2 or name != "frame")
    ] or ["plain"]
    name = draw(st.sampled_from(names))
    # off the kinks of all layers, where a slope is nothing to compare with
    numbers = rng.integers(0, 2, shape) if whole else rng.integers(-40, 40, shape) / 8 + 1 / 16
    numbers = np.asarray(numbers, dtype)
    return (WHOLE | FORMS)[name](numbers), numbers, whole


@st.composite
def shapes(draw, kind):
    rows, n = draw(st.integers(0, 40)), draw(st.integers(1, 40) | st.sampled_from([64, 65]))
    if kind == "batch":
        return max(rows, 2), n
    if kind == "any":
        return draw(st.sampled_from([(rows, n), (rows,), (rows % 7, n % 9 + 1, 3)]))
    return rows, n


def natural(value):
    """The dtype that a layer without parameters computes in."""
    dtype = np.asarray(value).dtype
    return np.dtype("f4" if dtype.kind == "f" and dtype.itemsize <= 4 else "f8")


def content(value):
    return np.asarray(value).tobytes()


def close(actual, desired, size, dtype, share=200):
    desired = np.asarray(desired)
    assert np.shape(actual) == desired.shape
    error = np.abs(np.asarray(actual, WIDE) - desired).max(initial=0)
    bound = share * np.finfo(dtype).eps * (1 + size)
    assert error <= bound, f"off by {error:.3g}, over {bound:.3g}"


def steepness(layer, x):
    """What a rounding of x is multiplied by."""
    if isinstance(layer, layers.BatchNormalization):
        return float(1 / np.sqrt(x.astype(float).var(axis=0) + layer.kind_number).min())
    return 1.0


def slope(formula, x, rng, dx, dtype, size=0):
    """dx is the gradient of the formula, by its difference along a drawn direction."""
    direction, h = rng.choice(np.array([-1, 1], WIDE), x.shape), WIDE(1e-9)
    expected = (formula(x + h * direction) - formula(x - h * direction)) / (2 * h)
    got = (dx.astype(WIDE) * direction).sum()
    size = size + np.abs(dx).astype(WIDE).sum()
    assert abs(got - expected) <= (200 * np.finfo(dtype).eps + 1e-8) * (1 + size)


def gradients(layer):
    return [getattr(layer, "d" + name) for name in getattr(layer, "param_names", ())]


# --- layers ---------------------------------------------------------------------------------


def check_layer(name, data):
    make, formula, kind = LAYERS[name]
    dtype, shape = data.draw(st.sampled_from(["f4", "f8"])), data.draw(shapes(kind))
    odd, numbers, whole = data.draw(arrays(shape, dtype))
    seed = data.draw(st.integers(0, 99))
    layer = make(shape[-1], np.dtype(dtype), np.random.default_rng(seed))
    has_parameters = bool(getattr(layer, "param_names", ()))
    plain = numbers.astype(dtype if has_parameters else natural(odd))
    twin, other = copy.deepcopy(layer), copy.deepcopy(layer)
    before = content(odd)

    def forward(layer, x):
        fastbp.manual_seed(seed)
        return layer.forward(x)

    out = forward(layer, odd)
    expected = forward(other, plain)
    assert type(out) is np.ndarray and out.dtype == plain.dtype
    assert content(out) == content(expected) and content(odd) == before
    odd_d, d, _ = data.draw(arrays(out.shape, out.dtype))
    d, before_d = d.astype(out.dtype), content(odd_d)
    dx, expected_dx = layer.backward(odd_d), other.backward(d)
    assert content(dx) == content(expected_dx) and dx.shape == plain.shape
    assert (content(odd), content(odd_d)) == (before, before_d)
    for got, desired in zip(gradients(layer), gradients(other), strict=True):
        assert content(got) == content(desired)

    steep = steepness(layer, numbers)
    size = steep * np.abs(numbers).sum(initial=0) if kind != "any" else 30
    with fastbp.use("reference"):
        close(out, forward(twin, plain), size, out.dtype)
        size_d = (size + steep) * (1 + np.abs(d).sum(initial=0))
        close(dx, twin.backward(d), size_d, out.dtype)
    for got, desired in zip(gradients(layer), gradients(twin), strict=True):
        close(got, desired, size_d, out.dtype)
    x = plain.astype(WIDE)
    close(out, formula(x, layer), size, out.dtype)
    if not whole:
        rng = np.random.default_rng(seed)
        slope(lambda x: (formula(x, layer) * d).sum(), x, rng, dx, out.dtype, size_d)


def check_on_tensor(name, data):
    """The same by a tensor: its numbers, its gradient."""
    make, formula, kind = LAYERS[name]
    dtype, shape = data.draw(st.sampled_from(["f4", "f8"])), data.draw(shapes(kind))
    odd, numbers, whole = data.draw(arrays(shape, dtype))
    seed = data.draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    layer = make(shape[-1], np.dtype(dtype), rng)
    native = type(odd) is np.ndarray and odd.dtype == numbers.dtype and odd.dtype.isnative
    x = fastbp.from_numpy(odd if native and odd.flags.writeable else numbers)
    x = x.clone().requires_grad_() if data.draw(st.booleans()) else x.requires_grad_()
    fastbp.manual_seed(seed)
    out = layer(x)
    got = out.detach().numpy()
    d = rng.integers(-8, 8, got.shape).astype(dtype)
    out.backward(fastbp.from_numpy(d))
    if isinstance(layer, layers.Dropout):  # a mask that the layer does not keep
        return
    steep = steepness(layer, numbers)
    size = steep * np.abs(numbers).sum(initial=0) if kind != "any" else 30
    close(got, formula(numbers.astype(WIDE), layer), size, dtype)
    if not whole:
        slope(
            lambda x: (formula(x, layer) * d).sum(),
            numbers.astype(WIDE),
            rng,
            x.grad.numpy(),
            dtype,
            (size + steep) * np.abs(d).sum(),
        )


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ON_TENSORS])
def test_a_layer_takes_any_array(name):
    given(st.data())(lambda data: check_layer(name, data))()


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_takes_any_tensor(name):
    given(st.data())(lambda data: check_on_tensor(name, data))()


# --- losses ---------------------------------------------------------------------------------


@st.composite
def pairs(draw, name):
    """Predictions and targets, each as an array-like and as plain numbers."""
    _, _, targets, of_shares = LOSSES[name]
    dtype = draw(st.sampled_from(["f4", "f8"]))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    odd_x, x, _ = draw(arrays(shape, dtype))
    if of_shares:
        odd_x = x = of_shares(rng.integers(1, 16, shape) / 16).astype(dtype)
    if targets == "classes":
        t = rng.integers(0, shape[1], shape[0])
        odd_t = draw(
            st.sampled_from(
                [
                    t,
                    t.tolist(),
                    t.astype("u1"),
                    t.astype(">i4"),
                    np.repeat(t, 2)[::2],
                    t[::-1][::-1],
                    read_only(t),
                    unaligned(t),
                ]
            )
        )
    elif targets == "rows":
        odd_t = t = softmax(rng.standard_normal(shape)).astype(natural(odd_x))
    elif targets == "signs":
        odd_t = t = rng.choice([-1.0, 1.0], shape)
    elif targets == "shares":
        odd_t = t = rng.integers(1, 16, shape) / 16
    else:
        odd_t, t, _ = draw(arrays(shape, dtype))
        t = t + np.asarray(1 / 32, t.dtype)  # never x
        odd_t = t if draw(st.booleans()) else t.tolist()
    return odd_x, x, odd_t, t


def check_loss(name, data):
    make, formula, *_ = LOSSES[name]
    odd_x, x, odd_t, t = data.draw(pairs(name))
    loss, other, twin = make(), make(), make()
    dtype = natural(odd_x)
    plain = x.astype(dtype)
    plain_t = t if t.dtype.kind == "i" else t.astype(dtype)
    before = content(odd_x), content(odd_t)
    value, dx = loss.forward(odd_x, odd_t), loss.backward()
    assert value == other.forward(plain, plain_t) and content(dx) == content(other.backward())
    assert (content(odd_x), content(odd_t)) == before
    assert type(value) is float and dx.dtype == dtype and dx.shape == plain.shape
    with fastbp.use("reference"):
        close(value, twin.forward(plain, plain_t), 30, dtype)
        close(dx, twin.backward(), 30, dtype)
    wide_t = plain_t if t.dtype.kind == "i" else plain_t.astype(WIDE)
    x = plain.astype(WIDE)
    close(value, formula(x, wide_t).mean(), 30, dtype)
    slope(lambda x: formula(x, wide_t).mean(), x, np.random.default_rng(0), dx, dtype)


def check_loss_on_tensors(name, data):
    make, formula, *_ = LOSSES[name]
    odd_x, x, _, t = data.draw(pairs(name))
    dtype = x.dtype
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]))
    native = type(odd_x) is np.ndarray and odd_x.dtype == dtype and odd_x.flags.writeable
    tensor = fastbp.from_numpy(odd_x if native and odd_x.dtype.isnative else x).requires_grad_()
    target = t if t.dtype.kind == "i" else t.astype(dtype)
    out = make(reduction=reduction)(tensor, fastbp.from_numpy(target))
    reduce = {"mean": np.mean, "sum": np.sum, "none": lambda terms: terms}[reduction]
    wide_t = target if t.dtype.kind == "i" else target.astype(WIDE)
    size = 30 * (1 if reduction != "sum" else x.size)
    close(out.detach().numpy(), reduce(formula(x.astype(WIDE), wide_t)), size, dtype)
    out.sum().backward()
    slope(
        lambda x: reduce(formula(x, wide_t)).sum(), x.astype(WIDE), np.random.default_rng(0), tensor.grad.numpy(), dtype
    )


@pytest.mark.parametrize("name", [name for name in LOSSES if not name.startswith("nn.")])
def test_a_loss_takes_any_arrays(name):
    given(st.data())(lambda data: check_loss(name, data))()


@pytest.mark.parametrize("name", [name for name in LOSSES if name.startswith("nn.")])
def test_a_loss_takes_any_tensors(name):
    given(st.data())(lambda data: check_loss_on_tensors(name, data))()


@pytest.mark.parametrize("name", ["Relu", "Sigmoid", "Gelu", "Dropout", "Affine"])
def test_an_empty_array_may_lie_anywhere(name):
    """Its address was looked at, as if it had elements."""
    layer = LAYERS[name][0](4, np.dtype("f8"), np.random.default_rng(0))
    out = layer.forward(unaligned(np.empty((0, 4))))
    assert layer.backward(unaligned(out)).shape == (0, 4)


@pytest.mark.parametrize(
    "function",
    [
        fastbp.sigmoid,
        fastbp.tanh,
        fastbp.relu,
        lambda x: nn.functional.softmax(x, 1),
        lambda x: nn.functional.dropout(x, 0.5),
        lambda x: nn.functional.gelu(x),
    ],
    ids=["sigmoid", "tanh", "relu", "softmax", "dropout", "gelu"],
)
def test_a_tensor_may_lie_at_any_address(function):
    """Functions that a kernel serves refused it, and gradients of the kind."""
    results = []
    for place in (np.copy, unaligned):
        fastbp.manual_seed(0)
        x = fastbp.from_numpy(place(np.arange(12, dtype="f4").reshape(3, 4) / 8)).requires_grad_()
        out = function(x)
        out.backward(fastbp.from_numpy(place(np.ones((3, 4), "f4"))))
        results.append((out.detach().numpy(), x.grad.numpy()))
    np.testing.assert_allclose(*results, rtol=1e-6)


# --- the rest -------------------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 40), st.integers(0, 99))
def test_an_embedding_is_its_rows_and_their_sums(count, width, n, seed):
    rng = np.random.default_rng(seed)
    layer, index = nn.Embedding(count, width), rng.integers(0, count, n)
    d = rng.integers(-8, 8, (n, width)).astype("f4")
    out = layer(fastbp.from_numpy(index))
    out.backward(fastbp.from_numpy(d))
    onehot = np.eye(count, dtype="f4")[index]
    np.testing.assert_array_equal(out.detach().numpy(), layer.weight.detach().numpy()[index])
    np.testing.assert_array_equal(layer.weight.grad.numpy(), onehot.T @ d)


@given(st.data())
def test_nodes_of_two_inputs_take_any_arrays(data):
    shape = data.draw(shapes("any"))
    (_, x, _), (_, y, _), (_, d, _) = (data.draw(arrays(shape, "f8")) for _ in range(3))
    for node, out, slopes in ((layers.AddLayer(), x + y, (1, 1)), (layers.MulLayer(), x * y, (y, x))):
        np.testing.assert_array_equal(node.forward(x, y), out)
        for got, by in zip(node.backward(d), slopes, strict=True):
            np.testing.assert_array_equal(got, d * by)


def test_the_tables_hold_every_layer_and_loss():
    names = {name.split(" ")[0] for name in (*LAYERS, *LOSSES)}
    for module, prefix in ((layers, ""), (nn, "nn.")):
        elsewhere = ELSEWHERE[module.__name__.rpartition(".")[2]]
        expected = {prefix + name for name in module.__all__ if name not in elsewhere}
        assert {name for name in names if name.startswith("nn.") == bool(prefix)} == expected
