"""The compiled kernels; `fastbp.reference` has a NumPy twin of each under the same name."""

# First: it refuses a processor that is too old, on which NumPy's import may crash.
import fastbp._kernels.isa  # noqa: F401
from fastbp._kernels import sources
from fastbp._kernels.activations import activation_backward, activation_forward
from fastbp._kernels.affine import affine_backward, affine_forward, bias_sum, transpose
from fastbp._kernels.embedding import embedding_backward, embedding_forward
from fastbp._kernels.losses import (
    loss_backward,
    loss_forward,
    soft_cross_entropy_backward,
    soft_cross_entropy_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
    softmax_forward,
)
from fastbp._kernels.masks import dropout, dropout_key, epoch_order
from fastbp._kernels.norm import batch_norm_backward, batch_norm_forward
from fastbp._kernels.optim import update

__all__ = [
    "activation_backward",
    "activation_forward",
    "affine_backward",
    "affine_forward",
    "batch_norm_backward",
    "batch_norm_forward",
    "bias_sum",
    "dropout",
    "dropout_key",
    "embedding_backward",
    "embedding_forward",
    "epoch_order",
    "loss_backward",
    "loss_forward",
    "soft_cross_entropy_backward",
    "soft_cross_entropy_forward",
    "softmax_cross_entropy_backward",
    "softmax_cross_entropy_forward",
    "softmax_forward",
    "transpose",
    "update",
]

sources.warn_of_newer()
