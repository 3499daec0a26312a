import gzip
import math
import os
import re
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fastbp import datasets

REAL_MNIST = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_bytes(array):
    array = np.asarray(array, np.uint8)
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def mnist_arrays():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (7, 28, 28), np.uint8)
    images[0, 0, :2] = 0, 255
    return [images, np.arange(3, 10), images[::-1][:4], [0, 9, 5, 5]]


def write_mnist(folder, suffix="", dotted=False, **replaced):
    """Write four small files; `replaced` maps train_labels and the like to other arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, mnist_arrays(), strict=True):
        array = replaced.get("_".join(name.split("-")[:2]), array)
        data = idx_bytes(array)
        file = folder / (name.replace("-idx", ".idx") if dotted else name)
        file = file.with_name(file.name + suffix)
        file.write_bytes(gzip.compress(data) if suffix else data)
    return folder


def assert_one_sentence(error, *fragments):
    text = str(error.value)
    assert re.fullmatch(r"\w+ expects [^;]+; got [^;]+\.", text), text
    assert ". " not in text, text
    for fragment in fragments:
        assert str(fragment) in text, text


def assert_split(split, x_shape, n_classes, one_hot_label):
    for x, t in split:
        assert x.dtype == np.float32 and x.flags.c_contiguous and x.shape[1:] == x_shape
        assert t.flags.c_contiguous
        if one_hot_label:
            assert t.dtype == np.float32 and t.shape == (len(x), n_classes)
            assert (t.sum(axis=1) == 1).all() and set(np.unique(t)) == {0, 1}
        else:
            assert t.dtype == np.int64 and t.shape == (len(x),)
            assert t.min() >= 0 and t.max() < n_classes


# scikit-learn's sets

SETS = {"load_digits": ((64,), 10), "load_iris": ((4,), 3), "load_wine": ((13,), 3), "load_breast_cancer": ((30,), 2)}
WITH_UNITS = ("load_wine", "load_breast_cancer", "load_diabetes")


@pytest.fixture
def sklearn_datasets():
    return pytest.importorskip("sklearn.datasets")


@pytest.mark.parametrize("one_hot_label", [False, True])
@pytest.mark.parametrize("name", SETS)
def test_sklearn_sets_shapes_and_dtypes(sklearn_datasets, name, one_hot_label):
    split = getattr(datasets, name)(one_hot_label=one_hot_label)
    assert_split(split, *SETS[name], one_hot_label)


@pytest.mark.parametrize("test_size", [0.2, 0.5, np.float32(0.1)])
@pytest.mark.parametrize("name", SETS)
def test_sklearn_sets_are_stratified(sklearn_datasets, name, test_size):
    (_, t_train), (_, t_test) = getattr(datasets, name)(test_size=test_size)
    train, test = np.bincount(t_train), np.bincount(t_test)
    np.testing.assert_array_equal(test, np.rint(test_size * (train + test)))


@pytest.mark.parametrize(
    "name, scale, options",
    [("load_digits", 16, {}), ("load_iris", 1, {}), *((name, 1, {"standardize": False}) for name in WITH_UNITS[:2])],
)
def test_sklearn_sets_keep_every_row_once(sklearn_datasets, name, scale, options):
    (x_train, t_train), (x_test, t_test) = getattr(datasets, name)(seed=3, **options)
    ours = np.column_stack([np.concatenate([x_train, x_test]), np.concatenate([t_train, t_test])])
    x, t = getattr(sklearn_datasets, name)(return_X_y=True)
    theirs = np.column_stack([(x / scale).astype(np.float32), t])
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


@pytest.mark.parametrize("name", SETS)
def test_sklearn_sets_shuffle_by_seed(sklearn_datasets, name):
    load = getattr(datasets, name)
    flat = [np.concatenate([a.ravel() for part in load(seed=s) for a in part]) for s in (5, 5, 6)]
    np.testing.assert_array_equal(flat[0], flat[1])
    assert (flat[0] != flat[2]).any()
    for _, t in load():
        assert (np.diff(t) < 0).any(), "rows are still sorted by class"


@pytest.mark.parametrize("name", WITH_UNITS)
def test_columns_are_standardised_by_the_training_rows(sklearn_datasets, name):
    load = getattr(datasets, name)
    (raw, t_raw), (raw_test, _) = load(standardize=False, seed=2)
    (x, t), (x_test, _) = load(seed=2)
    np.testing.assert_array_equal(t, t_raw)
    assert raw.max() > 100
    np.testing.assert_allclose(x, (raw - raw.mean(0, dtype=float)) / raw.std(0, dtype=float), atol=1e-5)
    np.testing.assert_allclose(x_test, (raw_test - raw.mean(0, dtype=float)) / raw.std(0, dtype=float), atol=1e-5)
    with pytest.raises(TypeError) as error:
        load(standardize="yes")
    assert_one_sentence(error, f"{name} expects standardize as True or False")


def test_a_column_that_is_the_same_in_few_rows_is_no_nan(sklearn_datasets):
    for seed in range(5):
        (x, _), (x_test, _) = datasets.load_diabetes(test_size=0.995, seed=seed)
        assert len(x) == 2 and np.isfinite(x).all() and np.isfinite(x_test).all()


def test_diabetes_is_a_regression_of_one_column(sklearn_datasets):
    split = datasets.load_diabetes(standardize=False, test_size=0.25)
    x, t = sklearn_datasets.load_diabetes(return_X_y=True, scaled=False)
    assert [len(part[0]) for part in split] == [332, 110]
    for part in split:
        assert part[0].dtype == part[1].dtype == np.float32 and part[1].shape == (len(part[0]), 1)
    ours = np.concatenate([np.column_stack(part) for part in split])
    theirs = np.column_stack([x, t]).astype(np.float32)
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])
    with pytest.raises(ValueError) as error:
        datasets.load_diabetes(test_size=0)
    assert_one_sentence(error, "load_diabetes expects test_size", "got 0 of 442 rows.")


def test_digits_are_scaled_to_one(sklearn_datasets):
    (x_train, _), (x_test, _) = datasets.load_digits()
    assert len(x_train) + len(x_test) == 1797
    assert x_train.min() == 0 and x_train.max() == 1


@pytest.mark.parametrize("classes", [(0, 1), [2, 0], np.array([1]), range(3), (2, 1, 0)])
def test_iris_renumbers_classes_in_the_order_given(sklearn_datasets, classes):
    x_all, t_all = sklearn_datasets.load_iris(return_X_y=True)
    split = datasets.load_iris(classes)
    assert_split(split, (4,), len(classes), one_hot_label=False)
    x = np.concatenate([x for x, _ in split])
    t = np.concatenate([t for _, t in split])
    assert len(x) == 50 * len(classes)
    for label, original in enumerate(classes):
        want = x_all[t_all == original].astype(np.float32)
        got = x[t == label]
        np.testing.assert_array_equal(got[np.lexsort(got.T)], want[np.lexsort(want.T)])


def test_iris_one_hot_has_a_column_for_each_class_kept(sklearn_datasets):
    assert_split(datasets.load_iris((2, 0), one_hot_label=True), (4,), 2, one_hot_label=True)


@pytest.mark.parametrize(
    "classes", [1, (), (0, 0), (0, 3), (-1, 0), (0.0, 1.0), (True, False), "01", {0, 1}, [[0, 1]], ("0", 1)], ids=repr
)
def test_iris_refuses_other_classes(classes):
    with pytest.raises(ValueError) as error:
        datasets.load_iris(classes)
    assert_one_sentence(error, "load_iris expects classes", f"got {classes!r}")


@pytest.mark.parametrize("test_size", [0, 1, 1.5, -0.2, 1e-3, 0.999, math.nan, True, "0.2", None])
@pytest.mark.parametrize("name", SETS)
def test_sklearn_sets_refuse_other_test_sizes(sklearn_datasets, name, test_size):
    with pytest.raises(ValueError) as error:
        getattr(datasets, name)(test_size=test_size)
    assert_one_sentence(error, f"{name} expects test_size", f"got {test_size!r}")


@pytest.mark.parametrize("name", [*SETS, "load_diabetes"])
def test_sklearn_missing_says_what_to_install(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError) as error:
        getattr(datasets, name)()
    assert_one_sentence(error, name, "pip install 'fastbp[all]'")


def test_import_leaves_sklearn_alone():
    code = "import sys; from fastbp import datasets; sys.exit('sklearn' in sys.modules)"
    # -P: not the source tree that pytest may have been started in
    folder = str(Path(datasets.__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": folder}
    subprocess.run([sys.executable, "-P", "-c", code], env=env, check=True)


# points that are drawn

DRAWN = {"spiral": 3, "moons": 2, "circles": 2}


@pytest.mark.parametrize("one_hot_label", [False, True])
@pytest.mark.parametrize("n", [200, 203])
@pytest.mark.parametrize("name", DRAWN)
def test_drawn_sets_shapes_and_dtypes(name, n, one_hot_label):
    split = getattr(datasets, name)(n, test_size=0.5, one_hot_label=one_hot_label)
    assert_split(split, (2,), DRAWN[name], one_hot_label)
    assert len(split[0][0]) + len(split[1][0]) == n


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_sets_follow_the_seed(name):
    draw = getattr(datasets, name)
    first, same, other = (draw(seed=seed)[0][0] for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    exact, noisy = (np.concatenate([x for x, _ in draw(noise=noise)]) for noise in (0, 0.5))
    assert np.abs(exact - noisy).mean() > 0.05


def all_points(split):
    """Every point with its class, sorted."""
    points = np.concatenate([np.column_stack(part) for part in split])
    return points[np.lexsort(points.round(5).T)]


@pytest.mark.parametrize("n", [60, 61])
@pytest.mark.parametrize("name", ["moons", "circles"])
def test_moons_and_circles_are_scikit_learns(sklearn_datasets, name, n):
    counts = (n - n // 2, n // 2)
    options = {"factor": 0.3} if name == "circles" else {}
    x, t = getattr(sklearn_datasets, f"make_{name}")(counts, noise=None, **options)
    ours, theirs = all_points(getattr(datasets, name)(n, 0, **options)), all_points([(x, t)])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_spirals_arms_are_one_arm_turned(classes):
    points = all_points(datasets.spiral(20 * classes, classes, 0))
    arms = [points[points[:, 2] == k] for k in range(classes)]
    for k, arm in enumerate(arms):
        turn = 2 * np.pi * k / classes
        x, y = arms[0][:, 0], arms[0][:, 1]
        turned = np.stack([x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)], axis=1)
        turned = turned[np.argsort(np.hypot(*turned.T))]
        np.testing.assert_allclose(arm[np.argsort(np.hypot(*arm[:, :2].T)), :2], turned, atol=1e-6)
    radius = np.sort(np.hypot(*arms[0][:, :2].T))
    np.testing.assert_allclose(radius, np.linspace(0, 1, 20), atol=1e-6)


@pytest.mark.parametrize(
    "call, fragment",
    [
        (lambda: datasets.spiral(5), "spiral expects n of at least 6; got 5."),
        (lambda: datasets.spiral(classes=1), "spiral expects classes of at least 2; got 1."),
        (lambda: datasets.moons(noise=-0.1), "moons expects noise as a finite number of at least 0; got -0.1."),
        (lambda: datasets.circles(factor=1.5), "circles expects factor between 0 and 1; got 1.5."),
        (lambda: datasets.moons(4), "moons expects test_size between 0 and 1 such that every class"),
        (lambda: datasets.moons(2**60), "moons expects points and coordinates whose product is at most"),
    ],
)
def test_drawn_sets_refuse(call, fragment):
    with pytest.raises(ValueError) as error:
        call()
    assert_one_sentence(error, fragment)


# MNIST


@pytest.mark.parametrize("one_hot_label", [False, True])
@pytest.mark.parametrize("flatten, x_shape", [(True, (784,)), (False, (1, 28, 28))])
@pytest.mark.parametrize("normalize", [True, False])
def test_mnist_options(tmp_path, normalize, flatten, x_shape, one_hot_label):
    split = datasets.load_mnist(
        write_mnist(tmp_path), normalize=normalize, flatten=flatten, one_hot_label=one_hot_label
    )
    assert_split(split, x_shape, 10, one_hot_label)
    arrays = mnist_arrays()
    for (x, t), images, labels in zip(split, arrays[::2], arrays[1::2], strict=True):
        want = images.astype(np.float32) / np.float32(255 if normalize else 1)
        np.testing.assert_array_equal(x, want.reshape(-1, *x_shape))
        np.testing.assert_array_equal(t, np.eye(10)[labels] if one_hot_label else labels)
    assert split[0][0].min() == 0 and split[0][0].max() == (1 if normalize else 255)


@pytest.mark.parametrize("subfolder", ["", "mnist"])
@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mnist_spellings_and_places(tmp_path, suffix, dotted, subfolder):
    write_mnist(tmp_path / subfolder, suffix, dotted)
    (x_train, t_train), (x_test, t_test) = datasets.load_mnist(bytes(tmp_path))
    assert x_train.shape == (7, 784) and x_test.shape == (4, 784)
    assert t_train.tolist() == [3, 4, 5, 6, 7, 8, 9] and t_test.tolist() == [0, 9, 5, 5]


def test_mnist_takes_all_files_from_one_folder(tmp_path):
    write_mnist(tmp_path / "mnist")
    (tmp_path / NAMES[1]).write_bytes(idx_bytes(np.zeros(7)))
    (_, t_train), _ = datasets.load_mnist(tmp_path)
    assert t_train.tolist() == [3, 4, 5, 6, 7, 8, 9]


def test_mnist_reads_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTBP_DATA", str(write_mnist(tmp_path)))
    assert datasets.load_mnist()[0][0].shape == (7, 784)


@pytest.mark.parametrize("value", [None, ""])
def test_mnist_without_directory_says_what_to_set(monkeypatch, value):
    monkeypatch.delenv("FASTBP_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("FASTBP_DATA", value)
    with pytest.raises(FileNotFoundError) as error:
        datasets.load_mnist()
    assert_one_sentence(error, "FASTBP_DATA", *NAMES)


@pytest.mark.parametrize("missing", [NAMES[:1], NAMES[2:], NAMES])
@pytest.mark.parametrize("subfolder", ["", "mnist"])
def test_mnist_names_missing_files(tmp_path, subfolder, missing):
    folder = write_mnist(tmp_path / subfolder)
    for name in missing:
        (folder / name).unlink()
    with pytest.raises(FileNotFoundError) as error:
        datasets.load_mnist(tmp_path)
    searched = tmp_path if len(missing) == len(NAMES) else folder
    assert_one_sentence(error, *NAMES, tmp_path, f"got no {', '.join(missing)} in {searched}.")


def test_mnist_names_missing_directory(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        datasets.load_mnist(tmp_path / "nowhere")
    assert_one_sentence(error, *NAMES, tmp_path / "nowhere")


@pytest.mark.parametrize(
    "part, array, fragment",
    [
        ("train_images", np.zeros((7, 28, 27)), "got shape (7, 28, 27)"),
        ("t10k_images", np.zeros((4, 784)), "got shape (4, 784)"),
        ("t10k_images", np.zeros((4, 28, 28, 1)), "got shape (4, 28, 28, 1)"),
        ("train_labels", np.zeros((7, 1)), "got shape (7, 1)"),
        ("train_labels", np.zeros(6), "got 7 images in"),
        ("t10k_labels", np.zeros(5), "and 5 labels in"),
        ("t10k_labels", [0, 1, 10, 255], "got 10 at row 2"),
    ],
)
def test_mnist_refuses_wrong_arrays(tmp_path, part, array, fragment):
    write_mnist(tmp_path, **{part: array})
    with pytest.raises(ValueError) as error:
        datasets.load_mnist(tmp_path)
    assert_one_sentence(error, tmp_path / part.replace("_", "-"), fragment)


@pytest.mark.skipif(not REAL_MNIST.is_dir(), reason="the real MNIST is not there")
def test_mnist_real(monkeypatch):
    monkeypatch.setenv("FASTBP_DATA", str(REAL_MNIST.parent))
    split = datasets.load_mnist()
    assert_split(split, (784,), 10, one_hot_label=False)
    (x_train, t_train), (x_test, t_test) = split
    assert x_train.shape == (60000, 784) and x_test.shape == (10000, 784)
    assert t_train[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert np.bincount(t_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert x_train.mean() == pytest.approx(0.1307, abs=1e-4)
    assert x_train.std() == pytest.approx(0.3081, abs=1e-4)


def test_mnist_in_no_folder_is_told_in_one_sentence():
    with pytest.raises(FileNotFoundError, match=r"load_mnist expects .* in ~no-such-user/x or"):
        datasets.load_mnist("~no-such-user/x")
    with pytest.raises(TypeError, match="load_mnist expects directory as the name of a folder"):
        datasets.load_mnist(3)


# IDX


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("shape", [(1,), (5,), (2, 3), (4, 28, 28), (2, 1, 3, 2)])
def test_idx_round_trip(tmp_path, shape, compress):
    array = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    file = tmp_path / "any.name"
    file.write_bytes(compress(idx_bytes(array)))
    for path in (file, str(file), bytes(file)):
        got = datasets.read_idx(path)
        assert got.dtype == np.uint8 and got.flags.c_contiguous and got.flags.writeable
        np.testing.assert_array_equal(got, array)


def test_idx_longer_than_one_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.mnist, "_CHUNK", 16)
    array = np.arange(100) % 251
    (tmp_path / "f").write_bytes(idx_bytes(array))
    np.testing.assert_array_equal(datasets.read_idx(tmp_path / "f"), array)


GOOD_IDX = idx_bytes(np.arange(6).reshape(2, 3))
HUGE = 2**32 - 1


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    "data, fragment",
    [
        (b"", "got no bytes"),
        (b"\0\0\x08", "got 00 00 08"),
        (b"\0\1" + GOOD_IDX[2:], "got 00 01 08 02"),
        (b"\0\0\x0d" + GOOD_IDX[3:], "got 00 00 0d 02"),
        (b"\0\0\x08\0\0\0\0\1\0", "got 00 00 08 00"),
        (b"\0\0\x08\x41" + b"\0\0\0\1" * 65 + b"\0", "got 00 00 08 41"),
        (GOOD_IDX[:11], "8 bytes of sizes for 2 dimensions; got 7"),
        (GOOD_IDX[:12], "hold 6 bytes after its header, which says shape (2, 3); got only 0"),
        (GOOD_IDX[:-1], "hold 6 bytes after its header, which says shape (2, 3); got only 5"),
        (GOOD_IDX + b"\0", "hold 6 bytes after its header, which says shape (2, 3); got more"),
        (struct.pack(">4B3I", 0, 0, 8, 3, HUGE, HUGE, 0), "got shape (4294967295, 4294967295, 0)"),
    ],
    ids=range(11),
)
def test_idx_refuses_damage(tmp_path, compress, data, fragment):
    file = tmp_path / "bad-idx"
    file.write_bytes(compress(data))
    with pytest.raises(ValueError) as error:
        datasets.read_idx(file)
    assert_one_sentence(error, f"read_idx expects {file}", fragment)


def flip(data, position):
    data = bytearray(data)
    data[position] ^= 0xFF
    return bytes(data)


SOUND_GZIP = gzip.compress(idx_bytes(np.random.default_rng(2).integers(0, 256, 5000)))


@pytest.mark.parametrize(
    "data",
    [
        *(SOUND_GZIP[:n] for n in (2, 5, 10, 12, 100, len(SOUND_GZIP) // 2)),
        *(SOUND_GZIP[:-n] for n in (8, 4, 1)),
        *(flip(SOUND_GZIP, position) for position in (2, 11, -8, -1)),
        SOUND_GZIP + b"not gzip",
    ],
    ids=range(14),
)
def test_idx_refuses_damaged_gzip(tmp_path, data):
    file = tmp_path / "bad.gz"
    file.write_bytes(data)
    with pytest.raises(ValueError) as error:
        datasets.read_idx(file)
    assert_one_sentence(error, f"read_idx expects {file} to be sound gzip data")


def test_idx_survives_any_byte_flipped_or_cut(tmp_path):
    sound = gzip.compress(GOOD_IDX, mtime=0)
    file = tmp_path / "fuzzed.gz"
    for data in [*(flip(sound, position) for position in range(len(sound))), *(sound[:n] for n in range(len(sound)))]:
        file.write_bytes(data)
        try:
            got = datasets.read_idx(file)
        except ValueError as error:
            assert str(file) in str(error)
        else:  # only the time stamp, flags without effect and the system's byte are unprotected
            np.testing.assert_array_equal(got, np.arange(6).reshape(2, 3))


def zeros_bomb():
    """About 1 GB of zeros in 1 MB, as gzip members in a row."""
    return gzip.compress(bytes(1 << 20)) * 1000


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    "shape, tail",
    [
        ((HUGE, HUGE, HUGE), lambda: b""),
        ((HUGE,) * 64, lambda: b""),
        ((1 << 30, 28, 28), lambda: b""),
        ((10,), zeros_bomb),
    ],
    ids=["overflow", "overflow_64d", "too_big", "bomb"],
)
def test_idx_allocates_no_more_than_the_data(tmp_path, compress, shape, tail):
    header = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
    file = tmp_path / "absurd-idx"
    file.write_bytes(compress(header + b"some data") + tail())
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as error:
            datasets.read_idx(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert_one_sentence(error, file, f"which says shape {shape}")
    assert peak < 3 * datasets.mnist._CHUNK


@pytest.mark.parametrize("name", ["absent", "."])
def test_idx_names_missing_file(tmp_path, name):
    file = tmp_path / name
    with pytest.raises(FileNotFoundError) as error:
        datasets.read_idx(file)
    assert_one_sentence(error, f"a file {file.name} in {file.parent}")


# one_hot


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64, list])
@pytest.mark.parametrize("n_classes, columns", [(None, 4), (4, 4), (np.int64(300), 300)])
def test_one_hot_rows(n_classes, columns, dtype):
    t = [0, 3, 1, 3]
    rows = datasets.one_hot(t if dtype is list else np.array(t, dtype), n_classes)
    assert rows.dtype == np.float32 and rows.flags.c_contiguous
    np.testing.assert_array_equal(rows, np.eye(columns)[t])


def test_one_hot_default_width_does_not_wrap():
    assert datasets.one_hot(np.array([127], np.int8)).shape == (1, 128)
    assert datasets.one_hot(np.array([255], np.uint8)).shape == (1, 256)


@pytest.mark.parametrize("empty", [[], np.empty(0, np.int64)])
def test_one_hot_of_nothing_needs_n_classes(empty):
    assert datasets.one_hot(empty, 3).shape == (0, 3)
    with pytest.raises(ValueError) as error:
        datasets.one_hot(empty)
    assert_one_sentence(error, "one_hot expects n_classes when t is empty")


@pytest.mark.parametrize(
    "t, n_classes, text",
    [
        ([0, 1, 2, 12], 10, "class indices 0..9 of shape (N,); got 12 at row 3."),
        ([0, 10], 10, "class indices 0..9 of shape (N,); got 10 at row 1."),
        ([5, -1, -2], 10, "class indices 0..9 of shape (N,); got -1 at row 1."),
        ([5, -1], None, "class indices from 0 up of shape (N,); got -1 at row 1."),
        ([-3], None, "class indices from 0 up of shape (N,); got -3 at row 0."),
        (np.array([2**64 - 1], np.uint64), 2, "got 18446744073709551615 at row 0."),
        ([[0, 1]], 10, "class indices 0..9 of shape (N,); got shape (1, 2)."),
        (3, 10, "class indices 0..9 of shape (N,); got shape ()."),
        (np.empty((0, 3), int), 10, "class indices 0..9 of shape (N,); got shape (0, 3)."),
        ([0], 0, "one_hot expects n_classes as a positive integer; got 0."),
        ([0], -2, "one_hot expects n_classes as a positive integer; got -2."),
        ([0], 2.0, "one_hot expects n_classes as a positive integer; got 2.0."),
        ([0], True, "one_hot expects n_classes as a positive integer; got True."),
        ([0], "3", "one_hot expects n_classes as a positive integer; got '3'."),
    ],
)
def test_one_hot_refuses_values(t, n_classes, text):
    with pytest.raises(ValueError) as error:
        datasets.one_hot(t, n_classes)
    assert_one_sentence(error, text)


@pytest.mark.parametrize(
    "t",
    [
        np.array([True, False]),
        [0.0, 1.0],
        [0, math.nan],
        np.array([0, 1], object),
        [0, None],
        ["0", "1"],
        [1j],
        [2**70],
    ],
    ids=repr,
)
@pytest.mark.parametrize("n_classes", [None, 10])
def test_one_hot_refuses_dtypes(t, n_classes):
    with pytest.raises(TypeError) as error:
        datasets.one_hot(t, n_classes)
    assert_one_sentence(error, "one_hot expects t as class", f"got dtype {np.asarray(t).dtype}.")


@pytest.mark.parametrize(
    "call, name", [(datasets.one_hot, "one_hot expects t"), (datasets.load_iris, "load_iris expects classes")]
)
def test_ragged_rows_are_one_sentence(call, name):
    with pytest.raises(ValueError) as error:
        call([[0], [1, 2]])
    assert_one_sentence(error, f"{name} as a rectangular array; got rows of different lengths")
