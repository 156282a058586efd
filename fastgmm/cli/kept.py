"""``predict --keep``: columns of the input that stand beside the predictions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.cli.rows import RowOptions
from fastgmm.distributed import open_source
from fastgmm.outputs import TABLES, Beside
from fastgmm.sources.base import RowSource, scan
from fastgmm.sources.checks import check_distinct
from fastgmm.sources.csv import CSV, csv_file
from fastgmm.sources.optional import import_optional
from fastgmm.sources.parquet import PARQUET, parquet_files
from fastgmm.sources.reader import rows_per_scan


def beside(out: Any, options: RowOptions, rows: RowSource) -> Beside:
    """An output with the columns of the option ``--keep`` before the predictions.

    They are copied as they are: those of CSV files are text, whatever they hold.

    Parameters
    ----------
    out : Path or binary file
    options : RowOptions
    rows : RowSource
        That are predicted, some of which may have been dropped.

    Raises
    ------
    ValueError
        If there is no such column, one is named twice, or a .npy file is to be written.
    """
    if isinstance(out, Path) and out.suffix.lower() == ".npy":
        kinds = " or ".join(sorted(TABLES))
        raise ValueError(f"--keep needs a {kinds} file, for {out} holds numbers alone.")
    names = options.names("keep")
    assert names is not None
    check_distinct(names, "--keep")
    parts = [_columns(path, names, options) for path in options.data]
    schema = parts[0][0]
    batches: Iterator[Any] = (batch.cast(schema) for _, part in parts for batch in part)
    if options.missing_values == "drop":
        batches = _complete(batches, options, list(rows.reader.columns))
    return Beside(out, schema, batches)


def _columns(path: Path, names: list[Any], options: RowOptions) -> tuple[Any, Iterator[Any]]:
    """Schema and record batches of columns of a file."""
    arrow = import_optional("pyarrow", "--keep")
    if CSV.takes(path):
        file = csv_file(path, **options.text)
        _check_names(path, names, file.names)
        schema = arrow.schema([(name, arrow.string()) for name in names])
        return schema, file.columns_as_text(names)
    if PARQUET.takes(path):
        files = parquet_files(path)
        with files[0].open(0) as opened:
            schema = opened.schema_arrow
        _check_names(path, names, schema.names)
        return arrow.schema([schema.field(name) for name in names]), _of_parquet(files, names)
    reader = open_source(path, columns=names, missing_values="em").reader
    kind = arrow.from_numpy_dtype(reader.read(0, 1)[0].dtype)
    schema = arrow.schema([(str(name), kind) for name in names])
    return schema, _of_numbers(reader, schema)


def _check_names(path: Path, names: list[Any], there: list[str]) -> None:
    for name in names:
        if there.count(name) != 1:
            raise ValueError(
                f"{path} has {there.count(name) or 'no'} column{'s' * (there.count(name) > 1)} "
                f"{name!r} to keep; its columns are {', '.join(map(repr, there[:12]))}."
            )


def _of_parquet(files: list[Any], names: list[str]) -> Iterator[Any]:
    for file in files:
        with file.open(1 << 16) as opened:
            for batch in opened.iter_batches(columns=names):
                yield batch.select(names)


def _of_numbers(reader: Any, schema: Any) -> Iterator[Any]:
    arrow = import_optional("pyarrow", "--keep")
    step = rows_per_scan(reader.n_features)
    for start in range(0, reader.n_rows, step):
        rows = reader.read(start, min(start + step, reader.n_rows))[0]
        columns = [arrow.array(np.ascontiguousarray(column)) for column in rows.T]
        yield arrow.record_batch(columns, schema=schema)


def _complete(batches: Iterator[Any], options: RowOptions, features: list[Any]) -> Iterator[Any]:
    """The rows that have all values, as those that are predicted."""
    arrow = import_optional("pyarrow", "--keep")
    how = {**options.how, "exclude": (), "missing_values": "em"}
    rows = open_source(options.thing, columns=features, **how)
    complete = (~np.isnan(chunk.rows).any(axis=1) for chunk in scan(rows))
    left = np.zeros(0, dtype=bool)
    for batch in batches:
        while len(left) < batch.num_rows:
            left = np.concatenate([left, next(complete)])
        yield batch.filter(arrow.array(left[: batch.num_rows]))
        left = left[batch.num_rows :]
