"""`tune`: networks of many sizes and rates for a table, most of them ended early, the best one trained whole."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fastbp import checks, files, plots
from fastbp.table_model import Rows, TableModel
from fastbp.threads import available_threads

if TYPE_CHECKING:
    from fastbp._typing import ArrayLike

__all__ = ["Trial", "Tuning", "tune"]

#: Epochs of the shortest trainings; each rung has three times as many, for the best third.
FIRST_EPOCHS, FACTOR, RUNGS = 4, 3, 4
#: Trials of a bracket, so that its last rung has one.
BRACKET = FACTOR ** (RUNGS - 1)
#: What trials differ in: a range that is drawn from evenly over its logarithm, or a choice.
SPACE: dict[str, tuple[Any, ...]] = {
    "n_layers": (1, 2, 3),
    "width": (8, 512),
    "lr": (3e-4, 3e-2),
    "weight_decay": (1e-6, 1e-1),
    "dropout": (0.0, 0.1, 0.2, 0.4),
    "activation": ("relu", "tanh", "gelu", "silu"),
}
RANGES = ("width", "lr", "weight_decay")
JOURNAL, TABLE, PICTURE = "trials.jsonl", "trials.csv", "trials.png"


#: Trials that a notebook shows.
MOST_SHOWN = 20


class Trial(NamedTuple):
    """A training of the sweep.

    Attributes
    ----------
    number : int
        Its place among all; the same number has the same options in another sweep of the seed.
    options : dict
        What it differs in, as `SPACE` names them.
    epochs : int
        How many it has done.
    val_loss : float
        The least loss of the validation part; inf where it diverged.
    """

    number: int
    options: dict[str, Any]
    epochs: int
    val_loss: float


class Tuning(NamedTuple):
    """What `tune` returns.

    Attributes
    ----------
    model : TableModel
        The best trial's, trained to its end.
    trials : list of Trial
        The best first: those that went further stand before those that were ended early.
    seconds : float
    sampler : {"random", "tpe"}
    """

    model: TableModel
    trials: list[Trial]
    seconds: float
    sampler: str

    def _repr_html_(self) -> str:
        from fastbp import markup

        options = dict.fromkeys(name for trial in self.trials for name in trial.options)
        rows = [
            (
                each.number,
                each.epochs,
                f"{each.val_loss:.4g}",
                *(_shown(each.options.get(name, "")) for name in options),
            )
            for each in self.trials[:MOST_SHOWN]
        ]
        trials = checks.plural(len(self.trials), "trial")
        caption = f"{self.model!r}: the best of {trials} in {self.seconds:.0f} s, sampler {self.sampler}"
        return markup.table(rows, ("trial", "epochs", "validation loss", *options), caption)


def _shown(value):
    return f"{value:.3g}" if isinstance(value, float) else value


def tune(
    data: Any,
    target: str | ArrayLike,
    *,
    minutes: float = 10.0,
    n_trials: int | None = None,
    sampler: Literal["random", "tpe"] | None = None,
    folder: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Tuning:
    """Find a network for a table by successive halving.

    Trials begin with few epochs; the best third goes on with three times as many, from where it was,
    and so on, until one is trained whole.  Then the next bracket begins, until the time is over.

    Parameters
    ----------
    data, target
        As `TableModel.fit` takes them.
    minutes : float
        After them no further rung of trials begins; the best one's training comes behind.
    n_trials : int or None
        End after so many trials, too, whole brackets of 27: then the same seed gives the same result.
    sampler : {"random", "tpe"} or None
        How options are drawn: at random, or by Optuna's tree-structured Parzen estimator from what was
        seen (Bergstra et al., Algorithms for hyper-parameter optimization, 2011).  None: "tpe" where
        Optuna is installed; the result says which.
    folder : str, os.PathLike or None
        Where trials are written: a journal, by which a sweep that was ended goes on, a table and a
        picture.  None: nothing is written.
    n_jobs : int or None
        Trials at once, each on one core; None: the cores that the process may use.
    seed : int
    **options
        Of `TableModel`, beside what the trials differ in, and of how a file is read.

    Returns
    -------
    Tuning

    Raises
    ------
    ValueError, TypeError
        For what does not fit, or a folder of another sweep.
    ImportError
        For "tpe" without Optuna.

    References
    ----------
    Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 200)
    >>> found = tune({"x": x, "y": x**2}, "y", n_trials=27, sampler="random", n_jobs=1)
    >>> found.model.scores["test"]["r2"] > 0.9, len(found.trials)
    (True, 27)
    """
    who = "tune"
    minutes = checks.positive(who, "minutes", minutes)
    most = math.inf if n_trials is None else checks.integer(who, "n_trials", n_trials, 1)
    n_jobs = available_threads() if n_jobs is None else checks.integer(who, "n_jobs", n_jobs, 1)
    named = sorted({*SPACE, "hidden", "epochs", "patience"} & {*options})
    if named:
        raise ValueError(f"{who} expects options that trials do not differ in; got {named[0]}.")
    reading = {name: options.pop(name) for name in ("encoding", "delimiter", "decimal", "header") if name in options}
    model = TableModel(optimizer="adamw", seed=seed, **options)
    if model.validation_size == 0:
        raise ValueError(f"{who} expects validation_size above 0, by which trials are compared; got 0.")
    rows = model.prepare(data, target, **reading)
    draw = Sampler(who, sampler, model.seed)
    begun = time.monotonic()
    sweep = Sweep(model, rows, draw, Journal(who, folder, _asked(model, rows, draw.name)), n_jobs)
    with ThreadPoolExecutor(n_jobs) as pool:
        while sweep.n_begun < most and (not sweep.n_begun or time.monotonic() - begun < 60 * minutes):
            sweep.run_bracket(pool, min(BRACKET, most - sweep.n_begun), begun + 60 * minutes)
    trials = sorted(sweep.last.values(), key=lambda trial: (-trial.epochs, trial.val_loss))
    whole = [trial for trial in trials if math.isfinite(trial.val_loss)]
    if not whole:
        raise FloatingPointError(f"{who} expects a trial that does not diverge; got {len(trials)} that all did.")
    best = min(whole, key=lambda trial: trial.val_loss)
    found = TableModel(optimizer="adamw", seed=seed, **options, **_settings(best.options))
    found.fit(data, target, **reading)
    result = Tuning(found, trials, time.monotonic() - begun, draw.name)
    if folder is not None:
        write_trials(Path(folder), trials)
    return result


def write_trials(folder: Path, trials: Sequence[Trial]) -> None:
    """The table of trials, the best first, and their picture."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "epochs", "val_loss", *SPACE])
    for trial in trials:
        writer.writerow([trial.number, trial.epochs, trial.val_loss, *(trial.options[name] for name in SPACE)])
    files.write_whole(folder / TABLE, text.getvalue().encode())
    plots.trials([(trial.epochs, trial.val_loss, trial.options) for trial in trials], RANGES, folder / PICTURE)


def _settings(options):
    """A trial's options as `TableModel` has them: each layer half as wide as the one before."""
    width = options["width"]
    hidden = tuple(max(2, width >> layer) for layer in range(options["n_layers"]))
    return {"hidden": hidden} | {name: options[name] for name in ("lr", "weight_decay", "dropout", "activation")}


def _asked(model, rows, sampler):
    """What a sweep has to share with one that goes on, as JSON has it."""
    return {
        "sampler": sampler,
        "seed": model.seed,
        "task": model.notes[-1],
        "columns": model.preprocessor.get_feature_names_out().tolist(),
        "checksum": files.crc32(*(np.ascontiguousarray(each) for each in (*rows.x.values(), *rows.t.values()))),
    }


class Sampler:
    """Draws the options of trials."""

    def __init__(self, who: str, name: str | None, seed: int) -> None:
        if name is not None:
            checks.choice(who, "sampler", name, ("random", "tpe"))
        self._study: Any = None
        self._seed = seed
        if name != "random":
            try:
                import optuna
            except ImportError:
                if name == "tpe":
                    raise checks.missing_extra("optuna", "tune with sampler='tpe'") from None
            else:
                optuna.logging.set_verbosity(optuna.logging.WARNING)
                self._optuna = optuna
                self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        self.name = "random" if self._study is None else "tpe"

    def options(self, number: int) -> dict[str, Any]:
        """The options of a trial."""
        if self._study is not None:
            trial = self._study.ask(self._distributions())
            return dict(trial.params)
        rng = np.random.default_rng([self._seed, number])
        found: dict[str, Any] = {}
        for name, values in SPACE.items():
            if name in RANGES:
                value = float(np.exp(rng.uniform(*np.log(values))))
                found[name] = round(value) if name == "width" else float(f"{value:.4g}")
            else:
                found[name] = values[rng.integers(len(values))]
        return found

    def tell(self, trial: Trial) -> None:
        """What came of one, however far it went."""
        if self._study is not None and math.isfinite(trial.val_loss):
            create = self._optuna.trial.create_trial
            self._study.add_trial(
                create(params=trial.options, distributions=self._distributions(), value=trial.val_loss)
            )

    def _distributions(self):
        kinds = self._optuna.distributions
        found = {}
        for name, values in SPACE.items():
            if name == "width":
                found[name] = kinds.IntDistribution(*values, log=True)
            elif name in RANGES:
                found[name] = kinds.FloatDistribution(*values, log=True)
            else:
                found[name] = kinds.CategoricalDistribution(values)
        return found


class Journal:
    """What trials have come to, a line each, by which a sweep goes on."""

    folder: Path | None

    def __init__(self, who: str, folder: str | os.PathLike[str] | None, asked: dict[str, Any]) -> None:
        self.folder = None if folder is None else Path(folder)
        self.known: dict[tuple, Trial] = {}
        if self.folder is None:
            return
        path = self.folder / JOURNAL
        if path.exists():
            self._read(who, path, asked)
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asked) + "\n", "utf-8")

    def _read(self, who, path, asked):
        first, *lines = path.read_text("utf-8").split("\n")
        try:
            theirs = json.loads(first)
            trials = [Trial(**json.loads(line)) for line in lines[:-1]]  # the last one may be cut
        except (TypeError, ValueError) as error:
            raise ValueError(f"{who} expects {str(path)!r} as a sweep wrote it; got another file ({error}).") from None
        if theirs != json.loads(json.dumps(asked)):
            raise ValueError(
                f"{who} expects a folder for this sweep of this table; got {str(self.folder)!r}, where another one's "
                "trials are: take a new folder, or remove it."
            )
        self.known = {(trial.number, trial.epochs): trial for trial in trials}
        path.write_text("\n".join([first, *lines[:-1], ""]), "utf-8")

    def write(self, trial: Trial) -> None:
        self.known[trial.number, trial.epochs] = trial
        if self.folder is not None:
            with open(self.folder / JOURNAL, "a", encoding="utf-8") as file:
                file.write(json.dumps(trial._asdict()) + "\n")
                file.flush()
                os.fsync(file.fileno())


class Sweep:
    """Trials of one table, bracket by bracket."""

    model: TableModel
    rows: Rows
    draw: Sampler
    journal: Journal
    n_begun: int

    def __init__(self, model: TableModel, rows: Rows, draw: Sampler, journal: Journal, n_jobs: int) -> None:
        self.model, self.rows, self.draw, self.journal = model, rows, draw, journal
        self.n_begun = 0
        self.last: dict[int, Trial] = {}
        #: Networks and optimisers of the trials that may go on.
        self._kept: dict[int, tuple] = {}

    def run_bracket(self, pool: ThreadPoolExecutor, n: int, deadline: float) -> None:
        """So many new trials, of which the best go on from rung to rung."""
        numbers = range(self.n_begun, self.n_begun + n)
        trials = [Trial(number, self.draw.options(number), 0, math.inf) for number in numbers]
        self.n_begun += n
        for rung in range(RUNGS):
            epochs = FIRST_EPOCHS * FACTOR**rung
            trials = list(pool.map(lambda trial, e=epochs: self._go_on(trial, e, deadline), trials))
            trials = [trial for trial in trials if trial is not None]
            for trial in trials:
                self.last[trial.number] = trial
            trials = sorted(trials, key=lambda trial: trial.val_loss)[: max(1, len(trials) // FACTOR)]
            self._kept = {trial.number: self._kept[trial.number] for trial in trials if trial.number in self._kept}
            if not trials or not math.isfinite(trials[0].val_loss):
                break
        for number in numbers:
            if number in self.last:
                self.draw.tell(self.last[number])
        self._kept = {}

    def _go_on(self, trial, epochs, deadline):
        """A trial until so many epochs are done; None where the time was over before it began."""
        known = self.journal.known.get((trial.number, epochs))
        if known is not None and known.options == trial.options:
            return known
        if time.monotonic() > deadline and self.last:
            return None
        net, optimizer, done, losses = self._kept.get(trial.number) or self._begun(trial)
        while done < epochs and math.inf not in losses:  # rung by rung, also where the journal knows the lower ones
            upto = FIRST_EPOCHS if done == 0 else done * FACTOR
            losses = [*losses, *self._losses(net, optimizer, upto - done, trial.number + done)]
            done = upto
        self._kept[trial.number] = net, optimizer, done, losses
        found = Trial(trial.number, trial.options, epochs, min(losses))
        self.journal.write(found)
        return found

    def _losses(self, net, optimizer, epochs, seed):
        """The validation losses of further epochs, inf where they diverge."""
        x, t = self.rows.x, self.rows.t
        try:
            history = net.fit(
                x["train"],
                t["train"],
                epochs=epochs,
                batch_size=self.model.batch_size_of(len(x["train"])),
                optimizer=optimizer,
                seed=seed,
                class_weight=self.model.class_weight if net.loss_layer.classifies else None,
                validation_data=(x["validation"], t["validation"]),
                n_threads=1,
            )
        except FloatingPointError:
            return [math.inf]
        return [loss if math.isfinite(loss) else math.inf for loss in history.val_loss]

    def _begun(self, trial):
        """A new network and its optimiser, no epochs, and no losses."""
        settings = _settings(trial.options)
        model = TableModel(optimizer="adamw", dtype=self.model.dtype, seed=self.model.seed, **settings)
        known = self.model.preprocessor
        net = model.network_for(self.rows.x["train"].shape[1], known.target_, known.n_codes_)
        return net, model.new_optimizer(len(self.rows.x["train"])), 0, []
