"""Each compiled kernel against its NumPy twin, and what the kernels refuse."""

import inspect
import itertools
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_names import FAMILIES, NEVER_NEGATIVE, NUMBERS, named, update_arguments

from fastbp import _kernels, reference
from fastbp._kernels.activations import activations
from fastbp._kernels.optim import rules
from fastbp.operations.activations import ACTIVATIONS
from fastbp.operations.losses import LOSSES
from fastbp.operations.rules import RULES

# The arguments of every kernel in order: name, role, axes.
# Roles: `:` numbers, `%` between 0 and 1, `#` class indices, `>` output, `+` updated in place,
# `^` likewise and never negative; the rest are scalars.
# Axes: r rows, i inputs, o outputs, n = r o elements.
KERNELS = {
    "affine_forward": "x:ri W:io b:o out>ro",
    "affine_backward": "dout:ro x:ri W:io dx>ri dW>io db>o",
    "bias_sum": "dout:ro db>o",
    "transpose": "x:ri out>ir",
    "dropout": "x:n out>n key ratio",
    "batch_norm_forward": "x:ro gamma:o beta:o out>ro normal>ro inverse>o running_mean+o "
    "running_var^o eps momentum sample_variance",
    "batch_norm_backward": "dout:ro normal:ro inverse%o gamma:o dx>ro dgamma>o dbeta>o",
    "softmax_forward": "x:ro y>ro",
    "softmax_cross_entropy_forward": "x:ro t#r y>ro",
    "softmax_cross_entropy_backward": "y%ro t#r scale dx>ro",
    "soft_cross_entropy_forward": "x:ro t%ro y>ro",
    "soft_cross_entropy_backward": "y%ro t%ro scale dx>ro",
}
for row in RULES.values():
    KERNELS[f"{row.name}_update"] = update_arguments(row).replace("*", "^")
for row in ACTIVATIONS.values():
    read = "read%n" if row.name in ("sigmoid", "tanh") else "read:n"
    KERNELS[f"{row.name}_forward"] = " ".join(("x:n out>n", *row.numbers))
    KERNELS[f"{row.name}_backward"] = " ".join(("dout:n", read, "dx>n", *row.numbers))
for row in LOSSES.values():
    t = "t%n" if row.kept else "t:n"
    y = "y>n" if row.kept else "none"
    KERNELS[f"{row.name}_loss_forward"] = " ".join(("x:n", t, y, *row.numbers))
    y = "y%n" if row.kept else "y:n"
    KERNELS[f"{row.name}_loss_backward"] = " ".join((y, t, "scale dx>n", *row.numbers))
SCALARS = {
    **NUMBERS,
    "scale": 0.37,
    "ratio": 0.3,
    "key": 0x0123456789ABCDEF,
    "lr": 0.1,
    "weight_decay": 0.01,
    "decoupled": False,
    "step": 3,
    "sample_variance": True,
}
NONE_ALLOWED = {("affine_backward", "dx")}

# Around every border of a tile, a panel, a vector and a block.
ROWS = [0, 1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 16, 31, 32, 33, 252, 253, 600]
COLUMNS = [1, 4, 10, 15, 16, 17, 31, 32, 33, 48, 50, 64, 65]
FENCE = 67  # elements of poison on either side of an array


def roles(kernel):
    """(name, role, axes) of each argument."""
    return [re.fullmatch(r"(\w+?)(?:([:%#>+^])(\w+))?", w).groups() for w in KERNELS[kernel].split()]


def arrays(kernel):
    return [name for name, role, _ in roles(kernel) if role]


def rows_for(kernel):
    return ROWS[1:] if kernel.startswith("batch_norm") else ROWS


def outputs(kernel):
    return [name for name, role, _ in roles(kernel) if role in (">", "+", "^")]


def arguments(kernel, rng, dtype, rows=7, n_in=5, n_out=3, **others):
    """A good call: arrays of numbers for inputs, of NaN for outputs."""
    sizes = {"r": rows, "i": n_in, "o": n_out, "n": rows * n_out}
    made = {}
    for name, role, axes in roles(kernel):
        shape = [sizes[axis] for axis in axes or ""]
        if role == ">":
            made[name] = np.full(shape, np.nan, dtype)
        elif role == "#":
            made[name] = rng.integers(0, max(n_out, 1), shape)
        elif role == "^":
            made[name] = np.square(rng.standard_normal(shape)).astype(dtype)
        elif role == "%":
            t = rng.random(shape).astype(dtype) + dtype.type(0.01)
            made[name] = t / t.sum(axis=1, keepdims=True) if len(shape) == 2 else t / 2
        elif role:
            made[name] = rng.standard_normal(shape).astype(dtype)
        else:
            made[name] = SCALARS.get(name, 0.7)
    if kernel.startswith("focal"):
        made["t"] = np.round(2 * made["t"])
    return {**made, **others}


def fenced(array):
    """A copy with poison right before and behind it, off any vector's border, and all of it."""
    poison = np.nan if array.dtype.kind == "f" else 1 << 60
    whole = np.full(array.size + 2 * FENCE, poison, array.dtype)
    inner = whole[FENCE:-FENCE].reshape(array.shape)
    inner[...] = array
    return inner, whole


def run_kernel(kernel, args):
    """The kernel's results by name, its value as "return".  Only the outputs have changed."""
    args, wholes = dict(args), {}
    for name in arrays(kernel):
        if args[name] is not None:
            args[name], wholes[name] = fenced(args[name])
            args[name].flags.writeable = name in outputs(kernel)
    before = {name: whole.tobytes() for name, whole in wholes.items()}
    results = {"return": named(_kernels, kernel)(*args.values())}
    for name, whole in wholes.items():
        after = whole.tobytes()
        if name in outputs(kernel):
            edge = FENCE * whole.itemsize
            assert after[:edge] == before[name][:edge], f"{kernel} wrote before {name}"
            assert after[-edge:] == before[name][-edge:], f"{kernel} wrote behind {name}"
            results[name] = args[name]
        else:
            assert after == before[name], f"{kernel} wrote to {name}"
    return results


def run_twin(kernel, args):
    args = {name: a.copy() if isinstance(a, np.ndarray) else a for name, a in args.items()}
    results = {"return": named(reference, kernel)(*args.values())}
    return results | {name: args[name] for name in outputs(kernel) if args[name] is not None}


def magnitudes(args, **others):
    sizes = {n: np.abs(a) if isinstance(a, np.ndarray) else a for n, a in args.items()}
    return sizes | others


def scales(kernel, args, expected):
    """The sizes of the terms that a result is summed from, where they may cancel."""
    if kernel.startswith(("affine", "bias")):
        return "product", run_twin(kernel, magnitudes(args))
    if kernel.endswith("_update"):
        return "update", update_scales(kernel, args, expected)
    if kernel.startswith("batch_norm"):
        return "product", batch_norm_scales(kernel, args, expected)
    if kernel == "tanh_backward":
        return "elementwise", {"dx": args["dout"] * (1 + args["read"] ** 2)}
    if kernel == "gelu_tanh_forward":  # whose exponent is a cubic
        steep = 1 + np.abs(args["x"], dtype=np.float64) ** 3
        return "elementwise", {"out": expected["out"] * np.minimum(steep, 1000)}
    if kernel == "tanhshrink_forward":
        return "elementwise", {"out": args["x"]}
    row, _, way = kernel.rpartition("_")
    if way == "backward" and row in ACTIVATIONS:
        return "elementwise", {"dx": 2 * args["dout"]}
    if kernel.startswith("soft") and kernel.endswith("entropy_forward"):
        return "elementwise", {"return": (1 + 2 * np.abs(args["x"]).max(axis=1)).sum()}
    if kernel == "focal_loss_backward":  # an exponential of x
        return "elementwise", {"dx": expected["dx"] * (2 + 2 * np.abs(args["y"], dtype=np.float64))}
    if kernel == "poisson_loss_forward":
        sizes = args["t"] * (2 + np.abs(args["x"])) + np.exp(args["x"])
        return "elementwise", {"return": (1 + sizes).sum()}
    if kernel == "sigmoid_loss_forward":
        return "elementwise", {"return": (1 + 2 * np.abs(args["x"])).sum()}
    return "elementwise", {}


def update_scales(kernel, args, expected):
    """Of each state the sizes of what comes together in it, and of param how far it moves."""
    sizes = {n: a.astype(float) if isinstance(a, np.ndarray) else a for n, a in magnitudes(args).items()}
    d = sizes["grad"] + args["weight_decay"] * sizes["param"]
    row = RULES[kernel.removesuffix("_update")]
    states = {name: sizes[name] + (1 + 2 * d) * d for name in row.states}
    moved = d + sum((states[name] for name in row.states if name not in NEVER_NEGATIVE), 0 * d)
    if "max_exp_avg_sq" in states:
        states["max_exp_avg_sq"] = states["max_exp_avg_sq"] + states["exp_avg_sq"]
    for name in [n for n in row.states if n in NEVER_NEGATIVE][:1]:
        size = expected[name].astype(float)
        moved = moved / ((size if name == "exp_inf" else np.sqrt(size)) + args["eps"])
    if "momentum_buffer" in states:
        states["momentum_buffer"] = 2 * (sizes["momentum_buffer"] + moved)
        moved = states["momentum_buffer"]
    if row.name == "adadelta":
        moved = moved * np.sqrt(sizes["acc_delta"] + args["eps"])
        states["acc_delta"] = sizes["acc_delta"] + 2 * moved * moved
    if "beta_1" in args:
        moved = moved / (1 - args["beta_1"] ** args["step"])
    return states | {"param": sizes["param"] + 4 * args["lr"] * (1 + moved)}


def batch_norm_scales(kernel, args, expected):
    if kernel == "batch_norm_backward":
        dout, normal = np.abs(args["dout"]), np.abs(args["normal"])
        dgamma, dbeta = (dout * normal).sum(axis=0), dout.sum(axis=0)
        inner = dout + (dbeta + normal * dgamma) / len(dout)
        dx = np.abs(args["gamma"]) * args["inverse"] * inner
        return {"dx": 2 * dx, "dgamma": dgamma, "dbeta": dbeta}
    sizes, inverse = magnitudes(args), expected["inverse"]
    mean = sizes["x"].mean(axis=0)
    steep = 4 * (1 + mean * inverse)
    normal = steep * (np.abs(expected["normal"]) + inverse * (sizes["x"] + mean))
    return {
        "inverse": steep * inverse,
        "normal": normal,
        "out": sizes["gamma"] * normal + sizes["beta"],
        "running_mean": sizes["running_mean"] + mean,
        "running_var": sizes["running_var"] + 4 * np.square(sizes["x"]).mean(axis=0),
    }


@pytest.fixture(scope="session")
def assert_twins(assert_close, tolerance):
    def check(kernel, args):
        got, expected = run_kernel(kernel, args), run_twin(kernel, args)
        kind, scale = scales(kernel, args, expected)
        dtype = args[arrays(kernel)[0]].dtype
        assert got.keys() == expected.keys()
        for name in outputs(kernel):
            if args[name] is not None:
                assert_close(got[name], expected[name], kind, scale.get(name))
        got, expected = got["return"], expected["return"]
        assert type(got) is type(expected)
        if expected is not None and got != expected and not (np.isnan(got) and np.isnan(expected)):
            bound = tolerance("loss", dtype) * scale.get("return", expected)
            assert abs(got - expected) <= bound, f"{got} for {expected}"

    def with_shapes(kernel, args):
        try:
            check(kernel, args)
        except Exception as error:
            shapes = {name: getattr(value, "shape", value) for name, value in args.items()}
            error.add_note(f"{kernel} with {shapes}")
            raise

    return with_shapes


@pytest.fixture(params=KERNELS)
def kernel(request):
    return request.param


# --- names ----------------------------------------------------------------------------------


def test_every_kernel_has_its_twin_and_every_twin_its_kernel():
    twins = {n for n, f in vars(reference).items() if inspect.isfunction(f) and n[0] != "_"}
    compiled = {n for n in dir(_kernels) if callable(getattr(_kernels, n)) and n[0] != "_"}
    families = {f"{family}_{way}" for family in FAMILIES for way in ("forward", "backward")}
    families.add("update")
    others = {"dropout_key", "epoch_order", "embedding_forward", "embedding_backward"}
    own = {name for name in KERNELS if hasattr(_kernels, name)}
    assert twins == compiled == set(_kernels.__all__) == own | families | others


def test_a_row_names_its_numbers():
    for name, (_, reads_output, n_numbers) in activations().items():
        row = ACTIVATIONS[name]
        assert len(row.numbers) == n_numbers and row.reads_output == reads_output
    assert list(activations()) == list(ACTIVATIONS)
    assert list(rules()) == list(RULES)
    for name, (_, n_states, _, _) in rules().items():
        assert len(RULES[name].states) == n_states


def test_kernel_and_twin_take_the_same_arguments(kernel):
    if not hasattr(_kernels, kernel):
        return  # one of a family
    compiled = list(inspect.signature(getattr(_kernels, kernel)).parameters)
    twin = list(inspect.signature(getattr(reference, kernel)).parameters)
    assert compiled == twin == [name for name, _, _ in roles(kernel)]


def test_kernel_is_documented(kernel):
    if not hasattr(_kernels, kernel):
        return
    doc = inspect.getdoc(getattr(_kernels, kernel))
    parameters, raises = re.search(r"\nParameters\n-+\n(.*?)(?=\n\n\w+\n--).*?\nRaises\n-+\n(.+)", doc, re.S).groups()
    named = re.findall(r"^(\w+(?:, \w+)*) :", parameters, re.M)
    assert {n for line in named for n in line.split(", ")} == {n for n, _, _ in roles(kernel)}
    assert "ValueError" in raises
    assert inspect.getdoc(getattr(reference, kernel))


# --- kernel = twin --------------------------------------------------------------------------


def test_kernel_equals_twin_around_every_border(kernel, dtype, rng, assert_twins):
    wide = COLUMNS if kernel.startswith("affine") else [5]
    shapes = itertools.product(rows_for(kernel), COLUMNS)
    if all(axes == "n" for _, _, axes in roles(kernel) if axes):  # elements in no rows
        shapes = [(n, 1) for n in [*range(131), 255, 256, 257, 513, 1025, 39_000]]
    for rows, n_out in shapes:
        for n_in in {wide[(rows + n_out) % len(wide)], wide[(3 * rows + n_out) % len(wide)]}:
            assert_twins(kernel, arguments(kernel, rng, dtype, rows, n_in, n_out))


@pytest.mark.parametrize("affine", ["affine_forward", "affine_backward"])
@pytest.mark.parametrize("rows", [1, 5, 33])
def test_affine_for_every_pair_of_columns(affine, rows, dtype, rng, assert_twins):
    for n_in, n_out in itertools.product(COLUMNS, COLUMNS):
        assert_twins(affine, arguments(affine, rng, dtype, rows, n_in, n_out))


@pytest.mark.parametrize("affine", ["affine_forward", "affine_backward"])
@pytest.mark.parametrize(
    "shape",
    [
        (1, 784, 50),
        (5, 511, 17),
        (6, 512, 33),
        (7, 513, 10),
        (253, 1025, 33),
        (5, 10, 513),
        (33, 48, 1025),
        (513, 17, 10),
        (1030, 33, 31),
        (600, 513, 514),
        (4096, 17, 5),
        (4097, 33, 31),
        (8200, 7, 34),
        (1030, 520, 1),
        (1030, 3, 5),
        (300, 1024, 512),
        (129, 257, 1024),
    ],
    ids=str,
)
def test_affine_beyond_one_block(affine, shape, dtype, rng, assert_twins):
    assert_twins(affine, arguments(affine, rng, dtype, *shape))


@pytest.mark.parametrize("affine", ["affine_forward", "affine_backward", "bias_sum", "transpose"])
@pytest.mark.parametrize("shape", [(0, 4, 3), (5, 0, 3), (5, 4, 0), (0, 0, 3), (0, 0, 0), (2, 0, 0)])
def test_affine_with_an_empty_axis(affine, shape, dtype, rng, assert_twins):
    assert_twins(affine, arguments(affine, rng, dtype, *shape))


def test_affine_backward_without_dx(dtype, rng, assert_twins):
    for rows, n in itertools.product(ROWS, [1, 10, 33]):
        args = arguments("affine_backward", rng, dtype, rows, 17, n, dx=None)
        with_dx = arguments("affine_backward", rng, dtype, rows, 17, n)
        assert_twins("affine_backward", args)
        got, whole = (run_kernel("affine_backward", {**args, "dx": dx}) for dx in (None, with_dx["dx"]))
        assert "dx" not in got
        assert got["dW"].tobytes() == whole["dW"].tobytes()
        assert got["db"].tobytes() == whole["db"].tobytes()


FLAGS = [
    *(
        (f"{row}_update", flags)
        for row in RULES
        for flags in ({"step": 1}, {"step": 10**6}, {"step": 2**40}, {"weight_decay": 0.0})
    ),
    *(
        (f"{row.name}_update", {"decoupled": True, **flags})
        for row in RULES.values()
        if row.decouples
        for flags in ({}, {"weight_decay": 0.0, "step": 1})
    ),
    *((f"{row.name}_update", {number: 0.0}) for row in RULES.values() for number in row.numbers if number != "eps"),
    ("batch_norm_forward", {"sample_variance": False}),
    ("batch_norm_forward", {"momentum": 0.0}),
    ("batch_norm_forward", {"momentum": 1.0}),
    ("leaky_relu_forward", {"slope": 0.0}),
    ("leaky_relu_backward", {"slope": 0.0}),
    ("dropout", {"ratio": 0.0}),
    ("dropout", {"ratio": 0.999999, "key": 2**64 - 1}),
    ("dropout", {"key": 0}),
    ("huber_loss_forward", {"delta": 0.0}),
    ("huber_loss_forward", {"delta": 1e3}),
    ("huber_loss_backward", {"delta": 0.0}),
    ("huber_loss_backward", {"delta": 1e3}),
    ("quantile_loss_forward", {"quantile": 0.0}),
    ("quantile_loss_backward", {"quantile": 1.0}),
    *((kernel, {"scale": 0.0}) for kernel in KERNELS if " scale" in KERNELS[kernel]),
]


@pytest.mark.parametrize("kernel, flags", FLAGS, ids=str)
def test_kernel_equals_twin_with_other_numbers(kernel, flags, dtype, rng, assert_twins):
    for rows, n_out in [(1, 1), (2, 3), (5, 17), (33, 31)]:
        assert_twins(kernel, arguments(kernel, rng, dtype, rows, n_out=n_out, **flags))


@given(
    kernel=st.sampled_from(sorted(KERNELS)),
    dtype=st.sampled_from([np.dtype("float32"), np.dtype("float64")]),
    rows=st.integers(0, 300),
    n_in=st.integers(1, 140),
    n_out=st.integers(1, 140),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_kernel_equals_twin_for_any_shape(kernel, dtype, rows, n_in, n_out, seed, assert_twins):
    rng = np.random.default_rng(seed)
    rows = max(rows, rows_for(kernel)[0])
    assert_twins(kernel, arguments(kernel, rng, dtype, rows, n_in, n_out))


def test_kernel_equals_twin_for_small_and_large_numbers(kernel, dtype, rng, assert_twins):
    for size in [1e-30, 1e-3, 50.0, 700.0, 1e30]:
        if kernel == "batch_norm_backward" and size == 1e30:
            continue  # overflows in both, each at its own place
        args = arguments(kernel, rng, dtype, 9, 5, 17)
        for name, role, _ in roles(kernel):
            if role in (":", "+"):
                args[name] *= dtype.type(size if kernel[:6] != "affine" else np.sqrt(size))
        with np.errstate(all="ignore"):
            assert_twins(kernel, args)


def test_special_numbers_spread_as_in_the_twin(kernel, dtype, rng, assert_twins):
    for special, rows in itertools.product([np.nan, np.inf, -np.inf, -0.0], [1, 3, 6, 33]):
        for name, role, _ in roles(kernel):
            if role not in (":", "+") and not (role == "%" and np.isnan(special)):
                continue
            args = arguments(kernel, rng, dtype, rows, 6, 18)
            args[name].flat[rng.integers(args[name].size)] = special
            with np.errstate(all="ignore"):
                assert_twins(kernel, args)


def test_a_class_of_probability_zero_costs_nothing(dtype, assert_twins):
    x = np.array([[0.0, -np.inf], [-np.inf, 3.0]], dtype)
    y = np.full((2, 2), np.nan, dtype)
    with np.errstate(all="ignore"):
        assert_twins("soft_cross_entropy_forward", {"x": x, "t": np.eye(2, dtype=dtype), "y": y})
    assert _kernels.soft_cross_entropy_forward(x, np.eye(2, dtype=dtype), y) == 0
    assert _kernels.softmax_cross_entropy_forward(x, np.array([0, 1]), y) == 0
    assert _kernels.softmax_cross_entropy_forward(x, np.array([1, 1]), y) == np.inf


def test_outputs_do_not_depend_on_what_they_held(kernel, dtype, rng):
    args = arguments(kernel, rng, dtype, 33, 17, 20)
    filled = {n: np.full_like(args[n], 1e9) for n, role, _ in roles(kernel) if role == ">"}
    first, second = run_kernel(kernel, args), run_kernel(kernel, {**args, **filled})
    for name in outputs(kernel):
        assert first[name].tobytes() == second[name].tobytes()
    assert first["return"] == second["return"]


def test_kernels_run_in_several_threads_at_once(dtype, rng):
    args = arguments("affine_backward", rng, dtype, 100, 60, 50)
    alone = run_kernel("affine_backward", args)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: run_kernel("affine_backward", args), range(40)))
    for results in together:
        assert all(results[n].tobytes() == alone[n].tobytes() for n in ("dx", "dW", "db"))


# --- in place -------------------------------------------------------------------------------

IN_PLACE = [
    *((f"{a}_forward", "x") for a in (*ACTIVATIONS, "softmax")),
    *((f"{a}_backward", name) for a in ACTIVATIONS for name in ("dout", "read")),
    ("dropout", "x"),
    ("poisson_loss_forward", "x"),
    ("sigmoid_loss_forward", "x"),
    *((f"{a}_cross_entropy_forward", "x") for a in ("softmax", "soft")),
    *((f"{a}_cross_entropy_backward", "y") for a in ("softmax", "soft")),
    ("soft_cross_entropy_backward", "t"),
    *((f"{a}_loss_backward", name) for a in LOSSES for name in "yt"),
]


@pytest.mark.parametrize("kernel, over", IN_PLACE)
def test_elementwise_kernels_may_write_over_an_input(kernel, over, dtype, rng):
    (output,) = outputs(kernel)
    for rows in (1, 2, 5, 33):
        args = arguments(kernel, rng, dtype, rows, n_out=19)
        apart = run_kernel(kernel, args)
        value = named(_kernels, kernel)(*{**args, output: args[over]}.values())
        assert value == apart["return"]
        assert args[over].tobytes() == apart[output].tobytes()


# --- refusals -------------------------------------------------------------------------------


def unaligned(array):
    memory = bytearray(array.nbytes + 1)
    moved = np.frombuffer(memory, array.dtype, array.size, offset=1).reshape(array.shape)
    moved[...] = array
    return moved


def every_other(array):
    wide = np.repeat(array, 2, axis=-1)
    return wide[..., ::2]


SPOILERS = {
    "strided": every_other,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "Fortran": lambda a: np.asfortranarray(a) if a.ndim == 2 else every_other(a),
    "unaligned": unaligned,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "other float": lambda a: a.astype({4: "f8", 8: "f4"}[a.itemsize]),
    "float16": lambda a: a.astype("f2"),
    "integers": lambda a: np.zeros(a.shape, "i4"),
    "complex": lambda a: a.astype("c16"),
    "object": lambda a: a.astype(object),
    "longer": lambda a: np.concatenate([a, a[:1]]),
    "shorter": lambda a: a[:-1],
    "wider": lambda a: np.hstack([a, a[..., :1]]),
    "one more axis": lambda a: a[np.newaxis],
    "no axis": lambda a: a.reshape(-1)[0],
    "flat": lambda a: a.reshape(-1) if a.ndim == 2 else a[:, np.newaxis],
    "a list": lambda a: a.tolist(),
    "None": lambda a: None,
    "empty": lambda a: a[:0],
}


def test_kernel_refuses_a_bad_array(kernel, dtype, rng):
    accepted = []
    for name, spoiler in itertools.product(arrays(kernel), SPOILERS):
        if spoiler == "None" and (kernel, name) in NONE_ALLOWED:
            continue
        if spoiler in ("longer", "shorter", "empty") and (kernel, name) == ("bias_sum", "dout"):
            continue  # any number of rows will do
        args = arguments(kernel, rng, dtype)
        bad = {**args, name: SPOILERS[spoiler](args[name])}
        before = {n: a.tobytes() for n, a in bad.items() if isinstance(a, np.ndarray)}
        try:
            named(_kernels, kernel)(*bad.values())
        except (ValueError, TypeError, BufferError) as error:
            assert str(error), f"{kernel} with {name} {spoiler} says nothing"
        else:
            accepted.append(f"{name}: {spoiler}")
            continue
        for n, bytes_ in before.items():
            assert bad[n].tobytes() == bytes_, f"{kernel} with {name} {spoiler} changed {n}"
    assert not accepted


def test_kernel_refuses_a_read_only_output(kernel, dtype, rng):
    for name in outputs(kernel):
        args = arguments(kernel, rng, dtype)
        args[name].flags.writeable = False
        before = {n: a.tobytes() for n, a in args.items() if isinstance(a, np.ndarray)}
        with pytest.raises((ValueError, BufferError), match=r"read-only|not writable"):
            named(_kernels, kernel)(*args.values())
        assert all(args[n].tobytes() == b for n, b in before.items())


def overlapping(a_shape, b_shape, dtype, shift):
    """Two arrays in one memory, the second `shift` elements on."""
    a_size, b_size = int(np.prod(a_shape)), int(np.prod(b_shape))
    memory = np.full(max(a_size, shift + b_size), 0.25, dtype)
    a, b = memory[:a_size], memory[shift : shift + b_size]
    return a.reshape(a_shape), b.reshape(b_shape), memory


def test_kernel_refuses_an_output_over_part_of_another_array(kernel, dtype, rng):
    for output, other in itertools.product(outputs(kernel), arrays(kernel)):
        args = arguments(kernel, rng, dtype)
        a, b = args[other], args[output]
        if other == output or a.dtype != dtype:
            continue
        same_is_fine = (kernel, other) in [*IN_PLACE, ("sigmoid_loss_forward", "t"), ("poisson_loss_forward", "t")]
        for shift in [1, a.size - 1] if same_is_fine else [0, 1, a.size - 1]:
            args[other], args[output], memory = overlapping(a.shape, b.shape, dtype, shift)
            with pytest.raises(ValueError, match=r"overlap|not t"):
                named(_kernels, kernel)(*args.values())
            assert (memory == 0.25).all()
            args[output], args[other], memory = overlapping(b.shape, a.shape, dtype, shift)
            if shift < b.size:
                with pytest.raises(ValueError, match=r"overlap|not t"):
                    named(_kernels, kernel)(*args.values())
                assert (memory == 0.25).all()


def test_kernel_takes_arrays_that_only_touch(kernel, dtype, rng):
    for output, other in itertools.product(outputs(kernel), arrays(kernel)):
        args = arguments(kernel, rng, dtype)
        a, b = args[other], args[output]
        if other == output or a.dtype != dtype:
            continue
        expected = run_kernel(kernel, args)
        first, second, _ = overlapping(a.shape, b.shape, dtype, a.size)
        first[...], second[...] = a, b
        named(_kernels, kernel)(*{**args, other: first, output: second}.values())
        assert second.tobytes() == expected[output].tobytes()


@pytest.mark.parametrize("kernel", ["softmax_cross_entropy_forward", "softmax_cross_entropy_backward"])
@pytest.mark.parametrize("index", [-1, 3, 2**31, -(2**63), 2**63 - 1])
def test_class_index_out_of_range_is_refused(kernel, index, dtype, rng):
    args = arguments(kernel, rng, dtype, rows=7, n_out=3)
    args["t"][4] = index
    for module in (_kernels, reference):
        with pytest.raises(ValueError, match=rf"class indices 0\.\.2; got {index} at row 4"):
            named(module, kernel)(*args.values())
        assert np.isnan(args[outputs(kernel)[0]]).all()


BAD_NUMBERS = [
    ("dropout", {"ratio": 1.0}),
    ("dropout", {"ratio": -0.1}),
    ("dropout", {"ratio": float("nan")}),
    *((f"{row}_update", {"step": step}) for row in RULES for step in (0, -3)),
    *((f"{row.name}_update", {"decoupled": True}) for row in RULES.values() if not row.decouples),
    (
        "batch_norm_forward",
        {"x": np.empty((0, 3), "f4"), "out": np.empty((0, 3), "f4"), "normal": np.empty((0, 3), "f4")},
    ),
]


@pytest.mark.parametrize("kernel, numbers", BAD_NUMBERS, ids=str)
def test_kernel_refuses_a_bad_number(kernel, numbers, rng):
    args = arguments(kernel, rng, np.dtype("f4"), **numbers)
    before = {n: a.tobytes() for n, a in args.items() if isinstance(a, np.ndarray)}
    with pytest.raises(ValueError, match="expects"):
        named(_kernels, kernel)(*args.values())
    assert all(args[n].tobytes() == b for n, b in before.items())


def test_dropout_keys_are_those_of_the_twin(rng):
    numbers = [0, 1, 2, 2**32, 2**63, 2**64 - 1, *map(int, rng.integers(0, 2**63, 20))]
    keys = set()
    for seed, step, layer in zip(numbers, numbers[1:], numbers[2:], strict=False):
        for arguments_ in ((seed, step, layer), (seed, step, 0), (seed, 0, layer), (0, step, 1)):
            keys.add(_kernels.dropout_key(*arguments_))
            assert _kernels.dropout_key(*arguments_) == reference.dropout_key(*arguments_)
    assert len(keys) > 3 * len(numbers)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 0.9])
def test_dropout_leaves_out_its_share_without_a_pattern(ratio, dtype):
    n, x = 200_000, np.ones(200_000, dtype)
    masks = np.empty((4, n), dtype)
    for step, mask in enumerate(masks):
        _kernels.dropout(x, mask, _kernels.dropout_key(7, step, 0), ratio)
    kept = masks != 0
    np.testing.assert_allclose(masks[kept], 1 / (1 - ratio), rtol=1e-6)
    deviation = 5 * np.sqrt(ratio * (1 - ratio) / n)
    assert (np.abs(kept.mean(axis=1) - (1 - ratio)) <= deviation).all()
    if ratio:
        for a, b in [(kept[0], kept[1]), (kept[2], kept[3]), (kept[0][:-1], kept[0][1:])]:
            assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(n)


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k.startswith("softmax")])
def test_softmax_without_classes_is_refused(kernel, dtype, rng):
    with pytest.raises(ValueError):
        named(_kernels, kernel)(*arguments(kernel, rng, dtype, n_out=0).values())


GUARD_PAGE = """
import ctypes, importlib.util, itertools, mmap, sys
import numpy as np
sys.path.append(sys.argv[1].rpartition("test_kernels")[0])
spec = importlib.util.spec_from_file_location("test_kernels", sys.argv[1])
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
page = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)

def at_the_end(array):
    pages = -(-array.nbytes // page) or 1
    memory = mmap.mmap(-1, (pages + 1) * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert libc.mprotect(ctypes.c_void_p(start + pages * page), ctypes.c_size_t(page), 0) == 0
    placed = np.frombuffer(memory, array.dtype, array.size, pages * page - array.nbytes)
    placed = placed.reshape(array.shape)
    placed[...] = array
    return placed

rng = np.random.default_rng(0)
for kernel, dtype in itertools.product(tests.KERNELS, (np.dtype("f4"), np.dtype("f8"))):
    for shape in [(1, 17, 33), (3, 33, 17), (5, 10, 10), (33, 50, 65), (600, 31, 3)]:
        args = tests.arguments(kernel, rng, dtype, *shape)
        for name in tests.arrays(kernel):
            args[name] = at_the_end(args[name])
        tests.named(tests._kernels, kernel)(*args.values())
print("in bounds")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
def test_no_kernel_reads_or_writes_beyond_its_arrays(run_python):
    done = run_python("-c", GUARD_PAGE, __file__)
    assert done.stdout == "in bounds\n", f"exit status {done.returncode}: {done.stderr[-2000:]}"


@pytest.mark.parametrize("n_out", [512, 1024, 1030, 2051])
@pytest.mark.parametrize("rows", [15, 16, 70])
def test_affine_forward_of_rows_of_W_that_are_pages_apart(rows, n_out, dtype, rng, assert_twins):
    for n_in in (5, 600):
        args = arguments("affine_forward", rng, dtype, rows, n_in, n_out)
        assert_twins("affine_forward", args)
