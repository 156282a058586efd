"""The space that a fit goes on in: that of all features, or that which fewer rows span."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fastgmm.em import EMResult
from fastgmm.em_step import Model
from fastgmm.engines.base import Engine
from fastgmm.estimator.rows import FitRows
from fastgmm.families.maximum_likelihood import MaximumLikelihood
from fastgmm.parameters import Parameters
from fastgmm.passes import Pass
from fastgmm.passes.opening import is_wide
from fastgmm.sources.base import RowSource
from fastgmm.starts import Start
from fastgmm.statistics import MomentForm

_LEAST_FEATURES = 128
"""Features from which on fewer coordinates may pay."""

_MOST_ROWS = 0.5
"""Rows per feature up to which they do."""

_LEAST_LESS = 100
"""How many fewer they have to be at least, to pay for the way there and back."""

_MOST_NUMBERS = 1 << 24
"""Of rows that are held in memory."""

_LEAST_SHARE = 1e-11
"""Of the longest row's squared length, that the regularisation has to be.

No covariance is then singular to rounding, in whatever coordinates.
"""

_LEAST_SETTLING = 256
"""Features from which on an iteration by BLAS takes no longer than one by kernels."""

_LEAST_CHANGING = 640
"""The same, where every iteration is made, as after a start from random responsibilities."""

_MOST_SETTLING = 6
"""Rows per feature up to which hardly one belongs to two components."""

_ABSENT = ("weights_init", "means_init", "precisions_init", "freeze", "noise", "accelerate")
"""What asks for more when it is not None."""

Step = Callable[[Any, Any], tuple[Any, Any]]


class Space(ABC):
    """Where the iterations of a fit take place.

    Attributes
    ----------
    rows : Pass
        What they go over.
    """

    rows: Pass

    @abstractmethod
    def drawn(self, source: RowSource) -> RowSource:
        """Rows that may be means, in this space."""

    @abstractmethod
    def placed(self, starts: Iterator[tuple[Pass, Start]]) -> Iterator[tuple[Pass, Start]]:
        """Starts in this space, with the rows that each is about, from those in that of all."""

    @abstractmethod
    def starts(self, parameters: Iterator[Parameters]) -> Iterator[Any]:
        """What `step` goes on from, of first parameters."""

    @abstractmethod
    def step(self, step: Step) -> Step:
        """An iteration, made of one over `rows`."""

    @abstractmethod
    def whole(self, result: EMResult) -> EMResult:
        """A run of such iterations, with parameters of all features."""


class AsGiven(Space):
    """That of all features."""

    def __init__(self, rows: Pass):
        self.rows = rows

    def drawn(self, source):
        return source

    def placed(self, starts):
        return starts

    def starts(self, parameters):
        return parameters

    def step(self, step):
        return step

    def whole(self, result):
        return result


def goes_alone(estimator: Any, n_rows: int, n_features: int) -> bool:
    """Whether an estimator's fits to so many rows are not made by the kernels of many data sets."""
    return (
        is_wide(n_rows, n_features, estimator._structure.forms)
        or _may_be_spanned(estimator, n_rows, n_features)
        or _may_settle(estimator, n_rows, n_features)
    )


def _may_be_spanned(estimator: Any, n_rows: int, n_features: int) -> bool:
    """Whether fits to so many rows may be in the space that these span."""
    few = n_rows <= min(_MOST_ROWS * n_features, n_features - _LEAST_LESS)
    few = few and n_features >= _LEAST_FEATURES and n_rows * n_features <= _MOST_NUMBERS
    return (
        few
        and _is_plain(estimator)
        and not isinstance(estimator.reg_covar, str)
        and estimator.max_iter > 0
    )


def _may_settle(estimator: Any, n_rows: int, n_features: int) -> bool:
    """Whether fits to so many rows settle soon, on parameters that follow from responsibilities."""
    forms = estimator._structure.forms
    few = is_wide(n_rows, n_features, forms)
    if forms.moments == MomentForm.OUTER:  # else an iteration of kernels takes so little
        held = n_rows <= _MOST_SETTLING * n_features and n_rows * n_features <= _MOST_NUMBERS
        changing = isinstance(start := estimator.init_params, str) and start == "random"
        few |= n_features >= (_LEAST_CHANGING if changing else _LEAST_SETTLING) and held
    return few and _is_plain(estimator)


def _is_plain(estimator: Any) -> bool:
    """Whether all that a mixture goes by are responsibilities, and it is the same in any space."""
    return (
        estimator._structure.turns
        and estimator._family is MaximumLikelihood
        and all(getattr(estimator, name) is None for name in _ABSENT)
        and not estimator.warm_start
    )


def space_of(
    estimator: Any,
    data: FitRows,
    rows: Pass,
    model: Model,
    engine: Engine,
    mended: Sequence[Any],
) -> Space:
    """That of the rows if it may be and pays, or that of all features, where few rows may settle.

    Parameters
    ----------
    estimator : MixtureEstimator
    data : FitRows
    rows : Pass
        Over the data.
    model : Model
    engine : Engine
    mended : sequence
        See `fastgmm.estimator.settling`.
    """
    n, d = data.source.n_rows, data.source.n_features
    if data.labels is not None or data.tally is not None:
        return AsGiven(rows)
    if _may_be_spanned(estimator, n, d):
        chunk = data.source.read(0, n)
        longest = np.einsum("ij,ij->i", chunk.rows, chunk.rows, dtype=np.float64).max()
        if 0.0 < _LEAST_SHARE * longest <= model.reg_covar:
            from fastgmm.estimator.spanned import Spanned

            return Spanned(rows, chunk, model, engine, estimator.n_components, mended)
    if _may_settle(estimator, n, d):
        from fastgmm.estimator.settling import Settling
        from fastgmm.passes.wide import WidePass

        wide = (
            rows
            if isinstance(rows, WidePass)
            else WidePass(rows, data.source, model.structure.forms)
        )
        return Settling(rows, wide, model, estimator.n_components, mended)
    return AsGiven(rows)
