"""What a `Plan` takes: a network as the entries of its layers, and data as its arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from fastbp import checks
from fastbp._kernels import engine
from fastbp._kernels.embedding import categories_hold
from fastbp.layers import Layer

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike
    from fastbp.losses import Loss
    from fastbp.modules import Module

    #: A weight for each class, by its index or in their order.
    ClassWeight: TypeAlias = Mapping[int, float] | Sequence[float] | Array | Literal["balanced"]

#: Where classes are defined whose methods the engine stands for.
LAYERS = ("fastbp.layers", "fastbp.nn")
LOSSES = ("fastbp.losses",)
OPTIMIZERS = ("fastbp.optim", "fastbp.book")
#: What a network computes by; the engine stands for these of `Sequential`.
PASSES = {"__call__", "_backward", "_forward", "backward", "forward", "gradient", "loss", "predict"}


def require_own(who: str, what: str, thing: object, modules: Iterable[str]) -> None:
    """Refuse a user's own class, a subclass too, or method: the engine would not run it."""
    where = f"{type(thing).__module__}."
    if not any(where.startswith(f"{module}.") for module in modules):
        raise TypeError(
            f"{who} expects {what} of the library's own; got {thing!r}, whose methods it would "
            "not run, so train by gradient and update."
        )
    _require_methods(who, what, thing, checks.methods_of_its_own(thing, *modules))


def _require_methods(who, what, thing, own):
    if own:
        raise TypeError(
            f"{who} expects {what} with the library's own methods; got {own[0]} of "
            f"{type(thing).__name__} replaced, which it would not call, so train by a loop."
        )


# --- networks -------------------------------------------------------------------------------


def arrays_of(layers: Iterable[Module]) -> dict[str, Array]:
    """The layers' arrays under the names that they have in a network's file, as views."""
    return {
        f"{place}.{name}": array
        for place, layer in enumerate(layers)
        if isinstance(layer, Layer)
        for name, array in layer.state().items()
    }


def require_apart(who: str, arrays: Collection[tuple[str, Array]], cure: str = "") -> None:
    """Refuse pairs (name, array) of which two share memory: their copies would not."""
    places = {name: place for place, (name, _) in enumerate(arrays)}
    shared = [
        sorted(pair, key=places.__getitem__)
        for pair, (array, another) in (zip(*two, strict=True) for two in _overlapping(list(arrays)))
        if np.shares_memory(array, another)
    ]
    if shared:
        name, other = min(shared, key=lambda pair: [places[each] for each in pair])
        raise ValueError(f"{who} expects parameters in memory of their own; got {name} and {other} in the same{cure}.")


def _overlapping(arrays):
    """The pairs of (name, array) whose bytes lie between each other's, each pair once."""
    bounds = [np.lib.array_utils.byte_bounds(array) for _, array in arrays]
    reached: list[int] = []
    for one in sorted(range(len(arrays)), key=bounds.__getitem__):
        begin = bounds[one][0]
        reached = [other for other in reached if bounds[other][1] > begin]
        yield from ((arrays[other], arrays[one]) for other in reached)
        reached.append(one)


def share_memory(arrays: Iterable[Array], others: Iterable[Array]) -> bool:
    """Whether one of some arrays has memory in common with one of others."""
    named = [(True, array) for array in arrays] + [(False, array) for array in others]
    return any(one[0] is not other[0] and np.shares_memory(one[1], other[1]) for one, other in _overlapping(named))


def memory_of(array: Any) -> tuple[int, int]:
    """What tells the memory of which an array is a part: its address, and who owns it."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    owner = array if array.base is None else array.base
    owner = owner.obj if isinstance(owner, memoryview) else owner
    return array.__array_interface__["data"][0], id(owner)


def fill(arrays: Mapping[str, Array], values: Mapping[str, ArrayLike]) -> None:
    """Write values into arrays of the same names."""
    for name, array in arrays.items():
        array[...] = values[name]


@dataclasses.dataclass(frozen=True)
class Description:
    """What of a network a plan is made of, looked at and found good.

    Attributes
    ----------
    net : Sequential
    entries : list of tuple
        Of each layer, as `engine.Plan` takes it.
    places : list of (Layer, int)
        The layers with parameters, and where they are among the entries.
    loss : (str or None, float or tuple)
        The loss's name in the engine, and its number, or parts.
    dtype : numpy.dtype
    """

    net: Module
    entries: list
    places: list
    loss: tuple
    dtype: np.dtype[Any]

    @property
    def n_in(self) -> int:
        return self.entries[0][1]

    @property
    def n_out(self) -> int:
        return self.entries[-1][2]


def described(net: Module, who: str = "Trainer") -> Description:
    """The `Description` of a network.

    Raises
    ------
    TypeError, ValueError
        For what the network does that the engine would not, and parameters that it cannot train.
    """
    entries, places = entries_of(net)
    found = Description(net, entries, places, loss_of(net, entries[-1][2], who), dtype_of(net))
    parameters = list(net.params.items())
    for name, array in parameters:
        checks.writable_parameter("Trainer", f"params[{name!r}]", array)
    require_apart("Trainer", parameters)  # it trains copies: one would be lost
    return found


def entries_of(net: Module) -> tuple[list[tuple[Any, ...]], list[tuple[Layer, int]]]:
    """The plan's description of each layer, and (layer, place in the plan) of the trained.

    Raises
    ------
    TypeError, ValueError
        For what the network does that the engine would not.
    """
    for name, module in net.named_modules():
        if not isinstance(module, Layer):
            where = f" at place {name}" if name else ""
            _require_unhooked(module, where)
            own = [method for method in checks.methods_of_its_own(module, "fastbp.network") if method in PASSES]
            _require_methods("Trainer", f"a network{where}", module, own)
    entries: list[tuple[Any, ...]] = []
    places: list[tuple[Layer, int]] = []
    seen: set[int] = set()
    width = None
    for number, layer in enumerate(net.layers):
        require_own("Trainer", f"a layer at place {number}", layer, LAYERS)
        _require_trained(layer, number)
        entry = layer.plan_entry(width) if isinstance(layer, Layer) else ("module", 0, 0, 0.0)
        if entry is None:
            continue
        kind, n_in, n_out, ratio, *_ = entry
        if kind not in engine.LAYER_KINDS:
            raise TypeError(
                f"Trainer expects layers that the training engine holds; got {layer!r} at place "
                f"{number}, so {getattr(layer, 'in_plans', '')}train by a loop over Tensors, or by gradient and update."
            )
        if n_in is None:
            raise ValueError(
                f"Trainer expects the first layer to say its width, as Linear does; got {layer!r} at place {number}."
            )
        if kind == "embedding" and entries:
            raise ValueError(
                f"Trainer expects Embeddings as the first layer; got {layer!r} at place {number}, behind another."
            )
        if width not in (None, n_in):
            raise ValueError(
                f"Trainer expects {width} inputs at place {number}, as the layer before has outputs; got {layer!r}."
            )
        if not layer.training and (kind == "batch_norm" or (kind == "dropout" and ratio > 0)):
            raise ValueError(
                f"Trainer expects layers in training mode; got {layer!r} at place {number} in "
                "evaluation mode, so call net.train()."
            )
        if id(layer) in seen:
            raise ValueError(
                f"Trainer expects a layer with parameters at one place; got {layer!r} again at "
                f"place {number}, so train by a loop over Tensors, or by gradient and update."
            )
        width = n_out
        if layer.param_names:
            places.append((layer, len(entries)))
            seen.add(id(layer))
        entries.append(entry)
    if not places:
        raise ValueError("Trainer expects a layer with parameters; got none.")
    return entries, places


def _require_trained(layer, number):
    """Refuse hooks, of a layer or of its parameters' gradients, and frozen parameters."""
    _require_unhooked(layer, f" at place {number}")
    for name, tensor in vars(layer)["_parameters"].items():
        if tensor is None:
            continue
        if not tensor.requires_grad:
            raise ValueError(
                f"Trainer expects parameters that are all trained; got {name} of {layer!r} at "
                f"place {number} with requires_grad=False, so train by a loop over Tensors."
            )
        if tensor.has_hooks:
            raise ValueError(
                f"Trainer expects parameters without gradient hooks, which it would not call; got "
                f"one on {name} of {layer!r} at place {number}, so remove it or train by a loop "
                "over Tensors."
            )


def _require_unhooked(module, where=""):
    if module._hooks is not None:
        raise ValueError(
            f"Trainer expects layers without forward hooks, which it would not call; got one of "
            f"{type(module).__name__}{where}, so remove it or train by a loop over Tensors."
        )


def loss_of(net: Module, n_out: int, who: str = "Trainer") -> tuple[str | None, Any]:
    """The loss's name in the engine and its number, or parts; (None, 0.0) without one."""
    loss_layer = net.loss_layer
    if loss_layer is None:
        return None, 0.0
    require_own(who, "a loss", loss_layer, LOSSES)
    loss_layer.follow()
    parts = loss_layer.parts(n_out)
    return (loss_layer.kind, loss_layer.kind_number) if parts is None else ("parts", parts)


def dtype_of(net: Module) -> np.dtype[Any]:
    """The one dtype of all parameters: float64 where they differ."""
    return np.result_type(*(array.dtype.newbyteorder("=") for array in net.params.values()))


# --- data -----------------------------------------------------------------------------------


def rows_of(who: str, x: Any, first: tuple[Any, ...]) -> Any:
    """Rows for the engine: dense float32, float64 or uint8, or SparseRows; `first`: of the first layer's entry."""
    kind, n_in, *_, detail = first
    if hasattr(x, "tocsr") and kind != "embedding":
        if x.format != "csr":
            x = checks.sparse(who, "x", x).tocsr()
        if x.shape[1] != n_in:
            raise checks.other_width(who, x.shape, n_in)
        data = checks.floats(who, "x", x.data)
        indices, indptr = (np.ascontiguousarray(each, np.int64) for each in (x.indices, x.indptr))
        try:
            return engine.SparseRows(data, indices, indptr, n_in)  # which looks at all indices
        except ValueError:
            checks.sparse(who, "x", x)  # the same, named; at ten times the cost
            raise
    if isinstance(x, engine.SparseRows):
        return x
    x = checks.numbers(who, "x", x)
    x = np.ascontiguousarray(x) if x.dtype == np.uint8 else checks.floats(who, "x", x)
    shape = x.shape
    if x.ndim == 1:
        x = x.reshape(1, -1)
    elif x.ndim > 2:
        x = x.reshape(len(x), int(np.prod(shape[1:])))
    if x.ndim != 2 or x.shape[1] != n_in:
        raise checks.other_width(who, shape, n_in)
    if kind == "embedding":
        sizes = np.array([size for _, size, *_ in detail], np.int64)
        if not categories_hold(x, sizes):  # quickly; and in words
            checks.categories(who, x, sizes)
    return x


def targets_of(who: str, loss_layer: Loss, t: Any, n_rows: int, n_out: int, dtype: np.dtype[Any]) -> Array:
    """Targets for the engine: int64 class indices, or rows of the plan's dtype."""
    return loss_layer.targets(who, t, (n_rows, n_out), dtype)


def weights_of(
    who: str,
    sample_weight: ArrayLike | None,
    class_weight: Any,
    loss_layer: Loss,
    t: Array,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    total: Callable[[Any], Any],
) -> Array | None:
    """The rows' weights, or None where all are 1; total(counts) sums over all ranks' rows."""
    if sample_weight is None and class_weight is None:
        return None
    n, n_classes = shape
    weights = np.ones(n)
    if sample_weight is not None:
        weights = checks.floats(who, "sample_weight", sample_weight, checks.FLOAT64)
        checks.same_shape(who, "sample_weight", weights, (n,), "x has rows")
    if class_weight is not None:
        if loss_layer.kind != "softmax":
            raise ValueError(f"{who} expects class_weight with SoftmaxWithLoss; got {loss_layer!r}.")
        classes = t if t.ndim == 1 else t.argmax(axis=1)
        if isinstance(class_weight, str) and class_weight == "balanced":
            counts = total(np.bincount(classes, minlength=n_classes))
            by_class = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        else:
            if isinstance(class_weight, str) or not np.iterable(class_weight):
                raise TypeError(
                    f"{who} expects class_weight as a weight per class or 'balanced'; got {checks.shown(class_weight)}."
                )
            by_class = np.ones(n_classes)
            if not hasattr(class_weight, "items"):
                class_weight = list(class_weight)
                if len(class_weight) != n_classes:
                    raise ValueError(
                        f"{who} expects class_weight with {checks.plural(n_classes, 'weight')}, "
                        f"one per class; got {len(class_weight)}."
                    )
                class_weight = dict(enumerate(class_weight))
            for key, value in class_weight.items():
                place = checks.integer(who, "class_weight's class", key, 0, n_classes - 1)
                by_class[place] = checks.number(who, f"class_weight[{key}]", value, least=0)
        weights = weights * by_class[classes]
    return checks.weights_of_rows(who, weights, dtype, negative=False, total=total)
