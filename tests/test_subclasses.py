"""What users add to the library's own classes: it is listed, trained, converted, copied, saved."""

import collections
import copy
import inspect
import io
import pickle

import numpy as np
import pytest

import fastbp
from fastbp import layers, nn
from fastbp.nn import functional as F

ARGUMENTS = {
    "BatchNorm1d": (3,),
    "Embedding": (5, 3),
    "Embeddings": ([5], 3),
    "LayerNorm": (3,),
    "Linear": (3, 3),
    "Threshold": (0.1, 2.0),
    "Unflatten": (1, (3, 1)),
    "Softmax": (1,),
    "Softmin": (1,),
    "LogSoftmax": (1,),
    "Affine": (np.ones((3, 3)), np.zeros(3)),
    "BatchNormalization": (np.ones(3), np.zeros(3)),
}
MODULES = {
    f"{home.__name__}.{name}": getattr(home, name)
    for home in (nn, layers)
    for name in home.__all__
    if inspect.isclass(getattr(home, name)) and issubclass(getattr(home, name), nn.Module)
}


def grown(cls):
    """A subclass with a further parameter, a buffer and a child."""

    class Grown(cls):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.extra = nn.Parameter(fastbp.full((2,), 3.0))
            self.register_buffer("kept", fastbp.ones(2))
            self.register_buffer("not_kept", fastbp.ones(2), persistent=False)
            self.child = nn.Linear(2, 2)

    return Grown


class GrownLinear(grown(nn.Linear)):
    """One that pickle finds by its name."""


@pytest.fixture(params=MODULES.values(), ids=MODULES)
def pair(request):
    """An object of a public class, and one of a subclass with more."""
    cls = request.param
    arguments = ARGUMENTS.get(cls.__name__, ())
    return cls(*arguments), grown(cls)(*arguments)


def test_what_a_subclass_adds_is_listed(pair):
    plain, own = pair
    names = [name for name, _ in plain.named_parameters()]
    added = ["extra", "child.weight", "child.bias"]
    assert [name for name, _ in own.named_parameters()] == [*names, *added]
    assert [*own._parameters] == [*plain._parameters, "extra"]
    assert [*own._buffers] == [*plain._buffers, "kept", "not_kept"]
    assert [*own._modules] == [*plain._modules, "child"]
    assert own.extra is own._parameters["extra"]
    assert own.kept is own._buffers["kept"]
    assert own.child is own._modules["child"]
    assert set(own.state_dict()) == {*plain.state_dict(), *added, "kept"}


def test_what_a_subclass_adds_is_converted_and_switched(pair):
    _, own = pair
    own.double()
    for tensor in (*own.parameters(), *own.buffers()):
        assert tensor.dtype in (fastbp.float64, fastbp.int64)
    own.eval()
    assert not own.child.training
    own.train()
    assert own.child.training
    own.requires_grad_(False)
    assert not own.extra.requires_grad


def test_what_a_subclass_adds_is_copied_and_loaded(pair):
    _, own = pair
    other = copy.deepcopy(own)
    with fastbp.no_grad():
        for tensor in (*other.parameters(), *other.buffers()):
            tensor.add_(1)
    assert own.extra.tolist() == [3, 3]
    assert other.extra.tolist() == [4, 4]
    own.load_state_dict(other.state_dict())
    for one, another in zip(own.state_dict().values(), other.state_dict().values(), strict=True):
        assert one.tolist() == another.tolist()
    assert own.not_kept.tolist() == [1, 1]


def test_a_subclass_comes_back_from_pickle():
    own = GrownLinear(3, 3)
    back = pickle.loads(pickle.dumps(own))
    assert {k: v.tolist() for k, v in back.state_dict().items()} == {k: v.tolist() for k, v in own.state_dict().items()}
    with fastbp.no_grad():
        back.weight.zero_()
        back.extra.zero_()
    assert back(fastbp.ones(1, 3)).tolist() == [back.bias.tolist()]
    assert own.extra.tolist() == [3, 3]


# --- programs -------------------------------------------------------------------------------


class NoisyLinear(nn.Linear):
    """Fortunato et al., Noisy networks for exploration (2018), with noise that is given."""

    def __init__(self, in_features, out_features, sigma=0.5):
        super().__init__(in_features, out_features)
        self.in_features, self.out_features = in_features, out_features
        self.sigma_weight = nn.Parameter(fastbp.full((out_features, in_features), sigma))
        self.sigma_bias = nn.Parameter(fastbp.full((out_features,), sigma))
        self.register_buffer("noise", fastbp.ones(out_features, in_features))

    def forward(self, input):
        return F.linear(input, self.weight + self.sigma_weight * self.noise, self.bias + self.sigma_bias)


class MaskedLinear(nn.Linear):
    """Germain et al., MADE (2015): a mask that lies over the weights."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.register_buffer("mask", fastbp.ones(out_features, in_features))

    def set_mask(self, mask):
        self.mask.data.copy_(fastbp.from_numpy(mask))

    def forward(self, input):
        return F.linear(input, self.mask * self.weight, self.bias)


class ScaledRelu(nn.ReLU):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(fastbp.tensor(2.0))

    def forward(self, x):
        return self.scale * super().forward(x)


class ScaledNet(nn.Sequential):
    def __init__(self, *parts):
        super().__init__(*parts)
        self.scale = nn.Parameter(fastbp.tensor(2.0))

    def forward(self, x):
        return self.scale * super().forward(x)


class WeightedLoss(nn.MSELoss):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(fastbp.tensor(3.0))

    def forward(self, input, target):
        return self.weight * super().forward(input, target)


def test_a_noisy_layer_trains_its_noise():
    layer = NoisyLinear(2, 1)
    with fastbp.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(0.0)
    optimizer = fastbp.optim.SGD(layer.parameters(), lr=0.1)
    x = fastbp.tensor([[1.0, 2.0]])
    out = layer(x)
    assert out.item() == pytest.approx(1.5 * 3 + 0.5)
    out.sum().backward()
    optimizer.step()
    assert layer.weight[0].tolist() == pytest.approx([0.9, 0.8])
    assert layer.sigma_weight[0].tolist() == pytest.approx([0.4, 0.3])
    assert layer.sigma_bias.item() == pytest.approx(0.4)


def test_a_mask_is_a_buffer_that_holds():
    net = nn.Sequential(MaskedLinear(3, 2), nn.ReLU(), MaskedLinear(2, 1))
    net[0].set_mask(np.float32([[1, 0, 0], [1, 1, 0]]))
    assert [*net.state_dict()] == ["0.weight", "0.bias", "0.mask", "2.weight", "2.bias", "2.mask"]
    net(fastbp.ones(4, 3)).sum().backward()
    assert net[0].weight.grad[:, 2].tolist() == [0, 0]


def test_an_activation_a_network_and_a_loss_have_parameters_of_their_own():
    net = ScaledNet(nn.Linear(1, 1), ScaledRelu())
    loss = WeightedLoss()
    parameters = [*net.parameters(), *loss.parameters()]
    assert [name for name, _ in net.named_parameters()] == ["scale", "0.weight", "0.bias", "1.scale"]
    with fastbp.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.fill_(0.0)
    value = loss(net(fastbp.tensor([[1.0]])), fastbp.tensor([[0.0]]))
    assert value.item() == 3 * (2 * 2) ** 2
    value.backward()
    assert [p.grad.item() for p in parameters] == [48.0, 96.0, 96.0, 48.0, 16.0]


def test_a_parameter_set_on_a_plain_layer_is_listed():
    layer = nn.Linear(2, 2)
    layer.temperature = nn.Parameter(fastbp.ones(1))
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias", "temperature"]
    del layer.temperature
    assert [*layer._parameters] == ["weight", "bias"]
    layer.part = nn.ReLU()
    assert [*layer.named_children()] == [("part", layer.part)]


def test_a_childs_own_train_is_called():
    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(nn.Linear(2, 3), Frozen(3))
    net.train()
    assert [part.training for part in net] == [True, False]


def test_extra_state_goes_into_the_state_dict_and_back():
    class Counting(nn.Linear):
        seen = 0

        def get_extra_state(self):
            return {"seen": self.seen}

        def set_extra_state(self, state):
            self.seen = state["seen"]

    net, other = nn.Sequential(Counting(2, 2)), nn.Sequential(Counting(2, 2))
    net[0].seen = 7
    state = net.state_dict()
    assert state["0._extra_state"] == {"seen": 7}
    other.load_state_dict(state)
    assert other[0].seen == 7


def test_a_forward_of_its_own_has_no_gradient_of_the_layers():
    class Doubled(layers.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    class Whole(Doubled):
        def backward(self, dout):
            return layers.Linear.backward(self, 2 * dout)

    x, t = np.ones((4, 3)), np.arange(4) % 2
    net = fastbp.Sequential(Doubled(3, 2, dtype="float64"), loss="softmax_cross_entropy")
    with pytest.raises(TypeError, match="Doubled expects a backward of its own"):
        net.gradient(x, t)
    net = fastbp.Sequential(Whole(3, 2, dtype="float64"), loss="softmax_cross_entropy")
    numeric = fastbp.numerical_gradient(lambda _: net.loss(x, t), net.params["W1"])
    assert np.allclose(net.gradient(x, t)["W1"], numeric, atol=1e-6)


# --- weights that are replaced --------------------------------------------------------------


def output(layer, x):
    """The layer's output for a Tensor, which is that for the array."""
    out = layer(fastbp.tensor(x))
    assert np.allclose(layer.forward(x), out.detach().numpy())
    return out


def test_a_weight_may_be_computed_by_others():
    """As pruning and reparametrisations do it: under another name, and a plain tensor."""
    x = np.float32([[1, 2]])
    layer = nn.Linear(2, 1)
    weight = layer._parameters["weight"]
    del layer._parameters["weight"]
    layer.register_parameter("weight_orig", nn.Parameter(weight.data))
    layer.register_buffer("weight_mask", fastbp.tensor([[1.0, 0.0]]))
    layer.weight = layer.weight_orig * layer.weight_mask
    assert [name for name, _ in layer.named_parameters()] == ["bias", "weight_orig"]
    output(layer, x).sum().backward()
    assert layer.weight_orig.grad.tolist() == [[1, 0]]


def test_a_bias_that_is_deleted_is_missed_until_it_is_set():
    x = np.float32([[1, 2]])
    layer = nn.Linear(2, 1)
    del layer.bias
    assert not hasattr(layer, "bias")
    with pytest.raises(AttributeError, match="bias"):
        layer(fastbp.tensor(x))
    with pytest.raises(AttributeError, match="bias"):
        layer.forward(x)
    layer.register_parameter("bias", None)
    assert output(layer, x).item() == pytest.approx((x @ layer.weight.detach().numpy().T).item())
    layer.bias = nn.Parameter(fastbp.ones(1))
    assert [*layer.state_dict()] == ["weight", "bias"]


def test_weights_of_another_shape_are_taken():
    layer = nn.Linear(4, 3)
    layer.weight = nn.Parameter(layer.weight.data[:2])
    with pytest.raises((ValueError, RuntimeError)):
        layer(fastbp.ones(1, 4))
    layer.bias = nn.Parameter(layer.bias.data[:2])
    assert output(layer, np.ones((5, 4), "f4")).shape == (5, 2)
    norm = nn.BatchNorm1d(3)
    norm.weight, norm.bias = nn.Parameter(fastbp.ones(2)), nn.Parameter(fastbp.zeros(2))
    norm.running_mean, norm.running_var = fastbp.zeros(2), fastbp.ones(2)
    assert output(norm.eval(), np.ones((5, 2), "f4")).shape == (5, 2)


@pytest.mark.parametrize("entry", ["weight", "transpose"])
def test_a_tied_weight_stays_tied(entry):
    a = nn.Linear(3, 3 if entry == "weight" else 2, bias=False)
    b = nn.Linear(3 if entry == "weight" else 2, 3, bias=False)
    if entry == "weight":
        b.weight = a.weight
    else:
        b.weight = nn.Parameter(a.weight.t())
    x = np.float32([[1, 2, 3]])
    with fastbp.no_grad():
        a.weight.fill_(0.5)
        a.weight[0, 1] = 7.0
    output(a, x)
    expected = a.weight if entry == "weight" else a.weight.t()
    assert b.weight.tolist() == expected.tolist()
    output(b, np.ones((1, b.in_features), "f4"))
    a.W[...] = 2.0
    assert b.weight.tolist() == expected.tolist()


def test_a_parameter_shares_its_tensors_memory():
    w = fastbp.ones(2, 3)
    layer = nn.Linear(3, 2, bias=False)
    layer.weight = nn.Parameter(w)
    output(layer, np.ones((1, 3), "f4"))
    w.mul_(2)
    assert output(layer, np.ones((1, 3), "f4")).tolist() == [[6, 6]]


def test_a_weight_that_nobody_else_holds_is_laid_out_for_the_kernels():
    layer = nn.Linear(3, 2)
    layer.weight = nn.Parameter(fastbp.ones(2, 3))
    assert layer.weight.tolist() == [[1, 1, 1]] * 2
    assert layer.W.flags.c_contiguous


def test_state_dicts_are_assigned():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    state = {name: (t + 1).double() if t.is_floating_point() else t + 1 for name, t in net.state_dict().items()}
    net[0].weight.requires_grad_(False)
    net.load_state_dict(state, assign=True)
    for name, tensor in net.state_dict().items():
        assert tensor.dtype == state[name].dtype
        assert tensor.tolist() == state[name].tolist()
    assert not net[0].weight.requires_grad
    state["0.weight"].zero_()
    assert net[0].weight.tolist() == [[0, 0], [0, 0]]
    integers = {**state, "2.weight": fastbp.ones(1, 2, dtype=fastbp.int64)}
    with pytest.raises(RuntimeError, match="floating point"):
        net.load_state_dict(integers, assign=True)
    assert net[2].weight.dtype == fastbp.float64


def test_a_copy_of_a_module_has_no_gradients():
    net = nn.Linear(2, 1)
    net(fastbp.ones(1, 2)).sum().backward()
    other = copy.deepcopy(net)
    assert net.weight.grad is not None
    assert other.weight.grad is None
    loss = other(fastbp.ones(1, 2)).sum()
    loss.backward()
    assert other.weight.grad.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("do", "error", "match"),
    [
        (lambda m: setattr(m, "child", 3), TypeError, "Module or None for child; got int"),
        (lambda m: setattr(m, "kept", 3), TypeError, "Tensor or None for kept; got int"),
        (lambda m: setattr(m, "extra", 3), TypeError, "Parameter or None for extra; got int"),
        (lambda m: setattr(m, "weight", fastbp.ones(3, 3)), TypeError, "Parameter"),
        (lambda m: m.register_buffer("weight", fastbp.ones(3)), KeyError, "no other attribute"),
        (lambda m: m.register_buffer("a.b", fastbp.ones(3)), KeyError, "without a dot"),
        (lambda m: m.register_parameter("training", None), KeyError, "no other attribute"),
        (lambda m: m.add_module("forward", nn.ReLU()), KeyError, "no other attribute"),
        (lambda m: setattr(m, "extra", nn.ReLU()), TypeError, "Parameter or None for extra; got"),
        (
            lambda m: (setattr(m, "x", nn.Parameter(fastbp.ones(2))), m.register_buffer("x", fastbp.ones(3))),
            KeyError,
            "no other attribute",
        ),
        (lambda m: (setattr(m, "x", 3), m.register_parameter("x", None)), KeyError, "no other attribute"),
    ],
)
def test_what_a_table_does_not_hold_is_refused(do, error, match):
    module = GrownLinear(3, 3)
    with pytest.raises(error, match=match):
        do(module)
    assert {k: v.tolist() for k, v in module.state_dict().items()} == {
        k: v.tolist() for k, v in module.state_dict().items()
    }


# --- networks whose parts change ------------------------------------------------------------


def test_a_part_put_into_the_table_is_computed():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    for name, part in list(net._modules.items()):
        if isinstance(part, nn.ReLU):
            net._modules[name] = nn.Tanh()
    x = np.float32([[1, -2]])
    assert np.allclose(net.predict(x), np.tanh(net[0].forward(x)))
    del net._modules["1"]
    assert np.allclose(net.predict(x), net[0].forward(x))


def test_a_part_put_into_an_inner_network_is_computed():
    inner = nn.Sequential(nn.Linear(2, 2))
    net = nn.Sequential(inner, nn.Linear(2, 1))
    x = np.ones((3, 2), "f4")
    net.predict(x)
    inner.append(nn.Tanh())
    assert np.allclose(net.predict(x), net[1].forward(np.tanh(inner[0].forward(x))))
    assert list(net.params) == ["W1", "b1", "W2", "b2"]
    inner.append(nn.Linear(2, 2))
    assert list(net.params) == ["W1", "b1", "W2", "b2", "W3", "b3"]


def test_a_layer_at_two_places_shares_its_weights():
    shared = nn.Linear(3, 3)
    net = nn.Sequential(shared, nn.Tanh(), shared, nn.Linear(3, 2), loss="softmax_cross_entropy")
    assert len(list(net.parameters())) == 4
    assert list(net.params) == ["W1", "b1", "W2", "b2"]
    x, t = np.random.default_rng(0).standard_normal((5, 3)).astype("f4"), np.arange(5) % 2
    grad = net.gradient(x, t)
    F.cross_entropy(net(fastbp.from_numpy(x)), fastbp.from_numpy(t)).backward()
    assert np.allclose(grad["W1"], shared.weight.grad.numpy().T, atol=1e-6)
    assert np.allclose(grad["b1"], shared.bias.grad.numpy(), atol=1e-6)
    with pytest.raises(ValueError, match=r"0.weight and 2.weight in the same.*state_dict"):
        net.save("never written")


@pytest.mark.parametrize("library", [layers, nn], ids=["the book's", "PyTorch's"])
def test_widths_that_do_not_follow_are_named_at_construction(library):
    with pytest.raises(ValueError, match=r"50 inputs at place 2, as .*Linear.* at place 0.*; got"):
        fastbp.Sequential(library.Linear(64, 50), library.ReLU(), library.Linear(40, 10))
    fastbp.Sequential(nn.Linear(4, 6), nn.Flatten(), nn.Linear(12, 2))  # of (N, 2, 4)
    fastbp.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(3), nn.Linear(6, 2))  # of (N, 3, 4)


def test_what_a_user_adds_comes_before_the_books_names():
    class Masked(nn.ReLU):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", fastbp.tensor([0.0, 1.0]))
            self.out = nn.Linear(2, 1)

        def forward(self, x):
            return self.out(super().forward(x) * self.mask)

    module = Masked()
    assert [*module.state_dict()] == ["mask", "out.weight", "out.bias"]
    expected = module.out.weight[0, 1] + module.out.bias[0]
    assert module(fastbp.ones(1, 2)).item() == pytest.approx(expected.item())
    module.mask = fastbp.tensor([1.0, 1.0])
    assert module.mask.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["W", "b"])
def test_a_name_of_the_books_arrays_is_refused_for_a_parameter(name):
    layer = nn.Linear(2, 2)
    with pytest.raises(AttributeError, match=r"another name.*property"):
        setattr(layer, name, nn.Parameter(fastbp.ones(2)))
    assert [*layer.state_dict()] == ["weight", "bias"]
    net = nn.Sequential(layer)
    with pytest.raises(AttributeError, match=r"another name.*property"):
        net.layers = nn.ModuleList([nn.ReLU()])
    assert len(net) == 1


@pytest.mark.parametrize(
    "add",
    [
        lambda net: setattr(net[0], "extra", nn.Parameter(fastbp.ones(1))),
        lambda net: net[0].register_buffer("extra", fastbp.ones(1)),
        lambda net: setattr(net[1], "extra", nn.Linear(2, 2)),
        lambda net: setattr(net, "extra", nn.Parameter(fastbp.ones(1))),
        lambda net: setattr(net[2], "extra", nn.Parameter(fastbp.ones(1))),
    ],
    ids=["parameter", "buffer", "part", "network", "inner network"],
)
def test_what_a_file_would_not_hold_is_refused(add, tmp_path):
    pytest.importorskip("safetensors")
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 2)))
    net[0].register_buffer("scratch", fastbp.ones(1), persistent=False)
    net.save(tmp_path / "whole")
    add(net)
    with pytest.raises(TypeError, match=r"extra, which load would not have: save state_dict"):
        net.save(tmp_path / "lost")
    assert not (tmp_path / "lost").exists()


def doubled(x):
    return 2 * x


class Doubled(nn.Sequential):
    def forward(self, x):
        return super().forward(x) * 2


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net[0].register_forward_hook(lambda module, inputs, out: out * 2),
        lambda net: net.register_forward_hook(lambda module, inputs, out: out * 2),
        lambda net: setattr(net[0], "forward", doubled),
        lambda net: setattr(net[1], "evaluate", doubled),
        lambda net: setattr(net, "predict", doubled),
        lambda net: net.append(Doubled(nn.Linear(2, 2))),
    ],
    ids=["hook", "network's hook", "forward", "evaluate", "predict", "inner network"],
)
def test_what_would_predict_otherwise_from_a_file_is_refused(change, tmp_path):
    pytest.importorskip("safetensors")
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    change(net)
    with pytest.raises(TypeError, match=r"which load would not|as load would have; got"):
        net.save(tmp_path / "lost")
    assert not (tmp_path / "lost").exists()


def test_a_file_has_names_inner_networks_and_what_is_switched():
    pytest.importorskip("safetensors")
    inner = nn.Sequential(collections.OrderedDict(first=nn.Linear(3, 3), bound=nn.ReLU6(True)))
    net = nn.Sequential(
        collections.OrderedDict(
            body=inner,
            act=nn.LeakyReLU(0.2, inplace=True),
            drop=nn.Dropout(0.1, inplace=True),
            head=nn.Sequential(nn.Linear(3, 2)),
        )
    )
    net.body.bound.max_val = 0.25
    net.body.first.bias.requires_grad_(False)
    file = io.BytesIO()
    net.save(file)
    file.seek(0)
    loaded = nn.Sequential.load(file)
    assert repr(loaded) == repr(net) and loaded.body.bound.max_val == 0.25
    assert [*loaded.state_dict()] == [*net.state_dict()]
    assert [p.requires_grad for p in loaded.parameters()] == [True, False, True, True]
    x = np.ones((4, 3), "float32")
    np.testing.assert_array_equal(loaded.predict(x), net.predict(x))


def test_the_loss_of_a_file_is_that_of_its_criterion_now():
    pytest.importorskip("safetensors")
    criterion = nn.HuberLoss(delta=0.5)
    net = nn.Sequential(nn.Linear(2, 2), loss=criterion)
    criterion.delta = 3.0
    file = io.BytesIO()
    net.save(file)
    file.seek(0)
    assert nn.Sequential.load(file).loss_layer.delta == 3
    criterion = nn.CrossEntropyLoss()
    net = nn.Sequential(nn.Linear(2, 2), loss=criterion)
    criterion.label_smoothing = 0.1
    file = io.BytesIO()
    net.save(file)
    file.seek(0)
    assert nn.Sequential.load(file).loss_layer.label_smoothing == 0.1
    criterion.reduction = "sum"
    with pytest.raises(TypeError, match=r"reduction='mean'; got 'sum'"):
        net.save(io.BytesIO())


@pytest.mark.parametrize("parts", [["a"], ["a", "a"], [["a", 3]], ["a", "b", "c"], {"a": 1}, [1, 2]])
def test_names_in_a_file_that_do_not_fit_are_refused(parts, monkeypatch):
    pytest.importorskip("safetensors")
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    described = {**net.architecture(), "parts": parts}
    monkeypatch.setattr(nn.Sequential, "architecture", lambda self: described)
    file = io.BytesIO()
    net.save(file)
    file.seek(0)
    with pytest.raises(ValueError, match=r"^Sequential.load expects"):
        nn.Sequential.load(file)


def test_a_state_dict_has_what_a_class_saves_beside_its_tensors():
    class Kept(nn.Linear):
        def _save_to_state_dict(self, destination, prefix, keep_vars):
            super()._save_to_state_dict(destination, prefix, keep_vars)
            destination[prefix + "seen"] = fastbp.ones(1)

    assert [*nn.Sequential(Kept(2, 2)).state_dict()] == ["0.weight", "0.bias", "0.seen"]


@pytest.mark.parametrize(
    "name, use",
    [
        ("_load_from_state_dict", lambda net: net.load_state_dict(net.state_dict())),
        ("_apply", lambda net: net.double()),
    ],
)
def test_a_method_that_pytorch_would_call_is_refused_where_it_is_not_called(name, use):
    kind = type("Own", (nn.Linear,), {name: lambda self, *given: None})
    net = nn.Sequential(nn.Linear(2, 2), kind(2, 2))
    with pytest.raises(TypeError, match=rf"without a {name} of their own.*Own"):
        use(net)
    assert net[0].weight.dtype is fastbp.float32


@pytest.mark.parametrize("name", ["affine", "track_running_stats"])
def test_a_normalisation_without_them_is_refused_later_too(name):
    norm = nn.BatchNorm1d(3)
    assert getattr(norm, name) is True
    with pytest.raises(ValueError, match=rf"expects {name}=True, as no other is offered"):
        setattr(norm, name, False)


# --- what a class has of its own is what runs -------------------------------------------------


@pytest.mark.parametrize("way", ["set over it", "deleted first"])
def test_a_parameter_in_the_place_of_a_buffer_that_was_not_kept_is_saved(way):
    module = nn.Linear(2, 2)
    module.register_buffer("noise", fastbp.ones(2), persistent=False)
    if way == "deleted first":
        del module.noise
    module.noise = nn.Parameter(fastbp.ones(2))
    assert [*module.state_dict()] == ["weight", "bias", "noise"]
    with pytest.raises(TypeError, match="noise, which load would not have"):
        nn.Sequential(module).save(io.BytesIO())
    del module.noise
    module._non_persistent_buffers_set.add("noise")  # whatever is left there
    module.noise = nn.Parameter(fastbp.ones(2))
    assert [*module.state_dict()] == ["weight", "bias", "noise"]


@pytest.mark.parametrize("name", ["BatchNorm1d", "Embedding", "LayerNorm", "Linear"])
def test_initial_values_of_a_class_of_ones_own_are_those_of_its_reset_parameters(name):
    class Own(getattr(nn, name)):
        def reset_parameters(self):
            super().reset_parameters()
            nn.init.constant_(self.weight, 7.0)

    assert (Own(*ARGUMENTS[name]).weight == 7).all()


@pytest.mark.parametrize(
    "base, name",
    [
        (nn.Linear, "weight"),
        (nn.Linear, "bias"),
        (layers.Linear, "W"),
        (nn.Dropout, "p"),
        (layers.Dropout, "dropout_ratio"),
        (nn.LeakyReLU, "negative_slope"),
        (nn.ELU, "alpha"),
        (nn.BatchNorm1d, "eps"),
        (nn.BatchNorm1d, "running_var"),
        (layers.BatchNormalization, "gamma"),
    ],
)
def test_an_attribute_that_the_kernels_read_is_not_put_under_another(base, name):
    for value in (property(lambda self: 0.5), 0.5):
        with pytest.raises(TypeError, match=rf"another name for .*; got '{name}'"):
            type("Own", (base,), {name: value})
        mixin = type("Mixin", (), {name: value})
        with pytest.raises(TypeError, match=rf"another name for .*; got '{name}'"):
            type("Own", (mixin, base), {})


def test_a_call_of_ones_own_is_called_or_refused():
    class Loud(nn.Linear):
        def __call__(self, x):
            return 2 * super().__call__(x)

    net = nn.Sequential(Loud(2, 2), loss="squared_error")
    x = np.ones((3, 2), "float32")
    np.testing.assert_allclose(net(fastbp.tensor(x)).detach(), 2 * net[0].forward(x), rtol=1e-6)
    for use in (net.predict, net.forward, lambda x: net.gradient(x, x), lambda x: net.loss(x, x)):
        with pytest.raises(TypeError, match=r"got __call__ of Loud replaced"):
            use(x)


class Block(nn.Module):
    """A module of one's own, which computes on arrays too."""

    def __init__(self):
        super().__init__()
        self.linear, self.drop, self.norm = nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4)

    def forward(self, x):
        return x + self.norm(self.drop(self.linear(x)))


class ToldDropout:
    """The book's, as its readers write it."""

    def forward(self, x, train_flg=True):
        return x * 2 if train_flg else x

    def backward(self, dout):
        return dout * 2


class DropoutOfTwoModes(layers.Dropout):
    def forward(self, x, train_flg=True):
        return super().forward(x, train_flg)


def test_predict_evaluates_what_a_user_wrote_and_leaves_nothing_behind():
    x = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    net = nn.Sequential(Block(), ToldDropout(), DropoutOfTwoModes(0.5, seed=0))
    net[0].norm.eval()  # and that part alone
    block = copy.deepcopy(net[0]).eval()
    for _ in range(2):
        np.testing.assert_array_equal(net.predict(x), block(x))
    assert net[0].norm.num_batches_tracked == 0
    assert [part.training for part in net.modules()] == [True, True, True, True, False, True]
    assert not np.array_equal(net.forward(x), net.predict(x))
    with pytest.raises(ValueError, match="features"):
        net.predict(np.ones((5, 3), "float32"))
    assert net[0].drop.training


def test_the_books_networks_tell_the_mode_to_layers_of_ones_own():
    net = fastbp.book.MultiLayerNetExtend(4, [60], 3, use_dropout=True)
    net.layers["Dropout1"] = ToldDropout()
    x = np.ones((2, 4))
    assert not np.array_equal(net.predict(x), net.predict(x, train_flg=True))


def test_a_hook_on_a_criterion_is_called_or_refused():
    criterion = nn.MSELoss()
    handle = criterion.register_forward_hook(lambda module, inputs, out: 2 * out)
    with pytest.raises(TypeError, match="without forward hooks"):
        nn.Sequential(nn.Linear(1, 1), loss=criterion)
    handle.remove()
    net = nn.Sequential(nn.Linear(1, 1), loss=criterion)
    x = np.ones((2, 1), "float32")
    trainer = fastbp.Trainer(net, fastbp.SGD(lr=0.1))
    trainer.step(x, x)
    handle = criterion.register_forward_hook(lambda module, inputs, out: 2 * out)
    for use in (net.loss, net.gradient, trainer.step):
        with pytest.raises(TypeError, match="without forward hooks"):
            use(x, x)
    handle.remove()
    trainer.step(x, x)


def test_the_loss_may_be_set_as_the_constructor_takes_it():
    net, x = nn.Sequential(nn.Linear(2, 2)), np.ones((3, 2), "float32")
    for loss in ("squared_error", nn.MSELoss(), nn.MSELoss, layers.MeanSquaredError):
        net.loss_layer = loss
        assert net.loss(x, 0 * x) == pytest.approx(np.mean(net.predict(x) ** 2), rel=1e-6)
    with pytest.raises(TypeError, match="expects loss with forward"):
        net.loss_layer = 3
    with pytest.raises(TypeError, match="reduction='mean'; got 'sum'"):
        net.loss_layer = nn.MSELoss(reduction="sum")


# --- containers -------------------------------------------------------------------------------


def test_what_stands_beside_a_lists_items_keeps_its_name():
    class Modules(nn.ModuleList):
        def __init__(self):
            super().__init__([nn.Linear(1, 1), nn.Linear(1, 1)])
            self.head = nn.ReLU()

    modules = Modules()
    modules.append(nn.Tanh())
    modules[0] = nn.Sigmoid()
    assert [*modules._modules] == ["0", "1", "head", "3"]
    assert [type(m).__name__ for m in modules] == ["Sigmoid", "Linear", "Relu", "Tanh"]
    with pytest.raises(ValueError, match="got one named 'head'"):
        del modules[0]
    assert len(modules) == 4

    class Parameters(nn.ParameterList):
        def __init__(self):
            super().__init__([fastbp.ones(1), fastbp.ones(2)])
            self.scale = nn.Parameter(fastbp.ones(3))

    parameters = Parameters()
    parameters.append(nn.Parameter(fastbp.ones(4)))
    assert [*parameters._parameters] == ["0", "1", "scale", "2"]
    assert [len(p) for p in parameters] == [1, 2, 4] == [len(parameters[k]) for k in range(3)]
    del parameters[0]
    assert [*parameters._parameters] == ["0", "1", "scale"]

    named = nn.ParameterDict({"a": fastbp.ones(1)})
    named.scale = nn.Parameter(fastbp.ones(3))
    assert [*named] == ["a"] and [*named._parameters] == ["a", "scale"]
    assert "scale" not in named
    with pytest.raises(KeyError):
        named["scale"]
    named.clear()
    assert len(named) == 0 and named.scale is not None
    named["b"] = fastbp.ones(2)
    assert [*copy.deepcopy(named)] == ["b"]


def test_a_slice_of_a_network_has_its_names_and_its_class():
    net = Doubled(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    part = net[1:]
    assert type(part) is Doubled and [*part.state_dict()] == ["2.weight", "2.bias"]
    assert part[1] is net[2]
    x = fastbp.ones(3, 2)
    assert part(x).tolist() == (2 * net[2](net[1](x))).tolist()
