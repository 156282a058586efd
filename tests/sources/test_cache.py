"""What is kept of decoded blocks, and what is fetched ahead."""

import os
import threading
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastgmm.sources.blocks import BlockReader
from fastgmm.sources.cache import Block, BlockCache
from fastgmm.sources.opening import open_source
from fastgmm.sources.read_ahead import ReadAhead
from fastgmm.sources.weights import NO_WEIGHTS
from tests.systems import needs_fork


def block_of(n_bytes):
    return Block(np.zeros((n_bytes // 8, 1)), NO_WEIGHTS)


@pytest.fixture
def cache(monkeypatch):
    """A cache for 1000 bytes that pass by, and as many for good."""
    cache = BlockCache(1 << 30)
    cache._free_for_good = cache._free_for_passing = 1000
    return cache


def test_room_for_good_is_given_once(cache):
    assert cache.reserve(600)
    assert not cache.reserve(600)
    assert cache.reserve(400)


def test_what_was_read_goes_first(cache):
    for key in "ab":
        cache.put(key, block_of(400))
    cache.mark_read("b", 50)
    cache.put("c", block_of(400))
    assert [cache.get(key) is not None for key in "abc"] == [True, False, True]
    cache.put("d", block_of(400))
    assert [cache.get(key) is not None for key in "acd"] == [False, True, True]


def test_what_is_wanted_stays(cache):
    with cache.wanting("ab"):
        for key in "abc":
            cache.put(key, block_of(800))
        assert [cache.get(key) is not None for key in "abc"] == [True, True, False]
    cache.put("d", block_of(800))
    assert [cache.get(key) is not None for key in "abd"] == [False, False, True]


def test_room_is_not_made_of_what_has_not_been_read(cache):
    cache.put("a", block_of(800))
    assert not cache.make_room(400)
    cache.mark_read("a", 99)
    assert not cache.make_room(400)
    cache.mark_read("a", 1)
    assert cache.make_room(400)
    assert cache.get("a") is None


def test_the_parts_of_a_limit():
    for limit in (64 * 10**6, 10**9, 10**11):
        cache = BlockCache(limit)
        assert 0 < cache._free_for_passing < limit
        assert 0 < cache._free_for_good < limit
        assert cache._free_for_good + cache._free_for_passing < limit


class Counting(BlockReader):
    """Groups of numbered rows, which counts how often each is decoded."""

    name, n_features, dtype = "numbers", 1, np.dtype(np.float64)

    def __init__(self, group_rows, rows_per_block, cache):
        super().__init__(group_rows, rows_per_block, cache)
        self.decoded = []
        self.failing = False

    def decode(self, group):
        self.decoded.append(group)
        rows = np.arange(self._starts[group], self._starts[group + 1], dtype=float)[:, np.newaxis]
        for start in range(0, len(rows), self._rows_per_block):
            if self.failing:
                raise ValueError("No.")
            yield Block(rows[start : start + self._rows_per_block].copy(), NO_WEIGHTS)

    def locate(self, row):
        raise NotImplementedError

    def check_unchanged(self):
        pass

    def weights(self):
        raise AssertionError


def check_pass(reader, size):
    for start in range(0, reader.n_rows, size):
        stop = min(start + size, reader.n_rows)
        np.testing.assert_array_equal(reader.read(start, stop)[0][:, 0], np.arange(start, stop))


def test_what_fits_is_decoded_once(cache):
    cache._free_for_passing = 100
    reader = Counting([50, 40, 60], 16, cache)
    for _ in range(3):
        check_pass(reader, 7)
    # The first two groups, of 90 rows, are kept for good; the other is decoded in every pass.
    assert reader.decoded == [0, 1, 2, 2, 2]


def test_a_group_is_decoded_once_a_pass_in_little_memory(cache):
    cache._free_for_good, cache._free_for_passing = 0, 300
    reader = Counting([1000], 16, cache)
    for _ in range(3):
        check_pass(reader, 20)
    assert reader.decoded == [0, 0, 0]


def test_fetching_ahead_costs_no_decoding(cache):
    cache._free_for_good, cache._free_for_passing = 0, 300
    reader = Counting([100, 100], 16, cache)
    for start in range(0, 200, 20):
        reader.prefetch(start, 200)
        rows, _ = reader.read(start, start + 20)
        np.testing.assert_array_equal(rows[:, 0], np.arange(start, start + 20))
    assert reader.decoded == [0, 1]


def test_an_error_leaves_all_in_order(cache):
    reader = Counting([40, 40], 16, cache)
    reader.read(0, 10)
    reader.failing = True
    with pytest.raises(ValueError, match="No"):
        reader.read(20, 50)
    reader.failing = False
    check_pass(reader, 9)


def test_threads_share_the_decoding(cache):
    cache._free_for_good, cache._free_for_passing = 0, 10**6
    reader = Counting([500] * 8, 16, cache)
    threads = [threading.Thread(target=check_pass, args=(reader, 33)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reader.decoded) == list(range(8))


# -- reading ahead ---------------------------------------------------------------------------------
def wait_until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError


def test_what_follows_is_fetched():
    fetched = []
    ahead = ReadAhead(lambda start, stop: fetched.append((start, stop)), 10_000, 3000)
    ahead.announce(0, 2000)
    wait_until(lambda: fetched == [(2000, 5000)])
    ahead.announce(6000, 8000)
    wait_until(lambda: fetched[1:] == [(8000, 10_000)])
    for bound in [(8000, 10_000), (5, 6)]:  # nothing follows; a look-up
        ahead.announce(*bound)
    assert len(fetched) == 2


def test_steps():
    """Where fetching is cheap, the calls are what costs."""
    fetched = []
    ahead = ReadAhead(lambda start, stop: fetched.append(start), 40_000, 20_000, 5000)
    expected = []
    for _ in range(2):
        for start in (0, 4000, 2000, 6000, 8000, 12_000, 10_000, 14_000):
            ahead.announce(start, start + 2000)
            if start in (0, 6000, 12_000):
                expected.append(start + 2000)
            wait_until(lambda: fetched == expected)


def test_requests_do_not_pile_up():
    go_on, fetched = threading.Event(), []

    def fetch(start, stop):
        fetched.append(start)
        go_on.wait()

    ahead = ReadAhead(fetch, 10**6, 2000)
    for start in range(0, 100_000, 2000):
        ahead.announce(start, start + 2000)
    wait_until(lambda: fetched)
    go_on.set()
    wait_until(lambda: fetched[-1] == 100_000)
    assert len(fetched) <= 3


def test_errors_in_the_background_do_not_end_it():
    fetched = []

    def fetch(start, stop):
        fetched.append(start)
        raise ValueError

    ahead = ReadAhead(fetch, 10**6, 2000)
    for start in (0, 2000, 4000):
        ahead.announce(start, start + 2000)
        wait_until(lambda start=start: fetched and fetched[-1] == start + 2000)


@needs_fork
def test_a_forked_child_reads_on(tmp_path):
    X = np.random.RandomState(0).standard_normal((50_000, 2))
    pq.write_table(pa.table({"a": X[:, 0], "b": X[:, 1]}), tmp_path / "rows.parquet")
    source = open_source(tmp_path / "rows.parquet")
    source.read(0, 10_000)
    process = os.fork()
    if not process:
        same = all(
            np.array_equal(source.read(start, start + 10_000).rows, X[start : start + 10_000])
            for start in range(0, 50_000, 10_000)
        )
        os._exit(0 if same else 1)
    assert os.waitpid(process, 0)[1] == 0
