"""The tree adds the same pairs whatever the order of arrival, hence the same bits."""

import itertools
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastgmm.engines.base import MergeTree, merged_leaves, stretches_of


class Term(str):
    """A record that remembers how it was added up: equal terms are equal in every bit."""

    def __add__(self, other):
        return Term(f"({self}+{other})")


def merge(records, arrival):
    tree = MergeTree(len(records))
    for leaf in arrival:
        tree.add(leaf, records[leaf])
    return tree.total


def terms(n):
    return [Term(f"{leaf}.") for leaf in range(n)]


@given(st.integers(1, 70).flatmap(lambda n: st.permutations(range(n))))
def test_any_order_of_arrival_makes_the_same_additions(arrival):
    records = terms(len(arrival))
    assert merge(records, arrival) == merge(records, sorted(arrival))


@pytest.mark.parametrize("n", range(1, 7))
def test_every_order_of_few(n):
    assert len({merge(terms(n), arrival) for arrival in itertools.permutations(range(n))}) == 1


def test_the_tree_by_hand():
    """Neighbours in pairs; what has no neighbour waits a level up."""
    assert merge(terms(1), [0]) == "0."
    assert merge(terms(5), range(5)) == "(((0.+1.)+(2.+3.))+4.)"
    assert merge(terms(6), range(6)) == "(((0.+1.)+(2.+3.))+(4.+5.))"


@given(st.integers(1, 200))
def test_every_leaf_enters_once_and_in_order(n):
    total = merge(terms(n), range(n))
    leaves = total.replace("(", "").replace(")", "").replace("+", "")
    assert leaves == "".join(terms(n))


@given(st.integers(1, 200))
def test_the_tree_is_shallow(n):
    """So that rounding grows with log(n)."""
    depth = deepest = 0
    for letter in merge(terms(n), range(n)):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        deepest = max(deepest, depth)
    assert deepest == int(np.ceil(np.log2(n)))


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_sums_of_floats_have_the_same_bits(values, random):
    arrival = list(range(len(values)))
    random.shuffle(arrival)
    records = [np.array([value]) for value in values]
    np.testing.assert_array_equal(merge(records, arrival), merge(records, range(len(values))))


def test_few_records_wait():
    """In order of arrival, no more than the tree is deep: a pass may have thousands of chunks."""

    alive = weakref.WeakSet()

    class Counted:
        def __init__(self):
            alive.add(self)

        def __add__(self, other):
            return Counted()

    n = 1000
    tree = MergeTree(n)
    for leaf in range(n):
        tree.add(leaf, Counted())
        assert len(alive) <= np.log2(n) + 1


def test_threads_may_add_at_once():
    n, n_threads = 600, 4
    for _ in range(5):
        tree, together = MergeTree(n), threading.Barrier(n_threads)

        def work(number, tree=tree, together=together):
            together.wait()
            for leaf in range(number, n, n_threads):
                tree.add(leaf, terms(n)[leaf])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert tree.total == merge(terms(n), range(n))


@given(st.integers(1, 200), st.integers(0, 7), st.integers(1, 9))
def test_stretches_make_the_same_additions(n, exponent, n_threads):
    """Whatever their length, and in whatever order they arrive."""
    records, longest = np.array(terms(n), dtype=object)[:, np.newaxis], 1 << exponent
    stretches = stretches_of(n, longest, n_threads)
    assert [leaf for leaves in stretches for leaf in leaves] == list(range(n))
    assert max(map(len, stretches)) <= longest
    tree = MergeTree(n)
    for leaves in reversed(stretches):
        (record,) = merged_leaves(records[leaves.start : leaves.stop])
        tree.add_stretch(leaves, record)
    assert tree.total == merge(terms(n), range(n))


@pytest.mark.parametrize("n_threads", [2, 4, 16])
def test_no_stretch_is_more_than_half_the_share_of_a_thread(n_threads):
    n = 64
    assert len(stretches_of(n, 32, 1)) == 2
    for leaves in stretches_of(n, 32, n_threads):
        assert len(leaves) <= (n - leaves.start) // (2 * n_threads) + 1
