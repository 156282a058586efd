"""Properties that are computed once."""

import threading

from fastgmm.caching import cached_property

TIMEOUT = 10


class Thing:
    def __init__(self, compute):
        self._compute = compute

    @cached_property
    def value(self):
        """What it is."""
        return self._compute()


def test_it_is_computed_once():
    numbers = iter(range(10))
    thing = Thing(lambda: next(numbers))
    assert [thing.value, thing.value] == [0, 0]
    assert Thing(lambda: next(numbers)).value == 1
    assert Thing.value.__doc__ == "What it is."


def test_objects_do_not_wait_for_one_another():
    """As with Python 3.11's own, whose lock, besides, a forked child may find taken for ever."""
    asked, answered = threading.Event(), threading.Event()

    def slow():
        asked.set()
        return answered.wait(TIMEOUT)

    thing = Thing(slow)
    other = threading.Thread(target=lambda: thing.value)
    other.start()
    assert asked.wait(TIMEOUT)
    quick = threading.Thread(target=lambda: Thing(answered.set).value)
    quick.start()
    quick.join(TIMEOUT / 2)
    alone = answered.is_set()
    answered.set()
    other.join(TIMEOUT)
    quick.join(TIMEOUT)
    assert alone
    assert thing.value
