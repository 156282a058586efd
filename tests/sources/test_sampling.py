import numpy as np
import pytest

from fastgmm.sources.opening import open_source
from fastgmm.sources.sampling import rows_at, sample_rows

X = np.arange(20_000.0).reshape(10_000, 2)


@pytest.mark.parametrize("n_rows", [1, 100, 5000, 5001, 9999])
def test_distinct_rows_in_order(n_rows):
    rows, weights, _ = sample_rows(open_source(X), n_rows, np.random.RandomState(0))
    assert rows.shape == (n_rows, 2)
    assert (np.diff(rows[:, 0]) > 0).all()
    assert set(rows[:, 0]) <= set(X[:, 0])
    np.testing.assert_array_equal(rows[:, 1], rows[:, 0] + 1)
    assert weights is None


@pytest.mark.parametrize("numbers", [[], [7], [9, 8, 3, 4, 4, 9_999, 0], np.arange(9_999, -1, -1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_by_their_numbers(numbers, dtype):
    numbers = np.array(numbers, dtype=np.int64)
    source, reads = open_source(X).astype(dtype), []
    source.on_read = reads.append
    np.testing.assert_array_equal(rows_at(source, numbers), X[numbers])
    runs = np.count_nonzero(np.diff(np.unique(numbers)) > 1) + 1
    # Of rows at hand, which need no conversion, one look at all takes less.
    runs = 1 if source.is_at_hand else runs if len(numbers) else 0
    assert len(reads) == runs


@pytest.mark.parametrize("n_rows", [10_000, 10**9])
def test_all_rows_without_a_draw(n_rows):
    random_state = np.random.RandomState(0)
    rows, weights, _ = sample_rows(open_source(X), n_rows, random_state)
    np.testing.assert_array_equal(rows, X)
    assert weights is None
    assert random_state.randint(10**6) == np.random.RandomState(0).randint(10**6)


def test_weights_come_along():
    w = np.arange(1.0, 10_001.0)
    source = open_source(X, weight=w)
    rows, weights, _ = sample_rows(source, 50, np.random.RandomState(0))
    np.testing.assert_array_equal(weights * source.weight_scale, w[rows[:, 0].astype(int) // 2])


def test_every_row_is_as_likely():
    counts = np.zeros(8)
    for seed in range(2000):
        rows, *_ = sample_rows(open_source(X[:8]), 3, np.random.RandomState(seed))
        counts[rows[:, 0].astype(int) // 2] += 1
    # 750 each on average, with a standard deviation of 22.
    assert (abs(counts - 750) < 110).all()
