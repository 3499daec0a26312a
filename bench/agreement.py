"""Whether all sides compute the same, which they have to before anything is timed."""

from dataclasses import replace

import numpy as np

from bench import peers
from bench.apart import Here
from bench.tasks import CannotExpress, NotCompiled

#: Of the loss, and of `difference`.
TOLERANCES = {
    ("float32", "sgd"): 1e-4, ("float32", "adam"): 2e-2,
    ("float64", "sgd"): 1e-9, ("float64", "adam"): 1e-9,
}  # fmt: skip
#: That of products in bfloat16, which has 8 bits.
BFLOAT16 = 2e-2
#: Small, as a sum that rounds across a ReLU's kink alters one sample's share of the gradient.
CHECKED_RATES = {"sgd": 0.01, "adam": 0.001}
#: Batches of an epoch that is checked.
CHECKED_BATCHES = 3


def checked(task, sides, whole=False):
    """Each side's difference from NumPy in float64 after one step, and who is left out.

    Of an epoch it is that after a few steps, and the first one's loss.

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
                    f"bench.grid expects every library where it writes; got none of {peer}: "
                    f"{skipped[peer]}."
                ) from None
            continue
        got, weights = side.first()
        apart = max(abs(got - loss) / abs(loss), difference(task, weights, expected))
        require_alike(task, peer, apart)
        differences[peer] = apart
    return differences, skipped


def require_alike(task, peer, apart):
    bound = tolerance(task, peer)
    if (peer, task.optimizer) not in peers.OWN_NUMBERS and not apart <= bound:
        of = f"{task.batches} steps" if task.batches else "one step"
        raise ArithmeticError(
            f"bench.grid expects {peer} to agree with NumPy in float64 to {bound:g} after {of}; "
            f"got a difference of {apart:.2g}."
        )


def difference(task, got, expected):
    """The largest difference of a weight, as a share of the largest weight.

    Adam's first step is nearly the gradient's sign times the rate, so that rounding decides it
    where a gradient is about 0: in float32 it is the root mean square of the difference, as a
    share of that of the update.
    """
    apart = [a - b for a, b in zip(got, expected, strict=True)]
    if (task.dtype, task.optimizer) == ("float32", "adam"):
        update = [a - b for a, b in zip(task.params, expected, strict=True)]
        return float(np.sqrt(sum_of_squares(apart) / sum_of_squares(update)))
    return float(max(np.abs(a).max() for a in apart) / max(np.abs(b).max() for b in expected))


def sum_of_squares(arrays):
    return sum(np.square(a).sum() for a in arrays)


def tolerance(task, peer=None):
    bound = TOLERANCES[task.dtype, task.optimizer]
    return max(bound, BFLOAT16) if peer in peers.LOWER else bound
