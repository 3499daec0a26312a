"""PyTorch's schedulers: they change the learning rates in an optimiser's `param_groups`.

A scheduler counts epochs in `last_epoch`; `step` goes on by one and writes the learning rate of
each group.  Most of them multiply what stands there, so that several may act on one optimiser.
`fit` takes the schedules of `fastbp.optim` instead, functions of the epochs done.
"""

from __future__ import annotations

import bisect
import math
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from fastbp import checks
from fastbp.missing import attribute_error
from fastbp.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from fastbp.autograd import Tensor

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class LRScheduler:
    """What the schedulers share; one of one's own writes `get_lr`.

    Parameters
    ----------
    optimizer : Optimizer
    last_epoch : int
        -1 to begin; the epochs done, to go on with an optimiser whose groups have
        "initial_lr".

    Attributes
    ----------
    last_epoch : int
    base_lrs : list of float
        The groups' learning rates at the beginning.

    Raises
    ------
    TypeError, KeyError
        For another thing than an optimiser, and for groups without "initial_lr".

    Examples
    --------
    >>> from fastbp import SGD
    >>> class Harmonic(LRScheduler):
    ...     def get_lr(self):
    ...         return [base / (1 + self.last_epoch) for base in self.base_lrs]
    >>> scheduler = Harmonic(SGD(lr=1.0))
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    #: Whether `get_lr` goes on from what stands in the groups, as a new group has it, too; None
    #: where a user's class does not say.
    _goes_on: bool | None = None
    _last_lr: list[float]
    #: Whether `step` is asking for the rates.
    _stepping = False
    #: Whether the first step came before the optimiser's.
    _skipped = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        who = type(self).__name__
        self.optimizer: Optimizer = checks.instance(who, "optimizer", optimizer, Optimizer, "an optimiser")
        new = [group for group in optimizer.param_groups if "initial_lr" not in group]
        for place, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{who} expects 'initial_lr' in param_groups[{place}] where last_epoch is {last_epoch}; got none."
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch: int = last_epoch
        self._step_count = 0  # calls of `step`, with this one
        try:
            self.step()
        except BaseException:  # of a user's function, too
            for group in new:
                del group["initial_lr"]
            raise
        optimizer.watch_steps()

    def get_lr(self) -> list[float]:
        """The learning rate of each group at `last_epoch`."""
        if not self._stepping:
            warnings.warn(
                f"{type(self).__name__}.get_lr expects to be called by step; the learning rates "
                "as they are now come from get_last_lr().",
                UserWarning,
                stacklevel=2,
            )
        return self._rates()

    def _rates(self):
        raise NotImplementedError(f"{type(self).__name__} expects a method get_lr; got none.")

    def _get_closed_form_lr(self):
        """The learning rates of `last_epoch`, whatever stands in the groups."""
        return self.get_lr()

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group, as it was set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go on by one epoch, or to a given one.

        Warns
        -----
        UserWarning
            At the first call, where the optimiser has made no step yet: the first learning rate
            would never be used.
        """
        rates = self.get_lr if epoch is None else self._get_closed_form_lr
        if epoch is None:
            epoch = self.last_epoch + 1
        epoch = checks.integer(f"{type(self).__name__}.step", "epoch", epoch, 0)
        self._meet_groups()
        if self._step_count in (1, 2):
            self._require_a_step()
        self._go_to(epoch, rates)
        self._step_count += 1

    def _require_a_step(self):
        stepped, skipped = self.optimizer.has_stepped(), self._skipped
        self._skipped = self._step_count == 1 and not stepped
        # Without tensors, only the curve may be wanted, until an update shows that it is not.
        early = self._skipped if self.optimizer.param_groups[0]["params"] else skipped and stepped
        if not early:
            return
        reason = "there was none since the scheduler was made"
        if "step" in vars(self.optimizer):
            reason = "optimizer.step was replaced, so that none was seen"
        warnings.warn(
            f"{type(self).__name__}.step expects optimizer.step() before it, so that the first "
            f"learning rate is used; {reason}.",
            UserWarning,
            stacklevel=3,
        )

    def _require_groups(self):
        """Refuses groups that were added since and have no first rate, or were taken away."""
        new = self.optimizer.param_groups[len(self.base_lrs) :]
        known = self._goes_on is not False or all("initial_lr" in group for group in new)
        n_groups = len(self.optimizer.param_groups)
        if n_groups < len(self.base_lrs) or not known or not self._takes(n_groups):
            self._refuse_groups(len(self.base_lrs))

    def _meet_groups(self):
        """Takes the first rates of groups that were added since."""
        self._require_groups()
        new = self.optimizer.param_groups[len(self.base_lrs) :]
        if self._goes_on or all("initial_lr" in group for group in new):
            self.base_lrs += [float(group.get("initial_lr", group["lr"])) for group in new]

    def _takes(self, n_groups):
        """Whether groups may be added."""
        return True

    def _refuse_groups(self, n):
        raise ValueError(
            f"{type(self).__name__}.step expects the {checks.plural(n, 'parameter group')} "
            f"that the optimiser had when the scheduler was made; got "
            f"{len(self.optimizer.param_groups)}, so make the scheduler after add_param_group."
        )

    def _go_to(self, epoch, rates):
        before, self.last_epoch = self.last_epoch, epoch
        who, groups = type(self).__name__, self.optimizer.param_groups
        self._stepping = True
        try:
            lrs = [checks.number(who, "the learning rate", lr) for lr in rates()]
            if len(lrs) != len(groups):
                self._refuse_groups(len(lrs))
        except BaseException:  # of a user's function, too
            self.last_epoch = before
            raise
        finally:
            del self._stepping
        self._write(lrs)

    def _write(self, lrs):
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            group["lr"] = lr
        self._last_lr = list(lrs)

    def state_dict(self) -> dict[str, Any]:
        """All that it counts, but not the optimiser, and no functions."""
        return {k: v for k, v in vars(self).items() if k not in ("optimizer", "lr_lambdas")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._check_state(state_dict)
        vars(self).update(state_dict)

    def _check_state(self, state_dict):
        who = f"{type(self).__name__}.load_state_dict"
        if "_last_lr" not in checks.mapping(who, "state_dict", state_dict):
            raise ValueError(f"{who} expects what state_dict() gave; got one without '_last_lr'.")


_LRScheduler = LRScheduler  # PyTorch's older name


class _Multiplied(LRScheduler):
    """A scheduler that multiplies all learning rates by the same factor at each step."""

    _goes_on = True
    _stands = False  # what it multiplies by, where it is made amid a training, is done already

    def _rates(self):
        resumed = self._stands and self._step_count == 0 and self.last_epoch > 0
        factor = 1.0 if resumed else self._factor(self.last_epoch)
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self):
        factor = math.prod(self._factor(epoch) for epoch in range(self.last_epoch + 1))
        return [base * factor for base in self.base_lrs]

    def _factor(self, epoch):
        """What the learning rates are multiplied by at the beginning of an epoch."""
        raise NotImplementedError


class StepLR(_Multiplied):
    """The learning rate times `gamma` after every `step_size` epochs.

    Examples
    --------
    >>> from fastbp import SGD
    >>> optimizer = SGD(lr=1.0)
    >>> scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(4):
    ...     scheduler.step()
    >>> optimizer.lr
    0.25
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size: int = checks.integer("StepLR", "step_size", step_size, least=1)
        self.gamma: float = checks.number(type(self).__name__, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch):
        return self.gamma if epoch > 0 and epoch % self.step_size == 0 else 1.0


class MultiStepLR(_Multiplied):
    """The learning rate times `gamma` at each of the epochs `milestones`.

    Examples
    --------
    >>> from fastbp import SGD
    >>> optimizer = SGD(lr=1.0)
    >>> scheduler = MultiStepLR(optimizer, [1, 3], gamma=0.5)
    >>> for epoch in range(3):
    ...     scheduler.step()
    >>> optimizer.lr
    0.25
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        milestones = checks.sequence("MultiStepLR", "milestones", milestones, "epochs")
        self.milestones: list[int] = sorted(
            [checks.integer("MultiStepLR", "milestones", each, least=0) for each in milestones]
        )
        self.gamma: float = checks.number(type(self).__name__, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch):
        return self.gamma ** self.milestones.count(epoch)


class ExponentialLR(_Multiplied):
    """The learning rate times `gamma` after every epoch.

    Examples
    --------
    >>> from fastbp import SGD
    >>> scheduler = ExponentialLR(SGD(lr=1.0), gamma=0.5)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    _stands = True

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma: float = checks.number(type(self).__name__, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch):
        return self.gamma if epoch > 0 else 1.0


class ConstantLR(_Multiplied):
    """The learning rate times `factor` until `total_iters` epochs are done.

    Examples
    --------
    >>> from fastbp import SGD
    >>> ConstantLR(SGD(lr=1.0), factor=0.5).get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.factor: float = checks.number("ConstantLR", "factor", factor, least=0, most=1)
        self.total_iters: int = checks.integer(type(self).__name__, "total_iters", total_iters, least=0)
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch):
        if epoch == 0:
            return self.factor
        return 1.0 / self.factor if epoch == self.total_iters else 1.0


class LinearLR(_Multiplied):
    """The learning rate times a factor that goes straight from `start_factor` to `end_factor`.

    Examples
    --------
    >>> from fastbp import SGD
    >>> scheduler = LinearLR(SGD(lr=1.0), start_factor=0.5, total_iters=2)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.75]
    """

    _stands = True

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor: float = checks.number("LinearLR", "start_factor", start_factor, 0, 1)
        if self.start_factor == 0:
            raise ValueError("LinearLR expects start_factor above 0; got 0.")
        self.end_factor: float = checks.number("LinearLR", "end_factor", end_factor, 0, 1)
        self.total_iters: int = checks.integer(type(self).__name__, "total_iters", total_iters, least=0)
        super().__init__(optimizer, last_epoch)

    def _share(self, epoch):
        return self.start_factor + (self.end_factor - self.start_factor) * epoch / self.total_iters

    def _factor(self, epoch):
        if epoch == 0:
            return self.start_factor
        return 1.0 if epoch > self.total_iters else self._share(epoch) / self._share(epoch - 1)


class PolynomialLR(_Multiplied):
    """The learning rate times ``(1 - epoch / total_iters) ** power``.

    Examples
    --------
    >>> from fastbp import SGD
    >>> scheduler = PolynomialLR(SGD(lr=1.0), total_iters=4)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.75]
    """

    _stands = True

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters: int = checks.integer(type(self).__name__, "total_iters", total_iters, least=0)
        self.power: float = checks.number(type(self).__name__, "power", power)
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch):
        if epoch == 0 or epoch > self.total_iters:
            return 1.0
        return ((self.total_iters - epoch) / (self.total_iters - epoch + 1)) ** self.power


class _OfFunctions(LRScheduler):
    """A scheduler by a function of the epoch, or one for each group."""

    _goes_on = False

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        who = type(self).__name__
        checks.instance(who, "optimizer", optimizer, Optimizer, "an optimiser")
        n_groups = len(optimizer.param_groups)
        self.lr_lambdas: list[Callable[[int], float]] = (
            list(lr_lambda) if isinstance(lr_lambda, list | tuple) else [lr_lambda] * n_groups
        )
        if len(self.lr_lambdas) != n_groups:
            raise ValueError(
                f"{who} expects a function for each of {checks.plural(n_groups, 'group')}; got {len(self.lr_lambdas)}."
            )
        for each in self.lr_lambdas:
            checks.function(who, "lr_lambda", each, "a function of the epoch")
        super().__init__(optimizer, last_epoch)

    def _takes(self, n_groups):
        return n_groups == len(self.lr_lambdas) or len({id(each) for each in self.lr_lambdas}) == 1

    def _meet_groups(self):
        super()._meet_groups()
        more = len(self.base_lrs) - len(self.lr_lambdas)
        self.lr_lambdas += self.lr_lambdas[:1] * more  # the function of all

    def _number(self, function):
        """What a user's function gives at this epoch."""
        return checks.number(type(self).__name__, "lr_lambda's number", function(self.last_epoch))


class LambdaLR(_OfFunctions):
    """The first learning rate times a function of the epoch.

    Examples
    --------
    >>> from fastbp import SGD
    >>> scheduler = LambdaLR(SGD(lr=1.0), lambda epoch: 1 / (1 + epoch))
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def _rates(self):
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [base * self._number(function) for base, function in pairs]


class MultiplicativeLR(_OfFunctions):
    """The learning rate times a function of the epoch, at every epoch but the first.

    There is no closed form: ``step(epoch)`` multiplies what stands there.

    Examples
    --------
    >>> from fastbp import SGD
    >>> scheduler = MultiplicativeLR(SGD(lr=1.0), lambda epoch: 0.5)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    _goes_on = True

    def _rates(self):
        pairs = zip(self.optimizer.param_groups, self.lr_lambdas, strict=True)
        if self._step_count == 0:
            return [group["lr"] for group, _ in pairs]
        return [group["lr"] * self._number(function) for group, function in pairs]


class CosineAnnealingLR(LRScheduler):
    """From the first learning rate down to `eta_min` over `T_max` epochs, along half a cosine.

    It goes up again thereafter.

    References
    ----------
    Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts (2017).

    Examples
    --------
    >>> from fastbp import SGD
    >>> scheduler = CosineAnnealingLR(SGD(lr=1.0), T_max=2)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max: int = checks.integer("CosineAnnealingLR", "T_max", T_max, least=1)
        self.eta_min: float = checks.number(type(self).__name__, "eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    _goes_on = True

    def _height(self, epoch):
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def _get_closed_form_lr(self):
        least, share = self.eta_min, self._height(self.last_epoch) / 2
        return [least + (base - least) * share for base in self.base_lrs]

    def _rates(self):
        epoch, groups, least = self.last_epoch, self.optimizer.param_groups, self.eta_min
        if epoch == 0 or self._step_count == 0:
            return [group["lr"] for group in groups]
        if (epoch - 1) % (2 * self.T_max) == self.T_max:  # a ratio to the lowest point is none
            rise = self._height(epoch) / 2
            return [group["lr"] + (base - least) * rise for base, group in zip(self.base_lrs, groups, strict=True)]
        ratio = self._height(epoch) / self._height(epoch - 1)
        return [least + (group["lr"] - least) * ratio for group in groups]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine over `T_0` epochs, then anew over `T_mult` times as many, and so on.

    `step` takes fractions of epochs, too, as ``scheduler.step(epoch + i / n_batches)``.

    References
    ----------
    Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts (2017).

    Examples
    --------
    >>> from fastbp import SGD
    >>> scheduler = CosineAnnealingWarmRestarts(SGD(lr=1.0), T_0=2)
    >>> rates = []
    >>> for epoch in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [1.0, 0.5, 1.0, 0.5]
    """

    T_i: int
    T_cur: float

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        who = "CosineAnnealingWarmRestarts"
        self.T_0 = self.T_i = checks.integer(who, "T_0", T_0, least=1)
        self.T_mult: int = checks.integer(who, "T_mult", T_mult, least=1)
        self.eta_min: float = checks.number(type(self).__name__, "eta_min", eta_min)
        self.T_cur = last_epoch
        super().__init__(optimizer, last_epoch)

    _goes_on = False

    def _rates(self):
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one epoch, or to a given one or a fraction of it."""
        self._meet_groups()
        if epoch is None:
            epoch = self.last_epoch + 1
        checks.number("CosineAnnealingWarmRestarts.step", "epoch", epoch, least=0)
        self._go_to(epoch, self.get_lr)

    def _go_to(self, epoch, rates):
        self.T_cur, self.T_i = epoch, self.T_0
        if self.T_mult == 1:
            self.T_cur %= self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        super()._go_to(math.floor(epoch), rates)


class OneCycleLR(LRScheduler):
    """Up from a low learning rate to `max_lr` and down far below; a step is a batch.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float or list of float
        The highest, for each group.
    total_steps : int or None
        Or else ``epochs * steps_per_epoch``.
    epochs, steps_per_epoch : int or None
    pct_start : float
        The share of the steps that go up.
    anneal_strategy : {"cos", "linear"}
    cycle_momentum : bool
        Move momentum (or the first of betas) the other way, from `max_momentum` to
        `base_momentum` and back.
    base_momentum, max_momentum : float or list of float
    div_factor : float
        The first learning rate is ``max_lr / div_factor``.
    final_div_factor : float
        The last one is the first over this.
    three_phase : bool
        Go down as long as up, and then below.
    last_epoch : int

    Raises
    ------
    ValueError
        For no number of steps, an optimiser without momentum, or a step too many.

    References
    ----------
    Smith & Topin, Super-convergence: very fast training of neural networks using large
    learning rates (2019).

    Examples
    --------
    >>> from fastbp import SGD
    >>> optimizer = SGD(lr=0.1)
    >>> scheduler = OneCycleLR(optimizer, max_lr=1.0, total_steps=10, cycle_momentum=False)
    >>> rates = scheduler.get_last_lr()
    >>> for batch in range(9):
    ...     scheduler.step()
    ...     rates += scheduler.get_last_lr()
    >>> [round(rate, 2) for rate in rates]
    [0.04, 0.52, 1.0, 0.95, 0.81, 0.61, 0.39, 0.19, 0.05, 0.0]
    """

    levels: list[list[float]]
    momenta: list[list[float]]

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        checks.instance("OneCycleLR", "optimizer", optimizer, Optimizer, "an optimiser")
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR expects total_steps, or epochs and steps_per_epoch; got neither.")
            total_steps = epochs * steps_per_epoch
        self.total_steps: int = checks.integer("OneCycleLR", "total_steps", total_steps, least=1)
        share = checks.number("OneCycleLR", "pct_start", pct_start, 0, 1)
        for name, factor in ("div_factor", div_factor), ("final_div_factor", final_div_factor):
            if checks.number("OneCycleLR", name, factor, least=0) == 0:
                raise ValueError(f"OneCycleLR expects {name} above 0; got {factor}.")
        checks.choice("OneCycleLR", "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum: bool = checks.flag("OneCycleLR", "cycle_momentum", cycle_momentum)
        three_phase = checks.flag("OneCycleLR", "three_phase", three_phase)
        groups = optimizer.param_groups
        if self.cycle_momentum and not {"momentum", "betas"} & set(groups[0]):
            raise ValueError(
                "OneCycleLR expects cycle_momentum=False for an optimiser without momentum; "
                f"got {type(optimizer).__name__}."
            )
        # The places where the course turns, and where it stands there.
        up = share * self.total_steps - 1
        self.turns: list[float] = [0, up, *([2 * up] if three_phase else []), self.total_steps - 1]
        self.levels, self.momenta = [], []
        for high, low_momentum, high_momentum, group in zip(
            _each(max_lr, groups), _each(base_momentum, groups), _each(max_momentum, groups), groups, strict=True
        ):
            first = high / div_factor
            middle = [first] if three_phase else []
            self.levels.append([first, high, *middle, first / final_div_factor])
            middle = [high_momentum] if three_phase else []
            self.momenta.append([high_momentum, low_momentum, *middle, high_momentum])
            if last_epoch == -1:
                group["lr"] = group["initial_lr"] = first
        super().__init__(optimizer, last_epoch)

    def _at(self, levels):
        step, last = self.last_epoch, len(self.turns) - 2
        phase = next(i for i in range(last + 1) if i == last or step <= self.turns[i + 1])
        start, end = self.turns[phase : phase + 2]
        share = (step - start) / (end - start) if end != start else 1.0
        if self.anneal_strategy == "cos":
            share = (1 - math.cos(math.pi * share)) / 2
        return levels[phase] + (levels[phase + 1] - levels[phase]) * share

    _goes_on = False

    def _takes(self, n_groups):
        return n_groups == len(self.levels)

    def _rates(self):
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR expects {checks.plural(self.total_steps, 'step')}; got step {self.last_epoch}."
            )
        return [self._at(levels) for levels in self.levels]

    def _write(self, lrs):
        super()._write(lrs)
        if self.cycle_momentum:
            for group, momenta in zip(self.optimizer.param_groups, self.momenta, strict=True):
                if "betas" in group:
                    group["betas"] = (self._at(momenta), *group["betas"][1:])
                else:
                    group["momentum"] = self._at(momenta)


class ReduceLROnPlateau(LRScheduler):
    """The learning rate times `factor` when a number has not improved for some epochs.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        Whether less is better.
    factor : float
        Below 1.
    patience : int
        Epochs without improvement that are let pass.
    threshold : float
        What counts as an improvement: a share of the best number, or with `threshold_mode`
        "abs" a difference.
    threshold_mode : {"rel", "abs"}
    cooldown : int
        Epochs after a reduction in which none is counted.
    min_lr : float or list of float
        Not below this.
    eps : float
        A smaller change is left out.
    verbose : bool
        Print each reduction.

    Examples
    --------
    >>> from fastbp import SGD
    >>> optimizer = SGD(lr=1.0)
    >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (0.9, 0.8, 0.8, 0.8):
    ...     scheduler.step(loss)
    >>> optimizer.lr
    0.5
    """

    best: float
    num_bad_epochs: int
    cooldown_counter: int

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
        verbose: bool = False,
    ) -> None:
        who = "ReduceLROnPlateau"
        self.optimizer: Optimizer = checks.instance(who, "optimizer", optimizer, Optimizer, "an optimiser")
        self.mode: str = checks.choice(who, "mode", mode, ("min", "max"))
        self.factor: float = checks.number(who, "factor", factor)
        if self.factor >= 1:
            raise ValueError(f"{who} expects factor below 1; got {factor}.")
        self.patience: int = checks.integer(who, "patience", patience, least=0)
        self.cooldown: int = checks.integer(who, "cooldown", cooldown, least=0)
        self.threshold: float = checks.number(who, "threshold", threshold)
        self.threshold_mode: str = checks.choice(who, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.min_lrs: list[float] = _each(min_lr, optimizer.param_groups)
        self.default_min_lr: Any = None if isinstance(min_lr, list | tuple) else min_lr
        self.eps: float = checks.number(who, "eps", eps)
        self.verbose: bool = checks.flag("ReduceLROnPlateau", "verbose", verbose)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def is_better(self, a: float, best: float) -> bool:
        """Whether a is an improvement on the best number so far."""
        margin = -self.threshold if self.mode == "min" else self.threshold
        bound = best * (1 + margin) if self.threshold_mode == "rel" else best + margin
        return a < bound if self.mode == "min" else a > bound

    def step(self, metrics: float | Tensor, epoch: int | None = None) -> None:  # type: ignore[override]
        """Look at the number that an epoch ended with; `epoch` is its number where given."""
        try:
            current = float(metrics)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            raise TypeError(
                f"ReduceLROnPlateau.step expects metrics as a number; got {checks.shown(metrics)}."
            ) from None
        if epoch is None:
            epoch = self.last_epoch + 1
        epoch = checks.integer("ReduceLROnPlateau.step", "epoch", epoch, least=0)
        n_groups = len(self.optimizer.param_groups)
        self._require_groups()
        self.min_lrs += [self.default_min_lr] * (n_groups - len(self.min_lrs))
        self.last_epoch = epoch
        if self.is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _require_groups(self):
        n_groups, n = len(self.optimizer.param_groups), len(self.min_lrs)
        if n_groups < n or (n_groups > n and self.default_min_lr is None):
            self._refuse_groups(n)

    def _reduce(self):
        pairs = zip(self.optimizer.param_groups, self.min_lrs, strict=True)
        for place, (group, least) in enumerate(pairs):
            new = max(group["lr"] * self.factor, least)
            if group["lr"] - new > self.eps:
                group["lr"] = new
                if self.verbose:
                    print(f"Epoch {self.last_epoch}: reducing learning rate of group {place} to {new:.4e}.")


class _OfSchedulers(LRScheduler):
    """A scheduler that others do the work of."""

    _schedulers: list[LRScheduler]

    def _take(self, optimizer, schedulers):
        """Schedulers of one optimiser, which they all have to act on."""
        who = type(self).__name__
        if not schedulers:
            raise ValueError(f"{who} expects at least one scheduler; got none.")
        for scheduler in schedulers:
            checks.instance(who, "schedulers", scheduler, LRScheduler, "schedulers")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise TypeError(f"{who} expects schedulers of epochs; got a ReduceLROnPlateau.")
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"{who} expects schedulers of one optimiser; got another's.")
        self._schedulers, self.optimizer = schedulers, optimizer

    def _next(self):
        """The schedulers that the next step is of."""
        return self._schedulers

    def _require_groups(self):
        for scheduler in self._next():
            scheduler._require_groups()

    def state_dict(self) -> dict[str, Any]:
        """All that it and its schedulers count."""
        own = [scheduler.state_dict() for scheduler in self._schedulers]
        return super().state_dict() | {"_schedulers": own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._check_state(state_dict)
        state = dict(state_dict)
        for scheduler, own in zip(self._schedulers, state.pop("_schedulers"), strict=True):
            scheduler.load_state_dict(own)
        vars(self).update(state)

    def _check_state(self, state_dict):
        super()._check_state(state_dict)
        who, own = f"{type(self).__name__}.load_state_dict", state_dict.get("_schedulers")
        if not isinstance(own, list | tuple) or len(own) != len(self._schedulers):
            raise ValueError(
                f"{who} expects what state_dict() gave; got one without '_schedulers' for "
                f"{checks.plural(len(self._schedulers), 'scheduler')}."
            )
        for scheduler, state in zip(self._schedulers, own, strict=True):
            scheduler._check_state(state)


class SequentialLR(_OfSchedulers):
    """One scheduler after the other, each from its beginning at its milestone.

    Examples
    --------
    >>> from fastbp import SGD
    >>> optimizer = SGD(lr=1.0)
    >>> warm_up, decay = LinearLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.5)
    >>> scheduler = SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> rates = []
    >>> for epoch in range(4):
    ...     rates.append(optimizer.lr)
    ...     scheduler.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Iterable[LRScheduler], milestones: Iterable[int], last_epoch: int = -1
    ) -> None:
        schedulers = checks.sequence("SequentialLR", "schedulers", schedulers, "schedulers")
        milestones = [
            checks.integer("SequentialLR", "milestones", each, least=0)
            for each in checks.sequence("SequentialLR", "milestones", milestones, "epochs")
        ]
        checks.instance("SequentialLR", "optimizer", optimizer, Optimizer, "an optimiser")
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR expects a milestone between each two of {len(schedulers)} "
                f"schedulers; got {len(milestones)}."
            )
        self._take(optimizer, schedulers)
        for scheduler in schedulers:
            if isinstance(scheduler, _OfSchedulers):
                raise TypeError(
                    "SequentialLR expects schedulers that begin anew at their milestones; got a "
                    f"{type(scheduler).__name__}."
                )
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        first = schedulers[self._place(0)]
        first.last_epoch, first._step_count = -1, 0  # made anew, after the others
        first.step()
        self._last_lr = first.get_last_lr()

    def _place(self, epoch):
        return bisect.bisect_right(self._milestones, epoch)

    def _next(self):
        return [self._schedulers[self._place(self.last_epoch + 1)]]

    def step(self) -> None:  # type: ignore[override]
        """Go on by one epoch."""
        self._require_groups()
        [current] = self._next()
        if self.last_epoch + 1 in self._milestones:
            current._meet_groups()
            current._go_to(0, current._get_closed_form_lr)
        else:
            current.step()
        self._last_lr = current.get_last_lr()
        self.last_epoch += 1


class ChainedScheduler(_OfSchedulers):
    """Several schedulers, all at each step.

    Examples
    --------
    >>> from fastbp import SGD
    >>> optimizer = SGD(lr=1.0)
    >>> both = ChainedScheduler([ExponentialLR(optimizer, 0.5), StepLR(optimizer, 1, 0.5)])
    >>> both.step()
    >>> both.get_last_lr()
    [0.25]
    """

    def __init__(self, schedulers: Iterable[LRScheduler], optimizer: Optimizer | None = None) -> None:
        schedulers = checks.sequence("ChainedScheduler", "schedulers", schedulers, "schedulers")
        for each in schedulers[:1]:
            checks.instance("ChainedScheduler", "schedulers", each, LRScheduler, "schedulers")
            optimizer = each.optimizer if optimizer is None else optimizer
        self._take(optimizer, schedulers)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:  # type: ignore[override]
        """Go on by one epoch."""
        self._require_groups()
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


def _each(value, groups):
    """A number for each group."""
    values = list(value) if isinstance(value, list | tuple) else [value] * len(groups)
    for each in values:
        checks.number("A scheduler", "a number for each group", each)
    if len(values) != len(groups):
        raise ValueError(
            f"A scheduler expects a number for each of {checks.plural(len(groups), 'group')}; got {len(values)}."
        )
    return values


if not TYPE_CHECKING:  # where a name that is missing is an error

    def __getattr__(name: str) -> Any:
        raise attribute_error("fastbp.optim.lr_scheduler", name)
