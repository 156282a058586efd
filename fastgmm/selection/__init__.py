"""The choice of the number of components and of the structure, and tests of it."""

from fastgmm.selection.result import Selection
from fastgmm.selection.select import select

__all__ = ["Selection", "select"]
