"""Reports on disk, as Parquet: all models in one file, and where a job of many fits stands."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastgmm.batch.columns import fill, table_of
from fastgmm.batch.datasets import DataSetList
from fastgmm.batch.report import FitReport
from fastgmm.files.atomic import check_writable, replacing
from fastgmm.files.container import Contents, ModelFileError, pack, unpack
from fastgmm.saved import DEFAULT_SECONDS
from fastgmm.saved.checkpoints import has_begun
from fastgmm.saved.checks import check_fitted
from fastgmm.saved.fingerprints import facts_of
from fastgmm.saved.models import describe_model, described_model, loadable_table, unusable
from fastgmm.sources.optional import import_optional

_HEADER = b"fastgmm"
_NOT_DONE = "not fitted: the job was interrupted"


def save_report(
    report: FitReport,
    path: str | os.PathLike,
    positions: Any = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write a report, or some of its mixtures; see `FitReport.save`.

    Parameters
    ----------
    report : FitReport
    path : path
    positions : sequence of int, optional
        Of those that are written.
    facts : mapping, optional
        What a job depends on, if it is to go on from the file.
    """
    parquet = import_optional("pyarrow.parquet", "A report in a file")
    check_writable(path)
    arrays: dict[str, np.ndarray] = {}
    estimator = Contents("model", describe_model(report._make(0), arrays), arrays)
    table, keys = table_of(report, range(len(report)) if positions is None else positions)
    header = {
        "format_version": 1,
        "keys": keys,
        "estimator": base64.b64encode(pack(estimator)).decode(),
        "n_sets": len(report),
        "job": None if facts is None else dict(facts),
    }
    table = table.replace_schema_metadata({_HEADER: json.dumps(header).encode()})
    with replacing(path) as temporary:
        parquet.write_table(table, temporary, write_page_checksum=True)


@loadable_table
def read_report(path: str | os.PathLike) -> FitReport:
    """Read a report.

    Raises
    ------
    ModelFileError
        If the file is damaged, or holds no report.
    OSError
        If it cannot be read.
    """
    table, header = _read(path)
    if header["job"] is not None:
        raise ModelFileError(f"{os.fspath(path)} is the checkpoint of a job, not a report.")
    try:
        keys = list(zip(*(table[name].to_pylist() for name in header["keys"]), strict=True))
        keys = [key[0] for key in keys] if len(header["keys"]) == 1 else keys
        seeds = np.asarray(table["seed"], dtype=np.uint32)
        report = FitReport(_maker(header), keys, seeds, key_names=header["keys"])
        if len(_enter(report, table, header)) != header["n_sets"]:
            raise ValueError("it lacks some of its mixtures")
        return report
    except MemoryError:
        raise
    except Exception as error:
        raise unusable(path, "report", error) from error


def job_of(path: str | os.PathLike) -> tuple[int, int, dict[str, Any]] | None:
    """How many fits are done, of how many, and what they depend on; None of a whole report.

    Raises
    ------
    ModelFileError, OSError
        See `read_report`.
    """
    table, header = _read(path)
    return None if header["job"] is None else (len(table), header["n_sets"], header["job"])


def _read(path: str | os.PathLike) -> tuple[Any, dict[str, Any]]:
    """The table and the header of a file."""
    parquet = import_optional("pyarrow.parquet", "A report in a file")
    lib = import_optional("pyarrow", "A report in a file").lib
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            opened = parquet.ParquetFile(file, page_checksum_verification=True)
            text = (opened.schema_arrow.metadata or {}).get(_HEADER)
            if text is None:
                raise ModelFileError(f"{name} is a Parquet file, but not a report of fastgmm.")
            header = json.loads(text)
            if header["format_version"] != 1:
                raise ModelFileError(f"{name} was written by a later version of fastgmm.")
            header["keys"], header["estimator"], header["n_sets"], header["job"]
            return opened.read(), header
    except (MemoryError, ModelFileError):
        raise
    except (lib.ArrowException, ValueError, KeyError, TypeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ModelFileError(f"{name} is damaged: {error}") from error


def _maker(header: dict[str, Any]) -> Any:
    """What makes unfitted estimators like those of a file."""
    contents = unpack(base64.b64decode(header["estimator"], validate=True))
    estimator = described_model(contents.header, contents.arrays)
    arguments = estimator.get_params(deep=False)
    del arguments["random_state"]
    return lambda seed: type(estimator)(random_state=seed, **arguments)


def _enter(report: FitReport, table: Any, header: dict[str, Any]) -> np.ndarray:
    model = report._make(0)
    return fill(report, table, header["keys"], lambda attributes: check_fitted(model, attributes))


# -- jobs ------------------------------------------------------------------------------------------
class Keeper:
    """Keeps the fits of a job that are done in a file, from time to time.

    Parameters
    ----------
    path : path
    every_seconds : float

    Raises
    ------
    ModelFileError
        If there is another file, or it is damaged.
    OSError
        If the file cannot be written there.
    """

    def __init__(self, path: str | os.PathLike, every_seconds: float = DEFAULT_SECONDS):
        check_writable(path)
        self._path, self._every_seconds = path, every_seconds
        self._last_write = -np.inf
        self._facts: dict[str, Any] = {}
        self._found = _read(path) if has_begun(path) else None
        if self._found is not None and not isinstance(self._found[1]["job"], dict):
            raise ModelFileError(f"{os.fspath(path)} holds a report, not the checkpoint of a job.")

    def seed(self, other: int) -> int:
        """What the seeds in the file were made from; another number if there is no file yet."""
        return other if self._found is None else self._found[1]["job"].get("random_state", other)

    def resume(self, report: FitReport, items: DataSetList, seed: int | None) -> np.ndarray:
        """Enter the fits in the file into a report; their positions.

        Raises
        ------
        ModelFileError
            If the file is no use.
        ValueError
            If it belongs to another job; the text says what differs.
        """
        own = facts_of(report._make(0))
        own |= {"random_state": seed, "data sets": len(report), "the digest": _digest(items)}
        self._facts = own
        if self._found is None:
            return np.zeros(0, dtype=np.int64)
        table, header = self._found
        before = header["job"]
        names = sorted({*own, *before})
        different = [
            f"{name} was {before.get(name)!r} and is {own.get(name)!r}"
            for name in names
            if before.get(name) != own.get(name)
        ]
        if different:
            raise ValueError(
                f"{os.fspath(self._path)} is the checkpoint of another job: "
                f"{'; '.join(different)}. Give another path, or delete the file to begin anew."
            )
        try:
            return _enter(report, table, header)
        except Exception as error:
            raise unusable(self._path, "checkpoint", error) from error

    def update(self, report: FitReport, done: np.ndarray, *, at_once: bool = False) -> None:
        """Write the fits that are done, if it is time to.

        Raises
        ------
        OSError
            If they cannot be written; the file then holds what it held before.
        """
        if at_once or time.monotonic() - self._last_write >= self._every_seconds:
            save_report(report, self._path, np.flatnonzero(done), self._facts)
            self._last_write = time.monotonic()


def mark_undone(report: FitReport, done: np.ndarray) -> None:
    """Say of the fits that are not done that they are not."""
    for i in np.flatnonzero(~done).tolist():
        report.errors[i] = _NOT_DONE


def _digest(items: DataSetList) -> str:
    """Of the names and the numbers of data sets; of what is no array, of its own text."""
    digest = hashlib.sha256()
    for i, (key, data) in enumerate(zip(items.keys, items.data, strict=True)):
        besides = (None if of is None else of[i] for of in (items.weights, items.labels))
        for part in (repr(key), data, *besides):
            if isinstance(part, np.ndarray):
                digest.update(f"{part.shape} {part.dtype}".encode())
                digest.update(np.ascontiguousarray(part).tobytes())
            else:
                digest.update(repr(part).encode())
    return digest.hexdigest()[:16]
