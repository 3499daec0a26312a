"""What the options of `fastbp train` and of predictions promise: the parts of the rows, weights, files, strictness."""

import json

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from fastbp import TableModel
from fastbp.tables import splitting

pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")
pd = pytest.importorskip("pandas")

PARTS = ("train", "validation", "test")


def visits(n=300, seed=0):
    """Visits of patients: the number of each visit and its patient's, which are features, too."""
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, 40, n)
    ill = patient % 3 == 0
    return pd.DataFrame(
        {
            "visit": np.arange(n) + 0.5 * (np.arange(n) % 2),
            "number": patient.astype(float),
            "patient": [f"patient {k}" if k else None for k in patient],
            "day": (pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.integers(0, 90, n), "D")).strftime("%d.%m.%Y"),
            "pulse": 70 + 8 * ill + rng.normal(0, 4, n).round(1),
            "remark": [f"came at {k} and said that nothing was as it had been before then" for k in range(n)],
            "ill": np.where(ill, "ill", "well"),
        }
    )


def parts_of(model, frame, target):
    """The places of the rows of each part, found again by their features."""
    rows = model.prepare(frame, target)
    place = model.preprocessor.get_feature_names_out().tolist().index("visit")
    order = np.argsort(np.argsort(np.concatenate([rows.x[part][:, place] for part in PARTS])))
    return dict(zip(PARTS, np.split(order, np.cumsum([len(rows.x[part]) for part in PARTS])[:-1]), strict=True))


# --- parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_parts(seed):
    frame = visits(seed=seed)
    parts = parts_of(TableModel(group="patient", ignore=["remark"], seed=seed), frame, "ill")
    assert sorted(np.concatenate(list(parts.values()))) == list(range(300))
    patients = [set(frame["number"][parts[part]]) for part in PARTS]  # 0 is None, a group of its own
    assert sum(map(len, patients)) == len(set().union(*patients)) == frame["number"].nunique()
    assert [len(parts[part]) for part in PARTS] == pytest.approx([192, 48, 60], abs=12)


@pytest.mark.parametrize("seed", range(20))
def test_groups_of_all_sizes_stay_whole(seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(30), rng.geometric(0.05, 30))
    rng.shuffle(groups)
    parts = splitting.split(len(groups), (0.16, 0.2), seed, groups=groups)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert sum(len(np.unique(groups[part])) for part in parts) == 30


@pytest.mark.parametrize("ignore", [["remark"], ["remark", "day"]], ids=["a feature", "no feature"])
def test_later_parts_have_later_rows(ignore):
    frame = visits()
    model = TableModel(time="day", ignore=ignore)
    parts = parts_of(model, frame, "ill")
    days = pd.to_datetime(frame["day"], format="%d.%m.%Y").to_numpy()
    assert [len(parts[part]) for part in PARTS] == [192, 48, 60]
    assert days[parts["train"]].max() <= days[parts["validation"]].min()
    assert days[parts["validation"]].max() <= days[parts["test"]].min()
    assert ("day" in model.preprocessor.feature_names_in_) == ("day" not in ignore)


def test_the_command_splits_as_the_model_does(run, tmp_path):
    frame = visits()
    frame.to_csv(tmp_path / "it.csv", index=False)
    for option in (["--group", "patient"], ["--time", "day"], ["--time", "day", "--ignore", "day,remark"]):
        words = ("train", tmp_path / "it.csv", "--target", "ill", "--ignore", "remark", *option, "--epochs", 2)
        words = [word for k, word in enumerate(words) if "--ignore" not in option or k not in (4, 5)]
        assert run(*words, "--out", tmp_path, "--force")[0] == 0
        written = json.loads((tmp_path / "metrics.json").read_text())
        ignore = ["remark", *(["day"] if "--ignore" in option else [])]
        model = TableModel(**{option[0][2:]: option[1]}, ignore=ignore, epochs=2).fit(frame, "ill")
        for part in PARTS:
            assert written[part] == model.scores[part] and written["rows"] == model.scores["rows"]


@pytest.mark.parametrize("option", ["group", "time"])
def test_the_target_makes_no_parts(option, refused, tmp_path):
    visits().to_csv(tmp_path / "it.csv", index=False)
    line = refused("train", tmp_path / "it.csv", "--target", "visit", f"--{option}", "visit", "--ignore", "remark")
    assert f"expects {option} of another column than the target; got 'visit'" in line


# --- weights --------------------------------------------------------------------------------


def test_balanced_weights_are_scikit_learns(run, tmp_path):
    """The network of `--class-weight balanced` is that of weights n / (k n_c) of the training part's classes."""
    frame = visits().drop(columns=["remark", "patient"])
    options = {"epochs": 7, "patience": None, "refit": False}
    balanced, plain = TableModel(class_weight="balanced", **options), TableModel(**options)
    rows = plain.prepare(frame, "ill")
    given = compute_class_weight("balanced", classes=np.arange(2), y=rows.t["train"])
    plain.class_weight = dict(enumerate(given.tolist()))  # as `Sequential.fit` takes them
    plain.train(rows)
    balanced.fit(frame, "ill")
    for name, array in balanced.net.params.items():
        np.testing.assert_allclose(array, plain.net.params[name], rtol=1e-5, atol=1e-6)
    frame.to_csv(tmp_path / "it.csv", index=False)
    words = ("--class-weight", "balanced", "--epochs", 7, "--patience", 7, "--no-refit")
    assert run("train", tmp_path / "it.csv", "--target", "ill", *words, "--out", tmp_path)[0] == 0
    loaded = TableModel.load(tmp_path / "model.safetensors")
    again = TableModel(class_weight="balanced", epochs=7, patience=7, refit=False).fit(tmp_path / "it.csv", "ill")
    np.testing.assert_array_equal(loaded.predict_proba(frame), again.predict_proba(frame))


# --- files ----------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing_and_says_what_the_training_says(run, tmp_path, monkeypatch):
    visits().to_csv(tmp_path / "it.csv", index=False)
    monkeypatch.chdir(tmp_path)
    words = ("train", "it.csv", "--target", "ill", "--ignore", "remark", "--epochs", 1, "--checkpoint", "run")
    status, dry, error = run(*words, "--dry-run", "--out", "out", "--force")
    assert (status, error) == (0, "") and [path.name for path in tmp_path.iterdir()] == ["it.csv"]
    status, said, _ = run(*words, "--out", "out")
    assert status == 0 and said.startswith(dry) and (tmp_path / "out" / "model.safetensors").exists()


def test_force_writes_over_its_own_files_alone(run, refused, tmp_path):
    visits().to_csv(tmp_path / "it.csv", index=False)
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.safetensors").write_text("mine")
    (out / "notes.txt").write_text("mine")
    words = ("train", tmp_path / "it.csv", "--target", "ill", "--ignore", "remark", "--epochs", 1, "--out", out)
    assert run(*words)[0] == 0
    assert (out / "model.safetensors").read_text() == "mine" and TableModel.load(out / "model-2.safetensors")
    assert run(*words, "--force")[0] == 0
    assert TableModel.load(out / "model.safetensors") and (out / "notes.txt").read_text() == "mine"
    for name in ("model.safetensors", "metrics.json"):
        (out / name).unlink()
        (out / name).mkdir()
        assert f"expects a folder for the file {name}" in refused(*words, "--force")
        (out / name).rmdir()


# --- columns --------------------------------------------------------------------------------


def test_ignored_columns_are_neither_read_nor_asked_for(run, refused, tmp_path):
    frame = visits()
    frame["odd"] = ["1.5", "2.5", "3.5", "4.5", "5.5", "x"] * 50  # a number that is none
    frame.to_csv(tmp_path / "it.csv", index=False)
    words = ("train", tmp_path / "it.csv", "--target", "ill", "--epochs", 2, "--out", tmp_path)
    assert "odd" in refused(*words)
    assert run(*words, "--ignore", "remark,odd")[0] == 0
    model = tmp_path / "model.safetensors"
    want = run("predict", model, tmp_path / "it.csv")
    assert want[0] == 0 and want[2] == ""
    frame.drop(columns=["remark", "odd", "ill"]).to_csv(tmp_path / "less.csv", index=False)
    frame.assign(odd="nothing", remark=3).to_csv(tmp_path / "other.csv", index=False)
    assert run("predict", model, tmp_path / "less.csv") == run("predict", model, tmp_path / "other.csv") == want


def strict_cases():
    """Changes of a row, and what --strict says of them; None where the training had such ones."""
    return {
        "another category": ({"city": "Lima"}, "one of 'Bonn', 'Oslo', in column 'city'; got 'Lima' in line 3"),
        "no category": ({"city": None}, "got none in line 3"),
        "no number": ({"size": None}, "got none in line 3"),
        "no date": ({"day": None}, "got none in line 3"),
        "no truth value": ({"old": None}, "got none in line 3"),
        "another of many": ({"street": "elsewhere"}, "got 'elsewhere' in line 3"),
        "none where some were": ({"floor": None, "colour": None}, None),
        "nothing": ({}, None),
    }


@pytest.fixture(scope="module")
def strict_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strict")
    rng = np.random.default_rng(1)
    n = 400
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "city": rng.choice(["Oslo", "Bonn"], n),
            "street": [f"street {k % 40}" for k in range(n)],
            "day": (pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.integers(0, 90, n), "D")).strftime("%Y-%m-%d"),
            "old": rng.choice(["yes", "no"], n),
            "floor": np.where(rng.random(n) < 0.3, np.nan, rng.integers(0, 5, n)),
            "colour": rng.choice(["red", "blue", None], n),
            "price": rng.normal(size=n),
        }
    )
    TableModel(epochs=1).fit(frame, "price").save(folder / "model.safetensors")
    return folder / "model.safetensors", frame.dropna()[:3].reset_index(drop=True)


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("name", strict_cases())
def test_strict_refuses_what_the_training_had_not(name, command, strict_model, run, refused, tmp_path):
    model, rows = strict_model
    changes, message = strict_cases()[name]
    rows = rows.astype(object)
    for column, value in changes.items():
        rows.loc[1, column] = value
    rows.to_csv(tmp_path / "new.csv", index=False)
    status, _, error = run(command, model, tmp_path / "new.csv")
    assert status == 0 and bool(error) == (message is not None)
    if message is None:
        assert run(command, model, tmp_path / "new.csv", "--strict")[::2] == (0, "")
    else:
        assert message in refused(command, model, tmp_path / "new.csv", "--strict")
        (column,) = changes
        assert f"fastbp: {column}: 1 row" in error
