"""The activations of `operations` in ONNX's nodes and in C: one row of each."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Translation(NamedTuple):
    """A row.

    Parameters
    ----------
    c : str
        A C expression of the float x and the numbers a and b.
    nodes : callable
        ``nodes(x, *numbers)`` of an `onnx_file.Value`, of nodes that runtimes have in float64 too.
    native : callable or None
        ``native(*numbers)``: ONNX's own operator and its attributes, where there is one; runtimes
        have most of these in float32 only.
    """

    c: str
    nodes: Callable[..., Any]
    native: Callable[..., tuple[str, dict[str, Any]]] | None = None


def _own(name, **attributes):
    return lambda *numbers: (name, attributes)


def _softplus(x):
    """log(1 + exp(x)), which cannot overflow."""
    return x.op("Relu") + (1 + (-x.op("Abs")).op("Exp")).op("Log")


def _below(x, slope):
    """slope (exp(x) - 1) below 0."""
    return slope * ((-(-x).op("Relu")).op("Exp") - 1)


def _elu(x, below, scale):
    return (x > 0).where(scale * x, _below(x, below))


def _native_elu(below, scale):
    if scale == 1:
        return "Elu", {"alpha": below}
    return "Selu", {"alpha": below / scale, "gamma": scale}


def _hardsigmoid(x):
    return (x + 3).clip(0, 6) / 6


def _softplus_of(x, beta, threshold):
    return (beta * x > threshold).where(x, _softplus(beta * x) / beta)


def _native_softplus_of(beta, threshold):
    # What lies above this threshold is the same in float32.
    return ("Softplus", {}) if beta == 1 and threshold >= 20 else (None, {})


_SOFTPLUS = "(x < 0 ? 0 : x) + log1pf(expf(-fabsf(x)))"
_ROOT_2_OVER_PI = math.sqrt(2 / math.pi)

ROWS: dict[str, Translation] = {
    "relu": Translation("x < 0 ? 0 : x", lambda x: x.op("Relu")),
    "sigmoid": Translation("1 / (1 + expf(-x))", lambda x: x.op("Sigmoid")),
    "tanh": Translation("tanhf(x)", lambda x: x.op("Tanh")),
    "identity": Translation("x", lambda x: x),
    "leaky_relu": Translation(
        "x > 0 ? x : a * x", lambda x, slope: (x > 0).where(x, slope * x), lambda slope: ("LeakyRelu", {"alpha": slope})
    ),
    "softplus": Translation(_SOFTPLUS, _softplus, _own("Softplus")),
    "softplus_of": Translation(
        "a * x > b ? x : ((a * x < 0 ? 0 : a * x) + log1pf(expf(-fabsf(a * x)))) / a", _softplus_of, _native_softplus_of
    ),
    "gelu": Translation(
        "x < -20 ? 0 : 0.5f * x * erfcf(-0.70710678f * x)",
        lambda x: 0.5 * x * (1 + (math.sqrt(0.5) * x).erf()),
        _own("Gelu", approximate="none"),
    ),
    "gelu_tanh": Translation(
        "x / (1 + expf(-1.59576912f * (x + 0.044715f * x * x * x)))",
        lambda x: x * (2 * _ROOT_2_OVER_PI * (x + 0.044715 * x * x * x)).op("Sigmoid"),
        _own("Gelu", approximate="tanh"),
    ),
    "elu": Translation("x > 0 ? b * x : a * expm1f(x)", _elu, _native_elu),
    "celu": Translation(
        "x > 0 ? x : a * expm1f(x / a)",
        lambda x, alpha: (x > 0).where(x, alpha * ((-(-x).op("Relu") / alpha).op("Exp") - 1)),
        lambda alpha: ("Celu", {"alpha": alpha}),
    ),
    "silu": Translation("x / (1 + expf(-x))", lambda x: x * x.op("Sigmoid")),
    "mish": Translation(f"x * tanhf({_SOFTPLUS})", lambda x: x * _softplus(x).op("Tanh"), _own("Mish")),
    "hardtanh": Translation("x < a ? a : x > b ? b : x", lambda x, low, high: x.clip(low, high)),
    "hardsigmoid": Translation(
        "x < -3 ? 0 : x > 3 ? 1 : (x + 3) / 6", _hardsigmoid, _own("HardSigmoid", alpha=1 / 6, beta=0.5)
    ),
    "hardswish": Translation(
        "x < -3 ? 0 : x > 3 ? x : x * (x + 3) / 6", lambda x: x * _hardsigmoid(x), _own("HardSwish")
    ),
    "logsigmoid": Translation("-((x > 0 ? 0 : -x) + log1pf(expf(-fabsf(x))))", lambda x: -_softplus(-x)),
    "softsign": Translation("x / (1 + fabsf(x))", lambda x: x / (1 + x.op("Abs")), _own("Softsign")),
    "tanhshrink": Translation("x - tanhf(x)", lambda x: x - x.op("Tanh")),
    "threshold": Translation("x <= a ? b : x", lambda x, at, below: (x <= at).where(below, x)),
    "erf": Translation("erff(x)", lambda x: x.erf(), _own("Erf")),
}
