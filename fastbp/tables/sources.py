"""What users hand in as a table, as Columns."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from fastbp import checks
from fastbp.tables.columns import Columns
from fastbp.tables.reading import columns_of, read

__all__ = ["table_of"]


#: The options by which a file is read.
_OPTIONS = tuple(name for name in inspect.signature(read).parameters if name not in ("path", "kinds_of", "otherwise"))


def table_of(
    who: str, data: Any, known: Mapping[Any, str] | None = None, rest: str | None = None, **reading: Any
) -> Columns:
    """Columns of a path or a file, which are read by options, or of a frame, a dict or arrays, which take none.

    `known` and `rest` are the kinds of some columns and of the others, as `read` has them.
    """
    for name in reading:
        if name not in _OPTIONS:
            raise TypeError(f"{who} expects options of files, {', '.join(_OPTIONS)}; got {checks.shown(name)}.")
    if isinstance(data, Columns):
        return data
    if isinstance(data, str | os.PathLike) or hasattr(data, "read"):
        return read(data, kinds_of=known, otherwise=rest, **reading)
    if reading:
        came = "it" if len(reading) == 1 else "them"
        raise TypeError(f"{who} expects {', '.join(reading)} for a file; got {came} beside a {type(data).__name__}.")
    return columns_of(data, kinds_of=known, otherwise=rest)
