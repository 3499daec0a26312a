"""A training never leaves NaN or inf: an update that would is not made, to the bit."""

import contextlib
import itertools
import threading

import numpy as np
import pytest

from fastbp import SGD, Adadelta, AdaGrad, Adam, AdamW, RMSprop, Sequential, Trainer
from fastbp._kernels import engine
from fastbp.layers import Affine, BatchNorm1d, Dropout, LeakyRelu, Linear, Relu

RULES = {
    "SGD": SGD,
    "momentum": lambda lr: SGD(lr=lr, momentum=0.9),
    "nesterov": lambda lr: SGD(lr=lr, momentum=0.9, nesterov=True),
    "decay": lambda lr: SGD(lr=lr, weight_decay=0.1),
    "AdaGrad": AdaGrad,
    "RMSprop": RMSprop,
    "RMSprop with momentum": lambda lr: RMSprop(lr=lr, momentum=0.9),
    "Adam": Adam,
    "AdamW": AdamW,
}
DTYPES = ["float32", "float64"]


def network(dtype, widths=(4, 6, 2), norm=False, loss="squared_error"):
    made = []
    for k, (n, m) in enumerate(itertools.pairwise(widths)):
        made.append(Linear(n, m, dtype=dtype, seed=k))
        if k + 2 < len(widths):
            made += [BatchNorm1d(m, dtype=dtype)] * norm + [Relu()]
    return Sequential(*made, loss=loss)


def everything(net, optimizer):
    arrays = {name: p.tobytes() for name, p in net.params.items()}
    for name, states in optimizer.states.items():
        arrays |= {(name, k): state.tobytes() for k, state in enumerate(states)}
    for place, layer in enumerate(net.layers):
        if isinstance(layer, BatchNorm1d):
            arrays[place] = [a.tobytes() for a in (layer.running_mean, layer.running_var)]
    return arrays, optimizer.steps


def all_finite(net, optimizer):
    arrays = [*net.params.values(), *(s for states in optimizer.states.values() for s in states)]
    for layer in net.layers:
        arrays += getattr(layer, "_running", [])
    return all(np.isfinite(array).all() for array in arrays)


def rows(dtype, n=8, n_in=4, n_out=2):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, n_in)).astype(dtype), rng.standard_normal((n, n_out)).astype(dtype)


def large(dtype):
    return (1e30, -1e15) if dtype == "float32" else (1e290, -1e30)


def gradient_overflows(dtype):
    """One output stays 0, so that the loss is finite; x times the gradient is not."""
    x, t = large(dtype)
    return np.full((8, 4), x, dtype), np.full((8, 2), t, dtype)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [1, 8, 64, 300])
def test_a_step_that_would_overflow_leaves_all_as_it_was(rule, dtype, norm, n):
    if norm and n == 1:
        pytest.skip("a batch of one")
    net, optimizer = network(dtype, norm=norm), RULES[rule](lr=1e-3)
    x, t = rows(dtype, n)
    trainer = Trainer(net, optimizer, n, seed=0)
    for _ in range(3):
        trainer.step(x, t)
    trainer.fetch()
    before = everything(net, optimizer)
    optimizer.lr = 1e38 if dtype == "float32" else 1e308
    made = 0
    for _ in range(40):  # a step or two may fit
        try:
            trainer.step(x, t)
            made += 1
            trainer.fetch()
            before = everything(net, optimizer)
            assert all_finite(net, optimizer)
        except FloatingPointError as error:
            assert "finite" in str(error)
            break
    else:
        pytest.fail("no step was refused")
    trainer.fetch()
    assert everything(net, optimizer) == before
    optimizer.lr = 1e-3
    if made == 0:
        trainer.step(x, t)  # and it goes on


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("clip", [{}, {"clip_value": 1.0}, {"clip_norm": 1.0}])
def test_a_gradient_that_overflows_beside_a_finite_loss(rule, dtype, clip):
    net = Sequential(Affine(np.zeros((4, 2), dtype), np.zeros(2, dtype)), loss="squared_error")
    optimizer = RULES[rule](lr=1e-3)
    x, t = gradient_overflows(dtype)
    trainer = Trainer(net, optimizer, 8, **clip)
    before = {name: p.copy() for name, p in net.params.items()}
    outcome = "done"
    try:
        trainer.step(x, t)
    except FloatingPointError as error:
        outcome = str(error)
    trainer.fetch()
    assert all_finite(net, optimizer)
    if outcome != "done":
        assert "finite" in outcome and trainer.steps == 0
        assert all((net.params[name] == p).all() for name, p in before.items())
    if not clip:
        with pytest.raises(FloatingPointError, match=r"weights.*epoch 1, batch 1"):
            net.fit(x, t, epochs=1, optimizer=RULES[rule](lr=1e-3), batch_size=8)
        assert all((net.params[name] == p).all() for name, p in before.items())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("weight", [1e-44, 1e-40, 1e-38, 1e-20])
def test_tiny_weights_of_rows_are_but_a_factor(rule, weight):
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((8, 4)).astype("f4"), rng.integers(0, 3, 8)
    nets = [network("float32", (4, 3), loss="softmax_cross_entropy") for _ in range(2)]
    for net, w in zip(nets, (weight, 1.0), strict=True):
        net.fit(x, t, epochs=2, optimizer=RULES[rule](lr=0.01), sample_weight=np.full(8, w), seed=0)
    for name, p in nets[0].params.items():
        np.testing.assert_allclose(p, nets[1].params[name], rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("n_out", [3, 40])
@pytest.mark.parametrize("soft", [False, True])
def test_tiny_weights_by_every_way_to_a_softmax(n_out, soft):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 4)).astype("f4")
    t = rng.integers(0, n_out, 8)
    if soft:
        t = np.eye(n_out, dtype="f4")[t]
    net = network("float32", (4, n_out), loss="softmax_cross_entropy")
    net.fit(x, t, epochs=1, optimizer=Adam(), sample_weight=np.full(8, 1e-44))
    assert all(np.isfinite(p).all() for p in net.params.values())


@pytest.mark.parametrize("dtype", DTYPES)
def test_clipping_by_a_norm_whose_square_overflows(dtype):
    size = 1e25 if dtype == "float32" else 1e200
    net = Sequential(Affine(np.zeros((2, 1), dtype), np.zeros(1, dtype)), loss="absolute_error")
    x = np.array([[size, 0]], dtype)
    Trainer(net, SGD(lr=1.0), 1, clip_norm=1.0).step(x, np.ones((1, 1), dtype))
    np.testing.assert_allclose(net.params["W1"], [[1], [0]], rtol=1e-5)
    net = Sequential(Affine(np.zeros((2, 1), dtype), np.zeros(1, dtype)), loss="absolute_error")
    tiny = 1e-30 if dtype == "float32" else 1e-200
    trainer = Trainer(net, SGD(lr=1.0), 1, clip_norm=tiny)
    trainer.step(np.array([[1, 0]], dtype), np.ones((1, 1), dtype))
    assert np.isfinite(net.params["W1"]).all()


def test_adam_without_eps_leaves_what_has_no_gradient():
    net = network("float32")
    x, t = rows("float32")
    x[:, 0] = 0  # its weights have no gradient
    before = net.params["W1"].copy()
    Trainer(net, Adam(lr=0.1, eps=0.0), 8).step(x, t)
    np.testing.assert_array_equal(net.params["W1"][0], before[0])
    assert np.isfinite(net.params["W1"]).all() and (net.params["W1"][1:] != before[1:]).any()


@pytest.mark.parametrize(
    "rule",
    [
        # The rate, lr / (1 - beta_1), is inf where lr is not.
        lambda lr: Adam(lr=lr),
        lambda lr: AdamW(lr=lr, weight_decay=0.0),
        # ... and 1 - lr * weight_decay of weights that are 0.
        lambda lr: AdamW(lr=lr * 1e-20, weight_decay=1e35),
        # lr * d before it is divided.
        lambda lr: AdaGrad(lr=lr, eps=1e20),
        lambda lr: Adam(lr=lr / 20, eps=1e20),
    ],
)
@pytest.mark.parametrize("clip", [{}, {"clip_norm": 1e-30}])
def test_factors_of_an_update_that_overflow_by_themselves(rule, clip):
    net, optimizer = network("float32", (3, 2)), rule(1e38)
    for p in net.params.values():
        p[:] = 0
    trainer = Trainer(net, optimizer, 8, **clip)
    x = np.full((8, 3), 1.0, "f4")
    x[:, 0] = 0  # its weights have no gradient
    before = everything(net, optimizer)
    for _ in range(3):
        try:
            trainer.step(x, np.full((8, 2), 20.0, "f4"))
            trainer.fetch()
            before = everything(net, optimizer)
            assert all_finite(net, optimizer)
        except FloatingPointError:
            trainer.fetch()
            assert everything(net, optimizer) == before


def test_the_variance_of_adam_overflows_before_its_step_does():
    net = Sequential(Affine(np.zeros((1, 1), "f4"), np.zeros(1, "f4")), loss="absolute_error")
    for optimizer in (Adam(), AdaGrad(), RMSprop()):
        trainer = Trainer(net, optimizer, 1)
        with pytest.raises(FloatingPointError, match="finite"):
            for _ in range(9):
                trainer.step(np.full((1, 1), 1e25, "f4"), np.ones((1, 1), "f4"))
        trainer.fetch()
        assert all_finite(net, optimizer)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 5, 2), (20, 4), (4, 8, 8, 8, 1)])
@pytest.mark.parametrize("optimizer", [SGD, AdaGrad, RMSprop, Adam])
def test_no_number_of_a_step_overflows_unseen(optimizer, sizes, n_threads):
    """Whatever the bound is made of: parameters or activations, in one part or several."""
    rng = np.random.default_rng(0)
    for n_rows in (1, 2, 3, 9):
        layers = [Linear(a, b, seed=a) for a, b in itertools.pairwise(sizes)]
        net = Sequential(*layers, loss="absolute_error")
        rule = optimizer(lr=0.01)
        trainer = Trainer(net, rule, n_rows, n_threads)
        x = rng.standard_normal((n_rows, sizes[0])).astype("f4")
        t = np.zeros((n_rows, sizes[-1]), "f4")
        for exponent in range(0, 128, 3):
            with contextlib.suppress(FloatingPointError):
                trainer.step(np.ldexp(x, exponent), t)
            trainer.fetch()
            assert all_finite(net, rule)


def test_large_numbers_that_fit_are_trained_as_others():
    """Where the bound does not do, the update is looked at, and is the same to the bit."""
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((8, 4)) * 2.0**60).astype("f4")
    t = rng.standard_normal((8, 2)).astype("f4")
    states = []
    for scale in (1.0, 2.0**60):
        W = rng.standard_normal((4, 2)).astype("f4") if not states else states[0][2]
        net = Sequential(Affine(W.copy(), np.zeros(2, "f4")), loss="absolute_error")
        data = x / np.float32(2.0**60 / scale)
        Trainer(net, Adam(lr=0.1, eps=1e-30), 8).step(data, t * np.float32(scale))
        states.append((net.params["W1"].copy(), scale, W))
    assert np.isfinite(states[1][0]).all() and (states[0][2] != states[1][0]).all()


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch", [3, 50, 400])
def test_an_epoch_stops_before_the_batch_that_would_overflow(n_threads, batch):
    net = network("float32", (4, 6, 2))
    x, t = rows("float32", 800)
    x[600:] = 1e30
    want = network("float32", (4, 6, 2))
    whole = 600 // batch * batch
    if whole:
        want.fit(
            x[:whole], t[:whole], epochs=1, optimizer=SGD(lr=1e-3), batch_size=batch, shuffle=False, n_threads=n_threads
        )
    with pytest.raises(FloatingPointError, match=f"epoch 1, batch {whole // batch + 1}"):
        net.fit(x, t, epochs=1, optimizer=SGD(lr=1e-3), batch_size=batch, shuffle=False, n_threads=n_threads)
    for name, p in want.params.items():
        assert p.tobytes() == net.params[name].tobytes()


def test_running_statistics_are_those_before_too():
    last = Affine(np.zeros((3, 1), "f4"), np.zeros(1, "f4"))
    net = Sequential(BatchNorm1d(3, momentum=1.0), last, loss="squared_error")
    x = np.array([[3e38, 0, 1], [-3e38, 0, 2], [0, 1, 0]], "f4")
    trainer = Trainer(net, SGD(lr=0.1), 3)
    with pytest.raises(FloatingPointError, match="finite"):
        trainer.step(x, np.ones((3, 1), "f4"))
    trainer.sync()
    assert (net.layers[0].running_mean == 0).all() and (net.layers[0].running_var == 1).all()


# --- what indexes memory --------------------------------------------------------------------


def trained(seed=0):
    net = network("float32", (4, 3), loss="softmax_cross_entropy")
    return net, {name: p.copy() for name, p in net.params.items()}


def test_a_slope_that_changes_while_training_counts_from_the_next_step_on():
    """What bounds an update knows the activations' numbers, which may change between two steps."""
    net = Sequential(
        Linear(4, 8, dtype="float32", seed=0),
        LeakyRelu(0.01),
        Linear(8, 2, dtype="float32", seed=1),
        loss="squared_error",
    )
    net.layers[2].W *= np.float32(1e-5)  # so that the loss and its gradient stay finite
    x = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)
    trainer = Trainer(net, SGD(lr=0.1), 400)
    for _ in range(3):
        trainer.step(x, np.zeros((400, 2), np.float32))
    before = {name: array.copy() for name, array in net.params.items()}
    net.layers[1].slope = 1e24
    with pytest.raises(FloatingPointError, match="expects finite weights"):
        trainer.step(x, np.zeros((400, 2), np.float32))
    for name, array in net.params.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("bad", [-1, 3, 2**62, -(2**63)])
@pytest.mark.parametrize("n_out", [3, 40])
def test_classes_that_a_callback_writes_are_refused_where_they_are_read(bad, n_out):
    net = network("float32", (4, n_out), loss="softmax_cross_entropy")
    bad = bad if bad != 3 else n_out
    x, t = np.ones((8, 4), "f4"), np.zeros(8, np.int64)
    seen = []

    def spoil(net, history):
        t[3] = bad
        seen.append({name: p.copy() for name, p in net.params.items()})

    with pytest.raises(ValueError, match=r"class indices .*; got"):
        net.fit(x, t, epochs=3, optimizer=SGD(), callbacks=[spoil], batch_size=4, shuffle=False)
    assert len(seen) == 1
    for name, p in seen[0].items():
        np.testing.assert_array_equal(net.params[name], p)


@pytest.mark.parametrize("what", ["indices", "indptr", "end"])
@pytest.mark.parametrize("bad", [-1, 10**15, 5])
def test_csr_that_a_callback_writes_is_refused_where_it_is_read(what, bad):
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.csr_matrix(np.arange(32.0).reshape(8, 4))
    x.indices, x.indptr = x.indices.astype(np.int64), x.indptr.astype(np.int64)
    net, _ = trained()

    def spoil(net, history):
        if what == "indices":
            x.indices[2] = bad
        elif what == "indptr":
            x.indptr[0] = -7
        else:
            x.indptr[4:] = 10**12

    with pytest.raises(ValueError, match="stay in their range; got others"):
        net.fit(x, np.zeros(8, int), epochs=2, optimizer=SGD(), callbacks=[spoil], shuffle=False)
    assert all(np.isfinite(p).all() for p in net.params.values())


def test_row_numbers_and_classes_written_by_another_thread():
    net, _ = trained()
    trainer = Trainer(net, SGD(lr=1e-3), 16)
    n = 4096
    x, t = np.ones((n, 4), "f4"), np.zeros(n, np.int64)
    order = np.arange(n)
    stop = threading.Event()

    def spoil():
        rng = np.random.default_rng(0)
        while not stop.is_set():
            i = rng.integers(n)
            t[i], order[i] = 10**14, -(10**13)
            t[i], order[i] = 0, i

    thread = threading.Thread(target=spoil)
    thread.start()
    refused = 0
    try:
        for _ in range(50):
            try:
                trainer.epoch(x, t, None, order, np.empty(n // 16))
            except ValueError:
                refused += 1
            except TypeError:  # before the first step
                refused += 1
    finally:
        stop.set()
        thread.join()
    assert all(np.isfinite(p).all() for p in net.params.values())


# --- the plan -------------------------------------------------------------------------------


def plan(**options):
    entries = [
        ("affine", 3, 2, 0.0, 0.0, False),
        ("relu", 2, 2, 0.0, 0.0, False),
        ("batch_norm", 2, 2, 1e-5, 0.9, False),
    ]
    return engine.Plan(entries, "squared", 4, False, **options)


def test_parts_that_a_plan_does_not_have_are_refused():
    W, b, g = np.zeros((3, 2), "f4"), np.zeros(2, "f4"), np.zeros(2, "f4")
    one = plan()
    for layer, part, arrays in (
        (0, engine.GRADIENTS, (W, b)),
        (0, engine.RUNNING, (W, b)),
        (0, engine.FIRST_STATE, (W, b)),
        (1, engine.PARAMETERS, (g, b)),
        (2, engine.FIRST_STATE + 1, (g, b)),
        (-1, 0, (W, b)),
        (3, 0, (W, b)),
        (0, 5, (W, b)),
        (0, -1, (W, b)),
    ):
        for method in (one.read, one.write):
            with pytest.raises(ValueError, match=r"Plan expects a (part|layer)"):
                method(layer, part, *arrays)
    one.read(2, engine.GRADIENTS, g, b)
    one.read(2, engine.RUNNING, g, b)
    plan(keep_gradients=True).read(0, engine.GRADIENTS, W, b)
    plan(n_states=1).read(0, engine.FIRST_STATE, W, b)
    net, _ = trained()
    trainer = Trainer(net, SGD(), 4)
    with pytest.raises(ValueError, match="part that layer 0 of it has; got part 1"):
        trainer.read(0, 1, np.zeros((4, 3), "f4"), np.zeros(3, "f4"))


def test_a_plan_reads_no_rows_and_no_rates_that_are_not_there():
    net, _ = trained()
    trainer = Trainer(net, SGD(), 4)
    for rows in (-1, 5, 10**9):
        with pytest.raises(ValueError, match="at most batch_size rows"):
            trainer.first_non_finite(rows)
    x, t, order = np.zeros((8, 4), "f4"), np.zeros(8, np.int64), np.arange(8)
    for places, rates in ((1, 2), (2, 1), (2, 0)):
        with pytest.raises(ValueError, match="a place for each batch"):
            trainer.epoch(x, t, None, order, np.empty(places), None, np.ones(rates))


def test_a_plan_takes_no_keyword_and_no_numbers_that_it_does_not_use():
    with pytest.raises(TypeError, match="keep_gradient"):
        plan(keep_gradient=True)
    for options in ({"n_states": 4}, {"n_states": -1}, {"n_threads": 0}):
        with pytest.raises(ValueError, match="Plan expects"):
            plan(**options)
    with pytest.raises(ValueError, match="momentum expects a plan with room for 1 arrays"):
        plan().set_rule("momentum", lr=0.1, momentum=0.9, dampening=0.0)
    for entries in (
        [],
        [("affine", 3, 2, 0.0, 0.0, False), ("affine", 3, 2, 0.0, 0.0, False)],
        [("relu", 3, 2, 0.0, 0.0, False)],
        [("affine", 0, 2, 0.0, 0.0, False)],
    ):
        with pytest.raises(ValueError, match="Plan expects"):
            engine.Plan(entries, "squared", 4, False)
    with pytest.raises(ValueError, match="states of a rule"):
        engine.Plan([("affine", 3, 2, 0.0, 0.0, False)], "squared", 4, False, 4)


def test_backward_takes_the_rows_of_the_last_outputs():
    net = Sequential(Affine(np.zeros((3, 2), "f4"), np.zeros(2, "f4")))
    trainer = Trainer(net, SGD(), 4)
    out = np.empty((3, 2), "f4")
    with pytest.raises(ValueError, match="rows of the last outputs"):
        trainer.backward(out)
    trainer.outputs(np.ones((3, 3), "f4"), out)
    with pytest.raises(ValueError, match="rows of the last outputs"):
        trainer.backward(np.ones((4, 2), "f4"))
    trainer.backward(np.ones((3, 2), "f4"))
    W = net.params["W1"].copy()
    trainer.outputs(np.ones((3, 3), "f4"), out)
    with pytest.raises(FloatingPointError, match="finite"):
        trainer.backward(np.full((3, 2), np.nan, "f4"))
    np.testing.assert_array_equal(net.params["W1"], W)
    assert np.isfinite(W).all()


def test_dropout_keeps_its_masks_over_a_step_that_was_refused():
    net = Sequential(Linear(4, 5, seed=0), Dropout(0.5), Linear(5, 2, seed=1), loss="squared_error")
    x, t = rows("float32")
    trainer = Trainer(net, SGD(lr=1e-3), 8, seed=3)
    with pytest.raises(FloatingPointError):
        trainer.step(x * np.float32(1e38), t)
    trainer.step(x, t)
    other = Sequential(Linear(4, 5, seed=0), Dropout(0.5), Linear(5, 2, seed=1), loss="squared_error")
    Trainer(other, SGD(lr=1e-3), 8, seed=3).step(x, t)
    for name, p in net.params.items():
        assert p.tobytes() == other.params[name].tobytes()


@pytest.mark.parametrize("act", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("n", [1, 5, 20])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_step_after_one_of_nan_is_as_without_it(dtype, n, act):
    """What NaN leaves in columns that a panel lacks once made clipping by a norm do nothing."""
    states = []
    for poisoned in (False, True):
        config = [(4, 5, act), (5, 3, "linear")]
        net = Sequential.from_config(config, "softmax_cross_entropy", dtype, seed=0)
        trainer = Trainer(net, SGD(lr=0.1), n, clip_norm=1e-3)
        x, t = rows(dtype, n)[0], np.zeros(n, int)
        if poisoned:
            with pytest.raises(FloatingPointError, match="finite loss; got nan"):
                trainer.step(x * np.nan, t)
        trainer.step(x, t)
        states.append({name: p.tobytes() for name, p in net.params.items()})
    assert states[0] == states[1]


@pytest.mark.parametrize(
    "options, factor",
    [
        ({"lr": 1e-30, "weight_decay": 1e30}, 1e10),
        ({"lr": 0.0, "weight_decay": 1e30}, 1e10),
        ({"lr": 1e-30, "momentum": 1e20, "nesterov": True}, 1e19),
    ],
)
def test_a_number_that_overflows_on_the_way_is_seen_behind_a_tiny_rate(options, factor):
    net = Sequential(Affine(np.zeros((2, 2), "f4"), np.zeros(2, "f4")), loss="squared_error")
    net.params["W1"][0, 0] = factor
    x = np.full((4, 2), 1, "f4")
    trainer = Trainer(net, SGD(**options), 4)
    with pytest.raises(FloatingPointError, match="finite"):
        for _ in range(2):
            trainer.step(x, np.zeros((4, 2), "f4"))
    assert np.isfinite(net.params["W1"]).all()


def test_an_eps_that_overflows_is_refused():
    net = Sequential(Linear(3, 2, seed=0), loss="squared_error")
    trainer = Trainer(net, Adadelta(eps=1e39), 4, clip_value=1e-3)
    with pytest.raises(FloatingPointError, match="finite"):
        trainer.step(np.ones((4, 3), "f4"), np.ones((4, 2), "f4"))
    assert np.isfinite(net.params["W1"]).all()


def test_a_state_whose_squares_underflow_is_in_the_bound():
    net = Sequential(Linear(3, 2, seed=0), loss="squared_error")
    rule = SGD(lr=1.0, momentum=7.9e37, nesterov=True)
    trainer = Trainer(net, rule, 4, clip_value=1e-30, clip_norm=1e-3)
    with contextlib.suppress(FloatingPointError):
        for _ in range(4):
            trainer.step(np.ones((4, 3), "f4"), np.ones((4, 2), "f4"))
            trainer.fetch()
            assert np.isfinite(net.params["W1"]).all()
