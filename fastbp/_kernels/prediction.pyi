from collections.abc import Callable, Iterable
from typing import Any

from numpy.typing import NDArray

AFFINE: int
NORMALISE: int
EMBED: int

class Layers:
    count: int
    def __init__(
        self, entries: Iterable[tuple[int, float, float, Any]], threads_for: Callable[[float], int], count: int
    ) -> None: ...
    def __bool__(self) -> bool: ...
    def predict(self, x: Any) -> NDArray[Any] | None: ...
