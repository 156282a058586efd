"""The rows that a start is made of, where values are missing."""

import numpy as np

from fastgmm.engines.base import Engine
from fastgmm.estimator.rows import FitRows
from fastgmm.kernels.layout import Forms
from fastgmm.passes import Pass, open_pass
from fastgmm.sources.base import RowSource, survey

ENOUGH_PER_COMPONENT = 50
"""Complete rows for each component that a start needs, to do without the others..."""

ENOUGH_SHARE = 0.1
"""...and the share of all rows that they have to be."""


def rows_to_start(
    data: FitRows, rows: Pass, forms: Forms, engine: Engine, n_components: int
) -> tuple[FitRows, Pass]:
    """Rows without missing values, and the pass that a start of them is about.

    They are the complete ones if there are enough, and labels or responsibilities are not given for
    all. Otherwise they are all, filled in with the means of their features.

    Parameters
    ----------
    data : FitRows
    rows : Pass
        Over all of them.
    forms : Forms
        Of the structure.
    engine : Engine
    n_components : int
    """
    tally = data.tally
    if tally is None:
        return data, rows
    from fastgmm.sources.missing import complete_rows, filled, filled_rows, is_complete

    enough = max(ENOUGH_PER_COMPONENT * n_components, ENOUGH_SHARE * data.source.n_rows)
    arrays, noise, n_complete = data.arrays, data.noise, tally.n_complete
    if arrays is not None or noise is not None:
        complete = np.concatenate(list(survey(is_complete, data.source)))
    if noise is not None:  # which components begin without
        n_complete -= int(np.count_nonzero(noise & complete))
    found = isinstance(data.start, str) or callable(data.start)
    if n_complete >= enough and found and data.labels is None:
        source = complete_rows(data.source, tally)
        if arrays is not None:
            arrays = arrays[0][complete], None if arrays[1] is None else arrays[1][complete]
        if noise is not None:
            noise = noise[complete]
        data = data._replace(source=source, arrays=arrays, tally=None, noise=noise)
        return data, open_pass(source, forms, engine, n_components)
    if arrays is not None:
        arrays = filled(arrays[0], tally.means), arrays[1]
    return data._replace(source=filled_rows(data.source, tally), arrays=arrays, tally=None), rows


def rows_to_draw(data: FitRows) -> RowSource:
    """All rows, any of which may be the mean of a component: filled in where values are missing."""
    if data.tally is None:
        return data.source
    from fastgmm.sources.missing import filled_rows

    return filled_rows(data.source, data.tally)
