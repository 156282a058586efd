"""The command line of the gate."""

import argparse
import math
import os
import re
import signal
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import gate
from benchmarks.command import parser_of
from benchmarks.gate import GateError, tell, verdict
from benchmarks.gate.run import KINDS, Options, compare
from benchmarks.gate.table import markdown
from benchmarks.gate.trees import open_tree
from benchmarks.processes import Failure

OK, WORSE, NO_ANSWER = 0, 1, 2


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    asked = _parser().parse_args(arguments)
    options = Options(
        kinds=tuple(asked.kind or KINDS),
        select=asked.select,
        time=verdict.Limit(asked.relative, 1e-3 * asked.absolute),
        rounds=asked.rounds,
        pairs=asked.pairs,
    )
    with answering():
        if asked.output is not None:  # before minutes of measuring, not after
            asked.output.open("a").close()
        with tempfile.TemporaryDirectory(prefix="fastgmm-gate-") as work:
            of_base = open_tree("BASE", asked.base, Path(work) / "base")
            of_head = open_tree("HEAD", asked.head, Path(work) / "head")
            outcome = compare(of_base, of_head, options)
        notes = [*outcome.notes, f"{os.cpu_count()} cores; one thread where nothing else is said."]
        text = markdown(of_base.name, of_head.name, outcome.lines, notes)
        print(text, end="", flush=True)
        if asked.output is not None:
            with asked.output.open("a", encoding="utf-8") as file:
                file.write(text)
    raise SystemExit(WORSE if outcome.worse else OK)


def _parser() -> argparse.ArgumentParser:
    options = {
        "base": {"positional": True, "help": "commit, or directory that holds fastgmm/"},
        "head": {"positional": True, "help": "likewise; . is the present checkout"},
        "kind": {"choices": KINDS, "action": "append", "help": "only this; may be repeated"},
        **measuring("only benchmarks whose name contains this regular expression"),
        "relative": limit(verdict.TIME.relative, "share of time"),
        "absolute": limit(1e3 * verdict.TIME.absolute, "time in ms"),
        "output": {"type": Path, "help": "append the table to this file as well"},
    }
    return parser_of(gate.__doc__, options)


def limit(default: float, unit: str) -> dict[str, Any]:
    """An option of how much slower is too much."""
    return {"default": default, "type": finite, "help": f"{unit} that counts as slower"}


def measuring(select: str) -> dict[str, Any]:
    """Options of the gate, and of its proof."""
    return {
        "select": {"default": "", "type": pattern, "help": select},
        "rounds": {"default": Options.rounds, "help": "new processes per side"},
        "pairs": {"default": Options.pairs, "help": "samples in each"},
    }


def pattern(text: str) -> str:
    """A regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    return text


def finite(text: str) -> float:
    """A number from 0."""
    if not 0.0 <= float(text) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no finite number from 0")
    return float(text)


@contextmanager
def answering() -> Iterator[None]:
    """Within, whatever goes wrong ends with the exit code that says that there is no answer."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt):
            why = "interrupted"
        elif isinstance(error, (GateError, Failure, OSError)):  # a full disk, most likely
            why = str(error)
        else:
            why = f"the gate itself failed\n{traceback.format_exc()}"
        tell(f"no answer: {why}")
        raise SystemExit(NO_ANSWER) from error
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    main()
