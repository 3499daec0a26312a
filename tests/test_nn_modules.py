"""nn's modules: their parameters, texts and files, in loops and in fit; bad input; memory."""

import copy
import gc
import io
import pickle
import sys
import weakref

import numpy as np
import pytest

import fastbp
from fastbp import nn
from fastbp.nn import functional as F

X = np.random.default_rng(0).standard_normal((12, 4)).astype("f4")
T = np.random.default_rng(1).integers(0, 3, 12)


def perceptron(**keywords):
    return nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8, bias=False), nn.Tanh(), nn.Linear(8, 3), **keywords
    )


class Net(nn.Module):
    """A user's module with modules, a list, a parameter and a buffer within."""

    def __init__(self, nn=nn, library=fastbp):
        super().__init__()
        self.hidden = nn.Linear(4, 5)
        self.norm = nn.BatchNorm1d(5)
        self.many = nn.ModuleList([nn.Linear(5, 5) for _ in range(3)])
        self.by_name = nn.ModuleDict({"act": nn.ReLU(), "out": nn.Linear(5, 3, bias=False)})
        self.scale = nn.Parameter(library.ones(3))
        self.register_buffer("mean", library.zeros(2))
        self.loss = nn.CrossEntropyLoss()

    def forward(self, x):
        x = self.norm(self.hidden(x))
        for layer in self.many:
            x = self.by_name["act"](layer(x))
        return self.by_name["out"](x) * self.scale


def net_of(module, library):
    """The same class on top of either library's Module."""
    return type(
        "Net", (module.Module,), {"__init__": lambda self: _filled(self, module, library), "forward": Net.forward}
    )()


def _filled(self, module, library):
    module.Module.__init__(self)
    self.hidden = module.Linear(4, 5)
    self.norm = module.BatchNorm1d(5)
    self.many = module.ModuleList([module.Linear(5, 5) for _ in range(3)])
    self.by_name = module.ModuleDict({"act": module.ReLU(), "out": module.Linear(5, 3, bias=False)})
    self.scale = module.Parameter(library.ones(3))
    self.register_buffer("mean", library.zeros(2))
    self.loss = module.CrossEntropyLoss()


# --- names ----------------------------------------------------------------------------------


def test_aliases_are_the_books_own_classes():
    assert nn.ReLU is fastbp.Relu and nn.Sequential is fastbp.Sequential
    assert nn.Sigmoid is fastbp.Sigmoid and nn.Tanh is fastbp.Tanh
    assert issubclass(nn.Linear, fastbp.Affine) and issubclass(nn.Dropout, fastbp.Dropout)


def test_everything_is_there_after_a_bare_import(run_python):
    code = (
        "import sys, fastbp; assert 'fastbp.nn' not in sys.modules;"
        "fastbp.nn.functional.relu; fastbp.nn.init.zeros_; fastbp.nn.utils.clip_grad_norm_;"
        "fastbp.summary; import fastbp.nn.functional as F; from fastbp import nn; F.linear"
    )
    done = run_python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")


#: Makers of modules whose text and state dict are compared with PyTorch's.
MADE = {
    "Linear": lambda n, L: n.Linear(4, 3),
    "Linear without bias": lambda n, L: n.Linear(4, 3, bias=False),
    "ReLU": lambda n, L: n.ReLU(),
    "ReLU in place": lambda n, L: n.ReLU(inplace=True),
    "LeakyReLU": lambda n, L: n.LeakyReLU(0.2, True),
    "ELU": lambda n, L: n.ELU(),
    "GELU": lambda n, L: n.GELU(),
    "SiLU": lambda n, L: n.SiLU(),
    "Softplus": lambda n, L: n.Softplus(),
    "Softmax": lambda n, L: n.Softmax(dim=1),
    "LogSoftmax": lambda n, L: n.LogSoftmax(1),
    "Dropout": lambda n, L: n.Dropout(0.3),
    "BatchNorm1d": lambda n, L: n.BatchNorm1d(5),
    "LayerNorm": lambda n, L: n.LayerNorm((2, 3)),
    "LayerNorm without weight": lambda n, L: n.LayerNorm(5, elementwise_affine=False),
    "Embedding": lambda n, L: n.Embedding(5, 3, padding_idx=0),
    "Flatten": lambda n, L: n.Flatten(),
    "Identity": lambda n, L: n.Identity(),
    "Hardtanh": lambda n, L: n.Hardtanh(),
    "ReLU6": lambda n, L: n.ReLU6(),
    "Unflatten": lambda n, L: n.Unflatten(1, (2, 3)),
    "CrossEntropyLoss": lambda n, L: n.CrossEntropyLoss(weight=L.ones(3)),
    "MSELoss": lambda n, L: n.MSELoss(),
    "Threshold": lambda n, L: n.Threshold(1, 2),
    "PReLU": lambda n, L: n.PReLU(3),
    "GLU": lambda n, L: n.GLU(),
    "CosineSimilarity": lambda n, L: n.CosineSimilarity(),
    "PairwiseDistance": lambda n, L: n.PairwiseDistance(),
    "TripletMarginLoss": lambda n, L: n.TripletMarginLoss(),
    "GaussianNLLLoss": lambda n, L: n.GaussianNLLLoss(full=True),
    "an empty Sequential": lambda n, L: n.Sequential(),
    "Sequential": lambda n, L: n.Sequential(n.Linear(2, 3), n.Sequential(n.ReLU(), n.Linear(3, 1))),
    "ModuleList": lambda n, L: n.ModuleList([n.Linear(2, 2)] * 2 + [n.ReLU()]),
    "ModuleDict": lambda n, L: n.ModuleDict({"a": n.Linear(2, 2), "b": n.ReLU()}),
    "ParameterList": lambda n, L: n.ParameterList([n.Parameter(L.zeros(2, 3))]),
    "a user's": net_of,
}


def described(module):
    state = module.state_dict().items()
    return {name: (tuple(v.shape), str(v.dtype).split(".")[-1]) for name, v in state}


@pytest.mark.parametrize("name", MADE)
def test_texts_and_state_dicts_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    own, theirs = MADE[name](nn, fastbp), MADE[name](torch.nn, torch)
    text = repr(theirs).replace("torch.float", "fastbp.float")
    if "Norm" in text and "bias=" not in text.partition("Norm")[2]:
        pytest.skip("an older PyTorch, whose norms do not tell their bias")
    assert repr(own) == text
    assert described(own) == described(theirs)
    assert [n for n, _ in own.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in own.named_modules()] == [n for n, _ in theirs.named_modules()]


def test_a_network_that_pytorch_trained_is_taken_over():
    torch = pytest.importorskip("torch")
    theirs, own = net_of(torch.nn, torch), net_of(nn, fastbp)
    theirs(torch.from_numpy(X))
    own.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    for mode in (True, False):
        expected = theirs.train(mode)(torch.from_numpy(X)).detach().numpy()
        actual = own.train(mode)(fastbp.from_numpy(X)).detach().numpy()
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert own.norm.num_batches_tracked.item() == 2


def test_names_of_a_users_module():
    assert list(Net().state_dict()) == [
        "scale",
        "mean",
        "hidden.weight",
        "hidden.bias",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
        "many.0.weight",
        "many.0.bias",
        "many.1.weight",
        "many.1.bias",
        "many.2.weight",
        "many.2.bias",
        "by_name.out.weight",
    ]


def test_apply_goes_from_the_inside_to_the_outside():
    seen = []
    nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh())).apply(lambda m: seen.append(m.type_name()))
    assert seen == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_a_forward_hook_sees_and_replaces():
    layer = nn.Linear(4, 3)
    seen = []
    first = layer.register_forward_hook(lambda m, given, out: seen.append((m, given[0].shape)))
    second = layer.register_forward_hook(lambda m, given, out: out * 0)
    assert (layer(fastbp.ones(2, 4)) == 0).all() and seen == [(layer, (2, 4))]
    first.remove(), second.remove()
    assert (layer(fastbp.ones(2, 4)) != 0).any() and len(seen) == 1


# --- parameters -----------------------------------------------------------------------------


def same(layer, x):
    """Whether the layer on a Tensor is x W + b of its own arrays and of its own tensors."""
    x = fastbp.from_numpy(x)
    out = layer(x).detach().numpy()
    by_book = x.numpy() @ layer.W + layer.b
    by_torch = (x @ layer.weight.T + (0 if layer.bias is None else layer.bias)).detach().numpy()
    return np.allclose(out, by_book, atol=1e-5) and np.allclose(out, by_torch, atol=1e-5)


CHANGES = {
    "a Parameter": lambda a: setattr(a, "weight", nn.Parameter(fastbp.randn(3, 4))),
    "data": lambda a: setattr(a.weight, "data", fastbp.randn(3, 4)),
    "data of the bias": lambda a: setattr(a.bias, "data", fastbp.randn(3)),
    "in place": lambda a: fastbp.no_grad()(lambda: a.weight.mul_(3).add_(1))(),
    "an element": lambda a: a.weight.data.__setitem__((0, 1), 7.0),
    "copy_": lambda a: a.weight.data.copy_(fastbp.randn(3, 4)),
    "fill_": lambda a: a.bias.data.fill_(0.5),
    "init": lambda a: nn.init.kaiming_normal_(a.weight),
    "no bias": lambda a: setattr(a, "bias", None),
    "another bias": lambda a: (setattr(a, "bias", None), setattr(a, "bias", nn.Parameter(fastbp.randn(3)))),
    "the book's array": lambda a: setattr(a, "W", np.full((4, 3), 2, "f4")),
    "in the book's array": lambda a: a.W.__imul__(2),
    "float64": lambda a: a.double().float(),
    "a state dict": lambda a: a.load_state_dict(nn.Linear(4, 3).state_dict()),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("looked_at", [False, True])
def test_the_layer_follows_a_change_of(name, looked_at):
    fastbp.manual_seed(0)
    layer = nn.Linear(4, 3)
    if looked_at:
        layer(fastbp.from_numpy(X))
    before = layer.W.copy(), layer.b.copy()
    CHANGES[name](layer)
    assert same(layer, X)
    assert not (np.array_equal(before[0], layer.W) and np.array_equal(before[1], layer.b)) or (name == "float64")
    assert np.shares_memory(layer.W, layer.weight.array)


def test_an_assigned_parameter_is_the_very_object():
    layer, weight = nn.Linear(4, 3), nn.Parameter(fastbp.randn(3, 4))
    layer.weight = weight
    assert layer.weight is weight and next(iter(layer.parameters())) is weight
    layer(fastbp.from_numpy(X)).sum().backward()
    assert weight.grad.shape == (3, 4)


def test_two_layers_share_a_weight():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    a.weight = b.weight
    model = nn.ModuleList([a, b])
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    with fastbp.no_grad():
        a.weight.fill_(2.0)
    assert (b.W == 2).all() and np.shares_memory(a.W, b.W)
    x = fastbp.from_numpy(X)
    b(a(x)).sum().backward()
    w = fastbp.full((4, 4), 2.0, requires_grad=True)
    F.linear(F.linear(x, w, a.bias), w, b.bias).sum().backward()
    np.testing.assert_allclose(a.weight.grad.numpy(), w.grad.numpy(), rtol=1e-5)


def test_a_flattened_weight_can_be_read_but_not_written():
    layer = nn.Linear(4, 3)
    (layer.weight.view(-1) ** 2).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), 2 * layer.W.T)
    for tensor in (layer.weight.data, layer.weight.detach()):
        flat = tensor.view(-1)
        assert (flat.numpy() == layer.W.T.reshape(-1)).all()
        with pytest.raises(RuntimeError, match="writable memory"):
            flat[0] = 1.0
    layer(fastbp.from_numpy(X)).sum().backward()
    assert layer.weight.grad.view(12).shape == (12,)


def test_a_frozen_parameter_gets_no_gradient():
    layer = nn.Linear(4, 3)
    layer.bias.requires_grad = False
    layer(fastbp.from_numpy(X)).sum().backward()
    assert layer.bias.grad is None and layer.weight.grad is not None
    layer.weight.requires_grad_(False)
    assert not layer(fastbp.from_numpy(X)).requires_grad


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_apart_and_whole(copied):
    model = Net()
    model(fastbp.from_numpy(X))
    twin = copied(model)
    assert twin.state_dict().keys() == model.state_dict().keys()
    x = fastbp.from_numpy(X)
    assert (twin(x) == model(x)).all()
    with fastbp.no_grad():
        twin.hidden.weight.fill_(0.0)
    assert (twin.hidden.W == 0).all() and (model.hidden.W != 0).any()


def test_initial_values_lie_in_pytorchs_bounds_and_come_from_the_seed():
    fastbp.manual_seed(3)
    layer = nn.Linear(400, 300)
    bound = 400**-0.5
    for values in (layer.W, layer.b):
        assert np.abs(values).max() <= bound and np.abs(values).max() > 0.98 * bound
        assert abs(values.mean()) < 0.06 * bound
        assert abs(values.std() - bound / 3**0.5) < 0.05 * bound
    fastbp.manual_seed(3)
    assert (nn.Linear(400, 300).W == layer.W).all()
    assert (nn.Linear(400, 300).W != layer.W).any()


def test_the_default_dtype_is_that_of_new_layers():
    fastbp.set_default_dtype(fastbp.float64)
    try:
        assert nn.Linear(2, 2).weight.dtype is fastbp.float64
    finally:
        fastbp.set_default_dtype(fastbp.float32)
    assert nn.Linear(2, 2, dtype=fastbp.float64).b.dtype == np.float64


STATISTICS = {  # the deviation of the numbers, and the largest, by in = 50, out = 200
    "uniform_": ((-2.0, 2.0), 4 / 12**0.5, 2.0),
    "normal_": ((1.0, 2.0), 2.0, None),
    "trunc_normal_": ((0.0, 1.0, -1.0, 1.0), 0.5396, 1.0),
    "xavier_uniform_": ((2.0,), 2 * (2 / 250) ** 0.5, 2 * (6 / 250) ** 0.5),
    "xavier_normal_": ((), (2 / 250) ** 0.5, None),
    "kaiming_uniform_": ((), (2 / 50) ** 0.5, (6 / 50) ** 0.5),
    "kaiming_normal_": ((0, "fan_out", "relu"), (2 / 200) ** 0.5, None),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_initial_values_have_their_statistics(name):
    arguments, deviation, largest = STATISTICS[name]
    fastbp.manual_seed(0)
    tensor = fastbp.empty(200, 50, requires_grad=True)
    assert getattr(nn.init, name)(tensor, *arguments) is tensor and tensor.is_leaf
    values = tensor.detach().numpy()
    assert abs(values.std() - deviation) < 0.03 * deviation
    if largest is not None:
        assert 0.97 * largest < np.abs(values).max() <= largest * (1 + 1e-6)


def test_initial_values_without_chance():
    assert (nn.init.constant_(fastbp.empty(2, 3), 4) == 4).all()
    assert (nn.init.ones_(fastbp.empty(2)) == 1).all()
    assert (nn.init.zeros_(fastbp.ones(2)) == 0).all()
    assert (nn.init.eye_(fastbp.empty(2, 3)).numpy() == np.eye(2, 3)).all()
    for shape in ((3, 5), (5, 3), (4, 4)):
        q = nn.init.orthogonal_(fastbp.empty(*shape), gain=2).numpy()
        q = q if shape[0] <= shape[1] else q.T
        np.testing.assert_allclose(q @ q.T, 4 * np.eye(len(q)), atol=1e-5)
    assert ((nn.init.sparse_(fastbp.empty(10, 4), 0.3) == 0).sum(0) == 3).all()


@pytest.mark.parametrize(
    "name",
    [
        "uniform_",
        "normal_",
        "trunc_normal_",
        "xavier_uniform_",
        "xavier_normal_",
        "kaiming_uniform_",
        "kaiming_normal_",
        "orthogonal_",
        "sparse_",
    ],
)
def test_numbers_are_not_drawn_into_integers(name):
    """They would be cut off at the point, most of them to 0."""
    x = fastbp.arange(6).reshape(2, 3)
    with pytest.raises(TypeError, match="_ expects a tensor of float32 or float64"):
        getattr(nn.init, name)(x, *(0.5,) * (name == "sparse_"))
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_constant_is_one_number():
    with pytest.raises(TypeError, match="val as one number"):
        nn.init.constant_(fastbp.zeros(2, 2), [1.0, 2.0])


def test_the_divergence_of_no_rows_is_no_number():
    loss = nn.KLDivLoss(reduction="batchmean")
    assert np.isnan(loss(fastbp.zeros(0, 3), fastbp.zeros(0, 3)).item())


LOSSES_CHANGED = [
    (lambda t: t.nn.CrossEntropyLoss(), {"reduction": "sum", "label_smoothing": 0.1}),
    (lambda t: t.nn.CrossEntropyLoss(), {"ignore_index": 1, "weight": [1.0, 2.0, 3.0]}),
    (lambda t: t.nn.NLLLoss(), {"reduction": "none", "ignore_index": 0}),
    (lambda t: t.nn.SmoothL1Loss(), {"beta": 0.2}),
    (lambda t: t.nn.HuberLoss(), {"delta": 0.2, "reduction": "sum"}),
    (lambda t: t.nn.KLDivLoss(reduction="sum"), {"log_target": True}),
    (lambda t: t.nn.BCEWithLogitsLoss(), {"pos_weight": [1.0, 2.0, 3.0], "reduction": "sum"}),
    (lambda t: t.nn.MSELoss(), {"reduction": "none"}),
]


@pytest.mark.parametrize("case", range(len(LOSSES_CHANGED)))
def test_what_a_loss_is_told_later_holds(case):
    torch = pytest.importorskip("torch")
    make, changes = LOSSES_CHANGED[case]
    numbers = np.random.default_rng(case)
    x, t = numbers.standard_normal((2, 4, 3))
    found = []
    for library in (fastbp, torch):
        loss = make(library)
        if isinstance(loss, library.nn.CrossEntropyLoss | library.nn.NLLLoss):
            target = library.tensor([0, 1, 2, 1])
        else:
            target = library.tensor(np.abs(t).clip(0, 1).tolist(), dtype=library.float64)
        for name, value in changes.items():
            new = library.tensor(value, dtype=library.float64) if type(value) is list else value
            setattr(loss, name, new)
        found.append(loss(library.tensor(x.tolist(), dtype=library.float64), target).numpy())
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_gains_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name, more in (
        ("linear", ()),
        ("sigmoid", ()),
        ("tanh", ()),
        ("relu", ()),
        ("selu", ()),
        ("leaky_relu", (0.3,)),
        ("leaky_relu", ()),
    ):
        assert nn.init.calculate_gain(name, *more) == pytest.approx(torch.nn.init.calculate_gain(name, *more))


# --- one object, two vocabularies -----------------------------------------------------------


def test_the_books_gradients_are_those_of_tensors():
    net = perceptron(loss=nn.CrossEntropyLoss())
    grads = net.gradient(X, T)
    loss = nn.CrossEntropyLoss()(net(fastbp.from_numpy(X)), fastbp.from_numpy(T))
    loss.backward()
    assert loss.item() == pytest.approx(net.loss(X, T), rel=1e-6)
    for key, place in (("1", 0), ("2", 2), ("3", 4)):
        np.testing.assert_allclose(net[place].weight.grad.numpy(), grads["W" + key].T, rtol=1e-5, atol=1e-7)
        if net[place].bias is not None:
            np.testing.assert_allclose(net[place].bias.grad.numpy(), grads["b" + key], rtol=1e-5, atol=1e-7)
    assert (grads["b2"] == 0).all()


def test_a_loop_and_fit_train_the_same_memory():
    fastbp.manual_seed(0)
    net = perceptron(loss=nn.CrossEntropyLoss())
    twin = copy.deepcopy(net)
    weight = net[0].weight
    net.fit(X, T, epochs=3, optimizer=fastbp.SGD(lr=0.1), batch_size=12, shuffle=False)
    optimizer = fastbp.optim.SGD(twin.parameters(), lr=0.1)
    x, t = fastbp.from_numpy(X), fastbp.from_numpy(T)
    for _ in range(3):
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(twin(x), t).backward()
        optimizer.step()
    assert net[0].weight is weight
    for (name, own), other in zip(net.state_dict().items(), twin.parameters(), strict=True):
        np.testing.assert_allclose(own.numpy(), other.detach().numpy(), rtol=2e-4, atol=1e-6, err_msg=name)
    assert (net[2].b == 0).all()


def test_batch_norm_moves_alike_in_a_loop_and_in_fit():
    def made():
        fastbp.manual_seed(0)
        return nn.Sequential(
            nn.Linear(4, 5), nn.BatchNorm1d(5, momentum=0.3), nn.Linear(5, 3), loss=nn.CrossEntropyLoss()
        )

    net, twin = made(), made()
    net.fit(X, T, epochs=2, optimizer=fastbp.SGD(lr=0.1), batch_size=12, shuffle=False)
    optimizer = fastbp.optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(twin(fastbp.from_numpy(X)), fastbp.from_numpy(T)).backward()
        optimizer.step()
    assert net[1].momentum == 0.3
    for name in ("running_mean", "running_var", "weight"):
        np.testing.assert_allclose(
            getattr(net[1], name).detach().numpy(), getattr(twin[1], name).detach().numpy(), rtol=1e-3, atol=1e-6
        )


def test_an_nn_network_comes_back_from_its_file(tmp_path):
    pytest.importorskip("safetensors")
    net = nn.Sequential(
        nn.Flatten(),
        nn.Linear(4, 5),
        nn.BatchNorm1d(5),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.1),
        nn.GELU("tanh"),
        nn.Linear(5, 3, bias=False),
        loss=nn.CrossEntropyLoss(),
    )
    net(fastbp.from_numpy(X))
    net.save(tmp_path / "net.safetensors")
    twin = fastbp.Sequential.load(tmp_path / "net.safetensors")
    assert repr(twin) == repr(net) and (twin.predict(X) == net.predict(X)).all()
    assert twin[2].num_batches_tracked.item() == 1


NOT_HELD = {
    "Softmax": lambda: nn.Softmax(1),
    "LayerNorm": lambda: nn.LayerNorm(3),
    "Flatten": lambda: nn.Flatten(0),
    "Dropout": lambda: nn.Dropout(1.0),
    "Embedding": lambda: nn.Embedding(3, 3),
}


@pytest.mark.parametrize("name", NOT_HELD)
def test_fit_names_what_the_engine_does_not_hold(name):
    net = nn.Sequential(nn.Linear(4, 3), NOT_HELD[name](), loss=nn.CrossEntropyLoss())
    with pytest.raises(TypeError, match=f"the training engine holds; got {name}"):
        net.fit(X, T, epochs=1, optimizer=fastbp.SGD(lr=0.1))


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (nn.CrossEntropyLoss(), fastbp.SoftmaxWithLoss),
        (nn.BCEWithLogitsLoss(), fastbp.SigmoidWithLoss),
        (nn.MSELoss(), fastbp.MeanSquaredError),
        (nn.L1Loss(), fastbp.MeanAbsoluteError),
        (nn.SmoothL1Loss(), fastbp.HuberLoss),
        (nn.HuberLoss(delta=0.5), fastbp.HuberLoss),
    ],
)
def test_losses_stand_for_the_librarys_own(loss, kind):
    book = nn.Sequential(nn.Linear(4, 3), loss=loss).loss_layer
    assert type(book) is kind
    x = X[:, :3]
    t = T if kind is fastbp.SoftmaxWithLoss else np.abs(np.tanh(X[:, 1:]))
    value = loss(fastbp.from_numpy(x), fastbp.from_numpy(t)).item()
    assert value == pytest.approx(book.forward(x, t), rel=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        nn.BCELoss(),
        nn.NLLLoss(),
        nn.KLDivLoss(),
        nn.CrossEntropyLoss(weight=fastbp.ones(3)),
        nn.CrossEntropyLoss(ignore_index=1),
        nn.MSELoss(reduction="sum"),
        nn.SmoothL1Loss(beta=2.0),
        nn.BCEWithLogitsLoss(pos_weight=fastbp.ones(3)),
    ],
    ids=str,
)
def test_losses_without_a_counterpart_say_so(loss):
    with pytest.raises(TypeError, match="Training by fit expects"):
        nn.Sequential(nn.Linear(4, 3), loss=loss)


LAYERS = [
    nn.ELU(),
    nn.SiLU(),
    nn.Mish(),
    nn.Hardtanh(),
    nn.ReLU6(),
    nn.Softplus(2),
    nn.GELU("tanh"),
    nn.LeakyReLU(0.2),
    nn.Softmax(1),
    nn.LogSoftmax(1),
    nn.Flatten(0),
    nn.Linear(4, 3, bias=False),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_layers_take_arrays_as_the_books_do(layer):
    layer = copy.deepcopy(layer).double()
    x = X.astype("f8")
    out = layer.forward(x)
    assert type(out) is np.ndarray
    dx = layer.backward(np.cos(out))
    t = fastbp.from_numpy(x.copy()).requires_grad_()
    y = layer(t)
    y.backward(fastbp.from_numpy(np.cos(out)))
    np.testing.assert_allclose(out, y.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(dx, t.grad.numpy(), rtol=1e-10, atol=1e-14)


# --- chance ---------------------------------------------------------------------------------


def test_dropout_draws_from_the_seed_of_all():
    layer, x = nn.Dropout(0.25), fastbp.ones(40, 50, requires_grad=True)
    fastbp.manual_seed(5)
    out = layer(x)
    out.sum().backward()
    kept = out.detach().numpy() != 0
    assert abs(kept.mean() - 0.75) < 0.03
    np.testing.assert_allclose(out.detach().numpy()[kept], 1 / 0.75, rtol=1e-6)
    np.testing.assert_array_equal(x.grad.numpy(), out.detach().numpy())
    fastbp.manual_seed(5)
    assert (layer(x) == out).all() and (layer(x) != out).any()
    fastbp.manual_seed(5)
    assert (F.dropout(x, 0.25) == out).all()
    assert layer.eval()(x) is x and (nn.Dropout(1.0)(x) == 0).all()


# --- bad input ------------------------------------------------------------------------------

x, column = fastbp.from_numpy(X), fastbp.ones(12, 1)
classes = fastbp.from_numpy(T)
BAD = {
    "a class too high": (lambda: F.cross_entropy(x, classes + 3), IndexError, "classes 0..3; got"),
    "a negative class": (lambda: F.cross_entropy(x, classes - 1), IndexError, "out of range"),
    "float classes": (lambda: F.cross_entropy(x, classes.float()), RuntimeError, "long"),
    "a column of classes": (lambda: F.cross_entropy(x, classes.unsqueeze(1)), ValueError, "squeeze"),
    "too few classes": (lambda: F.cross_entropy(x, classes[:5]), ValueError, r"shape \(12,\)"),
    "integer logits": (lambda: F.cross_entropy(x.long(), classes), RuntimeError, "float dtype"),
    "no tensor": (lambda: F.cross_entropy(X, classes), TypeError, "input as a Tensor"),
    "class weights": (lambda: F.cross_entropy(x, classes, fastbp.ones(2)), RuntimeError, "weight of shape"),
    "a reduction": (lambda: nn.MSELoss(reduction="average"), ValueError, "reduction as one of"),
    "shapes of BCE": (lambda: F.binary_cross_entropy(column, column[:, 0]), ValueError, "shape"),
    "BCE above 1": (lambda: F.binary_cross_entropy(2 * column, column), RuntimeError, "between 0"),
    "BCE's target above 1": (lambda: F.binary_cross_entropy(column, 2 * column), RuntimeError, "target between 0"),
    "BCE's integer target": (lambda: F.binary_cross_entropy(column, column.long()), RuntimeError, "dtype"),
    "shapes of BCE with logits": (
        lambda: F.binary_cross_entropy_with_logits(column, column[:, 0]),
        ValueError,
        "shape",
    ),
    "integer target of BCE with logits": (
        lambda: F.binary_cross_entropy_with_logits(column, column.long()),
        RuntimeError,
        "float",
    ),
    "features": (lambda: nn.Linear(3, 2)(x), RuntimeError, "3 features in its last dimension"),
    "another dtype": (lambda: nn.Linear(4, 2)(x.double()), RuntimeError, "weights' dtype"),
    "integers": (lambda: nn.Linear(4, 2)(x.long()), RuntimeError, "weights' dtype"),
    "F.linear's features": (lambda: F.linear(x, fastbp.ones(2, 3)), RuntimeError, "3 features"),
    "no inputs": (lambda: nn.Linear(0, 2), ValueError, "in_features"),
    "a GPU": (lambda: nn.Linear(2, 2, device="cuda"), RuntimeError, "cpu"),
    "a weight of one dimension": (
        lambda: setattr(nn.Linear(4, 2), "weight", nn.Parameter(fastbp.ones(8))),
        ValueError,
        "weight with 2 dimensions",
    ),
    "a weight that is no Parameter": (
        lambda: setattr(nn.Linear(4, 2), "weight", fastbp.ones(2, 4)),
        TypeError,
        "Parameter",
    ),
    "features of a norm": (lambda: nn.BatchNorm1d(3)(x), ValueError, r"\(N, 3\)"),
    "one row for a norm": (lambda: nn.BatchNorm1d(4)(x[:1]), ValueError, "2 rows"),
    "a norm without weights": (lambda: nn.BatchNorm1d(4, affine=False), ValueError, "affine"),
    "features of a layer norm": (lambda: nn.LayerNorm(3)(x), RuntimeError, r"\(3,\)"),
    "an index too high": (lambda: nn.Embedding(3, 2)(classes + 1), IndexError, "indices 0..2; got 3"),
    "float indices": (lambda: nn.Embedding(3, 2)(x), RuntimeError, "integer"),
    "p above 1": (lambda: nn.Dropout(1.5), ValueError, "p between 0 and 1"),
    "no modules": (lambda: nn.ModuleList([1]), TypeError, "modules; got int"),
    "a vector to eye_": (lambda: nn.init.eye_(fastbp.ones(3)), ValueError, "2 dimensions"),
    "fans of a vector": (lambda: nn.init.xavier_normal_(fastbp.ones(3)), ValueError, "2 dim"),
    "an unknown gain": (lambda: nn.init.calculate_gain("gelu"), ValueError, "nonlinearity"),
    "super().__init__() left out": (
        lambda: type("N", (nn.Module,), {"__init__": lambda s: setattr(s, "a", nn.ReLU())})(),
        AttributeError,
        "super",
    ),
    "a state dict's name": (
        lambda: nn.Linear(4, 2).load_state_dict({"weight": fastbp.ones(2, 4)}),
        RuntimeError,
        "bias",
    ),
    "a state dict's shape": (
        lambda: nn.Linear(4, 2).load_state_dict(nn.Linear(3, 2).state_dict()),
        RuntimeError,
        "weight of shape",
    ),
    "a summary of no module": (lambda: fastbp.summary(3), TypeError, "a Module"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_to_nn_is_refused_in_one_sentence(name):
    do, error, match = BAD[name]
    with pytest.raises(error, match=match) as caught:
        do()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_a_target_that_broadcasts_is_warned_of(loss):
    with pytest.warns(UserWarning, match="likely lead to incorrect results"):
        value = loss(column * 2, column[:, 0])
    assert value.item() in (1.0, 0.5)


def test_older_arguments_of_losses_are_warned_of():
    with pytest.warns(UserWarning, match="deprecated"):
        loss = nn.MSELoss(size_average=False)
    assert loss(column, 3 * column).item() == 48


def test_an_input_changed_in_place_before_backward_is_an_error():
    layer, x = nn.Linear(4, 3), fastbp.from_numpy(X.copy())
    loss = F.cross_entropy(layer(x), classes)
    x += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    hidden = nn.Sequential(layer, nn.Linear(3, 3))
    loss = hidden(x).sum()
    with fastbp.no_grad():
        hidden[1].weight.mul_(2)
    with pytest.raises(RuntimeError, match="AddmmBackward0"):
        loss.backward()
    out = F.relu(layer(x))
    out += 1
    with pytest.raises(RuntimeError, match="ReluBackward0"):
        out.sum().backward()


def test_arrays_are_not_written_to():
    x, t = fastbp.from_numpy(X.copy()), fastbp.from_numpy(T.copy())
    net = nn.Sequential(nn.ReLU(), nn.Linear(4, 3), nn.Dropout(0.5), nn.Softmax(1))
    F.nll_loss(net(x).log(), t).backward()
    assert (x.numpy() == X).all() and (t.numpy() == T).all()


# --- memory ---------------------------------------------------------------------------------


def test_a_step_leaves_nothing_behind():
    net = nn.Sequential(
        nn.Linear(4, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(8, 8, bias=False),
        nn.LayerNorm(8),
        nn.ELU(),
        nn.Linear(8, 3),
    )
    criterion = nn.CrossEntropyLoss()
    x, t = fastbp.from_numpy(X), fastbp.from_numpy(T)

    def step():
        net.zero_grad()
        loss = criterion(net(x), t)
        loss.backward()
        return weakref.ref(loss)

    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            assert step()() is None
        before = len(gc.get_objects())
        for _ in range(1000):
            step()
        assert len(gc.get_objects()) <= before + 10
    finally:
        gc.enable()


# --- the table ------------------------------------------------------------------------------

TABLE = """\
==========================================================================================
Layer (type:depth-idx)                   Output Shape              Param #
==========================================================================================
Net                                      [7, 3]                    3
├─Linear: 1-1                            [7, 5]                    25
├─BatchNorm1d: 1-2                       [7, 5]                    10
├─ModuleList: 1-3                        --                        --
│    └─Linear: 2-1                       [7, 5]                    (30)
"""


def test_the_summary_is_a_table(capsys):
    net = Net()
    for p in net.many.parameters():
        p.requires_grad = False
    net.norm.eval()
    fastbp.manual_seed(0)
    before = fastbp.rand(1)
    fastbp.manual_seed(0)
    found = fastbp.summary(net, (7, 4))
    assert (fastbp.rand(1) == before).all()
    text = capsys.readouterr().out
    assert text == f"{found}\n" and text.startswith(TABLE)
    assert "Total params: 143\nTrainable params: 53\nNon-trainable params: 90\n" in text
    assert (found.total_params, found.trainable_params) == (143, 53)
    assert found.total_mult_adds == 7 * (25 + 10 + 90 + 15)
    assert net.training and not net.norm.training and net.norm.num_batches_tracked.item() == 0
    assert fastbp.summary(net, input_data=x, verbose=0).total_input == x.nbytes
    assert capsys.readouterr().out == ""


def test_a_layer_used_again_is_counted_once(capsys):
    layer = nn.Linear(4, 4)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(self.layer(x))

    fastbp.summary(Twice(), (1, 4))
    text = capsys.readouterr().out
    assert "Linear: 1-2" in text and "(recursive)" in text and "Total params: 20" in text


def test_a_summary_without_input_has_no_shapes(capsys):
    fastbp.summary(perceptron(), depth=0)
    text = capsys.readouterr().out
    assert "Output Shape" not in text and "Linear" not in text and "131" in text


def test_a_summary_is_printed_where_its_lines_cannot_be_encoded(monkeypatch):
    """As into a file on Windows."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", out)
    fastbp.summary(perceptron())
    out.flush()
    assert "??Linear: 1-1" in out.buffer.getvalue().decode("cp1252")
    monkeypatch.setattr(sys, "stdout", None)
    fastbp.summary(perceptron())
