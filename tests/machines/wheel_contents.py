"""What a wheel holds and how large it is: `python wheel_contents.py WHEEL [folder of the build]`.

At most 2 MB; Python files, stubs, headers and stripped modules; no tests, no sources of the
kernels, no path of the machine that built it.
"""

import re
import sys
import zipfile
from pathlib import Path, PurePosixPath

MOST_BYTES = 2_000_000
SUFFIXES = {".py", ".pyi", ".pxd", ".h", ".so", ".pyd", ".typed"}
MODULES = 16  # fifteen of Cython's and their shared code
#: Where builds happen: here, in containers and on the services' machines.
BUILD_PATHS = [rb"/tmp/[\w-]+/", rb"/root/\w", rb"/home/\w+/", rb"/project/\w", rb"/Users/\w+/", rb"[CD]:\\\\?a\\\\?\w"]


def faults(wheel, build_folder=None):
    """What is wrong with the wheel, a sentence each."""
    size = Path(wheel).stat().st_size
    if size > MOST_BYTES:
        yield f"{size} bytes are over {MOST_BYTES}"
    paths = BUILD_PATHS + ([re.escape(build_folder.encode())] if build_folder else [])
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        for name in names:
            top = PurePosixPath(name).parts[0]
            # The first is auditwheel's: the library of OpenMP.
            if top == "fastbp.libs" or re.fullmatch(r"fastbp-[\d.]+(\w+)?\.dist-info", top):
                continue
            if top != "fastbp" or (PurePosixPath(name).suffix not in SUFFIXES):
                yield f"{name} does not belong in it"
            data = archive.read(name)
            if name.endswith((".so", ".pyd")):
                if b".debug_info" in data:
                    yield f"{name} has debugging information"
                for path in paths:
                    if found := re.search(path, data):
                        yield f"{name} holds a path of the build, {found[0]!r}"
    modules = [name for name in names if name.startswith("fastbp/") and name.endswith((".so", ".pyd"))]
    if len(modules) != MODULES:
        yield f"it has {len(modules)} compiled modules instead of {MODULES}"
    if not any(name.endswith("LICENSE") for name in names):
        yield "the licence is missing"


def main(wheel, build_folder=None):
    """Print the size and the faults; returns the exit status."""
    found = list(faults(wheel, build_folder))
    print(f"{Path(wheel).name}: {Path(wheel).stat().st_size} bytes", *found, sep="\n  ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
