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
from fastgmm.sources.kinds import Kind, Request, package_of
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
    weighted : bool
    weights : ndarray of shape (n,) or None
        In this process, to be added.
    """

    name: str
    blocks: list[Any]
    lengths: list[int] | None
    dtype: np.dtype
    columns: Any
    feature_names: list[str] | None
    weighted: bool
    weights: np.ndarray | None = None


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
            for future in completed(client, list(numbers))
        }
        return [found[future] for future in numbers]


def _rows_of(block: Block, start: int, stop: int) -> Block:
    return Block(block.rows[start:stop], block.weights[start:stop])


def _weights_of(block: Block) -> np.ndarray:
    return block.weights


def is_collection(thing: object) -> bool:
    """Whether something is a dask array or a dask dataframe."""
    return package_of(thing) in ("dask", "dask_expr") and hasattr(thing, "to_delayed")


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
        _check_number_of_weights(asked.weights, asked.name, sum(lengths))
        pieces = np.split(asked.weights, np.cumsum(lengths)[:-1])
        blocks = [
            client.submit(with_weights, block, piece, pure=False)
            for block, piece in zip(blocks, pieces, strict=True)
        ]
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    partitions = Partitions(
        uuid.uuid4().hex,
        asked.name,
        starts,
        asked.dtype,
        asked.columns,
        asked.feature_names,
        asked.weighted or asked.weights is not None,
    )
    place.partitions, place.blocks = partitions, list(blocks)
    return PartitionsReader(partitions, place)


def _reader_in_memory(asked: _Asked) -> RowReader:
    """Rows that Dask's own scheduler computes, in this process."""
    dask = import_optional("dask", "Computing a collection", "dask")
    try:
        blocks = dask.compute(*asked.blocks)
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
        parts.append(WithWeights(part, block.weights) if asked.weighted else part)
    if not parts:
        raise ValueError(f"{asked.name} has no rows.")
    reader: RowReader = PartsReader(parts)
    if asked.weights is not None:
        _check_number_of_weights(asked.weights, asked.name, reader.n_rows)
        reader = WithWeights(reader, asked.weights)
    reader.name = asked.name
    return reader


def _check_number_of_weights(weights: np.ndarray, name: str, n_rows: int) -> None:
    if weights.shape != (n_rows,):
        raise ValueError(
            f"{name} has {n_rows} rows, but the weights have the shape of {weights.shape}."
        )
    check_number_type(weights.dtype, "The array of weights")


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
    column, beside = _weight(request.weight)
    if column is not None:
        (column,) = array_columns([column], d, name)
    features = list(array_features(request.columns, column, request.exclude, d, name))
    columns = None if features == list(range(d)) else features
    parts = array.to_delayed().ravel().tolist()
    weights, beside = _weights_by_partition(beside, lengths, len(parts), name)
    make = import_optional("dask", "Reading dask arrays", "dask").delayed(
        block_of_array, pure=False
    )
    promised: Sequence[int | None] = [None] * len(parts) if lengths is None else lengths
    blocks = [
        make(part, weights_of_part, number, (n, d), columns, column)
        for number, (part, weights_of_part, n) in enumerate(
            zip(parts, weights, promised, strict=True)
        )
    ]
    weighted = column is not None or weights[0] is not None
    return _Asked(name, blocks, lengths, dtype, features, None, weighted, beside)


# -- frames ----------------------------------------------------------------------------------------
def _asked_of_frame(frame: Any, request: Request) -> _Asked:
    name = "The dask dataframe"
    if not hasattr(frame, "columns") or getattr(frame, "ndim", 2) != 2:
        raise TypeError(
            f"Rows are read from dask arrays and dataframes, not a {type(frame).__name__}."
        )
    there = list(frame.columns)
    column, beside = _weight(request.weight)
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
    parts = frame.to_delayed()
    weights, beside = _weights_by_partition(beside, None, len(parts), name)
    make = import_optional("dask", "Reading dask frames", "dask").delayed(
        block_of_frame, pure=False
    )
    blocks = [
        make(*pair, i, list(columns), column, dtype)
        for i, pair in enumerate(zip(parts, weights, strict=True))
    ]
    names = list(columns) if all(isinstance(label, str) for label in columns) else None
    weighted = column is not None or weights[0] is not None
    return _Asked(name, blocks, None, dtype, list(columns), names, weighted, beside)


def _number_type(dtype: Any, name: str) -> np.dtype:
    """Type that a column is read as.

    Raises
    ------
    ValueError
        If it holds no numbers.
    """
    plain = getattr(dtype, "numpy_dtype", dtype)  # of the types of pandas that know missing values
    if not isinstance(plain, np.dtype):
        raise ValueError(f"{name} holds {dtype}, but numbers are needed.")
    return check_number_type(plain, name)


# -- weights ---------------------------------------------------------------------------------------
def _weight(weight: Any) -> tuple[Any, Any]:
    """A column of weights, or weights beside the rows."""
    if weight is None or isinstance(weight, (str, bytes)) or np.ndim(weight) == 0:
        return weight, None
    return None, weight


def _weights_by_partition(
    weights: Any, lengths: list[int] | None, n_partitions: int, name: str
) -> tuple[list[Any], np.ndarray | None]:
    """Weights beside the rows: of every partition, or, if they are in this process, all of them."""
    nothing = [None] * n_partitions
    if weights is None:
        return nothing, None
    if not is_collection(weights):
        return nothing, np.asarray(weights)
    if hasattr(weights, "to_dask_array"):
        weights = weights.to_dask_array()
    if weights.ndim != 1:
        raise ValueError(
            f"The weights have {weights.ndim} dimensions, but a number per row is needed."
        )
    chunks = weights.chunks[0]
    known = lengths is not None and all(n == n for n in chunks)
    if known and list(chunks) != lengths:
        assert lengths is not None
        if sum(chunks) != sum(lengths):
            raise ValueError(
                f"{name} has {sum(lengths)} rows, but the weights have the shape of "
                f"{weights.shape}."
            )
        weights = weights.rechunk((tuple(lengths),))
    parts = weights.to_delayed().ravel().tolist()
    if len(parts) != n_partitions:
        raise ValueError(
            f"{name} has {n_partitions} partitions of rows, but {len(parts)} of weights. They need "
            "the same."
        )
    return parts, None


COLLECTION = Kind(is_collection, _reader, weighs=True)
