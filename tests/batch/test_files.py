"""Reports in files, and jobs of many fits that go on."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastgmm
from fastgmm import BayesianGaussianMixture, FitReport, GaussianMixture, ModelFileError, fit_many
from fastgmm.batch import fits as batch_fits


@pytest.fixture
def frame():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(360, 2)), columns=["a", "b"])
    return frame.assign(shop=np.repeat(["n", "o", "p"], 120), year=np.tile([1, 2], 180))


def assert_same(model, other):
    assert set(vars(model)) == set(vars(other))
    for name, value in vars(model).items():
        found = getattr(other, name)
        assert type(found) is type(value), name
        if isinstance(value, tuple):
            value, found = np.array(value), np.array(found)
        if isinstance(value, (float, np.ndarray)):
            np.testing.assert_array_equal(found, value)
            assert np.asarray(found).dtype == np.asarray(value).dtype, name
        else:
            assert found == value, name


@pytest.mark.parametrize("by", ["shop", "year", ["shop", "year"]])
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "spherical"])
def test_all_models_in_one_file(frame, tmp_path, by, estimator, covariance_type):
    more = {"mean_prior": np.array([0.0, 1.0])}
    if estimator is GaussianMixture:
        more = {"on_failure": "recover", "noise": "box"}
    options = {"columns": ["a", "b"], "covariance_type": covariance_type, "random_state": 0}
    report = fit_many(frame, 2, by=by, estimator=estimator, **options, **more)
    report.save(tmp_path / "report.parquet")
    loaded = fastgmm.load(tmp_path / "report.parquet")
    assert isinstance(loaded, FitReport)
    assert loaded.keys == report.keys
    assert loaded.key_names == ([by] if isinstance(by, str) else by)
    for i in range(len(report)):
        np.testing.assert_equal(loaded.status(i), report.status(i))
        assert_same(report[i], loaded[i])
    np.testing.assert_array_equal(loaded.means_, report.means_)


def test_it_is_a_table_for_others(frame, tmp_path):
    report = fit_many(frame, 2, by="shop", columns=["a", "b"], random_state=0)
    report.save(tmp_path / "report.parquet")
    table = pd.read_parquet(tmp_path / "report.parquet").set_index("shop")
    assert table.index.to_list() == ["n", "o", "p"]
    assert table.loc["o", "bic"] == report.status("o").bic
    means = np.stack(table.loc["o", "means"])
    np.testing.assert_array_equal(means, report["o"].means_)


def test_failures_float32_and_names_of_status(tmp_path):
    random = np.random.default_rng(0)
    sets = [random.normal(size=(40, 2)).astype(np.float32) for _ in range(3)]
    sets[1][0, 0] = np.nan
    report = fit_many(dict(zip("abc", sets, strict=True)), 2, random_state=0)
    report.key_names = ["seed"]
    report.save(tmp_path / "report.parquet")
    loaded = fastgmm.load(tmp_path / "report.parquet")
    assert loaded.errors == report.errors
    assert loaded.failed.tolist() == [1]
    assert loaded["c"].means_.dtype == np.float32
    assert_same(report["c"], loaded["c"])
    assert loaded.key_names == ["by_seed"]
    nothing = fit_many([sets[1]] * 2, 2)
    nothing.save(tmp_path / "nothing.parquet")
    assert fastgmm.load(tmp_path / "nothing.parquet").errors == nothing.errors


def test_what_cannot_be_saved(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    report = fit_many([X], 2, init_params=lambda X, n_components, random_state: np.arange(40) % 2)
    with pytest.raises(ValueError, match="init_params"):
        report.save(tmp_path / "report.parquet")
    with pytest.raises(ValueError, match="one type"):
        fit_many({"a": X, 1: X}, 2).save(tmp_path / "report.parquet")
    assert list(tmp_path.iterdir()) == []


def test_damage(frame, tmp_path):
    path = tmp_path / "report.parquet"
    fit_many(frame, 2, by="shop", columns=["a", "b"], random_state=0).save(path)
    whole, table = path.read_bytes(), pq.read_table(path)
    for damaged in (whole[:-9], whole[: len(whole) // 2], b"PAR1", whole[:99] + whole[100:]):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=r"report\.parquet"):
            fastgmm.load(path)
    pq.write_table(table.replace_schema_metadata(None), path)
    with pytest.raises(ModelFileError, match="not a report"):
        fastgmm.load(path)
    for name, values in (
        ("position", [0, 0, 1]),
        ("weights", [[0.5, 0.6]] * 3),
        ("means", [None] * 3),
        ("covariances", [[[[1.0, 0.0], [0.0, -1.0]]] * 2] * 3),
    ):
        field = table.schema.field(name)
        number = table.column_names.index(name)
        pq.write_table(table.set_column(number, field, pa.array(values, field.type)), path)
        with pytest.raises(ModelFileError, match="no usable report"):
            fastgmm.load(path)


# -- jobs ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("random_state", [0, None])
def test_a_job_goes_on(tmp_path, random_state, monkeypatch):
    """What is done is not done again, and the end is that of an undisturbed job."""
    job = tmp_path / "job.parquet"
    random = np.random.default_rng(0)
    sets = [random.normal(size=(60, 2)) for _ in range(6)]
    sets[1][3] = np.nan
    options = {"reg_covar": "scale", "random_state": random_state, "n_jobs": 1}  # one by one
    fits = []
    original = batch_fits.Fits._of_one

    def of_one(self, i, stop):
        fits.append(i)
        if len(fits) == 4:
            raise KeyboardInterrupt
        return original(self, i, stop)

    monkeypatch.setattr(batch_fits.Fits, "_of_one", of_one)
    with pytest.raises(KeyboardInterrupt) as caught:
        fit_many(sets, 2, checkpoint=job, checkpoint_every=0, **options)
    report = caught.value.report
    assert [error is None for error in report.errors] == [True, False, True, False, False, False]
    assert "interrupted" in report.errors[4]
    with pytest.raises(ModelFileError, match="checkpoint of a job, not a report"):
        fastgmm.load(job)
    finished = fit_many(sets, 2, checkpoint=job, **options)
    assert fits == [0, 1, 2, 3, 3, 4, 5]
    again = fit_many(sets, 2, checkpoint=job, **options)
    assert len(fits) == 7
    for report in (finished, again):
        assert report.failed.tolist() == [1]
        assert "NaN" in report.errors[1]
        np.testing.assert_array_equal(report.seeds, finished.seeds)
    if random_state is not None:
        np.testing.assert_array_equal(again.means_, fit_many(sets, 2, **options).means_)
    for change, words in (
        ({"reg_covar": 0.1}, "reg_covar was 'scale' and is 0.1"),
        ({"n_components": 3}, "n_components was 2 and is 3"),
        ({"random_state": 7}, "random_state was"),
    ):
        with pytest.raises(ValueError, match=words):
            fit_many(sets, checkpoint=job, **{"n_components": 2, **options, **change})
    with pytest.raises(ValueError, match="the digest was"):
        fit_many([*sets[:-1], sets[0]], 2, checkpoint=job, **options)


def test_checkpoints_of_fits_in_lockstep(tmp_path):
    sets = np.random.default_rng(0).normal(size=(300, 30, 2))
    job = tmp_path / "job"
    first = fit_many(sets, 2, random_state=0, checkpoint=job, checkpoint_every=0)
    second = fit_many(sets, 2, random_state=0, checkpoint=job)
    np.testing.assert_array_equal(first.means_, second.means_)
    np.testing.assert_array_equal(first.means_, fit_many(sets, 2, random_state=0).means_)
    first.save(tmp_path / "report.parquet")
    with pytest.raises(ModelFileError, match="holds a report, not the checkpoint"):
        fit_many(sets, 2, random_state=0, checkpoint=tmp_path / "report.parquet")
