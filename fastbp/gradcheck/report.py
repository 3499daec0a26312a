"""What a check found."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbp import checks


@dataclass(frozen=True, repr=False)
class GradientReport:
    """What `gradient_check` found; true if it passed.

    Attributes
    ----------
    passed : bool
    largest_relative_error : float
        Over all coordinates that were checked; inf where there is a `problem`.
    parameter : str
        The parameter in which it was found; "x" is the input.
    index : tuple of int or None
        The element; None for a step through all elements of the parameter at once.
    analytic, numeric : float
        Both derivatives there, by backpropagation and by differences.
    checked : int
        Coordinates that were compared.
    kinks : int
        Coordinates that were left out, because the loss has a kink within the step there.
    mean_absolute_difference : dict of str to float
        Of the coordinates checked, by parameter.
    tolerance : float
    problem : str
        Why nothing could be compared, if so; else empty.
    """

    passed: bool
    largest_relative_error: float
    parameter: str
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    checked: int
    kinks: int
    mean_absolute_difference: dict[str, float]
    tolerance: float
    problem: str = ""

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self):
        lines = [self._heading()]
        for name, text in self._rows().items():
            wrapped = textwrap.wrap(text, 80, max_lines=3, placeholder=" ...")
            for head, line in zip([name, "", ""], wrapped, strict=False):
                lines.append(f"  {head:<17}  {line}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from fastbp import markup

        return markup.table(self._rows().items(), caption=self._heading())

    def _heading(self):
        return f"gradient check {'passed' if self.passed else 'FAILED'}"

    def _rows(self):
        """{name: text} of what it says."""
        place = f"{self.parameter}{list(self.index) if self.index else ''}"
        if self.index is None:
            place += ", all elements at once"
        rows = {
            "largest error": f"{self.largest_relative_error:.1e} relative, tolerance {self.tolerance:.0e}",
            "found at": f"{place}: analytic {self.analytic:.6e}, numeric {self.numeric:.6e}",
            "problem": self.problem,
            "checked": f"{checks.plural(self.checked, 'coordinate')}; {checks.plural(self.kinks, 'kink')} skipped",
            "mean |difference|": ", ".join(
                f"{name} {value:.1e}" for name, value in self.mean_absolute_difference.items()
            ),
        }
        for name in ("largest error", "found at") if self.problem else ("problem",):
            del rows[name]
        return rows


def failure(name: Any, problem: Any, tolerance: Any, kinks: Any = 0) -> Any:
    return GradientReport(False, np.inf, name, None, np.nan, np.nan, 0, kinks, {name: np.nan}, tolerance, problem)


def joined(reports: Any) -> Any:
    """One report of those on the single parameters."""
    worst = max(reports, key=lambda report: report.largest_relative_error)
    return GradientReport(
        **{
            **vars(worst),
            "passed": all(reports),
            "checked": sum(report.checked for report in reports),
            "kinks": sum(report.kinks for report in reports),
            "mean_absolute_difference": {
                name: difference for report in reports for name, difference in report.mean_absolute_difference.items()
            },
        }
    )
