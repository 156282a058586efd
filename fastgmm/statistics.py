"""Sufficient statistics: the additive record between the E-step and the M-step.

Sums over rows, taken about a reference (the means that the pass started from), so that nothing
cancels when the data lie far from zero, and records of different rows simply add.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from fastgmm.kernels.layout import HEADER, outer_place, outer_size
from fastgmm.outer_moments import blocks_of_outer, first_places, second_moments

_N_ROWS = 2
"""Place of the number of rows among the sums."""


class MomentForm(StrEnum):
    """Which second moments a record holds; a block per component in `SufficientStatistics.sums`.

    - ``OUTER``: lower triangle of a ``(d + 1, d + 1)`` matrix, whose last row holds the first
      moments and the weight, in blocks (see `fastgmm.kernels.layout`);
    - ``DIAGONAL``: first (d), weight, second (d);
    - ``TRACE``: first (d), weight, second (1);
    - ``NONE``: first (d), weight;
    - ``POOLED``: the same, and behind them the second ones of `OUTER` of all components together.
    """

    OUTER = "outer"
    DIAGONAL = "diagonal"
    TRACE = "trace"
    NONE = "none"
    POOLED = "pooled"

    def block_size(self, n_features: int) -> int:
        """Numbers per component."""
        if self is MomentForm.OUTER:
            return outer_size(n_features)
        if self is MomentForm.DIAGONAL:
            return 2 * n_features + 1
        return n_features + (2 if self is MomentForm.TRACE else 1)

    def n_sums(self, n_components: int, n_features: int) -> int:
        """Numbers of `SufficientStatistics.sums`."""
        pooled = outer_size(n_features) if self is MomentForm.POOLED else 0
        return HEADER + n_components * self.block_size(n_features) + pooled


@dataclass(frozen=True, eq=False, slots=True)
class SufficientStatistics:
    """Weighted sums over rows, about a reference.

    A record of many data sets at once has further axes in front of all its arrays: what is called
    ``(k, d)`` here has the shape ``(..., k, d)`` then, and numbers become arrays.

    Parameters
    ----------
    form : MomentForm
        Which second moments are held.
    reference : ndarray of shape (k, d)
        The points that moments are taken about, one per component.
    sums : ndarray of shape (HEADER + k * block_size,)
        All sums in one float64 array, which the properties read.
    scatter : SufficientStatistics, optional
        Outer moments of the same rows as of a single component, for structures whose M-step needs
        them beside `sums`.
    """

    form: MomentForm
    reference: np.ndarray
    sums: np.ndarray
    scatter: "SufficientStatistics | None" = None

    @classmethod
    def zero(cls, form: MomentForm, reference: np.ndarray) -> "SufficientStatistics":
        """The statistics of no rows, neutral under addition."""
        *leading, k, d = reference.shape
        return cls(form, reference, np.zeros((*leading, form.n_sums(k, d))))

    @classmethod
    def of_points(
        cls, form: MomentForm, reference: np.ndarray, weight: Any
    ) -> "SufficientStatistics":
        """The statistics of one row per component, which is at its reference.

        Parameters
        ----------
        form : MomentForm
        reference : ndarray of shape (k, d)
        weight : float, or ndarray of shape (k,)
            Of these rows.
        """
        record = cls.zero(form, reference)
        record.weight[...] = weight
        record.sums[..., 1] = record.weight.sum(axis=-1)
        record.sums[..., _N_ROWS] = reference.shape[-2]
        return record

    @classmethod
    def from_moments(
        cls,
        form: MomentForm,
        reference: np.ndarray,
        *,
        log_likelihood: Any,
        total_weight: Any,
        n_rows: Any,
        weight: np.ndarray,
        first: np.ndarray,
        second: np.ndarray | None = None,
        scatter: "SufficientStatistics | None" = None,
    ) -> "SufficientStatistics":
        """Statistics with these moments; the names are those of the properties.

        Raises
        ------
        ValueError
            If the shapes do not belong together.
        """
        if reference.ndim < 2 or 0 in reference.shape:
            raise ValueError(f"the reference has the shape of {reference.shape}")
        *leading, k, d = reference.shape
        shapes = {
            MomentForm.OUTER: (*leading, k, d, d),
            MomentForm.DIAGONAL: (*leading, k, d),
            MomentForm.TRACE: (*leading, k),
            MomentForm.NONE: None,
        }
        found = (weight.shape, first.shape, None if second is None else second.shape)
        if found != ((*leading, k), (*leading, k, d), shapes[form]):
            raise ValueError(f"the moments have the shapes {found}")
        sums = np.empty((*leading, form.n_sums(k, d)))
        for place, total in enumerate((log_likelihood, total_weight, n_rows)):
            sums[..., place] = total
        record = cls(form, reference, sums, scatter)
        blocks = record.blocks
        if form is MomentForm.OUTER:
            assert second is not None
            blocks[...] = blocks_of_outer(weight, first, second)
        else:
            blocks[..., :d], blocks[..., d] = first, weight
            if second is not None:
                blocks[..., d + 1 :] = second.reshape(*leading, k, -1)
        return record

    def __add__(self, other: "SufficientStatistics") -> "SufficientStatistics":
        """Statistics of the rows of both.

        Raises
        ------
        ValueError
            If the two have another form or another reference.
        """
        if not isinstance(other, SufficientStatistics):
            return NotImplemented
        if self.form is not other.form:
            raise ValueError(
                f"Statistics of different moment forms do not add: {self.form.value!r} and "
                f"{other.form.value!r}."
            )
        if self.reference is not other.reference and not np.array_equal(
            self.reference, other.reference
        ):
            raise ValueError(
                "Statistics about different references do not add: they come from the E-steps of "
                "different parameters."
            )
        scatter = self.scatter
        if scatter is not None and other.scatter is not None:
            scatter = scatter + other.scatter
        elif scatter is not other.scatter:
            raise ValueError("Statistics with and without the scatter of all rows do not add.")
        return SufficientStatistics(self.form, self.reference, self.sums + other.sums, scatter)

    def __radd__(self, other: Any) -> "SufficientStatistics":
        """The statistics themselves: `sum` begins with 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __repr__(self) -> str:
        *leading, k, d = self.reference.shape
        sets = f"{' x '.join(map(str, leading))} data sets, " if leading else ""
        return (
            f"<statistics of {sets}{np.sum(self.n_rows)} rows of weight "
            f"{np.sum(self.total_weight):.6g}: {k} components, {d} features, "
            f"{self.form.value} moments>"
        )

    def __getstate__(self) -> list[Any]:
        # For pickle, and for skops, which knows no enumerations.
        return [self.form.value, self.reference, self.sums, self.scatter]

    def __setstate__(self, state: list[Any]) -> None:
        for name, value in zip(self.__slots__, [MomentForm(state[0]), *state[1:]], strict=True):
            object.__setattr__(self, name, value)

    def scaled(self, factor: Any) -> "SufficientStatistics":
        """Statistics of the same rows with all weights multiplied by a factor.

        Parameters
        ----------
        factor : float or ndarray
            An array holds a number per data set.
        """
        sums = self.sums * np.expand_dims(factor, -1)
        sums[..., _N_ROWS] = self.sums[..., _N_ROWS]
        scatter = None if self.scatter is None else self.scatter.scaled(factor)
        return replace(self, sums=sums, scatter=scatter)

    def with_scatter(self, scatter: "SufficientStatistics | None") -> "SufficientStatistics":
        """The same statistics, with the scatter of all their rows."""
        return SufficientStatistics(self.form, self.reference, self.sums, scatter)

    def traced(self) -> "SufficientStatistics":
        """Statistics with diagonal moments, summed over features."""
        traced = self.with_second(MomentForm.TRACE, self.second.sum(axis=-1))
        return traced.with_scatter(self.scatter)

    def with_second(self, form: MomentForm, second: np.ndarray | None) -> "SufficientStatistics":
        """The same statistics with other second moments, and without the scatter of all rows."""
        return SufficientStatistics.from_moments(
            form,
            self.reference,
            log_likelihood=self.log_likelihood,
            total_weight=self.total_weight,
            n_rows=self.n_rows,
            weight=self.weight,
            first=self.first,
            second=second,
        )

    def about(self, other: "SufficientStatistics") -> "SufficientStatistics":
        """The same moments about the reference of other statistics.

        Their responsibilities stay what they were.
        """
        shift = self.reference - other.reference
        weight = self.weight[..., np.newaxis]
        half = self.first + 0.5 * weight * shift
        second = None
        if self.form is MomentForm.OUTER:
            cross = half[..., :, np.newaxis] * shift[..., np.newaxis, :]
            second = self.second + cross + cross.swapaxes(-1, -2)
        elif self.form is MomentForm.DIAGONAL:
            second = self.second + 2.0 * half * shift
        elif self.form is MomentForm.TRACE:
            second = self.second + 2.0 * (half * shift).sum(axis=-1)
        scatter = self.scatter
        if scatter is not None and other.scatter is not None:
            scatter = scatter.about(other.scatter)
        return SufficientStatistics.from_moments(
            self.form,
            other.reference,
            log_likelihood=self.log_likelihood,
            total_weight=self.total_weight,
            n_rows=self.n_rows,
            weight=self.weight,
            first=self.first + weight * shift,
            second=second,
            scatter=scatter,
        )

    def about_zero(self) -> "SufficientStatistics":
        """The same moments about zero."""
        return self.about(SufficientStatistics.zero(self.form, np.zeros_like(self.reference)))

    def pooled(self) -> "SufficientStatistics":
        """The same rows as one component, about their mean."""
        weight = self.weight[..., np.newaxis]
        total = (weight * self.reference + self.first).sum(axis=-2, keepdims=True)
        mean = total / weight.sum(axis=-2, keepdims=True)
        everywhere = np.broadcast_to(mean, self.reference.shape)
        moved = self.about(SufficientStatistics.zero(self.form, everywhere))
        sums = np.concatenate([self.sums[..., :HEADER], moved.blocks.sum(axis=-2)], axis=-1)
        return SufficientStatistics(self.form, mean, sums, self.scatter)

    def save(self, path: str | os.PathLike) -> None:
        """Write the statistics to a file that :func:`fastgmm.load` reads.

        Parameters
        ----------
        path : path

        Raises
        ------
        OSError
            If the file cannot be written; what was there before is then still there.
        """
        from fastgmm.files.container import Contents, write_file

        write_file(path, Contents("statistics", *self.described()))

    def described(self, prefix: str = "") -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What files keep: JSON that names arrays, and these arrays, whose names have a prefix."""
        arrays = {
            "reference": self.reference,
            "totals": np.array([self.log_likelihood, self.total_weight, self.n_rows], np.float64),
            "weight": self.weight,
            "first": self.first,
        }
        if self.form is not MomentForm.NONE:
            arrays["second"] = self.second
        named = {f"{prefix}{name}": array for name, array in arrays.items()}
        scatter = None
        if self.scatter is not None:
            scatter, more = self.scatter.described(f"{prefix}scatter_")
            named |= more
        names = {name: f"{prefix}{name}" for name in arrays}
        return {"form": self.form.value, "arrays": names, "scatter": scatter}, named

    @classmethod
    def from_description(
        cls, description: Mapping[str, Any], named: Mapping[str, np.ndarray]
    ) -> "SufficientStatistics":
        """Statistics of what `described` gives.

        Raises
        ------
        ValueError, LookupError, TypeError
            If it gives no such thing.
        """
        arrays = {name: named[key] for name, key in description["arrays"].items()}
        for name, array in arrays.items():
            if array.dtype != np.float64 or not np.isfinite(array).all():
                raise ValueError(f"{name} holds other things than finite numbers of float64")
        log_likelihood, total_weight, n_rows = arrays.pop("totals")
        if total_weight < 0 or n_rows < 0 or n_rows % 1 or (arrays["weight"] < 0).any():
            raise ValueError("the weights or the number of the rows are negative")
        scatter = None
        if description["scatter"] is not None:
            scatter = cls.from_description(description["scatter"], named)
            k, d = scatter.reference.shape
            if scatter.form is not MomentForm.OUTER or (k, d) != (1, arrays["reference"].shape[-1]):
                raise ValueError("the scatter is not that of all rows")
        return cls.from_moments(
            MomentForm(description["form"]),
            log_likelihood=log_likelihood,
            total_weight=total_weight,
            n_rows=int(n_rows),
            scatter=scatter,
            **arrays,
        )

    @property
    def log_likelihood(self) -> Any:
        """Weighted sum of the rows' log-likelihoods under the parameters of the pass."""
        return self.sums[..., 0][()]

    @property
    def total_weight(self) -> Any:
        """Sum of the rows' weights."""
        return self.sums[..., 1][()]

    @property
    def n_rows(self) -> Any:
        """Number of rows."""
        n_rows = self.sums[..., _N_ROWS].astype(np.int64)
        return n_rows if n_rows.ndim else int(n_rows)

    @property
    def blocks(self) -> np.ndarray:
        """(k, size): the sums of every component for itself."""
        return self.sums[..., HEADER:].reshape(*self.reference.shape[:-1], -1)

    @property
    def weight(self) -> np.ndarray:
        r"""(k,): :math:`N_c = \sum_t w_t r_{tc}` (Bishop 2006, eq. 9.27)."""
        d = self.reference.shape[-1]
        if self.form is MomentForm.OUTER:
            return self.blocks[..., outer_place(d, d)]
        return self.blocks[..., d]

    @property
    def first(self) -> np.ndarray:
        r"""(k, d): :math:`\sum_t w_t r_{tc} (x_t - \text{reference}_c)`."""
        d = self.reference.shape[-1]
        if self.form is MomentForm.OUTER:
            return self.blocks.take(first_places(d), axis=-1)
        return self.blocks[..., :d]

    @property
    def second(self) -> np.ndarray:
        r"""Second moments about the reference.

        (k, d, d) for OUTER, new each time; (k, d) for DIAGONAL; (k,), summed over features, for
        TRACE.
        """
        d = self.reference.shape[-1]
        if self.form is MomentForm.OUTER:
            return second_moments(self.blocks, d)
        if self.form is MomentForm.DIAGONAL:
            return self.blocks[..., d + 1 :]
        if self.form is MomentForm.TRACE:
            return self.blocks[..., d + 1]
        raise AttributeError("These statistics hold no second moments.")
