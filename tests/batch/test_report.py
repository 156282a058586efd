"""The report: status, frames, and what frames go in."""

import pickle
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastgmm import BayesianGaussianMixture, FitReport, GaussianMixture, fit_many
from fastgmm.batch.progress import Progress
from tests.batch.test_fit_many import alone, assert_same_model, clusters, many


def table(n=300):
    random = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "shop": random.choice(["north", "south", "west"], size=n),
            "year": random.choice([2023, 2024], size=n),
            "age": random.normal(40, 10, size=n),
            "income": random.gamma(5, 300, size=n),
        }
    )


def test_status():
    data = many()
    report = fit_many(data, 2, random_state=0)
    assert len(report) == len(data)
    for i, X in enumerate(data):
        model, status = report[i], report.status(i)
        assert status.converged == model.converged_
        assert status.n_iter == model.n_iter_
        assert (status.key, status.seed, status.n_rows) == (i, report.seeds[i], len(X))
        assert status.log_likelihood == pytest.approx(model.score(X) * len(X), rel=1e-12)
        assert status.bic == pytest.approx(model.bic(X), rel=1e-12)
        assert status.error is None
    assert repr(report) == "<FitReport: 6 mixtures fitted, 0 failed>"
    assert "means_" in dir(report)
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = report.colour


def test_the_bayesian_mixture_has_no_criterion():
    report = fit_many(many(2), 2, estimator=BayesianGaussianMixture, random_state=0)
    assert np.isnan(report.bic_).all()
    assert np.isfinite(report.log_likelihood_).all()


def test_positions_and_keys():
    report = fit_many({"a": clusters(30), ("b", 2): clusters(40)}, random_state=0)
    np.testing.assert_array_equal(report[-1].means_, report["b", 2].means_)
    with pytest.raises(IndexError):
        report[2]
    with pytest.raises(KeyError):
        report["c"]
    assert all(item in report for item in ("a", ("b", 2), 0, -1))
    assert not any(item in report for item in ("c", 2, None))


def test_slices_are_lists():
    report = fit_many([clusters(30), clusters(1), clusters(40)], 2, random_state=0)
    for part in (slice(None), slice(1, None), slice(None, None, -1), slice(5, 9)):
        for found, expected in zip(report[part], list(report)[part], strict=True):
            assert (found is None) == (expected is None)
            if found is not None:
                assert_same_model(found, expected)


def test_to_frame():
    report = fit_many([clusters(30), clusters(1)], 2, random_state=0)
    frame = report.to_frame()
    assert frame["n_rows"].tolist() == [30, 0]
    assert frame["error"].isna().tolist() == [True, False]
    assert frame["converged"].tolist() == [True, False]


def test_to_frame_without_pandas(monkeypatch):
    report = fit_many([clusters(30)], random_state=0)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pandas"):
        report.to_frame()


def test_a_report_can_be_kept():
    report = fit_many(many(3), 2, random_state=0)
    again = pickle.loads(pickle.dumps(report))
    assert_same_model(again[1], report[1])


def test_lists_are_those_of_the_fits():
    report = fit_many([*many(3), clusters(1)], 2, random_state=0)
    assert [len(bounds) for bounds in report.lower_bounds_] == report.n_iter_.tolist()
    assert report.lower_bounds_[:3] == [report[i].lower_bounds_ for i in range(3)]
    assert {type(bound) for bound in report.lower_bounds_[0]} == {float}
    assert report.lower_bounds_[3] == []


@pytest.mark.parametrize("make", [lambda f: f, pl.from_pandas], ids=["pandas", "polars"])
@pytest.mark.parametrize("by", ["shop", ["shop", "year"]], ids=str)
def test_groups(make, by):
    frame = table()
    report = fit_many(make(frame), 2, by=by, columns=["age", "income"], random_state=0)
    groups = dict(list(frame.groupby(by)[["age", "income"]]))
    assert report.keys == list(groups)
    for i, rows in enumerate(groups.values()):
        assert_same_model(report[i], alone(report, i, rows, n_components=2))


def test_features_are_the_other_columns():
    report = fit_many(table().drop(columns="shop"), 2, by="year", random_state=0)
    assert report.keys == [2023, 2024]
    with pytest.raises(IndexError, match="Integers are positions; the key 2024 is at 1"):
        report[2024]
    assert report[0].feature_names_in_.tolist() == ["age", "income"]


def test_columns_that_are_called_by_numbers():
    frame = table()
    numbered = frame.set_axis(range(frame.shape[1]), axis=1)
    group, *features = (list(frame.columns).index(name) for name in ("year", "age", "income"))
    report = fit_many(numbered, 2, by=group, columns=features, random_state=0)
    assert report.keys == [2023, 2024]
    with pytest.raises(ValueError, match="a list of names, but got 0"):
        fit_many(numbered, 2, columns=0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", [lambda f: f, pl.from_pandas], ids=["pandas", "polars"])
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_each_column(make, estimator):
    frame = table()
    report = fit_many(make(frame), 2, columns="each", estimator=estimator, random_state=0)
    assert report.keys == list(frame.columns)
    assert report.failed.tolist() == [0]
    assert "could not convert string to float" in report.errors[0]
    for i, name in enumerate(frame.columns[1:], 1):
        expected = alone(report, i, frame[[name]], estimator, n_components=2)
        assert_same_model(report[name], expected)


def test_missing_values_are_errors_of_their_column():
    frame = table()
    frame.loc[7, "age"] = np.nan
    report = fit_many(frame, 2, columns=["age", "income"], random_state=0)
    assert "NaN" in report.errors[0]
    assert report.errors[1] is None


def test_rows_without_a_group_are_left_out():
    frame = table()
    frame.loc[:9, "shop"] = None
    for rows in (frame, pl.from_pandas(frame)):
        report = fit_many(rows, 1, by="shop", random_state=0)
        assert report.keys == ["north", "south", "west"]
        assert report.n_rows_.sum() == 290


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "give one of them"),
        ({"by": "town"}, "no column 'town'"),
        ({"columns": ["age", "size"]}, "no column 'size'"),
        ({"columns": "all"}, "'each' or a list"),
        ({"by": "shop", "columns": "each"}, "exclude"),
        ({"by": "shop", "columns": ["age", "age"]}, "column 'age' is asked for twice"),
        ({"by": ["shop", "shop"], "columns": ["age"]}, "column 'shop' is asked for twice"),
        ({"by": "year"}, "Column 'shop' holds"),
        ({"by": ["shop", "year", "age", "income"]}, "no column but"),
    ],
    ids=str,
)
def test_bad_frames(arguments, text):
    with pytest.raises(ValueError, match=text):
        fit_many(table(), 2, **arguments)


@pytest.mark.parametrize("arguments", [{"columns": "each"}, {"by": "shop"}], ids=str)
def test_columns_of_one_name(arguments):
    frame = table().rename(columns={"income": "age"})
    with pytest.raises(ValueError, match="2 columns of name 'age'"):
        fit_many(frame, 1, **arguments)


@pytest.mark.parametrize("kind", ["datetime64[s]", "timedelta64[s]", "complex128"])
def test_columns_that_are_no_real_numbers(kind):
    frame = table()
    frame["when"] = np.arange(len(frame)).astype(kind)
    with pytest.raises(ValueError, match=r"Column 'when' holds something that is no number: it is"):
        fit_many(frame, 1, by="shop")


def test_progress_is_a_bar_or_lines(monkeypatch, capsys):
    fit_many(many(3), 2, progress=True, random_state=0)
    assert "100%" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    fit_many([*many(3), clusters(1)], 2, progress=True, random_state=0)
    assert "4 of 4 data sets, 1 failed" in capsys.readouterr().err
    with Progress(10, True) as bar:
        bar.advance(1, 0)  # too soon for a line
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_mixture_of_fewer_components_than_the_others(order):
    """As a fit that gives a component up would leave it."""
    report = FitReport(
        lambda seed: GaussianMixture(3, random_state=seed), ["few", "all"], np.array([5, 6])
    )
    for i in order:
        k = (2, 3)[i]
        attributes = {
            "means_": np.full((1, k, 4), 1.0 + i),
            "covariances_": np.full((1, k, 4, 4), 2.0),
            "lower_bound_": np.array([0.5]),
        }
        report.put(np.array([i]), attributes, {"lower_bounds_": [[0.5]]}, 50, -9.0, 30.0)
    assert report.means_.shape == (2, 3, 4)
    assert np.isnan(report.means_[0, 2]).all()
    assert np.isfinite(report.means_[1]).all()
    np.testing.assert_array_equal(report["few"].means_, np.ones((2, 4)))
    assert report["few"].covariances_.shape == (2, 4, 4)
    np.testing.assert_array_equal(report["all"].means_, np.full((3, 4), 2.0))
    assert report["few"].lower_bounds_ == [0.5]


def test_a_picture_is_of_one_mixture():
    sets = np.random.default_rng(0).normal(size=(3, 20, 2))
    with pytest.raises(TypeError, match=r"plot draws one mixture, but slice\(0, 2, None\)"):
        fit_many(sets, random_state=0).plot(slice(0, 2))
