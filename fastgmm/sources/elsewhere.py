"""What a source has to know of rows that are worked on in another place than this process."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from fastgmm.sources.reader import RowReader


class Place(ABC):
    """Where rows are worked on: `fastgmm.distributed` has such places.

    Attributes
    ----------
    whole_chunks : bool
        Whether functions get the chunks of a grid as they are, and not cut further.
    """

    whole_chunks = False

    @abstractmethod
    def merge(self, function: Callable[[Any], Any], source: Any, grid: Any) -> Any:
        """Merge of a function of every chunk; see `fastgmm.sources.base.merge_chunks`."""


ENGINES: dict[str, Callable[[Callable[[], RowReader]], RowReader]] = {}
"""By the names that `open_source` takes: what makes a reader, of a function that opens one."""


def engine_named(name: str) -> Callable[[Callable[[], RowReader]], RowReader]:
    """What makes a reader whose rows are worked on by an engine.

    Raises
    ------
    ValueError
        If there is no such engine.
    """
    if name not in ENGINES:
        known = ", ".join(map(repr, sorted(ENGINES)))
        raise ValueError(f"engine should be None or {known}, but got {name!r}.")
    return ENGINES[name]
