"""`fit_many`: arguments, seeds and the report."""

import functools
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import validate_parameter_constraints

from fastgmm.batch.datasets import data_sets
from fastgmm.batch.files import Keeper, mark_undone
from fastgmm.batch.progress import Progress
from fastgmm.batch.report import FitReport
from fastgmm.batch.run import Run
from fastgmm.distributed import cluster_of, engine_here
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.base import MixtureEstimator
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.saved import DEFAULT_SECONDS
from fastgmm.sources.kinds import is_collection


def fit_many(
    datasets: Any,
    n_components: int = 1,
    n_jobs: int | None = None,
    on_error: str = "record",
    progress: bool = False,
    estimator: Any = GaussianMixture,
    *,
    by: Any = None,
    columns: Any = None,
    random_state: Any = None,
    sample_weight: Sequence | Mapping | str | None = None,
    labels: Sequence | Mapping | str | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: float = DEFAULT_SECONDS,
    engine: str | None = None,
    **parameters: Any,
) -> FitReport:
    """Fit a mixture to each of many data sets.

    The result for a data set is that of a fit of its own. Small ones run in lockstep, hundreds to
    a thread; large ones one by one, each on one thread.

    Parameters
    ----------
    datasets : list, dict, ndarray of shape (sets, rows, features), DataFrame, table or path
        Data sets of any lengths, each whatever `fit` takes; all need the same number of features.
        For a frame of pandas or polars, a table or Dataset of pyarrow, a relation of DuckDB, and
        the path of a Parquet or CSV file, which is read into memory, see `by` and `columns`.
    n_components : int, default=1
    n_jobs : int or None, default=None
        Threads, as for the estimators. No result depends on it.
    on_error : {'record', 'raise'}, default='record'
        What to do if a fit fails: note it in the report and go on, or raise.
    progress : bool, default=False
        Show on standard error how far it is: a bar if rich is installed, else lines.
    estimator : type, default=GaussianMixture
        GaussianMixture, BayesianGaussianMixture or a subclass.
    by : str or list of str, optional
        Column or columns of a table: one mixture per group of rows that agree in them. Rows
        without a value there are left out. The features are the other columns, but for one of
        weights, or `columns`.
    columns : 'each' or list, optional
        Of a table or an array (rows, columns): one mixture per column, each of one feature.
    random_state : int, RandomState or None, default=None
        Data set i is fitted with entry i of ``SeedSequence(random_state).generate_state(sets)`` (of
        `numpy.random`) as its `random_state`, which depends on neither the others nor their number;
        see `FitReport.seeds`. From a RandomState one number is drawn; None is a new seed each time.
    sample_weight : sequence or dict of (array-like or None), str, or array-like, optional
        Weights of the rows of every data set; in a dict, by the keys of these. Of a table, also the
        column of weights, or weights of all of its rows. A name holds for every file of a list.
    labels : sequence or dict of (array-like or None), str, or array-like, optional
        What is known of the components of the rows of every data set; see `fit`. It is given as
        weights are.
    checkpoint : path, optional
        File that keeps the fits that are done: the same call goes on with the others, also after
        Ctrl-C or a kill.
    checkpoint_every : float, default=30
        Least seconds between two writes of it.
    engine : {None, 'dask'}, default=None
        'dask' spreads the fits over the workers of the current client of `dask.distributed`: small
        data sets travel with their tasks, and files are read by the workers. A dask dataframe or
        array that holds all data sets is computed, and spread again.
    **parameters
        All other arguments of the estimator.

    Returns
    -------
    report : FitReport

    Raises
    ------
    ValueError
        If an argument is out of range, or, with ``on_error='raise'``, a fit fails.
    TypeError
        If there is no such argument, or `datasets` holds no data sets.
    ModelFileError, OSError
        If the checkpoint is damaged, or cannot be written.
    KeyboardInterrupt
        As ever; its attribute `report` has what was done by then.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import fit_many
    >>> sets = np.random.default_rng(0).normal(size=(100, 50, 2))
    >>> report = fit_many(sets, n_components=2, random_state=0)
    >>> report
    <FitReport: 100 mixtures fitted, 0 failed>
    >>> report.means_.shape
    (100, 2, 2)
    >>> report[7].predict(sets[7]).shape
    (50,)
    """
    if on_error not in ("record", "raise"):
        raise ValueError(f"on_error should be 'record' or 'raise', but got {on_error!r}.")
    if not (isinstance(estimator, type) and issubclass(estimator, MixtureEstimator)):
        raise TypeError(
            "estimator should be fastgmm.GaussianMixture or fastgmm.BayesianGaussianMixture, but "
            f"got {estimator!r}."
        )
    make = functools.partial(_make, estimator, n_components, parameters)
    make(0)._validate_params()
    validate_parameter_constraints(
        {"n_jobs": estimator._parameter_constraints["n_jobs"]}, {"n_jobs": n_jobs}, "fit_many"
    )
    if is_collection(datasets):
        datasets, engine = datasets.compute(), engine or engine_here()
    cluster = cluster_of(engine)
    items = data_sets(datasets, by, columns, sample_weight, labels)
    keeper = None if checkpoint is None else Keeper(checkpoint, checkpoint_every)
    seed = checked_seed(random_state)
    if seed is None and keeper is not None:
        seed = keeper.seed(int(np.random.SeedSequence().generate_state(1)[0]))
    seeds = item_seeds(seed, len(items.data))
    names = ["key"] if by is None else [str(by)] if np.ndim(by) == 0 else list(map(str, by))
    report = FitReport(make, items.keys, seeds, items.feature_names, names)
    done = np.zeros(len(report), dtype=bool)
    if keeper is not None:
        done[keeper.resume(report, items, seed)] = True
    n_before = int(done.sum())
    with Progress(len(report), progress, n_done=n_before) as bar, warnings.catch_warnings():
        # What they say is in the report; the filter holds for all threads.
        warnings.simplefilter("ignore", ConvergenceWarning)
        keep = None if keeper is None else keeper.update
        run = Run(items, report, bar, on_error == "raise", done, keep)
        try:
            if cluster is None:
                run.on_threads(ThreadEngine(n_jobs))
            else:
                run.on_cluster(cluster)
        except KeyboardInterrupt as error:
            if keeper is not None:
                keeper.update(report, done, at_once=True)
            mark_undone(report, done)
            error.report = report  # type: ignore[attr-defined]
            raise
    if keeper is not None and n_before < len(report):
        keeper.update(report, done, at_once=True)
    return report


def item_seeds(random_state: Any, n: int) -> np.ndarray:
    """Seeds of n data sets; each depends on `random_state` and its own place alone."""
    return np.random.SeedSequence(checked_seed(random_state)).generate_state(n)


def checked_seed(random_state: Any) -> int | None:
    """The number that seeds are made from: one drawn from a RandomState, and None for any.

    Raises
    ------
    ValueError
        If `random_state` is neither None, a RandomState nor an integer from 0.
    """
    if isinstance(random_state, np.random.RandomState):
        random_state = int(random_state.randint(2**31 - 1))
    elif isinstance(random_state, bool) or not (
        random_state is None
        or (isinstance(random_state, (int, np.integer)) and 0 <= random_state < 2**32)
    ):
        raise ValueError(
            "random_state should be None, a RandomState or an integer from 0 to 2**32 - 1, but got "
            f"{random_state!r}."
        )
    return None if random_state is None else int(random_state)


def _make(estimator: Any, n_components: int, parameters: dict, seed: int) -> Any:
    return estimator(n_components=n_components, random_state=seed, **parameters)
