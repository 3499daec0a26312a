"""The order of the house: who imports whom, what `import fastbp` costs, and the doctests."""

import ast
import doctest
import importlib
import json
import pkgutil
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import fastbp

FOLDER = Path(fastbp.__file__).resolve().parent
ROOT = Path(__file__).parents[1]
#: The rows of the table in design.md, each with the rooms of one job.
ROWS = [
    re.findall(r"`([\w.]+?)(?:\.py|/)`", line.split("|")[1])
    for line in (ROOT / "docs" / "design.md").read_text().splitlines()
    if re.match(r"\| `\w+(\.py|/)`", line)
]
LEVEL = {name: number for number, row in enumerate(ROWS) for name in row}
ANY = "any of them"
OPTIONAL = ["scipy", "sklearn", "matplotlib", "tqdm", "safetensors", "torch", "pandas", "polars", "pyarrow", "onnx"]
FILES = sorted(p for p in FOLDER.rglob("*.py") if "_kernels" not in p.parts)
# Loaded on demand.
ESTIMATORS = [p for p in FILES if p.parent.name == "estimators"]


def asked_for(call):
    """The module that a call of `import_module` or `__import__` names, an f-string by its start."""
    function = getattr(call.func, "attr", getattr(call.func, "id", None))
    if function not in ("import_module", "__import__"):
        return None
    name = call.args[0]
    if isinstance(name, ast.JoinedStr):
        name = name.values[0]
    if not isinstance(name, ast.Constant):  # by a table, which only the package's top has
        return f"fastbp.{ANY}"
    return name.value.removesuffix(".")


def waits(node):
    """Whether what stands in a node does not run when the module is imported."""
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def imports(tree):
    """(module, at the top level) of every import; `from fastbp import x` gives fastbp.x."""
    inside = {id(inner) for node in ast.walk(tree) if waits(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and asked_for(node):
            names = [asked_for(node)]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            names = [node.module]
            if node.module == "fastbp":
                names = [f"fastbp.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) not in inside


@pytest.mark.parametrize(
    "line, name",
    [
        ("importlib.import_module('fastbp.nn')", "fastbp.nn"),
        ("__import__('fastbp.nn.init')", "fastbp.nn.init"),
        ("import_module(f'fastbp.optim.{name}')", "fastbp.optim"),
        ("import_module(name)", f"fastbp.{ANY}"),
        ("from fastbp.nn import init", "fastbp.nn"),
    ],
)
def test_imports_of_all_kinds_are_seen(line, name):
    assert list(imports(ast.parse(f"def late(name):\n    {line}"))) == [(name, False)]


def own_module(name):
    """The module of fastbp that a dotted name leads into, or None."""
    parts = name.split(".")
    return parts[1] if parts[0] == "fastbp" and len(parts) > 1 and parts[1] in LEVEL else None


def test_the_table_of_rooms_is_the_listing_of_the_folder():
    listed = [p for p in FOLDER.iterdir() if p.suffix == ".py" or [*p.glob("*.py")]]
    assert sorted(p.stem for p in listed) == sorted(LEVEL)
    assert len(ROWS) <= 30


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(FOLDER)))
def test_a_room_imports_only_from_rooms_above_it(path):
    own = path.relative_to(FOLDER).parts[0].removesuffix(".py")
    for name, _ in imports(ast.parse(path.read_text())):
        if name.split(".")[0] != "fastbp":
            continue
        other = own_module(name)
        if other is None:  # the package itself, or a public name of it
            assert own in ROWS[-1], f"{path.name} imports {name} from the package's top"
        else:
            assert LEVEL[other] <= LEVEL[own], f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(FOLDER)))
def test_optional_packages_are_imported_where_they_are_used(path):
    if path in ESTIMATORS:  # scikit-learn's classes are their base
        return
    for name, at_the_top in imports(ast.parse(path.read_text())):
        assert not (at_the_top and name.split(".")[0] in OPTIONAL), f"{path.name} imports {name}"


def test_every_folder_of_modules_is_installed():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {p.parent.relative_to(FOLDER.parent) for p in FILES}
    assert {".".join(folder.parts) for folder in folders} == set(packages) - {"fastbp._kernels"}


def test_numpy_is_the_only_package_imported_at_the_top():
    standard = sys.stdlib_module_names
    files = [p for p in FILES if p not in ESTIMATORS]
    top = {n.split(".")[0] for p in files for n, at_the_top in imports(ast.parse(p.read_text())) if at_the_top}
    assert top - standard <= {"numpy", "fastbp"}


def test_estimators_import_public_names_of_scikit_learn_only():
    names = [
        (p.name, f"{node.module}.{alias.name}")
        for p in ESTIMATORS
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("sklearn")
        for alias in node.names
    ]
    assert len(names) > 10
    assert not [name for name in names if "._" in name[1]]


def test_no_module_bears_the_name_of_a_public_function():
    modules = {p.stem for p in FILES if "cs231n" not in p.parts}  # whose names are the course's
    clashes = [n for n in fastbp.__all__ if n in modules and callable(getattr(fastbp, n))]
    assert not clashes
    assert sorted(fastbp.__all__) == sorted(set(fastbp.__all__))
    assert all(hasattr(fastbp, name) for name in fastbp.__all__)


MODULES = [
    m.name.removeprefix("fastbp.") for m in pkgutil.walk_packages([str(FOLDER)], "fastbp.") if "._" not in m.name
]


@pytest.fixture(params=MODULES)
def module(request):
    if request.param.startswith("estimators"):
        pytest.importorskip("sklearn")
    if request.param.startswith("export"):
        pytest.importorskip("onnx")
    if request.param == "export.converters":
        pytest.importorskip("skl2onnx")
    if request.param.startswith("files"):
        pytest.importorskip("safetensors")
    return importlib.import_module(f"fastbp.{request.param}")


def test_a_modules_public_names_exist(module):
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))
    for name in names:
        assert hasattr(module, name)
        assert getattr(module, name).__doc__, f"{name} is not documented"


def test_the_examples_in_a_modules_text_hold(module, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(module).failed == 0


def test_every_public_layer_and_loss_shows_an_example():
    for name in fastbp.layers.__all__:
        if name not in ("Layer", "ReLU"):
            assert ">>>" in getattr(fastbp, name).__doc__, name


def test_import_loads_no_optional_package(run_python):
    done = run_python("-c", "import sys, json, fastbp; print(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & set(OPTIONAL)


def test_import_is_about_as_quick_as_numpys(run_python, tmp_path):
    """The quickest of a few runs of each, taken in turn: at most 30 ms more, or half as much again.

    A busy machine gets more runs until both have had a quiet one; the first compiles.
    """
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    seconds = {"numpy": [], "fastbp": []}
    for turn in range(30):
        for name, taken in seconds.items():
            taken.append(float(run_python("-c", code.format(name), **compiled).stdout))
        more = min(seconds["fastbp"]) - min(seconds["numpy"])
        if turn >= 4 and more < max(0.030, min(seconds["numpy"]) / 2):
            return
    raise AssertionError(f"import fastbp costs {1e3 * more:.0f} ms more than import numpy")


def test_import_leaves_the_process_as_it_was(run_python):
    """No flush-to-zero, no warnings filter, no print options, no seed, no output."""
    code = """
import warnings, numpy as np, random, signal
tiny = np.float64(5e-324)
before = (list(warnings.filters), np.get_printoptions(), np.geterr(), random.getstate(),
          np.random.get_state()[1].tobytes(), signal.getsignal(signal.SIGINT))
import fastbp
from fastbp.layers import Relu
assert np.float64(5e-324) / 1 > 0 and (tiny * 1 > 0) and np.float32(1e-45) * np.float32(1) > 0
assert Relu().forward(np.full(40, 5e-324)).min() > 0
assert np.full(40, np.float32(1e-45)).sum() > 0 and np.full(9, 5e-324).dot(np.ones(9)) > 0
after = (list(warnings.filters), np.get_printoptions(), np.geterr(), random.getstate(),
         np.random.get_state()[1].tobytes(), signal.getsignal(signal.SIGINT))
assert before == after
"""
    done = run_python("-W", "error", "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_source_tree_without_kernels_says_how_to_build_them(run_python, tmp_path):
    package = tmp_path / "tree" / "fastbp"
    (package / "_kernels").mkdir(parents=True)
    for path in [*FOLDER.glob("*.py"), FOLDER / "_kernels" / "__init__.py"]:
        (package / path.relative_to(FOLDER)).write_bytes(path.read_bytes())
    code = f"import sys; sys.path.insert(0, {str(package.parent)!r}); import fastbp"
    done = run_python("-c", code)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: fastbp's compiled kernels are missing") and ("pip install" in last)


def test_the_package_is_typed_and_has_its_version():
    assert (FOLDER / "py.typed").exists()
    try:
        assert version("fastbp") == fastbp.__version__
    except PackageNotFoundError:
        pytest.skip("runs from a source tree built in place")


def test_every_kernel_module_is_stubbed():
    for source in (FOLDER / "_kernels").glob("*.cpython*"):
        name = source.name.split(".")[0]
        assert name == "_cyutility" or (FOLDER / "_kernels" / f"{name}.pyi").exists(), name


def test_an_import_loads_no_front_end_that_is_not_asked_for(run_python):
    names = ("autograd", "nn", "estimators", "book", "book2", "cs231n", "graph", "utils", "datasets")
    loaded = run_python("-c", f"import sys, fastbp; print([n for n in {names} if f'fastbp.{{n}}' in sys.modules])")
    assert loaded.stdout.split() == ["[]"], loaded.stdout
