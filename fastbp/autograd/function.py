"""`Function`: an operation of one's own, with the gradient that its author writes."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd.tensor import Tensor

__all__ = ["Function"]


class Context:
    """What `forward` leaves to `backward`: attributes of any name, and saved tensors.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of `forward` whether its gradient is wanted.
    saved_tensors : tuple of Tensor
        What `save_for_backward` was given.
    """

    def __init__(self, needs: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs
        self.saved_tensors: tuple[Tensor, ...] = ()
        self._constant: list[Tensor] = []
        self._fills = True

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep tensors, or None; a change in place of one is an error in backward."""
        for x in tensors:
            if x is not None:
                checks.instance("save_for_backward", "tensors", x, core.TensorBase, "Tensors")
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Results that need no gradient, as indices do not."""
        self._constant = list(tensors)

    def set_materialize_grads(self, value: bool) -> None:
        """Whether a result that nobody used has a gradient of zeros in backward, in place of None.

        Here it has zeros in any case, so only True is taken.
        """
        if not checks.flag("set_materialize_grads", "value", value):
            raise NotImplementedError(
                "set_materialize_grads expects True, as a gradient that nobody gave is zeros; got False."
            )

    def mark_dirty(self, *tensors: Tensor) -> NoReturn:
        """Not offered: `forward` has to leave its arguments as they are."""
        raise NotImplementedError(
            "A Function expects a forward that leaves its arguments as they are; got mark_dirty: "
            "compute a new tensor, without methods that end in an underscore."
        )


class Function:
    """An operation of one's own: `forward` computes it, `backward` its gradients.

    A subclass writes both as static methods and is called by ``apply``.  Nothing is recorded
    within them.  The gradients are plain numbers: gradients of gradients are not offered.

    Examples
    --------
    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad_output):
    ...         (x,) = ctx.saved_tensors
    ...         return grad_output * 3 * x**2
    >>> x = Tensor([2.0]).requires_grad_()
    >>> Cube.apply(x)
    tensor([8.], grad_fn=<CubeBackward>)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor([12.])
    """

    def __init__(self, *arguments: Any) -> None:
        who = type(self).__name__
        raise TypeError(f"{who} expects to be called by {who}.apply(...); got {who}(...).")

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """The result of the arguments, a tensor or a tuple; `ctx` goes to `backward`."""
        raise NotImplementedError("A Function expects a static method forward; got none.")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> Any:
        """Where a subclass has it: what `forward`, then without `ctx`, leaves to `backward`."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradient by each argument of `forward`, None where there is none."""
        raise NotImplementedError("A Function expects a static method backward; got none.")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """The operation on these arguments, recorded where one of them requires grad.

        Raises
        ------
        TypeError, RuntimeError
            In backward, for gradients of another number, kind or shape than the arguments.
        """
        tensors = tuple(x if isinstance(x, core.TensorBase) else None for x in args)
        recorded = core.is_grad_enabled()
        ctx = Context(tuple(recorded and x is not None and x.requires_grad for x in tensors))
        with core.no_grad():
            if cls.setup_context is Function.setup_context:
                out = cls.forward(ctx, *args)
            else:
                out = cls.forward(*args)
                cls.setup_context(ctx, args, out)
        results = out if isinstance(out, tuple) else (out,)
        for each in results:
            checks.instance(f"{cls.__name__}.forward", "its results", each, core.TensorBase, "Tensors")
        results = _recorded(cls, ctx, tensors, results)
        return results if isinstance(out, tuple) else results[0]


def _recorded(cls, ctx, tensors, results):
    """The results, of which the floats that are not marked otherwise have a node."""
    flows = [x.is_floating_point() and not any(x is y for y in ctx._constant) for x in results]
    inputs = [x.array for x in tensors if x is not None]
    arrays = tuple(_apart(x.array, inputs) for x, has in zip(results, flows, strict=True) if has)
    if not arrays:
        return results
    kept = tuple(_kept(x, arrays) for x in ctx.saved_tensors)
    ctx.saved_tensors = ()  # the node has them as arrays
    shapes = [None if x is None else (x.array.shape, x.dtype) for x in tensors]
    unused = [None if has else np.zeros_like(x.array) for x, has in zip(results, flows, strict=True)]

    def gradients(saved, dout, needs):
        ctx.saved_tensors = tuple(None if x is None else core.new(x) for x in saved)
        came = iter(dout if isinstance(dout, list) else [dout])
        return _gradients(cls, ctx, shapes, [next(came) if x is None else x for x in unused])

    out = arrays if len(arrays) > 1 else arrays[0]
    node: Any = core.node(cls.__name__ + "Backward", out, tensors, gradients, kept)
    made = iter(node if len(arrays) > 1 else [node])
    return tuple(next(made) if has else x for x, has in zip(results, flows, strict=True))


def _apart(result, inputs):
    """The array of a result, which may not be an argument's memory."""
    return result.copy("K") if any(np.may_share_memory(result, x) for x in inputs) else result


def _kept(saved, results):
    """A saved tensor as `node` keeps it: it watches the array of one result for changes."""
    if saved is None or all(saved.array is not x for x in results):
        return saved
    return saved.array if len(results) == 1 else saved.array.copy("K")


def _gradients(cls, ctx, inputs, douts):
    """The arrays that `backward` gives, one of each argument's shape and dtype or None."""
    with core.no_grad():
        result = cls.backward(ctx, *[core.new(x.copy("K")) for x in douts])
    result = result if isinstance(result, tuple) else (result,)
    who = f"{cls.__name__}.backward"
    if len(result) < len(inputs) or any(x is not None for x in result[len(inputs) :]):
        raise RuntimeError(
            f"{who} expects to give a gradient, or None, for each of the "
            f"{len(inputs)} arguments of forward; got {len(result)}."
        )
    return tuple(_fitting(who, place, x, wanted) for place, (x, wanted) in enumerate(zip(result, inputs, strict=False)))


def _fitting(who, place, gradient, wanted):
    if gradient is None:
        return None
    if wanted is None:
        raise RuntimeError(
            f"{who} expects None for argument {place} of forward, which was no "
            f"Tensor; got {checks.described(gradient)}."
        )
    checks.instance(who, f"the gradient by argument {place}", gradient, core.TensorBase, "a Tensor")
    shape, dtype = wanted
    if gradient.array.shape != shape:
        raise RuntimeError(
            f"{who} expects the gradient by argument {place} of its shape {shape}; got {gradient.array.shape}."
        )
    return gradient.array.astype(dtype.dtype, copy=False)
