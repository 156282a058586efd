"""The fits of the cells of a search, wherever they are done."""

import math
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fastgmm.em import RunState
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator import predicting
from fastgmm.estimator.fitting import fit_rows
from fastgmm.estimator.progress import Messages
from fastgmm.estimator.rows import FitRows, with_start
from fastgmm.estimator.starting import FoundStart
from fastgmm.selection.cell import FAILED, OK, Cell, Key, figures, n_parameters_of
from fastgmm.selection.plan import Plan, name_of_start
from fastgmm.selection.rows import Part
from fastgmm.selection.splitting import REACHES, split
from fastgmm.selection.starts import SharedStarts
from fastgmm.selection.together import Together
from fastgmm.sklearn_interface import underflow_is_zero

_MOST_SIDE_BY_SIDE = 1 << 20
"""Numbers in the rows up to which every fit runs on one thread, beside others."""

_FEW_NUMBERS = 1 << 12
"""In the rows, up to which threads would wait for each other longer than they work."""

_NEVER_BELOW = 1e-12
"""What rounding may take of a log-likelihood, relative."""


class CellFits:
    """Rows and a plan, from which cells are made.

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

    Attributes
    ----------
    starts : SharedStarts
    stop : Event
        Ends all fits once it is set.
    """

    def __init__(self, plan: Plan, X: Any, data: FitRows, parts: list[Part], template: Any):
        self._plan, self._X, self._data, self._parts = plan, X, data, parts
        self._template = template
        self.starts, self.stop = SharedStarts(), threading.Event()
        self._ends: dict[tuple, RunState] = {}
        self._together: Together | None = None

    def side_by_side(
        self, keys: list[Key], tol: float, engine: ThreadEngine, known: dict[Key, Cell]
    ) -> Iterator[Cell]:
        """Those of some cells that compiled code makes side by side; see `chain`.

        Parameters
        ----------
        keys : list
        tol : float
        engine : ThreadEngine
        known : dict
            The cells that there are.
        """
        if self._together is None:
            self._together = Together(self._plan, self._data, self.starts, self._template)
        for cells in self._together.cells(keys, tol, engine, known, self.stop):
            yield self.of_starts(cells)

    @property
    def engine(self) -> ThreadEngine:
        """Threads for fits side by side."""
        source, in_memory = self._data.source, self._data.arrays is not None
        is_tiny = in_memory and source.n_rows * source.n_features <= _FEW_NUMBERS
        return ThreadEngine(1 if is_tiny else self._plan.parameters["n_jobs"])

    @property
    def are_small(self) -> bool:
        """Whether every fit should run on one thread, beside others."""
        source, in_memory = self._data.source, self._data.arrays is not None
        return in_memory and source.n_rows * source.n_features <= _MOST_SIDE_BY_SIDE

    def chain(self, keys: Iterable[Key], tol: float, known: dict[Key, Cell]) -> Iterator[Cell]:
        """Cells, one after another, as each may need the one before.

        Parameters
        ----------
        keys : iterable
        tol : float
        known : dict
            The cells that there are, of the same structure at least.
        """
        known = dict(known)
        for key in keys:
            known[key] = cell = self._cell(*key, tol, known)
            yield cell

    def _cell(self, k: int, name: str, tol: float, cells: dict[Key, Cell]) -> Cell:
        known = cells.get((k, name))
        before = cell_before(self._plan, (k, name), cells) if self._plan.splits else None
        if before is not None:
            return self._split_cell(before, k, name, tol)
        if known is not None and known.made is not None:
            init_params = known.model.init_params
            return self._judged(self._plan.make(k, name, tol=tol, init_params=init_params))
        models = (
            self._plan.make(k, name, tol=tol, init_params=start) for start in self._plan.starts
        )
        return self.of_starts([self._fitted(model) for model in models])

    def of_starts(self, cells: Iterable[Cell]) -> Cell:
        """The best of the cells that differ by their start, with its score."""
        return self._with_score(_best(cells))

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
            n_parameters=n_parameters_of(
                model._structure, model.n_components, self._data.source.n_features
            ),
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
        return replace(blank, seconds=time.perf_counter() - began, made=model, **found)

    @underflow_is_zero
    def _fit(self, model: Any, data: FitRows, part: int) -> None:
        data = with_start(data, model)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self._template, name):
                setattr(model, name, getattr(self._template, name))
        listener = _UntilStopped(model, self.stop)
        run = partial(fit_rows, model, data, None, 0.0, lambda attributes: listener)
        if self._plan.splits or not _goes_on(model):
            run(self._shared_starts(data, part, model))
            return
        # A run with a smaller tolerance begins as the one before it did: it goes on from its end.
        key = part, model.n_components, model.covariance_type, id(model.init_params)
        before = self._ends.get(key)
        found = None if before is not None else self._shared_starts(data, part, model)
        result = run(found, before)
        self._ends[key] = RunState(0, result.parameters, result.lower_bounds, None)

    def _shared_starts(self, data: FitRows, part: int, model: Any) -> list[FoundStart] | None:
        return self.starts.of(data, part, model) if self._plan.share_starts else None

    # -- the criterion -----------------------------------------------------------------------------
    def _with_score(self, cell: Cell) -> Cell:
        if cell.made is None:
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
    def _split_cell(self, before: Cell, k: int, name: str, tol: float) -> Cell:
        """The cell of a start by splitting components; it does not end below the one before."""
        tried = []
        for reach in REACHES:
            given = split(before.model, k, reach)
            model = self._plan.make(k, name, tol=tol, n_init=1, **given)
            tried.append(self._fitted(model, "split"))
            if reaches(tried[-1], before):
                break
        return self._with_score(_best([tried[-1]] if reaches(tried[-1], before) else tried))


def cell_before(plan: Plan, key: Key, cells: dict[Key, Cell]) -> Cell | None:
    """The cell of the next smaller number of components, if it has been fitted."""
    k, name = key
    smaller = [c for c in plan.n_components if c < k]
    cell = cells.get((max(smaller), name)) if smaller else None
    return None if cell is None or cell.made is None else cell


def reaches(cell: Cell, before: Cell) -> bool:
    """Whether a likelihood is no smaller than another, as far as rounding tells."""
    least = before.log_likelihood - _NEVER_BELOW * np.abs(before.log_likelihood)
    return bool(cell.log_likelihood >= least)


def _goes_on(model: Any) -> bool:
    """Whether a fit with a smaller `tol` passes through the end of this one."""
    accelerate = getattr(model, "accelerate", None)
    return model.n_init == 1 and model.on_failure == "raise" and accelerate is None


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
    able = [cell for cell in order if cell.made is not None]
    able = [cell for cell in able if cell.status == OK] or able
    return max(able, key=lambda cell: cell.log_likelihood) if able else order[0]
