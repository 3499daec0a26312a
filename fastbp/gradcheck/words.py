"""What users hand in, and what their functions give back, refused in one sentence."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from fastbp import checks

WHO = "gradient_check"


def input_of(x: Any) -> Any:
    """x as a float64 array that may be changed."""
    array = checks.floats(WHO, "x", x)
    dtype = checks.numbers(WHO, "x", x).dtype
    if dtype.kind != "f":
        raise TypeError(f"{WHO} expects x of floating dtype; got {dtype}.")
    if array.size == 0:
        raise ValueError(f"{WHO} expects x with at least one element; got shape {array.shape}.")
    return np.array(array, np.float64)


def copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise TypeError(
            f"{WHO} expects an object that copy.deepcopy can copy, since it works on a copy; "
            f"got {name_of(value)}, which cannot be copied ({error})."
        ) from error


def number(who: str, what: Any, value: Any) -> float:
    """What a function returned, as one float."""
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "fiub":
        raise TypeError(f"{who} expects {what} to return one real number; got {described(value)}.")
    return float(array)


def loss_value(owner: Any, method: Any, value: Any) -> Any:
    what = f"{name_of(owner)}.{method}"
    one = number(WHO, what, value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.itemsize < 8:
        raise TypeError(f"{WHO} expects {what} to compute in float64; got {value.dtype}.")
    return one


def float64_output(layer: Any, out: Any) -> Any:
    """A layer's output, which has to be computed in float64."""
    if not isinstance(out, np.ndarray | np.generic) or out.dtype != checks.FLOAT64:
        raise TypeError(
            f"{WHO} expects {name_of(layer)} to give an array of float64 for one of float64; got {described(out)}."
        )
    return out


def name_of(value: Any) -> Any:
    return type(value).__name__


def described(value: Any) -> str:
    """An array by dtype and shape, anything else by its type."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    return f"{value!r}" if value is None else f"a {name_of(value)}"
