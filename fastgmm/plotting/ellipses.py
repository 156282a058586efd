"""Components over the rows: ellipses that hold a probability, in any two features or in all."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from scipy.stats import chi2

from fastgmm.plotting.densities import draw_one_dimension
from fastgmm.plotting.style import (
    DARK,
    GREY,
    MOST_IN_LEGEND,
    axes_of,
    colour_of,
    marker_of,
    panels,
    percent,
    plain,
)
from fastgmm.plotting.views import Marginal, View, checked_levels

_MOST_FEATURES = 10
"""Features of which all pairs are drawn; more would be too small to see."""

_PANEL = 2.3
"""Inches of a panel of many."""


def components(
    model: Any,
    X: Any = None,
    *,
    features: Any = (0, 1),
    levels: Any = (0.5, 0.95),
    ax: Axes | None = None,
) -> Axes:
    r"""Rows by component, and an ellipse for every component and level.

    An ellipse at the level p holds the share p of its component in the two features shown, whatever
    other features there are: its half-axes are :math:`\sqrt{\chi^2_2(p) \lambda}` with the
    eigenvalues :math:`\lambda` of the 2 x 2 block of the covariance, and the quantile of the
    chi-square distribution of two degrees of freedom. Of one feature, histogram and curves are
    drawn instead, as by `density`. Noise has no ellipse; its rows are grey.

    Parameters
    ----------
    model : GaussianMixture or BayesianGaussianMixture
        Fitted; scikit-learn's own, too.
    X : array-like of shape (n_samples, n_features), path or source, optional
        What `predict` takes. Of more than 10,000 rows so many are drawn, chosen at random with a
        fixed seed, and the legend says so.
    features : pair of int or str, default=(0, 1)
        The two features to show, by number or by name.
    levels : sequence of float, default=(0.5, 0.95)
        Probabilities between 0 and 1.
    ax : matplotlib.axes.Axes, optional
        To draw on; the current one by default.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If the model is no mixture.
    sklearn.exceptions.NotFittedError
    ValueError
        If there is no such feature, a level is out of range, or the rows are not the model's.
    """
    view, levels = View(model, X), checked_levels(levels)
    numbers, ax = view.shown(features), axes_of(ax)
    marginal = view.marginal(numbers)
    if len(numbers) == 1:
        draw_one_dimension(ax, view, numbers[0], marginal)
        return ax
    labels = labels_of(view)
    draw_rows(ax, view.rows[:, numbers], labels)
    draw_ellipses(ax, marginal, levels)
    ax.set_xlabel(marginal.names[0])
    ax.set_ylabel(marginal.names[1])
    plain(ax)
    _add_legend(ax, view, marginal, levels, labels)
    return ax


def pairs(
    model: Any,
    X: Any = None,
    *,
    features: Any = None,
    levels: Any = (0.5, 0.95),
    ax: Axes | None = None,
) -> Figure | SubFigure:
    """All pairs of features, with the density of each on the diagonal.

    Every panel shows the mixture in its own features, the others integrated out.

    Parameters
    ----------
    model, X, levels
        See `components`.
    features : sequence of int or str, optional
        Those to show; all by default, if they are no more than ten.
    ax : matplotlib.axes.Axes, optional
        A subplot whose place is divided; a new figure by default.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        See `components`; and if there are more than ten features.
    """
    view, levels = View(model, X), checked_levels(levels)
    numbers = list(range(len(view.names))) if features is None else view.numbers(features)
    if not 1 <= len(numbers) <= _MOST_FEATURES:
        raise ValueError(
            f"pairs shows 1 to {_MOST_FEATURES} features, not {len(numbers)}; choose some by "
            "features=."
        )
    figure, places = panels(ax, len(numbers), len(numbers), _PANEL)
    labels = labels_of(view)
    for i, row in enumerate(numbers):
        for j, column in enumerate(numbers):
            panel = places[i, j]
            if i == j:
                draw_one_dimension(panel, view, row, view.marginal([row]), legend=False)
                panel.set_ylabel("")
                panel.set_yticks([])
            else:
                draw_rows(panel, view.rows[:, [column, row]], labels, size=6)
                draw_ellipses(panel, view.marginal([column, row]), levels, numbered=False)
            _label_outside(panel, view.names[column], view.names[row], i, j, len(numbers))
    for i in range(len(numbers)):
        for j in range(len(numbers)):
            places[i, j].set_xlim(places[j, j].get_xlim())
            if i != j:
                places[i, j].set_ylim(places[i, i].get_xlim())
    return figure


def labels_of(view: View) -> np.ndarray:
    """Labels of the rows shown; -1 for what is of no component."""
    if not len(view.rows):
        return np.empty(0, dtype=np.int64)
    labels = np.asarray(view.model.predict(view.rows))
    return np.where(labels < len(view.model.means_), labels, -1)


def draw_rows(ax: Axes, rows: np.ndarray, labels: np.ndarray, size: float = 14) -> None:
    """Rows (n, 2) in the colours and markers of their components; grey for those of none."""
    alpha = float(np.clip(30 / np.sqrt(max(len(rows), 1)), 0.25, 0.85))
    for label in np.unique(labels):
        chosen = rows[labels == label]
        points: PathCollection = ax.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=size,
            color=colour_of(label),
            marker=marker_of(label),
            alpha=alpha,
            linewidths=0 if label >= 0 else 0.8,
            zorder=1,
        )
        points.set_rasterized(len(rows) > 2000)


def draw_ellipses(
    ax: Axes, marginal: Marginal, levels: list[float], *, numbered: bool | None = None
) -> list[Ellipse]:
    """Ellipses that hold the levels of each component, and a cross at its mean."""
    k = len(marginal.means)
    numbered = k > MOST_IN_LEGEND if numbered is None else numbered
    made = []
    for c in range(k):
        for level in levels:
            ellipse = ellipse_of(marginal.means[c], marginal.covariances[c], level)
            ellipse.set(edgecolor=DARK, facecolor="none", linewidth=2.2, alpha=0.35, zorder=2)
            inner = ellipse_of(marginal.means[c], marginal.covariances[c], level)
            inner.set(edgecolor=colour_of(c), facecolor="none", linewidth=1.5, zorder=3)
            for patch in (ellipse, inner):
                ax.add_patch(patch)
            made.append(inner)
        if numbered:
            ax.annotate(
                str(c),
                marginal.means[c],
                ha="center",
                va="center",
                fontsize="small",
                zorder=5,
                bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": colour_of(c), "lw": 1},
            )
        else:
            ax.plot(*marginal.means[c], marker="+", color=DARK, ms=8, mew=1.8, zorder=4)
    ax.autoscale_view()
    return made


def ellipse_of(mean: np.ndarray, covariance: np.ndarray, level: float) -> Ellipse:
    """The ellipse (2,), (2, 2) that holds the probability `level`."""
    variances, axes = np.linalg.eigh(covariance)
    # eigh sorts upwards, so that the last is the long axis; rounding may leave a variance below 0.
    short, long = 2.0 * np.sqrt(chi2.ppf(level, 2) * np.maximum(variances, 0.0))
    angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
    return Ellipse((mean[0], mean[1]), width=long, height=short, angle=angle)


def _add_legend(
    ax: Axes, view: View, marginal: Marginal, levels: list[float], labels: np.ndarray
) -> None:
    entries = []
    k = len(marginal.weights)
    if k <= MOST_IN_LEGEND:
        entries += [
            Line2D(
                [],
                [],
                color=colour_of(c),
                marker=marker_of(c),
                ms=5,
                label=f"{c} ({percent(marginal.weights[c])})",
            )
            for c in range(k)
        ]
    if (labels < 0).any():
        entries.append(Line2D([], [], ls="", color=GREY, marker="x", label="noise"))
    held = " and ".join(percent(level) for level in levels)
    title = f"ellipses hold {held}"
    if view.thinning:
        title += f"\n{view.thinning}"
    legend = ax.legend(
        handles=entries, title=title, fontsize="small", title_fontsize="small", framealpha=0.8
    )
    legend.set_zorder(6)


def _label_outside(panel: Axes, across: str, up: str, i: int, j: int, n: int) -> None:
    """Names and numbers at the left and at the bottom of the whole only."""
    plain(panel)
    if i == n - 1:
        panel.set_xlabel(across)
    else:
        panel.set_xlabel("")
        panel.tick_params(labelbottom=False)
    if j == 0:
        panel.set_ylabel(up)
    elif i != j:
        panel.tick_params(labelleft=False)
