"""Networks in other systems' forms: ONNX, and one file of C.

`steps` has what a network computes without its classes, `activations` each activation in both
forms, `onnx_file` and `c_file` write them, `preprocessing` has what stands before and behind a
network, `files` goes by files, and `converters` has what skl2onnx calls.
"""

from fastbp.export.c_file import to_c
from fastbp.export.converters import register_skl2onnx
from fastbp.export.files import export_file
from fastbp.export.onnx_file import to_onnx
from fastbp.export.preprocessing import Feature, Preprocessing

__all__ = ["Feature", "Preprocessing", "export_file", "register_skl2onnx", "to_c", "to_onnx"]
