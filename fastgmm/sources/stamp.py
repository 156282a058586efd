"""Whether a file is still the one that was opened."""

import os
from typing import NamedTuple


class Stamp(NamedTuple):
    """What a file was when it was first looked at.

    Parameters
    ----------
    path : str
        Absolute, so that it holds wherever the process goes.
    name : str
        What to call the file in errors.
    state : tuple of int
        Its identity, size and time of the last change; without the time if `written`.
    written : bool
        Whether it may be written to by those who read it.
    """

    path: str
    name: str
    state: tuple[int, ...]
    written: bool = False

    @classmethod
    def of(cls, path: str | os.PathLike, written: bool = False) -> "Stamp":
        """Stamp of a file as it is now."""
        path = os.fspath(path)
        return cls(os.path.abspath(path), path, _state(os.stat(path), written), written)

    def check(self, descriptor: int | None = None) -> None:
        """Check that the file, or the one that a descriptor stands for, is the same.

        Raises
        ------
        ValueError
            If it has changed.
        FileNotFoundError
            If it is gone.
        """
        found = os.stat(self.path) if descriptor is None else os.fstat(descriptor)
        if _state(found, self.written) != self.state:
            raise self.changed()

    def changed(self) -> ValueError:
        """The error that says so."""
        return ValueError(f"{self.name} has changed since it was opened.")


def _state(found: os.stat_result, written: bool) -> tuple[int, ...]:
    state = (found.st_ino, found.st_size, found.st_mtime_ns)
    return state[:2] if written else state
