from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

def dropout_key(seed: int, step: int, layer: int) -> int: ...
def dropout(x: NDArray[Real], out: NDArray[Real], key: int, ratio: float) -> None: ...
def epoch_order(order: NDArray[np.int64], seed: int, epoch: int) -> None: ...
