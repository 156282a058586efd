"""Files of rows, and a way to call commands in this process."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import zarr

from fastgmm import GaussianMixture
from fastgmm.cli.main import call

NAMES = ["a", "b", "c"]


@pytest.fixture
def command(capfd):
    """``command("fit", path, ...)`` gives the exit code and what was printed."""

    def command(*arguments):
        capfd.readouterr()
        code = call([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return command


@pytest.fixture(scope="session")
def rows():
    """Rows in two clusters."""
    random = np.random.RandomState(0)
    X = random.standard_normal((600, 3))
    X[:200] += 5
    return X


@pytest.fixture(scope="session")
def weights():
    return np.random.RandomState(1).uniform(0.5, 2, 600)


@pytest.fixture(scope="session")
def files(tmp_path_factory, rows, weights):
    """Folder with the rows in files of all kinds; some have columns of weights and of text."""
    folder = tmp_path_factory.mktemp("rows")
    table = pa.table(dict(zip(NAMES, rows.T, strict=True)))
    pyarrow.csv.write_csv(table, folder / "rows.csv")
    np.savetxt(folder / "plain.csv", rows, "%.17g", ",")
    np.save(folder / "rows.npy", rows)
    pq.write_table(table, folder / "rows.parquet")
    (folder / "many").mkdir()
    pq.write_table(table.slice(0, 250), folder / "many" / "1.parquet")
    pq.write_table(table.slice(250), folder / "many" / "2.parquet")
    zarr.create_array(folder / "rows.zarr", data=rows, chunks=(100, 3))
    more = table.append_column("w", pa.array(weights))
    more = more.append_column("name", pa.array(["x"] * len(rows)))
    pq.write_table(more, folder / "more.parquet")
    pyarrow.csv.write_csv(more, folder / "more.csv")
    np.save(folder / "weighted.npy", np.column_stack([rows, weights]))
    return folder


@pytest.fixture(scope="session")
def model(rows):
    """What the command should fit."""
    return GaussianMixture(2, random_state=0).fit(rows)


@pytest.fixture(scope="session")
def model_file(files, model):
    """A model of named features."""
    named = GaussianMixture(2, random_state=0).fit(files / "rows.parquet")
    np.testing.assert_array_equal(named.means_, model.means_)
    named.save(files / "model.npz")
    return files / "model.npz"
