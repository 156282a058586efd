"""Functions that run in a process of their own, which has done nothing before.

Where processes may fork, each is forked from one that has imported scikit-learn and Numba and has
done nothing else, because importing these takes longer than all else that most such tests do.
"""

import multiprocessing
import os
import sys
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor
from types import SimpleNamespace

from tests.systems import START_METHOD

TIMEOUT = 240

CONTEXT = multiprocessing.get_context("forkserver" if START_METHOD == "fork" else "spawn")
PRELOADED = ["sklearn.mixture", "numba"]
CONTEXT.set_forkserver_preload(PRELOADED)


def in_new_process(function, *arguments):
    """What a function returns there; what it raises, it raises here.

    Parameters
    ----------
    function : callable
        Which a module has by its name.
    *arguments
        What pickles.
    """
    usual = multiprocessing.get_start_method()
    with ProcessPoolExecutor(1, mp_context=CONTEXT) as process:
        return process.submit(_call, usual, function, arguments).result(TIMEOUT)


def _call(start_method, function, arguments):
    """Processes that the function starts begin as if this one had been started by hand."""
    multiprocessing.set_start_method(start_method, force=True)
    return function(*arguments)


def execute(code, folder):
    """Run code in a folder, in the main module of this process."""
    os.chdir(folder)
    exec(code, vars(sys.modules["__main__"]))


def command_line(arguments, environment, stdin=b""):
    """The exit code of the command line, and what it wrote.

    Parameters
    ----------
    arguments : list
    environment : dict
    stdin : bytes, optional
        Put into a pipe.
    """
    found = in_new_process(_command_line, list(map(str, arguments)), environment, stdin)
    return SimpleNamespace(**dict(zip(("returncode", "stdout", "stderr"), found, strict=True)))


def _command_line(arguments, environment, stdin):
    outputs = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115
    for number, output in enumerate(outputs, 1):
        os.dup2(output.fileno(), number)
    reader, writer = os.pipe()
    os.dup2(reader, 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    threading.Thread(target=_write_all, args=(writer, stdin), daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # looked for anew
    sys.argv = ["fastgmm", *arguments]
    from fastgmm.cli import main

    try:
        main()
        code = 0
    except SystemExit as error:
        code = error.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    for output in outputs:
        output.seek(0)
    return code, *(output.read() for output in outputs)


def _write_all(writer, content):
    with open(writer, "wb") as pipe:
        pipe.write(content)
