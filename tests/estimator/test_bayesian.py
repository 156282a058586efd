"""BayesianGaussianMixture: scikit-learn's answers, and what is ours besides."""

import itertools
import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import BayesianGaussianMixture as Theirs
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastgmm import BayesianGaussianMixture as Ours
from fastgmm import GaussianMixture
from tests import datasets, structures, tolerances
from tests.estimator.helpers import SKLEARN_1_7, STARTS, assert_close, quiet_fit
from tests.estimator.outcomes import outcome

RTOL = tolerances.PARITY_RTOL
CLASSES = (Ours, Theirs)
PRIOR_TYPES = ("dirichlet_process", "dirichlet_distribution")
POSTERIOR = (
    "weights_",
    "weight_concentration_",
    "means_",
    "mean_precision_",
    "degrees_of_freedom_",
    "covariances_",
    "precisions_",
    "precisions_cholesky_",
)
PRIORS = (
    "weight_concentration_prior_",
    "mean_precision_prior_",
    "mean_prior_",
    "degrees_of_freedom_prior_",
    "covariance_prior_",
)
X = datasets.load("anisotropic").X
K = 3
LABELS = np.digitize(X[:, 1], [1.0, 5.0])
REPEATS = np.random.RandomState(21).randint(0, 4, len(X))  # with zeros

every_structure = pytest.mark.parametrize("covariance_type", structures.SHARED)
every_prior_type = pytest.mark.parametrize("prior_type", PRIOR_TYPES)


def params_of(covariance_type, prior_type="dirichlet_process", **others):
    return {
        "covariance_type": covariance_type,
        "weight_concentration_prior_type": prior_type,
        "random_state": 0,
        **others,
    }


def given_priors(covariance_type, d):
    """Every prior, as numbers and arrays that are not the defaults."""
    covariance = np.eye(d) + 0.1
    return {
        "weight_concentration_prior": 0.01,
        "mean_precision_prior": 0.5,
        "mean_prior": np.linspace(-1, 1, d),
        "degrees_of_freedom_prior": d + 1.5,
        "covariance_prior": {
            "full": covariance,
            "tied": covariance,
            "diag": np.linspace(0.5, 2, d),
            "spherical": 0.7,
        }[covariance_type],
    }


def fit_both(rows, **params):
    return tuple(quiet_fit(cls(**params), rows) for cls in CLASSES)


def assert_same_fit(model, desired, rtol=RTOL):
    assert model.n_iter_ == desired.n_iter_
    assert model.converged_ is desired.converged_
    for name in POSTERIOR:
        assert_close(getattr(model, name), getattr(desired, name), rtol)
    spread = np.sqrt(np.max(desired.covariance_prior_))
    for name in PRIORS:
        mine, other = np.asarray(getattr(model, name)), np.asarray(getattr(desired, name))
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=rtol * spread)
    # scikit-learn's bounds are arrays of one number where the covariance is tied.
    assert_close(model.lower_bound_, np.ravel(desired.lower_bound_)[0], rtol)
    if hasattr(desired, "lower_bounds_"):  # since scikit-learn 1.7
        assert_close(model.lower_bounds_, np.ravel(desired.lower_bounds_), rtol)


def assert_identical(model, desired):
    assert (model.n_iter_, model.lower_bounds_) == (desired.n_iter_, desired.lower_bounds_)
    for name in POSTERIOR + PRIORS:
        np.testing.assert_array_equal(getattr(model, name), getattr(desired, name))


# --- scikit-learn's answers ---------------------------------------------------------------


@every_structure
@every_prior_type
@pytest.mark.parametrize("name", datasets.PARITY)
@pytest.mark.parametrize("init_params", STARTS)
def test_fit(name, covariance_type, prior_type, init_params):
    dataset = datasets.load(name)
    few = {"max_iter": 5} if name == "digits" else {}  # a second per fit of scikit-learn's
    params = params_of(
        *(covariance_type, prior_type),
        n_components=dataset.n_components,
        init_params=init_params,
        reg_covar=dataset.reg_covar_for(init_params),
        **few,
    )
    fast, theirs = fit_both(dataset.X, **params)
    assert_same_fit(fast, theirs)
    np.testing.assert_array_equal(fast.predict(dataset.X), theirs.predict(dataset.X))
    assert_close(fast.score_samples(dataset.X), theirs.score_samples(dataset.X), RTOL)
    assert_close(fast.score(dataset.X), theirs.score(dataset.X), RTOL)
    np.testing.assert_allclose(
        fast.predict_proba(dataset.X),
        theirs.predict_proba(dataset.X),
        atol=tolerances.PARITY_PROBABILITY_ATOL,
    )


@every_structure
@every_prior_type
@pytest.mark.parametrize("name", ["iris", "one_feature", "blobs_8d"])
def test_given_priors(name, covariance_type, prior_type):
    dataset = datasets.load(name)
    every = given_priors(covariance_type, dataset.X.shape[1])
    for priors in (every, *({prior: value} for prior, value in every.items())):
        params = params_of(covariance_type, prior_type, n_components=5, **priors)
        assert_same_fit(*fit_both(dataset.X, **params))


@every_structure
@every_prior_type
def test_surplus_components(covariance_type, prior_type):
    """The use of the model: more components than there are, most of which die out."""
    rows = datasets.load("blobs_2d").X
    params = params_of(covariance_type, prior_type, max_iter=400, tol=1e-4)
    fast, theirs = fit_both(rows, n_components=15, weight_concentration_prior=1e-3, **params)
    assert_same_fit(fast, theirs)
    assert fast.weights_.min() < 1e-4


@every_structure
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("max_iter", [0, 1])
def test_few_iterations(covariance_type, init_params, max_iter):
    params = params_of(covariance_type, init_params=init_params, reg_covar=1e-3)
    fast, theirs = fit_both(X, n_components=K, max_iter=max_iter, **params)
    assert_same_fit(fast, theirs)
    np.testing.assert_array_equal(fast.predict(X), theirs.predict(X))


@every_structure
def test_restarts_keep_the_best(covariance_type):
    params = params_of(covariance_type, n_init=4, init_params="random_from_data", max_iter=6)
    assert_same_fit(*fit_both(X, n_components=K, reg_covar=1e-3, **params))


@every_structure
@every_prior_type
def test_warm_start(covariance_type, prior_type):
    models = [
        cls(n_components=K, warm_start=True, **params_of(covariance_type, prior_type))
        for cls in CLASSES
    ]
    for rows, max_iter in ((X, 2), (X, 3), (X[:200], 1), (X, 0), (X, 200), (X, 200)):
        for model in models:
            quiet_fit(model.set_params(max_iter=max_iter), rows)
        assert_same_fit(*models)


@every_structure
def test_types_of_the_fitted_attributes(covariance_type):
    fast, theirs = fit_both(X, n_components=K, **params_of(covariance_type))
    for name in POSTERIOR + PRIORS:
        mine, other = getattr(fast, name), getattr(theirs, name)
        assert type(mine) is type(other)
        assert np.shape(mine) == np.shape(other)
    assert isinstance(fast.lower_bound_, float)
    fitted = [{name for name in vars(model) if name.endswith("_")} for model in (fast, theirs)]
    assert fitted[0] == fitted[1] | {"lower_bounds_", "diagnostics_"}


def test_sample_is_scikit_learns():
    fast, theirs = fit_both(X, n_components=K, **params_of("full"))
    fast.set_params(random_state=5)
    theirs.set_params(random_state=5)
    for mine, other in zip(fast.sample(20), theirs.sample(20), strict=True):
        np.testing.assert_allclose(mine, other, rtol=tolerances.DRAWS_RTOL)


def test_verbose_prints_the_same_text(capsys):
    texts = []
    for cls in CLASSES:
        quiet_fit(cls(n_components=K, verbose=2, verbose_interval=1, random_state=0), X)
        texts.append(re.sub(r"time lapse \d+\.\d{5}s", "time lapse", capsys.readouterr().out))
    assert texts[0] == texts[1] != ""


@every_structure
@every_prior_type
def test_private_methods_still_answer(covariance_type, prior_type):
    fast, theirs = fit_both(X, n_components=K, **params_of(covariance_type, prior_type))
    for name in ("_estimate_log_prob", "_estimate_weighted_log_prob"):
        assert_close(getattr(fast, name)(X), getattr(theirs, name)(X), RTOL)
    fast._set_parameters(fast._get_parameters())
    assert_close(fast.weights_, theirs.weights_, RTOL)


# --- errors -------------------------------------------------------------------------------

BAD_PARAMETERS = [
    {"n_components": 0},
    {"covariance_type": "bogus"},
    {"tol": -1},
    {"weight_concentration_prior_type": "bogus"},
    {"weight_concentration_prior": 0},
    {"mean_precision_prior": -1},
    {"mean_prior": "mean"},
    {"mean_prior": [0.0]},
    {"mean_prior": [0.0, np.nan]},
    {"degrees_of_freedom_prior": 0.5},
    {"degrees_of_freedom_prior": "many"},
    {"covariance_prior": -1.0},
    {"covariance_prior": np.eye(3)},
    {"covariance_prior": -np.eye(2)},
    {"covariance_prior": [[1.0, 0.5], [0.0, 1.0]]},
    {"covariance_type": "tied", "covariance_prior": np.zeros((2, 2))},
    {"covariance_type": "diag", "covariance_prior": [1.0]},
    {"covariance_type": "diag", "covariance_prior": [1.0, -1.0]},
    {"covariance_type": "spherical", "covariance_prior": -1.0},
]


@pytest.mark.parametrize("params", BAD_PARAMETERS, ids=str)
def test_bad_parameters(params):
    fast, theirs = (outcome(lambda cls=cls: cls(**params).fit(X)) for cls in CLASSES)
    assert theirs[0] is not None
    assert fast == theirs


@pytest.mark.parametrize(
    "rows", [X[:2], X[:1], X[0], X * np.nan, np.where(X > 3, np.inf, X), X[:, :0]], ids=range(6)
)
def test_bad_data(rows):
    fast, theirs = (outcome(lambda cls=cls: cls(n_components=K).fit(rows)) for cls in CLASSES)
    assert theirs[0] is not None
    assert fast == theirs


def test_not_converged():
    with pytest.warns(ConvergenceWarning, match="did not converge") as caught:
        Ours(n_components=K, max_iter=1, random_state=0).fit(X)
    assert caught[0].filename == __file__


@pytest.mark.skipif(not SKLEARN_1_7, reason="older texts lack the advice to scale the data")
@every_structure
def test_ill_defined_covariance(covariance_type):
    params = {"covariance_type": covariance_type, "reg_covar": 0.0, "n_components": 2}
    rows = np.zeros((20, 2))
    fast, theirs = (outcome(lambda cls=cls: cls(**params).fit(rows)) for cls in CLASSES)
    assert "ill-defined" in theirs[0][1]
    assert fast[0] == theirs[0]


def test_not_fitted():
    with pytest.raises(NotFittedError):
        Ours().predict(X)


def test_the_constructor_s_arguments_are_left_alone():
    priors = given_priors("full", 2)
    model = quiet_fit(Ours(n_components=K, **priors), X)
    for name, value in priors.items():
        assert getattr(model, name) is value


# --- weights ------------------------------------------------------------------------------


@every_structure
@every_prior_type
def test_integer_weights_are_repeated_rows(covariance_type, prior_type):
    params = params_of(covariance_type, prior_type, n_components=K, tol=1e-3)
    one = quiet_fit(Ours(init_params=LABELS, **params), X, sample_weight=REPEATS)
    other = quiet_fit(Ours(init_params=LABELS.repeat(REPEATS), **params), X.repeat(REPEATS, axis=0))
    assert other.n_iter_ > 5
    assert_same_fit(one, other, tolerances.REPEATED_ROWS_RTOL)


@every_structure
@pytest.mark.parametrize("init_params", STARTS)
def test_weights_of_one_change_nothing(covariance_type, init_params):
    params = params_of(covariance_type, n_components=K, init_params=init_params, reg_covar=1e-3)
    plain, weighted = quiet_fit(Ours(**params), X), Ours(**params)
    quiet_fit(weighted, X, sample_weight=np.ones(len(X)))
    assert_same_fit(weighted, plain, tolerances.SAME_DATA_RTOL)


@every_structure
def test_rows_of_weight_zero_are_absent(covariance_type):
    params = params_of(covariance_type, n_components=K)
    present = np.arange(len(X)) % 3 > 0
    rows = np.where(present[:, np.newaxis], X, 1e6)
    one = quiet_fit(Ours(**params), rows, sample_weight=present.astype(float))
    assert_same_fit(one, quiet_fit(Ours(**params), X[present]), tolerances.SAME_DATA_RTOL)


def test_the_scale_of_weights_is_the_amount_of_evidence():
    params = params_of("full", n_components=K, init_params=LABELS, mean_precision_prior=50.0)
    once, thrice = (
        quiet_fit(Ours(**params), X, sample_weight=np.full(len(X), weight)) for weight in (1.0, 3.0)
    )
    assert thrice.degrees_of_freedom_.sum() == pytest.approx(3 * len(X) + 2 * K)
    pulled = [np.abs(model.means_ - X.mean(axis=0)).sum() for model in (once, thrice)]
    assert pulled[0] < pulled[1]


def test_weights_that_sum_to_one_row_determine_no_covariance():
    weights = np.full(len(X), 1 / len(X))
    with pytest.raises(ValueError, match="no more than one row"):
        Ours(n_components=K).fit(X, sample_weight=weights)
    model = quiet_fit(Ours(n_components=K, covariance_prior=np.eye(2)), X, sample_weight=weights)
    assert np.isfinite(model.covariances_).all()


# --- what is ours -------------------------------------------------------------------------


@every_structure
def test_float32_rows_are_fitted_in_float64(covariance_type):
    rows = datasets.load("float32").X
    params = params_of(covariance_type, n_components=K, init_params="random_from_data")
    narrow, wide = (quiet_fit(Ours(**params), array) for array in (rows, rows.astype(np.float64)))
    assert narrow.lower_bounds_ == wide.lower_bounds_
    for name in (*POSTERIOR, "mean_prior_", "covariance_prior_"):
        value, exact = np.asarray(getattr(narrow, name)), np.asarray(getattr(wide, name))
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, exact.astype(np.float32))
    assert narrow.predict_proba(rows).dtype == narrow.score_samples(rows).dtype == np.float32
    theirs = quiet_fit(Theirs(**params), rows)
    assert_close(narrow.means_, theirs.means_, tolerances.PARITY_RTOL_FLOAT32)


def test_tolerance_per_sample():
    """The same for any number of rows, where the sum over rows asks ever more."""
    params = params_of("full", n_components=K, tol=1e-4, max_iter=500)

    def iterations(repeats, **others):
        init_params = np.tile(LABELS, repeats)
        model = Ours(init_params=init_params, **params, **others)
        return quiet_fit(model, np.tile(X, (repeats, 1))).n_iter_

    normalised = [iterations(repeats, tol_per_sample=True) for repeats in (1, 20)]
    assert normalised[1] < iterations(20)
    assert abs(normalised[1] - normalised[0]) <= 0.3 * normalised[0]
    weighted = Ours(init_params=LABELS, **params, tol_per_sample=True)
    quiet_fit(weighted, X, sample_weight=np.full(len(X), 20.0))
    assert weighted.n_iter_ == normalised[1]


@every_structure
@every_prior_type
def test_the_bound_rises(covariance_type, prior_type):
    for seed in range(3):
        params = params_of(covariance_type, prior_type, n_components=6, tol=1e-9, reg_covar=0)
        params["random_state"] = seed
        model = quiet_fit(Ours(init_params="random", max_iter=60, **params), X)
        # scikit-learn shares out the Wishart distribution of a tied covariance among components,
        # which is not the maximum.
        if covariance_type != "tied":
            assert np.diff(model.lower_bounds_).min() > -1e-8 * abs(model.lower_bound_)


@every_structure
def test_any_number_of_threads_gives_the_same_bits(covariance_type):
    rows = datasets.mixture_sample(60_000, 4, 5, seed=51, spread=3.0)
    params = params_of(covariance_type, n_components=5, init_params="random_from_data", max_iter=5)
    params["reg_covar"] = 1e-2
    first, *others = (quiet_fit(Ours(n_jobs=n, **params), rows) for n in (1, 2, 3, 8))
    for other in others:
        assert_identical(other, first)


@every_structure
def test_far_from_the_origin(covariance_type):
    """The same posterior, shifted; the shift is exact in these rows."""
    rows = np.round(X * 2**10) / 2**10
    params = params_of(covariance_type, n_components=K, init_params=LABELS)
    near, far = (quiet_fit(Ours(**params), rows + shift) for shift in (0.0, 2.0**24))
    assert_close(far.covariances_, near.covariances_, 1e-6)
    np.testing.assert_allclose(far.means_ - 2.0**24, near.means_, atol=1e-6)
    np.testing.assert_allclose(far.lower_bound_, near.lower_bound_, rtol=1e-8)


@pytest.mark.parametrize(
    "start", [LABELS, np.eye(K)[LABELS], lambda X, k, random_state: LABELS], ids=range(3)
)
def test_arrays_and_callables_as_starts(start):
    model = quiet_fit(Ours(init_params=start, n_components=K), X)
    assert_identical(model, quiet_fit(Ours(init_params=LABELS, n_components=K), X))


def test_predictions_from_attributes_set_by_hand():
    fitted = quiet_fit(Ours(n_components=K, random_state=0), X)
    model = Ours(n_components=K)
    for name in POSTERIOR:
        setattr(model, name, getattr(fitted, name))
    np.testing.assert_array_equal(model.predict_proba(X), fitted.predict_proba(X))


@every_prior_type
def test_to_scikit_learn_and_back(prior_type):
    fast = quiet_fit(Ours(n_components=K, tol_per_sample=True, **params_of("full", prior_type)), X)
    theirs = fast.to_sklearn()
    assert type(theirs) is Theirs
    assert_close(theirs.score_samples(X), fast.score_samples(X), RTOL)
    back = Ours.from_sklearn(theirs, n_jobs=1)
    assert_identical(back, fast)
    with pytest.raises(TypeError, match="BayesianGaussianMixture, but got GaussianMixture"):
        Ours.from_sklearn(GaussianMixture())


def test_clone_and_pickle():
    model = quiet_fit(Ours(n_components=K, random_state=0, n_jobs=2, tol_per_sample=True), X)
    assert clone(model).get_params() == model.get_params()
    assert isinstance(model, Theirs)
    assert_identical(pickle.loads(pickle.dumps(model)), model)


@pytest.mark.parametrize("params", [{"tol_per_sample": "yes"}, {"n_jobs": 0}], ids=str)
def test_bad_parameters_of_our_own(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        Ours(**params).fit(X)


CHECKS = parametrize_with_checks(
    [Ours()]
    + [
        Ours(covariance_type=name, weight_concentration_prior_type=prior_type, max_iter=5)
        for name, prior_type in itertools.product(structures.SHARED, PRIOR_TYPES)
    ]
)
# That of array API input skips itself unless SCIPY_ARRAY_API was set before SciPy was imported.
APPLICABLE = [
    (estimator, check)
    for estimator, check in CHECKS.args[1]
    if check.func.__name__ != "check_array_api_input"
]


@pytest.mark.parametrize(CHECKS.args[0], APPLICABLE, ids=CHECKS.kwargs["ids"])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@every_prior_type
def test_another_kind_of_prior_is_no_warm_start(prior_type):
    model = quiet_fit(Ours(n_components=K, warm_start=True, max_iter=2), X)
    model.set_params(weight_concentration_prior_type=prior_type)
    if prior_type == "dirichlet_process":
        quiet_fit(model, X)
        return
    for call in (model.fit, model.predict):
        with pytest.raises(ValueError, match="not of weight_concentration_prior_type='dirichlet_d"):
            call(X)
