"""Many mixtures in one call: each is that of a fit of its own."""

import itertools
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many
from fastgmm.batch.fit_many import item_seeds
from tests import structures

ESTIMATORS = [GaussianMixture, BayesianGaussianMixture]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


def clusters(n, d=2, seed=0):
    random = np.random.RandomState(seed)
    centers = random.normal(0, 4, size=(3, d))
    return centers[random.randint(3, size=n)] + random.normal(size=(n, d))


def many(n_sets=6, d=2):
    return [clusters(40 + 7 * i, d, seed=i) for i in range(n_sets)]


def fitted(model):
    return {name: value for name, value in vars(model).items() if name.endswith("_")}


def assert_same_model(found, expected):
    assert type(found) is type(expected)
    assert found.get_params() == expected.get_params()
    found, expected = fitted(found), fitted(expected)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
        for one, other in zip(np.atleast_1d(found[name]), np.atleast_1d(value), strict=True):
            assert getattr(one, "dtype", None) == getattr(other, "dtype", None), name


def alone(report, i, X, estimator=GaussianMixture, sample_weight=None, **arguments):
    model = estimator(random_state=int(report.seeds[i]), **arguments)
    return model.fit(X, sample_weight=sample_weight)


def assert_as_alone(data, estimator=GaussianMixture, n_components=3, **arguments):
    report = fit_many(data, n_components, estimator=estimator, random_state=5, **arguments)
    for i, X in enumerate(data):
        expected = alone(report, i, X, estimator, n_components=n_components, **arguments)
        assert_same_model(report[i], expected)
    return report


# --- the same as fits of their own --------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "covariance_type"), structures.ESTIMATORS)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"n_init": 3, "max_iter": 4},
        {"init_params": "k-means++"},
        {"init_params": "random", "n_init": 2, "max_iter": 5},
        {"init_params": "random_from_data"},
        {"max_iter": 0},
        {"tol": 1e-8, "reg_covar": 0.1},
    ],
    ids=str,
)
def test_every_structure_and_start(estimator, covariance_type, arguments):
    assert_as_alone(many(), estimator, covariance_type=covariance_type, **arguments)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_estimator
def test_float32(estimator):
    report = assert_as_alone([X.astype(np.float32) for X in many()], estimator, max_iter=5)
    assert report.means_.dtype == np.float32


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_all_parameters_given_run_in_lockstep(covariance_type, monkeypatch):
    start = GaussianMixture(3, covariance_type=covariance_type, max_iter=2).fit(clusters(80))
    names = ("weights", "means", "precisions")
    given = {f"{name}_init": getattr(start, f"{name}_") for name in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastgmm.batch.fits.Fits._of_one", None)
        assert_as_alone(many(), covariance_type=covariance_type, **given)
    given["means_init"] = np.zeros((3, 5))
    report = fit_many(many()[:2], 3, covariance_type=covariance_type, **given)
    assert all("should have the shape" in error for error in report.errors)


def test_other_types_of_data():
    X = np.round(10 * clusters(60))
    data = [X.astype(np.int64), X.tolist(), np.asfortranarray(X), X[::2], X.astype(">f8")]
    assert_as_alone(data)


def test_types_may_differ():
    data = [clusters(50), clusters(60).astype(np.float32)]
    report = assert_as_alone(data)
    assert report.means_.dtype == np.float64


def test_large_data_sets_among_small_ones():
    assert_as_alone([clusters(50), clusters(150_000), clusters(60)], covariance_type="diag")


@every_estimator
def test_priors_and_given_parameters(estimator):
    if estimator is GaussianMixture:
        arguments = {"means_init": [[0.0, 0], [1, 1], [2, 2]]}
    else:
        arguments = {
            "mean_prior": [1.0, 2.0],
            "weight_concentration_prior_type": "dirichlet_distribution",
            "covariance_prior": np.eye(2),
            "tol_per_sample": True,
        }
    report = fit_many(many(), 3, estimator=estimator, random_state=5, **arguments)
    for i, X in enumerate(many()):
        expected = alone(report, i, X, estimator, n_components=3, **arguments)
        np.testing.assert_array_equal(report[i].means_, expected.means_)
        assert report[i].lower_bounds_ == expected.lower_bounds_


def test_a_scale_free_regularization_and_fits_that_speak(capsys):
    assert_as_alone(many(2), reg_covar="scale")
    capsys.readouterr()
    fit_many(many(2), 2, verbose=1, random_state=0)
    assert "Initialization 0" in capsys.readouterr().out


def halves(X, n_components, random_state):
    return (X[:, 0] > np.median(X[:, 0])).astype(int) + random_state.randint(
        n_components - 1, size=len(X)
    )


def test_a_callable_start():
    assert_as_alone(many(), init_params=halves, n_init=2)


def test_sample_weight():
    data = many(3)
    weights = [np.random.RandomState(i).uniform(0, 2, len(X)) for i, X in enumerate(data)]
    weights[1] = None
    report = fit_many(data, 2, sample_weight=weights, random_state=5)
    for i, X in enumerate(data):
        expected = alone(report, i, X, sample_weight=weights[i], n_components=2)
        assert_same_model(report[i], expected)
        assert report.status(i).bic == pytest.approx(expected.bic(X, weights[i]), rel=1e-12)


@pytest.mark.parametrize("keys", [("north", "south"), ("south", "north")])
def test_weights_by_key(keys):
    data = dict(zip(("north", "south"), many(2), strict=True))
    weights = {key: np.random.RandomState(3).uniform(0, 2, len(data[key])) for key in keys}
    report = fit_many(data, 2, sample_weight=weights, random_state=5)
    for i, (key, X) in enumerate(data.items()):
        expected = alone(report, i, X, sample_weight=weights[key], n_components=2)
        assert_same_model(report[key], expected)


def test_frames_keep_their_names():
    frames = [pd.DataFrame(X, columns=["age", "income"]) for X in many(2)]
    report = fit_many([*frames, many(1)[0]], 2, random_state=5)
    for i, frame in enumerate(frames):
        assert_same_model(report[i], alone(report, i, frame, n_components=2))
    assert not hasattr(report[2], "feature_names_in_")


@pytest.mark.parametrize("weight", [2.0, ["2"] * 200, pd.Series([2.0] * 200), np.full(200, 2)])
def test_other_forms_of_weights(weight):
    X = clusters(200)
    report = fit_many([X], 2, sample_weight=[weight], random_state=5)
    expected = alone(report, 0, X, sample_weight=np.full(200, 2.0), n_components=2)
    assert_same_model(report[0], expected)
    assert report.status(0).bic == pytest.approx(expected.bic(X, np.full(200, 2.0)), rel=1e-12)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
@pytest.mark.parametrize("offset", [1e5, 1e6, 1e7])
def test_data_far_from_zero(init_params, offset):
    """Where scikit-learn takes no mean off, its distances lose their digits, and so decide."""
    data = [np.random.RandomState(i).standard_normal((60, 2)) + offset for i in range(100)]
    assert_as_alone(data, init_params=init_params, reg_covar=1e-2, max_iter=2, tol=1e9)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
@pytest.mark.parametrize("junk", [-(10**15), 10**15])
def test_nothing_is_read_that_nobody_filled(init_params, junk):
    """Rows that come four times leave starts undecided, and then seeds and labels were as found."""
    random = np.random.RandomState(0)
    data = [np.repeat(random.standard_normal((15, 2)), 4, axis=0) for _ in range(12)]
    for seed in range(40):
        found = [np.full((12, 3), junk) for _ in range(50)]
        found += [np.full(12 * 30, junk) for _ in range(50)]
        del found  # what np.empty then finds
        arguments = {"init_params": init_params, "random_state": seed, "max_iter": 1, "tol": 1e9}
        report = fit_many(data, 3, **arguments)
        assert not any(report.errors)


def test_ties_are_left_to_scikit_learn():
    grids = [np.array(list(itertools.product(range(n), repeat=2)), float) for n in (3, 4, 5)]
    assert_as_alone(grids, n_components=4)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(2, 40), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from(structures.ALL),
    st.integers(0, 2**32 - 1),
)
def test_any_shapes(lengths, d, k, covariance_type, seed):
    random = np.random.RandomState(seed)
    data = [random.normal(size=(n, d)) for n in lengths]
    report = fit_many(data, k, covariance_type=covariance_type, random_state=seed, tol=1e9)
    for i, X in enumerate(data):
        if len(X) < k:
            assert f"n_samples = {len(X)}" in report.errors[i]
        else:
            expected = alone(report, i, X, n_components=k, covariance_type=covariance_type, tol=1e9)
            np.testing.assert_array_equal(report[i].means_, expected.means_)
            np.testing.assert_array_equal(report[i].covariances_, expected.covariances_)


# --- on nothing else does it depend -------------------------------------------------------


def same_reports(one, other):
    names = ("weights_", "means_", "covariances_", "lower_bound_", "n_iter_", "log_likelihood_")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@every_estimator
def test_no_result_depends_on_threads(estimator):
    data = many(150)
    one, two = (
        fit_many(data, 2, n_jobs=n, estimator=estimator, random_state=1, tol=1.0) for n in (1, 2)
    )
    assert same_reports(one, two)


def test_no_result_depends_on_the_others():
    data = many(8)
    report = fit_many(data, 3, random_state=1)
    others = [clusters(90, seed=100 + i) for i in range(5)] + [data[5]] + [clusters(30)] * 90
    again = fit_many(others, 3, random_state=1)
    np.testing.assert_array_equal(again.means_[5], report.means_[5])


def test_seeds():
    np.testing.assert_array_equal(item_seeds(3, 10)[:4], item_seeds(3, 4))
    assert not np.array_equal(item_seeds(3, 10), item_seeds(4, 10))
    assert not np.array_equal(item_seeds(None, 10), item_seeds(None, 10))
    assert len(set(item_seeds(0, 10_000).tolist())) > 9_990
    one, other = (item_seeds(np.random.RandomState(0), 5) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_it_may_be_called_from_threads():
    data, found = many(20), {}

    def work(i):
        found[i] = fit_many(data, 2, random_state=1)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same_reports(found[0], found[1])
    assert same_reports(found[0], found[2])


# --- what goes in -------------------------------------------------------------------------


def test_an_array_of_three_dimensions_and_a_dict():
    data = [clusters(50, seed=i) for i in range(4)]
    report = fit_many(data, 2, random_state=0)
    assert same_reports(report, fit_many(np.stack(data), 2, random_state=0))
    named = fit_many(dict(zip("abcd", data, strict=True)), 2, random_state=0)
    assert named.keys == list("abcd")
    np.testing.assert_array_equal(named["c"].means_, report.means_[2])


def test_columns_of_an_array():
    X = clusters(80, d=5)
    report = fit_many(X, 2, columns="each", random_state=0)
    assert report.means_.shape == (5, 2, 1)
    assert_same_model(report[3], alone(report, 3, X[:, [3]], n_components=2))
    some = fit_many(X, 2, columns=[3], random_state=0)
    assert some.keys == [3]


def test_files(tmp_path):
    X = clusters(60)
    np.save(tmp_path / "rows.npy", X)
    report = fit_many([str(tmp_path / "rows.npy"), X], 2, random_state=0)
    assert not len(report.failed)
    assert report.status(0).n_rows == 60
    assert report.status(0).log_likelihood == pytest.approx(report[0].score(X) * len(X), rel=1e-12)


# --- errors -------------------------------------------------------------------------------


def bad_data():
    X = clusters(50)
    with_nan, with_inf = X.copy(), X.copy()
    with_nan[3, 1], with_inf[0, 0] = np.nan, np.inf
    return {
        "contains NaN": with_nan,
        "contains infinity": with_inf,
        "n_samples = 2": X[:2],
        "minimum of 2": X[:1],
        "0 sample": X[:0],
        "Expected 2D": X[:, 0],
        "dim 3": X[np.newaxis],
        "4 features": clusters(50, d=4),
        "could not convert": np.array([["a", "b"]] * 50, dtype=object),
        "got scalar array": None,
        "There is no": "no such file.npy",
        "ill-defined": np.zeros((50, 2)),
    }


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_one_bad_data_set_does_not_lose_the_rest(n_jobs):
    bad, good = bad_data(), many()
    data = [*good[:3], *bad.values(), *good[3:]]
    report = fit_many(data, 3, n_jobs=n_jobs, reg_covar=0.0, random_state=5)
    np.testing.assert_array_equal(report.failed, np.arange(3, 3 + len(bad)))
    for i, text in enumerate(bad, 3):
        assert text in report.errors[i]
        assert np.isnan(report.means_[i]).all()
        assert not report.converged_[i]
        with pytest.raises(ValueError, match=f"data set {i} failed"):
            report[i]
    for i in [0, 1, 2, *range(3 + len(bad), len(data))]:
        expected = alone(report, i, data[i], n_components=3, reg_covar=0.0)
        assert_same_model(report[i], expected)
    assert [model is None for model in report] == [i in report.failed for i in range(len(data))]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_errors_are_those_of_fit():
    for X in bad_data().values():
        report = fit_many([X, clusters(50)], 3, reg_covar=0.0, random_state=0)
        if np.shape(X) == (50, 4):
            continue  # bad only beside others
        with pytest.raises((ValueError, TypeError, FileNotFoundError)) as error:
            alone(report, 0, X, n_components=3, reg_covar=0.0)
        assert str(error.value) == report.errors[0]


@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize("fails", [40, 47])
def test_a_callable_that_fails_fails_for_its_data_set(shares, fails):
    def start(X, n_components, random_state):
        if len(X) == fails:
            raise RuntimeError("of this one I know nothing")
        labels = np.arange(len(X)) % n_components
        return np.eye(n_components)[labels] if shares else labels

    data = many()
    report = fit_many(data, 2, init_params=start, random_state=0)
    (failed,) = (i for i, X in enumerate(data) if len(X) == fails)
    assert report.failed.tolist() == [failed]
    assert report.errors[failed] == "of this one I know nothing"
    alone = GaussianMixture(2, init_params=start, random_state=0).fit(data[2])
    np.testing.assert_array_equal(report[2].means_, alone.means_)


def test_errors_are_raised_if_asked_for():
    data = [clusters(50), np.full((50, 2), np.nan)]
    with pytest.raises(ValueError, match="data set 1 failed: Input X contains NaN"):
        fit_many(data, 2, on_error="raise")
    with pytest.raises(ValueError, match="data set 0 failed: Fitting the mixture model failed"):
        fit_many([np.zeros((9, 2))], 2, on_error="raise", reg_covar=0)


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"on_error": "ignore"}, ValueError, "on_error"),
        ({"estimator": "GaussianMixture"}, TypeError, "estimator should be"),
        ({"estimator": GaussianMixture(2)}, TypeError, "estimator should be"),
        ({"n_components": 0}, ValueError, "n_components"),
        ({"n_jobs": 0}, ValueError, "n_jobs"),
        ({"covariance_type": "round"}, ValueError, "covariance_type"),
        ({"colour": "red"}, TypeError, "colour"),
        ({"random_state": -1}, ValueError, "random_state"),
        ({"random_state": "seed"}, ValueError, "random_state"),
        ({"by": "group"}, TypeError, "DataFrame"),
        ({"columns": "each"}, TypeError, "columns"),
        ({"sample_weight": [None]}, ValueError, "sample_weight"),
        ({"sample_weight": 2.0}, ValueError, "data sets, but got a float"),
        ({"sample_weight": {0: None, "x": None}}, ValueError, "has none for 1"),
        ({"sample_weight": dict.fromkeys(range(9))}, ValueError, "has one for 6, which is none"),
    ],
)
def test_bad_arguments(arguments, kind, text):
    with pytest.raises(kind, match=text):
        fit_many(many(), **arguments)


@pytest.mark.parametrize(
    ("data", "kind"),
    [([], ValueError), (np.zeros((5, 2)), ValueError), ("rows.npy", TypeError), (3, TypeError)],
    ids=["empty", "two dimensions", "text", "number"],
)
def test_bad_data_sets(data, kind):
    with pytest.raises(kind, match="data set"):
        fit_many(data)


def test_a_column_of_an_array_twice():
    with pytest.raises(ValueError, match="column 1 is asked for twice"):
        fit_many(clusters(20), columns=[1, 0, 1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"by": []}, "by should name at least one column"),
        ({"by": "g", "columns": ["g", "x"]}, "'g' is asked for twice, in by and in columns"),
        ({"by": ["g", "g"]}, "'g' is asked for twice, in by"),
        ({"by": "g", "sample_weight": "g"}, "'g' is asked for twice, in by and in sample_weight"),
        ({"columns": ["x"], "sample_weight": "x"}, "twice, in sample_weight and in columns"),
    ],
)
def test_columns_of_a_frame_are_named_once(arguments, words):
    frame = pd.DataFrame({"g": [0, 0, 1, 1], "x": [0.0, 1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=words):
        fit_many(frame, **arguments)


@pytest.mark.parametrize("columns", [[True, False], [-1], [2], ["0"], [0.0]], ids=str)
def test_bad_columns_of_an_array(columns):
    with pytest.raises(ValueError, match=r"columns has .*, but the array has 2 columns"):
        fit_many(clusters(20), columns=columns)


def test_arguments_are_checked_before_any_fit():
    with pytest.raises(ValueError, match="should have the shape of"):
        fit_many(many(), 2, estimator=BayesianGaussianMixture, mean_prior=[1.0])


class WithArgument(GaussianMixture):
    """A subclass whose constructor takes other arguments."""

    def __init__(self, colour, n_components=1, random_state=None):
        super().__init__(n_components, random_state=random_state)
        self.colour = colour


def test_a_subclass_with_arguments_of_its_own():
    report = fit_many(many(2), 2, n_jobs=2, estimator=WithArgument, colour="red", random_state=0)
    assert report[1].colour == "red"
    expected = alone(report, 1, many(2)[1], n_components=2)
    np.testing.assert_array_equal(report[1].means_, expected.means_)
    with pytest.raises(ValueError, match="'n_jobs' parameter of fit_many must be"):
        fit_many(many(2), 2, n_jobs=0, estimator=WithArgument, colour="red")


def test_the_public_names():
    assert {"fit_many", "FitReport"} <= set(fastgmm.__all__)
