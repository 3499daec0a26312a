"""Bytes as a file: all of them, or none."""

from __future__ import annotations

import _thread
import contextlib
import io
import os
import stat
import threading
import zlib
from typing import Any

__all__ = ["remove_leftovers", "write_figure", "write_whole"]


def write_whole(path: Any, data: Any) -> None:
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


def write_figure(path: Any, figure: Any) -> None:
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


def remove_leftovers(path: Any) -> None:
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
