"""The estimators in the place of scikit-learn's, for code that cannot be edited."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.gaussian_mixture import GaussianMixture

_OURS = (GaussianMixture, BayesianGaussianMixture)

# Where the classes are defined, they stay: there pickle looks for them.
_LEFT_ALONE = ("fastgmm.", "sklearn.mixture._")


class _Place(NamedTuple):
    """A name in a module that one of scikit-learn's classes was found under."""

    module: ModuleType
    name: str
    original: type
    replacement: type


_replaced: list[_Place] = []


def patch_sklearn() -> None:
    """Put both estimators in the place of scikit-learn's, in this process.

    From then on ``sklearn.mixture.GaussianMixture`` is `fastgmm.GaussianMixture`, likewise
    ``BayesianGaussianMixture``, and so are the names that modules have already imported, but for
    modules with subclasses of their own, which may call their parent by its name. Models that exist
    keep their class, and so do those in pickles. What fastgmm does not support
    (array API dispatch, subclasses that override private steps of the fit) goes to scikit-learn's
    own code. Calling it again covers modules imported in between.

    See Also
    --------
    unpatch_sklearn
    """
    importlib.import_module("sklearn.mixture")
    _replaced.extend(place for ours in _OURS for place in _places(ours._sklearn_class, ours))
    for place in _replaced:
        setattr(place.module, place.name, place.replacement)


def unpatch_sklearn() -> None:
    """Take `patch_sklearn` back, wherever it replaced a name.

    Modules that were imported in between, and took their names from `sklearn.mixture` then, keep
    fastgmm's.
    """
    while _replaced:
        place = _replaced.pop()
        if getattr(place.module, place.name, None) is place.replacement:
            setattr(place.module, place.name, place.original)


def _places(original: type, replacement: type) -> list[_Place]:
    """Every module and name that holds a class, but for where it, or a subclass, is defined."""
    at_home = {subclass.__module__ for subclass in _subclasses(original, replacement)}
    return [
        _Place(module, name, original, replacement)
        for key, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and not key.startswith(_LEFT_ALONE) and key not in at_home
        for name, value in list(vars(module).items())
        if value is original
    ]


def _subclasses(parent: type, but_for: type) -> Iterator[type]:
    """All classes below a class, but for one and those below it."""
    children: list[type] = parent.__subclasses__()
    for child in children:
        if child is not but_for:
            yield child
            yield from _subclasses(child, but_for)
