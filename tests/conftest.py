"""Fixtures for all tests."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def one_thread_for_scikit_learn():
    """Keep OpenMP and BLAS, which only scikit-learn's side of a comparison uses, to one thread.

    Fits of a hundred rows take milliseconds on one thread and up to a hundred times that
    when two thread pools compete for few cores. fastgmm's own threads are not affected.
    """
    with threadpool_limits(1):
        yield
