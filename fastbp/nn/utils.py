"""Gradients clipped, and parameters as one vector."""

from fastbp.optim.clipping import clip_grad_norm_, clip_grad_value_
from fastbp.optim.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "parameters_to_vector",
    "vector_to_parameters",
]
