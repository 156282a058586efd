"""Rows whose missing values are filled in, by what a mixture says of them given the others."""

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtr

from fastgmm.covariance.conditioning import Conditionals, Gaussians, conditionals
from fastgmm.passes.marginal_predictions import MarginalPredictions
from fastgmm.passes.patterns import Batch, Group, batches_of, groups_of, patterns_of
from fastgmm.sources.base import Chunk

Pattern = tuple[np.ndarray, np.ndarray, np.ndarray, Conditionals]
"""Rows' places in a chunk, features that are known, the others, and how these follow."""


class Imputation:
    """Fills in the missing values of chunks.

    Parameters
    ----------
    gaussians : Gaussians
        Of the mixture.
    predict : MarginalPredictions
        Of the same mixture.
    ends : ndarray of shape (2, d), optional
        From where to where noise reaches, if there is any: its values are uniform there.
    """

    def __init__(
        self,
        gaussians: Gaussians,
        predict: MarginalPredictions,
        ends: np.ndarray | None = None,
    ):
        self._gaussians, self._predict, self._ends = gaussians, predict, ends

    def means(self, chunk: Chunk) -> np.ndarray:
        """Rows (rows, d) with the conditional means of what is missing, weighted by component."""
        shares = self._predict.responsibilities(chunk)
        k = len(self._gaussians.means)
        filled = chunk.rows.copy()
        for places, known, others, given in self._patterns(chunk):
            expected = expected_values(self._gaussians, given, chunk.rows[places], known, others)
            values = (shares[places, :k, np.newaxis] * expected).sum(axis=1)
            if self._ends is not None:
                values += shares[places, k:] * self._ends[:, others].mean(axis=0)
            filled[places[:, np.newaxis], others] = values
        return filled

    def draws(self, chunk: Chunk, n_draws: int, random_state: np.random.RandomState) -> np.ndarray:
        """Rows (draws, rows, d) with values in the place of what is missing, drawn given the rest.

        Parameters
        ----------
        chunk : Chunk
        n_draws : int
        random_state : RandomState
            As many numbers are drawn, whatever is missing.
        """
        n, d = chunk.rows.shape
        uniform = random_state.uniform(size=(n_draws, n, 1))
        normal = random_state.standard_normal((n_draws, n, d))
        ends = np.cumsum(self._predict.responsibilities(chunk), axis=1)
        ends /= ends[:, -1:]
        components = (uniform >= ends[:, :-1]).sum(axis=-1)
        is_noise = components == len(self._gaussians.means)
        components[is_noise] = 0
        filled = np.repeat(chunk.rows[np.newaxis], n_draws, axis=0)
        for places, known, others, given in self._patterns(chunk):
            expected = expected_values(self._gaussians, given, chunk.rows[places], known, others)
            drawn = components[:, places]
            deviates = normal[:, places, : len(others)]
            if given.gains is None:
                deviations = np.sqrt(given.covariances[0])[drawn] * deviates
            else:
                roots = np.linalg.cholesky(given.covariances[0])
                # Of one component after the other: a root for every row would take far more memory.
                deviations = np.empty_like(deviates)
                for c, root in enumerate(roots):
                    deviations[drawn == c] = deviates[drawn == c] @ root.T
            values = expected[np.arange(len(places)), drawn] + deviations
            if self._ends is not None:
                low, high = self._ends[:, others]
                of_noise = is_noise[:, places]
                values[of_noise] = low + ndtr(deviates[of_noise]) * (high - low)
            filled[:, places[:, np.newaxis], others] = values
        return filled

    def _patterns(self, chunk: Chunk) -> Iterator[Pattern]:
        """Of each pattern with missing values: places of rows, features, and conditionals."""
        patterns, numbers = patterns_of(chunk.rows)
        if not patterns[0].any():
            known = np.empty((1, 0), dtype=np.int64)
            others = np.arange(patterns.shape[1])[np.newaxis]
            given = conditionals(self._gaussians, known, others)
            yield np.flatnonzero(numbers == 0), known[0], others[0], given
        batches = batches_of(patterns, len(self._gaussians.means))
        for batch, group in zip(batches, groups_of(chunk, numbers, batches), strict=True):
            if batch.missing.shape[1]:
                yield from self._of_batch(batch, group)

    def _of_batch(self, batch: Batch, group: Group) -> Iterator[Pattern]:
        given = conditionals(self._gaussians, batch.observed, batch.missing)
        for i, (known, others) in enumerate(zip(batch.observed, batch.missing, strict=True)):
            places = group.places[group.offsets[i] : group.offsets[i + 1]]
            gains = None if given.gains is None else given.gains[i : i + 1]
            own = Conditionals(gains, given.covariances[i : i + 1])
            yield places, known, others, own


def expected_values(
    gaussians: Gaussians,
    given: Conditionals,
    rows: np.ndarray,
    known: np.ndarray,
    others: np.ndarray,
) -> np.ndarray:
    """Conditional means (n, k, q) of the other features, by component.

    Parameters
    ----------
    gaussians : Gaussians
    given : Conditionals
        Of one choice of known features.
    rows : ndarray of shape (n, d)
        Of which the known features are read.
    known : ndarray of int, shape (p,)
    others : ndarray of int, shape (q,)
    """
    means = gaussians.means
    if given.gains is None:
        return np.broadcast_to(means[:, others], (len(rows), len(means), len(others)))
    centred = rows[:, np.newaxis, known] - means[:, known]
    return means[:, others] + np.einsum("nkp,kqp->nkq", centred, given.gains[0])
