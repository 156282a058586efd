"""The benchmarks: what asv is told, what the gate finds, what the report shows."""

import io
from contextlib import redirect_stderr, redirect_stdout


def run(main, *options):
    """Exit code, output and messages of a command."""
    code, output, messages = 0, io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(messages):
        try:
            main([str(option) for option in options])
        except SystemExit as ended:
            code = ended.code
    return code, output.getvalue(), messages.getvalue()
