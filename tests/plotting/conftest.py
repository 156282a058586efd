"""Pictures without a screen, and a figure of its own for every test."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot

from fastgmm import GaussianMixture


@pytest.fixture(autouse=True)
def fresh_figure():
    settings = dict(matplotlib.rcParams)
    with pyplot.style.context("default"):
        figure = pyplot.figure()
        yield figure
        pyplot.close("all")
    assert dict(matplotlib.rcParams) == settings, "a picture changes no setting"


@pytest.fixture(scope="session")
def rows():
    """Three clusters of unequal spread in three features."""
    random = np.random.default_rng(0)
    spread = np.array([[1.0, 0.4, 1.0], [0.3, 0.6, 2.0], [0.5, 0.5, 0.5]])
    centres = np.array([[0.0, 0.0, 0.0], [4.0, 2.0, 1.0], [0.0, 4.0, -2.0]])
    labels = np.repeat([0, 1, 2], 60)
    return centres[labels] + spread[labels] * random.standard_normal((180, 3))


@pytest.fixture(scope="session")
def model(rows):
    return GaussianMixture(3, random_state=0).fit(rows)
