"""Searches on disk: their results, and where they stand."""

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastgmm.estimator.rows import FitRows
from fastgmm.files.atomic import check_writable
from fastgmm.files.container import Contents, read_file, write_file
from fastgmm.saved import DEFAULT_SECONDS
from fastgmm.saved.checkpoints import check_path, has_begun
from fastgmm.saved.codec import Arrays, decode, encode
from fastgmm.saved.fingerprints import Fingerprint, fingerprint_of
from fastgmm.saved.models import describe_model, described_model, unusable
from fastgmm.selection.cell import COLUMNS, FAILED, FEW_ROWS, NEAR_SINGULAR, OK, Cell
from fastgmm.selection.plan import Plan, name_of_start
from fastgmm.sources.base import RowGrid

_BLANK = Cell(1, "")
"""Its columns have the types of any cell's."""


class Keeper:
    """Keeps the fits of a search that are done in a file, from time to time.

    Parameters
    ----------
    path : path

    Raises
    ------
    TypeError
        If it is none.
    OSError
        If the file cannot be written there.
    ModelFileError
        If there is another file, or it is damaged.
    """

    def __init__(self, path: str | os.PathLike):
        check_path(path)
        check_writable(path)
        self._path = path
        self._last_write = -np.inf
        self._unwritten: list[Cell] | None = None
        self._facts: dict[str, Any] = {}
        self._found = read_search(path) if has_begun(path) else None

    def entropy(self, other: int) -> int:
        """What the seeds in the file were made from; another number if there is no file yet."""
        return other if self._found is None else int(self._found.facts["entropy"])

    def resume(self, plan: Plan, data: FitRows, cv: Any) -> dict[tuple[int, str], Cell]:
        """The fits in the file.

        Raises
        ------
        ModelFileError
            If the file is no use.
        ValueError
            If it belongs to another search; the text says what differs. Or if an argument is a
            function, which cannot be saved.
        """
        for start in plan.starts:
            describe_model(plan.make(1, plan.covariance_types[0], init_params=start), {})
        fingerprint = _fingerprint(plan, data, cv)
        self._facts = fingerprint.facts
        if self._found is None:
            return {}
        different = fingerprint.differences(self._found.facts)
        if different:
            raise ValueError(
                f"{os.fspath(self._path)} is the checkpoint of another search: "
                f"{'; '.join(different.values())}. Give another path, or delete the file to begin "
                "anew."
            )
        cells = self._found.cells
        if not {cell.key for cell in cells} <= set(plan.keys):
            what = ValueError("it has fits that are not of this search")
            raise unusable(self._path, "search", what)
        for cell in cells:
            if cell.model is not None:
                cell.model.set_params(n_jobs=plan.parameters["n_jobs"])
        return {cell.key: cell for cell in cells}

    def update(self, cells: Mapping[tuple[int, str], Cell]) -> None:
        """Take note of the fits that are done, and write them if it is time to.

        Raises
        ------
        OSError
            If they cannot be written; the file then holds what it held before.
        """
        self._unwritten = list(cells.values())
        if time.monotonic() - self._last_write >= DEFAULT_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what has not been written.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        if self._unwritten is None:
            return
        header, arrays = described_cells(self._unwritten)
        header["fingerprint"] = self._facts
        write_file(self._path, Contents("search", header, arrays))
        self._unwritten = None
        self._last_write = time.monotonic()


class SavedSearch(NamedTuple):
    """What a checkpoint holds: what the search depends on, and the fits that are done."""

    facts: dict[str, Any]
    cells: list[Cell]


def read_search(path: str | os.PathLike) -> SavedSearch:
    """Read the checkpoint of a search.

    Raises
    ------
    ModelFileError
        If the file is damaged, or of another kind.
    OSError
        If it cannot be read.
    """
    _, header, arrays = read_file(path, ("search",))
    try:
        facts = header["fingerprint"]
        if not isinstance(facts, dict) or not isinstance(facts["entropy"], int):
            raise ValueError("it does not say of which search")
        return SavedSearch(facts, cells_of(header, arrays))
    except MemoryError:
        raise
    except Exception as error:
        raise unusable(path, "search", error) from error


def _fingerprint(plan: Plan, data: FitRows, cv: Any) -> Fingerprint:
    """What tells one search from others."""
    source = data.source
    model = plan.make(1, plan.covariance_types[0])
    grid = RowGrid.of(source.n_rows, source.n_features, 1)
    found = fingerprint_of(model, source, grid, labels=data.labels)
    left_out = ("n_components", "covariance_type", "random_state", "init_params")
    facts = {name: value for name, value in found.facts.items() if name not in left_out}
    facts |= {
        "n_components": " ".join(map(str, plan.n_components)),
        "covariance_type": " ".join(plan.covariance_types),
        "criterion": plan.criterion_name,
        "init_params": " ".join(map(name_of_start, plan.starts)),
        "entropy": plan.entropy,
        "share_starts": "split" if plan.splits else "",
    }
    if plan.criterion == "cv":
        facts["cv"] = cv if isinstance(cv, int) else repr(cv)
    defaults = {name: v for name, v in found.defaults.items() if name not in left_out}
    return Fingerprint(facts, defaults)


# -- cells as JSON and arrays ----------------------------------------------------------------------
def described_cells(cells: Iterable[Cell]) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays of cells, with their models."""
    arrays: Arrays = {}
    described = []
    for cell in cells:
        columns = {name: encode(getattr(cell, name), name, arrays) for name in COLUMNS}
        model = None if cell.model is None else describe_model(cell.model, arrays)
        described.append({"columns": columns, "model": model})
    packed, places = _packed(arrays)
    return {"cells": described, "places": places}, packed


def cells_of(header: dict[str, Any], packed: Arrays) -> list[Cell]:
    """Cells of a header and arrays; any exception means that they are no use."""
    arrays = _unpacked(packed, header["places"])
    cells = []
    for item in header["cells"]:
        columns = {name: decode(item["columns"][name], arrays) for name in COLUMNS}
        for name, value in columns.items():
            if not _is_a(value, name):
                raise ValueError(f"{name} is {value!r}")
        model = None if item["model"] is None else described_model(item["model"], arrays)
        cells.append(Cell(**columns, made=model))
    if not cells:
        raise ValueError("it has no fits")
    return cells


def _is_a(value: Any, column: str) -> bool:
    """Whether a value may stand in a column."""
    if column == "status":
        return value in (OK, FEW_ROWS, NEAR_SINGULAR, FAILED)
    if column == "error":
        return value is None or isinstance(value, str)
    return type(value) is type(getattr(_BLANK, column))


def _packed(arrays: Arrays) -> tuple[Arrays, dict[str, list]]:
    """All arrays of a type as one, and where each is: a file has room for few arrays."""
    places: dict[str, list] = {}
    parts: dict[str, list[np.ndarray]] = {}
    lengths: dict[str, int] = {}
    for name, array in arrays.items():
        kind = array.dtype.name
        places[name] = [kind, lengths.get(kind, 0), list(array.shape)]
        parts.setdefault(kind, []).append(array.reshape(-1))
        lengths[kind] = lengths.get(kind, 0) + array.size
    return {kind: np.concatenate(part) for kind, part in parts.items()}, places


def _unpacked(packed: Arrays, places: Mapping[str, list]) -> Arrays:
    return {
        name: packed[kind][start : start + int(np.prod(shape, dtype=np.int64))].reshape(shape)
        for name, (kind, start, shape) in places.items()
    }
