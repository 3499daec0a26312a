"""The SVG pictures of a table's training: read again as XML, their places as the numbers of their axes."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fastbp import charts

SVG = "{http://www.w3.org/2000/svg}"
#: What XML and HTML read otherwise, what they may not hold, and wide signs.
NAMES = ["<b>", "a & b", "&lt;", "quo\"te's", "收入（元）", "]]>", "two\n lines\t", "nul\x00\x1b\ud800\ufffe", "é̃ 🐧"]
BLUE, GREEN, GREY = "#0072B2", "#009E73", "#999999"


class Picture:
    """An SVG file: its texts with their places, and what is drawn."""

    def __init__(self, path):
        self.root = ET.fromstring(path.read_bytes())
        assert self.root.tag == f"{SVG}svg"
        self.width, self.height = (float(self.root.get(name)) for name in ("width", "height"))
        self.texts = [(*self.place(node), node.text, node) for node in self.root.iter(f"{SVG}text")]
        for x, y, text, _ in self.texts:
            assert 0 <= x <= self.width and 0 <= y <= self.height, text
        assert not re.search(r"nan|inf", path.read_text("utf-8").split("<title>")[1].split("</title>")[1].lower())

    @staticmethod
    def place(node):
        if node.get("x") is not None:
            return float(node.get("x")), float(node.get("y"))
        return tuple(map(float, re.match(r"translate\((\S+) (\S+)\)", node.get("transform")).groups()))

    def words(self):
        return [text for _, _, text, _ in self.texts]

    def axes(self, panel=0):
        """Functions of places: the numbers that a panel's axes have there, by their labels."""
        frames = [node.get("d") for node in self.root.iter(f"{SVG}path") if node.get("stroke") == "black"]
        frames = [re.match(r"M(\S+) (\S+)v(\S+)h(\S+)$", d) for d in frames]
        left, top, down, across = map(float, [match for match in frames if match][panel].groups())
        below = [
            (x, number(text)) for x, y, text, _ in self.texts if y == top + down + 18 and left <= x <= left + across
        ]
        beside = [(y - 4, number(text)) for x, y, text, _ in self.texts if x == left - 7]
        return [np.poly1d(np.polyfit(*np.array(ticks).T, 1)) for ticks in (below, beside) if len(ticks) > 1]

    def paths(self, stroke):
        """The points of each line of a colour."""
        found = [node.get("d") for node in self.root.iter(f"{SVG}path") if node.get("stroke") == stroke]
        return [np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", d), float) for d in found]

    def rects(self, fill=None):
        """(left, top, width, height, colour) of what is filled."""
        for node in self.root.iter(f"{SVG}rect"):
            if node.get("fill") != "white" and fill in (None, node.get("fill")):
                yield *(float(node.get(name)) for name in ("x", "y", "width", "height")), node.get("fill")


def number(text):
    return float(text.replace("−", "-"))


def drawn(tmp_path, draw, *arguments):
    draw(*arguments, tmp_path / "it.svg")
    return Picture(tmp_path / "it.svg")


# --- numbers at their places ----------------------------------------------------------------


def test_learning_curves_are_the_losses_and_accuracies(tmp_path, rng):
    history = {
        f"{part}_{what}": rng.uniform(low, high, 40)
        for part in ("train", "val")
        for what, low, high in (("loss", 0.2, 3.7), ("accuracy", 0.4, 0.9))
    }
    history["val_loss"][7] = np.nan
    picture = drawn(tmp_path, charts.learning_curves, history)
    for colour, part in ((BLUE, "train"), (GREEN, "val")):
        curves = [path for path in picture.paths(colour) if len(path) > 2]
        for panel, what in enumerate(("loss", "accuracy")):
            x, y = picture.axes(panel)
            values = history[f"{part}_{what}"]
            there = np.isfinite(values)
            np.testing.assert_allclose(x(curves[panel][:, 0]), np.arange(1, 41)[there], atol=0.01)
            np.testing.assert_allclose(y(curves[panel][:, 1]), values[there], atol=0.01)
    assert {"Loss", "Accuracy", "Epoch", "train", "validation"} <= set(picture.words())


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
def test_epochs_are_whole(n, tmp_path):
    picture = drawn(tmp_path, charts.learning_curves, {"train_loss": np.linspace(1, 0.5, n)})
    below = [text for _, y, text, _ in picture.texts if y == max(y for _, y, _, _ in picture.texts) - 26]
    assert len(below) > 1 and all(number(text).is_integer() for text in below)


@pytest.mark.parametrize("scale, shift", [(1, 0), (3e5, 2e6), (1e-3, 1e9), (1e-300, 0), (1e300, 0), (5, -2019)])
def test_residuals_are_the_points_and_their_counts(scale, shift, tmp_path, rng):
    t = scale * rng.normal(size=300) + shift
    y = t + scale * rng.normal(size=300) / 2
    picture = drawn(tmp_path, charts.residuals, y, t, "price")
    across, up = picture.axes(0)
    (points,) = [path for path in picture.paths(BLUE) if len(path) == 300]
    np.testing.assert_allclose(across(points[:, 0]) / scale, y / scale, atol=0.02)
    np.testing.assert_allclose(up(points[:, 1]) / scale, t / scale, atol=0.02)
    ((first, last),) = picture.paths(GREY)
    assert across(first[0]) / scale == pytest.approx(up(first[1]) / scale, abs=0.03)
    assert across(last[0]) / scale == pytest.approx(up(last[1]) / scale, abs=0.03)
    across, up = picture.axes(1)
    counts, edges = np.histogram(y - t, bins=30)
    for (left, top, width, height, _), count, low, high in zip(
        picture.rects(), counts, edges[:-1], edges[1:], strict=True
    ):
        ends = across(left) / scale, across(left + width) / scale
        assert ends == pytest.approx((low / scale, high / scale), abs=0.03)
        assert (up(top), up(top + height)) == pytest.approx((count, 0), abs=0.1)
    assert {"Predicted price", "True price", "Rows", "Predicted minus true"} <= set(picture.words())


@pytest.mark.parametrize("n_classes", [2, 4, 5, 12, 13])
def test_calibration_and_confusion_are_the_shares_and_counts(n_classes, tmp_path, rng):
    p = rng.dirichlet(np.full(n_classes, 0.3), 500)
    t = np.array([rng.choice(n_classes, p=row) for row in p])
    names = [f"a class of number {k}" for k in range(n_classes)]
    picture = drawn(tmp_path, charts.calibration, p, t, names)
    x, y = picture.axes(0)
    said, right = p.max(axis=1), p.argmax(axis=1) == t
    bins = [(said * 10 // 1 == k) | ((k == 9) & (said == 1)) for k in range(10)]
    want = [(said[rows].mean(), right[rows].mean()) for rows in bins if rows.any()]
    (curve,) = picture.paths(BLUE)
    np.testing.assert_allclose(np.array([x(curve[:, 0]), y(curve[:, 1])]).T, want, atol=0.005)
    dots = [(float(node.get("cx")), float(node.get("cy"))) for node in picture.root.iter(f"{SVG}circle")]
    np.testing.assert_array_equal(dots, curve)

    table = np.zeros((n_classes, n_classes), int)
    np.add.at(table, (t, p.argmax(axis=1)), 1)
    cells = list(picture.rects())
    assert len(cells) == np.count_nonzero(table)
    size = 340 / n_classes, 250 / n_classes
    left = min(cell[0] for cell in cells)
    for (x, y, width, height, colour), (row, column) in zip(cells, np.argwhere(table), strict=True):
        assert (x - left, y - 34) == pytest.approx((column * size[0], row * size[1]), abs=0.11)
        assert (width, height) == pytest.approx(size, abs=0.11)
        share = table[row, column] / table[row].sum()
        assert re.findall(r"\d+", colour)[0] == str(round(255 - 247 * share))
        middle = pytest.approx((x + width / 2, y + height / 2 + 4), abs=0.2)
        written = [text for *place, text, _ in picture.texts if place == middle]
        assert written == ([str(table[row, column])] if n_classes <= 12 else [])
    if n_classes <= 12:  # each name twice, cut to what tells it from the others
        assert sum(text.startswith("a ") for text in picture.words()) == 2 * n_classes
        assert len({text for text in picture.words() if text.startswith("a ")}) == n_classes


def test_importances_are_bars_with_their_deviations(tmp_path):
    names = [f"column {k}" for k in range(30)]
    means, deviations = np.linspace(0.5, -0.2, 30), np.linspace(0.1, 0.01, 30)
    picture = drawn(tmp_path, lambda *a: charts.importances(*a[:4], a[4], most=28), names, means, deviations, "r2")
    labels = sorted((x, number(text)) for x, y, text, _ in picture.texts if y == 34 + 28 * 24 + 18)
    x = np.poly1d(np.polyfit(*np.array(labels).T, 1))
    bars = list(picture.rects(BLUE))
    lines = [path for path in picture.paths("black") if len(path) == 2]
    assert len(bars) == len(lines) == 28
    for k, ((left, top, width, height, _), line) in enumerate(zip(bars, lines, strict=True)):
        ends = sorted((0, means[k]))
        assert (x(left), x(left + width)) == pytest.approx(ends, abs=0.002)
        assert x(line[:, 0]) == pytest.approx([means[k] - deviations[k], means[k] + deviations[k]], abs=0.002)
        middle = 34 + 24 * (k + 0.5)
        assert top + height / 2 == pytest.approx(middle, abs=0.11) and line[:, 1] == pytest.approx(middle, abs=0.11)
        assert [text for _, y, text, _ in picture.texts if y == pytest.approx(middle + 4, abs=0.11)] == [names[k]]


# --- names ----------------------------------------------------------------------------------


def plain(name):
    """A name in one line, of signs that XML may hold."""
    return re.sub(r"[\x00\x1b\ud800\ufffe]", "�", " ".join(name.split()))


def test_names_of_all_signs_are_read_again(tmp_path):
    picture = drawn(
        tmp_path, charts.importances, NAMES, np.linspace(1, 0, len(NAMES)), np.full(len(NAMES), 0.1), "accuracy"
    )
    assert [text for text in picture.words() if text in map(plain, NAMES)] == list(map(plain, NAMES))
    k = len(NAMES)
    picture = drawn(tmp_path, charts.calibration, np.eye(k) * 0.5 + 0.5 / k, np.arange(k), NAMES)
    assert sorted(picture.words() * 1).count("<b>") == 2
    assert all(picture.words().count(plain(name)) == 2 for name in NAMES)
    for name in NAMES:
        picture = drawn(tmp_path, charts.residuals, np.arange(3.0), np.arange(3.0), name)
        assert {f"Predicted {plain(name)}", f"True {plain(name)}"} <= set(picture.words())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x" * 24, "x" * 24),
        ("income of the household before taxes", "income of the h…re taxes"),
        ("income of the household after taxes", "income of the h…er taxes"),
        ("居民人均可支配收入增长率", "居民人均可支配收入增长率"),
        ("全国城镇居民人均可支配收入增长率", "全国城镇居民人…入增长率"),
    ],
)
def test_long_names_keep_their_ends_within_the_room_left_of_the_panel(name, shown, tmp_path):
    picture = drawn(tmp_path, charts.importances, [name], np.ones(1), np.zeros(1), "r2")
    assert shown in picture.words()


# --- odd numbers ----------------------------------------------------------------------------


def test_importances_that_no_score_tells_are_not_drawn_as_zeros(tmp_path):
    nan = np.full(3, np.nan)
    picture = drawn(tmp_path, charts.importances, ["a", "b", "c"], nan, nan, "r2")
    assert not list(picture.rects()) and picture.words().count("not defined") == 3


@pytest.mark.parametrize(
    ("y", "t"),
    [
        ([2.0] * 5, [2.0] * 5),
        ([2.0], [3.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([np.inf, 1.0], [1.0, 2.0]),
        ([1.7e308, -1.7e308], [-1.7e308, 1.7e308]),
        ([5e-324, 0.0], [0.0, 5e-324]),
        ([1.0, 1.0 + 2e-16], [0.0, 0.0]),
    ],
    ids=str,
)
def test_residuals_of_odd_numbers_are_drawn(y, t, tmp_path):
    picture = drawn(tmp_path, charts.residuals, np.array(y), np.array(t), "y")
    assert sum(len(path) == len(y) for path in picture.paths(BLUE)) == 1


def test_many_rows_are_drawn_by_few_points(tmp_path, rng):
    y = rng.normal(size=100_001)
    charts.residuals(y, y, "y", tmp_path / "it.svg")
    assert (tmp_path / "it.svg").stat().st_size < 60_000


def test_a_table_of_odd_names_is_drawn_by_the_command(run, tmp_path):
    pytest.importorskip("safetensors")
    pytest.importorskip("matplotlib")
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({'<收入> & "more"': rng.normal(size=150), "b": rng.normal(size=150)})
    frame['<kind & "such">'] = np.where(frame["b"] > 0, "<好>", "&amp;")
    frame.to_csv(tmp_path / "it.csv", index=False)
    for target, name in (('<kind & "such">', "calibration.svg"), ("b", "residuals.svg")):
        words = ("--target", target, "--epochs", 3, "--out", tmp_path, "--force")
        assert run("train", tmp_path / "it.csv", *words)[0] == 0
        shown = Picture(tmp_path / "importances.svg").words(), Picture(tmp_path / name).words()
        assert '<收入> & "more"' in shown[0]
        assert ("<好>" in shown[1] and "&amp;" in shown[1]) if target != "b" else "True b" in shown[1]
        Picture(tmp_path / "learning-curves.svg")


def test_a_test_part_of_equal_numbers_has_no_r2_and_says_so(run, tmp_path):
    rng = np.random.default_rng(0)
    y = np.append(rng.normal(size=150), np.full(50, 3.0))
    lines = [f"{x:.3f},{k}.5,{t:.3f}" for k, (x, t) in enumerate(zip(rng.normal(size=200), y, strict=True))]
    (tmp_path / "it.csv").write_text("a,day,y\n" + "\n".join(lines) + "\n")
    words = ("--target", "y", "--time", "day", "--epochs", 3, "--out", tmp_path)
    status, out, error = run("train", tmp_path / "it.csv", *words)
    assert (status, error) == (0, "") and "importances     a -, day -\n" in out
    assert Picture(tmp_path / "importances.svg").words().count("not defined") == 2
    assert '"r2": null' in (tmp_path / "metrics.json").read_text()


def test_negative_losses_stay_in_the_panel(tmp_path):
    charts.learning_curves({"train_loss": [1.0, -3.0], "val_loss": [-2.0, -1.0]}, tmp_path / "a.svg")
    texts = [text.replace("\N{MINUS SIGN}", "-") for text in Picture(tmp_path / "a.svg").words()]
    assert {"-3", "-2", "0", "1"} <= set(texts)
    svg = charts.learning_curves({"train_loss": [-1.0, -3.0]})
    line = re.search(r'd="M([^"]*)" fill="none" stroke="#0072B2"', svg)[1]
    heights = [float(point.split()[1]) for point in line.split("L")]
    assert 34 <= min(heights) < max(heights) <= 284


@pytest.mark.parametrize("values", [[np.nan], [np.inf, np.nan]])
def test_a_history_of_no_finite_number_says_so(values, tmp_path):
    charts.learning_curves({"train_loss": values, "train_accuracy": [0.5] * len(values)}, tmp_path / "a.svg")
    assert Picture(tmp_path / "a.svg").words().count("not finite") == 1
    with pytest.raises(ValueError, match="losses or accuracies; got none"):
        charts.learning_curves({"train_loss": []})
