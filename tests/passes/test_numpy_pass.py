"""EM runs over any pass: over one of a few lines of NumPy as over the package's own."""

import numpy as np
import pytest

from fastgmm.covariance import STRUCTURES
from fastgmm.em import Listener, run_em
from fastgmm.em_start import first_parameters, refuse_start
from fastgmm.em_step import Model, em_step
from fastgmm.engines.threads import ThreadEngine
from fastgmm.families.maximum_likelihood import GivenParameters, MaximumLikelihood
from fastgmm.passes import Pass, open_pass
from fastgmm.sources.array import array_source
from fastgmm.starts import LabelledRows
from fastgmm.statistics import MomentForm, SufficientStatistics
from tests import mixtures, structures


class NumpyPass(Pass):
    """The E-step by definition."""

    def __init__(self, X, structure):
        self.X, self.structure = X, structure
        self.n_rows, self.n_features = X.shape
        self.dtype, self.total_weight = X.dtype, float(len(X))

    def statistics(self, operands, about=None, careful=False):
        centred = self.X[:, np.newaxis] - operands.means
        density = self.structure.forms.density
        if "cholesky" in density:
            k, d = operands.means.shape
            factors = np.broadcast_to(operands.factors, (k, d, d))
            whitened = np.einsum("nkd,kde->nke", centred, factors)
        else:
            whitened = centred if density == "isotropic" else centred * operands.factors
        logs = operands.constants + operands.scales * (whitened**2).sum(axis=2)
        totals = np.logaddexp.reduce(logs, axis=1)
        means = operands.means if about is None else about
        return self._sums(np.exp(logs - totals[:, np.newaxis]), means, totals.sum())

    def given(self, shares, about, careful=False):
        resp = shares.chunk(0, self.n_rows)
        if resp.ndim == 1:  # labels
            resp = (resp[:, np.newaxis] == np.arange(len(about))).astype(float)
        return self._sums(resp, about, 0.0)

    def scatter(self, point):
        return self._outer(np.ones((self.n_rows, 1)), point[np.newaxis], MomentForm.OUTER, 0.0)

    def centre(self):
        return self.X.mean(axis=0)

    def _sums(self, resp, about, log_likelihood):
        form = MomentForm(self.structure.forms.moments)
        record = self._outer(resp, about, form, log_likelihood)
        return record.with_scatter(self.total_scatter) if form == "none" else record

    def _outer(self, resp, about, form, log_likelihood):
        centred = self.X[:, np.newaxis] - about
        second = {
            "outer": lambda: np.einsum("nk,nkd,nke->kde", resp, centred, centred),
            "diagonal": lambda: np.einsum("nk,nkd->kd", resp, centred**2),
            "trace": lambda: np.einsum("nk,nkd->k", resp, centred**2),
            "none": lambda: None,
        }[form]()
        return SufficientStatistics.from_moments(
            form,
            about,
            log_likelihood=log_likelihood,
            total_weight=self.total_weight,
            n_rows=self.n_rows,
            weight=resp.sum(axis=0),
            first=np.einsum("nk,nkd->kd", resp, centred),
            second=second,
        )


@pytest.mark.parametrize("covariance_type", structures.ALL)
def test_em_over_a_pass_of_a_few_lines(covariance_type):
    structure, random = STRUCTURES[covariance_type], np.random.RandomState(0)
    X = mixtures.random_rows(500, 3, random)
    start = LabelledRows(np.argsort(np.argsort(X[:, 0])) * 3 // len(X), 3)
    family = MaximumLikelihood(structure, GivenParameters())
    model = Model(structure, family, 1e-6, X.dtype)

    def fitted(rows):
        def step(parameters, running):
            iteration = em_step(rows, model, parameters)
            return iteration.parameters, iteration.lower_bound

        (first,) = first_parameters(model, iter([(rows, start)]), 3, 1, refuse_start)
        return run_em(step, first, tol=0, max_iter=20, lower_bound=-np.inf, listener=Listener())

    ours = fitted(open_pass(array_source(X), structure.forms, ThreadEngine(1), 3))
    plain = fitted(NumpyPass(X, structure))
    np.testing.assert_allclose(plain.lower_bounds, ours.lower_bounds, rtol=1e-12)
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(
            getattr(plain.parameters, name), getattr(ours.parameters, name), rtol=1e-9, atol=1e-12
        )
