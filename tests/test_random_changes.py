"""Random programs: a network, changed while it is trained, and a twin of it in plain NumPy.

A program builds a network, and then trains it in one of the ways there are or changes something,
many times.  After each the network predicts, loses and counts as the twin, which knows nothing but
arrays; what a trainer refuses is not trained.
"""

import copy
import io
import itertools
import pickle
import random

import numpy as np
import pytest

import fastbp
from fastbp import Sequential, Trainer, nn
from fastbp.optim import SGD, Adam

X = np.random.default_rng(0).standard_normal((8, 3))
VALUES = np.random.default_rng(1).standard_normal((8, 2))
CLASSES = np.random.default_rng(2).integers(0, 2, 8)
#: What a trainer may say, where the program has given it a reason to.
REFUSALS = ("so make a new", "hooks", "closed", "engine holds", "as many steps", "requires_grad")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


#: (module of a number, output and derivative of x and the number)
ACTIVATIONS = {
    "relu": (lambda a: nn.ReLU(), lambda x, a: (np.maximum(x, 0), x > 0)),
    "tanh": (lambda a: nn.Tanh(), lambda x, a: (np.tanh(x), 1 - np.tanh(x) ** 2)),
    "sigmoid": (lambda a: nn.Sigmoid(), lambda x, a: (sigmoid(x), sigmoid(x) * (1 - sigmoid(x)))),
    "negative_slope": (nn.LeakyReLU, lambda x, a: (np.where(x > 0, x, a * x), np.where(x > 0, 1.0, a))),
    "alpha": (nn.ELU, lambda x, a: (np.where(x > 0, x, a * np.expm1(x)), np.where(x > 0, 1.0, a * np.exp(x)))),
}


class Part(dict):
    """A layer of the twin: its arrays by PyTorch's names (weight as W), and its numbers."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__
    __hash__ = object.__hash__

    def forward(self, x, training):
        if self.kind == "affine":
            return x @ self.weight + self.bias, x
        if self.kind != "norm":
            return ACTIVATIONS[self.kind][1](x, self.number)
        mean, var = self.running_mean, self.running_var
        if training:
            mean, var, n = x.mean(axis=0), x.var(axis=0), len(x)
            for name, new in (("running_mean", mean), ("running_var", var * n / (n - 1))):
                self[name] = (1 - self.momentum) * self[name] + self.momentum * new
            self.batches += 1
        deviation = np.sqrt(var + self.eps)
        normal = (x - mean) / deviation
        return normal * self.weight + self.bias, (normal, deviation)

    def backward(self, dout, kept):
        """The gradient by the input, and those by the trained arrays."""
        if self.kind == "affine":
            grads = {"weight": kept.T @ dout, "bias": dout.sum(axis=0)}
            return dout @ self.weight.T, {name: grads[name] for name in self.trained}
        if self.kind != "norm":
            return dout * kept, {}
        normal, deviation = kept
        d = dout * self.weight
        d = (d - d.mean(axis=0) - normal * (d * normal).mean(axis=0)) / deviation
        return d, {"weight": (dout * normal).sum(axis=0), "bias": dout.sum(axis=0)}


def loss_of(kind, delta, y):
    """The mean loss, and its gradient by y."""
    if kind == "classes":
        p = np.exp(y - y.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return -np.log((p * np.eye(2)[CLASSES]).sum(axis=1)).mean(), (p - np.eye(2)[CLASSES]) / 8
    d = y - VALUES
    if kind == "squares":
        return (d**2).mean(), 2 * d / d.size
    large = np.abs(d) > delta
    values = np.where(large, delta * (np.abs(d) - delta / 2), d**2 / 2)
    return values.mean(), np.clip(d, -delta, delta) / d.size


CRITERIA = {
    "classes": lambda delta: nn.CrossEntropyLoss(),
    "squares": lambda delta: nn.MSELoss(),
    "huber": lambda delta: nn.HuberLoss(delta=delta),
}


class Program:
    """A network and its twin, an optimiser and its numbers, perhaps a trainer."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        fastbp.manual_seed(seed)
        self.parts, self.frozen, self.hooks, self.trainer, self.log = [], set(), [], None, []
        self.left: list = []
        self.build()
        self.change_loss()
        choice = self.random.choice
        self.bound, self.adam = choice([True, False]), choice([True, False])
        self.rule = {"lr": choice([0.05, 0.1]), "weight_decay": choice([0, 0, 0.1])}
        # Without that eps Adam would make steps of what rounding leaves of a gradient that is 0.
        self.rule |= {"betas": (0.9, 0.99), "eps": 1e-3} if self.adam else {"momentum": choice([0, 0.9])}
        params = [self.net.parameters()] if self.bound else []
        self.optimizer = (Adam if self.adam else SGD)(*params, **self.rule)
        self.states: dict = {}

    def build(self):
        choice, layers = self.random.choice, []
        widths = [3, *self.random.choices([2, 3, 4], k=2), 2]
        for n_in, n_out in itertools.pairwise(widths):
            layers.append(nn.Linear(n_in, n_out, choice([True, True, False]), dtype=fastbp.float64))
            W, b, has_bias = layers[-1].W.copy(), layers[-1].b.copy(), layers[-1].has_bias
            trained = ("weight", "bias") if has_bias else ("weight",)
            self.parts.append(Part(kind="affine", weight=W, bias=b, trained=trained))
            if choice([True, False]):
                layers.append(nn.BatchNorm1d(n_out, dtype=fastbp.float64))
                zeros, ones = np.zeros(n_out), np.ones(n_out)
                self.parts.append(
                    Part(
                        kind="norm",
                        weight=ones,
                        bias=zeros,
                        running_mean=zeros,
                        momentum=0.1,
                        running_var=ones,
                        eps=1e-5,
                        batches=0,
                        trained=("weight", "bias"),
                    )
                )
            kind = choice([kind for kind in ACTIVATIONS if kind != "alpha"])  # which no trainer takes
            layers.append(ACTIVATIONS[kind][0](0.2))
            self.parts.append(Part(kind=kind, number=0.2, trained=()))
        cut = choice([0, 0, 2])
        inner = [Sequential(*layers[:cut])] if cut else []
        self.net = Sequential(*inner, *layers[cut:])

    # --- the twin -----------------------------------------------------------------------------

    def forward(self, training):
        x, kept = X, []
        for part in self.parts:
            x, saved = part.forward(x, training)
            kept.append(saved)
        return x, kept

    def step(self):
        y, kept = self.forward(training=True)
        dout = loss_of(*self.loss, y)[1]
        for part, saved in zip(self.parts[::-1], kept[::-1], strict=True):
            dout, grads = part.backward(dout, saved)  # by the weights before their step
            for name, grad in grads.items():
                if (part, name) not in self.frozen:
                    part[name] = part[name] - self.moved(part, name, grad)

    def moved(self, part, name, grad):
        rule, state = self.rule, self.states.setdefault((part, name), [0, 0.0, 0.0])
        grad = grad + rule["weight_decay"] * part[name]
        state[0] += 1
        if not self.adam:
            state[1] = rule["momentum"] * state[1] + grad
            return rule["lr"] * state[1]
        (one, two), n = rule["betas"], state[0]
        state[1] = one * state[1] + (1 - one) * grad
        state[2] = two * state[2] + (1 - two) * grad**2
        return rule["lr"] * state[1] / (1 - one**n) / (np.sqrt(state[2] / (1 - two**n)) + rule["eps"])

    def check(self):
        y = self.forward(training=False)[0]
        np.testing.assert_allclose(self.net.predict(X), y, rtol=2e-6, atol=1e-8)
        loss = loss_of(*self.loss, y)[0]
        np.testing.assert_allclose(self.net.loss(X, self.target), loss, rtol=2e-6, atol=1e-9)
        for part, layer in zip(self.parts, self.net.layers, strict=True):
            if part.kind == "norm":
                assert layer.num_batches_tracked == part.batches

    # --- ways to train ------------------------------------------------------------------------

    @property
    def target(self):
        return CLASSES if self.loss[0] == "classes" else VALUES

    def close(self):
        if self.trainer is not None:
            self.trainer.close()
        self.trainer = None

    def refused(self, error):
        self.log.append(str(error))
        if not any(words in str(error) for words in REFUSALS):
            raise error

    def by_trainer(self):
        for again in (False, True):
            try:
                if self.trainer is None or self.trainer.closed:
                    self.trainer = Trainer(self.net, self.optimizer, 8)
                self.trainer.step(X, self.target)
                assert not self.hooks and not self.frozen
                self.step()
                return
            except (TypeError, ValueError) as error:
                self.refused(error)
                self.close()
                if again:  # then it is something that no trainer does
                    assert "so make a new" not in str(error)

    def by_fit(self):
        def callback(net, history):
            self.trainer = net.trainer
            self.step()
            self.check()
            for _ in range(self.random.randint(0, 2)):
                self.change(self.random.choice(WHILE_IT_RUNS))

        try:
            self.net.fit(
                X, self.target, epochs=3, optimizer=self.optimizer, batch_size=8, shuffle=False, callbacks=[callback]
            )
        except (TypeError, ValueError, RuntimeError) as error:
            self.refused(error)
        self.trainer = None

    def by_hand(self):
        self.close()
        if self.bound:
            self.optimizer.zero_grad()
            out = self.net(fastbp.from_numpy(X))
            self.criterion(out, fastbp.from_numpy(self.target)).backward()
            self.optimizer.step()
        else:
            grads = self.net.gradient(X, self.target)
            self.optimizer.update(self.net.params, grads)
        self.step()

    # --- changes ------------------------------------------------------------------------------

    def change(self, change):
        self.log.append(change.__name__)
        change(self)

    def some(self, *kinds):
        """A part of such a kind and its layer, or None twice."""
        pairs = zip(self.parts, self.net.layers, strict=True)
        found = [(part, layer) for part, layer in pairs if part.kind in kinds]
        return self.random.choice(found) if found else (None, None)

    def number(self):
        part, layer = self.some("negative_slope", "alpha", "norm")
        if part is None:
            return
        if part.kind == "norm":
            name = self.random.choice(["eps", "momentum"])
            part[name] = self.random.choice([0.05, 0.3])
            setattr(layer, name, part[name])
        else:
            part.number = self.random.choice([0.05, 0.3])
            setattr(layer, part.kind, part.number)

    def option(self):
        name = self.random.choice([*self.rule])
        if name == "momentum" and not self.rule[name]:
            return
        values = {
            "lr": [0.02, 0.08],
            "weight_decay": [0, 0.05],
            "momentum": [0.5, 0.8],
            "betas": [(0.8, 0.9), (0.95, 0.999)],
            "eps": [1e-3, 2e-3],
        }
        self.rule[name] = value = self.random.choice(values[name])
        how = self.random.randint(0, 2)
        groups = self.optimizer.param_groups
        if how == 0 and name not in ("betas", "eps"):
            setattr(self.optimizer, name, value)
        elif how == 1:
            groups[0] = dict(groups[0]) | {name: value}
        else:
            groups[0][name] = value

    def weight_put_in(self):
        part, layer = self.some("affine")
        if (part, "weight") in self.frozen:
            return
        ways = ["data", "parameter"] if self.bound else ["data", "parameter", "array", "table"]
        way = self.random.choice(ways)
        if way == "data":
            layer.weight.data = layer.weight.data * 0.8
        elif way == "array":
            layer.W = layer.W * 0.8
        elif way == "parameter":
            layer.weight = nn.Parameter(layer.weight.detach() * 0.8)
        else:
            table = layer._parameters
            table["weight"] = nn.Parameter(table["weight"].detach() * 0.8)
        part.weight = part.weight * 0.8
        if way == "parameter" and self.bound:
            self.optimizer.param_groups[0]["params"] = [*self.net.parameters()]
            self.states.pop((part, "weight"), None)

    def written(self):
        part, layer = self.some("affine", "norm")
        array = layer.W if part.kind == "affine" else layer.gamma
        array *= 0.9
        part.weight = part.weight * 0.9
        if self.trainer is not None and not self.trainer.closed:
            self.trainer.reload()

    def states_written(self):
        if not self.bound:
            return
        for kept in self.optimizer.state.values():
            for name in {"momentum_buffer", "exp_avg"} & kept.keys():
                kept[name].mul_(0.5)
        for state in self.states.values():
            state[1] = state[1] * 0.5
        if self.trainer is not None and not self.trainer.closed:
            try:
                self.trainer.reload_states()
            except ValueError as error:
                self.refused(error)
                assert "as many steps" in str(error)

    def layer_put_in(self):
        part, layer = self.some(*ACTIVATIONS)
        kind = self.random.choice([*ACTIVATIONS])
        for module in self.net.modules():
            for name, child in [*module._modules.items()]:
                if child is layer:
                    module[name] = ACTIVATIONS[kind][0](0.4)
        part.update(kind=kind, number=0.4)
        self.hooks = [(handle, hooked) for handle, hooked in self.hooks if hooked is not layer]

    def change_loss(self):
        self.loss = self.random.choice([*CRITERIA]), self.random.choice([0.5, 1.0])
        self.criterion = CRITERIA[self.loss[0]](self.loss[1])
        self.net.loss_layer = self.criterion

    def delta(self):
        if self.loss[0] == "huber":
            self.loss = "huber", self.random.choice([0.3, 2.0])
            self.criterion.delta = self.loss[1]

    def states_loaded(self):
        state = self.net.state_dict()
        self.net.load_state_dict({name: tensor.clone() for name, tensor in state.items()})
        if self.bound:
            self.optimizer.load_state_dict(copy.deepcopy(self.optimizer.state_dict()))

    def look(self):
        list(self.net.parameters()), dict(self.net.params), self.optimizer.param_groups
        self.net.eval().predict(X)
        self.net.train()

    def hook(self):
        layer = self.some("affine", "norm", *ACTIVATIONS)[1]
        self.hooks.append((layer.register_forward_hook(lambda *_: None), layer))

    def unhook(self):
        while self.hooks:
            self.hooks.pop()[0].remove()

    def freeze(self):
        if self.bound:
            self.net.layers[0].weight.requires_grad_(False)
            self.net.layers[0].weight.grad = None
            self.frozen.add((self.parts[0], "weight"))

    def thaw(self):
        self.net.requires_grad_(True)
        self.frozen.clear()

    def copied(self):
        if self.bound or self.hooks:
            return
        how = self.random.choice(["copy", "pickle", "file"])
        self.left.append(self.net)  # whose trainer still has the newest states
        if how == "file":
            pytest.importorskip("safetensors")
            file = io.BytesIO()
            self.net.save(file)
            file.seek(0)
            self.net = Sequential.load(file)
            self.net.loss_layer = self.criterion
        else:
            net = self.net
            self.net = copy.deepcopy(net) if how == "copy" else pickle.loads(pickle.dumps(net))
            self.criterion = self.net.loss_layer.criterion
        self.trainer = None

    def cast(self):
        self.net.float().double()
        for part, layer in zip(self.parts, self.net.layers, strict=True):
            for name, tensor in layer.state_dict().items():
                if tensor.is_floating_point():
                    array = tensor.detach().numpy()
                    array = array.T.copy() if name == "weight" else array.copy()
                    np.testing.assert_allclose(array, part[name], rtol=2e-6, atol=1e-7)
                    part[name] = array  # a number amid two of float32 is rounded either way

    def second_trainer(self):
        held = any(part.kind == "alpha" for part in self.parts) or self.hooks or self.frozen
        if not held:
            Trainer(Sequential(*self.net.layers, loss="squared_error"), SGD(lr=1.0), 8)


WHILE_IT_RUNS = [
    Program.number,
    Program.option,
    Program.weight_put_in,
    Program.written,
    Program.states_written,
    Program.layer_put_in,
    Program.change_loss,
    Program.delta,
    Program.states_loaded,
    Program.look,
    Program.hook,
    Program.unhook,
    Program.freeze,
    Program.thaw,
    Program.second_trainer,
]
CHANGES = [*WHILE_IT_RUNS, Program.copied, Program.cast, Program.unhook, Program.thaw]
WAYS = [*[Program.by_trainer] * 4, Program.by_fit, Program.by_hand]


@pytest.mark.parametrize("seed", range(50))
def test_a_network_that_is_changed_while_it_trains_is_its_twin(seed):
    program = Program(seed)
    try:
        for _ in range(14):
            program.change(program.random.choice(program.random.choice([WAYS, CHANGES])))
            if program.random.random() < 0.7:
                program.check()
        program.close()
        program.check()
    except Exception as error:
        error.add_note(" > ".join(program.log))
        raise
