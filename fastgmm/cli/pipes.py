"""Rows that can be read only once: they go to temporary files, because EM reads them again."""

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import typer

from fastgmm.sources.opening import has_kind

STANDARD_INPUT = Path("-")

_BEGINNINGS = {b"PAR1": ".parquet", b"\x93NUMPY": ".npy", b"\x1f\x8b": ".csv.gz"}
"""How files begin, and what their names should end in; all others are text."""

_MOST_BYTES = 1 << 20
"""That are copied at a time."""


def without_pipes(data: list[Path], context: typer.Context) -> list[Path]:
    """Files to read, with the standard input and named pipes replaced by what they held.

    Parameters
    ----------
    data : list of Path
    context : typer.Context
        The temporary files are removed when it is closed.

    Raises
    ------
    typer.BadParameter
        If the standard input is named twice.
    OSError
        If the disk is too small.
    """
    if data.count(STANDARD_INPUT) > 1:
        raise typer.BadParameter("the standard input, -, can be read only once")
    if not any(map(_is_pipe, data)):
        return data
    folder = Path(tempfile.mkdtemp(prefix="fastgmm-"))
    context.call_on_close(lambda: shutil.rmtree(folder, ignore_errors=True))
    return [
        _kept(path, folder / str(number)) if _is_pipe(path) else path
        for number, path in enumerate(data)
    ]


def _is_pipe(path: Path) -> bool:
    if path == STANDARD_INPUT:
        return True
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:  # which the one that opens it says better
        return False


def _kept(path: Path, folder: Path) -> Path:
    """A file with what a pipe holds; errors about it show a name that says where it is from."""
    folder.mkdir()
    name = "standard input" if path == STANDARD_INPUT else path.name
    with _opened(path) as pipe:
        start = pipe.read(_MOST_BYTES)
        if not has_kind(Path(name)):
            known = (end for beginning, end in _BEGINNINGS.items() if start.startswith(beginning))
            name += next(known, ".csv")
        with open(folder / name, "wb") as file:
            while start:
                file.write(start)
                start = pipe.read(_MOST_BYTES)
    return folder / name


def _opened(path: Path) -> Any:
    if path != STANDARD_INPUT:
        return open(path, "rb")
    if sys.stdin is None:
        raise ValueError("The standard input is closed.")
    return open(sys.stdin.fileno(), "rb", closefd=False)
