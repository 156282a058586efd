"""Likelihood ratio tests by parametric bootstrap."""

import numpy as np
import pandas
import pytest
from sklearn.datasets import load_iris

import fastgmm
from fastgmm.selection.likelihood_ratio import Holes

IRIS = load_iris().data


def test_statistics_are_those_of_mclust():
    selection = fastgmm.select(IRIS, range(1, 4), "full", random_state=0)
    tests = selection.bootstrap(IRIS, n=39, random_state=0)
    # mclustBootstrapLRT(iris[, 1:4], "VVV"): R 4.2.2, mclust 6.0.0
    np.testing.assert_allclose(tests.statistic, [331.11985, 68.33773], atol=0.01)
    np.testing.assert_array_equal(tests.p_value, [1 / 40, 1 / 40])
    assert tests.chosen == 3
    assert [len(part) for part in tests.distribution] == [39, 39]
    frame = tests.to_frame()
    assert frame["against"].tolist() == [2, 3]
    assert "3 components are not rejected" in repr(tests)
    again = selection.bootstrap(IRIS, n=39, random_state=0)
    np.testing.assert_array_equal(again.distribution[1], tests.distribution[1])


def test_the_first_that_is_not_rejected_ends_the_tests(tmp_path):
    X = np.random.default_rng(0).standard_normal((200, 2))
    selection = fastgmm.select(X, range(1, 5), "diag", random_state=0)
    tests = selection.bootstrap(X, n=60, random_state=1)
    assert tests.n_components.tolist() == [1]
    assert tests.p_value[0] > 0.05
    assert tests.chosen == 1
    expected = (1 + (tests.distribution[0] >= tests.statistic[0]).sum()) / 61
    assert tests.p_value[0] == expected
    # Under the smaller mixture the statistic is one of the samples': neither far below nor above.
    assert tests.distribution[0].min() < tests.statistic[0] < tests.distribution[0].max()
    np.save(tmp_path / "rows.npy", X)
    of_file = selection.bootstrap(tmp_path / "rows.npy", n=60, random_state=1)
    np.testing.assert_array_equal(of_file.p_value, tests.p_value)


def test_samples_lack_the_values_that_rows_lack():
    X = IRIS.copy()
    X[::5, 0], X[1] = np.nan, np.nan
    selection = fastgmm.select(X, [1, 2], "full", missing_values="em", random_state=0)
    tests = selection.bootstrap(X, n=9, random_state=0)
    lower = [fit.score(X) * 149 for fit in selection.fits.values()]
    assert tests.statistic[0] == pytest.approx(2 * (lower[1] - lower[0]), rel=1e-3)
    assert len(tests.distribution[0]) == 9
    weighted = selection.bootstrap(X, n=5, random_state=0, sample_weight=np.full(len(X), 2.0))
    assert weighted.statistic[0] == pytest.approx(2 * tests.statistic[0], rel=1e-3)
    # The samples are those of complete rows, with the same holes.
    punched = Holes.of(fastgmm.open_source(X, missing_values="em")).punch
    sets = np.zeros((2, 149, 4))
    punched(sets, np.random.RandomState(0))
    np.testing.assert_array_equal(np.isnan(sets[1]), np.isnan(np.delete(X, 1, axis=0)))


def test_noise_is_part_of_both_mixtures():
    random = np.random.RandomState(0)
    X = np.r_[random.standard_normal((150, 2)), random.uniform(-9, 9, (50, 2))]
    selection = fastgmm.select(X, [1, 2], "full", noise="box", random_state=0)
    tests = selection.bootstrap(X, n=39, random_state=0)
    assert tests.p_value[0] > 0.05
    assert len(tests.distribution[0]) == 39


def test_other_rows_are_noticed():
    selection = fastgmm.select(IRIS, [1, 2], "diag", random_state=0)
    with pytest.warns(UserWarning, match="on another scale"):
        selection.bootstrap(10.0 * IRIS, n=2, random_state=0)


def test_bad_input():
    selection = fastgmm.select(IRIS, (1, 3), "diag", random_state=0)
    with pytest.raises(ValueError, match="no fits of 'diag' with k and k"):
        selection.bootstrap(IRIS)
    kind = fastgmm.BayesianGaussianMixture
    bayesian = fastgmm.select(IRIS, (1, 2), "diag", estimator=kind, criterion="cv", max_iter=5)
    with pytest.raises(ValueError, match="no likelihood ratio"):
        bayesian.bootstrap(IRIS)
    with pytest.raises(ValueError, match="n should be an integer from 1"):
        fastgmm.select(IRIS, (1, 2), "diag").bootstrap(IRIS, n=0)


def test_weights_are_repeats_and_names_are_checked():
    random = np.random.RandomState(0)
    X = np.r_[random.standard_normal((60, 2)), random.standard_normal((60, 2)) + 4.0]
    counts = random.randint(0, 4, len(X))
    repeated = np.repeat(X, counts, axis=0)
    weighted = fastgmm.select(X, [1, 2], "full", sample_weight=counts, random_state=0)
    plain = fastgmm.select(repeated, [1, 2], "full", random_state=0)
    found = weighted.bootstrap(X, n=3, random_state=0, sample_weight=counts).statistic
    np.testing.assert_allclose(found, plain.bootstrap(repeated, n=3, random_state=0).statistic)
    frame = pandas.DataFrame(X, columns=["a", "b"])
    named = fastgmm.select(frame, [1, 2], "full", random_state=0)
    for fitted in (named, named.best_estimator_):
        with pytest.raises(ValueError, match="feature names"):
            fitted.bootstrap(frame[["b", "a"]], n=3)
