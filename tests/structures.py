"""The one list of covariance structures that drives the tests."""

from sklearn.mixture import GaussianMixture

from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.base import Conjugate

#: Every structure of the registry.
ALL = list(STRUCTURES)

#: Those that scikit-learn has too, hence those that can be compared with it.
(_allowed,) = GaussianMixture._parameter_constraints["covariance_type"]
SHARED = [name for name in ALL if name in _allowed.options]

#: Those that variational Bayes can fit.
CONJUGATE = [name for name in ALL if isinstance(STRUCTURES[name], Conjugate)]
