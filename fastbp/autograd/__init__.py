"""`Tensor` and PyTorch's functions of it: arrays that remember the operations they came from.

Every function is also a method.  Where layers and losses make nodes, and where the picture of
a graph reads it, is `node`, `view` and `sweep`.
"""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Sequence
from math import e, inf, nan, pi
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from fastbp import checks, dtypes
from fastbp._kernels import autograd as _core
from fastbp._kernels.autograd import (
    AccumulateGrad,
    Node,
    TensorBase,
    backward,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    node,
    set_grad_enabled,
    sweep,
)
from fastbp._kernels.autograd import view as view_node
from fastbp.autograd import arithmetic as _arithmetic
from fastbp.autograd import combined as _combined
from fastbp.autograd import elementwise as _elementwise
from fastbp.autograd import factories as _factories
from fastbp.autograd import indexing as _indexing
from fastbp.autograd import inplace as _inplace
from fastbp.autograd import keywords as _keywords
from fastbp.autograd import random as _random
from fastbp.autograd import reductions as _reductions
from fastbp.autograd import shapes as _shapes
from fastbp.autograd.function import Function
from fastbp.autograd.printing import set_printoptions
from fastbp.autograd.tensor import Parameter, Size, Tensor, as_tensor, device, from_numpy, is_tensor, tensor
from fastbp.dtypes import dtype, get_default_dtype, promote_types, set_default_dtype
from fastbp.missing import attribute_error
from fastbp.operations.activations import ACTIVATIONS as _ACTIVATIONS

if TYPE_CHECKING:
    from fastbp._typing import ArrayLike

#: Functions by the file that has them; all but those of _FUNCTIONS are methods, too.
_METHODS = {
    _arithmetic: "add sub mul div floor_divide remainder fmod pow maximum minimum eq ne lt le gt "
    "ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor "
    "bitwise_not equal isclose allclose matmul mm mv dot bmm outer masked_fill clamp heaviside "
    "atan2",
    _combined: "addcmul addcdiv lerp addmm clamp_min clamp_max",
    _elementwise: "exp expm1 exp2 log log2 log10 log1p sqrt rsqrt reciprocal sin cos tan asin acos "
    "atan sinh cosh tanh sigmoid relu abs sign floor ceil trunc square frac round neg positive erf "
    "isnan isinf isfinite nan_to_num softmax log_softmax",
    _reductions: "sum mean prod cumsum cumprod var std norm logsumexp max min amax amin argmax "
    "argmin any all median sort argsort topk unique bincount nonzero count_nonzero",
    _indexing: "index_select gather masked_select take scatter scatter_add index_add",
    _shapes: "reshape flatten ravel unflatten squeeze unsqueeze permute transpose t movedim "
    "broadcast_to clone repeat_interleave split chunk unbind narrow select flip roll diag tril "
    "triu numel",
}
_FUNCTIONS = {
    _arithmetic: "where rsub",
    _combined: "einsum",
    _shapes: "cat stack hstack vstack meshgrid",
    _random: "Generator manual_seed seed initial_seed use_deterministic_algorithms rand "
    "randn randint randperm normal bernoulli multinomial rand_like randn_like randint_like "
    "default_generator",
    _factories: "zeros ones empty full zeros_like ones_like empty_like full_like arange linspace "
    "logspace eye FloatTensor DoubleTensor LongTensor IntTensor BoolTensor ByteTensor",
}
_ONLY_METHODS = {
    _shapes: "view view_as reshape_as expand expand_as contiguous repeat to type type_as cpu",
    _factories: "new_zeros new_ones new_full new_empty new_tensor",
}
_ALIASES = {
    "absolute": "abs",
    "clip": "clamp",
    "concat": "cat",
    "concatenate": "cat",
    "divide": "div",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "multiply": "mul",
    "negative": "neg",
    "not_equal": "ne",
    "subtract": "sub",
    "swapaxes": "transpose",
    "true_divide": "div",
    "arctan": "atan",
    "arcsin": "asin",
    "arccos": "acos",
}


#: Functions that make no tensor that could be written into another's memory.
_NO_OUT = {
    name
    for names in (
        "equal allclose masked_fill relu positive unique bincount count_nonzero reshape flatten",
        "ravel unflatten squeeze unsqueeze permute transpose t movedim broadcast_to clone",
        "repeat_interleave split chunk unbind narrow select flip roll numel meshgrid Generator",
        "manual_seed seed initial_seed use_deterministic_algorithms rand_like randn_like randint_like",
        "zeros_like ones_like",
        "empty_like full_like FloatTensor DoubleTensor LongTensor IntTensor BoolTensor ByteTensor",
        "isnan isinf rsub einsum",
    )
    for name in names.split()
}


def _explain(table):
    """Let the functions of a table word what NumPy refuses, and take `axis` and `out`."""
    for module, names in table.items():
        for name in names.split():
            place = name if hasattr(module, name) else name + "_"
            function = getattr(module, place)
            if isinstance(function, FunctionType):
                has_out = table is not _ONLY_METHODS and name not in _NO_OUT
                by = _keywords.of(name, function, has_out)
                told = checks.explained(function, name, by, _keywords.ALIASES)
                setattr(module, place, _core.operation(told, name))


def _names(table):
    return {name: _inplace.public(module, name) for module, names in table.items() for name in names.split()}


for _table in (_METHODS, _FUNCTIONS, _ONLY_METHODS):
    _explain(_table)

#: Public names and what they stand for; the dtypes bool, int and float are among them, which
#: would hide Python's, so they are attributes of the module but not names in it.
PUBLIC = {
    **_names(_METHODS),
    **_names(_FUNCTIONS),
    **{kind: dtypes.BY_NAME[kind] for kind in dtypes.NAMES},
    **{name: dtypes.BY_NAME[kind] for name, kind in dtypes.ALIASES.items()},
}
PUBLIC.update({name: PUBLIC[of] for name, of in _ALIASES.items()})


_core.register(
    tensor=Tensor,
    size=Size,
    pairs=_reductions.PAIRS,
    dtypes=dtypes.BY_NUMPY,
    binary=_arithmetic.binary,
    inplace=_inplace.change,
    matmul=_arithmetic.matrix_product,
    power=_arithmetic.power,
    item=checks.explained(_indexing._getitem, "Indexing"),
    compare=[_arithmetic.operator_of(PUBLIC[name]) for name in _core.COMPARISONS],
    view_changed=_inplace.view_changed,
    view_renewed=_inplace.view_renewed,
    flag=checks.flag,
)


_core.name_activations(row.node for row in _ACTIVATIONS.values())


def _attach():
    methods = {**_names(_METHODS), **_names(_ONLY_METHODS), **_shapes.CONVERSIONS, **_inplace.METHODS}
    methods.update({name: methods[of] for name, of in _ALIASES.items() if of in methods})
    methods.update(clip_=methods["clamp_"], nelement=methods["numel"], where=_where_method)
    operators = {
        "__floordiv__": _arithmetic.floor_divide,
        "__rfloordiv__": lambda self, other: _arithmetic.floor_divide(other, self),
        "__mod__": _arithmetic.remainder,
        "__rmod__": lambda self, other: _arithmetic.remainder(other, self),
        "__and__": _arithmetic.bitwise_and,
        "__rand__": _arithmetic.bitwise_and,
        "__or__": _arithmetic.bitwise_or,
        "__ror__": _arithmetic.bitwise_or,
        "__xor__": _arithmetic.bitwise_xor,
        "__rxor__": _arithmetic.bitwise_xor,
        "__ifloordiv__": _inplace.METHODS["floor_divide_"],
        "__imod__": _inplace.METHODS["remainder_"],
        "__ipow__": _inplace.METHODS["pow_"],
        "__iand__": _inplace.METHODS["bitwise_and_"],
        "__ior__": _inplace.METHODS["bitwise_or_"],
        "__ixor__": _inplace.METHODS["bitwise_xor_"],
        "__invert__": _arithmetic.bitwise_not,
        "__abs__": _elementwise.abs_,
        "__pos__": _elementwise.positive,
        "__setitem__": checks.explained(_indexing._setitem, "Item assignment"),
    }
    properties = {"mT": property(_shapes._mT)}
    for name, function in {**methods, **operators, **properties}.items():
        if name not in vars(TensorBase):  # what is compiled stays so
            setattr(Tensor, name, function)


def _where_method(self, condition, other):
    """self where the condition holds, and other elsewhere."""
    return _arithmetic.where(condition, self, other)


_attach()


@checks.explained
def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of `outputs` by `inputs`, as a tuple; every leaf's `grad` is left alone.

    Only the part of the graph that leads from the outputs to the inputs is gone through, and
    freed.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        Their gradients add up.
    inputs : Tensor or sequence of Tensor
        Leaves, or results of operations.
    grad_outputs : Tensor, None, or sequence of them, optional
        The gradient that each output is given; None, for a single number, is 1.
    retain_graph : bool, default False
    create_graph, is_grads_batched : False
        Not offered.
    only_inputs : True
        Of older programs.
    allow_unused : bool, default materialize_grads
        Give None for an input that no output came from, in place of an error.
    materialize_grads : bool
        Give zeros in place of None.

    Raises
    ------
    RuntimeError
        For an input that is not in the graph or needs no gradient, an output of several numbers
        without its gradient, and a graph that was freed.

    Examples
    --------
    >>> x = tensor(3.0, requires_grad=True)
    >>> grad(x * x, x)
    (tensor(6.),)
    """
    retain_graph = checks.flag("grad", "retain_graph", retain_graph, or_none=True)
    allow_unused = checks.flag("grad", "allow_unused", allow_unused, or_none=True)
    if checks.flag("grad", "create_graph", create_graph):
        raise NotImplementedError(
            "grad expects create_graph=False, as gradients of gradients are not offered; got True: "
            "write a loss of f(x + h) - f(x) in place of one of the gradient by x."
        )
    if checks.flag("grad", "is_grads_batched", is_grads_batched):
        raise NotImplementedError("grad expects is_grads_batched=False; got True: call it for each of the gradients.")
    if not checks.flag("grad", "only_inputs", only_inputs):
        raise NotImplementedError("grad expects only_inputs=True; got False: call backward(), which fills every grad.")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad expects allow_unused as True or not given where materialize_grads is True; got False.")
    may_miss = bool(allow_unused or materialize_grads)
    return _core.gradients(outputs, inputs, grad_outputs, bool(retain_graph), may_miss, bool(materialize_grads))


def Variable(data: ArrayLike | Tensor, requires_grad: bool = False) -> Tensor:
    """`data` as a tensor of the same memory: what older PyTorch programs wrap tensors in.

    Examples
    --------
    >>> Variable(tensor([1.0]), requires_grad=True)
    tensor([1.], requires_grad=True)
    """
    return as_tensor(data).detach().requires_grad_(requires_grad)


class _Place(SimpleNamespace):
    """What PyTorch keeps for a device."""

    def __getattr__(self, name: str) -> Any:
        raise attribute_error("fastbp.cuda", name)


#: Where other PyTorch programs look whether there is a GPU.
cuda = _Place(
    is_available=lambda: False,
    device_count=lambda: 0,
    manual_seed=lambda seed: None,
    manual_seed_all=lambda seed: None,
    empty_cache=lambda: None,
)
backends = SimpleNamespace(
    mps=SimpleNamespace(is_available=lambda: False, is_built=lambda: False),
    cudnn=SimpleNamespace(deterministic=False, benchmark=False, enabled=False, is_available=lambda: False),
)

__all__ = [
    "Size",
    "Tensor",
    "as_tensor",
    "backends",
    "cuda",
    "device",
    "dtype",
    "e",
    "enable_grad",
    "from_numpy",
    "get_default_dtype",
    "inf",
    "inference_mode",
    "is_grad_enabled",
    "is_tensor",
    "nan",
    "no_grad",
    "pi",
    "promote_types",
    "set_default_dtype",
    "set_grad_enabled",
    "set_printoptions",
    "tensor",
]
#: What `fastbp` has under the same names.
EXPORTED = sorted({*PUBLIC, *__all__})
__all__ += [
    "EXPORTED",
    "PUBLIC",
    "AccumulateGrad",
    "Function",
    "Node",
    "Parameter",
    "Variable",
    "backward",
    "grad",
    "node",
    "sweep",
    "view_node",
]
__all__ += [name for name in PUBLIC if not hasattr(builtins, name)]


def __getattr__(name: str) -> Any:
    if name in ("grad_mode", "variable"):  # PyTorch's places
        return importlib.import_module(f"fastbp.autograd.{name}")
    try:
        return PUBLIC[name]
    except KeyError:
        raise attribute_error("fastbp.autograd", name) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
