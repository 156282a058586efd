"""``freeze=``: parameters that stay as they are given."""

import numpy as np
import pytest

from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many, load
from fastgmm.covariance import STRUCTURES
from fastgmm.files.container import ModelFileError, read_file, write_file
from fastgmm.saved.codec import encode
from tests import structures
from tests.datasets import mixture_sample
from tests.estimator.helpers import quiet_fit

K, D = 3, 2
X = mixture_sample(240, D, K, seed=0)
WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = X[[0, 50, 120]]


def inits(name, dtype=np.float64):
    """Initial values in the shape of a structure."""
    shape = STRUCTURES[name].shape(K, D)
    some = np.eye(D) * 0.5 if STRUCTURES[name].holds_matrices else 0.5
    return {
        "weights_init": WEIGHTS,
        "means_init": MEANS,
        "precisions_init": np.broadcast_to(some, shape).copy(),
    }


def make(name="full", **params):
    params = {"random_state": 0, "max_iter": 15, "tol": 1e-9, **inits(name), **params}
    return GaussianMixture(K, covariance_type=name, **params)


def density(X, mean, covariance):
    apart = X - mean
    distances = (apart @ np.linalg.inv(covariance) * apart).sum(axis=1)
    return np.exp(-0.5 * distances) / np.sqrt(np.linalg.det(2 * np.pi * covariance))


def reference(X, masks, n_iter, reg_covar=1e-6):
    """Full covariances, by definition; what is fixed keeps its value."""
    weights, means = WEIGHTS.copy(), MEANS.copy()
    covariances = np.repeat(2.0 * np.eye(D)[np.newaxis], K, axis=0)
    for _ in range(n_iter):
        parts = zip(weights, means, covariances, strict=True)
        joint = np.column_stack([w * density(X, m, c) for w, m, c in parts])
        shares = joint / joint.sum(axis=1, keepdims=True)
        counts = shares.sum(axis=0)
        free = ~masks["weights"]
        left = 1.0 - weights[masks["weights"]].sum()
        weights[free] = left * counts[free] / counts[free].sum()
        for c in range(K):
            if not masks["means"][c]:
                means[c] = shares[:, c] @ X / counts[c]
            if not masks["covariances"][c]:
                apart = X - means[c]
                covariances[c] = (shares[:, c, np.newaxis] * apart).T @ apart / counts[c]
                covariances[c] += reg_covar * np.eye(D)
    return weights, means, covariances


@pytest.mark.parametrize(
    "freeze",
    [
        {"means": True},
        {"means": [True, False, False], "weights": [False, True, False]},
        {"covariances": [False, False, True], "weights": True},
        {"weights": [True, False, False], "means": [False, True, True], "covariances": True},
    ],
)
def test_it_is_the_constrained_m_step_by_definition(freeze):
    model = quiet_fit(make(freeze=freeze), X)
    masks = {
        name: np.broadcast_to(freeze.get(name, False), K)
        for name in ("weights", "means", "covariances")
    }
    expected = reference(X, masks, model.n_iter_)
    for name, value in zip(("weights_", "means_", "covariances_"), expected, strict=True):
        np.testing.assert_allclose(getattr(model, name), value, rtol=1e-9, atol=1e-11)
    assert (np.diff(model.lower_bounds_) > -1e-12).all()


@pytest.mark.parametrize("name", structures.ALL)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_structure_keeps_means_and_covariances(name, dtype):
    freeze = {"means": [True, False, True], "weights": [False, False, True]}
    rows, weight = X.astype(dtype), np.arange(len(X)) % 3 + 1.0
    model = quiet_fit(make(name, freeze=freeze), rows, sample_weight=weight)
    np.testing.assert_array_equal(model.means_[[0, 2]], MEANS[[0, 2]].astype(dtype))
    assert (model.means_[1] != MEANS[1].astype(dtype)).all()
    assert model.weights_[2] == dtype(WEIGHTS[2])
    assert model.weights_.sum() == pytest.approx(1.0, rel=1e-6)
    assert (np.diff(model.lower_bounds_) > -1e-6).all()
    all_kept = quiet_fit(make(name, freeze={"covariances": True}), rows)
    kept = inits(name)["precisions_init"]
    np.testing.assert_allclose(all_kept.precisions_, kept, rtol=1e-6, atol=1e-7)
    k_d = STRUCTURES[name].n_free_parameters(K, D)
    assert model.n_parameters() == k_d + D + 1
    assert all_kept.n_parameters() == K * D + K - 1
    score, n = all_kept.score(rows), len(rows)
    assert all_kept.bic(rows) == pytest.approx(-2 * score * n + 8 * np.log(n), rel=1e-6)


def test_covariances_of_frozen_means_are_about_these():
    """A mean far from its rows: their scatter about it, not about their own mean."""
    model = GaussianMixture(1, means_init=[[9.0, -4.0]], freeze={"means": True}, reg_covar=0.0)
    model.fit(X)
    apart = X - [9.0, -4.0]
    np.testing.assert_allclose(model.covariances_[0], apart.T @ apart / len(X), rtol=1e-12)
    assert model.n_parameters() == 3


@pytest.mark.parametrize("name", ["full", "tied"])
def test_nothing_frozen_is_a_plain_fit(name):
    plain = quiet_fit(make(name), X)
    for freeze in ({}, {"means": False, "weights": [False] * K}):
        model = quiet_fit(make(name, freeze=freeze), X)
        np.testing.assert_array_equal(model.covariances_, plain.covariances_)
        assert model.n_parameters() == plain.n_parameters()


def test_by_hand_on_a_stream_warm_and_from_a_checkpoint(tmp_path):
    freeze = {"means": np.array([True, False, False]), "weights": [True, True, False]}
    whole = quiet_fit(make(freeze=freeze, max_iter=4), X)
    stepwise = quiet_fit(make(freeze=freeze, max_iter=0), X)
    for _ in range(4):
        stepwise.update(stepwise.accumulate(X[:100]) + stepwise.accumulate(X[100:]))
    np.testing.assert_allclose(stepwise.covariances_, whole.covariances_, rtol=1e-10)
    stream = make(freeze=freeze).partial_fit(X[:120]).partial_fit(X[120:])
    np.testing.assert_array_equal(stream.means_[0], MEANS[0])
    np.testing.assert_array_equal(stream.weights_[:2], WEIGHTS[:2])
    warm = make(freeze=freeze, max_iter=2, warm_start=True)
    quiet_fit(quiet_fit(warm, X), X)
    np.testing.assert_array_equal(warm.means_, whole.means_)
    job = tmp_path / "job.npz"
    quiet_fit(make(freeze=freeze, max_iter=2), X, checkpoint=job)
    resumed = quiet_fit(make(freeze=freeze, max_iter=4), X, checkpoint=job)
    np.testing.assert_array_equal(resumed.means_, whole.means_)
    with pytest.raises(ValueError, match="freeze was"):
        quiet_fit(make(freeze={"means": True}, max_iter=4), X, checkpoint=job)


def test_saved_and_fitted_many(tmp_path):
    freeze = {"means": np.array([True, False, False]), "covariances": True}
    model = quiet_fit(make(freeze=freeze), X)
    model.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert again.n_parameters() == model.n_parameters()
    np.testing.assert_array_equal(quiet_fit(again, X).means_, model.means_)
    report = fit_many(
        [X, X[:150]], K, random_state=0, freeze=freeze, max_iter=15, tol=1e-9, **inits("full")
    )
    assert report.errors == [None, None]
    assert report.bic_[0] == pytest.approx(model.bic(X), rel=1e-9)
    np.testing.assert_array_equal(report.means_[:, 0], MEANS[[0, 0]])
    assert model.to_sklearn().score(X) == pytest.approx(model.score(X))


@pytest.mark.parametrize("freeze", [{"means": [True]}, {"means": [1, 0, 0]}, {"medians": True}])
def test_what_is_frozen_is_checked_on_loading(tmp_path, freeze):
    quiet_fit(make(freeze={"means": True}), X).save(tmp_path / "model.npz")
    contents = read_file(tmp_path / "model.npz", ("model",))
    contents.header["parameters"]["freeze"] = encode(freeze, "freeze", contents.arrays)
    write_file(tmp_path / "model.npz", contents)
    with pytest.raises(ModelFileError, match="freeze"):
        load(tmp_path / "model.npz")


def test_recovery_neither_moves_nor_prunes_what_is_given():
    rows = np.r_[X, [[50.0, 50.0]] * 3]
    means = np.r_[MEANS[:2], [[50.0, 50.0]]]
    params = {"means_init": means, "precisions_init": None, "reg_covar": 0.0}
    params |= {"init_params": np.r_[np.arange(240) % 2, [2, 2, 2]], "on_failure": "recover"}
    model = quiet_fit(make(freeze={"means": [False, False, True]}, **params), rows)
    assert len(model.weights_) == K
    np.testing.assert_array_equal(model.means_[2], means[2])
    assert {record["action"] for record in model.diagnostics_} <= {"widen", "regularize"}
    assert "regularize" in {record["action"] for record in model.diagnostics_}


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"freeze": {"mean": True, "scale": 1}}, "'mean', 'scale'; .*'weights', 'means', 'cov"),
        ({"freeze": {"means": [True, False]}}, r"boolean array of shape \(3,\)"),
        ({"freeze": {"means": [0, 1, 2]}}, "boolean array"),
        ({"freeze": {"means": None}}, "boolean array"),
        ({"freeze": {"means": [True, [False, True], False]}}, "boolean array"),
        ({"freeze": {"weights": True}, "weights_init": None}, "weights_init does not give"),
        ({"freeze": {"means": True}, "means_init": None}, "means_init does not give"),
        ({"freeze": {"covariances": True}, "precisions_init": None}, "precisions_init does not"),
        ({"freeze": {"means": True}, "means_init": MEANS[:2]}, "means"),
        (
            {"freeze": {"weights": [True, False, False]}, "weights_init": [1.0, 0.0, 0.0]},
            "leave nothing",
        ),
        ({"freeze": ["means"]}, "freeze"),
    ],
)
def test_bad_arguments(params, match):
    with pytest.raises(ValueError, match=match):
        make(**params).fit(X)


def test_covariances_of_a_shared_factor_are_frozen_for_all_or_none():
    with pytest.raises(ValueError, match="all of them, or none"):
        make("tied", freeze={"covariances": [True, False, False]}).fit(X)


def test_bayesian_mixtures_have_no_such_argument():
    with pytest.raises(TypeError, match="freeze"):
        BayesianGaussianMixture(freeze={"means": True})
