from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

def activations() -> dict[str, tuple[int, bool, int]]: ...
def activation_forward(name: str, x: NDArray[Real], out: NDArray[Real], *numbers: float) -> None: ...
def activation_backward(
    name: str, dout: NDArray[Real], read: NDArray[Real], dx: NDArray[Real], *numbers: float
) -> None: ...
