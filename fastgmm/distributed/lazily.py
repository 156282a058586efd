"""Functions of rows, mapped over a collection when that is computed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgmm.sources.optional import import_optional


def mapped(
    collection: Any, function: Callable[[Any], np.ndarray], width: int | None, dtype: np.dtype
) -> Any:
    """A lazy dask array of what a function gives for the rows of every partition.

    Parameters
    ----------
    collection : dask array or dataframe
    function : callable
        Of an array or frame; it pickles.
    width : int or None
        Columns that it gives; None for one number per row.
    dtype : dtype

    Returns
    -------
    dask.array.Array of shape (n,) or (n, width)
        With the chunks of rows that the collection has.
    """
    arrays = import_optional("dask.array", "Predictions of collections", "dask")
    meta = np.empty((0,) if width is None else (0, width), dtype)
    if not hasattr(collection, "chunks"):
        parts = collection.to_delayed()
        blocks = [
            arrays.from_delayed(_call(part, function), (np.nan, *meta.shape[1:]), meta=meta)
            for part in parts
        ]
        return arrays.concatenate(blocks, allow_unknown_chunksizes=True)
    if collection.numblocks[1] > 1:
        collection = collection.rechunk({1: -1})
    shape = {"drop_axis": 1} if width is None else {"chunks": (collection.chunks[0], (width,))}
    return collection.map_blocks(function, dtype=dtype, meta=meta, **shape)


def _call(part: Any, function: Callable[[Any], np.ndarray]) -> Any:
    delayed = import_optional("dask", "Predictions of collections", "dask").delayed
    return delayed(function, pure=False)(part)
