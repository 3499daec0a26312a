"""What is checked of a network, layer or loss.

Each of these functions returns (arrays, f, gradients): the arrays to change in place, by name; f()
for `Differences`; and gradients(), the analytic ones by the same names.  x is copied for every
forward, because a layer of the user's own may write into what it is given.

Nothing here knows the layers: a network is what has ``params``, ``loss`` and ``gradient``, a
layer what has ``forward`` and ``backward``, a kink what changes a layer's ``mask``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import TensorBase, new
from fastbp.gradcheck.parameters import parameters_of
from fastbp.gradcheck.words import WHO, copied, described, float64_output, input_of, loss_value, name_of


def subject_of(original: Any, x: Any, t: Any, rng: Any) -> Any:
    """What is checked of a network, layer or loss: see above."""
    if isinstance(original, type):
        raise TypeError(f"{WHO} expects a network, layer or loss, not its class; got {original!r}.")
    x = input_of(x)
    subject = copied(original)
    _refuse_dropout(subject)
    is_network = all(hasattr(subject, name) for name in ("params", "loss", "gradient"))
    if is_network and not (t is None and getattr(subject, "loss_layer", subject) is None):
        if t is None:
            raise ValueError(f"{WHO} expects t, the targets of {name_of(subject)}; got None.")
        t = copied(t)
        if not (hasattr(subject, "loss_layer") and hasattr(subject, "layers")):
            return _network(subject, x, t)
        if any(_takes_tensors(layer) for layer in subject.layers):
            return _module(subject, x, rng, subject.loss_layer_for("gradient"), t)
        return _sequential(subject, x, t)
    if _takes_tensors(subject) or any(map(_takes_tensors, getattr(subject, "layers", ()))):
        if t is not None:
            raise TypeError(
                f"{WHO} expects no t for {name_of(subject)}, which has no loss; got a t of type {name_of(t)}."
            )
        return _module(subject, x, rng)
    if not (hasattr(subject, "forward") and hasattr(subject, "backward")):
        raise TypeError(
            f"{WHO} expects a network with params, loss and gradient, or a layer or loss with "
            f"forward and backward; got {described(original)}."
        )
    if t is None:
        if not _takes(subject.forward, x):
            raise ValueError(f"{WHO} expects t, the targets of {name_of(subject)}; got None.")
        return _layer(subject, x, rng)
    if not _takes(subject.forward, x, t):
        raise TypeError(
            f"{WHO} expects no t for {name_of(subject)}, whose forward takes x alone; "
            f"got a t of type {type(t).__name__}."
        )
    return _loss(subject, x, copied(t))


def _layer(layer, x, rng):
    """A layer, through the sum of its outputs times random numbers."""
    factors = rng.standard_normal(np.shape(layer.forward(x.copy())))

    def sweep():
        layer.forward(x.copy())
        return layer.backward(factors.copy())

    parameters = parameters_of(layer, "", sweep)

    def f():
        out = float64_output(layer, layer.forward(x.copy()))
        return out * factors, _sides(getattr(layer, "mask", None)), 0

    def gradients():
        for parameter in parameters.values():
            parameter.forget_gradient()
        dx = sweep()
        found = {"x": numeric(dx)} if moved.size else {}
        return {**found, **{name: each.gradient for name, each in parameters.items()}}

    numeric = getattr(layer, "numeric_part", lambda x: x)  # categories cannot be moved a little
    moved = numeric(x)
    return (
        {**({"x": moved} if moved.size else {}), **{name: each.array for name, each in parameters.items()}},
        f,
        gradients,
    )


def _loss(loss, x, t):
    """A loss, by its input."""

    def f():
        return loss_value(loss, "forward", loss.forward(x.copy(), t)), [], np.max(np.abs(x))

    def gradients():
        loss.forward(x.copy(), t)
        return {"x": loss.backward()}

    return {"x": x}, f, gradients


def _sequential(net, x, t):
    """A network of layers and a loss, through its layers in the modes that they are in."""
    parameters = {}
    # A layer of one's own is checked whether it names its arrays or not.
    gradient = net.gradient if _has_own(net, "gradient") else net._gradient
    names = {(id(layer), name): key for key, (layer, name) in net.params.places().items()}
    for place, layer in enumerate(net.layers):
        found = parameters_of(layer, f"layers[{place}].", lambda: gradient(x.copy(), t))
        for key, parameter in found.items():
            parameters[names.get((id(parameter.owner), parameter.name), key)] = parameter

    own_loss = _has_own(net, "loss") or _has_own(net, "predict")
    if own_loss and not _has_own(net, "predict"):
        evaluated, trained = net.predict(x.copy()), net.forward(x.copy())
        if not np.allclose(evaluated, trained, rtol=1e-9, atol=0):
            raise ValueError(
                f"{WHO} expects {name_of(net)}.loss, which evaluates, to be what gradient trains; "
                "got layers that compute otherwise in training, as batch normalisation does: "
                "call eval() first."
            )

    def f():
        if own_loss:
            return loss_value(net, "loss", net.loss(x.copy(), t)), [], 0
        out, sides = x.copy(), []
        for layer in net.layers:
            if _runs_without_memory(layer):  # as in the network's own gradient
                out = float64_output(layer, layer.run(out, layer.training)[0])
                sides += _sides(out <= 0 if hasattr(layer, "mask") else None)
            else:
                out = float64_output(layer, layer.forward(out))
                sides += _sides(getattr(layer, "mask", None))
        loss = loss_value(net.loss_layer, "forward", net.loss_layer.forward(out, t))
        return loss, sides, np.max(np.abs(out))

    def gradients():
        for parameter in parameters.values():
            parameter.forget_gradient()
        found = gradient(x.copy(), t)
        return {
            key: found.get(key) if key in net.params else parameter.gradient for key, parameter in parameters.items()
        }

    return {key: parameter.array for key, parameter in parameters.items()}, f, gradients


def _module(module, x, rng, loss=None, t=None):
    """A module that computes on Tensors, by their gradients; with a loss, by its parameters alone.

    Without one it is checked through the sum of its outputs times random numbers.
    """
    module.double()
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}

    def output(tensor):
        out = module(tensor)
        if not isinstance(out, TensorBase):
            raise TypeError(f"{WHO} expects {name_of(module)} to give a Tensor; got {described(out)}.")
        return out, float64_output(module, np.array(out.array))

    factors = rng.standard_normal(output(new(x.copy()))[1].shape)

    def f():
        _, out = output(new(x.copy()))
        if loss is None:
            return out * factors, [], 0
        return loss_value(loss, "forward", loss.forward(out, t)), [], np.max(np.abs(out))

    def gradients():
        module.zero_grad()
        tensor = new(x.copy(), requires_grad=True)
        out, array = output(tensor)
        if loss is None:
            dout = factors
        else:
            loss.forward(array, t)
            dout = loss.backward()
        if out.requires_grad:
            out.backward(new(dout))
        found = {"x": tensor, **parameters}
        return {  # no gradient is one of 0, as for what the output does not depend on
            name: np.zeros(each.array.shape) if each.grad is None else each.grad.array for name, each in found.items()
        }

    arrays = {name: parameter.array for name, parameter in parameters.items()}
    return arrays if loss else {"x": x, **arrays}, f, gradients


def _network(net, x, t):
    """A network of the user's own."""
    if not isinstance(net.params, Mapping):
        raise TypeError(f"{WHO} expects params as a mapping of names to arrays; got {type(net.params).__name__}.")
    for name, array in net.params.items():
        if not isinstance(array, np.ndarray) or array.dtype.newbyteorder("=") != checks.FLOAT64:
            raise TypeError(
                f"{WHO} expects params[{name!r}] as an array of float64, since differences in "
                f"less are too coarse; got {described(array)}."
            )

    def f():
        return loss_value(net, "loss", net.loss(x.copy(), t)), [], 0

    def gradients():
        found = net.gradient(x.copy(), t)
        if not isinstance(found, Mapping):
            raise TypeError(
                f"{WHO} expects gradient(x, t) to return a mapping of names to arrays; got {described(found)}."
            )
        return {name: found.get(name) for name in net.params}

    return dict(net.params), f, gradients


def _runs_without_memory(layer):
    """Whether the network runs a layer by `run`, not by a forward of the user's own."""
    return hasattr(layer, "run") and not layer.has_own_passes()


def _takes_tensors(thing):
    """Whether it is a module that computes on Tensors alone."""
    return hasattr(thing, "named_parameters") and not hasattr(thing, "backward")


def _sides(mask):
    """A layer's mask, if it is one, as a list of one."""
    return [mask] if isinstance(mask, np.ndarray) and mask.dtype == bool else []


def _has_own(net, method):
    """Whether the user's subclass brings such a method of its own: a loss with a penalty."""
    package = __name__.partition(".")[0]
    return getattr(type(net), method).__module__.partition(".")[0] != package


def _takes(function, *arguments):
    """Whether a function can be called with these arguments."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # a builtin, which does not say
        pass
    return True


def _refuse_dropout(subject):
    """Refuses dropout with a ratio above 0, in training mode."""
    held = list(vars(subject).values()) if hasattr(subject, "__dict__") else []
    for value in list(held):
        if isinstance(value, Mapping):
            held += value.values()
        elif isinstance(value, list | tuple):
            held += value
    for part in (subject, *held):
        if hasattr(part, "dropout_ratio") or type(part).__name__ == "Dropout":
            ratios = (getattr(part, name, None) for name in ("dropout_ratio", "ratio", "rate", "p"))
            ratio = next((r for r in ratios if r is not None), "unknown")
            training = getattr(subject, "training", True) and getattr(part, "training", True)
            if training and ratio != 0:
                raise ValueError(
                    f"{WHO} expects a network without active dropout, which makes the loss "
                    f"random; got {type(part).__name__} with ratio {ratio}: check without it, "
                    "or after eval()."
                )
