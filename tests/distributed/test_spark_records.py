"""What tasks of Spark do with packed rows, without Spark."""

import itertools
import pickle

import numpy as np
import pytest

from fastgmm.distributed.held import Failed, HeldReader, Partitions
from fastgmm.distributed.spark import executors
from fastgmm.sources.base import RowGrid, RowSource
from tests.distributed.data import blobs

pa = pytest.importorskip("pyarrow")

LAYOUT = executors.Layout(False, True, np.dtype(float))
ENDS = [0, 700, 700, 1_000]
"""Of partitions, of which one has no rows."""


def _records(X, bytes_each, monkeypatch):
    """Packed rows of all partitions, from batches of 100 rows."""
    monkeypatch.setattr(executors, "_PACKED_BYTES", bytes_each)
    table = pa.table({"a": X[:, 0], "b": X[:, 1], "w": np.arange(1.0, len(X) + 1)})
    records = []
    for number, (start, end) in enumerate(itertools.pairwise(ENDS)):
        batches = table.slice(start, end - start).to_batches(max_chunksize=100)
        records += [(number, block) for block in executors._blocks(number, batches, LAYOUT)]
    return records


def _sums(records, starts=ENDS):
    partitions = Partitions(
        "token", "Rows", np.array(starts), np.dtype(float), ["a", "b"], None, True
    )
    source = RowSource(_Reader(partitions), checked=True)
    grid = RowGrid(starts[-1], 320)
    (result,) = executors.sum_partitions(
        iter(records), partitions, grid, pickle.dumps(source.to_send()), pickle.dumps(_total)
    )
    return result


class _Reader(HeldReader):
    def weights(self):
        yield np.ones(self.n_rows)


def _total(chunk):
    return np.append(chunk.weights @ chunk.rows, len(chunk.rows))


@pytest.mark.parametrize("bytes_each", [1, 5_000, 1 << 22])
@pytest.mark.parametrize("turned", [False, True])
def test_records_of_any_size_and_partitions_in_any_order_give_the_same_bits(
    bytes_each, turned, monkeypatch
):
    X = blobs(n=1_020, d=2)[:1_000]
    records = _records(X, bytes_each, monkeypatch)
    n_records = {1: 11, 5_000: 5, 1 << 22: 3}[bytes_each]
    assert len(records) == n_records
    if turned:
        records = [record for number in (2, 1, 0) for record in records if record[0] == number]
    found = _sums(records)
    assert not isinstance(found, Failed), found.error
    ((_, total),) = found
    expected = _records(X, 1 << 22, monkeypatch)
    assert np.array_equal(total, _sums(expected)[0][1])
    weights = np.arange(1.0, len(X) + 1)
    np.testing.assert_allclose(total, np.append(weights @ X, len(X)), rtol=1e-12)


def test_a_partition_that_has_other_rows_is_told(monkeypatch):
    records = _records(blobs(n=1_020, d=2)[:1_000], 1 << 22, monkeypatch)
    failed = _sums(records, [0, 700, 710, 1_010])
    assert isinstance(failed, Failed)
    assert "Partition 1 has 0 rows, but had 10 before" in str(failed.error)


def test_the_first_partition_at_fault_is_told(monkeypatch):
    records = _records(blobs(n=1_020, d=2)[:1_000], 1 << 22, monkeypatch)
    faults = [(2, Failed(2, ValueError("second"))), (0, Failed(0, ValueError("first")))]
    failed = _sums([faults[0], records[1], faults[1]])
    assert str(failed.error) == "first"
