"""Modules with parameters that no network's file holds: `LayerNorm`, `PReLU`, `Embedding`."""

from __future__ import annotations

from typing import Any, Literal, Self

from fastbp import checks, functional
from fastbp.autograd import Parameter, Tensor, empty, ones, zeros
from fastbp.layers.pytorch import *  # noqa: F403  (the place that pickles made before have)
from fastbp.layers.pytorch import float_dtype
from fastbp.modules import Module
from fastbp.nn import init

__all__ = ["Embedding", "LayerNorm", "PReLU"]


class LayerNorm(Module):
    """The last dimensions of each sample to mean 0 and variance 1, times weight, plus bias.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The last dimensions.
    eps : float
    elementwise_affine, bias : bool
        Whether there is a weight, and a bias.
    device : "cpu"
    dtype : dtype, optional

    References
    ----------
    Ba et al., Layer normalization (2016).

    Examples
    --------
    >>> LayerNorm(3)
    LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)
    """

    elementwise_affine: Any

    def __init__(
        self,
        normalized_shape: Any,
        eps: Any = 1e-5,
        elementwise_affine: Any = True,
        bias: Any = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kind = float_dtype("LayerNorm", dtype, device)
        shape = normalized_shape if hasattr(normalized_shape, "__iter__") else (normalized_shape,)
        self.normalized_shape: Any = tuple([checks.integer("LayerNorm", "normalized_shape", n, least=1) for n in shape])
        checks.fits_memory("LayerNorm", "normalized_shape", self.normalized_shape)
        self.eps: Any = checks.number("LayerNorm", "eps", eps, least=0)
        self.elementwise_affine = elementwise_affine = checks.flag(
            "LayerNorm", "elementwise_affine", elementwise_affine
        )
        bias = checks.flag("LayerNorm", "bias", bias)
        weight = Parameter(ones(self.normalized_shape, dtype=kind)) if elementwise_affine else None
        bias = Parameter(zeros(self.normalized_shape, dtype=kind)) if weight is not None and (bias) else None
        self.register_parameter("weight", weight)
        self.register_parameter("bias", bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As it was made."""
        for parameter, value in ((self.weight, 1.0), (self.bias, 0.0)):
            if parameter is not None:
                init.constant_(parameter, value)

    def forward(self, input: Any) -> Any:
        """The normalised input."""
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class PReLU(Module):
    """The input, and below 0 a trained factor times the input.

    Parameters
    ----------
    num_parameters : int
        1, or the columns of the input, each with a factor of its own.
    init : float
        Of the factors; weight decay draws them towards 0.
    device : "cpu"
    dtype : dtype, optional

    References
    ----------
    He et al., Delving deep into rectifiers (2015).

    Examples
    --------
    >>> PReLU()
    PReLU(num_parameters=1)
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Literal["cpu"] | None = None, dtype: Any = None
    ) -> None:
        super().__init__()
        kind = float_dtype("PReLU", dtype, device)
        self.num_parameters: Any = checks.integer("PReLU", "num_parameters", num_parameters, least=1)
        checks.fits_memory("PReLU", "num_parameters", (self.num_parameters,))
        self.init: Any = checks.number("PReLU", "init", init)
        self.weight: Any = Parameter(ones(self.num_parameters, dtype=kind) * self.init)

    def reset_parameters(self) -> Any:
        """As it was made."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Any) -> Any:
        """The activated input."""
        return functional.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Embedding(Module):
    """A table of vectors, looked up by index.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
    padding_idx : int, optional
        A row of zeros that is not trained.
    max_norm : None
    norm_type : 2.0
    scale_grad_by_freq, sparse : False
        No others are offered: gradients are dense, and `weight` is scaled by hand.
    device : "cpu"
    dtype : dtype, optional

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> Embedding(10, 3)(tensor([[1, 2]])).shape
    fastbp.Size([1, 2, 3])
    """

    #: What `fit` names in its place, as its own layer has a table for each column.
    in_plans = "take fastbp.layers.Embeddings for it and the Flatten behind it, or "

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        device: Literal["cpu"] | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._refuse(max_norm, norm_type, scale_grad_by_freq, sparse)
        self.num_embeddings: Any = checks.integer("Embedding", "num_embeddings", num_embeddings, 1)
        self.embedding_dim: Any = checks.integer("Embedding", "embedding_dim", embedding_dim, 1)
        checks.fits_memory("Embedding", "num_embeddings and embedding_dim", (self.num_embeddings, self.embedding_dim))
        if padding_idx is not None:
            n = self.num_embeddings
            padding_idx = checks.integer("Embedding", "padding_idx", padding_idx, -n, n - 1) % n
        self.padding_idx = padding_idx
        kind = float_dtype("Embedding", dtype, device)
        self.weight: Any = Parameter(empty(num_embeddings, embedding_dim, dtype=kind))
        self.reset_parameters()

    @staticmethod
    def _refuse(max_norm, norm_type, scale_grad_by_freq, sparse):
        flags = {"scale_grad_by_freq": scale_grad_by_freq, "sparse": sparse}
        for name, value in flags.items():
            if checks.flag("Embedding", name, value):
                raise NotImplementedError(
                    f"Embedding expects {name}=False, as its gradients are dense sums; got "
                    f"{checks.shown(value)}: leave it away."
                )
        if max_norm is not None or norm_type != 2.0:
            raise NotImplementedError(
                "Embedding expects max_norm=None and norm_type=2.0; got "
                f"{checks.shown(max_norm)} and {checks.shown(norm_type)}: scale weight.data after "
                "each step."
            )

    def reset_parameters(self) -> None:
        """Draw the initial values anew, from the standard normal distribution."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, padding_idx: Any = None) -> Self:
        """A table of given vectors, trained unless `freeze`."""
        checks.instance("Embedding", "embeddings", embeddings, Tensor, "a Tensor")
        if embeddings.ndim != 2:
            raise ValueError(
                f"Embedding expects embeddings of shape (num_embeddings, embedding_dim); got {tuple(embeddings.shape)}."
            )
        count, width = embeddings.shape
        self = cls(count, width, padding_idx)
        self.weight = Parameter(embeddings, requires_grad=not checks.flag("Embedding", "freeze", freeze))
        return self

    def forward(self, input: Any) -> Any:
        """The vectors of the indices."""
        return functional.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
