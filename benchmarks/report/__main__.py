"""The command line of the report."""

import subprocess
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.command import parser_of
from benchmarks.report.page import render
from benchmarks.report.results import REPOSITORY, SETTINGS, ReportError, load_history

NO_PAGE = 2
PAGE = REPOSITORY / "build" / "performance.html"  # where git ignores it
RESULTS = REPOSITORY / SETTINGS["results_dir"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    options = {
        "results": {"default": RESULTS, "type": Path, "help": "asv's; of asv.conf.json by default"},
        "machine": {"help": "whose results"},
        "out": {"default": PAGE, "type": Path, "help": "the page"},
    }
    asked = parser_of(report.__doc__, options).parse_args(arguments)
    try:
        history = load_history(asked.results, asked.machine, tags())
        page = render(history)
        if asked.out == PAGE:
            PAGE.parent.mkdir(exist_ok=True)
        asked.out.write_text(page, encoding="utf-8")
    except (ReportError, OSError) as error:
        print(f"report: no page: {error}", file=sys.stderr)
        raise SystemExit(NO_PAGE) from error
    print(f"{asked.out}: {len(history.commits)} commits, the last {history.latest.name}")


def tags() -> dict[str, str]:
    """Names of tagged commits; none outside a clone."""
    command = ["git", "-C", str(REPOSITORY), "show-ref", "--tags", "--dereference"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True).stdout
    except FileNotFoundError:
        return {}
    pairs = (line.split(" refs/tags/") for line in listed.splitlines())
    return {commit: name.removesuffix("^{}") for commit, name in pairs}


if __name__ == "__main__":
    main()
