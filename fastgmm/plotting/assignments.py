"""To which component rows belong, how surely, and what k-means would have said."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans

from fastgmm.plotting.ellipses import draw_ellipses, draw_rows, labels_of
from fastgmm.plotting.style import DARK, axes_of, colour_of, marker_of, panels, percent, plain
from fastgmm.plotting.views import View

_PANEL = 4.2
"""Inches of each of two panels."""

_ROWS_OF_FULL_SIZE = 500
"""Rows beyond which markers shrink, so that they cover no larger area together."""


def responsibilities(
    model: Any,
    X: Any,
    *,
    features: Any = (0, 1),
    kind: str = "heatmap",
    ax: Axes | None = None,
) -> Axes:
    """The probability of every component for the rows: as a heat map, or how unsure it is.

    Parameters
    ----------
    model, X
        See `components`.
    features : pair of int or str, default=(0, 1)
        Those that show the uncertainty.
    kind : {"heatmap", "uncertainty"}, default="heatmap"
        ``"heatmap"`` has a line for every row and a column for every component, rows in the order
        of their labels, the surest first. ``"uncertainty"`` shows rows in two features, the larger
        the less sure: one minus the largest responsibility (as in mclust, Scrucca et al. 2016, The
        R Journal 8).
    ax : matplotlib.axes.Axes, optional
        To draw on; the current one by default.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        See `components`; and if there is no such kind.
    """
    kinds = ("heatmap", "uncertainty")
    if kind not in kinds:
        raise ValueError(f"kind should be one of {', '.join(kinds)}, but is {kind!r}.")
    view = View(model, X)
    view.check_rows()
    numbers, ax = view.shown(features), axes_of(ax)
    shares = np.asarray(view.model.predict_proba(view.rows))
    if kind == "heatmap":
        _draw_heatmap(ax, shares, len(view.model.means_))
    else:
        _draw_uncertainty(ax, view, numbers, shares)
    if view.thinning:
        ax.set_title(view.thinning, fontsize="small")
    return ax


def _draw_heatmap(ax: Axes, shares: np.ndarray, n_components: int) -> None:
    labels = shares.argmax(axis=1)
    order = np.lexsort((-shares.max(axis=1), labels))
    k = shares.shape[1]
    image = ax.imshow(
        shares[order],
        aspect="auto",
        cmap="cividis",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(-0.5, k - 0.5, len(shares), 0),
    )
    ax.figure.colorbar(image, ax=ax, label="responsibility")
    ticks = [*range(0, n_components, 1 if k <= 20 else -(-k // 10)), *range(n_components, k)]
    ax.set_xticks(ticks, [str(c) if c < n_components else "noise" for c in ticks])
    ax.set_xlabel("component")
    ax.set_ylabel("rows, by label and certainty")


def _draw_uncertainty(ax: Axes, view: View, numbers: list[int], shares: np.ndarray) -> None:
    uncertainty = 1.0 - shares.max(axis=1)
    rows = view.rows[:, numbers]
    if len(numbers) == 1:
        rows = np.column_stack([rows[:, 0], uncertainty])
    area = min(1.0, _ROWS_OF_FULL_SIZE / max(len(rows), 1))
    sizes, rim = area * (10 + 160 * uncertainty), 0.8 * area**0.5
    labels, finite = labels_of(view), np.isfinite(rows).all(axis=1)
    for label in np.unique(labels[finite]):
        chosen = finite & (labels == label)
        rims = np.where(uncertainty[chosen] > 0.25, rim, 0.0)
        ax.scatter(
            rows[chosen, 0],
            rows[chosen, 1],
            s=sizes[chosen],
            color=colour_of(label),
            marker=marker_of(label),
            alpha=0.7,
            **({"linewidths": rim} if label < 0 else {"edgecolors": DARK, "linewidths": rims}),
            label=str(label) if label >= 0 else "noise",
        )
    ax.set_xlabel(view.names[numbers[0]])
    ax.set_ylabel(view.names[numbers[1]] if len(numbers) > 1 else "uncertainty")
    if finite.any():
        legend: Any = ax.legend(
            title="the larger, the less sure", fontsize="small", title_fontsize="small"
        )
        for handle in legend.legend_handles:
            handle.set_sizes([40.0])  # of no row
    plain(ax)


def kmeans_comparison(
    model: Any, X: Any, *, features: Any = (0, 1), ax: Axes | None = None
) -> Figure | SubFigure:
    """K-means and the mixture, side by side on the same rows.

    k-means measures all distances alike, as a mixture of equal, spherical components of vanishing
    variance would (Bishop 2006, section 9.3.2); a mixture divides them by each component's own
    variance. Clusters of k-means have the colours of the components that share most rows with them.

    Parameters
    ----------
    model, X
        See `components`.
    features : pair of int or str, default=(0, 1)
        The two features to show; both methods use all.
    ax : matplotlib.axes.Axes, optional
        A subplot whose place is divided; a new figure by default.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        See `components`; and if the model has but one feature, values are missing, or there are
        fewer rows than components.
    """
    view = View(model, X)
    view.check_rows()
    numbers = view.shown(features)
    if len(numbers) != 2:
        raise ValueError("kmeans_comparison shows two features.")
    k = len(view.model.means_)
    if np.isnan(view.rows).any():
        raise ValueError("kmeans_comparison needs rows without missing values.")
    if len(view.rows) < k:
        raise ValueError(
            f"X should have at least as many rows as components, {k}, but has {len(view.rows)}."
        )
    labels = labels_of(view)
    kmeans = KMeans(k, n_init=10, random_state=0).fit(view.rows, sample_weight=view.row_weights)
    # Row c, column b: rows of cluster c and of component b.
    shared = np.array(
        [[np.sum((kmeans.labels_ == c) & (labels == b)) for b in range(k)] for c in range(k)]
    )
    _, partner = linear_sum_assignment(-shared)
    clusters = partner[kmeans.labels_]
    figure, places = panels(ax, 1, 2, _PANEL)
    left, right = places[0]
    rows = view.rows[:, numbers]
    draw_rows(left, rows, clusters)
    left.scatter(
        *kmeans.cluster_centers_[:, numbers].T, marker="+", s=80, color=DARK, linewidths=1.8
    )
    draw_rows(right, rows, labels)
    draw_ellipses(right, view.marginal(numbers), [0.5, 0.95])
    left.set_title("k-means: distances alike")
    apart = percent(np.mean(clusters != labels))
    right.set_title(f"mixture: {apart} of rows elsewhere")
    for panel in (left, right):
        panel.set_xlabel(view.names[numbers[0]])
        plain(panel)
    left.set_ylabel(view.names[numbers[1]])
    left.set(xlim=right.get_xlim(), ylim=right.get_ylim())
    return figure
