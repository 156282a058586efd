"""Regressions to plant in a process, to see whether the gate finds them.

A process of the gate plants what its environment names, before anything runs: it puts something
slower in the place of a function or a constant of fastgmm. What is replaced must be there. A name
that has gone is an error, not a regression that was not found: mend the plant.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.gate import GateError

VARIABLE = "FASTGMM_GATE_PLANT"
"""The environment variable that names the plant of a process."""


@dataclass(frozen=True)
class Plant:
    """A regression, and how to plant it in this process."""

    title: str
    apply: Callable[[], None]
    kinds: tuple[str, ...]
    """Measurements of the gate that are meant to see it: exact ones wherever there are any."""

    found: str
    """Regular expression: names of benchmarks that must be reported as worse, at least one."""

    untouched: str
    """Likewise: none of these may be."""


def plant_what_is_asked_for() -> None:
    """Plant what the environment names, if anything."""
    if name := os.environ.get(VARIABLE):
        PLANTS[name].apply()


def _replace(owner: str, name: str, make: Callable[[Any], Any]) -> None:
    """Put what `make` makes of a module's or class's attribute in its place."""
    module, _, inner = owner.partition(":")
    try:
        place = import_module(module)
        place = getattr(place, inner) if inner else place
        present = getattr(place, name)
    except (ImportError, AttributeError) as error:
        raise GateError(f"{owner}.{name}, which a plant replaces, has gone: {error}") from None
    setattr(place, name, make(present))


def _after_every_pass(more: Callable[[Callable[[], Any], float], Any]) -> None:
    """After the statistics of every pass of EM, do more: with what was called, and its seconds."""

    def slower(statistics: Callable[..., Any]) -> Callable[..., Any]:
        def planted(*arguments: Any, **keywords: Any) -> Any:
            call = partial(statistics, *arguments, **keywords)
            started = time.perf_counter()
            result = call()
            more(call, time.perf_counter() - started)
            return result

        return planted

    _replace("fastgmm.passes.dense:DensePass", "statistics", slower)


def _rows_loaded_twice() -> None:
    from fastgmm.kernels.compile import kernel

    def twice(load_tile: Any) -> Any:
        def planted(X: Any, start: Any, stop: Any, origin: Any, tile: Any) -> Any:
            load_tile(X, start, stop, origin, tile)
            return load_tile(X, start, stop, origin, tile)

        return kernel(planted)

    _replace("fastgmm.kernels.forms.cholesky", "load_tile", twice)


def _no_fused_multiply_add() -> None:
    # First, for the module of vectors and all others compile as it says.
    _replace("fastgmm.kernels.compile", "_FASTMATH", lambda _: set())

    def apart(_: Any) -> Any:
        def planted(self: Any, a: Any, b: Any, c: Any) -> Any:
            return self.builder.fadd(self.builder.fmul(a, b), c)

        return planted

    _replace("fastgmm.kernels.simd:Vectors", "fma", apart)


def _small_tiles() -> None:
    _replace("fastgmm.kernels.tiles", "_MOST_GROUPS", lambda _: 1)


PLANTS = {
    "extra-pass": Plant(
        "an extra pass over the rows in every iteration",
        partial(_after_every_pass, lambda call, _: call()),
        ("figures",),
        found=r"^(read|kernel) passes per EM iteration",
        untouched=r"predict|to tolerance|log-likelihood|bytes|import",
    ),
    "split-loop": Plant(
        "every tile of rows loaded a second time",
        _rows_loaded_twice,
        ("instructions",),
        found=r"^instructions: full, .*: statistics_pass$",
        untouched=r"predict|scatter_pass|seeding_pass|lloyd_pass|import",
    ),
    "no-fastmath": Plant(
        "the fast-math flag dropped: no fused multiply-add",
        _no_fused_multiply_add,
        ("instructions",),
        found=r"^instructions: (full|predict, full), .*_pass$",
        untouched=r"passes|bytes|import",
    ),
    "small-tile": Plant(
        "tiles of one group of rows",
        _small_tiles,
        ("instructions",),
        found=r"^instructions: full, .*: statistics_pass$",
        untouched=r"passes|bytes|import",
    ),
    "sleep": Plant(
        "a sleep of 10 % in every iteration",
        partial(_after_every_pass, lambda _, seconds: time.sleep(0.1 * seconds)),
        ("times",),
        found=r"^EM iterations: full",
        untouched=r"predict|import",
    ),
}
