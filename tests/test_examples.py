"""The examples, run as scripts, print and find what they promise."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
MNIST = ROOT.parent / "shared" / "data" / "mnist"


def load(name):
    """The names of an example, without running its main."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def run(name, monkeypatch, *arguments):
    """Run an example as a script."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


def test_apples_and_oranges_prints_the_prices_and_derivatives(monkeypatch, capsys):
    run("apples_and_oranges", monkeypatch)
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == [
        "220",
        "2.2",
        "110",
        "200",
        "715",
        "2.2",
        "110",
        "3.3",
        "165",
        "650",
    ]


def test_apples_and_oranges_keep_integers():
    example = load("apples_and_oranges")
    for purchase, tax in (("two_apples", 200), ("two_apples_and_three_oranges", 650)):
        derivative = example[purchase]()[1]["tax"]
        assert derivative == tax
        assert isinstance(derivative, int)


def test_iris_sigmoid_tells_the_flowers_apart(monkeypatch, capsys, tmp_path):
    run("iris_sigmoid", monkeypatch, "--out", tmp_path / "curves.png")
    assert capsys.readouterr().out.splitlines()[-1].endswith("train 1.0000  test 1.0000")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_iris_sigmoid_records_400_iterations(capsys):
    history = load("iris_sigmoid")["main"]([])
    assert {name: len(curve) for name, curve in history.items()} == {
        "train_loss": 400,
        "train_accuracy": 400,
        "test_accuracy": 400,
    }
    assert history["train_loss"][0] == pytest.approx(np.log(2), abs=0.02)
    assert history["train_loss"][-1] < 0.1


def test_layer_list_fits_the_surface_and_generalises(monkeypatch, capsys):
    history = load("layer_list")["main"]()
    assert len(history["train_loss"]) == len(history["test_loss"]) == 100
    assert history["train_loss"][-1] < 0.003 < history["train_loss"][0]
    assert history["test_loss"][-1] < 0.003 < history["test_loss"][0]
    assert capsys.readouterr().out.splitlines()[-1].startswith("epoch 100  train loss 0.00")


def test_layer_list_batches_cover_every_row_once():
    batches = load("layer_list")["shuffled_batches"]
    x = np.arange(10)
    seen = [rows for rows, _ in batches(x, x, 4, np.random.default_rng(0))]
    assert [len(rows) for rows in seen] == [4, 4, 2]
    assert sorted(np.concatenate(seen)) == list(range(10))
    assert list(np.concatenate(seen)) != list(range(10))


def test_logistic_regression_finds_w_and_b(capsys):
    w, b, largest_difference = load("logistic_regression")["main"]()
    np.testing.assert_allclose(w, [[2.0], [-3.0]], atol=0.2)
    np.testing.assert_allclose(b, [0.5], atol=0.2)
    assert largest_difference < 1e-14


def test_mnist_two_layer_checks_its_gradients_and_learns_easy_images(easy_images, capsys):
    differences, accuracies = load("mnist_two_layer")["main"](
        ["--data", str(easy_images), "--hidden", "5", "--iterations", "300"]
    )
    assert list(differences) == ["W1", "b1", "W2", "b2"]
    assert max(differences.values()) < 1e-7
    assert accuracies[-1][1] > 0.9
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:4]] == ["W1", "b1", "W2", "b2"]
    assert printed[-2].startswith("iteration   300")


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST's files are not beside the repository")
def test_mnist_two_layer_reaches_97_percent(monkeypatch, capsys):
    run("mnist_two_layer", monkeypatch, "--data", MNIST)
    printed = capsys.readouterr().out.splitlines()
    for line in printed[:4]:
        assert float(line.split()[-1]) < 1e-7
    assert printed[-2].startswith("iteration 10000")
    assert float(printed[-2].split()[-1]) >= 0.970


def test_the_book_trains_float64_weights_on_float32_images(capsys):
    assert load("the_book")["main"]() > 0.95


def test_the_book_updates_the_arrays_that_the_layers_keep():
    network = load("the_book")["MultiLayerNet"](4, 3, 2)
    x, t = np.ones((5, 4), np.float32), np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 1]]
    grad, before = network.gradient(x, t), network.loss(x, t)
    assert {array.dtype for array in grad.values()} == {np.dtype(np.float64)}
    for key in network.params:
        network.params[key] -= 0.1 * grad[key]
    assert network.layers["Affine1"].W is network.params["W1"]
    assert network.loss(x, t) < before


def test_scikit_learns_curve_is_the_estimators(capsys):
    ours, theirs, scores = load("scikit_learn")["main"]()
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    assert len(set(scores.values())) == 1
    assert float(capsys.readouterr().out.split()[-1]) > 0.95
