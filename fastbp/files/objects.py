"""`save` and `load`: tensors and what is around them in one file.

In JSON a plain value stands for itself, and an object {kind: content} for everything else.
"""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, dtypes
from fastbp.files.arrays import read_safetensors, shown, snapshot, write_safetensors

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.autograd import Tensor

__all__ = ["load", "save"]

#: The key of the metadata under which `save` writes how its tensors hang together.
_KEY = "fastbp.object"
_VERSION = 1
#: How deep containers may lie in each other: what is written at any depth of calls is read at any.
_DEEPEST = 200


def save(
    obj: dict[Any, Any] | list[Any] | tuple[Any, ...] | Tensor | Array | float | str | bool | None, path: Any
) -> None:
    """Write a state dict or a checkpoint into one file.

    Parameters
    ----------
    obj : dict, list, tuple, Tensor, numpy.ndarray, number, str, bool or None
        Containers may hold each other; keys are strings, numbers, bools or None.
    path : str, os.PathLike or file opened for bytes
        A path is written whole or not at all.

    Raises
    ------
    TypeError
        For a module given whole, and for objects of other classes; nothing is written then.
    ValueError
        For containers that lie over 200 deep in each other, and for over 100 MB of them, of their
        numbers and strings, beside the tensors.
    OSError
        For a path that cannot be written to, or no room for the file; what was there stays.
    ImportError
        Without safetensors.

    Notes
    -----
    The file is a safetensors file: the tensors, C-contiguous, and as JSON in its metadata the
    containers around them.  The tensors of a flat state dict have their own names, so that
    ``safetensors.torch.load_file`` reads it, too.  NumPy's numbers come back as Python's.

    A tensor at several places, several of one shape in the same memory, and the transpose of
    another come back so tied; other views of one memory come back apart.

    All tensors are copied at one moment: where another thread trains them, a step of an optimiser
    is in all of them or in none.  A file that is there keeps its owner, its permissions and its
    attributes, a symbolic link goes on to lead to it, and other hard links keep what it held.

    Examples
    --------
    >>> from fastbp import tensor
    >>> save({"epoch": 3, "weights": {"w": tensor([1.0, 2.0])}}, "checkpoint.safetensors")
    >>> load("checkpoint.safetensors")
    {'epoch': 3, 'weights': {'w': tensor([1., 2.])}}
    """
    import json

    contents = _Contents()
    try:
        described = _described(obj, (), contents)
    except RecursionError:
        raise ValueError(
            "save expects containers that neither hold themselves nor lie over "
            f"{_DEEPEST} deep in each other; got such ones."
        ) from None
    try:
        skeleton = json.dumps({"version": _VERSION, "object": described})
    except ValueError:  # Python writes no integers of more than 4300 digits
        raise ValueError("save expects integers of at most thousands of digits; got a longer one.") from None
    write_safetensors("save", path, snapshot(contents.arrays), {_KEY: skeleton})


def load(path: Any, map_location: Any = None, weights_only: bool = True) -> Any:
    """What `save` wrote, or the dict of tensors in another safetensors file.

    Parameters
    ----------
    path : str, os.PathLike or file opened for bytes
    map_location : "cpu", device("cpu") or None
        Where the tensors shall be: all are on the CPU.  A function or a dict is taken, too.
    weights_only : bool
        Without effect: a file holds no code.

    Returns
    -------
    object
        With tensors and arrays in memory of their own.

    Raises
    ------
    ValueError
        For a damaged file, one that PyTorch pickled, or another kind of file.
    RuntimeError
        For another place than the CPU.
    ImportError
        Without safetensors.

    Examples
    --------
    >>> from fastbp import ones
    >>> save({"0.weight": ones(1, 2)}, "weights.safetensors")
    >>> load("weights.safetensors", map_location="cpu")["0.weight"]
    tensor([[1., 1.]])
    """
    from fastbp.autograd import device

    checks.flag("load", "weights_only", weights_only)
    if isinstance(map_location, str):
        device(map_location)
    tensors, metadata = read_safetensors("load", path)
    if _KEY not in metadata:
        if "fastbp" in metadata:
            raise ValueError(
                f"load expects what save wrote; got {shown(path)}, a whole network, which Sequential.load reads."
            )
        whole = {"version": _VERSION, "object": {"dict": [[n, {"tensor": n}] for n in tensors]}}
    try:
        if _KEY in metadata:
            whole = checks.json_of(metadata[_KEY])
        if whole["version"] != _VERSION:
            raise ValueError(f"version {reprlib.repr(whole['version'])}, of another fastbp")
        return _rebuilt(whole["object"], tensors, {})
    except MemoryError:
        raise
    except Exception as error:  # whatever a file may hold, this is what is wrong with it
        raise ValueError(
            f"load expects a file as save wrote it; got {shown(path)} ({type(error).__name__}: {error!s:.200})."
        ) from error


class _Contents:
    """The arrays of a file by name, and where each of them, and each memory, was first met."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.first: dict = {}  # names by `id`, or by memory and layout
        self._held: list = []  # else another value could get the `id` of one that is gone

    def add(self, kind: Any, value: Any, array: Any, place: Any) -> dict[Any, Any] | dict[str, Any]:
        """The JSON of a tensor or an array, which gets a name of its own in any case."""
        name = _named(array, place, self.arrays)
        for tie, key in (("same", (kind, id(value))), ("memory", _layout(array)), ("transpose", _layout(array.T))):
            if array.size and key in self.first:
                return {"tied": [kind, name, tie, self.first[key]]}
        self._held.append(value)
        self.first[kind, id(value)] = self.first[_layout(array)] = name
        return {kind: name}


def _layout(array):
    return array.__array_interface__["data"][0], array.dtype, array.shape, array.strides


def _described(value, place, contents):
    """The JSON of a value; the tensors in it go into `contents`, by their place in it."""
    from fastbp.autograd import Tensor

    if len(place) > _DEEPEST:
        raise RecursionError
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf" and value.dtype.char != "g":
        return value.item()
    if isinstance(value, Tensor):
        kind = "trained" if value.requires_grad else "tensor"
        return contents.add(kind, value, value.detach().array, place)
    if isinstance(value, np.ndarray):
        return contents.add("array", value, value, place)
    if isinstance(value, dict):
        for key in list(value):
            if not (key is None or isinstance(key, bool | int | float | str)):
                raise TypeError(
                    f"save expects keys that are strings, numbers, bools or None; got {key!r}{_where(place)}."
                )
        items = list(value.items())  # at once: another thread's step may add to an optimiser's
        return {"dict": [[key, _described(v, (*place, key), contents)] for key, v in items]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_described(v, (*place, k), contents) for k, v in enumerate(value)]}
    if hasattr(value, "state_dict"):
        raise TypeError(
            f"save expects a state dict, as fastbp.save(model.state_dict(), path); got a "
            f"{type(value).__name__} given whole{_where(place)}."
        )
    raise TypeError(
        "save expects dicts, lists and tuples of Tensors, arrays, numbers and strings; got "
        f"{checks.shown(value)} of type {type(value).__name__}{_where(place)}."
    )


def _named(array, place, tensors):
    """A name of its own for an array in the file: the keys to it, joined by dots."""
    if array.dtype.newbyteorder("=") not in dtypes.BY_NUMPY:
        raise TypeError(f"save expects arrays of {', '.join(dtypes.NAMES)}; got dtype {array.dtype}{_where(place)}.")
    checks.unmasked("save", f"the array{_where(place)}", array)
    own = ".".join(map(str, place)) or "tensor"
    own = own.encode(errors="backslashreplace").decode()  # half of a surrogate pair is no UTF-8
    name, number = own, 1
    while name in tensors or name == "__metadata__":
        number += 1
        name = f"{own}~{number}"
    tensors[name] = array
    return name


def _rebuilt(described, arrays, made):
    """The object; `made` has the tensors so far by their names, which later ones may be tied to."""
    if not isinstance(described, dict):
        return described
    ((kind, content),) = described.items()
    if kind in ("tensor", "trained", "array"):
        return made.setdefault(content, _rebuilt_tensor(kind, arrays[content]))
    if kind == "tied":
        kind, name, tie, other = content
        if tie == "same":
            return made[other]
        array = getattr(made[other], "array", made[other])
        array = array.T if tie == "transpose" else array
        return made.setdefault(name, _rebuilt_tensor(kind, array))
    if kind == "dict":
        return {key: _rebuilt(value, arrays, made) for key, value in content}
    if kind in ("list", "tuple"):
        values = [_rebuilt(value, arrays, made) for value in content]
        return values if kind == "list" else tuple(values)
    raise ValueError(f"an unknown kind {kind!r}")


def _rebuilt_tensor(kind, array):
    from fastbp.autograd import as_tensor

    if kind == "array":
        if array.dtype not in dtypes.BY_NUMPY:
            raise ValueError(f"an array of {array.dtype}")
        return array
    return as_tensor(array).requires_grad_(kind == "trained")


def _where(place):
    return f" at {'.'.join(map(str, place))!r}" if place else ""
