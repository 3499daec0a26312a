"""The benches: both sides do the same work, the arithmetic of times, what may be timed, and
the README's table from a stored run."""

import contextlib
import json
import os
import re
import shutil
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastbp
from fastbp import _kernels

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))  # at the end: the fastbp under test stays the one it is

from bench import (  # noqa: E402
    AT_START,
    UNLOCKED,
    activations,
    agreement,
    apart,
    autograd,
    book,
    cases,
    compiler,
    elementwise,
    epochs,
    estimators,
    export,
    fit,
    grid,
    kernels,
    layers,
    life,
    measure,
    memory,
    mixed,
    peak,
    peers,
    predict,
    ranks,
    report,
    settings,
    sparse,
    sweeps,
    tables,
    tasks,
    threads,
    trees,
    unlocked,
)

# --- the same work --------------------------------------------------------------------------


def assert_same(ours, theirs, dtype):
    """Relative to the greatest number, as both sides round in their own order."""
    assert np.shape(ours) == np.shape(theirs)
    scale = np.abs(theirs).max()
    assert np.abs(np.subtract(ours, theirs)).max() <= 50 * np.finfo(dtype).eps * scale


def test_every_kernel_has_a_bench():
    assert set(cases.kernel_pairs(2, 3, 4, "float64")) == set(cases.KERNELS)
    others = {*cases.OTHERS, *cases.FAMILIES}
    assert set(_kernels.__all__) - set(cases.KERNELS) == others


@pytest.mark.parametrize("kernel", [name for name in cases.KERNELS if name != "dropout"])
def test_kernel_bench_does_the_same_work(kernel, dtype):
    ours, theirs, outputs = cases.kernel_pairs(7, 5, 6, dtype)[kernel]
    value, expected = ours(), theirs()
    got = outputs if value is None else (value, *outputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert len(got) == len(expected)
    for mine, other in zip(got, expected, strict=True):
        assert_same(mine, other, dtype)


def test_dropout_bench_does_the_same_work_with_another_mask(dtype):
    ours, theirs, (out,) = cases.elementwise_pairs(10_000, dtype)["dropout"]
    ours()
    expected = theirs()
    assert expected.dtype == out.dtype
    kept = (out != 0) & (expected != 0)
    assert_same(out[kept], expected[kept], dtype)
    for side in (out, expected):
        assert abs(np.mean(side == 0) - 0.5) < 0.03


@pytest.mark.parametrize("name", cases.LAYERS)
def test_layer_bench_does_the_same_work(name, dtype):
    sides, (layer, *_) = cases.layer_sides(name, 7, 5, 6, dtype)
    ours = sides.pop("fastbp")
    assert isinstance(layer, getattr(fastbp.layers, name))
    bare = sides.pop("expressions", None)
    for theirs in sides.values():
        assert_same(ours["forward"](), theirs["forward"](), np.float32)  # the book adds 1e-7
        for way in ("backward", "forward + backward"):
            dx = ours[way]()
            assert dx.dtype == theirs[way]().dtype == dtype
            assert_same(dx, theirs[way](), dtype)
    assert (bare is None) == (name != "Affine")
    if bare:
        assert_same(ours["forward"](), bare["forward"](), dtype)
        for way in ("backward", "forward + backward"):
            gradients = (layer.dW, layer.db, ours[way]())
            for mine, other in zip(gradients, bare[way](), strict=True):
                assert mine.dtype == other.dtype == dtype
                assert_same(mine, other, dtype)


def test_net_bench_does_the_same_work(dtype):
    nets, _ = cases.net_sides(dtype)
    for sides in nets.values():
        mine = sides["fastbp"]()
        for other in (sides["book"](), sides["numpy"]()):
            assert mine.keys() == other.keys()
            for key in other:
                assert mine[key].dtype == other[key].dtype == dtype
                assert_same(mine[key], other[key], dtype)


# --- training steps -------------------------------------------------------------------------


def here(*names):
    return {peer: apart.Here(peer) for peer in names}


#: One output is fitted by squared error.
SIZES = [(5, 6, 4, 3), (5, 6, 1)]


@pytest.fixture(autouse=True)
def unpinned(monkeypatch):
    """The tests' own process stays on its cores."""
    monkeypatch.setattr(measure, "pin", lambda threads=1: threads)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("activation", tasks.ACTIVATIONS + tasks.NEWER)
@pytest.mark.parametrize("batches", [None, 4])
def test_training_steps_do_the_same_work(dtype, optimizer, activation, sizes, batches):
    task = tasks.Task(7, sizes, dtype.name, activation, optimizer, batches=batches)
    differences, skipped = agreement.checked(task, here("fastbp", "NumPy", "scikit-learn"))
    assert differences["fastbp"] <= agreement.tolerance(task, "fastbp")
    ours = activation not in ("relu", "sigmoid", "tanh") or sizes[-1] == 1 or batches
    assert set(skipped) == ({"scikit-learn"} if ours else set())


def test_numpy_training_step_is_the_books():
    task = tasks.Task(7, (5, 6, 3), "float64", lr=0.1)
    step, weights, x, t = peers.of_numpy(task)
    names = ("W1", "b1", "W2", "b2")
    net = book.TwoLayerNet(book, dict(zip(names, task.copies(), strict=True)))
    for _ in range(3):  # a later step starts from what the earlier ones left
        assert step(x, t) == pytest.approx(net.loss(x, t), abs=1e-5)  # the book adds 1e-7
        for name, grad in net.gradient(x, t).items():
            net.params[name] -= 0.1 * grad
    for name, array in zip(names, weights(), strict=True):
        assert_same(array, net.params[name], "float64")


def test_epoch_takes_the_rows_in_the_order_of_fit():
    order = tasks.order_of_fit(30)
    assert not np.array_equal(order, np.arange(30))
    task = tasks.Task(10, (5, 6, 3), "float64", lr=0.1, batches=3)
    ours, theirs = (apart.Here(peer) for peer in ("fastbp", "NumPy"))
    ours.begin(task)
    theirs.begin(task)
    loss, expected = ours.first()
    got, weights = theirs.first()
    assert got == pytest.approx(loss, rel=1e-12)
    assert agreement.difference(task, weights, expected) < 1e-12
    task.x = task.x[::-1].copy()  # other rows in that order
    theirs.begin(task)
    assert theirs.first()[0] != pytest.approx(loss, rel=1e-3)


OTHERS = ["PyTorch", "PyTorch unlocked", "PyTorch bf16", "torch.compile", "JAX"]


@pytest.mark.parametrize("peer", OTHERS)
def test_training_steps_of_others_do_the_same_work(peer, run_python):
    code = f"""if True:
        import sys
        sys.path.append({str(ROOT)!r})
        from bench import agreement, apart, tasks
        for batches, sizes, optimizer in (
            (None, (5, 6, 4, 3), "sgd"), (None, (5, 6, 1), "adam"), (2, (5, 6, 3), "sgd")
        ):
            task = tasks.Task(7, sizes, optimizer=optimizer, batches=batches)
            got, skipped = agreement.checked(task, {{{peer!r}: apart.Here({peer!r})}})
            print(*skipped.values() or [got[{peer!r}] <= agreement.tolerance(task, {peer!r})],
                  sep="\\n")
    """  # in a process of its own: these libraries start threads
    done = run_python("-c", code)
    if "not installed" in done.stdout:
        pytest.skip(done.stdout.partition("\n")[0])
    assert done.stdout.split() == ["True"] * 3, done.stderr


@pytest.mark.parametrize("peer", ["PyTorch", "JAX"])
def test_activations_of_others_are_the_same(peer, run_python):
    code = f"""if True:
        import sys
        sys.path.append({str(ROOT)!r})
        from bench import agreement, apart, tasks
        for activation in tasks.ACTIVATIONS[1:] + tasks.NEWER:
            task = tasks.Task(7, (5, 6, 4, 3), "float64", activation)
            print(agreement.checked(task, {{{peer!r}: apart.Here({peer!r})}})[1] or "same")
    """
    done = run_python("-c", code)
    if "not installed" in done.stdout:
        pytest.skip(done.stdout)
    assert done.stdout.split() == ["same"] * (4 + len(tasks.NEWER)), done.stderr


def test_wrong_training_step_is_not_timed(monkeypatch):
    def doubled(task):
        step, weights, x, t = peers.of_numpy(task)
        return step, lambda: [2 * array for array in weights()], x, t

    monkeypatch.setitem(peers.PEERS, "PyTorch", doubled)
    with pytest.raises(ArithmeticError, match=r"expects PyTorch to agree .* in the first update"):
        agreement.checked(tasks.Task(7, (5, 6, 3)), here("PyTorch"))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_slightly_wrong_update_is_not_timed(monkeypatch, optimizer):
    def too_far(task):
        step, weights, x, t = peers.of_numpy(task)
        return (step, lambda: [a + 1.05 * (b - a) for a, b in zip(task.params, weights(), strict=True)], x, t)

    monkeypatch.setitem(peers.PEERS, "PyTorch", too_far)
    task = tasks.Task(7, (5, 6, 3), optimizer=optimizer)
    with pytest.raises(ArithmeticError, match=r"in the first update; got a difference of 0\.05"):
        agreement.checked(task, here("PyTorch"))


def test_epoch_in_another_order_is_not_timed(monkeypatch):
    monkeypatch.setitem(
        epochs.EPOCHS,
        "PyTorch",
        lambda task: epochs.looped(peers.of_numpy, lambda a, rows: a.take(rows[::-1] * 0, axis=0), list, task),
    )
    with pytest.raises(ArithmeticError, match=r"expects PyTorch to agree .* in the first loss"):
        agreement.checked(tasks.Task(7, (5, 6, 3), batches=9), here("PyTorch"))


def test_absent_libraries_are_skipped_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    differences, skipped = agreement.checked(tasks.Task(7, (5, 6, 2)), here("JAX", "scikit-learn"))
    assert not differences
    assert skipped["JAX"] == "jax is not installed"
    assert "one sigmoid output" in skipped["scikit-learn"]


# --- libraries in processes of their own ------------------------------------------------------


def test_library_apart_gives_what_it_gives_here():
    task = tasks.Task(7, (5, 6, 3))
    with apart.sides(["NumPy"]) as sides:
        (side,) = sides.values()
        assert side.process is None  # until it is asked
        side.begin(task)
        loss, weights = side.first()
        assert side.timeit(3) > 0
        assert side.about()["versions"]["NumPy"] == np.__version__
        process = side.process
    assert process.exitcode == 0
    (own,) = here("NumPy").values()
    own.begin(task)
    assert own.first()[0] == loss
    for mine, other in zip(own.weights(), weights, strict=True):
        assert np.array_equal(mine, other)


def test_what_a_library_apart_cannot_is_told_and_its_end_too():
    with apart.sides(["scikit-learn"]) as sides:
        side = sides["scikit-learn"]
        with pytest.raises(tasks.CannotExpress, match="one sigmoid output"):
            side.begin(tasks.Task(7, (5, 6, 2)))
        side.begin(tasks.Task(7, (5, 6, 3)))  # it works on
        side.process.terminate()
        with pytest.raises(RuntimeError, match=r"expects scikit-learn to answer .* got its end"):
            side.timeit(1)


def test_vendor_check_is_answered_in_the_library_s_process_alone(run_bench):
    if not sys.platform.startswith("linux") or compiler.compiler() is None:
        pytest.skip("no preloading, or no C compiler")
    code = f"""if True:
        import ctypes, os
        assert {UNLOCKED!r} in os.environ
        print(ctypes.CDLL(None).mkl_serv_intel_cpu_true())
        from bench import HELD, kernels
        print(HELD)
    """
    with unlocked.environment() as more:
        done = run_bench("-c", code, **more)
    assert done.stdout.split() == ["1", "{}"], done.stderr
    assert UNLOCKED not in os.environ


def test_mkl_tells_its_version_and_whose_kernels_it_takes(run_bench):
    code = """if True:
        import bench
        try:
            import torch
        except ImportError:
            raise SystemExit("no PyTorch")
        from bench import kernels
        print(kernels.in_use()["PyTorch"] if torch.backends.mkl.is_available() else "no MKL")
    """
    done = run_bench("-c", code)
    if "no PyTorch" in done.stderr or "no MKL" in done.stdout:
        pytest.skip("no PyTorch with MKL here")
    assert re.search(r"^\w+, MKL \d{4}.* \(kernels for Intel .+\)$", done.stdout.strip()), done.stdout


def test_vendor_check_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setattr(compiler.shutil, "which", lambda name: None)
    _, skipped = agreement.checked(tasks.Task(7, (5, 6, 3)), {"PyTorch unlocked": apart.Apart("PyTorch unlocked")})
    assert "no C compiler (cc)" in skipped["PyTorch unlocked"]
    with pytest.raises(SystemExit, match=r"got none of PyTorch unlocked: .* no C compiler"):
        agreement.checked(tasks.Task(7, (5, 6, 3)), {"PyTorch unlocked": apart.Apart("PyTorch unlocked")}, True)


@pytest.mark.parametrize("error", [TimeoutError, ZeroDivisionError])
def test_library_that_does_not_compile_is_left_out(error):
    with pytest.raises(tasks.CannotExpress, match=error.__name__), peers.time_limit(0.02):
        if error is ZeroDivisionError:
            1 / 0  # noqa: B018
        time.sleep(10)


def test_without_a_compiler_the_peak_is_a_product(monkeypatch):
    monkeypatch.setattr(compiler.shutil, "which", lambda name: None)
    call, flop, of = grid.ceiling(tasks.Task(7, (5, 6, 3)))
    assert call()[0, 0] == 1024
    assert flop == 2 * 1024**3
    assert "no compiler" in of


def test_operations_of_a_step():
    # forward, dW: 2 * 2 * 100 * (784 * 50 + 50 * 10); dx of the second layer alone
    assert tasks.Task(100, (784, 50, 10)).flop == 400 * (39200 + 500) + 200 * 500


def test_ratio_is_to_the_best_peer_that_computes_as_exactly():
    row = {"seconds": {"fastbp": 2.0, "NumPy": 9.0, "JAX": 5.0, "PyTorch bf16": 1.0}, "flop": 8, "peak": 16.0}
    assert grid.best_peer(row) == "JAX"
    assert grid.ratio(row) == 2.5
    assert grid.share_of_peak(row) == 0.25


def test_lowest_ratios_are_told_with_their_peers():
    rows = [
        {"name": name, "seconds": {"fastbp": 2.0, "NumPy": 8.0, "JAX": jax, "PyTorch bf16": 1.0}}
        for name, jax in (("rl", 4.0), ("iris", 2.0), ("tab", 16.0), ("dlfs", 8.0))
    ]
    assert grid.lowest_text(rows) == (
        "ratio to the best peer: geometric mean 2.38; lowest: iris 1.00 (JAX), rl 2.00 (JAX), "
        "tab 4.00 (NumPy); to PyTorch bf16, lowest: iris 0.50"
    )


def test_peak_counts_its_operations(dtype):
    loop = peak.loop(dtype.name)
    if loop is None:
        pytest.skip("no C compiler here")
    lanes = loop(1) / (2 * peak.N)
    assert lanes * dtype.itemsize in (16, 32, 64)
    assert loop(1000) == 1000 * loop(1)


@pytest.mark.parametrize("options", [["--workloads", "iris,nothing"], ["--peers", "nothing"]])
def test_grid_names_what_it_does_not_know(options, capsys):
    with pytest.raises(SystemExit):
        grid.main(options)
    assert "got nothing" in capsys.readouterr().err


def test_grid_without_peers_has_no_ratio(monkeypatch):
    row = grid.one_workload("tiny", tasks.Task(7, (5, 6, 3)), here("fastbp"), quick=True)
    assert grid.best_peer(row) is None
    assert len(grid.cells(row, ["fastbp"])) == len(grid.header([row]))


def test_fit_bench_trains_both(rng):
    x, t = rng.random((300, 784), "float32"), rng.integers(0, 10, 300)
    row = fit.run(((x, t), (x, t)), epochs=4, book_epochs=2)
    assert row["fastbp"] > 0 and row["book"] > 0
    assert 0 <= row["accuracy"] <= 1


def test_book_loop_of_the_fit_bench_trains(rng):
    theirs = fit.Book(rng.random((300, 784), "float32"), rng.integers(0, 10, 300))
    assert theirs.net.params["W1"].dtype == theirs.x.dtype == "float32"  # as ours
    before = theirs.net.params["W1"].copy()
    theirs.train(1)
    assert theirs.net.params["W1"] is theirs.net.layers["Affine1"].W
    assert np.abs(theirs.net.params["W1"] - before).max() > 0


@pytest.mark.parametrize("side", list(predict.SIDES))
def test_predictions_are_the_books(side):
    if side == "onnxruntime":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    task = tasks.Task(predict.BLOCK + 3, (5, 6, 4, 3))
    task.params[1][:] = 0.1
    h = task.x
    for k in range(0, 6, 2):
        h = np.dot(h, task.params[k]) + task.params[k + 1]
        h = np.maximum(h, 0) if k < 4 else h
    predict.require_alike(side, predict.SIDES[side](task)(task.x), h)
    with pytest.raises(ArithmeticError, match=f"expects {side} to agree with NumPy"):
        predict.require_alike(side, predict.SIDES[side](task)(2 * task.x), h)


def test_lowest_predictions_are_told():
    rows = [
        {"name": "rl", "rows": n, "sizes": (8, 4), "seconds": {"fastbp": 2.0, "onnxruntime": 8.0 / n, "NumPy": 2.0 * n}}
        for n in (1, 4)
    ]
    assert predict.lowest_text(rows) == ("Lowest ratios: 1.00 to onnxruntime (rl, 4 rows), 1.00 to NumPy (rl, 1 rows).")
    text = predict.markdown({"machine": MACHINE, "rows": rows})
    assert "| rl | 8-4 | 4 | 2.00 s | 2.00 s | 8.00 s | 1.00 | 4.00 |" in text


def test_sweeps_refuse_networks_that_differ():
    tasks_of_both = [sweeps.tasks_of(sizes, 8, 3, rows=24) for sizes in ((5, 6, 1), (5, 4, 3))]
    for tasks_of_one in tasks_of_both:
        for n in (1, 2):
            sides = {"in turn": sweeps.of_fastbp(tasks_of_one, 1), "JAX": sweeps.of_fastbp(tasks_of_one, n)}
            refused = pytest.raises(ArithmeticError, match=r"expects JAX to train each network .* in network 0")
            with contextlib.nullcontext() if n == 1 else refused:
                sweeps.require_alike(sides)


def test_sweeps_tell_the_time_of_a_step():
    row = {"sizes": (5, 4, 3), "batch": 8, "steps": 4, "seconds": {"in turn": 8.0, "in threads": 4.0, "JAX": 16.0}}
    text = sweeps.markdown({"machine": MACHINE, "rows": [row]})
    assert "| 5-4-3 | 8 | 2.00 s | 1.00 s | 4.00 s | 2.00 | 4.00 |" in text


def ones_of(megabytes):
    return lambda: float(np.ones(megabytes * 2**17).sum())


def ended():
    return lambda: os._exit(1)


def test_memory_of_a_call_is_told_apart():
    result, seconds, nbytes = memory.apart(ones_of, 64)
    assert result == 64 * 2**17 and seconds > 0
    assert 60 * 2**20 < nbytes < 80 * 2**20
    with pytest.raises(RuntimeError, match="expects ended to run in a process of its own"):
        memory.apart(ended)


def test_mixed_bench_gives_the_numbers_of_float64():
    found = mixed.run(rounds=1, rows=500)
    assert {row["seconds"] > 0 for row in found.values()} == {True}
    with pytest.raises(ArithmeticError, match="expects both sides to give float64 numbers"):
        mixed.require_alike(np.float32(mixed.of_numpy(500)()[::5]), 500)
    sides = {"fastbp": {"seconds": 1.0, "bytes": 2e6}, "NumPy": {"seconds": 2.5, "bytes": 3e6}}
    assert mixed.cells(sides)[-1] == ["ratio", "2.50", ""]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_export_bench_gives_predict_s_numbers():
    (row,) = export.run(rounds=1, seconds=0.001, sizes=[(4, 10, 3)])
    assert row["predict"] > 0
    row = {"sizes": "4-10-3", "predict": 4e-6, "-O2": 2e-6, "-O3 -march=native": 1e-6}
    assert export.cells([row])[0][-2:] == ["2.00", "4.00"]


def test_life_bench_scores_what_the_commands_write(monkeypatch):
    def copied(side):
        return ["-c", f"import shutil; shutil.copy('new.csv', '{side}.csv')"]

    commands = {
        (side, step): copied(side) if step == "predict" else ["-c", "open('old.csv').close()"]
        for side, step in life.COMMANDS
    }
    monkeypatch.setattr(life, "COMMANDS", commands)
    columns = {"x": np.arange(50), "target": np.arange(50) / 7}
    (row,) = life.run(1, {"fifty": lambda: columns})
    assert row["scores"] == {"fastbp": 1.0, "scikit-learn": 1.0} and row["fastbp"]["train"] > 0
    row |= {"fastbp": {"train": 2.0, "predict": 1.0}, "scikit-learn": {"train": 5.0, "predict": 4.0}}
    assert life.cells([row])[0][5:] == ["3.0", "1.000", "1.000"]
    assert [len(make()["target"]) for make in list(life.TABLES.values())[2:]] == [20_000, 50_000]
    assert life._score(np.array(["a", "b"]), np.array(["a", "a"])) == 0.5


LARGE = ("512", "1024", "wide", "long", "deep")
SMALL = {k: how for k, how in trees.cases().items() if not any(part in k for part in LARGE)}


@pytest.mark.parametrize("name", SMALL)
def test_bench_of_trees_has_calls_that_run(name):
    make, how = SMALL[name]
    make(*how)()


def test_trees_are_timed_in_turn():
    folder = Path(fastbp.__file__).resolve().parents[1]
    names = ["kernel sgd 1x10 float32", "step xor float64 Adam"]
    least = trees.run([folder, folder], names, rounds=1, quick=True)
    assert [0 < time < 1 for times in least.values() for time in times] == [True] * 4


def test_trees_leave_out_what_one_of_them_lacks(monkeypatch, capsys):
    class Older:
        def __init__(self, folder):
            pass

        def begin(self, name):
            raise tasks.CannotExpress("AttributeError: mish")

        def close(self):
            pass

    monkeypatch.setattr(trees, "Tree", Older)
    assert trees.run(["here", "there"], ["kernel"], 1) == {}
    assert capsys.readouterr().out == "without kernel: AttributeError: mish\n"


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_sparse_bench_trains_both_alike(solver):
    row = sparse.one("tiny", (60, 80), solver, rounds=1, epochs=2)
    assert len(sparse.cells(row)) == len(sparse.HEADER)
    assert row["fastbp"]["seconds"] > 0 and row["scikit-learn"]["seconds"] > 0


def test_sparse_bench_refuses_other_losses(monkeypatch):
    losses = iter([1.0, 1.1])
    monkeypatch.setattr(memory, "apart", lambda *_: ((next(losses), 1), 1.0, 1))
    with pytest.raises(ArithmeticError, match=r"same first loss of both by sgd; got \[1\.0, 1\.1"):
        sparse.require_alike((60, 80), "sgd")


def test_smooth_activations_have_a_table():
    rows = activations.run(here("fastbp", "NumPy"), ["iris"], ["gelu"], quick=True)
    assert [(row["activation"], row["dtype"]) for row in rows] == [("gelu", "float32"), ("gelu", "float64")]
    header, (line, lowest) = activations.table(rows)
    assert header == ["network", "gelu"] and line[0] == "iris: 112, 4-10-10-3"
    assert line[1] == lowest[1] == " / ".join(f"{grid.ratio(row):.2f}" for row in rows)


def test_layers_show_the_sides_that_they_have(capsys):
    row = {"name": "Affine", "shape": "1 x 4 -> 10", "fastbp": 1.0, "numpy": 2.0, "book": 3.0, "difference": 1e-9}
    rows = [row | {"dtype": dtype, "expressions": 2.5} for dtype in cases.DTYPES]
    assert "float64 to the expressions: geometric mean 2.50, least 2.50" in layers.summary(rows)
    assert layers.header(rows)[-2] == "to the expressions"
    assert len(layers.cells(rows[0])) == len(layers.header(rows))
    assert "np.dot(dout, W.T)` | 2.50 / 2.50 |" in report.affine_table(rows)
    del rows[0]["expressions"], rows[1]["expressions"]
    assert "expressions" not in layers.header(rows) and "np.dot" not in report.affine_table(rows)


MACHINE = {
    "processor": "Some Processor",
    "l2_bytes": 2**20,
    "threads": 1,
    "instruction_set": "v4",
    "fastbp": "0.1.0",
    "python": "3.12.0",
    "date": "2024-06-07",
    "versions": {"NumPy": "2.4.6"},
    "kernels": {"NumPy": "X86_V4, OpenBLAS 0.3 (SkylakeX kernels)"},
    "held": [],
}
#: What a run on two ranks finds, of one network.
RANKS = {
    "machine": MACHINE,
    "mpi": "MPICH Version: 5.0",
    "load": 0.1,
    "ranks": 2,
    "nodes": 1,
    "split": [
        {"name": "dlfs", "rows": 100, "bytes": 204288, "step": 130e-6, "compute": 90e-6, "exchange": 31e-6}
        | {"waiting": 2e-6, "update": 7e-6, "allreduce": 30e-6}
    ],
    "scaling": [
        {"kind": "efficiency", "name": "dlfs", "rows": 100, "one": 80e-6, "ranks": 130e-6},
        {"kind": "speed-up", "name": "dlfs", "rows": 100, "one": 80e-6, "ranks": 85e-6},
    ],
    "beside": [{"name": "dlfs", "rows": 100, "seconds": {"MPI": 130e-6, "gloo": 0.5e-3, "PyTorch": 1.4e-3}}],
    "one": [
        {"name": "iris", "step": 8e-6, "with": 1.5, "without": 1.0},
        {"name": "dlfs", "step": 80e-6, "with": 1.03, "without": 1.0},
    ],
    "network": {"latency": 2e-6, "bandwidth": 8e9, "seconds": {"8": 2e-6}},
    "costs": {"dlfs": {"fixed": 5e-6, "per_row": 0.75e-6, "bytes": 204288}},
}


@pytest.mark.parametrize("n", [2, 3, 7, 64])
def test_a_network_s_numbers_follow_from_its_times(n):
    seconds = {nbytes: ranks.exchange(nbytes, n, 20e-6, 1e9) for nbytes in ranks.SIZES}
    assert ranks.network_of(seconds, n) == pytest.approx((20e-6, 1e9), rel=1e-3)


def test_model_of_ranks():
    between = 20e-6, 1e9
    # of 2 MB over 64 ranks: six times all of it, or the halves, quarters and so on twice
    assert ranks.exchange(2**21, 64, *between) == pytest.approx(12 * 20e-6 + 2 * 63 / 64 * 2**21 / 1e9)
    assert ranks.exchange(8, 64, *between) == pytest.approx(6 * (20e-6 + 8e-9))
    (cost,) = RANKS["costs"].values()
    for cores in (1, 16):
        n = ranks.rows_for(cost, 0.8, 64, between, cores)
        assert ranks.efficiency(cost, n - 1, 64, between, cores) < 0.8 <= ranks.efficiency(cost, n, 64, between, cores)
    assert ranks.rows_for(cost | {"fixed": 1.0}, 0.8, 64, between) == 1


def test_ranks_are_held_to_their_bounds():
    found = [(what.partition(": ")[2], ratio, bound, held) for what, ratio, bound, held in ranks.verdict_rows(RANKS)]
    assert found == [
        ("the exchange", "31.0 µs", "at most 34.5 µs", "holds"),
        ("efficiency", "0.62", "at least 0.62", "does not hold"),  # 0.615
        ("speed-up", "0.94", "", ""),
        ("PyTorch's time over fastbp's with gloo", "2.80", "at least 1.5", "holds"),
        ("PyTorch's time over fastbp's with MPI", "10.77", "at least 10.0", "holds"),
        ("`fit` with `comm` of one rank over `fit` without", "1.500", "", ""),
        ("`fit` with `comm` of one rank over `fit` without", "1.030", "at most 1.02", "does not hold"),
    ]
    text = ranks.markdown(RANKS)
    assert "| dlfs, 100 | 130 µs | 90.0 µs | 31.0 µs | 2.00 µs | 7.00 µs | 204 kB | 30.0 µs |" in text
    assert "| dlfs, 100 | 130 µs | 108 µs | 0.83 |" in text  # by the cost model
    assert "MEANWHILE" not in text
    assert "MEANWHILE: a load average of 5.8 at the start." in ranks.markdown(RANKS | {"load": 5.8})
    for other in ({"ranks": 3}, {"nodes": 2}):
        rows = ranks.verdict_rows(RANKS | other)
        assert [bound for what, _, bound, _ in rows if "efficiency" in what] == [""]


def test_ranks_bench_starts_two_ranks(run_bench, tmp_path):
    pytest.importorskip("mpi4py")
    if len(getattr(os, "sched_getaffinity", lambda _: ())(0)) < 2:
        pytest.skip("there are no two cores to pin ranks to")
    path = tmp_path / "ranks.json"
    done = run_bench("-m", "bench.ranks", "--quick", "--workloads", "dlfs", "--json", str(path), timeout=120)
    if "expects mpi4py and an MPI" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text("utf-8"))
    assert found["ranks"] == 2 and found["network"]["latency"] > 0 and found["costs"].keys() == {"dlfs"}
    (row,) = found["split"]
    assert 0 < row["update"] < row["step"] and 0 < row["compute"] < row["step"]
    assert len(found["beside"]) == ("PyTorch" in done.stdout)


# --- times ----------------------------------------------------------------------------------


class Clock:
    """A clock that only the timed functions move."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def __call__(self):
        return self.now

    def function(self, name, *durations):
        def run():
            self.calls.append(name)
            k = self.calls.count(name) - 1
            self.now += durations[k % len(durations)]

        return run


def test_alternate_gives_medians_of_one_call():
    clock = Clock()
    ours, theirs = clock.function("ours", 1.0), clock.function("theirs", 3.0, 3.0, 3.0, 9.0)
    times = measure.alternate(ours, theirs, samples=5, seconds=1.0, clock=clock)
    assert times == [1.0, 3.0]


def test_alternate_takes_turns():
    clock = Clock()
    functions = [clock.function(name, 1.0) for name in "abc"]
    measure.alternate(*functions, samples=2, seconds=1.0, clock=clock)
    assert "".join(clock.calls).endswith("aabbccaabbcc")  # each with an untimed call


def test_alternate_takes_three_samples_of_what_is_far_slower():
    clock = Clock()
    functions = [clock.function(name, time) for name, time in (("a", 1.0), ("b", 11.0), ("c", 9.0))]
    measure.alternate(*functions, samples=5, seconds=1.0, clock=clock)
    assert "".join(clock.calls).endswith("aabbcc" * 3 + "aacc" * 2)


@pytest.mark.parametrize(("duration", "calls"), [(0.25, 40), (4.0, 2), (30.0, 1)])
def test_sample_takes_as_many_calls_as_fit(duration, calls):
    clock = Clock()
    timer = measure.Timer(clock.function("f", duration), timer=clock)
    assert measure.calls_in(10.0, timer) == calls


def test_ratio_is_above_one_where_fastbp_is_quicker():
    assert measure.ratio({"fastbp": 2.0, "numpy": 5.0}) == 2.5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.234e-6, "1.23 µs"),
        (45.67e-6, "45.7 µs"),
        (0.0009996, "1000 µs"),
        (0.0123, "12.3 ms"),
        (2.0, "2.00 s"),
        (3e-8, "0.03 µs"),
    ],
)
def test_seconds_as_text(seconds, text):
    assert measure.seconds_text(seconds) == text


def test_speed_counts_every_array_a_kernel_moves():
    row = {"name": "relu_backward", "bytes": 10**9, "fastbp": 2.0, "add": 3.0, "update": 1.5, "copy": 1.0}
    assert elementwise.speed(row) == 1.5
    assert elementwise.memory_speeds(row) == {"copy": 2.0, "add": 1.0, "update": 2.0}
    assert elementwise.share_of_triad(row) == 0.75
    assert elementwise.share_of_add(row) == 1.5
    assert elementwise.speed(row | {"name": "bias_sum, 10 columns"}) == 0.5


def test_l2_cache_and_processor_are_found():
    assert 2**16 <= measure.l2_bytes() <= 2**28
    assert measure.processor()


# --- what may be timed ----------------------------------------------------------------------


def test_compiled_kernels_may_be_timed():
    measure.require_compiled(fastbp)


def test_uncompiled_kernels_are_refused():
    uncompiled = SimpleNamespace(
        __file__=fastbp.__file__, _kernels=SimpleNamespace(__all__=["bias_sum"], bias_sum=fastbp.reference.bias_sum)
    )
    with pytest.raises(RuntimeError, match=r"expects bias_sum compiled in .*reference\.py"):
        measure.require_compiled(uncompiled)


def test_kernels_of_another_folder_are_refused(tmp_path):
    moved = SimpleNamespace(__file__=str(tmp_path / "__init__.py"), _kernels=_kernels)
    with pytest.raises(RuntimeError, match=r"expects activation_backward compiled in"):
        measure.require_compiled(moved)


def test_reference_backend_is_refused():
    with fastbp.use("reference"), pytest.raises(RuntimeError, match="got the reference backend"):
        measure.require_compiled(fastbp)


@pytest.fixture
def source_tree(tmp_path):
    """The top folder, compiled for another Python, as the folder that `run_python` starts in."""
    for package in ("fastbp", "fastbp/_kernels", "bench"):
        (tmp_path / package).mkdir()
        for file in (ROOT / package).glob("*.py"):
            (tmp_path / package / file.name).write_bytes(file.read_bytes())
    (tmp_path / "fastbp" / "_kernels" / "isa.cpython-30-x86_64-linux-gnu.so").touch()
    return tmp_path


def test_uncompiled_source_tree_says_how_to_build(source_tree, run_python):
    # -S: as if nothing were installed
    done = run_python("-S", "-c", "import bench, fastbp", PYTHONPATH=str(source_tree))
    assert "compiled kernels are missing" in done.stderr
    assert str(source_tree) in done.stderr


def test_installed_fastbp_goes_before_an_uncompiled_source_tree(source_tree, run_python):
    done = run_python("-c", "import bench, fastbp; print(bench.__file__, fastbp.__file__)")
    assert done.stdout.split() == [str(source_tree / "bench" / "__init__.py"), fastbp.__file__]


def test_bench_sets_one_thread_before_numpy_is_loaded(source_tree, run_python):
    code = "import bench, os; print({os.environ[name] for name in bench.THREAD_VARIABLES})"
    assert run_python("-c", code, OMP_NUM_THREADS="8").stdout.strip() == "{'1'}"


# --- the processor's own kernels --------------------------------------------------------------

#: Settings that hold each library down, on any x86-64.
HELD = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "OPENBLAS_L2_SIZE": "65536",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "MKL_DEBUG_CPU_TYPE": "1",
    "BLIS_ARCH_TYPE": "generic",
    "NVPL_BLAS_DEBUG_CPU_TYPE": "1",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 X86_V3",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
    "FASTBP_ISA": "v2",
}
with_openblas = pytest.mark.skipif(
    "v2" not in fastbp._kernels.isa.usable() or "OpenBLAS" not in kernels.in_use()["NumPy"],
    reason="NumPy has no OpenBLAS for x86-64 here",
)


@pytest.fixture
def run_bench(run_python, monkeypatch):
    """run_bench(*arguments, **environment): as `run_python`, with this clone's bench."""
    path = os.pathsep.join([str(Path(fastbp.__file__).resolve().parents[1]), str(ROOT)])
    for name in settings():  # of the shell that runs the tests, and of what they imported before
        if name.startswith(AT_START):
            pytest.skip(f"started with {name}")
        monkeypatch.delenv(name, raising=False)
    return partial(run_python, PYTHONPATH=path)


@with_openblas
def test_benches_free_every_library_of_settings(run_bench):
    done = run_bench("-m", "bench.grid", "--quick", "--workloads", "online", "--peers", "NumPy", **HELD)
    assert done.returncode == 0, done.stderr
    own = kernels.without_settings(["NumPy"])["NumPy"]
    assert f"NumPy {np.__version__} with {own}" in done.stdout
    assert f"fastbp {fastbp.__version__} with {fastbp._kernels.isa.usable()[0]}" in done.stdout
    assert "HELD" not in done.stdout and "Nehalem" not in done.stdout


@with_openblas
def test_every_bench_frees_its_peers_before_they_are_loaded(run_bench):
    names = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if "_" not in path.stem)
    names = [name for name in names if name != "conftest"]
    assert {
        "autograd",
        "elementwise",
        "estimators",
        "fit",
        "grid",
        "layers",
        "processes",
        "report",
        "startup",
        "tables",
        "threads",
    } <= set(names)
    code = f"""if True:
        import importlib, json, os, sys
        for name in {names}:
            importlib.import_module("bench." + name)
        from bench import kernels
        left = [name for name in {list(HELD)} if name in os.environ]
        print(json.dumps([kernels.in_use(), kernels.held(), left]))
    """
    done = run_bench("-c", code, **HELD)
    in_use, held, left = json.loads(done.stdout.splitlines()[-1])
    assert in_use == kernels.without_settings(["NumPy", "SciPy"])
    assert held == left == []


#: Benches that write, and the options with which they do.
WRITERS = {
    "report": [],
    "grid": [],
    "estimators": [],
    "threads": ["--threads", "1"],
    "autograd": [],
    "predict": [],
    "activations": [],
    "mixed": [],
    "export": [],
    "life": [],
    "sparse": [],
    "sweeps": ["--threads", "1"],
}
WRITTEN = [*report.RESULTS.parent.glob("*.json"), *ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / report.PICTURE]


def unchanged():
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in WRITTEN}


@with_openblas
@pytest.mark.parametrize(
    ("writer", "setting"),
    [
        *((writer, "OPENBLAS_CORETYPE") for writer in WRITERS),
        ("report", "OPENBLAS_L2_SIZE"),
        ("report", "MKL_DEBUG_CPU_TYPE"),
        ("report", "FASTBP_ISA"),
    ],
)
def test_writing_is_refused_where_numpy_came_first_and_a_setting_holds_it(writer, setting, run_bench):
    if writer == "predict":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    before = unchanged()
    code = f"""if True:
        import numpy
        from bench import {writer} as bench
        bench.main(["--write", *{WRITERS[writer]}])
    """
    done = run_bench("-c", code, **{setting: HELD[setting]})
    assert done.returncode == 1
    assert f"got {setting}={HELD[setting]}" in done.stderr
    if setting == "OPENBLAS_CORETYPE":
        assert "Nehalem kernels" in done.stderr and ", without settings " in done.stderr
    assert unchanged() == before


@with_openblas
def test_tables_of_a_held_library_say_so(run_bench):
    code = """if True:
        import numpy
        from bench import startup
        startup.main(["--quick"])
    """
    done = run_bench("-c", code, OPENBLAS_CORETYPE="Nehalem")
    assert "HELD DOWN by OPENBLAS_CORETYPE=Nehalem; HELD DOWN by NumPy runs" in done.stdout


@pytest.mark.parametrize("name", ["PYTHONMALLOC", "MALLOC_ARENA_MAX"])
def test_writing_is_refused_beside_settings_of_the_process_itself(name, run_bench):
    value = "debug" if name == "PYTHONMALLOC" else "1"
    done = run_bench("-m", "bench.threads", "--write", "--threads", "1", **{name: value})
    assert done.returncode == 1 and f"got {name}={value}." in done.stderr


def test_kernels_below_those_of_a_free_process_hold(monkeypatch):
    here = {"NumPy": "OpenBLAS 1 (Haswell kernels)", "PyTorch": "AVX2"}
    monkeypatch.setattr(kernels, "HELD", {})
    monkeypatch.setattr(kernels, "in_use", lambda: here)
    monkeypatch.setattr(kernels, "without_settings", lambda names: here)
    assert kernels.held() == []  # a BLAS that does not know the processor is no setting
    kernels.refuse_held()
    monkeypatch.setattr(kernels, "without_settings", lambda names: here | {"PyTorch": "AVX512"})
    assert kernels.held() == ["PyTorch runs AVX2, without settings AVX512"]
    with pytest.raises(SystemExit, match="got PyTorch runs AVX2, without settings AVX512"):
        kernels.refuse_held()


def test_runs_that_were_held_meanwhile_are_not_stored(monkeypatch, tmp_path):
    monkeypatch.setattr(kernels, "held", lambda: ["SOMETHING=1"])
    with pytest.raises(SystemExit, match="got SOMETHING=1"):
        measure.store(tmp_path / "run.json", {})
    assert not list(tmp_path.iterdir())


def test_stored_runs_that_were_held_are_not_written(stored, pages):
    run = json.loads(stored.read_text("utf-8"))
    run["machine"] = run["machine"] | {"held": ["OPENBLAS_CORETYPE=Haswell"]}
    stored.write_text(json.dumps(run), "utf-8")
    before = [Path(each).read_bytes() for each in pages[1::2]]
    with pytest.raises(SystemExit, match=r"got .*run\.json, held down by OPENBLAS_CORETYPE=Haswell"):
        report.main(["--from", str(stored), "--write", *pages])
    assert [Path(each).read_bytes() for each in pages[1::2]] == before


@with_openblas
def test_all_are_held_to_one_set_alike_and_say_so(run_bench):
    if "v3" not in fastbp._kernels.isa.usable():
        pytest.skip("the processor has no AVX2")
    options = ["--quick", "--workloads", "online", "--peers", "NumPy", "--isa", "v3"]
    done = run_bench("-m", "bench.grid", *options)
    assert done.returncode == 0, done.stderr
    assert f"fastbp {fastbp.__version__} with v3; NumPy" in done.stdout
    assert "HELD DOWN by --isa v3" in done.stdout
    runs, _ = done.stdout.split("HELD DOWN", 1)  # behind it stands what would run otherwise
    assert set(re.findall(r"\((\w+) kernels", runs)) == {"Haswell"}


def test_unknown_set_to_hold_all_to_is_named(run_bench):
    done = run_bench("-c", "import bench", FASTBP_BENCH_ISA="v9")
    assert done.stderr.strip() == "FASTBP_BENCH_ISA expects one of v3; got v9."


@pytest.mark.parametrize(
    "bench", [activations, autograd, estimators, export, grid, life, mixed, predict, ranks, report, sparse, threads]
)
@pytest.mark.parametrize("option", [["--quick"], ["--isa", "v3"]])
def test_short_and_limited_runs_are_not_written(bench, option, capsys):
    with pytest.raises(SystemExit):
        bench.main(["--write", *option])
    assert "--write expects full runs without limits; got" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--peers", "NumPy"], ["--workloads", "iris"]])
def test_part_of_the_grid_is_not_written(options, capsys):
    with pytest.raises(SystemExit):
        grid.main(["--write", *options])
    assert "--write expects all workloads and peers; got some." in capsys.readouterr().err


@pytest.mark.parametrize("error", [ModuleNotFoundError("no", name="jax"), tasks.NotCompiled("late")])
def test_grid_without_a_library_is_not_written(error, monkeypatch):
    def absent(task):
        raise error

    monkeypatch.setitem(peers.PEERS, "JAX", absent)
    task = tasks.Task(7, (5, 6, 3))
    assert "JAX" in agreement.checked(task, here("JAX"))[1]
    with pytest.raises(SystemExit, match=r"got none of JAX: (late|jax is not installed)\."):
        agreement.checked(task, here("JAX"), whole=True)


def test_every_library_gets_one_thread_on_one_core(run_bench):
    code = """if True:
        import os
        from bench import measure, kernels
        try:
            import torch
        except ImportError:
            torch = None
        import scipy.linalg, sklearn.neural_network
        measure.pin(1)
        pools = kernels.threadpoolctl().threadpool_info()
        assert len(pools) >= 2
        print({pool["num_threads"] for pool in pools} | {torch.get_num_threads() if torch else 1})
        print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    """
    done = run_bench("-c", code, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2")
    assert done.stdout.split() == ["{1}", "1"], done.stderr


def test_tables_run_what_is_missing(monkeypatch, tmp_path):
    commands = []
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    monkeypatch.setattr(tables.subprocess, "run", lambda command, **_: commands.append(command[2:]))
    about = {"date": tables.date.today().isoformat(), "held": []}
    for name, held in (("grid", []), ("adam", ["a setting"])):
        run = {"machine": about | {"held": held}}
        (tmp_path / tables.SECTIONS[name][0]).write_text(json.dumps(run), "utf-8")
    tables.main(["--only", "grid", "adam", "--missing"])
    latest = str(tmp_path / "latest.json")
    assert commands == [["bench.grid", "--optimizer", "adam", "--write"], ["bench.report", "--from", latest, "--write"]]
    commands.clear()
    tables.main(["--quick"])
    assert [command[-1] for command in commands] == ["--quick"] * len(tables.SECTIONS)


# --- the report -----------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    """A tiny run, stored."""

    def rows(name, shape, ours, theirs):
        return [
            {
                "name": name,
                "shape": shape,
                "dtype": dtype,
                "fastbp": ours,
                "numpy": theirs,
                "book": 2 * theirs,
                "difference": 3e-9,
            }
            for dtype in cases.DTYPES
        ]

    memory = {"copy": 1e-5, "add": 1e-5, "update": 2e-5}
    results = {
        "machine": MACHINE,
        "affine": rows("Affine", "1 x 4 -> 10", 1e-6, 4e-6) + rows("Affine", "16 x 4 -> 10", 1e-6, 1e-6),
        "layers": rows("Relu", "100 x 50", 1e-6, 3e-6),
        "net": rows("Sequential", "100 x 784 -> 50 -> 10", 2e-4, 5e-4),
        "elementwise": [
            {"name": name, "bytes": size, "dtype": dtype, "fastbp": 2e-5, "numpy": 5e-5, **memory}
            for name in ("relu_backward", "sigmoid_backward", "bias_sum, 10 columns")
            for size in (2**16, 2**24)
            for dtype in cases.DTYPES
        ],
        "startup": {"numpy": 0.05, "fastbp": 0.0123},
    }
    path = tmp_path / "run.json"
    path.write_text(json.dumps(results), "utf-8")
    return path


@pytest.fixture
def pages(tmp_path):
    """The page of speed and a README: their options, which the report writes into."""
    page, readme = tmp_path / "speed.md", tmp_path / "README.md"
    steps, others = [report.STEPS_BEGIN, report.STEPS_END], [report.GRID_BEGIN, report.GRID_END]
    comments = [report.BEGIN, "old 1.23", report.END, *steps, *others]
    page.write_text("\n".join(["# Title\n", *comments, "\nEnd µ\n"]), "utf-8")
    readme.write_text("\n".join(["# Title\n", *others, "\nEnd µ\n"]), "utf-8")
    return ["--page", str(page), "--readme", str(readme)]


@pytest.fixture
def stored_grid(tmp_path):
    """A tiny run of the grid, stored."""
    about = MACHINE | {"versions": {"NumPy": "2.4.6", "JAX": "0.10.0"}}
    row = {
        "name": "rl",
        "batch": 32,
        "sizes": [8, 64, 64, 4],
        "flop": 4e5,
        "differences": {},
        "seconds": {"fastbp": 2e-6, "NumPy": 9e-6, "JAX": 5e-6},
        "peak": 4e11,
        "skipped": {"PyTorch": "torch is not installed"},
        "peak_of": "FMA loop in registers",
    }
    options = {"dtype": "float32", "activation": "relu", "optimizer": "sgd", "threads": 1}
    path = tmp_path / "grid.json"
    path.write_text(json.dumps({"machine": about, "options": options, "rows": [row]}), "utf-8")
    return path


def test_report_writes_between_the_comments(stored, pages, tmp_path):
    options = ["--from", str(stored), "--write", *pages, "--grid", str(tmp_path / "none.json")]
    report.main(options)
    page = Path(pages[1])
    text = page.read_text("utf-8")
    assert text.startswith(f"# Title\n\n{report.BEGIN}\n")
    assert f"\n{report.END}\n{report.STEPS_BEGIN}\n{report.STEPS_END}\n{report.GRID_BEGIN}\n" in text
    assert text.endswith(f"\n{report.GRID_END}\n\nEnd µ\n")
    assert "old 1.23" not in text
    report.main(options)
    assert page.read_text("utf-8") == text


def steps_of(pages):
    return Path(pages[1]).read_text("utf-8").partition(report.STEPS_BEGIN)[2].partition(report.STEPS_END)[0]


def test_report_writes_the_grid_and_its_picture(stored, pages, stored_grid):
    report.main(["--from", str(stored), "--write", *pages, "--grid", str(stored_grid)])
    short = Path(pages[3]).read_text("utf-8")
    assert "| rl: 32, 8-64-64-4 | 2.00 µs | 9.00 µs | 5.00 µs | 2.50 (JAX) |" in short
    assert "Of all 1 workloads, ratio to the best peer: geometric mean 2.50; lowest: rl 2.50 (JAX)." in short
    text = steps_of(pages)
    assert "A training step, float32, SGD, ReLU, 1 thread. Measured on Some Processor" in text
    assert "; JAX 0.10.0. All in turn, medians." in text
    assert "| rl | 32, 8-64-64-4 | 2.00 µs | 9.00 µs | 5.00 µs | JAX | 2.50 | 200.0 | 50% |" in text
    assert "Left out: PyTorch (rl): torch is not installed." in text
    assert "geometric mean 2.50; lowest: rl 2.50 (JAX)." in text
    assert "NumPy: all in place, in arrays made beforehand; JAX: a step one jit" in text
    assert "(grid.png)" in text
    assert "An epoch" not in text
    assert Path(pages[1]).with_name("grid.png").read_bytes()[:4] == b"\x89PNG"


def test_report_writes_the_epochs_below_the_steps(stored, pages, stored_grid):
    run = json.loads(stored_grid.read_text("utf-8"))
    run["options"]["epoch"] = True
    path = stored_grid.with_stem("grid-epoch")
    path.write_text(json.dumps(run), "utf-8")
    assert grid.file_of(run["options"]).name == path.name
    report.main(["--from", str(stored), "--write", *pages, "--grid", str(stored_grid)])
    step, _, epoch = steps_of(pages).partition("(grid.png)")
    assert "A training step, float32" in step
    assert "A step of an epoch, float32" in epoch and "an epoch one jit of `lax.scan`" in epoch
    assert "(grid.png)" not in epoch


@pytest.mark.parametrize(
    "line",
    [
        "Measured on Some Processor, 1 thread, 2024-06-07, Python 3.12.0, fastbp 0.1.0 with v4; "
        "NumPy 2.4.6 with X86_V4, OpenBLAS 0.3 (SkylakeX kernels).",
        "| Sequential | 100 x 784 -> 50 -> 10 | 1.00 ms | 500 µs | 200 µs | 2.50 "
        "| 1.00 ms | 500 µs | 200 µs | 2.50 | 3e-09 |",
        "| Relu | 100 x 50 | 6.00 µs | 3.00 µs | 1.00 µs | 3.00 | 6.00 µs | 3.00 µs | 1.00 µs | 3.00 | 3e-09 |",
        "| 1 | 4.00 / 4.00 |",
        "| geometric mean | 2.00 / 2.00 |",
        "| geometric mean, to the book's own lines | 4.00 / 4.00 |",
        "| least | 1.00 / 1.00 |",
        # 16 MB: the triad moves three arrays in 10 µs, the kernels three or one in 20 µs
        "| least share of the triad beyond | 0.50 | 0.50 | 0.17 |",
        "`import fastbp` takes 12.3 ms after `import numpy`.",
    ],
)
def test_report_makes_its_table_from_the_stored_run(stored, line, capsys):
    report.main(["--from", str(stored)])
    assert line in capsys.readouterr().out


def test_report_refuses_a_file_without_the_comments(stored, tmp_path):
    other = tmp_path / "OTHER.md"
    other.write_text(f"text\n{report.BEGIN}\n", "utf-8")
    with pytest.raises(SystemExit, match=r"expects .* in .*OTHER\.md"):
        report.main(["--from", str(stored), "--write", "--page", str(other)])
    assert other.read_text("utf-8") == f"text\n{report.BEGIN}\n"


def stored_run(name):
    path = report.RESULTS.parent / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{name} is not measured yet: python -m bench.tables --missing")
    return json.loads(path.read_text("utf-8"))


#: (stored run, page, what stands there and between which comments)
TABLES = {
    "latest": ("docs/speed.md", report.markdown, (report.BEGIN, report.END)),
    "threads": ("docs/speed.md", threads.markdown, threads.MARKS),
    "estimators": ("docs/coming-from-scikit-learn.md", estimators.page_text, (estimators.BEGIN, estimators.END)),
    "autograd": ("docs/coming-from-pytorch.md", autograd.markdown, autograd.MARKS),
    "activations": ("docs/speed.md", activations.markdown, activations.MARKS),
    "predict": ("docs/speed.md", predict.markdown, predict.MARKS),
    "mixed": ("docs/speed.md", mixed.markdown, mixed.MARKS),
    "export": ("docs/leaving.md", export.markdown, export.MARKS),
    "life": ("docs/tables.md", life.markdown, life.MARKS),
    "ranks": ("docs/many-machines.md", ranks.markdown, ranks.MARKS),
    "sparse": ("docs/coming-from-scikit-learn.md", sparse.markdown, sparse.MARKS),
}


def test_pages_have_the_numbers_of_the_stored_grid():
    short = f"{report.GRID_BEGIN}\n{report.short_markdown(grid.RESULTS)}\n{report.GRID_END}"
    assert short in (ROOT / "README.md").read_text("utf-8"), "python -m bench.tables --missing"
    text = f"{report.STEPS_BEGIN}\n{report.steps_markdown(grid.RESULTS)}\n{report.STEPS_END}"
    assert text in (ROOT / report.PAGE).read_text("utf-8"), "python -m bench.tables --missing"


@pytest.mark.parametrize("name", TABLES)
def test_pages_have_the_numbers_of_the_stored_runs(name):
    page, markdown, (begin, end) = TABLES[name]
    text = f"{begin}\n{markdown(stored_run(name))}\n{end}"
    assert text in (ROOT / page).read_text("utf-8"), "python -m bench.tables --missing"


def test_the_page_of_speed_has_the_numbers_of_the_stored_grids():
    text = report.page_markdown()
    assert text.count("## ") >= 4
    page = (ROOT / report.PAGE).read_text("utf-8")
    assert f"{report.GRID_BEGIN}\n{text}\n{report.GRID_END}" in page


def test_changed_digit_of_a_page_is_noticed(stored, pages):
    report.main(["--from", str(stored), "--write", *pages])
    text, page = report.markdown(json.loads(stored.read_text("utf-8"))), Path(pages[1])
    assert text in page.read_text("utf-8")
    page.write_text(page.read_text("utf-8").replace("500 µs", "501 µs", 1), "utf-8")
    assert text not in page.read_text("utf-8")


@pytest.mark.parametrize("name", [path.removesuffix(".json") for path, _ in tables.SECTIONS.values()])
def test_stored_runs_name_versions_kernels_and_date_and_were_not_held(name):
    about = stored_run(name)["machine"]
    assert about["held"] == [], "python -m bench.tables measures anew"
    text = measure.described(about)
    assert {"NumPy"} <= about["versions"].keys() & about["kernels"].keys()
    for part in (about["processor"], about["date"], *about["versions"].values(), *about["kernels"].values()):
        assert part in text


@pytest.mark.parametrize("name", [name for name in tables.SECTIONS if tables.SECTIONS[name][1][0] == "bench.grid"])
def test_sections_of_the_grid_are_stored_where_the_pages_look(name):
    file, (_, *options) = tables.SECTIONS[name]
    how = {"dtype": "float32", "activation": "relu", "optimizer": "sgd", "threads": 1}
    if "--epoch" in options:
        options.remove("--epoch")
        how["epoch"] = True
    for key, value in zip(options[::2], options[1::2], strict=True):
        how[key.removeprefix("--")] = type(how[key.removeprefix("--")])(value)
    assert grid.file_of(how).name == file
    run = stored_run(file.removesuffix(".json"))
    assert run["options"] == how
    sides = {"NumPy", "PyTorch", "JAX"} if how.get("epoch") else {"NumPy", "JAX", "scikit-learn"}
    assert set(run["machine"]["versions"]) >= sides | {"PyTorch"}


#: Generated parts, code and links have no claims of their own.
GENERATED = re.compile(r"<!-- (\w+):begin -->.*?<!-- \1:end -->|```.*?```|\]\([^)]*\)", re.S)
CLAIM = re.compile(
    r"(times|\d ?%|much|far|a lot)[\w\s,'()]{0,40}(fast|quick|slow)|\b(fast|quick|slow)(er|est)\b"
    r"|(tenth|third|quarter|half|fraction) of [\w\s,'()]{0,40}time\b|\d ?µs\b|speed-?up",
    re.I,
)
#: Where a word of these has another sense: what is no claim about another library.
OTHER_SENSE = ("a second would make it slower", "How many times quicker a step is in several")


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/speed.md",
        "docs/training.md",
        "docs/the-book.md",
        "docs/coming-from-pytorch.md",
        "docs/coming-from-scikit-learn.md",
        "docs/kernels.md",
        "docs/data.md",
        "docs/tables.md",
        "docs/graph.md",
        "docs/pictures.md",
        "docs/machines.md",
        "docs/many-machines.md",
    ],
)
def test_prose_claims_no_speed(page):
    text = " ".join(GENERATED.sub("", (ROOT / page).read_text("utf-8")).split())
    for phrase in OTHER_SENSE:
        text = text.replace(phrase, "")
    assert not (found := CLAIM.search(text)), found[0]


@pytest.mark.parametrize(
    "text",
    [
        "each step several times as fast",
        "3.3 times faster than",
        "the fastest way to",
        "12 µs",
        "a tenth of PyTorch's time",
        "less than half of the time",
        "20 % quicker",
    ],
)
def test_claims_of_speed_are_seen(text):
    assert CLAIM.search(text)


def test_stored_scores_of_the_estimators_are_scikit_learns():
    stored = json.loads(estimators.RESULTS.read_text())["quality"]
    assert len({row["name"] for row in stored}) >= 8
    assert {row["solver"] for row in stored} == set(estimators.SOLVERS)
    assert max(abs(estimators.difference(row)) for row in stored) < 0.005


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_bench_fits_both():
    rng = np.random.default_rng(0)
    pair = estimators.fits(rng.random((30, 4)), np.arange(30) % 3, 1, max_iter=1)
    assert len(pair) == 2 and min(pair) > 0
    one = {"name": "case", "fastbp": 0.5, "scikit-learn": 1.5}
    assert estimators.speed_cells(one) == ["case", "500 ms", "1.50 s", "3.0"]


@pytest.mark.parametrize("name", autograd.NETWORKS)
def test_perceptrons_of_the_autograd_bench_train(name):
    gradients, step = autograd.network_steps(fastbp, *autograd.NETWORKS[name])
    first = gradients().item()
    assert gradients().item() == first
    for _ in range(5):
        step()
    assert gradients().item() < first
