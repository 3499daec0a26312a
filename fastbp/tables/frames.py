"""Tables of other libraries, and of arrays, as columns."""

from __future__ import annotations

import datetime
import decimal
import io
import math
import numbers as abstract
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from fastbp import checks
from fastbp.tables import cells, kinds
from fastbp.tables.columns import Column, Columns

__all__ = ["checked_names", "of_object", "of_parquet"]

_EXPECTED = (
    "the path of a file, a DataFrame of pandas or polars, a table of pyarrow, a dict of sequences, a list of dicts, "
    "a structured array, or an array (n_rows, n_columns)"
)
_LARGEST = 1 << 53  # no float64 beyond has all integers


def of_object(
    data: Any, names: Iterable[str] | None, kinds_of: Mapping[str, str] | None, otherwise: str | None
) -> Columns:
    """Columns of anything but a file."""
    source, found, index = _parts(data)
    found_names = [name for name, _ in found]
    if names is None:
        names = found_names
    names = checked_names(names, len(found))
    columns = [values for _, values in found]
    lengths = {name: len(values) for name, values in zip(names, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        few, many = (each(lengths, key=lambda name: lengths[name]) for each in (min, max))
        raise ValueError(
            f"columns_of expects columns of the same length; got {lengths[few]} in {checks.shown(few)} and "
            f"{lengths[many]} in {checks.shown(many)}."
        )
    if not columns or not len(columns[0]):
        raise ValueError(f"columns_of expects rows and columns; got {checks.plural(len(columns), 'column')} without.")
    return _of_columns(source, names, columns, kinds.known_of(names, kinds_of, otherwise), index)


def of_parquet(
    name: str,
    data: bytes,
    ignore: Collection[str],
    kinds_of: Mapping[str, str] | None,
    otherwise: str | None,
    progress: Callable[[int], object] | None,
) -> Columns:
    """Columns of a Parquet file's bytes."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise checks.missing_extra("pyarrow", "reading Parquet", "parquet") from None
    try:
        table = parquet.ParquetFile(io.BytesIO(data)).read()
        found = dict(zip(table.column_names, table.columns, strict=True))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{name} expects sound Parquet data; got {_one_line(error)}.") from None
    if len(found) < table.num_columns:
        raise ValueError(f"{name} expects different names of columns; got one twice.")
    unknown = [each for each in ignore if each not in found]
    if unknown:
        listed = ", ".join(map(checks.shown, [*found][:20]))
        raise ValueError(f"{name} expects columns to ignore among its own, {listed}; got {checks.shown(unknown[0])}.")
    index = [each for each in found if each.startswith("__index_level_")]
    kept = [each for each in found if each not in ignore and each not in index]
    if not kept or not table.num_rows:
        raise ValueError(f"{name} expects rows and columns; got {table.num_rows} x {len(kept)}.")
    notes = [f"Column {each!r}, an index of pandas, is left out." for each in index if each not in ignore]
    try:
        known = kinds.known_of(kept, kinds_of, otherwise)
        columns = _of_columns(name, kept, [found[each] for each in kept], known, notes)
    except TypeError as error:  # of what the file holds, not of what the caller handed in
        raise ValueError(str(error)) from None
    if progress is not None:
        progress(table.num_rows)
    return columns


def checked_names(names: Iterable[object], n: int) -> list[str]:
    """Names as a list of n different texts."""
    found = [str(name) for name in checks.sequence("columns_of", "names", names, "names of columns")]
    if len(found) != n:
        raise ValueError(f"columns_of expects {checks.plural(n, 'name')}; got {len(found)}.")
    seen: set[str] = set()
    for name in found:
        if name in seen or not name:
            raise ValueError(f"columns_of expects different names of columns, not empty; got {checks.shown(name)}.")
        seen.add(name)
    return found


# --- what has columns -----------------------------------------------------------------------


def _parts(data):
    """What it is, its columns as (name, values), and notes."""
    library = type(data).__module__.split(".")[0]
    if library == "pandas" and hasattr(data, "iloc") and getattr(data, "ndim", 0) == 2:
        found = [(str(name), data.iloc[:, place]) for place, name in enumerate(data.columns)]
        return "a DataFrame", found, ()
    if library == "polars" and hasattr(data, "get_columns"):
        return "a DataFrame", [(series.name, series) for series in data.get_columns()], ()
    if library == "polars" and hasattr(data, "collect"):
        return _parts(data.collect())
    if library == "pyarrow" and hasattr(data, "column_names"):
        return "a table", list(zip(data.column_names, data.columns, strict=True)), ()
    if isinstance(data, np.ndarray) and data.dtype.names:
        return "an array", [(name, data[name]) for name in data.dtype.names], ()
    if isinstance(data, dict):
        return "a dict", [(str(name), _sequence(name, values)) for name, values in data.items()], ()
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        names = list(dict.fromkeys(name for row in data for name in row))
        return "a list of dicts", [(str(name), [row.get(name) for row in data]) for name in names], ()
    if isinstance(data, np.ndarray | list | tuple):
        checks.unmasked("columns_of", "data", data)
        array = data if isinstance(data, np.ndarray) else _rows(data)
        if array.ndim == 2:
            return "an array", [(f"column{k + 1}", array[:, k]) for k in range(array.shape[1])], ()
    raise TypeError(f"columns_of expects data as {_EXPECTED}; got {checks.described(data)}.")


def _rows(data):
    """An array of rows, whose values stay what they are."""
    if not all(isinstance(row, list | tuple | np.ndarray) for row in data):
        return np.empty(0)
    widths = {len(row) for row in data}
    if len(widths) > 1:
        raise ValueError("columns_of expects data as a rectangular array; got rows of different lengths.")
    array = np.empty((len(data), *widths), object) if widths else np.empty((0, 0), object)
    for place, row in enumerate(data):
        array[place] = row
    return array


def _sequence(name, values):
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__len__") or not hasattr(values, "__getitem__"):
        raise TypeError(
            f"columns_of expects column {checks.shown(name)} as a sequence of values; got {checks.described(values)}."
        )
    return values


# --- columns --------------------------------------------------------------------------------


def _of_columns(source, names, columns, known, notes):
    place = kinds.Place(source)
    done: dict[str, Column] = {}
    raws = []
    for name, values in zip(names, columns, strict=True):
        found = _ignored(name, values) if known.get(name) == kinds.IGNORED else _column(place, name, values)
        if isinstance(found, Column) and known.get(name, found.kind) not in (found.kind, kinds.IGNORED):
            found = _again(found)
        if isinstance(found, Column):
            done[name] = found
        else:
            raws.append(found)
    heard: list[str] = []
    if raws:
        read, heard = kinds.columns(raws, place, kinds=known)
        done |= {column.name: column for column in read}
    result = []
    for number, name in enumerate(names):
        column = done[name]
        if not column.identifies and name not in known and kinds.identifies(column, number == 0 and len(names) > 2):
            column = column._replace(identifies=True)
            heard = [*heard, f"Column {checks.shown(name)}: names each row, as an id does."]
        result.append(column)
    return Columns(tuple(result), source, None, (*notes, *heard))


def _again(column):
    """A column as texts, to be read as another kind."""
    values = column.values
    if column.kind == "date":
        texts = ["" if np.isnat(value) else str(value) for value in values]
    else:
        texts = [
            "" if math.isnan(value) else f"{value:.0f}" if value.is_integer() else repr(value)
            for value in values.tolist()
        ]
    return kinds.Raw(column.name, None, False, lambda: cells.distinct(texts))


def _ignored(name, values):
    """A column of which nothing is asked, as texts."""
    texts = [None if _is_missing(value) else str(value) for value in _as_array(name, values).tolist()]
    return Column(name, "text", np.array([*texts, None], object)[:-1])


def _column(place, name, values):
    """A Column of numbers, booleans or dates, or the Raw one of texts."""
    values = _as_array(name, values)
    kind = values.dtype.kind
    if kind == "O":
        return _of_objects(place, name, values.tolist())
    if kind == "b":
        return Column(name, "boolean", values.astype(np.float64))
    if kind == "M":
        return Column(name, "date", values.astype("datetime64[s]"))
    if kind in "US":
        return _of_objects(place, name, values.tolist())
    if kind in "iu":
        if values.size and max(int(values.max()), -int(values.min())) > _LARGEST:
            return _of_objects(place, name, values.tolist())
        return Column(name, "number", values.astype(np.float64), True)
    if kind == "f":
        return _of_numbers(place, name, values.astype(np.float64), False)
    raise TypeError(
        f"{place.source} expects column {checks.shown(name)} of numbers, booleans, dates or texts; got "
        f"dtype {values.dtype}."
    )


def _of_numbers(place, name, values, whole):
    bad = np.flatnonzero(np.isinf(values))
    if bad.size:
        raise place.refusal("a finite number", int(bad[0]), name, float(values[bad[0]]))
    return Column(name, "number", values, kinds.is_whole(values, whole))


def _as_array(name, values):
    """A column of any library as an array of one dimension, of objects where something is missing."""
    library = type(values).__module__.split(".")[0]
    if library == "pandas":
        dtype = values.dtype
        if isinstance(dtype, np.dtype) and dtype.kind in "biufM":
            return values.to_numpy()
        if getattr(dtype, "kind", "O") == "M" and hasattr(dtype, "tz"):
            return values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        if getattr(dtype, "kind", "O") in "iuf" and hasattr(dtype, "numpy_dtype"):
            return _nullable(values.isna().to_numpy(), values)
        return np.fromiter(values.astype(object), object, len(values))
    if library == "polars":
        if values.dtype.is_numeric() and not values.null_count() and not values.dtype.is_decimal():
            return values.to_numpy()
        if values.dtype.is_float():
            return values.cast(sys.modules["polars"].Float64).to_numpy()
        return _objects(values.to_list())
    if library == "pyarrow":
        types = sys.modules["pyarrow"].types
        if types.is_floating(values.type) or (types.is_integer(values.type) and not values.null_count):
            return np.asarray(values.to_numpy(), np.float64 if types.is_floating(values.type) else None)
        if types.is_timestamp(values.type):
            return np.asarray(values.to_numpy(), "datetime64[s]")
        return _objects(values.to_pylist())
    if isinstance(values, np.ndarray):
        checks.unmasked("columns_of", f"column {checks.shown(name)}", values)
        array = values
    elif hasattr(values, "to_numpy"):
        array = np.asarray(values)
    else:
        array = _objects(list(values))
    if array.ndim != 1:
        raise ValueError(
            f"columns_of expects column {checks.shown(name)} of one dimension; got an array of shape {array.shape}."
        )
    return array


def _nullable(missing, values):
    """pandas' numbers beside a mask."""
    if not missing.any():
        return values.to_numpy(values.dtype.numpy_dtype)
    if values.dtype.kind == "f":
        return values.to_numpy(np.float64, na_value=np.nan)
    return np.fromiter(values.astype(object), object, len(values))


def _objects(values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _is_missing(value):
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating | decimal.Decimal) and value != value


def _of_objects(place, name, values):
    """The Column of numbers, booleans or dates among objects, or the Raw one where there are texts."""
    known = [(row, value) for row, value in enumerate(values) if not _is_missing(value)]
    types = {type(value) for _, value in known}
    if not types:
        return Column(name, "number", np.full(len(values), np.nan))
    if all(issubclass(each, bool | np.bool) for each in types):
        return Column(name, "boolean", _spread(known, len(values)))
    if not any(issubclass(each, bool | np.bool) for each in types):
        if all(issubclass(each, abstract.Real | decimal.Decimal) for each in types):
            whole = all(issubclass(each, abstract.Integral) for each in types)
            numbers = _spread(known, len(values))
            large = [(row, value) for row, value in known if whole and abs(value) > _LARGEST]
            if np.isinf(numbers).any() or all(int(numbers[row]) == value for row, value in large):
                return _of_numbers(place, name, numbers, whole)
        if all(issubclass(each, datetime.date | np.datetime64) for each in types):
            dates = np.full(len(values), np.datetime64("NaT"), "datetime64[s]")
            for row, value in known:
                dates[row] = _date(value)
            return Column(name, "date", dates)
    for row, value in known:
        if not isinstance(value, str | abstract.Real | decimal.Decimal | np.bool):
            what = type(value).__name__
            raise TypeError(
                f"{place.source} expects column {checks.shown(name)} of numbers, booleans, dates or texts; got an "
                f"object of type {what} in row {row}."
            )
    texts = [""] * len(values)
    for row, value in known:
        texts[row] = str(value).strip()
    return kinds.Raw(name, None, False, lambda: cells.distinct(texts))


def _spread(known, n):
    values = np.full(n, np.nan)
    for row, value in known:
        try:
            values[row] = float(value)
        except OverflowError:
            values[row] = math.inf
    return values


def _date(value):
    """A date of any kind as datetime64[s] in UTC."""
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[s]")
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    if isinstance(value, datetime.datetime):
        value = value.replace(microsecond=0)
        value = datetime.datetime(*value.timetuple()[:6])  # of pandas' own class, too
    return np.datetime64(value, "s")


def _one_line(error):
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
