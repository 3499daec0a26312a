"""A stand-in for the reader of tables, to be deleted when `reading` has `read` and `columns_of`."""

import contextlib
import os

import numpy as np

from fastbp.tables import reading
from fastbp.tables.columns import Column, Columns

__all__ = ["columns_of", "read"]

_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
_WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}


def read(path, *, encoding=None, delimiter=None, decimal=None, header=True, ignore=(), progress=False):
    """The columns of a CSV file."""
    name = os.fspath(path)
    rows, lines = reading._rows(name)
    names, cells = rows[0], rows[1:]
    columns = [_of_cells(n, values) for n, values in zip(names, zip(*cells, strict=True), strict=True)]
    return Columns(tuple(c for c in columns if c.name not in ignore), name, np.array(lines[1:]))


def columns_of(data, **options):
    """The columns of a path, a frame, a dict or an array."""
    if isinstance(data, Columns):
        return data
    if isinstance(data, str | os.PathLike):
        return read(data, **options)
    if isinstance(data, dict):
        pairs = list(data.items())
    elif hasattr(data, "column_names"):
        pairs = [(n, data[n].to_numpy(zero_copy_only=False)) for n in data.column_names]
    elif hasattr(data, "columns"):
        pairs = [(str(n), np.asarray(data[n])) for n in data.columns]
    else:
        array = np.asarray(data)
        pairs = [(f"x{k}", array[:, k]) for k in range(array.shape[1])]
    return Columns(tuple(_of_array(str(n), np.asarray(v)) for n, v in pairs))


def _of_cells(name, cells):
    texts = [None if c.lower() in _MISSING else c for c in cells]
    present = [c for c in texts if c is not None]
    if present and all(c.lower() in _WORDS for c in present):
        return Column(name, "boolean", np.array([np.nan if c is None else _WORDS[c.lower()] for c in texts]))
    with contextlib.suppress(ValueError):
        values = np.array([np.nan if c is None else float(c) for c in texts])
        whole = all(c.lstrip("+-").isdigit() for c in present) and bool(present)
        return Column(name, "number", values, whole)
    with contextlib.suppress(ValueError):
        if all(len(c) >= 8 and c[:4].isdigit() for c in present):
            dates = np.array(["NaT" if c is None else c for c in texts], "datetime64[s]")
            return Column(name, "date", dates)
    return Column(name, "text", np.array(texts, object))


def _of_array(name, values):
    if values.dtype.kind == "M":
        return Column(name, "date", values.astype("datetime64[s]"))
    if values.dtype.kind == "b":
        return Column(name, "boolean", values.astype(float))
    if values.dtype.kind in "iuf":
        numbers = values.astype(float)
        there = numbers[~np.isnan(numbers)]
        return Column(name, "number", numbers, values.dtype.kind != "f" or bool((there == np.rint(there)).all()))
    texts = [None if v is None or v != v else v for v in values.tolist()]
    if all(isinstance(v, bool) for v in texts if v is not None):
        return Column(name, "boolean", np.array([np.nan if v is None else float(v) for v in texts]))
    if all(isinstance(v, int | float) for v in texts if v is not None):
        return _of_array(name, np.array([np.nan if v is None else float(v) for v in texts]))
    return Column(name, "text", np.array([None if v is None else str(v) for v in texts] + [None], object)[:-1])
