"""fastgmm."""

import fastgmm
from benchmarks.peers.adapters.scikit_learn import prepare_with
from benchmarks.peers.problem import Problem, Run


def prepare(problem: Problem) -> Run:
    """For fastgmm."""
    return prepare_with(fastgmm, problem, n_jobs=problem.threads)
