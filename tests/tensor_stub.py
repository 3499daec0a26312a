"""The stubs of tensors' functions and methods, attached by tables: `python tests/tensor_stub.py` writes them."""

import inspect
from pathlib import Path

import fastbp
from fastbp._kernels.autograd import TensorBase
from fastbp.autograd import _NO_OUT, PUBLIC, keywords

FOLDER = Path(fastbp.__file__).parent
HEAD = '''"""{}; tests/tensor_stub.py writes this file."""

import builtins
from collections.abc import Callable, Sequence
from typing import Any, Literal

from fastbp._typing import Array, ArrayLike, Dim, DTypeLike, Number, Shape, TensorLike
'''
#: What `_kernels/autograd.pyi` says itself.
SAID = {"array", "backward", "data", "grad", "has_hooks", "requires_grad"}

#: Types of arguments by their names; of what is not here any is taken.
ARGUMENTS = {
    "Dim": "dim dims",
    "Shape": "shape size sizes repeats shifts source destination",
    "builtins.int": "dim0 dim1 start_dim end_dim diagonal chunks k m n length steps minlength num_samples seed "
    "decimals",
    "builtins.bool": "keepdim descending stable largest sorted requires_grad equal_nan return_counts return_inverse "
    "replacement as_tuple mode warn_only unbiased copy non_blocking force",
    "Number": "alpha beta base atol rtol step correction ddof nan posinf neginf",
    "TensorLike": "input other exponent index src values weights mask condition tensor1 tensor2 mat1 mat2 weight end "
    "min max mean std value fill_value start low high",
    "DTypeLike": "dtype",
    "Sequence[TensorLike]": "tensors",
    "builtins.str": "equation",
    "Generator | None": "generator",
    "_device | builtins.str | None": "device",
    'Literal["trunc", "floor"]': "rounding_mode",
    'Literal["ij", "xy"]': "indexing",
    "ArrayLike": "data array",
}
ARGUMENT = {name: kind for kind, names in ARGUMENTS.items() for name in names.split()}
#: What else one function takes under a name.
EXCEPT = {
    ("split", "split_size_or_sections"): "Shape",
    ("gather", "dim"): "builtins.int",
    ("norm", "p"): 'Number | Literal["fro", "nuc"]',
    ("bernoulli", "p"): "Number",
    ("movedim", "source"): "Shape",
    ("index_add", "source"): "TensorLike",
    ("narrow", "start"): "builtins.int",
    ("select", "index"): "builtins.int",
    ("repeat_interleave", "repeats"): "Shape | TensorLike",
    ("meshgrid", "tensors"): "TensorLike",
    ("einsum", "operands"): "TensorLike",
    ("FloatTensor", "data"): "builtins.int | ArrayLike | Tensor",
    ("max", "dim"): "Dim | TensorLike",
    ("min", "dim"): "Dim | TensorLike",
    ("to", "arguments"): "DTypeLike | _device | Tensor | None",
    ("type", "dtype"): "DTypeLike",
}
#: What a result of several tensors is written into.
OUT = dict.fromkeys(("sort", "topk"), "Sequence[Tensor] | None") | dict.fromkeys(
    ("max", "min", "median", "nonzero"), "Tensor | Sequence[Tensor] | None"
)
RESULTS = {
    "builtins.bool": "allclose equal is_tensor is_contiguous",
    "builtins.int": "numel nelement dim initial_seed seed element_size",
    "tuple[Tensor, ...]": "split chunk unbind meshgrid",
    "ValuesIndices": "sort topk",
    "Any": "max min median unique nonzero type",
    "None": "use_deterministic_algorithms retain_grad",
    "Generator": "manual_seed",
    "builtins.float | builtins.int | builtins.bool": "item",
    "Array": "numpy",
}
RESULT = {name: kind for kind, names in RESULTS.items() for name in names.split()}
ATTRIBUTES = {
    "T": "Tensor",
    "mT": "Tensor",
    "device": "_device",
    "dtype": "_dtype",
    "grad_fn": "Node | Any",
    "shape": "Size",
    "itemsize": "builtins.int",
    "nbytes": "builtins.int",
    "ndim": "builtins.int",
    "output_nr": "builtins.int",
}


def members():
    """Name and value of what is public and stands in no class statement of Python's."""
    found = vars(TensorBase) | vars(fastbp.autograd.Tensor)
    here = "fastbp.autograd.tensor"
    return {
        name: value
        for name, value in sorted(found.items())
        if not name.startswith("_") and name not in SAID and getattr(value, "__module__", None) != here
    }


def definition(name, value, first=""):
    """Its line; `first` is self in place of a function's tensor."""
    given = _parameters(value)
    if [each.name for each in given] == ["self", "arguments", "keywords"]:  # a change of what the function gives
        given = _parameters(PUBLIC.get(name.removesuffix("_"), value))
    given = given[1:] if first else given
    told, behind = [first] if first else [], False
    for each in given:
        kind = _type_of(name.removesuffix("_"), each)
        if each.kind is each.VAR_POSITIONAL:
            told.append(f"*{each.name}: {kind}")
            behind = True
        elif each.kind is not each.VAR_KEYWORD:
            if each.kind is each.KEYWORD_ONLY and not behind:
                told.append("*")
                behind = True
            told.append(f"{each.name}: {kind}" + ("" if each.default is each.empty else " = ..."))
    more = ["**keywords: Any"] if given and given[-1].kind is given[-1].VAR_KEYWORD else _others(name, given)
    told += more if behind or not more or more[0].startswith("**") else ["*", *more]
    result = RESULT.get(f".{name}" if first else name, RESULT.get(name, "Tensor"))
    return f"def {name}({', '.join(told)}) -> {result}: ..."


def _others(name, given):
    """PyTorch's and NumPy's keywords beside a function's own, as `autograd.keywords` takes them."""
    names = {each.name: each for each in given}
    found = [f"{alias}: {ARGUMENT[of]} = ..." for alias, of in keywords.ALIASES.items() if of in names]
    if name not in _NO_OUT and name in PUBLIC:
        found.append(f"out: {OUT.get(name, 'Tensor | None')} = ...")
    return found


def _type_of(name, parameter):
    kind = EXCEPT.get((name, parameter.name)) or ARGUMENT.get(parameter.name, "Any")
    if parameter.default is None and "None" not in kind and kind not in ("Any", "Dim"):
        kind += " | None"
    return kind


def _parameters(function):
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:  # a compiled one that tells nothing
        return list(inspect.signature(lambda self, *arguments, **keywords: None).parameters.values())


def methods():
    """The text of `_kernels/tensor_methods.pyi`."""
    lines = [
        f"    {definition(name, value, 'self')}\n"
        if callable(value)
        else f"    @property\n    def {name}(self) -> {ATTRIBUTES.get(name, 'builtins.bool')}: ...\n"
        for name, value in members().items()
    ]
    return (
        HEAD.format("Of tensors what is compiled or attached by fastbp.autograd")
        + "from fastbp._kernels.autograd import Node\n"
        + "from fastbp.autograd.random import Generator\n"
        + "from fastbp.autograd.reductions import ValuesIndices\n"
        + "from fastbp.autograd.tensor import Size, Tensor, device\n"
        + "from fastbp.dtypes import dtype\n\n"
        + "_device = device\n_dtype = dtype\n\nclass Methods:\n"
        + "".join(lines)
    )


#: What `fastbp.autograd` has by import, and of itself.
OTHERS = """
from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi
from types import SimpleNamespace

from fastbp._kernels.autograd import AccumulateGrad as AccumulateGrad
from fastbp._kernels.autograd import Node as Node
from fastbp._kernels.autograd import backward as backward
from fastbp._kernels.autograd import enable_grad as enable_grad
from fastbp._kernels.autograd import inference_mode as inference_mode
from fastbp._kernels.autograd import is_grad_enabled as is_grad_enabled
from fastbp._kernels.autograd import no_grad as no_grad
from fastbp._kernels.autograd import node as node
from fastbp._kernels.autograd import set_grad_enabled as set_grad_enabled
from fastbp._kernels.autograd import sweep as sweep
from fastbp._kernels.autograd import view as view_node
from fastbp.autograd import grad_mode as grad_mode
from fastbp.autograd import variable as variable
from fastbp.autograd.function import Function as Function
from fastbp.autograd.printing import set_printoptions as set_printoptions
from fastbp.autograd.random import Generator as Generator
from fastbp.autograd.reductions import ValuesIndices
from fastbp.autograd.tensor import Parameter as Parameter
from fastbp.autograd.tensor import Size as Size
from fastbp.autograd.tensor import Tensor as Tensor
from fastbp.autograd.tensor import as_tensor as as_tensor
from fastbp.autograd.tensor import device as _device
from fastbp.autograd.tensor import device as device
from fastbp.autograd.tensor import from_numpy as from_numpy
from fastbp.autograd.tensor import is_tensor as is_tensor
from fastbp.autograd.tensor import tensor as tensor
from fastbp.dtypes import dtype as dtype
from fastbp.dtypes import get_default_dtype as get_default_dtype
from fastbp.dtypes import promote_types as promote_types
from fastbp.dtypes import set_default_dtype as set_default_dtype

EXPORTED: list[str]
PUBLIC: dict[str, Any]
cuda: SimpleNamespace
backends: SimpleNamespace
default_generator: Generator

def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = ...,
    retain_graph: builtins.bool | None = ...,
    create_graph: builtins.bool = ...,
    only_inputs: builtins.bool = ...,
    allow_unused: builtins.bool | None = ...,
    is_grads_batched: builtins.bool = ...,
    materialize_grads: builtins.bool = ...,
) -> tuple[Tensor, ...]: ...
def Variable(data: ArrayLike | Tensor, requires_grad: builtins.bool = ...) -> Tensor: ...
"""


def functions():
    """The text of `autograd/__init__.pyi`."""
    dtypes = [name for name, value in PUBLIC.items() if isinstance(value, fastbp.dtype)]
    called = [name for name, value in PUBLIC.items() if callable(value) and not isinstance(value, type)]
    called = [name for name in called if name not in dtypes]
    return (
        HEAD.format("Tensors, their functions and dtypes")
        + OTHERS
        + "".join(f"{definition(name, PUBLIC[name])}\n" for name in called)
        + "".join(f"{name}: dtype\n" for name in dtypes)
    )


STUBS = {FOLDER / "_kernels" / "tensor_methods.pyi": methods, FOLDER / "autograd" / "__init__.pyi": functions}

if __name__ == "__main__":
    for path, text in STUBS.items():
        path.write_text(text())
