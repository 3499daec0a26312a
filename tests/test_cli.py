import io
import os
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

import fastbp
from fastbp import datasets
from fastbp.command import arguments, cli
from fastbp.network import ACTIVATIONS
from fastbp.threads import available_threads

pytest.importorskip("safetensors")  # which `train` looks for first

EPOCH = re.compile(
    r"epoch +(\d+)/(\d+)  loss (\d+\.\d{4})  train accuracy ([01]\.\d{4})  "
    r"test accuracy ([01]\.\d{4})"
)
FILES = ["learning-curves.png", "weights.safetensors"]


def write_mnist(folder, n_train=40, n_test=12):
    """MNIST's four files with few images: a bright square whose place tells the class."""
    rng = np.random.default_rng(0)
    for part, n in (("train", n_train), ("t10k", n_test)):
        labels = np.arange(n) % 10
        images = rng.integers(0, 30, (n, 28, 28))
        for picture, label in zip(images, labels, strict=True):
            picture[2 * label : 2 * label + 6, 4:24] = 255
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(header + array.astype("u1").tobytes())
    return folder


# --- train ----------------------------------------------------------------------------------


def test_digits_by_default_reach_96_percent_and_leave_two_files(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, error = run("train")
    assert (status, error) == (0, "")
    first, *epochs, verdict, accuracy, rate, written = out.splitlines()
    assert first.startswith("digits: 1438 training and 359 test rows; network 64-100-10, relu")
    found = [EPOCH.fullmatch(line).groups() for line in epochs]
    assert [(int(k), int(n)) for k, n, *_ in found] == [(k, 30) for k in range(1, 31)]
    assert float(found[-1][2]) < 0.1 * float(found[0][2])
    assert re.fullmatch(r"gradient check  passed, largest relative error \d\.\de-\d\d", verdict)
    assert re.fullmatch(r"training        \d+\.\d{3} s, [\d,]+ samples/s", rate)
    assert written == f"written         {', '.join(FILES)}"
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES

    (_, _), (x_test, t_test) = datasets.load_digits()
    net = fastbp.Sequential.load("weights.safetensors")
    assert net.accuracy(x_test, t_test) >= 0.96
    assert accuracy == f"test accuracy   {net.accuracy(x_test, t_test):.4f}"
    assert accuracy.endswith(found[-1][-1])

    pixels = image.imread("learning-curves.png")[..., :3]
    assert min(pixels.shape[:2]) > 400
    for panel in np.array_split(pixels, 2, axis=1):
        for colour in ((0, 0x72, 0xB2), (0xD5, 0x5E, 0)):  # train and test
            near = np.abs(panel - np.array(colour) / 255).max(axis=-1) < 0.02
            assert near.sum() > 300


def test_curves_show_what_the_lines_say(run, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(cli.plots, "learning_curves", lambda h, path: drawn.update(h))
    _, out, _ = run("train", "iris", "--epochs", 7, "--out", tmp_path)
    assert sorted(drawn) == ["test_accuracy", "test_loss", "train_accuracy", "train_loss"]
    for k, name in ((3, "train_loss"), (4, "train_accuracy"), (5, "test_accuracy")):
        said = [float(match[k]) for match in EPOCH.finditer(out)]
        assert np.allclose(said, drawn[name], atol=6e-5)
    net = fastbp.Sequential.load(tmp_path / "weights.safetensors")
    assert net.loss(*datasets.load_iris()[1]) == drawn["test_loss"][-1]


def test_iris_reaches_90_percent(run, tmp_path):
    status, out, _ = run("train", "iris", "--out", tmp_path / "made" / "for it")
    assert status == 0
    assert float(re.search(r"test accuracy   (\S+)", out)[1]) >= 0.9
    assert sorted(path.name for path in (tmp_path / "made" / "for it").iterdir()) == FILES


@pytest.mark.parametrize("name, sizes", [("wine", "13-20-3"), ("breast_cancer", "30-20-2")])
def test_scikit_learns_tables_are_named(run, tmp_path, name, sizes):
    status, out, _ = run("train", name, "--out", tmp_path)
    assert status == 0 and f"network {sizes}, relu" in out.splitlines()[0]
    assert float(re.search(r"test accuracy +([\d.]+)\n", out.partition("gradient check")[2])[1]) > 0.92
    assert run("check", name)[0] == 0


@pytest.mark.parametrize("named", ["--data", "FASTBP_DATA"])
def test_mnist_is_read_from_the_folder_that_is_named(named, run, tmp_path, monkeypatch):
    folder = write_mnist(tmp_path)
    monkeypatch.delenv("FASTBP_DATA", raising=False)
    if named == "FASTBP_DATA":
        monkeypatch.setenv("FASTBP_DATA", str(folder))
    words = ("--data", folder) if named == "--data" else ()
    status, out, _ = run("train", "mnist", "--batch-size", 7, "--out", tmp_path / "out", *words)
    assert status == 0
    assert out.startswith("mnist: 40 training and 12 test rows; network 784-50-10, relu")
    assert float(re.search(r"test accuracy   (\S+)", out)[1]) == 1


def test_options_make_the_network(run, tmp_path):
    status, out, _ = run(
        "train",
        "iris",
        "--hidden",
        "7,5",
        "--activation",
        "tanh",
        "--epochs",
        3,
        "--lr",
        "0.02",
        "--batch-size",
        50,
        "--dtype",
        "float64",
        "--seed",
        3,
        "--out",
        tmp_path,
    )
    assert status == 0
    assert "4-7-5-3, tanh, float64; batches of 50, lr 0.02" in out
    assert len(EPOCH.findall(out)) == 3
    net = fastbp.Sequential.load(tmp_path / "weights.safetensors")
    assert [type(layer).__name__ for layer in net][1::2] == ["Tanh", "Tanh", "Identity"]
    shapes = {"W1": (4, 7), "b1": (7,), "W2": (7, 5), "b2": (5,), "W3": (5, 3), "b3": (3,)}
    assert {name: array.shape for name, array in net.params.items()} == shapes
    assert {array.dtype.name for array in net.params.values()} == {"float64"}


@pytest.mark.parametrize(
    ("name", "optimizer", "lr"), [("sgd", fastbp.SGD(lr=0.02, momentum=0.9), 0.02), ("adam", fastbp.Adam(), None)]
)
def test_training_is_that_of_fit(name, optimizer, lr, run, tmp_path):
    """The saved weights and the lines are those of a network trained by hand."""
    words = () if lr is None else ("--lr", lr)
    status, out, _ = run(
        "train",
        "iris",
        "--hidden",
        6,
        "--batch-size",
        32,
        "--dtype",
        "float64",
        "--epochs",
        3,
        "--seed",
        5,
        "--optimizer",
        name,
        "--out",
        tmp_path,
        *words,
    )
    assert status == 0
    (x, t), test = datasets.load_iris()
    config = [(4, 6, "relu"), (6, 3, "linear")]
    net = fastbp.Sequential.from_config(config, "softmax_cross_entropy", "float64", 5)
    history = net.fit(x, t, epochs=3, batch_size=32, optimizer=optimizer, seed=5, validation_data=test)
    saved = fastbp.Sequential.load(tmp_path / "weights.safetensors")
    for key in net.params:
        np.testing.assert_array_equal(saved.params[key], net.params[key])
    said = [tuple(map(float, found[2:])) for found in EPOCH.findall(out)]
    numbers = zip(history.train_loss, history.train_accuracy, history.val_accuracy, strict=True)
    np.testing.assert_allclose(said, list(numbers), atol=6e-5)


def test_a_file_that_is_no_checkpoint_is_not_written_over(refused, tmp_path):
    mine = tmp_path / "notes.txt"
    mine.write_text("my thesis")
    words = ("train", "iris", "--out", tmp_path / "out", "--epochs", 1, "--checkpoint", mine)
    assert "expects a new file or an earlier checkpoint" in refused(*words)
    assert mine.read_text() == "my thesis"


@pytest.mark.parametrize("name", ["weights.safetensors", "learning-curves.png"])
def test_a_folder_in_the_place_of_a_file_is_found_before_the_training(name, refused, tmp_path):
    (tmp_path / name).mkdir()
    assert f"the file {name}" in refused("train", "iris", "--out", tmp_path, "--epochs", 1)


def test_a_training_goes_on_from_its_checkpoint(run, refused, tmp_path):
    words = ("train", "iris", "--out", tmp_path, "--force", "--seed", 3)
    checkpoint = tmp_path / "run"
    assert run(*words, "--epochs", 6)[0] == 0
    straight = (tmp_path / "weights.safetensors").read_bytes()
    assert run(*words, "--epochs", 2, "--checkpoint", checkpoint, "--every", 3)[0] == 0
    status, out, _ = run(*words, "--epochs", 6, "--resume", checkpoint)
    assert status == 0 and len(EPOCH.findall(out)) == 4
    assert (tmp_path / "weights.safetensors").read_bytes() == straight
    again = (*words, "--epochs", 6, "--resume", checkpoint)
    assert "optimizer.lr 0.01" in refused(*again, "--lr", 1)


@pytest.mark.parametrize(
    ("words", "hidden", "data_set"),
    [
        (["iris", "--hidden", "8,4"], [8, 4], "iris"),
        (["iris", "--hidden", "8", "4"], [8, 4], "iris"),
        (["--hidden", "8", "4", "iris"], [8, 4], "iris"),
        (["--hidden", "8,4", "2", "iris"], [8, 4, 2], "iris"),
        (["--hidden=8", "iris"], [8], "iris"),
        (["--hidden", "8"], [8], "digits"),
        (["--hidden", "8", "2024.csv"], [8], "2024.csv"),
        ([], (100,), "digits"),
    ],
)
def test_hidden_widths_are_read_before_and_behind_the_data_set(words, hidden, data_set):
    args = arguments.parser("").parse_args(["train", *words])
    arguments.settle(args)
    assert (args.hidden, args.data_set) == (hidden, data_set)


def test_seed_decides_everything(run, tmp_path):
    def trained(name, seed):
        out = tmp_path / name
        _, text, _ = run("train", "iris", "--epochs", 5, "--seed", seed, "--out", out)
        return EPOCH.findall(text), (out / "weights.safetensors").read_bytes()

    assert trained("a", 1) == trained("b", 1)
    assert trained("a", 1)[1] != trained("c", 2)[1]


def test_failed_gradient_check_is_status_one_and_shown(run, tmp_path, monkeypatch):
    pullback = fastbp.Affine.pullback

    def wrong(self, *args, **kwargs):
        dx, (dW, db) = pullback(self, *args, **kwargs)
        return dx, (dW, 1.01 * db)

    monkeypatch.setattr(fastbp.Affine, "pullback", wrong)
    status, out, _ = run("train", "iris", "--epochs", 2, "--out", tmp_path)
    assert status == 1
    assert "gradient check FAILED\n" in out and "found at" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    status, out, _ = run("check", "iris")
    assert status == 1
    assert out.startswith("gradient check FAILED\n")


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        ("", "COMMAND"),
        ("bogus", "'bogus'"),
        ("train flowers", "expected digits, iris, mnist, wine, breast_cancer or a CSV file; got 'flowers'"),
        ("train iris digits", "digits"),
        ("train --epochs 0", "--epochs: expected an integer of at least 1; got '0'"),
        ("train --epochs 1.5", "got '1.5'"),
        ("train --epochs " + "9" * 5000, "--epochs"),
        ("train --batch-size -3", "--batch-size: expected an integer of at least 1; got '-3'"),
        ("train --seed -1", "--seed: expected an integer of at least 0; got '-1'"),
        ("train --lr 0", "--lr: expected a number above 0; got '0'"),
        ("train --lr -0.1", "got '-0.1'"),
        ("train --lr nan", "got 'nan'"),
        ("train --lr inf", "got 'inf'"),
        ("train --lr fast", "got 'fast'"),
        ("train --hidden", "--hidden"),
        ("train --hidden 10,,5", "--hidden: expected an integer of at least 1; got ''"),
        ("train --hidden 10 0", "got '0'"),
        ("train --hidden ten", "got 'ten'"),
        ("train --hidden iris", "--hidden expects widths of layers; got none"),
        ("train iris --hidden 10 mnist", "--hidden expects widths of layers; got mnist"),
        ("train --hidden 10 iris 5", "--hidden expects widths of layers; got iris"),
        ("train --hidden 10000000000000", "allocate"),
        ("train --activation swish", "'swish'"),
        ("train --optimizer newton", "'newton'"),
        ("train --task guessing", "'guessing'"),
        ("train iris --target species", "--target expects a table, as a CSV file; got iris"),
        (
            "train --data nothing.csv",
            "--data expects mnist before it, whose folder it names, and a table comes without it",
        ),
        ("train iris --dry-run", "--dry-run expects a table, as a CSV file; got iris"),
        ("train iris --no-header", "--no-header expects a table, as a CSV file; got iris"),
        ("predict model.safetensors", "FILE"),
        ("predict none.safetensors none.csv", "a file that exists; got 'none.safetensors'"),
        ("evaluate none.safetensors none.csv", "a file that exists; got 'none.safetensors'"),
        ("train none.csv --target y", "path of a file that exists; got 'none.csv'"),
        ("train --dtype float16", "'float16'"),
        ("train iris --every 0 --checkpoint run", "--every: expected an integer of at least 1"),
        ("train iris --every 5", "fit expects every with a checkpoint"),
        ("train iris --checkpoint none/run", "none/run"),
        ("train iris --resume none", "a file that exists; got 'none'"),
        ("train --epoch 3", "unrecognized arguments: --epoch"),
        ("check --epochs 3", "unrecognized arguments: --epochs"),
        ("check flowers", "'flowers'"),
        ("info digits", "a file that exists; got 'digits'"),
    ],
)
def test_bad_arguments_are_one_line(words, fragment, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fragment in refused(*words.split(" ") if words else ())
    assert not list(tmp_path.iterdir())


def test_line_breaks_in_an_argument_do_not_break_the_line(refused):
    assert "b c" in refused("info", "a", "b\nc")


@pytest.mark.parametrize("command", ["train", "check"])
def test_mnist_missing_or_broken_is_one_line(command, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASTBP_DATA", raising=False)
    assert "FASTBP_DATA" in refused(command, "mnist")
    assert "nowhere" in refused(command, "mnist", "--data", "nowhere")
    assert "~no-such-user/x" in refused(command, "mnist", "--data", "~no-such-user/x")
    labels = write_mnist(tmp_path) / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    assert "t10k-labels" in refused(command, "mnist", "--data", tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_out_that_cannot_be_written_is_found_before_training(refused, tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    for out in (file, file / "below"):
        line = refused("train", "iris", "--out", out)
        assert f"--out expects a folder to write to; got {str(out)!r} (" in line
    assert file.read_text() == "kept"


def test_out_in_a_file_system_without_writing_is_one_line(refused):
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc")
    assert "'/proc/self'" in refused("train", "iris", "--out", "/proc/self")


def test_file_that_cannot_be_replaced_is_one_line(run, tmp_path):
    (tmp_path / "weights.safetensors").mkdir()
    status, _, error = run("train", "iris", "--epochs", 1, "--out", tmp_path)
    assert status == 2
    assert re.fullmatch(r"fastbp: .*weights\.safetensors.*\n", error)


def test_a_picture_that_cannot_be_written_does_not_cost_the_weights(run, tmp_path, monkeypatch):
    def full(curves, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(cli.plots, "learning_curves", full)
    status, _, error = run("train", "iris", "--epochs", 1, "--out", tmp_path)
    assert status == 2
    assert re.fullmatch(r"fastbp: .*learning-curves\.png.*\n", error)
    assert (tmp_path / "weights.safetensors").is_file()


@pytest.mark.parametrize("words", [("info",), ("train", "iris", "--epochs", "1")])
def test_without_stdout_nothing_is_printed(words, tmp_path, monkeypatch):
    """As Python starts where the shell has closed it, with >&-."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(words) == 0


def test_names_that_stdout_cannot_encode_are_printed_by_their_escapes(tmp_path, monkeypatch):
    table = tmp_path / "prices.csv"
    table.write_text("größe,δ\n" + "\n".join(f"{i},{i / 7}" for i in range(30)), encoding="utf-8")
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", out)
    words = ["train", str(table), "--target", "δ", "--epochs", "1", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    assert r"in the unit of \u03b4" in out.buffer.getvalue().decode("latin-1")
    assert (tmp_path / "model.safetensors").is_file()
    assert out.errors == "strict"


def test_without_stderr_there_is_no_bar(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(["train", "iris", "--epochs", "2", "--out", str(tmp_path)]) == 0
    assert "epoch 2/2" in capsys.readouterr().out


def test_divergence_is_one_line_and_writes_nothing(run, tmp_path):
    status, out, error = run("train", "iris", "--lr", "1e30", "--out", tmp_path)
    assert status == 2
    assert "nan" not in out
    assert re.fullmatch(
        r"fastbp: the loss is not finite in epoch \d+: the training diverged, "
        r"so take an --lr below 1e\+30\n",
        error,
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["sklearn", "tqdm", "matplotlib", "safetensors"])
def test_missing_package_is_one_line_before_training(package, refused, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    name = {"sklearn": "scikit-learn"}.get(package, package)
    line = refused("train", "iris", "--out", tmp_path / "out")
    assert name in line and "pip install 'fastbp[all]'" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("empty", ["training", "test"])
def test_no_rows_are_refused(empty, refused, monkeypatch):
    some, none = ((np.zeros((3, 4), "f4"), np.zeros(3, int)), (np.zeros((0, 4), "f4"), np.zeros(0, int)))
    split = (none, some) if empty == "training" else (some, none)
    monkeypatch.setattr(datasets, "load_iris", lambda: split)
    assert "at least one training and one test row" in refused("train", "iris")


def test_divergence_that_only_the_test_rows_show_writes_nothing(run, tmp_path):
    """One batch in one epoch: the training loss is that before the step."""
    words = ("--lr", "1e38", "--epochs", 1, "--batch-size", 120, "--out", tmp_path)
    status, out, error = run("train", "iris", *words)
    assert (status, out.count("epoch")) == (2, 0)
    assert error.startswith("fastbp: the loss is not finite in epoch 1: ")
    assert not list(tmp_path.iterdir())


def test_interrupt_is_one_line(run, tmp_path, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastbp.Trainer, "epoch", interrupted)
    status, _, error = run("train", "iris", "--out", tmp_path)
    assert (status, error) == (130, "fastbp: interrupted\n")
    assert not list(tmp_path.iterdir())


# --- check, info, help ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "check",
        "check iris --full",
        "check iris --hidden 6,6,6 --activation sigmoid --seed 9",
        "check digits --activation tanh",
        *(f"check iris --activation {name}" for name in ACTIVATIONS),
    ],
)
def test_check_passes(words, run):
    status, out, error = run(*words.split())
    assert (status, error) == (0, "")
    assert out.startswith("gradient check passed\n")


def test_full_check_compares_every_parameter(run, tmp_path):
    _, out, _ = run("check", "iris", "--full", "--hidden", "11")
    checked, kinks = map(int, re.search(r"checked +(\d+) coord\w+; (\d+) kink", out).groups())
    assert checked + kinks == 4 * 11 + 11 + 11 * 3 + 3
    folder = write_mnist(tmp_path)
    status, out, _ = run("check", "mnist", "--data", folder, "--hidden", "3")
    assert status == 0 and "checked" in out


def test_info_tells_version_instruction_sets_and_machine(run):
    status, out, error = run("info")
    assert (status, error) == (0, "")
    rows = dict(re.split(r"  +", line, maxsplit=1) for line in out.splitlines())
    assert rows["fastbp"] == fastbp.__version__
    assert rows["in use"] in rows["usable here"].split(", ")
    assert set(rows["usable here"].split(", ")) <= set(rows["built for"].split(", "))
    assert rows["OpenMP"] in ("yes", "no")
    assert rows["NumPy"] == np.__version__
    assert rows["threads"].startswith(f"{available_threads()} ")
    assert "OMP_NUM_THREADS" in rows["threads"]
    assert rows["processor"]
    columns = {re.match(r".*?  +", line).end() for line in out.splitlines()}
    assert len(columns) == 1


def test_version_is_the_packages(run):
    assert run("--version") == (0, f"fastbp {fastbp.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["--help"], ["train", "check", "info", "examples:", "fastbp train mnist --data"]),
        (
            ["train", "--help"],
            [
                "--hidden",
                "--activation",
                "--epochs",
                "--batch-size",
                "--lr",
                "--dtype",
                "--seed",
                "--data",
                "--out",
                "digits 100, iris 10,10, mnist 50",
                "momentum 0.9",
                "examples:",
                "exit status",
                "--target price",
                "--task",
                "--checkpoint",
                "--every",
                "--resume",
                *ACTIVATIONS,
            ],
        ),
        (["check", "--help"], ["--full", "--hidden", "--activation", "--seed", "--data"]),
        (["predict", "--help"], ["--proba", "--out", "--strict", "--force", "--encoding", "--no-header"]),
        (["evaluate", "--help"], ["--target", "--strict"]),
        (["info", "--help"], ["FASTBP_ISA", "MODEL"]),
    ],
)
def test_help_reads_well(words, fragments, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, error = run(*words)
    assert (status, error) == (0, "")
    flat = " ".join(out.split())
    assert out.startswith("usage: fastbp")
    assert max(map(len, out.splitlines())) <= 80
    for fragment in fragments:
        assert fragment in flat


# --- as a process ---------------------------------------------------------------------------


def test_module_runs_and_info_and_help_load_no_extra(run_python):
    probe = run_python("-X", "importtime", "-m", "fastbp", "info")
    assert probe.returncode == 0
    assert probe.stdout.startswith("fastbp ")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in probe.stderr.split("\n")}
    assert "numpy" in loaded
    assert not loaded & {"matplotlib", "sklearn", "scipy", "tqdm", "safetensors"}


def test_bad_argument_in_a_process_is_status_2_and_one_line(run_python):
    done = run_python("-m", "fastbp", "train", "--lr", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"fastbp: [^\n]+\n", done.stderr)


def test_reader_that_leaves_is_no_traceback(run_python):
    code = """
import os, sys
from fastbp.command import cli
read, write = os.pipe()
os.dup2(write, 1)
os.close(read)
sys.exit(cli.main(sys.argv[1:]))
"""
    for words in (["info"], ["--help"], ["train", "iris", "--out", "out"]):
        done = run_python("-c", code, *words, PYTHONUNBUFFERED="")
        assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")
def test_terminal_shows_a_bar_and_an_interrupt_stops_it(tmp_path):
    import pty

    # A shell without job control lets its background jobs ignore interrupts.
    code = """
import signal, sys
from fastbp.command import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(cli.main(sys.argv[1:]))
"""
    terminal, theirs = pty.openpty()
    home = Path(fastbp.__file__).resolve().parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "train", "--epochs", "100000", "--out", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(home)},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while seen.count(b"epoch") < 20:
            seen += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        while not seen.endswith(b"fastbp: interrupted\r\n"):
            seen += os.read(terminal, 4096)
        assert process.wait(30) == 130
    finally:
        process.kill()
        os.close(terminal)
    assert b"training:" in seen and b"rows/s" in seen
    assert b"Traceback" not in seen
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("--epochs", "1", "--epochs", "2"),
        ("--hidden", "3", "--lr", "0.1", "--hidden", "4"),
        ("--out", "a", "--out", "b"),
        ("--seed", "0", "--seed", "0"),
        ("--optimizer", "adam", "--optimizer", "sgd"),
        ("--dtype", "float32", "--dtype", "float64"),
    ],
)
def test_an_option_given_twice_is_refused(words, refused):
    assert f"{words[-2]} expects to be given once" in refused("train", "iris", *words)


@pytest.mark.parametrize("option", ["--target", "--task"])
def test_an_option_that_is_empty_is_not_passed_over(option, refused):
    assert option in refused("train", "iris", option, "")


@pytest.mark.parametrize("option", ["--checkpoint", "--resume"])
@pytest.mark.parametrize("name", ["weights.safetensors", "learning-curves.png"])
def test_a_file_of_the_training_is_not_written_over_at_its_end(option, name, refused, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"precious")
    line = refused("train", "iris", "--epochs", "1", "--out", tmp_path, option, path)
    assert f"{option} expects another file than" in line and path.read_bytes() == b"precious"


@pytest.mark.parametrize("link", [False, True])
def test_a_checkpoint_is_not_written_over_the_data(link, refused, tmp_path):
    data = path = tmp_path / "flowers.csv"
    data.write_text("a,b\n" + "1,x\n2,y\n" * 10)
    if link:
        path = tmp_path / "link"
        path.symlink_to(data)
    line = refused("train", data, "--target", "b", "--checkpoint", path, "--out", tmp_path / "out")
    assert "--checkpoint expects another file than" in line and "as its data" in line
    assert data.read_text().startswith("a,b\n1,x")


@pytest.mark.parametrize("option", ["--epochs", "--batch-size", "--seed", "--hidden"])
@pytest.mark.parametrize("digits", [21, 5000])
def test_an_integer_beyond_all_is_one_short_line(option, digits, refused):
    line = refused("train", "iris", option, "9" * digits)
    assert f"argument {option}: expected an integer of at most 18446744073709551615" in line
    assert len(line) < 250


@pytest.mark.parametrize("said", ["abc", "0", "-3", "1.5"])
def test_a_number_of_threads_that_is_none_is_said(said, run_python):
    done = run_python("-m", "fastbp", "info", OMP_NUM_THREADS=said)
    expected = f"OMP_NUM_THREADS expects a number above 0; got {said!r}, which counts for nothing"
    assert expected in done.stdout and "Warning" not in done.stderr
    code = "import fastbp.threads as t; t.available_threads()"
    done = run_python("-W", "error", "-c", code, OMP_NUM_THREADS=said)
    assert f"RuntimeWarning: fastbp expects OMP_NUM_THREADS as a number above 0; got {said!r}" in (done.stderr)
    for good in ("2", "2,1", " 3 ", ""):
        done = run_python("-W", "error", "-c", code, OMP_NUM_THREADS=good)
        assert done.returncode == 0, done.stderr
