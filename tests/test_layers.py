"""Layers against their twins and plain NumPy, for every way an array can lie in memory."""

import threading
from collections import OrderedDict

import numpy as np
import pytest

import fastbp
from fastbp import backend, layers, reference
from fastbp.layers import *  # noqa: F403
from fastbp.layers import Affine, Flatten, Identity, Linear, Relu, Sigmoid, SoftmaxWithLoss, Tanh

ACTIVATIONS = [Relu, Sigmoid, Tanh, Identity]
FORMULAS = {  # out from x, dx from dout and out
    "Relu": (lambda x: np.where(x > 0, x, 0), lambda dout, out: dout * (out > 0)),
    "Sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda dout, out: dout * (1 - out) * out),
    "Tanh": (np.tanh, lambda dout, out: dout * (1 - out**2)),
    "Identity": (lambda x: x, lambda dout, out: dout),
}

# --- ways for an array to lie in memory -----------------------------------------------------


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def unaligned(a):
    memory = bytearray(a.nbytes + 1)
    moved = np.frombuffer(memory, a.dtype, a.size, offset=1).reshape(a.shape)
    moved[...] = a
    return moved


def memory_mapped(a, folder, mode="r"):
    path = folder / f"{len(list(folder.iterdir()))}.bin"
    a.tofile(path)
    return np.memmap(path, a.dtype, mode, shape=a.shape)


LAYOUTS = {
    "plain": lambda a, folder: a.copy(),
    "read-only": lambda a, folder: read_only(a),
    "every other row": lambda a, folder: np.repeat(a, 2, axis=0)[::2],
    "every other column": lambda a, folder: np.repeat(a, 2, axis=-1)[..., ::2],
    "part of a wider array": lambda a, folder: np.pad(a, 1)[(slice(1, -1),) * a.ndim],
    "Fortran": lambda a, folder: np.asfortranarray(a),
    "negative strides": lambda a, folder: np.flip(np.flip(a).copy()),
    "transposed": lambda a, folder: a.T.copy().T,
    "unaligned": lambda a, folder: unaligned(a),
    "big-endian": lambda a, folder: a.astype(a.dtype.newbyteorder(">")),
    "big-endian, strided": lambda a, folder: np.repeat(a.astype(">f8"), 2, axis=0)[::2],
    "memory-mapped": memory_mapped,
    "broadcast": lambda a, folder: np.broadcast_to(a, (1, *a.shape))[0],
    "list": lambda a, folder: a.tolist(),
    "subclass": lambda a, folder: a.view(type("Own", (np.ndarray,), {})),
    "extended precision": lambda a, folder: a.astype(np.longdouble),
}
NARROW = {  # exact for the small whole numbers they are given
    "float16": np.float16,
    "int8": np.int8,
    "int64": np.int64,
    "uint8": np.uint8,
    "bool": np.bool_,
}


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    return lambda a: LAYOUTS[request.param](a, tmp_path)


def content(value):
    return np.asarray(value).tobytes()


def affine(rng, dtype, n_in=6, n_out=5):
    return Affine(*(rng.standard_normal(shape).astype(dtype) for shape in [(n_in, n_out), n_out]))


# --- Affine ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 4, 9])
def test_affine_takes_every_layout_and_leaves_it_alone(layout, rows, dtype, rng, tmp_path):
    layer = affine(rng, dtype)
    x, dout = (rng.standard_normal((rows, n)).astype(dtype) for n in (6, 5))
    out, dx = layer.forward(x), layer.backward(dout)
    dW, db = layer.dW, layer.db
    odd_x, odd_dout = layout(x), layout(dout)
    before = content(odd_x), content(odd_dout)
    assert content(layer.forward(odd_x)) == content(out)
    assert content(layer.backward(odd_dout)) == content(dx)
    assert content(layer.dW) == content(dW) and content(layer.db) == content(db)
    assert (content(odd_x), content(odd_dout)) == before
    for made in (out, dx, dW, db):
        assert type(made) is np.ndarray and made.dtype == dtype


@pytest.mark.parametrize("name", NARROW)
def test_affine_converts_narrow_numbers(name, dtype, rng):
    layer = affine(rng, dtype)
    x, dout = (rng.integers(0, 2, (7, n)) for n in (6, 5))
    out, dx = layer.forward(x.astype(dtype)), layer.backward(dout.astype(dtype))
    assert content(layer.forward(x.astype(NARROW[name]))) == content(out)
    assert content(layer.backward(dout.astype(NARROW[name]))) == content(dx)


@pytest.mark.parametrize("rows", [0, 1, 5, 100])
def test_affine_equals_twin_and_numpy(rows, dtype, rng, assert_close):
    layer, (x, dout) = affine(rng, dtype), (rng.standard_normal((rows, n)).astype(dtype) for n in (6, 5))
    W, b = layer.W, layer.b

    def results():
        return layer.forward(x), layer.backward(dout), layer.dW, layer.db

    size = abs(x) @ abs(W) + abs(b), abs(dout) @ abs(W.T), abs(x.T) @ abs(dout), abs(dout).sum(0)
    compiled = results()
    with fastbp.use("reference"):
        twin = results()
    plain = x @ W + b, dout @ W.T, x.T @ dout, dout.sum(axis=0)
    for got, reference_, numpy_, scale in zip(compiled, twin, plain, size, strict=True):
        assert_close(got, reference_, "product", scale)
        assert_close(got, numpy_, "product", scale)


def test_affine_keeps_the_very_arrays_and_sees_every_change(layout, dtype, rng):
    W, b = rng.standard_normal((6, 5)).astype(dtype), rng.standard_normal(5).astype(dtype)
    odd_W, odd_b = layout(W), layout(b)
    if isinstance(odd_W, list) or odd_W.dtype.itemsize != dtype.itemsize:
        pytest.skip("no array of this dtype")
    x, dout = (rng.standard_normal((7, n)).astype(dtype) for n in (6, 5))
    plain, layer = Affine(W, b), Affine(odd_W, odd_b)
    assert layer.W is odd_W and layer.b is odd_b
    for _ in range(2):
        assert content(layer.forward(x)) == content(plain.forward(x))
        assert content(layer.backward(dout)) == content(plain.backward(dout))
        assert content(layer.dW) == content(plain.dW)
        assert content(layer.db) == content(plain.db)
        W -= dtype.type(0.1) * plain.dW
        b -= dtype.type(0.1) * plain.db
        if odd_W.flags.writeable and odd_b.flags.writeable:
            odd_W -= dtype.type(0.1) * layer.dW
            odd_b -= dtype.type(0.1) * layer.db
        else:
            layer.W, layer.b = layout(W), layout(b)


def test_a_change_between_forward_and_backward_is_seen(dtype, rng):
    layer = affine(rng, dtype)
    x, dout = (rng.standard_normal((7, n)).astype(dtype) for n in (6, 5))
    layer.forward(x)
    layer.W *= 2
    fresh = Affine(layer.W.copy(), layer.b)
    fresh.forward(x)
    assert content(layer.backward(dout)) == content(fresh.backward(dout))


@pytest.mark.parametrize("x_dtype", ["float16", "float32", "float64", "uint8"])
def test_float64_weights_with_other_images_give_numpys_float64_numbers(x_dtype, rng, assert_close):
    images = rng.integers(0, 2, (9, 20)).astype(x_dtype)
    W, b = rng.standard_normal((20, 7)), rng.standard_normal(7)
    layer = Affine(W, b)
    out = layer.forward(images)
    assert out.dtype == np.float64
    assert_close(out, np.dot(images.astype("f8"), W) + b, "product", images @ abs(W) + abs(b))
    dout = rng.standard_normal((9, 7)).astype("float32")
    assert_close(layer.backward(dout), np.dot(dout, W.T), "product", abs(dout) @ abs(W.T))
    assert_close(layer.dW, np.dot(images.T.astype("f8"), dout), "product", images.T @ abs(dout))
    assert layer.db.dtype == np.float64


@pytest.mark.parametrize(
    "W_dtype, b_dtype", [("f4", "f8"), ("f8", "f4"), (">f4", "f8"), ("f4", ">f8"), (">f4", "f4"), (">f8", ">f8")]
)
def test_the_wider_of_the_weights_dtype_and_the_biass_decides(W_dtype, b_dtype, rng, assert_close):
    W, b = rng.standard_normal((6, 5)).astype(W_dtype), rng.standard_normal(5).astype(b_dtype)
    x = rng.standard_normal((7, 6)).astype("f4")
    layer = Affine(W, b)
    dtype = np.dtype("f8" if "8" in W_dtype + b_dtype else "f4")
    W, b = W.astype(dtype), b.astype(dtype)
    out, dx = layer.forward(x), layer.backward(np.ones((7, 5), "f4"))
    assert_close(out, x.astype(dtype) @ W + b, "product", abs(x) @ abs(W) + abs(b))
    assert [a.dtype for a in (dx, layer.dW, layer.db)] == [dtype] * 3
    assert layer.dW.shape == W.shape and layer.db.shape == b.shape


def test_one_sample_gives_one_output(dtype, rng):
    layer = affine(rng, dtype)
    x, dout = rng.standard_normal(6).astype(dtype), rng.standard_normal(5).astype(dtype)
    out, dx = layer.forward(x), layer.backward(dout)
    dW, db = layer.dW, layer.db
    assert out.shape == (5,) and dx.shape == (6,)
    assert content(out) == content(layer.forward(x[np.newaxis]))
    assert content(dx) == content(layer.backward(dout[np.newaxis]))
    assert content(dW) == content(layer.dW) and content(db) == content(layer.db)


@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 1, 2, 3), (4, 6, 1), (1, 6, 1, 1), (0, 2, 3)])
def test_more_dimensions_are_flattened_and_restored(shape, dtype, rng):
    layer = affine(rng, dtype)
    x, dout = rng.standard_normal(shape).astype(dtype), np.ones((shape[0], 5), dtype)
    out, dx = layer.forward(x), layer.backward(dout)
    assert layer.x.shape == (shape[0], 6)
    assert out.shape == (shape[0], 5) and dx.shape == shape
    flat = x.reshape(shape[0], 6)
    assert content(out) == content(layer.forward(flat))
    assert content(dx) == content(layer.backward(dout))
    for odd in (np.asfortranarray(x), np.flip(np.flip(x).copy())):
        assert content(layer.forward(odd)) == content(out)
        assert layer.backward(dout).shape == shape


def test_affine_of_no_samples(dtype, rng):
    layer = affine(rng, dtype)
    assert layer.forward(np.empty((0, 6))).shape == (0, 5)
    assert layer.backward(np.empty((0, 5))).shape == (0, 6)
    np.testing.assert_array_equal(layer.dW, np.zeros((6, 5)))
    np.testing.assert_array_equal(layer.db, np.zeros(5))


def test_evaluate_keeps_nothing(dtype, rng):
    layer = affine(rng, dtype)
    x, other, dout = rng.standard_normal((3, 7, 6)).astype(dtype)
    dout = dout[:, :5]
    out = layer.forward(x)
    assert layer(x).tobytes() == out.tobytes()
    layer.evaluate(other)
    assert layer.x is x
    layer.backward(dout)
    expected = layer.dW
    layer.forward(x)
    layer.evaluate(other)
    layer.backward(dout)
    assert content(layer.dW) == content(expected)
    for activation in (kind() for kind in ACTIVATIONS):
        activation.evaluate(x)
        assert activation.out is None


def test_results_are_the_callers_own(dtype, rng):
    """A second forward or backward does not write into the results of the first."""
    x, dout = rng.standard_normal((2, 9, 6)).astype(dtype)
    for layer in (affine(rng, dtype, 6, 6), Relu(), Sigmoid(), Tanh(), Identity()):
        results = [layer.forward(x), layer.backward(dout)]
        results += [layer.dW, layer.db] if isinstance(layer, Affine) else []
        before = [content(a) for a in results]
        layer.forward(2 * x)
        layer.backward(2 * dout)
        assert [content(a) for a in results] == before
        assert not any(np.may_share_memory(a, b) for a in results for b in (x, dout))


@pytest.mark.parametrize("order", ["=", ">"])
def test_affine_weights_may_be_views_into_another_array(order, dtype, rng):
    whole = rng.standard_normal((8, 9)).astype(dtype.newbyteorder(order))
    layer = Affine(whole[1:7, 2:7], whole[7, 2:7])
    x = rng.standard_normal((5, 6)).astype(dtype)
    first = layer.forward(x)
    np.testing.assert_allclose(first, x @ whole[1:7, 2:7] + whole[7, 2:7], rtol=1e-4, atol=1e-5)
    whole *= 3
    np.testing.assert_allclose(layer.forward(x), 3 * first, rtol=1e-5)
    assert layer.W.base is whole
    rows = whole[:6], whole[7]  # contiguous, of one dtype object
    np.testing.assert_allclose(Affine(*rows).forward(x), x @ rows[0] + rows[1], rtol=1e-4, atol=1e-5)


def test_a_layer_may_be_given_other_weights(dtype, rng):
    layer = affine(rng, dtype)
    W, b = np.ones((6, 5)), np.zeros(5, "float32")
    layer.W, layer.b = W, b
    assert layer.W is W and layer.b is b
    np.testing.assert_array_equal(layer.forward(np.ones((2, 6), dtype)), np.full((2, 5), 6.0))
    x = np.ones((2, 6), "f4")
    layer.W, layer.b = W.astype("f4"), b
    layer.forward(x)
    layer.W = W  # float64 between forward and backward
    assert layer.backward(np.ones((2, 5), "f4")).dtype == np.float64


def test_weight_is_the_transposed_view(dtype, rng):
    layer = affine(rng, dtype)
    assert layer.weight.base is layer.W and layer.weight.shape == (5, 6)


# --- Linear ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "init, deviation",
    [("he", (2 / 400) ** 0.5), ("xavier", (2 / 700) ** 0.5), ("lecun", 0.05), ("zeros", 0), (0.01, 0.01)],
)
def test_linear_initialises_itself(init, deviation, dtype):
    layer = Linear(400, 300, init=init, dtype=dtype.name, seed=3)
    assert isinstance(layer, Affine)
    assert layer.W.shape == (400, 300) and layer.b.shape == (300,)
    assert layer.W.dtype == layer.b.dtype == dtype
    assert layer.W.std() == pytest.approx(deviation, rel=0.02)
    assert abs(layer.W.mean()) <= 5 * deviation / np.sqrt(layer.W.size)
    assert not layer.b.any()


def test_linear_repeats_itself_from_a_seed():
    assert content(Linear(4, 3, seed=1).W) == content(Linear(4, 3, seed=1).W)
    assert content(Linear(4, 3, seed=1).W) != content(Linear(4, 3, seed=2).W)
    assert content(Linear(4, 3).W) != content(Linear(4, 3).W)
    shared = np.random.default_rng(1)
    assert content(Linear(4, 3, seed=shared).W) != content(Linear(4, 3, seed=shared).W)
    default = Linear(4, 3)
    assert default.W.dtype == np.float32
    assert repr(default) == "Linear(in_features=4, out_features=3)"


# --- activations ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activation_takes_every_layout_and_leaves_it_alone(kind, layout, dtype, rng):
    x, dout = rng.standard_normal((2, 4, 6)).astype(dtype)
    odd_x, odd_dout = layout(x), layout(dout)
    before = content(odd_x), content(odd_dout)
    layer, odd = kind(), kind()
    out, odd_out = layer.forward(x), odd.forward(odd_x)
    kept = "f4" if getattr(odd_x, "dtype", np.dtype("f8")).itemsize == 4 else "f8"
    assert type(odd_out) is np.ndarray and odd_out.dtype == kept
    np.testing.assert_allclose(odd_out, out, rtol=1e-6)
    if kept == dtype.str[1:]:
        assert content(odd_out) == content(out)
        assert content(odd.backward(odd_dout)) == content(layer.backward(dout))
    else:
        assert odd.backward(odd_dout).dtype == kept
    assert (content(odd_x), content(odd_dout)) == before


@pytest.mark.parametrize("kind", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(), (7,), (0,), (0, 3), (4, 1), (3, 5), (2, 3, 4), (1, 1, 1, 40)])
def test_activation_equals_twin_and_numpy(kind, shape, dtype, rng, assert_close):
    x, dout = np.asarray(rng.standard_normal((2, *shape)), dtype)
    x, dout = np.asarray(x), np.asarray(dout)
    layer = kind()
    out, dx = layer.forward(x), layer.backward(dout)
    with fastbp.use("reference"):
        twin_out, twin_dx = layer.forward(x), layer.backward(dout)
    forward, backward = FORMULAS[kind.__name__]
    for expected in (twin_out, np.asarray(forward(x), dtype)):
        assert_close(out, expected)
    for expected in (twin_dx, np.asarray(backward(dout, twin_out), dtype)):
        assert_close(dx, expected, scale=dout)


@pytest.mark.parametrize("kind", ACTIVATIONS)
@pytest.mark.parametrize("name", NARROW)
def test_activation_converts_narrow_numbers(kind, name, rng):
    x = rng.integers(0, 2, (5, 4)).astype(NARROW[name])
    wide = np.dtype("f4" if name == "float16" else "f8")
    layer = kind()
    out = layer.forward(x)
    assert out.dtype == wide
    assert content(out) == content(kind().forward(x.astype(wide)))
    assert layer.backward(x).dtype == wide


def test_relu_leaves_dout_alone_and_its_mask_is_the_books():
    x = np.array([[1.0, -0.5, 0.0], [-2.0, 3.0, np.nan]])
    relu = Relu()
    assert relu.mask is None and relu.out is None
    out = relu.forward(x)
    np.testing.assert_array_equal(out, [[1, 0, 0], [0, 3, np.nan]])
    np.testing.assert_array_equal(relu.mask, x <= 0)
    dout = np.full((2, 3), 7.0)
    np.testing.assert_array_equal(relu.backward(dout), [[7, 0, 0], [0, 7, 7]])
    np.testing.assert_array_equal(dout, 7)


def test_relu_is_relu():
    assert layers.ReLU is layers.Relu is fastbp.ReLU


@pytest.mark.parametrize("shape", [(4, 1, 2, 3), (4, 6), (5,), (1, 1, 1)])
def test_flatten_flattens_and_restores(shape, layout, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    odd = layout(x)
    before = content(odd)
    layer = Flatten()
    out = layer.forward(odd)
    assert out.shape == (shape if len(shape) == 1 else (shape[0], x.size // shape[0]))
    np.testing.assert_array_equal(out, x.reshape(out.shape))
    dx = layer.backward(out)
    assert dx.shape == shape
    np.testing.assert_array_equal(dx, x)
    assert content(odd) == before


@pytest.mark.parametrize("shape", [(0, 2, 3), (4, 0, 3), (0, 0), (0,)])
def test_flatten_of_nothing(shape, dtype):
    layer = Flatten()
    out = layer.forward(np.empty(shape, dtype))
    assert out.shape == (shape[0], *[int(np.prod(shape[1:]))][: len(shape) - 1])
    assert layer.backward(out).shape == shape


# --- nodes ----------------------------------------------------------------------------------


def test_two_apples_and_three_oranges(capsys):
    apples, oranges, tax = layers.MulLayer(), layers.MulLayer(), layers.MulLayer()
    total = layers.AddLayer()
    price = tax.forward(total.forward(apples.forward(100, 2), oranges.forward(150, 3)), 1.1)
    d_total, d_tax = tax.backward(1)
    d_apples, d_oranges = total.backward(d_total)
    d_orange, d_orange_count = oranges.backward(d_oranges)
    d_apple, d_apple_count = apples.backward(d_apples)
    print(price)
    print(d_apple_count, d_apple, d_orange, d_orange_count, d_tax)
    assert capsys.readouterr().out == ("715.0000000000001\n110.00000000000001 2.2 3.3000000000000003 165.0 650\n")


def test_nodes_leave_whole_numbers_whole():
    product, total = layers.MulLayer(), layers.AddLayer()
    assert product.forward(100, 2) == 200 and type(product.forward(100, 2)) is int
    assert product.backward(1) == (2, 100) and type(product.backward(1)[0]) is int
    assert total.forward(200, 450) == 650 and type(total.forward(200, 450)) is int
    assert total.backward(3) == (3, 3) and type(total.backward(3)[1]) is int


def test_nodes_take_arrays():
    product = layers.MulLayer()
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_array_equal(product.forward(x, y), [3, 8])
    dx, dy = product.backward(np.array([1.0, 10.0]))
    np.testing.assert_array_equal(dx, [3, 40])
    np.testing.assert_array_equal(dy, [1, 20])
    dout = np.ones(2)
    for gradient in layers.AddLayer().backward(dout):
        gradient += 1
    np.testing.assert_array_equal(dout, 1)


# --- the names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Affine",
        "Linear",
        "Relu",
        "ReLU",
        "Sigmoid",
        "Tanh",
        "Identity",
        "Flatten",
        "AddLayer",
        "MulLayer",
        "SoftmaxWithLoss",
        "SigmoidWithLoss",
        "MeanSquaredError",
        "softmax",
        "cross_entropy_error",
    ],
)
def test_a_reader_of_the_book_finds_every_name(name):
    assert name in globals(), "from fastbp.layers import *"
    assert globals()[name] is getattr(fastbp, name)
    assert name in fastbp.__all__


# --- the book's own way ---------------------------------------------------------------------


class PlainAffine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout):
        self.dW, self.db = np.dot(self.x.T, dout), dout.sum(axis=0)
        return np.dot(dout, self.W.T)


class PlainRelu:
    def forward(self, x):
        self.mask = x <= 0
        return np.where(self.mask, 0, x)

    def backward(self, dout):
        return np.where(self.mask, 0, dout)


class PlainSoftmaxWithLoss:
    def forward(self, x, t):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.log(self.y[np.arange(len(t)), t]).mean()

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx * dout / len(self.t)


PLAIN = {"Affine": PlainAffine, "Relu": PlainRelu, "SoftmaxWithLoss": PlainSoftmaxWithLoss}
FAST = {"Affine": Affine, "Relu": Relu, "SoftmaxWithLoss": SoftmaxWithLoss}


class TwoLayerNet:
    """A reader's own class, written as the book writes it."""

    def __init__(self, kinds, input_size, hidden_size, output_size, dtype, weight_init_std=0.1):
        rng = np.random.RandomState(0)
        self.params = {}
        self.params["W1"] = (weight_init_std * rng.randn(input_size, hidden_size)).astype(dtype)
        self.params["b1"] = np.zeros(hidden_size, dtype)
        self.params["W2"] = (weight_init_std * rng.randn(hidden_size, output_size)).astype(dtype)
        self.params["b2"] = np.zeros(output_size, dtype)
        self.layers = OrderedDict()
        self.layers["Affine1"] = kinds["Affine"](self.params["W1"], self.params["b1"])
        self.layers["Relu1"] = kinds["Relu"]()
        self.layers["Affine2"] = kinds["Affine"](self.params["W2"], self.params["b2"])
        self.last_layer = kinds["SoftmaxWithLoss"]()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.last_layer.forward(self.predict(x), t)

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last_layer.backward(1)
        for layer in reversed(list(self.layers.values())):
            dout = layer.backward(dout)
        return {
            "W1": self.layers["Affine1"].dW,
            "b1": self.layers["Affine1"].db,
            "W2": self.layers["Affine2"].dW,
            "b2": self.layers["Affine2"].db,
        }


@pytest.mark.parametrize("image_dtype", ["float32", "float64", "uint8"])
def test_the_books_network_trains_to_numpys_numbers(image_dtype, dtype, rng, tolerance):
    images = rng.integers(0, 2, (200, 30)).astype(image_dtype)
    labels = rng.integers(0, 7, 200)
    plain = TwoLayerNet(PLAIN, 30, 20, 7, dtype)
    fast = TwoLayerNet(FAST, 30, 20, 7, dtype)
    losses = []
    for _ in range(20):
        batch = rng.choice(200, 50)
        for net in (plain, fast):
            x = images[batch] if net is fast else images[batch].astype(dtype)
            grad = net.gradient(x, labels[batch])
            for key in ("W1", "b1", "W2", "b2"):
                net.params[key] -= 0.5 * grad[key]
            losses.append(net.loss(x, labels[batch]))
    for key, expected in plain.params.items():
        got = fast.params[key]
        assert got.dtype == dtype
        most = tolerance("training", dtype) * np.abs(expected).max()
        np.testing.assert_allclose(got, expected, rtol=0, atol=most)
    np.testing.assert_allclose(losses[1::2], losses[::2], rtol=tolerance("training", dtype))
    assert losses[-1] < losses[1]


# --- use("reference") -----------------------------------------------------------------------


@pytest.fixture
def twin_calls(monkeypatch):
    """Counts the calls of one twin."""
    calls = []
    original = reference.activation_forward
    monkeypatch.setattr(reference, "activation_forward", lambda *a: (calls.append(a), original(*a))[1])
    return calls


def test_use_runs_the_twins_in_place_of_the_kernels(twin_calls):
    relu, x = Relu(), np.ones(3)
    relu.forward(x)
    assert not twin_calls
    with fastbp.use("reference"):
        relu.forward(x)
        assert len(twin_calls) == 1
        with fastbp.use("compiled"):
            relu.forward(x)
            assert len(twin_calls) == 1
        relu.forward(x)
        assert len(twin_calls) == 2
    relu.forward(x)
    assert len(twin_calls) == 2


def test_use_reaches_every_kernel_of_a_layer_or_loss(monkeypatch):
    called = set()

    def counted(name, function):
        def call(*args, **numbers):
            family = name.rpartition("_")[0]
            rows = {"activation": "{}_", "loss": "{}_loss_"}
            row = rows[family].format(args[0]) if family in rows else f"{family}_"
            called.add(name.replace(f"{family}_", row))
            return function(*args, **numbers)

        return call

    for name in [n for n in vars(reference) if n.endswith(("_forward", "_backward", "update"))]:
        monkeypatch.setattr(reference, name, counted(name, getattr(reference, name)))

    def run_all():
        x = np.ones((4, 3))
        for layer in (Linear(3, 3), Relu(), Sigmoid(), Tanh(), Identity()):
            layer.backward(layer.forward(x))
        for loss in (SoftmaxWithLoss(), fastbp.SigmoidWithLoss(), fastbp.MeanSquaredError()):
            loss.forward(x, x / 3)
            loss.backward()
        loss = SoftmaxWithLoss()
        loss.forward(x, [0, 1, 2, 0])
        loss.backward()
        fastbp.softmax(x)
        fastbp.SGD(lr=0.1).update({"W1": x}, {"W1": x})

    run_all()
    assert not called
    with fastbp.use("reference"):
        run_all()
    both = (
        "affine",
        "relu",
        "sigmoid",
        "tanh",
        "identity",
        "softmax_cross_entropy",
        "soft_cross_entropy",
        "sigmoid_loss",
        "squared_loss",
    )
    expected = {f"{name}_{way}" for name in both for way in ("forward", "backward")}
    assert called >= expected | {"softmax_forward", "update"}


def test_use_ends_with_an_exception(twin_calls):
    with pytest.raises(ZeroDivisionError), fastbp.use("reference"):
        raise ZeroDivisionError
    Relu().forward(np.ones(3))
    assert not twin_calls


def test_one_use_may_be_entered_twice(twin_calls):
    reference_ = fastbp.use("reference")
    with reference_, reference_:
        pass
    Relu().forward(np.ones(3))
    assert not twin_calls
    with reference_:
        Relu().forward(np.ones(3))
    assert len(twin_calls) == 1


def test_use_holds_for_the_current_thread_alone(twin_calls):
    inside, done = threading.Event(), threading.Event()

    def other_thread():
        with fastbp.use("reference"):
            inside.set()
            done.wait(30)

    thread = threading.Thread(target=other_thread)
    thread.start()
    assert inside.wait(30)
    Relu().forward(np.ones(3))
    done.set()
    thread.join()
    assert not twin_calls
    assert backend.kernels() is fastbp._kernels


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_nodes_take_lists_and_matrices_as_arrays():
    x = [[1.0, 2.0], [3.0, 4.0]]
    for given in (x, np.matrix(x)):
        mul = layers.MulLayer()
        np.testing.assert_array_equal(mul.forward(given, given), np.square(x))
        np.testing.assert_array_equal(mul.backward(given)[0], np.square(x))
        np.testing.assert_array_equal(layers.AddLayer().forward(given, given), 2 * np.array(x))
        np.testing.assert_array_equal(layers.AddLayer().backward(given)[0], x)


def test_a_product_that_fails_leaves_the_node_as_it_was():
    mul = layers.MulLayer()
    mul.forward(2.0, 3.0)
    with pytest.raises(ValueError):
        mul.forward(np.ones(2), np.ones(3))
    assert mul.backward(1.0) == (3.0, 2.0)
