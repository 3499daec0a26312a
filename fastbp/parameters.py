"""`Parameters`: a network's trained arrays by the book's names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.modules import Module

if TYPE_CHECKING:
    from fastbp._typing import ArrayLike

__all__ = ["Parameters", "is_foreign", "require_named"]


class Parameters(MutableMapping[str, "np.ndarray[Any, Any]"]):
    """The parameters of a network by the book's names: ``W1, b1, W2, b2, ...``.

    Reading gives the very arrays of the layers; assignment copies into them.
    """

    def __init__(self, layers: Iterable[Any], before: Parameters | None = None) -> None:
        self._places = {}
        known = {} if before is None else before.names
        #: The names of each layer's arrays, as it was when first looked at.
        self.names: dict[Any, tuple[str, ...]] = {  # one at several places counts once
            layer: known.get(layer) or _trained_names(layer) for layer in dict.fromkeys(layers)
        }
        counts: dict[str, int] = {}
        for layer, names in self.names.items():
            for name in names:
                counts[name] = counts.get(name, 0) + 1
                self._places[f"{name}{counts[name]}"] = (layer, name)

    def __getitem__(self, key: str) -> np.ndarray[Any, Any]:
        try:
            layer, name = self._places[key]
        except KeyError:
            raise KeyError(
                f"params expects one of the names {', '.join(self._places)}; got {checks.shown(key)}."
            ) from None
        return getattr(layer, name)

    def __setitem__(self, key: str, value: ArrayLike) -> None:
        array = self[key]
        if value is array:  # params[key] -= ... has already changed it in place
            return
        value = checks.floats("params", key, value, array.dtype.newbyteorder("="))
        checks.same_shape("params", key, value, array.shape, "the layer's array")
        checks.writable_parameter("params", key, array)[...] = value

    def places(self) -> dict[str, tuple[Any, str]]:
        """The (layer, attribute) that each name stands for."""
        return dict(self._places)

    def __delitem__(self, key: str) -> None:
        raise TypeError(f"params expects to keep all its parameters; got del params[{key!r}].")

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{key}: {self[key].shape}" for key in self)
        return f"Parameters({shapes})"


def _trained_names(layer):
    """The names of a layer's trained arrays.

    A layer of the user's own that has no `param_names` is taken to train the arrays beside which it
    has a place for the gradient, as the book's have `dW` beside `W`; its input and output are none.
    """
    if isinstance(layer, Module) or hasattr(layer, "param_names"):
        return tuple(getattr(layer, "param_names", ()))
    kept = vars(layer) if hasattr(layer, "__dict__") else {}
    return tuple(
        name
        for name, value in kept.items()
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and f"d{name}" in kept
        if name not in ("x", "y", "out")
    )


def is_foreign(layer: Any) -> bool:
    """Whether a layer is of a class of the user's own that does not name its parameters."""
    return not isinstance(layer, Module) and not hasattr(layer, "param_names") and (hasattr(layer, "__dict__"))


def require_named(layer: Any, before: Mapping[str, Any], names: Collection[str]) -> None:
    """Refuse trained arrays that `params` does not know: nobody would train them."""
    kept = vars(layer)
    unknown = [n for n in _trained_names(layer) if n not in names and before.get(n) is kept[n]]
    if kept.get("params") and kept.get("grads"):
        unknown.append("params")
    if unknown:
        raise TypeError(
            "Sequential.gradient expects layers of one's own to name their arrays, as "
            "param_names = ('W', 'b') beside the gradients dW and db; got "
            f"{type(layer).__name__}, which does not, and has {', '.join(unknown)}."
        )
