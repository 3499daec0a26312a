"""fastbp's estimators for skl2onnx, which makes one ONNX model of a whole pipeline of scikit-learn's."""

from __future__ import annotations

import numpy as np

from fastbp.export import onnx_file, steps

#: The first opset whose Softmax is of one axis.
_OLDEST = 13
#: skl2onnx's own options of classifiers.
_OPTIONS = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [True, False]}


def register_skl2onnx() -> None:
    """Let skl2onnx convert `MLPClassifier` and `MLPRegressor`, alone and within pipelines.

    Once in a process, before `skl2onnx.to_onnx` or `skl2onnx.convert_sklearn`.  The numbers are those
    of `predict` and `predict_proba`, rows prepared as `standardize` and `missing` say; a classifier has
    skl2onnx's options of classifiers, and its classes are texts, whole numbers or truth values.

    Raises
    ------
    ImportError
        Without skl2onnx or scikit-learn.

    Notes
    -----
    A `target_opset` that is older than 13, or than an activation (Gelu's is 20), is a ValueError.

    References
    ----------
    skl2onnx, https://onnx.ai/sklearn-onnx, "Implement a new converter".

    Examples
    --------
    >>> from fastbp.export import register_skl2onnx
    >>> register_skl2onnx()
    """
    try:
        import skl2onnx
    except ImportError:
        raise ImportError("register_skl2onnx needs skl2onnx, which pip install skl2onnx brings.") from None
    from fastbp.estimators import MLPClassifier, MLPRegressor

    skl2onnx.update_registered_converter(
        MLPClassifier, "FastbpMLPClassifier", _classifier_shapes, _classifier, options=_OPTIONS
    )
    skl2onnx.update_registered_converter(MLPRegressor, "FastbpMLPRegressor", _regressor_shapes, _regressor)


def _who(operator):
    return f"skl2onnx of {type(operator.raw_operator).__name__}"


def _classes(operator):
    """The classes as skl2onnx wants them: int64, or texts as objects."""
    from skl2onnx.common.utils_classifier import get_label_classes
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(operator.raw_operator)
    classes = np.asarray(get_label_classes(operator.scope_inst, operator.raw_operator))
    if classes.dtype.kind in "iub" or (classes.dtype.kind == "f" and (classes == np.rint(classes)).all()):
        return classes.astype(np.int64)
    if all(isinstance(name, str) for name in classes.tolist()):
        return classes.astype(object)
    raise ValueError(f"{_who(operator)} expects classes of texts or whole numbers; got {classes.tolist()[0]!r}.")


def _classifier_shapes(operator):
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    _require_one_input(operator)
    classes, n = _classes(operator), operator.inputs[0].get_first_dimension()
    several = getattr(operator.raw_operator, "_multilabel", False)
    kind = StringTensorType if classes.dtype == object else Int64TensorType
    operator.outputs[0].set_type(Int64TensorType([n, len(classes)]) if several else kind([n]))
    operator.outputs[1].type.shape = [n, len(classes)]


def _regressor_shapes(operator):
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    _require_one_input(operator)
    shape = steps.read(_who(operator), operator.raw_operator).shapes[-1]
    given = operator.inputs[0]
    kind = DoubleTensorType if isinstance(given.type, DoubleTensorType) else FloatTensorType
    operator.outputs[0].set_type(kind([given.get_first_dimension(), *shape]))


def _require_one_input(operator):
    """What a fitted estimator takes: one array of numbers."""
    from skl2onnx.common import data_types, utils

    utils.check_input_and_output_numbers(operator, input_count_range=1)
    names = ("BooleanTensorType", "DoubleTensorType", "FloatTensorType", "Int64TensorType")
    utils.check_input_and_output_types(operator, [getattr(data_types, name) for name in names])


def _classifier(scope, operator, container):
    graph, proba = _outputs(operator, probabilities=True)
    if getattr(operator.raw_operator, "_multilabel", False):
        labels = (proba > 0.5).cast(np.int64)
    else:
        classes = _classes(operator)
        labels = graph.add("Gather", graph.array("classes", classes, classes.dtype), _largest(graph, proba))
    _add(scope, operator, container, graph, [labels, proba])


def _largest(graph, proba):
    return graph.add("ArgMax", proba, axis=1, keepdims=0)


def _regressor(scope, operator, container):
    graph, y = _outputs(operator)
    _add(scope, operator, container, graph, [y])


def _outputs(operator, probabilities=False):
    """A graph, and the program's outputs in it, computed in the dtype in which `predict` computes."""
    import onnx
    from skl2onnx.common.data_types import FloatTensorType

    program = steps.read(_who(operator), operator.raw_operator, None, probabilities)
    of_rows = np.float32 if isinstance(operator.inputs[0].type, FloatTensorType) else np.float64
    dtype = np.result_type(of_rows, program.dtype)
    program = program._replace(dtype=dtype, given=None if program.preprocessing is None else np.dtype(np.float64))
    graph = onnx_file.Graph(onnx, dtype)
    return graph, onnx_file.computed(graph, onnx_file.Value(graph, "input").cast(program.of_rows), program)


def _add(scope, operator, container, graph, values):
    """Put a graph into skl2onnx's, its values into the operator's outputs."""
    import onnx

    names = {"input": operator.inputs[0].full_name, "": ""}
    for variable, value in zip(operator.outputs, values, strict=True):
        whole = value.op("Cast", to=variable.type.to_onnx_type().tensor_type.elem_type)
        names[whole.name] = variable.full_name
    for tensor in graph.initializers:
        names[tensor.name] = tensor.name = scope.get_unique_variable_name(tensor.name)
        container.initializers.append(tensor)
    for node in graph.nodes:
        version = _version(operator, node, container.target_opset_onnx)
        for name in node.output:
            names.setdefault(name, scope.get_unique_variable_name(name))
        container.add_node(
            node.op_type,
            [names[name] for name in node.input],
            [names[name] for name in node.output],
            op_version=version,
            name=scope.get_unique_operator_name(node.op_type),
            **{each.name: onnx.helper.get_attribute_value(each) for each in node.attribute},
        )


def _version(operator, node, target):
    """The version of a node's operator in an opset, which has to be as new as the node."""
    from onnx import defs

    opset = min(target, onnx_file.OPSET)
    if opset >= _OLDEST and defs.has(node.op_type, opset, ""):
        schema = defs.get_schema(node.op_type, opset)
        if all(each.name in schema.attributes for each in node.attribute):
            return schema.since_version
    least = _OLDEST if opset < _OLDEST else defs.get_schema(node.op_type, onnx_file.OPSET).since_version
    raise ValueError(f"{_who(operator)} expects target_opset of at least {least}, for {node.op_type}; got {target}.")
