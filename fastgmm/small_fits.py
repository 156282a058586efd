"""Fits to the same few rows, of one number of components or several, in compiled code.

An iteration of all of them is one call of a kernel and one of NumPy's logarithm. What that kernel
leaves to others, such as components that lie so far apart that digits count, is marked, and has to
be fitted by `fastgmm.estimator.fitting`; all else has the bits of such a fit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.linalg import IN_ORDER
from fastgmm.em import EMResult
from fastgmm.kernels.layout import BLOCK, REFRESH, START, STEP
from fastgmm.kernels.paying import WhereItPays
from fastgmm.kernels.small_fits import variant_for
from fastgmm.outer_moments import second_places
from fastgmm.parameters import LOG_TWO_PI, MixtureParameters
from fastgmm.passes.chunks import scatter_of_each, totals_of_each
from fastgmm.passes.kernel_operands import KernelChoice, KernelOperands
from fastgmm.sources.base import Chunk, RowGrid
from fastgmm.sources.weights import NO_WEIGHTS
from fastgmm.starts import SingleRows, Start
from fastgmm.statistics import MomentForm, SufficientStatistics

_MOST = 128
"""Numbers that NumPy sums in one piece, whose order the kernels keep."""

_IN_TURN = 8
"""Numbers from which on NumPy has several sums side by side in such a piece."""


_without_warnings = np.errstate(divide="ignore", invalid="ignore")
"""Of logarithms, where weights are zero."""


def is_small(
    structure: CovarianceStructure, n_rows: int, k: int, d: int, most_chunks: int = 1
) -> bool:
    """Whether fits of this size may go side by side.

    Parameters
    ----------
    structure : CovarianceStructure
    n_rows, k, d : int
        Rows, components and features.
    most_chunks : int, optional
        Up to 3: of more, sums would be merged in another order.
    """
    most = _MOST if structure.most_features is None else structure.most_features
    few = d <= most and k <= min(_MOST, n_rows) and k * d * d <= IN_ORDER
    # Sums over components go in turn, but where these have one feature, and lie side by side.
    if structure.core.compiled is None or not few or (d == 1 and k >= _IN_TURN):
        return False
    return len(RowGrid.of(n_rows, d, k)) <= most_chunks


def _entry_point() -> Callable:
    from fastgmm.kernels.small_fits.iteration import iteration

    return iteration


_where_it_pays = WhereItPays(_entry_point)


def iteration_of(
    structure: CovarianceStructure, n_features: int, *, if_it_pays: bool = False
) -> Any:
    """The kernel of an iteration, or None.

    Parameters
    ----------
    structure : CovarianceStructure
        With a compiled M-step.
    n_features : int
    if_it_pays : bool, optional
        Whether there may be none yet: see `fastgmm.kernels.paying`.
    """
    of = variant_for(structure.core.compiled, n_features)
    return _where_it_pays(*of) if if_it_pays else _entry_point()(*of)


def _tables(
    rows: np.ndarray, ends: np.ndarray, form: MomentForm
) -> tuple[np.ndarray, np.ndarray, SufficientStatistics | None]:
    """The mean (d,) of all rows, places (d + 1, d + 1) of outer moments, and scatter of all rows.

    What the form does not need has another shape, or is None.
    """
    centre = totals_of_each(rows, ends).sum(axis=0) / len(rows)
    places, scatter = np.zeros((1, 1), dtype=np.int64), None
    if form is MomentForm.OUTER:
        places = second_places(rows.shape[1] + 1)
    elif form is MomentForm.NONE:
        centres = np.repeat(centre[np.newaxis], len(ends) - 1, axis=0)
        sums = scatter_of_each(rows, ends, centres).sums.sum(axis=0)
        scatter = SufficientStatistics(MomentForm.OUTER, centre[np.newaxis], sums)
    return centre, places, scatter


def _matrix(scatter: SufficientStatistics | None) -> np.ndarray:
    """A scatter (d, d) as the kernel takes it."""
    return np.zeros((1, 1)) if scatter is None else scatter.second[0]


def _shares(starts: Sequence[Start], n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (fits, n) and responsibilities (fits, n, k), of which one or both are empty."""
    size = len(starts)
    labels, shares = np.empty((size, 0), dtype=np.int32), np.empty((size, 0, 0))
    given = [start.chunk(0, n_rows) for start in starts if not isinstance(start, SingleRows)]
    if given and given[0].ndim == 1:
        labels = np.array(given, dtype=np.int32)
    elif given:
        shares = np.array(given)
    return labels, shares


class SmallFits:
    """Fits of one structure to the same rows.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        In float64.
    structure : CovarianceStructure
        With a compiled M-step.
    numbers : sequence of int
        Of components, for every fit.
    starts : sequence of Start
        All `LabelledRows`; or, where fits have as many components each, all `SingleRows`, or all
        responsibilities that are asked for in order, which a single pass is made under.
    reg_covar : float
        Above 0.
    max_iter : int
    kernel : callable
        What `iteration_of` makes for them.

    Attributes
    ----------
    doubtful : ndarray of bool, shape (fits,)
        Those that another has to make.
    """

    @_without_warnings
    def __init__(
        self,
        rows: np.ndarray,
        structure: CovarianceStructure,
        numbers: Sequence[int],
        starts: Sequence[Start],
        reg_covar: float,
        max_iter: int,
        kernel: Callable,
    ):
        self._rows, self._structure, self._max_iter = rows, structure, max_iter
        structure = structure.core
        d, size, k = rows.shape[1], len(numbers), max(numbers)
        self._numbers = np.array(numbers, dtype=np.int64)
        self._running = np.ones(size, dtype=bool)
        self.doubtful, self._converged = np.zeros((2, size), dtype=bool)
        shape = structure.shape(k, d)
        of_one = shape[len(shape) - structure.n_own_axes :]
        stacked = (1 if structure.component_axis is None else k, *(1, 1, *of_one)[-2:])
        self._covariances, self._factors = np.zeros((2, size, *stacked))
        self._shape_of_one = of_one
        self._weights, self._means = np.zeros((size, k)), np.zeros((size, k, d))
        n_roots = stacked[0] * stacked[2]
        self._inputs, self._logs = np.ones((2, size, k + n_roots))
        if structure.n_own_axes == 2:
            laid: tuple[int, ...] = stacked[0], -(-d // BLOCK) * d, BLOCK
        else:
            laid = (1, k, d) if structure.n_own_axes else (1, 1, 1)
        self._operands = (
            np.zeros((size, d)),
            np.zeros((size, k, d)),
            np.zeros((size, *laid)),
            np.zeros((size, k, d)),
            *np.zeros((2, size, k)),
        )
        form = MomentForm(structure.forms.moments)
        sums = np.zeros((size, form.n_sums(k, d)))
        self._bounds = np.zeros(size)
        self._lower_bounds: list[list[float]] = [[] for _ in range(size)]
        self._kernel = kernel
        grid = RowGrid.of(len(rows), d, k)
        ends = np.minimum(np.arange(len(grid) + 1) * grid.rows_per_chunk, len(rows))
        centre, places, scatter = _tables(rows, ends, form)
        self._head = rows, *_shares(starts, len(rows)), ends
        self._tables = places, _matrix(scatter), centre
        self._rest = (
            float(reg_covar),
            0.5 * d * LOG_TWO_PI,
            self._running,
            self.doubtful,
            self._numbers,
            self._weights,
            self._means,
            self._covariances,
            self._factors,
            self._inputs,
            self._logs,
            *self._operands,
            sums,
            self._bounds,
        )
        self._call(START, self._tables_to_start(starts, scatter, form, sums))

    def _tables_to_start(
        self,
        starts: Sequence[Start],
        scatter: SufficientStatistics | None,
        form: MomentForm,
        sums: np.ndarray,
    ) -> Sequence[np.ndarray]:
        """What the kernel reads of all rows; single rows are entered among the sums."""
        rows = [start.rows for start in starts if isinstance(start, SingleRows)]
        if not rows:
            return self._tables
        self._means[...] = rows
        SufficientStatistics(form, self._means, sums).weight[...] = 1.0
        if scatter is None:
            return self._tables
        # All of the scatter about zero: see `fastgmm.em_start`.
        scatter = scatter.about_zero()
        return self._tables[0], _matrix(scatter), scatter.reference[0]

    def _call(self, what: int, tables: Sequence[np.ndarray]) -> None:
        self._kernel(*self._head, what, *tables, *self._rest)
        np.log(self._inputs, out=self._logs)

    @_without_warnings
    def run(self, tol: float, chosen: Any = slice(None), stop: Any = None) -> None:
        """Iterate until the lower bounds of fits change by less than `tol`.

        Parameters
        ----------
        tol : float
        chosen : index, optional
            Of the fits.
        stop : Event, optional
            Ends it once it is set.
        """
        running = self._running
        running[:] = False
        running[chosen] = True
        running &= ~self.doubtful
        for m in np.flatnonzero(running).tolist():
            bounds = [-np.inf, *self._lower_bounds[m]]
            if len(bounds) > 1:
                self._converged[m] = abs(bounds[-1] - bounds[-2]) < tol
                running[m] = not self._converged[m] and len(bounds) <= self._max_iter
        left = np.flatnonzero(running).tolist()
        while left and not (stop is not None and stop.is_set()):
            self._call(STEP, self._tables)
            left = [m for m in left if self._goes_on(m, tol)]
        self._call(REFRESH, self._tables)

    def _goes_on(self, m: int, tol: float) -> bool:
        """Whether fit m has to, after an iteration; takes down what that has come to."""
        if self.doubtful[m]:
            return False
        bound, bounds = float(self._bounds[m]), self._lower_bounds[m]
        change = abs(bound - bounds[-1]) if bounds else np.inf
        bounds.append(bound)
        self._converged[m] = change < tol
        self.doubtful[m] = bound != bound
        goes_on = self._running[m] = change >= tol and len(bounds) < self._max_iter
        return goes_on

    def result(self, m: int) -> EMResult:
        """What the run of fit m has come to."""
        k, d, structure = int(self._numbers[m]), self._rows.shape[1], self._structure
        own = () if structure.core.component_axis is None else (k,)
        shape = (*own, *self._shape_of_one)
        arrays = (
            array[m, : k if own else 1].reshape(shape).copy()
            for array in (self._covariances, self._factors)
        )
        if structure.within is not None:
            arrays = (structure.within.as_matrices(array, k, d) for array in arrays)
        parameters = MixtureParameters(
            self._weights[m, :k].copy(), self._means[m, :k].copy(), *arrays
        )
        return EMResult(parameters, list(self._lower_bounds[m]), bool(self._converged[m]))

    def classified(self, m: int) -> tuple[float, float, float]:
        """Mean log-likelihood of the rows, their number, and the log-likelihood with classes.

        See `fastgmm.passes.predictions.classified_log_likelihood`.
        """
        from fastgmm.passes.predictions import classified_chunk

        k, n = int(self._numbers[m]), len(self._rows)
        origin, *of_each = (array[m] for array in self._operands)
        centred, laid, projected, scales, constants = of_each
        structure = self._structure.core
        if structure.n_own_axes == 1:
            laid = laid[:, :k]
        elif structure.n_own_axes == 2:
            laid = laid[: min(k, len(laid))]
        operands = KernelOperands(
            origin, centred[:k], laid, projected[:k], scales[:k], constants[:k]
        )
        choice = KernelChoice(structure.forms, self._rows.dtype, operands)
        total, certainty = classified_chunk(Chunk(0, n, self._rows, NO_WEIGHTS), choice)
        return float(total / n), float(n), float(total + certainty)
