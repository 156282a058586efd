"""The other end of `processes.Worker`: calls functions for the process that has started this one.

A line of standard input names a function and has its arguments; a line of standard output has what
it returned or raised.
"""

import json
import os
import sys
import traceback
from importlib import import_module
from typing import Any


def imported_from(package: str) -> str | None:
    """The file that ``import package`` finds."""
    return import_module(package).__file__


def main() -> None:
    """Answer until there are no more requests."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else prints, prints messages
    for line in sys.stdin:
        module, name, arguments = json.loads(line)
        answer: dict[str, Any] = {"value": None, "raised": None}
        try:
            answer["value"] = getattr(import_module(module), name)(*arguments)
        except Exception as error:
            answer["raised"] = [type(error).__name__, str(error), traceback.format_exc()]
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
