from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

def softmax_forward(x: NDArray[Real], y: NDArray[Real]) -> None: ...
def softmax_cross_entropy_forward(
    x: NDArray[Real],
    t: NDArray[np.int64],
    y: NDArray[Real],
) -> float: ...
def softmax_cross_entropy_backward(
    y: NDArray[Real],
    t: NDArray[np.int64],
    scale: float,
    dx: NDArray[Real],
) -> None: ...
def soft_cross_entropy_forward(x: NDArray[Real], t: NDArray[Real], y: NDArray[Real]) -> float: ...
def soft_cross_entropy_backward(
    y: NDArray[Real],
    t: NDArray[Real],
    scale: float,
    dx: NDArray[Real],
) -> None: ...
def sigmoid_cross_entropy_forward(
    x: NDArray[Real],
    t: NDArray[Real],
    y: NDArray[Real],
) -> float: ...
def sigmoid_cross_entropy_backward(
    y: NDArray[Real],
    t: NDArray[Real],
    scale: float,
    dx: NDArray[Real],
) -> None: ...
def squared_error_forward(y: NDArray[Real], t: NDArray[Real]) -> float: ...
def squared_error_backward(
    y: NDArray[Real],
    t: NDArray[Real],
    scale: float,
    dx: NDArray[Real],
) -> None: ...
def absolute_error_forward(y: NDArray[Real], t: NDArray[Real]) -> float: ...
def absolute_error_backward(
    y: NDArray[Real],
    t: NDArray[Real],
    scale: float,
    dx: NDArray[Real],
) -> None: ...
def huber_forward(y: NDArray[Real], t: NDArray[Real], delta: float) -> float: ...
def huber_backward(
    y: NDArray[Real],
    t: NDArray[Real],
    delta: float,
    scale: float,
    dx: NDArray[Real],
) -> None: ...
def quantile_forward(y: NDArray[Real], t: NDArray[Real], quantile: float) -> float: ...
def quantile_backward(
    y: NDArray[Real],
    t: NDArray[Real],
    quantile: float,
    scale: float,
    dx: NDArray[Real],
) -> None: ...
def poisson_forward(x: NDArray[Real], t: NDArray[Real], y: NDArray[Real]) -> float: ...
def poisson_backward(
    y: NDArray[Real],
    t: NDArray[Real],
    scale: float,
    dx: NDArray[Real],
) -> None: ...
