"""`ElementwiseLoss`: a row of `operations.losses`, averaged over all elements."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.backend import kernels
from fastbp.losses.base import LOSSES, ROW_LOSSES, Loss, mean
from fastbp.losses.parts import gradient_of, value_of
from fastbp.operations.losses import LOSSES as ROWS
from fastbp.operations.losses import TARGETS
from fastbp.operations.losses import Loss as Row

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike
    from fastbp.losses.base import Parts


class Choosing(checks.Checked):
    """An option by which a loss becomes one of parts."""

    def __set__(self, held: Any, value: Any) -> None:
        super().__set__(held, value)
        held._choose_pass()


class ElementwiseLoss(Loss):
    """A row of `operations.losses`, averaged over all elements.

    With `output_weights` of the targets' columns the mean over each row is a weighted one.
    """

    row: Row
    kind: str
    options: tuple[str, ...] = ("output_weights",)
    #: How many outputs each column of the targets has.
    _per_target = 1

    def __init__(self, *, output_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.output_weights = output_weights

    @property
    def output_weights(self) -> tuple[float, ...] | None:
        """The weight of each column of the targets, or None."""
        return vars(self).get("_output_weights")

    @output_weights.setter
    def output_weights(self, given: Sequence[float] | None) -> None:
        vars(self)["_output_weights"] = checks.output_weights(type(self).__name__, "output_weights", given)
        self._choose_pass()

    def _choose_pass(self):
        """The compiled call is for losses of one part."""
        if self._is_parted():
            vars(self)["_pass"] = None
        else:
            vars(self).pop("_pass", None)

    def _is_parted(self):
        return self.output_weights is not None

    def _of_target(self):
        """(loss, number, width, share) of each part that the loss of a target's outputs is made of."""
        return [(self.kind, self.kind_number, 1, 1.0)]

    def parts(self, n_out: int) -> Parts | None:
        if not self._is_parted():
            return None
        who, n, given = type(self).__name__, self._per_target, self.output_weights
        if n_out % n:
            raise ValueError(f"{who} expects predictions with {n} outputs for each column of t; got {n_out}.")
        weights = [1.0] * (n_out // n) if given is None else given
        if len(weights) * n != n_out:
            raise ValueError(
                f"{who} expects predictions with {checks.plural(len(weights) * n, 'output')}, for "
                f"{checks.plural(len(weights), 'weight')} in output_weights; got {n_out}."
            )
        total = sum(weights)
        of_each = [(*part, share * w / total) for w in weights for *part, share in self._of_target()]
        merged = []  # where the next one is alike, both are one part
        for (kind, number, width, factor), alike in groupby(of_each):
            merged.append((kind, number, width * len(list(alike)), factor))
        return tuple(merged)

    def __init_subclass__(cls, row: str | None = None, name: str | None = None, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if row:
            cls.row = ROWS[row]
            cls.kind = row
            ROW_LOSSES[row] = cls
            # Targets are looked at in the pass, or as they are numbers.
            cls._pass = cls.row.kind if cls.row.targets in ("numbers", "shares") else None
        if name:
            LOSSES[name] = cls

    def _numbers(self):
        return (self.kind_number,) if self.row.numbers else ()

    def _prepare(self, x, t):
        x = checks.floats(type(self).__name__, "x", x)
        shape = x.shape
        if self._is_parted():
            x, t = _as_rows(type(self).__name__, x, t)
        return x, self.targets_like(type(self).__name__, t, x), shape

    def targets(self, who: str, t: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        t = checks.numbers(who, "t", t)
        if shape[0] == 1 and t.shape == shape[1:]:
            t = t.reshape(shape)
        return self.targets_like(who, t, np.empty(shape, dtype))

    def targets_like(self, who: str, t: ArrayLike, like: Array) -> Array:
        """Targets of an array's shape and dtype, checked."""
        n = self._per_target
        if n > 1:
            t = _of_targets(who, t, like, n)
        return np.repeat(self._checked(who, t, like[:, ::n]), n, axis=1) if n > 1 else self._checked(who, t, like)

    def evaluate_taken(self, x: Array, t: Array) -> float:
        return value_of(self.parts(x.shape[1]), x, t) if self._is_parted() else self.evaluate(x, t)

    def _checked(self, who, t, like):
        t = checks.values_like(who, t, like)
        if self.row.targets != "numbers":
            holds, said = TARGETS[self.row.targets]
            wrong = t[~holds(t)]
            if wrong.size:
                raise ValueError(f"{who} expects t {said}; got {wrong.flat[0]:g}.")
        return t

    def _value(self, x, t):
        if self._is_parted():
            return value_of(self.parts(x.shape[1]), x, t), x
        y = np.empty(x.shape, x.dtype) if self.row.kept else None
        total = kernels().loss_forward(
            self.row.name, x.reshape(-1), t.reshape(-1), y if y is None else y.reshape(-1), *self._numbers()
        )
        return mean(total, x.size), x if y is None else y

    def _gradient(self, y, t, dout):
        if self._is_parted():
            y = y.reshape(t.shape)  # of one sample
            return gradient_of(self.parts(y.shape[1]), y, t, dout)
        dx = np.empty(y.shape, y.dtype)
        scale = mean(dout, y.size)
        kernels().loss_backward(self.row.name, y.reshape(-1), t.reshape(-1), scale, dx.reshape(-1), *self._numbers())
        return dx


def _as_rows(who, x, t):
    """Predictions (n_samples, n_outputs), and targets: of one sample as rows of one."""
    if x.ndim == 1:
        return x[np.newaxis], np.asarray(t)[np.newaxis] if np.ndim(t) else t
    if x.ndim != 2:
        raise ValueError(f"{who} expects x of shape (n_samples, n_outputs); got {x.shape}.")
    return x, t


def _of_targets(who, t, like, n):
    """Targets of which each has n outputs: (n_samples, n_targets), or (n_samples,) of one."""
    t = checks.numbers(who, "t", t)
    n_rows, n_out = like.shape
    if n_out % n:
        raise ValueError(f"{who} expects predictions with {n} outputs for each column of t; got {n_out}.")
    if n_out == n and t.ndim < 2 and t.size == n_rows:
        t = t.reshape(n_rows, 1)
    if t.shape != (n_rows, n_out // n):
        raise ValueError(
            f"{who} expects t of shape {(n_rows, n_out // n)}, of which each column has {n} of {n_out} outputs; "
            f"got {t.shape}."
        )
    return t
