"""Files that are cut, changed, foreign or made to harm, for every reader: a clear error each.

The readers and the check of their errors are in tests/fuzz/readers.py, which the fuzzer calls with
inputs of its own; tests/fuzz/past holds those that failed once.
"""

import gzip
import io
import json
import os
import pickle
import random
import stat
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("safetensors")

FUZZ = Path(__file__).resolve().parent / "fuzz"
sys.path.insert(0, str(FUZZ))
import readers  # noqa: E402

sys.path.remove(str(FUZZ))

import fastbp  # noqa: E402
from fastbp import Sequential, datasets, files, tables  # noqa: E402
from fastbp.layers import Affine, Linear  # noqa: E402
from fastbp.tables import features  # noqa: E402

IN_SAFETENSORS = readers.IN_SAFETENSORS
SEEDS = {name: readers.seeds(name) for name in readers.READERS}


@pytest.fixture(scope="module", autouse=True)
def folder():
    readers.FOLDER.mkdir(exist_ok=True)
    yield
    readers.clean()


def header_of(data):
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def changed_header(data, change):
    """The file with its header changed, offsets and all, so that it is no sound one."""
    length = int.from_bytes(data[:8], "little")
    header = header_of(data)
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def changed_metadata(data, key, change):
    """A sound file with one JSON of its metadata changed."""
    import safetensors.numpy

    metadata = header_of(data)["__metadata__"]
    tree = json.loads(metadata[key])
    metadata[key] = json.dumps(change(tree) or tree)
    return safetensors.numpy.save(safetensors.numpy.load(data), metadata)


@readers.unsealed()
def load(name, data):
    """Read the bytes, without a look at the error."""
    readers.PATH.write_bytes(data)
    return load_from(readers.PATH, name)


def load_from(path, name):
    return {
        "network": lambda: Sequential.load(path),
        "checkpoint": lambda: readers.fit(readers.small(), resume=path),
        "state": lambda: fastbp.load(path),
        "table": lambda: fastbp.TableModel.load(path),
        "idx": lambda: datasets.read_idx(path),
        "csv": lambda: tables.read_csv(path, "b"),
    }[name]()


def refused(name, data):
    """The text of the ValueError that bytes give, which is one of our sentences."""
    readers.READERS[name](data)
    with pytest.raises(ValueError) as caught:
        load(name, data)
    return str(caught.value)


# --- any bytes ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", readers.READERS)
def test_the_seeds_are_good_files(name):
    for data in SEEDS[name]:
        assert load(name, data) is not None


def cut_everywhere(name, data, lengths):
    for length in lengths:
        readers.READERS[name](data[:length])
        if name in IN_SAFETENSORS:
            with pytest.raises(ValueError):
                load(name, data[:length])


@pytest.mark.parametrize("name", readers.READERS)
def test_every_cut_of_a_file(name):
    """Each length of small files; about 100 of a larger one, and all of its first bytes."""
    for data in SEEDS[name][:2]:
        step = 1 if len(data) < 1000 else len(data) // 100
        cut_everywhere(name, data, {*range(min(20, len(data))), *range(0, len(data), step)})


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_SAFETENSORS)
def test_really_every_cut(name):
    for data in SEEDS[name]:
        cut_everywhere(name, data, range(len(data)))


@pytest.mark.parametrize("name", readers.READERS)
def test_every_byte_changed(name):
    rng = random.Random(0)
    for data in SEEDS[name][:2]:
        for place in range(0, len(data), 1 if len(data) < 1000 else len(data) // 150):
            changed = bytearray(data)
            changed[place] ^= 1 << rng.randrange(8)
            readers.READERS[name](bytes(changed))


@pytest.mark.parametrize("name", IN_SAFETENSORS)
def test_sound_files_with_other_contents(name):
    rng = random.Random(0)
    different = 0
    for _ in range(400):
        data = rng.choice(SEEDS[name])
        changed = readers.mutated(data, rng)
        different += changed != data
        readers.READERS[name](changed)
    assert different > 200


SAVED = {
    "network": lambda path: readers.small().save(path),
    "checkpoint": lambda path: readers.fit(readers.small(), checkpoint=path),
    "state": lambda path: fastbp.save(readers.small().state_dict(), path),
    "table": lambda path: readers.table_model("classes").save(path),
}


@pytest.mark.parametrize("name", SAVED)
def test_files_with_any_byte_changed_are_refused(name, tmp_path):
    """Their checksum covers all numbers, and the JSON beside them, but not its own name."""
    path = tmp_path / "file"
    SAVED[name](path)
    data, rng = path.read_bytes(), random.Random(0)
    start, key = 8 + int.from_bytes(data[:8], "little"), data.index(files.CHECKSUM.encode())
    own = range(key, key + len(files.CHECKSUM))
    places = [*rng.sample(range(start), 100), *rng.sample(range(start, len(data)), 100)]
    for place in set(places) - set(own):
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=" expects "):
            load_from(path, name)


@pytest.mark.parametrize(
    "name, said", [("checkpoint", "no checksum"), ("table", r"expects a checksum in .*got none\.$")]
)
def test_what_fastbp_alone_writes_has_to_have_a_checksum(name, said, tmp_path):
    path = tmp_path / "run"
    SAVED[name](path)
    path.write_bytes(path.read_bytes().replace(b"fastbp.crc32", b"fastbp.other"))
    with pytest.raises(ValueError, match=said):
        load_from(path, name)


@pytest.mark.parametrize("name", ["network", "table"])
def test_a_name_twice_in_json_is_refused(name):
    """Of which Python's reader would take the last one, and others the first."""
    import safetensors.numpy

    data = SEEDS[name][0]
    metadata = header_of(data)["__metadata__"]
    for key in metadata.keys() - {files.CHECKSUM}:
        twice = metadata[key].replace('"version": 1', '"version": 2, "version": 1', 1)
        other = safetensors.numpy.save(safetensors.numpy.load(data), metadata | {key: twice})
        assert "the name 'version' twice" in refused(name, other)
    other = data[8 : 8 + int.from_bytes(data[:8], "little")].replace(b"{", b'{"__metadata__":{},', 1)
    assert "'__metadata__' twice" in refused(name, readers.with_header(other + b"\0" + data[-64:]))


def test_infinite_weights_of_a_table_model_are_refused():
    import safetensors.numpy

    data = SEEDS["table"][0]
    arrays = {name: array.copy() for name, array in safetensors.numpy.load(data).items()}
    arrays["0.weight"][0, 1] = np.inf
    other = safetensors.numpy.save(arrays, header_of(data)["__metadata__"])
    assert "finite numbers in W1 of" in refused("table", other)


def of_table(change):
    return changed_metadata(SEEDS["table"][0], "fastbp.table", change)


DOCUMENTS = {
    "negative scale": lambda d: d["preprocessor"]["columns"][0].update(scale=-1.0),
    "scale of 0": lambda d: d["preprocessor"]["columns"][0].update(scale=0),
    "a mean that is NaN": lambda d: d["preprocessor"]["columns"][0].update(mean=float("nan")),
    "a mean beyond float64": lambda d: d["preprocessor"]["columns"][0].update(mean=10**400),
    "a number as text": lambda d: d["preprocessor"]["columns"][0].update(median="0.5"),
    "a number as a truth value": lambda d: d["preprocessor"]["columns"][0].update(mean=True),
    "a truth value as a number": lambda d: d["preprocessor"]["columns"][0].update(boolean=0),
    "a column twice": lambda d: d["preprocessor"]["columns"][1].update(name="a"),
    "a column that is left out": lambda d: d["preprocessor"]["left out"].update(a="as asked"),
    "a target that is left out": lambda d: d["preprocessor"]["left out"].update(t="as asked"),
    "the target among the columns": lambda d: d["preprocessor"]["columns"][0].update(name="t"),
    "no categories": lambda d: d["preprocessor"]["columns"][2].update(categories=[]),
    "a category twice": lambda d: d["preprocessor"]["columns"][2].update(categories=["x", "x"]),
    "categories of numbers": lambda d: d["preprocessor"]["columns"][2].update(categories=[1, 2]),
    "one category more": lambda d: d["preprocessor"]["columns"][2]["categories"].append("z"),
    "another width": lambda d: d["preprocessor"]["columns"][4].update(width=5),
    "a width of True": lambda d: d["preprocessor"]["columns"][4].update(width=True),
    "a year that no date has": lambda d: d["preprocessor"]["columns"][3].update(median=1e19),
    "a part of dates twice": lambda d: d["preprocessor"]["columns"][3].update(cycles=["month"] * 3),
    "an unknown kind": lambda d: d["preprocessor"]["columns"][0].update(kind="text"),
    "a field more": lambda d: d["preprocessor"]["columns"][0].update(log=True),
    "a field less": lambda d: d["preprocessor"]["columns"][0].pop("median") and None,
    "a class twice": lambda d: d["preprocessor"]["target"].update(classes=["p", "p"]),
    "classes of two kinds": lambda d: d["preprocessor"]["target"].update(classes=["p", 1]),
    "classes beyond 2^63": lambda d: d["preprocessor"]["target"].update(classes=[1, 2**63]),
    "shares of another number": lambda d: d["scores"].update(shares=[1.0]),
    "shares that are no list": lambda d: d["scores"].update(shares=1),
    "no shares": lambda d: d["scores"].pop("shares") and None,
    "a version of True": lambda d: d.update(version=True),
    "a preprocessor of version True": lambda d: d["preprocessor"].update(version=True),
    "a dtype of text": lambda d: d["preprocessor"].update(dtype="int8"),
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_what_a_table_model_knows_is_checked(kind):
    assert refused("table", of_table(DOCUMENTS[kind])).startswith("TableModel.load expects ")


def test_classes_of_a_network_are_texts():
    for classes in (3, "ab", [1, 2], ["a", "a"], {"a": 1}):
        data = changed_metadata(SEEDS["network"][0], "fastbp", lambda tree, c=classes: tree.update(classes=c))
        assert "expects classes as different texts" in refused("network", data)


PAST = sorted((FUZZ / "past").glob("*-*"))


@pytest.mark.parametrize("path", PAST, ids=lambda path: path.name)
def test_what_failed_once(path):
    readers.READERS[path.name.partition("-")[0]](path.read_bytes())


# --- particular ones ------------------------------------------------------------------------

FOREIGN = {
    "empty": lambda: b"",
    "zeros": lambda: bytes(64),
    "text": lambda: b"this is no file of numbers, but a line of text\n",
    "pickle": lambda: pickle.dumps({"0.weight": np.ones((3, 2))}),
    "zip": lambda: zipped("data.pkl", b"\x80\x04N."),
    "npz": lambda: zipped("W1.npy", bytes(200)),
    "gzip": lambda: gzip.compress(bytes(1000)),
    "length beyond the file": lambda: (10**6).to_bytes(8, "little") + b"{}",
    "length of 2^64 - 1": lambda: b"\xff" * 8 + b"{}",
    "length of 2^63": lambda: (1 << 63).to_bytes(8, "little") + b"{}",
    "no JSON": lambda: readers.with_header(b"hello"),
    "a list": lambda: readers.with_header(b"[1, 2]"),
    "not UTF-8": lambda: readers.with_header(b'{"\xff\xfe": 1}'),
    "deep": lambda: readers.with_header(b"[" * 50_000 + b"]" * 50_000),
    "deep objects": lambda: readers.with_header(b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
    "half a JSON": lambda: readers.with_header(b'{"a": {"dtype": "F32", '),
}


def zipped(name, data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize("name", readers.READERS)
@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files(kind, name):
    assert " expects " in refused(name, FOREIGN[kind]())


HEADERS = {
    "offsets out of range": lambda h: next_array(h).update(data_offsets=[0, 10**9]),
    "offsets beyond 2^64": lambda h: next_array(h).update(data_offsets=[0, 2**64]),
    "offsets backwards": lambda h: next_array(h).update(data_offsets=[32, 0]),
    "negative offsets": lambda h: next_array(h).update(data_offsets=[-8, 0]),
    "overlapping": lambda h: next_array(h).update(data_offsets=[4, 20]),
    "all the same": lambda h: [e.update(data_offsets=[0, 16]) for n, e in h.items() if n[0] != "_"],
    "a shape of 10^18": lambda h: next_array(h).update(shape=[10**18]),
    "shapes that overflow": lambda h: next_array(h).update(shape=[2**32, 2**32]),
    "shapes that overflow to the size": lambda h: next_array(h).update(shape=[2**62, 4, 2**2]),
    "a negative shape": lambda h: next_array(h).update(shape=[-1, 4]),
    "a shape of text": lambda h: next_array(h).update(shape="4"),
    "another dtype": lambda h: next_array(h).update(dtype="F16"),
    "an unknown dtype": lambda h: next_array(h).update(dtype="F1"),
    "no dtype": lambda h: next_array(h).pop("dtype"),
    "metadata of numbers": lambda h: h.update(__metadata__={"fastbp": 1}),
    "metadata a list": lambda h: h.update(__metadata__=[]),
}


def next_array(header):
    return next(entry for name, entry in sorted(header.items()) if name != "__metadata__")


@pytest.mark.parametrize("name", IN_SAFETENSORS)
@pytest.mark.parametrize("kind", HEADERS)
def test_headers_that_lie(kind, name):
    refused(name, changed_header(SEEDS[name][-1], HEADERS[kind]))


def with_nan(data, name):
    import safetensors.numpy

    arrays = {n: a.copy() for n, a in safetensors.numpy.load(data).items()}
    arrays[name].flat[0] = np.nan
    return safetensors.numpy.save(arrays, header_of(data)["__metadata__"])


def test_nan_weights_are_refused_where_they_would_be_trained_or_used():
    assert "numbers in 0.weight" in refused("network", with_nan(SEEDS["network"][0], "0.weight"))
    assert "numbers in 1.running_var" in refused("network", with_nan(SEEDS["network"][0], "1.running_var"))
    for name in ("0.weight", "1.running_mean", "best.0.bias", "optimizer.0.weight.exp_avg_sq"):
        text = refused("checkpoint", with_nan(SEEDS["checkpoint"][0], name))
        assert f"numbers in {name}" in text
    # a state dict is what its owner says: NaN may stand in it, as in PyTorch's
    data = with_nan(SEEDS["state"][1], "0.weight")
    readers.state(data)
    assert np.isnan(load("state", data)["0.weight"].array).any()


def test_nan_is_not_saved(tmp_path):
    net = readers.small()
    net.params["b1"][2] = np.nan
    with pytest.raises(ValueError, match=r"Sequential.save expects numbers in 0.bias; got NaN."):
        net.save(tmp_path / "net")
    assert not list(tmp_path.iterdir())


VERSIONS = {"network": "fastbp", "checkpoint": "fastbp.checkpoint", "state": "fastbp.object", "table": "fastbp.table"}


@pytest.mark.parametrize("name", IN_SAFETENSORS)
@pytest.mark.parametrize("version", [3, 99, "1", None, [1], 10**40])
def test_versions_of_other_times(name, version):
    data = changed_metadata(SEEDS[name][0], VERSIONS[name], lambda tree: tree.update(version=version))
    assert "version" in refused(name, data)


def test_a_checkpoint_with_another_order_of_the_rows_is_refused():
    data = changed_metadata(SEEDS["checkpoint"][0], VERSIONS["checkpoint"], lambda tree: tree.update(version=1))
    assert "today's order; got version 1" in refused("checkpoint", data)


@pytest.mark.parametrize("steps", [2**53 + 1, 2**63, -1, 0.5])
def test_steps_that_no_training_has_done_are_refused(steps):
    """The next one would overflow the engine's count."""
    data = changed_metadata(SEEDS["checkpoint"][1], "fastbp.checkpoint", lambda tree: tree["state"].update(steps=steps))
    assert "expects steps" in refused("checkpoint", data)


@pytest.mark.parametrize("name", IN_SAFETENSORS)
def test_json_that_is_deep(name):
    import safetensors.numpy

    for text in ("[" * 100_000 + "]" * 100_000, '{"a":' * 900 + "1" + "}" * 900):
        metadata = header_of(SEEDS[name][0])["__metadata__"] | {VERSIONS[name]: text}
        refused(name, safetensors.numpy.save(safetensors.numpy.load(SEEDS[name][0]), metadata))
    deep = 0
    for _ in range(400):
        deep = {"list": [deep]}
    data = changed_metadata(SEEDS["state"][0], "fastbp.object", lambda tree: tree.update(object=deep))
    readers.state(data)


@pytest.mark.parametrize("name", IN_SAFETENSORS)
def test_what_is_too_deep_or_too_long_is_said_in_own_words(name, monkeypatch):
    import safetensors.numpy

    for text in ("[" * 100_000 + "]" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000):
        metadata = header_of(SEEDS[name][0])["__metadata__"] | {VERSIONS[name]: text}
        data = safetensors.numpy.save(safetensors.numpy.load(SEEDS[name][0]), metadata)
        said = refused(name, data)
        assert "too deep in each other" in said and "Recursion" not in said
    assert "too deep in each other" in refused(name, FOREIGN["deep objects"]())
    assert ", which begins with b'" in refused(name, FOREIGN["deep"]())  # with no {, as a header does
    said = refused(name, (10**6).to_bytes(8, "little") + b"{}")
    assert "its header would have 1000000 bytes, of 2 behind its length" in said
    for data, words in (
        (b"abc", "b'abc'"),
        (b"a,b\n1,2\n3,4\n", "b'a,b\\n1,2\\n3,4\\n'"),
        (b"PAR1" * 9, "b'PAR1PAR1PAR1PAR1PAR1'"),
    ):
        said = refused(name, data)
        assert said.endswith(f", which begins with {words}.") and "as fastbp train and save write it" in said
    assert refused(name, b"").endswith(", which is empty.")
    monkeypatch.setattr(files.arrays, "_LONGEST_HEADER", 100)
    assert "at most 100" in refused(name, SEEDS[name][0])


def test_what_could_not_be_read_again_is_not_written(monkeypatch, tmp_path):
    path = tmp_path / "f"
    deep = 0
    for _ in range(200):
        deep = [deep]
    fastbp.save(deep, path)

    def calls_deep(n):
        return calls_deep(n - 1) if n else fastbp.load(path)

    assert calls_deep(300) == deep
    for kind in ([deep], {"a": deep}, (deep,)):
        with pytest.raises(ValueError, match=r"save expects containers .* over 200 deep"):
            fastbp.save(kind, path)
    monkeypatch.setattr(files.arrays, "_LONGEST_HEADER", 300)
    long = [0.5] * 1000
    for write in (
        lambda: fastbp.save(long, path),
        lambda: write_network(path),
        lambda: fastbp.save({str(k): np.ones(1) for k in range(20)}, path),
    ):
        with pytest.raises(ValueError, match=r"save expects at most 300 bytes of names"):
            write()
    monkeypatch.undo()
    assert fastbp.load(path) == deep


@pytest.mark.parametrize("where", ["json", "layer", "loss", "safetensors"])
@pytest.mark.parametrize("name", IN_SAFETENSORS)
def test_too_little_memory_for_what_a_file_says_is_no_damage(name, where, monkeypatch):
    import safetensors.numpy

    from fastbp import losses
    from fastbp.training import checkpoints

    def full(*_, **__):
        raise MemoryError

    load(name, SEEDS[name][0])
    if where == "json":
        monkeypatch.setattr(json, "loads", full)
    elif where == "safetensors":
        monkeypatch.setattr(safetensors.numpy, "load", full)
    elif where == "layer":
        target = {
            "network": (Affine, "restore"),
            "state": (files.objects, "_rebuilt"),
            "checkpoint": (checkpoints, "Saved"),
            "table": (features, "read"),
        }[name]
        monkeypatch.setattr(*target, full)
    elif name == "network":
        monkeypatch.setattr(losses.SoftmaxWithLoss, "__init__", full)
    elif name == "checkpoint":
        monkeypatch.setattr(checkpoints.Saved, "check", full)
    else:
        return
    with pytest.raises(MemoryError):
        load(name, SEEDS[name][0])


SIZES = {
    "wide": lambda a: a["layers"][0].update(in_features=10**18),
    "long": lambda a: a["layers"][0].update(in_features=10**9, out_features=10**9),
    "norm": lambda a: a["layers"][1].update(num_features=10**12),
    "beyond 2^64": lambda a: a["layers"][1].update(num_features=10**40),
    "nn": lambda a: a["layers"].__setitem__(
        0, {"type": "nn.Linear", "in_features": 10**6, "out_features": 10**6, "bias": True}
    ),
    "nn norm": lambda a: a["layers"].__setitem__(
        1, {"type": "nn.BatchNorm1d", "num_features": 10**12, "eps": 1e-5, "momentum": 0.1}
    ),
}


@pytest.mark.parametrize("kind", SIZES)
def test_sizes_that_only_the_description_has_are_not_allocated(kind):
    data = changed_metadata(SEEDS["network"][0], "fastbp", SIZES[kind])
    tracemalloc.start()
    try:
        assert "described" in refused("network", data)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


def test_a_network_of_many_layers_takes_no_more_time_than_it_is_long():
    """A look through the arrays for each layer would take minutes."""
    n = 30_000
    header = {f"{k}.x": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for k in range(n)}
    layers = json.dumps({"version": 1, "layers": [{"type": "Relu"}] * n})
    data = readers.with_header(json.dumps(header | {"__metadata__": {"fastbp": layers}}).encode())
    readers.PATH.write_bytes(data)
    start = time.process_time()
    with pytest.raises(ValueError, match=r"arrays of its layers only; got '0\.x'"):
        load_from(readers.PATH, "network")
    assert time.process_time() - start < 20


def test_arrays_of_another_shape_are_not_spread_over_a_layer():
    """A running mean of shape (1,) would fit any layer by broadcasting."""
    import safetensors.numpy

    for name in ("1.running_mean", "1.bias"):
        data = SEEDS["network"][0]
        arrays = dict(safetensors.numpy.load(data))
        arrays[name] = arrays[name][:1].copy()
        other = safetensors.numpy.save(arrays, header_of(data)["__metadata__"])
        assert f"{name[2:]} of shape (4,)" in refused("network", other)


def test_arrays_that_no_layer_has():
    import safetensors.numpy

    data = SEEDS["network"][0]
    for name in ("7.weight", "0.scale", "x"):
        arrays = safetensors.numpy.load(data) | {name: np.ones(3, "f4")}
        other = safetensors.numpy.save(arrays, header_of(data)["__metadata__"])
        assert name in refused("network", other)


def test_a_state_of_other_shapes_leaves_the_network_as_it_was(tmp_path):
    net = readers.small()
    before = readers.bits(net)
    state = {name: tensor.clone() for name, tensor in readers.small().state_dict().items()}
    state["0.weight"] += 1
    state["4.bias"] = fastbp.ones(3)
    fastbp.save(state, tmp_path / "f")
    with pytest.raises(RuntimeError, match=r"4\.bias"):
        net.load_state_dict(fastbp.load(tmp_path / "f"))
    assert readers.bits(net) == before


READ_ONLY = np.ones(2, "f4")
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize("bias", [np.array(["a", "b"]), np.array([1j, 2]), np.array([1, 2], "u8"), np.array([None, 1])])
def test_a_state_of_other_dtypes_leaves_the_network_as_it_was(bias):
    net = readers.small()
    before = readers.bits(net)
    state = {name: tensor.numpy() + 1 for name, tensor in net.state_dict().items()}
    with pytest.raises(TypeError, match=r"load_state_dict expects 4.bias as a tensor.* of dtype"):
        net.load_state_dict(state | {"4.bias": bias})
    assert readers.bits(net) == before


def test_a_state_for_read_only_parameters_changes_none_of_them():
    net = Sequential(Linear(3, 2, seed=0), Affine(np.ones((2, 2), "f4"), READ_ONLY))
    before = readers.bits(net)
    state = {name: tensor.numpy() + 1 for name, tensor in net.state_dict().items()}
    with pytest.raises(ValueError, match=r"load_state_dict expects 1\.bias to be writable"):
        net.load_state_dict(state)
    assert readers.bits(net) == before


def test_a_state_of_the_other_byte_order_is_loaded():
    net = readers.small()
    state = {name: tensor.numpy() + 1 for name, tensor in net.state_dict().items()}
    net.load_state_dict({name: a.astype(a.dtype.newbyteorder()) for name, a in state.items()})
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), state[name])


# --- places ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", readers.READERS)
def test_a_folder_and_a_missing_file_are_an_oserror(name, tmp_path):
    for path in (tmp_path, tmp_path / "none", tmp_path / "no" / "file"):
        with pytest.raises(OSError):
            load_from(path, name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("name", readers.READERS)
def test_a_pipe_or_a_device_is_not_waited_for(name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(OSError, match=" expects "):
            load_from(path, name)


@pytest.mark.parametrize("name", ["network", "state"])
def test_files_that_are_open(name, tmp_path):
    path, file = tmp_path / "f", io.BytesIO()
    for place in (path, file):
        WRITERS[name](place)
    assert file.getvalue() == path.read_bytes()
    file.seek(0)
    assert str(load_from(file, name)) == str(load_from(path, name))
    with pytest.raises(ValueError, match=r"load expects .* got <_io\.BytesIO"):
        load_from(io.BytesIO(b"foreign"), name)
    with open(path) as text, pytest.raises(TypeError, match="load expects a file opened for bytes"):
        load_from(text, name)
    with pytest.raises(TypeError, match="save expects a file opened for bytes"):
        WRITERS[name](io.StringIO())


def test_a_file_that_takes_parts_gets_all_of_them():
    class Slow(io.BytesIO):
        def write(self, data):
            return super().write(data[:100])

    file = Slow()
    write_network(file)
    file.seek(0)
    assert len(Sequential.load(file)) == 5


@pytest.mark.parametrize("name", IN_SAFETENSORS)
@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3"])
def test_dtypes_that_numpy_lacks_are_named(name, dtype):
    text = json.dumps({"a": {"dtype": dtype, "shape": [2], "data_offsets": [0, 4]}})
    if dtype.startswith("F8"):
        text = text.replace("[2]", "[4]")
    data = readers.with_header(text.encode() + b"\0" + bytes(4))
    assert f"with tensors of {dtype}, which in PyTorch" in refused(name, data)


def test_metadata_that_is_null_is_none():
    text = b'{"__metadata__": null, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    assert load("state", readers.with_header(text + b"\0" + bytes(4)))["a"].item() == 0


def test_a_gzip_bomb_is_not_unpacked_beyond_a_limit(tmp_path, monkeypatch):
    """A file that keeps its promise, of 64 MiB; the limit is lowered for the test's sake."""
    monkeypatch.setattr(datasets.mnist, "_MOST_UNPACKED", 1 << 22)
    path = tmp_path / "bomb"
    with gzip.open(path, "wb") as file:
        file.write(bytes([0, 0, 8, 1]) + (1 << 26).to_bytes(4, "big"))
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"at most 4194304 bytes.*got shape \(67108864,\)"):
            datasets.read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 16e6
    finally:
        tracemalloc.stop()
    good = np.arange(1 << 22, dtype=np.uint8)  # at the limit
    with gzip.open(path, "wb") as file:
        file.write(bytes([0, 0, 8, 1]) + good.size.to_bytes(4, "big") + good.tobytes())
    np.testing.assert_array_equal(datasets.read_idx(path), good)


def test_a_csv_of_many_columns_takes_no_more_time_than_it_is_long(tmp_path):
    """A look through the columns before each would take a minute."""
    columns = [f"c{k}" for k in range(50_000)]
    path = tmp_path / "wide.csv"
    path.write_text(",".join([*columns, columns[0]]) + "\n")
    start = time.process_time()
    with pytest.raises(ValueError, match="'c0' for columns 1 and 50001"):
        tables.read_csv(path, "c1")
    assert time.process_time() - start < 5


# --- writing --------------------------------------------------------------------------------


def write_network(path):
    readers.small().save(path)


def write_state(path):
    fastbp.save(readers.small().state_dict(), path)


def write_checkpoint(path):
    readers.fit(readers.small(), checkpoint=path)


WRITERS = {"network": write_network, "state": write_state, "checkpoint": write_checkpoint}


@pytest.fixture(params=WRITERS)
def write(request):
    return WRITERS[request.param]


def test_file_and_folder_are_flushed_before_and_after_the_renaming(write, tmp_path, monkeypatch):
    calls = []

    def record(name, describe):
        original = getattr(os, name)

        def call(*arguments):
            calls.append((name, describe(*arguments)))
            return original(*arguments)

        monkeypatch.setattr(os, name, call)

    record("fsync", lambda descriptor: stat.S_ISDIR(os.fstat(descriptor).st_mode))
    record("replace", lambda old, new: Path(new).name)
    write(tmp_path / "f")
    assert calls[:3] == [("fsync", False), ("replace", "f"), ("fsync", True)]


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_what_cannot_be_written_leaves_nothing_behind(write, call, tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"precious")

    def full(*_):
        raise OSError(28, "No space left on device")

    if call == "open":
        monkeypatch.setattr(files.whole, "open", full, raising=False)
    else:
        monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        write(path)
    assert path.read_bytes() == b"precious" and list(tmp_path.iterdir()) == [path]


def test_ctrl_c_while_writing_leaves_nothing_behind(write, tmp_path, monkeypatch):
    path = tmp_path / "f"

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert not list(tmp_path.iterdir())


def test_a_handler_may_write_the_same_file(write, tmp_path, monkeypatch):
    """As on a cluster, where a signal says that a training is about to be ended."""
    path, flush = tmp_path / "f", os.fsync

    def handler(descriptor):
        monkeypatch.setattr(os, "fsync", flush)
        write(path)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", handler)
    write(path)
    Sequential.load(path) if write is not write_state else fastbp.load(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_device_is_an_oserror():
    with pytest.raises(OSError, match="No space left"):
        write_network("/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_device_is_written_to_and_not_replaced():
    write_network(os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_name_with_a_zero_byte_is_refused_in_a_sentence(write):
    with pytest.raises(ValueError, match="as the name of a file; got one with a zero byte"):
        write("a\0b.npz")


def test_a_name_as_long_as_names_may_be(write, tmp_path):
    path = tmp_path / ("n" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    for _ in range(2):
        write(path)
        assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_the_file_before_or_of_any_new_file(write, tmp_path):
    path = tmp_path / "f"
    before = os.umask(0o027)
    try:
        write(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        write(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


def test_a_symbolic_link_goes_on_to_lead_to_the_file(write, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "f", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write(link)
    assert link.is_symlink() and target.read_bytes() != b"old"
    assert list(target.parent.iterdir()) == [target]


def test_a_read_only_folder_is_a_permission_error(tmp_path, run_python):
    """As another user than root, whom permissions do not stop."""
    if not hasattr(os, "setuid") or os.getuid():
        pytest.skip("needs to be root, to become somebody else")
    folder = tmp_path / "f"
    folder.mkdir()
    code = f"""
import os, sys
sys.path.insert(0, {str(FUZZ)!r})
import readers
writes = (lambda path: readers.small().save(path),
          lambda path: readers.fit(readers.small(), checkpoint=path))
for write in writes:  # which imports what they need, while it can be read
    write({str(folder / "before")!r})
os.chmod({str(folder)!r}, 0o555)
os.setuid(65534)
for write in writes:
    try:
        write({str(folder / "file")!r})
    except PermissionError as error:
        print("refused")
"""
    for parent in [tmp_path, *tmp_path.parents][:4]:
        parent.chmod(parent.stat().st_mode | 0o055)
    done = run_python("-c", code)
    assert done.stdout.splitlines() == ["refused", "refused"], done.stderr


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists() or "ASAN_OPTIONS" in os.environ,
    reason="needs Linux, and no sanitizer's terabytes",
)
def test_too_little_memory_is_a_memory_error(run_python):
    """Not a process that safetensors aborts, nor a good file that is called damaged."""
    code = """
import os, resource
import numpy as np
import safetensors.numpy
import fastbp
from fastbp.layers import Linear

net = fastbp.Sequential(Linear(3000, 3000, seed=0))
state = {"w": np.ones((3000, 3000), "f")}
net.save("network")
fastbp.save(state, "state")
calls = {
    "Sequential.save": lambda: net.save("network"),
    "save": lambda: fastbp.save(state, "state"),
    "Sequential.load": lambda: fastbp.Sequential.load("network"),
    "load": lambda: fastbp.load("state"),
}
for name, call in calls.items():
    ends = set()
    for megabytes in range(0, 170, 10):
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 10**6, resource.RLIM_INFINITY))
        try:
            call()
            ends.add("done")
        except MemoryError:
            ends.add("MemoryError")
        except BaseException as error:
            ends.add(repr(error))
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    call()
    print(name, *sorted(ends))
"""
    done = run_python("-c", code, timeout=60)
    names = ["Sequential.save", "save", "Sequential.load", "load"]
    assert done.stdout.splitlines() == [f"{name} MemoryError done" for name in names], done.stderr
