"""asv's results of one machine, by commit, benchmark and parameters."""

import ast
import itertools
import json
import math
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from asv import results as asv_results
from asv.util import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = json.loads((REPOSITORY / "asv.conf.json").read_text())


class ReportError(Exception):
    """There is no page to be made; the message says why in terms of the caller."""


@dataclass(frozen=True, eq=False)
class Commit:
    """What was measured at one commit; its name is a tag, or the short hash."""

    name: str
    date: datetime
    values: Mapping[tuple[Any, ...], float]
    """From benchmark and parameters, ``("em.EMIterations...", "full", ...)``, to a number."""

    versions: Mapping[str, str]  # of what fastgmm ran with

    def value(self, *key: Any) -> float | None:
        """The figure of a benchmark and its parameters; None where there is none."""
        return self.values.get(key)


@dataclass(frozen=True)
class History:
    """Commits, oldest first, as one machine measured them."""

    machine: Mapping[str, str]
    commits: list[Commit]

    @cached_property
    def latest(self) -> Commit:
        """The newest commit that was measured as a whole; others may have a few series only."""
        most = max(len(commit.values) for commit in self.commits)
        return next(one for one in reversed(self.commits) if 2 * len(one.values) > most)


def load_history(
    directory: Path, machine: str | None = None, names: Mapping[str, str] | None = None
) -> History:
    """Read what asv wrote into its ``results_dir`` of a machine, or of the one with most results.

    Commits that are tagged have these names, by their hashes.
    """
    machines = sorted(path.parent.name for path in directory.glob("*/machine.json"))
    if not machines:
        reason = "has no results of any machine; run 'asv machine --yes' and 'asv run'"
        raise ReportError(f"{directory} {reason}")
    if machine is None:
        machine = max(machines, key=lambda name: len(list((directory / name).iterdir())))
    elif machine not in machines:
        known = ", ".join(machines)
        raise ReportError(f"{directory} has no machine file of {machine!r}; there are: {known}")
    path = directory / machine / "machine.json"
    found = []
    try:
        description = dict(json.loads(path.read_text()))
        for path in sorted((directory / machine).glob("*-*.json")):
            found.append(asv_results.Results.load(str(path), machine_name=machine))
    except (UserError, ValueError, LookupError, TypeError) as error:
        raise ReportError(f"{path}: {error}") from error
    found.sort(key=lambda result: result.date)
    newest = dict(ChainMap(*(result.benchmark_version for result in reversed(found))))
    commits = [_commit(result, names or {}, newest) for result in found]
    commits = [commit for commit in commits if commit.values]
    if not commits:
        raise ReportError(f"{directory / machine} has a machine file but no results; run 'asv run'")
    return History({**description, "machine": machine}, commits)


def _commit(result: Any, tags: Mapping[str, str], versions: Mapping[str, Any]) -> Commit:
    """What of a result can be compared: benchmarks of the version that was measured last."""
    values: dict[tuple[Any, ...], float] = {}
    for benchmark in result.get_all_result_keys():
        if result.benchmark_version.get(benchmark) != versions.get(benchmark):
            continue
        parameters = result.get_result_params(benchmark)
        numbers = result.get_result_value(benchmark, parameters)
        # asv keeps parameters as Python would print them.
        names = ([ast.literal_eval(text) for text in axis] for axis in parameters)
        for combination, number in zip(itertools.product(*names), numbers, strict=True):
            if number is not None and math.isfinite(number):
                values[(benchmark, *combination)] = number
    return Commit(
        name=tags.get(result.commit_hash, result.commit_hash[:7]),
        date=datetime.fromtimestamp(result.date / 1000, UTC),
        values=values,
        versions={key: result.params[key] for key in ("python", "numpy", "numba", "scikit-learn")},
    )
