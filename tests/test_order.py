"""The order of an epoch's rows: its twin's, uniform, the same everywhere and beyond 2^32 rows."""

import ctypes
import itertools
import math
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from fastbp import SGD, Affine, Linear, Sequential, _kernels, reference

SEEDS = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1]


def order_of(n, seed, epoch, by=_kernels):
    order = np.full(n, -1)
    by.epoch_order(order, seed, epoch)
    return order


@pytest.mark.parametrize("n", [0, 1, 2, 3, 255, 256, 257, 1000])
def test_an_order_is_its_twins_and_has_every_row(n):
    for seed, epoch in itertools.product(SEEDS, SEEDS):
        order = order_of(n, seed, epoch)
        assert (order == order_of(n, seed, epoch, reference)).all()
        assert (np.sort(order) == np.arange(n)).all()


def test_an_order_is_the_same_on_every_machine():
    crcs = [zlib.crc32(order_of(10_000, 3, epoch).astype("<i8").tobytes()) for epoch in range(3)]
    assert crcs == [2897556766, 1721475195, 1363442276]


def chi_square(counts):
    expected = counts.sum() / counts.size
    return ((counts - expected) ** 2 / expected).sum()


@pytest.mark.parametrize("of", ["seeds", "epochs"])
def test_every_order_of_four_rows_comes_equally_often(of):
    places = {p: k for k, p in enumerate(itertools.permutations(range(4)))}
    counts = np.zeros(24)
    for k in range(24_000):
        counts[places[tuple(order_of(4, *((k, 5) if of == "seeds" else (5, k))))]] += 1
    assert chi_square(counts) < 23 + 6 * math.sqrt(2 * 23)
    assert counts.min() > 800


def test_a_row_comes_to_every_place_equally_often():
    n = 300  # more than are drawn at once
    counts = np.zeros((n, n))
    for seed in range(3000):
        counts[np.arange(n), order_of(n, seed, 0)] += 1
    freedom = (n - 1) ** 2
    assert abs(chi_square(counts) - freedom) < 6 * math.sqrt(2 * freedom)


def test_neighbours_of_one_order_are_none_of_the_next():
    n = 10_000
    first, second = order_of(n, 0, 0), order_of(n, 0, 1)
    for a, b in ((first, second), (first, order_of(n, 1, 0)), (first[1:], first[:-1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 6 / math.sqrt(n)
    assert (first == second).sum() < 12  # on average 1


SOURCE = """
#include "arithmetic/order.h"
uint64_t below(uint64_t n, uint64_t *state) { return draw_below(n, state); }
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_places_beyond_32_bits_are_the_twins(tmp_path):
    """Rows so many that no array of a test holds them, and so many that draws are refused."""
    source, library = tmp_path / "order.c", tmp_path / "order.so"
    source.write_text(SOURCE)
    folder = Path(__file__).parent.parent / "fastbp" / "_kernels"  # headers are not installed
    subprocess.run(["cc", "-shared", "-fPIC", "-I", folder, source, "-o", library], check=True)
    below = ctypes.CDLL(str(library)).below
    below.argtypes, below.restype = [ctypes.c_uint64, ctypes.c_void_p], ctypes.c_uint64
    for n in (1, 2**32 - 1, 2**32, 2**32 + 1, 10**12, 2**63, 2**63 + 1, 3 * 2**62, 2**64 - 1):
        state, twins = ctypes.c_uint64(n), n
        drawn = []
        for _ in range(300):
            place, twins = reference._draw_below(n, twins)
            drawn.append(below(n, ctypes.byref(state)))
            assert (drawn[-1], state.value) == (place, twins)
        assert (max(drawn) < n and abs(np.mean(drawn) / n - 0.5) < 0.1) or n == 1


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(3, np.int32),
        np.zeros(3, np.uint64),
        np.zeros(3),
        np.zeros(6, np.int64)[::2],
        np.zeros((2, 2), np.int64),
        None,
        np.frombuffer(bytearray(33), np.int64, 4, offset=1),
        np.frombuffer(bytes(32), np.int64),
    ],
    ids=lambda bad: "None" if bad is None else f"{bad.dtype}{bad.shape}{bad.strides}",
)
def test_other_arrays_are_refused(bad):
    with pytest.raises((ValueError, TypeError, BufferError)):
        _kernels.epoch_order(bad, 0, 0)


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_fit_goes_through_the_rows_in_this_order(seed):
    """The loss of one row alone tells which it was."""
    x = np.eye(9, dtype=np.float32)
    net = Sequential(Affine(np.arange(9.0, dtype=np.float32)[:, None], np.zeros(1, np.float32)), loss="squared_error")
    history = net.fit(x, np.zeros((9, 1)), epochs=3, batch_size=1, seed=seed, optimizer=SGD(lr=0.0))
    for epoch, losses in enumerate(history.batch_loss):
        assert (np.argsort(np.argsort(losses)) == order_of(9, seed, epoch)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("n_in", [1, 5, 16, 33, 200, 1500])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_rows_in_any_order_are_those_in_their_order(n_in, dtype, n_threads, rng):
    """Rows asked for ahead, of this batch and of the next, are the same rows."""
    n = 101
    x = rng.integers(0, 9, (n, n_in)).astype(dtype)
    t, weights = rng.integers(0, 3, n), rng.random(n)
    results = []
    for shuffle in (True, False):
        order = order_of(n, 4, 0) if not shuffle else np.arange(n)
        net = Sequential(Linear(n_in, 3, seed=1), loss="softmax_cross_entropy")
        net.fit(
            x[order],
            t[order],
            sample_weight=weights[order],
            epochs=1,
            batch_size=10,
            seed=4,
            optimizer=SGD(lr=1e-3),
            shuffle=shuffle,
            n_threads=n_threads,
        )
        results.append(b"".join(array.tobytes() for array in net.params.values()))
    assert results[0] == results[1]
