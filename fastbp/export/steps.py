"""What a network computes of one sample in evaluation mode, as a list of steps without any class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fastbp import checks, layers, nn
from fastbp.export import preprocessing as columns
from fastbp.layers import pytorch
from fastbp.layers.activations import ActivationLayer
from fastbp.losses import SigmoidWithLoss, SoftmaxWithLoss
from fastbp.modules import Module
from fastbp.network import Sequential
from fastbp.training.trainer import hands


class Affine(NamedTuple):
    """x W + b over the last axis; b may be None."""

    W: np.ndarray
    b: np.ndarray | None


class Embed(NamedTuple):
    """Rows of tables in the place of the first numbers, which are categories; the others go through.

    Tables of `sizes` rows of `widths` numbers lie one behind another in E.  A number that is no
    category, which `predict` refuses, gives NaN.
    """

    E: np.ndarray
    sizes: tuple[int, ...]
    widths: tuple[int, ...]

    @property
    def tables(self) -> list[Any]:
        """Of each column, (size, width)."""
        shapes = list(zip(self.sizes, self.widths, strict=True))
        edges = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(self.E, edges), shapes, strict=True)]


class Scale(NamedTuple):
    """(x - mean) factor + shift, with arrays that are broadcast to a sample."""

    mean: np.ndarray
    factor: np.ndarray
    shift: np.ndarray


class Activation(NamedTuple):
    """A row of `operations.activations`, by its name, and its numbers."""

    name: str
    numbers: tuple[float, ...] = ()


class Exp(NamedTuple):
    """exp(x)."""


class Slope(NamedTuple):
    """x above 0, slope x below; an array that is broadcast to a sample."""

    slope: np.ndarray


class Normal(NamedTuple):
    """The last axes, of the shape of `factor`, to mean 0 and variance 1, times factor, plus shift."""

    factor: np.ndarray
    shift: np.ndarray
    eps: float


class Softmax(NamedTuple):
    """exp(x) / sum(exp(x)) over an axis of the sample, or its logarithm."""

    axis: int
    logarithm: bool = False


class Gate(NamedTuple):
    """The first half of an axis of the sample times the sigmoid of the second."""

    axis: int


class Reshape(NamedTuple):
    """Another shape of the sample."""

    shape: tuple[int, ...]


class Each(NamedTuple):
    """Each k-th of the last axis, from the first on."""

    k: int


class Sort(NamedTuple):
    """The last axis in rising order."""


class Both(NamedTuple):
    """1 - p and p, of a p alone: the probabilities of two classes."""


Step = Affine | Embed | Scale | Activation | Exp | Slope | Normal | Softmax | Gate | Reshape | Each | Sort | Both


class Program(NamedTuple):
    """A network to be written.

    Attributes
    ----------
    shapes : list of tuple of int
        Of a sample before the first step and behind each.
    steps : list of Step
    dtype : numpy.dtype
        That of the parameters; float32 where there are none.
    preprocessing : Preprocessing or None
    classes : list of str or None
        The names of the outputs.
    given : numpy.dtype or None
        That of the rows; None: float64 beside preprocessing, else `dtype`.
    """

    shapes: list[tuple[int, ...]]
    steps: list[Step]
    dtype: np.dtype
    preprocessing: columns.Preprocessing | None
    classes: list[str] | None
    given: np.dtype | None = None

    @property
    def of_rows(self) -> Any:
        """The dtype of the rows."""
        if self.given is not None:
            return self.given
        return self.dtype if self.preprocessing is None else np.dtype(np.float64)

    def summary(self) -> str:
        """Its widths, as "4 -> 8 -> 3"."""
        widths = [self.shapes[0], *(shape for one, shape in pairwise(self.shapes) if shape != one)]
        return " -> ".join(" x ".join(map(str, shape)) for shape in widths)


def read(
    who: str,
    model: Any,
    shape: Sequence[int] | None = None,
    probabilities: bool = False,
    preprocessing: Any = None,
    classes: Sequence[str] | None = None,
) -> Program:
    """The program of a network or a fitted estimator.

    Parameters
    ----------
    who : str
        The function that is called, for its errors.
    model : Sequential, MLPClassifier or MLPRegressor
    shape, probabilities, preprocessing, classes
        As `to_onnx` takes them.

    Returns
    -------
    Program
        With copies of the parameters, of one moment.
    """
    checks.flag(who, "probabilities", probabilities)
    preprocessing = columns.checked(who, preprocessing)
    net, finish, own_classes, ready = _network(who, model, probabilities, preprocessing)
    preprocessing = preprocessing if ready is None else ready
    with hands:  # no other thread fetches newer parameters meanwhile
        _require_own(who, net)
        known = list(net.layers)
        if shape is None:
            shape = _shape_of(who, known) if preprocessing is None else (len(preprocessing.features),)
        elif preprocessing is not None:
            raise ValueError(f"{who} expects shape=None beside preprocessing, which makes rows; got {shape!r}.")
        else:
            axes = checks.sequence(who, "shape", shape, "lengths of axes")
            shape = tuple([checks.integer(who, "an axis of shape", axis, least=1) for axis in axes])
            if not shape:
                raise ValueError(f"{who} expects shape of at least one axis, without the rows; got ().")
        steps: list[Step] = []
        shapes = [shape]
        for place, layer in enumerate(known):
            for step, after in _reader(layer)(f"{who}: {type(layer).__name__} at place {place}", layer, shapes[-1]):
                steps.append(step)
                shapes.append(after)
    for step, after in finish(shapes[-1]):
        steps.append(step)
        shapes.append(after)
    arrays = [array for step in steps for array in step if isinstance(array, np.ndarray)]
    for array in arrays:
        if not np.isfinite(array).all():
            raise ValueError(f"{who} expects finite parameters; got NaN or inf.")
    n = math.prod(shapes[-1])
    names = own_classes if classes is None else checks.sequence(who, "classes", classes, "names")
    if names is not None and len(names) != (n if n > 1 else 2):
        raise ValueError(
            f"{who} expects a class for each of the network's {n} outputs{'' if n > 1 else ', or two for one'}; "
            f"got {len(names)}."
        )
    for name in () if preprocessing is None else ("shift", "scale"):
        size = np.size(getattr(preprocessing, name))
        if size not in (1, n):
            raise ValueError(
                f"{who} expects {name} of preprocessing for all or each of the network's "
                f"{checks.plural(n, 'output')}; got {size}."
            )
    dtype = np.dtype(np.result_type(*arrays).type) if arrays else checks.FLOAT32
    names = None if names is None else [str(name) for name in names]
    return Program(shapes, steps, dtype, preprocessing, names, None if ready is None else dtype)


def _network(who, model, probabilities, preprocessing):
    """The network; what comes behind it, (shape) -> [(step, shape)]; the classes' names or None; and what an
    estimator's rows go through before it, a Preprocessing or None.
    """
    if hasattr(model, "to_sequential"):  # an estimator
        net, prepare = model._to_export()
        ready = None if prepare is None else columns.checked(who, _preprocessing_of(prepare))
        if ready is not None and preprocessing is not None:
            raise ValueError(
                f"{who} expects preprocessing=None beside an estimator that prepares its rows itself, by standardize "
                "or missing; got both."
            )
        return net, *_finish_of_estimator(who, model, probabilities), ready
    if isinstance(model, Sequential):
        return model, _finish(who, model, probabilities), None, None
    if isinstance(model, Module) and not checks.methods_of_its_own(model, "fastbp") and _known(model):
        return Sequential(model), lambda shape: [], None, None
    kind = type(model).__name__
    cure = ""
    if isinstance(getattr(model, "layers", None), dict):
        cure = ": Sequential(net.layers) is one"
    elif isinstance(model, Module):
        cure = ", as the forward of another module is Python: export the Sequential in it"
    elif type(model).__module__.startswith("sklearn.neural_network."):
        cure = f" of scikit-learn: fastbp.estimators.{kind}.from_sklearn makes one of it"
    elif type(model).__module__.startswith("torch."):
        cure = " of PyTorch: load_state_dict of a network of fastbp.nn takes its weights"
    raise TypeError(f"{who} expects a Sequential, a layer or a fitted estimator; got {kind}{cure}.")


def _preprocessing_of(prepare):
    """What an estimator's rows go through, as an exported file has it."""
    n = len(prepare.fill if prepare.scale is None else prepare.scale)
    shift, scale = (np.zeros(n), np.ones(n)) if prepare.scale is None else (prepare.mean, prepare.scale)
    fill = [None] * n if prepare.fill is None else np.asarray(prepare.fill).tolist()
    features = [
        columns.Feature(place, *numbers)
        for place, numbers in enumerate(zip(np.asarray(shift).tolist(), np.asarray(scale).tolist(), fill, strict=True))
    ]
    marked = np.asarray(prepare.marked).tolist()
    return columns.Preprocessing([*features, *(columns.Feature(place, indicator=True) for place in marked)])


def _finish(who, net, probabilities):
    if not probabilities:
        return lambda shape: []
    loss = net.loss_layer
    if isinstance(loss, SoftmaxWithLoss):
        return lambda shape: [(Softmax(len(shape) - 1), shape)]
    if getattr(type(loss), "probabilities", None) is SigmoidWithLoss.probabilities:
        return lambda shape: [(Activation("sigmoid"), shape)]
    kind = "none" if loss is None else type(loss).__name__
    raise ValueError(f"{who} expects a classification loss beside probabilities=True; got {kind}.")


#: scikit-learn's names of what outputs go through.
_OUTPUTS: dict[str, Step | None] = {
    "identity": None,
    "softmax": Softmax(0),
    "logistic": Activation("sigmoid"),
    "exp": Exp(),
    "relu": Activation("relu"),
    "tanh": Activation("tanh"),
}


def _finish_of_estimator(who, model, probabilities):
    """What `predict` of a regressor and `predict_proba` of a classifier do behind the network."""
    name = getattr(model, "out_activation_", None)
    classes = getattr(model, "classes_", None)
    if classes is None and probabilities:
        raise ValueError(f"{who} expects a classifier beside probabilities=True; got {type(model).__name__}.")
    if classes is not None and not probabilities:
        name = "identity"
    if name not in _OUTPUTS:
        raise ValueError(f"{who} expects out_activation_ as one of {', '.join(map(repr, _OUTPUTS))}; got {name!r}.")
    step = _OUTPUTS[name]

    def finish(shape):
        found: list[tuple[Step, tuple[int, ...]]] = [] if step is None else [(step, shape)]
        if classes is None:
            return [*found, *_of_one_target(model, math.prod(shape))]
        return [*found, (Both(), (2,))] if probabilities and shape == (1,) else found

    return finish, None if classes is None or np.ndim(classes) != 1 else list(classes)


def _of_one_target(model, n_outputs):
    """What `predict` of a regressor does with several outputs of one target."""
    n = model._per_target()
    if n == 1:
        return []
    if model._is_gaussian():
        return [(Each(n), (n_outputs // n,))]
    after = (n_outputs // n, n)
    return [(Sort(), (n,))] if n == n_outputs else [(Reshape(after), after), (Sort(), after)]


#: The methods that compute a prediction.
_PASSES = {"__call__", "_forward", "evaluate", "forward", "on_tensor", "predict", "run"}


# --- what is refused ------------------------------------------------------------------------


def _require_own(who, net):
    """Refuse what is computed by Python that a user wrote: a class, a method, a hook."""
    for place, layer in enumerate(net.layers):
        if not _known(layer):
            raise TypeError(
                f"{who} expects the library's own layers, of one input; got {type(layer).__name__} at place {place}."
            )
    for path, module in net.named_modules():
        where = f"{type(module).__name__}{f' at place {path}' if path else ''}"
        if getattr(module, "_hooks", None) is not None:
            raise TypeError(f"{who} expects parts without forward hooks, which a file cannot hold; got one of {where}.")
        own = [name for name in checks.methods_of_its_own(module, "fastbp") if name in _PASSES]
        if own:
            raise TypeError(f"{who} expects the library's own methods; got {own[0]} of {where} replaced.")


def _known(layer):
    return any(kind in _READERS for kind in type(layer).__mro__)


def _reader(layer):
    return next(_READERS[kind] for kind in type(layer).__mro__ if kind in _READERS)


def _shape_of(who, known):
    """The shape of a row, where the first layer that has a width tells it."""
    for layer in known:
        if isinstance(layer, layers.Affine):
            return (layer.W.shape[0],)
        if isinstance(layer, layers.Embeddings):
            return (layer.n_in,)
        if isinstance(layer, layers.BatchNormalization):
            return (len(layer.gamma),)
        if isinstance(layer, nn.LayerNorm):
            return layer.normalized_shape
        if isinstance(layer, nn.GLU | nn.Unflatten):
            break
    raise ValueError(f"{who} expects shape, that of a sample without the axis of rows, as no layer tells it; got None.")


# --- each layer -----------------------------------------------------------------------------


def _affine(who, layer, shape):
    W = np.array(layer.W, order="C")
    b = np.array(layer.b) if layer.has_bias else None
    n_in, n_out = W.shape
    if shape[-1] == n_in:
        return [(Affine(W, b), (*shape[:-1], n_out))]
    if math.prod(shape) == n_in:  # as the book's, which joins the axes behind the first
        return [(Reshape((n_in,)), (n_in,)), (Affine(W, b), (n_out,))]
    raise _other_shape(who, f"{n_in} features", shape)


def _embeddings(who, layer, shape):
    if shape != (layer.n_in,):
        raise _other_shape(who, f"{layer.n_in} columns", shape)
    return [(Embed(np.array(layer.E), tuple(layer.sizes), tuple(layer.widths)), (layer.n_out,))]


def _other_shape(who, expected, shape):
    return ValueError(f"{who} expects {expected}; got a sample of shape {shape}.")


def _batch_norm(who, layer, shape):
    mean, factor, shift = (np.array(array) for array in layer.evaluation_arrays())
    n = len(mean)
    if isinstance(layer, pytorch.BatchNorm1d) and len(shape) == 2 and shape[0] == n:
        own: tuple[int, ...] = (n, 1)
    elif math.prod(shape) == n and (len(shape) == 1 or layer.as_in_the_book):
        own = shape
    else:
        raise _other_shape(who, f"{n} features", shape)
    return [(Scale(mean.reshape(own), factor.reshape(own), shift.reshape(own)), shape)]


def _activation(who, layer, shape):
    name = layer.row.name
    return [] if name == "identity" else [(Activation(name, tuple(map(float, layer.numbers))), shape)]


def _nothing(who, layer, shape):
    return []


def _flatten(who, layer, shape):
    if isinstance(layer, pytorch.Flatten):
        start, end = (_axis(who, axis, shape, batch=True) for axis in (layer.start_dim, layer.end_dim))
    else:
        start, end = 1, len(shape)
    if start == 0 and end > 0:
        raise ValueError(f"{who} expects start_dim behind the axis of rows; got 0.")
    if start >= end:
        return []
    after = (*shape[: start - 1], math.prod(shape[start - 1 : end]), *shape[end:])
    return [(Reshape(after), after)]


def _axis(who, dim, shape, batch=False):
    """The axis of a batch that `dim` means; without `batch` not that of the rows."""
    n = len(shape) + 1
    axis = checks.integer(who, "dim", dim, -n, n - 1) % n
    if axis == 0 and not batch:
        raise ValueError(f"{who} expects dim of a sample's axes; got {dim}, that of the rows.")
    return axis


def _unflatten(who, layer, shape):
    axis = _axis(who, layer.dim, shape) - 1
    sizes = list(layer.unflattened_size)
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape[axis] // -math.prod(sizes)
    if math.prod(sizes) != shape[axis]:
        raise _other_shape(who, f"{layer.unflattened_size} of axis {axis + 1}", shape)
    after = (*shape[:axis], *map(int, sizes), *shape[axis + 1 :])
    return [(Reshape(after), after)]


def _softmax(who, layer, shape):
    dim = layer.dim
    if dim is None:  # as `nn.functional` takes it
        dim = 0 if len(shape) == 2 else 1
    step = Softmax(_axis(who, dim, shape) - 1, isinstance(layer, pytorch.LogSoftmax))
    if not isinstance(layer, pytorch.Softmin):
        return [(step, shape)]
    zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    return [(Scale(zero, -one, zero), shape), (step, shape)]


def _glu(who, layer, shape):
    axis = _axis(who, layer.dim, shape) - 1
    if shape[axis] % 2:
        raise _other_shape(who, f"an even length of axis {axis + 1}", shape)
    return [(Gate(axis), (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :]))]


def _prelu(who, layer, shape):
    slope = np.array(layer.weight.array)
    if slope.size not in (1, shape[0]):
        raise _other_shape(who, f"{slope.size} columns", shape)
    return [(Slope(slope.reshape((-1,) + (1,) * (len(shape) - 1))), shape)]


def _layer_norm(who, layer, shape):
    own = layer.normalized_shape
    if shape[-len(own) :] != own:
        raise _other_shape(who, f"last axes {own}", shape)
    factor, shift = (None if array is None else np.array(array.array) for array in (layer.weight, layer.bias))
    dtype = np.float32 if factor is None else factor.dtype
    factor = np.ones(own, dtype) if factor is None else factor
    return [(Normal(factor, np.zeros(own, dtype) if shift is None else shift, layer.eps), shape)]


_READERS: dict[type, Callable[..., list[tuple[Any, tuple[int, ...]]]]] = {
    layers.Affine: _affine,
    layers.Embeddings: _embeddings,
    layers.BatchNormalization: _batch_norm,
    ActivationLayer: _activation,
    layers.Dropout: _nothing,
    layers.Flatten: _flatten,
    pytorch.Softmax: _softmax,
    pytorch.Softmin: _softmax,
    pytorch.LogSoftmax: _softmax,
    nn.Unflatten: _unflatten,
    nn.GLU: _glu,
    nn.PReLU: _prelu,
    nn.LayerNorm: _layer_norm,
}
