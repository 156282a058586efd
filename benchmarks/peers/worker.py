"""``python -m benchmarks.peers.worker``: one library in a process of its own.

Started by `benchmarks.peers.processes`, which sets the environment. Each line of standard input is
a number of iterations, each line of standard output the answer as JSON: seconds, and means if the
library got that far, or what went wrong.
"""

import argparse
import importlib
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.fairness import seconds_of
from benchmarks.peers.registry import PEERS


def one_line(error: BaseException) -> str:
    """What an exception says, in a line of a table."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def serve(name: str, folder: Path, *case: Any) -> Iterator[dict[str, Any]]:
    """Yield an answer for the preparation, and then for every line of standard input."""
    from benchmarks.peers.problem import read

    problem = read(folder, *case)
    adapter = importlib.import_module(f"benchmarks.peers.adapters.{PEERS[name].adapter}")
    run = adapter.prepare(problem)
    yield {}
    for line in sys.stdin:
        iterations = int(line)
        seconds, means = seconds_of(lambda: run(iterations), lambda: run(1))  # noqa: B023
        yield {"seconds": seconds, "means": means.tolist(), "dtype": str(means.dtype)}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("structure")
    parser.add_argument("estimator")
    parser.add_argument("threads", type=int)
    parser.add_argument("memory", type=int)
    *case, memory = vars(parser.parse_args()).values()
    # Before any library is loaded: some count the cores when they are.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: case[-1]])
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries may print what they like
    try:
        for answer in serve(*case):
            print(json.dumps(answer), file=answers, flush=True)
    except Exception as error:  # whatever a library raises stands in the table
        print(json.dumps({"error": one_line(error)}), file=answers, flush=True)


if __name__ == "__main__":
    main()
