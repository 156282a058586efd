"""What the systems differ in: marks for tests that need one of them, and limits to run into."""

import contextlib
import os
import shutil
import signal
import sys

import numpy as np
import pytest

unix_only = pytest.mark.skipif(
    os.name == "nt", reason="devices, links, signals and limits are those of Unix"
)
needs_shell = pytest.mark.skipif(
    shutil.which("sh") is None, reason="the shell of Unix closes the streams"
)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="what it looks at is Linux's own")

#: How a child process begins. On a Mac the system's own libraries may crash in a forked one.
START_METHOD = "fork" if sys.platform == "linux" else "spawn"
needs_fork = pytest.mark.skipif(START_METHOD != "fork", reason="no process should fork here")

with np.errstate(over="ignore"):
    #: Infinity where long double is no wider than float64, as on ARM Macs and on Windows.
    BEYOND_FLOAT64 = 2 * np.longdouble(np.finfo(np.float64).max)


@contextlib.contextmanager
def largest_file(n_bytes):
    """No file of this process may become larger; a write beyond fails as on a full disk."""
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
