"""The fits of a search: which run side by side, where, and what they leave."""

import math
import threading
from contextlib import closing

from fastgmm.batch.progress import Progress
from fastgmm.distributed import Cluster
from fastgmm.selection.cell import FAILED, OK, Cell, Key
from fastgmm.selection.elsewhere import Piece, Recipe, cells_of
from fastgmm.selection.files import Keeper
from fastgmm.selection.fits import CellFits, cell_before, reaches
from fastgmm.selection.plan import Plan

REFINED = 100
"""The last contenders are fitted with a tolerance smaller by this."""

_CONTENDERS = 3
"""How many of them there are."""


class Search:
    """The fits of a call of `select`.

    Parameters
    ----------
    plan : Plan
    fits : CellFits
    cells : dict
        Those that are known already, by their keys; the others are added.
    bar : Progress
    keeper : Keeper or None
        Hears of every cell that is added.
    raises : bool
        Whether the first fit that fails ends it all.
    cluster : Cluster, optional
        Where to make cells, if not in this process.
    recipe : Recipe, optional
        What `fits` are made from there.
    """

    def __init__(
        self,
        plan: Plan,
        fits: CellFits,
        cells: dict[Key, Cell],
        bar: Progress,
        keeper: Keeper | None,
        raises: bool,
        cluster: Cluster | None = None,
        recipe: Recipe | None = None,
    ):
        self._plan, self._fits, self._cells, self._bar = plan, fits, cells, bar
        self._keeper, self._raises = keeper, raises
        self._cluster, self._recipe = cluster, recipe
        self._engine = fits.engine
        self._lock = threading.Lock()

    def run(self) -> None:
        """Fit every cell that is missing, then the last contenders with a smaller tolerance.

        Raises
        ------
        ValueError
            If a fit fails and that is to end it all.
        """
        try:
            missing = [key for key in self._plan.keys if key not in self._cells]
            self._bar.advance(len(self._plan.keys) - len(missing), 0)
            self._fit_all(missing, self._plan.tol)
            while again := self._contenders():
                self._fit_all(again, self._plan.tol / REFINED)
        except BaseException:
            self._fits.stop.set()
            raise

    def _fit_all(self, keys: list[Key], tol: float) -> None:
        if self._cluster is None:
            made = self._fits.side_by_side(keys, tol, self._engine, self._cells)
            done = [self._enter(cell) for cell in made]
            keys = [key for key in keys if key not in done]
        if not keys:
            return
        together = self._cluster is not None or self._fits.are_small
        if self._plan.splits:  # a mixture needs the one before it
            names = dict.fromkeys(name for _, name in keys)
            chains = [sorted(key for key in keys if key[1] == name) for name in names]
        elif together:
            # Those that make starts first: threads would wait for each other's. Then the longest
            # first, so that all end together.
            first = {k: name for k, name in reversed(keys)}
            ordered = sorted(keys, key=lambda key: (first[key[0]] != key[1], -key[0]))
            chains = [[key] for key in ordered]
        else:
            chains = [[key] for key in keys]
        if self._cluster is not None:
            self._spread(self._cluster, chains, tol)
        elif together:
            self._engine.for_each(lambda number: self._fit_chain(chains[number], tol), len(chains))
        else:
            before = None
            for chain in chains:
                if chain[0][0] != before:
                    self._fits.starts.forget()
                    before = chain[0][0]
                self._fit_chain(chain, tol)

    def _fit_chain(self, chain: list[Key], tol: float) -> None:
        try:
            for cell in self._fits.chain(chain, tol, self._cells):
                self._enter(cell)
        except BaseException:
            self._fits.stop.set()
            raise

    def _spread(
        self, cluster: Cluster, chains: list[list[Key]], tol: float, one_by_one: bool = False
    ) -> None:
        names = {chain[0]: {name for _, name in chain} for chain in chains}
        pieces = (
            Piece(
                chain,
                tol,
                {key: cell for key, cell in self._cells.items() if key[1] in names[chain[0]]},
            )
            for chain in chains
        )

        def words(number: int) -> str:
            k, name = chains[number][0]
            return f"The fit of {k} components, {name!r}"

        suspects = []
        with closing(cluster.spread(cells_of, pieces, words, self._recipe, one_by_one)) as results:
            for number, found in results:
                if isinstance(found, OSError):  # its workers died
                    if not one_by_one:
                        suspects.append(chains[number])
                        continue
                    seeds, text = self._plan.seeds, str(found)
                    found = [
                        Cell(*key, tol=tol, seed=seeds[key[0]], error=text)
                        for key in chains[number]
                    ]
                for cell in found:
                    if cell.model is not None:
                        cell.model.n_jobs = self._plan.parameters["n_jobs"]
                    self._enter(cell)
        if suspects:
            self._spread(cluster, suspects, tol, one_by_one=True)

    def _enter(self, cell: Cell) -> Key:
        """Take note of a cell; returns its key."""
        if self._fits.stop.is_set():  # it may have been cut off
            return cell.key
        if cell.error is not None and self._raises:
            raise ValueError(
                f"The fit of {cell.n_components} components, {cell.covariance_type!r}, failed: "
                f"{cell.error}"
            )
        with self._lock:
            is_new = cell.key not in self._cells
            self._cells[cell.key] = cell
            if self._keeper is not None:
                self._keeper.update(self._cells)
        if is_new:
            self._bar.advance(1, int(cell.status == FAILED))
        return cell.key

    def _contenders(self) -> list[Key]:
        """Cells that have to be fitted with the smaller tolerance before one of them is named.

        With split starts also those that a mixture of fewer components has overtaken since.
        """
        sign = -1 if self._plan.greater_is_better else 1
        # In the order of the table, whichever thread was done first: some tie, as all of k = 1.
        cells = [self._cells[key] for key in self._plan.keys]
        able = [c for c in cells if c.made is not None and not math.isnan(c.score)]
        able = [cell for cell in able if cell.status == OK] or able
        first = sorted(able, key=lambda cell: sign * cell.score)[:_CONTENDERS]
        again = [cell.key for cell in first if cell.tol > self._plan.tol / REFINED]
        if self._plan.splits and not again:
            again = [key for key in self._plan.keys if self._is_overtaken(key)]
        return again

    def _is_overtaken(self, key: Key) -> bool:
        before, cell = cell_before(self._plan, key, self._cells), self._cells[key]
        if before is None or cell.tol <= self._plan.tol / REFINED:
            return False
        return not reaches(cell, before)
