"""Frozen answers computed with 50 digits, and the functions that read them.

``make_goldens.py`` wrote the JSON files; it is not run by the tests. Inputs are exact
(``float.hex``), answers are decimal strings of 30 digits.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).parent


class DensityCase(NamedTuple):
    """One mixture, some points, and what the density functions must answer."""

    name: str
    covariance_type: str
    X: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    precisions_cholesky: np.ndarray
    log_densities: np.ndarray  # (n, k), longdouble
    log_likelihood: np.ndarray  # (n,), longdouble
    responsibilities: np.ndarray  # (n, k), longdouble


class EMIteration(NamedTuple):
    """The lower bound before, and the parameters after, one M-step."""

    lower_bound: np.longdouble
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


class EMCase(NamedTuple):
    """A tiny data set, a start, and the iterations of EM from there."""

    name: str
    covariance_type: str
    X: np.ndarray
    sample_weight: np.ndarray | None
    reg_covar: float
    weights: np.ndarray
    means: np.ndarray
    precisions: np.ndarray
    precisions_cholesky: np.ndarray
    iterations: list


def _map_nested(function, values):
    if isinstance(values, list):
        return [_map_nested(function, value) for value in values]
    return function(values)


def _floats(values):
    return np.array(_map_nested(float.fromhex, values), dtype=np.float64)


def _decimal(text):
    # Responsibilities in the far tails are as small as 10^(-10^12).
    negligible = abs(Decimal(text)) < Decimal(float(np.finfo(np.float64).tiny))
    return np.longdouble(0 if negligible else text)


def _decimals(values):
    return np.array(_map_nested(_decimal, values), dtype=np.longdouble)


def density_cases():
    """Every case of ``densities.json``."""
    inputs = ("X", "weights", "means", "precisions_cholesky")
    answers = ("log_densities", "log_likelihood", "responsibilities")
    return [
        DensityCase(
            name=case["name"],
            covariance_type=case["covariance_type"],
            **{key: _floats(case[key]) for key in inputs},
            **{key: _decimals(case[key]) for key in answers},
        )
        for case in json.loads((FOLDER / "densities.json").read_text())["cases"]
    ]


def em_cases():
    """Every case of ``em.json``."""
    cases = []
    for case in json.loads((FOLDER / "em.json").read_text())["cases"]:
        inputs = ("X", "weights", "means", "precisions", "precisions_cholesky")
        weight = case["sample_weight"]
        cases.append(
            EMCase(
                name=case["name"],
                covariance_type=case["covariance_type"],
                sample_weight=None if weight is None else _floats(weight),
                reg_covar=float.fromhex(case["reg_covar"]),
                iterations=[
                    EMIteration(**{key: _decimals(value) for key, value in iteration.items()})
                    for iteration in case["iterations"]
                ],
                **{key: _floats(case[key]) for key in inputs},
            )
        )
    return cases
