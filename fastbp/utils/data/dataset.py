"""Data sets in memory: samples by their index."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastbp import checks
from fastbp.autograd import Tensor
from fastbp.autograd.random import stream

if TYPE_CHECKING:
    from fastbp._typing import Array, Samples
    from fastbp.autograd import Generator

__all__ = ["ConcatDataset", "Dataset", "IterableDataset", "Subset", "TensorDataset", "random_split"]


class Dataset:
    """Samples by index: a class of one's own writes `__getitem__` and `__len__`.

    Examples
    --------
    >>> from fastbp.utils.data import DataLoader
    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def __getitem__(self, i):
    ...         return float(i), i * i
    >>> next(iter(DataLoader(Squares(), batch_size=3)))
    [tensor([0., 1., 2.], dtype=fastbp.float64), tensor([0, 1, 4])]
    """

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} expects a method __getitem__; got none.")

    def __add__(self, other: Samples) -> ConcatDataset:
        return ConcatDataset([self, other])

    def __class_getitem__(cls, item: object) -> type[Self]:
        return cls


class IterableDataset(Dataset):
    """Samples one after the other: a class of one's own writes `__iter__`."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} expects a method __iter__; got none.")


class TensorDataset(Dataset):
    """Rows of tensors: sample i is the tuple of their i-th rows.

    A `DataLoader` takes a batch of it by one index for each tensor.

    Parameters
    ----------
    *tensors : Tensor
        Of the same first dimension.

    Raises
    ------
    TypeError, ValueError
        For what is not a tensor, and for lengths that differ.

    Examples
    --------
    >>> from fastbp import tensor
    >>> data = TensorDataset(tensor([[1.0], [2.0]]), tensor([0, 1]))
    >>> data[1]
    (tensor([2.]), tensor(1))
    """

    def __init__(self, *tensors: Tensor) -> None:
        for each in tensors:
            checks.instance("TensorDataset", "tensors", each, Tensor, "Tensors")
        lengths = [len(each) for each in tensors]
        if not tensors or len(set(lengths)) > 1:
            raise ValueError(
                f"TensorDataset expects tensors of one length; got lengths {lengths}, a size mismatch between tensors."
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(each[index] for each in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


def _place(who, index, n):
    """One of n samples; negative ones count from the end."""
    if type(index) is not int:
        index = checks.integer(who, "an index", index, -math.inf, math.inf)
    if not -n <= index < n:
        raise IndexError(f"{who} expects an index of its {checks.plural(n, 'sample')}; got {checks.shown(index)}.")
    return index % n


class Subset(Dataset):
    """The samples of a data set at some indices.

    Examples
    --------
    >>> list(Subset("abcd", [3, 0]))
    ['d', 'a']
    """

    def __init__(self, dataset: Samples, indices: Sequence[int] | Array) -> None:
        self.dataset: Any = checks.samples("Subset", "dataset", dataset)
        places = checks.indices("Subset", "indices", checks.sized("Subset", "indices", indices))
        # A series of pandas gives what stands at a label, not at a place.
        self.indices: Any = places if hasattr(indices, "to_numpy") else indices

    def __getitem__(self, index: Any) -> Any:
        n = len(self.indices)
        if isinstance(index, list):
            return self.dataset[[self.indices[_place("Subset", i, n)] for i in index]]
        return self.dataset[self.indices[_place("Subset", index, n)]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """Several data sets, one after the other.

    Examples
    --------
    >>> list(ConcatDataset(["ab", "c"]))
    ['a', 'b', 'c']
    """

    def __init__(self, datasets: Sequence[Samples]) -> None:
        self.datasets: Sequence[Any] = checks.sequence("ConcatDataset", "datasets", datasets, "data sets")
        if not self.datasets:
            raise ValueError("ConcatDataset expects at least one data set; got none.")
        if any(isinstance(each, IterableDataset) for each in self.datasets):
            raise TypeError("ConcatDataset expects samples by index; got an IterableDataset.")
        for each in self.datasets:
            checks.samples("ConcatDataset", "datasets", each)
        self.cumulative_sizes: list[int] = list(itertools.accumulate(map(len, self.datasets)))

    def __getitem__(self, index: Any) -> Any:
        place = _place("ConcatDataset", index, len(self))
        which = int(np.searchsorted(self.cumulative_sizes, place, side="right"))
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][place - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(dataset: Samples, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """A data set's samples in random order, cut into parts.

    Parameters
    ----------
    dataset : Dataset
    lengths : sequence of int or of float
        The parts' lengths, or shares that sum to 1; what rounding leaves over goes to the
        parts in turn.
    generator : Generator or None
        None: the one that `manual_seed` starts.

    Returns
    -------
    list of Subset

    Raises
    ------
    ValueError
        For lengths that do not sum to the data set's.

    Examples
    --------
    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    n = len(checks.samples("random_split", "dataset", dataset))
    lengths = checks.sequence("random_split", "lengths", lengths, "numbers")
    for length in lengths:
        checks.number("random_split", "lengths", length, least=0)
    if math.isclose(sum(lengths), 1) and all(0 <= share <= 1 for share in lengths):
        counts = [math.floor(n * share) for share in lengths]
        for k in range(n - sum(counts)):
            counts[k % len(counts)] += 1
    else:
        whole = all(float(each).is_integer() for each in lengths)
        if not whole or sum(lengths) != n:
            raise ValueError(
                f"random_split expects lengths that sum to {n}, as the data set is long, or shares "
                f"that sum to 1; got {checks.shown(lengths)}, which sum to {sum(lengths):g}."
            )
        counts = [checks.integer("random_split", "lengths", each, least=0) for each in lengths]
    order = stream(generator).permutation(n).tolist()
    ends = itertools.accumulate(counts)
    return [Subset(dataset, order[end - length : end]) for end, length in zip(ends, counts, strict=True)]
