"""The choice among the passes over a source."""

import numpy as np

from fastgmm.engines.base import Engine
from fastgmm.kernels.layout import Forms
from fastgmm.passes.base import Pass
from fastgmm.passes.cells import CellPass
from fastgmm.passes.dense import DensePass
from fastgmm.passes.missing import MissingPass
from fastgmm.passes.wide import WidePass
from fastgmm.sources.base import RowSource
from fastgmm.sources.missing import MissingTally


def open_pass(
    source: RowSource,
    forms: Forms,
    engine: Engine,
    n_components: int,
    labels: np.ndarray | None = None,
    tally: MissingTally | None = None,
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
        return MissingPass(source, tally, forms, engine, n_components, labels)
    dense = DensePass(source, forms, engine, n_components, labels)
    if labels is not None:
        return dense
    if WidePass.pays(source.n_rows, source.n_features, forms):
        return WidePass(dense, source, forms)
    if CellPass.may_pay(source, n_components):
        return CellPass(dense, source, forms, engine)
    return dense
