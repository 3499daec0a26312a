"""Losses: thin classes over the kernels, with the book's attributes.

Each takes (prediction, target), averages, and gives the gradient of the average.
"""

from itertools import groupby
from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels import passes
from fastbp._kernels.autograd import TensorBase, node, operation
from fastbp._kernels.changes import note
from fastbp.backend import kernels
from fastbp.operations.losses import LOSSES as ROWS
from fastbp.operations.losses import TARGETS, gaussian
from fastbp.operations.losses import Loss as Row

__all__ = [
    "FocalLoss",
    "GaussianLoss",
    "HingeLoss",
    "HuberLoss",
    "LogCoshLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MultiTaskLoss",
    "PoissonLoss",
    "QuantileLoss",
    "SigmoidWithLoss",
    "SoftmaxWithLoss",
    "cross_entropy_error",
    "softmax",
]


class Loss:
    """What all losses share: forward keeps what backward needs, evaluate keeps nothing."""

    #: The loss's name in the training engine.
    kind: str
    #: Whether it classifies, so that there is an accuracy.
    classifies = False
    #: Its kind among those that are compiled as one call; None where it is not among them.
    _pass: int | None = None
    #: The loss of `fastbp.nn` that it stands for, whose options may change.
    criterion = None

    def __init__(self):
        self.loss: Any = None
        self.y: Any = None
        self.t: Any = None
        self._shape = None

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
        note()  # it may be a method

    def _prepare(self, x, t):
        """x and t as the kernels take them, and x's shape as it came."""
        raise NotImplementedError

    def _value(self, x, t):
        """The mean loss, and y."""
        raise NotImplementedError

    def _gradient(self, y, t, dout):
        """The mean loss's gradient by x, times dout."""
        raise NotImplementedError

    def forward(self, x, t):
        """The mean loss; keeps `y`, `t` and `loss`.

        Of a Tensor x it is a Tensor, whose backward gives x its gradient, and nothing is kept.
        """
        if type(x) is not np.ndarray and isinstance(x, TensorBase):
            return self._on_tensor(x, t)
        own = self.__dict__
        passed = None
        if self._pass is not None:  # as in _passed, without a call more
            passed = passes.loss_forward(self._pass, x, t, self.kind_number)
        if passed is None:
            own["loss"], own["y"], own["t"], own["_shape"] = self._passed(x, t)
        else:
            own["loss"], own["y"] = passed
            own["t"], own["_shape"] = t, x.shape
        return own["loss"]

    def _passed(self, x, t):
        """The mean loss, and what `backward` needs: y, t and x's shape as it came."""
        if self._pass is not None:
            passed = passes.loss_forward(self._pass, x, t, self.kind_number)
            if passed is not None:
                return *passed, t, x.shape
        x, t, shape = self._prepare(x, t)
        loss, y = self._value(x, t)
        return loss, y if y.ndim == len(shape) else y.reshape(shape), t, shape  # one sample

    def _on_tensor(self, x, t):
        if isinstance(t, TensorBase):
            if t.requires_grad:
                raise ValueError(
                    f"{type(self).__name__} expects t without a gradient, which fastbp.nn's losses "
                    "give; got a Tensor that requires one."
                )
            t = t.array
        array, t, shape = self._prepare(x.array, t)
        loss, y = self._value(array, t)
        saved = self, y, t.copy(), shape, x  # t may be written to before backward reads it
        return node(f"{type(self).__name__}Backward0", y.dtype.type(loss), (x,), _pull_back, saved)

    def evaluate(self, x, t):
        """The mean loss; keeps nothing."""
        return self._passed(x, t)[0]

    def parts(self, n_out):
        """(loss, number, width, factor) of each part, as the engine has them, of so many outputs.

        None where the loss is one of the engine's by itself.
        """
        return None

    def targets(self, who, t, shape, dtype):
        """Targets for the engine, of predictions of that shape: of it, or class indices."""
        raise NotImplementedError

    def evaluate_taken(self, x, t):
        """The mean loss of targets as `targets` gives them."""
        return self.evaluate(x, t)

    def backward(self, dout=1):
        """The loss's gradient by x, times the number `dout`; of x's shape."""
        checks.forward_was_called(type(self).__name__, self._shape)
        if type(dout) is not int or dout != 1:
            dout = checks.number(f"{type(self).__name__}.backward", "dout", dout)
        if self._pass is not None:
            dx = passes.loss_backward(self._pass, self.y, self.t, dout, self.kind_number)
            if dx is not None and dx.shape == self._shape:
                return dx
        return self._gradient(self.y, self.t, dout).reshape(self._shape)

    #: The number that goes with its kind.
    kind_number: float = 0.0
    #: The arguments that it is made with.
    options: tuple[str, ...] = ()

    def follow(self):
        """Take the options that the loss of `fastbp.nn` has now, or refuse them."""
        if self.criterion is not None:
            now = self.criterion.as_book()
            for name in self.options:
                if getattr(self, name) != getattr(now, name):
                    setattr(self, name, getattr(now, name))

    def config(self):
        """The arguments that make such a loss again."""
        options = {name: getattr(self, name) for name in self.options}
        return {name: value for name, value in options.items() if value is not None}

    def accuracy(self, x, t):
        """The share of targets that predictions x hit, between 0 and 1."""
        raise ValueError(f"accuracy expects a classification loss; got {type(self).__name__}.")

    def _share(self, hits):
        """The share of True, of at least one."""
        if not hits.size:
            raise ValueError(f"{type(self).__name__}.accuracy expects at least one sample; got none.")
        return float(np.mean(hits))

    def probabilities(self, x):
        """The probabilities that predictions x stand for."""
        raise ValueError(f"predict_proba expects a classification loss; got {type(self).__name__}.")

    __call__ = forward

    def __repr__(self):
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.config().items())
        return f"{type(self).__name__}({arguments})"


def _pull_back(saved, dout, needs):
    """The gradient by the predictions, from that by the loss."""
    loss, y, t, shape = saved[:4]
    return (loss._gradient(y, t, float(dout)).reshape(shape),)


def _mean(total, n):
    return total / n if n else float("nan")


class SoftmaxWithLoss(Loss):
    """Softmax and cross-entropy: ``-mean_r sum_j t[r, j] log softmax(x[r])[j]``.

    The mean is over the rows. It is exact (log-sum-exp of each row), where the book takes
    ``log(y + 1e-7)``.

    Parameters
    ----------
    label_smoothing : float
        Between 0 and 1: the share of each target that all classes have alike, as PyTorch has it.

    Attributes
    ----------
    loss : float
        The last forward's loss, in nats.
    y : numpy.ndarray
        The last forward's softmax, of x's shape.
    t : numpy.ndarray
        The last targets, int64 (n_samples,) or rows (n_samples, n_classes).

    Raises
    ------
    ValueError, TypeError
        From forward, for class indices out of range, of a floating dtype or as a column, and
        for rows that do not sum to 1.  RuntimeError from backward before forward.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.6.3 and appendix A; Szegedy et al.,
    Rethinking the inception architecture for computer vision (2016), section 7.

    Examples
    --------
    >>> import numpy as np
    >>> loss = SoftmaxWithLoss()
    >>> round(loss.forward(np.array([[0.0, 0.0], [0.0, 2.0]]), np.array([0, 1])), 4)
    0.41
    >>> loss.backward().round(4)
    array([[-0.25  ,  0.25  ],
           [ 0.0596, -0.0596]])
    """

    kind = "softmax"
    classifies = True
    _pass = passes.SOFTMAX
    options = ("label_smoothing",)

    def __init__(self, label_smoothing=0.0):
        super().__init__()
        self.label_smoothing = label_smoothing

    @property
    def label_smoothing(self):
        """The share of each target that all classes have alike."""
        return self.kind_number

    @label_smoothing.setter
    def label_smoothing(self, value):
        self.kind_number = checks.number(type(self).__name__, "label_smoothing", value, 0, 1)

    def config(self):
        return super().config() if self.label_smoothing else {}

    def targets(self, who, t, shape, dtype):
        return checks.class_targets(who, t, shape, dtype, one_sample=shape[0] == 1)

    def _shares(self, t, like):
        """Targets as the kernels take them: classes, or rows of shares, smoothed."""
        smoothing, n = like.dtype.type(self.label_smoothing), like.shape[1]
        if not smoothing:
            return t
        shares = np.full(like.shape, smoothing / n, like.dtype)
        if t.ndim == 2:
            return shares + (1 - smoothing) * t
        shares[np.arange(len(t)), t] += 1 - smoothing
        return shares

    def _prepare(self, x, t):
        who = type(self).__name__
        x = checks.floats(who, "x", x)
        shape = x.shape
        if len(shape) == 1:
            x = x.reshape(1, -1)
        if x.ndim != 2 or x.shape[1] == 0:
            raise ValueError(f"{who} expects x of shape (n_samples, n_classes); got {shape}.")
        t = checks.class_targets(who, t, x.shape, x.dtype, one_sample=len(shape) == 1)
        return x, t, shape

    def _value(self, x, t):
        y, t = np.empty(x.shape, x.dtype), self._shares(t, x)
        if t.ndim == 1:
            total = kernels().softmax_cross_entropy_forward(x, t, y)
        else:
            total = kernels().soft_cross_entropy_forward(x, t, y)
        return _mean(total, len(x)), y

    def accuracy(self, x, t):
        x, t, _ = self._prepare(x, t)
        if t.ndim == 2:
            t = t.argmax(axis=1)
        return self._share(x.argmax(axis=1) == t)

    def probabilities(self, x):
        return softmax(x)

    def _gradient(self, y, t, dout):
        if y.ndim == 1:
            y = y[np.newaxis]
        dx, t = np.empty(y.shape, y.dtype), self._shares(t, y)
        scale = _mean(dout, len(y))
        if t.ndim == 1:
            kernels().softmax_cross_entropy_backward(y, t, scale, dx)
        else:
            kernels().soft_cross_entropy_backward(y, t, scale, dx)
        return dx


#: By the names of `from_config` and the command line.
LOSSES: dict[str, type[Loss]] = {"softmax_cross_entropy": SoftmaxWithLoss}
#: By the names of their rows.
_ROW_LOSSES: dict[str, type[Loss]] = {}


# --- losses of parts ------------------------------------------------------------------------


def _columns(parts, x, *others):
    """Of each part (loss, number, factor), and its columns of some arrays, contiguous."""
    begin = 0
    for kind, number, width, factor in parts:
        some = slice(begin, begin + width)
        yield kind, number, factor, some, [np.ascontiguousarray(array[:, some]) for array in (x, *others)]
        begin += width


def _part_of(kind, number, pair, scale):
    """The sum of a part's losses, and their gradient by x times scale."""
    x, t = pair
    if kind == "gaussian":
        values, slopes = gaussian(x, t, number)
        return values.sum(), (scale * slopes).astype(x.dtype)
    loss = SoftmaxWithLoss(number) if kind == "softmax" else _ROW_LOSSES[kind](*[number] * bool(ROWS[kind].numbers))
    n = len(x) if kind == "softmax" else x.size
    value, y = loss._value(x, t)
    return n * value, loss._gradient(y, t, n * scale)


def _value_of(parts, x, t):
    """The mean over the rows of the parts' sums, times their factors."""
    found = _columns(parts, x, t)
    total = sum(factor * _part_of(kind, number, pair, 1.0)[0] for kind, number, factor, _, pair in found)
    return float(_mean(total, len(x)))


def _gradient_of(parts, x, t, dout):
    dx = np.empty_like(x)
    for kind, number, factor, some, pair in _columns(parts, x, t):
        dx[:, some] = _part_of(kind, number, pair, _mean(dout, len(x)) * factor)[1]
    return dx


def _quantiles(who, name, given):
    """One quantile, or a tuple of several in the order of their size."""
    if isinstance(given, str) or not np.iterable(given):
        return checks.number(who, name, given, least=0, most=1)
    several = tuple(checks.number(who, name, one, least=0, most=1) for one in given)
    if not several or sorted(set(several)) != list(several):
        raise ValueError(f"{who} expects several quantiles in the order of their size; got {checks.shown(given)}.")
    return several


class _Choosing(checks.Checked):
    """An option by which a loss becomes one of parts."""

    def __set__(self, held, value):
        super().__set__(held, value)
        held._choose_pass()


class _ElementwiseLoss(Loss):
    """A row of `operations.losses`, averaged over all elements.

    With `output_weights` of the targets' columns the mean over each row is a weighted one.
    """

    row: Row
    options: tuple[str, ...] = ("output_weights",)
    #: How many outputs each column of the targets has.
    _per_target = 1

    def __init__(self, *, output_weights=None):
        super().__init__()
        self.output_weights = output_weights

    @property
    def output_weights(self):
        """The weight of each column of the targets, or None."""
        return vars(self).get("_output_weights")

    @output_weights.setter
    def output_weights(self, given):
        vars(self)["_output_weights"] = checks.output_weights(type(self).__name__, "output_weights", given)
        self._choose_pass()

    def _choose_pass(self):
        """The compiled call is for losses of one part."""
        if self._is_parted():
            vars(self)["_pass"] = None
        else:
            vars(self).pop("_pass", None)

    def _is_parted(self):
        return self.output_weights is not None

    def _of_target(self):
        """(loss, number, width, share) of each part that the loss of a target's outputs is made of."""
        return [(self.kind, self.kind_number, 1, 1.0)]

    def parts(self, n_out):
        if not self._is_parted():
            return None
        who, n, weights = type(self).__name__, self._per_target, self.output_weights
        if n_out % n:
            raise ValueError(f"{who} expects predictions with {n} outputs for each column of t; got {n_out}.")
        weights = [1.0] * (n_out // n) if weights is None else weights
        if len(weights) * n != n_out:
            raise ValueError(
                f"{who} expects predictions with {checks.plural(len(weights) * n, 'output')}, for "
                f"{checks.plural(len(weights), 'weight')} in output_weights; got {n_out}."
            )
        total = sum(weights)
        of_each = [(*part, share * w / total) for w in weights for *part, share in self._of_target()]
        merged = []  # where the next one is alike, both are one part
        for (kind, number, width, factor), alike in groupby(of_each):
            merged.append((kind, number, width * len(list(alike)), factor))
        return tuple(merged)

    def __init_subclass__(cls, row=None, name=None, **keywords):
        super().__init_subclass__(**keywords)
        if row:
            cls.row, cls.kind = ROWS[row], row
            _ROW_LOSSES[row] = cls
            # Targets are looked at in the pass, or as they are numbers.
            cls._pass = cls.row.kind if cls.row.targets in ("numbers", "shares") else None
        if name:
            LOSSES[name] = cls

    def _numbers(self):
        return (self.kind_number,) if self.row.numbers else ()

    def _prepare(self, x, t):
        x = checks.floats(type(self).__name__, "x", x)
        shape = x.shape
        if self._is_parted():
            x, t = _as_rows(type(self).__name__, x, t)
        return x, self.targets_like(type(self).__name__, t, x), shape

    def targets(self, who, t, shape, dtype):
        t = checks.numbers(who, "t", t)
        if shape[0] == 1 and t.shape == shape[1:]:
            t = t.reshape(shape)
        return self.targets_like(who, t, np.empty(shape, dtype))

    def targets_like(self, who, t, like):
        """Targets of an array's shape and dtype, checked."""
        n = self._per_target
        if n > 1:
            t = _of_targets(who, t, like, n)
        return np.repeat(self._checked(who, t, like[:, ::n]), n, axis=1) if n > 1 else self._checked(who, t, like)

    def evaluate_taken(self, x, t):
        return _value_of(self.parts(x.shape[1]), x, t) if self._is_parted() else self.evaluate(x, t)

    def _checked(self, who, t, like):
        t = checks.values_like(who, t, like)
        if self.row.targets != "numbers":
            holds, said = TARGETS[self.row.targets]
            wrong = t[~holds(t)]
            if wrong.size:
                raise ValueError(f"{who} expects t {said}; got {wrong.flat[0]:g}.")
        return t

    def _value(self, x, t):
        if self._is_parted():
            return _value_of(self.parts(x.shape[1]), x, t), x
        y = np.empty(x.shape, x.dtype) if self.row.kept else None
        total = kernels().loss_forward(
            self.row.name, x.reshape(-1), t.reshape(-1), y if y is None else y.reshape(-1), *self._numbers()
        )
        return _mean(total, x.size), x if y is None else y

    def _gradient(self, y, t, dout):
        if self._is_parted():
            y = y.reshape(t.shape)  # of one sample
            return _gradient_of(self.parts(y.shape[1]), y, t, dout)
        dx = np.empty(y.shape, y.dtype)
        scale = _mean(dout, y.size)
        kernels().loss_backward(self.row.name, y.reshape(-1), t.reshape(-1), scale, dx.reshape(-1), *self._numbers())
        return dx


def _as_rows(who, x, t):
    """Predictions (n_samples, n_outputs), and targets: of one sample as rows of one."""
    if x.ndim == 1:
        return x[np.newaxis], np.asarray(t)[np.newaxis] if np.ndim(t) else t
    if x.ndim != 2:
        raise ValueError(f"{who} expects x of shape (n_samples, n_outputs); got {x.shape}.")
    return x, t


def _of_targets(who, t, like, n):
    """Targets of which each has n outputs: (n_samples, n_targets), or (n_samples,) of one."""
    t = checks.numbers(who, "t", t)
    n_rows, n_out = like.shape
    if n_out % n:
        raise ValueError(f"{who} expects predictions with {n} outputs for each column of t; got {n_out}.")
    if n_out == n and t.ndim < 2 and t.size == n_rows:
        t = t.reshape(n_rows, 1)
    if t.shape != (n_rows, n_out // n):
        raise ValueError(
            f"{who} expects t of shape {(n_rows, n_out // n)}, of which each column has {n} of {n_out} outputs; "
            f"got {t.shape}."
        )
    return t


class SigmoidWithLoss(_ElementwiseLoss, row="sigmoid", name="sigmoid_cross_entropy"):
    """Sigmoid and binary cross-entropy: ``mean(max(x, 0) - x t + log(1 + exp(-|x|)))``.

    The mean is over all elements; targets lie between 0 and 1 and have the logits' shape.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in nats.
    y, t : numpy.ndarray
        The last forward's sigmoid and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape or outside of [0, 1].  RuntimeError from
        backward before forward.

    References
    ----------
    Saito, Deep Learning from Scratch 2 (2018), section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> loss = SigmoidWithLoss()
    >>> round(loss.forward(np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]])), 4)
    0.41
    >>> loss.backward().round(4)
    array([[ 0.25  ],
           [-0.0596]])
    """

    classifies = True

    def _checked(self, who, t, like):
        return checks.binary_targets(who, t, like)

    def accuracy(self, x, t):
        x, t, _ = self._prepare(x, t)
        return self._share((x > 0) == (t > 0.5))

    def probabilities(self, x):
        y = np.empty(x.shape, x.dtype)
        kernels().activation_forward("sigmoid", x.reshape(-1), y.reshape(-1))
        return y


class MeanSquaredError(_ElementwiseLoss, row="squared", name="squared_error"):
    """Squared error: ``mean((x - t)^2)`` over all elements.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in the squared unit of x.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape: an (n,) target against an (n, 1) output is
        refused, where broadcasting would average n x n differences.  RuntimeError from
        backward before forward.

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning (2006), section 5.2, with the mean in
    place of half the sum.

    Examples
    --------
    >>> import numpy as np
    >>> loss = MeanSquaredError()
    >>> loss.forward(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    2.0
    >>> loss.backward()
    array([0., 2.])
    """


class MeanAbsoluteError(_ElementwiseLoss, row="absolute", name="absolute_error"):
    """Absolute error: ``mean(|x - t|)`` over all elements; its derivative at 0 is taken as 0.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in the unit of x.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape.  RuntimeError from backward before forward.

    References
    ----------
    Boyd & Vandenberghe, Convex Optimization (2004), section 6.1.

    Examples
    --------
    >>> import numpy as np
    >>> loss = MeanAbsoluteError()
    >>> loss.forward(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    1.0
    >>> loss.backward()
    array([0. , 0.5])
    """


class HuberLoss(_ElementwiseLoss, row="huber", name="huber"):
    """Huber's loss: ``mean(d^2 / 2)`` where ``|d| <= delta``, else ``delta (|d| - delta / 2)``.

    The mean is over all elements, d = x - t.

    Parameters
    ----------
    delta : float
        Where the parabola goes over into a line, in the unit of x.
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in the squared unit of x.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        For a delta that is not above 0; from forward, for targets of another shape.
        RuntimeError from backward before forward.

    References
    ----------
    Huber, Robust estimation of a location parameter (1964).

    Examples
    --------
    >>> import numpy as np
    >>> loss = HuberLoss(delta=1.0)
    >>> loss.forward(np.array([1.0, 3.0]), np.array([1.0, 0.0]))
    1.25
    >>> loss.backward()
    array([0. , 0.5])
    """

    options = ("delta", "output_weights")
    delta = checks.Checked(checks.positive)

    def __init__(self, delta=1.0, *, output_weights=None):
        super().__init__(output_weights=output_weights)
        self.delta = delta

    @property
    def kind_number(self):  # type: ignore[override]
        return self.delta


class QuantileLoss(_ElementwiseLoss, row="quantile", name="quantile"):
    """Quantile, or pinball, loss: ``mean(max(quantile (t - x), (1 - quantile) (x - t)))``.

    The predictions that make it least are that quantile of the targets.  The mean is over all
    elements; the derivative where x = t is taken as 0.

    Parameters
    ----------
    quantile : float or sequence of float
        Between 0 and 1.  Several are for one network with an output for each: the first outputs are
        the quantiles of the first column of the targets.  ``np.sort(net.predict(x), axis=1)``
        has those of one column without crossings.
    quantiles : sequence of float or None
        Another name of `quantile`.
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in the unit of x.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape; of several quantiles each target is there
        as often.

    Raises
    ------
    ValueError, TypeError
        For a quantile out of range; from forward, for targets of another shape.
        RuntimeError from backward before forward.

    References
    ----------
    Koenker & Bassett, Regression quantiles (1978).

    Examples
    --------
    >>> import numpy as np
    >>> loss = QuantileLoss(0.9)
    >>> round(loss.forward(np.array([1.0, 3.0]), np.array([2.0, 1.0])), 4)
    0.55
    >>> loss.backward()
    array([-0.45,  0.05])
    >>> several = QuantileLoss(quantiles=(0.1, 0.5, 0.9))
    >>> round(several.forward(np.array([[1.0, 2.0, 3.0]]), np.array([2.0])), 4)
    0.0667
    """

    options = ("quantile", "output_weights")
    quantile = _Choosing(_quantiles)

    def __init__(self, quantile=0.5, *, quantiles=None, output_weights=None):
        if quantiles is not None and quantile != 0.5:
            raise TypeError("QuantileLoss expects quantile or quantiles, which mean the same; got both.")
        self.quantile = quantile if quantiles is None else quantiles
        super().__init__(output_weights=output_weights)

    @property
    def kind_number(self):  # type: ignore[override]
        return self.quantile

    @property
    def _per_target(self):  # type: ignore[override]
        return len(self.quantile) if isinstance(self.quantile, tuple) else 1

    def _is_parted(self):
        return isinstance(self.quantile, tuple) or super()._is_parted()

    def _of_target(self):
        several = self.quantile if isinstance(self.quantile, tuple) else (self.quantile,)
        return [(self.kind, one, 1, 1 / len(several)) for one in several]


class GaussianLoss(_ElementwiseLoss, name="gaussian"):
    """Gaussian negative log-likelihood: ``mean((log v + (m - t)^2 / v) / 2)``, v the variance.

    A network has two outputs for each column of the targets, one beside the other: the mean m and the
    logarithm of the variance, v = exp(x) + eps; ``net.predict(x)[:, ::2]`` are the means, and
    ``np.exp(0.5 * net.predict(x)[:, 1::2])`` the standard deviations.  The mean is over the elements
    of the targets; the constant log(2 pi) / 2 is left out, as PyTorch does.

    Parameters
    ----------
    eps : float
        Above 0: what is added to the variances, in the squared unit of the targets.
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in nats.
    y, t : numpy.ndarray
        The last predictions, and the targets, of which each is there twice.

    Raises
    ------
    ValueError, TypeError
        For an eps that is not above 0; from forward, for an odd number of outputs, and targets of
        another shape than (n_samples, n_outputs / 2), or (n_samples,) of one.  RuntimeError from
        backward before forward.

    References
    ----------
    Nix & Weigend, Estimating the mean and variance of the target probability distribution (1994).

    Examples
    --------
    >>> import numpy as np
    >>> loss = GaussianLoss()
    >>> round(loss.forward(np.array([[1.0, 0.0], [2.0, np.log(4.0)]]), np.array([2.0, 2.0])), 3)
    0.597
    >>> np.abs(loss.backward().round(3))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """

    kind = "gaussian"
    row = ROWS["squared"]  # whose targets are numbers, too
    options = ("eps", "output_weights")
    eps = checks.Checked(checks.positive)
    _per_target = 2

    def __init__(self, eps=1e-6, *, output_weights=None):
        super().__init__(output_weights=output_weights)
        self.eps = eps

    @property
    def kind_number(self):  # type: ignore[override]
        return self.eps

    def _is_parted(self):
        return True

    def _of_target(self):
        return [(self.kind, self.eps, 2, 1.0)]


class PoissonLoss(_ElementwiseLoss, row="poisson", name="poisson"):
    """Half the Poisson deviance: ``mean(t log(t / y) - t + y)``, ``y = exp(x)``.

    The predictions x are logarithms of rates y, the targets counts or others of at least 0; 0 log 0
    is 0.  The mean is over all elements.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss.
    y, t : numpy.ndarray
        The last rates and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape or below 0.  RuntimeError from backward before
        forward.

    References
    ----------
    McCullagh & Nelder, Generalized linear models (1989), section 2.3.

    Examples
    --------
    >>> import numpy as np
    >>> loss = PoissonLoss()
    >>> loss.forward(np.array([0.0, 0.0]), np.array([0.0, 1.0]))
    0.5
    >>> loss.backward()
    array([0.5, 0. ])
    """


class LogCoshLoss(_ElementwiseLoss, row="log_cosh", name="log_cosh"):
    """The logarithm of the difference's hyperbolic cosine: ``mean(log(cosh(x - t)))``.

    Half the square near 0 and a line far from it, as Huber's, but smooth.  The mean is over all
    elements.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape.  RuntimeError from backward before forward.

    References
    ----------
    Green, Iteratively reweighted least squares for maximum likelihood estimation (1984).

    Examples
    --------
    >>> import numpy as np
    >>> loss = LogCoshLoss()
    >>> round(loss.forward(np.array([1.0, 2.0]), np.array([1.0, 0.0])), 4)
    0.6625
    >>> loss.backward().round(4)
    array([0.   , 0.482])
    """


class HingeLoss(_ElementwiseLoss, row="hinge", name="hinge"):
    """Hinge loss: ``mean(max(1 - t x, 0))``, of targets -1 and 1.

    The mean is over all elements; the derivative where t x = 1 is taken as 0.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape, or other than -1 and 1.  RuntimeError from
        backward before forward.

    References
    ----------
    Cortes & Vapnik, Support-vector networks (1995).

    Examples
    --------
    >>> import numpy as np
    >>> loss = HingeLoss()
    >>> loss.forward(np.array([0.5, 2.0]), np.array([-1.0, 1.0]))
    0.75
    >>> loss.backward()
    array([0.5, 0. ])
    """


class FocalLoss(_ElementwiseLoss, row="focal", name="focal"):
    """Focal loss: ``mean(-(1 - y)^gamma log(y))``, y the sigmoid at the target's side.

    Binary cross-entropy in which what is classified well counts less: y = sigmoid(x) where t is 1,
    and 1 - sigmoid(x) where it is 0; gamma 0 is `SigmoidWithLoss`.  The mean is over all elements.

    Parameters
    ----------
    gamma : float
        Of at least 0.
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss.
    y, t : numpy.ndarray
        The last logits and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        For a gamma below 0; from forward, for targets of another shape, or other than 0 and 1.
        RuntimeError from backward before forward.

    References
    ----------
    Lin et al., Focal loss for dense object detection (2017).

    Examples
    --------
    >>> import numpy as np
    >>> loss = FocalLoss(gamma=2.0)
    >>> round(loss.forward(np.array([0.0, 2.0]), np.array([0.0, 1.0])), 4)
    0.0875
    >>> loss.backward().round(4)
    array([ 0.1491, -0.0024])
    """

    options = ("gamma", "output_weights")
    classifies = True
    gamma = checks.Checked(checks.number, least=0)

    def __init__(self, gamma=2.0, *, output_weights=None):
        super().__init__(output_weights=output_weights)
        self.gamma = gamma

    @property
    def kind_number(self):  # type: ignore[override]
        return self.gamma

    accuracy = SigmoidWithLoss.accuracy
    probabilities = SigmoidWithLoss.probabilities


class MultiTaskLoss(Loss):
    """Several losses, each of some outputs: ``sum_k weights[k] loss_k``.

    Parameters
    ----------
    parts : sequence of (loss, n_outputs)
        Each a loss, its class or its name, and how many of the network's outputs are its own, in
        their order.
    weights : sequence of float or None
        The factor of each; None is 1.

    Attributes
    ----------
    losses : tuple of Loss
    widths : tuple of int
        Outputs of each.
    weights : tuple of float
    loss : float
        The last forward's loss.
    y, t : numpy.ndarray
        The last predictions, and the targets, of their shape.

    Raises
    ------
    ValueError, TypeError
        For parts that are no such pairs; from forward, for targets that do not fit.  RuntimeError
        from backward before forward.

    Notes
    -----
    Targets are a tuple of each part's, as it takes them, or a structured array of as many fields;
    or an array of columns, in which a softmax's part has one column of class indices.  `split` gives
    each part's columns of predictions, `each` its loss.

    References
    ----------
    Caruana, Multitask learning (1997).

    Examples
    --------
    >>> import numpy as np
    >>> loss = MultiTaskLoss([("softmax_cross_entropy", 2), ("squared_error", 1)], weights=[1, 0.5])
    >>> x = np.array([[0.0, 0.0, 3.0], [0.0, 2.0, 1.0]])
    >>> t = np.array([0, 1]), np.array([1.0, 1.0])
    >>> round(loss.forward(x, t), 4)
    1.41
    >>> loss.backward().round(4)
    array([[-0.25  ,  0.25  ,  1.    ],
           [ 0.0596, -0.0596,  0.    ]])
    >>> [round(float(value), 4) for value in loss.each(x, t)]
    [0.41, 2.0]
    >>> loss.forward(x, np.array([[0, 1.0], [1, 1.0]])) == loss.forward(x, t)
    True
    """

    kind = "parts"

    def __init__(self, parts, weights=None):
        super().__init__()
        who = "MultiTaskLoss"
        parts = checks.sequence(who, "parts", parts, "pairs (loss, number of outputs)")
        pairs = [_pair_of(who, place, part) for place, part in enumerate(parts)]
        if not pairs:
            raise ValueError(f"{who} expects at least one part; got none.")
        self.losses, self.widths = map(tuple, zip(*pairs, strict=True))
        weights = checks.output_weights(who, "weights", [1.0] * len(pairs) if weights is None else weights)
        if len(weights) != len(pairs):
            raise ValueError(f"{who} expects a weight for each of {len(pairs)} parts; got {len(weights)}.")
        self.weights = weights
        self.parts(sum(self.widths))  # whose widths may not fit

    def config(self):
        parts = [
            [{"type": type(loss).__name__, **loss.config()}, width]
            for loss, width in zip(self.losses, self.widths, strict=True)
        ]
        return {"parts": parts, "weights": list(self.weights)}

    def __repr__(self):
        parts = ", ".join(map(str, zip(self.losses, self.widths, strict=True)))
        return f"MultiTaskLoss([{parts}], weights={list(self.weights)})"

    def follow(self):
        for loss in self.losses:
            loss.follow()

    def parts(self, n_out):
        if n_out != sum(self.widths):
            raise ValueError(
                f"MultiTaskLoss expects predictions with {sum(self.widths)} outputs, those of its parts "
                f"{self.widths} together; got {n_out}."
            )
        found = []
        for loss, width, weight in zip(self.losses, self.widths, self.weights, strict=True):
            within = loss.parts(width)
            if within is None:
                mean = 1.0 if loss.kind == "softmax" else 1.0 / width
                within = [(loss.kind, loss.kind_number, width, mean)]
            found += [(*part, weight * factor) for *part, factor in within]
        return tuple(found)

    def split(self, x):
        """The columns of each part, of predictions (n_samples, n_outputs), as views."""
        x = checks.floats("MultiTaskLoss", "x", x)
        if not x.ndim:
            raise ValueError("MultiTaskLoss expects x of shape (n_samples, n_outputs); got ().")
        self.parts(x.shape[-1])
        return tuple(np.split(x, np.cumsum(self.widths[:-1]), axis=-1))

    def each(self, x, t):
        """The mean loss of each part, without its weight."""
        x, t, _ = self._prepare(x, t)
        pairs = zip(self.split(x), self.split(t), strict=True)
        return [loss.evaluate_taken(*pair) for loss, pair in zip(self.losses, pairs, strict=True)]

    def targets(self, who, t, shape, dtype):
        self.parts(shape[1])
        out, begin = np.empty(shape, dtype), 0
        for place, (loss, width, given) in enumerate(zip(self.losses, self.widths, self._given(who, t), strict=True)):
            found = loss.targets(f"{who} of part {place}", given, (shape[0], width), dtype)
            if found.ndim == 1:
                found = found[:, np.newaxis] == np.arange(width)
            out[:, begin : begin + width] = found
            begin += width
        return out

    def _given(self, who, t):
        """Each part's targets."""
        n = len(self.losses)
        if isinstance(t, np.ndarray) and t.dtype.names:
            t = tuple(t[name] for name in t.dtype.names)
        if isinstance(t, tuple):
            if len(t) != n:
                raise ValueError(f"{who} expects t as a tuple of the targets of {n} parts; got {len(t)}.")
            return t
        t = checks.numbers(who, "t", t)
        softmax = [loss.kind == "softmax" for loss in self.losses]
        widths = [
            1 if one else width // getattr(loss, "_per_target", 1)
            for one, loss, width in zip(softmax, self.losses, self.widths, strict=True)
        ]
        if t.ndim == 1 and len(t) == sum(widths) and n > 1:
            t = t[np.newaxis]  # one sample
        if t.ndim != 2 or t.shape[1] != sum(widths):
            raise ValueError(
                f"{who} expects t as a tuple of each part's targets, or with {sum(widths)} columns, {widths} of its "
                f"parts; got an array of shape {t.shape}."
            )
        columns = np.split(t, np.cumsum(widths[:-1]), axis=1)
        return [_indices(who, some[:, 0]) if one else some for one, some in zip(softmax, columns, strict=True)]

    def _prepare(self, x, t):
        x = checks.floats("MultiTaskLoss", "x", x)
        rows = x[np.newaxis] if x.ndim == 1 else x
        if rows.ndim != 2:
            raise ValueError(f"MultiTaskLoss expects x of shape (n_samples, n_outputs); got {x.shape}.")
        return rows, self.targets("MultiTaskLoss", t, rows.shape, x.dtype), x.shape

    def evaluate_taken(self, x, t):
        return _value_of(self.parts(x.shape[1]), x, t)

    def _value(self, x, t):
        return self.evaluate_taken(x, t), x

    def _gradient(self, y, t, dout):
        y = y.reshape(t.shape)
        return _gradient_of(self.parts(y.shape[1]), y, t, dout)


def _pair_of(who, place, part):
    """A part as a loss, and its number of outputs."""
    pair = checks.sequence(who, f"parts[{place}]", part, "a pair (loss, number of outputs)")
    if len(pair) != 2:
        raise ValueError(f"{who} expects parts[{place}] as a pair (loss, number of outputs); got {checks.shown(part)}.")
    loss, width = pair
    if isinstance(loss, dict):  # of a file
        options = dict(loss)
        loss = {each.__name__: each for each in LOSSES.values()}[options.pop("type")](**options)
    loss = loss_of(who, loss)
    if not isinstance(loss, Loss) or isinstance(loss, MultiTaskLoss) or type(loss).__module__ != __name__:
        raise TypeError(f"{who} expects losses of the library's own, one within each part; got {checks.shown(loss)}.")
    return loss, checks.integer(who, f"the number of outputs of parts[{place}]", width, least=1)


def _indices(who, column):
    """A column of numbers as class indices."""
    if column.dtype.kind == "f":
        whole = np.isfinite(column) & (column == np.rint(column))
        if not whole.all():
            raise ValueError(f"{who} expects class indices in the softmax's column of t; got {column[~whole][0]:g}.")
        return column.astype(np.int64)
    return column


def loss_of(who, loss):
    """A loss as an object: given as one, as its class, or by name; a loss of `fastbp.nn` as ours."""
    if isinstance(loss, str):
        loss = LOSSES[checks.choice(who, "loss", loss, tuple(LOSSES))]
    if isinstance(loss, type):
        loss = loss()
    return loss.as_book() if hasattr(loss, "as_book") else loss


@operation
def softmax(x, dim=None, dtype=None, *, axis=None):
    """Softmax of each row: ``exp(x[r, j]) / sum_k exp(x[r, k])``.

    Parameters
    ----------
    x : array_like or Tensor
        Shape (n_samples, n_classes) or (n_classes,); a Tensor may have any.
    dim, dtype : int, dtype
        Of a Tensor only: the dimension that sums to 1, and the dtype of the result.
    axis : int
        Another name of `dim`.

    Returns
    -------
    numpy.ndarray
        Of x's shape; each row sums to 1.

    Raises
    ------
    ValueError
        For another number of dimensions, or no classes.
    TypeError
        For both dim and axis, or one of them or a dtype beside an array.

    Examples
    --------
    >>> softmax([[0.0, 0.0], [1000.0, 0.0]])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    if hasattr(x, "requires_grad"):
        from fastbp import autograd

        if dim is not None and axis is not None:
            raise TypeError("softmax expects dim or axis, which mean the same; got both.")
        return autograd.softmax(x, axis if dim is None else dim, dtype)
    if dim is not None or axis is not None or dtype is not None:
        raise TypeError("softmax expects dim, axis and dtype beside a Tensor only; got an array, whose rows sum to 1.")
    x = checks.floats("softmax", "x", x)
    if x.ndim not in (1, 2) or x.shape[-1] == 0:
        raise ValueError(f"softmax expects x of shape (n_samples, n_classes); got {x.shape}.")
    y = np.empty(x.shape, x.dtype)
    n_classes = x.shape[-1]
    kernels().softmax_forward(x.reshape(-1, n_classes), y.reshape(-1, n_classes))
    return y


def cross_entropy_error(y, t):
    """Cross-entropy of probabilities: ``-mean_r sum_j t[r, j] log y[r, j]``.

    `SoftmaxWithLoss` computes softmax and this in one, exactly; here a probability of 0 at the
    right class gives inf.

    Parameters
    ----------
    y : array_like
        Probabilities, (n_samples, n_classes) or (n_classes,).
    t : array_like
        Class indices (n_samples,), or one-hot or soft rows of y's shape.

    Returns
    -------
    float
        In nats, averaged over the rows.

    Raises
    ------
    ValueError, TypeError
        For targets that do not fit, and numbers in y that are below 0 or above 1.

    Examples
    --------
    >>> round(cross_entropy_error([[0.5, 0.5], [0.2, 0.8]], [0, 1]), 4)
    0.4581
    """
    who = "cross_entropy_error"
    y = checks.floats(who, "y", y)
    one_sample = y.ndim == 1
    rows = y[np.newaxis] if one_sample else y
    if rows.ndim != 2:
        raise ValueError(f"{who} expects y of shape (n_samples, n_classes); got {y.shape}.")
    if y.size and (y.min() < 0 or y.max() > 1 + checks.ROW_SUM_TOLERANCE):
        raise ValueError(
            f"{who} expects y of probabilities, as softmax(x) gives; got numbers from {y.min():g} to {y.max():g}."
        )
    t = checks.class_targets(who, t, rows.shape, y.dtype, one_sample)
    with np.errstate(divide="ignore"):
        log_y = np.log(rows)
    if t.ndim == 1:
        return float(-log_y[np.arange(len(t)), t].mean(dtype=np.float64))
    return float(-(t * np.where(t == 0, 0, log_y)).sum(dtype=np.float64) / len(t))
