"""The libraries, and what each can fit."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import fastgmm

OURS = "fastgmm"
GAUSSIAN, BAYESIAN = "gaussian", "bayesian"
ESTIMATORS = (GAUSSIAN, BAYESIAN)
STRUCTURES = ("full", "tied", "diag", "spherical")


@dataclass(frozen=True)
class Peer:
    """One library.

    Parameters
    ----------
    name : str
        In tables and on the command line.
    distribution : str
        What pip installs.
    adapter : str
        The module in ``adapters`` whose ``prepare(problem)`` returns a function that runs a number
        of EM iterations from the problem's start and returns the means (k, d).
    structures, estimators : tuple of str
        What it has; the rest is left out of the table.
    """

    name: str
    distribution: str
    adapter: str
    structures: tuple[str, ...] = STRUCTURES
    estimators: tuple[str, ...] = (GAUSSIAN,)

    def version(self) -> str | None:
        """The version installed, or None; fastgmm may run from its sources."""
        if self.name == OURS:
            return fastgmm.__version__
        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return None

    def fits(self, structure: str, estimator: str) -> bool:
        """Whether it has such a mixture."""
        return structure in self.structures and estimator in self.estimators


PEERS = {
    peer.name: peer
    for peer in (
        Peer(OURS, "fastgmm", "ours", estimators=ESTIMATORS),
        Peer("scikit-learn", "scikit-learn", "scikit_learn", estimators=ESTIMATORS),
        Peer("oneDAL", "scikit-learn-intelex", "onedal", ("full", "diag")),
        Peer("gmmx", "gmmx", "gmmx", ("full", "diag")),
        Peer("pomegranate", "pomegranate", "pomegranate", ("full", "diag")),
        Peer("tgmm", "tgmm", "tgmm"),
    )
}
