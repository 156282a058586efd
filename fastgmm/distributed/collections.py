"""Rows of a dask array or a dask dataframe: the kind of storage."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgmm.distributed.blocks import block_of_array, block_of_frame, length_of, with_weights
from fastgmm.distributed.client import (
    ClusterError,
    PartitionError,
    completed,
    current_client,
    result_of,
    results,
    scheduler_errors,
    wait_for,
)
from fastgmm.distributed.held import PartitionedRows, Partitions, joined
from fastgmm.distributed.place import ClusterPlace
from fastgmm.sources.array import ArrayReader, array_columns, array_features
from fastgmm.sources.cache import Block
from fastgmm.sources.checks import check_distinct, check_number_type
from fastgmm.sources.kinds import Kind, Request, is_collection
from fastgmm.sources.optional import import_optional
from fastgmm.sources.parts import PartsReader
from fastgmm.sources.reader import RowReader
from fastgmm.sources.weighted import WithWeights

_AT_ONCE = 8
"""Partitions whose weights are fetched at the same time."""


class _Asked(NamedTuple):
    """What is asked of a collection.

    Parameters
    ----------
    name : str
    blocks : list of Delayed
        Of the partitions.
    lengths : list of int or None
        Their rows; None if nobody knows.
    dtype : dtype
    columns : sequence of str or int
    feature_names : list of str or None
    column : label or None
        Of weights.
    weights : ndarray or dask array, of shape (n,), or None
        Beside the rows.
    """

    name: str
    blocks: list[Any]
    lengths: list[int] | None
    dtype: np.dtype
    columns: Any
    feature_names: list[str] | None
    column: Any
    weights: Any

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return self.column is not None or self.weights is not None


class PartitionsReader(PartitionedRows):
    """Rows that the workers of a cluster hold.

    Parameters
    ----------
    partitions : Partitions
    place : ClusterPlace
    """

    def __init__(self, partitions: Partitions, place: ClusterPlace):
        super().__init__(partitions)
        self.place = place

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        parts = list(self._partitions.parts(start, stop))
        blocks = self._fetched(_rows_of, parts)
        return joined(blocks, self.n_features, self.dtype)

    def weights(self) -> Iterator[np.ndarray]:
        numbers = range(len(self.place.blocks))
        for first in range(0, len(numbers), _AT_ONCE):
            yield from self._fetched(_weights_of, [(i,) for i in numbers[first : first + _AT_ONCE]])

    def _fetched(self, function: Any, parts: list[tuple]) -> list[Any]:
        """What a function of a block, and of what follows a partition's number, gives."""
        client = self.place.client
        self.place.workers()
        numbers = {
            client.submit(function, self.place.blocks[number], *rest, pure=False): number
            for number, *rest in parts
        }
        found = {
            future: result_of(client, future, f"Partition {numbers[future]}")
            for future in completed(list(numbers))
        }
        return [found[future] for future in numbers]


def _rows_of(block: Block, start: int, stop: int) -> Block:
    return Block(block.rows[start:stop], block.weights[start:stop])


def _weights_of(block: Block) -> np.ndarray:
    return block.weights


def _reader(thing: Any, request: Request) -> RowReader:
    ask = _asked_of_array if hasattr(thing, "chunks") else _asked_of_frame
    asked = ask(thing, request)
    client = current_client() if _has_distributed() else None
    if client is None:
        return _reader_in_memory(asked)
    return _reader_on_cluster(asked, client)


def _has_distributed() -> bool:
    try:
        import_optional("distributed", "")
    except ImportError:
        return False
    return True


def _reader_on_cluster(asked: _Asked, client: Any) -> RowReader:
    place = ClusterPlace(client)
    place.workers()
    with scheduler_errors():
        blocks = client.compute(asked.blocks)
    wait_for(client, blocks)
    lengths = asked.lengths
    if lengths is None:
        lengths = results(client, client.map(length_of, blocks, pure=False))
    if asked.weights is not None:
        pieces = _weights_there(asked.weights, lengths, asked.name, client)
        blocks = [
            client.submit(with_weights, block, piece, number, pure=False)
            for number, (block, piece) in enumerate(zip(blocks, pieces, strict=True))
        ]
        wait_for(client, blocks)
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    partitions = Partitions(
        uuid.uuid4().hex,
        asked.name,
        starts,
        asked.dtype,
        asked.columns,
        asked.feature_names,
        asked.weighted,
    )
    place.partitions, place.blocks = partitions, list(blocks)
    return PartitionsReader(partitions, place)


def _reader_in_memory(asked: _Asked) -> RowReader:
    """Rows that Dask's own scheduler computes, in this process."""
    dask = import_optional("dask", "Computing a collection", "dask")
    try:
        *blocks, weights = dask.compute(*asked.blocks, asked.weights)
    except PartitionError:
        raise
    except Exception as error:
        raise ClusterError(
            f"{asked.name} cannot be computed: {type(error).__name__}: {error}"
        ) from error
    parts: list[RowReader] = []
    for number, block in enumerate(blocks):
        if not len(block.rows):
            continue
        part: RowReader = ArrayReader(
            block.rows, name=f"Partition {number}", names=asked.feature_names
        )
        parts.append(part if asked.column is None else WithWeights(part, block.weights))
    if not parts:
        raise ValueError(f"{asked.name} has no rows.")
    reader: RowReader = PartsReader(parts)
    if weights is not None:
        _check_number_of_weights(weights.shape, asked.name, reader.n_rows)
        reader = WithWeights(reader, np.asarray(weights))
    reader.name = asked.name
    return reader


# -- arrays ----------------------------------------------------------------------------------------
def _asked_of_array(array: Any, request: Request) -> _Asked:
    name = "The dask array"
    if array.ndim != 2:
        raise ValueError(
            f"{name} has {array.ndim} dimension{'s' * (array.ndim != 1)}, but rows and columns are "
            "needed."
        )
    dtype, d = check_number_type(array.dtype, name), array.shape[1]
    if d != d:
        array = array.compute_chunk_sizes()
        d = array.shape[1]
    if array.numblocks[1] > 1:
        array = array.rechunk({1: -1})
    lengths = None if any(n != n for n in array.chunks[0]) else [int(n) for n in array.chunks[0]]
    column, weights = _weight(request.weight)
    if column is not None:
        (column,) = array_columns([column], d, name)
    features = list(array_features(request.columns, column, request.exclude, d, name))
    columns = None if features == list(range(d)) else features
    parts = array.to_delayed().ravel().tolist()
    make = import_optional("dask", "Reading dask arrays", "dask").delayed(
        block_of_array, pure=False
    )
    promised: Sequence[int | None] = [None] * len(parts) if lengths is None else lengths
    blocks = [
        make(part, number, (n, d), columns, column)
        for number, (part, n) in enumerate(zip(parts, promised, strict=True))
    ]
    return _Asked(name, blocks, lengths, dtype, features, None, column, weights)


# -- frames ----------------------------------------------------------------------------------------
def _asked_of_frame(frame: Any, request: Request) -> _Asked:
    name = "The dask dataframe"
    if not hasattr(frame, "columns") or getattr(frame, "ndim", 2) != 2:
        raise TypeError(
            f"Rows are read from dask arrays and dataframes, not a {type(frame).__name__}."
        )
    there = list(frame.columns)
    column, weights = _weight(request.weight)
    columns = request.named_columns
    if columns is None:
        columns = [label for label in there if column is None or label != column]
    check_distinct(list(columns), name)
    for label in [*columns, *request.exclude, *([] if column is None else [column])]:
        if label not in there:
            raise ValueError(f"{name} has no column {label!r}; it has {there}.")
    columns = [label for label in columns if label not in request.exclude]
    if not columns:
        raise ValueError(f"{name} has no columns of features.")
    types = dict(zip(there, frame.dtypes, strict=True))
    dtypes = [_number_type(types[label], f"{name}: column {label!r}") for label in columns]
    dtype = np.dtype(np.float32 if all(t == np.float32 for t in dtypes) else np.float64)
    if column is not None:
        _number_type(types[column], f"{name}: column {column!r}")
    make = import_optional("dask", "Reading dask frames", "dask").delayed(
        block_of_frame, pure=False
    )
    blocks = [
        make(part, number, list(columns), column, dtype)
        for number, part in enumerate(frame.to_delayed())
    ]
    names = list(columns) if all(isinstance(label, str) for label in columns) else None
    return _Asked(name, blocks, None, dtype, list(columns), names, column, weights)


def _number_type(dtype: Any, name: str) -> np.dtype:
    """Type that a column is read as.

    Raises
    ------
    ValueError
        If it holds no numbers.
    """
    categories = getattr(dtype, "categories", None)
    plain = dtype if categories is None else categories.dtype
    plain = getattr(plain, "numpy_dtype", plain)  # of the types of pandas that know missing values
    if not isinstance(plain, np.dtype):
        raise ValueError(f"{name} holds {dtype}, but numbers are needed.")
    return check_number_type(plain, name)


# -- weights ---------------------------------------------------------------------------------------
def _weight(weight: Any) -> tuple[Any, Any]:
    """A column of weights, or weights beside the rows: a NumPy or dask array.

    Raises
    ------
    ValueError
        If these are no numbers, one per row.
    """
    if weight is None or isinstance(weight, (str, bytes)) or np.ndim(weight) == 0:
        return weight, None
    if not is_collection(weight):
        weight = np.asarray(weight)
    elif hasattr(weight, "to_dask_array"):
        weight = weight.to_dask_array()
    if weight.ndim != 1:
        raise ValueError(
            f"The weights have {weight.ndim} dimensions, but a number per row is needed."
        )
    check_number_type(weight.dtype, "The array of weights")
    return None, weight


def _check_number_of_weights(shape: tuple, name: str, n_rows: int) -> None:
    if shape != (n_rows,):
        raise ValueError(f"{name} has {n_rows} rows, but the weights have the shape of {shape}.")


def _weights_there(weights: Any, lengths: list[int], name: str, client: Any) -> list[Any]:
    """The weights of every partition; those of a dask array are computed by the workers.

    Raises
    ------
    ValueError
        If there are more or fewer than rows.
    """
    if isinstance(weights, np.ndarray):
        _check_number_of_weights(weights.shape, name, sum(lengths))
        return np.split(weights, np.cumsum(lengths)[:-1])
    if any(n != n for n in weights.chunks[0]):
        with scheduler_errors():
            weights = client.persist(weights)
        wait_for(client, client.futures_of(weights), "Chunk of weights")
        weights = weights.compute_chunk_sizes()
    _check_number_of_weights(weights.shape, name, sum(lengths))
    parts: list[Any] = client.compute(weights.rechunk((tuple(lengths),)).to_delayed().tolist())
    return parts


COLLECTION = Kind(is_collection, _reader, weighs=True)
