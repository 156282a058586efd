"""``noise=``: a further component of constant density."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import load_iris

from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many, load
from fastgmm.covariance import STRUCTURES
from fastgmm.sources.array import array_source
from fastgmm.sources.box import box_around
from tests import structures
from tests.estimator.helpers import STARTS, quiet_fit

K = 2
RANDOM = np.random.RandomState(0)
CLEAN = np.r_[
    RANDOM.standard_normal((150, 2)) * np.array([0.5, 1.0]),
    RANDOM.standard_normal((100, 2)) + np.array([8.0, 2.0]),
]
X = np.r_[CLEAN, RANDOM.uniform([-10, -10], [20, 12], (60, 2))]
IS_NOISE = np.arange(len(X)) >= len(CLEAN)
WEIGHT = RANDOM.randint(1, 4, len(X)).astype(float)


def make(**params):
    defaults = {"n_components": K, "noise": "box", "random_state": 0, "tol": 1e-9, "max_iter": 200}
    return GaussianMixture(**{**defaults, **params})


def of_gaussians(X, model):
    """Weighted densities (n, k), by definition."""
    covariances = STRUCTURES[model.covariance_type].as_matrices(model.covariances_, K, X.shape[1])
    densities = []
    for weight, mean, covariance in zip(model.weights_, model.means_, covariances, strict=True):
        apart = X - mean
        distances = (apart @ np.linalg.inv(covariance) * apart).sum(axis=1)
        norm = np.sqrt(np.linalg.det(2 * np.pi * covariance))
        densities.append(weight * np.exp(-0.5 * distances) / norm)
    return np.column_stack(densities)


@pytest.mark.parametrize("name", structures.ALL)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_fixed_point_by_definition(name, dtype):
    rows = X.astype(dtype)
    rtol = 1e-4 if dtype == np.float64 else 1e-2
    model = quiet_fit(make(covariance_type=name, reg_covar=0.0), rows, sample_weight=WEIGHT)
    assert (np.diff(model.lower_bounds_) > -1e-6).all()
    assert model.weights_.sum() + model.noise_weight_ == pytest.approx(1.0, rel=1e-6)
    of_noise = np.full(len(X), model.noise_weight_ / model.noise_volume_)
    joint = np.column_stack([of_gaussians(X, model), of_noise])
    np.testing.assert_allclose(model.score_samples(rows), np.log(joint.sum(axis=1)), rtol=rtol)
    shares = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(rows), shares, atol=rtol)
    labels = shares.argmax(axis=1)
    labels[labels == K] = -1
    np.testing.assert_array_equal(model.predict(rows), labels)
    assert np.mean(labels[IS_NOISE] == -1) > 0.5
    # The M-step by definition does not move it.
    counts = WEIGHT @ shares
    np.testing.assert_allclose(model.weights_, counts[:K] / WEIGHT.sum(), rtol=rtol)
    np.testing.assert_allclose(model.noise_weight_, counts[K] / WEIGHT.sum(), rtol=rtol)
    weighted = WEIGHT[:, np.newaxis] * shares[:, :K]
    means = weighted.T @ X / counts[:K, np.newaxis]
    np.testing.assert_allclose(model.means_, means, rtol=rtol, atol=rtol)
    if name in structures.SHARED:
        parts = zip(weighted.T, means, strict=True)
        scatters = np.array([(w * (X - m).T) @ (X - m) for w, m in parts])
        full = scatters / counts[:K, np.newaxis, np.newaxis]
        diag = np.diagonal(full, axis1=1, axis2=2)
        expected = {
            "full": full,
            "tied": scatters.sum(axis=0) / counts[:K].sum(),
            "diag": diag,
            "spherical": diag.mean(axis=1),
        }
        np.testing.assert_allclose(model.covariances_, expected[name], rtol=10 * rtol, atol=rtol)


#: Log-likelihood, parameters, BIC and weights of mclust 6.0.0, ``Mclust(Z, G = 2, modelNames =,
#: initialization = list(noise = marked), control = emControl(tol = c(1e-13, 1e-13)))``.
MCLUST = {
    "EII": (-490.47381370, 8, 1022.9238200, [0.2312639, 0.2867610], 0.4819751),
    "VII": (-471.53123312, 9, 990.2856829, [0.2231475, 0.4373486], 0.3395039),
    "EEI": (-490.46958386, 9, 1028.1623844, [0.2314036, 0.2837120], 0.4848843),
    "VEI": (-471.35110742, 10, 995.1724556, [0.2260835, 0.4359031], 0.3380135),
    "EVI": (-480.85728151, 10, 1014.1848037, [0.2430540, 0.2924735], 0.4644725),
    "VVI": (-455.70604806, 11, 969.1293609, [0.2314482, 0.4473807], 0.3211711),
    "EEE": (-471.70221896, 10, 995.8746787, [0.2409763, 0.4743287], 0.2846950),
    "VEE": (-454.05173630, 11, 965.8207374, [0.2213719, 0.4944625], 0.2841657),
    "EVE": (-462.50357282, 11, 982.7244104, [0.2504974, 0.4735587], 0.2759439),
    "VVE": (-440.98776847, 12, 944.9398258, [0.2358226, 0.5251434], 0.2390340),
    "EEV": (-457.68230725, 11, 973.0818793, [0.2540409, 0.4619799], 0.2839792),
    "VEV": (-427.09165871, 12, 917.1476063, [0.2363903, 0.5248122], 0.2387975),
    "EVV": (-457.10606603, 12, 977.1764209, [0.2549098, 0.4637586], 0.2813315),
    "VVV": (-426.73779690, 13, 921.6869067, [0.2377660, 0.5265257], 0.2357083),
}
ABOVE = {"VVE": 8.036e-5}
"""By how much this one ends above mclust, whose M-step misses the maximum a little."""


@pytest.mark.parametrize("name", MCLUST)
def test_mclust_comes_to_the_same(name):
    iris = load_iris().data[:, [0, 2]]
    uniform = np.random.RandomState(7).uniform(iris.min(axis=0), iris.max(axis=0), (40, 2))
    rows, marked = np.r_[iris, uniform], np.arange(190) >= 150
    model = make(covariance_type=name, noise_init=marked, tol=1e-13, max_iter=999, reg_covar=0.0)
    model.fit(rows)
    log_likelihood, n_parameters, bic, weights, of_noise = MCLUST[name]
    above = ABOVE.get(name, 0.0)
    assert model.noise_volume_ == pytest.approx(21.24, rel=1e-12)
    assert model.score(rows) * len(rows) == pytest.approx(log_likelihood + above, abs=2e-8)
    assert model.n_parameters() == n_parameters
    assert model.bic(rows) == pytest.approx(bic - 2 * above, abs=2e-7)
    atol = 1e-6 if not above else 1e-4
    np.testing.assert_allclose(np.sort(model.weights_), weights, atol=atol)
    assert model.noise_weight_ == pytest.approx(of_noise, abs=atol)


def test_the_box_is_mclusts():
    """The value of `hypvol` of mclust 6.0.0 for iris; and a thin box along a diagonal."""
    edges = box_around(array_source(load_iris().data))[1:]
    assert abs(np.linalg.det(edges)) == pytest.approx(27.2412, abs=5e-5)
    line = RANDOM.uniform(size=500)
    thin = np.c_[line, line + 0.01 * RANDOM.uniform(size=500)]
    box = box_around(array_source(thin))
    assert abs(np.linalg.det(box[1:])) < 0.1 * np.ptp(thin, axis=0).prod()
    inside = np.linalg.solve(box[1:].T, (thin - box[0]).T)
    assert inside.min() > -1e-9
    assert inside.max() < 1 + 1e-9


#: `hypvol` of mclust 6.0.0.
VOLUMES = {1.0: 16806.338611934989, 1e6: 16933944285641.9, 1e9: 5.3549830912198899e17}


@pytest.mark.parametrize("unit", VOLUMES)
def test_the_box_of_features_in_units_of_very_different_size(unit):
    random = np.random.RandomState(3)
    turns = random.randn(2, 4, 4)
    rows = np.r_[random.randn(150, 4) @ turns[0], 3 + random.randn(150, 4) @ turns[1]]
    rows[:, 1:3] *= [unit, np.sqrt(unit)]
    for order in ([0, 1, 2, 3], [1, 2, 3, 0], [3, 0, 2, 1]):
        edges = box_around(array_source(np.ascontiguousarray(rows[:, order])))[1:]
        assert np.linalg.norm(edges, axis=1).prod() == pytest.approx(VOLUMES[unit], rel=1e-11)
    # What depends on the other features has no width along an axis, whatever the units are.
    rows[:, 3] = rows[:, 1] / unit - rows[:, 0]
    edges = box_around(array_source(rows))[1:]
    np.testing.assert_array_equal(edges, np.diag(np.ptp(rows, axis=0)))


def test_counts_and_criteria():
    plain = make(noise=None).fit(X).n_parameters()
    assert make().fit(X).n_parameters() == plain + 2
    given = make(noise=500.0).fit(X)
    assert given.n_parameters() == plain + 1
    assert given.noise_volume_ == 500.0
    expected = -2 * given.score_samples(X).sum() + (plain + 1) * np.log(len(X))
    assert given.bic(X) == pytest.approx(expected)


@pytest.mark.parametrize("init_params", [*STARTS, (np.arange(len(X)) % K)])
def test_starts_with_and_without_rows_of_noise(init_params):
    for noise_init in (None, IS_NOISE):
        model = quiet_fit(make(init_params=init_params, noise_init=noise_init, reg_covar=1e-2), X)
        assert model.noise_weight_ == pytest.approx(60 / 310, abs=0.05)
        start = make(init_params=init_params, noise_init=noise_init, max_iter=0, reg_covar=1e-2)
        share = 0.05 if noise_init is None else IS_NOISE.mean()
        assert quiet_fit(start, X).noise_weight_ == pytest.approx(share, abs=1e-12)
    if isinstance(init_params, str) and init_params == "kmeans":
        start = quiet_fit(make(noise_init=IS_NOISE, max_iter=0, covariance_type="tied"), X)
        assert np.trace(start.covariances_) < np.trace(np.cov(X.T))


def test_samples_follow_the_model():
    for noise in ("box", 300.0):
        model = make(noise=noise).fit(X)
        rows, labels = model.sample(4000)
        assert np.mean(labels == -1) == pytest.approx(model.noise_weight_, abs=0.03)
        assert (np.diff(labels == -1) >= 0).all()
        corner, edges = model.noise_box_[0], model.noise_box_[1:]
        assert abs(np.linalg.det(edges)) == pytest.approx(model.noise_volume_)
        inside = np.linalg.solve(edges.T, (rows[labels == -1] - corner).T)
        assert inside.min() > -1e-9
        assert inside.max() < 1 + 1e-9
        np.testing.assert_allclose(inside.mean(axis=1), 0.5, atol=0.05)
        np.testing.assert_allclose(rows[labels == 0].mean(axis=0), model.means_[0], atol=0.2)


@pytest.mark.parametrize("name", ["full", "tied"])
def test_by_hand_on_a_stream_warm_saved_and_from_a_checkpoint(tmp_path, name):
    params = {"covariance_type": name}
    whole = quiet_fit(make(max_iter=4, **params), X)
    stepwise = quiet_fit(make(max_iter=0, **params), X)
    for _ in range(4):
        stepwise.update(stepwise.accumulate(X[:100]) + stepwise.accumulate(X[100:]))
    np.testing.assert_allclose(stepwise.covariances_, whole.covariances_, rtol=1e-8)
    assert stepwise.noise_weight_ == pytest.approx(whole.noise_weight_)
    shuffled = X[np.random.RandomState(0).permutation(len(X))]
    stream = make(**params).partial_fit(shuffled[:150]).partial_fit(shuffled[150:])
    assert 0 < stream.noise_weight_ < 0.5
    stream.save(tmp_path / "stream.npz")
    load(tmp_path / "stream.npz").partial_fit(X)
    warm = make(max_iter=2, warm_start=True, **params)
    quiet_fit(quiet_fit(warm, X), X)
    np.testing.assert_allclose(warm.means_, whole.means_, rtol=1e-10)
    job = tmp_path / "job.npz"
    quiet_fit(make(max_iter=2, **params), X, checkpoint=job)
    resumed = quiet_fit(make(max_iter=4, **params), X, checkpoint=job)
    np.testing.assert_array_equal(resumed.means_, whole.means_)
    with pytest.raises(ValueError, match="noise was 'box' and is 7"):
        make(max_iter=4, noise=7.0, **params).fit(X, checkpoint=job)
    whole.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))
    np.testing.assert_array_equal(again.sample(9)[0], whole.sample(9)[0])


def test_sources_labels_frozen_parts_and_many_fits(monkeypatch):
    expected = make().fit(X, sample_weight=WEIGHT)
    parts = make().fit([X[:90], X[90:]], sample_weight=WEIGHT)
    np.testing.assert_array_equal(parts.means_, expected.means_)
    report = fit_many([X, X[:280]], K, noise="box", random_state=0, tol=1e-9, max_iter=200)
    assert report.errors == [None, None]
    alone = make(random_state=int(report.seeds[0])).fit(X)
    np.testing.assert_array_equal(report.means_[0], alone.means_)
    assert report.bic_[0] == pytest.approx(alone.bic(X))
    assert report[0].predict(X).min() == -1
    labels = np.where(np.arange(len(X)) % 10 == 0, np.repeat([0, 1, -1], [150, 100, 60]), -1)
    known = make().fit(X, labels=labels)
    assert (known.fit_predict(X, labels=labels)[labels >= 0] == labels[labels >= 0]).all()
    weights = [0.5, 0.3]
    frozen = make(weights_init=weights, freeze={"weights": [True, False]}).fit(X)
    assert frozen.weights_[0] == 0.5
    assert frozen.weights_.sum() + frozen.noise_weight_ == pytest.approx(1.0)
    everything = make(weights_init=weights, freeze={"weights": True}).fit(X)
    assert everything.noise_weight_ == pytest.approx(0.2)
    assert everything.n_parameters() == frozen.n_parameters() - 1
    monkeypatch.setattr("fastgmm.estimator.starting.START_ROWS", 200)
    sampled = make(noise_init=IS_NOISE).fit([X[:90], X[90:]])
    assert sampled.noise_weight_ == pytest.approx(expected.noise_weight_, abs=0.06)


def test_components_far_apart_and_means_that_jump():
    """The pass by cells, and that about new means: same answers as the plain one."""
    centres = 50.0 * np.random.RandomState(1).uniform(size=(64, 2))
    random = np.random.RandomState(2)
    rows = centres[random.randint(64, size=17000)] + 0.1 * random.standard_normal((17000, 2))
    rows[:500] = random.uniform(0, 50, (500, 2))
    inits = {"means_init": centres, "precisions_init": np.full((64, 2), 100.0)}
    inits["weights_init"] = np.full(64, 0.95 / 64)
    params = {"covariance_type": "diag", "noise": 2500.0, "max_iter": 1, "tol": 0.0}
    model = quiet_fit(GaussianMixture(64, **params, **inits), rows)
    start = quiet_fit(GaussianMixture(64, **{**params, "max_iter": 0}, **inits), rows)
    assert start.noise_weight_ == pytest.approx(0.05)
    shares = start.predict_proba(rows)
    np.testing.assert_allclose(model.noise_weight_, shares[:, -1].mean(), rtol=1e-8)
    np.testing.assert_allclose(model.weights_, shares[:, :-1].mean(axis=0), rtol=1e-8)
    assert model.lower_bound_ == pytest.approx(start.score(rows), rel=1e-10)
    far = {"means_init": [[1e7, 0.0], [0.0, 0.0]], "covariance_type": "spherical"}
    jumped = make(init_params=np.arange(len(X)) % 2, **far).fit(X)
    assert np.isfinite(jumped.means_).all()


def test_a_warm_start_from_a_model_without_noise_and_back():
    model = make(noise=None, warm_start=True).fit(X)
    model.set_params(noise="box").fit(X)
    assert model.noise_weight_ == pytest.approx(make().fit(X).noise_weight_, abs=1e-3)
    model.set_params(noise=None, max_iter=0).fit(X)
    assert model.weights_.sum() == pytest.approx(1.0)
    assert not hasattr(model, "noise_weight_")


def test_without_noise_nothing_changes():
    plain, again = make(noise=None), make()
    plain.fit(X)
    again.fit(X)
    again.noise = None
    again.fit(X)
    np.testing.assert_array_equal(again.covariances_, plain.covariances_)
    assert not [name for name in vars(again) if name.startswith("noise") and name.endswith("_")]
    assert again.predict_proba(X).shape == (len(X), K)


@pytest.mark.parametrize(
    ("params", "rows", "match"),
    [
        ({"noise": 0.0}, X, "noise"),
        ({"noise": -1}, X, "noise"),
        ({"noise": np.nan}, X, "noise"),
        ({"noise": np.inf}, X, "noise"),
        ({"noise": True}, X, "noise should be"),
        ({"noise": "hull"}, X, "noise"),
        ({}, np.c_[X, np.ones(len(X))], "feature 2 is constant"),
        ({}, pd.DataFrame({"a": X[:, 0], "b": 1.0}), "feature 'b' is constant"),
        ({}, pa.table({"a": X[:, 0], "b": np.ones(len(X))}), "feature 'b' is constant"),
        ({"noise_init": IS_NOISE[:-1]}, X, "noise_init should be a boolean array"),
        ({"noise_init": IS_NOISE.astype(int)}, X, "noise_init should be a boolean array"),
        ({"noise_init": np.ones(len(X), bool)}, X, "all rows"),
        ({"noise_init": np.zeros(len(X), bool)}, X, "no row"),
        ({"noise": None, "noise_init": IS_NOISE}, X, "asks for none"),
        ({"weights_init": [0.5, 0.5]}, X, "sum to less than one"),
    ],
)
def test_bad_arguments(params, rows, match):
    with pytest.raises(ValueError, match=match):
        make(**params).fit(rows)


def test_scikit_learn_and_bayesian_mixtures_have_none():
    with pytest.raises(ValueError, match="have no noise"):
        make().fit(X).to_sklearn()
    with pytest.raises(TypeError, match="noise"):
        BayesianGaussianMixture(noise="box")


@pytest.mark.parametrize(
    ("params", "weights", "words"),
    [
        ({"noise": 1e-320}, None, "taken all rows"),
        ({"noise": 10**400}, None, "noise should be None, 'box' or a volume"),
        ({"noise_init": IS_NOISE}, np.where(IS_NOISE, 0.0, 1.0), "takes no row"),
        ({"noise_init": IS_NOISE}, np.where(IS_NOISE, 1.0, 0.0), "takes all rows"),
        ({"missing_values": "em", "noise": 400.0}, None, "do not go together"),
    ],
    ids=["small", "huge", "no noise", "all noise", "missing"],
)
def test_what_noise_cannot_be(params, weights, words):
    with pytest.raises(ValueError, match=words):
        make(**params).fit(X, sample_weight=weights)


def test_statistics_by_hand_of_another_noise():
    for model in (make().fit(X), make(noise=None).fit(X)):
        model.set_params(noise=None if model.noise else 400.0)
        for method in (model.accumulate, model.partial_fit):
            with pytest.raises(ValueError, match="the model was fitted with"):
                method(X)


def test_rounding_of_weights_is_no_noise():
    """Rows far away are not given to noise that has no weight but what a sum has lost."""
    weights, means = np.array([0.3, 0.3, 0.2, 0.2]), np.array([[0.0], [1.0], [2.0], [3.0]])
    weights = np.nextafter(weights, 0.0)
    assert weights.sum() < 1.0
    model = make(n_components=4, freeze={"weights": True}, weights_init=weights, means_init=means)
    rows = np.r_[np.repeat(means, 9, axis=0) + np.tile([[-0.1], [0.0], [0.1]], (12, 1)), [[30.0]]]
    quiet_fit(model, rows)
    assert model.noise_weight_ == 0.0
    assert (model.predict_proba(rows)[:, -1] == 0.0).all()
