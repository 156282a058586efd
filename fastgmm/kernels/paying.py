"""Kernels that others can do without, and which take seconds to compile; free of Numba."""

from collections.abc import Callable, Hashable
from typing import Any

OFTEN = 50
"""Calls from which on such a kernel is worth compiling, of those that make a whole fit."""

_SOONER = 25
"""How much sooner it is worth loading."""


class WhereItPays:
    """Such a kernel, where it pays to have it.

    Parameters
    ----------
    find : callable () -> callable
        Imports the entry point that makes it, see `fastgmm.kernels.compile.entry_point`.
    often : int, optional
        Calls from which on it is worth compiling.
    """

    def __init__(self, find: Callable[[], Any], often: int = OFTEN):
        self._find, self._often = find, often
        self._loaded = max(often // _SOONER, 2)
        self._asked: dict[Hashable, int] = {}

    def __call__(self, *arguments: Any) -> Any:
        """The kernel, or None.

        None where it is asked for once in a process, or less than that is worth, so that a single
        fit does not even import it; later what is in the cache, or was made already; and the
        kernel, compiled if need be, where it is wanted often.
        """
        times = self._asked[arguments] = self._asked.get(arguments, 0) + 1
        if times < self._loaded:
            return None
        make = self._find()
        if times >= self._often:
            return make(*arguments)
        return make.at_hand(*arguments, load=times == self._loaded)
