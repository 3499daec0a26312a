"""`diagnose`: everything that is looked at, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import TensorBase
from fastbp.diagnosis import course, data, signals, structure
from fastbp.diagnosis.passes import pass_through
from fastbp.diagnosis.report import Diagnosis
from fastbp.diagnosis.subjects import subject_of

if TYPE_CHECKING:
    from fastbp._typing import ArrayLike
    from fastbp.autograd import Tensor
    from fastbp.losses import Loss
    from fastbp.modules import Module
    from fastbp.optim import Optimizer

__all__ = ["diagnose"]

#: Rows that go through the network: enough for shares to a few percent, and a moment's work.
ROWS = 512


def diagnose(
    model: Any,
    x: ArrayLike | Tensor,
    t: ArrayLike | Tensor | None = None,
    loss: Loss | Module | Callable[..., Any] | str | None = None,
    *,
    optimizer: Optimizer | None = None,
    history: Any = None,
    batch_size: int | None = None,
    params: Mapping[Any, Any] | Sequence[Any] | None = None,
) -> Diagnosis:
    r"""Why a network does not learn: what is wrong with its data, layers, gradients and training.

    It looks at rows and targets, sends at most 512 of the rows forward and back, and reads what is
    known of the training.  The model is as before: weights, gradients, running statistics, modes, hooks
    and streams of random numbers.

    Parameters
    ----------
    model : Sequential, Module, estimator or object
        A `Sequential`; a module of `fastbp.nn`, also of a class of one's own; a fitted `MLPClassifier` or
        `MLPRegressor`; or an object with `layers`, in a list or by name, and `last_layer`, as the book's
        networks.
    x : array_like or Tensor
        (n_samples, n_features), the rows that it is trained on, as it gets them.
    t : array_like, Tensor or None
        Their targets, as the loss takes them.  Without them only the layers are looked at.
    loss : Loss, Module, callable, str or None
        What the model is trained by, where it does not hold it itself: a loss of `fastbp.losses` or its
        name, one of `fastbp.nn`, or a function of two Tensors.
    optimizer : Optimizer or None
        What it is trained by: its rate beside the sizes of weights and gradients, and the tensors that it
        holds beside those of the model.
    history : History, sequence of float or None
        The training's losses, one per epoch or step; that of the last `fit` by default.
    batch_size : int or None
        Rows of a step.
    params : mapping, sequence or None
        The arrays or Tensors that a loop of one's own changes, which should be the model's.

    Returns
    -------
    Diagnosis
        True where something was found; its findings one by one, causes first.

    Raises
    ------
    TypeError
        For another model or loss.
    ValueError
        For rows that the model does not take, no rows, or another number of targets.

    Notes
    -----
    A network in good health gives no finding, before training and after it.  The thresholds, with their
    reasons, stand beside the code and in docs/diagnosis.md; among them

    - a unit of a rectifier is dead where it gives 0 for all rows, which of a layer of n units a share above
      :math:`1/2 + 3/(2\sqrt{n})` should not [1]_ [2]_;
    - a sigmoid is saturated where its slope is below a twentieth of its greatest [3]_;
    - gradients vanish or explode where their norm by the layers' outputs,
      :math:`\|\partial L/\partial z_l\|`, differs a thousandfold between two of them [3]_ [4]_;
    - a step should change weights by about a thousandth, :math:`\eta \|dW\| / \|W\| \approx 10^{-3}` [5]_;
    - a loss is that of guessing where one constant answer reaches it: the entropy of the classes, the
      variance of the targets.

    References
    ----------
    .. [1] He et al., Delving deep into rectifiers (2015), section 2.2.
    .. [2] Lu et al., Dying ReLU and initialization (2019).
    .. [3] Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks (2010).
    .. [4] Bengio, Simard & Frasconi, Learning long-term dependencies with gradient descent is difficult (1994).
    .. [5] Karpathy, CS231n: Neural networks 3, ratio of weights and updates.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.layers import Affine, Relu, SoftmaxWithLoss
    >>> class Book:
    ...     layers = [Affine(np.zeros((4, 8)), np.zeros(8)), Relu(), Affine(np.ones((8, 3)), np.zeros(3))]
    ...     last_layer = SoftmaxWithLoss()
    >>> x, t = np.random.default_rng(0).standard_normal((60, 4)), np.arange(60) % 3
    >>> found = diagnose(Book(), x, t)
    >>> found.kinds[0], found[0].layer
    ('symmetric_units', 0)
    """
    who = "diagnose"
    subject = subject_of(who, model, loss, history)
    if optimizer is not None and not (hasattr(optimizer, "param_groups") or hasattr(optimizer, "lr")):
        raise TypeError(f"{who} expects optimizer as an optimiser, as SGD(lr=0.1); got {checks.shown(optimizer)}.")
    if batch_size is not None:
        batch_size = checks.integer(who, "batch_size", batch_size, 1)
    rows, x_given = _rows(who, x)
    targets = data.targets_of(who, subject, t, len(rows))
    findings = [*structure.findings(subject), *data.of_rows(subject, x_given, rows)]
    findings += data.of_targets(subject, targets, rows)
    findings += course.of_parameters(subject, optimizer, params)
    chosen = _chosen(rows, targets)
    found = None
    if len(chosen):
        x_here = rows[chosen]
        if subject.scale is not None:
            x_here = (x_here - subject.scale[0]) / subject.scale[1]
        t_here = None if targets is None else targets[chosen]
        found = pass_through(subject, x_here, t_here)
        findings += data.refused(subject, found, t_here, findings)
        findings += structure.of_output(subject, found, t_here)
        with np.errstate(all="ignore"):
            findings += signals.findings(subject, found)
            findings += course.findings(subject, found, t_here, optimizer, batch_size, findings)
    n = checks.plural(len(rows), "row")
    layers = checks.plural(len(subject.parts), "layer")
    return Diagnosis(data.without_repeats(findings), f"{layers} and {n}")


def _rows(who, x):
    """Rows as an array, two-dimensional where they were one row, and as they came."""
    x = x.array if isinstance(x, TensorBase) else x
    if hasattr(x, "tocsr"):
        x = x.tocsr()
        places = np.linspace(0, x.shape[0] - 1, min(ROWS, x.shape[0])).astype(int)
        if len(places) < x.shape[0]:
            raise TypeError(
                f"{who} expects dense rows, or at most {ROWS} sparse ones; got {x.shape[0]}: take x[:{ROWS}]."
            )
        x = x.toarray()
    given = checks.numbers(who, "x", x)
    if given.ndim == 1:
        given = given[np.newaxis]
    if given.ndim == 0 or not len(given):
        raise ValueError(f"{who} expects at least one row in x; got shape {given.shape}.")
    rows = given if given.dtype.kind in "iub" else checks.floats(who, "x", given)
    return rows, given


def _chosen(rows, targets):
    """The rows that go through the network: evenly spread, finite ones only."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int))
    finite = np.isfinite(rows[places].reshape(len(places), -1)).all(axis=1)
    if targets is not None and targets.dtype.kind == "f":
        finite &= np.isfinite(targets[places].reshape(len(places), -1)).all(axis=1)
    return places[finite]
