"""Every number of `metrics.json` and of `evaluate` beside scikit-learn's own, made of what `fastbp predict` writes."""

import csv
import io
import json
import re

import numpy as np
import pytest
from sklearn import metrics
from sklearn.dummy import DummyClassifier, DummyRegressor

from fastbp import TableModel, scores

pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")
pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.filterwarnings(
    "ignore:y_pred contains classes not in y_true", "ignore:R.2 score is not", "ignore:A single label was"
)


# --- tables and the oracle ------------------------------------------------------------------


def table(kind, n=400):
    """A table with a day for each row, which `--time` splits by: the last fifth are the test rows."""
    rng = np.random.default_rng(3)
    size, city = rng.normal(100, 30, n), rng.choice(["Rome", "Oslo", "Bonn"], n)
    amount = size * (1 + 0.3 * (city == "Oslo")) + rng.normal(0, 25, n)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.permutation(n), "D")
    target = {
        "two": np.where(amount > 105, "dear", "cheap"),
        "rare": np.where(amount > 160, "dear", "cheap"),
        "four": np.array(["a", "b", "c", "d"])[np.digitize(amount, [80, 110, 150])],
        "bools": amount > 105,
        "numbered": np.digitize(amount, [90, 120]) + 1,
        "amounts": 1e6 + 1000 * amount,
    }[kind]
    return pd.DataFrame({"size": size.round(2), "city": city, "day": day.strftime("%Y-%m-%d"), "target": target})


def said(run, model, path, classes=None):
    """What `fastbp predict` writes: the predictions as texts, and the probabilities or None."""
    status, text, error = run("predict", model, path, *(() if classes is None else ("--proba",)))
    assert (status, error) == (0, "")
    rows = list(csv.DictReader(io.StringIO(text)))
    p = None if classes is None else np.array([[float(row[f"target={each}"]) for each in classes] for row in rows])
    return np.array([row["target"] for row in rows]), p


def of_classes(t, y, p, classes):
    """scikit-learn's scores of texts t and y, and probabilities (n, n_classes) that sum to 1 within float32."""
    p = p / p.sum(axis=1, keepdims=True)
    if len(set(t)) < 2:
        area = np.nan
    elif len(classes) == 2:
        area = metrics.roc_auc_score(t == classes[1], p[:, 1])
    else:
        there = [k for k, each in enumerate(classes) if each in set(t)]
        area = np.mean([metrics.roc_auc_score(t == classes[k], p[:, k]) for k in there])
        if len(there) == len(classes):
            assert area == pytest.approx(metrics.roc_auc_score(t, p, multi_class="ovr", average="macro"))
    places = np.searchsorted(classes, t)
    return {
        "accuracy": metrics.accuracy_score(t, y),
        "balanced_accuracy": metrics.balanced_accuracy_score(t, y),
        "f1": metrics.f1_score(t, y, average="macro"),
        "roc_auc": area,
        "log_loss": metrics.log_loss(t, p, labels=classes),
        "brier": np.square(p - np.eye(len(classes))[places]).sum(axis=1).mean() / (2 if len(classes) == 2 else 1),
        "confusion": metrics.confusion_matrix(t, y, labels=classes).tolist(),
    }


def of_numbers(t, y):
    return {
        "mae": metrics.mean_absolute_error(t, y),
        "rmse": metrics.root_mean_squared_error(t, y),
        "r2": metrics.r2_score(t, y),
    }


def assert_same(found, want):
    found, want = dict(found), dict(want)
    assert found.pop("confusion", None) == want.pop("confusion", None)
    assert found.pop("rows", None) == want.pop("rows", None)
    assert found == pytest.approx(want, rel=1e-5, abs=1e-6, nan_ok=True)


# --- metrics.json ---------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [(), ("--class-weight", "balanced")], ids=["plain", "balanced"])
@pytest.mark.parametrize("kind", ["two", "rare", "four", "bools", "numbered"])
def test_scores_of_classes_are_scikit_learns_of_what_predict_writes(kind, weight, run, tmp_path):
    frame = table(kind).sort_values("day", kind="stable")
    frame.to_csv(tmp_path / "all.csv", index=False)
    words = ("--time", "day", "--target", "target", "--no-refit", "--epochs", 6, *weight)
    assert run("train", tmp_path / "all.csv", *words, "--out", tmp_path)[0] == 0
    written = json.loads((tmp_path / "metrics.json").read_text())
    classes = np.array([str(each) for each in written["classes"]])
    edges = {"train": (0, 256), "validation": (256, 320), "test": (320, 400)}  # by date
    shares = frame["target"][:256].astype(str).value_counts(normalize=True)[classes].tolist()
    assert written["shares"] == pytest.approx(shares)
    assert written["rows"] == {name: end - begin for name, (begin, end) in edges.items()}
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((256, 1)), frame["target"][:256].astype(str))
    for name, (begin, end) in edges.items():
        part = frame[begin:end]
        part.to_csv(tmp_path / "part.csv", index=False)
        t = part["target"].astype(str).to_numpy()
        y, p = said(run, tmp_path / "model.safetensors", tmp_path / "part.csv", classes)
        assert_same(written[name], of_classes(t, y, p, classes))
        nothing = np.zeros((end - begin, 1))
        baseline = of_classes(t, dummy.predict(nothing), dummy.predict_proba(nothing), classes)
        assert_same(written["baseline"][name], baseline)


def test_scores_of_numbers_are_scikit_learns_of_what_predict_writes(run, tmp_path):
    frame = table("amounts").sort_values("day", kind="stable")
    frame.to_csv(tmp_path / "all.csv", index=False)
    words = ("--time", "day", "--target", "target", "--no-refit", "--epochs", 6)
    assert run("train", tmp_path / "all.csv", *words, "--out", tmp_path)[0] == 0
    written = json.loads((tmp_path / "metrics.json").read_text())
    mean = DummyRegressor().fit(np.zeros((256, 1)), frame["target"][:256])
    for name, (begin, end) in {"train": (0, 256), "validation": (256, 320), "test": (320, 400)}.items():
        part = frame[begin:end]
        part.to_csv(tmp_path / "part.csv", index=False)
        y, _ = said(run, tmp_path / "model.safetensors", tmp_path / "part.csv")
        assert_same(written[name], of_numbers(part["target"], y.astype(float)))
        assert_same(written["baseline"][name], of_numbers(part["target"], mean.predict(np.zeros((end - begin, 1)))))


def test_scores_are_of_rows_that_the_judged_network_has_not_seen(run, tmp_path):
    """A target by chance, learnt by heart: what the saved network, which has learnt all rows, says is not told."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 20))
    names = [f"f{k}" for k in range(20)]
    pd.DataFrame(x, columns=names).assign(target=rng.choice(["a", "b"], 150)).to_csv(tmp_path / "it.csv", index=False)
    words = ("--target", "target", "--patience", 200, "--epochs", 200, "--lr", 0.01)
    assert run("train", tmp_path / "it.csv", *words, "--out", tmp_path)[0] == 0
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["test"]["accuracy"] < 0.7
    assert written["test"] == TableModel(patience=200, lr=0.01).fit(tmp_path / "it.csv", "target").scores["test"]


# --- evaluate -------------------------------------------------------------------------------


def printed(text):
    """Scores and their baseline's as `fastbp evaluate` prints them."""
    names = {
        "accuracy": "accuracy",
        "balanced accuracy": "balanced_accuracy",
        "F1, mean of classes": "f1",
        "ROC AUC": "roc_auc",
        "log loss": "log_loss",
        "Brier score": "brier",
        "MAE": "mae",
        "RMSE": "rmse",
        "R^2": "r2",
    }
    rows = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    found = {names[row[0]]: row[1:] for row in rows if row[0] in names}
    return [{name: np.nan if row[k] == "-" else float(row[k]) for name, row in found.items()} for k in (0, 1)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A saved model of each kind of table, and the table."""
    folder = tmp_path_factory.mktemp("models")
    made = {}
    for kind in ("two", "four", "amounts"):
        frame = table(kind).drop(columns="day")
        model = TableModel(epochs=6).fit(frame, "target")
        model.save(folder / f"{kind}.safetensors")
        made[kind] = model, folder / f"{kind}.safetensors", frame
    return made


@pytest.mark.parametrize(
    ("kind", "few"),
    [
        ("two", None),
        ("four", None),
        ("four", ["a", "b", "c"]),  # a class without a row
        ("four", ["d"]),
        ("two", ["dear"]),
        ("two", "one row"),
    ],
    ids=str,
)
def test_evaluate_is_scikit_learns_of_what_predict_writes(kind, few, models, run, tmp_path):
    model, path, frame = models[kind]
    rows = frame[:1] if few == "one row" else frame if few is None else frame[frame["target"].isin(few)]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    t, classes = rows["target"].to_numpy(str), model.classes.astype(str)
    y, p = said(run, path, tmp_path / "rows.csv", classes)
    want = of_classes(t, y, p, classes)
    prior = DummyClassifier(strategy="prior").fit(np.zeros((len(frame), 1)), frame["target"])
    nothing = np.zeros((len(rows), 1))
    baseline = of_classes(t, prior.predict(nothing), prior.predict_proba(nothing), classes)
    found = model.evaluate(rows)
    got = found.pop("baseline")
    assert_same(found, want | {"rows": len(rows)})
    assert_same(got, baseline)
    status, text, error = run("evaluate", path, tmp_path / "rows.csv")
    assert (status, error) == (0, "") and f"{len(rows)} rows with target" in text
    for shown, exact in zip(printed(text), (want, baseline), strict=True):
        exact.pop("confusion")
        assert shown == pytest.approx(exact, rel=6e-4, nan_ok=True)
    assert [line.split()[1:] for line in text.splitlines()[-len(classes) :]] == [
        [str(count) for count in row] for row in found["confusion"]
    ]


@pytest.mark.parametrize("which", ["all", "constant", "one row"])
def test_evaluate_of_numbers_is_scikit_learns(which, models, run, tmp_path):
    model, path, frame = models["amounts"]
    rows = frame[:1] if which == "one row" else frame
    rows = rows.assign(target=1.1e6) if which == "constant" else rows
    rows.to_csv(tmp_path / "rows.csv", index=False)
    y = said(run, path, tmp_path / "rows.csv")[0].astype(float)
    t, mean = rows["target"].to_numpy(), np.full(len(rows), frame["target"].mean())
    found = model.evaluate(rows)
    got = found.pop("baseline")
    _, text, _ = run("evaluate", path, tmp_path / "rows.csv")
    for mine, shown, predicted in zip((found, got), printed(text), (y, mean), strict=True):
        want = of_numbers(t, predicted)
        if which != "all":  # scikit-learn gives a number, which says nothing without variance
            want["r2"] = np.nan
        assert_same({name: mine[name] for name in want}, want)
        assert shown == pytest.approx(want, rel=6e-4, abs=1e-6, nan_ok=True)


def test_a_sure_mistake_costs_as_much_as_in_scikit_learn():
    p = np.array([[1.0, 0.0], [1 - 1e-20, 1e-20], [0.25, 0.75]])
    t = np.array([1, 1, 1])
    assert scores.of_classes(p, t)["log_loss"] == pytest.approx(metrics.log_loss(t, p, labels=[0, 1]), rel=1e-12)


def test_the_epoch_of_the_lowest_validation_loss_is_that_of_the_training_which_is_shown(run, tmp_path):
    """Not that of the splits which judge how long the last network learns."""
    table("amounts", 90).drop(columns="day").to_csv(tmp_path / "it.csv", index=False)
    words = ("--target", "target", "--patience", 5, "--lr", 0.01, "--epochs", 400, "--out", tmp_path)
    status, out, _ = run("train", tmp_path / "it.csv", *words)
    model = TableModel(patience=5, lr=0.01).fit(tmp_path / "it.csv", "target")
    losses = np.array(model.history.val_loss)
    shown = int(re.search(r"stopped +5 epochs after the lowest validation loss, in epoch (\d+)", out)[1])
    assert status == 0 and shown == len(losses) - 5 != model.best_epoch
    assert losses[shown - 1] <= losses.min() + 1e-3  # what less is no lower loss
    assert f"a network that has learnt all rows, for {model.best_epoch} epoch" in out
