"""The commands `tune` and `export`."""

from fastbp import tuning
from fastbp.command import outputs, table
from fastbp.export.files import export_file

__all__ = ["export", "tune"]

#: Trials that are printed.
_SHOWN = 5


def tune(args):
    """`fastbp tune`; the exit status."""
    found = tuning.tune(
        args.file,
        args.target,
        minutes=args.minutes,
        n_trials=args.trials,
        sampler=args.sampler,
        folder=args.out,
        n_jobs=args.jobs,
        seed=args.seed,
        task=args.task,
        ignore=args.ignore,
        group=args.group,
        time=args.time,
        class_weight=args.class_weight,
        **table.reading(args),
    )
    print(f"{len(found.trials)} trials in {found.seconds:.0f} s, drawn by {found.sampler}; the best:")
    table.say(*table.aligned(list(_best(found.trials))))
    table.say_scores(found.model)
    (path,) = outputs.free(args.force, args.out / "model.safetensors")
    found.model.save(path)
    print(f"written         {', '.join(map(str, (path, args.out / tuning.TABLE, args.out / tuning.PICTURE)))}")
    return 0


def _best(trials):
    """The header, and a line for each of the best trials."""
    yield ("trial", "epochs", "validation loss", *tuning.SPACE)
    for trial in sorted(trials, key=lambda trial: trial.val_loss)[:_SHOWN]:
        options = (f"{value:.3g}" if isinstance(value, float) else str(value) for value in trial.options.values())
        yield (str(trial.number), str(trial.epochs), f"{trial.val_loss:.4g}", *options)


def export(args):
    """`fastbp export`; the exit status."""
    said = export_file(args.model, args.out, force=args.force)
    print(f"written         {args.out}, {said}")
    return 0
