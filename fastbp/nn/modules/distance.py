"""PyTorch's place of the distances."""

from fastbp.nn.distances import CosineSimilarity, PairwiseDistance

__all__ = ["CosineSimilarity", "PairwiseDistance"]
