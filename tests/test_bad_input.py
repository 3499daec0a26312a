"""Bad input: one sentence that says what was expected and what came, and nothing has changed."""

import pickle
import re

import numpy as np
import pytest

import fastbp
from fastbp import Sequential, init
from fastbp.layers import (
    Affine,
    Flatten,
    Identity,
    Linear,
    MeanSquaredError,
    MulLayer,
    Relu,
    Sigmoid,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    Tanh,
    cross_entropy_error,
    softmax,
)

X = np.arange(20.0).reshape(5, 4) / 10
DOUT = np.ones((5, 3))
LABELS = np.array([0, 1, 2, 2, 0])
RAGGED = [[1.0, 2.0, 3.0, 4.0], [1.0]]


def affine():
    layer = Affine(np.arange(12.0).reshape(4, 3), np.ones(3))
    layer.forward(X)
    layer.backward(DOUT)
    return layer


def activation(kind):
    def make():
        layer = kind()
        layer.forward(X)
        layer.backward(X)
        return layer

    return make


def loss(kind, x, t):
    def make():
        layer = kind()
        layer.forward(x, t)
        layer.backward()
        return layer

    return make


def net():
    made = Sequential(
        Affine(np.arange(12.0).reshape(4, 3) / 9, np.ones(3)), Sigmoid(), loss=SoftmaxWithLoss()
    )
    made.gradient(X, LABELS)
    return made


softmax_loss = loss(SoftmaxWithLoss, X, LABELS)
sigmoid_loss = loss(SigmoidWithLoss, X[:, :1], np.ones((5, 1)))
squared_error = loss(MeanSquaredError, X[:, :1], np.ones((5, 1)))


def with_t(t, x=X):
    return lambda o: o.forward(x, t)


def column(t):
    return np.reshape(t, (-1, 1))


def replaced(array, at, value):
    array = np.array(array)
    array[at] = value
    return array


ONE_HOT = np.eye(4)[LABELS]
# what, object, call, error, words of the message in their order
TABLE = [
    # arrays that are no arrays of real numbers
    *(
        (f"{who}: {what}", make, call(value), error, message)
        for who, make, call in [
            ("Affine.forward", affine, lambda v: lambda o: o.forward(v)),
            ("Affine.evaluate", affine, lambda v: lambda o: o.evaluate(v)),
            ("Affine.backward", affine, lambda v: lambda o: o.backward(v)),
            *((f"{k.__name__}.forward", activation(k), lambda v: lambda o: o.forward(v))
              for k in (Relu, Sigmoid, Tanh, Identity, Flatten)),
            *((f"{k.__name__}.backward", activation(k), lambda v: lambda o: o.backward(v))
              for k in (Relu, Sigmoid, Tanh, Identity, Flatten)),
            ("SoftmaxWithLoss x", softmax_loss, lambda v: lambda o: o.forward(v, LABELS)),
            ("SoftmaxWithLoss t", softmax_loss, lambda v: lambda o: o.forward(X, v)),
            ("SigmoidWithLoss x", sigmoid_loss, lambda v: lambda o: o.forward(v, X)),
            ("SigmoidWithLoss t", sigmoid_loss, lambda v: lambda o: o.forward(X, v)),
            ("MeanSquaredError x", squared_error, lambda v: lambda o: o.forward(v, X)),
            ("MeanSquaredError t", squared_error, lambda v: lambda o: o.evaluate(X, v)),
            ("Sequential.predict", net, lambda v: lambda o: o.predict(v)),
            ("Sequential.loss x", net, lambda v: lambda o: o.loss(v, LABELS)),
            ("Sequential.loss t", net, lambda v: lambda o: o.loss(X, v)),
            ("Sequential.gradient x", net, lambda v: lambda o: o.gradient(v, LABELS)),
            ("Sequential.gradient t", net, lambda v: lambda o: o.gradient(X, v)),
            ("Sequential.accuracy x", net, lambda v: lambda o: o.accuracy(v, LABELS)),
            ("Sequential.accuracy t", net, lambda v: lambda o: o.accuracy(X, v)),
            ("softmax", object, lambda v: lambda o: softmax(v)),
            ("cross_entropy_error y", object, lambda v: lambda o: cross_entropy_error(v, LABELS)),
            ("cross_entropy_error t", object, lambda v: lambda o: cross_entropy_error(ONE_HOT, v)),
        ]
        for what, value, error, message in [
            ("None", None, TypeError, "None"),
            ("object array", X.astype(object), TypeError, "dtype object"),
            ("list of objects", [object()], TypeError, "dtype object"),
            ("strings", np.full((5, 4), "1"), TypeError, "dtype <U1"),
            ("bytes", np.full((5, 4), b"1"), TypeError, r"dtype \|S1"),
            ("one string", "images", TypeError, "dtype <U6"),
            ("complex", X + 0j, TypeError, "dtype complex128"),
            ("dates", np.zeros((5, 4), "M8[s]"), TypeError, "dtype datetime64"),
            ("records", np.zeros(5, [("a", "f8")]), TypeError, "dtype"),
            ("a dictionary", {"x": 1}, TypeError, "dtype object"),
            ("ragged list", RAGGED, ValueError, "rows of different lengths"),
        ]
    ),
    # Affine
    ("fewer features", affine, lambda o: o.forward(X[:, :3]), ValueError,
     r"Affine expects x with 4 features \(W is \(4, 3\)\); got x of shape \(5, 3\)"),
    ("more features", affine, lambda o: o.forward(np.ones((5, 5))), ValueError, r"4.*\(5, 5\)"),
    ("transposed x", affine, lambda o: o.forward(X.T), ValueError, r"4.*\(4, 5\)"),
    ("one sample of five", affine, lambda o: o.forward(np.ones(5)), ValueError, r"4.*\(5,\)"),
    ("a scalar", affine, lambda o: o.forward(3.0), ValueError, r"4 features.*\(\)"),
    ("no features", affine, lambda o: o.forward(np.ones((5, 0))), ValueError, r"4.*\(5, 0\)"),
    ("empty list", affine, lambda o: o.forward([]), ValueError, r"4.*\(0,\)"),
    ("images", affine, lambda o: o.forward(np.ones((5, 2, 3))), ValueError, r"4.*\(5, 2, 3\)"),
    ("no images", affine, lambda o: o.forward(np.ones((0, 2, 3))), ValueError, r"4.*\(0, 2, 3\)"),
    ("Linear speaks of itself", lambda: Linear(1, 2, seed=0), lambda o: o.forward(X), ValueError,
     r"Linear expects x with 1 feature \(W is \(1, 2\)\)"),
    *((f"Affine.backward: {np.shape(dout)}", affine, lambda o, d=dout: o.backward(d), ValueError,
       rf"Affine\.backward expects dout of shape \(5, 3\).*{re.escape(str(np.shape(dout)))}")
      for dout in [np.ones((5, 4)), np.ones((4, 3)), np.ones(3), np.ones(15), np.ones((5, 3, 1)),
                   1.0, np.ones((1, 3)), np.ones((5, 1)), np.ones((0, 3))]),
    ("W of integers", object, lambda o: Affine(np.ones((4, 3), int), np.ones(3)), TypeError,
     "W of dtype float32 or float64.*int64"),
    ("W a list of integers", object, lambda o: Affine([[1, 2]], np.ones(2)), TypeError, "W.*int"),
    ("b of integers", object, lambda o: Affine(np.ones((4, 3)), np.ones(3, int)), TypeError,
     "b of dtype.*int64"),
    ("W of float16", object, lambda o: Affine(np.ones((4, 3), "f2"), np.ones(3)), TypeError,
     "W.*float16"),
    ("W of long double", object, lambda o: Affine(np.ones((4, 3), "g"), np.ones(3)), TypeError,
     "W.*float32 or float64"),
    ("W of complex", object, lambda o: Affine(np.ones((4, 3), "c16"), np.ones(3)), TypeError,
     "W.*complex128"),
    ("W of objects", object, lambda o: Affine(np.ones((4, 3), object), np.ones(3)), TypeError,
     "W.*object"),
    ("W of bools", object, lambda o: Affine(np.ones((4, 3), bool), np.ones(3)), TypeError,
     "W.*bool"),
    ("W None", object, lambda o: Affine(None, np.ones(3)), TypeError, "W.*None"),
    ("b None", object, lambda o: Affine(np.ones((4, 3)), None), TypeError, "b.*None"),
    ("W ragged", object, lambda o: Affine([[1.0, 2.0], [1.0]], np.ones(2)), ValueError,
     "W.*rows of different lengths"),
    ("W a vector", object, lambda o: Affine(np.ones(3), np.ones(3)), ValueError, r"W.*\(3,\)"),
    ("W a cube", object, lambda o: Affine(np.ones((2, 2, 3)), np.ones(3)), ValueError,
     r"W.*\(2, 2, 3\)"),
    ("W without inputs", object, lambda o: Affine(np.ones((0, 3)), np.ones(3)), ValueError,
     r"W.*empty.*\(0, 3\)"),
    ("W without outputs", object, lambda o: Affine(np.ones((4, 0)), np.ones(0)), ValueError,
     r"W.*empty.*\(4, 0\)"),
    ("b too short", object, lambda o: Affine(np.ones((4, 3)), np.ones(2)), ValueError,
     r"b of shape \(3,\).*W is \(4, 3\).*\(2,\)"),
    ("b of W's other side", object, lambda o: Affine(np.ones((4, 3)), np.ones(4)), ValueError,
     r"b of shape \(3,\).*\(4,\)"),
    ("b a row", object, lambda o: Affine(np.ones((4, 3)), np.ones((1, 3))), ValueError,
     r"b.*\(1, 3\)"),
    ("b a number", object, lambda o: Affine(np.ones((4, 1)), 1.0), ValueError, r"b.*\(\)"),
    ("another W of another shape", affine, lambda o: setattr(o, "W", np.ones((3, 3))), ValueError,
     r"W of shape \(4, 3\).*\(3, 3\)"),
    ("another W of integers", affine, lambda o: setattr(o, "W", np.ones((4, 3), int)), TypeError,
     "W.*int64"),
    ("another b of another shape", affine, lambda o: setattr(o, "b", np.ones(4)), ValueError,
     r"b of shape \(3,\).*\(4,\)"),
    # Linear
    ("no inputs", object, lambda o: Linear(0, 3), ValueError, "in_features of at least 1; got 0"),
    ("no outputs", object, lambda o: Linear(3, 0), ValueError, "out_features of at least 1; got 0"),
    ("fewer than none", object, lambda o: Linear(3, -1), ValueError, "out_features.*-1"),
    ("half an input", object, lambda o: Linear(2.5, 3), TypeError, "in_features.*integer.*2.5"),
    ("features None", object, lambda o: Linear(None, 3), TypeError, "in_features.*None"),
    ("features a text", object, lambda o: Linear("64", 3), TypeError, "in_features.*'64'"),
    ("unknown init", object, lambda o: Linear(4, 3, init="hee"), ValueError, "init.*'he'.*'hee'"),
    ("negative init", object, lambda o: Linear(4, 3, init=-0.1), ValueError, "init.*-0.1"),
    ("init NaN", object, lambda o: Linear(4, 3, init=np.nan), ValueError, "init.*nan"),
    ("init None", object, lambda o: Linear(4, 3, init=None), TypeError, "init.*None"),
    ("dtype int", object, lambda o: Linear(4, 3, dtype=int), ValueError, "dtype.*float32.*int"),
    ("dtype float16", object, lambda o: Linear(4, 3, dtype="float16"), ValueError, "'float16'"),
    ("dtype nonsense", object, lambda o: Linear(4, 3, dtype="flt"), ValueError, "dtype.*'flt'"),
    ("init.weights", object, lambda o: init.weights(4, 3, "hee"), ValueError, "init.*'hee'"),
    # activations
    *((f"{kind.__name__}.backward: {shape}", activation(kind),
       lambda o, s=shape: o.backward(np.ones(s)), ValueError,
       rf"{kind.__name__}\.backward expects dout of shape \(5, 4\).*{re.escape(str(shape))}")
      for kind in (Relu, Sigmoid, Tanh, Identity, Flatten)
      for shape in [(5, 3), (4, 5), (20,), (), (1, 4)]),
    ("Flatten a scalar", activation(Flatten), lambda o: o.forward(1.0), ValueError, "one axis"),
    # backward before forward
    *((f"{kind.__name__} before forward", kind, lambda o: o.backward(X), RuntimeError,
       rf"{kind.__name__}\.backward expects a call of forward")
      for kind in (Relu, Sigmoid, Tanh, Identity, Flatten)),
    ("Affine before forward", lambda: Affine(np.ones((4, 3)), np.ones(3)),
     lambda o: o.backward(DOUT), RuntimeError, r"Affine\.backward expects a call of forward"),
    ("Affine after evaluate", lambda: Affine(np.ones((4, 3)), np.ones(3)),
     lambda o: (o.evaluate(X), o.backward(DOUT)), RuntimeError, "call of forward"),
    ("MulLayer before forward", MulLayer, lambda o: o.backward(1), RuntimeError, "forward"),
    *((f"{kind.__name__} before forward", kind, lambda o: o.backward(), RuntimeError,
       rf"{kind.__name__}\.backward expects a call of forward")
      for kind in (SoftmaxWithLoss, SigmoidWithLoss, MeanSquaredError)),
    ("Sequential before forward", lambda: Sequential(Relu()), lambda o: o.backward(X),
     RuntimeError, "call of forward"),
    # class indices
    ("index below 0", softmax_loss, with_t(replaced(LABELS, 2, -1)), ValueError,
     r"SoftmaxWithLoss expects class indices 0\.\.3 in t; got -1 at row 2"),
    ("index too large", softmax_loss, with_t(replaced(LABELS, 4, 4)), ValueError,
     r"0\.\.3.*got 4 at row 4"),
    ("unsigned index too large", softmax_loss, with_t(replaced(LABELS, 1, 255).astype("u1")),
     ValueError, "got 255 at row 1"),
    ("huge unsigned index", softmax_loss, with_t(np.full(5, 2**64 - 1, "u8")), ValueError,
     "got 18446744073709551615 at row 0"),
    ("float labels", softmax_loss, with_t(LABELS.astype(float)), TypeError,
     "class indices as integers; got t of dtype float64"),
    ("NaN labels", softmax_loss, with_t(np.full(5, np.nan)), TypeError, "integers.*float64"),
    ("bool labels", softmax_loss, with_t(LABELS > 0), TypeError, "integers.*bool"),
    ("column of labels", softmax_loss, with_t(column(LABELS)), ValueError,
     r"\(5,\).*\(5, 4\); got the column \(5, 1\).*t\.ravel\(\)"),
    ("row of labels", softmax_loss, with_t(LABELS[np.newaxis]), ValueError, r"\(1, 5\)"),
    ("too few labels", softmax_loss, with_t(LABELS[:4]), ValueError, r"\(5,\).*got \(4,\)"),
    ("one label for five", softmax_loss, with_t(1), ValueError, r"got \(\)"),
    ("too many classes", softmax_loss, with_t(np.eye(5)), ValueError, r"\(5, 4\); got \(5, 5\)"),
    ("too few rows", softmax_loss, with_t(ONE_HOT[:3]), ValueError, r"\(5, 4\); got \(3, 4\)"),
    ("one sample, two labels", softmax_loss, with_t([0, 1], X[0]), ValueError, r"\(2,\)"),
    # rows of probabilities
    ("rows of 0", softmax_loss, with_t(np.zeros((5, 4))), ValueError, "sum to 1; got 0 at row 0"),
    ("rows of 2", softmax_loss, with_t(2 * ONE_HOT), ValueError, "sum to 1; got 2 at row 0"),
    ("one row off", softmax_loss, with_t(replaced(ONE_HOT, 3, 0.2)), ValueError,
     "sum to 1; got 0.8 at row 3"),
    ("rows of NaN", softmax_loss, with_t(replaced(ONE_HOT, (1, 2), np.nan)), ValueError,
     "sum to 1; got nan at row 1"),
    ("rows of inf", softmax_loss, with_t(replaced(ONE_HOT, (1, 2), np.inf)), ValueError,
     "sum to 1; got inf at row 1"),
    ("negative probability", softmax_loss, with_t(replaced(ONE_HOT, 1, [2, -1, 0, 0])), ValueError,
     "without negative numbers; got -1 at row 1"),
    ("logits as targets", softmax_loss, with_t(X), ValueError, "sum to 1"),
    ("x a number", softmax_loss, lambda o: o.forward(1.0, 0), ValueError, r"x of shape.*\(\)"),
    ("x a cube", softmax_loss, lambda o: o.forward(np.ones((2, 3, 4)), [0, 1]), ValueError,
     r"x of shape \(n_samples, n_classes\); got \(2, 3, 4\)"),
    ("no classes", softmax_loss, lambda o: o.forward(np.ones((5, 0)), LABELS), ValueError,
     r"\(5, 0\)"),
    # targets of the element-wise losses
    *((f"{who}: (n,) target for (n, 1)", make, with_t(np.ones(5), np.ones((5, 1))), ValueError,
       rf"{who} expects t of the output's shape \(5, 1\); got \(5,\).*reshape\(-1, 1\)")
      for who, make in [("MeanSquaredError", squared_error), ("SigmoidWithLoss", sigmoid_loss)]),
    *((f"{make().__class__.__name__}: {np.shape(t)} for {x.shape}", make, with_t(t, x), ValueError,
       rf"{re.escape(str(x.shape))}; got {re.escape(str(np.shape(t)))}")
      for make in (squared_error, sigmoid_loss)
      for t, x in [(np.ones((5, 1)), np.ones(5)), (1.0, np.ones(5)), (np.ones((5, 1)), X),
                   (np.ones((1, 4)), X), (np.ones((4, 5)), X), (np.ones(4), X)]),
    ("target above 1", sigmoid_loss, with_t([0, 1.5], np.ones(2)), ValueError,
     "SigmoidWithLoss expects t between 0 and 1; got 1.5"),
    ("target below 0", sigmoid_loss, with_t([-1, 1], np.ones(2)), ValueError, "got -1"),
    ("target NaN", sigmoid_loss, with_t([np.nan, 1], np.ones(2)), ValueError, "got nan"),
    # dout of a loss is a number
    *((f"dout {what}", softmax_loss, lambda o, v=value: o.backward(v), error,
       rf"SoftmaxWithLoss\.backward expects dout as a.*number.*{message}")
      for what, value, error, message in [
          ("None", None, TypeError, "None"), ("a text", "1", TypeError, "'1'"),
          ("an array", np.ones(5), TypeError, "array"), ("NaN", np.nan, ValueError, "nan"),
          ("complex", 1j, TypeError, "1j")]),
    # softmax, cross_entropy_error
    ("softmax of a cube", object, lambda o: softmax(np.ones((2, 2, 2))), ValueError,
     r"\(2, 2, 2\)"),
    ("softmax of a number", object, lambda o: softmax(1.0), ValueError, r"\(\)"),
    ("softmax of no classes", object, lambda o: softmax(np.ones((2, 0))), ValueError, r"\(2, 0\)"),
    ("cross entropy of a cube", object, lambda o: cross_entropy_error(np.ones((2, 2, 2)), [0, 1]),
     ValueError, r"\(2, 2, 2\)"),
    ("cross entropy, index", object, lambda o: cross_entropy_error(ONE_HOT, LABELS + 9), ValueError,
     r"0\.\.3.*got 9 at row 0"),
    ("cross entropy, column", object, lambda o: cross_entropy_error(ONE_HOT, column(LABELS)),
     ValueError, r"column \(5, 1\)"),
    # the network
    ("net, features", net, lambda o: o.gradient(X[:, :3], LABELS), ValueError,
     r"Affine expects x with 4 features.*\(5, 3\)"),
    ("net, labels", net, lambda o: o.gradient(X, LABELS + 5), ValueError,
     r"0\.\.2.*got 5 at row 0"),
    ("net, column", net, lambda o: o.loss(X, column(LABELS)), ValueError, r"column \(5, 1\)"),
    ("net, column for accuracy", net, lambda o: o.accuracy(X, column(LABELS)), ValueError,
     r"SoftmaxWithLoss expects.*column \(5, 1\)"),
    ("net, labels for accuracy", net, lambda o: o.accuracy(X, LABELS - 1), ValueError,
     r"0\.\.2.*got -1 at row 0"),
    ("net, no samples", net, lambda o: o.gradient(np.empty((0, 4)), []), ValueError,
     r"Sequential\.gradient expects at least one sample; got none"),
    ("net, empty list", net, lambda o: o.gradient([], []), ValueError, r"4 features.*\(0,\)"),
    # backends
    ("unknown backend", object, lambda o: fastbp.use("cuda"), ValueError,
     "use expects backend as one of 'compiled', 'reference'; got 'cuda'"),
    ("backend None", object, lambda o: fastbp.use(None), ValueError, "backend.*None"),
]  # fmt: skip


def test_every_row_of_the_table_is_its_own():
    names = [row[0] for row in TABLE]
    assert len(names) == len(set(names)), [n for n in names if names.count(n) > 1]


@pytest.mark.parametrize("make, call, error, message", [pytest.param(*row[1:], id=row[0])
                                                        for row in TABLE])  # fmt: skip
def test_bad_input_is_refused_in_one_sentence_and_changes_nothing(make, call, error, message):
    thing = make()
    before = pickle.dumps(thing)
    with pytest.raises(error) as caught:
        call(thing)
    assert type(caught.value) is error
    text = str(caught.value)
    assert text.endswith(".") and ". " not in text and "\n" not in text, text
    assert re.search(r"\w expects .*; (got|there was) ", text), text
    assert re.search(message, text), text
    assert pickle.dumps(thing) == before


GOOD = [
    (affine, lambda o: (o.forward(X), o.backward(DOUT)), lambda o: o.forward(X[:, :2])),
    (affine, lambda o: (o.forward(X), o.backward(DOUT)), lambda o: o.backward(X)),
    *((activation(k), lambda o: (o.forward(X), o.backward(X)), lambda o: o.backward(DOUT))
      for k in (Relu, Sigmoid, Tanh, Identity, Flatten)),
    (softmax_loss, lambda o: (o.forward(X, LABELS), o.backward()), with_t(LABELS - 1)),
    (sigmoid_loss, lambda o: (o.forward(X, X / 2), o.backward()), with_t(-X)),
    (squared_error, lambda o: (o.forward(X, X / 2), o.backward()), with_t(X[0])),
    (net, lambda o: tuple(o.gradient(X, LABELS).values()), lambda o: o.gradient(X, LABELS + 1)),
]  # fmt: skip


@pytest.mark.parametrize("make, good, bad", GOOD)
def test_after_an_error_the_object_works_on(make, good, bad):
    expected = good(make())
    thing = make()
    with pytest.raises(ValueError):
        bad(thing)
    for got, right in zip(good(thing), expected, strict=True):
        np.testing.assert_array_equal(got, right)


def test_a_failed_forward_leaves_the_last_one_for_backward():
    layer, expected = affine(), affine()
    with pytest.raises(ValueError):
        layer.forward(X[:, :2])
    np.testing.assert_array_equal(layer.backward(2 * DOUT), expected.backward(2 * DOUT))
    np.testing.assert_array_equal(layer.dW, expected.dW)


def test_a_failed_gradient_leaves_the_layers_gradients():
    made = net()
    before = made.layers[0].dW, made.layers[0].db
    with pytest.raises(ValueError):
        made.gradient(2 * X, LABELS + 9)
    assert made.layers[0].dW is before[0] and made.layers[0].db is before[1]
