"""What ends a command early, as one line of text and an exit code."""

import errno
import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import typer

from fastgmm.outputs import OPEN_FILE

DONE = 0
DIFFERENT = 1
REFUSED = 2
BROKEN = 3
INTERRUPTED = 128 + signal.SIGINT
PIPE_CLOSED = 128 + 13  # SIGPIPE, which Windows has no name for
TERMINATED = 128 + signal.SIGTERM

_EXPECTED = (ValueError, ImportError, OSError, MemoryError)
"""What bad input leads to. A TypeError is fastgmm's own fault: options have their types by then."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end, as batch systems do before they kill."""


def note(text: str) -> None:
    """Print a line to the standard error, whatever becomes of it."""
    with suppress(OSError):
        print(f"fastgmm: {' '.join(text.split())}", file=sys.stderr, flush=True)


def interrupted(error: BaseException | None) -> int:
    """Say that the command was interrupted or terminated, and give the exit code."""
    terminated = isinstance(error, Terminated)
    note(str(error or "") or ("terminated" if terminated else "interrupted"))
    return TERMINATED if terminated else INTERRUPTED


def drop_unwritten() -> None:
    """Let go of what the streams still hold back and nobody takes: no reader, or a full disk.

    The interpreter would fail to write it at the end, and change the exit code to 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def errors_as_exits() -> Iterator[None]:
    """Turn exceptions into a line on the standard error and an exit; warnings into lines.

    Raises
    ------
    typer.Exit
        With one of the codes above.
    """
    try:
        with warnings.catch_warnings(), _log_as_notes():
            warnings.showwarning = _show_warning
            yield
            # What the output still holds back may meet a closed pipe or a full disk.
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        raise typer.Exit(interrupted(error)) from None
    except _EXPECTED as error:
        if _is_closed_pipe(error):
            raise typer.Exit(PIPE_CLOSED) from None
        note(_text(error))
        raise typer.Exit(REFUSED) from None
    except _TYPERS_OWN:
        raise
    except Exception as error:
        if os.environ.get("FASTGMM_TRACEBACK"):
            raise
        note(
            f"an error of fastgmm itself, {type(error).__name__}: {error}. Please report it with "
            "what FASTGMM_TRACEBACK=1 in the environment shows."
        )
        raise typer.Exit(BROKEN) from None


def end_on_sigterm() -> None:
    """Let SIGTERM end the process like Ctrl-C, so that a checkpoint is written."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)


def buffer_output() -> None:
    """Give the standard output a buffer if it has none, as under PYTHONUNBUFFERED.

    Python's text files take no note of how much a file without one takes, so that the rest would be
    lost without a word on a full disk.
    """
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        sys.stdout = open(  # noqa: SIM115
            sys.stdout.fileno(),
            "w",
            encoding=sys.stdout.encoding,
            errors=sys.stdout.errors,
            closefd=False,
        )


def interrupt_by_exceptions() -> None:
    """Let Ctrl-C raise an exception again, unless whoever started the process had it ignored."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
"""Base of typer's errors of usage, click's ClickException: older versions of typer import click,
later ones bring their own."""

_TYPERS_OWN = (typer.Exit, typer.Abort, USAGE_ERROR)


def _is_closed_pipe(error: BaseException) -> bool:
    """Whether what was written found no reader; Windows says no more than "Invalid argument"."""
    if os.name == "nt" and isinstance(error, OSError):
        unnamed = error.filename in (None, OPEN_FILE)
        return unnamed and error.errno in (errno.EPIPE, errno.EINVAL)
    return isinstance(error, BrokenPipeError)


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        named = "" if error.filename is None else f"{os.fspath(error.filename)}: "
        return f"{named}{error.strerror}"
    if isinstance(error, MemoryError):
        return f"there is too little memory. {error}"
    return str(error) or type(error).__name__


class _Notes(logging.Handler):
    """Prints what the package logs."""

    def emit(self, record: logging.LogRecord) -> None:
        note(f"{record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def _log_as_notes() -> Iterator[None]:
    logger, handler = logging.getLogger("fastgmm"), _Notes(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    note(f"warning: {message}")
