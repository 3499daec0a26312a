"""The picture of a computational graph: values above the arrows, derivatives below them.

It is read (`reading`), laid out (`layout`), drawn (`drawing`, `text`) and shown (`picture`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fastbp import autograd, checks
from fastbp.graph import drawing, reading
from fastbp.graph.picture import Picture, suffix_of

if TYPE_CHECKING:
    from fastbp._typing import Path
    from fastbp.autograd import Tensor

__all__ = ["Picture", "draw"]


#: Control characters and what else is no text in an SVG.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def draw(
    out: Tensor,
    names: dict[Any, Any] | Iterable[Any] | None = None,
    path: Path | None = None,
    gradient: Tensor | None = None,
) -> Any:
    """Draw the computational graph of a tensor from left to right, before `backward`.

    Inputs and constants stand in boxes, operations in circles.  Above each arrow is the value
    that goes along it, below it the derivative of `out` that comes back; a value that several
    operations take forks at a dot, before which the derivative is the sum of those behind it.
    Large arrays are shown by their shapes.

    Parameters
    ----------
    out : Tensor
        The result of recorded operations.  Its graph is left as it is, and so is every `grad`.
    names : dict or iterable of (str, Tensor), optional
        Names of inputs, constants and results, as {name: tensor}, {tensor: name} or pairs, such
        as ``model.named_parameters()``.  Those of tensors that are not in the graph are left out.
    path : str or os.PathLike, optional
        File to write, ending in .svg, .png (which needs matplotlib) or .dot.
    gradient : Tensor, optional
        Of out's shape, as for `backward`: the derivative that out is given; 1 of a single number.

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
        For a tensor without a graph, or one that backward has freed; for several elements
        without `gradient`; where a number that a derivative needs was changed in place.

    Examples
    --------
    >>> apple = autograd.tensor(100.0, requires_grad=True)
    >>> count = autograd.tensor(2.0, requires_grad=True)
    >>> picture = draw(apple * count, {"apple": apple, "count": count})
    >>> [text.content for text in picture.texts]
    ['×', 'apple', 'count', '100', '2', '2', '100', '200', '1']
    """
    checks.instance("draw", "out", out, autograd.Tensor, "a Tensor")
    if path is not None:
        suffix_of("draw", path)
    if out.grad_fn is None:
        raise RuntimeError(
            "draw expects out as the result of recorded operations on tensors that require grad; "
            "got a tensor without a graph."
        )
    if gradient is None and out.numel() != 1:
        raise RuntimeError(
            f"draw expects a gradient unless out is a single number; got out of shape {tuple(out.shape)}."
        )
    graph = reading.read(out, reading.named(_pairs(names)), gradient)
    picture = drawing.drawn(graph)
    if path is not None:
        picture.save(path)
    return picture


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
