"""Bad input: one sentence that says what was expected and what came, and nothing has changed.

The calls are listed in `bad_input_cases.py`; the documentation's build puts what they say into a page.
"""

import builtins
import importlib.util
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import nn
from fastbp.autograd.random import default_generator

SPEC = importlib.util.spec_from_file_location("bad_input_cases", Path(__file__).parent / "bad_input_cases.py")
cases = sys.modules[SPEC.name] = importlib.util.module_from_spec(SPEC)  # its dataclass looks there
SPEC.loader.exec_module(cases)
BAD = [(entry, call, error) for entry in cases.ENTRIES for call, error in entry.bad]


def evaluated(call, among):
    return eval(call, {**cases.names(), **among})


def state(value):
    """All that a thing holds, as bytes."""
    if isinstance(value, fastbp.Trainer):
        value.sync()
        value = value.net.layers, value.steps
    elif isinstance(value, fastbp.Sequential):
        value = value.layers, value.loss_layer  # a training that was stopped has a history
    elif isinstance(value, fastbp.Optimizer):
        value = value.__getstate__()
        value["states"] = {name: kept for name, kept in value.get("states", {}).items() if kept}
    return pickle.dumps(value)


def plain(value):
    """A result as arrays and lists, to be compared with another."""
    if isinstance(value, fastbp.Tensor):
        return value.detach().numpy()
    if isinstance(value, nn.Module):
        return plain(value.state_dict())
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, fastbp.History):
        return value.train_loss
    return value if isinstance(value, np.ndarray | float | int | str | None) else type(value)


def test_every_call_of_the_table_is_its_own():
    calls = [call for _, call, _ in BAD]
    assert len(calls) == len(set(calls)), sorted({c for c in calls if calls.count(c) > 1})


@pytest.mark.parametrize("entry, call, error", BAD, ids=[call for _, call, _ in BAD])
def test_a_bad_call_is_refused_in_one_sentence_and_changes_nothing(entry, call, error):
    if entry.name.split(".")[-1] in ("save", "load"):
        pytest.importorskip("safetensors")
    among = cases.things(call, entry.good)
    before = {name: state(thing) for name, thing in among.items()}
    drawn = str(default_generator.rng.bit_generator.state)
    with pytest.raises(getattr(builtins, error)) as caught:
        evaluated(call, among)
    assert type(caught.value).__name__ == error
    text = str(caught.value)
    if not entry.name.startswith("kernels."):  # whose arrays Cython refuses
        assert text.endswith(".") and ". " not in text and "\n" not in text, text
        assert re.search(r"\w expects? .*; (got|there was) ", text), text
    changed = [name for name, thing in among.items() if state(thing) != before[name]]
    assert not changed
    assert str(default_generator.rng.bit_generator.state) == drawn
    # It works on, and gives what it would have given.
    got = plain(evaluated(entry.good, among))
    np.testing.assert_equal(got, plain(evaluated(entry.good, cases.things(call, entry.good))))


def test_every_public_entry_point_is_in_the_table_or_takes_nothing_that_can_be_wrong():
    covered = {entry.name.split(":")[0] for entry in cases.ENTRIES} | set(cases.WITHOUT)
    public = cases.public()
    missing = [
        names[0]
        for names in public
        if not covered.intersection(names) and names[0].split(".")[-1] not in cases.BETWEEN_PARTS
    ]
    assert not missing
