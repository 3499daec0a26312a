"""What users hand in as a table, as Columns."""

from __future__ import annotations

import os
from typing import Any

from fastbp.tables.columns import Columns
from fastbp.tables.reading import columns_of, read

__all__ = ["table_of"]


def table_of(who: str, data: Any, kinds_of: Any = None, **reading: Any) -> Any:
    """Columns of a path, which is read by options, or of a frame, a dict or arrays, which take none."""
    if isinstance(data, Columns):
        return data
    if isinstance(data, str | os.PathLike):
        return read(data, kinds_of=kinds_of, **reading)
    if reading:
        raise TypeError(f"{who} expects {', '.join(reading)} for a file; got them beside a {type(data).__name__}.")
    return columns_of(data, kinds_of=kinds_of)
