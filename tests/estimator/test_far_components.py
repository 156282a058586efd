"""Components far from each other in their own deviations, and means that jump, keep their digits.

Values are those of EM in long double from the same start, unless said otherwise.
"""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Theirs

from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many
from fastgmm.covariance import STRUCTURES
from fastgmm.passes.dense import DensePass
from tests import structures
from tests.estimator.helpers import quiet_fit

#: Those in which every component has a variance of its own, so that of one feature all are alike.
OWN_VOLUMES = [name for name in structures.ALL if structures.n_variances(name) == 2]


#: Those in which others say how wide a component is.
SIZED_BY_OTHERS = [name for name in structures.ALL if STRUCTURES[name].core.sized_by_others]


def time_stamps():
    """In microseconds; missing ones are 0."""
    random = np.random.RandomState(0)
    return np.where(np.arange(1000) < 300, 0.0, 1.5e15 + 1e12 * random.rand(1000))[:, np.newaxis]


def incomes(seed):
    """In float32, two in five of them 0."""
    random = np.random.RandomState(seed)
    X = np.where(random.rand(1500) < 0.4, 0, random.lognormal(10, 1, 1500))
    return X.astype(np.float32)[:, np.newaxis]


@pytest.mark.parametrize("covariance_type", OWN_VOLUMES)
def test_time_stamps(covariance_type):
    X = time_stamps()
    model = quiet_fit(GaussianMixture(2, covariance_type=covariance_type, random_state=0), X)
    assert model.score(X) == pytest.approx(-18.2846052267, rel=1e-10)
    assert model.covariances_.min() == pytest.approx(1e-6, rel=1e-9)
    report = fit_many([X, X[::2]], 2, covariance_type=covariance_type, random_state=0)
    assert not len(report.failed)


@pytest.mark.parametrize(("n_components", "seed", "score"), [(3, 0, -5.0127), (10, 2, -4.8285)])
def test_zero_inflated_float32(n_components, seed, score):
    X = incomes(seed)
    model = quiet_fit(GaussianMixture(n_components, random_state=seed), X)
    assert model.score(X) == pytest.approx(score, abs=1e-4)


def test_a_saturated_channel_in_float32():
    random = np.random.RandomState(0)
    n = 2000
    noise = random.randn(n)
    channel = np.where(np.arange(n) < n // 2, 262143, 5e4 + 1e4 * random.randn(n))
    X = np.column_stack([noise, channel]).astype(np.float32)
    model = quiet_fit(GaussianMixture(2, covariance_type="diag", random_state=0), X)
    assert model.score(X) == pytest.approx(-4.4175, abs=1e-4)
    assert model.score(X) == pytest.approx(model.score(X.astype(np.float64)), abs=1e-5)


def test_predictions_of_float32_rows():
    model = GaussianMixture(2)
    model.weights_ = np.float32([0.5, 0.5])
    model.means_ = np.float32([[0.0], [50000.0]])
    model.covariances_ = np.float32([[[1e-4]], [[4e8]]])
    model.precisions_cholesky_ = 1 / np.sqrt(model.covariances_)
    found = model.score_samples(np.float32([[0.0], [0.01], [-0.02], [0.005]]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [2.993, 2.493, 0.993, 2.868], atol=1e-3)


@pytest.mark.parametrize("covariance_type", OWN_VOLUMES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1e7, 1e12, 1e16])
def test_a_narrow_component_beside_a_wide_one(covariance_type, dtype, scale):
    near = np.random.RandomState(0).randn(500)
    far = scale + scale / 10 * np.random.RandomState(1).randn(500)
    X = np.concatenate([near, far])[:, np.newaxis].astype(dtype)
    model = quiet_fit(GaussianMixture(2, covariance_type=covariance_type, random_state=0), X)
    c = model.means_[:, 0].argmin()
    expected = X[:500].astype(np.float64).var() + 1e-6
    assert model.covariances_.ravel()[c] == pytest.approx(
        expected, rel=1e-12 if dtype == np.float64 else 1e-6
    )
    if (BayesianGaussianMixture, covariance_type) in structures.ESTIMATORS:
        bayesian = BayesianGaussianMixture(
            n_components=2, covariance_type=covariance_type, random_state=0
        )
        assert np.isfinite(quiet_fit(bayesian, X).score_samples(X)).all()


@pytest.mark.parametrize("size", [1e4, 1e5, 1e6, 1e7])
def test_tied_levels_apart(size):
    """The scatter within is not taken as a difference of numbers that are this large."""
    levels = np.repeat([[0.0], [size]], 15, axis=0)
    model = quiet_fit(GaussianMixture(2, covariance_type="tied", random_state=0), levels)
    assert model.covariances_[0, 0] == pytest.approx(1e-6, rel=1e-9)
    random = np.random.RandomState(0)
    parts = random.randn(2, 500)
    X = np.concatenate([parts[0], parts[1] + size])[:, np.newaxis]
    model = quiet_fit(GaussianMixture(2, covariance_type="tied", random_state=0), X)
    stored = np.split(X, 2)
    assert model.covariances_[0, 0] == pytest.approx(
        np.mean([part.var() for part in stored]) + 1e-6, rel=1e-7
    )


def test_a_row_far_from_all_others():
    """A component's mean jumps to it within an M-step."""
    for seed in range(30):
        X = np.random.RandomState(seed).randn(300, 2)
        X[0] = 1e6
        params = {"init_params": "random_from_data", "random_state": seed}
        ours = quiet_fit(GaussianMixture(3, **params), X)
        theirs = quiet_fit(Theirs(3, **params), X)
        assert ours.n_iter_ == theirs.n_iter_
        assert ours.score(X) == pytest.approx(theirs.score(X), abs=1e-6)


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_the_guard_of_weights_widens_no_variance(covariance_type):
    X = np.random.RandomState(0).randn(2000, 2)
    X[::20, 1] = -999999
    model = quiet_fit(GaussianMixture(2, covariance_type=covariance_type, random_state=0), X)
    c = model.weights_.argmin()
    rows = X[::20]
    expected = rows.var(axis=0) + 1e-6
    if covariance_type == "spherical":
        expected = expected.mean()
    np.testing.assert_allclose(model.covariances_[c], expected, rtol=1e-9)


def test_nearly_singular_float32_settles():
    X = np.maximum(np.random.RandomState(0).randn(1000, 500) - 1, 0).astype(np.float32)
    narrow = quiet_fit(GaussianMixture(5, random_state=0), X)
    wide = quiet_fit(GaussianMixture(5, random_state=0), X.astype(np.float64))
    assert narrow.n_iter_ == wide.n_iter_
    assert narrow.lower_bound_ == pytest.approx(wide.lower_bound_, rel=1e-6)


def test_from_nearly_singular_parameters_on_care_is_taken_at_once(monkeypatch):
    """Of fewer rows than features no pass is made in vain."""
    asked, statistics = [], DensePass.statistics

    def counted(self, operands, about=None, careful=False):
        asked.append(careful)
        return statistics(self, operands, about, careful)

    monkeypatch.setattr(DensePass, "statistics", counted)
    X = np.random.RandomState(0).randn(12, 30).astype(np.float32)
    model = quiet_fit(GaussianMixture(2, random_state=0, tol=0, max_iter=3, reg_covar=1e-5), X)
    assert asked == [True] * model.n_iter_


def test_a_warm_start_without_covariances():
    X = np.random.RandomState(0).randn(60, 2)
    params = {"n_components": 2, "random_state": 0, "max_iter": 2, "warm_start": True}
    models = [quiet_fit(GaussianMixture(**params), X) for _ in range(2)]
    del models[0].covariances_
    one, other = (quiet_fit(model, X) for model in models)
    np.testing.assert_array_equal(one.covariances_, other.covariances_)


def rows_in_two_sizes(bits):
    """The rows, both sizes, and all rows."""
    u, v = np.random.RandomState(0).randint(-32, 33, (2, 200)) / 16
    rows, sizes = np.column_stack([u, v - u]), 2.0 ** np.array([-10, bits - 10])
    return rows, sizes, np.concatenate([sizes[0] * rows, sizes[1] * (rows + 64)])


@pytest.mark.parametrize("covariance_type", structures.ALL)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("bits", [6, 12, 16, 38, 45, 70])
def test_rows_in_two_sizes_keep_their_shape(covariance_type, dtype, bits):
    """The same rows twice, one set 2^bits times as large and far away; every number is exact."""
    rows, sizes, X = rows_in_two_sizes(bits)
    assert (X.astype(dtype) == X).all()
    labels = np.repeat([0, 1], 200)
    options = {"covariance_type": covariance_type, "init_params": labels, "reg_covar": 0}
    model = quiet_fit(GaussianMixture(2, max_iter=3, tol=0, **options), X.astype(dtype))
    shape = np.cov(rows.T, bias=True)
    structure = STRUCTURES[covariance_type]
    numbers = structure.n_free_parameters(1, 2)
    if numbers < 3:
        shape = np.diag(np.diag(shape))
    if numbers < 2:
        shape = np.mean(np.diag(shape)) * np.eye(2)
    found = structure.as_matrices(model.covariances_, 2, 2)
    # In float32, a scatter that is shared is a difference of numbers some thousand times as large.
    share = 1e-10 if dtype == np.float64 else 1e-3 if structure.shares_covariance else 1e-4
    for covariance, own in zip(found, sizes**2, strict=True):
        size = own if covariance_type in OWN_VOLUMES else np.mean(sizes**2)
        np.testing.assert_allclose(covariance, size * shape, rtol=0, atol=share * size)


@pytest.mark.parametrize("covariance_type", SIZED_BY_OTHERS)
def test_of_many_fits_each_is_made_with_its_own_care(covariance_type):
    sets = [rows_in_two_sizes(bits)[-1] for bits in (3, 12, 45)]
    options = {"covariance_type": covariance_type, "reg_covar": 0}
    report = fit_many(sets, 2, random_state=0, **options)
    for number, X in enumerate(sets):
        model = GaussianMixture(2, random_state=int(report.seeds[number]), **options)
        alone = quiet_fit(model, X)
        np.testing.assert_array_equal(report.covariances_[number], alone.covariances_)
