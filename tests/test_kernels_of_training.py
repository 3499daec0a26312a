"""Twins of the kernels of training: dropout and batch normalisation."""

import inspect
import itertools
import math

import numpy as np
import pytest

from fastbp import _kernels, reference

SIZES = [1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 100, 1000]
FENCE = 67
#: name: (arguments in order, of which these are written, these are numbers)
KERNELS = {"dropout": ("x out key ratio", "out")}
SCALARS = {"key": 0x1234567890ABCDEF, "ratio": 0.3}
NORM = {
    "batch_norm_forward": (
        "x gamma beta out normal inverse running_mean running_var eps momentum sample_variance",
        "out normal inverse running_mean running_var",
    ),
    "batch_norm_backward": ("dout normal inverse gamma dx dgamma dbeta", "dx dgamma dbeta"),
}


@pytest.fixture(params=KERNELS)
def kernel(request):
    return request.param


def arguments(kernel, rng, dtype, n, **others):
    made = {}
    for name in KERNELS[kernel][0].split():
        if name in SCALARS:
            made[name] = SCALARS[name]
        else:
            made[name] = (2 * rng.standard_normal(n)).astype(dtype)
    return made | others


def run(module, kernel, args, written, fence=FENCE):
    """The results by name; nothing but the outputs has changed."""
    args, wholes = dict(args), {}
    for name, value in args.items():
        if isinstance(value, np.ndarray):
            wholes[name] = np.full(value.size + 2 * fence, np.nan, value.dtype)
            args[name] = wholes[name][fence : fence + value.size].reshape(value.shape)
            args[name][...] = value
            args[name].flags.writeable = name in written
    before = {name: whole.tobytes() for name, whole in wholes.items()}
    results = {"return": getattr(module, kernel)(*args.values())}
    for name, whole in wholes.items():
        if name in written:
            edge = fence * whole.itemsize
            assert whole.tobytes()[:edge] == before[name][:edge], f"wrote before {name}"
            assert whole.tobytes()[-edge:] == before[name][-edge:], f"wrote behind {name}"
            results[name] = args[name]
        else:
            assert whole.tobytes() == before[name], f"wrote to {name}"
    return results


def assert_twins(kernel, args, dtype, written=None, close=None):
    written = (KERNELS[kernel][1] if written is None else written).split()
    close = close or {"float32": 2e-6, "float64": 1e-14}[dtype.name]
    got, expected = (run(module, kernel, args, written) for module in (_kernels, reference))
    assert got.keys() == expected.keys()
    for name, desired in expected.items():
        if desired is None:
            assert got[name] is None
            continue
        actual, desired = np.asarray(got[name]), np.asarray(desired)
        assert actual.dtype == desired.dtype
        same = (actual == desired) | (np.isnan(actual) & np.isnan(desired))
        with np.errstate(all="ignore"):
            good = same | (np.abs(actual - desired) <= close * (0.1 + np.abs(desired)))
        assert good.all(), (name, actual[~good][:3], desired[~good][:3])


def test_kernel_takes_its_twins_arguments(kernel):
    for module in (_kernels, reference):
        assert list(inspect.signature(getattr(module, kernel)).parameters) == (KERNELS[kernel][0].split())


def test_kernel_equals_its_twin_around_every_border(kernel, dtype, rng):
    for n in SIZES:
        assert_twins(kernel, arguments(kernel, rng, dtype, n), dtype)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 80, -80])
def test_kernel_and_special_numbers(kernel, special, dtype, rng):
    for n in (1, 5, 33):
        args = arguments(kernel, rng, dtype, n)
        for name, value in args.items():
            if not isinstance(value, np.ndarray):
                continue
            spoilt = value.copy()
            spoilt[rng.integers(n)] = special
            with np.errstate(all="ignore"):
                assert_twins(kernel, {**args, name: spoilt}, dtype)


def test_kernel_over_no_elements(kernel, dtype, rng):
    args = arguments(kernel, rng, dtype, 0)
    result = getattr(_kernels, kernel)(*args.values())
    assert result in (None, 0.0)


def test_kernel_over_a_wide_range(kernel, dtype, rng):
    for size in (1e-20, 1e-3, 20.0, 1e4):
        args = arguments(kernel, rng, dtype, 300)
        for name in args:
            if name in ("x", "dout", "y", "t", "grad"):
                args[name] = args[name] * dtype.type(size)
        with np.errstate(all="ignore"):
            assert_twins(kernel, args, dtype, close={"float32": 1e-5, "float64": 1e-13}[dtype.name])


@pytest.mark.parametrize(
    "kernel, flags",
    [
        ("dropout", {"ratio": 0.0}),
        ("dropout", {"ratio": 0.999999}),
        ("dropout", {"key": 0}),
        ("dropout", {"key": 2**64 - 1}),
    ],
)
def test_kernel_with_other_numbers(kernel, flags, dtype, rng):
    for n in (1, 17, 100):
        assert_twins(kernel, arguments(kernel, rng, dtype, n, **flags), dtype)


def test_kernel_refuses_arrays_that_do_not_fit(kernel, dtype, rng):
    good = arguments(kernel, rng, dtype, 20)
    other = {"float32": "f8", "float64": "f4"}[dtype.name]
    for name, value in good.items():
        if not isinstance(value, np.ndarray):
            continue
        moved = np.frombuffer(bytearray(value.nbytes + 1), dtype, 20, offset=1)
        for bad in (value[:-1], value.astype(other), np.repeat(value, 2)[::2], value.reshape(4, 5), moved, None):
            with pytest.raises((ValueError, TypeError)):
                getattr(_kernels, kernel)(*{**good, name: bad}.values())
    for name in KERNELS[kernel][1].split():
        frozen = good[name].copy()
        frozen.flags.writeable = False
        with pytest.raises((ValueError, TypeError, BufferError)):
            getattr(_kernels, kernel)(*{**good, name: frozen}.values())


# --- dropout --------------------------------------------------------------------------------


def test_dropout_keys_are_the_same_in_both(rng):
    for seed, step, layer in [(0, 0, 0), (1, 2, 3), (2**64 - 1, 2**40, 7), (5, 2**63, 0)]:
        key = _kernels.dropout_key(seed, step, layer)
        assert key == reference.dropout_key(seed, step, layer) and 0 <= key < 2**64
    parts = itertools.product(range(9), repeat=3)
    assert len({_kernels.dropout_key(*three) for three in parts}) == 729


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_dropout_keeps_its_share_and_neighbours_are_independent(ratio, dtype):
    n, x = 200_000, np.ones(200_000, dtype)
    masks = []
    for step in range(3):
        out = np.empty_like(x)
        _kernels.dropout(x, out, _kernels.dropout_key(1, step, 0), ratio)
        np.testing.assert_allclose(np.unique(out), [0, 1 / (1 - ratio)], rtol=1e-6)
        masks.append(out == 0)
    deviation = math.sqrt(ratio * (1 - ratio) / n)
    for mask in masks:
        assert abs(mask.mean() - ratio) < 5 * deviation
    for a, b in (
        (masks[0], masks[1]),
        (masks[1], masks[2]),
        (masks[0][1:], masks[0][:-1]),
        (masks[0][64:], masks[0][:-64]),
        (masks[0][100:], masks[0][:-100]),
    ):
        assert abs((a & b).mean() - ratio**2) < 5 * deviation


def test_dropout_refuses_a_ratio_out_of_range(dtype):
    for ratio in (-0.1, 1.0, 2.0, math.nan):
        with pytest.raises(ValueError, match="ratio"):
            _kernels.dropout(np.ones(3, dtype), np.ones(3, dtype), 1, ratio)


# --- batch normalisation --------------------------------------------------------------------


def norm_arguments(kernel, rng, dtype, rows, n, **others):
    made = {}
    for name in NORM[kernel][0].split():
        if name in ("eps", "momentum", "sample_variance"):
            made[name] = {"eps": 1e-5, "momentum": 0.9, "sample_variance": True}[name]
        elif name in ("x", "out", "normal", "dout", "dx"):
            made[name] = rng.standard_normal((rows, n)).astype(dtype)
        else:
            made[name] = rng.random(n).astype(dtype) + dtype.type(0.5)
    return made | others


@pytest.mark.parametrize("kernel", NORM)
def test_batch_norm_equals_its_twin(kernel, dtype, rng):
    close = {"float32": 2e-5, "float64": 1e-13}[dtype.name]
    for rows in (2, 3, 5, 31, 32, 33, 100):
        for n in (1, 2, 15, 16, 17, 32, 33, 100):
            args = norm_arguments(kernel, rng, dtype, rows, n)
            assert_twins(kernel, args, dtype, NORM[kernel][1], close)
            if "sample_variance" in args:
                args |= {"sample_variance": False, "momentum": 0.0, "eps": 0.1}
                assert_twins(kernel, args, dtype, NORM[kernel][1], close)


def test_batch_norm_far_from_0_keeps_its_digits(dtype, rng):
    args = norm_arguments("batch_norm_forward", rng, dtype, 50, 20)
    args["x"] = (rng.standard_normal((50, 20)) + 1000).astype(dtype)
    exact = args["x"].astype(np.float64)
    _kernels.batch_norm_forward(*args.values())
    normal = (exact - exact.mean(axis=0)) / np.sqrt(exact.var(axis=0) + 1e-5)
    error = np.abs(args["normal"] - normal).max()
    assert error < {"float32": 1e-3, "float64": 1e-11}[dtype.name]


@pytest.mark.parametrize("kernel", NORM)
def test_batch_norm_refuses_arrays_that_do_not_fit(kernel, dtype, rng):
    good = norm_arguments(kernel, rng, dtype, 6, 8)
    for name, value in good.items():
        if not isinstance(value, np.ndarray):
            continue
        moved = np.frombuffer(bytearray(value.nbytes + 1), dtype, value.size, offset=1)
        moved = moved.reshape(value.shape)
        moved[...] = value
        for bad in (value[..., :-1].copy(), value[np.newaxis], None, moved):
            with pytest.raises((ValueError, TypeError)):
                getattr(_kernels, kernel)(*{**good, name: bad}.values())
    empty = norm_arguments(kernel, rng, dtype, 0, 8)
    with pytest.raises(ValueError):
        getattr(_kernels, kernel)(*empty.values())
