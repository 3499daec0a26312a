"""What programs ask of tensors without saying so, where another answer goes unnoticed."""

import numpy as np
import pytest

import fastbp
import fastbp.nn.functional as F
from fastbp import nn, tensor


def grid():
    return fastbp.arange(12.0).reshape(3, 4).requires_grad_()


@pytest.mark.parametrize(
    "statement, expected",
    [
        ("x //= 2", [2, -4]),
        ("x %= 3", [2, 2]),
        ("x **= 2", [25, 49]),
        ("x &= 4", [4, 0]),
        ("x |= 8", [13, -7]),
        ("x ^= 1", [4, -8]),
    ],
)
def test_an_augmented_assignment_changes_the_tensor_itself(statement, expected):
    x = alias = tensor([5, -7], dtype=fastbp.int32)
    exec(statement, {}, {"x": x})
    assert alias.tolist() == expected
    x = tensor([5, -7], dtype=fastbp.int32)
    one = x[:1]
    exec(statement, {}, {"x": one})
    assert x.tolist() == [expected[0], -7]
    assert x.dtype is fastbp.int32


def test_augmented_assignments_follow_the_rules_of_changes_in_place():
    whole = tensor([1, 2])
    for statement in "x //= 1.5", "x %= 1.5", "x **= 0.5":
        with pytest.raises(RuntimeError, match=r"cast to its tensor's dtype"):
            exec(statement, {}, {"x": whole})
    leaf = tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"leaf"):
        leaf **= 2
    x = tensor([2.0, 3.0], requires_grad=True)
    y = x * 1
    y **= 3
    y.sum().backward()
    assert x.grad.tolist() == [12, 27]


@pytest.mark.parametrize("kind", ["bool", "int32", "int64", "uint8"])
def test_integers_and_bools_of_a_tensor_need_no_gradient(kind):
    x = tensor([0.0, 2.0], requires_grad=True)
    for y in x.to(getattr(fastbp, kind)), x.type(getattr(fastbp, kind)):
        assert not y.requires_grad and y.is_leaf
    assert x.double().requires_grad


def test_alpha_multiplies_in_the_results_dtype():
    big = tensor([250, 2], dtype=fastbp.uint8)
    assert fastbp.add(tensor([1, 2]), big, alpha=2).tolist() == [501, 6]
    assert fastbp.sub(tensor([1.5, 2]), big, alpha=2).tolist() == [-498.5, -2]
    true = tensor([True, False])
    assert fastbp.add(true, true, alpha=2).tolist() == [True, False]
    with pytest.raises(RuntimeError, match=r"expects numbers; got a bool"):
        fastbp.sub(tensor([1, 2]), true, alpha=2)


def test_divisions_of_bools_are_refused():
    true = tensor([True, True])
    for function in fastbp.remainder, fastbp.fmod, fastbp.floor_divide:
        with pytest.raises(RuntimeError, match=f"{function.__name__} expects numbers; got bools"):
            function(true, true)


def test_masked_fill_takes_one_number():
    x = fastbp.zeros(3)
    mask = tensor([True, False, True])
    assert x.masked_fill(mask, tensor(5.0)).tolist() == [5, 0, 5]
    with pytest.raises(RuntimeError, match=r"expects value as a number or a 0-d tensor"):
        x.masked_fill(mask, tensor([1.0, 2.0, 3.0]))


def test_atan2_promotes_as_all_operations_of_two():
    assert fastbp.atan2(tensor([1.0]), tensor(2.0, dtype=fastbp.float64)).dtype is fastbp.float32
    assert fastbp.atan2(tensor([1]), tensor(2)).dtype is fastbp.float32


def test_masked_select_broadcasts_its_mask():
    x = fastbp.arange(9.0).reshape(3, 3).requires_grad_()
    y = x.masked_select(tensor([True, False, True]))
    assert y.tolist() == [0, 2, 3, 5, 6, 8]
    y.sum().backward()
    assert x.grad.tolist() == [[1, 0, 1]] * 3
    assert x[0].masked_select(tensor([[True], [False]])).tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match=r"mask as a bool tensor; got int64"):
        x.masked_select(tensor([0, 1, 0]))
    with pytest.raises(RuntimeError, match=r"broadcast|match"):
        x.masked_select(tensor([True, False]))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda x: x.index_select(0, tensor([[0, 1]])), "index as a vector"),
        (lambda x: x.index_select(0, tensor([True, False, True])), "index of integers; got bool"),
        (lambda x: x.index_select(0, tensor([3])), "index below 3"),
        (lambda x: x.take(tensor([True])), "index of integers; got bool"),
        (lambda x: x.take(tensor([12])), "index below 12"),
        (lambda x: x.take(tensor([-13])), "index of at least -12"),
        (lambda x: x.gather(1, tensor([0, 1])), "index of input's 2 dimensions"),
        (lambda x: x[:1].gather(1, tensor([[0], [1]])), "no longer than"),
        (lambda x: x.gather(1, tensor([[True]])), "index of integers"),
        (lambda x: x.gather(1, tensor([[4]])), "index below 4"),
        (lambda x: x.scatter(1, tensor([[0]]), x.double()), "src of input's dtype"),
        (lambda x: x.scatter(1, tensor([[0], [1]]), x[:1, :1]), "none shorter"),
        (lambda x: x.long().scatter(1, tensor([[0]]), "a"), "scatter expects"),
        (lambda x: x.roll((1, 2)), "as many shifts as dims"),
        (lambda x: x.roll((1, 2), 0), "as many shifts as dims"),
    ],
)
def test_places_are_integers_of_the_right_shape(call, words):
    with pytest.raises((IndexError, RuntimeError, TypeError), match=words):
        call(fastbp.arange(12.0).reshape(3, 4))


def test_index_select_keeps_its_dimension():
    x = grid()
    assert x.index_select(0, tensor(1)).shape == (1, 4)
    assert x.index_select(1, tensor([], dtype=fastbp.int64)).shape == (3, 0)
    assert x[0, 0].gather(0, tensor([0, 0])).tolist() == [0, 0]
    assert x.take(tensor([-1, 0])).tolist() == [11, 0]


def test_what_a_reduction_does_not_do_it_refuses():
    x = grid()
    for function in x.max, x.min, x.median:
        with pytest.raises(TypeError, match=r"keepdim beside a dim only"):
            function(keepdim=True)
    for name in "var", "std":
        with pytest.raises(TypeError, match=r"one of unbiased, correction and ddof"):
            getattr(x, name)(0, unbiased=False, correction=1)
    assert x.var(0, correction=5).tolist() == [np.inf] * 4
    assert np.isnan(tensor([1.0]).var().item())


def test_every_nan_is_unique():
    assert len(fastbp.unique(tensor([np.nan, 1.0, np.nan]))) == 3


def test_gradients_of_nan_and_infinity():
    def slope(function, *numbers):
        x = tensor(numbers, dtype=fastbp.float64, requires_grad=True)
        function(x).sum().backward()
        return x.grad.tolist()

    assert slope(F.leaky_relu, np.nan, 0.0, 1.0) == [0.01, 0.01, 1]
    assert np.isnan(slope(F.softsign, np.inf, -np.inf)).all()
    assert slope(F.softsign, 1.0, -3.0) == [0.25, 0.0625]
    assert slope(lambda x: F.l1_loss(x, x.detach() * 0), np.nan, 1.0) == [0, 0.5]
    assert slope(lambda x: x.norm(1), np.nan, -1.0) == [0, -1]
    assert np.isnan(slope(lambda x: x.norm(3), np.nan, 1.0)).all()
    assert slope(lambda x: x.norm(0.5), 0.0, 0.0) == [0, 0]
    assert slope(lambda x: x.norm(0.5), 0.0, 4.0) == [0, 1]


def test_weights_of_a_loss_do_not_widen_it():
    x, t = fastbp.zeros(2, 1), fastbp.zeros(2, 1)
    wide = tensor([1.0, 2.0, 3.0])
    for name in "weight", "pos_weight":
        with pytest.raises(ValueError, match=f"{name} of a shape that broadcasts"):
            F.binary_cross_entropy_with_logits(x, t, **{name: wide})
    with pytest.raises(ValueError, match=r"weight of a shape that broadcasts"):
        F.binary_cross_entropy(x, t, weight=wide)
    with pytest.raises(ValueError, match=r"weight of input's shape"):
        F.mse_loss(x, t, weight=tensor([1.0]))
    with pytest.raises(RuntimeError, match=r"target as probabilities of a float dtype"):
        nn.KLDivLoss(reduction="sum")(x, t.long())


def test_functions_of_layers_do_not_widen_or_convert():
    x = fastbp.arange(6.0).reshape(2, 3)
    for name, value in ("weight", fastbp.ones(1)), ("bias", fastbp.ones(2, 3)):
        with pytest.raises(RuntimeError, match=rf"layer_norm expects {name} of shape \(3,\)"):
            F.layer_norm(x, (3,), **{name: value})
    with pytest.raises(RuntimeError, match=r"weight of shape"):
        F.layer_norm(x, (3,), fastbp.ones(3).double())
    with pytest.raises(RuntimeError, match=r"input of a float dtype; got fastbp.int64"):
        F.layer_norm(x.long(), (3,))
    with pytest.raises(RuntimeError, match=r"linear expects bias of its weight's dtype"):
        F.linear(x, fastbp.ones(4, 3), fastbp.ones(4).double())
    with pytest.raises(ValueError, match=r"embedding expects padding_idx of at most 1; got 7"):
        F.embedding(tensor([0]), fastbp.ones(2, 3), padding_idx=7)
    for function in (lambda: F.celu(x, 0.0)), (lambda: nn.CELU(0.0)):
        with pytest.raises(ValueError, match=r"alpha other than 0"):
            function()


@pytest.mark.parametrize("name", ["a.b", ""])
def test_names_of_parts_in_a_dict_are_those_of_modules(name):
    with pytest.raises(KeyError, match=r"ModuleDict expects name"):
        nn.ModuleDict({name: nn.ReLU()})
    parts = nn.ModuleDict()
    with pytest.raises(KeyError, match=r"ModuleDict expects name"):
        parts[name] = nn.ReLU()
    with pytest.raises(KeyError, match=r"ParameterDict expects name"):
        nn.ParameterDict({name: fastbp.ones(1)})
    parts["a"] = nn.ReLU()
    parts["a"] = nn.Tanh()
    assert list(parts) == ["a"]


@pytest.mark.parametrize(
    "make",
    [
        lambda o, **k: fastbp.optim.lr_scheduler.ExponentialLR(o, 0.9, **k),
        lambda o, **k: fastbp.optim.lr_scheduler.LinearLR(o, 0.1, 0.9, 7, **k),
        lambda o, **k: fastbp.optim.lr_scheduler.PolynomialLR(o, 9, 2.0, **k),
        lambda o, **k: fastbp.optim.lr_scheduler.CosineAnnealingLR(o, 5, 0.001, **k),
        lambda o, **k: fastbp.optim.lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9, **k),
    ],
)
def test_a_scheduler_made_amid_a_training_goes_on_from_the_rates_as_they_are(make):
    optimizer = fastbp.SGD([nn.Parameter(fastbp.ones(1))], lr=0.1)
    scheduler = make(optimizer)
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    rate = optimizer.lr
    later = make(optimizer, last_epoch=scheduler.last_epoch - 1)
    assert later.last_epoch == 4 and later.get_last_lr() == [rate]
    ends = []
    for each in scheduler, later:
        optimizer.lr = rate
        each.step()
        ends.append(optimizer.lr)
    assert ends[0] == ends[1] != rate


@pytest.mark.parametrize("name", ["sum", "argmax", "squeeze", "cumsum", "sort", "softmax", "unbind",
                                  "unsqueeze", "flatten", "prod"])  # fmt: skip
def test_a_bool_is_no_dimension(name):
    with pytest.raises(TypeError, match=r"expects dim as an integer; got True"):
        getattr(fastbp.ones(2, 3), name)(True)


def test_a_bool_or_a_fraction_is_no_count():
    x = fastbp.ones(2, 3)
    for call in (
        lambda: x.topk(True), lambda: x.tril(1.5), lambda: x.triu(True), lambda: fastbp.eye(2.5),
        lambda: fastbp.linspace(0, 1, 2.5), lambda: fastbp.logspace(0, 1, 2.5),
        lambda: F.cross_entropy(x, tensor([0, 1]), ignore_index=1.5),
        lambda: F.nll_loss(x, tensor([0, 1]), ignore_index=0.5),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"expects \w+ as an integer; got"):
            call()


def test_arrays_of_another_byte_order_are_converted_where_they_are_copied():
    swapped = np.array([1, 2], ">i4"), np.array([1.5, 2], ">f4")
    for array, kind in zip(swapped, (fastbp.int32, fastbp.float32), strict=True):
        for x in fastbp.tensor(array), fastbp.as_tensor(array), fastbp.zeros(2).to(kind) + array:
            assert x.dtype is kind and x.tolist() == array.tolist()
        with pytest.raises(ValueError, match=r"native byte order"):
            fastbp.from_numpy(array)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: fastbp.zeros(2).uniform_(1, 0), "uniform_ expects from of at most to"),
        (lambda: fastbp.zeros(2).normal_(0, -1), "normal_ expects std as a finite number of at"),
        (lambda: nn.init.uniform_(fastbp.zeros(2), 1, 0), "uniform_ expects a of at most b"),
        (lambda: nn.init.normal_(fastbp.zeros(2), 0, -1), "normal_ expects std as a finite number"),
        (lambda: fastbp.arange(0, np.inf), "arange expects end as a finite number; got inf"),
        (lambda: fastbp.eye(-1), "eye expects n of at least 0; got -1"),
        (lambda: fastbp.linspace(0, 1, -1), "linspace expects steps of at least 0; got -1"),
        (lambda: fastbp.zeros(2).type("foo"), "dtype"),
    ],
)
def test_bounds_are_named(call, words):
    with pytest.raises((ValueError, RuntimeError, TypeError), match=words):
        call()


def test_a_modules_to_takes_what_it_knows():
    layer = nn.Linear(2, 2)
    assert layer.to(device="cpu", dtype=fastbp.float64, non_blocking=True) is layer
    for call in lambda: layer.to(3), lambda: layer.to(kind=fastbp.float32), lambda: layer.to([1]):
        with pytest.raises(TypeError, match=r"to expects"):
            call()
    assert layer.weight.dtype is fastbp.float64


@pytest.mark.parametrize(
    "change",
    [
        lambda x, b, by: x.sub_(b),
        lambda x, b, by: x.sub_(**by(other=b)),
        lambda x, b, by: x.add_(**by(other=b, alpha=2)),
        lambda x, b, by: x.pow_(**by(exponent=b)),
        lambda x, b, by: x.clamp_(**by(min=b)),
        lambda x, b, by: x.atan2_(**by(other=b)),
        lambda x, b, by: x.masked_fill_(**by(mask=x > 0, value=b[0])),
        lambda x, b, by: x.scatter_(0, tensor([1, 2, 0]), **by(src=b)),
        lambda x, b, by: x.copy_(**by(src=b)),
        lambda x, b, by: x.fill_(**by(value=b[1])),
    ],
)
def test_a_change_in_place_is_recorded_for_a_tensor_by_keyword(change):
    """Its gradient was lost, without a word, where the changed tensor required none."""
    b = fastbp.full((3,), 2.0, requires_grad=True)
    x = fastbp.ones(3)
    change(x, b, by=dict)
    assert x.requires_grad
    x.sum().backward()
    b_twin = np.full(3, 2.0)

    def total(values):
        with fastbp.no_grad():
            return change(fastbp.ones(3).double(), tensor(values), by=dict).sum().item()

    slopes = [(total(b_twin + step) - total(b_twin - step)) / 2e-6 for step in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(b.grad.numpy(), slopes, atol=1e-5)


def test_scatter_in_place_is_scatter():
    """One-hot rows, as many courses make them."""
    t = tensor([1, 0, 2])
    rows = fastbp.zeros(3, 3)
    assert rows.scatter_(1, t.unsqueeze(1), 1) is rows
    assert rows.tolist() == np.eye(3)[[1, 0, 2]].tolist()
    assert fastbp.zeros(3, 3).scatter_(1, t.unsqueeze(1), value=1.0).equal(rows)
    x, src = grid(), fastbp.full((3, 1), 2.0, requires_grad=True)
    changed = x * 3
    changed.scatter_(1, t.unsqueeze(1), src)
    (changed**2).sum().backward()
    left = 18 * x.detach().numpy()
    left[range(3), t.numpy()] = 0
    np.testing.assert_allclose(x.grad.numpy(), left)
    np.testing.assert_allclose(src.grad.numpy(), np.full((3, 1), 4.0))
    with pytest.raises(RuntimeError, match="no leaf Variable"):
        x.scatter_(1, t.unsqueeze(1), 1.0)
    for options in ({}, {"src": src, "value": 1}):
        with pytest.raises(TypeError, match="scatter expects src or value; got"):
            rows.scatter_(1, t.unsqueeze(1), **options)
