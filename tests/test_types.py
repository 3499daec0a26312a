"""What editors and type checkers see of the library."""

import fastbp


def test_the_stub_of_the_top_tells_the_names_that_are_loaded_on_demand():
    from init_stub import STUB, text

    assert STUB.read_text() == text(), "python tests/init_stub.py writes it anew"
    told = {line.split()[-1] for line in STUB.read_text().splitlines() if line.startswith("from")}
    assert told >= {*fastbp.__all__, *fastbp.autograd.EXPORTED} - {"__version__"}
