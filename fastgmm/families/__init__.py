"""Families of mixtures: what an M-step makes of statistics, with priors or without."""

from fastgmm.families.base import Family
from fastgmm.families.maximum_likelihood import MaximumLikelihood
from fastgmm.families.variational_bayes import VariationalBayes

__all__ = ["Family", "MaximumLikelihood", "VariationalBayes"]
