"""`benchmarks.peers`: libraries go the same way, and the table says which cannot."""

import importlib
import json

import numpy as np
import pytest

from benchmarks.peers import problem
from benchmarks.peers.__main__ import main
from benchmarks.peers.processes import Outcome, Settings, compare
from benchmarks.peers.registry import ESTIMATORS, OURS, PEERS, STRUCTURES
from benchmarks.peers.table import Result, tables
from tests.systems import linux_only

SHAPE = (600, 3, 2)
CASES = [
    pytest.param(peer, structure, estimator, id=f"{peer.name}-{structure}-{estimator}")
    for peer in PEERS.values()
    for structure in STRUCTURES
    for estimator in ESTIMATORS
    if peer.name != OURS and peer.version() and peer.fits(structure, estimator)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("problem")
    for structure in STRUCTURES:
        problem.write(path, SHAPE, structure)
    return path


def prepared(peer, posed):
    return importlib.import_module(f"benchmarks.peers.adapters.{peer.adapter}").prepare(posed)


@pytest.mark.parametrize(("peer", "structure", "estimator"), CASES)
def test_every_library_goes_the_same_way(folder, peer, structure, estimator):
    posed = problem.read(folder, structure, estimator, threads=1)
    ours, theirs = prepared(PEERS[OURS], posed), prepared(peer, posed)
    for iterations in (1, 4):
        expected, got = ours(iterations), theirs(iterations)
        tolerance = 1e-6 if got.dtype == np.float64 else 1e-3
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)
    assert not np.allclose(ours(1), ours(4), rtol=0, atol=1e-3), "nothing moves in this problem"


@linux_only
def test_processes_are_timed_and_agree(capsys):
    options = "--shapes 5e3,3,2 --structures full --peers scikit-learn --threads 1 --repeats 2"
    main([*options.split(), "--json"])
    (result,) = json.loads(capsys.readouterr().out)["results"]
    theirs = result["outcomes"]["scikit-learn"]
    assert len(theirs["samples"]) == 2
    assert all(np.isfinite(theirs["samples"]))
    assert theirs["means_difference"] < 1e-12
    assert theirs["agrees"]


@linux_only
@pytest.mark.parametrize(
    ("change", "error"),
    [({"timeout": 1e-3}, "over 0.001 s"), ({"memory": 1 << 20}, "")],
    ids=["too slow", "too large"],
)
def test_a_library_that_fails_says_so(folder, change, error):
    settings = Settings(
        **{"repeats": 1, "first": 1, "last": 2, "timeout": 60, "memory": 1 << 36} | change
    )
    outcome = compare([OURS], folder, ("full", "gaussian", 1), settings)[OURS]
    assert outcome.seconds is None
    assert outcome.error.startswith(error)


def test_failures_and_differences_stand_in_the_table():
    outcomes = {
        OURS: Outcome(seconds=0.002),
        "scikit-learn": Outcome(seconds=0.05, agrees=False),
        "oneDAL": Outcome(error="RuntimeError: ill-conditioned | covariance " + 100 * "x"),
    }
    results = [Result(SHAPE, each, "gaussian", 1, outcomes) for each in ("full", "spherical")]
    columns = [PEERS[name] for name in (*outcomes, "tgmm")]
    full, spherical = tables(results, columns, markdown=True).split("\n\n### spherical")
    assert full.startswith("### full covariance, gaussian, 1 thread each")
    assert "| 2.00 ms | 25.0x * | RuntimeError: ill-conditioned / covariance" in full
    assert full.endswith("… | not installed |")
    assert spherical.endswith("| 2.00 ms | 25.0x * | - | not installed |")
    assert len(set(map(len, tables(results[:1], columns, markdown=False).splitlines()[1:]))) == 1


@linux_only
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--shapes 1e6,2", "'1e6,2' is not N,D,K"),
        ("--shapes 5,2,3", "need D, K >= 1 and N >= 10 K"),
        ("--repeats none", "'none' is not a whole number from 1"),
        ("--iterations 6 6", "need FIRST < LAST"),
        ("--threads 100000", "this process may use"),
        ("--timeout 0", "--timeout"),
        ("--memory -1", "--memory"),
        ("--peers armadillo", "armadillo"),
    ],
)
def test_bad_arguments_end_with_a_line(capsys, options, complaint):
    with pytest.raises(SystemExit) as ended:
        main(options.split())
    assert ended.value.code == 2
    _usage, line = capsys.readouterr().err.splitlines()
    assert complaint in line
