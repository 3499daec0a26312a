"""How fast one core multiplies and adds, from registers alone: a few lines of C, compiled at
run time for this processor.  Without a compiler there is no peak to speak of (`loop` is None).
"""

import ctypes
import tempfile

from bench import compiler

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
    with tempfile.TemporaryDirectory() as folder:
        library = compiler.shared_library(source(), folder, "-march=native", "-ffp-contract=fast")
        if library is None:
            return None
        function = getattr(ctypes.CDLL(str(library)), dtype)  # stays loaded without its file
    function.argtypes, function.restype = [ctypes.c_long], ctypes.c_double
    return function
