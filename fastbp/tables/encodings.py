"""The bytes of a file as text: unpacked, and decoded by the encoding that they are found to be in."""

from __future__ import annotations

import codecs
import io
import re
import zlib

__all__ = ["decoded", "unpacked"]

_MOST_UNPACKED = 1 << 30  # bytes of gzip data, of which a few may stand for any number
_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_INNER_MARK = re.compile("(?<=[\r\n])\ufeff")
_SEEN = 1 << 16  # bytes that show an encoding with zeros in it
_HIGH = re.compile(rb"[\x80-\xff]+")
#: Latin letters beyond ASCII, beside one of ASCII.
_UTF_8 = re.compile(
    rb"(?<=[A-Za-z])[\xc3-\xc5][\x80-\xbf](?![\x80-\xff])|(?<![\x80-\xff])[\xc3-\xc5][\x80-\xbf](?=[a-z])"
)
#: GB 2312's signs and its level 1, the 3755 characters that nearly all Chinese text is made of.
_COMMON_CHINESE = re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]")
_PAIR = re.compile(rb"[\x81-\xfe][\x40-\xfe]")
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or a workbook, of which a sheet is to be saved as CSV",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"BZh": "a file packed by bzip2",
    b"\xfd7zXZ": "a file packed by xz",
    b"\x28\xb5\x2f\xfd": "a file packed by zstd",
    b"\xd0\xcf\x11\xe0": "an old workbook, of which a sheet is to be saved as CSV",
    b"SQLite format 3": "a database",
    b"ARROW1": "a file of Arrow or Feather",
    b"FEA1": "a file of Feather",
    b"\x93NUMPY": "an array of NumPy",
    b"\x89HDF": "a file of HDF5",
    b"Obj\x01": "a file of Avro",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
    b"version https://git-lfs": "the pointer of Git LFS to a file, which git lfs pull brings",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"<?xml": "XML",
    b"INSERT INTO ": "statements of SQL",
    b"CREATE TABLE ": "statements of SQL",
    b"@relation": "a file of ARFF",
    b"@RELATION": "a file of ARFF",
}
_TAR = (257, b"ustar")  # where its first block says so
_JSON = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\[\s*)?\{\s*(?:"[^"\n]*"\s*:|\})|(?:\xef\xbb\xbf)?\s*\[\s*\[')


def unpacked(name: str, data: bytes) -> bytes:
    """The bytes, unpacked where they are gzip's; ValueError for damage, and for other formats."""
    _refuse_foreign(name, data)
    if not data.startswith(b"\x1f\x8b"):
        return data
    import gzip

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            data = file.read(_MOST_UNPACKED + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{name} expects sound gzip data; got {_one_line(error)}.") from None
    if len(data) > _MOST_UNPACKED:
        raise ValueError(f"{name} expects at most {_MOST_UNPACKED} bytes in its gzip data; got more.")
    _refuse_foreign(name, data)
    return data


def _refuse_foreign(name, data):
    found = next((what for start, what in _FOREIGN.items() if data.startswith(start)), None)
    place, mark = _TAR
    if data.startswith(mark, place):
        found = "a tar archive, of which a file is to be unpacked"
    elif _JSON.match(data):
        found = "JSON"
    if found:
        raise ValueError(f"{name} expects a table as text, gzip of it, or Parquet; got {found}.")


def decoded(name: str, data: bytes, encoding: str | None = None) -> tuple[str, str | None]:
    """The text of bytes, and a sentence on the encoding where it had to be found out, or None."""
    text, note = _decoded(name, data, encoding)
    if "\ufeff" in text:  # as of files one behind another
        text = _INNER_MARK.sub("", text)
    return text, note


def _decoded(name, data, encoding):
    if encoding is not None:
        return _by(name, data, encoding), None
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            note = None if encoding == "utf-8" else f"It is in {encoding.upper()[:6]}, as its first bytes say."
            return _by(name, data, encoding), note
    wide = _wide(data)
    if wide:
        return _by(name, data, wide), f"It is taken for {wide.upper()}, by its zero bytes."
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError as error:
        place = error.start
    if 2 * len(_UTF_8.findall(data)) >= len(_HIGH.findall(data)):
        raise ValueError(
            f"{name} expects text in one encoding, or encoding= (--encoding) that names it; got byte "
            f"0x{data[place]:02x} in line {_line(data, place)}, which is no UTF-8, beside much that is."
        )
    found = _narrow(data)
    if found is None:
        raise ValueError(
            f"{name} expects text in UTF-8, UTF-16, Windows-1252 or GB 18030, or encoding= (--encoding) that "
            f"names another; got byte 0x{data[place]:02x} in line {_line(data, place)}, which fits none of them."
        )
    shown = {"cp1252": "Windows-1252 (Latin-1)", "gb18030": "GB 18030 (GBK)"}[found]
    return data.decode(found), f"It is no UTF-8 and taken for {shown}; encoding= (--encoding) names another."


def _by(name, data, encoding):
    try:
        return data.decode(encoding).lstrip("\ufeff")
    except UnicodeError as error:
        place = getattr(error, "start", None)
        came = "others" if place is None else f"byte 0x{data[place]:02x} in line {_line(data, place)}"
        raise ValueError(f"{name} expects bytes of {encoding}; got {came}.") from None


def _wide(data):
    """UTF-16 without its mark, which has zeros at every other place of figures and delimiters."""
    head = data[: _SEEN - _SEEN % 2]
    if len(data) % 2 or not head:
        return None
    zeros = [head[k::2].count(0) for k in (0, 1)]
    for encoding, (none, many) in (("utf-16-le", zeros), ("utf-16-be", zeros[::-1])):
        if none == 0 and many > len(head) // 8:
            return encoding
    return None


def _narrow(data):
    """Windows-1252 or GB 18030, by what stands beside each other, or None.

    Letters beyond ASCII are single ones among others in the languages of Windows-1252, and
    Chinese is pairs of bytes, mostly of common characters.
    """
    runs = _HIGH.findall(data)
    n_high = sum(map(len, runs))
    if _decodes(data, "gb18030"):
        n_pairs = len(_PAIR.findall(data))
        if n_pairs and 10 * sum(len(_COMMON_CHINESE.findall(run)) for run in runs) >= 7 * n_pairs:
            return "gb18030"
    if _decodes(data, "cp1252") and 2 * sum(len(run) for run in runs if len(run) > 2) <= n_high:
        return "cp1252"
    return None


def _decodes(data, encoding):
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _line(data, place):
    return data.count(b"\n", 0, place) + 1


def _one_line(error):
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
