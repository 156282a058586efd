"""Sufficient statistics from the moments that they are made of."""

import numpy as np

from fastgmm.kernels.layout import BLOCK, HEADER, outer_blocks
from fastgmm.statistics import MomentForm, SufficientStatistics


def statistics_from_moments(
    form: MomentForm,
    reference: np.ndarray,
    *,
    log_likelihood: float,
    total_weight: float,
    n_rows: int,
    weight: np.ndarray,
    first: np.ndarray,
    second: np.ndarray | None = None,
) -> SufficientStatistics:
    """Statistics with these moments; the names are those of the properties.

    Raises
    ------
    ValueError
        If the shapes do not belong together.
    """
    if reference.ndim != 2 or 0 in reference.shape:
        raise ValueError(f"the reference has the shape of {reference.shape}")
    k, d = reference.shape
    shapes = {
        MomentForm.OUTER: (k, d, d),
        MomentForm.DIAGONAL: (k, d),
        MomentForm.TRACE: (k,),
        MomentForm.NONE: None,
    }
    found = (weight.shape, first.shape, None if second is None else second.shape)
    if found != ((k,), (k, d), shapes[form]):
        raise ValueError(f"the moments have the shapes {found}")
    blocks: list[np.ndarray] = [first, weight[:, np.newaxis]]
    if second is not None:
        blocks.append(second.reshape(k, -1))
    if form is MomentForm.OUTER:
        assert second is not None
        blocks = [_outer_blocks(weight, first, second)]
    header = np.zeros(HEADER)
    header[:3] = log_likelihood, total_weight, n_rows
    sums = np.concatenate([header, np.concatenate(blocks, axis=1).reshape(-1)])
    return SufficientStatistics(form, reference, sums)


def _outer_blocks(weight: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Lower triangles (k, blocks) of all outer moments, in blocks."""
    k, d = first.shape
    n = outer_blocks(d)
    full = np.zeros((k, n * BLOCK, n * BLOCK))
    full[:, :d, :d] = np.tril(second)
    full[:, d, :d] = first
    full[:, d, d] = weight
    row, column = np.tril_indices(n)
    blocks = full.reshape(k, n, BLOCK, n, BLOCK)[:, row, :, column, :]
    return blocks.transpose(1, 0, 2, 3).reshape(k, -1)
