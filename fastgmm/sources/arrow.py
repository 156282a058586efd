"""Columns of Arrow: which are features, and how they become rows of an array."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.sources.blocks import BlockReader, decoded_row_bytes, rows_per_block
from fastgmm.sources.cache import Block, BlockCache
from fastgmm.sources.checks import NoNumber, check_distinct
from fastgmm.sources.kinds import Kind, Request, computed, is_query, package_of
from fastgmm.sources.optional import import_optional
from fastgmm.sources.weights import NO_WEIGHTS

_MANY_COLUMNS = 64
"""Columns from which on a batch is taken as a whole."""


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
    uniform : bool
        Whether all features have that type as they are stored.
    """

    features: list[str]
    weight: str | None
    dtype: np.dtype
    uniform: bool = False

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

    def fill(
        self, block: Block, start: int, batch: Any, constants: Mapping[str, Any] | None = None
    ) -> None:
        """Write a record batch into a block, from row `start` on; nulls become NaN.

        Parameters
        ----------
        block : Block
        start : int
        batch : pyarrow.RecordBatch
        constants : mapping, optional
            Values of columns that are not in the batch; of others it lacks, values are missing.
        """
        rows = block.rows[start : start + batch.num_rows]
        names = batch.schema.names
        place = {name: number for number, name in enumerate(names)}
        if self.uniform and len(self.features) >= _MANY_COLUMNS:
            # One call for all columns, each of which takes as long for a row as for a hundred.
            places = [place[name] for name in self.features]
            chosen = batch if places == list(range(len(names))) else batch.select(places)
            rows[:] = chosen.to_tensor(null_to_nan=True).to_numpy()
            targets = {}
        else:
            targets = {name: rows[:, j] for j, name in enumerate(self.features)}
        if self.weight is not None:
            targets[self.weight] = block.weights[start : start + batch.num_rows]
        for name, target in targets.items():
            if name in place:
                target[:] = to_numbers(batch.column(place[name]))
            else:
                target[:] = (constants or {}).get(name, np.nan)


def choose_columns(
    schema: Any,
    columns: Sequence[str] | None,
    weight: str | None,
    name: str,
    first_value: Callable[[str], object],
    exclude: Sequence[str] = (),
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
    exclude : sequence of str, optional
        Columns that are no features.

    Raises
    ------
    ValueError
        If a column is missing or holds anything but numbers.
    """
    names, types = schema.names, schema.types
    if columns is None:
        index = _index_columns(schema)
        features = [name for name in names if name != weight and name not in index]
    else:
        features = list(columns)
    features = [column for column in features if column not in exclude]
    if not features:
        raise ValueError(f"{name} has no columns of features.")
    place = {column: number for number, column in enumerate(names)}
    number_of = Counter(names)
    words = {kind: _number_type(kind) for kind in set(types)}
    for column in [*exclude, *features, *([] if weight is None else [weight])]:
        if not isinstance(column, str):
            raise ValueError(f"{name}: choose columns by name, not by {column!r}.")
        found = number_of[column]
        if found != 1:
            raise ValueError(
                f"{name} has {found or 'no'} column{'s' * (found > 1)} {column!r}; its columns "
                f"are {_listed(names)}."
            )
        if words[types[place[column]]] is None and column not in exclude:
            raise NoNumber(
                f"{name}: column {column!r} holds {types[place[column]]}, not numbers "
                f"({first_value(column)!r} in row 0, counted from 0)",
                f"Choose columns of numbers, or leave this one out by {excluding(column)}.",
            )
    check_distinct(features, name)
    found_types = {words[types[place[column]]] for column in features}
    dtype = np.dtype(np.float32 if found_types == {"float"} else np.float64)
    return ColumnChoice(features, weight, dtype, found_types in ({"float"}, {"double"}))


def excluding(column: str) -> str:
    """How to say that a column is no feature."""
    plain = column and column == column.strip() and not set(column) & set(",\"' ")
    quoted = column.replace('"', '""')
    shown = column if plain else f"'\"{quoted}\"'"
    return f"exclude=[{column!r}] (--exclude {shown})"


def to_numbers(array: Any) -> np.ndarray:
    """Values of an Arrow array as numbers, or as objects where bools are null."""
    types = import_optional("pyarrow.types", "A source of Arrow data")
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_decimal(array.type) or types.is_null(array.type):
        array = array.cast("float64")
    return array.to_numpy(zero_copy_only=False)


def _number_type(arrow_type: Any) -> str | None:
    """Name of the type of a column's numbers; None if it holds none."""
    types = import_optional("pyarrow.types", "A source of Arrow data")
    # Of no type are columns without a value, as in parts without rows.
    kinds = (types.is_null, types.is_floating, types.is_integer, types.is_boolean, types.is_decimal)
    if types.is_dictionary(arrow_type):
        return _number_type(arrow_type.value_type) and "dictionary"
    return str(arrow_type) if any(is_kind(arrow_type) for is_kind in kinds) else None


def _index_columns(schema: Any) -> set[str]:
    """Columns that pandas has written its index to."""
    metadata = schema.pandas_metadata or {}
    return {column for column in metadata.get("index_columns", []) if isinstance(column, str)}


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
    exclude : sequence of str, optional
        Columns that are no features.
    name : str, optional
    """

    def __init__(
        self,
        table: Any,
        columns: Sequence[str] | None,
        weight: str | None,
        cache: BlockCache,
        exclude: Sequence[str] = (),
        name: str = "The table",
    ):
        self.name = name
        self._choice = choose_columns(
            table.schema,
            columns,
            weight,
            name,
            lambda column: table.column(column)[0].as_py() if len(table) else None,
            exclude,
        )
        self.n_features = len(self._choice.features)
        self.feature_names = self.columns = self._choice.features
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

    def locate(self, row: int) -> tuple[str, int]:
        return self.name, row

    def check_unchanged(self) -> None:
        """Tables in memory are not written to."""


def _table(thing: Any, request: Request) -> TableReader:
    pyarrow = import_optional("pyarrow", "Reading tables")
    thing = computed(thing)
    table = thing if isinstance(thing, pyarrow.Table) else pyarrow.table(thing)
    columns, exclude = request.named_columns, request.exclude
    return TableReader(table, columns, request.weight, request.cache, exclude)


def _is_table(thing: object) -> bool:
    tables = ("Table", "RecordBatch", "RecordBatchReader")
    if package_of(thing) == "pyarrow":
        return type(thing).__name__ in tables
    if is_query(thing):
        return True
    # A single column, such as a pandas Series, has one dimension or none.
    return hasattr(thing, "__arrow_c_stream__") and len(getattr(thing, "shape", (0, 0))) == 2


TABLE = Kind(_is_table, _table)
