"""EM iterations over rows that stay in a file."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from . import problems
from .problems import THREADS

SHAPE = "320000x8x8"


def write_npy(path: Path, X: NDArray[Any]) -> None:
    """A file that is mapped into memory."""
    np.save(path, X)


def write_parquet(path: Path, X: NDArray[Any]) -> None:
    """A file that is decoded, in groups of rows as pandas and Spark write them."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise NotImplementedError("needs pyarrow") from error
    columns = {f"x{j}": X[:, j] for j in range(X.shape[1])}
    parquet.write_table(pyarrow.table(columns), path, row_group_size=65_536)


WRITERS = {"npy": write_npy, "parquet": write_parquet}


class StoredRows:
    """Five EM iterations over a file, opened by each fit: no decoded rows are left from the last.

    The file itself is in the system's cache.
    """

    version = "1"
    params = (list(WRITERS), THREADS)
    param_names = ("format", "threads")
    rounds = 1
    repeat = (6, 12, 1.5)
    number = 1

    def setup(self, format: str, threads: int) -> None:
        problems.needs_cores(threads)
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Windows removes no file that is still mapped.
        self.directory = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.path = Path(self.directory.name) / f"rows.{format}"
        X = problems.rows(SHAPE)
        WRITERS[format](self.path, X)
        self.model = problems.mixture(threads, **problems.from_truth(SHAPE, "full"))
        problems.warm_up(self.model, X)

    def teardown(self, format: str, threads: int) -> None:
        self.directory.cleanup()

    def time_five_iterations(self, format: str, threads: int) -> None:
        self.model.fit(self.path)
