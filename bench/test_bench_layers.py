"""Each layer, each loss and the two-layer net beside the book's NumPy, small to large."""

import pytest

from bench import cases, layers

#: batch, n_in, n_out
SHAPES = ((1, 4, 10), (16, 64, 64), (100, 784, 50), (512, 512, 512))
OPTIONS = {"max_time": 0.2, "warmup": True, "warmup_iterations": 3}


@pytest.mark.benchmark(**OPTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("way", ("forward", "backward"))
@pytest.mark.parametrize("name", cases.LAYERS)
@pytest.mark.parametrize("side", ("fastbp", "numpy"))
def test_layer(benchmark, side, name, way, dtype, shape):
    ours, theirs, checked = cases.layer_pair(name, *shape, dtype)
    benchmark.group = f"{name} {way} {dtype} {'x'.join(map(str, shape))}"
    benchmark.extra_info["gradient check"] = layers.largest_difference(*checked)
    benchmark((ours if side == "fastbp" else theirs)[way])


@pytest.mark.benchmark(**OPTIONS)
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("way", ("Sequential", "the book's class"))
@pytest.mark.parametrize("side", ("fastbp", "numpy"))
def test_two_layer_net(benchmark, side, way, dtype):
    pairs, checked = cases.net_pairs(dtype)
    ours, theirs = pairs[way]
    benchmark.group = f"gradient of the two-layer net, {way}, {dtype}"
    benchmark.extra_info["gradient check"] = layers.largest_difference(*checked)
    benchmark(ours if side == "fastbp" else theirs)
