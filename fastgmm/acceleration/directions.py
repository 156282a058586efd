"""Directions of L-BFGS (Nocedal & Wright 2006, algorithm 7.4), upwards."""

import numpy as np


def direction(gradient: np.ndarray, moves: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """The gradient times an estimate of the inverse of the negative Hessian.

    Parameters
    ----------
    gradient : ndarray of shape (p,)
    moves, turns : ndarray of shape (m, p)
        Changes of position, and what gradients fell by, from the oldest to the newest; none at all
        is the gradient itself.
    """
    q = gradient.copy()
    if not len(moves):
        return q
    products = np.einsum("ij,ij->i", moves, turns)
    shares = np.empty(len(moves))
    for i in reversed(range(len(moves))):
        shares[i] = (moves[i] * q).sum() / products[i]
        q -= shares[i] * turns[i]
    q *= products[-1] / (turns[-1] ** 2).sum()
    for i in range(len(moves)):
        q += (shares[i] - (turns[i] * q).sum() / products[i]) * moves[i]
    return q


def slowest_rate(moves: np.ndarray, turns: np.ndarray) -> float:
    """The convergence rate of EM, from the least curvature that was met.

    In coordinates where EM is a unit gradient step, its rate is one less that curvature.
    """
    if not len(moves):
        return float("nan")
    curvatures = np.einsum("ij,ij->i", moves, turns) / (moves**2).sum(axis=1)
    return float(np.clip(1.0 - curvatures.min(), 0.0, 1.0))
