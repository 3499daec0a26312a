"""Tables as people have them, prepared for a network.

`columns` says what a table is here.  `reading` reads files: `encodings` makes text of their bytes,
`cells` a grid of the text, of which `totals` leaves out rows of sums, `numbers` and `dates` values of
cells, `amounts` those of whole columns by the `shapes` of their cells, and `kinds` finds out what a
column is.  `frames` takes other libraries' tables, `sources` all of them.  `preprocessor` makes a
network's numbers of them: `features` of each kind of column, `targets` of what is to be predicted.
`splitting` splits rows.
"""

from fastbp.tables.columns import Column, Columns
from fastbp.tables.preprocessor import Preprocessor
from fastbp.tables.reading import Table, columns_of, read, read_csv

__all__ = ["Column", "Columns", "Preprocessor", "Table", "columns_of", "read", "read_csv"]
