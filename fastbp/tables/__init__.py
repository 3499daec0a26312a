"""Tables as people have them: `columns` what they are, `reading` files, `preprocessor` their numbers for a network."""

from fastbp.tables.columns import Column, Columns
from fastbp.tables.frames_stub import columns_of
from fastbp.tables.preprocessor import Preprocessor
from fastbp.tables.reading import Table, read_csv

__all__ = ["Column", "Columns", "Preprocessor", "Table", "columns_of", "read_csv"]
