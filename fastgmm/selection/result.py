"""What comes out of `select`: a table of fits, and the best of them."""

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastgmm.files.container import Contents, write_file
from fastgmm.saved.codec import Arrays
from fastgmm.saved.models import loadable
from fastgmm.selection.cell import COLUMNS, OK, Cell
from fastgmm.selection.files import cells_of, described_cells
from fastgmm.selection.likelihood_ratio import LikelihoodRatioTests, likelihood_ratio_tests
from fastgmm.sources.optional import import_optional

_EDGE = "The best stands at the edge of the numbers of components: {words}."


class Fits(Mapping):
    """Fitted estimators, by number of components and structure; those that failed are left out."""

    def __init__(self, cells: list[Cell]):
        self._cells = {cell.key: cell for cell in cells if cell.made is not None}

    def __getitem__(self, key: tuple[int, str]) -> Any:
        """The fitted estimator of a cell.

        Raises
        ------
        KeyError
            If there is none; `Selection.to_frame` says why.
        """
        try:
            return self._cells[key].model
        except KeyError:
            raise KeyError(f"There is no fit {key!r}; there are {self!r}.") from None

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def __repr__(self) -> str:
        return f"<fits of {', '.join(map(str, self._cells))}>"


class Selection:
    """A search over numbers of components and structures; printed, it is a table of the criterion.

    Parameters
    ----------
    cells : list of Cell
        In the order of the table: every structure of the first number of components, and so on.
    criterion : str
        Its name.
    greater_is_better : bool
        Whether it is one that grows with the quality of a fit.

    Attributes
    ----------
    best_index_ : int
        Row of the table with the best score among those of status 'ok'; of all that have a score,
        if none is.
    best_estimator_ : estimator
        The model of that row, fitted to all rows.
    n_components : list of int
    covariance_types : list of str
    scores : ndarray of shape (len(n_components), len(covariance_types))
        By the criterion; NaN where a fit failed.
    criterion : str
    greater_is_better : bool
        Of 'cv', the mean log-likelihood of held-out rows; of all others, lower is better.
    fits : mapping
        The fitted estimators, by pairs such as ``(3, "full")``.
    cells : list of Cell
    """

    def __init__(self, cells: list[Cell], criterion: str, greater_is_better: bool):
        self.cells, self.criterion, self.greater_is_better = cells, criterion, greater_is_better
        self.n_components = list(dict.fromkeys(cell.n_components for cell in cells))
        self.covariance_types = list(dict.fromkeys(cell.covariance_type for cell in cells))
        self.best_index_ = _best_index(cells, greater_is_better)

    @property
    def best_estimator_(self) -> Any:
        """The best model, fitted to all rows."""
        return self.cells[self.best_index_].model

    @property
    def scores(self) -> np.ndarray:
        """The criterion, a row per number of components and a column per structure."""
        shape = len(self.n_components), len(self.covariance_types)
        return np.array([cell.score for cell in self.cells]).reshape(shape)

    @property
    def fits(self) -> Fits:
        """The fitted estimators, by pairs such as ``(3, "full")``."""
        return Fits(self.cells)

    @property
    def at_edge(self) -> str:
        """Where the best stands at an edge beyond which others may be better; else empty."""
        k = self.cells[self.best_index_].n_components
        if k == max(self.n_components):
            return f"{k} is the largest that was tried, and a larger one may be better"
        if k == min(self.n_components) and k > 1:
            return f"{k} is the smallest that was tried, and a smaller one may be better"
        return ""

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per fit; `Cell` tells what the columns are.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = import_optional("pandas", "Selection.to_frame")
        return pandas.DataFrame.from_records(self.records(), columns=COLUMNS)

    def records(self) -> list[dict[str, Any]]:
        """The same as dictionaries."""
        return [{name: getattr(cell, name) for name in COLUMNS} for cell in self.cells]

    def bootstrap(
        self, X: Any, n: int = 999, random_state: Any = None, sample_weight: Any = None
    ) -> LikelihoodRatioTests:
        """Tests of k components against k + 1, for the structure of the best.

        The statistic, twice the difference of the log-likelihoods, is compared with those of
        samples from the mixture of k components (McLachlan 1987, "On bootstrapping the likelihood
        ratio test statistic for the number of components in a normal mixture", Appl. Statist. 36).
        As in mclust, both mixtures are fitted again from the fitted parameters, to the rows and to
        every sample. From the smallest k on that has been fitted together with k + 1, the tests go
        on until a p is larger than 0.05. Samples of rows with missing values lack the same values;
        noise keeps its volume.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            The rows that were searched.
        n : int, default=999
            Number of samples for each test.
        random_state : int, RandomState or None, default=None
        sample_weight : array-like of shape (n_samples,), str or int, default=None
            The weights of the search. Samples have as many rows as the weights' sum.

        Returns
        -------
        tests : LikelihoodRatioTests
            Printed as a table; `statistic`, `p_value`, and `chosen`, the first number of components
            that is not rejected.

        Raises
        ------
        ValueError
            If the search has no two numbers of components in succession, or arguments are out of
            range.

        Warns
        -----
        UserWarning
            If X is far less likely than the rows that were searched.
        """
        name = self.cells[self.best_index_].covariance_type
        return likelihood_ratio_tests(self.fits, name, X, n, sample_weight, random_state)

    def plot(self, criterion: str | None = None, ax: Any = None) -> Any:
        """Picture of a criterion by the number of components: `fastgmm.plotting.selection`.

        Parameters
        ----------
        criterion, ax
            See `fastgmm.plotting.selection`.

        Returns
        -------
        ax : matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from fastgmm.plotting import selection

        return selection(self, criterion=criterion, ax=ax)

    def save(self, path: str | os.PathLike) -> None:
        """Write the table and all fitted models to a file, without pickle; `fastgmm.load` reads it.

        Parameters
        ----------
        path : path

        Raises
        ------
        ValueError
            If an argument of the models is a function.
        OSError
            If the file cannot be written; what was there before then still is.
        """
        header, arrays = described_cells(self.cells)
        header["criterion"] = self.criterion
        header["greater_is_better"] = self.greater_is_better
        write_file(path, Contents("selection", header, arrays))

    def __repr__(self) -> str:
        return self.as_text()

    def as_text(self) -> str:
        """The table of the criterion, and what is to be said of the best."""
        best = self.cells[self.best_index_]
        direction = "greater" if self.greater_is_better else "lower"
        lines = [f"{self.criterion}, {direction} is better; marked: * best, ! not ok, - failed"]
        width = max(12, *(len(name) + 2 for name in self.covariance_types))
        titles = "".join(f"{name:>{width}}" for name in self.covariance_types)
        lines.append(f"{'k':>4}{titles}")
        n_types = len(self.covariance_types)
        for i, k in enumerate(self.n_components):
            row = self.cells[i * n_types : (i + 1) * n_types]
            words = (f"{_word(cell, cell is best):>{width}}" for cell in row)
            lines.append(f"{k:>4}{''.join(words)}")
        lines.append(
            f"best: {best.n_components} components, {best.covariance_type}, start {best.start}, "
            f"{self.criterion} {best.score:.6g}, status {best.status}"
        )
        if self.at_edge:
            lines.append(_EDGE.format(words=self.at_edge))
        return "\n".join(lines)


def _word(cell: Cell, is_best: bool) -> str:
    if math.isnan(cell.score):
        return "-"
    mark = "*" if is_best else "" if cell.status == OK else "!"
    return f"{cell.score:.2f}{mark}"


def _best_index(cells: list[Cell], greater_is_better: bool) -> int:
    """Row of the best.

    Raises
    ------
    ValueError
        If no fit has a score.
    """
    able = [i for i, c in enumerate(cells) if c.made is not None and not math.isnan(c.score)]
    if not able:
        raise ValueError("no fit has a score")
    able = [i for i in able if cells[i].status == OK] or able
    sign = -1 if greater_is_better else 1
    return min(able, key=lambda i: sign * cells[i].score)


@loadable("selection")
def _loaded(header: dict[str, Any], arrays: Arrays) -> Selection:
    cells = cells_of(header, arrays)
    criterion, greater = header["criterion"], header["greater_is_better"]
    if not isinstance(criterion, str) or not isinstance(greater, bool):
        raise ValueError("it does not say by what criterion")
    keys = [cell.key for cell in cells]
    numbers, names = (dict.fromkeys(part) for part in zip(*keys, strict=True))
    if keys != [(k, name) for k in numbers for name in names]:
        raise ValueError("its fits are not those of a table")
    return Selection(cells, criterion, greater)
