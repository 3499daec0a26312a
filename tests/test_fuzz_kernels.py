"""Every kernel against its twin, for drawn shapes, dtypes, memory, flags and numbers.

The twin runs in a wider dtype.  A kernel may be as far from it as inputs that are wrong by a
few roundings would bring it.
"""

import dataclasses
import inspect
import math
import re

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from kernel_names import FAMILIES, named, update_arguments

from fastbp import _kernels, reference
from fastbp.operations.activations import ACTIVATIONS
from fastbp.operations.losses import LOSSES
from fastbp.operations.rules import RULES

# The arguments in order: name, role, axes, /inputs that an output may be.
# Roles: `:` numbers, `#` class indices, `%` between 0 and 1 (rows that sum to 1, where axes are
# two), `^` never negative, `>` output, `+` numbers updated in place, `*` likewise, never
# negative, `?` may be None; the rest are scalars.  Axes: r rows, i inputs, o outputs, n any.
# A `!` stands before kernels that only choose, subtract and scale: they err by a rounding.
TABLE = """
affine_forward x:ri W:io b:o out>ro
affine_backward dout:ro x:ri W:io dx>ri? dW>io db>o
bias_sum dout:ro db>o
!transpose x:ri out>ir
!dropout x:n out>n/x key ratio
batch_norm_forward x:ro gamma:o beta:o out>ro normal>ro inverse>o running_mean+o running_var*o \
eps momentum sample_variance
batch_norm_backward dout:ro normal:ro inverse^o gamma:o dx>ro dgamma>o dbeta>o
softmax_forward x:ro y>ro/x
softmax_cross_entropy_forward x:ro t#r y>ro/x
!softmax_cross_entropy_backward y:ro t#r scale dx>ro/y
soft_cross_entropy_forward x:ro t%ro y>ro/x
!soft_cross_entropy_backward y:ro t%ro scale dx>ro/y/t
"""


def reals(least, most):
    """Numbers that float32 holds."""
    return st.floats(least, most, width=32, allow_subnormal=False)


share = st.sampled_from([0.0, 1e-3, 0.5, 0.9, 0.999])
SCALARS = {
    "slope": reals(0, 2),
    "beta": reals(0.125, 4),
    "threshold": reals(-3, 20),
    "below": reals(-2, 2),
    "low": reals(-3, 0),
    "high": reals(0, 3),
    "at": reals(-2, 2),
    "value": reals(-2, 2),
    "none": st.none(),
    "scale": reals(-3, 3) | st.sampled_from([0.0, 1.0, 1 / 7]),
    "delta": st.sampled_from([0.0, 0.3, 1.0, 1e3, math.inf]),
    "quantile": reals(0, 1),
    "ratio": reals(0, 0.9990000128746033),
    "key": st.integers(0, 2**64 - 1),
    "lr": reals(0, 1),
    "momentum": share | st.just(1.0),
    "dampening": share,
    "weight_decay": st.sampled_from([0.0, 1e-4, 0.3]),
    "lr_decay": share,
    "beta_1": share,
    "beta_2": share,
    "eps": st.sampled_from([1e-8, 1e-5, 0.1]),
    "alpha": share | st.just(1.0),
    "momentum_decay": st.sampled_from([0.0, 0.004, 1.0]),
    "decoupled": st.booleans(),
    "step": st.integers(1, 20) | st.integers(1, 2**40),
    "sample_variance": st.booleans(),
}
#: Around the widths of vectors, panels and tiles.
SIZES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65]
WIDER = {"float32": np.float64, "float64": np.longdouble}
FENCE = 128  # bytes of NaN on either side of an array


@dataclasses.dataclass
class Argument:
    name: str
    role: str | None
    axes: str
    may_be_none: bool
    may_be: list

    @property
    def is_output(self):
        return self.role in (">", "+", "*")


def _parsed(line):
    name, *words = line.lstrip("!").split()
    form = re.compile(r"(\w+?)(?:([:#%^>+*])(\w+)(\??)((?:/\w+)*))?")
    found = [form.fullmatch(word).groups() for word in words]
    return name, [
        Argument(n, role, axes or "", bool(none), (others or "").split("/")[1:])
        for n, role, axes, none, others in found
    ]


#: Rows of the activations that only choose.
CHOOSE = ("relu", "identity", "leaky_relu", "hardtanh", "threshold")
for row in ACTIVATIONS.values():
    mark, numbers = "!" * (row.name in CHOOSE), " ".join(row.numbers)
    TABLE += f"{mark}{row.name}_forward x:n out>n/x {numbers}\n"
    TABLE += f"{mark}{row.name}_backward dout:n read:n dx>n/dout/read {numbers}\n"
#: Those of the losses whose slopes only choose, subtract and scale.
LOSSES_THAT_CHOOSE = ("squared", "absolute", "huber", "quantile", "hinge", "sigmoid", "poisson")
for row in LOSSES.values():
    t, y = "t" + {"shares": "%", "bits": "%", "rates": "^"}.get(row.targets, ":") + "n", "y:n"
    numbers = " ".join(row.numbers)
    mark = "!" * (row.name in LOSSES_THAT_CHOOSE)
    TABLE += f"{row.name}_loss_forward x:n {t} {'y>n/x' if row.kept else 'none'} {numbers}\n"
    TABLE += f"{mark}{row.name}_loss_backward {y} {t} scale dx>n/y/t {numbers}\n"
for row in RULES.values():
    TABLE += f"{row.name}_update {update_arguments(row)}\n"
KERNELS = dict(map(_parsed, TABLE.strip().splitlines()))
ROUNDS_ONCE = {line[1:].split()[0] for line in TABLE.splitlines() if line.startswith("!")}

# --- a drawn call ---------------------------------------------------------------------------

#: What the numbers of an array are like.
NUMBERS = ["normal", "whole", "zero", "huge", "tiny", "wide", "special", "one"]
#: Where an array lies: after so many elements of its own, for the first two.
PLACES = ["plain", "read-only"]
#: Where no kernel takes it; an output also not where it is read-only.
BAD_PLACES = ["off by bytes", "every other", "backwards", "other order", "other bytes", "other"]


@dataclasses.dataclass
class Call:
    """A kernel's arguments: of each array what it holds and how it lies in memory."""

    dtype: str
    sizes: dict
    seed: int
    scalars: dict
    numbers: dict
    places: dict = dataclasses.field(default_factory=dict)
    offsets: dict = dataclasses.field(default_factory=dict)
    none: list = dataclasses.field(default_factory=list)
    over: dict = dataclasses.field(default_factory=dict)  # output: the input that it is


@st.composite
def calls(draw, kernel):
    arguments = KERNELS[kernel]
    sizes = {axis: draw(st.sampled_from(SIZES) | st.integers(0, 140)) for axis in "rion"}
    if kernel.startswith("batch_norm"):
        sizes["r"] = max(sizes["r"], 1)
    if kernel.startswith("soft"):
        sizes["o"] = max(sizes["o"], 1)
    arrays = [a for a in arguments if a.role]
    call = Call(
        draw(st.sampled_from(["float32", "float64"])),
        sizes,
        draw(st.integers(0, 2**32 - 1)),
        {a.name: draw(SCALARS.get(a.name, reals(0, 2))) for a in arguments if not a.role},
        {a.name: draw(st.sampled_from(NUMBERS)) for a in arrays},
    )
    for a in arrays:
        call.places[a.name] = draw(st.sampled_from(PLACES[: 1 if a.is_output else 2]))
        call.offsets[a.name] = draw(st.integers(0, 63))
        if a.may_be_none and draw(st.booleans()):
            call.none.append(a.name)
            if a.name == "velocity" and draw(st.integers(0, 3)):
                call.scalars["momentum"] = 0.0  # which goes without one
        elif a.may_be and draw(st.integers(0, 3)) == 0:
            call.over[a.name] = draw(st.sampled_from(a.may_be))
            call.places[call.over[a.name]] = "plain"
    if draw(st.integers(0, 4)) == 0:
        a = draw(st.sampled_from([a for a in arrays if a.name not in call.none]))
        call.places[a.name] = draw(st.sampled_from(BAD_PLACES + a.is_output * ["read-only"]))
        call.over = {}
    return call


def _values(rng, kind, shape, dtype, argument):
    """Numbers of one kind, as the argument's role has them."""
    top = {"float32": 30, "float64": 290}[dtype.name]
    x = rng.standard_normal(shape)
    if argument.role == "%":
        t = rng.choice([0, 1, *rng.random(3)], shape) if kind != "normal" else rng.random(shape)
        if len(shape) == 2:
            t[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] += 0.5
            t /= t.sum(axis=1, keepdims=True)
        return t.astype(dtype)
    if kind == "whole":
        x = rng.integers(-2, 3, shape).astype(float)
    elif kind in ("zero", "one"):
        x = np.full(shape, float(kind == "one"))
    elif kind == "huge":
        x *= 10 ** rng.uniform(top / 3, top, shape)
    elif kind == "tiny":
        x *= 10 ** rng.uniform(-top - 20, -top, shape)
    elif kind == "wide":
        x *= 10 ** rng.uniform(-top / 3, top / 3, shape)
    elif kind == "special":
        odd = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 80.0, -80.0, 1e3], shape)
        x = np.where(rng.random(shape) < 0.1, odd, x)
    with np.errstate(all="ignore"):
        x = x.astype(dtype)
    return np.abs(x) if argument.role in ("^", "*") else x


def contents(kernel, call):
    """The arguments as plain arrays; outputs hold NaN."""
    rng, dtype = np.random.default_rng(call.seed), np.dtype(call.dtype)
    made = {}
    for a in KERNELS[kernel]:
        shape = tuple(call.sizes[axis] for axis in a.axes)
        if not a.role:
            made[a.name] = call.scalars[a.name]
        elif a.name in call.none:
            made[a.name] = None
        elif a.role == ">":
            made[a.name] = np.full(shape, np.nan, dtype)
        elif a.role == "#":
            made[a.name] = rng.integers(0, call.sizes["o"], shape)
        else:
            kind = call.numbers[a.name]
            if a.name in ("param", "gamma", "inverse") and (
                kind == "special" or (kind == "tiny" and "special" in call.numbers.values())
            ):
                kind = "wide"  # inf times what is 0 but for rounding may be anything
            made[a.name] = _values(rng, kind, shape, dtype, a)
    return made


def placed(array, place, offset):
    """The array as it is to lie in memory, that memory, and where in it the array begins."""
    dtype, shape = array.dtype, array.shape
    if place == "other":
        dtype = np.dtype({"f4": "f8", "f8": "f4", "i8": "i4"}[dtype.str[1:]])
    elif place == "other bytes":
        dtype = dtype.newbyteorder(">")
    elif place == "every other":
        shape = (*shape[:-1], 2 * shape[-1])
    size = math.prod(shape) * dtype.itemsize
    memory = np.full(2 * FENCE + 64 * dtype.itemsize + size, 0xFF, np.uint8)
    start = FENCE + -(memory.ctypes.data + FENCE) % 64
    start += offset * (1 if place == "off by bytes" else dtype.itemsize)
    made = np.ndarray(shape, dtype, memory, start, order="F" if place == "other order" else "C")
    if place == "every other":
        made = made[..., ::2]
    elif place == "backwards":
        made = made[::-1]
    with np.errstate(all="ignore"):
        made[...] = array
    made.flags.writeable = place != "read-only"
    return made, memory, start


def fits(array, argument, dtype):
    """Whether a kernel has to take the array."""
    if array.dtype != (np.int64 if argument.role == "#" else dtype):
        return False
    return array.flags.carray if argument.is_output else array.flags.c_contiguous and (array.flags.aligned)


# --- what has to come of it -----------------------------------------------------------------


def run_twin(kernel, args, dtype):
    args = {
        name: value.astype(dtype if value.dtype.kind == "f" else value.dtype)
        if isinstance(value, np.ndarray)
        else value
        for name, value in args.items()
    }
    results = {"return": named(reference, kernel)(*args.values())}
    written = (a.name for a in KERNELS[kernel] if a.is_output and args[a.name] is not None)
    return results | {name: args[name] for name in written}


def in_range(kernel, args, dtype):
    """The twin's results in the kernel's dtype; None beyond its range, where the order decides."""
    try:
        with np.errstate(all="ignore", over="raise"):
            return run_twin(kernel, args, dtype)
    except FloatingPointError:
        return None


def spreads(kernel, args, exact, own, dtype):
    """How far the twin in its own dtype is off, and where each input is wrong by a rounding."""
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    widest = {name: np.zeros(np.shape(value)) for name, value in exact.items() if value is not None}

    def wrong(name, value):
        real = name == "momentum" or (isinstance(value, np.ndarray) and value.dtype.kind == "f")
        signs = rng.choice(np.array([-1, 1], WIDER[dtype.name]), np.shape(value))
        return value * (1 + eps * signs) if real else value

    for k in range(9 * (kernel not in ROUNDS_ONCE)):
        moved = {name: wrong(name, value) for name, value in args.items()}
        for name, value in (run_twin(kernel, moved, WIDER[dtype.name]) if k else own).items():
            if value is not None:
                widest[name] = np.fmax(widest[name], np.abs(value - exact[name]))
    return widest


def assert_near(name, got, exact, spread, roundings, smallest, dtype):
    """Within some roundings and the spread of 64 in the inputs; NaN and inf stand alike."""
    info = np.finfo(dtype)
    got, exact = np.asarray(got, WIDER[dtype.name]), np.asarray(exact, WIDER[dtype.name])
    assert got.shape == exact.shape
    bound = roundings * info.eps * np.abs(exact) + 64 * spread + smallest
    near = np.isfinite(exact) & (np.abs(got - exact) <= bound)
    same = (got == exact) | (np.isnan(got) & np.isnan(exact))
    out_of_range = np.isfinite(exact) & (np.abs(exact) > info.max / 64)
    good = near | same | out_of_range
    if not good.all():
        at = tuple(int(i) for i in np.argwhere(~good)[0])
        raise AssertionError(
            f"{np.count_nonzero(~good)} of {good.size} numbers of {name} are off, the first at "
            f"{at}: {got[at]!r} for {exact[at]!r}, which may be off by {bound[at]:.3g}"
        )


def check(kernel, call):
    dtype, arguments = np.dtype(call.dtype), {a.name: a for a in KERNELS[kernel]}
    args = contents(kernel, call)
    plain = dict(args)
    memories = {}
    for name, value in args.items():
        if isinstance(value, np.ndarray) and name not in call.over:
            made = placed(value, call.places.get(name, "plain"), call.offsets.get(name, 0))
            args[name], *memories[name] = made
    for name, other in call.over.items():
        args[name] = args[other]
    before = {name: memory.tobytes() for name, (memory, _) in memories.items()}
    taken = [fits(args[name], arguments[name], dtype) for name in memories]
    with np.errstate(all="ignore"):
        try:
            exact = run_twin(kernel, plain, WIDER[dtype.name])
        except ValueError:  # the numbers do not go together
            taken.append(False)
    try:
        value = named(_kernels, kernel)(*args.values())
    except (ValueError, TypeError, BufferError) as error:
        event("refused")
        assert not all(taken), error
        assert len(str(error)) > 10
        for name, (memory, _) in memories.items():
            assert memory.tobytes() == before[name], f"{kernel} refused, but wrote to {name}"
        return
    assert False not in taken, f"{kernel} took {call.places}"

    written = {call.over.get(name, name) for name, a in arguments.items() if a.is_output}
    for name, (memory, start) in memories.items():
        end = start + args[name].nbytes * (name in written)
        after = memory.tobytes()
        assert after[:start] == before[name][:start], f"{kernel} wrote before {name}"
        assert after[end:] == before[name][end:], f"{kernel} wrote to or behind {name}"
    with np.errstate(all="ignore"):
        own = in_range(kernel, plain, dtype)
        if own is None:
            event("overflows")
            return
        spread = spreads(kernel, plain, exact, own, dtype)
        info = np.finfo(dtype)
        if kernel in ROUNDS_ONCE:
            room = 8, 2 * info.smallest_subnormal
        else:  # sums have their roundings too, and parts of them may be subnormal
            terms = max(max(a.shape, default=0) for a in plain.values() if np.ndim(a))
            room = 8 + terms, 1e4 * info.tiny
        for name, expected in exact.items():
            got = value if name == "return" else args[name]
            if expected is None:
                assert got is None
            else:
                assert_near(name, got, expected, spread[name], *room, dtype)


# --- tests ----------------------------------------------------------------------------------


def test_the_table_holds_every_kernel_and_its_arguments():
    own = {name: arguments for name, arguments in KERNELS.items() if hasattr(_kernels, name)}
    families = {f"{f}_{way}" for f in FAMILIES for way in ("forward", "backward")}
    alone = {"update", "dropout_key", "epoch_order", "embedding_forward", "embedding_backward"}
    assert {*own, *families, *alone} == set(_kernels.__all__)
    for kernel, arguments in own.items():
        names = list(inspect.signature(getattr(_kernels, kernel)).parameters)
        assert [a.name for a in arguments] == names


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_does_as_its_twin_for_any_call(kernel):
    twice = settings(max_examples=2 * settings.default.max_examples)  # they are quick
    twice(given(calls(kernel))(lambda call: check(kernel, call)))()


#: What failed once: the kernel, its sizes, and what else the call has.
PAST = [
    # An empty array is aligned wherever it lies.
    ("relu_backward", {"n": 0}, {"places": {"dout": "off by bytes"}, "offsets": {"dout": 1}}),
    ("affine_forward", {"r": 0, "i": 3, "o": 4}, {"places": {"x": "off by bytes"}, "offsets": {"x": 3}}),
    ("softmax_cross_entropy_forward", {"r": 0, "o": 3}, {"places": {"t": "off by bytes"}, "offsets": {"t": 5}}),
    ("adam_update", {"n": 0}, {"places": {"exp_avg": "off by bytes"}, "offsets": {"exp_avg": 7}}),
    # Without elements there may be no memory.
    ("affine_backward", {"r": 0, "i": 0, "o": 0}, {}),
    ("affine_backward", {"r": 5, "i": 3, "o": 0}, {"none": ["dx"]}),
    ("softmax_forward", {"r": 0, "o": 1}, {}),
    # The gradients of a batch of one row cancel.
    ("batch_norm_backward", {"r": 1, "o": 13}, {"dtype": "float32", "seed": 1}),
    # Tiny numbers may multiply to 0, and inf times it is NaN.
    (
        "batch_norm_backward",
        {"r": 1, "o": 1},
        {"dtype": "float32", "numbers": {"dout": "normal", "normal": "special", "inverse": "tiny", "gamma": "tiny"}},
    ),
    # A few rows, and columns that barely begin a vector, go by paths of their own.
    ("affine_backward", {"r": 4, "i": 65, "o": 17}, {"dtype": "float32"}),
    ("affine_forward", {"r": 5, "i": 512, "o": 50}, {"dtype": "float32"}),
    ("affine_forward", {"r": 7, "i": 513, "o": 33}, {}),
]
DEFAULTS = {
    "slope": 0.2,
    "scale": 0.5,
    "delta": 1.0,
    "quantile": 0.8,
    "ratio": 0.3,
    "key": 1,
    "lr": 0.1,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 0.3,
    "alpha": 0.9,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "eps": 1e-5,
    "decoupled": True,
    "step": 3,
    "sample_variance": True,
}


@pytest.mark.parametrize("kernel, sizes, others", PAST, ids=str)
def test_what_failed_once(kernel, sizes, others):
    numbers = {a.name: "normal" for a in KERNELS[kernel] if a.role}
    call = Call("float64", dict.fromkeys("rion", 0) | sizes, 0, DEFAULTS, numbers)
    check(kernel, dataclasses.replace(call, **others))


@given(st.tuples(*[st.integers(0, 2**64 - 1)] * 3))
def test_a_key_of_dropout_is_its_twins(numbers):
    assert _kernels.dropout_key(*numbers) == reference.dropout_key(*numbers)


@given(st.data())
def test_rows_of_tables(data):
    """Tables of any sizes, and rows from anywhere in them; behind them an output stays as it is."""
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    sizes = np.array(data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    widths = np.array([data.draw(st.sampled_from([1, 2, 3, 4, 7, 8, 9, 16, 17, 33])) for _ in sizes], np.int64)
    rows, more = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    begins = np.cumsum([0, *(sizes * widths)])
    W = rng.standard_normal(begins[-1]).astype(dtype)
    places = np.ascontiguousarray((rng.integers(0, sizes, (rows, len(sizes))) * widths + begins[:-1]).astype(np.int64))
    width = int(widths.sum()) + more
    for of in (_kernels, reference):
        out, dout = np.full((rows, width), 7, dtype), np.ones((rows, width), dtype)
        of.embedding_forward(W, places, widths, out)
        expected = [np.concatenate([W[b : b + w] for b, w in zip(row, widths, strict=True)]) for row in places]
        assert np.array_equal(out[:, : width - more], np.array(expected, dtype).reshape(rows, width - more))
        assert np.all(out[:, width - more :] == 7)
        dW = np.full(len(W), 7, dtype)
        of.embedding_backward(dout, places, widths, dW)
        counts = np.zeros(len(W))
        for row in places:
            for begin, w in zip(row, widths, strict=True):
                counts[begin : begin + w] += 1
        assert np.array_equal(dW, counts)
