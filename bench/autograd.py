"""Steps of loops written by hand: of a model of three numbers, and of two perceptrons.

The model is ``w1 x² + w2 x + b`` on one sample, in several engines: forward, squared error,
backward, the update under no_grad and the gradients set to zero, which is what a step costs where
the arithmetic costs nothing.  `Value` is an engine of plain Python numbers, as micrograd is; it
stands in where the package is not installed.

The perceptrons are `nn.Linear` and `nn.ReLU` in turn, `nn.CrossEntropyLoss` and `optim.SGD`, in
fastbp and in PyTorch: once without the optimiser, once the whole step.  ``--write`` puts both
tables into docs/coming-from-pytorch.md.

``--operations`` times single functions of small tensors in both instead, without a gradient and
with it, and a network of layers written by hand, as the book writes them, over such functions.
"""

import argparse
import contextlib
import itertools
from types import SimpleNamespace

import numpy as np

import fastbp
from bench import ROOT, measure, report

RESULTS = ROOT / "bench" / "results" / "autograd.json"
PAGE = ROOT / "docs" / "coming-from-pytorch.md"
MARKS = "<!-- autograd:begin -->", "<!-- autograd:end -->"
RATE = 0.001
#: Name: widths, rows.
NETWORKS = {"iris 4-10-10-3": ((4, 10, 10, 3), 112), "mnist 784-512-256-10": ((784, 512, 256, 10), 128)}
SAMPLE = (2.0, 9.0)


def tensor_step(library):
    """The step in fastbp or PyTorch: they are written alike."""
    w1, w2, b = (library.tensor([1.0], requires_grad=True) for _ in range(3))
    no_grad = library.no_grad

    def step(x=SAMPLE[0], y=SAMPLE[1]):
        nonlocal w1, w2, b
        loss = (x * x * w1 + x * w2 + b - y) ** 2
        loss.backward()
        with no_grad():
            w1 -= RATE * w1.grad
            w2 -= RATE * w2.grad
            b -= RATE * b.grad
        w1.grad.zero_()
        w2.grad.zero_()
        b.grad.zero_()
        return w1, w2, b

    return step


def value_step(value):
    """The step in an engine of numbers."""
    w1, w2, b = (value(1.0) for _ in range(3))

    def step(x=SAMPLE[0], y=SAMPLE[1]):
        loss = (x * x * w1 + x * w2 + b - y) ** 2
        loss.backward()
        for parameter in (w1, w2, b):
            parameter.data -= RATE * parameter.grad
            parameter.grad = 0
        return w1, w2, b

    return step


class Value:
    """A number that remembers where it came from."""

    def __init__(self, data, parents=()):
        self.data = data
        self.grad = 0
        self.parents = set(parents)
        self.send = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def send():
            self.grad += out.grad
            other.grad += out.grad

        out.send = send
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def send():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.send = send
        return out

    def __pow__(self, exponent):
        out = Value(self.data**exponent, (self,))

        def send():
            self.grad += exponent * self.data ** (exponent - 1) * out.grad

        out.send = send
        return out

    def __sub__(self, other):
        return self + -other

    def __neg__(self):
        return self * -1

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self):
        """From the last operation to the first."""
        order, seen = [], set()

        def visit(value):
            if value not in seen:
                seen.add(value)
                for parent in value.parents:
                    visit(parent)
                order.append(value)

        visit(self)
        self.grad = 1
        for value in reversed(order):
            value.send()


def engines():
    """Name to step."""
    steps = {"fastbp": tensor_step(fastbp.autograd)}
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)
        steps["PyTorch"] = tensor_step(torch)
    try:
        from micrograd.engine import Value as theirs

        steps["micrograd"] = value_step(theirs)
    except ImportError:
        steps["plain Python"] = value_step(Value)
    return steps


def network_steps(library, widths, rows):
    """Forward and backward, and the whole step: fastbp and PyTorch are written alike."""
    nn, rng = library.nn, np.random.default_rng(0)
    layers = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    x = library.from_numpy(rng.standard_normal((rows, widths[0])).astype("float32"))
    t = library.from_numpy(rng.integers(0, widths[-1], rows))
    criterion = nn.CrossEntropyLoss()
    optimizer = library.optim.SGD(net.parameters(), lr=RATE)

    def gradients():
        optimizer.zero_grad()
        loss = criterion(net(x), t)
        loss.backward()
        return loss

    def step():
        loss = gradients()
        optimizer.step()
        return loss

    return gradients, step


def run_networks(**how):
    """Rows of (network, what, seconds of fastbp, seconds of PyTorch), all timed in turn."""
    import torch

    torch.set_num_threads(1)
    rows = []
    for name, (widths, n_rows) in NETWORKS.items():
        ours, theirs = (network_steps(library, widths, n_rows) for library in (fastbp, torch))
        for what, pair in zip(("forward and backward", "a step"), zip(ours, theirs, strict=True), strict=True):
            rows.append((name, what, *measure.alternate(*pair, **how)))
    return rows


#: Functions of a library and its tensors: x any numbers, p between 0 and 1, t of 0 and 1, rows.
OPERATIONS = {
    "x.T": lambda lib, v: v.x.T,
    "x.t()": lambda lib, v: v.x.t(),
    "x.transpose(0, 1)": lambda lib, v: v.x.transpose(0, 1),
    "x.unsqueeze(1)": lambda lib, v: v.x.unsqueeze(1),
    "x.squeeze()": lambda lib, v: v.x.squeeze(),
    "x.reshape(-1)": lambda lib, v: v.x.reshape(-1),
    "x.view(-1)": lambda lib, v: v.x.view(-1),
    "x.flatten()": lambda lib, v: v.x.flatten(),
    "x[0]": lambda lib, v: v.x[0],
    "x[:, 0]": lambda lib, v: v.x[:, 0],
    "x[0:1]": lambda lib, v: v.x[0:1],
    "x[rows]": lambda lib, v: v.x[v.rows],
    "x.sum()": lambda lib, v: v.x.sum(),
    "sum(x, dim=0)": lambda lib, v: lib.sum(v.x, dim=0),
    "x.sum(1)": lambda lib, v: v.x.sum(1),
    "x.mean(dim=0)": lambda lib, v: v.x.mean(dim=0),
    "x.mean(1, keepdim=True)": lambda lib, v: v.x.mean(1, keepdim=True),
    "x.max(1)": lambda lib, v: v.x.max(1)[0],
    "x + o": lambda lib, v: v.x + v.o,
    "x + row": lambda lib, v: v.x + v.o[0],
    "1 - x": lambda lib, v: 1.0 - v.x,
    "x / o": lambda lib, v: v.x / v.o,
    "x @ o.T": lambda lib, v: v.x @ v.o.T,
    "x ** 2": lambda lib, v: v.x**2,
    "x.exp()": lambda lib, v: v.x.exp(),
    "p.log()": lambda lib, v: v.p.log(),
    "p.sqrt()": lambda lib, v: v.p.sqrt(),
    "x.abs()": lambda lib, v: v.x.abs(),
    "x.clamp(-1, 1)": lambda lib, v: v.x.clamp(-1, 1),
    "relu(x)": lambda lib, v: lib.relu(v.x),
    "sigmoid(x)": lambda lib, v: lib.sigmoid(v.x),
    "tanh(x)": lambda lib, v: lib.tanh(v.x),
    "softmax(x, 1)": lambda lib, v: lib.softmax(v.x, 1),
    "log_softmax(x, 1)": lambda lib, v: lib.log_softmax(v.x, 1),
    "binary_cross_entropy": lambda lib, v: lib.nn.functional.binary_cross_entropy(v.p, v.t),
    "b._c._e._with_logits": lambda lib, v: lib.nn.functional.binary_cross_entropy_with_logits(v.x, v.t),
    "cross_entropy": lambda lib, v: lib.nn.functional.cross_entropy(v.x, v.classes),
    "nll_loss": lambda lib, v: lib.nn.functional.nll_loss(v.x, v.classes),
    "mse_loss": lambda lib, v: lib.nn.functional.mse_loss(v.x, v.t),
    "cat([x, o])": lambda lib, v: lib.cat([v.x, v.o]),
    "stack([x, o])": lambda lib, v: lib.stack([v.x, v.o]),
    "x.argmax(1)": lambda lib, v: v.x.argmax(1),
    "x == o": lambda lib, v: v.x == v.o,
    "x > 0.5": lambda lib, v: v.x > 0.5,
    "sum(t == t).item()": lambda lib, v: lib.sum(v.t == v.t).item(),
}
#: Those whose result has no gradient.
WITHOUT = ("x.argmax(1)", "x == o", "x > 0.5", "sum(t == t).item()")
SHAPES = ((1, 1), (10, 3), (100, 10))


def operation(library, name, shape, requires_grad):
    """A call of one operation, with its backward where a gradient is asked for."""
    rng = np.random.default_rng(0)
    rows, columns = shape
    arrays = {
        "x": rng.standard_normal(shape),
        "o": rng.standard_normal(shape),
        "p": rng.uniform(0.1, 0.9, shape),
        "t": rng.integers(0, 2, shape),
    }
    v = SimpleNamespace(**{k: library.from_numpy(a.astype("f4")) for k, a in arrays.items()})
    v.classes = library.from_numpy(rng.integers(0, columns, rows))
    v.rows = library.from_numpy(rng.integers(0, rows, rows))
    function = OPERATIONS[name]
    if not requires_grad:
        return lambda: function(library, v)
    leaf = v.p if name.startswith(("p.", "binary")) else v.x
    leaf.requires_grad_(True)
    ones = library.ones_like(function(library, v).detach())

    def step():
        function(library, v).backward(ones)
        leaf.grad = None

    return step


def book_step(library, rows=80, widths=(4, 5, 5, 1), rate=0.5):
    """An iteration of a network whose layers have their gradients written out, over tensors."""
    rng = np.random.default_rng(0)
    binary_cross_entropy = library.nn.functional.binary_cross_entropy
    W = [library.from_numpy(0.1 * rng.standard_normal(pair).astype("f4")) for pair in itertools.pairwise(widths)]
    b = [library.from_numpy(0.1 * rng.standard_normal(n).astype("f4")) for n in widths[1:]]
    x = library.from_numpy(rng.standard_normal((rows, widths[0])).astype("f4"))
    t = (x[:, 0] > 0).float()

    def forward():
        kept, out = [], x
        for i, (w, beta) in enumerate(zip(W, b, strict=True)):
            kept.append(out)
            out = library.matmul(out, w) + beta
            out = library.sigmoid(out)
            if i == len(W) - 1:
                out = out.squeeze()
        return kept, out

    def step():
        kept, y = forward()
        d = ((y - t) / t.shape[0]).unsqueeze(1)
        for i in reversed(range(len(W))):
            dx = library.matmul(d, W[i].T)
            dW, db = library.matmul(kept[i].T, d), library.sum(d, dim=0)
            d = dx * (1.0 - kept[i]) * kept[i]
            W[i] -= rate * dW
            b[i] -= rate * db
        y = forward()[1]
        right = library.sum((y > 0.5) == (t > 0.5)).item() / rows
        return binary_cross_entropy(y, t).item(), right

    return step


def run_operations(**how):
    """Rows of (operation, shape, what, seconds of fastbp, seconds of PyTorch)."""
    import torch

    torch.set_num_threads(1)
    rows = []
    for name, shape in itertools.product(OPERATIONS, SHAPES):
        for with_gradient in (False, True)[: 1 if name in WITHOUT else 2]:
            pair = [operation(lib, name, shape, with_gradient) for lib in (fastbp, torch)]
            rows.append(
                (
                    f"{name}, {shape[0]} x {shape[1]}",
                    "backward too" if with_gradient else "forward",
                    *measure.alternate(*pair, **how),
                )
            )
    pair = [book_step(lib) for lib in (fastbp, torch)]
    rows.append(("layers by hand, 4-5-5-1", "a step", *measure.alternate(*pair, **how)))
    return rows


def run(**how):
    """Name to median seconds of a step, all timed in turn."""
    steps = engines()
    return dict(zip(steps, measure.alternate(*steps.values(), **how), strict=True))


ENGINES_HEADER = ["a model of three numbers", "a step", "of fastbp's"]
NETWORKS_HEADER = ["network", "", "fastbp", "PyTorch", "ratio"]


def engine_cells(seconds):
    return [[name, measure.seconds_text(s), f"{s / seconds['fastbp']:.1f}"] for name, s in seconds.items()]


def network_cells(rows):
    return [
        [name, what, measure.seconds_text(ours), measure.seconds_text(theirs), f"{theirs / ours:.1f}"]
        for name, what, ours, theirs in rows
    ]


def markdown(results):
    return "\n\n".join(
        [
            f"Measured on {measure.described(results['machine'])}. Medians, all in turn.",
            report.table(ENGINES_HEADER, engine_cells(results["engines"])),
            report.table(NETWORKS_HEADER, network_cells(results["networks"])),
        ]
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.autograd", description=__doc__)
    measure.add_options(parser, write=f"store it and put the tables into {PAGE.name}")
    parser.add_argument("--operations", action="store_true", help="time single functions of small tensors instead")
    options = measure.parsed(parser, arguments)
    how = measure.repetitions(options.quick)
    with contextlib.suppress(ImportError):
        import torch  # noqa: F401  # to be described
    if options.operations:
        measure.ready()
        rows = sorted(run_operations(**how), key=lambda row: row[3] / row[2])
        measure.print_table(["operation", *NETWORKS_HEADER[1:]], network_cells(rows))
        return
    results = {"machine": measure.ready(write=options.write), "engines": run(**how)}
    measure.print_table(ENGINES_HEADER, engine_cells(results["engines"]))
    try:
        results["networks"] = run_networks(**how)
    except ImportError as error:
        if options.write:
            raise SystemExit(f"bench.autograd expects PyTorch where it writes; {error}.") from None
        return
    print()
    measure.print_table(NETWORKS_HEADER, network_cells(results["networks"]))
    if options.write:
        measure.store(RESULTS, results)
        report.write(PAGE, markdown(results), *MARKS)


if __name__ == "__main__":
    main()
