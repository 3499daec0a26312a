from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

class Windows:
    nbytes: int
    streams: bool
    def __init__(self, windows: Sequence[np.ndarray[Any, Any]], rank: int, barrier: Callable[[], Any]) -> None: ...
    def close(self) -> None: ...
    def sum(self, buffer: np.ndarray[Any, Any]) -> None: ...
