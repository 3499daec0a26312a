"""The kernels under every instruction set, and the choice between them."""

import re
from pathlib import Path

import pytest

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
