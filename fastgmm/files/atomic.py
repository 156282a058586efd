"""Files that are written whole or not at all."""

import contextlib
import errno
import glob
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

_LEFTOVER_SECONDS = 3600.0
"""Age from which on a temporary file is one that a killed process has left."""

_CANNOT_SYNC = [
    getattr(errno, name, None)
    for name in ("EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EBADF", "EISDIR", "EACCES", "EPERM")
]
"""What a system says of a folder that it cannot sync, or not open: CIFS, VirtualBox's folders and
other network drives, and folders that may be written but not read. PostgreSQL (``fsync_fname_ext``
in fd.c), Dovecot (fdatasync-path.c) and Borg (its pull request 1290) let such pass; like them, we
do not hide EIO, by which a disk says that it has failed."""

_PAUSES = (0.01, 0.03, 0.1, 0.3, 1.0) if os.name == "nt" else ()
"""Seconds to wait before a file is replaced that could not be. On Windows whoever has it open, if
only to look for viruses, keeps it from that; elsewhere nobody does."""


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
    with replacing(path) as temporary, errors_of(path), open(temporary, "wb") as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A new file to be written, which takes the place of `path` at the end of the context.

    If the context ends by an exception, the new file is removed, and the old one stays.

    Parameters
    ----------
    path : path
        Through a symbolic link, what it points to is written.
    """
    target = Path(os.path.realpath(path))
    with errors_of(path):
        temporary = _new_file(target)
    try:
        yield temporary
        with errors_of(path):
            _sync(temporary, os.O_RDWR)  # Windows syncs only what may be written
            _replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    with errors_of(path):
        _sync_folder(target.parent)
    _remove_leftovers(target)


def check_writable(path: str | os.PathLike) -> None:
    """Check, before any work is done, that a file can be written where it is to be.

    A file is made there, synced, renamed and removed; an existing one at the path stays untouched.

    Raises
    ------
    OSError
        If not.
    """
    target = Path(os.path.realpath(path))
    with errors_of(path):
        temporary = _new_file(target)
        other = temporary.with_suffix(".new.tmp")
        try:
            _sync(temporary, os.O_RDWR)
            _replace(temporary, other)
            _sync_folder(target.parent)
        finally:
            for file in (temporary, other):
                file.unlink(missing_ok=True)


def _new_file(target: Path) -> Path:
    """Make an empty file beside the target, which is a regular file of ours, or none yet."""
    with contextlib.suppress(FileNotFoundError):
        state, folder = target.stat(), target.parent.stat()
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        # As in /tmp: whoever may make files in it may not replace those of others.
        owners = {0, state.st_uid, folder.st_uid}
        if folder.st_mode & stat.S_ISVTX and hasattr(os, "geteuid") and os.geteuid() not in owners:
            raise PermissionError(errno.EPERM, "The file of another user in a sticky folder")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    return temporary


def _replace(temporary: Path, target: Path) -> None:
    """Give a file the name of another, as soon as the other is free."""
    for seconds in _PAUSES:
        with contextlib.suppress(PermissionError):
            os.replace(temporary, target)
            return
        time.sleep(seconds)
    os.replace(temporary, target)


def _sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def _sync(path: Path, flags: int) -> None:
    """Force a file, or the names in a folder, to the disk."""
    # Windows opens files as text otherwise, and takes a last byte 0x1A, its end of text, off those
    # that are opened for reading and writing (Microsoft's reference of _open).
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(target: Path) -> None:
    """Remove what processes that were killed as they wrote to the same path have left."""
    with contextlib.suppress(OSError):
        for path in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
            if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                path.unlink()


@contextlib.contextmanager
def errors_of(path: str | os.PathLike) -> Iterator[None]:
    """Name the path, and no temporary one, in errors of the system."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, f"{error.strerror}, in writing", os.fspath(path)) from error
