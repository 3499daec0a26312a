"""Files: `objects` in `arrays`, by safetensors; `whole`, written completely or not at all."""

from fastbp.files.arrays import CHECKSUM, crc32, read_safetensors, require_writable, shown, snapshot, write_safetensors
from fastbp.files.objects import load, save
from fastbp.files.whole import remove_leftovers, write_figure, write_whole

__all__ = [
    "CHECKSUM",
    "crc32",
    "load",
    "read_safetensors",
    "remove_leftovers",
    "require_writable",
    "save",
    "shown",
    "snapshot",
    "write_figure",
    "write_safetensors",
    "write_whole",
]
