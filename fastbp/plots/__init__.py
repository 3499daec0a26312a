"""Pictures with matplotlib.

Of trainings (`curves`), classes (`classes`), layers (`layers`) and losses (`surface`); `figures` has
what they share.
"""

from fastbp.plots.classes import confusion_matrix, decision_boundary
from fastbp.plots.curves import learning_curves, learning_rates, trials

__all__ = ["confusion_matrix", "decision_boundary", "learning_curves", "learning_rates", "trials"]
