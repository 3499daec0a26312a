"""What users hand in as a table, as Columns."""

import os

from fastbp.tables.columns import Columns
from fastbp.tables.reading import columns_of, read

__all__ = ["table_of"]


def table_of(who, data, kinds_of=None, **reading):
    """Columns of a path or a file, which are read by options, or of a frame, a dict or arrays, which take none."""
    if isinstance(data, Columns):
        return data
    if isinstance(data, str | os.PathLike) or hasattr(data, "read"):
        return read(data, kinds_of=kinds_of, **reading)
    if reading:
        raise TypeError(f"{who} expects {', '.join(reading)} for a file; got them beside a {type(data).__name__}.")
    return columns_of(data, kinds_of=kinds_of)
