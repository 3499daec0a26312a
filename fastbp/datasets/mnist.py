"""MNIST and the format of its files, IDX."""

from __future__ import annotations

import math
import os
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from fastbp import checks
from fastbp.datasets.labels import Split, one_hot

__all__ = ["load_mnist", "read_idx"]

_MNIST_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_MNIST_SOURCES = (
    "which MNIST's distribution has, torchvision's datasets.MNIST(folder, download=True) leaves in "
    "folder/MNIST/raw, and the book's load_mnist in its folder dataset (load_digits() needs none)"
)
_IDX_UINT8 = b"\x00\x00\x08"
_MAX_DIMS = 64  # NumPy's own limit
_CHUNK = 1 << 20
_MOST_UNPACKED = 1 << 30  # bytes of gzip data, of which a few may stand for any number


def load_mnist(
    directory: str | os.PathLike[str] | None = None,
    *,
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
) -> Split:
    """Load MNIST, 28 x 28 handwritten digits, from its four IDX files.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
    ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, plain or with ``.gz``; ``.idx`` for
    ``-idx`` is understood as well. All four lie in `directory`, or in its subfolder ``mnist`` or
    ``MNIST/raw``.

    Parameters
    ----------
    directory : path, optional
        Folder of the files; by default the one named by the environment variable ``FASTBP_DATA``.
    normalize : bool
        Divide grey levels by 255.
    flatten : bool
        Return images as rows of 784 pixels instead of (1, 28, 28).
    one_hot_label : bool
        Return labels as one-hot rows instead of class indices.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (n, 784) or (n, 1, 28, 28), grey levels from 0 to 1, or 0 to 255 without
        `normalize`.
        ``t`` : int64 (n,), the digits 0..9, or float32 (n, 10).

    Raises
    ------
    FileNotFoundError
        No directory is named, or one of the files is missing.
    ValueError
        A file is damaged, images are not 28 x 28, labels are outside 0..9, or there are not as many
        labels as images.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastbp.datasets import load_mnist
    >>> two_images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(2 * 784)
    >>> two_labels = bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 3])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in ("train", "t10k"):
    ...         _ = Path(folder, f"{part}-images-idx3-ubyte").write_bytes(two_images)
    ...         _ = Path(folder, f"{part}-labels-idx1-ubyte").write_bytes(two_labels)
    ...     (x_train, t_train), (x_test, t_test) = load_mnist(folder)
    >>> x_train.shape, t_train
    ((2, 784), array([7, 3]))
    """
    normalize, flatten, one_hot_label = (
        checks.flag("load_mnist", name, value)
        for name, value in (("normalize", normalize), ("flatten", flatten), ("one_hot_label", one_hot_label))
    )
    if directory is None:
        directory = os.environ.get("FASTBP_DATA")
        if not directory:
            raise FileNotFoundError(
                "load_mnist expects a directory, or the environment variable FASTBP_DATA set to "
                f"one, that holds {', '.join(_MNIST_NAMES)}, {_MNIST_SOURCES}; got neither."
            )
    name = os.fsdecode(checks.path("load_mnist", directory, "directory", "a folder"))
    files = _find_mnist(Path(os.path.expanduser(name)))  # which leaves an unknown user's ~ alone
    parts = []
    for images_file, labels_file in (files[:2], files[2:]):
        images, labels = _read_mnist(images_file, labels_file)
        x = np.divide(images, 255 if normalize else 1, dtype=np.float32)
        x = x.reshape((-1, 784) if flatten else (-1, 1, 28, 28))
        parts.append((x, one_hot(labels, 10) if one_hot_label else labels.astype(np.int64)))
    return parts[0], parts[1]


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an IDX file of unsigned bytes, the format of MNIST, plain or compressed by gzip.

    Compression is told from the content, not from the name. No more is read or decompressed than
    the header promises, but for the buffer of the reader, and at most 1 GiB is decompressed.

    Parameters
    ----------
    path : path
        The file: bytes 0, 0, 8 (for uint8) and the number of dimensions, then each size as a
        big-endian uint32 of at least 1, then the elements in C order.

    Returns
    -------
    ndarray of uint8
        Of the shape written in the header; C-contiguous and writable.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The header is none of an IDX file of uint8, the data is shorter or longer than the header
        says, the gzip stream is damaged, or it holds more than 1 GiB.

    Examples
    --------
    >>> import os, tempfile
    >>> from pathlib import Path
    >>> from fastbp.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "labels-idx1-ubyte")
    ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(file)
    array([5, 0, 4], dtype=uint8)
    """
    import gzip
    import zlib

    path = Path(os.fsdecode(checks.path("read_idx", path)))
    if not path.is_file():
        raise FileNotFoundError(f"read_idx expects a file {path.name} in {path.parent}; got none.")
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if compressed else path.open("rb") as file:
            shape = _read_idx_shape(file, path)
            size = math.prod(shape)
            # The byte beyond shows trailing data, and makes gzip reach and verify its checksum.
            data = _read_at_most(file, min(size, _MOST_UNPACKED if compressed else size) + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"read_idx expects {path} to be sound gzip data; got {error}.") from error
    if compressed and len(data) > _MOST_UNPACKED:
        raise ValueError(
            f"read_idx expects at most {_MOST_UNPACKED} bytes in {path}, as it is compressed; got "
            f"shape {shape}, which gunzip makes a file that is read as it is."
        )
    if len(data) != size:
        came = f"only {len(data)}" if len(data) < size else "more"
        raise ValueError(
            f"read_idx expects {path} to hold {size} bytes after its header, which says shape {shape}; got {came}."
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def _find_mnist(directory: Path) -> list[Path]:
    """Return the four files, all from one folder: a mixture of two copies would pass unnoticed."""
    found = {
        folder: [_find_spelling(folder, name) for name in _MNIST_NAMES]
        for folder in (directory, directory / "mnist", directory / "MNIST" / "raw")
    }
    folder, files = min(found.items(), key=lambda item: item[1].count(None))
    if None in files:
        missing = [name for name in _MNIST_NAMES if not _find_spelling(folder, name)]
        raise FileNotFoundError(
            f"load_mnist expects {', '.join(_MNIST_NAMES)} (also with .gz, or .idx for -idx) in "
            f"{directory} or its subfolder mnist or MNIST/raw, {_MNIST_SOURCES}; got no "
            f"{', '.join(missing)} in {folder}."
        )
    return [file for file in files if file]


def _find_spelling(folder: Path, name: str) -> Path | None:
    for stem in (name, name.replace("-idx", ".idx")):
        for file in (folder / stem, folder / f"{stem}.gz"):
            if file.is_file():
                return file
    return None


def _read_mnist(images_file: Path, labels_file: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_idx(images_file), read_idx(labels_file)
    if images.shape[1:] != (28, 28):
        raise ValueError(
            f"load_mnist expects {images_file} to hold images of shape (N, 28, 28); got shape {images.shape}."
        )
    if labels.ndim != 1:
        raise ValueError(f"load_mnist expects {labels_file} to hold labels of shape (N,); got shape {labels.shape}.")
    if len(images) != len(labels):
        raise ValueError(
            f"load_mnist expects as many labels as images; got {len(images)} images in "
            f"{images_file} and {len(labels)} labels in {labels_file}."
        )
    if labels.max() > 9:
        row = (labels > 9).argmax()
        raise ValueError(f"load_mnist expects {labels_file} to hold labels 0..9; got {labels[row]} at row {row}.")
    return images, labels


def _read_idx_shape(file: BufferedIOBase, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:3] != _IDX_UINT8 or not 1 <= magic[3] <= _MAX_DIMS:
        raise ValueError(
            f"read_idx expects {path} to start with the bytes 00 00 08 and a number of dimensions "
            f"from 01 to {_MAX_DIMS:02x}; got {magic.hex(' ') or 'no bytes'}."
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise ValueError(
            f"read_idx expects {path} to hold {4 * magic[3]} bytes of sizes for {magic[3]} "
            f"dimensions; got {len(sizes)}."
        )
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    if 0 in shape:
        raise ValueError(f"read_idx expects {path} to have sizes of at least 1; got shape {shape}.")
    return shape


def _read_at_most(file: BufferedIOBase, limit: int) -> bytearray:
    """Read in chunks: read(limit) would allocate a size that only the header claims."""
    data = bytearray()
    while len(data) < limit and (chunk := file.read(min(_CHUNK, limit - len(data)))):
        data += chunk
    return data
