from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

def batch_norm_forward(
    x: NDArray[Real],
    gamma: NDArray[Real],
    beta: NDArray[Real],
    out: NDArray[Real],
    normal: NDArray[Real],
    inverse: NDArray[Real],
    running_mean: NDArray[Real],
    running_var: NDArray[Real],
    eps: float,
    momentum: float,
    sample_variance: bool,
) -> None: ...
def batch_norm_backward(
    dout: NDArray[Real],
    normal: NDArray[Real],
    inverse: NDArray[Real],
    gamma: NDArray[Real],
    dx: NDArray[Real],
    dgamma: NDArray[Real],
    dbeta: NDArray[Real],
) -> None: ...
