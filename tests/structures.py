"""The lists of covariance structures that drive the tests.

``python -m pytest -p tests.compound`` adds one that is none of the package's to all but `SHARED`.
"""

from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.base import Conjugate


def first_of_each(kind):
    """The first structure of every kind, and all that are none of the package's."""
    found = {}
    for name in ALL:
        ours = type(STRUCTURES[name]).__module__.startswith("fastgmm.")
        found.setdefault(kind(STRUCTURES[name]) if ours else name, name)
    return list(found.values())


#: Every structure for any number of features: for tests of what structures do themselves.
ALL = [name for name, structure in STRUCTURES.items() if structure.most_features is None]

#: One for every pair of forms: for tests of rows, weights, sources, threads and files, which see
#: no more of a structure than its kernels.
OF_FORMS = first_of_each(lambda structure: structure.forms)

#: One for every pair of forms and shape of arrays: for tests of what is done to arrays.
OF_SHAPES = first_of_each(lambda structure: (structure.forms, structure.shape(3, 5)))

#: Those that scikit-learn has too, hence those that can be compared with it, and that the oracle
#: has an M-step for.
(_allowed,) = SklearnGaussianMixture._parameter_constraints["covariance_type"]
SHARED = [name for name in ALL if name in _allowed.options]


def _estimators(names):
    """Every estimator with every structure that it takes."""
    bayesian = [name for name in names if isinstance(STRUCTURES[name], Conjugate)]
    estimators = [(GaussianMixture, name) for name in names]
    return estimators + [(BayesianGaussianMixture, name) for name in bayesian]


ESTIMATORS = _estimators(OF_FORMS)
ESTIMATORS_OF_SHAPES = _estimators(OF_SHAPES)


def n_variances(name):
    """Of two components and one feature."""
    return STRUCTURES[name].n_free_parameters(2, 1)


def like(name):
    """The structure of scikit-learn whose arrays have the same shape: E-steps treat them alike."""
    shape = STRUCTURES[name].shape(3, 5)
    return next(other for other in SHARED if STRUCTURES[other].shape(3, 5) == shape)
