"""Pictures of graphs: what they say, that nothing lies on anything else, and their files."""

import itertools
import random
import runpy
import string
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import image
from matplotlib.ft2font import FT2Font

import fastbp
from fastbp import autograd, graph
from fastbp.graph import layout, reading, text, wrapping
from fastbp.graph.drawing import BACKWARD
from fastbp.nn import functional as F

ROOT = Path(__file__).parents[1]
EXAMPLE = runpy.run_path(str(ROOT / "examples" / "draw_graphs.py"))
number = EXAMPLE["number"]


def reused():
    x = number(3.0)
    return x * x + 2 * x, {"x": x}


def thirty_operations():
    a, b, c, d = map(number, (1.5, -0.7, 0.3, 2.0))
    u = fastbp.sin(a * b) + fastbp.exp(c) * d
    v = fastbp.tanh(u * a - b / d)
    w = (u + v) * (v - c) + fastbp.log(d * d + 1)
    z = fastbp.sigmoid(w / (a + 3)) * u - fastbp.sqrt(d) * v**3
    q = (z * w + u).relu() + fastbp.cos(v * z) * 0.25
    return q / (1 + q * q), {"a": a, "b": b, "c": c, "d": d}


def classifier():
    """Named by nobody but the layers that make the nodes."""
    x, W, b = fastbp.ones(70, 5), fastbp.ones(5, 3), fastbp.zeros(3)
    W.requires_grad_(), b.requires_grad_()
    scores = autograd.node(
        "AddmmBackward0",
        x.numpy() @ W.array + b.array,
        (x, W, b),
        lambda saved, dout, needs: (None, x.array.T @ dout, dout.sum(0)),
    )
    loss = autograd.node(
        "NllLossBackward0",
        np.float32(1.5),
        (scores.log_softmax(1), None),
        lambda saved, dout, needs: (np.ones((70, 3), np.float32), None),
    )
    return loss, {"layers.0.weight": W, "layers.0.bias": b}


def random_graph(seed):
    draw = random.Random(seed)
    values = [number(draw.uniform(0.5, 2)) for _ in range(draw.randint(1, 5))]
    names = {f"input {'x' * draw.randint(0, 9)} {i}": v for i, v in enumerate(values)}
    reach = draw.choice([2, 5, 40])
    for i in range(draw.randint(1, 40)):
        a, b = draw.choice(values[-reach:]), draw.choice(values[-reach:])
        made = draw.choice(
            [
                lambda a, b: a * b,
                lambda a, b: a + b,
                lambda a, b: a - b,
                lambda a, b: a / (b * b + 1),
                lambda a, b: fastbp.tanh(a),
                lambda a, b: a * 2,
                lambda a, b: fastbp.stack([a, b, a]).sum(),
                lambda a, b: (a * fastbp.ones(draw.randint(1, 200))).mean(),
            ]
        )(a, b)
        values.append(made)
        if draw.random() < 0.2:
            names[f"value {i}"] = made
    ends = values[-draw.randint(1, 6) :]
    return sum(ends[1:], ends[0] * 1), names


FIGURES = [*EXAMPLE["FIGURES"], reused, thirty_operations, classifier]


# --- nothing lies on anything else ----------------------------------------------------------


def points_of(line, n=12):
    """Points along the pieces of a line."""
    for piece in line.pieces:
        p = np.array(piece)
        for s in np.linspace(0, 1, n):
            while len(p) > 1:  # de Casteljau
                p = (1 - s) * p[:-1] + s * p[1:]
            yield p[0]
            p = np.array(piece)


def overlap(a, b, slack=0.0):
    return (min(a[2], b[2]) - max(a[0], b[0]) > slack) and (min(a[3], b[3]) - max(a[1], b[1]) > slack)


def assert_readable(picture):
    shapes = [shape.box for shape in picture.shapes]
    inside = {}  # a text belongs to the shape that it stands in
    for i, line in enumerate(picture.texts):
        for k, box in enumerate(shapes):
            b = line.box
            if b[0] >= box[0] and b[2] <= box[2] and b[1] >= box[1] - 1 and b[3] <= box[3] + 1:
                inside[i] = k
    labels = [t.box for i, t in enumerate(picture.texts) if i not in inside]
    assert len(set(inside.values())) == len(inside)
    for a, b in itertools.combinations(shapes + labels, 2):
        assert not overlap(a, b), (a, b)
    for a in shapes + labels:
        assert a[0] >= 0 and a[1] >= 0 and a[2] <= picture.width and a[3] <= picture.height
    for line in picture.lines:
        points = np.array(list(points_of(line)))
        ends = points[[0, -1]]
        for box in shapes + labels:
            x, y = points.T
            touched = (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])
            if touched.any():  # only its own vertices, whose corners are round
                assert box in shapes
                near = [abs(e[0] - np.clip(e[0], box[0], box[2])) < 1 and box[1] - 1 < e[1] < box[3] + 1 for e in ends]
                assert any(near)
                assert (abs(x[touched] - ends[near.index(True)][0]) < 18).all()


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
def test_nothing_lies_on_anything_else(figure):
    assert_readable(graph.draw(*figure()))


@pytest.mark.parametrize("seed", range(60))
def test_nothing_lies_on_anything_else_in_random_graphs(seed):
    assert_readable(graph.draw(*random_graph(seed)))


def test_the_check_finds_what_lies_on_something():
    def spoiled_text(picture):
        picture.texts[-1].y = picture.texts[-2].y

    def spoiled_shape(picture):
        picture.shapes[0].x, picture.shapes[0].y = picture.texts[-1].x - 5, picture.texts[-1].y

    def spoiled_line(picture):
        line = picture.lines[0]
        line.pieces = [tuple((x, y - 12) for x, y in piece) for piece in line.pieces]

    for spoil in (spoiled_text, spoiled_shape, spoiled_line):
        picture = graph.draw(*EXAMPLE["sigmoid"]())
        assert_readable(picture)
        spoil(picture)
        with pytest.raises(AssertionError):
            assert_readable(picture)


@pytest.mark.parametrize("file", ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"])
def test_texts_are_measured_wide_enough(file):
    """DejaVu Sans is the widest of the fonts; in bold there are derivatives only."""
    font = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file))
    font.set_size(100, 72)
    for character in "0123456789.,()[] −e" + ("Bold" not in file) * string.printable[:95]:
        wide = font.load_char(ord(character)).linearHoriAdvance / 65536
        assert wide <= text.width(character, 100) + 0.5, character


# --- what it says ---------------------------------------------------------------------------


def arrows(out, names=None):
    """{(text of the source, of the target): [(above, below), ...]}"""
    read = reading.read(out, reading.named((names or {}).items()))
    found = {}
    for a in read.arrows:
        ends = tuple(read.vertices[v].text or read.vertices[v].kind for v in (a.source, a.target))
        found.setdefault(ends, []).append((a.above, a.below))
    return found


def test_apples_and_oranges_have_the_books_numbers():
    found = arrows(*EXAMPLE["apples_and_oranges"]())
    assert found == {
        ("apple", "×"): [("100", "2.2")],
        ("apples", "×"): [("2", "110")],
        ("orange", "×"): [("150", "3.3")],
        ("oranges", "×"): [("3", "165")],
        ("×", "+"): [("200", "1.1"), ("450", "1.1")],
        ("+", "×"): [("650", "1.1")],
        ("tax", "×"): [("1.1", "650")],
        ("×", "price"): [("715", "1")],
    }


def test_sigmoid_is_its_elementary_operations():
    found = arrows(*EXAMPLE["sigmoid"]())
    y = 1 / (1 + np.exp(-0.5))
    slope = text.number(y * (1 - y))
    assert found == {
        ("x", "×"): [("0.5", slope)],
        ("−1", "×"): [("", "")],
        ("×", "exp"): [("−0.5", "−" + slope)],
        ("exp", "+"): [("0.60653", text.number(-y * y))],
        ("1", "+"): [("", "")],
        ("+", "1/x"): [("1.6065", text.number(-y * y))],
        ("1/x", "y"): [("0.62246", "1")],
    }


def test_a_large_network_is_drawn_by_shapes():
    found = arrows(*EXAMPLE["two_layers"]())
    assert found["x", "dot"] == [("(100, 784)", "")]
    assert found["W1", "dot"] == [("(784, 50)", "(784, 50)")]
    assert found["b1", "+"] == [("(50,)", "(50,)")]
    assert found["+", "relu"] == [("(100, 50)", "(100, 50)")]
    ((value, below),) = found["mean", "loss"]
    assert float(value) > 0 and below == "1"


def test_a_value_that_is_used_again_forks_and_its_derivatives_add_up():
    found = arrows(*reused())
    assert found["x", "fork"] == [("3", "8")]
    assert found["fork", "×"] == [("3", "3"), ("3", "3"), ("3", "2")]
    assert found["2", "×"] == [("", "")]


def test_layers_are_drawn_by_their_names():
    found = arrows(*classifier())
    assert found["layers.0.weight", "linear"] == [("(5, 3)", "(5, 3)")]
    assert found["(70, 5)", "linear"] == [("", "")]
    assert found["log_softmax", "nll_loss"] == [("(70, 3)", "(70, 3)")]


@pytest.mark.parametrize(
    ("operation", "sign"),
    [
        (lambda x: -x, "−x"),
        (lambda x: 2 - x, "−"),
        (lambda x: 3 / x, "/"),
        (lambda x: x / 3, "/"),
        (lambda x: x.reciprocal(), "1/x"),
        (lambda x: x**2, "**2"),
        (lambda x: x**-0.5, "**−0.5"),
        (lambda x: 2**x, "**"),
        (lambda x: x.log(), "log"),
        (lambda x: x.reshape(1).sum(), "sum"),
        (lambda x: x.reshape(1).mean(0), "mean"),
        (lambda x: x.reshape(1) @ fastbp.ones(1), "dot"),
    ],
)
def test_operations_bear_their_symbols(operation, sign):
    x = number(2.0)
    out = operation(x)
    (below,) = [t for t in graph.draw(out, {"x": x}).texts if t.colour == BACKWARD][:1]
    read = reading.read(out, {})
    last = read.vertices[read.arrows[-1].source]
    assert last.text == sign
    out.backward()
    assert below.content == text.number(x.grad.item())


def test_quotient_of_a_number_keeps_the_order():
    x = number(2.0)
    read = reading.read(3 / x, {})
    assert [read.vertices[a.source].text for a in read.arrows] == ["3", "", "/"]
    assert [a.below for a in read.arrows] == ["", "−0.75", "1"]


@pytest.mark.parametrize("seed", range(20))
def test_inputs_whose_order_matters_come_from_above_in_that_order(seed):
    out, _ = random_graph(seed)
    read = reading.read(out, {})
    n = len(read.vertices)
    places = layout.place(read, [(30, 30)] * n, [(30, 30)] * len(read.arrows))
    checked = 0
    for v, vertex in enumerate(read.vertices):
        heights = [places.labels[i].y for i, a in enumerate(read.arrows) if a.target == v]
        if vertex.ordered and len(heights) > 1:
            assert heights == sorted(heights)
            checked += 1
    assert checked or not any(v.text in "−/" for v in read.vertices if v.kind == "operation")


@pytest.mark.parametrize("seed", range(5))
def test_arrows_lead_to_the_right(seed):
    for line in graph.draw(*random_graph(seed)).lines:
        x = [p[0] for p in points_of(line)]
        assert (np.diff(x) > -1e-6).all()


def test_a_result_and_a_constant_bear_their_names():
    x, t = number(2.0), fastbp.tensor(5.0)
    difference = x - t
    names = {"x": x, "t": t, "error": difference, "unused": number(1.0)}
    found = arrows(difference * difference, names)
    assert found["t", "−"] == [("5", "")]
    assert found["−", "fork"] == [("error = −3", "−6")]
    assert found["fork", "×"] == [("−3", "−3"), ("−3", "−3")]


def test_results_of_one_operation_are_told_apart():
    x = fastbp.tensor([3.0, 1.0, 2.0], requires_grad=True)
    values, _ = x.sort()
    a, b, c = values.unbind()
    found = arrows(a * b + c)
    assert found["input", "sort"] == [("[3, 1, 2]", "[1, 2, 1]")]
    assert_readable(graph.draw(a * b + c))


def test_gradient_of_several_elements_is_handed_in():
    x = fastbp.tensor([1.0, 2.0], requires_grad=True)
    picture = graph.draw(x * x, gradient=fastbp.tensor([1.0, 10.0]))
    assert "[2, 40]" in [t.content for t in picture.texts]


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (2.2, "2.2"),
        (110, "110"),
        (715.0000000000001, "715"),
        (0.1 + 0.2, "0.3"),
        (-0.0, "0"),
        (1234567.0, "1234567"),
        (12345678.0, "1.2346e7"),
        (123456.7, "1.2346e5"),
        (-1e-10, "−1e−10"),
        (1 / 3, "0.33333"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (-float("inf"), "−inf"),
        (True, "True"),
    ],
)
def test_numbers_are_short(value, short):
    assert text.number(value) == short


@pytest.mark.parametrize(
    ("array", "short"),
    [
        (np.float32(0.1), "0.1"),
        ([[2.0]], "2"),
        ([1, 2], "[1, 2]"),
        ([[1, 2], [3, 4]], "[[1, 2], [3, 4]]"),
        (np.full(4, 0.123456), "[0.123, 0.123, 0.123, 0.123]"),
        ([0.090031, 0.244728, -0.334758], "[0.09, 0.245, −0.335]"),
        (-np.full((2, 2), 0.123456), "(2, 2)"),
        (np.full(5, 0.123456), "(5,)"),
        (np.ones((3, 0)), "(3, 0)"),
        (np.ones((100, 50)), "(100, 50)"),
    ],
)
def test_arrays_are_numbers_or_shapes(array, short):
    assert text.numbers(array) == short


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (lambda x, t: F.cross_entropy(x, t), "cross_entropy"),
        (lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1), "cross_entropy"),
        (lambda x, t: F.cross_entropy(x, t, reduction="none").sum(), "cross_entropy"),
        (lambda x, t: F.cross_entropy(x[:, :, None], t[:, None]), "cross_entropy"),
        (lambda x, t: F.cross_entropy(x, fastbp.ones(3, 4) / 4), "cross_entropy"),
        (lambda x, t: F.cross_entropy(x, fastbp.ones(3, 4) / 4, reduction="sum"), "cross_entropy"),
        (lambda x, t: F.nll_loss(x, t), "nll_loss"),
        (lambda x, t: F.nll_loss(x, t, reduction="sum"), "nll_loss"),
        (lambda x, t: F.nll_loss(x[:, :, None], t[:, None]), "nll_loss"),
        (lambda x, t: F.l1_loss(x, fastbp.ones(3, 4)), "l1_loss"),
        (lambda x, t: F.l1_loss(x, fastbp.ones(3, 4), reduction="sum"), "l1_loss"),
        (lambda x, t: F.l1_loss(x, fastbp.ones(3, 4), reduction="none").mean(), "l1_loss"),
        (lambda x, t: F.mse_loss(x, fastbp.ones(3, 4)), "mse_loss"),
    ],
)
def test_losses_bear_their_own_names(loss, name):
    x = fastbp.tensor([[1.0, 2.0, 0.5, 0.1], [0.3, 0.2, 4.0, 1.0], [0.0, 1.0, 2.0, 3.0]], requires_grad=True)
    names = [text.content for text in graph.draw(loss(x, fastbp.tensor([0, 1, 2]))).texts]
    assert name in names and not {"nll_loss", "nll_loss2d", "abs", "/"}.difference({name}) & set(names)


def test_scores_of_a_softmax_show_their_derivative():
    x = fastbp.tensor([[0.0, 1.0, 2.0]], requires_grad=True)
    assert "[[0.09, −0.755, 0.665]]" in [
        text.content for text in graph.draw(F.cross_entropy(x, fastbp.tensor([1]))).texts
    ]


# --- wide graphs are broken into rows -------------------------------------------------------


def sines(n):
    x = y = number(1.0)
    for _ in range(n):
        y = fastbp.sin(y)
    return y, {"x": x}


def numbered(picture):
    """{number: (left end of a row, right end)} of circles."""
    at = {}
    for text_ in picture.texts:
        if text_.size == wrapping.LETTERS:
            at.setdefault(text_.content, []).append((text_.x, text_.y))
    return at


def test_a_long_chain_is_broken_into_rows():
    picture = graph.draw(*sines(120))
    assert picture.width < 1650 and picture.height < 1600
    assert_readable(picture)
    assert sum(text_.content == "sin" for text_ in picture.texts) == 120
    marks = numbered(picture)
    assert list(marks) == [str(k) for k in range(1, len(marks) + 1)] and len(marks) > 9
    for (x, y), (goes_on_at, lower) in marks.values():
        assert x > 700 and goes_on_at < 100 and lower > y


def test_an_arrow_over_several_rows_has_one_pair_of_circles():
    x = y = number(1.0)
    for _ in range(60):
        y = fastbp.sin(y)
    picture = graph.draw(y + x)
    assert_readable(picture)
    assert {len(ends) for ends in numbered(picture).values()} == {2}
    assert sum(lower - y > 300 for (_, y), (_, lower) in numbered(picture).values()) == 1  # that of x


def test_a_graph_that_fits_is_one_row():
    assert not numbered(graph.draw(*sines(8)))


# --- a network and a sample -----------------------------------------------------------------


def test_a_network_is_drawn_with_a_sample():
    net = fastbp.nn.Sequential(fastbp.nn.Linear(4, 5), fastbp.nn.Dropout(0.5), fastbp.nn.ReLU(), fastbp.nn.Linear(5, 1))
    sample = np.ones((2, 4))
    picture = graph.draw(net, input=sample)
    texts = [text_.content for text_ in picture.texts]
    assert {"x", "0.weight", "0.bias", "3.weight", "3.bias", "linear", "relu", "y", "[[1], [1]]"} <= set(texts)
    assert net.training and all(p.grad is None for p in net.parameters()) and sample.sum() == 8
    assert_readable(picture)
    t = fastbp.tensor(sample, dtype=fastbp.float32)
    assert graph.draw(net, input=t).to_svg() == picture.to_svg() and not t.requires_grad
    named = graph.draw(net, {"pixels": t}, input=t)
    assert "pixels" in [text_.content for text_ in named.texts]


# --- what it leaves alone -------------------------------------------------------------------


def test_gradients_and_the_graph_are_left_as_they_are():
    x, w = number(2.0), number(3.0)
    y = x * w
    y.retain_grad()
    x.grad = fastbp.tensor(7.0)
    out = y * y
    first = graph.draw(out, {"x": x}).to_svg()
    assert x.grad.item() == 7 and w.grad is None and y.grad is None
    assert graph.draw(out, {"x": x}).to_svg() == first
    out.backward()
    assert x.grad.item() == 7 + 36 and w.grad.item() == 24 and y.grad.item() == 12


# --- names ----------------------------------------------------------------------------------


def test_names_come_in_any_form():
    out, names = EXAMPLE["apples_and_oranges"]()
    want = graph.draw(out, names).to_svg()
    for form in ({t: n for n, t in names.items()}, list(names.items()), iter(names.items())):
        assert graph.draw(out, form).to_svg() == want


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: graph.draw(3.0), TypeError, "draw expects out as a Tensor or a network; got 3.0"),
        (lambda x: graph.draw(x), RuntimeError, "got a tensor without a graph."),
        (lambda x: graph.draw((x * 2).detach()), RuntimeError, "got a tensor without a graph."),
        (lambda x: graph.draw(x * fastbp.ones(3)), RuntimeError, r"got out of shape \(3,\)."),
        (
            lambda x: graph.draw(x * x, [("x", x), ("x", fastbp.ones(1))]),
            ValueError,
            "each name once in names; got 'x' and 'x' for two tensors.",
        ),
        (
            lambda x: graph.draw(x * x, {"x": x, "z": x}),
            ValueError,
            "each tensor once in names; got 'x' and 'z' for one tensor.",
        ),
        (lambda x: graph.draw(x * x, {"x": 3.0}), TypeError, "a str and a Tensor; got"),
        (lambda x: graph.draw(x * x, ["x"]), TypeError, "a str and a Tensor; got 'x'."),
        (lambda x: graph.draw(x * x, {"x\0": x}), ValueError, r"names that XML can hold; got 'x\\x00'\."),
        (lambda x: graph.draw(x * x, {"\ud800": x}), ValueError, r"got '\\ud800'\."),
        (
            lambda x: graph.draw(x * x, path="x.jpg"),
            ValueError,
            "draw expects path to end in .svg, .png or .dot; got 'x.jpg'.",
        ),
        (
            lambda x: graph.draw(x * x).save("picture"),
            ValueError,
            "save expects path to end in .svg, .png or .dot; got 'picture'.",
        ),
    ],
)
def test_bad_calls_are_refused_in_a_sentence(call, kind, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message) as error:
        call(number(2.0))
    assert str(error.value).endswith(".")
    assert not list(tmp_path.iterdir())


def test_a_freed_graph_is_named():
    x = number(2.0)
    y = x * x
    out = y * 3
    out.backward()
    for freed in (out, y + x):
        with pytest.raises(RuntimeError, match=r"draw expects a graph .* backward has freed"):
            graph.draw(freed)


def test_too_large_a_graph_is_refused():
    x = y = number(1.0)
    for _ in range(reading.MOST + 1):
        y = y + x
    with pytest.raises(ValueError, match="at most 1000 operations"):
        graph.draw(y)


def test_a_value_changed_in_place_is_named():
    x = number(2.0)
    y = x * 1
    out = y * y
    with fastbp.no_grad():
        y += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        graph.draw(out)


# --- files ----------------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"


def test_svg_has_values_above_and_derivatives_below_in_another_colour_and_weight():
    root = ElementTree.fromstring(graph.draw(*EXAMPLE["apples_and_oranges"]())._repr_svg_())
    texts = {t.text: t for t in root.iter(f"{SVG}text")}
    above, below = texts["650"], texts["715"]
    assert above.get("fill") != BACKWARD or above.get("font-weight") == "bold"
    derivative, value = texts["2.2"], texts["100"]
    assert float(derivative.get("y")) > float(value.get("y"))
    assert derivative.get("fill") == BACKWARD != value.get("fill")
    assert derivative.get("font-weight") == "bold" and value.get("font-weight") is None
    assert below.get("font-weight") is None


def test_names_are_escaped():
    x = number(2.0)
    picture = graph.draw(x * 2, {'<"&\\>': x})
    texts = [t.text for t in ElementTree.fromstring(picture.to_svg()).iter(f"{SVG}text")]
    assert '<"&\\>' in texts
    assert 'label="<\\"&\\\\>"' in picture.to_dot()


def test_wide_characters_have_room():
    apple, tax = number(100.0), number(1.1)
    names = {"苹果的价格": apple, "消费税": tax}
    assert_readable(graph.draw(apple * tax, names))


def test_dot_has_every_vertex_and_arrow():
    dot = graph.draw(*EXAMPLE["sigmoid"]()).to_dot()
    assert dot.startswith("digraph {\n  rankdir=LR") and dot.endswith("}\n")
    assert dot.count("->") == 7 and dot.count("shape=circle") == 4
    assert f'[label=<0.5<br/><font color="{BACKWARD}"><b>0.235</b></font>>]' in dot


def test_files_are_written_by_their_ends(tmp_path):
    out, names = EXAMPLE["two_layers"]()
    for name in ("graph.svg", "graph.PNG", "graph.dot"):
        graph.draw(out, names, tmp_path / name)
    picture = graph.draw(out, names)
    picture.save(bytes(tmp_path / "bytes.svg"))
    assert (tmp_path / "bytes.svg").read_text("utf-8") == picture.to_svg()
    assert (tmp_path / "graph.svg").read_text("utf-8") == picture.to_svg()
    assert (tmp_path / "graph.dot").read_text("utf-8") == picture.to_dot()
    pixels = image.imread(tmp_path / "graph.PNG", format="png")[..., :3]
    assert pixels.shape[1] == pytest.approx(2 * picture.width, abs=2)
    assert (pixels == 1).all(axis=-1).mean() > 0.7
    red = np.array([int(BACKWARD[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    assert (np.abs(pixels - red).max(axis=-1) < 0.02).sum() > 500


def test_png_without_matplotlib_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    picture = graph.draw(*reused())
    with pytest.raises(ImportError, match=r"A picture as PNG needs matplotlib, which pip install"):
        picture.save(tmp_path / "graph.png")
    assert not list(tmp_path.iterdir())


def test_the_documentation_shows_what_the_example_draws(tmp_path, capsys):
    EXAMPLE["main"](["--out", str(tmp_path)])
    assert len(capsys.readouterr().out.splitlines()) == 3
    for path in tmp_path.iterdir():
        assert (ROOT / "docs" / path.name).read_text("utf-8") == path.read_text("utf-8")


def test_drawing_is_loaded_when_touched(run_python):
    code = (
        "import sys, fastbp; assert 'fastbp.graph' not in sys.modules; fastbp.graph.draw; "
        "assert 'matplotlib' not in sys.modules"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
