"""Every reader of files, called with bytes that anybody may have written.

`READERS[name](data)` comes back, or raises AssertionError: for an error that is not one sentence
of the documented class, for an object that changed although its call failed, and for one that
does not survive being written and read again.
"""

import contextlib
import copy
import gzip
import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np

import fastbp
from fastbp import Adam, EarlyStopping, Sequential, TableModel, datasets, files, nn, tables
from fastbp.layers import Affine, BatchNorm1d, BatchNormalization, Dropout, LeakyRelu, Linear, Relu
from fastbp.tables import features
from fastbp.training import plans

#: The file that readers are called with.  In memory where the system offers that.
_SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
FOLDER = Path(tempfile.mkdtemp(prefix="fastbp-fuzz-", dir=_SHM))
PATH = FOLDER / "file"
X, T = np.linspace(-1, 1, 15, dtype="f4").reshape(5, 3), np.array([0, 1, 1, 0, 1])


def clean():
    """Remove the folder."""
    shutil.rmtree(FOLDER, ignore_errors=True)


def must_refuse_well(call, *classes):
    """The call's result, or None for an error of these classes, in one sentence of our form."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return call()
        except classes as error:
            text = str(error)
            assert " expects " in text and "got " in text and text.endswith("."), text
            assert "\n" not in text and len(text) < 2000, text
        except RecursionError as error:  # as an Exception it would do below, too
            raise AssertionError(f"RecursionError: {error}") from error
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}") from error
    return None


@contextlib.contextmanager
def unsealed():
    """Files whose checksum is always right, so that what stands behind it is reached."""
    original = files.arrays._checksum
    files.arrays._checksum = lambda tensors, metadata: "0"
    try:
        yield
    finally:
        files.arrays._checksum = original


@unsealed()
def network(data):
    PATH.write_bytes(data)
    net = must_refuse_well(lambda: Sequential.load(PATH), ValueError)
    if net is not None:
        net.save(FOLDER / "copy")
        again = Sequential.load(FOLDER / "copy")
        assert again.architecture() == net.architecture()
        for name, array in plans.arrays_of(net).items():
            other = plans.arrays_of(again)[name]
            assert not np.isnan(array).any() and array.tobytes() == other.tobytes(), name


@unsealed()
def state(data):
    PATH.write_bytes(data)
    loaded = must_refuse_well(lambda: fastbp.load(PATH), ValueError)
    if loaded is None:
        return
    must_refuse_well(lambda: fastbp.save(loaded, FOLDER / "copy"), ValueError)  # too deep for it
    if isinstance(loaded, dict) and all(isinstance(name, str) for name in loaded):
        net = small()
        before = bits(net)
        try:
            net.load_state_dict(loaded)
        except (RuntimeError, TypeError, ValueError) as error:
            assert " expects " in str(error), error
            assert bits(net) == before


def small():
    return Sequential(
        Linear(3, 4, seed=0),
        BatchNorm1d(4),
        Relu(),
        Dropout(0.1, seed=2),
        Linear(4, 2, seed=1),
        loss="softmax_cross_entropy",
    )


def bits(net):
    return {name: array.tobytes() for name, array in plans.arrays_of(net).items()}


def fit(net, **options):
    return net.fit(
        X,
        T,
        epochs=2,
        batch_size=3,
        optimizer=Adam(),
        seed=0,
        n_threads=1,
        shuffle=False,
        early_stopping=EarlyStopping(monitor="train_loss"),
        **options,
    )


@unsealed()
def checkpoint(data):
    PATH.write_bytes(data)
    net = small()
    before = bits(net)
    history = net.history
    resumed = must_refuse_well(lambda: fit(net, resume=PATH), ValueError, FloatingPointError)
    if resumed is None and net.history is history:
        assert bits(net) == before and net.trainer is None
    elif resumed is not None:
        assert len(resumed) == 2 and len(resumed.seconds) == 2


@unsealed()
def table(data):
    PATH.write_bytes(data)
    model = must_refuse_well(lambda: TableModel.load(PATH), ValueError)
    if model is None:
        return
    str(model), model.scores, model.notes
    new = rows_for(model.preprocessor)
    found = must_refuse_well(lambda: model.predicted(new), ValueError)
    model.save(FOLDER / "copy")
    again = TableModel.load(FOLDER / "copy")
    assert again.preprocessor.to_json() == model.preprocessor.to_json() and again.notes == model.notes
    if found is not None:
        assert len(found[0]) == 3
        for one, other in zip(found, again.predicted(new), strict=True):
            np.testing.assert_array_equal(one, other)
        if found[1] is not None:
            assert found[1].shape == (3, len(model.classes)) and np.isfinite(found[1]).all()
            np.testing.assert_allclose(found[1].sum(axis=1), 1, rtol=1e-5)
    must_refuse_well(lambda: model.evaluate(new, found[0] if found else [1, 2, 3]), ValueError)


def rows_for(preprocessor):
    """Three rows of a preprocessor's columns: ordinary ones, and one without any value."""
    columns = []
    for each in preprocessor.encodings_:
        kind = each.source_kind
        values = {
            "number": [0.5, 1e300, np.nan],
            "boolean": [0.0, 1.0, np.nan],
            "date": np.array(["2020-02-29", "1", "NaT"], "M8[s]"),
            "text": [*(*getattr(each, "categories", ()), "x")[:1], "y", None],
        }[kind]
        dtype = {"text": object, "date": "M8[s]"}.get(kind, float)
        columns.append(tables.Column(each.name, kind, np.array(values, dtype)))
    return tables.Columns(tuple(columns))


def idx(data):
    PATH.write_bytes(data)
    array = must_refuse_well(lambda: datasets.read_idx(PATH), ValueError)
    if array is not None:
        assert array.dtype == np.uint8 and array.flags.c_contiguous and array.size


def csv(data):
    PATH.write_bytes(data)
    table = must_refuse_well(lambda: tables.read_csv(PATH, "b"), ValueError)
    if table is not None:
        assert table.x.dtype == np.float64 and np.isfinite(table.x).all()
        assert table.x.shape == (len(table.target), len(table.names))
    must_refuse_well(lambda: tables.Preprocessor().fit(tables.columns_of(PATH), "b"), ValueError)


READERS = {"network": network, "checkpoint": checkpoint, "state": state, "table": table, "idx": idx, "csv": csv}


# --- good files -----------------------------------------------------------------------------


def written(write):
    """The bytes that `write(path)` wrote."""
    PATH.unlink(missing_ok=True)  # `fit` writes a checkpoint over no other file
    write(PATH)
    return PATH.read_bytes()


def mixed():
    W = np.arange(6.0).reshape(2, 3)
    arrays = [np.full(3, value) for value in (1.0, 0.5, 0.25, 2.0)]
    return Sequential(
        Affine(W, np.zeros(3)),
        BatchNormalization(*arrays[:2], 0.9, *arrays[2:]),
        LeakyRelu(0.1),
        nn.Linear(3, 3, bias=False),
        nn.BatchNorm1d(3),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.GELU(),
        loss="huber",
    )


def table_model(target):
    """A model of columns of all kinds, hashed texts too, with missing values."""
    n = 24
    dates = np.datetime64("2020-01-01", "s") + np.arange(n) * 86400 * 11
    given = {
        "a": [None, *np.linspace(0, 1, n - 1)],
        "b": [True, False] * (n // 2),
        "c": ["x", "y", None] * (n // 3),
        "d": dates,
        "same": [1.0] * n,
        "t": ["p", "q"] * (n // 2) if target == "classes" else np.linspace(-5, 9, n),
    }
    model = TableModel(hidden=(2,), epochs=1, refit=False).fit(given, "t")
    known = model.preprocessor
    known._become([*known.encodings_, features.Hashed("e", 4, False)], known.left_out_, known.target_)
    model.net = model.network_for(len(known.get_feature_names_out()), known.target_)
    return model


def good_checkpoint(**options):
    return written(lambda path: fit(small(), checkpoint=path, **options))


@unsealed()
def seeds(name):
    """Small good files of a reader."""
    if name == "network":
        return [written(small().save), written(mixed().save)]
    if name == "checkpoint":
        return [good_checkpoint(), good_checkpoint(every=3), good_checkpoint(max_seconds=0)]
    if name == "state":
        whole = {"a": [fastbp.ones(2), 1.5, None, ("x", True)], "b": {"c": np.arange(3)}}
        return [
            written(lambda path: fastbp.save(whole, path)),
            written(lambda path: fastbp.save(small().state_dict(), path)),
        ]
    if name == "table":
        return [written(table_model(target).save) for target in ("classes", "numbers")]
    if name == "idx":
        image = bytes([0, 0, 8, 3, *[0, 0, 0, 2] * 3, *range(8)])
        return [image, bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), gzip.compress(image, mtime=0)]
    return [
        b"a,b\n1,2\n3,4\n5,6\n7,8\n",
        b'\xef\xbb\xbf"a";b\r\n1,5;x\r\n"2""";y\r\nz;x\r\n',
        b"a|b\n1,5|x\n$ 1.234,5|y\n",
        b"a\tb\n1e3\t2\n\n-1\t0x1\n",
    ]


# --- files that are sound, with contents that are not ---------------------------------------

VALUES = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    4,
    5,
    10,
    47,
    2**31,
    2**53,
    2**63,
    2**64,
    -(2**63),
    10**18,
    10**40,
    0.5,
    -0.5,
    1e-300,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    "",
    "1",
    "Affine",
    "Linear",
    "BatchNorm1d",
    "Dropout",
    "Relu",
    "nn.Linear",
    "nn.BatchNorm1d",
    "nn.Module",
    "nn.Embedding",
    "nn.Softmax",
    "nn.PReLU",
    "number",
    "category",
    "hashed",
    "date",
    "classes",
    "numbers",
    "month",
    "tensor",
    "trained",
    "array",
    "dict",
    "list",
    [],
    {},
    [1],
    {"type": "Relu"},
    {"seed": 1},
    {"device": "cuda"},
)
DTYPES = ("f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "u2", "u4", "u8", "?", "c8")


def mutated(data, rng):
    """A sound safetensors file with some arrays or some of its JSON changed, or `data` as it is."""
    import safetensors.numpy

    try:
        arrays = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        tree = {key: json.loads(text) for key, text in header.get("__metadata__", {}).items()}
        for _ in range(rng.randint(1, 3)):
            if arrays and rng.random() < 0.4:
                _change_an_array(arrays, rng)
            elif tree:
                _change_a_node(tree, rng)
        return safetensors.numpy.save(arrays, {key: json.dumps(value) for key, value in tree.items()})
    except Exception:  # what was changed before may no longer be sound
        return data


def _change_an_array(arrays, rng):
    name = rng.choice(sorted(arrays))
    array = np.array(arrays.pop(name))
    what = rng.randrange(8)
    if what == 0:
        return
    if what == 1:
        name = rng.choice([name + "x", "9.weight", name.replace("0", "1"), "", "__metadata__x"])
    elif what == 2:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = array.astype(rng.choice(DTYPES))
    elif what == 3:
        array = array.reshape(-1)
    elif what == 4:
        array = array[:-1] if array.ndim else array.reshape(1)
    elif what == 5:
        array = np.zeros(rng.choice([(), (0,), (1,), (1, 1), (4,), (0, 10**9), (4, 4)]), array.dtype)
    elif array.size:
        value = rng.choice([np.nan, np.inf, -np.inf, 0, 1, -1, 1e30, 3.5])
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array.flat[rng.randrange(array.size)] = np.asarray(value).astype(array.dtype)
    arrays[name] = np.ascontiguousarray(array).reshape(array.shape)


def _change_a_node(tree, rng):
    """Put another value in some place of a tree of JSON, or take it out."""
    nodes, reached = [], [tree]
    for node in reached:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            nodes.append((node, key))
            if isinstance(node[key], dict | list):
                reached.append(node[key])
    node, key = rng.choice(nodes)
    value = node[key]
    what = rng.randrange(7)
    if what == 0:
        del node[key]
    elif what == 1 and isinstance(value, int | float):
        node[key] = value + rng.choice([-1, 1, 0.5])
    elif what == 2:
        other, place = rng.choice(nodes)
        node[key] = json.loads(json.dumps(other[place]))
    elif what == 3 and isinstance(node, list):
        node.append(json.loads(json.dumps(value)))
    elif what == 4:
        for _ in range(rng.choice([1, 3, 200])):
            node[key] = [node[key]] if rng.random() < 0.5 else {"list": [node[key]]}
    else:
        node[key] = copy.deepcopy(rng.choice(VALUES))


IN_SAFETENSORS = ("network", "checkpoint", "state", "table")


def with_header(data):
    """A safetensors file from its header and its numbers, which a zero byte parts."""
    header, _, numbers = data.partition(b"\0")
    return len(header).to_bytes(8, "little") + header + numbers


def as_file(name, data):
    """The file that an input of the fuzzer stands for: itself, or one with a length or packed."""
    if name in IN_SAFETENSORS and data[:1] == b"{":
        return with_header(data)
    if name == "idx" and data[:1] == b"z":
        return gzip.compress(data[1:], mtime=0)
    return data


def without_length(data):
    """What `with_header` makes such a file of."""
    length = int.from_bytes(data[:8], "little")
    return data[8 : 8 + length] + b"\0" + data[8 + length :]


def words(data):
    """The words of a safetensors file's header, those of JSON within JSON too."""
    header = data[8 : 8 + int.from_bytes(data[:8], "little")].decode()
    found = {'"', '\\"', "[", "]", "{", "}", "NaN", "null", "true", "-1", "1e999", "18446744073709551616"}
    parsed = json.loads(header)
    texts = [header, *parsed.get("__metadata__", {}).values()]
    for text in texts:
        found |= set(text.replace(",", " ").replace(":", " ").replace("\\", "").split('"'))
    return sorted(word for word in found if 0 < len(word) < 40 and word.isascii())
