"""The grid covers all rows once, and depends on sizes only."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastgmm.engines import threads
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowGrid

sizes = st.tuples(
    st.integers(1, 10**9) | st.integers(1, 10**5),
    st.integers(1, 5000) | st.integers(1, 20),
    st.integers(1, 5000) | st.integers(1, 20),
)


@given(sizes, st.data())
def test_chunks_cover_all_rows_once(sizes, data):
    grid = RowGrid.of(*sizes)
    n_rows, last = sizes[0], len(grid) - 1
    assert grid.bounds(0)[0] == 0
    assert grid.bounds(last)[1] == n_rows
    index = data.draw(st.integers(0, last))
    start, stop = grid.bounds(index)
    assert 0 <= start < stop <= n_rows
    if index < last:
        assert stop == grid.bounds(index + 1)[0]
        assert stop - start == grid.rows_per_chunk


@given(sizes)
def test_chunks_fit_in_memory_and_are_worth_a_thread(sizes):
    _, n_features, n_components = sizes
    grid = RowGrid.of(*sizes)
    assert grid.rows_per_chunk * n_features * 8 <= (1 << 24) + 256 * 8 * n_features
    if len(grid) > 1:
        # A handful of microseconds to hand out a chunk should be little beside its work.
        assert grid.rows_per_chunk * n_features * n_components * (n_features + 16) > 1 << 16


@given(sizes)
def test_a_stretch_is_no_more_than_a_large_chunk(sizes):
    _, n_features, n_components = sizes
    grid = RowGrid.of(*sizes)
    length = grid.longest_stretch
    assert length & (length - 1) == 0
    if length > 1:
        rows = length * grid.rows_per_chunk
        assert rows * max(n_features, n_components) * 8 <= 1 << 24
        assert rows * n_features * n_components * (n_features + 16) <= 1 << 29


def test_large_problems_have_chunks_for_many_threads():
    assert len(RowGrid.of(10**6, 16, 16)) >= 32
    assert len(RowGrid.of(100, 4, 3)) == 1


@pytest.mark.parametrize("n_threads", [2, 4])
@pytest.mark.parametrize("n_rows", [4100, 5000, 7000, 9500, 13000])
def test_much_work_on_few_rows_is_shared_evenly(n_rows, n_threads):
    grid = RowGrid.of(n_rows, 100, 10)
    rows = [stop - start for start, stop in map(grid.bounds, range(len(grid)))]
    each = [sum(rows[i::n_threads]) for i in range(n_threads)]
    assert max(each) <= 1.1 * n_rows / n_threads


def test_the_grid_depends_on_sizes_only(monkeypatch):
    def grids():
        return [RowGrid.of(n, 7, 5) for n in (10, 10_000, 1_000_000)]

    before = grids()
    for cores in (1, 64):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        monkeypatch.setattr(threads, "usable_cores", lambda cores=cores: cores)
        monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
        assert grids() == before


@pytest.mark.parametrize("weighted", [False, True])
def test_the_chunks_of_an_array_are_its_rows(weighted):
    X = np.random.RandomState(0).standard_normal((30_000, 8))
    weights = np.random.RandomState(1).uniform(1, 2, len(X)) if weighted else None
    source, grid = array_source(X, weights), RowGrid.of(len(X), 8, 8)
    assert len(grid) > 2
    chunks = [source.read(*grid.bounds(index)) for index in range(len(grid))]
    np.testing.assert_array_equal(np.concatenate([chunk.rows for chunk in chunks]), X)
    if weighted:
        read = np.concatenate([chunk.weights for chunk in chunks])
        # All weights may be scaled by one power of two.
        scale = read[0] / weights[0]
        assert np.log2(scale).is_integer()
        np.testing.assert_array_equal(read, scale * weights)
        assert source.total_weight == pytest.approx(read.sum())
    else:
        assert all(len(chunk.weights) == 0 for chunk in chunks)
        assert source.total_weight == len(X)
