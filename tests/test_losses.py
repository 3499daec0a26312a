"""Losses against their twins, plain NumPy and finite differences of themselves."""

import numpy as np
import pytest

import fastbp
from fastbp import _kernels, reference
from fastbp.losses import MeanSquaredError, SigmoidWithLoss, SoftmaxWithLoss, cross_entropy_error, softmax


def log_softmax(x):
    x = np.asarray(x, np.longdouble)
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def indices(rng, n, classes, dtype):
    return rng.integers(0, classes, n)


def one_hot(rng, n, classes, dtype):
    return np.eye(classes, dtype=dtype)[rng.integers(0, classes, n)]


def soft(rng, n, classes, dtype):
    t = rng.random((n, classes)) + 0.01
    return (t / t.sum(axis=1, keepdims=True)).astype(dtype)


def bits(rng, n, columns, dtype):
    return rng.integers(0, 2, (n, columns)).astype(dtype)


def numbers(rng, n, columns, dtype):
    return rng.standard_normal((n, columns)).astype(dtype)


def softmax_loss(x, t):
    rows = t if t.ndim == 2 else np.eye(x.shape[1])[t]
    y = np.exp(log_softmax(x))
    return -(rows * log_softmax(x)).sum() / len(x), (y - rows) / len(x)


def sigmoid_loss(x, t):
    x, t = x.astype(np.longdouble), t.astype(np.longdouble)
    y = 1 / (1 + np.exp(-x))
    return -(t * np.log(y) + (1 - t) * np.log1p(-y)).mean(), (y - t) / x.size


def squared_error(x, t):
    x, t = x.astype(np.longdouble), t.astype(np.longdouble)
    return ((x - t) ** 2).mean(), 2 * (x - t) / x.size


CASES = {
    "softmax, indices": (SoftmaxWithLoss, indices, softmax_loss),
    "softmax, one-hot": (SoftmaxWithLoss, one_hot, softmax_loss),
    "softmax, soft rows": (SoftmaxWithLoss, soft, softmax_loss),
    "sigmoid, bits": (SigmoidWithLoss, bits, sigmoid_loss),
    "squared error": (MeanSquaredError, numbers, squared_error),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 3), (7, 1), (16, 10), (33, 17), (100, 65)])
def test_loss_equals_twin_and_formula(case, shape, dtype, rng, assert_close):
    kind, target, formula = case
    x, t = 3 * rng.standard_normal(shape).astype(dtype), target(rng, *shape, dtype)
    loss = kind()
    value, dx = loss.forward(x, t), loss.backward()
    with fastbp.use("reference"):
        twin, twin_dx = loss.forward(x, t), loss.backward()
    expected, expected_dx = formula(x, t)
    size = 1 + np.square(x).max()
    for other in (twin, float(expected)):
        assert_close(np.array(value, dtype), np.array(other, dtype), "loss", size)
    for other in (twin_dx, expected_dx.astype(dtype)):
        assert_close(dx, other, scale=1 / len(x) if kind is SoftmaxWithLoss else size / x.size)
    assert type(value) is float and loss.loss == twin


def test_gradient_is_that_of_the_loss(case, rng):
    kind, target, _ = case
    x, t, loss = rng.standard_normal((4, 3)), target(rng, 4, 3, np.dtype("f8")), kind()
    loss.forward(x, t)
    dx = loss.backward()
    for at in np.ndindex(x.shape):
        values = []
        for step in (1e-5, -1e-5):
            moved = x.copy()
            moved[at] += step
            values.append(loss.evaluate(moved, t))
        assert dx[at] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6, abs=1e-9)


def test_backward_multiplies_by_its_argument(case, dtype, rng, assert_close):
    kind, target, _ = case
    loss = kind()
    loss.forward(numbers(rng, 5, 3, dtype), target(rng, 5, 3, dtype))
    assert_close(loss.backward(2.5), dtype.type(2.5) * loss.backward())
    assert loss.backward(1).tobytes() == loss.backward().tobytes()
    assert not loss.backward(0).any()


LAYOUTS = {
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "Fortran": np.asfortranarray,
    "negative strides": lambda a: np.flip(np.flip(a).copy()),
    "unaligned": lambda a: np.frombuffer(b" " + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "list": lambda a: a.tolist(),
    "nested views": lambda a: np.stack([a, a])[1][::-1][::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_loss_takes_every_layout_and_leaves_it_alone(case, layout, dtype, rng):
    kind, target, _ = case
    x, t = numbers(rng, 6, 4, dtype), target(rng, 6, 4, dtype)
    plain, odd = kind(), kind()
    value, dx = plain.forward(x, t), plain.backward()
    odd_x, odd_t = LAYOUTS[layout](x), LAYOUTS[layout](t)
    before = np.asarray(odd_x).tobytes(), np.asarray(odd_t).tobytes()
    assert odd.forward(odd_x, odd_t) == pytest.approx(value, rel=1e-6)
    got = odd.backward()
    assert (np.asarray(odd_x).tobytes(), np.asarray(odd_t).tobytes()) == before
    if layout != "list" or dtype == "f8":
        assert odd.loss == value and got.tobytes() == dx.tobytes() and got.dtype == dtype


@pytest.mark.parametrize("t_dtype", ["int8", "uint8", "int32", "uint64", "int64", ">i4", "intp"])
def test_class_indices_of_every_integer_dtype(t_dtype, dtype, rng):
    x, t, loss = numbers(rng, 6, 4, dtype), np.array([0, 3, 1, 2, 2, 0]), SoftmaxWithLoss()
    expected = loss.forward(x, t)
    assert loss.forward(x, t.astype(t_dtype)) == expected
    assert loss.t.dtype == np.int64


@pytest.mark.parametrize("t_dtype", ["bool", "int8", "uint8", "int64", "float16", "float64"])
def test_one_hot_rows_of_every_dtype_equal_indices(t_dtype, dtype, rng, tolerance):
    x, t, loss = numbers(rng, 6, 4, dtype), np.array([0, 3, 1, 2, 2, 0]), SoftmaxWithLoss()
    expected, dx = loss.forward(x, t), loss.backward()
    rows = np.eye(4)[t].astype(t_dtype)
    assert loss.forward(x, rows) == pytest.approx(expected, rel=10 * tolerance("loss", dtype))
    np.testing.assert_allclose(loss.backward(), dx, rtol=1e-6)


@pytest.mark.parametrize("off", [-9e-4, 9e-4])
def test_soft_rows_a_little_off_give_the_same_compiled_and_as_twin(off, dtype, rng, assert_close):
    """Rows that are accepted give one loss, whichever backend computes it."""
    x, t, loss = numbers(rng, 6, 4, dtype), soft(rng, 6, 4, dtype), SoftmaxWithLoss()
    t *= dtype.type(1 + off)
    value, dx = loss.forward(x, t), loss.backward()
    with fastbp.use("reference"):
        twin, twin_dx = loss.forward(x, t), loss.backward()
    assert_close(np.array(value, dtype), np.array(twin, dtype), "loss", 10)
    assert_close(dx, twin_dx, scale=1)


def test_gradient_fits_the_loss_for_soft_rows_a_little_off(rng):
    """A sum of t off by 9e-4 may not bring loss and gradient apart."""
    x, t, loss = numbers(rng, 3, 4, "f8"), 1.0009 * soft(rng, 3, 4, "f8"), SoftmaxWithLoss()
    loss.forward(x, t)
    dx = loss.backward()
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-5
        difference = loss.evaluate(x + step, t) - loss.evaluate(x - step, t)
        assert dx[at] == pytest.approx(difference / 2e-5, rel=1e-6, abs=1e-9)


def test_loss_keeps_what_the_book_has(dtype, rng):
    x, t, loss = numbers(rng, 6, 4, dtype), np.array([0, 3, 1, 2, 2, 0]), SoftmaxWithLoss()
    assert loss.loss is loss.y is loss.t is None
    value = loss.forward(x, t)
    assert loss.loss == value
    np.testing.assert_array_equal(loss.t, t)
    np.testing.assert_allclose(loss.y, np.exp(log_softmax(x)).astype(dtype), rtol=1e-6)
    assert loss(x, t) == value
    sigmoid = SigmoidWithLoss()
    sigmoid.forward(x, bits(rng, 6, 4, dtype))
    np.testing.assert_allclose(sigmoid.y, 1 / (1 + np.exp(-x)), rtol=1e-6)


def test_evaluate_of_a_loss_keeps_nothing(case, dtype, rng):
    kind, target, _ = case
    loss = kind()
    x, t = numbers(rng, 5, 3, dtype), target(rng, 5, 3, dtype)
    assert loss.evaluate(x, t) == kind().forward(x, t)
    assert loss.loss is loss.y is loss.t is None
    value, dx = loss.forward(x, t), loss.backward()
    loss.evaluate(2 * x, t)
    assert loss.loss == value and loss.backward().tobytes() == dx.tobytes()


def test_one_sample_is_a_row(dtype, rng):
    x, loss = rng.standard_normal(4).astype(dtype), SoftmaxWithLoss()
    row = SoftmaxWithLoss()
    value = row.forward(x[np.newaxis], [2])
    for t in (2, np.int64(2), [2], np.array(2)):
        assert loss.forward(x, t) == value
        assert loss.backward().shape == (4,)
        assert loss.backward().tobytes() == row.backward().tobytes()
    assert loss.forward(x, [0, 0, 1, 0]) == pytest.approx(value, rel=1e-6)
    assert loss.forward(x, np.array([[0, 0, 1, 0]])) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("shape", [(), (5,), (5, 1), (2, 3, 4)])
@pytest.mark.parametrize("kind", [SigmoidWithLoss, MeanSquaredError])
def test_elementwise_losses_take_any_shape_and_average_over_all_elements(kind, shape, dtype, rng):
    x, t = np.asarray(rng.random((2, *shape)), dtype)
    loss = kind()
    value, dx = loss.forward(x, t), loss.backward()
    flat = kind()
    assert value == flat.forward(np.reshape(x, -1), np.reshape(t, -1))
    assert dx.shape == shape and dx.tobytes() == flat.backward().tobytes()


@pytest.mark.parametrize("t_dtype", ["bool", "int64", "float16", "float32", "float64"])
def test_targets_are_converted_to_the_outputs_dtype(t_dtype, dtype, rng):
    x = rng.standard_normal((5, 2)).astype(dtype)
    t = rng.integers(0, 2, (5, 2)).astype(t_dtype)
    for loss in (SigmoidWithLoss(), MeanSquaredError()):
        assert loss.forward(x, t) == type(loss)().forward(x, t.astype(dtype))
        assert loss.t.dtype == loss.backward().dtype == dtype


def test_loss_of_no_samples_is_nan(case, dtype, rng):
    kind, target, _ = case
    loss = kind()
    assert np.isnan(loss.forward(np.empty((0, 3), dtype), target(rng, 0, 3, dtype)))
    assert loss.backward().shape == (0, 3)


def test_losses_are_exact_far_out(dtype):
    """No overflow and no log(0), where the book's formula gives inf or log(1e-7)."""
    x = np.array([[1000.0, 0.0], [0.0, 1000.0]], dtype)
    assert SoftmaxWithLoss().forward(x, [0, 1]) == 0
    assert SoftmaxWithLoss().forward(x, [1, 0]) == 1000
    assert SigmoidWithLoss().forward(x[0, :1], [0.0]) == 1000
    assert SigmoidWithLoss().forward(-x[0, :1], [1.0]) == 1000
    assert SigmoidWithLoss().forward(x[0, :1], [1.0]) == 0


def test_squared_error_of_float32_does_not_overflow():
    loss = MeanSquaredError()
    assert loss.forward(np.full(3, 1e30, "f4"), np.zeros(3)) == pytest.approx(1e60, rel=1e-6)


@pytest.mark.parametrize(
    "x, t, right",
    [
        ([1e308, -1e308], [1e308, 1e308], np.inf),  # its terms are inf - inf
        ([-1e308, 0.0], [1e308, 0.0], np.inf),
        ([1e308, np.nan], [1e308, 1.0], np.nan),
        ([1e308, np.nan], [1e308, 0.0], np.nan),
    ],
)
def test_a_poisson_loss_beyond_all_numbers_is_inf(x, t, right):
    for library in (_kernels, reference):
        loss = library.loss_forward("poisson", np.array(x), np.array(t), np.empty(2))
        np.testing.assert_equal(loss, right)


def test_results_of_losses_are_the_callers_own(case, dtype, rng):
    kind, target, _ = case
    loss = kind()
    x, t = numbers(rng, 5, 3, dtype), target(rng, 5, 3, dtype)
    loss.forward(x, t)
    dx = loss.backward()
    before = dx.tobytes()
    loss.forward(2 * x, t)
    assert not np.may_share_memory(loss.backward(), dx) and dx.tobytes() == before


# --- softmax and cross_entropy_error --------------------------------------------------------


@pytest.mark.parametrize("shape", [(1,), (5,), (1, 1), (7, 3), (0, 3), (40, 33)])
def test_softmax_is_taken_of_each_row(shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    y = softmax(x)
    rows = np.exp(log_softmax(np.atleast_2d(x))).reshape(shape)
    assert y.dtype == dtype and y.shape == shape
    np.testing.assert_allclose(y, rows.astype(dtype), rtol=1e-6 if dtype == "f4" else 1e-14)


@pytest.mark.parametrize("value", [1000.0, -1000.0, 0.0])
def test_softmax_does_not_overflow(value, dtype):
    np.testing.assert_array_equal(softmax(np.full((2, 4), value, dtype)), 0.25)


def test_cross_entropy_error_of_probabilities(dtype, rng, tolerance):
    y, t = soft(rng, 6, 4, dtype), soft(rng, 6, 4, dtype)
    rel = tolerance("loss", dtype)
    assert cross_entropy_error(y, t) == pytest.approx(-(t * np.log(y)).sum() / 6, rel=10 * rel)
    labels = np.array([0, 1, 2, 3, 3, 0])
    expected = -np.log(y[np.arange(6), labels]).mean()
    assert cross_entropy_error(y, labels) == pytest.approx(expected, rel=rel)
    assert cross_entropy_error(y, np.eye(4)[labels]) == pytest.approx(expected, rel=10 * rel)
    assert cross_entropy_error(y[0], 2) == pytest.approx(-np.log(y[0, 2]), rel=rel)
    assert cross_entropy_error(y[0], [0, 0, 1, 0]) == pytest.approx(-np.log(y[0, 2]), rel=rel)


@pytest.mark.parametrize("t", [[0, 1], [[1, 0], [0, 1]], [[1.0, 0.0], [0.0, 1.0]]])
def test_cross_entropy_error_of_certain_probabilities(t, dtype):
    """0 log 0 is 0, without a warning; a probability of 0 at the right class is inf."""
    y = np.array([[1.0, 0.0], [0.0, 1.0]], dtype)
    assert cross_entropy_error(y, t) == 0
    assert cross_entropy_error(y[::-1], t) == np.inf


def test_softmax_loss_with_a_logit_of_minus_infinity_is_quiet(dtype):
    """A class that cannot occur and is not expected costs nothing, compiled or as twin."""
    x = np.array([[0.0, -np.inf]], dtype)
    for name in ("compiled", "reference"):
        with fastbp.use(name):
            assert SoftmaxWithLoss().forward(x, [0]) == 0
            assert SoftmaxWithLoss().forward(x, [[1.0, 0.0]]) == 0


def test_a_delta_of_0_would_train_nothing():
    with pytest.raises(ValueError, match="HuberLoss expects delta above 0; got 0"):
        fastbp.HuberLoss(0)


@pytest.mark.parametrize(
    ("loss", "wrong", "says"),
    [
        (fastbp.HingeLoss, 0.0, "of -1 and 1; got 0"),
        (fastbp.PoissonLoss, -1.0, "of at least 0; got -1"),
        (fastbp.PoissonLoss, np.nan, "of at least 0; got nan"),
        (fastbp.HingeLoss, np.nan, "of -1 and 1; got nan"),
        (fastbp.SigmoidWithLoss, 3.0, "between 0 and 1; got 3"),
    ],
)
def test_targets_that_a_loss_does_not_take_are_refused_wherever_they_are_given(loss, wrong, says):
    x = np.linspace(-1, 1, 12, dtype="f4").reshape(4, 3)
    t = np.full((4, 2), 1.0, "f4")
    t[2, 1] = wrong
    net = fastbp.Sequential(fastbp.Linear(3, 2, seed=0), loss=loss())
    before = net.params["W1"].copy()
    trainer = fastbp.Trainer(net, fastbp.SGD(lr=0.1), 4)
    for use in (
        lambda: trainer.step(x, t),
        lambda: net.fit(x, t, epochs=1, optimizer=fastbp.SGD(lr=0.1)),
        lambda: net.loss(x, t),
        lambda: net.gradient(x, t),
        lambda: loss().forward(x[:, :2], t),
    ):
        with pytest.raises(ValueError, match=says):
            use()
    assert (net.params["W1"] == before).all()


# --- smoothed targets -----------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("of_rows", [False, True])
@pytest.mark.parametrize("n_classes", [2, 10, 40])
@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_smoothed_targets_train_as_their_own_rows(smoothing, n_classes, of_rows, weighted, dtype, rng):
    x = rng.standard_normal((30, 7)).astype(dtype)
    t = rng.random((30, n_classes))
    if not of_rows:
        t = np.eye(n_classes)[t.argmax(axis=1)]
    t /= t.sum(axis=1, keepdims=True)
    own = (1 - smoothing) * t + smoothing / n_classes
    given = t if of_rows else t.argmax(axis=1)
    weights = rng.random(30) if weighted else None
    nets = []
    for loss, targets in ((SoftmaxWithLoss(smoothing), given), (SoftmaxWithLoss(), own)):
        net = fastbp.Sequential(fastbp.Linear(7, n_classes, seed=1, dtype=dtype.name), loss=loss)
        net.fit(x, targets, epochs=3, batch_size=8, optimizer=fastbp.SGD(lr=0.5), seed=0, sample_weight=weights)
        nets.append(net)
    close = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(nets[0].params["W1"], nets[1].params["W1"], atol=close)
    np.testing.assert_allclose(nets[0].loss(x, given), nets[1].loss(x, own), atol=close)
    for z, dz in zip(nets[0].gradient(x, given).values(), nets[1].gradient(x, own).values(), strict=True):
        np.testing.assert_allclose(z, dz, atol=close)
    if not of_rows:
        assert nets[0].accuracy(x, given) == nets[1].accuracy(x, given)


def test_a_smoothing_may_change_while_a_trainer_steps(rng):
    x, t = rng.standard_normal((8, 3)), rng.integers(4, size=8)
    nets = [fastbp.Sequential(fastbp.Linear(3, 4, seed=0, dtype="float64"), loss=SoftmaxWithLoss()) for _ in range(2)]
    trainer = fastbp.Trainer(nets[0], fastbp.SGD(lr=0.5), 8)
    for smoothing in (0.0, 0.3, 0.0):
        for net in nets:
            net.loss_layer.label_smoothing = smoothing
        trainer.step(x, t)
        fastbp.SGD(lr=0.5).update(nets[1].params, nets[1].gradient(x, t))
    np.testing.assert_allclose(nets[0].params["W1"], nets[1].params["W1"], rtol=1e-12)
    assert repr(nets[0].loss_layer) == "SoftmaxWithLoss()"
    assert repr(SoftmaxWithLoss(0.1)) == "SoftmaxWithLoss(label_smoothing=0.1)"


def test_a_focal_loss_of_gamma_0_is_the_cross_entropy(dtype, rng):
    x = (5 * rng.standard_normal((20, 3))).astype(dtype)
    t = rng.integers(0, 2, (20, 3)).astype(dtype)
    focal, plain = fastbp.FocalLoss(0), fastbp.SigmoidWithLoss()
    close = 1e-6 if dtype == "float32" else 1e-14
    assert focal.forward(x, t) == pytest.approx(plain.forward(x, t), rel=close)
    np.testing.assert_allclose(focal.backward(), plain.backward(), atol=close)
    net = fastbp.Sequential(fastbp.Linear(3, 3, seed=0, dtype=dtype.name), loss="focal")
    history = net.fit(x, t, epochs=2, seed=0, optimizer=fastbp.SGD(lr=0.1))
    assert history.train_accuracy[-1] == pytest.approx(net.accuracy(x, t), abs=0.2)
    assert (net.predict_proba(x) > 0).all() and (net.predict_proba(x) < 1).all()
