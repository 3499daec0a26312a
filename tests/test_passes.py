"""A layer's pass in one call: what it takes equals the NumPy twins, and what it leaves alone."""

import numpy as np
import pytest

import fastbp
from fastbp import _kernels, layers
from fastbp._kernels import passes
from fastbp.operations.activations import ACTIVATIONS
from fastbp.operations.losses import LOSSES


def turned(array):
    return np.asfortranarray(array)


def strided(array):
    return np.repeat(array, 2, axis=-1)[..., ::2]


def swapped(array):
    return array.astype(array.dtype.newbyteorder())


def unaligned(array):
    raw = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    raw[...] = array
    return raw


class Own(np.ndarray):
    pass


OTHERS = [
    turned,
    strided,
    swapped,
    unaligned,
    lambda a: a.view(Own),
    lambda a: a.tolist(),
    lambda a: a.astype(np.float16),
    lambda a: a[:0],
    lambda a: None,
]


def affine(dtype):
    rng = np.random.default_rng(0)
    shapes = (7, 5), (5, 3), (3,), (7, 3)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def test_affine_passes_are_the_kernels(dtype):
    x, W, b, dout = affine(dtype)
    out, dx, dW, db = (np.empty_like(a) for a in (dout, x, W, b))
    _kernels.affine_forward(x, W, b, out)
    _kernels.affine_backward(dout, x, W, dx, dW, db)
    assert np.array_equal(passes.affine_forward(x, W, b), out)
    for got, expected in zip(passes.affine_backward(dout, x, W, True), (dx, dW, db), strict=True):
        assert np.array_equal(got, expected)
    assert passes.affine_backward(dout, x, W, False)[0] is None


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 64, 64), (16, 3, 40), (100, 78, 50), (9, 130, 2)])
def test_weights_by_columns_give_the_bits_of_those_by_rows(shape, dtype):
    rng = np.random.default_rng(1)
    rows, n_in, n_out = shape
    x, W, b, dout = (
        rng.standard_normal(s).astype(dtype) for s in ((rows, n_in), (n_in, n_out), (n_out,), (rows, n_out))
    )
    kept = W.copy()
    assert np.array_equal(passes.affine_forward(x, turned(W), b), passes.affine_forward(x, W, b))
    for got, expected in zip(
        passes.affine_backward(dout, x, turned(W), True), passes.affine_backward(dout, x, W, True), strict=True
    ):
        assert np.array_equal(got, expected) and got.flags.c_contiguous
    assert np.array_equal(W, kept)


@pytest.mark.parametrize("other", OTHERS)
def test_affine_passes_leave_alone_what_is_not_plain(other, dtype):
    x, W, b, dout = affine(dtype)
    assert passes.affine_forward(other(x), W, b) is None
    assert passes.affine_backward(other(dout), x, W, True) is None
    assert passes.affine_backward(dout, other(x), W, True) is None
    if other is not turned:  # of one dimension, and a weight by columns is taken
        assert passes.affine_forward(x, W, other(b)) is None
        assert passes.affine_forward(x, other(W), b) is None


def test_affine_passes_leave_alone_shapes_that_do_not_fit(dtype):
    x, W, b, dout = affine(dtype)
    assert passes.affine_forward(x[:, :4].copy(), W, b) is None
    assert passes.affine_forward(x, W, b[:2].copy()) is None
    assert passes.affine_forward(x[0], W, b) is None
    assert passes.affine_backward(dout[:6].copy(), x, W, True) is None
    assert passes.affine_backward(x, x, W, True) is None


@pytest.mark.parametrize("other", OTHERS)
def test_element_wise_passes_leave_alone_what_is_not_plain(other, dtype):
    x = np.random.default_rng(0).random((4, 3)).astype(dtype)
    t = np.arange(4) % 3
    if other(x) is not None and np.size(other(x)):  # an empty activation is one
        assert passes.activation_forward(ACTIVATIONS["tanh"].kind, other(x), 0.0, 0.0) is None
        assert passes.activation_backward(ACTIVATIONS["tanh"].kind, other(x), x, 0.0, 0.0) is None
    for loss in (LOSSES["squared"].kind, LOSSES["sigmoid"].kind):
        assert passes.loss_forward(loss, other(x), x, 1.0) is None
        assert passes.loss_forward(loss, x, other(x), 1.0) is None
    assert passes.loss_forward(passes.SOFTMAX, other(x), t, 1.0) is None


def test_losses_leave_alone_targets_out_of_range(dtype):
    x = np.ones((2, 3), dtype)
    for t in ([0, 3], [-1, 0]):
        assert passes.loss_forward(passes.SOFTMAX, x, np.array(t), 1.0) is None
        assert passes.loss_backward(passes.SOFTMAX, x, np.array(t), 1.0, 1.0) is None
    for bad in (-0.5, 1.5, np.nan):
        t = np.full((2, 3), bad, dtype)
        assert passes.loss_forward(LOSSES["sigmoid"].kind, x, t, 1.0) is None


def test_passes_leave_the_twins_to_run():
    x, W, b, dout = affine(np.float32)
    with fastbp.use("reference"):
        assert passes.affine_forward(x, W, b) is None
        assert passes.affine_backward(dout, x, W, True) is None
        assert passes.activation_forward(ACTIVATIONS["relu"].kind, x, 0.0, 0.0) is None
        assert passes.activation_backward(ACTIVATIONS["relu"].kind, x, x, 0.0, 0.0) is None
        assert passes.loss_forward(LOSSES["squared"].kind, x, x, 1.0) is None
        assert passes.loss_backward(LOSSES["squared"].kind, x, x, 1.0, 1.0) is None


@pytest.mark.parametrize("name", ["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Softplus", "Gelu", "Identity"])
def test_activations_in_one_call_equal_the_twins(name, dtype):
    x, dout = np.random.default_rng(0).standard_normal((2, 9, 7)).astype(dtype)
    x[0, 0] = np.nan
    results = []
    for backend in ("compiled", "reference"):
        layer = getattr(layers, name)()
        with fastbp.use(backend):
            results.append((layer.forward(x), layer.backward(dout)))
    for got, expected in zip(*results, strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("shape", [(1, 3, 2), (2, 5000, 3), (17, 40, 1), (700, 784, 50)], ids=str)
def test_float32_rows_under_float64_weights_are_converted_in_blocks(shape):
    rows, n_in, n_out = shape
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, n_in)).astype("f4")
    W, b = rng.standard_normal((n_in, n_out)), rng.standard_normal(n_out)
    dout, wide = rng.standard_normal((rows, n_out)), x.astype("f8")
    layer = layers.Affine(W, b)
    near = {"rtol": 1e-12, "atol": 1e-10}
    np.testing.assert_allclose(layer.forward(x), wide @ W + b, **near)
    dx = layer.backward(dout)
    assert dx.dtype == layer.dW.dtype == np.float64
    np.testing.assert_allclose(dx, dout @ W.T, **near)
    np.testing.assert_allclose(layer.dW, wide.T @ dout, **near)
    np.testing.assert_allclose(layer.db, dout.sum(0), **near)
