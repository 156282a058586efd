"""Passes over rows: what the E-step sums, and what it predicts."""

from fastgmm.passes.base import Pass
from fastgmm.passes.opening import open_pass

__all__ = ["Pass", "open_pass"]
