"""Each of many fits is as careful as a fit of its own, whatever the others ask for."""

import numpy as np
import pytest

from fastgmm import fit_many
from tests import structures
from tests.estimator.helpers import quiet_fit


def data_sets(dtype):
    """Plain ones, clusters far apart, a row far from all others, features that say the same."""
    sets = []
    for seed in range(8):
        random = np.random.RandomState(seed)
        X = random.standard_normal((120, 2))
        if seed % 4 == 1:
            X[:40] += 1e6
        elif seed % 4 == 2:
            X[0] = 1e6
        elif seed % 4 == 3:
            X[:, 1] = X[:, 0] + 1e-5 * random.standard_normal(120)
        sets.append(X.astype(dtype))
    return sets


@pytest.mark.parametrize(("cls", "covariance_type"), structures.ESTIMATORS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("init_params", ["kmeans", "random_from_data"])
def test_the_bits_of_fits_of_their_own(covariance_type, dtype, cls, init_params):
    params = {"covariance_type": covariance_type, "init_params": init_params, "max_iter": 20}
    sets = data_sets(dtype)
    report = fit_many(sets, 3, estimator=cls, random_state=0, **params)
    for i, X in enumerate(sets):
        model = cls(n_components=3, random_state=int(report.seeds[i]), n_jobs=1, **params)
        if report.errors[i] is not None:
            with pytest.raises(ValueError, match="ill-defined"):
                quiet_fit(model, X)
            continue
        quiet_fit(model, X)
        for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
            np.testing.assert_array_equal(getattr(report[i], name), getattr(model, name))
