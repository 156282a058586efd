"""`benchmarks.peers`: libraries go the same way, and the table says which cannot."""

import json

import numpy as np
import pytest

from benchmarks.command import Table
from benchmarks.peers.__main__ import compare, main, told
from benchmarks.peers.libraries import PEERS, Posed
from benchmarks.suite.calls import ESTIMATORS, OURS
from benchmarks.suite.problems import STRUCTURES
from tests.systems import linux_only

SHAPE = "600x3x2"
CASES = [
    pytest.param(peer, structure, estimator, id=f"{name}-{structure}-{estimator}")
    for name, peer in PEERS.items()
    for structure in STRUCTURES
    for estimator in ESTIMATORS
    if name != OURS and peer.lacks(structure, estimator) is None
]


@pytest.mark.filterwarnings("ignore")  # as in the worker; the table says what failed
@pytest.mark.parametrize(("peer", "structure", "estimator"), CASES)
def test_every_library_goes_the_same_way(peer, structure, estimator):
    posed = Posed(SHAPE, structure, estimator, threads=1)
    ours, theirs = PEERS[OURS].prepare(posed), peer.prepare(posed)
    means = {n: (ours(n), theirs(n)) for n in (1, 4)}
    for expected, got in means.values():
        tolerance = 1e-6 if got.dtype == np.float64 else 1e-3
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)
    moved = means[1][0] - means[4][0]
    assert not np.allclose(moved, 0, atol=1e-3), "nothing moves in this problem"


@linux_only
def test_processes_are_timed_and_agree(capsys):
    options = "--shapes 5e3,3,2 --structures full --peers scikit-learn --threads 1 --repeats 2"
    main([*options.split(), "--json"])
    (result,) = json.loads(capsys.readouterr().out)["records"]
    ours, theirs = result["outcomes"]
    assert (ours["library"], theirs["library"]) == (OURS, "scikit-learn")
    assert len(theirs["samples"]) == 2
    assert all(np.isfinite(theirs["samples"]))
    assert theirs["means_differ"] < 1e-12
    assert theirs["agrees"]


@linux_only
@pytest.mark.parametrize(
    ("change", "error"),
    [({"timeout": 1e-3}, "the process took over 0.001 s"), ({"memory": 1 << 20}, "")],
    ids=["too slow", "too large"],
)
def test_a_library_that_fails_says_so(change, error):
    outcome = compare([OURS], (SHAPE, "full", "GaussianMixture", 1), repeats=1, **change)[OURS]
    assert np.isnan(outcome["seconds"])
    assert outcome["error"].startswith(error)


def test_failures_and_differences_stand_in_the_table(capsys):
    fine = {"seconds": 0.002, "error": None, "agrees": True}
    outcomes = {
        OURS: fine,
        "scikit-learn": {**fine, "seconds": 0.05, "agrees": False},
        "oneDAL": {**fine, "error": "RuntimeError: ill-conditioned | covariance " + 100 * "x"},
    }
    Table().print({name: told(name, outcomes) for name in outcomes})
    row = capsys.readouterr().out.splitlines()[-1]
    assert [cell.strip() for cell in row.split("|")] == [
        "",
        "2",
        "25.0x *",
        "RuntimeError: ill-conditioned / covariance …",
        "",
    ]


@linux_only
def test_more_threads_than_cores_are_refused():
    with pytest.raises(SystemExit, match="this process may use"):
        main(["--threads", "100000"])


@linux_only
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--shapes 1e6,2", "'1e6,2' is not N,D,K"),
        ("--shapes 5,2,3", "need D, K >= 1 and N >= 10 K"),
        ("--repeats none", "'none' is not a whole number from 1"),
        ("--iterations 6 6", "need FIRST < LAST"),
        ("--peers armadillo", "armadillo"),
    ],
)
def test_bad_arguments_end_with_a_line(capsys, options, complaint):
    with pytest.raises(SystemExit) as ended:
        main(options.split())
    assert ended.value.code == 2
    _usage, line = capsys.readouterr().err.splitlines()
    assert complaint in line
