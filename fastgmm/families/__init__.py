"""Families of mixtures: what an M-step makes of statistics, with priors or without.

`fastgmm.families.variational_bayes` is imported by those who need it.
"""

from fastgmm.families.base import Family
from fastgmm.families.maximum_likelihood import MaximumLikelihood

__all__ = ["Family", "MaximumLikelihood"]
