"""Gradients clipped, and parameters as one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastbp.missing import attribute_error
from fastbp.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from fastbp.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "vector_to_parameters",
]


if not TYPE_CHECKING:  # where a name that is missing is an error

    def __getattr__(name: str) -> Any:
        raise attribute_error("fastbp.nn.utils", name)
