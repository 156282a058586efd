"""The pass over few rows of many features, by BLAS, and without precision factors.

Of a row as long as these, an E-step takes a triangular solve with the Cholesky factor of the
covariance, and an M-step factors that. The inverse of the factor, which kernels multiply rows by,
would take as long as both. All is in float64 and about the components' own means: a pass in float32
would save little beside the factors.
"""

from typing import Any, NamedTuple

import numpy as np

from fastgmm.covariance import blas
from fastgmm.covariance.blas import PrecisionFactors
from fastgmm.kernels.layout import FORMS, HEADER, NEGLIGIBLE, Forms
from fastgmm.outer_moments import outer_moments
from fastgmm.parameters import Operands
from fastgmm.passes.base import Pass, Shares
from fastgmm.passes.chunks import weighted_sum
from fastgmm.passes.dense import as_asked
from fastgmm.passes.shares import shared_out_of
from fastgmm.sources.base import Chunk, RowSource
from fastgmm.statistics import MomentForm, SufficientStatistics

_CHOLESKY, _SHARED = (forms.density for forms in FORMS[:2])


class WidePass(Pass):
    """Statistics of few rows of many features.

    They are no more numbers than a few covariances. So rows that are elsewhere come to this process
    once, which takes no longer than an iteration there.

    Parameters
    ----------
    dense : Pass
        Over the same rows; it does what is not about matrices.
    source : RowSource
    forms : Forms
        Of the structure.

    Attributes
    ----------
    given_shares : ndarray of shape (n, k), or None
        What `given` was asked for last.
    """

    def __init__(self, dense: Pass, source: RowSource, forms: Forms):
        self._dense, self._source, self._forms = dense, source.scaled(), forms
        self._brought: Chunk | None = None
        self._shared: _SharedOut | None = None
        self.given_shares: np.ndarray | None = None
        self.n_rows, self.n_features = dense.n_rows, dense.n_features
        self.dtype = np.dtype(np.float64)
        self.total_weight, self.weight_scale = dense.total_weight, dense.weight_scale
        if source.place is not None:
            self._brought = self._read()

    def statistics(self, operands, about=None, careful=False):
        form = self._form(careful)
        if operands.background is not None and form is MomentForm.NONE:
            return self._dense.statistics(operands, about, careful)
        about = operands.means if about is None else about
        log_likelihood, responsibilities = self.shared_out(operands)
        sums = _sums(self._read(), responsibilities, about, form)
        sums[0] = log_likelihood
        return self._record(sums, about, form)

    def given(self, shares, about, careful=False):
        chunk, form = self._read(), self._form(careful)
        self.given_shares = taken = _as_matrix(shares.chunk(chunk.start, chunk.stop), len(about))
        return self._record(_sums(chunk, taken, about, form), about, form)

    def means_under(self, shares: Shares, n_components: int) -> np.ndarray:
        """Means (k, d) under given responsibilities."""
        chunk = self._read()
        taken = _as_matrix(shares.chunk(chunk.start, chunk.stop), n_components)
        return weighted_means(chunk, taken)

    def shared_out(self, operands: Operands) -> tuple[float, np.ndarray]:
        """Log-likelihood of all rows, and their responsibilities (n, k); the last are remembered.

        Whoever looks twice at an E-step, as with care, has it made once.
        """
        if self._shared is None or not self._shared.is_of(operands):
            chunk = self._read()
            log_likelihoods, shares = shared_out_to(operands, chunk.rows)
            log_likelihood = weighted_sum(log_likelihoods, chunk.weights)
            self._shared = _SharedOut(operands, log_likelihood, shares)
        return self._shared.log_likelihood, self._shared.shares

    def scatter(self, point):
        chunk, about = self._read(), point[np.newaxis]
        everything = np.ones((self.n_rows, 1))
        sums = _sums(chunk, everything, about, MomentForm.OUTER)
        return SufficientStatistics(MomentForm.OUTER, about, sums)

    def centre(self):
        return self._dense.centre()

    def _form(self, careful: bool) -> MomentForm:
        return MomentForm.OUTER if careful else MomentForm(self._forms.moments)

    def _read(self) -> Chunk:
        if self._brought is not None:
            return self._brought
        return self._source.read(0, self.n_rows)

    def _record(
        self, sums: np.ndarray, about: np.ndarray, form: MomentForm
    ) -> SufficientStatistics:
        return as_asked(SufficientStatistics(form, about, sums), self._forms, self, about[0])


class _SharedOut(NamedTuple):
    """What an E-step makes of all rows."""

    operands: Operands
    log_likelihood: float
    shares: np.ndarray

    def is_of(self, operands: Operands) -> bool:
        """Whether it is of a mixture, of which these are the operands, made anew or not."""
        own = self.operands
        same = own.factors is operands.factors and own.means is operands.means
        same = same and own.background is operands.background
        return same and np.array_equal(own.constants, operands.constants)


def _as_matrix(shares: np.ndarray, n_components: int) -> np.ndarray:
    """Responsibilities (n, k), of such or of labels (n,)."""
    if shares.ndim == 2:
        return shares
    return (shares[:, np.newaxis] == np.arange(n_components)).astype(np.float64)


def weighted_means(chunk: Chunk, responsibilities: np.ndarray) -> np.ndarray:
    """Means (k, d) of the rows of a chunk under responsibilities (n, k)."""
    _, _, rows, weights = chunk
    weighted = responsibilities * weights[:, np.newaxis] if len(weights) else responsibilities
    totals = np.maximum(weighted.sum(axis=0), np.finfo(np.float64).tiny)
    return np.einsum("ik,ij->kj", weighted / totals, rows)


def shared_out_to(operands: Operands, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihoods (n,) and responsibilities (n, k) of rows, of which none is negligible.

    Parameters
    ----------
    operands : Operands
        Of matrices, one for each component or one for all.
    rows : ndarray of shape (n, d)
    """
    noise = -np.inf if operands.background is None else operands.background.log_density
    log_likelihoods, shares = shared_out_of(_log_densities(rows, operands), noise)
    shares[shares < np.exp(NEGLIGIBLE)] = 0.0
    return log_likelihoods, shares


@np.errstate(over="ignore", invalid="ignore")
def _log_densities(rows: np.ndarray, operands: Operands) -> np.ndarray:
    """Weighted log-densities (n, k)."""
    n, d = rows.shape
    distances = np.empty((n, len(operands.means)))
    whitened = blas.filled_rows(n, d)
    within = whitened[:n, :d]
    shared = len(operands.factors.shape) == 2
    if shared:
        np.subtract(rows, operands.origin, out=within)
        _whiten(operands.factors, 0, whitened)
    for c, mean in enumerate(operands.means):
        if shared:
            centred = within - operands.projected[c]
        else:
            np.subtract(rows, mean, out=within)
            _whiten(operands.factors, c, whitened)
            centred = within
        distances[:, c] = np.einsum("ij,ij->i", centred, centred)
    return operands.constants + operands.scales * distances


def _whiten(factors: Any, component: int, rows: np.ndarray) -> None:
    if isinstance(factors, PrecisionFactors):
        factors.whiten(component, rows)
    else:
        blas.whiten(rows, factors.reshape(-1, *factors.shape[-2:])[component])


def _sums(
    chunk: Chunk, responsibilities: np.ndarray, about: np.ndarray, form: MomentForm
) -> np.ndarray:
    """Sums of all rows under responsibilities (n, k), about points (k, d).

    See `SufficientStatistics`; their log-likelihood is 0.
    """
    (n, d), k = chunk.rows.shape, len(about)
    weights = responsibilities
    if len(chunk.weights):
        weights = responsibilities * chunk.weights[:, np.newaxis]
    sums = np.zeros(form.n_sums(k, d))
    sums[1:HEADER] = weighted_sum(np.ones(n), chunk.weights), n
    blocks = sums[HEADER:].reshape(k, -1)
    moments = blas.filled_square(d + 1) if form is MomentForm.OUTER else None
    for block, point, weight in zip(blocks, about, weights.T, strict=True):
        chosen = np.flatnonzero(weight)
        if not len(chosen):  # of which BLAS would refuse to make a product
            continue
        counted, rows = weight[chosen], chunk.rows[chosen]
        if moments is None:
            block[:d] = np.einsum("i,ij->j", counted, rows - point)
            block[d] = counted.sum()
            continue
        # The weight and both moments are one symmetric product.
        roots = np.sqrt(counted)
        halves = np.zeros((len(chosen), len(moments)))
        scaled = np.subtract(rows, point, out=halves[:, :d])
        scaled *= roots[:, np.newaxis]
        halves[:, d] = roots
        blas.scatter(halves, moments)
        block[:] = outer_moments(moments, d)
    return sums
