"""The command line of the gate."""

import argparse
import math
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from benchmarks import gate
from benchmarks.command import parser_of
from benchmarks.gate import verdict
from benchmarks.gate.errors import GateError
from benchmarks.gate.run import KINDS, Options, compare
from benchmarks.gate.table import markdown
from benchmarks.gate.trees import open_tree

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
            outcome = compare(of_base, of_head, options, tell)
        notes = [*outcome.notes, f"{os.cpu_count()} cores; one thread where nothing else is said."]
        text = markdown(of_base.name, of_head.name, outcome.lines, notes)
        print(text, end="", flush=True)
        if asked.output is not None:
            with asked.output.open("a", encoding="utf-8") as file:
                file.write(text)
    raise SystemExit(WORSE if outcome.worse else OK)


def _parser() -> argparse.ArgumentParser:
    of_name = "only benchmarks whose name contains this regular expression"
    options = {
        "kind": {"choices": KINDS, "action": "append", "help": "only this; may be repeated"},
        "select": {"default": "", "type": pattern, "help": of_name},
        "relative": {
            "default": verdict.TIME.relative,
            "type": finite,
            "help": "share of time that counts as slower",
        },
        "absolute": {
            "default": 1e3 * verdict.TIME.absolute,
            "type": finite,
            "help": "milliseconds that count as slower",
        },
        "rounds": {"default": Options.rounds, "help": "new processes per side"},
        "pairs": {"default": Options.pairs, "help": "samples in each"},
        "output": {"type": Path, "help": "append the table to this file as well"},
    }
    parser = parser_of(gate.__doc__, options)
    parser.add_argument("base", help="commit, or directory that holds fastgmm/")
    parser.add_argument("head", help="likewise; . is the present checkout")
    return parser


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
    except GateError as error:
        fail(str(error))
    except OSError as error:  # a full disk, most likely
        fail(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        fail("interrupted")
    except Exception:
        fail(f"the gate itself failed\n{traceback.format_exc()}")
    finally:
        signal.signal(signal.SIGTERM, before)


def tell(progress: str) -> None:
    """Say what runs, apart from the table."""
    print(f"gate: {progress}", file=sys.stderr, flush=True)


def fail(message: str) -> NoReturn:
    """Tell why there is no answer, and end with the exit code that says so."""
    tell(f"no answer: {message}")
    raise SystemExit(NO_ANSWER)


if __name__ == "__main__":
    main()
