"""CONTRIBUTING's diffs: applied to a copy, which is built and passes the gradient check."""

import os
import shutil
import subprocess
import sys

import pytest
from test_docs import ROOT, blocks

DIFFS = [text for kind, text in blocks(ROOT / "CONTRIBUTING.md") if kind == "diff"]
CODE = """
import os

import numpy as np
import fastbp
from fastbp import losses, nn, optim
from fastbp.estimators import MLPClassifier

assert fastbp.__file__.startswith(os.getcwd()), fastbp.__file__
rng = np.random.default_rng(0)
x, t = rng.standard_normal((12, 3)), rng.standard_normal((12, 2))
for dtype in ("float32", "float64"):
    net = fastbp.Sequential.from_config(
        [(3, 5, "relu1"), (5, 2, "linear")], loss="quartic", seed=0, dtype=dtype
    )
    history = net.fit(x, t, epochs=20, batch_size=4, optimizer=optim.Squashed(lr=0.01), seed=0)
    assert history.train_loss[-1] < history.train_loss[0]
    with fastbp.use("reference"):
        loss = net.loss(x, t)
    assert abs(loss - net.loss(x, t)) < 1e-5 * loss
    assert fastbp.gradient_check(net, x, t).passed
w = fastbp.tensor(x[0], requires_grad=True)
losses.QuarticLoss().forward(nn.ReLU1()(w), np.zeros(3)).backward()
optim.Squashed([w], lr=0.5).step()
model = MLPClassifier((4,), activation="relu1", solver="squashed", max_iter=2, random_state=0)
model.fit(x, t[:, 0] > 0)
"""


def test_there_are_three_of_under_20_lines():
    assert len(DIFFS) == 3
    for diff in DIFFS:
        assert len(diff.splitlines()) < 20
        assert diff.count("\n+++ ") + diff.startswith("+++ ") <= 4


@pytest.mark.slow
def test_the_diffs_apply_build_and_pass_the_gradient_check(tmp_path):
    pytest.importorskip("Cython")
    pytest.importorskip("sklearn")
    git = ["git", "-C", str(ROOT)]
    files = subprocess.run([*git, "ls-files", "-z"], capture_output=True, text=True, check=True)
    for name in files.stdout.split("\0"):
        if name.startswith(("fastbp/", "setup.py", "pyproject.toml")) and (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    if (ROOT / "build/cython").exists():  # as no diff changes what Cython reads
        shutil.copytree(ROOT / "build/cython", tmp_path / "build/cython")
    for diff in DIFFS:
        subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff, text=True, check=True)
    for command in (["setup.py", "-q", "build_ext", "--inplace"], ["-c", CODE]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
