"""A row of weight 0 is as good as absent, wherever rows come from, whatever it holds."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastgmm import GaussianMixture
from tests.estimator.helpers import quiet_fit

BAD = (np.nan, np.inf, 1e300)


def rows():
    random = np.random.RandomState(0)
    return random.standard_normal((300, 2)) + 5 * random.randint(0, 2, (300, 1))


def given(kind, X, weights, folder):
    """Rows and weights as arguments of a fit."""
    if kind == "array":
        return X, weights
    table = pa.table({"a": X[:, 0], "b": X[:, 1], "w": weights})
    if kind == "table":
        return table, "w"
    pq.write_table(table, folder / "rows.parquet")
    return folder / "rows.parquet", "w"


every_kind = pytest.mark.parametrize("kind", ["array", "table", "parquet"])


@every_kind
@pytest.mark.parametrize("bad", BAD)
def test_fits_scores_and_statistics(kind, bad, tmp_path):
    X = rows()
    larger = np.insert(X, [0, 100, 300], bad, axis=0)
    weights = np.insert(np.ones(300), [0, 100, 300], 0.0)
    arguments = given(kind, larger, weights, tmp_path)
    model, expected = (GaussianMixture(2, random_state=0) for _ in range(2))
    quiet_fit(model, arguments[0], sample_weight=arguments[1])
    quiet_fit(expected, X, sample_weight=np.ones(300))
    np.testing.assert_array_equal(model.means_, expected.means_)
    np.testing.assert_array_equal(model.covariances_, expected.covariances_)
    assert model.score(arguments[0], sample_weight=arguments[1]) == expected.score(X)
    assert model.bic(arguments[0], sample_weight=arguments[1]) == expected.bic(X)
    found = model.accumulate(arguments[0], arguments[1])
    np.testing.assert_array_equal(found.sums, expected.accumulate(X).sums)


@every_kind
@pytest.mark.parametrize("bad", BAD[:2])
def test_there_is_no_label_for_what_is_no_row(kind, bad, tmp_path):
    """It is said before the fit, not after it."""
    X, weights = rows(), np.ones(300)
    X[7], weights[7] = bad, 0.0
    model = GaussianMixture(2, random_state=0)
    arguments = given(kind, X, weights, tmp_path)
    with pytest.raises(ValueError, match="Row 7, counted from 0, weighs 0"):
        model.fit_predict(arguments[0], sample_weight=arguments[1])
    assert not hasattr(model, "means_")
