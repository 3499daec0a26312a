"""Layers, losses and functions of nn, which run with PyTorch and with fastbp alike.

A case is a function of (library, nn, nn.functional, *tensors) and the arrays that the tensors are
made of; `evaluate` gives its result and the gradients of a weighted sum of it.
"""

import numpy as np

RNG = np.random.default_rng(20240607)
X = RNG.standard_normal((5, 4))
Y = RNG.standard_normal((5, 4))
LARGE = np.array([[-30.0, -3.0, -1.0, -0.2, 0.0], [0.5, 1.0, 3.0, 6.0, 30.0]])
CUBE = RNG.standard_normal((2, 3, 4))
VECTOR = RNG.standard_normal(4)
W, B = RNG.standard_normal((3, 4)), RNG.standard_normal(3)
U, V = RNG.random((5, 4)), RNG.random((5, 4))
ROWS = U / U.sum(1, keepdims=True)
CLASSES = np.array([0, 3, 1, 1, 2])
BY_CLASS = RNG.random(4)


def own(nn, name, arguments, x):
    return getattr(nn, name)(*arguments)(x)


def elementwise():
    functions = {
        "relu": (),
        "leaky_relu": (0.1,),
        "elu": (1.5,),
        "celu": (1.5,),
        "selu": (),
        "gelu": (),
        "silu": (),
        "mish": (),
        "softplus": (),
        "hardtanh": (-2.0, 0.7),
        "relu6": (),
        "hardswish": (),
        "logsigmoid": (),
        "softsign": (),
        "tanhshrink": (),
        "threshold": (0.2, -1.0),
        "sigmoid": (),
        "tanh": (),
    }
    modules = {
        "ReLU": (),
        "LeakyReLU": (0.1,),
        "ELU": (1.5,),
        "CELU": (),
        "SELU": (),
        "GELU": ("tanh",),
        "SiLU": (),
        "Mish": (),
        "Softplus": (2,),
        "Hardtanh": (),
        "ReLU6": (),
        "Hardswish": (),
        "LogSigmoid": (),
        "Softsign": (),
        "Tanhshrink": (),
        "Threshold": (0.2, 5),
        "Sigmoid": (),
        "Tanh": (),
        "Identity": (),
        "Softmax": (1,),
        "LogSoftmax": (-1,),
        "Softmin": (0,),
        "Flatten": (),
        "Dropout": (0.0,),
    }
    for where, x in (("", X), (" large", LARGE)):
        for name, arguments in functions.items():

            def function(L, nn, F, x, name=name, arguments=arguments):
                return getattr(F, name)(x, *arguments)

            yield f"F.{name}{where}", (function, x)
        for name, arguments in modules.items():

            def module(L, nn, F, x, name=name, arguments=arguments):
                return own(nn, name, arguments, x * 1)

            yield f"nn.{name}{where}", (module, x)
    for name in ("relu", "gelu", "leaky_relu", "tanh", "silu"):

        def transposed(L, nn, F, x, name=name):
            return getattr(F, name)(x.T)

        yield f"F.{name} transposed", (transposed, X)


def maps():
    yield "linear", (lambda L, nn, F, x, w, b: F.linear(x, w, b), X, W, B)
    yield "linear without bias", (lambda L, nn, F, x, w: F.linear(x, w), X, W)
    yield "linear of a cube", (lambda L, nn, F, x, w, b: F.linear(x, w, b), CUBE, W, B)
    yield "linear of a vector", (lambda L, nn, F, x, w, b: F.linear(x, w, b), VECTOR, W, B)
    yield "linear to a number", (lambda L, nn, F, x, w: F.linear(x, w), X, VECTOR)
    yield "linear of no rows", (lambda L, nn, F, x, w, b: F.linear(x[:0], w, b), X, W, B)
    yield "linear of columns", (lambda L, nn, F, x, w, b: F.linear(x.T, w[:, :3], b), X[:3], W, B)
    yield "one_hot", (lambda L, nn, F, x: F.one_hot(L.tensor([1, 3]), 5) * x[:2, :1], X)
    yield "embedding", (lambda L, nn, F, w: F.embedding(L.tensor([[0, 2], [2, 1]]), w), W)
    yield ("embedding padded", (lambda L, nn, F, w: F.embedding(L.tensor([0, 2, 2]), w, padding_idx=2), W))
    yield "layer_norm", (lambda L, nn, F, x, w, b: F.layer_norm(x, (4,), w, b), X, BY_CLASS, VECTOR)
    yield "layer_norm of all", (lambda L, nn, F, x: F.layer_norm(x, (5, 4)), X)
    for name, x, n in (("rows", X, 4), ("a cube", CUBE, 3)):
        yield (
            f"batch_norm of {name}",
            (lambda L, nn, F, x, w, b: F.batch_norm(x, None, None, w, b, training=True), x, BY_CLASS[:n], VECTOR[:n]),
        )
    yield (
        "batch_norm evaluated",
        (
            lambda L, nn, F, x, w, b: F.batch_norm(x, L.zeros(4, dtype=x.dtype), 2 * L.ones(4, dtype=x.dtype), w, b),
            X,
            BY_CLASS,
            VECTOR,
        ),
    )
    yield "normalize", (lambda L, nn, F, x: F.normalize(x), X)
    yield "normalize by columns", (lambda L, nn, F, x: F.normalize(x, p=1, dim=0), X)
    yield "cosine_similarity", (lambda L, nn, F, x, y: F.cosine_similarity(x, y), X, Y)
    yield "pairwise_distance", (lambda L, nn, F, x, y: F.pairwise_distance(x, y), X, Y)
    yield "prelu", (lambda L, nn, F, x, w: F.prelu(x, w), X, VECTOR)
    yield "prelu of one", (lambda L, nn, F, x, w: F.prelu(x, w[:1]), X, VECTOR)
    yield "prelu of a cube", (lambda L, nn, F, x, w: F.prelu(x, w[:3]), CUBE, VECTOR)
    yield "prelu of a vector", (lambda L, nn, F, x, w: F.prelu(x[0], w[:1]), X, VECTOR)
    yield "nn.GLU", (lambda L, nn, F, x: nn.GLU()(x), X)
    yield "glu of rows", (lambda L, nn, F, x: F.glu(x[:4], 0), X)
    yield "nn.CosineSimilarity", (lambda L, nn, F, x, y: nn.CosineSimilarity(0)(x, y), X, Y)
    yield ("nn.PairwiseDistance", (lambda L, nn, F, x, y: nn.PairwiseDistance(1, keepdim=True)(x, y), X, Y))
    yield "softmax", (lambda L, nn, F, x: F.softmax(x, dim=1), X)
    yield "log_softmax of a cube", (lambda L, nn, F, x: F.log_softmax(x, 1), CUBE)


def margins():
    """Losses of distances, rankings, spreads and counts."""
    signs = np.array([1, -1, 1, 1, -1])
    counts = np.floor(4 * U)

    def made(name, *tensors, **options):
        def loss(L, nn, F, *inputs):
            given = [L.tensor(x.tolist()) if x.dtype == int else x for x in inputs]
            return getattr(nn, name)(**options)(*given)

        return (loss, *tensors)

    for r in ("mean", "sum", "none"):
        yield f"nn.TripletMarginLoss {r}", made("TripletMarginLoss", X, Y, U, reduction=r)
        yield (
            f"nn.TripletMarginLoss swapped {r}",
            made("TripletMarginLoss", X, Y, U, margin=0.5, p=1, swap=True, reduction=r),
        )
        for name, inputs in (
            ("CosineEmbeddingLoss", (X, Y)),
            ("MarginRankingLoss", (X[:, 0], Y[:, 0])),
            ("HingeEmbeddingLoss", (X[:, 0],)),
        ):
            yield f"nn.{name} {r}", made(name, *inputs, signs, margin=0.2, reduction=r)
        for part, var in (("", V), (" of rows", V[:, :1]), (" by rows", V[:, 0])):
            yield (f"nn.GaussianNLLLoss{part} {r}", made("GaussianNLLLoss", X, Y, var, full=True, eps=0.4, reduction=r))
        for part, x, options in (("", X, {"full": True}), (" of rates", U, {"log_input": False})):

            def poisson(L, nn, F, x, counts, options=options, r=r):
                return nn.PoissonNLLLoss(**options, reduction=r)(x, counts.detach())

            yield f"nn.PoissonNLLLoss{part} {r}", (poisson, x, counts)
    yield ("gaussian_nll_loss of a number", (lambda L, nn, F, x, y: F.gaussian_nll_loss(x, y, 2.5), X, Y))


def losses():
    def weights(L, x):
        return L.tensor(BY_CLASS.tolist(), dtype=x.dtype)

    for r in ("mean", "sum", "none"):
        k = {"reduction": r}
        yield (f"cross_entropy {r}", (lambda L, nn, F, x, t, k=k: F.cross_entropy(x, t, **k), X, CLASSES))
        yield (
            f"cross_entropy of a vector {r}",
            (lambda L, nn, F, x, k=k: F.cross_entropy(x, L.tensor(2), **k), VECTOR),
        )
        yield (
            f"cross_entropy weighted {r}",
            (lambda L, nn, F, x, t, k=k: F.cross_entropy(x, t, weights(L, x), **k), X, CLASSES),
        )
        yield (
            f"cross_entropy without a class {r}",
            (lambda L, nn, F, x, t, k=k: F.cross_entropy(x, t, ignore_index=1, **k), X, CLASSES),
        )
        yield (
            f"cross_entropy without rows {r}",
            (lambda L, nn, F, x, k=k: F.cross_entropy(x, L.tensor([0, -100, 1, 2, -100]), **k), X),
        )
        yield (
            f"cross_entropy without any row {r}",
            (lambda L, nn, F, x, k=k: F.cross_entropy(x, L.tensor([-100] * 5), **k), X),
        )
        yield (
            f"cross_entropy smoothed {r}",
            (lambda L, nn, F, x, t, k=k: F.cross_entropy(x, t, label_smoothing=0.1, **k), X, CLASSES),
        )
        yield (
            f"cross_entropy with everything {r}",
            (
                lambda L, nn, F, x, t, k=k: F.cross_entropy(
                    x, t, weights(L, x), ignore_index=2, label_smoothing=0.1, **k
                ),
                X,
                CLASSES,
            ),
        )
        yield (f"cross_entropy of rows {r}", (lambda L, nn, F, x, p, k=k: F.cross_entropy(x, p, **k), X, ROWS))
        yield (
            f"cross_entropy of rows weighted {r}",
            (lambda L, nn, F, x, p, k=k: F.cross_entropy(x, p, weights(L, x), label_smoothing=0.2, **k), X, ROWS),
        )
        yield (
            f"cross_entropy of a vector of rows {r}",
            (lambda L, nn, F, x, p, k=k: F.cross_entropy(x, p, **k), VECTOR, ROWS[0]),
        )
        yield (
            f"cross_entropy of a cube {r}",
            (lambda L, nn, F, x, k=k: F.cross_entropy(x, L.tensor([[0, 1, 2, 0], [1, 1, 2, 0]]), **k), CUBE),
        )
        yield (f"nll_loss {r}", (lambda L, nn, F, x, t, k=k: F.nll_loss(F.log_softmax(x, 1), t, **k), X, CLASSES))
        yield (
            f"nll_loss weighted {r}",
            (lambda L, nn, F, x, t, k=k: F.nll_loss(x, t, weights(L, x), ignore_index=0, **k), X, CLASSES),
        )
        for name, more in (
            ("mse_loss", {}),
            ("l1_loss", {}),
            ("smooth_l1_loss", {"beta": 0.5}),
            ("huber_loss", {"delta": 0.5}),
        ):

            def pair(L, nn, F, x, y, name=name, more=more, k=k):
                return getattr(F, name)(x, y, **more, **k)

            yield f"{name} {r}", (pair, X, Y)
        yield (f"binary_cross_entropy {r}", (lambda L, nn, F, x, y, k=k: F.binary_cross_entropy(x, y, **k), U, V))
        yield (
            f"binary_cross_entropy weighted {r}",
            (lambda L, nn, F, x, y, k=k: F.binary_cross_entropy(x, y, weights(L, x), **k), U, V),
        )
        yield (
            f"binary_cross_entropy_with_logits {r}",
            (lambda L, nn, F, x, y, k=k: F.binary_cross_entropy_with_logits(x, y, **k), 10 * X, V),
        )
        yield (
            f"binary_cross_entropy_with_logits weighted {r}",
            (
                lambda L, nn, F, x, y, k=k: F.binary_cross_entropy_with_logits(
                    x, y, weights(L, x), pos_weight=1 + weights(L, x), **k
                ),
                10 * X,
                V,
            ),
        )
        yield f"kl_div {r}", (lambda L, nn, F, x, y, k=k: F.kl_div(x, y, **k), X, U)
        yield (f"kl_div of logs {r}", (lambda L, nn, F, x, y, k=k: F.kl_div(x, y, log_target=True, **k), X, Y))
    yield "kl_div batchmean", (lambda L, nn, F, x, y: F.kl_div(x, y, reduction="batchmean"), X, U)
    for name, x, t in (
        ("CrossEntropyLoss", X, CLASSES),
        ("NLLLoss", X, CLASSES),
        ("BCELoss", U, V),
        ("BCEWithLogitsLoss", X, V),
        ("MSELoss", X, Y),
        ("L1Loss", X, Y),
        ("SmoothL1Loss", X, Y),
        ("HuberLoss", X, Y),
        ("KLDivLoss", X, U),
    ):

        def loss(L, nn, F, x, t, name=name):
            return getattr(nn, name)()(x, t)

        yield f"nn.{name}", (loss, x, t)
    yield (
        "nn.CrossEntropyLoss with options",
        (
            lambda L, nn, F, x, t: nn.CrossEntropyLoss(weight=weights(L, x), label_smoothing=0.2, reduction="sum")(
                x, t
            ),
            X,
            CLASSES,
        ),
    )


def networks():
    def twice(L, nn, F, x):
        relu = nn.ReLU()
        return nn.Sequential(relu, nn.Tanh(), relu)(x)

    def norm(L, nn, F, x):
        layer = nn.BatchNorm1d(x.shape[1]).to(x.dtype)
        layer(x * 2 + 1)
        out = layer(x)
        return L.cat([out.reshape(-1), layer.running_mean, layer.running_var])

    def evaluated(L, nn, F, x):
        layer = nn.BatchNorm1d(x.shape[1]).to(x.dtype)
        layer(x * 2 + 1)
        return layer.eval()(x)

    def mlp(L, nn, F, x, w, b, t):
        first, last = nn.Linear(4, 3, dtype=x.dtype), nn.Linear(3, 4, bias=False, dtype=x.dtype)
        first.weight.data.copy_(w.detach())
        first.bias.data.copy_(b.detach())
        last.weight.data.copy_(w.detach().T)
        loss = nn.CrossEntropyLoss()(nn.Sequential(first, nn.Sigmoid(), last)(x), t)
        loss.backward()
        parameters = [*first.parameters(), *last.parameters()]
        return L.cat([loss.detach().reshape(1), *(p.grad.reshape(-1) for p in parameters)])

    yield "one ReLU twice", (twice, X)
    yield "BatchNorm1d", (norm, X)
    yield "BatchNorm1d of a cube", (norm, CUBE)
    yield "BatchNorm1d evaluated", (evaluated, X)
    yield "LayerNorm", (lambda L, nn, F, x: nn.LayerNorm(4, dtype=x.dtype)(x), X)
    yield "a perceptron's gradients", (mlp, X, W, B, CLASSES)


CASES = {**dict(elementwise()), **dict(maps()), **dict(margins()), **dict(losses()), **dict(networks())}


def evaluate(L, from_numpy, nn, F, case, dtype):
    """The result, and the gradients by the float tensors of its sum weighted by cosines."""
    function, *arrays = case
    tensors = [from_numpy(a.astype(dtype)).requires_grad_() if a.dtype.kind == "f" else from_numpy(a) for a in arrays]
    out = function(L, nn, F, *tensors)
    if out.requires_grad:
        weights = np.cos(np.arange(out.numel())).reshape(tuple(out.shape)).astype(dtype)
        (out * from_numpy(weights)).sum().backward()
    grads = [t.grad for t, a in zip(tensors, arrays, strict=True) if a.dtype.kind == "f"]
    return out.detach().numpy(), [None if g is None else g.numpy() for g in grads]
