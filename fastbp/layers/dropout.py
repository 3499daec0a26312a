"""`Dropout`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp import checks, init
from fastbp.backend import kernels
from fastbp.layers.base import LayerOfTwoModes
from fastbp.modules import Readable


def _ratio(who, name, value):
    ratio = checks.number(who, name, value, least=0, most=1)
    if ratio == 1:
        raise ValueError(f"{who} expects {name} below 1; got 1.")
    return ratio


class Dropout(LayerOfTwoModes):
    """Inverted dropout: in training ``x / (1 - dropout_ratio)``, or 0 with that probability.

    The scaling is done in training, where the book does it in evaluation.

    Parameters
    ----------
    dropout_ratio : float
        Between 0 and 1, 1 left out.
    seed : int or None
        Chooses the masks of `forward`; None draws one.  Training by a `Trainer` or `fit` has
        its own seed.

    Attributes
    ----------
    mask : numpy.ndarray of bool or None
        True where the last forward kept x.

    References
    ----------
    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting (2014).

    Examples
    --------
    >>> import numpy as np
    >>> dropout = Dropout(0.5, seed=0)
    >>> dropout.forward(np.ones(6))
    array([2., 0., 0., 2., 2., 0.])
    >>> dropout.forward(np.ones(6), train_flg=False)
    array([1., 1., 1., 1., 1., 1.])
    """

    kind: str | None = "dropout"
    node_name = "NativeDropoutBackward0"
    kept_names: tuple[str, ...] = ("seed", "_steps")

    dropout_ratio: Any = checks.Checked(_ratio)
    seed: Any = checks.Checked(lambda who, _, seed: init.seed_of(who, seed))

    def __init__(self, dropout_ratio: float = 0.5, seed: int | None = None) -> None:
        super().__init__()
        self.dropout_ratio = dropout_ratio
        self.seed = seed
        self._steps = 0

    @property
    def kind_number(self) -> Any:
        return self.dropout_ratio

    def _mask(self, x, key):
        if key is None:  # of a forward in evaluation mode
            return x
        out = np.empty(x.shape, x.dtype)
        kernels().dropout(x.reshape(-1), out.reshape(-1), key, self.dropout_ratio)
        return out

    @Readable
    def mask(self) -> Any:
        """True where the last forward kept x."""
        if self._saved is None:
            return None
        shape, dtype, key = self._saved
        return self._mask(np.ones(shape, dtype), key) != 0

    def link(self) -> Any:
        return ()

    def run(self, x: Any, training: Any) -> tuple[Any, tuple[Any, Any, Any]] | tuple[Any, tuple[Any, Any, None]]:
        x = checks.floats("Dropout", "x", x)
        if not training:
            return x, (x.shape, x.dtype, None)
        key = kernels().dropout_key(self.seed, self._steps, 0)
        vars(self)["_steps"] += 1  # which nobody has to look at
        return self._mask(x, key), (x.shape, x.dtype, key)

    def on_tensor(self, x: Any) -> Any:
        return super().on_tensor(x) if self.training else x

    def pullback(self, saved: Any, dout: Any, need_dx: bool = True) -> tuple[Any, tuple[()]]:
        shape, dtype, key = saved
        return self._mask(checks.gradient_of("Dropout", dout, shape, dtype), key), ()

    def config(self) -> dict[str, Any]:
        return {"dropout_ratio": self.dropout_ratio}
