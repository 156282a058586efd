"""The sub-commands put together, and errors turned into one line and an exit code.

Exit codes: 0 all is well, 1 the answers differ (``demo``), 2 wrong usage or the command cannot run
here, 130 interrupted.
"""

from typing import Annotated

import typer

import fastgmm
from fastgmm.cli.demo import demo
from fastgmm.cli.warmup import warmup

app = typer.Typer(
    name="fastgmm",
    help="Gaussian mixtures on Numba kernels, with scikit-learn's interface and answers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(warmup)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fastgmm {fastgmm.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the application; a full disk or too little memory is no reason for a traceback."""
    try:
        app()
    except (MemoryError, OSError) as error:
        typer.echo(f"fastgmm: {error or type(error).__name__}", err=True)
        raise SystemExit(2) from None
