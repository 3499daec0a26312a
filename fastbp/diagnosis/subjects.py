"""What of a model is looked at: its layers, its loss, its arrays and its training so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import TensorBase
from fastbp.layers import Affine, Layer, activations
from fastbp.layers.activations import ActivationLayer
from fastbp.losses import LOSSES, SigmoidWithLoss, SoftmaxWithLoss
from fastbp.modules import Module
from fastbp.operations.activations import ACTIVATIONS, Activation

__all__ = ["Part", "Subject", "row_of", "subject_of"]

#: What a layer does, by the names of classes, of which one's own may have some: the book's readers write them.
_ROLES = {
    "Affine": "affine",
    "Linear": "affine",
    "Dropout": "dropout",
    "AlphaDropout": "dropout",
    "BatchNormalization": "batch_norm",
    "BatchNorm1d": "batch_norm",
    "Embeddings": "embedding",
    "Embedding": "embedding",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Flatten": "same",
    "Identity": "same",
}
#: What a loss asks of its predictions, by its kind, its class or its function.
_FAMILIES = {
    "softmax": "softmax",
    "SoftmaxWithLoss": "softmax",
    "CrossEntropyLoss": "softmax",
    "cross_entropy": "softmax",
    "sigmoid": "sigmoid",
    "focal": "sigmoid",
    "BCEWithLogitsLoss": "sigmoid",
    "binary_cross_entropy_with_logits": "sigmoid",
    "NLLLoss": "nll",
    "nll_loss": "nll",
    "BCELoss": "probabilities",
    "binary_cross_entropy": "probabilities",
    "squared": "squared",
    "MSELoss": "squared",
    "mse_loss": "squared",
    "absolute": "absolute",
    "L1Loss": "absolute",
    "l1_loss": "absolute",
    "huber": "huber",
    "HuberLoss": "huber",
    "SmoothL1Loss": "huber",
    "log_cosh": "huber",
    "quantile": "quantile",
}
#: Classes of one's own that mean a row of the library's.
_ROW_NAMES = {name.replace("_", ""): row for name, row in ACTIVATIONS.items()}


@dataclasses.dataclass(frozen=True)
class Part:
    """A layer: its place, its name among the model's parts ("" where it has none), and what it does."""

    place: int
    name: str
    layer: object
    role: str

    @property
    def title(self) -> Any:
        """The class, behind the name: "Relu", "fc1 Linear"."""
        kind = type(self.layer).__name__
        return f"{self.name} {kind}" if self.name else kind

    @property
    def words(self) -> str:
        """As a sentence has it: "layer 3 (Relu)"."""
        return f"layer {self.place} ({self.title})"

    @property
    def weights(self) -> Any:
        """(n_in, n_out) of an affine layer, as it is; None where it has none."""
        for name, turned in (("W", False), ("weight", True)):
            array = getattr(self.layer, name, None)
            array = array.array if isinstance(array, TensorBase) else array
            if isinstance(array, np.ndarray) and array.ndim == 2:
                return array.T if turned else array
        return None

    @property
    def bias(self) -> Any:
        """(n_out,), or None."""
        for name in ("b", "bias"):
            array = getattr(self.layer, name, None)
            array = array.array if isinstance(array, TensorBase) else array
            if isinstance(array, np.ndarray) and array.ndim == 1:
                return array
        return None


@dataclasses.dataclass
class Subject:
    """What is looked at.

    Attributes
    ----------
    model : object
        As it was handed in.
    parts : list of Part
        In the order of the passes, where this is known, else as the model lists them.
    loss : object or None
        A loss with forward(x, t) and backward(), or a function of two Tensors.
    family : str or None
        What the loss is, see `_FAMILIES`.
    on_tensors : bool
        Whether the model computes on Tensors only.
    losses : list of float
        Of the training so far, an epoch or a step each.
    steps : int
        How many steps these were.
    lr : float or None
    classes : sequence or None
        Names of the classes.
    """

    model: object
    parts: list
    loss: Any = None
    family: str | None = None
    on_tensors: bool = False
    losses: list = dataclasses.field(default_factory=list)
    steps: int = 0
    lr: float | None = None
    classes: Any = None
    broadcasts: bool = False  # whether the loss is PyTorch's, which takes targets of other shapes
    scale: Any = None  # (mean, scale) by which an estimator standardises rows itself
    targets: Any = None  # makes of an estimator's targets those of its loss


def subject_of(who: str, model: Any, loss: Any, history: Any) -> Any:
    """The `Subject` of a Sequential, a module, an estimator, or a network of the book's form.

    Raises
    ------
    TypeError
        For anything else.
    """
    if loss is not None:
        loss = _loss_of(who, loss)
    given = loss
    if isinstance(model, type):
        raise TypeError(f"{who} expects model as a network; got the class {model.__name__}: call it.")
    if hasattr(model, "loss_layer") and hasattr(model, "layers"):  # a Sequential
        loss = model.loss_layer if loss is None else loss
        layers = [("", layer) for layer in model.layers]
        loss, on_tensors = _of_arrays(loss)
        on_tensors |= any(isinstance(layer, Module) and not isinstance(layer, Layer) for _, layer in layers)
        found = Subject(model, _parts(layers), loss, family_of(loss), on_tensors, classes=model.classes)
        history = model.history if history is None else history
    elif isinstance(model, Module):
        leaves = [(name, part) for name, part in model.named_modules() if not part._modules and part is not model]
        loss = getattr(loss, "criterion", None) or loss
        found = Subject(model, _parts(leaves or [("", model)]), loss, family_of(loss), on_tensors=True)
    elif hasattr(model, "coefs_") and hasattr(model, "intercepts_"):
        found = _estimator(who, model)
        history = model.loss_curve_ if history is None and hasattr(model, "loss_curve_") else history
    elif hasattr(model, "layers"):
        layers = model.layers
        pairs = list(layers.items()) if isinstance(layers, Mapping) else [("", layer) for layer in layers]
        for name in ("last_layer", "lastLayer", "loss_layer"):
            loss = getattr(model, name, None) if loss is None else loss
        found = Subject(model, _parts(pairs), loss, family_of(loss))
        if not found.parts or not all(callable(getattr(part.layer, "forward", None)) for part in found.parts):
            raise _no_model(who, model)
    else:
        raise _no_model(who, model)
    found.broadcasts = given is not None and not hasattr(given, "backward")
    _take_history(who, found, history)
    return found


def _of_arrays(loss):
    """The loss that computes on arrays in the place of one on Tensors, and whether there is none."""
    if loss is None or hasattr(loss, "backward"):
        return loss, False
    try:
        return loss.as_book(), False
    except (AttributeError, TypeError):  # a function, or options that the library's own does not have
        return loss, True


def _no_model(who, model):
    return TypeError(
        f"{who} expects model as a Sequential, a module of fastbp.nn, a fitted estimator, or an object with layers as "
        f"the book's networks; got {checks.shown(model)}."
    )


def _loss_of(who, loss):
    if isinstance(loss, str):
        loss = LOSSES[checks.choice(who, "loss", loss, tuple(LOSSES))]
    loss = loss() if isinstance(loss, type) else loss
    if not callable(loss):
        raise TypeError(
            f"{who} expects loss as a loss, its name or a function of two Tensors; got {checks.shown(loss)}."
        )
    return loss


def family_of(loss: Any) -> Any:
    """What a loss asks of its predictions; None where it is not known."""
    if loss is None:
        return None
    own = getattr(loss, "kind", None)
    names = (own if isinstance(own, str) else None, getattr(loss, "__name__", None))
    return next((_FAMILIES[n] for n in (*names, *_names_of(loss)) if n in _FAMILIES), None)


def _names_of(thing):
    return [kind.__name__ for kind in type(thing).__mro__]


def _parts(pairs):
    return [Part(place, str(name), layer, _role_of(layer)) for place, (name, layer) in enumerate(pairs)]


def _role_of(layer):
    role = next((_ROLES[name] for name in _names_of(layer) if name in _ROLES), None)
    return role or ("activation" if row_of(layer) is not None else "other")


def row_of(layer: Any) -> tuple[Activation, tuple] | None:
    """The row of an activation and its numbers; None of other layers."""
    if isinstance(layer, ActivationLayer):
        return None if layer.kind is None else (layer.row, layer.numbers)
    if isinstance(layer, Layer):
        return None
    row = _ROW_NAMES.get(type(layer).__name__.lower())
    return None if row is None or row.numbers else (row, ())


def _take_history(who, found, history):
    """The losses of a History, or of a list of numbers, one per epoch or step."""
    if history is None:
        return
    if hasattr(history, "train_loss"):
        found.losses = [float(loss) for loss in history.train_loss]
        found.steps = sum(map(len, history.batch_loss))
        found.lr = history.lr[-1] if history.lr else None
        return
    losses = checks.floats(who, "history", history, checks.FLOAT64)
    if losses.ndim != 1:
        raise ValueError(f"{who} expects history as a list of losses or a History; got shape {losses.shape}.")
    found.losses, found.steps = losses.tolist(), len(losses)


def _estimator(who, model):
    """The layers of a fitted estimator, around its own arrays."""
    for name in ("dropout", "batch_norm"):
        if getattr(model, name, False):
            raise TypeError(f"{who} expects an estimator without {name}, which is not looked at yet; got one with it.")
    names = {"logistic": "sigmoid", "identity": "linear"}
    name = names.get(model.activation, model.activation) if isinstance(model.activation, str) else ""
    if name not in activations.LAYERS:
        raise TypeError(f"{who} expects an estimator with one activation by its name; got {model.activation!r}.")
    layers: list = []
    for place, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        layers += [activations.LAYERS[name]()] * bool(place) + [Affine(W, b)]
    loss: Any
    targets = None
    if hasattr(model, "classes_"):
        loss = SoftmaxWithLoss() if model.out_activation_ == "softmax" else SigmoidWithLoss()
        if np.ndim(model.classes_) == 1:
            targets = _by_classes(model.classes_, loss)
    else:
        loss = LOSSES[model.loss]() if isinstance(model.loss, str) and model.loss in LOSSES else None
        targets = _as_column
    found = Subject(model, _parts([("", layer) for layer in layers]), loss, family_of(loss), targets=targets)
    if getattr(model, "standardize", False):
        found.scale = np.asarray(model.x_mean_), np.asarray(model.x_scale_)
        found.loss = found.family = None if not hasattr(model, "classes_") else found.loss
        found.family = family_of(found.loss)
    return found


def _by_classes(classes, loss):
    def targets(t):
        t = np.asarray(t)
        if t.ndim != 1:
            return t
        places = np.searchsorted(classes, t)
        return places if isinstance(loss, SoftmaxWithLoss) else places.reshape(-1, 1).astype(np.float64)

    return targets


def _as_column(t):
    t = np.asarray(t)
    return t.reshape(-1, 1) if t.ndim == 1 else t
