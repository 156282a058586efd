"""How charts look: one palette, light background, no more ink than needed."""

from collections.abc import Iterable
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct for colour-blind readers, and in grey.
COLOURS = {"full": "#0072B2", "tied": "#D55E00", "diag": "#009E73", "spherical": "#AA4499"}
MARKERS = {"full": "o", "tied": "s", "diag": "^", "spherical": "D"}
INK, GREY, LIGHT = "#222222", "#666666", "#dddddd"

_SETTINGS = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "figure.facecolor": "white",
    "lines.linewidth": 2,
    "lines.markersize": 6,
}


def styled() -> Any:
    """Context in which figures are made and drawn."""
    settings: Any = _SETTINGS
    return rc_context(settings)


def panels(
    rows: int, columns: int, width: float, height: float, **options: Any
) -> tuple[Figure, Any]:
    """A figure of inches `width` by `height`, and its axes as an array of two dimensions."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def label_ends(figure: Figure, axes: Axes, ends: Iterable[tuple[float, float, str, str]]) -> None:
    """Name lines at their right end, moved apart where they would overlap.

    Parameters
    ----------
    figure : Figure
        Laid out already.
    axes : Axes
        Logarithmic in y, limits already set.
    ends : iterable of (x, y, text, colour)
    """
    bottom, top = axes.get_ylim()
    transform = axes.transScale.transform
    low, high = transform((1, bottom))[1], transform((1, top))[1]
    inches = figure.get_size_inches()[1] * axes.get_position().height
    gap = (high - low) * 0.16 / inches
    previous = float("-inf")
    for x, y, text, colour in sorted(ends, key=lambda end: end[1]):
        position = max(transform((1, y))[1], previous + gap)
        previous = position
        place = axes.transScale.inverted().transform((0, position))[1]
        axes.annotate(
            text,
            (x, place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            annotation_clip=False,
        )
