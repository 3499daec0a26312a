"""PyTorch's own state dicts: loaded into the same layers here, they give the same numbers."""

import numpy as np
import pytest

import fastbp
from fastbp import nn
from fastbp.export import to_onnx

torch = pytest.importorskip("torch")

#: Layers with state, made by either library; and the shape of the rows.
LAYERS = {
    "Linear": (lambda nn: [nn.Linear(6, 4)], (6,)),
    "Linear without bias": (lambda nn: [nn.Linear(6, 4, bias=False)], (6,)),
    "Linear of sequences": (lambda nn: [nn.Linear(6, 4)], (3, 6)),
    "BatchNorm1d": (lambda nn: [nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)], (6,)),
    "BatchNorm1d with options": (lambda nn: [nn.BatchNorm1d(6, eps=0.1, momentum=0.3)], (6,)),
    "BatchNorm1d of sequences": (lambda nn: [nn.BatchNorm1d(3)], (3, 6)),
    "LayerNorm": (lambda nn: [nn.LayerNorm(6)], (6,)),
    "LayerNorm of two axes": (lambda nn: [nn.LayerNorm((3, 6), eps=0.1)], (3, 6)),
    "LayerNorm without bias": (lambda nn: [nn.LayerNorm(6, bias=False)], (6,)),
    "LayerNorm without weights": (lambda nn: [nn.LayerNorm(6, elementwise_affine=False)], (6,)),
    "PReLU": (lambda nn: [nn.PReLU()], (6,)),
    "PReLU of columns": (lambda nn: [nn.PReLU(6)], (6,)),
    "GLU": (lambda nn: [nn.Linear(6, 8), nn.GLU(), nn.Linear(4, 2)], (6,)),
    "Flatten": (lambda nn: [nn.Flatten(), nn.Linear(18, 2)], (3, 6)),
    "nested": (lambda nn: [nn.Sequential(nn.Linear(6, 5), nn.Tanh()), nn.Sequential(nn.Linear(5, 2))], (6,)),
    "Dropout": (lambda nn: [nn.Linear(6, 5), nn.Dropout(0.0), nn.Linear(5, 2)], (6,)),
    **{
        name: (lambda nn, name=name: [nn.Linear(6, 5), getattr(nn, name)(), nn.Linear(5, 2)], (6,))
        for name in [
            "CELU",
            "ELU",
            "GELU",
            "Hardsigmoid",
            "Hardswish",
            "Hardtanh",
            "LeakyReLU",
            "LogSigmoid",
            "Mish",
            "ReLU",
            "ReLU6",
            "SELU",
            "SiLU",
            "Sigmoid",
            "Softplus",
            "Softsign",
            "Tanh",
            "Tanhshrink",
        ]
    },
    **{
        name: (lambda nn, name=name: [nn.Linear(6, 5), getattr(nn, name)(dim=1)], (6,))
        for name in ("Softmax", "Softmin", "LogSoftmax")
    },
}
TYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def both(name, dtype):
    """PyTorch's network, whose state is not as it was made, and ours with that state; and rows."""
    make, shape = LAYERS[name]
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(*make(torch.nn)).to(getattr(torch, dtype))
    rows = np.random.default_rng(0).normal(size=(9, *shape)).astype(dtype)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        theirs(torch.from_numpy(rows))  # by which running statistics move
    own = nn.Sequential(*make(nn)).to(getattr(fastbp, dtype))
    assert not own.load_state_dict(theirs.state_dict()).missing_keys
    return theirs, own, rows


@TYPES
@pytest.mark.parametrize("name", LAYERS)
def test_numbers_are_pytorchs_in_both_modes(name, dtype):
    theirs, own, rows = both(name, dtype)
    close = {"rtol": 1e-5, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
    for training in (False, True):
        expected = theirs.train(training)(torch.from_numpy(rows)).detach().numpy()
        np.testing.assert_allclose(own.train(training)(fastbp.from_numpy(rows)).detach().numpy(), expected, **close)
    for key, value in theirs.state_dict().items():  # what training has changed
        np.testing.assert_allclose(own.state_dict()[key].numpy(), value.numpy(), **close)


@TYPES
@pytest.mark.parametrize("name", LAYERS)
def test_weights_go_back(name, dtype):
    theirs, own, rows = both(name, dtype)
    expected = theirs.eval()(torch.from_numpy(rows)).detach().numpy()
    again = torch.nn.Sequential(*LAYERS[name][0](torch.nn)).to(getattr(torch, dtype))
    again.load_state_dict({key: torch.from_numpy(value.numpy().copy()) for key, value in own.state_dict().items()})
    np.testing.assert_array_equal(again.eval()(torch.from_numpy(rows)).detach().numpy(), expected)


def test_a_table_of_vectors():
    theirs, own = torch.nn.Embedding(5, 3, padding_idx=1), nn.Embedding(5, 3, padding_idx=1)
    own.load_state_dict(theirs.state_dict())
    places = np.array([[0, 1], [4, 2]])
    expected = theirs(torch.from_numpy(places)).detach().numpy()
    np.testing.assert_array_equal(own(fastbp.from_numpy(places)).detach().numpy(), expected)


@pytest.mark.parametrize("name", LAYERS)
def test_pytorchs_weights_leave_as_onnx(name):
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    theirs, own, rows = both(name, "float32")
    session = ort.InferenceSession(to_onnx(own, shape=LAYERS[name][1]).SerializeToString())
    expected = theirs.eval()(torch.from_numpy(rows)).detach().numpy()
    np.testing.assert_allclose(session.run(None, {"input": rows})[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("0.bias"), r"got none for \['0.bias'\]"),
        (lambda state: state.update({"9.weight": torch.ones(2)}), r"no place for \['9.weight'\]"),
        (lambda state: state.update({"0.weight": torch.ones(4, 6)}), r"0.weight of shape \(6, 4\); got \(4, 6\)"),
        (lambda state: state.update({"0.weight": torch.ones(6, 4).bfloat16()}), "of dtype torch.bfloat16"),
    ],
    ids=["missing", "another", "shape", "bfloat16"],
)
def test_pytorchs_states_that_do_not_fit_change_nothing(change, said):
    state = dict(torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6)).state_dict())
    ours = fastbp.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
    before = {name: tensor.numpy().copy() for name, tensor in ours.state_dict().items()}
    change(state)
    with pytest.raises((RuntimeError, TypeError), match=said):
        ours.load_state_dict(state)
    for name, tensor in ours.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])
