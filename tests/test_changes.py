"""What is changed after a network, a trainer or an optimiser was made: followed, or refused."""

import copy
import io

import numpy as np
import pytest

import fastbp
from fastbp import SGD, AdaGrad, Adam, AdamW, EarlyStopping, RMSprop, Sequential, Trainer, layers, nn
from fastbp._kernels.changes import noted
from fastbp.layers import Affine, BatchNorm1d, BatchNormalization, Dropout, Linear, MeanSquaredError, Relu
from fastbp.optim import lr_scheduler

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 5))
T = RNG.standard_normal((12, 3))


def network(*between, loss="squared_error", seed=0):
    """float64, so that what two ways compute can be compared closely."""
    rng = np.random.default_rng(seed)
    arrays = [(rng.standard_normal((n, m)), rng.standard_normal(m)) for n, m in ((5, 4), (4, 3))]
    first, last = (Affine(W.copy(), b.copy()) for W, b in arrays)
    return Sequential(first, *between, last, loss=loss)


def state_of(net):
    return {name: p.copy() for name, p in net.params.items()}


def differ(one, other):
    return max(np.abs(one[name] - other[name]).max() for name in one)


def by_hand(net, lr, steps=1):
    """Steps of plain SGD by `gradient`."""
    for _ in range(steps):
        for name, g in net.gradient(X, T).items():
            net.params[name] -= lr * g
    return state_of(net)


# --- numbers of layers and losses -----------------------------------------------------------

NUMBERS = {
    "slope": (lambda: layers.LeakyRelu(0.1), "slope", 0.7),
    "nn's slope": (lambda: nn.LeakyReLU(0.1), "negative_slope", 0.7),
    "nn's slope by the book's name": (lambda: nn.LeakyReLU(0.1), "slope", 0.7),
    "beta": (nn.Softplus, "beta", 2.0),
    "threshold of softplus": (nn.Softplus, "threshold", 0.1),
    "alpha": (nn.ELU, "alpha", 0.3),
    "alpha of celu": (nn.CELU, "alpha", 0.3),
    "max_val": (nn.Hardtanh, "max_val", 0.1),
    "value": (lambda: nn.Threshold(0.1, 1), "value", 3),
    "eps": (lambda: BatchNormalization(np.ones(4), np.zeros(4)), "eps", 0.5),
    "eps of BatchNorm1d": (lambda: BatchNorm1d(4, dtype="float64"), "eps", 0.5),
    "nn's eps": (lambda: nn.BatchNorm1d(4, dtype=fastbp.float64), "eps", 0.5),
    "momentum": (lambda: BatchNormalization(np.ones(4), np.zeros(4)), "momentum", 0.2),
    "momentum of BatchNorm1d": (lambda: BatchNorm1d(4, dtype="float64"), "momentum", 0.6),
    "nn's momentum": (lambda: nn.BatchNorm1d(4, dtype=fastbp.float64), "momentum", 0.6),
}


def _step_of_tensors(net):
    optimizer = fastbp.optim.SGD(net.parameters(), lr=0.5)
    nn.MSELoss()(net(fastbp.tensor(X)), fastbp.tensor(T)).backward()
    optimizer.step()


def network_of_nn(*between):
    fastbp.manual_seed(0)
    parts = nn.Linear(5, 4), *between, nn.Linear(4, 3)
    net = nn.Sequential(*parts).double()
    net.loss_layer = MeanSquaredError()
    return net


WRITES = {
    "in place": lambda net: net[0].weight.detach().mul_(2),
    "a part": lambda net: net[0].weight.data[0].add_(1),
    "an element": lambda net: net[0].weight.data.__setitem__((0, 0), 5.0),
    "init": lambda net: nn.init.constant_(net[-1].weight, 0.25),
    "vector": lambda net: nn.utils.vector_to_parameters(
        2 * nn.utils.parameters_to_vector(net.parameters()).detach(), net.parameters()
    ),
    "params": lambda net: net.params.__setitem__("W1", np.ones((5, 4))),
    "array": lambda net: net.params["b2"].__iadd__(1.0),
    "attribute": lambda net: net[0].W.__imul__(3.0),
    "update": lambda net: SGD(lr=0.5).update(net.params, net.gradient(X, T)),
    "step": _step_of_tensors,
}


@pytest.mark.parametrize("way", WRITES)
def test_a_trainer_takes_what_is_written_between_its_steps(way):
    trained, plain = network_of_nn(nn.ReLU()), network_of_nn(nn.ReLU())
    trainer = Trainer(trained, SGD(lr=0.01), batch_size=len(X))
    for _ in range(2):
        trainer.step(X, T)
        by_hand(plain, 0.01)
        WRITES[way](trained)
        WRITES[way](plain)
    trainer.step(X, T)
    assert differ(state_of(trained), by_hand(plain, 0.01)) < 1e-9


def test_a_trainer_takes_running_statistics_that_are_written_between_its_steps():
    net = network_of_nn(nn.BatchNorm1d(4))
    trainer = Trainer(net, SGD(lr=0.01), batch_size=len(X))
    trainer.step(X, T)
    net[1].running_mean.fill_(7.0)
    trainer.step(X, T)
    expected = 0.9 * 7.0 + 0.1 * (X @ net.params["W1"] + net.params["b1"]).mean(0)
    assert np.abs(net[1].running_mean.numpy() - expected).max() < 0.1


@pytest.mark.parametrize("case", NUMBERS)
def test_a_number_of_a_layer_reaches_everything_that_computes_with_it(case):
    make, name, value = NUMBERS[case]
    made, changed, running = make(), make(), make()
    setattr(changed, name, value)
    nets = [network(layer) for layer in (made, changed, running)]
    if "momentum" not in case:
        assert np.abs(nets[0].predict(X) - nets[1].predict(X)).max() > 1e-6
    # By hand, by a trainer made after the change, and by one that was running.
    want, norm = by_hand(nets[1], 0.01), nets[1].layers[1]
    late, held = network(make()), network(running)
    setattr(late.layers[1], name, value)
    trainers = [Trainer(net, SGD(lr=0.01), 12) for net in (late, held)]
    setattr(held.layers[1], name, value)
    for trainer, net in zip(trainers, (late, held), strict=True):
        trainer.step(X, T)
        assert differ(want, state_of(net)) < 1e-12
        if isinstance(norm, BatchNormalization):
            np.testing.assert_allclose(net.layers[1]._running, norm._running, rtol=1e-12)
    assert changed.config() != make().config() and repr(changed) != repr(make())
    again = type(changed).restore(changed.config(), changed.state())
    assert getattr(again, name) == value


@pytest.mark.parametrize("cls", [Dropout, nn.Dropout])
def test_a_ratio_of_dropout_reaches_a_running_trainer(cls):
    name = "dropout_ratio" if cls is Dropout else "p"
    nets = [network(cls(ratio)) for ratio in (0.5, 0.1, 0.5)]
    trainers = [Trainer(net, SGD(lr=0.01), 12, seed=1) for net in nets]
    setattr(nets[2].layers[1], name, 0.1)
    for trainer in trainers:
        trainer.step(X, T)
    states = [state_of(net) for net in nets]
    assert differ(states[1], states[2]) == 0 < differ(states[0], states[2])
    setattr(nets[2].layers[1], name, 0)
    trainers[2].step(X, T)
    assert nets[2].layers[1].config() == {name: 0}


def test_the_number_of_a_loss_reaches_everything():
    nets = [network(loss=layers.HuberLoss(delta)) for delta in (1.0, 0.1, 1.0)]
    running = Trainer(nets[2], SGD(lr=0.1), 12)
    nets[2].loss_layer.delta = 0.1
    want = by_hand(nets[1], 0.1)
    assert nets[2].loss(X, T) != nets[0].loss(X, T)
    running.step(X, T)
    assert differ(want, state_of(nets[2])) < 1e-12
    assert repr(nets[2].loss_layer) == "HuberLoss(delta=0.1)"
    assert nets[2].architecture()["loss"]["delta"] == 0.1


def test_options_of_a_criterion_reach_the_network_or_are_refused():
    criterion = nn.HuberLoss(delta=1.0)
    net, want = network(loss=criterion), network(loss=layers.HuberLoss(0.2))
    trainer = Trainer(net, SGD(lr=0.1), 12)
    criterion.delta = 0.2
    assert net.loss(X, T) == want.loss(X, T)
    trainer.step(X, T)
    assert differ(by_hand(want, 0.1), state_of(net)) < 1e-12
    criterion.reduction = "sum"
    for use in (
        lambda: net.loss(X, T),
        lambda: net.gradient(X, T),
        lambda: trainer.step(X, T),
        lambda: net.fit(X, T, epochs=1, optimizer=SGD()),
    ):
        with pytest.raises(TypeError, match=r"reduction='mean'; got 'sum'"):
            use()


WRONG = {
    "slope": (lambda: layers.LeakyRelu(), "slope", -1.0),
    "negative_slope": (lambda: nn.LeakyReLU(), "negative_slope", "1"),
    "ratio": (lambda: Dropout(), "dropout_ratio", 1.0),
    "p": (lambda: nn.Dropout(), "p", 1.5),
    "eps": (lambda: BatchNorm1d(3), "eps", -1e-3),
    "momentum": (lambda: BatchNormalization(np.ones(3), np.zeros(3)), "momentum", 2),
    "delta": (lambda: layers.HuberLoss(), "delta", -1),
    "alpha": (lambda: nn.ELU(), "alpha", None),
    "beta": (lambda: nn.Softplus(), "beta", "2"),
    "threshold": (lambda: nn.Threshold(0, 1), "threshold", np.nan),
    "min_val": (lambda: nn.Hardtanh(), "min_val", 3.0),
    "approximate": (lambda: nn.GELU(), "approximate", "erf"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_number_is_refused_where_it_is_set(case):
    make, name, value = WRONG[case]
    thing = make()
    before = getattr(thing, name)
    with pytest.raises((TypeError, ValueError), match=f"{type(thing).__name__} expects .*{name}"):
        setattr(thing, name, value)
    assert getattr(thing, name) == before


@pytest.mark.parametrize(("layer", "name", "value"), [(nn.Dropout(0.5), "p", 1.0)])
def test_what_the_engine_does_not_hold_is_refused_after_a_change_too(layer, name, value):
    before = copy.deepcopy(layer)
    net = network(layer)
    trainer = Trainer(net, SGD(lr=0.1), 12)
    trainer.step(X, T)
    weights = state_of(net)
    setattr(layer, name, value)
    with pytest.raises(TypeError, match=r"layers that the training engine holds; got .*place 1"):
        trainer.step(X, T)
    with pytest.raises(TypeError, match="layers that the training engine holds"):
        net.fit(X, T, epochs=1, optimizer=SGD())
    assert differ(weights, state_of(net)) == 0
    setattr(layer, name, getattr(before, name))
    trainer.step(X, T)  # as it was: it goes on
    assert differ(weights, state_of(net)) > 0


def test_other_numbers_of_activations_reach_predict_and_gradient():
    for layer, name, value in (
        (nn.ELU(), "alpha", 0.3),
        (nn.Hardtanh(), "max_val", 0.1),
        (nn.Threshold(0.1, 1), "value", 3),
        (nn.Softplus(), "beta", 3.0),
        (nn.Softplus(), "threshold", 0.1),
        (nn.GELU(), "approximate", "tanh"),
    ):
        made = copy.deepcopy(layer)
        setattr(layer, name, value)
        x = np.linspace(-1, 1, 9)
        assert np.abs(layer(x) - made(x)).max() > 1e-5, layer
        assert layer.config()[name] == value


# --- what is refused ------------------------------------------------------------------------


def hooked(net, trainer):
    net.layers[1].register_forward_hook(lambda *_: None)


def net_hooked(net, trainer):
    net.register_forward_hook(lambda *_: None)


def frozen(net, trainer):
    next(net.parameters()).requires_grad_(False)


def all_frozen(net, trainer):
    net.requires_grad_(False)


def gradient_hooked(net, trainer):
    next(net.parameters()).register_hook(lambda g: g * 2)


def replaced(name):
    def change(net, trainer):
        setattr(net.layers[1], name, lambda *a, **k: None)

    change.__name__ = f"layer.{name}"
    return change


def net_replaced(name):
    def change(net, trainer):
        setattr(net, name, lambda *a, **k: None)

    change.__name__ = f"net.{name}"
    return change


def loss_replaced(net, trainer):
    net.loss_layer.forward = lambda x, t: 0.0


def another_loss(net, trainer):
    net.loss_layer = layers.MeanAbsoluteError()


def appended(net, trainer):
    net.append(Linear(3, 2, dtype="float64"))


def exchanged(net, trainer):
    net[0] = Affine(np.ones((5, 4)), np.ones(4))


def removed(net, trainer):
    del net[1]


def inserted(net, trainer):
    net.insert(0, Affine(np.eye(5), np.zeros(5)))


def evaluating(net, trainer):
    net.append(Dropout(0.2)) if trainer is None else None
    net.eval()


def momentum(net, trainer):
    trainer.optimizer.momentum = 0.9


def maximizing(net, trainer):
    trainer.optimizer.maximize = True


def narrower(net, trainer):
    for layer in net.layers[::2]:
        layer.W, layer.b = layer.W.astype("float32"), layer.b.astype("float32")


def own_step(net, trainer):
    trainer.optimizer.update = lambda params, grads: None


REFUSED = [
    hooked,
    net_hooked,
    frozen,
    all_frozen,
    gradient_hooked,
    another_loss,
    appended,
    exchanged,
    removed,
    inserted,
    momentum,
    maximizing,
    narrower,
    own_step,
    loss_replaced,
    *map(replaced, ("forward", "backward", "run", "pullback", "evaluate", "on_tensor")),
    *map(net_replaced, ("forward", "backward", "predict", "gradient")),
]


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_a_running_trainer_refuses_what_it_cannot_follow_and_gives_its_weights(change):
    net = network(Relu())
    trainer = Trainer(net, SGD(lr=0.1), 12)
    trainer.step(X, T)
    made = net.layers
    change(net, trainer)
    for _ in range(2):  # a refusal is not forgotten
        with pytest.raises((TypeError, ValueError), match=r"expects .*; got "):
            trainer.step(X, T)
    with pytest.raises((TypeError, ValueError), match=r"expects .*; got "):
        trainer.epoch(X, T, None, np.arange(12), np.empty(1))
    want = network(Relu())
    by_hand(want, 0.1)
    if change is not narrower:
        for layer, other in zip(made[::2], want.layers[::2], strict=True):
            np.testing.assert_allclose(layer.W, other.W, rtol=1e-12)
    # Everything still works with the network as it is.
    copy.deepcopy(net)
    net.state_dict()
    if change not in (loss_replaced,):
        trainer.sync()
    trainer.close()
    assert all(layer._trainer is None for layer in made)


@pytest.mark.parametrize("change", [appended, exchanged, removed, inserted])
def test_a_network_with_other_layers_predicts_saves_and_trains_on(change):
    pytest.importorskip("safetensors")
    net = network(Relu())
    trainer = Trainer(net, Adam(lr=0.1), 12)
    trainer.step(X, T)
    change(net, trainer)
    y = net.predict(X)
    file = io.BytesIO()
    net.save(file)
    file.seek(0)
    np.testing.assert_array_equal(Sequential.load(file).predict(X), y)
    np.testing.assert_array_equal(copy.deepcopy(net).predict(X), y)
    trainer.close()
    t = T[:, :2] if change is appended else T
    Trainer(net, SGD(lr=0.1), 12).step(X, t)
    assert np.abs(net.predict(X) - y).max() > 0


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_fit_refuses_what_a_callback_changed_so(change):
    net, optimizer = network(Relu()), SGD(lr=0.1)
    after = []

    def callback(net, history):
        after.append({id(layer): layer.W.copy() for layer in net.layers[::2]})
        change(net, net.trainer)

    with pytest.raises((TypeError, ValueError), match=r"expects .*; got "):
        net.fit(
            X,
            T,
            epochs=3,
            optimizer=optimizer,
            callbacks=[callback],
            shuffle=False,
            early_stopping=EarlyStopping(monitor="train_loss"),
        )
    assert len(after) == 1 and net.trainer is None
    assert net.history.stopped_by == "error"


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_fit_and_trainer_refuse_it_from_the_start(change):
    if change in (another_loss, appended, exchanged, removed, inserted, momentum, narrower):
        pytest.skip("another network, which is trained")
    net, optimizer = network(Relu()), SGD(lr=0.1)
    before = state_of(net)
    change(net, type("", (), {"optimizer": optimizer}))
    for train in (lambda: net.fit(X, T, epochs=1, optimizer=optimizer), lambda: Trainer(net, optimizer, 12)):
        with pytest.raises((TypeError, ValueError), match=r"expects .*; got "):
            train()
    assert differ(before, state_of(net)) == 0


class OwnForward(Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


class OwnPredict(Sequential):
    def predict(self, x):
        return 2 * super().predict(x)


class OwnLoss(nn.MSELoss):
    def forward(self, input, target):
        return super().forward(input, target) * 2


class OwnSummary(Sequential):
    """Computes nothing of its own."""

    def __init__(self, width):
        super().__init__(Linear(5, width, dtype="float64"), Linear(width, 3, dtype="float64"), loss="squared_error")

    def fit(self, x, t, **options):
        return super().fit(x, t, epochs=1, optimizer=SGD(lr=0.1), **options)


def test_a_subclass_with_passes_of_its_own_is_refused_and_another_trained():
    parts = Linear(5, 3, dtype="float64"), Relu()
    for cls in (OwnForward, OwnPredict):
        for net in (cls(*parts, loss="squared_error"), Sequential(cls(*parts), loss="squared_error")):
            with pytest.raises(TypeError, match=rf"own methods; got \w+ of {cls.__name__}"):
                net.fit(X, T, epochs=1, optimizer=SGD())
    inner = OwnForward(*parts)
    for net in (inner, Sequential(inner, loss="squared_error")):
        for method in (lambda net=net: net.predict(X), lambda net=net: net.forward(X)):
            if net is inner and method is not None:
                with pytest.raises(TypeError, match="OwnForward"):
                    net.predict(X)
                break
            with pytest.raises(TypeError, match="OwnForward"):
                method()
    with pytest.raises(TypeError, match="OwnLoss with forward of its own"):
        Sequential(*parts, loss=OwnLoss())
    criterion = nn.MSELoss()
    criterion.forward = lambda input, target: 0.0
    with pytest.raises(TypeError, match="MSELoss with forward of its own"):
        Sequential(*parts, loss=criterion)
    OwnSummary(4).fit(X, T)


def test_one_layer_twice_is_refused_by_the_engine():
    layer = Affine(np.eye(5), np.zeros(5))
    net = Sequential(layer, Relu(), layer, loss="squared_error")
    with pytest.raises(ValueError, match=r"at one place; got .* again at place 2"):
        net.fit(X, X, epochs=1, optimizer=SGD())


def test_evaluation_mode_is_refused_where_it_matters():
    for layer in (Dropout(0.5), nn.Dropout(0.5), BatchNorm1d(4, dtype="float64")):
        net = network(layer).eval()
        with pytest.raises(ValueError, match=r"training mode; got .*, so call net\.train\(\)"):
            net.fit(X, T, epochs=1, optimizer=SGD())
        net.train().fit(X, T, epochs=1, optimizer=SGD())
        trainer = Trainer(net, SGD(lr=0.1), 12)
        net.eval()
        with pytest.raises(ValueError, match="training mode"):
            trainer.step(X, T)
        net.train()
        trainer.step(X, T)
    for layer in (Dropout(0.0), Relu()):
        network(layer).eval().fit(X, T, epochs=1, optimizer=SGD())


# --- the optimiser --------------------------------------------------------------------------

CHANGES = {
    "lr": lambda o: setattr(o, "lr", 0.02),
    "group": lambda o: o.param_groups[0].__setitem__("lr", 0.02),
    "update": lambda o: o.param_groups[0].update(lr=0.02),
    "|=": lambda o: o.param_groups[0].__ior__({"lr": 0.02}),
    "scheduler": lambda o: lr_scheduler.ExponentialLR(o, 0.2).step(),
    "decay": lambda o: setattr(o, "weight_decay", 0.3),
    "decay of the group": lambda o: o.param_groups[0].update(weight_decay=0.3),
}
OPTIMIZERS = [
    lambda: SGD(lr=0.1),
    lambda: SGD(lr=0.1, momentum=0.9),
    lambda: AdaGrad(lr=0.1),
    lambda: RMSprop(lr=0.1),
    lambda: Adam(lr=0.1),
    lambda: AdamW(lr=0.1),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_change_of_the_optimiser_reaches_the_next_step(make, change):
    nets = [network(Relu()) for _ in range(2)]
    optimizers = [make() for _ in nets]
    trainer = Trainer(nets[0], optimizers[0], 12)
    for each in range(4):
        if each == 2:
            for optimizer in optimizers:
                CHANGES[change](optimizer)
        trainer.step(X, T)
        optimizers[1].update(nets[1].params, nets[1].gradient(X, T))
    assert differ(state_of(nets[0]), state_of(nets[1])) < 1e-9
    assert trainer.lr == optimizers[0].lr


def test_the_optimiser_of_tensors_and_its_state_dict():
    net = Sequential(nn.Linear(5, 3), loss="squared_error")
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    trainer = Trainer(net, optimizer, 12)
    trainer.step(X, T)
    saved = optimizer.state_dict()
    saved["param_groups"][0]["lr"] = 0.5
    optimizer.load_state_dict(saved)
    trainer.step(X, T)
    assert trainer.lr == 0.5
    optimizer.add_param_group({"params": [fastbp.zeros(3)], "lr": 7.0})
    with pytest.raises(ValueError, match=r"SGD\.lr expects groups that agree"):
        trainer.step(X, T)


def test_momentum_that_is_switched_off_and_on_again():
    net, other = network(), network()
    optimizers = SGD(lr=0.1, momentum=0.9), SGD(lr=0.1, momentum=0.9)
    trainer = Trainer(net, optimizers[0], 12)
    for momentum in (0.9, 0.5, 0.9):
        for optimizer in optimizers:
            optimizer.momentum = momentum
        trainer.step(X, T)
        optimizers[1].update(other.params, other.gradient(X, T))
        assert differ(state_of(net), state_of(other)) < 1e-12
    optimizers[0].momentum = 0
    trainer.step(X, T)


def test_the_later_of_trainer_lr_and_optimizer_lr_wins():
    net = network(Dropout(0.1))
    optimizer = SGD(lr=0.1)
    trainer = Trainer(net, optimizer, 12)
    trainer.lr = 0.3
    trainer.step(X, T)
    assert trainer.lr == 0.3
    net.layers[1].dropout_ratio = 0.2  # another change leaves it
    trainer.step(X, T)
    assert trainer.lr == 0.3
    optimizer.lr = 0.05
    trainer.step(X, T)
    assert trainer.lr == 0.05


def test_fit_sees_what_its_callbacks_and_its_schedule_change():
    def halve(net, history):
        optimizer.lr /= 2

    net, optimizer = network(), SGD(lr=0.1)
    net.fit(X, T, epochs=3, optimizer=optimizer, callbacks=[halve])
    assert net.history.lr == [0.1, 0.05, 0.025]
    net, optimizer = network(), SGD(lr=0.1)
    net.fit(X, T, epochs=3, optimizer=optimizer, callbacks=[halve], schedule=lambda e: 1 / (1 + e))
    np.testing.assert_allclose(net.history.lr, [0.1, 0.05 / 2, 0.025 / 3])
    net, optimizer = network(), Adam(lr=0.1)
    scheduler = lr_scheduler.StepLR(optimizer, 1, 0.1)
    net.fit(X, T, epochs=3, optimizer=optimizer, callbacks=[lambda *_: scheduler.step()])
    np.testing.assert_allclose(net.history.lr, [0.1, 0.01, 0.001])


def test_a_group_is_a_dict_that_notes():
    optimizer = SGD(lr=0.1)
    group = optimizer.param_groups[0]
    assert isinstance(group, dict) and group == dict(group) and copy.deepcopy(group) == group
    for change in (
        lambda: group.update(lr=1),
        lambda: group.pop("x", None),
        lambda: group.setdefault("a", 1),
        lambda: group.__delitem__("a"),
        lambda: group.__setitem__("lr", 2),
        lambda: setattr(optimizer, "lr", 3),
    ):
        before = noted()
        change()
        assert noted() > before
    assert copy.deepcopy(optimizer).lr == 3


# --- hooks ----------------------------------------------------------------------------------


def test_predict_calls_forward_hooks_and_takes_what_they_return():
    seen = []
    inner = Sequential(Affine(np.eye(5), np.zeros(5)), Relu())
    net = Sequential(inner, Affine(np.ones((5, 3)), np.zeros(3)), loss="squared_error")
    want = net.predict(X)
    loss = net.loss(X, T)
    handles = [
        part.register_forward_hook(lambda module, inputs, out: seen.append((module, inputs, out)))
        for part in (inner[0], inner, net)
    ]
    np.testing.assert_array_equal(net.predict(X), want)
    assert [module for module, *_ in seen] == [inner[0], inner, net]
    assert all(inputs[0].shape == (12, 5) for _, inputs, _ in seen)
    np.testing.assert_array_equal(seen[1][2], np.maximum(X, 0))
    assert net.loss(X, T) == loss and len(seen) == 6
    net.gradient(X, T)
    assert len(seen) == 9
    for handle in handles:
        handle.remove()
    net.predict(X)
    assert len(seen) == 9
    handle = inner.register_forward_hook(lambda module, inputs, out: out * 2)
    np.testing.assert_allclose(net.predict(X), 2 * want)
    np.testing.assert_allclose(net.forward(X), 2 * want)
    with pytest.raises(ValueError, match="hooks that return None"):
        net.gradient(X, T)
    handle.remove()
    net.gradient(X, T)


def test_predict_honours_a_forward_that_a_layer_was_given():
    net = network(Relu())
    plain = Sequential(*net.layers[::2], loss="squared_error")
    net.layers[1].forward = lambda x: x
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    with pytest.raises(TypeError, match="Relu expects a backward of its own"):
        net.gradient(X, T)
    net.layers[1].backward = lambda dout: dout
    got, want = net.gradient(X, T), plain.gradient(X, T)
    for name, g in want.items():
        np.testing.assert_array_equal(got[name], g)
    del net.layers[1].forward, net.layers[1].backward
    assert np.abs(net.predict(X) - plain.predict(X)).max() > 0
    assert net.gradient(X, T)


# --- evaluation mode ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        lambda: Dropout(0.5),
        lambda: nn.Dropout(0.5),
        lambda: nn.Dropout(1.0),
        lambda: BatchNorm1d(4, dtype="float64"),
        lambda: BatchNormalization(np.ones(4), np.zeros(4)),
        lambda: nn.BatchNorm1d(4, dtype=fastbp.float64),
    ],
)
def test_the_gradient_of_a_network_in_evaluation_mode(layer):
    net = network(layer())
    for _ in range(2):
        net.forward(X)  # running statistics
    net.eval()
    running = copy.deepcopy(getattr(net.layers[1], "_running", None))
    got = {name: g.copy() for name, g in net.gradient(X, T).items()}
    np.testing.assert_equal(getattr(net.layers[1], "_running", None), running)
    assert got.keys() == net.params.keys()
    for name, g in got.items():
        p, place = net.params[name], (0,) * net.params[name].ndim
        values = []
        for way in (1, -1):
            before = p[place]
            p[place] = before + way * 1e-6
            values.append(net.loss(X, T))
            p[place] = before
        assert g[place] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-8)
    y = net.predict(X)
    np.testing.assert_allclose(net.predict(X[0]), y[0], rtol=1e-12)
    dx = net.backward(np.ones_like(net.forward(X)))
    assert dx.shape == X.shape


def test_a_normalisation_predicts_one_sample_and_goes_back_from_it():
    norm = BatchNorm1d(3, dtype="float64").eval()
    x = np.array([1.0, 2.0, 3.0])
    assert norm(x).shape == (3,) and norm.backward(np.ones(3)).shape == (3,)
    assert norm.dgamma.shape == (3,)
    with pytest.raises(ValueError, match="shape"):
        norm(np.ones(4))
    with pytest.raises(ValueError, match="2 rows"):
        norm.train()(x)


def test_a_squared_error_that_replaces_an_equal_one_is_followed():
    net = network()
    trainer = Trainer(net, SGD(lr=0.1), 12)
    net.loss_layer = MeanSquaredError()
    trainer.step(X, T)


def momentum_by_hand(change):
    """Three epochs of one batch by tensors, with a change of the optimiser's states after each."""
    net = nn_network()
    optimizer = Adam(net.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(fastbp.tensor(X)), fastbp.tensor(T)).backward()
        optimizer.step()
        change(optimizer)
    return net


def nn_network():
    fastbp.manual_seed(0)
    inner = nn.BatchNorm1d(5, dtype=fastbp.float64)
    first = nn.Linear(X.shape[1], 5, dtype=fastbp.float64)
    return Sequential(first, inner, nn.Linear(5, T.shape[1], dtype=fastbp.float64), loss="squared_error")


def zeroed(optimizer):
    for kept in optimizer.state.values():
        kept["exp_avg"].zero_()


def counted_anew(optimizer):
    for kept in optimizer.state.values():
        kept["step"].fill_(100)


def put_in(optimizer):
    for kept in optimizer.state.values():
        kept["exp_avg_sq"] = kept["exp_avg_sq"] * 4


def forgotten(optimizer):
    optimizer.state.clear()


@pytest.mark.parametrize("change", [zeroed, counted_anew, put_in, forgotten, lambda optimizer: None])
def test_a_callback_sees_and_changes_the_states_of_the_optimiser(change):
    want, net = momentum_by_hand(change), nn_network()
    optimizer = Adam(net.parameters(), lr=0.1)
    net.fit(
        X,
        T,
        epochs=3,
        optimizer=optimizer,
        batch_size=len(X),
        shuffle=False,
        callbacks=[lambda net, history: change(optimizer)],
    )
    got = net.state_dict()
    assert got["1.num_batches_tracked"] == 3
    for name, tensor in want.state_dict().items():
        np.testing.assert_allclose(got[name].numpy(), tensor.numpy(), rtol=1e-7, atol=1e-9)


def test_the_states_of_an_optimiser_are_those_of_its_trainer():
    want, net = nn_network(), nn_network()
    rules = [Adam(each.parameters(), lr=0.1) for each in (want, net)]
    want.fit(X, T, epochs=2, optimizer=rules[0], batch_size=len(X), shuffle=False)
    trainer = Trainer(net, rules[1], len(X))
    for _ in range(2):
        trainer.step(X, T)
        kept = rules[1].state[net[0].weight]
    assert kept["step"] == 2
    expected = rules[0].state[want[0].weight]["exp_avg"].numpy()
    np.testing.assert_allclose(kept["exp_avg"].numpy(), expected, rtol=1e-12)
    rules[1].state.pop(net[0].bias)
    trainer.step(X, T)
    trainer.close()
    assert rules[1].state[net[0].bias]["step"] == 3


def test_batches_are_counted_once_whoever_looks(tmp_path):
    pytest.importorskip("safetensors")
    net = nn_network()
    options = {"optimizer": SGD(lr=0.01), "batch_size": 4, "seed": 0}
    file = tmp_path / "training"
    look = [lambda net, history: net.state_dict() and None]
    net.fit(X, T, epochs=2, callbacks=look, checkpoint=file, **options)
    batches = -(-len(X) // 4)
    assert net[1].num_batches_tracked == 2 * batches
    again = nn_network()
    again.fit(X, T, epochs=3, resume=file, **options | {"optimizer": SGD(lr=0.01)})
    assert again[1].num_batches_tracked == 3 * batches


def test_batches_are_those_that_were_trained_on_whatever_number_a_step_has():
    net = nn_network()
    trainer = Trainer(net, SGD(lr=0.01), len(X))
    trainer.step(X, T)
    trainer.steps = 100  # which chooses other masks of dropout
    trainer.step(X, T)
    assert net[1].num_batches_tracked == 2
    trainer.steps = 0
    assert net[1].num_batches_tracked == 2


def test_an_optimiser_without_groups_is_refused_in_words():
    optimizer = SGD(lr=0.1)
    optimizer.param_groups.clear()
    with pytest.raises(ValueError, match=r"expects at least one parameter group; got"):
        network(Relu()).fit(X, T, epochs=1, optimizer=optimizer)


# --- what stands in the place of another ------------------------------------------------------


def by_data(net):
    for layer in net.layers[::2]:
        for tensor in layer.parameters():
            tensor.data = tensor.data * 0.5


def by_data_held(net, tensors):
    for tensor in tensors:
        tensor.data = fastbp.full(tensor.shape, 0.25, dtype=tensor.dtype)


def by_parameter(net):
    for layer in net.layers[::2]:
        layer.weight = nn.Parameter(layer.weight.detach() * 0.5)


def by_table(net):
    tables = [layer._parameters for layer in net.layers[::2]]
    for table in tables:
        table["bias"] = nn.Parameter(table["bias"].detach() * 0.5)


def by_array(net):
    for layer in net.layers[::2]:
        layer.W = 0.5 * layer.W


def by_running(net):
    net[1].running_mean = net[1].running_mean + 1
    net[1].running_var.data = net[1].running_var * 0.5


REPLACED = [by_data, by_data_held, by_parameter, by_table, by_array, by_running]


@pytest.mark.parametrize("change", REPLACED, ids=lambda change: change.__name__)
@pytest.mark.parametrize("rule", [SGD(lr=0.1, momentum=0.9), Adam(lr=0.1)], ids=["sgd", "adam"])
def test_a_trainer_goes_on_from_what_was_put_in_the_place_of_a_parameter(change, rule):
    nets = [nn_network(), nn_network()]
    optimizers = [copy.deepcopy(rule), copy.deepcopy(rule)]
    trainer = Trainer(nets[0], optimizers[0], 12)
    for step in range(6):
        held = [[*net.parameters()] for net in nets]
        trainer.step(X, T)
        optimizers[1].update(nets[1].params, nets[1].gradient(X, T))
        if step in (2, 3):
            for net, tensors in zip(nets, held, strict=True):
                change(net, tensors) if change is by_data_held else change(net)
    for name, tensor in nets[1].state_dict().items():
        got = nets[0].state_dict()[name]
        np.testing.assert_allclose(got.numpy(), tensor.numpy(), rtol=1e-7, atol=1e-9)
    trainer.close()


def test_a_parameter_that_the_optimiser_does_not_hold_is_refused():
    net = nn_network()
    optimizer = SGD(net.parameters(), lr=0.1)
    trainer = Trainer(net, optimizer, 12)
    trainer.step(X, T)
    before = net[0].weight
    net[0].weight = nn.Parameter(before.detach() * 2)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"SGD expects to hold every parameter .* 'W1'"):
            trainer.step(X, T)
    net[0].weight = before
    trainer.step(X, T)
    group = optimizer.param_groups[0]["params"]
    taken = group.pop()
    with pytest.raises(ValueError, match=r"expects to hold every parameter"):
        trainer.step(X, T)
    group.append(taken)
    trainer.step(X, T)
    net[0]._parameters["bias"] = None
    with pytest.raises(ValueError, match=r"got others since"):
        trainer.step(X, T)
    trainer.close()


def test_groups_that_are_put_in_the_place_of_others_are_followed():
    nets = network(), network()
    optimizer = SGD(lr=0.1)
    trainer = Trainer(nets[0], optimizer, 12)
    for lr in (0.1, 0.02, 0.05):
        trainer.step(X, T)
        by_hand(nets[1], optimizer.lr)
        optimizer.param_groups[0] = dict(optimizer.param_groups[0], lr=lr)
        trainer.step(X, T)
        by_hand(nets[1], lr)
        optimizer.param_groups[0]["lr"] = 2 * lr  # of a plain dict
        trainer.step(X, T)
        by_hand(nets[1], 2 * lr)
        optimizer.param_groups = [dict(optimizer.param_groups[0], lr=lr)]
    assert differ(state_of(nets[0]), state_of(nets[1])) < 1e-12
    optimizer.param_groups.clear()
    with pytest.raises(ValueError, match="at least one parameter group"):
        trainer.step(X, T)


def test_of_two_trainers_over_one_memory_the_second_ends_the_first():
    net = network()
    tied = Sequential(Affine(net[0].W, net[0].b), Relu(), Linear(4, 3, dtype="float64"), loss="squared_error")
    expected = network()
    by_hand(expected, 0.1)
    first = Trainer(net, SGD(lr=0.1), 12)
    first.step(X, T)
    second = Trainer(tied, SGD(lr=0.1), 12)
    np.testing.assert_allclose(tied[0].W, expected[0].W, rtol=1e-12)  # those that first had
    with pytest.raises(RuntimeError, match="closed"):
        first.step(X, T)
    second.step(X, T)
    tied.fit(X, T, epochs=1, optimizer=SGD(lr=0.1))
    # Parts of one array are apart.
    stacked = np.random.default_rng(0).standard_normal((2, 5, 3))
    nets = [Sequential(Affine(W, np.zeros(3)), loss="squared_error") for W in stacked]
    trainers = [Trainer(each, SGD(lr=0.1), 12) for each in nets]
    for trainer in trainers:
        trainer.step(X, T)
    # A tie that is made later.
    nets[1][0].W = nets[0][0].W
    trainers[1].step(X, T)
    with pytest.raises(RuntimeError, match="closed"):
        trainers[0].step(X, T)


def test_two_trainers_over_parts_of_one_buffer_that_overlap():
    """Arrays made of one buffer are no views of one array."""
    buffer = bytearray(8 * 40)
    parts = [np.frombuffer(buffer, count=15, offset=at).reshape(5, 3) for at in (0, 80, 200)]
    nets = [Sequential(Affine(W, np.zeros(3)), loss="squared_error") for W in parts]
    first, second, third = (Trainer(net, SGD(lr=0.1), 12) for net in nets)
    second.step(X, T)
    third.step(X, T)
    with pytest.raises(RuntimeError, match="closed"):
        first.step(X, T)


@pytest.mark.parametrize("name", ["net", "optimizer", "dtype", "n_threads", "clip_norm", "clip_value"])
def test_what_a_trainer_is_made_from_is_not_assigned_later(name):
    trainer = Trainer(network(), SGD(lr=0.1), 12, clip_norm=2.0)
    assert trainer.clip_norm == 2 and trainer.clip_value is None
    with pytest.raises(AttributeError, match=rf"expects {name} when it is made"):
        setattr(trainer, name, getattr(trainer, name))


def test_states_by_name_are_the_newest_whoever_goes_on():
    nets = network(), network()
    optimizers = Adam(lr=0.1), Adam(lr=0.1)
    by_name = optimizers[1]
    trainer = Trainer(nets[0], optimizers[0], 12)
    for _ in range(3):
        trainer.step(X, T)
        by_name.update(nets[1].params, nets[1].gradient(X, T))
    optimizers[0].update(nets[0].params, nets[0].gradient(X, T))  # beside a trainer
    by_name.update(nets[1].params, nets[1].gradient(X, T))
    trainer.reload()
    trainer.reload_states()
    trainer.step(X, T)
    by_name.update(nets[1].params, nets[1].gradient(X, T))
    other = copy.deepcopy(nets[0])  # of the same names, on which the same optimiser goes on
    Trainer(other, optimizers[0], 12).step(X, T)
    with pytest.raises(RuntimeError, match="closed"):
        trainer.step(X, T)
    by_name.update(nets[1].params, nets[1].gradient(X, T))
    assert differ(state_of(other), state_of(nets[1])) < 1e-9


def test_what_was_cast_while_it_trains_is_fetched_and_let_go():
    net = nn_network()
    optimizer = Adam(net.parameters(), lr=0.1)
    trainer = Trainer(net, optimizer, 12)
    trainer.step(X, T)
    expected = net.state_dict()["0.weight"].clone()
    for tensor in net.parameters():
        tensor.data = tensor.data * 2
    assert len(optimizer.state) == 6
    trainer.step(X, T)
    net.float().double()
    trainer.close()
    assert optimizer.state[net[0].weight]["step"] == 2
    assert not np.allclose(net[0].weight.detach(), expected)
    trainer = Trainer(net, optimizer, 12)
    trainer.step(X, T)
    net[0].weight = nn.Parameter(net[0].weight.detach())
    optimizer.param_groups[0]["params"] = [*net.parameters()]
    with pytest.raises(ValueError, match=r"as many steps|another in the place of W1"):
        trainer.step(X, T)
    trainer.close()  # and its old states do not become those of the new parameter
    assert not optimizer.state[net[0].weight]


def test_momentum_of_a_parameter_that_was_put_in_begins_anew():
    net = nn_network()
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    trainer = Trainer(net, optimizer, 12)
    trainer.step(X, T)
    net[0].weight = nn.Parameter(net[0].weight.detach())
    optimizer.param_groups[0]["params"] = [*net.parameters()]
    with pytest.raises(ValueError, match=r"another in the place of W1 since, so make a new"):
        trainer.step(X, T)
    before = net[0].weight.clone()
    grads = net.gradient(X, T)
    Trainer(net, optimizer, 12).step(X, T)
    np.testing.assert_allclose(net[0].W, before.detach().numpy().T - 0.1 * grads["W1"], rtol=1e-9)


def test_an_optimiser_around_another_needs_no_base_of_its_own():
    class Around(fastbp.optim.Optimizer):
        def __init__(self, optimizer):
            self.param_groups, self.state = optimizer.param_groups, optimizer.state

    inner = Adam([fastbp.ones(2)], lr=0.1)
    outer = Around(inner)
    assert outer.param_groups is inner.param_groups and outer.state is inner.state
