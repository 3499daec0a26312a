"""Element-wise functions as layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp._kernels import passes
from fastbp._kernels.autograd import TensorBase
from fastbp.backend import kernels
from fastbp.layers.base import Layer, runs
from fastbp.modules import Readable
from fastbp.operations.activations import ACTIVATIONS, SELU_ALPHA, SELU_SCALE, Activation

#: Those that `fastbp.nn` has too, under the same names.
__all__ = [
    "CELU",
    "ELU",
    "SELU",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LogSigmoid",
    "Mish",
    "ReLU6",
    "SiLU",
    "Softsign",
    "Tanhshrink",
    "Threshold",
]

#: Those that need no arguments, by the names of `from_config`, the estimators and the command line.
LAYERS: dict[str, type[ActivationLayer]] = {}


class ActivationLayer(Layer):
    """A row of `operations.activations` as a layer."""

    row: Activation
    node_name: str
    kind: str | None
    #: The row's numbers, such as a slope, as C has them, which are two.
    pair: tuple[float, float] = (0.0, 0.0)
    #: Whether a Tensor handed in is changed; an array never is.
    inplace = False

    def __init_subclass__(cls, row: Any = None, name: Any = None, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if row:
            cls.row = ACTIVATIONS[row]
            cls.kind = None if row == "identity" else row
            cls.node_name = cls.row.node
        if name:
            LAYERS[name] = cls

    @Readable
    def out(self) -> Any:
        """The last forward's output."""
        return self._saved and self._saved[0]

    @property
    def numbers(self) -> Any:
        """The numbers that the row has."""
        return self.pair[: len(self.row.numbers)]

    @runs
    def forward(self, x: Any) -> Any:
        if not isinstance(x, TensorBase):  # as in Layer.forward, without a call more
            out, self.__dict__["_saved"] = self.run(x, self.training)
            return out
        if not self.inplace:  # before on_tensor: two calls less
            a, b = self.pair
            out = core.activation(self.row.kind, x, a, b)
            if out is not None:
                return out
        return self.on_tensor(x)

    def on_tensor(self, x: Any) -> Any:
        from fastbp.autograd.elementwise import activation
        from fastbp.autograd.inplace import changed

        if self.inplace:
            return changed(x, activation, self.row, *self.numbers)
        return activation(x, self.row, *self.numbers)

    def link(self) -> Any:
        return self.row.kind, *self.pair, None

    def plan_entry(self, width: Any) -> Any:
        kind = self.kind
        return None if kind is None else (kind, width, width, *self.pair, False)

    def run(self, x: Any, training: Any) -> tuple[Any, tuple[Any, Any]]:
        row = self.row
        a, b = self.pair
        out = passes.activation_forward(row.kind, x, a, b)
        if out is not None:
            return out, (out, out if row.reads_output else x)
        x = checks.floats(type(self).__name__, "x", x)
        out = np.empty(x.shape, x.dtype)
        kernels().activation_forward(row.name, x.reshape(-1), out.reshape(-1), *self.numbers)
        return out, (out, out if row.reads_output else x)

    def pullback(self, saved: Any, dout: Any, need_dx: bool = True) -> tuple[Any, tuple[()]] | tuple[None, tuple[()]]:
        if not need_dx:
            return None, ()
        out, read = saved
        a, b = self.pair
        dx = passes.activation_backward(self.row.kind, dout, read, a, b)
        if dx is not None:
            return dx, ()
        dout = checks.gradient_of(type(self).__name__, dout, out.shape, out.dtype)
        dx = np.empty(out.shape, out.dtype)
        kernels().activation_backward(self.row.name, dout.reshape(-1), read.reshape(-1), dx.reshape(-1), *self.numbers)
        return dx, ()


class Relu(ActivationLayer, row="relu", name="relu"):
    """Rectified linear unit: ``max(x, 0)``; its derivative at 0 is taken as 0.

    NaN stays NaN.  `backward` leaves `dout` alone, where the book's overwrites it.

    Parameters
    ----------
    inplace : bool
        PyTorch's: a Tensor handed in becomes the result; an array is never written to.

    Attributes
    ----------
    mask : numpy.ndarray of bool or None
        True where the last forward's input was 0 or below.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.5.1.

    Examples
    --------
    >>> import numpy as np
    >>> relu = Relu()
    >>> relu.forward(np.array([[1.0, -0.5], [-2.0, 3.0]]))
    array([[1., 0.],
           [0., 3.]])
    >>> relu.mask
    array([[False,  True],
           [ True, False]])
    >>> relu.backward(np.ones((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """

    shown_name = "ReLU"  # as PyTorch's texts have it

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace: Any = checks.flag(type(self).__name__, "inplace", inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""

    @Readable
    def mask(self) -> Any:
        """True where the last forward's input was 0 or below."""
        return None if self._saved is None else self._saved[0] <= 0


ReLU = Relu


class Sigmoid(ActivationLayer, row="sigmoid", name="sigmoid"):
    """Logistic function: ``1 / (1 + exp(-x))``, without overflow for any x.

    Attributes
    ----------
    out : numpy.ndarray or None
        The last forward's output.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.5.2.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid = Sigmoid()
    >>> sigmoid.forward(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    >>> sigmoid.backward(np.array([1.0, 1.0]))
    array([0.25, 0.  ])
    """


class Tanh(ActivationLayer, row="tanh", name="tanh"):
    """Hyperbolic tangent: ``tanh(x)``; its derivative is ``1 - tanh(x)^2``.

    Attributes
    ----------
    out : numpy.ndarray or None
        The last forward's output.

    References
    ----------
    LeCun et al., Efficient BackProp (1998).

    Examples
    --------
    >>> import numpy as np
    >>> Tanh().forward(np.array([0.0, 100.0]))
    array([0., 1.])
    """


class Identity(ActivationLayer, row="identity", name="linear"):
    """The linear activation: ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> Identity().forward(np.array([1.0, -2.0]))
    array([ 1., -2.])
    """

    @runs
    def forward(self, x: Any) -> Any:
        return x if isinstance(x, TensorBase) else Layer.forward(self, x)


class LeakyRelu(ActivationLayer, row="leaky_relu", name="leaky_relu"):
    """Leaky rectified linear unit: ``x`` above 0, ``slope * x`` below.

    Parameters
    ----------
    slope : float
        Of at least 0.

    References
    ----------
    Maas et al., Rectifier nonlinearities improve neural network acoustic models (2013).

    Examples
    --------
    >>> import numpy as np
    >>> LeakyRelu(0.1).forward(np.array([1.0, -2.0]))
    array([ 1. , -0.2])
    """

    slope: Any = checks.Checked(checks.number, least=0)

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = slope

    @property
    def pair(self) -> tuple[Any, float]:  # type: ignore[override]
        return self.__dict__["slope"], 0.0

    def config(self) -> dict[str, Any]:
        return {"slope": self.slope}


class Softplus(ActivationLayer, row="softplus", name="softplus"):
    """Softplus: ``log(1 + exp(x))``, without overflow for any x.

    References
    ----------
    Dugas et al., Incorporating second-order functional knowledge (2001).

    Examples
    --------
    >>> import numpy as np
    >>> Softplus().forward(np.array([0.0, -1000.0])).round(4)
    array([0.6931, 0.    ])
    """


class Gelu(ActivationLayer, row="gelu", name="gelu"):
    """Gaussian error linear unit: ``x Phi(x)``, exact, Phi the normal distribution function.

    References
    ----------
    Hendrycks & Gimpel, Gaussian error linear units (2016).

    Examples
    --------
    >>> import numpy as np
    >>> Gelu().forward(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8413])
    """


class InPlaceActivation(ActivationLayer):
    """One with PyTorch's `inplace`: a Tensor handed in becomes the result; an array never does."""

    #: The arguments of the constructor before `inplace`.
    _options: tuple[str, ...] = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace: Any = checks.flag(type(self).__name__, "inplace", inplace)

    @property
    def pair(self) -> Any:  # type: ignore[override]
        return (*(float(getattr(self, name)) for name in self._options), 0.0, 0.0)[:2]

    def config(self) -> dict[Any, Any]:
        return {name: getattr(self, name) for name in self._options}

    def extra_repr(self) -> str:
        values = [f"{name}={getattr(self, name)}" for name in self._options]
        return ", ".join(values + ["inplace=True"] * self.inplace)


class ELU(InPlaceActivation, row="elu", name="elu"):
    """x above 0, alpha (exp(x) - 1) below.

    Parameters
    ----------
    alpha : float
    inplace : bool
        Here and in the other layers: a Tensor handed in becomes the result; an array is never
        written to.

    References
    ----------
    Clevert et al., Fast and accurate deep network learning by exponential linear units (2016).

    Examples
    --------
    >>> import numpy as np
    >>> ELU()(np.array([-1.0, 2.0])).round(4)
    array([-0.6321,  2.    ])
    """

    _options = ("alpha",)
    alpha: Any = checks.Checked(checks.as_number)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    @property
    def pair(self) -> tuple[float, float]:  # type: ignore[override]
        return float(self.alpha), 1.0


def _divisor(who, name, value):
    """A number other than 0, as it came."""
    if checks.as_number(who, name, value) == 0:
        raise ValueError(f"{who} expects {name} other than 0, which it divides by; got 0.")
    return value


class CELU(ELU, row="celu", name="celu"):
    """x above 0, alpha (exp(x / alpha) - 1) below."""

    alpha: Any = checks.Checked(_divisor)

    @property
    def pair(self) -> tuple[float, float]:  # type: ignore[override]
        return float(self.alpha), 0.0


class SELU(InPlaceActivation, row="elu", name="selu"):
    """The scaled `ELU` that keeps mean 0 and variance 1 (Klambauer et al., 2017)."""

    pair: Any = (SELU_SCALE * SELU_ALPHA, SELU_SCALE)


class SiLU(InPlaceActivation, row="silu", name="silu"):
    """x sigmoid(x).

    Examples
    --------
    >>> import numpy as np
    >>> SiLU()(np.array([1.0])).round(4)
    array([0.7311])
    """


class Mish(InPlaceActivation, row="mish", name="mish"):
    """x tanh(softplus(x))."""


class Hardtanh(InPlaceActivation, row="hardtanh", name="hardtanh"):
    """x between min_val and max_val, and the nearer of them beyond.

    Examples
    --------
    >>> import numpy as np
    >>> Hardtanh(-1, 1)(np.array([-3.0, 0.5]))
    array([-1. ,  0.5])
    """

    _options = ("min_val", "max_val")
    min_val: Any = checks.Checked(checks.as_number, finite=False)
    max_val: Any = checks.Checked(checks.as_number, finite=False)

    def __init__(self, min_val: Any = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.min_val, self.max_val = min_val, max_val

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._options:
            value = checks.as_number(type(self).__name__, name, value, finite=False)
            bounds = {"min_val": -math.inf, "max_val": math.inf, **vars(self), name: value}
            if not bounds["min_val"] < bounds["max_val"]:
                raise ValueError(
                    f"{type(self).__name__} expects min_val below max_val; got "
                    f"{bounds['min_val']} and {bounds['max_val']}."
                )
        super().__setattr__(name, value)


class ReLU6(Hardtanh, row="hardtanh", name="relu6"):
    """x between 0 and 6, and the nearer of them beyond."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def config(self) -> Any:
        bounds = super().config()
        return {} if bounds == {"min_val": 0.0, "max_val": 6.0} else bounds

    @classmethod
    def restore(cls, config: Any, state: Any) -> Any:
        layer = cls()
        for name in ("max_val", "min_val"):  # in this order neither passes the other
            setattr(layer, name, config.get(name, getattr(layer, name)))
        return layer

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(InPlaceActivation, row="hardsigmoid", name="hardsigmoid"):
    """x / 6 + 1/2 between 0 and 1."""


class Hardswish(InPlaceActivation, row="hardswish", name="hardswish"):
    """x hardsigmoid(x)."""


class LogSigmoid(InPlaceActivation, row="logsigmoid", name="logsigmoid"):
    """log(sigmoid(x))."""


class Softsign(InPlaceActivation, row="softsign", name="softsign"):
    """``x / (1 + |x|)``."""


class Tanhshrink(InPlaceActivation, row="tanhshrink", name="tanhshrink"):
    """x - tanh(x)."""


class Threshold(InPlaceActivation, row="threshold"):
    """x above a threshold, and `value` below."""

    _options = ("threshold", "value")
    threshold: Any = checks.Checked(checks.as_number)
    value: Any = checks.Checked(checks.as_number)

    def __init__(self, threshold: Any, value: Any, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold, self.value = threshold, value
