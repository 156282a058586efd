"""Fits of few rows of many features, which soon share out the rows as before.

Of so many features hardly a row belongs to two components: responsibilities are zeros and ones, and
those of one iteration are those of the next. So is the mixture that follows from them then, and no
iteration need make it again.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fastgmm.em_step import Model
from fastgmm.estimator.spaces import Space
from fastgmm.parameters import Parameters
from fastgmm.passes import Pass
from fastgmm.passes.wide import WidePass
from fastgmm.starts import AboutMeans, SingleRows, Start


class _Point(NamedTuple):
    """Parameters, and the responsibilities that they were made under.

    `shares` is None where they were made otherwise, `bound` until iterations leave all as it is.
    """

    parameters: Parameters
    shares: np.ndarray | None
    bound: float | None = None


class Settling(Space):
    """That of all features, where a mixture stays as it is once responsibilities do.

    Parameters
    ----------
    given : Pass
        That starts are about.
    rows : WidePass
        Over the same rows.
    model : Model
        Whose mixtures follow from responsibilities alone.
    n_components : int
    mended : sequence
        What a recovery from failures has changed so far; it grows.
    """

    rows: WidePass

    def __init__(
        self,
        given: Pass,
        rows: WidePass,
        model: Model,
        n_components: int,
        mended: Sequence[Any],
    ):
        self._n_components, self._mended = n_components, mended
        self._given, self.rows, self._model = given, rows, model

    def drawn(self, source):
        return source

    def placed(self, starts):
        for rows, start in starts:
            if rows is self._given:
                yield self.rows, self._about_means(start)
            else:
                yield rows, start

    def _about_means(self, start: Start) -> Start:
        """The same start, with means that take less than a first look at second moments would."""
        if isinstance(start, SingleRows) or start.in_order:
            return start
        return AboutMeans(start, self.rows.means_under(start, self._n_components))

    def starts(self, parameters):
        before = len(self._mended)
        for first in parameters:
            shares, self.rows.given_shares = self.rows.given_shares, None
            yield self._point(first, shares, before)
            before = len(self._mended)

    def _point(self, parameters: Parameters, shares: np.ndarray | None, before: int) -> _Point:
        return _Point(parameters, shares if len(self._mended) == before else None)

    def step(self, step):
        total_weight = self.rows.total_weight / self.rows.weight_scale

        def iterate(point: _Point, running: Any) -> tuple[_Point, Any]:
            if point.bound is not None:
                return point, point.bound
            log_likelihood, shares = self.rows.shared_out(self._model.operands(point.parameters))
            if point.shares is not None and np.array_equal(shares, point.shares):
                point = point._replace(bound=log_likelihood / total_weight)
                return point, point.bound
            before = len(self._mended)
            parameters, bound = step(point.parameters, running)
            return self._point(parameters, shares, before), bound

        return iterate

    def whole(self, result):
        return replace(result, parameters=result.parameters.parameters)
