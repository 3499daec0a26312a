"""The rows that a training goes over: their parts, and the batches of an epoch."""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.model_selection import train_test_split

from fastbp import checks
from fastbp._kernels import engine

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.estimators.preparing import Preparation
    from fastbp.training.ranks import Ranks

#: Bytes of rows of which a training makes a copy that is ready for the first layer.
COPIED = 2**28
#: Numbers of rows that are made ready together where they are more.
PIECE = 2**20


class Data:
    """Rows, their targets as the engine takes them, and their weights or None.

    Of some of the rows, `order` has the numbers: they are not copied, as they may not fit into memory.
    x are the rows as they came, and `prepare` makes them those of the first layer, or is None.
    """

    x: Any
    t: Any
    weights: Array | None

    def __init__(self, x: Any, t: Any, weights: Array | None, labels: Any, order: Array | None = None) -> None:
        self.x, self.t, self.weights = x, t, weights
        self.labels = labels  # the targets as a scorer takes them
        self.order = order
        self.prepare: Preparation | None = None

    def __len__(self) -> int:
        return self.x.shape[0] if self.order is None else len(self.order)

    def rows(self, some: Array | slice | None = None) -> Any:
        """x, or some of its rows, as the engine takes it."""
        x = self.x if some is None else self.x[some]
        return engine_rows(x if self.prepare is None else self.prepare(x, dtype_of(self.x)))

    def is_large(self) -> bool:
        """Whether the rows are made ready some batches at a time, as a copy of all takes much memory."""
        if self.prepare is None or hasattr(self.x, "tocsr"):
            return False
        return self.x.size * dtype_of(self.x).itemsize > COPIED

    def require_weight(self, who: str, which: str, drawn: bool, ranks: Ranks) -> None:
        """Refuse rows whose weights sum to 0, over which no mean has a value: none would train."""
        if self.weights is None:
            return
        weights = self.weights.astype(np.float64)
        weights = weights if self.order is None else weights[self.order]
        total, size = ranks.total([weights.sum(), np.abs(weights).sum()])
        if abs(total) <= np.finfo(np.float64).eps * size:  # but roundings
            cure = ", so draw others by random_state or validation_fraction" if drawn else ""
            raise ValueError(
                f"{who} expects the weights of the {which} rows to have a sum other than 0; got 0 "
                f"over {checks.plural(len(self), 'row')}{cure}."
            )

    def part(self, rows: Array | slice) -> Data:
        """Some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        part = Data(self.x[rows], self.t[rows], weights, self.labels[rows])
        part.prepare = self.prepare
        return part

    def split(
        self, model: Any, random_state: np.random.RandomState, stratify: Array | None, ranks: Ranks
    ) -> tuple[Data, Data]:
        """Training and validation parts, as scikit-learn draws them."""
        if ranks.own and len(self) * model.validation_fraction < 1:
            train, validation = self, self.part(slice(0, 0))
        else:
            train, validation = self._drawn(model, random_state, stratify)
        if ranks.total(len(validation)) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return train, validation

    def _drawn(self, model, random_state, stratify):
        with config_context(skip_parameter_validation=True):  # as in its own fit
            order, rows = train_test_split(
                np.arange(len(self)), random_state=random_state, test_size=model.validation_fraction, stratify=stratify
            )
        return Data(self.x, self.t, self.weights, self.labels, order), self.part(rows)


def together(parts: Iterable[Data]) -> Data:
    """The rows of several `Data` as one."""
    parts = [part for part in parts if len(part)]
    weights = None if parts[0].weights is None else joined([part.weights for part in parts])
    x, t, labels = (joined([getattr(part, name) for part in parts]) for name in ("x", "t", "labels"))
    return Data(x, t, weights, labels)


def joined(arrays: Sequence[Any]) -> Any:
    """Several arrays' rows, or sparse matrices', as one's."""
    if len(arrays) == 1:
        return arrays[0]
    return sparse.vstack(arrays, "csr") if hasattr(arrays[0], "tocsr") else np.concatenate(arrays)


def dtype_of(x: Any) -> np.dtype[Any]:
    """The dtype that scikit-learn's classes train such rows in: bytes become float64."""
    return x.dtype if x.dtype.kind == "f" else checks.FLOAT64


def engine_rows(x: Any) -> Any:
    """Rows as the engine takes them: a C-contiguous array, or CSR checked."""
    if hasattr(x, "tocsr"):
        x = x.tocsr()
        return engine.SparseRows(
            np.require(x.data, None, ("C", "A")),
            np.ascontiguousarray(x.indices, np.int64),
            np.ascontiguousarray(x.indptr, np.int64),
            x.shape[1],
        )
    return x if x.flags.c_contiguous and x.flags.aligned else np.require(x, None, ("C", "A"))


class Batches:
    """How an epoch of n rows falls into batches, and which of a batch's rows a rank has.

    Attributes
    ----------
    n : int
        Rows of all ranks.
    edges : list of int
        Where each batch begins, and n.
    sizes : numpy.ndarray
        Rows of each batch.
    of_rank : (n_batches, 5) numpy.ndarray or None
        Of several ranks, see `Ranks.parts`.
    most : int
        Rows of the largest batch, or this rank's part of one.
    stretches : list of (int, int, int)
        From, to, and the rows of a batch between them.
    """

    most: int
    sizes: Array

    def __init__(self, model: Any, n_own: int, ranks: Ranks) -> None:
        n = int(ranks.total(n_own)) if ranks.own else n_own
        if isinstance(model.batch_size, str):
            size = min(200, n)
        else:
            if model.batch_size > n:
                warnings.warn(
                    "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
                )
            size = int(min(model.batch_size, n))
        if model.batch_norm and size == 1:
            raise ValueError(
                f"{type(model).__name__} expects batches of at least 2 rows for batch_norm, which "
                f"normalises by what a batch has in common; got batch_size={model.batch_size!r} "
                f"with {checks.plural(n, 'row')}."
            )
        self.n = n
        self.edges: list[int] = [*range(0, n, size), n]
        # One row has no variance: it joins the batch before.
        joins = bool(model.batch_norm) and n % size == 1
        if joins:
            del self.edges[-2]
        whole = self.edges[-2] if joins else n
        stretches = [(0, whole, size), (whole, n, size + joins)]
        self.stretches: list[tuple[int, int, int]] = [stretch for stretch in stretches if stretch[0] < stretch[1]]
        self.most = size + joins
        self.sizes = np.full(len(self), size)
        self.sizes[-1] = n - self.edges[-2]
        self.of_rank: Any = None
        if ranks:
            self.of_rank = ranks.parts(n_own, self.edges, 2 if model.batch_norm else 1)
            self.sizes = self.of_rank[:, 3]
            self.most = max(1, int(np.diff(self.of_rank[:, :2]).max()))
            if model.batch_norm:
                ranks.require_several(self.of_rank)

    def __len__(self) -> int:
        return len(self.edges) - 1

    def pieces(self, n_features: int) -> Iterator[tuple[int, int, int]]:
        """The stretches in pieces of some batches, whose rows are made ready together."""
        for begin, end, size in self.stretches:
            step = size * max(1, PIECE // (size * n_features))
            for start in range(begin, end, step):
                yield start, min(start + step, end), size

    def done(self, position: int) -> int:
        """The batches before a position."""
        return bisect_left(self.edges, position)

    def mean(self, losses: Array, position: int) -> float:
        """The mean loss of the rows before a position, from the means of their batches."""
        done = self.done(position)
        return float(losses[:done] @ self.sizes[:done]) / max(self.seen(position), 1)

    def seen(self, position: int) -> int:
        """The rows before a position: of ranks' own a batch has about as many as the place says."""
        return position if self.of_rank is None else int(self.sizes[: self.done(position)].sum())
