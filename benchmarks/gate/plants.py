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

VARIABLE = "FASTGMM_GATE_PLANT"  # the environment variable that names the plant of a process


Make = Callable[[Any], Any]  # makes something slower of a function or a constant


@dataclass(frozen=True)
class Plant:
    """A regression."""

    title: str
    replaced: tuple[tuple[str, str, Make], ...]
    """Modules, or classes after a colon, names of their attributes, and what to make of these."""

    kinds: tuple[str, ...]
    """Measurements of the gate that are meant to see it: exact ones wherever there are any."""

    found: str
    """Regular expression: names of benchmarks that must be reported as worse, at least one."""

    untouched: str  # likewise: none of these may be

    def apply(self) -> None:
        """Plant it in this process."""
        for owner, name, make in self.replaced:
            module, _, inner = owner.partition(":")
            try:
                place = import_module(module)
                place = getattr(place, inner) if inner else place
                present = getattr(place, name)
            except (ImportError, AttributeError) as error:
                reason = f"{owner}.{name}, which a plant replaces, has gone: {error}"
                raise GateError(reason) from None
            setattr(place, name, make(present))


def plant_what_is_asked_for() -> None:
    """Plant what the environment names, if anything."""
    if name := os.environ.get(VARIABLE):
        PLANTS[name].apply()


def _and_then(more: Callable[[Callable[[], Any], float], Any]) -> Make:
    """After every call, do more: with what was called, and its seconds."""

    def make(function: Callable[..., Any]) -> Callable[..., Any]:
        def planted(*arguments: Any, **keywords: Any) -> Any:
            call = partial(function, *arguments, **keywords)
            started = time.perf_counter()
            result = call()
            more(call, time.perf_counter() - started)
            return result

        return planted

    return make


def _loading_twice(load_tile: Any) -> Any:
    from fastgmm.kernels.compile import kernel

    def planted(X: Any, start: Any, stop: Any, origin: Any, tile: Any) -> Any:
        load_tile(X, start, stop, origin, tile)
        return load_tile(X, start, stop, origin, tile)

    return kernel(planted)


def _multiplied_then_added(_: Any) -> Any:
    def planted(self: Any, a: Any, b: Any, c: Any) -> Any:
        return self.builder.fadd(self.builder.fmul(a, b), c)

    return planted


PASS = ("fastgmm.passes.dense:DensePass", "statistics")
PLANTS = {
    "extra-pass": Plant(
        "an extra pass over the rows in every iteration",
        ((*PASS, _and_then(lambda call, _: call())),),
        ("figures",),
        found=r"^(read|kernel) passes per EM iteration",
        untouched=r"predict|to tolerance|log-likelihood|bytes|import",
    ),
    "split-loop": Plant(
        "every tile of rows loaded a second time",
        (("fastgmm.kernels.forms.cholesky", "load_tile", _loading_twice),),
        ("instructions",),
        found=r"^instructions: full, .*: statistics_pass$",
        untouched=r"predict|scatter_pass|seeding_pass|lloyd_pass|import",
    ),
    "no-fastmath": Plant(
        "the fast-math flag dropped: no fused multiply-add",
        (
            # First, for the module of vectors and all others compile as it says.
            ("fastgmm.kernels.compile", "_FASTMATH", lambda _: set()),
            ("fastgmm.kernels.simd:Vectors", "fma", _multiplied_then_added),
        ),
        ("instructions",),
        found=r"^instructions: (full|predict, full), .*_pass$",
        untouched=r"passes|bytes|import",
    ),
    "small-tile": Plant(
        "tiles of one group of rows",
        (("fastgmm.kernels.tiles", "_MOST_GROUPS", lambda _: 1),),
        ("instructions",),
        found=r"^instructions: full, .*: statistics_pass$",
        untouched=r"passes|bytes|import",
    ),
    "sleep": Plant(
        "a sleep of 10 % in every iteration",
        ((*PASS, _and_then(lambda _, seconds: time.sleep(0.1 * seconds))),),
        ("times",),
        found=r"^EM iterations: full",
        untouched=r"predict|import",
    ),
}
