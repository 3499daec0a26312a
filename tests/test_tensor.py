"""Tensors against PyTorch: stored numbers, text and dtypes, and live where it is installed."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastbp
import fastbp.nn.functional as F

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "golden_tensor.json").read_text())
STORED_GRAPHS = FOLDER / "golden_graphs.json"


def _cases():
    spec = importlib.util.spec_from_file_location("tensor_cases", FOLDER / "tensor_cases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = _cases()


def assert_agree(ours, theirs):
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def loose(name):
    """A case that passes through float32."""
    return name in ("to and fro", "float32 of it")


@pytest.mark.parametrize("name", cases.CASES)
def test_values_and_gradients_are_pytorchs(name):
    value, gradients = cases.computed(fastbp, name)
    stored = GOLDEN["cases"][name]
    if loose(name):
        np.testing.assert_allclose(value, stored["value"], rtol=1e-6)
        return
    assert_agree(value, stored["value"])
    for ours, theirs in zip(gradients, stored["gradients"], strict=True):
        assert_agree(ours, theirs)


def test_every_stored_case_is_read():
    assert set(GOLDEN["cases"]) == set(cases.CASES)
    assert set(GOLDEN["printed"]) == set(cases.PRINTED)


@pytest.mark.parametrize("name", cases.CASES)
def test_gradients_agree_with_differences(name):
    """Central differences of the weighted sum; where PyTorch's choice at a tie is not one's own."""
    if name in ("a tie", "amax of ties", "to and fro", "float32 of it", "detached", "fmod"):
        pytest.skip("not differentiable there, or not in float64")
    names, function = cases.CASES[name]

    def weighted(*arrays):
        with fastbp.no_grad():
            out = function(fastbp, *(fastbp.tensor(a) for a in arrays)).array
        return float((out * cases.weights(out.shape)).sum())

    arrays = [np.array(cases.INPUTS[n]) for n in names]
    _, gradients = cases.computed(fastbp, name)
    h = 1e-6
    for array, gradient in zip(arrays, gradients, strict=True):
        for i in np.ndindex(array.shape):
            kept = float(array[i])
            array[i] = kept + h
            above = weighted(*arrays)
            array[i] = kept - h
            below = weighted(*arrays)
            array[i] = kept
            numerical = (above - below) / (2 * h)
            assert abs(numerical - gradient[i]) <= 1e-6 * max(1, abs(numerical)), (name, i)


@pytest.mark.parametrize("code", cases.PRINTED)
def test_text_is_pytorchs(code):
    ours = repr(eval(code, {"t": fastbp}))
    theirs = GOLDEN["printed"][code].replace("torch.", "fastbp.")
    # The dtype's name is one letter longer, so that a line may break before it.
    assert (
        ours.replace(",\n       ", ",") == theirs.replace(",\n       ", ",") if ("dtype" in theirs) else ours == theirs
    )


@pytest.mark.parametrize("code", GOLDEN["promoted"])
def test_dtypes_are_pytorchs(code):
    assert eval(code, {"t": fastbp}).dtype.name == GOLDEN["promoted"][code]


# --- live -----------------------------------------------------------------------------------

UNARY = [
    lambda t, a: t.tanh(a),
    lambda t, a: t.sigmoid(a),
    lambda t, a: t.sin(a),
    lambda t, a: t.exp(a * 0.1),
    lambda t, a: t.relu(a),
    lambda t, a: -a,
    lambda t, a: 2 - a * 0.5,
    lambda t, a: a**2 * 0.25,
    lambda t, a: 1 / (a * a + 1),
    lambda t, a: t.log(a * a + 1.5),
    lambda t, a: a.sum(-1, keepdim=True),
    lambda t, a: a.mean(0),
    lambda t, a: a.max(),
    lambda t, a: t.max(a, -1, keepdim=True)[0],
    lambda t, a: a.T if a.ndim == 2 else a,
    lambda t, a: a[..., :1],
    lambda t, a: a[-1:],
    lambda t, a: a[..., ::2],
    lambda t, a: a.reshape(-1),
    lambda t, a: a.reshape(-1, 1),
    lambda t, a: t.softmax(a, -1),
    lambda t, a: t.log_softmax(a, 0),
    lambda t, a: a.unsqueeze(0).squeeze(0),
    lambda t, a: t.stack([a, a * 2]).mean(0),
    lambda t, a: t.cat([a, a], -1),
    lambda t, a: a.clone().add_(1.0),
    lambda t, a: t.std(a, -1, unbiased=False, keepdim=True) if a.shape[-1] > 2 else a,
]
BINARY = [
    lambda t, a, b: a + b,
    lambda t, a, b: a - b,
    lambda t, a, b: a * b,
    lambda t, a, b: a / (b * b + 1),
    lambda t, a, b: t.maximum(a, b * 1.01 + 0.013),
    lambda t, a, b: t.where(a > 0.0123, a, b),
    lambda t, a, b: a.mul(b).add(a, alpha=0.5),
]
SHAPES = [(3, 4), (4,), (3, 1), (1, 4), (1,)]


@st.composite
def graphs(draw):
    """A seed, the leaves' shapes, and the steps: (kind, operation, operands among all so far)."""
    n_leaves = draw(st.integers(1, 3))
    shapes = [draw(st.sampled_from(SHAPES)) for _ in range(n_leaves)]
    steps = []
    for i in range(draw(st.integers(1, 9))):
        known = n_leaves + i
        a = draw(st.integers(0, known - 1))
        if draw(st.booleans()):
            steps.append((1, draw(st.integers(0, len(UNARY) - 1)), a, 0))
        else:
            b = draw(st.integers(0, known - 1))
            steps.append((2, draw(st.integers(0, len(BINARY) - 1)), a, b))
    return draw(st.integers(0, 2**32 - 1)), shapes, steps


def evaluated(library, graph):
    """(value, gradients) of a graph; a step whose shapes do not fit gives its first operand."""
    seed, shapes, steps = graph
    rng = np.random.default_rng(seed)
    leaves = [library.tensor(rng.uniform(-2, 2, s), requires_grad=True) for s in shapes]
    values = list(leaves)
    for kind, operation, i, k in steps:
        a, b = values[i], values[k]
        try:
            np.broadcast_shapes(tuple(a.shape), tuple(b.shape))
        except ValueError:
            b = a
        if a.ndim == 0 or np.prod(a.shape) > 400:
            kind = 0
        if kind == 0:
            made = a * 1.5
        elif kind == 1:
            made = UNARY[operation](library, a)
        else:
            made = BINARY[operation](library, a, b)
        values.append(made)
    total = sum((v * (0.1 + 0.05 * i)).sum() for i, v in enumerate(values))
    total.backward()
    return total.item(), [leaf.grad.numpy() for leaf in leaves]


def seeded_graph(seed):
    """A graph as `graphs` draws it, of a number alone."""
    rng = np.random.default_rng(seed)
    shapes = [SHAPES[rng.integers(len(SHAPES))] for _ in range(rng.integers(1, 4))]
    steps = []
    for known in range(len(shapes), len(shapes) + rng.integers(1, 10)):
        kind = int(rng.integers(1, 3))
        operation = int(rng.integers(len(UNARY if kind == 1 else BINARY)))
        steps.append((kind, operation, int(rng.integers(known)), int(rng.integers(known))))
    return seed, shapes, steps


def fingerprint(library, graph):
    """The value, and one number that every element of the gradients enters."""
    value, gradients = evaluated(library, graph)
    flat = np.concatenate([g.ravel() for g in gradients])
    return [value, float(flat @ np.cos(np.arange(flat.size)))]


def test_seeded_graphs_agree_with_the_stored_numbers():
    """Written by ``python -m tests.test_tensor``."""
    stored = json.loads(STORED_GRAPHS.read_text("utf-8"))
    assert len(stored) == 1000
    for seed, expected in enumerate(stored):
        if expected is not None:  # infinite in PyTorch
            with np.errstate(over="ignore"):
                got = fingerprint(fastbp, seeded_graph(seed))
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-9, err_msg=f"{seed}")


@settings(max_examples=1200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_random_graphs_agree_with_pytorch(graph):
    torch = pytest.importorskip("torch")
    with np.errstate(over="ignore"):
        ours, theirs = evaluated(fastbp, graph), evaluated(torch, graph)
    if not np.isfinite(theirs[0]) or abs(theirs[0]) > 1e100:
        return
    assert ours[0] == pytest.approx(theirs[0], rel=1e-10, abs=1e-10)
    for mine, other in zip(ours[1], theirs[1], strict=True):
        scale = max(1.0, np.abs(other).max())
        assert np.abs(mine - other).max() <= 1e-10 * scale


@pytest.mark.parametrize("name", cases.CASES)
def test_live_values_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs = cases.computed(fastbp, name), cases.computed(torch, name)
    assert_agree(ours[0], theirs[0])
    for a, b in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6 if loose(name) else 1e-10, atol=1e-12)


if __name__ == "__main__":  # write the stored graphs' numbers, where PyTorch is installed
    import torch

    made = [fingerprint(torch, seeded_graph(seed)) for seed in range(1000)]
    kept = [pair if np.abs(pair).max() < 1e6 else None for pair in made]
    STORED_GRAPHS.write_text(json.dumps(kept, indent=0) + "\n", "utf-8")


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_tensor_of_a_matrix_is_none():
    x = np.arange(4.0).reshape(2, 2)
    for make in (fastbp.from_numpy, fastbp.as_tensor, fastbp.tensor):
        tensor = make(np.matrix(x))
        assert type(tensor.numpy()) is np.ndarray
        assert tensor[0].shape == (2,) and tensor.sum(1).shape == (2,)
        assert repr(tensor) == repr(make(x))


def test_the_dims_of_a_single_number_and_no_dims_at_all():
    one = fastbp.tensor(3.0)
    for pair in (one.max(0), one.median(0), one.sort(0), one.topk(1)):
        assert pair.values.shape == pair.indices.shape == ()
    assert fastbp.ones(2, 3).sum(dim=[]).item() == 6.0  # as PyTorch reads an empty list
    assert fastbp.ones(2, 3).mean([]).item() == 1.0


def test_the_gradient_of_atan2_at_the_origin_is_0():
    y, x = (fastbp.tensor([0.0, 1.0], requires_grad=True) for _ in range(2))
    fastbp.atan2(y, x).sum().backward()
    assert y.grad.tolist() == [0, 0.5] and x.grad.tolist() == [0, -0.5]


def test_the_median_of_nan_and_of_equal_numbers():
    x = fastbp.tensor([[1.0, float("nan"), 3.0], [2.0, 2.0, 1.0]], requires_grad=True)
    assert np.isnan(x.median().item())
    values, indices = x.median(1)
    assert np.isnan(values[0].item()) and values[1].item() == 2
    assert indices[0].item() == 1
    assert x.median(0).indices[1].item() == 0
    x[1].median().backward()
    assert x.grad.tolist() == [[0, 0, 0], [0.5, 0.5, 0]]
    with pytest.raises(RuntimeError, match="at least one element"):
        fastbp.ones(0).median()


def test_functions_of_a_single_number():
    two, yes = fastbp.tensor(2), fastbp.tensor(True)
    assert two.relu().item() == 2 and yes.logical_not().item() is False
    assert two.div(-3, rounding_mode="trunc").item() == 0
    assert fastbp.where(yes)[0].tolist() == two.nonzero(as_tuple=True)[0].tolist() == [0]
    assert two.flip(0).item() == two.flip(-1).item() == 2
    assert two.cumprod(0).shape == () and two.cumprod(0).item() == 2


def test_integers_are_divided_and_multiplied_as_integers():
    big, by = fastbp.tensor([2**53 + 1, -(2**53) - 1, 7, -7, 6]), fastbp.tensor([1, 1, -2, 2, -2])
    assert big.div(by, rounding_mode="trunc").tolist() == [2**53 + 1, -(2**53) - 1, -3, -3, -3]
    with pytest.raises(RuntimeError, match="a divisor other than 0"):
        big.div(0, rounding_mode="trunc")
    bytes_ = fastbp.tensor([20, 30], dtype=fastbp.uint8)
    assert bytes_.cumprod(0).tolist() == [20, 600] and bytes_.cumprod(0).dtype == fastbp.int64


def test_a_number_beyond_an_integer_dtype_is_not_wrapped():
    small = fastbp.tensor([7, 200], dtype=fastbp.uint8)
    for wrong in (
        lambda: small.__setitem__(0, 300),
        lambda: small.__setitem__(0, float("nan")),
        lambda: small.fill_(300),
        lambda: small.clamp(0, 300),
        lambda: small.clamp_(-1, 9),
        lambda: small.masked_fill(small > 9, 300),
        lambda: fastbp.where(small > 9, small, 300),
        lambda: fastbp.maximum(small, 300),
        lambda: fastbp.full_like(small, float("nan")),
    ):
        with pytest.raises(RuntimeError, match=r"expects .* within the range of fastbp\.uint8"):
            wrong()
    assert small.tolist() == [7, 200]
    assert fastbp.tensor(True, dtype=fastbp.int64).item() == 1
    assert fastbp.tensor([1, 2]).fill_(True).tolist() == [1, 1]


@pytest.mark.parametrize(
    "code",
    [
        "x[0, :, [0, 1]]",
        "x[t.tensor(1), :, t.tensor([0, 1])]",
        "x[0, None, [0, 1]]",
        "x[0, ..., t.tensor([2, 1]), None]",
        "x[1, :, t.tensor([True, False, True, True])]",
        "x[:, 1, [0, 3]]",
        "x[[0, 1], :, 2]",
        "x[1, True, :, [1]]",
        "x[0, 1, [3, 3]]",
    ],
)
def test_an_integer_beside_tensors_chooses_first(code):
    """As in PyTorch; NumPy would put the dimension of the list to the front."""
    torch = pytest.importorskip("torch")
    found = []
    for t in (torch, fastbp):
        x = t.arange(24.0).reshape(2, 3, 4).requires_grad_()
        part = eval(code, {"x": x, "t": t})
        (part * part).sum().backward()
        y, v = x.detach().clone(), t.arange(float(part.numel())).reshape(part.shape)
        exec(code + " = v", {"x": y, "t": t, "v": v})
        found.append([part.tolist(), x.grad.tolist(), y.tolist()])
    assert found[0] == found[1]


def test_float16_has_no_loops_of_ours():
    """It was read and written as if of float64."""
    h = fastbp.tensor([-3.0, -1.0, 2.0, 5.0], dtype=fastbp.float16)
    assert h.sum().item() == 3 and h.mean().item() == 0.75
    for n in (3, 5000):
        w = fastbp.full((n,), 2.0, requires_grad=True)
        y = w.half()
        (y * y + y * 3 - y / 2).sum().backward()
        assert w.grad.eq(6.5).all()
        (-(w.half() * 2))[1].backward()
        assert w.grad[1].item() == 4.5


# --- from lists -----------------------------------------------------------------------------

MADE = [
    ("[T.tensor([1.0]), T.tensor([2.0])]", "float32", (2,)),
    ("[[T.tensor([1.0])], [T.tensor([[2.0]])]]", "float32", (2, 1)),
    ("[[0], T.tensor([1.5])]", "float32", (2, 1)),
    ("[T.tensor(1.5, dtype=T.float64), 2]", "float64", (2,)),
    ("[T.tensor(True), T.tensor([False])]", "bool", (2,)),
    ("[T.tensor(2).to(T.int32), 3]", "int64", (2,)),
    ("[T.tensor(2.0).half()]", "float16", (1,)),
    ("[np.float32(1), 2]", "float32", (2,)),
    ("[2, np.float32(1)]", "float32", (2,)),
    ("[np.float64(1), 2.0]", "float64", (2,)),
    ("[np.int32(1), np.int32(2)]", "int32", (2,)),
    ("[np.uint8(1), True]", "uint8", (2,)),
    ("[np.uint8(1), np.int8(1)]", "int16", (2,)),
    ("[True, 2]", "int64", (2,)),
    ("[True, 2.5]", "float32", (2,)),
    ("[1, 2.5, True]", "float32", (3,)),
    ("[[], []]", "float32", (2, 0)),
    ("[np.zeros(3, np.float32), np.ones(3, np.float32)]", "float32", (2, 3)),
    ("[np.zeros(2), [1, 2]]", "float64", (2, 2)),
    ("((1, 2), [3, 4])", "int64", (2, 2)),
    ("range(3)", "int64", (3,)),
    ("np.float32(2)", "float32", ()),
    ("np.float64(2)", "float64", ()),
    ("2**53 + 1", "int64", ()),
    ("[2**53 + 1, 1]", "int64", (2,)),
]


@pytest.mark.parametrize(("code", "dtype", "shape"), MADE)
def test_lists_have_pytorchs_dtype_and_shape(code, dtype, shape):
    data = eval(code, {"T": fastbp, "np": np})
    for make in (fastbp.tensor, fastbp.as_tensor):
        x = make(data)
        assert x.shape == shape and repr(x.dtype) == f"fastbp.{dtype}"
    if "2**53" in code:
        assert x.max().item() == 2**53 + 1


def test_lists_that_make_no_tensor_are_refused():
    for data, error in [
        ([fastbp.ones(2)], ValueError),
        ([fastbp.ones(2), fastbp.ones(2)], ValueError),
        ([[1], [1, 2]], ValueError),
        ([1, [2]], ValueError),
        ([[], 1.0], ValueError),
        ([1, "a"], TypeError),
        ([1, None], TypeError),
        ([1j], TypeError),
        ("12", TypeError),
        ([2**63, np.int32(1)], RuntimeError),
    ]:
        with pytest.raises(error, match="tensor expects"):
            fastbp.tensor(data)


def test_numbers_beyond_the_dtype_are_refused_where_they_fill():
    for call in (
        lambda: fastbp.full((2,), 1e40),
        lambda: fastbp.zeros(2).fill_(1e40),
        lambda: fastbp.where(fastbp.tensor([True]), 1e40, fastbp.zeros(1)),
    ):
        with pytest.raises(RuntimeError, match="within the range"):
            call()


# --- bools, integers and NaN ----------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "b - b",
        "b - 1",
        "1 - b",
        "b - 1.5",
        "b - True",
        "x - True",
        "True - x",
        "x - b",
        "b - x",
        "i - True",
        "-b",
        "+b",
        "b.neg()",
        "b.sub(1)",
        "x.clone().sub_(True)",
        "b.clone().sub_(b)",
        "b.abs()",
        "b.floor()",
        "b.round()",
        "b.relu()",
        "b.argmax()",
        "b.median()",
        "b.topk(1)",
        "b @ b",
        "i.frac()",
        "i.norm()",
        "i.softmax(0)",
        "i.log_softmax(0)",
        "i.mean()",
        "i.std()",
        "T.add(i, i, alpha=1.5)",
        "i.to(T.uint8) ** -1",
    ],
)
def test_what_bools_and_integers_cannot_do_is_refused(code):
    place = {"T": fastbp, "b": fastbp.tensor([True, False]), "x": fastbp.ones(2), "i": fastbp.tensor([1, 2])}
    before = {name: place[name].clone() for name in "bxi"}
    with pytest.raises(RuntimeError, match=r"expects? "):
        eval(code, place)
    assert all(fastbp.equal(place[name], before[name]) for name in "bxi")


@pytest.mark.parametrize(
    ("code", "dtype"),
    [
        ("b.cumsum(0)", "int64"),
        ("b.sum()", "int64"),
        ("b.square()", "int64"),
        ("b.sign()", "bool"),
        ("b.to(T.uint8).any()", "uint8"),
        ("b.to(T.uint8).all()", "uint8"),
        ("b.any()", "bool"),
        ("i.cumsum(0, dtype=T.int32)", "int32"),
        ("i.cumprod(0, dtype=T.float64)", "float64"),
        ("i.bincount(T.ones(2))", "float32"),
        ("i.bincount(T.ones(2).double())", "float64"),
        ("i.bincount(i)", "float64"),
        ("i.bincount()", "int64"),
        ("T.add(b, b, alpha=2)", "bool"),
        ("i.heaviside(i)", "int64"),
        ("F.hardtanh(i)", "int64"),
        ("F.threshold(i, 1, 0)", "int64"),
    ],
)
def test_dtypes_of_results(code, dtype):
    place = {"T": fastbp, "b": fastbp.tensor([True, False]), "i": fastbp.tensor([1, 2]), "F": F}
    assert repr(eval(code, place).dtype) == f"fastbp.{dtype}"


NAN = float("nan")


@pytest.mark.parametrize(
    ("code", "value", "gradient"),
    [
        ("F.threshold(x, 0.5, 7.0)", NAN, 1.0),
        ("F.hardtanh(x)", NAN, 1.0),
        ("F.relu6(x)", NAN, 1.0),
        ("F.hardswish(x)", NAN, NAN),
        ("F.relu(x)", NAN, 1.0),
        ("x.clamp(-1, 1)", NAN, 0.0),
        ("x.clamp(min=0)", NAN, 0.0),
        ("x.sign()", 0.0, 0.0),
        ("x.abs()", NAN, 0.0),
        ("x ** 0", 1.0, 0.0),
        ("T.maximum(x, T.zeros(1))", NAN, 1.0),
        ("T.minimum(T.zeros(1), x)", NAN, 1.0),
        ("F.elu(x)", NAN, NAN),
        ("F.softplus(x)", NAN, NAN),
    ],
)
def test_nan_goes_through_as_in_pytorch(code, value, gradient):
    x = fastbp.tensor([NAN], requires_grad=True)
    y = eval(code, {"T": fastbp, "F": F, "x": x})
    y.sum().backward()
    assert np.array_equal([y.item(), x.grad.item()], [value, gradient], equal_nan=True)


# --- sums of many rows ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.sum(0),
        lambda x: x.mean(0),
        lambda x: x.t().sum(1),
        lambda x: x.var(0),
        lambda x: x.norm(2, 0),
        lambda x: x.norm(1, 0),
        lambda x: x.logsumexp(0),
        lambda x: x.cumsum(0)[-1],
        lambda x: x.reshape(700, 1003, 3).sum((0, 1)),
        lambda x: x.reshape(2, -1, 3).sum(1, keepdim=True),
        lambda x: x[:, :2].sum(0),
        lambda x: x[::2].mean(0, keepdim=True),
    ],
)
def test_sums_over_rows_are_as_exact_as_sums_along_memory(call, rng):
    x = (rng.random((702_100, 3)) + 0.5).astype("f4")
    ours, exact = call(fastbp.from_numpy(x)), call(fastbp.from_numpy(x.astype("f8")))
    assert ours.dtype is fastbp.float32 and ours.shape == exact.shape
    np.testing.assert_allclose(ours.numpy(), exact.numpy(), rtol=6e-7)


def test_a_gradient_that_is_summed_over_rows_is_exact(rng):
    x = (rng.random((702_100, 3)) + 0.5).astype("f4")
    w = fastbp.zeros(3, requires_grad=True)
    (w * fastbp.from_numpy(x)).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), x.sum(0, dtype="f8"), rtol=6e-7)


def test_halves_are_summed_in_single_precision():
    x = fastbp.ones(70000, 2, dtype=fastbp.float16)
    assert x[:5000].sum(0).tolist() == [5000, 5000] == x[:5000].cumsum(0)[-1].tolist()
    assert x.mean(0).tolist() == [1, 1] and x.mean() == 1 and x.sum(0).isinf().all()
    assert x.var(0).tolist() == [0, 0] and x.norm(2, 0).dtype is fastbp.float16
    assert (300 * x[:2]).norm(2, 0).tolist() == [424.25, 424.25]


def test_a_correction_of_the_variance_is_a_number():
    x = fastbp.tensor([1.0, 2.0, 4.0])
    assert x.var(correction=1.5).item() == pytest.approx(14 / 3 / 1.5)
    assert x.var(ddof=0) == x.var(unbiased=False) and x.var(correction=1) == x.var()
    with pytest.raises(TypeError, match="correction as a number"):
        x.var(correction="1")


def test_the_stubs_tell_the_functions_and_methods_that_are_attached():
    from tensor_stub import STUBS

    for path, text in STUBS.items():
        assert path.read_text() == text(), "python tests/tensor_stub.py writes it anew"
