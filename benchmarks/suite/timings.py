"""The list of all that is timed, by asv (`SUITE`) and by the gate (`CORE`, `COUNTED`).

A timing is a function of `calls` that makes a call, and what it is made with. To time something
new, add the function there if there is none, and an entry here.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import calls
from .calls import BAYESIAN, ESTIMATORS, em_iterations
from .clock import Call
from .memory import peak_memory
from .problems import CENTRE, COMPARED, DATA_SETS, DTYPES, SHAPES, STRUCTURES, THREADS
from .startup import first_fit, importing

METHODS = ["predict", "predict_proba", "score_samples"]
SETS, COLUMNS = "1000 of 500x2x3", "4 of 20000x1x10"


@dataclass(frozen=True)
class Timing:
    """A benchmark of the asv suite: what makes a call from one value of every axis."""

    make: Callable[..., Call]
    axes: dict[str, list[Any]]
    repeat: tuple[int, int, float] = (6, 12, 0.6)
    """How many samples asv takes: at least, at most, and in how many seconds."""

    unit: str = "seconds"  # of figures that a call returns; otherwise the call is timed
    version: str = "1"


SUITE = {
    "em.EMIterations.time_five_iterations": Timing(
        em_iterations,
        {"covariance_type": STRUCTURES, "dtype": DTYPES, "shape": SHAPES, "threads": THREADS},
    ),
    "em.WeightedEMIterations.time_five_iterations": Timing(
        partial(em_iterations, weighted=True),
        {"covariance_type": STRUCTURES, "threads": THREADS},
    ),
    "em.BayesianEMIterations.time_five_iterations": Timing(
        partial(em_iterations, estimator=BAYESIAN, start="random_from_data"),
        {"covariance_type": STRUCTURES, "threads": THREADS},
    ),
    "em.ManyComponents.time_five_iterations": Timing(
        calls.many_components,
        {"covariance_type": STRUCTURES, "components": [64, 1024], "threads": THREADS},
        repeat=(3, 6, 0.6),
    ),
    "stored.StoredRows.time_five_iterations": Timing(
        calls.stored_rows,
        {"format": ["npy", "parquet"], "threads": THREADS},
        repeat=(6, 12, 1.5),
    ),
    "many.FitMany.time_fit": Timing(
        calls.fit_many,
        {"sets": [SETS, COLUMNS], "estimator": list(ESTIMATORS), "threads": THREADS},
        repeat=(3, 10, 2.0),
    ),
    "many.Lockstep.time_ten_iterations": Timing(
        calls.lockstep,
        {"covariance_type": STRUCTURES, "dtype": DTYPES},
        repeat=(3, 10, 1.0),
    ),
    "fits.DefaultFit.time_fit": Timing(
        calls.whole_fit, {"data": DATA_SETS, "threads": THREADS}, repeat=(6, 20, 1.5)
    ),
    "fits.KMeansStart.time_start": Timing(
        calls.kmeans_start,
        {"shape": [CENTRE, "40000x32x8", "40000x8x32"], "threads": THREADS},
        repeat=(6, 12, 1.5),
    ),
    "fits.Predictions.time_predict": Timing(
        calls.prediction,
        {"method": METHODS, "covariance_type": STRUCTURES, "threads": THREADS},
        repeat=(6, 20, 0.4),
    ),
    "comparison.ToScikitLearn.track_time_ratio": Timing(
        calls.share_of_scikit_learn,
        {"covariance_type": STRUCTURES, "shape": COMPARED},
        unit="of scikit-learn's time",
    ),
    "comparison.BayesianToScikitLearn.track_time_ratio": Timing(
        partial(calls.share_of_scikit_learn, estimator=BAYESIAN, start="random_from_data"),
        {"covariance_type": STRUCTURES, "shape": [CENTRE]},
        unit="of scikit-learn's time",
    ),
    "comparison.Iterations.track_iterations": Timing(
        calls.iterations_to_tolerance,
        {"covariance_type": STRUCTURES, "data": DATA_SETS},
        unit="iterations",
    ),
    "comparison.Likelihood.track_gap_to_scikit_learn": Timing(
        calls.likelihood_gap, {"covariance_type": STRUCTURES, "data": DATA_SETS}, unit="nats"
    ),
    "memory.PeakMemory.track_peak_beyond_rows": Timing(
        peak_memory,
        {
            "init_params": ["random_from_data", "kmeans"],
            "shape": ["100000x8x8", "400000x8x8", "100000x8x64"],
        },
        unit="bytes",
        version="2",
    ),
    "startup.Import.timeraw_import_fastgmm": Timing(importing, {}, repeat=(3, 5, 10.0)),
    "startup.FirstFit.track_first_fit": Timing(
        first_fit, {"cache": ["nothing compiled", "compiled before"]}
    ),
}
"""By the names that asv's history has them under, ``module.Class.method``."""


def _named(structure: str, dtype: str, shape: str, threads: int = 1) -> tuple[str, Callable]:
    """EM iterations, under the name that the gate's table has for them."""
    on = f", {threads} threads" if threads > 1 else ""
    make = partial(
        em_iterations, covariance_type=structure, dtype=dtype, shape=shape, threads=threads
    )
    return f"{structure}, {dtype}, {shape}{on}", make


CORE: dict[str, Callable[[], Call]] = {
    **{
        f"EM iterations: {name}": make
        for name, make in (
            _named("full", "float64", CENTRE),
            _named("full", "float64", CENTRE, threads=2),
            _named("full", "float64", "100000x2x8"),
            _named("full", "float64", "10000x32x16"),
            _named("full", "float32", CENTRE),
            _named("tied", "float64", CENTRE),
            _named("diag", "float64", CENTRE),
            _named("spherical", "float64", CENTRE),
        )
    },
    f"EM iterations: full, weighted rows, {CENTRE}": partial(em_iterations, weighted=True),
    f"EM iterations: full, noise, {CENTRE}": partial(em_iterations, noisy=True),
    f"EM iterations: full, missing values, {CENTRE}": partial(em_iterations, missing="8 patterns"),
    "whole default fit: 20000x8x8": partial(calls.whole_fit, data="20000x8x8"),
    f"k-means start: {CENTRE}": partial(calls.kmeans_start),
    f"predict: full, {CENTRE}": partial(calls.prediction, method="predict"),
    f"predict_proba: full, {CENTRE}": partial(calls.prediction, method="predict_proba"),
    # Of few numbers, where what is done around the kernels counts, and of many.
    **{
        f"predict, row by row: {structure}, {shape}": partial(
            calls.few_rows, shape=shape, covariance_type=structure, one_by_one=True
        )
        for structure, shape in (("diag", "200x500x5"), ("full", "20x500x10"))
    },
}
"""What the gate times on both sides: 10 to 100 ms each, long enough to even out what the clock and
the scheduler do, and short enough for many. On one thread but what says otherwise."""

RATIOS: dict[str, dict[str, Any]] = {
    f"ratio to scikit-learn: full, {shape}": {"shape": shape, "iterations": 2}
    for shape in ("40000x2x8", "20000x32x8")
}
"""EM iterations that the gate times as a share of scikit-learn's."""

USUAL, CLUSTERED = "2048x8x8", "10000x4x4"  # fewer rows are left to scikit-learn's k-means
COUNTED: dict[str, Callable[[], Call]] = {
    # Few features, a usual number, and many with remainders in every block.
    **{
        f"instructions: {name}": partial(make, iterations=1)
        for name, make in (
            _named(structure, dtype, shape)
            for shape, dtype, structure in itertools.product(
                ("2048x2x8", USUAL, "1024x33x5"), DTYPES, STRUCTURES
            )
        )
    },
    **{
        f"instructions: predict, row by row, {structure}, {dtype}, 1x260x3": partial(
            calls.few_rows, shape="1x260x3", covariance_type=structure, dtype=dtype, one_by_one=True
        )
        for structure, dtype in itertools.product(("full", "tied"), DTYPES)
    },
    f"instructions: full, weighted rows, {USUAL}": partial(
        em_iterations, shape=USUAL, iterations=1, weighted=True
    ),
    "instructions: full, far apart, 40000x4x64": partial(
        calls.many_components, components=64, iterations=1
    ),
    **{
        f"instructions: {method}, {structure}, {USUAL}": partial(
            calls.prediction, method=method, covariance_type=structure, shape=USUAL
        )
        for structure, method in itertools.product(STRUCTURES, METHODS)
    },
    **{
        f"instructions: search, {structure}, {USUAL}": partial(
            calls.scored_fit, covariance_type=structure, shape=USUAL
        )
        for structure in STRUCTURES
    },
    **{
        f"instructions: k-means start, {dtype}, {CLUSTERED}": partial(
            calls.kmeans_start, dtype=dtype, shape=CLUSTERED
        )
        for dtype in DTYPES
    },
}
"""Calls that between them run every kernel, in which the gate counts instructions."""
