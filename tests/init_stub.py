"""The stub of the package's top, whose names are loaded on demand: `python tests/init_stub.py` writes it."""

import importlib
from pathlib import Path
from types import ModuleType

import fastbp

STUB = Path(fastbp.__file__).with_suffix(".pyi")
HEAD = '"""The names of fastbp, of which many are loaded on demand; tests/init_stub.py writes this file."""\n\n'


def home(name):
    """The module that a name is imported from."""
    value = getattr(fastbp, name)
    if isinstance(value, ModuleType):
        return "fastbp"
    if name in fastbp._ON_DEMAND:
        module = fastbp._ON_DEMAND[name][0]
    elif name in fastbp.autograd.EXPORTED:
        return "fastbp.autograd"
    else:
        module = getattr(value, "__module__", None) or "fastbp.optim.lr_scheduler"
    if getattr(importlib.import_module(module), name, None) is value:
        return module
    places = (fastbp.layers, fastbp.optim)  # of another name than its class
    return next(place.__name__ for place in places if getattr(place, name, None) is value)


def text():
    names = sorted({*fastbp.__all__, *fastbp._ON_DEMAND, *fastbp.autograd.EXPORTED} - {"__version__"})
    lines = [f"from {home(name)} import {name} as {name}\n" for name in names]
    shown = "".join(f"    {name!r},\n" for name in sorted(fastbp.__all__)).replace("'", '"')
    return f"{HEAD}{''.join(sorted(lines))}\n__version__: str\n__all__ = [\n{shown}]\n"


if __name__ == "__main__":
    STUB.write_text(text())
