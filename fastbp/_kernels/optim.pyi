from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

def rules() -> dict[str, tuple[int, int, tuple[str, ...], bool]]: ...
def update(
    name: str,
    param: NDArray[Real],
    grad: NDArray[Real],
    *states: NDArray[Real],
    lr: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    step: int = 1,
    **numbers: float,
) -> None: ...
