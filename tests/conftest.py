"""Fixtures for all tests."""

import contextlib
import gc
import os
import signal

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

# The same examples in every run, and no time limit: the first example may compile a kernel.
settings.register_profile("fastgmm", derandomize=True, deadline=None)
settings.load_profile("fastgmm")

# Many tests start processes, each of which would translate the sources anew: that takes longer than
# to import them. Compiled kernels are kept beside the sources, too.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What a shell starts in the background ignores Ctrl-C, and so would the processes that tests
# interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Let the order of tests decide which modules are begun first, not how many tests they have."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Begin with modules that take long, or one process would end with them and others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep packages and tests, which stay to the end, out of what the collector looks through."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


_MANY = 3000
"""Tests that need most kernels."""


@pytest.fixture(scope="session", autouse=True)
def kernels(request, tmp_path_factory):
    """Let the processes of a long run share the work of compiling: each group is made by one.

    They begin with much the same tests, and would else compile the same kernels side by side. One
    takes groups from the first on and the other from the last on, so that what groups of a type of
    numbers have in common is mostly compiled once, too.
    """
    process = os.environ.get("PYTEST_XDIST_WORKER", "")
    if request.session.testscollected < _MANY or not process:
        return
    from fastgmm.kernels.every import every_kernel

    claims = tmp_path_factory.getbasetemp().parent
    order = 1 if int(process.removeprefix("gw")) % 2 else -1
    for name, make in list(every_kernel())[::order]:
        with contextlib.suppress(FileExistsError):
            (claims / f"kernels of {name}").touch(exist_ok=False)
            make()


@pytest.fixture(scope="session", autouse=True)
def one_thread_for_scikit_learn():
    """Keep OpenMP and BLAS, which only scikit-learn's side of a comparison uses, to one thread.

    Its sums then have one order. Fits of a hundred rows take milliseconds on one thread and up to
    a hundred times that when two thread pools compete for few cores. fastgmm's own threads are not
    affected.
    """
    with threadpool_limits(1):
        yield
