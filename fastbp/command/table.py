"""The commands for a table of one's own: train, check, predict, evaluate, and info of a model."""

import csv
import io
import json
import math
import sys
from pathlib import Path

import numpy as np

from fastbp import charts, checks, files
from fastbp.command import epochs, outputs
from fastbp.command.arguments import CHECKED_ROWS
from fastbp.gradcheck import gradient_check
from fastbp.network import Sequential
from fastbp.table_model import PARTS, TableModel
from fastbp.tables.preprocessor import missing_of

__all__ = ["aligned", "check", "describe", "evaluate", "predict", "reading", "say", "say_scores", "train"]

#: Rows that tell the importance of columns.
_JUDGES = 2000
#: Classes whose confusion is printed.
_MOST_PRINTED = 12
_TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1, mean of classes",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R^2",
}


# --- train ----------------------------------------------------------------------------------


def train(args, ranks, comm):
    """`fastbp train` of a table; the exit status."""
    with ranks.together():
        written = [args.out / name for name in ("model.safetensors", "learning-curves.svg", "metrics.json")]
        if args.data_set == "-" and ranks.size > 1:
            raise ValueError("train --mpi expects a file, which each rank reads; got -, the standard input")
        if args.speaks:
            outputs.keep_apart(args, None if args.data_set == "-" else args.data_set, *written)
        model, rows = _prepared(args)
        if args.speaks:
            say(*_understood(_said(args.data_set), model, rows))
        if args.dry_run:
            return 0
        if args.speaks:
            outputs.make_folder(args.out, *written)
            say(_network_line(model, rows, ranks))
    n = len(rows.x["train"])
    lr = model.learning_rate
    bar = epochs.progress_bar(model.epochs * n, args.speaks)
    options = {"checkpoint": args.checkpoint, "every": args.every, "resume": args.resume, "comm": comm}
    with bar:
        try:
            show = epochs.lines(bar, model.epochs, n, lr, "validation", few=True)
            model.train(rows, callbacks=[show], **options)
        except FloatingPointError:
            raise epochs.diverged(len(model.net.history) + 1, lr) from None
    model.judge(rows)
    judged, importances, pictures = model.net, None, None
    if args.speaks:
        part = "test" if len(rows.x["test"]) else "validation" if len(rows.x["validation"]) else "train"
        x, t = rows.x[part], rows.t[part]
        y = model.outputs(x)
        importances = model.importances_of(x[:_JUDGES], t[:_JUDGES], n_repeats=3)
        pictures = part, y, t, model.preprocessor.target_
    if model.refit:
        model.learn_all(rows, comm=comm)
    with ranks.together():
        status = None
        if args.speaks:
            status = _report(args, model, rows, judged, importances, pictures)
        return ranks.tell(status)


def _prepared(args):
    """The model, and its rows, of the command's arguments; of a long file with a bar."""
    model = TableModel(
        task=args.task,
        hidden=args.hidden,
        activation=args.activation,
        ignore=args.ignore,
        dtype=args.dtype,
        seed=args.seed,
        group=getattr(args, "group", None),
        time=getattr(args, "time", None),
        **{
            name: getattr(args, name)
            for name in ("optimizer", "lr", "epochs", "patience", "batch_size", "class_weight")
            if getattr(args, name, None) is not None
        },
        refit=getattr(args, "refit", True),
    )
    with epochs.reading_bar(args.speaks) as progress:
        return model, model.prepare(_source(args.data_set), args.target, **reading(args), progress=progress)


def _source(path):
    """What is to be read for the path in a command's words: for - the standard input."""
    if path != "-":
        return path
    if sys.stdin is None:
        raise ValueError("- expects a standard input; got none")
    return sys.stdin.buffer


def _said(path):
    return "standard input" if path == "-" else path


def reading(args):
    """How a file is read, by the command's options."""
    names = ("encoding", "delimiter", "decimal")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if getattr(args, "texts", ()):
        given["texts"] = args.texts
    return given if args.header else {**given, "header": False}


def say(*lines):
    """Print some lines at once."""
    print(*lines, sep="\n", flush=True)


def _understood(source, model, rows):
    """What was understood of a table: a line per column, the target, and the notes."""
    table = [("column", "kind", "missing", "what is done")]
    for name, kind, _, done in model.preprocessor.summary_:  # which has the training part's
        missing = int(missing_of(rows.features.column(name)).sum())
        table.append((name, kind, str(missing), done))
    yield f"{source}: {rows.features.n_rows} rows"
    yield from aligned(table)
    task = model.notes[-1]
    counted = np.concatenate([rows.t[part] for part in PARTS])
    if model.classes is not None:
        shares = np.bincount(counted, minlength=len(model.classes)) / len(counted)
        most = sorted(zip(-shares, map(str, model.classes), strict=True))
        listed = ", ".join(f"{name} {-100 * share:.1f} %" for share, name in most[:20])
        yield f"target {model.target}: {task}; {listed}{', ...' if len(most) > 20 else ''}"
    else:
        values = model.preprocessor.target_.inverse(counted)
        yield f"target {model.target}: {task}; {values.min():g} to {values.max():g}, mean {values.mean():g}"
    for note in model.notes[:-1]:
        yield f"note: {note}"


def aligned(table):
    """Rows of texts as lines, indented."""
    widths = [max(map(charts.width_of, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell + " " * (width - charts.width_of(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  " + "  ".join(cells).rstrip()


def _network_line(model, rows, ranks):
    sizes = [rows.x["train"].shape[1], *model.hidden, model.preprocessor.target_.n_outputs]
    parts = ", ".join(f"{len(rows.x[part])} {part}" for part in PARTS)
    return (
        f"network {'-'.join(map(str, sizes))}, {model.activation}, {model.dtype}; batches of "
        f"{model.batch_size_of(len(rows.x['train']))}{f' on {ranks.size} ranks' if ranks else ''}, "
        f"{model.optimizer} with lr {model.learning_rate:g}; rows: {parts}"
    )


def _report(args, model, rows, judged, importances, pictures):
    """Say and write what came of a training; the exit status."""
    history, scores = model.history, model.scores
    if history.stopped_by == "early_stopping":
        best = len(history) - model.patience  # of this training; the refit's is that of several splits
        print(f"stopped         {model.patience} epochs after the lowest validation loss, in epoch {best}")
    x, t = rows.x["train"][:CHECKED_ROWS], rows.t["train"][:CHECKED_ROWS]
    checked = gradient_check(judged.eval(), x, t)  # without dropout's draws
    judged.train()
    if checked.passed:
        print(f"gradient check  passed, largest relative error {checked.largest_relative_error:.1e}")
    else:
        print(checked)
    say_scores(model)
    if model.classes is not None:
        say(*_confusion_lines(model.classes, scores[pictures[0]]["confusion"], pictures[0]))
    listed = zip(importances.names, importances.means, strict=True)
    shown = (f"{name} {'-' if math.isnan(loss) else f'{loss:.3f}'}" for name, loss in list(listed)[:10])
    print(f"importances     {', '.join(shown)}")
    seconds, n = sum(history.seconds), len(rows.x["train"])
    print(f"training        {seconds:.3f} s, {len(history) * model.passes_of(n) * n / seconds:,.0f} samples/s")
    if model.refit:
        print(f"saved           is a network that has learnt all rows, for {checks.plural(model.best_epoch, 'epoch')}")
    named = "calibration.svg" if model.classes is not None else "residuals.svg"
    names = ("model.safetensors", "metrics.json", "learning-curves.svg", named, "importances.svg")
    paths = outputs.free(args.force, *(args.out / name for name in names))
    weights, metrics, curves, picture, importance = paths
    model.save(weights)  # first, as it is worth most
    document = {"task": model.task_of(model.preprocessor.target_), "target": model.target, **scores}
    if model.classes is not None:
        document["classes"] = model.classes.tolist()
    document["importances"] = dict(zip(importances.names, importances.means.tolist(), strict=True))
    text = json.dumps(_finite(document), indent=1, ensure_ascii=False)
    files.write_whole(metrics, (text + "\n").encode("utf-8", "backslashreplace"))
    kept = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
    charts.learning_curves({name: getattr(history, name) for name in kept if getattr(history, name)}, curves)
    _, y, t, target = pictures
    if model.classes is not None:
        charts.calibration(y, t, model.classes.tolist(), picture)
    else:
        charts.residuals(target.inverse(y), target.inverse(t), model.target, picture)
    charts.importances(importances.names, importances.means, importances.deviations, importances.score, importance)
    print(f"written         {', '.join(map(str, paths))}")
    return 0 if checked.passed else 1


def _finite(node):
    """A document without NaN, which JSON has not."""
    if isinstance(node, dict):
        return {key: _finite(value) for key, value in node.items()}
    return None if isinstance(node, float) and not math.isfinite(node) else node


def say_scores(model):
    """Print a model's scores of each part, beside a baseline's."""
    say(*_score_lines(model.scores, [part for part in PARTS if part in model.scores], model))


def _score_lines(scores, parts, model):
    """A line per score: each part's, and beside the last one its baseline's."""
    last = parts[-1]
    what = "majority" if model.classes is not None else "mean"
    table = [("", *parts, f"{what} on {last}" if len(parts) > 1 else what)]
    for name, title in _TITLES.items():
        if name in scores[last]:
            values = [*(scores[part][name] for part in parts), scores["baseline"][last][name]]
            table.append((title, *(f"{value:.4g}" if value == value else "-" for value in values)))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for title, *values in table:
        yield "  ".join([title.ljust(max(14, widths[0])), *map(str.rjust, values, widths[1:])]).rstrip()
    if model.classes is None:
        yield f"{'':14}  MAE and RMSE in the unit of {model.target}"


def _confusion_lines(classes, table, part):
    if len(classes) > _MOST_PRINTED:
        return
    names = [str(each) for each in classes]
    yield f"{part} rows by their class (lines) and by what is predicted (columns)"
    yield from aligned([("", *names), *((name, *map(str, row)) for name, row in zip(names, table, strict=True))])


# --- check ----------------------------------------------------------------------------------


def check(args):
    """`fastbp check` of a table; the exit status."""
    model, rows = _prepared(args)
    x, t = rows.x["train"][:CHECKED_ROWS], rows.t["train"][:CHECKED_ROWS]
    report = gradient_check(model.net.eval(), x, t, full=args.full)
    print(report)
    return 0 if report.passed else 1


# --- predict, evaluate, info ----------------------------------------------------------------


def predict(args):
    """`fastbp predict`; the exit status."""
    model = TableModel.load(args.model)
    if args.proba and model.classes is None:
        raise ValueError(f"--proba expects a model of classes; got {args.model}, of the numbers of {model.target}")
    out = None
    if args.out not in (None, "-"):
        for path in (args.model, args.file):
            if path != "-" and outputs.is_same(path, args.out):
                raise ValueError(f"--out expects another file than {path!r}, which is read; got {str(args.out)!r}")
        (out,) = outputs.free(args.force, Path(args.out))
        files.require_writable("predict", out)
    values, p = model.predicted(_source(args.file), strict=args.strict, **reading(args))
    _warn(model)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = [model.target]
    columns = [values.tolist()]
    if args.proba and p is not None:
        head += [f"{model.target}={each}" for each in model.classes_]
        columns += p.T.tolist()
    writer.writerow(head)
    writer.writerows(zip(*columns, strict=True))
    if out is None:
        print(text.getvalue(), end="")
    else:
        files.write_whole(out, text.getvalue().encode("utf-8", "surrogatepass"))
        if out != Path(args.out):
            print(f"fastbp: {args.out} is there, so the predictions are in {out}", file=sys.stderr)
    return 0


def evaluate(args):
    """`fastbp evaluate`; the exit status."""
    model = TableModel.load(args.model)
    scores = model.evaluate(_source(args.file), args.target, strict=args.strict, **reading(args))
    _warn(model)
    print(f"{_said(args.file)}: {scores['rows']} rows with {args.target or model.target}")
    say(*_score_lines({"here": scores, "baseline": {"here": scores["baseline"]}}, ["here"], model))
    if model.classes is not None:
        say(*_confusion_lines(model.classes, scores["confusion"], "the"))
    return 0


def _warn(model):
    if sys.stderr is not None:
        for warning in model.warnings:
            print("fastbp:", *warning.split(), file=sys.stderr)


def describe(args):
    """`fastbp info MODEL`; the exit status."""
    try:
        model = TableModel.load(args.model)
    except ValueError as error:
        if "without preprocessing" not in str(error):
            raise
        print(f"{args.model}: a network without preprocessing")
        Sequential.load(args.model).summary()
        return 0
    target, preprocessor = model.preprocessor.target_, model.preprocessor
    print(f"{args.model}: a model of a table, made {model.made} by fastbp {model.version}")
    print(f"target {model.target}: {model.task_of(target)}")
    if model.classes is not None:
        print(f"classes: {', '.join(map(str, model.classes.tolist()))}")
    table = [("column", "kind", "what is done")]
    table += [(each.name, each.kind, each.done) for each in preprocessor.encodings_]
    table += [(name, "", f"left out, {why}") for name, why in preprocessor.left_out_.items()]
    say(*aligned(table))
    model.net.summary()
    for note in model.notes:
        print(f"note: {note}")
    if any(part in model.scores for part in PARTS):
        say_scores(model)
    return 0
