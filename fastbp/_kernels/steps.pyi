from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

def running_steps() -> int: ...

class Stepper:
    def __init__(
        self,
        rows: Sequence[tuple[str | None, str, tuple[str, ...], dict[str, tuple[str, int]]]],
        counts: bool,
        decoupled: bool | str,
    ) -> None: ...
    def __call__(self, group: dict[str, Any], state: MutableMapping[Any, Any], begin: Callable[..., Any]) -> None: ...
