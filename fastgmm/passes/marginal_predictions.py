"""Predictions for rows in which values are missing, by the marginal densities of what is there."""

from functools import partial

import numpy as np

from fastgmm.covariance.conditioning import Gaussians, marginals
from fastgmm.engines.base import Engine
from fastgmm.parameters import Operands
from fastgmm.passes.chunks import chunk_predictions, weighted_sum
from fastgmm.passes.kernel_operands import KernelChoice, KernelOperands, kernels_for
from fastgmm.passes.patterns import Batch, batches_of, groups_of, patterns_of
from fastgmm.passes.predictions import check_responsibilities
from fastgmm.sources.base import Chunk, RowGrid, RowSource, merge_chunks
from fastgmm.sources.weights import NO_WEIGHTS

_MOST_NUMBERS = 1 << 22
"""Numbers of factors that are kept from chunk to chunk: 32 MB."""


class MarginalPredictions:
    """Predictions of chunks; what patterns need is made when they are met first.

    Parameters
    ----------
    operands : Operands
    density : str
        Density form that they are of.
    choice : KernelChoice
        Kernels for complete rows, and their operands.
    """

    def __init__(self, operands: Operands, density: str, choice: KernelChoice):
        self._choice = choice
        self._gaussians = Gaussians.of(operands, density)
        self._made: dict[bytes, KernelChoice] = {}
        self._most = max(_MOST_NUMBERS // self._gaussians.factors.size, 1)

    def __call__(self, chunk: Chunk, output: str, out: np.ndarray) -> float:
        """Write the predictions for a chunk; see `fastgmm.passes.chunks.chunk_predictions`."""
        patterns, numbers = patterns_of(chunk.rows)
        if not patterns[0].any():
            self._predict_unseen(numbers == 0, output, out)
        batches = batches_of(patterns, len(self._gaussians.means))
        total = 0.0
        for batch, group in zip(batches, groups_of(chunk, numbers, batches), strict=True):
            values = np.empty((len(group.rows), *out.shape[1:]), out.dtype)
            for i, choice in enumerate(self._choices(batch)):
                start, stop = group.offsets[i], group.offsets[i + 1]
                of_pattern = Chunk(start, stop, group.rows[start:stop], NO_WEIGHTS)
                total += chunk_predictions(
                    of_pattern, choice.forms, choice.operands, output, values[start:stop]
                )
            out[group.places] = values
        return total

    def responsibilities(self, chunk: Chunk) -> np.ndarray:
        """Responsibilities (rows, k) in float64, with those of noise, if there is any, last.

        Raises
        ------
        ValueError
            If a row is so far from all components that it has none.
        """
        k, noisy = len(self._gaussians.means), self._gaussians.background is not None
        shares = np.empty((len(chunk.rows), k + noisy), chunk.rows.dtype)
        if not np.isfinite(self(chunk, "responsibilities", shares)):
            check_responsibilities(shares, chunk.start)
        return shares.astype(np.float64, copy=False)

    def _predict_unseen(self, rows: np.ndarray, output: str, out: np.ndarray) -> None:
        """Of rows without any value, nothing but the weights of the components is known."""
        log_weights, background = self._gaussians.log_weights, self._gaussians.background
        k = len(log_weights)
        if output == "log_densities":
            out[rows] = log_weights
            return
        if background is not None:
            log_weights = np.append(log_weights, background.log_weight)
        if output == "labels":
            most = np.argmax(log_weights)
            out[rows] = most if most < k else -1
        elif output == "log_likelihoods":
            out[rows] = 0.0
        else:
            weights = np.exp(log_weights - log_weights.max())
            weights /= weights.sum()
            out[rows] = (0.0, weights.max()) if output == "certainties" else weights

    def _choices(self, batch: Batch) -> list[KernelChoice]:
        """Kernels for each pattern of a batch."""
        if not batch.missing.shape[1]:
            return [self._choice]
        dtype, careful = self._choice.dtype, self._choice.careful
        keys = [features.tobytes() for features in batch.observed]
        found = {key: self._made[key] for key in keys if key in self._made}
        new = [i for i, key in enumerate(keys) if key not in found]
        if new:
            operands = marginals(self._gaussians, batch.observed[new])
            made = kernels_for(operands, self._gaussians.forms, dtype, careful)
            made_now = {
                keys[i]: made._replace(
                    operands=KernelOperands(*(part[place] for part in made.operands))
                )
                for place, i in enumerate(new)
            }
            if len(self._made) + len(new) <= self._most:
                self._made.update(made_now)
            found |= made_now
        return [found[key] for key in keys]


def mean_seen_log_likelihood(
    source: RowSource, choice: KernelChoice, predict: MarginalPredictions, engine: Engine
) -> tuple[float, float]:
    """Weighted mean of the log-likelihoods of rows that have a value, and the sum of their weights.

    Parameters
    ----------
    source : RowSource
    choice : KernelChoice
    predict : MarginalPredictions
    engine : Engine

    Raises
    ------
    ValueError
        If no row has a value.
    """
    source = source.astype(choice.dtype)
    grid = RowGrid.of(source.n_rows, source.n_features, len(choice.operands.means))
    of_chunk = partial(_seen_log_likelihood, choice=choice, predict=predict)
    total, weight = merge_chunks(of_chunk, source, grid, engine)
    if weight == 0:
        raise ValueError(f"{source.name} has no values: all are missing.")
    return float(total / weight), float(weight)


def _seen_log_likelihood(
    chunk: Chunk, choice: KernelChoice, predict: MarginalPredictions
) -> np.ndarray:
    """Weighted sum of the log-likelihoods of rows that have a value, and of their weights."""
    values = np.empty(len(chunk.rows), dtype=choice.dtype)
    predict(chunk, "log_likelihoods", values)
    seen = ~np.isnan(chunk.rows).all(axis=1)
    weights = seen * chunk.weights if len(chunk.weights) else seen.astype(np.float64)
    return np.array([weighted_sum(values, weights), weights.sum()])
