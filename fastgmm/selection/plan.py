"""What a search is to fit: which cells, from which seeds and starts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.covariance import STRUCTURES

CRITERIA = ("bic", "aic", "icl", "cv")

_PROBES = ((2, 1), (3, 1), (2, 3), (3, 5))
"""Numbers of components and features at which different structures count differently."""

_NEEDS_NO_MORE_ROWS_THAN_FEATURES = ("diagonal", "isotropic", "centred_diagonal")
"""Forms of density of structures whose components are never turned."""


@dataclass(frozen=True)
class Plan:
    """A search.

    Parameters
    ----------
    n_components : tuple of int
    covariance_types : tuple of str
    criterion : str or callable
    starts : tuple
        Values of `init_params`.
    n_init : int
    estimator : type
    parameters : dict
        Other arguments of the estimator.
    entropy : int
        That seeds are made from.
    share_starts : bool or str
        Whether structures share starts; 'split' makes them of the mixture before.
    """

    n_components: tuple[int, ...]
    covariance_types: tuple[str, ...]
    criterion: str | Callable
    starts: tuple
    n_init: int
    estimator: type
    parameters: dict[str, Any]
    entropy: int
    share_starts: bool | str

    @property
    def keys(self) -> list[tuple[int, str]]:
        """The cells, in the order of the table."""
        return [(k, name) for k in self.n_components for name in self.covariance_types]

    @property
    def splits(self) -> bool:
        """Whether starts are split components of the mixture before."""
        return self.share_starts == "split"

    @property
    def tol(self) -> float:
        """That all fits begin with."""
        return float(self.make(1, self.covariance_types[0]).tol)

    @property
    def criterion_name(self) -> str:
        """What to call the criterion."""
        criterion = self.criterion
        if isinstance(criterion, str):
            return criterion
        return str(getattr(criterion, "__name__", type(criterion).__name__))

    @property
    def greater_is_better(self) -> bool:
        """Whether the criterion is a likelihood."""
        return isinstance(self.criterion, str) and self.criterion == "cv"

    @cached_property
    def seeds(self) -> dict[int, int]:
        """The `random_state` of all fits with a number of components."""
        return {k: self._seed(k) for k in (1, *self.n_components)}

    def _seed(self, n_components: int) -> int:
        sequence = np.random.SeedSequence(self.entropy, spawn_key=(n_components,))
        return int(sequence.generate_state(1)[0])

    def make(self, n_components: int, covariance_type: str, **more: Any) -> Any:
        """An estimator that has not been fitted."""
        arguments = {
            **self.parameters,
            "n_components": n_components,
            "covariance_type": covariance_type,
            "n_init": self.n_init,
            "init_params": self.starts[0],
            "random_state": self.seeds[n_components],
            **more,
        }
        return self.estimator(**arguments)


def checked_numbers(n_components: Any) -> tuple[int, ...]:
    """Numbers of components, distinct and in their order.

    Raises
    ------
    ValueError, TypeError
        If they are none.
    """
    is_one = isinstance(n_components, (int, np.integer))
    if not is_one and (isinstance(n_components, str) or not isinstance(n_components, Iterable)):
        raise TypeError(
            f"n_components should be integers, such as range(1, 10), but got {n_components!r}."
        )
    numbers: list = [n_components] if is_one else list(n_components)
    for number in numbers:
        is_number = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if not is_number or number < 1:
            raise ValueError(f"n_components should hold integers from 1, but has {number!r}.")
    if not numbers:
        raise ValueError("n_components is empty: there is nothing to fit.")
    return tuple(dict.fromkeys(int(number) for number in numbers))


def checked_types(names: Any, n_rows: int, n_features: int) -> tuple[str, ...]:
    """Names of structures, distinct and in their order; "all" is what the data allow.

    Raises
    ------
    ValueError, TypeError
        If they are none.
    """
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, Iterable):
        raise TypeError(
            "covariance_type should be 'all', or names such as ('full', 'diag'), but got "
            f"{names!r}."
        )
    names = list(names)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"covariance_type should hold names, but has {name!r}.")
    return all_types(n_rows, n_features) if names == ["all"] else tuple(dict.fromkeys(names))


def all_types(n_rows: int, n_features: int) -> tuple[str, ...]:
    """All structures of the registry that differ, in mclust's names if they have them.

    As in mclust, only those without orientation if there are no more rows than features. Structures
    that always count the same parameters are the same; of one feature, that leaves two.

    Parameters
    ----------
    n_rows, n_features : int
    """
    probes = [(k, d if n_features > 1 else 1) for k, d in _PROBES]
    found: dict[tuple[int, ...], str] = {}
    for name, structure in STRUCTURES.items():
        turns = structure.forms.density not in _NEEDS_NO_MORE_ROWS_THAN_FEATURES
        if n_features > 1 and turns and n_rows <= n_features:
            continue
        counts = tuple(structure.n_free_parameters(k, d) for k, d in probes)
        is_mclusts = name.isupper() and len(name) == (3 if n_features > 1 else 1)
        if is_mclusts:
            found.pop(counts, None)  # so that the order is mclust's, too
        found.setdefault(counts, name)
    return tuple(found.values())


def checked_starts(init_params: Any) -> tuple:
    """The values of `init_params` to try: a list of names and functions is several.

    Raises
    ------
    ValueError
        If a list is empty, or holds names or functions and something else.
    """
    if not isinstance(init_params, (list, tuple)):
        return (init_params,)
    if not init_params:
        raise ValueError("init_params is empty: there is no start to fit from.")
    starts = [isinstance(start, str) or callable(start) for start in init_params]
    if all(starts):
        return tuple(dict.fromkeys(init_params))
    if any(starts):
        raise ValueError(
            "init_params should be a start, or a list of names and functions to try, but its entry "
            f"{starts.index(False)} is {init_params[starts.index(False)]!r}."
        )
    return (init_params,)


def name_of_start(init_params: Any) -> str:
    """What the table calls a start."""
    if isinstance(init_params, str):
        return init_params
    if callable(init_params):
        return str(getattr(init_params, "__name__", type(init_params).__name__))
    return "given"
