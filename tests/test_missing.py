"""What PyTorch has and fastbp has not: the error of each name says what to do in its place."""

import importlib

import pytest

import fastbp
from fastbp import missing

NAMES = [(place, name) for place, cures in missing._CURES.items() for name in cures]


def holder(place, library="fastbp"):
    if place == "Module":
        return importlib.import_module(f"{library}.nn").Linear(1, 1)
    if place == "fastbp.cuda":
        return importlib.import_module(library).cuda
    return importlib.import_module(place.replace("fastbp", library))


@pytest.mark.parametrize(("place", "name"), NAMES)
def test_a_missing_name_says_what_is_in_its_place(place, name):
    who = "Linear" if place == "Module" else place
    with pytest.raises(AttributeError, match=f"^{who} has no {name}: .+[^.]\\.$"):
        getattr(holder(place), name)
    assert not hasattr(holder(place), name)


@pytest.mark.parametrize("place", missing._CURES)
def test_any_other_name_gets_pythons_words(place):
    kind = "'Linear' object" if place == "Module" else f"module '{place}'"
    with pytest.raises(AttributeError, match=f"^{kind} has no attribute 'Lienar'$"):
        holder(place).Lienar  # noqa: B018


@pytest.mark.parametrize("place", missing._CURES)
def test_the_missing_names_are_pytorchs(place):
    pytest.importorskip("torch")
    theirs = holder(place, "torch")
    unknown = [name for name in missing._CURES[place] if not hasattr(theirs, name)]
    for name in unknown:  # a place of its own, which is loaded when it is imported
        importlib.import_module(f"{theirs.__name__}.{name}")


def test_a_tensor_is_never_sparse():
    assert fastbp.ones(2).is_sparse is False
