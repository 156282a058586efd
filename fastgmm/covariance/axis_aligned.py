"""mclust's structures whose axes are those of the features: EEI, VEI, EVI and VVI.

The M-steps are those of Celeux & Govaert, Gaussian parsimonious clustering models (1995), Pattern
Recognition 28(5), sec. 4.2.
"""

import numpy as np

from fastgmm.covariance.algebra import log_determinants
from fastgmm.covariance.base import register
from fastgmm.covariance.diag import Diag
from fastgmm.covariance.estimates import CentredStatistics, volumes_of_rounding
from fastgmm.covariance.matrices import ConjugateInMatrices, InMatrices
from fastgmm.covariance.tied_diag import TiedDiag
from fastgmm.covariance.variances import PerFeature
from fastgmm.covariance.volumes import of_equal_shapes, of_equal_volumes


def _spreads(statistics: CentredStatistics, reg_covar: float | np.ndarray) -> np.ndarray:
    """Spreads (k, d) of the features, which a regularisation is part of."""
    return statistics.scatter + statistics.weight[..., np.newaxis] * reg_covar


class _EqualShapes(PerFeature):
    """Variances of one shape, and a volume for each component."""

    name = "VEI"

    def n_free_parameters(self, n_components, n_features):
        return n_components + n_features - 1

    def fit(self, statistics, reg_covar, previous):
        before = None
        if previous is not None:
            d = statistics.means.shape[-1]
            before = log_determinants(self, previous.precisions_cholesky, d)
        rounding = volumes_of_rounding(statistics, reg_covar)
        return of_equal_shapes(_spreads(statistics, reg_covar), statistics.weight, rounding, before)


class _EqualVolumes(PerFeature):
    """Variances of one volume, and a shape for each component."""

    name = "EVI"
    sized_by_others = True

    def n_free_parameters(self, n_components, n_features):
        return 1 + n_components * (n_features - 1)

    def fit(self, statistics, reg_covar, previous):
        return of_equal_volumes(_spreads(statistics, reg_covar), statistics.weight)


@register
class EEI(InMatrices):
    """One volume, one shape."""

    name = "EEI"
    within = TiedDiag()


@register
class VEI(InMatrices):
    """A volume for each component, one shape."""

    name = "VEI"
    within = _EqualShapes()


@register
class EVI(InMatrices):
    """One volume, a shape for each component."""

    name = "EVI"
    within = _EqualVolumes()


@register
class VVI(ConjugateInMatrices):
    """A volume and a shape for each component."""

    name = "VVI"
    within = Diag()
