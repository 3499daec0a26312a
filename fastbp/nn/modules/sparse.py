"""PyTorch's place of the embeddings."""

from fastbp.nn.weighted import Embedding

__all__ = ["Embedding"]
