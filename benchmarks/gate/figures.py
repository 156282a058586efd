"""The figures of a tree that no noise touches, measured in a process of it.

One thread, fixed seeds; everything is called through the public estimator.
"""

import gc
import itertools
import re
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.gate.plants import plant_what_is_asked_for
from benchmarks.gate.recorder import Recorder
from benchmarks.suite.calls import converged_fit, em_iterations, kmeans_start
from benchmarks.suite.clock import Call, quietly
from benchmarks.suite.problems import DATA_SETS, STRUCTURES, data_set, parse_shape

SHAPE = "20000x8x8"


def all_figures(recorder: Recorder) -> Iterator[tuple[dict[str, str], Callable[[], Any]]]:
    """Units by name, and what measures these figures together. None is measured yet."""
    for structure in STRUCTURES:
        units = of_passes(f"per EM iteration: {structure}")
        yield units, partial(passes_per_iteration, recorder, structure)
    start = kmeans_start(shape=SHAPE)  # and the one EM iteration that it cannot do without
    yield of_passes("of the k-means start"), partial(passes, recorder, start)
    for data, structure in itertools.product(DATA_SETS, STRUCTURES):
        of = f"{structure}, {data}"
        units = {
            f"iterations to tolerance: {of}": "iterations",
            f"negative log-likelihood: {of}": "nats",
        }
        yield units, partial(end_of_fit, structure, data)
    for init_params in ("random_from_data", "kmeans"):
        units = {f"peak bytes beyond rows: {init_params}": "bytes"}
        yield units, partial(peak_bytes, init_params)


def of_passes(text: str) -> dict[str, str]:
    """As the source hands rows out, and by kernels."""
    return {f"{kind} passes {text}": "passes" for kind in ("read", "kernel")}


def passes(recorder: Recorder, call: Call) -> tuple[float, float]:
    """Passes over the rows during a fit, see `of_passes`."""
    recorder.clear()
    call()
    n, _, _ = parse_shape(SHAPE)
    return recorder.rows_read / n, sum(recorder.kernel_rows.values()) / n


def passes_per_iteration(recorder: Recorder, structure: str) -> tuple[float, ...]:
    """What one more EM iteration costs; what a fit does once drops out."""
    few, many = (
        passes(recorder, em_iterations(shape=SHAPE, covariance_type=structure, iterations=n))
        for n in (1, 4)
    )
    return tuple((after - before) / 3 for before, after in zip(few, many, strict=True))


def end_of_fit(structure: str, data: str) -> tuple[float, float]:
    """How many iterations it took, and how good its end is: fewer to a worse end are no gain."""
    model = converged_fit(covariance_type=structure, data=data)()
    return model.n_iter_, -model.score(data_set(data)[0])


def peak_bytes(init_params: str) -> tuple[float]:
    """Peak bytes of NumPy arrays and Python objects that a fit makes; X exists before."""
    call = em_iterations(shape=SHAPE, start=init_params, iterations=3)
    call()  # what is imported or cached on the first call counts no more
    gc.collect()
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak,)


def measure_figures(select: str) -> dict[str, tuple[float, str]]:
    """Value and unit by name, of the figures whose names contain a regular expression."""
    plant_what_is_asked_for()
    recorder = Recorder()
    recorder.install()
    figures: dict[str, tuple[float, str]] = {}
    with quietly():
        for units, measure in all_figures(recorder):
            if any(re.search(select, name) for name in units):
                values = zip(units.items(), measure(), strict=True)
                figures |= {name: (value, unit) for (name, unit), value in values}
    return figures
