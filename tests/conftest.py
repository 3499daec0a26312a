"""Fixtures of all tests: the tolerance table, dtypes, random numbers, fresh interpreters."""

import errno
import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import fastbp

# Shells start background jobs without Ctrl-C, which some tests send to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: The one table of tolerances, by dtype: the largest error as a share of a scale.
TOLERANCES = {
    "elementwise": {"float32": 1e-6, "float64": 5e-15},  # of the result
    "product": {"float32": 1e-6, "float64": 5e-15},  # of |x| |W| + |b|
    "loss": {"float32": 1e-6, "float64": 1e-14},  # of the sum of the terms' sizes
    "update": {"float32": 5e-7, "float64": 1e-15},  # of |p| + lr (|g| + |v|)
    "training": {"float32": 1e-4, "float64": 1e-11},  # of the largest parameter, after many steps
    "normal": {"float32": 6, "float64": 6},  # of gelu, in eps
    "ulp": {"float32": 3, "float64": 3},  # of sigmoid, tanh and exp, in units in the last place
}

#: Drawn tests: the same few examples each time, or with `--hypothesis-profile=full` new ones for
#: an hour.
settings.register_profile(
    "ci", max_examples=40, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("full", settings.get_profile("ci"), max_examples=1000, derandomize=False, print_blob=True)
settings.load_profile("ci")


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture(scope="session")
def tolerance():
    """tolerance("product", dtype) -> float."""
    return lambda kind, dtype: TOLERANCES[kind][np.dtype(dtype).name]


@pytest.fixture(scope="session")
def assert_close(tolerance):
    """assert_close(actual, desired, kind, scale=None): dtype, shape and numbers agree.

    The error may be the table's share of `scale`, by default of |desired|; NaN and inf stand
    at the same places.
    """

    def check(actual, desired, kind="elementwise", scale=None):
        desired = np.asarray(desired)
        assert actual.dtype == desired.dtype and actual.shape == desired.shape
        scale = np.abs(desired if scale is None else scale, dtype=np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            # The addend lets results differ that are about to be subnormal.
            bound = tolerance(kind, actual.dtype) * scale + np.finfo(actual.dtype).tiny
            error = np.abs(np.subtract(actual, desired, dtype=np.float64))
        good = (error <= bound) | (actual == desired) | (np.isnan(actual) & np.isnan(desired))
        if not good.all():
            at = tuple(int(i) for i in np.argwhere(~good)[0])
            raise AssertionError(
                f"{np.count_nonzero(~good)} of {good.size} {kind} results are off, the first at "
                f"{at}: {actual[at]!r} for {desired[at]!r}, error {error[at]:.3g} over "
                f"{bound[at]:.3g}"
            )

    return check


@pytest.fixture(scope="session")
def mnist_directory():
    """MNIST's four files: FASTBP_DATA, or the data folder beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"
    folder = Path(os.environ.get("FASTBP_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"MNIST is not in {folder}; FASTBP_DATA names its folder")
    return folder


def write_idx(path, array):
    """A gzipped IDX file of unsigned bytes."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture
def easy_images(tmp_path):
    """A folder like MNIST's, where digit k lights up rows 2k and 2k + 1."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 500), ("t10k", 100)):
        digits = rng.integers(0, 10, n)
        images = rng.integers(0, 100, (n, 28, 28))
        images[np.arange(28) // 2 == digits[:, None]] += 150
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", digits)
    return tmp_path


@pytest.fixture
def run_python(tmp_path):
    """run_python(*arguments, **environment): a fresh interpreter that finds the same fastbp.

    It starts in an empty folder, so that a source tree without kernels is not in its way.
    """
    home = str(Path(fastbp.__file__).resolve().parents[1])

    def run(*arguments, timeout=300, input=None, **environment):
        path = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        try:
            return subprocess.run(
                [sys.executable, *arguments],
                env={**inherited, "PYTHONPATH": os.pathsep.join(path), **environment},
                cwd=tmp_path,
                capture_output=True,
                input=input,
                text=True,
                timeout=timeout,
            )
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            pytest.skip("an emulated processor's Python starts no other")

    return run


# --- the command ----------------------------------------------------------------------------


@pytest.fixture
def run(capsys):
    """run(*words): the exit status, stdout and stderr of the command, in this process."""

    def call(*words):
        from fastbp.command import cli

        capsys.readouterr()
        status = cli.main([str(word) for word in words])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def refused(run):
    """refused(*words): the one line that the command complains with."""

    def call(*words):
        status, out, error = run(*words)
        assert status == 2
        assert error.startswith("fastbp: ") and error.endswith("\n") and error.count("\n") == 1
        assert "epoch" not in out
        return error

    return call
