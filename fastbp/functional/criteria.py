"""Losses on Tensors, with PyTorch's arguments and numbers: each is one node of the graph."""

from __future__ import annotations

import math
import sys
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd.arguments import in_range, quick, tensor_of
from fastbp.autograd.elementwise import log_softmax_of
from fastbp.autograd.tensor import (
    quietly,
    tensor,  # noqa: F401  (in the examples)
)
from fastbp.backend import kernels
from fastbp.checks import explained
from fastbp.operations.activations import sigmoid as numpy_sigmoid
from fastbp.operations.losses import LOSSES as ROWS

if TYPE_CHECKING:
    from fastbp.autograd import Tensor

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]


def reduction_of(who: str, reduction: Any, size_average: Any = None, reduce: Any = None, more: Any = ()) -> Any:
    """The reduction's name; `size_average` and `reduce` are its older form."""
    size_average = checks.flag(who, "size_average", size_average, or_none=True)
    reduce = checks.flag(who, "reduce", reduce, or_none=True)
    if size_average is not None or reduce is not None:
        warnings.warn(
            f"{who} expects reduction in place of size_average and reduce, which are deprecated.",
            UserWarning,
            stacklevel=4,
        )
        if reduce is False:
            return "none"
        return "sum" if size_average is False else "mean"
    return checks.choice(who, "reduction", reduction, ("none", "mean", "sum", *more))


@explained
def cross_entropy(
    input: Any,
    target: Tensor,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: Literal["mean", "sum", "none"] = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """The cross-entropy of softmax(input) and classes or probabilities.

    Parameters
    ----------
    input : Tensor, (N, C), (C,) or (N, C, ...)
        Logits.
    target : Tensor
        Class indices, of input's shape without C; or probabilities, of input's shape.
    weight : Tensor, (C,), optional
        Of each class; a mean over indices is then the weighted one.
    ignore_index : int
        An index that does not count.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        The share of the target that is spread evenly over the classes.

    Raises
    ------
    IndexError
        For a class out of range.
    RuntimeError, ValueError
        For targets of another dtype or shape.

    Examples
    --------
    >>> cross_entropy(tensor([[0.0, 0.0], [0.0, 2.0]]), tensor([0, 1]))
    tensor(0.4100)
    """
    # All classes are in range in the compiled case: no negative one is left out.
    if (
        weight is None
        and reduction == "mean"
        and label_smoothing == 0.0
        and ignore_index < 0
        and size_average is None
        and reduce is None
        and isinstance(target, core.TensorBase)
        and isinstance(input, core.TensorBase)
    ):
        out = core.softmax_cross_entropy(input, target)
        if out is not None:
            return out
    who = "cross_entropy"
    reduction = reduction_of(who, reduction, size_average, reduce)
    smoothing = checks.number(who, "label_smoothing", label_smoothing, least=0, most=1)
    x, t = _logits(who, input), tensor_of(who, "target", target)
    if t.array.dtype.kind == "f" and t.array.shape == x.array.shape:
        if ignore_index >= 0:
            raise RuntimeError(
                f"{who} expects ignore_index beside class indices only; got {ignore_index} beside "
                "probabilities, of which none is left out."
            )
        return _soft_cross_entropy(x, t, _class_weights(who, weight, x), reduction, smoothing)
    rows, back = _class_last(x.array)
    logs = core.quiet(log_softmax_of, (rows, 1))
    return _class_loss(who, x, t, logs, back, weight, ignore_index, reduction, smoothing, True)


@quick
def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: Any = -100,
    reduce: Any = None,
    reduction: Any = "mean",
) -> Any:
    """-input at the class, of log-probabilities; the arguments are those of `cross_entropy`.

    Examples
    --------
    >>> nll_loss(tensor([[-1.0, -2.0]]), tensor([1]))
    tensor(2.)
    """
    reduction = reduction_of("nll_loss", reduction, size_average, reduce)
    x, t = _logits("nll_loss", input), tensor_of("nll_loss", "target", target)
    rows, back = _class_last(x.array)
    return _class_loss("nll_loss", x, t, rows, back, weight, ignore_index, reduction, 0.0, False)


def _logits(who, input):
    x = tensor_of(who, "input", input)
    if not x.is_floating_point():
        raise RuntimeError(f"{who} expects input of a float dtype; got {x.dtype!r}.")
    if x.ndim == 0 or x.array.shape[min(1, x.ndim - 1)] == 0:
        raise ValueError(f"{who} expects input of shape (N, C) or (C,); got {tuple(x.shape)}.")
    return x


def _class_last(x):
    """x as rows of classes, and the way back to its shape."""
    if x.ndim <= 2:
        return x.reshape(-1, x.shape[-1]), lambda rows: rows.reshape(x.shape)
    moved = np.moveaxis(x, 1, -1)
    return moved.reshape(-1, x.shape[1]), lambda rows: np.moveaxis(rows.reshape(moved.shape), -1, 1)


def _class_weights(who, weight, x):
    n = x.array.shape[min(1, x.ndim - 1)]
    if weight is None:
        return None
    w = tensor_of(who, "weight", weight).array
    if w.shape != (n,) or w.dtype != x.array.dtype:
        raise RuntimeError(f"{who} expects weight of shape ({n},) and input's dtype; got {weight.dtype!r} {w.shape}.")
    return w


def _class_loss(who, x, t, logs, back, weight, ignore_index, reduction, smoothing, normalise):
    """The loss of classes: logs (rows, C), whose exp are probabilities where `normalise`."""
    n = logs.shape[1]
    shape = x.array.shape[:1] + x.array.shape[2:] if x.ndim > 1 else ()
    index = t.array
    if index.dtype.kind not in "iu":
        also = f" or probabilities of input's shape {x.array.shape}" if normalise else ""
        raise RuntimeError(
            f"{who} expects target as class indices of an integer dtype{also}; got {t.dtype!r} "
            f"of shape {index.shape}: target.long() makes indices."
        )
    if index.shape != shape:
        column = ", which target.squeeze(1) makes fit" if index.shape == (*shape, 1) else ""
        raise ValueError(
            f"{who} expects target of shape {shape}, a class for each row of input "
            f"{x.array.shape}; got {index.shape}{column}."
        )
    index = index.reshape(-1).astype(np.int64, copy=False)
    counted = index != checks.integer(who, "ignore_index", ignore_index, -sys.maxsize)
    in_range(who, "classes", index[counted], n)
    index = np.where(counted, index, 0)
    by_class = _class_weights(who, weight, x)
    by_row = counted.astype(logs.dtype) if by_class is None else by_class[index] * counted
    # Row by row the loss is -sum_c share[r, c] logs[r, c].
    share = np.zeros(logs.shape, logs.dtype)
    share[np.arange(len(index)), index] = (1 - smoothing) * by_row
    if smoothing:
        spread = np.ones(n, logs.dtype) if by_class is None else by_class
        share += smoothing / n * spread * counted[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        losses = -np.where(share == 0, 0, share * logs).sum(1)
    divisor = by_row.sum() if reduction == "mean" else 1
    dlogs = share if not normalise else share - np.exp(logs) * share.sum(1, keepdims=True)
    out = core.quiet(_reduced, (losses.reshape(shape), reduction, divisor))
    return core.node(
        "NllLossBackward0" if x.ndim <= 2 else "NllLoss2DBackward0",
        out,
        (x,),
        _class_gradient,
        (dlogs, back, divisor, normalise, t),
    )


def _reduced(losses, reduction, divisor):
    if reduction == "none":
        return losses
    return np.asarray(losses.sum() / divisor, losses.dtype)


@quietly
def _class_gradient(saved, dout, needs):
    dlogs, back, divisor, normalise, _ = saved
    dout = dout.reshape(-1, 1) if dout.ndim else dout
    if divisor == 0:  # no class counted: 0, or NaN where the softmax is
        return (back(dlogs * 0),)
    scale = -dout / dlogs.dtype.type(divisor)
    if normalise:
        return (back(dlogs * scale),)
    return (back(np.where(dlogs == 0, dlogs, dlogs * scale)),)  # of a NaN, only where it counts


def _soft_cross_entropy(x, t, by_class, reduction, smoothing):
    rows, back = _class_last(x.array)
    n = rows.shape[1]
    logs = core.quiet(log_softmax_of, (rows, 1))
    share = _class_last(t.array)[0].astype(rows.dtype)
    if smoothing:
        share = (1 - smoothing) * share + rows.dtype.type(smoothing / n)
    scale = by_class if by_class is not None else rows.dtype.type(1)
    share = share * scale
    losses = -(share * logs).sum(1)
    shape = x.array.shape[:1] + x.array.shape[2:] if x.ndim > 1 else ()
    divisor = rows.dtype.type(len(rows) if reduction == "mean" else 1)
    out = core.quiet(_reduced, (losses.reshape(shape), reduction, divisor))
    return core.node(
        "DivBackward1" if reduction == "mean" else "NegBackward0",
        out,
        (x, t),
        _soft_gradient,
        (share, logs, back, divisor, scale * rows.dtype.type(1 - smoothing), t),
    )


@quietly
def _soft_gradient(saved, dout, needs):
    share, logs, back, divisor, scale, _ = saved
    dout = (dout.reshape(-1, 1) if dout.ndim else dout) / divisor
    dx = back(dout * (np.exp(logs) * share.sum(1, keepdims=True) - share)) if needs[0] else None
    return dx, back(-dout * scale * logs) if needs[1] else None


def _pairs(who, label, input, target, reduction, value, slopes, weight=None, divisor=None, broadcasts=False, row=None):
    """A loss over pairs of elements.

    ``value(x, t)`` is the loss of each pair, and ``slopes(x, t)`` its derivatives by x and t;
    `row`, the name and numbers of that loss in `operations.losses`, lets a kernel sum it up.
    """
    x, t = tensor_of(who, "input", input), tensor_of(who, "target", target)
    if not x.is_floating_point() and not t.is_floating_point():
        raise RuntimeError(f"{who} expects input of a float dtype; got {x.dtype!r}.")
    if x.array.shape != t.array.shape:
        if not broadcasts:
            raise ValueError(
                f"{who} expects target of input's shape {x.array.shape}; got {t.array.shape}: "
                "please ensure they have the same size."
            )
        warnings.warn(
            f"{who} expects target of input's shape {x.array.shape}; got {t.array.shape}, which "
            "broadcasts and will likely lead to incorrect results.",
            UserWarning,
            stacklevel=4,
        )
    if row and weight is None and reduction != "none":
        out = _by_kernel(label, x, t, row, x.array.size if reduction == "mean" else 1)
        if out is not None:
            return out
    dtype = np.result_type(x.array, t.array)
    if dtype == np.float64 and x.is_floating_point() and x.array.dtype != np.float64 and (not t.is_floating_point()):
        dtype = x.array.dtype  # integers do not promote floats
    a, b = x.array.astype(dtype, copy=False), t.array.astype(dtype, copy=False)
    try:
        losses = np.asarray(core.quiet(value, (a, b)))
    except ValueError:
        raise RuntimeError(core.not_broadcastable(a.shape, b.shape)) from None
    w = None if weight is None else _spread(who, "weight", weight, losses.shape).astype(dtype)
    if w is not None:
        losses = losses * w
    if divisor is None:
        divisor = losses.size if reduction == "mean" else 1
    divisor = dtype.type(divisor)
    out = core.quiet(_reduced, (losses, reduction, divisor))
    kept = (x if a is x.array else a, t if b is t.array else b, w, slopes, divisor)
    return core.node(label, out, (x, t), _pairs_gradient, kept)


def _by_kernel(label, x, t, row, divisor):
    """The sum of a loss over `divisor`; None of what the kernels do not take."""
    a, b = x.array, t.array
    if not (
        a.size
        and a.shape == b.shape
        and a.dtype in checks.FLOATS
        and checks.ready(a, a.dtype)
        and checks.ready(b, a.dtype)
    ):
        return None
    name, *numbers = row
    y = np.empty(a.shape, a.dtype) if ROWS[name].kept else None
    total = kernels().loss_forward(name, a.reshape(-1), b.reshape(-1), y if y is None else y.reshape(-1), *numbers)
    if not math.isfinite(total):  # it depends on the order of the terms
        return None
    out = np.array(total / divisor, a.dtype)
    return core.node(label, out, (x, t), _kernel_gradient, (x, t, y, row, divisor))


def _kernel_gradient(saved, dout, needs):
    x, t, y, (name, *numbers), divisor = saved
    scale = dout.item() / divisor
    dx = np.empty(x.shape, x.dtype)
    kernels().loss_backward(name, (x if y is None else y).reshape(-1), t.reshape(-1), scale, dx.reshape(-1), *numbers)
    # By t: a row that keeps y has the term -x t, the others are of x - t.
    return dx, -dx if y is None else x * x.dtype.type(-scale)


def _of_row(name, *numbers):
    """The arguments of `_pairs` for a row that is of x - t."""
    row = ROWS[name]

    def value(x, t):
        return row.value(x, t, *numbers)

    def slopes(x, t):
        d = row.slope(x, t, *numbers)
        return d, -d

    return {"value": value, "slopes": slopes, "row": (name, *numbers)}


def _spread(who, name, value, shape):
    """The array of a tensor that broadcasts to a shape, and does not go beyond it."""
    array = tensor_of(who, name, value).array
    if array.ndim > len(shape) or any(n not in (1, to) for n, to in zip(array.shape[::-1], shape[::-1], strict=False)):
        raise ValueError(f"{who} expects {name} of a shape that broadcasts to {shape}; got {array.shape}.")
    return array


def _pairs_gradient(saved, dout, needs):
    x, t, w, slopes, divisor = saved
    scale = core.quiet(np.divide, (dout, divisor))
    if w is not None:
        scale = scale * w
    if scale.ndim == 0:  # a slope may have the shape of one of the two, that is broadcast
        scale = np.broadcast_to(scale, np.broadcast_shapes(x.shape, t.shape))
    slopes = core.quiet(slopes, (x, t))
    return tuple(
        [core.quiet(np.multiply, (scale, s)) if needed else None for s, needed in zip(slopes, needs, strict=True)]
    )


@explained
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Literal["mean", "sum", "none"] = "mean",
    weight: Tensor | None = None,
) -> Any:
    """The squared difference.

    Parameters
    ----------
    input, target : Tensor
        Of one shape; others broadcast, with a warning.
    reduction : {"mean", "sum", "none"}
    weight : Tensor, optional
        Of each element, of input's shape; a mean is then over the sum of the weights.

    Examples
    --------
    >>> mse_loss(tensor([1.0, 2.0]), tensor([1.0, 0.0]))
    tensor(2.)
    """
    plain = reduction == "mean" and size_average is None and reduce is None and weight is None
    if plain and isinstance(input, core.TensorBase) and isinstance(target, core.TensorBase):
        out = core.squared_error(input, target)
        if out is not None:
            return out
    reduction = reduction_of("mse_loss", reduction, size_average, reduce)
    if weight is not None and (
        tensor_of("mse_loss", "weight", weight).shape != tensor_of("mse_loss", "input", input).shape
    ):
        raise ValueError(f"mse_loss expects weight of input's shape {tuple(input.shape)}; got {tuple(weight.shape)}.")
    divisor = float(weight.array.sum()) if weight is not None and reduction == "mean" else None
    return _pairs(
        "mse_loss",
        "MseLossBackward0",
        input,
        target,
        reduction,
        weight=weight,
        divisor=divisor,
        broadcasts=True,
        **_of_row("squared"),
    )


@explained
def l1_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: Any = "mean") -> Any:
    """The absolute difference.

    Examples
    --------
    >>> l1_loss(tensor([1.0, 2.0]), tensor([1.0, 0.0]))
    tensor(1.)
    """
    reduction = reduction_of("l1_loss", reduction, size_average, reduce)
    return _pairs(
        "l1_loss", _OF_L1.get(reduction, "AbsBackward0"), input, target, reduction, broadcasts=True, **_ABSOLUTE
    )


_OF_L1 = {"mean": "MeanBackward0", "sum": "SumBackward0"}


def _l1_slopes(x, t):
    d = x - t
    sign = np.where(np.isnan(d), 0, np.sign(d))  # of NaN as PyTorch's
    return sign, -sign


_ABSOLUTE = _of_row("absolute") | {"slopes": _l1_slopes}


@explained
def smooth_l1_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: Any = "mean", beta: float = 1.0
) -> Any:
    """``d^2 / (2 beta)`` where ``|d|`` is below beta, else ``|d| - beta / 2``, of d = input - target.

    Examples
    --------
    >>> smooth_l1_loss(tensor([0.5, 2.0]), tensor([0.0, 0.0]))
    tensor(0.8125)
    """
    reduction = reduction_of("smooth_l1_loss", reduction, size_average, reduce)
    beta = checks.number("smooth_l1_loss", "beta", beta, least=0)
    if beta == 0:
        return _pairs("smooth_l1_loss", "SmoothL1LossBackward0", input, target, reduction, broadcasts=True, **_ABSOLUTE)

    def value(x, t):
        d = np.abs(x - t)
        return np.where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta)

    def slopes(x, t):
        d = np.clip((x - t) / beta, -1, 1)
        return d, -d

    return _pairs("smooth_l1_loss", "SmoothL1LossBackward0", input, target, reduction, value, slopes, broadcasts=True)


@explained
def huber_loss(input: Any, target: Any, reduction: Any = "mean", delta: float = 1.0) -> Any:
    """``d^2 / 2`` where ``|d|`` is at most delta, else ``delta (|d| - delta / 2)``, of d = input - target.

    Examples
    --------
    >>> huber_loss(tensor([0.5, 2.0]), tensor([0.0, 0.0]))
    tensor(0.8125)
    """
    reduction = reduction_of("huber_loss", reduction)
    delta = checks.number("huber_loss", "delta", delta, least=0)
    if delta == 0:
        raise ValueError("huber_loss expects delta above 0; got 0.")
    return _pairs(
        "huber_loss", "HuberLossBackward0", input, target, reduction, broadcasts=True, **_of_row("huber", delta)
    )


@quick
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Any = "mean",
) -> Any:
    """-t log x - (1 - t) log(1 - x), of probabilities; no logarithm goes below -100.

    Parameters
    ----------
    input : Tensor
        Between 0 and 1.
    target : Tensor
        Of input's shape and dtype, between 0 and 1.
    weight : Tensor, optional
        Of each element, broadcast.

    Raises
    ------
    ValueError
        For another shape.
    RuntimeError
        For input or target outside of [0, 1], or of another dtype.

    Examples
    --------
    >>> binary_cross_entropy(tensor([0.5, 0.9]), tensor([0.0, 1.0]))
    tensor(0.3993)
    """
    who = "binary_cross_entropy"
    reduction = reduction_of(who, reduction, size_average, reduce)
    _same_dtype(who, input, target)
    for name, array in (("input", input.array), ("target", target.array)):
        if array.size and not (array.min() >= 0 and array.max() <= 1):  # false for NaN
            raise RuntimeError(
                f"{who} expects {name} between 0 and 1; got {array[~((array >= 0) & (array <= 1))][0]:g}."
            )
    return _pairs(who, "BinaryCrossEntropyBackward0", input, target, reduction, _bce, _bce_slopes, weight)


def _same_dtype(who, input, target):
    x, t = tensor_of(who, "input", input), tensor_of(who, "target", target)
    if not x.is_floating_point():
        raise RuntimeError(f"{who} expects input of a float dtype; got {x.dtype!r}.")
    if x.array.dtype != t.array.dtype:
        raise RuntimeError(
            f"{who} expects target of input's dtype {x.dtype!r}; got {t.dtype!r}: target.float() converts."
        )


def _bce(x, t):
    return -(t * np.maximum(np.log(x), -100) + (1 - t) * np.maximum(np.log1p(-x), -100))


def _bce_slopes(x, t):
    by_t = np.maximum(np.log1p(-x), -100) - np.maximum(np.log(x), -100)
    return (x - t) / np.maximum(x * (1 - x), x.dtype.type(1e-12)), by_t


@explained
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Any = "mean",
    pos_weight: Tensor | None = None,
) -> Any:
    """The binary cross-entropy of sigmoid(input), computed without overflow.

    Parameters
    ----------
    input : Tensor
        Logits.
    target : Tensor
        Of input's shape.
    weight, pos_weight : Tensor, optional
        Of each element, and of the part ``t log x``, broadcast.

    Examples
    --------
    >>> binary_cross_entropy_with_logits(tensor([0.0, 2.0]), tensor([0.0, 1.0]))
    tensor(0.4100)
    """
    who = "binary_cross_entropy_with_logits"
    reduction = reduction_of(who, reduction, size_average, reduce)
    x, t = tensor_of(who, "input", input), tensor_of(who, "target", target)
    for name, tensor_ in (("input", x), ("target", t)):
        if not tensor_.is_floating_point():
            raise RuntimeError(f"{who} expects {name} of a float dtype; got {tensor_.dtype!r}.")
    shape = x.array.shape
    more = None if pos_weight is None else _spread(who, "pos_weight", pos_weight, shape) - 1

    def value(x, t):
        return (1 - t) * x + (1 if more is None else 1 + more * t) * np.logaddexp(0, -x)

    def slopes(x, t):
        if more is None:
            return (1 - t) - numpy_sigmoid(-x), -x
        by_x = (1 - t) - (1 + more * t) * numpy_sigmoid(-x)
        return by_x + (t - t), -x + more * np.logaddexp(0, -x)  # NaN for an infinite t, as PyTorch

    return _pairs(
        who,
        "BinaryCrossEntropyWithLogitsBackward0",
        x,
        t,
        reduction,
        value,
        slopes,
        weight,
        row=None if pos_weight is not None else ("sigmoid",),
    )


@explained
def kl_div(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Literal["mean", "batchmean", "sum", "none"] = "mean",
    log_target: bool = False,
) -> Any:
    """t (log t - input), the divergence of probabilities t from log-probabilities.

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" is the sum over the number of samples.
    log_target : bool
        Whether target has log-probabilities too.

    Examples
    --------
    >>> kl_div(tensor([[0.5, 0.5]]).log(), tensor([[0.25, 0.75]]), reduction="sum")
    tensor(0.1308)
    """
    who = "kl_div"
    if not tensor_of(who, "target", target).is_floating_point():
        raise RuntimeError(f"{who} expects target as probabilities of a float dtype; got {target.dtype!r}.")
    reduction = reduction_of(who, reduction, size_average, reduce, ("batchmean",))
    divisor = len(input.array) if reduction == "batchmean" and input.ndim else None
    if log_target:
        value, slopes = _kl_of_logs, _kl_of_logs_slopes
    else:
        value, slopes = _kl, _kl_slopes
    return _pairs(who, "KlDivBackward0", input, target, reduction, value, slopes, divisor=divisor, broadcasts=True)


def _kl(x, t):
    return np.where(t == 0, 0, t * np.log(np.where(t == 0, 1, t))) - t * x


def _kl_slopes(x, t):
    return -t, np.log(t) + t / t - x  # NaN of t = 0, as PyTorch's


def _kl_of_logs(x, t):
    return np.exp(t) * (t - x)


def _kl_of_logs_slopes(x, t):
    return -np.exp(t), np.exp(t) * (t - x + 1)
