"""No public function takes a keyword that it does not use: walked through, one and all."""

import importlib
import inspect

import numpy as np
import pytest

import fastbp as T
import fastbp.nn.functional as F
from fastbp import book, datasets, nn

MODULES = (
    "fastbp",
    "fastbp.autograd",
    "fastbp.nn",
    "fastbp.nn.functional",
    "fastbp.nn.init",
    "fastbp.nn.utils",
    "fastbp.utils.data",
    "fastbp.optim",
    "fastbp.optim.lr_scheduler",
    "fastbp.optim.swa_utils",
    "fastbp.layers",
    "fastbp.losses",
)
#: Compiled parts of the graph, which nobody makes by hand, and a protocol, which nobody makes.
INTERNAL = {"Node", "TensorBase", "Communicator"}


def callables():
    found = {}
    for module in map(importlib.import_module, MODULES):
        names = getattr(module, "__all__", None) or [n for n in dir(module) if n[0] != "_"]
        for name in names:
            thing = getattr(module, name)
            if callable(thing) and name not in INTERNAL:
                found.setdefault(id(thing), (f"{module.__name__}.{name}", thing, ()))
    for name in dir(T.Tensor):
        method = getattr(T.Tensor, name)
        if callable(method) and not name.startswith("_"):
            found.setdefault(id(method), (f"Tensor.{name}", method, (T.ones(2, 2),)))
    return list(found.values())


@pytest.mark.parametrize(("name", "thing", "first"), callables(), ids=lambda v: v if isinstance(v, str) else "")
def test_an_unknown_keyword_is_refused_in_one_sentence(name, thing, first):
    if name == "Tensor.cuda":
        pytest.skip("refuses whatever it is given")
    with pytest.raises(TypeError) as caught:
        thing(*first, dytpe=3)
    text = str(caught.value)
    assert "\n" not in text and (
        "dytpe" in text or "no keyword" in text or "no arguments" in text or "missing" in text
    ), text


def test_the_walk_meets_everything():
    names = {name for name, _, _ in callables()}
    ends = {name.rpartition(".")[2] for name in names}
    assert {"zeros", "add_", "relu", "Linear", "SGD", "normal_", "DataLoader", "StepLR"} <= ends
    assert len(names) > 350


X = T.arange(6.0).reshape(2, 3)
WITH_OUT = """sum(X, 1)
mean(X, 0)
prod(X, 1)
cumsum(X, 1)
cumprod(X, 0)
var(X, 1)
std(X, 1)
norm(X, 2, 1)
logsumexp(X, 1)
max(X, 1)
min(X, 1)
amax(X, 1)
amin(X, 1)
argmax(X, 1)
argmin(X, 0)
any(X, 1)
all(X, 1)
median(X, 1)
sort(X)
argsort(X)
topk(X, 2)
add(X, X)
sub(X, X, alpha=2)
mul(X, 2)
div(X, 2)
pow(X, 2)
maximum(X, X)
gt(X, 1)
matmul(X, X.T)
clamp(X, 1, 2)
where(X > 1, X, 0.0)
exp(X)
tanh(X)
sigmoid(X)
log_softmax(X, 1)
round(X)
cat([X, X])
stack([X, X], 1)
index_select(X, 0, T.tensor([1]))
gather(X, 1, T.tensor([[0], [1]]))
tril(X)
zeros(2, 3)
ones(2, 3, dtype=T.int64)
full((2,), 1.5)
arange(4)
linspace(0, 1, 3)
eye(2)""".splitlines()


def called(code, more=""):
    return eval(f"T.{code[:-1]}{more})", {"T": T, "X": X})


@pytest.mark.parametrize("code", WITH_OUT)
def test_out_is_written(code):
    wanted = called(code)
    pair = isinstance(wanted, tuple)
    results = wanted if pair else (wanted,)
    for shaped in (True, False):
        outs = tuple(T.zeros(r.shape if shaped else 0, dtype=r.dtype) for r in results)
        memory = [o.array for o in outs]
        given = eval(f"T.{code[:-1]}, out=OUT)", {"T": T, "X": X, "OUT": outs if pair else outs[0]})
        for out, result, kept in zip(outs, results, memory, strict=True):
            assert T.equal(out, result) and out.dtype is result.dtype
            assert not shaped or out.array is kept
        assert all(g is o for g, o in zip(given if pair else (given,), outs, strict=True))


def test_out_that_does_not_fit_is_refused_and_left_alone():
    out = T.full((3,), 7.0)
    for call, error, words in [
        (lambda: T.sum(X, 1, out=out), RuntimeError, "out of the result's shape"),
        (lambda: T.exp(X[0], out=T.zeros(3, dtype=T.int64)), RuntimeError, "be cast to"),
        (lambda: T.argmax(X, 0, out=out), RuntimeError, "be cast to"),
        (lambda: T.exp(T.ones(3, requires_grad=True), out=out), RuntimeError, "require grad"),
        (lambda: T.exp(X[0], out=T.zeros(3, requires_grad=True)), RuntimeError, "require grad"),
        (lambda: T.exp(X[0], out=np.zeros(3)), TypeError, "out as a Tensor"),
        (lambda: T.max(X, 0, out=out), TypeError, "out as 2 tensors"),
        (lambda: T.relu(X[0], out=out), TypeError, "out="),
        (lambda: X[0].exp_(out=out), TypeError, "expects no out"),
        (lambda: T.exp(X[0], out=T.ones(1).expand(3)), RuntimeError, "memory of its own"),
    ]:
        with pytest.raises(error, match=words):
            call()
    assert out.tolist() == [7.0] * 3
    with T.no_grad():
        T.exp(T.ones(3, requires_grad=True), out=out)
    assert out.tolist() == T.exp(T.ones(3)).tolist()
    x = T.ones(3)
    T.add(x, x, out=x)
    assert x.tolist() == [2.0] * 3 and T.sum(X, 1, out=T.zeros(2, dtype=T.float64)).dtype is T.float64


def test_out_counts_as_a_change():
    w, x = T.ones(3, requires_grad=True), T.ones(3)
    loss = (w * x).sum()
    T.exp(x, out=x)
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


@pytest.mark.parametrize(
    "code",
    [
        "sum(X, dim=1)",
        "cat([X, X], dim=1)",
        "stack([X, X], dim=1)",
        "softmax(X, dim=1)",
        "log_softmax(X, dim=0)",
        "squeeze(X, dim=0)",
        "unsqueeze(X, dim=1)",
        "max(X, dim=0)",
        "argmax(X, dim=1)",
        "cumsum(X, dim=1)",
        "sort(X, dim=0)",
        "topk(X, 1, dim=0)",
        "chunk(X, 2, dim=1)",
        "unbind(X, dim=1)",
        "median(X, dim=0)",
        "logsumexp(X, dim=0)",
        "index_select(X, dim=0, index=T.tensor([0]))",
        "narrow(X, dim=0, start=0, length=1)",
        "select(X, dim=0, index=1)",
        "repeat_interleave(X, 2, dim=0)",
        "count_nonzero(X, dim=0)",
        "any(X, dim=0, keepdim=True)",
        "mean(X, dim=0, keepdim=True)",
        "std(X, dim=0, keepdim=True)",
        "amax(X, dim=0, keepdim=True)",
        "prod(X, dim=0, keepdim=True)",
        "norm(X, dim=1)",
    ],
)
def test_numpys_names_of_dimensions(code):
    place = {"T": T, "X": X}
    wanted = eval("T." + code, place)
    numpys = code.replace("dim=", "axis=").replace("keepaxis", "keepdims")
    assert repr(eval("T." + numpys, place)) == repr(wanted)
    with pytest.raises(TypeError, match="mean the same"):
        eval("T." + code[:-1] + ", axis=0)", place)


def test_keywords_of_no_use_are_refused():
    for call in (
        lambda: T.clone(X, memory_format=None),
        lambda: T.zeros_like(X, memory_format=1),
        lambda: T.ones(2, pin_memory=True),
        lambda: T.zeros(2, layout=None),
        lambda: T.zeros(2).uniform_(lo=1),
        lambda: T.zeros(2).normal_(sigma=1),
        lambda: T.zeros(2).new_zeros(2, dytpe=1),
        lambda: T.rand(2, size=(3,)),
        lambda: T.zeros(),
        lambda: T.zeros(2, size=(3,)),
        lambda: T.normal(0.0, 1.0),
        lambda: T.normal(T.zeros(2), 1.0, (2,)),
        lambda: T.randint(3),
        lambda: T.randint(3, 5),
    ):
        with pytest.raises(TypeError):
            call()
    for call in (
        lambda: T.rand_like(X, device="cuda"),
        lambda: T.normal(0, 1, (2,), device="cuda"),
        lambda: X.new_tensor([1], device="cuda"),
    ):
        with pytest.raises(RuntimeError, match="device expects 'cpu'"):
            call()


def test_random_functions_take_pytorchs_forms():
    for shape in (
        T.randint(9, size=(2,)),
        T.randint(high=9, size=(2,)),
        T.randint(1, 9, (2,)),
        T.randint(low=1, high=9, size=(2,)),
        T.randint(9, (2,)),
        T.rand(size=(2,)),
        T.normal(0.0, 1.0, size=(2,)),
        T.bernoulli(T.zeros(2), 0.5),
    ):
        assert shape.shape == (2,)
    assert T.bernoulli(T.zeros(9), p=1.0).sum() == 9
    assert X.to(T.float64, False, True).dtype is T.float64
    assert X.to(T.float32, False, True) is not X and X.to(T.float32) is X


IN_PLACE = [
    "relu(x, inplace=True)",
    "leaky_relu(x, 0.2, True)",
    "elu(x, 0.5, True)",
    "celu(x, 0.5, True)",
    "selu(x, True)",
    "silu(x, True)",
    "mish(x, True)",
    "hardtanh(x, -0.5, 0.5, True)",
    "relu6(x, True)",
    "hardsigmoid(x, True)",
    "hardswish(x, True)",
    "threshold(x, 0.1, 3.0, True)",
]


@pytest.mark.parametrize("code", IN_PLACE)
def test_inplace_changes_the_tensor(code):
    numbers = [[1.0, -0.2, 0.3], [-1.0, -4.0, 7.0]]
    for view in ("w * 2", "(w * 2).T", "(w * 2)[1]"):
        grads = []
        for change in (True, False):
            w = T.tensor(numbers, requires_grad=True)
            x = eval(view, {"w": w})
            if change:
                out = eval("F." + code, {"F": F, "x": x})
                assert out is x
            else:
                x = eval("F." + code.replace("inplace=True", "False").replace("True", "False"), {"F": F, "x": x})
            (x * x * x).sum().backward()
            grads.append((x.tolist(), w.grad.tolist()))
        assert grads[0] == grads[1]
    with pytest.raises(RuntimeError, match="leaf"):
        eval("F." + code, {"F": F, "x": T.ones(2, requires_grad=True)})


@pytest.mark.parametrize(
    "layer",
    [
        nn.ReLU(True),
        nn.LeakyReLU(0.2, True),
        nn.ELU(0.5, True),
        nn.CELU(0.5, True),
        nn.SELU(True),
        nn.SiLU(True),
        nn.Mish(True),
        nn.Hardtanh(-0.5, 0.5, True),
        nn.ReLU6(True),
        nn.Hardsigmoid(True),
        nn.Hardswish(True),
        nn.Threshold(0.1, 3.0, True),
        nn.Dropout(1.0, True),
    ],
)
def test_inplace_layers_change_tensors_and_no_arrays(layer):
    w = T.tensor([1.0, -0.2, 0.3, -4.0], requires_grad=True)
    x = w * 2
    assert layer(x) is x and not T.equal(x.detach(), w.detach() * 2)
    x.sum().backward()
    assert w.grad is not None
    with pytest.raises(RuntimeError, match="leaf"):
        layer(T.ones(2, requires_grad=True))
    array = np.array([1.0, -0.2, 0.3, -4.0])
    layer(array)
    assert array.tolist() == [1.0, -0.2, 0.3, -4.0]


def test_an_index_to_ignore_is_refused_beside_probabilities():
    x, t = T.zeros(2, 3), T.full((2, 3), 1 / 3)
    for loss in (nn.CrossEntropyLoss(ignore_index=1), nn.CrossEntropyLoss(None, None, 0)):
        with pytest.raises(RuntimeError, match=r"ignore_index beside class indices only; got"):
            loss(x, t)
    assert nn.CrossEntropyLoss(ignore_index=-1)(x, t).item() == pytest.approx(1.0986123)


# --- flags ---------------------------------------------------------------------------------------


def fit(**flag):
    net = T.Sequential(T.Linear(2, 2), loss="softmax_cross_entropy")
    return net.fit(np.eye(2), [0, 1], epochs=1, optimizer=T.SGD(lr=0.1), **flag)


def stepped(**momentum):
    return T.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1, **momentum)


def one_cycle(**flag):
    return T.optim.lr_scheduler.OneCycleLR(stepped(momentum=0.9), 0.1, 10, **flag)


def booked(**flag):
    return book.Trainer(book.TwoLayerNet(2, 2, 2), np.eye(2), [0, 1], np.eye(2), [0, 1], **flag)


FLAGS = {
    "shuffle": fit,
    "progress": fit,
    "restore_best": T.EarlyStopping,
    "nesterov": stepped,
    "maximize": stepped,
    "cycle_momentum": one_cycle,
    "three_phase": one_cycle,
    "full": lambda **flag: T.gradient_check(T.Affine(np.eye(2), np.ones(2)), np.eye(2), **flag),
    "error_if_nonfinite": lambda **flag: nn.utils.clip_grad_norm_([], 1.0, **flag),
    "strict": lambda **flag: nn.Linear(2, 2).load_state_dict(nn.Linear(2, 2).state_dict(), **flag),
    "assign": lambda **flag: nn.Linear(2, 2).load_state_dict(nn.Linear(2, 2).state_dict(), **flag),
    "persistent": lambda **flag: nn.Module().register_buffer("name", T.zeros(1), **flag),
    "requires_grad": lambda **flag: nn.Linear(2, 2).requires_grad_(**flag),
    "bias": lambda **flag: (nn.Linear(2, 2, **flag), T.Linear(2, 2, **flag)),
    "elementwise_affine": lambda **flag: nn.LayerNorm(2, **flag),
    "freeze": lambda **flag: nn.Embedding.from_pretrained(T.ones(2, 2), **flag),
    "inplace": lambda **flag: (nn.ReLU(**flag), nn.ELU(**flag), nn.Dropout(0.5, **flag)),
    "log_target": nn.KLDivLoss,
    "one_hot_label": datasets.load_digits,
    "normalize": lambda **flag: datasets.load_mnist("nowhere", **flag),
    "use_dropout": lambda **flag: book.MultiLayerNetExtend(2, [2], 2, **flag),
    "use_batchnorm": lambda **flag: book.MultiLayerNetExtend(2, [2], 2, **flag),
    "verbose": booked,
    "train_flg": lambda **flag: T.Dropout(0.5).forward(np.eye(2), **flag),
    "drop_last": lambda **flag: T.utils.data.DataLoader([1, 2], **flag),
}


@pytest.mark.parametrize("value", ["False", "no", 2, 1.0, np.zeros(2)], ids=repr)
@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_true_or_false_and_no_text(name, value):
    with pytest.raises(TypeError, match=f"expects {name} as True or False; got"):
        FLAGS[name](**{name: value})


@pytest.mark.parametrize("value", [False, np.False_, 0], ids=repr)
@pytest.mark.parametrize("name", sorted(FLAGS.keys() - {"normalize", "progress", "verbose"}))
def test_a_flag_may_be_what_equals_one(name, value):
    FLAGS[name](**{name: value})


# --- flags ----------------------------------------------------------------------------------

#: What a call needs beside its flag.
GIVEN = {
    "gradient_check": (nn.Linear(1, 1), np.ones((1, 1))),
    "load": ("none",),
    "Linear": (1, 1),
    "Embedding": (1, 1),
    "AveragedModel": (nn.Linear(1, 1),),
    "Variable": (T.ones(1),),
    "tensor": (1.0,),
    "BatchNorm1d": (1,),
    "LayerNorm": (1,),
    "Threshold": (0.0, 1.0),
    "clip_grad_norm_": ([], 1.0),
    "get_total_norm": ([],),
    "DataLoader": ([1, 2],),
    "RandomSampler": ([1, 2],),
    "WeightedRandomSampler": ([1.0], 1),
    "OneCycleLR": (T.optim.SGD([T.ones(1, requires_grad=True)], lr=1.0), 1.0, 10),
    "ReduceLROnPlateau": (T.optim.SGD([T.ones(1, requires_grad=True)], lr=1.0),),
    "backward": (T.ones((), requires_grad=True).sum(),),
}
#: Flags that may be None.
OR_NONE = ("foreach", "fused", "size_average", "reduce", "retain_graph", "unbiased", "allow_unused")


def flags():
    found = []
    for name, thing, first in callables():
        try:
            parameters = inspect.signature(thing).parameters.values()
        except (TypeError, ValueError):
            continue
        first = first or GIVEN.get(name.rpartition(".")[2], ())
        found += [
            (f"{name} {each.name}", thing, first, each.name)
            for each in parameters
            if isinstance(each.default, bool) or each.name in OR_NONE
        ]
    return found


@pytest.mark.parametrize(("name", "thing", "first", "flag"), flags(), ids=lambda v: v if isinstance(v, str) else "")
def test_a_flag_is_true_or_false(name, thing, first, flag):
    if flag in OR_NONE and "nn." in name and "clip" not in name:
        function = name.split()[0].rpartition(".")[2]
        three = function in ("cosine_embedding_loss", "margin_ranking_loss", "triplet_margin_loss")
        first = first or (T.ones(2),) * (2 + three) * function.islower()
    if flag in ("retain_graph", "allow_unused", "unbiased") and not first:
        first = (T.ones((), requires_grad=True).sum(), T.ones(1))[: 2 if "grad " in name else 1]
    if flag == "foreach" and "clip" in name:
        first = ([], 1.0, 1.0)[: 3 if "with_norm" in name else 2]
    for bad in ("no", [], np.array([1, 2]), 2):
        with pytest.raises(TypeError, match=f"expects {flag} as True") as caught:
            thing(*first, **{flag: bad})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("yes", [True, np.True_, 1])
def test_truths_of_numpy_are_such(yes):
    assert X.sum(1, keepdim=yes).shape == (2, 1) == X.sum(1, yes).shape == X.sum(1, keepdims=yes).shape
    assert X.max(1, yes).values.shape == (2, 1) and X.std(1, yes, yes).shape == (2, 1)
    assert T.zeros(2, requires_grad=yes).requires_grad and nn.Parameter(T.ones(1), yes).requires_grad
    with T.set_grad_enabled(yes):
        assert T.is_grad_enabled()
    with T.inference_mode(np.False_):
        assert T.is_grad_enabled()
