"""The line after `fit`: one warning where a training has come to nothing and its cause is found.

It is a warning, not a printed line: it is silenced or made an error by its category as all others are, goes to the
standard error beside a table or a bar, and once per place of a program.  `training.fit` asks for it where the losses
alone look vain, so that any other training pays for a look at three numbers.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from fastbp import checks
from fastbp.diagnosis.course import AT_GUESSING
from fastbp.diagnosis.data import guess_of
from fastbp.diagnosis.examination import diagnose
from fastbp.diagnosis.report import TrainingWarning
from fastbp.diagnosis.subjects import Subject, family_of

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.optim import Optimizer

__all__ = ["speak"]

#: What explains a training that learnt nothing; other findings may be, and do no harm.
CAUSES = frozenset({
    "labels_shifted", "softmax_of_one", "softmax_twice", "sigmoid_twice", "bounded_output", "symmetric_units",
    "inputs_not_normalised", "constant_inputs", "targets_not_scaled", "overflow", "rate_too_high", "dead_units",
    "saturated", "exploding_gradients", "vanishing_gradients", "biases_only", "rate_too_low",
})  # fmt: skip


def speak(net: Any, x: Array, t: Array, optimizer: Optimizer, batch_size: int) -> None:
    """Warn in one line where the loss of a few rows is that of guessing, or worse, and why.

    Parameters
    ----------
    net : Sequential
    x, t : numpy.ndarray
        A few rows of the training, and their targets as the engine takes them.
    optimizer : Optimizer
    batch_size : int

    Warns
    -----
    TrainingWarning
        With the first cause.
    """
    family = family_of(net.loss_layer)
    here = net.loss(x, t)
    guess = guess_of(Subject(net, [], net.loss_layer, family), t)
    if guess is not None and here < AT_GUESSING * guess:
        return
    found = diagnose(net, x, t, optimizer=optimizer, batch_size=batch_size)
    cause = next((each for each in found if each.kind in CAUSES), None)
    if cause is None:
        return
    level = "" if guess is None else f", where always the same answer gives {guess:.3g}"
    losses = checks.plural(len(net.history), "epoch")
    warnings.warn(
        f"The loss after {losses} is {here:.3g}{level}. {cause.sentence} net.diagnose(x, t) tells more.",
        TrainingWarning,
        stacklevel=4,
    )
