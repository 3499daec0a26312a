"""The scripts of docs/many-machines.md and the example with Dask, started as the page says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastbp

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "many-machines.md"
SCRIPTS = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def script(word):
    """The one script of the page with this word in it."""
    (found,) = [text for text in SCRIPTS if word in text]
    return found


@pytest.fixture
def run(tmp_path):
    """run(text, *launcher, **environment): what a script prints, started by a launcher."""

    def started(text, *launcher, timeout=120, **environment):
        (tmp_path / "train.py").write_text(text, "utf-8")
        path = [str(Path(fastbp.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH")]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PMI_"))}
        done = subprocess.run(
            [*launcher, "train.py"],
            env={**inherited, "PYTHONPATH": os.pathsep.join(filter(None, path)), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return started


@pytest.fixture
def mpi():
    """The command that starts a script on two ranks of MPI."""
    pytest.importorskip("mpi4py")
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = shutil.which("mpiexec") or (str(beside) if beside.exists() else None)
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    return mpiexec, "-n", "2", sys.executable, "-m", "mpi4py"


def accuracy(printed):
    """What a script prints, once for all of its ranks."""
    (found,) = re.findall(r"accuracy (0\.\d+|1\.0+)", printed)
    return float(found)


def test_every_script_is_run_here():
    words = ("load_mnist", "init_process_group", "ray.remote", "comm.bcast", "parquet")
    assert sorted(map(script, words)) == sorted(SCRIPTS)


def test_mnist_trains_on_two_ranks(run, mpi, easy_images):
    text = script("load_mnist").replace("epochs=3", "epochs=40")
    assert accuracy(run(text, *mpi, FASTBP_DATA=str(easy_images))) > 0.9


def test_restarted_script_goes_on(run, mpi):
    pytest.importorskip("safetensors")
    text = script("comm.bcast").replace("epochs=20", "epochs=int(os.environ['EPOCHS'])")
    text += "\nif comm.rank == 0:\n    print(len(net.history), resume)\n"
    assert run(text, *mpi, EPOCHS="1") == "1 None\n"
    assert run(text, *mpi, EPOCHS="2") == "2 run.safetensors\n"


def test_shards_are_mapped(run, mpi, tmp_path):
    pytest.importorskip("pyarrow")
    assert accuracy(run(script("parquet"), *mpi)) > 0.98
    rows = [np.load(tmp_path / f"rank-{rank}" / "t.npy", mmap_mode="r") for rank in range(2)]
    assert [len(t) for t in rows] == [959, 479]


def test_torchrun_starts_the_ranks(run):
    pytest.importorskip("torch")
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert accuracy(run(script("init_process_group"), *launcher, OMP_NUM_THREADS="1")) > 0.9


@pytest.mark.slow
def test_ray_starts_the_ranks(run):
    pytest.importorskip("torch")
    pytest.importorskip("ray")
    text = script("ray.remote").replace("\n\n\n", "\nray.init(num_cpus=2, include_dashboard=False)\n", 1)
    assert accuracy(run(text, sys.executable, timeout=300)) > 0.9


def test_dask_partitions_train_where_they_lie(run):
    pytest.importorskip("torch")
    pytest.importorskip("distributed")
    printed = run((ROOT / "examples" / "dask_partitions.py").read_text("utf-8"), sys.executable)
    found = re.search(r"^2 ranks of (\d+) and (\d+) rows, loss 0\.\d+ on each$", printed, re.M)
    assert int(found[1]) + int(found[2]) == 1438
    assert accuracy(printed) > 0.9
