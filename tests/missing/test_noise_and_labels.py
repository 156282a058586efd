"""Noise, and rows whose components are known, where values are missing; against the oracle."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone

import fastgmm
from fastgmm import GaussianMixture, fit_many, select
from fastgmm.sources.opening import open_source
from tests import structures
from tests.missing.reference import e_step, m_step, with_holes
from tests.missing.test_fits import as_matrices, assert_close, assert_same_bits, mixture

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def rows_with_noise():
    """Two clusters and uniform rows, with holes; the last 40 are the uniform ones."""
    X, labels = with_holes(200, 4, seed=0)
    random = np.random.RandomState(1)
    noise = random.uniform(-12.0, 20.0, (40, 4))
    noise[random.uniform(size=noise.shape) < 0.15] = np.nan
    return np.r_[X, noise], np.r_[labels, np.full(40, -1)]


X, TRUE = rows_with_noise()
SEEN = ~np.isnan(X).all(axis=1)
WIDTHS = np.nanmax(X, axis=0) - np.nanmin(X, axis=0)
IS_NOISE = np.arange(len(X)) >= 200
PART = np.where(np.arange(len(X)) % 4 == 0, TRUE, -1)
WEIGHTS = np.random.RandomState(2).uniform(0.5, 2.0, len(X))


def noisy(**arguments):
    return mixture(**{"noise": "box", **arguments})


@pytest.mark.parametrize("name", structures.SHARED)
@pytest.mark.parametrize("labels", [None, PART], ids=["noise", "noise and labels"])
def test_iterations_are_those_of_the_oracle(name, labels):
    start = noisy(covariance_type=name, max_iter=0).fit(X, sample_weight=WEIGHTS, labels=labels)
    assert start.noise_volume_ == pytest.approx(np.prod(WIDTHS), rel=1e-12)
    parameters = start.weights_, start.means_, as_matrices(start)
    model = clone(start).set_params(max_iter=3, tol=0, reg_covar=0)
    model.set_params(weights_init=start.weights_, means_init=start.means_)
    model.set_params(precisions_init=start.precisions_)
    model.fit(X, sample_weight=WEIGHTS, labels=labels)
    total = WEIGHTS[SEEN].sum()
    for _ in range(3):
        step = e_step(X, *parameters, WEIGHTS, widths=WIDTHS, labels=labels)
        parameters = m_step(step, parameters[1], name, total)
    for a, b in zip((model.weights_, model.means_, as_matrices(model)), parameters, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    assert model.noise_weight_ == pytest.approx(1.0 - parameters[0].sum(), rel=1e-9)
    bound = WEIGHTS[SEEN] @ step.log_likelihoods[SEEN] / total
    assert model.lower_bound_ == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize("name", structures.ALL)
@pytest.mark.parametrize("noise", [None, "box"])
@pytest.mark.parametrize("labels", [None, PART], ids=["free", "labels"])
def test_the_bound_never_falls(name, noise, labels):
    model = mixture(covariance_type=name, noise=noise, max_iter=30, tol=1e-6)
    model.fit(X, labels=labels)
    assert (np.diff(model.lower_bounds_) > -1e-9).all()
    if labels is None:
        assert model.score(X) >= model.lower_bound_ - 1e-9
    else:
        found = model.fit_predict(X, labels=labels)
        np.testing.assert_array_equal(found[labels >= 0], labels[labels >= 0])


@pytest.mark.parametrize("name", structures.SHARED)
def test_predictions(name, tmp_path):
    model = noisy(covariance_type=name, max_iter=40).fit(X)
    step = e_step(X, model.weights_, model.means_, as_matrices(model), widths=WIDTHS)
    log_likelihoods = np.where(SEEN, step.log_likelihoods, 0.0)
    np.testing.assert_allclose(model.score_samples(X), log_likelihoods, rtol=1e-9, atol=1e-9)
    shares = step.responsibilities
    shares[~SEEN] = [*model.weights_, model.noise_weight_]
    np.testing.assert_allclose(model.predict_proba(X), shares, atol=1e-9)
    labels = shares.argmax(axis=1)
    labels[labels == 2] = -1
    np.testing.assert_array_equal(model.predict(X), labels)
    assert np.mean(labels[IS_NOISE] == -1) > 0.7
    bic = -2 * log_likelihoods.sum() + model.n_parameters() * np.log(SEEN.sum())
    assert model.bic(X) == pytest.approx(bic)
    # Noise fills in the middle of its box.
    middle = 0.5 * (np.nanmax(X, axis=0) + np.nanmin(X, axis=0))
    expected = np.concatenate([step.expected, np.tile(middle, (len(X), 1, 1))], axis=1)
    expected[~SEEN, :2] = model.means_
    filled = np.where(np.isnan(X), np.einsum("nk,nkd->nd", shares, expected), X)
    np.testing.assert_allclose(model.impute(X), filled, rtol=1e-9, atol=1e-9)
    model.save(tmp_path / "model.npz")
    loaded = fastgmm.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    rows, drawn = model.sample(500)
    assert np.isfinite(rows).all()
    assert -1 in drawn


def test_marginals_and_conditionals_have_noise_too(tmp_path):
    model = noisy(max_iter=40).fit(X)
    of_two = model.marginal([3, 1])
    only = np.full_like(X, np.nan)
    only[:, [1, 3]] = X[:, [1, 3]]
    there = ~np.isnan(X[:, [1, 3]]).any(axis=1)
    part = X[there][:, [3, 1]]
    np.testing.assert_allclose(of_two.score_samples(part), model.score_samples(only[there]))
    np.testing.assert_allclose(of_two.predict_proba(part), model.predict_proba(only[there]))
    assert of_two.noise_volume_ == pytest.approx(WIDTHS[3] * WIDTHS[1])
    of_two.save(tmp_path / "part.npz")
    assert fastgmm.load(tmp_path / "part.npz").sample(50)[0].shape == (50, 2)
    whole = model.marginal([3, 2, 1, 0])
    complete = X[~np.isnan(X).any(axis=1)]
    np.testing.assert_allclose(
        whole.score_samples(complete[:, ::-1]), model.score_samples(complete)
    )
    given = model.conditional(part, [3, 1])
    assert given.weights.shape == (len(part), 3)
    np.testing.assert_allclose(given.mean, model.impute(only[there])[:, [0, 2]], rtol=1e-9)
    # By the definition of conditional densities, inside the box.
    inside = complete[:, [0, 2]]
    given = model.conditional(complete[:, [3, 1]], [3, 1])
    density = given.weights[:, 2] / (WIDTHS[0] * WIDTHS[2])
    for c in (0, 1):
        density += given.weights[:, c] * [
            multivariate_normal(mean, given.covariances[c]).pdf(x)
            for mean, x in zip(given.means[:, c], inside, strict=True)
        ]
    joint = model.score_samples(complete) - of_two.score_samples(complete[:, [3, 1]])
    np.testing.assert_allclose(np.log(density), joint, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.diag(given.covariances[2]), WIDTHS[[0, 2]] ** 2 / 12)


def test_draws_of_noise_are_uniform_in_the_box():
    model = noisy(max_iter=40).fit(X)
    far = np.full((1, 4), np.nan)
    far[0, 0] = np.nanmin(X[:, 0])
    assert model.predict(far) == [-1]
    drawn = model.impute(np.repeat(far, 2000, axis=0), draws=2, random_state=0).reshape(-1, 4)
    share = model.predict_proba(far)[0, -1]
    assert share > 0.9
    low, high = np.nanmin(X, axis=0)[1:], np.nanmax(X, axis=0)[1:]
    places = (drawn[:, 1:] - low) / (high - low)
    counts = np.histogram(places[:, 0], bins=4, range=(0, 1))[0] / len(drawn)
    assert (np.abs(counts - 0.25) < 0.05 + (1 - share)).all()
    complete = np.nan_to_num(X)
    np.testing.assert_array_equal(model.impute(complete, draws=1, random_state=0)[0], complete)


def test_where_nothing_is_missing_the_bits_are_those_of_a_plain_fit(tmp_path):
    complete = X[~np.isnan(X).any(axis=1)]
    labels = PART[~np.isnan(X).any(axis=1)]
    for arguments, of_fit in (
        ({"noise": "box"}, {}),
        ({}, {"labels": labels}),
        ({"noise": "box"}, {"labels": labels}),
    ):
        plain = mixture(missing_values="error", **arguments).fit(complete, **of_fit)
        model = mixture(**arguments).fit(complete, **of_fit)
        assert_same_bits(plain, model)
        np.testing.assert_array_equal(plain.score_samples(complete), model.score_samples(complete))
    # Whose box may be turned: then what is left of it are its own ranges.
    line = np.random.RandomState(0).uniform(size=(300, 1)) * [1.0, 1.0]
    line += 0.02 * np.random.RandomState(1).uniform(size=line.shape)
    model = mixture(1, noise="box").fit(line)
    assert np.count_nonzero(model.noise_box_[1:]) == 4
    half = np.array([[0.5, np.nan]])
    reach = np.abs(model.noise_box_[1:, 0]).sum()
    one = model.weights_[0] * multivariate_normal(
        model.means_[0, 0], model.covariances_[0, 0, 0]
    ).pdf(0.5)
    assert model.score_samples(half)[0] == pytest.approx(
        np.log(one + model.noise_weight_ / reach), rel=1e-9
    )


def test_all_labelled_fits_every_component_alone():
    known = np.where(TRUE >= 0, TRUE, 0)[:200]
    rows = X[:200]
    together = mixture(max_iter=500, tol=1e-14, reg_covar=0).fit(rows, labels=known)
    for c in (0, 1):
        alone = mixture(1, max_iter=500, tol=1e-14, reg_covar=0).fit(rows[known == c])
        np.testing.assert_allclose(together.means_[c], alone.means_[0], rtol=1e-6)
        np.testing.assert_allclose(together.covariances_[c], alone.covariances_[0], atol=1e-5)


def test_labels_and_noise_init_where_rows_are_left_out(tmp_path):
    """Rows without any value, or of no weight, have labels that nobody looks at."""
    weights = np.where(np.arange(len(X)) % 7 == 0, 0.0, WEIGHTS)
    there = SEEN & (weights > 0)
    model = noisy(noise_init=IS_NOISE).fit(X, labels=PART, sample_weight=weights)
    part = noisy(noise_init=IS_NOISE[there])
    part.fit(X[there], labels=PART[there], sample_weight=weights[there])
    assert_same_bits(model, part)
    # Starts of complete rows know which of them are noise.
    many = np.concatenate([X + 0.01 * i for i in range(5)])
    marked = np.tile(IS_NOISE, 5)
    start = noisy(noise_init=marked, max_iter=0).fit(many)
    complete = ~np.isnan(many).any(axis=1)
    clean = many[complete & ~marked]
    assert start.noise_weight_ == pytest.approx(marked[~np.isnan(many).all(axis=1)].mean())
    pooled = start.weights_ @ start.means_ / start.weights_.sum()
    np.testing.assert_allclose(pooled, clean.mean(axis=0), rtol=1e-9)
    # If none of them is left to components, all rows make the start.
    everything = noisy(noise_init=complete, max_iter=0).fit(many)
    seen = ~np.isnan(many).all(axis=1)
    assert everything.noise_weight_ == pytest.approx(complete.sum() / seen.sum())


def test_labels_in_a_column_of_files_with_empty_cells(tmp_path):
    expected = mixture().fit(X, labels=PART, sample_weight=WEIGHTS)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=PART, w=WEIGHTS)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    np.save(tmp_path / "rows.npy", frame.to_numpy())
    for name, kind, w in [("csv", "kind", "w"), ("parquet", "kind", "w"), ("npy", 4, 5)]:
        path = tmp_path / f"rows.{name}"
        assert_same_bits(mixture().fit(path, labels=kind, sample_weight=w), expected)
        found = select(
            path, n_components=[2], covariance_type=["full"], labels=kind, sample_weight=w,
            missing_values="em", random_state=0,
        )  # fmt: skip
        assert found.best_estimator_.missing_values == "em"


def test_sources_threads_and_chunks(tmp_path, many_chunks, monkeypatch):
    monkeypatch.setattr("fastgmm.passes.missing._SMALL", 0)
    rows, labels = np.concatenate([X + 0.01 * i for i in range(5)]), np.tile(PART, 5)
    weights = np.tile(WEIGHTS, 5)
    expected = noisy(n_jobs=1).fit(rows, labels=labels, sample_weight=weights)
    several = noisy(n_jobs=3).fit(rows, labels=labels, sample_weight=weights)
    assert_same_bits(expected, several)
    np.save(tmp_path / "rows.npy", rows)
    stored = open_source(tmp_path / "rows.npy", weight=weights, missing_values="em")
    assert_close(expected, noisy().fit(stored, labels=labels), rtol=1e-12)
    monkeypatch.setattr("fastgmm.passes.missing._MOST_SUMS", 0)
    monkeypatch.setattr("fastgmm.passes.missing._MOST_KEPT", 0)
    assert_close(expected, noisy().fit(rows, labels=labels, sample_weight=weights))
    single = noisy().fit(rows.astype(np.float32), labels=labels, sample_weight=weights)
    assert single.means_.dtype == np.float32
    assert_close(expected, single, rtol=1e-3)


@pytest.mark.parametrize("name", ["full", "tied", "VEI"])
def test_checkpoints_streams_and_statistics_by_hand(name, tmp_path):
    arguments = {"covariance_type": name, "tol": 0}
    path = tmp_path / "run.npz"
    noisy(max_iter=3, **arguments).fit(X, labels=PART, checkpoint=path)
    resumed = noisy(max_iter=6, **arguments).fit(X, labels=PART, checkpoint=path)
    assert_same_bits(resumed, noisy(max_iter=6, **arguments).fit(X, labels=PART))
    by_hand = noisy(max_iter=0, **arguments).fit(X)
    complete = ~np.isnan(X).any(axis=1)
    statistics = by_hand.accumulate(X[complete]) + by_hand.accumulate(X[~complete])
    assert_close(by_hand.update(statistics), noisy(max_iter=1, **arguments).fit(X))
    stream = noisy(**arguments).partial_fit(X[::2]).partial_fit(X[1::2])
    assert np.isfinite(stream.score(X))
    assert 0 < stream.noise_weight_ < 0.5
    warm = noisy(max_iter=3, warm_start=True, **arguments).fit(X).fit(X)
    whole = noisy(max_iter=6, **arguments).fit(X)
    np.testing.assert_array_equal(warm.means_, whole.means_)


def test_many_and_searches():
    report = fit_many(
        [X, X[:150]],
        2,
        labels=[PART, PART[:150]],
        random_state=0,
        noise="box",
        missing_values="em",
        max_iter=8,
    )
    assert report.errors == [None, None]
    alone = noisy(random_state=int(report.seeds[0])).fit(X, labels=PART)
    assert_close(report[0], alone, rtol=1e-12)
    assert report.bic_[0] == pytest.approx(alone.bic(X))
    found = fastgmm.select(
        X, [1, 2], ["full", "VVI"], noise="box", missing_values="em", random_state=0
    )
    best = found.best_estimator_
    assert found.cells[found.best_index_].score == pytest.approx(best.bic(X))
    assert 0 < best.noise_weight_ < 1


def test_bad_input():
    with pytest.raises(ValueError, match="noise='box' takes these"):
        mixture(noise=100.0).fit(X)
    flat = X.copy()
    flat[:, 1] = np.where(np.isnan(flat[:, 1]), np.nan, 3.0)
    with pytest.raises(ValueError, match="feature 1 is constant"):
        noisy().fit(flat)
    given = GaussianMixture(2, noise=1e5, random_state=0).fit(np.nan_to_num(X))
    given.missing_values = "em"
    assert np.isfinite(given.score(np.nan_to_num(X)))
    for method in (given.predict, given.score, given.impute, given.accumulate):
        with pytest.raises(ValueError, match="volume of noise was given"):
            method(X)
    with pytest.raises(ValueError, match="volume of noise was given"):
        given.marginal([0, 1])
    with pytest.raises(ValueError, match="volume of noise was given"):
        given.conditional(np.ones((3, 2)), [0, 1])
    with pytest.raises(ValueError, match=r"labels should be from 0 to 1.* row 3"):
        mixture().fit(X, labels=np.where(np.arange(len(X)) == 3, 2, PART))
