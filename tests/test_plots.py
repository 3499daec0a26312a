import os
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb

import fastbp
from fastbp import fonts, plots

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


# --- classes --------------------------------------------------------------------------------

PLANE = np.array([[-1.0, 0.0], [-2.0, 1.0], [1.0, 0.5], [2.0, -1.0]])
SIDES = [0, 0, 1, 1]


def by_side(rows):
    """Scores of two classes, by the side of the plane."""
    return np.stack([-rows[:, 0], rows[:, 0]], 1)


def region_of(figure, x):
    """The colour below a point."""
    (shown,) = figure.axes[0].get_images()
    left, right, low, high = shown.get_extent()
    array = np.asarray(shown.get_array())
    row = int((x[1] - low) / (high - low) * len(array))
    return tuple(array[row, int((x[0] - left) / (right - left) * array.shape[1])])


@pytest.mark.parametrize(
    "net",
    [
        by_side,
        lambda rows: by_side(rows).argmax(1),
        lambda rows: 1 / (1 + np.exp(-rows[:, :1])),
        lambda rows: rows[:, 0],
        lambda rows: (rows[:, 0] > 0).astype(float),
    ],
    ids=["scores", "indices", "probability", "a score", "whole floats"],
)
@pytest.mark.parametrize("t", [SIDES, np.eye(2)[SIDES], np.array(SIDES, bool)], ids=["indices", "one-hot", "bool"])
def test_regions_are_the_classes_that_are_said(net, t):
    figure = plots.decision_boundary(net, PLANE, t, resolution=50)
    colours = [region_of(figure, x) for x in PLANE]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["0", "1"]


@pytest.mark.parametrize("gives", ["names", "indices"])
def test_classes_with_names_are_coloured_alike(gives):
    names = np.array(["low", "up"])

    def net(rows):
        return names[(rows[:, 0] > 0).astype(int)] if gives == "names" else by_side(rows)

    figure = plots.decision_boundary(net, PLANE, names[SIDES], resolution=50)
    assert region_of(figure, PLANE[0]) == region_of(figure, PLANE[1]) != region_of(figure, PLANE[2])
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["low", "up"]


def test_a_module_is_evaluated_as_it_is():
    net = fastbp.nn.Sequential(fastbp.nn.Linear(2, 2), fastbp.nn.Dropout(0.5))
    plots.decision_boundary(net, PLANE, SIDES, resolution=9)
    assert net.training and all(p.grad is None for p in net.parameters())


def chinese(name, otherwise):
    """A name where a font of this machine has its characters."""
    try:
        fonts.families("A test", name)
    except ValueError:
        return otherwise
    return name


def test_confusion_is_counted_and_named():
    cat, dog = chinese("猫", "cat"), chinese("狗", "dog")
    figure = plots.confusion_matrix(by_side(PLANE), [0, 1, 1, 1], classes=[cat, dog + " $x$"])
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["1", "0", "1", "2"]
    assert [text.get_text() for text in axes.get_yticklabels()] == [cat, dog + r" \$x\$"]
    assert np.asarray(axes.get_images()[0].get_array()).tolist() == [[1, 0], [1 / 3, 2 / 3]]


def test_confusion_of_names_is_sorted_by_them():
    (axes,) = plots.confusion_matrix(["b", "a", "b"], ["b", "a", "a"]).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b"]
    assert [text.get_text() for text in axes.texts] == ["1", "1", "0", "1"]


# --- fonts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint64", "float32"])
def test_confusion_of_many_classes_is_counted_in_any_dtype(dtype):
    y, t = np.random.default_rng(0).integers(0, 20, (2, 500))
    figure = plots.confusion_matrix(y.astype(dtype), t.astype(dtype), classes=[f"class {k}" for k in range(20)])
    table = np.zeros((20, 20), int)
    np.add.at(table, (t, y), 1)
    assert [int(text.get_text()) for text in figure.axes[0].texts] == table.ravel().tolist()


def test_what_would_be_another_class_is_refused():
    with pytest.raises(ValueError, match="different names"):
        plots.confusion_matrix(["a", "b"], ["a", "b"], classes=["a", "b", "a"])
    with pytest.raises(ValueError, match="numbers in y; got NaN"):
        plots.confusion_matrix([[np.nan, 1], [0.2, 0.8]], [0, 1])
    rows = [[0.0, 1.0], [1.0, 0.0]]
    for scores in (lambda x: np.full(len(x), np.nan), lambda x: np.full((len(x), 2), np.nan)):
        with pytest.raises(ValueError, match="got NaN"):
            plots.decision_boundary(scores, rows, [0, 1], resolution=9)
    for scores in (np.cos, lambda x: x[:, 0] - 0.3):  # of classes 0 and 1
        with pytest.raises(ValueError, match="classes 0 to 1"):
            plots.decision_boundary(scores, rows, [-1, 1], resolution=9)
    with pytest.raises(ValueError, match="got 2 and class -1"):
        plots.decision_boundary(lambda x: np.full(len(x), -1), rows, ["a", "b"], resolution=9)
    figure = plots.decision_boundary(lambda x: np.arange(len(x)) % 2, rows, np.array([0, 1], "uint64"), resolution=9)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["0", "1"]


def test_negative_losses_of_rates_stay_in_view():
    axes = plots.learning_rates([0.01, 0.1, 1.0], [-1.0, -3.0, 5.0], [-1.0, -3.0, 2.0], 0.1).axes[0]
    low, high = axes.get_ylim()
    assert low < -3 and -1 < high < 2


def test_chinese_names_find_a_font_or_a_sentence(tmp_path, monkeypatch):
    try:
        plots.confusion_matrix(["猫"], ["猫"], path=tmp_path / "it.png")  # a missing glyph warns, and warnings fail
    except ValueError as error:
        assert "'猫'" in str(error) and "install one" in str(error)
    monkeypatch.setattr(fonts, "_held", lambda path, characters: {c for c in characters if c.isascii()})
    with pytest.raises(ValueError, match=r"confusion_matrix expects a font with the characters .* has '猫': install"):
        plots.confusion_matrix(["猫"], ["猫"])
    x = fastbp.tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match=r"A picture as PNG expects a font .* has '.*价'"):
        fastbp.graph.draw(2 * x, {"价": x}).save(tmp_path / "graph.png")


# --- layers ---------------------------------------------------------------------------------


def small(loss="softmax_cross_entropy"):
    return fastbp.Sequential(
        fastbp.Linear(2, 5, seed=0), fastbp.Tanh(), fastbp.Dropout(0.5), fastbp.Linear(5, 2, seed=1), loss=loss
    )


def bytes_of(net):
    return {name: array.tobytes() for name, array in net.params.items()}


def test_weights_are_images_of_one_scale():
    net = fastbp.Sequential(fastbp.Linear(6, 4, seed=0), fastbp.Relu(), fastbp.Linear(4, 2, seed=1))
    figure = plots.weights(net, shape=(2, 3), n_units=3)
    images = [shown for axes in figure.axes for shown in axes.get_images()]
    assert len(images) == 3 and len({shown.get_clim() for shown in images}) == 1
    for k, shown in enumerate(images):
        assert np.array_equal(shown.get_array(), net.params["W1"][:, k].reshape(2, 3))
    low, high = images[0].get_clim()
    assert low == -high == -abs(net.params["W1"][:, :3]).max()


def test_weights_of_a_module_and_of_an_estimator_are_found():
    linear = fastbp.nn.Linear(4, 3)
    (shown, *_), *_ = (axes.get_images() for axes in plots.weights(fastbp.nn.Sequential(linear)).axes)
    assert np.array_equal(shown.get_array().ravel(), linear.weight.detach().numpy()[0])

    class Fitted:
        coefs_, intercepts_ = [np.ones((4, 2))], [np.zeros(2)]

    assert len(plots.weights(Fitted()).axes) == 3 and plots.network(Fitted())


def test_a_graph_of_weights_has_a_line_for_each():
    net = small()
    figure = plots.network(net, inputs=[chinese("宽", "wide") + " $x$", "b"], outputs=["0", "1"])
    lines = figure.axes[0].collections[0]
    weights = np.concatenate([net.params[name].ravel() for name in ("W1", "W2")])
    ends = lines.get_segments()
    assert len(ends) == 2 * 5 + 5 * 2
    thick = lines.get_linewidths()
    assert thick == sorted(thick) and np.isclose(thick[-1], 2.5)
    red, _, blue, _ = lines.get_colors()[-1]
    assert (red > blue) == (weights[np.abs(weights).argmax()] > 0)
    assert [text.get_text() for text in figure.axes[0].texts][1:] == ["b", "0", "1"]


def test_histograms_count_every_number_and_change_nothing():
    net, x = small(), PLANE.astype(np.float32)
    before = bytes_of(net)
    figure = plots.histograms(net, x, SIDES)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["0 Linear", "3 Linear"]
    counted = [round(sum(bar.get_height() for bar in axes.patches)) for axes in figure.axes]
    assert counted == [4 * 5, 4 * 2, 10, 10, 10, 10]
    hidden = np.tanh(x @ net.params["W1"] + net.params["b1"])
    edges = [bar.get_x() for bar in figure.axes[0].patches]
    assert min(edges) == pytest.approx(hidden.min(), abs=1e-5)
    assert bytes_of(net) == before and net.training
    assert all(p.grad is None for p in net.parameters()) and len(plots.histograms(net, x).axes) == 4


def test_gradients_in_a_histogram_are_the_networks():
    net = fastbp.Sequential(fastbp.Linear(2, 2, seed=0), loss="softmax_cross_entropy")
    axes = plots.histograms(net, PLANE, SIDES).axes[2]
    gradient = net.gradient(PLANE, np.array(SIDES))["W1"]
    left, right = axes.patches[0].get_x(), axes.patches[-1].get_x() + axes.patches[-1].get_width()
    assert (left, right) == pytest.approx((gradient.min(), gradient.max()), rel=1e-3)


@pytest.mark.parametrize("apart", [2.0**-23, 2.0**-52, 3e38, np.nan])
def test_histograms_of_numbers_that_hardly_or_vastly_differ_are_drawn(apart):
    net = fastbp.Sequential(fastbp.Linear(2, 60, seed=0), loss="softmax_cross_entropy")
    if abs(apart) < 1e-9:
        net = net.to(np.float64 if apart < 1e-9 else np.float32)
    net.params["W1"][...] = 1
    net.params["W1"][0, 0] += apart
    net.params["W1"][0, 1] -= apart
    seen = plots.Snapshots(PLANE)
    seen(net)
    seen(net)
    counts = sum(bar.get_height() for bar in plots.histograms(net, PLANE).axes[1].patches)
    assert counts == np.isfinite(net.params["W1"]).sum()
    low, high = seen.histograms().axes[1].get_images()[0].get_extent()[2:]
    assert low < high


def test_few_gradients_with_an_outlier_have_few_bars():
    net = fastbp.Sequential(fastbp.Linear(2, 10, seed=0), loss="softmax_cross_entropy")
    net.params["W1"][...] = np.linspace(0, 1e-9, 20).reshape(2, 10)
    net.params["W1"][0, 0] = 1e9
    assert len(plots.histograms(net, PLANE).axes[1].patches) < 10


def test_frozen_layers_have_no_gradients_in_a_histogram():
    net = small()
    net[0].requires_grad_(False)
    axes = plots.histograms(net, PLANE, SIDES).axes
    heights = [sum(bar.get_height() for bar in each.patches) for each in axes[-2:]]
    assert heights[0] == 0 and heights[1] == net.params["W2"].size


def test_snapshots_are_taken_every_epoch():
    net, seen = small(), plots.Snapshots(PLANE, SIDES)
    other = small()
    net.fit(PLANE, np.array(SIDES), epochs=4, callbacks=[seen], seed=0, progress=False)
    other.fit(PLANE, np.array(SIDES), epochs=4, seed=0, progress=False)
    assert bytes_of(net) == bytes_of(other)
    figure = seen.histograms()
    assert len(seen) == 4 and len(figure.axes) == 6
    (shown,) = figure.axes[0].get_images()
    assert shown.get_array().shape[1] == 4 and shown.get_extent()[:2] == [0.5, 4.5]


# --- surfaces -------------------------------------------------------------------------------


def test_a_functions_surface_has_the_ways_on_it():
    momentum = chinese("动量", "momentum")
    ways = {"SGD": [(-7.0, 2.0), (-3.0, 1.0), (0.0, 0.5)], momentum: np.array([[1.0, 1.0], [2.0, -1.0]])}
    figure = plots.loss_surface(lambda x, y: x**2 / 20 + y**2, ways, resolution=9)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["SGD", momentum]
    lines = lines_of(axes)
    for name, points in ways.items():
        assert np.array_equal(lines[name].get_xydata(), np.array(points))
        x, y = np.transpose(points)
        assert axes.get_xlim()[0] < x.min() and x.max() < axes.get_xlim()[1]
        assert axes.get_ylim()[0] < y.min() and y.max() < axes.get_ylim()[1]


@pytest.mark.parametrize("loss", [lambda x, y: 1e20, lambda x, y: -1e20 * (1 + 1e-16 * x), lambda x, y: 1e308 * x])
def test_flat_and_vast_surfaces_are_drawn(loss, tmp_path):
    plots.loss_surface(loss, path=tmp_path / "a.png", resolution=5)


def test_the_way_of_a_network_that_diverged_is_drawn_as_far_as_it_is_finite():
    net = small()
    here = {name: array.copy() for name, array in net.params.items()}
    way = [
        here,
        {name: array + 1 for name, array in here.items()},
        {name: array * np.nan for name, array in here.items()},
    ]
    axes = plots.loss_surface(net, {"SGD": way}, x=PLANE, t=np.array(SIDES), resolution=5).axes[0]
    assert np.isfinite(axes.lines[0].get_xydata()).all(axis=1).tolist() == [True, True, False]
    with pytest.raises(ValueError, match="paths of finite numbers"):
        plots.loss_surface(net, {"SGD": way[2:]}, x=PLANE, t=np.array(SIDES), resolution=5)


def test_a_networks_ways_lie_on_their_principal_components():
    net, kept = fastbp.Sequential(fastbp.Linear(2, 2, seed=0), loss="softmax_cross_entropy"), []

    def keep(net, history):
        kept.append({name: array.copy() for name, array in net.params.items()})

    net.fit(PLANE, np.array(SIDES), epochs=6, callbacks=[keep], seed=0, progress=False)
    before = bytes_of(net)
    axes = plots.loss_surface(net, {"SGD": kept}, x=PLANE, t=SIDES, resolution=5).axes[0]
    way = lines_of(axes)["SGD"].get_xydata()
    points = np.stack([np.concatenate([array.ravel() for array in each.values()]) for each in kept])
    far = np.linalg.norm(points - points[-1], axis=1)
    assert np.linalg.norm(way, axis=1) == pytest.approx(far, rel=0.05, abs=1e-6) and not way[-1].any()
    assert bytes_of(net) == before


def test_a_network_without_ways_has_random_directions_by_the_seed():
    net = small()

    def drawn(seed):
        axes = plots.loss_surface(net, x=PLANE, t=SIDES, resolution=5, seed=seed).axes[0]
        return np.concatenate([path.vertices.ravel() for path in axes.collections[0].get_paths()]).tolist()

    assert drawn(0) == drawn(0) != drawn(1)
