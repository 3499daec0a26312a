"""Whether the compiled kernels are those of their sources, where these lie beside them."""

import os
import warnings

FOLDER = os.path.dirname(__file__)


def newer_sources(folder=FOLDER):
    """Names of the sources in `folder` that are newer than a module built from them.

    An installed package has headers without their C: there is nothing to compare.
    """
    if not os.path.exists(os.path.join(folder, "kernels.c")):
        return []
    from importlib.machinery import EXTENSION_SUFFIXES
    from pathlib import Path  # a fifth of what an installed package's import would cost

    folder = Path(folder)
    shared = [p for kind in ("*.[ch]", "*.px[di]") for p in folder.rglob(kind)]
    newer = set()
    for own in folder.glob("*.pyx"):
        for built in folder.glob(f"{own.stem}.*"):
            if built.name.endswith(tuple(EXTENSION_SUFFIXES)):
                time_built = built.stat().st_mtime
                newer |= {p for p in [own, *shared] if p.stat().st_mtime > time_built}
    return sorted(p.relative_to(folder).as_posix() for p in newer)


def warn_of_newer(folder=FOLDER):
    """Warn where an editable install runs what was compiled from other sources."""
    if newer := newer_sources(folder):
        warnings.warn(
            "fastbp expects kernels compiled from their sources as they are; got "
            f"{', '.join(newer)} newer than what was built: build them again with pip install -e .",
            RuntimeWarning,
            stacklevel=2,
        )
