"""The workers of a cluster: whether they have the same packages and processors."""

import sys
import warnings
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from fastgmm.distributed.client import ClusterError, scheduler_errors

_PATIENCE = 60
"""Seconds to wait for the answers of workers, which import Numba first."""


class Facts(NamedTuple):
    """What the bits of a result may depend on, of one process.

    Parameters
    ----------
    versions : dict
        Of packages, by name.
    processor : tuple of str
        Kind of machine, name of the processor, and its features, as the compiler knows them.
    """

    versions: dict[str, str]
    processor: tuple[str, ...]


def facts_here() -> Facts:
    """Facts of this process."""
    from fastgmm.kernels.target import describe  # Numba takes its time

    versions = {"fastgmm": sys.modules["fastgmm"].__version__, "numpy": np.__version__}
    versions["numba"] = version("numba")
    return Facts(versions, tuple(describe()))


def check_workers(client: Any, addresses: Collection[str], here: Facts) -> None:
    """Compare the workers of a Dask cluster with this process.

    Parameters
    ----------
    client : Client
    addresses : collection of str
    here : Facts
        Of this process.

    Raises
    ------
    ClusterError
        If one has another version of a package, or lacks it, or does not answer.

    Warns
    -----
    UserWarning
        See `check_facts`.
    """
    with scheduler_errors():
        found = _answers(client, facts_here, addresses, _PATIENCE)
    at_hand = {}
    for address, facts in found.items():
        if isinstance(facts, Exception) and not isinstance(facts, OSError):
            raise ClusterError(
                f"The worker at {address} cannot run fastgmm {here.versions['fastgmm']}: "
                f"{type(facts).__name__}: {facts}"
            )
        if isinstance(facts, Facts):  # otherwise it died meanwhile
            at_hand[f"at {address}"] = facts
    check_facts(at_hand, here)


def _answers(
    client: Any, function: Callable[[], Any], addresses: Collection[str], seconds: float
) -> dict[str, Any]:
    """What a function gives on every worker, or what it raises.

    Raises
    ------
    ClusterError
        If a worker does not answer in time.
    """
    asked = {"on_error": "return", "callback_timeout": seconds}
    try:
        answers: dict[str, Any] = client.run(function, workers=list(addresses), **asked)
    except TimeoutError:
        if len(addresses) > 1:
            for address in sorted(addresses):
                _answers(client, function, [address], 1)
        raise ClusterError(
            f"The worker at {', '.join(sorted(addresses))} does not answer. It may hang, or be cut "
            "off; restart it, or wait until its scheduler gives it up."
        ) from None
    return answers


def check_facts(found: Mapping[str, Facts], here: Facts) -> None:
    """Compare the facts of workers with those of this process.

    Parameters
    ----------
    found : mapping
        By where the worker is, in words.
    here : Facts

    Raises
    ------
    ClusterError
        If one has another version of a package.

    Warns
    -----
    UserWarning
        If one has another processor, so that last digits may be different.
    """
    others = set()
    for where, facts in sorted(found.items()):
        for name, expected in here.versions.items():
            if facts.versions.get(name) != expected:
                raise ClusterError(
                    f"The worker {where} has {name} {facts.versions.get(name)}, but this process "
                    f"has {expected}. Both need the same, or results would depend on where rows "
                    "are worked on."
                )
        if facts.processor != here.processor:
            others.add(facts.processor[1] or facts.processor[0])
    if others:
        warnings.warn(
            f"Workers have other processors ({', '.join(sorted(others))}, with their features) "
            f"than this process ({here.processor[1]}): last digits of results may depend on where "
            "rows are worked on.",
            stacklevel=2,
        )
