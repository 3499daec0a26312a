"""Layers without parameters, where PyTorch's arguments are not the book's."""

import sys

import numpy as np

from fastbp import checks, layers
from fastbp.layers import activations
from fastbp.layers.activations import *  # noqa: F403
from fastbp.layers.activations import ActivationLayer
from fastbp.modules import Module
from fastbp.nn import functional
from fastbp.operations.activations import ACTIVATIONS

__all__ = [
    "GELU",
    "GLU",
    "Dropout",
    "Flatten",
    "LeakyReLU",
    "LogSoftmax",
    "Softmax",
    "Softmin",
    "Softplus",
    "Unflatten",
]
__all__ += activations.__all__


class Softplus(ActivationLayer, row="softplus_of"):
    """log(1 + exp(beta x)) / beta, and x where beta x is above the threshold.

    Parameters
    ----------
    beta, threshold : float

    Examples
    --------
    >>> Softplus()(np.array([0.0])).round(4)
    array([0.6931])
    """

    beta = checks.Checked(checks.as_number)
    threshold = checks.Checked(checks.as_number, finite=False)

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    @property
    def pair(self):  # type: ignore[override]
        return float(self.beta), float(self.threshold)

    def config(self):
        return {"beta": self.beta, "threshold": self.threshold}


class LeakyReLU(layers.LeakyRelu):
    """x above 0, negative_slope * x below: `fastbp.layers.LeakyRelu` with PyTorch's arguments.

    Parameters
    ----------
    negative_slope : float
        Of at least 0.
    inplace : bool
        A Tensor handed in becomes the result; an array is never written to.

    Examples
    --------
    >>> LeakyReLU(0.1)
    LeakyReLU(negative_slope=0.1)
    """

    def __init__(self, negative_slope=0.01, inplace=False):
        super().__init__(negative_slope)
        self.inplace = checks.flag(type(self).__name__, "inplace", inplace)

    @property
    def negative_slope(self):
        """The slope below 0."""
        return self.slope

    @negative_slope.setter
    def negative_slope(self, value):
        self.slope = checks.number(type(self).__name__, "negative_slope", value, least=0)

    def config(self):
        return {"negative_slope": self.slope}

    def extra_repr(self):
        return f"negative_slope={self.slope}" + (", inplace=True" if self.inplace else "")


class GELU(layers.Gelu):
    """x Phi(x), Phi the normal distribution function, or its approximation by "tanh".

    Parameters
    ----------
    approximate : {"none", "tanh"}

    Examples
    --------
    >>> GELU()(np.array([1.0])).round(4)
    array([0.8413])
    """

    approximate = checks.Checked(checks.choice, ("none", "tanh"))

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    @property
    def row(self):  # type: ignore[override]
        return ACTIVATIONS[self.kind]

    @property
    def kind(self):  # type: ignore[override]
        return "gelu" if self.approximate == "none" else "gelu_tanh"

    def config(self):
        return {"approximate": self.approximate}


class Dropout(layers.Dropout):
    """In training x / (1 - p), or 0 with probability p.

    Parameters
    ----------
    p : float
        Between 0 and 1.
    inplace : bool
        A Tensor handed in becomes the result; an array is never written to.

    Notes
    -----
    Masks are drawn from the stream of `fastbp.manual_seed`; those of `fit` from its own seed.

    Examples
    --------
    >>> Dropout(0.2)
    Dropout(p=0.2, inplace=False)
    """

    kept_names: tuple[str, ...] = ()

    dropout_ratio = checks.Checked(lambda who, _, p: functional._probability(who, p))

    def __init__(self, p=0.5, inplace=False):
        super().__init__(p, seed=0)
        self.inplace = checks.flag(type(self).__name__, "inplace", inplace)

    @property
    def p(self):
        """The probability that an element becomes 0."""
        return self.dropout_ratio

    @p.setter
    def p(self, value):
        self.dropout_ratio = value

    @property
    def kind(self):  # type: ignore[override]
        return "dropout" if self.dropout_ratio < 1 else "dropout of everything"

    def on_tensor(self, x):
        return functional.dropout(x, self.p, self.training, self.inplace)

    def run(self, x, training):
        x = checks.floats("Dropout", "x", x)
        if not training:
            return x, (x.shape, x.dtype, None)
        if self.p == 1:
            return np.zeros_like(x), (x.shape, x.dtype, False)
        key = functional.drawn_key()
        return self._mask(x, key), (x.shape, x.dtype, key)

    def pullback(self, saved, dout, need_dx=True):
        if saved[2] is False:
            dout = checks.gradient_of("Dropout", dout, *saved[:2])
            return np.zeros_like(dout), ()
        return super().pullback(saved, dout, need_dx)

    def config(self):
        return {"p": self.p}

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Flatten(layers.Flatten):
    """Joins some dimensions into one: by default all behind the first.

    Parameters
    ----------
    start_dim, end_dim : int
        The first and the last of them.  The training engine takes 1 and -1 only.

    Examples
    --------
    >>> Flatten()(np.zeros((10, 28, 28))).shape
    (10, 784)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    @property
    def kind(self):  # type: ignore[override]
        return None if (self.start_dim, self.end_dim) == (1, -1) else "flatten of other dimensions"

    def on_tensor(self, x):
        return x.flatten(self.start_dim, self.end_dim)

    def run(self, x, training):
        if self.kind is None:
            return super().run(x, training)
        x = checks.floats("Flatten", "x", x)
        start, end = self.start_dim % x.ndim, self.end_dim % x.ndim
        out = x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])
        return out, (x.shape, out.shape, out.dtype)

    def config(self):
        return {"start_dim": self.start_dim, "end_dim": self.end_dim}


class Unflatten(Module):
    """Splits a dimension into several.

    Examples
    --------
    >>> from fastbp.autograd import zeros
    >>> Unflatten(1, (2, 3))(zeros(5, 6)).shape
    fastbp.Size([5, 2, 3])
    """

    def __init__(self, dim, unflattened_size):
        super().__init__()
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input):
        """The reshaped input."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class GLU(Module):
    """One half of a dimension times sigmoid of the other, a gated linear unit.

    Examples
    --------
    >>> from fastbp.autograd import zeros
    >>> GLU()(zeros(5, 6)).shape
    fastbp.Size([5, 3])
    """

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = checks.integer("GLU", "dim", dim, least=-sys.maxsize)

    def forward(self, input):
        """The gated half."""
        return functional.glu(input, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class _OverDimension(layers.Layer):
    """A function that joins the elements along `dim`."""

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def _outputs(self, x):
        raise NotImplementedError

    def on_tensor(self, x):
        return self._outputs(x)

    def run(self, x, training):
        """On arrays by way of a tensor, whose graph is what `pullback` needs."""
        from fastbp.autograd import from_numpy

        x = from_numpy(checks.floats(type(self).__name__, "x", x)).requires_grad_()
        out = self._outputs(x)
        return out.numpy(force=True).copy(), (x, out)

    def pullback(self, saved, dout, need_dx=True):
        from fastbp.autograd import from_numpy, grad

        x, out = saved
        dout = checks.gradient_of(type(self).__name__, dout, out.array.shape, out.array.dtype)
        (dx,) = grad(out, x, from_numpy(dout), retain_graph=True)
        return dx.numpy(), ()

    def config(self):
        return {"dim": self.dim}

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(_OverDimension):
    """exp(x) / sum(exp(x)) over a dimension.

    Parameters
    ----------
    dim : int, optional
        None is PyTorch's guess, with a warning.

    Examples
    --------
    >>> Softmax(dim=1)(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """

    kind = "softmax as a layer"

    def _outputs(self, x):
        return functional.softmax(x, self.dim)


class Softmin(_OverDimension):
    """`Softmax` of -x."""

    kind = "softmin as a layer"

    def _outputs(self, x):
        return functional.softmin(x, self.dim)


class LogSoftmax(_OverDimension):
    """x - log(sum(exp(x))) over a dimension.

    Examples
    --------
    >>> LogSoftmax(dim=1)(np.array([[0.0, 0.0]])).round(4)
    array([[-0.6931, -0.6931]])
    """

    kind = "log-softmax as a layer"

    def _outputs(self, x):
        return functional.log_softmax(x, self.dim)
