"""MKL's vendor check, answered.

MKL asks who made the processor, and takes AVX2 kernels at most on those of other makers than
Intel, whatever they have.  The question is a function of a shared library's, so that two lines of
C, loaded before it, can answer it: PyTorch then runs the kernels of the processor's own set.
"""

import sys
import tempfile
from contextlib import contextmanager

from bench import UNLOCKED, compiler
from bench.tasks import CannotExpress, NotCompiled

SOURCE = "int mkl_serv_intel_cpu_true(void);\nint mkl_serv_intel_cpu_true(void) { return 1; }\n"


@contextmanager
def environment():
    """The variables of a process in which MKL believes that it runs on Intel's processor."""
    if not sys.platform.startswith("linux"):
        raise CannotExpress("MKL's vendor check is answered by a preloaded library, on Linux alone")
    with tempfile.TemporaryDirectory() as folder:
        library = compiler.shared_library(SOURCE, folder)
        if library is None:
            raise NotCompiled(
                "MKL's vendor check is answered by two lines of C, and no C compiler (cc) makes a "
                "shared library of them here"
            )
        yield {"LD_PRELOAD": str(library), UNLOCKED: str(library)}
