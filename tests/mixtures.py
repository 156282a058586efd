"""Random mixtures and rows, and the chunks and operands that kernels take of them."""

import numpy as np

from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.estimates import CentredStatistics
from fastgmm.parameters import MixtureParameters
from fastgmm.passes.dense import SumsOfChunks
from fastgmm.passes.kernel_operands import KernelChoice, about_origin
from fastgmm.sources.base import Chunk
from fastgmm.statistics import MomentForm, SufficientStatistics

NO_WEIGHTS = np.empty(0)


def random_covariances(covariance_type, n_components, n_features, random):
    """Well-conditioned covariances of scale 1, in the structure's shape."""
    noise = random.standard_normal((n_components, n_features, 2 * n_features))
    full = 0.3 * np.eye(n_features) + 0.35 * noise @ noise.transpose(0, 2, 1) / n_features
    variances = np.diagonal(full, axis1=1, axis2=2)
    form, scatter = {
        MomentForm.OUTER: (MomentForm.OUTER, full),
        MomentForm.DIAGONAL: (MomentForm.DIAGONAL, variances),
        MomentForm.TRACE: (MomentForm.TRACE, variances.sum(axis=1)),
        MomentForm.NONE: (MomentForm.NONE, full.sum(axis=-3)),
    }[STRUCTURES[covariance_type].forms.moments]
    means = np.zeros((n_components, n_features))
    statistics = CentredStatistics(form, np.ones(n_components), means, scatter)
    return STRUCTURES[covariance_type].fit(statistics, 0.0, None)


def random_parameters(covariance_type, n_components, n_features, random, offset=0.0):
    """A mixture whose components overlap."""
    covariances = random_covariances(covariance_type, n_components, n_features, random)
    return MixtureParameters(
        weights=random.dirichlet(np.full(n_components, 5.0)),
        means=offset + random.standard_normal((n_components, n_features)),
        covariances=covariances,
        precisions_cholesky=STRUCTURES[covariance_type].factor(covariances),
    )


def random_rows(n_rows, n_features, random, dtype=np.float64, offset=0.0):
    return (offset + 1.5 * random.standard_normal((n_rows, n_features))).astype(dtype)


def as_chunk(X, sample_weight=None):
    """All rows as one chunk."""
    return Chunk(0, len(X), X, NO_WEIGHTS if sample_weight is None else sample_weight)


def statistics_of(chunk, structure, operands, shares=None):
    """Sufficient statistics of a chunk."""
    choice = KernelChoice(structure.forms, chunk.rows.dtype, operands)
    sums = SumsOfChunks(choice)(chunk, shares)
    return SufficientStatistics(structure.forms.moments, operands.reference, sums)


def operands_of(structure, parameters, dtype):
    """Operands as kernels read them."""
    return about_origin(structure.operands(parameters), structure.forms.density, np.dtype(dtype))


def moment_operands(structure, means, dtype):
    """Operands for passes that are given their responsibilities: only the means matter."""
    k, d = means.shape
    unit = np.broadcast_to(1.0, structure.shape(k, d))
    if unit.ndim > 1 and unit.shape[-2:] == (d, d):
        unit = np.broadcast_to(np.eye(d), unit.shape)
    return operands_of(structure, MixtureParameters(np.full(k, 1 / k), means, unit, unit), dtype)
