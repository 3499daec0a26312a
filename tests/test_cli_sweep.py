"""`fastbp tune` and `fastbp export`: from a table to the best network, and that to other systems."""

import csv

import numpy as np
import pytest

import fastbp
from fastbp.command.cli import main

pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

CITIES = ["Bonn", "Oslo", "Rome"]


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """A file of numbers, of which some are missing, truth values and categories; and the folder."""
    folder = tmp_path_factory.mktemp("houses")
    rng = np.random.default_rng(0)
    lines = ["size,rooms,city,garden,price,kind"]
    for row in range(160):
        size, rooms, city, garden = rng.uniform(20, 200), rng.integers(1, 7), rng.integers(3), rng.random() < 0.5
        price = 1000 * size + 5000 * rooms + 20000 * (city == 1)
        shown = "" if row % 17 == 0 else f"{size:.1f}"
        kind = "dear" if price > 120_000 else "cheap"
        lines.append(f"{shown},{rooms},{CITIES[city]},{'yes' if garden else 'no'},{price:.0f},{kind}")
    path = folder / "houses.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def tuned(houses):
    out = houses.parent / "tuned"
    arguments = ["--ignore", "kind", "--trials", "9", "--sampler", "random", "--jobs", "1", "--out", str(out)]
    assert main(["tune", str(houses), "--target", "price", *arguments]) == 0
    return out


def numbers_of(path):
    """The rows as an exported file takes them."""
    with path.open() as file:
        return np.array(
            [
                (float(r["size"] or "nan"), int(r["rooms"]), CITIES.index(r["city"]), r["garden"] == "yes")
                for r in csv.DictReader(file)
            ],
            np.float64,
        )


def test_tune_writes_the_best_and_goes_on(houses, tuned, capsys):
    assert {path.name for path in tuned.iterdir()} == {"model.safetensors", "trials.csv", "trials.jsonl", "trials.png"}
    first = fastbp.TableModel.load(tuned / "model.safetensors")
    assert first.scores["test"]["r2"] > 0.3
    arguments = ["--ignore", "kind", "--trials", "9", "--sampler", "random", "--out", str(tuned)]
    assert main(["tune", str(houses), "--target", "price", *arguments]) == 0
    out = capsys.readouterr().out
    assert "9 trials in " in out and "drawn by random; the best:" in out and "model-2.safetensors" in out
    again = fastbp.TableModel.load(tuned / "model-2.safetensors")
    (tuned / "model-2.safetensors").unlink()
    np.testing.assert_array_equal(again.predict(houses), first.predict(houses))
    assert main(["tune", str(houses), "--target", "price", "--seed", "1", "--out", str(tuned), "--trials", "1"]) == 2
    assert "where another one's trials are" in capsys.readouterr().err


def test_a_tables_model_leaves_with_its_preprocessing(houses, tuned, tmp_path, capsys):
    ort = pytest.importorskip("onnxruntime")
    model, out = tuned / "model.safetensors", tmp_path / "model.onnx"
    assert main(["export", str(model), str(out)]) == 0
    session = ort.InferenceSession(out)
    y = session.run(None, {session.get_inputs()[0].name: numbers_of(houses)})[0].ravel()
    expected = fastbp.TableModel.load(model).predict(houses)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    columns = session.get_modelmeta().custom_metadata_map["columns"]
    assert "city: 0 Bonn, 1 Oslo, 2 Rome" in columns
    assert main(["export", str(model), str(out)]) == 2
    assert "expects a file that is not there yet" in capsys.readouterr().err
    assert main(["export", str(model), str(out), "--force"]) == 0
    assert main(["export", str(model), str(tmp_path / "model.py")]) == 2


def test_classes_leave_with_their_probabilities(houses, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    model = fastbp.TableModel(epochs=5, ignore=["price"]).fit(houses, "kind")
    model.save(tmp_path / "model.safetensors")
    assert main(["export", str(tmp_path / "model.safetensors"), str(tmp_path / "m.onnx")]) == 0
    assert main(["export", str(tmp_path / "model.safetensors"), str(tmp_path / "m.c")]) == 0
    session = ort.InferenceSession(tmp_path / "m.onnx")
    p = session.run(None, {session.get_inputs()[0].name: numbers_of(houses)})[0]
    np.testing.assert_allclose(p, model.predict_proba(houses), atol=1e-6)
    assert "m_predict" in (tmp_path / "m.c").read_text()


def test_dates_do_not_leave(tmp_path, capsys):
    days = np.datetime64("2020-01-01") + np.arange(60)
    model = fastbp.TableModel(epochs=1).fit({"day": days, "y": np.arange(60.0)}, "y")
    model.save(tmp_path / "model.safetensors")
    assert main(["export", str(tmp_path / "model.safetensors"), str(tmp_path / "m.c")]) == 2
    assert "got the dates of 'day': train without it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--minutes", "0"], ["--minutes", "x"], ["--trials", "0"], ["--sampler", "grid"]]
)
def test_what_tune_refuses(houses, arguments, capsys):
    assert main(["tune", str(houses), "--target", "price", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
