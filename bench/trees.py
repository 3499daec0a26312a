"""This tree beside other ones, in one run: ``python -m bench.trees FOLDER...``.

A change that is not about speed keeps it, which a number from another hour does not show.  Every
tree has a process of its own, all on one core, and does the same work in turn: kernels, training
steps of many shapes, layers on arrays, loops over tensors, predictions.  Each round begins the
processes anew, as a process keeps the places of its arrays; the least time of all rounds counts.
A folder is a checkout that is built (``python setup.py build_ext --inplace``).

The ratio is this tree's time over the other's: above 1 where this one is slower.
"""

import argparse
import itertools
import json
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from statistics import geometric_mean

import numpy as np

import fastbp
from bench import ROOT, measure
from bench.tasks import ODD, WORKLOADS, CannotExpress

#: name: (batch, sizes), of steps; those of bench.tasks and the smallest ones.
STEPS = {
    "xor": (4, (2, 2, 2)),
    "row": (1, (4, 10, 3)),
    "row64": (1, (4, 64, 64, 3)),
    "batch16": (16, (4, 10, 3)),
    "batch8": (8, (8, 64, 64, 4)),
    "tapered": (8, (8, 16, 4)),
    "wide_in": (128, (1024, 16, 16, 2)),
    "deep12": (32, (32,) * 13),
    "deep20": (32, (32,) * 21),
} | {name: given for name, given in (WORKLOADS | ODD).items() if name != "wide2048"}
DTYPES = ("float32", "float64")
KERNELS = (
    *(
        f"{name} {way}"
        for name in ("relu", "sigmoid", "tanh", "gelu", "softplus", "leaky_relu")
        for way in ("forward", "backward")
    ),
    *(
        f"{name} loss {way}"
        for name in ("sigmoid", "squared", "absolute", "huber", "poisson")
        for way in ("forward", "backward")
    ),
    "affine forward",
    "affine backward",
    "bias_sum",
    "softmax forward",
    "softmax_cross_entropy forward",
    "softmax_cross_entropy backward",
    "batch_norm forward",
    "batch_norm backward",
    "dropout",
    "sgd",
    "adagrad",
    "rmsprop",
    "adam",
)
LAYERS = ("Affine", "Relu", "Sigmoid", "Tanh", "SoftmaxWithLoss", "MeanSquaredError")
LAYER_SHAPES = ((1, 10), (100, 50), (512, 512))
LOOPS = {name: STEPS[name] for name in ("row", "iris", "dlfs")}


def cases():
    """The name of each call that is timed, to what makes it."""
    made = {}
    for dtype in DTYPES:
        for name, given in STEPS.items():
            for rule in ("SGD", "Adam"):
                made[f"step {name} {dtype} {rule}"] = step, (*given, dtype, rule)
        for name in KERNELS:
            for rows, columns in LAYER_SHAPES:
                made[f"kernel {name} {rows}x{columns} {dtype}"] = (kernel, (name, rows, columns, dtype))
        for name in LAYERS:
            for rows, columns in LAYER_SHAPES:
                key = f"layer {name} {rows}x{columns} {dtype}"
                made[key] = layer, (name, rows, columns, dtype)
        for name, given in LOOPS.items():
            made[f"tensors {name} {dtype}"] = tensors, (*given, dtype)
            made[f"gradient {name} {dtype}"] = gradient, (*given, dtype)
            made[f"predict {name} {dtype}"] = predict, (*given, dtype)
    return made


# --- in the process of a tree -----------------------------------------------------------------


def arrays(batch, sizes, dtype):
    """Rows, classes and weights as the layers take them."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, sizes[0])).astype(dtype)
    shapes = itertools.pairwise(sizes)
    weights = [(np.sqrt(2 / n) * rng.standard_normal((n, m))).astype(dtype) for n, m in shapes]
    return x, rng.integers(0, sizes[-1], batch), weights


def placed(*given):
    """Copies side by side in one block.

    NumPy asks for huge pages for a block of some megabytes.  Arrays of 1 MB in pages of 4 KiB,
    which lie anywhere, take 20 % more or less time from process to process.
    """
    starts = np.cumsum([0, *(-(-a.nbytes // 4096) * 4096 + 192 for a in given)])
    block = np.zeros(max(starts[-1], 1 << 23), "u1")
    block = block[-block.ctypes.data % 64 :]
    copies = [
        block[start : start + a.nbytes].view(a.dtype).reshape(a.shape) for start, a in zip(starts, given, strict=False)
    ]
    for copy, a in zip(copies, given, strict=True):
        copy[...] = a
    return copies


def network(weights):
    layers = []
    for W in weights:
        layers += [fastbp.Affine(W, np.zeros(W.shape[1], W.dtype)), fastbp.Relu()]
    return fastbp.Sequential(*layers[:-1], loss="softmax_cross_entropy")


def step(batch, sizes, dtype, rule):
    x, t, weights = arrays(batch, sizes, dtype)
    optimizer = getattr(fastbp, rule)(lr=1e-7)
    trainer = fastbp.Trainer(network(weights), optimizer, batch_size=batch, n_threads=1)
    return lambda: trainer.step(x, t)


def gradient(batch, sizes, dtype):
    x, t, weights = arrays(batch, sizes, dtype)
    net = network(weights)
    return lambda: net.gradient(x, t)


def predict(batch, sizes, dtype):
    x, _, weights = arrays(batch, sizes, dtype)
    net = network(weights)
    return lambda: net.predict(x)


def layer(name, rows, columns, dtype):
    x, t, (W,) = arrays(rows, (columns, columns), dtype)
    if name == "Affine":
        object_, inputs, dout = fastbp.Affine(W, np.zeros(columns, dtype)), (x,), x.copy()
    elif name == "SoftmaxWithLoss":
        object_, inputs, dout = fastbp.losses.SoftmaxWithLoss(), (x, t), 1
    elif name == "MeanSquaredError":
        object_, inputs, dout = fastbp.losses.MeanSquaredError(), (x, x[::-1].copy()), 1
    else:
        object_, inputs, dout = getattr(fastbp, name)(), (x,), x.copy()

    def both():
        object_.forward(*inputs)
        object_.backward(dout)

    return both


def updates(k, param, grad, state, square):
    """One step of each rule, of trees in which each had a function too."""
    if not hasattr(k, "update"):
        return {
            "sgd": lambda: k.sgd_update(param, grad, None, 1e-7, 0.0, False, 0.0),
            "adagrad": lambda: k.adagrad_update(param, grad, square, 1e-7, 1e-8, 0.0),
            "rmsprop": lambda: k.rmsprop_update(param, grad, square, None, 1e-7, 0.9, 1e-8, 0.0, 0.0),
            "momentum": lambda: k.sgd_update(param, grad, state, 1e-7, 0.9, False, 0.0),
            "adam": lambda: k.adam_update(param, grad, state, square, 1e-7, 0.9, 0.999, 1e-8, 0.0, False, 1),
        }
    betas = {"beta_1": 0.9, "beta_2": 0.999, "eps": 1e-8}
    return {
        "sgd": lambda: k.update("sgd", param, grad, lr=1e-7),
        "adagrad": lambda: k.update("adagrad", param, grad, square, lr=1e-7, eps=1e-8, lr_decay=0),
        "rmsprop": lambda: k.update("rmsprop", param, grad, square, lr=1e-7, beta_2=0.9, eps=1e-8),
        "momentum": lambda: k.update("momentum", param, grad, state, lr=1e-7, momentum=0.9, dampening=0),
        "adam": lambda: k.update("adam", param, grad, state, square, lr=1e-7, **betas),
    }


def kernel(name, rows, columns, dtype):
    """A kernel's call by its name in `KERNELS`."""
    k = fastbp._kernels
    x, t, (W,) = arrays(rows, (columns, columns), dtype)
    y, one = 1 / (1 + np.exp(-x)), np.ones_like(x)
    b, db, db_2, inverse, mean, var = np.ones((6, columns), dtype)
    x, y, out, dx, t_rows, state, square, W, dW, t = placed(x, y, x, x, y[::-1], one, one, W, W, t)
    flat, flat_y, flat_t, flat_out, state, square = (a.reshape(-1) for a in (x, y, t_rows, out, state, square))
    first = name.split()[0]
    numbers = {"leaky_relu": (0.01,), "huber": (1.0,)}.get(first, ())
    kept = flat_out if first in ("sigmoid", "poisson") else None
    calls = {
        f"{first} forward": lambda: k.activation_forward(first, flat, flat_out, *numbers),
        f"{first} backward": lambda: k.activation_backward(first, flat_y, flat, flat_out, *numbers),
        f"{first} loss forward": lambda: k.loss_forward(first, flat, flat_t, kept, *numbers),
        f"{first} loss backward": lambda: k.loss_backward(first, flat_y, flat_t, 0.1, flat_out, *numbers),
        "affine forward": lambda: k.affine_forward(x, W, b, out),
        "affine backward": lambda: k.affine_backward(y, x, W, dx, dW, db),
        "bias_sum": lambda: k.bias_sum(x, db),
        "softmax forward": lambda: k.softmax_forward(x, out),
        "softmax_cross_entropy forward": lambda: k.softmax_cross_entropy_forward(x, t, out),
        "softmax_cross_entropy backward": lambda: k.softmax_cross_entropy_backward(y, t, 0.1, dx),
        "batch_norm forward": lambda: k.batch_norm_forward(x, b, b, out, dx, inverse, mean, var, 1e-5, 0.1, True),
        "batch_norm backward": lambda: k.batch_norm_backward(y, x, b, b, dx, db, db_2),
        "dropout": lambda: k.dropout(flat, flat_out, 1, 0.5),
        **updates(k, flat, flat_y, state, square),
    }
    return calls[name]


def tensors(batch, sizes, dtype):
    """The loop that every program of PyTorch's vocabulary has."""
    from fastbp import nn, optim

    x, t, weights = arrays(batch, sizes, dtype)
    layers = []
    for W in weights:
        linear = nn.Linear(*W.shape)
        linear.W[...] = W
        layers += [linear, nn.ReLU()]
    net, criterion = nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()
    if dtype == "float64":
        net.double()
    optimizer = optim.SGD(net.parameters(), lr=1e-7)
    x, t = fastbp.tensor(x), fastbp.tensor(t)

    def once():
        optimizer.zero_grad()
        criterion(net(x), t).backward()
        optimizer.step()

    return once


def serve(folder):
    """Answer with one line of JSON to each: a name, which is built, or how often to call it."""
    from timeit import Timer

    if measure.folder().parent != Path(folder):
        raise SystemExit(f"bench.trees expects a fastbp in {folder}; got {measure.folder()}.")
    made, timer = cases(), None
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, str):
            make, how = made[asked]
            try:
                call = make(*how)
                call()
                timer, answer = Timer(call), None
            except Exception as error:  # an older tree may lack it, which the table tells
                answer = f"{type(error).__name__}: {error}"
        else:
            answer = timer.timeit(asked)
        print(json.dumps(answer), flush=True)


# --- beside each other ------------------------------------------------------------------------


class Tree:
    """A tree's process, as a side of `measure.alternate`."""

    def __init__(self, folder):
        begin = (
            f"import sys; sys.path.insert(0, {str(folder)!r}); import fastbp; "
            f"sys.path[0] = {str(ROOT)!r}; from bench import measure, trees; measure.pin(); "
            f"trees.serve({str(folder)!r})"
        )
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", begin], stdin=pipe, stdout=pipe, text=True)

    def ask(self, what):
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()
            if line := self.process.stdout.readline():
                return json.loads(line)
        raise RuntimeError("bench.trees expects every tree to be built; one's process has ended.")

    def begin(self, name):
        if error := self.ask(name):
            raise CannotExpress(error)

    def timeit(self, count):
        return self.ask(count)

    def close(self):
        self.process.communicate()


def run(folders, names, rounds, quick=False):
    """Least seconds of each call that all trees have: name -> a time a tree."""
    least = {name: [np.inf] * len(folders) for name in names}
    how = measure.repetitions(quick) if quick else {"samples": 12, "seconds": 0.004}
    for turn in range(rounds):
        trees = [Tree(folder) for folder in folders]
        for name in list(least):
            try:
                for tree in trees:
                    tree.begin(name)
            except CannotExpress as error:
                print(f"without {name}: {error}")
                del least[name]
                continue
            turned = trees if turn % 2 else trees[::-1]
            times = measure.alternate(*turned, of=min, **how)
            times = times if turn % 2 else times[::-1]
            least[name] = list(map(min, least[name], times))
        for tree in trees:
            tree.close()
    return least


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.trees", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="built checkouts")
    parser.add_argument("--only", default="", metavar="PATTERN", help="a regular expression")
    parser.add_argument("--rounds", type=int, default=6)
    measure.add_options(parser)
    options = measure.parsed(parser, arguments)
    measure.ready()
    folders = [ROOT, *(folder.resolve() for folder in options.folders)]
    names = [name for name in cases() if re.search(options.only, name)]
    if not names:
        parser.error(f"--only expects a pattern that a call has; got {options.only!r}.")
    least = run(folders, names, 1 if options.quick else options.rounds, options.quick)
    if not least:
        raise SystemExit("bench.trees expects calls that all trees have; got none.")
    ratios = [[times[0] / other for other in times[1:]] for times in least.values()]
    measure.print_table(
        ["", "here", *(f"to {folder}" for folder in folders[1:])],
        [
            [name, measure.seconds_text(times[0]), *(f"{ratio:.3f}" for ratio in row)]
            for (name, times), row in zip(least.items(), ratios, strict=True)
        ],
    )
    for folder, column in zip(folders[1:], zip(*ratios, strict=True), strict=True):
        print(
            f"to {folder}: geometric mean {geometric_mean(column):.3f}, "
            f"{sum(r > 1.02 for r in column)} of {len(column)} above 1.02"
        )


if __name__ == "__main__":
    main()
