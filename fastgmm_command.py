"""The console script ``fastgmm``: it sees to Ctrl-C before the package is loaded.

A module beside the package, because what is in the package loads the package first.
"""

import os

# `signal` would load ten modules more.
from _signal import SIGINT, default_int_handler, getsignal, signal  # type: ignore[import-not-found]


def main() -> None:
    """Run the command line."""
    if getsignal(SIGINT) is default_int_handler:  # whoever started this may have Ctrl-C ignored
        signal(SIGINT, _leave)
    from fastgmm.cli import main

    main()


def _leave(number: int, frame: object) -> None:
    os._exit(128 + number)
