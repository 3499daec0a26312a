"""Networks as ONNX and as C: the same numbers, and one sentence for what cannot go."""

import ctypes
import itertools
import json
import math
import shutil
import subprocess

import numpy as np
import pytest

import fastbp
from fastbp import (
    Affine,
    BatchNorm1d,
    BatchNormalization,
    Embeddings,
    Flatten,
    Linear,
    Relu,
    Sequential,
    Sigmoid,
    book,
    export,
    nn,
)
from fastbp.export import Feature, Preprocessing, activations, c_file, onnx_file, steps, to_c, to_onnx
from fastbp.operations.activations import ACTIVATIONS, value

CLOSE = 1e-5
#: Numbers of the rows that have some.
NUMBERS = {
    "leaky_relu": (0.1,),
    "softplus_of": (1.5, 2.0),
    "elu": (0.7, 1.0),
    "celu": (-0.7,),
    "hardtanh": (-0.5, math.inf),
    "threshold": (0.3, -2.0),
}
#: More numbers, by rows.
OTHERS = [("softplus_of", (1.0, 20.0)), ("elu", (1.7, 1.05)), ("celu", (1.3,)), ("hardtanh", (-1.0, 2.0))]
TYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def run_onnx(model, x):
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"input": x})[0]


class Compiled:
    """Functions of C, all in one file, called on rows."""

    def __init__(self, folder, texts):
        cc = shutil.which("cc")
        if cc is None:
            pytest.skip("no C compiler")
        source, library = folder / "models.c", folder / "models.so"
        source.write_text("\n".join(texts))
        flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]
        done = subprocess.run([cc, *flags, source, "-o", library, "-lm"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        self.library = ctypes.CDLL(str(library))

    def __call__(self, name, x, n_out, real="float32"):
        x, out = np.ascontiguousarray(x, real), np.full((len(x), n_out), np.nan, real)
        function = getattr(self.library, f"{name}_predict")
        function.argtypes, function.restype = [ctypes.c_void_p] * 2, None
        for row, result in zip(x, out, strict=True):
            function(row.ctypes.data, result.ctypes.data)
        return out


def require_close(got, expected):
    """Within 1e-5 of the largest number."""
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=CLOSE, atol=CLOSE * np.nanmax(np.abs(expected), initial=1e-30))


# --- each activation ------------------------------------------------------------------------


def program_of(name, numbers, dtype, width=241):
    step = steps.Activation(name, numbers)
    return steps.Program([(width,)] * 2, [step], np.dtype(dtype), None, None)


def test_every_activation_has_a_row():
    assert activations.ROWS.keys() == ACTIVATIONS.keys()


@TYPES
@pytest.mark.parametrize(
    "name, numbers",
    [*((name, NUMBERS.get(name, ())) for name in ACTIVATIONS), *OTHERS],
    ids=[*ACTIVATIONS, *(f"{name}-other" for name, _ in OTHERS)],
)
def test_onnx_of_an_activation(name, numbers, dtype):
    onnx = pytest.importorskip("onnx")
    x = np.linspace(-30, 30, 241).reshape(1, -1).astype(dtype)
    model = onnx_file._model(onnx, program_of(name, numbers, dtype))
    onnx.checker.check_model(model, full_check=True)
    expected = value(name, x, numbers)
    require_close(run_onnx(model, x), expected)
    if dtype == "float64" and name not in ("gelu", "erf"):
        np.testing.assert_allclose(run_onnx(model, x), expected, rtol=1e-12, atol=1e-14)


def test_c_of_all_activations(tmp_path):
    cases = [*((name, NUMBERS.get(name, ())) for name in ACTIVATIONS), *OTHERS]
    x = np.linspace(-30, 30, 241).reshape(1, -1).astype("float32")
    texts = [
        c_file._Text("to_c", program_of(*case, "float32"), f"m{place}").written() for place, case in enumerate(cases)
    ]
    compiled = Compiled(tmp_path, texts)
    for place, (name, numbers) in enumerate(cases):
        require_close(compiled(f"m{place}", x, x.size), value(name, x, numbers))
        odd = np.full_like(x, np.nan)
        assert np.isnan(compiled(f"m{place}", odd, x.size)).all(), name
        odd[:] = [[-np.inf, -1e30, 1e30, np.inf] + [0.0] * (x.size - 4)]
        if name != "hardswish":  # whose limit it has, where the kernel multiplies inf by 0
            np.testing.assert_allclose(compiled(f"m{place}", odd, x.size), value(name, odd, numbers), rtol=CLOSE)


# --- each layer and architecture ------------------------------------------------------------


def _normal(layer, rng):
    """A batch normalisation that has seen some rows."""
    for array in (layer.gamma, layer.beta, layer.running_mean, layer.running_var):
        array = getattr(array, "array", array)
        array[...] = rng.uniform(0.5, 2, array.shape)
    return layer


def networks():
    """(name, network, shape of a sample) of every layer and way to put them together."""
    rng = np.random.default_rng(0)
    one = lambda *layers: Sequential(Linear(6, 5, seed=0), *layers, Linear(5, 3, seed=1))  # noqa: E731
    yield "book", one(Relu()), (6,)
    yield "deep", one(*[layer for k in range(6) for layer in (Linear(5, 5, seed=k), nn.Tanh())]), (6,)
    yield "alone", Sequential(Linear(6, 1, seed=0)), (6,)
    yield "no layers", Sequential(), (6,)
    yield "no affine", Sequential(Relu(), nn.Identity()), (6,)
    yield "batch norm", one(_normal(BatchNorm1d(5), rng), Relu()), (6,)
    yield "book's batch norm", one(_normal(BatchNormalization(np.ones(5, "f"), np.zeros(5, "f")), rng)), (6,)
    yield "first a batch norm", Sequential(_normal(BatchNorm1d(6), rng), Linear(6, 2, seed=0)), (6,)
    yield "dropout", one(fastbp.Dropout(0.5), nn.Dropout(0.3)), (6,)
    yield "no bias", Sequential(nn.Linear(6, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False)), (6,)
    yield "nested", Sequential(one(Relu()), Sequential(Sequential(nn.GELU("tanh")))), (6,)
    yield "prelu", one(nn.PReLU(5), nn.PReLU()), (6,)
    yield "layer norm", one(nn.LayerNorm(5), nn.LayerNorm(5, elementwise_affine=False)), (6,)
    yield "glu", Sequential(Linear(6, 8, seed=0), nn.GLU(), Linear(4, 3, seed=1)), (6,)
    yield "softmax", one(nn.Softmax(1), nn.Softmin(dim=-1), nn.LogSoftmax(1)), (6,)
    yield "images", Sequential(Flatten(), Linear(6, 3, seed=0)), (1, 2, 3)
    yield "images without Flatten", Sequential(Linear(6, 3, seed=0)), (2, 3)
    yield "sequences", Sequential(nn.Linear(6, 5), nn.ReLU(), nn.LayerNorm((4, 5)), nn.Linear(5, 2)), (4, 6)
    yield "normed sequences", Sequential(nn.Linear(6, 5), _normal(nn.BatchNorm1d(4), rng), nn.PReLU(4)), (4, 6)
    yield "axes", Sequential(nn.Softmax(1), nn.GLU(1), nn.LogSoftmax(2), nn.Flatten(1, 2)), (4, 3, 2)
    yield "unflatten", Sequential(nn.Linear(6, 6), nn.Unflatten(1, (2, -1)), nn.Linear(3, 2), nn.Flatten()), (6,)
    yield "embeddings", Sequential(Embeddings([3, 1, 2], [2, 1, 5], seed=0), Linear(8, 3, seed=1)), (3,)
    yield "embeddings of mixed columns", Sequential(Embeddings([3, 5], 4, numeric=4, seed=0), Relu()), (6,)
    yield "no bias of sequences", Sequential(nn.Linear(6, 5, bias=False)), (4, 6)


NETWORKS = {name: (net, shape) for name, net, shape in networks()}


def outputs(net, x):
    """The network's outputs in evaluation mode: of Tensors, or of arrays where no Tensor goes."""
    with fastbp.no_grad():
        try:
            return net.eval()(fastbp.tensor(x)).numpy()
        except RuntimeError:  # the book's join of axes
            return net.predict(x)


def rows_of(shape, dtype="float32", n=7, net=None):
    """Rows at random, with categories where the network takes some."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, *shape)).astype(dtype)
    first = next(iter(net.layers), None) if isinstance(net, Sequential) else None
    if isinstance(first, Embeddings):
        x[:, : len(first.sizes)] = rng.integers(0, first.sizes, (n, len(first.sizes)))
    return x


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_of_an_architecture(name):
    pytest.importorskip("onnx")
    net, shape = NETWORKS[name]
    for n in (7, 1):  # the axis of rows is free
        x = rows_of(shape, n=n, net=net)
        require_close(run_onnx(to_onnx(net, shape=shape), x), outputs(net, x))
    wide = Sequential(dict(net._modules)) if name == "no layers" else net.double()
    try:
        x = rows_of(shape, "float64", net=net)
        if name not in ("no layers", "no affine", "axes"):  # whose dtype no parameter tells
            require_close(run_onnx(to_onnx(wide, shape=shape), x), outputs(wide, x))
    finally:
        net.float()


def test_c_of_all_architectures(tmp_path):
    texts = [to_c(net, name=f"m{k}", shape=shape) for k, (net, shape) in enumerate(NETWORKS.values())]
    compiled = Compiled(tmp_path, texts)
    for k, (net, shape) in enumerate(NETWORKS.values()):
        x = rows_of(shape, net=net)
        expected = outputs(net, x)
        got = compiled(f"m{k}", x.reshape(len(x), -1), math.prod(expected.shape[1:]))
        require_close(got.reshape(expected.shape), expected)


def random_network(seed):
    """Layers at random, and the width of a row."""
    rng = np.random.default_rng(seed)
    kinds = [
        nn.ReLU, nn.Sigmoid, nn.Tanh, nn.Identity, nn.GELU, nn.SELU, nn.SiLU, nn.Mish, nn.ReLU6, nn.Hardsigmoid,
        nn.Hardswish, nn.LogSigmoid, nn.Softsign, nn.Tanhshrink, nn.PReLU, fastbp.Gelu, fastbp.Softplus,
        lambda: fastbp.LeakyRelu(rng.uniform()), lambda: nn.ELU(rng.uniform()), lambda: nn.CELU(rng.uniform(0.1, 2)),
        lambda: nn.Hardtanh(-rng.uniform(), rng.uniform()), lambda: nn.Threshold(rng.normal(), rng.normal()),
        lambda: nn.Softplus(rng.uniform(0.5, 3), rng.uniform(1, 20)), lambda: nn.GELU("tanh"),
    ]  # fmt: skip
    dtype = ["float32", "float64"][seed % 2]
    widths = rng.integers(1, 14, rng.integers(2, 5)).tolist()
    layers = []
    if seed % 5 == 0:
        n = rng.integers(1, 4)
        layers.append(Embeddings(rng.integers(1, 9, n), rng.integers(1, 7, n), int(rng.integers(3)), seed=rng))
        widths[0] = layers[0].n_out
    n_in = layers[0].n_in if layers else widths[0]
    for before, behind in itertools.pairwise(widths):
        layers.append(nn.Linear(before, behind, bias=bool(rng.integers(4))))
        between = [
            lambda n: _normal(nn.BatchNorm1d(n), rng), nn.LayerNorm, lambda n: nn.Dropout(), lambda n: nn.PReLU(n)
        ]  # fmt: skip
        if rng.integers(2) == 0:
            layers.append(between[rng.integers(4)](behind))
        layers.append(kinds[rng.integers(len(kinds))]())
    middle = len(layers) // 2
    net = Sequential(Sequential(*layers[:middle]), *layers[middle:])
    return (net.double() if dtype == "float64" else net), n_in, dtype


@pytest.fixture(scope="module")
def random_networks():
    fastbp.manual_seed(0)
    return [random_network(seed) for seed in range(200)]


def test_onnx_of_200_random_networks(random_networks):
    pytest.importorskip("onnx")
    for net, width, dtype in random_networks:
        x = rows_of((width,), dtype, net=net)
        require_close(run_onnx(to_onnx(net), x), outputs(net, x))


def test_c_of_200_random_networks(random_networks, tmp_path):
    compiled = Compiled(tmp_path, [to_c(net, name=f"m{k}") for k, (net, *_) in enumerate(random_networks)])
    for k, (net, width, dtype) in enumerate(random_networks):
        x = rows_of((width,), dtype, net=net)
        expected = outputs(net, x)
        require_close(compiled(f"m{k}", x, expected.shape[1]), expected.astype("float32"))


# --- what stands behind the outputs ---------------------------------------------------------


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "sigmoid_cross_entropy", "focal"])
def test_probabilities(loss, tmp_path):
    pytest.importorskip("onnx")
    net = Sequential(Linear(6, 5, seed=0), Relu(), Linear(5, 3, seed=1), loss=loss)
    x, names = rows_of((6,)), ["red", 'gr"een\\', "bläu*/?"]
    model = to_onnx(net, probabilities=True, classes=names)
    require_close(run_onnx(model, x), net.predict_proba(x))
    assert {p.key: json.loads(p.value) for p in model.metadata_props} == {"classes": names}
    assert (model.producer_name, model.producer_version) == ("fastbp", fastbp.__version__)
    compiled = Compiled(tmp_path, [to_c(net, probabilities=True, classes=names)])
    require_close(compiled("model", x, 3), net.predict_proba(x))
    kept = (ctypes.c_char_p * 3).in_dll(compiled.library, "model_classes")
    assert [name.decode() for name in kept] == names


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_classifier(n_classes, tmp_path):
    pytest.importorskip("onnx")
    estimators = pytest.importorskip("fastbp.estimators")
    x = rows_of((6,), "float32", 60)
    y = np.array(["a", "b", "c"])[np.arange(60) % n_classes]
    model = estimators.MLPClassifier((5,), batch_norm=True, dropout=0.1, random_state=0, max_iter=3, tol=10).fit(x, y)
    written = to_onnx(model, probabilities=True)
    require_close(run_onnx(written, x), model.predict_proba(x))
    assert json.loads(written.metadata_props[0].value) == ["a", "b", "c"][:n_classes]
    compiled = Compiled(tmp_path, [to_c(model, probabilities=True), to_c(model, name="raw")])
    require_close(compiled("model", x, n_classes), model.predict_proba(x))
    raw = model.to_sequential().predict(x)
    require_close(compiled("raw", x, raw.shape[1]), raw)
    require_close(run_onnx(to_onnx(model), x), raw)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_a_regressor(loss, tmp_path):
    pytest.importorskip("onnx")
    estimators = pytest.importorskip("fastbp.estimators")
    x = rows_of((6,), "float32", 60)
    model = estimators.MLPRegressor(loss, (5,), random_state=0, max_iter=3, tol=10).fit(x, x[:, :2] ** 2)
    require_close(run_onnx(to_onnx(model), x), model.predict(x))
    require_close(Compiled(tmp_path, [to_c(model)])("model", x, 2), model.predict(x))


OPTIONS = [
    {},
    {"standardize": True},
    {"missing": "median"},
    {"standardize": True, "missing": "mean", "add_indicator": True},
]
LOSSES = [{"loss": "squared_error"}, {"loss": "gaussian"}, {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}]


@pytest.fixture(scope="module")
def prepared():
    """Estimators that prepare their rows: (estimator, rows), of float32 and float64."""
    estimators = pytest.importorskip("fastbp.estimators")
    found = []
    for dtype, options in itertools.product(("float32", "float64"), OPTIONS):
        x = rows_of((4,), dtype, 60)
        if "standardize" in options:  # a column of which a folded weight of float32 would leave nothing
            x = x * np.array([1, 100, 1e-3, 0.5], dtype) + np.array([0, 1e4, 0, 1e6], dtype)
        y = np.sort(x[:, :2] - x[:, 1:3], axis=0)
        if "missing" in options:
            x[::4, 1] = x[::5, 3] = x[3] = np.nan
        settings = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 5, "tol": 10, **options}
        for loss, n in itertools.product(LOSSES, (1, 2)):
            found.append((estimators.MLPRegressor(**settings, **loss).fit(x, y[:, 0] if n == 1 else y), x))
        labels = np.array(["a", "b", "c"])[np.arange(60) % 3]
        found.append((estimators.MLPClassifier(**settings).fit(x, labels), x))
    return found


def predicted(model, x):
    return model.predict_proba(x) if hasattr(model, "classes_") else model.predict(x)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_estimators_prepare_their_rows_and_finish_their_outputs(prepared, tmp_path):
    """Rows of the estimator's dtype, standardised and filled in in float64; means and sorted quantiles."""
    pytest.importorskip("onnx")
    texts = [to_c(m, name=f"m{k}", probabilities=hasattr(m, "classes_")) for k, (m, _) in enumerate(prepared)]
    compiled = Compiled(tmp_path, texts)
    for k, (model, x) in enumerate(prepared):
        expected = predicted(model, x)
        assert np.isfinite(expected).all()
        written = to_onnx(model, probabilities=hasattr(model, "classes_"))
        require_close(run_onnx(written, x).reshape(expected.shape), expected)
        real = "double" if "const double *x" in texts[k] else "float"
        prepares = model.standardize or model.missing != "refuse"
        assert real == ("double" if prepares and x.dtype == np.float64 else "float")
        got = compiled(f"m{k}", x, expected.size // len(x), "float64" if real == "double" else "float32")
        require_close(got.reshape(expected.shape), expected.astype(got.dtype))
    model = prepared[-1][0]
    with pytest.raises(ValueError, match="expects preprocessing=None beside an estimator that prepares"):
        to_c(model, preprocessing=Preprocessing([Feature(k) for k in range(4)]))


# --- columns --------------------------------------------------------------------------------

COLUMNS = {
    "scaled": Preprocessing([Feature(0, 2.5, 1.5), Feature(1, -1.0, 0.3), Feature(2)], ["a", "b */", "ö"]),
    "missing": Preprocessing(
        [Feature(1, 0.1, 2.0, missing=0.4), Feature(1, 0.2, 0.5, indicator=True), Feature(0)], shift=1e5, scale=3e4
    ),
    "codes": Preprocessing(
        [Feature(3, equals=1.0), Feature(3, equals=2.0), Feature(0, missing=0.0)], list("abcd"), (1.0, 2.0), (0.1, 10)
    ),
    "categories": Preprocessing(
        [
            Feature(3, shift=-1.0, missing=-1.0, categories=3),
            Feature(0, missing=0.0),
            Feature(2, missing=9, categories=1),
        ]
    ),
    # Of which float32 would leave nothing: seconds since 1970.
    "times": Preprocessing([Feature(0, 1.7e9, 10.0), Feature(1), Feature(2)]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_prepared_and_the_target_restored(name, tmp_path):
    pytest.importorskip("onnx")
    columns = COLUMNS[name]
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, columns.n_columns))
    rows[:, 0] += 1.7e9 * (name == "times")
    if name in ("codes", "categories"):
        rows[:, 2:4] = rng.integers(-2, 5, (40, 2)) + rng.integers(0, 2, (40, 1)) / 2
        rows[::7, 2] = rows[3::7, 3] = np.nan
        rows[5, 3], rows[6, 3] = np.inf, -np.inf
    if name in ("missing", "codes", "categories"):
        rows[::3, 0] = rows[1::4, 1] = np.nan
    net = Sequential(Linear(3, 8, seed=0), nn.Tanh(), Linear(8, 2, seed=1))
    kept = rows.copy()
    expected = columns.restore(net.predict(columns.apply(rows)))
    assert np.array_equal(rows, kept, equal_nan=True)
    assert np.isnan(expected).any() == (name == "missing")  # its column 0 stays missing
    model = to_onnx(net, preprocessing=columns)
    require_close(run_onnx(model, rows), expected.astype("float32"))
    got = Compiled(tmp_path, [to_c(net, preprocessing=columns)])("model", rows, 2, "float64")
    require_close(got, expected)


def random_table(seed):
    """A network, its columns, and rows of them."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 8))
    kinds = [{}, {"missing": rng.normal()}, {"indicator": True}, {"equals": float(rng.integers(3))}]
    kinds.append({"categories": 2, "missing": 5.0})
    features = [
        Feature(int(rng.integers(n)), rng.normal(), rng.uniform(0.1, 3), **kinds[rng.integers(5)])
        for _ in range(rng.integers(1, 12))
    ]
    columns = Preprocessing(features, [f"c{k}" for k in range(n)], rng.normal(size=2) * 1e3, rng.uniform(1, 1e3, 2))
    rows = np.where(rng.random((30, n)) < 0.5, rng.integers(0, 3, (30, n)), rng.normal(size=(30, n)))
    filled = {feature.column for feature in features if feature.missing is None and not feature.indicator}
    rows[(rng.random(rows.shape) < 0.2) & ~np.isin(np.arange(n), list(filled))] = np.nan
    return Sequential(Linear(len(features), 7, seed=rng), nn.GELU(), Linear(7, 2, seed=rng)), columns, rows


def test_20_random_tables(tmp_path):
    pytest.importorskip("onnx")
    tables = [random_table(seed) for seed in range(20)]
    assert sum(np.isnan(rows).any() for *_, rows in tables) > 5
    compiled = Compiled(tmp_path, [to_c(net, name=f"m{k}", preprocessing=p) for k, (net, p, _) in enumerate(tables)])
    for k, (net, columns, rows) in enumerate(tables):
        expected = columns.restore(net.predict(columns.apply(rows)))
        assert np.isfinite(expected).all()
        require_close(compiled(f"m{k}", rows, 2, "float64"), expected)
        require_close(run_onnx(to_onnx(net, preprocessing=columns), rows), expected.astype("float32"))


def test_what_is_no_category_gives_nan(tmp_path):
    pytest.importorskip("onnx")
    net = Sequential(Embeddings([3, 2], 2, numeric=1, seed=0), Linear(5, 2, seed=1), Relu())
    wrong = [[3, 0, 1], [-1, 1, 1], [0, 0.5, 1], [np.nan, 0, 1], [1, np.inf, 1], [-0.0, 1, 1], [0, 1e30, 1]]
    x = np.array(wrong, "float32")
    compiled = Compiled(tmp_path, [to_c(net)])
    for got in (run_onnx(to_onnx(net), x), compiled("model", x, 2)):
        assert np.isnan(got).all(1).tolist() == [True] * 5 + [False, True]
        require_close(got[5:6], net.predict(x[5:6]))


@pytest.mark.slow
def test_c_stays_within_its_arrays(random_networks, tmp_path):
    """Under the sanitizers of addresses and of undefined behaviour, where the compiler has them."""
    texts = [to_c(net, name=f"a{k}", shape=shape) for k, (net, shape) in enumerate(NETWORKS.values())]
    texts += [to_c(net, name=f"b{k}") for k, (net, *_) in enumerate(random_networks[:40])]
    names = [f"a{k}" for k in range(len(NETWORKS))] + [f"b{k}" for k in range(40)]
    calls = [
        f"{{ float *x = calloc({n.upper()}_INPUTS, 4), *y = calloc({n.upper()}_OUTPUTS, 4);"
        f" {n}_predict(x, y); free(x); free(y); }}"
        for n in names
    ]
    source = tmp_path / "all.c"
    source.write_text("\n".join(["#include <stdlib.h>", *texts, "int main(void)", "{", *calls, "return 0;", "}", ""]))
    flags = ["-std=c99", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    try:
        done = subprocess.run(["cc", *flags, source, "-o", tmp_path / "all", "-lm"], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no C compiler")
    if done.returncode:
        pytest.skip(f"no sanitizers: {done.stderr[:200]}")
    done = subprocess.run([tmp_path / "all"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- files ----------------------------------------------------------------------------------


def test_files(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("safetensors")
    net = Sequential(Linear(4, 3, seed=0), Sigmoid(), loss="squared_error")
    net.save(tmp_path / "net.safetensors")
    assert export.export_file(tmp_path / "net.safetensors", tmp_path / "net.onnx") == "ONNX, opset 20"
    import onnx

    x = rows_of((4,))
    require_close(run_onnx(onnx.load(tmp_path / "net.onnx"), x), net.predict(x))
    assert export.export_file(tmp_path / "net.safetensors", tmp_path / "2 nets.C") == "C99, model_2_nets_predict"
    assert (tmp_path / "2 nets.C").read_text() == to_c(net, name="model_2_nets")
    with pytest.raises(FileExistsError, match="force"):
        export.export_file(tmp_path / "net.safetensors", tmp_path / "net.onnx")
    export.export_file(tmp_path / "net.safetensors", tmp_path / "net.onnx", force=True)
    with pytest.raises(ValueError, match=r"ends in .onnx or .c; got .*net.pt'"):
        export.export_file(tmp_path / "net.safetensors", tmp_path / "net.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2 nets.C", "net.onnx", "net.safetensors"]


def test_without_onnx(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'fastbp\[onnx\]'"):
        to_onnx(Sequential(Linear(2, 1)))


# --- what is refused ------------------------------------------------------------------------


class Own(nn.Module):
    def forward(self, x):
        return x


class OwnRelu(nn.ReLU):
    def forward(self, x):
        return x


def hooked():
    net = Sequential(Linear(2, 1))
    net[0].register_forward_hook(lambda *_: None)
    return net


def of(*layers, **options):
    return Sequential(Linear(2, 2, seed=0), *layers, **options)


REFUSED = {
    "own layer": (lambda: of(Own()), {}, TypeError, "library's own layers, of one input; got Own at place 1"),
    "own class": (lambda: of(OwnRelu()), {}, TypeError, "got forward of OwnRelu at place 1 replaced"),
    "hook": (hooked, {}, TypeError, "without forward hooks"),
    "own module": (Own, {}, TypeError, "got Own, as the forward of another module is Python"),
    "book's class": (
        lambda: book.TwoLayerNet(4, 5, 3), {}, TypeError, r"got TwoLayerNet: Sequential\(net.layers\) is one"
    ),
    "no network": (lambda: 3, {}, TypeError, "a Sequential, a layer or a fitted estimator; got int"),
    "embedding": (lambda: Sequential(nn.Embedding(3, 2)), {}, TypeError, "got Embedding at place 0"),
    "distance": (lambda: of(nn.CosineSimilarity()), {}, TypeError, "got CosineSimilarity at place 1"),
    "one output": (lambda: Sequential(Linear(2, 1)), {"classes": ["a"]}, ValueError, "1 outputs, or two for one"),
    "no width": (lambda: Sequential(Relu()), {}, ValueError, "expects shape, that of a sample"),
    "other shape": (of, {"shape": (3,)}, ValueError, r"2 features; got a sample of shape \(3,\)"),
    "no shape": (of, {"shape": ()}, ValueError, "shape of at least one axis"),
    "softmax of rows": (lambda: of(nn.Softmax(0)), {}, ValueError, "got 0, that of the rows"),
    "no classes": (of, {"probabilities": True}, ValueError, "a classification loss beside probabilities"),
    "hinge": (lambda: of(loss="hinge"), {"probabilities": True}, ValueError, "got HingeLoss"),
    "too few classes": (of, {"classes": ["a"]}, ValueError, "a class for each of the network's 2 outputs; got 1"),
    "NaN": (lambda: Sequential(Affine(np.full((2, 1), np.nan), np.zeros(1))), {}, ValueError, "finite parameters"),
    "columns": (of, {"preprocessing": [(0, 1)]}, TypeError, "preprocessing as a Preprocessing; got"),
    "no features": (of, {"preprocessing": Preprocessing([])}, ValueError, "at least one feature"),
    "NaN as scale": (
        of, {"preprocessing": Preprocessing([Feature(0), Feature(1)], (), 0, np.nan)}, ValueError, "a finite number, or"
    ),
    "categories without missing": (
        of, {"preprocessing": Preprocessing([Feature(0, categories=2), Feature(1)])}, ValueError, "missing beside cat"
    ),
    "no categories": (
        of, {"preprocessing": Preprocessing([Feature(0, missing=0, categories=0), Feature(1)])}, ValueError,
        "categories of feature 0 of preprocessing"
    ),
    "scale 0": (
        of, {"preprocessing": Preprocessing([Feature(0, 0, 0), Feature(1)])}, ValueError, "other than 0, which it div"
    ),
    "other width": (of, {"preprocessing": Preprocessing([Feature(0)])}, ValueError, "expects 2 features"),
    "column": (
        of, {"preprocessing": Preprocessing([Feature(2), Feature(1)], ["a", "b"])}, ValueError,
        "column of feature 0 of preprocessing"
    ),
    "shape beside columns": (
        of, {"preprocessing": Preprocessing([Feature(0), Feature(1)]), "shape": (2,)}, ValueError, "shape=None beside"
    ),
    "targets": (
        of, {"preprocessing": Preprocessing([Feature(0), Feature(1)], scale=(1, 2, 3))}, ValueError, "got 3"
    ),
}  # fmt: skip


@pytest.mark.parametrize("write", [to_onnx, to_c], ids=["onnx", "c"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_written_is_refused_in_one_sentence(case, write, tmp_path):
    make, options, error, words = REFUSED[case]
    with pytest.raises(error, match=words) as caught:
        write(make(), tmp_path / "file", **options)
    assert str(caught.value).startswith(write.__name__) and str(caught.value).count(". ") == 0
    assert not list(tmp_path.iterdir())


def test_what_other_libraries_made_is_told_its_way():
    estimators = pytest.importorskip("fastbp.estimators")
    from sklearn import neural_network

    with pytest.raises(TypeError, match=r"fastbp.estimators.MLPRegressor.from_sklearn makes one of it\.$"):
        to_c(neural_network.MLPRegressor())
    by_hand = estimators.MLPRegressor()
    by_hand.coefs_, by_hand.intercepts_ = [np.ones((2, 1))], [np.zeros(1)]
    with pytest.raises(ValueError, match=r"expects out_activation_ as one of 'identity', .*; got None"):
        to_c(by_hand)


@pytest.mark.parametrize("name", ["", "2nets", "my net", "_x", "nett\u0065\u0301", None])
def test_names_that_c_has_not(name):
    with pytest.raises((ValueError, TypeError), match="to_c expects name"):
        to_c(of(), name=name)


def test_parameters_beyond_float32_are_refused_in_c():
    with pytest.raises(ValueError, match="within float32"):
        to_c(Sequential(Affine(np.full((1, 1), 1e300), np.zeros(1))))


def test_parameters_of_a_training_are_the_newest():
    net = of(loss="squared_error")
    trainer = fastbp.Trainer(net, fastbp.SGD(lr=0.1), batch_size=4)
    before = to_c(net)
    trainer.step(np.ones((4, 2), "float32"), np.zeros((4, 2), "float32"))
    assert to_c(net) != before
