"""What is trained in a layer of anyone's making: its arrays, and where their gradients are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class _Parameter:
    """An array that is trained and its gradient: items of a dict or list, or attributes."""

    owner: Any
    name: Any
    gradient_owner: Any
    gradient_name: Any
    adds_up: bool = False  # whether backward adds to the gradient that is there

    @property
    def array(self) -> Any:
        return _read(self.owner, self.name)

    @property
    def gradient(self) -> Any:
        return _read(self.gradient_owner, self.gradient_name)

    def make_float64(self) -> None:
        array = np.array(self.array, np.float64)
        if isinstance(self.owner, dict | list):
            self.owner[self.name] = array
        else:
            setattr(self.owner, self.name, array)

    def forget_gradient(self) -> None:
        if self.adds_up:
            self.gradient[...] = 0


def _read(owner, name):
    if isinstance(owner, dict):
        return owner.get(name)
    if isinstance(owner, list):
        return owner[name] if name < len(owner) else None
    return getattr(owner, name, None)


def parameters_of(layer: Any, prefix: Any, sweep: Any) -> Any:
    """What is trained in a layer and in the parts within it, by name, as float64.

    `sweep` runs forward and backward, before which a user's own layer has no gradients.
    """
    for _, part in _parts(layer, prefix):  # else float32 within would make the differences coarse
        for name in getattr(part, "param_names", ()):
            setattr(part, name, np.array(getattr(part, name), np.float64))
    sweep()
    found = {
        key: parameter for path, part in _parts(layer, prefix) for key, parameter in _own_parameters(part, path).items()
    }
    before = {key: (each.array, np.copy(each.gradient)) for key, each in found.items()}
    sweep()
    kept = {}
    for key, each in found.items():
        array, gradient = before[key]
        if each.array is not array:  # kept for backward, and replaced by every forward
            continue
        new_gradient = each.gradient
        adds_up = isinstance(new_gradient, np.ndarray) and not np.array_equal(new_gradient, gradient, equal_nan=True)
        kept[key] = replace(each, adds_up=adds_up)
        kept[key].make_float64()
    return kept


def _parts(thing, path, seen=None):
    """A layer and the layers that it holds, in attributes, lists and dicts, and where."""
    seen = {} if seen is None else seen
    if id(thing) in seen:
        return
    seen[id(thing)] = thing
    if callable(getattr(thing, "forward", None)) and callable(getattr(thing, "backward", None)):
        yield path, thing
        held = vars(thing).items() if hasattr(thing, "__dict__") else ()
        inner = [(f"{path}{name}", value) for name, value in held]
    elif isinstance(thing, dict | list | tuple):
        items = thing.items() if isinstance(thing, dict) else enumerate(thing)
        inner = [(f"{path.removesuffix('.')}[{name}]", value) for name, value in items]
    else:
        return
    for inner_path, value in inner:
        yield from _parts(value, f"{inner_path}.", seen)


def _own_parameters(part, path):
    """Those that a layer names, and its arrays beside which it keeps a gradient (W and dW)."""
    names = getattr(part, "trained_names", getattr(part, "param_names", ()))
    found = {f"{path}{name}": _Parameter(part, name, part, f"d{name}") for name in names}
    kept = vars(part) if hasattr(part, "__dict__") else {}
    for name, value in kept.items():
        if name in ("x", "y", "out") or not _is_floating(value):  # not trained
            continue
        for other in (f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad"):
            if other in kept and name not in names:
                found[f"{path}{name}"] = _Parameter(part, name, part, other)
    params, grads = kept.get("params"), kept.get("grads")
    if isinstance(params, dict | list) and isinstance(grads, dict | list):
        for name in params if isinstance(params, dict) else range(len(params)):
            if _is_floating(params[name]) and not any(params[name] is each.array for each in found.values()):
                found[f"{path}params[{name!r}]"] = _Parameter(params, name, grads, name)
    return found


def _is_floating(value):
    return isinstance(value, float | np.floating) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")
