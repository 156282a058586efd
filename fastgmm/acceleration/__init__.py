"""Steps that reach EM's fixed point in fewer passes: they wrap the step of the loop.

Most fits do without; so the rest of the package imports here what all of them need, and the files
of this folder where a run is accelerated.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgmm.convergence import convergence_rate
from fastgmm.parameters import Parameters

METHODS = ("lbfgs", "squarem", "auto")


def unwrapped(parameters: Any) -> Any:
    """The parameters of a mixture, of an accelerated run or of another."""
    return parameters if isinstance(parameters, Parameters) else parameters.parameters


def rate_of(parameters: Any, bounds: Sequence[Any]) -> Any:
    """The convergence rate of EM, as a run has met it, or from its lower bounds."""
    if not (isinstance(parameters, Parameters) or np.isnan(parameters.rate)):
        return parameters.rate
    return convergence_rate(bounds)
