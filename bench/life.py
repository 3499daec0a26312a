"""A table's whole life by commands, beside scripts of scikit-learn: ``python -m bench.life``.

From a CSV to a model, and from the model and new rows to predictions: `fastbp train` and `predict`,
and two scripts with a pipeline around an MLP of the same hidden layer.  Whole processes, in turn,
imports and all.  `train` also draws pictures, judges the columns, and trains a second time on all
rows.  Both are scored on the new rows, which neither has seen.  ``--write`` stores the medians and
puts the table into docs/tables.md.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench import ROOT, measure, report
from fastbp.scores import of_numbers

RESULTS = ROOT / "bench" / "results" / "life.json"
PAGE = ROOT / "docs" / "tables.md"
MARKS = "<!-- life:begin -->", "<!-- life:end -->"
SIDES = ("fastbp", "scikit-learn")

TRAIN = """
import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

table = pd.read_csv("old.csv")
t = table.pop("target")
if "day" in table:
    table["day"] = pd.to_datetime(table["day"]).astype("int64") / 1e18
numbers = table.select_dtypes("number").columns
texts = table.columns.difference(numbers)
prepare = ColumnTransformer([
    ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
    ("texts", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), texts),
])
if pd.api.types.is_float_dtype(t):
    network = MLPRegressor(hidden_layer_sizes=(64,), random_state=0)
    model = TransformedTargetRegressor(make_pipeline(prepare, network), transformer=StandardScaler())
else:
    model = make_pipeline(prepare, MLPClassifier(hidden_layer_sizes=(64,), random_state=0))
x_train, x_test, t_train, t_test = train_test_split(table, t, test_size=0.2, random_state=0)
model.fit(x_train, t_train)
print(model.score(x_test, t_test))
joblib.dump(model, "model.joblib")
"""
PREDICT = """
import joblib
import pandas as pd

model = joblib.load("model.joblib")
table = pd.read_csv("new.csv")
if "day" in table:
    table["day"] = pd.to_datetime(table["day"]).astype("int64") / 1e18
pd.DataFrame({"target": model.predict(table)}).to_csv("scikit-learn.csv", index=False)
"""
COMMANDS = {
    ("fastbp", "train"): ["-m", "fastbp", "train", "old.csv", "--target", "target", "--out", "out", "--force"],
    ("fastbp", "predict"): [
        *("-m", "fastbp", "predict", "out/model.safetensors", "new.csv"),
        *("--out", "fastbp.csv", "--force"),
    ],
    ("scikit-learn", "train"): ["-W", "ignore", "-c", TRAIN],
    ("scikit-learn", "predict"): ["-W", "ignore", "-c", PREDICT],
}


# --- tables ---------------------------------------------------------------------------------


def _loaded(name):
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    columns = {f"x{k}": column for k, column in enumerate(data.data.T)}
    return columns | {"target": data.target if name == "digits" else data.target_names[data.target]}


def _mixed(n):
    """9 numbers, of one of which a twentieth is missing, and 3 columns of texts."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 9))
    colour, shop, open_ = rng.integers(0, 4, n), rng.integers(0, 20, n), rng.integers(0, 2, n)
    t = 2 * x[:, 0] + np.sin(2 * x[:, 1]) + x[:, 2] * x[:, 3] + colour / 2 + open_ * x[:, 4]
    x[rng.random(n) < 0.05, 5] = np.nan
    texts = {"colour": np.array(["red", "green", "blue", "grey"])[colour], "shop": np.char.mod("shop %d", shop)}
    return _numbers(x) | texts | {"open": np.array(["no", "yes"])[open_], "target": _noisy(t, rng)}


def _dated(n):
    """9 numbers, a date with a season in it, and texts of 500 and of 5 different values."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 9))
    shop, day, effect = rng.integers(0, 500, n), rng.integers(0, 2500, n), rng.standard_normal(500)
    season = np.sin(2 * np.pi * day / 365.25)
    t = 2 * x[:, 0] + np.sin(2 * x[:, 1]) + x[:, 2] * x[:, 3] + 1.5 * effect[shop] + season
    texts = {"day": np.datetime64("2015-01-01") + day, "shop": np.char.mod("c%03d", shop)}
    return _numbers(x) | texts | {"kind": np.array(list("abcde"))[rng.integers(0, 5, n)], "target": _noisy(t, rng)}


def _numbers(x):
    return {f"x{k}": column.round(4) for k, column in enumerate(x.T)}


def _noisy(t, rng):
    return (t + rng.standard_normal(len(t)) / 2).round(4)


TABLES = {
    "breast cancer, 569 x 30": lambda: _loaded("breast_cancer"),
    "digits, 1797 x 64": lambda: _loaded("digits"),
    "20,000 x 12: numbers, gaps, texts": lambda: _mixed(20_000),
    "50,000 x 12: dates, 500 texts": lambda: _dated(50_000),
}


# --- timing ---------------------------------------------------------------------------------


def run(rounds=3, tables=TABLES):
    """Median seconds of each command, and the scores, by table."""
    return [_row(name, make(), rounds) for name, make in tables.items()]


def _row(name, columns, rounds):
    import pandas as pd

    table = pd.DataFrame(columns)
    new = np.random.default_rng(1).permutation(len(table)) < len(table) // 5
    with tempfile.TemporaryDirectory() as folder:
        table[~new].to_csv(Path(folder, "old.csv"), index=False)
        table[new].to_csv(Path(folder, "new.csv"), index=False)
        environment = os.environ | {"PYTHONPATH": str(measure.folder().parent), "PYTHONPYCACHEPREFIX": f"{folder}/code"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        found = {key: [] for key in COMMANDS}
        for turn in range(rounds + 1):
            for key, arguments in COMMANDS.items():
                begin = time.perf_counter()
                subprocess.run(
                    [sys.executable, *arguments], check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL
                )
                if turn:  # the first one compiled
                    found[key].append(time.perf_counter() - begin)
        t = table["target"][new].to_numpy()
        scores = {side: _score(t, pd.read_csv(Path(folder, f"{side}.csv"))["target"].to_numpy()) for side in SIDES}
    return {
        "table": name,
        "scores": scores,
        **{side: {step: statistics.median(found[side, step]) for step in ("train", "predict")} for side in SIDES},
    }


def _score(t, predicted):
    """R^2 of numbers with a fraction, accuracy of all else."""
    return of_numbers(predicted, t)["r2"] if t.dtype.kind == "f" else float((predicted == t).mean())


HEADER = ["table", *(f"{side}, {step}" for side in SIDES for step in ("train", "predict")), "ratio"]
HEADER += [f"{side}'s score" for side in SIDES]


def cells(rows):
    return [
        [
            row["table"],
            *(measure.seconds_text(row[side][step]) for side in SIDES for step in ("train", "predict")),
            f"{sum(row['scikit-learn'].values()) / sum(row['fastbp'].values()):.1f}",
            *(f"{row['scores'][side]:.3f}" for side in SIDES),
        ]
        for row in rows
    ]


def markdown(results):
    text = (
        f"Measured on {measure.described(results['machine'])}. Medians of whole processes, in turn, from the start of "
        "Python to its end: `fastbp train` and `fastbp predict`, which also judge columns, draw pictures and train a "
        "second time on all rows, and two scripts of scikit-learn with a pipeline (`ColumnTransformer`, imputers, "
        "`StandardScaler`, `OneHotEncoder`) around an MLP with the same hidden layer of 64 and its own defaults. The "
        "ratio is scikit-learn's time over fastbp's, both steps together. The score is the accuracy, or R², on rows "
        "that neither has seen."
    )
    return f"{text}\n\n{report.table(HEADER, cells(results['rows']))}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.life", description=__doc__)
    measure.add_options(parser, write=f"store it and put the table into {PAGE.name}")
    options = measure.parsed(parser, arguments)
    results = {"machine": measure.ready(write=options.write)}
    results["rows"] = run(1, dict(list(TABLES.items())[:1])) if options.quick else run()
    measure.print_table(HEADER, cells(results["rows"]))
    if options.write:
        measure.store(RESULTS, results)
        report.write(PAGE, markdown(results), *MARKS)


if __name__ == "__main__":
    main()
