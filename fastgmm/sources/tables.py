"""Tables as a whole, in memory: with columns of any type, which data sets are cut out by."""

import gzip
import logging
import os
from pathlib import Path
from typing import Any

from fastgmm.sources import csv_advice
from fastgmm.sources.csv import CSV, delimiter_of
from fastgmm.sources.kinds import computed, package_of
from fastgmm.sources.optional import import_optional
from fastgmm.sources.parquet import PARQUET


def read_table(
    thing: Any, header: bool = True, delimiter: str | None = None, decimal: str = "."
) -> Any:
    """The pyarrow Table that something holds; None if it is no table of Arrow or file of one.

    Parameters
    ----------
    thing : path, pyarrow object, query, or anything else
        The path of a Parquet or CSV file or of a folder of Parquet files.
    header, delimiter, decimal
        See `fastgmm.open_source`.

    Raises
    ------
    ValueError
        If a file is damaged, or of another kind.
    FileNotFoundError
        If there is no such file.
    """
    if isinstance(thing, (str, os.PathLike)):
        return _of_file(Path(thing), header, delimiter, decimal)
    thing = computed(thing)
    if package_of(thing) != "pyarrow":
        return None
    arrow = import_optional("pyarrow", "Reading tables")
    if hasattr(thing, "to_table"):  # a dataset, or a scanner of one
        return thing.to_table()
    return thing if isinstance(thing, arrow.Table) else arrow.table(thing)


def joined_tables(paths: list[Path], **text: Any) -> Any:
    """The rows of several files, one after the other, in one pyarrow Table.

    Raises
    ------
    ValueError
        If they have different columns; see also `read_table`.
    """
    arrow = import_optional("pyarrow", "Reading tables")
    tables = [read_table(path, **text) for path in paths]
    names = tables[0].column_names
    for path, table in zip(paths, tables, strict=True):
        if sorted(table.column_names) != sorted(names):
            raise ValueError(
                f"{path} has the columns {table.column_names}, but {paths[0]} {names}."
            )
    try:
        return arrow.concat_tables(
            [table.select(names) for table in tables], promote_options="permissive"
        )
    except arrow.ArrowException as error:
        raise ValueError(f"The files have columns of different types: {error}") from None


def without_holes(table: Any, columns: list[str]) -> Any:
    """The rows of a table that have a value in all of some columns; how many others is logged.

    Raises
    ------
    ValueError
        If there is none.
    """
    compute = import_optional("pyarrow.compute", "Reading tables")
    whole = None
    for name in columns:
        there = compute.invert(compute.is_null(table.column(name), nan_is_null=True))
        whole = there if whole is None else compute.and_(whole, there)
    found = table.filter(whole)
    if not len(found):
        raise ValueError("There is no row without a missing value.")
    if len(found) < len(table):
        text = "%d of %d rows have a missing value and are left out."
        logging.getLogger(__name__).warning(text, len(table) - len(found), len(table))
    return found


def _of_file(path: Path, header: bool, delimiter: str | None, decimal: str) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"There is no {path}.")
    lib = import_optional("pyarrow", "Reading tables").lib
    try:
        if CSV.takes(path):
            return _of_csv(path, header, delimiter_of(path, delimiter), decimal)
        if PARQUET.takes(path):
            datasets = import_optional("pyarrow.dataset", "Reading Parquet")
            return datasets.dataset(str(path), format="parquet", partitioning="hive").to_table()
    except lib.ArrowException as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    raise ValueError(
        f"{path} has no columns with names, by its own name: a .parquet file, a folder of such, "
        "a .csv, .tsv or .tab file, perhaps with .gz, would."
    )


def _of_csv(path: Path, header: bool, delimiter: str, decimal: str) -> Any:
    csv_advice.check_text(path, delimiter, decimal)
    opened = gzip.open if csv_advice.is_gzip(path) else open
    with (
        csv_advice.damage_as_error(lambda text: ValueError(f"{path} cannot be read: {text}")),
        opened(path, "rb") as file,
    ):
        table = _parsed(file, header, delimiter, decimal)
    names = table.column_names
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{path} has {names.count(twice[0])} columns {twice[0]!r}.")
    return table


def _parsed(file: Any, header: bool, delimiter: str, decimal: str) -> Any:
    csv = import_optional("pyarrow.csv", "Reading CSV")
    table = csv.read_csv(
        file,
        csv.ReadOptions(autogenerate_column_names=not header),
        csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        csv.ConvertOptions(decimal_point=decimal),
    )
    if not header:
        table = table.rename_columns([str(number) for number in range(table.num_columns)])
    # An empty cell of text is a missing value, but NA is a country.
    compute = import_optional("pyarrow.compute", "Reading CSV")
    for number, name in enumerate(table.column_names):
        column = table.column(number)
        if str(column.type) == "string":
            text = compute.if_else(compute.equal(column, ""), None, column)
            table = table.set_column(number, name, text)
    return table
