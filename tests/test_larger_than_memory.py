"""Rows in files that have more bytes than the process may have: mapped, or a shard for each rank."""

import sys
from pathlib import Path

import numpy as np
import pytest
import ranks

from fastbp import SGD, Linear, Relu, Sequential

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

N_FEATURES, N_CLASSES = 800, 4
#: Rows of the file: 64 MB, of each dtype; and the megabytes that a training may take besides.
ROWS = {"uint8": 80_000, "float32": 20_000}
MORE = 24
#: Rows of each rank's shard.
SHARD = 8000

#: What the programs share: `limited(megabytes)` bounds the memory of this process's own, from now on.
START = f"""
import resource, sys, warnings
import numpy as np
from fastbp import SGD, Linear, Relu, Sequential
warnings.simplefilter("ignore")

def limited(megabytes):
    with open("/proc/self/status") as file:
        taken = next(int(line.split()[1]) for line in file if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, ((taken << 10) + (megabytes << 20), -1))

def network():
    return Sequential(Linear({N_FEATURES}, 8, seed=0), Relu(), Linear(8, {N_CLASSES}, seed=1),
                      loss="softmax_cross_entropy")

def train(x, t, held_out, **more):
    net = network()
    net.fit(x, t, epochs=1, batch_size=100, optimizer=SGD(lr=1e-3), n_threads=1, validation_data=held_out, seed=0,
            **more)
    return net
"""
MAPPED = (
    START
    + """
def use(kind, x, t, held_out):
    if kind == "net":
        net = train(x, t, held_out)
        net.predict(x), net.accuracy(x, t)
        return
    from fastbp import estimators
    options = {"hidden_layer_sizes": (8,), "max_iter": 1, "random_state": 0, "n_threads": 1}
    model = getattr(estimators, kind)(**options)
    model.fit(x, t, validation_data=held_out)
    model.predict(x), model.score(x, t), model.partial_fit(x, t)
    getattr(estimators, kind)(**options, early_stopping=True).fit(x, t)

folder, *kinds = sys.argv[1:]
files = [np.load(f"{folder}/{dtype}.npy", mmap_mode="r") for dtype in ("uint8", "float32")]
for limits in (False, True):  # the first trainings import
    if limits:
        limited(MORE)
    for x in files:
        x = x if limits else x[:1000].copy()
        t = np.arange(len(x)) % 4
        for kind in kinds:
            use(kind, x, t, (x[-5000:], t[-5000:]))
for x in files:
    try:
        np.array(x)
    except MemoryError:
        print("no memory for a copy")
""".replace("MORE", str(MORE))
)
SHARDS = (
    START
    + """
from mpi4py import MPI

def read_npy(path):
    return np.load(f"{path}.npy", mmap_mode="r"), np.load(f"{path}-t.npy")

READ_PARQUET

comm = MPI.COMM_WORLD
x, t = np.ones((200, FEATURES), "f4"), np.arange(200) % 4
train(x, t, (x, t), comm=comm, rows="own")  # which imports
shard, form = f"shard-{comm.rank}", sys.argv[1]
small = f"small-{comm.rank}"
if form == "parquet":
    read_parquet(f"{small}.parquet", "t")
    limited(MORE + (SHARD * FEATURES * 4 >> 20))
    x, t = read_parquet(f"{shard}.parquet", "t")
else:
    limited(MORE)
    x, t = read_npy(shard)
net = train(x, t, (x[:500], t[:500]), comm=comm, rows="own")
np.savez(f"{form}-{comm.rank}.npz", net.history.train_loss, *net.params.values())
""".replace("MORE", str(MORE))
    .replace("FEATURES", str(N_FEATURES))
    .replace("SHARD", str(SHARD))
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of rows of each dtype."""
    folder = tmp_path_factory.mktemp("rows")
    some = np.random.default_rng(0).integers(0, 9, (1000, N_FEATURES), np.uint8)
    for dtype, n in ROWS.items():
        file = np.lib.format.open_memmap(folder / f"{dtype}.npy", "w+", dtype, (n, N_FEATURES))
        for start in range(0, n, len(some)):
            file[start : start + len(some)] = some
        assert file.nbytes > 2 * MORE * 2**20
        del file
    return folder


@pytest.mark.parametrize("kinds", [["net"], ["MLPClassifier", "MLPRegressor"]], ids=["net", "estimators"])
def test_mapped_files_are_trained_in_less_memory_than_they_have(kinds, files, run_python):
    if kinds != ["net"]:
        pytest.importorskip("sklearn")
    done = run_python("-c", MAPPED, str(files), *kinds)
    assert (done.returncode, done.stdout) == (0, "no memory for a copy\n" * 2), done.stderr


def reader_of_the_docs():
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text("utf-8")
    return page.partition("```python\ndef read_parquet")[2].partition("```")[0].join(["def read_parquet", ""])


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A shard of rows for each of two ranks, as .npy and as Parquet; the folder and the arrays."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path_factory.mktemp("shards")
    rng, arrays = np.random.default_rng(1), []
    for rank, n in enumerate((SHARD, SHARD - 700)):
        x, t = rng.standard_normal((n, N_FEATURES), np.float32), rng.integers(0, N_CLASSES, n)
        np.save(folder / f"shard-{rank}.npy", x)
        np.save(folder / f"shard-{rank}-t.npy", t)
        for name, some in (("small", slice(0, 10)), ("shard", slice(0, n))):
            columns = {f"x{k}": column for k, column in enumerate(x[some].T)}
            table = pyarrow.table({**columns, "t": t[some]})
            parquet.write_table(table, folder / f"{name}-{rank}.parquet", row_group_size=1000, compression="none")
        arrays.append((x, t))
    return folder, arrays


@pytest.mark.parametrize("form", ["npy", "parquet"])
def test_each_rank_trains_on_its_shard_in_little_more_memory(form, shards):
    folder, arrays = shards
    ranks.run_program(2, SHARDS.replace("READ_PARQUET", reader_of_the_docs()), form, folder=folder)

    def train(comm):
        x, t = arrays[comm.rank]
        net = Sequential(
            Linear(N_FEATURES, 8, seed=0), Relu(), Linear(8, N_CLASSES, seed=1), loss="softmax_cross_entropy"
        )
        options = {"epochs": 1, "batch_size": 100, "optimizer": SGD(lr=1e-3), "n_threads": 1, "seed": 0}
        history = net.fit(x, t, comm=comm, rows="own", validation_data=(x[:500], t[:500]), **options)
        return [np.array(history.train_loss), *net.params.values()]

    expected = ranks.results(2, train)[0]
    found = [list(np.load(folder / f"{form}-{rank}.npz").values()) for rank in range(2)]
    for ours, other, theirs in zip(*found, expected, strict=True):
        assert ours.tobytes() == other.tobytes()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6)
