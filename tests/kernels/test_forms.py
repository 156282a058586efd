"""The forms of densities and moments: which pairs there are, and how kernels keep them apart."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

import fastgmm
from fastgmm.covariance import STRUCTURES
from fastgmm.kernels import em_pass, near_pass
from fastgmm.kernels.forms import parts_of
from fastgmm.kernels.layout import DENSITY_FORMS, FORMS, Forms, check_forms
from fastgmm.passes.dense import SumsOfChunks
from fastgmm.passes.kernel_operands import KernelChoice
from fastgmm.statistics import MomentForm
from tests import mixtures
from tests.kernels.passes import every_dtype

KERNELS = Path(fastgmm.__file__).parent / "kernels"
FILES = sorted(KERNELS.rglob("*.py"))
MOST_LINES_OF_KERNEL = 100

every_pair = pytest.mark.parametrize("forms", FORMS, ids="-".join)
every_file = pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(KERNELS)))


def functions(file):
    """Every function of a file, and its lines without its docstring and the functions within."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            within = [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef) and n != node]
            lines = set(range(node.lineno, node.end_lineno + 1))
            for other in within:
                lines -= set(range(other.lineno, other.end_lineno + 1))
            yield node, len(lines) - len((ast.get_docstring(node) or "").splitlines())


@every_file
def test_no_kernel_is_long(file):
    for node, length in functions(file):
        assert length <= MOST_LINES_OF_KERNEL, f"{node.name} has {length} lines"


@every_file
def test_no_kernel_asks_for_a_form(file):
    """A form is chosen by which file is compiled."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            asked = {"form", "density_form", "moment_form"} & names
            assert not asked, f"{file.name}:{node.lineno}"


def test_every_structure_asks_for_a_pair_that_there_is():
    assert {structure.forms for structure in STRUCTURES.values()} <= set(FORMS)
    assert {forms.density for forms in FORMS} == set(DENSITY_FORMS)
    assert {forms.moments for forms in FORMS} == {form.value for form in MomentForm}


@every_pair
def test_every_pair_has_kernels(forms):
    assert check_forms(*forms) == forms
    parts = parts_of(forms)
    assert inspect.getmodule(parts.statistics) == parts
    assert parts.__name__.rpartition(".")[2] in (forms.density, "shared_pooled")


@pytest.mark.parametrize("make", [em_pass.statistics_pass, near_pass.near_statistics_pass])
@pytest.mark.parametrize(
    "forms", [Forms("diagonal", "outer"), Forms("cholesky", "trace"), Forms("banded", "outer")]
)
def test_another_pair_is_refused(make, forms):
    """Its sums would be written by the one form into room for the other's."""
    with pytest.raises(ValueError, match=f"{forms.density!r}.*{forms.moments!r}.*cholesky, outer"):
        make(forms, np.float64, *([3] if make is em_pass.statistics_pass else []))


@every_dtype
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_careful_moments_keep_the_digits_of_a_component_near_the_origin(covariance_type, dtype):
    """About the origin, some are lost; without components near it, careful or not is the same."""
    random = np.random.RandomState(0)
    n, d, k = 3000, 8, 16
    parameters = mixtures.random_parameters(covariance_type, k, d, random)
    parameters.means[:] = 0.01 * random.standard_normal((k, d)) + 1.0
    X = mixtures.random_rows(n, d, random, dtype)
    structure, chunk = STRUCTURES[covariance_type], mixtures.as_chunk(X)

    def found(careful):
        operands = mixtures.operands_of(structure, parameters, dtype)
        choice = KernelChoice(structure.forms, np.dtype(dtype), operands, careful)
        return SumsOfChunks(choice)(chunk)

    assert not np.array_equal(found(True), found(False))
    np.testing.assert_allclose(found(True), found(False), rtol=0, atol=1e-3 * n)
    parameters.means[::2] += 1e4
    parameters.means[1::2] -= 1e4
    np.testing.assert_array_equal(found(True), found(False))
