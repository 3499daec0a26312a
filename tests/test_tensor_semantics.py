"""What programs ask of tensors without saying so, where another answer goes unnoticed."""

import warnings

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


@pytest.mark.parametrize(
    "name", ["sum", "argmax", "squeeze", "cumsum", "sort", "softmax", "unbind", "unsqueeze", "flatten", "prod"]
)
def test_a_bool_is_no_dimension(name):
    with pytest.raises(TypeError, match=r"expects dim as an integer; got True"):
        getattr(fastbp.ones(2, 3), name)(True)


def test_a_bool_or_a_fraction_is_no_count():
    x = fastbp.ones(2, 3)
    for call in (
        lambda: x.topk(True),
        lambda: x.tril(1.5),
        lambda: x.triu(True),
        lambda: fastbp.eye(2.5),
        lambda: fastbp.linspace(0, 1, 2.5),
        lambda: fastbp.logspace(0, 1, 2.5),
        lambda: F.cross_entropy(x, tensor([0, 1]), ignore_index=1.5),
        lambda: F.nll_loss(x, tensor([0, 1]), ignore_index=0.5),
    ):
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


def gradient_of(x, function):
    function(x).sum().backward()
    return x.grad.tolist()


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("kind", [fastbp.float32, fastbp.float64])
def test_powers_of_a_half_are_square_roots(n, kind):
    x = fastbp.tensor([-np.inf, -0.0, 0.0, 4.0], dtype=kind)
    for one, root, back in zip(x, [np.nan, -0.0, 0.0, 2], [np.nan, -np.inf, np.inf, 0.5], strict=1):
        row = one.expand(n).clone()
        for got, expected in (row**0.5, root), (row**-0.5, back):
            np.testing.assert_array_equal(got.numpy(), np.full(n, expected))
            assert (np.signbit(got.numpy()) == np.signbit(expected)).all() or np.isnan(expected)
    slopes = gradient_of(x.clone().requires_grad_(), lambda x: x**0.5)
    np.testing.assert_array_equal(slopes, [np.nan, -np.inf, np.inf, 0.25])


def test_shapes_that_memory_does_not_hold_are_refused():
    with pytest.raises(ValueError, match="unsqueeze expects arguments"):
        fastbp.zeros((1,) * 64).unsqueeze(0)
    assert fastbp.zeros((1,) * 63).unsqueeze(0).ndim == 64
    with pytest.raises(RuntimeError, match="reshape expects a shape of 4 elements"):
        fastbp.zeros(4).reshape(2**62 + 1, 4)


def test_any_and_all_over_no_dimension_are_of_every_element():
    x = fastbp.tensor([[1.0, 0.0]])
    assert x.any(dim=()).tolist() == x.all(dim=[]).tolist() == [[True, False]]


def test_extremes_of_nan_have_pytorchs_gradients():
    x = [np.nan, 1.0]
    assert np.isnan(gradient_of(fastbp.tensor(x, requires_grad=True), fastbp.Tensor.amax)).all()
    by_norm = gradient_of(fastbp.tensor(x, requires_grad=True), lambda x: x.norm(np.inf))
    assert by_norm == [0.0, 0.0]
    tied = fastbp.tensor([2.0, -2.0, 1.0], requires_grad=True)
    assert gradient_of(tied, lambda x: x.norm(np.inf)) == [0.5, -0.5, 0.0]


def test_a_norm_is_of_a_number_and_of_elements():
    with pytest.raises(TypeError, match="norm expects p as a number; got 'nuc'"):
        fastbp.ones(3, 3).norm("nuc")
    with pytest.raises(RuntimeError, match="norm expects at least one element"):
        fastbp.zeros(0).norm(np.inf)


def test_pythons_float_is_float64_as_a_dtype():
    assert fastbp.zeros(2, dtype=float).dtype is fastbp.float64
    assert fastbp.tensor([1]).to(float).dtype is fastbp.float64


@pytest.mark.parametrize("data", [{1, 2}, {1: 2}, [{1: 2}], frozenset([1])])
def test_what_has_no_order_makes_no_tensor(data):
    with pytest.raises(TypeError, match="tensor expects data of real numbers"):
        fastbp.tensor(data)


def test_parts_of_nothing_and_of_numbers():
    assert [len(part) for part in fastbp.arange(0).chunk(3)] == [0, 0, 0]
    number = fastbp.tensor(1.0)
    for split in (
        lambda: number.split(1),
        lambda: number.chunk(1),
        lambda: number.unbind(),
        lambda: number.narrow(0, 0, 1),
    ):
        with pytest.raises((RuntimeError, IndexError), match="expects a tensor of at least one"):
            split()
    with pytest.raises(RuntimeError, match="index_select expects index of one element"):
        number.index_select(0, fastbp.tensor([0, 0]))


@pytest.mark.parametrize("value", ["1", [1], None])
def test_only_numbers_are_in_a_tensor(value):
    assert 1 in fastbp.tensor([1]) and np.int64(2) not in fastbp.tensor([1])
    with pytest.raises(TypeError, match="in expects a tensor or a number before it"):
        value in fastbp.tensor([1])  # noqa: B015


def test_a_dimension_is_no_fraction():
    with pytest.raises(TypeError, match=r"sum expects dim as an integer; got 1\.0"):
        fastbp.ones(2, 3).sum(1.0)
    assert fastbp.ones(2, 3).sum(np.int64(1)).tolist() == [3.0, 3.0]


def test_integers_take_over_no_history():
    x = fastbp.ones(2, requires_grad=True)
    flags, numbers = fastbp.tensor([True, False]), fastbp.tensor([1, 2])
    flags.copy_(x)
    numbers[0] = x[0]
    numbers.fill_(x[0])
    assert not flags.requires_grad and not numbers.requires_grad


def test_a_leaf_that_was_frozen_since_gets_no_gradient():
    x, w = (fastbp.ones(2, requires_grad=True) for _ in range(2))
    out = (x * w).sum()
    x.requires_grad_(False)
    out.backward()
    assert x.grad is None and w.grad.tolist() == [1.0, 1.0]


def test_a_graph_whose_indices_are_gone_is_not_gone_through_again():
    x = fastbp.ones(2, requires_grad=True)
    out = x[[0, 1]].sum()
    out.backward()
    with pytest.raises(RuntimeError, match="it was freed by an earlier backward"):
        out.backward()


def test_changes_of_empty_views_have_gradients():
    x = fastbp.zeros(0, 3, requires_grad=True)
    y = x * 1
    y[:, None].mul_(2)
    y.sum().backward()
    assert x.grad.shape == (0, 3)


def test_lengths_and_dimensions_have_pytorchs_keywords():
    x = fastbp.arange(6).reshape(shape=(2, 3))
    assert fastbp.flip(x, dims=[1])[0].tolist() == [2, 1, 0]
    assert x.permute(dims=(1, 0)).shape == x.view(size=(3, 2)).shape == (3, 2)
    assert x[:1].expand(size=(4, 3)).shape == x[:1].repeat(repeats=(4, 1)).shape == (4, 3)
    assert fastbp.broadcast_to(x[0], size=(2, 3)).shape == (2, 3)
    assert fastbp.mm(x, mat2=x.T).shape == (2, 2)
    with pytest.raises(TypeError, match="permute expects dims as arguments or as a keyword"):
        x.permute(1, 0, dims=(1, 0))


def test_scatter_in_place():
    classes = fastbp.tensor([[2], [0]])
    rows = fastbp.zeros(2, 3)
    assert rows.scatter_(1, classes, 1.0) is rows
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]
    x, values = fastbp.ones(2, 3, requires_grad=True), fastbp.ones(2, 1, requires_grad=True)
    out = x * 2
    out.scatter_(1, classes, values)
    out.sum().backward()
    assert x.grad.tolist() == [[2, 2, 0], [0, 2, 2]] and values.grad.tolist() == [[1], [1]]
    assert fastbp.zeros(2, 3).scatter(1, classes, value=3).sum() == 6


def test_losses_of_infinite_numbers_have_pytorchs_gradients():
    x = tensor([[1.0], [2.0]], requires_grad=True)
    t = tensor([[0.0], [1.0]], requires_grad=True)
    F.kl_div(x, t, reduction="sum").backward()
    assert x.grad.tolist() == [[0.0], [-1.0]]
    assert np.isnan(t.grad[0, 0].item()) and t.grad[1, 0] == -1
    ignored = tensor([[np.inf, 0.0], [1.0, 0.0]], requires_grad=True)
    loss = F.cross_entropy(ignored, tensor([-100, -100]))
    loss.backward()
    assert np.isnan(loss.item()) and np.isnan(ignored.grad[0].numpy()).all()
    assert ignored.grad[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("p", [2, 3, 0.5, -1])
def test_the_norm_of_one_number_is_its_size(p):
    x = tensor([[-1e30], [2.0]])
    assert x.norm(p, 1).tolist() == [-x[0, 0], 2.0]
    assert x[0].norm(p) == -x[0, 0]


def test_infinite_numbers_and_none_come_without_warnings():
    x = tensor([[np.inf, 1.0, -np.inf], [np.inf, np.nan, 0.0]], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for function in (
            lambda x: x.softmax(0),
            lambda x: x.log_softmax(0),
            lambda x: fastbp.atan2(x, x),
            lambda x: F.layer_norm(x, (3,)),
            lambda x: F.cross_entropy(x, tensor([0, -100])),
            lambda x: F.layer_norm(x[:0], (3,), fastbp.ones(3, requires_grad=True)),
            lambda x: x.cumsum(1),
            lambda x: x.prod(1),
            lambda x: x.logsumexp(0),
            fastbp.abs,
            lambda x: (x * 1e30).square(),
            fastbp.frac,
            fastbp.erf,
            fastbp.nan_to_num,
            F.hardswish,
            lambda x: x.detach().cumprod(1) * x,
        ):
            for scale in 1.0, np.inf:
                (function(x) * scale).sum().backward()
    assert np.isnan(x.grad.numpy()).any()


def test_heaviside_loses_no_gradient_without_a_word():
    x = fastbp.ones(2, requires_grad=True)
    with pytest.raises(NotImplementedError, match="heaviside has no gradient"):
        fastbp.heaviside(x, fastbp.ones(2))
    assert fastbp.heaviside(x.detach() * 0, fastbp.ones(2)).tolist() == [1, 1]


def test_a_dimension_of_nothing_is_unflattened():
    assert fastbp.zeros(3, 0).unflatten(0, (-1, 1)).shape == (3, 1, 0)
    with pytest.raises(RuntimeError, match="reshape expects a shape of 6 elements"):
        fastbp.zeros(6).unflatten(0, (-1, 4))


def test_the_gradient_of_a_variance_without_freedom_has_no_sign():
    x = tensor([1.0, 2.0], requires_grad=True)
    assert gradient_of(x, lambda x: x.var(correction=2)) == [np.inf, np.inf]
