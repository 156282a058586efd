"""Cells of few rows, whose fits run side by side in compiled code."""

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastgmm.batch.fits import is_plain
from fastgmm.covariance import STRUCTURES
from fastgmm.em import EMResult
from fastgmm.em_step import Model
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.fitting import fitted_attributes, keep
from fastgmm.estimator.rows import FitRows
from fastgmm.families.maximum_likelihood import GivenParameters, MaximumLikelihood
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.selection.cell import Cell, Deferred, Key, criteria, n_parameters_of, status_of
from fastgmm.selection.plan import Plan, name_of_start
from fastgmm.selection.starts import SharedStarts
from fastgmm.sklearn_interface import underflow_is_zero
from fastgmm.small_fits import SmallFits, is_small, iteration_of
from fastgmm.starts import LabelledRows

_MOST_NUMBERS = 1 << 16
"""In the rows, up to which the fits of a structure are not shared out among threads."""


class _Fit(NamedTuple):
    """Fit number `place` of some that run side by side, from a start of the plan."""

    fits: SmallFits
    place: int
    key: Key
    start: str


class Together:
    """The fits of a search that compiled code can make.

    Parameters
    ----------
    plan : Plan
    data : FitRows
    starts : SharedStarts
    template : MixtureEstimator
        That has seen the names of the features.
    """

    def __init__(self, plan: Plan, data: FitRows, starts: SharedStarts, template: Any):
        self._plan, self._data, self._starts, self._template = plan, data, starts, template
        self._fits: dict[tuple[Key, str], _Fit] = {}
        self._is_possible = self._plan.share_starts is True and self._is_plain()

    def _is_plain(self) -> bool:
        data, model = self._data, self._template
        given = (data.tally, data.labels, data.noise, getattr(model, "means_init", None))
        return (
            type(model) is GaussianMixture
            and is_plain(model)
            and data.arrays is not None
            and data.arrays[1] is None
            and data.arrays[0].dtype == np.float64
            and all(part is None for part in given)
            and isinstance(model.reg_covar, (int, float))
            and model.reg_covar > 0
            and model.max_iter > 0
            and model.missing_values == "error"
            and self._plan.n_init == 1
            and not model.warm_start
            and all(isinstance(start, str) for start in self._plan.starts)
        )

    def cells(
        self,
        keys: list[Key],
        tol: float,
        engine: ThreadEngine,
        known: dict[Key, Cell],
        stop: threading.Event,
    ) -> Iterator[list[Cell]]:
        """For those of the cells that are made here, one for every start; without scores.

        Parameters
        ----------
        keys, tol, engine, known
            See `CellFits.side_by_side`.
        stop : Event
        """
        if not self._is_possible:
            return
        fresh = [key for key in keys if key not in known]
        work = self._begun(fresh, engine)
        batches: dict[int, list[_Fit]] = {}
        for key in keys:
            if key in known:
                fit = self._fits.get((key, known[key].start))
                if fit is not None:
                    batches.setdefault(id(fit.fits), []).append(fit)
        work += batches.values()
        made: dict[Key, dict[str, Cell | None]] = {key: {} for key in keys}

        @underflow_is_zero
        def run(number: int) -> None:
            batch, began = work[number], time.perf_counter()
            fits = batch[0].fits
            fits.run(tol, [fit.place for fit in batch], stop)
            seconds = (time.perf_counter() - began) / len(batch)
            for fit in batch:
                left = fits.doubtful[fit.place]
                made[fit.key][fit.start] = None if left else self._cell(fit, tol, seconds)

        if work:
            engine.for_each(run, len(work))
        for found in made.values():
            cells = [found[start] for start in self._plan.starts if start in found]
            whole = [cell for cell in cells if cell is not None]
            if whole and len(whole) == len(cells):
                yield whole

    def _begun(self, keys: list[Key], engine: ThreadEngine) -> list[list[_Fit]]:
        """Fits that have their starts, in batches for the threads."""
        rows, model = self._data.arrays[0], self._template  # type: ignore[index]
        n, d = rows.shape
        small = [key for key in keys if is_small(STRUCTURES[key[1]], n, key[0], d)]
        starts = self._labelled(sorted({k for k, _ in small}, reverse=True), engine)
        parts = engine.n_threads if rows.size > _MOST_NUMBERS else 1
        batches: list[list[_Fit]] = []
        for name in dict.fromkeys(name for _, name in small):
            able = [pair for pair in starts if (pair[0], name) in small]
            for part in range(parts):
                pairs = able[part::parts]
                if not pairs:
                    continue
                fits = SmallFits(
                    rows,
                    STRUCTURES[name],
                    [k for k, _ in pairs],
                    [starts[pair] for pair in pairs],
                    model.reg_covar,
                    model.max_iter,
                    iteration_of(STRUCTURES[name], d),
                )
                batch = [_Fit(fits, m, (k, name), start) for m, (k, start) in enumerate(pairs)]
                self._fits |= {(fit.key, fit.start): fit for fit in batch}
                batches.append(batch)
        return batches

    def _labelled(
        self, numbers: list[int], engine: ThreadEngine
    ) -> dict[tuple[int, str], LabelledRows]:
        """What to start from, by numbers of components and starts, where all starts have them."""
        pairs = [(k, start) for k in numbers for start in self._plan.starts]
        found: dict[tuple[int, str], LabelledRows] = {}

        def begin(number: int) -> None:
            k, start = pairs[number]
            model = self._plan.make(k, self._plan.covariance_types[0], init_params=start)
            with contextlib.suppress(Exception):  # the fits of their own will say what is wrong
                made = self._starts.of(self._data._replace(start=start), 0, model)
                if made is not None and isinstance(made[0][1], LabelledRows):
                    found[k, start] = made[0][1]

        if pairs:
            engine.for_each(begin, len(pairs))
        lacking = {k for k, start in pairs if (k, start) not in found}
        return {pair: found[pair] for pair in pairs if pair[0] not in lacking}

    def _cell(self, fit: _Fit, tol: float, seconds: float) -> Cell:
        """The cell of a fit, without a score."""
        (k, name), structure = fit.key, STRUCTURES[fit.key[1]]
        result = fit.fits.result(fit.place)
        mean, n, with_classes = fit.fits.classified(fit.place)
        n_parameters = n_parameters_of(structure, k, result.parameters.means.shape[1])
        reg_covar = self._template.reg_covar
        return Cell(
            k,
            name,
            **criteria(mean, n, with_classes, n_parameters, k == 1),
            log_likelihood=mean * n,
            n_parameters=n_parameters,
            n_iter=result.n_iter,
            converged=result.converged,
            seconds=seconds,
            status=status_of(structure, result.parameters, reg_covar, n),
            tol=float(tol),
            start=name_of_start(fit.start),
            seed=self._plan.seeds[k],
            made=Deferred(partial(self._model, fit.key, fit.start, tol, result)),
        )

    def _model(self, key: Key, start: Any, tol: float, result: EMResult) -> Any:
        """The fitted estimator."""
        model = self._plan.make(*key, tol=tol, init_params=start)
        for attribute in ("n_features_in_", "feature_names_in_"):
            if hasattr(self._template, attribute):
                setattr(model, attribute, getattr(self._template, attribute))
        family = MaximumLikelihood(model._structure, GivenParameters())
        fitted = Model(model._structure, family, model.reg_covar, np.dtype(np.float64))
        keep(model, fitted_attributes(fitted, result))
        return model
