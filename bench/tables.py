"""Every table of README.md and docs anew: ``python -m bench.tables``.

Each section is a process of its own, which stores its results and writes its tables as soon as it
is done; so a run that was broken off goes on with ``--missing``.  A quiet machine is needed, with
PyTorch, JAX, an MPI, a C compiler and the MNIST data, and 24 GB of memory for L-BFGS on hashed features; it
takes some hours, of which torch.compile has most.  The table of several threads is
left out where the processor has few cores: ``python -m bench.threads --write``.
"""

import argparse
import json
import subprocess
import sys
import time
from datetime import date

from bench import ROOT

RESULTS = ROOT / "bench" / "results"
#: Section: the stored file, and the command that makes it.
SECTIONS = {
    "grid": ("grid.json", ["bench.grid"]),
    "adam": ("grid-adam.json", ["bench.grid", "--optimizer", "adam"]),
    "float64": ("grid-float64.json", ["bench.grid", "--dtype", "float64"]),
    "sigmoid": ("grid-sigmoid.json", ["bench.grid", "--activation", "sigmoid"]),
    "threads2": ("grid-threads2.json", ["bench.grid", "--threads", "2"]),
    "epoch": ("grid-epoch.json", ["bench.grid", "--epoch"]),
    "epoch-float64": ("grid-epoch-float64.json", ["bench.grid", "--epoch", "--dtype", "float64"]),
    "activations": ("activations.json", ["bench.activations"]),
    "predict": ("predict.json", ["bench.predict"]),
    "mixed": ("mixed.json", ["bench.mixed"]),
    "export": ("export.json", ["bench.export"]),
    "life": ("life.json", ["bench.life"]),
    "sparse": ("sparse.json", ["bench.sparse"]),
    "ranks": ("ranks.json", ["bench.ranks"]),
    "autograd": ("autograd.json", ["bench.autograd"]),
    "estimators": ("estimators.json", ["bench.estimators"]),
    "sweeps": ("sweeps.json", ["bench.sweeps"]),
    "schools": ("schools.json", ["bench.schools"]),
    "layers": ("latest.json", ["bench.report"]),  # last: it writes the grids' tables, too
}


def stored_today(name):
    """Whether a section was measured today with nothing held down."""
    path = RESULTS / SECTIONS[name][0]
    if not path.exists():
        return False
    about = json.loads(path.read_text("utf-8"))["machine"]
    return about["date"] == date.today().isoformat() and not about["held"]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=tuple(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--missing", action="store_true", help="those not yet measured today")
    parser.add_argument("--quick", action="store_true", help="see that it works; writes nothing")
    options = parser.parse_args(arguments)
    names = [name for name in SECTIONS if name in options.only and not (options.missing and stored_today(name))]
    for name in names:
        command = [*SECTIONS[name][1], "--quick" if options.quick else "--write"]
        print(f"=== {name}: python -m {' '.join(command)}", flush=True)
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)
        print(f"=== {name}: {time.perf_counter() - start:.0f} s", flush=True)
    if not options.quick and "layers" not in names:  # the pages, from what is stored
        latest = str(RESULTS / SECTIONS["layers"][0])
        command = ["bench.report", "--from", latest, "--write"]
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
