from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]

RELU: int
SIGMOID: int
TANH: int
LEAKY_RELU: int
SOFTPLUS: int
GELU: int
IDENTITY: int
SOFTMAX_LOSS: int
SIGMOID_LOSS: int
SQUARED_LOSS: int

def register(kernels: Callable[[], Any], compiled: Any) -> None: ...
def affine_forward(x: Any, W: Array, b: Array) -> Array | None: ...
def affine_backward(
    dout: Any, x: Array, W: Array, need_dx: bool
) -> tuple[Array | None, Array, Array] | None: ...
def activation_forward(function: int, x: Any, number: float) -> Array | None: ...
def activation_backward(function: int, dout: Any, needed: Array, number: float) -> Array | None: ...
def loss_forward(function: int, x: Any, t: Any) -> tuple[float, Array] | None: ...
def loss_backward(function: int, y: Any, t: Any, dout: float) -> Array | None: ...
