"""The processors, compilers and wheels that are promised: what can be seen without them.

The scripts in tests/machines do the rest: they emulate processors, build wheels, and take minutes.
"""

import ctypes
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import fastbp

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MACHINES = HERE / "machines"
KERNELS = Path(fastbp.__file__).resolve().parent / "_kernels"
X86_64 = platform.machine().lower() in ("x86_64", "amd64")


def script(name):
    """A script of tests/machines as a module."""
    spec = importlib.util.spec_from_file_location(name, MACHINES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- which instructions run, and when -------------------------------------------------------


@pytest.mark.skipif(not (X86_64 and sys.platform == "linux"), reason="reads ELF files of x86-64")
def test_nothing_newer_than_x86_64_runs_before_a_set_is_picked():
    if not (shutil.which("objdump") and shutil.which("readelf")):
        pytest.skip("needs objdump and readelf")
    baseline = script("baseline")
    modules = baseline.modules()
    assert len(modules) == 16
    for module in modules:
        assert baseline.beyond_the_baseline(module) == [], module.name


def test_instructions_of_later_processors_are_recognised():
    later = script("baseline").LATER
    new = [
        "vmovups",
        "vzeroupper",
        "kmovw",
        "popcnt",
        "pshufb",
        "lzcnt",
        "roundps",
        "blendvps",
        "shlx",
        "pinsrq",
        "ptest",
    ]
    assert all(later.fullmatch(name) for name in new)
    old = [
        "mov",
        "movaps",
        "addps",
        "cvtsi2sd",
        "shl",
        "pinsrw",
        "pextrw",
        "verr",
        "cmpxchg",
        "bsf",
        "bsr",
        "pmaxsw",
        "movsd",
    ]
    assert not any(later.fullmatch(name) for name in old)


@pytest.fixture(scope="module")
def level_of(tmp_path_factory):
    """cpu.h's fbp_level_of, compiled by itself."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if not (X86_64 and compiler and sys.platform == "linux"):
        pytest.skip("needs a C compiler for x86-64")
    folder = tmp_path_factory.mktemp("level")
    source = '#include "cpu.h"\nint level(unsigned a, unsigned b, unsigned c, unsigned d)\n'
    source += "{ return fbp_level_of(a, b, c, d); }\nint here(void) { return fbp_level(); }\n"
    for isa in ("v2", "v3", "v4"):
        source += f"const fbp_kernels fbp_kernels_{isa};\n"
    (folder / "level.c").write_text(source)
    command = [compiler, "-shared", "-fPIC", f"-I{ROOT / 'fastbp' / '_kernels'}", "-o"]
    subprocess.run([*command, folder / "level.so", folder / "level.c"], check=True)
    return ctypes.CDLL(str(folder / "level.so"))


def bits(*numbers):
    return sum(1 << n for n in numbers)


V2 = {"features": bits(0, 9, 13, 19, 20, 23), "extended": bits(0), "leaf_7": 0, "saved": 0}
V3 = {
    "features": V2["features"] | bits(12, 22, 27, 28, 29),
    "extended": bits(0, 5),
    "leaf_7": bits(3, 5, 8),
    "saved": 0x07,
}
V4 = {**V3, "leaf_7": V3["leaf_7"] | bits(16, 17, 28, 30, 31), "saved": 0xE7}


@pytest.mark.parametrize(
    ("processor", "level"),
    [
        (V2, 2),
        (V3, 3),
        (V4, 4),
        ({**V4, "saved": 0x07}, 3),  # the system saves no AVX-512 registers
        ({**V4, "saved": 0x67}, 3),  # nor the upper half of them
        ({**V4, "saved": 0x03}, 2),  # nor AVX's
        ({**V3, "saved": 0}, 2),
        ({**V4, "leaf_7": V3["leaf_7"] | bits(16, 28, 26, 27)}, 3),  # Knights Landing
        ({**V4, "features": V2["features"]}, 2),
    ],
)
def test_a_processors_level(processor, level, level_of):
    assert level_of.level(*processor.values()) == level


@pytest.mark.parametrize(("full", "lower"), [(V2, None), (V3, V2), (V4, V3)], ids=["v2", "v3", "v4"])
def test_a_processor_that_lacks_one_instruction_has_the_level_below(full, lower, level_of):
    level = level_of.level(*full.values())
    for register in ("features", "extended", "leaf_7"):
        own = full[register] & ~(lower[register] if lower else 0)
        for bit in range(32):
            if own >> bit & 1:
                lacking = {**full, register: full[register] & ~(1 << bit)}
                assert level_of.level(*lacking.values()) == level - 1, (register, bit)


def test_this_processors_level_is_the_one_in_use(level_of):
    from fastbp._kernels import isa

    assert isa.usable()[0] == f"v{level_of.here()}"


def test_the_training_run_of_the_machines_has_numpys_numbers(capsys):
    assert script("train").main() == 0, capsys.readouterr().out
    assert script("train").main("v9") == 1


@pytest.mark.parametrize(("said", "most"), [("3", 3), ("2,1", 2), ("", 1 << 20), ("0", 1 << 20), ("many", 1 << 20)])
def test_a_build_without_openmp_reads_its_variable(said, most, tmp_path, monkeypatch):
    compiler = shutil.which("gcc") or shutil.which("clang")
    if not (compiler and sys.platform == "linux"):
        pytest.skip("needs a C compiler")
    (tmp_path / "most.c").write_text('#include "training/team.h"\nint most(void) { return fbp_max_threads(); }\n')
    command = [compiler, "-shared", "-fPIC", "-pthread", f"-I{ROOT / 'fastbp' / '_kernels'}", "-o"]
    subprocess.run([*command, tmp_path / "most.so", tmp_path / "most.c"], check=True)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert ctypes.CDLL(str(tmp_path / "most.so")).most() == most


# --- wheels ---------------------------------------------------------------------------------


def wheel(folder, **extra):
    """A wheel as it should be, but for `extra` files."""
    names = {f"fastbp/_kernels/m{i}.so": b"\x7fELF" for i in range(16)}
    names |= {"fastbp/__init__.py": b"", "fastbp/_kernels/isa.pxd": b"", "fastbp-0.1.0.dist-info/licenses/LICENSE": b""}
    names["fastbp/_kernels/"] = b""  # a folder, as auditwheel writes them
    path = folder / "fastbp-0.1.0-cp311-cp311-linux_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**names, **extra}.items():
            archive.writestr(name, data)
    return path


def test_a_good_wheel_is_passed(tmp_path):
    assert list(script("wheel_contents").faults(wheel(tmp_path))) == []


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("tests/test_kernels.py", b"", "does not belong"),
        ("fastbp/_kernels/kernels.c", b"", "does not belong"),
        ("fastbp/_kernels/m0.so", b".debug_info", "debugging information"),
        ("fastbp/_kernels/m0.so", b"/home/someone/fastbp", "path of the build"),
        ("fastbp/_kernels/m0.so", b"/the/folder/x.c", "path of the build"),
        ("fastbp/_kernels/m16.so", b"", "17 compiled modules"),
        ("fastbp/large.py", bytes(2_000_001), "are over 2000000"),
    ],
)
def test_what_does_not_belong_in_a_wheel_is_found(name, data, fault, tmp_path):
    (found,) = script("wheel_contents").faults(wheel(tmp_path, **{name: data}), "/the/folder")
    assert fault in found


# --- configuration --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_wheels_are_built_for_every_promised_python(project):
    built = project["tool"]["cibuildwheel"]["build"]
    assert set(built) == {f"cp{v}-*" for v in ("311", "312", "313", "314", "314t")}
    assert "skip" not in project["tool"]["cibuildwheel"]
    named = {c.rpartition(" ")[2] for c in project["project"]["classifiers"] if ":: 3." in c}
    assert named == {f"3.{b[3:5]}" for b in built}


def test_every_system_that_is_promised_has_a_machine_that_builds_for_it():
    text = (ROOT / ".github/workflows/wheels.yml").read_text()
    machines = re.findall(r"^ +- ((?:ubuntu|macos|windows)-[\w.-]+)", text, re.M)
    assert len(machines) == len(set(machines)) == 5
    assert "cibuildwheel" in text
    assert ".ci/run" in (ROOT / ".github/workflows/tests.yml").read_text()


def test_the_configuration_names_files_that_exist(project):
    texts = [str(project["tool"]["cibuildwheel"])]
    texts += [p.read_text() for p in (ROOT / ".github/workflows").glob("*.yml")]
    texts += [p.read_text() for p in MACHINES.glob("*.sh")]
    paths = {p for text in texts for p in re.findall(r"tests/[\w/]+\.(?:py|sh)", text)}
    assert len(paths) >= 6
    assert [p for p in paths if not (ROOT / p).exists()] == []


def test_every_script_of_the_machines_is_run():
    runs = (MACHINES / "run.sh").read_text()
    others = {p.name for p in MACHINES.iterdir() if p.suffix in (".py", ".sh")} - {"run.sh"}
    called_by_others = {"wheel_contents.py"}
    assert {name for name in others if name not in runs} == called_by_others
