"""Fits and predictions with ``missing_values="em"``, through the public interface."""

import numpy as np
import pytest
import sklearn.mixture
from sklearn.base import clone
from sklearn.datasets import load_iris

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many
from fastgmm.covariance import STRUCTURES
from fastgmm.sources.opening import open_source
from tests import structures
from tests.missing.reference import e_step, m_step, with_holes
from tests.sources.kinds import table_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PARTS = ("weights_", "means_", "covariances_")


@pytest.fixture(scope="module")
def X():
    return with_holes(150, 4, seed=0)[0]


def mixture(k=2, **arguments):
    arguments = {"missing_values": "em", "random_state": 0, "max_iter": 8, **arguments}
    return GaussianMixture(k, **arguments)


def assert_same_bits(one, other, parts=PARTS):
    for name in parts:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.lower_bounds_ == other.lower_bounds_


def assert_close(one, other, rtol=1e-9):
    for name in PARTS:
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


def as_matrices(model):
    k, d = model.means_.shape
    return STRUCTURES[model.covariance_type].as_matrices(model.covariances_, k, d)


# -- against published values and the oracle ----------------------------------------------------
def iris_of_r():
    """Iris as R has it; three numbers of the UCI's file are others."""
    X = load_iris().data.copy()
    X[34] = [4.9, 3.1, 1.5, 0.2]
    X[37] = [4.9, 3.6, 1.4, 0.1]
    return X


@pytest.mark.parametrize(
    ("k", "at_start", "after_one", "at_optimum"),
    [
        (1, -382.16223251, -381.79648928, -381.78882436),
        (3, -311.00595385, -291.06673354, -190.96208807),
    ],
)
def test_log_likelihoods_of_iris(k, at_start, after_one, at_optimum):
    X = iris_of_r()
    n, d = X.shape
    holes = X.copy()
    holes[(7 * np.arange(n)[:, np.newaxis] + 5 * np.arange(d)) % (4 * d + 3) == 0] = np.nan
    labels = np.argsort(np.argsort(X[:, 0], kind="stable")) * k // n
    groups = [X[labels == c] for c in range(k)]
    start = {
        "weights_init": np.bincount(labels) / n,
        "means_init": np.array([group.mean(axis=0) for group in groups]),
        "precisions_init": np.linalg.inv([np.cov(group.T, ddof=0) for group in groups]),
    }
    for max_iter, expected in ((0, at_start), (1, after_one), (200, at_optimum)):
        model = mixture(k, max_iter=max_iter, tol=1e-13, reg_covar=0, **start).fit(holes)
        assert model.score(holes) * n == pytest.approx(expected, abs=2e-8)


@pytest.mark.parametrize("name", structures.SHARED)
def test_iterations_are_those_of_the_oracle(X, name):
    weights = np.random.RandomState(1).uniform(0.5, 2.0, len(X))
    start = mixture(covariance_type=name, max_iter=0).fit(X, sample_weight=weights)
    parameters = start.weights_, start.means_, as_matrices(start)
    model = mixture(covariance_type=name, max_iter=3, tol=0, reg_covar=0)
    model.set_params(weights_init=start.weights_, means_init=start.means_)
    model.set_params(precisions_init=start.precisions_).fit(X, sample_weight=weights)
    for _ in range(3):
        step = e_step(X, *parameters, weights)
        parameters = m_step(step, parameters[1], name)
    found = model.weights_, model.means_, as_matrices(model)
    for a, b in zip(found, parameters, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    seen = ~np.isnan(X).all(axis=1)
    bound = weights[seen] @ step.log_likelihoods[seen] / weights[seen].sum()
    assert model.lower_bound_ == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize("name", structures.ALL)
def test_every_structure(X, name, tmp_path):
    model = mixture(covariance_type=name, max_iter=25, tol=1e-5).fit(X)
    bounds = np.array(model.lower_bounds_)
    assert (np.diff(bounds) > -1e-9).all()
    step = e_step(X, model.weights_, model.means_, as_matrices(model))
    empty = np.isnan(X).all(axis=1)
    log_likelihoods = np.where(empty, 0.0, step.log_likelihoods)
    np.testing.assert_allclose(model.score_samples(X), log_likelihoods, rtol=1e-9, atol=1e-9)
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba[~empty], step.responsibilities[~empty], atol=1e-9)
    np.testing.assert_allclose(proba[empty], [model.weights_], rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), proba.argmax(axis=1))
    n = len(X) - 1
    assert model.score(X) == pytest.approx(log_likelihoods.sum() / n)
    bic = -2 * log_likelihoods.sum() + model.n_parameters() * np.log(n)
    assert model.bic(X) == pytest.approx(bic)
    model.save(tmp_path / "model.npz")
    loaded = fastgmm.load(tmp_path / "model.npz")
    assert loaded.missing_values == "em"
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    # Statistics of parts add, whatever is missing in them, and an update is an iteration.
    by_hand = mixture(covariance_type=name, max_iter=0).fit(X)
    complete = ~np.isnan(X).any(axis=1)
    statistics = by_hand.accumulate(X[complete]) + by_hand.accumulate(X[~complete])
    one = mixture(covariance_type=name, max_iter=1).fit(X)
    assert_close(by_hand.update(statistics), one)


# -- what does not change a result ----------------------------------------------------------------
@pytest.mark.parametrize("name", structures.ALL)
def test_complete_rows_give_the_bits_of_a_plain_fit(X, name):
    complete = X[~np.isnan(X).any(axis=1)]
    plain = mixture(covariance_type=name, missing_values="error", n_init=2).fit(complete)
    model = mixture(covariance_type=name, n_init=2).fit(complete)
    assert_same_bits(plain, model)
    np.testing.assert_array_equal(plain.score_samples(complete), model.score_samples(complete))
    # Predictions of complete rows do not depend on those beside them.
    rows = ~np.isnan(X).any(axis=1)
    np.testing.assert_array_equal(model.predict_proba(X)[rows], model.predict_proba(complete))


def test_complete_files_give_the_bits_of_a_plain_fit(X, tmp_path):
    np.save(tmp_path / "rows.npy", np.nan_to_num(X))
    plain = mixture(missing_values="error").fit(tmp_path / "rows.npy")
    assert_same_bits(plain, mixture().fit(tmp_path / "rows.npy"))


def test_rows_without_values_and_rows_of_no_weight_count_for_nothing(X):
    seen = ~np.isnan(X).all(axis=1)
    model = mixture().fit(X)
    assert_same_bits(model, mixture().fit(X[seen]))
    weights = np.where(np.arange(len(X)) % 5 == 0, 0.0, 1.0)
    absent = np.where(weights[:, np.newaxis] == 0, np.inf, X)
    fitted = mixture().fit(absent, sample_weight=weights)
    assert_close(fitted, mixture().fit(X[weights > 0]))
    labels = np.arange(len(X)) % 2
    assert_same_bits(
        mixture(init_params=labels).fit(X), mixture(init_params=labels[seen]).fit(X[seen])
    )
    assert len(mixture().fit_predict(X)) == len(X)


@pytest.mark.parametrize("name", ["full", "tied", "diag"])
def test_threads_share_large_groups_in_pieces(X, name, monkeypatch):
    labels = np.where(np.arange(len(X)) % 3, -1, np.arange(len(X)) % 2)

    def fitted(n_jobs):
        return mixture(covariance_type=name, n_jobs=n_jobs).fit(X, labels=labels)

    whole = fitted(1)
    monkeypatch.setattr("fastgmm.passes.patterns._MOST_ROWS", 7)
    expected = fitted(1)
    assert_close(expected, whole)
    assert_same_bits(expected, fitted(3))
    monkeypatch.setattr("fastgmm.passes.missing._MOST_KEPT", 0)
    assert_same_bits(expected, fitted(2))


def test_sources_threads_and_kept_rows(X, tmp_path, many_chunks, monkeypatch):
    monkeypatch.setattr("fastgmm.passes.missing._SMALL", 0)
    weights = np.random.RandomState(2).uniform(0.0, 2.0, len(X) * 6) + 0.1
    rows = np.concatenate([X + i * 0.01 for i in range(6)])
    expected = mixture(n_jobs=1).fit(rows, sample_weight=weights)
    assert_same_bits(expected, mixture(n_jobs=3).fit(rows, sample_weight=weights))
    np.save(tmp_path / "rows.npy", rows)
    import pyarrow.parquet as pq

    pq.write_table(table_of(rows, weights), tmp_path / "rows.parquet")
    monkeypatch.setattr("fastgmm.passes.missing._MOST_KEPT", 0)
    assert_same_bits(expected, mixture(n_jobs=2).fit(rows, sample_weight=weights))
    sources = (
        open_source(tmp_path / "rows.npy", weight=weights),
        open_source(tmp_path / "rows.parquet", weight="weight"),
    )
    for source in sources:
        model = mixture(n_jobs=2).fit(source)
        assert_close(expected, model, rtol=1e-12)
        np.testing.assert_array_equal(
            expected.score_samples(rows), expected.score_samples(tmp_path / "rows.npy")
        )
    labels = np.arange(len(rows)) % 2
    in_memory = mixture(init_params=labels).fit(rows, sample_weight=weights)
    assert_close(in_memory, mixture(init_params=labels).fit(sources[0]), rtol=1e-12)
    monkeypatch.setattr("fastgmm.passes.missing._MOST_SUMS", 0)
    assert_close(expected, mixture().fit(rows, sample_weight=weights))


def test_float32(X):
    model = mixture().fit(X.astype(np.float32))
    assert model.means_.dtype == model.score_samples(X.astype(np.float32)).dtype == np.float32
    assert_close(model, mixture().fit(X), rtol=1e-4)


@pytest.mark.parametrize("start", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("share", [0.05, 0.6])
def test_starts_of_complete_and_of_filled_rows(start, share, tmp_path):
    X = with_holes(400, 4, seed=3, share=share)[0]
    model = mixture(init_params=start, max_iter=200, reg_covar=1e-3).fit(X)
    assert np.isfinite(model.lower_bound_)
    assert (np.diff(model.lower_bounds_) > -1e-9).all()
    np.save(tmp_path / "rows.npy", X)
    stored = clone(model).fit(tmp_path / "rows.npy")
    assert stored.lower_bound_ == pytest.approx(model.lower_bound_, abs=0.2)


def test_a_callable_sees_no_missing_value(X):
    def halves(rows, k, random_state):
        assert np.isfinite(rows).all()
        return np.eye(k)[(rows[:, 0] > np.median(rows[:, 0])).astype(int)]

    assert np.isfinite(mixture(init_params=halves).fit(X).means_).all()


# -- what else an estimator does ----------------------------------------------------------------
def test_checkpoints_and_warm_starts(X, tmp_path):
    path = tmp_path / "run.npz"
    mixture(max_iter=3, tol=0).fit(X, checkpoint=path)
    resumed = mixture(max_iter=6, tol=0).fit(X, checkpoint=path)
    whole = mixture(max_iter=6, tol=0).fit(X)
    assert_same_bits(resumed, whole)
    warm = mixture(max_iter=3, tol=0, warm_start=True).fit(X).fit(X)
    for name in PARTS:
        np.testing.assert_array_equal(getattr(warm, name), getattr(whole, name))


@pytest.mark.parametrize("name", ["full", "tied"])
def test_streams(X, name):
    model = mixture(covariance_type=name)
    model.partial_fit(X[:75]).partial_fit(X[75:])
    assert np.isfinite(model.score(X))


def test_recovery_from_a_component_on_one_row(X):
    rows = np.concatenate([X, np.full((1, 4), 100.0)])
    start = {"init_params": np.r_[np.arange(150) % 2, 2], "reg_covar": 0.0}
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        mixture(3, **start).fit(rows)
    model = mixture(3, on_failure="recover", max_iter=30, **start).fit(rows)
    assert model.diagnostics_
    assert np.isfinite(model.score(rows))


def test_relative_regularization_is_of_what_there_is():
    X = with_holes(200, 3, seed=4, share=0.4)[0] * [1.0, 1e3, 1e-3]
    model = mixture(1, reg_covar="scale", max_iter=0, init_params="random").fit(X)
    by_hand = mixture(1, reg_covar=0.0, max_iter=0, init_params="random").fit(X)
    added = np.diagonal(model.covariances_[0] - by_hand.covariances_[0])
    np.testing.assert_allclose(added, 1e-6 * np.nanvar(X, axis=0), rtol=1e-4)


def test_fit_many(X):
    complete = with_holes(60, 4, seed=5, share=0.0)[0]
    sets = [X, np.delete(complete, 30, axis=0), X[:70]]
    report = fit_many(sets, 2, random_state=0, missing_values="em", max_iter=8)
    assert not any(report.errors)
    for i, rows in enumerate(sets):
        alone = mixture(random_state=int(report.seeds[i])).fit(rows)
        assert_close(report[i], alone, rtol=1e-12)
        assert report.bic_[i] == pytest.approx(alone.bic(rows))


# -- bad input ----------------------------------------------------------------------------------
def test_nan_stays_an_error_by_default_in_the_words_of_scikit_learn(X):
    with pytest.raises(ValueError, match="Input X contains NaN") as theirs:
        sklearn.mixture.GaussianMixture(2).fit(X)
    with pytest.raises(ValueError, match="Input X contains NaN") as ours:
        GaussianMixture(2).fit(X)
    assert str(ours.value) == str(theirs.value)
    assert not GaussianMixture().__sklearn_tags__().input_tags.allow_nan
    assert mixture().__sklearn_tags__().input_tags.allow_nan
    assert "missing_values" not in BayesianGaussianMixture().get_params()
    fitted = GaussianMixture(2).fit(np.nan_to_num(X))
    with pytest.raises(ValueError, match="contains NaN"):
        fitted.predict(X)


def test_bad_input(X, tmp_path):
    with pytest.raises(ValueError, match="'missing_values' parameter"):
        mixture(missing_values="drop").fit(X)
    with_infinity = X.copy()
    with_infinity[3, 1] = np.inf
    fitted = mixture().fit(X)
    for call in (mixture().fit, fitted.predict, fitted.score, fitted.accumulate):
        with pytest.raises(ValueError, match="infinity"):
            call(with_infinity)
    np.save(tmp_path / "rows.npy", with_infinity)
    for call in (mixture().fit, fitted.predict):
        with pytest.raises(ValueError, match=r"rows\.npy: column 1 has infinity.* in row 3"):
            call(tmp_path / "rows.npy")
    empty = X.copy()
    empty[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"X has no value in column '2'"):
        mixture().fit(empty)
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"no value in column 'c'"):
        mixture().fit(pandas.DataFrame(empty, columns=list("abcd")))
    np.save(tmp_path / "rows.npy", empty)
    with pytest.raises(ValueError, match=r"rows\.npy has no value in column '2'"):
        mixture().fit(tmp_path / "rows.npy")
    for call in (mixture().fit, fitted.score, fitted.accumulate):
        with pytest.raises(ValueError, match="no values: all are missing"):
            call(np.full((5, 4), np.nan))
    with pytest.raises(ValueError, match="n_samples >= n_components"):
        mixture(3).fit(np.array([[1.0, np.nan], [np.nan, 2.0], [np.nan, np.nan]]))
