"""Watches which kernels run, over how many rows, without knowing their arguments.

Entry points of kernels come from functions named ``..._pass`` in ``fastgmm.kernels`` and its
folders, looked up when they are needed; rows come from ``read(start, stop)`` of the classes in
``fastgmm.sources``. Both are replaced by watching ones. A tree without any is an error of whoever
counts, not a zero.
"""

import functools
import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any


class Recorder:
    """Counts rows by kernel, and rows read; `call` calls kernels in the place of a plain call."""

    def __init__(self, call: Callable[[str, Callable[..., Any], tuple], Any] | None = None):
        self.kernel_rows: Counter[str] = Counter()
        self.rows_read = 0
        self._call = call or (lambda _, kernel, arguments: kernel(*arguments))
        self._reading = False

    def install(self) -> None:
        """Watch from now on, in this process."""
        factories = entry_points()
        sources = [
            value
            for module in _modules("fastgmm.sources")
            for value in vars(module).values()
            if inspect.isclass(value)
            and value.__module__ == module.__name__
            and not getattr(value, "_is_protocol", False)
            and "read" in vars(value)
        ]
        if not factories or not sources:
            raise LookupError("found no ..._pass in fastgmm.kernels, or no read in fastgmm.sources")
        for module, name in factories:
            setattr(module, name, self._watched_factory(name, getattr(module, name)))
        for source in sources:
            source.read = self._watched_read(source.read)  # type: ignore[attr-defined]

    def clear(self) -> None:
        """Count from zero again."""
        self.kernel_rows.clear()
        self.rows_read = 0

    def _watched_factory(self, name: str, factory: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(factory)
        def make(*key: Any, **keywords: Any) -> Callable[..., Any]:
            kernel = factory(*key, **keywords)

            def run(X: Any, *arguments: Any) -> Any:
                self.kernel_rows[name] += len(X)
                return self._call(name, kernel, (X, *arguments))

            return run

        return make

    def _watched_read(self, read: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(read)
        def counted(source: Any, start: int, stop: int, *rest: Any, **keywords: Any) -> Any:
            # A source made of others reads from those in turn: the outermost counts.
            outermost = not self._reading
            self._reading = True
            try:
                if outermost:
                    self.rows_read += stop - start
                return read(source, start, stop, *rest, **keywords)
            finally:
                if outermost:
                    self._reading = False

        return counted


def entry_points() -> list[tuple[ModuleType, str]]:
    """Module and name of every function that makes a kernel for callers outside."""
    return [
        (module, name)
        for module in _modules("fastgmm.kernels")
        for name, value in vars(module).items()
        if name.endswith("_pass") and getattr(value, "__module__", "") == module.__name__
    ]


def _modules(package: str) -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        try:
            yield importlib.import_module(info.name)
        except ImportError:  # a source of an optional dependency
            continue
