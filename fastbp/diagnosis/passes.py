"""One forward and backward through a model that leaves no trace on it, with what every layer saw.

A layer of the library is two functions without memory, which are called as they are; whatever keeps
something of a pass (running statistics, a layer or a module of one's own) is called as a copy.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import random
import sys
import warnings
from typing import Any

import numpy as np

from fastbp._kernels.autograd import TensorBase
from fastbp.diagnosis.subjects import Part
from fastbp.layers import Layer
from fastbp.layers.base import takes_train_flg
from fastbp.losses import Loss
from fastbp.modules import Module

__all__ = ["Pass", "Seen", "pass_through"]


@dataclasses.dataclass
class Seen:
    """What a layer saw.

    Attributes
    ----------
    part : Part
    x, out : numpy.ndarray
        (n_rows, ...): what went in and came out.
    dout : numpy.ndarray or None
        The mean loss's gradient by `out`.
    grads : dict of str to numpy.ndarray
        "W", (n_in, n_out), and "b" of an affine layer.
    """

    part: Part
    x: np.ndarray
    out: np.ndarray
    dout: np.ndarray | None = None
    grads: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Pass:
    """A forward, and a backward where the loss took the targets.

    Attributes
    ----------
    seen : list of Seen
        In the order in which the layers were called.
    y : numpy.ndarray
        The output.
    loss : float or None
        The mean loss.
    refused : str
        What the loss said of targets that it does not take; "" where it took them.
    last : str
        The name of the function of tensors that made the output, where that is known.
    random_at_evaluation : float
        The share of outputs that two evaluations gave differently.
    """

    seen: list
    y: np.ndarray
    loss: float | None = None
    refused: str = ""
    last: str = ""
    random_at_evaluation: float = 0.0


def pass_through(subject: Any, x: Any, t: Any) -> Any:
    """The `Pass` of rows x and targets t, or None.

    Normalisation is as in training, by the statistics of these rows, and dropout drops nothing, so that
    the numbers are the network's own.
    """
    with _random_state_kept(), np.errstate(all="ignore"):
        return (_on_tensors if subject.on_tensors else _on_arrays)(subject, x, t)


@contextlib.contextmanager
def _random_state_kept():
    """Put the shared streams of random numbers back, from which layers of one's own may draw."""
    kept = random.getstate(), np.random.get_state()  # noqa: NPY002
    module = sys.modules.get("fastbp.autograd.random")
    rng = module.default_generator.rng if module is not None else None
    state = None if rng is None else rng.bit_generator.state
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
        if rng is not None:
            rng.bit_generator.state = state


# --- arrays ------------------------------------------------------------------------------------


def _on_arrays(subject, x, t):
    called: dict[int, tuple] = {}
    seen, steps = [], []
    y = x
    for part in subject.parts:
        layer, functional = called.setdefault(id(part.layer), _to_call(part, len(x)))
        if functional:
            out, saved = layer.run(y, part.role == "batch_norm" and len(x) > 1)
        else:
            told = {"train_flg": part.role != "dropout"} if takes_train_flg(layer) else {}
            out, saved = layer.forward(y, **told), None
        # A layer of one's own may write into what it was given, as the book's Relu does not.
        seen.append(Seen(part, y, out if functional else np.array(out)))
        steps.append((layer, functional, saved))
        y = out
    found = Pass(seen, np.asarray(y), random_at_evaluation=_randomness(subject, x))
    if subject.loss is None or t is None:
        return found
    loss = subject.loss
    loss = copy.copy(loss) if isinstance(loss, Loss) else copy.deepcopy(loss)
    try:
        found.loss = float(loss.forward(y, t))
        dout = loss.backward()
    except (ValueError, TypeError, IndexError) as error:
        found.refused = f"{error}"
        return found
    for each, (layer, functional, saved) in zip(reversed(seen), reversed(steps), strict=True):
        each.dout = np.asarray(dout)
        if functional:
            dout, grads = layer.pullback(saved, dout)
            if each.part.role == "affine":
                each.grads = dict(zip(("W", "b"), grads, strict=False))
        else:
            dout = layer.backward(np.array(dout))
            if each.part.role == "affine":
                own = {name: getattr(layer, f"d{name}", None) for name in ("W", "b")}
                each.grads = {name: np.array(grad) for name, grad in own.items() if grad is not None}
    return found


def _to_call(part, n_rows):
    """What is called in a layer's place, and whether by its two functions."""
    layer = part.layer
    functional = (
        isinstance(layer, Layer)
        and not layer.has_own_passes()
        and vars(layer).keys().isdisjoint(("forward", "backward"))
    )
    if functional and part.role in ("affine", "activation", "same", "dropout", "embedding"):
        return layer, True
    return _copied(layer), functional


def _copied(thing):
    """A copy, on which a pass may leave what it likes."""
    try:
        return copy.deepcopy(thing)
    except Exception as error:
        raise TypeError(
            f"diagnose expects a model that copy.deepcopy copies, as it looks at a copy; got {type(thing).__name__}, "
            f"where it says {f'{error}'.rstrip('.')}."
        ) from error


def _randomness(subject, x):
    """The share of outputs that differ between two evaluations, where a layer of one's own may draw."""
    layers = [part.layer for part in subject.parts if not isinstance(part.layer, Layer)]
    if not layers or subject.on_tensors:
        return 0.0
    answers = []
    for _ in range(2):
        y = x
        for part in subject.parts:
            layer = _copied(part.layer)
            told = {"train_flg": False} if takes_train_flg(layer) else {}
            if isinstance(layer, Layer):
                y = layer.evaluate(y)
                continue
            if hasattr(layer, "train_flg"):
                layer.train_flg = False
            y = layer.forward(y, **told)
        answers.append(np.array(y))
    return _differing(*answers)


def _differing(one, other):
    if one.shape != other.shape or not one.size:
        return 0.0
    return float(np.mean(~np.isclose(one, other, rtol=1e-6, atol=0, equal_nan=True)))


# --- tensors -----------------------------------------------------------------------------------


def _on_tensors(subject, x, t):
    from fastbp.autograd import enable_grad, from_numpy, no_grad

    parameter = next((p for p in subject.model.parameters() if p.is_floating_point()), None)
    if parameter is not None and x.dtype != parameter.array.dtype and x.dtype.kind == "f":
        x = x.astype(parameter.array.dtype)
    twin = _copied(subject.model)
    modules = [module for module in twin.modules() if isinstance(module, Module)]
    for module in modules:
        object.__setattr__(module, "_hooks", None)
    randomness = 0.0
    _set_modes(modules, False)
    with no_grad():
        answers = [np.array(_array(twin(from_numpy(x.copy())))) for _ in range(2)]
    randomness = _differing(*answers)
    _set_modes(modules, True)
    names = {id(part.layer): part for part in subject.parts}
    pairs = dict(zip(map(id, modules), (m for m in subject.model.modules() if isinstance(m, Module)), strict=False))
    called: list[tuple] = []

    def hook(module, given, out):
        part = names.get(id(pairs.get(id(module))))
        if part is not None and isinstance(out, TensorBase) and given and isinstance(given[0], TensorBase):
            if out.requires_grad and not out.is_leaf:
                out.retain_grad()
            called.append((Seen(part, np.array(given[0].array), np.array(out.array)), out, module))

    for module in modules:
        module.register_forward_hook(hook)
    with enable_grad():
        for p in twin.parameters():
            p.grad = None
        y = twin(from_numpy(x.copy()))
        found = Pass([each for each, *_ in called], _array(y), random_at_evaluation=randomness)
        node = getattr(y, "grad_fn", None)
        found.last = node.name().removesuffix("Backward0") if node is not None else ""
        if subject.loss is None or t is None or not isinstance(y, TensorBase):
            return found
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of shapes that broadcast, which is a finding
                value = _loss_of_tensors(subject.loss, y, t)
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            found.refused = f"{error}"
            return found
        if np.size(_array(value)) != 1:
            shape = _array(value).shape
            raise TypeError(
                f"diagnose expects loss as a function that gives one number; got an array of shape {shape}."
            )
        found.loss = float(_array(value).item())
        if isinstance(value, TensorBase) and value.requires_grad:
            value.backward()
    for each, out, module in called:
        if out.grad is not None:
            each.dout = np.array(out.grad.array)
        if each.part.role == "affine":
            for name, own in (("W", "weight"), ("b", "bias")):
                grad = getattr(getattr(module, own, None), "grad", None)
                if grad is not None:
                    each.grads[name] = np.array(grad.array.T if name == "W" else grad.array)
    return found


def _set_modes(modules, training):
    for module in modules:
        is_dropout = any("Dropout" in kind.__name__ for kind in type(module).__mro__)
        object.__setattr__(module, "training", training and not is_dropout)


def _loss_of_tensors(loss, y, t):
    """A book's loss takes arrays for targets, a module's or a function takes tensors."""
    if isinstance(loss, Loss):
        return copy.copy(loss).forward(y, t)
    from fastbp.autograd import from_numpy

    t = np.asarray(t)
    if t.dtype.kind == "f" and t.dtype != y.array.dtype:
        t = t.astype(y.array.dtype)
    return copy.deepcopy(loss)(y, from_numpy(np.array(t)))


def _array(value: Any) -> np.ndarray:
    array = value.array if isinstance(value, TensorBase) else value
    if not isinstance(array, np.ndarray | np.generic | float):
        raise TypeError(f"diagnose expects a model and a loss that give one Tensor; got a {type(value).__name__}.")
    return np.asarray(array)
