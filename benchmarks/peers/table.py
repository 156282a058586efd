"""Tables of ratios, for a terminal or in Markdown."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.figures import processor
from benchmarks.peers.processes import Outcome
from benchmarks.peers.registry import OURS, Peer

LONGEST_ERROR = 44


@dataclass(frozen=True)
class Result:
    """One row of a table: a shape, and what came out for every library that was tried."""

    shape: tuple[int, int, int]
    structure: str
    estimator: str
    threads: int
    outcomes: dict[str, Outcome]

    @property
    def title(self) -> str:
        """Of the table that it stands in."""
        plural = "" if self.threads == 1 else "s"
        return f"{self.structure} covariance, {self.estimator}, {self.threads} thread{plural} each"


def ratio(result: Result, name: str) -> float | None:
    """How many times as long a library takes as fastgmm, or None without both."""
    ours, theirs = (result.outcomes[each].seconds for each in (OURS, name))
    # A difference of two noisy times can come out as nothing at all for tiny shapes.
    return theirs / ours if ours is not None and theirs is not None and ours > 0 else None


def cell(result: Result, peer: Peer) -> str:
    """What the table says of a library."""
    if not peer.fits(result.structure, result.estimator):
        return "-"
    outcome = result.outcomes.get(peer.name)
    if outcome is None:
        return "not installed"
    if outcome.error is not None:
        text = outcome.error
        return text if len(text) <= LONGEST_ERROR else text[: LONGEST_ERROR - 1] + "…"
    assert outcome.seconds is not None
    if peer.name == OURS:
        return f"{1e3 * outcome.seconds:.2f} ms"
    times = ratio(result, peer.name)
    figure = f"{1e3 * outcome.seconds:.2f} ms" if times is None else f"{times:.1f}x"
    return figure if outcome.agrees else f"{figure} *"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _piped(rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in rows]
    return [lines[0], "|" + "---:|" * len(rows[0]), *lines[1:]]


def tables(results: Iterable[Result], peers: Iterable[Peer], markdown: bool) -> str:
    """One table per structure, estimator and number of threads.

    Parameters
    ----------
    results : iterable of Result
    peers : iterable of Peer
        The columns.
    markdown : bool

    Returns
    -------
    str
    """
    columns = list(peers)
    by_title: dict[str, list[list[str]]] = {}
    for result in results:
        rows = by_title.setdefault(
            result.title, [["rows, features, components", *(peer.name for peer in columns)]]
        )
        shape = ", ".join(map(str, result.shape))
        rows.append([shape, *(cell(result, peer) for peer in columns)])
    heading, lines = ("### {}\n", _piped) if markdown else ("{}", _aligned)
    blocks = ["\n".join([heading.format(title), *lines(rows)]) for title, rows in by_title.items()]
    return "\n\n".join(blocks)


def conditions(peers: Iterable[Peer], repeats: int) -> str:
    """The machine, its load, the versions, and how to read the tables."""
    versions = ", ".join(f"{peer.name} {peer.version() or 'not installed'}" for peer in peers)
    load = " ".join(f"{average:.1f}" for average in os.getloadavg())
    return (
        f"{processor()}, {os.cpu_count()} cores, load {load}, "
        f"Python {platform.python_version()}.\n"
        f"{versions}.\n"
        f"fastgmm: milliseconds per EM iteration, float64, median of {repeats}; the others: their "
        "time as a multiple of fastgmm's.\n"
        "* the means after as many iterations differ from fastgmm's by more than 1e-6 (1e-3 where "
        "a library works in float32)."
    )
