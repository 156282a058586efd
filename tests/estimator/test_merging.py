"""EM by hand from statistics of parts is `fit`; streams come close to it."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.statistics import MomentForm, SufficientStatistics
from tests import structures
from tests.estimator.helpers import PARAMETERS, assert_close, quiet_fit

CLASSES = (GaussianMixture, BayesianGaussianMixture)
every_kind = pytest.mark.parametrize("cls", CLASSES)
every_structure = pytest.mark.parametrize("covariance_type", structures.OF_FORMS)
every_estimator = pytest.mark.parametrize(("cls", "covariance_type"), structures.ESTIMATORS)


def make_rows(n_rows=3000, dtype=np.float64):
    random = np.random.RandomState(0)
    X = random.standard_normal((n_rows, 3)) * [1, 2, 3] + 5 * random.randint(0, 3, (n_rows, 1))
    return (X + 10).astype(dtype), random.randint(0, 4, n_rows) * 0.37


X, WEIGHTS = make_rows()
PARTS = (slice(0, 50), slice(50, 51), slice(51, 2000), slice(2000, None))


def started(cls, covariance_type="full", rows=X, weights=None, **arguments):
    model = cls(n_components=3, covariance_type=covariance_type, random_state=0, max_iter=0)
    return model.set_params(**arguments).fit(rows, sample_weight=weights)


def of_parts(model, rows=X, weights=None):
    return sum(
        model.accumulate(rows[part], None if weights is None else weights[part]) for part in PARTS
    )


# -- EM by hand ------------------------------------------------------------------------------------
@every_estimator
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_em_over_parts_is_fit(cls, covariance_type, weights):
    whole = quiet_fit(
        cls(n_components=3, covariance_type=covariance_type, random_state=0, max_iter=12),
        X,
        sample_weight=weights,
    )
    model = started(cls, covariance_type, weights=weights)
    while not model.converged_ and model.n_iter_ < 12:
        assert model.update(of_parts(model, weights=weights)) is model
    assert (model.n_iter_, model.converged_) == (whole.n_iter_, whole.converged_)
    for name in PARAMETERS:
        assert_close(getattr(model, name), getattr(whole, name), 1e-12)
    np.testing.assert_allclose(model.lower_bounds_, whole.lower_bounds_, rtol=1e-11)
    assert model.lower_bound_ == model.lower_bounds_[-1]


@every_structure
def test_relative_regularization(covariance_type):
    whole = GaussianMixture(3, covariance_type=covariance_type, random_state=0, max_iter=4, tol=0)
    whole.set_params(reg_covar="scale")
    model = started(GaussianMixture, covariance_type, rows=X * 1e-5, reg_covar="scale")
    for _ in range(4):
        model.update(of_parts(model, X * 1e-5))
    for name in PARAMETERS:
        assert_close(getattr(model, name), getattr(quiet_fit(whole, X * 1e-5), name), 1e-11)


def test_a_collapsed_covariance_is_an_error():
    model = started(GaussianMixture, reg_covar=0.0)
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        model.update(model.accumulate(X[:1]))


@every_kind
def test_float32(cls):
    rows, _ = make_rows(dtype=np.float32)
    model = started(cls, rows=rows, max_iter=0)
    whole = quiet_fit(cls(n_components=3, random_state=0, max_iter=5, tol=0), rows)
    for _ in range(5):
        model.update(of_parts(model, rows))
    for name in PARAMETERS:
        assert getattr(model, name).dtype == np.float32
        assert_close(getattr(model, name), getattr(whole, name), 1e-4)


@every_structure
@pytest.mark.parametrize("gap", [1e3, 1e4])
def test_float32_with_components_far_apart(covariance_type, gap):
    random, labels = np.random.RandomState(0), np.arange(600) % 2
    rows = (random.standard_normal((600, 2)) + gap * labels[:, np.newaxis]).astype(np.float32)
    whole, model = (
        GaussianMixture(2, covariance_type=covariance_type, init_params=labels, max_iter=m, tol=0)
        for m in (1, 0)
    )
    quiet_fit(whole, rows)
    quiet_fit(model, rows)
    model.update(model.accumulate(rows[:200]) + model.accumulate(rows[200:]))
    assert_close(model.covariances_, whole.covariances_, 1e-6)


@every_structure
def test_the_scale_of_weights_does_not_matter(covariance_type):
    model = started(GaussianMixture, covariance_type)
    tiny, huge = (
        copy.deepcopy(model).update(model.accumulate(X, WEIGHTS * scale))
        for scale in (2.0**-900, 2.0**900)
    )
    for name in PARAMETERS:
        np.testing.assert_array_equal(getattr(tiny, name), getattr(huge, name))


def test_rows_of_weight_zero_are_absent():
    model = started(GaussianMixture)
    rows = np.vstack([X, np.full((1, 3), 1e200)])
    found = model.accumulate(rows, np.append(np.ones(len(X)), 0.0))
    np.testing.assert_array_equal(found.sums, model.accumulate(X).sums)


@every_kind
def test_accumulate_leaves_the_model_alone(cls):
    model = started(cls)
    before = pickle.dumps(model)
    model.accumulate(X)
    assert pickle.dumps(model) == before


@every_structure
def test_statistics_pickle_and_are_saved(covariance_type, tmp_path):
    statistics = started(GaussianMixture, covariance_type).accumulate(X)
    statistics.save(tmp_path / "statistics.npz")
    for again in (
        pickle.loads(pickle.dumps(statistics)),
        fastgmm.load(tmp_path / "statistics.npz"),
    ):
        assert isinstance(again, SufficientStatistics)
        total = again + statistics
        np.testing.assert_array_equal(total.weight, 2 * statistics.weight)
        assert total.n_rows == 2 * len(X)
        assert total.form is statistics.form


def test_tied_statistics_of_former_versions():
    """They have the scatter of all rows, and no second moments of the components."""
    model = started(GaussianMixture, "tied")
    statistics = model.accumulate(X)
    first, second = copy.copy(model), model
    scatter = SufficientStatistics.from_moments(
        MomentForm.OUTER,
        X.mean(axis=0, keepdims=True),
        log_likelihood=0.0,
        total_weight=statistics.total_weight,
        n_rows=len(X),
        weight=np.array([len(X)]),
        first=np.zeros((1, 3)),
        second=len(X) * np.cov(X.T, bias=True)[np.newaxis],
    )
    former = statistics.with_second(MomentForm.NONE, None).with_scatter(scatter)
    np.testing.assert_allclose(
        first.update(former).covariances_, second.update(statistics).covariances_, rtol=1e-9
    )
    streams = [started(GaussianMixture, "tied").partial_fit(X) for _ in range(2)]
    streams[0].running_statistics_ = former
    one, other = (stream.partial_fit(X[::2]).covariances_ for stream in streams)
    np.testing.assert_allclose(one, other, rtol=1e-9)


@pytest.mark.parametrize("distance", [1e5, 1e8, 1e10])
def test_components_far_apart_that_share_a_covariance(distance):
    """What the means explain does not swamp it."""
    X = np.random.RandomState(1).standard_normal((600, 2))
    X[300:] += distance
    within = sum(np.cov(part.T, bias=True) for part in np.split(X, 2)) / 2
    params = {"covariance_type": "tied", "reg_covar": 0.0, "random_state": 0}
    model = quiet_fit(GaussianMixture(2, max_iter=0, **params), X)
    model.update(sum(model.accumulate(part) for part in np.split(X, 3)))
    np.testing.assert_allclose(model.covariances_, within, rtol=1e-9)


def test_parameters_set_by_hand_are_enough():
    fitted = quiet_fit(GaussianMixture(3, random_state=0, max_iter=2), X)
    model = GaussianMixture(3)
    for name in ("weights_", "means_", "precisions_cholesky_"):
        setattr(model, name, getattr(fitted, name))
    np.testing.assert_array_equal(model.accumulate(X).sums, fitted.accumulate(X).sums)
    assert model.update(model.accumulate(X)).n_iter_ == 1


def test_statistics_of_rows_in_a_file(tmp_path):
    np.save(tmp_path / "rows.npy", np.column_stack([X, WEIGHTS]))
    model = started(GaussianMixture)
    source = fastgmm.open_source(tmp_path / "rows.npy", weight=3)
    found, expected = model.accumulate(source), model.accumulate(X, WEIGHTS)
    np.testing.assert_array_equal(found.sums, expected.sums)


# -- what is refused -------------------------------------------------------------------------------
def test_statistics_of_other_parameters():
    model = started(GaussianMixture)
    old = model.accumulate(X)
    model.update(old)
    with pytest.raises(ValueError, match="not accumulated with the present parameters"):
        model.update(old)
    with pytest.raises(ValueError, match="about different references do not add"):
        old + model.accumulate(X)


def test_sum_adds_statistics():
    model = started(GaussianMixture)
    parts = [model.accumulate(X[part]) for part in PARTS]
    np.testing.assert_array_equal(sum(parts).sums, of_parts(model).sums)
    with pytest.raises(TypeError):
        sum(parts, 1)


def test_statistics_of_another_structure():
    full, diag = started(GaussianMixture), started(GaussianMixture, "diag")
    with pytest.raises(ValueError, match=r"hold diagonal moments.*covariance_type='full'"):
        full.update(diag.accumulate(X))
    with pytest.raises(ValueError, match="different moment forms"):
        full.accumulate(X) + diag.accumulate(X)
    with pytest.raises(TypeError, match="but got dict"):
        full.update({})
    with pytest.raises(TypeError):
        full.accumulate(X) + 1


@every_kind
def test_unfitted_models_say_how_to_start(cls):
    with pytest.raises(NotFittedError, match="max_iter=0"):
        cls(n_components=3).accumulate(X)
    with pytest.raises(NotFittedError, match="max_iter=0"):
        cls(n_components=3).update(started(cls).accumulate(X))


def test_priors_are_needed():
    model = started(BayesianGaussianMixture)
    statistics = model.accumulate(X)
    del model.mean_prior_
    with pytest.raises(NotFittedError, match="mean_prior_"):
        model.update(statistics)


@pytest.mark.parametrize("method", ["accumulate", "partial_fit"])
def test_bad_rows(method):
    call = getattr(started(GaussianMixture), method)
    with pytest.raises(ValueError, match="4 features"):
        call(np.zeros((10, 4)))
    with pytest.raises(ValueError, match="NaN"):
        call(np.full((10, 3), np.nan))
    with pytest.raises(ValueError, match="0 sample"):
        call(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        call(X, sample_weight=-np.ones(len(X)))


@pytest.mark.parametrize("covariance_type", structures.OF_SHAPES)
def test_rows_too_far_for_statistics(covariance_type):
    model = started(GaussianMixture, covariance_type=covariance_type)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="statistics overflow"):
        model.accumulate(X * 1e200)


def test_overridden_steps_have_no_statistics():
    class Mine(GaussianMixture):
        def _m_step(self, X, log_resp, xp=None):
            return super()._m_step(X, log_resp)

    for call in (Mine(3).accumulate, Mine(3).partial_fit):
        with pytest.raises(NotImplementedError, match="_m_step"):
            call(X)


# -- streams ---------------------------------------------------------------------------------------
def stream(model, rows=X, weights=None, passes=4, n_batches=15):
    random = np.random.RandomState(1)
    for _ in range(passes):
        for batch in np.array_split(random.permutation(len(rows)), n_batches):
            model.partial_fit(rows[batch], None, None if weights is None else weights[batch])
    return model


@every_estimator
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_streams_come_close_to_fit(cls, covariance_type, weights):
    model = cls(n_components=3, covariance_type=covariance_type, random_state=0)
    whole = quiet_fit(copy.copy(model), X, sample_weight=weights)
    start = started(cls, covariance_type, rows=X[:200])
    assert start.score(X, sample_weight=weights) < whole.score(X, sample_weight=weights) - 0.02
    assert stream(model, weights=weights) is model
    assert model.score(X, sample_weight=weights) > whole.score(X, sample_weight=weights) - 0.01
    assert (model.n_batches_, model.n_iter_, model.converged_) == (60, 60, False)


def test_a_stream_of_one_batch_is_one_iteration():
    model = GaussianMixture(3, random_state=0).partial_fit(X)
    start = started(GaussianMixture)
    start.update(start.accumulate(X))
    for name in PARAMETERS:
        np.testing.assert_array_equal(getattr(model, name), getattr(start, name))


def test_running_statistics_are_those_of_the_formula():
    """With one component, whose responsibilities are all 1, they are weighted means of moments."""
    model = GaussianMixture(1, reg_covar=0.0)
    batches = np.array_split(X, 5)
    for batch in batches:
        model.partial_fit(batch)
    moments = [np.mean([np.outer(x, x) for x in batch], axis=0) for batch in batches]
    means = [batch.mean(axis=0) for batch in batches]
    moment, mean = moments[0], means[0]
    for t in range(1, 5):
        step = (t + 2) ** -0.7
        moment = (1 - step) * moment + step * moments[t]
        mean = (1 - step) * mean + step * means[t]
    assert_close(model.means_[0], mean, 1e-12)
    assert_close(model.covariances_[0], moment - np.outer(mean, mean), 1e-12)
    assert model.running_statistics_.n_rows == len(X)
    np.testing.assert_allclose(model.running_statistics_.total_weight, len(X))


def test_a_saved_stream_goes_on(tmp_path):
    for covariance_type in structures.OF_SHAPES:
        model = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
        model.partial_fit(X[:1000]).save(tmp_path / "model.npz")
        again = fastgmm.load(tmp_path / "model.npz").partial_fit(X[1000:])
        model.partial_fit(X[1000:])
        assert_close(again.means_, model.means_, 1e-13)
        assert again.n_batches_ == 2


def test_fit_ends_a_stream():
    model = stream(GaussianMixture(3, random_state=0), passes=1)
    fitted = quiet_fit(GaussianMixture(3, random_state=0), X)
    np.testing.assert_array_equal(model.fit(X).means_, fitted.means_)
    assert not hasattr(model, "running_statistics_")
    assert model.partial_fit(X).n_batches_ == 1


def test_streams_leave_nothing_of_fastgmm_with_scikit_learn():
    plain = GaussianMixture(3, random_state=0).partial_fit(X).to_sklearn()
    assert b"fastgmm" not in pickle.dumps(plain)


def test_feature_names_of_a_stream():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = GaussianMixture(3, random_state=0).partial_fit(frame)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(frame.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match="n_components = 3, n_samples = 2"):
        GaussianMixture(3).partial_fit(X[:2])
