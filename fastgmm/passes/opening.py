"""The choice among the passes over a source; those for special cases are imported for these."""

from typing import TYPE_CHECKING

import numpy as np

from fastgmm.covariance.linalg import LARGE
from fastgmm.engines.base import Engine
from fastgmm.kernels.layout import FORMS, Forms
from fastgmm.passes.base import Pass
from fastgmm.passes.dense import DensePass
from fastgmm.sources.base import RowSource

if TYPE_CHECKING:
    from fastgmm.sources.missing import MissingTally

LEAST_COMPONENTS = 64
"""From so many components on, cells are thought of at all."""

_LEAST_ROWS, _MOST_ROWS = 1 << 14, 1 << 25
"""Of a source in cells: with fewer nothing is gained, with more the order takes much memory."""

_FEW_ROWS = 2
"""Rows per feature up to which the inverses of factors are a part of the work that counts."""


def open_pass(
    source: RowSource,
    forms: Forms,
    engine: Engine,
    n_components: int,
    labels: np.ndarray | None = None,
    tally: "MissingTally | None" = None,
) -> Pass:
    """The pass that suits a source and a number of components.

    Parameters
    ----------
    source : RowSource
    forms : Forms
        Of the structure.
    engine : Engine
    n_components : int
    labels : ndarray of int32, shape (n,), optional
        See `DensePass`.
    tally : MissingTally, optional
        Of the source, if values are missing in it.
    """
    if tally is not None:
        from fastgmm.passes.missing import MissingPass

        return MissingPass(source, tally, forms, engine, n_components, labels)
    dense = DensePass(source, forms, engine, n_components, labels)
    if labels is not None:
        return dense
    if is_wide(source.n_rows, source.n_features, forms):
        from fastgmm.passes.wide import WidePass

        return WidePass(dense, source, forms)
    if may_be_in_cells(source, n_components):
        from fastgmm.passes.cells import CellPass

        return CellPass(dense, source, forms, engine)
    return dense


def is_wide(n_rows: int, n_features: int, forms: Forms) -> bool:
    """Whether rows are few for their features, and matrices are left to BLAS anyway."""
    wide = n_features >= LARGE and n_rows <= _FEW_ROWS * n_features
    return wide and forms.density in [with_matrices.density for with_matrices in FORMS[:2]]


def may_be_in_cells(source: RowSource, n_components: int) -> bool:
    """Whether a problem of this size is worth a closer look."""
    if source.place is not None and not source.place.whole_chunks:
        return False
    return n_components >= LEAST_COMPONENTS and _LEAST_ROWS <= source.n_rows <= _MOST_ROWS
