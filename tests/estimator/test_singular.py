"""Covariances that are singular to rounding are refused, alike everywhere; no others are."""

import numpy as np
import pytest

from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many
from fastgmm.covariance import STRUCTURES
from tests import structures
from tests.estimator.helpers import quiet_fit

# Of float32 rows so far from zero, k-means finds fewer clusters than are asked for.
pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")

SINGULAR = "ill-defined empirical covariance"
OFFSETS = (0.0, 1.0, 3.7, 1e2, 1e4, 1e6, 1e8)
DTYPES = (np.float64, np.float32)


def constant(random, offset):
    X = random.standard_normal((400, 3)) + offset
    X[:, 1] = offset
    return X


def duplicated(random, offset):
    X = random.standard_normal((400, 3)) + offset
    X[:, 2] = X[:, 0]
    return X


def dependent(random, offset):
    X = random.standard_normal((400, 3)) + offset
    X[:, 2] = X[:, 0] + X[:, 1]
    return X


def few_points(random, offset):
    """Every row comes two hundred times."""
    return np.repeat(random.standard_normal((2, 3)), 200, axis=0) + offset


#: What makes rows degenerate, and the structures whose covariances are singular then.
KINDS = {
    constant: ("full", "tied", "diag"),
    duplicated: ("full", "tied"),
    dependent: ("full", "tied"),
    few_points: ("full", "tied", "diag", "spherical"),
}
every_case = pytest.mark.parametrize(
    ("make", "covariance_type"),
    [(make, name) for make, names in KINDS.items() for name in names],
    ids=lambda value: getattr(value, "__name__", value),
)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def rows(make, offset, dtype, seed=1):
    return make(np.random.RandomState(seed), offset).astype(dtype)


@every_case
@every_dtype
@pytest.mark.parametrize("offset", OFFSETS)
def test_degenerate_rows_are_refused(make, covariance_type, offset, dtype):
    X = rows(make, offset, dtype)
    params = {"covariance_type": covariance_type, "reg_covar": 0.0, "random_state": 0}
    with pytest.raises(ValueError, match=SINGULAR):
        GaussianMixture(2, **params).fit(X)
    report = fit_many([X, X], 2, **params)
    assert [SINGULAR in error for error in report.errors] == [True, True]


@every_case
@pytest.mark.parametrize("offset", [1.0, 1e6])
def test_statistics_by_hand_and_priors_refuse_them_too(make, covariance_type, offset):
    X = rows(make, offset, np.float64)
    labels = np.arange(len(X)) * 2 // len(X)
    params = {"covariance_type": covariance_type, "random_state": 0, "init_params": labels}
    model = quiet_fit(GaussianMixture(2, max_iter=0, **params), X)
    model.reg_covar = 0.0
    with pytest.raises(ValueError, match=SINGULAR):
        model.update(model.accumulate(X))
    if make is not few_points:  # all of whose rows together have a covariance, which is the prior
        with pytest.raises(ValueError, match=SINGULAR):
            BayesianGaussianMixture(n_components=2, reg_covar=0.0, **params).fit(X)


@pytest.mark.parametrize(
    "covariance_type", [name for name in structures.ALL if STRUCTURES[name].core.holds_matrices]
)
def test_rows_that_span_too_little_are_refused(covariance_type):
    """However the M-step puts its matrices together."""
    for seed in range(80):
        random = np.random.RandomState(seed)
        d, offset = random.randint(2, 7), random.choice(OFFSETS[:-1])
        points = np.repeat(random.standard_normal((d, d)), 50, axis=0)
        plane = random.standard_normal((200, d - 1))
        plane = np.column_stack([plane, plane @ random.standard_normal(d - 1)])
        free = random.standard_normal((200, d))
        constant, twice = free.copy(), free.copy()
        constant[:, -1], twice[:, -1] = 1.1, twice[:, 0]
        units = 10.0 ** random.uniform(-6, 6, d)
        for X in (points + offset, plane + offset, constant + offset, (twice + offset) * units):
            model = GaussianMixture(1, covariance_type=covariance_type, reg_covar=0.0)
            with pytest.raises(ValueError, match=SINGULAR):
                model.fit(X)


@pytest.mark.parametrize("covariance_type", ["EEV", "VEV", "EVE", "VVE", "VEE"])
def test_components_that_lack_different_directions(covariance_type):
    """With one shape along one set of axes they lack none together; others are refused."""
    X = np.random.RandomState(0).standard_normal((400, 3))
    X[:200, 0], X[200:, 1] = 9.0, -9.0
    labels = np.arange(400) // 200
    model = GaussianMixture(2, covariance_type=covariance_type, reg_covar=0.0, init_params=labels)
    if covariance_type == "VEE":
        assert np.isfinite(quiet_fit(model.set_params(max_iter=1), X).lower_bound_)
        return
    with pytest.raises(ValueError, match=SINGULAR):
        model.fit(X)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize(
    "scales",
    [(1, 1e7, 1e-7), (1e-7, 1e7, 1), (1e-150,) * 3, (1e120,) * 3, (1e100, 1e-100, 1)],
    ids=str,
)
def test_no_alarm_for_features_of_any_scale(covariance_type, cls, scales):
    X = np.random.RandomState(0).standard_normal((300, 3)) * scales
    model = cls(
        n_components=2, covariance_type=covariance_type, reg_covar=0, random_state=0, max_iter=5
    )
    assert np.isfinite(quiet_fit(model, X).means_).all()


#: Spread of a feature about another one, from what is lost in rounding to what is not.
GAPS = np.geomspace(2.5e-8, 1e-6, 10)


def nearly_collinear(gap, seed):
    random = np.random.RandomState(seed)
    X = random.standard_normal((600, 5))
    X[:, 4] = X[:, 0] + gap * random.standard_normal(600)
    return X


def outcome(make):
    """The bits of a model; None if it is refused."""
    try:
        model = make()
    except ValueError:
        return None
    return b"".join(
        getattr(model, name).tobytes() for name in ("weights_", "means_", "covariances_")
    )


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: f"{gap:.1e}")
def test_the_limit_is_the_same_for_all(gap):
    """Fits, fits that recover, many fits and statistics by hand: refused alike, or equal bits."""
    params = {"reg_covar": 0.0, "random_state": 0}
    accepted = 0
    for seed in range(6):
        X = nearly_collinear(gap, seed)

        def fit(X=X, **more):
            return quiet_fit(GaussianMixture(8, max_iter=1, **params, **more), X)

        def by_hand(X=X):
            model = quiet_fit(GaussianMixture(8, max_iter=0, **params), X)
            return model.update(model.accumulate(X))

        raised = outcome(fit)
        assert outcome(by_hand) == raised
        recovered = fit(on_failure="recover")
        assert bool(recovered.diagnostics_) == (raised is None)
        if raised is not None:
            accepted += 1
            assert outcome(lambda model=recovered: model) == raised
    assert accepted == (6 if gap > 1e-7 else accepted)
    assert not (accepted and gap < 2.6e-8)
