"""The layers of the package, and who may import what; by the syntax of its files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fastgmm"

#: From the top down; a file may import from the lines below its own, and from its own folder.
LAYERS = [
    ["cli", "__main__"],
    ["__init__"],
    ["batch"],
    ["integrations"],
    ["patching"],
    ["gaussian_mixture", "bayesian_mixture"],
    ["estimator"],
    ["sklearn_interface"],
    ["recovery"],
    ["fitting", "prediction"],
    ["outputs"],
    ["persistence"],
    ["em", "initialization", "maximum_likelihood", "variational"],
    ["kmeans", "cells"],
    ["expectation"],
    ["engines", "sources"],
    ["covariance"],
    ["statistics", "parameters", "caching", "import_hooks"],
    ["kernels"],
]
LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}
ESTIMATORS = ["gaussian_mixture", "bayesian_mixture", "estimator", "sklearn_interface"]

#: The only units that may import these, at the top of a file or within a function.
RESERVED = {
    "numba": ["kernels"],
    "llvmlite": ["kernels"],
    "sklearn": ["cli", "batch", *ESTIMATORS, "initialization", "kmeans"],
}
EM_IMPORTS = {"collections", "dataclasses", "functools", "itertools", "typing", "numpy"}

MOST_LINES, MOST_LINES_OF_FUNCTION = 420, 60  # "about 400"

FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
every_file = pytest.mark.parametrize("file", FILES, ids=str)


def unit_of(file):
    """The folder or module right below the package that a file belongs to."""
    return file.parts[0].removesuffix(".py")


def syntax(file):
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def imports(file):
    """Dotted names of everything that a file imports, wherever in it."""
    for node in ast.walk(syntax(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # A name taken from the package itself is one of its modules, or its public face.
            if node.module == "fastgmm":
                yield from (f"fastgmm.{alias.name}" for alias in node.names)
            else:
                yield node.module


@every_file
def test_imports_run_down_the_layers(file):
    unit = unit_of(file)
    assert unit in LEVEL, f"{unit} needs a place in LAYERS"
    for name in imports(file):
        package, _, rest = name.partition(".")
        if package == "fastgmm":
            target = rest.partition(".")[0]
            target = target if target in LEVEL else "__init__"
            assert target == unit or LEVEL[target] > LEVEL[unit], f"{unit} imports {name}"


@every_file
def test_some_imports_are_reserved(file):
    for name in imports(file):
        allowed = RESERVED.get(name.partition(".")[0])
        assert allowed is None or unit_of(file) in allowed, f"{file} imports {name}"


def test_the_loop_of_em_is_mathematics():
    assert {name.partition(".")[0] for name in imports(Path("em.py"))} <= EM_IMPORTS


@every_file
def test_one_place_compiles(file):
    words = {"njit", "jit", "vectorize", "guvectorize", "stencil", "intrinsic"}
    if file != Path("kernels/compile.py"):
        nodes = list(ast.walk(syntax(file)))
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        used |= {node.name for node in nodes if isinstance(node, ast.alias)}
        assert not used & words


@every_file
def test_structures_alone_know_their_names(file):
    if unit_of(file) == "covariance":
        return
    for node in ast.walk(syntax(file)):
        if isinstance(node, ast.Compare | ast.Match):
            operands = (
                [node.subject] if isinstance(node, ast.Match) else [node.left, *node.comparators]
            )
            words = {getattr(operand, "id", getattr(operand, "attr", None)) for operand in operands}
            assert "covariance_type" not in words, f"{file}:{node.lineno}"


@every_file
def test_files_and_functions_are_short(file):
    if unit_of(file) == "kernels":
        return
    assert len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    for node in ast.walk(syntax(file)):
        if isinstance(node, ast.FunctionDef):
            docstring = len((ast.get_docstring(node) or "").splitlines())
            length = node.end_lineno - node.lineno + 1 - docstring
            assert length <= MOST_LINES_OF_FUNCTION, f"{node.name} has {length} lines"


def test_importing_the_package_does_not_import_numba():
    code = "import fastgmm, sys; print([m for m in ('numba', 'llvmlite') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
