"""What all pictures have in common: colours, markers, and where they are drawn."""

from typing import Any

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999933", "#332288")
"""Of the components, in turn: readable to the colour-blind, and apart in print.

The first six are those of Okabe & Ito (2008, Color Universal Design). Their yellow and black, which
are too pale on paper and taken by other lines, are replaced by two of Tol (2021, Colour schemes).
"""

MARKERS = "os^DvPX*"
"""Of the components, in turn, so that colour alone tells nothing."""

GREY, DARK = "#8C8C8C", "#222222"

MOST_IN_LEGEND = 6
"""Components beyond which numbers at the means stand in for the legend."""


def colour_of(component: int) -> str:
    """The colour of a component, by its number; grey of none, which is -1."""
    return COLOURS[component % len(COLOURS)] if component >= 0 else GREY


def marker_of(component: int) -> str:
    """The marker of a component, by its number: another one in every round of colours."""
    if component < 0:
        return "x"
    rounds = component // len(COLOURS)
    return MARKERS[(component + rounds) % len(MARKERS)]


def axes_of(ax: Axes | None) -> Axes:
    """The Axes to draw on: the given one, or pyplot's current one.

    Raises
    ------
    TypeError
        If it is no Axes.
    """
    if ax is None:
        return pyplot.gca()
    if not isinstance(ax, Axes):
        raise TypeError(f"ax should be a matplotlib Axes, but is {type(ax).__name__}.")
    return ax


def panels(
    ax: Axes | None, n_rows: int, n_columns: int, size: float
) -> tuple[Figure | SubFigure, np.ndarray]:
    """A figure and its panels (n_rows, n_columns): a new one, or in the place of an Axes.

    Parameters
    ----------
    ax : Axes or None
        Of a subplot; it is switched off.
    n_rows, n_columns : int
    size : float
        Of a panel of a new figure, in inches.

    Raises
    ------
    ValueError
        If the Axes is of no subplot.
    """
    figure: Any
    if ax is None:
        figure = pyplot.figure(figsize=(size * n_columns, size * n_rows), layout="constrained")
        grid: Any = figure.add_gridspec(n_rows, n_columns)
    else:
        spec = axes_of(ax).get_subplotspec()
        if spec is None:
            raise ValueError("ax should be of a subplot, so that its place can be divided.")
        ax.set_axis_off()
        figure, grid = ax.figure, spec.subgridspec(n_rows, n_columns)
    places = [[figure.add_subplot(grid[i, j]) for j in range(n_columns)] for i in range(n_rows)]
    return figure, np.array(places)


def plain(ax: Axes) -> None:
    """Take off the frame's upper and right sides."""
    ax.spines[["top", "right"]].set_visible(False)


def percent(probability: float) -> str:
    """A probability in words of a legend."""
    return f"{100 * probability:.3g} %"
