"""Optimisers, schedules and clipping against PyTorch's numbers and their formulas."""

import copy
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    CosineDecay,
    InverseScaling,
    Linear,
    RMSprop,
    Sequential,
    StepDecay,
    Tanh,
    WarmUp,
    clip_by_norm,
    clip_by_value,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "golden_optimizers.json").read_text())
CLOSE = {"float32": 1e-6, "float64": 1e-14}
RULES = {
    "SGD": lambda: SGD(lr=0.1, momentum=0.9, weight_decay=0.03, nesterov=True),
    "Adam": Adam,
    "Adam decay": lambda: Adam(lr=0.05, betas=(0.8, 0.95), weight_decay=0.1),
    "AdamW": AdamW,
    "AdamW decay": lambda: AdamW(lr=0.05, eps=1e-3, weight_decay=0.5),
    "RMSprop": RMSprop,
    "RMSprop momentum": lambda: RMSprop(lr=0.02, alpha=0.9, eps=1e-4, momentum=0.9, weight_decay=0.05),
    "AdaGrad": AdaGrad,
    "AdaGrad decay": lambda: AdaGrad(lr=0.1, eps=1e-3, weight_decay=0.05),
}
CLIPS = {
    "SGD clip_norm": lambda grads: clip_by_norm(grads, 1.0)[0],
    "SGD clip_value": lambda grads: clip_by_value(grads, 0.5),
}


def golden(name, dtype):
    return {k: np.array(v, dtype) for k, v in GOLDEN["cases"][f"{name} {dtype}"].items()}


def assert_near(actual, desired):
    assert actual.dtype == desired.dtype
    error = np.abs(actual - desired).max()
    assert error <= CLOSE[actual.dtype.name] * max(1, np.abs(desired).max()), error


@pytest.mark.parametrize("name", [*RULES, *CLIPS])
@pytest.mark.parametrize("backend", ["compiled", "reference"])
def test_optimizer_gives_pytorchs_numbers(name, backend, dtype):
    case = golden(name, dtype)
    params = {"W1": case["W"], "b1": case["b"]}
    optimizer = RULES.get(name, lambda: SGD(lr=0.1))()
    with fastbp.use(backend):
        for step in range(10):
            grads = {"W1": case["grads_W"][step], "b1": case["grads_b"][step]}
            optimizer.update(params, CLIPS.get(name, lambda g: g)(grads))
            if step in (0, 9):
                assert_near(params["W1"], case[f"W_after_{step + 1}"])
                assert_near(params["b1"], case[f"b_after_{step + 1}"])
    assert optimizer.steps == 10


@pytest.mark.parametrize("name", RULES)
def test_trainer_gives_pytorchs_numbers(name, dtype):
    """The gradient by W of x W against (x = identity, mean squared error) is what we choose."""
    case = golden(name, dtype)
    layer = fastbp.Affine(case["W"].copy(), case["b"].copy())
    net = Sequential(layer, loss="squared_error")
    twin = {"W1": case["W"].copy(), "b1": case["b"].copy()}
    by_hand, optimizer = RULES[name](), RULES[name]()
    trainer = fastbp.Trainer(net, optimizer, 3)
    x, t = np.eye(3, dtype=dtype), case["grads_W"]
    for step in range(10):
        trainer.step(x, t[step])
        dout = (twin["W1"] + twin["b1"] - t[step]) * dtype.type(2 / 12)
        by_hand.update(twin, {"W1": dout, "b1": dout.sum(axis=0)})
    assert_near(net.params["W1"], twin["W1"])
    assert_near(net.params["b1"], twin["b1"])


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copied_optimizer_goes_on_where_it_was(copied, name, dtype, rng):
    param, grads = np.ones(9, dtype), rng.standard_normal((4, 9)).astype(dtype)
    optimizer = RULES[name]()
    for grad in grads[:2]:
        optimizer.update({"b1": param}, {"b1": grad})
    twin, other = copied(optimizer), param.copy()
    for grad in grads[2:]:
        optimizer.update({"b1": param}, {"b1": grad})
        twin.update({"b1": other}, {"b1": grad})
    assert param.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", RULES)
def test_a_parameter_may_lie_anyhow_for_any_optimizer(name, dtype, rng):
    start = rng.standard_normal((6, 4)).astype(dtype)
    odd, plain = np.asfortranarray(start)[::-1], start.copy()[::-1].copy()
    first, second = RULES[name](), RULES[name]()
    for _ in range(3):
        grad = rng.standard_normal((6, 4)).astype(dtype)
        kept = grad.copy()
        first.update({"W1": plain}, {"W1": grad})
        second.update({"W1": odd}, {"W1": grad})
        np.testing.assert_array_equal(odd, plain)
        np.testing.assert_array_equal(grad, kept)


@pytest.mark.parametrize("name", RULES)
def test_a_refused_update_leaves_steps_and_states(name, dtype):
    optimizer, param = RULES[name](), np.ones(3, dtype)
    optimizer.update({"b1": param}, {"b1": np.ones(3)})
    kept, numbers = param.copy(), pickle.dumps(optimizer.states)
    for params, grads in (
        ({"b1": param}, {"b1": np.ones(4)}),
        ({"b1": param}, {}),
        ({"b1": np.ones(4, dtype)}, {"b1": np.ones(4)}),
        ({"b1": param, "b2": np.ones(3, int)}, {"b1": np.ones(3), "b2": np.ones(3)}),
    ):
        if name.split()[0] == "SGD" and params["b1"].shape == (4,) and not optimizer.n_states:
            continue
        with pytest.raises((ValueError, TypeError)):
            optimizer.update(params, grads)
    assert optimizer.steps == 1
    assert pickle.dumps(optimizer.states) == numbers
    np.testing.assert_array_equal(param, kept)


def test_the_state_has_the_parameters_dtype_and_shape(dtype):
    optimizer = Adam()
    optimizer.update({"W1": np.ones((2, 3), dtype)}, {"W1": np.ones((2, 3))})
    assert [(s.shape, s.dtype) for s in optimizer.states["W1"]] == [((2, 3), dtype)] * 2


def test_defaults_are_pytorchs():
    assert (Adam().lr, Adam().betas, Adam().eps) == (1e-3, (0.9, 0.999), 1e-8)
    assert Adam().weight_decay == 0
    assert AdamW().weight_decay == 0.01
    assert (RMSprop().lr, RMSprop().alpha, RMSprop().eps) == (0.01, 0.99, 1e-8)
    assert (AdaGrad().lr, AdaGrad().eps) == (0.01, 1e-10)
    assert fastbp.Adagrad is AdaGrad


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: Adam(0.1), TypeError, r"Adam\(lr=0.1\)"),
        (lambda: AdamW(lr=-1), ValueError, "AdamW expects lr .*at least 0; got -1"),
        (lambda: Adam(betas=(0.9,)), (ValueError, TypeError), "betas"),
        (lambda: Adam(betas=(0.9, 1.0)), ValueError, "betas"),
        (lambda: Adam(betas=(0.9, -0.1)), ValueError, "betas"),
        (lambda: Adam(betas=0.9), (ValueError, TypeError), "betas"),
        (lambda: Adam(eps=-1), ValueError, "eps"),
        (lambda: Adam(eps=math.nan), ValueError, "eps"),
        (lambda: RMSprop(alpha=1.5), ValueError, "alpha"),
        (lambda: RMSprop(momentum=-1), ValueError, "momentum"),
        (lambda: AdaGrad(lr="0.1"), (ValueError, TypeError), "lr"),
        (lambda: SGD(lr=0.1, nesterov=True), ValueError, "momentum above 0"),
        (lambda: StepDecay(every=0), ValueError, "every"),
        (lambda: CosineDecay(epochs=0), ValueError, "epochs"),
        (lambda: WarmUp(-1), ValueError, "epochs"),
        (lambda: InverseScaling(-1), ValueError, "power"),
    ],
)
def test_bad_numbers_are_refused(make, error, message):
    with pytest.raises(error, match=message) as caught:
        make()
    assert str(caught.value).count(". ") == 0


# --- schedules ------------------------------------------------------------------------------


def test_schedules_follow_their_formulas():
    assert [StepDecay(3)(e) for e in (0, 2.99, 3, 6)] == pytest.approx([1, 1, 0.1, 0.01])
    assert [CosineDecay(8, 0.2)(e) for e in (0, 2, 4, 8, 99)] == pytest.approx(
        [1, 0.2 + 0.4 * (1 + math.cos(math.pi / 4)), 0.6, 0.2, 0.2]
    )
    assert [WarmUp(4)(e) for e in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
    assert WarmUp(2, then=CosineDecay(4))(4) == pytest.approx(0.5)
    assert WarmUp(0)(0) == 1
    assert [InverseScaling(1)(e) for e in (0, 1, 3)] == [1, 0.5, 0.25]


@pytest.mark.parametrize("schedule", [StepDecay(1, 0.5), CosineDecay(2), WarmUp(1), InverseScaling(), lambda e: 1 + e])
def test_fit_takes_the_schedule_at_each_step(schedule, dtype, rng):
    x, t = rng.standard_normal((10, 3)).astype(dtype), rng.integers(0, 2, 10)

    def network():
        return Sequential(
            Linear(3, 5, dtype=dtype, seed=0), Tanh(), Linear(5, 2, dtype=dtype, seed=1), loss="softmax_cross_entropy"
        )

    net, twin = network(), network()
    optimizer = SGD(lr=0.2, momentum=0.5)
    history = net.fit(x, t, epochs=3, batch_size=4, optimizer=optimizer, shuffle=False, schedule=schedule)
    by_hand, last = SGD(lr=0.2, momentum=0.5), []
    for epoch in range(3):
        for k in range(3):
            by_hand.lr = 0.2 * schedule(epoch + k / 3)
            rows = slice(4 * k, 4 * k + 4)
            by_hand.update(twin.params, twin.gradient(x[rows], t[rows]))
        last.append(by_hand.lr)
    assert history.lr == pytest.approx(last)
    assert optimizer.lr == 0.2
    for key, desired in twin.params.items():
        assert_near(net.params[key], desired)


# --- clipping -------------------------------------------------------------------------------


def test_clipping_leaves_the_gradients_alone_and_keeps_their_dtype(dtype, rng):
    grads = {"W1": rng.standard_normal((3, 4)).astype(dtype), "b1": np.ones(4, dtype)}
    kept = {k: g.copy() for k, g in grads.items()}
    norm = math.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in grads.values()))
    clipped, seen = clip_by_norm(grads, norm / 2)
    assert seen == pytest.approx(norm)
    assert clip_by_norm(clipped, 1)[1] == pytest.approx(norm / 2, rel=1e-5)
    for key, grad in grads.items():
        np.testing.assert_array_equal(grad, kept[key])
        assert clipped[key].dtype == clip_by_value(grads, 0.1)[key].dtype == dtype
        np.testing.assert_array_equal(clip_by_norm(grads, 1e6)[0][key], grad)
        np.testing.assert_allclose(clip_by_value(grads, 0.1)[key], np.clip(grad, -0.1, 0.1))


@pytest.mark.parametrize("clip", [{"clip_norm": 0.1}, {"clip_norm": 1e9}, {"clip_value": 0.02}], ids=str)
@pytest.mark.parametrize("name", RULES)
def test_fit_clips_as_by_hand(name, clip, dtype, rng):
    x, t = rng.standard_normal((10, 3)).astype(dtype), rng.standard_normal((10, 2)).astype(dtype)

    def network():
        return Sequential(
            Linear(3, 5, dtype=dtype, seed=0), Tanh(), Linear(5, 2, dtype=dtype, seed=1), loss="squared_error"
        )

    net, twin = network(), network()
    net.fit(x, t, epochs=2, batch_size=4, optimizer=RULES[name](), shuffle=False, **clip)
    by_hand = RULES[name]()
    for start in (0, 4, 8) * 2:
        grads = twin.gradient(x[start : start + 4], t[start : start + 4])
        if "clip_norm" in clip:
            grads, _ = clip_by_norm(grads, clip["clip_norm"])
        else:
            grads = clip_by_value(grads, clip["clip_value"])
        by_hand.update(twin.params, grads)
    for key, desired in twin.params.items():
        error = np.abs(net.params[key] - desired).max()
        assert error <= 100 * CLOSE[dtype.name], f"{key} is off by {error}"


def test_clipping_at_zero_changes_nothing_or_is_refused(rng):
    x, t = rng.standard_normal((8, 3)).astype("f4"), rng.integers(0, 2, 8)
    for clip in ({"clip_norm": 0}, {"clip_value": 0}):
        net = Sequential(Linear(3, 2, seed=0), loss="softmax_cross_entropy")
        before = net.params["W1"].copy()
        try:
            net.fit(x, t, epochs=1, optimizer=SGD(lr=0.1), **clip)
        except ValueError as error:
            assert "clip" in str(error)
        np.testing.assert_array_equal(net.params["W1"], before)


def test_gradients_whose_squares_overflow_are_clipped_to_the_norm_all_the_same():
    grads, norm = clip_by_norm({"W": np.array([3e200, -4e200]), "b": np.zeros(1)}, 1.0)
    np.testing.assert_allclose(norm, 5e200)
    np.testing.assert_allclose(grads["W"], [0.6, -0.8])


def test_a_momentum_that_goes_and_comes_back_is_the_same_by_arrays_and_in_training(rng):
    x, t = rng.standard_normal((8, 4)), rng.standard_normal((8, 3))
    nets = [fastbp.Sequential(fastbp.Linear(4, 3, seed=0, dtype="float64"), loss="squared_error") for _ in range(2)]
    rules = [SGD(lr=0.05, momentum=0.9, weight_decay=0.1) for _ in range(2)]
    trainer = fastbp.Trainer(nets[0], rules[0], 8)
    for momentum in (0.9, 0.9, 0.0, 0.0, 0.9, 0.9):
        rules[0].momentum = rules[1].momentum = momentum
        trainer.step(x, t)
        rules[1].update(nets[1].params, nets[1].gradient(x, t))
    np.testing.assert_allclose(nets[0].params["W1"], nets[1].params["W1"], rtol=1e-12)


@pytest.mark.parametrize("kind", ["Adam", "RMSprop", "AdaGrad", "Adamax", "NAdam"])
def test_an_eps_of_0_trains_as_by_arrays(kind, dtype, rng):
    """The panels of the engine have columns that are no parameters, and whose gradients are 0."""
    x, t = rng.standard_normal((8, 3)).astype(dtype), rng.standard_normal((8, 2)).astype(dtype)
    nets = [fastbp.Sequential(fastbp.Linear(3, 2, seed=0, dtype=dtype.name), loss="squared_error") for _ in range(2)]
    nets[0].fit(x, t, epochs=3, batch_size=8, shuffle=False, optimizer=getattr(fastbp, kind)(lr=0.01, eps=0))
    rule = getattr(fastbp, kind)(lr=0.01, eps=0)
    for _ in range(3):
        rule.update(nets[1].params, nets[1].gradient(x, t))
    for name, array in nets[0].params.items():
        np.testing.assert_allclose(array, nets[1].params[name], rtol=2e-4 if dtype == "f4" else 1e-10)
