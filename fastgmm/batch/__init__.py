"""Many mixtures in one call: which data sets, how they run, and what comes out."""

from fastgmm.batch.fit_many import fit_many
from fastgmm.batch.report import FitReport

__all__ = ["FitReport", "fit_many"]
