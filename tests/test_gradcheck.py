"""The gradient check: what it passes, what it fails, what it skips, and what it leaves alone."""

import pickle
import threading
from collections import OrderedDict
from itertools import pairwise

import numpy as np
import pytest

import fastbp
from fastbp import (
    Affine,
    BatchNorm1d,
    BatchNormalization,
    Flatten,
    Identity,
    Linear,
    MeanSquaredError,
    Relu,
    Sequential,
    Sigmoid,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    Tanh,
    gradient_check,
    nn,
    numerical_gradient,
)
from fastbp.gradcheck import GradientReport

backends = pytest.mark.parametrize("backend", ["compiled", "reference"])


def affine(n_in, n_out, dtype="float64", seed=0, cls=Affine):
    rng = np.random.default_rng(seed)
    W, b = rng.standard_normal((n_in, n_out)), rng.standard_normal(n_out)
    return cls(W.astype(dtype), b.astype(dtype))


def network(*sizes, activation=Relu, loss=SoftmaxWithLoss, dtype="float64", cls=Affine):
    layers = []
    for seed, (n_in, n_out) in enumerate(pairwise(sizes)):
        layers += [affine(n_in, n_out, dtype, seed, cls), activation()]
    return Sequential(*layers[:-1], loss=loss())


def targets(loss, shape, rng):
    """Targets that fit a loss; "rows" are soft."""
    n_rows, n_out = shape
    if loss is SoftmaxWithLoss:
        return rng.integers(0, n_out, n_rows)
    return rng.random(shape)


# --- numerical_gradient ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a.T,
        lambda a: a[::2],
        lambda a: a[::-1, ::-1],
        lambda a: a[:, 1:4].swapaxes(0, 1),
        lambda a: np.asfortranarray(a),
        lambda a: a.reshape(2, 3, 5),
        lambda a: a[0, 0, ...],  # no axis
        lambda a: a[:0],
        lambda a: a.astype(">f8"),
        lambda a: np.frombuffer(bytearray(b"\0" + a.tobytes()), np.float64, 30, 1),
    ],
)
def test_numerical_gradient_for_any_shape_and_strides(view, rng):
    x = view(rng.standard_normal((6, 5)))
    factors = rng.standard_normal(x.shape)
    before = x.tobytes()
    gradient = numerical_gradient(lambda v: np.sum(factors * v**3), x)
    assert x.tobytes() == before
    assert gradient.dtype == np.float64 and gradient.flags.c_contiguous
    assert gradient.shape == x.shape
    np.testing.assert_allclose(gradient, 3 * factors * x**2, rtol=1e-6, atol=1e-7)


def test_numerical_gradient_perturbs_in_place_for_an_f_that_ignores_its_argument(rng):
    W = rng.standard_normal((3, 2))
    seen = []

    def f(argument):
        assert argument is W
        seen.append(W.copy())
        return float((W**2).sum())

    np.testing.assert_allclose(numerical_gradient(f, W, h=1e-3), 2 * W, rtol=1e-9)
    assert len(seen) == 12
    assert seen[0][0, 0] - seen[1][0, 0] == pytest.approx(2e-3)


def test_numerical_gradient_restores_every_bit():
    bits = np.array([0.1, -0.0, np.inf, np.nan, 5e-324, 1e8 / 3, -1e-300])
    bits[3:4].view(np.uint64)[0] |= 0x123  # a NaN with something in it
    x = np.delete(bits, 2)
    before = x.tobytes()
    gradient = numerical_gradient(lambda v: np.nansum(v), x)
    assert x.tobytes() == before
    np.testing.assert_allclose(np.delete(gradient, 2), 1, rtol=1e-3)


@pytest.mark.parametrize("fails_at", [0, 1, 5])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_numerical_gradient_restores_when_f_raises(fails_at, error, rng):
    x = rng.standard_normal((2, 3))
    before = x.tobytes()
    calls = iter(range(100))

    def f(v):
        if next(calls) == fails_at:
            raise error
        return v.sum()

    with pytest.raises(error):
        numerical_gradient(f, x)
    assert x.tobytes() == before


@pytest.mark.parametrize("value", [np.ones(2), np.ones(1), None, "1", 1j, {}])
def test_numerical_gradient_refuses_an_f_without_one_number(value):
    x = np.array([0.1, 0.2])
    with pytest.raises(TypeError, match=r"^numerical_gradient expects f to return one real number"):
        numerical_gradient(lambda v: value, x)
    assert x.tolist() == [0.1, 0.2]


@pytest.mark.parametrize("value", [3, 3.0, np.float32(3), np.array(3.0), True])
def test_numerical_gradient_takes_any_kind_of_number(value):
    assert numerical_gradient(lambda v: value, np.ones(2)).tolist() == [0, 0]


def test_numerical_gradient_in_float32_divides_by_what_was_added():
    x = np.array([1.0, 1000.0, 3e-5], np.float32)
    before = x.tobytes()
    gradient = numerical_gradient(lambda v: float(v.astype(np.float64).sum()), x, h=1e-3)
    np.testing.assert_allclose(gradient, 1, rtol=1e-12)  # 2h alone would be 10 % off at 1000
    assert x.tobytes() == before


def test_numerical_gradient_of_a_memory_map_and_a_masked_array(tmp_path):
    mapped = np.memmap(tmp_path / "x", "f8", "w+", shape=(2, 2))
    mapped[...] = 3
    np.testing.assert_allclose(numerical_gradient(lambda v: (v * v).sum(), mapped), 6)
    masked = np.ma.array([1.0, 2.0], mask=[True, False])
    gradient = numerical_gradient(lambda v: (v.data**2).sum(), masked)
    np.testing.assert_allclose(gradient, [2, 4])
    assert masked.mask.tolist() == [True, False] and masked.data.tolist() == [1, 2]


@pytest.mark.parametrize(
    "x, error, text",
    [
        ([1.0], TypeError, "expects x as a NumPy array, which it changes in place; got a list."),
        (1.0, TypeError, "got a float."),
        (None, TypeError, "got None."),
        (np.ones(2, int), TypeError, "expects x of floating dtype; got int64."),
        (np.ones(2, bool), TypeError, "got bool."),
        (np.ones(2, complex), TypeError, "got complex128."),
        (np.ones(2, object), TypeError, "got object."),
        (np.broadcast_to(1.0, 3), ValueError, "expects x to be writable; got a read-only array."),
        (np.array([1.0, 1e20]), ValueError, "got h 0.0001 for 1e+20 at [1]."),
        (np.array([np.inf]), ValueError, "for inf at [0]."),
    ],
)
def test_numerical_gradient_refuses_what_it_cannot_perturb(x, error, text):
    with pytest.raises(error) as caught:
        numerical_gradient(lambda v: 0.0, x)
    message = str(caught.value)
    assert message.startswith("numerical_gradient expects ") and message.endswith(text)


@pytest.mark.parametrize("h", [0, -1e-4, np.nan, "small", None])
def test_numerical_gradient_refuses_a_bad_step(h):
    with pytest.raises((TypeError, ValueError), match=r"^numerical_gradient expects h "):
        numerical_gradient(np.sum, np.ones(2), h=h)


# --- every layer, loss and network ----------------------------------------------------------

LAYERS = {
    "affine": (lambda dtype: affine(4, 3, dtype), (5, 4), 4 * 3 + 3 + 20),
    "affine, one row": (lambda dtype: affine(4, 3, dtype), (1, 4), 4 * 3 + 3 + 4),
    "affine, one sample": (lambda dtype: affine(4, 3, dtype), (4,), 4 * 3 + 3 + 4),
    "affine, one column": (lambda dtype: affine(1, 1, dtype), (5, 1), 1 + 1 + 5),
    "affine, images": (lambda dtype: affine(12, 2, dtype), (3, 1, 4, 3), 24 + 2 + 36),
    "linear": (lambda dtype: Linear(4, 3, dtype=dtype, seed=0), (5, 4), 4 * 3 + 3 + 20),
    "relu": (lambda dtype: Relu(), (5, 4), 20),
    "relu, one sample": (lambda dtype: Relu(), (4,), 4),
    "sigmoid": (lambda dtype: Sigmoid(), (5, 4), 20),
    "tanh": (lambda dtype: Tanh(), (5, 4), 20),
    "tanh, images": (lambda dtype: Tanh(), (2, 1, 3, 4), 24),
    "identity": (lambda dtype: Identity(), (5, 4), 20),
    "flatten": (lambda dtype: Flatten(), (5, 4), 20),
    "flatten, images": (lambda dtype: Flatten(), (2, 3, 2, 2), 24),
    "flatten, one sample": (lambda dtype: Flatten(), (4,), 4),
}


@backends
@pytest.mark.parametrize("name", LAYERS)
def test_layers_pass(name, backend, dtype, rng):
    make, shape, coordinates = LAYERS[name]
    x = rng.standard_normal(shape).astype(dtype)
    with fastbp.use(backend):
        report = gradient_check(make(dtype), x, full=True)
    assert report.passed and report.largest_relative_error < 2e-6, report
    assert report.checked == coordinates and report.kinks == 0
    assert max(report.mean_absolute_difference.values()) < 1e-8


@backends
@pytest.mark.parametrize("scale", [1e-3, 1, 30])
@pytest.mark.parametrize(
    "loss, kind",
    [
        (SoftmaxWithLoss, "indices"),
        (SoftmaxWithLoss, "one-hot"),
        (SoftmaxWithLoss, "rows"),
        (SigmoidWithLoss, "values"),
        (MeanSquaredError, "values"),
    ],
)
def test_losses_pass(loss, kind, scale, backend, dtype, rng):
    x = (scale * rng.standard_normal((5, 4))).astype(dtype)
    t = {
        "indices": np.array([0, 3, 1, 1, 2]),
        "one-hot": np.eye(4, dtype=dtype)[[0, 3, 1, 1, 2]],
        "rows": rng.dirichlet(np.ones(4), 5),
        "values": rng.random((5, 4)).astype(dtype),
    }[kind]
    with fastbp.use(backend):
        report = gradient_check(loss(), x, t, full=True)
    assert report.passed and report.largest_relative_error < 2e-6, report
    assert report.checked == 20 and report.parameter == "x"
    if kind != "rows":  # one sample
        assert gradient_check(loss(), x[0], t[0])


NETWORKS = [
    ((4, 3), Identity, SoftmaxWithLoss),
    ((4, 5, 1), Tanh, MeanSquaredError),
    ((1, 8, 1), Relu, SigmoidWithLoss),
    ((4, 7, 6, 3), Relu, SoftmaxWithLoss),
    ((17, 33, 5), Sigmoid, SigmoidWithLoss),
    ((3, 9, 9, 9, 9, 2), Tanh, SoftmaxWithLoss),
]


@backends
@pytest.mark.parametrize("n_rows", [1, 20])
@pytest.mark.parametrize("sizes, activation, loss", NETWORKS)
def test_networks_pass(sizes, activation, loss, n_rows, backend, dtype, rng):
    net = network(*sizes, activation=activation, loss=loss, dtype=dtype)
    x = rng.standard_normal((n_rows, sizes[0])).astype(dtype)
    with fastbp.use(backend):
        report = gradient_check(net, x, targets(loss, (n_rows, sizes[-1]), rng))
    assert report.passed and report.largest_relative_error < 5e-6, report
    assert set(report.mean_absolute_difference) == set(net.params)


@pytest.mark.parametrize("scale", [1e-3, 0.1, 10, 1000])
@pytest.mark.parametrize("activation", [Relu, Sigmoid, Tanh, Identity])
def test_networks_pass_at_every_scale_of_the_loss(scale, activation, rng):
    """scale is about the square root of the loss: 1e-6 to 1e6."""
    net = network(6, 8, 2, activation=activation, loss=MeanSquaredError)
    net.params["W2"] *= scale
    net.params["b2"] *= scale
    x = rng.standard_normal((10, 6))
    report = gradient_check(net, x, scale * rng.standard_normal((10, 2)), full=True)
    assert report.passed and report.largest_relative_error < 5e-6, report


@pytest.mark.parametrize("scale", [1e-3, 255, 1e4])
def test_networks_pass_at_every_scale_of_the_input(scale, rng):
    x, t = scale * rng.standard_normal((10, 6)), rng.integers(0, 3, 10)
    for activation in (Relu, Tanh, Sigmoid):
        assert gradient_check(network(6, 8, 3, activation=activation), x, t)


@pytest.mark.parametrize("mistake", [1, 1.01])
def test_deep_sigmoid_network_with_tiny_gradients(mistake, rng):
    """The first layer's are millionths of the loss or less: only large steps can tell."""

    def change(dx, dW, db, dout):
        return dx, mistake * dW, db

    first = mistaken(change)(0.01 * rng.standard_normal((8, 8)), np.zeros(8))
    others = [Linear(8, 8, init=0.01, seed=seed) for seed in range(3)]
    layers = [layer for other in others for layer in (Sigmoid(), other)]
    net = Sequential(first, *layers, loss=SoftmaxWithLoss())
    x, t = rng.standard_normal((20, 8)), rng.integers(0, 3, 20)
    assert 1e-10 < abs(net.gradient(x, t)["W1"]).max() < 1e-6
    report = gradient_check(net, x, t)
    assert report.passed == (mistake == 1)
    assert mistake == 1 or report.parameter == "W1"


def test_trained_network_with_a_tiny_loss_passes():
    x, t = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    net = Sequential(Affine(40 * np.eye(2), np.zeros(2)), loss=SoftmaxWithLoss())
    assert net.loss(x, t) < 1e-15  # so that every difference of losses is 0 by rounding
    assert gradient_check(net, x, t)
    net.params["W1"] /= 4
    assert 1e-6 < net.loss(x, t) < 1e-4
    assert gradient_check(net, x, t)


def test_elements_larger_than_any_absolute_step_are_checked():
    class Wrong(Identity):
        def backward(self, dout):
            return 1.01 * super().backward(dout)

    x = np.array([1e16, -3e15])
    assert gradient_check(Identity(), x)
    assert not gradient_check(Wrong(), x)


def test_dead_units_and_unused_inputs_have_exact_zeros_and_pass(rng):
    net = network(5, 6, 3)
    net.params["b1"][:3] = -100
    x = rng.standard_normal((8, 5))
    x[:, 2] = 0
    report = gradient_check(net, x, rng.integers(0, 3, 8), full=True)
    assert report.passed and report.checked == 30 + 6 + 18 + 3


def test_network_whose_every_gradient_is_zero_passes():
    net = Sequential(Affine(np.ones((2, 1)), np.zeros(1)), loss=SoftmaxWithLoss())
    report = gradient_check(net, np.ones((3, 2)), np.zeros(3, int))
    assert report.passed and report.largest_relative_error == 0


# --- planted mistakes -----------------------------------------------------------------------


def mistaken(change):
    """Affine whose (dx, dW, db) go through `change(dx, dW, db, dout)`."""

    class Mistaken(Affine):
        def pullback(self, saved, dout, need_dx=True):
            dx, (dW, db) = super().pullback(saved, dout)
            dx, dW, db = change(dx, dW, db, dout)
            return dx, (dW, db)

    return Mistaken


def one_element(array, factor=1.01):
    array = array.copy()
    array[np.unravel_index(np.argmax(abs(array)), array.shape)] *= factor
    return array


MISTAKES = {
    "dW 1 % off": ("W", lambda dx, dW, db, dout: (dx, 1.01 * dW, db)),
    "db 1 % off": ("b", lambda dx, dW, db, dout: (dx, dW, 0.99 * db)),
    "sign of dW": ("W", lambda dx, dW, db, dout: (dx, -dW, db)),
    "sign of db": ("b", lambda dx, dW, db, dout: (dx, dW, -db)),
    "no dW": ("W", lambda dx, dW, db, dout: (dx, 0 * dW, db)),
    "dW transposed": ("W", lambda dx, dW, db, dout: (dx, dW.T.copy(), db)),
    "dW reversed": ("W", lambda dx, dW, db, dout: (dx, dW[::-1], db)),
    "db averaged": ("b", lambda dx, dW, db, dout: (dx, dW, dout.mean(axis=0))),
    "db of one row": ("b", lambda dx, dW, db, dout: (dx, dW, dout[0].copy())),
    "db summed over all": ("b", lambda dx, dW, db, dout: (dx, dW, 0 * db + dout.sum())),
    "one element of dW": ("W", lambda dx, dW, db, dout: (dx, one_element(dW), db)),
    "one element of db": ("b", lambda dx, dW, db, dout: (dx, dW, one_element(db))),
}
OF_THE_INPUT = {
    "dx 1 % off": lambda dx, dW, db, dout: (1.01 * dx, dW, db),
    "sign of dx": lambda dx, dW, db, dout: (-dx, dW, db),
    "one row of dx": lambda dx, dW, db, dout: (np.vstack([2 * dx[:1], dx[1:]]), dW, db),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_layer_with_a_mistake_fails(name, dtype, rng):
    parameter, change = MISTAKES[name]
    report = gradient_check(affine(4, 4, dtype, cls=mistaken(change)), rng.standard_normal((5, 4)))
    assert not report.passed and not bool(report)
    assert report.parameter == parameter and report.index is not None
    assert report.largest_relative_error > 1e-3


@pytest.mark.parametrize("name", OF_THE_INPUT)
def test_layer_with_a_mistake_in_dx_fails(name, rng):
    layer = affine(4, 3, cls=mistaken(OF_THE_INPUT[name]))
    report = gradient_check(layer, rng.standard_normal((5, 4)))
    assert not report.passed and report.parameter == "x"


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("name", MISTAKES)
def test_network_with_a_mistake_fails(name, place, scale, rng):
    parameter, change = MISTAKES[name]
    layers = [affine(6, 6), Relu(), affine(6, 6, seed=1), Tanh(), affine(6, 6, seed=2)]
    layers[place] = affine(6, 6, seed=place, cls=mistaken(change))
    net = Sequential(*layers, loss=MeanSquaredError())
    net.params["W3"] *= scale**0.5
    net.params["b3"] *= scale**0.5
    t = scale**0.5 * rng.standard_normal((7, 6))
    report = gradient_check(net, rng.standard_normal((7, 6)), t)
    assert not report.passed and report.parameter == f"{parameter}{place // 2 + 1}"


@pytest.mark.parametrize("name", OF_THE_INPUT)
def test_network_with_a_mistake_in_dx_fails_below(name, rng):
    layers = [affine(6, 5), Tanh(), affine(5, 4, cls=mistaken(OF_THE_INPUT[name]))]
    net = Sequential(*layers, loss=SoftmaxWithLoss())
    report = gradient_check(net, rng.standard_normal((7, 6)), rng.integers(0, 4, 7))
    assert not report.passed and report.parameter in ("W1", "b1")


@pytest.mark.parametrize("where", ["a column", "a row", "the end"])
def test_sample_sees_a_mistake_in_elements_that_it_left_out(where, rng):
    """1 % in a part of a large matrix: few of its elements are drawn, if any."""

    def change(dx, dW, db, dout):
        part = {"a column": np.s_[:, 77], "a row": np.s_[3], "the end": np.s_[-4:, -4:]}[where]
        dW[part] *= 1.01
        return dx, dW, db

    layer = affine(80, 90, cls=mistaken(change))
    report = gradient_check(layer, rng.standard_normal((5, 80)), n_samples=2)
    assert not report.passed and report.parameter == "W"
    assert report.index is None and "W, all elements at once" in str(report)
    full = gradient_check(layer, rng.standard_normal((5, 80)), full=True)
    assert full.parameter == "W" and full.index is not None


def test_sample_holds_the_largest_elements(rng):
    layer = affine(80, 90, cls=mistaken(MISTAKES["one element of dW"][1]))
    report = gradient_check(layer, rng.standard_normal((5, 80)), n_samples=2)
    assert not report.passed and report.parameter == "W" and report.index is not None


@pytest.mark.parametrize("share, passes", [(5e-7, True), (2e-6, False)])
def test_small_elements_are_judged_by_a_tenth_of_the_largest(share, passes, rng):
    def change(dx, dW, db, dout):
        dW[1, 1] += share * abs(dW).max()
        return dx, dW, db

    x = rng.standard_normal((5, 4))
    x[:, 1] = 0  # so that row 1 of dW is 0
    report = gradient_check(affine(4, 3, cls=mistaken(change)), x, full=True)
    assert report.passed == passes
    assert report.largest_relative_error == pytest.approx(10 * share, rel=0.01)


class DoubledLoss(SoftmaxWithLoss):
    def backward(self, dout=1):
        return super().backward(2 * dout)


class SummedLoss(MeanSquaredError):
    def backward(self, dout=1):
        return super().backward(dout) * self.y.size


@pytest.mark.parametrize("loss, t", [(DoubledLoss, [0, 1, 1]), (SummedLoss, np.ones((3, 2)))])
def test_loss_with_a_mistake_fails(loss, t, rng):
    x = rng.standard_normal((3, 2))
    assert not gradient_check(loss(), x, t)
    assert not gradient_check(Sequential(affine(2, 2), loss=loss()), x, t)


def test_activation_with_a_mistake_fails(rng):
    class LeakyBackward(Relu):
        def backward(self, dout):
            return np.where(self.mask, 0.01 * dout, dout)

    assert not gradient_check(LeakyBackward(), rng.standard_normal((3, 4)))


@pytest.mark.parametrize(
    "dW, problem",
    [
        (None, "there is no gradient of W"),
        (np.ones((3, 4)), r"the gradient of W has shape \(3, 4\), and W \(4, 3\)"),
        (1.0, r"the gradient of W has shape \(\), and W \(4, 3\)"),
        (np.full((4, 3), np.nan), "the gradient of W is not finite"),
        (np.full((4, 3), np.inf), "the gradient of W is not finite"),
    ],
)
def test_gradient_of_the_wrong_form_fails(dW, problem, rng):
    layer = affine(4, 3, cls=mistaken(lambda dx, _, db, dout: (dx, dW, db)))
    report = gradient_check(layer, rng.standard_normal((5, 4)))
    assert not report.passed and report.parameter == "W"
    assert report.largest_relative_error == np.inf
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(report.problem)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_loss_that_is_not_finite_fails(value):
    net = network(2, 3, loss=MeanSquaredError)
    x = np.array([[1.0, value]])
    with np.errstate(invalid="ignore"):
        report = gradient_check(net, x, np.ones((1, 3)))
    assert not report.passed and report.problem == f"the loss is {value}"
    assert f"the loss is {value}" in str(report)


def test_loss_that_is_finite_only_here_fails():
    class Net:
        def __init__(self):
            self.params = {"w": np.array([1.0])}

        def loss(self, x, t):
            return float(self.params["w"][0]) if self.params["w"][0] <= 1 else np.nan

        def gradient(self, x, t):
            return {"w": np.array([1.0])}

    report = gradient_check(Net(), np.ones(1), np.ones(1))
    assert not report.passed and report.largest_relative_error == np.inf


# --- kinks ----------------------------------------------------------------------------------


def test_kinks_of_a_layer_are_skipped_and_counted():
    x = np.array([[0.0, 1.0, -1.0], [1e-8, -1e-8, 1e-3]])
    report = gradient_check(Relu(), x, full=True)
    assert report.passed and report.kinks == 3 and report.checked == 3


def test_kinks_wherever_all_elements_are_moved_at_once_do_not_fail():
    x = np.append(np.zeros(50), np.linspace(1, 2, 50))
    report = gradient_check(Relu(), x, n_samples=10)
    assert report.passed and report.checked >= 5 and report.kinks >= 1


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (30, 30)])
def test_report_does_not_pass_where_everything_was_skipped(shape):
    report = gradient_check(Relu(), np.zeros(shape))
    assert not report.passed and report.checked == 0
    assert report.kinks == min(40, np.prod(shape))
    assert "the loss has a kink at each of the" in report.problem


def test_parameter_with_nothing_but_kinks_does_not_pass():
    net = Sequential(Linear(2, 3, seed=0), Relu(), Linear(3, 2, seed=1), loss=SoftmaxWithLoss())
    x = np.array([[0.0, 0.0], [1.0, 2.0]])  # the first row and the bias are 0: a kink for b1
    report = gradient_check(net, x, [0, 1])
    assert not report.passed and report.parameter == "b1" and report.kinks == 3
    assert np.isnan(report.mean_absolute_difference["b1"])
    assert gradient_check(net, x[1:], [1])


def test_kinks_of_a_network_are_skipped_and_counted():
    # Unit 0 is at its kink, unit 1 is not: W1[:, 0] and b1[0] are skipped.
    W = np.array([[1.0, 1.0], [1.0, 2.0]])
    net = Sequential(Affine(W, np.zeros(2)), Relu(), affine(2, 2), loss=SoftmaxWithLoss())
    report = gradient_check(net, np.array([[1.0, -1.0], [1.0, 3.0]]), [0, 1], full=True)
    assert report.passed and report.kinks == 3 and report.checked == 3 + 6


def test_large_batch_near_many_kinks_is_checked_with_a_smaller_step(rng):
    """10000 rows on a grid so fine that some row has a kink within 1e-6."""
    net = Sequential(Affine(np.array([[1.0]]), np.array([0.0])), Relu(), affine(1, 1), loss=MeanSquaredError())
    x = (rng.permutation(10000)[:, None] - 5000.5) * 1e-7
    report = gradient_check(net, x, np.zeros((10000, 1)))
    assert report.passed and report.checked == 4


def test_same_relu_at_two_places(rng):
    relu = Relu()
    net = Sequential(affine(4, 5), relu, affine(5, 5, seed=1), relu, affine(5, 3, seed=2), loss=SoftmaxWithLoss())
    assert gradient_check(net, rng.standard_normal((6, 4)), rng.integers(0, 3, 6))


# --- other people's layers and networks -----------------------------------------------------


class BookAffine:
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.x = self.dW = self.db = None

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout):
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.W.T)


class BookRelu:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0  # overwrites the caller's array, as the book's does
        return dout


class BookSoftmaxWithLoss:
    def forward(self, x, t):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.sum(np.log(self.y[np.arange(len(t)), t])) / len(t)

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx / len(self.t)


class TwoLayerNet:
    """The book's, with its own layers or the library's."""

    def __init__(self, n_in, n_hidden, n_out, std=0.01, library=False, dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)
        self.params = {
            "W1": (std * rng.standard_normal((n_in, n_hidden))).astype(dtype),
            "b1": np.zeros(n_hidden, dtype),
            "W2": (std * rng.standard_normal((n_hidden, n_out))).astype(dtype),
            "b2": np.zeros(n_out, dtype),
        }
        dense, relu = (Affine, Relu) if library else (BookAffine, BookRelu)
        self.layers = OrderedDict()
        self.layers["Affine1"] = dense(self.params["W1"], self.params["b1"])
        self.layers["Relu1"] = relu()
        self.layers["Affine2"] = dense(self.params["W2"], self.params["b2"])
        self.last = SoftmaxWithLoss() if library else BookSoftmaxWithLoss()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.last.forward(self.predict(x), t)

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last.backward(1)
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        first, last = self.layers["Affine1"], self.layers["Affine2"]
        return {"W1": first.dW, "b1": first.db, "W2": last.dW, "b2": last.db}


@pytest.mark.parametrize("library", [False, True])
def test_two_layer_net_of_the_book_by_hand(library, rng):
    """784-50-10, three rows: the mean differences are below 1e-7 for every key."""
    net = TwoLayerNet(784, 50, 10, library=library)
    x, t = rng.random((3, 784), np.float32), np.array([5, 0, 4])
    gradient = net.gradient(x, t)
    for key in ("b1", "W2", "b2"):
        numeric = numerical_gradient(lambda W: net.loss(x, t), net.params[key])
        assert np.abs(numeric - gradient[key]).mean() < 1e-7
    some = net.params["W1"][300:310]  # a view, so that the network sees the perturbations
    numeric = numerical_gradient(lambda W: net.loss(x, t), some)
    assert np.abs(numeric - gradient["W1"][300:310]).mean() < 1e-7
    assert np.abs(numeric).max() > 1e-4


@pytest.mark.parametrize("library", [False, True])
def test_two_layer_net_of_the_book_passes(library, rng):
    net = TwoLayerNet(784, 50, 10, library=library)
    x, t = rng.random((3, 784), np.float32), np.array([5, 0, 4])
    report = gradient_check(net, x, t)
    assert report.passed and report.checked + report.kinks == 40 + 40 + 40 + 10
    assert list(report.mean_absolute_difference) == ["W1", "b1", "W2", "b2"]
    assert max(report.mean_absolute_difference.values()) < 1e-7


@pytest.mark.parametrize("key", ["W1", "b1", "W2", "b2"])
def test_two_layer_net_of_the_book_with_a_mistake_fails(key, rng):
    class Mistaken(TwoLayerNet):
        def gradient(self, x, t):
            return {k: 1.01 * g if k == key else g for k, g in super().gradient(x, t).items()}

    report = gradient_check(Mistaken(6, 5, 3, std=1), rng.random((4, 6)), np.array([0, 1, 2, 0]))
    assert not report.passed and report.parameter == key


@pytest.mark.parametrize("distance", [0, 1e-9, 3e-7, -3e-7, 9e-7])
def test_kinks_of_a_network_of_ones_own_are_skipped(distance):
    """No masks to look at: the differences themselves tell."""
    net = TwoLayerNet(2, 2, 2, std=1)
    net.params["W1"][...] = [[1.0, 1.0], [1.0, 2.0]]
    net.params["b1"][0] = distance  # unit 0 is so far from its kink
    x, t = np.array([[1.0, -1.0], [1.0, 3.0]]), np.array([0, 1])
    report = gradient_check(net, x, t, full=True)
    assert report.passed and report.checked + report.kinks == 12
    if distance == 0:
        assert report.kinks == 3


def test_network_of_ones_own_at_nothing_but_kinks_does_not_pass():
    net = TwoLayerNet(2, 3, 2, std=1)
    net.params["W1"][...] = 0
    report = gradient_check(net, np.ones((2, 2)), np.array([0, 0]))
    assert not report.passed and report.parameter == "W1" and "kink" in report.problem


def test_rough_loss_of_ones_own_does_not_pass():
    class Rounded(TwoLayerNet):
        def loss(self, x, t):
            return round(super().loss(x, t), 7)

    assert not gradient_check(Rounded(4, 5, 3, std=1), np.ones((2, 4)), np.array([0, 1]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layer_of_ones_own_is_checked_by_its_arrays_too(dtype, rng):
    W, b = rng.standard_normal((4, 3)).astype(dtype), rng.standard_normal(3).astype(dtype)
    layer, x = BookAffine(W, b), rng.standard_normal((5, 4))
    report = gradient_check(layer, x)
    assert report.passed and set(report.mean_absolute_difference) == {"x", "W", "b"}
    assert layer.W is W and layer.dW is None and W.dtype == dtype

    class Mistaken(BookAffine):
        def backward(self, dout):
            dx = super().backward(dout)
            self.db = self.db / len(dout)
            return dx

    assert gradient_check(Mistaken(W, b), x).parameter == "b"
    assert not gradient_check(Mistaken(W, b), x)


def test_what_a_layer_keeps_of_its_forward_is_no_parameter(rng):
    class Keeps(BookAffine):
        def forward(self, x):
            self.out = super().forward(x)
            return self.out

        def backward(self, dout):
            self.dout = dout
            self.dx = super().backward(dout)
            return self.dx

    layer, x = Keeps(rng.standard_normal((4, 3)), np.zeros(3)), rng.standard_normal((5, 4))
    layer.backward(layer.forward(x))
    report = gradient_check(layer, x)
    assert report.passed and set(report.mean_absolute_difference) == {"x", "W", "b"}


def test_layers_of_ones_own_within_a_sequential_are_checked_too(rng):
    class Mistaken(BookAffine):
        def backward(self, dout):
            dx = super().backward(dout)
            self.dW = 1.01 * self.dW
            return dx

    x, t = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    for cls, passes in ((BookAffine, True), (Mistaken, False)):
        own = cls(rng.standard_normal((4, 6)), rng.standard_normal(6))
        net = Sequential(own, BookRelu(), Linear(6, 3, seed=0), loss=BookSoftmaxWithLoss())
        report = gradient_check(net, x, t)
        assert report.passed == passes
        assert "W1" in report.mean_absolute_difference
        assert passes or report.parameter == "W1"


class Residual:
    """A layer of one's own around layers of the library, in float32."""

    def __init__(self, *inner):
        self.inner = list(inner)

    def forward(self, x):
        out = x
        for layer in self.inner:
            out = layer.forward(out)
        return x + out

    def backward(self, dout):
        dx = dout
        for layer in reversed(self.inner):
            dx = layer.backward(dx)
        return dout + dx


class Scaled(Affine):
    """A subclass with passes of its own; `share` is 1 where they are right."""

    share = 1

    def forward(self, x):
        return 3 * super().forward(x)

    def backward(self, dout):
        return super().backward(3 * self.share * dout)


class Adding:
    """Adds to the gradient that is there, as PyTorch does, and keeps what it needs as z and dz."""

    share = 1

    def __init__(self, W):
        self.W, self.dW = W, np.zeros(W.shape)

    def forward(self, x):
        self.x, self.z = x, x @ self.W
        return self.z**2

    def backward(self, dout):
        self.dz = 2 * self.z * dout
        self.dW += self.share * self.x.T @ self.dz
        return self.dz @ self.W.T


class Listed:
    """Parameters and gradients as two lists, or two dicts."""

    share = 1

    def __init__(self, params):
        self.params = params
        self.grads = [0] * len(params) if isinstance(params, list) else {}

    def keys(self):
        return (0, 1) if isinstance(self.params, list) else ("W", "b")

    def forward(self, x):
        self.x = x
        W, b = (self.params[key] for key in self.keys())
        return x @ W + b

    def backward(self, dout):
        W, b = self.keys()
        self.grads[W], self.grads[b] = self.x.T @ dout, self.share * dout.sum(axis=0)
        return dout @ self.params[W].T


@pytest.mark.parametrize("name", ["W_grad", "grad_W", "d_W", "dW"])
def test_gradients_of_ones_own_layer_by_their_usual_names(name, rng):
    class Own:
        share = 1

        def __init__(self):
            self.W = rng.standard_normal((4, 3))

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dout):
            setattr(self, name, self.share * self.x.T @ dout)
            return dout @ self.W.T

    x = rng.standard_normal((5, 4))
    report = gradient_check(Own(), x)
    assert report and set(report.mean_absolute_difference) == {"x", "W"}
    Own.share = 1.01
    assert gradient_check(Own(), x).parameter == "W" and not gradient_check(Own(), x)


@pytest.mark.parametrize(
    "make",
    [
        lambda W, b: Scaled(W, b),
        lambda W, b: Adding(W),
        lambda W, b: Listed([W, b]),
        lambda W, b: Listed({"W": W, "b": b}),
        lambda W, b: Residual(Scaled(W, b), Tanh()),
        lambda W, b: Residual(Residual(Linear(4, 4, seed=0), Tanh()), Scaled(W, b)),
        lambda W, b: Residual(Sequential(Scaled(W, b), Sigmoid())),
        lambda W, b: Residual(Linear(4, 4, seed=0, bias=False), Listed([W, b])),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_with_layers_of_ones_own(make, dtype, monkeypatch, rng):
    """Right ones pass, and a gradient that is 1 % off is found, wherever it is."""
    W, b = rng.standard_normal((4, 4)).astype(dtype), rng.standard_normal(4).astype(dtype)
    x, t = rng.standard_normal((6, 4)), rng.integers(0, 3, 6)

    def checked(alone):
        if alone:
            return gradient_check(make(W, b), x)
        first, last = Linear(4, 4, seed=1), Linear(4, 3, seed=2)
        return gradient_check(Sequential(first, make(W, b), last, loss=SoftmaxWithLoss()), x, t)

    for alone in (True, False):
        assert checked(alone), checked(alone)
    for cls in (Scaled, Adding, Listed):
        monkeypatch.setattr(cls, "share", 1.01)
    for alone in (True, False):
        assert not checked(alone) and not checked(alone).problem


@pytest.mark.parametrize("share, passes", [(1, True), (1.01, False)])
def test_a_plain_number_may_be_a_parameter(share, passes, rng):
    class Slope:
        a = 0.25

        def __init__(self):
            self.a = 0.25

        def forward(self, x):
            self.x = x
            return np.where(x > 0, x, self.a * x)

        def backward(self, dout):
            self.da = share * float(np.sum(dout * np.minimum(self.x, 0)))
            return dout * np.where(self.x > 0, 1, self.a)

    net = Sequential(Linear(4, 5, seed=0), Slope(), Linear(5, 3, seed=1), loss=SoftmaxWithLoss())
    report = gradient_check(net, rng.standard_normal((6, 4)), rng.integers(0, 3, 6))
    assert report.passed == passes and "layers[1].a" in report.mean_absolute_difference
    assert net.layers[1].a == 0.25


def test_what_is_trained_within_a_layer_of_ones_own_is_named(rng):
    net = Sequential(Residual(Linear(4, 4, seed=0), Tanh()), Linear(4, 3, seed=1), loss=SoftmaxWithLoss())
    report = gradient_check(net, rng.standard_normal((5, 4)), rng.integers(0, 3, 5))
    assert set(report.mean_absolute_difference) == {"layers[0].inner[0].W", "layers[0].inner[0].b", "W1", "b1"}


class Gated(nn.Module):
    """A module that computes on Tensors."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 5)
        self.gain = nn.Parameter(fastbp.ones(5))
        self.unused = nn.Parameter(fastbp.ones(2))
        self.frozen = nn.Parameter(fastbp.ones(5), requires_grad=False)

    def forward(self, x):
        return fastbp.tanh(self.linear(x)) * self.gain + self.frozen


class Mistaken(Gated):
    def forward(self, x):
        out = super().forward(x)
        return out + 0.01 * out.detach()


def test_modules_of_tensors_are_checked_by_themselves_and_as_parts(rng):
    x, t = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    for make, passes in ((Gated, True), (Mistaken, False)):
        report = gradient_check(make(), x)
        assert report.passed == passes
        assert list(report.mean_absolute_difference)[:2] == ["x", "gain"]
        model = nn.Sequential(make(), nn.LayerNorm(5), nn.ReLU(), nn.Linear(5, 3))
        assert gradient_check(model, x).passed == passes
        net = Sequential(*model, loss=SoftmaxWithLoss())
        before = pickle.dumps([p.array for p in net.parameters()])
        report = gradient_check(net, x, t)
        assert report.passed == passes and "3.weight" in report.mean_absolute_difference
        assert pickle.dumps([p.array for p in net.parameters()]) == before
        assert all(p.grad is None for p in net.parameters())
    refuses(TypeError, "expects no t for Gated, which has no loss", Gated(), x, t)
    noisy = nn.Sequential(Gated(), nn.Dropout(0.5))
    refuses(ValueError, "without active dropout", noisy, x)
    assert gradient_check(noisy.eval(), x)

    class Two(nn.Module):
        def forward(self, x):
            return x, x

    refuses(TypeError, "expects Two to give a Tensor; got a tuple", Two(), x)


def test_networks_without_a_loss_are_checked_as_a_layer(rng):
    report = gradient_check(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), rng.standard_normal((5, 4)))
    assert report and "x" in report.mean_absolute_difference and report.checked > 20


def test_loss_of_ones_own_beside_layers_of_two_modes(rng):
    class Own(Sequential):
        def loss(self, x, t):
            return 1.0 * super().loss(x, t)

    net = Own(Linear(4, 5, seed=0), BatchNorm1d(5), Linear(5, 3, seed=1), loss=SoftmaxWithLoss())
    x, t = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    refuses(ValueError, "expects Own.loss, which evaluates, to be what gradient trains", net, x, t)


def test_layers_are_checked_in_the_mode_that_they_are_in(rng):
    """After eval() dropout is the identity, and normalisation has its running statistics."""
    x, t = rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
    for norm in (BatchNorm1d(5), BatchNormalization(np.ones(5), np.zeros(5)), nn.BatchNorm1d(5)):
        net = Sequential(
            Linear(4, 5, seed=0),
            norm,
            fastbp.Dropout(0.5),
            nn.Dropout(0.2),
            Tanh(),
            Linear(5, 3, seed=1),
            loss=SoftmaxWithLoss(),
        )
        net.forward(x)
        refuses(ValueError, "without active dropout", net, x, t)
        net.eval()
        report = gradient_check(net, x, t)
        assert report and {"gamma1", "beta1"} <= set(report.mean_absolute_difference)
        assert gradient_check(norm, rng.standard_normal((6, 5)))
        assert gradient_check(norm.train(), rng.standard_normal((6, 5)))


def test_a_bias_that_is_none_is_not_checked(rng):
    layer, x = Linear(4, 3, bias=False, seed=0), rng.standard_normal((5, 4))
    assert set(gradient_check(layer, x).mean_absolute_difference) == {"x", "W"}
    net = Sequential(layer, Relu(), nn.Linear(3, 2, bias=False), loss=SoftmaxWithLoss())
    report = gradient_check(net, x, rng.integers(0, 2, 5))
    assert report and set(report.mean_absolute_difference) == {"W1", "W2"}


def test_layer_and_loss_that_write_into_their_input(rng):
    class InPlace:
        def forward(self, x):
            x *= 2
            return x

        def backward(self, dout):
            dout *= 2
            return dout

    class InPlaceLoss(SoftmaxWithLoss):
        def forward(self, x, t):
            x -= x.max(axis=1, keepdims=True)
            t %= 3
            return super().forward(x, t)

    x, t = rng.standard_normal((5, 4)), rng.integers(3, 6, 5)
    before, t_before = x.copy(), t.copy()
    assert gradient_check(InPlace(), x)
    assert gradient_check(InPlaceLoss(), x, t)
    assert gradient_check(Sequential(InPlace(), Linear(4, 3), loss=InPlaceLoss()), x, t)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(t, t_before)


@pytest.mark.parametrize("penalty, passes", [(0.1, True), (0.11, False)])
def test_subclass_of_sequential_with_a_loss_of_its_own(penalty, passes, dtype, rng):
    class Decayed(Sequential):
        def loss(self, x, t):
            return super().loss(x, t) + 0.05 * sum((p**2).sum() for p in self.params.values())

        def gradient(self, x, t):
            return {k: g + penalty * self.params[k] for k, g in super().gradient(x, t).items()}

    net = Decayed(affine(4, 5, dtype), Relu(), affine(5, 3, dtype, 1), loss=SoftmaxWithLoss())
    report = gradient_check(net, rng.standard_normal((6, 4)), rng.integers(0, 3, 6))
    assert report.passed == passes


# --- nothing is touched ---------------------------------------------------------------------


def arrays_of(net):
    return [getattr(layer, name) for layer in net.layers for name in layer.param_names]


@pytest.mark.parametrize("trained", [False, True])
def test_network_is_left_as_it_was(trained, dtype, rng):
    net = network(4, 6, 3, dtype=dtype)
    x = rng.standard_normal((5, 4)).astype(dtype)
    t = rng.integers(0, 3, 5)
    if trained:
        net.gradient(x, t)
        net.forward(x)
    before, arrays = pickle.dumps(net), arrays_of(net)
    x_before, t_before = x.copy(), t.copy()
    assert gradient_check(net, x, t)
    assert pickle.dumps(net) == before
    assert all(a is b for a, b in zip(arrays_of(net), arrays, strict=True))
    assert net.layers[0].W.dtype == dtype
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(t, t_before)


@pytest.mark.parametrize("library", [False, True])
def test_network_of_ones_own_is_left_as_it_was(library, rng):
    net = TwoLayerNet(4, 5, 3, std=1, library=library)
    x, t = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    net.gradient(x, t)
    W1, dW1 = net.params["W1"], net.layers["Affine1"].dW
    before = pickle.dumps(net)
    assert gradient_check(net, x, t)
    assert pickle.dumps(net) == before
    assert net.params["W1"] is W1 is net.layers["Affine1"].W and net.layers["Affine1"].dW is dW1


def test_layer_and_loss_are_left_as_they_were(dtype, rng):
    layer, relu, loss = affine(4, 3, dtype), Relu(), SoftmaxWithLoss()
    x = rng.standard_normal((5, 4)).astype(dtype)
    layer.backward(layer.forward(x))
    relu.forward(x)
    loss.forward(x, [0, 1, 2, 3, 0])
    before = pickle.dumps((layer, relu, loss))
    assert gradient_check(layer, x) and gradient_check(relu, x)
    assert gradient_check(loss, x, [0, 1, 2, 3, 0])
    assert pickle.dumps((layer, relu, loss)) == before
    assert layer.W.dtype == dtype


def test_parameters_that_are_read_only_strided_or_swapped_are_checked(rng):
    locked = rng.standard_normal((4, 3))
    locked.flags.writeable = False
    for W in (locked, rng.standard_normal((3, 4)).T, rng.standard_normal((4, 3)).astype(">f8")):
        assert gradient_check(Affine(W, np.zeros(3)), rng.standard_normal((5, 4)))


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::2], lambda x: x.astype(">f4"), lambda x: x.tolist()])
def test_input_of_any_form_is_checked(view, rng):
    x = rng.standard_normal((6, 6))
    x.flags.writeable = False
    assert gradient_check(affine(6, 3), view(x), n_samples=10)


# --- sampling and the report ----------------------------------------------------------------


def test_sample_is_bounded_and_the_same_for_the_same_seed(rng):
    net, x, t = network(30, 20, 4), rng.standard_normal((5, 30)), rng.integers(0, 4, 5)
    first, second = gradient_check(net, x, t), gradient_check(net, x, t)
    assert str(first) == str(second) and first == second
    assert first.checked + first.kinks == 40 + 20 + 40 + 4
    few = gradient_check(net, x, t, n_samples=1)
    assert few.checked + few.kinks == 4
    full = gradient_check(net, x, t, full=True)
    assert full.checked + full.kinks == 600 + 20 + 80 + 4
    other = gradient_check(net, x, t, seed=1)
    assert other and other.mean_absolute_difference != first.mean_absolute_difference


def test_worst_coordinate_is_named_with_both_values(rng):
    def change(dx, dW, db, dout):
        dW[2, 1] += 1
        return dx, dW, db

    layer, x = affine(4, 3, cls=mistaken(change)), rng.standard_normal((5, 4))
    report = gradient_check(layer, x, full=True)
    assert (report.parameter, report.index) == ("W", (2, 1))
    assert report.analytic - report.numeric == pytest.approx(1, rel=1e-6)
    size = abs(report.analytic) + abs(report.numeric)
    assert report.largest_relative_error == pytest.approx(1 / size, rel=1e-6)
    assert report.mean_absolute_difference["W"] == pytest.approx(1 / 12, rel=1e-6)
    assert report.mean_absolute_difference["b"] < 1e-8


def test_report_prints_well(rng):
    x, t = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    report = gradient_check(network(4, 6, 3), x, t)
    assert str(report) == repr(report)
    lines = str(report).splitlines()
    assert lines[0] == "gradient check passed" and 3 <= len(lines) <= 8
    assert [line[:20].strip() for line in lines[1:]] == ["largest error", "found at", "checked", "mean |difference|"]
    assert "checked            51 coordinates; 0 kinks skipped" in lines[3]
    deep = str(gradient_check(network(3, *[4] * 30, 3, activation=Tanh), x[:, :3], t))
    assert len(deep.splitlines()) <= 8 and max(map(len, deep.splitlines())) <= 101
    failed = str(gradient_check(affine(4, 3, cls=mistaken(MISTAKES["no dW"][1])), x))
    assert failed.startswith("gradient check FAILED\n") and "found at           W[" in failed
    nothing = str(gradient_check(Relu(), np.zeros(1)))
    assert "problem            nothing of x could be checked" in nothing
    assert "1 kink skipped" in nothing and "inf" not in nothing


def test_report_holds_plain_python_values(rng):
    report = gradient_check(affine(4, 3), rng.standard_normal((5, 4)))
    assert isinstance(report, GradientReport)
    assert type(report.passed) is bool and type(report.checked) is type(report.kinks) is int
    assert type(report.analytic) is type(report.numeric) is float
    assert type(report.largest_relative_error) is float and type(report.index[0]) is int
    assert pickle.loads(pickle.dumps(report)) == report


def test_tolerance_and_step_are_the_users(rng):
    layer, x = affine(4, 3, cls=mistaken(MISTAKES["dW 1 % off"][1])), rng.standard_normal((5, 4))
    assert gradient_check(layer, x, tolerance=0.1)
    assert not gradient_check(Sequential(layer, loss=MeanSquaredError()), x, np.ones((5, 3)))
    relu = np.array([1e-4, 1.0])
    assert gradient_check(Relu(), relu, h=1e-3).kinks == 1
    assert gradient_check(Relu(), relu).kinks == 0


# --- what is refused ------------------------------------------------------------------------


def refuses(error, text, *arguments, **options):
    with pytest.raises(error) as caught:
        gradient_check(*arguments, **options)
    message = str(caught.value)
    assert message.startswith("gradient_check expects ") and text in message
    assert message.endswith(".") and "\n" not in message


X, T = np.ones((2, 4)), np.array([0, 1])


@pytest.mark.parametrize(
    "x, error, text",
    [
        (np.ones((2, 4), int), TypeError, "expects x of floating dtype; got int64."),
        (np.ones((2, 4), np.uint8), TypeError, "expects x of floating dtype; got uint8."),
        (np.ones((2, 4), bool), TypeError, "expects x of floating dtype; got bool."),
        ([[1, 2, 3, 4]], TypeError, "expects x of floating dtype; got int64."),
        (np.ones((2, 4), complex), TypeError, "got dtype complex128."),
        (np.ones((2, 4), object), TypeError, "got dtype object."),
        ([[1.0], [1.0, 2.0]], ValueError, "rows of different lengths."),
        (None, TypeError, "got None."),
        (np.ones((0, 4)), ValueError, "expects x with at least one element; got shape (0, 4)."),
    ],
)
@pytest.mark.parametrize("what", ["network", "layer", "loss", "own network"])
def test_input_that_cannot_be_perturbed_is_refused(what, x, error, text):
    net = {
        "network": network(4, 3),
        "layer": affine(4, 3),
        "loss": SoftmaxWithLoss(),
        "own network": TwoLayerNet(4, 5, 3),
    }[what]
    refuses(error, text, net, x, None if what == "layer" else T)


def test_targets_missing_or_superfluous_are_refused():
    refuses(ValueError, "expects t, the targets of Sequential; got None.", network(4, 3), X)
    refuses(ValueError, "the targets of TwoLayerNet", TwoLayerNet(4, 5, 3), X)
    refuses(ValueError, "the targets of SoftmaxWithLoss", SoftmaxWithLoss(), X)
    refuses(TypeError, "expects no t for Affine", affine(4, 3), X, T)
    refuses(TypeError, "MulLayer.forward to return one real number", fastbp.MulLayer(), X, X)


def test_what_is_no_network_layer_or_loss_is_refused():
    for thing in (None, 3, "net", np.ones(3), lambda x: x, [affine(4, 3)]):
        refuses(TypeError, "a network with params, loss and gradient, or a layer or loss", thing, X)
    refuses(TypeError, "not its class", Relu, X)
    refuses(TypeError, "not its class", Sequential, X, T)


def test_nothing_to_check_is_refused():
    refuses(ValueError, "with parameters; got none", Sequential(Relu(), loss="squared_error"), X, X)


def test_sequential_without_a_loss_is_refused():
    with pytest.raises(ValueError, match="expects a network with a loss"):
        gradient_check(Sequential(affine(4, 3)), X, T)


def test_parameters_of_ones_own_network_in_float32_are_refused():
    text = "params['W1'] as an array of float64, since differences in less are too coarse; got an "
    refuses(TypeError, text, TwoLayerNet(4, 5, 3, dtype=np.float32), X, T)
    net = TwoLayerNet(4, 5, 3)
    net.params["W1"] = net.params["W1"].tolist()
    refuses(TypeError, "params['W1'] as an array of float64", net, X, T)
    net.params = [net.params]
    refuses(TypeError, "expects params as a mapping of names to arrays; got list.", net, X, T)
    net.params = {}
    refuses(ValueError, "with parameters; got none in TwoLayerNet.", net, X, T)


def test_gradient_of_ones_own_network_that_lacks_a_key_fails():
    class Lacking(TwoLayerNet):
        def gradient(self, x, t):
            return {"W1": super().gradient(x, t)["W1"]}

    report = gradient_check(Lacking(4, 5, 3, std=1), X, T)
    assert not report.passed and report.problem == "there is no gradient of b1"

    class Tuple(TwoLayerNet):
        def gradient(self, x, t):
            return tuple(super().gradient(x, t).values())

    refuses(TypeError, "gradient(x, t) to return a mapping", Tuple(4, 5, 3), X, T)


def test_arithmetic_in_float32_inside_is_refused():
    class Coarse:
        def forward(self, x):
            return x.astype(np.float32)

        def backward(self, dout):
            return dout

    class CoarseNet(TwoLayerNet):
        def loss(self, x, t):
            return np.float32(super().loss(x, t))

    refuses(TypeError, "expects Coarse to give an array of float64", Coarse(), X)
    net = Sequential(Coarse(), affine(4, 3), loss=SoftmaxWithLoss())
    refuses(TypeError, "expects Coarse to give an array of float64", net, X, T)
    refuses(TypeError, "CoarseNet.loss to compute in float64", CoarseNet(4, 5, 3), X, T)


class Dropout:
    def __init__(self, ratio=0.5):
        self.dropout_ratio = ratio

    def forward(self, x, train_flg=True):
        self.kept = np.random.default_rng().random(x.shape) > self.dropout_ratio
        return x * self.kept

    def backward(self, dout):
        return dout * self.kept


def test_active_dropout_is_refused():
    text = "without active dropout, which makes the loss random; got Dropout with ratio 0.5"
    refuses(ValueError, text, Dropout(), X)
    refuses(ValueError, text, Sequential(affine(4, 3), Dropout(), loss=SoftmaxWithLoss()), X, T)
    net = TwoLayerNet(4, 5, 3)
    net.layers["Dropout1"] = Dropout()
    refuses(ValueError, text, net, X, T)
    named = TwoLayerNet(4, 5, 3)
    named.dropout_ratio = 0.2
    refuses(ValueError, "got TwoLayerNet with ratio 0.2", named, X, T)


def test_dropout_that_is_off_is_checked(rng):
    x = rng.standard_normal((2, 4))
    assert gradient_check(Dropout(ratio=0), x)
    net = Sequential(affine(4, 3), Dropout(ratio=0.0), loss=SoftmaxWithLoss())
    assert gradient_check(net, x, T)

    class Evaluating(Dropout):
        training = False

        def forward(self, x):
            self.kept = 1 - self.dropout_ratio
            return x * self.kept

    assert gradient_check(Evaluating(), x)


def test_noise_of_another_name_is_refused():
    class Noise:
        def forward(self, x):
            return x + np.random.default_rng().standard_normal(x.shape)

        def backward(self, dout):
            return dout

    refuses(ValueError, "a loss that is the same at every call", Noise(), X)


def test_object_that_cannot_be_copied_is_refused():
    net = TwoLayerNet(4, 5, 3)
    net.lock = threading.Lock()
    refuses(TypeError, "an object that copy.deepcopy can copy", net, X, T)


@pytest.mark.parametrize(
    "options",
    [
        {"n_samples": 0},
        {"n_samples": 2.5},
        {"tolerance": 0},
        {"tolerance": -1},
        {"h": 0},
        {"h": np.nan},
        {"h": "small"},
        {"tolerance": None},
    ],
)
def test_options_out_of_range_are_refused(options):
    refuses((TypeError, ValueError), next(iter(options)), affine(4, 3), X, **options)
