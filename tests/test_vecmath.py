"""exp, sigmoid, tanh and log1p over the full range, against extended precision."""

import functools
import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from fastbp import _kernels

needs_extended = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double is no longer than double here"
)
BITS = {"float32": np.uint32, "float64": np.uint64}
ELEMENTWISE = ["relu", "sigmoid", "tanh", "identity"]


def full_range(rng, dtype):
    """Finite numbers of every exponent and sign, and denser ones where the functions bend."""
    kind, info = BITS[dtype.name], np.finfo(dtype)
    every = rng.integers(0, np.iinfo(kind).max, 150_000, kind, endpoint=True).view(dtype)
    subnormal = rng.integers(1, 2**info.nmant, 5_000, kind).view(dtype)
    last = 1.02 * -np.log(np.longdouble(info.smallest_subnormal))  # exp(-last) is 0
    borders = np.arange(-300, 300) * np.log(np.longdouble(2)) / 2  # where the reduction steps
    x = np.concatenate(
        [
            every[np.isfinite(every)],
            subnormal,
            -subnormal,
            rng.uniform(-last, last, 100_000).astype(dtype),
            rng.uniform(-3, 3, 100_000).astype(dtype),
            *(np.nextafter(borders.astype(dtype), dtype.type(to)) for to in (-np.inf, np.inf)),
            np.array([0.0, -0.0, 1, -1, last, -last, info.tiny, -info.tiny], dtype),
            np.array([info.max, -info.max, info.smallest_subnormal], dtype),
        ]
    )
    return x


def ulps(got, exact):
    """The error in units of the last place that the right result has."""
    right = exact.astype(got.dtype)
    return np.abs(got.astype(np.longdouble) - exact) / np.spacing(np.abs(right))


def sigmoid(x):
    e = np.exp(-np.abs(x.astype(np.longdouble)))
    return np.where(x < 0, e / (1 + e), 1 / (1 + e))


def forward(name, x):
    out = np.full_like(x, np.nan)
    _kernels.activation_forward(name, x, out)
    return out


def _kernels_folder():
    return Path(_kernels.__file__).parent


def _load_coefficients():
    """tests/coefficients.py, which is no package's."""
    path = Path(__file__).parent / "coefficients.py"
    spec = importlib.util.spec_from_file_location("coefficients", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_within(got, exact, x, most):
    error = ulps(got, exact)
    worst = error.argmax()
    assert error[worst] <= most, f"{error[worst]:.2f} ulp at {x[worst]!r}"


@needs_extended
def test_sigmoid_is_exact_to_a_few_ulp_over_the_full_range(dtype, rng, tolerance):
    x = full_range(rng, dtype)
    assert_within(forward("sigmoid", x), sigmoid(x), x, tolerance("ulp", dtype))


@needs_extended
def test_tanh_is_exact_to_a_few_ulp_over_the_full_range(dtype, rng, tolerance):
    x = full_range(rng, dtype)
    exact = np.tanh(x.astype(np.longdouble))
    assert_within(forward("tanh", x), exact, x, tolerance("ulp", dtype))


@needs_extended
def test_exp_is_exact_to_a_few_ulp_over_the_full_range(dtype, rng, tolerance):
    """Softmax of (0, x) for x <= 0: where exp(x) is below half an ulp of 1, exp(x) itself."""
    x = -np.abs(full_range(rng, dtype))
    y = np.full((x.size, 2), np.nan, dtype)
    _kernels.softmax_forward(np.stack([np.zeros_like(x), x], axis=1), y)
    assert_within(y[:, 1], sigmoid(x), x, tolerance("ulp", dtype))
    assert_within(y[:, 0], sigmoid(-x), x, tolerance("ulp", dtype))


@needs_extended
@pytest.mark.parametrize("name", ["elu", "silu", "mish"])
def test_activations_of_exp_are_exact_to_a_few_ulp(name, dtype, rng, tolerance):
    x = full_range(rng, dtype)
    x = x[np.abs(x) < 80]  # below, their values are subnormal
    v = x.astype(np.longdouble)
    e = np.exp(v)
    exact = {
        "elu": lambda: np.where(x > 0, v, np.expm1(np.minimum(v, 0))),
        "silu": lambda: v * sigmoid(x),
        "mish": lambda: v * np.where(x > 40, 1, e * (e + 2) / (e * (e + 2) + 2)),
    }[name]()
    out = np.empty_like(x)
    _kernels.activation_forward(name, x, out, *([1.0, 1.0] if name == "elu" else []))
    assert_within(out, exact, x, 2 * tolerance("ulp", dtype))


@needs_extended
@pytest.mark.parametrize("sign", [1, -1])
def test_sigmoid_cross_entropy_keeps_its_digits_where_it_is_small(sign, dtype, rng):
    """At the right target the loss is log(1 + exp(-|x|)), which decays with |x|."""
    x = sign * np.abs(rng.choice(full_range(rng, dtype), 4000))
    exact = np.log1p(np.exp(-np.abs(x.astype(np.longdouble))))
    t, y = np.full(1, sign > 0, dtype), np.empty(1, dtype)
    got = [_kernels.loss_forward("sigmoid", x[i : i + 1], t, y) for i in range(x.size)]
    normal = exact >= np.finfo(dtype).tiny
    error = np.abs(np.array(got, np.longdouble) - exact)
    assert normal.sum() > 1000
    assert (error[normal] <= 3 * np.finfo(dtype).eps * exact[normal]).all()
    assert (error[~normal] <= 3 * np.finfo(dtype).smallest_subnormal).all()


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_gelu_is_exact_to_a_few_ulp_into_its_tail(direction, dtype, rng, tolerance):
    """Also where x Phi(x) is tiny; the slope, which has a zero, as a share of its largest term."""
    mp = pytest.importorskip("mpmath")
    last = {"float32": 12.9, "float64": 37.0}[dtype.name]
    x = np.concatenate([rng.uniform(-last, last, 800), rng.uniform(-3, 3, 800), [1e-5, -1e-5]])
    x = x.astype(dtype)
    out = np.empty_like(x)
    with mp.workdps(40):
        v = [mp.mpf(float(a)) for a in x]
        terms = [(mp.ncdf(a), a * mp.npdf(a)) for a in v]
        if direction == "forward":
            _kernels.activation_forward("gelu", x, out)
            exact = [a * phi for a, (phi, _) in zip(v, terms, strict=True)]
            scale = [abs(e) for e in exact]
        else:
            _kernels.activation_backward("gelu", np.ones_like(x), x, out)
            exact = [phi + more for phi, more in terms]
            scale = [max(phi, abs(more)) for phi, more in terms]
        error = [abs(mp.mpf(float(o)) - e) / s for o, e, s in zip(out, exact, scale, strict=True)]
        assert max(error) <= tolerance("normal", dtype) * np.finfo(dtype).eps


def test_gelu_of_limits(dtype):
    """At -inf the limits, where -inf times 0 would be NaN; zeros keep their sign."""
    most = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, most, -most, 50, -50], dtype)
    out, dx = np.empty((2, x.size), dtype)
    _kernels.activation_forward("gelu", x, out)
    _kernels.activation_backward("gelu", np.ones_like(x), x, dx)
    np.testing.assert_array_equal(out, np.array([np.nan, np.inf, 0, 0, 0, most, 0, 50, 0], dtype))
    np.testing.assert_array_equal(np.signbit(out[[2, 3, 4, 6, 8]]), [True, False, True, True, True])
    np.testing.assert_array_equal(dx, np.array([np.nan, 1, 0, 0.5, 0.5, 1, 0, 1, 0], dtype))


def test_gelu_of_both_signs_differs_by_x(dtype):
    """x Phi(x) - (-x) Phi(-x) = x."""
    x = np.linspace(0, 10, 5001).astype(dtype)
    up, down = np.empty((2, x.size), dtype)
    _kernels.activation_forward("gelu", x, up)
    _kernels.activation_forward("gelu", -x, down)
    np.testing.assert_array_equal(up, x + down)


def test_polynomials_are_those_that_are_derived():
    pytest.importorskip("mpmath")
    header = _kernels_folder() / "arithmetic" / "polynomials.h"
    if not header.exists():
        pytest.skip("an installed package comes without the kernels' text")
    coefficients = _load_coefficients()
    with coefficients.mp.workdps(50):
        assert coefficients.text() == header.read_text()


def test_limits_and_special_numbers(dtype):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e30, -1e30], dtype)
    np.testing.assert_array_equal(forward("sigmoid", x), np.array([0.5, 0.5, 1, 0, np.nan, np.nan, 1, 0], dtype))
    tanh = forward("tanh", x)
    np.testing.assert_array_equal(tanh, np.array([0, 0, 1, -1, np.nan, np.nan, 1, -1], dtype))
    np.testing.assert_array_equal(np.signbit(tanh[:4]), [False, True, False, True])
    np.testing.assert_array_equal(forward("relu", x), np.array([0, 0, np.inf, 0, np.nan, np.nan, 1e30, 0], dtype))


def test_softmax_of_extreme_rows(dtype):
    most = np.finfo(dtype).max
    x = np.array([[most, most], [-most, -most], [0, most], [most, -most], [5, -np.inf]], dtype)
    y = np.full_like(x, np.nan)
    _kernels.softmax_forward(x, y)
    np.testing.assert_array_equal(y, [[0.5, 0.5], [0.5, 0.5], [0, 1], [1, 0], [1, 0]])


def test_subnormal_numbers_are_kept(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.arange(1, 40, dtype=dtype) * tiny
    for name in ("relu", "tanh", "identity"):
        np.testing.assert_array_equal(forward(name, x), x)
    x = np.full(33, np.log(np.longdouble(tiny) * 5), dtype)
    assert (forward("sigmoid", x) > 0).all()
    assert (forward("sigmoid", x) < np.finfo(dtype).tiny).all()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_result_does_not_depend_on_the_place_in_the_array(name, dtype, rng):
    x = rng.choice(full_range(rng, dtype), 300)
    x[::29], x[::31] = np.nan, np.inf
    whole = forward(name, x)
    alone = np.concatenate([forward(name, x[i : i + 1]) for i in range(x.size)])
    assert whole.tobytes() == alone.tobytes()
    for start, length in itertools.product(range(0, 20, 3), range(1, 70)):
        part = forward(name, x[start : start + length].copy())
        assert part.tobytes() == whole[start : start + length].tobytes()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_gradient_does_not_depend_on_the_place_in_the_array(name, dtype, rng):
    dout, out = rng.standard_normal((2, 150)).astype(dtype)
    kernel = functools.partial(_kernels.activation_backward, name)
    whole, alone = np.empty((2, 150), dtype)
    kernel(dout, out, whole)
    for i in range(150):
        kernel(dout[i : i + 1], out[i : i + 1], alone[i : i + 1])
    assert whole.tobytes() == alone.tobytes()


@pytest.mark.parametrize("columns", [1, 2, 3, 10, 16, 17, 50])
def test_softmax_of_a_row_does_not_depend_on_its_neighbours(columns, dtype, rng):
    x = 5 * rng.standard_normal((37, columns)).astype(dtype)
    whole, row = np.empty_like(x), np.empty((1, columns), dtype)
    _kernels.softmax_forward(x, whole)
    for r in range(len(x)):
        _kernels.softmax_forward(x[r : r + 1], row)
        assert row.tobytes() == whole[r].tobytes()
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=50 * np.finfo(dtype).eps)
