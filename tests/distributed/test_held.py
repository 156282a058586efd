"""Rows that a worker holds, without a cluster."""

import numpy as np
import pytest

from fastgmm.distributed.blocks import block_of_array
from fastgmm.distributed.held import HELD, HeldReader, Partitions
from fastgmm.sources.cache import Block
from fastgmm.sources.weights import NO_WEIGHTS

ROWS = np.arange(30.0).reshape(10, 3)
PARTITIONS = Partitions(
    "token", "rows", np.array([0, 4, 4, 10]), ROWS.dtype, list("abc"), None, False
)


@pytest.mark.parametrize("bounds", [(2, 7), (2, 4), (3, 5), (5, 7)])
def test_what_is_joined_of_partitions_is_read_without_a_copy(bounds):
    block = Block(ROWS[2:7], NO_WEIGHTS)
    with HELD.lending("token", {(0, 2): block, (2, -2): block}):
        rows, _ = HeldReader(PARTITIONS).read(*bounds)
    assert np.shares_memory(rows, ROWS)
    assert np.array_equal(rows, ROWS[slice(*bounds)])


def test_rows_that_nobody_holds():
    block = Block(ROWS[2:7], NO_WEIGHTS)
    with HELD.lending("token", {(0, 2): block}), pytest.raises(LookupError, match="partition 2"):
        HeldReader(PARTITIONS).read(5, 7)


def test_rows_at_any_address_are_aligned_once():
    buffer = np.zeros(ROWS.nbytes + 4, np.uint8)
    unaligned = buffer[4:].view(float).reshape(ROWS.shape)
    unaligned[:] = ROWS
    assert not unaligned.flags.aligned
    block = block_of_array(unaligned, 0, ROWS.shape, None, 0)
    assert block.rows.flags.aligned
    assert block.weights.flags.aligned
    assert np.array_equal(block.rows, ROWS)
