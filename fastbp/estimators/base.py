"""What the classifier and the regressor share: scikit-learn's contract over solver and loops."""

from __future__ import annotations

import types
import warnings
from contextlib import nullcontext
from itertools import pairwise
from numbers import Integral
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from fastbp import checks
from fastbp.estimators import batches, callables, exchange, forward, lbfgs, loops, parameters, preparing, scale, start
from fastbp.estimators.solver import READ, Solver
from fastbp.training import checkpoints
from fastbp.training.ranks import ALONE, Ranks

if TYPE_CHECKING:
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.utils import Tags

    from fastbp._typing import Array, ArrayLike, Features
    from fastbp.communicators import AnyCommunicator
    from fastbp.network import Sequential

_FLOATS = (np.float64, np.float32)
#: What stays as it is in X: bytes, too, which a plan converts a batch at a time.
_NUMBERS = (*_FLOATS, np.uint8)
_READ_OF = attrgetter(*READ)
#: The methods by which scikit-learn's classes train and predict, and which ours do without.
THEIR_METHODS = frozenset(
    (
        "_backprop",
        "_check_solver",
        "_compute_loss_grad",
        "_fit",
        "_fit_lbfgs",
        "_fit_stochastic",
        "_forward_pass",
        "_forward_pass_fast",
        "_init_coef",
        "_initialize",
        "_loss_grad_lbfgs",
        "_predict",
        "_score",
        "_score_with_function",
        "_unpack",
        "_update_no_improvement_count",
        "_validate_input",
    )
)


def can_fit_partially(model: MLP) -> bool:
    """Whether a solver is stochastic; an AttributeError says that it is not."""
    if model.solver == "lbfgs":
        raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
    return True


class MLP(BaseEstimator):
    """A multilayer perceptron that is no estimator yet: see its two subclasses."""

    coefs_: list[Array]
    intercepts_: list[Array]
    x_mean_: Array
    x_scale_: Array
    validation_scores_: list[float] | None

    _classifies: bool
    n_layers_: int
    out_activation_: str
    norms_: list[Array]
    loss_curve_: list[float]

    def __init_subclass__(cls, **keywords: Any) -> None:
        if MLP in cls.__bases__:  # so that Python's words for a wrong keyword name this class
            for name, function in vars(MLP).items():
                if isinstance(function, types.FunctionType) and not name.startswith("_"):
                    setattr(cls, name, _copy_for(cls, function))
        super().__init_subclass__(**keywords)

    # --- what a subclass says ---------------------------------------------------------------

    def _meet_classes(self, classes, y):
        """Take the classes that partial_fit is told, or refuse others than before."""

    def _learn_classes(self, y, anew):
        """Take the classes from y, or refuse others than before."""

    def _targets(self, y):
        """Validated y as numbers: (n, n_outputs), or (n,) indices of classes."""
        raise NotImplementedError

    def _n_outputs_of(self, t):
        """How many outputs such targets need."""
        raise NotImplementedError

    def _quick(self, X, y):
        """X, y and the targets where both are plainly good, so that small batches stay quick."""

    def _plan_loss(self):
        """`loss`, `number`, `loss_scale`, `clip_loss` of a plan."""
        raise NotImplementedError

    def _out_activation(self):
        """scikit-learn's name of it."""
        raise NotImplementedError

    def _engine_targets(self, t, dtype):
        """The targets as a plan takes them."""
        raise NotImplementedError

    def _learn_targets(self, t, weights, ranks):
        """Take a scale of the targets (n, n_outputs) from the training's rows."""

    def _in_units(self, array, shift=0):
        """Outputs, or what makes them, in the targets' units; `shift` is 1 where they get their mean."""
        return array

    def _stratify(self, t):
        """What the validation set is stratified by, or None."""

    def _predictions(self, x):
        """What `_own_score` takes for some rows."""
        raise NotImplementedError

    def _own_score(self, data, predicted):
        """The score that is watched without `scoring`."""
        raise NotImplementedError

    def _keep(self, given):
        """Keep the parameters of a class's `__init__`, its locals, as they came."""
        for name, value in given.items():
            if name != "self":
                setattr(self, name, value)

    # --- fitting ----------------------------------------------------------------------------

    def fit(
        self,
        X: Features,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        validation_data: tuple[Features, ArrayLike] | None = None,
        *,
        X_val: Features | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        comm: AnyCommunicator | None = None,
        rows: Literal["all", "own"] = "all",
        average_every: int = 1,
    ) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
            float32 stays float32, and a sparse matrix sparse; other numbers become float64, uint8
            a batch at a time.
        y : array_like, (n_samples,) or (n_samples, n_outputs)
        sample_weight : array_like, (n_samples,)
        validation_data : (X, y), optional
            What is scored after each epoch, in the place of a part of the training data.
        X_val, y_val : array_like, optional
            The same under the names of scikit-learn's gradient boosting, so that a
            ``Pipeline(..., transform_input=["X_val"])`` transforms them as X.
        sample_weight_val : array_like, (n_val,)
            Weights of their rows in the score.
        comm : Communicator or None
            Train together with other ranks, see `fastbp.Communicator`, all of which make the same
            call.  The first one draws, prints, calls callbacks and shows progress.
        rows : {"all", "own"}
            Whether all ranks pass the same rows, of which each takes its part of every batch; or
            each passes rows of its own, any number of them.
        average_every : int
            Steps that each rank makes of its own rows before the weights are averaged; 1 sums the
            gradients of each step instead.  Not with L-BFGS, nor with a loss of one's own.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            scikit-learn's for its parameters and for data that do not fit; for validation rows
            given twice, or by half.
        RankError
            Where another rank failed, and on which.

        Warns
        -----
        UserWarning
            Where the validation rows look as if they had missed a transformation of X.
        """
        held_out = validation_data, X_val, y_val, sample_weight_val
        return self._train(X, y, sample_weight, held_out, False, None, comm, rows, average_every)

    def _held_out(self, pair=None, X_val=None, y_val=None, weights=None):
        """What the caller calls the validation rows, then X, y and weights; or None."""
        who = type(self).__name__
        if pair is not None:
            if any(given is not None for given in (X_val, y_val, weights)):
                raise ValueError(
                    f"{who} expects validation rows as validation_data or as X_val, y_val and "
                    "sample_weight_val; got both."
                )
            try:
                X_val, y_val = pair
            except (TypeError, ValueError):
                given = type(pair).__name__ + (f" of {len(pair)}" if hasattr(pair, "__len__") else "")
                raise ValueError(f"{who} expects validation_data as a pair (X, y); got {given}.") from None
            return "validation_data", X_val, y_val, None
        for name, given, other in (("X_val", X_val, y_val), ("y_val", y_val, X_val)):
            if given is not None and other is None:
                missing = "y_val" if name == "X_val" else "X_val"
                raise ValueError(f"{who} expects X_val and y_val together; got {name} without {missing}.")
        if X_val is not None:
            return "X_val", X_val, y_val, weights
        if weights is not None:
            raise ValueError(f"{who} expects sample_weight_val beside X_val and y_val; got it without them.")
        return None

    def _train(self, X, y, sample_weight, held_out, incremental, classes, comm, rows, average_every):
        ranks = ALONE if comm is None else Ranks(type(self).__name__, comm, rows)
        with ranks.together() if ranks else nullcontext():
            if (comm, rows, average_every) != (None, "all", 1):
                checks.choice(type(self).__name__, "rows", rows, ("all", "own"))
                average_every = checks.integer(type(self).__name__, "average_every", average_every, least=1)
            before = dict(vars(self))
            random_state = _RandomState(self.random_state)
            try:
                held_out = self._held_out(*held_out) if held_out else None
                if ranks:
                    asked = {"rows": rows, "average_every": average_every, "partial_fit": incremental}
                    given = {"sample_weight": sample_weight, "validation rows": held_out}
                    given |= {"sample_weight_val": held_out and held_out[3]}
                    asked |= {name: value is not None for name, value in given.items()}
                    ranks.agree(asked | parameters.agreement(self) | {"classes": _listed(classes)})
                solver, data, parts, validation = self._prepared(
                    X, y, sample_weight, held_out, incremental, classes, random_state, ranks
                )
                if self.solver == "lbfgs":
                    self._require_synchronous(average_every)
                    objective = lbfgs.Objective(self, solver, data, ranks)
                else:
                    if callable(self.loss):
                        self._require_synchronous(average_every)
                    training = loops.EstimatorTraining(
                        self, solver, data, parts, validation, random_state, incremental, ranks, average_every
                    )
            except BaseException:  # a bad call changes nothing
                self.__dict__ = before
                random_state.restore()
                raise
            if self.solver == "lbfgs":
                lbfgs.fit_lbfgs(self, objective)
            else:
                loops.fit_stochastic(training)
        return self

    def _require_synchronous(self, average_every):
        if average_every > 1:
            what = "solver='lbfgs'" if self.solver == "lbfgs" else "a loss of one's own"
            raise ValueError(f"{type(self).__name__} expects average_every=1 with {what}; got {average_every}.")

    def _prepared(self, X, y, sample_weight, held_out, incremental, classes, random_state, ranks):
        """All before the first step: the solver, the rows, their batches, those of validation."""
        parameters.check(self, self._classifies, held_out and held_out[0])
        if ranks:
            random_state.share(ranks)
        with_lbfgs = self.solver == "lbfgs"
        hidden = parameters.hidden_layer_sizes(self)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if first or not incremental:
            self._warn_of_overrides()
        if not (first or hasattr(self, "_optimizer")):
            self._adopt()
        if incremental:
            self._meet_classes(classes, _of_all(y, ranks))
        quick = self._quick(X, y) if incremental and not first and not ranks else None
        if quick is None:
            X, y = self._validated(X, y, first or not hasattr(self, "n_features_in_"), ranks)
            self._learn_classes(_of_all(y, ranks), not (self.warm_start or incremental))
            t = self._targets(y)
        else:
            X, y, t = quick
        weights = self._weights(X, y, sample_weight, ranks)
        self.n_outputs_: int = self._n_outputs_of(t)
        if first:
            self._forget()
            self._learn_marks(X, ranks)
        units = [X.shape[1] + len(getattr(self, "x_marked_", ())), *hidden, self.n_outputs_]
        if ranks:
            ranks.agree(self._found(X, t, weights, units, ranks))
        if first:
            self._begin(units, batches.dtype_of(X), random_state)
        else:
            self._require_same(units)
        solver = getattr(self, "_optimizer", None)
        if solver is None or not incremental:
            dtype = batches.dtype_of(X) if with_lbfgs else self.coefs_[0].dtype
            seed = random_state().randint(2**31) if np.any(self.dropout) else 0
            solver = self._solver(units, dtype, seed)
            self._optimizer = None if with_lbfgs else solver
            follow = None
        else:
            follow = self._network(units)
        if weights is not None:
            weights = checks.weights_of_rows(type(self).__name__, weights, solver.dtype, total=ranks.total)
        data = batches.Data(X, t, weights, y)
        validation = None if held_out is None else self._validation(data.x, ranks, *held_out)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        draws = self.early_stopping and validation is None and not with_lbfgs
        if draws:
            data, validation = data.split(self, random_state(), self._stratify(data.t), ranks)
        data.require_weight(type(self).__name__, "training", draws, ranks)
        if validation is not None and validation.weights is not None:
            callables.require_weighted(self)
            validation.require_weight(type(self).__name__, "validation", draws, ranks)
        if first:
            self._learn_rows(data, ranks, incremental)
        data.t, data.prepare = self._engine_targets(data.t, solver.dtype), preparing.of(self)
        if validation is not None and ranks.own:  # a score is of all their rows
            validation = batches.together(ranks.gather(validation))
        parts = None if with_lbfgs else batches.Batches(self, len(data), ranks)
        if follow is not None:  # nothing fails any more
            solver.follow(**follow)
            for name, kept, asked in solver.see_some(self._asked()):
                warnings.warn(
                    f"{type(self).__name__}.partial_fit goes on with its optimiser's "
                    f"{name}={kept!r}, as scikit-learn's does, and not with {asked!r}; fit begins "
                    "anew, and _optimizer.learning_rate may be set.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
        return solver, data, parts, validation

    def _forget(self):
        """Forget what an earlier training learned of its rows and targets."""
        for name in preparing.LEARNED:
            self.__dict__.pop(name, None)

    def _learn_marks(self, X, ranks):
        """Take from all rows that are given which features get a column that tells where they are missing."""
        if self.missing != "refuse":
            some = self.add_indicator and not hasattr(X, "tocsr")
            self.x_marked_: Array = preparing.marked(X, ranks) if some else np.zeros(0, np.intp)

    def _learn_rows(self, data, ranks, incremental):
        """Take what stands for missing values, and the scales, from the rows of the training."""
        rows = data.x, data.order, data.weights
        if incremental and self.standardize and ranks.total(len(data)) < 2:
            raise ValueError(
                f"{type(self).__name__}.partial_fit expects several rows in its first call with standardize=True, "
                "whose deviations all others are divided by; got 1."
            )
        if self.missing != "refuse":
            self.x_fill_: Array = preparing.fills(self.missing, *rows, ranks)
        if self.standardize:
            self.x_mean_, self.x_scale_ = preparing.scales(*rows, ranks, getattr(self, "x_fill_", None))
            order = slice(None) if data.order is None else data.order
            self._learn_targets(data.t[order], None if data.weights is None else data.weights[order], ranks)

    def _found(self, X, t, weights, units, ranks):
        """What of the data has to be the same on all ranks, as JSON has it."""
        found = {
            "the network's widths": units,
            "the dtype of X": X.dtype.name,
            "X": "sparse" if hasattr(X, "tocsr") else "dense",
            "sample_weight": weights is not None,
            "t": [t.dtype.kind, *t.shape[1:]],
            "classes": _listed(getattr(self, "classes_", None)),
        }
        if not ranks.own:
            found["rows of X"] = X.shape[0]
            found["the checksum of X, y and weights"] = checkpoints.checksum(batches.engine_rows(X), t, weights)
        return found

    def _validated(self, X, y, reset, ranks):
        checks.unmasked(type(self).__name__, "X", X)
        checks.unmasked(type(self).__name__, "y", y)
        if ranks.own and np.shape(X)[0] == 0:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=_NUMBERS, reset=reset, ensure_min_samples=0)
            return X, np.asarray(y)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=_NUMBERS,
            reset=reset,
            y_numeric=not self._classifies,
            ensure_all_finite=self._finiteness(X, self.missing != "refuse"),
        )
        checks.sparse(type(self).__name__, "X", X)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    @staticmethod
    def _finiteness(X, fills):
        """What `validate_data` is told: dense rows may have missing values where these are filled in."""
        return "allow-nan" if fills and not hasattr(X, "tocsr") else True

    def _is_plain(self, X):
        """Whether X is what `validate_data` would give back untouched."""
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in _NUMBERS
            and X.shape[0] > 0
            and X.shape[1] == getattr(self, "n_features_in_", X.shape[1])
            and not hasattr(self, "feature_names_in_")
            and (_is_tame(X) or _is_finite(X))
        )

    def _weights(self, X, y, sample_weight, ranks):
        """The rows' weights, or None where all are 1."""
        if sample_weight is None:
            return None
        n, who = X.shape[0], type(self).__name__
        if n == 0:  # of one of several ranks
            ranks.total(0)
            return np.zeros(0)
        checks.unmasked(who, "sample_weight", sample_weight)
        if np.isscalar(sample_weight):
            sample_weight = np.full(n, checks.number(who, "sample_weight", sample_weight))
        weights = check_array(sample_weight, ensure_2d=False, dtype=_FLOATS, order="C", input_name="sample_weight")
        if weights.ndim != 1:
            raise ValueError(
                f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. Expected "
                f"either a scalar value or a 1D array of length {n}."
            )
        if weights.shape != (n,):
            raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n,)}!")
        if not ranks.total(weights.any()):
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return weights

    def _begin(self, units, dtype, random_state):
        """First weights, and the attributes that a training goes on from."""
        self.n_iter_ = 0
        self.t_ = 0
        self.n_layers_ = len(units)
        self.out_activation_ = self._out_activation()
        if self.coefs_init is None:
            pairs = start.drawn(self, units, dtype, random_state())
        else:
            pairs = start.given(self, units, dtype)
        self.coefs_ = [W for W, _ in pairs]
        self.intercepts_ = [b for _, b in pairs]
        self.norms_ = []
        if self.batch_norm:
            rows = np.array([[1], [0], [0], [1]], dtype)  # gamma, beta, mean, variance
            self.norms_ = [np.repeat(rows, width, axis=1) for width in units[1:-1]]
        if self.solver != "lbfgs":
            self.loss_curve_ = []
            self._no_improvement_count = 0
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_: list | None = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _adopt(self):
        """Take over weights that the user put into `coefs_` and `intercepts_`, as copies."""
        who = type(self).__name__
        self._require_layers()
        dtype = self._dtype_of_weights()
        self.coefs_, self.intercepts_ = (
            [np.array(checks.floats(who, name, array, dtype)) for array in getattr(self, name)]
            for name in ("coefs_", "intercepts_")
        )

    def _dtype_of_weights(self):
        small = all(getattr(W, "dtype", None) == checks.FLOAT32 for W in self.coefs_)
        return checks.FLOAT32 if small else checks.FLOAT64

    def _require_layers(self):
        """Refuse `coefs_`, `intercepts_` and `n_layers_` that do not make one network."""
        who, n = type(self).__name__, len(self.coefs_)
        if len(self.intercepts_) != n or getattr(self, "n_layers_", n + 1) != n + 1:
            raise ValueError(
                f"{who} expects as many intercepts_ as coefs_, and n_layers_ one above; got {n} "
                f"coefs_, {len(self.intercepts_)} intercepts_ and "
                f"n_layers_={getattr(self, 'n_layers_', None)}."
            )
        shapes = [np.shape(W) for W in self.coefs_]
        fits = all(len(shape) == 2 for shape in shapes)
        fits = fits and all(one[1] == other[0] for one, other in pairwise(shapes))
        if not fits or [np.shape(b) for b in self.intercepts_] != [shape[1:] for shape in shapes]:
            raise ValueError(
                f"{who} expects coefs_ and intercepts_ of shapes (n_in, n_out) and (n_out,), each "
                f"n_out the next n_in; got {shapes} and {[np.shape(b) for b in self.intercepts_]}."
            )

    def _require_shapes(self, wanted):
        """Refuse weights of another network than one of these layers."""
        shapes = [np.shape(W) for W in self.coefs_]
        if shapes != wanted:
            raise ValueError(
                f"{type(self).__name__} expects the layers {wanted} of the training it goes on "
                f"with; got coefs_ of {shapes}."
            )
        self._require_layers()

    def _as_lists(self):
        """The weights as the lists that a training writes into, where the user put in tuples."""
        for name in ("coefs_", "intercepts_", "norms_"):
            if not isinstance(getattr(self, name), list):
                setattr(self, name, list(getattr(self, name)))

    def _require_same(self, units):
        """Refuse to go on with weights of another network."""
        self.n_layers_ = len(units)
        self._require_shapes(list(pairwise(units)))
        if not hasattr(self, "out_activation_"):
            self.out_activation_ = self._out_activation()
        if self.out_activation_ != self._out_activation():
            raise ValueError(
                f"{type(self).__name__} expects a loss whose outputs go through "
                f"'{self.out_activation_}', as in the training it goes on with; got {self.loss!r}."
            )
        if not hasattr(self, "norms_"):
            self.norms_ = []
        if len(self.norms_) != bool(self.batch_norm) * (len(units) - 2):
            raise ValueError(
                f"{type(self).__name__} expects batch_norm as in the training it goes on with; got {self.batch_norm}."
            )
        for name, is_asked, attribute in (
            ("standardize", self.standardize, "x_scale_"),
            ("missing", self.missing != "refuse", "x_fill_"),
        ):
            if is_asked != hasattr(self, attribute):
                raise ValueError(
                    f"{type(self).__name__} expects {name} as in the training it goes on with; got "
                    f"{getattr(self, name)!r}."
                )
        self._as_lists()
        if self.solver == "lbfgs":
            return
        if not hasattr(self, "loss_curve_"):
            self.loss_curve_ = []
        for name in ("_no_improvement_count", "t_"):
            if not hasattr(self, name):
                setattr(self, name, 0)
        for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
            if not hasattr(self, name):
                setattr(self, name, None)
        if self.early_stopping and not self.validation_scores_:
            self.validation_scores_, self.best_validation_score_ = [], -np.inf
        if not self.early_stopping and self.best_loss_ is None:
            self.best_loss_ = np.inf

    def _solver(self, units, dtype, seed):
        return Solver(**self._network(units), asked=self._asked(), dtype=dtype, seed=seed)

    def _asked(self):
        """The parameters that the solver reads."""
        return dict(zip(READ, _READ_OF(self), strict=True))

    def _network(self, units):
        """What the parameters make of such units, as `Solver` takes it."""
        return {
            "units": units,
            "activations": parameters.activations(self),
            "dropout": parameters.dropout(self),
            "batch_norm": self.batch_norm,
            "loss": self._plan_loss(),
        }

    def _validation(self, rows, ranks, name, X, y, weights):
        """The validation data as the loops take them; `rows` are those of the training."""
        who = type(self).__name__
        try:
            X, y = self._validated(X, y, False, ranks)
            t = self._targets(y)
            if self._n_outputs_of(t) != self.n_outputs_:
                raise ValueError(f"y has {self._n_outputs_of(t)} outputs, not {self.n_outputs_}.")
            weights = MLP._weights(self, X, y, weights, ranks)
        except (TypeError, ValueError) as error:
            kind = ValueError if isinstance(error, ValueError) else TypeError
            told = str(error).rstrip(".!\n")
            given = "X_val, y_val and sample_weight_val" if name == "X_val" else name
            raise kind(f"{who} expects {given} of the training data's kind; got others: {told}.") from error
        n = scale.foreign(rows, X)
        if n:
            warnings.warn(
                f"The validation rows of {who} look as if they had missed a transformation of X, "
                f"because the mean of {checks.plural(n, 'feature')} lies many deviations off the "
                'training rows; in a Pipeline give it transform_input=["X_val"] and its fit '
                "X_val and y_val.",
                stacklevel=5,
            )
        if getattr(self, "validation_scores_", None) is None:
            self.validation_scores_, self.best_validation_score_ = [], -np.inf
        return batches.Data(X, t, weights, y)

    def _warn_of_overrides(self):
        """A warning for methods of scikit-learn's classes that somebody put a function into."""
        named = {name for kind in (self, *type(self).__mro__) for name in vars(kind)}
        unheard = sorted(THEIR_METHODS & named)
        if unheard:
            warnings.warn(
                f"{type(self).__name__} has {', '.join(unheard)}, which training and prediction "
                "here do not call as scikit-learn's do: see the parameters loss, init, coefs_init, "
                "callbacks and scoring.",
                stacklevel=5,
            )

    def _validation_score(self, data, ranks):
        """The score of the validation rows: of several ranks each predicts its share."""
        if self.scoring is None:
            share = data.x[ranks.share_of_all(len(data))] if ranks else data.x
            return float(self._own_score(data, batches.joined(ranks.gather(self._predictions(share)))))
        return ranks.tell(self._score_by_scorer(data) if ranks.rank == 0 else None)

    def _score_by_scorer(self, data):
        nameless = object.__new__(type(self))  # so that an array of X raises no warning
        nameless.__dict__.update(vars(self))
        nameless.__dict__.pop("feature_names_in_", None)
        return callables.score(self, nameless, data)

    def _copies(self):
        """Copies of the current weights."""
        arrays = (self.coefs_, self.intercepts_, self.norms_)
        return tuple([np.array(array) for array in some] for some in arrays)

    def _require_finite(self):
        arrays = (*self.coefs_, *self.intercepts_, *self.norms_)
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )

    # --- using ------------------------------------------------------------------------------

    def _outputs(self, X, check=True, n_layers=None):
        """The outputs before their activation, or a hidden layer's activations."""
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)
        if check and not self._is_plain(X):
            checks.unmasked(type(self).__name__, "X", X)
            finite = self._finiteness(X, "x_fill_" in self.__dict__)
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False, ensure_all_finite=finite)
            checks.sparse(type(self).__name__, "X", X)
        prepare = preparing.of(self)
        coefs, n = self.coefs_, len(self.coefs_)
        if len(self.intercepts_) != n or self.__dict__.get("n_layers_", n + 1) != n + 1:
            self._require_layers()
        n_in = coefs[0].shape[0] if hasattr(coefs[0], "shape") else len(coefs[0])
        n_in -= 0 if prepare is None else prepare.n_more
        if X.shape[1] != n_in:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} is expecting {n_in} features as input."
            )
        names = parameters.per_layer(self, "activation", n - 1)
        try:
            z = forward.outputs(X, coefs, self.intercepts_, getattr(self, "norms_", ()), names, n_layers, prepare)
        except ValueError:
            self._require_layers()
            raise
        except KeyError:
            parameters.activations(self, n - 1)  # with its error
            raise
        if check and not (_is_tame(X) or np.isfinite(z).all()):
            warnings.warn(
                f"{type(self).__name__} predicts by outputs that are not finite, because numbers "
                f"of X and of the weights overflow {z.dtype}.",
                RuntimeWarning,
                stacklevel=4,
            )
        return z

    def hidden(self, X: Features, layer: int = -1) -> Array:
        """The activations of a hidden layer.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
        layer : int
            0 is the first hidden layer, -1 the last.

        Returns
        -------
        numpy.ndarray
            (n_samples, width of the layer)

        Raises
        ------
        ValueError
            For a layer that is not there.
        """
        check_is_fitted(self)
        n = len(self.coefs_) - 1
        who = f"{type(self).__name__}.hidden"
        if n == 0:
            raise ValueError(f"{who} expects a network with hidden layers; got none.")
        try:
            place = range(1, n + 1)[checks.integer(who, "layer", layer, -n, n - 1)]
        except (TypeError, ValueError):
            raise ValueError(
                f"{who} expects layer as the number of a hidden layer, from {-n} to {n - 1}; got {checks.shown(layer)}."
            ) from None
        return self._outputs(X, n_layers=place)

    def to_sequential(self) -> Sequential:
        """A `Sequential` with copies of the weights, whose `predict` gives the raw outputs.

        It takes rows as this estimator does: what `standardize` learned is folded into its first layer, and
        into the last of a regressor, whose outputs are in the targets' units.  Missing values it does not
        fill in.

        Returns
        -------
        Sequential
            With the loss where the library has it (of its own scale), else with none.
        """
        check_is_fitted(self)
        return exchange.network(self)

    def _to_export(self):
        """A `Sequential` of rows made ready, and what makes them so, a `preparing.Preparation` or None."""
        check_is_fitted(self)
        return exchange.network(self, ready=True), preparing.of(self)

    def _network_loss(self):
        """The loss of `to_sequential`."""

    @classmethod
    def from_sklearn(cls, fitted: object) -> Self:
        """An estimator like a fitted one of scikit-learn's: its parameters and copies of weights.

        Parameters
        ----------
        fitted : sklearn.neural_network.MLPClassifier or MLPRegressor

        Returns
        -------
        MLPClassifier or MLPRegressor
            A training that goes on from it starts with a fresh optimiser.

        Raises
        ------
        TypeError
            For an estimator of another class.
        """
        return exchange.estimator(cls, fitted)

    def to_sklearn(self) -> MLPClassifier | MLPRegressor:
        """scikit-learn's own fitted estimator with the same predictions.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor
            With copies of the weights, into which batch normalisation is folded, and all public
            attributes.  `partial_fit` goes on with the optimiser's state, but for batch
            normalisation and solvers that scikit-learn has not.

        Raises
        ------
        ValueError
            For an activation that scikit-learn has not, or several of them.
        sklearn.exceptions.NotFittedError
            Before fit.

        Warns
        -----
        UserWarning
            Where parameters concern training alone and scikit-learn has not got them, as dropout:
            it names them.
        """
        return exchange.theirs(self)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing != "refuse"
        return tags


def _of_all(y, ranks):
    """Some of all ranks' y, in which all classes are: of labels each one, of rows of them two."""
    if not ranks.own:
        return y
    y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
    parts = ranks.gather(np.unique(y) if y.ndim == 1 else y[:2])
    return np.concatenate([part for part in parts if len(part)] or parts[:1])


def _listed(labels):
    """Labels as JSON has them, or None."""
    return None if labels is None else [str(label) for label in np.asarray(labels).ravel().tolist()]


def _is_tame(X):
    """Whether X is a small array of finite floats that are not huge, seen in one quick sum."""
    return (
        type(X) is np.ndarray
        and X.size < 10_000
        and X.dtype in (checks.FLOAT64, checks.FLOAT32)  # squares of others wrap or overflow
        and np.vdot(X, X) < 1e12
    )


def _is_finite(X):
    """Whether all numbers are, of some rows at a time: the answers take memory."""
    return all(np.isfinite(X[start : start + forward.ROWS]).all() for start in range(0, len(X), forward.ROWS))


def _copy_for(cls, function):
    """The same function as a class's own, by whose name errors call it."""
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    vars(copy).update(vars(function))
    copy.__kwdefaults__, copy.__doc__ = function.__kwdefaults__, function.__doc__
    copy.__annotations__ = function.__annotations__
    copy.__module__, copy.__qualname__ = cls.__module__, f"{cls.__qualname__}.{function.__name__}"
    return copy


class _RandomState:
    """scikit-learn's RandomState of a parameter, made when it is first called for."""

    def __init__(self, given: object) -> None:
        self.given = given
        self._before: Any = None  # the state of one that somebody else draws from, too
        self.made: np.random.RandomState | None = None

    def __call__(self) -> np.random.RandomState:
        if self.made is None:
            self.made = check_random_state(self.given)
            if not isinstance(self.given, Integral):  # someone else draws from it, too
                self._before = self.made.get_state()
        return self.made

    def share(self, ranks: Ranks) -> None:
        """Draw as the first rank does."""
        state = ranks.tell(self().get_state() if ranks.rank == 0 else None)
        if ranks.rank:
            self.made = made = np.random.RandomState()
            made.set_state(state)

    def restore(self) -> None:
        """Take back what was drawn."""
        if self._before is not None:
            self().set_state(self._before)
