"""The command line of the report."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.command import parser_of
from benchmarks.report.changes import REPOSITORY
from benchmarks.report.page import render
from benchmarks.report.results import ReportError, load_history
from fastgmm.files.atomic import atomic_write

NO_PAGE = 2
PAGE = REPOSITORY / "build" / "performance.html"
"""Where git ignores it."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    options = {
        "results": {"type": Path, "help": "asv's; by default where asv.conf.json says"},
        "machine": {"help": "whose results"},
        "out": {"default": PAGE, "type": Path, "help": "the page"},
    }
    asked = parser_of(report.__doc__, options).parse_args(arguments)
    try:
        history = load_history(asked.results or configured_results(), asked.machine, tags())
        page = render(history)
        if asked.out == PAGE:
            PAGE.parent.mkdir(exist_ok=True)
        write(asked.out, page)
    except (ReportError, OSError) as error:
        reason = error if isinstance(error, ReportError) else f"{type(error).__name__}: {error}"
        print(f"report: no page: {reason}", file=sys.stderr)
        raise SystemExit(NO_PAGE) from error
    print(f"{asked.out}: {len(history.commits)} commits, the last {history.latest.name}")


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
    main()
