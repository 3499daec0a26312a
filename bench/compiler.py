"""A few lines of C, compiled at run time."""

import os
import shutil
import subprocess
from pathlib import Path


def compiler():
    """The C compiler's path; None where there is none."""
    return next(filter(None, map(shutil.which, [os.environ.get("CC", "cc"), "gcc", "clang"])), None)


def shared_library(source, folder, *options):
    """The path of the library made of the C text in a folder; None where it cannot be made."""
    command = compiler()
    if command is None:
        return None
    text, library = Path(folder, "source.c"), Path(folder, "library.so")
    text.write_text(source, "utf-8")
    command = [command, "-O2", *options, "-shared", "-fPIC", str(text), "-o", str(library)]
    return None if subprocess.run(command, capture_output=True).returncode else library
