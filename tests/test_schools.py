"""The pages of docs/schools: each adapter beside the school's own formulas in NumPy, and the tables."""
# ruff: noqa: NPY002  (the schools draw from NumPy's global generator)

import json
import random
import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import fastbp

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

pytest.importorskip("threadpoolctl")

from bench import measure, report, schools  # noqa: E402
from bench.in_numpy import dezero, micrograd, ng, nielsen, nnfs  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)
    random.seed(0)


def adapter(page):
    return schools.adapter(page)


# --- Nielsen ------------------------------------------------------------------------------------


def nielsens(sizes):
    """The adapter's network and his, of the same numbers."""
    ours, theirs = adapter("nielsen")["Network"](sizes), nielsen.Network(sizes)
    for k in range(len(sizes) - 1):
        theirs.weights[k] = ours.layers[2 * k].W.T.copy()
        theirs.biases[k] = ours.layers[2 * k].b.reshape(-1, 1).copy()
    return ours, theirs


@pytest.mark.parametrize("batch", [10, 7])
@pytest.mark.parametrize("sizes", [[6, 5, 3], [6, 4, 5, 2]], ids=str)
def test_nielsens_network_trains_by_his_numbers(sizes, batch, capsys):
    ours, theirs = nielsens(sizes)
    digits = np.random.randint(sizes[-1], size=32)
    data = [(np.random.randn(6, 1), np.eye(sizes[-1])[:, [d]]) for d in digits]
    copies = [(x.copy(), y.copy()) for x, y in data]
    test_data = ((x, d) for (x, _), d in zip(data, digits, strict=True))
    ours.SGD(iter(data), 3, batch, 3.0, test_data=test_data, shuffle=False)
    theirs.SGD(data, 3, batch, 3.0, shuffle=False)
    for k in range(len(sizes) - 1):
        np.testing.assert_allclose(ours.layers[2 * k].W.T, theirs.weights[k], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.layers[2 * k].b.reshape(-1, 1), theirs.biases[k], rtol=1e-9, atol=1e-12)
    x = np.hstack([x for x, _ in data])
    np.testing.assert_allclose(ours.feedforward(x), theirs.feedforward(x), rtol=1e-9)
    hits = np.sum(theirs.feedforward(x).argmax(axis=0) == digits)
    assert capsys.readouterr().out.splitlines()[-1] == f"Epoch 2 : {hits} / 32"
    for (x, y), (x_before, y_before) in zip(data, copies, strict=True):
        assert (x == x_before).all() and (y == y_before).all()


@pytest.mark.parametrize("sizes", [[6, 5, 3]], ids=str)
def test_nielsens_cross_entropy_is_as_the_page_says(sizes):
    """Without the last Sigmoid, by the rate eta * n_out; his delta is then a - y."""
    ours, theirs = nielsens(sizes)
    net = fastbp.Sequential(*ours.layers[:-1], loss="sigmoid_cross_entropy")
    X, Y = np.random.randn(10, 6), np.eye(3)[np.random.randint(3, size=10)]
    net.fit(X, Y, epochs=1, batch_size=10, optimizer=fastbp.SGD(lr=0.7 * Y.shape[1]), shuffle=False)
    a1 = nielsen.sigmoid(theirs.weights[0] @ X.T + theirs.biases[0])
    delta = (nielsen.sigmoid(theirs.weights[1] @ a1 + theirs.biases[1]) - Y.T) / 10
    np.testing.assert_allclose(net.layers[2].W.T, theirs.weights[1] - 0.7 * delta @ a1.T, rtol=1e-9)


# --- Ng -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray], ids="CF")
def test_ngs_functions(activation, layout):
    names = adapter("ng")
    A_prev, W, b, dA = (np.random.randn(*shape) for shape in ((4, 7), (3, 4), (3, 1), (3, 7)))
    A_prev = layout(A_prev)
    for array in (A_prev, W, b, dA):
        array.flags.writeable = False
    A, cache = names["linear_activation_forward"](A_prev, W, b, activation)
    expected, their_cache = ng.linear_activation_forward(A_prev, W, b, activation)
    np.testing.assert_allclose(A, expected, rtol=1e-12, atol=1e-14)
    got = names["linear_activation_backward"](dA, cache, activation)
    for each, other in zip(got, ng.linear_activation_backward(dA, their_cache, activation), strict=True):
        assert each.shape == other.shape
        np.testing.assert_allclose(each, other, rtol=1e-10, atol=1e-14)


def ngs_parameters(dims):
    parameters = {}
    for k, (n_in, n_out) in enumerate(pairwise(dims), start=1):
        parameters[f"W{k}"] = np.random.randn(n_out, n_in)
        parameters[f"b{k}"] = np.random.randn(n_out, 1)
    return parameters


def test_ngs_iterations_by_functions_and_by_a_compiled_network():
    names = adapter("ng")
    blocks = re.findall(r"^```python\n(.*?)^```$", (schools.PAGES / "ng.md").read_text("utf-8"), re.M | re.S)
    (block,) = [block for block in blocks if "def network_of" in block]
    exec(block.partition("\nnetwork = ")[0], names)
    parameters = ngs_parameters([5, 4, 3, 1])
    ours = {name: array.copy() for name, array in parameters.items()}
    network = names["network_of"](parameters)
    X, Y = np.random.randn(5, 20), np.random.randint(2, size=(1, 20)).astype(float)
    functions = names["linear_activation_forward"], names["linear_activation_backward"]
    for _ in range(5):
        assert network.loss(X.T, Y.T) == pytest.approx(ng.step(X, Y, parameters, 0.3), rel=1e-10)
        ng.step(X, Y, ours, 0.3, *functions)
        network.fit(X.T, Y.T, epochs=1, batch_size=20, optimizer=fastbp.SGD(lr=0.3), shuffle=False)
    for got in (ours, names["parameters_of"](network)):
        assert got.keys() == parameters.keys()
        for name, array in parameters.items():
            assert got[name].shape == array.shape
            np.testing.assert_allclose(got[name], array, rtol=1e-8, atol=1e-11)


# --- nnfs ---------------------------------------------------------------------------------------


def nnfs_pair(*sizes):
    """Layers of the adapter and of the book, of the same numbers."""
    names = adapter("nnfs")
    ours, theirs = [], []
    for n_in, n_out in pairwise(sizes):
        dense, other = names["Layer_Dense"](n_in, n_out), nnfs.Layer_Dense(n_in, n_out)
        dense.weights *= 50
        other.weights, other.biases = dense.weights.copy(), dense.biases.copy()
        ours += [dense, names["Activation_ReLU"]()]
        theirs += [other, nnfs.Activation_ReLU()]
    return names, ours[:-1], theirs[:-1]


def test_nnfs_layers_leave_the_books_attributes():
    _, ours, theirs = nnfs_pair(4, 6, 3)
    x, dvalues = np.random.randn(8, 4), np.random.randn(8, 3)
    for layers in (ours, theirs):
        out = x
        for layer in layers:
            assert layer.forward(out) is None
            out = layer.output
        back = dvalues
        for layer in reversed(layers):
            layer.backward(back)
            back = layer.dinputs
    for layer, other in zip(ours, theirs, strict=True):
        for name in ("output", "dinputs", *(("dweights", "dbiases") if hasattr(other, "weights") else ())):
            got, expected = getattr(layer, name), getattr(other, name)
            assert got.shape == expected.shape
            np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


def test_nnfs_weights_train_in_place():
    _, (dense,), _ = nnfs_pair(4, 3)
    x = np.random.randn(5, 4)
    layer = dense.layer
    W, b = layer.W, layer.b
    dense.weights -= 1.0
    dense.biases -= 2.0
    assert layer.W is W and np.shares_memory(layer.b, b)
    dense.forward(x)
    np.testing.assert_allclose(dense.output, x @ dense.weights + dense.biases, rtol=1e-12)


def test_nnfs_weights_may_be_other_arrays():
    _, (dense,), _ = nnfs_pair(4, 3)
    x, weights, biases = np.random.randn(5, 4), np.random.randn(4, 3), np.random.randn(1, 3)
    dense.weights, dense.biases = weights, biases
    dense.forward(x)
    np.testing.assert_allclose(dense.output, x @ weights + biases, rtol=1e-12)
    assert not hasattr(adapter("nnfs")["Activation_ReLU"](), "weights")


def test_nnfs_layers_train_compiled_by_the_books_numbers():
    _, ours, theirs = nnfs_pair(4, 6, 3)
    X, y = np.random.randn(30, 4), np.arange(30) % 3
    net = fastbp.Sequential(*(layer.layer for layer in ours), loss="softmax_cross_entropy")
    rule = fastbp.Adam(lr=0.01, eps=1e-7)
    history = net.fit(X, y, epochs=20, batch_size=30, optimizer=rule, validation_data=(X, y))
    loss, adam = nnfs.Activation_Softmax_Loss_CategoricalCrossentropy(), nnfs.Optimizer_Adam(learning_rate=0.01)
    losses = [nnfs.step(theirs, loss, adam, X, y) for _ in range(20)]
    np.testing.assert_allclose(history.train_loss, losses, rtol=1e-6)
    for layer, other in zip(ours[::2], theirs[::2], strict=True):
        np.testing.assert_allclose(layer.weights, other.weights, rtol=1e-6, atol=1e-8)


# --- micrograd ----------------------------------------------------------------------------------


def test_micrograds_networks_of_numbers_and_of_matrices():
    names = adapter("micrograd")
    made = []
    for value in (micrograd.Value, names["Value"]):
        random.seed(3)
        made.append(micrograd.MLP(3, [4, 4, 1], value))
    theirs, ours = made
    net = names["MLP"](3, [4, 4, 1])
    for linear, layer in zip([part for part in net if hasattr(part, "weight")], theirs.layers, strict=True):
        linear.weight.data = fastbp.tensor([[w.data for w in neuron.w] for neuron in layer], dtype=fastbp.float64)
        linear.bias.data = fastbp.tensor([neuron.b.data for neuron in layer], dtype=fastbp.float64)
    rows, targets = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5]], [1.0, -1.0]
    for mlp in made:
        loss = sum((mlp(row) - target) ** 2 for row, target in zip(rows, targets, strict=True))
        loss.backward()
    expected = [p.grad for p in theirs.parameters()]
    np.testing.assert_allclose([p.grad.item() for p in ours.parameters()], expected, rtol=1e-10, atol=1e-13)
    xs = fastbp.tensor(rows, dtype=fastbp.float64)
    ((net(xs) - fastbp.tensor([[t] for t in targets], dtype=fastbp.float64)) ** 2).sum().backward()
    weights = [part for part in net if hasattr(part, "weight")]
    got = []
    for linear in weights:
        for row, bias in zip(linear.weight.grad.numpy(), linear.bias.grad.numpy(), strict=True):
            got += [*row, bias]
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: (a + b) * a - b / a,
        lambda a, b: (a * 3 + 2 * b - 1).tanh() + (1 - a).relu(),
        lambda a, b: (a * b).exp() / b + (-a) ** 3 + 10.0 / b,
    ],
    ids=["arithmetic", "functions", "powers"],
)
def test_micrograds_expressions(f):
    value = adapter("micrograd")["Value"]
    (a, b), (c, d) = (micrograd.Value(0.7), micrograd.Value(-1.3)), (value(0.7), value(-1.3))
    theirs, ours = f(a, b), f(c, d)
    theirs.backward()
    ours.backward()
    assert ours.item() == pytest.approx(theirs.data, rel=1e-13)
    assert (c.grad.item(), d.grad.item()) == pytest.approx((a.grad, b.grad), rel=1e-12)


# --- DeZero -------------------------------------------------------------------------------------


def test_dezeros_model_trains_by_its_numbers():
    names = adapter("dezero")

    class TwoLayerNet(names["Model"]):
        def __init__(self):
            super().__init__()
            self.l1, self.l2 = names["Linear"](5, 2), names["Linear"](3, 5)

        def forward(self, x):
            return self.l2(names["F"].sigmoid(self.l1(x)))

    model = TwoLayerNet()
    optimizer = names["SGD"](lr=0.1).setup(model)
    assert isinstance(optimizer, names["SGD"])
    layers = []
    for linear in (model.l1, model.l2):
        layers.append(dezero.Linear(*linear.W.shape, linear.W.copy()))
        layers[-1].b.data[...] = linear.b
    x, y = np.random.randn(9, 2), np.random.randn(9, 3)
    for _ in range(5):
        loss = names["F"].mean_squared_error(fastbp.tensor(y), model(fastbp.tensor(x)))
        model.cleargrads()
        loss.backward()
        optimizer.update()
        theirs = dezero.step(layers, dezero.Variable(x), dezero.Variable(y), 0.1)
        assert loss.item() == pytest.approx(theirs.data, rel=1e-12)
    for linear, layer in zip((model.l1, model.l2), layers, strict=True):
        np.testing.assert_allclose(linear.W, layer.W.data, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(linear.b, layer.b.data, rtol=1e-10, atol=1e-13)


# --- the tables ---------------------------------------------------------------------------------


def test_every_page_has_its_school_and_every_school_its_page():
    assert {path.stem for path in schools.PAGES.glob("*.md")} == set(schools.SCHOOLS)
    for page in schools.SCHOOLS:
        lines = (schools.PAGES / f"{page}.md").read_text("utf-8").count("\n")
        assert 60 <= lines <= 170


def test_adapters_are_short():
    """A class's names and the lines that join them to the library's."""
    for page in schools.SCHOOLS:
        block = schools.FIRST_BLOCK.search((schools.PAGES / f"{page}.md").read_text("utf-8"))[1]
        assert len([line for line in block.splitlines() if line.strip()]) <= 21


def test_both_sides_of_every_workload_run():
    """Once each, in this process; the digits are another's."""
    for page, of in schools.SCHOOLS.items():
        if page == "micrograd":  # whose own is plain Python, and slow
            continue
        for name, school, ours in of():
            if "12288" not in name and "the same by" not in name:
                school()
                ours()


def test_the_pages_have_the_digits_of_the_stored_run():
    if not schools.RESULTS.exists():
        pytest.skip("no run is stored")
    results = json.loads(schools.RESULTS.read_text("utf-8"))
    assert results["machine"]["held"] == [] and measure.described(results["machine"])
    for page in schools.SCHOOLS:
        text = (schools.PAGES / f"{page}.md").read_text("utf-8")
        assert f"{report.BEGIN}\n{schools.markdown(results, page)}\n{report.END}" in text, "python -m bench.schools"


def test_a_table_is_written_between_the_comments(tmp_path, monkeypatch):
    about = {
        "processor": "a",
        "threads": 1,
        "date": "2026-01-01",
        "python": "3",
        "fastbp": "0",
        "instruction_set": "v3",
    }
    about |= {"versions": {"NumPy": "2"}, "kernels": {"NumPy": "b"}, "held": []}
    rows = [{"page": page, "name": "w", "school": 3e-3, "fastbp": 1e-3} for page in schools.SCHOOLS]
    stored = tmp_path / "run.json"
    stored.write_text(json.dumps({"machine": about, "rows": rows}), "utf-8")
    for page in schools.SCHOOLS:
        (tmp_path / f"{page}.md").write_text("# Page\n\n<!-- speed:begin -->\nold\n<!-- speed:end -->\nrest\n", "utf-8")
    monkeypatch.setattr(schools, "PAGES", tmp_path)
    schools.main(["--from", str(stored), "--write"])
    text = (tmp_path / "ng.md").read_text("utf-8")
    assert "| w | 3.00 ms | 1.00 ms | 3.00 |" in text and "old" not in text and text.endswith("rest\n")
    with pytest.raises(SystemExit):
        schools.main(["--write", "--only", "ng"])
