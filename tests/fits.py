"""A fit without an estimator: rows, a family and the loop, put together by hand."""

import numpy as np

from fastgmm.em import Listener, best_of_restarts
from fastgmm.em_start import first_parameters, pooled_estimates, refuse_start
from fastgmm.em_step import Model, em_step
from fastgmm.engines.threads import ThreadEngine
from fastgmm.families.maximum_likelihood import GivenParameters, MaximumLikelihood
from fastgmm.passes import open_pass


class Fit:
    """EM over the rows of a source.

    `family` makes a family of the structure and of the pass over the rows.
    """

    def __init__(self, source, structure, n_components, *, tol, max_iter, n_threads=1, family=None):
        self.structure, self.n_components = structure, n_components
        self.rows = open_pass(source, structure.forms, ThreadEngine(n_threads), n_components)
        made = MaximumLikelihood(structure, GivenParameters()) if family is None else family(self)
        self.model = Model(structure, made, 1e-6, np.dtype(source.dtype))
        self._limits = {"tol": tol, "max_iter": max_iter, "lower_bound": -np.inf}

    @property
    def pooled(self):
        return pooled_estimates(self.rows, self.structure)

    def first_parameters(self, starts, n_init):
        found = ((self.rows, start) for start in starts)
        return first_parameters(self.model, found, self.n_components, n_init, refuse_start)

    def run(self, starts, **options):
        def step(parameters, running):
            iteration = em_step(self.rows, self.model, parameters)
            return iteration.parameters, iteration.lower_bound

        return best_of_restarts(step, starts, listener=Listener(), **self._limits, **options)
