"""Losses as modules: the functions of `criteria` with their options kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from fastbp import checks
from fastbp import losses as book
from fastbp.functional import criteria, margins
from fastbp.modules import Module

if TYPE_CHECKING:
    from fastbp.autograd import Tensor

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "TripletMarginLoss",
]


class _Criterion(Module):
    """A loss with its options."""

    _function: Callable
    #: Options that the library's own loss does not have, and what they have to be.
    _defaults: dict = {}
    _reductions: tuple[str, ...] = ()
    #: The library's own loss, or what `fit` expects in place of this one.
    _own: type[book.Loss]
    _refused = ""

    def _take(self, size_average, reduce, reduction, **options):
        super().__init__()
        who = type(self).__name__
        reduction = criteria.reduction_of(who, reduction, size_average, reduce, self._reductions)
        for name, value in options.items():
            if name.endswith("weight"):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)
        self.reduction = reduction
        self._options = tuple(options)

    def as_book(self) -> Any:
        """The library's own loss that the training engine computes in its place.

        Raises
        ------
        TypeError
            Where there is none with these options.
        """
        who = type(self).__name__
        if self._refused:
            raise TypeError(f"Training by fit expects {self._refused.format(who)}")
        own = checks.methods_of_its_own(self, "fastbp.nn")
        if own:
            raise TypeError(
                f"Training by fit expects a loss whose methods are the library's; got {who} with "
                f"{own[0]} of its own: write the loop by hand."
            )
        if self._hooks is not None:
            raise TypeError(
                f"Training by fit expects a loss without forward hooks, which it would not call; "
                f"got one of {who}: remove it, or write the loop by hand."
            )
        for name, default in {**self._defaults, "reduction": "mean"}.items():
            value = getattr(self, name)
            if value is not default and (default is None or value != default):
                raise TypeError(
                    f"Training by fit expects {who} with {name}={default!r}; got {value!r}: "
                    "write the loop by hand, or give fit its own options."
                )
        loss = self._book()
        loss.criterion = self
        return loss

    def _book(self):
        return self._own()


class _Loss(_Criterion):
    """A function of (input, target)."""

    def forward(self, input: Any, target: Any) -> Any:
        """The loss."""
        options = {name: getattr(self, name) for name in self._options}
        return type(self)._function(input, target, reduction=self.reduction, **options)


class CrossEntropyLoss(_Loss):
    """Softmax and cross-entropy, of classes or probabilities.

    Parameters
    ----------
    weight : Tensor, (C,), optional
        Of each class.
    ignore_index : int
        A class that does not count.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> CrossEntropyLoss()(tensor([[0.0, 0.0], [0.0, 2.0]]), tensor([0, 1]))
    tensor(0.4100)
    """

    _function = staticmethod(criteria.cross_entropy)
    _defaults = {"weight": None, "ignore_index": -100}

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: Literal["mean", "sum", "none"] = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self._take(
            size_average, reduce, reduction, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing
        )

    def forward(self, input: Any, target: Any) -> Any:
        """The loss."""
        return criteria.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

    def _book(self):
        if self.ignore_index >= 0:
            raise TypeError(
                "Training by fit expects CrossEntropyLoss that counts all classes; got "
                f"ignore_index={self.ignore_index}: write the loop by hand."
            )
        return book.SoftmaxWithLoss(self.label_smoothing)


class NLLLoss(_Loss):
    """-input at the class, of log-probabilities such as `LogSoftmax` gives.

    Parameters
    ----------
    weight, ignore_index, reduction
        As of `CrossEntropyLoss`.

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> NLLLoss()(tensor([[-1.0, -2.0]]), tensor([1]))
    tensor(2.)
    """

    _function = staticmethod(criteria.nll_loss)
    _refused = "CrossEntropyLoss on logits, in place of NLLLoss on a LogSoftmax; got {}."

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: Any = -100,
        reduce: Any = None,
        reduction: Any = "mean",
    ) -> None:
        self._take(size_average, reduce, reduction, weight=weight, ignore_index=ignore_index)


class BCELoss(_Loss):
    """Binary cross-entropy of probabilities.

    Parameters
    ----------
    weight : Tensor, optional
        Of each element, broadcast.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> BCELoss()(tensor([0.5, 0.9]), tensor([0.0, 1.0]))
    tensor(0.3993)
    """

    _function = staticmethod(criteria.binary_cross_entropy)
    _refused = "BCEWithLogitsLoss on logits, in place of BCELoss on a Sigmoid; got {}."

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: Literal["mean", "sum", "none"] = "mean",
    ) -> None:
        self._take(size_average, reduce, reduction, weight=weight)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of sigmoid(input), without overflow.

    Parameters
    ----------
    weight, pos_weight : Tensor, optional
        Of each element, and of the part ``t log sigmoid(x)``, broadcast.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> BCEWithLogitsLoss()(tensor([0.0, 2.0]), tensor([0.0, 1.0]))
    tensor(0.4100)
    """

    _function = staticmethod(criteria.binary_cross_entropy_with_logits)
    _defaults = {"weight": None, "pos_weight": None}
    _own = book.SigmoidWithLoss

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: Literal["mean", "sum", "none"] = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        self._take(size_average, reduce, reduction, weight=weight, pos_weight=pos_weight)


class _Difference(_Loss):
    """A loss without options."""

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: Any = "mean") -> None:
        self._take(size_average, reduce, reduction)


class MSELoss(_Difference):
    """Squared difference.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> MSELoss()(tensor([1.0, 2.0]), tensor([1.0, 0.0]))
    tensor(2.)
    """

    _function = staticmethod(criteria.mse_loss)
    _own = book.MeanSquaredError


class L1Loss(_Difference):
    """Absolute difference.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> L1Loss()(tensor([1.0, 2.0]), tensor([1.0, 0.0]))
    tensor(1.)
    """

    _function = staticmethod(criteria.l1_loss)
    _own = book.MeanAbsoluteError


class SmoothL1Loss(_Loss):
    """``d^2 / (2 beta)`` where ``|d|`` is below beta, else ``|d| - beta / 2``.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    beta : float

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> SmoothL1Loss()(tensor([0.5, 2.0]), tensor([0.0, 0.0]))
    tensor(0.8125)
    """

    _function = staticmethod(criteria.smooth_l1_loss)
    _defaults = {"beta": 1.0}
    _own = book.HuberLoss

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: Literal["mean", "sum", "none"] = "mean",
        beta: float = 1.0,
    ) -> None:
        beta = checks.number("SmoothL1Loss", "beta", beta, least=0)
        self._take(size_average, reduce, reduction, beta=beta)


class HuberLoss(_Loss):
    """``d^2 / 2`` where ``|d|`` is at most delta, else ``delta (|d| - delta / 2)``.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    delta : float

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> HuberLoss()(tensor([0.5, 2.0]), tensor([0.0, 0.0]))
    tensor(0.8125)
    """

    _function = staticmethod(criteria.huber_loss)

    def __init__(self, reduction: Literal["mean", "sum", "none"] = "mean", delta: float = 1.0) -> None:
        delta = checks.positive("HuberLoss", "delta", delta)
        self._take(None, None, reduction, delta=delta)

    def _book(self):
        return book.HuberLoss(self.delta)


class KLDivLoss(_Loss):
    """The divergence of probabilities from log-probabilities.

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum", "none"}
    log_target : bool
        Whether the target has log-probabilities too.

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> KLDivLoss(reduction="sum")(tensor([0.5, 0.5]).log(), tensor([0.25, 0.75]))
    tensor(0.1308)
    """

    _function = staticmethod(criteria.kl_div)
    _reductions = ("batchmean",)
    _refused = "one of the library's losses, such as CrossEntropyLoss with rows of probabilities; got {}."

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: Literal["mean", "batchmean", "sum", "none"] = "mean",
        log_target: bool = False,
    ) -> None:
        self._take(size_average, reduce, reduction, log_target=checks.flag("KLDivLoss", "log_target", log_target))


class _Margin(_Criterion):
    """A loss that only a loop trains with."""

    _refused = "one of the library's losses that it has, such as MSELoss; got {}: write the loop by hand."


class TripletMarginLoss(_Margin):
    """An anchor is to be nearer to a positive than to a negative, by a margin.

    Parameters
    ----------
    margin, p, eps, swap, reduction
        As of `functional.triplet_margin_loss`.

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> a = tensor([[0.0, 0.0]])
    >>> TripletMarginLoss(margin=0.5)(a, a + 3.0, a + 1.0)
    tensor(3.3284)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: Any = None,
        reduce: Any = None,
        reduction: Any = "mean",
    ) -> None:
        who = "TripletMarginLoss"
        self._take(
            size_average,
            reduce,
            reduction,
            margin=checks.positive(who, "margin", margin),
            p=checks.number(who, "p", p),
            eps=checks.number(who, "eps", eps, least=0),
            swap=checks.flag(who, "swap", swap),
        )

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """The loss."""
        options = self.margin, self.p, self.eps, self.swap
        return margins.triplet_margin_loss(anchor, positive, negative, *options, reduction=self.reduction)


class _Pairs(_Margin):
    """Of two inputs and a target of 1 or -1, with a margin."""

    def __init__(
        self, margin: float = 0.0, size_average: Any = None, reduce: Any = None, reduction: Any = "mean"
    ) -> None:
        margin = checks.number(type(self).__name__, "margin", margin)
        self._take(size_average, reduce, reduction, margin=margin)

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """The loss."""
        return type(self)._function(input1, input2, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_Pairs):
    """Pairs of rows are to point in one direction where the target is 1, else not.

    Parameters
    ----------
    margin, reduction
        As of `functional.cosine_embedding_loss`.

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> CosineEmbeddingLoss()(tensor([[3.0, 4.0]]), tensor([[1.0, 0.0]]), tensor([-1]))
    tensor(0.6000)
    """

    _function = staticmethod(margins.cosine_embedding_loss)


class MarginRankingLoss(_Pairs):
    """The first of two scores is to be the larger where the target is 1, else the second.

    Parameters
    ----------
    margin, reduction
        As of `functional.margin_ranking_loss`.

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> MarginRankingLoss()(tensor([1.0, 3.0]), tensor([2.0, 1.0]), tensor([1.0, 1.0]))
    tensor(0.5000)
    """

    _function = staticmethod(margins.margin_ranking_loss)


class HingeEmbeddingLoss(_Margin, _Loss):
    """A distance is to be small where the target is 1, and above the margin where it is -1.

    Parameters
    ----------
    margin, reduction
        As of `functional.hinge_embedding_loss`.

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> HingeEmbeddingLoss()(tensor([2.0, 0.25]), tensor([1, -1]))
    tensor(1.3750)
    """

    _function = staticmethod(margins.hinge_embedding_loss)

    def __init__(
        self, margin: float = 1.0, size_average: Any = None, reduce: Any = None, reduction: Any = "mean"
    ) -> None:
        margin = checks.number("HingeEmbeddingLoss", "margin", margin)
        self._take(size_average, reduce, reduction, margin=margin)


class GaussianNLLLoss(_Margin):
    """-log p of normal distributions, whose means and variances a network gives.

    Parameters
    ----------
    full, eps, reduction
        As of `functional.gaussian_nll_loss`.

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> GaussianNLLLoss()(tensor([1.0]), tensor([3.0]), tensor([4.0]))
    tensor(1.1931)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: Any = "mean") -> None:
        self._take(
            None,
            None,
            reduction,
            full=checks.flag("GaussianNLLLoss", "full", full),
            eps=checks.positive("GaussianNLLLoss", "eps", eps),
        )

    def forward(self, input: Any, target: Any, var: Any) -> Any:
        """The loss."""
        return margins.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(_Margin, _Loss):
    """-log p of Poisson's counts, whose rates or their logarithms a network gives.

    Parameters
    ----------
    log_input, full, eps, reduction
        As of `functional.poisson_nll_loss`.

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> PoissonNLLLoss()(tensor([0.0]), tensor([3.0]))
    tensor(1.)
    """

    _function = staticmethod(margins.poisson_nll_loss)

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: Any = None,
        eps: float = 1e-8,
        reduce: Any = None,
        reduction: Any = "mean",
    ) -> None:
        who = "PoissonNLLLoss"
        self._take(
            size_average,
            reduce,
            reduction,
            log_input=checks.flag(who, "log_input", log_input),
            full=checks.flag(who, "full", full),
            eps=checks.number(who, "eps", eps, least=0),
        )
