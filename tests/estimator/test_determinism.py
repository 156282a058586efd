"""The same bits for any number of threads, in any process, from run to run.

Each scenario of ``digests.py`` runs in a process of its own, since what goes wrong with
threads and forks aborts a process or hangs it.
"""

import pytest

from tests.estimator import digests
from tests.estimator.digests import SCENARIOS
from tests.fresh import in_new_process

pytestmark = pytest.mark.compiled_only


def run(scenario):
    return in_new_process(digests.run, scenario)


@pytest.fixture(scope="module")
def expected():
    """One thread, one process."""
    (digest,) = run("one thread")
    return digest


@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"one thread", "number of threads"}))
def test_the_same_bits(scenario, expected):
    results = run(scenario)
    assert results
    for result in results:
        assert result == expected


def test_different_data_have_different_digests(expected):
    assert len(set(expected.values())) == len(expected)


def test_threads_are_used_where_they_are_allowed():
    """Otherwise the scenarios above would show nothing."""
    with_one, with_eight = run("number of threads")
    assert with_one == 1
    assert with_eight > 1
