"""Where EM starts: parameters from what a start says of the rows."""

from collections.abc import Callable, Iterator
from itertools import islice, repeat
from typing import Any

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import of_features
from fastgmm.covariance.estimates import EMPTY_GUARD, Estimates, estimate
from fastgmm.em_step import Model, check_defined
from fastgmm.parameters import Parameters
from fastgmm.passes import Pass
from fastgmm.records import selected
from fastgmm.starts import (
    AboutMeans,
    Known,
    KnownShares,
    LabelledRows,
    Shares,
    SingleRows,
    Start,
    WithoutRows,
)
from fastgmm.statistics import MomentForm, SufficientStatistics

_FARTHEST_APART = 1e4
"""Distance of means, in deviations within components, from which a difference loses digits."""

StartStep = Callable[[Model, Estimates, Any], Parameters]
"""M-step of a start, from estimates and the weight of the rows behind them."""


def refuse_start(model: Model, estimates: Estimates, total_weight: Any) -> Parameters:
    """M-step of a start that raises if a covariance is singular to rounding.

    Raises
    ------
    ValueError
        In scikit-learn's words.
    """
    parameters = model.family.start(estimates, total_weight)
    check_defined(model, parameters)
    return parameters


def pooled_estimates(rows: Pass, structure: CovarianceStructure) -> Estimates:
    """Estimates from all rows as one component, without regularisation.

    Parameters
    ----------
    rows : Pass
    structure : CovarianceStructure
    """
    everything = LabelledRows(np.broadcast_to(np.int64(0), int(np.sum(rows.n_rows))), 1)
    statistics = rows.given(everything, rows.centre()[..., np.newaxis, :])
    return estimate(statistics, structure, 0.0)


def first_parameters(
    model: Model,
    starts: Iterator[tuple[Pass, Start]],
    n_components: int,
    n_init: int,
    m_step: StartStep,
) -> Iterator[Parameters]:
    """First parameters of restarts, made when they are asked for.

    Parameters
    ----------
    model : Model
    starts : iterator of (Pass, Start)
        With the rows that each start is about. Not touched when the family needs none.
    n_components, n_init : int
    m_step : callable
        `refuse_start`, or another that deals with covariances that are singular to rounding.
    """
    settled = model.family.first_parameters()
    if settled is not None:
        yield from repeat(settled, n_init)
        return
    for rows, start in islice(starts, n_init):
        total_weight = rows.total_weight / rows.weight_scale
        if isinstance(start, SingleRows):
            statistics = _of_single_rows(rows, start, model.structure, total_weight)
            estimates = model.estimate(statistics)
        else:
            estimates = estimates_of_shares(rows, start, model, n_components)
        yield m_step(model, estimates, total_weight)


def known_rows(rows: Pass, labels: np.ndarray, n_components: int) -> Known:
    """What labels (n,) say of a start: the means of the labelled rows, NaN where there are none."""
    about = np.repeat(rows.centre()[np.newaxis], n_components, axis=0)
    statistics = rows.given(KnownShares(labels, n_components), about)
    with np.errstate(invalid="ignore"):
        means = statistics.reference + statistics.first / statistics.weight[:, np.newaxis]
    return Known(labels, means)


def estimates_of_shares(rows: Pass, start: Shares, model: Model, n_components: int) -> Estimates:
    """Estimates from all rows, under given responsibilities.

    Parameters
    ----------
    rows : Pass
    start : Shares
    model : Model
    n_components : int
    """
    if isinstance(start, AboutMeans):
        about = start.means
    else:
        about = np.repeat(rows.centre()[..., np.newaxis, :], n_components, axis=-2)
    # Where some rows are left out, the scatter of all of them is no help.
    careful = isinstance(start, WithoutRows)
    statistics = rows.given(start, about, careful)
    if start.in_order:
        return model.estimate(statistics)
    weight = statistics.weight + EMPTY_GUARD
    means = statistics.reference + statistics.first / weight[..., np.newaxis]
    if statistics.form is not MomentForm.NONE:
        if isinstance(start, AboutMeans):
            return model.estimate(statistics)
        # Second moments are accurate about the means themselves, so a second pass follows.
        return model.estimate(rows.given(start, means, careful))
    estimates = model.estimate(statistics)
    # The scatter within is that of all rows less that of the means, which may be as large.
    apart = (means.max(axis=-2) - means.min(axis=-2)) ** 2
    within = of_features(model.structure, estimates.covariances)[..., 0, :]
    far = (apart > _FARTHEST_APART**2 * within).any(axis=-1)
    if far.any():
        again = model.estimate(rows.given(start, means, careful=True))
        estimates = selected(far, again, estimates)
    return estimates


def _of_single_rows(
    rows: Pass, start: SingleRows, structure: CovarianceStructure, total_weight: Any
) -> SufficientStatistics:
    """Of one row per component, each of the mean weight: no spread but the regularisation."""
    form, reference = MomentForm(structure.forms.moments), np.asarray(start.rows, np.float64)
    weight = np.expand_dims(total_weight / rows.n_rows, -1)
    statistics = SufficientStatistics.of_points(form, reference, weight)
    if form is not MomentForm.NONE:
        return statistics
    # The scatter of all rows about zero, divided among these few: what scikit-learn starts from,
    # and so what gives its results.
    return statistics.with_scatter(rows.total_scatter.about_zero())
