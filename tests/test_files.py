"""`save` and `load`: what comes back, who else reads it, and files that are not whole."""

import io
import math
import os
import zlib

import numpy as np
import pytest

import fastbp
from fastbp import files, optim

pytest.importorskip("safetensors")


def same(a, b):
    """Objects of the same classes and numbers."""
    if isinstance(b, fastbp.Tensor):
        assert type(a) is fastbp.Tensor and a.dtype is b.dtype
        assert a.requires_grad == b.requires_grad
        a, b = a.detach().array, b.detach().array
    assert type(a) is type(b)
    if isinstance(b, np.ndarray):
        assert a.dtype == b.dtype.newbyteorder("=") and a.flags.writeable
        np.testing.assert_array_equal(a, b)
    elif isinstance(b, dict):
        assert list(a) == list(b)
        for key in b:
            same(a[key], b[key])
    elif isinstance(b, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == b or (isinstance(b, float) and math.isnan(a) and math.isnan(b))


OBJECTS = {
    "a tensor": lambda: fastbp.tensor([[1.5, -2.0]]),
    "a 0-d tensor": lambda: fastbp.tensor(3),
    "an empty tensor": lambda: fastbp.zeros(0, 3),
    "one that requires grad": lambda: fastbp.tensor([1.0], requires_grad=True),
    "all dtypes": lambda: {
        str(d): fastbp.ones(2, dtype=d)
        for d in (fastbp.float16, fastbp.float32, fastbp.float64, fastbp.int64, fastbp.int32,
                  fastbp.int16, fastbp.int8, fastbp.uint8, fastbp.bool)
    },
    "views": lambda: {"T": fastbp.arange(6.0).reshape(2, 3).T, "every": fastbp.arange(9)[::2]},
    "arrays": lambda: [np.arange(3), np.asfortranarray(np.ones((2, 3), ">f4")), np.array(True)],
    "plain": lambda: {"a": 1, "b": [1.5, None, True, "text, é"], "c": (1, (2, [])), "d": {}},
    "keys": lambda: {0: "a", "0": "b", None: "c", 1.5: "d"},
    "numbers at the end": lambda: [math.inf, -math.inf, math.nan, 10**40, 1e-320],
    "names that meet": lambda: {
        "a": {"b": fastbp.ones(1)}, "a.b": fastbp.zeros(2), "__metadata__": fastbp.ones(3),
        "": fastbp.ones(4),
    },
    "a checkpoint": lambda: {
        "epoch": 3, "loss": 0.25,
        "model_state_dict": {"0.weight": fastbp.ones(3, 2), "0.bias": fastbp.zeros(3)},
        "optimizer_state_dict": trained().state_dict(),
    },
}  # fmt: skip


def trained():
    w = fastbp.ones(3, 2, requires_grad=True)
    optimizer = optim.Adam([w], lr=0.1)
    w.grad = fastbp.ones(3, 2)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("kind", OBJECTS)
def test_what_was_saved_comes_back(kind, tmp_path):
    obj = OBJECTS[kind]()
    path = tmp_path / "file.pt"
    fastbp.save(obj, path)
    same(fastbp.load(path), obj)
    same(fastbp.load(str(path), map_location="cpu", weights_only=False), obj)
    same(fastbp.load(path, map_location=fastbp.device("cpu")), obj)
    assert [p.name for p in tmp_path.iterdir()] == ["file.pt"]


def test_numpys_numbers_come_back_as_pythons(tmp_path):
    fastbp.save([np.float32(0.5), np.int64(3), np.bool_(True)], tmp_path / "f")
    assert fastbp.load(tmp_path / "f") == [0.5, 3, True]


def test_keys_may_be_any_strings(tmp_path):
    obj = {"\udcff": fastbp.ones(2), "\\udcff": fastbp.zeros(2), "a\0": "\ud800", "": {"": 1}}
    fastbp.save(obj, tmp_path / "f")
    same(fastbp.load(tmp_path / "f"), obj)


def test_an_optimizer_goes_on_from_a_file(tmp_path):
    optimizer = trained()
    fastbp.save(optimizer.state_dict(), tmp_path / "f")
    w = optimizer.param_groups[0]["params"][0]
    other = fastbp.from_numpy(w.array.copy()).requires_grad_()
    twin = optim.Adam([other])
    twin.load_state_dict(fastbp.load(tmp_path / "f"))
    w.grad = other.grad = fastbp.ones(3, 2)
    optimizer.step()
    twin.step()
    np.testing.assert_array_equal(w.array, other.array)


def test_a_file_like_object_will_do():
    file = io.BytesIO()
    fastbp.save({"w": fastbp.ones(2)}, file)
    file.seek(0)
    same(fastbp.load(file), {"w": fastbp.ones(2)})


def test_safetensors_reads_a_flat_state_dict(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    W = np.arange(6.0, dtype="f4").reshape(2, 3)
    fastbp.save({"0.weight": fastbp.from_numpy(W.T), "0.bias": fastbp.ones(3)}, tmp_path / "f")
    theirs = load_file(tmp_path / "f")
    assert list(theirs) == ["0.bias", "0.weight"] or set(theirs) == {"0.bias", "0.weight"}
    assert theirs["0.weight"].shape == (3, 2) and theirs["0.weight"].is_contiguous()
    np.testing.assert_array_equal(theirs["0.weight"].numpy(), W.T)
    layer = torch.nn.Linear(2, 3)
    save_file(layer.state_dict(), tmp_path / "theirs")
    ours = fastbp.load(tmp_path / "theirs")
    np.testing.assert_array_equal(ours["weight"].array, layer.weight.detach().numpy())


def test_loaded_tensors_share_nothing(tmp_path):
    fastbp.save({"w": fastbp.ones(2)}, tmp_path / "f")
    first, second = (fastbp.load(tmp_path / "f")["w"] for _ in range(2))
    first += 1
    assert second.tolist() == [1, 1]


# --- whole or not at all --------------------------------------------------------------------


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f"
    fastbp.save({"w": fastbp.ones(2)}, path)
    before = path.read_bytes()

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        fastbp.save({"w": fastbp.zeros(5)}, path)
    monkeypatch.undo()
    with pytest.raises(TypeError):
        fastbp.save({"w": fastbp.zeros(5), "x": object()}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_networks_are_written_by_the_same_function(tmp_path, monkeypatch):
    net = fastbp.Sequential(fastbp.Linear(2, 3, seed=0))
    seen = []
    monkeypatch.setattr(files, "write_whole", lambda path, data: seen.append(path))
    net.save(tmp_path / "net")
    fastbp.save({}, tmp_path / "dict")
    assert [path.name for path in seen] == ["net", "dict"]


def circle():
    obj = []
    obj.append(obj)
    return obj


BAD_OBJECTS = {
    "a network": (
        lambda: fastbp.Sequential(fastbp.Linear(2, 3)), TypeError, r"state_dict\(\).*Sequential"
    ),
    "a network within": (
        lambda: {"model": fastbp.Sequential(fastbp.Linear(2, 3))}, TypeError, "'model'"
    ),
    "an optimiser": (trained, TypeError, r"state_dict\(\).*Adam"),
    "an object": (lambda: {"a": [object()]}, TypeError, "object.*at 'a.0'"),
    "a set": (lambda: {1, 2}, TypeError, "set"),
    "a key": (lambda: {(1, 2): 3}, TypeError, r"keys.*\(1, 2\)"),
    "strings": (lambda: np.array(["a"]), TypeError, "<U1"),
    "complex": (lambda: {"a": np.ones(2) * 1j}, TypeError, "complex128 at 'a'"),
    "a circle": (circle, ValueError, "hold themselves"),
    "a huge integer": (lambda: {"a": 10**5000}, ValueError, "thousands of digits"),
    "a long double": (lambda: {"a": np.longdouble(1)}, TypeError, "longdouble at 'a'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_OBJECTS)
def test_what_cannot_be_saved_is_refused(case, tmp_path):
    make, error, message = BAD_OBJECTS[case]
    with pytest.raises(error, match=message) as caught:
        fastbp.save(make(), tmp_path / "f")
    text = str(caught.value)
    assert text.startswith("save expects") and "; got " in text and text.endswith(".")
    assert not list(tmp_path.iterdir())


def saved(obj):
    file = io.BytesIO()
    fastbp.save(obj, file)
    return file.getvalue()


def pickled_by_pytorch():
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save({"w": torch.ones(2)}, file)
    return file.getvalue()


def network_file():
    file = io.BytesIO()
    fastbp.Sequential(fastbp.Linear(2, 3)).save(file)
    return file.getvalue()


GOOD = saved({"w": fastbp.ones(20)}).replace(b"fastbp.crc32", b"fastbp.other")  # no checksum
BAD_FILES = {
    "empty": (lambda: b"", "whole safetensors file"),
    "text": (lambda: b"hello, world, hello", "whole safetensors file"),
    "cut": (lambda: GOOD[:-3], "whole safetensors file"),
    "cut in the header": (lambda: GOOD[:30], "whole safetensors file"),
    "PyTorch's": (pickled_by_pytorch, "pickle wrote.*save_file"),
    "pickle": (lambda: b"\x80\x04K\x01.", "pickle wrote"),
    "of a later version": (lambda: GOOD.replace(b'version\\": 1', b'version\\": 7'), "version 7"),
    "of another kind": (lambda: GOOD.replace(b'\\"tensor\\"', b'\\"sensor\\"'), "sensor"),
    "without its tensor": (
        lambda: GOOD.replace(b'\\"tensor\\": \\"w\\"', b'\\"tensor\\": \\"v\\"'), "KeyError"
    ),
    "a network": (network_file, "Sequential.load reads"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_none_is_refused(case, tmp_path):
    make, message = BAD_FILES[case]
    (tmp_path / "f").write_bytes(make())
    assert make() != GOOD
    with pytest.raises(ValueError, match=message) as caught:
        fastbp.load(tmp_path / "f")
    text = str(caught.value)
    assert text.startswith("load expects") and "; got " in text


def test_another_place_and_no_file_are_refused(tmp_path):
    fastbp.save({}, tmp_path / "f")
    with pytest.raises(RuntimeError, match="cpu"):
        fastbp.load(tmp_path / "f", map_location="cuda:0")
    with pytest.raises(FileNotFoundError):
        fastbp.load(tmp_path / "none")


def test_a_checksum_is_the_same_under_every_python():
    """Newer ones know more of Unicode, and print as it is what older ones escape."""
    array, described = np.ones(1, np.float32), r"([], [('\xe9', 'float32', (1,))])"
    expected = zlib.crc32(array.tobytes(), zlib.crc32(described.encode()))
    assert files._checksum({"\u00e9": array}, {}) == str(expected)
