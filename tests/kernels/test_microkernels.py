"""Every micro-kernel against its definition in NumPy.

The micro-kernels are found, not listed: one without inputs in `tests.kernels.inputs` fails a test.
"""

import functools
import importlib
import inspect
import itertools
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from llvmlite import ir
from numba import njit, types

import fastgmm.kernels
from fastgmm.kernels.compile import as_written
from tests import tolerances
from tests.kernels import compile_when_called, inputs, pointers
from tests.kernels.inputs import INPUTS, UNTOUCHED, Problem, SameDigits, Scratch

pytestmark = pytest.mark.compiled_only  # without the compiler a micro-kernel is its definition

FEATURES = [*range(1, 10), 16, 17, 33]
COMPONENTS = [1, 3, 4, 5, 9, 17]
GROUPS = [1, 2, 3]
DTYPES = [np.float64, np.float32]


def sizes():
    """Every two sizes of features, components and groups that there are together."""
    for (i, d), (j, k) in itertools.product(enumerate(FEATURES), enumerate(COMPONENTS)):
        yield d, k, GROUPS[(i + j) % len(GROUPS)]


def find_microkernels():
    """Micro-kernels by name, from all modules of the kernels' folder."""
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(fastgmm.kernels.__path__, "fastgmm.kernels.")
    ]
    members = itertools.chain.from_iterable(vars(module).values() for module in modules)
    return {value.__name__: value for value in members if hasattr(value, "definition")}


def exact(argument):
    """A copy with more digits, for the definition."""
    if not isinstance(argument, np.ndarray):
        return argument
    if argument.dtype.kind != "f" or isinstance(argument, SameDigits):
        return argument.copy()
    return np.array(argument, dtype=np.longdouble)


def assert_equal_results(actual, desired, dtype):
    """Differences below some roundings of the largest number around."""
    actual, desired = (np.asarray(result) + 0 for result in (actual, desired))  # True is 1
    finite = np.isfinite(desired)
    np.testing.assert_array_equal(actual[~finite], desired[~finite])
    scale = np.abs(desired[finite & (desired != UNTOUCHED)]).max(initial=1.0)
    error = np.abs(actual[finite] - desired[finite]).max(initial=0.0)
    assert error <= tolerances.MICROKERNEL_ROUNDINGS * np.finfo(dtype).eps * scale


def check(microkernel, call, arguments, dtype):
    copies = [exact(argument) for argument in arguments]
    desired = microkernel.definition(*copies)
    plain = [np.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    returned = call(*plain)
    if desired is not None:
        assert_equal_results(returned, desired, dtype)
    for argument, copy in zip(arguments, copies, strict=True):
        if isinstance(argument, np.ndarray) and not isinstance(argument, Scratch):
            assert_equal_results(argument, copy, dtype)


@functools.cache
def compiled(microkernel):
    """The micro-kernel as a function; one compilation for all sizes of a dtype.

    It is compiled as most kernels are that call it: optimised once, see `as_written`.
    """
    parameters = ", ".join(inspect.signature(microkernel.definition).parameters)
    namespace = {"microkernel": microkernel, "as_written": as_written}
    exec(f"def call({parameters}): as_written(); return microkernel({parameters})", namespace)
    return compile_when_called(namespace["call"])


MICROKERNELS = find_microkernels()


@pytest.fixture(autouse=True)
def no_typed_pointers(monkeypatch):
    """Between them, the tests below emit every micro-kernel."""
    pointers.forbid_typed_pointers(monkeypatch)


@pytest.mark.skipif(not hasattr(ir.types, "_TypedPointerType"), reason="there are none any more")
@pytest.mark.parametrize(
    "emit",
    [
        lambda builder, pointer: builder.bitcast(pointer, ir.FloatType().as_pointer()),
        lambda builder, pointer: builder.gep(pointer, [ir.Constant(ir.IntType(64), 1)]),
        lambda builder, pointer: builder.load(pointer),
        lambda builder, pointer: pointer.type.pointee,
    ],
)
def test_a_typed_pointer_would_be_noticed(emit, monkeypatch):
    double = ir.DoubleType()
    function = ir.Function(ir.Module(), ir.FunctionType(double, [double.as_pointer()]), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    monkeypatch.setattr(pointers, "_KERNELS", Path(__file__).parent)
    with pytest.raises(AssertionError, match="leans on a pointer"):
        emit(builder, function.args[0])


def test_every_microkernel_has_inputs():
    assert len(MICROKERNELS) > 5
    assert set(MICROKERNELS) - {"aligned_row", "aligned_rows", "as_written"} == set(INPUTS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", INPUTS)
def test_a_microkernel_does_what_its_definition_says(name, dtype):
    microkernel = MICROKERNELS[name]
    call = compiled(microkernel)
    for d, k, groups in sizes():
        check(microkernel, call, INPUTS[name](Problem(d, k, groups, dtype)), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_aligned_rows_start_on_cache_lines_an_odd_number_apart(dtype):
    call, like = compiled(MICROKERNELS["aligned_rows"]), np.empty((1, 1), dtype)
    for n_rows, points in itertools.product([0, 1, 5], [8, 16, 24, 32, 128]):
        rows = call(n_rows, points, like)
        assert rows.dtype == dtype
        assert rows.shape[0] == n_rows
        assert points <= rows.shape[1] <= points + 64 // like.itemsize
        assert rows.strides[0] // 64 % 2 == 1
        assert rows.strides[0] % 64 == 0 or points * like.itemsize % 64
        assert rows.ctypes.data % 64 == 0
        rows[:] = 1.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_aligned_row_starts_on_a_cache_line(dtype):
    call, like = compiled(MICROKERNELS["aligned_row"]), np.empty((1, 1), dtype)
    for points in (0, 1, 24):
        row = call(points, like)
        assert row.dtype == dtype
        assert row.shape == (points,)
        assert row.ctypes.data % 64 == 0


def test_a_part_keeps_its_array_and_a_whole_can_be_written_through_it():
    part = compiled(MICROKERNELS["part"])
    whole = np.zeros((2, 3))
    row = part(whole, 1)
    row[:] = 1.0
    np.testing.assert_array_equal(whole, [[0, 0, 0], [1, 1, 1]])
    del whole
    np.testing.assert_array_equal(row, 1.0)


def test_loops_stay_as_they_are_written_where_a_kernel_asks_for_it():
    def loops():
        as_written()

    (code,) = njit(types.void())(loops).inspect_llvm().values()
    assert "optsize" in code


@pytest.mark.parametrize("dtype", DTYPES)
def test_responsibilities_may_overwrite_distances(dtype):
    microkernel = MICROKERNELS["normalize"]
    distances, points, *rest, output, norms = inputs.normalize(Problem(1, 5, 2, dtype))
    in_place = distances.copy()
    call = compiled(microkernel)
    total = call(distances, points, *rest, output, norms)
    assert call(in_place, points, *rest, in_place, norms) == total
    np.testing.assert_array_equal(in_place[:, :points], output[:, :points])


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_nan_is_lost(dtype):
    """A row whose density overflowed to NaN must not come out with a likelihood."""
    arguments = inputs.normalize(Problem(1, 4, 1, dtype))
    distances, *_, responsibilities, norms = arguments
    distances[2, 1] = np.nan
    compiled(MICROKERNELS["normalize"])(*arguments)
    assert np.isnan(norms[1])
    assert np.isnan(responsibilities[:, 1]).any()
    assert np.isfinite(norms[2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_first_of_equal_centers_is_nearest_and_leads_by_nothing(dtype, scale):
    """However small or large the numbers; what is not a number is no lead either."""
    problem = Problem(3, 4, 1, dtype)
    _, points, _, _, *found = inputs.nearest_centers(problem)
    with np.errstate(over="ignore"):
        tile, center = problem.tile() * dtype(scale), problem.normal(3) * dtype(scale)
        far, near = np.zeros(3, dtype), np.array([center, center])
        centers = np.vstack([far, near, far])
        offsets = (-0.5 * (centers**2).sum(axis=1)).astype(dtype)
    compiled(MICROKERNELS["nearest_centers"])(tile, points, centers, offsets, *found)
    labels, best, second = found
    margins, zero, tiny = problem.output(), dtype(0), np.finfo(dtype).tiny
    measure = compiled(MICROKERNELS["leads"])
    measure(tile, points, 3, best, second, zero, tiny, zero, margins, problem.output())
    assert not np.any(margins[:points] > 0)
    assert set(labels[:points]) <= {0.0, 1.0}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_of_equal_components_is_assigned(dtype):
    problem = Problem(1, 4, 1, dtype)
    distances, output = np.zeros((4, problem.stride), dtype), problem.output()
    scales, constants = np.full(4, -0.5, dtype), np.array([-1, 2, 2, 2], dtype)
    compiled(MICROKERNELS["assign"])(distances, problem.points, scales, constants, output)
    assert set(output[: problem.points]) == {1.0}
