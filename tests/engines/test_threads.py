"""Threads: errors, interrupts, nesting, forks, and how many there are."""

import json
import multiprocessing
import os
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from fastgmm.engines import threads
from fastgmm.engines.threads import ThreadEngine, resolve_n_jobs, usable_cores
from tests import fresh
from tests.systems import linux_only, needs_fork

TIMEOUT = 60
N_THREADS = 3

engine = ThreadEngine(N_THREADS)
every_number = pytest.mark.parametrize("n_threads", [1, 2, 3, 8])


def in_worker():
    return threading.current_thread() is not threading.main_thread()


def meet(n_threads):
    """A function of a chunk that returns only once `n_threads` threads are in it."""
    barrier = threading.Barrier(n_threads)
    return lambda i: barrier.wait(TIMEOUT)


# --- work ---------------------------------------------------------------------------------


@every_number
@pytest.mark.parametrize("n_chunks", [1, 2, 7, 100])
def test_every_chunk_once(n_threads, n_chunks):
    seen = Counter()
    ThreadEngine(n_threads).for_each(lambda i: seen.update([i]), n_chunks)
    assert seen == Counter(range(n_chunks))


@every_number
def test_reduce_merges_in_order(n_threads):
    def slow_at_first(i):
        time.sleep(0.002 * (i % 3 == 0))
        return f"{i} "

    expected = "".join(f"{i} " for i in range(40))
    assert ThreadEngine(n_threads).reduce(slow_at_first, 40) == expected


def test_one_thread_is_the_callers_and_in_order():
    calls = []
    ThreadEngine(1).for_each(lambda i: calls.append((i, threading.get_ident())), 20)
    assert calls == [(i, threading.get_ident()) for i in range(20)]


def test_one_chunk_runs_on_the_callers_thread():
    calls = []
    engine.for_each(lambda i: calls.append(threading.get_ident()), 1)
    assert calls == [threading.get_ident()]


def test_the_pool_grows():
    """With other numbers of threads, larger and smaller, one after the other."""
    for n_threads in (2, 5, 3, 7, 2):
        ThreadEngine(n_threads).for_each(meet(n_threads), n_threads)


def test_no_more_threads_than_asked_for():
    ThreadEngine(8).for_each(meet(8), 8)  # the pool has eight by now
    idents = set()

    def note(i):
        idents.add(threading.get_ident())
        time.sleep(0.001)

    ThreadEngine(2).for_each(note, 50)
    assert len(idents) == 2


def test_several_callers_at_once():
    results = [None] * 4

    def call(number):
        results[number] = engine.reduce(lambda i: i, 200)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(TIMEOUT)
    assert results == [sum(range(200))] * 4


# --- nesting ------------------------------------------------------------------------------


def test_nested_use_runs_in_line():
    """On every thread, the caller's among them; so it neither deadlocks nor multiplies."""
    ThreadEngine(8).for_each(meet(8), 8)  # there are idle threads that could lend a hand
    inner, outer = [], []
    together = threading.Barrier(N_THREADS)

    def work(i):
        together.wait(TIMEOUT)
        outer.append(threading.get_ident())
        here = []

        def note(j):
            here.append((j, threading.get_ident()))
            time.sleep(0.001)

        ThreadEngine(8).for_each(note, 20)
        inner.append(here)

    engine.for_each(work, N_THREADS)
    assert len(set(outer)) == N_THREADS
    for here in inner:
        assert [j for j, _ in here] == list(range(20))
        assert len({ident for _, ident in here}) == 1


def test_after_nesting_the_threads_are_back():
    engine.for_each(lambda i: engine.for_each(lambda j: None, 5), 5)
    engine.for_each(meet(N_THREADS), N_THREADS)


# --- errors -------------------------------------------------------------------------------


class Trouble(Exception):
    pass


@every_number
@pytest.mark.parametrize("error", [Trouble, KeyboardInterrupt, SystemExit])
def test_an_error_stops_the_rest(n_threads, error):
    raised = error("chunk 3")
    calls = []

    def work(i):
        calls.append(i)
        if i == 3:
            raise raised
        time.sleep(0.002)

    with pytest.raises(error) as caught:
        ThreadEngine(n_threads).for_each(work, 1000)
    assert caught.value is raised
    assert len(calls) < 100
    # The pool is as good as new.
    ThreadEngine(n_threads).for_each(meet(n_threads), n_threads)


@pytest.mark.parametrize("error", [Trouble, KeyboardInterrupt])
@pytest.mark.parametrize("who", ["worker", "caller"])
def test_an_error_reaches_the_caller_from_any_thread(error, who):
    together = threading.Barrier(N_THREADS)

    def work(i):
        together.wait(TIMEOUT)
        if in_worker() == (who == "worker"):
            raise error

    with pytest.raises(error):
        engine.reduce(work, N_THREADS)


def test_no_thread_is_still_at_work_after_an_error():
    """They read the caller's arrays."""
    at_work = 0
    lock = threading.Lock()

    def work(i):
        nonlocal at_work
        with lock:
            at_work += 1
        time.sleep(0.05 if in_worker() else 0.01)
        with lock:
            at_work -= 1
        if not in_worker():
            raise Trouble

    with pytest.raises(Trouble):
        engine.for_each(work, 100)
    assert at_work == 0


def test_an_error_within_nested_use():
    def inner(j):
        if j == 2:
            raise Trouble

    with pytest.raises(Trouble):
        engine.for_each(lambda i: engine.for_each(inner, 5), 5)
    engine.for_each(meet(N_THREADS), N_THREADS)


# --- processes ----------------------------------------------------------------------------


def _use_threads(connection):
    engine.for_each(meet(N_THREADS), N_THREADS)
    connection.send(engine.reduce(lambda i: i, 100))


def _can_take(lock):
    def take():
        with lock:
            pass

    taking = threading.Thread(target=take, daemon=True)
    taking.start()
    taking.join(10)
    return not taking.is_alive()


@needs_fork
@pytest.mark.parametrize("number", [0, 1, 2], ids=["ours", "numba", "llvmlite"])
def test_no_lock_of_the_compiler_is_held_in_a_forked_child(number):
    """Though another thread has it at that moment; the fork waits until it is done."""
    from fastgmm.kernels.compile import _LOCKS

    lock, held = _LOCKS[number], threading.Event()

    def hold():
        with lock:
            held.set()
            time.sleep(0.3)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(TIMEOUT)
    child = os.fork()
    if child == 0:
        os._exit(0 if _can_take(lock) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    other.join(TIMEOUT)
    assert _can_take(_LOCKS[number])


@needs_fork
@pytest.mark.parametrize("at_work", [False, True], ids=["idle", "at work"])
def test_a_forked_child_has_threads_of_its_own(at_work):
    """Whatever the parent's threads are doing at that moment."""
    engine.for_each(meet(N_THREADS), N_THREADS)  # the parent has its threads
    forked = threading.Event()
    other = threading.Thread(target=engine.for_each, args=(lambda i: forked.wait(TIMEOUT), 10))
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_use_threads, args=(sender,))
    if at_work:
        other.start()
    try:
        child.start()
        assert receiver.poll(TIMEOUT), "the child hangs"
        assert receiver.recv() == sum(range(100))
    finally:
        forked.set()
        child.kill()
        child.join()
    if at_work:
        other.join(TIMEOUT)
    engine.for_each(meet(N_THREADS), N_THREADS)


# --- how many -----------------------------------------------------------------------------


@pytest.fixture
def eight_cores(monkeypatch):
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads.joblib, "cpu_count", lambda: 8)


@pytest.mark.parametrize(
    ("n_jobs", "n_threads"),
    [(None, 8), (1, 1), (5, 5), (100, 100), (-1, 8), (-2, 7), (-8, 1), (-9, 1), (-100, 1)],
)
def test_n_jobs(eight_cores, n_jobs, n_threads):
    assert resolve_n_jobs(n_jobs) == n_threads


@pytest.mark.parametrize(
    ("variables", "cores"),
    [
        ({}, 8),
        ({"NUMBA_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": " 4,2,1"}, 4),
        ({"NUMBA_NUM_THREADS": "5", "OMP_NUM_THREADS": "6"}, 5),
        ({"OMP_NUM_THREADS": "64"}, 8),
        ({"OMP_NUM_THREADS": ""}, 8),
        ({"OMP_NUM_THREADS": "0"}, 8),
        ({"NUMBA_NUM_THREADS": "many"}, 8),
        ({"NUMBA_NUM_THREADS": "-2"}, 8),
    ],
)
def test_variables_bound_the_default(eight_cores, monkeypatch, variables, cores):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert usable_cores() == resolve_n_jobs(None) == resolve_n_jobs(-1) == cores
    assert resolve_n_jobs(20) == 20  # what the caller asks for, he gets


def run(code, **environment):
    """The JSON that a new process prints."""
    environment = {**os.environ, **environment}
    folder = Path(__file__).parents[2]
    done = fresh.run(f"import json, os\n{code}", cwd=folder, env=environment, check=True)
    return json.loads(done.stdout)


@linux_only
def test_the_affinity_bounds_the_default():
    code = """
from fastgmm.engines.threads import resolve_n_jobs
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(json.dumps([resolve_n_jobs(None), resolve_n_jobs(-1), resolve_n_jobs(4)]))
"""
    assert run(code) == [1, 1, 4]


def test_an_interrupt_ends_the_work():
    """A real signal, to a process whose threads are all at work."""
    code = """
import signal, threading, time
from fastgmm.engines.threads import ThreadEngine
started, calls = threading.Event(), []

def work(i):
    calls.append(i)
    if i == 20:
        signal.raise_signal(signal.SIGINT)
    time.sleep(0.01)

try:
    ThreadEngine(3).for_each(work, 10_000)
except KeyboardInterrupt:
    n = len(calls)
    time.sleep(0.1)
    print(json.dumps([n < 100, len(calls) == n]))
"""
    assert run(code) == [True, True]


def test_threads_end_with_the_process():
    """No thread keeps a process alive."""
    code = """
from fastgmm.engines.threads import ThreadEngine
ThreadEngine(4).for_each(lambda i: None, 100)
print(json.dumps("done"))
"""
    assert run(code) == "done"
