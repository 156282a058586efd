"""Starts: random, k-means++, k-means, hierarchical, labels, responsibilities, callables."""

from fastgmm.starts.given import given_start
from fastgmm.starts.known import Known, known_starts
from fastgmm.starts.methods import METHODS, bytes_to_draw, draw_starts, make_starts
from fastgmm.starts.records import (
    AboutMeans,
    GivenResponsibilities,
    KnownShares,
    LabelledRows,
    RandomResponsibilities,
    Shares,
    SingleRows,
    Start,
    WithoutRows,
)

__all__ = [
    "METHODS",
    "AboutMeans",
    "GivenResponsibilities",
    "Known",
    "KnownShares",
    "LabelledRows",
    "RandomResponsibilities",
    "Shares",
    "SingleRows",
    "Start",
    "WithoutRows",
    "bytes_to_draw",
    "draw_starts",
    "given_start",
    "known_starts",
    "make_starts",
]
