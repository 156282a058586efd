r"""The E-step of patterns of missing values: sums over what is observed, expanded to all features.

For every pattern of observed features it is an ordinary pass over these, and one expansion of its
sums. With N, s and W a component's weight, first and second moments about its mean, G the matrix
that makes expected rows of observed values (the identity in these), and C the covariance that is
then left,

.. math:: f \mathrel{+}= G s, \qquad S \mathrel{+}= G W G^T + N C.

Components that share their covariance share G and C, and their second moments are pooled: see
`fastgmm.kernels.regression.pooled_expansion`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from fastgmm.covariance.conditioning import Conditionals, Gaussians, conditionals, marginals
from fastgmm.kernels.layout import FORMS, Forms
from fastgmm.parameters import Operands
from fastgmm.passes.chunks import adder_of_sets, weighted_sum
from fastgmm.passes.kernel_operands import KernelChoice, kernels_for, moment_operands, of_each
from fastgmm.passes.patterns import Batch, Group
from fastgmm.passes.shares import shared_out
from fastgmm.sources.base import Chunk
from fastgmm.statistics import MomentForm

_OWN, _POOLED = FORMS[0], FORMS[5]


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
        Of each pattern.
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
        if density == _POOLED.density and (careful or about is not None):
            # Pooled moments are about one point, not about one for each component.
            operands, density = of_each(operands, density), _OWN.density
        gaussians = Gaussians.of(operands, density)
        forms = _POOLED if gaussians.shared else gaussians.forms
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
        left = conditionals(self.gaussians, batch.observed, batch.missing)
        n_sums = self.form.n_sums(len(self.reference), batch.observed.shape[1])
        add = adder_of_sets(moments.forms, moments.operands, moments.dtype, moments.careful)
        return BatchKernels(batch, left, choice, moments, add, n_sums)

    def sums(self, made: BatchKernels, group: Group) -> np.ndarray:
        """Sums (patterns, ...) of each pattern of a group, over its own features."""
        sums = np.zeros((group.n_patterns, made.n_sums))
        shares = None
        if self.about or group.labels is not None:
            shares, log_likelihoods = self._shares(made, group)
            sums[:, 0] += log_likelihoods
        rows = group.rows
        if rows.dtype != made.moments.dtype:
            rows = rows.astype(made.moments.dtype)
        made.add(rows, group.weights, group.offsets, shares, group.first, sums)
        return sums

    def together(self, made: BatchKernels, groups: Sequence[Group], sums: list) -> np.ndarray:
        """Sums of all patterns of a batch, of those of groups."""
        total = np.zeros((len(made.batch.observed), made.n_sums))
        for group, of_group in zip(groups, sums, strict=True):
            total[group.first : group.first + group.n_patterns] += of_group
        return total.reshape(-1)

    def _shares(self, made: BatchKernels, group: Group) -> tuple[np.ndarray, np.ndarray]:
        """Responsibilities (rows, k), and log-likelihoods of each pattern (m,)."""
        shares = np.empty((len(group.rows), len(self.reference)))
        totals = np.zeros(group.n_patterns)
        for i, (start, stop) in enumerate(zip(group.offsets, group.offsets[1:], strict=False)):
            weights = group.weights[start:stop]
            chunk = Chunk(start, stop, group.rows[start:stop], weights)
            own = type(made.choice.operands)(*(a[group.first + i] for a in made.choice.operands))
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
        means, reference = self.gaussians.means, self.reference
        sums = sums.reshape(len(known), -1)
        total = np.zeros(self.form.n_sums(*reference.shape))
        if gains is None:
            from fastgmm.kernels.regression import separate_expansion

            separate_expansion()(sums, known, others, covariances, means, reference, total)
        elif self.form is MomentForm.POOLED:
            from fastgmm.kernels.regression import pooled_expansion

            given = gains[:, :1], covariances[:, :1], means, reference, self.gaussians.origin
            pooled_expansion()(sums, known, others, *given, total)
        else:
            from fastgmm.kernels.regression import expansion

            expansion()(sums, known, others, gains, covariances, means, reference, total)
        return total
