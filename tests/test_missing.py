"""What PyTorch has and fastbp has not: the error of each name says what to do in its place."""

import importlib

import pytest

import fastbp
from fastbp import missing

NAMES = [(place, name) for place, cures in missing._CURES.items() for name in cures]


@pytest.mark.parametrize(("place", "name"), NAMES)
def test_a_missing_name_says_what_is_in_its_place(place, name):
    with pytest.raises(AttributeError, match=f"^{place} has no {name}: .+[^.]\\.$"):
        getattr(importlib.import_module(place), name)
    assert not hasattr(importlib.import_module(place), name)


@pytest.mark.parametrize("place", missing._CURES)
def test_any_other_name_gets_pythons_words(place):
    with pytest.raises(AttributeError, match=f"^module '{place}' has no attribute 'Lienar'$"):
        importlib.import_module(place).Lienar  # noqa: B018


@pytest.mark.parametrize("place", missing._CURES)
def test_the_missing_names_are_pytorchs(place):
    pytest.importorskip("torch")
    theirs = importlib.import_module(place.replace("fastbp", "torch"))
    unknown = [name for name in missing._CURES[place] if not hasattr(theirs, name)]
    for name in unknown:  # a place of its own, which is loaded when it is imported
        importlib.import_module(f"{theirs.__name__}.{name}")


def test_a_tensor_is_never_sparse():
    assert fastbp.ones(2).is_sparse is False
