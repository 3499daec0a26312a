"""What notebooks show: HTML that is valid and escaped, pictures, names to complete."""

import copy
import pickle
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

import fastbp
from fastbp import markup, nn
from fastbp.tuning import Trial, Tuning

X, T = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2


def network():
    return fastbp.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 2), loss=fastbp.SoftmaxWithLoss())


def history():
    return network().fit(X, T, epochs=2, validation_data=(X, T), seed=0, progress=False)


def table():
    model = fastbp.TableModel(epochs=2, seed=0)
    names = {"<b>x</b>": X[:, 0].tolist(), "y": X[:, 1].tolist(), "a & b": np.where(T, "yes", "no").tolist()}
    model.fit(names, "a & b")
    return model


FORMS = {
    "a network": network,
    "a training": history,
    "a training without epochs": fastbp.training.history.History,
    "a tensor": lambda: fastbp.ones(2, 3),
    "a parameter": lambda: nn.Parameter(fastbp.ones(2)),
    "a summary": lambda: fastbp.summary(network(), (1, 2), verbose=0),
    "a gradient check": lambda: fastbp.gradient_check(network(), X, T),
    "a diagnosis": lambda: fastbp.diagnose(network(), X, T),
    "a model of a table": table,
    "a new model of a table": fastbp.TableModel,
    "a sweep": lambda: Tuning(table(), [Trial(k, {"lr": 0.1, "<i>": "a"}, 4, 0.5) for k in range(50)], 1.0, "random"),
    "a graph": lambda: fastbp.graph.draw((fastbp.ones(2).requires_grad_() * 2).sum()),
}


class Reader(HTMLParser):
    """Elements that are open, and all that were."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], set(), ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", FORMS)
def test_what_notebooks_show_is_valid_and_escaped(name):
    reader = Reader()
    reader.feed(FORMS[name]()._repr_html_())
    reader.close()
    assert not reader.open and reader.seen and not reader.seen & {"b", "i", "script"}


def test_a_table_is_escaped():
    assert markup.table([("<a>", "&")], ("<h>", "<i>"), "<c>").count("&lt;") == 4
    assert markup.table([], caption="none") == "<p>none</p>"


def test_a_training_shows_its_curves_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert history()._repr_html_().startswith("<svg")


def test_a_network_shows_its_layers():
    shown = network()._repr_html_()
    assert "27 parameters" in shown and "2 -&gt; 5" in shown


def test_a_sweep_shows_the_best_trials():
    shown = FORMS["a sweep"]()._repr_html_()
    assert "the best of 50 trials" in shown and shown.count("<tr>") == 21 and "&lt;i&gt;" in shown


def test_names_of_parameters_are_completed():
    assert network().params._ipython_key_completions_() == ["W1", "b1", "W2", "b2"]
    assert nn.ModuleDict({"a": nn.ReLU()})._ipython_key_completions_() == ["a"]


@pytest.mark.parametrize(
    ("prompt", "verbose", "printed"), [(False, None, True), (True, None, False), (True, 1, True), (False, 0, False)]
)
def test_a_summary_is_shown_once(prompt, verbose, printed, monkeypatch, capsys):
    if prompt:
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    else:
        monkeypatch.delattr(sys, "ps1", raising=False)
    fastbp.summary(network(), (1, 2), verbose=verbose)
    assert bool(capsys.readouterr().out) == printed


def test_a_figure_shows_itself_and_is_copied_and_pickled():
    pytest.importorskip("matplotlib")
    figure = history().plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert pickle.loads(pickle.dumps(figure))._repr_png_().startswith(b"\x89PNG")
    assert copy.deepcopy(figure)._repr_png_().startswith(b"\x89PNG")


def test_a_notebook_shows_each_once():
    reason = "notebooks are run by nbclient and ipykernel, which are not installed"
    nbclient, nbformat, _ = (pytest.importorskip(name, reason=reason) for name in ("nbclient", "nbformat", "ipykernel"))
    lines = [
        "import numpy as np, fastbp; from fastbp import nn\n"
        "net = fastbp.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 2), loss=fastbp.SoftmaxWithLoss())\n"
        "x, t = np.eye(2).repeat(9, 0), np.arange(2).repeat(9)\n"
        "params = net.params",
        "fastbp.summary(net, (1, 2))",
        "history = net.fit(x, t, epochs=2, progress=False); history.plot()",
        "history",
        "get_ipython().complete('params[\"')[1]",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(line) for line in lines])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    shown = [[SimpleNamespace(**out) for out in each.outputs] for each in book.cells]
    assert [len(outputs) for outputs in shown] == [0, 1, 1, 1, 1]
    assert "text/html" in shown[1][0].data
    assert "image/png" in shown[2][0].data
    assert "<svg" in shown[3][0].data["text/html"]
    assert "W1" in shown[4][0].data["text/plain"]


def test_a_loaded_model_of_a_table_has_its_undefined_scores_and_shows_them(tmp_path):
    model = fastbp.TableModel(epochs=2, seed=0)
    model.fit({"x": X[:, 0].tolist(), "z": X[:, 1].tolist(), "y": [0.0] * 38 + [1.5, 2.5]}, "y")
    assert any(np.isnan(model.scores[part]["r2"]) for part in ("train", "validation", "test"))
    model.save(tmp_path / "a.safetensors")
    loaded = fastbp.TableModel.load(tmp_path / "a.safetensors")
    assert loaded._repr_html_() == model._repr_html_() and "nan" in loaded._repr_html_()
    assert repr(loaded.scores) == repr(model.scores)
