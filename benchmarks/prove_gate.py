"""``python -m benchmarks.prove_gate``: Does the gate find what it should, and nothing else?

Plants each regression of `benchmarks.gate.plants` in the processes of a tree and compares it with
the tree itself; then compares the tree with a copy of itself, again and again, with all that the
gate measures. Prints a Markdown report as it goes. Takes some minutes per comparison.
"""

import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.command import parser_of, some_of
from benchmarks.gate.__main__ import answering, tell
from benchmarks.gate.plants import PLANTS
from benchmarks.gate.run import Options, Outcome, compare
from benchmarks.gate.trees import REPOSITORY, Tree, open_tree


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = parser_of(
        __doc__,
        {
            "plants": some_of(PLANTS),
            "select": {"default": "", "help": "a part: benchmarks that match this expression"},
            "comparisons": {"default": 10, "type": int, "help": "of the tree with itself"},
            "everything": {
                "default": False,
                "help": "measure all of every plant, not only what is meant to see it",
            },
            "rounds": {"default": Options.rounds, "help": "new processes per side"},
            "pairs": {"default": Options.pairs, "help": "samples in each"},
        },
    )
    asked = parser.parse_args(arguments)
    options = Options(select=asked.select, rounds=asked.rounds, pairs=asked.pairs)
    with answering(), tempfile.TemporaryDirectory(prefix="fastgmm-proof-") as folder:
        work = Path(folder)
        base = open_tree("BASE", str(REPOSITORY), work / "base")
        print("| planted | reported as worse | found |\n|---|---|---|", flush=True)
        failures = 0
        for name in asked.plants:
            kinds = options.kinds if asked.everything else PLANTS[name].kinds
            failures += not find(name, base, work, replace(options, kinds=kinds))
        failures += repeat(base, work, options, asked.comparisons)
    print(f"\n{'proved' if not failures else f'{failures} not as it should be'}")
    raise SystemExit(1 if failures else 0)


def find(name: str, base: Tree, work: Path, options: Options) -> bool:
    """Plant one regression; whether the right benchmark was named, and none it cannot touch."""
    planted = replace(open_tree("HEAD", str(base.sources), work / name), plant=name)
    outcome = compare(base, planted, options, tell)
    plant, worse = PLANTS[name], [line.name for line in outcome.worse]
    found = any(re.search(plant.found, each) for each in worse)
    found = found and not any(re.search(plant.untouched, each) for each in worse)
    print(f"| {plant.title} | {_summary(outcome)} | {'yes' if found else '**no**'} |", flush=True)
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
        ratios = [line.ratio for line in outcome.lines if line.unit in ("s", "of scikit-learn")]
        span = " to ".join(f"{100 * (each(ratios) - 1):+.1f} %" for each in (min, max))
        seconds = time.perf_counter() - started
        print(f"| {number} | {names} | {span} | {seconds:.0f} |", flush=True)
    return alarms


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


if __name__ == "__main__":
    main()
