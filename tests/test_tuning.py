"""`tune`: successive halving over networks for a table."""

import csv
import json
import math
import sys

import numpy as np
import pytest

from fastbp import tuning
from fastbp.tuning import tune


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 240))
    kind = np.where(x * y > 0, "same", "other").astype(object)
    return {"x": x, "y": y, "kind": kind}


@pytest.fixture(scope="module")
def found(table):
    return tune(table, "kind", n_trials=27, sampler="random", n_jobs=2)


def test_trials_are_halved_and_the_best_is_trained_whole(found):
    """27 begin, 9, 3 and 1 go on; the network found is better than the first one drawn."""
    epochs = [trial.epochs for trial in found.trials]
    assert [epochs.count(n) for n in (4, 12, 36, 108)] == [18, 6, 2, 1]
    assert sorted(trial.number for trial in found.trials) == list(range(27))
    for trial in found.trials:
        assert trial.options.keys() == tuning.SPACE.keys()
        for name in tuning.RANGES:
            low, high = tuning.SPACE[name]
            assert low <= trial.options[name] <= high
    best = min(found.trials, key=lambda trial: trial.val_loss)
    assert found.model.dropout == best.options["dropout"] and found.model.lr == best.options["lr"]
    assert len(found.model.hidden) == best.options["n_layers"] and found.model.hidden[0] == best.options["width"]
    assert found.model.scores["test"]["accuracy"] > 0.85 and found.sampler == "random"


def test_the_same_with_any_number_of_threads(found, table):
    again = tune(table, "kind", n_trials=27, sampler="random", n_jobs=1)
    assert again.trials == found.trials
    np.testing.assert_array_equal(again.model.predict(table), found.model.predict(table))


def test_a_sweep_goes_on(found, table, tmp_path, monkeypatch):
    """From a journal cut at any byte, to the same trials, and without those that were done."""
    pytest.importorskip("matplotlib")
    whole = tune(table, "kind", n_trials=27, sampler="random", folder=tmp_path)
    assert whole.trials == found.trials
    journal = tmp_path / tuning.JOURNAL
    text = journal.read_bytes()
    assert text.count(b"\n") == 1 + 27 + 9 + 3 + 1
    rows = list(csv.DictReader((tmp_path / tuning.TABLE).open()))
    assert [int(row["trial"]) for row in rows] == [trial.number for trial in found.trials]
    assert (tmp_path / tuning.PICTURE).stat().st_size > 1000
    losses, trained = tuning.Sweep._losses, []
    monkeypatch.setattr(tuning.Sweep, "_losses", lambda *them: trained.append(them) or losses(*them))
    journal.write_bytes(text[: 2 * len(text) // 3])
    again = tune(table, "kind", n_trials=27, sampler="random", folder=tmp_path)
    assert again.trials == found.trials
    assert 0 < len(trained) < 27 + 9 + 3 + 1
    assert sorted(journal.read_bytes().split(b"\n")) == sorted(text.split(b"\n"))


def test_a_folder_of_another_sweep(table, tmp_path):
    tune(table, "kind", n_trials=1, sampler="random", folder=tmp_path)
    with pytest.raises(ValueError, match=r"a folder for this sweep of this table; got .*: take a new folder"):
        tune(table, "kind", n_trials=1, sampler="random", folder=tmp_path, seed=1)
    (tmp_path / tuning.JOURNAL).write_text("{\n", "utf-8")
    with pytest.raises(ValueError, match="as a sweep wrote it; got another file"):
        tune(table, "kind", n_trials=1, sampler="random", folder=tmp_path)


def test_the_time_ends_it(table):
    """One rung at least, and what was begun is whole."""
    found = tune({"x": table["x"], "y": table["x"] ** 2}, "y", minutes=1e-9, sampler="random", n_jobs=1)
    assert 1 <= len(found.trials) <= 27
    assert found.model.predict({"x": [0.5]}).shape == (1,)


def test_optuna_draws_where_it_is_installed(table, monkeypatch):
    pytest.importorskip("optuna")
    found = tune(table, "kind", n_trials=30)
    assert found.sampler == "tpe"
    assert tune(table, "kind", n_trials=30, sampler="tpe").trials == found.trials
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert tune(table, "kind", n_trials=1).sampler == "random"
    with pytest.raises(ImportError, match="optuna"):
        tune(table, "kind", n_trials=1, sampler="tpe")


def test_what_is_refused(table, monkeypatch):
    for options, message in [
        ({"minutes": 0}, "minutes"),
        ({"n_trials": 0}, "n_trials"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"sampler": "grid"}, "sampler as one of 'random', 'tpe'"),
        ({"lr": 0.1}, "options that trials do not differ in; got lr"),
        ({"validation_size": 0}, "validation_size above 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            tune(table, "kind", **options)
    monkeypatch.setattr(tuning.Sweep, "_losses", lambda *them: [math.inf])
    with pytest.raises(FloatingPointError, match="a trial that does not diverge; got 2 that all did"):
        tune(table, "kind", n_trials=2, sampler="random")


def test_trials_that_diverge_are_in_the_journal(table, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    losses, n = tuning.Sweep._losses, iter(range(10**6))
    monkeypatch.setattr(tuning.Sweep, "_losses", lambda *them: [math.inf] if next(n) % 2 else losses(*them))
    found = tune(table, "kind", n_trials=3, sampler="random", folder=tmp_path, n_jobs=1)
    lines = (tmp_path / tuning.JOURNAL).read_text("utf-8").splitlines()[1:]
    assert any(json.loads(line)["val_loss"] == math.inf for line in lines)
    assert math.isfinite(min(trial.val_loss for trial in found.trials))
