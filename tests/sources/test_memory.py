"""Reading and fitting keep within its limit of memory, measured in a process of its own."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from fastgmm.estimator.starting import START_BYTES, START_ROWS
from tests import fresh
from tests.systems import linux_only

pytestmark = [pytest.mark.slow, linux_only]

LIMIT, N_THREADS = 64, 2

N_ROWS, N_FEATURES = 201 * 6_000, 16
"""154 MB of numbers."""

MEMORY = """
import ctypes
import pyarrow

# Allocators that keep less of what they were given back than by default.
pyarrow.set_memory_pool(pyarrow.system_memory_pool())
if hasattr(ctypes.CDLL(None), "mallopt"):
    ctypes.CDLL(None).mallopt(-8, 1)  # M_ARENA_MAX: threads share what is given back

def memory():
    "Memory of this process alone, without pages of mapped files, in MB."
    lines = open("/proc/self/status").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000
"""

READ = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
from fastgmm.sources.base import RowGrid
from fastgmm.sources.opening import open_source
{MEMORY}
def read(index):
    total = source.read(*grid.bounds(index)).rows.sum()
    return total, memory()

source = open_source(sys.argv[1], memory_limit="{LIMIT}MB")
grid = RowGrid.of(source.n_rows, source.n_features, 8)
source.read(0, 1)
before = memory()
with ThreadPoolExecutor({N_THREADS}) as pool:
    for _ in range(3):
        totals, memories = zip(*pool.map(read, range(len(grid))))
        assert sum(totals) == {N_ROWS} * 100 * {N_FEATURES}, sum(totals)
print(max(memories) - before)
"""

FIT = f"""
import sys, threading, warnings
import numpy as np
import fastgmm
{MEMORY}
model = fastgmm.GaussianMixture(3, max_iter=2, tol=0, random_state=0, n_jobs={N_THREADS})
warnings.simplefilter("ignore")
model.set_params(init_params=sys.argv[2])
model.fit(np.random.standard_normal((20_000, {N_FEATURES})))  # loads the kernels
source = fastgmm.open_source(sys.argv[1], memory_limit="{LIMIT}MB")
source.read(0, 1)
before, done, memories = memory(), threading.Event(), []

def watch():
    while not done.wait(0.002):
        memories.append(memory())

watcher = threading.Thread(target=watch)
watcher.start()
model.fit(source)
model.predict_proba(source, out=sys.argv[1] + ".out.npy")
done.set()
watcher.join()
print(max(memories) - before)
"""


def column(j):
    return (np.arange(N_ROWS) + j) % 201.0


def write_parquet(path, **options):
    pq.write_table(pa.table({f"x{j}": column(j) for j in range(N_FEATURES)}), path, **options)


def write_zarr(path):
    array = zarr.create_array(
        path, shape=(N_ROWS, N_FEATURES), chunks=(50_000, N_FEATURES), dtype="f8"
    )
    for start in range(0, N_ROWS, 603_000):
        rows = np.arange(start, start + 603_000)[:, np.newaxis] + np.arange(N_FEATURES)
        array[start : start + 603_000] = rows % 201.0


def write_npy(path):
    array = np.lib.format.open_memmap(path, "w+", shape=(N_ROWS, N_FEATURES))
    for j in range(N_FEATURES):
        array[:, j] = column(j)


@pytest.mark.parametrize(
    ("name", "write", "options"),
    [
        ("small.parquet", write_parquet, {"row_group_size": 60_000}),
        ("large.parquet", write_parquet, {"row_group_size": N_ROWS}),
        ("rows.zarr", write_zarr, {}),
        ("rows.npy", write_npy, {}),
    ],
)
def test_memory_is_bounded(tmp_path, name, write, options):
    write(tmp_path / name, **options)
    megabytes = measured(READ, tmp_path / name)
    # A chunk of 16 MB per thread stands beside the limit, and so does what allocators do not give
    # back at once.
    assert megabytes < LIMIT + 16 * N_THREADS + 32
    if name == "rows.npy":
        assert megabytes < 32


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    write_parquet(path, row_group_size=60_000)
    return path


@pytest.mark.parametrize("init_params", ["kmeans", "random", "random_from_data"])
def test_memory_of_a_fit_is_bounded(rows, init_params):
    # The rows that the start is made from, and what k-means takes beside them.
    start = (
        3 * min(START_ROWS * N_FEATURES * 8, START_BYTES) / 1e6 if init_params == "kmeans" else 0
    )
    found = measured(FIT, rows, init_params)
    # Beside what reading takes: predictions on their way to a file.
    assert found < LIMIT + start + 16 * N_THREADS + 48


def measured(script, path, *arguments):
    """What a script prints."""
    return float(fresh.run(script, path, *arguments, check=True).stdout)
