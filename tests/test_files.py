"""`save` and `load`: what comes back, who else reads it, and files that are not whole."""

import io
import math
import os
import signal
import stat
import sys
import threading
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
        for d in (
            fastbp.float16,
            fastbp.float32,
            fastbp.float64,
            fastbp.int64,
            fastbp.int32,
            fastbp.int16,
            fastbp.int8,
            fastbp.uint8,
            fastbp.bool,
        )
    },
    "views": lambda: {"T": fastbp.arange(6.0).reshape(2, 3).T, "every": fastbp.arange(9)[::2]},
    "arrays": lambda: [np.arange(3), np.asfortranarray(np.ones((2, 3), ">f4")), np.array(True)],
    "plain": lambda: {"a": 1, "b": [1.5, None, True, "text, é"], "c": (1, (2, [])), "d": {}},
    "keys": lambda: {0: "a", "0": "b", None: "c", 1.5: "d"},
    "numbers at the end": lambda: [math.inf, -math.inf, math.nan, 10**40, 1e-320],
    "names that meet": lambda: {
        "a": {"b": fastbp.ones(1)},
        "a.b": fastbp.zeros(2),
        "__metadata__": fastbp.ones(3),
        "": fastbp.ones(4),
    },
    "a checkpoint": lambda: {
        "epoch": 3,
        "loss": 0.25,
        "model_state_dict": {"0.weight": fastbp.ones(3, 2), "0.bias": fastbp.zeros(3)},
        "optimizer_state_dict": trained().state_dict(),
    },
}


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
    monkeypatch.setattr(files.arrays, "write_whole", lambda path, data: seen.append(path))
    net.save(tmp_path / "net")
    fastbp.save({}, tmp_path / "dict")
    assert [path.name for path in seen] == ["net", "dict"]


def circle():
    obj = []
    obj.append(obj)
    return obj


BAD_OBJECTS = {
    "a network": (lambda: fastbp.Sequential(fastbp.Linear(2, 3)), TypeError, r"state_dict\(\).*Sequential"),
    "a network within": (lambda: {"model": fastbp.Sequential(fastbp.Linear(2, 3))}, TypeError, "'model'"),
    "an optimiser": (trained, TypeError, r"state_dict\(\).*Adam"),
    "an object": (lambda: {"a": [object()]}, TypeError, "object.*at 'a.0'"),
    "a set": (lambda: {1, 2}, TypeError, "set"),
    "a key": (lambda: {(1, 2): 3}, TypeError, r"keys.*\(1, 2\)"),
    "strings": (lambda: np.array(["a"]), TypeError, "<U1"),
    "complex": (lambda: {"a": np.ones(2) * 1j}, TypeError, "complex128 at 'a'"),
    "a circle": (circle, ValueError, "hold themselves"),
    "a huge integer": (lambda: {"a": 10**5000}, ValueError, "thousands of digits"),
    "a long double": (lambda: {"a": np.longdouble(1)}, TypeError, "longdouble at 'a'"),
}


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
    "without its tensor": (lambda: GOOD.replace(b'\\"tensor\\": \\"w\\"', b'\\"tensor\\": \\"v\\"'), "KeyError"),
    "a network": (network_file, "Sequential.load reads"),
}


@pytest.mark.parametrize("load", [fastbp.load, fastbp.Sequential.load, fastbp.TableModel.load, fastbp.tables.read])
def test_a_folder_is_refused_in_a_sentence(load, tmp_path):
    with pytest.raises(IsADirectoryError, match=r"expects path of a file; got '.*', a folder\.$"):
        load(tmp_path)


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
    assert files.arrays._checksum({"\u00e9": array}, {}) == str(expected)


# --- while others write ---------------------------------------------------------------------


@pytest.fixture
def stepping():
    """stepping(step): call it in another thread until the test ends."""
    threads, end, interval = [], threading.Event(), sys.getswitchinterval()

    def start(step):
        def run():
            while not end.is_set():
                step()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    sys.setswitchinterval(1e-5)
    yield start
    end.set()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("width", [3, 100, 700], ids=["small", "middle", "large"])
def test_a_file_has_the_parameters_of_one_step(width, stepping, tmp_path):
    tensors = [fastbp.zeros(width, width), fastbp.zeros(width), fastbp.zeros(width, 5)]
    optimizer = optim.SGD([t.requires_grad_() for t in tensors], lr=1.0)
    for tensor in tensors:
        tensor.grad = -fastbp.ones(*tensor.shape)
    stepping(optimizer.step)
    steps = set()
    for _ in range(30):
        fastbp.save(tensors, tmp_path / "f")
        values = {x for t in fastbp.load(tmp_path / "f") for x in np.unique(t.detach().array)}
        assert len(values) == 1 or not getattr(sys, "_is_gil_enabled", lambda: True)()
        steps |= values
    assert len(steps) > 1


@pytest.mark.parametrize("kind", ["state dicts", "a network", "an array"])
def test_files_written_while_a_thread_trains_can_be_read(kind, stepping, tmp_path):
    from fastbp import nn

    model = nn.Sequential(nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 10))
    optimizer = optim.Adam(model.parameters())
    x, t = fastbp.ones(8, 300), fastbp.zeros(8, dtype=fastbp.int64)
    array, path = np.zeros((500, 500)), tmp_path / "f"

    def step():
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(model(x), t).backward()
        optimizer.step()
        np.add(array, 1, out=array)

    stepping(step)
    for _ in range(20):
        if kind == "a network":
            model.save(path)
            fastbp.Sequential.load(path)
        else:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            fastbp.save(array if kind == "an array" else state, path)
            fastbp.load(path)


def test_a_trainers_step_is_in_all_parameters_or_in_none(stepping):
    """Where another thread looks at the network between its steps."""
    net = fastbp.Sequential(
        *(fastbp.Affine(np.zeros((40, 40), "f4"), np.zeros(40, "f4")) for _ in range(6)), loss="squared_error"
    )
    trainer = fastbp.Trainer(net, optim.SGD(lr=1.0), batch_size=1)
    x, t = np.zeros((1, 40), "f4"), -np.full((1, 40), 20, "f4")
    counts = set()

    def look():
        try:
            net.params["W1"]
        except RuntimeError as error:  # a step runs
            assert "one thread at a time" in str(error)

    stepping(look)
    for _ in range(200):
        trainer.step(x, t)
        file = io.BytesIO()
        net.save(file)
        file.seek(0)
        again = fastbp.Sequential.load(file)
        for name, array in again.params.items():
            np.testing.assert_array_equal(array, net.params[name])
        counts.add(again.params["b6"][0])
    assert len(counts) > 1


def test_a_network_that_another_thread_trains_is_saved_whole_or_refused(stepping):
    net = fastbp.Sequential(fastbp.Linear(30, 30, seed=0), fastbp.Linear(30, 2, seed=1), loss="softmax_cross_entropy")
    trainer = fastbp.Trainer(net, optim.SGD(lr=0.1), batch_size=4)
    x, t = np.ones((4, 30), "f4"), np.array([0, 1, 1, 0])
    stepping(lambda: trainer.step(x, t))
    for _ in range(50):
        file = io.BytesIO()
        try:
            net.save(file)
        except RuntimeError as error:
            assert "one thread at a time" in str(error) and not file.getvalue()
        else:
            file.seek(0)
            fastbp.Sequential.load(file)


# --- who may read it ------------------------------------------------------------------------


@pytest.fixture
def modes(monkeypatch):
    """The modes under which bytes were in a file, at each flush and renaming."""
    seen, flush = [], os.fsync

    def fsync(descriptor):
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            seen.append(stat.S_IMODE(status.st_mode))
        return flush(descriptor)

    chmod = os.chmod

    def watched(path, mode, **options):
        seen.append(stat.S_IMODE(os.stat(path).st_mode))
        return chmod(path, mode, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "chmod", watched)
    return seen


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o400])
def test_nobody_else_can_read_a_private_file_while_it_is_written(mode, modes, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"secret")
    os.chmod(path, mode)
    if not os.access(path, os.W_OK):
        pytest.skip("may not be written to")
    modes.clear()
    before = os.umask(0)
    try:
        fastbp.save({"w": fastbp.ones(3)}, path)
    finally:
        os.umask(before)
    assert modes and all(seen in (0o600, mode) for seen in modes)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "chown") or os.getuid(), reason="needs to be root")
def test_a_file_keeps_its_owner_and_its_group(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    os.chmod(path, 0o640)
    os.chown(path, 12345, 54321)
    fastbp.save([1], path)
    status = path.stat()
    assert (status.st_uid, status.st_gid) == (12345, 54321)
    assert stat.S_IMODE(status.st_mode) == 0o640 and fastbp.load(path) == [1]


@pytest.mark.skipif(not hasattr(os, "chown"), reason="needs groups")
def test_another_group_does_not_get_the_rights_of_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    os.chmod(path, 0o664)

    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    real = os.stat

    def of_another_group(name, *arguments, **options):
        status = real(name, *arguments, **options)
        if name == str(path):
            return os.stat_result([*status[:5], status[5] + 1, *status[6:]])
        return status

    monkeypatch.setattr(os, "chown", refused)
    monkeypatch.setattr(os, "stat", of_another_group)
    fastbp.save([1], path)
    assert stat.S_IMODE(real(path).st_mode) == 0o604


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="needs attributes of files")
def test_a_file_keeps_its_attributes(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.origin", b"here")
    except OSError:
        pytest.skip("the file system has none")
    fastbp.save([1], path)
    assert os.getxattr(path, "user.origin") == b"here"


def test_other_hard_links_keep_the_earlier_file(tmp_path):
    path, other = tmp_path / "f", tmp_path / "other"
    fastbp.save([1], path)
    os.link(path, other)
    fastbp.save([2], path)
    assert (fastbp.load(path), fastbp.load(other)) == ([2], [1])


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid(), reason="needs to be root")
def test_what_is_read_only_is_said_in_a_sentence(tmp_path, run_python):
    """As another user than root, whom permissions do not stop."""
    folder, locked = tmp_path / "open", tmp_path / "locked"
    folder.mkdir()
    locked.mkdir()
    for parent in [tmp_path, *tmp_path.parents][:4]:
        parent.chmod(parent.stat().st_mode | 0o055)
    code = f"""
import os, fastbp
net = fastbp.Sequential(fastbp.Linear(2, 2))
os.chmod({str(folder)!r}, 0o777)
os.umask(0)
fastbp.save([1], {str(folder / "f")!r})
os.chmod({str(folder / "f")!r}, 0o444)
os.chmod({str(locked)!r}, 0o555)
os.setuid(65534)
for path in ({str(folder / "f")!r}, {str(locked / "f")!r}):
    for write in (net.save, lambda path: fastbp.save([2], path)):
        try:
            write(path)
        except PermissionError as error:
            print(error)
print(fastbp.load({str(folder / "f")!r}))
"""
    lines = run_python("-c", code).stdout.splitlines()
    assert len(lines) == 5 and lines[-1] == "[1]"
    for line in lines[:2]:
        assert "save expects a file that may be written to; got " in line and "read-only." in line
    for line in lines[2:4]:
        assert "save expects a file in a folder that can be written to; got " in line


def test_a_folder_or_a_circle_of_links_is_refused(tmp_path):
    (tmp_path / "link").symlink_to("link")
    for path in (tmp_path, tmp_path / "link"):
        with pytest.raises(OSError, match=r"save expects the path of a file; got .*\."):
            fastbp.save([1], path)
    assert (tmp_path / "link").is_symlink()


def test_no_room_is_said_with_the_path_that_was_asked_for(tmp_path, run_python):
    """A file may have 100 KB; what was there stays."""
    pytest.importorskip("resource")
    code = """
import os, resource, fastbp, numpy as np
fastbp.save([1], "f")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    fastbp.save(np.ones(10**5), "f")
except OSError as error:
    print(error.errno, error)
print(fastbp.load("f"), os.listdir("."))
"""
    (tmp_path / "program.py").write_text(code)
    done = run_python("-c", f"import os; os.chdir({str(tmp_path)!r}); exec(open('program.py').read())")
    said, left = done.stdout.splitlines()
    assert said.endswith("so nothing was written, and what was there stays: 'f'")
    assert eval(left.partition("] ")[2]) == ["program.py", "f"] or "part" not in left
    assert left.startswith("[1]")


def test_a_file_that_takes_nothing_is_refused():
    class Full(io.RawIOBase):
        taken: int | None = 0

        def writable(self):
            return True

        def write(self, data):
            return self.taken

    for taken in (0, None):
        full = Full()
        full.taken = taken
        with pytest.raises(BlockingIOError, match=r"save expects a file that takes bytes.* last"):
            fastbp.save([1], full)


# --- signals --------------------------------------------------------------------------------

INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
import fastbp

name = {"INT": signal.SIGINT, "TERM": signal.SIGTERM}[sys.argv[1]]
state, ended, rng = {"w": np.ones(300_000)}, 0, np.random.default_rng(0)
fastbp.save(state, "f")

def leave(*_):
    raise KeyboardInterrupt if name == signal.SIGINT else SystemExit(7)

def send(pause):
    for _ in range(3):  # within milliseconds
        time.sleep(pause)
        os.kill(os.getpid(), name)

for _ in range(60):
    signal.signal(name, leave)
    sender = threading.Thread(target=send, args=[rng.uniform(5e-4, 4e-3)])
    try:
        sender.start()
        while sender.is_alive():
            fastbp.save(state, "f")
    except (KeyboardInterrupt, SystemExit):
        ended += 1
    while True:
        try:
            while sender.is_alive():
                time.sleep(1e-4)
            signal.signal(name, lambda *_: None)
            break
        except (KeyboardInterrupt, SystemExit):
            pass
    fastbp.load("f")
    assert os.listdir(".") == ["f"], os.listdir(".")
print(ended > 10)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_signals_within_milliseconds_leave_no_part_of_a_file(name, tmp_path, run_python):
    (tmp_path / "work").mkdir()
    (tmp_path / "program.py").write_text(INTERRUPTED)
    code = f"import os, sys; os.chdir({str(tmp_path / 'work')!r}); exec(open({str(tmp_path / 'program.py')!r}).read())"
    done = run_python("-c", code, name)
    assert done.stdout == "True\n", done.stderr[-2000:]


def test_what_a_handler_raises_comes_when_the_file_is_whole(tmp_path, monkeypatch):
    path, replace = tmp_path / "f", os.replace

    def late(*arguments):
        signal.raise_signal(signal.SIGINT)
        return replace(*arguments)

    monkeypatch.setattr(os, "replace", late)
    with pytest.raises(KeyboardInterrupt):
        fastbp.save([1], path)
    monkeypatch.undo()
    assert fastbp.load(path) == [1] and list(tmp_path.iterdir()) == [path]


def test_a_file_can_be_saved_when_the_interpreter_ends(tmp_path, run_python):
    code = f"""
import atexit, fastbp
atexit.register(fastbp.save, [1], {str(tmp_path / "f")!r})
class Late:
    def __del__(self, save=fastbp.save):
        save([2], {str(tmp_path / "g")!r})
late = Late()
"""
    done = run_python("-c", code)
    assert fastbp.load(tmp_path / "f") == [1], done.stderr


# --- ties -----------------------------------------------------------------------------------


def test_ties_between_tensors_come_back(tmp_path):
    torch_like = pytest.importorskip("safetensors.numpy")
    x = fastbp.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    array = np.arange(3.0)
    fastbp.save(
        {
            "x": x,
            "same": x,
            "memory": x.detach(),
            "t": x.detach().t(),
            "a": [array, array],
            "apart": x.detach().clone(),
            "empty": [np.empty(0), np.empty(0)],
        },
        tmp_path / "ties",
    )
    back = fastbp.load(tmp_path / "ties")
    assert back["same"] is back["x"] and back["x"].requires_grad
    assert back["memory"] is not back["x"] and not back["memory"].requires_grad
    assert back["a"][0] is back["a"][1] and back["empty"][0] is not back["empty"][1]
    with fastbp.no_grad():
        back["x"][0, 1] = 9.0
    assert back["memory"][0, 1] == 9 and back["t"][1, 0] == 9 and back["apart"][0, 1] == 2
    assert back["t"].shape == (3, 2)
    names = torch_like.load_file(tmp_path / "ties").keys()  # each place has its own
    assert {"x", "same", "memory", "t", "a.0", "a.1", "apart"} <= names


def test_a_tied_state_dict_is_whole_for_others_and_ties_what_takes_it(tmp_path):
    pytest.importorskip("safetensors")

    class Tied(fastbp.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = fastbp.nn.Linear(3, 3), fastbp.nn.Linear(3, 3)
            self.b.weight = self.a.weight

    one, other = Tied(), Tied()
    fastbp.save(one.state_dict(), tmp_path / "tied")
    state = fastbp.load(tmp_path / "tied")
    assert list(state) == list(one.state_dict())
    other.load_state_dict(state)
    assert other.b.weight is other.a.weight
    np.testing.assert_array_equal(other.a.weight.detach().numpy(), one.a.weight.detach().numpy())
