"""`fastbp.cs231n`, held to the course's formulas in NumPy, and a student's file with one import exchanged."""
# ruff: noqa: NPY002  (the course draws from NumPy's global generator)

import copy
import pickle
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import students_fc_net

import fastbp
from fastbp.cs231n import gradient_check, layer_utils, layers, optim, solver
from fastbp.cs231n.classifiers import fc_net
from fastbp.cs231n.classifiers.fc_net import FullyConnectedNet, TwoLayerNet
from fastbp.cs231n.gradient_check import eval_numerical_gradient, eval_numerical_gradient_array, rel_error
from fastbp.cs231n.solver import Solver

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from bench.in_numpy import cs231n as twin  # noqa: E402

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    return request.param


def same(got, expected, dtype):
    """Arrays, numbers, and tuples of them."""
    if isinstance(expected, tuple | list):
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            same(g, e, dtype)
        return
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE[dtype] * scale)
    if isinstance(expected, np.ndarray):
        assert got.dtype == dtype and got.shape == expected.shape


def frozen(*arrays):
    """The arrays, of which none can be written to."""
    for array in arrays:
        array.flags.writeable = False
    return arrays


def drawn(*shapes, dtype):
    return frozen(*(np.random.randn(*shape).astype(dtype) for shape in shapes))


# --- layers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 6), (4, 2, 3), (4, 1, 2, 3), (1, 6), (0, 6)], ids=str)
def test_affine(shape, dtype):
    x, w, b, dout = drawn(shape, (6, 5), (5,), (shape[0], 5), dtype=dtype)
    (out, cache), (expected, twins_cache) = layers.affine_forward(x, w, b), (x.reshape(len(x), 6) @ w + b, (x, w, b))
    same(out, expected, dtype)
    assert all(kept is given for kept, given in zip(cache, twins_cache, strict=True))
    expected = (dout @ w.T).reshape(shape), x.reshape(len(x), 6).T @ dout, dout.sum(axis=0)
    same(layers.affine_backward(dout, cache), expected, dtype)


def test_affine_takes_other_layouts_and_dtypes():
    x, w, b = np.random.randn(8, 6), np.random.randn(6, 5), np.random.randn(5)
    expected = x @ w + b
    for other in (x[::-1][::-1], np.asfortranarray(x), x.astype(">f8"), x.tolist()):
        same(layers.affine_forward(other, w, b)[0], expected, "float64")
    same(layers.affine_forward(x, np.asfortranarray(w), b.tolist())[0], expected, "float64")
    whole = np.arange(30).reshape(6, 5)
    out, cache = layers.affine_forward(x, whole, np.arange(5))
    same(out, x @ whole + np.arange(5), "float64")
    same(layers.affine_backward(np.ones((8, 5)), cache)[1], x.T @ np.ones((8, 5)), "float64")
    images = np.random.randint(0, 256, (3, 2, 3), np.uint8)
    same(layers.affine_forward(images, w, b)[0], images.reshape(3, 6) @ w + b, "float64")
    assert layers.affine_forward(x, w.astype("f4"), b.astype("f4"))[0].dtype == np.float32


@pytest.mark.parametrize("shape", [(4, 6), (7,), (2, 3, 4), (0, 3)], ids=str)
def test_relu(shape, dtype):
    x, dout = drawn(shape, shape, dtype=dtype)
    out, cache = layers.relu_forward(x)
    same(out, np.maximum(x, 0), dtype)
    assert cache is x
    same(layers.relu_backward(dout, cache), dout * (x > 0), dtype)
    same(layers.relu_backward(dout.T, x.T), (dout * (x > 0)).T, dtype)


@pytest.mark.parametrize("loss", ["softmax_loss", "svm_loss"])
@pytest.mark.parametrize("labels", [np.int64, np.int32, np.uint8, list], ids=lambda kind: kind.__name__)
def test_losses(loss, labels, dtype):
    (x,) = drawn((50, 7), dtype=dtype)
    y = np.random.randint(7, size=50)
    given = y.tolist() if labels is list else y.astype(labels)
    same(getattr(layers, loss)(x, given), getattr(twin, loss)(x, y), dtype)
    if dtype == "float64":
        x = x.copy()
        numeric = eval_numerical_gradient(lambda x: getattr(layers, loss)(x, y)[0], x, verbose=False)
        assert rel_error(numeric, getattr(layers, loss)(x, y)[1]) < 1e-7


def test_softmax_loss_of_large_scores_is_exact():
    loss, dx = layers.softmax_loss(np.array([[1000.0, 0.0]]), np.array([1]))
    assert loss == 1000 and dx.tolist() == [[1.0, -1.0]]


def test_batchnorm(dtype):
    gamma, beta, dout = drawn((5,), (5,), (8, 5), dtype=dtype)
    ours, theirs = ({"mode": "train", "momentum": 0.8, "eps": 1e-4} for _ in range(2))
    for _ in range(3):
        (x,) = drawn((8, 5), dtype=dtype)
        before = {name: (array, array.copy()) for name, array in ours.items() if name.startswith("running")}
        (out, cache), (expected, twins_cache) = (
            kind.batchnorm_forward(3 * x + 1, gamma, beta, param) for kind, param in ((layers, ours), (twin, theirs))
        )
        same(out, expected, dtype)
        same(layers.batchnorm_backward(dout, cache), twin.batchnorm_backward(dout, twins_cache), dtype)
        same(layers.batchnorm_backward_alt(dout, cache), layers.batchnorm_backward(dout, cache), dtype)
        for name in ("running_mean", "running_var"):
            same(ours[name], theirs[name], dtype)
        for array, copied in before.values():  # new arrays in the place of those before
            np.testing.assert_array_equal(array, copied)
    ours["mode"] = theirs["mode"] = "test"
    kept = {name: array.copy() for name, array in ours.items() if name.startswith("running")}
    out, cache = layers.batchnorm_forward(x, gamma, beta, ours)
    same(out, twin.batchnorm_forward(x, gamma, beta, theirs)[0], dtype)
    for name, array in kept.items():
        np.testing.assert_array_equal(ours[name], array)
    std = np.sqrt(kept["running_var"] + dtype_of(dtype, 1e-4))
    x_hat = (x - kept["running_mean"]) / std
    expected = dout * gamma / std, (dout * x_hat).sum(axis=0), dout.sum(axis=0)
    same(layers.batchnorm_backward(dout, cache), expected, dtype)


def dtype_of(dtype, number):
    return np.dtype(dtype).type(number)


def test_layernorm(dtype):
    x, gamma, beta, dout = drawn((8, 5), (5,), (5,), (8, 5), dtype=dtype)
    (out, cache), (expected, twins_cache) = (kind.layernorm_forward(x, gamma, beta, {}) for kind in (layers, twin))
    same(out, expected, dtype)
    same(layers.layernorm_backward(dout, cache), twin.layernorm_backward(dout, twins_cache), dtype)


def test_dropout(dtype):
    x, dout = drawn((200, 50), (200, 50), dtype=dtype)
    param = {"mode": "train", "p": 0.3}
    out, (same_param, mask) = layers.dropout_forward(x, param)
    assert same_param is param and 0.28 < np.mean(mask != 0) < 0.32
    same(mask, np.where(mask != 0, 1 / dtype_of(dtype, 0.3), 0).astype(dtype), dtype)
    same(out, x * mask, dtype)
    same(layers.dropout_backward(dout, (param, mask)), dout * mask, dtype)
    again, _ = layers.dropout_forward(x, param)
    assert (again != out).any()
    np.random.seed(0)
    drawn((200, 50), (200, 50), dtype=dtype)
    np.testing.assert_array_equal(layers.dropout_forward(x, param)[0], out)  # np.random.seed holds
    seeded = [layers.dropout_forward(x, param | {"seed": 123})[0] for _ in range(2)]
    np.testing.assert_array_equal(*seeded)
    test, cache = layers.dropout_forward(x, {"mode": "test", "p": 0.3})
    assert test is x and layers.dropout_backward(dout, cache) is dout
    np.testing.assert_array_equal(layers.dropout_forward(x, {"mode": "train", "p": 1})[0], x)


@pytest.mark.parametrize(
    "name, sizes",
    [
        ("affine_relu", [(6, 5), (5,)]),
        ("affine_bn_relu", [(6, 5), (5,), (5,), (5,)]),
        ("affine_ln_relu", [(6, 5), (5,), (5,), (5,)]),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_gradient_checks_of_layers_in_a_row(name, sizes):
    forward, backward = (getattr(layer_utils, f"{name}_{way}") for way in ("forward", "backward"))
    x, dout = np.random.randn(4, 2, 3), np.random.randn(4, 5)
    arrays = [x, *(np.random.randn(*size) for size in sizes)]
    param = {"affine_relu": [], "affine_bn_relu": [{"mode": "train"}], "affine_ln_relu": [{}]}[name]

    def f(_):
        return forward(*arrays, *copy.deepcopy(param))[0]

    _, cache = forward(*arrays, *copy.deepcopy(param))
    for array, grad in zip(arrays, backward(dout, cache), strict=True):
        numeric = eval_numerical_gradient_array(f, array, dout)
        np.testing.assert_allclose(grad, numeric, rtol=0, atol=1e-7 * max(1, np.abs(numeric).max()))


@pytest.mark.parametrize("backend", ["compiled", "reference"])
def test_the_twins_of_the_kernels_serve_too(backend, dtype):
    x, w, b = drawn((4, 6), (6, 5), (5,), dtype=dtype)
    with fastbp.use(backend):
        out, cache = layer_utils.affine_bn_relu_forward(x, w, b, b, b, {"mode": "train"})
        grads = layer_utils.affine_bn_relu_backward(out, cache)
        next_w, _ = optim.adam(w, grads[1])
    expected, fc = twin.affine_forward(x, w, b)
    expected, bn = twin.batchnorm_forward(expected, b, b, {"mode": "train"})
    expected_out = np.maximum(expected, 0)
    same(out, expected_out, dtype)
    dn = expected_out * (expected > 0)
    dx, dgamma, dbeta = twin.batchnorm_backward(dn, bn)
    same(grads, (*twin.affine_backward(dx, fc), dgamma, dbeta), dtype)
    assert next_w.shape == w.shape


# --- update rules -------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [None, {}, {"learning_rate": 0.05}, {"learning_rate": 0.0}], ids=str)
@pytest.mark.parametrize("name", optim.__all__)
@pytest.mark.parametrize("shape", [(4, 5), (3,), (), (2, 3, 2)], ids=str)
def test_update_rules(name, shape, config, dtype):
    rule, twins_rule = getattr(optim, name), getattr(twin, name)
    ours, theirs = copy.deepcopy(config), copy.deepcopy(config)
    w = expected = np.random.randn(*shape) if shape else np.array(1.5)
    w = expected = np.asarray(w, dtype)
    for _ in range(5):
        dw = np.asarray(np.random.randn(*shape), dtype)
        given = w.copy()
        frozen(w, dw)
        for array in (ours or {}).values():
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
        (w_next, config_next), (expected, theirs) = rule(w, dw, ours), twins_rule(expected, dw, theirs)
        assert ours is None or config_next is ours
        np.testing.assert_array_equal(w, given)
        assert w_next is not w and w_next.dtype == dtype
        w, ours = w_next, config_next
        same(w, np.asarray(expected), dtype)
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            same(ours[key], value if np.ndim(value) == 0 else np.asarray(value), dtype)


def test_a_config_of_other_arrays_goes_on(dtype):
    """As the course's notebook hands in a velocity and reads the new one from its own dict."""
    w, dw, v = drawn((4, 5), (4, 5), (4, 5), dtype=dtype)
    config = {"learning_rate": 1e-3, "velocity": v}
    next_w, _ = optim.sgd_momentum(w, dw, config=config)
    velocity = 0.9 * v - dtype_of(dtype, 1e-3) * dw
    same(config["velocity"], velocity, dtype)
    same(next_w, w + velocity, dtype)


# --- networks -----------------------------------------------------------------------------------


def students(module):
    """The student's file with `module` in the place of fastbp.cs231n."""
    text = Path(students_fc_net.__file__).read_text()
    text = re.sub(r"from fastbp\.cs231n\.\w+ import \*", "from bench.in_numpy.cs231n import *", text)
    assert text.count("bench.in_numpy") == 2
    made = types.ModuleType(module)
    exec(compile(text, module, "exec"), vars(made))
    return made


NUMPY_FC_NET = students("students_fc_net_in_numpy")
KINDS = [None, "batchnorm", "layernorm"]


def nets(kind, dtype, reg=0.5, keep=1):
    """The package's network, the student's over it, and the student's over NumPy, of the same draws."""
    made = []
    for module in (fc_net, students_fc_net, NUMPY_FC_NET):
        np.random.seed(1)
        made.append(
            module.FullyConnectedNet(
                [7, 6],
                input_dim=12,
                num_classes=4,
                dropout_keep_ratio=keep,
                normalization=kind,
                reg=reg,
                weight_scale=0.3,
                dtype=np.dtype(dtype).type,
                seed=5,
            )
        )
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_fully_connected_nets_give_the_numbers_of_numpy(kind, dtype):
    X, y = np.random.randn(9, 3, 4), np.random.randint(4, size=9)
    frozen(X, y)
    ours, students_, expected = nets(kind, dtype)
    assert ours.params.keys() == expected.params.keys()
    for net in (ours, students_):
        for name, array in net.params.items():
            np.testing.assert_array_equal(array, expected.params[name])
            assert array.dtype == dtype
    loss, grads = expected.loss(X, y)
    for net in (ours, students_):
        frozen(*net.params.values())
        got, by_name = net.loss(X, y)
        assert got == pytest.approx(loss, rel=10 * TOLERANCE[dtype]) and by_name.keys() == grads.keys()
        for name, grad in grads.items():
            same(by_name[name], grad, dtype)
        same(net.loss(X), expected.loss(X), dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reg", [0.0, 3.14])
def test_gradient_check_of_fully_connected_nets_with_dropout(kind, reg):
    X, y = np.random.randn(5, 12), np.random.randint(4, size=5)
    for net in nets(kind, "float64", reg, keep=0.6)[:2]:
        for name in ("b1", "b2", "beta1", "beta2"):  # off the kinks, where all of a row is dropped
            if name in net.params:
                net.params[name] += np.random.rand(*net.params[name].shape)
        _, grads = net.loss(X, y)
        for name in net.params:
            numeric = eval_numerical_gradient(lambda _: net.loss(X, y)[0], net.params[name], verbose=False)  # noqa: B023
            np.testing.assert_allclose(grads[name], numeric, rtol=0, atol=1e-6 * max(1, np.abs(numeric).max()))


def test_two_layer_net():
    X, y = np.random.randn(6, 2, 3), np.random.randint(4, size=6)
    made = []
    for module in (fc_net, students_fc_net, NUMPY_FC_NET):
        np.random.seed(2)
        made.append(module.TwoLayerNet(input_dim=6, hidden_dim=5, num_classes=4, weight_scale=0.1, reg=0.3))
    loss, grads = made[2].loss(X, y)
    for net in made[:2]:
        assert net.loss(X, y)[0] == pytest.approx(loss, rel=1e-12)
        for name, grad in net.loss(X, y)[1].items():
            same(grad, grads[name], "float64")


# --- the solver ---------------------------------------------------------------------------------


def blobs(n=120, n_val=40):
    centres = 2 * np.random.randn(4, 12)
    y = np.arange(n + n_val) % 4
    X = centres[y] + np.random.randn(n + n_val, 12)
    return {"X_train": X[:n], "y_train": y[:n], "X_val": X[n:], "y_val": y[n:]}


def trained_in_numpy(model, data, rule, config, lr_decay, epochs, batch_size, samples):
    """The course's loop, in the order of its draws."""
    configs = {name: dict(config) for name in model.params}
    losses, train_acc, val_acc, best, best_params = [], [], [], -1, None
    per_epoch = len(data["X_train"]) // batch_size

    def accuracy(X, y, some=None):
        if some is not None and len(X) > some:
            rows = np.random.choice(len(X), some)
            X, y = X[rows], y[rows]
        return np.mean(model.loss(X).argmax(axis=1) == y)

    for t in range(epochs * per_epoch):
        rows = np.random.choice(len(data["X_train"]), batch_size)
        loss, grads = model.loss(data["X_train"][rows], data["y_train"][rows])
        losses.append(loss)
        for name in model.params:
            model.params[name], configs[name] = rule(model.params[name], grads[name], configs[name])
        if (t + 1) % per_epoch == 0:
            for each in configs.values():
                each["learning_rate"] *= lr_decay
        if t == 0 or (t + 1) % per_epoch == 0:
            train_acc.append(accuracy(data["X_train"], data["y_train"], samples))
            val_acc.append(accuracy(data["X_val"], data["y_val"]))
            if val_acc[-1] > best:
                best, best_params = val_acc[-1], {name: w.copy() for name, w in model.params.items()}
    return losses, train_acc, val_acc, best_params


@pytest.mark.parametrize("rule", optim.__all__)
def test_solver_trains_as_the_course_does(rule):
    data = blobs()
    ours, students_, expected = nets("batchnorm", "float64", reg=0.01)
    np.random.seed(3)
    losses, train_acc, val_acc, params = trained_in_numpy(
        expected, data, getattr(twin, rule), {"learning_rate": 5e-3}, 0.9, 4, 30, 50
    )
    config = {"learning_rate": 5e-3}
    for net in (ours, students_):
        np.random.seed(3)
        done = Solver(
            net,
            data,
            update_rule=rule,
            optim_config=config,
            lr_decay=0.9,
            num_epochs=4,
            batch_size=30,
            num_train_samples=50,
            verbose=False,
        )
        done.train()
        assert config == {"learning_rate": 5e-3}
        np.testing.assert_allclose(done.loss_history, losses, rtol=1e-8)
        assert (done.train_acc_history, done.val_acc_history) == (train_acc, val_acc)
        assert done.best_val_acc == max(val_acc) and net.params is done.best_params
        for name, array in params.items():
            np.testing.assert_allclose(net.params[name], array, rtol=1e-7, atol=1e-9)


def test_solver_prints_and_writes_checkpoints(tmp_path, capsys):
    np.random.seed(4)
    net = TwoLayerNet(12, 10, 4, weight_scale=0.1)
    done = Solver(
        net,
        blobs(),
        update_rule="adam",
        optim_config={"learning_rate": 1e-2},
        num_epochs=3,
        batch_size=60,
        print_every=2,
        checkpoint_name=tmp_path / "net",
    )
    done.train()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"(Iteration 1 / 6) loss: {done.loss_history[0]:f}"
    assert sum(line.startswith("(Epoch ") for line in lines) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"net_epoch_{k}.pkl" for k in range(4)]
    kept = pickle.loads((tmp_path / "net_epoch_3.pkl").read_bytes())
    assert kept["epoch"] == 3 and kept["loss_history"] == done.loss_history
    assert kept["model"].params.keys() == net.params.keys()


def test_solver_gives_the_best_parameters_even_where_no_label_is_hit():
    """The course leaves the model without any, as no accuracy is above the 0 that it begins with."""
    data = blobs() | {"y_val": np.full(40, 3)}
    net = TwoLayerNet(12, 10, 4)
    net.params["b2"][:] = [9, 0, 0, 0]
    done = Solver(net, data, num_epochs=1, optim_config={"learning_rate": 0.0}, verbose=False)
    done.train()
    assert done.best_val_acc == 0 and sorted(net.params) == ["W1", "W2", "b1", "b2"]


def test_solver_takes_a_rule_and_a_model_of_ones_own():
    def halved(w, dw, config=None):
        return w / 2, config

    net = TwoLayerNet(12, 10, 4)
    before = net.params["W1"].copy()
    Solver(net, blobs(), update_rule=halved, num_epochs=1, batch_size=120, verbose=False).train()
    np.testing.assert_array_equal(net.params["W1"], before / 2)


def test_a_network_overfits_few_samples():
    data = blobs(50)
    for kind in KINDS:
        net = FullyConnectedNet([30, 30], 12, 4, normalization=kind, weight_scale=0.1, dropout_keep_ratio=0.9)
        done = Solver(net, data, update_rule="adam", num_epochs=20, batch_size=25, verbose=False)
        done.train()
        assert done.train_acc_history[-1] > 0.9


# --- numerical gradients ------------------------------------------------------------------------


def test_numerical_gradients_print_and_leave_x_as_it_was(capsys):
    x = np.array([[3.0, 4.0]])
    before = x.tobytes()
    grad = eval_numerical_gradient(lambda x: np.sum(x**3), x)
    np.testing.assert_allclose(grad, [[27, 48]], rtol=1e-8)
    assert capsys.readouterr().out.splitlines() == [f"(0, {k}) {grad[0, k]}" for k in range(2)]
    df = np.array([[2.0, -1.0]])
    grad = eval_numerical_gradient_array(lambda x: 1e6 + x**2, x, df)
    np.testing.assert_allclose(grad, 2 * x * df, rtol=1e-4)
    assert x.tobytes() == before
    assert rel_error(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0


# --- bad input ----------------------------------------------------------------------------------

X, W, B, Y = np.ones((5, 4)), np.ones((4, 3)), np.ones(3), np.array([0, 1, 2, 2, 0])
CACHE = layers.affine_forward(X, W, B)[1]
DATA = {"X_train": X, "y_train": Y, "X_val": X, "y_val": Y}
SMALL = TwoLayerNet(4, 3, 3)
BAD = {
    "layers.affine_forward(X, W.T, B)": "affine_forward expects b of shape",
    "layers.affine_forward(X[:, :3], W, B)": "as w is (4, 3); got (5, 3)",
    "layers.affine_forward(np.float64(1), W, B)": "expects x of shape",
    "layers.affine_forward(None, W, B)": "expects x as an array",
    "layers.affine_forward(X, 'w', B)": "expects w",
    "layers.affine_forward(X, W[0], B)": "expects w of shape (D, M)",
    "layers.affine_backward(X, CACHE)": "affine_backward expects dout of shape (5, 3)",
    "layers.affine_backward(X, X)": "affine_backward expects cache as affine_forward gives it",
    "layers.relu_forward('x')": "relu_forward expects x",
    "layers.relu_backward(X, W)": "relu_backward expects dout of shape (4, 3)",
    "layers.softmax_loss(X, Y + 9)": "expects labels 0..3 in y; got 9 at place 0",
    "layers.softmax_loss(X, Y - 1)": "got -1 at place 0",
    "layers.softmax_loss(X, Y[:3])": "expects y of shape (5,)",
    "layers.softmax_loss(X, Y / 2)": "expects y as a vector of integers",
    "layers.softmax_loss(X, np.eye(4)[Y])": "expects y as a vector of integers",
    "layers.svm_loss(X[:0], Y[:0])": "expects x of shape (N, C) without an empty axis",
    "layers.batchnorm_forward(X, B, B, {'mode': 'train'})": "expects gamma of shape (4,)",
    "layers.batchnorm_forward(X, X[0], X[0], {})": "expects bn_param['mode'] as one of 'train', 'test'; got None",
    "layers.batchnorm_forward(X, X[0], X[0], {'mode': 'eval'})": "got 'eval'",
    "layers.batchnorm_forward(X, X[0], X[0], {'mode': 'test', 'running_mean': B})": "expects bn_param['running_mean']",
    "layers.batchnorm_forward(X, X[0], X[0], 'train')": "expects bn_param as a mapping",
    "layers.batchnorm_forward(X[0], X[0], X[0], {'mode': 'train'})": "expects x of shape (N, D)",
    "layers.batchnorm_backward_alt(X, CACHE)": "expects cache as batchnorm_forward gives it",
    "layers.layernorm_forward(X, X[0], X[0], {'eps': -1})": "expects ln_param['eps']",
    "layers.layernorm_backward(X, CACHE)": "got a tuple of 3 parts",
    "layers.layernorm_backward(X, None)": "expects cache as layernorm_forward gives it",
    "layers.dropout_forward(X, {'mode': 'train', 'p': 0})": "the probability to keep, above 0; got 0",
    "layers.dropout_forward(X, {'mode': 'train', 'p': 1.5})": "between 0 and 1; got 1.5",
    "layers.dropout_forward(X, {'mode': 'train'})": "expects dropout_param['p'] as a number",
    "layers.dropout_forward(X, {'mode': 'train', 'p': 0.5, 'seed': -1})": "expects dropout_param['seed']",
    "layers.dropout_backward(X, X)": "expects cache as dropout_forward gives it",
    "layer_utils.affine_relu_backward(X, CACHE)": "affine_relu_backward expects cache as affine_relu_forward",
    "optim.sgd(W, B)": "sgd expects dw of shape (4, 3), as w",
    "optim.adam(W, W, {'m': B})": "expects config['m'] of shape (4, 3), as w",
    "optim.adam(W, W, {'t': 0.5})": "expects config['t'] as an integer",
    "optim.rmsprop(W, W, {'learning_rate': 'a'})": "expects config['learning_rate'] as a number",
    "optim.sgd_momentum(W, W, 0.1)": "expects config as a mapping",
    "FullyConnectedNet(5)": "expects hidden_dims as a sequence",
    "FullyConnectedNet([5], normalization='batch')": "expects normalization as one of",
    "FullyConnectedNet([5], dtype=int)": "expects dtype as",
    "FullyConnectedNet([5], dropout_keep_ratio=0)": "expects dropout_keep_ratio above 0",
    "TwoLayerNet(4, 0, 3)": "expects hidden_dim of at least 1",
    "SMALL.loss(X[:, :2], Y)": "TwoLayerNet.loss expects X of shape",
    "SMALL.loss(X, Y + 1)": "TwoLayerNet.loss expects labels 0..2 in y; got 3 at place 2",
    "optim.adam(W, W, {'beta1': 1.5})": "expects config['beta1'] between 0 and 1; got 1.5",
    "optim.sgd(W, W, {'learning_rate': -1})": "expects config['learning_rate'] as a finite number of at least 0",
    "Solver(SMALL, DATA, update_rule='adma')": "which is near 'adam'",
    "Solver(SMALL, {'X_train': X})": "got none of 'y_train'",
    "Solver(SMALL, DATA | {'y_val': Y[:2]})": "expects X_val and y_val with as many rows",
    "Solver(None, DATA)": "expects model with params and loss(X, y)",
    "Solver(SMALL, DATA, batch_size=0)": "expects batch_size of at least 1",
    "Solver(SMALL, DATA, update_rule=lambda w, dw, c: (w, c), checkpoint_name='net')": "update_rule that pickle takes",
    "Solver(SMALL, DATA, checkpoint_name='nowhere/net')": "in a folder that exists",
    "eval_numerical_gradient_array(np.sum, X.copy(), X)": "expects df of shape (), as f(x)",
    "eval_numerical_gradient(np.sum, Y)": "expects x of floating dtype",
    "rel_error(X, W)": "expects y of shape (5, 4), as x",
}


@pytest.mark.parametrize("call", BAD)
def test_bad_input_is_refused_in_one_sentence(call):
    config = {"bn_param": {"mode": "train"}}
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=re.escape(BAD[call])) as caught:
        eval(call, {**globals(), **config})
    text = str(caught.value)
    assert text.endswith(".") and ". " not in text and "\n" not in text, text


def test_a_refused_step_leaves_the_config_as_it_was():
    config = {"t": 3}
    with pytest.raises(ValueError):
        optim.adam(W, B, config)
    assert config == {"t": 3}
    bn_param = {"mode": "train"}
    with pytest.raises(ValueError):
        layers.batchnorm_forward(X, B, B, bn_param)
    assert bn_param == {"mode": "train"}
    net = FullyConnectedNet([3], 4, 3, normalization="batchnorm")
    with pytest.raises(ValueError):
        net.loss(X, Y + 1)
    assert net.bn_params == [{"mode": "train"}]


def test_star_imports_bring_the_courses_names():
    names = {}
    exec("from fastbp.cs231n.layer_utils import *\nfrom fastbp.cs231n import optim", names)
    assert {"affine_forward", "affine_relu_backward", "batchnorm_backward_alt", "optim"} <= names.keys()
    for module in (layers, layer_utils, optim, solver, gradient_check, fc_net):
        assert module.__all__ == sorted(module.__all__) or module is layer_utils
