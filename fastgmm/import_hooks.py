"""What is to be done when other packages are imported, without importing them."""

import importlib.abc
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Action = Callable[[ModuleType], None]


def when_imported(name: str, action: Action) -> None:
    """Call a function with a module: now if it is imported, else as soon as it is.

    Parameters
    ----------
    name : str
    action : callable
        Of the module. The same one waits once only.
    """
    module = sys.modules.get(name)
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        action(module)
        return
    actions = _finder.waiting.setdefault(name, [])
    if action not in actions:
        actions.append(action)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def no_longer(action: Action) -> None:
    """Let a function wait for no module any more."""
    for actions in _finder.waiting.values():
        if action in actions:
            actions.remove(action)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what the finders after it find, and sees to it that actions follow the import."""

    def __init__(self):
        self.waiting: dict[str, list[Action]] = {}

    def find_spec(self, fullname, path, target=None):
        if not self.waiting.get(fullname):
            return None
        for finder in sys.meta_path:
            find_spec = None if finder is self else getattr(finder, "find_spec", None)
            spec = None if find_spec is None else find_spec(fullname, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """The loader of a spec, with the actions after it."""

    def __init__(self, spec: ModuleSpec):
        self._spec = spec
        self._loader: Any = spec.loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        # The module sees its own loader, as it would otherwise.
        self._spec.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        # Python makes it an attribute of its parent only later.
        parent, _, child = module.__name__.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], child, module)
        for action in _finder.waiting.pop(module.__name__, []):
            action(module)

    def __getattr__(self, name):
        return getattr(self._loader, name)


_finder = _Finder()
