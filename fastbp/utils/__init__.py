"""What surrounds training: `fastbp.utils.data`."""

from fastbp.utils import data

__all__ = ["data"]
