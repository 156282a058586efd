"""Columns of Arrow: which are features, and how they become rows of an array."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.sources.blocks import BlockReader, decoded_row_bytes, rows_per_block
from fastgmm.sources.cache import Block, BlockCache
from fastgmm.sources.checks import check_distinct
from fastgmm.sources.optional import import_optional
from fastgmm.sources.weights import NO_WEIGHTS


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """The columns that are read.

    Parameters
    ----------
    features : list of str
        In the order of the features.
    weight : str or None
    dtype : dtype
        Of the rows: float32 if all features are, else float64.
    """

    features: list[str]
    weight: str | None
    dtype: np.dtype

    @property
    def names(self) -> list[str]:
        """All columns to read."""
        return [*self.features, self.weight] if self.weight is not None else list(self.features)

    @property
    def row_bytes(self) -> int:
        """Memory of a decoded row."""
        return decoded_row_bytes(len(self.features), self.dtype, self.weight is not None)

    def empty_block(self, n_rows: int) -> Block:
        """A block to fill."""
        rows = np.empty((n_rows, len(self.features)), self.dtype)
        return Block(rows, NO_WEIGHTS if self.weight is None else np.empty(n_rows))

    def fill(self, block: Block, start: int, batch: Any) -> None:
        """Write a record batch into a block, from row `start` on; nulls become NaN."""
        stop = start + batch.num_rows
        for j, name in enumerate(self.features):
            block.rows[start:stop, j] = to_numbers(_column(batch, name))
        if self.weight is not None:
            block.weights[start:stop] = to_numbers(_column(batch, self.weight))


def choose_columns(
    schema: Any,
    columns: Sequence[str] | None,
    weight: str | None,
    name: str,
    first_value: Callable[[str], object],
) -> ColumnChoice:
    """Choose columns of numbers.

    Parameters
    ----------
    schema : pyarrow.Schema
    columns : sequence of str or None
        None for all but `weight` and those that pandas keeps its index in.
    weight : str or None
    name : str
        Of the file, for errors.
    first_value : callable
        From a column's name to its value in row 0, for errors.

    Raises
    ------
    ValueError
        If a column is missing or holds anything but numbers.
    """
    if columns is None:
        index = _index_columns(schema)
        features = [name for name in schema.names if name != weight and name not in index]
    else:
        features = list(columns)
    if not features:
        raise ValueError(f"{name} has no columns of features.")
    for column in [*features, *([] if weight is None else [weight])]:
        if not isinstance(column, str):
            raise ValueError(f"{name}: choose columns by name, not by {column!r}.")
        found = schema.names.count(column)
        if found != 1:
            raise ValueError(
                f"{name} has {found or 'no'} column{'s' * (found > 1)} {column!r}; its columns "
                f"are {_listed(schema.names)}."
            )
        if _value_type(schema.field(column).type) is None:
            raise ValueError(
                f"{name}: column {column!r} holds {schema.field(column).type}, not numbers "
                f"({first_value(column)!r} in row 0, counted from 0). Choose columns of numbers."
            )
    check_distinct(features, name)
    single = all(_value_type(schema.field(column).type) == "float" for column in features)
    return ColumnChoice(features, weight, np.dtype(np.float32 if single else np.float64))


def to_numbers(array: Any) -> np.ndarray:
    """Values of an Arrow array as numbers, or as objects where bools are null."""
    types = import_optional("pyarrow.types", "A source of Arrow data")
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_decimal(array.type):
        array = array.cast("float64")
    return array.to_numpy(zero_copy_only=False)


def _column(batch: Any, name: str) -> Any:
    return batch.column(batch.schema.names.index(name))


def _value_type(arrow_type: Any) -> str | None:
    """Name of the type of a column's numbers; None if it holds none."""
    types = import_optional("pyarrow.types", "A source of Arrow data")
    if types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    kinds = (types.is_floating, types.is_integer, types.is_boolean, types.is_decimal)
    return str(arrow_type) if any(is_kind(arrow_type) for is_kind in kinds) else None


def _index_columns(schema: Any) -> list[str]:
    """Columns that pandas has written its index to."""
    metadata = schema.pandas_metadata or {}
    return [column for column in metadata.get("index_columns", []) if isinstance(column, str)]


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


class TableReader(BlockReader):
    """Rows of a pyarrow Table.

    Parameters
    ----------
    table : pyarrow.Table
    columns : sequence of str or None
    weight : str or None
    cache : BlockCache
    name : str, optional
    """

    def __init__(
        self,
        table: Any,
        columns: Sequence[str] | None,
        weight: str | None,
        cache: BlockCache,
        name: str = "The table",
    ):
        self.name = name
        self._choice = choose_columns(
            table.schema,
            columns,
            weight,
            name,
            lambda column: table.column(column)[0].as_py() if len(table) else None,
        )
        self.n_features, self.feature_names = len(self._choice.features), self._choice.features
        self.dtype = self._choice.dtype
        self.weighted = self._choice.weight is not None
        self._table = table.select(self._choice.names)
        size = rows_per_block(self._choice.row_bytes, cache.n_bytes)
        groups = [min(size, len(table) - start) for start in range(0, len(table), size)]
        super().__init__(groups, size, cache)

    def decode(self, group: int) -> Generator[Block, None, None]:
        start = group * self._rows_per_block
        block = self._choice.empty_block(self._group_rows[group])
        filled = 0
        for batch in self._table.slice(start, self._group_rows[group]).to_batches():
            self._choice.fill(block, filled, batch)
            filled += batch.num_rows
        yield block

    def weights(self) -> Iterator[np.ndarray]:
        for batch in self._table.select([self._choice.weight]).to_batches():
            yield np.asarray(to_numbers(batch.column(0)), dtype=np.float64)
