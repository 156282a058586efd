"""Whole iterations of EM for small data, E-step and M-step in one call, a file per structure.

What NumPy makes of an M-step is made here in the same order, by the same roundings: no product is
fused with a sum. So a fit has the bits of one that goes by `fastgmm.em_step`, and tests hold it to
them. `fastgmm.small_fits` says which fits come here. Covariances and factors have an axis of
components, of length 1 where these share them: a variance is then that of all of them together. The
file of a structure holds:

- ``statistics(dtype)`` makes the kernel of its E-step, and ``factorize()`` that of its factors;
- ``give_points(k, about, centre, origin, centred)`` sets what a pass under given responsibilities
  takes moments about;
- ``laid_factors(laid, k)`` are precision factors as that kernel takes them, with an axis in front;
- ``refresh(k, factors, logs, origin, centred, laid, projected, scales, constants, half_log)`` makes
  the operands of the E-step, whose constants are the logarithms of the weights so far, and returns
  whether means lie so far apart that digits count;
- ``estimate(k, blocks, places, scatter, centre, reference, means, weight, covariances, reg_covar,
  work)`` makes means, weights and covariances of sums;
- ``first_moment(blocks, places, c, j)`` is that of a feature, or of j = d the weight;
- ``of_feature(arrays, c, j)`` is the variance of a feature, or the root of its precision;
- ``pack(k, factors, inputs)`` enters what logarithms are taken of, behind those of the weights;
- ``JUMPS_COUNT`` says whether second moments are about means, which may then not move too far;
- ``FEW_APART`` says whether the first two also take whether features are few, to make a kernel for
  these;
- ``SECOND_PASS`` says whether a start takes its moments again, about the new means.
"""

from fastgmm.kernels.layout import BLOCK

STRUCTURES = ("full", "tied", "diag", "spherical")
"""Those that `CovarianceStructure.compiled` names, a file each."""

VARIANTS = (("full", True), *((name, False) for name in STRUCTURES))
"""What `fastgmm.kernels.small_fits.iteration.iteration` takes."""


def variant_for(name, n_features):
    """The variant for rows with so many features."""
    return name, (name, True) in VARIANTS and n_features <= BLOCK
