"""The same answers as the installed scikit-learn, from the same ``random_state``."""

import importlib.util
import itertools
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import GaussianMixture
from tests import datasets, structures, tolerances
from tests.estimator.helpers import (
    CLASSES,
    PARAMETERS,
    SKLEARN_1_7,
    STARTS,
    assert_close,
    assert_identical_fit,
    assert_same_fit,
    assert_same_parameters,
    fit_both,
    quiet_fit,
)

RTOL = tolerances.PARITY_RTOL
every_structure = pytest.mark.parametrize("covariance_type", structures.SHARED)
every_dataset = pytest.mark.parametrize("name", datasets.PARITY)
every_start = pytest.mark.parametrize("init_params", STARTS)

# --- fit ----------------------------------------------------------------------------------


@every_structure
@every_dataset
@every_start
def test_fit(name, covariance_type, init_params):
    dataset = datasets.load(name)
    # A fit of the digits takes scikit-learn up to a second.
    for seed in (0,) if name == "digits" else (0, 1, 2):
        fast, theirs = fit_both(
            dataset.X,
            dataset.n_components,
            covariance_type=covariance_type,
            init_params=init_params,
            reg_covar=dataset.reg_covar_for(init_params),
            random_state=seed,
        )
        assert_same_fit(fast, theirs, RTOL)
        np.testing.assert_array_equal(fast.predict(dataset.X), theirs.predict(dataset.X))
        assert_close(fast.score(dataset.X), theirs.score(dataset.X), RTOL)


@every_structure
@pytest.mark.parametrize("init_params", ["k-means++", "random_from_data"])
def test_fit_from_single_rows_at_the_default_reg_covar(covariance_type, init_params):
    """What all users of these starts do; see ``datasets.DataSet`` for why not every data set."""
    for seed in range(4):
        fast, theirs = fit_both(
            datasets.load("blobs_2d").X,
            4,
            covariance_type=covariance_type,
            init_params=init_params,
            random_state=seed,
        )
        assert fast.n_iter_ == theirs.n_iter_
        assert_same_parameters(fast, theirs, RTOL)


@every_structure
def test_fit_to_convergence(covariance_type):
    """Some hundred iterations at a strict tolerance, through flat stretches of the bound."""
    fast, theirs = fit_both(
        datasets.load("anisotropic").X,
        3,
        covariance_type=covariance_type,
        tol=1e-7,
        max_iter=500,
        random_state=0,
    )
    assert theirs.converged_
    assert_same_fit(fast, theirs, RTOL)


@every_structure
def test_fit_predict(covariance_type):
    dataset = datasets.load("anisotropic")
    params = {"covariance_type": covariance_type, "random_state": 3}
    fast, theirs = (cls(dataset.n_components, **params) for cls in CLASSES)
    labels = fast.fit_predict(dataset.X)
    np.testing.assert_array_equal(labels, theirs.fit_predict(dataset.X))
    np.testing.assert_array_equal(labels, fast.predict(dataset.X))
    assert labels.dtype == np.int64


@every_structure
def test_types_of_the_fitted_attributes(covariance_type):
    fast, theirs = fit_both(
        datasets.load("iris").X, 2, covariance_type=covariance_type, random_state=0
    )
    for name in PARAMETERS:
        mine, other = getattr(fast, name), getattr(theirs, name)
        assert type(mine) is np.ndarray
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
    assert isinstance(fast.lower_bound_, float)
    assert isinstance(fast.converged_, bool)
    assert isinstance(fast.n_iter_, int)
    assert isinstance(fast.lower_bounds_, list)
    assert fast.n_features_in_ == theirs.n_features_in_
    added_later = set() if SKLEARN_1_7 else {"lower_bounds_"}

    def fitted(model):
        return {name for name in vars(model) if name.endswith("_")}

    assert fitted(fast) == fitted(theirs) | added_later | {"diagnostics_"}


# --- the settings of the loop -------------------------------------------------------------


@every_structure
@every_start
@pytest.mark.parametrize("max_iter", [0, 1])
def test_few_iterations(covariance_type, init_params, max_iter):
    dataset = datasets.load("blobs_2d")
    fast, theirs = fit_both(
        dataset.X,
        dataset.n_components,
        covariance_type=covariance_type,
        init_params=init_params,
        max_iter=max_iter,
        reg_covar=dataset.reg_covar_for(init_params),
        random_state=0,
    )
    assert_same_fit(fast, theirs, RTOL)
    np.testing.assert_array_equal(fast.predict(dataset.X), theirs.predict(dataset.X))


@every_structure
def test_no_iteration_gives_no_warning(covariance_type):
    X = datasets.load("iris").X
    model = GaussianMixture(3, covariance_type=covariance_type, max_iter=0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X)
    assert (model.n_iter_, model.converged_, model.lower_bound_) == (0, False, -np.inf)


@every_structure
def test_tolerance_zero_never_converges(covariance_type):
    # One component is at its fixed point after two iterations: the change is exactly zero,
    # or a rounding, and neither is less than zero.
    for k in (1, 3):
        fast, theirs = fit_both(
            datasets.load("iris").X,
            k,
            covariance_type=covariance_type,
            tol=0,
            max_iter=20,
            random_state=0,
        )
        assert theirs.n_iter_ == 20
        assert_same_fit(fast, theirs, RTOL)


@every_structure
@pytest.mark.parametrize("reg_covar", [0.0, 1e-9, 0.3])
def test_reg_covar(covariance_type, reg_covar):
    fast, theirs = fit_both(
        datasets.load("blobs_8d").X,
        3,
        covariance_type=covariance_type,
        reg_covar=reg_covar,
        random_state=0,
    )
    assert_same_fit(fast, theirs, RTOL)


# --- restarts and random states -----------------------------------------------------------


@every_structure
@every_start
def test_restarts_keep_the_best(covariance_type, init_params):
    """One generator runs through all restarts, and the best of them is kept."""
    dataset = datasets.load("wine_scaled")
    X = dataset.X
    params = {
        "covariance_type": covariance_type,
        "init_params": init_params,
        "max_iter": 6,
        "reg_covar": dataset.reg_covar_for(init_params),
    }

    random = np.random.RandomState(12)
    single = [
        quiet_fit(SklearnGaussianMixture(5, random_state=random, **params), X) for _ in range(4)
    ]
    best, second = sorted((model.lower_bound_ for model in single), reverse=True)[:2]
    # With a tie between restarts rounding would decide which is kept.
    assert best - second > 1e-7

    fast, theirs = fit_both(X, 5, n_init=4, random_state=12, **params)
    assert theirs.lower_bound_ == best
    assert_same_fit(fast, theirs, RTOL)


@pytest.mark.parametrize("init_params", STARTS)
def test_a_random_state_is_left_where_scikit_learn_leaves_it(init_params):
    X = datasets.load("blobs_2d").X
    states = [np.random.RandomState(3) for _ in CLASSES]
    models = [
        quiet_fit(cls(4, init_params=init_params, n_init=2, random_state=state), X)
        for cls, state in zip(CLASSES, states, strict=True)
    ]
    fast, theirs = (state.get_state() for state in states)
    np.testing.assert_array_equal(fast[1], theirs[1])
    assert fast[2:] == theirs[2:]
    assert_close(models[0].sample(5)[0], models[1].sample(5)[0], tolerances.DRAWS_RTOL)


def test_no_random_state_is_numpys_global_one():
    X = datasets.load("blobs_2d").X
    fits = []
    for cls in CLASSES:
        np.random.seed(42)  # noqa: NPY002
        fits.append(quiet_fit(cls(4, init_params="random_from_data"), X))
    assert_same_fit(*fits, RTOL)


# --- given starts -------------------------------------------------------------------------


def given_start(covariance_type):
    """Weights, means and precisions near a solution for iris, away from any fixed point."""
    solution = SklearnGaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(
        datasets.load("iris").X
    )
    return {
        "weights_init": np.array([0.5, 0.2, 0.3]),
        "means_init": solution.means_ + 0.1,
        "precisions_init": 0.8 * solution.precisions_,
    }


@every_structure
@pytest.mark.parametrize("given", list(itertools.product([False, True], repeat=3)), ids=str)
@pytest.mark.parametrize("init_params", ["kmeans", "random"])
@pytest.mark.parametrize("max_iter", [1, 100])
def test_given_starts_in_every_combination(covariance_type, given, init_params, max_iter):
    start = itertools.compress(given_start(covariance_type).items(), given)
    fast, theirs = fit_both(
        datasets.load("iris").X,
        3,
        covariance_type=covariance_type,
        init_params=init_params,
        max_iter=max_iter,
        random_state=1,
        **dict(start),
    )
    assert_same_fit(fast, theirs, RTOL)


@every_structure
@pytest.mark.parametrize("given", ["weights_init", "means_init"])
def test_given_starts_without_iterations(covariance_type, given):
    fast, theirs = fit_both(
        datasets.load("iris").X,
        3,
        covariance_type=covariance_type,
        max_iter=0,
        random_state=0,
        **{given: given_start(covariance_type)[given]},
    )
    assert_same_fit(fast, theirs, RTOL)


@every_structure
@pytest.mark.parametrize("everything", [False, True])
def test_given_precisions_without_iterations(covariance_type, everything):
    """scikit-learn has no covariances_ then, and raises an AttributeError; ours inverts."""
    start = given_start(covariance_type)
    precisions = start["precisions_init"]
    if not everything:
        start = {"precisions_init": precisions}
    model = GaussianMixture(
        3, covariance_type=covariance_type, max_iter=0, random_state=0, **start
    ).fit(datasets.load("iris").X)
    matrices = covariance_type in ("full", "tied")
    inverse = np.linalg.inv(precisions) if matrices else 1 / precisions
    assert_close(model.precisions_, precisions, RTOL)
    assert_close(model.covariances_, inverse, RTOL)
    if everything:
        np.testing.assert_array_equal(model.means_, start["means_init"])
        np.testing.assert_array_equal(model.weights_, start["weights_init"])


@every_structure
@pytest.mark.parametrize("form", ["list", "float32", "fortran"])
def test_given_starts_in_other_forms(covariance_type, form):
    convert = {
        "list": lambda array: array.tolist(),
        "float32": lambda array: array.astype(np.float32),
        "fortran": np.asfortranarray,
    }[form]
    start = {key: convert(value) for key, value in given_start(covariance_type).items()}
    fast, theirs = fit_both(
        datasets.load("iris").X, 3, covariance_type=covariance_type, max_iter=4, **start
    )
    # scikit-learn factorises float32 precisions in float32.
    assert_same_fit(fast, theirs, RTOL if form != "float32" else 1e-4)
    for name in PARAMETERS:
        assert getattr(fast, name).dtype == np.float64


@every_structure
def test_given_integer_means(covariance_type):
    fast, theirs = fit_both(
        datasets.load("iris").X,
        2,
        covariance_type=covariance_type,
        means_init=[[5, 3, 1, 0], [6, 3, 5, 2]],
        random_state=0,
    )
    assert_same_fit(fast, theirs, RTOL)


@every_structure
def test_a_component_of_weight_zero_stays_empty(covariance_type):
    """Its means are 0 / (10 eps), as in scikit-learn; nothing becomes NaN."""
    start = given_start(covariance_type)
    start["weights_init"] = np.array([0.4, 0.6, 0.0])
    params = {"covariance_type": covariance_type, "max_iter": 3, "reg_covar": 1e-3, **start}
    with warnings.catch_warnings():
        # scikit-learn warns of log(0).
        warnings.simplefilter("ignore", RuntimeWarning)
        fast, theirs = fit_both(datasets.load("iris").X, 3, **params)
    assert_same_fit(fast, theirs, RTOL)
    assert np.all(np.isfinite(fast.precisions_cholesky_))


# --- warm start ---------------------------------------------------------------------------


@every_structure
@pytest.mark.parametrize("n_init", [1, 3])
def test_warm_start(covariance_type, n_init):
    X = datasets.load("anisotropic").X
    models = [
        cls(
            3,
            covariance_type=covariance_type,
            warm_start=True,
            max_iter=2,
            n_init=n_init,
            init_params="random_from_data",
            reg_covar=1e-4,
            random_state=5,
        )
        for cls in CLASSES
    ]
    for rows, max_iter in ((X, 2), (X, 3), (X[:200], 1), (X[:200], 0), (X, 200), (X, 200)):
        for model in models:
            quiet_fit(model.set_params(max_iter=max_iter), rows)
        assert_same_fit(*models, RTOL)


def test_warm_start_after_a_failed_fit_starts_again():
    """scikit-learn raises an AttributeError here: it marks the model fitted too early."""
    X = datasets.load("iris").X
    model = GaussianMixture(2, warm_start=True, reg_covar=0.0, random_state=0)
    with pytest.raises(ValueError, match="ill-defined"):
        model.fit(X * np.array([1, 1, 1, 0]))
    fresh = GaussianMixture(2, random_state=0).fit(X)
    assert_same_fit(model.set_params(reg_covar=1e-6).fit(X), fresh, 1e-15)


# --- verbose ------------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [0, 1, 2, 3])
@pytest.mark.parametrize("verbose_interval", [1, 3])
@pytest.mark.parametrize("max_iter", [0, 2, 100])
def test_verbose_prints_the_same_text(capsys, verbose, verbose_interval, max_iter):
    texts = []
    for cls in CLASSES:
        model = cls(
            3,
            verbose=verbose,
            verbose_interval=verbose_interval,
            max_iter=max_iter,
            n_init=2,
            init_params="random_from_data",
            reg_covar=0.1,
            random_state=0,
        )
        quiet_fit(model, datasets.load("iris").X)
        texts.append(re.sub(r"time lapse \d+\.\d{5}s", "time lapse", capsys.readouterr().out))
    assert texts[0] == texts[1]
    assert ("Initialization 1" in texts[0]) == (verbose > 0)


def test_verbose_prints_the_same_text_on_a_warm_start(capsys):
    texts = []
    for cls in CLASSES:
        model = cls(3, verbose=2, verbose_interval=1, max_iter=3, warm_start=True, random_state=0)
        for _ in range(2):
            quiet_fit(model, datasets.load("anisotropic").X)
        texts.append(re.sub(r"time lapse \d+\.\d{5}s", "time lapse", capsys.readouterr().out))
    assert texts[0] == texts[1]


# --- predictions --------------------------------------------------------------------------


def fitted_and_converted(name, covariance_type):
    """scikit-learn's fitted model, and ours with the very same parameters."""
    dataset = datasets.load(name)
    theirs = quiet_fit(
        SklearnGaussianMixture(
            dataset.n_components,
            covariance_type=covariance_type,
            reg_covar=dataset.reg_covar,
            random_state=0,
        ),
        dataset.X,
    )
    return GaussianMixture.from_sklearn(theirs), theirs


def rows_to_predict(name):
    """The data, rows between the clusters, and rows a thousand standard deviations out."""
    X = datasets.load(name).X
    far = X[:20] + 1000 * X.std() * np.sign(X[:20] - X.mean(axis=0))
    return np.concatenate([X, (X[:40] + X[-40:]) / 2 if len(X) >= 40 else X, far])


@every_structure
@every_dataset
def test_predictions(name, covariance_type):
    fast, theirs = fitted_and_converted(name, covariance_type)
    X = rows_to_predict(name)
    np.testing.assert_array_equal(fast.predict(X), theirs.predict(X))
    assert_close(fast.predict_proba(X), theirs.predict_proba(X), 1e-9)
    np.testing.assert_allclose(fast.score_samples(X), theirs.score_samples(X), rtol=1e-9)
    for method in ("score", "bic", "aic"):
        mine, other = getattr(fast, method)(X), getattr(theirs, method)(X)
        assert isinstance(mine, float)
        assert mine == pytest.approx(other, rel=1e-9)


@every_structure
@pytest.mark.parametrize("name", ["iris", "wine", "blobs_2d", "one_feature", "anisotropic"])
def test_predictions_after_both_fitted(name, covariance_type):
    dataset = datasets.load(name)
    fast, theirs = fit_both(
        dataset.X, dataset.n_components, covariance_type=covariance_type, random_state=1
    )
    X = rows_to_predict(name)
    atol = tolerances.PARITY_PROBABILITY_ATOL
    np.testing.assert_allclose(fast.predict_proba(X), theirs.predict_proba(X), atol=atol)
    np.testing.assert_allclose(fast.score_samples(X), theirs.score_samples(X), rtol=RTOL)
    np.testing.assert_array_equal(fast.predict(X), theirs.predict(X))
    for method in ("score", "bic", "aic"):
        assert_close(getattr(fast, method)(X), getattr(theirs, method)(X), RTOL)


@every_structure
def test_probabilities_sum_to_one(covariance_type):
    fast, _ = fitted_and_converted("anisotropic", covariance_type)
    totals = fast.predict_proba(rows_to_predict("anisotropic")).sum(axis=1)
    np.testing.assert_allclose(totals, 1, rtol=1e-14)


@every_structure
@every_dataset
def test_samples_are_the_same_draws(name, covariance_type):
    fast, theirs = fitted_and_converted(name, covariance_type)
    for mine, other in zip(fast.sample(50), theirs.sample(50), strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_array_equal(mine, other)


@every_structure
def test_samples_after_both_fitted(covariance_type):
    fast, theirs = fit_both(
        datasets.load("iris").X, 3, covariance_type=covariance_type, random_state=4
    )
    (mine, my_labels), (other, other_labels) = fast.sample(100), theirs.sample(100)
    np.testing.assert_array_equal(my_labels, other_labels)
    assert_close(mine, other, tolerances.DRAWS_RTOL)


@every_structure
@every_dataset
def test_number_of_parameters(name, covariance_type):
    fast, theirs = fitted_and_converted(name, covariance_type)
    assert fast.n_parameters() == fast._n_parameters() == theirs._n_parameters()


@pytest.mark.parametrize("integer", [np.uint8, np.int8, np.uint64])
@pytest.mark.parametrize("init_params", STARTS)
def test_numbers_of_numpy_types(integer, init_params, tmp_path):
    X = datasets.load("blobs_2d").X
    arguments = {"random_state": 0, "init_params": init_params}
    plain = quiet_fit(GaussianMixture(3, n_init=2, max_iter=50, **arguments), X)
    numbers = {"n_components": integer(3), "n_init": integer(2), "max_iter": integer(50)}
    model = GaussianMixture(**numbers, **arguments)
    assert_identical_fit(quiet_fit(model, X), plain)
    assert_identical_fit(quiet_fit(model, X, checkpoint=tmp_path / "job.npz"), plain)


# --- float32 ------------------------------------------------------------------------------


def test_samples_where_float32_weights_round_to_more_than_one():
    model = quiet_fit(GaussianMixture(4, random_state=0), datasets.load("float32").X)
    model.weights_ = np.array([1 / 3, 1 / 3, 1 / 3, 1e-9], dtype=np.float32)
    with pytest.raises(ValueError, match=r"pvals.* > 1"):
        model.to_sklearn().sample(1000)
    with warnings.catch_warnings():
        # NumPy finds covariances that are rounded to float32 not quite symmetric.
        warnings.simplefilter("ignore", RuntimeWarning)
        assert set(model.sample(1000)[1]) == {0, 1, 2}
    assert model.weights_.dtype == np.float32


@every_structure
@every_start
def test_float32_stays_float32(covariance_type, init_params):
    """In scikit-learn since 1.7; older ones compute in float64, ours never does."""
    dataset = datasets.load("float32")
    params = {
        "covariance_type": covariance_type,
        "init_params": init_params,
        "reg_covar": 1e-2,
        "max_iter": 5,
        "tol": 0,
        "random_state": 0,
    }
    fast, theirs = fit_both(dataset.X, dataset.n_components, **params)
    for name in PARAMETERS:
        assert getattr(fast, name).dtype == np.float32
    assert fast.predict_proba(dataset.X).dtype == np.float32
    assert fast.score_samples(dataset.X).dtype == np.float32
    assert fast.predict(dataset.X).dtype == np.int64
    rtol = tolerances.PARITY_RTOL_FLOAT32
    if SKLEARN_1_7:
        for name in PARAMETERS:
            assert getattr(theirs, name).dtype == np.float32
    else:
        theirs.precisions_ = theirs.precisions_.astype(np.float32)
    assert_same_fit(fast, theirs, rtol)
    assert_close(fast.score_samples(dataset.X), theirs.score_samples(dataset.X), rtol)
    with warnings.catch_warnings():
        # NumPy finds covariances that are rounded to float32 not quite symmetric.
        warnings.simplefilter("ignore", RuntimeWarning)
        for mine, other in zip(fast.sample(5), theirs.sample(5), strict=True):
            assert mine.dtype == other.dtype


@every_structure
@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32")])
def test_predicting_in_another_dtype(covariance_type, dtypes):
    of_fit, of_rows = dtypes
    X = datasets.load("blobs_2d").X
    fast, theirs = fit_both(X.astype(of_fit), 4, covariance_type=covariance_type, random_state=0)
    rows = X.astype(of_rows)
    rtol = tolerances.PARITY_RTOL_FLOAT32
    for method in ("score_samples", "predict_proba"):
        mine, other = getattr(fast, method)(rows), getattr(theirs, method)(rows)
        assert mine.dtype == np.float64  # the wider of the two, as in scikit-learn
        assert_close(mine, other, rtol)


# --- forms of input -----------------------------------------------------------------------

FORMS = {
    "fortran": lambda X, path: np.asfortranarray(X),
    "strided rows": lambda X, path: np.repeat(X, 2, axis=0)[::2],
    "strided columns": lambda X, path: np.repeat(X, 3, axis=1)[:, ::3],
    "reversed": lambda X, path: X[::-1].copy()[::-1],
    "writeable": lambda X, path: X.copy(),
    "list": lambda X, path: X.tolist(),
    "object": lambda X, path: X.astype(object),
    "big-endian": lambda X, path: X.astype(">f8"),
    "long double": lambda X, path: X.astype(np.longdouble),
    "memmap": lambda X, path: _memmap(X, path),
    "pandas": lambda X, path: pd.DataFrame(X),
    "pandas named": lambda X, path: pd.DataFrame(X, columns=_names(X)),
}
# polars belongs to the tests' dependencies; the environment of the oldest versions allowed
# goes without it.
if importlib.util.find_spec("polars"):
    FORMS["polars"] = lambda X, path: _polars(X)


def _names(X):
    return [f"feature {j}" for j in range(X.shape[1])]


def _memmap(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def _polars(X):
    import polars

    return polars.DataFrame(dict(zip(_names(X), X.T.copy(), strict=True)))


@every_structure
@pytest.mark.parametrize("form", list(FORMS))
def test_forms_of_input(covariance_type, form, tmp_path):
    X = datasets.load("blobs_8d").X
    converted = FORMS[form](X, tmp_path)
    params = {"covariance_type": covariance_type, "random_state": 0}
    plain = GaussianMixture(3, **params).fit(X)
    fast, theirs = fit_both(converted, 3, **params)
    assert_same_fit(fast, theirs, RTOL)
    assert_same_fit(fast, plain, tolerances.SAME_DATA_RTOL)
    np.testing.assert_array_equal(fast.predict(converted), plain.predict(X))
    for method in ("score_samples", "predict_proba"):
        mine, other = getattr(fast, method)(converted), getattr(plain, method)(X)
        assert_close(mine, other, tolerances.SAME_DATA_RTOL)
    assert hasattr(fast, "feature_names_in_") == hasattr(theirs, "feature_names_in_")
    if hasattr(theirs, "feature_names_in_"):
        np.testing.assert_array_equal(fast.feature_names_in_, theirs.feature_names_in_)


@every_structure
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, bool, np.float16])
def test_integers_are_read_as_float64(covariance_type, dtype):
    """In predict too, where scikit-learn 1.9 rounds |y|^2 to the dtype of X."""
    X = datasets.load("duplicates").X
    whole = X > 2 if dtype is bool else X.astype(dtype)
    params = {"covariance_type": covariance_type, "reg_covar": 1e-2, "random_state": 0}
    fast, theirs = fit_both(whole, 2, **params)
    plain = GaussianMixture(2, **params).fit(whole.astype(np.float64))
    assert_same_fit(fast, theirs, RTOL)
    assert_identical_fit(fast, plain)
    np.testing.assert_allclose(
        fast.score_samples(whole), theirs.score_samples(whole.astype(np.float64)), rtol=1e-9
    )
    np.testing.assert_array_equal(
        fast.predict_proba(whole), plain.predict_proba(whole.astype(np.float64))
    )
    np.testing.assert_array_equal(fast.predict(whole), plain.predict(whole.astype(np.float64)))


@every_structure
def test_fitting_twice_gives_the_same_bits(covariance_type):
    X = datasets.load("anisotropic").X
    first, second = (
        GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X) for _ in range(2)
    )
    assert_identical_fit(first, second)
    assert_identical_fit(second.fit(X), first)


def test_convergence_warning_has_the_same_text_and_number():
    X = datasets.load("anisotropic").X
    recorded = []
    for cls in CLASSES:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            cls(3, max_iter=2, n_init=3, random_state=0).fit(X)
        recorded.append([(item.category, str(item.message)) for item in caught])
    assert recorded[0] == recorded[1]
    assert [category for category, _ in recorded[0]] == [ConvergenceWarning]


@every_structure
def test_refitting_forgets_the_old_fit(covariance_type):
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    model.fit(datasets.load("wine_scaled").X)
    X = datasets.load("iris").X
    fresh = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    assert_same_parameters(model.fit(X), fresh, 1e-15)
    assert model.n_features_in_ == 4
