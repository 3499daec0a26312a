"""Outputs and trained weights of every activation, loss and rule as checksums.

``python tests/golden/checksums.py --write`` stores those of the library as it is, under each
instruction set that runs here; a change that is not about numbers leaves them alone.  They hold for
one compiler, as another fuses other products.
"""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

STORED = Path(__file__).with_name("checksums.json")


def compiler():
    """The compiler and its version, in one line."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    return subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def digest(*arrays):
    import numpy as np

    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def of_activations(dtype, sums):
    import numpy as np

    from fastbp import SGD, Linear, Sequential, SoftmaxWithLoss, nn
    from fastbp.layers import Gelu, Identity, LeakyRelu, Relu, Sigmoid, Softplus, Tanh

    made = {
        "relu": Relu,
        "sigmoid": Sigmoid,
        "tanh": Tanh,
        "identity": Identity,
        "leaky_relu": lambda: LeakyRelu(0.2),
        "softplus": Softplus,
        "gelu": Gelu,
        "elu": lambda: nn.ELU(0.7),
        "selu": nn.SELU,
        "silu": nn.SiLU,
        "mish": nn.Mish,
    }
    rng = np.random.default_rng(0)
    x = (3 * rng.standard_normal((37, 41))).astype(dtype)
    dout = rng.standard_normal(x.shape).astype(dtype)
    rows, t = x[:, :13].copy(), rng.integers(0, 3, len(x))
    for name, make in made.items():
        layer = make()
        sums[f"{name} forward"] = digest(layer.forward(x))
        sums[f"{name} backward"] = digest(layer.backward(dout))
        if name in ("elu", "selu", "silu", "mish"):
            continue  # which the engine did not hold before
        net = Sequential(
            Linear(13, 21, seed=1, dtype=dtype), make(), Linear(21, 3, seed=2, dtype=dtype), loss=SoftmaxWithLoss()
        )
        net.fit(rows, t, epochs=3, batch_size=8, optimizer=SGD(lr=0.1), seed=0)
        sums[f"{name} trained"] = digest(*net.params.values())
        sums[f"{name} predicted"] = digest(net.predict(rows))


def of_losses(dtype, sums):
    import numpy as np

    from fastbp import SGD, Linear, Relu, Sequential, losses

    made = {
        "softmax": losses.SoftmaxWithLoss,
        "sigmoid": losses.SigmoidWithLoss,
        "squared": losses.MeanSquaredError,
        "absolute": losses.MeanAbsoluteError,
        "huber": lambda: losses.HuberLoss(0.7),
    }
    rng = np.random.default_rng(1)
    x = rng.standard_normal((37, 13)).astype(dtype)
    z = (2 * rng.standard_normal((37, 5))).astype(dtype)
    targets = {"softmax": rng.integers(0, 5, 37), "sigmoid": rng.integers(0, 2, z.shape)}
    soft = np.abs(z) / np.abs(z).sum(axis=1, keepdims=True)
    for name, make in {**made, "soft": losses.SoftmaxWithLoss}.items():
        t = soft if name == "soft" else targets.get(name, rng.standard_normal(z.shape))
        t = t.astype(dtype) if t.dtype.kind == "f" else t
        loss = make()
        sums[f"{name} loss"] = repr(float(loss.forward(z, t)))
        sums[f"{name} gradient"] = digest(loss.backward())
        net = Sequential(Linear(13, 21, seed=1, dtype=dtype), Relu(), Linear(21, 5, seed=2, dtype=dtype), loss=make())
        net.fit(x, t, epochs=3, batch_size=8, optimizer=SGD(lr=0.1), seed=0)
        sums[f"{name} trained"] = digest(*net.params.values())


def of_rules(dtype, sums):
    import numpy as np

    from fastbp import Linear, Relu, Sequential, SoftmaxWithLoss, optim

    made = {
        "sgd": lambda: optim.SGD(lr=0.1),
        "momentum": lambda: optim.SGD(lr=0.1, momentum=0.9),
        "nesterov": lambda: optim.SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        "adagrad": lambda: optim.AdaGrad(lr=0.1),
        "rmsprop": lambda: optim.RMSprop(lr=0.01),
        "rmsprop with momentum": lambda: optim.RMSprop(lr=0.01, momentum=0.9),
        "adam": lambda: optim.Adam(lr=0.01),
        "adamw": lambda: optim.AdamW(lr=0.01, weight_decay=0.1),
        "adam amsgrad": lambda: optim.Adam(lr=0.01, amsgrad=True),
        "adadelta": optim.Adadelta,
        "adamax": optim.Adamax,
        "nadam": optim.NAdam,
        "radam": optim.RAdam,
        "lion": optim.Lion,
    }
    rng = np.random.default_rng(2)
    x = rng.standard_normal((37, 13)).astype(dtype)
    t = rng.integers(0, 3, 37)
    for name, make in made.items():
        for how in ("fit", "update"):
            net = Sequential(
                Linear(13, 21, seed=1, dtype=dtype), Relu(), Linear(21, 3, seed=2, dtype=dtype), loss=SoftmaxWithLoss()
            )
            rule = make()
            if how == "fit":
                net.fit(x, t, epochs=3, batch_size=8, optimizer=rule, seed=0)
            else:
                for _ in range(5):
                    rule.update(net.params, net.gradient(x, t))
            sums[f"{name} by {how}"] = digest(*net.params.values())


def checksums():
    """All of them, of the instruction set that this process runs."""
    import numpy as np

    found = {}
    for dtype in map(np.dtype, ("f4", "f8")):
        sums = {}
        of_activations(dtype, sums)
        of_losses(dtype, sums)
        of_rules(dtype, sums)
        found |= {f"{name}, {dtype}": value for name, value in sums.items()}
    return found


def of_every_isa():
    """By the instruction sets that run here: each in a process of its own."""
    found = {}
    for isa in ("v2", "v3", "v4"):
        run = subprocess.run(
            [sys.executable, __file__], env={**os.environ, "FASTBP_ISA": isa}, capture_output=True, text=True
        )
        if run.returncode == 0:
            found[isa] = json.loads(run.stdout)
        elif "FASTBP_ISA" not in run.stderr:
            sys.exit(run.stderr)
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        stored = {"compiler": compiler(), **of_every_isa()}
        STORED.write_text(json.dumps(stored, indent=1) + "\n")
    else:
        print(json.dumps(checksums()))
