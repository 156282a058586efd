"""`select`: arguments, and what is said of the result."""

import dataclasses
import math
import os
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from fastgmm.batch.progress import Progress
from fastgmm.distributed import cluster_of, stays_here
from fastgmm.estimator.base import MixtureEstimator
from fastgmm.estimator.rows import rows_to_fit, without_labels
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.selection.cell import OK, Cell
from fastgmm.selection.elsewhere import Recipe
from fastgmm.selection.files import Keeper
from fastgmm.selection.fits import CellFits
from fastgmm.selection.plan import (
    CRITERIA,
    Plan,
    checked_numbers,
    checked_starts,
    checked_types,
)
from fastgmm.selection.result import Selection
from fastgmm.selection.rows import fold_rows, folds
from fastgmm.selection.search import Search
from fastgmm.sklearn_interface import entropy_of, left_to_sklearn

_NOT_RUN = "The search was ended before this fit."


def select(
    X: Any,
    n_components: Iterable[int] | int = range(1, 10),
    covariance_type: Iterable[str] | str = ("full", "tied", "diag", "spherical"),
    *,
    criterion: str | Callable = "bic",
    n_init: int = 1,
    cv: Any = 5,
    estimator: Any = None,
    sample_weight: Any = None,
    labels: Any = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    on_error: str = "record",
    progress: bool = False,
    checkpoint: str | os.PathLike | None = None,
    share_starts: bool | str = True,
    engine: str | None = None,
    **parameters: Any,
) -> Selection:
    """Fit mixtures of several numbers of components and structures, and choose the best.

    Every fit has the bits of one of its own, ``GaussianMixture(k, covariance_type=...,
    random_state=seed, **parameters).fit(X)``, with the `seed`, `start` and `tol` that the table
    tells. What they have in common is done once: rows are read and checked, and k-means is run for
    every number of components, not for every structure. Small fits run side by side on the cores.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), path or source
        Whatever `fit` takes.
    n_components : iterable of int, default=range(1, 10)
    covariance_type : iterable of str, or 'all', default=('full', 'tied', 'diag', 'spherical')
        'all' is every structure that differs, in mclust's names if it has one; if there are no more
        rows than features, only those without orientation; of one feature, two.
    criterion : {'bic', 'aic', 'icl', 'cv'} or callable, default='bic'
        Of 'bic', 'aic' and 'icl' the lowest is best. 'icl' is BIC less twice the logarithms of the
        rows' largest responsibilities, as in mclust, whose signs are the opposite. 'cv' is the mean
        log-likelihood of rows that are held out in turn; the largest is best. A callable gets the
        fitted estimator and X, and returns a number; the lowest is best.
    n_init : int, default=1
        Restarts of every fit.
    cv : int or splitter, default=5
        Of 'cv': a number of folds of shuffled rows, or an object with scikit-learn's ``split``.
    estimator : type or estimator, optional
        GaussianMixture by default. Of an object, its arguments hold where none are given here. A
        BayesianGaussianMixture needs 'cv' or a callable: it has no criterion of a likelihood.
    sample_weight : array-like of shape (n_samples,), str or int, optional
        As for `fit`.
    labels : array-like of int, shape (n_samples,), str or int, optional
        As for `fit`: components of rows, -1 where unknown, or the column that holds them. A fit
        with fewer components than that fails. Criteria are of all rows, as if none were labelled;
        so is what is held out.
    random_state : int, RandomState or None, default=None
        Fits with k components have ``SeedSequence(random_state, spawn_key=(k,)).generate_state(1)``
        (of `numpy.random`) as their `random_state`, whatever else is searched.
    n_jobs : int or None, default=None
        Threads, as for the estimators. No result depends on it.
    on_error : {'record', 'raise'}, default='record'
        What to do if a fit fails: note it in the table and go on, or raise. Bad rows always raise.
    progress : bool, default=False
        Show on standard error how far it is.
    checkpoint : path, optional
        File that keeps the fits that are done. After an end of any kind, the same call goes on.
    share_starts : bool or 'split', default=True
        'split' starts from the mixture of the next smaller number of components and the same
        structure, of which it splits the worst component; no such fit ends below that mixture.
        False makes every start anew, to the same bits.
    engine : {None, 'dask'}, default=None
        'dask' spreads the fits over the workers of the current client of `dask.distributed`. Rows
        in memory travel to each once, and files are read by the workers. Rows that are on the
        cluster already, and a source that is open, are fitted from here, one fit after another.
    **parameters
        All other arguments of the estimator. `init_params` may be a list of names and functions: of
        the fits by each, the likeliest that is in order stays.

    Returns
    -------
    selection : Selection

    Raises
    ------
    ValueError, TypeError
        If rows or arguments are out of range, or no fit succeeds.
    KeyboardInterrupt
        Its attribute `selection` has what was done before, or None if that is nothing.

    Warns
    -----
    UserWarning
        If no fit is in order, so that the best of the others is named.

    Notes
    -----
    The three best fits, and those that take their places, are made again with a hundredth of `tol`
    before one is named: where EM stops early, differences of a criterion are not to be trusted.

    A fit is in order if every component has at least n_features + 1 rows of weight, and no
    covariance, less its regularisation and in units of the features' deviations, has an eigenvalue
    close to zero. The others have likelihoods without bound, and would win for nothing.

    References
    ----------
    Schwarz 1978 (BIC); Akaike 1974 (AIC); Biernacki, Celeux & Govaert 2000 (ICL); Smyth 2000,
    "Model selection for probabilistic clustering using cross-validated likelihood".

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import select
    >>> random = np.random.default_rng(0)
    >>> X = np.concatenate([random.normal(m, 1, size=(200, 2)) for m in (0, 8)])
    >>> selection = select(X, range(1, 5), random_state=0)
    >>> selection.best_estimator_.n_components
    2
    """
    n_init, n_jobs, random_state = _own(estimator, n_init, n_jobs, random_state)
    kind, parameters = _estimator(estimator, parameters)
    _check_words(criterion, on_error, share_starts, kind)
    entropy = entropy_of(random_state)
    keeper = None if checkpoint is None else Keeper(checkpoint)
    if keeper is not None and random_state is None:
        entropy = keeper.entropy(entropy)
    plan = Plan(
        checked_numbers(n_components),
        (),
        criterion,
        checked_starts(parameters.pop("init_params", "kmeans")),
        n_init,
        kind,
        {**parameters, "n_jobs": n_jobs},
        entropy,
        share_starts,
    )
    cluster = cluster_of(engine)
    if stays_here(X):
        cluster = None
    template = plan.make(1, "full", init_params="kmeans")
    left_to_sklearn(template, **{"select()": True})
    template._validate_params()
    given = X, sample_weight, labels
    X, sample_weight, labels = without_labels(template, *given)
    data = rows_to_fit(template, X, sample_weight, labels, max(plan.n_components))
    names = checked_types(covariance_type, data.source.n_rows, data.source.n_features)
    plan = dataclasses.replace(plan, covariance_types=names)
    _check_arguments(plan, labels)
    pairs = fold_rows(data, cv, entropy) if criterion == "cv" else []
    parts = folds(data, pairs) if pairs else []
    of_worker = dataclasses.replace(plan, parameters={**plan.parameters, "n_jobs": 1})
    recipe = Recipe(of_worker, *given, pairs)
    cells = {} if keeper is None else keeper.resume(plan, data, cv)
    with Progress(len(plan.keys), progress, "fits") as bar, warnings.catch_warnings():
        # What they say is in the table; the filter holds for all threads.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = CellFits(plan, X, data, parts, template)
        search = Search(plan, fits, cells, bar, keeper, on_error == "raise", cluster, recipe)
        try:
            search.run()
        except KeyboardInterrupt as interrupt:
            interrupt.selection = _selection(plan, cells)  # type: ignore[attr-defined]
            raise
        finally:
            if keeper is not None:
                keeper.flush()
    return _result(plan, cells)


def _own(estimator: Any, n_init: int, n_jobs: int | None, random_state: Any) -> tuple:
    """Arguments, or those of an estimator where they have their defaults."""
    if not isinstance(estimator, MixtureEstimator):
        return n_init, n_jobs, random_state
    return (
        estimator.n_init if n_init == 1 else n_init,
        estimator.n_jobs if n_jobs is None else n_jobs,
        estimator.random_state if random_state is None else random_state,
    )


def _estimator(estimator: Any, parameters: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The class, and its arguments but for those that the search sets."""
    estimator = GaussianMixture if estimator is None else estimator
    if isinstance(estimator, MixtureEstimator):
        parameters = {**estimator.get_params(deep=False), **parameters}
        for name in ("n_components", "covariance_type", "n_init", "random_state", "n_jobs"):
            parameters.pop(name)
        estimator = type(estimator)
    if not (isinstance(estimator, type) and issubclass(estimator, MixtureEstimator)):
        raise TypeError(
            "estimator should be fastgmm.GaussianMixture or fastgmm.BayesianGaussianMixture, or "
            f"such an object, but got {estimator!r}."
        )
    return estimator, dict(parameters)


def _check_words(criterion: Any, on_error: Any, share_starts: Any, kind: Any) -> None:
    if on_error not in ("record", "raise"):
        raise ValueError(f"on_error should be 'record' or 'raise', but got {on_error!r}.")
    if not (isinstance(share_starts, bool) or share_starts == "split"):
        raise ValueError(f"share_starts should be True, False or 'split', not {share_starts!r}.")
    if not callable(criterion) and criterion not in CRITERIA:
        raise ValueError(
            f"criterion should be one of {', '.join(map(repr, CRITERIA))}, or a function of a "
            f"fitted estimator and X, but got {criterion!r}."
        )
    if not hasattr(kind, "bic"):
        if not callable(criterion) and criterion != "cv":
            raise ValueError(
                f"A {kind.__name__} has no {criterion!r}; choose by 'cv' or by a function."
            )
        if share_starts == "split":
            raise ValueError(f"A {kind.__name__} takes no share_starts='split'.")


def _check_arguments(plan: Plan, labels: Any) -> None:
    """Check what holds for all fits, once; what is about single fits goes to the table."""
    for name in plan.covariance_types:
        for start in plan.starts:
            plan.make(1, name, init_params=start)._validate_params()
    if not plan.covariance_types:
        raise ValueError("covariance_type is empty: there is nothing to fit.")
    _check_together(plan, labels)
    first = plan.starts[0]
    if plan.criterion == "cv" and not (isinstance(first, str) or callable(first)):
        raise ValueError(
            "criterion='cv' fits parts of the rows, and init_params holds an array for all of them."
        )


def _check_together(plan: Plan, labels: Any) -> None:
    """Refuse arguments of the fits that the search cannot do justice to."""
    given = plan.parameters
    if plan.share_starts == "split":
        for name, value in {**given, "labels": labels}.items():
            if name in ("freeze", "noise", "labels") and value is not None:
                raise ValueError(f"share_starts='split' and {name} do not go together.")
    if given.get("noise_init") is not None and plan.criterion == "cv":
        raise ValueError(
            "criterion='cv' fits parts of the rows, and noise_init holds an array for all of them."
        )


def _selection(plan: Plan, cells: dict[tuple[int, str], Cell]) -> Selection | None:
    """What has been done so far; None if no fit has a score."""
    found = [cells.get(key) or Cell(*key, error=_NOT_RUN) for key in plan.keys]
    if all(math.isnan(cell.score) for cell in found):
        return None
    return Selection(found, plan.criterion_name, plan.greater_is_better)


def _result(plan: Plan, cells: dict[tuple[int, str], Cell]) -> Selection:
    """What has been done, with a warning if none of it is in order."""
    selection = _selection(plan, cells)
    if selection is None:
        errors = dict.fromkeys(cell.error for cell in cells.values() if cell.error is not None)
        raise ValueError(f"All {len(cells)} fits failed: {'; '.join(list(errors)[:3])}")
    best = selection.cells[selection.best_index_]
    if best.status != OK:
        warnings.warn(
            f"No fit is in order: the best of the others, {best.n_components} components with "
            f"{best.covariance_type!r}, has the status {best.status!r}.",
            stacklevel=3,
        )
    return selection
