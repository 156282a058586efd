"""Samples of both trees in turn, so that whatever else the machine does meets both alike.

Each round starts a new process per tree (where memory lies, and with it some per cent of the time,
is settled at the start), and takes samples in pairs: one of each tree, some milliseconds apart,
which of them first alternating.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from benchmarks.gate.samples import sample
from benchmarks.gate.sides import BenchmarkError, NotHere, Side, opened
from benchmarks.gate.start import own_start
from benchmarks.gate.trees import Tree
from benchmarks.gate.verdict import Pairs


def prepare(base: Tree, head: Tree, names: list[str]) -> tuple[list[str], dict[str, str]]:
    """Run every benchmark once on both trees, side by side; that compiles their kernels.

    Returns
    -------
    names : list of str
        What can be compared.
    left_out : dict of str to str
        Why the others cannot: this machine cannot run them, or BASE cannot, being older.

    Raises
    ------
    GateError
        If one fails on HEAD, or none runs on BASE.
    """
    left_out: dict[str, str] = {}
    broken: list[BenchmarkError] = []
    with opened(head, base) as sides:
        for name in names:
            for side in sides:
                side.ask(sample, name)
            for side in sides:
                try:
                    side.answer()
                except NotHere as reason:
                    left_out[name] = str(reason)
                except BenchmarkError as error:
                    if side.tree is head:
                        raise
                    broken.append(error)
                    left_out.setdefault(name, "fails on BASE")
    if broken and len(broken) == len(names):
        raise broken[0]
    return [name for name in names if name not in left_out], left_out


def take_samples(
    base: Tree,
    head: Tree,
    names: list[str],
    *,
    rounds: int,
    pairs: int,
    progress: Callable[[str], None],
) -> Mapping[str, Pairs]:
    """Samples of all benchmarks named, which run on both, and of the processes' own start.

    There are so many `rounds` of new processes, and in each so many `pairs` of every benchmark.
    """
    samples: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number in range(rounds):
        progress(f"times, round {number + 1} of {rounds}")
        with ExitStack() as stack:
            # One after the other: they must not wait for each other's imports.
            order = (base, head) if number % 2 == 0 else (head, base)
            sides, start = {}, {}
            for tree in order:
                sides[tree] = Side(tree, stack)
                start[tree] = sides[tree].call(own_start)
            for name in start[base]:
                samples[name].append((start[base][name], start[head][name]))
            for name in names:
                for side in sides.values():
                    side.call(sample, name)  # the first one sets up
                for index in range(pairs):
                    order = (base, head) if (index + number) % 2 == 0 else (head, base)
                    taken = {tree: sides[tree].call(sample, name) for tree in order}
                    samples[name].append((taken[base], taken[head]))
    return samples
