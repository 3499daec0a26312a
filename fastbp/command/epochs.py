"""A training as the command shows it: bars, lines of epochs, and what is said of one that diverges."""

import contextlib
import math
import shutil
import sys
from importlib.util import find_spec

__all__ = ["diverged", "lines", "progress_bar", "reading_bar"]

_AT_ONCE = 1.0  # seconds of reading that need no bar


def diverged(epoch, lr):
    """The error of a training whose loss is not finite."""
    return ValueError(f"the loss is not finite in epoch {epoch}: the training diverged, so take an --lr below {lr:g}")


def lines(bar, epochs, n_rows, lr, held_out, few=False):
    """A callback of `Sequential.fit` that prints epochs.

    Parameters
    ----------
    bar : tqdm.tqdm or _Lines
    epochs : int
    n_rows : int
        Of an epoch.
    lr : float
    held_out : str
        What the validation rows are called.
    few : bool
        Only the first epochs, and each tenth of what was.
    """

    def show(net, history):
        epoch = len(history)
        if history.val_loss and not math.isfinite(history.val_loss[-1]):
            raise diverged(epoch, lr)
        bar.update(n_rows)
        if few and epoch < epochs and epoch % 10 ** (len(str(epoch)) - 1) * (epoch > 9):
            return
        texts = [
            f"{name} {values[-1]:.4f}"
            for name, values in (
                ("loss", history.train_loss),
                (f"{held_out} loss", [] if history.val_accuracy else history.val_loss),
                ("train accuracy", history.train_accuracy),
                (f"{held_out} accuracy", history.val_accuracy),
            )
            if values
        ]
        line = "  ".join([f"epoch {epoch:{len(str(epochs))}}/{epochs}", *texts])
        if sys.stdout is not None:  # where the shell has closed it; older tqdm would fail
            bar.write(line)
        print(end="", flush=True)

    return show


@contextlib.contextmanager
def reading_bar(shows):
    """A function of rows that moves a bar on a terminal, if the reading of a file takes long; or None."""
    if not shows or sys.stderr is None or not sys.stderr.isatty() or find_spec("tqdm") is None:
        yield None
        return
    with _bar("reading", None, shows, delay=_AT_ONCE) as bar:
        yield bar.update


def progress_bar(n_rows, shows):
    """A bar of the rows of a training."""
    return _bar("training", n_rows, shows)


def _bar(what, n_rows, shows, **options):
    """A bar on stderr, if that is a terminal; elsewhere lines, without the time that tqdm's import takes."""
    if not shows or sys.stderr is None or not sys.stderr.isatty():
        return _Lines()
    from tqdm import tqdm

    columns, rows = shutil.get_terminal_size()  # 80 x 24 where the terminal does not say
    return tqdm(
        total=n_rows, desc=what, unit=" rows", unit_scale=True, ncols=columns, nrows=rows, leave=False, **options
    )


class _Lines:
    """What there is of a bar where nobody sees it move."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def update(self, n_rows):
        pass

    def write(self, line):
        print(line)
