"""The scripts of docs/many-machines.md and the example with Dask, started as the page says."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ranks import mpiexec

import fastbp

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))  # at the end: the fastbp under test stays the one it is

from bench import ranks  # noqa: E402

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
    return *mpiexec(2), sys.executable, "-m", "mpi4py"


@pytest.fixture
def slow_network(mpi, tmp_path):
    """The command that starts a program on two ranks, in two network namespaces a slow link apart."""
    names = [f"fastbp{os.getpid()}{end}" for end in "ab"]
    addresses = ["10.77.3.1", "10.77.3.2"]

    def ip(*arguments):
        return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=20).stdout

    def counted():
        link = json.loads(ip("-json", "-stats", "-netns", names[1], "link", "show", "fastbp0"))
        return link[0]["stats64"]["rx"]["bytes"]

    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2 or not all(map(shutil.which, ("ip", "tc", "taskset"))):
        pytest.skip("there are no two cores, or no ip, tc and taskset")
    try:
        for name in names:
            ip("netns", "add", name)
        ends = [["fastbp0", "netns", name] for name in names]
        ip("link", "add", *ends[0], "type", "veth", "peer", "name", *ends[1])
        for name, address in zip(names, addresses, strict=True):
            inside = ["ip", "netns", "exec", name]
            ip("-netns", name, "addr", "add", f"{address}/24", "dev", "fastbp0")
            for device in ("lo", "fastbp0"):
                ip("-netns", name, "link", "set", device, "up")
            limit = ["tc", "qdisc", "add", "dev", "fastbp0", "root", "tbf", "rate", "1gbit"]
            subprocess.run([*inside, *limit, "burst", "64kb", "latency", "50ms"], check=True, capture_output=True)
        time.sleep(3)  # until the link is up, which MPI does not wait for
        enter = tmp_path / "enter.sh"  # called as ssh: options, host, command
        enter.write_text(
            '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nshift\n'
            f'exec ip netns exec {names[1]} taskset -c {cores[1]} sh -c "$*"\n'
        )
        enter.chmod(0o755)
        hosts = ["-localhost", addresses[0], "-hosts", ",".join(addresses), "-ppn", "1"]
        launcher = ["-launcher", "ssh", "-launcher-exec", str(enter)]
        inside = ["ip", "netns", "exec", names[0], "taskset", "-c", str(cores[0])]
        yield [*inside, mpi[0], *launcher, *hosts, "-n", "2", sys.executable, "-m", "mpi4py"], counted
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces are not allowed here: {error}")
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20)


#: Else MPICH finds the shared memory of the one machine.
APART = {"UCX_TLS": "tcp,self", "UCX_NET_DEVICES": "fastbp0"}


#: Prints the model's time of a step over the measured one, by the network and its rows.
MODEL = f"""
import json
import sys
sys.path.append({str(ROOT)!r})
from bench import ranks
from mpi4py import MPI
comm, how = MPI.COMM_WORLD, {{"samples": 15, "seconds": 0.03, "of": min}}
found = ranks.network(comm, **how)
between = found["latency"], found["bandwidth"]
predicted = []
for name, several in ranks.ROWS.items():
    cost = ranks.costs(comm, name, **how)
    took = [ranks.scaling(comm, name, rows, "efficiency", **how)["ranks"] for rows in several]
    predicted.append([ranks.step_of(cost, rows, 2, between) / t for rows, t in zip(several, took)])
print(found, took, file=sys.stderr)
if comm.rank == 0:
    print(json.dumps(predicted))
"""


@pytest.mark.slow
def test_a_slow_network_gives_the_same_numbers_in_the_time_of_the_model(run, mpi, slow_network, tmp_path):
    command, counted = slow_network
    text = script("load_mnist").replace("load_mnist()", "load_digits()").replace("load_mnist", "load_digits")
    text = (
        text.replace("784", "64")
        .replace("accuracy", "weights")
        .replace("{net.weights(x_test, t_test):.4f}", "{net.params['W1'].tobytes().hex()}")
    )
    assert run(text, *command, **APART) == run(text, *mpi)
    assert counted() > 18 * 64 * 100 * 4  # the gradients of all steps
    printed = run(MODEL, *command, timeout=300, **APART)
    predicted = dict(zip(ranks.ROWS, json.loads(printed), strict=True))
    assert all(0.7 < ratio < 1.3 for ratios in predicted.values() for ratio in ratios), predicted


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
