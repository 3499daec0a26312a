"""The book's nodes of a graph of plain numbers: `MulLayer` and `AddLayer`."""

from __future__ import annotations

from typing import Any

from fastbp import checks


class MulLayer:
    """The node ``x * y`` of a computational graph; numbers keep their type.

    Raises
    ------
    RuntimeError
        From backward before forward.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.4.1.

    Examples
    --------
    >>> node = MulLayer()
    >>> node.forward(100, 2)
    200
    >>> node.backward(1.1)
    (2.2, 110.00000000000001)
    """

    x: Any
    y: Any

    def __init__(self) -> None:
        self.x = None
        self.y = None

    def forward(self, x: Any, y: Any) -> Any:
        """The product x * y."""
        x, y = checks.real("MulLayer", "x", x), checks.real("MulLayer", "y", y)
        out = x * y
        self.x, self.y = x, y
        return out

    def backward(self, dout: Any) -> tuple[Any, Any]:
        """The gradients by x and by y."""
        checks.forward_was_called("MulLayer", self.x)
        dout = checks.real("MulLayer.backward", "dout", dout)
        return dout * self.y, dout * self.x


class AddLayer:
    """The node ``x + y`` of a computational graph; numbers keep their type.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.4.2.

    Examples
    --------
    >>> node = AddLayer()
    >>> node.forward(200, 450)
    650
    >>> node.backward(1.1)
    (1.1, 1.1)
    """

    def forward(self, x: Any, y: Any) -> Any:
        """The sum x + y."""
        return checks.real("AddLayer", "x", x) + checks.real("AddLayer", "y", y)

    def backward(self, dout: Any) -> tuple[Any, Any]:
        """The gradients by x and by y."""
        dout = checks.real("AddLayer.backward", "dout", dout)
        return dout * 1, dout * 1
