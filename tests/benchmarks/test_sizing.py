"""The formula that sizes jobs."""

import numpy as np

from benchmarks.sizing import fitted


def test_coefficients_come_out_of_times_that_follow_them():
    features = np.array([2, 4, 8, 16, 32, 64])
    times = 1.0 + 0.1 * features + 0.03 * features**2
    np.testing.assert_allclose(fitted(features, times, 3), [1.0, 0.1, 0.03], rtol=1e-8)
    times[-1] *= (
        1.1  # a large figure that is off by a tenth counts no more than a small one that is
    )
    near = np.polynomial.polynomial.polyval(features, fitted(features, times, 3))
    np.testing.assert_allclose(near, times, rtol=0.1)
