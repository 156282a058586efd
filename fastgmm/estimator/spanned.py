"""Fits of fewer rows than features, in the space that the rows span.

Means and covariances lie in it, but for the regularisation, which is all that a covariance has in
other directions. So EM goes on in as many coordinates as there are rows, and all that the others
add to log-densities is a constant. The mixture that it ends with is made of the rows themselves,
under the responsibilities of its last iteration.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fastgmm.covariance import blas
from fastgmm.em_start import estimates_of_shares
from fastgmm.em_step import Model
from fastgmm.engines.base import Engine
from fastgmm.estimator.spaces import Space
from fastgmm.parameters import LOG_TWO_PI, Parameters
from fastgmm.passes import Pass, open_pass
from fastgmm.passes.wide import shared_out_to, weighted_means
from fastgmm.sources.array import array_source
from fastgmm.sources.base import Chunk
from fastgmm.starts import AboutMeans, GivenResponsibilities, SingleRows, Start


class _Point(NamedTuple):
    """Parameters, and those whose responsibilities they were made of; none in a start."""

    parameters: Parameters
    before: Parameters | None


class Spanned(Space):
    """That of the rows, in coordinates of their own.

    Parameters
    ----------
    rows : Pass
        Over them as they are.
    chunk : Chunk
        All of them.
    model : Model
    engine : Engine
    n_components : int
    """

    def __init__(self, rows: Pass, chunk: Chunk, model: Model, engine: Engine, n_components: int):
        self._whole, self._chunk, self._model = rows, chunk, model
        self._coordinates = blas.coordinates(chunk.rows.astype(np.float64, copy=False))
        weights = chunk.weights if len(chunk.weights) else None
        self._source = array_source(self._coordinates, weights)
        self.rows = open_pass(self._source, model.structure.forms, engine, n_components)
        n, d = chunk.rows.shape
        self._beside = -0.5 * (d - n) * (LOG_TWO_PI + np.log(model.reg_covar))

    def drawn(self, source):
        return self._source

    def placed(self, starts):
        return ((self.rows, self._start(start)) for _, start in starts)

    def _start(self, start: Start) -> Start:
        if not isinstance(start, SingleRows):
            return start
        X = self._chunk.rows
        numbers = [np.flatnonzero((row == X).all(axis=1))[0] for row in start.rows]
        return SingleRows(self._coordinates[numbers])

    def starts(self, parameters):
        return (_Point(first, None) for first in parameters)

    def step(self, step):
        def iterate(point: _Point, running: Any) -> tuple[_Point, Any]:
            parameters, bound = step(point.parameters, running)
            return _Point(parameters, point.parameters), bound + self._beside

        return iterate

    def whole(self, result):
        operands = self._model.operands(result.parameters.before)
        _, shares = shared_out_to(operands, self._coordinates)
        means = weighted_means(self._chunk, shares)
        given = AboutMeans(GivenResponsibilities(shares), means)
        estimates = estimates_of_shares(self._whole, given, self._model, len(means))
        return replace(result, parameters=self._model.family.maximize(estimates))
