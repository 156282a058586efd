"""How fits went, and which of them a criterion chooses."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fastgmm.plotting.style import DARK, axes_of, colour_of, marker_of, plain

_CRITERIA = ("bic", "aic", "icl")

_DASHES = ("-", "--", "-.", ":")


def convergence(model: Any, *, gap: bool = False, ax: Axes | None = None) -> Axes:
    """The bound that EM raises, against its passes over the rows.

    Parameters
    ----------
    model : estimator, or mapping of str to estimator, or sequence of estimators
        Fitted. Several are drawn beside each other: restarts, or an accelerated fit and a plain
        one, under the names of the mapping.
    gap : bool, default=False
        Whether to draw how far the bound is below the best of all, on a scale of powers of ten.
    ax : matplotlib.axes.Axes, optional
        To draw on; the current one by default.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If a model does not remember its bounds.
    ValueError
        If there is none.
    """
    fits: Mapping[str, Any]
    if isinstance(model, Mapping):
        fits = model
    elif isinstance(model, (list, tuple)):
        fits = {f"restart {i}": fit for i, fit in enumerate(model)}
    else:
        fits = {"": model}
    bounds = {name: _bounds_of(fit) for name, fit in fits.items()}
    if not any(map(len, bounds.values())):
        raise ValueError("There is no iteration to draw.")
    ax = axes_of(ax)
    best = max(values.max() for values in bounds.values() if len(values))
    for c, (name, values) in enumerate(bounds.items()):
        passes = np.arange(1, len(values) + 1)
        heights = np.where(values < best, best - values, np.nan) if gap else values
        style: Any = {"color": colour_of(c), "ls": _DASHES[c % len(_DASHES)], "label": name}
        style |= {"marker": marker_of(c), "ms": 4, "markevery": max(1, len(passes) // 25)}
        ax.plot(passes, heights, lw=1.5, **style)
    plainly = all(hasattr(fit, "bic") for fit in fits.values())
    what = "log-likelihood per row" if plainly else "lower bound"
    ax.set_xlabel("pass over the rows")
    ax.set_ylabel(f"{what}, below the best" if gap else what)
    if gap:
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain(ax)
    if len(bounds) > 1:
        ax.legend(fontsize="small")
    return ax


def _bounds_of(model: Any) -> np.ndarray:
    bounds = getattr(model, "lower_bounds_", None)
    if bounds is None:
        raise TypeError(
            f"{type(model).__name__} has no lower_bounds_: convergence shows fitted mixtures."
        )
    return np.asarray(bounds, dtype=np.float64)


def selection(selection: Any, *, criterion: str | None = None, ax: Axes | None = None) -> Axes:
    """A criterion against the number of components, a line per structure, the best marked.

    Parameters
    ----------
    selection : Selection
        What `fastgmm.select` returns. Fits that failed are gaps; crosses are fits that it does not
        choose among, since a component has collapsed or has few rows.
    criterion : {"bic", "aic", "icl"}, optional
        Another than the one that chose; then its lowest value is marked.
    ax : matplotlib.axes.Axes, optional
        To draw on; the current one by default.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If it is no selection.
    ValueError
        If there is no such criterion, or no fit has one.
    """
    if not all(hasattr(selection, name) for name in ("to_frame", "best_index_")):
        raise TypeError(f"selection shows a Selection, not {type(selection).__name__}.")
    frame, chosen_by = selection.to_frame(), getattr(selection, "criterion", "bic")
    name = chosen_by if criterion is None else criterion
    if name not in (chosen_by, *_CRITERIA):
        raise ValueError(f"criterion should be one of {', '.join(_CRITERIA)}, but is {name!r}.")
    # Of held-out rows, or a caller's own, which have no column of their names.
    values = frame[name if name in frame.columns else "score"].to_numpy(dtype=np.float64)
    if not np.isfinite(values).any():
        raise ValueError(f"No fit has a finite {name}.")
    ok = np.isfinite(values)
    if "status" in frame.columns and (ok & (frame["status"] == "ok")).any():
        ok &= (frame["status"] == "ok").to_numpy()
    if name == chosen_by:
        best = int(selection.best_index_)
    else:
        best = int(np.where(ok, values, np.inf).argmin())
    ax = axes_of(ax)
    counts, kinds = frame["n_components"].to_numpy(), frame["covariance_type"].to_numpy()
    for c, kind in enumerate(dict.fromkeys(kinds)):
        places = np.flatnonzero(kinds == kind)
        places = places[np.argsort(counts[places], kind="stable")]
        style: Any = {"color": colour_of(c), "ls": _DASHES[(c // 8) % len(_DASHES)], "lw": 1.4}
        ax.plot(counts[places], values[places], marker=marker_of(c), ms=5, label=str(kind), **style)
    doubtful = np.isfinite(values) & ~ok
    if doubtful.any():
        ax.plot(
            counts[doubtful], values[doubtful], "x", color=DARK, ms=9, mew=1.2, zorder=4,
            label="not chosen among",
        )  # fmt: skip
    ax.plot(
        counts[best], values[best], "o", ms=14, mfc="none", mec=DARK, mew=1.8, zorder=5,
        label=f"best: {kinds[best]}, {counts[best]}",
    )  # fmt: skip
    ax.set_xlabel("number of components")
    ax.set_ylabel(str(name).upper() if len(str(name)) <= 4 else str(name).replace("_", " "))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize="small")
    plain(ax)
    return ax
