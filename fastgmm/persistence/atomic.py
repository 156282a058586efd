"""Files that are written whole or not at all."""

import contextlib
import os
import secrets
import stat
import time
from pathlib import Path

_LEFTOVER_SECONDS = 3600.0
"""Age from which on a temporary file is one that a killed process has left."""


def atomic_write(path: str | os.PathLike, content: bytes | bytearray) -> None:
    """Write a file so that, whatever happens, either the old content or the new is there.

    The content goes to a file of another name in the same folder, is forced to the disk, and then
    takes the place of the old. Two that write at once do not mix.

    Parameters
    ----------
    path : path
        Through a symbolic link, what it points to is written.
    content : bytes

    Raises
    ------
    OSError
        If the disk is full, the folder is gone, and so on; the text names the path. What was there
        before is then still there.
    """
    target = Path(os.path.realpath(path))
    with _errors_of(path):
        _check_target(target)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(target.parent)
    _remove_leftovers(target)


def check_writable(path: str | os.PathLike) -> None:
    """Check, before any work is done, that a file can be written where it is to be.

    Raises
    ------
    OSError
        If not.
    """
    target = Path(os.path.realpath(path))
    with _errors_of(path):
        _check_target(target)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        temporary.unlink()


def _check_target(target: Path) -> None:
    """Refuse to replace what is no regular file."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(21, "Is a directory")
    if not stat.S_ISREG(mode):
        raise OSError(22, "Not a regular file")


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk, where folders can be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(target: Path) -> None:
    """Remove what processes that were killed as they wrote to the same path have left."""
    with contextlib.suppress(OSError):
        for path in target.parent.glob(f".{_escaped(target.name)}.*.tmp"):
            if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                path.unlink()


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


@contextlib.contextmanager
def _errors_of(path: str | os.PathLike):
    """Name the path in errors of the system, and no temporary one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}, in writing", os.fspath(path)) from error
