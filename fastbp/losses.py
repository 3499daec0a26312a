"""Losses: thin classes over the kernels, with the book's attributes.

Each takes (prediction, target), averages, and gives the gradient of the average.
"""

import numpy as np

from fastbp import checks
from fastbp._kernels import passes
from fastbp._kernels.autograd import TensorBase, node, operation
from fastbp._kernels.changes import note
from fastbp.backend import kernels
from fastbp.operations.losses import LOSSES as ROWS
from fastbp.operations.losses import TARGETS
from fastbp.operations.losses import Loss as Row

__all__ = [
    "FocalLoss",
    "HingeLoss",
    "HuberLoss",
    "LogCoshLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
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
        self.loss = None
        self.y = None
        self.t = None
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
    kind_number = 0.0
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
        return {name: getattr(self, name) for name in self.options}

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


class _ElementwiseLoss(Loss):
    """A row of `operations.losses`, averaged over all elements."""

    row: Row

    def __init_subclass__(cls, row=None, name=None, **keywords):
        super().__init_subclass__(**keywords)
        if row:
            cls.row, cls.kind = ROWS[row], row
            # Targets are looked at in the pass, or as they are numbers.
            cls._pass = cls.row.kind if cls.row.targets in ("numbers", "shares") else None
        if name:
            LOSSES[name] = cls

    def _numbers(self):
        return (self.kind_number,) if self.row.numbers else ()

    def _prepare(self, x, t):
        x = checks.floats(type(self).__name__, "x", x)
        return x, self.targets_like(type(self).__name__, t, x), x.shape

    def targets_like(self, who, t, like):
        """Targets of an array's shape and dtype, checked."""
        t = checks.values_like(who, t, like)
        if self.row.targets != "numbers":
            holds, said = TARGETS[self.row.targets]
            wrong = t[~holds(t)]
            if wrong.size:
                raise ValueError(f"{who} expects t {said}; got {wrong.flat[0]:g}.")
        return t

    def _value(self, x, t):
        y = np.empty(x.shape, x.dtype) if self.row.kept else None
        total = kernels().loss_forward(
            self.row.name, x.reshape(-1), t.reshape(-1), y if y is None else y.reshape(-1), *self._numbers()
        )
        return _mean(total, x.size), x if y is None else y

    def _gradient(self, y, t, dout):
        dx = np.empty(y.shape, y.dtype)
        scale = _mean(dout, y.size)
        kernels().loss_backward(self.row.name, y.reshape(-1), t.reshape(-1), scale, dx.reshape(-1), *self._numbers())
        return dx


class SigmoidWithLoss(_ElementwiseLoss, row="sigmoid", name="sigmoid_cross_entropy"):
    """Sigmoid and binary cross-entropy: ``mean(max(x, 0) - x t + log(1 + exp(-|x|)))``.

    The mean is over all elements; targets lie between 0 and 1 and have the logits' shape.

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

    def targets_like(self, who, t, like):
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

    options = ("delta",)
    delta = checks.Checked(checks.positive)

    def __init__(self, delta=1.0):
        super().__init__()
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
    quantile : float
        Between 0 and 1.

    Attributes
    ----------
    loss : float
        The last forward's loss, in the unit of x.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape.

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
    """

    options = ("quantile",)
    quantile = checks.Checked(checks.number, least=0, most=1)

    def __init__(self, quantile=0.5):
        super().__init__()
        self.quantile = quantile

    @property
    def kind_number(self):  # type: ignore[override]
        return self.quantile


class PoissonLoss(_ElementwiseLoss, row="poisson", name="poisson"):
    """Half the Poisson deviance: ``mean(t log(t / y) - t + y)``, ``y = exp(x)``.

    The predictions x are logarithms of rates y, the targets counts or others of at least 0; 0 log 0
    is 0.  The mean is over all elements.

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

    options = ("gamma",)
    classifies = True
    gamma = checks.Checked(checks.number, least=0)

    def __init__(self, gamma=2.0):
        super().__init__()
        self.gamma = gamma

    @property
    def kind_number(self):  # type: ignore[override]
        return self.gamma

    accuracy = SigmoidWithLoss.accuracy
    probabilities = SigmoidWithLoss.probabilities


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
