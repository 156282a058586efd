"""The layers of the package, and who may import what; by the syntax of its files."""

import ast
import importlib
import inspect
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path
from types import FunctionType

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fastgmm"

#: From the top down; a file may import from the lines below its own, and from its own folder.
LAYERS = [
    ["cli", "__main__"],
    ["__init__"],
    ["selection"],
    ["batch"],
    ["plotting"],
    ["gaussian"],
    ["integrations"],
    ["patching"],
    ["gaussian_mixture", "bayesian_mixture"],
    ["estimator"],
    ["sklearn_interface"],
    ["saved"],
    ["acceleration"],
    ["recovery"],
    ["small_fits"],
    ["em_start"],
    ["em_step"],
    ["convergence"],
    ["em"],
    ["families"],
    ["starts"],
    ["passes"],
    ["outputs"],
    ["distributed"],
    ["sources"],
    ["engines"],
    ["covariance"],
    ["statistics", "parameters", "records", "caching", "import_hooks"],
    ["outer_moments"],
    ["files", "kernels"],
]
LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}
ESTIMATORS = ["gaussian_mixture", "bayesian_mixture", "estimator", "sklearn_interface"]

#: The only units that may import these, at the top of a file or within a function.
RESERVED = {
    "numba": ["kernels"],
    "llvmlite": ["kernels"],
    "sklearn": [
        "__init__",
        "cli",
        "batch",
        "gaussian",
        "patching",
        "plotting",
        "selection",
        *ESTIMATORS,
        "starts",
    ],
}
#: The only files that may import a module whose name is known when they run: packages of others,
#: and the homes of the classes that a patch puts in their places.
BY_ANY_NAME = [Path("sources/optional.py"), Path("patching.py")]

EM_IMPORTS = {"collections", "dataclasses", "functools", "itertools", "typing", "numpy"}

#: Methods that every class has from `object`, or makes for itself.
OF_ANY_CLASS = {
    *("__init__", "__repr__", "__eq__", "__hash__", "__getstate__", "__setstate__"),
    *("__setattr__", "__delattr__", "__replace__"),
}

#: Beginnings of names of modules.
NOT_FOR_A_PLAIN_FIT = [
    *(f"fastgmm.{name}" for name in ("bayesian", "distributed", "files", "outputs", "recovery")),
    *(f"fastgmm.{name}" for name in ("acceleration.", "families.variational", "saved.")),
    *(f"fastgmm.estimator.{name}" for name in ("bootstrap", "by_hand", "conditioning")),
    *(
        f"fastgmm.estimator.{name}"
        for name in ("conversion", "predicting", "remembered", "spanned")
    ),
    *(f"fastgmm.sources.{name}" for name in ("arrow", "csv", "missing", "opening", "parquet")),
    *(f"fastgmm.sources.{name}" for name in ("labels", "parts", "zarr")),
    *(f"fastgmm.passes.{name}" for name in ("cell", "marginal", "missing", "predictions", "wide")),
    *(f"fastgmm.starts.{name}" for name in ("hierarchical", "oversampled")),
    *(f"fastgmm.kernels.{name}" for name in ("kmeans", "scatter_pass", "small_fits.")),
    *(f"fastgmm.kernels.forms.{name}" for name in ("centred", "diagonal", "isotropic", "shared")),
]

MOST_LINES, MOST_LINES_OF_FUNCTION = 420, 60  # "about 400"

FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
OF_PYTHON = [file for file in FILES if file.parts[0] != "kernels"]


def unit_of(file):
    """The folder or module right below the package that a file belongs to."""
    return file.parts[0].removesuffix(".py")


def syntax(file):
    return parsed(PACKAGE / file)


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(file):
    """Dotted names of everything that a file imports, wherever in it, also by a string."""
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
        elif isinstance(node, ast.Call) and name_of(node.func) in {"import_module", "__import__"}:
            yield name_imported_by(node, file)


@cache
def all_imports():
    """(file, dotted name) of every import of the package."""
    return [(file, name) for file in FILES for name in imports(file)]


def name_of(node):
    """The last part of a dotted name."""
    return getattr(node, "id", getattr(node, "attr", None))


def name_imported_by(call, file):
    """The name of the module that ``import_module`` or ``__import__`` is called with."""
    (name,) = [*call.args, *(keyword.value for keyword in call.keywords)][:1]
    if isinstance(name, ast.JoinedStr):  # of f"fastgmm.cli.{word}", the beginning tells
        name = name.values[0]
    if isinstance(name, ast.Constant):
        return name.value
    assert file in BY_ANY_NAME, f"{file}:{call.lineno} imports what no reader can see"
    return ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import_module('fastgmm.cli')", "fastgmm.cli"),
        ("importlib.import_module(name='fastgmm.em')", "fastgmm.em"),
        ("__import__(f'fastgmm.{word}')", "fastgmm."),
        ("from fastgmm import cli", "fastgmm.cli"),
    ],
)
def test_imports_are_seen(text, name, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_layers.PACKAGE", tmp_path)
    (tmp_path / "em.py").write_text(text)
    assert list(imports(Path("em.py"))) == [name]
    (tmp_path / "any.py").write_text("def load(name): return import_module(name)")
    with pytest.raises(AssertionError, match="no reader can see"):
        list(imports(Path("any.py")))


def test_every_unit_has_a_place():
    assert {unit_of(file) for file in FILES} <= LEVEL.keys()


def test_imports_run_down_the_layers():
    def allowed(unit, name):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        target = target if target in LEVEL else "__init__"
        return package != "fastgmm" or target == unit or LEVEL[target] > LEVEL[unit]

    assert not [(file, name) for file, name in all_imports() if not allowed(unit_of(file), name)]


def test_some_imports_are_reserved():
    def allowed(unit, name):
        return unit in RESERVED.get(name.partition(".")[0], [unit])

    assert not [(file, name) for file, name in all_imports() if not allowed(unit_of(file), name)]


def test_the_loop_of_em_is_mathematics():
    names = set(imports(Path("em.py"))) - {"fastgmm.records"}
    assert {name.partition(".")[0] for name in names} <= EM_IMPORTS


def test_one_place_compiles():
    words = {"njit", "jit", "vectorize", "guvectorize", "stencil", "intrinsic"}
    for file in FILES:
        if file != Path("kernels/compile.py"):
            nodes = list(ast.walk(syntax(file)))
            used = {node.id for node in nodes if isinstance(node, ast.Name)}
            used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            used |= {node.name for node in nodes if isinstance(node, ast.alias)}
            assert not used & words, file


def test_structures_alone_know_their_names():
    for file in FILES:
        if unit_of(file) == "covariance":
            continue
        for node in ast.walk(syntax(file)):
            if isinstance(node, ast.Compare | ast.Match):
                operands = (
                    [node.subject]
                    if isinstance(node, ast.Match)
                    else [node.left, *node.comparators]
                )
                words = {name_of(operand) for operand in operands}
                assert "covariance_type" not in words, f"{file}:{node.lineno}"


def test_files_and_functions_are_short():
    for file in OF_PYTHON:
        lines = (PACKAGE / file).read_text(encoding="utf-8").splitlines()
        assert len(lines) <= MOST_LINES, file
        for node in ast.walk(syntax(file)):
            if isinstance(node, ast.FunctionDef):
                docstring = len((ast.get_docstring(node) or "").splitlines())
                # A signature is a list, of the options of a command say, and may be long.
                length = node.end_lineno - node.body[0].lineno + 1 - docstring
                assert length <= MOST_LINES_OF_FUNCTION, f"{file}: {node.name} has {length} lines"


def classes():
    """Every class of the package, but for those of kernels."""
    for file in OF_PYTHON:
        if unit_of(file) == "__main__":
            continue
        module = importlib.import_module(
            ".".join(["fastgmm", *file.with_suffix("").parts]).removesuffix(".__init__")
        )
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__:
                yield value


def methods():
    """(class, name) of what the classes define themselves."""
    kinds = FunctionType | classmethod | staticmethod | property
    for cls in classes():
        for name in vars(cls).keys() - OF_ANY_CLASS:
            if isinstance(vars(cls)[name], kinds):
                yield cls, name


def test_nothing_concrete_is_overridden():
    """A class is abstract or final. What it does is changed by wrapping it, or by passing in."""
    for cls, name in methods():
        for base in cls.__mro__[1:]:
            if base.__module__.partition(".")[0] == "fastgmm" and name in vars(base):
                overridden = vars(base)[name]
                assert getattr(overridden, "__isabstractmethod__", False) or is_empty(overridden), (
                    f"{cls.__qualname__}.{name} overrides that of {base.__qualname__}"
                )


def is_empty(function):
    """Whether a method does nothing but be documented: one to be filled in, of a listener."""
    function = getattr(function, "fget", getattr(function, "__func__", function))
    body = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0].body
    return len(body) == 1 and isinstance(body[0], ast.Expr)


def modules_after(code):
    """What a process has imported after some code."""
    code = f"{code}\nimport sys; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return found.stdout.split()


def test_importing_the_package_does_not_import_numba():
    assert not {"numba", "llvmlite"} & set(modules_after("import fastgmm"))


def test_a_plain_fit_imports_no_more_than_it_needs():
    """Each file that a process imports takes it a millisecond."""
    code = """
import numpy as np
from fastgmm import GaussianMixture
X = np.random.RandomState(0).normal(size=(100, 2))
GaussianMixture(2, random_state=0).fit(X)
"""
    imported = set(modules_after(code))
    assert "fastgmm.em" in imported
    assert not {name for name in imported if any(map(name.startswith, NOT_FOR_A_PLAIN_FIT))}
