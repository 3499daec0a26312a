"""SGD against its formulas written by hand, for parameters that lie anyhow in memory."""

import copy
import pickle

import numpy as np
import pytest

import fastbp
from fastbp import SGD

OPTIONS = [
    {},
    {"weight_decay": 0.03},
    {"momentum": 0.9},
    {"momentum": 0.9, "weight_decay": 0.03},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1},
]


def by_hand(param, grads, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    """The parameter after all gradients, in extended precision."""
    p = param.astype(np.longdouble)
    v = np.zeros_like(p)
    for grad in grads:
        d = grad + weight_decay * p
        v = momentum * v + d
        p = p - lr * (d + momentum * v if nesterov else v)
    return p


@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("backend", ["compiled", "reference"])
def test_sgd_follows_its_formula(options, steps, backend, dtype, rng, assert_close):
    shapes = {"W1": (7, 5), "b1": (5,), "W2": (5, 1), "scalar": ()}
    start = {k: np.asarray(rng.standard_normal(s), dtype) for k, s in shapes.items()}
    grads = {k: [np.asarray(rng.standard_normal(s), dtype) for _ in range(steps)] for k, s in shapes.items()}
    params = {k: p.copy() for k, p in start.items()}
    very_arrays = dict(params)
    optimiser = SGD(lr=0.1, **options)
    with fastbp.use(backend):
        for step in range(steps):
            optimiser.update(params, {k: g[step] for k, g in grads.items()})
    for key, param in params.items():
        assert param is very_arrays[key]
        exact = by_hand(start[key], grads[key], 0.1, **options)
        size = 1 + 10 * np.abs(grads[key]).sum(axis=0)
        assert_close(param, exact.astype(dtype), "update", size)


def test_plain_sgd_is_the_books(dtype, rng):
    param, grad = rng.standard_normal((2, 6, 4)).astype(dtype)
    book = param.copy()
    book -= dtype.type(0.1) * grad
    SGD(lr=0.1).update({"W1": param}, {"W1": grad})
    np.testing.assert_allclose(param, book, rtol=0, atol=np.finfo(dtype).eps)


def within(a):
    """The array inside a larger one, every other column, and that larger one."""
    whole = np.full((a.shape[0] + 2, 2 * a.shape[1] + 3), 7, a.dtype)
    inner = whole[1:-1, 1:-2:2]
    inner[...] = a
    return inner


def unaligned(a):
    inner = np.frombuffer(bytearray(a.nbytes + 1), a.dtype, a.size, offset=1).reshape(a.shape)
    inner[...] = a
    return inner


LAYOUTS = {
    "plain": lambda a: a.copy(),
    "strided": within,
    "Fortran": np.asfortranarray,
    "negative strides": lambda a: np.flip(np.flip(a).copy()),
    "transposed view": lambda a: a.T.copy().T,
    "unaligned": unaligned,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "subclass": lambda a: a.copy().view(type("Own", (np.ndarray,), {})),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_parameters_are_updated_in_place_however_they_lie(layout, options, dtype, rng):
    plain = rng.standard_normal((6, 4)).astype(dtype)
    odd = LAYOUTS[layout](plain)
    first, second = SGD(lr=0.1, **options), SGD(lr=0.1, **options)
    for _ in range(3):
        grad = rng.standard_normal((6, 4)).astype(dtype)
        kept = grad.tobytes()
        params = {"W1": odd}
        first.update({"W1": plain}, {"W1": grad})
        second.update(params, {"W1": grad})
        assert params["W1"] is odd
        assert np.asarray(odd).astype(dtype).tobytes() == plain.tobytes()
        assert grad.tobytes() == kept
    if layout == "strided":
        assert (odd.base == 7).sum() == odd.base.size - odd.size


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_may_lie_anyhow(layout, dtype, rng):
    start, grad = rng.standard_normal((2, 6, 4)).astype(dtype)
    plain, odd = start.copy(), start.copy()
    odd_grad = LAYOUTS[layout](grad)
    odd_grad.flags.writeable = False
    SGD(lr=0.1).update({"W1": plain}, {"W1": grad})
    SGD(lr=0.1).update({"W1": odd}, {"W1": odd_grad})
    assert odd.tobytes() == plain.tobytes()
    assert np.asarray(odd_grad).astype(dtype).tobytes() == grad.tobytes()


@pytest.mark.parametrize("grad_dtype", ["float16", "float32", "float64", "int64", "bool", "list"])
def test_gradients_are_converted_to_the_parameters_dtype(grad_dtype, dtype):
    param = np.ones((2, 3), dtype)
    grad = np.array([[1, 0, 1], [0, 1, 1]])
    grad = grad.tolist() if grad_dtype == "list" else grad.astype(grad_dtype)
    SGD(lr=0.5).update({"W1": param}, {"W1": grad})
    np.testing.assert_array_equal(param, [[0.5, 1, 0.5], [1, 0.5, 0.5]])
    assert param.dtype == dtype


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_memory_mapped_parameter_is_updated_in_its_file(options, dtype, tmp_path, rng):
    start, grad = rng.standard_normal((2, 6, 4)).astype(dtype)
    start.tofile(tmp_path / "W.bin")
    param = np.memmap(tmp_path / "W.bin", dtype, "r+", shape=(6, 4))
    SGD(lr=0.1, **options).update({"W1": param}, {"W1": grad})
    param.flush()
    SGD(lr=0.1, **options).update({"W1": start}, {"W1": grad})
    assert np.fromfile(tmp_path / "W.bin", dtype).tobytes() == start.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_gradient_may_be_the_parameter_or_overlap_it(options, layout, dtype, rng):
    plain = rng.standard_normal((6, 4)).astype(dtype)
    for view in (lambda a: a, np.flip):
        param, expected = LAYOUTS[layout](plain), plain.copy()
        SGD(lr=0.1, **options).update({"W1": expected}, {"W1": view(expected).copy()})
        SGD(lr=0.1, **options).update({"W1": param}, {"W1": view(param)})
        assert np.asarray(param).astype(dtype).tobytes() == expected.tobytes()


def test_parameters_without_elements_and_extra_gradients_are_fine(dtype):
    param = np.ones((0, 3), dtype)
    optimiser = SGD(lr=0.1, momentum=0.9)
    optimiser.update({"W1": param}, {"W1": np.empty((0, 3)), "another": None})
    optimiser.update({}, {})


def test_options_may_be_changed_between_steps(dtype):
    param = np.zeros(1, dtype)
    optimiser = SGD(lr=1.0)
    optimiser.update({"b1": param}, {"b1": [1.0]})
    optimiser.lr = 0.5
    optimiser.update({"b1": param}, {"b1": [1.0]})
    assert param[0] == -1.5


def test_each_optimiser_has_its_own_velocities_by_name(dtype):
    first, second = SGD(lr=1.0, momentum=0.5), SGD(lr=1.0, momentum=0.5)
    a, b = np.zeros(1, dtype), np.zeros(1, dtype)
    first.update({"a": a, "b": b}, {"a": [1.0], "b": [0.0]})
    first.update({"b": b, "a": a}, {"a": [0.0], "b": [1.0]})
    assert (a[0], b[0]) == (-1.5, -1.0)
    second.update({"a": a}, {"a": [0.0]})
    assert a[0] == -1.5


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copied_optimiser_goes_on_from_the_same_velocity(copied, dtype):
    param, grad = np.ones(3, dtype), np.arange(3.0)
    optimiser = SGD(lr=0.1, momentum=0.9)
    optimiser.update({"b1": param}, {"b1": grad})
    twin, other = copied(optimiser), param.copy()
    optimiser.update({"b1": param}, {"b1": grad})
    twin.update({"b1": other}, {"b1": grad})
    assert param.tobytes() == other.tobytes()


def test_sgd_shows_its_options():
    assert repr(SGD(lr=0.1, momentum=0.9, nesterov=True)) == (
        "SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0)"
    )
    assert SGD().lr == 0.001


# --- refusals change nothing ----------------------------------------------------------------

GOOD = {"W1": np.ones((2, 3)), "b1": np.ones(3)}
BAD = {
    "no gradient": (GOOD, {"W1": np.ones((2, 3))}, ValueError, "got none for 'b1'"),
    "shape": (GOOD, {"W1": np.ones((2, 3)), "b1": np.ones(4)}, ValueError, r"\(3,\).*\(4,\)"),
    "broadcast": (GOOD, {"W1": np.ones((2, 3)), "b1": np.ones(1)}, ValueError, r"\(3,\).*\(1,\)"),
    "None": (GOOD, {"W1": np.ones((2, 3)), "b1": None}, TypeError, r"grads\['b1'\].*None"),
    "strings": (GOOD, {"W1": np.ones((2, 3)), "b1": ["a"] * 3}, TypeError, "grads.*dtype <U1"),
    "ragged": (GOOD, {"W1": [[1, 2, 3], [1]], "b1": np.ones(3)}, ValueError, "different lengths"),
    "complex": (GOOD, {"W1": np.ones((2, 3)), "b1": np.ones(3) * 1j}, TypeError, "complex128"),
    "integer parameter": ({"W1": np.ones((2, 3)), "b1": np.ones(3, int)}, GOOD, TypeError, "params.*b1.*int64"),
    "float16 parameter": ({"W1": np.ones((2, 3)), "b1": np.ones(3, "f2")}, GOOD, TypeError, "params.*b1.*float16"),
    "extended parameter": (
        {"W1": np.ones((2, 3)), "b1": np.ones(3, "g")},
        GOOD,
        TypeError,
        f"params.*b1.*{np.dtype('g')}",
    ),
    "complex parameter": ({"W1": np.ones((2, 3)), "b1": np.ones(3, "c16")}, GOOD, TypeError, "params.*b1.*complex128"),
    "list parameter": ({"W1": np.ones((2, 3)), "b1": [1.0, 1.0, 1.0]}, GOOD, TypeError, "params.*b1.*list"),
    "None parameter": ({"W1": np.ones((2, 3)), "b1": None}, GOOD, TypeError, "params.*b1.*None"),
    "read-only parameter": ({"W1": np.ones((2, 3)), "b1": np.broadcast_to(1.0, 3)}, GOOD, ValueError, "read-only"),
}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("case", BAD)
def test_a_refused_update_changes_nothing(case, momentum):
    params, grads, error, message = BAD[case]
    params = {k: v.copy() if k == "W1" else v for k, v in params.items()}
    optimiser = SGD(lr=0.1, momentum=momentum)
    with pytest.raises(error, match=message) as caught:
        optimiser.update(params, grads)
    assert_one_sentence(caught.value)
    np.testing.assert_array_equal(params["W1"], 1)
    # The optimiser goes on as a new one, also with parameters of other shapes.
    param = np.ones(5)
    optimiser.update({"W1": param}, {"W1": param})
    np.testing.assert_allclose(param, 0.9)


def assert_one_sentence(error):
    text = str(error)
    assert text.endswith(".") and ". " not in text and "\n" not in text, text
    assert "expects" in text and "; got " in text, text


def test_another_network_needs_another_momentum(dtype):
    optimiser = SGD(lr=0.1, momentum=0.9)
    optimiser.update({"W1": np.ones(3, dtype)}, {"W1": np.ones(3)})
    param = np.ones(4, dtype)
    with pytest.raises(ValueError, match=r"\(4,\) after \w+ \(3,\)") as caught:
        optimiser.update({"W1": param}, {"W1": np.ones(4)})
    assert_one_sentence(caught.value)
    assert (param == 1).all()


@pytest.mark.parametrize("first, then", [("f4", "f8"), ("f8", "f4")])
def test_a_parameters_dtype_may_not_break_its_momentum(first, then):
    """The same shape in another dtype either trains on or is refused in a sentence."""
    optimiser = SGD(lr=0.1, momentum=0.9)
    optimiser.update({"W1": np.zeros(3, first)}, {"W1": np.ones(3)})
    param = np.zeros(3, then)
    try:
        optimiser.update({"W1": param}, {"W1": np.ones(3)})
    except ValueError as error:
        assert_one_sentence(error)
        assert not param.any()
    else:
        np.testing.assert_allclose(param, -0.19, rtol=1e-6)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"params": 0.1}, TypeError, r"SGD\(lr=0\.1\)"),
        ({"lr": -0.1}, ValueError, "lr.*-0.1"),
        ({"lr": float("nan")}, ValueError, "lr.*nan"),
        ({"lr": float("inf")}, ValueError, "lr.*inf"),
        ({"lr": None}, TypeError, "lr.*None"),
        ({"lr": "0.1"}, TypeError, "lr.*'0.1'"),
        ({"lr": np.ones(2)}, TypeError, "lr.*array"),
        ({"lr": 1j}, TypeError, "lr.*1j"),
        ({"momentum": -1}, ValueError, "momentum.*-1"),
        ({"weight_decay": -1}, ValueError, "weight_decay.*-1"),
        ({"nesterov": True}, ValueError, "momentum above 0.*nesterov"),
    ],
    ids=str,
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message) as caught:
        SGD(**options)
    assert_one_sentence(caught.value)


def test_a_learning_rate_in_the_place_of_params_is_refused():
    with pytest.raises(TypeError, match=r"SGD\(lr=0\.1\)"):
        SGD(0.01)
