"""`Flatten`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp import checks
from fastbp.layers.base import Layer


class Flatten(Layer):
    """Flattens everything behind the first axis; `backward` restores the shape.

    Examples
    --------
    >>> import numpy as np
    >>> flatten = Flatten()
    >>> flatten.forward(np.zeros((10, 1, 28, 28))).shape
    (10, 784)
    >>> flatten.backward(np.zeros((10, 784))).shape
    (10, 1, 28, 28)
    """

    def on_tensor(self, x: Any) -> Any:
        return x.flatten(1) if x.ndim > 1 else x

    def link(self) -> Any:
        return ()

    def run(self, x: Any, training: Any) -> tuple[Any, None] | tuple[Any, tuple[Any, Any, Any]]:
        if not training and hasattr(x, "tocsr"):  # whose rows are flat
            return x, None
        x = checks.floats("Flatten", "x", x)
        if x.ndim == 0:
            raise ValueError("Flatten expects x with at least one axis; got a scalar.")
        out = x if x.ndim <= 2 else x.reshape(x.shape[0], int(np.prod(x.shape[1:])))
        return out, (x.shape, out.shape, out.dtype)

    def pullback(self, saved: Any, dout: Any, need_dx: bool = True) -> tuple[Any, tuple[()]]:
        shape, out_shape, dtype = saved
        return checks.gradient_of("Flatten", dout, out_shape, dtype).reshape(shape), ()
