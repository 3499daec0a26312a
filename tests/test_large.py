"""Arrays of more than 2³¹ elements: ``pytest -m slow tests/test_large.py``, in 10 GiB of memory.

What is only read is `numpy.zeros`, whose untouched pages the system does not allocate.
"""

import os

import numpy as np
import pytest

from fastbp import SGD, Affine, Sequential, _kernels, from_numpy

pytestmark = pytest.mark.slow
N = 2**31 + 64
ROWS, COLUMNS = 2**27 + 4, 16  # N elements
NEEDED = 10 * 2**30  # bytes


@pytest.fixture(autouse=True)
def enough_memory():
    try:
        with open("/proc/meminfo") as file:
            free = next(int(row.split()[1]) * 1024 for row in file if row.startswith("MemAvailable"))
    except OSError:
        pytest.skip("the free memory is known on Linux only")
    if free < NEEDED:
        pytest.skip(f"{free >> 30} GiB are free; these arrays take 10")


def marked(shape):
    """Zeros, with numbers at the places around 2³¹ and at the end."""
    array = np.zeros(shape, np.float32)
    flat = array.reshape(-1)
    flat[[0, 2**31 - 1, 2**31, -2, -1]] = [-1, 2, -3, 4, -5]
    return array


def resident():
    """Bytes of memory that the process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_an_activation():
    x, out = marked(N), np.empty(N, np.float32)
    out[[2**31, -1]] = 9
    _kernels.activation_forward("relu", x, out)
    assert out[[0, 2**31 - 1, 2**31, -2, -1]].tolist() == [0, 2, 0, 4, 0]
    assert np.count_nonzero(out) == 2


def test_an_affine_map():
    rows, n_in, n_out = 2**22 + 4, 1, 512
    x = np.zeros((rows, n_in), np.float32)
    x[[0, -1], 0] = [1, 2]
    W, b = np.ones((n_in, n_out), np.float32), np.arange(n_out, dtype=np.float32)
    out = np.empty((rows, n_out), np.float32)
    _kernels.affine_forward(x, W, b, out)
    np.testing.assert_array_equal(out[[0, 1, -2, -1]], x[[0, 1, -2, -1]] @ W + b)
    db = np.empty(n_out, np.float32)
    _kernels.bias_sum(out[-5:], db)
    np.testing.assert_array_equal(db, out[-5:].sum(axis=0))


def test_an_affine_map_and_its_gradients_of_many_rows():
    x, W = marked((ROWS, COLUMNS)), np.ones((COLUMNS, 1), np.float32)
    out, b = np.empty((ROWS, 1), np.float32), np.ones(1, np.float32)
    before = resident()
    _kernels.affine_forward(x, W, b, out)
    assert resident() - before < out.nbytes + 2**24  # a block's panels, not x's
    assert out[[0, 1, 2**27 - 1, 2**27, -1], 0].tolist() == [0, 1, 3, -2, 0]
    dout, dW = np.zeros((ROWS, 1), np.float32), np.empty((COLUMNS, 1), np.float32)
    dout[[0, 2**27 - 1, 2**27, -1], 0] = 1
    _kernels.affine_backward(dout, x, W, None, dW, b)
    assert dW[[0, 1, -2, -1], 0].tolist() == [-4, 0, 4, -3] and b[0] == 4


def test_a_softmax():
    x = marked((ROWS, COLUMNS))
    y = np.empty((ROWS, COLUMNS), np.float32)
    _kernels.softmax_forward(x, y)
    for row in (0, 1, 2**27 - 1, 2**27, -1):
        e = np.exp(x[row].astype(np.float64))
        np.testing.assert_allclose(y[row], e / e.sum(), rtol=1e-6)


def test_a_step_of_an_optimiser():
    param, grad = np.ones(N, np.float32), marked(N)
    _kernels.update("sgd", param, grad, lr=0.5)
    assert param[[0, 1, 2**31 - 1, 2**31, -2, -1]].tolist() == [1.5, 1, 0, 2.5, -1, 3.5]


def test_a_tensor_and_its_sum():
    x = from_numpy(marked(N))
    assert x.sum().item() == -3
    assert x[2**31].item() == -3 and x.argmax().item() == N - 2


def test_a_training_gathers_rows_beyond_2_to_the_31_bytes():
    def net():
        W = np.zeros((1024, 1), np.float32)
        return Sequential(Affine(W, np.zeros(1, np.float32)), loss="squared_error")

    x, t = np.zeros((2**21 + 1, 1024), np.uint8), np.zeros((2**21 + 1, 1), np.float32)
    x[-1], t[-1] = np.arange(1024) % 256, 1
    big, small = net(), net()
    big.fit(x, t, epochs=1, optimizer=SGD(lr=0.01), batch_size=1024, shuffle=False, seed=0)
    small.fit(x[-1:], t[-1:], epochs=1, optimizer=SGD(lr=0.01), batch_size=1024, seed=0)
    np.testing.assert_array_equal(big.params["W1"], small.params["W1"])
    assert np.count_nonzero(big.params["W1"])
