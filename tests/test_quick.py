"""The quick forms of functions of tensors: each gives what the function of Python gives."""

import copy
import inspect
import pickle
import warnings

import numpy as np
import pytest

import fastbp
from fastbp import nn
from fastbp._kernels import autograd as core
from fastbp.nn import functional as F

DTYPES = ("float32", "float64")
ODD = (float("nan"), float("inf"), -float("inf"), -0.0, 1e30)


def numbers(shape, dtype, seed=0, odd=False):
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    if odd:
        x.reshape(-1)[: len(ODD)] = ODD[: x.size]
    return x


def tensor(array, requires_grad=False):
    return fastbp.from_numpy(array).requires_grad_(requires_grad)


def slow(function):
    """The function of Python behind a quick form."""
    assert isinstance(function, core.Operation)
    return function.__wrapped__


def same(ours, theirs, **how):
    """Equal tensors, pairs or tuples of them: numbers, shape, dtype, history and base."""
    if isinstance(theirs, tuple):
        assert type(ours) is type(theirs)
        for pair in zip(ours, theirs, strict=True):
            same(*pair, **how)
        return
    assert type(ours) is type(theirs)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), **how)
    assert ours._is_view == theirs._is_view
    assert ours.requires_grad == theirs.requires_grad
    assert (ours.grad_fn is None) == (theirs.grad_fn is None)
    if ours.grad_fn is not None:
        assert ours.grad_fn.name() == theirs.grad_fn.name()


CALLS = {
    "t": [()],
    "transpose": [(0, 1), (-1, 0), (1, 1)],
    "permute": [(1, 0), (0, 1), (-1, 0)],
    "unsqueeze": [(0,), (1,), (2,), (-1,), (-3,)],
    "squeeze": [(), (0,), (1,), (-1,)],
    "reshape": [(-1,), (1, -1), (-1, 1), ((-1,),)],
    "view": [(-1,), (1, -1), ((-1, 1),)],
    "flatten": [(), (0,), (1,), (0, 1), (-2, -1)],
    "sum": [(), (0,), (1,), (-1,), (0, True), (1, True), (None,), (None, True), ((0, 1),)],
    "mean": [(), (0,), (1,), (-1,), (0, True), (1, True), (None,), ((0, 1),)],
    "argmax": [(), (0,), (1,), (-1, True), (None,)],
    "argmin": [(), (0,), (1,), (-1, True), (None,)],
    "max": [(), (0,), (1,), (-1, True)],
    "min": [(), (0,), (1,), (-1, True)],
    "softmax": [(0,), (1,), (-1,)],
    "log_softmax": [(0,), (1,), (-1,)],
    "clamp": [(-1, 1), (-0.5,), (None, 0.5), (1, -1), (0, float("inf")), (-0.0,)],
    "clone": [()],
    "contiguous": [()],
    **{name: [()] for name in core.UNARY if name not in ("expm1", "log1p")},
    **{name: [(0.5,), (0,), (True,), (float("nan"),)] for name in core.COMPARISONS},
    "relu": [()],
    "sigmoid": [()],
    "tanh": [()],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_a_quick_form_gives_what_the_function_gives(name, dtype):
    function = fastbp.autograd.PUBLIC.get(name) or getattr(fastbp.Tensor, name)
    arrays = [numbers(s, dtype) for s in ((3, 4), (1, 1), (5, 1), (1, 7), (40, 40))]
    arrays += [numbers((4, 3), dtype).T, numbers((6, 4), dtype)[::2], numbers((3, 4), dtype)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name not in ("softmax", "log_softmax", "sum", "mean"):  # there NaN is everywhere
            arrays.append(numbers((3, 4), dtype, odd=True))
        for array in arrays:
            for arguments in CALLS[name]:
                for requires_grad in (False, True):
                    x = tensor(array, requires_grad)
                    try:
                        theirs = slow(function)(x, *arguments)
                    except RuntimeError:  # a view that would have to be copied
                        with pytest.raises(RuntimeError):
                            function(x, *arguments)
                        continue
                    same(
                        function(x, *arguments),
                        theirs,
                        rtol=1e-6 if dtype == "float32" else 1e-13,
                        atol=1e-6 if dtype == "float32" else 1e-14,
                    )


@pytest.mark.parametrize(
    "name", ["t", "transpose", "permute", "unsqueeze", "squeeze", "reshape", "view", "flatten", "sum", "mean"]
)
def test_the_gradients_of_quick_forms_are_those_of_the_function(name):
    function = getattr(fastbp.Tensor, name)
    for array in (numbers((3, 4), "float64"), numbers((5, 1), "float64")):
        for arguments in CALLS[name]:
            grads = []
            for way in (function, slow(function)):
                x = tensor(array, True)
                y = way(x, *arguments)
                y.backward(tensor(numbers(y.shape, "float64", 1)))
                assert x.grad.shape == x.shape
                grads.append(x.grad.numpy())
            np.testing.assert_allclose(*grads, rtol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4), (4,)),
        ((3, 4), (1, 4)),
        ((3, 4), (3, 1)),
        ((4,), (3, 4)),
        ((3, 1), (3, 4)),
        ((2, 3, 4), (4,)),
        ((2, 3, 4), (2, 3, 1)),
        ((2, 3, 4), (3, 4)),
        ((3, 1), (1, 4)),
        ((3, 4), (1,)),
        ((1, 1), (4,)),
        ((0, 4), (4,)),
        ((4, 1), (1,)),
    ],
)
def test_rows_and_columns_broadcast_as_numpys(shapes, dtype):
    a, b = (numbers(shape, dtype, seed) for seed, shape in enumerate(shapes))
    for operation in ("__add__", "__sub__", "__mul__", "__truediv__"):
        x, y = tensor(a.copy(), True), tensor(b.copy(), True)
        out = getattr(x, operation)(y)
        expected = getattr(a, operation)(b)
        np.testing.assert_array_equal(out.detach().numpy(), expected)
        assert out.dtype is x.dtype
        out.sum().backward()
        assert (x.grad.shape, y.grad.shape) == (x.shape, y.shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("n", "k", "m"), [(1, 1, 1), (3, 4, 5), (80, 5, 1), (1, 6, 3), (7, 1, 2), (5, 3, 300), (50, 50, 40)]
)
def test_products_of_matrices_as_they_lie(n, k, m, dtype):
    a, b = numbers((n, k), dtype), numbers((k, m), dtype, 1)
    expected = a.astype("float64") @ b.astype("float64")
    for left in (a, a.T.copy().T):
        for right in (b, b.T.copy().T):
            x, y = tensor(left.copy("K"), True), tensor(right.copy("K"), True)
            out = x @ y
            scale = np.abs(a).astype("float64") @ np.abs(b) + 1e-300
            error = np.abs(out.detach().numpy() - expected) / scale
            assert error.max() < 4 * k * np.finfo(dtype).eps
            same(fastbp.matmul(x, y), out)
            out.sum().backward()
            np.testing.assert_allclose(x.grad.numpy(), np.ones((n, m)) @ b.T, rtol=1e-3)
            np.testing.assert_allclose(y.grad.numpy(), a.T @ np.ones((n, m)), rtol=1e-3, atol=1e-4)


def test_products_go_by_numpy_with_the_twins():
    x = tensor(numbers((3, 4), "float32"))
    with fastbp.backend.use("reference"):
        np.testing.assert_array_equal((x @ x.T).numpy(), x.numpy() @ x.numpy().T)


INDICES = (
    0,
    -1,
    2,
    slice(None),
    slice(1, None),
    slice(None, None, 2),
    slice(5, 2),
    slice(-2, None),
    (0, 1),
    (slice(None), 0),
    (slice(1, 2), slice(0, 3, 2)),
    (-1, slice(None)),
    (),
    None,
    Ellipsis,
    (Ellipsis, 0),
    (0, None),
    [0, 1],
    True,
)


@pytest.mark.parametrize("index", INDICES, ids=str)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_parts_are_those_of_numpy(index, requires_grad):
    for array in (numbers((3, 4), "float32"), np.arange(12).reshape(3, 4), numbers((4, 3), "f8").T):
        if requires_grad and array.dtype.kind != "f":
            continue
        x = tensor(array, requires_grad)
        part = x[index]
        np.testing.assert_array_equal(part.detach().numpy(), array[index])
        same(part, fastbp.autograd._shapes._getitem(x, index))


def test_an_index_out_of_range_is_worded_and_a_view_is_written_through():
    x = fastbp.zeros(3, 4)
    for index in (3, -4, (0, 4), (0, 0, 0), 2**70):
        with pytest.raises(IndexError, match="Indexing expects"):
            x[index]
    x[1][2] = 5.0
    x.T[0][0] = 7.0
    x.unsqueeze(0)[0, 2, 3] = 9.0
    assert (x[1, 2].item(), x[0, 0].item(), x[2, 3].item()) == (5, 7, 9)
    places = tensor(np.array([2, -1, 0]))
    np.testing.assert_array_equal(x[places].numpy(), x.numpy()[[2, -1, 0]])
    assert not x[places]._is_view
    with pytest.raises(IndexError):
        x[tensor(np.array([3]))]


@pytest.mark.parametrize("name", core.COMPARISONS)
def test_comparisons_of_tensors(name):
    operator = f"__{name}__"
    kinds = [
        np.array([1, 2, 3, 2**60]),
        np.array([1.0, np.nan, 0.5, 3.0], "f4"),
        np.array([1.0, np.nan, 0.5, 3.0]),
        np.array([True, False, True, True]),
        np.array([1, 2, 3, 4], "i4"),
    ]
    for a in kinds:
        for b in kinds:
            out = getattr(tensor(a), operator)(tensor(b))
            np.testing.assert_array_equal(out.numpy(), getattr(a, operator)(b))
            assert out.dtype is fastbp.bool
        for b in (2, 2.0, float("inf"), 2**70 if a.dtype.kind == "f" else 2):
            np.testing.assert_array_equal(getattr(tensor(a), operator)(b).numpy(), getattr(a, operator)(b))
    x = fastbp.zeros(2)
    assert (x == "a") is False and (x != "a") is True
    with pytest.raises(TypeError):
        x < "a"  # noqa: B015
    assert len({x, x, fastbp.zeros(2)}) == 2


def test_cat_and_stack():
    a, b = tensor(numbers((2, 3), "f4")), tensor(numbers((4, 3), "f4", 1))
    i = tensor(np.arange(6).reshape(2, 3))
    for call, expected in (
        (lambda: fastbp.cat([a, b]), np.concatenate([a.numpy(), b.numpy()])),
        (lambda: fastbp.cat((a, a), dim=1), np.concatenate([a.numpy()] * 2, 1)),
        (lambda: fastbp.cat((a, a, a), -1), np.concatenate([a.numpy()] * 3, 1)),
        (lambda: fastbp.stack([a, a]), np.stack([a.numpy()] * 2)),
        (lambda: fastbp.stack([a, a], dim=1), np.stack([a.numpy()] * 2, 1)),
        (lambda: fastbp.stack([a, a], -1), np.stack([a.numpy()] * 2, 2)),
        (lambda: fastbp.cat([i, i], 1), np.concatenate([i.numpy()] * 2, 1)),
        (lambda: fastbp.cat([a, i]), np.concatenate([a.numpy(), i.numpy().astype("f4")])),
        (lambda: fastbp.cat([a.T, b.T], 1), np.concatenate([a.numpy().T, b.numpy().T], 1)),
        (lambda: fastbp.cat([fastbp.zeros(0), a]), a.numpy()),
    ):
        np.testing.assert_array_equal(call().numpy(), expected)
        assert call().dtype is fastbp.as_tensor(expected).dtype
    for wrong in (
        lambda: fastbp.cat([a, b], 1),
        lambda: fastbp.cat([]),
        lambda: fastbp.stack([a, b]),
        lambda: fastbp.cat([a], 2),
    ):
        with pytest.raises((RuntimeError, IndexError), match="expects"):
            wrong()


def pairs_of(dtype, t_grad):
    x = np.random.default_rng(0).uniform(0, 1, (5, 3)).astype(dtype)
    t = np.random.default_rng(1).uniform(0, 1, (5, 3)).astype(dtype)
    t[0], x[1, :2] = [0, 1, 0], [0, 1]
    return tensor(x, True), tensor(t, t_grad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("t_grad", [False, True])
def test_binary_cross_entropy_and_its_gradients(dtype, t_grad):
    found = []
    for way in (F.binary_cross_entropy, slow(F.binary_cross_entropy), nn.BCELoss()):
        x, t = pairs_of(dtype, t_grad)
        loss = way(x, t)
        assert loss.grad_fn.name() == "BinaryCrossEntropyBackward0"
        (3 * loss).backward()
        found.append([loss.detach(), x.grad, *([t.grad] if t_grad else [])])
    for other in found[1:]:
        for ours, theirs in zip(found[0], other, strict=True):
            same(ours, theirs, rtol=2e-6 if dtype == "float32" else 1e-13)


def test_binary_cross_entropy_refuses_as_before():
    t = tensor(np.ones((2, 1), "f4"))
    for bad in (1.5, -0.1, float("nan")):
        with pytest.raises(RuntimeError, match="between 0 and 1"):
            F.binary_cross_entropy(t * bad, t)
        with pytest.raises(RuntimeError, match="between 0 and 1"):
            F.binary_cross_entropy(t, t * bad)
    with pytest.raises(ValueError, match="same size"):
        F.binary_cross_entropy(t, t.squeeze())
    x = tensor(np.full((2, 1), 0.5, "f4"), True)
    loss = F.binary_cross_entropy(x, t)
    t.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("dtype", DTYPES)
def test_nll_loss_and_its_gradient(dtype):
    found = []
    for way in (F.nll_loss, slow(F.nll_loss), nn.NLLLoss()):
        x, t = tensor(numbers((5, 3), dtype), True), tensor(np.array([0, 2, 1, 1, 0]))
        loss = way(x, t)
        assert loss.grad_fn.name() == "NllLossBackward0"
        (3 * loss).backward()
        found.append([loss.detach(), x.grad])
    for other in found[1:]:
        for ours, theirs in zip(found[0], other, strict=True):
            same(ours, theirs, rtol=1e-6 if dtype == "float32" else 1e-13)
    with pytest.raises(IndexError, match="nll_loss expects classes"):
        F.nll_loss(x, t + 1)
    left_out = tensor(np.array([0, 2, -100, 1, 0]))
    assert F.nll_loss(x, left_out).item() != F.nll_loss(x, t).item()


def test_log_softmax_of_rows_that_are_infinite_or_far_apart():
    rows = np.array([[0, 0, 1000], [-np.inf, 0, 0], [-np.inf] * 3, [np.nan, 0, 0], [np.inf, 0, 0]])
    for dtype in DTYPES:
        x = tensor(rows.astype(dtype))
        with np.errstate(all="ignore"):
            same(F.log_softmax(x, 1), slow(F.log_softmax)(x, 1), rtol=1e-6)


@pytest.mark.parametrize("name", ["add_", "sub_", "mul_", "div_"])
def test_changes_in_place(name):
    a, b = numbers((3, 4), "f4"), numbers((3, 4), "f4", 1)
    method = getattr(fastbp.Tensor, name)
    for other in (tensor(b), tensor(b[0]), tensor(b.astype("f8")), 2.0, 2, tensor(b.T.copy()).T):
        ours, theirs = tensor(a.copy()), tensor(a.copy())
        assert method(ours, other) is ours
        slow(method)(theirs, other)
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    leaf = tensor(a.copy(), True)
    with pytest.raises(RuntimeError, match="leaf"):
        method(leaf, 2.0)
    with pytest.raises(RuntimeError, match="expects"):
        method(tensor(a.copy()), fastbp.zeros(5))
    x = tensor(a.copy(), True) * 1
    method(x, tensor(b)).sum().backward()


def test_an_operation_is_a_function_as_others():
    assert inspect.signature(fastbp.sum).parameters.keys() >= {"input", "dim", "keepdim", "dtype"}
    assert fastbp.sum.__doc__ and fastbp.sum.__name__ == "sum_"
    assert pickle.loads(pickle.dumps(F.log_softmax)) is F.log_softmax
    assert copy.deepcopy(F.log_softmax) is F.log_softmax
    assert repr(F.log_softmax).startswith("<function log_softmax")
    x = fastbp.ones(2, 3)
    assert x.sum.__self__ is x
    with pytest.raises(TypeError, match="sum expects"):
        x.sum(0, False, 1)
    with pytest.raises(IndexError, match="sum expects dim between -2 and 1; got 2"):
        x.sum(2)
    with pytest.raises(TypeError, match="dim as an integer"):
        x.unsqueeze(True)
    assert x.sum(axis=0).shape == (3,) and x.sum(0, keepdims=True).shape == (1, 3)
    out = fastbp.zeros(3)
    assert fastbp.sum(x, 0, out=out) is out and out[0].item() == 2
