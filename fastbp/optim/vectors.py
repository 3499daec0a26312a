"""Parameters as one vector, and back: `fastbp.nn.utils` has both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from fastbp import checks

if TYPE_CHECKING:
    from fastbp.autograd import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, one after the other, in one vector that remembers where they came from.

    Examples
    --------
    >>> from fastbp import ones, zeros
    >>> parameters_to_vector([ones(2), zeros(1, 2)])
    tensor([1., 1., 0., 0.])
    """
    from fastbp.autograd import cat

    parameters = _tensors("parameters_to_vector", parameters)
    return cat([p.reshape(-1) for p in parameters])


def _tensors(who, parameters):
    from fastbp.autograd import Tensor

    parameters = checks.sequence(who, "parameters", parameters, "Tensors")
    for parameter in parameters:
        checks.instance(who, "parameters", parameter, Tensor, "Tensors")
    return parameters


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the parts of one vector into the parameters, in place.

    Raises
    ------
    ValueError
        For a vector of another length than all parameters together; nothing has changed then.

    Examples
    --------
    >>> from fastbp import tensor, zeros
    >>> w = zeros(1, 2)
    >>> vector_to_parameters(tensor([1.0, 2.0]), [w])
    >>> w
    tensor([[1., 2.]])
    """
    from fastbp.autograd import Tensor

    checks.instance("vector_to_parameters", "vec", vec, Tensor, "a Tensor")
    tensors = _tensors("vector_to_parameters", parameters)
    sizes = [p.numel() for p in tensors]
    checks.same_shape("vector_to_parameters", "vec", vec.array, (sum(sizes),), "the parameters have elements")
    for p, part in zip(tensors, np.split(vec.array, np.cumsum(sizes)[:-1]), strict=True):
        p.array[...] = part.reshape(p.array.shape)
        p._bump()
