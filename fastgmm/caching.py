"""Properties that are computed once."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class cached_property(Generic[T]):
    """`functools.cached_property` without a lock, as it is from Python 3.12 on.

    That of Python 3.11 locks the property of all objects at once: passes over different rows would
    wait for one another, and a child that is forked meanwhile would wait for ever.

    Parameters
    ----------
    function : callable
        Of the object; it may be called twice if two threads ask at the same time.
    """

    def __init__(self, function: Callable[[Any], T]):
        self._function = function
        self._name = function.__name__
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "cached_property[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        """The value, which then hides this property: it stands among the object's attributes."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._function(instance)
        return value
