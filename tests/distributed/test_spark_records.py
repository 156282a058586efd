"""What tasks of Spark do with packed rows, without Spark."""

import itertools
import os
import pickle
from functools import partial

import numpy as np
import pytest

from fastgmm.distributed.held import Failed, HeldReader, Partitions
from fastgmm.distributed.spark import executors, packing
from fastgmm.sources.base import RowGrid, RowSource
from tests.distributed.data import blobs

pa = pytest.importorskip("pyarrow")

LAYOUT = packing.Layout(False, True, np.dtype(float))
ENDS = [0, 700, 700, 1_000]
"""Of partitions, of which one has no rows."""


@pytest.fixture
def packed(tmp_path):
    """Packs rows into files, from batches of 100 rows."""

    def pack(X, ends=ENDS, layout=LAYOUT):
        table = pa.table({"a": X[:, 0], "b": X[:, 1], "w": np.arange(1.0, len(X) + 1)})
        found = []
        for number, (start, end) in enumerate(itertools.pairwise(ends)):
            batches = table.slice(start, end - start).to_batches(max_chunksize=100)
            found.append(packing.packed(batches, layout, number, str(tmp_path / f"{number}")))
        return found

    return pack


def _sums(packed, starts=ENDS, without=()):
    partitions = Partitions(
        "token", "Rows", np.array(starts), np.dtype(float), ["a", "b"], None, True
    )
    source = RowSource(_Reader(partitions), checked=True)
    work = partial(
        executors.sum_partitions,
        partitions=partitions,
        grid=RowGrid(starts[-1], 320),
        stored=pickle.dumps(source.to_send()),
        functions=pickle.dumps(_total),
    )
    return list(executors.on_rows(iter(packed), work, without))


class _Reader(HeldReader):
    def weights(self):
        yield np.ones(self.n_rows)


def _total(chunk):
    return np.append(chunk.weights @ chunk.rows, len(chunk.rows))


def _rows():
    return blobs(n=1_020, d=2)[:1_000]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_partitions_in_any_order_give_the_same_bits(packed, order):
    X = _rows()
    found = packed(X)
    (((_, total),),) = _sums([found[number] for number in order])
    assert np.array_equal(total, _sums(found)[0][0][1])
    weights = np.arange(1.0, len(X) + 1)
    np.testing.assert_allclose(total, np.append(weights @ X, len(X)), rtol=1e-12)


def test_weights_are_aligned_behind_rows_of_single_precision(packed):
    X = _rows().astype(np.float32)
    (part,) = packed(X[:, [0, 0]], [0, 333], LAYOUT._replace(dtype=X.dtype, of_arrays=False))
    rows, weights = part.block()
    assert rows.flags.aligned
    assert weights.flags.aligned
    assert np.array_equal(rows, X[:333, [0, 0]])
    assert np.array_equal(weights, np.arange(1.0, 334))
    rows[0] = 0  # in memory only
    assert np.array_equal(part.block().rows, X[:333, [0, 0]])


def test_a_partition_that_has_other_rows_is_told(packed):
    (failed,) = _sums(packed(_rows()), [0, 700, 710, 1_010])
    assert isinstance(failed, Failed)
    assert "Partition 1 has 0 rows, but had 10 before" in str(failed.error)


def test_rows_that_are_not_on_this_machine_are_missing(packed):
    found = packed(_rows())
    os.remove(found[2].path)
    missing, nodes = _sums(found)
    assert missing == executors.Missing(2, True)
    assert [node for node, _ in nodes] == [(0, 0)]
    assert _sums(found[2:]) == [executors.Missing(2, False)]
    assert len(_sums(found, without={2})) == 1


def test_a_partition_has_its_number_whatever_task_packed_it(packed):
    found = [packed(_rows())[0], Failed(0, ValueError("wrong"))]
    records = [(pickle.dumps(each),) for each in found]
    part, failed = packing.unpack(5, iter(records))
    assert part == found[0]._replace(number=5)
    assert failed.leaf == 5


def test_files_of_a_fit_are_removed(monkeypatch, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    monkeypatch.setenv("SPARK_LOCAL_DIRS", ",".join(map(str, folders)))
    for folder in folders:
        (folder / "fastgmm-mine").mkdir(parents=True)
        (folder / "fastgmm-mine" / "0-1").write_bytes(b"rows")
        (folder / "fastgmm-another").mkdir()
    packing.remove(None, "mine")
    assert sorted(tmp_path.glob("*/*")) == [folder / "fastgmm-another" for folder in folders]
