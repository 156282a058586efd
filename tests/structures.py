"""The one list of covariance structures that drives the tests.

``python -m pytest -p tests.compound`` adds one that is none of the package's.
"""

from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.base import Conjugate

#: Every structure of the registry.
ALL = list(STRUCTURES)

#: Those that scikit-learn has too, hence those that can be compared with it, and that the oracle
#: has an M-step for.
(_allowed,) = SklearnGaussianMixture._parameter_constraints["covariance_type"]
SHARED = [name for name in ALL if name in _allowed.options]

#: Every estimator with every structure that it takes.
ESTIMATORS = [(GaussianMixture, name) for name in ALL] + [
    (BayesianGaussianMixture, name) for name in ALL if isinstance(STRUCTURES[name], Conjugate)
]


def like(name):
    """The structure of scikit-learn whose arrays have the same shape: E-steps treat them alike."""
    shape = STRUCTURES[name].shape(3, 5)
    return next(other for other in SHARED if STRUCTURES[other].shape(3, 5) == shape)
