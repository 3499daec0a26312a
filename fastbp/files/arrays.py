"""Arrays and texts by their names as a safetensors file with a checksum, all of one moment."""

from __future__ import annotations

import io
import operator
import os
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from fastbp import checks
from fastbp._kernels.steps import running_steps
from fastbp.files.whole import write_whole

#: The key of the metadata for the checksum of everything else in the file.
CHECKSUM = "fastbp.crc32"
#: The most bytes of a header that safetensors reads.
_LONGEST_HEADER = 100_000_000
#: How files begin that Python's pickle or PyTorch's zip of pickles wrote.
_PICKLED = (b"PK\x03\x04", b"\x80")
_SHOWN = 20  # bytes of another file


def snapshot(arrays: Any) -> dict[Any, Any]:
    """Copies of arrays, C-contiguous and native, all of one moment: {name: array}.

    While Python's lock is held, no other Python runs: neither a step of the optimisers, nor an
    update of tensors, but for NumPy's loops over large arrays.  So the copies are made in one call
    from C to C, at a moment when no large step runs without the lock.
    """
    arrays = dict(arrays)
    _require_memory(2 * sum(array.nbytes for array in arrays.values()))
    # NumPy's own `tobytes` gives up the lock meanwhile.
    copies = [partial(memoryview(array).tobytes, "A") for array in arrays.values()]
    calls: list[Callable[[], Any]] = [running_steps, *copies]
    end = time.monotonic() + _PATIENCE
    while True:
        while running_steps() and time.monotonic() < end:
            pass  # with the lock, for which a step that ends has to wait
        running, *contents = map(operator.call, calls)
        if not running or time.monotonic() >= end:
            break
    return {name: _as_it_was(array, content) for (name, array), content in zip(arrays.items(), contents, strict=True)}


#: Seconds for which `snapshot` looks for a moment without a large step.
_PATIENCE = 1.0


def _as_it_was(array, content):
    """An array of the shape and dtype of another, of the bytes that its `tobytes("A")` gave."""
    flags = array.flags
    order: Literal["C", "F"] = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    copy = np.frombuffer(content, array.dtype).reshape(array.shape, order=order)
    return np.asarray(copy, array.dtype.newbyteorder("="), order="C")


def write_safetensors(who: str, path: Any, tensors: Any, metadata: Any) -> None:
    """Write arrays by their names, as `snapshot` gives them, a dict of strings, and a checksum."""
    opened = _is_opened(path, "write")
    if not opened:
        checks.path_to_write(who, path)
        require_writable(who, path)
    sealed = metadata | {CHECKSUM: _checksum(tensors, metadata)}
    safetensors = _safetensors(who)
    texts = sum(map(len, sealed.values()))
    _require_memory(3 * sum(array.nbytes for array in tensors.values()) + 8 * texts)
    if texts > _LONGEST_HEADER:
        raise _too_long(who, texts)
    data = _ordered(who, safetensors.save(tensors, sealed))
    if not opened:
        write_whole(path, data)
        return
    try:
        while data:  # a file without a buffer may take a part
            taken = path.write(data)
            if taken == 0 or (taken is None and isinstance(path, io.RawIOBase)):
                raise BlockingIOError(
                    f"{who} expects a file that takes bytes when asked; got {path!r}, which took "
                    f"none of the last {len(data)}."
                )
            data = data[len(data) if taken is None else taken :]
    except TypeError as error:
        raise TypeError(f"{who} expects a file opened for bytes; got {path!r}.") from error
    except io.UnsupportedOperation as error:
        raise ValueError(f"{who} expects a file opened to write; got {path!r}.") from error


def _too_long(who, length):
    return ValueError(
        f"{who} expects at most {_LONGEST_HEADER} bytes of names, numbers and strings beside the "
        f"arrays, as files are read; got {length}, which as arrays may be of any size."
    )


def _ordered(who, data):
    """A file with its metadata by name: safetensors writes it in another order each time."""
    import json

    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the arrays begin at multiples of 8 bytes
    if len(text) > _LONGEST_HEADER:
        raise _too_long(who, len(text))
    return len(text).to_bytes(8, "little") + text + data[start:]


def read_safetensors(who: str, path: Any) -> tuple[Any, Any]:
    """The arrays of a file by their names, writable, and its dict of strings.

    Raises
    ------
    ValueError
        For a file that is not whole, or has a checksum of other contents.
    """
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
    if data[8:9] != b"{" and not data.startswith(_PICKLED):
        begins = f"begins with {data[:_SHOWN]!r}" if data else "is empty"
        raise ValueError(
            f"{who} expects a whole safetensors file, as fastbp train and save write it; got {shown(path)}, which "
            f"{begins}."
        )
    try:
        length = int.from_bytes(data[:8], "little")
        if length > min(len(data) - 8, _LONGEST_HEADER):
            raise ValueError(
                f"its header would have {length} bytes, of {len(data) - 8} behind its length and "
                f"at most {_LONGEST_HEADER}"
            )
        header = checks.json_of(data[8 : 8 + length])
        tensors = safetensors.load(data)
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
            f"{who} expects a whole safetensors file; got {shown(path)}{what} ({type(error).__name__}: {error!s:.200})."
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


def crc32(*arrays: Any) -> Any:
    """The cyclic redundancy check of the bytes of arrays, one after another."""
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
    return crc


def require_writable(who: str, path: Any) -> None:
    """Refuse a path that cannot be written to, before there is something to lose.

    Raises
    ------
    OSError
        For a folder in its place, no folder around it, or one, or a file, that is read-only.
    ImportError
        Without safetensors.
    """
    _safetensors(who)
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise IsADirectoryError(f"{who} expects the path of a file; got {target!r}, a folder.")
    if os.path.islink(target):
        raise OSError(f"{who} expects the path of a file; got {target!r}, a link to itself.")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{who} expects a file in a folder that is there; got {target!r} without its folder.")
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise PermissionError(f"{who} expects a file that may be written to; got {target!r}, which is read-only.")
    if os.path.exists(target) and not os.path.isfile(target):  # a device: nothing goes beside it
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{who} expects a file in a folder that can be written to; got {target!r}.")


def shown(path: Any) -> str:
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
