"""The estimator among scikit-learn's tools."""

import inspect
import io
import itertools
import pickle
import re

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context, set_config
from sklearn.base import BaseEstimator, DensityMixin, clone, is_clusterer
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from fastgmm import GaussianMixture
from tests import datasets, reference, structures, tolerances
from tests.estimator.helpers import (
    CLASSES,
    OURS,
    assert_close,
    assert_identical_fit,
    every_structure,
    fitted_to_iris,
    quiet_fit,
)

X = datasets.load("iris").X


# --- scikit-learn's own checks ------------------------------------------------------------


def by_sign(X, n_components, random_state):
    """A start that depends on the rows only, as equivalence of weights and repeats demands."""
    return np.eye(n_components)[np.minimum(X[:, 0] > 0.5, n_components - 1).astype(int)]


#: Each structure with one or the other.
ARGUMENTS = [
    {"max_iter": 5},
    {"n_components": 2, "init_params": by_sign, "reg_covar": 1e-2, "n_jobs": 2},
]
CHECKS = parametrize_with_checks(
    [GaussianMixture()]
    + [
        GaussianMixture(covariance_type=name, **arguments)
        for name, arguments in zip(structures.OF_FORMS, itertools.cycle(ARGUMENTS), strict=False)
    ]
)
# The check of array API input skips itself unless SCIPY_ARRAY_API was set before SciPy was
# imported.
APPLICABLE = [
    (estimator, check)
    for estimator, check in CHECKS.args[1]
    if check.func.__name__ != "check_array_api_input"
]


def id_of(argument):
    """scikit-learn's, less addresses of functions: processes that share the tests need the same."""
    return re.sub(r"\s*at\s*0x[0-9a-f]+", "", CHECKS.kwargs["ids"](argument))


@pytest.mark.parametrize(CHECKS.args[0], APPLICABLE, ids=id_of)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_scikit_learns_checks_are_all_there():
    names = {check.func.__name__ for _, check in APPLICABLE}
    assert "check_sample_weight_equivalence_on_dense_data" in names
    assert len(APPLICABLE) > 40 * (1 + len(structures.OF_FORMS))


# --- the constructor ----------------------------------------------------------------------


def test_the_constructor_is_scikit_learns_and_our_arguments():
    mine, theirs = (list(inspect.signature(cls).parameters.values()) for cls in CLASSES)
    assert mine[: len(theirs)] == theirs
    added = mine[len(theirs) :]
    assert [(last.name, last.default) for last in added] == list(OURS.items())
    assert {last.kind for last in added} == {inspect.Parameter.KEYWORD_ONLY}


#: Arguments that methods have beyond scikit-learn's, which come first.
ADDED_ARGUMENTS = {
    "fit": ["sample_weight", "labels", "checkpoint", "checkpoint_every"],
    "fit_predict": ["sample_weight", "labels", "checkpoint", "checkpoint_every"],
    "predict": ["out"],
    "predict_proba": ["out"],
    "score_samples": ["out"],
    "score": ["sample_weight"],
    "bic": ["sample_weight"],
    "aic": ["sample_weight"],
    "sample": [],
    "get_params": [],
    "set_params": [],
}


@pytest.mark.parametrize("method", ADDED_ARGUMENTS)
def test_methods_have_scikit_learns_signatures(method):
    mine, theirs = (
        list(inspect.signature(getattr(cls, method)).parameters.values()) for cls in CLASSES
    )
    added = mine[len(theirs) :]
    assert mine[: len(theirs)] == theirs
    assert [parameter.name for parameter in added] == ADDED_ARGUMENTS[method]
    for parameter in added:
        assert parameter.default is not parameter.empty
        assert parameter.name == "sample_weight" or parameter.kind == parameter.KEYWORD_ONLY


def test_files_are_no_metadata_to_route():
    with config_context(enable_metadata_routing=True):
        model = GaussianMixture().set_fit_request(sample_weight=True)
        routing = model.get_metadata_routing()
    assert routing.fit.requests == {"sample_weight": True, "labels": None}
    assert routing.score.requests == {"sample_weight": None}
    assert routing.predict.requests == routing.predict_proba.requests == {}


def test_subclass():
    model = GaussianMixture()
    assert isinstance(model, SklearnGaussianMixture)
    assert isinstance(model, BaseEstimator)
    assert isinstance(model, DensityMixin)
    assert type(model).__name__ == "GaussianMixture"
    assert not is_clusterer(model)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("score_samples", lambda self, X: np.arange(len(X)) / 7.0),
        ("score", lambda self, X, y=None: 42.0),
        ("_n_parameters", lambda self: 5),
    ],
)
def test_scores_call_what_a_subclass_overrides(name, method):
    ours, theirs = (
        type("Own", (cls,), {name: method})(3, random_state=0).fit(X)
        for cls in (GaussianMixture, SklearnGaussianMixture)
    )
    for criterion in ("score", "bic", "aic"):
        expected = getattr(theirs, criterion)(X)
        assert getattr(ours, criterion)(X) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(NotImplementedError, match=f"subclass that overrides {name}"):
        ours.bic(X, sample_weight=np.ones(len(X)))


def test_get_and_set_params():
    model = GaussianMixture(4, covariance_type="diag", tol=0.1, n_jobs=2)
    params = model.get_params()
    assert params == {
        **SklearnGaussianMixture(4, covariance_type="diag", tol=0.1).get_params(),
        **OURS,
        "n_jobs": 2,
    }
    assert GaussianMixture(**params).get_params() == params
    assert model.set_params(n_components=2, n_jobs=None) is model
    assert (model.n_components, model.n_jobs) == (2, None)


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(GaussianMixture()) == "GaussianMixture()"
    text = repr(GaussianMixture(3, n_jobs=2))
    assert text == "GaussianMixture(n_components=3, n_jobs=2)"


def given_start(covariance_type):
    theirs = SklearnGaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    return {
        "weights_init": theirs.weights_,
        "means_init": theirs.means_,
        "precisions_init": theirs.precisions_,
    }


@every_structure
@pytest.mark.parametrize("form", ["array", "list", "float32"])
def test_fit_does_not_change_the_arguments(covariance_type, form):
    """scikit-learn replaces lists by arrays; ours leaves the very objects, and their values."""
    convert = {
        "array": lambda array: array,
        "list": lambda array: array.tolist(),
        "float32": lambda array: array.astype(np.float32),
    }[form]
    start = {key: convert(value) for key, value in given_start(covariance_type).items()}
    arguments = {**start, "random_state": np.random.RandomState(0), "max_iter": 3}
    copies = pickle.loads(pickle.dumps(start))
    model = GaussianMixture(3, covariance_type=covariance_type, **arguments)
    quiet_fit(model, X)
    for name, value in arguments.items():
        assert getattr(model, name) is value
    for name, value in copies.items():
        np.testing.assert_array_equal(start[name], value)


@pytest.mark.parametrize("kind", ["labels", "responsibilities", "callable"])
def test_array_and_callable_starts_are_ordinary_parameters(kind):
    labels = np.repeat([0, 1, 2], 50)
    soft = 0.7 * np.eye(3)[labels] + 0.1
    start = {"labels": labels, "responsibilities": soft, "callable": three_parts}[kind]
    model = GaussianMixture(3, init_params=start, tol=1e-5)
    assert model.init_params is start
    copy = clone(model)
    repr(model), model._repr_html_(), get_tags(model)
    assert_identical_fit(quiet_fit(copy, X), quiet_fit(model, X))
    assert model.init_params is start
    assert_identical_fit(pickle.loads(pickle.dumps(model)), model)

    weights, means, covariances = reference.start_from_responsibilities(
        X, soft if kind == "responsibilities" else np.eye(3)[labels], "full", 1e-6
    )
    factors = reference.precision_cholesky(covariances, "full")
    fit = reference.em(X, weights, means, factors, "full", tol=1e-5)
    assert model.n_iter_ == fit.n_iter
    assert_close(model.means_, fit.means, tolerances.ORACLE_FIT_RTOL)
    assert_close(model.covariances_, fit.covariances, tolerances.PARITY_RTOL)


def three_parts(X, n_components, random_state):
    assert isinstance(random_state, np.random.RandomState)
    return np.eye(n_components)[np.arange(len(X)) * n_components // len(X)]


def test_a_callable_draws_from_the_random_state_in_each_restart():
    seen = []

    def start(X, n_components, random_state):
        seen.append(random_state.randint(1 << 30))
        return random_state.dirichlet(np.ones(n_components), len(X))

    quiet_fit(GaussianMixture(3, init_params=start, n_init=3, max_iter=2, random_state=5), X)
    random = np.random.RandomState(5)
    for drawn in seen:
        assert drawn == random.randint(1 << 30)
        random.dirichlet(np.ones(3), len(X))
    assert len(seen) == 3


# --- copies -------------------------------------------------------------------------------


@every_structure
def test_clone(covariance_type):
    model = fitted_to_iris(covariance_type, n_jobs=2)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "means_")
    assert_identical_fit(copy.fit(X), model)


@every_structure
@pytest.mark.parametrize("how", ["pickle", "joblib"])
def test_pickle_and_joblib(covariance_type, how):
    model = fitted_to_iris(covariance_type)
    if how == "pickle":
        copy = pickle.loads(pickle.dumps(model))
    else:
        buffer = io.BytesIO()
        joblib.dump(model, buffer)
        copy = joblib.load(buffer)
    assert_identical_fit(copy, model)
    np.testing.assert_array_equal(copy.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(copy.sample(3)[0], model.sample(3)[0])
    assert_identical_fit(copy.fit(X), model)


def test_the_state_holds_parameters_and_attributes_only():
    """No kernels and no threads, so a pickle can be read where nothing is compiled."""
    model = fitted_to_iris()
    theirs = SklearnGaussianMixture(3, random_state=0).fit(X)
    added = {*OURS, "lower_bounds_", "diagnostics_", "convergence_rate_"}
    assert set(vars(model)) == set(vars(theirs)) | added


# --- pipelines, searches, tags, representation --------------------------------------------


@every_structure
def test_pipeline(covariance_type):
    params = {"covariance_type": covariance_type, "random_state": 0}
    model = make_pipeline(StandardScaler(), GaussianMixture(3, **params)).fit(X)
    scaled = StandardScaler().fit_transform(X)
    alone = GaussianMixture(3, **params).fit(scaled)
    for method in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_array_equal(getattr(model, method)(X), getattr(alone, method)(scaled))
    assert model.score(X) == alone.score(scaled)
    np.testing.assert_array_equal(model.fit_predict(X), alone.predict(scaled))


def test_pipeline_with_pandas_output():
    columns = ["a", "b", "c", "d"]
    model = make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0))
    model.set_output(transform="pandas")
    frame = pd.DataFrame(X, columns=columns)
    model.fit(frame).predict(frame)
    np.testing.assert_array_equal(model[-1].feature_names_in_, columns)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search(n_jobs):
    grid = {"n_components": [1, 2, 3], "covariance_type": structures.SHARED}
    # Of three kinds of iris in turn, one component, of which rounding decides whether it is full or
    # tied, would be best.
    folds = KFold(3, shuffle=True, random_state=0)
    mine, theirs = (
        GridSearchCV(cls(random_state=0, reg_covar=1e-3), grid, cv=folds, n_jobs=n_jobs).fit(X)
        for cls in CLASSES
    )
    assert mine.best_params_ == theirs.best_params_
    for key in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(
            mine.cv_results_[key], theirs.cv_results_[key], rtol=tolerances.PARITY_RTOL
        )
    assert isinstance(mine.best_estimator_, GaussianMixture)


def test_tags():
    mine, theirs = (get_tags(cls()) for cls in CLASSES)
    for name in ("estimator_type", "target_tags", "input_tags", "transformer_tags",
                 "classifier_tags", "regressor_tags", "no_validation", "non_deterministic",
                 "requires_fit"):  # fmt: skip
        assert getattr(mine, name) == getattr(theirs, name)
    assert mine.estimator_type == "density_estimator"


@pytest.mark.parametrize(
    "init_params",
    ["kmeans", "random", np.zeros(150, dtype=int)],
    ids=["kmeans", "random", "labels"],
)
def test_tags_for_every_kind_of_start(init_params):
    get_tags(GaussianMixture(init_params=init_params))


def test_html_representation():
    model = GaussianMixture(3, n_jobs=2, random_state=0)
    before = model._repr_html_()
    assert "GaussianMixture" in before
    assert "Not fitted" in before
    after = model.fit(X)._repr_html_()
    assert "Not fitted" not in after
    assert "Fitted" in after
    bundle = model._repr_mimebundle_()
    assert bundle["text/plain"] == repr(model)
    set_config(display="text")
    try:
        assert "text/html" not in model._repr_mimebundle_()
    finally:
        set_config(display="diagram")


def test_check_is_fitted():
    check_is_fitted(fitted_to_iris())
