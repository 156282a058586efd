"""The estimators in the place of scikit-learn's, for code that cannot be edited."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from fastgmm.import_hooks import no_longer, when_imported

_HOMES = {
    "fastgmm.gaussian_mixture": "GaussianMixture",
    "fastgmm.bayesian_mixture": "BayesianGaussianMixture",
}

# Where the classes are defined, they stay: there pickle looks for them. skl2onnx knows both.
_LEFT_ALONE = ("fastgmm.", "sklearn.mixture._", "skl2onnx.")


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
    modules with subclasses of their own, which may call their parent by its name, and for packages
    that keep the classes as keys of a dict. Models that exist keep their class, and so do those in
    pickles. What fastgmm does not support (array API dispatch, subclasses that override private
    steps of the fit) goes to scikit-learn's own code. Calling it again covers modules imported in
    between.

    Nothing is imported by it: it takes effect when `sklearn.mixture` is imported. The classes of
    scikit-learn are then ``sklearn.mixture.SklearnGaussianMixture`` and
    ``SklearnBayesianGaussianMixture``, so that ``sklearn.utils.all_estimators`` lists them, too.

    See Also
    --------
    unpatch_sklearn
    """
    if "sklearn.mixture" not in sys.modules:
        for home in _HOMES:
            when_imported(home, _replace)
    when_imported("sklearn.mixture", _replace)


def unpatch_sklearn() -> None:
    """Take `patch_sklearn` back, wherever it replaced a name.

    Modules that were imported in between, and took their names from `sklearn.mixture` then, keep
    fastgmm's.
    """
    no_longer(_replace)
    while _replaced:
        place = _replaced.pop()
        if getattr(place.module, place.name, None) is place.replacement:
            setattr(place.module, place.name, place.original)
    if "sklearn.mixture" in sys.modules:
        for name in _HOMES.values():
            vars(sys.modules["sklearn.mixture"]).pop(f"Sklearn{name}", None)


def give_back(package: str) -> None:
    """Put scikit-learn's classes into a package whose modules have taken fastgmm's by the patch.

    Parameters
    ----------
    package : str
    """
    for ours in _estimators():
        for key, module in _modules():
            if key.startswith(f"{package}."):
                for name in [name for name, value in vars(module).items() if value is ours]:
                    setattr(module, name, ours._sklearn_class)


def _replace(module: ModuleType) -> None:
    """Replace the names, now that `sklearn.mixture` is there, or one of the estimators."""
    estimators = _estimators()
    if None in estimators:
        # sklearn.mixture is being imported by one of the estimators, whose own import follows.
        return
    no_longer(_replace)
    mixture = importlib.import_module("sklearn.mixture")
    for ours in estimators:
        _replaced.extend(_places(ours._sklearn_class, ours))
        setattr(mixture, f"Sklearn{ours.__name__}", ours._sklearn_class)
    for place in _replaced:
        setattr(place.module, place.name, place.replacement)


def _estimators() -> list[Any]:
    """Both classes; None for one whose module is only being imported."""
    return [getattr(importlib.import_module(home), name, None) for home, name in _HOMES.items()]


def _modules() -> list[tuple[str, ModuleType]]:
    return [(key, m) for key, m in list(sys.modules.items()) if isinstance(m, ModuleType)]


def _places(original: type, replacement: type) -> list[_Place]:
    """Every module and name that holds a class, but for where it has to be the original.

    That is where it, or a subclass, is defined, and in packages with a table of classes.
    """
    at_home = {subclass.__module__ for subclass in _subclasses(original, replacement)}
    modules = _modules()
    tables = {
        key.partition(".")[0]
        for key, module in modules
        if any(type(value) is dict and original in value for value in list(vars(module).values()))
    }
    return [
        _Place(module, name, original, replacement)
        for key, module in modules
        if not key.startswith(_LEFT_ALONE)
        and key not in at_home
        and (key.partition(".")[0] not in tables or key == "sklearn.mixture")
        for name, value in list(vars(module).items())
        if value is original and name != f"Sklearn{original.__name__}"
    ]


def _subclasses(parent: type, but_for: type) -> Iterator[type]:
    """All classes below a class, but for one and those below it."""
    children: list[type] = parent.__subclasses__()
    for child in children:
        if child is not but_for:
            yield child
            yield from _subclasses(child, but_for)
