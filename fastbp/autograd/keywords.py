"""Keywords that PyTorch gives its functions beside their own: axis, keepdims, dims, size, out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp import checks, dtypes
from fastbp._kernels import autograd as core

#: NumPy's names of arguments.
ALIASES = {"axis": "dim", "keepdims": "keepdim"}
#: PyTorch's names of arguments, where they are others.
OF_FUNCTIONS = {
    "mm": {"mat2": "other"},
    "bmm": {"mat2": "other"},
    "mv": {"vec": "other"},
    "dot": {"tensor": "other"},
    "outer": {"vec2": "other"},
    "scatter": {"value": "src"},
    "broadcast_to": {"size": "shape"},
}
#: The keyword of lengths or dimensions that may be given one by one, where it is another.
SEVERAL = {"view": "size", "expand": "size"}


def of(who: str, function: Callable[..., Any], has_out: bool) -> Callable[..., Any] | None:
    """How `function` is called where keywords are handed in; None where it takes no others."""
    parameters = inspect.signature(function).parameters
    aliases = {alias: name for alias, name in ALIASES.items() if name in parameters}
    aliases.update(OF_FUNCTIONS.get(who, {}))
    typed = "dtype" in parameters
    several = _several(who, parameters)
    if not (aliases or has_out or several):
        return None

    def call(arguments, keywords):
        if several in keywords:
            arguments = _together(who, several, arguments, keywords)
        for alias, name in aliases.items():
            if alias in keywords:
                if name in keywords:
                    raise TypeError(f"{who} expects {name} or {alias}, which mean the same; got both.")
                keywords[name] = keywords.pop(alias)
        out = keywords.pop("out", None) if has_out else None
        if out is None:
            return function(*arguments, **keywords)
        if typed and isinstance(out, core.TensorBase) and keywords.get("dtype") is None:
            keywords["dtype"] = out.dtype
        _no_history(who, (*arguments, *keywords.values(), out))
        return _put(who, function(*arguments, **keywords), out)

    return call


def _several(who, parameters):
    """The keyword of what `*shape` and the like take; None where there is none."""
    for name, parameter in parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL and name in ("shape", "dims", "repeats"):
            return None if "size" in parameters else SEVERAL.get(who, name)
    return None


def _together(who, name, arguments, keywords):
    """Arguments of which the keyword `name` is the last, behind the tensor."""
    if "input" in keywords:
        arguments = (keywords.pop("input"), *arguments)
    if len(arguments) > 1:
        raise TypeError(f"{who} expects {name} as arguments or as a keyword; got both.")
    return (*arguments, keywords.pop(name))


def _no_history(who, values):
    for value in values:
        if isinstance(value, tuple | list):
            _no_history(who, value)
        elif isinstance(value, core.TensorBase) and core.is_grad_enabled() and value.requires_grad:
            raise RuntimeError(
                f"{who} expects tensors that do not require grad beside out, which keeps no "
                "history; got one that does: leave out= away, or compute under no_grad."
            )


def _put(who, result, out):
    """Write a result, or each of several, into `out`, which has its shape or no elements."""
    if isinstance(result, tuple):
        if not isinstance(out, tuple | list) or len(out) != len(result):
            raise TypeError(f"{who} expects out as {len(result)} tensors; got {checks.described(out)}.")
        for each in zip(result, out, strict=True):
            _fits(who, *each)
        parts = [_written(*each) for each in zip(result, out, strict=True)]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    _fits(who, result, out)
    return _written(result, out)


def _fits(who, result, out):
    checks.instance(who, "out", out, core.TensorBase, "a Tensor")
    out._may_change()
    if out.array.shape != result.array.shape and out.array.size:
        raise RuntimeError(
            f"{who} expects out of the result's shape {result.array.shape}, or without elements; got {out.array.shape}."
        )
    of_index = result.dtype is dtypes.int64 and isinstance(result, core.TensorBase)
    if result.dtype.category > out.dtype.category or (
        who.startswith("arg") and of_index and out.dtype is not dtypes.int64
    ):
        raise RuntimeError(f"{who} expects out of a dtype that {result.dtype!r} can be cast to; got {out.dtype!r}.")


def _written(result, out):
    if out.array.shape != result.array.shape:
        out.data = core.new(result.array.astype(out.array.dtype))
    else:
        core.quiet(np.copyto, (out.array, result.array), {"casting": "unsafe"})
    out._bump()
    return out
