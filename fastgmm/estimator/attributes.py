"""Parameters from the public attributes, which anyone may set: checks, and what kernels read."""

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.parameters import MixtureParameters, Operands
from fastgmm.persistence.checks import check_mixture


def check_set_by_hand(structure: CovarianceStructure, parameters: MixtureParameters) -> None:
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


def operands_set_by_hand(
    structure: CovarianceStructure, parameters: MixtureParameters, dtype: np.dtype
) -> Operands:
    """Operands of checked parameters.

    Parameters
    ----------
    structure : CovarianceStructure
    parameters : MixtureParameters
    dtype : dtype
        Of the rows: float64 or float32.

    Raises
    ------
    ValueError
        If they are no mixture's.
    """
    check_set_by_hand(structure, parameters)
    return structure.operands(parameters, dtype)
