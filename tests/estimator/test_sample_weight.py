"""A weight is a number of repeats, weight 0 is the row's absence, and weights have no unit."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastgmm import BayesianGaussianMixture, GaussianMixture
from tests import datasets, reference, structures, tolerances
from tests.estimator.helpers import (
    PARAMETERS,
    STARTS,
    assert_close,
    assert_identical_fit,
    assert_same_fit,
    quiet_fit,
)

X = datasets.load("anisotropic").X
K = 3
RANDOM = np.random.RandomState(21)
REPEATS = RANDOM.randint(0, 4, len(X))  # with zeros
POSITIVE_REPEATS = RANDOM.randint(1, 4, len(X))
WEIGHTS = RANDOM.uniform(0.1, 3.0, len(X))
LABELS = np.digitize(X[:, 1], [1.0, 5.0])

every_structure = pytest.mark.parametrize("covariance_type", structures.OF_FORMS)


def given_start(covariance_type):
    """A start that does not depend on the rows."""
    factors = {
        "full": np.stack([np.eye(2)] * K),
        "tied": np.eye(2),
        "diag": np.ones((K, 2)),
        "spherical": np.ones(K),
    }[structures.like(covariance_type)]
    return {
        "weights_init": [0.5, 0.25, 0.25],
        "means_init": [[0.0, -1.0], [1.0, 2.0], [0.0, 7.0]],
        "precisions_init": factors,
    }


def labels_from_rows(X, n_components, random_state):
    """A start as a callable: hard responsibilities by the second feature."""
    return np.eye(n_components)[np.digitize(X[:, 1], [1.0, 5.0])]


# --- repeats ------------------------------------------------------------------------------


@every_structure
@pytest.mark.parametrize("start", ["given", "labels", "responsibilities", "callable"])
def test_integer_weights_are_repeated_rows(covariance_type, start):
    params = {"covariance_type": covariance_type, "tol": 1e-5}
    soft = 0.8 * np.eye(K)[LABELS] + 0.2 / K
    weighted, repeated = {
        "given": [given_start(covariance_type)] * 2,
        "labels": [{"init_params": LABELS}, {"init_params": LABELS.repeat(REPEATS)}],
        "responsibilities": [
            {"init_params": soft},
            {"init_params": soft.repeat(REPEATS, axis=0)},
        ],
        "callable": [{"init_params": labels_from_rows}] * 2,
    }[start]
    one = quiet_fit(GaussianMixture(K, **params, **weighted), X, sample_weight=REPEATS)
    other = quiet_fit(GaussianMixture(K, **params, **repeated), X.repeat(REPEATS, axis=0))
    assert other.n_iter_ > 5
    assert_same_fit(one, other, tolerances.REPEATED_ROWS_RTOL)


@every_structure
def test_scores_with_integer_weights_are_scores_of_repeated_rows(covariance_type):
    model = GaussianMixture(K, covariance_type=covariance_type, random_state=0).fit(X)
    for method in ("score", "bic", "aic"):
        weighted = getattr(model, method)(X, sample_weight=REPEATS)
        assert isinstance(weighted, float)
        repeated = getattr(model, method)(X.repeat(REPEATS, axis=0))
        assert weighted == pytest.approx(repeated, rel=1e-12)


@every_structure
@pytest.mark.parametrize("init_params", STARTS)
def test_weights_of_one_change_nothing(covariance_type, init_params):
    params = {
        "covariance_type": covariance_type,
        "init_params": init_params,
        "reg_covar": 1e-3,
        "random_state": 0,
    }
    plain = quiet_fit(GaussianMixture(K, **params), X)
    for ones in (np.ones(len(X)), [1] * len(X), 1, 1.0, None):
        weighted = quiet_fit(GaussianMixture(K, **params), X, sample_weight=ones)
        assert_same_fit(weighted, plain, tolerances.SAME_DATA_RTOL)
        for method in ("score", "bic", "aic"):
            assert getattr(weighted, method)(X, sample_weight=ones) == pytest.approx(
                getattr(plain, method)(X), rel=1e-12
            )


# --- weight zero --------------------------------------------------------------------------


@every_structure
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("weights", [REPEATS, WEIGHTS * (REPEATS > 0)], ids=["ints", "floats"])
def test_weight_zero_is_the_rows_absence(covariance_type, init_params, weights):
    """For every start, so no absent row is a centre or takes part in k-means."""
    params = {
        "covariance_type": covariance_type,
        "init_params": init_params,
        "reg_covar": 1e-3,
        "random_state": 2,
    }
    present = weights > 0
    # Absent rows may be anywhere: k-means would give these a cluster of their own.
    rows = np.where(present[:, np.newaxis], X, 1e6)
    with_absent = quiet_fit(GaussianMixture(K, **params), rows, sample_weight=weights)
    without = quiet_fit(GaussianMixture(K, **params), X[present], sample_weight=weights[present])
    assert_same_fit(with_absent, without, tolerances.REPEATED_ROWS_RTOL)
    assert with_absent.score(rows, sample_weight=weights) == pytest.approx(
        without.score(X[present], sample_weight=weights[present]), rel=1e-9
    )


@every_structure
def test_too_few_rows_of_positive_weight(covariance_type):
    weights = np.zeros(len(X))
    weights[: K - 1] = 1
    model = GaussianMixture(K, covariance_type=covariance_type)
    with pytest.raises(ValueError, match="n_samples >= n_components"):
        model.fit(X, sample_weight=weights)


# --- no unit ------------------------------------------------------------------------------


@every_structure
@pytest.mark.parametrize("factor", [3.7, 1e-12, 1e12])
@pytest.mark.parametrize("init_params", ["kmeans", "random", "given"])
def test_scaling_all_weights_changes_nothing(covariance_type, factor, init_params):
    start = (
        given_start(covariance_type)
        if init_params == "given"
        else {"init_params": init_params, "random_state": 1}
    )
    params = {"covariance_type": covariance_type, "max_iter": 30, "tol": 0, **start}
    plain = quiet_fit(GaussianMixture(K, **params), X, sample_weight=WEIGHTS)
    scaled = quiet_fit(GaussianMixture(K, **params), X, sample_weight=factor * WEIGHTS)
    assert_same_fit(scaled, plain, tolerances.SCALED_WEIGHTS_RTOL)
    assert scaled.score(X, sample_weight=factor * WEIGHTS) == pytest.approx(
        plain.score(X, sample_weight=WEIGHTS), rel=1e-12
    )


@every_structure
def test_scaling_by_a_power_of_two_changes_no_bit(covariance_type):
    """Every operation then scales exactly."""
    start = given_start(covariance_type)
    params = {"covariance_type": covariance_type, "max_iter": 10, "tol": 0, **start}
    plain = quiet_fit(GaussianMixture(K, **params), X, sample_weight=WEIGHTS)
    scaled = quiet_fit(GaussianMixture(K, **params), X, sample_weight=1024 * WEIGHTS)
    assert_identical_fit(scaled, plain)


# --- against the oracle -------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", structures.SHARED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weighted_fit_against_the_oracle(covariance_type, dtype):
    rows = X.astype(dtype)
    start = given_start(covariance_type)
    model = quiet_fit(
        GaussianMixture(K, covariance_type=covariance_type, max_iter=10, tol=0, **start),
        rows,
        sample_weight=WEIGHTS,
    )
    fit = reference.em(
        rows,
        start["weights_init"],
        start["means_init"],
        start["precisions_init"],  # all ones, so these are the factors too
        covariance_type,
        tol=0,
        max_iter=10,
        sample_weight=WEIGHTS,
        dtype=np.longdouble,
    )
    rtol = tolerances.ORACLE_FIT_RTOL if dtype == np.float64 else tolerances.ORACLE_FIT_RTOL_FLOAT32
    for name in ("weights", "means", "covariances", "precisions_cholesky"):
        assert_close(getattr(model, name + "_"), getattr(fit, name), rtol)
    np.testing.assert_allclose(
        model.lower_bounds_, np.array(fit.lower_bounds, dtype=float), rtol=rtol
    )


@every_structure
def test_fit_predict_and_fit_agree(covariance_type):
    params = {"covariance_type": covariance_type, "random_state": 0}
    one, other = GaussianMixture(K, **params), GaussianMixture(K, **params)
    labels = one.fit_predict(X, sample_weight=WEIGHTS)
    assert_identical_fit(one, other.fit(X, sample_weight=WEIGHTS))
    # Every row has a label, those of weight zero too.
    assert labels.shape == (len(X),)
    np.testing.assert_array_equal(labels, other.predict(X))
    labels = one.fit_predict(X, sample_weight=REPEATS)
    np.testing.assert_array_equal(labels, one.predict(X))


@every_structure
def test_forms_of_weights(covariance_type):
    params = {"covariance_type": covariance_type, "random_state": 0}
    plain = GaussianMixture(K, **params).fit(X, sample_weight=REPEATS.astype(float))
    read_only = REPEATS.astype(float)
    read_only.flags.writeable = False
    for weights in (
        REPEATS.tolist(),
        REPEATS.astype(np.float32),
        REPEATS.astype(np.int8),
        REPEATS.astype(float).repeat(2)[::2],
        pd.Series(REPEATS),
        read_only,
    ):
        fit = GaussianMixture(K, **params).fit(X, sample_weight=weights)
        assert_same_fit(fit, plain, tolerances.SAME_DATA_RTOL)


def test_weights_are_not_changed():
    weights = WEIGHTS.copy()
    GaussianMixture(K, random_state=0).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(weights, WEIGHTS)


@every_structure
def test_restarts_and_warm_start_with_weights(covariance_type):
    params = {"covariance_type": covariance_type, "random_state": 0, "max_iter": 4}
    model = quiet_fit(GaussianMixture(K, n_init=3, **params), X, sample_weight=WEIGHTS)
    single = quiet_fit(GaussianMixture(K, **params), X, sample_weight=WEIGHTS)
    assert model.lower_bound_ >= single.lower_bound_ - 1e-12

    long = quiet_fit(
        GaussianMixture(K, **{**params, "max_iter": 8, "tol": 0}), X, sample_weight=WEIGHTS
    )
    warm = GaussianMixture(K, **params, warm_start=True, tol=0)
    for _ in range(2):
        quiet_fit(warm, X, sample_weight=WEIGHTS)
    for name in PARAMETERS:
        assert_close(getattr(warm, name), getattr(long, name), tolerances.REPEATED_ROWS_RTOL)


# --- bad weights --------------------------------------------------------------------------


def with_value(value):
    weights = np.ones(len(X))
    weights[7] = value
    return weights


BAD_WEIGHTS = {
    "negative": with_value(-1e-9),
    "nan": with_value(np.nan),
    "infinite": with_value(np.inf),
    "too short": np.ones(len(X) - 1),
    "too long": np.ones(len(X) + 1),
    "all zero": np.zeros(len(X)),
    "two dimensions": np.ones((len(X), 1)),
    "a row": np.ones((1, len(X))),
    "empty": np.ones(0),
    "strings": np.array(["a"] * len(X)),
    "negative number": -1.0,
    "nan as a number": np.nan,
    "infinity as a number": np.inf,
}


@pytest.mark.parametrize("name", list(BAD_WEIGHTS))
@pytest.mark.parametrize("method", ["fit", "fit_predict", "score", "bic", "aic"])
def test_bad_weights(name, method):
    model = GaussianMixture(K, random_state=0)
    if method not in ("fit", "fit_predict"):
        model.fit(X)
    match = r"(?i)sample.weight|convert string|0 sample"
    with pytest.raises(ValueError, match=match):
        getattr(model, method)(X, sample_weight=BAD_WEIGHTS[name])


def test_arrays_have_no_column_of_weights():
    with pytest.raises(ValueError, match="sample_weight='count' is the name of a column, as files"):
        GaussianMixture(K).fit(X, sample_weight="count")


@pytest.mark.parametrize("large", [1e150, 1e300])
def test_weights_of_too_many_magnitudes(large):
    """The bound of all rows is lost in them."""
    weights = np.full(len(X), 1e-300)
    weights[0] = large
    model = BayesianGaussianMixture(n_components=2, random_state=0)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="The lower bound is not a"):
        quiet_fit(model, X, sample_weight=weights)


def test_a_failed_fit_leaves_an_unfitted_model():
    model = GaussianMixture(K)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, sample_weight=BAD_WEIGHTS["nan"])
    assert not hasattr(model, "means_")


# --- metadata routing ---------------------------------------------------------------------


@pytest.fixture
def metadata_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_weights_through_a_pipeline_by_name():
    model = make_pipeline(StandardScaler(), GaussianMixture(K, random_state=0))
    model.fit(X, gaussianmixture__sample_weight=WEIGHTS)
    scaled = StandardScaler().fit_transform(X)
    alone = GaussianMixture(K, random_state=0).fit(scaled, sample_weight=WEIGHTS)
    assert_identical_fit(model[-1], alone)


@pytest.mark.usefixtures("metadata_routing")
def test_weights_through_a_pipeline_by_request():
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    mixture = GaussianMixture(K, random_state=0).set_fit_request(sample_weight=True)
    mixture.set_score_request(sample_weight=True)
    model = make_pipeline(scaler, mixture).fit(X, sample_weight=WEIGHTS)
    scaled = StandardScaler().fit_transform(X)
    alone = GaussianMixture(K, random_state=0).fit(scaled, sample_weight=WEIGHTS)
    assert_identical_fit(model[-1], alone)
    assert model.score(X, sample_weight=WEIGHTS) == alone.score(scaled, sample_weight=WEIGHTS)


@pytest.mark.usefixtures("metadata_routing")
def test_weights_through_a_grid_search():
    mixture = GaussianMixture(random_state=0)
    mixture.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    folds = KFold(3, shuffle=True, random_state=0)
    grid = {"n_components": [1, 3]}
    search = GridSearchCV(mixture, grid, cv=folds).fit(X, sample_weight=WEIGHTS)
    for i, n_components in enumerate(grid["n_components"]):
        for j, (train, test) in enumerate(folds.split(X)):
            model = GaussianMixture(n_components, random_state=0)
            model.fit(X[train], sample_weight=WEIGHTS[train])
            assert search.cv_results_[f"split{j}_test_score"][i] == pytest.approx(
                model.score(X[test], sample_weight=WEIGHTS[test]), rel=1e-12
            )
    best = GaussianMixture(search.best_params_["n_components"], random_state=0)
    assert_identical_fit(search.best_estimator_, best.fit(X, sample_weight=WEIGHTS))


@pytest.mark.usefixtures("metadata_routing")
def test_weights_must_be_requested():
    mixture = GaussianMixture(K, random_state=0)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        GridSearchCV(mixture, {"n_components": [1, 2]}).fit(X, sample_weight=WEIGHTS)
    mixture.set_fit_request(sample_weight=False).set_score_request(sample_weight=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mixture.get_metadata_routing().consumes("fit", {"sample_weight"}) == set()
    mixture.set_fit_request(sample_weight=True)
    routing = mixture.get_metadata_routing()
    assert routing.consumes("fit", {"sample_weight"}) == {"sample_weight"}
