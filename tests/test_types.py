"""What editors and type checkers see of the library."""

import doctest
import inspect
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import fastbp
from fastbp.training.epochs import Options
from fastbp.training.fit import FitOptions

HERE = Path(__file__).parent
#: What users write.
CLEAN = [HERE / "typing" / "user.py"]


def test_the_stub_of_the_top_tells_the_names_that_are_loaded_on_demand():
    from init_stub import STUB, text

    assert STUB.read_text() == text(), "python tests/init_stub.py writes it anew"
    told = {line.split()[-1] for line in STUB.read_text().splitlines() if line.startswith("from")}
    assert told >= {*fastbp.__all__, *fastbp.autograd.EXPORTED} - {"__version__"}


def test_the_arguments_of_fit_are_spelled_out():
    parameters = inspect.signature(fastbp.Sequential.fit).parameters
    told = {name: each.default for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}
    asked = {name: each.default for name, each in inspect.signature(FitOptions).parameters.items()}
    assert told.keys() == {*asked, "comm"}
    shared = [each for each in inspect.signature(Options).parameters.values() if each.default is not each.empty]
    assert [(each.name, told[each.name]) for each in shared] == [(each.name, each.default) for each in shared]


def test_the_names_of_an_estimators_solvers_and_activations_are_told():
    pytest.importorskip("sklearn")
    from fastbp.estimators import parameters

    assert set(get_args(parameters.SolverName)) == set(parameters.SOLVERS)
    assert set(get_args(parameters.ActivationName)) == set(parameters.ACTIVATIONS)


def test_the_names_of_a_networks_parts_are_told():
    from fastbp import losses, network, table_model

    assert set(get_args(network.ActivationName)) == set(network.ACTIVATIONS)
    assert set(get_args(network.LossName)) == set(losses.LOSSES)
    assert set(get_args(table_model.OptimizerName)) == set(table_model.OPTIMIZERS)


def checked(command, tmp_path):
    """What a type checker says, of a folder that is not the library's."""
    found = os.environ | {"PYTHONPATH": "", "MYPYPATH": str(Path(fastbp.__file__).parents[1])}
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=found)


@pytest.mark.parametrize("path", [*CLEAN, HERE / "typing" / "wrong.py"], ids=lambda path: path.stem)
def test_mypy_finds_wrong_uses_and_no_other(path, tmp_path):
    pytest.importorskip("mypy")
    config = ["--config-file", os.devnull, "--cache-dir", str(tmp_path)]
    asked = ["--warn-unused-ignores", "--follow-imports", "silent", str(path)]
    result = checked([sys.executable, "-m", "mypy", *config, *asked], tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_mypy_is_content_with_the_readme_and_the_examples(tmp_path):
    pytest.importorskip("mypy")
    readme = tmp_path / "readme.py"
    blocks = re.findall(r"^```python\n(.*?)^```$", (HERE.parent / "README.md").read_text("utf-8"), re.M | re.S)
    readme.write_text("\n".join(doctest.script_from_examples(each) if ">>>" in each else each for each in blocks))
    asked = ["--ignore-missing-imports", "--follow-imports", "silent", "--cache-dir", str(tmp_path)]
    examples = sorted(map(str, (HERE.parent / "examples").glob("*.py")))
    result = checked([sys.executable, "-m", "mypy", "--config-file", os.devnull, *asked, readme, *examples], tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", CLEAN, ids=lambda path: path.stem)
def test_pyright_is_content_with_a_users_file(path, tmp_path):
    if shutil.which("pyright") is None:
        pytest.skip("pyright is not installed")
    (tmp_path / "pyrightconfig.json").write_text(f'{{"extraPaths": ["{Path(fastbp.__file__).parents[1].as_posix()}"]}}')
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    result = checked(["pyright", "--pythonpath", sys.executable, "-p", str(tmp_path)], tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_users_file_runs():
    runpy.run_path(str(HERE / "typing" / "user.py"))


def test_the_stubs_are_installed():
    import tomllib

    setup = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert {"py.typed", "*.pyi"} <= {*setup["package-data"]["*"]}
