"""`fastbp train --mpi`: one network, one set of files and one voice on all ranks of mpiexec."""

import importlib.machinery
import json
import re
import sys
import types

import numpy as np
import pytest
from ranks import mpiexec, run_program

import fastbp
from fastbp.command import cli

pytest.importorskip("safetensors")

SIZE = 2
#: Seconds that a test gives all ranks.
PATIENCE = 120
FILES = ["learning-curves.png", "weights.safetensors"]
OF_A_TABLE = ["importances.svg", "learning-curves.svg", "metrics.json", "residuals.svg", "model.safetensors"]

#: What each rank does: the commands of a file one after the other, as processes take seconds to start.
PROGRAM = """
import contextlib, io, json, os, pathlib, signal, sys, threading
from mpi4py import MPI
from fastbp.command import cli

rank = MPI.COMM_WORLD.rank
class Terminal(io.StringIO):
    def isatty(self):
        return True

def failing(where, error):
    def function(*arguments):
        if rank == where:
            raise error
        return kept(*arguments)
    return function

said, draw = {}, cli.plots.learning_curves
for case, words in json.load(open("commands.json")).items():
    words = [word.format(rank=rank) for word in words]
    out, err = io.StringIO(), (Terminal if case == "bar" else io.StringIO)()
    kept = None
    # Pictures take most of the time.
    cli.plots.learning_curves = draw if case == "first" else lambda curves, path: path.touch()
    if case == "no report":
        cli.plots.learning_curves = failing(0, OSError("the disk is full"))
    elif case == "fault":
        kept, cli._load = cli._load, failing(1, TypeError("a fault of the program"))
    elif case == "failed check":
        kept = cli.gradient_check
        cli.gradient_check = lambda *_: type("Report", (), {"passed": False, "__str__": lambda _: "failed"})()
    elif case == "interrupt" and rank == 1:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main(words)
        except Exception as error:
            status = repr(error)
    if case == "fault":
        cli._load = kept
    elif case == "failed check":
        cli.gradient_check = kept
    said[case] = [status, out.getvalue(), err.getvalue()]
pathlib.Path(f"said-{rank}.json").write_text(json.dumps(said))
"""
IRIS = ["train", "iris", "--mpi", "--out", "{rank}"]
COMMANDS = {
    "first": ["train", "iris", "--mpi", "--epochs", "3", "--out", "first", "--checkpoint", "saved", "--every", "1"],
    "resumed": ["train", "iris", "--mpi", "--epochs", "5", "--out", "resumed", "--resume", "saved"],
    "table": ["train", "table.csv", "--mpi", "--target", "b", "--epochs", "2", "--out", "table", "--optimizer", "adam"],
    "double": ["train", "iris", "--mpi", "--epochs", "3", "--out", "double", "--dtype", "float64"],
    "bar": ["train", "iris", "--mpi", "--epochs", "2", "--out", "bar"],
    "its own": ["train", "iris", "--no-mpi", "--epochs", "1", "--out", "own-{rank}", "--seed", "{rank}"],
    "neither": ["train", "iris", "--epochs", "1", "--out", "neither"],
    "no number": [*IRIS, "--lr", "0"],
    "no data on rank 1": ["train", "only-{rank}.csv", "--target", "b", "--mpi", "--out", "none", "--epochs", "1"],
    "other data on rank 1": ["train", "other-{rank}.csv", "--target", "b", "--mpi", "--out", "other"],
    "no folder": ["train", "iris", "--mpi", "--out", "table.csv"],
    "diverged": ["train", "iris", "--mpi", "--out", "diverged", "--lr", "1e9"],
    "no checkpoint": ["train", "iris", "--mpi", "--out", "none", "--resume", "table.csv"],
    "no report": ["train", "iris", "--mpi", "--epochs", "1", "--out", "unreported"],
    "failed check": ["train", "iris", "--mpi", "--epochs", "1", "--out", "failed"],
    "fault": ["train", "iris", "--mpi", "--epochs", "1", "--out", "fault"],
    "interrupt": ["train", "--mpi", "--epochs", "100000", "--out", "interrupted", "--checkpoint", "interrupted.fastbp"],
}
#: Of the commands that fail: the status on each rank, and the one line of the first one.
FAILURES = {
    "neither": (2, 2, "expects --mpi where mpiexec starts several ranks, to train one network on all 2, or --no-mpi"),
    "no number": (2, 2, "argument --lr: expected a number above 0"),
    "no data on rank 1": (2, 2, r"ended on all 2 ranks, as rank 1 failed: .*only-1\.csv"),
    "other data on rank 1": (2, 2, "as rank 1 failed: ValueError: fit expects .* of rank 0"),
    "no folder": (2, 2, "--out expects a folder"),
    "diverged": (2, 2, "the loss is not finite in epoch 1: the training diverged, so take an --lr below 1e"),
    "no checkpoint": (2, 2, "table.csv"),
    "no report": (2, 2, "the disk is full"),
    "fault": (2, "TypeError('a fault of the program')", "as rank 1 failed: TypeError: a fault of the program"),
    "interrupt": (130, 130, "interrupted"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all commands have run."""
    mpiexec(SIZE)
    folder = tmp_path_factory.mktemp("ranks")
    rows = "a,b\n" + "".join(f"{k % 7 + 0.5},{k % 7 * 2.5}\n" for k in range(40))
    for name in ("table.csv", "only-0.csv", "other-0.csv"):
        (folder / name).write_text(rows)
    (folder / "other-1.csv").write_text(rows.replace("6.5", "6.25"))
    (folder / "commands.json").write_text(json.dumps(COMMANDS))
    run_program(SIZE, PROGRAM, folder=folder, patience=PATIENCE)
    return folder


@pytest.fixture(scope="module")
def said(folder):
    """Each command's status, stdout and stderr, of each rank."""
    ranks = [json.loads((folder / f"said-{rank}.json").read_text()) for rank in range(SIZE)]
    return {case: [rank[case] for rank in ranks] for case in COMMANDS}


def alone(words, capsys):
    """What one process says of the same command."""
    capsys.readouterr()
    assert cli.main(words) == 0
    return capsys.readouterr().out


def epochs_of(out):
    return [line for line in out.splitlines() if line.startswith("epoch")]


@pytest.mark.parametrize("case", ["first", "table", "double"])
def test_ranks_train_what_one_process_trains(case, folder, said, capsys, monkeypatch):
    (status, out, error), other = said[case]
    assert (status, error) == (0, "") and other == [0, "", ""]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(cli.plots, "learning_curves", lambda curves, path: path.touch())
    words = [word if word not in (case, "saved") else f"alone-{word}" for word in COMMANDS[case] if word != "--mpi"]
    expected = alone(words, capsys)
    assert re.search(r"batches of \d+ on 2 ranks, ", out)
    assert epochs_of(out) == epochs_of(expected) != []
    written = OF_A_TABLE if case == "table" else FILES
    ours, theirs = (fastbp.Sequential.load(f"{name}/{written[-1]}") for name in (case, f"alone-{case}"))
    for name, array in ours.params.items():
        np.testing.assert_allclose(array, theirs.params[name], rtol=0, atol=1e-11 if case == "double" else 5e-6)
    assert sorted(path.name for path in (folder / case).iterdir()) == sorted(written)


def test_ranks_go_on_from_their_checkpoint(folder, said, capsys, monkeypatch):
    (status, out, error), other = said["resumed"]
    assert (status, error) == (0, "") and other == [0, "", ""]
    assert [line.split()[1] for line in epochs_of(out)] == ["4/5", "5/5"]
    monkeypatch.chdir(folder)
    expected = alone(["train", "iris", "--epochs", "5", "--out", "undisturbed"], capsys)
    assert epochs_of(out) == epochs_of(expected)[3:]
    assert epochs_of(alone(["train", "iris", "--epochs", "5", "--resume", "saved"], capsys)) == epochs_of(out)


def test_the_first_rank_alone_shows_a_bar(said):
    first, other = said["bar"]
    assert first[0] == other[0] == 0
    assert "training:" in first[2] and other[1:] == ["", ""]


def test_without_mpi_each_rank_trains_its_own(folder, said):
    for rank, (status, out, _) in enumerate(said["its own"]):
        assert status == 0 and out.startswith("iris: 120 training")
        assert sorted(path.name for path in (folder / f"own-{rank}").iterdir()) == FILES
    assert said["its own"][0][1] != said["its own"][1][1]


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_on_any_rank_ends_all_by_one_line(case, folder, said):
    first, other = said[case]
    *statuses, line = FAILURES[case]
    assert [first[0], other[0]] == statuses
    assert re.fullmatch(rf"fastbp: [^\n]*{line}[^\n]*\n", first[2])
    assert other[1:] == ["", ""]
    assert not (folder / "1").exists() and not (folder / "neither").exists()


def test_a_failed_check_is_the_status_of_all(said):
    assert [one[0] for one in said["failed check"]] == [1, 1]


def test_an_interrupt_on_another_rank_leaves_a_checkpoint(folder, capsys, monkeypatch, said):
    n = len(epochs_of(said["interrupt"][0][1]))
    monkeypatch.chdir(folder)
    words = ["train", "--epochs", str(n + 2), "--out", "gone-on", "--resume", "interrupted.fastbp"]
    assert epochs_of(alone(words, capsys))[-1].split()[1] == f"{n + 2}/{n + 2}"


# --- without mpiexec ------------------------------------------------------------------------


@pytest.fixture
def refused(capsys):
    def call(*words):
        capsys.readouterr()
        assert cli.main(["train", "iris", "--epochs", "1", *map(str, words)]) == 2
        out, error = capsys.readouterr()
        assert out == "" and error.count("\n") == 1
        return error

    return call


def fake_mpi(monkeypatch, size=1):
    """An mpi4py with a communicator of one rank, in the place of one that would begin MPI here."""

    class Alone:
        rank, is_inter = 0, False

        def allreduce(self, buffer):
            pass

        def broadcast(self, buffer, root):
            pass

    module = types.ModuleType("mpi4py")
    module.__spec__ = importlib.machinery.ModuleSpec("mpi4py", None)
    module.MPI = types.SimpleNamespace(COMM_WORLD=Alone(), Get_library_version=lambda: "Some MPI 1.0\nof others\0")
    module.MPI.COMM_WORLD.size = size
    monkeypatch.setitem(sys.modules, "mpi4py", module)


def test_mpi4py_that_is_missing_is_one_line_with_its_cure(monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert refused("--mpi") == "fastbp: train --mpi needs mpi4py, which pip install 'fastbp[mpi]' brings.\n"


@pytest.mark.parametrize("prefix", ["PMI", "OMPI_COMM_WORLD"])
def test_ranks_that_are_not_asked_for_are_refused(prefix, monkeypatch, refused, tmp_path, capsys):
    monkeypatch.setenv(f"{prefix}_RANK", "0")
    monkeypatch.setenv(f"{prefix}_SIZE", "3")
    assert "one network on all 3, or --no-mpi" in refused("--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    fake_mpi(monkeypatch)
    assert "expects the mpiexec of the MPI that mpi4py has loaded, Some MPI 1.0; got another one's" in refused("--mpi")
    monkeypatch.setenv(f"{prefix}_RANK", "1")
    assert cli.main(["train", "iris", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr() == ("", "")


def test_one_rank_trains_as_without(monkeypatch, tmp_path, capsys):
    fake_mpi(monkeypatch)
    words = ["train", "iris", "--epochs", "2", "--out", str(tmp_path)]
    outs = [alone([*words, *more], capsys) for more in ([], ["--mpi"])]
    assert epochs_of(outs[0]) == epochs_of(outs[1]) != []
    assert "ranks" not in outs[1]
