"""`DataLoader`: the samples of a data set in batches of tensors."""

from __future__ import annotations

import collections.abc
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastbp import checks
from fastbp.autograd import Tensor, as_tensor, stack
from fastbp.autograd.random import stream
from fastbp.utils.data.dataset import IterableDataset, Subset, TensorDataset
from fastbp.utils.data.sampler import BatchSampler, Drawn, RandomSampler, SequentialSampler

if TYPE_CHECKING:
    from fastbp.autograd import Generator

__all__ = ["DataLoader", "default_collate", "get_worker_info"]


@checks.explained
def default_collate(batch: Sequence[Any]) -> Tensor | Sequence[Any] | dict[Any, Any]:
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
        for sample in batch:
            checks.unmasked("default_collate", "samples", sample)
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
    parts = []
    while type(dataset) is Subset:
        parts.append(dataset.indices)
        dataset = dataset.dataset
    if not isinstance(dataset, Tensor) and type(dataset) is not TensorDataset:
        return None
    if type(indices) is not np.ndarray or indices.dtype != np.int64:  # of no sampler of ours
        indices = checks.indices("DataLoader", "sampler", indices, "an iterable of integers")
    try:
        for part in parts:
            indices = np.asarray(part, np.int64)[indices]
        if isinstance(dataset, Tensor):
            return _taken(dataset, indices)
        return [_taken(each, indices) for each in dataset.tensors]
    except IndexError as error:
        raise IndexError(
            f"DataLoader expects indices of samples that its data set has; got another ({error})."
        ) from None


def _taken(x, indices):
    return x[indices] if x.requires_grad else as_tensor(x.array.take(indices, axis=0))


def get_worker_info() -> None:
    """None, as no batch is made by a worker, but by the process that asks for it.

    Examples
    --------
    >>> get_worker_info() is None
    True
    """
    return None


#: What a `DataLoader` has made its samplers from.
_MADE_FROM = {"batch_sampler", "batch_size", "dataset", "drop_last", "generator", "sampler"}


def _require_workers(n, timeout, init, context, prefetch_factor, persistent):
    """Refuses of PyTorch's arguments of workers what it refuses, and a timeout."""
    checks.integer("DataLoader", "num_workers", n, least=0)
    if checks.number("DataLoader", "timeout", timeout, least=0):
        raise ValueError(f"DataLoader expects timeout=0, as no worker is waited for; got {timeout}.")
    if init is not None:
        checks.function("DataLoader", "worker_init_fn", init, "a function of a worker's number")
    if prefetch_factor is not None:
        checks.integer("DataLoader", "prefetch_factor", prefetch_factor, least=1)
    given = {
        "multiprocessing_context": context,
        "prefetch_factor": prefetch_factor,
        "persistent_workers": persistent or None,
    }
    for name, value in given.items():
        if n == 0 and value is not None:
            raise ValueError(f"DataLoader expects {name} beside num_workers above 0 only; got {checks.shown(value)}.")


def _cut(parts, size, drop_last):
    """Arrays of indices, one after the other, as arrays of `size`."""
    rest = np.empty(0, np.int64)
    for part in parts:
        part = np.concatenate([rest, part]) if rest.size else part
        whole = len(part) - len(part) % size
        yield from (part[k : k + size] for k in range(0, whole, size))
        rest = part[whole:]
    if rest.size and not drop_last:
        yield rest


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
        Of any number, the batches are the same: they are made when they are asked for, by the
        process that asks; data in memory need no more.
    collate_fn : callable or None
        Makes a batch of a list of samples; None is `default_collate`.
    pin_memory : bool
        The batches are the same: there is no GPU whose copies it would make faster.
    drop_last : bool
        Leave out the last batch where it is shorter.
    timeout : 0
        Seconds after which a batch is given up; no other than 0 is offered.
    worker_init_fn : callable or None
        Called by each worker in PyTorch; never here, as with ``num_workers=0`` there.
    multiprocessing_context, prefetch_factor, persistent_workers, pin_memory_device, in_order
        How PyTorch's workers bring the same batches, and refused as there without workers.
    generator : Generator or None
        Of the random order; None is the one that `manual_seed` starts.

    Raises
    ------
    TypeError, ValueError
        For arguments that exclude each other, or are of another kind; and for an assignment to
        an attribute that the batches were made from.

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
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], object] | None = None,
        multiprocessing_context: object = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        shuffle = checks.flag("DataLoader", "shuffle", shuffle, or_none=True)
        flags = {"pin_memory": pin_memory, "in_order": in_order, "persistent_workers": persistent_workers}
        for name, value in flags.items():
            checks.flag("DataLoader", name, value)
        _require_workers(
            num_workers, timeout, worker_init_fn, multiprocessing_context, prefetch_factor, persistent_workers
        )
        if generator is not None:
            stream(generator)
        self.dataset: Any = dataset
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.drop_last: bool = checks.flag("DataLoader", "drop_last", drop_last)
        self.generator = generator
        self._streamed = isinstance(dataset, IterableDataset)
        if collate_fn is not None:
            checks.function("DataLoader", "collate_fn", collate_fn, "a function of samples")
        if not self._streamed and sampler is None and batch_sampler is None:
            checks.samples("DataLoader", "dataset", dataset)
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
                    "DataLoader expects batch_sampler without batch_size, shuffle, sampler and drop_last; got both."
                )
            batch_size = None
        elif not self._streamed:
            if sampler is None:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
            if batch_size is not None:
                batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self._batched = batch_size is not None or batch_sampler is not None
        self.collate_fn: Callable[[Any], Any] = collate_fn or (default_collate if self._batched else _alone)
        self._made = True

    def __setattr__(self, name: str, value: object) -> None:
        if name in _MADE_FROM and hasattr(self, "_made"):
            raise ValueError(f"DataLoader expects {name} when it is made; got an assignment later: make another.")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if self._streamed:
            n = len(self.dataset)
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)
        return len(self.batch_sampler if self._batched else self.sampler)

    def __iter__(self) -> Iterator[Any]:
        if self._streamed:
            return self._stream()
        if not self._batched:
            return (self.collate_fn(self.dataset[i]) for i in self.sampler)
        return map(self._batch, self._indices())

    def __class_getitem__(cls, item: object) -> type[Self]:
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
        """The indices of each batch: parts of arrays, where the sampler gives such."""
        own = self.batch_sampler
        drawn = isinstance(getattr(own, "sampler", None), Drawn)
        if type(own) is BatchSampler and drawn and type(own.sampler).__iter__ is Drawn.__iter__:
            return _cut(own.sampler.parts(), own.batch_size, own.drop_last)
        return iter(own)

    def _batch(self, indices):
        if not np.iterable(indices):
            raise TypeError(
                "DataLoader expects batch_sampler as an iterable of lists of indices; got "
                f"{checks.described(indices)} in it."
            )
        if self.collate_fn is default_collate:
            rows = _rows(self.dataset, indices)
            if rows is not None:
                return rows
        indices = indices.tolist() if isinstance(indices, np.ndarray) else indices
        if hasattr(self.dataset, "__getitems__"):
            return self.collate_fn(self.dataset.__getitems__(indices))
        return self.collate_fn([self.dataset[i] for i in indices])
