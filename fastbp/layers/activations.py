"""Element-wise functions as layers."""

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp._kernels import passes
from fastbp.backend import kernels
from fastbp.layers.base import Layer
from fastbp.modules import Readable


class _Activation(Layer):
    """An element-wise function; `pullback` needs its output, or its input."""

    _forward_kernel: str
    _backward_kernel: str
    _needs_input = False
    #: Whether a Tensor handed in is changed; an array never is.
    inplace = False
    #: Its numbers among the activations that are compiled for tensors, and for arrays.
    _compiled: int
    _pass: int

    def __init_subclass__(cls, kernel=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if kernel:
            if kernel != "identity":
                cls.kind = kernel
                cls._compiled = getattr(core, kernel.upper())
            cls._pass = getattr(passes, kernel.upper())
            cls.node_name = "".join(map(str.capitalize, kernel.split("_"))) + "Backward0"
            cls._forward_kernel, cls._backward_kernel = f"{kernel}_forward", f"{kernel}_backward"

    @Readable
    def out(self):
        """The last forward's output."""
        return self._saved and self._saved[0]

    def _arguments(self):
        """What the kernels take beside the arrays."""
        return ()

    def on_tensor(self, x):
        if self.inplace:
            from fastbp.autograd.inplace import changed

            return changed(x, self._on_copy)
        out = core.activation(self._compiled, x, self.kind_number)
        if out is None:
            out = super().on_tensor(x if x.is_floating_point() else x.float())
        return out

    def _on_copy(self, x):
        out = core.activation(self._compiled, x, self.kind_number)
        return super().on_tensor(x) if out is None else out

    def link(self):
        return self._pass, self.kind_number, self

    def run(self, x, training):
        out = passes.activation_forward(self._pass, x, self.kind_number)
        if out is not None:
            return out, (out, x if self._needs_input else out)
        x = checks.floats(type(self).__name__, "x", x)
        out = np.empty(x.shape, x.dtype)
        forward = getattr(kernels(), self._forward_kernel)
        forward(x.reshape(-1), out.reshape(-1), *self._arguments())
        return out, (out, x if self._needs_input else out)

    def pullback(self, saved, dout, need_dx=True):
        if not need_dx:
            return None, ()
        out, needed = saved
        dx = passes.activation_backward(self._pass, dout, needed, self.kind_number)
        if dx is not None:
            return dx, ()
        dout = checks.gradient_of(type(self).__name__, dout, out.shape, out.dtype)
        dx = np.empty(out.shape, out.dtype)
        backward = getattr(kernels(), self._backward_kernel)
        backward(dout.reshape(-1), needed.reshape(-1), dx.reshape(-1), *self._arguments())
        return dx, ()


class Relu(_Activation, kernel="relu"):
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

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = checks.flag(type(self).__name__, "inplace", inplace)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""

    @Readable
    def mask(self):
        """True where the last forward's input was 0 or below."""
        return None if self._saved is None else self._saved[0] <= 0


ReLU = Relu


class Sigmoid(_Activation, kernel="sigmoid"):
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


class Tanh(_Activation, kernel="tanh"):
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


class Identity(_Activation, kernel="identity"):
    """The linear activation: ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> Identity().forward(np.array([1.0, -2.0]))
    array([ 1., -2.])
    """

    def on_tensor(self, x):
        return x


class LeakyRelu(_Activation, kernel="leaky_relu"):
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

    _needs_input = True

    slope = checks.Checked(checks.number, least=0)

    def __init__(self, slope=0.01):
        super().__init__()
        self.slope = slope

    @property
    def kind_number(self):
        return self.__dict__["slope"]

    def _arguments(self):
        return (self.__dict__["slope"],)

    def config(self):
        return {"slope": self.slope}


class Softplus(_Activation, kernel="softplus"):
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

    _needs_input = True


class Gelu(_Activation, kernel="gelu"):
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

    _needs_input = True
