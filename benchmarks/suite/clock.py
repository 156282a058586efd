"""The clock: how long calls take, one of each in turn."""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from sklearn.exceptions import ConvergenceWarning

Call = Callable[[], Any]
Key = TypeVar("Key")

WALL = time.perf_counter
CPU = time.process_time  # of all threads of this process: for one thread, beside other processes
REST = 0.15
"""Seconds in which everyone's threads come to rest: OpenBLAS's spin for 2^28 cycles, 0.1 s, after
their last work, and would take a core from whoever is timed next."""

AWAKE = 0.1
"""Seconds of untimed work after that: on virtual machines, Linux may take half as long to spread
threads over cores that have been idle (it takes them for preempted)."""


def seconds_of(call: Call, clock: Callable[[], float] = WALL) -> float:
    """Seconds of one call."""
    started = clock()
    call()
    return clock() - started


cpu_seconds_of = partial(seconds_of, clock=CPU)


def rested(call: Call, warm_up: Call | None = None) -> float:
    """Seconds of one call on cores that nobody else uses.

    For calls of less than some seconds, `warm_up` is called until all cores are awake.
    """
    time.sleep(REST)
    awake = WALL() + AWAKE
    while warm_up is not None and WALL() < awake:
        warm_up()
    return seconds_of(call)


def sustained(call: Call, least: int = 5) -> float:
    """The median over calls for a while, on cores that nobody else uses: for short ones."""
    rested(call, warm_up=call)
    taken: list[float] = []
    end = WALL() + REST + AWAKE
    while len(taken) < least or WALL() < end:
        taken.append(seconds_of(call))
    return statistics.median(taken)


class Taken(NamedTuple, Generic[Key]):
    """Of every call its samples, in the order of time, and what it returned at first."""

    samples: dict[Key, list[float]]
    values: dict[Key, Any]

    def seconds(self, key: Key) -> float:
        return statistics.median(self.samples[key])

    def ratio(self, key: Key, to: Key) -> float:
        """The median ratio of samples that were taken one after the other."""
        pairs = zip(self.samples[key], self.samples[to], strict=True)
        return statistics.median(one / other for one, other in pairs)


def in_turn(
    calls: Mapping[Key, Call], repeats: int, seconds: Callable[[Call], float] = seconds_of
) -> Taken[Key]:
    """Time calls, one of each after the other, so that all meet the same machine.

    Each is called once before, which compiles, and fills caches.
    """
    with quietly():
        values = {key: call() for key, call in calls.items()}
        rounds = [{key: seconds(call) for key, call in calls.items()} for _ in range(repeats)]
    return Taken({key: [samples[key] for samples in rounds] for key in calls}, values)


def iterations_in_turn(
    make: Mapping[Key, Callable[..., Call]],
    iterations: tuple[int, int],
    repeats: int,
    seconds: Callable[[Call], float] = seconds_of,
) -> Taken[Key]:
    """Time single iterations: long fits less short ones; what a fit does once drops out."""
    calls = {(key, n): one(iterations=n) for n in iterations for key, one in make.items()}
    taken = in_turn(calls, repeats, seconds)
    first, last = iterations
    samples = {}
    for key in make:
        pairs = zip(taken.samples[key, first], taken.samples[key, last], strict=True)
        samples[key] = [(long - short) / (last - first) for short, long in pairs]
    return Taken(samples, {key: taken.values[key, last] for key in make})


@contextmanager
def quietly() -> Iterator[None]:
    """Say nothing of fits that were meant to stop early."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
