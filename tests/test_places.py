"""PyTorch's places of things: every import path gives the very object that its short name gives."""

import copy
import importlib
import pickle

import pytest

import fastbp

PLACES = {
    "autograd.grad_mode": ("autograd", "enable_grad inference_mode no_grad set_grad_enabled"),
    "autograd.variable": ("autograd", "Variable"),
    "nn.functional": ("nn.functional", "relu cross_entropy"),
    "nn.init": ("nn.init", "xavier_uniform_ zeros_"),
    "nn.modules": ("nn", "Linear ReLU Sequential Module CrossEntropyLoss BatchNorm1d Embedding"),
    "nn.modules.activation": (
        "nn",
        "CELU ELU GELU SELU Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish "
        "ReLU ReLU6 SiLU Sigmoid Softmax Softmin Softplus Softsign Tanh Tanhshrink Threshold",
    ),
    "nn.modules.batchnorm": ("nn", "BatchNorm1d"),
    "nn.modules.container": ("nn", "ModuleDict ModuleList ParameterDict ParameterList Sequential"),
    "nn.modules.dropout": ("nn", "Dropout"),
    "nn.modules.flatten": ("nn", "Flatten Unflatten"),
    "nn.modules.linear": ("nn", "Identity Linear"),
    "nn.modules.loss": (
        "nn",
        "BCELoss BCEWithLogitsLoss CrossEntropyLoss HuberLoss KLDivLoss L1Loss MSELoss NLLLoss SmoothL1Loss",
    ),
    "nn.modules.module": ("nn", "Module"),
    "nn.modules.normalization": ("nn", "LayerNorm"),
    "nn.modules.sparse": ("nn", "Embedding"),
    "nn.parameter": ("nn", "Parameter"),
    "nn.utils": ("nn.utils", "clip_grad_norm_ parameters_to_vector"),
    "nn.utils.clip_grad": ("nn.utils", "clip_grad_norm_ clip_grad_value_"),
    "nn.utils.convert_parameters": ("nn.utils", "parameters_to_vector vector_to_parameters"),
    "optim.adagrad": ("optim", "Adagrad"),
    "optim.adam": ("optim", "Adam"),
    "optim.adamw": ("optim", "AdamW"),
    "optim.lr_scheduler": ("optim.lr_scheduler", "LRScheduler StepLR _LRScheduler"),
    "optim.optimizer": ("optim", "Optimizer"),
    "optim.rmsprop": ("optim", "RMSprop"),
    "optim.sgd": ("optim", "SGD"),
    "utils.data.dataloader": ("utils.data", "DataLoader default_collate get_worker_info"),
    "utils.data.dataset": ("utils.data", "ConcatDataset Dataset IterableDataset Subset TensorDataset random_split"),
    "utils.data.sampler": (
        "utils.data",
        "BatchSampler RandomSampler Sampler SequentialSampler SubsetRandomSampler WeightedRandomSampler",
    ),
}


#: Where things were, as programs and pickles have it.
BEFORE = {
    "autograd.shapes": ("autograd", "gather index_add index_select masked_select scatter take"),
    "nn.activations": ("nn", "CELU Dropout Flatten GELU LeakyReLU LogSoftmax Softmax Softmin Softplus Threshold"),
    "nn.weighted": ("nn", "BatchNorm1d Linear"),
    "nn.criteria": ("nn.functional", "cross_entropy mse_loss"),
    "nn.margins": ("nn.functional", "hinge_embedding_loss triplet_margin_loss"),
    "history": ("training.history", "EarlyStopping History"),
}


@pytest.mark.parametrize("place", [*PLACES, *BEFORE])
def test_a_place_has_the_very_objects(place):
    of, names = (PLACES | BEFORE)[place]
    module = importlib.import_module(f"fastbp.{place}")
    short = importlib.import_module(f"fastbp.{of}")
    for name in names.split():
        assert getattr(module, name) is getattr(short, name), name


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_an_attribute_after_a_bare_import(place, run_python):
    first = PLACES[place][1].split()[0]
    ways = {
        "import": f"import fastbp.{place} as found",
        "attribute": f"found = fastbp.{place}",
        "from": f"from fastbp.{place} import {first}; found = fastbp.{place}",
    }
    for how, line in ways.items():
        done = run_python("-W", "error", "-c", f"import fastbp; {line}; print(found.{first})")
        assert done.returncode == 0, (how, done.stderr)


@pytest.mark.parametrize("place", PLACES)
def test_pytorch_has_the_same_names_there(place):
    pytest.importorskip("torch")
    theirs = importlib.import_module(f"torch.{place}")
    for name in PLACES[place][1].split():
        if (place, name) != ("utils.data.dataloader", "default_collate"):
            assert hasattr(theirs, name), name


def test_all_of_nn_is_in_nn_modules():
    from fastbp import nn
    from fastbp.nn import modules

    classes = {n for n in nn.__all__ if isinstance(getattr(nn, n), type)} - {"Parameter"}
    assert set(modules.__all__) == classes
    assert len(modules.__all__) == len(classes)


def test_objects_are_copied_and_pickled_whatever_their_place():
    from fastbp.nn.modules.linear import Linear
    from fastbp.nn.parameter import Parameter
    from fastbp.utils.data.sampler import SequentialSampler

    for made in (Linear(2, 3), Parameter(fastbp.ones(2)), SequentialSampler(range(3))):
        for copied in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            assert type(copied) is type(made)


def test_a_place_that_is_none_is_an_error():
    for module in ("nn", "optim", "autograd", "nn.modules", "utils.data"):
        found = importlib.import_module(f"fastbp.{module}")
        with pytest.raises(AttributeError, match="no_such_place"):
            _ = found.no_such_place
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"fastbp.{module}.no_such_place")
