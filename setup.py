"""Build of the compiled kernels; everything else about the package is in pyproject.toml.

With FASTBP_DEBUG=1 in the environment the Cython code checks bounds, has debug symbols and is not
optimised; with FASTBP_SANITIZE=address,undefined all is built with these sanitizers (GCC or Clang).
`python setup.py kernel_flags v3` prints how kernels.c is compiled for an instruction set.
"""

import os
import platform
import shutil
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError
from setuptools.modified import newer_group

KERNELS = Path("fastbp/_kernels")
if os.environ.get("FASTBP_DEBUG", "") not in ("", "0", "1"):
    sys.exit(f"FASTBP_DEBUG expects 0 or 1; got {os.environ['FASTBP_DEBUG']!r}.")
DEBUG = os.environ.get("FASTBP_DEBUG") == "1"
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
# user's CFLAGS, which come before our flags, may have them, and these undo them: -O3 undoes -Ofast,
# and -fno-fast-math comes first, as it sets the others.  They do so on the linker's line too, where
# GCC adds to each library code that makes a process flush subnormals.
EXACT_FLAGS = ["-O3", "-fno-fast-math", "-fno-unsafe-math-optimizations", "-fno-finite-math-only"]
EXACT_FLAGS += ["-fno-associative-math", "-fno-reciprocal-math", "-fsigned-zeros", "-fno-lto"]
# What no other compiler knows is undone where it is asked for.
UNDONE = {"-mdaz-ftz": "-mno-daz-ftz", "-fsingle-precision-constant": "-fno-single-precision-constant"}
FLAG_VARIABLES = ("CC", "CFLAGS", "CPPFLAGS", "LDSHARED", "LDFLAGS")
USERS_FLAGS = [flag for name in FLAG_VARIABLES for flag in os.environ.get(name, "").split()]
EXACT_FLAGS += [undo for flag, undo in UNDONE.items() if flag in USERS_FLAGS]

# Hot loops lie alike whatever changes elsewhere: by their places alone, steps of a microsecond took
# up to 5 % more or less, and functions of small tensors up to 10 %.
ALIGNED = ["-falign-functions=64", "-falign-loops=32"]
# Python's own -fwrapv has indices wrap around, which no kernel's do (the sanitizer looks): without it
# batch normalisation takes 0.9 of the time, and steps of a microsecond 0.97.  Accesses by masked
# vectors, which -O3 makes, are not checked by the sanitizers; Clang does not know all of GCC's pragmas.
C_FLAGS = ["-std=c11", "-O1" if SANITIZE else "-O3", *ALIGNED]
C_FLAGS += ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fno-wrapv", "-Wno-unknown-pragmas"]
COMMON_FLAGS = [*EXACT_FLAGS, *(["-g", "-O1"] if DEBUG else ["-g0"]), "-Wall"]
LINK_FLAGS = list(EXACT_FLAGS)
if SANITIZE:  # -fwrapv would hide signed overflow; -g1 has lines: variables too take GCC minutes
    LINK_FLAGS.append(f"-fsanitize={SANITIZE}")
    COMMON_FLAGS += [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=undefined"]
    COMMON_FLAGS += ["-O1", "-fno-wrapv", "-fno-omit-frame-pointer", "-g1"]
# Of the wrappers, and of the kernels beside their own.
WRAPPER_FLAGS, HARDENING = ["-Wno-unused-function", *ALIGNED], []
if sys.platform == "linux":
    LINK_FLAGS += ["-Wl,-z,relro,-z,now,-z,noexecstack"]
    if INSTRUCTION_SETS is X86_64:  # they run before a set is picked
        WRAPPER_FLAGS += ["-march=x86-64", "-mtune=generic", "-mno-sse3"]
    if not SANITIZE:  # a guard in each function with an array took 8 % of an operation on tensors
        fortified = any(flag.startswith("-D_FORTIFY_SOURCE") for flag in USERS_FLAGS)
        HARDENING = [*([] if fortified else ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]), "-fstack-protector"]


def kernel_flags(name, vector_bytes, max_rows, flags):
    """Macros and flags of kernels.c for one instruction set."""
    macros = [("FBP_ISA", name), ("FBP_VECTOR_BYTES", str(vector_bytes)), ("FBP_MAX_ROWS", str(max_rows))]
    return macros, [*COMMON_FLAGS, *C_FLAGS, *flags]


if sys.argv[1:2] == ["kernel_flags"]:  # for tests/native, which builds the C part alone
    sets = {isa[0]: isa for isa in [*X86_64, *PLAIN]}
    if " ".join(sys.argv[2:]) not in sets:
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
OPENMP_PROBE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


class BuildKernels(build_ext):
    """build_ext that compiles kernels.c once per instruction set, for `isa` to link."""

    def build_extensions(self):
        self.on_windows = self.compiler.compiler_type == "msvc"
        self.require_compiler()
        if not self.on_windows:  # it has no threads yet, and OpenMP's would be one more DLL
            # Our modules do not search the folders that Python's own build named, only the user's.
            rpaths = {flag for flag in self.compiler.linker_so if flag.startswith(("-Wl,-rpath", "-Wl,-R"))}
            rpaths -= set(USERS_FLAGS)
            self.compiler.linker_so = [flag for flag in self.compiler.linker_so if flag not in rpaths]
            threads = "-fopenmp" if self.has_openmp() else "-pthread"
            COMMON_FLAGS.append(threads)
            for extension in self.extensions:
                extension.extra_compile_args.append(threads)
                extension.extra_link_args += [threads, "-lm"]
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()

    def build_extension(self, extension):
        if extension.name.endswith(".isa"):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                extension.extra_objects = list(pool.map(self.compile_kernels, INSTRUCTION_SETS))
        extension.extra_compile_args = self.spelled(extension.extra_compile_args)
        super().build_extension(extension)

    def compile_kernels(self, isa):
        """Compile kernels.c, unless this was done: the compiler's own `depends` does nothing."""
        macros, flags = kernel_flags(*isa)
        folder = str(Path(self.build_temp) / isa[0])  # they are all called kernels.o
        source = str(KERNELS / "kernels.c")
        (object_file,) = self.compiler.object_filenames([source], output_dir=folder)
        if self.force or newer_group([source, "setup.py", *HEADERS], object_file):
            postargs = self.spelled([*flags, *HARDENING])
            self.compiler.compile([source], folder, macros, extra_postargs=postargs)
        return object_file

    def spelled(self, flags):
        """GCC's flags as the compiler wants them: clang-cl takes them behind /clang:."""
        return [f"/clang:{flag}" for flag in flags] if self.on_windows else flags

    def has_openmp(self):
        """Whether a program with OpenMP compiles and links; it is only asked how many threads."""
        with tempfile.TemporaryDirectory() as folder:
            source, options = Path(folder, "probe.c"), {"extra_postargs": ["-fopenmp"]}
            source.write_text(OPENMP_PROBE)
            with suppress(CompileError, LinkError):
                objects = self.compiler.compile([str(source)], folder, **options)
                self.compiler.link_executable(objects, str(Path(folder, "probe")), **options)
                return True
        return False

    def require_compiler(self):
        if self.on_windows:
            if clang := shutil.which("clang-cl"):
                self.compiler.initialize()
                self.compiler.cc = clang
                return
            reason = "clang-cl is not on the PATH, and Microsoft's C lacks the vector extensions of GCC and Clang"
        else:
            command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
            found, header = shutil.which(command), Path(sysconfig.get_path("include")) / "Python.h"
            if found and header.exists():
                return
            reason = f"{header} is missing" if found else f"{command!r} is not on the PATH"
        raise SystemExit(MISSING_COMPILER.format(reason=reason))


HEADERS = sorted(str(p) for p in KERNELS.rglob("*.h"))
# Without `depends`, a rebuilt object would not be linked again; setup.py has the flags.
DEPENDS = [*HEADERS, str(KERNELS / "kernels.c"), *sorted(map(str, KERNELS.rglob("*.px[di]")))]
UTILITY = "fastbp._kernels._cyutility"  # the memoryview code that every module needs, compiled once
SOURCES = {f"fastbp._kernels.{path.stem}": [str(path)] for path in sorted(KERNELS.glob("*.pyx"))}

extensions = [
    Extension(
        name,
        sources,
        depends=["setup.py", *(DEPENDS if sources else [])],
        include_dirs=[str(KERNELS), np.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=[*COMMON_FLAGS, *WRAPPER_FLAGS, *HARDENING],
        extra_link_args=list(LINK_FLAGS),
    )
    for name, sources in {**SOURCES, UTILITY: []}.items()
]

setup(
    ext_modules=cythonize(
        extensions,
        # Not what was written with another NumPy's declarations, whose files may be older.
        build_dir=f"build/cython/numpy-{np.__version__}{'-debug' if DEBUG else ''}",
        shared_utility_qualified_name=UTILITY,
        compiler_directives={
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
