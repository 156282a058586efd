"""The same answers as scikit-learn's from given and warm starts, and the same text on the way."""

import itertools
import re
import warnings

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import GaussianMixture
from tests import datasets, tolerances
from tests.estimator.helpers import (
    CLASSES,
    PARAMETERS,
    assert_close,
    assert_same_fit,
    every_structure,
    fit_both,
    quiet_fit,
)

RTOL = tolerances.PARITY_RTOL

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
