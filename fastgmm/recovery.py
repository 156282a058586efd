"""Fits that mend what fails, instead of raising: ``on_failure="recover"``.

A covariance that is not positive definite is the one thing that fails an M-step. What is done about
it follows from the records of what was done before, so that a resumed run stands where it stood. In
a start, it begins with the covariance of all rows. In an iteration:

1. A component that fails where others do not is moved to a random row, with the covariance of all
   rows and an equal share of their weight, and the iteration is repeated.
2. If it fails again, it is pruned, and the iteration is repeated.
3. If all components fail, or all rows together would (a feature is constant, or a combination of
   others), the regularisation is raised for the rest of the restart, through `LEVELS`.
4. If that is not enough, the restart is given up, and the others go on.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.base import ILL_DEFINED, Gaussians
from fastgmm.covariance.scales import feature_scales, varying_features
from fastgmm.em import EMResult, Listener, RestartFailed, RunState
from fastgmm.engines.base import Engine
from fastgmm.fitting import FitOptions, MixtureFit, MixtureModel
from fastgmm.parameters import MixtureParameters
from fastgmm.sources.base import RowSource

LEVELS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Regularisation, relative to the variance of each feature, that is tried one after the other."""

COLLINEAR = 1e-12
"""Share of a feature's variance that, if others leave no more of it, is taken for rounding."""

MOST_LISTED = 30
"""Records that an error lists."""


class RecoveringFit(MixtureFit):
    """Fit that mends what fails, and keeps a record of it.

    Parameters
    ----------
    source, structure, engine, options
        See `MixtureFit`.
    random_state : RandomState
        That rows for components are drawn from; untouched as long as nothing fails.

    Attributes
    ----------
    records : list of dict
        What was done, in order. The keys are ``restart``, counted from 0; ``iteration``, counted
        from 1, or 0 for the start; ``component``, by its number at the time, or None for all;
        ``action``: 'widen', 'reseed', 'prune', 'regularize' or 'give up'; ``detail`` and
        ``reason``, in words.
    """

    def __init__(
        self,
        source: RowSource,
        structure: CovarianceStructure,
        engine: Engine,
        options: FitOptions,
        random_state: np.random.RandomState,
    ):
        super().__init__(source, structure, engine, options)
        self.records: list[dict[str, Any]] = []
        self._random_state = random_state
        self._restart, self._iteration = 0, 0

    def run(
        self,
        model: MixtureModel,
        starts: Iterator[MixtureParameters],
        listener: Listener,
        lower_bound: float = -np.inf,
        resume: RunState | None = None,
        observe: Callable[[RunState], None] = lambda state: None,
    ) -> EMResult:
        """EM from each start; the result of the largest bound, with `records` as diagnostics.

        Parameters
        ----------
        model, starts, listener, lower_bound, resume, observe
            See `MixtureFit.run`.

        Raises
        ------
        ValueError
            If every restart fails; the text lists what was tried.
        """
        following = 0
        if resume is not None:
            self.records = list(resume.diagnostics)
            self._restart, self._iteration = resume.restart, len(resume.lower_bounds)
            following = resume.restart + 1

        def observe_with_records(state: RunState) -> None:
            observe(replace(state, diagnostics=list(self.records)))

        try:
            result = super().run(
                model,
                self._counted(starts, following),
                listener,
                lower_bound,
                resume,
                observe_with_records,
            )
            self._well_defined(result.parameters)  # without an iteration, it may be a bad start
        except RestartFailed:
            raise ValueError(self._what_was_tried()) from None
        return replace(result, diagnostics=self.records)

    def _counted(
        self, starts: Iterator[MixtureParameters], first: int
    ) -> Iterator[MixtureParameters]:
        """The starts, with the number of each set before it is made."""
        for number in count(first):
            self._restart, self._iteration = number, 0
            try:
                start = next(starts)
            except StopIteration:
                return
            yield start

    # -- steps -------------------------------------------------------------------------------------
    def _start(self, model, gaussians, total_weight):
        """M-step of a start; components that fail begin with the covariance of all rows."""
        parameters = model.start(gaussians, total_weight)
        failed = self._failed(parameters)
        everything = None if not failed.any() else self._widest()
        if everything is None:
            return parameters
        which = slice(None) if self._shares_covariance else failed
        gaussians.covariances[which] = everything
        reason = "its covariance is not positive definite"
        for component in [None] if self._shares_covariance else np.flatnonzero(failed).tolist():
            self._note("widen", "to the covariance of all rows", reason, component)
        return model.start(gaussians, total_weight)

    def _step(self, model, parameters):
        self._iteration += 1
        if self._failed(parameters).any():
            raise self._given_up("the start has no covariances that are positive definite")
        while True:
            n_records = len(self.records)
            parameters, bound = super()._step(model, parameters)
            if not np.isfinite(bound):
                raise self._given_up(f"the lower bound is {bound}")
            # Components that have moved or gone had no E-step yet, nor is this their bound.
            if all(record["component"] is None for record in self.records[n_records:]):
                return parameters, bound

    def _maximize(self, model, gaussians):
        """M-step, mended until every covariance is positive definite."""
        gaussians = self._regularized(gaussians, self._level)
        while True:
            parameters = model.maximize(gaussians)
            failed = self._failed(parameters)
            if not failed.any():
                return parameters
            gaussians = self._mended(gaussians, failed)

    def _failed(self, parameters: MixtureParameters) -> np.ndarray:
        """Which components (k,) have no precision factors; all, where they share one."""
        finite = np.isfinite(parameters.precisions_cholesky)
        k = len(parameters.means)
        if self._shares_covariance:
            return np.full(k, not finite.all())
        return ~finite.reshape(k, -1).all(axis=1)

    @property
    def _shares_covariance(self) -> bool:
        return self.structure.component_axis is None

    # -- mending -----------------------------------------------------------------------------------
    def _mended(self, gaussians: Gaussians, failed: np.ndarray) -> Gaussians:
        """Estimates that differ in what failed; the head of this file says how."""
        if failed.all():
            return self._with_more_regularization(gaussians, "no covariance is positive definite")
        everything = self._everything(self._level)
        if everything is None:
            reason = "the covariance of all rows is not positive definite"
            return self._with_more_regularization(gaussians, reason)
        moved = self._moved(len(failed))
        for component in np.flatnonzero(failed & ~moved).tolist():
            self._reseed(gaussians, component, everything)
        return self._pruned(gaussians, failed & moved)

    def _everything(self, level: int) -> np.ndarray | None:
        """Covariance of all rows at a level of regularisation; None if it is near singular."""
        covariances = self.structure.regularize(self.pooled.covariances.copy(), self.regularization)
        pooled = self._regularized(self.pooled._replace(covariances=covariances), level)
        factors = self.structure.precisions_cholesky(pooled.covariances)
        if not np.isfinite(factors).all():
            return None
        # By how much each feature varies when those before it are known.
        roots = self.structure.feature_variances(pooled._replace(covariances=factors))
        known = roots**2 * self.structure.feature_variances(pooled) > 1.0 / COLLINEAR
        if known.any() or not varying_features(self.structure, pooled).all():
            return None
        return self.structure.of_one(pooled.covariances)

    def _widest(self) -> np.ndarray | None:
        """Covariance of all rows, at the first level that will do."""
        levels = range(len(LEVELS) + 1)
        return next((c for c in map(self._everything, levels) if c is not None), None)

    def _with_more_regularization(self, gaussians: Gaussians, reason: str) -> Gaussians:
        level = self._level
        if level == len(LEVELS):
            raise self._given_up(reason)
        self._note("regularize", f"to {LEVELS[level]:g} of each feature's variance", reason)
        return self._regularized(gaussians, level + 1, level)

    def _regularized(self, gaussians: Gaussians, level: int, present: int = 0) -> Gaussians:
        """Estimates at a level of regularisation, from those at another; 0 is that of the fit."""
        if level == present:
            return gaussians
        before = LEVELS[present - 1] if present else 0.0
        added = (LEVELS[level - 1] - before) * self._scales
        covariances = self.structure.regularize(gaussians.covariances.copy(), added)
        return gaussians._replace(covariances=covariances)

    def _reseed(self, gaussians: Gaussians, component: int, covariance: np.ndarray) -> None:
        """Move a component to a random row, in place."""
        row = int(self._random_state.randint(self.source.n_rows))
        weight = gaussians.weight
        share = weight.sum() / len(weight)
        others = np.arange(len(weight)) != component
        weight[others] *= (weight.sum() - share) / weight[others].sum()
        weight[component] = share
        gaussians.means[component] = self.source.read(row, row + 1).rows[0]
        gaussians.covariances[component] = covariance
        self._note("reseed", f"at row {row}", "its covariance is not positive definite", component)

    def _pruned(self, gaussians: Gaussians, gone: np.ndarray) -> Gaussians:
        reason = "its covariance is not positive definite, after it was re-seeded"
        for component in np.flatnonzero(gone)[
            ::-1
        ].tolist():  # so that no number changes before its turn
            self._note("prune", f"{len(gone)} components before", reason, component)
        return Gaussians(*(part[~gone] for part in gaussians))

    @cached_property
    def _scales(self) -> np.ndarray:
        return feature_scales(self.structure, self.pooled)

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
