"""What is computed alike by fastbp and PyTorch: one table for the golden numbers and both tests.

A case is a function of the library `t` and of some inputs that require grad, in float64.
"""

import numpy as np

#: Inputs by name: plain numbers with neither zeros nor ties.
INPUTS = {
    "x": [[0.5625, -1.25, 2.125], [1.75, -0.375, -2.625]],
    "y": [[1.5, 0.25, -0.75], [-1.125, 2.25, 0.625]],
    "p": [[0.5, 1.25, 2.0], [1.8125, 0.375, 2.5]],
    "u": [[0.5, -0.25, 0.125], [0.75, -0.3125, -0.625]],
    "row": [0.75, -1.5, 2.25],
    "column": [[1.25], [-0.5]],
    "one": [1.75],
    "zero_d": 0.625,
    "v": [1.0, -2.0, 0.5],
    "square": [[2.0, 0.5, -1.0], [0.25, 1.5, 0.75], [-0.5, 1.0, 3.0]],
    "cube": (np.arange(24).reshape(2, 3, 4) * 0.37 % 1.9 - 0.8).tolist(),
    "holes": [[0.0, 2.0, 3.0], [1.0, 0.5, 0.0]],
}

UNARY = {
    "x": "exp expm1 exp2 sin cos tan tanh sigmoid relu abs sign floor ceil trunc square neg frac "
    "atan sinh cosh erf round positive",
    "p": "log log2 log10 log1p sqrt rsqrt reciprocal",
    "u": "asin acos",
}

CASES = {
    **{
        name: ((given,), lambda t, a, name=name: getattr(t, name)(a))
        for given, names in UNARY.items()
        for name in names.split()
    },
    "add": (("x", "y"), lambda t, a, b: a + b),
    "subtract": (("x", "y"), lambda t, a, b: a - b),
    "multiply": (("x", "y"), lambda t, a, b: a * b),
    "divide": (("x", "y"), lambda t, a, b: a / b),
    "power": (("p", "y"), lambda t, a, b: a**b),
    "a row": (("x", "row"), lambda t, a, b: (a + b) * b - a / b),
    "a column": (("x", "column"), lambda t, a, b: (a * b - b) / (b + 3)),
    "row and column": (("row", "column"), lambda t, a, b: a * b + b - a),
    "one element": (("x", "one"), lambda t, a, b: b * a / b - b),
    "one element first": (("one", "x"), lambda t, a, b: a / b + a - b * a),
    "no dimensions": (("x", "zero_d"), lambda t, a, b: a * b + b / a - b),
    "numbers": (("x",), lambda t, a: 2 * a + 1 - a / 4 - (3 - a) * 0.5 + 1.5 / a),
    "squares": (("x",), lambda t, a: a**2 + a**3 - 2 * a**1 + a**0),
    "roots": (("p",), lambda t, a: a**0.5 + a**-1.5),
    "base": (("x",), lambda t, a: 2**a + 1.5**a),
    "remainder": (("x",), lambda t, a: a % 0.75),
    "fmod": (("x",), lambda t, a: t.fmod(a, 0.75)),
    "negated": (("x",), lambda t, a: -a * -(a)),
    "alpha": (("x", "y"), lambda t, a, b: t.add(a, b, alpha=3) - t.sub(a, b, alpha=2)),
    "used twice": (("x",), lambda t, a: a * a + a.exp() * a),
    "maximum": (("x", "y"), lambda t, a, b: t.maximum(a, b) * 2),
    "minimum": (("x", "y"), lambda t, a, b: t.minimum(a, b) * 2),
    "a tie": (("x",), lambda t, a: t.maximum(a, a * 1)),
    "clamp": (("x",), lambda t, a: t.clamp(a, -1, 1.5)),
    "clamp below": (("x",), lambda t, a: a.clamp(min=0.25)),
    "clip by tensors": (("x", "u", "p"), lambda t, a, b, c: t.clip(a, b, c)),
    "where": (("x", "y"), lambda t, a, b: t.where(a > 0, a, b * 2)),
    "where number": (("x",), lambda t, a: t.where(a > 0, a, 0.0)),
    "masked_fill": (("x",), lambda t, a: a.masked_fill(a > 0, 7.0) * a),
    "atan2": (("x", "y"), lambda t, a, b: t.atan2(a, b)),
    "addcmul": (("x", "row", "column"), lambda t, a, b, c: t.addcmul(a, b, c, value=0.3)),
    "addcdiv": (("x", "row", "column"), lambda t, a, b, c: t.addcdiv(a, b, c, value=-0.3)),
    "lerp": (("x", "row"), lambda t, a, b: t.lerp(a, b, 0.3) * t.lerp(a, b, 0.8)),
    "lerp by a tensor": (("x", "row", "p"), lambda t, a, b, c: t.lerp(a, b.expand_as(a), c)),
    "addmm": (("row", "x", "square"), lambda t, a, b, c: t.addmm(a, b, c, beta=0.3, alpha=-2)),
    "clamp_min": (("x",), lambda t, a: a.clamp_min(0.25) * a.clamp_max(0.5)),
    "scatter_add": (("x", "y"), lambda t, a, b: a.scatter_add(1, t.tensor([[0, 2, 2], [1, 1, 0]]), b)),
    "scatter_ of a number": (
        ("x",),
        lambda t, a: a * t.zeros(2, 3, dtype=t.float64).scatter_(1, t.tensor([[0], [2]]), 1),
    ),
    "index_add": (("square", "x"), lambda t, a, b: a.index_add(0, t.tensor([2, 2]), b, alpha=0.5)),
    "einsum of matrices": (("x", "square"), lambda t, a, b: t.einsum("ij,jk->ik", a, b)),
    "einsum of three": (("x", "cube", "square"), lambda t, a, b, c: t.einsum("bk, bij, ik -> bj", a, b, c)),
    "einsum with dots": (("cube", "square"), lambda t, a, b: t.einsum("...jk,ij->...ki", a, b)),
    "einsum of a diagonal": (("square", "v"), lambda t, a, b: t.einsum("ii,i->i", a, b)),
    "einsum to a number": (("x", "column"), lambda t, a, b: t.einsum("ij,ij", a, b)),
    "einsum by the alphabet": (("x",), lambda t, a: t.einsum("ba", a)),
    "mm": (("x", "square"), lambda t, a, b: a @ b),
    "mv": (("x", "v"), lambda t, a, b: a @ b),
    "vm": (("v", "square"), lambda t, a, b: a @ b),
    "dot": (("v", "row"), lambda t, a, b: a @ b),
    "t.dot": (("v", "row"), lambda t, a, b: t.dot(a, b) * t.mv(t.outer(a, b), a)),
    "bmm": (("cube",), lambda t, a: t.bmm(a, a.transpose(1, 2))),
    "matmul broadcast": (("square", "cube"), lambda t, a, b: t.matmul(a, b)),
    "matmul vector": (("v", "cube"), lambda t, a, b: t.matmul(a, b)),
    "matmul by vector": (("cube",), lambda t, a: t.matmul(a, a[0, 0])),
    "sum": (("x",), lambda t, a: a.sum() * a),
    "sum dim": (("cube",), lambda t, a: a.sum(1)),
    "sum dims": (("cube",), lambda t, a: a.sum((0, -1)) * a.sum(dim=(0, 2), keepdim=True)),
    "mean": (("x",), lambda t, a: a.mean() * a),
    "mean dim": (("cube",), lambda t, a: a.mean(-1, keepdim=True) - a.mean(0)),
    "prod": (("x",), lambda t, a: a.prod()),
    "prod dim": (("x",), lambda t, a: a.prod(1)),
    "prod of zeros": (("holes",), lambda t, a: a.prod() + a.prod(0).sum() + a.prod(1).sum()),
    "var": (("x",), lambda t, a: a.var()),
    "var dim": (("x",), lambda t, a: a.var(1, keepdim=True) * a),
    "std": (("x",), lambda t, a: a.std(0)),
    "std biased": (("x",), lambda t, a: a.std(dim=1, unbiased=False)),
    "norm": (("x",), lambda t, a: a.norm()),
    "norm 1": (("x",), lambda t, a: a.norm(1, dim=1)),
    "norm inf": (("x",), lambda t, a: a.norm(float("inf"))),
    "norm 3": (("x",), lambda t, a: t.norm(a, 3, dim=0, keepdim=True)),
    "cumsum": (("x",), lambda t, a: a.cumsum(1) * a),
    "logsumexp": (("x",), lambda t, a: t.logsumexp(a, 1)),
    "logsumexp keepdim": (("cube",), lambda t, a: t.logsumexp(a, (0, 2), keepdim=True)),
    "softmax": (("x",), lambda t, a: t.softmax(a, dim=1) * a),
    "softmax 0": (("cube",), lambda t, a: a.softmax(0) * a),
    "log_softmax": (("x",), lambda t, a: t.log_softmax(a, dim=1) * a),
    "log_softmax 0": (("cube",), lambda t, a: a.log_softmax(dim=-2) * a),
    "max": (("x",), lambda t, a: a.max() * a),
    "max dim": (("x",), lambda t, a: a.max(1).values * t.max(a, 1, keepdim=True)[0]),
    "min dim": (("cube",), lambda t, a: a.min(dim=2)[0]),
    "max of two": (("x", "y"), lambda t, a, b: t.max(a, b)),
    "amax": (("x",), lambda t, a: a.amax(1) + a.amin()),
    "amax of ties": (("holes",), lambda t, a: a.amin() * a.amax(dim=(0, 1))),
    "sort": (("x",), lambda t, a: a.sort(1, descending=True).values * a),
    "topk": (("x",), lambda t, a: a.topk(2).values),
    "median": (("x",), lambda t, a: a.median(1).values * a.median()),
    "T": (("x",), lambda t, a: a.T * a.t()),
    "transpose": (("cube",), lambda t, a: a.transpose(0, 2) * a.permute(2, 1, 0)),
    "reshape": (("x",), lambda t, a: a.reshape(3, 2) * a.view(-1, 2)),
    "reshape of a view": (("x",), lambda t, a: a.T.reshape(-1) * a.flatten()),
    "flatten": (("cube",), lambda t, a: a.flatten(1) * a.reshape(2, -1)),
    "squeeze": (("column",), lambda t, a: a.squeeze(1) * a.unsqueeze(0).squeeze()),
    "expand": (("column",), lambda t, a: a.expand(2, 4) * a.expand(3, -1, -1)),
    "repeat": (("x",), lambda t, a: a.repeat(2, 1, 3)),
    "cat": (("x", "column"), lambda t, a, b: t.cat([a, b, a], dim=1)),
    "stack": (("x", "y"), lambda t, a, b: t.stack((a, b, a), dim=1)),
    "split": (("x",), lambda t, a: a.split(2, 1)[1] * a.chunk(3, 1)[0]),
    "unbind": (("x",), lambda t, a: a.unbind(1)[2] * a.narrow(1, 1, 1).squeeze()),
    "flip": (("x",), lambda t, a: a.flip(1) * a.roll(1, 0)),
    "diag": (("v",), lambda t, a: t.diag(a) * a),
    "diagonal": (("square",), lambda t, a: t.diag(a)),
    "tril": (("square",), lambda t, a: t.tril(a) - 2 * t.triu(a, 1)),
    "an int": (("x",), lambda t, a: a[1] * a[0, 2]),
    "slices": (("x",), lambda t, a: a[:, 1:] * a[..., :2] - a[0:1, ::2]),
    "None": (("x",), lambda t, a: a[:, None] * a[None]),
    "a list": (("x",), lambda t, a: a[[1, 0, 1]]),
    "a bool tensor": (("x",), lambda t, a: a[a > 0]),
    "an int tensor": (("x",), lambda t, a: a[:, t.tensor([2, 0, 2])]),
    "pairs": (("x",), lambda t, a: -a[range(2), t.tensor([2, 0])]),
    "a 0-d tensor": (("x",), lambda t, a: a[t.tensor(1)]),
    "gather": (("x",), lambda t, a: a.gather(1, t.tensor([[0, 0], [2, 1]]))),
    "index_select": (("x",), lambda t, a: a.index_select(1, t.tensor([2, 2, 0]))),
    "iteration": (("x",), lambda t, a: sum(row * row for row in a)),
    "to and fro": (("x",), lambda t, a: a.float().double() * a.to(t.float64).clone()),
    "float32 of it": (("x",), lambda t, a: a.float() * 3 + a),
    "detached": (("x",), lambda t, a: a * a.detach()),
    "add_": (("x", "y"), lambda t, a, b: (a * 1).add_(b, alpha=2) * b),
    "mul_": (("x", "y"), lambda t, a, b: (a + 0).mul_(b)),
    "+=": (("x", "row"), lambda t, a, b: _augmented(a * 2, b)),
    "exp_": (("x",), lambda t, a: (a * 1).exp_() * a),
    "item assignment": (("x", "row"), lambda t, a, b: _assigned(a * 2, 0, b)),
    "column assignment": (("x",), lambda t, a: _assigned(a * a, (slice(None), 1), 7.0)),
    "into zeros": (("row",), lambda t, a: _assigned(t.zeros(2, 3, dtype=t.float64), 1, a * a)),
    "a sigmoid by hand": (("x",), lambda t, a: 1 / (1 + t.exp(-a))),
    "a network": (
        ("x", "square", "row"),
        lambda t, a, w, b: t.log_softmax(t.relu(a @ w + b) @ w.T, 1)[range(2), [0, 2]].mean(),
    ),
}


def _augmented(a, b):
    a += b
    a *= b
    a -= 1
    a /= 2
    return a


def _assigned(a, index, value):
    a[index] = value
    return a * a


def weights(shape):
    """What a result is weighted by before it is summed, so that every element counts its own."""
    n = int(np.prod(shape))
    return (np.arange(n) * 0.61 % 1.7 - 0.6).reshape(shape)


def computed(library, name):
    """(value, gradients) of a case as arrays."""
    names, function = CASES[name]
    inputs = [library.tensor(INPUTS[n], dtype=library.float64, requires_grad=True) for n in names]
    out = function(library, *inputs)
    weight = library.tensor(weights(tuple(out.shape)), dtype=out.dtype)
    (out * weight).sum().backward()
    gradients = [np.zeros(i.shape) if i.grad is None else i.grad.numpy() for i in inputs]
    return out.detach().numpy(), gradients


#: What is printed: code of a tensor, with `t` for the library.
PRINTED = [
    "t.tensor(1.0)",
    "t.tensor(3)",
    "t.tensor(True)",
    "t.tensor(-0.12345678)",
    "t.tensor([])",
    "t.tensor([1.0, 2.0])",
    "t.tensor([1.5, -2.25, 1000.0])",
    "t.tensor([1e-5, 1.0])",
    "t.tensor([1e10, 1.0])",
    "t.tensor([float('nan'), 1.0, float('inf')])",
    "t.tensor([float('nan'), 1.5, -float('inf')])",
    "t.tensor([0.0, -0.0])",
    "t.tensor([[1, 20], [-300, 4]])",
    "t.tensor([[True, False], [False, True]])",
    "t.arange(30)",
    "t.arange(30) / 7",
    "t.arange(2000)",
    "t.arange(2000).reshape(2, 1000) * 0.5",
    "t.arange(27).reshape(3, 3, 3)",
    "t.arange(24.0).reshape(2, 3, 2, 2)",
    "t.zeros(0, 3)",
    "t.zeros(2, 3)",
    "t.ones(3, requires_grad=True)",
    "t.ones(3, requires_grad=True) * 2",
    "t.ones(2, 2, requires_grad=True).sum()",
    "t.tensor([1, 2], dtype=t.int32)",
    "t.tensor([1.0], dtype=t.float64)",
    "t.tensor([1.0], dtype=t.float64, requires_grad=True).exp()",
    "t.arange(12.0, requires_grad=True).reshape(3, 4).relu()",
    "t.full((1200,), 0.1)",
    "t.linspace(0, 1, 13)",
    "t.tensor([123456.789, 0.5])",
    "t.tensor([0.00012, 0.00034])",
    "t.tensor(1e-7)",
    "t.tensor([99999999.0])",
    "t.tensor([1.5e8])",
    "t.eye(3)[None]",
    "t.tensor([[0.1, 0.2]], requires_grad=True).T",
    "t.ones(1001).reshape(7, 143)",
    "t.tensor(100.0, requires_grad=True) * 2 * 1.1",
]

#: Operands of every dtype, with dimensions, without, and as Python's numbers.
OPERANDS = [
    *(
        f"t.ones({shape}, dtype=t.{kind})"
        for shape in ("2", "()")
        for kind in ("bool", "uint8", "int32", "int64", "float32", "float64")
    ),
    "True",
    "2",
    "2.5",
]
