"""Why a network does not learn: `diagnose` looks at a model, its rows and its training's course.

`examination` has it, `report` what it gives back, `subjects` what of a model is looked at, `passes` one forward and
backward through it that leaves no trace.  The findings: `data` of rows and targets, `structure` of
the layers and their weights, `signals` of activations and gradients, `course` of losses, rates and
who trains what.  `after_fit` is the line after `fit`.
"""

from fastbp.diagnosis.examination import diagnose
from fastbp.diagnosis.report import KINDS, Diagnosis, Finding, TrainingWarning

__all__ = ["KINDS", "Diagnosis", "Finding", "TrainingWarning", "diagnose"]
