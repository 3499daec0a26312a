import os
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb

import fastbp
from fastbp import plots

HISTORY = {
    "train_loss": [0.9, 0.5, 0.3],
    "test_loss": [1.0, 0.7, 0.6],
    "train_accuracy": [0.6, 0.9, 1.0],
    "test_accuracy": [0.5, 0.8, 0.85],
}


def lines_of(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_loss_stands_beside_accuracy_labelled():
    loss, accuracy = plots.learning_curves(HISTORY).axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("Loss", "Accuracy")
    assert loss.get_position().x1 < accuracy.get_position().x0
    for axes, quantity in ((loss, "loss"), (accuracy, "accuracy")):
        assert axes.get_xlabel() == "Epoch"
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "test"]
        for part, style in (("train", "-"), ("test", "--")):
            line = lines_of(axes)[part]
            assert line.get_xdata().tolist() == [1, 2, 3]
            assert line.get_ydata().tolist() == HISTORY[f"{part}_{quantity}"]
            assert line.get_linestyle() == style


def test_train_and_test_differ_in_hue_and_brightness():
    train, test = plots.learning_curves(HISTORY).axes[0].get_lines()
    grey = [np.dot(to_rgb(line.get_color()), (0.21, 0.72, 0.07)) for line in (train, test)]
    assert abs(grey[0] - grey[1]) > 0.05
    assert np.argmax(to_rgb(train.get_color())) != np.argmax(to_rgb(test.get_color()))


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 7, 30, 99, 1000])
def test_epochs_are_whole_numbers(n_epochs):
    figure = plots.learning_curves({"train_loss": np.linspace(1, 0.1, n_epochs)})
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks and all(tick == int(tick) and 1 <= tick <= n_epochs for tick in ticks)
    assert low < 1 and n_epochs < high


def test_one_epoch_shows_points_of_which_none_hides_another():
    loss, _ = plots.learning_curves({key: [0.5] for key in HISTORY}).axes
    train, test = loss.get_lines()
    assert train.get_marker() == test.get_marker() == "o"
    assert (train.get_fillstyle(), test.get_fillstyle()) == ("full", "none")
    assert loss.get_ylim()[1] > 0.5


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([0.97, 0.98], 0.94, 0.97),
        ([1.0, 1.0], 0.9, 0.95),
        ([0.1, 0.9], 0, 0.1),
        ([0.0, 0.0], 0, 0),
        ([float("nan"), 0.97], 0.94, 0.97),
    ],
)
def test_accuracy_axis_ends_just_above_one(values, low, high):
    (axes,) = plots.learning_curves({"test_accuracy": values}).axes
    bottom, top = axes.get_ylim()
    assert low <= bottom <= high
    assert 1 < top <= 1.03


@pytest.mark.parametrize(("values", "bottom"), [([2.0, 0.5], 0), ([0, 0], 0), ([1.0, float("inf")], 0)])
def test_loss_axis_stands_on_zero(values, bottom):
    (axes,) = plots.learning_curves({"train_loss": values}).axes
    assert axes.get_ylim()[0] == bottom < axes.get_ylim()[1]


def test_negative_loss_stays_in_view():
    (axes,) = plots.learning_curves({"train_loss": [1.0, -2.0]}).axes
    assert axes.get_ylim()[0] < -2


def test_validation_is_a_part_of_its_own_and_other_keys_are_left_out():
    history = HISTORY | {"val_loss": [1.1, 0.8, 0.7], "lr": [0.1, 0.1, 0.1], "epochs": 3}
    loss, accuracy = plots.learning_curves(history).axes
    assert list(lines_of(loss)) == ["train", "validation", "test"]
    assert list(lines_of(accuracy)) == ["train", "test"]
    assert len({line.get_color() for line in loss.get_lines()}) == 3


def test_png_shows_both_colours_on_white(tmp_path):
    path = tmp_path / "curves.png"
    plots.learning_curves(HISTORY, path)
    pixels = image.imread(path)[..., :3]
    assert pixels.shape[0] > 400 and pixels.shape[1] > 1.8 * pixels.shape[0]
    half = pixels.shape[1] // 2
    for panel in (pixels[:, :half], pixels[:, half:]):
        assert (panel == 1).all(axis=-1).mean() > 0.5
        for line in plots.learning_curves(HISTORY).axes[0].get_lines():
            near = np.abs(panel - to_rgb(line.get_color())).max(axis=-1) < 0.02
            assert near.sum() > 300


def test_svg_is_written_to_a_name_of_text(tmp_path):
    plots.learning_curves(HISTORY, str(tmp_path / "curves.svg"))
    assert ElementTree.parse(tmp_path / "curves.svg").getroot().tag.endswith("svg")


def test_matplotlibs_state_is_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    had_pyplot = "matplotlib.pyplot" in sys.modules
    plots.learning_curves(HISTORY, tmp_path / "curves.png")
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


@pytest.mark.parametrize(
    ("history", "fragments"),
    [
        ({}, ["got none."]),
        ({"loss": [1.0]}, ["got loss."]),
        ({"train_loss": []}, ["at least one epoch", "got train_loss without epochs."]),
        ({"train_loss": [], "test_loss": [1.0]}, ["of one length", "train_loss of 0"]),
        (HISTORY | {"test_loss": [1.0]}, ["of one length", "train_loss of 3, test_loss of 1"]),
        (HISTORY | {"val_accuracy": [1.0]}, ["val_accuracy of 1"]),
        ({"train_loss": 0.5}, ["train_loss as a list", "got shape ()."]),
        ({"train_loss": [[0.5, 0.4]]}, ["train_loss as a list", "got shape (1, 2)."]),
        ({"train_loss": [[0.5], [0.4, 0.3]]}, ["train_loss", "different lengths"]),
        ({"train_loss": ["a"]}, ["train_loss of real numbers"]),
        ({"train_loss": None}, ["train_loss", "got None."]),
    ],
)
def test_bad_histories_are_refused(history, fragments, tmp_path):
    with pytest.raises((ValueError, TypeError)) as error:
        plots.learning_curves(history, tmp_path / "curves.png")
    text = str(error.value)
    assert text.startswith("learning_curves expects ") and text.endswith(".")
    for fragment in fragments:
        assert fragment in text
    assert not list(tmp_path.iterdir())


def test_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"learning_curves needs matplotlib, which pip install"):
        plots.learning_curves(HISTORY)


@pytest.mark.parametrize("name", ["curves.png", "it.png", "it.svg", "it.dot"])
def test_a_picture_that_cannot_be_written_leaves_the_one_before(name, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    path = tmp_path / name
    path.write_text("before")
    x = fastbp.tensor(1.0, requires_grad=True)
    picture = fastbp.graph.draw(2 * x, {"x": x})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="so nothing was written, and what was there stays"):
        plots.learning_curves(HISTORY, path) if name == "curves.png" else picture.save(path)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_name_without_an_end_is_one_of_a_png(tmp_path):
    plots.learning_curves(HISTORY, tmp_path / "curves")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
