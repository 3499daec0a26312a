from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

def affine_forward(x: NDArray[Real], W: NDArray[Real], b: NDArray[Real], out: NDArray[Real]) -> None: ...
def affine_backward(
    dout: NDArray[Real],
    x: NDArray[Real],
    W: NDArray[Real],
    dx: NDArray[Real] | None,
    dW: NDArray[Real],
    db: NDArray[Real],
) -> None: ...
def bias_sum(dout: NDArray[Real], db: NDArray[Real]) -> None: ...
def transpose(x: NDArray[Real], out: NDArray[Real]) -> None: ...
