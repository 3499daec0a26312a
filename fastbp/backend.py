"""Which kernels run: the compiled ones, or their NumPy twins."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Self

from fastbp import _kernels, checks, reference
from fastbp._kernels import passes

_BACKENDS = {"compiled": _kernels, "reference": reference}
_current = ContextVar("fastbp.backend", default=_kernels)

#: The module whose functions run now: ``kernels().affine_forward(...)``.
kernels = _current.get
passes.register(kernels, _kernels)


class use:
    """Run the kernels of one backend inside a ``with`` block.

    Parameters
    ----------
    backend : {"compiled", "reference"}
        "reference" runs the NumPy twins of `fastbp.reference`: for reading along with a
        debugger, and for telling a kernel's bug from one's own.

    Raises
    ------
    ValueError
        For another name.

    Notes
    -----
    The choice holds for the current thread (or task) only, and ends with the block. Where threads
    inherit their context (`sys.flags.thread_inherit_context`), as on a free-threaded Python, it
    holds for those started in the block too, to their end.

    Examples
    --------
    >>> import numpy as np
    >>> import fastbp
    >>> layer = fastbp.layers.Sigmoid()
    >>> with fastbp.use("reference"):
    ...     layer.forward(np.array([0.0, 2.0])).round(4)
    array([0.5   , 0.8808])
    """

    def __init__(self, backend: Any) -> None:
        self._module = _BACKENDS[checks.choice("use", "backend", backend, tuple(_BACKENDS))]
        self._tokens: list[Any] = []

    def __enter__(self) -> Self:
        self._tokens.append(_current.set(self._module))
        return self

    def __exit__(self, *error: Any) -> None:
        _current.reset(self._tokens.pop())
