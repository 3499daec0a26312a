"""What a table's model does before its network, as an exported file has it."""

from __future__ import annotations

from typing import Any

from fastbp.export.preprocessing import Feature, Preprocessing
from fastbp.tables import features as kinds
from fastbp.tables import targets


def preprocessing_of(who: str, preprocessor: Any) -> Any:
    """A `Preprocessing` that takes a row of the table's columns, as numbers.

    Truth values are 0 and 1; a category is its place among those of the training, which the column's
    name tells; what is missing, or another category, is NaN.

    Raises
    ------
    ValueError
        For dates and hashed texts, which an exported file does not take.
    """
    found: list[Feature] = []
    columns = []
    for place, one in enumerate(preprocessor.encodings_):
        if isinstance(one, kinds.Number):
            columns.append(one.name)
            found.append(Feature(place, one.mean, one.scale, missing=one.median))
        elif isinstance(one, kinds.Category):
            n = len(one.categories)
            columns.append(f"{one.name}: {', '.join(f'{k} {text}' for k, text in enumerate(one.categories))}")
            if isinstance(one, kinds.Coded):  # of which -1 is code 0
                found.append(Feature(place, shift=-1.0, missing=n if one.indicator else -1.0, categories=n))
                continue
            found += [Feature(place, equals=float(k)) for k in range(n)]
        else:
            what = "dates" if isinstance(one, kinds.Date) else "texts of many values"
            raise ValueError(
                f"{who} expects columns of numbers, truth values and categories; got the {what} of {one.name!r}: "
                "train without it, or export the network alone, of Sequential.load."
            )
        if one.indicator:
            found.append(Feature(place, indicator=True))
    target = preprocessor.target_
    if isinstance(target, targets.Numbers):
        return Preprocessing(found, columns, shift=target.mean, scale=target.scale)
    return Preprocessing(found, columns)
