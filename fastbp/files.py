"""Files: tensors and what is around them in one safetensors file, written whole or not at all."""

import _thread
import contextlib
import io
import operator
import os
import reprlib
import stat
import threading
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from fastbp import checks, dtypes
from fastbp._kernels.steps import running_steps

__all__ = [
    "CHECKSUM",
    "crc32",
    "load",
    "parsed",
    "read_safetensors",
    "remove_leftovers",
    "require_writable",
    "save",
    "shown",
    "snapshot",
    "write_safetensors",
    "write_whole",
]

#: The key of the metadata under which `save` writes how its tensors hang together.
_KEY = "fastbp.object"
_VERSION = 1
#: The key of the metadata for the checksum of everything else in the file.
CHECKSUM = "fastbp.crc32"
#: The most bytes of a header that safetensors reads.
_LONGEST_HEADER = 100_000_000
#: How deep containers may lie in each other: what is written at any depth of calls is read at any.
_DEEPEST = 200
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
        raise ValueError(
            "save expects integers of at most thousands of digits; got a longer one."
        ) from None
    write_safetensors("save", path, snapshot(contents.arrays), {_KEY: skeleton})


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
    from fastbp.autograd import device

    checks.flag("load", "weights_only", weights_only)
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
            whole = parsed(metadata[_KEY])
        if whole["version"] != _VERSION:
            raise ValueError(f"version {reprlib.repr(whole['version'])}, of another fastbp")
        return _rebuilt(whole["object"], tensors, {})
    except MemoryError:
        raise
    except Exception as error:  # whatever a file may hold, this is what is wrong with it
        raise ValueError(
            f"load expects a file as save wrote it; got {shown(path)} "
            f"({type(error).__name__}: {error!s:.200})."
        ) from error


# --- objects --------------------------------------------------------------------------------
# In JSON a plain value stands for itself, and an object {kind: content} for everything else.


class _Contents:
    """The arrays of a file by name, and where each of them, and each memory, was first met."""

    def __init__(self):
        self.arrays: dict[str, np.ndarray] = {}
        self.first: dict = {}  # names by `id`, or by memory and layout
        self._held: list = []  # else another value could get the `id` of one that is gone

    def add(self, kind, value, array, place):
        """The JSON of a tensor or an array, which gets a name of its own in any case."""
        name = _named(array, place, self.arrays)
        for tie, key in (
            ("same", (kind, id(value))),
            ("memory", _layout(array)),
            ("transpose", _layout(array.T)),
        ):
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
                    f"save expects keys that are strings, numbers, bools or None; got {key!r}"
                    f"{_where(place)}."
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
        raise TypeError(
            f"save expects arrays of {', '.join(dtypes.NAMES)}; got dtype {array.dtype}"
            f"{_where(place)}."
        )
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


# --- safetensors ----------------------------------------------------------------------------


def snapshot(arrays):
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
    return {
        name: _as_it_was(array, content)
        for (name, array), content in zip(arrays.items(), contents, strict=True)
    }


#: Seconds for which `snapshot` looks for a moment without a large step.
_PATIENCE = 1.0


def _as_it_was(array, content):
    """An array of the shape and dtype of another, of the bytes that its `tobytes("A")` gave."""
    flags = array.flags
    order: Literal["C", "F"] = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    copy = np.frombuffer(content, array.dtype).reshape(array.shape, order=order)
    return np.asarray(copy, array.dtype.newbyteorder("="), order="C")


def write_safetensors(who, path, tensors, metadata):
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


def read_safetensors(who, path):
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
    try:
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8:
            raise ValueError(f"its {len(data)} bytes are fewer than the 8 that begin it")
        if length > min(len(data) - 8, _LONGEST_HEADER):
            raise ValueError(
                f"its header would have {length} bytes, of {len(data) - 8} behind its length and "
                f"at most {_LONGEST_HEADER}"
            )
        header = parsed(data[8 : 8 + length])
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
            f"{who} expects a whole safetensors file; got {shown(path)}{what} "
            f"({type(error).__name__}: {error!s:.200})."
        ) from error
    own = {k: a if a.flags.writeable else a.copy() for k, a in tensors.items()}
    return own, metadata


def parsed(text):
    """What JSON says; `json` has no words of its own for lists too deep in each other."""
    import json

    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists or objects too deep in each other") from None


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

    A file that is there keeps its owner, permissions and attributes, nobody else can read the new
    one before it has them, and a symbolic link goes on to lead to it.

    Raises
    ------
    OSError
        Where it cannot be written; what was there stays.
    """
    target = os.fsdecode(path)
    if os.path.exists(target) and not os.path.isfile(target):  # a device or a pipe; no folder
        with open(target, "wb") as file:
            file.write(data)
        return
    try:
        _to_the_end(_write, os.path.realpath(target), data)
    except OSError as error:
        if error.errno is None:
            raise
        said = f"{error.strerror}, so nothing was written, and what was there stays"
        raise OSError(error.errno, said, target) from error


def write_figure(path, figure):
    """Write matplotlib's figure, whole or not at all, in the format that the path's end names."""
    if hasattr(path, "write"):
        figure.savefig(path)
        return
    name = os.fsdecode(path)
    kind = os.path.splitext(name)[1][1:]
    if not kind:  # as matplotlib has it
        name, kind = f"{name.rstrip('.')}.png", "png"
    content = io.BytesIO()
    figure.savefig(content, format=kind)
    write_whole(name, content.getvalue())


def _write(target, data):
    own = int.from_bytes(os.urandom(6), "little")  # a signal's handler may write the same file
    partial = f"{_stem(target)}.{os.getpid()}.{own}.part"
    try:
        before = os.stat(target)
    except FileNotFoundError:
        before = None

    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    mode = 0o666 if before is None else 0o600
    _partials.add(partial)
    try:
        with open(os.open(partial, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            if before is not None:
                _take_after(partial, target, before)
            os.fsync(file.fileno())
        os.replace(partial, target)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
        _partials.discard(partial)
    _keep_name(os.path.dirname(target))


def _take_after(partial, target, before):
    """Give a file the owner, the attributes (access lists are among them) and mode of another."""
    mode = stat.S_IMODE(before.st_mode)
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(partial, -1, before.st_gid)
        with contextlib.suppress(OSError):
            os.chown(partial, before.st_uid, -1)
        if os.stat(partial).st_gid != before.st_gid:
            mode &= ~stat.S_IRWXG  # what the group may do, another one may not
    for name in os.listxattr(target) if hasattr(os, "listxattr") else ():
        with contextlib.suppress(OSError):
            os.setxattr(partial, name, os.getxattr(target, name))
    os.chmod(partial, mode)


def _to_the_end(function, *arguments):
    """Call a function, which signals do not interrupt: Python handles them in the main thread.

    What a handler raises, as Ctrl-C does, is raised when the call has ended.
    """
    if threading.get_ident() != threading.main_thread().ident:
        return function(*arguments)
    ended, raised, waiting = [], [], _thread.allocate_lock()
    waiting.acquire()

    def run():
        try:
            function(*arguments)
        except BaseException as error:
            raised.append(error)
        finally:
            ended.append(True)
            waiting.release()

    try:  # not by `threading`, whose own locks an interrupt may leave locked
        _thread.start_new_thread(run, ())
    except RuntimeError:  # no memory for one, or the interpreter ends
        return function(*arguments)
    except BaseException as error:
        raised.append(error)
    while not ended:
        try:
            waiting.acquire()
        except BaseException as error:
            raised.append(error)
    if raised:
        raise raised[0]


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
        raise FileNotFoundError(
            f"{who} expects a file in a folder that is there; got {target!r} without its folder."
        )
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise PermissionError(
            f"{who} expects a file that may be written to; got {target!r}, which is read-only."
        )
    if os.path.exists(target) and not os.path.isfile(target):  # a device: nothing goes beside it
        return
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
