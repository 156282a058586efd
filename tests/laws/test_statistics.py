"""Statistics are a commutative monoid, and a homomorphism from rows: the idea of the package."""

import functools
import itertools
import operator
import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.estimates import estimate as estimated
from fastgmm.kernels.layout import HEADER
from fastgmm.passes.chunks import ScatterOfChunks
from fastgmm.statistics import MomentForm, SufficientStatistics
from tests import mixtures, structures, tolerances
from tests.laws.strategies import problems, seeds

N_ROWS = 2  # the place of the number of rows among the sums


def assert_same_sums(actual, desired, magnitudes, rtol):
    assert actual.form is desired.form
    np.testing.assert_array_equal(actual.reference, desired.reference)
    assert np.all(np.abs(actual.sums - desired.sums) <= rtol * magnitudes)


def sums_rtol(problem):
    """Sums are float64, but over the points of a tile, in registers, they are the rows' dtype."""
    single = problem.X.dtype == np.float32
    return tolerances.CHUNKING_RTOL_FLOAT32 if single else tolerances.CHUNKING_RTOL


# --- addition -----------------------------------------------------------------------------


@given(problems())
def test_zero_is_neutral(problem):
    statistics = problem.statistics()
    zero = SufficientStatistics.zero(statistics.form, problem.reference)
    for total in (zero + statistics, statistics + zero):
        assert_same_sums(total, statistics, 0.0, 0.0)
    assert (zero.log_likelihood, zero.total_weight, zero.n_rows) == (0, 0, 0)


@given(problems(), st.data())
def test_addition_commutes(problem, data):
    cut = data.draw(st.integers(0, len(problem.X)))
    one, other = problem.statistics(slice(cut)), problem.statistics(slice(cut, None))
    assert_same_sums(one + other, other + one, 0.0, 0.0)


@given(problems(), st.data())
def test_addition_is_associative(problem, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(problem.X)), min_size=2, max_size=2)))
    a, b, c = (
        problem.statistics(slice(*bounds))
        for bounds in ((0, cuts[0]), (cuts[0], cuts[1]), (cuts[1], None))
    )
    magnitudes = np.abs(a.sums) + np.abs(b.sums) + np.abs(c.sums)
    assert_same_sums((a + b) + c, a + (b + c), magnitudes, tolerances.STATISTICS_RTOL)


@given(problems())
def test_addition_changes_neither_side(problem):
    a, b = problem.statistics(), problem.statistics()
    before = a.sums.copy()
    _ = a + b
    np.testing.assert_array_equal(a.sums, before)
    np.testing.assert_array_equal(b.sums, before)


@given(problems(), st.data())
def test_statistics_about_another_reference_are_refused(problem, data):
    statistics = problem.statistics()
    moved = problem.reference.copy()
    moved.flat[data.draw(st.integers(0, moved.size - 1))] += 1e-6
    other = SufficientStatistics.zero(statistics.form, moved)
    with pytest.raises(ValueError, match="references"):
        statistics + other
    # An equal reference need not be the same object.
    equal = SufficientStatistics.zero(statistics.form, problem.reference.copy())
    assert_same_sums(statistics + equal, statistics, 0.0, 0.0)


@pytest.mark.parametrize("other", MomentForm)
@pytest.mark.parametrize("form", MomentForm)
def test_statistics_of_another_form_are_refused(form, other):
    reference = np.zeros((1, 1))
    a, b = (SufficientStatistics.zero(f, reference) for f in (form, other))
    if form is other:
        assert (a + b).form is form
    else:
        with pytest.raises(ValueError, match="moment forms"):
            a + b


def test_other_things_are_refused():
    statistics = SufficientStatistics.zero(MomentForm.OUTER, np.zeros((1, 1)))
    for other in (1.0, statistics.sums, None):
        with pytest.raises(TypeError):
            statistics + other


# --- rows ---------------------------------------------------------------------------------


@given(problems(), st.data())
def test_any_chunking_gives_the_whole(problem, data):
    n = len(problem.X)
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, n), max_size=6))), n]
    chunks = (problem.statistics(slice(*bounds)) for bounds in itertools.pairwise(cuts))
    total = functools.reduce(operator.add, chunks)
    whole = problem.statistics()
    assert_same_sums(total, whole, problem.magnitudes(), sums_rtol(problem))
    assert total.n_rows == n


@given(problems(), seeds)
def test_the_order_of_rows_does_not_matter(problem, seed):
    shuffled = problem.statistics(np.random.RandomState(seed).permutation(len(problem.X)))
    assert_same_sums(shuffled, problem.statistics(), problem.magnitudes(), sums_rtol(problem))


@given(problems(), seeds)
def test_a_weight_is_a_number_of_repeats(problem, seed):
    """And a row of weight 0 is absent."""
    repeats = np.random.RandomState(seed).randint(0, 4, len(problem.X))
    weighted = problem.statistics(sample_weight=repeats.astype(np.float64))
    rows = np.arange(len(problem.X)).repeat(repeats)
    repeated = problem._replace(sample_weight=None).statistics(rows)
    assert weighted.n_rows == len(problem.X)
    assert weighted.total_weight == repeated.total_weight == repeated.n_rows == len(rows)
    difference = np.delete(np.abs(weighted.sums - repeated.sums), N_ROWS)
    magnitudes = 3 * np.delete(problem._replace(sample_weight=None).magnitudes(), N_ROWS)
    assert np.all(difference <= sums_rtol(problem) * magnitudes)


@given(problems(weighted=[True]), st.integers(-30, 30))
def test_statistics_are_homogeneous_in_the_weights(problem, exponent):
    """A power of two changes no digit, but for float32 rows near the ends of their range."""
    scaled = problem.statistics(sample_weight=np.ldexp(problem.sample_weight, exponent))
    desired = np.ldexp(problem.statistics().sums, exponent)
    desired[N_ROWS] = len(problem.X)
    difference = np.abs(scaled.sums - desired)
    magnitudes = np.ldexp(problem.magnitudes(), exponent)
    assert np.all(difference <= sums_rtol(problem) * magnitudes)


@given(problems())
def test_responsibilities_share_out_every_row(problem):
    statistics = problem.statistics()
    rtol = 16 * float(np.finfo(problem.X.dtype).eps)
    assert statistics.weight.sum() == pytest.approx(statistics.total_weight, rel=rtol)
    assert np.all(statistics.weight >= 0)
    assert statistics.sums.size == HEADER + statistics.weight.size * statistics.form.block_size(
        problem.X.shape[1]
    )


# --- the M-step ---------------------------------------------------------------------------


@given(problems(dtypes=[np.float64]), seeds)
def test_the_m_step_does_not_depend_on_the_reference(problem, seed):
    """With the responsibilities given: the reference is where moments are taken, no more."""
    n, d = problem.X.shape
    k = len(problem.reference)
    assume(n > 3 * k)
    random = np.random.RandomState(seed)
    responsibilities = random.dirichlet(np.ones(k), n)
    chunk = mixtures.as_chunk(problem.X, problem.sample_weight)
    structure = problem.structure

    def estimate(means):
        operands = mixtures.moment_operands(structure, means, problem.X.dtype)
        statistics = mixtures.statistics_of(chunk, structure, operands, responsibilities)
        statistics = statistics.with_scatter(ScatterOfChunks(means[:1])(chunk))
        return estimated(statistics, structure, 0.1)[:3]

    centre = problem.X.mean(axis=0)
    here, elsewhere = (estimate(centre + random.standard_normal((k, d))) for _ in range(2))
    for one, other in zip(here, elsewhere, strict=True):
        scale = np.abs(one).max()
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("covariance_type", structures.ALL)
def test_second_moments_have_the_shape_of_their_form(covariance_type):
    structure = STRUCTURES[covariance_type]
    statistics = SufficientStatistics.zero(structure.forms.moments, np.zeros((4, 3)))
    shapes = {
        MomentForm.OUTER: (4, 3, 3),
        MomentForm.DIAGONAL: (4, 3),
        MomentForm.TRACE: (4,),
    }
    if structure.forms.moments is MomentForm.NONE:
        with pytest.raises(AttributeError, match="no second moments"):
            _ = statistics.second
    else:
        assert statistics.second.shape == shapes[structure.forms.moments]
    assert statistics.first.shape == (4, 3)
    assert statistics.weight.shape == (4,)


@given(problems(), seeds)
def test_moments_move_between_references(problem, seed):
    """Statistics moved to another reference have the moments of an M-step from there."""
    statistics = problem.statistics()
    assume(statistics.weight.min() > 1e-3)
    shift = np.random.RandomState(seed).standard_normal(problem.reference.shape)
    other = SufficientStatistics.zero(statistics.form, problem.reference + shift)
    moved = statistics.about(other)
    np.testing.assert_array_equal(moved.reference, other.reference)
    weight = statistics.weight[:, np.newaxis]
    np.testing.assert_array_equal(moved.weight, statistics.weight)
    scale = np.abs(statistics.first).max() + weight.max() * (1 + np.abs(shift).max())
    np.testing.assert_allclose(
        moved.first + weight * shift, statistics.first, rtol=0, atol=1e-12 * scale
    )
    back = moved.about(statistics)
    if statistics.form is not MomentForm.NONE:
        size = np.abs(statistics.second).max() + scale * (1 + np.abs(shift).max())
        np.testing.assert_allclose(back.second, statistics.second, rtol=0, atol=1e-11 * size)


def test_pickles_hold_arrays_and_words():
    """What loads without pickle, such as skops, knows no Enum; older pickles hold one."""
    whole = SufficientStatistics.zero(MomentForm.OUTER, np.zeros((1, 2)))
    statistics = SufficientStatistics(MomentForm.NONE, np.ones((2, 2)), np.arange(9.0), whole)
    state = statistics.__getstate__()
    assert state[0] == "none"
    for form in (state[0], MomentForm.NONE):
        again = SufficientStatistics.__new__(SufficientStatistics)
        again.__setstate__([form, *state[1:]])
        assert again.form is MomentForm.NONE
        assert again.sums is statistics.sums
        assert again.scatter is whole
    again = pickle.loads(pickle.dumps(statistics))
    assert again.form is MomentForm.NONE
    np.testing.assert_array_equal(again.sums, statistics.sums)
