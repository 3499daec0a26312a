"""Layers, losses and functions of nn give PyTorch's numbers: stored ones, and live where it is."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import nn

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "golden_nn.json").read_text())["cases"]
SPEC = importlib.util.spec_from_file_location("nn_cases", FOLDER / "nn_cases.py")
cases = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(cases)
#: The largest error of a result and a gradient, absolute and relative.
CLOSE = {"float32": 1e-5, "float64": 1e-10}


def ours(name, dtype):
    return cases.evaluate(fastbp, fastbp.from_numpy, nn, nn.functional, cases.CASES[name], dtype)


def assert_same(actual, desired, dtype):
    out, grads = actual
    desired_out, desired_grads = desired
    assert out.dtype == np.dtype(dtype)
    close = {"rtol": CLOSE[dtype], "atol": CLOSE[dtype]}
    assert out.shape == np.shape(desired_out)
    np.testing.assert_allclose(out, desired_out, **close)
    assert len(grads) == len(desired_grads)
    for grad, wanted in zip(grads, desired_grads, strict=True):
        assert (grad is None) == (wanted is None)
        if grad is not None:
            np.testing.assert_allclose(grad, wanted, **close)


def test_every_case_is_stored():
    assert set(GOLDEN) == set(cases.CASES)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("name", cases.CASES)
def test_numbers_are_those_stored(name, dtype):
    out, grads = GOLDEN[name]
    out = np.zeros((0, 3)) if name == "linear of no rows" else out
    assert_same(ours(name, dtype), (out, grads), dtype)


@pytest.mark.parametrize("name", cases.CASES)
def test_numbers_are_those_of_the_reference_kernels(name):
    with fastbp.use("reference"):
        actual = ours(name, "float64")
    assert_same(actual, ours(name, "float64"), "float64")


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("name", cases.CASES)
def test_numbers_are_pytorchs(name, dtype):
    torch = pytest.importorskip("torch")
    theirs = cases.evaluate(torch, torch.from_numpy, torch.nn, torch.nn.functional, cases.CASES[name], dtype)
    assert_same(ours(name, dtype), theirs, dtype)


NAMES = {
    "linear": "AddmmBackward0",
    "linear without bias": "MmBackward0",
    "F.relu": "ReluBackward0",
    "F.leaky_relu": "LeakyReluBackward0",
    "F.elu": "EluBackward0",
    "F.gelu": "GeluBackward0",
    "F.silu": "SiluBackward0",
    "F.softplus": "SoftplusBackward0",
    "F.sigmoid": "SigmoidBackward0",
    "F.tanh": "TanhBackward0",
    "F.mish": "MishBackward0",
    "F.hardtanh": "HardtanhBackward0",
    "F.logsigmoid": "LogSigmoidBackward0",
    "nn.Softmax": "SoftmaxBackward0",
    "nn.LogSoftmax": "LogSoftmaxBackward0",
    "embedding": "EmbeddingBackward0",
    "layer_norm": "NativeLayerNormBackward0",
    "cross_entropy mean": "NllLossBackward0",
    "nll_loss mean": "NllLossBackward0",
    "mse_loss mean": "MseLossBackward0",
    "l1_loss mean": "MeanBackward0",
    "smooth_l1_loss sum": "SmoothL1LossBackward0",
    "huber_loss mean": "HuberLossBackward0",
    "binary_cross_entropy mean": "BinaryCrossEntropyBackward0",
    "binary_cross_entropy_with_logits none": "BinaryCrossEntropyWithLogitsBackward0",
}


def made_by(library, module, name):
    function, *arrays = cases.CASES[name]
    tensors = [library.from_numpy(a.copy()) for a in arrays]
    for tensor in tensors:
        if tensor.is_floating_point():
            tensor.requires_grad_()
    return function(library, module, module.functional, *tensors).grad_fn.name()


@pytest.mark.parametrize("name", NAMES)
def test_nodes_have_pytorchs_names(name):
    assert made_by(fastbp, nn, name) == NAMES[name]
    torch = pytest.importorskip("torch")
    assert made_by(torch, torch.nn, name) == NAMES[name]


#: (logit, target, weight of the positive): (loss, gradient by the logit), as PyTorch 2.13 has them.
INF = float("inf")
INFINITE = {
    (INF, 0.0, None): (INF, 1.0),
    (INF, 0.5, None): (INF, 0.5),
    (INF, 1.0, None): (np.nan, 0.0),
    (-INF, 0.0, None): (np.nan, 0.0),
    (-INF, 1.0, None): (np.nan, -1.0),
    (-INF, 2.0, None): (INF, -2.0),
    (0.5, INF, None): (-INF, -INF),
    (-0.5, INF, None): (INF, -INF),
    (0.0, INF, None): (np.nan, -INF),
    (INF, INF, None): (-INF, -INF),
    (-1.0, INF, 2.0): (INF, np.nan),
    (0.5, INF, 2.0): (np.nan, np.nan),
    (1e30, 0.0, None): (1e30, 1.0),
    (-1e30, 1.0, 3.0): (3e30, -3.0),
}


def logits_loss(library, functional, x, t, weight, dtype):
    x, t, weight = (None if v is None else library.from_numpy(np.array([v], dtype)) for v in (x, t, weight))
    loss = functional.binary_cross_entropy_with_logits(x.requires_grad_(), t, pos_weight=weight)
    loss.backward()
    return loss.item(), x.grad.item()


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("case", INFINITE, ids=str)
def test_infinite_logits_and_targets_have_pytorchs_losses(case, dtype):
    ours = logits_loss(fastbp, nn.functional, *case, dtype)
    np.testing.assert_allclose(ours, INFINITE[case], rtol=1e-6)
    torch = pytest.importorskip("torch")
    theirs = logits_loss(torch, torch.nn.functional, *case, dtype)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("name", ["Hardtanh", "ReLU6"])
def test_a_gradient_at_nan_goes_through_as_pytorchs(name):
    torch = pytest.importorskip("torch")
    x, y = fastbp.tensor([np.nan] * 9, requires_grad=True), torch.full((9,), np.nan, requires_grad=True)
    getattr(nn, name)()(x).sum().backward()
    getattr(torch.nn, name)()(y).sum().backward()
    assert x.grad.tolist() == y.grad.tolist() == [1.0] * 9
