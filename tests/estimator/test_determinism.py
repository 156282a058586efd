"""The same bits for any number of threads, in any process, from run to run.

Each scenario of ``digests.py`` runs in a process of its own, since what goes wrong with
threads and forks aborts a process or hangs it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.estimator.digests import SCENARIOS

ROOT = Path(__file__).parents[2]
TIMEOUT = 240

pytestmark = pytest.mark.compiled_only


def run(scenario):
    """What a scenario prints, from a new process that finds the same packages as this one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    finished = subprocess.run(
        [sys.executable, "-c", "from tests.estimator.digests import main; main()", scenario],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.fixture(scope="module")
def expected():
    """One thread, one process."""
    (digest,) = run("n_jobs 1")
    return digest


@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"number of threads"}))
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
