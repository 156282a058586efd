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
from benchmarks.gate.__main__ import answering, measuring
from benchmarks.gate.plants import PLANTS
from benchmarks.gate.run import Options, compare
from benchmarks.gate.trees import REPOSITORY, Tree, open_tree
from benchmarks.gate.verdict import Line

OPTIONS = {
    "plants": some_of(PLANTS),
    **measuring("a part: benchmarks that match this expression"),
    "comparisons": {"default": 10, "type": int, "help": "of the tree with itself"},
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    asked = parser_of(__doc__, OPTIONS).parse_args(arguments)
    options = Options(select=asked.select, rounds=asked.rounds, pairs=asked.pairs)
    with answering(), tempfile.TemporaryDirectory(prefix="fastgmm-proof-") as folder:
        base = open_tree("BASE", str(REPOSITORY), Path(folder) / "base")
        head = open_tree("HEAD", str(base.sources), Path(folder) / "head")
        print("| planted | reported as worse | found |\n|---|---|---|", flush=True)
        failures = 0
        for name in asked.plants:
            of_plant = replace(options, kinds=PLANTS[name].kinds)
            failures += not find(base, replace(head, plant=name), of_plant)
        failures += repeat(base, head, options, asked.comparisons)
    print(f"\n{'proved' if not failures else f'{failures} not as it should be'}")
    raise SystemExit(1 if failures else 0)


def find(base: Tree, planted: Tree, options: Options) -> bool:
    """Whether the right benchmark of a planted tree is named, and none it cannot touch."""
    plant, worse = PLANTS[planted.plant], compare(base, planted, options).worse
    found = any(re.search(plant.found, line.name) for line in worse)
    found = found and not any(re.search(plant.untouched, line.name) for line in worse)
    print(f"| {plant.title} | {_summary(worse)} | {'yes' if found else '**no**'} |", flush=True)
    return found


def repeat(base: Tree, copy: Tree, options: Options, times: int) -> int:
    """Compare a tree with a copy of itself; the number of comparisons that raised an alarm."""
    alarms = 0
    print("\n| against itself | alarms | changes of time | seconds |\n|---:|---|---|---:|")
    for number in range(1, times + 1):
        started = time.perf_counter()
        outcome = compare(base, copy, options)
        alarms += bool(outcome.worse)
        names = "; ".join(line.name for line in outcome.worse) or "none"
        ratios = [line.ratio for line in outcome.lines if line.unit in ("s", "of scikit-learn")]
        ends = (min(ratios), max(ratios)) if ratios else ()
        span = " to ".join(f"{100 * (ratio - 1):+.1f} %" for ratio in ends)
        seconds = time.perf_counter() - started
        print(f"| {number} | {names} | {span} | {seconds:.0f} |", flush=True)
    return alarms


def _summary(worse: list[Line]) -> str:
    """The largest change of each kind, and how many there are."""
    parts = []
    for kind in dict.fromkeys(line.name.split(":")[0] for line in worse):
        of_kind = [line for line in worse if line.name.startswith(f"{kind}:")]
        largest, *others = sorted(of_kind, key=lambda line: -line.ratio)
        more = f" and {len(others)} more" if others else ""
        parts.append(f"{largest.name} {100 * (largest.ratio - 1):+.1f} %{more}")
    return "; ".join(parts) or "nothing"


if __name__ == "__main__":
    main()
