"""Predictions for the rows of a source, chunk by chunk."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from fastgmm.engines.base import Engine, merged_leaves
from fastgmm.outputs import RowOutput
from fastgmm.passes.chunks import certainties, chunk_predictions, weighted_sum
from fastgmm.passes.kernel_operands import KernelChoice
from fastgmm.sources.base import Chunk, RowGrid, RowSource, merge_chunks


class Columns(NamedTuple):
    """What is predicted of a row, as an array and a file have it.

    Parameters
    ----------
    name : str
        Of the only column, or that those of components begin with.
    dtype : dtype
    width : int, optional
        Number of the columns; None of a single one, which an array has as a vector.
    noisy : bool, optional
        Whether the last of them is that of noise.
    """

    name: str
    dtype: np.dtype
    width: int | None = None
    noisy: bool = False

    @classmethod
    def of(cls, output: str, n_components: int, noisy: bool, dtype: np.dtype) -> "Columns":
        """Those of an output, where the mixture has so many components, and noise or none.

        Numbers are of the given type where the output has none of its own.
        """
        match output:
            case "labels":
                return _LABELS
            case "responsibilities":
                return cls("component", dtype, n_components + noisy, noisy)
            case "log_densities":
                return cls("component", dtype, n_components)
        return cls("log_likelihood", dtype)

    @property
    def names(self) -> str | list[str]:
        """One name, or a list of them."""
        if self.width is None:
            return self.name
        numbered = [f"{self.name}_{c}" for c in range(self.width - self.noisy)]
        return [*numbered, "noise"] if self.noisy else numbered


_LABELS = Columns("component", np.dtype(np.int64))


def predict_rows(
    source: RowSource,
    choice: KernelChoice,
    engine: Engine,
    output: str,
    file: RowOutput | None = None,
    predict: Callable[[Chunk, str, np.ndarray], float] | None = None,
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
    predict : callable, optional
        Writes the predictions for a chunk, if not `chunk_predictions` does.

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
    of_type = partial(Columns.of, output, k, choice.operands.noisy)
    columns, made_in = of_type(source.dtype), of_type(choice.dtype).dtype
    width = () if columns.width is None else (columns.width,)
    dtype = columns.dtype
    out = np.empty((source.n_rows if file is None else 0, *width), dtype)
    grid = RowGrid.of(source.n_rows, source.n_features, k)
    rows = source.astype(choice.dtype)

    def write(index: int) -> None:
        start, stop = grid.bounds(index)
        chunk = rows.read(start, stop)
        in_place = file is None and dtype == made_in
        values = out[start:stop] if in_place else np.empty((stop - start, *width), made_in)
        if predict is None:
            total = chunk_predictions(chunk, choice.forms, choice.operands, output, values)
        else:
            total = predict(chunk, output, values)
        if output == "responsibilities" and not np.isfinite(total):
            check_responsibilities(values, start)
        if file is not None:
            file.write(start, stop, values.astype(dtype, copy=False))
        elif not in_place:
            out[start:stop] = values

    engine.for_each(write, len(grid))
    return out if file is None else None


def check_responsibilities(responsibilities: np.ndarray, start: int) -> None:
    """Check that every row has responsibilities; one that has not lacks them all.

    Parameters
    ----------
    responsibilities : ndarray of shape (rows, k)
    start : int
        Number of the first row.

    Raises
    ------
    ValueError
    """
    lacking = np.isnan(responsibilities[:, 0])
    if lacking.any():
        raise ValueError(
            f"Row {start + int(np.argmax(lacking))}, counted from 0, has no responsibilities: its "
            "density vanishes under every component, even as a logarithm. Is it on the scale of "
            "the data that the model was fitted to?"
        )


def mean_log_likelihood(source: RowSource, choice: KernelChoice, engine: Engine) -> float:
    """Weighted mean of the rows' log-likelihoods, with nothing of the rows' number stored.

    No row should weigh 0: it may have no likelihood at all.
    """
    source = source.astype(choice.dtype)
    grid = RowGrid.of(source.n_rows, source.n_features, len(choice.operands.means))
    total = merge_chunks(partial(_log_likelihood, choice=choice), source, grid, engine)
    return float(total / source.total_weight)


def _log_likelihood(chunk: Chunk, choice: KernelChoice) -> float:
    """Weighted sum of the log-likelihoods of a chunk."""
    values = np.empty(len(chunk.rows), dtype=choice.dtype)
    chunk_predictions(chunk, choice.forms, choice.operands, "log_likelihoods", values)
    return weighted_sum(values, chunk.weights)


def classified_log_likelihood(
    source: RowSource,
    choice: KernelChoice,
    engine: Engine,
    predict: Callable[[Chunk, str, np.ndarray], float] | None = None,
) -> tuple[float, float, float]:
    """Mean log-likelihood of rows, their weight, and the log-likelihood together with classes.

    The last is of the rows and their most probable components (Biernacki, Celeux & Govaert 2000,
    "Assessing a mixture model for clustering with the integrated completed likelihood", eq. 8):
    the sum of their largest log-densities, weights of the components included. The mean has the
    bits of `mean_log_likelihood`.

    Parameters
    ----------
    source : RowSource
        Without rows of weight 0, or without any value.
    choice : KernelChoice
    engine : Engine
    predict : callable, optional
        See `predict_rows`.
    """
    source = source.astype(choice.dtype)
    grid = RowGrid.of(source.n_rows, source.n_features, len(choice.operands.means))
    of_chunk: Callable[[Chunk], np.ndarray] = _Classified(choice)
    if predict is not None:
        of_chunk = partial(classified_chunk, choice=choice, predict=predict)
    total, certainty = merge_chunks(of_chunk, source, grid, engine)
    weight = source.total_weight
    return float(total / weight), weight, float(total + certainty)


def classified_chunk(
    chunk: Chunk,
    choice: KernelChoice,
    predict: Callable[[Chunk, str, np.ndarray], float] | None = None,
    rows_per_chunk: int | None = None,
) -> np.ndarray:
    """Weighted sums of log-likelihoods, and of the logarithms of the largest responsibilities.

    Parameters
    ----------
    chunk : Chunk
    choice : KernelChoice
    predict : callable, optional
        See `predict_rows`.
    rows_per_chunk : int, optional
        Where these are several chunks, which are merged.
    """
    n = len(chunk.rows)
    if predict is None:
        likelihoods, largest = certainties(chunk, choice.forms, choice.operands)
    else:
        values = np.empty((n, 2), dtype=choice.dtype)
        predict(chunk, "certainties", values)
        likelihoods, largest = values.T.copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = likelihoods, np.log(largest, out=largest)
    weights = chunk.weights
    if not len(weights) and predict is not None:
        weights = np.ones(n)
    step = n if rows_per_chunk is None else rows_per_chunk
    cuts = [slice(start, start + step) for start in range(0, n, step)]
    sums = [[weighted_sum(part[cut], weights[cut]) for part in parts] for cut in cuts]
    return merged_leaves(np.array(sums))


@dataclass(frozen=True, eq=False, slots=True)
class _Classified:
    """`classified_chunk` as a function that also takes stretches of chunks."""

    choice: KernelChoice

    def __call__(self, chunk: Chunk) -> np.ndarray:
        return classified_chunk(chunk, self.choice)

    def of_stretch(self, chunk: Chunk, rows_per_chunk: int) -> np.ndarray:
        """The merge of the sums of neighbouring chunks."""
        return classified_chunk(chunk, self.choice, rows_per_chunk=rows_per_chunk)
