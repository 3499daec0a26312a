"""Random tensors, drawn from a generator of fastbp's own: its stream is not PyTorch's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from fastbp import checks, dtypes
from fastbp._kernels import autograd as core
from fastbp.autograd.factories import like
from fastbp.autograd.shapes import sizes, sizes_given
from fastbp.autograd.tensor import named, on_cpu, to_array

if TYPE_CHECKING:
    from fastbp._typing import Array, Device, DTypeLike, Number, Shape, TensorFunction, TensorLike
    from fastbp.autograd.tensor import Tensor


class Generator:
    """A stream of random numbers.

    Parameters
    ----------
    device : "cpu"

    Examples
    --------
    >>> rand(2, generator=Generator().manual_seed(1)).shape
    fastbp.Size([2])
    """

    def __init__(self, device: Literal["cpu"] = "cpu") -> None:
        on_cpu("Generator", device)
        self.seed()

    def manual_seed(self, seed: int) -> Self:
        """Start the stream that belongs to a number."""
        self._seed = checks.integer("manual_seed", "seed", seed, -(2**63), checks.MOST_SEED)
        self.rng: np.random.Generator = np.random.default_rng(self._seed % 2**64)
        return self

    def seed(self) -> int:
        """Start a stream that nobody knows; the number it belongs to."""
        self.manual_seed(int(np.random.SeedSequence().generate_state(1)[0]))
        return self._seed

    def initial_seed(self) -> int:
        """The number that the stream belongs to."""
        return self._seed


default_generator: Generator = Generator()


def stream(generator: Generator | None) -> np.random.Generator:
    """The numpy.random.Generator of a Generator, or of the one that all share."""
    if generator is None:
        return default_generator.rng
    return checks.instance("A random function", "generator", generator, Generator, "a fastbp.Generator").rng


def manual_seed(seed: int) -> Generator:
    """Start all random functions anew, at the stream that belongs to `seed`.

    The numbers are not those that PyTorch draws for the same seed.

    Examples
    --------
    >>> _ = manual_seed(0); a = rand(3)
    >>> _ = manual_seed(0); bool((a == rand(3)).all())
    True
    """
    return default_generator.manual_seed(seed)


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Nothing has to be changed: a seed gives the same bits again, with one number of threads.

    Parameters
    ----------
    mode, warn_only : bool

    Examples
    --------
    >>> use_deterministic_algorithms(True)
    """
    checks.flag("use_deterministic_algorithms", "mode", mode)
    checks.flag("use_deterministic_algorithms", "warn_only", warn_only)


def seed() -> int:
    """Start all random functions anew, at a stream that nobody knows."""
    return default_generator.seed()


def initial_seed() -> int:
    """The number that the stream of all random functions belongs to."""
    return default_generator.initial_seed()


def _float_dtype(who, dtype):
    dtype = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(who, dtype)
    if not dtype.is_floating_point:
        raise RuntimeError(f"{who} expects a floating point dtype; got {dtype!r}.")
    return dtype


def _settled(kind, requires_grad):
    """Whether a gradient is wanted, refused where it cannot be before anything is drawn."""
    return requires_grad and core.new(np.empty(0, kind.dtype), requires_grad).requires_grad


def _drawn(name, draw, doc):
    def function(*shape, size=None, dtype=None, requires_grad=False, device=None, generator=None):
        on_cpu(name, device)
        kind = _float_dtype(name, dtype)
        requires_grad = _settled(kind, requires_grad)
        numbers = draw(stream(generator), sizes_given(name, shape, size), kind.dtype)
        return core.new(np.asarray(numbers, kind.dtype), requires_grad)

    return named(function, name, doc)


def _in(dtype):
    """The dtype that NumPy draws in."""
    return dtype if dtype.itemsize >= 4 else np.float32


rand: TensorFunction = _drawn(
    "rand", lambda rng, shape, dtype: rng.random(shape, _in(dtype)), "Numbers drawn evenly from [0, 1), of a shape."
)
randn: TensorFunction = _drawn(
    "randn",
    lambda rng, shape, dtype: rng.standard_normal(shape, _in(dtype)),
    "Numbers drawn from the standard normal distribution, of a shape.",
)


def randint(
    low: Any = None,
    high: Any = None,
    size: Shape | None = None,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device = None,
    generator: Generator | None = None,
) -> Tensor:
    """Integers drawn evenly from [low, high), of shape `size`.

    ``randint(high, size)`` draws from 0 on, and so does ``randint(high, size=size)``.

    Examples
    --------
    >>> randint(9, size=(2,)).shape, randint(3, 9, (2,)).shape, randint(9, (2,)).shape
    (fastbp.Size([2]), fastbp.Size([2]), fastbp.Size([2]))
    """
    if size is None:
        high, size = (low, high) if low is not None else (high, None)
        low = 0
    elif high is None:
        low, high = 0, low
    if low is None:
        low = 0
    if high is None or size is None:
        raise TypeError("randint expects high and size; got one of them or none.")
    if not hasattr(size, "__iter__"):
        raise TypeError(f"randint expects size as a tuple of lengths; got {checks.shown(size)}.")
    low, high = (checks.integer("randint", name, n, -(2**63), 2**63) for name, n in (("low", low), ("high", high)))
    on_cpu("randint", device)
    kind = dtypes.int64 if dtype is None else dtypes.as_dtype("randint", dtype)
    if not low < high:
        raise RuntimeError(f"randint expects low below high; got {low} and {high}.")
    requires_grad = _settled(kind, requires_grad)
    to_array((low, high - 1), kind, "randint")  # refuses what the dtype does not hold
    numbers = stream(generator).integers(low, high, sizes((size,)))
    return core.new(np.asarray(numbers).astype(kind.dtype), requires_grad)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers 0..n-1 in random order."""
    on_cpu("randperm", device)
    kind = dtypes.int64 if dtype is None else dtypes.as_dtype("randperm", dtype)
    n = checks.integer("randperm", "n", n, least=0)
    requires_grad = _settled(kind, requires_grad)
    return core.new(stream(generator).permutation(n).astype(kind.dtype), requires_grad)


def normal(
    mean: TensorLike = 0.0,
    std: TensorLike = 1.0,
    size: Shape | None = None,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device = None,
) -> Tensor:
    """Numbers drawn from a normal distribution; mean and std may be tensors.

    Of two numbers, `size` is the shape.
    """
    on_cpu("normal", device)
    tensors = isinstance(mean, core.TensorBase) or isinstance(std, core.TensorBase)
    if tensors == (size is not None):
        raise TypeError(
            f"normal expects size where mean and std are numbers, and only there; got {checks.shown(size)}."
        )
    kind = _float_dtype("normal", dtype)
    requires_grad = _settled(kind, requires_grad)
    means, stds = (np.asarray(v.array if isinstance(v, core.TensorBase) else v) for v in (mean, std))
    below = ~(stds >= 0)  # NaN too
    if below.any():
        raise RuntimeError(f"normal expects std of at least 0; got {stds[below][0]:g}.")
    numbers = stream(generator).normal(means, stds, None if size is None else sizes((size,)))
    return core.new(np.asarray(numbers, kind.dtype), requires_grad)


def probable(who: str, p: Array) -> None:
    """Refuses what is no probability, NaN too."""
    outside = ~((p >= 0) & (p <= 1))
    if outside.any():
        raise RuntimeError(f"{who} expects probabilities between 0 and 1; got {p[outside].flat[0]:g}.")


def bernoulli(input: Tensor, p: Number | None = None, *, generator: Generator | None = None) -> Tensor:
    """0 or 1 for every probability in input, or of input's shape where `p` is one for all."""
    if p is None:
        chance: Array | float = input.array
        probable("bernoulli", input.array)
    else:
        chance = checks.number("bernoulli", "p", p, 0, 1)
    drawn = stream(generator).random(input.array.shape) < chance
    return core.new(np.asarray(drawn, input.array.dtype))


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn by the weights in a vector, or in each row of a matrix."""
    rows = input.array.reshape(-1, input.array.shape[-1]).astype(np.float64)
    num_samples = checks.integer("multinomial", "num_samples", num_samples, least=1)
    if not (np.isfinite(rows).all() and (rows >= 0).all() and rows.any(axis=1).all()):
        raise RuntimeError(
            "multinomial expects weights that are finite, not negative and in no row all zero; got others."
        )
    possible = int(np.count_nonzero(rows, axis=1).min(initial=rows.shape[1]))
    if not replacement and num_samples > possible:
        raise RuntimeError(
            f"multinomial expects num_samples of at most {possible}, the number of weights above "
            f"0, without replacement; got {num_samples}."
        )
    drawn = [stream(generator).choice(len(row), num_samples, replacement, row / row.sum()) for row in rows]
    return core.new(np.array(drawn, np.int64).reshape(*input.array.shape[:-1], num_samples))


rand_like, randn_like = map(like, (rand, randn))


def randint_like(
    input: Tensor,
    low: TensorLike = 0,
    high: TensorLike | None = None,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device = None,
) -> Tensor:
    """`randint` of another tensor's shape and dtype."""
    if high is None:
        low, high = 0, low
    return randint(low, high, input.array.shape, dtype=dtype or input.dtype, requires_grad=requires_grad, device=device)
