"""The Gaussian by hand: densities, and the two steps of EM as plain functions.

What a lesson takes apart, computed as the estimators do it:

>>> import numpy as np
>>> from fastgmm import gaussian
>>> X = np.array([[0.0, 0.0], [0.5, -0.5], [4.0, 4.5], [4.5, 4.0], [5.0, 5.0]])
>>> weights, means = np.array([0.5, 0.5]), X[[0, -1]]
>>> covariances = np.stack([np.eye(2), np.eye(2)])
>>> before = gaussian.log_likelihood(X, weights, means, covariances)
>>> responsibilities = gaussian.e_step(X, weights, means, covariances)
>>> weights, means, covariances = gaussian.m_step(X, responsibilities, reg_covar=0.1)
>>> weights.round(3)
array([0.4, 0.6])
>>> bool(gaussian.log_likelihood(X, weights, means, covariances) > before)
True

References
----------
Bishop, Pattern Recognition and Machine Learning (2006), sections 2.3 and 9.2.
Murphy, Machine Learning: A Probabilistic Perspective (2012), sections 2.4, 4.1 and 11.4.
"""

from fastgmm.gaussian.densities import logpdf, pdf
from fastgmm.gaussian.steps import covariance_matrix, e_step, log_likelihood, m_step

__all__ = ["covariance_matrix", "e_step", "log_likelihood", "logpdf", "m_step", "pdf"]
