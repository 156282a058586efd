"""Fits of fewer rows than features, in the space that the rows span.

Means and covariances lie in it, but for the regularisation, which is all that a covariance has in
other directions. So EM goes on in as many coordinates as there are rows, and all that the others
add to log-densities is a constant. The mixture that it ends with is made of the rows themselves,
under the responsibilities of its last iteration.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fastgmm.covariance import blas
from fastgmm.em_start import estimates_of_shares
from fastgmm.em_step import Model
from fastgmm.engines.base import Engine
from fastgmm.estimator.settling import Settling
from fastgmm.estimator.spaces import AsGiven, Space
from fastgmm.parameters import LOG_TWO_PI
from fastgmm.passes import Pass, open_pass
from fastgmm.passes.wide import WidePass, weighted_means
from fastgmm.sources.array import array_source
from fastgmm.sources.base import Chunk
from fastgmm.starts import AboutMeans, GivenResponsibilities, SingleRows, Start

_LEAST_SETTLING = 96
"""Coordinates from which on iterations that may end with the responsibilities take less."""


class _Point(NamedTuple):
    """Parameters, and those whose responsibilities they were made of; none in a start.

    They are what the space within goes on from.
    """

    parameters: Any
    before: Any


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
    mended : sequence
        See `Settling`.
    """

    def __init__(
        self,
        rows: Pass,
        chunk: Chunk,
        model: Model,
        engine: Engine,
        n_components: int,
        mended: Sequence[Any],
    ):
        self._whole, self._chunk, self._model = rows, chunk, model
        self._coordinates = blas.coordinates(chunk.rows.astype(np.float64, copy=False))
        weights = chunk.weights if len(chunk.weights) else None
        self._source = array_source(self._coordinates, weights)
        forms = model.structure.forms
        self._given = given = open_pass(self._source, forms, engine, n_components)
        self._wide = WidePass(given, self._source, forms)
        self._within: Space = AsGiven(given)
        n, d = chunk.rows.shape
        if n >= _LEAST_SETTLING:
            self._within = Settling(given, self._wide, model, n_components, mended)
        self.rows = self._within.rows
        self._beside = -0.5 * (d - n) * (LOG_TWO_PI + np.log(model.reg_covar))

    def drawn(self, source):
        return self._source

    def placed(self, starts):
        return self._within.placed((self._given, self._start(start)) for _, start in starts)

    def _start(self, start: Start) -> Start:
        if not isinstance(start, SingleRows):
            return start
        X = self._chunk.rows
        numbers = [np.flatnonzero((row == X).all(axis=1))[0] for row in start.rows]
        return SingleRows(self._coordinates[numbers])

    def starts(self, parameters):
        return (_Point(first, None) for first in self._within.starts(parameters))

    def step(self, step):
        step = self._within.step(step)

        def iterate(point: _Point, running: Any) -> tuple[_Point, Any]:
            parameters, bound = step(point.parameters, running)
            return _Point(parameters, point.parameters), bound + self._beside

        return iterate

    def whole(self, result):
        before = self._within.whole(replace(result, parameters=result.parameters.before))
        _, shares = self._wide.shared_out(self._model.operands(before.parameters))
        means = weighted_means(self._chunk, shares)
        given = AboutMeans(GivenResponsibilities(shares), means)
        estimates = estimates_of_shares(self._whole, given, self._model, len(means))
        return replace(result, parameters=self._model.family.maximize(estimates))
