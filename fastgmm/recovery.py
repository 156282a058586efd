"""Fits that mend what fails, instead of raising: ``on_failure="recover"``.

A covariance that is not positive definite is the one thing that fails an M-step. What is done about
it follows from the records of what was done before, so that a resumed run stands where it stood. In
a start, it begins with the covariance of all rows. In an iteration:

1. A component that fails where others do not is moved to a random row, with the covariance of all
   rows and an equal share of their weight, and the iteration is repeated.
2. If it fails again, it is pruned, and the iteration is repeated.
3. If all components fail, or all rows together would (a feature is constant, or a combination of
   others), the regularisation is raised for the rest of the restart, through `LEVELS`.
   So it is if what failed may not be moved or pruned, since parts of it or labels are given.
4. If that is not enough, the restart is given up, and the others go on.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import ILL_DEFINED, feature_variances, regularized
from fastgmm.covariance.estimates import Estimates
from fastgmm.covariance.scales import feature_scales, varying_features
from fastgmm.em import EMResult, RestartFailed, RunState
from fastgmm.em_start import pooled_estimates
from fastgmm.em_step import Iteration, Model, em_step, maximize
from fastgmm.parameters import Parameters
from fastgmm.passes import Pass
from fastgmm.sources.base import RowSource

LEVELS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Regularisation, relative to the variance of each feature, that is tried one after the other."""

COLLINEAR = 1e-12
"""Share of a feature's variance that, if others leave no more of it, is taken for rounding."""

MOST_LISTED = 30
"""Records that an error lists."""


class Recovery:
    """Steps that mend what fails, and keep a record of it.

    Parameters
    ----------
    rows : Pass
    source : RowSource
        The same rows, one of which a component may be moved to.
    model : Model
    random_state : RandomState
        That rows for components are drawn from; untouched as long as nothing fails.
    kept : ndarray of bool, shape (k,), or None
        Components that something is known of by their numbers. They are not moved, and with them
        there, none is pruned.
    records : list of dict
        To take down what is done, in order. The keys are ``restart``, counted from 0;
        ``iteration``, counted from 1, or 0 for the start; ``component``, by its number at the time,
        or None for all; ``action``: 'widen', 'reseed', 'prune', 'regularize' or 'give up';
        ``detail`` and ``reason``, in words.
    """

    def __init__(
        self,
        rows: Pass,
        source: RowSource,
        model: Model,
        random_state: np.random.RandomState,
        kept: np.ndarray | None,
        records: list[dict[str, Any]],
    ):
        self.records = records
        self._rows, self._source, self._model = rows, source, model
        self._random_state, self._kept = random_state, kept
        self._restart, self._iteration = 0, 0

    def run(
        self,
        em: Callable[..., EMResult],
        starts: Iterator[Parameters],
        resume: RunState | None = None,
        observe: Callable[[RunState], None] = lambda state: None,
    ) -> EMResult:
        """EM from each start; the result of the largest bound, with `records` as diagnostics.

        Parameters
        ----------
        em : callable
            ``em(starts, resume=, observe=)``, as `fastgmm.em.best_of_restarts` with a step that is
            made of `step` and `attempt`.
        starts, resume, observe
            See there.

        Raises
        ------
        ValueError
            If every restart fails; the text lists what was tried.
        """
        following = 0
        if resume is not None:
            self.records[:] = resume.diagnostics
            self._restart, self._iteration = resume.restart, len(resume.lower_bounds)
            following = resume.restart + 1

        def observe_with_records(state: RunState) -> None:
            observe(replace(state, diagnostics=list(self.records)))

        try:
            counted = self._counted(starts, following)
            result = em(counted, resume=resume, observe=observe_with_records)
        except RestartFailed:
            raise ValueError(self._what_was_tried()) from None
        return replace(result, diagnostics=self.records)

    def _counted(self, starts: Iterator[Parameters], first: int) -> Iterator[Parameters]:
        """The starts, with the number of each set before it is made."""
        for number in count(first):
            self._restart, self._iteration = number, 0
            try:
                start = next(starts)
            except StopIteration:
                return
            yield start

    # -- steps -------------------------------------------------------------------------------------
    def start(self, model: Model, estimates: Estimates, total_weight: Any) -> Parameters:
        """M-step of a start; components that fail begin with the covariance of all rows."""
        family = model.family
        parameters = family.start(estimates, total_weight)
        failed = self._failed(parameters)
        everything = None if not failed.any() else self._widest()
        if everything is None:
            return parameters
        which = ... if self._shares_covariance else failed
        estimates.covariances[which] = everything
        reason = "its covariance is not positive definite"
        for component in [None] if self._shares_covariance else np.flatnonzero(failed).tolist():
            self._note("widen", "to the covariance of all rows", reason, component)
        return family.start(estimates._replace(rounding=None), total_weight)

    def step(self, parameters: Parameters) -> Iteration:
        """An iteration of EM, mended.

        Raises
        ------
        RestartFailed
            If nothing helps.
        """
        self._iteration += 1
        if self._failed(parameters).any():
            raise self._given_up("the start has no covariances that are positive definite")
        while True:
            n_records = len(self.records)
            iteration = em_step(self._rows, self.model, parameters, self._mend)
            parameters = iteration.parameters
            if not np.isfinite(iteration.lower_bound):
                raise self._given_up(f"the lower bound is {iteration.lower_bound}")
            # Components that have moved or gone had no E-step yet, nor is this their bound.
            if all(record["component"] is None for record in self.records[n_records:]):
                return iteration

    def attempt(self, parameters: Parameters) -> Iteration:
        """An iteration that is not mended, of which nothing follows if it fails."""
        self._iteration += 1
        return em_step(self._rows, self.model, parameters, maximize)

    @property
    def model(self) -> Model:
        """What is fitted at present, with the regularisation that it has come to."""
        if not self._level:
            return self._model
        added = LEVELS[self._level - 1] * self._scales
        return replace(self._model, reg_covar=self._model.reg_covar + added)

    def _mend(self, model: Model, estimates: Estimates) -> Parameters:
        """M-step, mended until every covariance is positive definite."""
        while True:
            parameters = model.family.maximize(estimates)
            failed = self._failed(parameters)
            if not failed.any():
                return parameters
            estimates = self._mended(estimates, failed)._replace(rounding=None)

    def _failed(self, parameters: Parameters) -> np.ndarray:
        """Which components (k,) have no precision factors; all, where they share one."""
        finite = np.isfinite(parameters.precisions_cholesky)
        k = len(parameters.means)
        if self._shares_covariance:
            return np.full(k, not finite.all())
        return ~finite.reshape(k, -1).all(axis=1)

    @property
    def _structure(self) -> CovarianceStructure:
        return self._model.structure

    @property
    def _shares_covariance(self) -> bool:
        return self._structure.shares_covariance

    # -- mending -----------------------------------------------------------------------------------
    def _mended(self, estimates: Estimates, failed: np.ndarray) -> Estimates:
        """Estimates that differ in what failed; the head of this file says how."""
        if failed.all():
            return self._with_more_regularization(estimates, "no covariance is positive definite")
        everything = self._everything(self._level)
        if everything is None:
            reason = "the covariance of all rows is not positive definite"
            return self._with_more_regularization(estimates, reason)
        moved = self._moved(len(failed))
        if self._kept is not None and (failed & (moved | self._kept)).any():
            reason = "a component that fails is neither moved nor pruned, as some are given"
            return self._with_more_regularization(estimates, reason)
        for component in np.flatnonzero(failed & ~moved).tolist():
            self._reseed(estimates, component, everything)
        return self._pruned(estimates, failed & moved)

    def _everything(self, level: int) -> np.ndarray | None:
        """Covariance of all rows at a level of regularisation; None if it is near singular."""
        structure = self._structure
        base = regularized(structure, self._pooled.covariances, self._model.reg_covar)
        pooled = self._regularized(self._pooled._replace(covariances=base), level)
        factors = np.asarray(structure.factor(pooled.covariances))
        if not np.isfinite(factors).all():
            return None
        # By how much each feature varies when those before it are known.
        roots = feature_variances(structure, pooled._replace(covariances=factors))
        known = roots**2 * feature_variances(structure, pooled) > 1.0 / COLLINEAR
        if known.any() or not varying_features(structure, pooled).all():
            return None
        return structure.of_one(pooled.covariances)

    def _widest(self) -> np.ndarray | None:
        """Covariance of all rows, at the first level that will do."""
        levels = range(len(LEVELS) + 1)
        return next((c for c in map(self._everything, levels) if c is not None), None)

    def _with_more_regularization(self, estimates: Estimates, reason: str) -> Estimates:
        level = self._level
        if level == len(LEVELS):
            raise self._given_up(reason)
        self._note("regularize", f"to {LEVELS[level]:g} of each feature's variance", reason)
        return self._regularized(estimates, level + 1, level)

    def _regularized(self, estimates: Estimates, level: int, present: int = 0) -> Estimates:
        """Estimates at a level of regularisation, from those at another; 0 is that of the fit."""
        if level == present:
            return estimates
        before = LEVELS[present - 1] if present else 0.0
        added = (LEVELS[level - 1] - before) * self._scales
        covariances = regularized(self._structure, estimates.covariances, added)
        return estimates._replace(covariances=covariances)

    def _reseed(self, estimates: Estimates, component: int, covariance: np.ndarray) -> None:
        """Move a component to a random row, in place."""
        row = int(self._random_state.randint(self._source.n_rows))
        weight = estimates.weight
        share = weight.sum() / len(weight)
        others = np.arange(len(weight)) != component
        weight[others] *= (weight.sum() - share) / weight[others].sum()
        weight[component] = share
        estimates.means[component] = self._source.read(row, row + 1).rows[0]
        estimates.covariances[component] = covariance
        self._note("reseed", f"at row {row}", "its covariance is not positive definite", component)

    def _pruned(self, estimates: Estimates, gone: np.ndarray) -> Estimates:
        reason = "its covariance is not positive definite, after it was re-seeded"
        # From the last to the first, so that no number changes before its turn.
        for component in reversed(np.flatnonzero(gone).tolist()):
            self._note("prune", f"{len(gone)} components before", reason, component)
        weight, means, covariances, *_ = estimates
        left = weight[~gone], means[~gone], covariances[~gone]
        return Estimates(*left, None, estimates.total_weight)

    @cached_property
    def _pooled(self) -> Estimates:
        return pooled_estimates(self._rows, self._structure)

    @cached_property
    def _scales(self) -> np.ndarray:
        return feature_scales(self._structure, self._pooled)

    # -- records -----------------------------------------------------------------------------------
    def _note(self, action: str, detail: str, reason: str, component: int | None = None) -> None:
        record = {
            "restart": self._restart,
            "iteration": self._iteration,
            "component": component,
            "action": action,
            "detail": detail,
            "reason": reason,
        }
        self.records.append(record)

    def _given_up(self, reason: str) -> RestartFailed:
        self._note("give up", "", reason)
        return RestartFailed(reason)

    def _of_restart(self) -> list[dict[str, Any]]:
        return [record for record in self.records if record["restart"] == self._restart]

    @property
    def _level(self) -> int:
        """How often the regularisation was raised in this restart."""
        return sum(record["action"] == "regularize" for record in self._of_restart())

    def _moved(self, n_components: int) -> np.ndarray:
        """Which of the present components have been re-seeded in this restart."""
        records = self._of_restart()
        n_pruned = sum(record["action"] == "prune" for record in records)
        moved = np.zeros(n_components + n_pruned, dtype=bool)
        for record in records:
            if record["action"] == "reseed":
                moved[record["component"]] = True
            elif record["action"] == "prune":
                moved = np.delete(moved, record["component"])
        return moved

    def _what_was_tried(self) -> str:
        lines = []
        for record in self.records[:MOST_LISTED]:
            where = "" if record["component"] is None else f", component {record['component']}"
            detail = f" {record['detail']}" if record["detail"] else ""
            lines.append(
                f"  initialization {record['restart']}, iteration {record['iteration']}{where}: "
                f"{record['action']}{detail}, since {record['reason']}"
            )
        if len(self.records) > MOST_LISTED:
            lines.append(f"  and {len(self.records) - MOST_LISTED} more")
        return "\n".join([f"{ILL_DEFINED} on_failure='recover' has tried:", *lines])
