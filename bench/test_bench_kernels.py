"""Each kernel beside the same work in NumPy, small to large."""

import pytest

from bench import cases

#: rows, n_in, n_out
SHAPES = ((1, 4, 10), (100, 784, 50), (512, 512, 512))


@pytest.mark.benchmark(max_time=0.2, warmup=True, warmup_iterations=3)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("kernel", cases.KERNELS)
@pytest.mark.parametrize("side", ("fastbp", "numpy"))
def test_kernel(benchmark, side, kernel, dtype, shape):
    ours, theirs, _ = cases.kernel_pairs(*shape, dtype)[kernel]
    benchmark.group = f"{kernel} {dtype} {'x'.join(map(str, shape))}"
    benchmark(ours if side == "fastbp" else theirs)
