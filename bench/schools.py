"""The schools' own NumPy code beside the same program over fastbp: ``python -m bench.schools``.

Of each page in docs/schools a few workloads: the school's code as `bench.in_numpy` has it, and the
same with fastbp's module of the school, or with the page's adapter, which is the first code block of
the page.  All in turn within one run, medians.  ``--write`` stores the run and puts each page's table
between its comments.
"""
# ruff: noqa: NPY002  (the schools draw from NumPy's global generator)

import argparse
import json
import random
import re
from itertools import pairwise
from pathlib import Path

import numpy as np

import fastbp
from bench import ROOT, measure, report
from bench.in_numpy import book, book2, cs231n, dezero, micrograd, ng, nielsen, nnfs
from fastbp import book as fastbp_book
from fastbp import book2 as fastbp_book2
from fastbp.cs231n import layer_utils
from fastbp.cs231n import optim as fastbp_optim

RESULTS = ROOT / "bench" / "results" / "schools.json"
PAGES = ROOT / "docs" / "schools"
FIRST_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


def adapter(page):
    """The names of a page's first code block."""
    path = PAGES / f"{page}.md"
    names: dict = {"__name__": f"adapter_{page}"}
    exec(compile(FIRST_BLOCK.search(path.read_text("utf-8"))[1], str(path), "exec"), names)
    return names


def digits(n=100, dtype=np.float32):
    """Rows like MNIST's, and their classes."""
    np.random.seed(0)
    return np.random.rand(n, 784).astype(dtype), np.random.randint(10, size=n)


def compiled(net, x, t, optimizer):
    """A step of a `Sequential` as `fit` makes it."""
    trainer = fastbp.Trainer(net, optimizer, len(x), n_threads=1)
    return lambda: trainer.step(x, t)


def of_book():
    x, t = digits()
    theirs, ours = book.TwoLayerNet(784, 50, 10), fastbp_book.TwoLayerNet(784, 50, 10)

    def by_hand(net):
        grads = net.gradient(x, t)
        for key in ("W1", "b1", "W2", "b2"):
            net.params[key] -= 0.01 * grads[key]

    params = [array.copy() for array in theirs.params.values()]
    net = fastbp.Sequential(
        fastbp.Affine(*params[:2]), fastbp.Relu(), fastbp.Affine(*params[2:]), loss="softmax_cross_entropy"
    )
    name = "`TwoLayerNet(784, 50, 10)`, 100 rows: `gradient` and `params[key] -= lr * grad[key]`"
    yield name, lambda: by_hand(theirs), lambda: by_hand(ours)
    yield (
        "the same as a `Sequential`, a step of `fit`",
        lambda: by_hand(theirs),
        compiled(net, x, t, fastbp.SGD(lr=0.01)),
    )


def of_book2():
    x, t = digits()

    def step(module):
        model, optimizer = module.TwoLayerNet(784, 50, 10), module.SGD(lr=0.01)

        def run():
            model.forward(x, t)
            model.backward()
            optimizer.update(model.params, model.grads)

        return run

    def embedded(module):
        layer = module.Embedding(np.random.randn(2000, 100))
        idx, dout = np.random.randint(2000, size=100), np.random.randn(100, 100)

        def run():
            layer.forward(idx)
            layer.backward(dout)

        return run

    yield "`TwoLayerNet(784, 50, 10)`, 100 rows: forward, backward, update", step(book2), step(fastbp_book2)
    name = "`Embedding` of 2000 x 100, 100 words: forward, backward"
    yield name, embedded(book2), embedded(fastbp_book2)


def of_cs231n():
    np.random.seed(0)
    x, y = np.random.randn(100, 3, 32, 32).astype(np.float32), np.random.randint(10, size=100)

    def step(layers, optim, norm):
        np.random.seed(0)
        params = {"W1": 0.01 * np.random.randn(3072, 100), "b1": np.zeros(100)}
        params |= {"W2": 0.01 * np.random.randn(100, 10), "b2": np.zeros(10)}
        if norm:
            params |= {"gamma": np.ones(100), "beta": np.zeros(100)}
        params = {name: array.astype(np.float32) for name, array in params.items()}
        configs = {name: {"learning_rate": 1e-3} for name in params}
        bn_param = {"mode": "train"}

        def run():
            grads = {}
            h, fc_cache = layers.affine_forward(x, params["W1"], params["b1"])
            if norm:
                h, norm_cache = layers.batchnorm_forward(h, params["gamma"], params["beta"], bn_param)
            h, relu_cache = layers.relu_forward(h)
            scores, last_cache = layers.affine_forward(h, params["W2"], params["b2"])
            _, dout = layers.softmax_loss(scores, y)
            dout, grads["W2"], grads["b2"] = layers.affine_backward(dout, last_cache)
            dout = layers.relu_backward(dout, relu_cache)
            if norm:
                dout, grads["gamma"], grads["beta"] = layers.batchnorm_backward(dout, norm_cache)
            _, grads["W1"], grads["b1"] = layers.affine_backward(dout, fc_cache)
            for name in params:
                params[name], configs[name] = optim.adam(params[name], grads[name], configs[name])

        return run

    for name, norm in (("affine, relu, affine", False), ("affine, batchnorm, relu, affine", True)):
        yield (
            f"100 images of 32 x 32, 100 units: {name}, `softmax_loss`, `adam`",
            step(cs231n, cs231n, norm),
            step(layer_utils, fastbp_optim, norm),
        )
    net = fastbp.Sequential(
        fastbp.Linear(3072, 100, init=0.01),
        fastbp.Relu(),
        fastbp.Linear(100, 10, init=0.01),
        loss="softmax_cross_entropy",
    )
    yield (
        "the first of these as a `Sequential`, a step of `fit`",
        step(cs231n, cs231n, False),
        compiled(net, x.reshape(100, -1), y, fastbp.Adam(lr=1e-3)),
    )


def of_nielsen():
    x, t = digits(1000, np.float64)
    data = [(row.reshape(-1, 1), np.eye(10)[:, [digit]]) for row, digit in zip(x, t, strict=True)]
    theirs, ours = nielsen.Network([784, 30, 10]), adapter("nielsen")["Network"]([784, 30, 10])
    name = "`Network([784, 30, 10])`, 1000 samples: an epoch of `SGD` with batches of 10"
    yield name, lambda: theirs.SGD(data, 1, 10, 0.1), lambda: ours.SGD(data, 1, 10, 0.1)


def of_ng():
    names = adapter("ng")
    functions = names["linear_activation_forward"], names["linear_activation_backward"]
    for dims, m in (((2, 10, 5, 1), 300), ((12288, 20, 7, 5, 1), 209)):
        np.random.seed(0)
        X, Y = np.random.rand(dims[0], m), np.random.randint(2, size=(1, m)).astype(float)
        theirs = {}
        for k, (n_in, n_out) in enumerate(pairwise(dims), start=1):
            theirs[f"W{k}"] = np.random.randn(n_out, n_in) / np.sqrt(n_in)
            theirs[f"b{k}"] = np.zeros((n_out, 1))
        ours = {name: array.copy() for name, array in theirs.items()}
        layers = []
        for k in range(1, len(dims)):
            layers += [fastbp.Affine(ours[f"W{k}"].T.copy(), ours[f"b{k}"].ravel().copy()), fastbp.Relu()]
        net = fastbp.Sequential(*layers[:-1], loss="sigmoid_cross_entropy")
        shape = f"`layers_dims` {list(dims)}, {m} columns: an iteration"
        columns = np.asfortranarray(X)  # as the page says
        yield (
            shape,
            lambda X=X, Y=Y, p=theirs: ng.step(X, Y, p, 0.001),
            lambda X=columns, Y=Y, p=ours: ng.step(X, Y, p, 0.001, *functions),
        )
        yield (
            "the same by `network_of(parameters)`, a step of `fit`",
            lambda X=X, Y=Y, p=theirs: ng.step(X, Y, p, 0.001),
            compiled(net, X.T.copy(), Y.T.copy(), fastbp.SGD(lr=0.001)),
        )


def of_nnfs():
    names = adapter("nnfs")
    np.random.seed(0)
    y = np.arange(300) % 3
    X = np.random.randn(300, 2) + 3 * np.stack([np.cos(2 * y), np.sin(2 * y)], axis=1)

    theirs = [nnfs.Layer_Dense(2, 64), nnfs.Activation_ReLU(), nnfs.Layer_Dense(64, 3)]
    their_loss, their_adam = nnfs.Activation_Softmax_Loss_CategoricalCrossentropy(), nnfs.Optimizer_Adam()
    ours = [names["Layer_Dense"](2, 64), names["Activation_ReLU"](), names["Layer_Dense"](64, 3)]
    loss, adam = fastbp.SoftmaxWithLoss(), fastbp.Adam(lr=0.001, eps=1e-7)
    params = {str(k): array for k, layer in enumerate(ours[::2]) for array in (layer.layer.W,)}
    params |= {f"b{k}": layer.layer.b for k, layer in enumerate(ours[::2])}

    def step():
        out = X
        for layer in ours:
            layer.forward(out)
            out = layer.output
        loss.forward(out, y)
        dinputs = loss.backward()
        for layer in reversed(ours):
            layer.backward(dinputs)
            dinputs = layer.dinputs
        grads = {str(k): layer.layer.dW for k, layer in enumerate(ours[::2])}
        grads |= {f"b{k}": layer.layer.db for k, layer in enumerate(ours[::2])}
        adam.update(params, grads)

    def their_step():
        return nnfs.step(theirs, their_loss, their_adam, X, y)

    def their_epochs():
        for _ in range(100):
            their_step()

    net = fastbp.Sequential(
        *(names["Layer_Dense"](2, 64).layer, fastbp.Relu(), names["Layer_Dense"](64, 3).layer),
        loss="softmax_cross_entropy",
    )
    fit_adam = fastbp.Adam(lr=0.001, eps=1e-7)
    yield "2-64-3, 300 rows: layer by layer, with Adam", their_step, step
    yield (
        "the same, 100 epochs of `fit`",
        their_epochs,
        lambda: net.fit(X, y, epochs=100, batch_size=len(X), optimizer=fit_adam),
    )


def of_micrograd():
    names = adapter("micrograd")
    random.seed(0)
    rows = [[random.uniform(-1, 1), random.uniform(-1, 1)] for _ in range(20)]
    targets = [1.0 if a * b > 0 else -1.0 for a, b in rows]
    sizes = [16, 16, 1]
    theirs, neurons, layers = micrograd.MLP(2, sizes), micrograd.MLP(2, sizes, names["Value"]), names["MLP"](2, sizes)
    xs = fastbp.tensor(rows, dtype=fastbp.float64)
    ys = fastbp.tensor([[t] for t in targets], dtype=fastbp.float64)

    def of_numbers(net, zero):
        loss = sum((net(row) - target) ** 2 for row, target in zip(rows, targets, strict=True))
        for p in net.parameters():
            p.grad = zero
        loss.backward()

    def of_rows():
        loss = ((layers(xs) - ys) ** 2).sum()
        layers.zero_grad()
        loss.backward()

    def of_values():
        of_numbers(theirs, 0.0)

    name = "`MLP(2, [16, 16, 1])`, 20 samples: loss and `backward()`"
    yield f"{name}, by `MLP` of matrices", of_values, of_rows
    yield f"{name}, by single numbers", of_values, lambda: of_numbers(neurons, None)


def of_dezero():
    names = adapter("dezero")
    for n, width in ((100, 10), (1000, 100)):
        np.random.seed(0)
        x = np.random.rand(n, 1)
        y = np.sin(2 * np.pi * x) + np.random.rand(n, 1)
        theirs = [
            dezero.Linear(1, width, np.random.randn(1, width)),
            dezero.Linear(width, 1, np.random.randn(width, 1)),
        ]
        their_data = dezero.Variable(x), dezero.Variable(y)
        our_data = fastbp.tensor(x), fastbp.tensor(y)
        F, Linear = names["F"], names["Linear"]

        class TwoLayerNet(names["Model"]):  # type: ignore[misc,name-defined]
            def __init__(self, width, Linear=Linear):
                super().__init__()
                self.l1, self.l2 = Linear(width, 1), Linear(1, width)

            def forward(self, x, F=F):
                return self.l2(F.sigmoid(self.l1(x)))

        model = TwoLayerNet(width)
        optimizer = names["SGD"](lr=0.001).setup(model)

        def step(model=model, optimizer=optimizer, data=our_data, F=F):
            loss = F.mean_squared_error(data[1], model(data[0]))
            model.cleargrads()
            loss.backward()
            optimizer.update()

        yield (
            f"1-{width}-1 with `F.sigmoid`, {n} rows: loss, `backward()`, `update()`",
            lambda theirs=theirs, data=their_data: dezero.step(theirs, *data, 0.001),
            step,
        )


SCHOOLS = {
    "book": of_book,
    "book2": of_book2,
    "cs231n": of_cs231n,
    "nielsen": of_nielsen,
    "ng": of_ng,
    "nnfs": of_nnfs,
    "micrograd": of_micrograd,
    "dezero": of_dezero,
}
#: Whose own code is plain Python.
IN_PYTHON = {"micrograd"}


def run(pages=tuple(SCHOOLS), **how):
    """Seconds of every workload, by the school's code and by fastbp."""
    rows = []
    for page in pages:
        for name, school, ours in SCHOOLS[page]():
            rows.append({"page": page, "name": name, **measure.timed({"school": school, "fastbp": ours}, **how)})
    return rows


HEADER = ["workload", "the school's code", "with fastbp", "ratio"]


def cells(rows):
    return [
        [
            row["name"],
            measure.seconds_text(row["school"]),
            measure.seconds_text(row["fastbp"]),
            f"{measure.ratio(row, 'school'):.2f}",
        ]
        for row in rows
    ]


def markdown(results, page):
    """A page's text between its comments."""
    rows = [row for row in results["rows"] if row["page"] == page]
    how = "plain Python" if page in IN_PYTHON else "NumPy"
    return (
        f"The school's code in {how} (`bench/in_numpy/{page}.py`), and the same "
        "program over fastbp, in turn, medians; the ratio is the first time over the second. Measured on "
        f"{measure.described(results['machine'])}.\n\n{report.table(HEADER, cells(rows))}"
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.schools", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=tuple(SCHOOLS), default=list(SCHOOLS), help="these pages, to print"
    )
    parser.add_argument("--from", dest="stored", type=Path, help="take a stored run")
    measure.add_options(parser, write="store it and put the tables into docs/schools")
    options = measure.parsed(parser, arguments)
    if options.write and len(options.only) < len(SCHOOLS):
        parser.error("--write expects all pages; got --only.")
    if options.stored:
        results = json.loads(options.stored.read_text("utf-8"))
    else:
        about = measure.ready(write=options.write)
        results = {"machine": about, "rows": run(options.only, **measure.repetitions(options.quick))}
    measure.print_table(HEADER, cells(results["rows"]))
    if options.write:
        if not options.stored:
            measure.store(RESULTS, results)
        for page in SCHOOLS:
            report.write(PAGES / f"{page}.md", markdown(results, page))


if __name__ == "__main__":
    main()
