"""Layers without parameters, where PyTorch's arguments are not the book's."""

import math
import sys

import numpy as np

from fastbp import checks, layers
from fastbp.autograd.inplace import changed
from fastbp.modules import Module
from fastbp.nn import elements, functional

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Dropout",
    "Flatten",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "ReLU6",
    "SiLU",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanhshrink",
    "Threshold",
    "Unflatten",
]


def _number(who, name, value, finite=True):
    """A number, as it came."""
    checks.number(who, name, value, finite=finite)
    return value


class _ByElement(layers.Layer):
    """An activation of `elements`: the training engine does not know it."""

    #: Its name in `elements`.
    element: str
    _options: tuple[str, ...] = ()

    def __init_subclass__(cls, element=None, **keywords):
        super().__init_subclass__(**keywords)
        if element:
            cls.element = element
            if not isinstance(vars(cls).get("kind"), property):
                cls.kind = element

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = checks.flag(type(self).__name__, "inplace", inplace)

    def _arguments(self):
        return tuple(getattr(self, name) for name in self._options)

    def on_tensor(self, x):
        return changed(x, self._of_tensor) if self.inplace else self._of_tensor(x)

    def _of_tensor(self, x):
        return functional._by_element(self.element, x, self._arguments())

    def run(self, x, training):
        x = checks.floats(type(self).__name__, "x", x)
        return elements.value(self.element, x, self._arguments()), x

    def pullback(self, saved, dout, need_dx=True):
        dout = checks.gradient_of(type(self).__name__, dout, saved.shape, saved.dtype)
        return elements.pullback(self.element, saved, dout, self._arguments()), ()

    def config(self):
        return {name: getattr(self, name) for name in self._options}

    def extra_repr(self):
        values = [f"{name}={getattr(self, name)}" for name in self._options]
        return ", ".join(values + ["inplace=True"] * self.inplace)


class ELU(_ByElement, element="elu"):
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
    >>> ELU()(np.array([-1.0, 2.0])).round(4)
    array([-0.6321,  2.    ])
    """

    _options = ("alpha",)
    alpha = checks.Checked(_number)

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__(inplace)
        self.alpha = alpha


def _divisor(who, name, value):
    """A number other than 0, as it came."""
    if _number(who, name, value) == 0:
        raise ValueError(f"{who} expects {name} other than 0, which it divides by; got 0.")
    return value


class CELU(ELU, element="celu"):
    """x above 0, alpha (exp(x / alpha) - 1) below."""

    alpha = checks.Checked(_divisor)


class SELU(_ByElement, element="selu"):
    """The scaled `ELU` that keeps mean 0 and variance 1 (Klambauer et al., 2017)."""


class SiLU(_ByElement, element="silu"):
    """x sigmoid(x).

    Examples
    --------
    >>> SiLU()(np.array([1.0])).round(4)
    array([0.7311])
    """


class Mish(_ByElement, element="mish"):
    """x tanh(softplus(x))."""


class Hardtanh(_ByElement, element="hardtanh"):
    """x between min_val and max_val, and the nearer of them beyond.

    Examples
    --------
    >>> Hardtanh(-1, 1)(np.array([-3.0, 0.5]))
    array([-1. ,  0.5])
    """

    _options = ("min_val", "max_val")
    min_val = checks.Checked(_number, finite=False)
    max_val = checks.Checked(_number, finite=False)

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False):
        super().__init__(inplace)
        self.min_val, self.max_val = min_val, max_val

    def __setattr__(self, name, value):
        if name in self._options:
            value = _number(type(self).__name__, name, value, finite=False)
            bounds = {"min_val": -math.inf, "max_val": math.inf, **vars(self), name: value}
            if not bounds["min_val"] < bounds["max_val"]:
                raise ValueError(
                    f"{type(self).__name__} expects min_val below max_val; got "
                    f"{bounds['min_val']} and {bounds['max_val']}."
                )
        super().__setattr__(name, value)


class ReLU6(Hardtanh, element="hardtanh"):
    """x between 0 and 6, and the nearer of them beyond."""

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)

    def config(self):
        bounds = super().config()
        return {} if bounds == {"min_val": 0.0, "max_val": 6.0} else bounds

    @classmethod
    def restore(cls, config, state):
        layer = cls()
        for name in ("max_val", "min_val"):  # in this order neither passes the other
            setattr(layer, name, config.get(name, getattr(layer, name)))
        return layer

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(_ByElement, element="hardsigmoid"):
    """x / 6 + 1/2 between 0 and 1."""


class Hardswish(_ByElement, element="hardswish"):
    """x hardsigmoid(x)."""


class LogSigmoid(_ByElement, element="logsigmoid"):
    """log(sigmoid(x))."""


class Softsign(_ByElement, element="softsign"):
    """x / (1 + |x|)."""


class Tanhshrink(_ByElement, element="tanhshrink"):
    """x - tanh(x)."""


class Threshold(_ByElement, element="threshold"):
    """x above a threshold, and `value` below."""

    _options = ("threshold", "value")
    threshold = checks.Checked(_number)
    value = checks.Checked(_number)

    def __init__(self, threshold, value, inplace=False):
        super().__init__(inplace)
        self.threshold, self.value = threshold, value


class Softplus(_ByElement, element="softplus"):
    """log(1 + exp(beta x)) / beta, and x where beta x is above the threshold.

    Parameters
    ----------
    beta : float
        The training engine takes 1 only.
    threshold : float
        Beyond 20 the two are the same to float32; the training engine takes no lower one.

    Examples
    --------
    >>> Softplus()(np.array([0.0])).round(4)
    array([0.6931])
    """

    _options = ("beta", "threshold")
    beta = checks.Checked(_number)
    threshold = checks.Checked(_number, finite=False)

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    @property
    def kind(self):  # type: ignore[override]
        same = self.beta == 1 and self.threshold >= 20
        return "softplus" if same else "softplus of another beta or threshold"


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
        The training engine takes "none" only.

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
    def kind(self):  # type: ignore[override]
        return "gelu" if self.approximate == "none" else "gelu by tanh"

    def on_tensor(self, x):
        return functional.gelu(x, self.approximate)

    def run(self, x, training):
        if self.approximate == "none":
            return super().run(x, training)
        x = checks.floats("GELU", "x", x)
        out = elements.value("gelu_tanh", x)
        return out, (out, x)

    def pullback(self, saved, dout, need_dx=True):
        if self.approximate == "none":
            return super().pullback(saved, dout, need_dx)
        out, x = saved
        dout = checks.gradient_of("GELU", dout, out.shape, out.dtype)
        return elements.pullback("gelu_tanh", x, dout), ()

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
