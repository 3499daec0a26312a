"""Lists and mappings of modules and parameters, as parts of a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from fastbp import checks
from fastbp.modules import Module, is_parameter, require_writable_name

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList"]


class _List(Module):
    """What lists have in common: items by "0", "1", ... in one of the tables."""

    def __init__(self, items: Any = None) -> None:
        super().__init__()
        if items is not None:
            self.extend(items)

    def _table(self):
        raise NotImplementedError

    def _checked(self, item):
        raise NotImplementedError

    def _items(self):
        """Its items by their names."""
        return self._table()

    def _set(self, items):
        """Other items, counted anew."""
        items = [self._checked(item) for item in items]
        table, own = self._table(), self._items()
        named = [name for name in own if not name.isdecimal()]
        if named:
            raise ValueError(
                f"{type(self).__name__} expects items that their places name, where these change; "
                f"got one named {named[0]!r}."
            )
        others = {name: item for name, item in table.items() if name not in own}
        table.clear()
        table.update({str(place): item for place, item in enumerate(items)} | others)

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._items().values()))

    def __getitem__(self, index: Any) -> Any:
        items = list(self)[index]
        return type(self)(items) if isinstance(index, slice) else items

    def __setitem__(self, index: Any, item: Any) -> None:
        if isinstance(index, slice):
            items = list(self)
            items[index] = item
            self._set(items)
        else:
            name = list(self._items())[index]
            self._table()[name] = self._checked(item)

    def __delitem__(self, index: Any) -> None:
        items = list(self)
        del items[index]
        self._set(items)

    def append(self, item: Any) -> Any:
        """Add one at the end."""
        return self.extend([item])

    @checks.explained
    def extend(self, items: Any) -> Self:
        """Add several at the end."""
        items = [self._checked(item) for item in items]
        places = range(len(self), len(self) + len(items))
        self._table().update(zip(map(str, places), items, strict=True))
        return self

    @checks.explained
    def insert(self, index: Any, item: Any) -> None:
        """Add one before another."""
        items = list(self)
        items.insert(index, item)
        self._set(items)

    @checks.explained
    def pop(self, index: Any = -1) -> Any:
        """Take one out."""
        item = self[index]
        del self[index]
        return item

    def __iadd__(self, items: Any) -> Any:
        return self.extend(items)

    def __add__(self, items: Any) -> Any:
        return type(self)([*self, *items])


class ModuleList(_List):
    """Modules in a list; it computes nothing itself.

    Examples
    --------
    >>> from fastbp import nn
    >>> ModuleList([nn.Linear(2, 3), nn.ReLU()])
    ModuleList(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def _table(self):
        return self._modules

    def _checked(self, item):
        if not isinstance(item, Module):
            raise TypeError(f"ModuleList expects modules; got {type(item).__name__}.")
        return item

    def part_lines(self) -> list[Any]:
        """Equal parts that follow each other are counted."""
        runs: list[list] = []
        for place, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1][1] = place
            else:
                runs.append([place, place, text])
        return [f"({a}): {text}" if a == b else f"({a}-{b}): {b - a + 1} x {text}" for a, b, text in runs]


class ParameterList(_List):
    """Parameters in a list; tensors become parameters.

    Examples
    --------
    >>> from fastbp import nn, zeros
    >>> weights = ParameterList([nn.Parameter(zeros(2)) for _ in range(3)])
    >>> len(list(weights.parameters()))
    3
    """

    def _table(self):
        return self._parameters

    def _items(self):
        """Its items by their names: a parameter that was set by a name stands beside them."""
        return {name: item for name, item in self._parameters.items() if name.isdecimal()}

    def _checked(self, item):
        return _parameter("ParameterList", item)

    def extra_repr(self) -> Any:
        return _described(self._parameters)


def _parameter(who, item):
    from fastbp.autograd import Parameter, Tensor

    if is_parameter(item):
        return item
    if not isinstance(item, Tensor):
        raise TypeError(f"{who} expects Parameters; got {type(item).__name__}.")
    return Parameter(item)


def _described(parameters):
    return "\n".join(
        f"  ({name}): Parameter containing: [{value.dtype!r} of size {'x'.join(map(str, value.shape))}]"
        for name, value in parameters.items()
    )


class _Dict(Module):
    """What mappings have in common."""

    _names: str  # of the table

    def __init__(self, items: Any = None) -> None:
        super().__init__()
        if items is not None:
            self.update(items)

    def _table(self):
        return getattr(self, self._names)

    def _items(self):
        """Its items by their names."""
        return self._table()

    def _checked(self, item):
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._items()))

    def __contains__(self, key: Any) -> bool:
        return key in self._items()

    def __getitem__(self, key: Any) -> Any:
        return self._items()[key]

    def __setitem__(self, key: Any, item: Any) -> None:
        self.update({key: item})

    def __delitem__(self, key: Any) -> None:
        self.pop(key)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.keys())

    def keys(self):
        """The names."""
        return self._items().keys()

    def values(self) -> Any:
        """The items."""
        return self._items().values()

    def items(self) -> Any:
        """(name, item) of all."""
        return self._items().items()

    @checks.explained
    def update(self, items: Any) -> None:
        """Add several, from a mapping or from (name, item)."""
        items = dict(items)
        for key in items:
            require_writable_name(type(self).__name__, key)
        self._put({key: self._checked(item) for key, item in items.items()})

    def _put(self, items):
        self._table().update(items)

    @checks.explained
    def pop(self, key: Any) -> Any:
        """Take one out."""
        item = self._items()[key]
        del self._table()[key]
        return item

    def clear(self) -> None:
        """Take all out."""
        for key in self:
            del self[key]


class ModuleDict(_Dict):
    """Modules by name; it computes nothing itself.

    Examples
    --------
    >>> from fastbp import nn
    >>> acts = ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
    >>> list(acts.keys())
    ['relu', 'tanh']
    """

    _names = "_modules"

    def _checked(self, item):
        if not isinstance(item, Module):
            raise TypeError(f"ModuleDict expects modules; got {type(item).__name__}.")
        return item


class ParameterDict(_Dict):
    """Parameters by name; tensors become parameters.

    Examples
    --------
    >>> from fastbp import zeros
    >>> [name for name, _ in ParameterDict({"w": zeros(2)}).named_parameters()]
    ['w']
    """

    _names = "_parameters"

    def __init__(self, items: Any = None) -> None:
        vars(self)["_keys"] = {}
        super().__init__(items)

    def _items(self):
        """Its items by their names: a parameter that was set as an attribute stands beside them."""
        return {key: self._parameters[key] for key in self._keys if key in self._parameters}

    def _put(self, items):
        super()._put(items)
        self._keys.update(dict.fromkeys(items))

    def _checked(self, item):
        return _parameter("ParameterDict", item)

    def extra_repr(self) -> Any:
        return _described(self._parameters)
