"""Pictures with matplotlib.

Of trainings (`curves`), classes (`classes`), layers (`layers`) and losses (`surface`); `figures` has
what they share.
"""

from fastbp.plots.classes import confusion_matrix, decision_boundary
from fastbp.plots.curves import learning_curves, learning_rates, trials
from fastbp.plots.layers import Snapshots, histograms, network, weights
from fastbp.plots.surface import loss_surface

__all__ = [
    "Snapshots",
    "confusion_matrix",
    "decision_boundary",
    "histograms",
    "learning_curves",
    "learning_rates",
    "loss_surface",
    "network",
    "trials",
    "weights",
]
