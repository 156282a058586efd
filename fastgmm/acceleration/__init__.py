"""Steps that reach EM's fixed point in fewer passes: they wrap the step of the loop."""

from fastgmm.acceleration.acceleration import METHODS, Acceleration, Advance, method_for
from fastgmm.acceleration.chart import Chart
from fastgmm.acceleration.posteriors import PosteriorChart
from fastgmm.acceleration.state import Accelerated, check_accelerated, rate_of, unwrapped

__all__ = [
    "METHODS",
    "Accelerated",
    "Acceleration",
    "Advance",
    "Chart",
    "PosteriorChart",
    "check_accelerated",
    "method_for",
    "rate_of",
    "unwrapped",
]
