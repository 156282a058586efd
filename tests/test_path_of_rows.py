"""How many files a reader opens who follows X through fit, to the kernel of the E-step."""

import sys
from pathlib import Path

import numpy as np

import fastgmm
from fastgmm import GaussianMixture
from fastgmm.estimator.rows import FitRows
from fastgmm.passes.dense import DensePass, SumsOfChunks
from fastgmm.sources.array import ArrayReader
from fastgmm.sources.base import Chunk, RowSource
from fastgmm.sources.reader import RowReader

PACKAGE = Path(fastgmm.__file__).parent

PATH = {
    "estimator/base.py",
    "estimator/fitting.py",
    "estimator/rows.py",
    "sources/array.py",
    "sources/base.py",
    "passes/opening.py",
    "passes/dense.py",
}

#: Where rows get to: a source and a pass are made of them, chunks are read, and a kernel is called.
STATIONS = {
    *(ArrayReader.__init__.__code__, RowSource.__init__.__code__, DensePass.__init__.__code__),
    *(ArrayReader.read.__code__, RowSource.read.__code__, SumsOfChunks.of_stretch.__code__),
}


def files_that_hand_on(X, fit):
    """Files of the functions that have X, or what reads its rows, when these get to a station.

    A pass has rows for itself alone: who asks it for statistics knows of none.
    """
    files, stations = set(), set()

    def has_rows(frame):
        code, known = frame.f_code, frame.f_locals
        values = [known.get(name) for name in code.co_varnames[: code.co_argcount]]
        values += [known.get(name) for name in code.co_freevars]
        of_rows = (RowReader, RowSource, FitRows, Chunk)
        return isinstance(known.get("self"), DensePass) or any(
            value is X or isinstance(value, of_rows) for value in values
        )

    def watch(frame, event, _):
        if event != "call" or frame.f_code not in STATIONS:
            return
        stations.add(frame.f_code)
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(PACKAGE) and has_rows(frame):
                files.add(path.relative_to(PACKAGE).as_posix())
            frame = frame.f_back

    sys.setprofile(watch)
    try:
        fit()
    finally:
        sys.setprofile(None)
    assert stations == STATIONS
    return files


def test_rows_are_handed_on_by_seven_files():
    """Of a fit that begins with the E-step, as it goes on from another."""
    X = np.random.RandomState(0).normal(size=(100_000, 2))
    model = GaussianMixture(2, tol=10, init_params="random_from_data", warm_start=True, n_jobs=1)
    model.fit(X)
    assert files_that_hand_on(X, lambda: model.fit(X)) == PATH
