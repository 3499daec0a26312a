"""The place of `fastbp.datasets.tables` in programs and pickles made before."""

from fastbp.datasets.tables import Prepared, Table, prepare, read_csv

__all__ = ["Prepared", "Table", "prepare", "read_csv"]
