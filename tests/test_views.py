"""Drawn programs of views and in-place changes against PyTorch's numbers, in one thread and many.

golden/make_golden_views.py draws them; a program that failed once is in its list or here.
"""

import copy
import json
import threading
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import nn

GOLDEN = json.loads((Path(__file__).parent / "golden" / "golden_views.json").read_text())
PROGRAMS = GOLDEN["programs"]


def ran(lines):
    place = {"T": fastbp, "np": np}
    exec("\n".join(lines), place)
    return place


def together(function, n):
    """Call it from n threads at once; what one raises is raised."""
    errors, start = [], threading.Barrier(n)

    def call():
        start.wait()
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("part", range(10))
def test_programs_of_views_have_pytorchs_gradients(part):
    for program in PROGRAMS[part::10]:
        place = ran(program["lines"])
        text = "\n".join(program["lines"])
        assert np.isclose(place["loss"].item(), program["loss"], rtol=1e-9), text
        place["loss"].backward()
        for name, wanted in zip("wu", program["gradients"], strict=True):
            grad = place[name].grad
            assert (grad is None) == (wanted is None), text
            assert grad is None or np.allclose(grad.numpy(), wanted, rtol=1e-9), text


def test_programs_of_views_go_back_from_several_threads():
    for program in PROGRAMS[:80]:
        place = ran(program["lines"])
        together(lambda loss=place["loss"]: loss.backward(retain_graph=True), 4)
        for name, wanted in zip("wu", program["gradients"], strict=True):
            if wanted is not None:
                assert np.allclose(place[name].grad.numpy(), 4 * np.array(wanted), rtol=1e-9)


def test_an_expanded_view_follows_its_base():
    w = fastbp.tensor([1.0, 2.0], requires_grad=True)
    x = w.clone()
    e = x.expand(3, 2)
    x.mul_(2.0)
    (e**2).mean().backward()
    assert w.grad.tolist() == [4.0, 8.0]


@pytest.mark.parametrize(
    "view",
    [
        "x.expand(3, 2)",
        "x.unsqueeze(1).expand(2, 4)",
        "x.expand(2, 2).expand(3, 2, 2)",
        "x.expand(3, 2).T",
        "x.expand(3, 2)[1:]",
        "x.broadcast_to((2, 1, 2)).transpose(0, 2)",
        "x.expand(4, 2).reshape(2, 2, 2)[:, 0]",
        "x.expand_as(T.ones(5, 2)).narrow(0, 1, 3)",
    ],
)
def test_views_that_repeat_numbers_add_their_gradients_up(view):
    w = fastbp.tensor([1.0, 2.0], requires_grad=True)
    x = w.clone()
    e = eval(view, {"x": x, "T": fastbp})
    x.mul_(3.0)
    (e * e).sum().backward()
    times = e.numel() // 2
    assert np.allclose(w.grad.numpy(), 18 * times * w.detach().numpy())
    with pytest.raises(RuntimeError, match="memory of its own"):
        e.add_(1.0)


def test_a_row_of_an_expanded_view_can_be_changed():
    w = fastbp.tensor([1.0, 2.0], requires_grad=True)
    x = w.clone()
    x.expand(3, 2)[0].mul_(2.0)
    x.expand(2).add_(1.0)
    x.sum().backward()
    assert x.tolist() == [3.0, 5.0] and w.grad.tolist() == [2.0, 2.0]


def test_views_of_a_base_that_does_not_lie_in_order():
    for base in (np.arange(6.0).reshape(2, 3).T, np.arange(12.0).reshape(3, 4)[:, ::2]):
        w = fastbp.ones(*base.shape, dtype=fastbp.float64, requires_grad=True)
        x = fastbp.from_numpy(base.copy(order="K") if base.flags.f_contiguous else base)
        view = x[1:]
        x.mul_(w)
        view.mul_(2.0)
        (x * x).sum().backward()
        factor = np.where(np.arange(3)[:, None] >= 1, 2.0, 1.0)
        before = x.detach().numpy() / factor
        assert np.allclose(w.grad.numpy(), 2 * (factor * before) ** 2)


def test_a_view_whose_base_got_other_data_is_refused():
    x = fastbp.ones(4, requires_grad=True) * 1
    view = x[1:]
    x.data = fastbp.ones(2)
    x.mul_(fastbp.ones(2, requires_grad=True))
    with pytest.raises(RuntimeError, match="share memory still"):
        view.sum().backward()


def test_a_view_made_under_no_grad_is_not_changed_behind_the_graph():
    w = fastbp.ones(3, requires_grad=True)
    x = w * 1
    with fastbp.no_grad():
        view = x[1:]
        deeper = view[:1]
    for each in (view, deeper):
        with pytest.raises(RuntimeError, match="made under no_grad"):
            each.mul_(2.0)
    x.mul_(2.0)
    with pytest.raises(RuntimeError, match="made under no_grad"):
        view * 2
    with fastbp.no_grad():
        (w * 1)[0].mul_(2.0)  # neither is recorded


def test_assignment_refuses_what_does_not_broadcast():
    x = fastbp.zeros(2, 3)
    x[0] = fastbp.ones(1, 1, 3)  # leading lengths of 1 are dropped
    for value in (fastbp.ones(3, 2), fastbp.ones(6), fastbp.ones(2, 3, 1)):
        with pytest.raises(RuntimeError, match="broadcasts to"):
            x[:] = value
    for value in (fastbp.ones(1, 2, 3), fastbp.ones(4)):
        with pytest.raises(RuntimeError, match="copy_ expects src of a shape"):
            x.copy_(value)
    with pytest.raises(TypeError, match="0-d"):
        x.fill_(fastbp.ones(1))
    assert x.tolist() == [[1.0] * 3, [0.0] * 3]


# --- several threads ------------------------------------------------------------------------


def test_threads_over_one_graph_each_have_their_own_sums():
    for _ in range(15):
        w = fastbp.randn(200_000, requires_grad=True)
        hidden = w * w
        loss = (hidden * 3 + hidden).sum() + (hidden * 2).sum()
        together(lambda loss=loss: loss.backward(retain_graph=True), 8)
        assert np.allclose(w.grad.numpy(), 8 * 12 * w.detach().numpy(), rtol=1e-4)


def test_threads_over_graphs_that_share_leaves_lose_nothing():
    w = fastbp.ones(50_000, requires_grad=True)

    def many():
        for _ in range(10):
            ((w * 2 + w) * 3).sum().backward()

    together(many, 8)
    assert (w.grad == 720).all()


@pytest.mark.parametrize("time", range(40))
def test_threads_with_hooks_and_retained_gradients(time):
    w = fastbp.ones(30_000, requires_grad=True)
    hidden = w * 2
    calls = []
    hidden.register_hook(lambda g: (calls.append(1), g * 2)[1])
    hidden.retain_grad()
    w.register_hook(lambda g: g * 10)
    loss = (hidden + hidden * 3).sum()
    together(lambda: loss.backward(retain_graph=True), 6)
    assert len(calls) == 6 and (hidden.grad == 6 * 8).all() and (w.grad == 6 * 160).all()


def test_threads_ask_for_gradients_of_one_graph():
    w = fastbp.ones(50_000, requires_grad=True)
    hidden = w * w
    loss = (hidden * 3 + hidden).sum()
    found = []
    together(lambda: found.append(fastbp.autograd.grad(loss, [hidden, w], retain_graph=True)), 6)
    assert all((h == 4).all() and (g == 8).all() for h, g in found) and w.grad is None


def test_a_thread_that_frees_the_graph_takes_nothing_from_another():
    for _ in range(20):
        w = fastbp.ones(50_000, requires_grad=True)
        hidden = w * w
        loss = (hidden * hidden + hidden).sum()
        done = []

        def back(loss=loss, done=done):
            try:
                loss.backward()
                done.append(1)
            except RuntimeError as error:
                assert "freed" in str(error)

        together(back, 6)
        assert done and (w.grad == 6 * len(done)).all()


def test_a_hook_goes_back_through_the_graph_that_it_is_called_in():
    w = fastbp.tensor([1.0, 2.0], requires_grad=True)
    hidden = w * 3
    loss = (hidden * hidden).sum()
    inner = []

    def hook(g):
        if not inner:
            inner.append(None)
            inner[0] = fastbp.autograd.grad(loss, w, retain_graph=True)[0]

    hidden.register_hook(hook)
    loss.backward(retain_graph=True)
    assert inner[0].tolist() == [18.0, 36.0] and w.grad.tolist() == [18.0, 36.0]


def test_an_error_in_a_hook_leaves_nothing_behind():
    w = fastbp.tensor([1.0], requires_grad=True)
    hidden = w * 2
    handle = hidden.register_hook(lambda g: 1 / 0)
    loss = hidden * 3
    with pytest.raises(ZeroDivisionError):
        loss.backward(retain_graph=True)
    handle.remove()
    loss.backward()
    assert w.grad.tolist() == [6.0]


class OwnLinear(nn.Linear):
    """A subclass keeps its weight as a layer does."""


WEIGHTS = {
    "layer": lambda: nn.Linear(3, 2),
    "double": lambda: nn.Linear(3, 2).double(),
    "copy": lambda: copy.deepcopy(nn.Linear(3, 2)),
    "subclass": lambda: OwnLinear(3, 2),
}


@pytest.mark.parametrize("make", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("name", ["flatten", "ravel", "contiguous", "reshape", "view"])
def test_a_copy_of_a_weight_that_would_be_a_view_is_not_written_to(name, make):
    layer = make()
    layer(fastbp.ones(1, 3, dtype=layer.weight.dtype)).sum().backward()
    for tensor in (layer.weight.detach(), layer.weight.grad):
        _copy_is_not_written_to(tensor, name)


def _copy_is_not_written_to(weight, name):
    before = weight.numpy().copy()
    copied = getattr(weight, name)(*([6] if name in ("reshape", "view") else []))
    with pytest.raises(RuntimeError, match="expects writable memory of its own"):
        copied.mul_(2)
    assert np.array_equal(copied.numpy().ravel(), before.ravel())


@pytest.mark.parametrize("needs", [False, True])
def test_a_clone_of_a_weight_has_views(needs):
    weight = nn.Linear(3, 2).weight
    clone = (weight if needs else weight.detach()).clone().detach()
    clone.reshape(-1)[1] = 4.0
    clone.flatten()[2] = 5.0
    assert clone[0].tolist()[1:] == [4.0, 5.0] and clone.is_contiguous()


def test_a_buffer_of_another_dtype_is_another_tensor():
    own = fastbp.zeros(2)

    class WithBuffer(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("own", own)

    module = WithBuffer()
    assert module.double().own.dtype is fastbp.float64 and own.dtype is fastbp.float32
    assert module.float().own.dtype is fastbp.float32 and "own" in module.state_dict()
