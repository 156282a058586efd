"""The passes over rows against the oracle, for every structure, dtype, shape and memory layout."""

import itertools
from functools import cached_property

import numpy as np
import pytest

from fastgmm.covariance import STRUCTURES
from fastgmm.kernels import em_pass
from fastgmm.kernels.layout import OUTPUTS
from fastgmm.kernels.scatter_pass import totals_pass
from fastgmm.passes.chunks import (
    ScatterOfChunks,
    chunk_predictions,
    statistics_of_each,
    totals_of_each,
    totals_of_few,
)
from fastgmm.passes.kernel_operands import KernelOperands
from tests import mixtures, reference, structures, tolerances
from tests.kernels.passes import RTOL, assert_close, every_dtype, every_shape

every_structure = pytest.mark.parametrize("covariance_type", structures.OF_FORMS)


def strided(X):
    """Every second row and third column of a larger array, backwards."""
    larger = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan, X.dtype)
    larger[::2, ::3] = X[::-1, ::-1]
    return larger[::2, ::3][::-1, ::-1]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


LAYOUTS = [np.asfortranarray, strided, read_only]


class Problem:
    """Rows, weights and a mixture, and what the oracle says about them in long double."""

    def __init__(self, covariance_type, dtype, shape, offset=0.0):
        n, d, k = shape
        random = np.random.RandomState(n)
        self.covariance_type, self.dtype = covariance_type, np.dtype(dtype)
        self.X = mixtures.random_rows(n, d, random, dtype, offset)
        self.sample_weight = random.uniform(0, 3, n) * (random.uniform(size=n) > 0.2)
        self.given = random.dirichlet(np.ones(k), n)
        self.parameters = mixtures.random_parameters(covariance_type, k, d, random, offset)
        self.structure = STRUCTURES[covariance_type]
        self.operands = mixtures.operands_of(self.structure, self.parameters, self.dtype)

    def statistics(self, X=None, sample_weight=None, given=None):
        chunk = mixtures.as_chunk(self.X if X is None else X, sample_weight)
        return mixtures.statistics_of(chunk, self.structure, self.operands, given)

    def prediction(self, output, X=None):
        X = self.X if X is None else X
        matrix = output in ("responsibilities", "log_densities")
        shape = (len(X), len(self.operands.means)) if matrix else len(X)
        shape = (len(X), 2) if output == "certainties" else shape
        out = np.empty(shape, np.int64 if output == "labels" else self.dtype)
        chunk = mixtures.as_chunk(X)
        chunk_predictions(chunk, self.structure.forms, self.operands, output, out)
        return out

    @property
    def mixture(self):
        parameters = self.parameters
        kind = structures.like(self.covariance_type)
        return parameters.means, parameters.precisions_cholesky, kind

    @cached_property
    def oracle_predictions(self):
        """(responsibilities, log-likelihoods, weighted log-densities)."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.parameters.weights.astype(np.longdouble))
        weighted = log_weights + reference.log_densities(self.X, *self.mixture, np.longdouble)
        weights = self.parameters.weights
        both = reference.responsibilities(self.X, weights, *self.mixture, np.longdouble)
        return *both, weighted

    def oracle_statistics(self, sample_weight=None, given=None):
        responsibilities, log_likelihood, _ = self.oracle_predictions
        if given is not None:
            responsibilities, log_likelihood = given, 0.0
        return reference.sufficient_statistics(
            self.X,
            responsibilities,
            self.operands.reference,
            self.structure.forms.moments,
            sample_weight,
            log_likelihood,
            np.longdouble,
        )


def assert_same_statistics(actual, desired, rtol):
    for field in ("weight", "first", "second"):
        if getattr(desired, field) is not None:
            assert_close(getattr(actual, field), getattr(desired, field), rtol)
    for field in ("log_likelihood", "total_weight"):
        np.testing.assert_allclose(
            getattr(actual, field), getattr(desired, field), rtol=rtol, atol=rtol
        )
    assert actual.n_rows == desired.n_rows


# --- statistics ---------------------------------------------------------------------------


@every_structure
@every_dtype
@every_shape
def test_statistics(covariance_type, dtype, shape):
    problem = Problem(covariance_type, dtype, shape)
    for sample_weight, given in itertools.product(
        (None, problem.sample_weight), (None, problem.given)
    ):
        actual = problem.statistics(sample_weight=sample_weight, given=given)
        desired = problem.oracle_statistics(sample_weight, given)
        assert_same_statistics(actual, desired, RTOL[dtype])


@every_structure
@every_dtype
def test_statistics_add_to_what_is_there(covariance_type, dtype):
    problem = Problem(covariance_type, dtype, (65, 3, 2))
    statistics = problem.statistics()
    once = statistics.sums.copy()
    forms, d = problem.structure.forms, problem.X.shape[1]
    add_statistics = em_pass.statistics_pass(forms, problem.dtype, d)
    add_statistics(
        problem.X,
        mixtures.NO_WEIGHTS,
        np.array([0, len(problem.X)]),
        np.array([0]),
        np.empty(0, dtype=np.int32),
        np.empty((0, 2)),
        False,
        *(array[np.newaxis] for array in problem.operands),
        statistics.sums[np.newaxis],
    )
    # Not to the last bit: where vectors are short, these rows make several tiles.
    assert_close(statistics.sums, 2 * once, 10 * tolerances.EPS)


@every_structure
@every_dtype
@every_shape
def test_labels_are_responsibilities_of_0_and_1(covariance_type, dtype, shape):
    problem = Problem(covariance_type, dtype, shape)
    labels = problem.given.argmax(axis=1)
    given = np.eye(shape[-1])[labels]
    for sample_weight in (None, problem.sample_weight):
        found, expected = (problem.statistics(None, sample_weight, g) for g in (labels, given))
        np.testing.assert_array_equal(found.sums, expected.sums)


@every_structure
@every_dtype
@pytest.mark.parametrize("weighted", [False, True])
def test_components_near_the_origin_beside_others(covariance_type, dtype, weighted):
    """Moments of some are taken about the origin together, those of others one by one."""
    problem = Problem(covariance_type, dtype, (700, 6, 42))
    parameters = problem.parameters
    parameters.weights[:] = 1 / 42
    for first, distance in ((0, 60.0), (3, -60.0)):
        parameters.means[first::6] += distance
        problem.X[first::6] += distance
    problem.operands = mixtures.operands_of(problem.structure, parameters, problem.dtype)
    norms = np.linalg.norm(problem.operands.projected, axis=1)
    assert (norms < 6).sum() >= 16
    assert (norms > 8).any()
    sample_weight = problem.sample_weight if weighted else None
    actual, desired = (
        problem.statistics(None, sample_weight),
        problem.oracle_statistics(sample_weight),
    )
    assert_same_statistics(actual, desired, RTOL[dtype])
    for output, wanted in zip(
        ("responsibilities", "log_likelihoods"), problem.oracle_predictions, strict=False
    ):
        assert_close(problem.prediction(output), wanted, RTOL[dtype])


@every_structure
@every_dtype
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("size", [(3, 2), (6, 17)])
def test_statistics_of_each_of_many(covariance_type, dtype, given, size):
    """Of any lengths, some left out, and each with a mixture of its own: as if it were alone."""
    lengths, chosen = [3, 700, 0, 64, 1300, 5], np.array([1, 5, 2, 4])
    problems = [Problem(covariance_type, dtype, (n, *size)) for n in lengths]
    operands = (
        np.stack(arrays) for arrays in zip(*(problems[i].operands for i in chosen), strict=True)
    )
    found = statistics_of_each(
        np.concatenate([problem.X for problem in problems]),
        np.cumsum([0, *lengths]),
        chosen,
        problems[0].structure.forms,
        KernelOperands(*operands),
        np.concatenate([problem.given for problem in problems]) if given else None,
    )
    for i, sums in zip(chosen, found.sums, strict=True):
        alone = problems[i].statistics(given=problems[i].given if given else None)
        np.testing.assert_array_equal(sums, alone.sums)


@every_structure
@pytest.mark.parametrize(("dtype", "offset"), [(np.float32, 1e4), (np.float64, 1e7)])
def test_statistics_far_from_zero(covariance_type, dtype, offset):
    """E[x^2] - mean^2 would have lost all digits."""
    problem = Problem(covariance_type, dtype, (300, 3, 3), offset)
    rtol = RTOL[dtype] + 10 * tolerances.EPS * offset
    assert_same_statistics(problem.statistics(), problem.oracle_statistics(), rtol)


@every_structure
def test_the_reference_is_what_the_kernel_centred_by(covariance_type):
    """First moments of rows at the reference itself are zero to the last bit, in float32 too."""
    problem = Problem(covariance_type, np.float32, (65, 3, 1), offset=100.0)
    rows = np.repeat(problem.operands.reference.astype(np.float32), 3, axis=0)
    first = problem.statistics(rows).first
    # The row itself is rounded to float32; nothing else is.
    rounding = 3 * np.abs(rows[0] - problem.operands.reference[0])
    assert np.all(np.abs(first[0]) <= rounding + 1e-12)


@every_dtype
@every_shape
def test_scatter(dtype, shape):
    n, d, _ = shape
    random = np.random.RandomState(n)
    X = mixtures.random_rows(n, d, random, dtype)
    about = random.standard_normal(d)
    for weights in (None, random.uniform(0, 3, n)):
        actual = ScatterOfChunks(about[np.newaxis])(mixtures.as_chunk(X, weights))
        desired = reference.sufficient_statistics(
            X, np.ones((n, 1)), about[np.newaxis], "outer", weights, dtype=np.longdouble
        )
        # In float64 whatever the rows are.
        assert_same_statistics(actual, desired, RTOL[np.float64])


def each_of_many(dtype, shape):
    """All rows in some layout, those of a data set among them, and the totals of this one."""
    n, d, _ = shape
    rows = mixtures.random_rows(n, d, np.random.RandomState(n), dtype)
    offsets = np.array([0, n // 3, n // 3, n])
    for layout in (np.ascontiguousarray, *LAYOUTS):
        X = layout(rows)
        totals = totals_of_each(X, offsets)
        for start, stop, total in zip(offsets[:-1], offsets[1:], totals, strict=True):
            yield X, X[start:stop], total


@every_dtype
@every_shape
def test_totals_of_each_of_many(dtype, shape):
    for X, own, total in each_of_many(dtype, shape):
        expected = own.astype(np.longdouble).sum(axis=0)
        scale = np.abs(X).sum(axis=0).max()
        np.testing.assert_allclose(total, expected.astype(float), atol=1e-15 * scale)


@pytest.mark.compiled_only
@every_dtype
@every_shape
def test_totals_of_one_have_the_bits_of_those_of_many(dtype, shape):
    """Whether a kernel makes them or, of one, NumPy, as long as there is no kernel."""
    for _, own, total in each_of_many(dtype, shape):
        alone = totals_of_each(own, np.array([0, len(own)]))[0]
        np.testing.assert_array_equal(total, alone)


@pytest.mark.compiled_only
@every_dtype
@every_shape
def test_totals_of_few_have_the_bits_of_the_kernel(dtype, shape):
    n, d, _ = shape
    rows = mixtures.random_rows(n, d, np.random.RandomState(n), dtype)
    for layout in (np.ascontiguousarray, *LAYOUTS):
        for X in (layout(rows), layout(rows[: n // 3])):
            add_totals, totals = totals_pass(X.dtype), np.zeros((1, d))
            add_totals(X, np.array([0, len(X)]), totals)
            np.testing.assert_array_equal(totals_of_few(X), totals[0])


# --- predictions --------------------------------------------------------------------------


@every_structure
@every_dtype
@every_shape
def test_predictions(covariance_type, dtype, shape):
    problem = Problem(covariance_type, dtype, shape)
    responsibilities, log_likelihoods, log_densities = problem.oracle_predictions
    rtol = RTOL[dtype]
    # A responsibility r has r (1 - r) times the errors of two log-densities.
    of_two = 2 * 0.25 * rtol * max(np.abs(log_densities).max(), 2.0)
    assert_close(problem.prediction("responsibilities"), responsibilities, of_two)
    assert_close(problem.prediction("log_likelihoods"), log_likelihoods, rtol)
    assert_close(problem.prediction("log_densities"), log_densities, rtol)
    labels = problem.prediction("labels")
    chosen = np.take_along_axis(log_densities, labels[:, np.newaxis], axis=1)[:, 0]
    assert np.all(chosen >= log_densities.max(axis=1) - rtol * np.abs(log_densities).max())


@every_structure
@every_dtype
def test_predictions_agree_with_each_other(covariance_type, dtype):
    problem = Problem(covariance_type, dtype, (700, 3, 5))
    responsibilities = problem.prediction("responsibilities")
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(responsibilities.sum(axis=1), 1, rtol=8 * eps)
    most_probable = problem.prediction("log_densities").argmax(axis=1)
    np.testing.assert_array_equal(problem.prediction("labels"), most_probable)
    certainties = problem.prediction("certainties")
    np.testing.assert_array_equal(certainties[:, 0], problem.prediction("log_likelihoods"))
    np.testing.assert_array_equal(certainties[:, 1], responsibilities.max(axis=1))


@every_structure
@every_dtype
def test_a_row_without_a_likelihood_has_no_certainty(covariance_type, dtype):
    problem = Problem(covariance_type, dtype, (70, 3, 5))
    problem.X[7] = np.finfo(dtype).max ** 0.7
    certainties, largest = problem.prediction("certainties"), problem.prediction("responsibilities")
    np.testing.assert_array_equal(certainties[7], (-np.inf, 0))
    others = np.arange(70) != 7
    np.testing.assert_array_equal(certainties[others, 1], largest[others].max(axis=1))


@every_structure
@every_dtype
def test_a_component_of_weight_zero_takes_no_part(covariance_type, dtype):
    problem = Problem(covariance_type, dtype, (70, 3, 3))
    problem.parameters.weights[1] = 0
    problem.operands = mixtures.operands_of(problem.structure, problem.parameters, problem.dtype)
    assert np.all(problem.prediction("responsibilities")[:, 1] == 0)
    assert np.all(problem.prediction("log_densities")[:, 1] == -np.inf)
    assert not np.any(problem.prediction("labels") == 1)
    assert_same_statistics(problem.statistics(), problem.oracle_statistics(), RTOL[dtype])
    assert problem.statistics().weight[1] == 0


@every_structure
@every_dtype
def test_rows_beyond_the_range_of_densities(covariance_type, dtype):
    """Log-likelihoods of -1e4 and less: nothing underflows before its logarithm is taken."""
    problem = Problem(covariance_type, dtype, (40, 3, 3))
    problem.X *= 1000
    _, log_likelihoods, _ = problem.oracle_predictions
    assert log_likelihoods.max() < -1e4
    np.testing.assert_allclose(
        problem.prediction("log_likelihoods"), log_likelihoods.astype(float), rtol=RTOL[dtype]
    )
    np.testing.assert_allclose(problem.prediction("responsibilities").sum(axis=1), 1, rtol=1e-6)


@every_structure
@every_dtype
@pytest.mark.parametrize("shape", [(9, 2, 3), (9, 6, 3)])
@pytest.mark.parametrize("row", [0, 8])
def test_a_row_without_a_likelihood_is_not_lost(covariance_type, dtype, shape, row):
    """Its squared distances overflow. No finite answer is right, so none may come out."""
    problem = Problem(covariance_type, dtype, shape)
    problem.X[row] = np.sqrt(np.finfo(dtype).max) * 10
    statistics = problem.statistics()
    assert statistics.log_likelihood == -np.inf
    assert not np.isfinite(statistics.weight).any()
    assert not np.isfinite(statistics.first).any()
    log_likelihoods = problem.prediction("log_likelihoods")
    assert log_likelihoods[row] == -np.inf
    assert np.isfinite(np.delete(log_likelihoods, row)).all()


@every_structure
@every_dtype
def test_nan_in_a_mixture_comes_out_as_nan(covariance_type, dtype):
    """As from attributes that were set by hand."""
    problem = Problem(covariance_type, dtype, (70, 3, 3))
    problem.parameters.means[1] = np.nan
    problem.operands = mixtures.operands_of(problem.structure, problem.parameters, problem.dtype)
    assert np.isnan(problem.prediction("log_likelihoods")).all()
    assert np.isnan(problem.statistics().log_likelihood)


# --- memory layouts -----------------------------------------------------------------------


@every_structure
@every_dtype
@pytest.mark.parametrize("shape", [(1, 1, 1), (131, 5, 3)])
def test_the_layout_of_rows_changes_no_bit(covariance_type, dtype, shape):
    problem = Problem(covariance_type, dtype, shape)

    def results(layout):
        X, given = layout(problem.X), layout(problem.given)
        weights = layout(problem.sample_weight[:, np.newaxis])[:, 0]
        yield problem.statistics(X, weights).sums
        yield problem.statistics(X, weights, given).sums
        for output in OUTPUTS:
            yield problem.prediction(output, X)
        yield ScatterOfChunks(np.zeros((1, shape[1])))(mixtures.as_chunk(X, weights)).sums

    plain = list(results(np.ascontiguousarray))
    for layout in LAYOUTS:
        for same, expected in zip(results(layout), plain, strict=True):
            np.testing.assert_array_equal(same, expected)
