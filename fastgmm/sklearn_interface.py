"""Dealings with scikit-learn that the estimators share: versions, constraints, checks."""

import functools
import inspect
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
import sklearn.mixture
from numpy.random.bit_generator import ISeedSequence
from sklearn import get_config
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Hidden, Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import _check_sample_weight, assert_all_finite

from fastgmm.covariance import STRUCTURES, CovarianceStructure
from fastgmm.covariance.checks import check_features, check_held
from fastgmm.starts import METHODS

TAKES_NAMESPACE = (
    "xp" in inspect.signature(sklearn.mixture.GaussianMixture._check_parameters).parameters
)
NAMESPACE = {"xp": np} if TAKES_NAMESPACE else {}
"""scikit-learn 1.8 and later pass the array namespace through private methods."""

_STEPS = (
    "_initialize_parameters",
    "_initialize",
    "_e_step",
    "_m_step",
    "_compute_lower_bound",
    "_estimate_log_prob",
    "_estimate_log_weights",
    "_estimate_weighted_log_prob",
    "_estimate_log_prob_resp",
    "_estimate_weights",
    "_estimate_means",
    "_estimate_precisions",
    "_set_parameters",
)
"""Private steps of scikit-learn's fits and predictions."""


_KNOWN_STRUCTURES = next(
    constraint.options
    for constraint in sklearn.mixture.GaussianMixture._parameter_constraints["covariance_type"]
    if isinstance(constraint, StrOptions)
)
"""Names of covariance structures that scikit-learn has."""

underflow_is_zero = np.errstate(under="ignore")
"""Decorator: densities and moments that vanish are no error, even after ``np.seterr("raise")``."""


class _Registered(StrOptions):
    """The names of all structures, those among them that are registered later."""

    def __init__(self):
        super().__init__(set(STRUCTURES))
        self.options = STRUCTURES.keys()


def constraints(sklearn_class: Any) -> dict:
    """Constraints of scikit-learn's arguments, and of those that are ours.

    Parameters
    ----------
    sklearn_class : type
        The class of scikit-learn that is extended.
    """
    theirs = sklearn_class._parameter_constraints
    return {
        **theirs,
        "covariance_type": [_Registered()],
        # One number for all components; hidden, as few structures take it.
        "precisions_init": [
            *theirs.get("precisions_init", []),
            Hidden(Interval(Real, 0, None, closed="neither")),
        ],
        "reg_covar": [*theirs["reg_covar"], StrOptions({"scale"})],
        "init_params": [StrOptions(set(METHODS)), "array-like", callable],
        "on_failure": [StrOptions({"raise", "recover"})],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
    }


_PLAIN = {int, float, str, bool, type(None), np.int64, np.float64}
"""Types of arguments whose values alone say whether they are right."""

_MOST_CHECKED = 4096

_checked: set[tuple] = set()
"""Arguments that have been found right, with the class that they are of."""


def check_arguments(estimator: Any, check: Callable[[], None]) -> None:
    """Check the arguments of an estimator, unless the same plain ones have been found right before.

    scikit-learn's checks take as long as an iteration of a small fit, or two.

    Parameters
    ----------
    estimator : MixtureEstimator
    check : callable
        scikit-learn's own check, which raises.
    """
    given = vars(estimator)
    cls: Any = type(estimator)
    values = [given.get(name, ...) for name in _names_of_arguments(cls)]
    types = [type(value) for value in values]
    if not _PLAIN.issuperset(types):
        check()
        return
    arguments = (cls, len(STRUCTURES), *types, *values)
    if arguments not in _checked:
        check()
        if len(_checked) >= _MOST_CHECKED:
            _checked.clear()
        _checked.add(arguments)


@functools.lru_cache(maxsize=64)
def _names_of_arguments(cls: Any) -> list[str]:
    return cls._get_param_names()


def knows_start(sklearn_class: Any, init_params: Any) -> bool:
    """Whether `init_params` is a name that scikit-learn's own class takes.

    Parameters
    ----------
    sklearn_class : type
    init_params : object
    """
    names = sklearn_class._parameter_constraints["init_params"]
    return isinstance(init_params, str) and any(
        option.is_satisfied_by(init_params) for option in names
    )


def left_to_sklearn(estimator, *used: str, **ours: Any) -> bool:
    """Whether scikit-learn's own code has to do the work.

    It does where arrays of other libraries are dispatched on, and for subclasses that override
    private steps of the fit.

    Parameters
    ----------
    estimator : MixtureEstimator
    *used : str
        Other methods that scikit-learn's code would call, for subclasses to override.
    **ours : object
        Arguments that scikit-learn does not know; None where they are not given.

    Raises
    ------
    NotImplementedError
        If scikit-learn has to do it, and one of those is given.
    """
    if get_config()["array_api_dispatch"]:
        why = "with array_api_dispatch enabled"
    else:
        of_user = type(estimator)
        of_ours = next(cls for cls in of_user.__mro__ if cls.__module__.startswith("fastgmm."))
        overridden = [name for name in (*_STEPS, *used) if _differs(of_user, of_ours, name)]
        if not overridden:
            return False
        why = f"in a subclass that overrides {overridden[0]}"
    for name, value in ours.items():
        if value is not None:
            raise NotImplementedError(f"{name} is not supported {why}.")
    return True


def _differs(one: type, other: type, name: str) -> bool:
    return getattr(one, name, None) is not getattr(other, name, None)


def checked_weights(sample_weight, X) -> np.ndarray | None:
    """Weights as float64, checked; None stays None."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, str):
        raise ValueError(
            f"sample_weight={sample_weight!r} is the name of a column, as files and tables have "
            "them; with arrays and frames, give the weights themselves."
        )
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    assert_all_finite(weights, input_name="sample_weight")  # a single number is not looked at
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def entropy_of(random_state: Any) -> int:
    """What seeds are made from: the number that is given, or a new one.

    Raises
    ------
    ValueError
        If it is neither None, a RandomState nor an integer from 0.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    is_number = isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool)
    if not is_number or not 0 <= random_state < 2**32:
        raise ValueError(
            "random_state should be None, a RandomState or an integer from 0 to 2**32 - 1, but got "
            f"{random_state!r}."
        )
    return int(random_state)


class _NoEntropy(ISeedSequence):
    """Seeds a generator that is to be seeded anew at once: with nothing, in no time.

    In a list, of which NumPy takes 624 words in 2 us; of an array it takes them in 80.
    """

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        return [0] * n_words


def random_state_of(random_state: Any) -> np.random.RandomState:
    """What scikit-learn's `check_random_state` makes, without asking the system for entropy first.

    Raises
    ------
    ValueError
        If it is neither None, a RandomState nor a seed.
    """
    if type(random_state) is not int:
        return check_random_state(random_state)
    nothing: Any = _NoEntropy()
    made = np.random.RandomState(np.random.MT19937(nothing))
    made.seed(random_state)
    return made


def is_known_structure(structure: CovarianceStructure) -> bool:
    """Whether scikit-learn has a covariance structure of this name."""
    return structure.name in _KNOWN_STRUCTURES


def checked_copy(estimator: Any, structure: CovarianceStructure, n_features: int) -> Any:
    """A copy of an estimator whose arguments scikit-learn has checked, in its words.

    It overwrites some with arrays, or sets attributes, hence the copy. Of the rows only their
    length enters a check.
    """
    check_features(structure, n_features)
    # As copy.copy, without scikit-learn's check of versions.
    checked = object.__new__(type(estimator))
    checked.__dict__.update(vars(estimator))
    if not is_known_structure(structure):
        checked.covariance_type = "full"
    shares = None
    if getattr(checked, "noise", None) is not None and checked.weights_init is not None:
        shares = _checked_shares(checked.weights_init)
        checked.weights_init = shares / shares.sum()  # the rest is left to noise
    given = getattr(estimator, "precisions_init", None)
    shape = structure.shape(estimator.n_components, n_features)
    if isinstance(given, Real) and shape != ():
        raise InvalidParameterError(
            f"The 'precisions_init' parameter of {type(estimator).__name__} must be an array-like "
            f"or None. Got {given!r} instead."
        )
    if not (given is None or structure.holds_matrices or is_known_structure(structure)):
        given, checked.precisions_init = _checked_precisions(given, structure.name, shape), None
        checked._check_parameters(np.zeros((2, n_features)), **NAMESPACE)
        checked.precisions_init = given
    else:
        checked._check_parameters(np.zeros((2, n_features)), **NAMESPACE)
        check_held(structure, "precisions_init", getattr(checked, "precisions_init", None))
    if shares is not None:
        checked.weights_init = shares
    if getattr(estimator, "covariance_prior", None) is not None:
        prior = checked.covariance_prior_  # scikit-learn lets any shape pass for 'spherical'
        shape = structure.of_one(np.empty(structure.shape(1, n_features))).shape
        if np.size(prior) == 1 and shape == ():
            checked.covariance_prior_ = np.reshape(prior, ())[()]
        elif np.shape(prior) != shape:
            raise ValueError(
                f"The parameter '{structure.name} covariance_prior' should have the shape of "
                f"{shape}, but got {np.shape(prior)}"
            )
        check_held(structure, "covariance_prior", structure.for_all(checked.covariance_prior_))
    return checked


def _checked_shares(weights: Any) -> np.ndarray:
    """Initial weights that leave a share to noise, which scikit-learn does not know.

    Raises
    ------
    ValueError
        If they leave none.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if not 0.0 < weights.sum() < 1.0:
        raise ValueError(
            "With noise, which has the rest, weights_init should sum to less than one, but its "
            f"sum is {weights.sum():.6g}."
        )
    return weights


def _checked_precisions(given: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Precisions that are no matrices, of a structure that scikit-learn does not know."""
    precisions = np.asarray(given, dtype=np.float64)
    if precisions.shape != shape:
        raise ValueError(
            f"The parameter '{name} precision' should have the shape of {shape}, but got "
            f"{precisions.shape}"
        )
    if not ((precisions > 0) & (precisions < np.inf)).all():
        raise ValueError(f"'{name} precision' should be positive")
    return precisions
