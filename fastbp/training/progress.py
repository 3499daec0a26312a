"""The bar of a training's epochs."""

import functools
import sys

from fastbp import checks


def bar_of(who, epochs):
    """A function that opens tqdm's bar on stderr, where there is one.

    Raises
    ------
    ImportError
        Without tqdm.
    """
    try:
        import tqdm
    except ImportError:
        raise checks.missing_extra("tqdm", f"{who}(progress=True)") from None
    return functools.partial(tqdm.tqdm, total=epochs, unit="epoch", disable=sys.stderr is None)
