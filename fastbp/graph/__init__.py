"""The picture of a computational graph: values above the arrows, derivatives below them.

It is read (`reading`), laid out (`layout`, `wrapping`), drawn (`drawing`, `text`) and shown (`picture`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastbp import autograd, checks
from fastbp.graph import drawing, reading
from fastbp.graph.picture import Picture, suffix_of
from fastbp.modules import Module, evaluating

__all__ = ["Picture", "draw"]


#: Control characters and what else is no text in an SVG.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def draw(out, names=None, path=None, gradient=None, input=None):
    """Draw the computational graph of a tensor, or of a network, from left to right, before `backward`.

    Inputs and constants stand in boxes, operations in circles.  Above each arrow is the value
    that goes along it, below it the derivative of `out` that comes back; a value that several
    operations take forks at a dot, before which the derivative is the sum of those behind it.
    Numbers of short arrays are rounded, and large arrays are shown by their shapes.  A wide graph
    is broken into rows, whose arrows go on behind circles of one number.

    Parameters
    ----------
    out : Tensor or Module
        The result of recorded operations.  Its graph is left as it is, and so is every `grad`.
        Or a network, which is evaluated on `input`, and whose parameters bear their names.
    names : dict or iterable of (str, Tensor), optional
        Names of inputs, constants and results, as {name: tensor}, {tensor: name} or pairs, such
        as ``model.named_parameters()``.  Those of tensors that are not in the graph are left out.
    path : str or os.PathLike, optional
        File to write, ending in .svg, .png (which needs matplotlib) or .dot.
    gradient : Tensor, optional
        Of out's shape, as for `backward`: the derivative that out is given; 1 of a single number,
        and of each of a network's outputs.
    input : Tensor or array_like, optional
        A network's sample, (n, n_features).

    Returns
    -------
    Picture
        Shown inline in notebooks, with `save` and `to_dot`.

    Raises
    ------
    TypeError, ValueError
        For what is no tensor, names that are given twice, another file's name, or more than 1000
        operations.
    RuntimeError
        For a tensor without a graph, or one that backward has freed; for a tensor of several
        elements without `gradient`; where a number that a derivative needs was changed in place.

    Examples
    --------
    >>> apple = autograd.tensor(100.0, requires_grad=True)
    >>> count = autograd.tensor(2.0, requires_grad=True)
    >>> picture = draw(apple * count, {"apple": apple, "count": count})
    >>> [text.content for text in picture.texts]
    ['×', 'apple', 'count', '100', '2', '2', '100', '200', '1']
    """
    pairs = _pairs(names)
    if path is not None:
        suffix_of("draw", path)
    if isinstance(out, Module):
        out, pairs = _evaluated(out, input, pairs)
        gradient = autograd.ones_like(out) if gradient is None else gradient
    elif input is not None:
        raise TypeError(f"draw expects input beside a network; got it beside {checks.shown(out)}.")
    checks.instance("draw", "out", out, autograd.Tensor, "a Tensor or a network")
    if out.grad_fn is None:
        raise RuntimeError(
            "draw expects out as the result of recorded operations on tensors that require grad; "
            "got a tensor without a graph."
        )
    if gradient is None and out.numel() != 1:
        raise RuntimeError(
            f"draw expects a gradient unless out is a single number; got out of shape {tuple(out.shape)}."
        )
    graph = reading.read(out, reading.named(pairs), gradient)
    picture = drawing.drawn(graph)
    if path is not None:
        picture.save(path)
    return picture


def _evaluated(net, sample, pairs):
    """A network's result for a sample, and the names of both and of the parameters, if they have none."""
    if sample is None:
        raise ValueError("draw expects a network with a sample; got no input: hand it input=x[:1].")
    x = sample if isinstance(sample, autograd.Tensor) else autograd.tensor(checks.floats("draw", "input", sample))
    kind = next((p.dtype for p in net.parameters() if p.is_floating_point()), x.dtype)
    given = x
    if x.is_floating_point():
        x = x.detach().to(kind).requires_grad_()
    with evaluating(net):
        y = net(x)
    pairs = [(name, x if tensor is given else tensor) for name, tensor in pairs]
    taken = {id(tensor) for _, tensor in pairs}
    own = [*net.named_parameters(), ("x", x), ("y", y)]
    return y, [*pairs, *((name, tensor) for name, tensor in own if id(tensor) not in taken)]


def _pairs(names):
    """(name, tensor) pairs, of which neither comes twice."""
    if names is None:
        return []
    items = names.items() if isinstance(names, Mapping) else names
    items = checks.sequence("draw", "names", items, "pairs of a str and a Tensor")
    pairs = []
    for item in items:
        pair = tuple(item) if isinstance(item, tuple | list) else (item,)
        if len(pair) == 2 and isinstance(pair[1], str):
            pair = pair[::-1]
        if len(pair) != 2 or not isinstance(pair[0], str) or not autograd.is_tensor(pair[1]):
            raise TypeError(f"draw expects names as a dict or pairs of a str and a Tensor; got {checks.shown(item)}.")
        if _UNWRITABLE.search(pair[0]):
            raise ValueError(f"draw expects names that XML can hold; got {checks.shown(pair[0])}.")
        pairs.append(pair)
    for what, kept in (("name", [name for name, _ in pairs]), ("tensor", [id(tensor) for _, tensor in pairs])):
        for i, one in enumerate(kept):
            if one in kept[:i]:
                first = pairs[kept.index(one)]
                raise ValueError(
                    f"draw expects each {what} once in names; got {first[0]!r} and "
                    f"{pairs[i][0]!r} for " + ("two tensors." if what == "name" else "one tensor.")
                )
    return pairs
