"""`Solver`: trains a model that has `params` and `loss(X, y)`."""

from __future__ import annotations

# ruff: noqa: NPY002  (the course draws from NumPy's global generator)
import os
import pickle
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.cs231n import optim
from fastbp.files.whole import write_whole

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike, Path

__all__ = ["Solver"]

_PARTS = ("X_train", "y_train", "X_val", "y_val")


def _require_pickled(who, name, value):
    """Refuses what a checkpoint could not hold."""
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{who} expects {name} that pickle takes, as checkpoint_name is given; got {checks.shown(value)} ({error})."
        ) from None


class Solver:
    """Batches drawn with replacement, accuracies at each epoch's end, and the best parameters kept.

    Parameters
    ----------
    model : object
        With ``params``, a dict of arrays, and ``loss(X, y)``, which gives scores without y and
        (loss, grads) with it.
    data : dict
        "X_train", "y_train", "X_val", "y_val": arrays with as many rows, and labels as integers.
    update_rule : str or callable
        A name in `optim`, or a function ``(w, dw, config) -> (next_w, config)``.
    optim_config : dict or None
        The rule's numbers; it is left as it is.
    lr_decay : float
        Multiplies the learning rate at each epoch's end.
    batch_size, num_epochs, print_every : int
    num_train_samples, num_val_samples : int or None
        Draw so many samples for an accuracy; None takes all.
    checkpoint_name : str or None
        Write ``{checkpoint_name}_epoch_{n}.pkl`` at each epoch's end, with the model in it.
    verbose : bool
        Print losses and accuracies.

    Attributes
    ----------
    loss_history : list of float
        Of each batch, before its step.
    train_acc_history, val_acc_history : list of float
        At the beginning and at each epoch's end.
    best_params : dict
        Copies of the parameters with the best `val_acc_history`, which `train` gives the model.
    best_val_acc : float

    Raises
    ------
    ValueError, TypeError
        For data that do not fit each other, an unknown rule, and numbers that are none.

    Examples
    --------
    >>> from fastbp.cs231n.classifiers.fc_net import TwoLayerNet
    >>> np.random.seed(0)
    >>> X, y = np.random.randn(60, 4), np.arange(60) % 3
    >>> data = {"X_train": X[:40], "y_train": y[:40], "X_val": X[40:], "y_val": y[40:]}
    >>> solver = Solver(TwoLayerNet(4, 8, 3), data, update_rule="adam", num_epochs=2,
    ...                 batch_size=10, verbose=False)
    >>> solver.train()
    >>> len(solver.loss_history), len(solver.val_acc_history)
    (8, 3)
    """

    X_train: Array
    y_train: Array
    X_val: Array
    y_val: Array
    num_train_samples: int | None
    num_val_samples: int | None
    epoch: int
    best_val_acc: float

    def __init__(
        self,
        model: Any,
        data: Mapping[str, ArrayLike],
        *,
        update_rule: str | Callable[..., Any] = "sgd",
        optim_config: Mapping[str, Any] | None = None,
        lr_decay: float = 1.0,
        batch_size: int = 100,
        num_epochs: int = 10,
        num_train_samples: int | None = 1000,
        num_val_samples: int | None = None,
        checkpoint_name: Path | None = None,
        print_every: int = 10,
        verbose: bool = True,
    ) -> None:
        who = "Solver"
        if not (hasattr(model, "params") and hasattr(model, "loss")):
            raise TypeError(f"{who} expects model with params and loss(X, y); got {checks.described(model)}.")
        checks.mapping(who, "data", data)
        missing = [name for name in _PARTS if name not in data]
        if missing:
            raise ValueError(f"{who} expects data with {', '.join(map(repr, _PARTS))}; got none of {missing[0]!r}.")
        arrays: list[Any] = [checks.numbers(who, f"data[{name!r}]", data[name]) for name in _PARTS]
        for part, X, y in (("train", *arrays[:2]), ("val", *arrays[2:])):
            if X.ndim < 1 or y.ndim != 1 or not 0 < len(X) == len(y):
                raise ValueError(
                    f"{who} expects X_{part} and y_{part} with as many rows, at least one, and a label in each; "
                    f"got shapes {X.shape} and {y.shape}."
                )
        if not callable(update_rule):
            update_rule = getattr(optim, checks.choice(who, "update_rule", update_rule, tuple(optim.__all__)))
        self.model = model
        self.X_train, self.y_train, self.X_val, self.y_val = arrays
        self.update_rule: Any = update_rule
        self.optim_config: dict[str, Any] = dict(
            checks.mapping(who, "optim_config", {} if optim_config is None else optim_config)
        )
        self.lr_decay: float = checks.number(who, "lr_decay", lr_decay, least=0)
        self.batch_size: int = checks.integer(who, "batch_size", batch_size, 1)
        self.num_epochs: int = checks.integer(who, "num_epochs", num_epochs, 0)
        self.num_train_samples, self.num_val_samples = (
            None if n is None else checks.integer(who, name, n, 1)
            for name, n in (("num_train_samples", num_train_samples), ("num_val_samples", num_val_samples))
        )
        if checkpoint_name is not None:
            checkpoint_name = os.fsdecode(checks.path(who, checkpoint_name, "checkpoint_name"))
            checks.path_to_write(who, f"{checkpoint_name}_epoch_1.pkl")
            for name, value in (("model", model), ("update_rule", update_rule)):
                _require_pickled(who, name, value)
        self.checkpoint_name = checkpoint_name
        self.print_every: int = checks.integer(who, "print_every", print_every, 1)
        self.verbose: bool = checks.flag(who, "verbose", verbose)
        self.epoch = 0
        self.best_val_acc = -1.0
        self.best_params: dict[str, Array] = {}
        self.loss_history: list[float] = []
        self.train_acc_history: list[float] = []
        self.val_acc_history: list[float] = []
        self.optim_configs: dict[str, dict[str, Any]] = {name: dict(self.optim_config) for name in model.params}

    def _step(self):
        """One batch and one update."""
        rows = np.random.choice(len(self.X_train), self.batch_size)
        loss, grads = self.model.loss(self.X_train[rows], self.y_train[rows])
        missing = [name for name in self.model.params if name not in grads]
        if missing:
            raise ValueError(
                f"Solver expects loss(X, y) to give a gradient for each of params; got none of {missing[0]!r}."
            )
        self.loss_history.append(loss)
        for name, w in self.model.params.items():
            self.model.params[name], self.optim_configs[name] = self.update_rule(
                w, grads[name], self.optim_configs[name]
            )

    def check_accuracy(self, X: Array, y: Array, num_samples: int | None = None, batch_size: int = 100) -> float:
        """The share of labels that the highest score hits.

        Parameters
        ----------
        X : numpy.ndarray
            (N, d1, ..., dk)
        y : numpy.ndarray
            (N,)
        num_samples : int or None
            Draw so many of them, where there are more.
        batch_size : int
            Rows that are evaluated at a time.

        Returns
        -------
        float
        """
        checks.integer("Solver.check_accuracy", "batch_size", batch_size, 1)
        if num_samples is not None and len(X) > num_samples:
            rows = np.random.choice(len(X), num_samples)
            X, y = X[rows], y[rows]
        scores = [self.model.loss(X[start : start + batch_size]) for start in range(0, len(X), batch_size)]
        return float(np.mean(np.concatenate(scores).argmax(axis=1) == y))

    def train(self) -> None:
        """All epochs; then the model has the best parameters."""
        per_epoch = max(len(self.X_train) // self.batch_size, 1)
        steps = self.num_epochs * per_epoch
        for t in range(steps):
            self._step()
            if self.verbose and t % self.print_every == 0:
                print(f"(Iteration {t + 1} / {steps}) loss: {self.loss_history[-1]:f}")
            ends = (t + 1) % per_epoch == 0
            if ends:
                self.epoch += 1
                for config in self.optim_configs.values():
                    if "learning_rate" in config:  # a rule of one's own may have none
                        config["learning_rate"] *= self.lr_decay
            if t == 0 or ends:
                self._look()
                self._save_checkpoint()
        if self.best_params:
            self.model.params = self.best_params

    def _look(self):
        """Accuracies, and the parameters where they are the best."""
        self.train_acc_history.append(self.check_accuracy(self.X_train, self.y_train, self.num_train_samples))
        self.val_acc_history.append(self.check_accuracy(self.X_val, self.y_val, self.num_val_samples))
        train, val = self.train_acc_history[-1], self.val_acc_history[-1]
        if self.verbose:
            print(f"(Epoch {self.epoch} / {self.num_epochs}) train acc: {train:f}; val_acc: {val:f}")
        if val > self.best_val_acc:
            self.best_val_acc = val
            self.best_params = {name: w.copy() for name, w in self.model.params.items()}

    def _save_checkpoint(self):
        if self.checkpoint_name is None:
            return
        names = "model update_rule lr_decay optim_config batch_size num_train_samples num_val_samples epoch "
        names += "loss_history train_acc_history val_acc_history"
        path = f"{self.checkpoint_name}_epoch_{self.epoch}.pkl"
        if self.verbose:
            print(f'Saving checkpoint to "{path}"')
        write_whole(path, pickle.dumps({name: getattr(self, name) for name in names.split()}))
