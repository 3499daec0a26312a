"""`summary`: a table of a model's layers, their output shapes and numbers of parameters."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastbp import checks
from fastbp._kernels.autograd import TensorBase, no_grad
from fastbp.autograd import Size, zeros
from fastbp.autograd.tensor import on_cpu
from fastbp.modules import Module, evaluating

if TYPE_CHECKING:
    pass

__all__ = ["ModelSummary", "summary"]

HEADERS = {
    "input_size": "Input Shape",
    "output_size": "Output Shape",
    "num_params": "Param #",
    "mult_adds": "Mult-Adds",
}
NAME_WIDTH = 40


class _Row:
    """One call of a module: its place in the tree, and what went in and out."""

    def __init__(self, module: Any, given: Any = None, out: Any = None, inner: Any = (), again: bool = False) -> None:
        self.module = module
        self.input_shape, self.shape = _shape(given), _shape(out)
        self.out_bytes = _first(out).nbytes if _first(out) is not None else 0
        self.inner = list(inner)
        self.again = again  # called before, or within a module that was
        self.depth = 0

    @property
    def is_leaf(self) -> bool:
        return not self.module._modules

    def counts(self, whole: Any) -> tuple[Any, Any]:
        """(all, trained) parameters: its own, or with `whole` those within too."""
        parameters = list(self.module.parameters(recurse=whole))
        return (sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad))

    def mult_adds(self) -> Any:
        """Multiplications with parameters, of all samples."""
        if self.shape is None or not self.is_leaf:
            return 0
        return self.counts(False)[0] * (self.shape[0] if self.shape else 1)


def _first(value):
    """The first tensor of a result."""
    while isinstance(value, tuple | list) and value:
        value = value[0]
    if isinstance(value, dict):
        return _first(list(value.values()))
    return value if isinstance(value, TensorBase) else None


def _shape(value):
    tensor = _first(value)
    return None if tensor is None else tuple(tensor.shape)


class ModelSummary:
    """What `summary` found; its text is the table.

    Attributes
    ----------
    total_params, trainable_params : int
    total_mult_adds : int
        Multiplications with parameters in a forward.
    total_input, total_output_bytes, total_param_bytes : int
        Bytes of the input, of the results of layers with parameters, there and back, and of
        the parameters.
    """

    def __init__(self, model: Any, root: Any, inputs: Any, columns: Any, width: Any, depth: Any) -> None:
        self._rows = list(_flat(root, 0))
        self._columns, self._width, self._depth = columns, width, depth
        parameters = list(model.parameters())
        self.total_params: int = sum(p.numel() for p in parameters)
        self.trainable_params: int = sum(p.numel() for p in parameters if p.requires_grad)
        self.total_mult_adds: int = sum(row.mult_adds() for row in self._rows)
        self.total_input: int = sum(t.nbytes for t in inputs)
        self.total_output_bytes: int = sum(
            2 * row.out_bytes for row in self._rows if row.is_leaf and row.counts(False)[0]
        )
        self.total_param_bytes: int = sum(p.nbytes for p in parameters)
        self._has_input = bool(inputs)

    def _cell(self, row, column):
        if column == "input_size":
            return "--" if row.input_shape is None else str(list(row.input_shape))
        if column == "output_size":
            return "--" if row.shape is None else str(list(row.shape))
        if column == "mult_adds":
            return f"{row.mult_adds():,}" if row.mult_adds() else "--"
        count, trained = row.counts(whole=row.depth == self._depth)
        if not count:
            return "--"
        if row.again:
            return "(recursive)"
        return f"{count:,}" if trained else f"({count:,})"

    def _repr_html_(self) -> str:
        from fastbp import markup

        return markup.preformatted(self)

    def __str__(self):
        rows = [row for row in self._rows if row.depth <= self._depth]
        places: dict[int, int] = {}
        names = []
        for row in rows:
            name = row.module.type_name()
            if row.depth:
                places[row.depth] = places.get(row.depth, 0) + 1
                corner = "├─" if row.depth == 1 else "│    " * (row.depth - 1) + "└─"
                name = f"{corner}{name}: {row.depth}-{places[row.depth]}"
            names.append(name)
        name_width = max([NAME_WIDTH, *(math.ceil(len(n) / 5) * 5 for n in names)])
        line = "=" * (name_width + len(self._columns) * self._width)
        cells = [[self._cell(row, column) for column in self._columns] for row in rows]
        heading = ["Layer (type:depth-idx)", *(HEADERS[column] for column in self._columns)]
        widths = [name_width, *(self._width for _ in self._columns)]
        table = [
            " ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [heading, *([name, *row] for name, row in zip(names, cells, strict=True))]
        ]
        totals = [
            f"Total params: {self.total_params:,}",
            f"Trainable params: {self.trainable_params:,}",
            f"Non-trainable params: {self.total_params - self.trainable_params:,}",
        ]
        sizes = []
        if self._has_input:
            totals.append("Total mult-adds ({}): {:.2f}".format(*_scaled(self.total_mult_adds)))
            shares = [self.total_input, self.total_output_bytes, self.total_param_bytes]
            names = ["Input", "Forward/backward pass", "Params", "Estimated Total"]
            sizes = [
                f"{name} {'Size' if name == 'Estimated Total' else 'size'} (MB): {size / 1e6:.2f}"
                for name, size in zip(names, [*shares, sum(shares)], strict=True)
            ] + [line]
        return "\n".join([line, table[0], line, *table[1:], line, *totals, line, *sizes])

    __repr__ = __str__


def _scaled(number):
    """A unit and a number of it."""
    for unit, size in (("T", 1e12), ("G", 1e9)):
        if number >= size:
            return unit, number / size
    return "M", number / 1e6


def _flat(row, depth):
    row.depth = depth
    yield row
    for inner in row.inner:
        yield from _flat(inner, depth + 1)


def summary(
    model: Module,
    input_size: Any = None,
    input_data: Any = None,
    batch_dim: int | None = None,
    col_names: Sequence[str] | None = None,
    col_width: int = 25,
    depth: int = 3,
    device: Any = None,
    dtypes: Sequence[Any] | None = None,
    verbose: int | None = None,
) -> ModelSummary:
    """A table of a model's layers, as torchinfo has it.

    A forward in evaluation mode, without gradients, finds the shapes; the model and the stream
    of random numbers are as before.

    Parameters
    ----------
    model : Module
    input_size : sequence of int, or of such sequences
        The shape of the input, or of each of several; the input is zeros.
    input_data : Tensor, or sequence of them, optional
        The input itself.  Without it and `input_size` nothing is computed, and shapes are left
        out.
    batch_dim : int, optional
        Where to add a dimension of length 1 to `input_size`.
    col_names : sequence of str, optional
        Of "input_size", "output_size", "num_params" and "mult_adds".
    col_width : int
    depth : int
        How deep in the tree of modules the table goes.
    device : "cpu"
    dtypes : sequence of dtype, optional
        Of each input; by default that of the first parameter.
    verbose : {0, 1, 2} or None
        0 prints nothing, and others the table.  None prints it in a program; in a notebook and at a
        prompt, which show a line's value, it prints nothing.

    Returns
    -------
    ModelSummary

    Raises
    ------
    TypeError, ValueError
        For what is no Module, or columns that are not offered.

    Examples
    --------
    >>> from fastbp import nn
    >>> found = summary(nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3)), (1, 4))
    ==========================================================================================
    Layer (type:depth-idx)                   Output Shape              Param #
    ==========================================================================================
    Sequential                               [1, 3]                    --
    ├─Linear: 1-1                            [1, 10]                   50
    ├─ReLU: 1-2                              [1, 10]                   --
    ├─Linear: 1-3                            [1, 3]                    33
    ==========================================================================================
    Total params: 83
    Trainable params: 83
    Non-trainable params: 0
    Total mult-adds (M): 0.00
    ==========================================================================================
    Input size (MB): 0.00
    Forward/backward pass size (MB): 0.00
    Params size (MB): 0.00
    Estimated Total Size (MB): 0.00
    ==========================================================================================
    >>> found.total_params
    83
    """
    checks.instance("summary", "model", model, Module, "a Module")
    on_cpu("summary", device)
    inputs = _inputs(model, input_size, input_data, batch_dim, dtypes)
    if col_names is None:
        col_names = ("output_size", "num_params") if inputs else ("num_params",)
    for name in checks.sequence("summary", "col_names", col_names, "names of columns"):
        checks.choice("summary", "col_names", name, tuple(HEADERS))
    root = _called(model, inputs) if inputs else _described(model, set())
    found = ModelSummary(model, root, inputs, tuple(col_names), col_width, depth)
    if verbose if verbose is not None else not hasattr(sys, "ps1"):
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        print(str(found).encode(encoding, "replace").decode(encoding))
    return found


def _inputs(model, input_size, input_data, batch_dim, dtypes):
    if input_data is not None:
        data = input_data
        if isinstance(data, TensorBase):
            data = [data]
        for tensor in checks.sequence("summary", "input_data", data, "Tensors"):
            checks.instance("summary", "input_data", tensor, TensorBase, "Tensors")
        return list(data)
    if input_size is None:
        return []
    sizes = checks.sequence("summary", "input_size", input_size, "lengths")
    sizes = [sizes] if all(isinstance(n, int) for n in sizes) else sizes
    sizes = [checks.sequence("summary", "input_size", size, "lengths") for size in sizes]
    if batch_dim is not None:
        batch_dim = checks.integer("summary", "batch_dim", batch_dim, least=-sys.maxsize)
        sizes = [(*size[:batch_dim], 1, *size[batch_dim:]) for size in map(tuple, sizes)]
    if dtypes is None:
        first = next((p for p in model.parameters() if p.is_floating_point()), None)
        dtypes = [None if first is None else first.dtype] * len(sizes)
    dtypes = checks.sequence("summary", "dtypes", dtypes, "dtypes")
    if len(dtypes) != len(sizes):
        raise ValueError(f"summary expects dtypes for {checks.plural(len(sizes), 'input')}; got {len(dtypes)}.")
    return [zeros(Size(size), dtype=kind) for size, kind in zip(sizes, dtypes, strict=True)]


def _called(model, inputs):
    """The tree of calls of a forward; modules that only hold others are put in their places."""
    finished: list[_Row] = []
    seen: set[int] = set()

    def hook(module, given, out):
        within = {id(part) for part in module.modules()} - {id(module)}
        start = len(finished)
        while start and id(finished[start - 1].module) in within:
            start -= 1
        inner = _grouped(module, finished[start:])
        del finished[start:]
        finished.append(_Row(module, given, out, inner, id(module) in seen))
        seen.add(id(module))

    handles = [module.register_forward_hook(hook) for module in model.modules()]
    try:
        with evaluating(model), no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return finished[-1]


def _grouped(module, rows):
    """`rows` under the holders among a module's parts that they belong to."""
    holders: dict[int, Module] = {}
    for part in module._modules.values():
        if isinstance(part, Module) and type(part).forward is Module.forward:
            holders.update((id(inside), part) for inside in part.modules())
    grouped: list[_Row] = []
    for row in rows:
        holder = holders.get(id(row.module))
        if holder is None:
            grouped.append(row)
            continue
        if not (grouped and grouped[-1].module is holder):
            grouped.append(_Row(holder, again=any(g.module is holder for g in grouped)))
        grouped[-1].inner.append(row)
    for row in grouped:
        if type(row.module).forward is Module.forward:
            row.inner = _grouped(row.module, row.inner)
    return grouped


def _described(module, seen):
    """The tree of modules, without a forward."""
    again = id(module) in seen
    seen.add(id(module))
    inner = [_described(part, seen) for part in module._modules.values() if isinstance(part, Module)]
    return _Row(module, inner=inner, again=again)
