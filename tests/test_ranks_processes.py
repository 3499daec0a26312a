"""Training on several ranks that are processes, by MPI and gloo: numbers, deaths, and going on."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import rank_program
from ranks import on_ranks, program_of

import fastbp
from fastbp import files

PROGRAM = Path(__file__).with_name("rank_program.py")
HOME = str(Path(fastbp.__file__).resolve().parents[1])
#: Seconds that a job may take on a busy machine.
PATIENCE = 120


MPIEXEC, TORCHRUN = program_of("mpiexec"), program_of("torchrun")
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or find_spec("mpi4py") is None, reason="needs mpi4py and an MPI: pip install mpi4py mpich"
)
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch, whose gloo it is")


def environment(**more):
    path = [HOME, *filter(None, [os.environ.get("PYTHONPATH")])]
    # Open MPI refuses root, and more ranks than cores.
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    allowed |= {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "OMP_NUM_THREADS": "1"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return inherited | allowed | {"PYTHONPATH": os.pathsep.join(path)} | more


def end(process, folder):
    """End a job and the ranks that have said which processes they are."""
    process.kill()
    process.wait()
    for file in folder.glob("pid*"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)
        file.unlink()


def run(folder, *command, patience=PATIENCE, interrupt=False, **more):
    """A job's exit status and what it said; None where the patience ended first.

    With `interrupt` Ctrl-C comes as soon as it trains.
    """
    for file in folder.glob("pid*"):
        file.unlink()
    with open(folder / "said", "w+b") as said:
        process = subprocess.Popen(
            [*map(str, command)], env=environment(**more), cwd=folder, stdout=said, stderr=said, start_new_session=True
        )
        try:
            if interrupt:
                when = time.monotonic() + patience
                while not (folder / "goes on").exists() and process.poll() is None and time.monotonic() < when:
                    time.sleep(0.05)
                process.send_signal(signal.SIGINT)
            status = process.wait(patience)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            end(process, folder)
        said.seek(0)
        return status, said.read().decode(errors="replace")[-3000:]


def mpi(size, *arguments, **options):
    folder = Path(arguments[1])
    return run(folder, MPIEXEC, "-n", size, sys.executable, PROGRAM, *arguments, **options)


def assert_are_one_machines(folder):
    expected = rank_program.numbers(None)
    for file in ("numbers.npz", "shared.npz"):
        found = np.load(folder / file)
        assert set(found) == set(expected)
        for name, array in expected.items():
            near = 5e-6 if name.startswith("float32") else 1e-11
            assert np.abs(found[name] - array).max() < near, (file, name)


def keep(folder, action, number):
    """Keep a dead job's checkpoint, whole and amid its training, for the next job."""
    arrays, _ = files.read_safetensors("test", folder / action)
    assert len(arrays["history.train_loss"]) < rank_program.EPOCHS
    (folder / action).rename(folder / f"{action}{number}.checkpoint")


@needs_mpi
@pytest.mark.parametrize(
    "size, actions", [(2, ["exit", "kill", "stop"]), pytest.param(3, ["kill", "exit"], marks=pytest.mark.slow)]
)
def test_ranks_by_mpi(size, actions, tmp_path):
    """They die at random steps; those after them train from where they were to the same bits."""
    rng = np.random.default_rng(size)
    for number, action in enumerate(actions):
        rank, at = rng.integers(size), rng.integers(rank_program.EXCHANGES // 2, rank_program.EXCHANGES) + 8
        begun = time.monotonic()
        # A rank that only stands still is nobody's to know: here the test is who waits no longer.
        status, said = mpi(size, "die", tmp_path, action, rank, at, patience=6 if action == "stop" else PATIENCE)
        assert (status is None) == (action == "stop") and status != 0, said
        assert time.monotonic() - begun < PATIENCE / 2
        assert not (tmp_path / "die done").exists()
        keep(tmp_path, action, number)
    status, said = mpi(size, "numbers", tmp_path, "survive")
    assert status == 0 and (tmp_path / "numbers done").exists(), said
    assert (tmp_path / "shares memory").exists()
    assert_are_one_machines(tmp_path)


@needs_mpi
def test_control_c_on_a_job_by_mpi(tmp_path):
    """All ranks hear of it, and the file is whole."""
    status, said = mpi(2, "interrupted", tmp_path, interrupt=True)
    assert status not in (0, None), said
    arrays, _ = files.read_safetensors("test", tmp_path / "file")
    assert len(arrays["history.train_loss"]) > 10
    assert "KeyboardInterrupt" in said, said


@needs_mpi
@pytest.mark.slow
def test_three_ranks_by_mpi_have_one_machines_numbers(tmp_path):
    status, said = mpi(3, "numbers", tmp_path)
    assert status == 0, said
    assert_are_one_machines(tmp_path)


# --- gloo -----------------------------------------------------------------------------------


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_groups_of_gloo_as_threads():
    """One machine's numbers, the same bits on both ranks, and errors that name the rank."""
    import torch.distributed as distributed

    def on_gloo(size, function):
        store = distributed.HashStore()
        limit = timedelta(seconds=30)
        return on_ranks(size, lambda c: function(distributed.ProcessGroupGloo(store, c.rank, size, limit), c.rank))

    alone = rank_program.numbers(None)
    for size in (2, 3, 4):
        found = on_gloo(size, lambda comm, rank: rank_program.numbers(comm))
        for name, array in alone.items():
            near = 5e-6 if name.startswith("float32") else 1e-11
            for each in found:
                assert each[name].tobytes() == found[0][name].tobytes()
                assert np.abs(each[name] - array).max() < near

    def fail(comm, rank):
        return rank_program.fit(comm, batch_size=0 if rank == 1 else 8)

    one, other = on_gloo(2, fail)
    assert type(one) is fastbp.RankError and "rank 1 failed: ValueError" in str(one)
    assert type(other) is ValueError

    def vanish(comm, rank):
        if rank == 1:
            return None  # and its group goes
        return rank_program.fit(comm)

    one, other = on_gloo(2, vanish)
    assert other is None and type(one) is fastbp.RankError and "lost the other ranks" in str(one)


@needs_torch
@pytest.mark.slow
@pytest.mark.skipif(TORCHRUN is None, reason="needs torchrun")
def test_torchrun_starts_again_and_the_training_goes_on(tmp_path):
    command = [TORCHRUN, "--standalone", "--nproc-per-node=2", "--max-restarts=1", PROGRAM, "restarted", tmp_path]
    status, said = run(tmp_path, *command)
    assert status == 0 and (tmp_path / "restarted done").exists(), said


# --- a network between them -----------------------------------------------------------------

LAUNCH = """#!/bin/sh
# What mpiexec calls in the place of ssh: options, a host, and its command.
while [ "${1#-}" != "$1" ]; do shift; done
case "$1" in 10.77.0.1) space=SPACEa;; *) space=SPACEb;; esac
shift
exec ip netns exec $space sh -c "$*"
"""


def quiet(*command):
    """Whether a command succeeds."""
    try:
        return subprocess.run([*map(str, command)], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@pytest.fixture
def two_machines():
    """Two namespaces with a network of 1 Gbit between them; the beginning of their names."""
    if not (quiet("unshare", "-n", "true") and shutil.which("ip") and shutil.which("tc")):
        pytest.skip("needs network namespaces, and ip and tc of iproute2")
    space = f"fbp{os.getpid() % 100000}"
    try:
        made = quiet("ip", "netns", "add", f"{space}a") and quiet("ip", "netns", "add", f"{space}b")
        made = made and quiet("ip", "link", "add", f"{space}va", "type", "veth", "peer", "name", f"{space}vb")
        for side, address in (("a", "10.77.0.1/24"), ("b", "10.77.0.2/24")):
            name, device = f"{space}{side}", f"{space}v{side}"
            made = (
                made
                and quiet("ip", "link", "set", device, "netns", name)
                and quiet("ip", "-n", name, "addr", "add", address, "dev", device)
                and quiet("ip", "-n", name, "link", "set", "lo", "up")
                and quiet("ip", "-n", name, "link", "set", device, "up")
                and quiet(
                    *f"ip netns exec {name} tc qdisc add dev {device} root tbf".split(),
                    *["rate", "1gbit", "burst", "256kb", "latency", "50ms"],
                )
            )
        if not made:
            pytest.skip("needs veth and tbf in this kernel")
        yield space
    finally:
        for side in "ab":
            quiet("ip", "netns", "del", f"{space}{side}")


def sent(space):
    """Bytes that went from the first machine to the second."""
    where = ["ip", "netns", "exec", f"{space}a", "cat", f"/sys/class/net/{space}va/statistics/tx_bytes"]
    return int(subprocess.run(where, capture_output=True, text=True, check=True).stdout)


@needs_mpi
def test_two_machines(two_machines, tmp_path):
    """The same numbers over a network, which carries them: no memory is shared behind it."""
    version = subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True).stdout
    if "HYDRA" not in version:
        pytest.skip("needs MPICH's mpiexec")
    launch = tmp_path / "launch"
    launch.write_text(LAUNCH.replace("SPACE", two_machines))
    launch.chmod(0o755)
    before = sent(two_machines)
    status, said = run(
        tmp_path,
        *("ip", "netns", "exec", f"{two_machines}a", MPIEXEC, "-launcher", "ssh", "-launcher-exec", launch),
        *("-hosts", "10.77.0.1,10.77.0.2", "-localhost", "10.77.0.1", "-n", 2, "-ppn", 1),
        *(sys.executable, PROGRAM, "numbers", tmp_path),
        UCX_TLS="tcp,self",
    )
    assert status == 0 and (tmp_path / "numbers done").exists(), said
    assert_are_one_machines(tmp_path)
    gradients = sum(array.nbytes for array in rank_program.network().params.values())
    assert not (tmp_path / "shares memory").exists()
    assert sent(two_machines) - before > 50 * gradients
