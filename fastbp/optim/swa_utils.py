"""Averages of a model's weights over its training, as PyTorch's `optim.swa_utils` has them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from fastbp import checks
from fastbp.autograd import Tensor, no_grad, tensor
from fastbp.modules import Module
from fastbp.optim.lr_scheduler import LRScheduler

if TYPE_CHECKING:
    from fastbp.optim import Optimizer

#: Of the average so far, the weights now, and how many are in the average: one tensor's, or in place all.
Average: TypeAlias = Callable[[Tensor, Tensor, Any], Tensor]
AverageOfLists: TypeAlias = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageOfLists:
    """averaged = decay averaged + (1 - decay) current, for a list of tensors in place.

    Examples
    --------
    >>> averaged = [tensor([1.0])]
    >>> get_ema_multi_avg_fn(0.9)(averaged, [tensor([2.0])], 1)
    >>> averaged
    [tensor([1.1000])]
    """
    decay = checks.number("get_ema_multi_avg_fn", "decay", decay, 0, 1)

    @no_grad()
    def average(averaged, current, num_averaged):
        for slow, new in zip(averaged, current, strict=True):
            slow.lerp_(new, 1 - decay)

    return average


def get_swa_multi_avg_fn() -> AverageOfLists:
    """The mean of all so far, for a list of tensors in place.

    Examples
    --------
    >>> averaged = [tensor([1.0])]
    >>> get_swa_multi_avg_fn()(averaged, [tensor([4.0])], 2)
    >>> averaged
    [tensor([2.])]
    """

    @no_grad()
    def average(averaged, current, num_averaged):
        share = 1 / (int(num_averaged) + 1)
        for slow, new in zip(averaged, current, strict=True):
            slow.lerp_(new, share)

    return average


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """``decay averaged + (1 - decay) current`` of one tensor, as a new one.

    Examples
    --------
    >>> get_ema_avg_fn(0.5)(tensor([1.0]), tensor([2.0]), 1)
    tensor([1.5000])
    """
    decay = checks.number("get_ema_avg_fn", "decay", decay, 0, 1)

    @no_grad()
    def average(averaged, current, num_averaged):
        return decay * averaged + (1 - decay) * current

    return average


def get_swa_avg_fn() -> Average:
    """The mean of all so far of one tensor, as a new one.

    Examples
    --------
    >>> get_swa_avg_fn()(tensor([1.0]), tensor([4.0]), 2)
    tensor([2.])
    """

    @no_grad()
    def average(averaged, current, num_averaged):
        return averaged + (current - averaged) / (num_averaged + 1)

    return average


class AveragedModel(Module):
    """A copy of a model, whose weights are an average of those that the model had.

    Parameters
    ----------
    model : Module
    device : "cpu", optional
    avg_fn : callable, optional
        ``avg_fn(averaged, current, num_averaged)`` gives a tensor's average.
    multi_avg_fn : callable, optional
        The same in place, for all tensors as two lists; one of the two at most.  Without them
        the average is the mean.
    use_buffers : bool
        Whether buffers of floats are averaged, too; else they are those that the model has now.

    Attributes
    ----------
    module : Module
    n_averaged : Tensor, int64, ()

    References
    ----------
    Izmailov et al., Averaging weights leads to wider optima and better generalization (2018).

    Examples
    --------
    >>> class Line(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.register_buffer("slope", tensor([1.0]))
    >>> model = Line()
    >>> averaged = AveragedModel(model, use_buffers=True)
    >>> for slope in (1.0, 3.0):
    ...     _ = model.slope.fill_(slope)
    ...     averaged.update_parameters(model)
    >>> averaged.module.slope
    tensor([2.])
    """

    avg_fn: Average | None
    multi_avg_fn: AverageOfLists | None

    def __init__(
        self,
        model: Module,
        device: Literal["cpu"] | None = None,
        avg_fn: Average | None = None,
        multi_avg_fn: AverageOfLists | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        checks.instance("AveragedModel", "model", model, Module, "a Module")
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel expects avg_fn or multi_avg_fn; got both.")
        self.module: Module = copy.deepcopy(model)
        if device is not None:
            self.module.to(device)
        self.register_buffer("n_averaged", tensor(0))
        self.avg_fn, self.multi_avg_fn = avg_fn, multi_avg_fn
        self.use_buffers: bool = checks.flag("AveragedModel", "use_buffers", use_buffers)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged model's output."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the model's weights, as they are now, into the average."""
        checks.instance("update_parameters", "model", model, Module, "a Module")
        mine, theirs = self._averaged(self.module), self._averaged(model)
        if len(mine) != len(theirs):
            raise ValueError(f"update_parameters expects a model of {len(mine)} tensors; got {len(theirs)}.")
        pairs = list(zip(mine, theirs, strict=True))
        for slow, new in pairs:
            if tuple(slow.shape) != tuple(new.shape):
                raise ValueError(
                    f"update_parameters expects a model of the same shapes; got "
                    f"{tuple(new.shape)} for {tuple(slow.shape)}."
                )
        if self.n_averaged == 0:
            for slow, new in pairs:
                slow.copy_(new)
        else:
            self._average([(slow, new) for slow, new in pairs if slow.is_floating_point()])
        if not self.use_buffers:
            for slow, new in zip(self.module.buffers(), model.buffers(), strict=True):
                slow.copy_(new)
        self.n_averaged += 1

    def _averaged(self, model):
        return [*model.parameters(), *(model.buffers() if self.use_buffers else ())]

    def _average(self, pairs):
        if self.avg_fn is not None:
            for slow, new in pairs:
                slow.copy_(self.avg_fn(slow, new, self.n_averaged))
            return
        averaged, current = [slow for slow, _ in pairs], [new for _, new in pairs]
        (self.multi_avg_fn or get_swa_multi_avg_fn())(averaged, current, self.n_averaged)


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Literal["cpu"] | None = None) -> None:
    """Set the running statistics of batch normalisation to their means over a loader's batches.

    Parameters
    ----------
    loader : iterable of Tensor, or of lists and tuples whose first item is one
    model : Module
    device : "cpu", optional
    """
    checks.instance("update_bn", "model", model, Module, "a Module")
    layers = {m: m.momentum for m in model.modules() if hasattr(m, "reset_running_stats")}
    if not layers:
        return
    was_training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
    try:
        for number, batch in enumerate(loader, 1):
            for layer in layers:
                layer.momentum = 1 / number  # makes the running statistics the mean of all so far
            batch = batch[0] if isinstance(batch, list | tuple) else batch
            model(batch if device is None else batch.to(device))
    finally:
        for layer, momentum in layers.items():
            layer.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """From the learning rate as it is to `swa_lr`, where it stays.

    Parameters
    ----------
    optimizer : Optimizer
    swa_lr : float, or a list with one for each group
    anneal_epochs : int
        Steps on the way.
    anneal_strategy : {"cos", "linear"}
    last_epoch : int
        Epochs done; -1 begins anew.

    Examples
    --------
    >>> from fastbp import SGD
    >>> optimizer = SGD(lr=1.0)
    >>> scheduler = SWALR(optimizer, 0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> for epoch in range(3):
    ...     scheduler.step()
    ...     print(optimizer.lr)
    0.75
    0.5
    0.5
    """

    _goes_on = True

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        self.anneal_epochs: int = checks.integer("SWALR", "anneal_epochs", anneal_epochs, least=0)
        self.anneal_strategy: str = checks.choice("SWALR", "anneal_strategy", anneal_strategy, ("cos", "linear"))
        groups = getattr(optimizer, "param_groups", ())
        rates = swa_lr if isinstance(swa_lr, list | tuple) else [swa_lr] * len(groups)
        if len(rates) != len(groups) and groups:
            raise ValueError(
                f"SWALR expects swa_lr as a number, or one for each of "
                f"{checks.plural(len(groups), 'parameter group')}; got "
                f"{len(rates)}."
            )
        rates = [checks.number("SWALR", "swa_lr", rate, least=0) for rate in rates]
        for group, rate in zip(groups, rates, strict=False):
            group["swa_lr"] = rate
        super().__init__(optimizer, last_epoch)

    def _share(self, step):
        """How much of the way is done after a step."""
        done = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * done)) / 2 if self.anneal_strategy == "cos" else done

    def _rates(self):
        step = self._step_count if self.anneal_epochs else max(1, self._step_count)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            to = group["swa_lr"]
            first = to if before == 1 else (group["lr"] - to * before) / (1 - before)
            rates.append(to * now + first * (1 - now))
        return rates
