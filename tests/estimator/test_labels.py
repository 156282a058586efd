"""``fit(X, labels=)``: components of rows that are known beforehand."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many
from fastgmm.sources.labels import open_with_labels
from tests import structures
from tests.estimator.helpers import STARTS, assert_identical_fit, quiet_fit

K = 3
RANDOM = np.random.RandomState(0)
X = np.r_[
    RANDOM.standard_normal((120, 2)),
    RANDOM.standard_normal((90, 2)) + 3,
    RANDOM.standard_normal((60, 2)) * [0.5, 1.5] + np.array([3, -3]),
]
Y = np.repeat([0, 1, 2], [120, 90, 60])
PART = np.where(RANDOM.uniform(size=len(Y)) < 0.2, Y, -1)
WEIGHT = RANDOM.randint(1, 4, len(X)).astype(float)


def make(cls=GaussianMixture, **params):
    return cls(n_components=K, **{"random_state": 0, "tol": 1e-8, "max_iter": 60, **params})


@pytest.mark.parametrize("name", structures.SHARED)
def test_all_labelled_is_the_closed_form(name):
    model = make(covariance_type=name, reg_covar=0.0).fit(X, labels=Y, sample_weight=WEIGHT)
    assert model.n_iter_ == 2
    parts = [(X[c == Y], WEIGHT[c == Y]) for c in range(K)]
    counts = np.array([w.sum() for _, w in parts])
    means = np.array([np.average(rows, axis=0, weights=w) for rows, w in parts])
    scatters = [(w * (r - m).T) @ (r - m) for (r, w), m in zip(parts, means, strict=True)]
    full = np.array(scatters) / counts[:, None, None]
    diag = np.diagonal(full, axis1=1, axis2=2)
    expected = {
        "full": full,
        "tied": sum(scatters) / counts.sum(),
        "diag": diag,
        "spherical": diag.mean(axis=1),
    }
    np.testing.assert_allclose(model.weights_, counts / counts.sum(), rtol=1e-12)
    np.testing.assert_allclose(model.means_, means, rtol=1e-12)
    np.testing.assert_allclose(model.covariances_, expected[name], rtol=1e-10, atol=1e-12)
    log_densities = model._estimate_log_prob(X) + np.log(model.weights_)
    bound = np.average(log_densities[np.arange(len(X)), Y], weights=WEIGHT)
    assert model.lower_bound_ == pytest.approx(bound, rel=1e-12)


def reference(X, labels, weight, model, n_iter):
    """Responsibilities by definition, full covariances; the bounds, and the parameters."""
    weights, means, covariances = model.weights_, model.means_, model.covariances_
    bounds = []
    for _ in range(n_iter):
        logs = np.empty((len(X), K))
        for c in range(K):
            apart = X - means[c]
            distances = (apart @ np.linalg.inv(covariances[c]) * apart).sum(axis=1)
            _, log_determinant = np.linalg.slogdet(2 * np.pi * covariances[c])
            logs[:, c] = np.log(weights[c]) - 0.5 * (distances + log_determinant)
        for row in np.flatnonzero(labels >= 0):
            logs[row, np.arange(K) != labels[row]] = -np.inf
        likelihoods = np.logaddexp.reduce(logs, axis=1)
        bounds.append(np.average(likelihoods, weights=weight))
        shares = np.exp(logs - likelihoods[:, None]) * weight[:, None]
        counts = shares.sum(axis=0)
        weights, means = counts / counts.sum(), shares.T @ X / counts[:, None]
        covariances = np.array(
            [(shares[:, c] * (X - means[c]).T) @ (X - means[c]) / counts[c] for c in range(K)]
        )
        covariances += 1e-6 * np.eye(X.shape[1])
    return bounds, (weights, means, covariances)


def test_an_iteration_is_that_of_the_definition():
    start = quiet_fit(make(max_iter=0), X, labels=PART, sample_weight=WEIGHT)
    model = quiet_fit(make(max_iter=5), X, labels=PART, sample_weight=WEIGHT)
    bounds, parameters = reference(X, PART, WEIGHT, start, model.n_iter_)
    np.testing.assert_allclose(model.lower_bounds_, bounds, rtol=1e-12)
    for name, value in zip(("weights_", "means_", "covariances_"), parameters, strict=True):
        np.testing.assert_allclose(getattr(model, name), value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("cls", "name"), structures.ESTIMATORS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_structure_and_start(cls, name, dtype):
    for init_params in (*STARTS, np.arange(len(X)) % K, lambda X, k, random_state: Y):
        model = make(cls, covariance_type=name, init_params=init_params, reg_covar=1e-3, max_iter=9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = model.fit_predict(X.astype(dtype), labels=PART)
        known = PART >= 0
        np.testing.assert_array_equal(labels[known], PART[known])
        np.testing.assert_array_equal(labels[~known], model.predict(X.astype(dtype))[~known])
        assert cls is BayesianGaussianMixture or (np.diff(model.lower_bounds_) > -1e-5).all()
        assert np.mean(labels == Y) > 0.8


def test_components_without_labels_start_elsewhere():
    """One component is known by three rows; it keeps its number, and the others are found."""
    labels = np.full(len(X), -1)
    labels[[200, 230, 250]] = 1
    found = make().fit(X, labels=labels).predict(X)
    assert np.mean(found[Y == 2] == 1) > 0.9
    assert {np.bincount(found[c == Y], minlength=K).argmax() for c in (0, 1)} == {0, 2}


def test_none_labelled_is_a_plain_fit_and_y_is_ignored():
    plain = make().fit(X)
    assert_identical_fit(make().fit(X, labels=np.full(len(X), -1)), plain)
    assert_identical_fit(make().fit(X, Y), plain)


def test_weights_chunks_and_threads():
    """A weight is that many rows; where chunks are cut and by how many threads changes no bit."""
    repeated = np.repeat(X, WEIGHT.astype(int), axis=0)
    labels = np.repeat(PART, WEIGHT.astype(int))
    params = {"init_params": "random_from_data", "means_init": X[[0, 150, 250]], "max_iter": 8}
    params |= {"weights_init": [0.3, 0.3, 0.4], "precisions_init": [np.eye(2)] * K}
    weighted = quiet_fit(make(**params), X, labels=PART, sample_weight=WEIGHT)
    many = quiet_fit(make(**params), repeated, labels=labels)
    np.testing.assert_allclose(weighted.means_, many.means_, rtol=1e-9)
    zeros = np.r_[WEIGHT, [0.0, 0.0]]
    more = np.r_[X, [[np.nan, 0.0], [1e9, 1e9]]]
    absent = quiet_fit(make(), more, labels=np.r_[PART, [2, -1]], sample_weight=zeros)
    present = quiet_fit(make(), X, labels=PART, sample_weight=WEIGHT)
    np.testing.assert_array_equal(absent.means_, present.means_)
    big, of_big = np.tile(X, (60, 1)), np.tile(PART, 60)
    one, two = (quiet_fit(make(n_jobs=n), big, labels=of_big) for n in (1, 2))
    np.testing.assert_array_equal(one.covariances_, two.covariances_)


def test_columns_of_frames_tables_and_files(tmp_path):
    expected = quiet_fit(make(), X, labels=PART, sample_weight=WEIGHT)
    columns = {"a": X[:, 0], "class": PART, "b": X[:, 1]}
    for frame in (pd.DataFrame(columns), pl.DataFrame(columns)):
        model = quiet_fit(make(), frame, labels="class", sample_weight=WEIGHT)
        np.testing.assert_array_equal(model.means_, expected.means_)
        if isinstance(frame, pd.DataFrame):  # old releases of scikit-learn ask no other kind
            assert list(model.feature_names_in_) == ["a", "b"]
    table = pa.table({**columns, "w": WEIGHT})
    pa.parquet.write_table(table, tmp_path / "rows.parquet")
    pa.csv.write_csv(table, tmp_path / "rows.csv")
    np.save(tmp_path / "rows.npy", np.c_[X, WEIGHT, PART])
    for rows, label, weight in [
        (table, "class", "w"),
        (tmp_path / "rows.parquet", "class", "w"),
        (tmp_path / "rows.csv", "class", WEIGHT),
        (tmp_path / "rows.npy", 3, 2),
    ]:
        if weight is WEIGHT:
            rows = [table.drop_columns(["w"])]
        labels = quiet_fit(make(), rows, labels=label, sample_weight=weight)
        np.testing.assert_array_equal(labels.means_, expected.means_)
    with pytest.raises(ValueError, match=r"no column 'klass' of labels; it has \['a', 'class'"):
        make().fit(pd.DataFrame(columns), labels="klass")
    with pytest.raises(ValueError, match="no column 'klass'; its columns are"):
        make().fit(tmp_path / "rows.csv", labels="klass")
    with pytest.raises(ValueError, match=r"column 'a' of .*rows.parquet.* holds .* in row 0"):
        make().fit(tmp_path / "rows.parquet", labels="a")
    with pytest.raises(ValueError, match="name of a column"):
        make().fit(X, labels="class")


def test_a_source_that_is_sampled_for_its_start(monkeypatch):
    monkeypatch.setattr("fastgmm.estimator.starting.START_ROWS", 100)
    for init_params in STARTS:
        model = make(init_params=init_params, reg_covar=1e-2)
        labels = model.fit_predict([X[:100], X[100:]], labels=PART)
        assert np.mean(labels == Y) > 0.9


def test_checkpoints_recovery_and_warm_starts(tmp_path):
    job = tmp_path / "job.npz"
    whole = quiet_fit(make(max_iter=6), X, labels=PART)
    quiet_fit(make(max_iter=3), X, labels=PART, checkpoint=job)
    resumed = quiet_fit(make(max_iter=6), X, labels=PART, checkpoint=job)
    np.testing.assert_array_equal(resumed.means_, whole.means_)
    with pytest.raises(ValueError, match="the labels was"):
        make(max_iter=6).fit(X, labels=Y, checkpoint=job)
    warm = make(max_iter=3, warm_start=True)
    quiet_fit(quiet_fit(warm, X, labels=PART), X, labels=PART)
    np.testing.assert_array_equal(warm.means_, whole.means_)
    rows, labels = np.r_[X, [[9.0, 9.0]] * 3], np.r_[PART, [2] * 3]
    labels[:-3][labels[:-3] == 2] = -1
    model = make(on_failure="recover", reg_covar=0.0).fit(rows, labels=labels)
    assert len(model.weights_) == K
    np.testing.assert_array_equal(model.fit_predict(rows, labels=labels)[-3:], 2)


def test_many_fits_and_metadata():
    report = fit_many([X, X, X[:200]], K, labels=[PART, None, PART[:200]], random_state=0, tol=1e-8)
    assert report.errors == [None] * 3
    alone = make(random_state=int(report.seeds[0]), max_iter=100).fit(X, labels=PART)
    np.testing.assert_array_equal(report.means_[0], alone.means_)
    with pytest.raises(ValueError, match="labels should hold an array, or None"):
        fit_many([X], K, labels=[PART, PART])
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), make().set_fit_request(labels=True))
        pipeline.fit(X, labels=PART)
        scaled = make().fit(StandardScaler().fit_transform(X), labels=PART)
        np.testing.assert_array_equal(pipeline[-1].means_, scaled.means_)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (np.where(Y == 2, 3, Y), "from 0 to 2, or -1 .* row 210, .* has 3"),
        (np.where(Y == 2, -2, Y), "row 210, .* has -2"),
        (np.where(Y == 2, 0.5, Y), "integers, -1 .* row 210, counted from 0, has 0.5"),
        (np.where(Y == 2, np.nan, Y), "integers, -1 .* has nan"),
        (np.where(Y == 2, np.inf, Y), "from 0 to 2.* has inf"),
        (Y == 1, "got dtype bool"),
        (Y.astype(str), "integers"),
        (Y[:-1], r"shape of \(270,\)"),
        (Y[:, np.newaxis], r"shape of \(270,\)"),
        (np.where(Y == 2, 1, Y), "none of them as component 2"),
        (0, "name of a column"),
    ],
)
@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
def test_bad_labels(cls, labels, match):
    with pytest.raises(ValueError, match=match):
        make(cls).fit(X, labels=labels)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_labels_of_any_type_of_numbers(dtype):
    """A column of whole numbers with holes is of float64 once they are filled."""
    expected = make().fit(X, labels=PART)
    np.testing.assert_array_equal(make().fit(X, labels=PART.astype(dtype)).means_, expected.means_)


def test_a_subclass_of_private_steps_has_no_labels():
    class Own(GaussianMixture):
        def _m_step(self, *arguments, **more):
            return super()._m_step(*arguments, **more)

    with pytest.raises(NotImplementedError, match="labels is not supported"):
        Own(K).fit(X, labels=PART)


def test_many_fits_take_a_column_of_labels(tmp_path):
    frame = pd.DataFrame(np.r_[X, X + 1], columns=["a", "b"])
    frame["kind"], frame["shop"] = np.tile(PART, 2), np.repeat(["x", "y"], len(X))
    arguments = {"random_state": 0, "tol": 1e-8, "max_iter": 60}
    expected = fit_many([X, X + 1], K, labels=[PART, PART], **arguments)
    assert expected.errors == [None, None]
    parts = [part[["a", "b", "kind"]] for _, part in frame.groupby("shop")]
    paths = [tmp_path / "x.parquet", tmp_path / "y.parquet"]
    for part, path in zip(parts, paths, strict=True):
        part.to_parquet(path)
    for data, labels, by in (
        (frame, "kind", "shop"),
        (pl.from_pandas(frame), "kind", "shop"),
        (pa.Table.from_pandas(frame), "kind", "shop"),
        (frame[["a", "b", "shop"]], frame["kind"].to_numpy(), "shop"),
        (parts, "kind", None),
        ({"x": parts[0], "y": pl.from_pandas(parts[1])}, "kind", None),
        (paths, "kind", None),
    ):
        report = fit_many(data, K, labels=labels, by=by, **arguments)
        assert report.errors == [None, None]
        np.testing.assert_allclose(report.means_, expected.means_, rtol=1e-12)
        np.testing.assert_allclose(report.bic_, expected.bic_, rtol=1e-12)
    with pytest.raises(ValueError, match=r"labels='kind' would be the name of a column"):
        fit_many([X], K, labels="kind")
    with pytest.raises(ValueError, match="There is no column 'sort'"):
        fit_many(frame, K, labels="sort", by="shop")
    assert "no column 'sort' of labels" in str(fit_many(parts, K, labels="sort").errors[0])


def test_a_label_that_is_missing(tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(kind=PART.astype(float))
    frame.loc[5, "kind"] = np.nan
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    for name in ("rows.csv", "rows.parquet"):
        with pytest.raises(ValueError, match=r"-1 where they are unknown.* holds nothing.* row 5"):
            make().fit(tmp_path / name, labels="kind")


def test_labels_beside_rows_that_are_dropped(tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(kind=PART)
    frame.loc[3:5, "a"] = np.nan
    frame.to_parquet(tmp_path / "rows.parquet")
    source, labels = open_with_labels(tmp_path / "rows.parquet", "kind", missing_values="drop")
    assert source.n_rows == len(labels) == len(X) - 3
    np.testing.assert_array_equal(labels, np.delete(PART, [3, 4, 5]))
