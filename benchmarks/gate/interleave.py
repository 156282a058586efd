"""Samples of both trees in turn, so that whatever else the machine does meets both alike.

Each round starts a new process per tree (where memory lies, and with it some per cent of the time,
is settled at the start), and takes samples in pairs: one of each tree, some milliseconds apart,
which of them first alternating.
"""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack

from benchmarks.gate import tell
from benchmarks.gate.samples import own_start, sample
from benchmarks.gate.trees import Tree
from benchmarks.gate.verdict import Pairs
from benchmarks.processes import Failure


def prepare(base: Tree, head: Tree, names: list[str]) -> tuple[list[str], dict[str, str]]:
    """Run every benchmark once on both trees, side by side; that compiles their kernels.

    Returned are the names of what can be compared, and why the others cannot: this machine cannot
    run them, or BASE cannot, being older. It is a `Failure` if one fails on HEAD, or all on BASE.
    """
    left_out: dict[str, str] = {}
    broken: list[Failure] = []
    with head.process() as of_head, base.process() as of_base:
        for name in names:
            for one in (of_head, of_base):
                one.ask(sample, name)
            for one in (of_head, of_base):
                try:
                    one.answer()
                except Failure as failure:
                    if failure.kind == NotImplementedError.__name__:
                        left_out[name] = failure.reason
                    elif one is of_head or not failure.kind:
                        raise
                    else:
                        broken.append(failure)
                        left_out.setdefault(name, "fails on BASE")
    if broken and len(broken) == len(names):
        raise broken[0]
    return [name for name in names if name not in left_out], left_out


def take_samples(
    base: Tree, head: Tree, names: list[str], rounds: int, pairs: int
) -> Mapping[str, Pairs]:
    """Samples of all benchmarks named, which run on both, and of the processes' own start.

    There are so many `rounds` of new processes, and in each so many `pairs` of every benchmark.
    """
    samples: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number in range(rounds):
        tell(f"times, round {number + 1} of {rounds}")
        with ExitStack() as stack:
            # One after the other: they must not wait for each other's imports.
            order = (base, head) if number % 2 == 0 else (head, base)
            sides, start = {}, {}
            for tree in order:
                sides[tree] = stack.enter_context(tree.process())
                start[tree] = sides[tree].call(own_start)
            for name in start[base]:
                samples[name].append((start[base][name], start[head][name]))
            for name in names:
                for one in sides.values():
                    one.call(sample, name)  # the first one sets up
                for index in range(pairs):
                    order = (base, head) if (index + number) % 2 == 0 else (head, base)
                    taken = {tree: sides[tree].call(sample, name) for tree in order}
                    samples[name].append((taken[base], taken[head]))
    return samples
