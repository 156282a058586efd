"""The command line of the report."""

import json
import subprocess
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.report.changes import REPOSITORY
from benchmarks.report.page import render
from benchmarks.report.results import ReportError, load_history
from fastgmm.files.atomic import atomic_write

NO_PAGE = 2
PAGE = REPOSITORY / "build" / "performance.html"
"""Where git ignores it."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(stderr=True, highlight=False)


@app.command(help="Write a page that says whether fastgmm got faster: one file, no network.")
def report(
    results: Annotated[
        Path | None, typer.Option(help="asv's results; by default where asv.conf.json says.")
    ] = None,
    machine: Annotated[str | None, typer.Option(help="Whose results.")] = None,
    output: Annotated[Path, typer.Option("--out", "--output", help="The page.")] = PAGE,
) -> None:
    """Run the command."""
    try:
        history = load_history(results or configured_results(), machine, tags())
        page = render(history)
        if output == PAGE:
            output.parent.mkdir(exist_ok=True)
        write(output, page)
    except (ReportError, OSError) as error:
        reason = error if isinstance(error, ReportError) else f"{type(error).__name__}: {error}"
        console.print(f"report: no page: {reason}", style="bold", markup=False, soft_wrap=True)
        raise typer.Exit(NO_PAGE) from error
    typer.echo(f"{output}: {len(history.commits)} commits, the last {history.latest.name}")


def configured_results() -> Path:
    """Where asv keeps its results."""
    configuration = json.loads((REPOSITORY / "asv.conf.json").read_text())
    return REPOSITORY / configuration["results_dir"]


def tags() -> dict[str, str]:
    """Names of tagged commits; none outside a clone."""
    command = ["git", "-C", str(REPOSITORY), "for-each-ref", "refs/tags"]
    command.append("--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end) "
                   "%(refname:short)")  # fmt: skip
    try:
        finished = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return {}
    pairs = (line.partition(" ") for line in finished.stdout.splitlines())
    return {commit: name for commit, _, name in pairs}


def write(path: Path, text: str) -> None:
    """Write a file such that there is never half of it; devices are written to as they are."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
    else:
        atomic_write(path, text.encode())


if __name__ == "__main__":
    app()
