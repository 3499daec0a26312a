"""Frames and series of pandas where arrays are taken, and what labels are told."""

import io
from decimal import Decimal

import numpy as np
import pytest

import fastbp
from fastbp import Linear, MeanSquaredError, Relu, Sequential, SigmoidWithLoss, SoftmaxWithLoss

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
RAW = pd.DataFrame({"age": RNG.standard_normal(24), "rooms": RNG.integers(1, 5, 24), "town": list("abc") * 8})
X = pd.get_dummies(RAW)  # float64, int64, and three of bool
DENSE = np.column_stack([X[name].to_numpy(float) for name in X])
T = np.arange(24) % 3


def network(n_out=3, loss="softmax_cross_entropy"):
    return Sequential(Linear(5, 8, seed=0), Relu(), Linear(8, n_out, seed=1), loss=loss)


def fitted(x, t, net=None):
    net = net or network()
    net.fit(x, t, epochs=2, batch_size=8, optimizer=fastbp.SGD(lr=0.1), seed=0)
    return np.concatenate([array.ravel() for array in net.params.values()])


def missing(frame, n):
    """The frame without its first ages."""
    frame = frame.copy()
    frame.iloc[:n, 0] = pd.NA
    return frame


def arrow(frame):
    pytest.importorskip("pyarrow")
    return frame.convert_dtypes(dtype_backend="pyarrow")


FRAMES = {
    "bool beside numbers": lambda: X,
    "nullable": lambda: X.convert_dtypes(),
    "Arrow's": lambda: arrow(X),
    "sparse": lambda: X.astype("Sparse[float64]"),
    "one name for all columns": lambda: X.set_axis(["a"] * 5, axis=1),
    "plain": lambda: pd.DataFrame(DENSE),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_are_their_numbers(kind):
    """Everywhere that a network, a trainer, a layer, a loss or a check takes x."""
    frame, labels = FRAMES[kind](), pd.Series(T)
    before = frame.copy()
    np.testing.assert_array_equal(fitted(frame, labels), fitted(DENSE, T))
    net = network()
    for method in ("predict", "forward", "predict_proba"):
        np.testing.assert_array_equal(getattr(net, method)(frame), getattr(net, method)(DENSE))
    for method in ("loss", "accuracy"):
        assert getattr(net, method)(frame, labels) == getattr(net, method)(DENSE, T)
    for key, grad in net.gradient(frame, labels).items():
        np.testing.assert_array_equal(grad, net.gradient(DENSE, T)[key])
    optimizer = fastbp.SGD(lr=0.1)
    assert fastbp.Trainer(network(), optimizer, 24).step(frame, labels) == (
        fastbp.Trainer(network(), optimizer, 24).step(DENSE, T)
    )
    net.fit(frame, labels, epochs=1, optimizer=optimizer, validation_data=(frame, labels))
    for layer in (Relu(), fastbp.Flatten(), fastbp.BatchNorm1d(5, dtype="float64")):
        np.testing.assert_array_equal(layer.forward(frame), layer.forward(DENSE))
    assert MeanSquaredError()(frame, frame) == 0
    assert fastbp.gradient_check(net, frame.astype(float), labels)
    pd.testing.assert_frame_equal(frame, before)


LABELS = {
    "series": lambda: pd.Series(T),
    "index": lambda: pd.Index(T),
    "nullable": lambda: pd.Series(T).astype("Int64"),
    "array": lambda: pd.Series(T).astype("Int64").array,
    "Arrow's": lambda: arrow(pd.Series(T)),
    "rows": lambda: pd.get_dummies(pd.Series(T)),
    "with another index": lambda: pd.Series(T, index=np.arange(24)[::-1]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_pandas(kind):
    np.testing.assert_allclose(fitted(X, LABELS[kind]()), fitted(DENSE, T), rtol=1e-5, atol=1e-7)
    weights = pd.Series(np.arange(1.0, 25)).convert_dtypes()
    net = network()
    net.fit(X, LABELS[kind](), epochs=1, optimizer=fastbp.SGD(lr=0.1), sample_weight=weights)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t,
        lambda t: t.tolist(),
        pd.Series,
        lambda t: pd.Series(t).astype("boolean"),
        lambda t: arrow(pd.Series(t)),
    ],
)
def test_bools_are_classes(make):
    t = T > 0
    two = fitted(DENSE, t.astype(int), network(2))
    np.testing.assert_array_equal(fitted(DENSE, make(t), network(2)), two)
    one = fitted(DENSE, t[:, np.newaxis].astype(float), network(1, "sigmoid_cross_entropy"))
    for given in (make(t), np.reshape(make(t), (-1, 1))):
        np.testing.assert_array_equal(fitted(DENSE, given, network(1, "sigmoid_cross_entropy")), one)
    assert SoftmaxWithLoss()([[1.0, 2.0]] * 24, make(t)) == SoftmaxWithLoss()([[1.0, 2.0]] * 24, t.astype(int))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_flat_targets_of_one_output_are_a_column(loss):
    """(n,) against (n, 1) is n differences, nowhere n x n."""
    y = RNG.standard_normal(24)
    column = fitted(DENSE, y[:, np.newaxis], network(1, loss))
    for given in (y, y.tolist(), pd.Series(y), pd.Series(y).convert_dtypes(), pd.DataFrame(y)):
        np.testing.assert_array_equal(fitted(DENSE, given, network(1, loss)), column)
    net, t = network(1, loss), y[:, np.newaxis]
    assert net.loss(DENSE, y) == net.loss(DENSE, t)
    for key, grad in net.gradient(DENSE, y).items():
        np.testing.assert_array_equal(grad, net.gradient(DENSE, t)[key])
    kind = type(net.loss_layer)()
    assert kind(t, y) == 0 and kind.backward().shape == (24, 1)
    for bad in (y[:5], y[np.newaxis], np.column_stack([y, y])):
        with pytest.raises(ValueError, match=r"output's shape \(24, 1\)"):
            net.fit(DENSE, bad, epochs=1, optimizer=fastbp.SGD(lr=0.1))
    with pytest.raises(ValueError, match=r"\(24,\); got \(24, 1\)"):
        kind(y, t)


def names(dtype):
    return pd.Series(["no", "yes", "maybe"] * 8, dtype=dtype)


@pytest.mark.parametrize(
    "labels",
    [
        lambda: names(object),
        lambda: names("string"),
        lambda: names("category"),
        lambda: names("string").to_numpy(),
        lambda: names(object).tolist(),
        lambda: np.array(names(object).tolist()),
        lambda: pd.DataFrame({"t": names(object)}),
    ],
)
@pytest.mark.parametrize("call", ["loss", "gradient", "accuracy", "step"])
def test_names_are_told_how_to_become_indices(labels, call):
    net = network()
    method = getattr(net, call, None) or fastbp.Trainer(net, fastbp.SGD(lr=0.1), 24).step
    with pytest.raises(TypeError, match=r"classes, t = np.unique\(t, return_inverse=True\)") as one:
        method(DENSE, labels())
    assert str(one.value).endswith(".") and "\n" not in str(one.value)
    _, t = np.unique(labels(), return_inverse=True)
    method(DENSE, t.ravel())


@pytest.mark.parametrize("dtype", [object, "string", "category", "list", "array"])
def test_fit_takes_names(dtype):
    """Of any kind of column; a table of one is told to become one."""
    t = names(object if dtype in ("list", "array") else dtype)
    t = t.tolist() if dtype == "list" else np.array(t.tolist()) if dtype == "array" else t
    net, other = network(), network()
    net.fit(DENSE, t, epochs=1, seed=0)
    assert net.classes == ("maybe", "no", "yes")
    other.fit(DENSE, np.unique(names(object), return_inverse=True)[1], epochs=1, seed=0)
    np.testing.assert_array_equal(net.predict(DENSE), other.predict(DENSE))
    with pytest.raises(TypeError, match=r"np\.unique"):
        net.fit(DENSE, pd.DataFrame({"t": names(object)}), epochs=1)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda f: f.assign(town=RAW.town), "column 'town', of real numbers, as pd.get_dummies"),
        (lambda f: f.assign(town=RAW.town.astype("category")), "column 'town'.*get_dummies.*category"),
        (lambda f: f.assign(day=pd.Timestamp("2020-01-01")), r"column 'day', .*datetime64"),
        (lambda f: f.assign(z=1j), "column 'z', of real numbers; got dtype complex128"),
        (lambda f: missing(f.convert_dtypes(), 1), "column 'age', without missing.*got 1 of"),
        (lambda f: missing(arrow(f), 2), "column 'age', without missing values; got 2 of"),
        (lambda f: f.assign(rooms=f.rooms.astype("Int64").where(f.index > 4)), "column 'rooms'.*got 5"),
        (lambda f: f.assign(age=f.age.astype(object)), r"column 'age'.*x.astype\(float\) makes"),
        (lambda f: missing(f.astype({"age": object}), 1), "column 'age'.*missing.*got 1"),
        (lambda f: f.assign(age=[Decimal(1)] * 24), r"column 'age'.*x.astype\(float\) makes"),
        (lambda f: f.assign(day=pd.period_range("2020", periods=24)), "column .day., .*numbers; got"),
        (lambda f: f.assign(bin=pd.interval_range(0, 24)), "column .bin., .*numbers; got"),
    ],
)
def test_a_column_that_is_no_number_is_named(change, words):
    frame, net = change(X), network()
    for call in (lambda: fitted(frame, T, net), lambda: net.predict(frame)):
        with pytest.raises((TypeError, ValueError), match=words) as caught:
            call()
        text = str(caught.value)
        assert text.endswith(".") and ". " not in text and "\n" not in text


def test_nan_among_floats_is_a_number_as_in_arrays():
    frame = pd.DataFrame(DENSE)
    frame.iloc[3, 0] = np.nan
    assert np.isnan(network().predict(frame)).any()
    with pytest.raises(FloatingPointError):
        fitted(frame, T)


@pytest.mark.parametrize(
    "t, n_out, words",
    [
        (T + 1, 3, "classes count from 0, as in t - 1"),
        (2 * (T > 0) - 1, 2, "classes count from 0, as in t > 0"),
        (T, 2, "3 classes take as many outputs"),
        (T.astype(float), 3, r"t.astype\(int\) makes integers"),
        (T[:, np.newaxis], 3, r"a column, which t.ravel\(\) makes"),
        (pd.DataFrame({"t": T}), 3, r"a column, which np.ravel\(t\) makes"),
        (np.eye(4)[T], 3, "rows of 4 classes take as many outputs"),
        (T > 0, 1, "two classes take two outputs, or one with SigmoidWithLoss"),
        ((T > 0).astype(float)[:, np.newaxis], 1, "or one with SigmoidWithLoss"),
        (T, 1, "or one with SigmoidWithLoss"),
        (T.astype(object), 3, r"t.astype\(int\) makes of these"),
        ([Decimal(int(each)) for each in T], 3, r"t.astype\(int\) makes of these"),
        (np.eye(3)[T].T, 3, r"got \(3, 24\): samples are rows, as in t.T"),
        (T[np.newaxis], 3, r"got \(1, 24\), which t.ravel\(\) makes \(N,\)"),
        (T[:, np.newaxis, np.newaxis], 3, r"got \(24, 1, 1\), which t.ravel\(\) makes \(N,\)"),
    ],
)
def test_labels_are_told_what_to_do(t, n_out, words):
    net = network(n_out)
    for call in (lambda: fitted(DENSE, t, net), lambda: net.loss(DENSE, t)):
        with pytest.raises((TypeError, ValueError), match=words):
            call()


@pytest.mark.parametrize("loss", [SigmoidWithLoss, MeanSquaredError])
def test_targets_of_rows_are_told_what_to_do(loss):
    with pytest.raises(ValueError, match="2 outputs take rows of as many, or class indices and S"):
        fitted(DENSE, T > 0, network(2, loss))
    with pytest.raises(ValueError, match="rows of 2 take as many outputs"):
        fitted(DENSE, np.eye(2)[T // 2], network(1, loss))
    with pytest.raises(ValueError, match=r"samples are rows, as in t.T"):
        fitted(DENSE, np.ones((2, 24)), network(2, loss))


@pytest.mark.parametrize(
    "x, words",
    [
        (DENSE.T, r"5 features.*\(5, 24\): samples are rows, as in x.T"),
        (X.T.astype(float), r"\(5, 24\): samples are rows, as in x.T"),
        (T, r"\(24,\), which is one sample: samples are rows, and x comes before t"),
        (DENSE[:, :4], r"5 features.*got x of shape \(24, 4\)"),
        (DENSE.astype(str), r"x.astype\(float\) makes of these"),
        (X.astype(float).to_records(index=False), r"np.array\(x.tolist\(\)\) makes of its fields"),
        (dict(X), "real numbers; got an object of type dict"),
        (map(list, DENSE), r"real numbers, as list\(x\) has them; got an object of type map"),
        ({1.0, 2.0}, r"real numbers, as list\(x\) has them; got an object of type set"),
        ({1: DENSE}.values(), r"as list\(x\) has them; got an object of type dict_values"),
    ],
)
def test_features_are_told_what_to_do(x, words):
    net = network()
    for call in (lambda: fitted(x, T, net), lambda: net.predict(x), lambda: net.gradient(x, T)):
        with pytest.raises((TypeError, ValueError), match=words):
            call()


def test_the_cures_are_cures():
    fields = X.astype(float).to_records(index=False)
    for x in (np.array(fields.tolist()), list(map(list, DENSE))):
        np.testing.assert_array_equal(network().predict(x), network().predict(DENSE))
    decimals = np.array([[Decimal(float(each)) for each in row] for row in DENSE])
    with pytest.raises(TypeError, match=r"x.astype\(float\) makes of these"):
        network().predict(decimals)
    np.testing.assert_array_equal(network().predict(decimals.astype(float)), network().predict(DENSE))


@pytest.mark.parametrize("module", ["fastbp", "torch"])
def test_a_tensor_that_requires_grad_is_named(module):
    tensor = pytest.importorskip(module).ones(24, 5, requires_grad=True)
    for name, call in {"x": lambda: network().predict(tensor), "t": lambda: MeanSquaredError()(DENSE, tensor)}.items():
        with pytest.raises(RuntimeError, match=rf"expects {name} as .*, of which {name}.detach\(\)"):
            call()
    assert network().predict(tensor.detach()).shape == (24, 3)


def test_shapes_of_single_features_and_images_are_told_what_to_do():
    one = Sequential(Linear(1, 2), loss="squared_error")
    with pytest.raises(ValueError, match=r"samples are rows, and x.reshape\(-1, 1\) has one"):
        one.predict(np.arange(9.0))
    with pytest.raises(ValueError, match=r"samples are rows, and x.reshape\(1, -1\) is one"):
        Sequential(Linear(784, 2)).predict(np.ones((28, 28)))


def test_weights_and_biases_are_told_what_to_do():
    W = np.ones((3, 4))
    for b in (np.ones((1, 4)), np.ones((4, 1))):
        with pytest.raises(ValueError, match=r"b of shape \(n,\).*of which b.ravel\(\) is such"):
            fastbp.Affine(W, b)
    with pytest.raises(ValueError, match=r"W is \(n_in, n_out\), as W.T"):
        fastbp.Affine(W.T, np.ones(4))
    with pytest.raises(ValueError, match=r"W.reshape\(-1, 1\) has one output"):
        fastbp.Affine(np.ones(3), np.ones(1))
    with pytest.raises(TypeError, match="bias=False is by name"):
        Linear(3, 4, False)


def test_labels_one_and_two_are_told_what_to_do():
    with pytest.raises(ValueError, match="between 0 and 1; got 2: t - 1 has 0 and 1"):
        fitted(DENSE, (T > 0) + 1, network(1, "sigmoid_cross_entropy"))


@pytest.mark.parametrize(
    "loss, near", [("squared_eror", "squared_error"), ("Huber", "huber"), ("softmax", "softmax_cross_entropy")]
)
def test_a_misspelt_loss_is_told_which_is_near(loss, near):
    with pytest.raises(ValueError, match=f"got {loss!r}, which is near {near!r}"):
        Sequential(Linear(3, 2), loss=loss)


# --- masked arrays --------------------------------------------------------------------------------

MASKED = np.ma.masked_array(np.ones((3, 3), "f4"), mask=np.eye(3))
INDICES = np.ma.masked_array(np.arange(3), mask=[1, 0, 0])


def trainer():
    net = fastbp.Sequential(fastbp.Linear(3, 3, seed=0), loss="softmax_cross_entropy")
    return fastbp.Trainer(net, fastbp.SGD(lr=0.1), 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: fastbp.Affine(MASKED, np.ones(3)),
        lambda: fastbp.BatchNormalization(np.ones(3), MASKED[0]),
        lambda: setattr(fastbp.Affine(np.eye(3), np.ones(3)), "W", MASKED),
        lambda: fastbp.nn.Linear(3, 3).load_state_dict({"weight": MASKED}, strict=False),
        lambda: fastbp.save({"a": MASKED}, io.BytesIO()),
        lambda: fastbp.datasets.one_hot(INDICES),
        lambda: fastbp.utils.data.default_collate([MASKED, MASKED]),
        lambda: trainer().step(np.ones((3, 3), "f4"), INDICES),
        lambda: trainer().step(MASKED, np.arange(3)),
    ],
)
def test_masked_elements_are_refused_wherever_an_array_is_kept(call):
    with pytest.raises(ValueError, match=r"expects .* without masked elements; got"):
        call()


def test_a_masked_array_that_masks_nothing_is_an_array():
    x, t = np.ma.masked_array(np.eye(3, dtype="f4")), np.ma.masked_array(np.arange(3))
    assert trainer().step(x, t) == trainer().step(x.data, t.data)


def test_objects_that_are_fractions_are_not_cut_to_integers():
    net = network(1, MeanSquaredError())
    for t, cure in ((np.array([0.5, 1]), "float"), (np.array([1.0, 2]), "int")):
        with pytest.raises(TypeError, match=rf"which t.astype\({cure}\) makes of these"):
            net.loss(DENSE[:2], t.astype(object))
