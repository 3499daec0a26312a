"""The PyTorch programs of the documents that the project comes from, with their imports changed.

Each document's blocks run one after the other in one namespace, twice: with fastbp, and with
PyTorch where it is installed, else against what PyTorch printed (golden/golden_seeds.json, which
``python -m tests.test_seeds`` writes).  Both draw the same numbers where the program draws some.
"""

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

import fastbp

HERE = Path(__file__).resolve().parent
SEEDS = HERE.parent.parent / "shared" / "seeds"
STORED = HERE / "golden" / "golden_seeds.json"
BLOCK = re.compile(r"^(```|~~~)python\n(.*?)^\1", re.DOTALL | re.MULTILINE)
IMPORTS = [
    ("import torch.nn.functional as F", "import fastbp.nn.functional as F"),
    ("from torchinfo import summary", "from fastbp import summary"),
    ("from torch import nn", "from fastbp import nn"),
    ("import torch\n", "import fastbp as torch\n"),
]
#: Lines that are no Python, or a signature.
DROPPED = ("%%time\n", "nn.Linear(in_features, out_features)\n")
#: Training prints what rounding may change in the last digit, after many steps.
CLOSE = 2e-3

pytestmark = [
    pytest.mark.skipif(not SEEDS.is_dir(), reason="the documents are not there"),
    pytest.mark.filterwarnings("ignore:.*non-interactive:UserWarning"),
]


def programs(number, ours):
    """The blocks of a document that are PyTorch's, as programs for fastbp or for PyTorch."""
    (path,) = SEEDS.glob(f"{number}_*.txt")
    blocks = [match[2] for match in BLOCK.finditer(path.read_text("utf-8"))]
    assert blocks, f"no program in {path}"
    for block in blocks:
        for line in DROPPED:
            block = block.replace(line, "")
        for theirs, here in IMPORTS if ours else ():
            block = block.replace(theirs, here)
        yield block


def draws(torch):
    """A stand-in for randn that draws the same numbers for both libraries."""
    rng = np.random.default_rng(0)

    def randn(*shape, dtype=None, requires_grad=False):
        return torch.tensor(rng.standard_normal(shape).astype("f4"), requires_grad=requires_grad)

    return randn


def same_weights(torch, model):
    """PyTorch's first weights, by NumPy: with these the document's rate of 0.5 learns for a while
    and then kills all relus, but the same way for any rounding."""
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for p in model.parameters():
            bound = p.shape[-1] ** -0.5
            p.copy_(torch.tensor(rng.uniform(-bound, bound, tuple(p.shape)).astype("f4")))


def thinned(text):
    """Of a long text the ends, and every hundredth line between."""
    lines = text.splitlines(keepends=True)
    return "".join(lines[:20] + lines[20:-20:100] + lines[-20:]) if len(lines) > 400 else text


def run(number, torch, monkeypatch):
    """What each block prints, and the namespace that they leave."""
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.setattr(torch, "randn", draws(torch), raising=False)
    namespace = {"torch": torch, "__name__": "document"}
    printed = []
    for block in programs(number, ours=torch is fastbp):
        if "summary" in block and torch is not fastbp:
            printed.append("")  # torchinfo's table is another test's
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block, f"document {number}", "exec"), namespace)
        if "model = nn.Sequential(" in block:
            same_weights(torch, namespace["model"])
        printed.append("" if "summary" in block else thinned(out.getvalue()))
    import matplotlib.pyplot

    matplotlib.pyplot.close("all")
    return printed, namespace


def plain(text):
    """Without the library's name and the addresses of objects."""
    return re.sub(r" object at 0x[0-9a-fA-F]+", "", text.replace("torch.", "fastbp."))


NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def assert_same_text(got, expected, close):
    """The same words, and numbers that differ by `close` at most."""
    got, expected = plain(got), plain(expected)
    assert NUMBER.sub("#", got) == NUMBER.sub("#", expected)
    a, b = (np.array(NUMBER.findall(text), float) for text in (got, expected))
    np.testing.assert_allclose(a, b, rtol=close, atol=close)


@pytest.fixture(params=["000", "001"])
def both(request, monkeypatch):
    try:
        import torch
    except ImportError:
        theirs = json.loads(STORED.read_text("utf-8"))[request.param]
    else:
        theirs, _ = run(request.param, torch, monkeypatch)
    ours, namespace = run(request.param, fastbp, monkeypatch)
    return list(programs(request.param, ours=True)), ours, theirs, namespace


def test_the_documents_programs_print_what_they_print_with_pytorch(both):
    blocks, ours, theirs, _ = both
    assert len(ours) == len(theirs) == len(blocks)
    assert sum(map(bool, theirs)) >= 1
    for block, got, expected in zip(blocks, ours, theirs, strict=True):
        trains = "range(" in block or "accuracy" in block
        assert_same_text(got, expected, CLOSE if trains else 0)


def test_the_documents_networks_learn(both):
    _, _, _, namespace = both
    if "model" in namespace:
        assert namespace["train_loss_list"][-1] < 0.2
    else:
        assert namespace["loss_values"][-1] < 0.2 * namespace["loss_values"][0]


def test_the_summary_counts_the_parameters_of_the_documents_network(capsys):
    from fastbp import nn, summary

    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 3))
    text = str(summary(model, input_size=(1, 4)))
    for words in ("Linear", "[1, 10]", "[1, 3]", "50", "110", "33", "193"):
        assert words in text, words


if __name__ == "__main__":
    import torch

    with pytest.MonkeyPatch.context() as patch:
        results = {number: run(number, torch, patch)[0] for number in ("000", "001")}
    STORED.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
