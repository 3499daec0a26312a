"""The command `fastbp`: where it starts, its data sets, and what it says of the machine."""

import argparse
import contextlib
import os
import platform
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastbp import __version__, checks, datasets, plots
from fastbp._kernels import isa
from fastbp.command import arguments, epochs, outputs, table
from fastbp.command.arguments import CHECKED_ROWS, DATA_SETS, OPTIMIZERS
from fastbp.gradcheck import gradient_check
from fastbp.network import Sequential
from fastbp.threads import available_threads, is_number_of_threads
from fastbp.training.ranks import RankError, Ranks

_INTERRUPTED = 130  # 128 and the signal's number, as the shell has it
_BROKEN_PIPE = 141
#: Where mpiexec of MPICH and its kin, and that of Open MPI, say a process's rank and how many there are.
_STARTED_BY = (("PMI_RANK", "PMI_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"))


def main(argv=None):
    """Run the command `fastbp`.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments behind the command's name; by default those of the process.

    Returns
    -------
    int
        Exit status: 0 for success, 1 for a gradient check that failed, 2 for an error, of
        which one line stands on stderr, 130 for an interrupt, 141 if nobody reads the output.

    Examples
    --------
    >>> status = main(["--version"])  # doctest: +ELLIPSIS
    fastbp ...
    >>> status
    0
    """
    args = argparse.Namespace(speaks=True)  # of several ranks the first one, for all
    try:
        with _any_text():
            status = _run(argv, args)
        print(end="", flush=True)  # here, where a broken pipe is caught; no stdout is no error
        return status
    except BrokenPipeError:
        # The interpreter flushes stdout once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return _complain(args, "interrupted", _INTERRUPTED)
    except OSError as error:
        if error.strerror and error.filename is not None:
            return _complain(args, f"{error.filename}: {error.strerror}")
        return _complain(args, error)
    except (ImportError, ValueError, MemoryError, RankError) as error:
        return _complain(args, error)


@contextlib.contextmanager
def _any_text():
    """Print names of columns and files that stdout's encoding lacks by their escapes."""
    out = sys.stdout
    if not hasattr(out, "reconfigure"):
        yield
        return
    errors = out.errors
    out.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        out.reconfigure(errors=errors)


def _run(argv, args):
    """The exit status of a command, whose arguments go into `args`."""
    if "--mpi" in (sys.argv if argv is None else argv):
        args.speaks = _started()[0] == 0
    try:
        arguments.parser(__version__).parse_args(argv, args)
    except SystemExit as stop:  # argparse has said what there was to say
        return stop.code
    commands = {
        "train": _run_train,
        "check": _run_check,
        "predict": table.predict,
        "evaluate": table.evaluate,
        "tune": _run_sweep,
        "export": _run_sweep,
        "info": _run_info,
    }
    return commands[args.command](args)


def _run_sweep(args):
    from fastbp.command import sweep  # what other commands need not wait for

    return getattr(sweep, args.command)(args)


def _complain(args, what, status=2):
    """One line on stderr; the exit status."""
    if args.speaks:
        print("fastbp:", *(str(what) or type(what).__name__).split(), file=sys.stderr)
    return status


# --- commands -------------------------------------------------------------------------------


def _run_train(args):
    comm = _communicator(args)
    ranks = Ranks("train", comm)
    args.speaks = ranks.rank == 0
    with ranks.together():  # as fit does of its own
        arguments.settle(args)
        for package in ("tqdm", "matplotlib", "safetensors"):
            if find_spec(package) is None:
                raise checks.missing_extra(package, "train")
    if args.data_set not in DATA_SETS:
        return table.train(args, ranks, comm)
    with ranks.together():
        net, data = _prepared(args, ranks)
        x = data.train[0].astype(args.dtype)  # converted once, not in every batch
        bar = epochs.progress_bar(args.epochs * len(x), args.speaks)
    history = _train(args, net, data, x, bar, comm)
    with ranks.together():
        return ranks.tell(_report(args, net, data, history) if args.speaks else None)


def _prepared(args, ranks):
    """The network and its data; what is wrong is found out before the training, not after."""
    if args.speaks:
        outputs.keep_apart(args, None, *_written(args))
    data = _load(args)
    if args.speaks:
        outputs.make_folder(args.out, *_written(args))
    net = _network(args, data)
    if args.speaks:
        x, x_test = data.train[0], data.test[0]
        sizes = "-".join(map(str, [x.shape[1], *args.hidden, data.n_classes]))
        print(
            f"{args.data_set}: {len(x)} training and {len(x_test)} test rows; network "
            f"{sizes}, {args.activation}, {args.dtype}; batches of {args.batch_size}"
            f"{f' on {ranks.size} ranks' if ranks else ''}, "
            f"{'' if args.optimizer == 'sgd' else args.optimizer + ' with '}lr {args.lr:g}",
            flush=True,
        )
    return net, data


def _report(args, net, data, history):
    """Say and write what came of a training; the exit status."""
    (x, t), (x_test, t_test) = data.train, data.test
    report = gradient_check(net, x[:CHECKED_ROWS], t[:CHECKED_ROWS])
    if report.passed:
        print(f"gradient check  passed, largest relative error {report.largest_relative_error:.1e}")
    else:
        print(report)
    print(f"test accuracy   {net.accuracy(x_test, t_test):.4f}")
    seconds = sum(history.seconds)
    print(f"training        {seconds:.3f} s, {args.epochs * len(x) / seconds:,.0f} samples/s")
    curves, weights = outputs.free(args.force, *_written(args))
    net.save(weights)  # first, as they are worth more
    plots.learning_curves(_curves(history), curves)
    print(f"written         {curves}, {weights}")
    return 0 if report.passed else 1


def _run_check(args):
    arguments.settle(args)
    args.dtype = "float64"
    if args.data_set not in DATA_SETS:
        return table.check(args)
    data = _load(args)
    x, t = data.train
    net = _network(args, data)
    report = gradient_check(net, x[:CHECKED_ROWS], t[:CHECKED_ROWS], full=args.full)
    print(report)
    return 0 if report.passed else 1


def _run_info(args):
    if args.model is not None:
        return table.describe(args)
    rows = {
        "fastbp": __version__,
        "built for": ", ".join(isa.built()),
        "usable here": ", ".join(isa.usable()),
        "in use": isa.in_use(),
        "threads": _threads(),
        "OpenMP": "yes" if isa.openmp() else "no",
        "NumPy": np.__version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "processor": _processor(),
    }
    for name, value in rows.items():
        print(f"{name:<11}  {value}")
    return 0


# --- ranks ----------------------------------------------------------------------------------


def _started():
    """The rank of this process and how many there are, as mpiexec has it."""
    for names in _STARTED_BY:
        with contextlib.suppress(KeyError, ValueError):
            rank, size = (int(os.environ[name]) for name in names)
            return rank, size
    return 0, 1


def _communicator(args):
    """MPI's where --mpi asks for it, else None.

    It is not taken unasked: mpiexec starts trainings of each rank's own, too.  What is refused is
    neither, where all would write the same files.
    """
    rank, size = _started()
    if args.mpi is None and size > 1:
        args.speaks = rank == 0
        raise ValueError(
            f"train expects --mpi where mpiexec starts several ranks, to train one network on all {size}, or --no-mpi "
            "and an --out of its own for each; got neither"
        )
    if not args.mpi:
        return None
    if find_spec("mpi4py") is None:
        raise checks.missing_extra("mpi4py", "train --mpi", "mpi")
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ImportError(f"train --mpi needs an MPI, as pip install mpich brings; mpi4py says: {error}") from None
    if size > 1 and MPI.COMM_WORLD.size == 1:
        name = MPI.Get_library_version().splitlines()[0].strip("\0 ")
        raise ValueError(
            f"train --mpi expects the mpiexec of the MPI that mpi4py has loaded, {name}; got another one's, whose "
            f"{size} ranks do not see each other"
        )
    return MPI.COMM_WORLD


# --- data, network, training ----------------------------------------------------------------


class _Data(NamedTuple):
    """A data set: its (x, t) to train and to test with."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    n_classes: int


def _load(args):
    if args.data_set == "mnist":
        train, test = datasets.load_mnist(args.data)
    else:
        train, test = getattr(datasets, f"load_{args.data_set}")()
    if not len(train[0]) or not len(test[0]):
        raise ValueError(
            f"training expects at least one training and one test row; got {len(train[0])} and {len(test[0])}"
        )
    return _Data(train, test, DATA_SETS[args.data_set])


def _written(args):
    """The files that a training leaves."""
    return args.out / "learning-curves.png", args.out / "weights.safetensors"


def _network(args, data):
    sizes = (data.train[0].shape[1], *args.hidden, data.n_classes)
    activations = [args.activation] * len(args.hidden) + ["linear"]
    config = zip(sizes[:-1], sizes[1:], activations, strict=True)
    return Sequential.from_config(config, "softmax_cross_entropy", args.dtype, args.seed)


def _train(args, net, data, x, bar, comm):
    """The history of a training on rows x that prints a line per epoch."""
    with bar:
        try:
            return net.fit(
                x,
                data.train[1],
                epochs=args.epochs,
                batch_size=args.batch_size,
                seed=args.seed,
                optimizer=OPTIMIZERS[args.optimizer](lr=args.lr),
                validation_data=data.test,
                callbacks=[epochs.lines(bar, args.epochs, len(x), args.lr, "test")],
                checkpoint=args.checkpoint,
                every=args.every,
                resume=args.resume,
                comm=comm,
            )
        except FloatingPointError:
            raise epochs.diverged(len(net.history) + 1, args.lr) from None


def _curves(history):
    """The numbers to draw, with the validation set by its name: the test rows."""
    curves = {
        "train_loss": history.train_loss,
        "test_loss": history.val_loss,
        "train_accuracy": history.train_accuracy,
        "test_accuracy": history.val_accuracy,
    }
    return {name: values for name, values in curves.items() if values}


# --- this machine ---------------------------------------------------------------------------


def _threads():
    omp = os.environ.get("OMP_NUM_THREADS")
    limit = f"OMP_NUM_THREADS is {omp}" if omp else "OMP_NUM_THREADS is not set"
    if omp and not is_number_of_threads(omp):
        limit = f"OMP_NUM_THREADS expects a number above 0; got {omp!r}, which counts for nothing"
    with warnings.catch_warnings():  # the line says it
        warnings.simplefilter("ignore")
        most = available_threads()
    return f"{most} for large steps, 1 for small ones ({limit})"


def _processor():
    """The processor's name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
