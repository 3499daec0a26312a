"""What `diagnose` gives back: `Finding`, `Diagnosis`, and the warning's category."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

__all__ = ["KINDS", "Diagnosis", "Finding", "TrainingWarning"]

#: The kinds of findings, causes before what follows from them: a diagnosis is in this order.
KINDS = {
    "inputs_not_finite": "NaN or infinity in x",
    "targets_not_finite": "NaN or infinity in t",
    "labels_shifted": "classes that count from 1, or from -1",
    "more_classes_than_outputs": "a class that has no output",
    "softmax_of_one": "a softmax over one output, which is always 1",
    "labels_do_not_fit": "targets that the loss does not take",
    "rebound_weights": "weights that nobody trains any more",
    "forgotten_zero_grad": "gradients that add up over the steps",
    "softmax_twice": "a softmax before a loss that has its own",
    "sigmoid_twice": "a sigmoid before a loss that has its own",
    "log_softmax_missing": "outputs that are no log-probabilities before a loss that takes these",
    "bounded_output": "outputs that cannot take the values which the loss or the targets ask for",
    "symmetric_units": "units that began alike and stay alike",
    "inputs_not_normalised": "inputs of another size than about 1, or of very different ones",
    "constant_inputs": "inputs that are the same in all rows",
    "targets_not_scaled": "targets of a regression far from the size 1",
    "constant_labels": "targets that are all the same",
    "missing_classes": "classes of which there is no row",
    "no_activation": "affine layers with no activation between them",
    "overflow": "numbers that are not finite, or nearly so, from finite inputs",
    "rate_too_high": "a learning rate above what the network stands",
    "dead_units": "units that give 0 for every row",
    "saturated": "sigmoids and the like at their ends, where their slope is 0",
    "exploding_gradients": "gradients that grow from layer to layer on their way back",
    "vanishing_gradients": "gradients that shrink from layer to layer on their way back",
    "biases_only": "a layer whose biases alone have a gradient",
    "rate_too_low": "a learning rate at which nothing moves",
    "dropout_at_evaluation": "dropout that still drops in evaluation",
    "tiny_batches": "batch normalisation by the statistics of a few rows",
    "guessing": "a loss as of always the same answer, after training",
}
_ORDER = {kind: place for place, kind in enumerate(KINDS)}


class TrainingWarning(UserWarning):
    """What `fit` warns of where a training has come to nothing and the cause is found.

    Examples
    --------
    >>> import warnings
    >>> warnings.filterwarnings("ignore", category=TrainingWarning)
    """


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    kind : str
        A key of `KINDS`.
    layer : int or None
        The place of the layer among the model's, from 0; None where it is no layer's.
    name : str
        The layer's class, behind its name where it has one; "" where it is no layer's.
    value : float
        The number that tells: a share, a ratio, a size.
    sentence : str
        The number, the layer, the likely cause and the cure.
    """

    kind: str
    layer: int | None
    name: str
    value: float
    sentence: str

    def __str__(self) -> str:
        return self.sentence


class Diagnosis:
    """What `diagnose` found, causes first.

    It is true where something was found, has a length, gives its findings one by one, and
    ``"dead_units" in diagnosis`` asks for a kind.

    Attributes
    ----------
    findings : tuple of Finding
    looked_at : str
        What was looked at, in words.

    Examples
    --------
    >>> found = Diagnosis([Finding("guessing", None, "", 2.3, "The loss is that of guessing.")])
    >>> bool(found), len(found), "guessing" in found
    (True, 1, True)
    >>> print(found)
    1 finding:
    1. guessing: The loss is that of guessing.
    """

    def __init__(self, findings: Any, looked_at: Any = "") -> None:
        self.findings: Any = tuple(sorted(findings, key=lambda finding: _ORDER[finding.kind]))
        self.looked_at = looked_at

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The kinds that were found, in their order, each once."""
        return tuple(dict.fromkeys(finding.kind for finding in self.findings))

    def __bool__(self) -> bool:
        return bool(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.findings)

    def __getitem__(self, place: Any) -> Any:
        return self.findings[place]

    def __contains__(self, kind: Any) -> bool:
        return kind in self.kinds or kind in self.findings

    def _heading(self):
        n = len(self.findings)
        found = "Nothing found" if n == 0 else f"{n} finding{'s' * (n > 1)}"
        return f"{found} in {self.looked_at}" if self.looked_at else found

    def __str__(self) -> str:
        lines = [f"{place}. {each.kind}: {each.sentence}" for place, each in enumerate(self.findings, 1)]
        return "\n".join([self._heading() + (":" if lines else "."), *lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from fastbp import markup

        rows = [(each.kind, _where(each), each.sentence) for each in self.findings]
        return markup.table(rows, caption=self._heading() + (":" if rows else "."))


def _where(finding):
    return "" if finding.layer is None else f"{finding.layer} ({finding.name})"
