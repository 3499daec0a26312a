"""One training step in each library, as its good users write it.

`PEERS[name](task)` builds the step: (step, weights, x, t).  ``step(x, t)`` trains on a batch and
returns the loss before the update; x and t are the task's rows as the library has them;
``weights()`` gives [W1, b1, W2, b2, ...] as the book has them, (n_in, n_out) and (n_out,).  A
library that is not there raises ImportError; one that cannot express the task raises
`CannotExpress`.
"""

import os
import signal
import sys
import warnings
from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np

import fastbp
from bench import inplace
from bench.tasks import CannotExpress, NotCompiled

COMPILE_SECONDS = 300
#: PyTorch's classes of activations.
CLASSES = {
    "relu": "ReLU",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "gelu": "GELU",
    "softplus": "Softplus",
    "silu": "SiLU",
    "mish": "Mish",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "log_sigmoid": "LogSigmoid",
    "hard_tanh": "Hardtanh",
    "relu6": "ReLU6",
    "hard_swish": "Hardswish",
    "hard_sigmoid": "Hardsigmoid",
    "soft_sign": "Softsign",
}


def network_of_fastbp(task):
    """The network and its optimiser."""
    activation = getattr(fastbp.nn, CLASSES[task.activation])
    layers, params = [], task.copies()
    for W, b in zip(params[::2], params[1::2], strict=True):
        layers += [fastbp.Affine(W, b), activation()]
    loss = fastbp.MeanSquaredError() if task.squares else fastbp.SoftmaxWithLoss()
    optimizer = {"sgd": fastbp.SGD, "adam": fastbp.Adam}[task.optimizer](lr=task.lr)
    return fastbp.Sequential(*layers[:-1], loss=loss), optimizer


def of_fastbp(task):
    net, optimizer = network_of_fastbp(task)
    trainer = fastbp.Trainer(net, optimizer, batch_size=task.batch, n_threads=task.threads)
    return trainer.step, lambda: list(net.params.values()), task.x, task.t


def of_numpy(task):
    """Everything in place, in arrays made beforehand; sums are products with ones."""
    params = task.copies()
    Ws, bs = params[::2], params[1::2]
    ones = np.ones(task.batch, task.dtype)
    grads = [np.empty_like(a) for a in params]
    outs = [np.empty((task.batch, n), task.dtype) for n in task.sizes[1:]]
    douts = [np.empty_like(a) for a in outs]
    activations = [inplace.ACTIVATIONS[task.activation](a.shape, task.dtype) for a in outs[:-1]]
    loss_of = numpy_squares(task) if task.squares else numpy_cross_entropy(task)
    update = numpy_update(task, params, grads)

    def step(x, t):
        h = x
        for k, (W, b, z) in enumerate(zip(Ws, bs, outs, strict=True)):
            np.dot(h, W, out=z)
            z += b
            if k < len(activations):
                activations[k][0](z)
            h = z
        dz = outs[-1]
        loss = loss_of(dz, t)
        for k in reversed(range(len(Ws))):
            np.dot((outs[k - 1] if k else x).T, dz, out=grads[2 * k])
            np.dot(ones, dz, out=grads[2 * k + 1])
            if k:
                np.dot(dz, Ws[k].T, out=douts[k - 1])
                dz = douts[k - 1]
                activations[k - 1][1](dz, outs[k - 1])
        update()
        return loss

    return step, lambda: params, task.x, task.t


def numpy_cross_entropy(task):
    """The loss of logits y, which become its gradient."""
    rows, ones = np.arange(task.batch), np.ones((task.sizes[-1], 1), task.dtype)
    column = np.empty((task.batch, 1), task.dtype)

    def loss_of(y, t):
        np.maximum.reduce(y, axis=1, keepdims=True, out=column)
        y -= column
        np.exp(y, out=y)
        np.dot(y, ones, out=column)
        y /= column
        loss = -np.log(y[rows, t]).mean()
        y[rows, t] -= 1
        y /= len(y)
        return loss

    return loss_of


def numpy_squares(task):
    """The loss of outputs y, which become its gradient."""

    def loss_of(y, t):
        y -= t
        loss = np.dot(y[:, 0], y[:, 0]) / len(y)
        y *= 2 / len(y)
        return loss

    return loss_of


def numpy_update(task, params, grads):
    """The optimiser over all parameters, in place."""
    if task.optimizer == "sgd":

        def sgd():
            for p, g in zip(params, grads, strict=True):
                g *= task.lr
                p -= g

        return sgd
    means, squares, spares = ([np.zeros_like(p) for p in params] for _ in range(3))
    steps = 0

    def adam():
        nonlocal steps
        steps += 1
        rate, root = task.lr / (1 - 0.9**steps), 1 / np.sqrt(1 - 0.999**steps).item()
        for p, g, m, v, s in zip(params, grads, means, squares, spares, strict=True):
            m *= 0.9
            np.multiply(g, 0.1, out=s)
            m += s
            v *= 0.999
            g *= g
            g *= 0.001
            v += g
            np.sqrt(v, out=s)
            s *= root
            s += 1e-8
            np.divide(m, s, out=s)
            s *= rate
            p -= s

    return adam


def torch_model(task):
    """(model, optimizer, loss_of, weights, x, t)"""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy, mse_loss

    torch.set_num_threads(task.threads)
    dtype = getattr(torch, task.dtype)
    activation = getattr(nn, CLASSES[task.activation])
    layers = []
    for W, b in zip(task.params[::2], task.params[1::2], strict=True):
        linear = nn.Linear(*W.shape, dtype=dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T.copy()))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, activation()]
    model = nn.Sequential(*layers[:-1])
    if task.optimizer == "sgd":  # fused=True is slower for it than PyTorch's default
        optimizer = torch.optim.SGD(model.parameters(), lr=task.lr)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=task.lr, fused=True)

    def weights():
        return [p.detach().numpy().T for p in model.parameters()]

    loss_of = mse_loss if task.squares else cross_entropy
    return model, optimizer, loss_of, weights, torch.from_numpy(task.x), torch.from_numpy(task.t)


def of_torch(task, precision=nullcontext):
    model, optimizer, loss_of, weights, x, t = torch_model(task)

    def step(x, t):
        optimizer.zero_grad()
        with precision():
            loss = loss_of(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step, weights, x, t


def of_torch_unlocked(task):
    """In a process in which MKL's vendor check is answered; see `bench.unlocked`."""
    import torch

    if not torch.backends.mkl.is_available():
        raise CannotExpress("this PyTorch has no MKL")
    return of_torch(task)


def of_torch_bf16(task):
    """The products in bfloat16, the weights in float32."""
    import torch

    if task.dtype != "float32":
        raise CannotExpress("autocast is for weights in float32")
    if task.flop > 1e9 and torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):
        raise CannotExpress("emulated, as on this processor, it takes ten times as long or more")
    return of_torch(task, partial(torch.autocast, "cpu", torch.bfloat16))


def of_torch_compile(task):
    """The whole step compiled as one function of the weights: forward, gradient and update.

    Compiled without the update, as a module and an optimiser, small steps took three times as long.
    """
    import torch
    from torch.func import functional_call, grad_and_value

    model, _, loss_of, _, x, t = torch_model(task)
    torch._dynamo.reset()
    params = {name: p.detach() for name, p in model.named_parameters()}
    means, squares = ({name: torch.zeros_like(p) for name, p in params.items()} for _ in range(2))
    steps = torch.zeros((), dtype=x.dtype)
    lr = torch.tensor(task.lr, dtype=x.dtype)  # not a constant: another rate compiles nothing anew

    def loss_by(params, x, t):
        return loss_of(functional_call(model, params, (x,)), t)

    @torch.compile
    def update(params, means, squares, steps, lr, x, t):
        grads, loss = grad_and_value(loss_by)(params, x, t)
        if task.optimizer == "sgd":
            for name, p in params.items():
                p.sub_(lr * grads[name])
            return loss
        steps += 1
        rate, root = lr / (1 - 0.9**steps), 1 / torch.sqrt(1 - 0.999**steps)
        for name, p in params.items():
            m, v, g = means[name], squares[name], grads[name]
            m.mul_(0.9).add_(g, alpha=0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            p.sub_(rate * m / (v.sqrt() * root + 1e-8))
        return loss

    def step(x, t):
        return update(params, means, squares, steps, lr, x, t)

    def weights():
        return [p.numpy().T for p in params.values()]

    before = {name: p.clone() for name, p in params.items()}
    with time_limit(COMPILE_SECONDS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step(x[: task.batch], t[: task.batch])
    for name, p in params.items():  # the step that compiled it is undone
        p.copy_(before[name])
    for state in (*means.values(), *squares.values(), steps):
        state.zero_()
    return step, weights, x, t


@contextmanager
def time_limit(seconds):
    """Raise NotCompiled in the block when it takes too long or fails to compile."""

    def late(*_):
        raise TimeoutError(f"not compiled in {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except Exception as error:  # a compiler's errors are of every kind
        first = str(error).strip().partition("\n")[0]
        raise NotCompiled(f"{type(error).__name__}: {first}") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def of_jax(task):
    import jax

    update, state, weights, x, t = jax_update(task)
    update = jax.jit(update, donate_argnums=0)

    def step(x, t):
        state[0], loss = update(state[0], x, t)
        return loss.block_until_ready()

    return step, weights, x, t


def jax_update(task):
    """(update, state, weights, x, t): a step as a function of the state, which is in a list."""
    one_thread = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if task.threads == 1 and "jax" not in sys.modules:  # read when the first array is made
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {one_thread}".strip()
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", task.dtype == "float64")
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # quicker where one waits anyhow
    own = {"tanh": jnp.tanh, "gelu": partial(jax.nn.gelu, approximate=False)}
    activate = own.get(task.activation) or getattr(jax.nn, task.activation)

    def loss_of(params, x, t):
        *hidden, (W, b) = zip(params[::2], params[1::2], strict=True)
        for hidden_W, hidden_b in hidden:
            x = activate(x @ hidden_W + hidden_b)
        y = x @ W + b
        if task.squares:
            return jnp.square(y - t).mean()
        return -jnp.take_along_axis(jax.nn.log_softmax(y), t[:, None], axis=1).mean()

    def update(state, x, t):
        params, means, squares, steps = state
        loss, grads = jax.value_and_grad(loss_of)(params, x, t)
        if task.optimizer == "sgd":
            params = [p - task.lr * g for p, g in zip(params, grads, strict=True)]
            return (params, means, squares, steps), loss
        steps += 1
        rate, root = task.lr / (1 - 0.9**steps), 1 / jnp.sqrt(1 - 0.999**steps)
        means = [0.9 * m + 0.1 * g for m, g in zip(means, grads, strict=True)]
        squares = [0.999 * v + 0.001 * g * g for v, g in zip(squares, grads, strict=True)]
        params = [
            p - (rate * m / (jnp.sqrt(v) * root + 1e-8)).astype(p.dtype)
            for p, m, v in zip(params, means, squares, strict=True)
        ]
        return (params, means, squares, steps), loss

    params = [jnp.array(a) for a in task.params]
    state = params, [], [], None
    if task.optimizer == "adam":
        state = params, *([jnp.zeros_like(p) for p in params] for _ in range(2)), jnp.array(0.0)
    state = [state]
    x, t = jnp.asarray(task.x), jnp.asarray(task.t)
    return update, state, lambda: [np.asarray(p) for p in state[0][0]], x, t


def of_sklearn(task):
    """`partial_fit`, without what scikit-learn checks of numbers and parameters at each call."""
    from sklearn import config_context
    from sklearn.neural_network import MLPClassifier

    n_classes = task.sizes[-1]
    if task.squares:
        raise CannotExpress("its squared error is half of the mean")
    if task.activation not in ("relu", "sigmoid", "tanh"):
        raise CannotExpress(f"it has no {task.activation}")
    if n_classes == 2:
        raise CannotExpress("it gives two classes one sigmoid output, not two of a softmax")
    net = MLPClassifier(
        task.sizes[1:-1],
        activation={"sigmoid": "logistic"}.get(task.activation, task.activation),
        solver=task.optimizer,
        alpha=0,
        momentum=0,
        batch_size=task.batch,
        learning_rate_init=task.lr,
        shuffle=False,
    )
    # The one public way to a network with weights of one's own: train, then write into coefs_.
    first = task.x[: task.batch], task.t[: task.batch]
    net.partial_fit(*first, classes=np.arange(n_classes))
    if hasattr(net._optimizer, "t"):  # Adam has taken a step: begin again
        net._optimizer.t = 0
        for state in net._optimizer.ms + net._optimizer.vs:
            state[...] = 0
    for k, (W, b) in enumerate(zip(task.params[::2], task.params[1::2], strict=True)):
        net.coefs_[k][...] = W
        net.intercepts_[k][...] = b

    def step(x, t):
        with config_context(assume_finite=True, skip_parameter_validation=True):
            net.partial_fit(x, t)
        return net.loss_

    def weights():
        pairs = zip(net.coefs_, net.intercepts_, strict=True)
        return [array for pair in pairs for array in pair]

    return step, weights, task.x, task.t


#: In the order of the tables.
PEERS = {
    "fastbp": of_fastbp,
    "NumPy": of_numpy,
    "PyTorch": of_torch,
    "PyTorch unlocked": of_torch_unlocked,
    "PyTorch bf16": of_torch_bf16,
    "torch.compile": of_torch_compile,
    "JAX": of_jax,
    "scikit-learn": of_sklearn,
}
#: How each is used, and what it was given beside the installed library.
HOW = {
    "NumPy": "all in place, in arrays made beforehand",
    "PyTorch": "as installed",
    "PyTorch unlocked": "MKL's vendor check answered by a preloaded library of two lines",
    "PyTorch bf16": "unlocked, products in bfloat16 under autocast, which are less exact and not in the ratio",
    "torch.compile": "a step one function",
    "JAX": "a step one jit, weights donated",
    "scikit-learn": "`partial_fit` without its checks",
}
#: Those who compute with fewer digits than the task has.
LOWER = ("PyTorch bf16",)
#: Left out of the comparison of weights: scikit-learn's Adam puts its epsilon elsewhere.
OWN_NUMBERS = {("scikit-learn", "adam")}
