"""The E-step by cells: the dense pass's answers, by bounds that hold."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.covariance import STRUCTURES
from fastgmm.engines.threads import ThreadEngine
from fastgmm.parameters import MixtureParameters
from fastgmm.passes import cells, open_pass, opening
from fastgmm.passes.cells import CellPass
from fastgmm.passes.dense import DensePass
from fastgmm.passes.opening import may_be_in_cells
from fastgmm.sources.array import array_source
from tests import structures

pytestmark = pytest.mark.filterwarnings("ignore:Best performing")
every_structure = pytest.mark.parametrize("structure", structures.OF_FORMS)

N, K = 26_000, 64


@pytest.fixture
def passes(monkeypatch):
    """Counts the passes that are made by cells."""
    made = []
    original = CellPass._by_cells

    def by_cells(self, operands, choice):
        made.append(len(operands.means))
        return original(self, operands, choice)

    monkeypatch.setattr(CellPass, "_by_cells", by_cells)
    return made


def _units(d):
    return 10.0 ** np.random.RandomState(d).uniform(-1, 1, d)


def clusters(d, spread, dtype=np.float64, seed=0, n=N, k=K):
    """Rows around `k` centers, of features in different units, and the centers."""
    random, units = np.random.RandomState(seed), _units(d)
    centers = spread * random.standard_normal((k, d))
    rows = centers[random.randint(k, size=n)] + random.standard_normal((n, d))
    return (rows * units + 3 * units).astype(dtype), centers * units + 3 * units


def model(centers, structure, X, kind=GaussianMixture, **arguments):
    k, d = centers.shape
    variances = _units(d) ** 2
    precisions = {
        "full": np.broadcast_to(np.diag(1 / variances), (k, d, d)),
        "tied": np.diag(1 / variances),
        "diag": np.broadcast_to(1 / variances, (k, d)),
        "spherical": np.full(k, 1 / variances.mean()),
    }
    if kind is GaussianMixture:
        arguments["precisions_init"] = np.array(precisions[structures.like(structure)])
        arguments["means_init"], arguments["weights_init"] = centers, np.full(k, 1 / k)
    arguments |= {"max_iter": 4, "tol": 0, "random_state": 0}
    return kind(n_components=k, covariance_type=structure, **arguments)


def nearest(X, centers):
    return ((X[:, np.newaxis] - centers) ** 2 / _units(X.shape[1]) ** 2).sum(axis=2).argmin(axis=1)


def parameters(fitted):
    return fitted.weights_, fitted.means_, fitted.covariances_, np.asarray(fitted.lower_bounds_)


@every_structure
@pytest.mark.parametrize("d", [1, 3, 6])
@pytest.mark.parametrize("weighted", [False, True])
def test_as_the_dense_pass(structure, d, weighted, passes, monkeypatch):
    X, centers = clusters(d, 500.0 if d == 1 else 40.0)
    weights = np.random.RandomState(1).randint(0, 4, N) / 2 if weighted else None
    by_cells = model(centers, structure, X).fit(X, sample_weight=weights)
    assert passes
    passes.clear()
    monkeypatch.setattr(opening, "LEAST_COMPONENTS", np.inf)
    dense = model(centers, structure, X).fit(X, sample_weight=weights)
    assert not passes
    # Tied covariances are a difference from the scatter of all rows, and lose digits by it.
    lost = X.var(axis=0).max() if structure == "tied" else 1.0
    for ours, theirs in zip(parameters(by_cells), parameters(dense), strict=True):
        atol = 1e-12 * max(np.abs(theirs).max(), lost)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=atol)


@every_structure
def test_float32(structure, passes, monkeypatch):
    X, centers = clusters(4, 40.0, np.float32)
    by_cells = model(centers, structure, X).fit(X)
    assert passes
    monkeypatch.setattr(opening, "LEAST_COMPONENTS", np.inf)
    dense = model(centers, structure, X).fit(X)
    for ours, theirs in zip(parameters(by_cells), parameters(dense), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=3e-5 * np.abs(theirs).max())


def test_variational(passes, monkeypatch):
    X, centers = clusters(3, 60.0)
    arguments = {"kind": BayesianGaussianMixture, "init_params": nearest(X, centers)}
    by_cells = model(centers, "full", X, **arguments).fit(X)
    assert passes
    monkeypatch.setattr(opening, "LEAST_COMPONENTS", np.inf)
    dense = model(centers, "full", X, **arguments).fit(X)
    for ours, theirs in zip(parameters(by_cells), parameters(dense), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())


@every_structure
def test_any_threads_and_any_source_give_the_same_bits(structure, tmp_path, passes):
    X, centers = clusters(3, 40.0, n=40_000)
    names = [f"x{j}" for j in range(3)]
    table = pa.table(dict(zip(names, X.T, strict=True)))
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=7000)
    np.save(tmp_path / "x.npy", X)
    ours = model(centers, structure, X, n_jobs=1).fit(X)
    assert passes
    others = [model(centers, structure, X, n_jobs=3).fit(X)]
    others += [model(centers, structure, X).fit(tmp_path / name) for name in ("x.npy", "x.parquet")]
    others.append(model(centers, structure, X).fit(np.asfortranarray(X)))
    for other in others:
        for one, two in zip(parameters(ours), parameters(other), strict=True):
            np.testing.assert_array_equal(one, two)


def test_overlapping_components_take_the_dense_pass(passes):
    X, centers = clusters(3, 0.5)
    model(centers, "full", X).fit(X)
    assert not passes


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((N, 2)),
        np.repeat(np.arange(4.0), N // 4)[:, np.newaxis] * [1.0, 0.0],
        np.vstack(
            [np.random.RandomState(0).standard_normal((N - 2, 2)), [[1e9, 0], [1e200, -1e150]]]
        ),
        np.exp(np.random.RandomState(0).standard_normal((N, 2)) * 8),
    ],
    ids=["one point", "few points", "outliers", "heavy tails"],
)
def test_cells_enclose_their_rows_whatever_they_are(rows):
    source = array_source(rows)
    by_cells = open_pass(source, STRUCTURES["full"].forms, ThreadEngine(2), 500)
    by_cells._order_rows()
    seen = []
    for number, block in enumerate(by_cells._blocks):
        chunk, inside = by_cells._read(number, 0, len(block.cells.ends))
        seen.append(chunk.start + block.order)
        begins = np.concatenate([[0], inside.ends[:-1]])
        assert (np.diff(inside.ends, prepend=0) > 0).all()
        for begin, end, center, radius in zip(begins, *inside, strict=True):
            with np.errstate(over="ignore"):
                moves = (chunk.rows[begin:end] - center) / by_cells._units
                assert np.sqrt((moves**2).sum(axis=1)).max() <= radius * (1 + 1e-12)
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(N))


@every_structure
def test_spreads_bound_how_distances_change(structure):
    random = np.random.RandomState(0)
    d, k = 5, 3
    shape = STRUCTURES[structure].shape(k, d)
    factors = random.standard_normal(shape)
    factors = np.triu(factors) if len(shape) > 1 and shape[-1] == shape[-2] == d else factors**2
    mixture = MixtureParameters(np.ones(k) / k, random.standard_normal((k, d)), factors, factors)
    operands = STRUCTURES[structure].operands(mixture)
    units = 10.0 ** random.uniform(-2, 2, d)
    spreads = cells.distance_spreads(operands, STRUCTURES[structure].forms, units)
    X = random.standard_normal((500, d)) * units
    steps = random.standard_normal((500, d))
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    kind = structures.like(structure)
    full = [np.eye(d)] * k  # spherical: the variance is in the scale
    if kind == "full":
        full = factors
    elif kind == "tied":
        full = [factors] * k
    elif kind == "diag":
        full = [np.diag(f) for f in factors]
    for c in range(k):
        before = np.linalg.norm((X - mixture.means[c]) @ full[c], axis=1)
        after = np.linalg.norm((X + steps * units - mixture.means[c]) @ full[c], axis=1)
        assert np.abs(after - before).max() <= spreads[c]
        tightest = np.linalg.norm(full[c].T * units, 2)
        assert tightest <= spreads[c] <= 1.2 * tightest


def test_small_problems_are_left_alone():
    assert not may_be_in_cells(array_source(np.zeros((1000, 2))), 500)
    assert not may_be_in_cells(array_source(np.zeros((100_000, 2))), 8)
    rows = array_source(np.zeros((1000, 2)))
    assert isinstance(open_pass(rows, STRUCTURES["full"].forms, ThreadEngine(1), 500), DensePass)
