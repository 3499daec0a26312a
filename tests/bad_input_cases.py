"""What users hand in wrongly: the one list behind `docs/bad-input.md` and `test_bad_input.py`.

A call is text, evaluated among `things()`, which are made anew for every call.
``python tests/bad_input_cases.py`` prints the calls and what they say, as the page has them.
"""
# ruff: noqa: C408, E501, RUF005, SIM905  (a table)

import dataclasses
import importlib
import importlib.util
import inspect
import os
import re
import tempfile
import types
import warnings

import numpy as np

import fastbp
from fastbp import _kernels as kernels
from fastbp import book, datasets, export, graph, init, losses, nn, optim, plots, scores, tables
from fastbp.layers import activations
from fastbp.nn import functional as F
from fastbp.optim import lr_scheduler, swa_utils
from fastbp.optim.rule import OPTIMIZERS
from fastbp.utils import data


@dataclasses.dataclass(frozen=True)
class Entry:
    """One public entry point: a call that works, and calls that do not, with their errors."""

    name: str
    good: str
    bad: tuple


def entry(name, good, **bad):
    """An entry whose bad calls are given by their errors: ``ValueError="f(1) | f(2)"``."""
    calls = []
    for error, texts in bad.items():
        texts = [texts] if isinstance(texts, str) else texts
        calls += [(call.strip(), error) for text in texts for call in text.split(" | ")]
    return Entry(name, good, tuple(calls))


def filled(template, values):
    """The template with each of the values in the place of its braces."""
    return [template.replace("{}", value) for value in values]


# --- the things that the calls name ----------------------------------------------------------

TEMPORARY = tempfile.TemporaryDirectory()

X = np.arange(20.0).reshape(5, 4) / 10
LABELS = np.array([0, 1, 2, 2, 0])
ONE_HOT = np.eye(4)[LABELS]
W, B = np.arange(12.0).reshape(4, 3) / 9, np.ones(3)
OF_X = np.arange(12, dtype="f4").reshape(3, 4) / 5


def _affine():
    layer = fastbp.Affine(W.copy(), B.copy())
    layer.forward(X)
    layer.backward(np.ones((5, 3)))
    return layer


def _net():
    net = fastbp.Sequential(fastbp.Affine(W.copy(), B.copy()), fastbp.Sigmoid(), loss=fastbp.SoftmaxWithLoss())
    net.gradient(X, LABELS)
    return net


def _norm_net():
    norm = fastbp.BatchNormalization(np.ones(3), np.zeros(3))
    return fastbp.Sequential(fastbp.Affine(W.copy(), B.copy()), norm, loss=fastbp.SoftmaxWithLoss())


def _table_model():
    return fastbp.TableModel(epochs=1, hidden=(3,)).fit(_a_table(), "kind")


def _a_table():
    return {"a": np.arange(12.0) ** 2, "kind": np.array(["p", "q"] * 6)}


def _table_file():
    path = os.path.join(TEMPORARY.name, "it.csv")
    with open(path, "w", encoding="utf-8") as file:
        file.write("a,b\n1,x\n2,y\n4,x\n")
    return path


def _frozen():
    array = W.copy()
    array.flags.writeable = False
    return array


def _model():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3))
    model(fastbp.tensor(OF_X)).sum().backward()
    fastbp.summary(model, (5, 4), verbose=0)
    return model


def _linear():
    linear = nn.Linear(4, 3)
    linear(fastbp.tensor(OF_X))  # makes the tensors
    return linear


def _mul_layer():
    layer = fastbp.MulLayer()
    layer.forward(2, 3)
    return layer


def _sgd(model):
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    sgd.step()
    return sgd


def _trained(make, x=X):
    layer = make()
    layer.forward(x)
    layer.backward(x)
    return layer


#: The losses over pairs of elements, by name.
ELEMENTWISE = {
    name: loss
    for name, loss in losses.LOSSES.items()
    if name not in ("softmax_cross_entropy", "sigmoid_cross_entropy", "gaussian")
}
#: What they take: an array, and what it is called in calls.
TARGETS = {
    "signs": (2 * ONE_HOT - 1, "SIGNS"),
    **dict.fromkeys(("numbers", "bits", "rates", "shares"), (ONE_HOT, "one_hot")),
}


def _judged(kind, x, t):
    loss = kind()
    loss.forward(x, t)
    loss.backward()
    return loss


ACTIVATIONS = (
    fastbp.Relu,
    fastbp.Sigmoid,
    fastbp.Tanh,
    fastbp.Identity,
    fastbp.Flatten,
    fastbp.LeakyRelu,
    fastbp.Softplus,
    fastbp.Gelu,
)
#: Name: what makes it.
THINGS = {
    "X": X.copy,
    "W": W.copy,
    "b": B.copy,
    "labels": LABELS.copy,
    "one_hot": ONE_HOT.copy,
    "dout": lambda: np.ones((5, 3)),
    "frozen": _frozen,
    "memory": lambda: np.arange(17.0),
    "ragged": lambda: [[1.0, 2.0, 3.0, 4.0], [1.0]],
    "folder": lambda: TEMPORARY.name,
    "a": lambda: np.arange(8.0),
    "out": lambda: np.zeros(8),
    "t": lambda: np.array([0, 3]),
    "A": lambda: np.arange(8.0).reshape(2, 4),
    "OUT": lambda: np.zeros((2, 4)),
    "affine": _affine,
    "net": _net,
    "columns": lambda: export.Preprocessing([export.Feature(place) for place in range(X.shape[1])]),
    "norm_net": _norm_net,
    "mul_layer": _mul_layer,
    "regression": lambda: fastbp.Sequential(fastbp.Affine(W.copy(), B.copy()), loss=fastbp.MeanSquaredError()),
    **{f"{kind.__name__}_": lambda kind=kind: _trained(kind) for kind in ACTIVATIONS},
    "norm": lambda: _trained(lambda: fastbp.BatchNormalization(np.ones(4), np.zeros(4))),
    "rows_of_codes": lambda: fastbp.Embeddings([3, 2], 2, numeric=1, seed=0),
    "dropout": lambda: _trained(lambda: fastbp.Dropout(0.5, seed=0)),
    "softmax_loss": lambda: _judged(fastbp.SoftmaxWithLoss, X, LABELS),
    "sigmoid_loss": lambda: _judged(fastbp.SigmoidWithLoss, X / 2, ONE_HOT),
    **{name: lambda loss=loss: _judged(loss, X, TARGETS[loss.row.targets][0]) for name, loss in ELEMENTWISE.items()},
    "SIGNS": lambda: 2 * ONE_HOT - 1,
    "table_model": _table_model,
    "preprocessor": lambda: fastbp.tables.Preprocessor().fit(_a_table(), "kind"),
    "TABLE_FILE": _table_file,
    "TABLE": _a_table,
    "P": lambda: np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]]),
    "trainer": lambda: fastbp.Trainer(_net(), optim.SGD(lr=0.1), batch_size=5, clip_norm=9.0),
    "rule": lambda: optim.SGD(lr=0.1),
    "params": lambda: {"W1": W.copy(), "b1": B.copy()},
    "grads": lambda: {"W1": W.copy(), "b1": B.copy()},
    "step_lr": lambda: lr_scheduler.StepLR(optim.SGD(lr=0.1), 2),
    "plateau": lambda: lr_scheduler.ReduceLROnPlateau(optim.SGD(lr=0.1)),
    "chained": lambda: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(optim.SGD(lr=0.1), 2)]),
    "x": lambda: fastbp.tensor(OF_X),
    "classes": lambda: fastbp.tensor([0, 2, 1]),
    "probabilities": lambda: fastbp.tensor([[0.1, 0.2, 0.7, 0.0]] * 3),
    "rows": lambda: data.TensorDataset(fastbp.tensor(OF_X), fastbp.tensor([0, 2, 1])),
    "leaf": lambda: fastbp.tensor(OF_X, requires_grad=True),
    "linear": _linear,
    "modules": lambda: nn.ModuleDict(),
    "embedding": lambda: nn.Embedding(5, 3),
    "model": _model,
    "classifier": lambda: _estimator("MLPClassifier", LABELS),
    "regressor": lambda: _estimator("MLPRegressor", X),
    "picture": lambda: graph.draw(nn.Parameter(fastbp.ones(2)).sum()),
    "seen": lambda: _seen(),
}


def _seen():
    seen = plots.Snapshots(X)
    seen(nn.Linear(4, 3))
    return seen


def _estimator(kind, t):
    from fastbp import estimators

    model = getattr(estimators, kind)(hidden_layer_sizes=(3,), max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two epochs are not enough
        return model.fit(X, t)


def things(*calls):
    """The objects that the calls name, made anew, under their names."""
    fastbp.manual_seed(0)
    wanted = {word for call in calls for word in re.findall(r"[A-Za-z_]\w*", call)}
    made = {name: make() for name, make in THINGS.items() if name in wanted}
    if "sgd" in wanted:
        made.setdefault("model", _model())
        made["sgd"] = _sgd(made["model"])
    return made


def names():
    """Modules and functions that the calls name; nothing here is changed by a call."""
    if HAS_SKLEARN:
        importlib.import_module("fastbp.estimators")
    return {
        "estimators": getattr(fastbp, "estimators", None),
        **vars(fastbp.layers),
        "np": np,
        "fastbp": fastbp,
        "nn": nn,
        "F": F,
        "optim": optim,
        "data": data,
        "datasets": datasets,
        "tables": tables,
        "book": book,
        "types": types,
        "graph": graph,
        "plots": plots,
        "export": export,
        "scores": scores,
        "init": init,
        "kernels": kernels,
        "lr_scheduler": lr_scheduler,
        "swa_utils": swa_utils,
        "Sequential": fastbp.Sequential,
        "Trainer": fastbp.Trainer,
        "EarlyStopping": fastbp.EarlyStopping,
        "StepDecay": fastbp.StepDecay,
        "CosineDecay": fastbp.CosineDecay,
        "WarmUp": fastbp.WarmUp,
        "InverseScaling": fastbp.InverseScaling,
        "column": lambda t: np.reshape(t, (-1, 1)),
        "replaced": _replaced,
        "broken_csr": _broken_csr,
    }


def _broken_csr():
    """A sparse matrix with an index far beyond its columns."""
    from scipy import sparse

    matrix = sparse.csr_matrix(np.ones((4, 4)))
    matrix.indices[3] = 2**31 - 1
    return matrix


def _replaced(array, at, value):
    """A copy with another value at a place."""
    array = np.array(array)
    array[at] = value
    return array


# --- the table ------------------------------------------------------------------------------

NO_NUMBERS = (
    "None",
    "X.astype(object)",
    "[object()]",
    "np.full((5, 4), '1')",
    "np.full((5, 4), b'1')",
    "'images'",
    "X + 0j",
    "np.zeros((5, 4), 'M8[s]')",
    "np.zeros(5, [('a', 'f8')])",
    "{'x': 1}",
)
NO_ARRAYS = ("ragged", "np.ma.masked_array(X, X > 1)")
NO_DOUT = ("np.ones((5, 3))", "np.ones((4, 5))", "np.ones(20)", "1.0", "np.ones((1, 4))")


def of_arrays(name, good, template, TypeError=(), ValueError=(), **bad):
    """An entry that takes an array at the template's braces."""
    return entry(
        name,
        good,
        TypeError=[*filled(template, NO_NUMBERS), *TypeError],
        ValueError=[*filled(template, NO_ARRAYS), *ValueError],
        **bad,
    )


LAYERS = [
    entry(
        "Affine",
        "Affine(W, b).forward(X)",
        TypeError="Affine(None, b) | Affine(W, None) | Affine(W.astype(int), b) | "
        "Affine([[1, 2]], np.ones(2)) | Affine(W, b.astype(int)) | Affine(W.astype('f2'), b) | Affine(W + 0j, b) | Affine(W.astype(object), b) | "
        "Affine(W > 0, b) | Affine('W', b)",
        ValueError="Affine([[1.0, 2.0], [1.0]], b) | Affine(np.ones(3), b) | "
        "Affine(np.ones((2, 2, 3)), b) | Affine(np.ones((0, 3)), b) | "
        "Affine(np.ones((4, 0)), np.ones(0)) | Affine(W, np.ones(2)) | Affine(W, np.ones(4)) | "
        "Affine(W, np.ones((1, 3))) | Affine(np.ones((4, 1)), 1.0)",
    ),
    entry(
        "Affine.W",
        "affine.__setattr__('W', W)",
        ValueError="affine.__setattr__('W', np.ones((3, 3))) | affine.__setattr__('b', np.ones(4))",
        TypeError="affine.__setattr__('W', W.astype(int)) | affine.__setattr__('W', None)",
    ),
    of_arrays(
        "Affine.forward",
        "affine.forward(X)",
        "affine.forward({})",
        ValueError=[
            "affine.forward(X[:, :3])",
            "affine.forward(np.ones((5, 5)))",
            "affine.forward(X.T)",
            "affine.forward(np.ones(5))",
            "affine.forward(3.0)",
            "affine.forward(np.ones((5, 0)))",
            "affine.forward([])",
            "affine.forward(np.ones((5, 2, 3)))",
            "affine.forward(np.ones((0, 2, 3)))",
            "Linear(1, 2, seed=0).forward(X)",
            "Linear(4, 2, seed=0).forward(np.full((5, 4), 1e300))",
        ],
    ),
    of_arrays("Affine.evaluate", "affine.evaluate(X)", "affine.evaluate({})"),
    of_arrays(
        "Affine.backward",
        "affine.backward(dout)",
        "affine.backward({})",
        ValueError=filled(
            "affine.backward({})",
            [
                "np.ones((5, 4))",
                "np.ones((4, 3))",
                "np.ones(3)",
                "np.ones(15)",
                "np.ones((5, 3, 1))",
                "1.0",
                "np.ones((1, 3))",
                "np.ones((5, 1))",
                "np.ones((0, 3))",
            ],
        ),
        RuntimeError="Affine(W, b).backward(dout)",
    ),
    entry(
        "Linear",
        "Linear(4, 3, seed=0)",
        ValueError="Linear(0, 3) | Linear(3, 0) | Linear(-1, 3) | Linear(2**62, 4) | "
        "Linear(2**70, 4) | Linear(4, 3, init='hee') | Linear(4, 3, init=-0.1) | "
        "Linear(4, 3, init=np.nan) | Linear(4, 3, init=10**400) | Linear(4, 3, dtype=int) | "
        "Linear(4, 3, dtype='float16') | Linear(4, 3, dtype='flt') | "
        "Linear(4, 3, dtype=None) | Linear(4, 3, seed=-1) | Linear(4, 3, seed=2**70)",
        TypeError="Linear(2.5, 3) | Linear(None, 3) | Linear('64', 3) | Linear(True, 3) | "
        "Linear(4, 3, init=None) | Linear(4, 3, init=True) | Linear(4, 3, seed='a') | "
        "Linear(4, 3, seed=1.5) | Linear(4, 3, seed=X)",
    ),
    entry(
        "init.weights",
        "init.weights(4, 3, 'he', seed=0)",
        ValueError="init.weights(4, 3, 'hee') | init.weights(0, 3) | init.weights(4, -3)",
        TypeError="init.weights(None, 3) | init.weights(4, 2.5)",
    ),
    *(
        of_arrays(
            f"{k}.forward",
            f"{k}_.forward(X)",
            f"{k}_.forward({{}})",
            ValueError=["Flatten_.forward(1.0)"] if k == "Flatten" else (),
        )
        for k in (kind.__name__ for kind in ACTIVATIONS)
    ),
    *(
        of_arrays(
            f"{k}.backward",
            f"{k}_.backward(X)",
            f"{k}_.backward({{}})",
            ValueError=filled(f"{k}_.backward({{}})", NO_DOUT),
            RuntimeError=f"{k}().backward(X)",
        )
        for k in (kind.__name__ for kind in ACTIVATIONS)
    ),
    entry(
        "LeakyRelu",
        "LeakyRelu(0.01)",
        TypeError="LeakyRelu('a') | LeakyRelu(None)",
        ValueError="LeakyRelu(np.nan) | LeakyRelu(10**400)",
    ),
    entry("AddLayer.forward", "AddLayer().forward(1, 2)", TypeError="AddLayer().forward('a', 1)"),
    entry("AddLayer.backward", "AddLayer().backward(1)", TypeError="AddLayer().backward(None)"),
    entry("MulLayer.forward", "MulLayer().forward(1, 2)", TypeError="MulLayer().forward(None, 1)"),
    entry(
        "MulLayer.backward",
        "mul_layer.backward(1)",
        RuntimeError="MulLayer().backward(1)",
        TypeError="mul_layer.backward('a')",
    ),
    entry(
        "Dropout",
        "Dropout(0.5, seed=0)",
        ValueError="Dropout(1.0) | Dropout(-0.1) | Dropout(np.nan) | Dropout(seed=-1) | Dropout(seed=2**70)",
        TypeError="Dropout('a') | Dropout(None) | Dropout(seed='a')",
    ),
    entry(
        "Embeddings",
        "rows_of_codes.forward([[2, 1, 0.5], [0, 0, 7.0]])",
        ValueError="Embeddings([], 2) | Embeddings([0], 2) | Embeddings([3], 0) | Embeddings([3, 4], [2]) | "
        "Embeddings([2**40] * 3, 2**40) | Embeddings([3], 2, -1) | Embeddings([3], 2, init=-1) | "
        "Embeddings([3], 2, dtype=int) | Embeddings([3], 2, seed=-1) | rows_of_codes.forward([[3, 1, 0.5]]) | "
        "rows_of_codes.forward([[-1, 1, 0.5]]) | rows_of_codes.forward([[0, 0.5, 0.5]]) | rows_of_codes.forward([[np.nan, 1, 0.5]]) | "
        "rows_of_codes.forward([[1, 1]])",
        TypeError="Embeddings(3, 2) | Embeddings('ab', 2) | Embeddings([3], 'a') | Embeddings([3], None) | "
        "Embeddings([3.5], 2) | rows_of_codes.forward(None) | rows_of_codes.forward('a')",
        RuntimeError="rows_of_codes.backward(dout)",
    ),
    of_arrays(
        "Dropout.forward",
        "dropout.evaluate(X)",
        "dropout.forward({})",
        TypeError=["dropout.forward(X, 'no')", "dropout.forward(fastbp.tensor(X), True)"],
    ),
    entry(
        "BatchNormalization",
        "BatchNormalization(np.ones(4), np.zeros(4))",
        ValueError="BatchNormalization(np.ones(4), np.zeros(3)) | "
        "BatchNormalization(np.ones((2, 2)), np.zeros(4)) | "
        "BatchNormalization(np.ones(4), np.zeros(4), momentum=1.5) | "
        "BatchNormalization(np.ones(4), np.zeros(4), running_mean=np.zeros(3))",
        TypeError="BatchNormalization(None, np.zeros(4)) | "
        "BatchNormalization(np.ones(4, int), np.zeros(4)) | "
        "BatchNormalization(np.ones(4), np.zeros(4), momentum='a')",
    ),
    of_arrays(
        "BatchNormalization.forward",
        "norm.forward(X)",
        "norm.forward({})",
        ValueError=["norm.forward(X[:, :3])", "norm.forward(X[0, :3])"],
        TypeError=["norm.forward(X, train_flg='no')", "norm.forward(X, train_flg='train')"],
    ),
    entry(
        "BatchNorm1d.forward",
        "BatchNorm1d(4).forward(X)",
        ValueError="BatchNorm1d(4).forward(X[:1]) | BatchNorm1d(4).forward(X[:, :, np.newaxis])",
    ),
    entry(
        "BatchNorm1d",
        "BatchNorm1d(4)",
        ValueError="BatchNorm1d(0) | BatchNorm1d(4, eps=-1) | BatchNorm1d(4, momentum=2) | "
        "BatchNorm1d(4, dtype='float16')",
        TypeError="BatchNorm1d(None) | BatchNorm1d(1.5)",
    ),
]

# Targets of five rows: what every softmax loss refuses.
CLASSES = dict(
    ValueError=[
        "replaced(labels, 2, -1)",
        "replaced(labels, 4, 4)",
        "replaced(labels, 1, 255).astype('u1')",
        "np.full(5, 2**64 - 1, 'u8')",
        "column(labels)",
        "labels[np.newaxis]",
        "labels[:4]",
        "1",
        "np.eye(5)",
        "one_hot[:3]",
        "np.zeros((5, 4))",
        "2 * one_hot",
        "replaced(one_hot, 3, 0.2)",
        "replaced(one_hot, (1, 2), np.nan)",
        "replaced(one_hot, (1, 2), np.inf)",
        "replaced(one_hot, 1, [2, -1, 0, 0])",
        "X",
    ],
    TypeError=[
        "labels.astype(float)",
        "np.full(5, np.nan)",
        "labels + 0.5",
        "np.array(list('abbac'))",
        "labels.astype(object)",
    ],
)
NO_SCALE = ("None", "'1'", "np.ones(5)", "1j", "True")


def of_targets(name, good, template, t):
    """Bad x and bad t of an element-wise loss."""
    return [
        of_arrays(f"{name}: x", good, template.replace("T", t)),
        of_arrays(
            f"{name}: t",
            good,
            template.replace("{}", "X").replace("T", "{}"),
            ValueError=[
                template.replace("{}", x).replace("T", t)
                for x, t in [
                    ("np.ones((5, 1))", "np.ones(4)"),
                    ("np.ones(5)", "np.ones((5, 1))"),
                    ("np.ones(5)", "1.0"),
                    ("X", "np.ones((5, 1))"),
                    ("X", "np.ones((1, 4))"),
                    ("X", "np.ones((4, 5))"),
                    ("X", "np.ones(4)"),
                ]
            ],
        ),
    ]


LOSSES = [
    of_arrays(
        "SoftmaxWithLoss.forward: x",
        "softmax_loss.forward(X, labels)",
        "softmax_loss.forward({}, labels)",
        ValueError=[
            "softmax_loss.forward(1.0, 0)",
            "softmax_loss.forward(X[0], [0, 1])",
            "softmax_loss.forward(np.ones((2, 3, 4)), [0, 1])",
            "softmax_loss.forward(np.ones((5, 0)), labels)",
        ],
    ),
    of_arrays(
        "SoftmaxWithLoss.forward: t",
        "softmax_loss.forward(X, labels)",
        "softmax_loss.forward(X, {})",
        ValueError=filled("softmax_loss.forward(X, {})", CLASSES["ValueError"]),
        TypeError=filled("softmax_loss.forward(X, {})", CLASSES["TypeError"]),
    ),
    entry(
        "SoftmaxWithLoss.backward",
        "softmax_loss.backward()",
        TypeError=filled("softmax_loss.backward({})", NO_SCALE),
        ValueError="softmax_loss.backward(np.nan) | softmax_loss.backward(10**400)",
        RuntimeError="SoftmaxWithLoss().backward()",
    ),
    entry(
        "SoftmaxWithLoss.accuracy",
        "softmax_loss.accuracy(X, labels)",
        ValueError="softmax_loss.accuracy(X, labels + 9) | softmax_loss.accuracy(X, [0])",
    ),
    entry(
        "SoftmaxWithLoss.evaluate",
        "softmax_loss.evaluate(X, labels)",
        ValueError="softmax_loss.evaluate(X, labels + 9)",
    ),
    entry(
        "SoftmaxWithLoss.probabilities", "softmax_loss.probabilities(X)", TypeError="softmax_loss.probabilities('a')"
    ),
    *of_targets(
        "SigmoidWithLoss.forward", "sigmoid_loss.forward(X, one_hot)", "sigmoid_loss.forward({}, T)", "one_hot"
    ),
    entry(
        "SigmoidWithLoss: targets",
        "sigmoid_loss.forward(X, one_hot)",
        ValueError="sigmoid_loss.forward(np.ones(2), [0, 1.5]) | "
        "sigmoid_loss.forward(np.ones(2), [-1, 1]) | "
        "sigmoid_loss.forward(np.ones(2), [np.nan, 1])",
    ),
    entry(
        "SigmoidWithLoss.backward",
        "sigmoid_loss.backward()",
        RuntimeError="SigmoidWithLoss().backward()",
        TypeError="sigmoid_loss.backward('a')",
    ),
    entry(
        "SigmoidWithLoss.accuracy",
        "sigmoid_loss.accuracy(X, one_hot)",
        ValueError="sigmoid_loss.accuracy(X, one_hot[:3])",
    ),
    entry(
        "SigmoidWithLoss.evaluate",
        "sigmoid_loss.evaluate(X, one_hot)",
        ValueError="sigmoid_loss.evaluate(X, one_hot + 9)",
    ),
    *(
        e
        for o, kind, t in ((o, loss.__name__, TARGETS[loss.row.targets][1]) for o, loss in ELEMENTWISE.items())
        for e in (
            *of_targets(f"{kind}.forward", f"{o}.forward(X, {t})", f"{o}.forward({{}}, T)", t),
            entry(f"{kind}.evaluate", f"{o}.evaluate(X, {t})", TypeError=f"{o}.evaluate(X, None)"),
            entry(
                f"{kind}.backward",
                f"{o}.backward()",
                RuntimeError=f"{kind}().backward()",
                TypeError=f"{o}.backward('a')",
            ),
        )
    ),
    entry("HingeLoss.forward: t", "hinge.forward(X, SIGNS)", ValueError="hinge.forward(X, one_hot)"),
    entry("FocalLoss.forward: t", "focal.forward(X, one_hot)", ValueError="focal.forward(X, one_hot / 2)"),
    entry("FocalLoss", "FocalLoss(2.0)", ValueError="FocalLoss(-1)", TypeError="FocalLoss('a')"),
    entry("FocalLoss.accuracy", "focal.accuracy(X, one_hot)", ValueError="focal.accuracy(X, one_hot[:3])"),
    entry(
        "SoftmaxWithLoss",
        "SoftmaxWithLoss(0.1)",
        ValueError="SoftmaxWithLoss(-0.1) | SoftmaxWithLoss(label_smoothing=1.1)",
        TypeError="SoftmaxWithLoss('a')",
    ),
    entry("PoissonLoss.forward: t", "poisson.forward(X, one_hot)", ValueError="poisson.forward(X, -one_hot)"),
    entry(
        "QuantileLoss",
        "QuantileLoss(0.9)",
        ValueError="QuantileLoss(-0.1) | QuantileLoss(1.1)",
        TypeError="QuantileLoss('a')",
    ),
    entry(
        "QuantileLoss: several",
        "losses.QuantileLoss(quantiles=(0.1, 0.9)).forward(np.ones((2, 2)), [1.0, 2.0])",
        ValueError="losses.QuantileLoss(quantiles=(0.9, 0.1)) | losses.QuantileLoss([]) | "
        "losses.QuantileLoss((0.1, 0.9)).forward(np.ones((2, 3)), [1.0, 2.0]) | "
        "losses.QuantileLoss((0.1, 0.9)).forward(np.ones((2, 4)), [1.0, 2.0])",
        TypeError="losses.QuantileLoss(['a', 'b']) | losses.QuantileLoss(0.1, quantiles=(0.1, 0.9))",
    ),
    entry(
        "GaussianLoss",
        "losses.GaussianLoss().forward(np.ones((2, 2)), [1.0, 2.0])",
        ValueError="losses.GaussianLoss(0) | losses.GaussianLoss().forward(np.ones((2, 3)), [1.0, 2.0]) | "
        "losses.GaussianLoss().forward(np.ones((2, 2)), [1.0]) | losses.GaussianLoss().forward(np.ones(()), 1.0)",
        TypeError="losses.GaussianLoss('a') | losses.GaussianLoss().forward(np.ones((2, 2)), None) | "
        "losses.GaussianLoss().forward(None, [1.0])",
        RuntimeError="losses.GaussianLoss().backward()",
    ),
    entry(
        "output_weights",
        "losses.MeanSquaredError(output_weights=(1, 2)).forward(np.ones((2, 2)), np.ones((2, 2)))",
        ValueError="losses.MeanSquaredError(output_weights=(0, 0)) | losses.MeanSquaredError(output_weights=(1, -1)) | "
        "losses.MeanSquaredError(output_weights=[]) | losses.MeanSquaredError(output_weights=(1, np.inf)) | "
        "losses.MeanSquaredError(output_weights=(1, 2, 3)).forward(np.ones((2, 2)), np.ones((2, 2)))",
        TypeError="losses.MeanSquaredError(output_weights=1) | losses.MeanSquaredError(output_weights=('a', 'b'))",
    ),
    entry(
        "MultiTaskLoss",
        "losses.MultiTaskLoss([('softmax_cross_entropy', 2), ('squared_error', 1)]).forward(np.ones((2, 3)), ([0, 1], [1.0, 2.0]))",
        ValueError="losses.MultiTaskLoss([]) | losses.MultiTaskLoss([('squared_error', 0)]) | "
        "losses.MultiTaskLoss([('other', 1)]) | losses.MultiTaskLoss([('squared_error',)]) | "
        "losses.MultiTaskLoss([('squared_error', 1)], weights=(1, 2)) | "
        "losses.MultiTaskLoss([('squared_error', 1)], weights=(0,)) | "
        "losses.MultiTaskLoss([('squared_error', 1)] * 2).forward(np.ones((2, 3)), np.ones((2, 2))) | "
        "losses.MultiTaskLoss([('squared_error', 1)] * 2).forward(np.ones((2, 2)), ([1.0, 2.0],)) | "
        "losses.MultiTaskLoss([('squared_error', 1)] * 2).forward(np.ones((2, 2)), ([1.0, 2.0], [1.0])) | "
        "losses.MultiTaskLoss([('softmax_cross_entropy', 2), ('squared_error', 1)]).forward(np.ones((2, 3)), np.ones((2, 2)) / 2)",
        TypeError="losses.MultiTaskLoss(3) | losses.MultiTaskLoss([3]) | losses.MultiTaskLoss([(3, 1)]) | "
        "losses.MultiTaskLoss([('squared_error', 1.5)]) | losses.MultiTaskLoss([('squared_error', 1)], weights=('a',)) | "
        "losses.MultiTaskLoss([('squared_error', 1)] * 2).forward(np.ones((2, 2)), None)",
        RuntimeError="losses.MultiTaskLoss([('squared_error', 1)]).backward()",
    ),
    *(
        entry(
            name,
            f"losses.{name}(output_weights=[1, 2])",
            ValueError=f"losses.{name}(output_weights=[-1, 2])",
            TypeError=f"losses.{name}(output_weights='a') | losses.{name}(output_weights=3)",
        )
        for name in ("MeanSquaredError", "MeanAbsoluteError", "LogCoshLoss", "PoissonLoss", "HingeLoss")
    ),
    entry(
        "MultiTaskLoss.split",
        "losses.MultiTaskLoss([('squared_error', 1)] * 2).split(np.ones((2, 2)))",
        ValueError="losses.MultiTaskLoss([('squared_error', 1)] * 2).split(np.ones((2, 3)))",
        TypeError="losses.MultiTaskLoss([('squared_error', 1)] * 2).split(None)",
    ),
    entry(
        "MultiTaskLoss.each",
        "losses.MultiTaskLoss([('squared_error', 1)] * 2).each(np.ones((2, 2)), np.ones((2, 2)))",
        ValueError="losses.MultiTaskLoss([('squared_error', 1)] * 2).each(np.ones((2, 3)), np.ones((2, 2)))",
        TypeError="losses.MultiTaskLoss([('squared_error', 1)] * 2).each(None, np.ones((2, 2)))",
    ),
    entry("HuberLoss", "HuberLoss(1.0)", ValueError="HuberLoss(-1) | HuberLoss(np.nan)", TypeError="HuberLoss('a')"),
    of_arrays(
        "softmax",
        "softmax(X)",
        "softmax({})",
        ValueError=["softmax(np.ones((2, 2, 2)))", "softmax(1.0)", "softmax(np.ones((2, 0)))"],
    ),
    of_arrays(
        "cross_entropy_error: y",
        "cross_entropy_error(one_hot, labels)",
        "cross_entropy_error({}, labels)",
        ValueError=["cross_entropy_error(np.ones((2, 2, 2)), [0, 1])"],
    ),
    of_arrays(
        "cross_entropy_error: t",
        "cross_entropy_error(one_hot, labels)",
        "cross_entropy_error(one_hot, {})",
        ValueError=["cross_entropy_error(one_hot, labels + 9)", "cross_entropy_error(one_hot, column(labels))"],
    ),
]

FIT = "net.fit(X, labels, epochs=1, optimizer=rule, seed=0, {})"
NETWORKS = [
    of_arrays(
        "Sequential.predict",
        "net.predict(X)",
        "net.predict({})",
        ValueError=["net.predict(X[:, :3])", "net.predict([])", "net.predict(broken_csr())"],
    ),
    of_arrays("Sequential.forward", "net.forward(X)", "net.forward({})"),
    of_arrays(
        "Sequential.predict_proba",
        "net.predict_proba(X)",
        "net.predict_proba({})",
        ValueError=["Sequential(Relu()).predict_proba(X)"],
    ),
    entry(
        "lr_finder",
        "fastbp.lr_finder(net, X, labels, rule, n_steps=30, batch_size=2)",
        TypeError="fastbp.lr_finder(None, X, labels) | fastbp.lr_finder(net, X, labels, 3) | fastbp.lr_finder(net, X, labels, lr_min='a')",
        ValueError="fastbp.lr_finder(net, X, labels, 'adm') | fastbp.lr_finder(net, X, labels, lr_min=0) | "
        "fastbp.lr_finder(net, X, labels, lr_min=2, lr_max=1) | fastbp.lr_finder(net, X, labels, n_steps=1) | "
        "fastbp.lr_finder(net, X[:0], labels[:0]) | fastbp.lr_finder(net, X[:, :3], labels) | fastbp.lr_finder(net, X, labels + 1)",
    ),
    entry(
        "diagnose",
        "fastbp.diagnose(net, X, labels, optimizer=rule, history=[1.0, 0.5], batch_size=2)",
        TypeError="fastbp.diagnose(None, X, labels) | fastbp.diagnose(Sequential, X, labels) | fastbp.diagnose(net, None) | "
        "fastbp.diagnose(net, X, labels, 5) | fastbp.diagnose(net, X, labels, optimizer=3) | "
        "fastbp.diagnose(net, X, labels, history='a') | fastbp.diagnose(net, X, labels, params=3) | "
        "fastbp.diagnose(net, X, labels, params=[3])",
        ValueError="fastbp.diagnose(net, X, labels, 'square') | fastbp.diagnose(net, X[:0], labels[:0]) | "
        "fastbp.diagnose(net, X, labels[:2]) | fastbp.diagnose(net, X[:, :3], labels) | "
        "fastbp.diagnose(net, X, labels, batch_size=0) | fastbp.diagnose(net, X, labels, history=[[1.0]])",
    ),
    entry(
        "Sequential.diagnose",
        "net.diagnose(X, labels)",
        TypeError="net.diagnose('a', labels) | net.diagnose(X, [None] * 5) | net.diagnose(X, labels, optimizer='adam')",
        ValueError="net.diagnose(X[:, :3], labels) | net.diagnose(X[:0]) | net.diagnose(X, labels[:2])",
    ),
    of_arrays(
        "Sequential.classify", "net.classify(X)", "net.classify({})", ValueError=["Sequential(Relu()).classify(X)"]
    ),
    of_arrays("Sequential.loss: x", "net.loss(X, labels)", "net.loss({}, labels)"),
    of_arrays(
        "Sequential.loss: t",
        "net.loss(X, labels)",
        "net.loss(X, {})",
        ValueError=["net.loss(X, column(labels))", "Sequential(Relu()).loss(X, labels)"],
    ),
    of_arrays(
        "Sequential.gradient: x",
        "net.gradient(X, labels)",
        "net.gradient({}, labels)",
        ValueError=["net.gradient(X[:, :3], labels)", "net.gradient([], [])", "net.gradient(np.empty((0, 4)), [])"],
    ),
    of_arrays(
        "Sequential.gradient: t",
        "net.gradient(X, labels)",
        "net.gradient(X, {})",
        ValueError=["net.gradient(X, labels + 5)"],
    ),
    of_arrays("Sequential.accuracy: x", "net.accuracy(X, labels)", "net.accuracy({}, labels)"),
    of_arrays(
        "Sequential.accuracy: t",
        "net.accuracy(X, labels)",
        "net.accuracy(X, {})",
        ValueError=["net.accuracy(X, column(labels))", "net.accuracy(X, labels - 1)"],
    ),
    entry("Sequential.backward", "net.gradient(X, labels)", RuntimeError="Sequential(Relu()).backward(X)"),
    entry(
        "Sequential",
        "Sequential(Affine(W, b), loss='softmax_cross_entropy')",
        TypeError="Sequential(1) | Sequential(Affine(W, b), None) | "
        "Sequential(Affine(W, b), loss=3) | Sequential(Affine(W, b), loss=Relu())",
        ValueError="Sequential(Affine(W, b), loss='hinges')",
    ),
    entry(
        "Sequential.from_config",
        "Sequential.from_config([(4, 3, 'relu')], seed=0)",
        TypeError="Sequential.from_config(None) | Sequential.from_config('relu') | "
        "Sequential.from_config([(4.5, 3, 'relu')]) | Sequential.from_config([(4, 3, 'relu')], "
        "seed='a') | Sequential.from_config([(4, 3, 'relu')], seed=X)",
        ValueError="Sequential.from_config([1]) | Sequential.from_config([(4, 3)]) | "
        "Sequential.from_config([(4, 3, 'rellu')]) | "
        "Sequential.from_config([(4, 3, 'relu'), (4, 3, 'relu')]) | "
        "Sequential.from_config([(0, 3, 'relu')]) | "
        "Sequential.from_config([(2**62, 3, 'relu')]) | "
        "Sequential.from_config([(4, 3, 'relu')], dtype='float16') | "
        "Sequential.from_config([(4, 3, 'relu')], seed=-1)",
    ),
    entry("Sequential.append", "Sequential(Relu()).append(Tanh())", TypeError="Sequential(Relu()).append(1)"),
    entry(
        "Sequential.extend",
        "Sequential(Relu()).extend([Tanh()])",
        TypeError="Sequential(Relu()).extend([1]) | Sequential(Relu()).extend(1)",
    ),
    entry(
        "Sequential.insert",
        "Sequential(Relu()).insert(0, Tanh())",
        TypeError="Sequential(Relu()).insert(0, 1) | Sequential(Relu()).insert('a', Tanh())",
        ValueError="Sequential(Relu()).insert(9, Tanh())",
    ),
    entry(
        "Sequential.add_module",
        "Sequential(Relu()).add_module('a', Tanh())",
        TypeError="Sequential(Relu()).add_module('a', 1)",
    ),
    entry(
        "Sequential.save",
        "net.save(folder + '/net.safetensors')",
        TypeError="net.save(None) | net.save(3.5)",
        FileNotFoundError="net.save('/no/such/folder/net.safetensors')",
    ),
    entry(
        "Sequential.load",
        "net.predict(X)",
        TypeError="Sequential.load(None) | Sequential.load('net.safetensors', ema=0.9)",
        FileNotFoundError="Sequential.load('/no/such/net.safetensors')",
    ),
    entry(
        "Sequential.fit: x and t",
        "net.fit(X, labels, epochs=1, optimizer=rule, seed=0)",
        TypeError="net.fit(None, labels, epochs=1, optimizer=rule) | "
        "net.fit('X', labels, epochs=1, optimizer=rule) | "
        "net.fit(X + 0j, labels, epochs=1, optimizer=rule) | "
        "net.fit(X, labels / 2, epochs=1, optimizer=rule) | "
        "net.fit(X, None, epochs=1, optimizer=rule)",
        ValueError="net.fit(ragged, labels, epochs=1, optimizer=rule) | "
        "net.fit(X[:, :3], labels, epochs=1, optimizer=rule) | "
        "net.fit(X[:0], labels[:0], epochs=1, optimizer=rule) | "
        "net.fit(X, labels[:4], epochs=1, optimizer=rule) | "
        "net.fit(X, labels + 1, epochs=1, optimizer=rule) | "
        "net.fit(X, labels - 1, epochs=1, optimizer=rule) | "
        "net.fit(X, 2 * np.eye(3)[labels], epochs=1, optimizer=rule) | "
        "net.fit(np.ma.masked_array(X, X > 1), labels, epochs=1, optimizer=rule) | "
        "norm_net.fit(X, labels, epochs=1, optimizer=rule, batch_size=2) | "
        "norm_net.fit(X[:1], labels[:1], epochs=1, optimizer=rule) | "
        "regression.fit(X, ragged, epochs=1, optimizer=rule) | "
        "regression.fit(X, labels, epochs=1, optimizer=rule)",
        FloatingPointError="net.fit(X * np.nan, labels, epochs=1, optimizer=rule) | "
        "regression.fit(X, dout * np.nan, epochs=1, optimizer=rule)",
    ),
    entry(
        "Sequential.fit: numbers",
        FIT.format("batch_size=2"),
        TypeError=filled(
            FIT,
            [
                "batch_size=2.5",
                "batch_size=True",
                "batch_size='a'",
                "max_seconds='a'",
                "n_threads='a'",
                "ema_decay='a'",
                "clip_norm='a'",
                "clip_value=True",
                "average_every='a'",
                "validation_split='a'",
                "comm=3",
                "comm='mpi'",
            ],
        )
        + [
            "net.fit(X, labels, epochs='a', optimizer=rule)",
            "net.fit(X, labels, epochs=1.0, optimizer=rule)",
            "net.fit(X, labels, epochs=1, optimizer=1)",
            "net.fit(X, labels, epochs=1, optimizer=rule, seed='a')",
            "net.fit(X, labels, epochs=1, optimizer=rule, seed=1.5)",
        ],
        ValueError=filled(
            FIT,
            [
                "batch_size=0",
                "batch_size=-1",
                "batch_size=2**70",
                "max_seconds=-1",
                "max_seconds=np.nan",
                "n_threads=0",
                "n_threads=-1",
                "clip_norm=0",
                "clip_norm=np.nan",
                "clip_value=-1",
                "average_every=0",
                "rows='some'",
                "validation_split=0",
                "validation_split=1",
                "validation_split=0.01",
            ],
        )
        + [
            "net.fit(X, labels, epochs=1, optimizer='adm')",
            "net.fit(X, labels, epochs=-1, optimizer=rule)",
            "net.fit(X, labels, epochs=1, optimizer=rule, seed=-1)",
            "net.fit(X, labels, epochs=1, optimizer=rule, seed=2**70)",
        ],
    ),
    entry(
        "Sequential.fit: weights",
        FIT.format("sample_weight=np.ones(5)"),
        TypeError=filled(
            FIT,
            [
                "sample_weight='a'",
                "class_weight=3",
                "class_weight='auto'",
                "class_weight={'cat': 1.0}",
                "class_weight={0: 'a'}",
            ],
        ),
        ValueError=filled(
            FIT,
            [
                "sample_weight=np.ones(4)",
                "sample_weight=np.ones((5, 1))",
                "sample_weight=-np.ones(5)",
                "sample_weight=np.zeros(5)",
                "sample_weight=np.full(5, np.nan)",
                "sample_weight=np.full(5, np.inf)",
                "class_weight={3: 1.0}",
                "class_weight={-1: 1.0}",
                "class_weight={0: -1.0}",
                "class_weight={0: np.nan}",
                "class_weight=[1.0, 2.0]",
                "class_weight={0: 0.0, 1: 0.0, 2: 0.0}",
            ],
        )
        + ["regression.fit(X, dout, epochs=1, optimizer=rule, class_weight={0: 1.0})"],
    ),
    entry(
        "Sequential.fit: validation and calls",
        FIT.format("validation_data=(X, labels)"),
        ValueError=filled(
            FIT,
            [
                "validation_data=3",
                "validation_data=(X,)",
                "validation_data=(X[:0], labels[:0])",
                "validation_data=(X[:, :3], labels)",
                "validation_data=(X, labels[:2])",
                "validation_data=(X, labels + 9)",
                "early_stopping=EarlyStopping()",
                "schedule=lambda epoch: np.nan",
                "schedule=lambda epoch: -1.0",
            ],
        )
        + ["regression.fit(X, dout, epochs=1, optimizer=rule, early_stopping=EarlyStopping(monitor='train_accuracy'))"],
        TypeError=filled(
            FIT,
            [
                "validation_data=('X', labels)",
                "early_stopping=3",
                "callbacks=3",
                "callbacks=[3]",
                "schedule=3",
                "schedule=lambda epoch: None",
            ],
        ),
    ),
    entry(
        "Trainer",
        "Trainer(net, rule, batch_size=5, seed=0).step(X, labels)",
        TypeError="Trainer(net, rule, batch_size='a') | "
        "Trainer(net, rule, seed='a') | Trainer(3, rule) | Trainer(net, rule, comm=3)",
        ValueError="Trainer(net, rule, batch_size=0) | Trainer(net, rule, clip_norm=0) | "
        "Trainer(net, rule, clip_value=np.nan) | Trainer(net, rule, n_threads=0) | "
        "Trainer(net, rule, seed=-1) | Trainer(Sequential(Relu()), rule) | "
        "Trainer(net, rule, batch_size=2**62) | Trainer(net, rule, batch_size=2**63 - 1) | "
        "Trainer(Sequential(Affine(frozen, b), loss='softmax_cross_entropy'), rule) | "
        "Trainer(Sequential(Affine(W, b), Affine(W[:3], W[3])), rule)",
    ),
    entry(
        "Trainer.step",
        "trainer.step(X, labels)",
        TypeError="trainer.step(None, labels) | trainer.step(X, None)",
        ValueError="trainer.step(X[:, :3], labels) | trainer.step(X, labels + 9) | "
        "trainer.step(np.ones((6, 4)), np.zeros(6, int)) | trainer.step(X[:0], labels[:0])",
        FloatingPointError="trainer.step(X * np.nan, labels)",
    ),
    entry(
        "Trainer.gradient",
        "trainer.gradient(X, labels)",
        TypeError="trainer.gradient(X, labels, 'a')",
        ValueError="trainer.gradient(X, labels + 9) | trainer.gradient(X, labels, b) | "
        "Trainer(net, rule, batch_size=5).gradient(X, labels)",
    ),
    entry(
        "EarlyStopping",
        "EarlyStopping(patience=3)",
        TypeError="EarlyStopping(None) | EarlyStopping(2.5) | EarlyStopping(min_delta='a')",
        ValueError="EarlyStopping(0) | EarlyStopping(monitor='f1') | "
        "EarlyStopping(monitor=None) | EarlyStopping(min_delta=-1) | "
        "EarlyStopping(min_delta=np.nan)",
    ),
    entry("History.plot", "fastbp.History()", ValueError="fastbp.History().plot()"),
    entry(
        "gradient_check",
        "fastbp.gradient_check(net, X, labels, n_samples=3)",
        TypeError="fastbp.gradient_check(3, X, labels) | "
        "fastbp.gradient_check(net, 'X', labels) | "
        "fastbp.gradient_check(net, X, labels, n_samples='a')",
        ValueError="fastbp.gradient_check(net, X, labels + 9) | "
        "fastbp.gradient_check(net, X[:0], labels[:0]) | "
        "fastbp.gradient_check(net, X, labels, n_samples=0) | "
        "fastbp.gradient_check(net, X, labels, h=0) | "
        "fastbp.gradient_check(net, X, labels, h=np.nan) | "
        "fastbp.gradient_check(net, X, labels, tolerance=-1) | "
        "fastbp.gradient_check(net, X, labels, seed=-1)",
    ),
    entry(
        "numerical_gradient",
        "fastbp.numerical_gradient(lambda x: (x**2).sum(), W)",
        TypeError="fastbp.numerical_gradient(3, W) | fastbp.numerical_gradient(abs, None) | "
        "fastbp.numerical_gradient(abs, labels)",
        ValueError="fastbp.numerical_gradient(np.sum, W, h=0) | "
        "fastbp.numerical_gradient(np.sum, frozen) | "
        "fastbp.numerical_gradient(np.sum, W, h=np.nan)",
    ),
    entry(
        "save",
        "fastbp.save(linear.state_dict(), folder + '/linear.safetensors')",
        TypeError="fastbp.save({'a': {1}}, folder + '/a') | fastbp.save({}, None)",
        FileNotFoundError="fastbp.save(linear.state_dict(), '/no/such/folder/a') | "
        "fastbp.save(linear.state_dict(), '')",
    ),
    entry("load", "fastbp.ones(2)", TypeError="fastbp.load(None)", FileNotFoundError="fastbp.load('/no/such/file')"),
    entry(
        "set_num_threads",
        "net.predict(X)",
        TypeError="fastbp.set_num_threads('a') | fastbp.set_num_threads(1.5) | fastbp.set_num_threads(True)",
        ValueError="fastbp.set_num_threads(0) | fastbp.set_num_threads(-1) | fastbp.set_num_threads(10**9)",
    ),
    entry("use", "fastbp.use('compiled')", ValueError="fastbp.use('cuda') | fastbp.use(None) | fastbp.use([])"),
    entry(
        "summary",
        "fastbp.summary(model, (5, 4), verbose=0)",
        TypeError="fastbp.summary(3) | fastbp.summary(model, 'a', verbose=0) | "
        "fastbp.summary(model, 3, verbose=0) | fastbp.summary(model, [None], verbose=0) | "
        "fastbp.summary(model, (5, 4), verbose=0, col_names=3) | "
        "fastbp.summary(model, (5, 4), verbose=0, batch_dim='a') | "
        "fastbp.summary(model, (5, 4), verbose=0, dtypes=3) | "
        "fastbp.summary(model, verbose=0, input_data=3)",
        ValueError="fastbp.summary(model, (5, 4), verbose=0, dtypes=[])",
        RuntimeError="fastbp.summary(model, (5, 3), verbose=0)",
    ),
]

# --- tensors --------------------------------------------------------------------------------

OF_ONE = (
    "abs acos all amax amin any argmax argmin argsort asin atan ceil clone cos cosh count_nonzero "
    "diag erf exp exp2 expm1 flatten floor frac isfinite isinf isnan log log10 log1p log2 "
    "logical_not max mean median min nan_to_num neg nonzero norm numel positive prod ravel "
    "reciprocal relu round rsqrt sigmoid sign sin sinh sort sqrt square squeeze std sum t tan tanh "
    "tril triu trunc unbind unique var zeros_like ones_like empty_like rand_like randn_like"
)
OF_TWO = (
    "add sub mul div floor_divide remainder fmod pow maximum minimum eq ne lt le gt ge logical_and "
    "logical_or logical_xor isclose allclose atan2 heaviside rsub"
)
ALONG = (
    "sum mean prod cumsum cumprod var std amax amin argmax argmin all any median sort argsort "
    "logsumexp softmax log_softmax count_nonzero unbind squeeze unsqueeze flip"
)


def of_names(names_, good, **bad):
    """An entry for each name, which stands at the braces of every call."""
    return [
        entry(name, good.replace("{}", name), **{error: call.replace("{}", name) for error, call in bad.items()})
        for name in names_.split()
    ]


TENSORS = [
    *of_names(OF_ONE, "fastbp.{}(x)", TypeError="fastbp.{}(None)"),
    *of_names(OF_TWO, "fastbp.{}(x, x)", TypeError="fastbp.{}(x, None)"),
    *of_names(ALONG, "fastbp.{}(x, 1)", TypeError="fastbp.{}(x, 'a')", IndexError="fastbp.{}(x, 9)"),
    *of_names("add mul pow ge", "fastbp.{}(x, x)", RuntimeError="fastbp.{}(x, fastbp.ones(7))"),
    *of_names(
        "bitwise_and bitwise_or bitwise_xor", "fastbp.{}(classes, classes)", TypeError="fastbp.{}(classes, None)"
    ),
    *of_names(
        "zeros ones empty rand randn",
        "fastbp.{}(2, 3)",
        TypeError="fastbp.{}('a') | fastbp.{}(2.5) | fastbp.{}(2, dtype='float99')",
        RuntimeError="fastbp.{}(2, device='cuda')",
        ValueError="fastbp.{}(2**62, 4) | fastbp.{}(2**70)",
    ),
    *of_names(
        "FloatTensor DoubleTensor LongTensor IntTensor BoolTensor ByteTensor Tensor",
        "fastbp.{}(2, 3)",
        TypeError="fastbp.{}('a') | fastbp.{}(None) | fastbp.{}(2, 1.5)",
        ValueError="fastbp.{}(-1) | fastbp.{}(2**62, 4) | fastbp.{}(ragged)",
    ),
    *of_names("tensor as_tensor from_numpy", "fastbp.{}(W)", ValueError="fastbp.{}(np.ma.masked_array(X, X > 1))"),
    *of_names(
        "tensor as_tensor",
        "fastbp.{}([1.0, 2.0])",
        TypeError="fastbp.{}(None) | fastbp.{}('a') | fastbp.{}(X + 0j) | "
        "fastbp.{}(X.astype(object)) | fastbp.{}([1, None]) | fastbp.{}([1.0], dtype='f99')",
        ValueError="fastbp.{}(ragged)",
    ),
    entry(
        "tensor",
        "fastbp.tensor([1.0])",
        RuntimeError="fastbp.tensor([1], requires_grad=True) | fastbp.tensor(1, device='cuda') | "
        "fastbp.tensor(2**63) | fastbp.tensor([2**63]) | fastbp.tensor(10**400) | "
        "fastbp.tensor(10**400, dtype=fastbp.float32) | "
        "fastbp.tensor(2.0**63, dtype=fastbp.int64) | "
        "fastbp.tensor([1, 300], dtype=fastbp.uint8) | fastbp.tensor(-1, dtype=fastbp.uint8) | "
        "fastbp.tensor([np.nan], dtype=fastbp.int64)",
    ),
    entry("from_numpy", "fastbp.from_numpy(W)", TypeError="fastbp.from_numpy([1.0]) | fastbp.from_numpy(W + 0j)"),
    entry("full", "fastbp.full((2,), 1.5)", TypeError="fastbp.full((2,), 'a') | fastbp.full('a', 1.0)"),
    entry("full_like", "fastbp.full_like(x, 1.5)", TypeError="fastbp.full_like(None, 1.5)"),
    entry(
        "arange",
        "fastbp.arange(5)",
        TypeError="fastbp.arange('a')",
        RuntimeError="fastbp.arange(0, 5, 0) | fastbp.arange(0, 5, -1)",
        ValueError="fastbp.arange(2**63)",
    ),
    entry(
        "linspace",
        "fastbp.linspace(0, 1, 5)",
        ValueError="fastbp.linspace(0, 1, -5)",
        TypeError="fastbp.linspace(0, 1, None) | fastbp.linspace(0, 1, 'a')",
    ),
    entry("logspace", "fastbp.logspace(0, 1, 5)", TypeError="fastbp.logspace(0, None, 5)"),
    entry("eye", "fastbp.eye(3)", TypeError="fastbp.eye('a')", ValueError="fastbp.eye(-1)"),
    entry(
        "randint",
        "fastbp.randint(0, 5, (2,))",
        TypeError="fastbp.randint('a', 5, (2,))",
        RuntimeError="fastbp.randint(5, 0, (2,)) | "
        "fastbp.randint(0, 300, (2,), dtype=fastbp.uint8) | "
        "fastbp.randint(0, 5, (2,), requires_grad=True)",
    ),
    entry("randint_like", "fastbp.randint_like(x, 5)", TypeError="fastbp.randint_like(None, 5)"),
    entry("randperm", "fastbp.randperm(5)", TypeError="fastbp.randperm(None) | fastbp.randperm('a')"),
    entry(
        "normal",
        "fastbp.normal(0.0, 1.0, (2,))",
        TypeError="fastbp.normal(0.0, 'a', (2,))",
        RuntimeError="fastbp.normal(0.0, -1.0, (2,))",
    ),
    entry(
        "bernoulli",
        "fastbp.bernoulli(probabilities)",
        TypeError="fastbp.bernoulli(None)",
        RuntimeError="fastbp.bernoulli(x) | fastbp.bernoulli(probabilities * np.nan)",
    ),
    *of_names(
        "rand_like randn_like", "fastbp.{}(x)", TypeError="fastbp.{}(x, dtype=3) | fastbp.{}(x, requires_grad=x)"
    ),
    entry(
        "multinomial",
        "fastbp.multinomial(probabilities, 2)",
        TypeError="fastbp.multinomial(None, 2) | fastbp.multinomial(probabilities, 'a')",
        RuntimeError="fastbp.multinomial(probabilities, 9) | fastbp.multinomial(-x, 1)",
    ),
    entry(
        "manual_seed",
        "fastbp.manual_seed(1)",
        TypeError="fastbp.manual_seed('a') | fastbp.manual_seed(1.5)",
        ValueError="fastbp.manual_seed(2**70)",
    ),
    entry(
        "use_deterministic_algorithms",
        "fastbp.use_deterministic_algorithms(True)",
        TypeError="fastbp.use_deterministic_algorithms('a')",
    ),
    entry(
        "Generator",
        "fastbp.Generator()",
        RuntimeError="fastbp.Generator('cuda')",
        TypeError="fastbp.rand(2, generator=3)",
    ),
    entry(
        "Generator.manual_seed", "fastbp.Generator().manual_seed(1)", TypeError="fastbp.Generator().manual_seed(None)"
    ),
    entry("device", "fastbp.device('cpu')", RuntimeError="fastbp.device('cuda') | fastbp.device(3)"),
    entry(
        "set_default_dtype",
        "fastbp.set_default_dtype(fastbp.float32)",
        TypeError="fastbp.set_default_dtype(fastbp.int64) | fastbp.set_default_dtype('float99')",
    ),
    entry(
        "promote_types",
        "fastbp.promote_types(fastbp.float32, fastbp.int64)",
        TypeError="fastbp.promote_types(None, 'a')",
    ),
    entry(
        "matmul",
        "fastbp.matmul(x, x.t())",
        RuntimeError="fastbp.matmul(x, x) | x @ x",
        TypeError="fastbp.matmul(x, None)",
    ),
    entry("mm", "fastbp.mm(x, x.t())", RuntimeError="fastbp.mm(x, x)", TypeError="fastbp.mm(x, None)"),
    entry("mv", "fastbp.mv(x, x[0])", RuntimeError="fastbp.mv(x, x)"),
    entry("dot", "fastbp.dot(x[0], x[1])", RuntimeError="fastbp.dot(x, x)"),
    entry("bmm", "fastbp.bmm(x[None], x.t()[None])", RuntimeError="fastbp.bmm(x, x)"),
    entry("outer", "fastbp.outer(x[0], x[1])", RuntimeError="fastbp.outer(x, x)"),
    entry(
        "where",
        "fastbp.where(x > 1, x, -x)",
        TypeError="fastbp.where(x > 1, x, None)",
        RuntimeError="fastbp.where(x > 1, x, fastbp.ones(7))",
    ),
    entry(
        "masked_fill",
        "fastbp.masked_fill(x, x > 1, 0.0)",
        RuntimeError="fastbp.masked_fill(x, x, 0.0) | "
        "fastbp.masked_fill(classes.byte(), classes > 1, 300) | "
        "fastbp.masked_fill(x, x > 1, x)",
    ),
    entry(
        "masked_select",
        "fastbp.masked_select(x, x > 1)",
        RuntimeError="fastbp.masked_select(x, x) | fastbp.masked_select(x, x[:, :3] > 1)",
    ),
    entry(
        "clamp",
        "fastbp.clamp(x, 0, 1)",
        TypeError="fastbp.clamp(x, 'a')",
        RuntimeError="fastbp.clamp(x) | fastbp.clamp(classes.byte(), max=300)",
    ),
    entry(
        "reshape",
        "fastbp.reshape(x, (4, 3))",
        RuntimeError="fastbp.reshape(x, (5, 3)) | fastbp.reshape(x, (-2, 3))",
        TypeError="fastbp.reshape(x, 'a') | fastbp.reshape(None, (4, 3))",
    ),
    entry(
        "unflatten",
        "fastbp.unflatten(x, 1, (2, 2))",
        RuntimeError="fastbp.unflatten(x, 1, (3, 2))",
        IndexError="fastbp.unflatten(x, 9, (2, 2))",
    ),
    entry("permute", "fastbp.permute(x, (1, 0))", RuntimeError="fastbp.permute(x, (1, 1))"),
    entry(
        "transpose",
        "fastbp.transpose(x, 0, 1)",
        IndexError="fastbp.transpose(x, 0, 9)",
        TypeError="fastbp.transpose(x, 0, 'a')",
    ),
    entry("movedim", "fastbp.movedim(x, 0, 1)", TypeError="fastbp.movedim(None, 0, 1)"),
    entry("broadcast_to", "fastbp.broadcast_to(x, (2, 3, 4))", RuntimeError="fastbp.broadcast_to(x, (3, 5))"),
    entry(
        "repeat_interleave",
        "fastbp.repeat_interleave(x, 2, 0)",
        TypeError="fastbp.repeat_interleave(x, 'a', 0)",
        RuntimeError="fastbp.repeat_interleave(x, -1) | fastbp.repeat_interleave(x, 1.5)",
    ),
    entry(
        "index_select",
        "fastbp.index_select(x, 0, classes)",
        IndexError="fastbp.index_select(x, 0, classes + 9) | "
        "fastbp.index_select(x, 0, classes - 1) | fastbp.index_select(x, 0, classes[:, None])",
        RuntimeError="fastbp.index_select(x, 0, classes > 0)",
        TypeError="fastbp.index_select(x, 0, None)",
    ),
    entry(
        "gather",
        "fastbp.gather(x, 1, classes[:, None])",
        IndexError="fastbp.gather(x, 1, classes[:, None] - 1)",
        RuntimeError="fastbp.gather(x, 1, classes) | fastbp.gather(x, 1, x)",
        TypeError="fastbp.gather(x, 1, None)",
    ),
    entry(
        "take",
        "fastbp.take(x, classes)",
        IndexError="fastbp.take(x, classes + 99)",
        RuntimeError="fastbp.take(x, x > 1)",
    ),
    entry(
        "scatter",
        "fastbp.scatter(x, 1, classes[:, None], x)",
        IndexError="fastbp.scatter(x, 1, classes[:, None] - 1, x)",
        RuntimeError="fastbp.scatter(x, 1, classes[:, None], x.double())",
        TypeError="fastbp.scatter(x, 1, None, x) | fastbp.scatter(x, 1, classes[:, None])",
    ),
    entry(
        "scatter_add",
        "fastbp.scatter_add(x, 1, classes[:, None], x)",
        IndexError="fastbp.scatter_add(x, 1, classes[:, None] - 1, x)",
        RuntimeError="fastbp.scatter_add(x, 1, classes[:, None], x.double())",
        TypeError="fastbp.scatter_add(x, 1, classes[:, None], 1.0)",
    ),
    entry(
        "index_add",
        "fastbp.index_add(x, 0, classes, x)",
        IndexError="fastbp.index_add(x, 0, classes + 9, x)",
        RuntimeError="fastbp.index_add(x, 0, classes, x[:2]) | fastbp.index_add(x, 0, x, x)",
        TypeError="fastbp.index_add(x, 0, classes, 1.0)",
    ),
    entry(
        "addcmul",
        "fastbp.addcmul(x, x, x, value=0.5)",
        RuntimeError="fastbp.addcmul(x, x, fastbp.ones(7)) | fastbp.addcmul(classes, classes, classes, value=0.5)",
        TypeError="fastbp.addcmul(x, x, 2.0) | fastbp.addcmul(x, x, x, value='a')",
    ),
    entry(
        "addcdiv",
        "fastbp.addcdiv(x, x, x + 1, value=0.5)",
        RuntimeError="fastbp.addcdiv(classes, classes, classes + 1)",
        TypeError="fastbp.addcdiv(x, x, 2.0)",
    ),
    entry(
        "lerp",
        "fastbp.lerp(x, x, 0.5)",
        RuntimeError="fastbp.lerp(x, x.double(), 0.5) | fastbp.lerp(classes, classes, 0.5)",
        TypeError="fastbp.lerp(x, 1.0, 0.5) | fastbp.lerp(x, x, 'a')",
    ),
    entry(
        "addmm",
        "fastbp.addmm(x[0, :3], x, x.t()[:, :3])",
        RuntimeError="fastbp.addmm(x, x, x) | fastbp.addmm(x.double(), x, x.t())",
        TypeError="fastbp.addmm(x, x, x.t(), beta='a')",
    ),
    *of_names("clamp_min clamp_max", "fastbp.{}(x, 0.5)", TypeError="fastbp.{}(x, 'a') | fastbp.{}(x, None)"),
    entry(
        "einsum",
        "fastbp.einsum('ij,kj->ik', x, x)",
        RuntimeError="fastbp.einsum('ij,jk->ik', x, x) | fastbp.einsum('ij', x, x) | "
        "fastbp.einsum('i->i', x) | fastbp.einsum('ij->ijk', x) | fastbp.einsum('ij->ii', x) | "
        "fastbp.einsum('i1->i', x)",
        TypeError="fastbp.einsum(x, x) | fastbp.einsum('ij', 3)",
    ),
    *of_names("addcmul_ addcdiv_", "x.{}(x, x + 1)", TypeError="x.{}(x, 2.0)"),
    entry("Tensor.lerp_", "x.lerp_(x, 0.5)", TypeError="x.lerp_(1.0, 0.5)"),
    entry("Tensor.addmm_", "x.addmm_(x, x.t() @ x)", RuntimeError="x.addmm_(x, x.t())"),
    *of_names("clamp_min_ clamp_max_", "x.{}(0.5)", TypeError="x.{}('a')"),
    *of_names(
        "scatter_ scatter_add_", "x.{}(1, classes[:, None], x)", RuntimeError="x.{}(1, classes[:, None], x.double())"
    ),
    entry("Tensor.index_add_", "x.index_add_(0, classes, x)", RuntimeError="x.index_add_(0, classes, x.double())"),
    entry(
        "cat",
        "fastbp.cat([x, x])",
        TypeError="fastbp.cat([x, 3]) | fastbp.cat(3)",
        RuntimeError="fastbp.cat([x, x[:, :3]])",
    ),
    entry("stack", "fastbp.stack([x, x])", TypeError="fastbp.stack([x, 3])", RuntimeError="fastbp.stack([x, x[0]])"),
    entry("hstack", "fastbp.hstack([x, x])", TypeError="fastbp.hstack(3)"),
    entry("vstack", "fastbp.vstack([x, x])", TypeError="fastbp.vstack(3)"),
    entry(
        "meshgrid", "fastbp.meshgrid(x[0], x[1], indexing='ij')", TypeError="fastbp.meshgrid(x[0], None, indexing='ij')"
    ),
    entry(
        "split",
        "fastbp.split(x, 2)",
        RuntimeError="fastbp.split(x, [9]) | fastbp.split(x, -1) | fastbp.split(x, [4, -1]) | fastbp.split(x, 0)",
        TypeError="fastbp.split(x, 'a')",
    ),
    entry(
        "chunk",
        "fastbp.chunk(x, 2)",
        TypeError="fastbp.chunk(x, 'a')",
        RuntimeError="fastbp.chunk(x, 0) | fastbp.chunk(x, -2)",
    ),
    entry("narrow", "fastbp.narrow(x, 0, 1, 2)", RuntimeError="fastbp.narrow(x, 0, 1, 9)"),
    entry("select", "fastbp.select(x, 0, 1)", IndexError="fastbp.select(x, 0, 9)"),
    entry("roll", "fastbp.roll(x, 1, 0)", TypeError="fastbp.roll(x, 'a', 0)", RuntimeError="fastbp.roll(x, (1, 2), 0)"),
    entry("topk", "fastbp.topk(x, 2)", RuntimeError="fastbp.topk(x, 9)", TypeError="fastbp.topk(x, 'a')"),
    entry(
        "bincount",
        "fastbp.bincount(classes)",
        TypeError="fastbp.bincount(None)",
        RuntimeError="fastbp.bincount(x) | fastbp.bincount(classes - 9) | fastbp.bincount(classes, x[0])",
    ),
    entry("equal", "fastbp.equal(x, x)", TypeError="fastbp.equal(x, None)"),
    entry("bitwise_not", "fastbp.bitwise_not(classes)", RuntimeError="fastbp.bitwise_not(x)"),
    entry(
        "Tensor.backward",
        "x.requires_grad_().sum().backward()",
        RuntimeError="x.sum().backward() | leaf.backward()",
        TypeError="leaf.backward('a')",
    ),
    entry(
        "Tensor.backward: inputs",
        "leaf.sum().backward(inputs=[leaf])",
        RuntimeError="leaf.sum().backward(inputs=3) | leaf.sum().backward(inputs=[]) | "
        "leaf.sum().backward(inputs=[3]) | leaf.sum().backward(inputs=x)",
    ),
    entry("Tensor.item", "x[0, 0].item()", RuntimeError="x.item()"),
    entry("Tensor.numpy", "x.numpy()", RuntimeError="leaf.numpy()"),
    entry("Tensor[...]", "x[classes]", IndexError="x[9] | x[classes + 9] | x[0, 0, 0] | x['a'] | x[1.5]"),
    entry(
        "Tensor[...] = ...",
        "x.__setitem__(0, 1.0)",
        IndexError="x.__setitem__(9, 1.0)",
        TypeError="x.__setitem__(0, 'a')",
        RuntimeError="x.__setitem__(0, fastbp.ones(7)) | "
        "classes.byte().__setitem__(0, 300) | classes.__setitem__(0, float('nan'))",
    ),
    *of_names(
        "add_ sub_ mul_ div_ pow_ floor_divide_ fmod_ remainder_ copy_ fill_ atan2_ eq_ ne_ lt_ "
        "le_ gt_ ge_ logical_and_ logical_or_ logical_xor_",
        "x.{}(x.clone()) if '{}' != 'fill_' else x.fill_(0)",
        TypeError="x.{}('a') | x.{}(None)",
    ),
    *of_names("add_ mul_ copy_", "x.{}(x.clone())", RuntimeError="x.{}(fastbp.ones(7))"),
    *of_names(
        "bitwise_and_ bitwise_or_ bitwise_xor_",
        "classes.{}(classes.clone())",
        TypeError="classes.{}('a')",
        RuntimeError="x.{}(x)",
    ),
    entry("Tensor.clamp_", "x.clamp_(0, 1)", TypeError="x.clamp_('a')"),
    entry(
        "Tensor.scatter_",
        "x.scatter_(1, classes[:, None], 1.0)",
        IndexError="x.scatter_(1, classes[:, None] - 1, 1.0)",
        TypeError="x.scatter_(1, None, 1.0) | x.scatter_(1, classes[:, None], 'a')",
    ),
    entry("Tensor.masked_fill_", "x.masked_fill_(x > 1, 0)", RuntimeError="x.masked_fill_(x, 0)"),
    entry(
        "Tensor.scatter_",
        "x.scatter_(1, classes[:, None], 1)",
        IndexError="x.scatter_(1, classes[:, None] - 1, x)",
        TypeError="x.scatter_(1, classes[:, None]) | x.scatter_(1, classes[:, None], x, value=1)",
    ),
    entry(
        "Tensor.normal_",
        "x.normal_()",
        RuntimeError="classes.normal_()",
        ValueError="x.normal_('a') | x.normal_(0, -1)",
    ),
    entry("Tensor.uniform_", "x.uniform_()", RuntimeError="classes.uniform_()", TypeError="x.uniform_(None)"),
    entry(
        "Tensor.bernoulli_",
        "x.bernoulli_()",
        TypeError="x.bernoulli_('a')",
        RuntimeError="x.bernoulli_(x)",
        ValueError="x.bernoulli_(probabilities[:, :3])",
    ),
    entry("fmod", "fastbp.fmod(classes, 2)", RuntimeError="fastbp.fmod(classes, 0) | fastbp.fmod(x > 1, x > 1)"),
    entry("Tensor.exp_ and the others of one tensor", "x.exp_()", TypeError="x.exp_(1, 2)"),
    entry("Tensor.view", "x.view(4, 3)", RuntimeError="x.view(5, 3)"),
    entry("Tensor.view_as", "x.view_as(x)", TypeError="x.view_as(None)"),
    entry("Tensor.reshape_as", "x.reshape_as(x)", TypeError="x.reshape_as(None)"),
    entry("Tensor.expand", "x.expand(2, 3, 4)", RuntimeError="x.expand(3, 5)"),
    entry("Tensor.expand_as", "x.expand_as(x)", TypeError="x.expand_as(None)"),
    entry("Tensor.repeat", "x.repeat(2, 1)", TypeError="x.repeat('a')"),
    entry("Tensor.to", "x.to(fastbp.float64)", RuntimeError="x.to('cuda') | x.to('float99')"),
    entry("Tensor.type", "x.type(fastbp.float64)", TypeError="x.type(3)"),
    entry("Tensor.type_as", "x.type_as(x)", TypeError="x.type_as(None)"),
    entry("Tensor.cuda", "x.cpu()", RuntimeError="x.cuda()"),
    entry("Tensor.new_full", "x.new_full((2,), 1.0)", TypeError="x.new_full((2,), 'a')"),
    *of_names("new_zeros new_ones new_empty", "x.{}(2, 3)", TypeError="x.{}('a')"),
    entry("Tensor.new_tensor", "x.new_tensor([1.0])", TypeError="x.new_tensor(None)"),
    entry("Tensor.requires_grad_", "x.requires_grad_()", RuntimeError="classes.requires_grad_()"),
    entry(
        "Tensor.register_hook",
        "x.requires_grad_().register_hook(abs)",
        RuntimeError="x.register_hook(abs)",
        TypeError="leaf.register_hook(3)",
    ),
    entry("Tensor.retain_grad", "x.requires_grad_().retain_grad()", RuntimeError="x.retain_grad()"),
    entry("Tensor.size", "x.size(1)", IndexError="x.size(9)", TypeError="x.size('a')"),
    entry("Tensor.stride", "x.stride(1)", IndexError="x.stride(9)"),
    entry("Tensor.where", "x.where(x > 1, x)", TypeError="x.where(x > 1, None)"),
    entry("Tensor.softmax", "x.softmax(1)", IndexError="x.softmax(9)"),
]

NN = [
    entry(
        "nn.Linear",
        "nn.Linear(4, 3)(x)",
        TypeError="nn.Linear(None, 3) | nn.Linear(4, 1.5) | nn.Linear(4, True)",
        ValueError="nn.Linear(0, 3) | nn.Linear(4, -1) | nn.Linear(2**62, 4) | nn.Linear(4, 3, dtype='float16')",
        RuntimeError="nn.Linear(4, 3, device='cuda') | linear(x.t()) | linear(x.double())",
    ),
    entry(
        "nn.BatchNorm1d",
        "nn.BatchNorm1d(4)(x)",
        ValueError="nn.BatchNorm1d(0) | nn.BatchNorm1d(4, eps=-1) | "
        "nn.BatchNorm1d(4, momentum=None) | nn.BatchNorm1d(4, affine=False) | "
        "nn.BatchNorm1d(4)(x[:1]) | nn.BatchNorm1d(3)(x) | nn.BatchNorm1d(4)(x[0])",
        TypeError="nn.BatchNorm1d('a')",
    ),
    entry(
        "nn.LayerNorm",
        "nn.LayerNorm(4)(x)",
        TypeError="nn.LayerNorm('a') | nn.LayerNorm(1.5) | nn.LayerNorm(None)",
        ValueError="nn.LayerNorm(0) | nn.LayerNorm((2**62, 4)) | nn.LayerNorm(4, eps=-1)",
        RuntimeError="nn.LayerNorm(3)(x)",
    ),
    entry(
        "nn.Embedding",
        "nn.Embedding(5, 3)(classes)",
        TypeError="nn.Embedding(None, 3) | nn.Embedding(5, 3, padding_idx='a') | embedding(None)",
        ValueError="nn.Embedding(0, 3) | nn.Embedding(2**62, 4) | nn.Embedding(5, 3, padding_idx=9)",
        NotImplementedError="nn.Embedding(5, 3, sparse=True) | nn.Embedding(5, 3, max_norm=1.0) | "
        "nn.Embedding(5, 3, scale_grad_by_freq=True)",
        IndexError="embedding(classes + 9) | embedding(classes - 9)",
        RuntimeError="embedding(x)",
    ),
    entry(
        "nn.Embedding.from_pretrained",
        "nn.Embedding.from_pretrained(x)",
        TypeError="nn.Embedding.from_pretrained(None)",
        ValueError="nn.Embedding.from_pretrained(x[0])",
    ),
    entry(
        "nn.Dropout",
        "nn.Dropout(0.5)",
        ValueError="nn.Dropout(1.5) | nn.Dropout(np.nan)",
        TypeError="nn.Dropout('a') | nn.Dropout(None)",
    ),
    entry("nn.Parameter", "nn.Parameter(x)", TypeError="nn.Parameter(3)", RuntimeError="nn.Parameter(classes)"),
    entry("nn.ModuleList", "nn.ModuleList([nn.ReLU()])", TypeError="nn.ModuleList([3]) | nn.ModuleList(3)"),
    entry("nn.ModuleList.append", "nn.ModuleList().append(nn.ReLU())", TypeError="nn.ModuleList().append(3)"),
    entry(
        "nn.ModuleList.extend",
        "nn.ModuleList().extend([nn.ReLU()])",
        TypeError="nn.ModuleList().extend([nn.ReLU(), 3])",
    ),
    entry(
        "nn.ModuleList.insert",
        "nn.ModuleList().insert(0, nn.ReLU())",
        TypeError="nn.ModuleList().insert('a', nn.ReLU())",
    ),
    entry("nn.ModuleList.pop", "nn.ModuleList([nn.ReLU()]).pop()", IndexError="nn.ModuleList().pop()"),
    entry("nn.ModuleDict", "nn.ModuleDict({'a': nn.ReLU()})", TypeError="nn.ModuleDict({'a': 3})"),
    entry(
        "nn.ModuleDict.update",
        "nn.ModuleDict().update({'a': nn.ReLU()})",
        TypeError="modules.update({'a': nn.ReLU(), 'b': 3}) | nn.ModuleDict().update(3)",
    ),
    entry("nn.ModuleDict.pop", "nn.ModuleDict({'a': nn.ReLU()}).pop('a')", ValueError="nn.ModuleDict().pop('a')"),
    entry("nn.ParameterList", "nn.ParameterList([x])", TypeError="nn.ParameterList([3])"),
    entry("nn.ParameterDict", "nn.ParameterDict({'a': x})", TypeError="nn.ParameterDict({'a': 3})"),
    entry("nn.Unflatten", "nn.Unflatten(1, (2, 2))(x)", RuntimeError="nn.Unflatten(1, (3, 2))(x)"),
    entry("nn.Softmax", "nn.Softmax(1)(x)", IndexError="nn.Softmax(9)(x)"),
    *(
        entry(f"nn.{kind}", f"nn.{kind}(1.0)(x)", TypeError=f"nn.{kind}(None) | nn.{kind}('a')")
        for kind in ("ELU", "CELU", "Softplus")
    ),
    entry("nn.Threshold", "nn.Threshold(1.0, 2.0)(x)", TypeError="nn.Threshold('a', 1.0)"),
    entry("nn.LeakyReLU", "nn.LeakyReLU(0.1)(x)", TypeError="nn.LeakyReLU('a')"),
    entry("nn.Module.state_dict", "linear.state_dict(prefix='a.')", TypeError="linear.state_dict(prefix=None)"),
    entry(
        "nn.Hardtanh",
        "nn.Hardtanh(-1.0, 1.0)(x)",
        TypeError="nn.Hardtanh('a', 1.0)",
        ValueError="nn.Hardtanh(1.0, -1.0)",
    ),
    entry("nn.GELU", "nn.GELU('tanh')(x)", ValueError="nn.GELU('tan')"),
    entry(
        "nn.CrossEntropyLoss",
        "nn.CrossEntropyLoss()(x, classes)",
        ValueError="nn.CrossEntropyLoss(reduction='avg') | "
        "nn.CrossEntropyLoss()(x, classes[:2]) | nn.CrossEntropyLoss()(x, classes[:, None])",
        IndexError="nn.CrossEntropyLoss()(x, classes + 9) | nn.CrossEntropyLoss()(x, -classes)",
        TypeError="nn.CrossEntropyLoss()(None, classes) | nn.CrossEntropyLoss()(x, None)",
        RuntimeError="nn.CrossEntropyLoss(weight=fastbp.ones(2))(x, classes) | "
        "nn.CrossEntropyLoss()(classes, classes) | nn.CrossEntropyLoss()(x, x[:, 0])",
    ),
    entry(
        "nn.NLLLoss",
        "nn.NLLLoss()(x, classes)",
        IndexError="nn.NLLLoss()(x, classes + 9)",
        ValueError="nn.NLLLoss(reduction='avg')",
    ),
    *(
        entry(
            f"nn.{kind}",
            f"nn.{kind}()(x, x)",
            TypeError=f"nn.{kind}()(x, None)",
            ValueError=f"nn.{kind}(reduction='avg')",
        )
        for kind in ("MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "KLDivLoss")
    ),
    *(
        entry(
            f"nn.{kind}",
            f"nn.{kind}()(probabilities, probabilities)",
            TypeError=f"nn.{kind}()(probabilities, None)",
            ValueError=f"nn.{kind}(reduction='avg') | nn.{kind}()(probabilities, x[:, :3] / 9)",
        )
        for kind in ("BCELoss", "BCEWithLogitsLoss")
    ),
    entry(
        "nn.Module.load_state_dict",
        "linear.load_state_dict(linear.state_dict())",
        TypeError="linear.load_state_dict(None) | linear.load_state_dict([1])",
        RuntimeError="linear.load_state_dict({}) | linear.load_state_dict(model.state_dict()) | "
        "linear.load_state_dict({'weight': x, 'bias': x})",
    ),
    entry(
        "nn.Module.register_parameter",
        "linear.register_parameter('z', nn.Parameter(x))",
        TypeError="linear.register_parameter('z', 3) | linear.register_parameter(3, None)",
    ),
    entry(
        "nn.Module.register_buffer",
        "linear.register_buffer('z', x)",
        TypeError="linear.register_buffer('z', 3) | linear.register_buffer(3, x)",
    ),
    entry(
        "nn.Module.add_module",
        "linear.add_module('z', nn.ReLU())",
        TypeError="linear.add_module('z', 3) | linear.add_module(3, nn.ReLU())",
    ),
    entry(
        "nn.Module.get_parameter",
        "linear.get_parameter('weight')",
        AttributeError="linear.get_parameter('z')",
        TypeError="linear.get_parameter(3)",
    ),
    entry(
        "nn.Module.get_buffer",
        "nn.BatchNorm1d(2).get_buffer('running_mean')",
        AttributeError="nn.BatchNorm1d(2).get_buffer('z')",
        TypeError="nn.BatchNorm1d(2).get_buffer(3)",
    ),
    entry(
        "nn.Module.get_submodule",
        "model.get_submodule('0')",
        AttributeError="model.get_submodule('z')",
        TypeError="model.get_submodule(3)",
    ),
    entry("nn.Module.apply", "linear.apply(repr)", TypeError="linear.apply(3)"),
    entry(
        "nn.Module.register_forward_hook",
        "linear.register_forward_hook(print)",
        TypeError="linear.register_forward_hook(3)",
    ),
    entry("nn.Module.train", "linear.train(True)", TypeError="linear.train('a')"),
    entry("nn.Module.to", "linear.to(fastbp.float64)", RuntimeError="linear.to('cuda')"),
    entry("nn.Module.forward", "linear(x)", NotImplementedError="nn.Module()(x)"),
    entry(
        "F.linear",
        "F.linear(x, x)",
        TypeError="F.linear(None, x) | F.linear(x, None)",
        RuntimeError="F.linear(x, x.t())",
    ),
    entry(
        "F.embedding",
        "F.embedding(classes, x)",
        TypeError="F.embedding(None, x)",
        IndexError="F.embedding(classes + 9, x)",
        RuntimeError="F.embedding(x, x)",
    ),
    entry(
        "F.one_hot",
        "F.one_hot(classes, 4)",
        TypeError="F.one_hot(None)",
        IndexError="F.one_hot(classes, 2)",
        RuntimeError="F.one_hot(x)",
    ),
    entry(
        "F.batch_norm",
        "F.batch_norm(x, None, None, training=True)",
        ValueError="F.batch_norm(x[:1], None, None, training=True) | "
        "F.batch_norm(x, None, None) | "
        "F.batch_norm(x, fastbp.zeros(3), fastbp.ones(4), training=True) | "
        "F.batch_norm(x, x[0], x[1], training=True, momentum=2) | "
        "F.batch_norm(x, x[0], x[1], weight=fastbp.ones(3), training=True)",
        TypeError="F.batch_norm(None, None, None, training=True) | F.batch_norm(x, 'a', None, training=True)",
    ),
    entry(
        "F.layer_norm",
        "F.layer_norm(x, (4,))",
        TypeError="F.layer_norm(None, (4,)) | F.layer_norm(x, None)",
        RuntimeError="F.layer_norm(x, (3,))",
    ),
    entry(
        "F.dropout",
        "F.dropout(x, 0.5)",
        ValueError="F.dropout(x, 1.5) | F.dropout(x, np.nan)",
        TypeError="F.dropout(x, 'a') | F.dropout('a')",
    ),
    entry("F.hardtanh", "F.hardtanh(x)", ValueError="F.hardtanh(x, 1.0, -1.0)", TypeError="F.hardtanh(x, 'a')"),
    entry("F.gelu", "F.gelu(x)", ValueError="F.gelu(x, 'tan')", TypeError="F.gelu(None)"),
    *(
        entry(f"F.{name}", f"F.{name}(x)", TypeError=f"F.{name}(None)")
        for name in (
            "celu elu hardsigmoid hardswish leaky_relu logsigmoid mish relu relu6 selu "
            "sigmoid silu softplus softsign tanh tanhshrink"
        ).split()
    ),
    *(
        entry(f"F.{name}", f"F.{name}(x, 1)", TypeError=f"F.{name}(None, 1)", IndexError=f"F.{name}(x, 9)")
        for name in ("softmax", "softmin", "log_softmax")
    ),
    entry("F.threshold", "F.threshold(x, 0.1, 2.0)", TypeError="F.threshold(x, None, 2.0)"),
    entry("F.normalize", "F.normalize(x)", IndexError="F.normalize(x, dim=9)", TypeError="F.normalize(None)"),
    entry("F.cosine_similarity", "F.cosine_similarity(x, x)", TypeError="F.cosine_similarity(x, None)"),
    entry(
        "F.prelu",
        "F.prelu(x, x[0])",
        TypeError="F.prelu(x, 0.25) | F.prelu(None, x)",
        RuntimeError="F.prelu(x, x[0, :3]) | F.prelu(x[0], x[0])",
    ),
    entry("F.glu", "F.glu(x)", RuntimeError="F.glu(x[:, :3])", IndexError="F.glu(x, 9)", TypeError="F.glu(None)"),
    entry(
        "nn.PReLU",
        "nn.PReLU(4)(x)",
        TypeError="nn.PReLU('a') | nn.PReLU(1, 'a')",
        ValueError="nn.PReLU(0) | nn.PReLU(2**62)",
        RuntimeError="nn.PReLU(3)(x)",
    ),
    entry("nn.GLU", "nn.GLU()(x)", TypeError="nn.GLU('a')", RuntimeError="nn.GLU()(x[:, :3])"),
    entry(
        "nn.CosineSimilarity",
        "nn.CosineSimilarity()(x, x)",
        TypeError="nn.CosineSimilarity('a') | nn.CosineSimilarity()(x, None)",
        ValueError="nn.CosineSimilarity(eps=-1)",
    ),
    entry(
        "nn.PairwiseDistance",
        "nn.PairwiseDistance()(x, x)",
        TypeError="nn.PairwiseDistance('a') | nn.PairwiseDistance(keepdim=3)",
        ValueError="nn.PairwiseDistance(eps=-1)",
    ),
    entry(
        "F.triplet_margin_loss",
        "F.triplet_margin_loss(x, x + 1, x - 2)",
        TypeError="F.triplet_margin_loss(x, x, None) | F.triplet_margin_loss(x, x, x, 'a')",
        ValueError="F.triplet_margin_loss(x, x, x, reduction='a')",
    ),
    entry(
        "nn.TripletMarginLoss",
        "nn.TripletMarginLoss()(x, x + 1, x - 2)",
        TypeError="nn.TripletMarginLoss('a')",
        ValueError="nn.TripletMarginLoss(0) | nn.TripletMarginLoss(reduction='a')",
    ),
    entry(
        "F.cosine_embedding_loss",
        "F.cosine_embedding_loss(x, x, fastbp.ones(3))",
        TypeError="F.cosine_embedding_loss(x, x, None) | F.cosine_embedding_loss(x, x, 1)",
        RuntimeError="F.cosine_embedding_loss(x, x, fastbp.ones(4))",
        ValueError="F.cosine_embedding_loss(x, x, classes)",
    ),
    entry(
        "F.margin_ranking_loss",
        "F.margin_ranking_loss(x, x, fastbp.ones(4))",
        TypeError="F.margin_ranking_loss(x, x, None) | F.margin_ranking_loss(x, x, x, 'a')",
        RuntimeError="F.margin_ranking_loss(x, x, fastbp.ones(7))",
    ),
    entry(
        "F.hinge_embedding_loss",
        "F.hinge_embedding_loss(x[:, 0], fastbp.ones(3))",
        TypeError="F.hinge_embedding_loss(x, None)",
        RuntimeError="F.hinge_embedding_loss(x, fastbp.ones(3))",
        ValueError="F.hinge_embedding_loss(x[:, 0], classes)",
    ),
    *of_names(
        "nn.CosineEmbeddingLoss nn.MarginRankingLoss nn.HingeEmbeddingLoss",
        "{}()",
        TypeError="{}('a')",
        ValueError="{}(reduction='a')",
    ),
    entry(
        "F.gaussian_nll_loss",
        "F.gaussian_nll_loss(x, x, x.abs() + 1)",
        TypeError="F.gaussian_nll_loss(x, x, None) | F.gaussian_nll_loss(x, x, 1.0, full=3)",
        ValueError="F.gaussian_nll_loss(x, x, -x - 1) | F.gaussian_nll_loss(x, x, -1.0) | "
        "F.gaussian_nll_loss(x, x, x[:2]) | F.gaussian_nll_loss(x, x, x, eps=0)",
    ),
    entry(
        "nn.GaussianNLLLoss",
        "nn.GaussianNLLLoss()(x, x, x.abs() + 1)",
        TypeError="nn.GaussianNLLLoss(full=3)",
        ValueError="nn.GaussianNLLLoss(eps=0)",
    ),
    entry(
        "F.poisson_nll_loss",
        "F.poisson_nll_loss(x, x)",
        TypeError="F.poisson_nll_loss(x, None) | F.poisson_nll_loss(x, x, log_input=3)",
    ),
    entry(
        "nn.PoissonNLLLoss",
        "nn.PoissonNLLLoss()(x, x)",
        TypeError="nn.PoissonNLLLoss(full=3)",
        ValueError="nn.PoissonNLLLoss(eps=-1)",
    ),
    entry("F.pairwise_distance", "F.pairwise_distance(x, x)", TypeError="F.pairwise_distance(x, None)"),
    *(
        entry(
            f"F.{name}",
            f"F.{name}(x, {t})",
            TypeError=f"F.{name}(x, None)",
            ValueError=f"F.{name}(x, {t}, reduction='avg')",
        )
        for name, t in [
            ("cross_entropy", "classes"),
            ("nll_loss", "classes"),
            ("mse_loss", "x"),
            ("l1_loss", "x"),
            ("huber_loss", "x"),
            ("smooth_l1_loss", "x"),
            ("kl_div", "x"),
        ]
    ),
    *(
        entry(
            f"F.{name}",
            f"F.{name}(probabilities, probabilities)",
            TypeError=f"F.{name}(probabilities, None)",
            ValueError=f"F.{name}(probabilities, x[:, :3] / 9)",
        )
        for name in ("binary_cross_entropy", "binary_cross_entropy_with_logits")
    ),
    *(
        entry(f"nn.init.{name}", f"nn.init.{name}(x)", TypeError=f"nn.init.{name}(None)")
        for name in (
            "eye_ kaiming_normal_ kaiming_uniform_ normal_ ones_ orthogonal_ trunc_normal_ "
            "uniform_ xavier_normal_ xavier_uniform_ zeros_"
        ).split()
    ),
    entry(
        "nn.init.constant_",
        "nn.init.constant_(x, 1.0)",
        TypeError="nn.init.constant_(3, 1.0)",
        ValueError="nn.init.constant_(x, 'a')",
    ),
    entry(
        "nn.init.sparse_",
        "nn.init.sparse_(x, 0.5)",
        TypeError="nn.init.sparse_(None, 0.5)",
        ValueError="nn.init.sparse_(x, 2)",
    ),
    entry("nn.init.orthogonal_", "nn.init.orthogonal_(x)", TypeError="nn.init.orthogonal_(x, 'a')"),
    entry("nn.init.calculate_gain", "nn.init.calculate_gain('relu')", ValueError="nn.init.calculate_gain('rellu')"),
    entry(
        "nn.utils.clip_grad_norm_",
        "nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
        TypeError="nn.utils.clip_grad_norm_(3, 1.0) | nn.utils.clip_grad_norm_([3], 1.0) | "
        "nn.utils.clip_grad_norm_(model.parameters(), 'a')",
        ValueError="nn.utils.clip_grad_norm_(model.parameters(), np.nan)",
    ),
    entry(
        "nn.utils.get_total_norm",
        "nn.utils.get_total_norm([fastbp.tensor([3.0, 4.0])])",
        TypeError="nn.utils.get_total_norm(3) | nn.utils.get_total_norm([fastbp.tensor([3.0])], 'a')",
        ValueError="nn.utils.get_total_norm([fastbp.tensor([3.0])], np.nan)",
    ),
    entry(
        "nn.utils.clip_grads_with_norm_",
        "nn.utils.clip_grads_with_norm_(model.parameters(), 1.0, 2.0)",
        TypeError="nn.utils.clip_grads_with_norm_(3, 1.0, 2.0) | "
        "nn.utils.clip_grads_with_norm_(model.parameters(), 'a', 2.0) | "
        "nn.utils.clip_grads_with_norm_(model.parameters(), 1.0, 'a')",
    ),
    entry(
        "nn.utils.clip_grad_value_",
        "nn.utils.clip_grad_value_(model.parameters(), 1.0)",
        TypeError="nn.utils.clip_grad_value_(3, 1.0)",
        ValueError="nn.utils.clip_grad_value_(model.parameters(), -1)",
    ),
    entry(
        "nn.utils.parameters_to_vector",
        "nn.utils.parameters_to_vector(model.parameters())",
        TypeError="nn.utils.parameters_to_vector(3) | nn.utils.parameters_to_vector([3])",
    ),
    entry(
        "nn.utils.vector_to_parameters",
        "nn.utils.vector_to_parameters(fastbp.ones(15), linear.parameters())",
        TypeError="nn.utils.vector_to_parameters(3, linear.parameters())",
        ValueError="nn.utils.vector_to_parameters(fastbp.ones(9), linear.parameters())",
    ),
]

RULES = [rule.__name__ for rule in OPTIMIZERS.values()]
OPTIMISERS = [
    *(
        entry(
            f"optim.{rule}",
            f"optim.{rule}(model.parameters(), lr=0.1).step()",
            ValueError=f"optim.{rule}(lr=-1) | optim.{rule}(lr=np.nan) | optim.{rule}(lr=np.inf) | "
            f"optim.{rule}(lr=10**400) | optim.{rule}(lr=0.1, weight_decay=-1) | optim.{rule}([])",
            TypeError=f"optim.{rule}(lr='a') | optim.{rule}(lr=None) | optim.{rule}(lr=True) | "
            f"optim.{rule}(0.1) | optim.{rule}([3]) | optim.{rule}(x)",
        )
        for rule in RULES
    ),
    entry(
        "optim.SGD: momentum",
        "optim.SGD(lr=0.1, momentum=0.9)",
        ValueError="optim.SGD(momentum=-1) | optim.SGD(nesterov=True)",
    ),
    entry(
        "optim.Adam: betas",
        "optim.Adam(betas=(0.9, 0.99))",
        ValueError="optim.Adam(betas=(0.9, 1.5)) | optim.Adam(betas=(np.nan, 0.9)) | "
        "optim.Adam(eps=-1) | optim.Adam(betas=(0.9,)) | optim.Adam(betas=3)",
        TypeError="optim.Adam(betas=('a', 0.9))",
        NotImplementedError="optim.RMSprop(centered=True)",
    ),
    entry(
        "optim.RMSprop: alpha",
        "optim.RMSprop(alpha=0.9)",
        ValueError="optim.RMSprop(alpha=-1) | optim.RMSprop(momentum=-1)",
    ),
    entry(
        "optim.Momentum",
        "optim.Momentum(lr=0.1)",
        ValueError="optim.Momentum(lr=-1) | optim.Momentum(momentum=-1)",
        TypeError="optim.Momentum('a') | optim.Momentum([x])",
    ),
    entry(
        "optim.Nesterov",
        "optim.Nesterov(lr=0.1)",
        ValueError="optim.Nesterov(lr=-1) | optim.Nesterov(momentum=0)",
        TypeError="optim.Nesterov('a') | optim.Nesterov([x])",
    ),
    entry(
        "optim.Adam: beta1 and beta2",
        "optim.Adam(beta1=0.8)",
        ValueError="optim.Adam(beta1=1) | optim.Adam(beta2=-1)",
        TypeError="optim.Adam(beta1='a') | optim.Adam(betas=(0.8, 0.9), beta1=0.8)",
    ),
    entry(
        "optim.RMSprop: decay_rate",
        "optim.RMSprop(decay_rate=0.9)",
        ValueError="optim.RMSprop(decay_rate=2)",
        TypeError="optim.RMSprop(decay_rate='a') | optim.RMSprop(alpha=0.8, decay_rate=0.8)",
    ),
    entry(
        "optim.SGD.update: numbers",
        "rule.update({'x': 1.0}, {'x': 2})",
        TypeError="rule.update({'x': True}, {'x': 2}) | rule.update({'x': 1.0}, {'x': 'a'}) | "
        "rule.update(types.MappingProxyType({'x': 1.0}), {'x': 2})",
        ValueError="rule.update({'x': 1.0}, {'x': [1, 2]}) | rule.update({'x': 1.0}, {})",
    ),
    entry(
        "optim.SGD.update",
        "rule.update(params, grads)",
        TypeError="rule.update(None, grads) | rule.update(params, None) | "
        "rule.update({'W1': labels}, grads) | rule.update(params, {'W1': 'a', 'b1': b})",
        ValueError="rule.update(params, {}) | rule.update(params, {'W1': b, 'b1': b}) | "
        "rule.update({'W1': frozen}, grads) | rule.update({'W1': W, 'b1': W}, grads) | "
        "sgd.update(params, grads)",
    ),
    entry(
        "optim.SGD: attributes",
        "rule.__setattr__('lr', 0.5)",
        TypeError="rule.__setattr__('lr', 'a')",
        ValueError="rule.__setattr__('lr', np.nan) | rule.__setattr__('momentum', -1) | "
        "optim.Adam().__setattr__('betas', (0.9, 1.5))",
    ),
    entry("optim.SGD.step", "sgd.step()", ValueError="rule.step()", TypeError="sgd.step(3)"),
    entry(
        "optim.SGD.add_param_group",
        "sgd.add_param_group({'params': [nn.Parameter(x)]})",
        TypeError="sgd.add_param_group(3) | sgd.add_param_group({'params': [3]})",
        ValueError="sgd.add_param_group({'params': model.parameters()}) | "
        "sgd.add_param_group({'params': [nn.Parameter(x)], 'lr': -1}) | "
        "rule.add_param_group({'params': [x]})",
    ),
    entry(
        "optim.SGD.load_state_dict",
        "sgd.load_state_dict(sgd.state_dict())",
        TypeError="sgd.load_state_dict(None) | sgd.load_state_dict({}) | sgd.load_state_dict(X)",
        ValueError="optim.SGD([x], lr=0.1).load_state_dict(sgd.state_dict()) | rule.load_state_dict({})",
    ),
    entry("optim.SGD.state_dict", "sgd.state_dict()", ValueError="rule.state_dict()"),
    entry(
        "StepDecay",
        "StepDecay(2)(1)",
        TypeError="StepDecay('a') | StepDecay(2)('a')",
        ValueError="StepDecay(0) | StepDecay(2, -1) | StepDecay(2)(-1)",
    ),
    entry(
        "CosineDecay",
        "CosineDecay(2)(1)",
        TypeError="CosineDecay(None) | CosineDecay(2)(None)",
        ValueError="CosineDecay(0) | CosineDecay(2, np.nan)",
    ),
    entry(
        "WarmUp", "WarmUp(2)(1)", TypeError="WarmUp('a') | WarmUp(2, then=3) | WarmUp(2)('a')", ValueError="WarmUp(-1)"
    ),
    entry(
        "InverseScaling",
        "InverseScaling(0.5)(1)",
        TypeError="InverseScaling('a')",
        ValueError="InverseScaling(-1) | InverseScaling(0.5)(-1)",
    ),
    entry(
        "clip_by_norm",
        "fastbp.clip_by_norm(grads, 1.0)",
        TypeError="fastbp.clip_by_norm(3, 1.0) | fastbp.clip_by_norm(grads, 'a') | "
        "fastbp.clip_by_norm({'W1': 'a'}, 1.0)",
        ValueError="fastbp.clip_by_norm(grads, -1) | fastbp.clip_by_norm(grads, np.nan)",
    ),
    entry(
        "clip_by_value",
        "fastbp.clip_by_value(grads, 1.0)",
        TypeError="fastbp.clip_by_value(3, 1.0)",
        ValueError="fastbp.clip_by_value(grads, -1)",
    ),
    *(
        entry(
            f"lr_scheduler.{name}",
            f"lr_scheduler.{name}(rule, {good})",
            TypeError=f"lr_scheduler.{name}(3, {good}) | lr_scheduler.{name}(rule, {bad})",
        )
        for name, good, bad in [
            ("StepLR", "2", "'a'"),
            ("MultiStepLR", "[2]", "3"),
            ("ExponentialLR", "0.9", "'a'"),
            ("ConstantLR", "0.5", "'a'"),
            ("LinearLR", "0.5", "None"),
            ("PolynomialLR", "5", "'a'"),
            ("LambdaLR", "lambda epoch: 0.5", "3"),
            ("MultiplicativeLR", "lambda epoch: 0.5", "3"),
            ("CosineAnnealingLR", "5", "None"),
            ("CosineAnnealingWarmRestarts", "5", "2.5"),
            ("ReduceLROnPlateau", "'min'", "'min', 'a'"),
        ]
    ),
    entry(
        "swa_utils.SWALR",
        "swa_utils.SWALR(rule, 0.05)",
        TypeError="swa_utils.SWALR(3, 0.05) | swa_utils.SWALR(rule, 'a')",
        ValueError="swa_utils.SWALR(rule, -1) | swa_utils.SWALR(rule, [0.1, 0.2]) | "
        "swa_utils.SWALR(rule, 0.1, -1) | swa_utils.SWALR(rule, 0.1, anneal_strategy='a')",
    ),
    entry(
        "swa_utils.AveragedModel",
        "swa_utils.AveragedModel(linear)",
        TypeError="swa_utils.AveragedModel(3) | swa_utils.AveragedModel(linear, use_buffers=3)",
        ValueError="swa_utils.AveragedModel(linear, avg_fn=abs, multi_avg_fn=abs)",
        RuntimeError="swa_utils.AveragedModel(linear, device='cuda')",
    ),
    entry(
        "swa_utils.AveragedModel.update_parameters",
        "swa_utils.AveragedModel(linear).update_parameters(linear)",
        TypeError="swa_utils.AveragedModel(linear).update_parameters(3)",
        ValueError="swa_utils.AveragedModel(linear).update_parameters(embedding)",
    ),
    entry("swa_utils.update_bn", "swa_utils.update_bn([x], linear)", TypeError="swa_utils.update_bn([x], 3)"),
    *(
        entry(
            f"swa_utils.{name}",
            f"swa_utils.{name}(0.9)",
            TypeError=f"swa_utils.{name}('a')",
            ValueError=f"swa_utils.{name}(1.5)",
        )
        for name in ("get_ema_avg_fn", "get_ema_multi_avg_fn")
    ),
    entry(
        "lr_scheduler.SequentialLR",
        "lr_scheduler.SequentialLR(step_lr.optimizer, [step_lr], [])",
        TypeError="lr_scheduler.SequentialLR(3, [step_lr], []) | "
        "lr_scheduler.SequentialLR(step_lr.optimizer, 3, []) | "
        "lr_scheduler.SequentialLR(step_lr.optimizer, [step_lr], 3)",
        ValueError="lr_scheduler.SequentialLR(step_lr.optimizer, [step_lr], [1, 2]) | "
        "lr_scheduler.SequentialLR(rule, [step_lr], [])",
    ),
    entry(
        "lr_scheduler.OneCycleLR",
        "lr_scheduler.OneCycleLR(sgd, 0.1, total_steps=9)",
        TypeError="lr_scheduler.OneCycleLR(3, 0.1, total_steps=9) | lr_scheduler.OneCycleLR(sgd, 'a', total_steps=9)",
        ValueError="lr_scheduler.OneCycleLR(sgd, 0.1) | "
        "lr_scheduler.OneCycleLR(sgd, 0.1, total_steps=0) | "
        "lr_scheduler.OneCycleLR(sgd, 0.1, total_steps=9, pct_start=2) | "
        "lr_scheduler.OneCycleLR(sgd, 0.1, total_steps=9, div_factor=0) | "
        "lr_scheduler.OneCycleLR(sgd, 0.1, total_steps=9, final_div_factor=np.nan)",
    ),
    entry(
        "lr_scheduler.ChainedScheduler",
        "chained.step()",
        TypeError="lr_scheduler.ChainedScheduler(3) | lr_scheduler.ChainedScheduler(['a'])",
        ValueError="lr_scheduler.ChainedScheduler([])",
    ),
    entry(
        "lr_scheduler.LambdaLR: its function",
        "step_lr.step()",
        TypeError="lr_scheduler.LambdaLR(rule, lambda epoch: None)",
        ValueError="lr_scheduler.LambdaLR(rule, lambda epoch: np.nan)",
    ),
    entry(
        "lr_scheduler.StepLR: numbers",
        "lr_scheduler.StepLR(rule, 2)",
        ValueError="lr_scheduler.StepLR(rule, 0) | lr_scheduler.StepLR(rule, 2, np.nan)",
    ),
    entry("lr_scheduler.StepLR.step", "step_lr.step()", TypeError="step_lr.step('a')", ValueError="step_lr.step(-1)"),
    entry(
        "lr_scheduler.StepLR.load_state_dict",
        "step_lr.load_state_dict(step_lr.state_dict())",
        TypeError="step_lr.load_state_dict(None)",
        ValueError="step_lr.load_state_dict({})",
    ),
    entry(
        "lr_scheduler.SequentialLR.load_state_dict",
        "chained.load_state_dict(chained.state_dict())",
        TypeError="chained.load_state_dict(None)",
        ValueError="chained.load_state_dict({})",
    ),
    entry(
        "lr_scheduler.ReduceLROnPlateau.step",
        "plateau.step(1.0)",
        TypeError="plateau.step(None) | plateau.step('a') | plateau.step(X)",
    ),
]

DATA = [
    entry(
        "datasets.one_hot",
        "datasets.one_hot(labels, 4)",
        TypeError="datasets.one_hot(labels / 2)",
        ValueError="datasets.one_hot(labels, 2**63) | "
        "datasets.one_hot(None) | datasets.one_hot('a') | datasets.one_hot(X) | "
        "datasets.one_hot(labels, 2) | datasets.one_hot(labels - 1) | "
        "datasets.one_hot(labels, 0) | datasets.one_hot([])",
    ),
    entry(
        "datasets.load_iris",
        "datasets.load_iris()",
        ValueError="datasets.load_iris(test_size=2) | datasets.load_iris(test_size='a') | datasets.load_iris(test_size=np.nan) | "
        "datasets.load_iris([0, 9]) | datasets.load_iris(seed=-1)",
        TypeError="datasets.load_iris(seed='a')",
    ),
    entry(
        "datasets.spiral",
        "datasets.spiral(30, 3, 0.1)",
        ValueError="datasets.spiral(5) | datasets.spiral(2**62) | datasets.spiral(30, 1) | datasets.spiral(30, 2**70) | "
        "datasets.spiral(noise=-1) | datasets.spiral(noise=np.nan) | datasets.spiral(seed=-1) | "
        "datasets.spiral(test_size=2)",
        TypeError="datasets.spiral(30.0) | datasets.spiral(None) | datasets.spiral(classes='a') | "
        "datasets.spiral(noise='a') | datasets.spiral(seed=X) | datasets.spiral(one_hot_label='a')",
    ),
    entry(
        "datasets.moons",
        "datasets.moons(30, 0.1)",
        ValueError="datasets.moons(3) | datasets.moons(2**62) | datasets.moons(noise=np.inf) | datasets.moons(seed=-1) | "
        "datasets.moons(test_size='a')",
        TypeError="datasets.moons(X) | datasets.moons(noise=None) | datasets.moons(seed='a')",
    ),
    entry(
        "datasets.circles",
        "datasets.circles(30, 0.1, 0.3)",
        ValueError="datasets.circles(3) | datasets.circles(noise=-1) | datasets.circles(factor=-0.1) | "
        "datasets.circles(factor=np.nan) | datasets.circles(test_size=X)",
        TypeError="datasets.circles('a') | datasets.circles(factor='a') | datasets.circles(seed=1.5)",
    ),
    *(
        entry(
            f"datasets.{loader}",
            f"datasets.{loader}()",
            ValueError=f"datasets.{loader}(test_size=2) | datasets.{loader}(seed=-1)",
            TypeError=f"datasets.{loader}(standardize='a') | datasets.{loader}(standardize=X)",
        )
        for loader in ("load_wine", "load_breast_cancer", "load_diabetes")
    ),
    entry(
        "datasets.load_digits",
        "datasets.load_iris()",
        ValueError="datasets.load_digits(test_size=2) | datasets.load_digits(seed=-1)",
    ),
    entry("book.sigmoid", "book.sigmoid(X)", TypeError="book.sigmoid('a')"),
    entry("book.sigmoid_grad", "book.sigmoid_grad(X)", TypeError="book.sigmoid_grad(None)"),
    entry("book.relu", "book.relu(X)", TypeError="book.relu('a')"),
    entry("book.relu_grad", "book.relu_grad(X)", TypeError="book.relu_grad('a')"),
    entry("book.step_function", "book.step_function(X)", TypeError="book.step_function('a')"),
    entry(
        "book.sum_squared_error",
        "book.sum_squared_error(X, X)",
        ValueError="book.sum_squared_error(np.ones((5, 1)), np.ones(5))",
        TypeError="book.sum_squared_error(X, None)",
    ),
    entry("book.softmax_loss", "book.softmax_loss(X, labels)", ValueError="book.softmax_loss(X, labels + 9)"),
    entry(
        "book.numerical_gradient_2d",
        "book.numerical_gradient_2d(np.sum, X)",
        TypeError="book.numerical_gradient_2d(np.sum, labels) | book.numerical_gradient_2d('a', X)",
    ),
    entry(
        "book.numerical_diff",
        "book.numerical_diff(np.sin, X)",
        TypeError="book.numerical_diff(np.sin, 'a') | book.numerical_diff(X, 1)",
        ValueError="book.numerical_diff(np.sin, 1e300)",
    ),
    entry("book.shuffle_dataset", "book.softmax(X)", ValueError="book.shuffle_dataset(X, labels[:3])"),
    entry(
        "book.smooth_curve",
        "book.smooth_curve(X[:, 0].repeat(2))",
        ValueError="book.smooth_curve(X[:, 0]) | book.smooth_curve(X)",
        TypeError="book.smooth_curve(list('abcdefg'))",
    ),
    entry("book.SGD", "book.SGD(0.1)", TypeError="book.SGD('a')", ValueError="book.SGD(-1)"),
    entry(
        "book.TwoLayerNet",
        "book.softmax(X)",
        ValueError="book.TwoLayerNet(0, 3, 2) | book.TwoLayerNet(4, 3, 2, 'small')",
        TypeError="book.TwoLayerNet(4, 'a', 2)",
    ),
    entry(
        "book.MultiLayerNet",
        "book.softmax(X)",
        ValueError="book.MultiLayerNet(4, [3], 2, activation='tanh') | "
        "book.MultiLayerNet(4, [3], 2, weight_decay_lambda=-1)",
        TypeError="book.MultiLayerNet(4, 3, 2)",
    ),
    entry(
        "book.MultiLayerNetExtend",
        "book.softmax(X)",
        ValueError="book.MultiLayerNetExtend(4, [3], 2, use_dropout=True, dropout_ration=1.5)",
        TypeError="book.MultiLayerNetExtend(4.0, [3], 2)",
    ),
    entry(
        "book.Trainer",
        "book.softmax(X)",
        ValueError="book.Trainer(net, X, labels[:3], X, labels) | "
        "book.Trainer(net, X, labels, X, labels, optimizer='adma')",
        TypeError="book.Trainer(net, X, labels, X, labels, epochs='a')",
    ),
    entry("datasets.load_mnist", "datasets.load_iris()", FileNotFoundError="datasets.load_mnist('/no/such/folder')"),
    entry(
        "datasets.read_idx",
        "datasets.load_iris()",
        FileNotFoundError="datasets.read_idx('/no/such/file')",
        TypeError="datasets.read_idx(3)",
    ),
    entry(
        "data.TensorDataset",
        "data.TensorDataset(x, classes)[0]",
        TypeError="data.TensorDataset(x, 3) | data.TensorDataset(X)",
        ValueError="data.TensorDataset(x, classes[:2]) | data.TensorDataset()",
        IndexError="rows[9]",
    ),
    entry(
        "data.Subset",
        "data.Subset(rows, [0, 1])[1]",
        TypeError="data.Subset(3, [0]) | data.Subset(rows, 3) | data.Subset(rows, [0])['a']",
        IndexError="data.Subset(rows, [0])[1]",
        ValueError="data.Subset(rows, np.ma.masked_array([0], [True]))",
    ),
    entry(
        "data.ConcatDataset",
        "data.ConcatDataset([rows, rows])[4]",
        TypeError="data.ConcatDataset(3) | data.ConcatDataset([3]) | data.ConcatDataset([rows])[1:]",
        IndexError="data.ConcatDataset([rows, rows])[-9]",
        ValueError="data.ConcatDataset([])",
    ),
    entry(
        "data.random_split",
        "data.random_split(rows, [2, 1])",
        TypeError="data.random_split(3, [1]) | data.random_split(rows, 3) | data.random_split(rows, ['a'])",
        ValueError="data.random_split(rows, [1.5, 1.5]) | data.random_split(rows, [0.5, 0.6]) | "
        "data.random_split(rows, [2, 2]) | data.random_split(rows, [5, -2]) | "
        "data.random_split(rows, [np.nan])",
    ),
    entry("data.SequentialSampler", "list(data.SequentialSampler(rows))", TypeError="data.SequentialSampler(3)"),
    entry(
        "data.RandomSampler",
        "list(data.RandomSampler(rows))",
        TypeError="data.RandomSampler(3) | data.RandomSampler(rows, num_samples='a')",
        ValueError="data.RandomSampler(rows, num_samples=0) | data.RandomSampler([])",
    ),
    entry(
        "data.SubsetRandomSampler", "list(data.SubsetRandomSampler([0, 1]))", TypeError="data.SubsetRandomSampler(3)"
    ),
    entry(
        "data.WeightedRandomSampler",
        "list(data.WeightedRandomSampler([0.5, 0.5], 2))",
        TypeError="data.WeightedRandomSampler(None, 2) | data.WeightedRandomSampler([1], 'a')",
        ValueError="data.WeightedRandomSampler([-1, 2], 2) | "
        "data.WeightedRandomSampler([0, 0], 2) | data.WeightedRandomSampler([np.nan], 2) | "
        "data.WeightedRandomSampler([], 2) | data.WeightedRandomSampler([1.0], 0) | "
        "data.WeightedRandomSampler([1.0], 2, replacement=False)",
    ),
    entry(
        "data.BatchSampler",
        "list(data.BatchSampler([0, 1, 2], 2, False))",
        TypeError="data.BatchSampler(3, 2, False) | data.BatchSampler([0], 'a', False) | data.BatchSampler([0], True, False)",
        ValueError="data.BatchSampler([0], 0, False)",
    ),
    entry(
        "data.default_collate",
        "data.default_collate([1.0, 2.0])",
        TypeError="data.default_collate([{1}]) | data.default_collate(3)",
        ValueError="data.default_collate([]) | data.default_collate([X, W])",
        RuntimeError="data.default_collate([(1, 2), (1,)])",
    ),
    entry(
        "data.DataLoader",
        "list(data.DataLoader(rows, batch_size=2))",
        TypeError="data.DataLoader(3) | data.DataLoader(rows, batch_size='a') | "
        "data.DataLoader(rows, batch_size=True) | data.DataLoader(rows, collate_fn=3)",
        ValueError="data.DataLoader(rows, batch_size=0) | data.DataLoader(rows, batch_size=-1) | "
        "data.DataLoader(rows, shuffle=True, sampler=[0])",
    ),
    entry("data.Dataset", "rows[0]", NotImplementedError="data.Dataset()[0]"),
    entry("data.IterableDataset", "rows[0]", NotImplementedError="iter(data.IterableDataset())"),
    entry("data.Sampler", "rows[0]", NotImplementedError="iter(data.Sampler())"),
    entry(
        "graph.draw",
        "graph.draw(x.requires_grad_().sum())",
        TypeError="graph.draw(3) | graph.draw(leaf.sum(), path=3) | graph.draw(leaf.sum(), names=3) | "
        "graph.draw(leaf.sum(), input=x) | graph.draw(nn.ReLU(), input='a')",
        RuntimeError="graph.draw(x.sum())",
        ValueError="graph.draw(leaf.sum(), path='a.jpeg') | graph.draw(nn.ReLU())",
    ),
    entry(
        "plots.decision_boundary",
        "plots.decision_boundary(np.sign, [[0.0, 1.0]], [0], resolution=9)",
        ValueError="plots.decision_boundary(np.sign, [[0.0]], [0]) | plots.decision_boundary(np.sign, [[0.0, 1.0]], [0, 1]) | "
        "plots.decision_boundary(np.sign, [[0.0, 1.0]], [0.5]) | plots.decision_boundary(np.sign, [[0.0, 1.0]], [0], names=['a']) | "
        "plots.decision_boundary(np.cos, [[0.0, 1.0]], [0], resolution=1)",
        TypeError="plots.decision_boundary(np.sign, [[0.0, 1.0]], [0], names='a') | plots.decision_boundary(3, [[0.0, 1.0]], [0]) | plots.decision_boundary(np.sign, 'a', [0])",
    ),
    entry(
        "plots.confusion_matrix",
        "plots.confusion_matrix([0, 1], [1, 1])",
        ValueError="plots.confusion_matrix([0, 1], [1]) | plots.confusion_matrix([0, 5], [1, 1], classes=['a', 'b']) | "
        "plots.confusion_matrix([0.5, 1], [1, 1]) | plots.confusion_matrix(['a'], ['b'], classes=['a'])",
        TypeError="plots.confusion_matrix([0, 1], ['a', 'b']) | plots.confusion_matrix([0], [1], classes=3)",
    ),
    entry(
        "plots.weights",
        "plots.weights(np.ones((4, 2)))",
        ValueError="plots.weights(np.ones((3, 2))) | plots.weights(np.ones(4)) | plots.weights(np.ones((4, 2)), shape=(3, 2)) | "
        "plots.weights(np.ones((4, 2)), n_units=0)",
        TypeError="plots.weights('a') | plots.weights(np.ones((4, 2)), shape=2) | plots.weights(np.ones((4, 2)), n_units='a')",
    ),
    entry(
        "plots.network",
        "plots.network(model)",
        ValueError="plots.network(np.ones(4)) | plots.network(model, inputs=['a']) | plots.network(np.ones((50, 50)))",
        TypeError="plots.network('a') | plots.network(model, outputs=3)",
    ),
    entry(
        "plots.histograms",
        "plots.histograms(net, X, labels)",
        ValueError="plots.histograms(nn.ReLU(), X) | plots.histograms(model, X, labels)",
        TypeError="plots.histograms(3, X) | plots.histograms(model, 'a')",
    ),
    entry("plots.Snapshots.histograms", "seen.histograms()", ValueError="plots.Snapshots(X).histograms()"),
    entry(
        "plots.loss_surface",
        "plots.loss_surface(lambda a, b: a * b, resolution=5)",
        ValueError="plots.loss_surface(lambda a, b: a * b, resolution=2) | plots.loss_surface(lambda a, b: a, span=0) | "
        "plots.loss_surface(lambda a, b: np.nan, resolution=5) | plots.loss_surface(lambda a, b: a, {'a': []}) | "
        "plots.loss_surface(lambda a, b: a, {'a': [1.0]}) | plots.loss_surface(net) | "
        "plots.loss_surface(net, {'a': [{}]}, x=X, t=labels)",
        TypeError="plots.loss_surface(3) | plots.loss_surface(lambda a, b: a, 3) | plots.loss_surface(lambda a, b: a, x=X)",
    ),
    entry(
        "plots.learning_curves",
        "plots.learning_curves({'train_loss': [1.0]})",
        ValueError="plots.learning_curves({}) | plots.learning_curves({'train_loss': []})",
        TypeError="plots.learning_curves({'train_loss': ['a']}) | plots.learning_curves(3) | plots.learning_curves({'train_loss': [1.0]}, 3)",
    ),
    entry(
        "graph.Picture.save",
        "picture.save(folder + '/a.svg')",
        TypeError="picture.save(3)",
        ValueError="picture.save('a.jpeg')",
        FileNotFoundError="picture.save('/no/such/folder/a.svg')",
    ),
]

EXPORT = [
    entry(
        "export.to_onnx",
        "export.to_onnx(net)",
        TypeError="export.to_onnx(3) | export.to_onnx(net, 3) | export.to_onnx(net, shape=4) | "
        "export.to_onnx(net, classes='abc') | export.to_onnx(net, preprocessing=3) | "
        "export.to_onnx(net, preprocessing=export.Preprocessing([3])) | "
        "export.to_onnx(net, preprocessing=export.Preprocessing([export.Feature('a')]))",
        ValueError="export.to_onnx(net, shape=()) | export.to_onnx(net, shape=(7,)) | "
        "export.to_onnx(net, classes=['a']) | export.to_onnx(Sequential(Relu())) | "
        "export.to_onnx(net, preprocessing=export.Preprocessing([])) | "
        "export.to_onnx(net, preprocessing=export.Preprocessing([export.Feature(0, scale=0)]))",
        FileNotFoundError="export.to_onnx(net, '/no/such/folder/a.onnx')",
    ),
    entry(
        "export.to_c",
        "export.to_c(net)",
        TypeError="export.to_c(3) | export.to_c(net, 3) | export.to_c(net, name=3)",
        ValueError="export.to_c(net, name='2 nets') | export.to_c(net, shape=(7,))",
        FileNotFoundError="export.to_c(net, '/no/such/folder/a.c')",
    ),
    entry(
        "export.export_file",
        "export.to_c(net)",
        TypeError="export.export_file(3, 'a.c') | export.export_file('a.safetensors', 3)",
        ValueError="export.export_file('a.safetensors', 'a.pt')",
    ),
    entry(
        "export.Preprocessing.apply",
        "columns.apply(X)",
        TypeError="columns.apply('a')",
        ValueError="columns.apply(X[0]) | columns.apply(X[:, :2])",
    ),
    entry(
        "export.Preprocessing.restore",
        "columns.restore(X)",
        TypeError="columns.restore('a')",
        ValueError="export.Preprocessing([export.Feature(0)], scale=[1.0, 2.0]).restore(X)",
    ),
]
HAS_ONNX = importlib.util.find_spec("onnx") is not None

# Kernels are contracts: they refuse arrays as Cython's memoryviews word it, and the rest in ours.
KERNELS = [
    entry(
        "kernels.activation_forward",
        "kernels.activation_forward('relu', a, out)",
        TypeError="kernels.activation_forward('relu', None, out) | kernels.activation_forward('relu', [1.0], out)",
        ValueError="kernels.activation_forward('relu', a, out[:3]) | "
        "kernels.activation_forward('relu', memory[:8], memory[1:9]) | "
        "kernels.activation_forward('relu', a[::2], out[:4]) | "
        "kernels.activation_forward('rleu', a, out) | "
        "kernels.activation_forward('leaky_relu', a, out) | "
        "kernels.activation_forward('relu', a.astype('i8'), out)",
    ),
    entry(
        "kernels.activation_backward",
        "kernels.activation_backward('elu', a, a + 1, out, 1, 1)",
        TypeError="kernels.activation_backward('elu', None, a, out, 1, 1)",
        ValueError="kernels.activation_backward('elu', a, a[:3], out, 1, 1)",
    ),
    entry(
        "kernels.affine_forward",
        "kernels.affine_forward(X, W, b, dout)",
        TypeError="kernels.affine_forward(X, None, b, dout)",
        ValueError="kernels.affine_forward(X, W, b, OUT) | "
        "kernels.affine_forward(X, W.T, b, dout) | kernels.affine_forward(X, W, W[0], W) | "
        "kernels.affine_forward(X, W, b, np.broadcast_to(b, (5, 3)))",
    ),
    entry(
        "kernels.affine_backward",
        "kernels.affine_backward(dout, X, W, None, W.copy(), b.copy())",
        TypeError="kernels.affine_backward(dout, X, None, None, W.copy(), b.copy())",
        ValueError="kernels.affine_backward(dout, X, W, None, W, b.copy())",
    ),
    entry(
        "kernels.embedding_forward",
        "kernels.embedding_forward(a, t.reshape(2, 1), t[1:], OUT)",
        TypeError="kernels.embedding_forward(None, t.reshape(2, 1), t[1:], OUT)",
        ValueError="kernels.embedding_forward(a, t.reshape(2, 1) + 3, t[1:], OUT) | "
        "kernels.embedding_forward(a, t.reshape(2, 1), t[1:] + 2, OUT) | "
        "kernels.embedding_forward(a, t.reshape(1, 2), t[1:], OUT)",
    ),
    entry(
        "kernels.embedding_backward",
        "kernels.embedding_backward(A, t.reshape(2, 1), t[1:], out)",
        TypeError="kernels.embedding_backward(None, t.reshape(2, 1), t[1:], out)",
        ValueError="kernels.embedding_backward(A, t.reshape(2, 1) + 3, t[1:], out)",
    ),
    entry("kernels.bias_sum", "kernels.bias_sum(dout, b)", ValueError="kernels.bias_sum(dout, a)"),
    entry(
        "kernels.transpose",
        "kernels.transpose(X, X.T.copy())",
        ValueError="kernels.transpose(X, W) | kernels.transpose(X[:3], X[:3])",
    ),
    entry(
        "kernels.dropout",
        "kernels.dropout(a, out, 3, 0.5)",
        ValueError="kernels.dropout(a, out, 3, 1.0) | kernels.dropout(a, out[:3], 3, 0.5)",
    ),
    entry("kernels.dropout_key", "kernels.dropout_key(1, 2, 3)", OverflowError="kernels.dropout_key(-1, 2, 3)"),
    entry(
        "kernels.epoch_order",
        "kernels.epoch_order(np.arange(3), 1, 2)",
        TypeError="kernels.epoch_order(None, 1, 2)",
        OverflowError="kernels.epoch_order(np.arange(3), -1, 2)",
        ValueError="kernels.epoch_order(a, 1, 2)",
    ),
    entry(
        "kernels.batch_norm_forward",
        "kernels.bias_sum(dout, b)",
        ValueError="kernels.batch_norm_forward(A, b, b, OUT, OUT, b, b, b, 1e-5, 0.1, True)",
    ),
    entry(
        "kernels.batch_norm_backward",
        "kernels.bias_sum(dout, b)",
        ValueError="kernels.batch_norm_backward(A, A, b, b, OUT, b, b)",
    ),
    entry("kernels.softmax_forward", "kernels.softmax_forward(A, OUT)", ValueError="kernels.softmax_forward(A, dout)"),
    *(
        entry(f"kernels.{name}_cross_entropy_{way}", "kernels.softmax_forward(A, OUT)", ValueError=bad)
        for name, way, bad in [
            ("softmax", "forward", "kernels.softmax_cross_entropy_forward(A, t + 9, OUT)"),
            ("softmax", "backward", "kernels.softmax_cross_entropy_backward(A, t - 1, 1.0, OUT)"),
            ("soft", "forward", "kernels.soft_cross_entropy_forward(A, dout, OUT)"),
            ("soft", "backward", "kernels.soft_cross_entropy_backward(A, dout, 1.0, OUT)"),
        ]
    ),
    entry(
        "kernels.loss_forward",
        "kernels.loss_forward('huber', a, a, None, 1.0)",
        TypeError="kernels.loss_forward('squared', [1.0], a, None)",
        ValueError="kernels.loss_forward('squared', a, a[:3], None) | "
        "kernels.loss_forward('squared', a, a, out) | kernels.loss_forward('poisson', a, a, None) | "
        "kernels.loss_forward('huber', a, a, None) | kernels.loss_forward('square', a, a, None)",
    ),
    entry(
        "kernels.loss_backward",
        "kernels.loss_backward('huber', a, a, 1.0, out, 1.0)",
        TypeError="kernels.loss_backward('squared', a, None, 1.0, out)",
        ValueError="kernels.loss_backward('squared', a, a[:3], 1.0, out)",
    ),
    entry(
        "kernels.update",
        "kernels.update('sgd', out, a, lr=0.1)",
        ValueError="kernels.update('sgd', out, a[:3], lr=0.1) | "
        "kernels.update('sgd', out, a, lr=0.1, momentum=0.9) | "
        "kernels.update('adma', out, a, lr=0.1) | "
        "kernels.update('sgd', out, a, a.copy(), lr=0.1) | "
        "kernels.update('sgd', out, a, lr=0.1, decoupled=True) | "
        "kernels.update('sgd', out, a, lr=0.1, step=0) | "
        "kernels.update('sgd', frozen.ravel(), W.ravel(), lr=0.1)",
    ),
]

# What scikit-learn refuses, it says in its own words; here are those of fastbp.
ESTIMATORS = [
    entry(
        "MLPClassifier.fit",
        "classifier.predict(X)",
        ValueError="estimators.MLPClassifier(class_weight={'cat': 1.0}).fit(X, labels) | "
        "estimators.MLPClassifier(batch_norm=True, batch_size=1).fit(X, labels) | "
        "estimators.MLPClassifier(class_weight={0: 0, 1: 0, 2: 0}).fit(X, labels) | "
        "estimators.MLPClassifier(dropout=1.0).fit(X, labels) | "
        "estimators.MLPClassifier(2**62).fit(X, labels) | "
        "classifier.fit(X, labels, X_val=X) | classifier.fit(X, labels, y_val=labels) | "
        "classifier.fit(X, labels, sample_weight_val=labels) | "
        "classifier.fit(X, labels, validation_data=(X, labels), X_val=X) | "
        "classifier.fit(X, labels, X_val=X[:, :2], y_val=labels)",
        TypeError="estimators.MLPClassifier(schedule=3).fit(X, labels) | "
        "estimators.MLPClassifier(callbacks=3).fit(X, labels)",
    ),
    entry(
        "MLPClassifier.partial_fit",
        "classifier.predict(X)",
        ValueError="estimators.MLPClassifier(class_weight='balanced').partial_fit(X, labels, classes=[0, 1, 2])",
    ),
    entry("MLPClassifier.hidden", "classifier.hidden(X)", ValueError="classifier.hidden(X, 9)"),
    entry(
        "MLPClassifier.predict",
        "classifier.predict(X)",
        ValueError="classifier.predict(broken_csr()) | classifier.predict(broken_csr().T)",
    ),
    entry(
        "Trainer.step",
        "trainer.step(X, labels)",
        ValueError="trainer.step(broken_csr(), labels[:4]) | trainer.step(broken_csr().T, labels[:4])",
    ),
    entry(
        "MLPRegressor.fit",
        "regressor.predict(X)",
        TypeError="regressor.fit(X, ['a'] * 5)",
        ValueError="estimators.MLPRegressor(loss='poisson').fit(X, -X) | "
        "regressor.fit(X, labels, sample_weight=[1, -1, 0, 0, 0])",
    ),
    entry("MLPRegressor.hidden", "regressor.hidden(X)", ValueError="regressor.hidden(X, 9)"),
]
HAS_SKLEARN = importlib.util.find_spec("sklearn") is not None
MASKED = [  # where one number or an index is meant, too
    entry(
        "masked numbers",
        "x[0]",
        ValueError="x[np.ma.masked_array([0, 1], [0, 1])] | "
        "x[:, np.ma.masked_array([0, 1], [0, 1])] | x[[0, np.ma.masked]] | "
        "x.__setitem__(np.ma.masked_array([0, 1], [0, 1]), 0.0) | "
        "nn.init.constant_(x, np.ma.masked) | nn.init.uniform_(x, np.ma.masked, 1.0) | "
        "nn.init.normal_(x, np.ma.masked) | fastbp.arange(np.ma.masked) | "
        "fastbp.linspace(np.ma.masked, 1, 3) | fastbp.logspace(0, np.ma.masked, 3) | "
        "fastbp.nan_to_num(x, np.ma.masked)",
    )
]

ARRAYS = [  # in the place of something else: shown in one line
    entry(
        "an array elsewhere",
        "Sequential(Affine(W, b)).predict(X)",
        TypeError="Sequential(X) | linear.train(X) | Sequential(Affine(W, b), loss=X) | optim.Adam(X) | "
        "fastbp.ones(2, dtype=one_hot.astype(int)) | fastbp.ones(2, dtype=fastbp.ones(2, 2)) | "
        "net.fit(X, labels, epochs=1, optimizer=rule, schedule=X)",
        ValueError="EarlyStopping(monitor=X) | optim.Adam(betas=X) | "
        "datasets.one_hot(labels, X) | datasets.load_iris(classes=X) | "
        "datasets.load_iris(test_size=X) | fastbp.div(x, x, rounding_mode=x) | "
        "Sequential.from_config([X]) | EarlyStopping(monitor=10**5000)",
        RuntimeError="fastbp.ones(2, device=X)",
    )
]
_OF_A_TABLE = "table_model.predict(TABLE)"
TABLES = [
    entry(
        "tune",
        "fastbp.tune(TABLE, 'kind', n_trials=1, sampler='random', n_jobs=1).sampler",
        TypeError="fastbp.tune(TABLE, 'kind', n_trials='a') | fastbp.tune(TABLE, 'kind', minutes='a')",
        ValueError="fastbp.tune(TABLE, 'kin') | fastbp.tune(TABLE, 'kind', n_trials=0) | "
        "fastbp.tune(TABLE, 'kind', sampler='grid') | fastbp.tune(TABLE, 'kind', lr=0.1) | "
        "fastbp.tune(TABLE, 'kind', validation_size=0)",
    ),
    entry(
        "TableModel",
        "fastbp.TableModel(hidden=(3,))",
        TypeError="fastbp.TableModel(hidden=3) | fastbp.TableModel(epochs='a') | fastbp.TableModel(group=3) | "
        "fastbp.TableModel(ignore='a') | fastbp.TableModel(refit='yes')",
        ValueError="fastbp.TableModel(task='guess') | fastbp.TableModel(hidden=(0,)) | fastbp.TableModel(lr=0) | "
        "fastbp.TableModel(test_size=0.9) | fastbp.TableModel(group='a', time='b') | "
        "fastbp.TableModel(optimizer='newton') | fastbp.TableModel(class_weight='much')",
    ),
    entry(
        "TableModel.fit",
        "fastbp.TableModel(epochs=1).fit(TABLE, 'kind').predict(TABLE)",
        ValueError="fastbp.TableModel().fit(TABLE, 'kin') | fastbp.TableModel(ignore=['a']).fit(TABLE, 'kind') | "
        "fastbp.TableModel().fit(TABLE, labels) | fastbp.TableModel(time='kind').fit(TABLE, 'a') | "
        "fastbp.TableModel(group='kind').fit(TABLE, 'kind')",
        TypeError="fastbp.TableModel().fit(TABLE, 'kind', epochs=3) | fastbp.TableModel().fit(None, 'kind') | "
        "fastbp.TableModel().fit(TABLE, 'kind', delimiter=';')",
    ),
    entry(
        "TableModel.predict",
        _OF_A_TABLE,
        TypeError="table_model.predict(3) | table_model.predict(TABLE, strict='yes') | table_model.predict(TABLE, names=['a'])",
        ValueError="table_model.predict({'b': [1.0]}) | table_model.predict({'a': ['x']})",
    ),
    entry("TableModel.predict_proba", _OF_A_TABLE, ValueError="table_model.predict_proba({'b': [1.0]})"),
    entry("TableModel.predicted", _OF_A_TABLE, ValueError="table_model.predicted({'b': [1.0]})"),
    entry(
        "TableModel.evaluate",
        _OF_A_TABLE,
        ValueError="table_model.evaluate({'a': [1.0]}) | table_model.evaluate({'a': [1.0], 'kind': ['r']})",
    ),
    entry(
        "TableModel.importances",
        _OF_A_TABLE,
        ValueError="table_model.importances(TABLE, n_repeats=0) | table_model.importances(TABLE, seed=-1)",
    ),
    entry(
        "TableModel.set_params",
        _OF_A_TABLE,
        TypeError="table_model.set_params(epochs='a')",
        ValueError="table_model.set_params(hiden=(3,)) | table_model.set_params(hidden=(0,))",
    ),
    entry(
        "TableModel.score",
        _OF_A_TABLE,
        ValueError="table_model.score({'a': [1.0]}) | table_model.score({'b': [1.0]}, ['p'])",
    ),
    entry(
        "tables.read",
        "tables.read(TABLE_FILE).names",
        TypeError="tables.read(3) | tables.read(None) | tables.read(TABLE_FILE, header='no') | "
        "tables.read(TABLE_FILE, ignore=3) | tables.read(TABLE_FILE, texts=3) | tables.read(TABLE_FILE, kinds_of=3) | "
        "tables.read(TABLE_FILE, progress=3)",
        ValueError="tables.read(TABLE_FILE, encoding='klingon') | tables.read(TABLE_FILE, delimiter='ab') | "
        "tables.read(TABLE_FILE, decimal='x') | tables.read(TABLE_FILE, ignore='c') | "
        "tables.read(TABLE_FILE, texts='c') | tables.read(TABLE_FILE, kinds_of={'a': 'int'}) | "
        "tables.read(TABLE_FILE, kinds_of={'b': 'number'})",
        FileNotFoundError="tables.read('/no/such.csv')",
        IsADirectoryError="tables.read('/')",
    ),
    entry(
        "tables.read_csv",
        "tables.read_csv(TABLE_FILE, 'a').x",
        TypeError="tables.read_csv(3, 'a')",
        ValueError="tables.read_csv(TABLE_FILE, 'c') | tables.read_csv(TABLE_FILE, None)",
        FileNotFoundError="tables.read_csv('/no/such.csv', 'a')",
    ),
    entry(
        "tables.columns_of",
        "tables.columns_of(TABLE).names",
        TypeError="tables.columns_of(None) | tables.columns_of(X, names=3) | tables.columns_of(X, kinds_of=3)",
        ValueError="tables.columns_of(X, names=['a']) | tables.columns_of(X, names=['a'] * 4) | "
        "tables.columns_of(X, kinds_of={'column1': 'int'}) | tables.columns_of({'a': [1], 'b': [1, 2]}) | "
        "tables.columns_of([[1, 2], [3]]) | tables.columns_of({'a': [1.0, np.inf]})",
    ),
    entry(
        "tables.Columns.column",
        "tables.columns_of(TABLE).column('a').values",
        ValueError="tables.columns_of(TABLE).column('c') | tables.columns_of(TABLE).column(3)",
    ),
    entry(
        "tables.Preprocessor.fit",
        "tables.Preprocessor().fit(TABLE, 'kind').transform(TABLE)",
        TypeError="tables.Preprocessor().fit(None) | tables.Preprocessor(max_categories='a').fit(TABLE) | "
        "tables.Preprocessor(strict=3).fit(TABLE) | tables.Preprocessor(ignore='a').fit(TABLE)",
        ValueError="tables.Preprocessor(max_categories=1).fit(TABLE) | tables.Preprocessor(many='x').fit(TABLE) | "
        "tables.Preprocessor(dtype=int).fit(TABLE) | tables.Preprocessor(ignore=['c']).fit(TABLE) | "
        "tables.Preprocessor().fit(TABLE, 'kin') | tables.Preprocessor().fit(TABLE, [1, 2]) | "
        "tables.Preprocessor().fit(TABLE, 'kind', task='guess') | tables.Preprocessor().fit({'a': [1.0, 1.0]})",
    ),
    entry(
        "tables.Preprocessor.fit_transform",
        "tables.Preprocessor().fit_transform(TABLE)",
        TypeError="tables.Preprocessor().fit_transform(None) | tables.Preprocessor(ignore=3).fit_transform(TABLE)",
        ValueError="tables.Preprocessor().fit_transform(TABLE, 'kin')",
    ),
    entry(
        "tables.Preprocessor.transform",
        "preprocessor.transform(TABLE)",
        TypeError="preprocessor.transform(None)",
        ValueError="tables.Preprocessor().transform(TABLE) | preprocessor.transform({'b': [1.0]}) | "
        "preprocessor.transform({'a': ['x']}) | preprocessor.transform({'a': [np.inf]})",
    ),
    entry(
        "tables.Preprocessor.transform_target",
        "preprocessor.transform_target('kind', TABLE)",
        ValueError="preprocessor.transform_target(['z']) | preprocessor.transform_target('kin', TABLE) | "
        "preprocessor.transform_target('kind') | preprocessor.transform_target(None)",
    ),
    entry(
        "tables.Preprocessor.inverse_target",
        "preprocessor.inverse_target([0, 1])",
        TypeError="preprocessor.inverse_target('a') | preprocessor.inverse_target([[0.5]])",
        ValueError="preprocessor.inverse_target([2]) | preprocessor.inverse_target([-1]) | "
        "tables.Preprocessor().fit(TABLE).inverse_target([1])",
    ),
    entry(
        "tables.Preprocessor.from_json",
        "tables.Preprocessor.from_json(preprocessor.to_json()).transform(TABLE)",
        ValueError="tables.Preprocessor.from_json('x') | tables.Preprocessor.from_json(3) | "
        "tables.Preprocessor.from_json('{}') | tables.Preprocessor().to_json() | tables.Preprocessor().document()",
    ),
    entry(
        "tables.Preprocessor.set_params",
        "tables.Preprocessor().set_params(many='codes')",
        ValueError="tables.Preprocessor().set_params(hiden=3)",
    ),
    entry(
        "tables.Preprocessor.set_output",
        "tables.Preprocessor().set_output(transform='default')",
        ValueError="tables.Preprocessor().set_output(transform='pandas')",
    ),
    entry("TableModel.save", _OF_A_TABLE, TypeError="table_model.save(None)"),
    entry(
        "TableModel.load",
        _OF_A_TABLE,
        TypeError="fastbp.TableModel.load(None)",
        FileNotFoundError="fastbp.TableModel.load('/no/such/model.safetensors')",
    ),
]
#: Of probabilities (3, 2) and of classes.
_BAD_SCORES = dict(
    TypeError="scores.{}(None, [0, 1, 1]) | scores.{}(P, None) | scores.{}(P, ['no', 'yes', 'yes']) | "
    "scores.{}(P, [0.0, 1.0, 1.0]) | scores.{}(P.astype(object), [0, 1, 1])",
    ValueError="scores.{}(P[:, 1], [0, 1, 1]) | scores.{}(P[:, :1], [0, 0, 0]) | scores.{}(P[:0], []) | "
    "scores.{}(P, [0, 1]) | scores.{}(P, [[0], [1], [1]]) | scores.{}(P, [0, 1, 2]) | scores.{}(P, [0, -1, 1]) | "
    "scores.{}(P, np.eye(2)[[0, 1, 1]]) | scores.{}(P + 1, [0, 1, 1]) | scores.{}(P * [-1, 3], [0, 1, 1]) | "
    "scores.{}(replaced(P, (1, 0), np.nan), [0, 1, 1]) | scores.{}([[0.5, 0.5], [1.0]], [0, 1])",
)
SCORES = [
    *(
        entry(
            f"scores.{name}",
            f"scores.{name}(P, [0, 1, 1])",
            **{error: calls.replace("{}", name) for error, calls in _BAD_SCORES.items()},
        )
        for name in ("of_classes", "confusion")
    ),
    entry(
        "scores.of_numbers",
        "scores.of_numbers([1.0, 2.0], [1.0, 3.0])",
        TypeError="scores.of_numbers(None, [1.0]) | scores.of_numbers(['a'], [1.0]) | scores.of_numbers([1.0], 'a') | "
        "scores.of_numbers([1j], [1.0])",
        ValueError="scores.of_numbers([1.0], [1.0, 2.0]) | scores.of_numbers([], []) | scores.of_numbers(1.0, 1.0) | "
        "scores.of_numbers(column(a), a) | scores.of_numbers(a, column(a)) | scores.of_numbers([np.nan], [1.0]) | "
        "scores.of_numbers([1.0, 2.0], [1.0, np.nan]) | scores.of_numbers([1.0, 2.0], [1.0, np.inf])",
    ),
]
ENTRIES = [
    *TABLES,
    *LAYERS,
    *LOSSES,
    *NETWORKS,
    *TENSORS,
    *NN,
    *OPTIMISERS,
    *DATA,
    *SCORES,
    *ARRAYS,
    *MASKED,
    *(EXPORT if HAS_ONNX else ()),
    *(ESTIMATORS if HAS_SKLEARN else ()),
    *KERNELS,
]

# --- all entry points -----------------------------------------------------------------------

#: Modules whose public names are entry points, and how the table calls them.
MODULES = {
    "fastbp": "",
    "fastbp.layers": "",
    "fastbp.losses": "",
    "fastbp.optim": "optim.",
    "fastbp.optim.lr_scheduler": "lr_scheduler.",
    "fastbp.nn": "nn.",
    "fastbp.optim.swa_utils": "swa_utils.",
    "fastbp.nn.functional": "F.",
    "fastbp.nn.init": "nn.init.",
    "fastbp.nn.utils": "nn.utils.",
    "fastbp.estimators": "",
    "fastbp.datasets": "datasets.",
    "fastbp.tables": "tables.",
    "fastbp.book": "book.",
    "fastbp.graph": "graph.",
    "fastbp.plots": "plots.",
    "fastbp.export": "export.",
    "fastbp.scores": "scores.",
    "fastbp.utils.data": "data.",
    "fastbp._kernels": "kernels.",
}


def public():
    """For every public function, class and method the names that the table may have for it."""
    found = {}
    for module, prefix in MODULES.items():
        home = importlib.import_module(module)
        exported = [*home.__all__, *(fastbp.autograd.EXPORTED if module == "fastbp" else ())]
        for name in exported:
            thing = getattr(home, name)
            if inspect.ismodule(thing) or not callable(thing):
                continue
            _add(found, thing, prefix + name)
            if inspect.isclass(thing) and not issubclass(thing, BaseException):
                for method in dir(thing):
                    value = getattr(thing, method)
                    if not method.startswith("_") and callable(value):
                        _add(found, value, f"{prefix}{name}.{method}")
                        if thing is fastbp.Tensor:
                            _add(found, value, method)
    return [names_ for _, names_ in found.values()]


def _add(found, thing, name):
    function = getattr(thing, "__func__", thing)
    if not takes_nothing(thing):
        found.setdefault(id(function), (function, []))[1].append(name)


#: Last names of what layers, optimisers, trainers and losses ask each other; users do not call it.
BETWEEN_PARTS = set(
    "kinds_beside adjust adjust_loss evaluation_arrays numeric_part plan_arrays plan_holder plan_entry follow adopt config convert keep_gradients on_tensor pullback restore run state sync tensor_gradients "
    "tensor_views tensors loaded loss_layer_for numbers set_steps state_of steps_of converted "
    "diverged epoch first_non_finite outputs read read_all reload set_rule weight_square write "
    "as_book count_batches "
    "own_tensors take_data trained_tensors lay_out set_extra_state adjust adjust_loss "
    "part_lines type_name has_own_passes renew_tensors order "
    "targets_like is_better get_lr extra_repr close should_stop is_over start held_by holder "
    "flat join leave network_for new_optimizer keep_averages take_averages evaluate_taken parts targets passes_of".split()
)
#: Why the others that take something are in no row of the table.
WITHOUT = {
    name: reason
    for reason, several in {
        "flags, read by their truth": "nn.Module.buffers nn.Module.named_buffers "
        "nn.Module.named_modules nn.Module.named_parameters nn.Module.parameters "
        "nn.Module.requires_grad_ nn.Module.zero_grad optim.SGD.zero_grad ReLU nn.ReLU nn.ReLU6 "
        "nn.SELU set_grad_enabled inference_mode enable_grad no_grad set_printoptions",
        "steps of fit, given what the step before returns": "TableModel.prepare TableModel.train TableModel.judge "
        "TableModel.learn_all TableModel.outputs TableModel.batch_size_of TableModel.importances_of TableModel.task_of",
        "any object is an answer": "is_tensor Size.count Size.index book.identity_function",
        "what their layers and their loss say": "book.MultiLayerNet.accuracy "
        "book.MultiLayerNet.gradient book.MultiLayerNet.loss book.MultiLayerNet.predict "
        "book.MultiLayerNet.numerical_gradient",
        "looked at where it draws": "plots.Snapshots",
        "numbers of lr_finder and of tune": "plots.learning_rates plots.trials",
        "checked where they are used": "export.Feature export.Preprocessing tables.Preprocessor",
        "a flag that changes nothing": "TableModel.get_params tables.Preprocessor.get_params "
        "tables.Preprocessor.get_feature_names_out",
        "what tables hand to each other": "tables.Preprocessor.from_document tables.Preprocessor.transformed",
        "as its parent's": "optim.AdamW.load_state_dict",
        "a prefix or an epoch like that of its entry": "nn.Module.state_dict nn.Module.cuda "
        "nn.Module.type lr_scheduler.CosineAnnealingWarmRestarts.step Trainer.backward",
        "forward, with the words of its function": "nn.BCELoss.forward nn.BCEWithLogitsLoss.forward "
        "nn.CrossEntropyLoss.forward nn.Embedding.forward nn.LayerNorm.forward nn.Unflatten.forward "
        "nn.GLU.forward nn.PReLU.forward nn.CosineSimilarity.forward nn.PairwiseDistance.forward "
        "nn.CosineEmbeddingLoss.forward nn.MarginRankingLoss.forward nn.HingeEmbeddingLoss.forward "
        "swa_utils.AveragedModel.forward nn.TripletMarginLoss.forward nn.GaussianNLLLoss.forward nn.PoissonNLLLoss.forward "
        "nn.Flatten nn.Softmin nn.LogSoftmax HuberLoss.accuracy HuberLoss.probabilities "
        "MeanSquaredError.accuracy SigmoidWithLoss.probabilities nn.BatchNorm1d.register_parameter",
        "written by users, whose trainings call it": "Communicator Communicator.allreduce Communicator.broadcast",
        "made by others, not by users": "tables.Column tables.Columns tables.Table Diagnosis TrainingWarning RankError History dtype Size graph.Picture Optimizer "
        "optim.Optimizer.step lr_scheduler.LRScheduler nn.Module",
        "a change in place of the function that is in the table": " ".join(
            f"Tensor.{name}_"
            for name in "abs bitwise_not ceil cos exp expm1 floor log10 log1p log2 log nan_to_num neg reciprocal relu round "
            "rsqrt sigmoid sign sin sqrt square tan tanh trunc logical_not".split()
        ),
        "dtypes and memory formats": "Tensor.contiguous",
        "scikit-learn's methods and words": " ".join(
            f"{kind}.{name}"
            for kind in ("MLPClassifier", "MLPRegressor")
            for name in "from_sklearn get_params predict predict_log_proba predict_proba "
            "score set_params set_predict_request set_score_request set_partial_fit_request "
            "set_fit_request partial_fit".split()
        )
        + " MLPClassifier MLPRegressor",
    }.items()
    for name in several.split()
}
#: Activations without numbers, which take `inplace` only.
WITHOUT |= {
    f"nn.{name}": "a flag, read by its truth"
    for name in activations.__all__
    if not getattr(activations, name).row.numbers
}


def takes_nothing(thing):
    """Whether a function, a method or a class is called without arguments."""
    try:
        parameters = list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):  # compiled
        return False
    return parameters in ([], ["self"], ["cls"], ["input"])


# --- the page -------------------------------------------------------------------------------


def said(call):
    """The class and the words of a bad call's error, without NumPy's own reasons."""
    try:
        eval(call, {**names(), **things(call)})
    except Exception as error:
        own = re.sub(r"( that go together; got .*) \(.*\)\.$", r"\1 (...).", str(error))
        return type(error).__name__, own.replace(TEMPORARY.name + os.sep, "")
    raise AssertionError(f"{call} is not refused")


def table():
    """The tables of the page, one for each part of the package."""
    parts = {}
    for each in ENTRIES:
        module = re.match(r"([a-z]\w*)\.", each.name)
        rows = parts.setdefault(module[1] if module else "fastbp", [])
        for call, _ in each.bad:
            kind, sentence = said(call)
            cells = (f"`{each.name}`", f"`{call}`", f"`{kind}`: {_text(sentence)}")
            rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    head = "| entry point | what comes in | what it says |\n|---|---|---|\n"
    return "\n".join(f"## {part}\n\n{head}" + "\n".join(rows) + "\n" for part, rows in parts.items())


def _text(sentence):
    """A sentence whose signs Markdown leaves alone."""
    return re.sub(r"([*_<>`\[\]])", r"\\\1", sentence)


if __name__ == "__main__":
    print(table())
