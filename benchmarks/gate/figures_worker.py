"""Prints the figures of one tree that no noise touches, as JSON: name -> [value, unit].

One thread, fixed seeds; everything is called through the public estimator.
"""

import argparse
import functools
import gc
import itertools
import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from benchmarks.gate.plants import plant_what_is_asked_for
from benchmarks.gate.recorder import Recorder
from benchmarks.suite import fits, problems

SHAPE = "20000x8x8"


class Measurement(NamedTuple):
    """Figures that are measured together."""

    names: tuple[str, ...]
    unit: str
    measure: Callable[[], tuple[float, ...]]


def measurements(recorder: Recorder) -> Iterator[Measurement]:
    """All of them, none made yet."""
    for structure in problems.STRUCTURES:
        names = tuple(f"{kind} passes per EM iteration: {structure}" for kind in ("read", "kernel"))
        yield Measurement(names, "passes", partial(passes_per_iteration, recorder, structure))
    names = ("read passes of the k-means start", "kernel passes of the k-means start")
    yield Measurement(names, "passes", partial(passes_of_start, recorder))
    for data, structure in itertools.product(fits.DATA_SETS, problems.STRUCTURES):
        names = (f"iterations to tolerance: {structure}, {data}",)
        yield Measurement(names, "iterations", partial(iterations, structure, data))
        names = (f"negative log-likelihood: {structure}, {data}",)
        yield Measurement(names, "nats", partial(negative_log_likelihood, structure, data))
    for init_params in ("random_from_data", "kmeans"):
        names = (f"peak bytes beyond rows: {init_params}",)
        yield Measurement(names, "bytes", partial(peak_bytes, init_params))


def passes(recorder: Recorder, model: Any) -> tuple[float, float]:
    """Passes over the rows during a fit: as the source hands them out, and by kernels."""
    X = problems.rows(SHAPE)
    with recorder.counting():
        model.fit(X)
    return recorder.rows_read / len(X), sum(recorder.kernel_rows.values()) / len(X)


def passes_per_iteration(recorder: Recorder, structure: str) -> tuple[float, ...]:
    """What one more EM iteration costs; what a fit does once drops out."""
    few, many = (
        passes(recorder, problems.mixture(1, **problems.from_truth(SHAPE, structure, iterations)))
        for iterations in (1, 4)
    )
    return tuple((after - before) / 3 for before, after in zip(few, many, strict=True))


def passes_of_start(recorder: Recorder) -> tuple[float, ...]:
    """A default start, and one EM iteration."""
    return passes(recorder, problems.mixture(1, n_components=8, max_iter=1, random_state=0))


@functools.cache
def whole_fit(structure: str, data: str) -> Any:
    """A fit to the default tolerance."""
    X, k = fits.data_set(data)
    arguments = {"n_components": k, "covariance_type": structure, "random_state": 0}
    return problems.mixture(1, **arguments, reg_covar=1e-3, max_iter=500).fit(X)


def iterations(structure: str, data: str) -> tuple[float]:
    """How many it took."""
    return (whole_fit(structure, data).n_iter_,)


def negative_log_likelihood(structure: str, data: str) -> tuple[float]:
    """How good its end is: fewer iterations to a worse end are no gain."""
    return (-whole_fit(structure, data).score(fits.data_set(data)[0]),)


def peak_bytes(init_params: str) -> tuple[float]:
    """Peak bytes of NumPy arrays and Python objects that a fit makes; X exists before."""
    X = problems.rows(SHAPE)
    model = problems.mixture(
        1, n_components=8, init_params=init_params, tol=0.0, max_iter=3, random_state=0
    )
    model.fit(X)  # what is imported or cached on the first call counts no more
    gc.collect()
    tracemalloc.start()
    model.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak,)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--select", default="", help="regular expression that names contain")
    select = parser.parse_args().select
    plant_what_is_asked_for()
    recorder = Recorder()
    recorder.install()
    figures: dict[str, tuple[float, str]] = {}
    with problems.quietly():
        for names, unit, measure in measurements(recorder):
            if any(re.search(select, name) for name in names):
                values = zip(names, measure(), strict=True)
                figures |= {name: (value, unit) for name, value in values}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
