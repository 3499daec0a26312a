"""Build of the compiled kernels; everything else about the package is in pyproject.toml.

Environment variables
---------------------
FASTBP_DEBUG=1
    Bounds checks in the Cython code, debug symbols, no optimisation of the wrappers.
FASTBP_SANITIZE=address,undefined
    Build with these sanitizers (GCC or Clang).

`python setup.py kernel_flags v3` prints how kernels.c is compiled for an instruction set.
"""

import os
import platform
import shutil
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

KERNELS = Path("fastbp/_kernels")
MODULES = ["isa", "changes", "affine", "activations", "losses", "optim", "steps", "masks", "norm",
           "engine", "autograd", "passes", "prediction"]  # fmt: skip
DEBUG = os.environ.get("FASTBP_DEBUG", "0") or "0"
if DEBUG not in ("0", "1"):
    sys.exit(f"FASTBP_DEBUG expects 0 or 1; got {DEBUG!r}.")
DEBUG = DEBUG == "1"
SANITIZE = os.environ.get("FASTBP_SANITIZE", "")

# One object of kernels.c per instruction set: name, bytes of a vector, rows of a tile (as many
# as its registers hold), flags.  The tile and the vector have to change together, which is why
# this is not left to target_clones.
X86_64 = [
    ("v4", 64, 14, ["-march=x86-64-v4", "-mprefer-vector-width=512"]),
    ("v3", 32, 6, ["-march=x86-64-v3", "-mno-avx512f"]),
    # An MMX register, which GCC 12 took here, leaves long double arithmetic NaN afterwards.
    ("v2", 16, 6, ["-march=x86-64-v2", "-mno-avx", "-mno-mmx"]),
]
PLAIN = [("plain", 16, 14, [])]
MACHINE = sysconfig.get_platform().rpartition("-")[2].lower()  # cross builds name theirs
if sys.platform == "darwin":
    # Apple's Python may be for two processors; the kernels are compiled for one of them.
    MACHINE = os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}").split()[-1]
INSTRUCTION_SETS = X86_64 if MACHINE in ("x86_64", "amd64") else PLAIN

# Never -ffast-math (it would change the arithmetic of the whole process), never -march=native: the
# user's CFLAGS, which come before our flags, may have them, and these undo them.  They do so on the
# linker's line too, where GCC adds to each library code that makes a process flush subnormals.
EXACT_FLAGS = [
    "-O3",  # after -Ofast
    "-fno-fast-math",  # the first, as it sets the others
    "-fno-unsafe-math-optimizations",
    "-fno-finite-math-only",
    "-fno-associative-math",
    "-fno-reciprocal-math",
    "-fsigned-zeros",
    "-fno-lto",
]
# What no other compiler knows is undone where it is asked for.
UNDONE = {
    "-mdaz-ftz": "-mno-daz-ftz",
    "-fsingle-precision-constant": "-fno-single-precision-constant",
}
FLAG_VARIABLES = ("CC", "CFLAGS", "CPPFLAGS", "LDSHARED", "LDFLAGS")
USERS_FLAGS = [flag for name in FLAG_VARIABLES for flag in os.environ.get(name, "").split()]
EXACT_FLAGS += [undo for flag, undo in UNDONE.items() if flag in USERS_FLAGS]

C_FLAGS = ["-std=c11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
C_FLAGS.append("-Wno-unknown-pragmas")  # Clang does not know all of GCC's
# Python's own -fwrapv has indices wrap around, which no kernel's do (the sanitizer looks): without
# it batch normalisation takes 0.9 of the time, and steps of a microsecond 0.97.
C_FLAGS.append("-fno-wrapv")
# Hot loops lie alike whatever changes elsewhere: by their places alone, steps of a microsecond took
# up to 5 % more or less.
C_FLAGS += ["-falign-functions=64", "-falign-loops=32"]
COMMON_FLAGS = [*EXACT_FLAGS, "-g0", "-Wall"]
LINK_FLAGS = list(EXACT_FLAGS)
if DEBUG:
    COMMON_FLAGS = [*EXACT_FLAGS, "-g", "-O1", "-Wall"]
if SANITIZE:
    # Python's own -fwrapv would hide signed overflow, and accesses by masked vectors, which -O3
    # makes, are not checked.
    C_FLAGS[C_FLAGS.index("-O3")] = "-O1"
    COMMON_FLAGS += [
        "-O1",
        f"-fsanitize={SANITIZE}",
        "-fno-sanitize-recover=undefined",
        "-fno-wrapv",
        "-fno-omit-frame-pointer",
        "-g1",  # lines; to follow the unrolled loops' variables too would take GCC minutes
    ]
    LINK_FLAGS += [f"-fsanitize={SANITIZE}"]
# Of the wrappers, and of the kernels beside their own.
WRAPPER_FLAGS, HARDENING = ["-Wno-unused-function"], []
if sys.platform == "linux":
    LINK_FLAGS += ["-Wl,-z,relro,-z,now,-z,noexecstack"]
    if INSTRUCTION_SETS is X86_64:  # they run before a set is picked
        WRAPPER_FLAGS += ["-march=x86-64", "-mtune=generic", "-mno-sse3"]
    if not SANITIZE:
        # Of functions with buffers of bytes: a guard in each that has an array took 4 % of a call
        # of a kernel, and 8 % of an operation on tensors.
        HARDENING = ["-fstack-protector"]
        if not any(flag.startswith("-D_FORTIFY_SOURCE") for flag in USERS_FLAGS):
            HARDENING += ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]


def kernel_flags(name, vector_bytes, max_rows, flags):
    """Macros and flags of kernels.c for one instruction set."""
    macros = [
        ("FBP_ISA", name),
        ("FBP_VECTOR_BYTES", str(vector_bytes)),
        ("FBP_MAX_ROWS", str(max_rows)),
    ]
    return macros, [*COMMON_FLAGS, *C_FLAGS, *flags]


if sys.argv[1:2] == ["kernel_flags"]:  # for tests/native, which builds the C part alone
    sets = {isa[0]: isa for isa in [*X86_64, *PLAIN]}
    if sys.argv[2:] not in [[name] for name in sets]:
        sys.exit(f"kernel_flags expects one of {', '.join(sets)}; got {sys.argv[2:]}.")
    macros, flags = kernel_flags(*sets[sys.argv[2]])
    print(*[f"-D{name}={value}" for name, value in macros], *flags)
    sys.exit()

MISSING_COMPILER = """
fastbp compiles its kernels when it is installed from source, and no working C compiler was
found ({reason}). Install one and try again:
    Debian, Ubuntu   apt-get install gcc python3-dev
    Fedora           dnf install gcc python3-devel
    Alpine           apk add gcc musl-dev python3-dev
    macOS            xcode-select --install
    Windows          winget install LLVM.LLVM, beside the Visual Studio Build Tools
"""


OPENMP_PROBE = """
#include <omp.h>
int main(void) { return omp_get_max_threads() < 1; }
"""


class BuildKernels(build_ext):
    """build_ext that first compiles kernels.c once per instruction set, for `isa` to link."""

    def build_extensions(self):
        self.require_compiler()
        if not self.on_windows():  # it has no threads yet, and OpenMP's would be one more DLL
            threads = "-fopenmp" if self.has_openmp() else "-pthread"
            COMMON_FLAGS.append(threads)
            for extension in self.extensions:
                extension.extra_compile_args.append(threads)
                extension.extra_link_args.append(threads)
        for extension in self.extensions:
            extension.extra_compile_args = self.spelled(extension.extra_compile_args)
        if not self.on_windows():
            self.forget_pythons_rpath()
            for extension in self.extensions:
                extension.extra_link_args.append("-lm")
        owner = next(e for e in self.extensions if e.name.endswith(".isa"))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            owner.extra_objects = list(pool.map(self.compile_kernels, INSTRUCTION_SETS))
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()

    def compile_kernels(self, isa):
        macros, flags = kernel_flags(*isa)
        (object_file,) = self.compiler.compile(
            [str(KERNELS / "kernels.c")],
            output_dir=str(Path(self.build_temp) / isa[0]),  # they are all called kernels.o
            macros=macros,
            extra_postargs=self.spelled([*flags, *HARDENING]),
            depends=HEADERS,
        )
        return object_file

    def forget_pythons_rpath(self):
        """Link without the folders that Python's own build had searched for libraries at run time.

        Those that the user's LDFLAGS name stay.
        """
        self.compiler.linker_so = [
            flag for flag in self.compiler.linker_so
            if not flag.startswith(("-Wl,-rpath", "-Wl,-R")) or flag in USERS_FLAGS
        ]  # fmt: skip

    def on_windows(self):
        return self.compiler.compiler_type == "msvc"

    def spelled(self, flags):
        """GCC's flags as the compiler wants them: clang-cl takes them behind /clang:."""
        return [f"/clang:{flag}" for flag in flags] if self.on_windows() else flags

    def has_openmp(self):
        """Whether a program with OpenMP compiles and links; it is only asked how many threads."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.c"
            source.write_text(OPENMP_PROBE)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=["-fopenmp"]
                )
                self.compiler.link_executable(
                    objects, str(Path(folder) / "probe"), extra_postargs=["-fopenmp"]
                )
            except (CompileError, LinkError):
                return False
        return True

    def require_compiler(self):
        if self.on_windows():
            clang = shutil.which("clang-cl")
            if clang is None:
                raise SystemExit(
                    MISSING_COMPILER.format(
                        reason="clang-cl is not on the PATH, and Microsoft's C lacks the vector "
                        "extensions of GCC and Clang"
                    )
                )
            self.compiler.initialize()
            self.compiler.cc = clang
            return
        command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
        if shutil.which(command) is None:
            raise SystemExit(MISSING_COMPILER.format(reason=f"{command!r} is not on the PATH"))
        header = Path(sysconfig.get_path("include")) / "Python.h"
        if not header.exists():
            raise SystemExit(MISSING_COMPILER.format(reason=f"{header} is missing"))


HEADERS = sorted(str(p) for p in KERNELS.rglob("*.h"))
# Without `depends`, a rebuilt object would not be linked again.
DEPENDS = [*HEADERS, str(KERNELS / "kernels.c"), *sorted(str(p) for p in KERNELS.rglob("*.px[di]"))]

extensions = [
    Extension(
        f"fastbp._kernels.{name}",
        [str(KERNELS / f"{name}.pyx")],
        depends=DEPENDS,
        include_dirs=[str(KERNELS), np.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=[*COMMON_FLAGS, *WRAPPER_FLAGS, *HARDENING],
        extra_link_args=list(LINK_FLAGS),
    )
    for name in MODULES
]
# The memoryview code that every module needs, compiled once.
UTILITY = "fastbp._kernels._cyutility"
extensions.append(
    Extension(
        UTILITY,
        [],
        depends=["setup.py"],  # it has no file of its own that a change of the flags would show in
        extra_compile_args=[*COMMON_FLAGS, *WRAPPER_FLAGS, *HARDENING],
        extra_link_args=list(LINK_FLAGS),
    )
)

setup(
    ext_modules=cythonize(
        extensions,
        # Not what was written with another NumPy's declarations, whose files may be older.
        build_dir=f"build/cython/numpy-{np.__version__}",
        shared_utility_qualified_name=UTILITY,
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": DEBUG,
            # Functions that know their class: else a method takes anything for its object.
            "binding": False,
            "embedsignature": True,
            "embedsignature.format": "clinic",
            "freethreading_compatible": True,
        },
    ),
    cmdclass={"build_ext": BuildKernels},
)
