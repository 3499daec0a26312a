"""Tables as people have them, prepared for a network.

`columns` says what a table is here.  `reading` reads files: `encodings` makes text of their bytes,
`cells` a grid of the text, `numbers` and `dates` values of cells, and `kinds` finds out what a column
is.  `frames` takes other libraries' tables.  `preparing` splits and standardises.
"""

from fastbp.tables.columns import Column, Columns
from fastbp.tables.preparing import Prepared, prepare
from fastbp.tables.reading import Table, columns_of, read, read_csv

__all__ = ["Column", "Columns", "Prepared", "Table", "columns_of", "prepare", "read", "read_csv"]
