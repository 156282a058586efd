"""The fits of a search on the workers of a cluster."""

from typing import Any, NamedTuple

from fastgmm.estimator.rows import rows_to_fit, without_labels
from fastgmm.selection.cell import Cell, Key
from fastgmm.selection.fits import CellFits
from fastgmm.selection.plan import Plan
from fastgmm.selection.rows import folds


class Recipe(NamedTuple):
    """What `CellFits` are made from in another process: rows as they were given, and a plan.

    Parameters
    ----------
    plan : Plan
    X, sample_weight, labels : object
        As the caller gave them.
    pairs : list of (ndarray, ndarray)
        Rows to fit and rows to judge by, for every fold; empty if there are none.
    """

    plan: Plan
    X: Any
    sample_weight: Any
    labels: Any
    pairs: list

    def __reduce__(self) -> tuple:
        return _opened, tuple(self)


class Piece(NamedTuple):
    """Cells to make one after another; see `CellFits.chain`."""

    keys: list[Key]
    tol: float
    known: dict[Key, Cell]


def cells_of(piece: Piece, fits: CellFits) -> list[Cell]:
    """The cells of a piece; called on a worker."""
    return list(fits.chain(*piece))


def _opened(plan: Plan, X: Any, sample_weight: Any, labels: Any, pairs: list) -> CellFits:
    template = plan.make(1, "full", init_params="kmeans")
    X, sample_weight, labels = without_labels(template, X, sample_weight, labels)
    data = rows_to_fit(template, X, sample_weight, labels, max(plan.n_components))
    parts = folds(data, pairs) if pairs else []
    return CellFits(plan, X, data, parts, template)
