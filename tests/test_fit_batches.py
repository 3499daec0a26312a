"""`fit` on batches that are made elsewhere."""

import numpy as np
import pytest

from fastbp import SGD, Adam, BatchNorm1d, Dropout, EarlyStopping, Linear, Relu, Sequential, StepDecay, tensor
from fastbp.datasets import load_digits
from fastbp.utils.data import DataLoader, TensorDataset


@pytest.fixture(scope="module")
def digits():
    (x, t), _ = load_digits()
    return x[:100], t[:100]


def network():
    layers = Linear(64, 16, seed=0), BatchNorm1d(16), Relu(), Dropout(0.1), Linear(16, 10, seed=1)
    return Sequential(*layers, loss="softmax_cross_entropy")


def batches_of(x, t, size=32):
    return [(x[k : k + size], t[k : k + size]) for k in range(0, len(x), size)]


class Given:
    """What gives the same batches in each epoch."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


@pytest.mark.parametrize("kind", ["iterable", "function", "torch"])
def test_batches_train_as_rows_do(digits, kind):
    """The same numbers as fit of the rows without shuffling."""
    x, t = digits
    batches = batches_of(x, t)
    source = Given(batches)
    if kind == "function":
        source = lambda: iter(batches)  # noqa: E731
    if kind == "torch":
        torch = pytest.importorskip("torch")
        rows = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(t))
        source = torch.utils.data.DataLoader(rows, batch_size=32)
    ours, theirs = network(), network()
    options = {"epochs": 3, "optimizer": Adam(), "seed": 0, "validation_data": (x[:20], t[:20])}
    history = ours.fit(source, **options)
    expected = theirs.fit(x, t, batch_size=32, shuffle=False, **options | {"optimizer": Adam()})
    for one, other in zip(ours.params.values(), theirs.params.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"):
        np.testing.assert_allclose(getattr(history, name), getattr(expected, name), rtol=1e-12)
    np.testing.assert_array_equal(history.batch_loss[1], expected.batch_loss[1])


def test_the_loader_of_this_library(digits):
    x, t = digits
    net = network()
    loader = DataLoader(TensorDataset(tensor(x), tensor(t)), batch_size=16, shuffle=True)
    history = net.fit(
        loader,
        epochs=30,
        optimizer=Adam(lr=0.01),
        schedule=StepDecay(10),
        early_stopping=EarlyStopping(5, "train_loss"),
    )
    assert net.accuracy(x, t) > 0.9 and len(history.batch_loss[0]) == 7


def test_an_iterator_is_one_epoch(digits):
    batches = batches_of(*digits)
    net = network()
    assert len(net.fit(iter(batches), epochs=1, comm=None, batch_size=None)) == 1
    with pytest.raises(ValueError, match="batches for each of 2 epochs; got an iterator, which is spent after one"):
        net.fit(iter(batches), epochs=2)
    lengths = iter([batches, []])
    with pytest.raises(ValueError, match="at least one batch in epoch 2; got none"):
        net.fit(lambda: next(lengths), epochs=2)


def test_endless_batches_and_the_time(digits):
    batch = batches_of(*digits)[0]

    def endless():
        while True:
            yield batch

    history = network().fit(endless, epochs=3, max_seconds=0.1)
    assert history.stopped_by == "max_seconds" and len(history) == 1
    assert network().fit(endless, epochs=3, max_seconds=0).stopped_by == "max_seconds"


def test_what_is_refused(digits):
    x, t = digits
    batches = Given(batches_of(x, t))
    net = network()
    before = [array.copy() for array in net.params.values()]
    for options in ({"batch_size": 8}, {"sample_weight": np.ones(100)}, {"validation_split": 0.1}, {"resume": "x"}):
        with pytest.raises(ValueError, match=f"expects {next(iter(options))} with rows x and their targets"):
            net.fit(batches, **options)
    with pytest.raises(ValueError, match="a schedule; got"):
        net.fit(lambda: iter(batches), schedule=StepDecay(1))
    with pytest.raises(ValueError, match="validation_data where early_stopping monitors val_loss"):
        net.fit(batches, early_stopping=EarlyStopping())
    with pytest.raises(ValueError, match=r"at least one batch of .*; got none"):
        net.fit(Given([]))
    with pytest.raises(ValueError, match=r"each batch as a pair \(x, t\); got"):
        net.fit(Given([x[:4]]))
    with pytest.raises(ValueError, match="expects x with 64 features"):
        net.fit(Given([(x[:, :3], t)]))
    for array, old in zip(net.params.values(), before, strict=True):
        np.testing.assert_array_equal(array, old)
    with pytest.raises(ValueError, match=r"batches of at most 4 rows, .*; got 10 in batch 2"):
        net.fit(Given([(x[:4], t[:4]), (x[:10], t[:10])]))
    with pytest.raises(ValueError, match="class indices"):
        net.fit(Given([(x[:4], t[:4] + 10)]))
    with pytest.raises(TypeError, match=r"real numbers|array of numbers; got None"):
        net.fit(x)
    with pytest.raises(FloatingPointError, match="epoch 1, batch 2"):
        net.fit(Given([(x[:4], t[:4]), (x[:4] * np.nan, t[:4])]), optimizer=SGD())
