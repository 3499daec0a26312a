"""Tables as people have them: `columns` what they are, `reading` files, `preparing` them for a network."""

from fastbp.tables.columns import Column, Columns
from fastbp.tables.preparing import Prepared, prepare
from fastbp.tables.reading import Table, read_csv

__all__ = ["Column", "Columns", "Prepared", "Table", "prepare", "read_csv"]
