"""Tables as a whole, in memory: with columns of any type, which data sets are cut out by."""

import gzip
import os
from pathlib import Path
from typing import Any

from fastgmm.sources import csv_advice
from fastgmm.sources.csv import CSV
from fastgmm.sources.kinds import computed, package_of
from fastgmm.sources.optional import import_optional
from fastgmm.sources.parquet import PARQUET


def read_table(thing: Any) -> Any:
    """The pyarrow Table that something holds; None if it is no table of Arrow or file of one.

    Parameters
    ----------
    thing : path, pyarrow object, query, or anything else
        The path of a Parquet or CSV file or of a folder of Parquet files.

    Raises
    ------
    ValueError
        If a file is damaged, or of another kind.
    FileNotFoundError
        If there is no such file.
    """
    if isinstance(thing, (str, os.PathLike)):
        return _of_file(Path(thing))
    thing = computed(thing)
    if package_of(thing) != "pyarrow":
        return None
    arrow = import_optional("pyarrow", "Reading tables")
    if hasattr(thing, "to_table"):  # a dataset, or a scanner of one
        return thing.to_table()
    return thing if isinstance(thing, arrow.Table) else arrow.table(thing)


def _of_file(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"There is no {path}.")
    lib = import_optional("pyarrow", "Reading tables").lib
    try:
        if CSV.takes(path):
            return _of_csv(path)
        if PARQUET.takes(path):
            datasets = import_optional("pyarrow.dataset", "Reading Parquet")
            return datasets.dataset(str(path), format="parquet", partitioning="hive").to_table()
    except lib.ArrowException as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    raise ValueError(
        f"{path} has no columns with names, by its own name: a .parquet file, a folder of such, "
        "a .csv or a .csv.gz file would."
    )


def _of_csv(path: Path) -> Any:
    csv_advice.check_text(path, ",", ".")
    csv = import_optional("pyarrow.csv", "Reading CSV")
    opened = gzip.open if csv_advice.is_gzip(path) else open
    with opened(path, "rb") as file:
        table = csv.read_csv(file, parse_options=csv.ParseOptions(newlines_in_values=True))
    # An empty cell of text is a missing value, but NA is a country.
    compute = import_optional("pyarrow.compute", "Reading CSV")
    for number, name in enumerate(table.column_names):
        column = table.column(number)
        if str(column.type) == "string":
            text = compute.if_else(compute.equal(column, ""), None, column)
            table = table.set_column(number, name, text)
    return table
