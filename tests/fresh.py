"""Functions that run in a process of their own, which has done nothing before.

Where processes may fork, each is forked from one that has imported scikit-learn and Numba and has
done nothing else, because importing these takes longer than all else that most such tests do.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.systems import START_METHOD

TIMEOUT = 240

CONTEXT = multiprocessing.get_context("forkserver" if START_METHOD == "fork" else "spawn")
CONTEXT.set_forkserver_preload(["sklearn.mixture", "numba"])


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
