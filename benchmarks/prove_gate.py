"""``python -m benchmarks.prove_gate``: Does the gate find what it should, and nothing else?

Plants each regression of `benchmarks.gate.plants` in the processes of a tree and compares it with
the tree itself; then compares the tree with a copy of itself, again and again, with all that the
gate measures. Prints a Markdown report as it goes. Takes some minutes per comparison.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.command import Record, command, some_of
from benchmarks.gate.__main__ import answering, measuring
from benchmarks.gate.plants import PLANTS
from benchmarks.gate.run import Options, compare
from benchmarks.gate.trees import REPOSITORY, open_tree
from benchmarks.gate.verdict import Line


@command(
    limited=False,
    plants=some_of(PLANTS),
    **measuring("a part: benchmarks that match this expression"),
    comparisons={"default": 10, "type": int, "help": "of the tree with itself"},
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every plant, for every comparison of the tree with itself, and the proof."""
    options = Options(select=asked.select, rounds=asked.rounds, pairs=asked.pairs)
    with answering(), tempfile.TemporaryDirectory(prefix="fastgmm-proof-") as folder:
        base = open_tree("BASE", str(REPOSITORY), Path(folder) / "base")
        head = open_tree("HEAD", str(base.sources), Path(folder) / "head")
        failures = 0
        for name in asked.plants:
            plant, planted = PLANTS[name], replace(head, plant=name)
            worse = compare(base, planted, replace(options, kinds=plant.kinds)).worse
            found = any(re.search(plant.found, line.name) for line in worse)
            found = found and not any(re.search(plant.untouched, line.name) for line in worse)
            failures += not found
            yield {
                "planted": plant.title,
                "reported as worse": summary(worse),
                "found": "yes" if found else "**no**",
            }
        for number in range(1, asked.comparisons + 1):
            started = time.perf_counter()
            outcome = compare(base, head, options)
            failures += bool(outcome.worse)
            ratios = [line.ratio for line in outcome.lines if line.unit in ("s", "of scikit-learn")]
            ends = (min(ratios), max(ratios)) if ratios else ()
            yield {
                "against itself": number,
                "alarms": "; ".join(line.name for line in outcome.worse) or "none",
                "changes of time": " to ".join(f"{100 * (ratio - 1):+.1f} %" for ratio in ends),
                "seconds": time.perf_counter() - started,
            }
    yield {"outcome": "proved" if not failures else f"{failures} not as it should be"}
    if failures:
        raise SystemExit(1)


def summary(worse: list[Line]) -> str:
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
