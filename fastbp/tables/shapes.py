"""Texts that differ in their figures only, and so are read alike: many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastbp._typing import Array

__all__ = ["shapes", "whole_numbers"]

_ZERO, _NINE = 48, 57


def shapes(characters: Array) -> tuple[Array, Array]:
    """Which texts are of one shape: the same but for their figures, of which a first 0 is another.

    Parameters
    ----------
    characters : numpy.ndarray
        (n, width) uint8, zeros behind a text's end.

    Returns
    -------
    firsts : numpy.ndarray
        The first row of each shape.
    places : numpy.ndarray
        (n,), of each row the place of its shape among them.

    Examples
    --------
    >>> texts = np.array([b"$1.50", b"$2.75", b"$0.75", b"x"])
    >>> shapes(texts.view(np.uint8).reshape(4, -1))[1].tolist()
    [1, 1, 0, 2]
    """
    digits = characters - np.uint8(_ZERO) < 10
    shape = np.where(digits, np.uint8(_NINE), characters)
    rows, first = np.arange(len(shape)), digits.argmax(axis=1)
    zero = characters[rows, first] == _ZERO
    shape[rows[zero], first[zero]] = _ZERO
    texts = np.ascontiguousarray(shape).view(f"S{shape.shape[1]}").ravel()
    _, firsts, places = np.unique(texts, return_index=True, return_inverse=True)
    return firsts, places


def whole_numbers(characters: Array) -> Array:
    """(n,) int64 of (n, k) figures."""
    powers = 10 ** np.arange(characters.shape[1] - 1, -1, -1, dtype=np.int64)
    return (characters - np.uint8(_ZERO)).astype(np.int64) @ powers
