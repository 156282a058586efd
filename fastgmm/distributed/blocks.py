"""Blocks of rows, made of the partitions of a collection by the workers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgmm.distributed.client import PartitionError
from fastgmm.sources.cache import Block
from fastgmm.sources.weights import NO_WEIGHTS


def block_of_array(
    rows: Any,
    number: int,
    shape: tuple[int | None, int],
    columns: list[int] | None,
    weight: int | None,
) -> Block:
    """Block of a partition of a dask array.

    Parameters
    ----------
    rows : array of shape (n, d)
    number : int
        Of the partition.
    shape : tuple of int
        That the collection promises; it may not know how many rows there are.
    columns : list of int or None
        Features; None for all.
    weight : int or None
        Column of weights.

    Raises
    ------
    PartitionError
        If it is no such array.
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.dtype.kind not in "fiub":
        raise PartitionError(
            f"Partition {number} holds an array of {rows.dtype} with {rows.ndim} dimensions, but "
            "rows and columns of numbers are needed."
        )
    for found, promised, what in zip(rows.shape, shape, ("rows", "columns"), strict=True):
        if promised is not None and found != promised:
            raise PartitionError(
                f"Partition {number} has {found} {what}, not {promised} as its collection says."
            )
    weights = None if weight is None else rows[:, weight]
    if columns is not None:
        rows = rows.take(columns, axis=1)
    return _block(rows, weights, number)


def block_of_frame(
    frame: Any,
    number: int,
    columns: Sequence[Any],
    weight: Any,
    dtype: np.dtype,
) -> Block:
    """Block of a partition of a dask dataframe.

    Parameters
    ----------
    frame : DataFrame
    number : int
        Of the partition.
    columns : sequence
        Features.
    weight : label or None
        Column of weights.
    dtype : dtype
        Of the rows.

    Raises
    ------
    PartitionError
        If the frame lacks a column, or a column holds no numbers.
    """
    needed = [*columns, *([] if weight is None else [weight])]
    if lacking := [name for name in needed if name not in frame.columns]:
        raise PartitionError(
            f"Partition {number} lacks {_columns(lacking)}; it has "
            f"{[str(name) for name in frame.columns]}."
        )
    try:
        rows = frame[list(columns)].to_numpy(dtype=dtype, na_value=np.nan)
        weights = None
        if weight is not None:
            weights = frame[weight].to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise PartitionError(
            f"Partition {number} holds other things than numbers: {error}"
        ) from None
    return _block(np.ascontiguousarray(rows), weights, number)


def with_weights(block: Block, weights: Any, number: int) -> Block:
    """The block of a partition, with weights from elsewhere."""
    return _block(block.rows, weights, number)


def length_of(block: Block) -> int:
    """Rows of a block."""
    return len(block.rows)


def _block(rows: np.ndarray, weights: Any, number: int) -> Block:
    # What comes in a message may lie at any address; it would be copied anew in every iteration.
    rows = np.require(rows, requirements="A")
    if weights is None:
        return Block(rows, NO_WEIGHTS)
    weights = np.asarray(weights)
    if weights.shape != (len(rows),) or weights.dtype.kind not in "fiub":
        raise PartitionError(
            f"Partition {number} has {len(rows)} rows, but its weights are an array of "
            f"{weights.dtype} with the shape of {weights.shape}."
        )
    return Block(rows, np.require(weights, np.float64, "A"))


def _columns(names: Sequence[Any]) -> str:
    return f"column{'s' * (len(names) > 1)} {', '.join(repr(str(name)) for name in names)}"
