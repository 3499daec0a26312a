"""The build: whatever flags the user's environment has, and what the compiled modules are like."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import fastbp
from fastbp._kernels import sources

ROOT = Path(__file__).resolve().parents[1]
KERNELS = Path(fastbp.__file__).resolve().parent / "_kernels"
COMPILER = shutil.which("gcc") or shutil.which("clang")
#: A compiler that writes down how it was called, and makes empty files.
RECORDER = """#!{python} -IS
import json, sys
with open({log!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if "-o" in sys.argv:
    open(sys.argv[sys.argv.index("-o") + 1], "w").close()
"""
#: What changes numbers, or ends in a library that changes those of the whole process.
INEXACT = [
    "-ffast-math",
    "-Ofast",
    "-funsafe-math-optimizations",
    "-O2 -fno-signed-zeros -fassociative-math -freciprocal-math -ffinite-math-only",
    "-march=native -mavx2 -flto=auto -O1",
    "-fsingle-precision-constant",
]
CHECK = """
import ctypes, sys
ctypes.CDLL(sys.argv[1])
tiny = float.fromhex("0x1p-1070")
print(tiny / 2 > 0)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads ELF files")


@pytest.fixture(scope="module")
def calls_of_the_compiler(tmp_path_factory):
    """calls_of_the_compiler(**environment): the arguments of each, and the folder of the build."""
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    if not ((ROOT / "setup.py").exists() and COMPILER):
        pytest.skip("needs the source tree and a C compiler")

    def calls(**environment):
        folder = tmp_path_factory.mktemp("build")
        recorder, log = folder / "cc", folder / "log"
        recorder.write_text(RECORDER.format(python=sys.executable, log=str(log)))
        recorder.chmod(0o755)
        inherited = {k: v for k, v in os.environ.items() if "FLAGS" not in k}
        done = subprocess.run(
            [
                sys.executable,
                "setup.py",
                "-q",
                "build_ext",
                "--force",
                f"--build-temp={folder / 'temp'}",
                f"--build-lib={folder / 'lib'}",
            ],
            cwd=ROOT,
            env={**inherited, "CC": str(recorder), **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return [json.loads(line) for line in log.read_text().splitlines()], folder

    return calls


def of(calls, word):
    """The calls that compile or link a file of this name."""
    found = [call for call in calls if word in " ".join([*call, ""])]
    assert found
    return found


def test_the_users_flags_come_first_and_are_undone(calls_of_the_compiler):
    users = ["-Ofast", "-march=native", "-flto", "-mdaz-ftz", "-ffast-math"]
    calls, _ = calls_of_the_compiler(
        CFLAGS=" ".join(users), LDFLAGS="-Ofast -Wl,-z,lazy", CPPFLAGS="-funsafe-math-optimizations"
    )
    own = [call for call in calls if not any("probe" in argument for argument in call)]
    assert len(own) >= 2 * len(list(KERNELS.glob("*.pyx"))) + 3
    for call in own:
        last = max(k for k, flag in enumerate(call) if flag in users)
        behind = call[last + 1 :]
        for flag in (
            "-O3",
            "-fno-fast-math",
            "-fno-unsafe-math-optimizations",
            "-fno-lto",
            "-fno-finite-math-only",
            "-fsigned-zeros",
            "-mno-daz-ftz",
        ):
            assert flag in behind, call
        # -fno-fast-math sets these, so they come after it
        for flag in ("-fno-math-errno", "-fno-trapping-math"):
            assert flag not in behind or behind.index(flag) > behind.index("-fno-fast-math")
        if "-shared" in call:
            assert "-lm" in behind
            (hardened,) = (k for k, flag in enumerate(call) if "-z,relro,-z,now" in flag)
            assert hardened > call.index("-Wl,-z,lazy")


@pytest.mark.parametrize("flags", INEXACT)
def test_flags_that_flush_subnormals_do_not_reach_the_process(flags, calls_of_the_compiler):
    """A module compiled and linked as the build does it, by the real compiler, and loaded."""
    calls, folder = calls_of_the_compiler(CFLAGS=flags, LDFLAGS=flags)
    for call in of(calls, "changes."):
        done = subprocess.run([COMPILER, *call], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    (library,) = (folder / "lib").rglob("changes.*.so")
    done = subprocess.run([sys.executable, "-c", CHECK, library], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("flags", ["-Ofast -ffast-math -march=native", "-Os -flto -mavx2"])
def test_a_whole_build_with_such_flags_trains_with_numpys_numbers(flags, tmp_path):
    pytest.importorskip("Cython")
    if not ((ROOT / "setup.py").exists() and COMPILER):
        pytest.skip("needs the source tree and a C compiler")
    inherited = {k: v for k, v in os.environ.items() if "FLAGS" not in k}
    subprocess.run(
        [
            sys.executable,
            "setup.py",
            "-q",
            "build",
            f"--build-base={tmp_path / 'temp'}",
            f"--build-lib={tmp_path / 'lib'}",
        ],
        cwd=ROOT,
        env={**inherited, "CFLAGS": flags, "LDFLAGS": flags},
        check=True,
        capture_output=True,
    )
    done = subprocess.run(
        [sys.executable, "-P", ROOT / "tests/machines/train.py"],
        cwd=tmp_path,
        env={**inherited, "PYTHONPATH": str(tmp_path / "lib")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    code = "import numpy, fastbp; print(fastbp.__file__, numpy.float64(2.0**-1070) / 2 > 0)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env={**inherited, "PYTHONPATH": str(tmp_path / "lib")},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{tmp_path / 'lib' / 'fastbp' / '__init__.py'} True\n", done.stderr


def test_fortify_is_defined_once(calls_of_the_compiler):
    """The user's own level stays, without a warning of two definitions."""
    for users, expected in ((None, ["2"]), ("-O2 -D_FORTIFY_SOURCE=3", ["3"])):
        calls, _ = calls_of_the_compiler(**({"CFLAGS": users} if users else {}))
        for call in of(calls, "changes.c "):
            assert re.findall(r"-D_FORTIFY_SOURCE=(\d)", " ".join(call)) == expected


def test_the_users_own_library_folders_stay(calls_of_the_compiler):
    calls, _ = calls_of_the_compiler(LDFLAGS="-Wl,-rpath,/users/own")
    for call in of(calls, "-shared"):
        assert [flag for flag in call if "rpath" in flag] == ["-Wl,-rpath,/users/own"]


# --- what was built -------------------------------------------------------------------------


def readelf(*arguments):
    if not shutil.which("readelf"):
        pytest.skip("needs readelf")
    return subprocess.run(["readelf", "-W", *arguments], check=True, capture_output=True, text=True).stdout


MODULES = sorted(KERNELS.glob("*.so"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name.partition(".")[0])
def test_modules_are_hardened_and_know_no_folder_of_their_builder(module):
    dynamic = readelf("-d", module)
    assert re.search(r"\(FLAGS(_1)?\).*\b(BIND_)?NOW\b", dynamic), dynamic
    folders = re.findall(r"\(R(?:UN)?PATH\).*\[(.*)\]", dynamic)
    assert all(f.startswith("$ORIGIN") for f in folders), folders  # auditwheel's, in a wheel
    segments = readelf("-l", module)
    assert "GNU_RELRO" in segments
    (stack,) = re.findall(r"GNU_STACK .* (R\w*) +0x", segments)
    assert stack == "RW"


def test_functions_with_buffers_of_bytes_are_guarded():
    names = {module: readelf("--dyn-syms", module) for module in MODULES}
    if any("__asan_" in text for text in names.values()):
        pytest.skip("the sanitizer guards")
    guarded = {module.name.partition(".")[0] for module, t in names.items() if "__stack_chk" in t}
    assert guarded == {module.name.partition(".")[0] for module in MODULES}
    assert "_chk@" in names[MODULES[0]].replace("__stack_chk", "")  # FORTIFY's


# --- whether it is that of its sources -------------------------------------------------------


@pytest.fixture
def built(tmp_path):
    """A folder with sources of the time 1000 and a module built at 2000."""
    module = f"affine{EXTENSION_SUFFIXES[0]}"
    (tmp_path / "arithmetic").mkdir()
    for name in ("kernels.c", "arithmetic/affine.h", "affine.pyx", "optim.pyx", module):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000, 2000 if name == module else 1000))
    return tmp_path


def test_kernels_newer_than_their_sources_are_good(built):
    assert sources.newer_sources(built) == []
    sources.warn_of_newer(built)


@pytest.mark.parametrize("source", ["kernels.c", "arithmetic/affine.h", "affine.pyx"])
def test_kernels_older_than_a_source_are_told(built, source):
    """An editable install went on with them without a word."""
    os.utime(built / source, (3000, 3000))
    assert sources.newer_sources(built) == [source]
    with pytest.warns(RuntimeWarning, match=f"{source} newer than what was built: build them"):
        sources.warn_of_newer(built)


def test_source_of_another_module_makes_nothing_stale(built):
    os.utime(built / "optim.pyx", (3000, 3000))
    assert sources.newer_sources(built) == []


def test_installed_headers_are_not_compared(built):
    (built / "kernels.c").unlink()
    os.utime(built / "arithmetic/affine.h", (3000, 3000))
    assert sources.newer_sources(built) == []
