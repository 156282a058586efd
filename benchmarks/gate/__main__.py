"""The command line of the gate."""

import math
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.gate import verdict
from benchmarks.gate.errors import GateError
from benchmarks.gate.run import KINDS, Options, compare
from benchmarks.gate.table import markdown
from benchmarks.gate.trees import open_tree
from benchmarks.processes import stopped_by_signals

OK, WORSE, NO_ANSWER = 0, 1, 2

Kind = Enum("Kind", {kind: kind for kind in KINDS}, type=str)  # type: ignore[misc]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(stderr=True, highlight=False)


@app.command(help="Fail when HEAD is slower than BASE: exit code 1; 2 when it cannot be told.")
def gate(
    base: Annotated[str, typer.Argument(help="Commit, or directory that holds fastgmm/.")],
    head: Annotated[str, typer.Argument(help="Likewise; . is the present checkout.")],
    kinds: Annotated[
        list[Kind] | None, typer.Option("--kind", help="Measure only this; may be repeated.")
    ] = None,
    select: Annotated[
        str, typer.Option(help="Only benchmarks whose name contains this regular expression.")
    ] = "",
    relative: Annotated[
        float, typer.Option(min=0.0, help="Share of time that counts as slower.")
    ] = verdict.TIME.relative,
    absolute: Annotated[
        float, typer.Option(min=0.0, help="Milliseconds that count as slower.")
    ] = 1e3 * verdict.TIME.absolute,
    rounds: Annotated[int, typer.Option(min=1, help="New processes per side.")] = Options.rounds,
    pairs: Annotated[int, typer.Option(min=1, help="Samples in each.")] = Options.pairs,
    output: Annotated[
        Path | None, typer.Option(help="Append the table to this file as well.")
    ] = None,
) -> None:
    """Run the command."""
    options = Options(
        kinds=tuple(kind.value for kind in kinds) if kinds else KINDS,
        select=select,
        time=verdict.Limit(relative, 1e-3 * absolute),
        rounds=rounds,
        pairs=pairs,
    )
    with answering():
        check(options, output)
        with tempfile.TemporaryDirectory(prefix="fastgmm-gate-") as work:
            of_base = open_tree("BASE", base, Path(work) / "base")
            of_head = open_tree("HEAD", head, Path(work) / "head")
            outcome = compare(of_base, of_head, options, tell)
        notes = [*outcome.notes, f"{os.cpu_count()} cores; one thread where nothing else is said."]
        text = markdown(of_base.name, of_head.name, outcome.lines, notes)
        sys.stdout.write(text)
        sys.stdout.flush()
        if output is not None:
            with output.open("a", encoding="utf-8") as file:
                file.write(text)
    raise typer.Exit(WORSE if outcome.worse else OK)


def check(options: Options, output: Path | None) -> None:
    """Find what cannot work before minutes of measuring, not after.

    Raises
    ------
    GateError
        If a pattern is none, a limit is no number, or the table could not be written.
    """
    try:
        re.compile(options.select)
    except re.error as error:
        raise GateError(f"--select {options.select!r} is no regular expression: {error}") from None
    if not (math.isfinite(options.time.relative) and math.isfinite(options.time.absolute)):
        raise GateError("--relative and --absolute must be finite numbers")
    if output is not None:
        output.open("a").close()


@contextmanager
def answering() -> Iterator[None]:
    """Within, whatever goes wrong ends with the exit code that says that there is no answer."""
    try:
        with stopped_by_signals():
            yield
    except GateError as error:
        fail(str(error))
    except OSError as error:  # a full disk, most likely
        fail(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        fail("interrupted")
    except Exception:
        fail(f"the gate itself failed\n{traceback.format_exc()}")


def tell(progress: str) -> None:
    """Say what runs, apart from the table."""
    console.print(f"gate: {progress}", soft_wrap=True, markup=False)


def fail(message: str) -> None:
    """Tell why there is no answer, and end with the exit code that says so."""
    console.print(f"gate: no answer: {message}", style="bold", markup=False, soft_wrap=True)
    raise typer.Exit(NO_ANSWER)


if __name__ == "__main__":
    app()
