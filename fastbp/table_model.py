"""`TableModel`: from a table to a trained network, and from new rows to predictions."""

from __future__ import annotations

import datetime
import inspect
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeAlias

import numpy as np

from fastbp import architecture, checks, files, scores
from fastbp.layers import Affine, Dropout, Embeddings, Linear
from fastbp.losses import LOSSES
from fastbp.network import ACTIVATIONS, Sequential
from fastbp.optim import SGD
from fastbp.optim.rule import OPTIMIZERS as RULES
from fastbp.optim.rule import Rule
from fastbp.tables import Column, Columns, Preprocessor, splitting, targets
from fastbp.tables.kinds import IGNORED
from fastbp.tables.preprocessor import missing_of, with_target
from fastbp.tables.sources import table_of
from fastbp.training.history import EarlyStopping

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from fastbp._typing import Array, ArrayLike, Callback, File, FloatDType
    from fastbp.network import ActivationName, LossName
    from fastbp.training.history import History

__all__ = ["Importances", "TableModel", "is_table_model"]

#: The key of the metadata beside the network's own.
KEY = "fastbp.table"
_FORMAT = "fastbp-table-model"
_VERSION = 1
#: How a table's network may be trained, by name.
OPTIMIZERS: dict[str, Callable[..., Rule]] = {**RULES, "sgd": partial(SGD, momentum=0.9)}
#: Their names for type checkers; a test compares.
OptimizerName: TypeAlias = Literal[
    "sgd", "adagrad", "rmsprop", "adam", "adamw", "adadelta", "adamax", "nadam", "radam", "lion",
]  # fmt: skip
#: The parts of a table.
PARTS = ("train", "validation", "test")
#: Texts of a column that become a column of 0 and 1 each; of more, rows of a table that is trained.
_MOST_CATEGORIES = 20
#: Numbers in such a row beside one for each output, at most so many in all, and how far from 0 they start.
_EXTRA_WIDTH, _MOST_WIDTH, _DEVIATION = 3, 16, 0.1
#: Rows of a batch, up to a fiftieth of all.
_BATCHES = (32, 256)
#: Rows of an epoch at least: those of smaller tables are passed several times, as a step or two
#: change the loss less than the few validation rows' noise does.
_EPOCH = 512
#: Rows that share in the choice of the epochs of `refit`, by several splits of smaller tables.
_JUDGES, _MOST_SPLITS = 1500, 5
#: Epochs of these splits at least, so that an accident of the first one does not end them all.
_FEWEST_EPOCHS = 60
#: What counts as a lower loss, in nats or variances: classes that are easy to tell apart go on for ever.
_PROGRESS = 5e-4


class Importances(NamedTuple):
    """What `TableModel.importances` returns, the most important column first.

    Attributes
    ----------
    names : list of str
    means, deviations : numpy.ndarray
        (n_columns,): what the score loses where the column's values are shuffled; NaN for an R^2 of
        equal numbers, which is none.
    score : str
        "accuracy" or "r2".
    """

    names: list[str]
    means: np.ndarray[Any, Any]
    deviations: np.ndarray[Any, Any]
    score: str


class Rows(NamedTuple):
    """The rows of a table as a network takes them, part by part.

    Attributes
    ----------
    features : Columns
    column : Column
        The target's.
    x, t : dict of str to numpy.ndarray
        For each of `PARTS`.
    """

    features: Columns
    column: Column
    x: dict[str, np.ndarray[Any, Any]]
    t: dict[str, np.ndarray[Any, Any]]


class TableModel:
    """A network for a table: preprocessing, training, scores, predictions in the target's own values.

    A part of the rows is kept to stop the training in time, another one to judge it.  Texts, bools,
    and whole numbers of two values, or from 0 or 1 up to at most 10 without a gap, are classes;
    other numbers are amounts.

    Parameters
    ----------
    task : {"classification", "regression"} or None
        None: as the target's values say, which `notes` tells.
    hidden : sequence of int
        Widths of the hidden layers.
    activation : str
        Of these, as "relu".
    optimizer : str
        A name of `fastbp.optim`'s, as "adam".
    lr : float or None
        The learning rate; None: the optimiser's own.
    weight_decay : float or None
        As the optimiser has it.  None: one over the rows that train, as of weights that are drawn
        from a normal distribution of deviation 1.
    dropout : float
        The share of each hidden layer's outputs that is dropped in training, below 1.
    epochs : int
        At most so many; `patience` ends before.  One goes over fewer than 512 rows several times.
    patience : int or None
        Epochs without a lower loss of the validation part, after which the best one's weights are
        taken.  None: all epochs, and the last one's.
    batch_size : int or None
        None: a fiftieth of the rows, 32 to 256.
    class_weight : "balanced" or None
        Of classes only.
    validation_size, test_size : float
        Shares of the rows, at least 0 and together below 1.  Each has the share of each class.
    refit : bool
        Train a new network on all rows at the end, for as many epochs as were best, of tables below
        750 rows on average over several splits: the scores are those of the first one, which had not
        seen the rows that it is judged by.
    group : str or None
        A column, whose rows of one value stay in one part.  It is no feature.
    time : str or None
        A column of dates or numbers: the parts are the first rows, later ones, and the last ones.
        It is a feature, too, unless `ignore` has it.
    ignore : sequence of str
        Columns to leave out.
    dtype : {"float32", "float64"}
        Of the network.
    seed : int
        Of the parts, the initial weights and the order of rows.

    Attributes
    ----------
    net : Sequential
    preprocessor : Preprocessor
    history : History or None
        Of the training; None where the model was loaded.
    scores : dict
        ``scores["test"]["accuracy"]`` and the like, for each part, and the same of ``"baseline"``.
    notes : list of str
        What was understood and what was left out, a sentence each.
    classes : numpy.ndarray or None
        Their names, as `predict_proba` has its columns.
    made, version : str
        When it was trained, and by which fastbp.

    Examples
    --------
    >>> import numpy as np
    >>> size = np.linspace(20, 200, 300)
    >>> table = {"size": size, "city": ["Rome", "Oslo", "Bonn"] * 100, "price": 1000 * size}
    >>> model = TableModel(epochs=60).fit(table, "price")
    >>> model.predict({"city": ["Oslo"], "size": [100.0]}).round(-4)
    array([100000.])
    >>> model.scores["test"]["r2"] > 0.98 > model.scores["baseline"]["test"]["r2"]
    True
    """

    group: str | None
    time: str | None
    net: Sequential  # from `fit` on, as `preprocessor`
    preprocessor: Preprocessor
    history: History | None
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    lr: float | None
    weight_decay: float | None
    dropout: float

    def __init__(
        self,
        *,
        task: Literal["classification", "regression"] | None = None,
        hidden: Sequence[int] = (64,),
        activation: ActivationName = "relu",
        optimizer: OptimizerName = "adam",
        lr: float | None = None,
        weight_decay: float | None = None,
        dropout: float = 0.0,
        epochs: int = 400,
        patience: int | None = 20,
        batch_size: int | None = None,
        class_weight: Literal["balanced"] | None = None,
        validation_size: float = 0.16,
        test_size: float = 0.2,
        refit: bool = True,
        group: str | None = None,
        time: str | None = None,
        ignore: Sequence[str] = (),
        dtype: FloatDType = "float32",
        seed: int = 0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name != "self"}
        who = "TableModel"
        self.task: str | None = None if task is None else checks.choice(who, "task", task, targets.TASKS)
        widths = checks.sequence(who, "hidden", hidden, "widths")
        self.hidden = tuple(checks.integer(who, "hidden", width, 1) for width in widths)
        self.activation = checks.choice(who, "activation", activation, tuple(ACTIVATIONS))
        self.optimizer = checks.choice(who, "optimizer", optimizer, tuple(OPTIMIZERS))
        self.lr = None if lr is None else checks.positive(who, "lr", lr)
        self.weight_decay = None if weight_decay is None else checks.number(who, "weight_decay", weight_decay, 0)
        self.dropout = checks.number(who, "dropout", dropout, 0, 1)
        if self.dropout == 1:
            raise ValueError(f"{who} expects dropout below 1; got 1.")
        self.epochs: int = checks.integer(who, "epochs", epochs, 1)
        self.patience: int | None = None if patience is None else checks.integer(who, "patience", patience, 1)
        self.batch_size: int | None = None if batch_size is None else checks.integer(who, "batch_size", batch_size, 1)
        self.class_weight: str | None = (
            None if class_weight is None else checks.choice(who, "class_weight", class_weight, ("balanced",))
        )
        self.validation_size: float = checks.number(who, "validation_size", validation_size, 0, 1)
        self.test_size: float = checks.number(who, "test_size", test_size, 0, 1)
        if self.validation_size + self.test_size >= 1:
            raise ValueError(
                f"{who} expects validation_size and test_size that leave rows to train; got {validation_size} and "
                f"{test_size}."
            )
        self.refit: bool = checks.flag(who, "refit", refit)
        self.group, self.time = (_column_name(who, *named) for named in (("group", group), ("time", time)))
        if group is not None and time is not None:
            raise ValueError(f"{who} expects group or time; got both, {group!r} and {time!r}.")
        self.ignore: tuple[str, ...] = tuple(checks.sequence(who, "ignore", ignore, "names of columns"))
        self.dtype: Literal["float32", "float64"] = checks.float_dtype(who, dtype).name  # type: ignore[assignment]
        self.seed: int = checks.integer(who, "seed", seed, 0, checks.MOST_SEED)
        for name, value in given.items():  # scikit-learn's clone wants the very objects back
            own = getattr(self, name)
            if type(own) is type(value) and own == value:
                setattr(self, name, value)
        self.net = None  # type: ignore[assignment]
        self.preprocessor = None  # type: ignore[assignment]
        self.history = None
        self.scores: dict[str, Any] = {}
        self.notes: list[str] = []
        self.made: str | None = None
        self.version: str | None = None
        #: What the last prediction met that the training had not.
        self.warnings: list[str] = []

    # --- training ---------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        target: str | ArrayLike,
        *,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
        **reading: Any,
    ) -> Self:
        """Train on a table.

        Parameters
        ----------
        data : path, file opened for bytes, frame of pandas or polars, table of pyarrow, dict or array
        target : str or array_like
            The column to predict, or its values (n_rows,).
        callbacks : sequence of callable
            As `Sequential.fit` has them.
        progress : bool
            A progress bar.
        **reading
            How a file is read: `encoding`, `delimiter`, `decimal`, `header`.

        Returns
        -------
        TableModel
            Itself.

        Raises
        ------
        ValueError, TypeError
            For a table, a target or options that cannot be used.
        FloatingPointError
            Where the training diverges.

        Notes
        -----
        A `fit` that raises leaves the model as it was.
        """
        before = dict(vars(self))
        try:
            rows = self.prepare(data, target, **reading)
            self.train(rows, callbacks=callbacks, progress=progress)
            self.judge(rows)
            if self.refit:
                self.learn_all(rows)
        except Exception:
            vars(self).clear()
            vars(self).update(before)  # not a network that has learnt nothing
            raise
        return self

    def prepare(self, data: Any, target: str | ArrayLike, **reading: Any) -> Rows:
        """The first step of `fit`: understand a table, split it, and make a new network for it.

        Returns
        -------
        Rows
            What `train` and `judge` take.
        """
        who = "TableModel.fit"
        if isinstance(target, str) and target in self.ignore:
            raise ValueError(f"{who} expects ignore of other columns than the target; got {checks.shown(target)}.")
        # In which nothing is refused; groups and times are read, though they may be no features.
        ignored: dict[str | None, str] = dict.fromkeys(self.ignore, IGNORED)
        if self.group in ignored:
            ignored[self.group] = "text"
        ignored.pop(self.time, None)
        table, column = with_target(who, table_of(who, data, ignored, **reading), target)
        notes = list(table.notes)
        missing = missing_of(column)
        if missing.any():
            table, column = _taken(table, ~missing), _of_rows(column, ~missing)
            notes.append(f"{checks.plural(int(missing.sum()), 'row')} without a value of {column.name}, left out")
        learnt, said = targets.target_of(column, table, self.task)
        named = (("group", self.group), ("time", self.time))
        groups, times = (_column_of(who, table, column.name, *option) for option in named)
        classifies = isinstance(learnt, targets.Classes)
        names = learnt.classes if isinstance(learnt, targets.Classes) else ()
        if self.class_weight is not None and not classifies:
            raise ValueError(
                f"{who} expects class_weight for classes; got {self.class_weight!r} for the regression of "
                f"{checks.shown(column.name)}."
            )
        codes = learnt.transform(column, table) if classifies else None
        parts = splitting.split(
            table.n_rows,
            (self.validation_size, self.test_size),
            self.seed,
            classes=codes,
            groups=None if groups is None else _group_numbers(groups),
            times=None if times is None else _time_numbers(who, times, table),
        )
        wanted = [name for name, share in zip(PARTS, (1, self.validation_size, self.test_size), strict=True) if share]
        places = dict(zip(PARTS, parts, strict=True))
        splitting.require_rows(table.source, [places[name] for name in wanted], wanted)
        features = table._replace(columns=tuple(c for c in table.columns if c.name != column.name))
        preprocessor, net = self._made_for(features, column, learnt, places["train"])
        x = preprocessor.transform(features)
        t = preprocessor.target_.transform(column, table)
        self.net, self.preprocessor, self.history = net, preprocessor, None
        self.scores = {} if codes is None else {"shares": _shares_of(codes[places["train"]], len(names))}
        if codes is not None and self.test_size:
            unjudged = np.bincount(codes[places["test"]], minlength=len(names)) == 0
            if unjudged.any():
                few = ", ".join(str(names[k]) for k in np.flatnonzero(unjudged)[:10])
                notes.append(f"no test row of some classes, which are not judged: {few}")
        self.notes = [*notes, f"{self.task_of(learnt)}, as {said}"]
        return Rows(features, column, {n: x[p] for n, p in places.items()}, {n: t[p] for n, p in places.items()})

    def _made_for(self, features, column, target, rows):
        """A preprocessor that was fitted to some rows, and a new network for it."""
        ignore = [*self.ignore] + ([self.group] if self.group is not None else [])
        preprocessor = Preprocessor(max_categories=_MOST_CATEGORIES, many="codes", ignore=ignore, dtype=self.dtype)
        preprocessor.fit(_taken(features, rows))
        preprocessor.target_ = target
        if isinstance(target, targets.Numbers):  # whose mean is that of these rows
            preprocessor.target_, _ = targets.target_of(_of_rows(column, rows), features, targets.TASKS[1])
        n_in = len(preprocessor.get_feature_names_out())
        return preprocessor, self.network_for(n_in, target, preprocessor.n_codes_)

    def network_for(
        self, n_in: int, target: targets.Classes | targets.Numbers, n_codes: Sequence[int] = ()
    ) -> Sequential:
        """A new network for so many features, the first of which are codes."""
        layers: list[Any] = []
        if n_codes:
            seed = np.random.default_rng((self.seed, 1))  # of other numbers than the next layer's
            width = min(_EXTRA_WIDTH + target.n_outputs, _MOST_WIDTH)
            layers = [Embeddings(n_codes, width, n_in - len(n_codes), _DEVIATION, self.dtype, seed)]
            n_in = layers[0].n_out
            for table in layers[0].tables:
                table[0] = 0
        sizes = (n_in, *self.hidden, target.n_outputs)
        loss: LossName = "squared_error" if isinstance(target, targets.Numbers) else "softmax_cross_entropy"
        rng = np.random.default_rng(self.seed)
        for place, (before, behind) in enumerate(pairwise(sizes)):
            # Glorot's deviation before a relu, too: with He's a wide layer behind few columns starts
            # as a rough function, of which small tables keep much (mean score of 56 of them: 0.02 more).
            layers.append(Linear(before, behind, "xavier", self.dtype, rng))
            if place < len(self.hidden):
                layers += [ACTIVATIONS[self.activation](), *([Dropout(self.dropout)] if self.dropout else [])]
        return Sequential(*layers, loss=loss)

    def new_optimizer(self, n: int) -> Rule:
        """An optimiser as this model is trained by on n rows."""
        decay = 1 / n if self.weight_decay is None else self.weight_decay
        return OPTIMIZERS[self.optimizer](lr=self.learning_rate, weight_decay=decay)

    @staticmethod
    def task_of(target: targets.Classes | targets.Numbers | None) -> Literal["classification", "regression"]:
        """The task of a target."""
        return targets.TASKS[isinstance(target, targets.Numbers)]

    def train(self, rows: Rows, **options: Any) -> History:
        """The second step of `fit`: train the network of `prepare`; options as `Sequential.fit` has them."""
        validation = (rows.x["validation"], rows.t["validation"])
        if len(validation[0]):
            options["validation_data"] = validation
            if self.patience is not None:
                options.setdefault("early_stopping", EarlyStopping(self.patience, min_delta=_PROGRESS))
        self.history = self._trained(self.net, rows.x["train"], rows.t["train"], self.epochs, options)
        stopping = options.get("early_stopping")
        self.best_epoch = len(self.history) if stopping is None else stopping.best_epoch + 1
        self._tell_when()
        return self.history

    def _trained(self, net, x, t, epochs, options):
        repeats = self.passes_of(len(x))
        with warnings.catch_warnings():
            # Of what comes to nothing the scores tell, beside the baseline's.
            warnings.filterwarnings("ignore", "The loss after ")
            history = net.fit(
                np.tile(x, (repeats, 1)) if repeats > 1 else x,
                np.tile(t, (repeats,) + (1,) * (t.ndim - 1)) if repeats > 1 else t,
                epochs=epochs,
                batch_size=self.batch_size_of(len(x)),
                seed=self.seed,
                optimizer=self.new_optimizer(len(x)),
                class_weight=self.class_weight if net.loss_layer.classifies else None,
                **options,
            )
        _let_others_be_means(net, x)
        return history

    def _tell_when(self):
        self.made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.version = sys.modules["fastbp"].__version__

    def learn_all(self, rows: Rows, **options: Any) -> None:
        """The last step of `fit`: train a new network on all rows, for as many epochs as were best."""
        if self.history is not None:
            self._look_again_when_best(rows, options, self.history)
        everything = np.arange(rows.features.n_rows)
        preprocessor, net = self._made_for(rows.features, rows.column, self.preprocessor.target_, everything)
        x = preprocessor.transform(rows.features)
        t = preprocessor.target_.transform(rows.column, rows.features)
        self._trained(net, x, t, self.best_epoch, options)
        self.net, self.preprocessor = net, preprocessor
        if self.classes is not None:
            self.scores["shares"] = _shares_of(t, len(self.classes))  # of the rows that this network has learnt
        self._tell_when()

    def _look_again_when_best(self, rows, options, history):
        """Take the best epoch of the mean loss over several splits, where one has few validation rows."""
        n = len(rows.x["train"]) + len(rows.x["validation"])
        splits = min(_JUDGES // n, _MOST_SPLITS)
        if not history.val_loss or self.patience is None or self.group or self.time or splits < 2:
            return
        x, t = (np.concatenate([each["train"], each["validation"]]) for each in (rows.x, rows.t))
        share = len(rows.x["validation"]) / n
        epochs = min(max(len(history), _FEWEST_EPOCHS), self.epochs)
        losses = []
        for turn in range(splits):
            kept, judges = splitting.split(n, (share,), self.seed + turn, classes=None if t.ndim > 1 else t)
            net = self.network_for(x.shape[1], self.preprocessor.target_, self.preprocessor.n_codes_)
            judged = options | {"validation_data": (x[judges], t[judges])}
            losses.append(self._trained(net, x[kept], t[kept], epochs, judged).val_loss)
        self.best_epoch = int(np.mean(losses, axis=0).argmin()) + 1

    @property
    def learning_rate(self) -> float:
        """`lr`, or the optimiser's own."""
        return OPTIMIZERS[self.optimizer]().lr if self.lr is None else self.lr

    def batch_size_of(self, n: int) -> int:
        """Rows of a batch, of n in all."""
        return self.batch_size or min(max(n // 50, _BATCHES[0]), _BATCHES[1])

    def passes_of(self, n: int) -> int:
        """How often an epoch goes over its rows, of n in all."""
        return -(-_EPOCH // n)

    def judge(self, rows: Rows) -> dict[str, Any]:
        """The third step of `fit`: `scores` of each part, beside those of a baseline."""
        found: dict[str, Any] = {"rows": {name: len(rows.x[name]) for name in PARTS}, "baseline": {}}
        if self.classes is not None:
            found["shares"] = _shares_of(rows.t["train"], len(self.classes))
        self.scores = found
        for name in PARTS:
            x, t = rows.x[name], rows.t[name]
            if len(x):
                found[name] = self._scores(self.outputs(x), t)
                found["baseline"][name] = self._baseline(t)
        return found

    def _baseline(self, t):
        """Scores of the shares that the classes had in training, or of the mean."""
        if self.classes is None:
            return self._scores(np.zeros((len(t), 1)), t)
        shares = self.scores["shares"]
        return self._scores(np.broadcast_to(shares, (len(t), len(shares))), t)

    def outputs(self, x: Array) -> Array:
        """Probabilities (n_rows, n_classes), or standardised numbers (n_rows, 1)."""
        return self.net.predict(x) if self.classes is None else self.net.predict_proba(x)

    def _scores(self, y, t):
        if self.classes is not None:
            return scores.of_classes(y, t) | {"confusion": scores.confusion(y, t).tolist()}
        inverse = self.preprocessor.target_.inverse
        return scores.of_numbers(inverse(y), inverse(t))

    def _share_right(self, x, t):
        """The accuracy, or R^2: of all scores the one that importances ask for many times."""
        y = self.outputs(x)
        return float((y.argmax(axis=1) == t).mean()) if self.classes is not None else self._scores(y, t)["r2"]

    # --- predictions ------------------------------------------------------------------------

    @property
    def classes(self) -> Array | None:
        """The names of the classes; None of a regression."""
        self._require_fitted("classes")
        target = self.preprocessor.target_
        return target.array() if isinstance(target, targets.Classes) else None

    @property
    def target(self) -> str:
        """The name of the target."""
        self._require_fitted("target")
        return self.preprocessor.target_.name

    def predict(self, data: Any, *, strict: bool = False, **reading: Any) -> Array:
        """The target's values of new rows: classes by their names, numbers in their unit.

        Parameters
        ----------
        data : as `fit` takes it
            The columns of the training by name, in any order.  `warnings` has what was met that the
            training had not: other categories count as none, missing values as the median.
        strict : bool
            Refuse those instead.
        **reading
            As for `fit`.

        Returns
        -------
        numpy.ndarray
            (n_rows,): float64 of a regression; int64, float64, bool or, of texts, object of classes.

        Raises
        ------
        ValueError
            For columns that are missing, or of another kind than in training.
        """
        y = self._predicted("predict", data, strict, reading)
        target = self.preprocessor.target_
        return target.inverse(y if self.classes is None else y.argmax(axis=1))

    def predict_proba(self, data: Any, *, strict: bool = False, **reading: Any) -> Array:
        """The probability of each class, (n_rows, n_classes), in the order of `classes`."""
        self._require_classes("predict_proba")
        return self._predicted("predict_proba", data, strict, reading)

    def predicted(self, data: Any, *, strict: bool = False, **reading: Any) -> tuple[Array, Array | None]:
        """Both: what `predict` returns, and the probabilities, or None of a regression."""
        y = self._predicted("predict", data, strict, reading)
        target = self.preprocessor.target_
        return (target.inverse(y), None) if self.classes is None else (target.inverse(y.argmax(axis=1)), y)

    def _predicted(self, method, data, strict, reading):
        self._require_fitted(method)
        who = f"TableModel.{method}"
        checks.flag(who, "strict", strict)
        y = self.outputs(self._features(table_of(who, data, self.preprocessor.kinds, IGNORED, **reading), strict))
        absent = np.isnan(y).any(axis=1)
        if absent.any():
            raise ValueError(
                f"{who} expects rows that the network's {y.dtype} holds; got NaN for row {int(absent.argmax())}, as "
                "numbers overflow on the way."
            )
        return y

    def _features(self, table, strict=False):
        known = {*self.preprocessor.feature_names_in_, *self.preprocessor.left_out_, self.target}
        x = self.preprocessor.transformed(table, strict)
        others = [name for name in table.names if name not in known]
        self.warnings = [*table.dropped, *self.preprocessor.notes_]
        if others:
            self.warnings.append(f"columns that the training had not, ignored: {', '.join(others)}")
        return x

    def evaluate(
        self, data: Any, target: str | ArrayLike | None = None, *, strict: bool = False, **reading: Any
    ) -> dict[str, Any]:
        """Scores of predictions for a table against its target.

        Parameters
        ----------
        data : as `fit` takes it
        target : str, array_like or None
            The column, or its values; None: of the name that it had in training.  Rows without one
            are left out.

        Returns
        -------
        dict
            ``accuracy``, ``balanced_accuracy``, ``f1``, ``roc_auc``, ``log_loss``, ``brier`` and
            ``confusion``, the rows by true class (lists) and predicted class; or ``mae``, ``rmse``
            and ``r2`` in the target's unit.  ``rows``: how many; ``baseline``: the same scores of
            the training's most frequent class, or its mean.
        """
        x, t = self._with_target("evaluate", data, target, strict, reading)
        return {"rows": len(x), **self._scores(self.outputs(x), t), "baseline": self._baseline(t)}

    def _with_target(self, method, data, target, strict, reading):
        self._require_fitted(method)
        who = f"TableModel.{method}"
        target = self.target if target is None else target
        known = self.preprocessor.kinds_beside(target)
        table, column = with_target(who, table_of(who, data, known, IGNORED, **reading), target)
        there = ~missing_of(column)
        if not there.any():
            raise ValueError(f"{who} expects rows with a target in {table.source}; got none.")
        table, column = _taken(table, there), _of_rows(column, there)
        return self._features(table, strict), self.preprocessor.target_.transform(column, table)

    def importances(
        self, data: Any, target: str | ArrayLike | None = None, *, n_repeats: int = 5, seed: int = 0, **reading: Any
    ) -> Importances:
        """What the accuracy, or R^2, loses where the values of a column are shuffled among the rows.

        Parameters
        ----------
        data, target
            As `evaluate` takes them; rows that the training has not seen say more.
        n_repeats : int
            Shuffles of each column.
        seed : int

        Returns
        -------
        Importances

        References
        ----------
        Breiman, Random Forests, Machine Learning 45 (2001), section 10.
        """
        x, t = self._with_target("importances", data, target, False, reading)
        return self.importances_of(x, t, n_repeats, seed)

    def importances_of(self, x: Array, t: Array, n_repeats: int = 5, seed: int = 0) -> Importances:
        """`importances` of rows as a part of `Rows` has them."""
        who = "TableModel.importances"
        n_repeats = checks.integer(who, "n_repeats", n_repeats, 1)
        rng = np.random.default_rng(checks.integer(who, "seed", seed, 0, checks.MOST_SEED))
        score = "r2" if self.classes is None else "accuracy"
        before = self._share_right(x, t)
        found = self.preprocessor.encodings_
        edges = np.cumsum([0, *(len(each.names) for each in found)])
        losses = np.empty((len(found), n_repeats))
        for place, (begin, end) in enumerate(pairwise(edges)):
            other = x.copy()
            for turn in range(n_repeats):
                other[:, begin:end] = x[rng.permutation(len(x)), begin:end]
                losses[place, turn] = before - self._share_right(other, t)
        order = np.argsort(-losses.mean(axis=1), kind="stable")
        names = [found[place].name for place in order]
        return Importances(names, losses.mean(axis=1)[order], losses.std(axis=1)[order], score)

    # --- scikit-learn's conventions ---------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's parameters by name, for scikit-learn's `clone` and searches."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **params: object) -> Self:
        """Set parameters by name, for the next `fit`; one that cannot be used changes none."""
        known = self.get_params()
        for name in params:
            checks.choice("TableModel.set_params", "a parameter", name, tuple(known))
        new = TableModel(**{**known, **params})
        for name in params:
            setattr(self, name, getattr(new, name))
        return self

    def score(self, data: Any, target: str | ArrayLike | None = None) -> float:
        """The accuracy of the predictions, or their R^2; `data` and `target` as `evaluate` takes them."""
        found = self.evaluate(data, target)
        return found["r2" if self.classes is None else "accuracy"]

    @property
    def classes_(self) -> Array:
        """`classes`, as scikit-learn looks for them."""
        if self.preprocessor is None or self.classes is None:
            raise AttributeError("TableModel has classes_ after fit with a target of classes; got none.")
        return self.classes

    def __sklearn_is_fitted__(self) -> bool:
        return self.preprocessor is not None

    def __sklearn_tags__(self) -> Tags:
        from sklearn import utils

        task = self.task if self.preprocessor is None else self.task_of(self.preprocessor.target_)
        return utils.Tags(
            estimator_type=None if task is None else {"classification": "classifier", "regression": "regressor"}[task],
            target_tags=utils.TargetTags(required=True),
            classifier_tags=utils.ClassifierTags() if task == "classification" else None,
            regressor_tags=utils.RegressorTags() if task == "regression" else None,
            input_tags=utils.InputTags(string=True, allow_nan=True),
        )

    # --- files ------------------------------------------------------------------------------

    def save(self, path: File) -> None:
        """Write network and preprocessing as one safetensors file, which `Sequential.load` reads, too.

        Parameters
        ----------
        path : str, os.PathLike or file opened for bytes
            A path is written whole or not at all.
        """
        self._require_fitted("save")
        document = {
            "format": _FORMAT,
            "version": _VERSION,
            "preprocessor": self.preprocessor.document(),
            "made": self.made,
            "fastbp": self.version,
            "notes": self.notes,
            "scores": self.scores,
        }
        architecture.write(self.net, path, {KEY: json.dumps(_without_nan(document))})

    @classmethod
    def load(cls, path: File) -> TableModel:
        """The model that `save` or ``fastbp train`` wrote.

        Parameters
        ----------
        path : str, os.PathLike or file opened for bytes

        Returns
        -------
        TableModel
            With the same predictions.

        Raises
        ------
        ValueError
            For a file without preprocessing, one that is damaged, or of a newer version.
        """
        who = "TableModel.load"
        tensors, metadata = files.read_safetensors(who, path)
        shown = files.shown(path)
        if KEY not in metadata:
            raise ValueError(
                f"{who} expects a model of a table, as TableModel.save and fastbp train write it; got {shown}, "
                "without preprocessing, which Sequential.load may read."
            )
        if files.CHECKSUM not in metadata:
            raise ValueError(f"{who} expects a checksum in {shown}, as save writes it; got none.")
        layers, loss, tell = architecture.rebuilt(tensors, metadata, shown, Sequential)
        net = Sequential(*layers, loss=loss)
        tell(net)
        try:
            document = checks.json_of(metadata[KEY])
            if document["format"] != _FORMAT:
                raise ValueError(f"the format {checks.shown(document['format'])}")
            version = document["version"]
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(f"{who} expects a model of a table; got {shown} ({error!s:.200}).") from error
        if version != _VERSION or isinstance(version, bool):
            raise ValueError(
                f"{who} expects a file of version {_VERSION}; got version {checks.shown(version)} in {shown}, "
                "written by another fastbp."
            )
        preprocessor = Preprocessor.from_document(who, document.get("preprocessor"), shown)
        target = preprocessor.target_
        widths = [layer.W.shape for layer in net.layers if isinstance(layer, Affine)]
        first = net.layers[:1] if widths and isinstance(net.layers[0], Embeddings) else ()
        n_in, n_codes = (first[0].n_in, first[0].sizes) if first else (widths and widths[0][0], [])
        expected = (len(preprocessor.get_feature_names_out()), getattr(target, "n_outputs", None))
        if not widths or (n_in, widths[-1][1]) != expected or n_codes != preprocessor.n_codes_:
            raise ValueError(
                f"{who} expects a network of the preprocessor's {expected[0]} columns and {expected[1]} outputs; got "
                f"another one in {shown}."
            )
        for name, array in net.params.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{who} expects finite numbers in {name} of {shown}; got inf.")
        wanted = "softmax_cross_entropy" if isinstance(target, targets.Classes) else "squared_error"
        if not isinstance(net.loss_layer, LOSSES[wanted]):
            raise ValueError(f"{who} expects the loss {wanted} in {shown}; got {net.loss_layer!r}.")
        made, by, notes, scored = (document.get(name) for name in ("made", "fastbp", "notes", "scores"))
        if not (
            isinstance(made, str | None)
            and isinstance(by, str | None)
            and isinstance(notes, list)
            and all(isinstance(note, str) for note in notes)
            and _are_scores(scored, getattr(target, "classes", ()))
        ):
            raise ValueError(f"{who} expects texts and scores beside the preprocessor; got others in {shown}.")
        behind = net.layers[len(first) + 1 :][:1] if len(widths) > 1 else ()
        kinds: list[Any] = [name for name in ACTIVATIONS if behind and isinstance(behind[0], ACTIVATIONS[name])]
        model = cls(
            task=cls.task_of(target),
            hidden=tuple(shape[1] for shape in widths[:-1]),
            activation=(kinds or ["relu"])[-1],
            dtype=preprocessor.dtype,
        )
        model.net, model.preprocessor = net, preprocessor
        model.made, model.version, model.notes, model.scores = made, by, notes, _with_nan(scored)
        return model

    def _repr_html_(self) -> str:
        from fastbp import markup

        if self.preprocessor is None:
            return markup.preformatted(self)
        names = [name for name in PARTS if name in self.scores]
        measures = [key for key, value in self.scores[names[0]].items() if isinstance(value, float)] if names else []
        rows = [
            (name, self.scores["rows"][name], *(f"{self.scores[name][measure]:.4g}" for measure in measures))
            for name in names
        ]
        return markup.table(rows, ("", "rows", *measures), repr(self)) + self.net._repr_html_()

    def __repr__(self) -> str:
        if self.preprocessor is None:
            return "TableModel(not fitted)"
        kind = f"{len(self.classes)} classes" if self.classes is not None else "numbers"
        return f"TableModel({self.preprocessor.n_features_in_} columns -> {self.target}, {kind})"

    def _require_fitted(self, method):
        if self.preprocessor is None:
            raise ValueError(f"TableModel.{method} expects fit to be called before; got a new TableModel.")

    def _require_classes(self, method):
        if self.classes is None:
            raise ValueError(f"TableModel.{method} expects a target of classes; got the numbers of {self.target}.")


def _let_others_be_means(net, x):
    """Make the row of what is no category of the training, code 0, the mean of those that the training had."""
    if isinstance(net.layers[0], Embeddings):
        for column, table in enumerate(net.layers[0].tables):
            table[0] = table[x[:, column].astype(np.intp)].mean(axis=0)


#: The constructor's parameters, for scikit-learn.
_PARAMETERS = tuple(inspect.signature(TableModel).parameters)


def _are_scores(node, classes):
    """Whether a document has what `judge` makes, as far as it is read again."""
    if not isinstance(node, dict) or not all(isinstance(node.get(key, {}), dict) for key in ("baseline", "rows")):
        return False
    if classes and not _are_shares(node.get("shares"), len(classes)):
        return False
    numbers = []
    for name in PARTS:
        if name in node:
            if not isinstance(node.get("rows", {}).get(name), int):
                return False
            both: list[Any] = [node[name], node.get("baseline", {}).get(name)]
            if not all(isinstance(each, dict) for each in both):
                return False
            numbers += [[value for key, value in each.items() if key != "confusion"] for each in both]
    return all(isinstance(n, float | int | None) and not isinstance(n, bool) for each in numbers for n in each)


def _shares_of(codes, n):
    """The shares of n classes in some rows."""
    return (np.bincount(codes, minlength=n) / len(codes)).tolist()


def _are_shares(node, n):
    numbers = isinstance(node, list) and all(isinstance(each, int | float) and 0 <= each <= 1 for each in node)
    return numbers and len(node) == n and abs(sum(node) - 1) < 1e-6


def is_table_model(path: File) -> bool:
    """Whether a file is a table's model, and no network alone."""
    return KEY in files.read_safetensors("TableModel.load", path)[1]


def _without_nan(node):
    """A document without NaN, which JSON has not."""
    if isinstance(node, dict):
        return {key: _without_nan(value) for key, value in node.items()}
    return None if isinstance(node, float) and node != node else node


def _with_nan(node):
    """What `_without_nan` was of."""
    if isinstance(node, dict):
        return {key: _with_nan(value) for key, value in node.items()}
    return np.nan if node is None else node


def _column_name(who, name, value):
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{who} expects {name} as the name of a column; got {checks.described(value)}.")
    return value


def _of_rows(column, rows):
    return column._replace(values=column.values[rows])


def _taken(table, rows):
    """Some rows of a table."""
    lines = None if table.lines is None else table.lines[rows]
    return table._replace(columns=tuple(_of_rows(column, rows) for column in table.columns), lines=lines)


def _column_of(who, table, target, option, name):
    if name is None:
        return None
    if name == target:
        raise ValueError(f"{who} expects {option} of another column than the target; got {checks.shown(name)}.")
    if name not in table.names:
        raise ValueError(
            f"{who} expects {option} as one of the columns {', '.join(map(checks.shown, table.names[:20]))} of "
            f"{table.source}; got {name!r}."
        )
    return table.column(name)


def _group_numbers(column):
    """A number for each value of a column, and one for none."""
    places: dict[Any, int] = {}
    missing = missing_of(column)
    values = [None if gone else value for value, gone in zip(column.values.tolist(), missing, strict=True)]
    return np.array([places.setdefault(value, len(places)) for value in values], np.int64)


def _time_numbers(who, column, table):
    if column.kind not in ("date", "number"):
        raise ValueError(
            f"{who} expects dates or numbers in the column of time; got {column.kind}s in "
            f"{checks.shown(column.name)} of {table.source}."
        )
    if missing_of(column).any():
        raise ValueError(f"{who} expects a time in each row; got none in a row of {checks.shown(column.name)}.")
    return column.values
