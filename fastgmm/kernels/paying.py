"""Kernels that others can do without, and which take seconds to compile; free of Numba."""

from collections.abc import Callable, Hashable
from typing import Any

OFTEN = 50
"""Calls from which on such a kernel is worth compiling."""


class WhereItPays:
    """Such a kernel, where it pays to have it.

    Parameters
    ----------
    find : callable () -> callable
        Imports the entry point that makes it, see `fastgmm.kernels.compile.entry_point`.
    """

    def __init__(self, find: Callable[[], Any]):
        self._find = find
        self._asked: dict[Hashable, int] = {}

    def __call__(self, *arguments: Any) -> Any:
        """The kernel, or None.

        None where it is asked for once in a process, so that a single fit does not even import it;
        later what is in the cache, or was made already; and the kernel, compiled if need be, where
        it is wanted often.
        """
        times = self._asked[arguments] = self._asked.get(arguments, 0) + 1
        if times == 1:
            return None
        make = self._find()
        return make(*arguments) if times >= OFTEN else make.at_hand(*arguments, load=times == 2)
