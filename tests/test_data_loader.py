"""Data sets, samplers and DataLoader: PyTorch's batches, and order that a seed repeats."""

import collections
import itertools
import re

import numpy as np
import pytest

import fastbp
from fastbp.utils import data
from fastbp.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)

N = 11
Pair = collections.namedtuple("Pair", "x t")


def rows(t):
    return t.utils.data.TensorDataset(t.arange(2.0 * N).reshape(N, 2), t.arange(N), t.ones(N, 1, 3, dtype=t.float64))


def listed(batches):
    """Batches as plain lists, each tensor with its dtype."""
    if hasattr(batches, "tolist"):
        return str(batches.dtype).split(".")[-1], batches.tolist()
    if isinstance(batches, dict):
        return {key: listed(value) for key, value in batches.items()}
    if isinstance(batches, list | tuple):
        kind = type(batches).__name__
        return kind, [listed(value) for value in batches]
    return batches


def map_style(t):
    class Own(t.utils.data.Dataset):
        def __len__(self):
            return N

        def __getitem__(self, i):
            if i >= N:
                raise IndexError
            return t.tensor([float(i), 1.0]), i

    return Own()


def stream_style(t):
    class Own(t.utils.data.IterableDataset):
        def __iter__(self):
            return ((float(i), i) for i in range(N))

    return Own()


def split(t):
    whole = rows(t)
    return t.utils.data.Subset(t.utils.data.Subset(whole, [9, 3, 4, 0, 7]), range(4, 0, -1))


DATA = {
    "tensors": rows,
    "subset of a subset": split,
    "own": map_style,
    "own stream": stream_style,
    "sum": lambda t: map_style(t) + map_style(t),
    "one tensor": lambda t: t.arange(2.0 * N).reshape(N, 2),
    "array": lambda t: np.arange(2 * N).reshape(N, 2),
    "list of pairs": lambda t: [(i / 2, i) for i in range(N)],
    "list of numbers": lambda t: list(range(N)),
    "list of arrays and names": lambda t: [(np.float32(i), np.ones(2, "f4"), str(i), i > 3) for i in range(N)],
    "list of dicts": lambda t: [{"x": t.ones(2) * i, "t": i} for i in range(N)],
    "list of named": lambda t: [Pair(t.ones(1), i) for i in range(N)],
    "list of lists": lambda t: [[i, [i, 1.0]] for i in range(N)],
}
OPTIONS = [
    {},
    {"batch_size": 4},
    {"batch_size": 4, "drop_last": True},
    {"batch_size": None},
    {"batch_size": 99},
    {"batch_size": 3, "collate_fn": len},
    {"batch_size": 3, "num_workers": 0, "pin_memory": False, "persistent_workers": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", DATA)
def test_batches_are_pytorchs(kind, options):
    torch = pytest.importorskip("torch")
    ours, theirs = (t.utils.data.DataLoader(DATA[kind](t), **options) for t in (fastbp, torch))
    assert listed(list(ours)) == listed(list(theirs))
    assert listed(list(ours)) == listed(list(theirs))  # a second pass
    if kind != "own stream":
        assert len(ours) == len(theirs)


def test_batches_of_tensors_are_those_of_their_rows():
    """The quick way against one row after the other, without PyTorch."""
    quick = DataLoader(rows(fastbp), batch_size=4)
    slow = DataLoader(rows(fastbp), batch_size=4, collate_fn=lambda batch: default_collate(batch))
    assert listed(list(quick)) == listed(list(slow))
    assert [len(t) for t, *_ in quick] == [4, 4, 3]


def test_a_batch_has_memory_of_its_own():
    x = fastbp.zeros(4, 2)
    for (batch,) in DataLoader(TensorDataset(x), batch_size=2):
        batch += 1
    assert (x.array == 0).all()


def test_rows_that_require_grad_keep_their_history():
    x = fastbp.ones(4, 2, requires_grad=True)
    for (batch,) in DataLoader(TensorDataset(x), batch_size=3, shuffle=True):
        batch.sum().backward()
    np.testing.assert_array_equal(x.grad.array, np.ones((4, 2)))


def test_own_rows_of_a_tensor_dataset_are_asked_for():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return tuple(2 * part for part in super().__getitem__(index))

    (batch,) = DataLoader(Doubled(fastbp.ones(3)), batch_size=3)
    assert batch[0].tolist() == [2, 2, 2]


def test_many_items_are_asked_for_at_once():
    class Own(Dataset):
        def __len__(self):
            return 5

        def __getitems__(self, indices):
            return [10 * i for i in indices]

    assert [b.tolist() for b in DataLoader(Own(), batch_size=3)] == [[0, 10, 20], [30, 40]]


# --- order ----------------------------------------------------------------------------------


def order_of(loader):
    return [int(i) for batch in loader for i in batch[1]]


@pytest.mark.parametrize("make", [rows, map_style, lambda t: Subset(rows(t), list(range(N)))])
def test_shuffling_is_another_order_at_each_pass_and_repeats_by_the_seed(make):
    loader = DataLoader(make(fastbp), batch_size=3, shuffle=True)
    fastbp.manual_seed(5)
    first, second = order_of(loader), order_of(loader)
    assert first != second and sorted(first) == sorted(second) == list(range(N))
    fastbp.manual_seed(5)
    assert order_of(loader) == first
    seeded = [
        order_of(DataLoader(make(fastbp), 3, True, generator=fastbp.Generator().manual_seed(7))) for _ in range(2)
    ]
    assert seeded[0] == seeded[1] != first


def test_rows_stay_together():
    x = fastbp.arange(50.0)
    for a, b in DataLoader(TensorDataset(x, -x), batch_size=7, shuffle=True):
        np.testing.assert_array_equal(a.array, -b.array)


def test_samplers_choose_the_order():
    def order(**options):
        return order_of(DataLoader(rows(fastbp), **options))

    assert order(batch_size=2, sampler=[5, 0, 3]) == [5, 0, 3]
    assert order(batch_sampler=[[1, 2], [7]]) == [1, 2, 7]
    assert order(batch_sampler=BatchSampler(SequentialSampler(range(5)), 2, True)) == [0, 1, 2, 3]
    assert sorted(order(batch_size=2, sampler=SubsetRandomSampler([2, 9, 4]))) == [2, 4, 9]
    weights = WeightedRandomSampler([0.0] * 10 + [1.0], 6)
    assert order(batch_size=4, sampler=weights) == [10] * 6
    assert sorted(WeightedRandomSampler([1.0, 0, 2.0], 2, replacement=False)) == [0, 2]

    class Backwards(data.Sampler):
        def __iter__(self):
            return iter(range(N - 1, -1, -1))

        def __len__(self):
            return N

    loader = DataLoader(rows(fastbp), batch_size=4, sampler=Backwards())
    assert order_of(loader) == list(range(N))[::-1]
    assert len(loader) == 3


def test_random_samplers_draw_as_many_as_they_are_asked_for():
    assert len(list(RandomSampler(range(4), num_samples=10))) == 10
    drawn = list(RandomSampler(range(1000), replacement=True))
    assert len(drawn) == 1000 and len(set(drawn)) < 800 and max(drawn) < 1000
    assert all(isinstance(i, int) for i in drawn)
    few = list(RandomSampler(range(100), num_samples=3))
    assert len(set(few)) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda n: RandomSampler(range(100), replacement=True, num_samples=n),
        lambda n: RandomSampler(range(100), num_samples=n),
        lambda n: SequentialSampler(range(n)),
        lambda n: WeightedRandomSampler(np.ones(100), n),
    ],
)
def test_a_sampler_draws_no_more_than_is_asked_of_it(make):
    """All at once, these indices would take 80 GB."""
    sampler = make(10**10)
    assert len(sampler) == 10**10
    loader = DataLoader(range(10**10), batch_size=8, sampler=sampler)
    assert len(loader) == 10**10 / 8
    for source in (sampler, next(iter(BatchSampler(sampler, 8, True))), next(iter(loader))):
        first = [int(i) for i in itertools.islice(source, 8)]
        assert len(first) == 8 and max(first) < 100


@pytest.mark.parametrize("size", [1, 7, 10, 64])
@pytest.mark.parametrize("drop_last", [False, True])
def test_indices_drawn_in_parts_are_those_drawn_at_once(size, drop_last, monkeypatch):
    samplers = [
        lambda: RandomSampler(range(40), replacement=True, num_samples=103),
        lambda: RandomSampler(range(4), num_samples=103),
        lambda: RandomSampler(range(40)),
        lambda: SequentialSampler(range(103)),
        lambda: WeightedRandomSampler(np.arange(40.0), 103),
        lambda: WeightedRandomSampler(np.ones(40), 30, replacement=False),
    ]

    def drawn(make):
        fastbp.manual_seed(3)
        whole = list(make())
        fastbp.manual_seed(3)
        loader = DataLoader(range(103), size, sampler=make(), drop_last=drop_last)
        batches = [batch.tolist() for batch in loader]
        assert len(batches) == len(loader)
        assert all(len(batch) == size for batch in batches[: -1 + drop_last or None])
        return whole, batches

    at_once = [drawn(make) for make in samplers]
    for whole, batches in at_once:
        n = len(whole) // size * size if drop_last else len(whole)
        assert [i for batch in batches for i in batch] == whole[:n]
    monkeypatch.setattr(data.sampler.Drawn, "_most", 10)
    assert [drawn(make) for make in samplers] == at_once


def test_a_sampler_of_ones_own_that_extends_the_librarys_is_asked():
    class Evens(SequentialSampler):
        def __iter__(self):
            return iter(range(0, len(self), 2))

        def __len__(self):
            return len(self.data_source)

    class Pairs(BatchSampler):
        def __iter__(self):
            return iter([[1, 0], [3, 2]])

    loader = DataLoader(rows(fastbp), batch_size=4, sampler=Evens(range(N)))
    assert order_of(loader) == list(range(0, N, 2))
    own = Pairs(SequentialSampler(range(N)), 4, False)
    assert order_of(DataLoader(rows(fastbp), batch_sampler=own)) == [1, 0, 3, 2]


@pytest.mark.parametrize("name", ["dataset", "batch_size", "sampler", "batch_sampler", "drop_last", "generator"])
def test_what_batches_were_made_from_is_not_assigned_to_later(name):
    loader = DataLoader(range(4), batch_size=2)
    before = getattr(loader, name)
    with pytest.raises(ValueError, match=f"DataLoader expects {name} when it is made"):
        setattr(loader, name, 3)
    assert getattr(loader, name) is before


def test_another_function_of_samples_holds_from_the_next_pass():
    loader = DataLoader(TensorDataset(fastbp.arange(4)), batch_size=2)
    loader.collate_fn = len
    assert list(loader) == [2, 2]


def test_workers_make_no_difference():
    calls = []
    loader = DataLoader(
        range(5),
        2,
        num_workers=3,
        worker_init_fn=calls.append,
        prefetch_factor=4,
        persistent_workers=True,
        multiprocessing_context="spawn",
        pin_memory=False,
        in_order=False,
    )
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3], [4]]
    assert not calls and data.get_worker_info() is None


@pytest.mark.parametrize(
    "lengths, sizes",
    [([7, 4], [7, 4]), ([0.5, 0.5], [6, 5]), ([0.8, 0.1, 0.1], [9, 1, 1]), ([1.0], [11]), ([11, 0], [11, 0])],
)
def test_a_random_split_is_pytorchs_in_sizes(lengths, sizes):
    whole = rows(fastbp)
    parts = random_split(whole, lengths, fastbp.Generator().manual_seed(1))
    assert [len(part) for part in parts] == sizes
    assert sorted(i for part in parts for i in part.indices) == list(range(N))
    again = random_split(whole, lengths, generator=fastbp.Generator().manual_seed(1))
    assert [part.indices for part in again] == [part.indices for part in parts]
    got = [t for part in parts if len(part) for _, t, _ in DataLoader(part, batch_size=99)]
    assert [t.tolist() for t in got] == [part.indices for part in parts if len(part)]
    torch = pytest.importorskip("torch")
    assert [len(p) for p in torch.utils.data.random_split(range(N), lengths)] == sizes


def test_joined_data_sets_are_read_from_either_end():
    joined = ConcatDataset([[1, 2], [], [3]])
    assert (len(joined), joined[2], joined[-1], joined[-3]) == (3, 3, 3, 1)
    with pytest.raises(IndexError):
        joined[3]


def test_a_network_learns_from_a_loader():
    fastbp.manual_seed(0)
    x = fastbp.randn(64, 3)
    w = fastbp.zeros(3, requires_grad=True)
    target = x @ fastbp.tensor([1.0, -2.0, 0.5])
    optimizer = fastbp.optim.SGD([w], lr=0.1)
    for _ in range(40):
        for batch, t in DataLoader(TensorDataset(x, target), batch_size=16, shuffle=True):
            optimizer.zero_grad()
            ((batch @ w - t) ** 2).mean().backward()
            optimizer.step()
    np.testing.assert_allclose(w.detach().numpy(), [1, -2, 0.5], atol=1e-4)


# --- refusals -------------------------------------------------------------------------------

BAD = {
    "lengths": (lambda: TensorDataset(fastbp.ones(2), fastbp.ones(3)), ValueError, r"\[2, 3\]"),
    "arrays": (lambda: TensorDataset(np.ones(2)), TypeError, "Tensors"),
    "batch size": (lambda: DataLoader([1], batch_size=0), ValueError, "batch_size.*0"),
    "both orders": (lambda: DataLoader([1], shuffle=True, sampler=[0]), ValueError, "both"),
    "batches": (lambda: DataLoader([1], batch_size=2, batch_sampler=[[0]]), ValueError, "both"),
    "stream": (lambda: DataLoader(stream_style(fastbp), shuffle=True), ValueError, "Iterable"),
    "no batches": (lambda: DataLoader([1], batch_size=None, drop_last=True), ValueError, "True"),
    "timeout": (lambda: DataLoader([1], num_workers=1, timeout=5), ValueError, "timeout=0.*5"),
    "workers": (lambda: DataLoader([1], num_workers=-1), ValueError, "num_workers"),
    "init": (lambda: DataLoader([1], worker_init_fn=3), TypeError, "worker_init_fn.*3"),
    "prefetch": (lambda: DataLoader([1], prefetch_factor=2), ValueError, "prefetch_factor beside"),
    "persistent": (lambda: DataLoader([1], persistent_workers=True), ValueError, "beside"),
    "context": (lambda: DataLoader([1], multiprocessing_context="fork"), ValueError, "beside"),
    "a generator": (lambda: DataLoader([1], generator=3), TypeError, "generator"),
    "shuffle": (lambda: DataLoader([1], shuffle="no"), TypeError, "shuffle as True, False or None"),
    "drop_last": (lambda: DataLoader([1], drop_last="no"), TypeError, "drop_last as True or"),
    "replacement": (lambda: RandomSampler([1], replacement="no"), TypeError, "replacement"),
    "no samples": (lambda: RandomSampler([], num_samples=3), ValueError, "at least one sample"),
    "split": (lambda: random_split(range(5), [2, 2]), ValueError, r"5.*\[2, 2\]"),
    "samples": (lambda: list(DataLoader([object()])), TypeError, "object"),
    "None": (lambda: list(DataLoader([None])), TypeError, "None"),
    "ragged": (lambda: list(DataLoader([(1,), (1, 2)], 2)), RuntimeError, r"\[1, 2\]"),
    "none at all": (lambda: DataLoader([], shuffle=True), ValueError, "num_samples.*got 0"),
    "joined": (lambda: ConcatDataset([]), ValueError, "none"),
    "joined stream": (lambda: ConcatDataset([stream_style(fastbp)]), TypeError, "Iterable"),
    "no items": (lambda: Dataset()[0], NotImplementedError, "__getitem__"),
    "no stream": (lambda: iter(IterableDataset()), NotImplementedError, "__iter__"),
}


MASK = np.arange(4) > 1
ROWS = TensorDataset(fastbp.arange(4.0))
BAD |= {
    "a mask": (lambda: Subset(ROWS, MASK), TypeError, r"np.flatnonzero\(indices\) makes of a mask"),
    "a list mask": (lambda: Subset(ROWS, MASK.tolist()), TypeError, r"np.flatnonzero"),
    "fractions": (lambda: Subset(ROWS, [0.5, 1.5]), TypeError, "integers; got dtype float64"),
    "a column": (lambda: Subset(ROWS, [[0], [1]]), TypeError, r"shape \(2, 1\)"),
    "a set of indices": (lambda: Subset(ROWS, {0, 1}), TypeError, r"as list\(indices\) has them"),
    "drawn of a mask": (lambda: SubsetRandomSampler(MASK), TypeError, "np.flatnonzero"),
    "drawn of fractions": (lambda: SubsetRandomSampler([0.5]), TypeError, "float64"),
    "a mask as sampler": (lambda: list(DataLoader(ROWS, 2, sampler=MASK)), TypeError, r"np.flatnonzero\(sampler\)"),
    "a mask as batch": (lambda: list(DataLoader(ROWS, batch_sampler=[MASK])), TypeError, "mask"),
    "fractions as sampler": (lambda: list(DataLoader(ROWS, sampler=[1.0])), TypeError, "float64"),
    "flat batches": (
        lambda: list(DataLoader(ROWS, batch_sampler=[0, 1])),
        TypeError,
        "lists of indices; got 0 of type int",
    ),
    "beyond": (lambda: list(DataLoader(ROWS, sampler=[7])), IndexError, "index 7 is out of bounds"),
    "a part beyond": (lambda: list(DataLoader(Subset(ROWS, [7]))), IndexError, "index 7"),
    "a set": (lambda: DataLoader({1, 2}), TypeError, r"as list\(dataset\) has them.*type set"),
    "a part of a set": (lambda: Subset({1, 2}, [0]), TypeError, "type set"),
}


def test_a_series_of_indices_is_taken_by_its_places():
    """Its own [0] is what stands at the label 0."""
    pd = pytest.importorskip("pandas")
    part = Subset(ROWS, pd.Series([3, 1], index=[1, 0]))
    assert [float(part[k][0]) for k in range(2)] == [3, 1]
    assert [x.tolist() for (x,) in DataLoader(part, batch_size=2)] == [[3, 1]]


@pytest.mark.parametrize("case", BAD)
def test_bad_data_are_refused(case):
    make, error, message = BAD[case]
    with pytest.raises(error, match=message) as caught:
        make()
    text = str(caught.value)
    assert re.fullmatch(r"[^\n]+ expects [^\n]+; got [^\n]+\.", text), text


def test_loaders_are_there_after_a_bare_import(run_python):
    code = "import fastbp, sys; assert 'fastbp.utils' not in sys.modules; print(fastbp.utils.data.DataLoader.__name__)"
    assert run_python("-c", code).stdout == "DataLoader\n"
