"""Which kernels each library runs, and what holds it down: ``python -m bench.kernels``.

What a library would run without settings is what it does run in a second process, of an
environment with nothing in it but where programs and libraries lie.  So no table of processors is
needed: a BLAS that does not know the processor is the same in both.
"""

import argparse
import ctypes
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

from bench import HELD, HELD_TO, LEVELS, ROOT, UNLOCKED

#: Library: its package (as pip calls it), and the module that loads its kernels.
LIBRARIES = {
    "NumPy": ("numpy", "numpy"),
    "SciPy": ("scipy", "scipy.linalg"),
    "scikit-learn": ("scikit-learn", "sklearn"),
    "PyTorch": ("torch", "torch"),
    "JAX": ("jax", "jax"),
    "onnxruntime": ("onnxruntime", "onnxruntime"),
}
#: All that a process without settings inherits.
BARE = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


def loaded():
    """The libraries in use in this process."""
    return [name for name, (_, module) in LIBRARIES.items() if module.split(".")[0] in sys.modules]


def versions():
    """Of the loaded libraries, by name."""
    return {name: version(LIBRARIES[name][0]) for name in loaded()}


def in_use():
    """What the loaded libraries run, by name: instruction sets, and each BLAS with its kernels."""
    found = {}
    if "numpy" in sys.modules:
        import numpy as np

        sets = np.show_config(mode="dicts")["SIMD Extensions"]
        found["NumPy"] = [(sets.get("found") or sets["baseline"])[-1]]
    if "onnxruntime" in sys.modules:
        found["onnxruntime"] = ["MLAS"]
    if "torch" in sys.modules:
        import torch

        found["PyTorch"] = [torch.backends.cpu.get_cpu_capability()]
        if torch.backends.mkl.is_available():
            found["PyTorch"].append(mkl_text())
    for pool in threadpoolctl().threadpool_info():
        if pool["user_api"] == "blas":
            found.setdefault(owner(pool["filepath"]), []).append(blas_text(pool))
    return {name: ", ".join(texts) for name, texts in found.items()}


def threadpoolctl():
    """The package that tells and limits what each BLAS does."""
    try:
        return importlib.import_module("threadpoolctl")
    except ImportError:
        raise RuntimeError("bench expects threadpoolctl, which pip install '.[bench]' brings; got none.") from None


def owner(path):
    """Whose folder a library lies in; "BLAS" for the system's, which several share."""
    for name, (package, _) in LIBRARIES.items():
        if any(part.partition(".")[0] == package for part in Path(path).parts):
            return name
    return "BLAS"


def blas_text(pool):
    """OpenBLAS 0.3.31 (Haswell kernels, pthreads)."""
    known = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS"}
    kernels = f"{pool['architecture']} kernels" if pool.get("architecture") else None
    inside = ", ".join(filter(None, [kernels, pool.get("threading_layer")]))
    name = known.get(pool["internal_api"], pool["internal_api"])
    return f"{name} {pool['version']} ({inside})"


@cache
def mkl_text():
    """PyTorch's MKL, and the processors whose kernels it takes, as it tells itself."""
    import torch

    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        before = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with torch.backends.mkl.verbose(torch.backends.mkl.VERBOSE_ON):
                torch.ones(64, 64) @ torch.ones(64, 64)
            ctypes.CDLL(None).fflush(None)
        finally:
            os.dup2(before, 1)
            os.close(before)
        file.seek(0)
        told = file.read().decode("utf-8", "replace")
    found = re.search(r"oneMKL (.*?) Product .*? architecture (.*?) processors", told)
    number, whose = found.groups() if found else ("", "unknown")
    whose = re.sub(r"\(R\)| enabled", "", whose)
    unlocked = ", vendor check answered" if UNLOCKED in os.environ else ""
    return f"MKL {number} (kernels for {whose}{unlocked})"


def without_settings(names):
    """`in_use` of these libraries in a process that no setting reaches."""
    kept = (*BARE, *(["LD_PRELOAD", UNLOCKED] if UNLOCKED in os.environ else ()))
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), *sys.path]))
    done = subprocess.run(
        [sys.executable, "-m", "bench.kernels", "--json", *names], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"bench.kernels expects to run without settings; got {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def held():
    """What holds a library down, in words; empty where nothing does."""
    level = os.environ.get(HELD_TO)
    reasons = [f"--isa {level}"] if level else []
    reasons += [f"{k}={v}" for k, v in HELD.items() if LEVELS.get(level, {}).get(k) != v]
    here, there = in_use(), without_settings(loaded())
    return reasons + [
        f"{name} runs {here[name]}, without settings {there.get(name)}"
        for name in here
        if here[name] != there.get(name)
    ]


def refuse_held(known=()):
    """End a bench that is asked to write while a setting holds a library down, or is `known` to."""
    if reasons := list(dict.fromkeys([*(known or ()), *held()])):
        raise SystemExit(
            f"bench expects every library to run the processor's own kernels where it writes; got {'; '.join(reasons)}."
        )


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.kernels", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(LIBRARIES), help="libraries to load")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for name in options.names:
        try:
            importlib.import_module(LIBRARIES[name][1])
        except ImportError as error:
            print(f"without {name}: {error.name} is not installed", file=sys.stderr)
    if options.json:
        print(json.dumps(in_use()))
        return
    for name, text in in_use().items():
        print(f"{name} {versions().get(name, '')}: {text}")
    print("held down by " + ("; ".join(held()) or "nothing"))


if __name__ == "__main__":
    main()
