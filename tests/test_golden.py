"""Layers, losses and SGD against numbers that PyTorch computed (golden/make_golden.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import optim

GOLDEN = json.loads((Path(__file__).parent / "golden" / "golden.json").read_text())["cases"]
ACTIVATIONS = {"Relu": fastbp.Relu, "Sigmoid": fastbp.Sigmoid, "Tanh": fastbp.Tanh}
LOSSES = {
    "SoftmaxWithLoss indices": fastbp.SoftmaxWithLoss,
    "SoftmaxWithLoss one-hot": fastbp.SoftmaxWithLoss,
    "SoftmaxWithLoss soft": fastbp.SoftmaxWithLoss,
    "SigmoidWithLoss": fastbp.SigmoidWithLoss,
    "MeanSquaredError": fastbp.MeanSquaredError,
}
OPTIMISERS = {
    "SGD plain": lambda: optim.SGD(lr=0.1),
    "SGD weight_decay": lambda: optim.SGD(lr=0.1, weight_decay=0.03),
    "SGD momentum": lambda: optim.SGD(lr=0.1, momentum=0.9),
    "SGD momentum weight_decay": lambda: optim.SGD(lr=0.1, momentum=0.9, weight_decay=0.03),
    "SGD nesterov": lambda: optim.SGD(lr=0.1, momentum=0.9, nesterov=True),
    "SGD nesterov weight_decay": lambda: optim.SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.03),
}


@pytest.fixture(params=["compiled", "reference"], autouse=True)
def backend(request):
    with fastbp.use(request.param):
        yield


def golden(name, dtype):
    """The case's arrays, class indices as integers."""
    case = GOLDEN[f"{name} {dtype}"]
    return {k: np.array(v, np.int64 if k == "t" and "indices" in name else dtype) for k, v in case.items()}


def test_every_golden_case_is_read():
    names = ["Affine", *ACTIVATIONS, *LOSSES, *OPTIMISERS]
    assert set(GOLDEN) == {f"{name} {dtype}" for name in names for dtype in ("float32", "float64")}


def test_affine_gives_pytorchs_numbers(dtype, assert_close):
    case = golden("Affine", dtype)
    layer = fastbp.Affine(case["W"], case["b"])
    out, dx = layer.forward(case["x"]), layer.backward(case["dout"])
    magnitudes = {name: np.abs(case[name]) for name in ("x", "W", "b", "dout")}
    size = fastbp.Affine(magnitudes["W"], magnitudes["b"])
    assert_close(out, case["out"], "product", size.forward(magnitudes["x"]))
    assert_close(dx, case["dx"], "product", size.backward(magnitudes["dout"]))
    assert_close(layer.dW, case["dW"], "product", size.dW)
    assert_close(layer.db, case["db"], "product", size.db)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_gives_pytorchs_numbers(name, dtype, assert_close):
    case = golden(name, dtype)
    layer = ACTIVATIONS[name]()
    assert_close(layer.forward(case["x"]), case["out"])
    # 1 - out is off by half an ulp of 1 where out is rounded.
    assert_close(layer.backward(case["dout"]), case["dx"], scale=case["dout"])


@pytest.mark.parametrize("name", LOSSES)
def test_loss_gives_pytorchs_numbers(name, dtype, assert_close):
    case = golden(name, dtype)
    loss = LOSSES[name]()
    value = loss.forward(case["x"], case["t"])
    assert type(value) is float
    size = 1 + np.square(case["x"]).max()
    assert_close(np.array(value, dtype), case["loss"], "loss", size)
    assert_close(loss.backward(), case["dx"], scale=np.abs(case["dx"]).max())


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimiser_gives_pytorchs_numbers(name, dtype, assert_close):
    case = golden(name, dtype)
    params = {"W1": case["param"]}
    optimiser = OPTIMISERS[name]()
    size = 1 + np.abs(case["grads"]).sum(axis=0)
    for step, grad in enumerate(case["grads"], 1):
        optimiser.update(params, {"W1": grad})
        if step in (1, 10):
            assert_close(params["W1"], case[f"after_{step}"], "update", size)
