"""The graph behind a tensor as vertices and arrows with their texts."""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastbp import autograd
from fastbp.graph import text

if TYPE_CHECKING:
    from fastbp.autograd import Tensor

MOST = 1000  # operations in one picture

#: Symbols of operations by their names without "Backward0"; of others the name itself.
_SYMBOLS = {
    "Add": "+",
    "Sub": "−",
    "Rsub": "−",
    "Mul": "×",
    "Div": "/",
    "Neg": "−x",
    "Reciprocal": "1/x",
    "Pow": "**",
    "Mm": "dot",
    "Mv": "dot",
    "Dot": "dot",
    "Bmm": "dot",
    "Addmm": "linear",
    "LinalgVectorNorm": "norm",
    "ToCopy": "to",
    "T": "T",
    "NllLoss2D": "nll_loss",
}

#: Losses that PyTorch calls by their last step, which takes one input, and a loss two.
_OF_PAIRS = {"Mean0": "l1_loss", "Sum0": "l1_loss", "Abs0": "l1_loss", "Div1": "cross_entropy", "Neg0": "cross_entropy"}


@dataclass
class Vertex:
    """An "input", a "constant", an "operation", a "fork" of a value, or the "end"."""

    kind: str
    text: str = ""

    @property
    def ordered(self) -> Any:
        """Whether it matters which input is the first."""
        return self.kind == "operation" and self.text not in ("+", "×")


@dataclass
class Arrow:
    """A value that goes from one vertex to another, and the derivative that comes back."""

    source: int
    target: int
    above: str = ""
    below: str = ""


@dataclass
class Graph:
    """Vertices, and the arrows into each of them in the order of its inputs."""

    vertices: list[Vertex] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)

    def add(self, kind: Any, text_: Any = "") -> Any:
        """The number of a new vertex."""
        self.vertices.append(Vertex(kind, text_))
        return len(self.vertices) - 1


def read(out: Tensor, names: dict[Any, Any], gradient: Tensor | None = None) -> Any:
    """The graph of a tensor.

    Parameters
    ----------
    out : Tensor
        The result of recorded operations.
    names : dict
        As of `named`.
    gradient : Tensor, optional
        Of out's shape.
    """
    nodes = _nodes(out.grad_fn)
    gradients: list = []
    totals = autograd.sweep(out, gradient, gradients)
    return _Reader(out, nodes, names, totals, gradients).read()


def named(pairs: Any) -> Any:
    """{key: name} for (name, tensor) pairs, under all keys that a tensor has in a graph."""
    keys = {}
    for name, tensor in pairs:
        keys[id(tensor.array), 0] = name
        keys[id(tensor.grad_fn or tensor), tensor.output_nr] = name
    return keys


def _nodes(root):
    """All nodes from a root on, in the order of their making."""
    found, waiting = {root}, [root]
    while waiting:
        node = waiting.pop()
        if node.freed:
            raise RuntimeError(
                "draw expects a graph that is still there; got one that backward has freed: draw "
                "it before backward, or call backward(retain_graph=True)."
            )
        fresh = {t for t in node.inputs if isinstance(t, autograd.Node)} - found
        found |= fresh
        waiting += fresh
        if len(found) > MOST:
            raise ValueError(f"draw expects a graph of at most {MOST} operations; got more: draw a part of it.")
    return sorted(found, key=lambda node: node.sequence)


def symbol(node, gradient=None):
    """The symbol of an operation: ×, exp, **2.

    `gradient` is the derivative by its first input.  PyTorch calls cross-entropy by its last step,
    nll_loss; its derivatives by a row's scores, softmax(x) - t, add up to 0.

    Examples
    --------
    >>> x = autograd.tensor(2.0, requires_grad=True)
    >>> symbol((x * 2).grad_fn), symbol((x**2).grad_fn), symbol(x.log_softmax(0).grad_fn)
    ('×', '**2', 'log_softmax')
    """
    name, _, number = node.name().partition("Backward")
    if len(node.inputs) == 2 and name + number in _OF_PAIRS:
        return _OF_PAIRS[name + number]
    if name.startswith("NllLoss") and gradient is not None:
        sums = gradient.sum(min(1, gradient.ndim - 1))
        if gradient.any() and (abs(sums) <= 1e-3 * abs(gradient).max()).all():
            return "cross_entropy"
    if name == "Pow" and len(node.inputs) == 1:
        return f"**{text.number(node.constants[1])}"
    return _SYMBOLS.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _is_number(value):
    return isinstance(value, float | int)


class _Reader:
    """Makes the vertices; a value that several operations take goes to them through a fork.

    The key of a value is (id of the node, leaf or constant array, which output of the node).
    """

    def __init__(self, out: Any, nodes: Any, names: Any, totals: Any, gradients: Any) -> None:
        self.out, self.nodes, self.names = out, nodes, names
        self.graph = Graph()
        self.sources: dict[Any, Any] = {}  # key: the vertex that its arrows start from, the text above them
        self.totals = {id(target): total for target, total in totals.items()}
        self.backwards: defaultdict = defaultdict(deque)  # derivatives by node and key
        for node, target, output, array in gradients:
            self.backwards[id(node), id(target), output].append(array)
        self.uses = Counter(key for node in nodes for key, *_ in _inputs(node))
        self.uses[id(out.grad_fn), out.output_nr] += 1
        self.outputs = defaultdict(list)
        for key in self.uses:
            self.outputs[key[0]].append(key)
        self.quotients = {node: inner for node in nodes if (inner := self.divisor(node))}

    def divisor(self, node: Any) -> Any:
        """The node of 1 / x, where `node` is that of c * (1 / x), which c / x makes."""
        inner = node.inputs[0] if node.inputs else None
        if (
            node.name() == "MulBackward0"
            and _is_number(node.constants[1])
            and isinstance(inner, autograd.Node)
            and inner.name() == "ReciprocalBackward0"
            and self.uses[id(inner), 0] == 1
            and (id(inner), 0) not in self.names
        ):
            return inner
        return None

    def read(self) -> Any:
        hidden = set(self.quotients.values())
        for node in self.nodes:
            if node not in hidden:
                self.add_operation(node)
        key = id(self.out.grad_fn), self.out.output_nr
        source, above = self.sources[key]
        # The name stands at the end.
        self.arrow(source, self.graph.add("end", self.names.get(key, "")), _value_in(above), self.total(key))
        return self.graph

    def add_operation(self, node):
        inner = self.quotients.get(node)
        came = [self.backwards[id(node), *key] for key, *_ in _inputs(node)]
        sign = symbol(node, came[0][0] if came and came[0] else None)
        if inner is not None:
            constant = node.constants[1]
            sign = "1/x" if constant == 1 else "/"
        vertex = self.graph.add("operation", sign)
        if sign == "/" and inner is not None:
            self.arrow(self.graph.add("constant", text.number(constant)), vertex)
        reads = inner or node
        for key, leaf, constant in _inputs(reads):
            source, above = self.source(key, leaf, constant)
            came = self.backwards[id(reads), *key]
            self.arrow(source, vertex, above, text.numbers(came.popleft()) if came else "")
        for key in self.outputs[id(node)]:
            above = self.value(node, key)
            self.add_value(key, vertex, f"{self.names[key]} = {above}" if key in self.names else above)

    def source(self, key: Any, leaf: Any, constant: Any) -> Any:
        """Where an arrow of a value starts, and the text above it."""
        if key in self.sources:
            return self.sources[key]
        name = self.names.get(key)
        if leaf is not None:
            return self.add_value(key, self.graph.add("input", name or ""), text.numbers(leaf.array))
        if name is None:
            return self.graph.add("constant", text.numbers(constant)), ""
        return self.add_value(key, self.graph.add("constant", name), text.numbers(constant))

    def add_value(self, key: Any, vertex: Any, above: Any) -> tuple[Any, Any]:
        """Note what a vertex gives, behind a fork where it is used more than once."""
        if self.uses[key] > 1:
            fork = self.graph.add("fork")
            self.arrow(vertex, fork, above, self.total(key))
            vertex, above = fork, _value_in(above)
        self.sources[key] = vertex, above
        return vertex, above

    def value(self, node: Any, key: Any) -> Any:
        """A result, as text: of the first its numbers, of others the shape."""
        if key[1] == 0:
            return str(node.shape) if node.result is None else text.numbers(node.result)
        totals = self.totals.get(id(node))  # a derivative has its value's shape
        return "" if totals is None else str(totals[key[1]].shape)

    def total(self, key: Any) -> Any:
        """The derivative by a value, as text."""
        total = self.totals.get(key[0])
        if isinstance(total, list):
            total = total[key[1]]
        return "" if total is None else text.numbers(total)

    def arrow(self, source: Any, target: Any, above: Any = "", below: Any = "") -> Any:
        self.graph.arrows.append(Arrow(source, target, above, below))


def _inputs(node):
    """(key, leaf or None, constant or None) of each input; a node is neither."""
    outputs = [output for _, output in node.next_functions]
    for target, output, constant in zip(node.inputs, outputs, node.constants, strict=False):
        if target is not None:
            yield (id(target), output), None if isinstance(target, autograd.Node) else target, None
        elif constant is not None:
            yield (id(constant), 0), None, constant


def _value_in(above):
    return above.rpartition(" = ")[2]
