"""`Loss`: what all losses share, and their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp._kernels import passes
from fastbp._kernels.autograd import TensorBase, node
from fastbp._kernels.changes import note

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike, TensorLike


#: (loss, number, width, factor) of each part of a loss.
Parts = tuple[tuple[str, float, int, float], ...]


class Loss:
    """What all losses share: forward keeps what backward needs, evaluate keeps nothing."""

    #: The loss's name in the training engine.
    kind: str
    #: Whether it classifies, so that there is an accuracy.
    classifies: bool = False
    #: Its kind among those that are compiled as one call; None where it is not among them.
    _pass: int | None = None
    #: The loss of `fastbp.nn` that it stands for, whose options may change.
    criterion: Any = None

    def __init__(self) -> None:
        self.loss: float | None = None
        self.y: Any = None
        self.t: Any = None
        self._shape = None

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        note()  # it may be a method

    def _prepare(self, x, t):
        """x and t as the kernels take them, and x's shape as it came."""
        raise NotImplementedError

    def _value(self, x, t):
        """The mean loss, and y."""
        raise NotImplementedError

    def _gradient(self, y, t, dout):
        """The mean loss's gradient by x, times dout."""
        raise NotImplementedError

    def forward(self, x: TensorLike, t: TensorLike) -> Any:
        """The mean loss; keeps `y`, `t` and `loss`.

        Of a Tensor x it is a Tensor, whose backward gives x its gradient, and nothing is kept.
        """
        if type(x) is not np.ndarray and isinstance(x, TensorBase):
            return self._on_tensor(x, t)
        own = self.__dict__
        passed = None
        if self._pass is not None:  # as in _passed, without a call more
            passed = passes.loss_forward(self._pass, x, t, self.kind_number)
        if passed is None:
            own["loss"], own["y"], own["t"], own["_shape"] = self._passed(x, t)
        else:
            own["loss"], own["y"] = passed
            own["t"], own["_shape"] = t, x.shape  # type: ignore[union-attr]
        return own["loss"]

    def _passed(self, x, t):
        """The mean loss, and what `backward` needs: y, t and x's shape as it came."""
        if self._pass is not None:
            passed = passes.loss_forward(self._pass, x, t, self.kind_number)
            if passed is not None:
                return *passed, t, x.shape
        x, t, shape = self._prepare(x, t)
        loss, y = self._value(x, t)
        return loss, y if y.ndim == len(shape) else y.reshape(shape), t, shape  # one sample

    def _on_tensor(self, x, t):
        if isinstance(t, TensorBase):
            if t.requires_grad:
                raise ValueError(
                    f"{type(self).__name__} expects t without a gradient, which fastbp.nn's losses "
                    "give; got a Tensor that requires one."
                )
            t = t.array
        array, t, shape = self._prepare(x.array, t)
        loss, y = self._value(array, t)
        saved = self, y, t.copy(), shape, x  # t may be written to before backward reads it
        return node(f"{type(self).__name__}Backward0", y.dtype.type(loss), (x,), pull_back, saved)

    def evaluate(self, x: ArrayLike, t: ArrayLike) -> float:
        """The mean loss; keeps nothing."""
        return self._passed(x, t)[0]

    def parts(self, n_out: int) -> Parts | None:
        """(loss, number, width, factor) of each part, as the engine has them, of so many outputs.

        None where the loss is one of the engine's by itself.
        """
        return None

    def targets(self, who: str, t: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Targets for the engine, of predictions of that shape: of it, or class indices."""
        raise NotImplementedError

    def evaluate_taken(self, x: Array, t: Array) -> float:
        """The mean loss of targets as `targets` gives them."""
        return self.evaluate(x, t)

    def backward(self, dout: float = 1) -> Array:
        """The loss's gradient by x, times the number `dout`; of x's shape."""
        checks.forward_was_called(type(self).__name__, self._shape)
        if type(dout) is not int or dout != 1:
            dout = checks.number(f"{type(self).__name__}.backward", "dout", dout)
        if self._pass is not None:
            dx = passes.loss_backward(self._pass, self.y, self.t, dout, self.kind_number)
            if dx is not None and dx.shape == self._shape:
                return dx
        return self._gradient(self.y, self.t, dout).reshape(self._shape)

    #: The number that goes with its kind.
    kind_number: float = 0.0
    #: The arguments that it is made with.
    options: tuple[str, ...] = ()

    def follow(self) -> None:
        """Take the options that the loss of `fastbp.nn` has now, or refuse them."""
        if self.criterion is not None:
            now = self.criterion.as_book()
            for name in self.options:
                if getattr(self, name) != getattr(now, name):
                    setattr(self, name, getattr(now, name))

    def config(self) -> dict[str, Any]:
        """The arguments that make such a loss again."""
        options = {name: getattr(self, name) for name in self.options}
        return {name: value for name, value in options.items() if value is not None}

    def accuracy(self, x: Array, t: Array) -> float:
        """The share of targets that predictions x hit, between 0 and 1."""
        raise ValueError(f"accuracy expects a classification loss; got {type(self).__name__}.")

    def _share(self, hits):
        """The share of True, of at least one."""
        if not hits.size:
            raise ValueError(f"{type(self).__name__}.accuracy expects at least one sample; got none.")
        return float(np.mean(hits))

    def probabilities(self, x: Array) -> Array:
        """The probabilities that predictions x stand for."""
        raise ValueError(f"predict_proba expects a classification loss; got {type(self).__name__}.")

    __call__ = forward

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.config().items())
        return f"{type(self).__name__}({arguments})"


#: By the names of `from_config` and the command line.
LOSSES: dict[str, type[Loss]] = {}
#: By the names of their rows.
ROW_LOSSES: dict[str, type[Loss]] = {}


def pull_back(saved: tuple[Any, ...], dout: Any, needs: object) -> tuple[Array]:
    """The gradient by the predictions, from that by the loss."""
    loss, y, t, shape = saved[:4]
    return (loss._gradient(y, t, float(dout)).reshape(shape),)


def mean(total: float, n: int) -> float:
    return total / n if n else float("nan")


def loss_of(who: str, loss: Any) -> Any:
    """A loss as an object: given as one, as its class, or by name; a loss of `fastbp.nn` as ours."""
    if isinstance(loss, str):
        loss = LOSSES[checks.choice(who, "loss", loss, tuple(LOSSES))]
    if isinstance(loss, type):
        loss = loss()
    return loss.as_book() if hasattr(loss, "as_book") else loss
