"""The container of all files: named arrays and a JSON header in a sealed, uncompressed npz.

``numpy.load`` opens it like any other npz. What `unpack` accepts is far narrower than what NumPy
and ``zipfile`` can read, because a file may come from anywhere: plain numbers only, nothing
compressed, nothing beyond the file's own size, and all of it under a SHA-256 at the very end.
"""

import hashlib
import io
import json
import math
import os
import re
import stat
import zipfile
from typing import Any, NamedTuple

import numpy as np

from fastgmm.files.atomic import atomic_write

FORMAT_VERSION = 1
"""Of files written now; all versions from 1 on are read."""

_SEAL = b"sha256:"
_DIGEST_LENGTH = 64
_MOST_BYTES = 1 << 32
_MOST_HEADER_BYTES = 1 << 24
_MOST_ARRAYS = 1000
_MOST_DIMENSIONS = 8

_DTYPES = ("<f8", "<f4", "<i8", "<i4", "<u8", "<u4", "|u1", "|b1")
_NPY_VERSION = (1, 0)
_MOST_NPY_HEADER_BYTES = 1000
_ENTRY = re.compile(r"[A-Za-z0-9_]{1,100}\.npy")


class ModelFileError(ValueError):
    """A file is no model, statistics or checkpoint that this version reads, or is damaged."""


class Contents(NamedTuple):
    """What a file holds.

    Parameters
    ----------
    kind : str
        "model", "statistics", "checkpoint", "selection" or "search".
    header : dict
        Made of what JSON has.
    arrays : dict of ndarray
    """

    kind: str
    header: dict[str, Any]
    arrays: dict[str, np.ndarray]


def write_file(path: str | os.PathLike, contents: Contents) -> None:
    """Write a file, atomically.

    Raises
    ------
    OSError
        If it cannot be written; what was there before is then still there.
    """
    atomic_write(path, pack(contents))


def read_file(path: str | os.PathLike, kinds: tuple[str, ...]) -> Contents:
    """Read a file.

    Parameters
    ----------
    path : path
    kinds : tuple of str
        That are expected.

    Raises
    ------
    ModelFileError
        If anything is wrong with its content.
    OSError
        If it is not there, or cannot be read.
    """
    name = os.fspath(path)
    with open(path, "rb", opener=_open_at_once) as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise ModelFileError(f"{name} is no regular file.")
        if state.st_size > _MOST_BYTES:
            raise ModelFileError(f"{name} is larger than any file of fastgmm.")
        data = file.read(_MOST_BYTES)
    try:
        contents = unpack(data)
    except ModelFileError as error:
        raise ModelFileError(f"{name} {error}") from error.__cause__
    if contents.kind not in kinds:
        raise ModelFileError(f"{name} holds a {contents.kind}, not a {' or '.join(kinds)}.")
    return contents


def is_table(path: str | os.PathLike) -> bool:
    """Whether there is a Parquet file, by its first bytes."""
    with open(path, "rb", opener=_open_at_once) as file:
        is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        return is_regular and file.read(4) == b"PAR1"


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting, as a named pipe would make one, until something writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


# -- writing ---------------------------------------------------------------------------------------
def pack(contents: Contents) -> bytes:
    """Bytes of a file; the same for the same contents.

    Raises
    ------
    ValueError
        If an array has another type than the common ones of numbers.
    """
    header = {
        "format": "fastgmm",
        "format_version": FORMAT_VERSION,
        "kind": contents.kind,
        "content": contents.header,
    }
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > _MOST_HEADER_BYTES:
        raise ValueError("There is too much beside the arrays to be saved.")
    entries = {"header": np.frombuffer(text, np.uint8), **contents.arrays}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in entries.items():
            # A fixed date: the bytes follow from the contents alone.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), _npy(array))
        archive.comment = _SEAL + bytes(_DIGEST_LENGTH)
    # In place: a large model's bytes take longer to copy than to make.
    with buffer.getbuffer() as data:
        digest = hashlib.sha256(data[:-_DIGEST_LENGTH]).hexdigest()
        data[-_DIGEST_LENGTH:] = digest.encode()
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    """An array in NumPy's format 1.0, in C order and little-endian."""
    array = np.asarray(array, order="C")
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if array.dtype.str not in _DTYPES or array.ndim > _MOST_DIMENSIONS:
        raise ValueError(f"An array of {array.dtype} with {array.ndim} dimensions cannot be saved.")
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, _NPY_VERSION, allow_pickle=False)
    return buffer.getvalue()


# -- reading ---------------------------------------------------------------------------------------
def unpack(data: bytes) -> Contents:
    """Contents of a file's bytes.

    Raises
    ------
    ModelFileError
        If anything is wrong; the text is what to say of the file.
    """
    end = len(data) - _DIGEST_LENGTH
    if not data.startswith(b"PK") or data[max(end - len(_SEAL), 0) : max(end, 0)] != _SEAL:
        raise ModelFileError("is not a file of fastgmm, or it is cut off.")
    if hashlib.sha256(memoryview(data)[:end]).hexdigest().encode() != data[end:]:
        raise ModelFileError("is damaged: its checksum is wrong.")
    try:
        arrays = _entries(data)
        header = _header(arrays.pop("header"))
    except (ModelFileError, MemoryError):
        raise
    except Exception as error:
        # The bytes may be anything at all, and so may be what the parsers meet in them.
        raise ModelFileError(f"is damaged: {error}") from error
    return Contents(header["kind"], header["content"], arrays)


def _entries(data: bytes) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > _MOST_ARRAYS or sum(member.file_size for member in members) > len(data):
            raise ModelFileError("is damaged: it claims more than it can hold.")
        for member in members:
            stored = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
            if not (_ENTRY.fullmatch(member.filename) and stored):
                raise ModelFileError(f"is damaged: {member.filename!r} is no plain array.")
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise ModelFileError(f"is damaged: it has {name!r} twice.")
            arrays[name] = _array(archive.read(member), name)
    return arrays


def _array(data: bytes, name: str) -> np.ndarray:
    """Array in NumPy's format 1.0; nothing is made that is not in the bytes."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != _NPY_VERSION:
        raise ModelFileError(f"is damaged: {name!r} is in another format than it should be.")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(
        stream, max_header_size=_MOST_NPY_HEADER_BYTES
    )
    if dtype.str not in _DTYPES or fortran_order or len(shape) > _MOST_DIMENSIONS:
        raise ModelFileError(f"is damaged: {name!r} is no array of numbers.")
    body = memoryview(data)[stream.tell() :]
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(body):
        raise ModelFileError(f"is damaged: {name!r} has not the size that it claims.")
    if dtype.kind == "b" and bytes(body).strip(b"\0\1"):
        raise ModelFileError(f"is damaged: {name!r} has truth values beside true and false.")
    # A copy, which is writeable and in the machine's byte order.
    return np.frombuffer(body, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _header(array: np.ndarray) -> dict[str, Any]:
    if array.dtype != np.uint8 or array.ndim != 1 or len(array) > _MOST_HEADER_BYTES:
        raise ModelFileError("is damaged: its header is no text.")
    header = json.loads(array.tobytes().decode(), parse_constant=_refuse_constant)
    if not isinstance(header, dict) or header.get("format") != "fastgmm":
        raise ModelFileError("is not a file of fastgmm.")
    version = header.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError("is damaged: it has no format version.")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"was written by a later version of fastgmm: its format is {version}, and this version "
            f"reads up to {FORMAT_VERSION}."
        )
    if not isinstance(header.get("kind"), str) or not isinstance(header.get("content"), dict):
        raise ModelFileError("is damaged: its header lacks what it is.")
    return header


def _refuse_constant(name: str) -> None:
    raise ModelFileError(f"is damaged: its header has the number {name}.")
