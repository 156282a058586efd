"""Fits of few rows by default arguments, whose start and iterations compiled code makes."""

from functools import reduce
from itertools import islice
from typing import Any

import numpy as np

from fastgmm.em import EMResult, better_of
from fastgmm.em_step import Model
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.rows import FitRows
from fastgmm.estimator.starting import FoundStart
from fastgmm.families.maximum_likelihood import GivenParameters, MaximumLikelihood
from fastgmm.sklearn_interface import random_state_of
from fastgmm.small_fits import SmallFits, is_small, iteration_of
from fastgmm.starts import GivenResponsibilities, RandomResponsibilities, Start, make_starts

_ABSENT = (
    "weights_init",
    "means_init",
    "precisions_init",
    "freeze",
    "noise",
    "accelerate",
    "_listener",
)
"""What asks for more when it is not None."""

_STARTS = ("kmeans", "hierarchical", "k-means++", "random", "random_from_data")
"""Those that `SmallFits` begins from."""

_MOST_CHUNKS = 3
"""Into which rows are cut, where a single thread takes them anyway."""


def small_fit(
    estimator: Any, data: FitRows
) -> tuple[tuple[Model, EMResult] | None, list[FoundStart] | None]:
    """The model and the end of a fit, which has the bits of one by `fastgmm.em`; and no starts.

    Where compiled code cannot make it, None, and the starts if they were made.

    Parameters
    ----------
    estimator : MixtureEstimator
    data : FitRows
    """
    structure = estimator._structure
    if data.arrays is None or not _is_plain(estimator, data):
        return None, None
    X, k = data.arrays[0], int(estimator.n_components)
    n, d = X.shape
    if not is_small(structure, n, k, d):
        # Chunks that threads would share are for them, if there are any.
        alone = is_small(structure, n, k, d, _MOST_CHUNKS)
        if not alone or ThreadEngine(estimator.n_jobs).n_threads > 1:
            return None, None
    kernel = iteration_of(structure, d, if_it_pays=True)
    if kernel is None:
        return None, None
    random_state, engine = random_state_of(estimator.random_state), ThreadEngine(1)
    n_init, reg_covar = int(estimator.n_init), float(estimator.reg_covar)
    made = make_starts(X, k, data.start, random_state, None, engine)
    starts = [_held(start, n) for start in islice(made, n_init)]
    fits = SmallFits(X, structure, [k] * n_init, starts, reg_covar, estimator.max_iter, kernel)
    fits.run(estimator.tol)
    if fits.doubtful.any():
        return None, [(None, start) for start in starts]
    model = Model(structure, MaximumLikelihood(structure, GivenParameters()), reg_covar, X.dtype)
    return (model, reduce(better_of, map(fits.result, range(n_init)))), None


def _held(start: Start, n_rows: int) -> Start:
    """A start that can be asked for its chunks more than once, and has the same results."""
    if not isinstance(start, RandomResponsibilities):
        return start
    return GivenResponsibilities(start.chunk(0, n_rows), in_order=True)


def _is_plain(estimator: Any, data: FitRows) -> bool:
    """Whether nothing is asked for that only ordinary fits can do."""
    of_rows = (data.arrays[1], data.labels, data.tally, data.noise)  # type: ignore[index]
    return (
        estimator._family is MaximumLikelihood
        and data.start in _STARTS
        and data.arrays[0].dtype == np.float64  # type: ignore[index]
        and all(part is None for part in of_rows)
        and all(getattr(estimator, name) is None for name in _ABSENT)
        and not estimator.warm_start
        and not estimator.verbose
        and estimator.max_iter > 0
        and estimator.on_failure == "raise"
        and estimator.tol_kind != "aitken"
        and not isinstance(estimator.reg_covar, str)
        and estimator.reg_covar > 0
        and not hasattr(estimator, "_skl_callbacks")
    )
