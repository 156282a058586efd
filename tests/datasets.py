"""Named small data sets. ``load(name)`` gives a :class:`DataSet`; its arrays are read-only,
so that a fit that writes into its input fails.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from sklearn import datasets


class DataSet(NamedTuple):
    """Data, and the mixture to fit to it.

    A start from single rows (``k-means++``, ``random_from_data``) has variances of
    ``reg_covar`` and log-densities of size distance^2 / reg_covar. Scikit-learn computes
    these variances as E[x^2] - mean^2, with an error of eps * mean^2, so at the default of
    1e-6 its log-densities are good to the second digit after the point. That decides about
    rows half-way between two components: rare, unless the data lie on a grid. So such
    starts are compared with ``reg_covar_single_rows``.
    """

    name: str
    X: np.ndarray
    n_components: int
    reg_covar: float = 1e-6
    reg_covar_single_rows: float = 1e-4

    def reg_covar_for(self, init_params):
        if init_params in ("k-means++", "random_from_data"):
            return self.reg_covar_single_rows
        return self.reg_covar


def mixture_sample(n_rows, n_features, n_components, seed, spread=4.0, offset=0.0):
    """Rows from a mixture of Gaussians with random, correlated covariances of scale 1."""
    random = np.random.RandomState(seed)
    centres = spread * random.uniform(-1, 1, (n_components, n_features))
    shapes = np.eye(n_features) + 0.3 * random.standard_normal(
        (n_components, n_features, n_features)
    )
    labels = random.randint(n_components, size=n_rows)
    noise = random.standard_normal((n_rows, n_features))
    return offset + centres[labels] + np.einsum("nd,nde->ne", noise, shapes[labels])


def _iris():
    return DataSet("iris", datasets.load_iris().data, 3, reg_covar_single_rows=1e-2)


def _wine():
    # 13 features with standard deviations from 0.1 to 300: condition numbers near 1e8.
    X = datasets.load_wine().data
    return DataSet("wine", X, 3, reg_covar_single_rows=1.0)


def _wine_scaled():
    X = datasets.load_wine().data
    return DataSet(
        "wine_scaled", (X - X.mean(axis=0)) / X.std(axis=0), 3, reg_covar_single_rows=1e-2
    )


def _digits():
    # Some pixels are always blank, and 45 rows per component do not determine 64 x 64
    # covariances: without a floor of some size they are singular.
    X = datasets.load_digits().data[::4]
    return DataSet("digits", X, 10, reg_covar=1.0, reg_covar_single_rows=1.0)


def _anisotropic():
    # Long thin overlapping clusters, in one direction: k-means starts them wrong.
    random = np.random.RandomState(5)
    centres = np.array([[0.0, 0.0], [0.0, 3.0], [0.0, 6.0]])
    noise = random.standard_normal((450, 2)) * np.array([4.0, 0.7])
    return DataSet("anisotropic", centres[np.arange(450) % 3] + noise, 3)


def _duplicates():
    # Small integers, most rows many times over.
    random = np.random.RandomState(6)
    X = np.concatenate([random.poisson(2.0, (150, 3)), 9 + random.poisson(3.0, (100, 3))])
    return DataSet("duplicates", X.astype(np.float64), 2, reg_covar_single_rows=1e-2)


def _one_feature():
    random = np.random.RandomState(7)
    X = np.concatenate([random.normal(-3, 1, 120), random.normal(2, 2, 180)])
    return DataSet("one_feature", X[:, np.newaxis], 2)


def _n_equals_k():
    random = np.random.RandomState(8)
    X = random.uniform(-3, 3, (6, 2))
    return DataSet("n_equals_k", X, 6, reg_covar=1e-2, reg_covar_single_rows=1e-2)


def _blobs(name, *arguments, n_components, reg_covar_single_rows=1e-4, **options):
    X = mixture_sample(*arguments, n_components=n_components, **options)
    return DataSet(name, X, n_components, reg_covar_single_rows=reg_covar_single_rows)


BUILDERS = {
    "iris": _iris,
    "wine": _wine,
    "wine_scaled": _wine_scaled,
    "digits": _digits,
    "anisotropic": _anisotropic,
    "duplicates": _duplicates,
    "one_feature": _one_feature,
    "n_equals_k": _n_equals_k,
    "blobs_2d": lambda: _blobs("blobs_2d", 500, 2, n_components=4, seed=1),
    "blobs_8d": lambda: _blobs("blobs_8d", 400, 8, n_components=3, seed=2),
    "blobs_1_component": lambda: _blobs("blobs_1_component", 100, 3, n_components=1, seed=3),
    "blobs_many_components": lambda: _blobs(
        "blobs_many_components",
        *(1500, 2),
        n_components=12,
        seed=4,
        spread=12.0,
        reg_covar_single_rows=1e-3,
    ),
    "offset_1e8": lambda: _blobs("offset_1e8", 400, 3, n_components=2, seed=9, offset=1e8),
    "float32": lambda: DataSet("float32", mixture_sample(600, 3, 3, seed=10).astype(np.float32), 3),
}

#: What scikit-learn computes well, in float64.
PARITY = [name for name in BUILDERS if name not in ("offset_1e8", "float32")]


@cache
def load(name):
    """The data set of this name, with a read-only array."""
    dataset = BUILDERS[name]()
    dataset.X.flags.writeable = False
    return dataset


def offset_blobs(offset, dtype, n_rows=600, n_features=3, n_components=3, seed=11):
    """Overlapping clusters of scale 1 around ``offset``, rounded to ``dtype``."""
    X = mixture_sample(n_rows, n_features, n_components, seed, spread=3.0)
    return (X + offset).astype(dtype)
