from collections.abc import Callable, Iterable
from typing import Any

from numpy.typing import NDArray

AFFINE: int
NORMALISE: int

class Layers:
    def __init__(
        self, entries: Iterable[tuple[int, float, float, Any]], threads_for: Callable[[float], int]
    ) -> None: ...
    def predict(self, x: Any) -> NDArray[Any] | None: ...
