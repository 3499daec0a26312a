"""Graphs: what backward fills, frees, refuses; changes in place; memory; nodes made in Python."""

import copy
import gc
import pickle
import threading
import warnings

import numpy as np
import pytest

import fastbp
import fastbp.nn.functional as F
from fastbp import autograd
from fastbp.autograd import Tensor


def leaf(*numbers):
    return fastbp.tensor(numbers, requires_grad=True)


# --- backward -------------------------------------------------------------------------------


def test_backward_adds_to_grad_and_keeps_the_object():
    w = leaf(1.0, 2.0)
    (w * w).sum().backward()
    first = w.grad
    assert first.tolist() == [2, 4]
    (w * 3).sum().backward()
    assert w.grad is first and first.tolist() == [5, 7]


def test_a_graph_is_freed_unless_it_is_retained():
    w = leaf(3.0)
    loss = (w * w).exp().sum()
    loss.backward(retain_graph=True)
    once = w.grad.clone()
    loss.backward()
    assert fastbp.equal(w.grad, 2 * once)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()
    assert fastbp.equal(w.grad, 2 * once)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda w: w * 2, "single number"),
        (lambda w: fastbp.ones(()), "does not require grad"),
        (lambda w: (w * 2).detach().sum(), "does not require grad"),
    ],
)
def test_backward_refuses(build, words):
    w = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=words):
        build(w).backward()
    assert w.grad is None


def test_a_gradient_has_the_tensors_shape():
    y = leaf(1.0, 2.0) * 2
    with pytest.raises(RuntimeError, match=r"shape \(2,\)"):
        y.backward(fastbp.ones(3))
    with pytest.raises(TypeError, match="Tensor"):
        y.backward([1.0, 1.0])


def test_grad_is_nobody_elses_memory():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    given = fastbp.ones(2)
    (a + b).backward(given)
    arrays = [a.grad.array, b.grad.array, given.array]
    for i, x in enumerate(arrays):
        assert not any(np.shares_memory(x, y) for y in arrays[i + 1 :])
    c = leaf(1.0, 2.0)
    c.backward(given)
    c.grad.zero_()
    assert given.tolist() == [1, 1]


def test_a_grad_from_before_the_data_was_replaced():
    for first, second in (("float64", "float32"), ("float32", "float64")):
        w = fastbp.ones(1000, dtype=first, requires_grad=True)
        (w * 2).sum().backward()
        w.data = w.data.to(second)
        (w * 3).sum().backward()
        assert w.grad.dtype == getattr(fastbp, first) and w.grad.eq(5).all()
    w.data = fastbp.ones(1)
    with pytest.raises(RuntimeError, match=r"a grad of the gradient's shape \(1,\); got \(1000,\)"):
        (w * 2).sum().backward()


def test_reused_values_and_both_sides():
    x = leaf(2.0)
    y = x * x
    z = y * y + y * x + y
    z.backward()
    assert x.grad.item() == 4 * 8 + 3 * 4 + 2 * 2


def test_the_grad_of_a_result_warns_and_retain_grad_fills_it():
    w = leaf(1.0, 2.0)
    y = w * 2
    with pytest.warns(UserWarning, match="no leaf"):
        assert y.grad is None
    y.retain_grad()
    (y * y).sum().backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert y.grad.tolist() == [4, 8]
    assert w.grad.tolist() == [8, 16]


def test_hooks_see_and_replace_gradients():
    w = leaf(1.0, 2.0)
    seen = []
    y = w * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    handle = w.register_hook(lambda g: g * 10)
    (y * 3).sum().backward()
    assert seen == [[3, 3]] and w.grad.tolist() == [60, 60]
    handle.remove()
    (w * 1).sum().backward()
    assert w.grad.tolist() == [61, 61]


@pytest.mark.parametrize("of", ["leaf", "relu"])
@pytest.mark.parametrize(
    ("hook", "error"),
    [(lambda g: g.sum(), RuntimeError), (lambda g: g.double(), RuntimeError), (lambda g: 3, TypeError)],
)
def test_a_hook_gives_a_gradient_of_the_same_form(of, hook, error):
    w = fastbp.ones(1000, requires_grad=True)
    y = w.relu()
    (w if of == "leaf" else y).register_hook(hook)
    with pytest.raises(error, match="register_hook expects a hook that returns"):
        y.sum().backward()
    assert w.grad is None


def test_inputs_names_the_only_leaves():
    a, b = leaf(1.0), leaf(2.0)
    (a * b).backward(inputs=[a])
    assert a.grad.tolist() == [2] and b.grad is None


def test_grad_function_leaves_grad_alone():
    a, b = leaf(1.0), leaf(2.0)
    y = a * 3
    da, dy = autograd.grad((y * y).sum() + b.sum() * 0, [a, y])
    assert da.tolist() == [18] and dy.tolist() == [6] and a.grad is None
    with pytest.raises(RuntimeError, match="allow_unused"):
        autograd.grad((a * a).sum(), [b])
    assert autograd.grad((a * a).sum(), b, allow_unused=True) == (None,)


def test_chains_of_100_000_operations(recwarn):
    t = leaf(1.0)
    u = t
    for i in range(100_000):
        u = u + 0.0 if i % 2 else u * 1.0
    u.backward()
    assert t.grad.tolist() == [1]
    for step in (lambda v: v * 1.0, lambda v: v.exp(), lambda v: v[...], lambda v: v @ t):
        v = t if step(t).ndim else t.sum()
        for _ in range(100_000):
            v = step(v) if v.ndim else v * 1.0
        del v  # without a backward


def test_a_long_chain_of_python_nodes_goes_both_ways():
    t = leaf(1.0)
    u = t
    for _ in range(100_000):
        u = u.relu()
    u.backward()
    assert t.grad.tolist() == [1]


def test_sequences_are_kept_whatever_the_order_of_use():
    """A value made early and used late, over more nodes than are sorted by insertion."""
    x = leaf(0.5)
    values = [x * 1.0]
    for i in range(60):
        values.append(values[i // 2] * 1.1 + values[i] * 0.5)
    sum(values[::-1]).backward()
    slopes = [1.0]
    for i in range(60):
        slopes.append(slopes[i // 2] * 1.1 + slopes[i] * 0.5)
    assert x.grad.item() == pytest.approx(sum(slopes), rel=1e-5)


# --- nodes ----------------------------------------------------------------------------------


def test_nodes_have_pytorchs_names_and_links():
    w, x = leaf(1.0), fastbp.tensor([2.0])
    y = w * x + 1
    add = y.grad_fn
    assert add.name() == "AddBackward0" and repr(add).startswith("<AddBackward0 object at 0x")
    (mul, place), constant = add.next_functions
    assert mul.name() == "MulBackward0" and place == 0 and constant == (None, 0)
    (accumulate, _), nothing = mul.next_functions
    assert accumulate.name() == "AccumulateGrad" and accumulate.variable is w
    assert nothing == (None, 0) and accumulate.next_functions == ()
    assert accumulate == mul.next_functions[0][0] and hash(accumulate) == hash(accumulate)
    assert mul.constants[1] is x.array and add.constants[1] == 1
    assert mul.result.tolist() == [2] and w.grad_fn is None and w.is_leaf and not y.is_leaf


def test_a_sweep_tells_every_gradient_and_changes_nothing():
    a, b = leaf(2.0), leaf(3.0)
    product = a * b
    out = product * 1.5 + a
    found = autograd.sweep(out)
    assert found[a].tolist() == [5.5] and found[b].tolist() == [3.0]
    assert found[product.grad_fn].tolist() == [1.5] and found[out.grad_fn].tolist() == [1]
    assert a.grad is None and b.grad is None
    out.backward()
    assert a.grad.tolist() == [5.5]


def test_node_takes_arrays_and_a_python_backward():
    x, w = leaf(1.0, 2.0), fastbp.tensor([[1.0, 1.0], [1.0, 1.0]])
    asked = []

    def backward(saved, dout, needs):
        asked.append(needs)
        _, b, factor = saved
        return dout * b * factor, None

    y = autograd.node("TimesBackward0", x.array * w.array * 2.0, (x, w), backward, (x, w, 2.0))
    y.sum().backward()
    assert y.grad_fn.name() == "TimesBackward0"
    assert x.grad.tolist() == [4, 4] and asked == [(True, False)]  # summed to x's shape


def test_node_of_several_results():
    x = leaf(3.0, 1.0)

    def backward(saved, dout, needs):
        return (dout[0] * 2 + dout[1] * 5,)

    low, high = autograd.node("PairBackward0", (x.array * 2, x.array * 5), (x,), backward)
    assert (low.output_nr, high.output_nr) == (0, 1)
    high.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [5, 5]
    (low + high * 2).sum().backward()
    assert x.grad.tolist() == [17, 17]


def test_node_refuses_gradients_that_do_not_fit():
    x = leaf(1.0, 2.0)
    y = autograd.node("WrongBackward0", x.array * 2, (x,), lambda s, d, n: (np.ones(3, "f4"),))
    with pytest.raises(RuntimeError, match=r"\(2,\)"):
        y.sum().backward()
    z = autograd.node("WrongBackward0", x.array * 2, (x,), lambda s, d, n: (d, d))
    with pytest.raises(RuntimeError, match="each of its 1 inputs"):
        z.sum().backward()
    assert x.grad is None


def test_an_error_within_backward_leaves_no_half_gradients():
    x = leaf(1.0)

    def fails(saved, dout, needs):
        raise ValueError("on purpose")

    y = autograd.node("FailsBackward0", x.array * 1, (x,), fails)
    with pytest.raises(ValueError, match="on purpose"):
        (x * 5 + y).backward()
    assert x.grad is None
    (x * 2).backward()
    assert x.grad.tolist() == [2]


def test_an_error_of_a_leafs_hook_leaves_no_half_gradients():
    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    y = (a * 2 + b * 3 + c * 4).sum()

    def fail(gradient):
        raise ArithmeticError

    handle = b.register_hook(fail)
    with pytest.raises(ArithmeticError):
        y.backward(retain_graph=True)
    handle.remove()
    a.grad = b.grad = c.grad = None
    y.backward()
    assert [a.grad.item(), b.grad.item(), c.grad.item()] == [2, 3, 4]


# --- in place -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.add_(1.0),
        lambda w: w.zero_(),
        lambda w: w.fill_(2.0),
        lambda w: w.__iadd__(1.0),
        lambda w: w.__setitem__(0, 9.0),
        lambda w: w.copy_(fastbp.ones(2)),
        lambda w: w.normal_(),
        lambda w: w.exp_(),
    ],
)
def test_a_leaf_changes_in_place_only_under_no_grad(change):
    w = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="leaf"):
        change(w)
    assert w.tolist() == [1, 2]
    with fastbp.no_grad():
        change(w)
    assert w.is_leaf and w.requires_grad and w.tolist() != [1, 2]


@pytest.mark.parametrize(
    ("use", "change"),
    [
        (lambda y: y * y, lambda y: y.add_(1)),
        (lambda y: y.exp(), lambda y: y.__setitem__(0, 0.0)),
        (lambda y: y**2, lambda y: y.zero_()),
        (lambda y: y.log(), lambda y: y.__imul__(2)),
        (lambda y: y * y, lambda y: y[0:1].detach().add_(1)),
        (lambda y: y.reshape(2, 1) @ y.reshape(1, 2), lambda y: y.detach().add_(1)),
    ],
)
def test_a_saved_value_that_changed_is_an_error(use, change):
    w = leaf(1.0, 2.0)
    y = w * 2
    out = use(y).sum()
    change(y)
    if use(leaf(1.0, 2.0)).grad_fn.name() == "ExpBackward0":  # which saves its result
        out.backward()
        return
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()
    assert w.grad is None


@pytest.mark.parametrize(
    "use",
    [
        lambda y: fastbp.maximum(y, y * 0.5),
        lambda y: y.clamp(0, 3),
        lambda y: y.prod(),
        lambda y: y.norm(3),
        lambda y: y.max(),
        lambda y: fastbp.atan2(y, y * 2),
        lambda y: y.abs(),
        lambda y: y.erf(),
        lambda y: 2.0 / y * y,
        lambda y: y.double() * y,
    ],
)
def test_functions_made_in_python_see_changes_too(use):
    y = leaf(1.0, 2.0) * 2
    out = use(y).sum()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        out.backward()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sigmoid", "tanh", "relu", "sqrt"])
def test_functions_that_save_their_result_see_changes_of_it(name):
    y = leaf(1.0, 2.0) * 2
    result = getattr(y, name)(**({"dim": 0} if "max" in name else {}))
    out = result.sum()
    result.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        out.backward()


def test_a_mask_that_changed_is_an_error():
    y, mask = leaf(1.0, 2.0), fastbp.tensor([True, False])
    out = fastbp.where(mask, y, 0.0).sum()
    mask[0] = False
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        out.backward()


@pytest.mark.parametrize(
    "use",
    [
        "x[i]",
        "x[0:][i]",
        "x.index_select(0, i)",
        "x.take(i)",
        "x.scatter(0, i, v)",
        "put(x, i, v)",
        "nn.functional.embedding(i, x.reshape(3, 1)).reshape(-1)",
    ],
)
@pytest.mark.parametrize("of_numpy", [False, True])
def test_an_index_that_changed_since(use, of_numpy):
    """A buffer for indices that is filled anew between forward and backward."""

    def put(x, i, v):
        x = x.clone()
        x[i] = v
        return x

    grads = []
    for changes in (False, True):
        x, v, i = leaf(1.0, 2.0, 3.0), leaf(4.0, 5.0, 6.0), fastbp.tensor([2, 0, 1])
        of = i.numpy() if of_numpy and use.startswith("x[") else i
        out = eval(use, {"x": x, "v": v, "i": of, "put": put, "nn": fastbp.nn})
        if changes:
            i[:] = fastbp.tensor([0, 1, 2])
        (out * fastbp.tensor([1.0, 2.0, 3.0])).sum().backward()
        grads.append([None if t.grad is None else t.grad.tolist() for t in (x, v)])
    assert grads[0] == grads[1]


def test_a_saved_result_that_changed_is_an_error():
    w = leaf(1.0)
    y = w.exp()
    out = y * 1.0
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        out.sum().backward()


def test_data_changes_unseen():
    w = leaf(1.0)
    out = w * w
    w.data.add_(1)
    out.backward()
    assert w.grad.tolist() == [4] and w.tolist() == [2]
    w.data = fastbp.tensor([7.0])
    assert w.tolist() == [7] and w.requires_grad


def test_in_place_keeps_shape_and_category():
    x = fastbp.ones(2)
    with pytest.raises(RuntimeError, match="shape"):
        x += fastbp.ones(3, 2)
    with pytest.raises(RuntimeError, match="cast"):
        fastbp.arange(2).add_(1.5)
    with pytest.raises(RuntimeError, match="expanded"):
        fastbp.ones(1).expand(3).add_(1)
    n = fastbp.arange(3)
    n += 1
    n *= 2
    assert n.tolist() == [2, 4, 6] and n.dtype is fastbp.int64
    x += fastbp.ones(2, dtype=fastbp.float64)
    assert x.dtype is fastbp.float32 and x.tolist() == [2, 2]


@pytest.mark.parametrize("n", [5, 5000])
def test_in_place_by_a_view_of_itself_reads_what_was_there(n):
    y = fastbp.arange(n).double()
    y[1:] += y[:-1]
    x = fastbp.arange(n).double()
    x[:-1] -= x[1:]
    assert y.tolist() == [0, *range(1, 2 * n - 2, 2)] and x.tolist() == [-1] * (n - 1) + [n - 1]


def test_views_share_memory_and_history():
    w = leaf(1.0, 2.0)
    y = w * 2
    part = y[0:1]
    y.mul_(3)
    assert part.tolist() == [6]
    (part * 2).backward()
    assert w.grad.tolist() == [12, 0]
    w.grad = None
    with pytest.raises(RuntimeError, match="leaf"):
        w[0:1].mul_(2)
    base = fastbp.zeros(2, 2)
    base[0][1] = 5
    base.T[0] += 1
    assert base.tolist() == [[1, 5], [1, 0]]
    transposed = w.reshape(2, 1).T
    with fastbp.no_grad():
        w.mul_(10)
    transposed.sum().backward()  # nothing recorded: the view is as good as ever
    assert w.grad.tolist() == [1, 1]


def test_a_recorded_change_of_a_view_is_one_of_its_base():
    w, v = leaf(1.0, 2.0, 3.0, 4.0), leaf(5.0)
    y = (w * 2).reshape(2, 2)
    row = y.T[1]  # 4, 8
    row *= v
    assert y.tolist() == [[2, 20], [6, 40]] and row.tolist() == [20, 40]
    assert row.grad_fn.name() == "AsStridedBackward0" and y.requires_grad
    (y * y).sum().backward(retain_graph=True)
    assert w.grad.tolist() == [8, 400, 24, 800] and v.grad.tolist() == [2 * (20 * 4 + 40 * 8)]
    w.grad = v.grad = None
    row.sum().backward()
    assert w.grad.tolist() == [0, 10, 0, 10] and v.grad.tolist() == [12]
    table = fastbp.zeros(2, 2)
    table[0] += v
    table[1, 0] = v[0] * 2
    table[0][1] += 1
    v.grad = None
    (table * table).sum().backward()
    assert table.tolist() == [[5, 6], [10, 0]] and v.grad.tolist() == [2 * (5 + 6 + 20)]


@pytest.mark.parametrize("change", ["v *= 2", "v += 1", "v.zero_()", "v /= fastbp.ones(1)"])
def test_a_view_made_before_its_base_had_a_history_changes_with_it(change):
    w, base = leaf(1.0, 2.0), fastbp.zeros(2)
    v = base[:1]
    base += w
    exec(change, {"v": v, "fastbp": fastbp})
    base.sum().backward()
    slope = {"v *= 2": 2, "v.zero_()": 0}.get(change, 1)
    assert w.grad.tolist() == [slope, 1] and base.requires_grad


# --- whether operations are recorded --------------------------------------------------------


def test_no_grad_as_block_and_decorator():
    w = leaf(1.0)

    @fastbp.no_grad()
    def plain(x):
        return x * 2

    @fastbp.no_grad
    def bare(x):
        return x * 2

    @fastbp.no_grad()
    def items(x):
        yield x * 2

    class Model:
        @fastbp.no_grad
        def method(self, x):
            return x * 3

        @fastbp.enable_grad()
        def recorded(self, x):
            return x * 3

    results = [plain(w), bare(w), *items(w), Model().method(w)]
    assert not any(r.requires_grad for r in results)
    block = fastbp.no_grad()
    with block, block:
        assert not (w * 2).requires_grad and Model().recorded(w).requires_grad
        with fastbp.enable_grad():
            assert fastbp.is_grad_enabled()
        assert not fastbp.is_grad_enabled()
    assert fastbp.is_grad_enabled() and (w * 2).requires_grad
    with pytest.raises(ZeroDivisionError), fastbp.no_grad():
        raise ZeroDivisionError
    assert fastbp.is_grad_enabled()


@pytest.mark.parametrize("mode", ["no_grad", "enable_grad", "inference_mode", "set_grad_enabled"])
@pytest.mark.parametrize("given", [(), (3,), (abs, 3)])
def test_a_mode_decorates_one_function(mode, given):
    """Without an argument it crashed."""
    block = getattr(fastbp, mode)(*[True] * (mode == "set_grad_enabled"))
    with pytest.raises(TypeError, match=f"^{mode} expects one function to decorate; got"):
        block(*given)
    assert fastbp.is_grad_enabled()


def test_set_grad_enabled_holds_from_its_call():
    with fastbp.set_grad_enabled(False):
        assert not fastbp.is_grad_enabled()
    assert fastbp.is_grad_enabled()
    fastbp.set_grad_enabled(False)
    assert not fastbp.is_grad_enabled()
    fastbp.set_grad_enabled(True)
    with fastbp.inference_mode():
        assert not fastbp.is_grad_enabled()
    assert fastbp.is_grad_enabled()


def test_threads_have_a_mode_of_their_own():
    seen = []
    with fastbp.no_grad():
        thread = threading.Thread(target=lambda: seen.append(fastbp.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def in_a_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


@pytest.mark.parametrize("run", [in_a_thread, lambda function: function()])
def test_a_sweep_amid_another_has_sums_of_its_own(run):
    """Of one leaf: by another thread's sweep, or by that of a hook."""
    w, seen = leaf(1.0, 1.0), []

    def sweep():
        seen.append(autograd.grad((w * 7 + w * w).sum(), w)[0].tolist())
        (w * 100).sum().backward()

    def out():
        y = w * 2
        y.register_hook(lambda g: run(sweep))
        z = y * 3
        return (z + w * 5).sum()  # w has the 5 when the hook is called

    assert autograd.grad(out(), w)[0].tolist() == [11, 11]
    assert seen == [[9, 9]] and w.grad.tolist() == [100, 100]
    out().backward()
    assert seen == [[9, 9]] * 2 and w.grad.tolist() == [211, 211]


def test_threads_that_add_to_one_grad_lose_nothing():
    w = fastbp.ones(200_000, requires_grad=True)

    def many():
        for _ in range(40):
            (w * 2).sum().backward()

    threads = [threading.Thread(target=many) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert w.grad.eq(240).all()


# --- memory ---------------------------------------------------------------------------------


def step(w, v, x):
    hidden = (x @ w + v).relu()
    probability = hidden.softmax(1)
    loss = (probability[:, 0] - hidden.mean(1)).pow(2).sum() + (w * w).sum() / 3 + v.T.exp().max()
    loss.backward()
    with fastbp.no_grad():
        for p in (w, v):
            p -= 0.01 * p.grad
            p.grad.zero_()
    return loss


def test_nothing_is_left_of_a_thousand_steps():
    w, v, x = fastbp.ones(3, 3, requires_grad=True), leaf(0.1, 0.2, 0.3), fastbp.ones(4, 3)
    for _ in range(5):
        step(w, v, x)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(1000):
            step(w, v, x)
        assert len(gc.get_objects()) <= before + 5
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_dropped_graph_is_gone_without_the_collector():
    import weakref

    w = leaf(1.0)
    hidden = w * 2
    gone = weakref.ref(hidden)
    out = hidden.exp() * hidden
    del hidden
    assert gone() is None  # a graph keeps no tensor of its own making
    node = weakref.ref(out.grad_fn)
    gc.collect()
    del out
    assert node() is None


# --- copies, conversions, errors ------------------------------------------------------------


def test_leaves_are_copied_and_pickled():
    w = leaf(1.0, 2.0)
    w.grad = fastbp.ones(2)
    for other in (copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert other.tolist() == [1, 2] and other.requires_grad and other is not w
        assert not np.shares_memory(other.array, w.array)
    assert copy.deepcopy(w).grad.tolist() == [1, 1]
    shared = copy.deepcopy([w, w])
    assert shared[0] is shared[1]
    with pytest.raises(RuntimeError, match="detach"):
        copy.deepcopy(w * 2)


def test_results_of_a_subclass_are_tensors():
    class Special(Tensor):
        pass

    s = Special([1.0, 2.0])
    s.requires_grad_()
    s.note = "mine"
    assert type(s * 2) is Tensor and type(2 * s) is Tensor and type(-s) is Tensor
    assert type(s) is Special and s.note == "mine" and copy.deepcopy(s).note == "mine"


def test_numpy_takes_tensors_and_leaves_products_to_them():
    array, t = np.array([1.0, 2.0]), fastbp.tensor([3.0, 4.0])
    for product in (array * t, t * array):
        assert isinstance(product, Tensor) and product.tolist() == [3, 8]
        assert product.dtype is fastbp.float64
    assert (np.float64(2) * t).dtype is fastbp.float32
    assert np.asarray(t) is t.array and np.sum(t) == 7 and np.max(t) == 4
    assert isinstance(np.exp(t), Tensor) and np.allclose(np.mean(t, axis=0), 3.5)
    assert np.concatenate([t, t]).shape == (4,) and np.array(t).tolist() == [3, 4]
    with pytest.raises(RuntimeError, match=r"detach\(\)\.numpy"):
        np.asarray(leaf(1.0))
    shared = np.zeros(2)
    fastbp.from_numpy(shared).add_(1)
    assert shared.tolist() == [1, 1]


def test_numbers_and_formats():
    t = fastbp.tensor(2.71828)
    assert f"{t:.3f}" == "2.718" and f"{fastbp.tensor(3)}" == "3"
    assert int(t) == 2 and float(fastbp.tensor([1.5])) == 1.5 and bool(fastbp.tensor([1]))
    assert [10, 20, 30][fastbp.tensor(1)] == 20 and len(fastbp.zeros(3, 2)) == 3
    assert fastbp.zeros(2, 3).shape == (2, 3) and fastbp.zeros(2, 3).size(-1) == 3
    for wrong, error in [
        (lambda: bool(fastbp.ones(2)), RuntimeError),
        (lambda: fastbp.ones(2).item(), RuntimeError),
        (lambda: len(t), TypeError),
        (lambda: [0][fastbp.tensor(1.0)], TypeError),
    ]:
        with pytest.raises(error, match="expects"):
            wrong()


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        ("t.tensor([1, 2], requires_grad=True)", RuntimeError, "floating point"),
        ("t.ones(2) + t.ones(3)", RuntimeError, "broadcast"),
        ("t.ones(2, 3) @ t.ones(2, 3)", RuntimeError, "shapes"),
        ("t.ones(2, 3) @ t.ones(3, dtype=t.float64)", RuntimeError, "same dtype"),
        ("t.arange(3).mean()", RuntimeError, "floating point"),
        ("t.ones(2).sum(3)", IndexError, "dim between -1 and 0"),
        ("t.ones(2, 2).reshape(3)", RuntimeError, "4 elements"),
        ("t.ones(2, 3).T.view(6)", RuntimeError, "reshape"),
        ("t.ones(2).to('cuda')", RuntimeError, "'cpu'"),
        ("t.ones(2).cuda()", RuntimeError, "CPUs"),
        ("t.device('cuda')", RuntimeError, "'cpu'"),
        ("t.tensor([[1], [1, 2]])", ValueError, "rectangular"),
        ("t.tensor('text')", TypeError, "real numbers"),
        ("t.ones(2) + 'text'", TypeError, "unsupported"),
        ("t.cat([])", RuntimeError, "at least one"),
        ("t.cat([t.ones(2, 2), t.ones(3, 3)])", RuntimeError, "the same but for"),
        ("t.stack([t.ones(2), t.ones(3)])", RuntimeError, "one shape"),
        ("t.ones(0).max()", RuntimeError, "at least one element"),
        ("t.ones(3)[t.tensor([0.5])]", IndexError, "integers or bools"),
        ("t.ones(3)[5]", IndexError, "5"),
        ("t.ones(3).topk(4)", RuntimeError, "between 0 and 3"),
        ("t.from_numpy([1, 2])", TypeError, "ndarray"),
        ("t.zeros(2, dtype='complex64')", TypeError, "dtype"),
        ("-t.tensor([True])", RuntimeError, "bool"),
        ("t.tensor([True]) - t.tensor([True])", RuntimeError, "bool"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(code, error, words):
    with pytest.raises(error, match=words):
        eval(code, {"t": fastbp})


def test_random_numbers_repeat_by_seed():
    fastbp.manual_seed(3)
    first = [fastbp.randn(4), fastbp.rand(2, 3), fastbp.randint(0, 9, (5,)), fastbp.randperm(6)]
    fastbp.manual_seed(3)
    again = [fastbp.randn(4), fastbp.rand(2, 3), fastbp.randint(0, 9, (5,)), fastbp.randperm(6)]
    assert all(fastbp.equal(a, b) for a, b in zip(first, again, strict=True))
    assert sorted(first[3].tolist()) == list(range(6)) and first[0].dtype is fastbp.float32
    g = fastbp.Generator().manual_seed(1)
    h = fastbp.Generator().manual_seed(1)
    assert fastbp.equal(fastbp.randperm(9, generator=g), fastbp.randperm(9, generator=h))
    assert fastbp.empty(1000).normal_(2.0, 0.1).mean().item() == pytest.approx(2, abs=0.05)


def test_public_names_are_there():
    assert {"tensor", "float32", "sum", "cuda", "long"} <= set(dir(fastbp))
    assert not fastbp.cuda.is_available() and not fastbp.backends.mps.is_available()
    for name in autograd.EXPORTED:
        assert getattr(fastbp, name) is not None
    with pytest.raises(AttributeError, match="no attribute"):
        fastbp.nothing_of_that_name  # noqa: B018
    array = fastbp.softmax(np.zeros((1, 2)))
    assert isinstance(array, np.ndarray)
    assert fastbp.softmax(fastbp.zeros(1, 2), dim=1).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("name", ["cumprod", "meshgrid"])
def test_what_has_no_gradient_says_so(name):
    x = fastbp.ones(3, requires_grad=True)
    call = {"cumprod": lambda t: fastbp.cumprod(t, 0), "meshgrid": lambda t: fastbp.meshgrid(t, t)}
    with pytest.raises(NotImplementedError, match=f"{name} has no gradient"):
        call[name](x)
    call[name](x.detach())


# --- what is gone through, and what is freed ------------------------------------------------


def test_grad_of_a_result_frees_only_what_it_passes():
    w = leaf(1.0, 2.0)
    hidden = w * w
    loss = (hidden * hidden).sum()
    assert autograd.grad(loss, hidden)[0].tolist() == [2.0, 8.0]
    hidden.sum().backward()
    assert w.grad.tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="freed"):
        loss.backward()


def test_grad_of_a_result_does_not_ask_what_lies_beyond_it():
    w = leaf(1.0, 2.0)
    hidden = w * w
    (hidden + 1).sum().backward()  # frees w * w
    assert autograd.grad((hidden + 2).sum(), hidden)[0].tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="freed"):
        autograd.grad((hidden + 2).sum(), w, allow_unused=True)


@pytest.mark.parametrize(
    "operation",
    [
        lambda a: a + 2,
        lambda a: 3 - a,
        lambda a: -a,
        lambda a: a.sum(0),
        lambda a: a.mean(),
        lambda a: a.view(-1),
        lambda a: a[0],
        lambda a: a.T,
        lambda a: fastbp.cat([a, a]),
        lambda a: fastbp.stack([a, a]),
        lambda a: a.clone(),
        lambda a: a[:1].expand(3, 2),
        lambda a: a.cumsum(0),
        lambda a: a.floor(),
        lambda a: a.sign(),
        lambda a: a.double(),
        lambda a: a.flip(0),
        lambda a: a.split(1)[0],
        lambda a: a.tril(),
        lambda a: a.repeat(2, 2),
        lambda a: a.roll(1, 0),
        lambda a: a.diag(),
    ],
)
def test_nodes_that_saved_nothing_are_gone_through_again(operation):
    a = fastbp.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = operation(a).sum()
    y.backward()
    first = a.grad.clone()
    y.backward()
    assert a.grad.tolist() == (2 * first).tolist()


@pytest.mark.parametrize(
    "operation",
    [
        lambda a: a * a,
        lambda a: a / a,
        lambda a: a**2,
        lambda a: a.exp(),
        lambda a: a @ a,
        lambda a: a.relu(),
        lambda a: a.var(),
        lambda a: a.softmax(1),
    ],
)
def test_nodes_that_saved_something_are_not(operation):
    a = fastbp.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = operation(a).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()


def test_grad_of_several_outputs_adds_up():
    x = leaf(1.0, 2.0)
    a, b = (x * 2).sum(), (x * x).sum()
    assert autograd.grad([a, b], x, retain_graph=True)[0].tolist() == [4.0, 6.0]
    assert autograd.grad((a, a), x)[0].tolist() == [4.0, 4.0]
    c, d = x * 2, (x * x).sum()
    got = autograd.grad([c, d], [x], grad_outputs=[fastbp.ones(2), None])
    assert got[0].tolist() == [4.0, 6.0] and x.grad is None
    autograd.backward([x * 2, (x * x).sum()], [fastbp.ones(2), None])
    assert x.grad.tolist() == [4.0, 6.0]


def test_arguments_of_grad_are_done_or_refused():
    x, other = leaf(1.0, 2.0), leaf(3.0)
    y = (x * 2).sum()
    again = {"retain_graph": True}
    assert autograd.grad(y, [x, other], allow_unused=True, **again)[1] is None
    assert autograd.grad(y, [x, other], materialize_grads=True, **again)[1].tolist() == [0.0]
    assert autograd.grad(y, x, only_inputs=True, **again)[0].tolist() == [2.0, 2.0]
    for call, error, words in [
        (lambda: autograd.grad(y, other, **again), RuntimeError, "allow_unused=True"),
        (lambda: autograd.grad(y, [], **again), RuntimeError, "not empty"),
        (lambda: autograd.grad(y, fastbp.ones(1), **again), RuntimeError, "require grad"),
        (lambda: autograd.grad(y, x, create_graph=True), NotImplementedError, "create_graph"),
        (lambda: autograd.grad(y, x, is_grads_batched=True), NotImplementedError, "is_grads"),
        (lambda: autograd.grad(y, x, only_inputs=False), NotImplementedError, "only_inputs=True"),
        (lambda: autograd.grad(y, x, materialize_grads=True, allow_unused=False), ValueError, "allow_unused as True"),
        (lambda: autograd.grad([y, y], x, [None]), RuntimeError, "each of 2 outputs; got 1"),
        (lambda: autograd.grad(x * 2, x), RuntimeError, "single number"),
        (lambda: autograd.grad(y, x, fastbp.ones(1)), RuntimeError, "shape"),
    ]:
        with pytest.raises(error, match=words):
            call()
    assert autograd.grad(y, x)[0].tolist() == [2.0, 2.0]


def test_backward_fills_results_among_its_inputs_only():
    w = leaf(1.0, 2.0)
    hidden = w * w
    (hidden * hidden).sum().backward(inputs=[hidden])
    assert hidden.grad.tolist() == [2.0, 8.0] and hidden.retains_grad and w.grad is None


def test_a_retained_gradient_is_what_the_hooks_made_of_it():
    for first in ("retain", "hook"):
        w = leaf(1.0, 2.0)
        hidden = w * w
        if first == "retain":
            hidden.retain_grad()
        hidden.register_hook(lambda g: g * 10)
        hidden.retain_grad()
        (hidden * hidden).sum().backward()
        assert hidden.grad.tolist() == [20.0, 80.0] and w.grad.tolist() == [40.0, 320.0]


def test_a_retained_gradient_follows_a_change_in_place():
    w = leaf(1.0, 2.0)
    hidden = w * w
    hidden.retain_grad()
    hidden.mul_(3)
    (hidden * hidden).sum().backward()
    assert hidden.grad.tolist() == [6.0, 24.0] and w.grad.tolist() == [36.0, 288.0]


def test_grad_calls_the_hooks_of_its_inputs():
    w = leaf(1.0, 2.0)
    w.register_hook(lambda g: g * 10)
    hidden = w * 3
    hidden.register_hook(lambda g: g * 2)
    got = autograd.grad((hidden * hidden).sum(), [hidden, w])
    assert got[0].tolist() == [12.0, 24.0] and got[1].tolist() == [360.0, 720.0]
    assert w.grad is None


def test_a_hook_that_removes_itself_hides_no_other():
    w = leaf(1.0)
    calls = []
    handle = w.register_hook(lambda g: handle.remove())
    w.register_hook(lambda g: calls.append(1))
    (w * 2).sum().backward()
    assert calls == [1]


def test_a_division_without_gradient_is_refused_by_backward():
    x = leaf(3.0)
    y = x // 2
    assert y.tolist() == [1.0] and y.requires_grad
    with pytest.raises(RuntimeError, match="floor_divide, which has none"):
        y.sum().backward()
    x.div(2, rounding_mode="floor").sum().backward()
    assert x.grad.tolist() == [0.0]


def test_losses_of_pairs_that_broadcast_have_gradients():
    x = fastbp.zeros(2, 3, requires_grad=True)
    t = fastbp.full((3,), 0.5, requires_grad=True)
    with pytest.warns(UserWarning, match="broadcasts"):
        F.kl_div(x, t, reduction="sum").backward()
    assert x.grad.tolist() == [[-0.5] * 3] * 2 and t.grad.shape == (3,)
    column = fastbp.ones(2, 1)
    rows = fastbp.tensor([[3.0, 4.0], [1.0, 0.0]])
    assert F.cosine_similarity(rows, column).tolist() == pytest.approx([7 / 5 / 2**0.5, 1 / 2**0.5])
