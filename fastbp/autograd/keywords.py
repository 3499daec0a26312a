"""Keywords that PyTorch gives its functions beside their own: axis, keepdims and out."""

import inspect

import numpy as np

from fastbp import checks, dtypes
from fastbp._kernels import autograd as core

#: NumPy's names of arguments.
ALIASES = {"axis": "dim", "keepdims": "keepdim"}


def of(who, function, has_out):
    """How `function` is called where keywords are handed in; None where it takes no others."""
    parameters = inspect.signature(function).parameters
    aliases = {alias: name for alias, name in ALIASES.items() if name in parameters}
    typed = "dtype" in parameters
    if not aliases and not has_out:
        return None

    def call(arguments, keywords):
        for alias, name in aliases.items():
            if alias in keywords:
                if name in keywords:
                    raise TypeError(f"{who} expects {name} or {alias}, which mean the same; got "
                                    "both.")  # fmt: skip
                keywords[name] = keywords.pop(alias)
        out = keywords.pop("out", None) if has_out else None
        if out is None:
            return function(*arguments, **keywords)
        if typed and isinstance(out, core.TensorBase) and keywords.get("dtype") is None:
            keywords["dtype"] = out.dtype
        _no_history(who, (*arguments, *keywords.values(), out))
        return _put(who, function(*arguments, **keywords), out)

    return call


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
            raise TypeError(f"{who} expects out as {len(result)} tensors; got "
                            f"{checks.described(out)}.")  # fmt: skip
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
        raise RuntimeError(f"{who} expects out of the result's shape {result.array.shape}, or "
                           f"without elements; got {out.array.shape}.")  # fmt: skip
    of_index = result.dtype is dtypes.int64 and isinstance(result, core.TensorBase)
    if result.dtype.category > out.dtype.category or (
            who.startswith("arg") and of_index and out.dtype is not dtypes.int64):  # fmt: skip
        raise RuntimeError(f"{who} expects out of a dtype that {result.dtype!r} can be cast to; "
                           f"got {out.dtype!r}.")  # fmt: skip


def _written(result, out):
    if out.array.shape != result.array.shape:
        out.data = core.new(result.array.astype(out.array.dtype))
    else:
        core.quiet(np.copyto, (out.array, result.array), {"casting": "unsafe"})
    out._bump()
    return out
