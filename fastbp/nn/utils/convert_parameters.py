"""PyTorch's place of parameters as one vector."""

from fastbp.optim.vectors import parameters_to_vector, vector_to_parameters

__all__ = ["parameters_to_vector", "vector_to_parameters"]
