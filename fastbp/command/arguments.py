"""The arguments of the command `fastbp`, and what it takes where nothing is given."""

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fastbp import checks, optim, tables
from fastbp.network import ACTIVATIONS
from fastbp.optim.rule import OPTIMIZERS as RULES
from fastbp.optim.rule import Rule

__all__ = ["CHECKED_ROWS", "DATA_SETS", "DEFAULTS", "OPTIMIZERS", "fill", "parser", "settle"]

CHECKED_ROWS = 5  # of the gradient check
_MOMENTUM = 0.9
_MOST_DIGITS = 4300  # that Python reads


class _Defaults(NamedTuple):
    """What a data set, or a task of a CSV file, is trained with unless told otherwise."""

    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    lr: float


DATA_SETS = {"digits": 10, "iris": 3, "mnist": 10}  # and their numbers of classes
DEFAULTS = {
    "digits": _Defaults((100,), 30, 32, 0.1),
    "iris": _Defaults((10, 10), 100, 60, 0.01),  # centimetres, as they come
    "mnist": _Defaults((50,), 10, 100, 0.05),
    "classification": _Defaults((50,), 50, 32, 0.01),
    "regression": _Defaults((20,), 50, 32, 0.005),
}
OPTIMIZERS: dict[str, Callable[..., Rule]] = {**RULES, "sgd": lambda lr: optim.SGD(lr=lr, momentum=_MOMENTUM)}


class _Once(argparse.Action):
    """Takes an option's values; one that is given again is refused, where argparse forgets it."""

    def __call__(self, parser, namespace, values, option_string=None):
        if option_string is not None:
            given = vars(namespace).setdefault("given", set())
            if self.dest in given:
                parser.error(f"{option_string} expects to be given once; got it again")
            given.add(self.dest)
        setattr(namespace, self.dest, values)


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line."""

    def __init__(self, **kwargs):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs)
        self.register("action", None, _Once)

    def error(self, message):
        raise ValueError(f"{message} (see {self.prog} --help)")


def parser(version):
    """The parser of the command's arguments; `command` says which."""
    top = _Parser(
        prog="fastbp",
        description="Trains multilayer perceptrons on CPUs by backpropagation, compiled.",
        epilog="examples:\n"
        "  fastbp train                          handwritten digits, in seconds\n"
        "  fastbp train mnist --data ~/mnist     MNIST from its four IDX files\n"
        "  fastbp train wine.csv --target kind   a table of your own\n"
        "  fastbp check iris --full              every gradient of a network for iris\n"
        "  fastbp train --help                   all options of a command",
    )
    top.add_argument("--version", action="version", version=f"fastbp {version}")
    commands = top.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")

    train = commands.add_parser(
        "train",
        help="train a network, check its gradients, draw its learning curves",
        description="Train a network with softmax cross-entropy, or the squared error for a\n"
        "regression. Writes learning-curves.png and weights.safetensors, which\n"
        "fastbp.Sequential.load reads.",
        epilog="A CSV file names its columns in the first line. Columns of texts become one-hot,\n"
        "a fifth of the rows is kept for the test, and features are standardised, as\n"
        "fastbp.tables.prepare does it; so the saved network expects them.\n\n"
        "examples:\n"
        "  fastbp train\n"
        "  fastbp train iris --activation sigmoid --lr 0.1 --out results\n"
        "  fastbp train mnist --data ~/mnist --hidden 512,256 --lr 0.02\n"
        "  fastbp train houses.csv --target price --optimizer adam --epochs 200\n"
        "  mpiexec -n 2 fastbp train mnist --data ~/mnist --mpi\n\n"
        "exit status: 0 success, 1 the gradient check failed, 2 error",
    )
    _add_network(train)
    train.add_argument("--epochs", metavar="N", type=_whole(1), help=f"passes over the data ({_each('epochs')})")
    train.add_argument(
        "--batch-size", metavar="N", type=_whole(1), help=f"rows of a training step ({_each('batch_size')})"
    )
    train.add_argument(
        "--optimizer",
        metavar="NAME",
        choices=tuple(OPTIMIZERS),
        default="sgd",
        help=f"{', '.join(OPTIMIZERS)} (default: %(default)s, with momentum {_MOMENTUM})",
    )
    train.add_argument(
        "--lr", type=_learning_rate, help=f"learning rate ({_each('lr')}; with another optimizer than sgd, its own)"
    )
    train.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default="float32",
        help="of weights and arithmetic (default: %(default)s)",
    )
    train.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path(),
        help="folder for the files, made if it is missing (default: the current one)",
    )

    train.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="written after each epoch and on Ctrl-C, so that --resume can go on from it",
    )
    train.add_argument("--every", metavar="N", type=_whole(1), help="write it after so many steps instead")
    train.add_argument(
        "--resume",
        metavar="FILE",
        help="go on from a checkpoint, with the same data and options; --epochs may be larger",
    )
    train.add_argument(
        "--mpi",
        action=argparse.BooleanOptionalAction,
        help="train one network on all ranks of mpiexec, each with its share of a step's rows; "
        "with --no-mpi each trains its own",
    )

    check = commands.add_parser(
        "check",
        help="check the gradients of a network that is not trained yet",
        description="Compare the gradients of backpropagation with numerical ones, in float64,\n"
        f"for a new network and {CHECKED_ROWS} rows of data.",
        epilog="examples:\n"
        "  fastbp check\n"
        "  fastbp check iris --hidden 20,20 --activation tanh --full\n\n"
        "exit status: 0 the check passed, 1 it failed, 2 error",
    )
    _add_network(check)
    check.add_argument("--full", action="store_true", help="check every weight (default: a sample of them)")

    commands.add_parser(
        "info",
        help="say what is installed and what this machine offers",
        description="Print the version, the instruction sets, threads, NumPy and the processor.",
        epilog="The environment variable FASTBP_ISA forces one of the usable instruction sets.",
    )
    return top


def _add_network(parser):
    """The arguments that `train` and `check` share."""
    parser.add_argument(
        "data_set",
        nargs="?",  # without choices: 3 of a mistyped --epoch 3 is not the one to blame
        help=f"{', '.join(DATA_SETS)} or a CSV file (default: {next(iter(DATA_SETS))})",
        metavar="DATA",
    )
    parser.add_argument("--target", metavar="COLUMN", help="of a CSV file: what to predict")
    parser.add_argument(
        "--task",
        choices=tables.preparing.TASKS,
        help="of a CSV file (default: classification of texts or few different integers, else regression)",
    )
    parser.add_argument(
        "--hidden",
        nargs="+",
        metavar="N",
        type=_widths,
        help=f"widths of the hidden layers, as 100,50 or 100 50 ({_each('hidden')})",
    )
    parser.add_argument(
        "--activation",
        metavar="NAME",
        choices=tuple(ACTIVATIONS),
        default="relu",
        help=f"of the hidden layers: {', '.join(ACTIVATIONS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=_whole(0),
        default=0,
        help="of the initial weights, the order of rows and the split of a CSV file (default: %(default)s)",
    )
    parser.add_argument(
        "--data", metavar="DIR", help="folder of MNIST's IDX files (default: the environment variable FASTBP_DATA)"
    )


def _each(name):
    """The defaults of an argument, data set by data set."""
    values = {kind: getattr(defaults, name) for kind, defaults in DEFAULTS.items()}
    texts = (
        f"{kind} {','.join(map(str, value)) if isinstance(value, tuple) else value}" for kind, value in values.items()
    )
    return f"default: {', '.join(texts)}"


def _whole(least):
    """The reader of an integer of at least `least`."""

    def read(text):
        whole = text.isascii() and text.isdigit()
        if whole and (len(text) > _MOST_DIGITS or int(text) > checks.MOST_SEED):
            raise argparse.ArgumentTypeError(
                f"expected an integer of at most {checks.MOST_SEED}; got {checks.shown(text)}"
            )
        if not whole or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected an integer of at least {least}; got {checks.shown(text)}")
        return int(text)

    return read


def _widths(text):
    """One word of --hidden: widths, or the data set behind them."""
    try:
        return tuple(_whole(1)(width) for width in text.split(","))
    except argparse.ArgumentTypeError:
        if text in DATA_SETS or _is_table(text):
            return text
        raise


def _is_table(text):
    return text.lower().endswith(".csv") or os.path.isfile(text)


def _learning_rate(text):
    try:
        lr = math.nan if "_" in text else float(text)  # Python's own 1_0
    except ValueError:
        lr = math.nan
    if not 0 < lr < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0; got {text!r}")
    return lr


def settle(args):
    """Find the data set, and put its defaults where nothing was given."""
    if args.hidden and isinstance(args.hidden[-1], str) and args.data_set is None:
        args.data_set = args.hidden.pop()  # as in: train --hidden 100 iris
    if args.data_set is None:
        args.data_set = next(iter(DATA_SETS))
    named = args.data_set in DATA_SETS
    if not named and not _is_table(args.data_set):
        raise ValueError(f"expected {', '.join(DATA_SETS)} or a CSV file; got {args.data_set!r}")
    if named and (args.target is not None or args.task is not None):
        raise ValueError(f"--target and --task expect a CSV file; got {args.data_set}")
    if getattr(args, "data", None) is not None and args.data_set != "mnist":
        raise ValueError(f"--data expects mnist, whose files it names; got {args.data_set}")
    if args.hidden is not None:
        names = [word for word in args.hidden if isinstance(word, str)]
        if names or not args.hidden:
            raise ValueError(f"--hidden expects widths of layers; got {', '.join(names) or 'none'}")
        args.hidden = [width for word in args.hidden for width in word]
    if named:
        fill(args, DEFAULTS[args.data_set])


def fill(args, defaults):
    """Put defaults where nothing was given."""
    values = defaults._asdict()
    if getattr(args, "optimizer", "sgd") != "sgd":
        values["lr"] = OPTIMIZERS[args.optimizer]().lr
    for name, value in values.items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
