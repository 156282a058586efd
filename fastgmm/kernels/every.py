"""All kernels that Python calls, for those who want them compiled before they are needed."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from fastgmm.kernels import cells, em_pass, few_rows, near_pass, regression, scatter_pass
from fastgmm.kernels.kmeans import draws, lloyd, many, seeding
from fastgmm.kernels.layout import BLOCK, FORMS, Forms
from fastgmm.kernels.linalg import (
    centred_moments,
    common_axes,
    common_shapes,
    factors,
    few_features,
    marginals,
    principal_axes,
    products,
)
from fastgmm.kernels.small_fits import VARIANTS
from fastgmm.kernels.small_fits import iteration as small_fits


def every_kernel() -> Iterator[tuple[str, Callable[[], object]]]:
    """Kernels in groups: what to call a group, and a function that makes all of it.

    Kernels for small data sets call some that are made before, of the first type. Two processes
    that begin at the two ends have these made once.
    """
    double, single = np.dtype(np.float64), np.dtype(np.float32)
    yield from _of_all_forms(double)
    yield f"rows and starts {double}", partial(_of_type, double)
    yield "fits to small data sets", _of_small_fits
    yield "k-means of small data sets", _of_small_starts
    yield "missing values", _of_missing_values
    yield "matrices", _of_matrices
    yield f"rows and starts {single}", partial(_of_type, single)
    yield from _of_all_forms(single)


def _of_all_forms(dtype: np.dtype) -> Iterator[tuple[str, Callable[[], object]]]:
    for forms in FORMS:
        yield f"{forms.density} {forms.moments} {dtype}", partial(_of_forms, forms, dtype)


def _of_forms(forms: Forms, dtype: np.dtype) -> None:
    for n_features in (BLOCK, BLOCK + 1):
        em_pass.statistics_pass(forms, dtype, n_features)
    em_pass.prediction_pass(forms.density, dtype)
    em_pass.log_density_pass(forms.density, dtype)
    em_pass.certainty_pass(forms.density, dtype)
    near_pass.near_statistics_pass(forms, dtype)


def _of_type(dtype: np.dtype) -> None:
    scatter_pass.totals_pass(dtype)
    for few in (True, False):
        scatter_pass.scatter_pass(dtype, few)
    cells.cell_bounds(dtype)
    seeding.seeding_pass(dtype)
    lloyd.lloyd_pass(dtype)
    lloyd.sums_in_order(dtype)
    few_rows.matrix_distances(dtype)
    few_rows.point_distances(dtype)


def _of_small_fits() -> None:
    for name, few in VARIANTS:
        small_fits.iteration(name, few)


def _of_small_starts() -> None:
    seeding.distances_pass()
    draws.uniform_draws()
    many.small_kmeans()


def _of_missing_values() -> None:
    regression.conditional_matrices()
    regression.expansion()
    regression.pooled_expansion()
    regression.separate_expansion()
    marginals.marginal_factors()


def _of_matrices() -> None:
    cells.cell_order()
    few_features.few_precision_factors()
    centred_moments.centred_outer()
    centred_moments.centred_variances()
    factors.precision_factors()
    factors.root_and_inverse()
    products.stacked_product()
    principal_axes.principal_axes()
    common_axes.common_axes()
    common_shapes.common_shape()
    for few in (True, False):
        common_shapes.common_matrix(few)
