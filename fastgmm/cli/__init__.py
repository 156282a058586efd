"""The command line ``fastgmm``, one file per sub-command; nothing imports it."""

import os
import sys

_REQUIRED = ("typer", "rich")


def main() -> None:
    """Run the command line; the console script, `fastgmm_command`, calls this.

    Ends with exit code 2 and one line of text if the optional dependencies are missing. What
    codes there are is said in `fastgmm.cli.main`.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    try:
        from fastgmm.cli.main import run
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _REQUIRED:
            raise
        print(
            f"fastgmm: the command line needs {missing}, which is not installed; "
            'get it by: pip install "fastgmm[cli]"',
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run()
