"""What Hypothesis draws for the laws: small problems of every structure."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from fastgmm.covariance import STRUCTURES, CovarianceStructure
from fastgmm.passes.kernel_operands import KernelOperands
from fastgmm.statistics import MomentForm, SufficientStatistics
from tests import mixtures, structures

seeds = st.integers(0, 2**32 - 1)


class Problem(NamedTuple):
    """Rows with weights, and the operands of one pass over them."""

    structure: CovarianceStructure
    X: np.ndarray
    sample_weight: np.ndarray | None
    responsibilities: np.ndarray | None
    operands: KernelOperands
    reference: np.ndarray

    def statistics(self, rows=slice(None), sample_weight=None) -> SufficientStatistics:
        """Statistics of the rows that are chosen, with their weights or with others."""
        weights = self.sample_weight if sample_weight is None else sample_weight
        return mixtures.statistics_of(
            mixtures.as_chunk(self.X[rows], None if weights is None else weights[rows]),
            self.structure,
            self.operands,
            None if self.responsibilities is None else self.responsibilities[rows],
        )

    def magnitudes(self):
        """For every sum, the sum of the magnitudes of its terms: one record per row.

        Diagonal moments are taken about the origin, if the means are near to it.
        """
        rows = (self.statistics(slice(i, i + 1)) for i in range(len(self.X)))
        total = SufficientStatistics(
            self.structure.forms.moments, self.reference, sum(np.abs(row.sums) for row in rows)
        )
        if total.form is MomentForm.DIAGONAL:
            means, weight = np.abs(self.operands.means), total.weight[:, np.newaxis]
            total.second[...] += means * (2 * total.first + weight * means)
            total.first[...] += weight * means
        return total.sums


@st.composite
def problems(draw, dtypes=(np.float64, np.float32), weighted=(False, True)):
    """A problem of a few dozen rows, near zero or far from it."""
    name = draw(st.sampled_from(structures.OF_FORMS))
    dtype = draw(st.sampled_from(dtypes))
    n, d, k = draw(st.integers(1, 80)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    offset = draw(st.sampled_from([0.0, 100.0]))
    random = np.random.RandomState(draw(seeds))
    parameters = mixtures.random_parameters(name, k, d, random, offset)
    operands = mixtures.operands_of(STRUCTURES[name], parameters, dtype)
    return Problem(
        structure=STRUCTURES[name],
        X=mixtures.random_rows(n, d, random, dtype, offset),
        sample_weight=random.uniform(0, 3, n) if draw(st.sampled_from(weighted)) else None,
        responsibilities=random.dirichlet(np.ones(k), n) if draw(st.booleans()) else None,
        operands=operands,
        reference=operands.reference,
    )
