r"""The E-step of patterns of missing values: sums over what is observed, expanded to all features.

For every pattern of observed features it is an ordinary pass over these, and one expansion of its
sums. With N, s and W a component's weight, first and second moments about its mean, G the matrix
that makes expected rows of observed values (the identity in these), and C the covariance that is
then left,

.. math:: f \mathrel{+}= G s, \qquad S \mathrel{+}= G W G^T + N C.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastgmm.covariance.conditioning import Conditionals, Gaussians, conditionals, marginals
from fastgmm.covariance.linalg import product
from fastgmm.kernels.layout import FORMS, HEADER, Forms
from fastgmm.parameters import Operands
from fastgmm.passes.chunks import adder_of_sets, weighted_sum
from fastgmm.passes.dense import shared_out
from fastgmm.passes.kernel_operands import KernelChoice, kernels_for, moment_operands
from fastgmm.passes.patterns import Batch, Group
from fastgmm.sources.base import Chunk
from fastgmm.statistics import MomentForm, SufficientStatistics

_CORRELATED, _UNCORRELATED = FORMS[0], FORMS[2]


class BatchKernels(NamedTuple):
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
    add : callable
        See `fastgmm.passes.chunks.adder_of_sets`.
    n_sums : int
    """

    batch: Batch
    conditionals: Conditionals
    choice: KernelChoice
    moments: KernelChoice
    add: Callable[..., None]
    n_sums: int


class MarginalEStep(NamedTuple):
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
    ) -> "MarginalEStep":
        gaussians = Gaussians.of(operands, density)
        forms = _CORRELATED if gaussians.correlated else _UNCORRELATED
        reference = gaussians.means if about is None else about
        if about is None and not careful:  # the means as kernels read them
            centred = (gaussians.means - gaussians.origin).astype(dtype)
            reference = gaussians.origin + centred.astype(np.float64)
        form = MomentForm(forms.moments)
        return cls(gaussians, forms, form, reference, about is not None, careful, dtype)

    def kernels(self, batch: Batch) -> BatchKernels:
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
        add = adder_of_sets(moments.forms, moments.operands, moments.dtype, moments.careful)
        return BatchKernels(batch, left, choice, moments, add, n_sums)

    def add(self, made: BatchKernels, group: Group, sums: np.ndarray) -> None:
        """Add the sums of each pattern over its own features."""
        sums = sums.reshape(len(group.offsets) - 1, -1)
        shares = None
        if self.about or group.labels is not None:
            shares, log_likelihoods = self._shares(made, group)
            sums[:, 0] += log_likelihoods
        rows = group.rows
        if rows.dtype != made.moments.dtype:
            rows = rows.astype(made.moments.dtype)
        made.add(rows, group.weights, group.offsets, shares, sums)

    def _shares(self, made: BatchKernels, group: Group) -> tuple[np.ndarray, np.ndarray]:
        """Responsibilities (rows, k), and log-likelihoods of each pattern (m,)."""
        shares = np.empty((len(group.rows), len(self.reference)))
        totals = np.zeros(len(group.offsets) - 1)
        for i, (start, stop) in enumerate(zip(group.offsets, group.offsets[1:], strict=False)):
            weights = group.weights[start:stop]
            chunk = Chunk(start, stop, group.rows[start:stop], weights)
            own = type(made.choice.operands)(*(a[i] for a in made.choice.operands))
            if stop > start:
                choice = made.choice._replace(operands=own)
                labels = None if group.labels is None else group.labels[start:stop]
                values, shares[start:stop] = shared_out(chunk, choice, labels)
                totals[i] = weighted_sum(values, weights)
        return shares, totals

    def _about(self, features: np.ndarray) -> np.ndarray:
        """The reference in some features (m, p): (m, k, p)."""
        return self.reference[:, features].swapaxes(0, 1)

    def expanded(self, made: BatchKernels, sums: np.ndarray) -> np.ndarray:
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
            first=first,
            second=second,
        )
        return total.sums


def _side_by_side(
    record: SufficientStatistics, batch: Batch, offset: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Moments (k, d) of all features, of those observed, where none correlate."""
    (_, known, others), weight = batch, record.weight[..., np.newaxis]
    m, k, p = record.first.shape
    first, second = np.empty((2, m, k, p + others.shape[1]))
    at, rest = known[:, np.newaxis], others[:, np.newaxis]
    np.put_along_axis(first, at, record.first, axis=-1)
    np.put_along_axis(first, rest, weight * offset, axis=-1)
    np.put_along_axis(second, at, record.second, axis=-1)
    np.put_along_axis(second, rest, weight * (variances + offset**2), axis=-1)
    return first.sum(axis=0), second.sum(axis=0)


def _regressed(
    record: SufficientStatistics,
    batch: Batch,
    offset: np.ndarray,
    gains: np.ndarray,
    covariances: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Moments (k, d) and (k, d, d) of all features, of those observed."""
    (_, known, others), weight = batch, record.weight[..., np.newaxis]
    m, k, p = record.first.shape
    d = p + others.shape[1]
    # In blocks first: what is observed, and then what is missing.
    first, second = np.empty((m, k, d)), np.empty((m, k, d, d))
    expected = (gains * record.first[:, :, np.newaxis]).sum(axis=-1)
    first[..., :p], first[..., p:] = record.first, expected + weight * offset
    second[..., :p, :p] = record.second
    regressed = product(gains, record.second)
    mixed = regressed + offset[..., np.newaxis] * record.first[:, :, np.newaxis]
    second[..., p:, :p], second[..., :p, p:] = mixed, mixed.swapaxes(-1, -2)
    half = expected + 0.5 * weight * offset
    cross = half[..., np.newaxis] * offset[:, :, np.newaxis]
    second[..., p:, p:] = product(regressed, gains.swapaxes(-1, -2))
    second[..., p:, p:] += cross + cross.swapaxes(-1, -2) + weight[..., np.newaxis] * covariances
    # Then every feature at its place.
    place = np.argsort(np.concatenate([known, others], axis=1), axis=1)
    each = np.arange(m)[:, np.newaxis]
    first = first[each, :, place].sum(axis=0).T
    rows, columns = place[:, :, np.newaxis], place[:, np.newaxis]
    second = second[each[..., np.newaxis], :, rows, columns].sum(axis=0)
    return first, second.transpose(2, 0, 1)
