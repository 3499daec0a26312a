"""The bar of a training's epochs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from fastbp import checks

#: Seconds between two pictures of the bar: an epoch may take microseconds.
INTERVAL = 0.1


class Bar:
    """tqdm's bar on a terminal or in a notebook; none elsewhere, where each picture would be a line of a log.

    Parameters
    ----------
    who : str
        Whose `progress=True` it is.
    epochs : int

    Raises
    ------
    ImportError
        Without tqdm.
    """

    def __init__(self, who: str, epochs: int) -> None:
        try:
            import tqdm
            import tqdm.auto
        except ImportError:
            raise checks.missing_extra("tqdm", f"{who}(progress=True)") from None
        self._open, self._epochs = tqdm.auto.tqdm, epochs
        self._bar: Any = None

    def start(self, done: int) -> None:
        """Show it, after so many epochs."""
        notebook = "ipykernel" in sys.modules
        hidden = sys.stderr is None or (None if not notebook else False)  # None: where it is no terminal
        self._bar = self._open(total=self._epochs, initial=done, unit="epoch", disable=hidden)
        self._done, self._due = done, 0.0

    def epoch(self, text: Callable[[], str]) -> None:
        """An epoch is over; ``text()`` says how it went."""
        self._done += 1
        now = time.monotonic()
        if now >= self._due and not self._bar.disable:
            self._show(text)
            self._due = now + INTERVAL

    def close(self, text: Callable[[], str]) -> None:
        """The training is over."""
        if self._bar is not None:
            if not self._bar.disable and self._done > self._bar.initial:
                self._show(text)
            self._bar.close()

    def _show(self, text):
        self._bar.set_postfix_str(text(), refresh=False)
        self._bar.update(self._done - self._bar.n)
        self._bar.refresh()
