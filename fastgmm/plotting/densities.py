"""The density of a mixture: contours in two features, a curve over a histogram in one."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from fastgmm.covariance import STRUCTURES
from fastgmm.gaussian import pdf
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.plotting.style import (
    DARK,
    GREY,
    MOST_IN_LEGEND,
    axes_of,
    colour_of,
    percent,
    plain,
)
from fastgmm.plotting.views import Marginal, View, checked_levels

_GRID = 160
"""Points of the grid along each of two features."""

_CURVE = 600
"""Points of a curve."""

_ABOUT_MEANS = 240
"""Points about the means, beside those, so that no component is too narrow to be seen."""

_MOST_BINS = 60

_DRAWS = 20_000
"""Draws that the levels of contours are quantiles of."""


def density(
    model: Any,
    X: Any = None,
    *,
    features: Any = (0, 1),
    levels: Any = (0.25, 0.5, 0.75, 0.95),
    ax: Axes | None = None,
) -> Axes:
    """Contours of the density in two features; or, in one, the density and its parts.

    The contour at the level p bounds the smallest region that holds the share p of the mixture
    (Hyndman 1996, Computing and graphing highest density regions): the density there is the
    quantile 1 - p of those at 20,000 draws with a fixed seed. Of one feature, the mixture and its
    components times their weights are drawn over a histogram of the rows, and `levels` is not used.
    Features that are not shown are integrated out.

    Noise of a model of one feature is a part, too, as high as its weight over its volume within its
    box. Of more features, contours and curves show the Gaussian part alone, and
    the legend of contours says so.

    Parameters
    ----------
    model, X
        See `components`.
    features : int, str or pair of these, default=(0, 1)
    levels : sequence of float, default=(0.25, 0.5, 0.75, 0.95)
        Probabilities between 0 and 1.
    ax : matplotlib.axes.Axes, optional
        To draw on; the current one by default.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        See `components`.
    """
    view, levels = View(model, X), checked_levels(levels)
    numbers, ax = view.shown(features), axes_of(ax)
    marginal = view.marginal(numbers)
    if len(numbers) == 1:
        draw_one_dimension(ax, view, numbers[0], marginal)
        return ax
    rows = view.rows[:, numbers]
    if len(rows):
        alpha = float(np.clip(20 / np.sqrt(len(rows)), 0.15, 0.7))
        points = ax.scatter(
            rows[:, 0], rows[:, 1], s=8, color=GREY, alpha=alpha, linewidths=0, zorder=3
        )
        points.set_rasterized(len(rows) > 2000)
    x, y = (_points(marginal, rows, j, _GRID) for j in (0, 1))
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    heights = _log_density(marginal, grid)
    bounds = _thresholds(marginal, levels)
    shades = colormaps["Blues"](np.linspace(0.15, 0.75, len(levels)))
    ax.contourf(x, y, heights, levels=[*bounds, np.inf], colors=shades, zorder=1)
    ax.contour(
        x, y, heights, levels=bounds, colors=DARK, linestyles="solid", linewidths=0.8, zorder=2
    )
    whole = "smallest regions that hold"
    if getattr(view.model, "noise_weight_", 0):
        whole = f"without the noise, {whole}"
    ax.legend(
        handles=[
            Patch(facecolor=shade, edgecolor=DARK, label=percent(level))
            for shade, level in zip(shades, levels[::-1], strict=True)
        ],
        title=whole + (f"\n{view.thinning}" if view.thinning else ""),
        fontsize="small",
        title_fontsize="small",
    )
    ax.set_xlabel(marginal.names[0])
    ax.set_ylabel(marginal.names[1])
    plain(ax)
    return ax


def draw_one_dimension(
    ax: Axes, view: View, number: int, marginal: Marginal, *, legend: bool = True
) -> None:
    """The density in one feature, its parts, and a histogram of the rows."""
    rows, weights = view.rows[:, number], view.row_weights
    finite = np.isfinite(rows)
    rows, weights = rows[finite], None if weights is None else weights[finite]
    if len(rows):
        bins = int(np.clip(2 * np.sqrt(len(rows)), 10, _MOST_BINS))
        style: Any = {"color": "#D9D9D9", "edgecolor": "white", "lw": 0.4, "label": "rows"}
        ax.hist(rows, bins, density=True, weights=weights, **style)
    x = _with_steps(_points(marginal, rows[:, np.newaxis], 0, _CURVE), _noise_ends(view))
    means, deviations = marginal.means, np.sqrt(marginal.covariances[:, :, 0])
    parts = marginal.weights[:, np.newaxis] * pdf(x, means, scale=deviations)
    noise = _noise_part(view, x)
    ax.plot(x, parts.sum(axis=0) + noise, color=DARK, lw=3.4, alpha=0.45, label="mixture")
    few = len(parts) <= MOST_IN_LEGEND
    dashes = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
    for c, part in enumerate(parts):
        label = f"{c} ({percent(marginal.weights[c])})" if few else None
        ax.plot(x, part, color=colour_of(c), ls=dashes[c % len(dashes)], lw=1.6, label=label)
    if noise.any():
        label = f"noise ({percent(view.model.noise_weight_)})"
        ax.plot(x, noise, color=GREY, lw=1.6, label=label)
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(bottom=0)
    ax.set_xlabel(marginal.names[0])
    ax.set_ylabel("density")
    plain(ax)
    if legend:
        ax.legend(title=view.thinning or None, fontsize="small", title_fontsize="small")


def _noise_ends(view: View) -> np.ndarray:
    """The two ends of the box of noise, of a model of one feature that has any; else none."""
    if len(view.names) > 1 or not hasattr(view.model, "noise_box_"):
        return np.empty(0)
    return np.sort(np.cumsum(view.model.noise_box_[:, 0]))


def _noise_part(view: View, x: np.ndarray) -> np.ndarray:
    """The density of noise times its weight, at points (n,)."""
    ends = _noise_ends(view)
    if not len(ends):
        return np.zeros(len(x))
    height = view.model.noise_weight_ / view.model.noise_volume_
    return np.where((x >= ends[0]) & (x <= ends[1]), height, 0.0)


def _with_steps(points: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Points in order, and those on either side of the ends that lie among them."""
    beside = np.concatenate([np.nextafter(ends, -np.inf), ends, np.nextafter(ends, np.inf)])
    return np.union1d(points, beside[(beside > points[0]) & (beside < points[-1])])


def _log_density(marginal: Marginal, points: np.ndarray) -> np.ndarray:
    """Logarithm of the density at points (..., m)."""
    model = GaussianMixture(len(marginal.means))
    model.weights_, model.means_, model.covariances_ = marginal[1:]
    model.precisions_cholesky_ = STRUCTURES[model.covariance_type].factor(marginal.covariances)
    heights = model.score_samples(points.reshape(-1, points.shape[-1]))
    return heights.reshape(points.shape[:-1])


def _thresholds(marginal: Marginal, levels: list[float]) -> list[float]:
    """Log-densities that bound the smallest regions of the levels, from the largest level on."""
    random = np.random.default_rng(0)
    shares = marginal.weights / marginal.weights.sum()
    labels = random.choice(len(shares), _DRAWS, p=shares)
    roots = np.linalg.cholesky(marginal.covariances)
    deviates = random.standard_normal((_DRAWS, marginal.means.shape[1]))
    draws = marginal.means[labels] + np.einsum("nij,nj->ni", roots[labels], deviates)
    found = np.quantile(_log_density(marginal, draws), 1.0 - np.array(levels[::-1]))
    return [float(bound) for bound in found]


def _points(marginal: Marginal, rows: np.ndarray, j: int, n: int) -> np.ndarray:
    """Where a feature is looked at, in order: evenly, and more closely about the means."""
    lower, upper = _span(marginal, rows, j)
    about = np.linspace(-3, 3, int(np.clip(_ABOUT_MEANS // len(marginal.means), 5, 41)))
    near = marginal.means[:, [j]] + np.sqrt(marginal.covariances[:, j, j])[:, np.newaxis] * about
    points = np.unique(np.concatenate([np.linspace(lower, upper, n), near.ravel()]))
    return points[(points >= lower) & (points <= upper)]


def _span(marginal: Marginal, rows: np.ndarray, j: int) -> tuple[float, float]:
    """From where to where a feature is shown: rows, and three deviations of the components."""
    deviations = np.sqrt(marginal.covariances[:, j, j])
    heavy = marginal.weights > 0
    ends = np.concatenate(
        [
            (marginal.means[:, j] - 3.2 * deviations)[heavy],
            (marginal.means[:, j] + 3.2 * deviations)[heavy],
            rows[np.isfinite(rows[:, j]), j],
        ]
    )
    return float(ends.min()), float(ends.max())
