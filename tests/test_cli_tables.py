"""The command for tables of one's own: train, predict, evaluate and info, as people type them."""

import argparse
import contextlib
import csv
import io
import json
import re
import sys

import numpy as np
import pytest
import sklearn.datasets
import sklearn.metrics

import fastbp
from fastbp import TableModel
from fastbp.command import cli, outputs, table

pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

FILES = ["importances.svg", "learning-curves.svg", "metrics.json", "model.safetensors"]


@pytest.fixture
def quick(monkeypatch):
    """A data set's picture is an empty file, as it takes most of the time."""
    monkeypatch.setattr(cli.plots, "learning_curves", lambda *arguments: arguments[-1].touch())


def write_table(path, x, t, delimiter=","):
    header = [f"f{k}" for k in range(x.shape[1])] + ["t"]
    rows = [[*row, target] for row, target in zip(x.tolist(), t.tolist(), strict=True)]
    text = "\n".join(delimiter.join(map(str, row)) for row in [header, *rows])
    path.write_text(text + "\n", encoding="utf-8")
    return path


def column(text, name=0):
    """A column of CSV's text."""
    head, *rows = csv.reader(io.StringIO(text))
    return [row[head.index(name) if isinstance(name, str) else name] for row in rows]


def loaded(name):
    data = getattr(sklearn.datasets, f"load_{name}")()
    names = getattr(data, "target_names", None)
    return data.data, data.target if names is None or name == "digits" else names[data.target]


# --- train, predict -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "least"), [("breast_cancer", 0.95), ("wine", 0.93), ("digits", 0.94)])
def test_classes_are_learnt_and_predicted_by_name_as_in_python(name, least, run, tmp_path):
    x, t = loaded(name)
    path = write_table(tmp_path / "it.csv", x[::2], t[::2], ";")
    new = write_table(tmp_path / "new.csv", x[1::2], t[1::2])
    status, out, error = run("train", path, "--target", "t", "--out", tmp_path / "out")
    assert (status, error) == (0, "")
    assert out.startswith(f"{path}: {len(x[::2])} rows\n") and "target t: classification, as t has" in out
    assert "gradient check  passed" in out and "majority on test" in out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted([*FILES, "calibration.svg"])
    model = tmp_path / "out" / "model.safetensors"
    status, out, error = run("predict", model, new, "--proba")
    assert (status, error) == (0, "")
    said = column(out)
    assert np.mean(np.array(said) == t[1::2].astype(str)) >= least
    in_python = TableModel().fit(path, "t")
    assert said == [str(each) for each in in_python.predict(new)]
    p = np.array([column(out, f"t={each}") for each in in_python.classes], float).T
    np.testing.assert_array_equal(p, in_python.predict_proba(new))
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] == in_python.scores["test"]["accuracy"]
    assert metrics["classes"] == in_python.classes.tolist() and metrics["baseline"]["test"]["accuracy"] < 0.7


def test_numbers_are_predicted_in_their_unit(run, tmp_path):
    x, t = sklearn.datasets.load_diabetes(return_X_y=True)
    path = write_table(tmp_path / "it.csv", x[::2], 1000 * t[::2])
    new = write_table(tmp_path / "new.csv", x[1::2], 1000 * t[1::2], "\t")
    status, out, error = run("train", path, "--target", "t", "--out", tmp_path)
    assert (status, error) == (0, "") and "in the unit of t" in out and "mean on test" in out
    y = np.array(column(run("predict", tmp_path / "model.safetensors", new)[1]), float)
    np.testing.assert_array_equal(y, TableModel().fit(path, "t").predict(new))
    r2 = sklearn.metrics.r2_score(1000 * t[1::2], y)
    assert r2 > 0.25
    status, out, error = run("evaluate", tmp_path / "model.safetensors", new)
    assert (status, error) == (0, "")
    assert float(re.search(r"R\^2 +(\S+)", out)[1]) == pytest.approx(r2, abs=1e-3)
    rmse = sklearn.metrics.root_mean_squared_error(1000 * t[1::2], y)
    assert float(re.search(r"RMSE +(\S+)", out)[1]) == pytest.approx(rmse, rel=1e-3)


def test_pictures_are_drawn(run, tmp_path):
    x, t = loaded("wine")
    for target, name in ((t, "calibration.svg"), (x[:, 0], "residuals.svg")):
        path = write_table(tmp_path / "it.csv", x[:, 1:], target)
        assert run("train", path, "--target", "t", "--out", tmp_path / name, "--epochs", 5)[0] == 0
        for picture in (name, "importances.svg", "learning-curves.svg"):
            assert (tmp_path / name / picture).read_bytes().startswith(b"<svg")


MIXED = """id;city;area;sold;balcony;notes;price
1;Rome;52;2020-01-05;yes;;120
2;Oslo;;2020-02-11;no;;340
3;;71;2021-07-30;no;;155
4;Rome;38;2021-09-01;yes;;99
"""


@pytest.fixture
def mixed(tmp_path):
    """A file of 200 rows like those of MIXED."""
    rng = np.random.default_rng(0)
    head, *rows = MIXED.splitlines()
    lines = [head]
    for k in range(200):
        cells = rows[k % 4].split(";")
        cells[0], cells[-1] = str(k + 1), f"{float(cells[-1]) + rng.normal(0, 4):.2f}"
        lines.append(";".join(cells))
    path = tmp_path / "mixed.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_it_says_what_it_understood_and_a_dry_run_stops_there(run, mixed, tmp_path):
    words = ("train", mixed, "--target", "price", "--ignore", "id", "--out", tmp_path / "out")
    status, out, error = run(*words, "--dry-run")
    assert (status, error) == (0, "") and not (tmp_path / "out").exists()
    lines = [re.split(r"  +", line.strip(), maxsplit=3) for line in out.splitlines()[1:]]
    assert lines[0] == ["column", "kind", "missing", "what is done"]
    assert [line[:3] for line in lines[1:7]] == [
        ["id", "text", "0"],
        ["city", "category", "50"],
        ["area", "whole number", "50"],
        ["sold", "date", "0"],
        ["balcony", "boolean", "0"],
        ["notes", lines[6][1], "200"],
    ]
    assert "left out, as asked" in lines[1][3] and "left out, as it is empty" in lines[6][3]
    assert "\ntarget price: regression, as price has " in out


def test_columns_are_found_by_name_and_others_told(run, refused, mixed, tmp_path):
    words = ("train", mixed, "--target", "price", "--ignore", "id", "--out", tmp_path, "--epochs", 30)
    assert run(*words)[0] == 0
    model = tmp_path / "model.safetensors"
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("city,area,sold,balcony\nOslo,50,2020-02-11,no\nRome,60,2021-01-01,yes\n")
    second.write_text("more\tbalcony\tsold\tcity\tarea\nx\tno\t2020-02-11\tOslo\t50\nx\tyes\t2021-01-01\tRome\t60\n")
    status, out, error = run("predict", model, first)
    assert (status, error) == (0, "") and out.startswith("price\n") and out.count("\n") == 3
    assert run("predict", model, second) == (0, out, "fastbp: columns that the training had not, ignored: more\n")
    first.write_text("city,area,sold,balcony\nLima,50,2020-02-11,no\n")
    assert "with none of the categories of the training, as 'Lima'" in run("predict", model, first)[2]
    line = refused("predict", model, first, "--strict")
    assert "one of 'Oslo', 'Rome', in column 'city'; got 'Lima' in line 2" in line
    first.write_text("city,sold\nRome,2020-02-11\n")
    assert "got none of the names 'area', 'balcony'" in refused("predict", model, first)
    first.write_text("city,area,sold,balcony\nRome,big,2020-02-11,no\n")
    assert "in line 2, column 'area'; got 'big'" in refused("predict", model, first)
    assert "--proba expects a model of classes" in refused("predict", model, first, "--proba")


def test_a_file_of_another_process_predicts_the_same(run, run_python, mixed, tmp_path):
    assert run("train", mixed, "--target", "price", "--out", tmp_path, "--epochs", 5, "--ignore", "id")[0] == 0
    here = run("predict", tmp_path / "model.safetensors", mixed)
    done = run_python("-m", "fastbp", "predict", "model.safetensors", "mixed.csv")
    assert (done.returncode, done.stdout, done.stderr) == here


# --- files that are there -------------------------------------------------------------------


def test_nothing_is_written_over_without_a_word(run, refused, mixed, tmp_path):
    words = ("train", mixed, "--target", "price", "--epochs", 1, "--out", tmp_path / "out")
    assert run(*words)[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    status, out, _ = run(*words, "--seed", 1)
    assert status == 0 and "model-2.safetensors" in out.splitlines()[-1] and "metrics-2.json" in out.splitlines()[-1]
    assert {name: (tmp_path / "out" / name).read_bytes() for name in before} == before
    assert run(*words, "--seed", 1, "--force")[1].splitlines()[-1].count("-2.") == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() != before["model.safetensors"]
    assert len(list((tmp_path / "out").iterdir())) == 10

    model, out = tmp_path / "out" / "model.safetensors", tmp_path / "said.csv"
    out.write_text("mine")
    status, _, error = run("predict", model, mixed, "--out", out)
    assert status == 0 and out.read_text() == "mine" and "said-2.csv" in error
    assert (tmp_path / "said-2.csv").read_text().startswith("price\n")
    assert run("predict", model, mixed, "--out", out, "--force") == (0, "", "")
    assert out.read_text().startswith("price\n")
    for own in (model, mixed):
        assert "--out expects another file" in refused("predict", model, mixed, "--out", own, "--force")


def test_a_data_set_is_not_written_over_either(run, tmp_path, quick):
    words = ("train", "iris", "--epochs", 1, "--out", tmp_path)
    assert run(*words)[0] == run(*words)[0] == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["learning-curves-2.png", "learning-curves.png", "weights-2.safetensors", "weights.safetensors"]


def test_numbers_are_the_first_that_no_file_has(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b-2.txt").touch()
    paths = outputs.free(False, tmp_path / "a.png", tmp_path / "b.txt")
    assert [path.name for path in paths] == ["a-3.png", "b-3.txt"]
    assert outputs.free(False, tmp_path / "c") == [tmp_path / "c"]


# --- info, evaluate -------------------------------------------------------------------------


def test_info_tells_what_a_file_is(run, mixed, tmp_path):
    assert run("train", mixed, "--target", "city", "--out", tmp_path, "--epochs", 2, "--ignore", "id")[0] == 0
    status, out, error = run("info", tmp_path / "model.safetensors")
    assert (status, error) == (0, "")
    assert f"by fastbp {fastbp.__version__}" in out and "target city: classification" in out
    assert "classes: Oslo, Rome" in out and "area" in out and "loss SoftmaxWithLoss" in out
    assert "note: 50 rows without a value of city, left out" in out
    net = tmp_path / "net.safetensors"
    fastbp.Sequential.from_config([(2, 1, "linear")], "squared_error").save(net)
    status, out, error = run("info", net)
    assert (status, error) == (0, "") and "without preprocessing" in out and "2 -> 1" in out


def test_what_is_no_model_is_one_sentence(refused, mixed, tmp_path):
    for words in (("predict", mixed, mixed), ("evaluate", mixed, mixed), ("info", mixed), ("export", mixed, "a.c")):
        line = refused(*words)
        assert f"got {str(mixed)!r}, which begins with b'id;city;area;sold;ba'." in line and "header" not in line
        line = refused(words[0], tmp_path, *words[2:])
        assert f"load expects path of a file; got {str(tmp_path)!r}, a folder." in line


def test_evaluate_takes_a_target_of_another_name(run, refused, mixed, tmp_path):
    assert run("train", mixed, "--target", "price", "--out", tmp_path, "--epochs", 2)[0] == 0
    other = tmp_path / "other.csv"
    other.write_text(mixed.read_text().replace("price", "cost"))
    model = tmp_path / "model.safetensors"
    assert "one of the columns" in refused("evaluate", model, other)
    assert run("evaluate", model, other, "--target", "cost")[1].splitlines()[0].endswith("200 rows with cost")


def test_texts_are_taken(run, tmp_path):
    (tmp_path / "it.csv").write_text("code,t\n" + "".join(f"{k % 7 or 'U'},{k}\n" for k in range(70)))
    words = ("train", tmp_path / "it.csv", "--target", "t", "--dry-run")
    outs = [run(*words, *more)[1] for more in ((), ("--text", "code"))]
    assert outs[0].replace(re.search("note: .*code.*\n", outs[0])[0], "") == outs[1] and "category" in outs[1]
    (tmp_path / "it.csv").write_text("code,t\n" + "".join(f"{k % 7 / 2 or 'U'},{k}\n" for k in range(70)))
    assert run(*words)[0] == 2 and run(*words, "--text", "code")[0] == 0


def test_a_row_of_totals_and_an_odd_code_do_not_stop_a_training(run, tmp_path):
    path = tmp_path / "it.csv"
    rows = "".join(f"{k + 100 if k != 7 else '107A'},{k % 9},{2 * k}\n" for k in range(60))
    path.write_text(f"id,a,t\n{rows}Total,,{sum(range(0, 120, 2))}\n")
    status, out, error = run("train", path, "--target", "t", "--epochs", 2, "--out", tmp_path)
    assert (status, error) == (0, "") and f"{path}: 60 rows" in out
    assert "left out, as it names the rows" in out and "as '107A' in line 9 is none" in out
    assert "note: Line 62, with 'Total' in column 1, is taken for a total" in out
    status, out, error = run("predict", tmp_path / "model.safetensors", path)
    assert status == 0 and out.count("\n") == 61 and "Line 62, with 'Total'" in error


def test_predictions_are_printed_for_a_dash(run, mixed, tmp_path, quick, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("train", mixed, "--target", "price", "--out", tmp_path, "--epochs", 2)[0] == 0
    model = tmp_path / "model.safetensors"
    assert run("predict", model, mixed, "--out", "-") == run("predict", model, mixed)
    assert not (tmp_path / "-").exists()


def test_a_dash_is_the_standard_input(run_python, run, mixed, tmp_path):
    def piped(*words, content=None):
        done = run_python("-m", "fastbp", *map(str, words), input=content or mixed.read_text())
        return done.returncode, done.stdout, done.stderr

    words = ("--target", "price", "--ignore", "id", "--epochs", 2)
    status, out, error = piped("train", "-", *words, "--out", "a")
    assert (status, error) == (0, "") and out.startswith("standard input: 200 rows\n")
    assert run("train", mixed, *words, "--out", tmp_path / "b")[0] == 0
    models = [tmp_path / name / "model.safetensors" for name in "ab"]
    said = [piped("predict", models[0], "-", "--out", "-"), run("predict", models[1], mixed)]
    assert said[0] == said[1] and said[0][:1] == (0,)
    status, out, _ = piped("evaluate", models[0], "-")
    assert status == 0 and out.startswith("standard input: 200 rows with price\n")
    said = piped("predict", models[0], "-", content="city\nRome\n")
    assert said[0] == 2 and said[2].startswith("fastbp: standard input expects the columns of the training;")


def test_without_a_standard_input_a_dash_is_refused(refused, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert "- expects a standard input; got none" in refused("train", "-", "--target", "t")


def test_ranks_share_no_standard_input(tmp_path):
    args = argparse.Namespace(data_set="-", out=tmp_path, speaks=True)
    ranks = argparse.Namespace(size=2, together=contextlib.nullcontext)
    with pytest.raises(ValueError, match="--mpi expects a file, which each rank reads; got -"):
        cli.table.train(args, ranks, None)


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words", "fragment"),
    [
        ("a,t\n1,2\n", (), "the columns 'a', 't' of"),
        ("a,t\n1,2\n", (), "; got none: name one"),
        ("a,t\n1,2\n", ("--target", "b"), "; got 'b'."),
        ("a,Price\n1,2\n", ("--target", " price"), "; got ' price'; 'Price' is near."),
        ("a,colour,t\n1,2,3\n", ("--target", "t", "--text", "color"), "got 'color'; 'colour' is near."),
        ("a,t\n1,2\n", ("--target", "t", "--ignore", "t"), "ignore of other columns than the target; got 't'"),
        (
            "a,t\n" + "1,2.5\n2,3.5\n" * 20,
            ("--target", "t", "--class-weight", "balanced"),
            "class_weight for classes; got 'balanced' for the regression of 't'",
        ),
        ("a,t\n" + "1.5,2.5\n2.5,3.5\nx,1.5\n" * 20, ("--target", "t"), "texts= (--text) keeps all as texts"),
        ("a,t\n1,x\n2,x\n", ("--target", "t"), "two classes in column 't'"),
        ("a,t\n1,x\n2,y\n", ("--target", "t"), "at least 3 rows of a class on average"),
        ("a,t\n1,1.5\n2,2.5\n", ("--target", "t"), "a split expects rows for each of train, validation, test"),
        ("t\n1\n", ("--target", "t"), "a column beside the target"),
        ("a,t\n1,2\n1,3\n1,4\n1,5\n", ("--target", "t"), "got none of use"),
        ("a,b,t\n" + "1,2,3.5\n2,1,4\n" * 20, ("--target", "t", "--ignore", "c"), "ignore of columns that"),
        ("a,b,t\n" + "1,2,3.5\n2,1,4\n" * 20, ("--target", "t", "--group", "c"), "group as one of the columns"),
    ],
)
def test_a_table_that_cannot_be_learnt_is_one_line(text, words, fragment, refused, tmp_path):
    (tmp_path / "it.csv").write_text(text)
    assert fragment in refused("train", tmp_path / "it.csv", *words, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_divergence_is_one_line_and_writes_nothing(refused, mixed, tmp_path):
    line = refused("train", mixed, "--target", "price", "--lr", "1e30", "--optimizer", "sgd", "--out", tmp_path / "out")
    assert "the training diverged, so take an --lr below 1e+30" in line
    assert not list((tmp_path / "out").iterdir())


def test_a_training_of_a_table_goes_on_from_its_checkpoint(run, mixed, tmp_path):
    words = ("train", mixed, "--target", "price", "--ignore", "id")
    assert run(*words, "--epochs", 9, "--out", tmp_path / "a")[0] == 0
    assert run(*words, "--epochs", 4, "--out", tmp_path / "b", "--checkpoint", tmp_path / "run")[0] == 0
    assert run(*words, "--epochs", 9, "--out", tmp_path / "c", "--resume", tmp_path / "run")[0] == 0
    ours, theirs = (run("predict", tmp_path / name / "model.safetensors", mixed)[1] for name in "ac")
    assert ours == theirs


def test_chinese_names_are_as_wide_as_they_look():
    lines = table.aligned([("column", "kind"), ("价格（万元）", "number"), ("城市", "text")])
    assert [*lines] == ["  column        kind", "  价格（万元）  number", "  城市          text"]


def test_check_takes_a_table(run, mixed):
    status, out, _ = run("check", mixed, "--target", "price")
    assert status == 0 and out.startswith("gradient check passed\n")


def test_task_class_weight_and_seed_are_taken(run, tmp_path):
    x = np.random.default_rng(0).standard_normal((60, 2))
    path = write_table(tmp_path / "it.csv", x, (x[:, 0] > 0.8).astype(int))
    words = ("train", path, "--target", "t", "--epochs", 2, "--out", tmp_path)
    out = run(*words, "--class-weight", "balanced")[1]
    assert "whole numbers, 0 to 1; as amounts: --task regression" in out and "balanced accuracy" in out
    outs = [run(*words, "--task", "regression", "--seed", seed)[1] for seed in (0, 0, 1)]
    ends = [re.search(r"R\^2 .*", out)[0] for out in outs]
    assert ends[0] == ends[1] != ends[2]


def test_without_stdout_nothing_is_printed(mixed, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["train", str(mixed), "--target", "price", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert cli.main(["predict", str(tmp_path / "model.safetensors"), str(mixed)]) == 0
