"""Groups and columns of tables of every kind, with weights: each the fit of its own rows."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import fastgmm
from fastgmm import GaussianMixture, fit_many
from tests.batch.test_fit_many import assert_same_model, clusters

FEATURES = ["x", "y"]


def make_frame():
    random, X = np.random.RandomState(0), clusters(120)
    shops = random.permutation(["b", "a", None, "NA"] * 30)
    years = random.randint(2020, 2022, 120)
    weights = random.uniform(0, 2, 120)
    return pd.DataFrame(
        {"shop": shops, "year": years, "x": X[:, 0], "count": weights, "y": X[:, 1]}
    )


FRAME = make_frame()
TABLE = pa.Table.from_pandas(FRAME)


class Relation:
    """As DuckDB's, as far as it is looked at."""

    __module__ = "duckdb"

    def to_arrow_table(self):
        return TABLE


def written(write, name):
    def make(folder):
        write(folder / name)
        return folder / name

    return make


KINDS = {
    "pandas": lambda folder: FRAME,
    "polars": lambda folder: pl.from_pandas(FRAME),
    "LazyFrame": lambda folder: pl.from_pandas(FRAME).lazy(),
    "Table": lambda folder: TABLE,
    "dictionary": lambda folder: TABLE.set_column(0, "shop", TABLE["shop"].dictionary_encode()),
    "Dataset": lambda folder: ds.dataset(TABLE),
    "relation": lambda folder: Relation(),
    "Parquet": written(lambda path: pq.write_table(TABLE, path), "rows.parquet"),
    "CSV": written(lambda path: FRAME.to_csv(path, index=False), "rows.csv"),
    "gzip": written(lambda path: FRAME.to_csv(path, index=False), "rows.csv.gz"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@pytest.mark.parametrize("by", ["shop", ["shop", "year"]], ids=str)
def test_groups_are_fits_of_their_rows(kind, by, tmp_path):
    table = KINDS[kind](tmp_path)
    report = fit_many(table, 2, by=by, columns=FEATURES, sample_weight="count", random_state=5)
    groups = FRAME.dropna(subset=by).groupby(by)  # pandas 2.2 has keys with NaN otherwise
    assert report.keys == sorted(groups.groups)
    for number, (key, rows) in enumerate(groups):
        alone = GaussianMixture(2, random_state=int(report.seeds[number]))
        alone.fit(rows[FEATURES], sample_weight=rows["count"])
        assert_same_model(report[key], alone)


@every_kind
def test_columns_are_fits_of_their_own(kind, tmp_path):
    table = KINDS[kind](tmp_path)
    report = fit_many(table, 2, columns="each", sample_weight="count", random_state=5)
    assert report.keys == ["shop", "year", "x", "y"]
    assert report.failed.tolist() == [0]  # of text
    alone = GaussianMixture(2, random_state=int(report.seeds[3]))
    assert_same_model(report["y"], alone.fit(FRAME[["y"]], sample_weight=FRAME["count"]))


def test_weights_of_all_rows():
    def fitted(weights):
        return fit_many(FRAME, 2, by="shop", columns=FEATURES, sample_weight=weights)

    expected = fit_many(
        FRAME, 2, by="shop", columns=FEATURES, sample_weight="count", random_state=0
    )
    for weights in (FRAME["count"], FRAME["count"].to_numpy(), FRAME["count"].tolist()):
        report = fit_many(
            FRAME, 2, by="shop", columns=FEATURES, sample_weight=weights, random_state=0
        )
        np.testing.assert_array_equal(report.means_, expected.means_)
        each = fit_many(FRAME[FEATURES].to_numpy(), 2, columns="each", sample_weight=weights)
        assert not len(each.failed)
    with pytest.raises(ValueError, match="sample_weight has 3 numbers, for 120 rows"):
        fitted([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="no column 'price'"):
        fitted("price")
    with pytest.raises(ValueError, match="'x' is asked for twice"):
        fitted("x")
    with pytest.raises(ValueError, match="Column 'shop' holds something that is no number"):
        fit_many(FRAME, 2, by="year", columns=FEATURES, sample_weight="shop")


def test_a_column_of_weights_in_every_file(tmp_path):
    files = [tmp_path / f"{number}.parquet" for number in range(2)]
    for file in files:
        pq.write_table(TABLE.select(["x", "y", "count"]), file)
    report = fit_many(files, 2, sample_weight="count", random_state=0)
    assert report.means_.shape == (2, 2, 2)
    with pytest.raises(ValueError, match="data set 1 is a ndarray"):
        fit_many([files[0], clusters(20)], 2, sample_weight="count")


@pytest.mark.parametrize(
    "groups",
    [FRAME.groupby("shop"), FRAME.groupby("shop")["x"], pl.from_pandas(FRAME).group_by("shop")],
    ids=lambda groups: type(groups).__name__,
)
def test_groups_of_others_are_refused(groups):
    with pytest.raises(TypeError, match=r"GroupBy.*by="):
        fit_many(groups, 2)


def test_pairs_are_refused(tmp_path):
    with pytest.raises(TypeError, match="dict"):
        fit_many([("a", clusters(20)), ("b", clusters(20))], 2)
    np.save(tmp_path / "rows.npy", clusters(20))
    (model,) = fit_many([(str(tmp_path / "rows.npy"), clusters(20))], 2)
    assert model is not None  # a file and an array, whose rows follow one another


def test_files_that_hold_no_table(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no .*nowhere\.csv"):
        fit_many(tmp_path / "nowhere.csv", 2, by="shop")
    np.save(tmp_path / "rows.npy", clusters(20))
    with pytest.raises(ValueError, match=r"rows\.npy has no columns with names"):
        fit_many(tmp_path / "rows.npy", 2, by="shop")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"rows\.parquet cannot be read"):
        fit_many(tmp_path / "rows.parquet", 2, by="shop")
    with pytest.raises(ValueError, match="by='name of a column'"):
        fit_many(TABLE, 2)


def test_queries_are_rows_to_fit_and_to_predict():
    lazy = pl.from_pandas(FRAME).lazy()
    columns = lazy.select([*FEATURES, "count"])
    model = GaussianMixture(2, random_state=0).fit(columns, sample_weight="count")
    alone = GaussianMixture(2, random_state=0).fit(FRAME[FEATURES], sample_weight=FRAME["count"])
    assert_same_model(model, alone)
    labels = model.predict(lazy.select(["y", "x"]))  # features are taken by name
    np.testing.assert_array_equal(labels, alone.predict(FRAME[FEATURES]))
    found = fastgmm.open_source([Relation(), Relation()], columns=FEATURES)
    assert (found.n_rows, found.n_features) == (240, 2)
