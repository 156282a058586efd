"""``python -m benchmarks.gate BASE HEAD``: Fail when HEAD is slower than BASE.

Both are commits, or directories that hold a copy of the sources. Each is measured in processes of
its own, with the benchmark code of the present checkout:

- *times* of a core set, and its ratio to scikit-learn, in turn on both sides, so that whatever else
  the machine does meets both (`interleave`). Something is slower when it is so by more than the
  limit, both relatively and absolutely, and is so again in a second run with new processes
  (`verdict`);
- *figures* that no noise touches: passes over the rows, EM iterations, bytes (`figures`);
- *instructions* of one pass of each kernel, counted by valgrind where it is installed, repeatable
  to the count (`instructions`).

What gets worse on purpose is named, with its reason, in ``benchmarks/accepted.toml`` (`accepted`).

Exit codes: 0 nothing is slower; 1 something is; 2 the question could not be answered, because a
commit, a benchmark or the machine failed. `python -m benchmarks.prove_gate` shows that it works.
"""

import sys


class GateError(Exception):
    """The gate cannot tell; the message says why in terms of the caller. Exit code 2."""


def tell(progress: str) -> None:
    """Say what runs, apart from the table."""
    print(f"gate: {progress}", file=sys.stderr, flush=True)
