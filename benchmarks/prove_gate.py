"""``python -m benchmarks.prove_gate``: does the gate find what it should, and nothing else?

Plants each regression of `benchmarks.gate.plants` in the processes of a tree and compares it with
the tree itself; then compares the tree with a copy of itself, again and again, with all that the
gate measures. Prints a Markdown report as it goes. Takes some minutes per comparison.
"""

import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gate.__main__ import answering, tell
from benchmarks.gate.errors import GateError
from benchmarks.gate.plants import PLANTS
from benchmarks.gate.run import Options, Outcome, compare
from benchmarks.gate.trees import REPOSITORY, Tree, open_tree

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(help="Plant regressions and see the gate find them; compare a tree with itself.")
def prove(
    tree: Annotated[Path, typer.Argument(help="Directory that holds fastgmm/.")] = REPOSITORY,
    plants: Annotated[
        list[str] | None, typer.Option("--plant", help="Only this; may be repeated.")
    ] = None,
    self_comparisons: Annotated[int, typer.Option(min=0)] = 10,
    everything: Annotated[
        bool, typer.Option(help="Measure all of every plant, not only what is meant to see it.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="New processes per side.")] = Options.rounds,
    pairs: Annotated[int, typer.Option(min=1, help="Samples in each.")] = Options.pairs,
) -> None:
    """Run the command."""
    with answering():
        chosen = list(PLANTS) if plants is None else plants
        if unknown := sorted(set(chosen) - set(PLANTS)):
            raise GateError(f"no plant {', '.join(unknown)}; there are {', '.join(PLANTS)}")
        with tempfile.TemporaryDirectory(prefix="fastgmm-proof-") as folder:
            work = Path(folder)
            options = Options(rounds=rounds, pairs=pairs)
            base = open_tree("BASE", str(tree), work / "base")
            print("| planted | reported as worse | found |\n|---|---|---|", flush=True)
            failures = sum(not find(name, base, work, options, everything) for name in chosen)
            failures += repeat(base, work, options, self_comparisons)
    print(f"\n{'proved' if not failures else f'{failures} not as it should be'}")
    raise typer.Exit(1 if failures else 0)


def find(name: str, base: Tree, work: Path, options: Options, everything: bool) -> bool:
    """Plant one regression; whether the gate finds it. Prints a line of the table."""
    planted = replace(open_tree("HEAD", str(base.sources), work / name), plant=name)
    if not everything:
        options = replace(options, kinds=PLANTS[name].kinds)
    outcome = compare(base, planted, options, tell)
    found = judge(name, outcome)
    print(f"| {PLANTS[name].title} | {_summary(outcome)} | {_yes(found)} |", flush=True)
    return found


def repeat(base: Tree, work: Path, options: Options, times: int) -> int:
    """Compare a tree with a copy of itself; the number of comparisons that raised an alarm."""
    alarms = 0
    copy = open_tree("HEAD", str(base.sources), work / "copy")
    print("\n| against itself | alarms | changes of time | seconds |\n|---:|---|---|---:|")
    for number in range(1, times + 1):
        started = time.perf_counter()
        outcome = compare(base, copy, options, tell)
        alarms += bool(outcome.worse)
        names = "; ".join(line.name for line in outcome.worse) or "none"
        seconds = time.perf_counter() - started
        print(f"| {number} | {names} | {_extremes(outcome)} | {seconds:.0f} |", flush=True)
    return alarms


def judge(name: str, outcome: Outcome) -> bool:
    """Whether the right benchmark was named, and none that the plant cannot have touched."""
    worse = [line.name for line in outcome.worse]
    found = any(re.search(PLANTS[name].found, each) for each in worse)
    return found and not any(re.search(PLANTS[name].untouched, each) for each in worse)


def _summary(outcome: Outcome) -> str:
    """The largest change of each kind, and how many there are."""
    kinds: dict[str, list] = {}
    for line in outcome.worse:
        kinds.setdefault(line.name.split(":")[0], []).append(line)
    parts = []
    for lines in kinds.values():
        largest = max(lines, key=lambda line: line.ratio)
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        parts.append(f"{largest.name} {100 * (largest.ratio - 1):+.1f} %{more}")
    return "; ".join(parts) or "nothing"


def _extremes(outcome: Outcome) -> str:
    ratios = [line.ratio for line in outcome.lines if line.unit in ("s", "of scikit-learn")]
    if not ratios:
        return ""
    return " to ".join(f"{100 * (ratio - 1):+.1f} %" for ratio in (min(ratios), max(ratios)))


def _yes(found: bool) -> str:
    return "yes" if found else "**no**"


if __name__ == "__main__":
    app()
