"""Predictions for the rows of a source, chunk by chunk."""

import numpy as np

from fastgmm.engines.base import Engine
from fastgmm.outputs import RowOutput
from fastgmm.passes.chunks import chunk_predictions
from fastgmm.passes.kernel_operands import KernelChoice
from fastgmm.sources.base import RowGrid, RowSource


def predict_rows(
    source: RowSource,
    choice: KernelChoice,
    engine: Engine,
    output: str,
    file: RowOutput | None = None,
) -> np.ndarray | None:
    """Predictions for every row of a source.

    Parameters
    ----------
    source : RowSource
        In the type that predictions, but for labels, are wanted in.
    choice : KernelChoice
    engine : Engine
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
    k = len(choice.operands.means)
    width = (k,) if output in ("responsibilities", "log_densities") else ()
    if output == "responsibilities" and choice.operands.background is not None:
        width = (k + 1,)
    dtype, made_in = np.dtype(np.int64), np.dtype(np.int64)
    if output != "labels":
        dtype, made_in = source.dtype, choice.dtype
    out = np.empty((source.n_rows if file is None else 0, *width), dtype)
    grid = RowGrid.of(source.n_rows, source.n_features, k)
    rows = source.astype(choice.dtype)

    def write(index: int) -> None:
        start, stop = grid.bounds(index)
        chunk = rows.read(start, stop)
        in_place = file is None and dtype == made_in
        values = out[start:stop] if in_place else np.empty((stop - start, *width), made_in)
        total = chunk_predictions(chunk, choice.forms, choice.operands, output, values)
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
            file.write(start, stop, values.astype(dtype, copy=False))
        elif not in_place:
            out[start:stop] = values

    engine.for_each(write, len(grid))
    return out if file is None else None


def mean_log_likelihood(source: RowSource, choice: KernelChoice, engine: Engine) -> float:
    """Weighted mean of the rows' log-likelihoods, with nothing of the rows' number stored.

    No row should weigh 0: it may have no likelihood at all.
    """
    source = source.astype(choice.dtype)
    grid = RowGrid.of(source.n_rows, source.n_features, len(choice.operands.means))

    def weighted(index: int) -> float:
        chunk = source.read(*grid.bounds(index))
        values = np.empty(len(chunk.rows), dtype=choice.dtype)
        chunk_predictions(chunk, choice.forms, choice.operands, "log_likelihoods", values)
        if not len(chunk.weights):
            return float(values.sum(dtype=np.float64))
        return float(values.astype(np.float64) @ chunk.weights)

    return engine.reduce(weighted, len(grid)) / source.total_weight
