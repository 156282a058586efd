"""The one list of kinds of sources that drives the tests.

``SOURCES[name](folder, X, weights, **options)`` stores rows in some way and opens them; `options`
are those of `open_source`. Columns are named x0, x1, ... where they have names.
"""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq
import zarr

from fastgmm.sources.opening import open_source


def table_of(X, weights=None):
    """Table with the columns x0, x1, ... and, with weights, a column ``weight`` amid them."""
    columns = {f"x{j}": np.ascontiguousarray(column) for j, column in enumerate(X.T)}
    if weights is not None:
        first, *others = columns.items()
        columns = {**dict([first]), "weight": weights, **dict(others)}
    return pa.table(columns)


def with_weight_column(X, weights):
    """Array with the weights as its last column; the column's number, or None."""
    if weights is None:
        return X, None
    return np.column_stack([X, weights]).astype(X.dtype), X.shape[1]


def _named(weights):
    return None if weights is None else "weight"


def _array(folder, X, weights, **options):
    return open_source(X, weight=weights, **options)


def _memmap(folder, X, weights, **options):
    rows = np.memmap(folder / "rows.bin", X.dtype, "w+", shape=X.shape)
    rows[:] = X
    rows.flush()
    rows = np.memmap(folder / "rows.bin", X.dtype, "r", shape=X.shape)
    return open_source(rows, weight=weights, **options)


def _npy(folder, X, weights, **options):
    stacked, column = with_weight_column(X, weights)
    np.save(folder / "rows.npy", stacked)
    return open_source(folder / "rows.npy", weight=column, **options)


def _npy_some_columns(folder, X, weights, **options):
    wide = np.full((len(X), X.shape[1] + 2), np.nan, X.dtype)
    chosen = [*range(1, X.shape[1]), X.shape[1] + 1]
    wide[:, chosen] = X
    np.save(folder / "wide.npy", wide)
    return open_source(str(folder / "wide.npy"), columns=chosen, weight=weights, **options)


def _npy_big_endian(folder, X, weights, **options):
    np.save(folder / "big.npy", X.astype(X.dtype.newbyteorder(">")))
    return open_source(folder / "big.npy", weight=weights, **options)


def _csv(folder, X, weights, **options):
    pyarrow.csv.write_csv(table_of(X, weights), folder / "rows.csv")
    options = {"dtype": np.float32 if X.dtype == np.float32 else None, **options}
    return open_source(folder / "rows.csv", weight=_named(weights), **options)


def _parquet(folder, X, weights, **options):
    pq.write_table(table_of(X, weights), folder / "rows.parquet")
    return open_source(folder / "rows.parquet", weight=_named(weights), **options)


def _parquet_small_groups(folder, X, weights, **options):
    path = folder / "groups.parquet"
    pq.write_table(table_of(X, weights), path, row_group_size=777)
    return open_source(path, weight=_named(weights), **options)


def _folder(folder, X, weights, **options):
    table = table_of(X, weights)
    cuts = [0, len(X) // 3, len(X) // 3, len(X) - 1, len(X)]  # one file has no row
    for i, (start, stop) in enumerate(itertools.pairwise(cuts)):
        path = folder / "many" / f"part={i}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        part = table.slice(start, stop - start)
        # The order of the columns may differ from file to file.
        pq.write_table(part.select(part.column_names[:: 1 - 2 * (i % 2)]), path)
    names = [f"x{j}" for j in range(X.shape[1])]
    return open_source(folder / "many", columns=names, weight=_named(weights), **options)


def _dataset(folder, X, weights, **options):
    pq.write_table(table_of(X, weights), folder / "set.parquet", row_group_size=1000)
    dataset = pyarrow.dataset.dataset(folder / "set.parquet")
    return open_source(dataset, weight=_named(weights), **options)


def _table(folder, X, weights, **options):
    return open_source(table_of(X, weights), weight=_named(weights), **options)


def _frame(folder, X, weights, **options):
    frame = table_of(X, weights).to_pandas()
    return open_source(frame, weight=_named(weights), **options)


def _zarr(folder, X, weights, **options):
    stacked, column = with_weight_column(X, weights)
    array = zarr.create_array(folder / "rows.zarr", data=stacked, chunks=(300, 2))
    return open_source(array, weight=column, **options)


def _zarr_shards(folder, X, weights, **options):
    path, width = folder / "shards.zarr", X.shape[1]
    # Created empty: with `data`, zarr before 3.1.3 writes the chunks of a shard over one another.
    array = zarr.create_array(
        path, shape=X.shape, dtype=X.dtype, chunks=(50, width), shards=(500, width)
    )
    array[:] = X
    return open_source(path, weight=weights, **options)


def _list(folder, X, weights, **options):
    third = len(X) // 3
    table = table_of(X, weights)
    stacked, column = with_weight_column(X, weights)
    names = [f"x{j}" for j in range(X.shape[1])]
    np.save(folder / "last.npy", stacked[2 * third :])
    return open_source(
        [
            open_source(table.slice(0, third), columns=names, weight=_named(weights)),
            open_source(stacked[third : 2 * third], weight=column),
            open_source(folder / "last.npy", weight=column),
        ],
        **options,
    )


SOURCES = {
    "array": _array,
    "memmap": _memmap,
    "npy": _npy,
    "npy_some_columns": _npy_some_columns,
    "npy_big_endian": _npy_big_endian,
    "csv": _csv,
    "parquet": _parquet,
    "parquet_small_groups": _parquet_small_groups,
    "folder": _folder,
    "dataset": _dataset,
    "table": _table,
    "frame": _frame,
    "zarr": _zarr,
    "zarr_shards": _zarr_shards,
    "list": _list,
}
