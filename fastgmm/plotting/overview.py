"""One picture of a fit, by the number of its features."""

from typing import Any

from matplotlib.figure import Figure

from fastgmm.plotting.ellipses import components, pairs
from fastgmm.plotting.views import View

MOST_FEATURES = 6
"""Features of which all pairs are drawn; of more, the first."""


def overview(model: Any, X: Any) -> Figure:
    """The density of one feature, the components in two, or all pairs of up to six.

    Parameters
    ----------
    model, X
        See `components`.

    Returns
    -------
    figure : matplotlib.figure.Figure
        That no window shows.
    """
    n_features = len(View(model).names)
    size = 2.0 * min(n_features, MOST_FEATURES)
    figure = Figure(figsize=(max(size, 6.4), max(size, 4.8)), layout="constrained")
    ax = figure.subplots()
    if n_features <= 2:
        components(model, X, ax=ax)
    else:
        pairs(model, X, features=range(min(n_features, MOST_FEATURES)), ax=ax)
    return figure
