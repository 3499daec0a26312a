from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

def losses() -> dict[str, tuple[int, bool, int]]: ...
def softmax_forward(x: NDArray[Real], y: NDArray[Real]) -> None: ...
def softmax_cross_entropy_forward(
    x: NDArray[Real], t: NDArray[np.int64], y: NDArray[Real]
) -> float: ...
def softmax_cross_entropy_backward(
    y: NDArray[Real], t: NDArray[np.int64], scale: float, dx: NDArray[Real]
) -> None: ...
def soft_cross_entropy_forward(x: NDArray[Real], t: NDArray[Real], y: NDArray[Real]) -> float: ...
def soft_cross_entropy_backward(
    y: NDArray[Real], t: NDArray[Real], scale: float, dx: NDArray[Real]
) -> None: ...
def loss_forward(
    name: str,
    x: NDArray[Real],
    t: NDArray[Real],
    y: NDArray[Real] | None,
    *numbers: float,
) -> float: ...
def loss_backward(
    name: str,
    y: NDArray[Real],
    t: NDArray[Real],
    scale: float,
    dx: NDArray[Real],
    *numbers: float,
) -> None: ...
