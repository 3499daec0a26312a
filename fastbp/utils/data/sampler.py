"""Samplers: the order in which a `DataLoader` takes the samples of a data set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastbp import checks
from fastbp.autograd import Tensor
from fastbp.autograd.random import stream

if TYPE_CHECKING:
    from fastbp._typing import Array, TensorLike
    from fastbp.autograd import Generator

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


class Sampler:
    """An order of indices: a class of one's own writes `__iter__`, and `__len__` where it can.

    Parameters
    ----------
    data_source : object
        Not kept: PyTorch's older base class took it, so that classes of one's own hand it on.
    """

    def __init__(self, data_source: object = None) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} expects a method __iter__; got none.")

    def __class_getitem__(cls, item: object) -> type[Self]:
        return cls


class Drawn(Sampler):
    """A sampler that gives its indices in arrays, each drawn when the one before is used up."""

    #: Indices of one array, where there may be any number of them.
    _most = 1 << 20

    def parts(self) -> Iterator[Array]:
        """The arrays of indices of one pass."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        return itertools.chain.from_iterable(part.tolist() for part in self.parts())

    def _sizes(self, wanted):
        """The lengths of arrays for so many indices."""
        return (min(self._most, wanted - done) for done in range(0, wanted, self._most))


class SequentialSampler(Drawn):
    """The indices in their order.

    Examples
    --------
    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source: Sized = checks.sized("SequentialSampler", "data_source", data_source)

    def parts(self) -> Iterator[Array]:
        n = len(self)
        for start in range(0, n, self._most):
            yield np.arange(start, min(n, start + self._most))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Drawn):
    """The indices in random order, another at each pass.

    Parameters
    ----------
    data_source : sized
    replacement : bool
        Draw each index anew from all.
    num_samples : int or None
        How many; None: as many as there are samples.
    generator : Generator or None
        None: the one that `manual_seed` starts.

    Examples
    --------
    >>> sorted(RandomSampler("abc"))
    [0, 1, 2]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source: Sized = checks.sized("RandomSampler", "data_source", data_source)
        self.replacement: bool = checks.flag("RandomSampler", "replacement", replacement)
        self.generator = generator
        self._num_samples = num_samples
        checks.integer("RandomSampler", "num_samples", self.num_samples, least=1)
        if not len(data_source):
            raise ValueError("RandomSampler expects data_source with at least one sample; got none.")

    @property
    def num_samples(self) -> int:
        """Indices of one pass."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def parts(self) -> Iterator[Array]:
        rng, n, wanted = stream(self.generator), len(self.data_source), self.num_samples
        if self.replacement:
            yield from (rng.integers(0, n, size) for size in self._sizes(wanted))
            return
        most = n * max(1, self._most // max(1, n))
        for done in range(0, wanted, most):
            passes = [rng.permutation(n) for _ in range(done, min(wanted, done + most), n)]
            yield np.concatenate(passes)[: wanted - done]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Drawn):
    """Some indices in random order.

    Examples
    --------
    >>> sorted(SubsetRandomSampler([7, 2]))
    [2, 7]
    """

    def __init__(self, indices: Sequence[int] | Array, generator: Generator | None = None) -> None:
        who = "SubsetRandomSampler"
        self.indices: Sequence[int] | Array = checks.sized(who, "indices", indices)
        checks.indices(who, "indices", indices)
        self.generator = generator

    def parts(self) -> Iterator[Array]:
        yield stream(self.generator).permutation(np.asarray(self.indices, np.int64))

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Drawn):
    """Indices drawn by their weights.

    Examples
    --------
    >>> list(WeightedRandomSampler([0.0, 3.0], num_samples=2))
    [1, 1]
    """

    def __init__(
        self, weights: TensorLike, num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        who = "WeightedRandomSampler"
        if isinstance(weights, Tensor):
            weights = weights.array
        self.weights: Array = checks.floats(who, "weights", weights, checks.FLOAT64)
        good = (
            self.weights.ndim == 1
            and np.isfinite(self.weights).all()
            and (self.weights.any() and self.weights.min() >= 0)
        )
        if not good:
            raise ValueError(
                f"{who} expects weights as a vector of numbers that are finite, not negative and "
                f"not all zero; got {checks.shown(self.weights)}."
            )
        self.num_samples: int = checks.integer("WeightedRandomSampler", "num_samples", num_samples, 1)
        self.replacement: bool = checks.flag(who, "replacement", replacement)
        possible = np.count_nonzero(self.weights)
        if not self.replacement and self.num_samples > possible:
            raise ValueError(
                f"{who} expects num_samples of at most {possible}, the number of weights above 0, "
                f"without replacement; got {self.num_samples}."
            )
        self.generator = generator

    def parts(self) -> Iterator[Array]:
        rng, chances = stream(self.generator), self.weights / self.weights.sum()
        n = len(chances)
        if self.replacement:
            yield from (rng.choice(n, size, True, chances) for size in self._sizes(self.num_samples))
        else:
            yield rng.choice(n, self.num_samples, False, chances)

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """The indices of another sampler in lists of `batch_size`.

    Examples
    --------
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool) -> None:
        if not hasattr(sampler, "__iter__") and not hasattr(sampler, "__getitem__"):
            raise TypeError(f"BatchSampler expects sampler as an iterable of indices; got {checks.described(sampler)}.")
        self.sampler = sampler
        self.batch_size: int = checks.integer("BatchSampler", "batch_size", batch_size, least=1)
        self.drop_last: bool = checks.flag("BatchSampler", "drop_last", drop_last)

    def __iter__(self) -> Iterator[list[Any]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)
