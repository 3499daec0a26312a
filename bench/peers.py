"""One training step in each library, as its good users write it.

`PEERS[name](task)` builds the step: (step, weights).  ``step()`` trains on the task's batch and
returns the loss before the update, ``weights()`` gives [W1, b1, W2, b2, ...] as the book has
them, (n_in, n_out) and (n_out,).  A library that is not there raises ImportError; one that
cannot express the task raises `CannotExpress`.
"""

import os
import signal
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

import fastbp

COMPILE_SECONDS = 120


class CannotExpress(Exception):
    """The library has no such training step; the message says why."""


class NotCompiled(CannotExpress):
    """It has one, which could not be compiled here."""


@dataclass
class Task:
    """A batch, a network with its first weights, and how it is trained."""

    batch: int
    sizes: tuple
    dtype: str = "float32"
    activation: str = "relu"
    optimizer: str = "sgd"
    lr: float = 0.1
    threads: int = 1
    x: np.ndarray = field(init=False)
    t: np.ndarray = field(init=False)
    params: list = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((self.batch, self.sizes[0])).astype(self.dtype)
        self.t = rng.integers(0, self.sizes[-1], self.batch)
        gain = 2 if self.activation == "relu" else 1
        self.params = []
        for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False):
            W = np.sqrt(gain / n_in) * rng.standard_normal((n_in, n_out))
            self.params += [W.astype(self.dtype), np.zeros(n_out, self.dtype)]

    @property
    def flop(self):
        """Operations of the products of a step; the first layer needs no dx."""
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        return self.batch * (6 * sum(a * b for a, b in pairs) - 2 * pairs[0][0] * pairs[0][1])

    def copies(self):
        return [a.copy() for a in self.params]


def of_fastbp(task):
    activation = {"relu": fastbp.Relu, "sigmoid": fastbp.Sigmoid}[task.activation]
    layers, params = [], task.copies()
    for W, b in zip(params[::2], params[1::2], strict=True):
        layers += [fastbp.Affine(W, b), activation()]
    net = fastbp.Sequential(*layers[:-1], loss=fastbp.SoftmaxWithLoss())
    optimizer = {"sgd": fastbp.SGD, "adam": fastbp.Adam}[task.optimizer](lr=task.lr)
    trainer = fastbp.Trainer(net, optimizer, batch_size=task.batch, n_threads=task.threads)
    return partial(trainer.step, task.x, task.t), lambda: list(net.params.values())


def of_numpy(task):
    """Everything in place, in arrays made beforehand; sums are products with ones."""
    x, t, rows, params = task.x, task.t, np.arange(task.batch), task.copies()
    ones, ones_out = np.ones(task.batch, task.dtype), np.ones((task.sizes[-1], 1), task.dtype)
    Ws, bs = params[::2], params[1::2]
    grads = [np.empty_like(a) for a in params]
    outs = [np.empty((task.batch, n), task.dtype) for n in task.sizes[1:]]
    douts, spare = ([np.empty_like(a) for a in outs] for _ in range(2))
    masks = [np.empty(a.shape, bool) for a in outs]
    column = np.empty((task.batch, 1), task.dtype)
    update = numpy_update(task, params, grads)

    def activate(z):
        if task.activation == "relu":
            np.maximum(z, 0, out=z)
        else:
            np.negative(z, out=z)
            np.exp(z, out=z)
            z += 1
            np.reciprocal(z, out=z)

    def pull_back(dz, k):
        if task.activation == "relu":
            np.greater(outs[k], 0, out=masks[k])
            dz *= masks[k]
        else:
            np.subtract(1, outs[k], out=spare[k])
            dz *= outs[k]
            dz *= spare[k]

    def step():
        h = x
        for k, (W, b, z) in enumerate(zip(Ws, bs, outs, strict=True)):
            np.dot(h, W, out=z)
            z += b
            if k < len(Ws) - 1:
                activate(z)
            h = z
        y = outs[-1]
        np.maximum.reduce(y, axis=1, keepdims=True, out=column)
        y -= column
        np.exp(y, out=y)
        np.dot(y, ones_out, out=column)
        y /= column
        loss = -np.log(y[rows, t]).mean()
        y[rows, t] -= 1
        y /= len(y)
        dz = y
        for k in reversed(range(len(Ws))):
            np.dot((outs[k - 1] if k else x).T, dz, out=grads[2 * k])
            np.dot(ones, dz, out=grads[2 * k + 1])
            if k:
                np.dot(dz, Ws[k].T, out=douts[k - 1])
                dz = douts[k - 1]
                pull_back(dz, k - 1)
        update()
        return loss

    return step, lambda: params


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
    import torch
    from torch import nn

    torch.set_num_threads(task.threads)
    dtype = getattr(torch, task.dtype)
    layers = []
    for W, b in zip(task.params[::2], task.params[1::2], strict=True):
        linear = nn.Linear(*W.shape, dtype=dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T.copy()))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, nn.ReLU() if task.activation == "relu" else nn.Sigmoid()]
    model = nn.Sequential(*layers[:-1])
    if task.optimizer == "sgd":  # fused=True is slower for it than PyTorch's default
        optimizer = torch.optim.SGD(model.parameters(), lr=task.lr)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=task.lr, fused=True)

    def weights():
        return [p.detach().numpy().T for p in model.parameters()]

    return model, optimizer, weights, torch.from_numpy(task.x), torch.from_numpy(task.t)


def of_torch(task):
    from torch.nn.functional import cross_entropy

    model, optimizer, weights, x, t = torch_model(task)

    def step():
        optimizer.zero_grad()
        loss = cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step, weights


def of_torch_compile(task):
    """The whole step compiled as one function of the weights: forward, gradient and update.

    Compiled without the update, as a module and an optimiser, small steps took three times as long.
    """
    import torch
    from torch.func import functional_call, grad_and_value
    from torch.nn.functional import cross_entropy

    model, _, _, x, t = torch_model(task)
    torch._dynamo.reset()
    params = {name: p.detach() for name, p in model.named_parameters()}
    means, squares = ({name: torch.zeros_like(p) for name, p in params.items()} for _ in range(2))
    steps = torch.zeros((), dtype=x.dtype)
    lr = torch.tensor(task.lr, dtype=x.dtype)  # not a constant: another rate compiles nothing anew

    def loss_of(params, x, t):
        return cross_entropy(functional_call(model, params, (x,)), t)

    @torch.compile
    def update(params, means, squares, steps, lr, x, t):
        grads, loss = grad_and_value(loss_of)(params, x, t)
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

    def step():
        return update(params, means, squares, steps, lr, x, t)

    def weights():
        return [p.numpy().T for p in params.values()]

    before = {name: p.clone() for name, p in params.items()}
    with time_limit(COMPILE_SECONDS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step()
    for name, p in params.items():  # the step that compiled it is undone
        p.copy_(before[name])
    for state in (*means.values(), *squares.values(), steps):
        state.zero_()
    return step, weights


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
    one_thread = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if task.threads == 1 and "jax" not in sys.modules:  # read when the first array is made
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {one_thread}".strip()
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", task.dtype == "float64")
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # quicker where one waits anyhow
    activate = jax.nn.relu if task.activation == "relu" else jax.nn.sigmoid

    def loss_of(params, x, t):
        *hidden, (W, b) = zip(params[::2], params[1::2], strict=True)
        for hidden_W, hidden_b in hidden:
            x = activate(x @ hidden_W + hidden_b)
        log_y = jax.nn.log_softmax(x @ W + b)
        return -jnp.take_along_axis(log_y, t[:, None], axis=1).mean()

    @partial(jax.jit, donate_argnums=0)
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
    x, t = jnp.asarray(task.x), jnp.asarray(task.t)

    def step():
        nonlocal state
        state, loss = update(state, x, t)
        return loss.block_until_ready()

    return step, lambda: [np.asarray(p) for p in state[0]]


def of_sklearn(task):
    """`partial_fit`, without what scikit-learn checks of numbers and parameters at each call."""
    from sklearn import config_context
    from sklearn.neural_network import MLPClassifier

    n_classes = task.sizes[-1]
    if n_classes == 2:
        raise CannotExpress("it gives two classes one sigmoid output, not two of a softmax")
    net = MLPClassifier(
        task.sizes[1:-1],
        activation="logistic" if task.activation == "sigmoid" else "relu",
        solver=task.optimizer,
        alpha=0,
        momentum=0,
        batch_size=task.batch,
        learning_rate_init=task.lr,
        shuffle=False,
    )
    # The one public way to a network with weights of one's own: train, then write into coefs_.
    net.partial_fit(task.x, task.t, classes=np.arange(n_classes))
    if hasattr(net._optimizer, "t"):  # Adam has taken a step: begin again
        net._optimizer.t = 0
        for state in net._optimizer.ms + net._optimizer.vs:
            state[...] = 0
    for k, (W, b) in enumerate(zip(task.params[::2], task.params[1::2], strict=True)):
        net.coefs_[k][...] = W
        net.intercepts_[k][...] = b

    def step():
        with config_context(assume_finite=True, skip_parameter_validation=True):
            net.partial_fit(task.x, task.t)
        return net.loss_

    def weights():
        pairs = zip(net.coefs_, net.intercepts_, strict=True)
        return [array for pair in pairs for array in pair]

    return step, weights


#: In the order of the tables.
PEERS = {
    "fastbp": of_fastbp,
    "NumPy": of_numpy,
    "PyTorch": of_torch,
    "torch.compile": of_torch_compile,
    "JAX": of_jax,
    "scikit-learn": of_sklearn,
}
#: Left out of the comparison of weights: scikit-learn's Adam puts its epsilon elsewhere.
OWN_NUMBERS = {("scikit-learn", "adam")}
#: What is imported before the machine is described.
PACKAGES = {"PyTorch": "torch", "torch.compile": "torch", "JAX": "jax", "scikit-learn": "sklearn"}
