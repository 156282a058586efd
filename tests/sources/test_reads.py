"""Every kind of source gives the rows and weights of the array in memory, whoever reads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastgmm.sources.array import array_source
from fastgmm.sources.base import scan
from tests.sources.kinds import SOURCES

N_ROWS, N_FEATURES = 5000, 3


def make_rows(dtype=np.float64, n_rows=N_ROWS):
    random = np.random.RandomState(0)
    X = random.standard_normal((n_rows, N_FEATURES)).astype(dtype)
    # Halves: exact in float32, in which some kinds of source store them.
    weights = random.randint(0, 7, n_rows) / 2
    return X, weights


@pytest.fixture(params=SOURCES)
def make_source(request, tmp_path):
    def make(X, weights, **options):
        return SOURCES[request.param](tmp_path, X, weights, **options)

    return make


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_reads_what_the_array_holds(make_source, dtype, weighted):
    X, weights = make_rows(dtype)
    weights = weights if weighted else None
    source, expected = make_source(X, weights), array_source(X, weights)
    assert (source.n_rows, source.n_features) == X.shape
    assert source.dtype == dtype
    assert source.total_weight == expected.total_weight
    random = np.random.RandomState(1)
    bounds = np.sort(random.randint(0, N_ROWS + 1, (30, 2)), axis=1).tolist()
    for start, stop in [(0, N_ROWS), (7, 7), (N_ROWS - 1, N_ROWS), *bounds]:
        read, wanted = source.read(start, stop), expected.read(start, stop)
        assert read[:2] == wanted[:2]
        assert read.rows.dtype == dtype
        assert read.rows.dtype.isnative
        assert read.rows.flags.aligned
        np.testing.assert_array_equal(read.rows, wanted.rows, strict=True)
        np.testing.assert_array_equal(read.weights, wanted.weights, strict=True)


def test_threads_read_the_same(make_source):
    X, weights = make_rows(n_rows=20_000)
    source, expected = make_source(X, weights), array_source(X, weights)
    random = np.random.RandomState(2)
    bounds = np.sort(random.randint(0, len(X) + 1, (200, 2)), axis=1).tolist()

    def is_right(bound):
        read, wanted = source.read(*bound), expected.read(*bound)
        return np.array_equal(read.rows, wanted.rows) and np.array_equal(
            read.weights, wanted.weights
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(is_right, bounds))


@pytest.mark.parametrize("wanted", [np.float32, np.float64])
def test_dtype_is_a_choice(make_source, wanted):
    X, _ = make_rows(np.float64)
    source = make_source(X, None, dtype=wanted)
    assert source.dtype == wanted
    np.testing.assert_array_equal(source.read(3, 9).rows, X[3:9].astype(wanted), strict=True)
    assert source.astype(wanted) is source
    again = source.astype(np.float32)
    np.testing.assert_array_equal(again.read(3, 9).rows, X[3:9].astype(np.float32), strict=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_values_are_found_and_the_first_is_named(make_source, bad):
    X, _ = make_rows()
    X[4000, 0] = X[2345, 1] = X[2345, 2] = X[2346, 0] = bad
    what = "missing value" if np.isnan(bad) else "infinity"
    # Where rows are spread over parts, 1666 rows stand in the first.
    place = r"column ('x1'|1|2) has .*" + what + ".* in row (2345|679),"

    def read():
        source = make_source(X, None)  # where all rows are looked at once, this fails
        source.read(0, 2000)
        source.read(3900, 4100)

    with pytest.raises(ValueError, match=place):
        read()


def test_absent_rows_are_left_out(make_source):
    X, weights = make_rows()
    weights[2000:2600] = 0
    present = weights > 0
    source = make_source(X, weights)
    assert source.n_absent == np.count_nonzero(~present)
    np.testing.assert_array_equal(source.present_mask(), present)
    source, expected = source.present(), array_source(X[present], weights[present])
    assert source.total_weight == expected.total_weight
    random = np.random.RandomState(1)
    bounds = np.sort(random.randint(0, expected.n_rows + 1, (30, 2)), axis=1).tolist()
    for start, stop in [(0, expected.n_rows), (9, 9), *bounds]:
        read, wanted = source.read(start, stop), expected.read(start, stop)
        np.testing.assert_array_equal(read.rows, wanted.rows, strict=True)
        np.testing.assert_array_equal(read.weights, wanted.weights, strict=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_of_absent_rows_do_not_matter(make_source, bad):
    X, weights = make_rows()
    weights[[0, 700, 4999]] = 0
    X[[0, 700, 4999], 1] = bad
    present = weights > 0
    source = make_source(X, weights)
    # Readers go on giving such rows; who reads them leaves them out by their weight.
    chunk = source.read(0, N_ROWS)
    np.testing.assert_array_equal(chunk.rows[chunk.weights > 0], X[present])
    chunk = source.present().read(0, np.count_nonzero(present))
    np.testing.assert_array_equal(chunk.rows, X[present], strict=True)


def test_weights_are_scaled_where_that_is_asked_for(make_source):
    X, weights = make_rows()
    source = make_source(X, weights * 2.0**90)
    scaled = source.scaled()
    assert source.weighted
    assert source.weight_scale == 1
    assert scaled.weight_scale == 2.0**90
    assert scaled.total_weight * scaled.weight_scale == source.total_weight
    read = source.read(3, 900), scaled.read(3, 900)
    np.testing.assert_array_equal(read[0].weights, weights[3:900] * 2.0**90)
    np.testing.assert_array_equal(read[1].weights * scaled.weight_scale, read[0].weights)
    assert scaled.scaled().weight_scale == scaled.weight_scale
    unweighted = make_rows()[0][:5]
    assert array_source(unweighted).scaled().total_weight == 5


def test_weights_are_looked_at_once(make_source, monkeypatch):
    X, weights = make_rows()
    weights[:9] = 0
    source = make_source(X, weights)
    monkeypatch.setattr(type(source.reader), "weights", None)
    for other in (source.scaled(), source.present(), source.present().astype(np.float32)):
        assert other.scaled().total_weight * other.scaled().weight_scale == source.total_weight


def test_reads_are_counted(make_source):
    X, weights = make_rows()
    source = make_source(X, weights)
    counted = []
    source.on_read = counted.append
    source.present().scaled().read(0, 100)
    source.astype(np.float32).read(5, 8)
    assert counted == [100, 3]


def test_scan_goes_through_all_rows(make_source):
    X, _ = make_rows()
    np.testing.assert_array_equal(
        np.concatenate([chunk.rows for chunk in scan(make_source(X, None))]), X
    )


def test_a_file_of_many_blocks(make_source, monkeypatch):
    monkeypatch.setattr("fastgmm.sources.blocks._LARGEST_BLOCK_BYTES", 3 * 8 * 100)
    monkeypatch.setattr("fastgmm.sources.cache.BlockCache.reserve", lambda cache, n_bytes: False)
    X, weights = make_rows()
    source = make_source(X, weights)
    # Backwards, forwards and across many blocks.
    for start, stop in [(4000, 4100), (0, 4999), (1000, 1001), (900, 1100), (3000, 3100)]:
        np.testing.assert_array_equal(source.read(start, stop).rows, X[start:stop])
