"""The reference: a page for each public module, with every name that its `__all__` has.

What stands in several modules, as `fastbp.Adam` and `fastbp.optim.Adam`, is described in the last of
`MODULES` that has it, which is the most special one, and named with a link in the others.
"""

import importlib
import inspect
from pathlib import Path

#: Public modules, and what their pages are called.
MODULES = {
    "fastbp": "fastbp",
    "fastbp.book": "The book",
    "fastbp.book2": "The book's second volume",
    "fastbp.cs231n.layers": "CS231n: layers",
    "fastbp.cs231n.layer_utils": "CS231n: pairs of layers",
    "fastbp.cs231n.optim": "CS231n: update rules",
    "fastbp.cs231n.classifiers.fc_net": "CS231n: networks",
    "fastbp.cs231n.solver": "CS231n: the solver",
    "fastbp.cs231n.gradient_check": "CS231n: the gradient check",
    "fastbp.layers": "Layers",
    "fastbp.losses": "Losses",
    "fastbp.optim": "Optimisers",
    "fastbp.optim.lr_scheduler": "Schedulers",
    "fastbp.optim.swa_utils": "Averages of weights",
    "fastbp.init": "Initial weights",
    "fastbp.autograd": "Tensors",
    "fastbp.nn": "nn",
    "fastbp.nn.functional": "nn.functional",
    "fastbp.nn.init": "nn.init",
    "fastbp.nn.utils": "nn.utils",
    "fastbp.estimators": "Estimators",
    "fastbp.datasets": "Data sets",
    "fastbp.utils.data": "Loaders",
    "fastbp.tables": "Tables",
    "fastbp.table_model": "Table models",
    "fastbp.tuning": "Tuning",
    "fastbp.scores": "Scores",
    "fastbp.export": "Export",
    "fastbp.graph": "Graphs",
    "fastbp.plots": "Pictures",
    "fastbp.gradcheck": "The gradient check",
    "fastbp.diagnosis": "The diagnosis",
    "fastbp.files": "Files",
    "fastbp.threads": "Threads",
    "fastbp.training.rates": "The finder of rates",
    "fastbp.summaries": "Summaries",
    "fastbp.reference": "The NumPy twins",
}
FOLDER = "reference"
#: scikit-learn's, which it makes for its own routing of arguments, and numbers between parts.
_OTHERS = {*(f"set_{name}_request" for name in ("fit", "partial_fit", "predict", "score")), "kind_number"}


def names_of(module):
    """The public names of a module, without other modules."""
    home = importlib.import_module(module)
    names = list(getattr(home, "__all__", ()))
    if module == "fastbp.autograd":  # whose own list has what its files give each other, too
        names = [*home.EXPORTED, "Function", "Variable", "backward", "grad"]
    elif not names:
        names = [n for n, v in vars(home).items() if not n.startswith("_") and inspect.isfunction(v)]
    return sorted({n for n in names if not inspect.ismodule(getattr(home, n))}, key=str.lower)


def homes():
    """{id of what is described: (module, name)}: the last module that has it."""
    return {
        id(getattr(importlib.import_module(module), name)): (module, name)
        for module in MODULES
        for name in names_of(module)
    }


def described(thing):
    """The directive that describes a thing; None for plain values, as dtypes and numbers are."""
    if inspect.isclass(thing):
        return "autoclass"
    return "autofunction" if callable(thing) else None


def page(module, where):
    """The text of a module's page."""
    home = importlib.import_module(module)
    title = MODULES[module] if MODULES[module] == module else f"{MODULES[module]}: {module}"
    lines = [title, "=" * len(title), "", f".. module:: {module}", ""]
    lines += [*inspect.cleandoc(home.__doc__ or "").splitlines(), ""]
    own, others, plain = [], [], []
    for name in names_of(module):
        thing = getattr(home, name)
        kind = described(thing)
        if kind is None:
            plain.append(name)
        elif where[id(thing)] == (module, name):
            own.append((kind, name))
        else:
            others.append((name, ".".join(where[id(thing)])))
    if plain:
        lines += [f"Values: {', '.join(f'``{name}``' for name in plain)}.", ""]
    if others:
        lines += [".. list-table:: Described on pages of their own", "   :widths: auto", ""]
        for name, place in others:
            lines += [f"   * - ``{name}``", f"     - :py:obj:`{place}`"]
        lines.append("")
    for kind, name in own:
        lines += [f".. {kind}:: {module}.{name}", ""]
    return "\n".join(lines)


def write(app):
    """Write the pages where they changed, so that Sphinx makes no other anew."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    where = homes()
    pages = {f"{module}.rst": page(module, where) for module in MODULES}
    toc = "\n".join(f"   {module}" for module in MODULES)
    pages["index.rst"] = f"Reference\n=========\n\nEvery public name.\n\n.. toctree::\n   :maxdepth: 1\n\n{toc}\n"
    for name, text in pages.items():
        file = folder / name
        if not file.exists() or file.read_text("utf-8") != text:
            file.write_text(text, "utf-8")


def skip(app, what, name, thing, skipped, options):
    """Whether a member is left out: scikit-learn's own, which link into its pages."""
    return True if str(getattr(thing, "__module__", "")).startswith("sklearn") or name in _OTHERS else None


def setup(app):
    app.connect("builder-inited", write)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
