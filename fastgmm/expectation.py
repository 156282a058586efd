"""Functions of a chunk of rows: the E-step's statistics, and predictions.

Free of threads and of estimators, so that any engine may run them.
"""

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.kernels.layout import OUTPUTS
from fastgmm.parameters import Operands
from fastgmm.sources.base import Chunk
from fastgmm.statistics import MomentForm, SufficientStatistics


def chunk_statistics(
    chunk: Chunk,
    structure: CovarianceStructure,
    operands: Operands,
    reference: np.ndarray,
    responsibilities: np.ndarray | None = None,
) -> SufficientStatistics:
    """Sufficient statistics of a chunk.

    Parameters
    ----------
    chunk : Chunk
    structure : CovarianceStructure
    operands : Operands
    reference : ndarray of shape (k, d)
        ``operands.reference``; one object for all chunks of a pass.
    responsibilities : ndarray of shape (rows, k), optional
        Taken instead of the operands' own; the log-likelihood is then 0.
    """
    from fastgmm.kernels.em_pass import statistics_pass

    statistics = SufficientStatistics.zero(structure.moment_form, reference)
    if responsibilities is None:
        responsibilities = np.empty((0, len(reference)))
    add_statistics = statistics_pass(structure.density_form, chunk.rows.dtype)
    add_statistics(chunk.rows, chunk.weights, responsibilities, *operands, statistics.sums)
    return statistics


def cell_statistics(
    chunk: Chunk,
    cells: tuple[np.ndarray, np.ndarray, np.ndarray],
    spreads: np.ndarray,
    structure: CovarianceStructure,
    operands: Operands,
    reference: np.ndarray,
) -> SufficientStatistics:
    """Sufficient statistics of a chunk whose rows are in cells.

    Parameters
    ----------
    chunk : Chunk
    cells : tuple of ndarray
        Ends, centers and radii: see `fastgmm.cells.Cells`.
    spreads : ndarray of shape (k,)
        See `CovarianceStructure.distance_spreads`, for the units of the radii.
    structure, operands, reference
        See `chunk_statistics`.
    """
    from fastgmm.kernels.near_pass import near_statistics_pass

    statistics = SufficientStatistics.zero(structure.moment_form, reference)
    add_statistics = near_statistics_pass(structure.density_form, chunk.rows.dtype)
    add_statistics(chunk.rows, chunk.weights, *cells, spreads, *operands, statistics.sums)
    return statistics


def count_near(rows: np.ndarray, structure: CovarianceStructure, operands: Operands) -> int:
    """Pairs of row and component whose responsibility the E-step would not leave out.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    structure : CovarianceStructure
    operands : Operands
    """
    from fastgmm.kernels.em_pass import NEGLIGIBLE

    log_densities = np.empty((len(rows), len(operands.means)), rows.dtype)
    chunk = Chunk(0, len(rows), rows, np.empty(0))
    chunk_predictions(chunk, structure, operands, "log_densities", log_densities)
    least = log_densities.max(axis=1, keepdims=True) + NEGLIGIBLE
    return int(np.count_nonzero(~(log_densities < least)))  # what is not a number counts


def chunk_scatter(chunk: Chunk, reference: np.ndarray) -> SufficientStatistics:
    """Outer moments of a chunk about one point, in float64: as of a single component.

    Parameters
    ----------
    chunk : Chunk
    reference : ndarray of shape (1, d)
    """
    from fastgmm.kernels.em_pass import scatter_pass

    statistics = SufficientStatistics.zero(MomentForm.OUTER, reference)
    add_scatter = scatter_pass(chunk.rows.dtype)
    add_scatter(chunk.rows, chunk.weights, reference[0], statistics.sums)
    return statistics


def chunk_predictions(
    chunk: Chunk,
    structure: CovarianceStructure,
    operands: Operands,
    output: str,
    out: np.ndarray,
) -> float:
    """Write the predictions for a chunk.

    Parameters
    ----------
    chunk : Chunk
    structure : CovarianceStructure
    operands : Operands
    output : str
        One of `fastgmm.kernels.layout.OUTPUTS`.
    out : ndarray of shape (rows,) or (rows, k)
        int64 for labels, else of the rows' dtype.

    Returns
    -------
    float
        Finite, if every row has a likelihood, where these are computed.
    """
    from fastgmm.kernels.em_pass import prediction_pass

    dtype = chunk.rows.dtype
    vector, matrix, labels = np.empty(0, dtype), np.empty((0, 0), dtype), np.empty(0, np.int64)
    if output == "labels":
        labels = out
    elif out.ndim == 1:
        vector = out
    else:
        matrix = out
    predict = prediction_pass(structure.density_form, dtype)
    return predict(chunk.rows, *operands, OUTPUTS.index(output), vector, matrix, labels)
