"""Clipping of gradients: of arrays by name, and of tensors as `fastbp.nn.utils` has it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastbp import checks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fastbp._typing import Array
    from fastbp.autograd import Tensor

__all__ = [
    "clip_by_norm",
    "clip_by_value",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
]


def clip_by_norm(grads: Mapping[str, ArrayLike], most: float) -> tuple[dict[str, Array], float]:
    """Scale all gradients together so that their joint Euclidean norm is at most `most`.

    Parameters
    ----------
    grads : mapping of str to numpy.ndarray
        Left alone.
    most : float

    Returns
    -------
    grads, norm : dict of str to numpy.ndarray, float
        The clipped gradients and the norm before, with PyTorch's factor
        ``min(1, most / (norm + 1e-6))``.

    References
    ----------
    Pascanu et al., On the difficulty of training recurrent neural networks (2013).

    Examples
    --------
    >>> import numpy as np
    >>> grads, norm = clip_by_norm({"W1": np.array([3.0]), "b1": np.array([4.0])}, 1.0)
    >>> norm, grads["W1"].round(4)
    (5.0, array([0.6]))
    """
    most = checks.number("clip_by_norm", "most", most, least=0)
    grads = _arrays("clip_by_norm", grads)
    norm = _norm(grads.values())
    if norm == math.inf:  # of squares that overflow, unless an element is inf
        largest = max(float(np.abs(grad).max(initial=0)) for grad in grads.values())
        if largest < math.inf:
            norm = largest * _norm(grad / largest for grad in grads.values())
    factor = min(1.0, most / (norm + 1e-6))
    return {key: grad * grad.dtype.type(factor) for key, grad in grads.items()}, norm


def _norm(arrays):
    """The joint Euclidean norm, summed in float64."""
    with np.errstate(over="ignore"):
        return math.sqrt(sum(float(np.square(a, dtype=np.float64).sum()) for a in arrays))


def clip_by_value(grads: Mapping[str, ArrayLike], limit: float) -> dict[str, Array]:
    """Keep every element of every gradient between -limit and limit.

    Parameters
    ----------
    grads : mapping of str to numpy.ndarray
        Left alone.
    limit : float

    Returns
    -------
    dict of str to numpy.ndarray

    Examples
    --------
    >>> import numpy as np
    >>> clip_by_value({"W1": np.array([3.0, -0.5])}, 1.0)["W1"]
    array([ 1. , -0.5])
    """
    limit = checks.number("clip_by_value", "limit", limit, least=0)
    grads = _arrays("clip_by_value", grads)
    return {key: np.clip(grad, -limit, limit) for key, grad in grads.items()}


def _arrays(who: str, grads: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Gradients by name, as float32 or float64."""
    checks.mapping(who, "grads", grads)
    return {key: checks.floats(who, f"grads[{key!r}]", grad) for key, grad in grads.items()}


# --- tensors --------------------------------------------------------------------------------


def _gradients(who, parameters):
    """The gradients there are, as tensors."""
    return [p.grad for p in _tensors(who, "parameters", parameters) if p.grad is not None]


def _tensors(who, name, tensors):
    from fastbp.autograd import Tensor

    if isinstance(tensors, Tensor):
        tensors = [tensors]
    tensors = checks.sequence(who, name, tensors, "Tensors")
    for each in tensors:
        checks.instance(who, name, each, Tensor, "Tensors")
    return tensors


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients of tensors together, in place, so that their joint norm is bounded.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over.
    max_norm : float
        ``inf`` asks for the norm alone.
    norm_type : float
        2 for the Euclidean norm, ``inf`` for the largest element, p for ``sum(|g|^p)^(1/p)``.
    error_if_nonfinite : bool
        Refuse a norm that is NaN or infinite.
    foreach : None or bool
        PyTorch's; without effect.

    Returns
    -------
    Tensor
        The norm before, 0-d; the gradients were multiplied by
        ``min(1, max_norm / (norm + 1e-6))``.

    Raises
    ------
    RuntimeError
        Where `error_if_nonfinite` says so; nothing has changed then.

    References
    ----------
    Pascanu et al., On the difficulty of training recurrent neural networks (2013).

    Examples
    --------
    >>> from fastbp import tensor
    >>> w = tensor([0.0, 0.0], requires_grad=True)
    >>> (w * tensor([3.0, 4.0])).sum().backward()
    >>> clip_grad_norm_([w], max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    who = "clip_grad_norm_"
    max_norm = checks.number(who, "max_norm", max_norm, finite=False)
    grads = _gradients(who, parameters)
    norm = _total_norm(who, grads, norm_type, error_if_nonfinite, foreach)
    _scale(grads, max_norm, norm)
    return norm


def _total_norm(who, tensors, norm_type, error_if_nonfinite, foreach):
    from fastbp.autograd import tensor

    order = checks.number(who, "norm_type", norm_type, finite=False)
    error_if_nonfinite = checks.flag(who, "error_if_nonfinite", error_if_nonfinite)
    checks.flag(who, "foreach", foreach, or_none=True)
    if not tensors:
        return tensor(0.0)
    norms = np.array([np.linalg.norm(each.array.ravel("K"), order) for each in tensors])
    norm = float(np.linalg.norm(norms.astype(np.float64), order))
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"{who} expects gradients of a finite norm; got {norm}.")
    return tensor(norm, dtype=tensors[0].dtype)


def _scale(grads, max_norm, norm):
    """Each times ``min(1, max_norm / (norm + 1e-6))``."""
    factor = max_norm / (float(norm) + 1e-6)
    if max_norm < math.inf and not factor >= 1:  # NaN too
        for grad in grads:
            np.multiply(grad.array, grad.array.dtype.type(factor), out=grad.array)
            grad._bump()


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The joint norm of tensors, as of one vector.

    Parameters
    ----------
    tensors : Tensor or iterable of Tensor
        Such as the gradients of parameters.
    norm_type, error_if_nonfinite, foreach
        See `clip_grad_norm_`.

    Returns
    -------
    Tensor
        0-d.

    Examples
    --------
    >>> from fastbp import tensor
    >>> get_total_norm([tensor([3.0]), tensor([[4.0]])])
    tensor(5.)
    """
    tensors = _tensors("get_total_norm", "tensors", tensors)
    return _total_norm("get_total_norm", tensors, norm_type, error_if_nonfinite, foreach)


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor | float, foreach: bool | None = None
) -> None:
    """Scale the gradients of tensors in place by a norm that is known already.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over.
    max_norm : float
    total_norm : Tensor or float
        As `get_total_norm` gives it.
    foreach : None or bool
        PyTorch's; without effect.

    Examples
    --------
    >>> from fastbp import tensor
    >>> w = tensor([0.0, 0.0], requires_grad=True)
    >>> (w * tensor([3.0, 4.0])).sum().backward()
    >>> clip_grads_with_norm_(w, 1.0, total_norm=10.0)
    >>> w.grad
    tensor([0.3000, 0.4000])
    """
    who = "clip_grads_with_norm_"
    checks.flag(who, "foreach", foreach, or_none=True)
    max_norm = checks.number(who, "max_norm", max_norm, finite=False)
    try:
        norm = float(total_norm)  # NaN too
    except (TypeError, ValueError, RuntimeError):
        norm = checks.number(who, "total_norm", total_norm)
    _scale(_gradients(who, parameters), max_norm, norm)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Keep every element of the gradients of tensors between two bounds, in place.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over.
    clip_value : float
        The bounds are -clip_value and clip_value.
    foreach : None or bool
        PyTorch's; without effect.

    Examples
    --------
    >>> from fastbp import tensor
    >>> w = tensor([3.0, -4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_value_(w, 7.0)
    >>> w.grad
    tensor([ 6., -7.])
    """
    checks.flag("clip_grad_value_", "foreach", foreach, or_none=True)
    limit = checks.number("clip_grad_value_", "clip_value", clip_value, least=0, finite=False)
    for grad in _gradients("clip_grad_value_", parameters):
        np.clip(grad.array, -limit, limit, out=grad.array)
        grad._bump()
