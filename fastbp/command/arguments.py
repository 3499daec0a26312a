"""The arguments of the command `fastbp`, and what it takes where nothing is given."""

import argparse
import csv
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

from fastbp import checks
from fastbp.network import ACTIVATIONS
from fastbp.table_model import OPTIMIZERS
from fastbp.tables import targets

__all__ = ["CHECKED_ROWS", "DATA_SETS", "DEFAULTS", "OPTIMIZERS", "parser", "settle"]

CHECKED_ROWS = 5  # of the gradient check
_MOST_DIGITS = 4300  # that Python reads


class _Defaults(NamedTuple):
    """What a data set, or a table, is trained with unless told otherwise."""

    hidden: tuple[int, ...]
    epochs: int
    batch_size: int | str
    lr: float | str


DATA_SETS = {"digits": 10, "iris": 3, "mnist": 10, "wine": 3, "breast_cancer": 2}  # and their numbers of classes
DEFAULTS = {
    "digits": _Defaults((100,), 30, 32, 0.1),
    "iris": _Defaults((10, 10), 100, 60, 0.01),  # centimetres, as they come
    "mnist": _Defaults((50,), 10, 100, 0.05),
    "wine": _Defaults((20,), 30, 32, 0.05),
    "breast_cancer": _Defaults((20,), 30, 32, 0.05),
    "a table": _Defaults((64,), 200, "a fiftieth of the rows, 32 to 256", "0.001, of adam"),
}
#: Options of tables alone, and what they are where they are not given.
_OF_TABLES = {
    "target": None,
    "task": None,
    "group": None,
    "time": None,
    "ignore": (),
    "texts": (),
    "class_weight": None,
    "patience": None,
    "encoding": None,
    "delimiter": None,
    "decimal": None,
    "header": True,
    "refit": True,
    "dry_run": False,
}
_ENDS = (".csv", ".tsv", ".txt", ".parquet", ".gz")


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
        "  fastbp predict model.safetensors new.csv   what its model says of new rows\n"
        "  fastbp tune wine.csv --target kind    many networks, the best one kept\n"
        "  fastbp export model.safetensors m.c   the model as one file of C\n"
        "  fastbp check iris --full              every gradient of a network for iris\n"
        "  fastbp train --help                   all options of a command",
    )
    top.add_argument("--version", action="version", version=f"fastbp {version}")
    commands = top.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for add in (_train, _check, _predict, _evaluate, _export, _tune, _info):
        add(commands)
    return top


# --- a function for each command ---------------------------------------------------------------


def _train(commands):
    parser = commands.add_parser(
        "train",
        help="train a network, check its gradients, draw its learning curves",
        description="Train a network with softmax cross-entropy, or the squared error for a\n"
        "regression. Of a data set it writes learning-curves.png and\n"
        "weights.safetensors, which fastbp.Sequential.load reads; of a table\n"
        "model.safetensors, which fastbp predict and fastbp.TableModel.load read,\n"
        "metrics.json and pictures. A file that is there stays: the new ones get a\n"
        "number, or --force writes over it.",
        epilog="Of a table it is said first what was understood, a line per column. A part of\n"
        "the rows ends the training in time, a fifth judges it, and in the end a new\n"
        "network learns all rows. The model has its preprocessing with it, as\n"
        "fastbp.TableModel makes it.\n\n"
        "examples:\n"
        "  fastbp train\n"
        "  fastbp train iris --activation sigmoid --lr 0.1 --out results\n"
        "  fastbp train mnist --data ~/mnist --hidden 512,256 --lr 0.02\n"
        "  fastbp train houses.csv --target price --dry-run\n"
        "  fastbp train houses.csv --target price --ignore id,notes --time sold\n"
        "  mpiexec -n 2 fastbp train mnist --data ~/mnist --mpi\n\n"
        "exit status: 0 success, 1 the gradient check failed, 2 error",
    )
    _add_network(parser)
    parser.add_argument("--epochs", metavar="N", type=_whole(1), help=f"passes over the data ({_each('epochs')})")
    parser.add_argument(
        "--batch-size", metavar="N", type=_whole(1), help=f"rows of a training step ({_each('batch_size')})"
    )
    parser.add_argument(
        "--optimizer",
        metavar="NAME",
        choices=tuple(OPTIMIZERS),
        help=f"{', '.join(OPTIMIZERS)} (default: sgd, which is with momentum 0.9; of a table adam)",
    )
    parser.add_argument(
        "--lr", type=_learning_rate, help=f"learning rate ({_each('lr')}; with another optimizer than sgd, its own)"
    )
    parser.add_argument(
        "--patience",
        metavar="N",
        type=_whole(1),
        help="of a table: epochs without a lower validation loss, after which the training ends (default: 20)",
    )
    parser.add_argument("--class-weight", choices=("balanced",), help="of a table: weigh each class by how rare it is")
    parser.add_argument("--group", metavar="COLUMN", help="of a table: its rows of one value stay in one part")
    parser.add_argument(
        "--time", metavar="COLUMN", help="of a table: train with the first rows, judge by the last ones"
    )
    parser.add_argument(
        "--no-refit",
        dest="refit",
        action="store_false",
        help="of a table: save the network that was judged, which has not learnt the rows it is judged by",
    )
    parser.add_argument("--dry-run", action="store_true", help="of a table: say what was understood, and stop")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default="float32",
        help="of weights and arithmetic (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path(),
        help="folder for the files, made if it is missing (default: the current one)",
    )
    parser.add_argument("--force", action="store_true", help="write over files that are there")
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="written after each epoch and on Ctrl-C, so that --resume can go on from it",
    )
    parser.add_argument("--every", metavar="N", type=_whole(1), help="write it after so many steps instead")
    parser.add_argument(
        "--resume",
        metavar="FILE",
        help="go on from a checkpoint, with the same data and options; --epochs may be larger",
    )
    parser.add_argument(
        "--mpi",
        action=argparse.BooleanOptionalAction,
        help="train one network on all ranks of mpiexec, each with its share of a step's rows; "
        "with --no-mpi each trains its own",
    )


def _check(commands):
    parser = commands.add_parser(
        "check",
        help="check the gradients of a network that is not trained yet",
        description="Compare the gradients of backpropagation with numerical ones, in float64,\n"
        f"for a new network and {CHECKED_ROWS} rows of data.",
        epilog="examples:\n"
        "  fastbp check\n"
        "  fastbp check iris --hidden 20,20 --activation tanh --full\n\n"
        "exit status: 0 the check passed, 1 it failed, 2 error",
    )
    _add_network(parser)
    parser.add_argument("--full", action="store_true", help="check every weight (default: a sample of them)")


def _predict(commands):
    parser = commands.add_parser(
        "predict",
        help="say what a table's model predicts for new rows",
        description="Write what a model says of each row of a file, as CSV: names of classes, or\n"
        "numbers in their unit. Columns are found by their names, in any order.",
        epilog="examples:\n"
        "  fastbp predict model.safetensors new.csv > predictions.csv\n"
        "  fastbp predict model.safetensors new.csv --proba --out predictions.csv\n\n"
        "exit status: 0 success, 2 error",
    )
    _add_model(parser)
    parser.add_argument("--out", metavar="FILE", help="where the predictions go (default: -, printed)")
    parser.add_argument("--proba", action="store_true", help="the probability of each class, too")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def _evaluate(commands):
    parser = commands.add_parser(
        "evaluate",
        help="judge a table's model by rows whose target is known",
        description="Print scores of a model's predictions for a file against its target column,\n"
        "beside those of a baseline.",
        epilog="example:\n  fastbp evaluate model.safetensors later.csv\n\nexit status: 0 success, 2 error",
    )
    _add_model(parser)
    parser.add_argument("--target", metavar="COLUMN", help="its name here (default: as in training)")


def _export(commands):
    parser = commands.add_parser(
        "export",
        help="write a model for other systems: as ONNX, or as one file of C",
        description="Write a network, or a table's model with its preprocessing, as ONNX or as C99,\n"
        "as the end of the file's name says. A table's columns are numbers there: truth\n"
        "values 0 and 1, a category its place among those of the training.",
        epilog="examples:\n"
        "  fastbp export model.safetensors model.onnx\n"
        "  fastbp export model.safetensors model.c\n\n"
        "exit status: 0 success, 2 error",
    )
    parser.add_argument("model", metavar="MODEL", help="a file of fastbp train, or of Sequential.save")
    parser.add_argument("out", metavar="FILE", help="that ends in .onnx or .c")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def _tune(commands):
    parser = commands.add_parser(
        "tune",
        help="find a network for a table: its sizes, rates and regularisation",
        description="Train many networks for a table, most of them for a few epochs only, and the\n"
        "best one whole. Widths, depth, learning rate, decay, dropout and activation\n"
        "differ. It writes model.safetensors, and a table and a picture of the trials;\n"
        "the same command goes on where an earlier one was ended.",
        epilog="example:\n  fastbp tune houses.csv --target price --minutes 10 --out houses\n\n"
        "exit status: 0 success, 2 error",
    )
    parser.add_argument("file", metavar="FILE", help="a table, as a CSV file")
    parser.add_argument("--target", metavar="COLUMN", required=True, help="what to predict")
    parser.add_argument("--minutes", metavar="M", type=_minutes, default=10.0, help="(default: %(default)g)")
    parser.add_argument("--trials", metavar="N", type=_whole(1), help="end after so many, too")
    parser.add_argument(
        "--sampler", choices=("random", "tpe"), help="tpe is Optuna's, and the default where that is installed"
    )
    parser.add_argument("--jobs", metavar="N", type=_whole(1), help="trials at once (default: the cores)")
    parser.add_argument("--task", choices=targets.TASKS, help="as of train")
    _add_columns(parser)
    parser.add_argument("--group", metavar="COLUMN", help="its rows of one value stay in one part")
    parser.add_argument("--time", metavar="COLUMN", help="train with the first rows, judge by the last ones")
    parser.add_argument("--class-weight", choices=("balanced",), help="weigh each class by how rare it is")
    parser.add_argument("--seed", metavar="N", type=_whole(0), default=0, help="(default: %(default)s)")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("tuned"), help="folder of the files (default: %(default)s)"
    )
    parser.add_argument("--force", action="store_true", help="write over a model that is there")
    _add_reading(parser)


def _info(commands):
    parser = commands.add_parser(
        "info",
        help="say what is installed and what this machine offers, or what a model is",
        description="Print the version, the instruction sets, threads, NumPy and the processor;\n"
        "of a model its columns, classes, layers, scores, and when it was made.",
        epilog="The environment variable FASTBP_ISA forces one of the usable instruction sets.",
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a file of fastbp train")


# --- arguments that some of them share ---------------------------------------------------------


def _add_model(parser):
    """The arguments that `predict` and `evaluate` share."""
    parser.add_argument("model", metavar="MODEL", help="the file model.safetensors of fastbp train")
    parser.add_argument(
        "file", metavar="FILE", help="a table with the columns of the training, - for the standard input"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse categories and missing values that the training had not (default: as if there were none, and "
        "the median)",
    )
    _add_reading(parser)


def _add_reading(parser):
    """How a file is read."""
    parser.add_argument("--encoding", metavar="NAME", help="of a file, as latin-1 (default: found out)")
    parser.add_argument("--delimiter", metavar="SIGN", help="between fields (default: found out)")
    parser.add_argument("--decimal", metavar="SIGN", help="in numbers, . or , (default: found out)")
    parser.add_argument(
        "--no-header", dest="header", action="store_false", help="the first line has no names, but values"
    )


def _add_columns(parser):
    """What is said of columns by their names."""
    parser.add_argument(
        "--ignore", metavar="COLUMNS", type=_names, default=(), help="of a table: columns to leave out, as id,notes"
    )
    parser.add_argument(
        "--text",
        dest="texts",
        metavar="COLUMNS",
        type=_names,
        default=(),
        help="of a table: columns that are texts, though they look like numbers or dates, as ticket,code",
    )


def _add_network(parser):
    """The arguments that `train` and `check` share."""
    parser.add_argument(
        "data_set",
        nargs="?",  # without choices: 3 of a mistyped --epoch 3 is not the one to blame
        help=f"{', '.join(DATA_SETS)} or a CSV file, - for the standard input (default: {next(iter(DATA_SETS))})",
        metavar="DATA",
    )
    parser.add_argument("--target", metavar="COLUMN", help="of a table: what to predict")
    parser.add_argument(
        "--task",
        choices=targets.TASKS,
        help="of a table (default: classification of texts, truth values and whole numbers of two values, or up to "
        f"{targets.MOST_NUMBERED} from 0 or 1 on without a gap; else regression)",
    )
    _add_columns(parser)
    _add_reading(parser)
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
    return text == "-" or text.lower().endswith(_ENDS) or os.path.isfile(text)


def _names(text):
    return tuple(next(csv.reader([text], skipinitialspace=True), ()))


def _learning_rate(text):
    try:
        lr = math.nan if "_" in text else float(text)  # Python's own 1_0
    except ValueError:
        lr = math.nan
    if not 0 < lr < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0; got {text!r}")
    return lr


def _minutes(text):
    try:
        minutes = math.nan if "_" in text else float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"expected minutes above 0; got {text!r}")
    return minutes


def settle(args):
    """Find the data set, and put its defaults where nothing was given."""
    if args.hidden and isinstance(args.hidden[-1], str) and args.data_set is None:
        args.data_set = args.hidden.pop()  # as in: train --hidden 100 iris
    if args.data_set is None:
        args.data_set = next(iter(DATA_SETS))
    named = args.data_set in DATA_SETS
    if not named and not _is_table(args.data_set):
        raise ValueError(f"expected {', '.join(DATA_SETS)} or a CSV file; got {args.data_set!r}")
    if getattr(args, "data", None) is not None and args.data_set != "mnist":
        raise ValueError(
            f"--data expects mnist before it, whose folder it names, and a table comes without it, as fastbp train "
            f"table.csv; got {args.data_set}"
        )
    if named:
        for name, default in _OF_TABLES.items():
            if getattr(args, name, default) != default:
                option = {"header": "no-header", "refit": "no-refit", "texts": "text"}.get(name, name.replace("_", "-"))
                raise ValueError(f"--{option} expects a table, as a CSV file; got {args.data_set}")
    if getattr(args, "optimizer", "sgd") is None:
        args.optimizer = "sgd" if named else "adam"
    if args.hidden is not None:
        names = [word for word in args.hidden if isinstance(word, str)]
        if names or not args.hidden:
            raise ValueError(f"--hidden expects widths of layers; got {', '.join(names) or 'none'}")
        args.hidden = [width for word in args.hidden for width in word]
    values: dict[str, Any] = DEFAULTS[args.data_set]._asdict() if named else {"hidden": DEFAULTS["a table"].hidden}
    if named and getattr(args, "optimizer", "sgd") != "sgd":
        values["lr"] = OPTIMIZERS[args.optimizer]().lr
    for name, value in values.items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
