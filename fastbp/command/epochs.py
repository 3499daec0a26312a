"""A training as the command shows it: a bar, lines of epochs, and what is said of one that diverges."""

import math
import shutil
import sys

__all__ = ["diverged", "lines", "progress_bar"]


def diverged(epoch, lr):
    """The error of a training whose loss is not finite."""
    return ValueError(f"the loss is not finite in epoch {epoch}: the training diverged, so take an --lr below {lr:g}")


def lines(bar, epochs, n_rows, lr, held_out, few=False):
    """A callback of `Sequential.fit` that prints epochs.

    Parameters
    ----------
    bar : tqdm.tqdm
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


def progress_bar(n_rows, shows):
    """A bar on stderr, if there is one and that is a terminal."""
    from tqdm import tqdm

    columns, rows = shutil.get_terminal_size()  # 80 x 24 where the terminal does not say
    return tqdm(
        total=n_rows,
        desc="training",
        unit=" rows",
        unit_scale=True,
        ncols=columns,
        nrows=rows,
        disable=sys.stderr is None or not shows or None,
        leave=False,
    )
