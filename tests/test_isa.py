"""The kernels under every instruction set, and the choice between them."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import nn
from fastbp._kernels import isa

HERE = Path(__file__).resolve().parent
#: What runs under each set: a case per kernel; drawn calls of kernels, and of whole steps.
FILES = [
    ("test_kernels.py", "test_kernels_of_training.py", "test_vecmath.py"),
    ("test_fuzz_kernels.py", "test_fuzz_networks.py"),
]
OTHERS = [name for name in isa.usable() if name != isa.in_use()]


def test_the_set_in_use_is_one_that_was_built_and_runs_here():
    assert set(isa.usable()) <= set(isa.built())
    assert isa.in_use() in isa.usable()


@pytest.mark.parametrize("files", FILES, ids=str)
@pytest.mark.parametrize("name", OTHERS)
def test_kernel_tests_pass_under(name, files, run_python):
    # -P: neither the working folder nor a source tree in it comes before the installed package.
    done = run_python(
        "-P",
        "-m",
        "pytest",
        *(HERE / file for file in files),
        f"--rootdir={HERE.parent}",
        f"--confcutdir={HERE}",
        "-c",
        HERE.parent / "pyproject.toml",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        FASTBP_ISA=name,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"\d{2,} passed", done.stdout), done.stdout[-500:]


@pytest.mark.parametrize("name", isa.usable())
def test_fastbp_isa_forces_a_set(name, run_python):
    done = run_python("-c", "from fastbp._kernels import isa; print(isa.in_use())", FASTBP_ISA=name)
    assert done.stdout == f"{name}\n", done.stderr


def test_without_fastbp_isa_the_widest_set_is_chosen(run_python):
    done = run_python("-c", "from fastbp._kernels import isa; print(isa.in_use())", FASTBP_ISA="")
    assert done.stdout == f"{isa.usable()[0]}\n", done.stderr


@pytest.mark.parametrize("name", ["nonsense", "V3", "v3 ", "native"])
def test_an_unknown_set_is_refused_in_one_sentence(name, run_python):
    done = run_python("-c", "import fastbp", FASTBP_ISA=name)
    assert done.returncode == 1
    choices = ", ".join(isa.usable())
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: FASTBP_ISA expects one of {choices} on this processor; got {name!r}."
    )


@pytest.mark.parametrize("name", ["v9", "plain" if "plain" not in isa.built() else "v3", " "])
@pytest.mark.parametrize("words", [("info",), ("train", "iris"), ("--version",)])
def test_the_command_refuses_an_unknown_set_in_one_line(words, name, run_python, tmp_path):
    line = f"fastbp: FASTBP_ISA expects one of {', '.join(isa.usable())} on this processor; "
    done = run_python("-m", "fastbp", *words, FASTBP_ISA=name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{line}got {name!r}.\n"
    (tmp_path / "fastbp").write_text("from fastbp.command.cli import main\nmain()")  # as pip makes it
    done = run_python("-P", tmp_path / "fastbp", *words, FASTBP_ISA=name)
    assert (done.returncode, done.stderr) == (2, f"{line}got {name!r}.\n")


PREDICTED = """
import pickle, sys
import numpy as np, fastbp
x = np.load("x.npy")
found = [fastbp.Sequential.load(f"{kind}.safetensors").predict(x.astype(kind)) for kind in ("float32", "float64")]
table = fastbp.TableModel.load("table.safetensors")
found.append(table.predict_proba({"a": x[:, 0], "b": x[:, 1]}))
with open("estimators.pickle", "rb") as file:
    for model in pickle.load(file):
        found.append(model.predict_proba(x) if hasattr(model, "classes_") else model.predict(x))
np.savez("found.npz", *found)
"""


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("name", isa.usable())
def test_what_was_saved_predicts_the_same_under(name, run_python, tmp_path, monkeypatch):
    """Networks of both dtypes, a table's model and estimators, in another process: equal to rounding."""
    pytest.importorskip("safetensors")
    estimators = pytest.importorskip("fastbp.estimators")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 37))
    np.save("x.npy", x)
    for kind in ("float32", "float64"):
        middle = [nn.BatchNorm1d(61), nn.GELU(), nn.Linear(61, 33), nn.Tanh(), nn.Softmax(1), nn.Linear(33, 5)]
        net = fastbp.Sequential(nn.Linear(37, 61), *middle)
        net = net.double() if kind == "float64" else net
        net.eval().save(f"{kind}.safetensors")
    labels = np.where(x[:, 0] > 0, "up", "down")
    fastbp.TableModel(epochs=3).fit({"a": x[:, 0], "b": x[:, 1], "t": labels}, "t").save("table.safetensors")
    settings = {"hidden_layer_sizes": (9,), "max_iter": 3, "tol": 10, "standardize": True, "random_state": 0}
    models = [estimators.MLPClassifier(**settings), estimators.MLPRegressor("gaussian", **settings)]
    with open("estimators.pickle", "wb") as file:
        pickle.dump([models[0].fit(x, labels), models[1].fit(x, x[:, 0])], file)
    exec(PREDICTED, {})
    with np.load("found.npz") as wanted:
        wanted = dict(wanted)
    done = run_python("-c", PREDICTED, FASTBP_ISA=name)
    assert done.returncode == 0, done.stderr
    with np.load("found.npz") as found:
        assert len(found) == len(wanted) == 5
        for key, want in wanted.items():
            largest = np.abs(want).max()
            np.testing.assert_allclose(found[key], want, rtol=1e-5, atol=1e-6 * largest, err_msg=key)
            if want.dtype == np.float64:
                np.testing.assert_allclose(found[key], want, rtol=1e-9, atol=1e-12 * largest, err_msg=key)
