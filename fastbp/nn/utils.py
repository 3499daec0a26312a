"""Gradients clipped, and parameters as one vector."""

from fastbp import checks
from fastbp._kernels.autograd import TensorBase, no_grad
from fastbp.autograd import cat
from fastbp.optim.clipping import clip_grad_norm_, clip_grad_value_

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "parameters_to_vector",
    "vector_to_parameters",
]


def parameters_to_vector(parameters):
    """All parameters, one after the other, in a vector.

    Examples
    --------
    >>> from fastbp.autograd import ones, zeros
    >>> parameters_to_vector([zeros(1, 2), ones(2)])
    tensor([0., 0., 1., 1.])
    """
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec, parameters):
    """Copy the numbers of a vector into all parameters.

    Raises
    ------
    ValueError
        For a vector of another length; nothing has changed then.

    Examples
    --------
    >>> from fastbp.autograd import ones, zeros
    >>> w = zeros(1, 2)
    >>> vector_to_parameters(ones(2), [w])
    >>> w
    tensor([[1., 1.]])
    """
    checks.instance("vector_to_parameters", "vec", vec, TensorBase, "a Tensor")
    parameters = list(parameters)
    total = sum(parameter.array.size for parameter in parameters)
    if vec.array.shape != (total,):
        raise ValueError(f"vector_to_parameters expects vec of shape ({total},), as there are "
                         f"parameters; got {vec.array.shape}.")  # fmt: skip
    start = 0
    with no_grad():
        for parameter in parameters:
            size = parameter.array.size
            parameter.copy_(vec[start : start + size].detach().reshape(parameter.array.shape))
            start += size
