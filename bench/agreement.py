"""Whether all sides compute the same, which they have to before anything is timed."""

from dataclasses import replace

import numpy as np

from bench import peers
from bench.apart import Here
from bench.tasks import CannotExpress, NotCompiled

#: How far the first loss may lie from NumPy's in float64, as a share of it.
LOSSES = {"float32": 1e-4, "float64": 1e-9}
#: How far the update may, as `difference` tells.  In float32 a weight's own rounding is a part of
#: its update, a sum that rounds across a ReLU's kink alters one sample's share of the gradient, and
#: Adam's first step is nearly the gradient's sign times the rate, which rounding decides about 0.
UPDATES = {("float32", "sgd"): 1e-2, ("float32", "adam"): 2e-2, ("float64", "sgd"): 1e-7, ("float64", "adam"): 1e-7}
#: Those of products in bfloat16, which has 8 bits, through up to 20 layers.
LOWER = {"loss": 2e-2, "sgd": 0.3, "adam": 0.5}
CHECKED_RATES = {"sgd": 0.1, "adam": 0.001}
#: Batches of an epoch that is checked.
CHECKED_BATCHES = 3


def checked(task, sides, whole=False):
    """Each side's difference from NumPy in float64 in the first update, and who is left out.

    The first losses are compared, too.  The update of an epoch is that of a few steps.

    Raises
    ------
    ArithmeticError
        Where a library computes something else.
    SystemExit
        Where one is not installed or does not compile, of a `whole` run.
    """
    few = CHECKED_BATCHES if task.batches else None
    task = replace(task, lr=CHECKED_RATES[task.optimizer], batches=few)
    exact = Here("NumPy")
    exact.begin(task.exact(), pinned=False)
    loss, expected = exact.first()
    differences, skipped = {}, {}
    for peer, side in sides.items():
        try:
            side.begin(task)
        except (ImportError, CannotExpress) as error:
            absent = isinstance(error, ImportError)
            skipped[peer] = f"{error.name} is not installed" if absent else str(error)
            if whole and (absent or isinstance(error, NotCompiled)):
                raise SystemExit(
                    f"bench.grid expects every library where it writes; got none of {peer}: {skipped[peer]}."
                ) from None
            continue
        got, weights = side.first()
        require_alike(task, peer, "loss", abs(got - loss) / abs(loss))
        differences[peer] = difference(task, weights, expected)
        require_alike(task, peer, "update", differences[peer])
    return differences, skipped


def require_alike(task, peer, what, apart):
    bound = tolerance(task, peer, what)
    own = what == "update" and (peer, task.optimizer) in peers.OWN_NUMBERS
    if not own and not apart <= bound:
        raise ArithmeticError(
            f"bench.grid expects {peer} to agree with NumPy in float64 to {bound:g} in the first "
            f"{what}; got a difference of {apart:.2g}."
        )


def tolerance(task, peer, what="update"):
    if peer in peers.LOWER:
        return LOWER["loss" if what == "loss" else task.optimizer]
    return LOSSES[task.dtype] if what == "loss" else UPDATES[task.dtype, task.optimizer]


def difference(task, got, expected):
    """The root mean square of the weights' difference, as a share of that of the update."""
    apart = [a - b for a, b in zip(got, expected, strict=True)]
    update = [a - b for a, b in zip(task.params, expected, strict=True)]
    return float(np.sqrt(sum_of_squares(apart) / sum_of_squares(update)))


def sum_of_squares(arrays):
    return sum(np.square(a, dtype="f8").sum() for a in arrays)
