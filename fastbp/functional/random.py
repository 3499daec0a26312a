"""Random functions of tensors: dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd import tensor  # noqa: F401  (in the examples)
from fastbp.autograd.arguments import tensor_of
from fastbp.autograd.elementwise import floats_of
from fastbp.autograd.inplace import changed
from fastbp.autograd.random import stream
from fastbp.backend import kernels
from fastbp.checks import explained

__all__ = ["dropout"]


@explained
def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """x / (1 - p), or 0 with probability p, drawn from the stream of `fastbp.manual_seed`.

    Examples
    --------
    >>> dropout(tensor([1.0, 2.0]), 0.5, training=False)
    tensor([1., 2.])
    """
    p = probability("dropout", p)
    if not training or p == 0:
        return input
    if inplace:
        return changed(tensor_of("dropout", "input", input), dropout, p)
    x, array = floats_of(input)
    if p == 1:
        return x * 0.0
    array = checks.floats("dropout", "input", array)
    key = drawn_key()
    out = _dropped(array, key, p)
    return core.node("NativeDropoutBackward0", out, (x,), _dropout_gradient, (key, p))


def probability(who: str, p: Any) -> Any:
    """A number from 0 to 1."""
    return checks.number(who, "p", p, least=0, most=1)


def drawn_key() -> int:
    """A mask's key, from the stream of `fastbp.manual_seed`."""
    return int(stream(None).integers(2**64, dtype=np.uint64))


def _dropped(array, key, p):
    out = np.empty(array.shape, array.dtype)
    kernels().dropout(array.reshape(-1), out.reshape(-1), key, p)
    return out


def _dropout_gradient(saved, dout, needs):
    return (_dropped(np.require(dout, None, ("C", "A")), *saved),)
