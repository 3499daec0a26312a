"""Validation of what users hand in, and the wording of every error.

Each message is one sentence: what, which argument, what was expected, what came.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import math
import operator
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MappingView, Reversible, Set
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np

from fastbp._kernels.autograd import TensorBase
from fastbp._kernels.changes import note

if TYPE_CHECKING:
    from fastbp._typing import Array, Path

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound="Array | TensorBase")

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
FLOATS = (FLOAT32, FLOAT64)
MOST_ELEMENTS = sys.maxsize // FLOAT64.itemsize  # of an array, in any dtype
MOST_SEED = 2**64 - 1


def plural(n: int, noun: str) -> str:
    """'1 feature', '2 features'."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


# --- arrays ---------------------------------------------------------------------------------


def ready(value: object, dtype: np.dtype[Any]) -> bool:
    """Whether `value` is an array that the kernels take as it is."""
    if type(value) is not np.ndarray or value.dtype is not dtype:
        return False
    flags = value.flags
    return flags.c_contiguous and flags.aligned


def floats(who: str, name: str, value: Any, dtype: np.dtype[Any] | None = None) -> Array:
    """`value` as the kernels take it: C-contiguous, aligned, native float32 or float64.

    The very array where it is already so, a converted copy where not.  `dtype` None keeps
    float32 and float64, takes float16 to float32 and everything else to float64.
    """
    if dtype is None:
        if ready(value, FLOAT32) or ready(value, FLOAT64):
            return value
    elif ready(value, dtype):
        return value
    array = numbers(who, name, value)
    if dtype is None:
        small = array.dtype.kind == "f" and array.dtype.itemsize <= 4
        dtype = FLOAT32 if small else FLOAT64
    try:
        with np.errstate(over="raise"):
            return np.require(array, dtype, ("C", "A"))
    except FloatingPointError:
        largest = np.abs(array[np.isfinite(array)]).max()
        raise ValueError(
            f"{who} expects {name} within the range of {dtype}; got a number of size {largest:g}."
        ) from None


def numbers(who: str, name: str, value: object) -> Array:
    """An array of bools, integers or floats."""
    if value is None:
        raise TypeError(f"{who} expects {name} as an array of numbers; got None.")
    if type(value) is not np.ndarray and hasattr(value, "isna") and hasattr(value, "to_numpy"):
        return _of_pandas(who, name, value)
    array = rectangular(who, name, value)
    if array.dtype.kind not in "fiub":
        cure = _cure(name, array)
        came = f"dtype {array.dtype}"
        if hasattr(value, "tocsr"):
            came = "a sparse matrix, which toarray() makes dense"
        elif array.ndim == 0 and array.dtype.kind == "O":
            cure = f", as list({name}) has them" if isinstance(value, _WITHOUT_PLACES) else ""
            came = f"an object of type {type(value).__name__}"
        raise TypeError(f"{who} expects {name} of real numbers{cure}; got {came}.")
    unmasked(who, name, value)
    return array


def rectangular(who: str, name: str, value: object) -> np.ndarray:
    """An array of anything that NumPy makes one of."""
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{who} expects {name} as a rectangular array; got rows of different lengths.") from None
    except RuntimeError:
        if not getattr(value, "requires_grad", False):
            raise
        raise RuntimeError(
            f"{who} expects {name} as an array of numbers; got a tensor that requires grad, of "
            f"which {name}.detach() is one that does not."
        ) from None


def unmasked(who: str, name: str, value: Any) -> None:
    """Refuses a masked array that masks something, whose numbers there stand for nothing."""
    plain = type(value) is np.ndarray or not isinstance(value, np.ndarray)
    if not plain and np.ma.is_masked(value):
        raise ValueError(
            f"{who} expects {name} without masked elements; got {np.count_nonzero(np.ma.getmaskarray(value))} of them."
        )


#: Arguments that may be classes; those of a test take the training's.
_LABELS = ("t", "t_train")
#: What has elements, of which none is the first that NumPy could ask for.
_WITHOUT_PLACES = (Iterator, MappingView, Set)


def _cure(name, array):
    """What makes numbers of text, of fields, or of objects that are numbers."""
    if array.dtype.names:
        return f", which np.array({name}.tolist()) makes of its fields"
    text = array.dtype.kind in "US"
    if array.dtype.kind == "O" and array.size:
        if all(map(_is_number, array.flat)):
            whole = name in _LABELS and all(float(each).is_integer() for each in array.flat)
            return f", which {name}.astype({'int' if whole else 'float'}) makes of these"
        text = any(isinstance(each, str) for each in array.flat)
    if text and name in _LABELS:
        return f", which classes, {name} = np.unique({name}, return_inverse=True) makes of names"
    if text:
        with contextlib.suppress(TypeError, ValueError):
            array.astype(float)
            return f", which {name}.astype(float) makes of these"
    return ""


def _is_number(value):
    """Whether float takes an object, as a Fraction or a Decimal, that is no text."""
    if isinstance(value, str | bytes) or getattr(value, "ndim", False):
        return False
    try:
        float(value)
    except (ArithmeticError, TypeError, ValueError):
        return False
    return True


def _of_pandas(who, name, frame):
    """A frame, series, index or array of pandas as an array."""
    if frame.ndim == 1:
        return _of_column(who, name, frame, getattr(frame, "name", None))
    if all(isinstance(dtype, np.dtype) and dtype.kind in "fiu" for dtype in frame.dtypes):
        return frame.to_numpy()
    columns = [_of_column(who, name, frame.iloc[:, place], label) for place, label in enumerate(frame.columns)]
    return np.stack(columns, axis=1)


def _of_column(who, name, column, label):
    """One column of pandas; nullable, Arrow's and sparse ones become NumPy's."""
    dtype, kind = column.dtype, getattr(column.dtype, "kind", "O")
    which = name if label is None else f"{name}, column {label!r},"
    if isinstance(dtype, np.dtype) and kind in "fiub":
        return column.to_numpy()
    n_missing = int(column.isna().sum())
    if n_missing:
        raise ValueError(f"{who} expects {which} without missing values; got {n_missing} of them.")
    if kind not in "fiub":
        objects = np.asarray(column, object) if kind == "O" else np.empty(0)
        cure = _cure(name, objects)
        if not cure and any(isinstance(each, str) for each in objects):
            cure = ", as pd.get_dummies makes of names"
        raise TypeError(f"{who} expects {which} of real numbers{cure}; got dtype {dtype}.")
    array = column.to_numpy()
    return array if array.dtype.kind == kind else array.astype("bool" if kind == "b" else f"{kind}8")


def sparse(who: str, name: str, matrix: Any) -> Any:
    """A sparse matrix whose indices stay within it: SciPy's compiled loops rely on it."""
    try:
        if hasattr(matrix, "check_format"):
            copy.copy(matrix).check_format(full_check=True)  # it prunes what it looks at
    except ValueError:
        raise ValueError(
            f"{who} expects {name} whose pointers and indices stay within its shape {tuple(matrix.shape)}; got others."
        ) from None
    return matrix


def real(who: str, name: str, value: Any) -> Any:
    """A number as it came, or an array of real numbers: for arithmetic in plain Python."""
    if isinstance(value, float | int | TensorBase):
        return value
    array = numbers(who, name, value)  # lists and matrices calculate otherwise than arrays
    return value if isinstance(value, np.generic) else array


def rows(who: str, x: object, W_shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Array, tuple[int, ...]]:
    """x as (n_samples, n_in) and the shape it came in.

    A 1-D x is one sample; more than two dimensions are flattened behind the first.
    """
    x = floats(who, "x", x, dtype)
    shape = x.shape
    if len(shape) != 2:
        n_rows = 1 if len(shape) < 2 else shape[0]
        x = x.reshape(n_rows, x.size // n_rows if n_rows else int(np.prod(shape[1:])))
    if x.shape[1] != W_shape[0]:
        raise other_width(who, shape, W_shape[0], f" (W is {W_shape})")
    return x, shape


def other_width(who: str, shape: tuple[int, ...], n_in: int, where: str = "") -> ValueError:
    """The error of an x that has not `n_in` features."""
    cure = ""
    if len(shape) == 1 and n_in == 1:
        cure = ": samples are rows, and x.reshape(-1, 1) has one feature in each"
    elif len(shape) == 1 and shape[0]:
        cure = ", which is one sample: samples are rows, and x comes before t"
    elif math.prod(shape) == n_in:
        cure = ": samples are rows, and x.reshape(1, -1) is one"
    elif len(shape) == 2 and shape[0] == n_in:
        cure = ": samples are rows, as in x.T"
    return ValueError(f"{who} expects x with {plural(n_in, 'feature')}{where}; got x of shape {shape}{cure}.")


def gradient_of(who: str, dout: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The `dout` handed to backward, of the forward's output shape."""
    if not ready(dout, dtype):
        dout = floats(f"{who}.backward", "dout", dout, dtype)
    if dout.shape != shape:
        raise ValueError(f"{who}.backward expects dout of shape {shape}, as forward's output; got {dout.shape}.")
    return dout


def forward_was_called(who: str, saved: object) -> None:
    """Refuses a backward without its forward."""
    if saved is None:
        raise RuntimeError(f"{who}.backward expects a call of forward first; there was none.")


def parameter(who: str, name: str, value: object, ndim: int) -> Array:
    """A weight or bias: the very array, float32 or float64, no axis of length 0."""
    if value is None:
        raise TypeError(f"{who} expects {name} as an array of numbers; got None.")
    array = value if isinstance(value, np.ndarray) else numbers(who, name, value)
    unmasked(who, name, value)
    if array.dtype.newbyteorder("=") not in FLOATS:
        raise TypeError(
            f"{who} expects {name} of dtype float32 or float64, so that it can be trained; got {array.dtype}."
        )
    if array.ndim != ndim or 0 in array.shape:
        form = "(n_in, n_out)" if ndim == 2 else "(n,)"
        cure = ""
        if ndim == 1 and array.size == max(array.shape, default=1) > 0:
            cure = f", of which {name}.ravel() is such" if array.ndim else f": np.full(n, {name})"
        elif ndim == 2 and array.ndim == 1 and array.size:
            cure = f": {name}.reshape(-1, 1) has one output, {name}.reshape(1, -1) one input"
        raise ValueError(f"{who} expects {name} of shape {form} without an empty axis; got {array.shape}{cure}.")
    return array


def writable_parameter(who: str, name: str, array: object) -> Array:
    """A parameter that an update may change in place."""
    if not isinstance(array, np.ndarray) or array.dtype.newbyteorder("=") not in FLOATS:
        raise TypeError(f"{who} expects {name} as an array of float32 or float64; got {described(array)}.")
    if not array.flags.writeable:
        raise ValueError(f"{who} expects {name} to be writable; got a read-only array.")
    return array


def no_nan(who: str, name: str, array: Array) -> Array:
    """An array of a file or for one, in which NaN stands for a mistake."""
    if array.dtype.kind in "fc" and np.isnan(array).any():
        raise ValueError(f"{who} expects numbers in {name}; got NaN.")
    return array


def same_shape(who: str, name: str, value: S, shape: tuple[int, ...], of: str, cure: str = "") -> S:
    """An array that has to have the shape of another."""
    if value.shape != shape:
        raise ValueError(f"{who} expects {name} of shape {shape}, as {of}; got {value.shape}{cure}.")
    return value


def indices(who: str, name: str, value: object, one: str = "a vector of integers") -> Array:
    """Places in a sequence, as an array (n,) of integers."""
    array = numbers(who, name, value)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        mask = array.dtype.kind == "b" and array.ndim == 1
        cure = f", which np.flatnonzero({name}) makes of a mask" if mask else ""
        raise TypeError(f"{who} expects {name} as {one}{cure}; got dtype {array.dtype} and shape {array.shape}.")
    return array


def categories(who: str, x: Array, sizes: Array) -> Array:
    """The first columns of x, whole numbers below each one's size, as an array of int64."""
    given = x[:, : len(sizes)]
    with np.errstate(invalid="ignore"):
        places = given.astype(np.int64)
    wrong = (places != given) | (places < 0) | (places >= sizes)
    if wrong.any():
        row, column = (int(each) for each in np.argwhere(wrong)[0])
        raise ValueError(
            f"{who} expects whole numbers from 0 to {sizes[column] - 1} in column {column} of x; "
            f"got {given[row, column]:g} in row {row}."
        )
    return places


# --- targets --------------------------------------------------------------------------------

ROW_SUM_TOLERANCE = 1e-3  # of one-hot or soft rows, whatever their dtype
ROW_SUM_ROUNDING = 1e-5  # rows further off are divided by their sum


def class_targets(who: str, t: object, shape: tuple[int, ...], dtype: np.dtype[Any], one_sample: bool = False) -> Array:
    """Class indices as int64 (n_rows,), or one-hot and soft rows of `shape`; bools are 0 and 1."""
    n_rows, n_classes = shape
    array = numbers(who, "t", t)
    if one_sample and (array.ndim == 0 or array.shape == (n_classes,) != (1,)):
        array = array[np.newaxis]
    if n_classes == 1 and array.size == n_rows:
        others = array[array != (array.ndim == 2)]  # 0 is its index, and 1 its row
        if others.size:
            raise ValueError(
                f"{who} expects an output for each class, since the softmax of one is always 1; "
                f"got 1 and t with {others[0].item()}: two classes take two outputs, or one with "
                "SigmoidWithLoss."
            )
    if array.shape == (n_rows, n_classes):
        return _probability_rows(who, array, dtype)
    if array.shape != (n_rows,):
        cure = ""
        if array.size == n_rows:
            ravel = "t.ravel()" if array is t else "np.ravel(t)"
            column = " a column," if array.shape == (n_rows, 1) else ""
            cure = f",{column} which {ravel} makes (N,)"
        elif array.shape == (n_classes, n_rows):
            cure = ": samples are rows, as in t.T"
        elif array.ndim == 2 and len(array) == n_rows:
            cure = f": rows of {array.shape[1]} classes take as many outputs"
        raise ValueError(
            f"{who} expects t as class indices of shape ({n_rows},) or rows of shape "
            f"({n_rows}, {n_classes}); got {array.shape}{cure}."
        )
    if array.dtype.kind not in "iub":
        whole = np.array_equal(array, np.rint(array))
        cure = ", which t.astype(int) makes integers" if whole else ""
        raise TypeError(f"{who} expects class indices as integers; got t of dtype {array.dtype}{cure}.")
    if n_rows and (array.min() < 0 or array.max() >= n_classes):
        least, most = int(array.min()), int(array.max())
        row = int(np.flatnonzero((array < 0) | (array >= n_classes))[0])
        cure = ""
        if least == 1 and most == n_classes:
            cure = ": classes count from 0, as in t - 1"
        elif least == -1 and n_classes == 2:
            cure = ": classes count from 0, as in t > 0"
        elif least == 0:
            cure = f": {most + 1} classes take as many outputs"
        raise ValueError(f"{who} expects class indices 0..{n_classes - 1} in t; got {array[row]} at row {row}{cure}.")
    return np.require(array, np.int64, ("C", "A"))


def _probability_rows(who, array, dtype):
    rows_ = np.require(array, dtype, ("C", "A"))
    sums = rows_.sum(axis=1, dtype=np.float64)
    good = np.abs(sums - 1) <= ROW_SUM_TOLERANCE  # false for NaN
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise ValueError(f"{who} expects rows of t that sum to 1; got {sums[row]:g} at row {row}.")
    if rows_.size and rows_.min() < 0:
        row = int(np.flatnonzero((rows_ < 0).any(axis=1))[0])
        raise ValueError(f"{who} expects rows of t without negative numbers; got {rows_[row].min():g} at row {row}.")
    if not (np.abs(sums - 1) <= ROW_SUM_ROUNDING).all():
        rows_ = rows_ / sums[:, np.newaxis].astype(dtype)
    return rows_


def values_like(who: str, t: object, y: Array) -> Array:
    """Targets of a regression: t of the output's shape and dtype; (n,) serves one output."""
    t = floats(who, "t", t, y.dtype)
    if t.shape == y.shape:
        return t
    if y.shape == (*t.shape, 1):
        return t.reshape(y.shape)
    cure = ""
    if t.ndim == 1 and y.ndim == 2 and len(t) == len(y):
        cure = f": {y.shape[1]} outputs take rows of as many, or class indices and SoftmaxWithLoss"
    elif t.ndim == y.ndim == 2 and len(t) == len(y):
        cure = f": rows of {t.shape[1]} take as many outputs"
    elif t.shape == y.shape[::-1]:
        cure = ": samples are rows, as in t.T"
    raise ValueError(f"{who} expects t of the output's shape {y.shape}; got {t.shape}{cure}.")


def binary_targets(who: str, t: object, x: Array) -> Array:
    """Targets of a sigmoid loss: of the logits' shape, between 0 and 1."""
    t = values_like(who, t, x)
    if t.size and not (t.min() >= 0 and t.max() <= 1):  # false for NaN
        bad = t[~((t >= 0) & (t <= 1))][0]
        cure = ""
        if np.isin(t, (-1, 1)).all():
            cure = ": t > 0 has 0 and 1"
        elif np.isin(t, (1, 2)).all():
            cure = ": t - 1 has 0 and 1"
        raise ValueError(f"{who} expects t between 0 and 1; got {bad:g}{cure}.")
    return t


# --- numbers --------------------------------------------------------------------------------


def weights_of_rows(
    who: str, weights: Array, dtype: np.dtype[Any], negative: bool = True, total: Callable[[int], int] = int
) -> Array:
    """Finite weights in the dtype of the arithmetic, where they may overflow or vanish.

    total(n) is how many all ranks have that are not zero, of which n are here.
    """
    with np.errstate(over="ignore"):
        own = weights.astype(dtype)
    finite = np.isfinite(own).all() and (negative or weights.min(initial=0) >= 0)
    if not (total(int(np.count_nonzero(own))) and finite):
        kind = "finite" if negative else "finite, not negative"
        raise ValueError(
            f"{who} expects weights that are {kind} and not all zero in {own.dtype}; got values "
            f"from {weights.min(initial=np.inf):g} to {weights.max(initial=-np.inf):g}."
        )
    return own


@overload
def output_weights(who: str, name: str, given: None) -> None: ...
@overload
def output_weights(who: str, name: str, given: Iterable[float]) -> tuple[float, ...]: ...
def output_weights(who: str, name: str, given: Iterable[float] | None) -> tuple[float, ...] | None:
    """Weights of a target's columns, not negative and not all zero, as a tuple; None for none."""
    if given is None:
        return None
    given = sequence(who, name, given, "a weight for each column of the target")
    weights = tuple(number(who, f"{name}[{k}]", one, least=0) for k, one in enumerate(given))
    if not sum(weights):
        raise ValueError(f"{who} expects {name} that are not all zero; got {shown(given)}.")
    return weights


def integer(who: str, name: str, value: Any, least: float, most: float = sys.maxsize) -> int:
    """An integer of at least `least`, and at most `most`; a bool is none."""
    try:
        if isinstance(value, bool | np.bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{who} expects {name} as an integer; got {described(value)}.") from None
    if number < least:
        raise ValueError(f"{who} expects {name} of at least {least}; got {shown(number)}.")
    if number > most:
        raise ValueError(f"{who} expects {name} of at most {most}; got {shown(number)}.")
    return number


def fits_memory(who: str, names: str, lengths: Iterable[int]) -> None:
    """Refuses an array whose number of elements no address could count."""
    if math.prod(lengths) > MOST_ELEMENTS:
        product = " x ".join(map(str, lengths))
        raise ValueError(f"{who} expects {names} whose product is at most {MOST_ELEMENTS}; got {product}.")


def number(who: str, name: str, value: Any, least: float = -np.inf, most: float = np.inf, finite: bool = True) -> float:
    """A real number between two bounds."""
    if isinstance(value, np.ndarray):
        unmasked(who, name, value)
    try:
        if isinstance(value, str | bytes | bool | np.bool) or getattr(value, "ndim", False):
            raise TypeError
        real = float(value)
    except OverflowError:  # an integer beyond float64
        real = np.inf
    except (TypeError, ValueError, RuntimeError):  # the last of tensors
        raise TypeError(f"{who} expects {name} as a number; got {described(value)}.") from None
    if not (least <= real <= most and (math.isfinite(real) or not finite)):  # NaN is neither
        if most < np.inf:
            bounds = f"between {least:g} and {most:g}"
        elif least > -np.inf:
            bounds = f"as a {'finite ' * finite}number of at least {least:g}"
        else:
            bounds = "as a finite number"
        raise ValueError(f"{who} expects {name} {bounds}; got {shown(value)}.")
    return real


def positive(who: str, name: str, value: Any) -> float:
    """A finite number above 0."""
    real = number(who, name, value, least=0)
    if real == 0:
        raise ValueError(f"{who} expects {name} above 0; got {shown(value)}.")
    return real


@overload
def flag(who: str, name: str, value: object) -> bool: ...
@overload
def flag(who: str, name: str, value: object, or_none: Literal[True]) -> bool | None: ...
def flag(who: str, name: str, value: object, or_none: bool = False) -> bool | None:
    """True or False; 1 and 0 are such, texts are not, and None where it is said."""
    if value is True or value is False or (or_none and value is None):
        return value
    if not isinstance(value, int | np.bool) or value not in (0, 1):
        choices = "True, False or None" if or_none else "True or False"
        raise TypeError(f"{who} expects {name} as {choices}; got {described(value)}.")
    return bool(value)


def as_number(who: str, name: str, value: float, finite: bool = True) -> float:
    """A number, as it came."""
    number(who, name, value, finite=finite)
    return value


class Checked:
    """An attribute that is checked where it is set, in the constructor's words, and then noted.

    ``check(who, name, value)`` gives what is kept, under the attribute's name in the object's
    `__dict__`, where it is read without a detour.
    """

    def __init__(self, check: Callable[..., Any], *bounds: Any, **options: Any) -> None:
        self.check: Callable[[str, str, Any], Any] = lambda who, name, value: check(
            who, name, value, *bounds, **options
        )

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, held: object, owner: type | None = None) -> Any:
        if held is None:
            return self
        try:
            return vars(held)[self.name]
        except KeyError:
            raise AttributeError(f"{type(held).__name__!r} object has no attribute {self.name!r}") from None

    def __set__(self, held: object, value: Any) -> None:
        vars(held)[self.name] = self.check(type(held).__name__, self.name, value)
        note()


def methods_of_its_own(thing: object, *modules: str) -> list[str]:
    """The methods that an object, or a class of it outside of `modules`, has put in the place of
    theirs.
    """
    mro = type(thing).__mro__
    depth = next((k for k, base in enumerate(mro) if _within(base.__module__, modules)), None)
    if depth is None:
        return []
    own = vars(thing).keys() if depth == 0 else set(vars(thing)).union(*map(vars, mro[:depth]))
    return sorted(own & _called(mro[depth]))


@functools.cache
def _called(kind):
    """The methods of a class of the library that are called for what it computes."""
    return {name for name in dir(kind) if callable(getattr(kind, name, None))} - _UNCALLED


@functools.cache
def _within(name, modules):
    """Whether a module of this name is one of `modules`, or in one."""
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


#: What a class may have of its own without another result.
_UNCALLED = {
    "__init__",
    "__new__",
    "__class__",
    "__init_subclass__",
    "__repr__",
    "__getstate__",
    "__setstate__",
    "__reduce__",
    "__copy__",
    "__deepcopy__",
    "extra_repr",
    "config",
}


def instance(who: str, name: str, value: T, kind: type | tuple[type, ...] | UnionType, expected: str) -> T:
    """An object of a class of the library."""
    if not isinstance(value, kind):
        raise TypeError(f"{who} expects {name} as {expected}; got {described(value)}.")
    return value


def function(who: str, name: str, value: T, expected: str) -> T:
    """What can be called."""
    if not callable(value):
        raise TypeError(f"{who} expects {name} as {expected}; got {described(value)}.")
    return value


def sequence(who: str, name: str, value: Any, expected: str) -> list[Any]:
    """A list of what can be gone through."""
    if isinstance(value, str | bytes) or not np.iterable(value):
        raise TypeError(f"{who} expects {name} as a sequence of {expected}; got {described(value)}.")
    return list(value)


def sized(who: str, name: str, value: T) -> T:
    """What has a length."""
    if not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0:
        raise TypeError(f"{who} expects {name} with a length; got {described(value)}.")
    return value


def samples(who: str, name: str, value: Any) -> Any:
    """What has a length, and its elements at their places."""
    if hasattr(sized(who, name, value), "__getitem__"):
        return value
    raise TypeError(
        f"{who} expects {name} with samples at their places, as list({name}) has them; got an "
        f"object of type {type(value).__name__}."
    )


def path(who: str, value: Path, name: str = "path", what: str = "a file") -> str:
    """The name of a file to read or write, as Python's functions take it."""
    try:
        found = os.fspath(value)
    except TypeError:
        raise TypeError(f"{who} expects {name} as the name of {what}; got {described(value)}.") from None
    if 0 in os.fsencode(found):
        raise ValueError(f"{who} expects {name} as the name of {what}; got one with a zero byte.")
    return found


def path_to_write(who: str, value: Path) -> str:
    """The name of a file in a folder that is there."""
    name = path(who, value)
    folder = os.path.dirname(name)
    if folder and not os.path.isdir(folder):
        raise FileNotFoundError(f"{who} expects path in a folder that exists; got {name!r}, whose folder does not.")
    if not name:
        raise FileNotFoundError(f"{who} expects path as the name of a file; got {name!r}.")
    return name


def path_to_read(who: str, value: Path) -> str:
    """The name of a file that is there."""
    name = path(who, value)
    if not os.path.exists(name):
        raise FileNotFoundError(f"{who} expects path of a file that exists; got {name!r}.")
    return regular_file(who, name)


def regular_file(who, name):
    """A name of anything but a folder, or a pipe or a device, from which nothing may come, or no end."""
    if os.path.isdir(name):
        raise IsADirectoryError(f"{who} expects path of a file; got {name!r}, a folder.")
    if os.path.exists(name) and not os.path.isfile(name):
        raise OSError(f"{who} expects path of a regular file; got {name!r}, a pipe or a device.")
    return name


def mapping(who: str, name: str, value: T) -> T:
    """A dict or what works like one."""
    return instance(who, name, value, Mapping, "a mapping such as a dict")


def choice(who: str, name: str, value: object, choices: Collection[str]) -> str:
    """One of a few names."""
    if not isinstance(value, str) or value not in choices:
        import difflib

        near = []
        if isinstance(value, str) and value:
            near = difflib.get_close_matches(value.lower(), choices, 1)
            near = near or [each for each in choices if value.lower() in each]
        cure = f", which is near {near[0]!r}" if near else ""
        raise ValueError(f"{who} expects {name} as one of {', '.join(map(repr, choices))}; got {shown(value)}{cure}.")
    return value


def float_dtype(who: str, value: Any) -> np.dtype[Any]:
    """float32 or float64, by name or as a dtype."""
    try:
        dtype = np.dtype(value) if value is not None else None
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or dtype not in FLOATS:  # to NumPy, None equals float64
        raise ValueError(f"{who} expects dtype as 'float32' or 'float64'; got {shown(value)}.")
    return dtype


def described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype}"
    if isinstance(value, TensorBase):
        return _came(value)
    return f"{shown(value)} of type {type(value).__name__}"


def meant(name: str, names: Reversible[object]) -> str:
    """What is added to the refusal of a name: which of the known ones is meant, perhaps."""
    from difflib import get_close_matches

    plain = {str(each).strip().casefold(): each for each in reversed(names)}
    close = get_close_matches(str(name).strip().casefold(), plain, 1, 0.75)
    return f"; {shown(plain[close[0]])} is near" if close else ""


def shown(value: object) -> str:
    """A value in a few characters of one line, an array or a tensor by its shape."""
    if isinstance(value, TensorBase | np.ndarray):
        return _came(value)
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no integers of more than 4300 digits
        text = "an integer of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def json_of(text: str | bytes) -> Any:
    """What JSON's text says, each name of an object once.

    Raises
    ------
    ValueError
        For what is no JSON, lists too deep in each other, of which `json` has no words of its own, and a
        name twice, of which it would keep the last.
    """
    import json

    def named(pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            once: set[str] = set()
            for name, _ in pairs:
                if name in once:
                    raise ValueError(f"the name {shown(name)} twice")
                once.add(name)
        return found

    try:
        return json.loads(text, object_pairs_hook=named)
    except RecursionError:
        raise ValueError("lists or objects too deep in each other") from None


def missing_extra(package: str, what: str, extra: str = "all") -> ImportError:
    """The ImportError of an optional package."""
    return ImportError(f"{what} needs {package}, which pip install 'fastbp[{extra}]' brings.")


# --- what NumPy refuses -----------------------------------------------------------------------


def _flags_of(function):
    """The parameters that are True or False where they are not given: by name, and by place."""
    defaults = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    given = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    given |= function.__kwdefaults__ or {}
    flags = [name for name, value in given.items() if isinstance(value, bool)]
    return flags, [(place, name) for place, name in enumerate(names) if name in flags]


def explained(
    function: F, who: str | None = None, by: Callable[..., Any] | None = None, aliases: Mapping[str, str] | None = None
) -> F:
    """`function`, whose errors have the form of this module where NumPy or Python worded them.

    For functions that hand their arguments on to NumPy: what they do not check themselves costs
    nothing until it fails.  Parameters that are True or False by default take nothing else.

    Parameters
    ----------
    function : callable
    who : str, optional
        Its public name, where that is not its own.
    by : callable, optional
        ``by(arguments, keywords)`` calls the function where keywords are handed in.
    aliases : dict, optional
        Other names of parameters, which `by` knows.
    """
    who = who or function.__name__
    flags, by_place = _flags_of(function)
    flags += [alias for alias, name in (aliases or {}).items() if name in flags]
    first = by_place[0][0] if by_place else 0

    @functools.wraps(function)
    def told(*arguments, **keywords):
        try:
            if keywords and flags:
                for name, value in keywords.items():
                    if value is not True and value is not False and name in flags:
                        flag(who, name, value)
            if by_place and len(arguments) > first:
                for place, name in by_place:
                    if place < len(arguments):
                        flag(who, name, arguments[place])
            if by is not None and keywords:
                return by(arguments, keywords)
            return function(*arguments, **keywords)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if " expects " in str(error):
                raise
            kind, sentence = _sentence(who, function, arguments, keywords, error)
        raise kind(sentence)

    return told  # type: ignore[return-value]


_CLASSES = {IndexError: IndexError, ValueError: ValueError, ArithmeticError: ValueError, KeyError: ValueError}


def _sentence(who, function, arguments, keywords, error):
    """The class and the words of an error that says nothing about the caller's arguments."""
    kind = next((to for of, to in _CLASSES.items() if isinstance(error, of)), TypeError)
    signature = inspect.signature(function)
    try:
        given = signature.bind(*arguments, **keywords).arguments
    except TypeError:  # arguments too many, too few, or of other names
        came = ", ".join([*map(_came, arguments), *(f"{k}={_came(v)}" for k, v in keywords.items())])
        return TypeError, f"{who} expects the arguments {signature}; got ({came})."
    if not isinstance(given.get("input"), TensorBase) and "input" in given:
        return TypeError, f"{who} expects input as a Tensor; got {described(given['input'])}."
    came = ", ".join(f"{name} {_came(value)}" for name, value in given.items() if name != "self")
    reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")
    return kind, f"{who} expects arguments {signature} that go together; got {came} ({reason})."


def _came(value):
    """An argument in an error: an array by its shape, anything else as Python writes it."""
    if isinstance(value, TensorBase):
        return f"a tensor of shape {value.array.shape}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_came, value))})" if len(value) < 9 else f"{len(value)} values"
    return shown(value)
