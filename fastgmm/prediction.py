"""Predictions for the rows of a source, chunk by chunk."""

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.engines.base import Engine
from fastgmm.expectation import chunk_predictions
from fastgmm.outputs import RowOutput
from fastgmm.parameters import Operands
from fastgmm.sources.base import RowGrid, RowSource


def predict_rows(
    source: RowSource,
    structure: CovarianceStructure,
    engine: Engine,
    operands: Operands,
    output: str,
    file: RowOutput | None = None,
) -> np.ndarray | None:
    """Predictions for every row of a source.

    Parameters
    ----------
    source : RowSource
    structure : CovarianceStructure
    engine : Engine
    operands : Operands
    output : str
        One of `fastgmm.kernels.layout.OUTPUTS`.
    file : RowOutput, optional
        Takes the predictions chunk by chunk; nothing is then returned.

    Returns
    -------
    ndarray of shape (n,) or (n, k), or None

    Raises
    ------
    ValueError
        If a row is so far from all components that its squared distances overflow, and
        responsibilities are asked for.
    """
    k = len(operands.means)
    width = (k,) if output in ("responsibilities", "log_densities") else ()
    dtype = np.int64 if output == "labels" else source.dtype
    out = np.empty((source.n_rows if file is None else 0, *width), dtype)
    grid = RowGrid.of(source.n_rows, source.n_features, k)

    def write(index: int) -> None:
        start, stop = grid.bounds(index)
        chunk = source.read(start, stop)
        values = out[start:stop] if file is None else np.empty((stop - start, *width), dtype)
        total = chunk_predictions(chunk, structure, operands, output, values)
        # A row without responsibilities lacks them all.
        lacking = output == "responsibilities" and not np.isfinite(total)
        if lacking and np.isnan(values[:, 0]).any():
            row = start + int(np.argmax(np.isnan(values[:, 0])))
            raise ValueError(
                f"Row {row}, counted from 0, has no responsibilities: its density vanishes under "
                "every component, even as a logarithm. Is it on the scale of the data that the "
                "model was fitted to?"
            )
        if file is not None:
            file.write(start, stop, values)

    engine.for_each(write, len(grid))
    return out if file is None else None


def mean_log_likelihood(
    source: RowSource,
    structure: CovarianceStructure,
    engine: Engine,
    operands: Operands,
) -> float:
    """Weighted mean of the rows' log-likelihoods, with nothing of the rows' number stored."""
    grid = RowGrid.of(source.n_rows, source.n_features, len(operands.means))

    def weighted(index: int) -> float:
        chunk = source.read(*grid.bounds(index))
        values = np.empty(len(chunk.rows), dtype=source.dtype)
        chunk_predictions(chunk, structure, operands, "log_likelihoods", values)
        if not len(chunk.weights):
            return float(values.sum(dtype=np.float64))
        present = chunk.weights > 0  # an absent row may have no likelihood at all
        return float(values[present].astype(np.float64) @ chunk.weights[present])

    return engine.reduce(weighted, len(grid)) / source.total_weight
