"""The fits of a search: which run side by side, and what they leave."""

import math
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from fastgmm.batch.progress import Progress
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator import predicting
from fastgmm.estimator.fitting import fit_rows
from fastgmm.estimator.progress import Messages
from fastgmm.estimator.rows import FitRows, with_start
from fastgmm.selection.cell import FAILED, OK, Cell, figures, n_parameters_of
from fastgmm.selection.files import Keeper
from fastgmm.selection.plan import Plan, name_of_start
from fastgmm.selection.rows import Part
from fastgmm.selection.splitting import REACHES, split
from fastgmm.selection.starts import SharedStarts
from fastgmm.sklearn_interface import underflow_is_zero

REFINED = 100
"""The last contenders are fitted with a tolerance smaller by this."""

_CONTENDERS = 3
"""How many of them there are."""

_MOST_SIDE_BY_SIDE = 1 << 20
"""Numbers in the rows up to which every fit runs on one thread, beside others."""

_NEVER_BELOW = 1e-12
"""What rounding may take of a log-likelihood, relative."""


class Search:
    """The fits of a call of `select`.

    Parameters
    ----------
    plan : Plan
    X : object
        The rows, as the caller gave them.
    data : FitRows
        The same, checked.
    parts : list of Part
        Of the held-out likelihood, if that is the criterion.
    template : MixtureEstimator
        That has seen the names of the features.
    cells : dict
        Those that are known already, by their keys; the others are added.
    bar : Progress
    keeper : Keeper or None
        Hears of every cell that is added.
    raises : bool
        Whether the first fit that fails ends it all.
    """

    def __init__(
        self,
        plan: Plan,
        X: Any,
        data: FitRows,
        parts: list[Part],
        template: Any,
        cells: dict[tuple[int, str], Cell],
        bar: Progress,
        keeper: Keeper | None,
        raises: bool,
    ):
        self._plan, self._X, self._data, self._parts = plan, X, data, parts
        self._template, self._cells, self._bar = template, cells, bar
        self._keeper, self._raises = keeper, raises
        self._engine = ThreadEngine(template.n_jobs)
        self._starts = SharedStarts()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        source = data.source
        in_memory = data.arrays is not None
        self._side_by_side = in_memory and source.n_rows * source.n_features <= _MOST_SIDE_BY_SIDE

    def run(self) -> None:
        """Fit every cell that is missing, then the last contenders with a smaller tolerance.

        Raises
        ------
        ValueError
            If a fit fails and that is to end it all.
        """
        try:
            missing = [key for key in self._plan.keys if key not in self._cells]
            self._bar.advance(len(self._plan.keys) - len(missing), 0)
            self._fit_all(missing, self._plan.tol)
            while again := self._contenders():
                self._fit_all(again, self._plan.tol / REFINED)
        except BaseException:
            self._stop.set()
            raise

    def _fit_all(self, keys: list[tuple[int, str]], tol: float) -> None:
        if self._plan.splits:  # a mixture needs the one before it
            names = dict.fromkeys(name for _, name in keys)
            tasks = [sorted(key for key in keys if key[1] == name) for name in names]
        elif self._side_by_side:  # the longest first, so that threads end together
            tasks = [[key] for key in sorted(keys, key=lambda key: -key[0])]
        else:
            tasks = [[key] for key in keys]

        def run(number: int) -> None:
            try:
                for key in tasks[number]:
                    self._fit_cell(*key, tol)
            except BaseException:
                self._stop.set()
                raise

        if self._side_by_side:
            self._engine.for_each(run, len(tasks))
            return
        before = None
        for number, (key, *_) in enumerate(tasks):
            if key[0] != before:
                self._starts.forget()
                before = key[0]
            run(number)

    def _contenders(self) -> list[tuple[int, str]]:
        """Cells that have to be fitted with the smaller tolerance before one of them is named.

        With split starts also those that a mixture of fewer components has overtaken since.
        """
        sign = -1 if self._plan.greater_is_better else 1
        # In the order of the table, whichever thread was done first: some tie, as all of k = 1.
        cells = [self._cells[key] for key in self._plan.keys]
        able = [c for c in cells if c.model is not None and not math.isnan(c.score)]
        able = [cell for cell in able if cell.status == OK] or able
        first = sorted(able, key=lambda cell: sign * cell.score)[:_CONTENDERS]
        again = [cell.key for cell in first if cell.tol > self._plan.tol / REFINED]
        if self._plan.splits and not again:
            again = [key for key in self._plan.keys if self._is_overtaken(key)]
        return again

    # -- one cell ----------------------------------------------------------------------------------
    def _fit_cell(self, k: int, name: str, tol: float) -> None:
        known = self._cells.get((k, name))
        before = self._before(k, name) if self._plan.splits else None
        if before is not None:
            cell = self._split_cell(before, k, name, tol)
        elif known is not None and known.model is not None:
            init_params = known.model.init_params
            cell = self._judged(self._plan.make(k, name, tol=tol, init_params=init_params))
        else:
            models = (
                self._plan.make(k, name, tol=tol, init_params=start) for start in self._plan.starts
            )
            cell = _best([self._fitted(model) for model in models])
            cell = self._with_score(cell)
        if self._stop.is_set():  # it may have been cut off
            return
        if cell.error is not None and self._raises:
            raise ValueError(f"The fit of {k} components, {name!r}, failed: {cell.error}")
        with self._lock:
            self._cells[cell.key] = cell
            if self._keeper is not None:
                self._keeper.update(self._cells)
        if known is None:
            self._bar.advance(1, int(cell.status == FAILED))

    def _judged(self, model: Any) -> Cell:
        return self._with_score(self._fitted(model))

    def _fitted(self, model: Any, start: str | None = None) -> Cell:
        """The cell of a model, which is fitted; without a score."""
        blank = Cell(
            model.n_components,
            model.covariance_type,
            tol=float(model.tol),
            start=name_of_start(model.init_params) if start is None else start,
            seed=model.random_state,
            n_parameters=n_parameters_of(model, model.n_components, self._data.source.n_features),
        )
        began = time.perf_counter()
        try:
            self._fit(model, self._data, 0)
            found = figures(model, self._data.source)
        except (OSError, MemoryError):
            raise  # which is about no single fit
        except Exception as error:
            return replace(
                blank,
                seconds=time.perf_counter() - began,
                error=str(error) or type(error).__name__,
            )
        return replace(blank, seconds=time.perf_counter() - began, model=model, **found)

    @underflow_is_zero
    def _fit(self, model: Any, data: FitRows, part: int) -> None:
        data = with_start(data, model)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self._template, name):
                setattr(model, name, getattr(self._template, name))
        found = self._starts.of(data, part, model) if self._plan.share_starts else None
        listener = _UntilStopped(model, self._stop)
        fit_rows(model, data, None, 0.0, lambda attributes: listener, found)

    # -- the criterion -----------------------------------------------------------------------------
    def _with_score(self, cell: Cell) -> Cell:
        if cell.model is None:
            return cell
        criterion = self._plan.criterion
        try:
            if callable(criterion):
                score = float(criterion(cell.model, self._X))
            elif self._parts:
                score = self._held_out(cell.model)
            else:
                score = getattr(cell, criterion)
            if math.isnan(score):
                raise ValueError("it is not a number")
        except (OSError, MemoryError):
            raise
        except Exception as error:
            text = f"{self._plan.criterion_name}: {str(error) or type(error).__name__}"
            return replace(cell, status=FAILED, error=text)
        return replace(cell, score=score)

    def _held_out(self, fitted: Any) -> float:
        """Mean log-likelihood of the rows under models that have not seen them."""
        total = weight = 0.0
        for number, part in enumerate(self._parts, 1):
            model = type(fitted)(**fitted.get_params(deep=False))
            try:
                self._fit(model, part.train, number)
                mean, n = predicting.score_source(model, part.test)
            except ValueError as error:
                raise ValueError(f"fold {number}: {error}") from error
            total += mean * n
            weight += n
        return total / weight

    # -- splits ------------------------------------------------------------------------------------
    def _before(self, k: int, name: str) -> Cell | None:
        """The cell of the next smaller number of components, if it has been fitted."""
        smaller = [c for c in self._plan.n_components if c < k]
        cell = self._cells.get((max(smaller), name)) if smaller else None
        return None if cell is None or cell.model is None else cell

    def _is_overtaken(self, key: tuple[int, str]) -> bool:
        before, cell = self._before(*key), self._cells[key]
        if before is None or cell.tol <= self._plan.tol / REFINED:
            return False
        return not _reaches(cell, before)

    def _split_cell(self, before: Cell, k: int, name: str, tol: float) -> Cell:
        """The cell of a start by splitting components; it does not end below the one before."""
        tried = []
        for reach in REACHES:
            given = split(before.model, k, reach)
            model = self._plan.make(k, name, tol=tol, n_init=1, **given)
            tried.append(self._fitted(model, "split"))
            if _reaches(tried[-1], before):
                break
        return self._with_score(_best([tried[-1]] if _reaches(tried[-1], before) else tried))


class _UntilStopped(Messages):
    """Ends a fit when nobody waits for it any more."""

    def __init__(self, model: Any, stop: threading.Event):
        super().__init__(model)
        self._stop = stop

    def iteration_ends(self, result, change):
        super().iteration_ends(result, change)
        return self._stop.is_set()


def _best(cells: Iterable[Cell]) -> Cell:
    """The cell of largest likelihood: of those that are in order, if there are any."""
    order = list(cells)
    able = [cell for cell in order if cell.model is not None]
    able = [cell for cell in able if cell.status == OK] or able
    return max(able, key=lambda cell: cell.log_likelihood) if able else order[0]


def _reaches(cell: Cell, before: Cell) -> bool:
    """Whether a likelihood is no smaller than another, as far as rounding tells."""
    least = before.log_likelihood - _NEVER_BELOW * np.abs(before.log_likelihood)
    return bool(cell.log_likelihood >= least)
