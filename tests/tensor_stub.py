"""The stub of what no class statement says of Tensor: `python tests/tensor_stub.py` writes it."""

import inspect
from pathlib import Path

import fastbp
from fastbp._kernels.autograd import TensorBase

STUB = Path(fastbp.__file__).parent / "_kernels" / "tensor_methods.pyi"
HEAD = '''"""Of tensors what is compiled or attached by fastbp.autograd; tests/tensor_stub.py writes this file."""

from typing import Any

class Methods:
'''
#: What `_kernels/autograd.pyi` says itself.
SAID = {"array", "backward", "data", "grad", "has_hooks", "requires_grad"}


def members():
    """Name and value of what is public and stands in no class statement of Python's."""
    found = vars(TensorBase) | vars(fastbp.autograd.Tensor)
    here = "fastbp.autograd.tensor"
    return {
        name: value
        for name, value in sorted(found.items())
        if not name.startswith("_") and name not in SAID and getattr(value, "__module__", None) != here
    }


def line(name, value):
    """Its line: names as they are, of any type, and those of PyTorch's and NumPy's besides."""
    if not callable(value):
        return f"    {name}: Any\n"
    told, behind = ["self"], False
    for each in list(_parameters(value))[1:]:
        if each.kind is each.VAR_POSITIONAL:
            told.append(f"*{each.name}: Any")
            behind = True
        elif each.kind is not each.VAR_KEYWORD:
            if each.kind is each.KEYWORD_ONLY and not behind:
                told.append("*")
                behind = True
            told.append(f"{each.name}: Any" + ("" if each.default is each.empty else " = ..."))
    return f"    def {name}({', '.join([*told, '**keywords: Any'])}) -> Any: ...\n"


def _parameters(method):
    try:
        return inspect.signature(method).parameters.values()
    except ValueError:  # a compiled one that tells nothing
        return inspect.signature(lambda self, *arguments, **keywords: None).parameters.values()


def text():
    return HEAD + "".join(line(name, value) for name, value in members().items())


if __name__ == "__main__":
    STUB.write_text(text())
