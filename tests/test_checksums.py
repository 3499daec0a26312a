"""Outputs and trained weights stay the same to the bit, as stored checksums have them."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "golden"))

import checksums

STORED = json.loads(checksums.STORED.read_text())


def test_outputs_and_trained_weights_are_the_stored_ones(monkeypatch):
    if checksums.compiler() != STORED["compiler"]:
        pytest.skip(f"they are those of {STORED['compiler']}")
    found = checksums.of_every_isa()
    assert found
    for isa, sums in found.items():
        if isa in STORED:
            assert {name for name in sums if sums[name] != STORED[isa][name]} == set(), isa
            assert sums.keys() == STORED[isa].keys()
