"""Starts: random, k-means++, k-means, hierarchical, labels, responsibilities, callables."""

from fastgmm.starts.given import given_start
from fastgmm.starts.methods import METHODS, bytes_to_draw, draw_starts, make_starts
from fastgmm.starts.records import (
    GivenResponsibilities,
    LabelledRows,
    RandomResponsibilities,
    Shares,
    SingleRows,
    Start,
)

__all__ = [
    "METHODS",
    "GivenResponsibilities",
    "LabelledRows",
    "RandomResponsibilities",
    "Shares",
    "SingleRows",
    "Start",
    "bytes_to_draw",
    "draw_starts",
    "given_start",
    "make_starts",
]
