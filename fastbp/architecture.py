"""A network as a file has it: its architecture as JSON beside its arrays, written and read."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastbp import checks, files
from fastbp.layers import (
    Affine,
    BatchNorm1d,
    BatchNormalization,
    Dropout,
    Embeddings,
    Flatten,
    Layer,
    Linear,
    activations,
)
from fastbp.losses import LOSSES, MultiTaskLoss
from fastbp.training import checkpoints, plans
from fastbp.training.trainer import hands

if TYPE_CHECKING:
    from fastbp._typing import File
    from fastbp.modules import Module

#: Layers that a file may name.
_SAVED_LAYERS = {
    cls.__name__: cls
    for cls in (
        Linear,
        Affine,
        BatchNormalization,
        BatchNorm1d,
        Dropout,
        Embeddings,
        Flatten,
        *activations.LAYERS.values(),
        activations.Threshold,
    )
}
_SAVED_LOSSES = {cls.__name__: cls for cls in (*LOSSES.values(), MultiTaskLoss)}
_FORMAT = "fastbp-network"
_FORMAT_VERSION = 1


# --- written --------------------------------------------------------------------------------


def write(net: Module, path: File, more: Mapping[str, str] | None = None) -> None:
    """Write the file of `Sequential.save`, with `more` texts by name in its metadata."""
    import json

    who = "Sequential.save"
    metadata = {"fastbp": json.dumps(net.architecture()), **(more or {})}
    with hands:  # no other thread fetches newer parameters between two of them
        arrays = plans.arrays_of(net.layers)
        plans.require_apart(who, arrays.items(), ", which load would part: save state_dict()")
        arrays = files.snapshot(arrays)
    for name, array in arrays.items():
        checks.no_nan(who, name, array)
    files.write_safetensors(who, path, arrays, metadata)


def described(net: Module, network: type[Module]) -> dict[str, Any]:
    """What `Sequential.architecture` gives; `network`: the class of networks, also as parts."""
    for path, module in net.named_modules():
        _require_saved(path, module)
    loss = None
    if net.loss_layer is not None:
        loss = _described(net.loss_layer_for("save"), _SAVED_LOSSES.get)
    parts = _named_parts(net, network)
    named = {} if parts == list(map(str, range(len(net.layers)))) else {"parts": parts}
    modules = net.named_modules(remove_duplicate=False)
    evaluating = [path for path, module in modules if not module.training]
    return {
        "format": _FORMAT,
        "version": _FORMAT_VERSION,
        "layers": [_described(layer, _saved_layer) for layer in net.layers],
        **named,
        **({"evaluating": evaluating} if evaluating else {}),
        "loss": loss,
        **({} if net.classes is None else {"classes": list(map(str, net.classes))}),
    }


def _added(module):
    """The names of what a user has put into a network or into one of its layers."""
    own = vars(module)
    buffers = [n for n in own["_buffers"] if n not in own["_non_persistent_buffers_set"]]
    added = [*own["_parameters"], *buffers]
    if not isinstance(module, Layer):  # whose parts are the layers
        return added
    known = {*module.tensor_names, *module.buffer_names}
    return [name for name in (*added, *own["_modules"]) if name not in known]


def _saved_layer(name):
    """The class of a layer in a file; those with PyTorch's arguments are called nn.Linear, ..."""
    if not (isinstance(name, str) and name.startswith("nn.")):
        return _SAVED_LAYERS.get(name)
    from fastbp.layers import pytorch  # which loads the tensors

    name = name.removeprefix("nn.")
    return getattr(pytorch, name) if name in pytorch.__all__ else None


def _require_saved(path, module):
    """Refuse what a user has put into a network or one of its parts, which a file has not."""
    where = f"{type(module).__name__}{f' at place {path}' if path else ''}"
    for name in _added(module):
        raise TypeError(
            "Sequential.save expects the library's own parameters, buffers and parts; got "
            f"{f'{path}.{name}'.lstrip('.')}, which load would not have: save state_dict()."
        )
    if module._hooks is not None:
        raise TypeError(
            f"Sequential.save expects parts without forward hooks, which load would not have; got "
            f"one of {where}: remove it, or save state_dict()."
        )
    for name, tensor in vars(module)["_parameters"].items():
        if tensor is not None and tensor.has_hooks:
            raise TypeError(
                "Sequential.save expects parameters without gradient hooks, which load would not "
                f"have; got one on {name} of {where}: remove it, or save state_dict()."
            )
    own = [
        method
        for method in checks.methods_of_its_own(module, "fastbp")
        if method in plans.PASSES | {"evaluate", "pullback", "run"}
    ]
    if own:
        raise TypeError(
            f"Sequential.save expects the library's own methods, as load would have; got {own[0]} "
            f"of {where} replaced: save state_dict()."
        )


def _named_parts(net, network):
    """The names of a network's parts; (name, such a list) of one that is a network."""
    return [
        [name, _named_parts(part, network)] if isinstance(part, network) else name
        for name, part in net._modules.items()
    ]


def _described(layer, known):
    kind = type(layer)
    name = f"nn.{kind.__name__}" if kind.__module__ == "fastbp.layers.pytorch" else kind.__name__
    if known(name) is not kind:
        raise TypeError(f"Sequential.save expects the library's own layers and losses; got {layer!r}.")
    return {"type": name, **layer.config(), **_switches(layer)}


def _switches(layer):
    """What of a layer is not as it is made: it changes Tensors, has tensors not trained, ..."""
    if not isinstance(layer, Layer):
        return {}
    tensors = vars(layer)["_parameters"]  # if nobody has looked at them, all are trained
    frozen = [n for n, p in tensors.items() if p is not None and not p.requires_grad]
    inplace = {"inplace": True} if getattr(layer, "inplace", False) else {}
    kept = {"kept": {n: getattr(layer, n) for n in layer.kept_names}} if layer.kept_names else {}
    return {**inplace, **({"frozen": frozen} if frozen else {}), **kept}


# --- read -----------------------------------------------------------------------------------


def read(path, network, ema=False):
    """The file of `Sequential.load`, as `rebuilt` has it."""
    tensors, metadata = files.read_safetensors("Sequential.load", path)
    return rebuilt(tensors, metadata, files.shown(path), network, ema)


def rebuilt(tensors, metadata, shown, network, ema=False):
    """A network of a file's arrays and texts, or with `ema` of a checkpoint's averages.

    Returns
    -------
    layers, loss
        What a network is made of.
    tell : callable
        Gives the network that was made of them the modes of its parts, and looks for arrays that
        it has no place for.
    """
    who = "Sequential.load"
    try:
        architecture = checks.json_of(metadata["fastbp"])
        version = architecture["version"]
        if architecture.get("format", _FORMAT) != _FORMAT:
            raise ValueError(f"format {reprlib.repr(architecture['format'])}")
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(
            f"{who} expects a network that Sequential.save wrote; got {shown} ({type(error).__name__}: {error!s:.200})."
        ) from error
    if version != _FORMAT_VERSION:
        raise ValueError(
            f"{who} expects a file of version {_FORMAT_VERSION}; "
            f"got version {reprlib.repr(version)} in {shown}, written by another fastbp."
        )
    averages = {name: array for name, array in tensors.items() if name.startswith(checkpoints.AVERAGE)}
    if ema and not (averages and checkpoints.KEY in metadata):
        raise ValueError(
            f"{who} expects ema=True for a checkpoint of fit(ema_decay=...), which has averages after its first step; "
            f"got {shown} without."
        )
    if checkpoints.KEY in metadata:  # the optimiser's arrays are not the network's
        tensors = {name: array for name, array in tensors.items() if name[:1].isdigit()}
        if ema:
            tensors |= {name.removeprefix(checkpoints.AVERAGE): array for name, array in averages.items()}
    for name, array in tensors.items():
        checks.no_nan(who, f"{name} of {shown}", array)
    described, loss = architecture.get("layers"), architecture.get("loss")
    if not isinstance(described, list):
        raise ValueError(f"{who} expects a list of layers in {shown}; got {reprlib.repr(described)}.")
    states: dict[str, dict] = {}
    for name, array in tensors.items():
        number, _, own_name = name.partition(".")
        states.setdefault(number, {})[own_name] = array
    layers = [_rebuilt(place, layer, states.get(str(place), {}), shown) for place, layer in enumerate(described)]
    if loss is not None:
        try:
            loss = _SAVED_LOSSES[loss.pop("type")](**loss)
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(f"{who} expects a loss it knows; got {reprlib.repr(loss)} in {shown}.") from error
    parts = _arranged(architecture.get("parts"), layers, shown, network)

    classes = architecture.get("classes")
    if classes is not None and not _are_names(classes):
        raise ValueError(f"{who} expects classes as different texts in {shown}; got {reprlib.repr(classes)}.")

    def tell(net):
        vars(net)["classes"] = None if classes is None else tuple(classes)
        _set_modes(net, architecture.get("evaluating", []), shown)
        unknown = sorted(tensors.keys() - plans.arrays_of(net.layers).keys())
        if unknown:
            raise ValueError(f"{who} expects arrays of its layers only; got {unknown[0]!r} in {shown}.")

    return layers if parts is None else [parts], loss, tell


def _are_names(classes):
    are_texts = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    return are_texts and len(set(classes)) == len(classes)


def _set_modes(net, evaluating, shown):
    """Evaluation mode of the parts of a file's network that had it, by their paths."""
    modules = dict(net.named_modules(remove_duplicate=False))
    if not isinstance(evaluating, list) or not all(isinstance(path, str) and path in modules for path in evaluating):
        raise ValueError(
            f"Sequential.load expects its parts' names under evaluating in {shown}; got {reprlib.repr(evaluating)}."
        )
    for path in evaluating:
        modules[path].training = False


def _arranged(parts, layers, shown, network):
    """The layers of a file by the names of its parts, in networks of their own where it has such.

    None of a file without names.
    """
    if parts is None:
        return None
    left = iter(layers)

    def arrange(parts):
        if not isinstance(parts, list):
            raise TypeError("parts that are no list")
        named = {}
        for part in parts:
            name, inner = part if isinstance(part, list) else (part, None)
            if not isinstance(name, str) or name in named:
                raise TypeError(f"the name {reprlib.repr(name)}")
            named[name] = next(left) if inner is None else network(arrange(inner))
        return named

    try:
        arranged = arrange(parts)
    except (RecursionError, StopIteration, TypeError, ValueError) as error:
        raise ValueError(
            f"Sequential.load expects names of its layers in {shown}; got {reprlib.repr(parts)} ({error!s:.200})."
        ) from error
    over = len(list(left))
    if over:
        raise ValueError(f"Sequential.load expects a name of each layer in {shown}; got none of the last {over}.")
    return arranged


def _rebuilt(place, described, state, shown):
    """One layer from its description and its arrays."""
    try:
        config = dict(described)
        name = config.pop("type")
        kind = _saved_layer(name)
        if kind is None:
            raise KeyError(name)
        inplace, frozen = config.pop("inplace", False), config.pop("frozen", ())
        kept = {
            name: checks.integer("it", name, value, 0, checks.MOST_SEED)
            for name, value in config.pop("kept", {}).items()
        }
        if not kept.keys() <= set(kind.kept_names):
            raise KeyError(*kept)
        layer = kind.restore(config, state)
        for name, value in kept.items():
            setattr(layer, name, value)
        if inplace:
            layer.inplace = True
        for name in frozen:
            layer.get_parameter(name).requires_grad_(False)
        return layer
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(
            f"Sequential.load expects layer {place} of {shown} to be whole; got {type(error).__name__}: {error!s:.200}."
        ) from error
