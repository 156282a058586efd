"""Rows in memory and in files, for the tests of estimators that read either."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset
import pyarrow.parquet as pq
import zarr

from fastgmm import BayesianGaussianMixture, GaussianMixture
from tests.estimator.helpers import quiet_fit
from tests.sources.kinds import table_of

CLASSES = (GaussianMixture, BayesianGaussianMixture)
K = 3
PREDICTIONS = ("predict", "predict_proba", "score_samples")


def make_rows(n_rows=1200):
    random = np.random.RandomState(3)
    X = random.standard_normal((n_rows, 3)) + 4 * random.randint(0, K, (n_rows, 1))
    return X, random.randint(0, 5, n_rows) / 4.0


X, WEIGHTS = make_rows()
LABELS = np.arange(len(X)) % K
RESPONSIBILITIES = np.full((len(X), K), 0.2) + 0.4 * np.eye(K)[LABELS]


def fitted_to(cls, rows, weights=None, **arguments):
    model = cls(n_components=K, random_state=0, max_iter=4, **arguments)
    return quiet_fit(model, rows, sample_weight=weights)


def npy_path(folder):
    np.save(folder / "rows.npy", X)
    return folder / "rows.npy"


def memory_map(folder):
    return np.load(npy_path(folder), mmap_mode="r")


def parquet_path(folder):
    pq.write_table(table_of(X), folder / "rows.parquet", row_group_size=500)
    return str(folder / "rows.parquet")


def parquet_folder(folder):
    for i, rows in enumerate(np.array_split(X, 3)):
        pq.write_table(table_of(rows), folder / f"{i}.parquet")
    return folder


def dataset(folder):
    return pyarrow.dataset.dataset(parquet_path(folder))


def zarr_array(folder):
    return zarr.create_array(folder / "rows.zarr", data=X, chunks=(300, 2))


def parts(folder):
    return [memory_map(folder)[:500], table_of(X[500:700]), X[700:]]


def frames(folder):
    names = ["a", "b", "c"]
    return [X[:500], pd.DataFrame(X[500:700], columns=names), pl.DataFrame(X[700:], schema=names)]


THINGS = {
    "memmap": memory_map,
    "npy": npy_path,
    "parquet": parquet_path,
    "folder": parquet_folder,
    "table": lambda folder: table_of(X),
    "dataset": dataset,
    "zarr": zarr_array,
    "list": parts,
    "arrays": frames,
}
