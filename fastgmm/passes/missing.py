r"""The pass over rows in which values are missing, by the marginal densities of what is there.

EM for values that are missing at random (Ghahramani and Jordan 1994). For every pattern of observed
features it is an ordinary pass over these, and one expansion of its sums. With N, s and W a
component's weight, first and second moments about its mean, G the matrix that makes expected rows
of observed values (the identity in these), and C the covariance that is then left,

.. math:: f \mathrel{+}= G s, \qquad S \mathrel{+}= G W G^T + N C.
"""

from typing import NamedTuple

import numpy as np

from fastgmm.covariance.conditioning import Conditionals, Gaussians, conditionals, marginals
from fastgmm.covariance.linalg import diagonals, product
from fastgmm.engines.base import Engine
from fastgmm.kernels.layout import FORMS, HEADER, Forms
from fastgmm.parameters import Operands
from fastgmm.passes.base import Pass, Shares
from fastgmm.passes.chunks import statistics_of_each
from fastgmm.passes.dense import DensePass, shared_out
from fastgmm.passes.kernel_operands import KernelChoice, kernels_for, moment_operands
from fastgmm.passes.patterns import Batch, Group, batches_of, groups_of, patterns_of
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.sources.missing import MissingTally, filled_rows
from fastgmm.statistics import MomentForm, SufficientStatistics

_CORRELATED, _UNCORRELATED = FORMS[0], FORMS[2]

_MOST_SUMS = 1 << 20
"""Sums of all patterns, up to which they are kept apart until the end of a pass."""

_MOST_KEPT = 1 << 28
"""Bytes of rows, up to which they are kept in order of their patterns."""


class MissingPass(Pass):
    """Statistics of rows in which values are missing.

    Parameters
    ----------
    source : RowSource
        Every row of which has a value.
    tally : MissingTally
        Of it.
    forms : Forms
        Of the structure. Moments are outer ones where features may correlate, in place of none.
    engine : Engine
    n_components : int
    """

    def __init__(
        self,
        source: RowSource,
        tally: MissingTally,
        forms: Forms,
        engine: Engine,
        n_components: int,
    ):
        self._filled = DensePass(filled_rows(source, tally), forms, engine, n_components)
        self._source, self._tally = source.scaled(), tally
        self._forms, self._engine = forms, engine
        self._grid = RowGrid.of(source.n_rows, source.n_features, n_components)
        self.n_rows, self.n_features, self.dtype = source.n_rows, source.n_features, source.dtype
        self.weight_scale, self.total_weight = self._filled.weight_scale, self._filled.total_weight
        self._n_components = n_components
        # Where patterns are few, what is made of them is made once a pass, not once a chunk.
        self._batches: list[Batch] | None = None
        if tally.patterns is not None:
            outer = MomentForm.OUTER.n_sums(n_components, source.n_features)
            if outer * len(tally.patterns) <= _MOST_SUMS:
                self._batches = batches_of(tally.patterns, n_components)
                self._numbers = {p.tobytes(): i for i, p in enumerate(tally.patterns)}
        self._keeps = source.n_rows * source.n_features * self.dtype.itemsize <= _MOST_KEPT
        self._kept: dict[int, tuple[list[Batch], list[Group]]] = {}

    def statistics(self, operands, about=None, careful=False):
        e_step = _EStep.of(operands, self._forms.density, about, careful, self.dtype)
        if self._batches is None:
            # Every chunk for itself, a batch at a time: all of them may be larger than the rows.
            def expanded(index: int) -> np.ndarray:
                pairs = zip(*self._grouped(index), strict=True)
                found = ((e_step.marginals(batch), group) for batch, group in pairs)
                return np.sum([e_step.expanded(m, e_step.sums(m, g)) for m, g in found], axis=0)

            total = self._engine.reduce(expanded, len(self._grid))
        else:
            made = [e_step.marginals(batch) for batch in self._batches]

            def sums(index: int) -> np.ndarray:
                pairs = zip(made, self._grouped(index)[1], strict=True)
                return np.concatenate([e_step.sums(m, group).ravel() for m, group in pairs])

            ends = np.cumsum([m.n_sums for m in made])[:-1]
            by_batch = np.split(self._engine.reduce(sums, len(self._grid)), ends)
            pairs = zip(made, by_batch, strict=True)
            total = np.sum([e_step.expanded(m, s) for m, s in pairs], axis=0)
        record = SufficientStatistics(e_step.form, e_step.reference, total)
        return record.traced() if self._forms.moments == MomentForm.TRACE else record

    def given(self, shares, about, careful=False):
        """Statistics under given responsibilities.

        What is missing is taken to have the mean and the variance of its feature.
        """
        counted = _SharesOfMissing(shares, self._source, about.shape)
        record = self._filled.given(counted, about, careful)
        return _widened(record, counted.weight(), self._tally.variances)

    def scatter(self, point):
        record = self._filled.scatter(point)
        missing = record.total_weight - self._tally.weight[np.newaxis]
        return _widened(record, missing, self._tally.variances)

    def centre(self):
        return self._filled.centre()

    def _grouped(self, index: int) -> tuple[list[Batch], list[Group]]:
        """Batches, and the rows of a chunk by batch."""
        found = self._kept.get(index)
        if found is None:
            chunk = self._source.read(*self._grid.bounds(index))
            patterns, numbers = patterns_of(chunk.rows)
            batches = self._batches
            if batches is None:
                batches = batches_of(patterns, self._n_components)
            else:
                numbers = self._known(patterns)[numbers]
            found = batches, groups_of(chunk, numbers, batches)
            if self._keeps:
                self._kept[index] = found
        return found

    def _known(self, patterns: np.ndarray) -> np.ndarray:
        """Numbers of patterns among those of all rows."""
        try:
            return np.array([self._numbers[pattern.tobytes()] for pattern in patterns])
        except KeyError:
            raise ValueError(f"{self._source.name} has changed since it was opened.") from None


class _Marginals(NamedTuple):
    """What is made of a batch of patterns in an E-step.

    Parameters
    ----------
    batch : Batch
    conditionals : Conditionals
        Of what is missing.
    choice : KernelChoice
        Kernels that compute densities, and their operands.
    moments : KernelChoice
        Those that sum moments: the same, unless these are about other points.
    n_sums : int
    """

    batch: Batch
    conditionals: Conditionals
    choice: KernelChoice
    moments: KernelChoice
    n_sums: int


class _EStep(NamedTuple):
    """The E-step of rows in which values are missing.

    Parameters
    ----------
    gaussians : Gaussians
    forms : Forms
        Of kernels.
    form : MomentForm
        Of the statistics.
    reference : ndarray of shape (k, d)
    about : bool
        Whether that is given, and not the means.
    careful : bool
    dtype : dtype
        Of the rows.
    """

    gaussians: Gaussians
    forms: Forms
    form: MomentForm
    reference: np.ndarray
    about: bool
    careful: bool
    dtype: np.dtype

    @classmethod
    def of(
        cls,
        operands: Operands,
        density: str,
        about: np.ndarray | None,
        careful: bool,
        dtype: np.dtype,
    ) -> "_EStep":
        gaussians = Gaussians.of(operands, density)
        forms = _CORRELATED if gaussians.correlated else _UNCORRELATED
        reference = gaussians.means if about is None else about
        if about is None and not careful:  # the means as kernels read them
            centred = (gaussians.means - gaussians.origin).astype(dtype)
            reference = gaussians.origin + centred.astype(np.float64)
        form = MomentForm(forms.moments)
        return cls(gaussians, forms, form, reference, about is not None, careful, dtype)

    def marginals(self, batch: Batch) -> _Marginals:
        """What the E-step of a batch needs."""
        operands = marginals(self.gaussians, batch.observed)
        choice = kernels_for(operands, self.forms, self.dtype, self.careful)
        moments = choice
        if self.about:
            points = moment_operands(self._about(batch.observed))
            moments = choice._replace(operands=points, dtype=np.dtype(np.float64))
        m, p = batch.observed.shape
        left = conditionals(self.gaussians, batch.observed, batch.missing)
        n_sums = m * self.form.n_sums(len(self.reference), p)
        return _Marginals(batch, left, choice, moments, n_sums)

    def sums(self, made: _Marginals, group: Group) -> np.ndarray:
        """Sums of each pattern (m, sums) over its own features."""
        shares, log_likelihoods = None, None
        if self.about:
            shares, log_likelihoods = self._shares(made, group)
        choice = made.moments
        statistics = statistics_of_each(
            group.rows.astype(choice.dtype, copy=False),
            group.offsets,
            np.arange(len(group.offsets) - 1),
            choice.forms,
            choice.operands,
            shares,
            choice.careful,
            group.weights,
        )
        if log_likelihoods is not None:
            statistics.sums[:, 0] = log_likelihoods
        return statistics.sums

    def _shares(self, made: _Marginals, group: Group) -> tuple[np.ndarray, np.ndarray]:
        """Responsibilities (rows, k), and log-likelihoods of each pattern (m,)."""
        shares = np.empty((len(group.rows), len(self.reference)))
        totals = np.zeros(len(group.offsets) - 1)
        for i, (start, stop) in enumerate(zip(group.offsets, group.offsets[1:], strict=False)):
            weights = group.weights[start:stop]
            chunk = Chunk(start, stop, group.rows[start:stop], weights)
            own = type(made.choice.operands)(*(a[i] for a in made.choice.operands))
            if stop > start:
                choice = made.choice._replace(operands=own)
                values, shares[start:stop] = shared_out(chunk, choice)
                totals[i] = weights @ values if len(weights) else values.sum()
        return shares, totals

    def _about(self, features: np.ndarray) -> np.ndarray:
        """The reference in some features (m, p): (m, k, p)."""
        return self.reference[:, features].swapaxes(0, 1)

    def expanded(self, made: _Marginals, sums: np.ndarray) -> np.ndarray:
        """Sums over all features, of all patterns of a batch together."""
        _, known, others = made.batch
        gains, covariances = made.conditionals
        means = self.gaussians.means
        about = self._about(known)
        record = SufficientStatistics(self.form, about, sums.reshape(len(known), -1))
        # Expected rows, less the reference, are `gain @ (x - reference) + offset`.
        offset = means[:, others].swapaxes(0, 1) - self._about(others)
        if gains is None:
            first, second = _side_by_side(record, made.batch, offset, covariances)
        else:
            shift = about - means[:, known].swapaxes(0, 1)
            offset = offset + (gains * shift[:, :, np.newaxis]).sum(axis=-1)
            first, second = _regressed(record, made.batch, offset, gains, covariances)
        log_likelihood, total_weight, n_rows = record.sums[:, :HEADER].sum(axis=0)
        total = SufficientStatistics.from_moments(
            self.form,
            self.reference,
            log_likelihood=log_likelihood,
            total_weight=total_weight,
            n_rows=n_rows,
            weight=record.weight.sum(axis=0),
            first=first.sum(axis=0),
            second=second.sum(axis=0),
        )
        return total.sums


def _side_by_side(
    record: SufficientStatistics, batch: Batch, offset: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Moments (m, k, d) of all features, of those observed, where none correlate."""
    (_, known, others), weight = batch, record.weight[..., np.newaxis]
    m, k, p = record.first.shape
    first, second = np.empty((2, m, k, p + others.shape[1]))
    at, rest = known[:, np.newaxis], others[:, np.newaxis]
    np.put_along_axis(first, at, record.first, axis=-1)
    np.put_along_axis(first, rest, weight * offset, axis=-1)
    np.put_along_axis(second, at, record.second, axis=-1)
    np.put_along_axis(second, rest, weight * (variances + offset**2), axis=-1)
    return first, second


def _regressed(
    record: SufficientStatistics,
    batch: Batch,
    offset: np.ndarray,
    gains: np.ndarray,
    covariances: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Moments (m, k, d) and (m, k, d, d) of all features, of those observed."""
    (_, known, others), weight = batch, record.weight[..., np.newaxis]
    m, k, p = record.first.shape
    d = p + others.shape[1]
    each = np.arange(m)[:, np.newaxis]
    gain, shift = np.zeros((m, k, d, p)), np.zeros((m, k, d))
    gain[each, :, known, np.arange(p)] = 1.0
    gain[each, :, others] = gains.swapaxes(1, 2)
    shift[each, :, others] = offset.swapaxes(1, 2)
    expected = (gain * record.first[:, :, np.newaxis]).sum(axis=-1)
    half = expected + 0.5 * weight * shift
    cross = half[..., :, np.newaxis] * shift[..., np.newaxis, :]
    second = product(product(gain, record.second), gain.swapaxes(-1, -2))
    second += cross + cross.swapaxes(-1, -2)
    left = (weight[..., np.newaxis] * covariances).transpose(0, 2, 3, 1)
    second[each[..., np.newaxis], :, others[:, :, np.newaxis], others[:, np.newaxis]] += left
    return expected + weight * shift, second


class _SharesOfMissing:
    """Given shares, which add up by component and feature what is missing as they are asked for.

    Parameters
    ----------
    shares : Shares
    source : RowSource
    shape : tuple of int
        Components and features.
    """

    def __init__(self, shares: Shares, source: RowSource, shape: tuple[int, int]):
        self._shares, self._source, self._shape = shares, source, shape
        self.in_order = shares.in_order
        self._found: dict[int, np.ndarray] = {}

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Shares of the rows start to stop."""
        shares = self._shares.chunk(start, stop)
        chunk = self._source.read(start, stop)
        missing = np.isnan(chunk.rows) * (chunk.weights[:, np.newaxis] if len(chunk.weights) else 1)
        if shares.ndim == 1:
            found = np.zeros(self._shape)
            np.add.at(found, shares, missing)
        else:
            found = shares.T @ missing
        self._found[start] = found
        return shares

    def weight(self) -> np.ndarray:
        """(k, d): sum of the weights of rows that lack the feature, shared out."""
        return np.sum([self._found[start] for start in sorted(self._found)], axis=0)


def _widened(
    record: SufficientStatistics, missing: np.ndarray, variances: np.ndarray
) -> SufficientStatistics:
    """Statistics of filled rows, with the variance of what was filled in.

    Parameters
    ----------
    record : SufficientStatistics
    missing : ndarray of shape (k, d)
        Weight of the rows that lack the feature.
    variances : ndarray of shape (d,)
    """
    scatter, second = record.scatter, None
    added = missing * variances
    if record.form is MomentForm.NONE:
        assert scatter is not None
        scatter = _widened(scatter, missing.sum(axis=0, keepdims=True), variances)
    else:
        second = record.second.copy()
        if record.form is MomentForm.OUTER:
            diagonals(second)[...] += added
        else:
            second += added.sum(axis=-1) if record.form is MomentForm.TRACE else added
    return SufficientStatistics.from_moments(
        record.form,
        record.reference,
        log_likelihood=record.log_likelihood,
        total_weight=record.total_weight,
        n_rows=record.n_rows,
        weight=record.weight,
        first=record.first,
        second=second,
        scatter=scatter,
    )
