"""mclust's structures without a shape: EII and VII, and in one dimension E and V."""

from fastgmm.covariance.base import register
from fastgmm.covariance.matrices import ConjugateInMatrices, InMatrices
from fastgmm.covariance.spherical import Spherical
from fastgmm.covariance.tied_spherical import TiedSpherical


@register
class EII(InMatrices):
    """Spheres of one volume."""

    name = "EII"
    within = TiedSpherical()


@register
class VII(ConjugateInMatrices):
    """Spheres, each of a volume of its own."""

    name = "VII"
    within = Spherical()


@register
class E(InMatrices):
    """One variance of a single feature."""

    name, most_features = "E", 1
    within = TiedSpherical()


@register
class V(ConjugateInMatrices):
    """Variances of a single feature, one for each component."""

    name, most_features = "V", 1
    within = Spherical()
