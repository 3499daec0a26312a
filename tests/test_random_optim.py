"""Random programs of optimisers and schedulers: PyTorch's numbers, and the NumPy twins'.

A program is drawn by its number: groups, options changed between steps, groups that come later,
frozen parameters, missing gradients, states that go through `state_dict`, schedulers within
schedulers.
"""

import copy
import random
import warnings

import numpy as np
import pytest

import fastbp

SHAPES = [(3, 4), (4,), (), (1,), (5, 2), (2, 3, 2)]
OPTIONS = {
    "SGD": [
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"dampening": 0.3},
        {"momentum": 0.5, "dampening": 0.3},
        {},
    ],
    "Adam": [{"betas": (0.8, 0.95)}, {"eps": 1e-3}, {"decoupled_weight_decay": True}, {}],
    "AdamW": [{"betas": (0.8, 0.95)}, {"weight_decay": 0.0}, {}],
    "RMSprop": [{"momentum": 0.7}, {"alpha": 0.5}, {"momentum": 0.7, "eps": 1e-3}],
    "Adagrad": [{"lr_decay": 0.1}, {"initial_accumulator_value": 0.3}, {}],
}


def change(rng, group):
    """One of a group's options is written into."""
    choices = {"lr": (0.3, 0.02), "weight_decay": (0, 0.05), "maximize": (True, False)}
    if "betas" in group:
        choices |= {"betas": ((0.5, 0.9), (0.9, 0.999)), "eps": (1e-2, 1e-8)}
    if group.get("momentum") and not group.get("nesterov"):
        choices |= {"momentum": (0, 0.5, 0.9), "dampening": (0, 0.5)}
    name = rng.choice([name for name in choices if name in group])
    group[name] = rng.choice(choices[name])


def stepped(t, kind, seed, dtype):
    """The parameters after each step of a drawn program, and the optimiser's state."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    dtype = getattr(t, dtype)

    def tensor(shape, **options):
        return t.tensor(numbers.standard_normal(shape).tolist(), dtype=dtype, **options)

    params = [tensor(shape, requires_grad=True) for shape in SHAPES]
    n = rng.randint(2, 5)
    rest, made = params[n:], getattr(t.optim, kind)
    options = rng.choice(OPTIONS[kind]) | {"lr": rng.choice([0.1, 0.01])}
    groups = [{"params": params[:1], "lr": 0.05, "weight_decay": 0.2}, {"params": params[1:n]}]
    optimizer = made(rng.choice([groups, params[:n]]), **options)
    course = []
    for _ in range(20):
        for p in params:
            grad = tensor(tuple(p.shape))
            p.grad = None if rng.random() < 0.1 else grad
        optimizer.step()
        what = rng.randrange(12)
        if what < 4:
            change(rng, rng.choice(optimizer.param_groups))
        elif what == 4 and rest:
            optimizer.add_param_group({"params": [rest.pop()], "lr": 0.2})
        elif what == 5:
            state = copy.deepcopy(optimizer.state_dict())
            groups = [{"params": list(group["params"])} for group in optimizer.param_groups]
            optimizer = made(groups, **options)
            optimizer.load_state_dict(state)
        elif what == 6:
            optimizer.zero_grad(set_to_none=rng.random() < 0.5)
        elif what == 7:
            params[0].requires_grad_(rng.random() < 0.5)
        elif what == 8 and kind != "Adagrad":  # PyTorch makes its state where the rule is made
            optimizer.state.pop(params[0], None)
        course.append([p.detach().numpy().astype(float).ravel() for p in params])
    state = {
        (place, name): np.asarray(value.detach(), float).ravel()
        for place, kept in optimizer.state_dict()["state"].items()
        for name, value in kept.items()
        if value is not None
    }
    return course, state


def assert_same_course(ours, theirs, dtype):
    tolerance = 2e-4 if dtype == "float32" else 1e-10
    for a, b in zip(ours[0], theirs[0], strict=True):
        for p, q in zip(a, b, strict=True):
            np.testing.assert_allclose(p, q, rtol=tolerance, atol=tolerance)
    kept = {key for key, value in theirs[1].items() if key in ours[1] or value.any()}
    assert ours[1].keys() == kept
    for key in kept:
        np.testing.assert_allclose(ours[1][key], theirs[1][key], rtol=tolerance, atol=tolerance, err_msg=str(key))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", OPTIONS)
def test_random_steps_are_pytorchs(kind, seed, dtype):
    torch = pytest.importorskip("torch")
    try:
        theirs = stepped(torch, kind, seed, dtype.name)
    except KeyError:  # momentum that is switched on later
        assert kind == "RMSprop"
        return
    assert_same_course(stepped(fastbp, kind, seed, dtype.name), theirs, dtype.name)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", OPTIONS)
def test_random_steps_are_the_twins(kind, seed, dtype):
    with fastbp.use("reference"):
        twin = stepped(fastbp, kind, seed, dtype.name)
    assert_same_course(stepped(fastbp, kind, seed, dtype.name), twin, dtype.name)


@pytest.mark.parametrize("kind", ["SGD", "RMSprop"])
def test_a_state_with_momentum_goes_on_where_momentum_is_0(kind):
    w = fastbp.ones(2, requires_grad=True)
    w.grad = fastbp.ones(2)
    optimizer = getattr(fastbp.optim, kind)([w], lr=0.1, momentum=0.9)
    optimizer.step()
    optimizer.param_groups[0]["momentum"] = 0
    twin = getattr(fastbp.optim, kind)([w], lr=0.1)
    twin.load_state_dict(optimizer.state_dict())
    assert twin.state[w]["momentum_buffer"].tolist() == optimizer.state[w]["momentum_buffer"].tolist()
    twin.step()


# --- schedulers -----------------------------------------------------------------------------


def made_scheduler(rng, t, optimizer, n, depth=0):
    s, g = t.optim.lr_scheduler, rng.choice([0.5, 0.9, 0.1])
    k, m = rng.randint(1, 5), rng.randint(1, 5)
    kinds = {
        "StepLR": lambda: s.StepLR(optimizer, k, g),
        "MultiStepLR": lambda: s.MultiStepLR(optimizer, [k, k, k + m], g),
        "ExponentialLR": lambda: s.ExponentialLR(optimizer, g),
        "ConstantLR": lambda: s.ConstantLR(optimizer, g, k),
        "LinearLR": lambda: s.LinearLR(optimizer, g, 0.3, k),
        "PolynomialLR": lambda: s.PolynomialLR(optimizer, k, 0.5 * m),
        "LambdaLR": lambda: s.LambdaLR(optimizer, lambda epoch: g**epoch),
        "LambdaLR of several": lambda: s.LambdaLR(
            optimizer, [lambda epoch, i=i: 1 / (1 + i * epoch) for i in range(n)]
        ),
        "MultiplicativeLR": lambda: s.MultiplicativeLR(optimizer, lambda e: 0.5 + 0.1 * (e % 3)),
        "CosineAnnealingLR": lambda: s.CosineAnnealingLR(optimizer, k, 0.01),
        "CosineAnnealingWarmRestarts": lambda: s.CosineAnnealingWarmRestarts(optimizer, k, 2),
    }
    if depth == 0:
        kinds |= {
            "OneCycleLR": lambda: s.OneCycleLR(optimizer, [0.5] * n, 25, three_phase=g == 0.5),
            "ReduceLROnPlateau": lambda: s.ReduceLROnPlateau(
                optimizer, rng.choice(["min", "max"]), g, k - 1, cooldown=m - 1, min_lr=0.01
            ),
            "SequentialLR": lambda: s.SequentialLR(
                optimizer, [made_scheduler(rng, t, optimizer, n, 1) for _ in range(3)], sorted((k - 1, k + m))
            ),
            "ChainedScheduler": lambda: s.ChainedScheduler([made_scheduler(rng, t, optimizer, n, 1) for _ in range(2)]),
        }
    return kinds[rng.choice(list(kinds))]()


def scheduled(t, seed):
    rng = random.Random(seed)
    n = rng.randint(1, 3)
    params = [t.ones(2, requires_grad=True) for _ in range(n)]
    groups = [{"params": [p], "lr": rng.choice([0.1, 0.3])} for p in params]
    optimizer = getattr(t.optim, rng.choice(["SGD", "Adam", "RMSprop"]))(groups)
    scheduler = made_scheduler(rng, t, optimizer, n)
    plateau = isinstance(scheduler, t.optim.lr_scheduler.ReduceLROnPlateau)
    course = [type(scheduler).__name__]
    for _ in range(14):
        optimizer.step()
        scheduler.step(*[rng.choice([1.0, 0.9, 0.5, 2.0])] * plateau)
        course += [group["lr"] for group in optimizer.param_groups] + scheduler.get_last_lr()
        course += [group.get("momentum", 0) for group in optimizer.param_groups]
        if rng.random() < 0.1:
            optimizer.param_groups[0]["lr"] = 0.7
        if rng.random() < 0.1:
            scheduler.load_state_dict(copy.deepcopy(scheduler.state_dict()))
            optimizer.load_state_dict(optimizer.state_dict())
    return course


@pytest.mark.parametrize("seed", range(150))
def test_random_schedules_are_pytorchs(seed):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        kind, *theirs = scheduled(torch, seed)
    own, *ours = scheduled(fastbp, seed)
    assert own == kind
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
