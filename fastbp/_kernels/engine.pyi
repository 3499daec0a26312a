from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYER_KINDS: dict[str, int]
LOSS_KINDS: dict[str | None, int]
PARAMETERS: int
GRADIENTS: int
FIRST_STATE: int
RUNNING: int

def max_threads() -> int: ...

class SparseRows:
    data: NDArray[Any]
    indices: NDArray[np.int64]
    indptr: NDArray[np.int64]
    n_columns: int
    def __init__(
        self, data: NDArray[Any], indices: NDArray[np.int64], indptr: NDArray[np.int64], n_columns: int
    ) -> None: ...
    def __len__(self) -> int: ...

class Plan:
    nbytes: int
    batch_size: int
    n_in: int
    n_out: int
    n_states: int
    steps: int
    changes: int
    synced: int
    fetched: int
    seed: int
    lr: float
    l2: float
    @property
    def dirty(self) -> bool: ...
    busy: bool
    closed: bool
    made_from: Any
    correct: float
    stopped_by_loss: bool
    overflowed: int
    to_blame: bool
    time_over: bool
    ranks: Any
    def __new__(
        cls,
        layers: Sequence[tuple[str, int, int, float, float, bool | tuple[tuple[int, int, int, int], ...]]],
        loss: str | None,
        batch_size: int,
        is_double: bool,
        n_states: int = 0,
        keep_gradients: bool = False,
        loss_number: float | tuple[tuple[str, float, int, float], ...] = 0.0,
        n_threads: int = 1,
        loss_scale: float | None = None,
        clip_loss: bool = False,
    ) -> Plan: ...
    averages: Any
    averages_begun: bool
    def keep_averages(self, decay: float) -> None: ...
    def flat(self, part: int) -> NDArray[Any]: ...
    def join(self, ranks: Any, average_every: int = 1) -> None: ...
    def set_rule(
        self,
        rule: str,
        *,
        lr: float,
        weight_decay: float = 0.0,
        bias_decay: float | None = None,
        decoupled: bool = False,
        clip_value: float = 0.0,
        clip_norm: float = 0.0,
        l2: float = 0.0,
        early_eps: bool = False,
        **numbers: float,
    ) -> None: ...
    def write(self, layer: int, part: int, W: NDArray[Any], b: NDArray[Any] | None = None) -> None: ...
    def read(self, layer: int, part: int, W: NDArray[Any], b: NDArray[Any] | None = None) -> None: ...
    def read_all(self, places: list[tuple[int, int, NDArray[Any], NDArray[Any] | None]]) -> None: ...
    def look_again(self) -> None: ...
    def adjust(self, layer: int, a: float, b: float) -> None: ...
    def adjust_loss(self, number: float) -> None: ...
    def converted(self, x: Any, t: Any, weights: Any) -> tuple[Any, Any, Any]: ...
    def diverged(self, loss: float, layer: int) -> FloatingPointError: ...
    def step(self, x: Any, t: Any) -> float: ...
    def gradient(self, x: Any, t: Any, weights: Any = None) -> float: ...
    def epoch(
        self,
        x: Any,
        t: Any,
        weights: Any,
        order: NDArray[np.int64],
        losses: NDArray[np.float64],
        reached: NDArray[np.float64] | None = None,
        lrs: NDArray[np.float64] | None = None,
        seconds: float = ...,
        batch_size: int = 0,
        parts: NDArray[np.int64] | None = None,
    ) -> tuple[int, float, float, float]: ...
    def shut(self) -> None: ...
    def first_non_finite(self, n_rows: int) -> int: ...
    def outputs(self, x: Any, out: NDArray[Any]) -> None: ...
    def backward(
        self,
        dout: NDArray[Any] | None,
        weight: float | None = None,
        update: bool = True,
        loss: float = 0.0,
        over: bool = False,
    ) -> float | None: ...
    def leave(self, error: BaseException) -> None: ...
    def weight_square(self) -> float: ...
