"""Findings about the rows and their targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import TensorBase
from fastbp.diagnosis.report import Finding

__all__ = ["guess_of", "of_rows", "of_targets", "refused", "targets_of", "without_repeats"]

#: Root mean squares of an input, or a target, above which a network of the usual initial weights, made for
#: inputs of size 1 (LeCun et al., Efficient BackProp, 1998, section 4.3), begins far off.  Raw centimetres of
#: iris flowers and the 16 greys of scikit-learn's digits train well, so 10 would speak where nothing is wrong.
LARGE = 30.0
#: Below which all inputs are too small: weights have to grow a hundredfold first.
SMALL = 0.01
#: How many times larger one column may be than another: the curvature of the loss, and with it the best rate, goes
#: by the square (LeCun et al., 1998).
SPREAD = 1000.0
#: Means so many standard deviations from 0 hide what differs between rows.
OFFSET = 20.0
#: Columns up to which one that is always 0 is taken for a mistake; images have such at their margins.
FEW_COLUMNS = 32
#: Rows from which on such things are no accident.
ENOUGH_ROWS = 16
#: Rows per class from which on a class without a row is no accident: of balanced classes, one in exp(10) times.
ROWS_PER_CLASS = 10
#: Losses that compare amounts, whose targets have a scale.
AMOUNTS = ("squared", "absolute", "huber", "quantile")


def without_repeats(findings: Any) -> Any:
    """The findings, of a kind and a layer the first."""
    return list({(each.kind, each.layer): each for each in reversed(findings)}.values())[::-1]


# --- rows --------------------------------------------------------------------------------------


def of_rows(subject: Any, given: Any, rows: Any) -> Any:
    """Findings about x: numbers that are none, scales, columns that say nothing."""
    if any(part.role == "embedding" for part in subject.parts[:1]):  # numbers of categories
        return []
    flat = rows.reshape(len(rows), -1)
    if not flat.shape[1]:
        return []
    finite = np.isfinite(flat)
    if not finite.all():
        columns = np.flatnonzero(~finite.all(axis=0))
        n = int((~finite).sum())
        share = n / flat.size
        found = Finding(
            "inputs_not_finite",
            None,
            "",
            float(n),
            f"{n} of the numbers in x ({share:.2g} of them) {'is' if n == 1 else 'are'} NaN or infinite, "
            f"{_columns(columns)}: every sum that they enter is NaN, so fill or drop these rows first, as by "
            "np.nan_to_num(x) or a median.",
        )
        return [found]
    if subject.scale is not None:  # an estimator that standardises by itself
        return []
    with np.errstate(all="ignore"):
        found = _scale(flat.astype(np.float64))
        return found + _constant(flat)


def _columns(places, most=3):
    shown = ", ".join(map(str, places[:most]))
    more = f" and {len(places) - most} more" if len(places) > most else ""
    return f"in column{'s' if len(places) > 1 else ''} {shown}{more}"


def _scale(flat):
    """At most one finding: the first that explains the others."""
    sizes = np.sqrt(np.mean(flat**2, axis=0))
    column = int(np.argmax(sizes))
    largest = float(sizes[column])
    low, high = float(flat.min()), float(flat.max())
    cure = "x = (x - x.mean(axis=0)) / x.std(axis=0), with the numbers of the training rows for all later ones"
    if low >= 0 and 100 < high <= 255 and flat.shape[1] > 8 and np.array_equal(flat, np.rint(flat)):
        sentence = (
            f"x runs from {low:g} to {high:g}, as pixels do before they are scaled: the first layer's sums are some "
            f"hundred times too large, so divide, x = x / 255."
        )
        return [Finding("inputs_not_normalised", None, "", high, sentence)]
    if largest > LARGE:
        sentence = (
            f"Column {column} of x has numbers of size {largest:.3g}, where initial weights are made for about 1: "
            f"units saturate or die and one rate does not suit all columns, so normalise, {cure}."
        )
        return [Finding("inputs_not_normalised", None, "", largest, sentence)]
    if 0 < largest < SMALL:
        sentence = (
            f"All columns of x are small, the largest of size {largest:.2g}, where weights are made for about 1: the "
            f"network sees hardly a difference between rows, so normalise, {cure}."
        )
        return [Finding("inputs_not_normalised", None, "", largest, sentence)]
    if len(flat) < 2:
        return []
    # Sizes where a column is not 0, so that rare marks do not count as small.
    marked = np.count_nonzero(flat, axis=0)
    common = (marked >= 0.1 * len(flat)) & (flat.std(axis=0) > 0)
    if common.sum() > 1:
        own = np.where(common, np.sqrt((flat**2).sum(axis=0) / np.maximum(marked, 1)), np.nan)
        small, large = int(np.nanargmin(own)), int(np.nanargmax(own))
        ratio = float(own[large] / own[small])
        if ratio > SPREAD:
            sentence = (
                f"Column {large} of x is {ratio:.2g} times as large as column {small} ({own[large]:.2g} beside "
                f"{own[small]:.2g}): the small one is hardly heard, so normalise, {cure}."
            )
            return [Finding("inputs_not_normalised", None, "", ratio, sentence)]
    mean, deviation = np.abs(flat.mean(axis=0)), flat.std(axis=0)
    offset = np.where((deviation > 1e-6 * mean) & (mean > 1), mean / deviation, 0)
    column = int(np.argmax(offset))
    if offset[column] > OFFSET:
        sentence = (
            f"Column {column} of x lies {offset[column]:.3g} standard deviations from 0 (mean "
            f"{flat[:, column].mean():.3g}, deviation {deviation[column]:.2g}): it works as a second bias and its "
            f"differences drown, so normalise, {cure}."
        )
        return [Finding("inputs_not_normalised", None, "", float(offset[column]), sentence)]
    return []


def _constant(flat):
    n, width = flat.shape
    if n < ENOUGH_ROWS:
        return []
    same = (flat == flat[0]).all(axis=0)
    share = float(same.mean())
    if share == 1:
        sentence = (
            f"All {n} rows of x are the same: nothing can be learnt from them but the mean of the targets, so look at "
            "how x was made, as by an array that was overwritten in a loop."
        )
        return [Finding("constant_inputs", None, "", 1.0, sentence)]
    if share > (0.9 if width > FEW_COLUMNS else 0):
        places = np.flatnonzero(same)
        of = f"{len(places)} of {width} columns" if len(places) > 1 else "A column"
        sentence = (
            f"{of} of x {'are' if len(places) > 1 else 'is'} the same in all {n} rows ({_columns(places)}, as "
            f"{flat[0, places[0]]:g}): weights from there learn nothing that a bias would not, so drop "
            f"{'them' if len(places) > 1 else 'it'}, or look whether reading the data lost what was there."
        )
        return [Finding("constant_inputs", None, "", share, sentence)]
    return []


# --- targets -----------------------------------------------------------------------------------


def targets_of(who: str, subject: Any, t: Any, n_rows: Any) -> Any:
    """Targets as an array, of names of classes their indices; None where there are none.

    Raises
    ------
    ValueError
        For another number of targets than of rows.
    """
    if t is None:
        return None
    t = t.array if isinstance(t, TensorBase) else t
    array = checks.rectangular(who, "t", t) if isinstance(t, list | tuple) else np.asarray(t)
    if array.ndim == 0 or (n_rows == 1 and array.ndim == 1 and len(array) > 1):  # of one sample
        t = array = array[np.newaxis]
    if len(array) != n_rows:
        raise ValueError(f"{who} expects as many targets as rows, {n_rows}; got {len(array)}.")
    if subject.targets is not None:
        return subject.targets(array)
    if array.dtype.kind in "UTO" and array.ndim == 1 and isinstance(array[0], str):
        others = [name for name in array.tolist() if not isinstance(name, str)]
        if others:
            raise TypeError(f"{who} expects t as texts throughout; got {checks.shown(others[0])} among them.")
        names = sorted(set(array.tolist())) if subject.classes is None else list(subject.classes)
        places = {name: place for place, name in enumerate(names)}
        return np.array([places.get(name, -1) for name in array.tolist()], np.int64)
    return checks.numbers(who, "t", t)


def of_targets(subject: Any, t: Any, rows: Any) -> Any:
    """Findings about the targets, by what the loss asks of them."""
    if t is None or not t.size:
        return []
    if t.dtype.kind == "f" and not np.isfinite(t).all():
        n = int((~np.isfinite(t)).sum())
        sentence = (
            f"{n} of the numbers in t {'is' if n == 1 else 'are'} NaN or infinite: the loss of such a row is, too, and "
            "with it every weight after one step, so drop these rows."
        )
        return [Finding("targets_not_finite", None, "", float(n), sentence)]
    if subject.family in ("softmax", "nll"):
        return _classes(subject, t)
    if subject.family in ("sigmoid", "probabilities"):
        return _marks(t)
    return _amounts(subject, t)


def _n_out(subject):
    """The model's outputs, by its last affine layer; None where it has none."""
    weights = [part.weights for part in subject.parts if part.role == "affine"]
    return None if not weights or weights[-1] is None else weights[-1].shape[1]


def _classes(subject, t):
    n_out = _n_out(subject)
    if n_out == 1:
        sentence = (
            "The network has 1 output before a softmax, which makes it 1 whatever the input: the loss is 0 and "
            "nothing is learnt, so give it an output for each class, or take SigmoidWithLoss and targets of shape "
            "(n, 1)."
        )
        return [Finding("softmax_of_one", None, "", 1.0, sentence)]
    if t.ndim == 2 and t.shape[1] == n_out:
        counts = np.count_nonzero(t > 0, axis=0) if t.dtype != bool else t.sum(axis=0)
    elif t.ndim == 1 and np.array_equal(t, np.rint(t)):
        low, high = int(t.min()), int(t.max())
        if n_out is not None and (low < 0 or high >= n_out):
            return [_outside(t, low, high, n_out)]
        counts = (
            np.unique(t, return_counts=True)[1] if n_out is None else np.bincount(t.astype(np.int64), minlength=n_out)
        )
    else:
        return []  # which the loss refuses in words of its own
    n, n_classes = len(t), len(counts)
    missing = np.flatnonzero(counts == 0)
    if n_classes - len(missing) == 1 and n >= 8 and n_classes > 1:
        return [_all_alike(n, f"class {int(np.argmax(counts))}")]
    if not len(missing) or n < ROWS_PER_CLASS * n_classes:
        return []
    if missing.tolist() == [0] and t.ndim == 1:
        sentence = (
            f"Classes count from 0, and t runs from 1 to {n_classes - 1} for {n_classes} outputs: output 0 has no "
            f"row, so take t - 1 and {n_classes - 1} outputs."
        )
        return [Finding("labels_shifted", None, "", 1.0, sentence)]
    shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
    several = len(missing) > 1
    sentence = (
        f"{len(missing)} of {n_classes} classes {'have' if several else 'has'} no row among {n} (class {shown}): the "
        f"network learns never to say {'them' if several else 'it'}, so look at how the rows were chosen (sorted "
        "data cut in two?), or take fewer outputs."
    )
    return [Finding("missing_classes", None, "", float(len(missing)), sentence)]


def _outside(t, low, high, n_out):
    if (low, high) == (1, n_out) or (low >= 1 and high == n_out):
        sentence = f"Classes count from 0 to {n_out - 1}, and t runs from {low} to {high}: take t - 1."
        return Finding("labels_shifted", None, "", 1.0, sentence)
    if low < 0:
        cure = "(t > 0).astype(int)" if (low, high) == (-1, 1) else f"t - t.min(), which begins at 0, not at {low}"
        sentence = f"Classes count from 0 to {n_out - 1}, and t runs from {low} to {high}: take {cure}."
        return Finding("labels_shifted", None, "", float(low), sentence)
    found = len(np.unique(t))
    sentence = (
        f"t has classes up to {high}, and the network has {n_out} outputs, for 0 to {n_out - 1}: make the last layer "
        f"{high + 1} wide"
        + (f", or number the {found} classes anew, np.unique(t, return_inverse=True)[1]." if found < high + 1 else ".")
    )
    return Finding("more_classes_than_outputs", None, "", float(high + 1), sentence)


def _marks(t):
    low, high = float(t.min()), float(t.max())
    if low < 0 or high > 1:
        if np.array_equal(np.unique(t), [1, 2]):
            cure = "t - 1"
        elif np.array_equal(np.unique(t), [-1, 1]):
            cure = "(t > 0).astype(float)"
        else:
            cure = "a softmax with an output per class for several classes, or a squared error for amounts"
        kind = "labels_shifted" if cure.startswith(("t", "(")) else "labels_do_not_fit"
        sentence = f"Targets of a sigmoid are 0 or 1, and t runs from {low:g} to {high:g}: take {cure}."
        return [Finding(kind, None, "", high if low >= 0 else low, sentence)]
    if len(t) >= 8 and low == high:
        return [_all_alike(len(t), f"{low:g}")]
    return []


def _all_alike(n, what):
    sentence = (
        f"All {n} targets are the same, {what}: the network learns to say this of anything, so look at how t was made "
        "(the wrong column? a comparison that never holds?) and whether rows of other classes were lost."
    )
    return Finding("constant_labels", None, "", float(n), sentence)


def _amounts(subject, t):
    flat = t.reshape(len(t), -1).astype(np.float64)
    if len(t) >= 8 and (flat == flat[0]).all():
        return [_all_alike(len(t), f"{flat[0, 0]:g}")]
    if subject.family not in AMOUNTS:
        return []
    sizes = np.sqrt(np.mean(flat**2, axis=0))
    column = int(np.argmax(sizes))
    largest, where = float(sizes[column]), f"Column {column} of t" if flat.shape[1] > 1 else "t"
    cure = "train on (t - t.mean()) / t.std() and turn predictions back, y * t.std() + t.mean()"
    if largest > LARGE:
        sentence = (
            f"{where} has targets of size {largest:.3g}, where a network begins with answers of about 1: the loss "
            f"begins at {largest**2:.2g} by squares and steps are wild or endless, so {cure}."
        )
        return [Finding("targets_not_scaled", None, "", largest, sentence)]
    if 0 < largest < SMALL:
        sentence = (
            f"{where} has targets of size {largest:.2g}, below what a network's first answers are off by: a loss "
            f"that looks small has learnt nothing, so {cure}."
        )
        return [Finding("targets_not_scaled", None, "", largest, sentence)]
    return []


def refused(subject: Any, found: Any, t: Any, findings: Any) -> list[Any]:
    """What the loss said of targets that it did not take, where nothing says it better, or should have said."""
    said = ("labels_shifted", "more_classes_than_outputs", "softmax_of_one", "labels_do_not_fit")
    if any(each.kind in said for each in findings):
        return []
    y = found.y
    elementwise = subject.family in (*AMOUNTS, "sigmoid", "probabilities")
    if subject.broadcasts and elementwise and t is not None and t.ndim == 1 and y.shape == (len(t), 1) and len(t) > 1:
        sentence = (
            f"t of shape {t.shape} beside outputs of shape {y.shape} makes {len(t)} x {len(t)} differences, each "
            "output with every target, whose best answer is always the mean: take t.reshape(-1, 1)."
        )
        return [Finding("labels_do_not_fit", None, "", float(len(t) ** 2), sentence)]
    if not found.refused:
        return []
    sentence = f"The loss does not take these targets: {found.refused.rstrip('.')}."
    return [Finding("labels_do_not_fit", None, "", float("nan"), sentence)]


# --- the level of guessing ---------------------------------------------------------------------


def guess_of(subject: Any, t: Any) -> float | None:
    """The mean loss of the best answer that is the same for all rows; None where it is not known.

    The entropy of the classes' shares, in nats; for amounts the least mean loss by one number: the variance for
    squares, the mean distance from the median for distances.
    """
    if t is None or not t.size or not np.isfinite(t.astype(np.float64)).all():
        return None
    if subject.family in ("softmax", "nll"):
        if t.ndim == 2:
            shares = t.mean(axis=0, dtype=np.float64)
        else:
            if t.ndim != 1:
                return None
            shares = np.unique(t, return_counts=True)[1] / len(t)
            shares = np.append(shares, np.zeros(max((_n_out(subject) or 0) - len(shares), 0)))
        smoothing = getattr(subject.loss, "label_smoothing", 0.0)
        shares = (1 - smoothing) * shares + smoothing / len(shares)
        shares = shares[shares > 0]
        return float(-(shares * np.log(shares)).sum())
    flat = t.reshape(len(t), -1).astype(np.float64)
    if subject.family in ("sigmoid", "probabilities") and getattr(subject.loss, "kind", "sigmoid") != "focal":
        shares = np.clip(flat.mean(axis=0), 1e-12, 1 - 1e-12)
        return float(-(shares * np.log(shares) + (1 - shares) * np.log(1 - shares)).mean())
    if subject.family == "squared":
        return float(flat.var(axis=0).mean())
    if subject.family == "absolute":
        return float(np.abs(flat - np.median(flat, axis=0)).mean())
    return None
