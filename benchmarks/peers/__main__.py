"""The command line; see ``python -m benchmarks.peers --help``."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks import peers
from benchmarks.iteration import SHAPES, parse_shape
from benchmarks.peers import problem, registry
from benchmarks.peers.processes import Settings, compare
from benchmarks.peers.registry import ESTIMATORS, GAUSSIAN, OURS, PEERS, STRUCTURES
from benchmarks.peers.table import Result, conditions, tables


def a_shape(text: str) -> tuple[int, int, int]:
    """Rows, features, components: ``1e6,2,8``."""
    try:
        n, d, k = parse_shape(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not N,D,K, as 1e6,2,8") from None
    if min(d, k) < 1 or n < 10 * k:
        raise argparse.ArgumentTypeError(f"{text!r}: need D, K >= 1 and N >= 10 K")
    return n, d, k


def at_least_one(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def available_bytes() -> int:
    """Memory of the machine that is free now."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        usage="%(prog)s [options]",
        description=peers.__doc__.split("\n\n")[1],
    )
    add = parser.add_argument
    add("--shapes", type=a_shape, nargs="+", default=SHAPES, metavar="N,D,K", help="as 1e6,2,8")
    add("--structures", choices=STRUCTURES, nargs="+", default=["full", "diag"])
    add("--estimators", choices=ESTIMATORS, nargs="+", default=[GAUSSIAN])
    others = [name for name in PEERS if name != OURS]
    add("--peers", choices=others, nargs="+", default=others)
    add("--threads", type=at_least_one, nargs="+", default=[2])
    add("--repeats", type=at_least_one, default=5)
    add(
        "--iterations",
        type=at_least_one,
        nargs=2,
        default=(1, 6),
        metavar=("FIRST", "LAST"),
        help="iterations of the two fits whose difference is taken",
    )
    add("--timeout", type=float, default=300.0, metavar="S", help="of a single fit")
    add("--memory", type=float, metavar="GB", help="of one process; default: half of what is free")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON, with every sample")
    form.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    parsed = parser.parse_args(arguments)
    if parsed.iterations[0] >= parsed.iterations[1]:
        parser.error("--iterations: need FIRST < LAST")
    cores = len(os.sched_getaffinity(0))
    if max(parsed.threads) > cores:
        parser.error(f"--threads {max(parsed.threads)}: this process may use {cores} cores")
    if not parsed.timeout > 0:
        parser.error("--timeout: need more than 0 seconds")
    if parsed.memory is not None and not parsed.memory > 0:
        parser.error("--memory: need more than 0 GB")
    return parsed


def results(parsed: argparse.Namespace) -> Iterator[Result]:
    """Run what was asked for, one comparison after the other."""
    memory = available_bytes() // 2 if parsed.memory is None else int(parsed.memory * 1e9)
    first, last = parsed.iterations
    settings = Settings(parsed.repeats, first, last, parsed.timeout, memory)
    for shape in parsed.shapes:
        with tempfile.TemporaryDirectory() as folder:
            for structure in parsed.structures:
                problem.write(Path(folder), shape, structure)
                for estimator in parsed.estimators:
                    for threads in parsed.threads:
                        case = (structure, estimator, threads)
                        names = [
                            name
                            for name in (OURS, *parsed.peers)
                            if PEERS[name].version() and PEERS[name].fits(structure, estimator)
                        ]
                        print(f"running {shape} {case} ...", file=sys.stderr, flush=True)
                        yield Result(shape, *case, compare(names, Path(folder), case, settings))


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parsed = parse_arguments(arguments)
    columns = [registry.PEERS[name] for name in (OURS, *parsed.peers)]
    found = list(results(parsed))
    if parsed.json:
        document = {
            "conditions": conditions(columns, parsed.repeats).splitlines(),
            "results": [asdict(result) for result in found],
        }
        print(json.dumps(document, indent=2))
    else:
        print(tables(found, columns, parsed.markdown), end="\n\n")
        print(conditions(columns, parsed.repeats))


if __name__ == "__main__":
    main()
