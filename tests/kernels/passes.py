"""What the tests of the passes share: shapes, types and how close is close."""

import numpy as np
import pytest

from tests import tolerances

#: Rows, features, components: one row, part of a tile, several tiles, tiles made small by many
#: features or components; no multiple of anything.
SHAPES = [
    (1, 1, 1),
    (1, 3, 2),
    (2, 1, 3),
    (37, 2, 1),
    (64, 4, 4),
    (65, 5, 3),
    (129, 8, 9),
    (131, 17, 5),
    (1337, 3, 4),
    (2100, 2, 2),
    (70, 130, 2),
    (300, 2, 130),
]
RTOL = {
    dtype: tolerances.PASS_ROUNDINGS * np.finfo(dtype).eps for dtype in (np.float64, np.float32)
}

every_dtype = pytest.mark.parametrize("dtype", list(RTOL))
every_shape = pytest.mark.parametrize("shape", SHAPES)


def assert_close(actual, desired, rtol):
    """Differences below ``rtol`` of the largest number."""
    scale = np.abs(np.asarray(desired)[np.isfinite(desired)]).max(initial=0.0)
    np.testing.assert_allclose(actual, desired, rtol=0, atol=rtol * float(scale))
