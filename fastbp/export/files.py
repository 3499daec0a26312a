"""A saved network, or a table's model, written for other systems, by the end of the file's name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastbp import checks, table_model
from fastbp.export import c_file, onnx_file, tables
from fastbp.network import Sequential

if TYPE_CHECKING:
    from fastbp._typing import Path

KINDS = (".onnx", ".c")


def export_file(
    model_path: Path,
    out_path: Path,
    *,
    force: bool = False,
    probabilities: bool = False,
    preprocessing: Any = None,
    classes: Sequence[str] | None = None,
) -> str:
    """Write the network of a file as ONNX or as C, as the end of `out_path` says.

    Parameters
    ----------
    model_path : str or os.PathLike
        A file of `Sequential.save`, or a checkpoint; or a table's model, whose preprocessing goes along,
        with its classes and their probabilities.
    out_path : str or os.PathLike
        That ends in .onnx or .c; in C the names begin with the file's.
    force : bool
        Whether a file that is there is replaced.
    probabilities, preprocessing, classes
        As `to_onnx` takes them.

    Returns
    -------
    str
        What the file is, in a few words.

    Raises
    ------
    ValueError, TypeError
        For another end, a file that is no network, and what cannot be exported.
    FileExistsError
        For a file that is there, without `force`.
    OSError
        For a file that cannot be read or written.
    """
    who = "export"
    checks.path_to_write(who, out_path)
    name = os.fsdecode(out_path)
    stem, end = os.path.splitext(os.path.basename(name))
    if end.lower() not in KINDS:
        raise ValueError(f"{who} expects a file that ends in {' or '.join(KINDS)}; got {name!r}.")
    if not checks.flag(who, "force", force) and os.path.exists(name):
        raise FileExistsError(f"{who} expects a file that is not there yet; got {name!r}: force replaces it.")
    given = {"probabilities": probabilities, "preprocessing": preprocessing, "classes": classes}
    if preprocessing is None and table_model.is_table_model(model_path):
        model = table_model.TableModel.load(model_path)
        net, given["preprocessing"] = model.net, tables.preprocessing_of(who, model.preprocessor)
        if model.classes is not None:
            given |= {"probabilities": True, "classes": list(map(str, model.classes))}
    else:
        net = Sequential.load(model_path)
    if end.lower() == ".onnx":
        onnx_file.to_onnx(net, out_path, **given)
        return f"ONNX, opset {onnx_file.OPSET}"
    own = c_file.identifier(stem)
    c_file.to_c(net, out_path, own, **given)
    return f"C99, {own}_predict"
