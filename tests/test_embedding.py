"""Columns of categories: kernels, the layer, and its training in compiled steps beside a loop's."""

import itertools

import numpy as np
import pytest
from ranks import results

import fastbp
from fastbp import (
    SGD,
    Adam,
    AdamW,
    Dropout,
    EarlyStopping,
    Embeddings,
    Linear,
    Relu,
    RMSprop,
    Sequential,
    Sigmoid,
    Trainer,
    _kernels,
    gradient_check,
    nn,
    reference,
)

# Widths around the borders of vectors and panels, and over several of them.
SIZES, WIDTHS = [7, 3, 50, 2], [5, 1, 33, 70]
OPTIMIZERS = {
    "sgd": lambda: SGD(lr=0.1),
    "momentum": lambda: SGD(lr=0.1, momentum=0.9),
    "decay": lambda: SGD(lr=0.1, weight_decay=0.01),
    "adam": Adam,
    "amsgrad": lambda: Adam(amsgrad=True),
    "adamw": AdamW,
    "rmsprop": RMSprop,
}
OPTIONS = {"plainly": {}, "norm": {"clip_norm": 0.3}, "values": {"clip_value": 0.01}, "threads": {"n_threads": 3}}


def network(dtype="float32", numeric=2, sizes=SIZES, widths=WIDTHS, middle=(), loss="softmax_cross_entropy"):
    first = Embeddings(sizes, widths, numeric, dtype=dtype, seed=0)
    n_out = 1 if loss == "squared_error" else 3
    return Sequential(
        first, *middle, Linear(first.n_out, 20, seed=1, dtype=dtype), Relu(), Linear(20, n_out, seed=2, dtype=dtype),
        loss=loss,
    )  # fmt: skip


def rows(n=70, dtype="float32", numeric=2, sizes=SIZES, seed=0):
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, size, n) for size in sizes] + [rng.standard_normal(n) for _ in range(numeric)]
    return np.column_stack(columns).astype(dtype), rng.integers(0, 3, n)


def by_hand(net, x, t, optimizer, epochs, batch_size, clip_norm=None, clip_value=None, **_):
    """What `fit` does without a shuffle, in a loop."""
    for _, begin in itertools.product(range(epochs), range(0, len(x), batch_size)):
        grads = net.gradient(x[begin : begin + batch_size], t[begin : begin + batch_size])
        if clip_norm:
            norm = np.sqrt(sum(np.square(grad, dtype=float).sum() for grad in grads.values()))
            grads = {name: grad * grad.dtype.type(min(1, clip_norm / (norm + 1e-6))) for name, grad in grads.items()}
        if clip_value:
            grads = {name: grad.clip(-clip_value, clip_value) for name, grad in grads.items()}
        optimizer.update(net.params, grads)


def assert_alike(net, other, dtype, times=1.0):
    for name, array in net.params.items():
        assert np.abs(array - other.params[name]).max() <= times * (1e-4 if dtype == "float32" else 1e-11), name


def bits(net):
    return [array.tobytes() for array in net.params.values()]


# --- the kernels ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [0, 1, 9])
@pytest.mark.parametrize("widths", [[1], [8], [16, 3], [5, 1, 33, 70], []], ids=str)
def test_kernels_equal_their_twins(n_rows, widths, dtype, rng):
    n, width = 200, sum(widths) + 2
    W, dout = rng.standard_normal(n).astype(dtype), rng.standard_normal((n_rows, width)).astype(dtype)
    places = np.stack([rng.integers(0, n - w + 1, n_rows) for w in widths], axis=1) if widths else np.empty((n_rows, 0))
    places, widths = np.ascontiguousarray(places, np.int64), np.array(widths, np.int64)
    outs = [np.full((n_rows, width), 7, dtype) for _ in range(2)]
    gradients = [np.full(n, np.nan, dtype) for _ in range(2)]
    for kernels, out, gradient in zip((_kernels, reference), outs, gradients, strict=True):
        kernels.embedding_forward(W, places, widths, out)
        kernels.embedding_backward(dout, places, widths, gradient)
    assert outs[0].tobytes() == outs[1].tobytes()
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-6)


def test_kernels_refuse_what_lies_beyond_the_tables():
    W, places, widths, out = np.zeros(10), np.zeros((2, 1), np.int64), np.array([4]), np.zeros((2, 4))
    for wrong in (-1, 7):
        with pytest.raises(ValueError, match="places within W"):
            _kernels.embedding_forward(W, np.full((2, 1), wrong), widths, out)
        with pytest.raises(ValueError, match="places within W"):
            _kernels.embedding_backward(out, np.full((2, 1), wrong), widths, W)
    for wrong in ([11], [-1], [5], [2, 2]):
        with pytest.raises(ValueError, match=r"widths|a width"):
            _kernels.embedding_forward(W, places, np.array(wrong), out)
    with pytest.raises(ValueError, match="places for each row"):
        _kernels.embedding_forward(W, places[:1], widths, out)
    with pytest.raises(ValueError, match="overlap"):
        _kernels.embedding_forward(W, places, widths, W[:8].reshape(2, 4))


# --- the layer ------------------------------------------------------------------------------


def test_the_output_is_rows_of_the_tables(dtype):
    x, _ = rows(9, dtype.name)
    layer = Embeddings(SIZES, WIDTHS, 2, dtype=dtype, seed=0)
    categories = x[:, :4].astype(int).T
    expected = [table[index] for table, index in zip(layer.tables, categories, strict=True)]
    out = layer.forward(x)
    assert out.dtype == dtype and out.tobytes() == np.hstack([*expected, x[:, 4:]]).tobytes()
    assert layer.forward(x[3]).tobytes() == out[3].tobytes()
    with fastbp.use("reference"):
        assert layer.forward(x).tobytes() == out.tobytes()
    assert all(np.shares_memory(table, layer.E) for table in layer.tables)


def test_the_gradient_check_passes():
    x, t = rows(30, "float64")
    assert gradient_check(network("float64"), x, t).passed
    assert gradient_check(Embeddings(SIZES, WIDTHS, 2, dtype="float64", seed=0), x).passed
    assert gradient_check(Embeddings(SIZES, WIDTHS, dtype="float64", seed=0), x[:, :4]).passed


def test_categories_of_every_dtype():
    x, _ = rows(9, "int64", numeric=0)
    layer = Embeddings(SIZES, WIDTHS, seed=0)
    expected = layer.forward(x)
    for kind in ("int8", "uint8", "int32", "uint64", "float16", "float32", "float64", object):
        if kind is object:
            with pytest.raises(TypeError, match="real numbers"):
                layer.forward(x.astype(kind))
        else:
            assert layer.forward(x.astype(kind)).tobytes() == expected.tobytes()
    assert layer.forward(x.tolist()).tobytes() == expected.tobytes()


def test_on_tensors_it_is_a_node_of_the_graph():
    x, t = rows(20)
    net, twin = network(), network()
    loss = fastbp.nn.CrossEntropyLoss()(net(fastbp.tensor(x)), fastbp.tensor(t))
    loss.backward()
    found = twin.gradient(x, t)
    np.testing.assert_allclose(net[0].get_parameter("weight").grad.numpy(), found["E1"], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda x: x.__setitem__((5, 2), 50), "0 to 49 in column 2 of x; got 50 in row 5"),
        (lambda x: x.__setitem__((5, 0), -1), "0 to 6 in column 0 of x; got -1 in row 5"),
        (lambda x: x.__setitem__((0, 1), 0.5), "0 to 2 in column 1 of x; got 0.5 in row 0"),
        (lambda x: x.__setitem__((69, 3), np.nan), "0 to 1 in column 3 of x; got nan in row 69"),
        (lambda x: x.__setitem__((1, 3), np.inf), "0 to 1 in column 3 of x; got inf in row 1"),
    ],
    ids=["too large", "negative", "a half", "NaN", "infinite"],
)
def test_what_is_no_category_is_named_by_row_and_column(wrong, words):
    x, t = rows()
    net = network()
    trainer = Trainer(net, Adam(), 70)
    before = bits(net)
    wrong(x)
    good = rows()[0]
    for call in (
        lambda: net.predict(x),
        lambda: net.gradient(x, t),
        lambda: trainer.step(x, t),
        lambda: net.fit(x, t, epochs=1, optimizer=Adam()),
        lambda: net.fit(good, t, epochs=1, optimizer=Adam(), validation_data=(x, t)),
    ):
        with pytest.raises(ValueError, match=words):
            call()
        assert bits(net) == before


def test_what_the_layer_is_not_made_of():
    for wrong, words in {
        "[], 3": "at least one column",
        "[0], 3": "of at least 1",
        "[3], 0": "of at least 1",
        "[3, 4], [2]": "for each of 2 columns; got 1",
        "[2**40] * 3, 2**40": "whose product",
        "[3], 2, -1": "numeric of at least 0",
        "[3], 2, init=-1": "init",
        "[3], 2, dtype=int": "dtype",
    }.items():
        with pytest.raises((ValueError, TypeError), match=words):
            eval(f"Embeddings({wrong})")
    with pytest.raises(TypeError, match="sequence"):
        Embeddings(3, 4)
    with pytest.raises(ValueError, match="111 inputs"):
        Sequential(Embeddings(SIZES, WIDTHS, 2), Linear(5, 3))
    with pytest.raises(ValueError, match="6 features"):
        network().predict(np.zeros((3, 5)))
    assert Embeddings([3], 2, init=0).E.tolist() == [0] * 6


# --- its training ---------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fit_has_the_numbers_of_a_loop(name, options, dtype):
    x, t = rows(dtype=dtype)
    net, twin = network(dtype), network(dtype)
    options = OPTIONS[options] | {"epochs": 3, "batch_size": 32}
    net.fit(x, t, optimizer=OPTIMIZERS[name](), shuffle=False, **options)
    by_hand(twin, x, t, OPTIMIZERS[name](), **options)
    assert_alike(net, twin, dtype)


def test_many_rows_few_rows_and_no_hidden_layer(dtype):
    """The bounds of updates go another way with many rows, and products of up to six rows too."""
    for n, batch_size, sizes, widths in ((3000, 1500, [3], [2]), (20, 3, SIZES, WIDTHS), (40, 40, [2], [100])):
        x, t = rows(n, dtype, numeric=1, sizes=sizes)
        nets = []
        for loop in (True, False):
            net = network(dtype, 1, sizes, widths)
            if loop:
                by_hand(net, x, t, Adam(), 2, batch_size)
            else:
                net.fit(x, t, optimizer=Adam(), shuffle=False, epochs=2, batch_size=batch_size)
            nets.append(net)
        assert_alike(*nets, dtype)


@pytest.mark.parametrize("middle", [[Relu], [Sigmoid], [lambda: Dropout(0.3)], [lambda: fastbp.BatchNorm1d(111)]])
def test_layers_behind_it(middle):
    x, t = rows()
    nets = [network(middle=[make() for make in middle]) for _ in range(2)]
    if middle[0] is Relu or middle[0] is Sigmoid:
        nets[0].fit(x, t, epochs=2, optimizer=Adam(), shuffle=False)
        by_hand(nets[1], x, t, Adam(), 2, 32)
        assert_alike(*nets, "float32")
    else:
        for net in nets:
            net.fit(x, t, epochs=2, optimizer=Adam(), seed=1)
        assert bits(nets[0]) == bits(nets[1])


@pytest.mark.parametrize("kind", ["uint8", "int64", "float64", "Fortran", "frame"])
def test_rows_of_every_form(kind):
    x, t = rows(numeric=0)
    net, twin = network(numeric=0), network(numeric=0)
    if kind == "frame":
        form = pytest.importorskip("pandas").DataFrame(x.astype(int))
    else:
        form = np.asfortranarray(x) if kind == "Fortran" else x.astype(kind)
    for one, given in ((net, form), (twin, x)):
        one.fit(given, t, epochs=2, optimizer=Adam(), seed=1)
    assert bits(net) == bits(twin)
    assert net.predict(form).tobytes() == net.predict(x).tobytes()


def test_sparse_rows_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    x, t = rows()
    for call in (
        lambda: network().fit(sparse.csr_array(x), t, epochs=1, optimizer=Adam()),
        lambda: Trainer(network(), Adam(), 70).step(sparse.csr_array(x), t),
        lambda: network().predict(sparse.csr_array(x)),
    ):
        with pytest.raises(TypeError, match="toarray"):
            call()


def test_it_comes_first():
    net = Sequential(Linear(2, 2), Embeddings([3, 3], 2), Linear(4, 1), loss="squared_error")
    with pytest.raises(ValueError, match=r"Embeddings as the first layer.*at place 1"):
        net.fit(np.zeros((3, 2)), np.zeros((3, 1)), epochs=1, optimizer=Adam())


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_bits_depend_on_the_number_of_threads_alone(name):
    x, t = rows(400)
    nets = [network() for _ in range(4)]
    for net, n_threads in zip(nets, (1, 1, 3, 3), strict=True):
        net.fit(x, t, epochs=2, batch_size=100, optimizer=OPTIMIZERS[name](), seed=1, n_threads=n_threads)
    assert bits(nets[0]) == bits(nets[1]) and bits(nets[2]) == bits(nets[3])
    assert_alike(nets[0], nets[2], "float32")


def test_plain_sgd_moves_the_rows_of_the_batch_alone():
    net = network()
    x, t = rows(5)
    before = [table.copy() for table in net[0].tables]
    Trainer(net, SGD(lr=0.1), 5).step(x, t)
    for column, (table, old) in enumerate(zip(net[0].tables, before, strict=True)):
        moved = (table != old).any(axis=1)
        assert set(np.flatnonzero(moved)) == set(x[:, column].astype(int))


def test_weights_validation_and_early_stopping():
    x, t = rows(90)
    weights = np.random.default_rng(1).random(90)
    net, twin = network(), network()
    net.fit(
        x, t, epochs=4, optimizer=Adam(), seed=1, sample_weight=weights, validation_data=(x, t),
        early_stopping=EarlyStopping(patience=4),
    )  # fmt: skip
    twin.fit(x[weights > 0], t, epochs=4, optimizer=Adam(), seed=1, sample_weight=weights)
    assert_alike(net, twin, "float32")
    assert net.history.val_loss[-1] == pytest.approx(net.loss(x, t), rel=1e-5)


def test_a_training_goes_on_bit_for_bit_and_a_file_has_the_network(tmp_path):
    pytest.importorskip("safetensors")
    x, t = rows(90)
    whole, part = network(), network()
    whole.fit(x, t, epochs=4, optimizer=Adam(), seed=1)
    path = tmp_path / "file.safetensors"
    part.fit(x, t, epochs=2, optimizer=Adam(), seed=1, checkpoint=path, every=3)
    rest = network()
    rest.fit(x, t, epochs=4, optimizer=Adam(), resume=path)
    assert bits(rest) == bits(whole)
    rest.save(path)
    loaded = Sequential.load(path)
    assert bits(loaded) == bits(whole) and loaded[0].config() == rest[0].config()
    assert loaded.predict(x).tobytes() == rest.predict(x).tobytes()
    state = network().state_dict()
    assert state["0.weight"].shape == (sum(n * m for n, m in zip(SIZES, WIDTHS, strict=True)),)
    twin = network()
    twin.load_state_dict(rest.state_dict())
    assert bits(twin) == bits(whole)


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.5}, {"average_every": 2}], ids=["sums", "norm", "averages"])
def test_ranks_train_it_together(options):
    x, t = rows(80)
    whole = network()
    alone = {name: value for name, value in options.items() if name == "clip_norm"}
    whole.fit(x, t, epochs=2, batch_size=20, optimizer=Adam(), seed=1, **alone)

    def train(comm):
        net = network()
        net.fit(x, t, epochs=2, batch_size=20, optimizer=Adam(), seed=1, comm=comm, **options)
        return net

    nets = results(3, train)
    assert bits(nets[0]) == bits(nets[1]) == bits(nets[2])
    if "average_every" not in options:
        assert_alike(nets[0], whole, "float32")


def test_an_update_that_overflows_is_undone(dtype):
    x = rows(40, dtype)[0]
    net = Sequential(*network(dtype)[:3], loss="squared_error")
    net.params["E1"][0] = np.finfo(dtype).max / 4
    before = bits(net)
    with pytest.raises(FloatingPointError, match="loss"):
        net.fit(x, np.ones((40, 20)), epochs=3, optimizer=SGD(lr=1.0), seed=1)
    assert bits(net) == before
    net.params["E1"][0] = 1
    before = bits(net)
    with pytest.raises(FloatingPointError, match="would hold NaN or inf is Embeddings"):
        net.fit(x, np.full((40, 20), 1e10), epochs=3, optimizer=SGD(lr=float(np.finfo(dtype).max)), seed=1)
    assert bits(net) == before


def test_writes_into_its_tables_count_between_steps():
    x, t = rows(20)
    net, twin = network(), network()
    trainer = Trainer(net, SGD(lr=0.1), 20)
    trainer.step(x, t)
    net[0].tables[0][...] = 0.5
    trainer.step(x, t)
    by_hand(twin, x, t, SGD(lr=0.1), 1, 20)
    twin[0].tables[0][...] = 0.5
    by_hand(twin, x, t, SGD(lr=0.1), 1, 20)
    assert_alike(net, twin, "float32")


def test_a_pickle_and_a_copy_of_it():
    import copy
    import pickle

    net = network()
    x, _ = rows(5)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.predict(x).tobytes() == net.predict(x).tobytes()
        other[0].E[...] = 0
        assert net[0].E.any()


def test_fit_names_it_in_the_place_of_pytorchs():
    net = Sequential(nn.Embedding(10, 3), nn.Flatten(), nn.Linear(6, 2), loss="softmax_cross_entropy")
    with pytest.raises(TypeError, match=r"got Embedding\(10, 3\) at place 0, so take fastbp\.layers\.Embeddings"):
        net.fit(np.zeros((4, 2), np.int64), np.zeros(4, np.int64), epochs=1)
