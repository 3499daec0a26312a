"""`Solver`: a network's plan, its update rule, and the rule's state between trainings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp._kernels import engine
from fastbp.estimators.forward import NORM_EPS
from fastbp.estimators.parameters import ACTIVATIONS
from fastbp.optim.rule import OPTIMIZERS, Rule
from fastbp.threads import threads_for
from fastbp.training.ranks import ALONE, Ranks

if TYPE_CHECKING:
    from fastbp._typing import Array

#: The parameters of an estimator that scikit-learn's optimisers are made of.
OF_OPTIMIZERS = (
    "learning_rate_init",
    "learning_rate",
    "power_t",
    "momentum",
    "nesterovs_momentum",
    "beta_1",
    "beta_2",
    "epsilon",
)
#: Those that a solver reads.
READ = ("solver", *OF_OPTIMIZERS, "alpha", "n_threads")
#: Of a rule's numbers the parameters that they come from.
_OF = {"momentum": "momentum", "beta_1": "beta_1", "beta_2": "beta_2", "eps": "epsilon"}
#: Of a batch normalisation's running statistics, as PyTorch's 0.1 of the new ones.
NORM_MOMENTUM = 0.9


class Solver:
    """A network's plan, its update rule, and the rule's state between trainings.

    Parameters
    ----------
    units : sequence of int
        The widths from the inputs to the outputs.
    activations, dropout : sequences
        Of the hidden layers.
    batch_norm : bool
    loss : dict
        `loss`, `number`, `loss_scale` and `clip_loss` of `engine.Plan`.
    asked : dict
        The estimator's parameters `READ`.
    dtype : numpy.dtype
    seed : int
        Chooses the dropout masks.

    Attributes
    ----------
    asked : dict
        What it goes by.
    schedule : str
        `learning_rate` for "sgd", else "constant".
    first_rate : float
        What it goes on from.
    learning_rate, learning_rate_init : float
        Of the next step; and `first_rate`, which written to sets both.
    epochs : int
        Epochs done.
    """

    asked: dict[str, Any]
    power_t: float
    n_threads: int | None
    entries: list[tuple[Any, ...]]
    affines: list[int]
    norms: list[int]
    loss: dict[str, Any]
    steps: int
    n_states: int
    first_rate: float
    numbers: dict[str, Any]
    keep_gradients: bool
    told: dict[str, Any]

    def __init__(
        self,
        units: Sequence[int],
        activations: Sequence[str],
        dropout: Sequence[float],
        batch_norm: bool,
        loss: dict[str, Any],
        asked: dict[str, Any],
        dtype: np.dtype[Any],
        seed: int = 0,
    ) -> None:
        self.entries, self.affines, self.norms = _entries(units, activations, dropout, batch_norm)
        self.loss = loss
        solver = asked["solver"]
        self.n_states = _optimizer(asked).n_states
        self.first_rate = float(asked["learning_rate_init"])
        self.numbers = {"lr": self.first_rate}
        self._read(asked)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.seed = seed
        self.keep_gradients = solver == "lbfgs"
        self.epochs = self.steps = 0
        self.drawn: Any = None  # the last order that a seed gave: (seed, rows), row numbers
        self._states: Any = None  # of a solver without a plan: pairs of arrays by layer and state
        self._plan: Any = None

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _ATTRIBUTES or isinstance(getattr(type(self), name, None), property)):
            raise AttributeError(
                f"An estimator's _optimizer has no attribute {name!r} to set, but learning_rate; "
                "fit makes it of the estimator's parameters."
            )
        super().__setattr__(name, value)

    def _read(self, asked):
        """Take over what an estimator's parameters say, but for the learning rate."""
        self.asked = self.told = asked
        solver, alpha = asked["solver"], float(asked["alpha"])
        self.schedule: str = asked["learning_rate"] if solver == "sgd" else "constant"
        self.power_t, self.n_threads = asked["power_t"], asked["n_threads"]
        numbers = _optimizer(asked).numbers()
        own = {name: asked[_OF[name]] for name in numbers if name in _OF}
        if numbers["decoupled"]:
            own |= {"weight_decay": alpha, "bias_decay": 0.0}
        else:
            own |= {"l2": alpha, "early_eps": solver == "adam"}
        self.numbers = numbers | own | {"lr": self.numbers["lr"]}

    def see(self, asked: dict[str, Any]) -> None:
        """Go on as the parameters say now; a learning rate that none of them changed stays."""
        before = self.asked
        if asked == before:
            return
        self._read(asked)
        needs_state = asked["solver"] == "sgd" and asked["momentum"] and not self.n_states
        if needs_state or asked["n_threads"] != before["n_threads"]:
            self._states, self.steps, self._plan = self.states(), self._steps_done(), None
        if needs_state:
            self.n_states = _optimizer(asked).n_states
        if asked["learning_rate_init"] != before["learning_rate_init"]:
            self.learning_rate_init = asked["learning_rate_init"]

    def see_some(self, asked: dict[str, Any]) -> list[tuple[str, Any, Any]]:
        """Go on as `alpha` and `n_threads` say now; (name, kept, asked) of what does not change.

        Each is told once.
        """
        if asked == self.asked:
            return []
        told = self.told
        kept = {name: self.asked[name] for name in _kept(self.asked)}
        self.see(self.asked | {name: asked[name] for name in ("alpha", "n_threads")})
        self.told = asked
        return [(name, value, asked[name]) for name, value in kept.items() if asked[name] not in (value, told[name])]

    def follow(
        self,
        units: Sequence[int],
        activations: Sequence[str],
        dropout: Sequence[float],
        batch_norm: bool,
        loss: dict[str, Any],
    ) -> None:
        """Go on with other activations, dropout or loss: the rule's state stays."""
        entries, affines, norms = _entries(units, activations, dropout, batch_norm)
        if (entries, loss) == (self.entries, self.loss):
            return
        places = dict(zip([*self.affines, *self.norms], [*affines, *norms], strict=True))
        self._states = [(places[layer], part, pair) for layer, part, pair in self.states()]
        self.steps, self._plan = self._steps_done(), None
        self.entries, self.affines, self.norms, self.loss = entries, affines, norms, loss

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return self.numbers["lr"]

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        old, self.numbers["lr"] = self.numbers["lr"], float(rate)
        if self._plan is not None:
            self._plan.lr = self.numbers["lr"]
        if self.asked["solver"] == "sgd" and self.n_states and old != rate:
            # The engine's velocity holds gradients, scikit-learn's the steps they led to.
            self._states = [
                (layer, state, [array * (old / rate) for array in pair]) for layer, state, pair in self.states()
            ]
            self._write_states()

    @property
    def learning_rate_init(self) -> float:
        """What the learning rate began with."""
        return self.first_rate

    @learning_rate_init.setter
    def learning_rate_init(self, rate: float) -> None:
        kept = self.learning_rate / self.first_rate if self.schedule == "invscaling" else 1.0
        self.first_rate = float(rate)
        self.learning_rate = self.first_rate * kept

    # --- the plan ---------------------------------------------------------------------------

    def plan(self, rows: int, ranks: Ranks = ALONE) -> engine.Plan:
        """A plan for batches of so many rows; its parameters have to be written."""
        if ranks and not self.keep_gradients:  # the plan has no room for them
            self._states, self.steps, self._plan = self.states(), self._steps_done(), None
            self.keep_gradients = True
        if self._plan is None or self._plan.batch_size < rows:
            states, self.steps = self.states(), self._steps_done()
            operations = 6 * rows * sum(n_in * n_out for _, n_in, n_out, *_ in self.entries)
            plan = engine.Plan(
                self.entries,
                self.loss["loss"],
                rows,
                self.dtype == np.float64,
                self.n_states,
                self.keep_gradients,
                self.loss["number"],
                threads_for(operations, self.n_threads, ranks.sharing),
                self.loss["loss_scale"],
                self.loss["clip_loss"],
            )
            plan.seed = self.seed
            plan.steps = self.steps
            for layer, part, pair in states:
                plan.write(layer, part, *pair)
            self._plan, self._states = plan, None  # last: before it, Ctrl-C loses no state
        self._plan.set_rule(**self.numbers)
        return self._plan

    def take_steps(self, ranks: Ranks) -> None:
        """Go on as the first rank does: with its learning rate and what it drew."""
        told = {name: getattr(self, name) for name in ("seed", "epochs", "first_rate", "numbers")}
        for name, value in ranks.tell(told).items():
            setattr(self, name, value)

    def _steps_done(self):
        return self.steps if self._plan is None else self._plan.steps

    def states(self) -> list[tuple[int, int, list[Array]]]:
        """(layer, part, [of W, of b]) of the rule's state; empty before the first step."""
        if self._plan is None:
            return self._states or []
        return [
            (layer, part, self._state(layer, part))
            for layer in [*self.affines, *self.norms]
            for part in range(engine.FIRST_STATE, engine.FIRST_STATE + self.n_states)
        ]

    def _state(self, layer, part):
        kind, n_in, n_out, *_ = self.entries[layer]
        shape = (n_in, n_out) if kind == "affine" else (n_out,)
        pair = [np.empty(shape, self.dtype), np.empty(n_out, self.dtype)]
        self._plan.read(layer, part, *pair)
        return pair

    def _write_states(self):
        if self._plan is not None and self._states:
            for layer, part, pair in self._states:
                self._plan.write(layer, part, *pair)
            self._states = None

    def __getstate__(self) -> dict[str, Any]:
        kept = {"_states": self.states(), "steps": self._steps_done()}
        return vars(self) | kept | {"_plan": None, "drawn": None}

    # --- parameters -------------------------------------------------------------------------

    def load(self, plan: engine.Plan, coefs: list[Array], intercepts: list[Array], norms: list[Array]) -> None:
        """Write the user's arrays into the plan."""
        for layer, W, b in zip(self.affines, coefs, intercepts, strict=True):
            plan.write(layer, engine.PARAMETERS, self._native("coefs_", W), self._native("intercepts_", b))
        for layer, norm in zip(self.norms, norms, strict=True):
            gamma, beta, mean, variance = self._native("norms_", norm)
            plan.write(layer, engine.PARAMETERS, gamma, beta)
            plan.write(layer, engine.RUNNING, mean, variance)

    def fetch(self, coefs: list[Array], intercepts: list[Array], norms: list[Array]) -> None:
        """Read the plan's parameters into the user's arrays, or into new ones in their lists."""
        Ws, bs, own = ([self._own(a) for a in arrays] for arrays in (coefs, intercepts, norms))
        places = [(layer, engine.PARAMETERS, W, b) for layer, W, b in zip(self.affines, Ws, bs, strict=True)]
        for layer, (gamma, beta, mean, variance) in zip(self.norms, own, strict=True):
            places += [(layer, engine.PARAMETERS, gamma, beta), (layer, engine.RUNNING, mean, variance)]
        self._plan.read_all(places)
        coefs[:], intercepts[:], norms[:] = Ws, bs, own

    def _native(self, name, array):
        return checks.floats("fit", name, array, self.dtype)

    def _own(self, array):
        """The very array where the plan can write into it, else a new one of its shape."""
        if checks.ready(array, self.dtype) and array.flags.writeable:
            return array
        return np.empty(np.shape(array), self.dtype)

    def finite(self, intercepts: list[Array], norms: list[Array]) -> bool:
        """Whether all parameters are; False may also come from squares that overflow."""
        return math.isfinite(self._plan.weight_square()) and all(
            np.isfinite(array).all() for array in (*intercepts, *norms)
        )


_ATTRIBUTES = frozenset(
    (
        "entries",
        "affines",
        "norms",
        "loss",
        "n_states",
        "first_rate",
        "numbers",
        "asked",
        "told",
        "schedule",
        "power_t",
        "n_threads",
        "dtype",
        "seed",
        "keep_gradients",
        "epochs",
        "steps",
        "drawn",
        "_states",
        "_plan",
    )
)


def _optimizer(asked) -> Rule:
    """What trains as an estimator's solver does; of "lbfgs" one that is not used."""
    momentum = float(asked["momentum"])
    if asked["solver"] == "sgd":
        nesterov = bool(asked["nesterovs_momentum"] and momentum)
        return OPTIMIZERS["sgd"](momentum=momentum, nesterov=nesterov)
    return OPTIMIZERS.get(asked["solver"], OPTIMIZERS["sgd"])()


def _kept(asked):
    """The parameters that stay from one partial_fit to the next, as scikit-learn has it."""
    if asked["solver"] == "sgd":
        return READ[:6]
    return (*READ[:2], *(_OF[name] for name in _optimizer(asked).numbers() if name in _OF))


def _entries(units, activations, dropout, batch_norm):
    """The plan's description of each layer, and the places of affine and normalising ones."""
    entries: list[tuple[Any, ...]] = []
    affines: list[int] = []
    norms: list[int] = []
    for k in range(len(units) - 1):
        n_in, n_out = units[k], units[k + 1]
        affines.append(len(entries))
        entries.append(("affine", n_in, n_out, 0.0, 0.0, False))
        if k == len(activations):
            break
        if batch_norm:
            norms.append(len(entries))
            entries.append(("batch_norm", n_out, n_out, NORM_EPS, NORM_MOMENTUM, True))
        entry = ACTIVATIONS[activations[k]]().plan_entry(n_out)
        if entry is not None:
            entries.append(entry)
        if dropout[k]:
            entries.append(("dropout", n_out, n_out, dropout[k], 0.0, False))
    return entries, affines, norms
