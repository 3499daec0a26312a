"""A program of steps as an ONNX model."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, files
from fastbp.export import activations, steps

if TYPE_CHECKING:
    from fastbp._typing import File

#: The first opset with Gelu, which runtimes since 2024 read, and the format's version beside it.
OPSET, IR_VERSION = 20, 9
#: Protobuf's limit of a message.
_MOST_BYTES = 2**31 - 1


def to_onnx(
    model: Any,
    path: File | None = None,
    *,
    shape: Sequence[int] | None = None,
    probabilities: bool = False,
    preprocessing: Any = None,
    classes: Sequence[str] | None = None,
) -> Any:
    """A network as an ONNX model, which needs no fastbp to predict.

    Parameters
    ----------
    model : Sequential, MLPClassifier or MLPRegressor
        It computes as in evaluation mode; an estimator prepares its rows, by `standardize` and `missing`.
    path : str, os.PathLike, file opened for bytes, or None
        Where the model is written too, whole or not at all.
    shape : sequence of int or None
        Of one sample, without the axis of rows.  None: the width of the first layer that has one.
        With several axes affine layers are of the last one, as they are of Tensors.
    probabilities : bool
        Whether softmax or sigmoid, as the loss has it, stand behind the outputs, as in
        `predict_proba`; else the outputs are those of `predict` of a Sequential, of
        `to_sequential()` of a classifier, and of `predict` of a regressor: means, or sorted quantiles.
    preprocessing : Preprocessing or None
        Of columns before the network, in float64, and of the outputs.
    classes : sequence of str or None
        The outputs' names, which are kept as metadata; None: a classifier's own.

    Returns
    -------
    onnx.ModelProto
        With "input" (batch, ...) and "output" (batch, ...) of the parameters' dtype, the input of
        float64 beside preprocessing, and names of columns and classes as JSON in its metadata.

    Raises
    ------
    TypeError
        For a layer, a method or a hook of a user's own.
    ValueError
        For shapes that do not fit, what has no probabilities, and parameters that are not finite.
    ImportError
        Without onnx.
    OSError
        For a path that cannot be written.

    Notes
    -----
    Numbers agree with `predict` to rounding: 1e-6 of the largest output in float32.  In float64 gelu
    takes erf in float32, as runtimes have it in no other, which keeps 1e-7.

    References
    ----------
    ONNX operators, https://onnx.ai/onnx/operators, opset 20.

    Examples
    --------
    >>> from fastbp import Linear, Relu, Sequential
    >>> from fastbp.export import to_onnx
    >>> net = Sequential(Linear(4, 8, seed=0), Relu(), Linear(8, 3, seed=1))
    >>> [node.op_type for node in to_onnx(net).graph.node]
    ['Gemm', 'Relu', 'Gemm']
    """
    who = "to_onnx"
    if path is not None and not hasattr(path, "write"):
        checks.path_to_write(who, path)
    program = steps.read(who, model, shape, probabilities, preprocessing, classes)
    try:
        import onnx
    except ImportError:
        raise checks.missing_extra("onnx", who, "onnx") from None
    size = sum(array.nbytes for step in program.steps for array in step if isinstance(array, np.ndarray))
    if size > _MOST_BYTES - 2**20:
        raise ValueError(f"{who} expects parameters of at most 2 GiB, an ONNX file's limit; got {size:,} bytes.")
    model = _model(onnx, program)
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        data = model.SerializeToString()
        path.write(data) if hasattr(path, "write") else files.write_whole(path, data)
    return model


def _model(onnx, program):
    graph = Graph(onnx, program.dtype)
    before, after = program.shapes[0], program.shapes[-1]
    columns = program.preprocessing
    if columns is not None:
        before = (columns.n_columns,)
    graph.name_output(computed(graph, Value(graph, "input"), program))
    helper, kind = onnx.helper, graph.kind(program.dtype)
    given = graph.kind(program.of_rows)
    made = onnx.helper.make_graph(
        graph.nodes,
        "fastbp",
        [helper.make_tensor_value_info("input", given, ["batch", *before])],
        [helper.make_tensor_value_info("output", kind, ["batch", *after])],
        graph.initializers,
        doc_string=f"A network of fastbp: {program.summary()}.",
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fastbp",
        producer_version=sys.modules["fastbp"].__version__,
    )
    names = {"classes": program.classes, "columns": None if columns is None else list(columns.columns)}
    helper.set_model_props(model, {name: json.dumps(value) for name, value in names.items() if value})
    return model


def computed(graph: Any, x: Any, program: Any) -> Any:
    """The outputs of a program for rows x, a `Value` of the program's `of_rows`."""
    columns = program.preprocessing
    if columns is not None:
        x = _prepared(graph, x if program.of_rows == np.float64 else x.cast(np.float64), columns)
    for step, shape, result in zip(program.steps, program.shapes, program.shapes[1:], strict=False):
        x = _WRITERS[type(step)](graph, x, step, shape, result)
    return x if columns is None else _restored(graph, x, columns, program.shapes[-1])


# --- the graph ------------------------------------------------------------------------------


class Graph:
    """The nodes and the arrays of a graph in the making."""

    onnx: Any
    dtype: Any

    def __init__(self, onnx: Any, dtype: Any) -> None:
        self.onnx, self.dtype = onnx, dtype
        self.nodes: list = []
        self.initializers: list = []
        self._counts: dict[str, int] = {}

    def kind(self, dtype: Any) -> Any:
        """ONNX's number of a dtype."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def _named(self, name):
        self._counts[name] = count = self._counts.get(name, 0) + 1
        return f"{name}{count}"

    def array(self, name: Any, array: Any, dtype: Any = None) -> Any:
        """A constant: the k-th W is called Wk, as in `params`."""
        array = np.asarray(array, self.dtype if dtype is None else dtype)
        tensor = self.onnx.numpy_helper.from_array(array, self._named(name))
        self.initializers.append(tensor)
        return Value(self, tensor.name)

    def add(self, op: Any, *inputs: Any, outputs: Any = 1, **attributes: Any) -> Any:
        """A node of Values (None: left out); its output, or several."""
        name = self._named(op)
        outs = [name] if outputs == 1 else [f"{name}_{k}" for k in range(outputs)]
        names = ["" if value is None else value.name for value in inputs]
        while names and not names[-1]:
            names.pop()
        self.nodes.append(self.onnx.helper.make_node(op, names, outs, name, **attributes))
        values = [Value(self, out) for out in outs]
        return values[0] if outputs == 1 else values

    def name_output(self, value: Any) -> None:
        """Call a value "output"."""
        if value.name == "input":
            value = self.add("Identity", value)
        for node in self.nodes:
            node.input[:] = ["output" if name == value.name else name for name in node.input]
            node.output[:] = ["output" if name == value.name else name for name in node.output]


class Value:
    """A value of a graph, whose arithmetic adds nodes."""

    graph: Any
    name: Any

    def __init__(self, graph: Any, name: Any) -> None:
        self.graph, self.name = graph, name

    def op(self, name: Any, **attributes: Any) -> Any:
        """The value through an operator of one input."""
        return self.graph.add(name, self, **attributes)

    def _with(self, op, other, turned=False):
        other = other if isinstance(other, Value) else self.graph.array("number", other)
        return self.graph.add(op, *((other, self) if turned else (self, other)))

    def __add__(self, other: Any) -> Any:
        return self._with("Add", other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._with("Sub", other)

    def __rsub__(self, other: Any) -> Any:
        return self._with("Sub", other, turned=True)

    def __mul__(self, other: Any) -> Any:
        return self._with("Mul", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._with("Div", other)

    def __gt__(self, other: Any) -> Any:
        return self._with("Greater", other)

    def __le__(self, other: Any) -> Any:
        return self._with("LessOrEqual", other)

    def __neg__(self) -> Any:
        return self.op("Neg")

    def where(self, one: Any, other: Any) -> Any:
        """`one` where the value, a bool, is true, and else `other`."""
        one, other = (v if isinstance(v, Value) else self.graph.array("number", v) for v in (one, other))
        return self.graph.add("Where", self, one, other)

    def clip(self, low: Any, high: Any) -> Any:
        """The value between two bounds, which may be infinite."""
        value = self
        for op, bound in (("Max", low), ("Min", high)):
            value = value if math.isinf(bound) else value._with(op, bound)
        return value

    def cast(self, dtype: Any) -> Any:
        """The value in another dtype."""
        return self.op("Cast", to=self.graph.kind(dtype))

    def erf(self) -> Any:
        """Of float32, as runtimes have it in no other."""
        if self.graph.dtype == np.float32:
            return self.op("Erf")
        return self.cast(np.float32).op("Erf").cast(self.graph.dtype)


# --- each step ------------------------------------------------------------------------------


def _affine(graph, x, step, shape, result):
    W = graph.array("W", step.W)
    b = None if step.b is None else graph.array("b", step.b)
    if len(shape) == 1 and b is not None:
        return graph.add("Gemm", x, W, b)
    out = graph.add("MatMul", x, W)
    return out if b is None else out + b


def _embed(graph, x, step, shape, result):
    """A row of NaN stands behind each table, for what is no category."""
    parts = []
    for column, table in enumerate(step.tables):
        size, width = table.shape
        code = graph.add("Gather", x, graph.array("column", column, np.int64), axis=1)
        zero, most = (graph.array("number", number) for number in (0, size - 1))
        own = graph.add("Equal", code, graph.add("Clip", code.op("Floor"), zero, most))
        row = own.where(code, float(size)).cast(np.int64)
        padded = np.concatenate([table, np.full((1, width), np.nan)])
        parts.append(graph.add("Gather", graph.array("E", padded), row, axis=0))
    n = len(parts)
    if n < shape[0]:
        numeric = graph.array("columns", np.arange(n, shape[0]), np.int64)
        parts.append(graph.add("Gather", x, numeric, axis=1))
    return graph.add("Concat", *parts, axis=1)


def _scale(graph, x, step, shape, result):
    mean, factor, shift = step
    x = x - graph.array("mean", mean) if mean.any() else x
    x = x * graph.array("factor", factor)
    return x + graph.array("shift", shift) if shift.any() else x


def _activation(graph, x, step, shape, result):
    row = activations.ROWS[step.name]
    if row.native is not None and graph.dtype == np.float32:
        op, attributes = row.native(*step.numbers)
        if op is not None:
            return x.op(op, **attributes)
    return row.nodes(x, *step.numbers)


def _exp(graph, x, step, shape, result):
    return x.op("Exp")


def _slope(graph, x, step, shape, result):
    slope = graph.array("slope", step.slope)
    if graph.dtype == np.float32:
        return graph.add("PRelu", x, slope)
    return (x > 0).where(x, slope * x)


def _normal(graph, x, step, shape, result):
    factor, shift = graph.array("factor", step.factor), graph.array("shift", step.shift)
    return graph.add("LayerNormalization", x, factor, shift, axis=-step.factor.ndim, epsilon=step.eps)


def _softmax(graph, x, step, shape, result):
    return x.op("LogSoftmax" if step.logarithm else "Softmax", axis=step.axis + 1)


def _gate(graph, x, step, shape, result):
    value, gate = graph.add("Split", x, outputs=2, axis=step.axis + 1, num_outputs=2)
    return value * gate.op("Sigmoid")


def _reshape(graph, x, step, shape, result):
    if result == (math.prod(shape),):
        return x.op("Flatten")
    return graph.add("Reshape", x, graph.array("shape", (0, *result), np.int64))  # 0: as many rows


def _each(graph, x, step, shape, result):
    begin, end, axis, k = (graph.array("range", [n], np.int64) for n in (0, shape[-1], len(shape), step.k))
    return graph.add("Slice", x, begin, end, axis, k)


def _sort(graph, x, step, shape, result):
    return graph.add("TopK", x, graph.array("count", [shape[-1]], np.int64), outputs=2, axis=-1, largest=0)[0]


def _both(graph, x, step, shape, result):
    return graph.add("Concat", 1 - x, x, axis=1)


_WRITERS = {
    steps.Affine: _affine,
    steps.Embed: _embed,
    steps.Scale: _scale,
    steps.Activation: _activation,
    steps.Exp: _exp,
    steps.Slope: _slope,
    steps.Normal: _normal,
    steps.Softmax: _softmax,
    steps.Gate: _gate,
    steps.Reshape: _reshape,
    steps.Each: _each,
    steps.Sort: _sort,
    steps.Both: _both,
}


# --- columns --------------------------------------------------------------------------------


def _prepared(graph, x, columns):
    """The network's inputs of the columns, in float64 and then in the network's dtype."""
    column, shift, scale, missing, indicator, equals, categories = columns.arrays()
    own = graph.dtype
    graph.dtype = np.dtype(np.float64)
    if column.tolist() != list(range(columns.n_columns)):
        x = graph.add("Gather", x, graph.array("columns", column, np.int64), axis=1)
    absent = x.op("IsNaN")
    coded = ~np.isnan(equals)
    values = x
    limited = ~np.isnan(categories)
    if limited.any():
        lowest, most = (graph.array("category", np.where(limited, bound, 0)) for bound in (0, categories - 1))
        near = graph.add("Min", graph.add("Max", x.op("Floor"), lowest), most)
        known = graph.add("Or", graph.add("Equal", x, near), graph.array("number", ~limited, bool))
        values = known.where(values, -1.0)
    if not np.isnan(missing).all():
        values = absent.where(graph.array("missing", missing), values)
    if coded.any():
        same = graph.add("Equal", x, graph.array("category", equals)).cast(np.float64)
        values = graph.array("coded", coded, bool).where(same, values)
    if indicator.any():
        values = graph.array("indicator", indicator, bool).where(absent.cast(np.float64), values)
    values = values - graph.array("shift", shift) if shift.any() else values
    values = values / graph.array("scale", scale) if (scale != 1).any() else values
    graph.dtype = own
    if values is x:
        graph.nodes.pop()  # of what is absent, which nobody asks for
    return values.cast(own) if own != np.float64 else values


def _restored(graph, x, columns, shape):
    """The target of the outputs."""
    arrays = [np.broadcast_to(np.ravel(one), (math.prod(shape),)).reshape(shape) for one in columns[2:]]
    shift, scale = arrays
    x = x * graph.array("scale", scale) if (scale != 1).any() else x
    return x + graph.array("shift", shift) if shift.any() else x
