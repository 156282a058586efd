"""The sub-commands put together.

Exit codes: 0 all is well; 1 the answers differ (``demo``); 2 wrong usage or input, or the command
cannot be carried out; 3 an error of fastgmm itself; 130 interrupted, 143 terminated; 141 nobody
reads the output on.
"""

import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import fastgmm
from fastgmm.cli.demo import demo
from fastgmm.cli.errors import (
    DONE,
    REFUSED,
    USAGE_ERROR,
    buffer_output,
    drop_unwritten,
    end_on_sigterm,
    errors_as_exits,
    interrupt_by_exceptions,
    interrupted,
    note,
)
from fastgmm.cli.fit import fit
from fastgmm.cli.fit_many import fit_many
from fastgmm.cli.help import EXAMPLES, Command, write_commands
from fastgmm.cli.info import info
from fastgmm.cli.predict import predict
from fastgmm.cli.sample import sample
from fastgmm.cli.score import score
from fastgmm.cli.select import select
from fastgmm.cli.warmup import warmup


class _Commands(TyperGroup):
    """Sub-commands whose errors become exit codes, as do those of ``--help`` and the like."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with errors_as_exits():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with errors_as_exits():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)  # in the order of a user's way, not of the alphabet

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        write_commands(self.commands, formatter)


app = typer.Typer(
    name="fastgmm",
    cls=_Commands,
    help="Gaussian mixtures on Numba kernels, with scikit-learn's interface and answers.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (fit, fit_many, select, predict, score, sample, info, warmup, demo):
    name = command.__name__.replace("_", "-")
    app.command(name, cls=Command, epilog=EXAMPLES[name])(command)


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


def call(arguments: list[str]) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : list of str

    Returns
    -------
    code : int
        See the top of this file.
    """
    command = typer.main.get_command(app)
    try:
        return command.main(arguments or ["--help"], "fastgmm", standalone_mode=False) or DONE
    except KeyboardInterrupt as error:
        return interrupted(error)
    except typer.Abort as error:  # what becomes of an interruption before the command begins
        return interrupted(error.__cause__)
    except USAGE_ERROR as error:
        context = getattr(error, "ctx", None)
        path = "fastgmm" if context is None else context.command_path
        text = error.format_message()  # type: ignore[attr-defined]
        note(f"{text.rstrip('.')}. See: {path} --help")
        return REFUSED


def run() -> None:
    """Run the command that the process was called with, and exit."""
    buffer_output()
    end_on_sigterm()
    interrupt_by_exceptions()
    code = call(sys.argv[1:])
    # The work is over: a further Ctrl-C has nothing left to stop but the interpreter's own end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    drop_unwritten()
    sys.exit(code)
