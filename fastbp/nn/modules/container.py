"""PyTorch's place of the containers."""

from fastbp.network import Sequential
from fastbp.nn.containers import ModuleDict, ModuleList, ParameterDict, ParameterList

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]
