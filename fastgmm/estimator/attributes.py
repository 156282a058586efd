"""Parameters from the public attributes, which anyone may set: checks, and what kernels read."""

from typing import Any

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import of_features
from fastgmm.covariance.checks import check_mixture
from fastgmm.parameters import Background, Parameters
from fastgmm.passes.kernel_operands import KernelChoice, kernels_for, needs_care
from fastgmm.sources.base import RowSource


def working_dtype(estimator: Any, dtype: np.dtype) -> np.dtype:
    """Type to work on rows of a type in: float32 if rows and parameters are.

    Parameters
    ----------
    estimator : MixtureEstimator
        Fitted.
    dtype : dtype
        Of the rows.
    """
    single = dtype == np.asarray(estimator.means_).dtype == np.float32
    return np.dtype(np.float32 if single else np.float64)


def check_features(estimator: Any, source: RowSource, n_features: int) -> None:
    """Check that rows have as many features as the means, which may be set by hand.

    Raises
    ------
    ValueError
        In scikit-learn's words.
    """
    if source.n_features != n_features:
        raise ValueError(
            f"X has {source.n_features} features, but {type(estimator).__name__} is expecting "
            f"{n_features} features as input."
        )


def check_set_by_hand(structure: CovarianceStructure, parameters: Parameters) -> None:
    """Check what comes from the attributes.

    Raises
    ------
    ValueError
        If it is no mixture.
    """
    parts = {
        "weights": parameters.weights,
        "means": parameters.means,
        "precisions_cholesky": parameters.precisions_cholesky,
    }
    try:
        check_mixture(structure, parts)
    except ValueError as error:
        raise ValueError(f"The fitted attributes are no mixture's: {error}") from None


def are_too_large(
    structure: CovarianceStructure, parameters: Parameters, dtype: np.dtype
) -> np.ndarray:
    """Whether variances, which are the largest covariances, are beyond the numbers of a type.

    Of the axes in front.
    """
    variances = of_features(structure, parameters.covariances)
    return np.asarray((variances > np.finfo(dtype).max).any(axis=(-2, -1)))


def too_large(dtype: np.dtype) -> ValueError:
    """The error that they are."""
    return ValueError(
        f"Covariances are larger than {np.finfo(dtype).max:.2g}, the largest number of {dtype}. "
        "Scale X, or give it in float64."
    )


def kernels_set_by_hand(
    structure: CovarianceStructure,
    parameters: Parameters,
    dtype: np.dtype,
    background: Background | None = None,
) -> KernelChoice:
    """Kernels for predictions, and operands of checked parameters.

    Parameters
    ----------
    structure : CovarianceStructure
    parameters : Parameters
    dtype : dtype
        Of the rows: float64 or float32.
    background : Background, optional
        See `fastgmm.parameters.Operands`.

    Raises
    ------
    ValueError
        If they are no mixture's.
    """
    check_set_by_hand(structure, parameters)
    operands = structure.operands(parameters)._replace(background=background)
    careful = bool(needs_care(operands, structure.forms, dtype).any())
    return kernels_for(operands, structure.forms, dtype, careful)
