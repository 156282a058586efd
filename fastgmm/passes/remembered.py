"""What a process that gets an object from another remembers of it, from pass to pass."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_MOST = 4
"""Objects that are remembered."""

_objects: OrderedDict[str, Any] = OrderedDict()
_lock = threading.Lock()


def remembered(token: str, make: Callable[..., T], *arguments: Any) -> T:
    """The object that was made here for a token before, or a new one.

    Parameters
    ----------
    token : str
    make : callable
    *arguments
        Of it.
    """
    with _lock:
        if token not in _objects:
            _objects[token] = make(token, *arguments)
        _objects.move_to_end(token)
        while len(_objects) > _MOST:
            _objects.popitem(last=False)
        made: T = _objects[token]
        return made
