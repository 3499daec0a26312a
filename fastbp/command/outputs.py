"""The files that a command writes: beside what is there, in folders that are made."""

import os
import tempfile
from pathlib import Path

from fastbp.training import checkpoints

__all__ = ["free", "is_same", "keep_apart", "make_folder"]


def free(force, *paths):
    """The paths, or where one of them is there, all with the first number that none has, from 2 on.

    With `force` the paths as they are, to be written over.
    """
    number = 1
    named = list(paths)
    while not force and any(os.path.lexists(path) for path in named):
        number += 1
        named = [path.with_name(f"{path.stem}-{number}{path.suffix}") for path in paths]
    return named


def is_same(path, other):
    """Whether two paths lead to one file."""
    return os.path.realpath(path) == os.path.realpath(other)


def keep_apart(args, table, *written):
    """Refuse a file of the user's own that a training would write over; `table`: its data, or None."""
    own = {"DATA": table, "--checkpoint": args.checkpoint, "--resume": args.resume}
    for option, path in own.items():
        for other in written:
            if path and is_same(path, other):
                raise ValueError(
                    f"{option} expects another file than {str(other)!r}, which the training writes "
                    f"at its end; got {path!r}"
                )
    if table and args.checkpoint and is_same(args.checkpoint, table):
        raise ValueError(
            f"--checkpoint expects another file than {table!r}, which the training reads as its "
            f"data; got {args.checkpoint!r}"
        )
    if args.checkpoint and checkpoints.is_another_file(args.checkpoint):
        raise ValueError(
            "--checkpoint expects a new file or an earlier checkpoint; got "
            f"{args.checkpoint!r}, another file, which it would write over"
        )


def make_folder(path: Path, *written):
    """Make a folder for files that can be written: found out before the training, not after."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ValueError(f"--out expects a folder to write to; got {str(path)!r} ({error.strerror})") from error
    for file in written:
        if file.is_dir():
            raise ValueError(
                f"--out expects a folder for the file {file.name}; got {str(path)!r}, where that is a folder"
            )
