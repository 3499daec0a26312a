"""Optimisers of tensors, clipping and schedulers: PyTorch's numbers, and what they refuse."""

import copy
import gc
import importlib.util
import json
import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import Sequential, Trainer, nn, optim
from fastbp.optim import clipping, lr_scheduler, vectors
from fastbp.optim.rule import OPTIMIZERS

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "golden_optim.json").read_text())["cases"]


def _cases():
    spec = importlib.util.spec_from_file_location("optim_cases", FOLDER / "optim_cases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = _cases()


def assert_agree(ours, theirs, tolerance, where=""):
    """Numbers in nested lists and dicts, each within a share of the largest of its list."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), where
        for key in theirs:
            assert_agree(ours[key], theirs[key], tolerance, f"{where} {key}")
    elif isinstance(theirs, list) and theirs and isinstance(theirs[0], list | dict):
        assert len(ours) == len(theirs), where
        for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_agree(a, b, tolerance, f"{where} {k}")
    else:
        a, b = np.asarray(ours, float), np.asarray(theirs, float)
        assert a.shape == b.shape, where
        error = np.abs(a - b).max(initial=0)
        assert error <= tolerance * max(1, np.abs(b).max(initial=0)), f"{where}: off by {error}"


def tolerance_of(name):
    if "float32" in name:
        return 1e-6
    return 1e-8 if "NAdam" in name else 1e-12  # PyTorch has a product of its momenta in float32


@pytest.mark.parametrize("name", cases.CASES)
def test_programs_give_pytorchs_stored_numbers(name):
    assert_agree(cases.CASES[name](fastbp), GOLDEN[name], tolerance_of(name))


def test_every_stored_program_is_run():
    assert set(GOLDEN) == set(cases.CASES)


@pytest.mark.parametrize("name", cases.CASES)
def test_programs_give_what_pytorch_gives_now(name):
    torch = pytest.importorskip("torch")
    theirs = cases.CASES[name](torch)
    assert_agree(cases.CASES[name](fastbp), theirs, tolerance_of(name))


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_the_twin_makes_the_same_steps(name, dtype):
    compiled = cases.optimized(fastbp, name, dtype.name)
    with fastbp.use("reference"):
        twin = cases.optimized(fastbp, name, dtype.name)
    assert_agree(twin, compiled, 1e-6 if dtype == "float32" else 1e-13)


# --- memory ---------------------------------------------------------------------------------


def leaf(array):
    return fastbp.from_numpy(array).requires_grad_()


ORDERS = {
    "C": lambda a: a.copy(),
    "Fortran": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "negative": lambda a: a[::-1].copy()[::-1],
    "unaligned": lambda a: np.frombuffer(bytearray(1) + a.tobytes(), a.dtype, a.size, offset=1).reshape(a.shape),
}


@pytest.mark.parametrize("grad_order", ORDERS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "kind",
    ["SGD", "SGD momentum", "Adam", "RMSprop momentum", "Adagrad", "Adam amsgrad", "NAdam", "Adamax", "Adadelta"],
)
def test_tensors_are_stepped_where_they_lie(kind, order, grad_order, dtype, rng):
    name, options = cases.OPTIMIZERS[kind]
    start, *grads = rng.standard_normal((4, 5, 3)).astype(dtype)
    plain, memory = leaf(start.copy()), ORDERS[order](start)
    odd = leaf(memory)
    first, second = (getattr(optim, name)([p], **options) for p in (plain, odd))
    for grad in grads:
        plain.grad = fastbp.from_numpy(grad)
        odd.grad = fastbp.from_numpy(ORDERS[grad_order](grad))
        first.step()
        second.step()
    assert odd.array is memory
    np.testing.assert_array_equal(memory, plain.array)
    for key, state in second.state[odd].items():
        np.testing.assert_array_equal(state.array, first.state[plain][key].array)


def test_transposed_parameters_are_not_copied(tracemalloc_peak):
    """A layer's weight is the transpose of its W; so are its gradient and its states."""
    W, dW = np.zeros((1000, 500)), np.ones((1000, 500))
    weight = leaf(W.T)
    weight.grad = fastbp.from_numpy(dW.T)
    for optimizer in (optim.SGD([weight], lr=0.1), optim.Adam([weight])):
        optimizer.step()  # makes the states
        assert tracemalloc_peak(optimizer.step) < W.nbytes / 10
    for state in optimizer.state[weight].values():
        assert state.array.ndim == 0 or state.array.flags.f_contiguous


@pytest.fixture
def tracemalloc_peak():
    import tracemalloc

    def peak(function):
        tracemalloc.start()
        try:
            function()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return peak


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_large_and_small_parameters_step_alike(kind, rng):
    start, grad = rng.standard_normal((2, 70_000))
    whole, parts = leaf(start.copy()), [leaf(part.copy()) for part in np.split(start, 7)]
    whole.grad = fastbp.from_numpy(grad)
    for p, g in zip(parts, np.split(grad, 7), strict=True):
        p.grad = fastbp.from_numpy(g.copy())
    getattr(optim, kind)([whole], lr=0.1).step()
    getattr(optim, kind)(parts, lr=0.1).step()
    np.testing.assert_array_equal(whole.array, np.concatenate([p.array for p in parts]))


def test_a_gradient_may_share_its_parameters_memory():
    w = leaf(np.arange(6.0))
    w.grad = fastbp.from_numpy(w.array[::-1])
    optim.SGD([w], lr=0.5, momentum=0.9).step()
    np.testing.assert_array_equal(w.array, np.arange(6.0) - 0.5 * np.arange(6.0)[::-1])


def test_a_step_counts_as_a_change_in_place():
    w = fastbp.tensor([1.0, 2.0], requires_grad=True)
    out = (w * w).sum()
    out.backward(retain_graph=True)
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match="inplace operation"):
        out.backward()


def test_steps_leave_nothing_behind():
    params = cases.parameters(fastbp, "float32")
    optimizer = optim.Adam(params)
    cases.give_gradients(fastbp, params, 1)
    optimizer.step()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(100):
        optimizer.step()
    assert len(gc.get_objects()) - before < 10


# --- what PyTorch's users do ----------------------------------------------------------------


def test_a_loop_learns_and_zero_grad_forgets():
    w = fastbp.tensor([5.0, -3.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    assert np.abs(w.array).max() < 1e-6
    optimizer.zero_grad()
    assert w.grad is None
    (w * w).sum().backward()
    kept = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is kept
    assert (kept.array == 0).all()


def test_a_closure_is_called_with_gradients_on():
    w = fastbp.tensor(3.0, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = w * w
        loss.backward()
        return loss

    with fastbp.no_grad():
        assert optimizer.step(closure).item() == 9
    assert w.item() == 0


def test_options_are_attributes_of_all_groups():
    params = cases.parameters(fastbp, "float32")
    optimizer = optim.SGD([{"params": params[:1]}, {"params": params[1:]}], lr=0.1, momentum=0.5)
    assert (optimizer.lr, optimizer.momentum) == (0.1, 0.5)
    optimizer.lr = 0.3
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.3]
    optimizer.param_groups[1]["lr"] = 0.4
    with pytest.raises(ValueError, match=r"SGD.lr expects.*0.3 and 0.4"):
        _ = optimizer.lr


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("SGD", "lr", "a"),
        ("SGD", "momentum", None),
        ("Adam", "betas", "a"),
        ("Adam", "betas", 0.9),
        ("RMSprop", "alpha", []),
    ],
)
def test_a_wrong_option_of_a_group_is_named_by_step(kind, name, value):
    w = fastbp.ones(2, requires_grad=True)
    w.sum().backward()
    optimizer = getattr(optim, kind)([w], lr=0.1)
    before = optimizer.param_groups[0][name]
    optimizer.param_groups[0][name] = value
    with pytest.raises((TypeError, ValueError), match=f"{kind} expects {name} .*; got "):
        optimizer.step()
    assert w.tolist() == [1, 1]
    optimizer.param_groups[0][name] = before
    optimizer.step()
    assert w.tolist() != [1, 1]


def test_an_optimizer_of_tensors_is_shown_by_groups():
    text = repr(optim.SGD(cases.parameters(fastbp, "float32"), lr=0.1))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0")
    assert "    lr: 0.1\n" in text and text.endswith("\n)") and "params" not in text


def test_a_generator_a_tensor_in_a_dict_and_unknown_keys_will_do():
    params = cases.parameters(fastbp, "float32")
    optimizer = optim.SGD(p for p in params)
    assert optimizer.param_groups[0]["params"] == params
    optimizer = optim.SGD([{"params": params[0], "name": "first"}])
    assert optimizer.param_groups[0]["name"] == "first"
    assert optimizer.param_groups[0]["params"][0] is params[0]


@pytest.mark.parametrize(
    "kind, options",
    [
        ("SGD", {"foreach": False, "fused": None}),
        ("Adam", {"fused": True, "capturable": False}),
        ("RMSprop", {"foreach": True}),
        ("Adagrad", {"fused": False}),
        ("AdamW", {"amsgrad": False}),
    ],
)
def test_how_pytorch_computes_makes_no_difference(kind, options):
    params = cases.parameters(fastbp, "float32")
    assert getattr(optim, kind)(params, **options).param_groups[0]["params"] == params


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam"])
def test_arguments_have_pytorchs_order_and_defaults(kind):
    torch = pytest.importorskip("torch")
    import inspect

    ours, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(c).parameters.values()][1:]
        for c in (getattr(optim, kind), getattr(torch.optim, kind))
    )
    assert ours == theirs


def test_a_rule_of_ones_own_is_written_as_in_pytorch():
    class Sign(optim.Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, {"lr": lr})

        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        kept = self.state[p]
                        kept["seen"] = kept.get("seen", 0) + 1
                        p.data.add_(p.grad.sign(), alpha=-group["lr"])

    w = fastbp.tensor([1.0, -2.0], requires_grad=True)
    optimizer = Sign([w])
    scheduler = lr_scheduler.StepLR(optimizer, 1, 0.5)
    (w * w).sum().backward()
    optimizer.step()
    scheduler.step()
    np.testing.assert_allclose(w.array, [0.9, -1.9], rtol=1e-6)
    twin = Sign([w])
    twin.load_state_dict(optimizer.state_dict())
    assert twin.state[w] == {"seen": 1} and twin.param_groups[0]["lr"] == 0.05


# --- state dicts ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_training_goes_on_from_a_state_dict(name, dtype):
    kind, options = cases.OPTIMIZERS[name]
    params = cases.parameters(fastbp, dtype.name)
    optimizer = getattr(optim, kind)(params, **options)
    for step in range(3):
        cases.give_gradients(fastbp, params, step)
        optimizer.step()
    others = [leaf(np.asfortranarray(p.array.copy())) for p in params]
    twin = getattr(optim, kind)(others, lr=77.0)
    twin.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    for step in range(3, 6):
        for each, own in ((optimizer, params), (twin, others)):
            cases.give_gradients(fastbp, own, step)
            each.step()
    for p, q in zip(params, others, strict=True):
        np.testing.assert_array_equal(p.array, q.array)
    assert optimizer.steps == 6


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_state_dicts_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    kind, options = cases.OPTIMIZERS[name]
    dicts = []
    for t in (fastbp, torch):
        params = cases.parameters(t, "float64")
        optimizer = getattr(t.optim, kind)(params, **options)
        for step in range(3):
            cases.give_gradients(t, params, step)
            optimizer.step()
        dicts.append(optimizer.state_dict())
    ours, theirs = dicts
    assert set(ours["state"]) == set(theirs["state"])
    for place, kept in theirs["state"].items():
        assert {k for k, v in kept.items() if v is not None} == set(ours["state"][place])
        for key, value in ours["state"][place].items():
            rtol = 1e-6 if key == "mu_product" else tolerance_of(name)
            np.testing.assert_allclose(value.numpy(), kept[key].numpy(), rtol=rtol)
            assert str(value.dtype)[7:] == str(kept[key].dtype)[6:]
    for own, other in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert {k: other[k] for k in own} == own
    # PyTorch's state dict is taken, too.
    twin = getattr(optim, kind)(cases.parameters(fastbp, "float64"))
    twin.load_state_dict(theirs)
    assert_agree(
        [{k: v.tolist() for k, v in sorted(kept.items())} for kept in twin.state.values()],
        [{k: v.tolist() for k, v in sorted(kept.items()) if k != "mu_product"} for kept in ours["state"].values()],
        tolerance_of(name),
    )


def two(lr=0.1, kind="Adam"):
    params = cases.parameters(fastbp, "float32")
    optimizer = getattr(optim, kind)(params, lr=lr)
    cases.give_gradients(fastbp, params, 0)
    optimizer.step()
    return optimizer


BAD_STATES = {
    "nothing": (lambda d: None, TypeError, "NoneType"),
    "no groups": (lambda d: {"state": {}}, TypeError, "param_groups"),
    "groups": (lambda d: d | {"param_groups": d["param_groups"] * 2}, ValueError, "groups of"),
    "parameters": (
        lambda d: d | {"param_groups": [d["param_groups"][0] | {"params": [0]}]},
        ValueError,
        r"groups of \[3\].*\[1\]",
    ),
    "shape": (lambda d: d | {"state": {1: {"exp_avg": fastbp.zeros(7)}}}, ValueError, r"\(4,\).*\(7,\)"),
    "another rule's": (
        lambda d: d | {"state": {0: {"momentum_buffer": fastbp.zeros(3, 4)}}},
        ValueError,
        "exp_avg and exp_avg_sq.*momentum_buffer",
    ),
    "another parameter's": (lambda d: d | {"state": {9: {}}}, ValueError, "got 9"),
    "no step": (lambda d: d | {"state": {0: {"step": np.nan}}}, ValueError, "step.* got nan"),
    "a step beyond float32": (lambda d: d | {"state": {0: {"step": 1e99}}}, ValueError, "1e.?99"),
    "a list for a step": (lambda d: d | {"state": {0: {"step": [1]}}}, TypeError, "step.*list"),
    "a number for a state": (lambda d: d | {"state": {0: 3}}, TypeError, "usable 'state'"),
    "complex": (lambda d: d | {"state": {1: {"exp_avg": np.ones(4) * 1j}}}, TypeError, "exp_avg.*complex"),
    "no place": (lambda d: d | {"param_groups": [d["param_groups"][0] | {"params": [[], 1, 2]}]}, TypeError, "usable"),
    "lr": (lambda d: d | {"param_groups": [d["param_groups"][0] | {"lr": -1}]}, ValueError, "lr.*-1"),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_a_refused_state_dict_changes_nothing(case):
    change, error, message = BAD_STATES[case]
    optimizer = two()
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(error, match=message) as caught:
        optimizer.load_state_dict(change(optimizer.state_dict()))
    assert_one_sentence(caught.value)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for place, kept in before["state"].items():
        for key, value in kept.items():
            np.testing.assert_array_equal(after["state"][place][key].array, value.array)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copied_optimizer_of_tensors_has_parameters_of_its_own(copied):
    optimizer = two()
    twin = copied(optimizer)
    own, others = (o.param_groups[0]["params"] for o in (optimizer, twin))
    for o, params in ((optimizer, own), (twin, others)):
        cases.give_gradients(fastbp, params, 1)
        o.step()
    for p, q in zip(own, others, strict=True):
        assert p is not q
        np.testing.assert_array_equal(p.array, q.array)


# --- fit and a loop by hand, one state ------------------------------------------------------


def network(dtype):
    return Sequential(
        fastbp.Linear(3, 5, dtype=dtype, seed=0),
        fastbp.Tanh(),
        fastbp.Linear(5, 2, dtype=dtype, seed=1),
        loss="squared_error",
    )


def weights_of(net):
    """Tensors that share the layers' memory, under PyTorch's shapes."""
    return [leaf(array.T) for array in net.params.values()]


@pytest.mark.parametrize(
    "name",
    [
        "SGD",
        "SGD nesterov",
        "Adam decay",
        "AdamW decay",
        "RMSprop momentum",
        "Adagrad",
        "Adagrad decay",
        "Adam decoupled",
        "AdamW amsgrad",
        "Adadelta decay",
        "Adamax decay",
        "NAdam decay",
        "NAdam decoupled",
        "RAdam decay",
        "RAdam decoupled",
    ],
)
def test_a_loop_by_hand_and_fit_share_one_state(name, dtype, rng):
    x, t = rng.standard_normal((8, 3)).astype(dtype), rng.standard_normal((8, 2)).astype(dtype)
    kind, options = cases.OPTIMIZERS[name]
    net, twin = network(dtype), network(dtype)
    weights = weights_of(net)
    bound, free = getattr(optim, kind)(weights, **options), getattr(optim, kind)(**options)

    def by_hand():
        for weight, grad in zip(weights, net.gradient(x, t).values(), strict=True):
            weight.grad = fastbp.from_numpy(grad.T)
        bound.step()

    for _ in range(2):
        by_hand()
        net.fit(x, t, epochs=3, batch_size=4, optimizer=bound, shuffle=False)
    by_hand()
    for _ in range(2):
        free.update(twin.params, twin.gradient(x, t))
        for _ in range(3):
            for rows in (slice(4), slice(4, 8)):
                free.update(twin.params, twin.gradient(x[rows], t[rows]))
    free.update(twin.params, twin.gradient(x, t))
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype.name]
    for key, desired in twin.params.items():
        np.testing.assert_allclose(net.params[key], desired, rtol=0, atol=tolerance)
    assert bound.steps == free.steps == 15
    for weight in weights:
        assert bound.state[weight].get("step", 15) == 15


def test_fit_with_a_layer_without_bias_is_the_loop(dtype, rng):
    """The bias that it has not is in no optimiser's groups."""
    kind = getattr(fastbp, dtype.name)
    looped = nn.Sequential(nn.Linear(3, 5, bias=False, dtype=kind), nn.Tanh(), nn.Linear(5, 2, dtype=kind))
    fitted = copy.deepcopy(looped)
    fitted.loss_layer = fastbp.losses.MeanSquaredError()
    x, t = (rng.standard_normal((8, n)).astype(dtype) for n in (3, 2))
    loop, fit = (optim.Adam(net.parameters(), 0.01, weight_decay=0.1) for net in (looped, fitted))
    for _ in range(3):
        loop.zero_grad()
        nn.MSELoss()(looped(fastbp.tensor(x)), fastbp.tensor(t)).backward()
        loop.step()
    fitted.fit(x, t, epochs=3, batch_size=8, optimizer=fit, shuffle=False)
    assert len(fit.state) == 3 and fitted[0].bias is None and not fitted.params["b1"].any()
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype.name]
    for one, other in zip(fitted.parameters(), looped.parameters(), strict=True):
        np.testing.assert_allclose(one.detach(), other.detach(), rtol=0, atol=tolerance)


def test_fit_refuses_an_optimizer_that_does_not_fit(rng):
    x, t = rng.standard_normal((8, 3)).astype("f4"), rng.standard_normal((8, 2)).astype("f4")

    def refused(make, message):
        net = network("float32")
        before = {k: a.copy() for k, a in net.params.items()}
        with pytest.raises(ValueError, match=message) as caught:
            net.fit(x, t, epochs=1, optimizer=make(weights_of(net)))
        assert_one_sentence(caught.value)
        assert net.trainer is None
        for key, array in before.items():
            np.testing.assert_array_equal(net.params[key], array)

    refused(lambda w: optim.Adam(w[:3]), r"Adam expects to hold.*'b2'.*param_groups")
    refused(lambda w: optim.SGD([{"params": w[:2]}, {"params": w[2:], "lr": 0.5}]), "SGD.lr expects")
    refused(lambda w: optim.SGD([{"params": w[:2]}, {"params": w[2:], "momentum": 0.5}]), "SGD.momentum expects")
    refused(lambda w: optim.SGD(w, maximize=True), "maximize=False.*maximize=True")
    refused(lambda w: optim.SGD(momentum=0.9, dampening=0.5), "dampening=0.*0.5")

    def uneven(weights):
        optimizer = optim.Adam(weights)
        weights[0].grad = fastbp.ones(5, 3)
        optimizer.zero_grad()
        weights[1].grad = fastbp.zeros(5)
        optimizer.step()
        return optimizer

    refused(uneven, "as many steps with each parameter; got 0 and 1")


def test_groups_that_agree_may_fit(rng):
    x, t = rng.standard_normal((8, 3)).astype("f4"), rng.standard_normal((8, 2)).astype("f4")
    net = network("float32")
    weights = weights_of(net)
    extra = fastbp.zeros(9, requires_grad=True)  # not of the network
    optimizer = optim.Adam([{"params": weights[:1]}, {"params": weights[1:]}, {"params": extra}])
    net.fit(x, t, epochs=1, batch_size=4, optimizer=optimizer)
    assert [optimizer.state[w]["step"].item() for w in weights] == [2] * 4
    assert extra not in optimizer.state
    trainer = Trainer(net, optimizer, 8)
    trainer.step(x, t)
    trainer.close()
    assert optimizer.state[weights[0]]["step"].item() == 3


# --- refusals -------------------------------------------------------------------------------


def assert_one_sentence(error):
    text = str(error)
    assert text.endswith(".") and ". " not in text and "\n" not in text, text
    assert "expects" in text and "; got " in text, text


W = fastbp.ones(2, requires_grad=True)
BAD_PARAMS = {
    "a number": (0.1, TypeError, r"SGD\(lr=0.1\)"),
    "a tensor": (fastbp.ones(2), TypeError, "iterable of Tensors.*got a tensor"),
    "nothing in it": ([], ValueError, "empty parameter list"),
    "an empty generator": ((p for p in ()), ValueError, "empty parameter list"),
    "arrays": ([np.ones(2)], TypeError, "Tensors.*an array"),
    "a mapping": ({"W1": np.ones(2)}, TypeError, "Tensors.*'W1'"),
    "a result": ([W * 2], ValueError, "leaf Tensors.*MulBackward0"),
    "one twice": ([W, W], ValueError, "once"),
    "one in two groups": ([{"params": [W]}, {"params": [W]}], ValueError, "once"),
    "a group without params": ([{"lr": 1}], TypeError, "'params'"),
    "a set": ([{"params": {W}}], TypeError, "set"),
    "a group's option": ([{"params": [W], "lr": -1}], ValueError, "lr.*-1"),
    "an object": (object(), TypeError, "iterable of Tensors"),
}


@pytest.mark.parametrize("case", BAD_PARAMS)
def test_bad_params_are_refused(case):
    params, error, message = BAD_PARAMS[case]
    with pytest.raises(error, match=message) as caught:
        optim.SGD(params)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: optim.RMSprop([W], centered=True), NotImplementedError, "centered=False"),
        (lambda: optim.SGD([W], differentiable=True), NotImplementedError, "differentiable"),
        (lambda: optim.SGD([W], momentum=0.9, dampening=0.1, nesterov=True), ValueError, "damp"),
        (lambda: optim.Adagrad([W], lr_decay=-1), ValueError, "lr_decay"),
        (lambda: optim.SGD(lr=0.1).step(), ValueError, "made without params"),
        (lambda: optim.SGD(lr=0.1).state_dict(), ValueError, "made without params"),
        (lambda: optim.SGD(lr=0.1).add_param_group({"params": [W]}), ValueError, "without params"),
        (lambda: optim.SGD([W]).update({}, {}), ValueError, "made without params"),
        (lambda: optim.SGD([W]).add_param_group({"params": [W]}), ValueError, "once"),
        (lambda: lr_scheduler.StepLR(0.1, 1), TypeError, "optimizer"),
        (lambda: lr_scheduler.StepLR(optim.SGD(), 0), ValueError, "step_size"),
        (lambda: lr_scheduler.LambdaLR(optim.SGD(), [abs] * 2), ValueError, "1 group; got 2"),
        (lambda: lr_scheduler.OneCycleLR(optim.SGD(), 1.0), ValueError, "total_steps"),
        (lambda: lr_scheduler.OneCycleLR(optim.Adagrad(), 1.0, 10), ValueError, "cycle_momentum"),
        (lambda: lr_scheduler.ReduceLROnPlateau(optim.SGD(), factor=1.0), ValueError, "factor"),
        (lambda: lr_scheduler.SequentialLR(optim.SGD(), [], [3]), ValueError, "milestone"),
        (lambda: lr_scheduler.ExponentialLR(optim.SGD(), 0.9, 5), KeyError, "initial_lr"),
        (lambda: clipping.clip_grad_norm_([1.0], 1.0), TypeError, "Tensors"),
    ],
)
def test_bad_arguments_of_pytorchs_kind_are_refused(make, error, message):
    with pytest.raises(error, match=message) as caught:
        make()
    if error is not KeyError:  # whose text stands in quotes
        assert_one_sentence(caught.value)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_refused_step_changes_nothing(kind):
    good = fastbp.ones(3, requires_grad=True)
    frozen = np.ones(3, "f4")
    read_only = leaf(frozen)
    frozen.flags.writeable = False
    changed = fastbp.ones(3, requires_grad=True)
    for bad, message in ((read_only, "read-only"), (changed, "float32.*float64|float64.*float32")):
        optimizer = getattr(optim, kind)([good, bad], lr=0.1)
        for p in (good, bad):
            p.grad = fastbp.ones(3)
        if bad is changed:
            bad.data = fastbp.ones(3, dtype=fastbp.float64)
        with pytest.raises(ValueError, match=message) as caught:
            optimizer.step()
        assert_one_sentence(caught.value)
        assert (good.array == 1).all() and not optimizer.state and optimizer.steps == 0


def test_a_state_of_another_dtype_is_refused():
    optimizer = two()
    p = optimizer.param_groups[0]["params"][0]
    p.data = p.data.double()
    p.grad = fastbp.zeros(3, 4, dtype=fastbp.float64)
    with pytest.raises(ValueError, match=r"Adam.step expects exp_avg.*float64.*float32") as caught:
        optimizer.step()
    assert_one_sentence(caught.value)


# --- schedulers -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in cases.SCHEDULERS if n != "two of one optimiser"])
def test_a_scheduler_goes_on_from_its_state_dict(name):
    def made():
        params = cases.parameters(fastbp, "float64")
        optimizer = optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], lr=0.2, momentum=0.5)
        return optimizer, cases.SCHEDULERS[name](lr_scheduler, optimizer)

    optimizer, scheduler = made()
    optimizer.step()
    for _ in range(7):
        scheduler.step()
    twin_optimizer, twin = made()
    twin_optimizer.load_state_dict(optimizer.state_dict())
    state = scheduler.state_dict()
    assert json.loads(json.dumps(state)) == state  # numbers, lists and names only
    twin.load_state_dict(copy.deepcopy(state))
    for _ in range(7):
        scheduler.step()
        twin.step()
        assert twin.get_last_lr() == scheduler.get_last_lr()
        assert twin_optimizer.param_groups[1]["lr"] == optimizer.param_groups[1]["lr"]


@pytest.mark.parametrize("own", [3, [], [{"_last_lr": [5.0], "last_epoch": 9}, {}]])
def test_a_refused_state_changes_no_scheduler_of_several(own):
    optimizer = optim.SGD(lr=1.0)
    parts = [lr_scheduler.ConstantLR(optimizer), lr_scheduler.ExponentialLR(optimizer, 0.5)]
    scheduler = lr_scheduler.SequentialLR(optimizer, parts, [2])
    state = scheduler.state_dict()
    before = copy.deepcopy(state)
    with pytest.raises(ValueError, match=r"expects what state_dict\(\) gave") as caught:
        scheduler.load_state_dict(state | {"_schedulers": own})
    assert_one_sentence(caught.value)
    assert scheduler.state_dict() == before


def test_a_scheduler_goes_on_from_an_epoch():
    optimizer = optim.SGD(lr=1.0)
    first = lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(3):
        first.step()
    second = lr_scheduler.ExponentialLR(optimizer, 0.5, last_epoch=3)
    assert second.last_epoch == 4 and optimizer.lr == 0.5**3  # as it is already


GROWN = {
    "StepLR": lambda s, o: s.StepLR(o, 2, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 4], 0.5),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.5),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.5, 3),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.5),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 9),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, factor=0.5, patience=0),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ExponentialLR(o, 0.5), s.LinearLR(o)]),
    "SequentialLR": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o), s.StepLR(o, 1)], [9]),
}


def _grown(t, name):
    """Rates of two groups, of which the second comes after the scheduler: layers unfrozen."""
    w, v = (t.ones(2, requires_grad=True) for _ in range(2))
    optimizer = t.optim.SGD([w], lr=1.0, momentum=0.9)
    scheduler = GROWN[name](t.optim.lr_scheduler, optimizer)
    value = (1.0,) * (name == "ReduceLROnPlateau")
    optimizer.step()
    scheduler.step(*value)
    optimizer.add_param_group({"params": [v], "lr": 0.7})
    rates = []
    for _ in range(6):
        scheduler.step(*value)
        rates.append([group["lr"] for group in optimizer.param_groups])
    return rates


@pytest.mark.parametrize("name", GROWN)
def test_a_group_that_is_added_after_its_scheduler_goes_on_from_its_rate(name):
    rates = _grown(fastbp, name)
    both = np.array(rates) / rates[0]
    np.testing.assert_allclose(both[:, 0], both[:, 1], rtol=1e-12)
    assert rates[-1] != rates[0] or name == "ConstantLR"
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(rates, _grown(torch, name), rtol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.5),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
        lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9),
        lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, min_lr=[0.1]),
        lambda o: lr_scheduler.ChainedScheduler(
            [lr_scheduler.ExponentialLR(o, 0.5), lr_scheduler.LambdaLR(o, lambda epoch: 0.5)]
        ),
    ],
)
def test_a_group_without_a_first_rate_is_refused_by_schedulers_that_need_it(make):
    """PyTorch refuses it by the word of zip."""
    w, v = (fastbp.ones(2, requires_grad=True) for _ in range(2))
    optimizer = optim.SGD([w], lr=1.0, momentum=0.9)
    scheduler = make(optimizer)
    value = (1.0,) * isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
    optimizer.step()
    scheduler.step(*value)
    optimizer.add_param_group({"params": [v], "lr": 0.7})
    before = copy.deepcopy(scheduler.state_dict()), [dict(g) for g in optimizer.param_groups]
    with pytest.raises(ValueError, match=r"the 1 parameter group .* after add_p") as caught:
        scheduler.step(*value)
    assert_one_sentence(caught.value)
    assert before[0] == scheduler.state_dict()
    assert before[1] == [dict(g) for g in optimizer.param_groups]


def test_a_group_may_bring_its_first_rate():
    w, v, u = (fastbp.ones(2, requires_grad=True) for _ in range(3))
    optimizer = optim.SGD([{"params": w}], lr=1.0)
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)
    optimizer.step()
    scheduler.step()
    optimizer.add_param_group({"params": v, "lr": 0.1, "initial_lr": 4.0})
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 1.0]
    several = lr_scheduler.MultiplicativeLR(optimizer, [lambda epoch: 0.5, lambda epoch: 0.1])
    optimizer.add_param_group({"params": u})
    with pytest.raises(ValueError, match=r"the 2 parameter groups .*; got 3"):
        several.step()


# --- the order of steps ---------------------------------------------------------------------

ORDERED = {
    **{name: make for name, make in GROWN.items() if name != "ReduceLROnPlateau"},
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 0.5),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 0.5),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 1.0, 9),
}
SILENT = {
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2),
}


class Sign(optim.Optimizer):
    """A rule of one's own."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr, "momentum": 0.0})

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data.add_(p.grad.sign(), alpha=-group["lr"])


class Twice(optim.SGD):
    def step(self, closure=None):
        super().step(closure)
        return super().step()


def trained(kind=optim.SGD):
    w = fastbp.ones(2, requires_grad=True)
    w.grad = fastbp.ones(2)
    return kind([w], lr=0.1)


def warned(scheduler):
    """What the first two steps of a scheduler warn of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            scheduler.step(*(1.0,) * isinstance(scheduler, lr_scheduler.ReduceLROnPlateau))
    return [str(each.message) for each in caught if each.category is UserWarning]


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, Sign, Twice])
@pytest.mark.parametrize("name", ORDERED)
def test_a_scheduler_that_steps_before_its_optimizer_says_so(name, kind):
    optimizer = trained(kind)
    optimizer.step()  # one before the scheduler is made is none of its own
    scheduler = (
        ORDERED[name](lr_scheduler, optimizer)
        if name != "OneCycleLR"
        else (lr_scheduler.OneCycleLR(optimizer, 1.0, 9, cycle_momentum=False))
    )
    messages = warned(scheduler)
    assert len(messages) == (2 if name == "ChainedScheduler" else 1)
    assert all("expects optimizer.step() before it" in message for message in messages)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, Sign, Twice])
@pytest.mark.parametrize("name", [*ORDERED, *SILENT])
def test_a_scheduler_that_steps_after_its_optimizer_says_nothing(name, kind):
    optimizer = trained(kind)
    if name == "OneCycleLR":
        scheduler = lr_scheduler.OneCycleLR(optimizer, 1.0, 9, cycle_momentum=False)
    else:
        scheduler = (ORDERED | SILENT)[name](lr_scheduler, optimizer)
    optimizer.step()
    assert not warned(scheduler)


@pytest.mark.parametrize("name", SILENT)
def test_restarts_and_plateaus_may_come_first_as_in_pytorch(name):
    assert not warned(SILENT[name](lr_scheduler, trained()))


def test_the_order_is_seen_after_a_state_was_loaded():
    states = []
    optimizer = trained(optim.Adam)
    for _ in range(3):
        optimizer.step()
    state = optimizer.state_dict()
    for loaded_first in (True, False):
        for stepped in (True, False):
            other = trained(optim.Adam)
            if loaded_first:
                other.load_state_dict(state)
            scheduler = lr_scheduler.StepLR(other, 2)
            if not loaded_first:
                other.load_state_dict(state)
            if stepped:
                other.step()
                other.load_state_dict(state)  # a step of before is not forgotten
            states.append((stepped, bool(warned(scheduler))))
    assert states == [(True, False), (False, True)] * 2
    resumed = lr_scheduler.StepLR(optimizer, 2)
    optimizer.step()
    resumed.step()
    again = lr_scheduler.StepLR(trained(), 2)
    again.load_state_dict(resumed.state_dict())  # its first step was then
    assert not warned(again)
    known = {"params": fastbp.ones(2, requires_grad=True), "initial_lr": 0.1}
    assert warned(lr_scheduler.StepLR(optim.SGD([known]), 2, last_epoch=3))


def test_a_step_that_was_replaced_is_named():
    optimizer = trained()
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    optimizer.step = lambda: None
    optimizer.step()
    [message] = warned(scheduler)
    assert "optimizer.step was replaced" in message
    optimizer = trained()
    scheduler, own = lr_scheduler.StepLR(optimizer, 2), optimizer.step
    optimizer.step = lambda: own()  # which is seen all the same
    optimizer.step()
    assert not warned(scheduler)


def test_updates_by_name_have_their_order_too():
    optimizer, params = optim.SGD(lr=1.0), {"W1": np.zeros(1)}
    scheduler = lr_scheduler.StepLR(optimizer, 1, 0.5)
    scheduler.step()  # maybe for the curve alone
    optimizer.update(params, {"W1": np.ones(1)})
    with pytest.warns(UserWarning, match="expects optimizer.step"):
        scheduler.step()
    assert not warned(lr_scheduler.StepLR(optim.SGD(lr=1.0), 1))


def test_a_trainers_steps_are_steps_of_its_optimizer():
    net = Sequential(fastbp.Affine(np.ones((3, 2)), np.zeros(2)), loss=fastbp.MeanSquaredError())
    x, t = np.ones((4, 3)), np.ones((4, 2))
    optimizer = optim.SGD(lr=0.1)
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    trainer = Trainer(net, optimizer)
    trainer.step(x, t)
    assert optimizer.has_stepped() and not warned(scheduler)


def test_steps_of_ones_own_rule_are_counted():
    for kind, n in ((Sign, 1), (Twice, 2)):
        optimizer = trained(kind)
        optimizer.step()
        assert optimizer.steps == n


def test_the_rates_of_a_step_to_come_are_not_those_of_now():
    scheduler = lr_scheduler.ExponentialLR(optim.SGD(lr=1.0), 0.5)
    with pytest.warns(UserWarning, match=r"get_last_lr\(\)"):
        scheduler.get_lr()


# --- names ----------------------------------------------------------------------------------


def test_named_parameters_are_taken_with_their_names():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    [group] = optimizer.param_groups
    names = ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert group["param_names"] == names
    assert all(a is b for a, b in zip(group["params"], net.parameters(), strict=True))
    state = optimizer.state_dict()
    assert state["param_groups"][0]["param_names"] == names
    twin = optim.SGD((("x" + name, p) for name, p in net.named_parameters()), lr=0.5)
    bare = optim.SGD(net.parameters(), lr=0.5)
    twin.load_state_dict(bare.state_dict())
    assert twin.param_groups[0]["param_names"] == ["x" + name for name in names]
    twin.load_state_dict(state)
    assert twin.param_groups[0]["param_names"] == names and twin.param_groups[0]["lr"] == 0.1
    by_layer = [{"params": net[k].named_parameters(), "lr": lr} for k, lr in ((0, 1.0), (2, 2.0))]
    groups = optim.Adam(by_layer).param_groups
    assert [group["param_names"] for group in groups] == [["weight", "bias"]] * 2


NAMED = fastbp.ones(2, requires_grad=True), fastbp.ones(3, requires_grad=True)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([("a", NAMED[0]), NAMED[1]], "got 1 name for 2"),
        ([("a", NAMED[0], 3)], "pairs of a name and a Tensor"),
        ([(NAMED[0], "a")], "pairs of a name and a Tensor"),
        ([{"params": [("a", NAMED[0])]}, {"params": NAMED[1]}], "in all groups or in none"),
        ([{"params": None}], "a sequence of Tensors; got None"),
        ([{"params": NAMED[0], "learning_rate": 0.1}], "got 'learning_rate'"),
        ([{"params": NAMED[0], "weight_deacy": 0.1}], "got 'weight_deacy'"),
        ([{"params": NAMED[0], "betas": (0.9, 0.9)}], "got 'betas', which SGD does not have"),
    ],
)
def test_bad_names_and_options_of_a_group_are_refused(params, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        optim.SGD(params)
    assert_one_sentence(caught.value)


def test_keys_of_ones_own_are_kept():
    extra = {"name": "head", "initial_lr": 0.5, "max_momentum": 0.9, "lr_scale": 2, "min_lr": 0}
    [group] = optim.SGD([{"params": NAMED[0], **extra}]).param_groups
    assert {key: group[key] for key in extra} == extra


@pytest.mark.parametrize(("steps", "share"), [(10, 0.1), (4, 1), (1, 1)])
def test_a_cycle_whose_way_up_has_no_steps(steps, share):
    optimizer = optim.SGD(lr=1.0, momentum=0.9)
    scheduler = lr_scheduler.OneCycleLR(optimizer, 2.0, steps, pct_start=share)
    rates = scheduler.get_last_lr()
    for _ in range(steps):
        scheduler.step()
        rates += scheduler.get_last_lr()
    assert max(rates) == 2.0 and len(rates) == steps + 1


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.5, dampening=0.5),
        *(lambda p, kind=kind: kind(p, lr=0.1, maximize=True) for kind in OPTIMIZERS.values()),
    ],
)
def test_a_parameter_without_dimensions_is_trained_as_one_with(make):
    found = []
    for shape in ((), (1,)):
        w = fastbp.full(shape, 2.0, requires_grad=True)
        optimizer = make([w])
        for _ in range(3):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
        found.append(w.item())
    assert found[0] == found[1] != 2


@pytest.mark.parametrize(
    "step", [fastbp.tensor(5), fastbp.tensor(5.0, dtype=fastbp.float64), fastbp.ones(2), fastbp.ones(0)]
)
def test_a_count_of_steps_of_another_form_is_refused(step):
    """The compiled step would read it as a float32."""
    w = fastbp.ones(3, requires_grad=True)
    optimizer = optim.Adam([w])
    w.sum().backward()
    optimizer.step()
    before = w.tolist()
    optimizer.state[w]["step"] = step
    with pytest.raises(ValueError, match="step expects step as one number of float32") as caught:
        optimizer.step()
    assert_one_sentence(caught.value)
    assert w.tolist() == before


def test_restarts_take_fractions_of_epochs():
    torch = pytest.importorskip("torch")
    rates = []
    for t in (fastbp, torch):
        optimizer = t.optim.SGD(cases.parameters(t, "float32"), lr=0.1)
        scheduler = t.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3, 2)
        optimizer.step()
        course = []
        for quarter in range(60):
            scheduler.step(quarter / 4)
            course.append(scheduler.get_last_lr()[0])
        rates.append(course)
    np.testing.assert_allclose(*rates, rtol=1e-12)


def test_a_plateaus_reductions_are_printed(capsys):
    optimizer = optim.SGD(lr=0.1)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, verbose=True)
    scheduler.step(1.0)
    scheduler.step(fastbp.tensor(1.0))
    assert optimizer.lr == pytest.approx(0.01)
    assert "Epoch 2: reducing learning rate of group 0 to 1.0000e-02." in capsys.readouterr().out


def test_a_scheduler_serves_update_too():
    optimizer, param = optim.SGD(lr=1.0), np.zeros(1)
    scheduler = lr_scheduler.StepLR(optimizer, 1, 0.5)
    for _ in range(3):
        optimizer.update({"W1": param}, {"W1": np.ones(1)})
        scheduler.step()
    assert param[0] == -1.75


def test_one_cycle_ends():
    scheduler = lr_scheduler.OneCycleLR(optim.SGD(), 1.0, 5)
    with pytest.raises(ValueError, match="5 steps; got step 6") as caught:
        for _ in range(9):
            scheduler.step()
    assert_one_sentence(caught.value)


def test_schedulers_are_there_after_a_bare_import(run_python):
    code = "import fastbp; print(fastbp.optim.lr_scheduler.StepLR.__name__)"
    assert run_python("-c", code).stdout == "StepLR\n"


# --- clipping and vectors -------------------------------------------------------------------


def test_clipping_leaves_small_gradients_and_says_of_none():
    w = fastbp.tensor([3.0, 4.0], requires_grad=True)
    assert clipping.clip_grad_norm_([w], 1.0).item() == 0
    w.grad = fastbp.tensor([0.3, 0.4])
    assert clipping.clip_grad_norm_(w, 1.0).item() == pytest.approx(0.5)
    np.testing.assert_array_equal(w.grad.array, np.array([0.3, 0.4], "f4"))
    w.grad = fastbp.tensor([math.inf, 0.0])
    with pytest.raises(RuntimeError, match="finite norm; got inf"):
        clipping.clip_grad_norm_(w, 1.0, error_if_nonfinite=True)
    assert w.grad.array[0] == math.inf


def test_an_infinite_bound_asks_for_the_norm_alone():
    w = fastbp.zeros(2, requires_grad=True)
    for grad in ([3.0, 4.0], [math.inf, 1.0]):
        w.grad = fastbp.tensor(grad)
        clipping.clip_grad_norm_(w, math.inf)
        clipping.clip_grad_value_(w, math.inf)
        assert w.grad.tolist() == grad


@pytest.mark.parametrize("order", [1, 2.0, 3, 0.5, math.inf, -math.inf, 0])
def test_norms_of_all_gradients_are_pytorchs(order, rng):
    grads = [rng.standard_normal(shape) for shape in ((3, 4), (5,), ())]
    ours = clipping.get_total_norm([fastbp.tensor(grad) for grad in grads], order)
    flat = np.array([np.linalg.norm(np.ravel(grad), order) for grad in grads])
    assert ours.item() == pytest.approx(np.linalg.norm(flat, order))
    params = [fastbp.tensor(grad, requires_grad=True) for grad in grads]
    twins = [fastbp.tensor(grad, requires_grad=True) for grad in grads]
    for p, q, grad in zip(params, twins, grads, strict=True):
        p.grad, q.grad = fastbp.tensor(grad), fastbp.tensor(grad)
    clipping.clip_grads_with_norm_(params, 0.5, ours)
    assert clipping.clip_grad_norm_(twins, 0.5, order).item() == ours.item()
    torch = pytest.importorskip("torch")
    theirs = [torch.zeros(grad.shape, dtype=torch.float64, requires_grad=True) for grad in grads]
    for p, grad in zip(theirs, grads, strict=True):
        p.grad = torch.tensor(grad)
    norm = torch.nn.utils.clip_grad_norm_(theirs, 0.5, order)
    assert norm.item() == pytest.approx(ours.item())
    for p, q, r in zip(params, twins, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), r.grad.numpy(), rtol=1e-12)
        np.testing.assert_allclose(q.grad.numpy(), r.grad.numpy(), rtol=1e-12)


def test_parameters_go_into_a_vector_and_back():
    params = cases.parameters(fastbp, "float64")
    vector = vectors.parameters_to_vector(params)
    assert vector.shape == (17,) and vector.requires_grad
    vectors.vector_to_parameters(fastbp.arange(17.0), params)
    np.testing.assert_array_equal(params[1].array, [12, 13, 14, 15])
    with pytest.raises(ValueError, match=r"\(17,\).*\(3,\)"):
        vectors.vector_to_parameters(fastbp.zeros(3), params)


# --- options that change between steps --------------------------------------------------------


@pytest.mark.parametrize("betas", [(0.5,), (), [], (0.5, 0.5, 0.5), 0.5, None])
@pytest.mark.parametrize("kind", ["Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Lion"])
def test_betas_that_are_no_pair_are_refused_by_step(kind, betas):
    w = fastbp.ones(2, requires_grad=True)
    w.sum().backward()
    optimizer = getattr(optim, kind)([w], lr=0.1)
    optimizer.param_groups[0]["betas"] = betas
    with pytest.raises((TypeError, ValueError), match=f"{kind} expects betas"):
        optimizer.step()
    assert w.tolist() == [1, 1]


@pytest.mark.parametrize("backend", ["compiled", "reference"])
def test_a_dampening_that_comes_under_nesterov_is_pytorchs(backend):
    w = fastbp.tensor([1.0], dtype=fastbp.float64, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9, nesterov=True)
    with fastbp.use(backend):
        for k in range(3):
            if k == 1:
                optimizer.param_groups[0]["dampening"] = 0.5
            w.grad = fastbp.ones(1, dtype=fastbp.float64)
            optimizer.step()
    assert w.item() == pytest.approx(0.32560, abs=1e-5)


def test_a_momentum_that_comes_later_begins_by_arrays_as_by_tensors():
    params, w = {"a": np.ones(2)}, fastbp.ones(2, dtype=fastbp.float64, requires_grad=True)
    by_name, bound = optim.SGD(lr=0.1, dampening=0.5), optim.SGD([w], lr=0.1, dampening=0.5)
    for momentum in (0.0, 0.9, 0.9):
        by_name.momentum = bound.momentum = momentum
        by_name.update(params, {"a": np.ones(2)})
        w.grad = fastbp.ones(2, dtype=fastbp.float64)
        bound.step()
        np.testing.assert_allclose(params["a"], w.detach().numpy(), rtol=1e-14)


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_an_optimiser_without_tensors_shows_its_numbers(kind):
    shown = repr(kind())
    for name, value in kind().defaults.items():
        if not isinstance(value, bool) and name not in ("dampening", "lr_decay", "initial_accumulator_value"):
            assert f"{name}=" in shown, (shown, name, value)


def test_adamw_takes_the_state_of_an_adam_with_its_own_decay():
    w, v = (fastbp.ones(2, requires_grad=True) for _ in range(2))
    adam, adamw = optim.Adam([w], lr=0.1), optim.AdamW([v], lr=0.1, weight_decay=0.1)
    w.grad = v.grad = fastbp.ones(2)
    adam.step()
    adamw.load_state_dict(adam.state_dict())
    assert adamw.param_groups[0]["decoupled_weight_decay"] is True
