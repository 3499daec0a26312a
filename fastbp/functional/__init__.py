"""Functions of tensors that layers and losses are made of, with PyTorch's names and numbers.

`nn.functional` is their public name; `criteria` has the losses, `margins` those of pairs and triplets.
"""

from fastbp.functional import activations, criteria, maps, margins, normalization, random
from fastbp.functional.activations import *  # noqa: F403
from fastbp.functional.criteria import *  # noqa: F403
from fastbp.functional.maps import *  # noqa: F403
from fastbp.functional.margins import *  # noqa: F403
from fastbp.functional.normalization import *  # noqa: F403
from fastbp.functional.random import *  # noqa: F403

__all__ = [*activations.__all__, *criteria.__all__, *maps.__all__, *margins.__all__]
__all__ += [*normalization.__all__, *random.__all__]
