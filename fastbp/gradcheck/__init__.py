"""Numerical gradients, and the check of backpropagation against them.

`check` compares the two; `differences` has the numerical ones, `subjects` what is checked of a
network, layer or loss, `parameters` what is trained in a layer, `report` what was found, and
`words` what is refused.
"""

from fastbp.gradcheck.check import gradient_check
from fastbp.gradcheck.differences import numerical_gradient
from fastbp.gradcheck.report import GradientReport

__all__ = ["GradientReport", "gradient_check", "numerical_gradient"]
