"""M-steps by compiled code beside those by NumPy."""

import numpy as np
import pytest

from fastgmm.covariance import estimates
from fastgmm.covariance.estimates import centre
from fastgmm.kernels.linalg.centred_moments import centred_outer, centred_variances
from fastgmm.statistics import MomentForm, SufficientStatistics

pytestmark = pytest.mark.compiled_only  # without the compiler they are NumPy's own loops


def statistics_of(form, k, d, random):
    """Statistics of components of few rows and of many, and of one without any."""
    weight = random.exponential(size=k) * np.where(np.arange(k) % 3, 1.0, 40.0)
    weight[k // 2] = 0.0
    first = weight[:, np.newaxis] * random.normal(size=(k, d))
    squares = first**2 + weight[:, np.newaxis]
    second = {
        MomentForm.OUTER: lambda: np.einsum("ki,kj->kij", first, first) + np.eye(d),
        MomentForm.DIAGONAL: lambda: squares,
        MomentForm.TRACE: lambda: squares.sum(axis=1),
    }[form]()
    return SufficientStatistics.from_moments(
        form,
        random.normal(size=(k, d)),
        log_likelihood=0.0,
        total_weight=weight.sum(),
        n_rows=k,
        weight=weight,
        first=first,
        second=second,
    )


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize(
    ("form", "pooled"),
    [
        (MomentForm.OUTER, True),
        (MomentForm.OUTER, False),
        (MomentForm.DIAGONAL, False),
        (MomentForm.TRACE, False),
    ],
)
def test_moments_about_new_means_have_the_bits_of_numpy(form, pooled, guarded, monkeypatch):
    random = np.random.RandomState(0)
    for k, d in [(1, 600), (5, 130), (20, 41), (9, 300)]:
        statistics = statistics_of(form, k, d, random)
        if not guarded:
            statistics.sums[3:] *= 1e5
            statistics.weight[k // 2] = 1e5
        found = []
        for of_outer, of_variances in [
            (lambda: None, lambda: None),
            (centred_outer, centred_variances),
        ]:
            monkeypatch.setattr(estimates, "_where_outer_pay", of_outer)
            monkeypatch.setattr(estimates, "_where_variances_pay", of_variances)
            found.append(centre(statistics, pooled=pooled))
        by_numpy, compiled = found
        assert by_numpy.form is compiled.form
        for ours, numpys in zip(compiled[1:], by_numpy[1:], strict=True):
            np.testing.assert_array_equal(ours, numpys)
