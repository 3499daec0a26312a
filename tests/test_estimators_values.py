"""Odd parameters and odd data: what scikit-learn's class does with them, ours does too."""

import io
import warnings
from contextlib import redirect_stdout
from inspect import signature

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn import neural_network

from fastbp import estimators

#: Some errors and their words have changed since.
OLD = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9)
SETTINGS = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}
KINDS = ("MLPClassifier", "MLPRegressor")
N = 60
RNG = np.random.default_rng(0)
X = RNG.random((N, 5))
CLASSES = np.arange(N) % 3
NUMBERS = X @ np.arange(5.0)
LABELS = (RNG.random((N, 4)) > 0.5).astype(int)
NAMES = np.array(["a", "b", "c"])[CLASSES]
FORMATS = ("csr", "csc", "coo", "lil", "dok", "dia", "bsr")


def outcome(library, kind, use, settings):
    """What a use of an estimator gives, or its error, and its warnings."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            with redirect_stdout(io.StringIO()):
                result = use(getattr(library, kind)(**SETTINGS | settings))
        except Exception as error:
            result = error
    told = {(w.category, str(w.message).split("\n")[0]) for w in caught}
    return result, {(kind, words) for kind, words in told if kind is not RuntimeWarning}


def assert_same(kind, use, **settings):
    ours, theirs = (outcome(lib, kind, use, settings) for lib in (estimators, neural_network))
    (own, own_warnings), (other, other_warnings) = ours, theirs
    if isinstance(other, Exception) and OLD:
        return  # ours has the newest words, and takes what 1.7 fails on in its midst
    assert own_warnings == other_warnings
    if isinstance(other, Exception):
        assert (type(own).__name__, str(own)) == (type(other).__name__, str(other))
        return
    if isinstance(own, Exception):
        raise own
    for a, b in zip(own, other, strict=True):
        a, b = (one.toarray() if sparse.issparse(one) else np.asarray(one) for one in (a, b))
        assert a.dtype == b.dtype
        if b.dtype.kind == "f":
            close = {"rtol": 1e-5, "atol": 1e-8} if b.dtype == "f8" else {"rtol": 1e-3, "atol": 1e-4}
            np.testing.assert_allclose(a, b, **close)
        else:
            np.testing.assert_array_equal(a, b)


def training(X, y, *weights):
    """A use: fit, and all that can be asked for then."""

    def use(model):
        model.fit(X, y, *weights)
        return [
            # The width of scikit-learn's loss_ depends on SciPy's version; ours is Python's float.
            *model.coefs_,
            float(model.loss_),
            model.n_iter_,
            model.predict(X),
            model.score(X, y),
            *(getattr(model, m)(X) for m in ("predict_proba", "predict_log_proba") if hasattr(model, m)),
            getattr(model, "classes_", 0),
            getattr(model, "feature_names_in_", 0),
        ]

    return use


# --- parameters -----------------------------------------------------------------------------

VALUES = [
    None,
    True,
    np.True_,
    np.False_,
    0,
    -1,
    1,
    2,
    3.5,
    0.0,
    0.5,
    1.0,
    -0.5,
    np.nan,
    np.inf,
    "x",
    "",
    "auto",
    [],
    [1],
    (2, 3),
    (0,),
    ("a",),
    (1.5,),
    {},
    np.array(3),
    np.array([3, 4]),
    np.float32(0.5),
    np.float64(0.5),
    np.int64(3),
    1j,
    b"adam",
    range(1, 3),
    {3},
    "adam ",
    np.str_("adam"),
    np.str_("tanh"),
    1e300,
    (None,),
    [[3]],
]
#: What ours takes beyond: other words behind "among {".
MORE = {"activation", "solver", "loss"}


def sentence(error):
    """An error's class and words, without the names that may be chosen from."""
    if not isinstance(error, Exception):
        return None
    words = str(error).replace(" or a callable", "")
    head, _, rest = words.partition(" among {")
    return type(error).__name__, head, rest.partition("}")[2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", signature(neural_network.MLPRegressor).parameters)
def test_every_value_of_a_parameter_gets_scikit_learns_words(kind, name):
    if name not in signature(getattr(neural_network, kind)).parameters:
        return
    y = CLASSES if kind == "MLPClassifier" else NUMBERS
    more = {"early_stopping": True} if name == "validation_fraction" else {}
    for value in VALUES:
        if name == "activation" and not (isinstance(value, str) or np.isscalar(value)):
            continue  # one for each layer
        ours, theirs = (
            outcome(library, kind, lambda m: m.fit(X, y), {"max_iter": 2, **more, name: value})[0]
            for library in (estimators, neural_network)
        )
        numpys = isinstance(theirs, TypeError) and " parameter of " not in str(theirs)
        if name == "hidden_layer_sizes" and numpys:  # of whose words ours makes a sentence
            assert isinstance(ours, TypeError), value
            continue
        assert sentence(ours) == sentence(theirs), value


# --- data -----------------------------------------------------------------------------------

ODD_ROWS = {
    "list": X.tolist(),
    "float16": X.astype("f2"),
    "uint8": (255 * X).astype("u1"),
    "objects": X.astype(object),
    "text": X.astype(str),
    "bytes": X.astype("S"),
    "complex": X + 0j,
    "big endian": X.astype(">f8"),
    "3-D": X[:, :, None],
    "1-D": X[:, 0],
    "no features": X[:, :0],
    "one feature": X[:, :1],
    "fortran": np.asfortranarray(X),
    "strides": X[::-1, ::-1],
    "NaN": np.where(X > 0.9, np.nan, X),
    "inf": np.where(X > 0.9, np.inf, X),
    "None": None,
    "a word": "abc",
    "ragged": [[1, 2], [3]],
    "matrix": np.matrix(X),
    "tiny": 1e-310 * X,
    "float32": X.astype("f4"),
    "sparse NaN": sparse.csr_matrix(np.where(X > 0.9, np.nan, 0)),
    "sparse ints": sparse.csr_matrix((X > 0.5).astype(int)),
    "sparse bools": sparse.csr_array(X > 0.5),
    "nothing stored": sparse.csr_matrix((N, 5)),
    "stored twice": sparse.csr_matrix((np.ones(3), [1, 1, 0], [0] + N * [3]), (N, 5)),
}
ODD_ROWS |= {
    f"{name}_{form}": getattr(sparse, f"{name}_{form}")(np.where(X > 0.5, X, 0))
    for name in FORMATS
    for form in ("matrix", "array")
}


@pytest.mark.parametrize("name", ["alpha", "epsilon", "tol", "learning_rate_init"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_integer_beyond_all_floats_is_refused_before_anything(kind, name):
    model = getattr(estimators, kind)(**{name: 10**400})
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {kind} must be a float"):
        model.fit(np.eye(4), [0, 1, 0, 1])
    assert not hasattr(model, "coefs_") and not hasattr(model, "n_iter_")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", ODD_ROWS)
def test_rows_of_every_kind(kind, rows):
    y = CLASSES if kind == "MLPClassifier" else NUMBERS
    rows = ODD_ROWS[rows]
    assert_same(kind, training(rows, y))
    for target in [y] if kind == "MLPRegressor" else [y, y > 0, LABELS]:
        assert_same(kind, lambda m, t=target: [m.fit(X, t).predict(rows)])


@pytest.mark.parametrize("kind", KINDS)
def test_pandas_frames(kind):
    pandas = pytest.importorskip("pandas")
    y = CLASSES if kind == "MLPClassifier" else NUMBERS
    frame = pandas.DataFrame(X, columns=list("abcde"))
    with_na = frame.assign(n=pandas.array([None, *range(1, N)], dtype="Int64"))
    for odd in (
        frame,
        frame.astype("Float32"),
        frame.assign(s="x"),
        frame.assign(s=[str(k) for k in y]),
        (10 * frame).round().astype("Int64"),
        with_na,
        frame > 0.5,
        pandas.DataFrame(X),
        frame.assign(c=pandas.Categorical(CLASSES)),
        frame.set_axis(["a", 1, "b", 2, "c"], axis=1),
        frame.assign(t=pandas.Timestamp("2020")),
    ):
        assert_same(kind, training(odd, y))
    for odd in (
        pandas.Series(y, index=range(N, 2 * N)),
        pandas.DataFrame({"y": y}),
        pandas.Series(CLASSES, dtype="Int64"),
        with_na["n"],
        pandas.Series(CLASSES > 0, dtype="boolean"),
    ):
        assert_same(kind, training(frame, odd))
    if kind == "MLPClassifier":
        for odd in (
            pandas.Series(NAMES),
            pandas.Series(NAMES, dtype="category"),
            pandas.Series(NAMES, dtype="string"),
            pandas.DataFrame(LABELS),
        ):
            assert_same(kind, training(frame, odd))
    assert_same(kind, training(frame, y, pandas.Series(np.linspace(1, 2, N))))


@pytest.mark.parametrize("kind", KINDS)
def test_polars_frames(kind):
    polars = pytest.importorskip("polars")
    y = CLASSES if kind == "MLPClassifier" else NUMBERS
    frame = polars.DataFrame(X, schema=list("abcde"))
    for target in (y, polars.Series("y", y)):
        assert_same(kind, training(frame, target))


ODD_TARGETS = {
    "column": CLASSES.reshape(-1, 1),
    "list": CLASSES.tolist(),
    "objects": CLASSES.astype(object),
    "float32": CLASSES.astype("f4"),
    "float16": CLASSES.astype("f2"),
    "bools": CLASSES > 0,
    "constant": np.ones(N, int),
    "NaN": np.where(X[:, 0] > 0.9, np.nan, CLASSES),
    "None": None,
    "short": CLASSES[1:],
    "3-D": np.zeros((N, 2, 2)),
    "two columns": np.column_stack([CLASSES, CLASSES]),
    "huge": CLASSES * 2**62,
    "negative": CLASSES - 5,
    "complex": 1j * CLASSES,
    "rows apart": [[1], [1, 2]] * (N // 2),
}
ODD_CLASSES = {
    "names": NAMES,
    "objects": NAMES.astype(object),
    "names, list": NAMES.tolist(),
    "mixed": np.array([1, "a"] * (N // 2), object),
    "numbers": NUMBERS,
    "all apart": np.arange(N),
    "labels": LABELS,
    "labels, bool": LABELS == 1,
    "labels, list": LABELS.tolist(),
    "labels, float": 1.0 * LABELS,
    "labels, twos": 2 * LABELS,
    "labels, one": LABELS[:, :1],
    "labels, constant": np.ones((N, 3), int),
    "labels, objects": LABELS.astype(object),
    "one of a class": np.r_[7, CLASSES[1:]],
    "bytes": np.array([b"a", b"b"] * (N // 2)),
    "sequences": [["a"], ["b", "c"]] * (N // 2),
}
ODD_CLASSES |= {
    f"labels, {name}_{form}": getattr(sparse, f"{name}_{form}")(LABELS)
    for name in ("csr", "csc", "coo", "lil")
    for form in ("matrix", "array")
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("y", ODD_TARGETS | ODD_CLASSES)
def test_classes_of_every_kind(y, early_stopping):
    y = (ODD_TARGETS | ODD_CLASSES)[y]
    assert_same("MLPClassifier", training(X, y), early_stopping=early_stopping)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("y", ODD_TARGETS)
def test_numbers_of_every_kind(y, early_stopping):
    assert_same("MLPRegressor", training(X, ODD_TARGETS[y]), early_stopping=early_stopping)


ODD_WEIGHTS = {
    "some 0": np.arange(N) % 2,
    "all 0": np.zeros(N),
    "list": [1] * N,
    "a number": 2.0,
    "NaN": np.full(N, np.nan),
    "inf": np.full(N, np.inf),
    "2-D": np.ones((N, 1)),
    "short": [1, 2],
    "text": ["a"] * N,
    "bools": np.arange(N) % 2 == 0,
    "sparse": sparse.csr_matrix(np.ones(N)),
    "objects": np.ones(N, object),
    "tiny": np.full(N, 1e-308),
    "negative": -np.ones(N),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("weights", ODD_WEIGHTS)
def test_weights_of_every_kind(kind, weights, settings):
    y = CLASSES if kind == "MLPClassifier" else NUMBERS
    assert_same(kind, training(X, y, ODD_WEIGHTS[weights]), **settings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weight", [1e-60, 1e60])
def test_weights_beyond_float32_are_refused_beside_rows_of_it(kind, weight):
    y = CLASSES if kind == "MLPClassifier" else NUMBERS
    told = {"classes": np.unique(y)} if kind == "MLPClassifier" else {}
    model = getattr(estimators, kind)().partial_fit(X, y, np.full(N, weight), **told)
    with pytest.raises(ValueError, match=f"{kind} expects weights .* in float32; got values from"):
        model.fit(X.astype("float32"), y, np.full(N, weight))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 12])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"early_stopping": True},
        {"solver": "lbfgs"},
        {"batch_size": 1},
        {"batch_size": 1000},
        {"batch_size": 11},
        {"early_stopping": True, "validation_fraction": 0.99},
        {"early_stopping": True, "validation_fraction": 0.001},
    ],
    ids=str,
)
def test_few_rows(kind, n, settings):
    y = CLASSES if kind == "MLPClassifier" else NUMBERS
    assert_same(kind, training(X[:n], y[:n]), **settings)


PARTIAL = {
    "other features": lambda m: [m.fit(X, CLASSES).partial_fit(X[:, :3], CLASSES).loss_],
    "no rows": lambda m: [m.fit(X, CLASSES).partial_fit(X[:0], CLASSES[:0]).loss_],
    "float32 after": lambda m: m.fit(X, CLASSES).partial_fit(X.astype("f4"), CLASSES).coefs_,
    "float32 before": lambda m: [m.fit(X.astype("f4"), CLASSES).partial_fit(X, CLASSES).loss_],
    "twice the labels": lambda m: [m.fit(X, LABELS).partial_fit(X, LABELS).loss_],
    "other features, warm": lambda m: m.set_params(warm_start=True).fit(X, CLASSES).fit(X[:, :3], CLASSES).coefs_,
    "other classes, warm": lambda m: m.set_params(warm_start=True).fit(X, CLASSES).fit(X, CLASSES > 0).coefs_,
    "anew": lambda m: m.fit(X, CLASSES).fit(X[:, :3], CLASSES > 0).coefs_,
}


@pytest.mark.parametrize("use", PARTIAL)
def test_fits_after_fits_of_other_data(use):
    assert_same("MLPClassifier", PARTIAL[use])
    if "labels" not in use and "classes" not in use:
        assert_same("MLPRegressor", PARTIAL[use])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("scale", [1e10, 1e200, 1e300])
def test_huge_rows(kind, solver, scale):
    y = CLASSES if kind == "MLPClassifier" else NUMBERS
    assert_same(kind, lambda m: [m.fit(scale * X, y).n_iter_], solver=solver)
