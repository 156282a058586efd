"""What covariance structures mean: which of volume, shape and orientation components share."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from fastgmm.covariance import STRUCTURES
from fastgmm.plotting.ellipses import ellipse_of
from fastgmm.plotting.style import colour_of, panels

_SAME, _OWN, _NONE = "E", "V", "I"

_BY_LETTERS = {
    "EII": "tied_spherical",
    "VII": "spherical",
    "EEI": "tied_diag",
    "VEI": "VEI",
    "EVI": "EVI",
    "VVI": "diag",
    "EEE": "tied",
    "VEE": "VEE",
    "EVE": "EVE",
    "VVE": "VVE",
    "EEV": "EEV",
    "VEV": "VEV",
    "EVV": "EVV",
    "VVV": "full",
}
"""mclust's fourteen, and what ``covariance_type`` calls them."""

_MEANS = np.array([[-1.7, 0.9], [1.7, 0.9], [0.0, -1.3]])

_VOLUMES, _SHAPES, _ANGLES = (0.6, 0.2, 0.36), (2.6, 1.3, 4.0), (20.0, -45.0, 80.0)
"""Of three components, where they differ: determinant's root, ratio of the axes, degrees."""

_COLUMNS, _PANEL = 5, 2.1


class _Letters(NamedTuple):
    volume: str
    shape: str
    orientation: str


def structures(*, ax: Axes | None = None) -> Figure | SubFigure:
    r"""Every covariance structure as three ellipses at a level of 50 %.

    Covariances are :math:`\lambda_c D_c A_c D_c^T`, of volume :math:`\lambda`, shape A and
    orientation D (Banfield & Raftery 1993; Celeux & Govaert 1995). A name's letters say, in this
    order, whether components share each (E), have their own (V), or do without (I).

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
        A subplot whose place is divided; a new figure by default.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    known = {
        letters: name
        for letters, name in _BY_LETTERS.items()
        if name in STRUCTURES or letters in STRUCTURES
    }
    n_columns = min(_COLUMNS, len(known))
    figure, places = panels(ax, -(-len(known) // n_columns), n_columns, _PANEL)
    for panel in places.flat[len(known) :]:
        panel.set_visible(False)
    for panel, (letters, name) in zip(places.flat, known.items(), strict=False):
        for c, covariance in enumerate(_covariances(_Letters(*letters))):
            ellipse = ellipse_of(_MEANS[c], covariance, 0.5)
            ellipse.set(facecolor=colour_of(c), alpha=0.35, edgecolor="none")
            outline = ellipse_of(_MEANS[c], covariance, 0.5)
            outline.set(facecolor="none", edgecolor=colour_of(c), linewidth=1.6)
            panel.add_patch(ellipse)
            panel.add_patch(outline)
        title = letters if name == letters else f"{letters}: {name}"
        panel.set_title(title, fontsize="medium")
        panel.set(xlim=(-3.4, 3.4), ylim=(-3.2, 2.8), aspect="equal", xticks=[], yticks=[])
    return figure


def _covariances(letters: _Letters) -> np.ndarray:
    """Covariances (3, 2, 2) that share what the letters say."""

    def each(letter: str, values: Any, none: float) -> np.ndarray:
        if letter == _OWN:
            return np.array(values)
        return np.full(3, none if letter == _NONE else values[0])

    volume = each(letters.volume, _VOLUMES, 1.0)
    ratio = each(letters.shape, _SHAPES, 1.0)
    angle = np.radians(each(letters.orientation, _ANGLES, 0.0))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = np.moveaxis(turn, -1, 0)
    shape = np.stack([ratio, 1.0 / ratio], axis=-1)  # of determinant 1
    return volume[:, np.newaxis, np.newaxis] * np.einsum("cij,cj,ckj->cik", turn, shape, turn)
