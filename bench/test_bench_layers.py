"""Each layer, each loss and the two-layer net beside NumPy, small to large."""

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
@pytest.mark.parametrize("side", tuple(cases.SIDES))
def test_layer(benchmark, side, name, way, dtype, shape):
    sides, checked = cases.layer_sides(name, *shape, dtype)
    benchmark.group = f"{name} {way} {dtype} {'x'.join(map(str, shape))}"
    benchmark.extra_info["gradient check"] = layers.largest_difference(*checked)
    benchmark(sides[side][way])


@pytest.mark.benchmark(**OPTIONS)
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("way", ("Sequential", "the book's class"))
@pytest.mark.parametrize("side", tuple(cases.SIDES))
def test_two_layer_net(benchmark, side, way, dtype):
    nets, checked = cases.net_sides(dtype)
    benchmark.group = f"gradient of the two-layer net, {way}, {dtype}"
    benchmark.extra_info["gradient check"] = layers.largest_difference(*checked)
    benchmark(nets[way][side])
