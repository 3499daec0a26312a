"""`Preprocessor`: a table as numbers for a network, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from fastbp import checks
from fastbp.tables import features, targets
from fastbp.tables.columns import Column, Columns
from fastbp.tables.kinds import IGNORED
from fastbp.tables.sources import table_of

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike

__all__ = ["Preprocessor"]

_FORMAT = "fastbp-preprocessor"
_VERSION = 2
#: Texts of so many characters and words on average are written, not chosen.
_LONG_TEXT, _LONG_WORDS = 40, 5
#: Different texts that are categories, however long.
_FEW = 50
#: Shares of rows with a text of their own, from which a column tells rows apart, not kinds of them.
_OWN_NAMES, _OWN_TEXTS = 0.9, 0.5
_PARAMETERS = ("max_categories", "many", "ignore", "strict", "dtype")
_MANY = {"hashed": features.Hashed, "codes": features.Coded}


class Preprocessor:
    """Turns the columns of a table into standardised numbers, as scikit-learn's transformers do.

    Numbers, and booleans as 0 and 1, are standardised in float64.  Missing ones become the median,
    beside a column that says so where the training had such rows.  Texts of few different values
    become a column of 0 and 1 each, and one for missing; those of many are hashed into 256 to
    1024 columns, one of which is +1 or -1 for a text, or become one column of codes.  Of dates the
    year with its fraction is standardised, and month, day, weekday and time are sines and cosines.
    Columns that are the same everywhere, empty, or name each row are left out, and so are long texts.

    Parameters
    ----------
    max_categories : int
        Different texts of a column that become a column each.
    many : {"hashed", "codes"}
        What becomes of columns with more of them.  "codes" are for `Embeddings`, as a first layer: such
        columns come first; 1, 2, ... is a category, the last code what is missing, where the training
        missed some, and 0 every other text.
    ignore : sequence of str
        Columns to leave out.
    strict : bool
        Refuse categories that the training had not, and missing values where it had none, which
        else are all zeros, and the median.
    dtype : {"float64", "float32"}
        Of what `transform` returns.

    Attributes
    ----------
    encodings_ : list
        What is done with each column that is used.
    left_out_ : dict of str to str
        The other columns, and why.
    feature_names_in_ : numpy.ndarray of object
        The columns that are used.
    n_features_in_ : int
    n_codes_ : list of int
        Of the columns of codes, how many there are: what `Embeddings` takes as `sizes`.
    target_ : Classes, Numbers or None
    summary_ : list of tuple
        (column, kind, missing, what is done) of each column of the table that it was fitted to.
    notes_ : list of str
        What the last `transform` met that the training had not.

    Examples
    --------
    >>> table = {"size": [1.0, 2.0, 3.0], "colour": ["red", "blue", "red"], "price": [10.0, 20.0, 30.0]}
    >>> preprocessor = Preprocessor().fit(table, "price")
    >>> preprocessor.get_feature_names_out().tolist()
    ['size', 'colour=blue', 'colour=red']
    >>> preprocessor.transform({"colour": ["blue", "green"], "size": [2.0, 2.0]})
    array([[0., 1., 0.],
           [0., 0., 0.]])
    >>> preprocessor.inverse_target(np.array([[0.0]]))
    array([20.])

    >>> preprocessor = Preprocessor(max_categories=2, many="codes").fit({"size": [1.0, 3.0] * 2, "shop": list("abca")})
    >>> preprocessor.transform({"size": [1.0, 3.0, 3.0], "shop": ["a", "c", "x"]})
    array([[ 1., -1.],
           [ 3.,  1.],
           [ 0.,  1.]])
    >>> preprocessor.n_codes_
    [4]
    """

    summary_: list[tuple[str, str, int, str]]
    task_note_: str | None
    encodings_: list[features.Encoding]
    left_out_: dict[str, str]
    target_: Any
    notes_: list[str]

    def __init__(
        self,
        *,
        max_categories: int = 256,
        many: Literal["hashed", "codes"] = "hashed",
        ignore: Sequence[str] = (),
        strict: bool = False,
        dtype: Literal["float64", "float32"] = "float64",
    ) -> None:
        self.max_categories = max_categories
        self.many = many
        self.ignore = ignore
        self.strict = strict
        self.dtype = dtype

    # --- scikit-learn's conventions ---------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **params: object) -> Self:
        """Set parameters by name."""
        for name, value in params.items():
            setattr(self, checks.choice("Preprocessor.set_params", "a parameter", name, _PARAMETERS), value)
        return self

    def __repr__(self) -> str:
        return f"Preprocessor({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"

    def get_feature_names_out(self, input_features: object = None) -> Array:
        """The names of what `transform` returns."""
        self._require_fitted("get_feature_names_out")
        return np.array([name for each in self.encodings_ for name in each.names], object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Arrays are all that there is; for scikit-learn's pipelines."""
        if transform not in (None, "default"):
            raise ValueError(f"Preprocessor.set_output expects transform='default'; got {checks.shown(transform)}.")
        return self

    # --- fit --------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: str | ArrayLike | None = None, *, task: Literal["classification", "regression"] | None = None
    ) -> Self:
        """Learn means, categories and classes.

        Parameters
        ----------
        X : path, frame of pandas or polars, table of pyarrow, dict, array or Columns
        y : str, array_like or None
            The target: a column of X, or its values; None for none.
        task : {"classification", "regression"}, optional
            By default as the values say; see `TableModel`.

        Raises
        ------
        ValueError
            For no column that is of use, infinite numbers, an unknown target, or one that is missing in a
            row or the same everywhere.
        """
        who = "Preprocessor.fit"
        most = checks.integer(who, "max_categories", self.max_categories, 2)
        many = _MANY[checks.choice(who, "many", self.many, tuple(_MANY))]
        checks.flag(who, "strict", self.strict)
        checks.float_dtype(who, self.dtype)
        if task is not None:
            checks.choice(who, "task", task, targets.TASKS)
        ignore = checks.sequence(who, "ignore", self.ignore, "names of columns")
        table = table_of(who, X, dict.fromkeys(ignore, IGNORED))
        target = None
        if y is not None:
            table, target = with_target(who, table, y)
        unknown = [name for name in ignore if name not in table.names]
        if unknown:
            raise ValueError(
                f"{who} expects ignore of columns that {table.source} has, {features.listed(table.names)}; "
                f"got {checks.shown(unknown[0])}."
            )
        found, left_out, summary = [], {}, []
        for column in table.columns:
            if target is not None and column.name == target.name:
                continue
            missing = missing_of(column)
            if column.name in ignore:
                encoding, done = None, "left out, as asked"
            else:
                encoding, done = _encoding_of(column, missing, table, most, many)
            if encoding is None:
                left_out[column.name] = done.removeprefix("left out, ")
            else:
                found.append(encoding)
            summary.append((column.name, _kind_of(column, encoding), int(missing.sum()), done))
        if not found:
            why = "; ".join(f"{name}, {reason}" for name, reason in [*left_out.items()][:3])
            raise ValueError(f"{who} expects a column to predict from in {table.source}; got none of use: {why}.")
        learnt, said = (None, None)
        if target is not None:
            missing = missing_of(target)
            if missing.any():
                row = int(missing.argmax())
                raise features.unexpected(table, target, "a target in each row", row, "none")
            learnt, said = targets.target_of(target, table, task)
        found.sort(key=lambda each: not isinstance(each, features.Coded))
        self._become(found, left_out, learnt)
        self.summary_, self.task_note_ = summary, said
        return self

    def _become(self, found, left_out, target):
        self.encodings_, self.left_out_, self.target_ = found, left_out, target
        self.feature_names_in_: Array = np.array([each.name for each in found], object)
        self.n_features_in_: int = len(found)
        self.n_codes_: list[int] = [each.size for each in found if isinstance(each, features.Coded)]
        self.notes_ = []

    # --- transform --------------------------------------------------------------------------

    def transform(self, X: Any) -> Array:
        """The table as an array.

        Parameters
        ----------
        X : as `fit` takes it
            The columns by name, in any order; others are not looked at.

        Returns
        -------
        numpy.ndarray
            (n_rows, n_features_out), C-contiguous.

        Raises
        ------
        ValueError
            For columns that are missing, or of another kind than in training.
        """
        self._require_fitted("transform")
        return self.transformed(table_of("Preprocessor.transform", X, self.kinds, IGNORED), self.strict)

    @property
    def kinds(self):
        """The kinds that features had in training, by name, so that a file's codes stay texts."""
        return {each.name: each.source_kind for each in self.encodings_}

    def kinds_beside(self, target):
        """The same and the target's, which is a column of some name or values."""
        return {**self.kinds, **({target: self.target_.source_kind} if isinstance(target, str) else {})}

    def transformed(self, table: Columns, strict: bool) -> Array:
        """`transform` of Columns, strictly or not."""
        missing = [each.name for each in self.encodings_ if each.name not in table.names]
        if missing:
            raise ValueError(
                f"{table.source} expects the columns of the training; got none of the name"
                f"{'s' * (len(missing) > 1)} {features.listed(missing)}, but {features.listed(table.names)}."
            )
        edges = np.cumsum([0, *(len(each.names) for each in self.encodings_)])
        out = np.empty((table.n_rows, edges[-1]), self.dtype)
        notes = []
        for each, begin, end in zip(self.encodings_, edges, edges[1:], strict=False):
            column = table.column(each.name)
            if column.kind == "number":
                _require_finite(column, table)
            note = each.encode(column, table, out[:, begin:end], strict)
            if note:
                notes.append(f"{each.name}: {note}")
        self.notes_ = notes
        return out

    def fit_transform(self, X: Any, y: str | ArrayLike | None = None, **options: Any) -> Array:
        """`fit`, then `transform`."""
        ignore = checks.sequence("Preprocessor.fit", "ignore", self.ignore, "names of columns")
        table = table_of("Preprocessor.fit", X, dict.fromkeys(ignore, IGNORED))
        self.fit(table, y, **options)
        return self.transform(table)

    def transform_target(self, y: str | ArrayLike, X: Any = None) -> Array:
        """Class indices (n_rows,), or standardised numbers (n_rows, 1).

        Parameters
        ----------
        y : str or array_like
            A column of X, or values.
        """
        self._require_target("transform_target")
        who = "Preprocessor.transform_target"
        if X is None and (y is None or isinstance(y, str)):
            raise ValueError(f"{who} expects y as values, or X with that column; got {y!r}.")
        table = Columns((), "y") if X is None else table_of(who, X, self.kinds_beside(y), IGNORED)
        table, column = with_target(who, table, y)
        return self.target_.transform(column, table)

    def inverse_target(self, y: ArrayLike) -> Array:
        """The target's own values, of class indices (n_rows,), or of a regression's outputs (n_rows, 1)."""
        self._require_target("inverse_target")
        if isinstance(self.target_, targets.Classes):
            who, n = "Preprocessor.inverse_target", len(self.target_.classes)
            y = checks.indices(who, "y", y, "a vector of class indices")
            if y.size and not 0 <= y.min() <= y.max() < n:
                raise ValueError(f"{who} expects y of class indices from 0 to {n - 1}; got {y.min()} to {y.max()}.")
            return self.target_.inverse(y)
        return self.target_.inverse(checks.floats("Preprocessor.inverse_target", "y", y))

    def _require_fitted(self, method):
        if not hasattr(self, "encodings_"):
            raise ValueError(f"Preprocessor.{method} expects fit to be called before; got a new Preprocessor.")

    def _require_target(self, method):
        self._require_fitted(method)
        if self.target_ is None:
            raise ValueError(f"Preprocessor.{method} expects fit with a target; got fit without.")

    # --- JSON -------------------------------------------------------------------------------

    def to_json(self) -> str:
        """All that was learnt, as JSON's text."""
        self._require_fitted("to_json")
        return json.dumps(self.document())

    def document(self) -> dict[str, Any]:
        """What `to_json` writes, as an object."""
        self._require_fitted("document")
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "strict": self.strict,
            "dtype": np.dtype(self.dtype).name,
            "max_categories": self.max_categories,
            "many": self.many,
            "columns": [each.document() for each in self.encodings_],
            "left out": self.left_out_,
            "target": None if self.target_ is None else self.target_.document(),
        }

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The preprocessor that `to_json` wrote.

        Raises
        ------
        ValueError
            For another text, and for one of a newer version.

        Examples
        --------
        >>> text = Preprocessor().fit({"a": [1.0, 2.0]}).to_json()
        >>> Preprocessor.from_json(text).transform({"a": [1.5]})
        array([[0.]])
        """
        who = "Preprocessor.from_json"
        try:
            document = checks.json_of(text)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{who} expects JSON's text as to_json writes it; got {checks.shown(text)} ({error!s:.200})."
            ) from error
        return cls.from_document(who, document)

    @classmethod
    def from_document(cls, who: str, document: Any, source: str = "the text") -> Self:
        """The preprocessor of what `document` gives, of which nothing is taken on trust."""
        try:
            if document["format"] != _FORMAT:
                raise ValueError(f"the format {checks.shown(document['format'])}")
            version = document["version"]
        except Exception as error:
            raise ValueError(f"{who} expects a preprocessor in {source}; got another text ({error!s:.200}).") from error
        if isinstance(version, bool) or version not in range(1, _VERSION + 1):
            raise ValueError(
                f"{who} expects a preprocessor of version 1 to {_VERSION} in {source}; got version "
                f"{checks.shown(version)}, written by another fastbp."
            )
        try:
            found = [features.read(each, features.KINDS) for each in document["columns"]]
            names = [each.name for each in found]
            if not names or len(set(names)) < len(names):
                raise ValueError("no columns, or two of one name")
            coded = [isinstance(each, features.Coded) for each in found]
            if coded != sorted(coded, reverse=True):
                raise ValueError("codes behind other columns")
            target = document["target"]
            if target is not None:
                target = features.read(target, targets.KINDS)
                if target.name in names:
                    raise ValueError(f"the target {checks.shown(target.name)} among the columns")
            left_out = document["left out"]
            if not all(isinstance(each, str) for item in left_out.items() for each in item):
                raise ValueError("left out of other things than texts")
            both = left_out.keys() & {*names, *([] if target is None else [target.name])}
            if both:
                raise ValueError(f"the column {checks.shown(min(both))} both used and left out")
            made = cls(
                **{name: document[name] for name in ("strict", "dtype", "max_categories")},
                many=document["many"] if version > 1 else "hashed",
            )
            checks.choice("it", "many", made.many, tuple(_MANY))
            checks.flag("it", "strict", made.strict)
            checks.float_dtype("it", made.dtype)
            checks.integer("it", "max_categories", made.max_categories, 2)
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(
                f"{who} expects a whole preprocessor in {source}; got {type(error).__name__}: {error!s:.200}."
            ) from error
        made._become(found, left_out, target)
        made.task_note_ = None
        return made


def with_target(who: str, table: Columns, y: str | ArrayLike | None) -> tuple[Columns, Column]:
    """The table, and its column of the target, which may be given as values beside it."""
    if y is None or isinstance(y, str):
        if y not in table.names:
            came = "none: name one" if y is None else checks.shown(y) + checks.meant(y, table.names)
            raise ValueError(
                f"{who} expects the target to be one of the columns {features.listed(table.names)} of "
                f"{table.source}; got {came}."
            )
        if len(table.columns) == 1:
            raise ValueError(f"{who} expects a column beside the target {y!r} in {table.source}; got none.")
        return table, table.column(y)
    name = str(getattr(y, "name", None) or "target")
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or (table.columns and len(values) != table.n_rows):
        rows = f" of {table.n_rows} rows" if table.columns else ""
        raise ValueError(f"{who} expects target as a column's name or a vector{rows}; got {checks.shown(values)}.")
    (column,) = table_of(who, {name: values}).columns
    if name in table.names:
        raise ValueError(f"{who} expects a target of another name than a column; got {name!r} beside its column.")
    return table, column


# --- what is done with a column -------------------------------------------------------------


def missing_of(column: Column) -> Array:
    """(n_rows,) bool: where a column has no value."""
    if column.kind == "text":
        return np.array([value is None for value in column.values], bool)
    return np.isnat(column.values) if column.kind == "date" else np.isnan(column.values)


def _require_finite(column, table):
    infinite = np.isinf(column.values)
    if infinite.any():
        row = int(infinite.argmax())
        raise features.unexpected(table, column, "finite numbers", row, f"{column.values[row]}")


def _kind_of(column, encoding):
    if column.kind == "text":
        return "text" if encoding is None else "category"
    return "whole number" if column.kind == "number" and column.whole else column.kind


def _encoding_of(column, missing, table, most, many):
    """What is done with a column, and its words; None where it is left out."""
    values = column.values[~missing]
    if not len(values):
        return None, "left out, as it is empty"
    if column.kind == "number":
        _require_finite(column, table)
    if column.kind == "text":
        different = len(set(values.tolist()))
    elif column.kind == "number" or column.kind == "boolean":
        different = 2 if values[0] != values[-1] else len(np.unique(values))
    else:
        different = len(np.unique(values))
    if different == 1 and not missing.any():
        return None, "left out, as it is the same everywhere"
    if getattr(column, "identifies", False):
        return None, "left out, as it names the rows"
    if column.kind == "text":
        return _encoding_of_texts(column, values, different, many if different > most else features.Category)
    encoding = (features.Date if column.kind == "date" else features.Number).of(column)
    return encoding, encoding.done


def _encoding_of_texts(column, values, different, categories):
    """As `_encoding_of`; what is written and not chosen is left out, and so are names."""
    if different > _FEW:
        texts = values[:1000].tolist()
        characters = sum(map(len, texts)) / len(texts)
        words = sum(len(text.split()) for text in texts) / len(texts)
        if different > _OWN_TEXTS * len(values) and characters >= _LONG_TEXT and words >= _LONG_WORDS:
            return None, f"left out, as its texts, of {characters:.0f} characters on average, are no categories"
    if different >= _OWN_NAMES * len(values) and different > 10:
        return None, f"left out, as {different} different texts in {len(values)} rows name the rows"
    encoding = categories.of(column)
    return encoding, encoding.done
