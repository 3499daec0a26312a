"""How fast one core multiplies and adds, from registers alone: a few lines of C, compiled at
run time for this processor.  Without a compiler there is no peak to speak of (`loop` is None).
"""

import ctypes
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

#: Sums that do not wait for each other: more than the latency of two FMA units asks for (10), and
#: few enough for the 16 registers of AVX2, where 16 of them were spilt and gave half of the peak.
N = 12
SOURCE = """
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define LOOP(NAME, REAL)                                                            \\
    typedef REAL NAME##_vector __attribute__((vector_size(BYTES)));                 \\
    double NAME(long n) {                                                           \\
        NAME##_vector factor = {0}, addend = {0};                                   \\
        factor += (REAL)0.999; addend += (REAL)0.001;                               \\
        __asm__ volatile("" : "+m"(factor), "+m"(addend));                          \\
        NAME##_vector DECLARED;                                                     \\
        for (long i = 0; i < n; i++) { UPDATED }                                    \\
        volatile NAME##_vector sum = SUMMED;                                        \\
        (void)sum;                                                                  \\
        return 2.0 * COUNT * (BYTES / sizeof(REAL)) * n;                            \\
    }
LOOP(float32, float)
LOOP(float64, double)
"""


def source():
    """The C text, with the sums as named variables, so that they stay in registers."""
    sums = [f"s{k}" for k in range(N)]
    texts = {
        "DECLARED": ", ".join(f"{s} = addend * {k}" for k, s in enumerate(sums)),
        "UPDATED": " ".join(f"{s} = {s} * factor + addend;" for s in sums),
        "SUMMED": " + ".join(sums),
        "COUNT": str(N),
    }
    text = SOURCE
    for name, replacement in texts.items():
        text = text.replace(name, replacement)
    return text


def loop(dtype):
    """A function of the number of turns that runs them and returns the operations done."""
    compiler = next(filter(None, map(shutil.which, [os.environ.get("CC", "cc"), "gcc", "clang"])),
                    None)  # fmt: skip
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        c, library = Path(folder, "peak.c"), Path(folder, "peak.so")
        c.write_text(source(), "utf-8")
        command = [compiler, "-O2", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC"]
        done = subprocess.run([*command, str(c), "-o", str(library)], capture_output=True)
        if done.returncode:
            return None
        function = getattr(ctypes.CDLL(str(library)), dtype)  # stays loaded without its file
    function.argtypes, function.restype = [ctypes.c_long], ctypes.c_double
    return function
