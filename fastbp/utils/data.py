"""Data sets in memory, and `DataLoader`, which gives them out in batches of tensors."""

import collections.abc
import itertools
import math

import numpy as np

from fastbp import checks
from fastbp.autograd import Tensor, as_tensor, stack
from fastbp.autograd.random import stream

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "random_split",
]


# --- data sets ------------------------------------------------------------------------------


class Dataset:
    """Samples by index: a class of one's own writes `__getitem__` and `__len__`.

    Examples
    --------
    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def __getitem__(self, i):
    ...         return float(i), i * i
    >>> next(iter(DataLoader(Squares(), batch_size=3)))
    [tensor([0., 1., 2.], dtype=fastbp.float64), tensor([0, 1, 4])]
    """

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} expects a method __getitem__; got none.")

    def __add__(self, other):
        return ConcatDataset([self, other])

    def __class_getitem__(cls, item):
        return cls


class IterableDataset(Dataset):
    """Samples one after the other: a class of one's own writes `__iter__`."""

    def __iter__(self):
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

    def __init__(self, *tensors):
        for each in tensors:
            checks.instance("TensorDataset", "tensors", each, Tensor, "Tensors")
        lengths = [len(each) for each in tensors]
        if not tensors or len(set(lengths)) > 1:
            raise ValueError(
                f"TensorDataset expects tensors of one length; got lengths {lengths}, a size "
                "mismatch between tensors."
            )
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(each[index] for each in self.tensors)

    def __len__(self):
        return len(self.tensors[0])


class Subset(Dataset):
    """The samples of a data set at some indices.

    Examples
    --------
    >>> list(Subset("abcd", [3, 0]))
    ['d', 'a']
    """

    def __init__(self, dataset, indices):
        self.dataset = checks.sized("Subset", "dataset", dataset)
        self.indices = checks.sized("Subset", "indices", indices)

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self):
        return len(self.indices)


class ConcatDataset(Dataset):
    """Several data sets, one after the other.

    Examples
    --------
    >>> list(ConcatDataset(["ab", "c"]))
    ['a', 'b', 'c']
    """

    def __init__(self, datasets):
        self.datasets = checks.sequence("ConcatDataset", "datasets", datasets, "data sets")
        if not self.datasets:
            raise ValueError("ConcatDataset expects at least one data set; got none.")
        if any(isinstance(each, IterableDataset) for each in self.datasets):
            raise TypeError("ConcatDataset expects samples by index; got an IterableDataset.")
        for each in self.datasets:
            checks.sized("ConcatDataset", "datasets", each)
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __getitem__(self, index):
        place = range(len(self))[index]  # negative ones from the end, and out of range refused
        which = int(np.searchsorted(self.cumulative_sizes, place, side="right"))
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][place - before]

    def __len__(self):
        return self.cumulative_sizes[-1]


def random_split(dataset, lengths, generator=None):
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
    n = len(checks.sized("random_split", "dataset", dataset))
    lengths = checks.sequence("random_split", "lengths", lengths, "numbers")
    for length in lengths:
        checks.number("random_split", "lengths", length, least=0)
    if math.isclose(sum(lengths), 1) and all(0 <= share <= 1 for share in lengths):
        shares, lengths = lengths, [math.floor(n * share) for share in lengths]
        for k in range(n - sum(lengths)):
            lengths[k % len(shares)] += 1
    else:
        lengths = [checks.integer("random_split", "lengths", each, least=0) for each in lengths]
    if sum(lengths) != n:
        raise ValueError(
            f"random_split expects lengths that sum to {n}, as the data set is long; got {lengths}."
        )
    order = stream(generator).permutation(n).tolist()
    ends = itertools.accumulate(lengths)
    return [
        Subset(dataset, order[end - length : end])
        for end, length in zip(ends, lengths, strict=True)
    ]


# --- samplers -------------------------------------------------------------------------------


class Sampler:
    """An order of indices: a class of one's own writes `__iter__`, and `__len__` where it can."""

    def __init__(self, data_source=None):
        pass

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} expects a method __iter__; got none.")

    def __class_getitem__(cls, item):
        return cls


class _Drawn(Sampler):
    """A sampler that has all its indices at once."""

    def order(self):
        """The indices of one pass, as an array."""
        raise NotImplementedError

    def __iter__(self):
        return iter(self.order().tolist())


class SequentialSampler(_Drawn):
    """The indices in their order.

    Examples
    --------
    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source):
        self.data_source = checks.sized("SequentialSampler", "data_source", data_source)

    def order(self):
        return np.arange(len(self))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(_Drawn):
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

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source = checks.sized("RandomSampler", "data_source", data_source)
        self.replacement = bool(replacement)
        self.generator = generator
        self._num_samples = num_samples
        checks.integer("RandomSampler", "num_samples", self.num_samples, least=1)

    @property
    def num_samples(self):
        """Indices of one pass."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def order(self):
        rng, n, wanted = stream(self.generator), len(self.data_source), self.num_samples
        if self.replacement:
            return rng.integers(0, n, wanted)
        passes = [rng.permutation(n) for _ in range(math.ceil(wanted / n))]
        return np.concatenate(passes)[:wanted]

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(_Drawn):
    """Some indices in random order.

    Examples
    --------
    >>> sorted(SubsetRandomSampler([7, 2]))
    [2, 7]
    """

    def __init__(self, indices, generator=None):
        self.indices = checks.sized("SubsetRandomSampler", "indices", indices)
        self.generator = generator

    def order(self):
        return stream(self.generator).permutation(np.asarray(self.indices, np.int64))

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(_Drawn):
    """Indices drawn by their weights.

    Examples
    --------
    >>> list(WeightedRandomSampler([0.0, 3.0], num_samples=2))
    [1, 1]
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        who = "WeightedRandomSampler"
        if isinstance(weights, Tensor):
            weights = weights.array
        self.weights = checks.floats(who, "weights", weights, checks.FLOAT64)
        good = self.weights.ndim == 1 and np.isfinite(self.weights).all() and (
            self.weights.any() and self.weights.min() >= 0)  # fmt: skip
        if not good:
            raise ValueError(
                f"{who} expects weights as a vector of numbers that are finite, not negative and "
                f"not all zero; got {checks.shown(self.weights)}."
            )
        self.num_samples = checks.integer("WeightedRandomSampler", "num_samples", num_samples, 1)
        self.replacement = bool(replacement)
        possible = np.count_nonzero(self.weights)
        if not self.replacement and self.num_samples > possible:
            raise ValueError(
                f"{who} expects num_samples of at most {possible}, the number of weights above 0, "
                f"without replacement; got {self.num_samples}."
            )
        self.generator = generator

    def order(self):
        chances = self.weights / self.weights.sum()
        rng = stream(self.generator)
        return rng.choice(len(chances), self.num_samples, self.replacement, chances)

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler):
    """The indices of another sampler in lists of `batch_size`.

    Examples
    --------
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        if not hasattr(sampler, "__iter__") and not hasattr(sampler, "__getitem__"):
            raise TypeError(
                "BatchSampler expects sampler as an iterable of indices; got "
                f"{checks.described(sampler)}."
            )
        self.sampler = sampler
        self.batch_size = checks.integer("BatchSampler", "batch_size", batch_size, least=1)
        self.drop_last = bool(drop_last)

    def __iter__(self):
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self):
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)


# --- batches --------------------------------------------------------------------------------


@checks.explained
def default_collate(batch):
    """Samples as one batch: their tensors, arrays and numbers stacked, within containers.

    Parameters
    ----------
    batch : list
        Samples of one structure: tensors, arrays, numbers, strings, or dicts, tuples and
        lists of them.

    Returns
    -------
    Tensor, list, tuple or dict
        Of tuples a list, as PyTorch gives it; strings stay as they are.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For samples of other classes, of lengths or of shapes that differ.

    Examples
    --------
    >>> from fastbp import tensor
    >>> default_collate([(1.5, 0), (2.5, 1)])
    [tensor([1.5000, 2.5000], dtype=fastbp.float64), tensor([0, 1])]
    >>> default_collate([{"x": tensor([1.0])}, {"x": tensor([2.0])}])
    {'x': tensor([[1.],
            [2.]])}
    """
    if not checks.sequence("default_collate", "batch", batch, "samples"):
        raise ValueError("default_collate expects at least one sample in batch; got none.")
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, np.ndarray | np.generic):
        return as_tensor(np.stack(batch))
    if isinstance(first, bool | int | float):
        return as_tensor(np.array(batch))
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, collections.abc.Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, tuple | list):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError(
                "default_collate expects samples of one length; got lengths "
                f"{sorted({len(sample) for sample in batch})}."
            )
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise TypeError(
        "default_collate expects tensors, arrays, numbers, strings, dicts, tuples or lists; got "
        f"{checks.shown(first)} of type {type(first).__name__}."
    )


def _alone(sample):
    """A sample that is not to be batched: its arrays as tensors."""
    if isinstance(sample, np.ndarray | np.generic):
        return as_tensor(np.asarray(sample))
    if isinstance(sample, tuple | list) and not hasattr(sample, "_fields"):
        return [_alone(part) for part in sample]
    return sample


def _rows(dataset, indices):
    """Rows of plain tensors, an index a tensor; None for a data set of another kind."""
    while type(dataset) is Subset:
        dataset, indices = dataset.dataset, np.asarray(dataset.indices, np.int64)[indices]
    if isinstance(dataset, Tensor):
        return _taken(dataset, indices)
    if type(dataset) is TensorDataset:
        return [_taken(each, indices) for each in dataset.tensors]
    return None


def _taken(x, indices):
    return x[indices] if x.requires_grad else as_tensor(x.array.take(indices, axis=0))


class DataLoader:
    """The samples of a data set in batches of tensors; a new pass with every ``for``.

    Parameters
    ----------
    dataset : Dataset, or anything with ``[i]`` and ``len``, or IterableDataset
    batch_size : int or None
        None gives the samples one by one.
    shuffle : bool
        Another random order at each pass.
    sampler : Sampler, iterable of int, or None
        The order, in the place of `shuffle`.
    batch_sampler : BatchSampler, iterable of lists, or None
        The batches' indices, in the place of the arguments before and of `drop_last`.
    num_workers : int
        Without effect: batches are made when they are asked for, by the same process; data in
        memory need no more.
    collate_fn : callable or None
        Makes a batch of a list of samples; None is `default_collate`.
    pin_memory : bool
        Without effect, as there is no GPU.
    drop_last : bool
        Leave out the last batch where it is shorter.
    timeout, worker_init_fn, multiprocessing_context : ignored, as they are of workers
    generator : Generator or None
        Of the random order; None is the one that `manual_seed` starts.
    prefetch_factor, persistent_workers, pin_memory_device, in_order : ignored likewise

    Raises
    ------
    ValueError
        For arguments that exclude each other.

    Notes
    -----
    Batches of a `TensorDataset`, also of a part of one by `random_split`, are taken by one
    index for each tensor and not row by row.

    Examples
    --------
    >>> from fastbp import tensor
    >>> data = TensorDataset(tensor([[1.0], [2.0], [3.0]]), tensor([0, 1, 0]))
    >>> for x, t in DataLoader(data, batch_size=2):
    ...     print(tuple(x.shape), t)
    (2, 1) tensor([0, 1])
    (1, 1) tensor([0])
    """

    def __init__(
        self, dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None,
        num_workers=0, collate_fn=None, pin_memory=False, drop_last=False, timeout=0,
        worker_init_fn=None, multiprocessing_context=None, generator=None, *,
        prefetch_factor=None, persistent_workers=False, pin_memory_device="", in_order=True,
    ):  # fmt: skip
        self.dataset = dataset
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.drop_last = bool(drop_last)
        self.generator = generator
        self._streamed = isinstance(dataset, IterableDataset)
        if collate_fn is not None:
            checks.function("DataLoader", "collate_fn", collate_fn, "a function of samples")
        if not self._streamed and sampler is None and batch_sampler is None:
            checks.sized("DataLoader", "dataset", dataset)
        if batch_size is not None:
            checks.integer("DataLoader", "batch_size", batch_size, least=1)
        elif drop_last and batch_sampler is None:
            raise ValueError("DataLoader expects drop_last=False without a batch_size; got True.")
        if self._streamed and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader expects no shuffle and no sampler for an IterableDataset, which has "
                f"its own order; got shuffle={shuffle}, sampler={sampler}."
            )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader expects sampler or shuffle; got both.")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "DataLoader expects batch_sampler without batch_size, shuffle, sampler and "
                    "drop_last; got both."
                )
            batch_size = None
        elif not self._streamed:
            if sampler is None:
                sampler = (
                    RandomSampler(dataset, generator=generator)
                    if shuffle
                    else SequentialSampler(dataset)
                )
            if batch_size is not None:
                batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self._batched = batch_size is not None or batch_sampler is not None
        self._whole = collate_fn is None or collate_fn is default_collate
        self.collate_fn = collate_fn or (default_collate if self._batched else _alone)

    def __len__(self):
        if self._streamed:
            n = len(self.dataset)
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)
        return len(self.batch_sampler if self._batched else self.sampler)

    def __iter__(self):
        if self._streamed:
            return self._stream()
        if not self._batched:
            return (self.collate_fn(self.dataset[i]) for i in self.sampler)
        return map(self._batch, self._indices())

    def __class_getitem__(cls, item):
        return cls

    def _stream(self):
        samples = iter(self.dataset)
        if self.batch_size is None:
            yield from map(self.collate_fn, samples)
            return
        while batch := list(itertools.islice(samples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)

    def _indices(self):
        """The indices of each batch: parts of one array, where all are there at once."""
        own = self.batch_sampler
        if type(own) is not BatchSampler or not isinstance(own.sampler, _Drawn):
            return iter(own)
        order, size = own.sampler.order(), own.batch_size
        return (order[k * size : (k + 1) * size] for k in range(len(own)))

    def _batch(self, indices):
        if self._whole:
            rows = _rows(self.dataset, indices)
            if rows is not None:
                return rows
        indices = indices.tolist() if isinstance(indices, np.ndarray) else indices
        if hasattr(self.dataset, "__getitems__"):
            return self.collate_fn(self.dataset.__getitems__(indices))
        return self.collate_fn([self.dataset[i] for i in indices])
