"""Fits in a process of its own, for ``test_determinism.py``.

A digest is a dictionary of hashes of the bits of everything that a fit computes, by structure and
dtype; a scenario gives a list of them.
"""

import hashlib
import multiprocessing
import os
import threading
import warnings
from functools import cache

import numpy as np

from tests.datasets import mixture_sample
from tests.systems import START_METHOD

N_ROWS, N_FEATURES, N_COMPONENTS = 30_000, 6, 5


@cache
def rows(dtype):
    return mixture_sample(N_ROWS, N_FEATURES, N_COMPONENTS, seed=51, spread=3.0).astype(dtype)


@cache
def row_weights():
    return np.random.RandomState(52).uniform(0, 2, N_ROWS)


def fit(X, n_jobs, sample_weight=None, **params):
    from sklearn.exceptions import ConvergenceWarning

    from fastgmm import GaussianMixture

    model = GaussianMixture(N_COMPONENTS, n_jobs=n_jobs, random_state=0, tol=0, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, sample_weight=sample_weight)


def digest_of(model, X):
    """Hash of the fitted attributes and of the predictions for X."""
    bits = hashlib.sha256()
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        bits.update(np.ascontiguousarray(getattr(model, name)).tobytes())
    bits.update(np.array(model.lower_bounds_, dtype=np.float64).tobytes())
    for method in ("score_samples", "predict_proba", "predict"):
        bits.update(np.ascontiguousarray(getattr(model, method)(X)).tobytes())
    bits.update(np.float64(model.score(X)).tobytes())
    return bits.hexdigest()


def digests(n_jobs=None):
    """A fit of each structure in float64, and of ``full`` in float32, weighted, from k-means."""
    from tests.structures import OF_FORMS

    wide = rows(np.float64)
    start = {"init_params": "random_from_data", "reg_covar": 1e-2, "max_iter": 4}
    result = {
        name: digest_of(fit(wide, n_jobs, covariance_type=name, **start), wide) for name in OF_FORMS
    }
    narrow = rows(np.float32)
    result["float32"] = digest_of(fit(narrow, n_jobs, **start), narrow)
    result["kmeans"] = digest_of(fit(wide, n_jobs, max_iter=3), wide)
    result["random"] = digest_of(fit(wide, n_jobs, max_iter=3, init_params="random"), wide)
    weighted = fit(wide, n_jobs, sample_weight=row_weights(), **start)
    result["weighted"] = digest_of(weighted, wide)
    return result


def in_four_threads():
    """Four fits at once in one process, beginning together."""
    together = threading.Barrier(4)
    results = [None] * 4

    def work(i):
        together.wait()
        results[i] = digests(n_jobs=None if i % 2 else 2)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def _send_digests(connection):
    connection.send(digests())
    connection.close()


def in_a_forked_child():
    """A fit in the parent, then one in a child, then another in the parent.

    Where processes should not fork, the child is spawned.
    """
    context = multiprocessing.get_context(START_METHOD)
    results = [digests()]
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send_digests, args=(sender,))
    child.start()
    if not receiver.poll(120):
        child.kill()
        raise TimeoutError("the child does not come back")
    results.append(receiver.recv())
    child.join(30)
    assert child.exitcode == 0
    return [*results, digests()]


def in_a_pool_of_forked_children():
    """multiprocessing.Pool, as in much user code: two children at once, after a fit."""
    results = [digests()]
    with multiprocessing.get_context(START_METHOD).Pool(2) as pool:
        return results + pool.map_async(digests, [None, 2]).get(timeout=120)


def in_joblib(backend):
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    results = Parallel(n_jobs=2, backend=backend)(delayed(digests)(n) for n in (None, 1, 2))
    if backend == "loky":  # whose processes wait for more, and this one for them
        get_reusable_executor(reuse=True).shutdown(kill_workers=True)
    return results


def on_one_core():
    """As in a container that allows one core; elsewhere than on Linux just another run."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return [digests()]


def watch_threads(n_jobs):
    """Largest number of Python threads at work while a fit runs, less this one."""
    largest = 0
    done = threading.Event()

    def watch():
        nonlocal largest
        while not done.wait(0.0005):
            largest = max(largest, threading.active_count())

    watcher = threading.Thread(target=watch)
    watcher.start()
    fit(rows(np.float64), n_jobs, max_iter=20)
    done.set()
    watcher.join()
    return largest - 1


SCENARIOS = {
    "one thread": lambda: [digests(1)],
    "any number of threads": lambda: [digests(n) for n in (8, 3, 2, None)],
    "four threads": in_four_threads,
    "forked child": in_a_forked_child,
    "pool of forked children": in_a_pool_of_forked_children,
    "joblib loky": lambda: in_joblib("loky"),
    "joblib threading": lambda: in_joblib("threading"),
    "joblib multiprocessing": lambda: in_joblib("multiprocessing"),
    "one core": on_one_core,
    "number of threads": lambda: [watch_threads(1), watch_threads(8)],
}


def run(scenario):
    """What a scenario gives."""
    return SCENARIOS[scenario]()
