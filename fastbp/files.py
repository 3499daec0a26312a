"""Files: tensors and what is around them in one safetensors file, written whole or not at all."""

import contextlib
import io
import os
import reprlib
import stat
import zlib

import numpy as np

from fastbp import checks, dtypes

__all__ = [
    "CHECKSUM",
    "crc32",
    "load",
    "read_safetensors",
    "remove_leftovers",
    "require_writable",
    "save",
    "shown",
    "write_safetensors",
    "write_whole",
]

#: The key of the metadata under which `save` writes how its tensors hang together.
_KEY = "fastbp.object"
_VERSION = 1
#: The key of the metadata for the checksum of everything else in the file.
CHECKSUM = "fastbp.crc32"
#: How files begin that Python's pickle or PyTorch's zip of pickles wrote.
_PICKLED = (b"PK\x03\x04", b"\x80")


def save(obj, path):
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
    ImportError
        Without safetensors.

    Notes
    -----
    The file is a safetensors file: the tensors, C-contiguous, and as JSON in its metadata the
    containers around them.  The tensors of a flat state dict have their own names, so that
    ``safetensors.torch.load_file`` reads it, too.  NumPy's numbers come back as Python's.

    Examples
    --------
    >>> from fastbp import tensor
    >>> save({"epoch": 3, "weights": {"w": tensor([1.0, 2.0])}}, "checkpoint.safetensors")
    >>> load("checkpoint.safetensors")
    {'epoch': 3, 'weights': {'w': tensor([1., 2.])}}
    """
    import json

    tensors: dict[str, np.ndarray] = {}
    try:
        skeleton = json.dumps({"version": _VERSION, "object": _described(obj, (), tensors)})
    except RecursionError:
        raise ValueError(
            "save expects containers that neither hold themselves nor lie hundreds deep in each "
            "other; got such ones."
        ) from None
    except ValueError:  # Python writes no integers of more than 4300 digits
        raise ValueError(
            "save expects integers of at most thousands of digits; got a longer one."
        ) from None
    write_safetensors("save", path, tensors, {_KEY: skeleton})


def load(path, map_location=None, weights_only=True):
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
    import json

    from fastbp.autograd import device

    if isinstance(map_location, str):
        device(map_location)
    tensors, metadata = read_safetensors("load", path)
    if _KEY not in metadata:
        if "fastbp" in metadata:
            raise ValueError(
                f"load expects what save wrote; got {shown(path)}, a whole network, which "
                "Sequential.load reads."
            )
        whole = {"version": _VERSION, "object": {"dict": [[n, {"tensor": n}] for n in tensors]}}
    try:
        if _KEY in metadata:
            whole = json.loads(metadata[_KEY])
        if whole["version"] != _VERSION:
            raise ValueError(f"version {reprlib.repr(whole['version'])}, of another fastbp")
        return _rebuilt(whole["object"], tensors)
    except MemoryError:
        raise
    except Exception as error:  # whatever a file may hold, this is what is wrong with it
        raise ValueError(
            f"load expects a file as save wrote it; got {shown(path)} "
            f"({type(error).__name__}: {error!s:.200})."
        ) from error


# --- objects --------------------------------------------------------------------------------
# In JSON a plain value stands for itself, and an object {kind: content} for everything else.


def _described(value, place, tensors):
    """The JSON of a value; the tensors in it go into `tensors`, by their place in it."""
    from fastbp.autograd import Tensor

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf" and value.dtype.char != "g":
        return value.item()
    if isinstance(value, Tensor):
        kind = "trained" if value.requires_grad else "tensor"
        return {kind: _named(value.detach().array, place, tensors)}
    if isinstance(value, np.ndarray):
        return {"array": _named(value, place, tensors)}
    if isinstance(value, dict):
        for key in value:
            if not (key is None or isinstance(key, bool | int | float | str)):
                raise TypeError(
                    f"save expects keys that are strings, numbers, bools or None; got {key!r}"
                    f"{_where(place)}."
                )
        return {"dict": [[key, _described(v, (*place, key), tensors)] for key, v in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_described(v, (*place, k), tensors) for k, v in enumerate(value)]}
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
        raise TypeError(
            f"save expects arrays of bools, integers or floats; got dtype {array.dtype}"
            f"{_where(place)}."
        )
    own = ".".join(map(str, place)) or "tensor"
    own = own.encode(errors="backslashreplace").decode()  # half of a surrogate pair is no UTF-8
    name, number = own, 1
    while name in tensors or name == "__metadata__":
        number += 1
        name = f"{own}~{number}"
    tensors[name] = array
    return name


def _rebuilt(described, tensors):
    from fastbp.autograd import as_tensor

    if not isinstance(described, dict):
        return described
    ((kind, content),) = described.items()
    if kind in ("tensor", "trained"):
        return as_tensor(tensors[content]).requires_grad_(kind == "trained")
    if kind == "array":
        if tensors[content].dtype not in dtypes.BY_NUMPY:
            raise ValueError(f"an array of {tensors[content].dtype}")
        return tensors[content]
    if kind == "dict":
        return {key: _rebuilt(value, tensors) for key, value in content}
    if kind in ("list", "tuple"):
        values = [_rebuilt(value, tensors) for value in content]
        return values if kind == "list" else tuple(values)
    raise ValueError(f"an unknown kind {kind!r}")


def _where(place):
    return f" at {'.'.join(map(str, place))!r}" if place else ""


# --- safetensors ----------------------------------------------------------------------------


def write_safetensors(who, path, tensors, metadata):
    """Write arrays by their names, a dict of strings, and a checksum of both."""
    opened = _is_opened(path, "write")
    if not opened:
        checks.path_to_write(who, path)
    tensors = {
        name: np.asarray(array, array.dtype.newbyteorder("="), order="C")
        for name, array in tensors.items()
    }
    sealed = metadata | {CHECKSUM: _checksum(tensors, metadata)}
    safetensors = _safetensors(who)
    texts = sum(map(len, sealed.values()))
    _require_memory(3 * sum(array.nbytes for array in tensors.values()) + 8 * texts)
    data = _ordered(safetensors.save(tensors, sealed))
    if not opened:
        write_whole(path, data)
        return
    try:
        while data:  # a file without a buffer may take a part
            data = data[path.write(data) or len(data) :]
    except TypeError as error:
        raise TypeError(f"{who} expects a file opened for bytes; got {path!r}.") from error


def _ordered(data):
    """A file with its metadata by name: safetensors writes it in another order each time."""
    import json

    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the arrays begin at multiples of 8 bytes
    return len(text).to_bytes(8, "little") + text + data[start:]


def read_safetensors(who, path):
    """The arrays of a file by their names, writable, and its dict of strings.

    Raises
    ------
    ValueError
        For a file that is not whole, or has a checksum of other contents.
    """
    import json

    safetensors = _safetensors(who)
    if _is_opened(path, "read"):
        data = None if isinstance(path, io.TextIOBase) else path.read()
        if not isinstance(data, bytes):
            raise TypeError(f"{who} expects a file opened for bytes; got {path!r}.")
    else:
        checks.path_to_read(who, path)
        with open(path, "rb") as file:
            data = file.read()
    _require_memory(len(data))
    try:
        tensors = safetensors.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = header.get("__metadata__") or {}
        if CHECKSUM in metadata and metadata[CHECKSUM] != _checksum(tensors, metadata):
            raise ValueError("its checksum is another")
    except MemoryError:
        raise
    except Exception as error:
        what = ""
        if data.startswith(_PICKLED):
            what = (
                ", which pickle wrote, as torch.save does: in PyTorch, "
                "safetensors.torch.save_file(state_dict, path) writes one that fastbp reads"
            )
        elif isinstance(error, KeyError):
            what = f", with tensors of {error.args[0]}, which in PyTorch tensor.float() converts"
        raise ValueError(
            f"{who} expects a whole safetensors file; got {shown(path)}{what} "
            f"({type(error).__name__}: {error!s:.200})."
        ) from error
    own = {k: a if a.flags.writeable else a.copy() for k, a in tensors.items()}
    return own, metadata


def _require_memory(size):
    """Raise MemoryError where there is not so much: safetensors would end or hang the process."""
    np.empty(size + 2**20, np.uint8)


def _checksum(tensors, metadata):
    """Of all arrays and strings, but the checksum itself."""
    texts = sorted(item for item in metadata.items() if item[0] != CHECKSUM)
    arrays = sorted((name, str(a.dtype), a.shape) for name, a in tensors.items())
    text = ascii((texts, arrays))  # repr depends on the Unicode that a Python knows
    described = np.frombuffer(text.encode(), np.uint8)
    return str(crc32(described, *(tensors[name] for name, *_ in arrays)))


def crc32(*arrays):
    """The cyclic redundancy check of the bytes of arrays, one after another."""
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
    return crc


def write_whole(path, data):
    """Write bytes to a path: all of them, or none.

    A file that is there keeps its permissions, and a symbolic link goes on to lead to it.
    """
    target = os.fsdecode(path)
    if os.path.exists(target) and not os.path.isfile(target):  # a device or a pipe; no folder
        with open(target, "wb") as file:
            file.write(data)
        return
    target = os.path.realpath(target)
    own = int.from_bytes(os.urandom(6), "little")  # a signal's handler may write the same file
    partial = f"{_stem(target)}.{os.getpid()}.{own}.part"
    _partials.add(partial)
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            with contextlib.suppress(FileNotFoundError):
                os.chmod(partial, stat.S_IMODE(os.stat(target).st_mode))
            os.fsync(file.fileno())
        os.replace(partial, target)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
        _partials.discard(partial)
    _keep_name(os.path.dirname(target))


def _stem(target):
    """How the name of a partial file begins: shorter than a name may be, and no other file's."""
    folder, name = os.path.split(target)
    if len(name) > 50:
        name = f"{name[:40]}.{zlib.crc32(os.fsencode(name))}"
    return os.path.join(folder, name)


#: What this process is writing now.
_partials: set[str] = set()


def remove_leftovers(path):
    """Remove what processes that were killed while they wrote have left beside a file."""
    import re

    folder, name = os.path.split(_stem(os.path.realpath(path)))
    for other in os.listdir(folder):
        found = re.fullmatch(re.escape(name) + r"\.(\d+)\.\d+\.part", other)
        partial = os.path.join(folder, other)
        if found and partial not in _partials and not _is_another(int(found[1])):
            with contextlib.suppress(OSError):
                os.remove(partial)


def _is_another(pid):
    """Whether a number is that of another process, alive."""
    if pid == os.getpid():  # in a container, processes often have the number of the one before
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def _keep_name(folder):
    """Bring the names in a folder to the disk, where its file system offers that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def require_writable(who, path):
    """Refuse a path that cannot be written to, before there is something to lose.

    Raises
    ------
    OSError
        For a folder in its place, no folder around it, or one that is read-only.
    ImportError
        Without safetensors.
    """
    _safetensors(who)
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise IsADirectoryError(f"{who} expects the path of a file; got {target!r}, a folder.")
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"{who} expects a file in a folder that is there; got {target!r} without its folder."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(
            f"{who} expects a file in a folder that can be written to; got {target!r}."
        )


def shown(path):
    """A path, or a file that was opened, in an error."""
    return repr(path) if _is_opened(path, "read") else repr(os.fspath(path))


def _is_opened(path, method):
    """Whether `path` is a file; some libraries' paths have a `read` and a `write`, too."""
    return hasattr(path, method) and not hasattr(path, "__fspath__")


def _safetensors(who):
    try:
        import safetensors.numpy
    except ImportError:
        raise checks.missing_extra("safetensors", who) from None
    return safetensors.numpy
