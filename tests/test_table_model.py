"""`TableModel`: tables of all kinds learnt, judged, saved, loaded and explained."""

import copy
import ctypes
import io
import json
import os
import pickle
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn.datasets
import sklearn.metrics

import fastbp
from fastbp import TableModel, files, scores

pandas = pytest.importorskip("pandas")
pytest.importorskip("safetensors")


def shop(n=400, seed=0):
    """A table as people have them: numbers, categories, dates, bools, holes."""
    rng = np.random.default_rng(seed)
    size, old = rng.uniform(20, 200, n), rng.integers(0, 2, n).astype(bool)
    city = rng.choice(["Rome", "Oslo", "Bonn"], n)
    price = 900 * size + 20000 * (city == "Oslo") - 15000 * old + rng.normal(0, 2000, n)
    frame = pandas.DataFrame({"size": size, "city": city, "old": old, "price": price})
    frame["sold"] = pandas.Timestamp("2020-01-01") + pandas.to_timedelta(rng.integers(0, 900, n), "D")
    frame["kind"] = np.where(price > 110000, "dear", "cheap")
    frame.loc[rng.choice(n, 1 + n // 100), "size"] = np.nan
    frame.loc[rng.choice(n, 1 + n // 100), "city"] = None
    return frame


@pytest.fixture(scope="module")
def priced():
    return TableModel(ignore=["kind"], epochs=60, seed=1).fit(shop(), "price")


@pytest.fixture(scope="module")
def sorted_out():
    return TableModel(ignore=["price"], epochs=60, seed=1).fit(shop(), "kind")


def test_prices_are_predicted_in_their_unit(priced):
    new = shop(100, seed=9)
    y = priced.predict(new)
    assert y.dtype == np.float64 and sklearn.metrics.r2_score(new["price"], y) > 0.9
    scored = priced.evaluate(new)
    assert scored["r2"] == pytest.approx(sklearn.metrics.r2_score(new["price"], y))
    assert scored["mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(new["price"], y))
    assert scored["rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(new["price"], y))
    assert priced.scores["test"]["r2"] > 0.9 > 0.1 > priced.scores["baseline"]["test"]["r2"]
    assert priced.scores["rows"] == {"train": 256, "validation": 64, "test": 80}


def test_classes_are_predicted_by_their_names(sorted_out):
    new = shop(100, seed=9)
    names, p = sorted_out.predicted(new)
    assert sorted_out.classes.tolist() == ["cheap", "dear"]
    assert (names == new["kind"]).mean() > 0.9
    np.testing.assert_array_equal(names, sorted_out.classes[p.argmax(axis=1)])
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(p, sorted_out.predict_proba(new))
    labels = ["cheap", "dear"]
    want = sklearn.metrics.confusion_matrix(new["kind"], names, labels=labels).tolist()
    assert sorted_out.evaluate(new)["confusion"] == want


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "dict", "csv"])
def test_tables_of_all_kinds_give_the_same(kind, priced, tmp_path):
    new = shop(30, seed=5)
    want = priced.predict(new)
    plain = {name: new[name].tolist() for name in ("size", "city", "old")}
    plain["sold"] = new["sold"].to_numpy()
    plain["city"] = [city if isinstance(city, str) else None for city in plain["city"]]
    if kind == "polars":
        data = pytest.importorskip("polars").DataFrame(plain)
    elif kind == "arrow":
        data = pytest.importorskip("pyarrow").table(plain)
    elif kind == "csv":
        data = tmp_path / "new.csv"
        new.to_csv(data, index=False)
    else:
        data = new if kind == "pandas" else plain
    np.testing.assert_allclose(priced.predict(data), want, rtol=1e-6)


#: Columns that a reader refuses, where it has to understand them.
ODD = {
    "lists": [[1], [2, 3]] * 15,
    "infinite": [1.0, np.inf] * 15,
    "numbers and texts": ["1.5"] * 29 + ["x"],
    "no date": ["2020-01-02"] * 29 + ["2020-13-45"],
    "spans": [np.timedelta64(3, "D")] * 30,
    "classes": ["neither"] * 30,
    "long texts": [f"so many words that nobody would read all of them, number {k}" for k in range(30)],
}


@pytest.mark.parametrize("name", ["more", "price", "kind", "constant"])
@pytest.mark.parametrize("values", ODD.values(), ids=ODD)
def test_what_is_no_feature_is_not_looked_at_in_new_rows(name, values, tmp_path):
    """Neither columns of other names, nor the target, nor what was ignored or left out in training."""
    model = TableModel(ignore=["kind"], epochs=1).fit(shop().assign(constant=1), "price")
    new = shop(30, seed=5).drop(columns=["price", "kind"])
    want = model.predict(new)
    odd = new.assign(**{name: pandas.Series(values, dtype=object)})
    np.testing.assert_array_equal(model.predict(odd), want)
    odd.to_csv(tmp_path / "new.csv", index=False)
    np.testing.assert_allclose(model.predict(tmp_path / "new.csv"), want)
    if name != "price":
        assert model.evaluate(odd.assign(price=1.5))["rows"] == 30
    rows = model.preprocessor.transform(new)
    np.testing.assert_array_equal(model.preprocessor.transform(odd), rows)


@pytest.mark.parametrize("values", ODD.values(), ids=ODD)
def test_ignored_columns_may_hold_anything_in_training(values):
    frame = shop(30)
    want = TableModel(ignore=["kind"], epochs=1).fit(frame, "price").predict(frame)
    odd = frame.assign(more=pandas.Series(values, dtype=object))
    model = TableModel(ignore=["kind", "more"], epochs=1).fit(odd, "price")
    np.testing.assert_array_equal(model.predict(odd), want)


def test_arrays_are_tables_without_names(rng):
    x = rng.normal(size=(200, 3))
    model = TableModel(epochs=40).fit(x, np.where(x[:, 0] > 0, "up", "down"))
    assert (model.predict(x) == np.where(x[:, 0] > 0, "up", "down")).mean() > 0.9
    assert model.target == "target"


def test_other_columns_and_values_are_told_or_refused(sorted_out):
    new = shop(5, seed=2)
    new["more"] = 1
    new.loc[0, "city"] = "Lima"
    sorted_out.predict(new)
    assert sorted_out.warnings == [
        "city: 1 row with none of the categories of the training, as 'Lima': all zeros",
        "columns that the training had not, ignored: more",
    ]
    with pytest.raises(ValueError, match="expects one of 'Bonn', 'Oslo', 'Rome', in column 'city'; got 'Lima'"):
        sorted_out.predict(new, strict=True)
    with pytest.raises(ValueError, match="got none of the names 'size', 'old'"):
        sorted_out.predict(new.drop(columns=["old", "size"]))


def test_the_saved_model_predicts_the_same_in_another_process_and_instruction_set(
    priced, sorted_out, tmp_path, run_python
):
    shop(40, seed=3).to_csv(tmp_path / "new.csv", index=False)
    code = """
import json, sys, fastbp
models = [fastbp.TableModel.load(name) for name in ("price.safetensors", "kind.safetensors")]
print(json.dumps([models[0].predict("new.csv").tolist(), models[1].predict_proba("new.csv").tolist()]))
"""
    for name, model in (("price", priced), ("kind", sorted_out)):
        model.save(tmp_path / f"{name}.safetensors")
    want = [priced.predict(tmp_path / "new.csv"), sorted_out.predict_proba(tmp_path / "new.csv")]
    for isa in ("", "v2"):
        if isa and os.uname().machine != "x86_64":
            continue
        done = run_python("-c", code, **({"FASTBP_ISA": isa} if isa else {}))
        assert done.returncode == 0, done.stderr
        for ours, theirs in zip(want, json.loads(done.stdout), strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=1e-5 if isa else 0)


def test_a_file_keeps_everything_and_is_a_network_too(sorted_out):
    file = io.BytesIO()
    sorted_out.save(file)
    file.seek(0)
    again = TableModel.load(file)
    assert again.scores == sorted_out.scores and again.notes == sorted_out.notes
    assert (again.made, again.version, again.task, again.hidden) == (
        sorted_out.made,
        fastbp.__version__,
        "classification",
        (64,),
    )
    file.seek(0)
    net = fastbp.Sequential.load(file)
    x = sorted_out.preprocessor.transform(shop(5))
    np.testing.assert_array_equal(net.predict(x), sorted_out.net.predict(x))


def test_a_file_that_is_opened_to_read_is_not_written(sorted_out, tmp_path):
    (tmp_path / "it").touch()
    with open(tmp_path / "it", "rb") as file, pytest.raises(ValueError, match="expects a file opened to write; got"):
        sorted_out.save(file)


@pytest.fixture
def metadata(sorted_out, tmp_path):
    """metadata(change): a file whose metadata a function has changed, with a good checksum."""
    path = tmp_path / "it.safetensors"
    sorted_out.save(path)
    tensors, texts = files.read_safetensors("it", path)

    def changed(change):
        document = json.loads(texts["fastbp.table"])
        document = [] if change(document) == [] else document
        files.write_safetensors("it", path, tensors, {**texts, "fastbp.table": json.dumps(document)})
        return path

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(version=2), "expects a file of version 1; got version 2 in .*, written by another fastbp"),
        (lambda d: d.update(format="x"), r"expects a model of a table; got .* \(the format 'x'\)"),
        (lambda d: [], "expects a model of a table; got"),
        (lambda d: d.pop("preprocessor"), "expects a preprocessor in .*; got another text"),
        (
            lambda d: d["preprocessor"].update(version=9),
            "expects a preprocessor of version 1 to 2 in .*; got version 9",
        ),
        (lambda d: d["preprocessor"]["columns"].pop(), "expects a network of the preprocessor's"),
        (lambda d: d["preprocessor"]["target"]["classes"].pop(), "expects a whole preprocessor in"),
        (lambda d: d["preprocessor"]["target"]["classes"].append("x"), "and 3 outputs; got another one in"),
        (lambda d: d.update(scores=3), "expects texts and scores beside the preprocessor; got others"),
        (
            lambda d: d["preprocessor"].update(target={"kind": "numbers", "name": "t", "mean": 1, "scale": 1}),
            "outputs; got another one in",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(change, message, metadata):
    path = metadata(change)
    with pytest.raises(ValueError, match=f"TableModel.load .*{message}"):
        TableModel.load(path)


def test_a_network_without_preprocessing_is_named(tmp_path):
    fastbp.Sequential.from_config([(2, 1, "linear")], "squared_error").save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"without preprocessing, which Sequential\.load may read"):
        TableModel.load(tmp_path / "net.safetensors")


def test_damaged_files_are_refused(sorted_out):
    file = io.BytesIO()
    sorted_out.save(file)
    data = file.getvalue()
    for place in range(9, len(data), max(1, len(data) // 60)):
        with pytest.raises(ValueError, match=r"TableModel\.load expects"):
            TableModel.load(io.BytesIO(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]))
        with pytest.raises(ValueError, match=r"TableModel\.load expects"):
            TableModel.load(io.BytesIO(data[:place]))


def test_importances_tell_the_columns_that_count(priced):
    found = priced.importances(shop(200, seed=4), n_repeats=3)
    assert found.names[:2] == ["size", "city"] and found.score == "r2"
    assert found.means[0] > 0.5 > 0.1 > abs(found.means[-1])
    assert sorted(found.names) == ["city", "old", "size", "sold"]
    again = priced.importances(shop(200, seed=4), n_repeats=3)
    np.testing.assert_array_equal(again.means, found.means)


# --- categories of many values ---------------------------------------------------------------


def streets(n=3000, seed=0, missing=True):
    """Prices by one of 200 streets."""
    rng = np.random.default_rng(seed)
    street, size = rng.integers(0, 200, n), rng.normal(100, 30, n)
    price = 1000 * size + 40_000 * np.random.default_rng(9).normal(size=200)[street] + rng.normal(0, 5000, n)
    names = [f"street {k}" for k in street]
    names[:20] = [None if missing else "street 0"] * 20
    return {"size": size, "street": names, "old": rng.choice(["red", "blue", "grey"], n), "price": price}


@pytest.fixture(scope="module", params=["float32", "float64"])
def embedded(request):
    return TableModel(epochs=40, dtype=request.param).fit(streets(), "price")


def test_many_categories_are_embedded(embedded):
    first = embedded.net.layers[0]
    assert isinstance(first, fastbp.Embeddings) and first.sizes == [202] and first.E.dtype == embedded.dtype
    assert embedded.scores["test"]["r2"] > 0.95
    assert embedded.importances(streets(500, 1)).names == ["street", "size", "old"]
    new = streets(50, 2)
    file = io.BytesIO()
    embedded.save(file)
    file.seek(0)
    loaded = TableModel.load(file)
    np.testing.assert_array_equal(loaded.predict(new), embedded.predict(new))
    assert (loaded.hidden, loaded.activation) == ((64,), "relu")
    assert loaded.evaluate(streets(500, 1))["r2"] > 0.95


def test_a_category_that_the_training_had_not_is_the_mean_of_those_it_had(embedded):
    new = {"size": [100.0] * 2, "street": ["street 3", "elsewhere"], "old": ["red"] * 2}
    price = embedded.predict(new)[1]
    assert abs(price - 100_000) < 20_000  # streets differ by 40,000
    assert embedded.warnings == [
        "street: 1 row with none of the categories of the training, as 'elsewhere': taken as their mean"
    ]
    with pytest.raises(ValueError, match=r"expects one of 'street 0', .*got 'elsewhere' in row 1"):
        embedded.predict(new, strict=True)
    table = embedded.net.layers[0].tables[0]
    x = embedded.preprocessor.transform(streets())
    np.testing.assert_allclose(table[0], table[x[:, 0].astype(int)].mean(0), atol=1e-6)


def test_a_missing_category_is_learnt_or_as_an_unknown_one(embedded):
    one = {"size": [100.0], "street": np.array([None], object), "old": ["red"]}
    assert np.isfinite(embedded.predict(one)) and not embedded.warnings
    model = TableModel(epochs=2).fit(streets(missing=False), "price")
    assert model.predict(one) == model.predict(one | {"street": ["elsewhere"]})
    with pytest.raises(ValueError, match="got none in row 0"):
        model.predict(one, strict=True)


def test_embedded_categories_leave_with_their_model(embedded, tmp_path):
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    embedded.save(tmp_path / "it.safetensors")
    fastbp.export.export_file(tmp_path / "it.safetensors", tmp_path / "it.onnx")
    fastbp.export.export_file(tmp_path / "it.safetensors", tmp_path / "it.c")
    known, old = (each.categories for each in embedded.preprocessor.encodings_ if hasattr(each, "categories"))
    new = {
        "size": [90.0] * 4,
        "street": ["street 3", "street 77", "elsewhere", None],
        "old": ["red", "blue", "grey", "x"],
    }
    codes = [[known.index(street) if street in known else -1.0 for street in new["street"]]]
    codes[0][3] = np.nan
    codes += [new["size"], [old.index(each) if each in old else np.nan for each in new["old"]]]
    rows = np.array(codes).T
    expected = embedded.predict(new)
    session = ort.InferenceSession(tmp_path / "it.onnx")
    np.testing.assert_allclose(session.run(None, {"input": rows})[0][:, 0], expected, rtol=1e-5)
    source = tmp_path / "it.c"
    done = subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", source, "-o", tmp_path / "it.so", "-lm"],
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    function, out = ctypes.CDLL(str(tmp_path / "it.so")).it_predict, np.empty(1)
    for row, want in zip(rows, expected, strict=True):
        function(*(ctypes.c_void_p(each.ctypes.data) for each in (np.ascontiguousarray(row), out)))
        np.testing.assert_allclose(out[0], want, rtol=1e-5)


def test_a_file_from_before_embeddings_hashes_on(tmp_path):
    """Of a preprocessor of version 1, in a file as `save` wrote it."""
    columns = streets(300)
    price = columns.pop("price")
    model = TableModel(hidden=(3,), epochs=1).fit({**columns, "price": price}, "price")
    model.preprocessor = fastbp.tables.Preprocessor(max_categories=100, dtype="float32").fit(columns)
    model.preprocessor.target_ = (
        fastbp.tables.Preprocessor().fit({"price": price, "x": columns["size"]}, "price").target_
    )
    n_in = len(model.preprocessor.get_feature_names_out())
    model.net = model.network_for(n_in, model.preprocessor.target_)
    path = tmp_path / "it.safetensors"
    model.save(path)
    tensors, texts = files.read_safetensors("it", path)
    document = json.loads(texts["fastbp.table"])
    document["preprocessor"]["version"] = 1
    del document["preprocessor"]["many"]
    files.write_safetensors("it", path, tensors, {**texts, "fastbp.table": json.dumps(document)})
    loaded = TableModel.load(path)
    assert [each.kind for each in loaded.preprocessor.encodings_] == ["number", "hashed", "category"]
    np.testing.assert_array_equal(loaded.predict(streets(20, 1)), model.predict(streets(20, 1)))


@pytest.mark.parametrize("change", ["sizes", "none"])
def test_tables_of_other_codes_are_refused(embedded, change, tmp_path):
    embedded.save(tmp_path / "it.safetensors")
    tensors, texts = files.read_safetensors("it", tmp_path / "it.safetensors")
    document = json.loads(texts["fastbp.table"])
    coded = document["preprocessor"]["columns"][0]
    if change == "sizes":
        coded["categories"].pop()
    else:
        coded.clear()
        coded.update({"kind": "number", "name": "street", "mean": 0, "scale": 1, "median": 0, "indicator": False})
        coded["boolean"] = False
    texts = {**texts, "fastbp.table": json.dumps(document)}
    files.write_safetensors("it", tmp_path / "it.safetensors", tensors, texts)
    with pytest.raises(ValueError, match=r"TableModel.load expects a network of the preprocessor's 5 columns"):
        TableModel.load(tmp_path / "it.safetensors")


def test_groups_and_times_make_the_parts():
    frame = shop(300)
    frame["street"] = [f"street {k % 30}" for k in range(300)]
    model = TableModel(epochs=5, group="street", ignore=["kind"])
    rows = model.prepare(frame, "price")
    assert "street" not in model.preprocessor.feature_names_in_
    assert all(len(rows.x[part]) for part in ("train", "validation", "test"))
    rows = TableModel(time="sold", ignore=["kind"]).prepare(frame, "price")
    last = np.sort(frame["sold"].to_numpy())[-60:]
    prices = frame.sort_values("sold", kind="stable")["price"].to_numpy()[-60:]
    assert len(last) == len(rows.t["test"])
    assert np.corrcoef(rows.t["test"][:, 0], prices)[0, 1] > 0.9999
    with pytest.raises(ValueError, match="expects dates or numbers in the column of time; got texts in 'city'"):
        TableModel(time="city").prepare(frame, "price")
    with pytest.raises(ValueError, match="expects group as one of the columns"):
        TableModel(group="strt").prepare(frame, "price")


def test_rows_without_a_target_are_left_out_and_told():
    frame = shop(200)
    frame.loc[:9, "price"] = np.nan
    model = TableModel(epochs=2, ignore=["kind"]).fit(frame, "price")
    assert sum(model.scores["rows"].values()) == 190
    assert model.notes == [
        "10 rows without a value of price, left out",
        "regression, as price has 190 different numbers",
    ]


def test_refit_learns_all_rows_and_scores_are_those_of_unseen_ones():
    frame = shop(200)
    both = [TableModel(epochs=5, refit=refit, ignore=["kind"]).fit(frame, "price") for refit in (True, False)]
    assert both[0].scores == both[1].scores
    assert both[0].preprocessor.target_.mean == pytest.approx(frame["price"].mean())
    assert both[1].preprocessor.target_.mean != pytest.approx(frame["price"].mean())


def test_class_weights_find_rare_classes(rng):
    x = rng.normal(size=(600, 2))
    rare = x[:, 0] + rng.normal(0, 0.7, 600) > 1.6
    plain, weighted = (
        TableModel(epochs=30, class_weight=weight).fit(x, rare).scores["test"]["balanced_accuracy"]
        for weight in (None, "balanced")
    )
    assert weighted > plain


def test_the_same_seed_gives_the_same_model():
    frame = shop(150)
    first, again, other = (
        TableModel(epochs=3, seed=seed, ignore=["kind"]).fit(frame, "price").predict(frame) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_scores_are_scikit_learns(n_classes, rng):
    p = rng.dirichlet(np.ones(n_classes), 200).round(2)
    p[:, 0] += 1 - p.sum(axis=1)
    t = rng.integers(0, n_classes, 200)
    got = scores.of_classes(p, t)
    y, one_hot, metrics = p.argmax(axis=1), np.eye(n_classes)[t], sklearn.metrics
    area = p[:, 1] if n_classes == 2 else p
    want = {
        "accuracy": metrics.accuracy_score(t, y),
        "balanced_accuracy": metrics.balanced_accuracy_score(t, y),
        "f1": metrics.f1_score(t, y, average="macro"),
        "roc_auc": metrics.roc_auc_score(t, area, multi_class="ovr"),
        "log_loss": metrics.log_loss(t, np.maximum(p, 1e-300)) if (p > 0).all() else got["log_loss"],
        "brier": ((p - one_hot) ** 2).sum(axis=1).mean() / (2 if n_classes == 2 else 1),
    }
    assert got == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"task": "guess"}, ValueError, "TableModel expects task as one of"),
        ({"hidden": 5}, TypeError, "TableModel expects hidden as a sequence of widths"),
        ({"hidden": (0,)}, ValueError, "TableModel expects hidden of at least 1"),
        ({"optimizer": "newton"}, ValueError, "TableModel expects optimizer as one of"),
        ({"validation_size": 0.5, "test_size": 0.5}, ValueError, "that leave rows to train; got 0.5 and 0.5"),
        ({"group": "a", "time": "b"}, ValueError, "expects group or time; got both"),
        ({"group": 3}, TypeError, "expects group as the name of a column; got 3"),
        ({"ignore": "abc"}, TypeError, "expects ignore as a sequence of names of columns"),
        ({"class_weight": "much"}, ValueError, "expects class_weight as one of 'balanced'"),
    ],
)
def test_bad_options_are_one_sentence(options, error, message):
    with pytest.raises(error, match=message):
        TableModel(**options)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "evaluate", "importances", "save"])
def test_a_new_model_says_that_fit_comes_first(method):
    with pytest.raises(ValueError, match=r"TableModel\.\w+ expects fit to be called before; got a new TableModel"):
        getattr(TableModel(), method)("it.csv")


def test_a_refused_fit_changes_nothing(priced):
    before = priced.predict(shop(5)).tolist(), priced.notes
    with pytest.raises(ValueError, match="expects the target to be one of the columns"):
        priced.fit(shop(50), "pric")
    assert (priced.predict(shop(5)).tolist(), priced.notes) == before


@pytest.mark.parametrize("fault", ["an option", "a callback", "divergence", "an unknown option"])
def test_a_fit_that_ends_in_an_error_changes_nothing(fault, priced):
    def fail(net, history):
        raise RuntimeError("fail")

    model = copy.deepcopy(priced)
    options = {"an option": {"progress": "yes"}, "a callback": {"callbacks": [fail]}, "an unknown option": {"epoch": 3}}
    if fault == "divergence":
        model.set_params(lr=1e30, optimizer="sgd")
    before = vars(model).copy()
    with pytest.raises((TypeError, RuntimeError, FloatingPointError)):
        model.fit(shop(50), "price", **options.get(fault, {}))
    assert all(vars(model)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(model.predict(shop(5)), priced.predict(shop(5)))
    new = TableModel(lr=1e30, optimizer="sgd", ignore=["kind"])
    with pytest.raises(FloatingPointError):
        new.fit(shop(50), "price")
    with pytest.raises(ValueError, match="expects fit to be called before"):
        new.predict(shop(5))


@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba", "evaluate", "importances"])
@pytest.mark.parametrize("data", ["frame", "path"])
def test_options_that_no_file_has_are_named(method, data, sorted_out, tmp_path):
    shop(30).to_csv(tmp_path / "it.csv", index=False)
    source = shop(30) if data == "frame" else tmp_path / "it.csv"
    arguments = (source, "kind") if method == "fit" else (source,)
    with pytest.raises(TypeError, match=rf"TableModel.{method} expects options of files, encoding, .*; got 'epochs'\."):
        getattr(sorted_out, method)(*arguments, epochs=3)


SETS = {
    "breast_cancer": "classification",
    "wine": "classification",
    "digits": "classification",
    "diabetes": "regression",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("name", SETS)
def test_as_good_as_a_pipeline_of_scikit_learn_of_the_same_size_and_quicker(name):
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame
    classifies = SETS[name] == "classification"
    numbers = frame.columns.drop("target")
    ours, theirs, seconds = [], [], [0.0, 0.0]
    for seed in range(4):
        stratify = frame["target"] if classifies else None
        train, test = train_test_split(frame, test_size=0.25, random_state=seed, stratify=stratify)
        start = time.perf_counter()
        y = TableModel(seed=seed).fit(train, "target").predict(test)
        seconds[0] += time.perf_counter() - start
        start = time.perf_counter()
        mlp = (MLPClassifier if classifies else MLPRegressor)(hidden_layer_sizes=(64,), random_state=seed, max_iter=400)
        scaler = make_column_transformer((make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers))
        t, mean, deviation = train["target"], 0, 1
        if not classifies:
            mean, deviation = t.mean(), t.std()
            t = (t - mean) / deviation
        z = make_pipeline(scaler, mlp).fit(train[numbers], t).predict(test[numbers])
        seconds[1] += time.perf_counter() - start
        score = sklearn.metrics.accuracy_score if classifies else sklearn.metrics.r2_score
        ours.append(score(test["target"], y))
        theirs.append(score(test["target"], z if classifies else z * deviation + mean))
    print(f"{name}: {np.mean(ours):.4f} beside {np.mean(theirs):.4f}, {seconds[1] / seconds[0]:.1f} times as fast")
    assert np.mean(ours) > np.mean(theirs) - 0.03
    assert re.match("", name) and seconds[1] > seconds[0]


# --- copies, threads and scikit-learn ---------------------------------------------------------


def test_copies_of_all_ways_predict_the_same(sorted_out):
    joblib = pytest.importorskip("joblib")
    new, file = shop(40, seed=6), io.BytesIO()
    joblib.dump(sorted_out, file)
    file.seek(0)
    copies = [pickle.loads(pickle.dumps(sorted_out)), copy.deepcopy(sorted_out), joblib.load(file)]
    for each in copies:
        np.testing.assert_array_equal(each.predict_proba(new), sorted_out.predict_proba(new))
        assert each.scores == sorted_out.scores and len(each.history) == len(sorted_out.history)
    before = sorted_out.predict_proba(new)
    copies[0].fit(shop(60), "kind")  # which is another model's training
    np.testing.assert_array_equal(sorted_out.predict_proba(new), before)


def test_threads_predict_at_once(sorted_out, priced):
    """8 of them, with two models and tables of other sizes."""
    tables = [shop(n, seed=n) for n in (1, 30, 300)]
    wanted = [[model.predicted(table)[0].tolist() for table in tables] for model in (priced, sorted_out)]

    def predict(number):
        model = (priced, sorted_out)[number % 2]
        for turn in range(12):
            place = (number + turn) % 3
            if model.predicted(tables[place])[0].tolist() != wanted[number % 2][place]:
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(predict, range(8)))


def test_scikit_learn_clones_scores_and_searches():
    from sklearn.base import clone, is_classifier, is_regressor
    from sklearn.model_selection import GridSearchCV, cross_val_score

    frame = shop(150)
    x, price, kind = frame.drop(columns=["price", "kind"]), frame["price"], frame["kind"]
    model = TableModel(hidden=[8], epochs=30, lr=0.01, ignore=["sold"], dtype=np.float64)
    again = clone(model)
    assert again.get_params() == model.get_params() and again.preprocessor is None
    assert (again.hidden, again.ignore, again.dtype) == ((8,), ("sold",), "float64")
    scores_ = cross_val_score(model, x, price, cv=3)
    assert scores_.shape == (3,) and scores_.min() > 0.5
    assert clone(model).fit(x, price).score(x, price) == pytest.approx(
        sklearn.metrics.r2_score(price, clone(model).fit(x, price).predict(x))
    )
    sorting = TableModel(task="classification", epochs=20)
    assert is_classifier(sorting) and not is_classifier(model) and not is_regressor(model)
    assert is_regressor(clone(model).fit(x, price))
    for scoring in (None, "accuracy", "neg_log_loss", "roc_auc"):
        assert np.isfinite(cross_val_score(sorting, x, kind, cv=2, scoring=scoring)).all()
    search = GridSearchCV(sorting, {"hidden": [(4,), (8,)], "epochs": [3]}, cv=2).fit(x, kind)
    assert search.best_estimator_.classes_.tolist() == ["cheap", "dear"]
    assert search.predict(x).shape == (150,)


def test_parameters_that_cannot_be_set_change_none():
    model = TableModel()
    for bad in ({"hiden": (3,)}, {"epochs": 3, "hidden": (0,)}, {"test_size": 0.95}):
        before = model.get_params()
        with pytest.raises(ValueError, match=r"TableModel.* expects"):
            model.set_params(**bad)
        assert model.get_params() == before
    assert model.set_params(epochs=3).epochs == 3
    with pytest.raises(AttributeError, match="classes_ after fit"):
        _ = model.classes_


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)], ids=str)
def test_dropout_is_behind_the_hidden_layers_alone(hidden, priced):
    net = TableModel(hidden=hidden, dropout=0.1).network_for(5, priced.preprocessor.target_)
    kinds = [type(layer).__name__ for layer in net]
    assert kinds == ["Linear", "Relu", "Dropout"] * len(hidden) + ["Linear"]


@pytest.mark.parametrize("words", [("no", "yes"), ("N", "Y"), ("Nein", "Ja"), ("f", "t")], ids=str)
@pytest.mark.parametrize("data", ["frame", "csv", "array"])
def test_classes_of_truth_values_keep_their_words(words, data, run, tmp_path):
    from sklearn.model_selection import cross_val_score

    size = np.linspace(0, 1, 90)
    frame = pandas.DataFrame({"size": size, "old": np.tile(words, 45), "kind": np.where(size > 0.5, *words)})
    frame.to_csv(tmp_path / "it.csv", index=False)
    source = tmp_path / "it.csv" if data == "csv" else frame
    target = frame.pop("kind") if data == "array" else "kind"
    model = TableModel(epochs=60, lr=0.01).fit(source, target)
    assert model.classes.tolist() == sorted(words) and model.preprocessor.encodings_[1].boolean
    model.save(tmp_path / "it.safetensors")
    kind = np.where(size > 0.5, *words)
    for each in (model, TableModel.load(tmp_path / "it.safetensors")):
        assert (each.predict(frame) == kind).mean() > 0.9
        for known in (kind, kind == words[1]):
            assert each.evaluate({"size": size, "old": frame["old"]}, known)["accuracy"] > 0.9
    assert model.score(frame[:9], kind[:9]) == 1  # all of one class
    assert (
        cross_val_score(clone_of(model), frame.drop(columns="kind", errors="ignore"), kind, scoring="accuracy").min()
        > 0.5
    )
    status, out, _ = run("predict", tmp_path / "it.safetensors", tmp_path / "it.csv")
    assert status == 0 and set(out.split()[1:]) == set(words)


def clone_of(model):
    return TableModel(**model.get_params() | {"epochs": 10})


def test_true_and_false_are_truth_values_whatever_their_letters():
    for words in ((False, True), ("false", "true"), ("FALSE", "TRUE")):
        model = TableModel(epochs=1).fit({"size": np.arange(30.0) ** 2, "kind": list(words) * 15}, "kind")
        assert model.classes.tolist() == [False, True]
    mixed = TableModel(epochs=1).fit({"size": np.arange(30.0) ** 2, "kind": ["yes", "No", "no"] * 10}, "kind")
    assert mixed.classes.tolist() == [False, True]


def test_a_far_row_among_the_validation_rows_does_not_end_the_training():
    """Which grew the loss from the fifth epoch on: the splits that judge go on without it."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(150, 3))
    y = x @ [1.0, 2, -1] + rng.normal(0, 0.3, 150)
    x[0], y[0] = [9, -6, 5], 3.0
    new = rng.normal(size=(500, 3))
    assert TableModel(seed=2).fit(x, y).score(new, new @ [1.0, 2, -1]) > 0.95  # 0.87 before


def test_weights_decay_by_one_over_the_rows_unless_told_otherwise(rng):
    for optimizer in ("adam", "adamw", "sgd"):
        assert TableModel(optimizer=optimizer).new_optimizer(200).weight_decay == 1 / 200
        assert TableModel(optimizer=optimizer, weight_decay=0).new_optimizer(200).weight_decay == 0
    x = rng.normal(size=(200, 2))
    params = [
        TableModel(weight_decay=decay, epochs=3, refit=False).fit(x, x[:, 0]).net.params["W1"]
        for decay in (None, 1 / 128, 0.0)
    ]
    np.testing.assert_array_equal(params[0], params[1])
    assert (params[0] != params[2]).any()


def test_a_number_far_from_the_trainings_is_told_of(tmp_path):
    """As of another unit, or a slip of the hand: it is predicted, and not without a word."""
    rng = np.random.default_rng(0)
    rows = {"length": rng.normal(40, 5, 60), "kind": ["a", "b"] * 30}
    model = TableModel(epochs=1).fit(rows, "kind")
    model.predict({"length": [41.0, 1e300, -2000.0]})
    said = "length: 2 rows more than 100 deviations from the mean of the training, as 1e+300"
    assert model.warnings == [said]
    model.predict({"length": [41.0, 60.0]})
    assert model.warnings == []
