"""Options that commands share: each stands in one place, and so does their order."""

import inspect
from collections.abc import Callable, Collection
from typing import Any


def with_options(*groups: Any, before: str, but: Collection[str] = ()) -> Callable:
    """Decorate a command that has the options of groups beside its own.

    It finds them in its context, and is called with its own alone.

    Parameters
    ----------
    *groups : type
        Named tuples, whose annotated fields are options. Those that the command has itself are its
        own.
    before : str
        Parameter of the command that they precede.
    but : collection of str, optional
        Those that the command does without.
    """

    def decorate(command: Callable) -> Callable:
        own = dict(inspect.signature(command).parameters)
        shared = [
            parameter
            for group in groups
            for name, parameter in inspect.signature(group).parameters.items()
            if hasattr(parameter.annotation, "__metadata__") and name not in {*own, *but}
        ]
        place = list(own).index(before)
        every = [*own.values()][:place] + shared + [*own.values()][place:]

        def call(**given: Any) -> Any:
            return command(**{name: given[name] for name in own})

        call.__name__, call.__doc__ = command.__name__, command.__doc__
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in every]
        )
        return call

    return decorate
