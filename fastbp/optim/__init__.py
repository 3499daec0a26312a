"""Optimisers, schedules of the learning rate and gradient clipping.

`rule` is an optimiser over rows of update rules, `rules` are their options.
`fastbp.optim.lr_scheduler` has PyTorch's schedulers, and is loaded when it is touched.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastbp.missing import attribute_error
from fastbp.optim import rules
from fastbp.optim.clipping import clip_by_norm, clip_by_value
from fastbp.optim.optimizer import Optimizer
from fastbp.optim.rules import *  # noqa: F403
from fastbp.optim.schedules import CosineDecay, InverseScaling, StepDecay, WarmUp

__all__ = ["CosineDecay", "InverseScaling", "Optimizer", "StepDecay", "WarmUp", "clip_by_norm", "clip_by_value"]
__all__ += rules.__all__


#: PyTorch's places of schedulers and rules.
_PLACES = {"adagrad", "adam", "adamw", "lr_scheduler", "rmsprop", "sgd", "swa_utils"}


if not TYPE_CHECKING:  # where a name that is missing is an error

    def __getattr__(name: str) -> Any:
        if name in _PLACES:
            return importlib.import_module(f"fastbp.optim.{name}")
        raise attribute_error("fastbp.optim", name)
