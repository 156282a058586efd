"""Parameters from the public attributes, which anyone may set: checks, and what kernels read."""

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.checks import check_mixture
from fastgmm.parameters import Parameters
from fastgmm.passes.kernel_operands import KernelChoice, kernels_for, needs_care


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


def kernels_set_by_hand(
    structure: CovarianceStructure,
    parameters: Parameters,
    dtype: np.dtype,
    background: float | None = None,
) -> KernelChoice:
    """Kernels for predictions, and operands of checked parameters.

    Parameters
    ----------
    structure : CovarianceStructure
    parameters : Parameters
    dtype : dtype
        Of the rows: float64 or float32.
    background : float, optional
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
