from collections.abc import Callable, MutableMapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

def running_steps() -> int: ...
def sgd_update(
    param: NDArray[Real],
    grad: NDArray[Real],
    velocity: NDArray[Real] | None,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None: ...
def adagrad_update(
    param: NDArray[Real],
    grad: NDArray[Real],
    square_sum: NDArray[Real],
    lr: float,
    eps: float,
    weight_decay: float,
) -> None: ...
def rmsprop_update(
    param: NDArray[Real],
    grad: NDArray[Real],
    square_mean: NDArray[Real],
    velocity: NDArray[Real] | None,
    lr: float,
    alpha: float,
    eps: float,
    momentum: float,
    weight_decay: float,
) -> None: ...
def adam_update(
    param: NDArray[Real],
    grad: NDArray[Real],
    mean: NDArray[Real],
    square_mean: NDArray[Real],
    lr: float,
    beta_1: float,
    beta_2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
) -> None: ...
def sgd_step(
    group: dict[str, Any], state: MutableMapping[Any, Any], begin: Callable[..., Any]
) -> None: ...
def adagrad_step(
    group: dict[str, Any], state: MutableMapping[Any, Any], begin: Callable[..., Any]
) -> None: ...
def rmsprop_step(
    group: dict[str, Any], state: MutableMapping[Any, Any], begin: Callable[..., Any]
) -> None: ...
def adam_step(
    group: dict[str, Any], state: MutableMapping[Any, Any], begin: Callable[..., Any]
) -> None: ...
