from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

def categories_hold(x: NDArray[np.float32 | np.float64 | np.uint8], sizes: NDArray[np.int64]) -> bool: ...
def embedding_forward(
    W: NDArray[Real], places: NDArray[np.int64], widths: NDArray[np.int64], out: NDArray[Real]
) -> None: ...
def embedding_backward(
    dout: NDArray[Real], places: NDArray[np.int64], widths: NDArray[np.int64], dW: NDArray[Real]
) -> None: ...
