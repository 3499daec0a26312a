"""Products and sums in one call: what optimisers written by hand use, and einsum."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd.arithmetic import clamp, common_dtype, computed, in_dtype, operand
from fastbp.autograd.tensor import as_tensor  # noqa: F401  (in the examples)

if TYPE_CHECKING:
    from fastbp._typing import Number, TensorLike
    from fastbp.autograd.tensor import Tensor


def _arrays(who, tensors, *numbers):
    """The arrays of tensors, and of numbers that fit beside them, in their common dtype."""
    for x in tensors:
        checks.instance(who, "each operand", x, core.TensorBase, "a Tensor")
    dtype = common_dtype(*tensors)
    for name, number in numbers:
        checks.number(who, name, number, finite=False)
        if isinstance(number, float) and not dtype.is_floating_point:
            raise RuntimeError(f"{who} expects {name} as an integer for a result of {dtype!r}; got {number}.")
    return [in_dtype(x, dtype) for x in tensors]


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: TensorLike = 1) -> Tensor:
    """input + value * tensor1 * tensor2

    Examples
    --------
    >>> addcmul(as_tensor([1.0]), as_tensor([2.0]), as_tensor([3.0]), value=0.5)
    tensor([4.])
    """
    tensors = input, tensor1, tensor2
    x, a, b = _arrays("addcmul", tensors, ("value", value))
    out = computed(np.add, x, computed(np.multiply, a * a.dtype.type(value), b))
    return core.node("AddcmulBackward0", out, tensors, _addcmul_gradient, (a, b, value))


def _addcmul_gradient(saved, dout, needs):
    a, b, value = saved
    scaled = dout * dout.dtype.type(value)
    return dout, scaled * b, scaled * a


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: TensorLike = 1) -> Tensor:
    """input + value * tensor1 / tensor2, of floats

    Examples
    --------
    >>> addcdiv(as_tensor([1.0]), as_tensor([2.0]), as_tensor([4.0]), value=-1)
    tensor([0.5000])
    """
    tensors = input, tensor1, tensor2
    x, a, b = _arrays("addcdiv", tensors, ("value", value))
    if x.dtype.kind != "f":
        raise RuntimeError(f"addcdiv expects a float among its tensors; got {x.dtype} alone.")
    out = computed(np.add, x, computed(np.true_divide, a * a.dtype.type(value), b))
    return core.node("AddcdivBackward0", out, tensors, _addcdiv_gradient, (a, b, value))


def _addcdiv_gradient(saved, dout, needs):
    a, b, value = saved
    scaled = core.quiet(np.true_divide, (dout * dout.dtype.type(value), b))
    return dout, scaled, -scaled * core.quiet(np.true_divide, (a, b))


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input), on the line from one to the other

    Parameters
    ----------
    input, end : Tensor
        Floats of one dtype.
    weight : float or Tensor
        0 gives input and 1 gives end, exactly.

    Examples
    --------
    >>> lerp(as_tensor([0.0, 2.0]), as_tensor([10.0, 4.0]), 0.5)
    tensor([5., 3.])
    """
    whole = isinstance(weight, core.TensorBase)
    tensors = (input, end, weight) if whole else (input, end)
    a, b, *_ = _arrays("lerp", tensors)
    if a.dtype.kind != "f" or len({x.dtype for x in tensors}) > 1:
        raise RuntimeError("lerp expects floats of one dtype; got " + ", ".join(repr(x.dtype) for x in tensors) + ".")
    w = weight.array if whole else a.dtype.type(checks.number("lerp", "weight", weight))
    line = computed(np.subtract, b, a)
    near, far = computed(np.add, a, w * line), computed(np.subtract, b, (1 - w) * line)
    out = computed(np.where, abs(w) < 0.5, near, far).astype(a.dtype, copy=False)
    return core.node("LerpBackward0", out, tensors, _lerp_gradient, (line, w))


def _lerp_gradient(saved, dout, needs):
    line, w = saved
    gradients = dout * (1 - w), dout * w
    return (*gradients, dout * line) if len(needs) == 3 else gradients


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); of beta = 0, input's numbers do not count

    Examples
    --------
    >>> addmm(as_tensor([1.0]), as_tensor([[1.0, 2.0]]), as_tensor([[3.0], [4.0]]))
    tensor([[12.]])
    """
    checks.number("addmm", "beta", beta, finite=False)
    checks.number("addmm", "alpha", alpha, finite=False)
    product = mat1.mm(mat2)
    if input.dtype is not product.dtype:
        raise RuntimeError(f"addmm expects tensors of one dtype; got {input.dtype!r} and {product.dtype!r}.")
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


def clamp_min(input: Tensor, min: TensorLike) -> Tensor:
    """input, or `min` where it is below."""
    return clamp(input, min=_bound("clamp_min", "min", min))


def clamp_max(input: Tensor, max: TensorLike) -> Tensor:
    """input, or `max` where it is above."""
    return clamp(input, max=_bound("clamp_max", "max", max))


def _bound(who, name, value):
    if operand(value) is None:
        raise TypeError(f"{who} expects {name} as a number or a Tensor; got {checks.described(value)}.")
    return value


# --- einsum ---------------------------------------------------------------------------------

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def einsum(equation: str, *operands: Tensor) -> Tensor:
    """A sum of products by Einstein's convention: a letter that the result lacks is summed.

    Parameters
    ----------
    equation : str
        The dimensions of each operand as letters, and behind ``->`` those of the result; without
        it, the letters that appear once, in their order.  ``...`` is all other dimensions.
    *operands : Tensor
        Floats of one dtype, or a list of them.

    Raises
    ------
    RuntimeError
        For an equation that does not fit the operands.

    Examples
    --------
    >>> x = as_tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> einsum("ij,ij->i", x, x)
    tensor([ 5., 25.])
    >>> einsum("ii", x)
    tensor(5.)
    """
    checks.instance("einsum", "equation", equation, str, "a string")
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    arrays = _arrays("einsum", operands)
    inputs, output = _letters(equation, arrays)
    lengths = _lengths(equation, inputs, arrays)
    missing = sorted(set(output) - lengths.keys())
    if missing or len(set(output)) < len(output):
        raise RuntimeError(
            f"einsum expects behind -> letters of the operands, each once; got {equation.partition('->')[2].strip()!r}."
        )
    out = _summed(inputs, output, arrays)
    return core.node("EinsumBackward0", out, operands, _einsum_gradient, (inputs, output, *arrays))


def _letters(equation, arrays):
    """The letters of each operand and of the result, ``...`` written as letters of its own."""
    left, arrow, output = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(arrays):
        raise RuntimeError(
            f"einsum expects as many operands as its equation {equation!r} names, {len(inputs)}; got {len(arrays)}."
        )
    plain = "".join([*inputs, output]).replace("...", "")
    wrong = sorted(set(plain) - set(_LETTERS))
    if wrong:
        raise RuntimeError(
            f"einsum expects letters, commas, dots and -> in its equation; got {wrong[0]!r} in {equation!r}."
        )
    free = [letter for letter in _LETTERS if letter not in plain]
    more = [x.ndim - len(letters.replace("...", "")) for x, letters in zip(arrays, inputs, strict=True)]
    for x, letters, n in zip(arrays, inputs, more, strict=True):
        if n < 0 or (n > 0 and "..." not in letters):
            raise RuntimeError(f"einsum expects an operand of the dimensions {letters!r}; got shape {x.shape}.")
    dots = "".join(free[: max([n for n, text in zip(more, inputs, strict=True) if "..." in text], default=0)])
    inputs = [text.replace("...", dots[len(dots) - n :]) for text, n in zip(inputs, more, strict=True)]
    if not arrow:
        counted = Counter("".join(inputs))
        output = dots + "".join(c for c in _LETTERS if counted[c] == 1 and c not in dots)
    return inputs, output.replace("...", dots)


def _lengths(equation, inputs, arrays):
    """The length of each letter; one of 1 stands beside any other."""
    lengths: dict[str, int] = {}
    for letters, x in zip(inputs, arrays, strict=True):
        for letter, n in zip(letters, x.shape, strict=True):
            known = lengths.get(letter, 1)
            if 1 not in (known, n) and known != n:
                raise RuntimeError(f"einsum expects one length of each letter of {equation!r}; got {known} and {n}.")
            lengths[letter] = n if known == 1 else known
    return lengths


def _summed(inputs, output, arrays):
    """The sum; letters of length 1 beside a longer one are left out where they are."""
    lengths = _lengths("", inputs, arrays)
    thin = [
        (
            "".join(c for c, n in zip(letters, x.shape, strict=True) if n == lengths[c]),
            x.reshape([n for c, n in zip(letters, x.shape, strict=True) if n == lengths[c]]),
        )
        for letters, x in zip(inputs, arrays, strict=True)
    ]
    text = ",".join(letters for letters, _ in thin) + "->" + output
    return np.asarray(np.einsum(text, *[x for _, x in thin], optimize=len(arrays) > 1))


def _einsum_gradient(saved, dout, needs):
    """The gradient by an operand is the sum of dout and all others, on the operand's letters."""
    inputs, output, *arrays = saved
    return tuple(_by_operand(k, inputs, output, arrays, dout) if needed else None for k, needed in enumerate(needs))


def _by_operand(k, inputs, output, arrays, dout):
    letters = "".join(dict.fromkeys(inputs[k]))  # of a diagonal, each once
    dx = np.zeros_like(arrays[k])
    part = np.einsum(f"{inputs[k]}->{letters}", dx)  # a view that can be written
    factors = [(output, dout), *zip(inputs, arrays, strict=True)]
    del factors[k + 1]
    lengths = _lengths("", inputs, arrays)
    # A vector of ones for each letter that no factor has as long, which was summed alone.
    long = {c for text, x in factors for c, n in zip(text, x.shape, strict=True) if n == lengths[c]}
    factors += [(c, np.ones(lengths[c], dx.dtype)) for c in letters if c not in long]
    kept = "".join(c for c, n in zip(letters, part.shape, strict=True) if n == lengths[c])
    texts, others = zip(*factors, strict=True)
    part[...] = _summed(texts, kept, others).reshape(part.shape)
    return dx
