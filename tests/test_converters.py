"""Estimators in skl2onnx, alone and in pipelines: the numbers of predict, and one sentence for what cannot go."""

import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")
skl2onnx = pytest.importorskip("skl2onnx")
ort = pytest.importorskip("onnxruntime")

from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from fastbp import export  # noqa: E402
from fastbp.estimators import MLPClassifier, MLPRegressor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)) * [1, 100, 1, 0.5] + [0, 1e4, 0, 0]
SETTINGS = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}
OPTIONS = {
    "plain": {},
    "standardize": {"standardize": True},
    "missing": {"standardize": True, "missing": "mean", "add_indicator": True},
    "gelu": {"activation": "gelu", "batch_norm": True, "dropout": 0.1, "standardize": True},
}
CLASSES = {
    "texts": np.array(["a", "b\n", "ö"], object)[RNG.integers(0, 3, 60)],
    "two": np.array(["no", "yes"])[RNG.integers(0, 2, 60)],
    "bools": RNG.integers(0, 2, 60) == 1,
    "numbers": RNG.integers(-2, 3, 60),
    "whole floats": RNG.integers(3, 5, 60) * 1.0,
    "labels": RNG.integers(0, 2, (60, 3)),
}
TYPES = {"float32": FloatTensorType, "float64": DoubleTensorType, "int64": Int64TensorType}


@pytest.fixture(autouse=True, scope="module")
def registered():
    export.register_skl2onnx()


def run(model, x, estimator=None, n=None, **options):
    """The outputs of a converted model."""
    given = [("x", TYPES[x.dtype.name]([None, x.shape[1]]))]
    if estimator is not None:
        options["options"] = {id(estimator): {"zipmap": False}}
    written = skl2onnx.convert_sklearn(model, initial_types=given, **options)
    return ort.InferenceSession(written.SerializeToString()).run(None, {"x": x[:n]})


def rows(dtype, options):
    x = X.astype(dtype)
    if "missing" in options:
        x[::4, 1] = x[::5, 3] = np.nan
    return x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("classes", CLASSES)
def test_a_classifier(classes, options, dtype):
    x, y = rows(dtype, OPTIONS[options]), CLASSES[classes]
    model = MLPClassifier(**SETTINGS, **OPTIONS[options]).fit(x, y)
    labels, probabilities = run(model, x, model)
    expected = model.predict(x)
    assert labels.tolist() == expected.tolist() and labels.shape == expected.shape
    assert probabilities.dtype == dtype
    np.testing.assert_allclose(probabilities, model.predict_proba(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize(
    "loss",
    [
        {"loss": "squared_error"},
        {"loss": "poisson"},
        {"loss": "gaussian"},
        {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
    ],
    ids=lambda loss: loss["loss"],
)
def test_a_regressor(loss, n_targets, dtype):
    x = X.astype(dtype)
    y = np.abs(x[:, 0] if n_targets == 1 else x[:, :2])
    for options in ({"standardize": True}, {}):
        if not options and loss["loss"] in ("poisson", "gaussian"):
            continue  # whose outputs of such rows overflow
        model = MLPRegressor(**SETTINGS, **loss, **options).fit(x, y)
        expected = model.predict(x)
        (got,) = run(model, x)
        assert got.shape == (expected.shape if expected.ndim > 1 else (len(x), 1))
        scale = np.abs(expected).max()
        np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5 * scale)


def test_in_pipelines_and_searches():
    x, y = X.astype("f4"), CLASSES["texts"]
    model = MLPClassifier(**SETTINGS)
    pipeline = make_pipeline(StandardScaler(), model).fit(x, y)
    search = GridSearchCV(make_pipeline(StandardScaler(), MLPClassifier(**SETTINGS)), {}, cv=2).fit(x, y)
    for whole, own in ((pipeline, model), (search, search.best_estimator_[-1])):
        for n in (0, 1, 7):
            labels, probabilities = run(whole, x, own, n)
            assert labels.shape == (n,) and probabilities.shape == (n, 3)
            if n:
                assert labels.tolist() == whole.predict(x[:n]).tolist()
                np.testing.assert_allclose(probabilities, whole.predict_proba(x[:n]), rtol=1e-4, atol=1e-5)
    labels, zipped = run(pipeline, x)  # as skl2onnx does by default
    np.testing.assert_allclose([row["ö"] for row in zipped], pipeline.predict_proba(x)[:, 2], rtol=1e-4, atol=1e-5)
    written = skl2onnx.convert_sklearn(
        pipeline, initial_types=[("x", FloatTensorType([None, 4]))], options={id(model): {"nocl": True}}
    )
    places = ort.InferenceSession(written.SerializeToString()).run(None, {"x": x})[0]
    assert (model.classes_[places] == pipeline.predict(x)).all()


@pytest.mark.parametrize("opset", [12, 13, 15, 20, 22])
def test_the_opset_that_is_asked_for(opset):
    x = X.astype("f4")
    y = np.sort(x[:, :2], axis=1)
    plain = MLPRegressor("quantile", quantile=[0.2, 0.8], standardize=True, **SETTINGS).fit(x, y)
    gelu = MLPRegressor(activation="gelu", **SETTINGS).fit(x, y)
    for model, least in ((plain, 13), (gelu, 20)):
        if opset >= least:
            np.testing.assert_allclose(run(model, x, target_opset=opset)[0], model.predict(x), rtol=1e-3, atol=1)
        else:
            with pytest.raises(ValueError, match=r"MLPRegressor expects target_opset of at least (13|20), for \w+; "):
                run(model, x, target_opset=opset)


def test_what_cannot_go_is_refused():
    x = X.astype("f4")
    new = MLPClassifier()
    with pytest.raises(NotFittedError):
        run(new, x, new)
    with pytest.raises(NotFittedError):
        run(MLPRegressor(), x)
    model = MLPRegressor(**SETTINGS).fit(x, x[:, 0])
    with pytest.raises(RuntimeError, match="type"):
        skl2onnx.convert_sklearn(model, initial_types=[("x", StringTensorType([None, 4]))])
    model.coefs_[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="skl2onnx of MLPRegressor expects finite parameters"):
        run(model, x)


def test_names_of_two_estimators_in_one_graph_do_not_meet():
    from sklearn.ensemble import VotingRegressor

    x = X.astype("f4")
    models = [
        (f"m{k}", MLPRegressor(hidden_layer_sizes=(k,), standardize=True, max_iter=3, random_state=k)) for k in (3, 4)
    ]
    both = VotingRegressor(models).fit(x, x[:, 0])
    np.testing.assert_allclose(run(both, x)[0][:, 0], both.predict(x), rtol=1e-4, atol=1e-4)


def test_without_skl2onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"register_skl2onnx needs skl2onnx, which pip install skl2onnx brings\.$"):
        export.register_skl2onnx()


def test_the_import_of_export_leaves_skl2onnx_alone(run_python):
    done = run_python("-c", "import sys, fastbp.export; print([m for m in ('skl2onnx', 'onnx') if m in sys.modules])")
    assert done.stdout == "[]\n", done.stderr
